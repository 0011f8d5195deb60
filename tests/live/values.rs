//! The values of a namespace: kept before its deletion, and written back.

use http::Method;
use preview_gc::call::Call;
use preview_gc::kind::Kind;
use preview_gc::model::{Api, ResourceId};
use serde_json::{Value, json};

use super::contract::{Checked, Suite};

impl Suite<'_> {
    /// Puts values into what has some, and reads them as a backup does.
    pub(crate) async fn back_up(
        &mut self,
        kind: &'static dyn Kind,
        id: &ResourceId,
    ) -> Checked<Value> {
        if kind.about().name() != "kv_namespace" {
            return Ok(Value::Null);
        }
        let bulk = Call::new(Api::Cloudflare, Method::PUT, &bulk(id)).json(&json!([
            {"key": "text", "value": "with metadata", "metadata": {"n": 1}},
            {"key": "bytes/and?names", "value": "//79/A==", "base64": true},
        ]));
        self.send(&bulk).await?.succeeded("writing values")?;
        let past = Call::new(Api::Cloudflare, Method::PUT, &self::bulk(id))
            .json(&json!([{"key": "late", "value": "x", "expiration": 1}]));
        let past = self.send(&past).await?;
        let mut said = past.summary();
        said["result"] = past.json()["result"].clone();
        self.answers
            .insert("kv_namespace.past_expiration".to_owned(), said);
        let backup = kind.backup().expect("namespaces have a backup");
        let mut held = Value::Null;
        while let Some(call) = backup.next(id, &held) {
            let got = self.send(&call).await?;
            got.succeeded("the backup")?;
            backup.take(&mut held, &got.body).map_err(|error| error.0)?;
        }
        let kept = held["entries"].as_array().map_or(0, Vec::len);
        (kept == 2)
            .then_some(held)
            .ok_or_else(|| format!("{kept} of 2 values were kept"))
    }

    /// Writes a backup back, and compares what is there then with it.
    pub(crate) async fn refill(
        &mut self,
        kind: &'static dyn Kind,
        id: &ResourceId,
        held: &Value,
    ) -> Checked<()> {
        let backup = kind.backup().expect("namespaces have a backup");
        for call in backup.fill(id, held, self.client.clock().now()).calls {
            let got = self.send(&call).await?;
            got.succeeded("writing the backup back")?;
            backup.read_filled(&got.body).map_err(|error| error.0)?;
        }
        let mut again = Value::Null;
        while let Some(call) = backup.next(id, &again) {
            let got = self.send(&call).await?;
            got.succeeded("the values that were written back")?;
            backup
                .take(&mut again, &got.body)
                .map_err(|error| error.0)?;
        }
        let same = again["entries"] == held["entries"];
        same.then_some(())
            .ok_or_else(|| format!("{again} was restored, and {held} was kept"))
    }
}

/// The path of bulk writes to a namespace.
fn bulk(id: &ResourceId) -> [&str; 7] {
    let account = id.place.id();
    [
        "accounts",
        account,
        "storage",
        "kv",
        "namespaces",
        &id.id,
        "bulk",
    ]
}
