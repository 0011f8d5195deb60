//! How a record is made again, and how it is marked as one to keep.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::envelope::{self, account};
use super::{DnsRecord, path};
use crate::call::Call;
use crate::kind::{KeepMark, Malformed, MarkRemoval, Namesake, Restore};
use crate::model::{Api, Attribute, KEEP_MARK, Resource, ResourceId, is_marked};

/// The fields of a record that can be written.
const WRITABLE: [&str; 10] = [
    "type", "name", "content", "data", "ttl", "proxied", "priority", "comment", "tags", "settings",
];

#[derive(Deserialize)]
struct NewRecord {
    id: String,
}

/// Record types that say where a name leads.
const LEADS: [&str; 3] = ["A", "AAAA", "CNAME"];

impl Restore for DnsRecord {
    fn recreate(&self, id: &ResourceId, original: Option<&Value>) -> Option<Call> {
        let original = original?.as_object()?;
        let record: serde_json::Map<_, _> = WRITABLE
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), original.get(*key)?.clone())))
            .filter(|(_, value)| !value.is_null())
            .collect();
        let path = ["zones", account(&id.place), "dns_records"];
        let call = Call::new(Api::Cloudflare, Method::POST, &path);
        Some(call.json(&Value::Object(record)))
    }

    fn read_recreated(&self, body: &[u8]) -> Result<String, Malformed> {
        let (record, _) = envelope::open::<NewRecord>(body)?;
        Ok(record.id)
    }

    /// A name may have several records. Two that say where it leads would share
    /// its traffic.
    fn namesake(&self, _id: &ResourceId, original: Option<&Value>, other: &Resource) -> Namesake {
        let text = |key: &str| original.and_then(|record| record[key].as_str());
        let of_other = |key: &str| match other.attribute(key) {
            Some(Attribute::Text(text)) => Some(&**text),
            _ => None,
        };
        let (sort, other_sort) = (text("type"), of_other("type"));
        let leads = |sort: Option<&str>| sort.is_some_and(|sort| LEADS.contains(&sort));
        if sort == other_sort && text("content") == of_other("content") {
            Namesake::Itself
        } else if leads(sort) && leads(other_sort) {
            Namesake::Other
        } else {
            Namesake::Beside
        }
    }

    fn keep_mark(&self) -> Option<&dyn KeepMark> {
        Some(self)
    }
}

/// The comment of one record.
#[derive(Deserialize)]
struct Commented {
    comment: Option<String>,
}

/// Maximum length of a comment in characters, on the plan with the lowest limit.
const COMMENT: usize = 100;

/// The mark is the last word of the comment.
impl KeepMark for DnsRecord {
    fn mark(&self, original: &Value) -> Option<Value> {
        let comment = original["comment"].as_str().unwrap_or_default();
        let comment = format!("{comment} {KEEP_MARK}");
        let comment = comment.trim_start();
        if comment.chars().count() > COMMENT {
            return None;
        }
        let mut marked = original.as_object()?.clone();
        marked.insert("comment".to_owned(), comment.into());
        Some(Value::Object(marked))
    }

    fn ask(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn is_as_marked(&self, marked: &Value, listed: &Resource) -> bool {
        match listed.attribute("comment") {
            Some(Attribute::Text(comment)) => marked["comment"].as_str() == Some(&**comment),
            _ => false,
        }
    }

    fn remove(&self, id: &ResourceId, body: &[u8]) -> Result<MarkRemoval, Malformed> {
        let (record, _) = envelope::open::<Commented>(body)?;
        let comment = record.comment.unwrap_or_default();
        let before = match comment.strip_suffix(KEEP_MARK) {
            Some(before) => before.trim_end(),
            None if is_marked([comment.as_str()]) => return Ok(MarkRemoval::Changed),
            None => return Ok(MarkRemoval::NotMarked),
        };
        let before = if before.is_empty() {
            Value::Null
        } else {
            before.into()
        };
        let call = Call::new(Api::Cloudflare, Method::PATCH, &path(id));
        Ok(MarkRemoval::Request(
            call.json(&json!({ "comment": before })),
        ))
    }
}
