//! DNS records of a zone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::envelope::{self, account};
use crate::call::Call;
use crate::kind::{
    Batch, KeepMark, Kind, Malformed, MarkRemoval, Namesake, Page, PageOf, Queries, Query, Restore,
};
use crate::model::identifier::host_name;
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, Headroom, KEEP_MARK,
    KindAbout, KindRef, Link, Place, PlaceSort, Reference, Resource, ResourceId, Time, UsedBy,
    is_marked,
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
    used_by: UsedBy::These(&["dns_record", "worker_route"]),
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

/// The comment of one record.
#[derive(Deserialize)]
struct Commented {
    comment: Option<String>,
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

/// Record types whose content names no host. Of a type that is not listed here
/// everything counts that looks like a host name.
const NO_HOSTS: [&str; 13] = [
    "A",
    "AAAA",
    "CAA",
    "CERT",
    "DNSKEY",
    "DS",
    "LOC",
    "OPENPGPKEY",
    "SMIMEA",
    "SSHFP",
    "TLSA",
    "TXT",
    "SOA",
];

/// What a name may point at.
const TARGETS: [&str; 3] = ["worker_domain", "pages_deployment", "dns_record"];

/// The Workers that may be served at a host of `workers.dev`: before the
/// account's subdomain stands `<worker>`, or `<version or alias>-<worker>`, and
/// both parts may contain dashes.
fn workers_at(host: &str) -> impl Iterator<Item = String> {
    let below = host.strip_suffix(".workers.dev");
    let label = below.and_then(|below| below.split_once('.'));
    let label = label.map_or("", |(label, _)| label).to_owned();
    let dashes = label.match_indices('-').map(|(at, _)| at + 1);
    let starts: Vec<usize> = std::iter::once(0).chain(dashes).collect();
    let names = starts.into_iter().map(move |at| label[at..].to_owned());
    names.filter(|name| !name.is_empty())
}

/// The id of the tunnel behind a host.
fn tunnel_at(host: &str) -> Option<&str> {
    let id = host.strip_suffix(".cfargotunnel.com")?;
    (!id.contains('.')).then_some(id)
}

impl Record {
    /// What the name points at, wherever that is: another name, or the host
    /// under which Cloudflare serves a Worker or a Pages deployment.
    fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for host in self.hosts() {
            let targets = TARGETS.iter();
            links.extend(targets.map(|kind| {
                let target = Reference::by_address(kind, host.to_string());
                Link::Uses(target)
            }));
            let workers = workers_at(&host).map(|worker| Reference::by_id("worker", worker));
            links.extend(workers.map(Link::Uses));
            let tunnel = tunnel_at(&host).map(|id| Reference::by_id("tunnel", id.to_owned()));
            links.extend(tunnel.map(Link::Uses));
        }
        links
    }

    /// The host names that the record answers, whatever its type: CNAME has one,
    /// MX and SRV have one behind numbers, HTTPS and SVCB before parameters.
    fn hosts(&self) -> Vec<Box<str>> {
        let sort = self.sort.to_ascii_uppercase();
        if NO_HOSTS.contains(&sort.as_str()) {
            return Vec::new();
        }
        let data = self.data.as_ref().and_then(Value::as_object);
        let data = data.into_iter().flat_map(Map::values);
        let texts = self.content.as_deref().into_iter();
        let texts = texts.chain(data.filter_map(Value::as_str));
        let words = texts.flat_map(str::split_whitespace);
        let mut hosts: Vec<Box<str>> = words
            .filter(|word| word.contains('.'))
            .filter_map(envelope::host)
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

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
        recorded: None,
        unread,
        original: Some(Box::<str>::from(original)),
    })
}

/// The path of one record.
fn path(id: &ResourceId) -> [&str; 4] {
    ["zones", account(&id.place), "dns_records", &id.id]
}

/// The fields of a record that can be written.
const WRITABLE: [&str; 10] = [
    "type", "name", "content", "data", "ttl", "proxied", "priority", "comment", "tags", "settings",
];

#[derive(Deserialize)]
struct NewRecord {
    id: String,
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
        let path = ["zones", account(&id.place), "dns_records", &id.id];
        Call::get(Api::Cloudflare, &path)
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
        let path = ["zones", account(&id.place), "dns_records", &id.id];
        let call = Call::new(Api::Cloudflare, Method::PATCH, &path);
        Ok(MarkRemoval::Request(
            call.json(&json!({ "comment": before })),
        ))
    }
}

/// Record types that say where a name leads.
const LEADS: [&str; 3] = ["A", "AAAA", "CNAME"];

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
    fn a_host_of_a_worker_may_be_that_of_one_of_its_versions() {
        let workers = |host: &str| workers_at(host).collect::<Vec<_>>();
        assert_eq!(workers("app.acme.workers.dev"), ["app"]);
        assert_eq!(
            workers("b1-app-pr-7.acme.workers.dev"),
            ["b1-app-pr-7", "app-pr-7", "pr-7", "7"]
        );
        assert!(workers("acme.workers.dev").is_empty());
        assert!(workers("app.acme.example").is_empty());
    }

    #[test]
    fn a_host_of_a_tunnel_has_its_id() {
        let id = "c1744f8b-faa1-48a4-9e5c-02ac921467fa";
        assert_eq!(tunnel_at(&format!("{id}.cfargotunnel.com")), Some(id));
        for host in ["cfargotunnel.com", "a.b.cfargotunnel.com", "a.example.com"] {
            assert_eq!(tunnel_at(host), None, "{host}");
        }
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
