//! Workers KV namespaces. They have no times at all.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::envelope::{self, account};
use crate::call::{Call, Transfer};
use crate::kind::{Backup, Kind, Malformed, Page, PageOf, Restore};
use crate::model::{
    Api, Headroom, KindAbout, KindRef, Place, PlaceSort, Resource, ResourceId, UsedBy,
};

pub(super) struct KvNamespace;

static ABOUT: KindAbout = KindAbout {
    name: "kv_namespace",
    noun: "KV namespace",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    read_permission: "Workers KV Storage Read",
    write_permission: "Workers KV Storage Write",
    backup: true,
    undo: "can be restored under a new id, with what it held, if its rule says `backup = true`",
    used_by: UsedBy::These(&[
        "worker",
        "worker_preview",
        "pages_project",
        "dispatch_namespace",
    ]),
    headroom: Some(Headroom {
        what: "KV namespaces per account",
        free: Some(1_000),
        paid: Some(1_000),
        per: None,
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Namespace {
    id: Box<str>,
    title: Box<str>,
}

impl Namespace {
    fn resource(self, place: &Arc<Place>) -> Resource {
        Resource::new(KindRef(&ABOUT), place, self.id, self.title)
    }
}

/// The path of one namespace.
fn path(id: &ResourceId) -> [&str; 6] {
    [
        "accounts",
        account(&id.place),
        "storage",
        "kv",
        "namespaces",
        &id.id,
    ]
}

/// The most keys that are kept: one request each.
const MAX_KEYS: usize = 1_000;

/// The most pages of keys; even empty ones come to an end before.
const MAX_PAGES: usize = 20;

/// The most bytes of values that are kept.
const MAX_BYTES: usize = 25 * 1_024 * 1_024;

/// What is kept of a namespace: `entries`, the `cursor` while keys are listed,
/// how many values are `fetched`, and their `bytes`.
#[derive(Deserialize)]
struct KvBackup {
    entries: Vec<HeldEntry>,
}

#[derive(Serialize, Deserialize)]
struct HeldEntry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    /// In base64, because values are bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// A number of what is kept.
fn count(held: &Value, key: &str) -> usize {
    let number = held[key].as_u64().unwrap_or_default();
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The pairs that a bulk write takes, without those that Cloudflare would refuse.
fn pairs(held: &Value, now: DateTime<Utc>) -> Result<Vec<Value>, Malformed> {
    let held = KvBackup::deserialize(held)?;
    let soonest = now + SOONEST_EXPIRATION;
    let stays = |entry: &&HeldEntry| {
        let ends = entry.expiration.and_then(|at| i64::try_from(at).ok());
        ends.is_none_or(|at| at > soonest.timestamp())
    };
    let pair = |entry: &HeldEntry| {
        let mut pair = json!({ "key": entry.name, "value": entry.value, "base64": true });
        if let Some(expiration) = entry.expiration {
            pair["expiration"] = json!(expiration);
        }
        if let Some(metadata) = &entry.metadata {
            pair["metadata"] = metadata.clone();
        }
        pair
    };
    Ok(held.entries.iter().filter(stays).map(pair).collect())
}

/// Keys with values, metadata and expiry.
impl Backup for KvNamespace {
    fn next(&self, id: &ResourceId, held: &Value) -> Result<Option<Transfer>, Malformed> {
        let below = |last: &[&str]| {
            let path = [&path(id)[..], last].concat();
            Call::get(Api::Cloudflare, &path)
        };
        let keys = below(&["keys"]).with("limit", "1000");
        let call = if held.is_null() {
            Some(keys)
        } else if let Some(cursor) = held["cursor"].as_str() {
            Some(keys.with("cursor", cursor))
        } else {
            let missing = held["entries"].get(count(held, "fetched"));
            let name = missing.map(|missing| missing["name"].as_str().unwrap_or_default());
            name.map(|name| below(&["values", name]))
        };
        Ok(call.map(Into::into))
    }

    fn take(&self, held: &mut Value, body: &[u8]) -> Result<(), Malformed> {
        if held.is_null() || held["cursor"].is_string() {
            let (entries, cursor) = envelope::open_after::<Vec<HeldEntry>>(body)?;
            if held.is_null() {
                *held = json!({ "entries": [], "fetched": 0, "bytes": 0 });
            }
            if let Some(list) = held["entries"].as_array_mut() {
                for entry in entries {
                    list.push(serde_json::to_value(entry)?);
                }
            }
            // A listing that repeats itself would never end.
            if cursor.is_some() && held["cursor"].as_str() == cursor.as_deref() {
                return Err(Malformed(
                    "the listing of its keys repeats itself".to_owned(),
                ));
            }
            let pages = count(held, "pages") + 1;
            if pages > MAX_PAGES {
                return Err(Malformed("the listing of its keys does not end".to_owned()));
            }
            held["pages"] = json!(pages);
            held["cursor"] = json!(cursor);
        } else {
            let fetched = count(held, "fetched");
            let Some(entry) = held["entries"].get_mut(fetched) else {
                return Err(Malformed("there is no key for this value".to_owned()));
            };
            entry["value"] = json!(BASE64.encode(body));
            held["fetched"] = json!(fetched + 1);
            held["bytes"] = json!(count(held, "bytes") + body.len());
        }
        let keys = held["entries"].as_array().map_or(0, Vec::len);
        if keys > MAX_KEYS || count(held, "bytes") > MAX_BYTES {
            return Err(Malformed(format!(
                "it holds more than {MAX_KEYS} keys or {} MB, which is too much for a backup",
                MAX_BYTES / 1_024 / 1_024
            )));
        }
        Ok(())
    }

    fn expired(&self, held: &Value, now: DateTime<Utc>) -> usize {
        let entries = held["entries"].as_array().map_or(0, Vec::len);
        pairs(held, now).map_or(0, |pairs| entries - pairs.len())
    }

    fn fill(
        &self,
        id: &ResourceId,
        held: &Value,
        written: &Value,
        now: DateTime<Utc>,
    ) -> Result<Option<Transfer>, Malformed> {
        let pairs = pairs(held, now)?;
        let path = [&path(id)[..], &["bulk"]].concat();
        let next = pairs.chunks(10_000).nth(count(written, "requests"));
        let call = next.map(|pairs| {
            Call::new(Api::Cloudflare, Method::PUT, &path).json(&Value::from(pairs.to_vec()))
        });
        Ok(call.map(Into::into))
    }

    /// A bulk write answers 200 also where some keys were not written.
    fn take_filled(&self, written: &mut Value, body: &[u8]) -> Result<(), Malformed> {
        let (answer, _) = envelope::open::<BulkWritten>(body)?;
        match answer.unsuccessful_keys.as_slice() {
            [] => {
                *written = json!({ "requests": count(written, "requests") + 1 });
                Ok(())
            }
            [one] => Err(Malformed(format!("the key {one:?} was not written"))),
            [first, rest @ ..] => Err(Malformed(format!(
                "the key {first:?} and {} others were not written",
                rest.len()
            ))),
        }
    }
}

/// The answer to a bulk write (`workers-kv-bulk` of the Cloudflare API).
#[derive(Deserialize)]
struct BulkWritten {
    #[serde(default)]
    unsuccessful_keys: Vec<String>,
}

/// Cloudflare refuses keys that expire sooner.
const SOONEST_EXPIRATION: TimeDelta = TimeDelta::seconds(60);

impl Kind for KvNamespace {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        let number = match page {
            PageOf::First | PageOf::Cursor(_) => 1,
            PageOf::Number(number) => *number,
        };
        // Without an order the pages may shift into one another.
        Call::get(
            Api::Cloudflare,
            &["accounts", account(place), "storage", "kv", "namespaces"],
        )
        .with("order", "id")
        .with("direction", "asc")
        .with("per_page", "1000")
        .with("page", number.to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        envelope::page(body, |one: Namespace| one.resource(place))
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (namespace, _) = envelope::open::<Namespace>(body)?;
        Ok(namespace.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }
}

impl Restore for KvNamespace {
    fn recreate(&self, id: &ResourceId, _original: Option<&Value>) -> Option<Call> {
        let path = [
            "accounts",
            account(&id.place),
            "storage",
            "kv",
            "namespaces",
        ];
        let call = Call::new(Api::Cloudflare, Method::POST, &path);
        Some(call.json(&json!({ "title": id.name })))
    }

    fn read_recreated(&self, body: &[u8]) -> Result<String, Malformed> {
        let (namespace, _) = envelope::open::<Namespace>(body)?;
        Ok(namespace.id.into())
    }
}
