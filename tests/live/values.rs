//! The values of a namespace and the rows of a database: kept before its deletion, and
//! written back.

use bytes::Bytes;
use http::Method;
use preview_gc::call::{Call, Transfer};
use preview_gc::kind::{Backup, Kind};
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
        match kind.about().name() {
            "kv_namespace" => self.back_up_values(kind, id).await,
            "d1" => self.back_up_rows(kind, id).await,
            _ => Ok(Value::Null),
        }
    }

    async fn back_up_values(&mut self, kind: &'static dyn Kind, id: &ResourceId) -> Checked<Value> {
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
        let held = self.read_backup(backup(kind), id).await?;
        let kept = held["entries"].as_array().map_or(0, Vec::len);
        (kept == 2)
            .then_some(held)
            .ok_or_else(|| format!("{kept} of 2 values were kept"))
    }

    /// Fills a database by an import, and exports it.
    async fn back_up_rows(&mut self, kind: &'static dyn Kind, id: &ResourceId) -> Checked<Value> {
        let sql = "CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES('a row');\n";
        let held = json!({"state": "whole", "file_size": null, "sql": sql});
        self.write_back(backup(kind), id, &held).await?;
        let held = self.read_backup(backup(kind), id).await?;
        let is_there = held["sql"]
            .as_str()
            .is_some_and(|sql| sql.contains("a row"));
        is_there
            .then_some(held)
            .ok_or_else(|| "the export has not what was imported".to_owned())
    }

    /// Writes a backup back, and compares what is there then with it.
    pub(crate) async fn refill(
        &mut self,
        kind: &'static dyn Kind,
        id: &ResourceId,
        held: &Value,
    ) -> Checked<()> {
        self.write_back(backup(kind), id, held).await?;
        let again = self.read_backup(backup(kind), id).await?;
        let what = if held["sql"].is_string() {
            "sql"
        } else {
            "entries"
        };
        let same = again[what] == held[what];
        same.then_some(())
            .ok_or_else(|| format!("{again} was restored, and {held} was kept"))
    }

    async fn read_backup(&mut self, backup: &dyn Backup, id: &ResourceId) -> Checked<Value> {
        let mut held = Value::Null;
        while let Some(transfer) = backup.next(id, &held).map_err(|error| error.0)? {
            let body = self.transfer(&transfer, "the backup").await?;
            let taken = backup.take(&mut held, &body);
            taken.map_err(|error| error.0)?;
        }
        Ok(held)
    }

    async fn write_back(
        &mut self,
        backup: &dyn Backup,
        id: &ResourceId,
        held: &Value,
    ) -> Checked<()> {
        let (now, mut written) = (self.client.clock().now(), Value::Null);
        let fill = |written: &Value| backup.fill(id, held, written, now);
        while let Some(transfer) = fill(&written).map_err(|error| error.0)? {
            let body = self.transfer(&transfer, "writing a backup back").await?;
            let taken = backup.take_filled(&mut written, &body);
            taken.map_err(|error| error.0)?;
        }
        Ok(())
    }

    /// Sends a request of a backup; those to signed addresses are no requests to the
    /// API.
    async fn transfer(&mut self, transfer: &Transfer, what: &str) -> Checked<Bytes> {
        if let Transfer::Call { call, after } = transfer {
            self.client.pause(*after).await;
            let got = self.send(call).await?;
            got.succeeded(what)?;
            return Ok(got.body);
        }
        let body = self.client.transfer(transfer).await;
        body.map_err(|error| error.to_string())
    }
}

fn backup(kind: &'static dyn Kind) -> &'static dyn Backup {
    kind.backup().expect("it has a backup")
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
