//! The keys and values of one KV namespace.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::answer::{Answer, ApiFailure, array, object, ok, ok_with};
use super::upload::{self, UploadForm};
use crate::sandbox::message::{Request, Response};

/// One namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    /// Its title, unique in the account.
    pub(super) title: String,
    /// Its values by key.
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) attributes: Map<String, Value>,
}

/// One value.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    value: Bytes,
    metadata: Option<Value>,
    /// Unix seconds.
    expiration: Option<i64>,
}

/// Maximum number of pairs in one bulk request.
const BULK: usize = 10_000;

fn missing() -> ApiFailure {
    ApiFailure::not_found(10009, "get: 'key not found'")
}

/// The entries that a world gives: names, or objects with `name`, `value`,
/// `metadata` and `expiration`.
pub(super) fn entries(attributes: &Map<String, Value>) -> BTreeMap<String, Entry> {
    let Some(keys) = attributes.get("keys").and_then(Value::as_array) else {
        return BTreeMap::new();
    };
    keys.iter()
        .filter_map(|key| {
            let name = key.as_str().or_else(|| key["name"].as_str())?;
            let entry = Entry {
                value: Bytes::from(key["value"].as_str().unwrap_or_default().to_owned()),
                metadata: key.get("metadata").filter(|data| !data.is_null()).cloned(),
                expiration: key["expiration"].as_i64(),
            };
            Some((name.to_owned(), entry))
        })
        .collect()
}

/// The entries as a world gives them.
pub(super) fn world(entries: &BTreeMap<String, Entry>) -> Value {
    entries
        .iter()
        .map(|(name, entry)| {
            let mut shown = to_json(name, entry);
            shown["value"] = json!(String::from_utf8_lossy(&entry.value));
            shown
        })
        .collect()
}

fn to_json(name: &str, entry: &Entry) -> Value {
    let mut shown = json!({ "name": name });
    super::answer::put(&mut shown, "expiration", entry.expiration);
    super::answer::put(&mut shown, "metadata", entry.metadata.clone());
    shown
}

impl Namespace {
    /// Endpoints below `namespaces/{id}`.
    pub(super) fn serve(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        let now = request.now.timestamp();
        self.entries
            .retain(|_, entry| entry.expiration.is_none_or(|end| end > now));
        match (method, path) {
            ("GET", ["keys"]) => self.keys(request),
            ("GET", ["values", key]) => {
                let entry = self.entries.get(*key).ok_or_else(missing)?;
                Ok(raw(entry))
            }
            ("PUT", ["values", key]) => {
                let entry = written(request, now)?;
                self.entries.insert((*key).to_owned(), entry);
                Ok(ok(json!({})))
            }
            ("DELETE", ["values", key]) => {
                self.entries.remove(*key);
                Ok(ok(json!({})))
            }
            ("GET", ["metadata", key]) => {
                let entry = self.entries.get(*key).ok_or_else(missing)?;
                Ok(ok(entry.metadata.clone().unwrap_or(Value::Null)))
            }
            ("PUT", ["bulk"]) => self.bulk_put(request, now),
            ("DELETE", ["bulk"]) | ("POST", ["bulk", "delete"]) => {
                let names = array(request, 10012)?;
                within_bulk(names.len())?;
                for name in &names {
                    let name = name.as_str().or_else(|| name["name"].as_str());
                    self.entries.remove(name.unwrap_or_default());
                }
                Ok(ok(
                    json!({ "successful_key_count": names.len(), "unsuccessful_keys": [] }),
                ))
            }
            ("POST", ["bulk", "get"]) => {
                let body = object(request, 10012)?;
                let mut values = Map::new();
                for name in super::answer::texts(&body, "keys") {
                    let value = self.entries.get(&name).map_or(Value::Null, |entry| {
                        json!(String::from_utf8_lossy(&entry.value))
                    });
                    values.insert(name, value);
                }
                Ok(ok(json!({ "values": values })))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    fn keys(&self, request: &Request) -> Answer {
        let limit = match request.parameter("limit") {
            None => 1000,
            Some(text) => text
                .parse::<usize>()
                .ok()
                .filter(|limit| (10..=1000).contains(limit))
                .ok_or_else(|| ApiFailure::bad(10029, "invalid limit: must be from 10 to 1000"))?,
        };
        let prefix = request.parameter("prefix").unwrap_or_default();
        let after = request
            .parameter("cursor")
            .filter(|cursor| !cursor.is_empty())
            .map(|cursor| decoded(cursor).ok_or_else(|| ApiFailure::bad(10020, "invalid cursor")))
            .transpose()?;
        let mut rest = self
            .entries
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after))
            .peekable();
        let page: Vec<(&String, &Entry)> = rest.by_ref().take(limit).collect();
        let cursor = match (rest.peek(), page.last()) {
            (Some(_), Some((name, _))) => encoded(name),
            _ => String::new(),
        };
        let shown: Vec<Value> = page
            .iter()
            .map(|(name, entry)| to_json(name, entry))
            .collect();
        let info = json!({ "count": shown.len(), "cursor": cursor });
        Ok(ok_with(Value::Array(shown), info))
    }

    fn bulk_put(&mut self, request: &Request, now: i64) -> Answer {
        let pairs = array(request, 10012)?;
        within_bulk(pairs.len())?;
        let mut read = Vec::with_capacity(pairs.len());
        let mut unsuccessful = Vec::new();
        for pair in &pairs {
            let (Some(key), Some(value)) = (pair["key"].as_str(), pair["value"].as_str()) else {
                return Err(ApiFailure::bad(10012, "a pair needs a key and a value"));
            };
            let expiration = pair["expiration"]
                .as_i64()
                .or_else(|| pair["expiration_ttl"].as_i64().map(|ttl| now + ttl));
            // What expires within a minute is not written, and the answer is 200.
            if expiration.is_some_and(|end| end < now + 60) {
                unsuccessful.push(key.to_owned());
                continue;
            }
            let value = match pair["base64"].as_bool() {
                Some(true) => match BASE64.decode(value) {
                    Ok(bytes) => Bytes::from(bytes),
                    Err(_) => {
                        unsuccessful.push(key.to_owned());
                        continue;
                    }
                },
                _ => Bytes::from(value.to_owned()),
            };
            let entry = Entry {
                value,
                metadata: pair.get("metadata").filter(|data| !data.is_null()).cloned(),
                expiration,
            };
            read.push((key.to_owned(), entry));
        }
        let written = read.len();
        self.entries.extend(read);
        Ok(ok(
            json!({ "successful_key_count": written, "unsuccessful_keys": unsuccessful }),
        ))
    }
}

fn within_bulk(count: usize) -> Result<(), ApiFailure> {
    if count > BULK {
        return Err(ApiFailure::bad(
            10029,
            format!("a bulk request holds at most {BULK} pairs"),
        ));
    }
    Ok(())
}

/// A value from the body of a request: as it is, or the `value` and
/// `metadata` parts of a form.
fn written(request: &Request, now: i64) -> Result<Entry, ApiFailure> {
    let seconds = |name: &str| {
        request
            .parameter(name)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let ttl = seconds("expiration_ttl");
    if ttl.is_some_and(|ttl| ttl < 60) {
        return Err(ApiFailure::bad(
            10033,
            "invalid expiration_ttl: must be at least 60",
        ));
    }
    let expiration = seconds("expiration").or(ttl.map(|ttl| now + ttl));
    let (value, metadata) = match upload::read(request)? {
        Some(UploadForm { mut parts }) => (
            parts.remove("value").unwrap_or_default(),
            parts
                .get("metadata")
                .and_then(|part| serde_json::from_slice(part).ok()),
        ),
        None => (request.body.clone(), None),
    };
    Ok(Entry {
        value,
        metadata,
        expiration,
    })
}

fn raw(entry: &Entry) -> Response {
    let mut response = Response::new(entry.value.clone());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Some(end) = entry.expiration {
        response
            .headers_mut()
            .insert("expiration", HeaderValue::from(end));
    }
    response
}

/// An opaque cursor: the hex digits of where the page ended.
pub(super) fn encoded(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut cursor, byte| {
        let _ = write!(cursor, "{byte:02x}");
        cursor
    })
}

/// Where a cursor's page ended.
pub(super) fn decoded(cursor: &str) -> Option<String> {
    if !cursor.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..cursor.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(cursor.get(at..at + 2)?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}
