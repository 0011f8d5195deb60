//! DNS records of a zone.

mod hosts;
mod restore;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::envelope::{self, account};
use crate::call::Call;
use crate::kind::{Batch, Kind, Malformed, Page, PageOf, Queries, Query, Restore};
use crate::model::identifier::host_name;
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, Headroom, KindAbout, KindRef,
    Place, PlaceSort, Resource, ResourceId, Time, UsedBy, is_marked,
};

pub(super) struct DnsRecord;

/// The record types that Cloudflare knows.
const RECORD_TYPES: [&str; 21] = [
    "A",
    "AAAA",
    "CAA",
    "CERT",
    "CNAME",
    "DNSKEY",
    "DS",
    "HTTPS",
    "LOC",
    "MX",
    "NAPTR",
    "NS",
    "OPENPGPKEY",
    "PTR",
    "SMIMEA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "TXT",
    "URI",
];

static ABOUT: KindAbout = KindAbout {
    name: "dns_record",
    noun: "DNS record",
    api: Api::Cloudflare,
    place: PlaceSort::Zone,
    caseless: true,
    created: true,
    changed: true,
    never: Some(is_never_deleted),
    read_permission: "DNS Read",
    write_permission: "DNS Write",
    undo: "can be restored in full",
    attributes: &[
        AttributeAbout {
            key: "type",
            sort: AttributeSort::Text,
            words: &[],
            values: &RECORD_TYPES,
            about: "the record type, in capitals",
        },
        AttributeAbout {
            key: "content",
            sort: AttributeSort::Host,
            words: &[],
            values: &[],
            about: "what the record answers",
        },
        AttributeAbout {
            key: "proxied",
            sort: AttributeSort::Flag,
            words: &[],
            values: &[],
            about: "whether traffic goes through Cloudflare",
        },
        AttributeAbout {
            key: "comment",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the comment beside it",
        },
        AttributeAbout {
            key: "tags",
            sort: AttributeSort::List,
            words: &[],
            values: &[],
            about: "the tags",
        },
    ],
    dangles: true,
    // A host of `workers.dev` may be that of another account's Worker.
    points_at: &["tunnel"],
    used_by: UsedBy::These(&["dns_record", "worker_route", "hyperdrive"]),
    also_uses: &["neon_branch", "worker_preview"],
    headroom: Some(Headroom {
        what: "DNS records per zone",
        free: Some(200),
        paid: Some(3_500),
        per: None,
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Record {
    id: Box<str>,
    name: Box<str>,
    #[serde(rename = "type")]
    sort: Box<str>,
    /// Absent for types that use `data`.
    content: Option<Box<str>>,
    /// The parts of types such as SRV and HTTPS.
    data: Option<Value>,
    proxied: Option<bool>,
    /// `null` means none; an absent field means unknown.
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    comment: Option<Box<str>>,
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
    /// Undocumented beyond being an object.
    meta: Option<Value>,
}

/// Record types that run a zone or its mail.
const TYPES: [&str; 3] = ["NS", "SOA", "MX"];

/// Whether a template can only name records that no rule deletes.
fn is_never_deleted(template: &str, zones: &[&str], types: &[&str]) -> bool {
    let of_type = |sort: &&str| TYPES.contains(&sort.to_ascii_uppercase().as_str());
    let only_txt = !types.is_empty() && types.iter().all(|sort| *sort == "TXT");
    // A rule may name TXT records whose labels with `_` it spells out.
    let spelled = |label: &str| only_txt && !label.contains(['{', '}']);
    let mut labels = template.split('.');
    labels.any(|label| label == "*" || (label.starts_with('_') && !spelled(label)))
        || (!types.is_empty() && types.iter().all(of_type))
        || zones
            .iter()
            .any(|zone| host_name(zone) == host_name(template))
}

impl Record {
    fn protection(&self, place: &Place) -> Option<BuiltInProtection> {
        let tags = self.tags.iter().flatten();
        let texts = self.comment.iter().chain(tags).map(AsRef::as_ref);
        if is_marked(texts) {
            return Some(BuiltInProtection::Marked);
        }
        let apex = match place {
            Place::Zone { name, .. } => name.as_str(),
            Place::Account(_) | Place::Project(_) | Place::Repository(_) => "",
        };
        let meta = |key: &str| self.meta.as_ref().and_then(|meta| meta.get(key));
        let managed = meta("read_only").is_some_and(|value| *value != Value::Bool(false))
            || meta("origin_worker_id").is_some_and(|value| !value.is_null());
        if managed {
            return Some(BuiltInProtection::Managed);
        }
        if host_name(&self.name) == host_name(apex) {
            return Some(BuiltInProtection::Apex);
        }
        if TYPES.contains(&self.sort.to_ascii_uppercase().as_str()) {
            return Some(BuiltInProtection::RecordType);
        }
        // A rule may lift the protection of an underscore, and never this one.
        if self.name.split('.').any(|label| label == "*") {
            return Some(BuiltInProtection::Wildcard);
        }
        if self.name.split('.').any(|label| label.starts_with('_')) {
            return Some(BuiltInProtection::Underscore);
        }
        None
    }
}

/// Reads a record, whose own words are kept: putting it back takes them.
fn read(place: &Arc<Place>, original: Box<RawValue>) -> Result<Resource, Malformed> {
    let record: Record = serde_json::from_str(original.get())?;
    if record.hides_its_target() {
        return Err(Malformed(format!(
            "{} record {} shows neither `content` nor `data`",
            record.sort, record.name
        )));
    }
    let protection = record.protection(place);
    let links = record.links();
    let addresses = envelope::host(&record.name).into_iter().collect();
    // Every answer has both, and a mark may stand in either.
    let unread = match (&record.comment, &record.tags) {
        (None, _) => Some("comment"),
        (_, None) => Some("tags"),
        (Some(_), Some(_)) => None,
    };
    let mut attributes = vec![("type", Attribute::Text(record.sort))];
    attributes.extend(
        record
            .content
            .map(|content| ("content", Attribute::Text(content))),
    );
    attributes.extend(
        record
            .proxied
            .map(|flag| ("proxied", Attribute::Flag(flag))),
    );
    attributes.extend(
        record
            .comment
            .map(|comment| ("comment", Attribute::Text(comment))),
    );
    attributes.extend(record.tags.map(|tags| ("tags", Attribute::List(tags))));
    Ok(Resource {
        kind: KindRef(&ABOUT),
        place: place.clone(),
        id: record.id,
        name: host_name(&record.name).into(),
        holder: None,
        incarnation: None,
        created_at: Time::always(record.created_on),
        changed_at: Time::always(record.modified_on),
        active_at: Time::Unsupported,
        expires_at: None,
        protection,
        parent: None,
        attributes,
        links,
        addresses,
        foreign_address: None,
        recorded: None,
        unread,
        original: Some(Box::<str>::from(original)),
    })
}

/// The path of one record.
fn path(id: &ResourceId) -> [&str; 4] {
    ["zones", account(&id.place), "dns_records", &id.id]
}

#[derive(Deserialize)]
struct Usage {
    record_quota: Option<u64>,
}

impl Kind for DnsRecord {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        let number = match page {
            PageOf::First | PageOf::Cursor(_) => 1,
            PageOf::Number(number) => *number,
        };
        // The default order is by type, with ties in any order.
        Call::get(Api::Cloudflare, &["zones", account(place), "dns_records"])
            .with("order", "name")
            .with("direction", "asc")
            .with("per_page", "1000")
            .with("page", number.to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (records, info) = envelope::open::<Vec<Box<RawValue>>>(body)?;
        let (total, next) = envelope::numbered(info.as_ref())?;
        let items = records
            .into_iter()
            .map(|record| read(place, record))
            .collect::<Result<_, _>>()?;
        Ok(Page { items, total, next })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (record, _) = envelope::open::<Box<RawValue>>(body)?;
        read(place, record)
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }

    fn queries(&self) -> Queries {
        Queries {
            allowance: Some(allowance),
            ..Queries::NONE
        }
    }

    fn batch(&self) -> Option<&dyn Batch> {
        Some(self)
    }
}

/// How many records the plan of a zone allows.
fn allowance(place: &Place) -> Query<Option<u64>> {
    let path = ["zones", account(place), "dns_records", "usage"];
    Query {
        call: Call::get(Api::Cloudflare, &path),
        read: |body| {
            let (usage, _) = envelope::open::<Usage>(body)?;
            Ok(usage.record_quota)
        },
    }
}

impl Batch for DnsRecord {
    /// What the free plan allows; the others allow 3,500.
    fn maximum(&self) -> usize {
        200
    }

    /// One database transaction: the first failure undoes all.
    fn delete(&self, place: &Place, ids: &[&ResourceId]) -> Call {
        let deletes: Vec<_> = ids.iter().map(|id| json!({ "id": id.id })).collect();
        let path = ["zones", account(place), "dns_records", "batch"];
        let call = Call::new(Api::Cloudflare, Method::POST, &path);
        call.json(&json!({ "deletes": deletes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection(name: &str, sort: &str, meta: &str) -> Option<BuiltInProtection> {
        let place = Arc::new(Place::Zone {
            id: "z".to_owned(),
            name: "example.com".to_owned(),
            account: "a".to_owned(),
        });
        let body = format!(
            r#"{{"success":true,"result":[{{"id":"1","name":"{name}","type":"{sort}","content":"100::","meta":{meta},
            "created_on":"2026-11-02T09:14:11.120Z","modified_on":"2026-11-02T09:14:11Z"}}],
            "result_info":{{"page":1,"per_page":1000,"count":1,"total_count":1}}}}"#
        );
        let page = DnsRecord.read_page(&place, body.as_bytes()).unwrap();
        page.items[0].protection
    }

    #[test]
    fn records_that_run_a_zone_are_always_protected() {
        use BuiltInProtection::{Apex, Managed, RecordType, Underscore, Wildcard};
        assert_eq!(protection("pr-1.example.com", "CNAME", "{}"), None);
        assert_eq!(protection("Example.com", "A", "{}"), Some(Apex));
        assert_eq!(protection("pr-1.example.com", "NS", "{}"), Some(RecordType));
        assert_eq!(protection("pr-1.example.com", "MX", "{}"), Some(RecordType));
        assert_eq!(
            protection("_acme.pr-1.example.com", "TXT", "{}"),
            Some(Underscore)
        );
        assert_eq!(protection("*.pr-1.example.com", "A", "{}"), Some(Wildcard));
        assert_eq!(
            protection("pr-1.example.com", "AAAA", r#"{"read_only":true}"#),
            Some(Managed)
        );
        assert_eq!(
            protection("pr-1.example.com", "AAAA", r#"{"origin_worker_id":"x"}"#),
            Some(Managed)
        );
        // A placeholder created by hand looks the same except for `meta`.
        assert_eq!(
            protection("pr-1.example.com", "AAAA", r#"{"read_only":false}"#),
            None
        );
    }
}
