//! DNS records in the world's form and in the API's form.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::answer::{Answer, text, texts};
use super::identity::{moment, stable};
use super::product::Product;
use super::{Cloudflare, domain_name};
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The zone's name.
    pub(super) zone: String,
    /// Fields that a client can write: `name`, `type`, `content`, `ttl`, …
    pub(super) body: Map<String, Value>,
    /// Created by a Worker's custom domain, and read-only for clients.
    pub(super) managed: bool,
    /// Created with its domain, and not yet defined by a world.
    made: bool,
    created: Option<DateTime<Utc>>,
    pub(super) modified: Option<DateTime<Utc>>,
    attributes: Map<String, Value>,
}

/// The fields of a record that a client can write.
pub(super) const FIELDS: [&str; 11] = [
    "name",
    "type",
    "content",
    "ttl",
    "proxied",
    "comment",
    "tags",
    "settings",
    "priority",
    "data",
    "private_routing",
];

/// The priority of a record for which neither a world nor a client sets one.
const PRIORITY: u16 = 10;

impl Record {
    /// A record that a client makes.
    pub(super) fn new(zone: &str, body: Map<String, Value>, now: DateTime<Utc>) -> Self {
        Self {
            zone: zone.to_owned(),
            body,
            managed: false,
            made: false,
            created: Some(now),
            modified: Some(now),
            attributes: Map::new(),
        }
    }

    /// The managed record of a Worker's custom domain.
    pub(super) fn of_custom_domain(hostname: &str, zone: String, time: DateTime<Utc>) -> Self {
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(hostname));
        body.insert("type".to_owned(), json!("AAAA"));
        body.insert("content".to_owned(), json!("100::"));
        body.insert("proxied".to_owned(), json!(true));
        Self {
            zone,
            body,
            managed: true,
            made: true,
            created: Some(time),
            modified: Some(time),
            attributes: Map::new(),
        }
    }

    /// A text field.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        text(&self.body, field)
    }

    pub(super) fn name(&self) -> &str {
        self.text("name").unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    pub(super) fn proxied(&self) -> bool {
        self.body.get("proxied").and_then(Value::as_bool) == Some(true)
    }

    pub(super) fn ttl(&self) -> u64 {
        self.body.get("ttl").and_then(Value::as_u64).unwrap_or(1)
    }

    pub(super) fn tags(&self) -> Vec<String> {
        texts(&self.body, "tags")
    }

    /// The record as a line of a zone file.
    pub(super) fn zone_line(&self) -> String {
        let priority = self.body.get("priority").and_then(Value::as_u64);
        let priority = priority.unwrap_or(PRIORITY.into());
        let content = self.text("content").unwrap_or_default();
        let data = match self.kind() {
            "CNAME" | "NS" | "PTR" => format!("{content}."),
            "MX" => format!("{priority} {content}."),
            "TXT" => format!("\"{}\"", content.trim_matches('"')),
            _ => content.to_owned(),
        };
        format!(
            "{}.\t{}\tIN\t{}\t{data} ; cf_tags=cf-proxied:{}\n",
            self.name(),
            self.ttl(),
            self.kind(),
            self.proxied()
        )
    }

    /// Returns whether it was created with its domain and is not yet defined by
    /// a world.
    pub(super) fn is_made(&self) -> bool {
        self.made
    }

    /// Returns whether a custom domain on this host created it.
    pub(super) fn goes_with(&self, host: &str) -> bool {
        self.managed && self.name() == host
    }

    /// Returns whether it conflicts with a custom domain on this host.
    pub(super) fn blocks(&self, host: &str) -> bool {
        !self.managed && self.is_address() && self.name() == host
    }

    pub(super) fn is_address(&self) -> bool {
        matches!(self.kind(), "A" | "AAAA" | "CNAME")
    }

    /// Returns whether the provider treats two records as identical.
    pub(super) fn same(&self, other: &Self) -> bool {
        let field = |name: &str| (self.body.get(name), other.body.get(name));
        let (left, right) = field("content");
        let (left_data, right_data) = field("data");
        self.zone == other.zone
            && self.name() == other.name()
            && self.kind() == other.kind()
            && left == right
            && left_data == right_data
    }

    /// The record in answers; `worker` is the id of the one that manages it.
    pub(super) fn to_json(&self, id: &str, worker: Option<&str>) -> Value {
        let mut shown = json!({
            "id": id,
            "proxiable": self.is_address(),
            "proxied": self.proxied(),
            "ttl": self.ttl(),
            "settings": {},
            "meta": {},
            "comment": null,
            "tags": [],
        });
        if matches!(self.kind(), "MX" | "SRV" | "URI") {
            shown["priority"] = json!(PRIORITY);
        }
        for (field, value) in &self.body {
            if !value.is_null() {
                shown[field] = value.clone();
            }
        }
        super::answer::put(&mut shown, "created_on", self.created.map(moment));
        super::answer::put(&mut shown, "modified_on", self.modified.map(moment));
        if self.managed {
            let origin = worker.map_or_else(|| stable(&["worker of", self.name()]), str::to_owned);
            shown["meta"] = json!({ "read_only": true, "origin_worker_id": origin });
        }
        shown
    }
}

/// DNS.
pub(super) struct Dns;

static KIND: WorldKind = WorldKind {
    name: "dns_record",
    attributes: &[
        "type", "content", "proxied", "comment", "managed", "ttl", "tags", "zone", "priority",
    ],
    paths: &["/dns_records"],
};

impl Product for Dns {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        let record = cloud.records.get(id);
        record.is_some_and(|record| !record.is_made())
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_record(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.record_resources()
    }

    fn route_in_zone(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        zone: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["dns_records", rest @ ..] => Some(cloud.dns(method, zone, rest, request)),
            _ => None,
        }
    }
}

impl Cloudflare {
    pub(super) fn add_record(
        &mut self,
        resource: &WorldResource,
    ) -> Result<(), ImpossibleResource> {
        let attributes = &resource.attributes;
        let name = domain_name(&resource.name);
        if attributes.get("type").is_some_and(|kind| !kind.is_string()) {
            return Err(ImpossibleResource(format!(
                "dns_record {name}: type is not a text"
            )));
        }
        let zone = text(attributes, "zone").map(ToOwned::to_owned);
        let zone = self.zone_of(&name, zone.as_deref());
        let managed = attributes.get("managed").and_then(Value::as_bool) == Some(true);
        let mut body = Map::new();
        for field in FIELDS {
            if let Some(value) = attributes.get(field) {
                body.insert(field.to_owned(), value.clone());
            }
        }
        body.insert("name".to_owned(), json!(name));
        body.entry("type")
            .or_insert_with(|| json!(if managed { "AAAA" } else { "CNAME" }));
        if managed {
            body.entry("content").or_insert_with(|| json!("100::"));
        }
        let record = Record {
            zone,
            body,
            managed,
            made: false,
            created: resource.created_at,
            modified: resource.updated_at,
            attributes: attributes
                .iter()
                .filter(|(field, _)| !FIELDS.contains(&field.as_str()))
                .map(|(field, value)| (field.clone(), value.clone()))
                .collect(),
        };
        let key = format!(
            "{name} {} {}",
            record.kind(),
            record.text("content").unwrap_or_default()
        );
        if managed {
            // The domain created this record before the world defined it.
            let made = self
                .managed
                .get(&name)
                .filter(|id| self.records.get(*id).is_some_and(Record::is_made));
            let id = match (made.cloned(), &resource.id) {
                (Some(made), None) => made,
                (made, id) => {
                    if let Some(made) = made {
                        self.records.remove(&made);
                    }
                    self.register.take(id.as_deref(), "dns_record", &key)
                }
            };
            self.managed.insert(name, id.clone());
            self.records.insert(id, record);
        } else {
            let id = self
                .register
                .take(resource.id.as_deref(), "dns_record", &key);
            self.records.insert(id, record);
        }
        Ok(())
    }

    pub(super) fn record_resources(&self) -> Vec<WorldResource> {
        self.records
            .iter()
            .map(|(id, record)| {
                let mut attributes = record.attributes.clone();
                attributes.insert("comment".to_owned(), Value::Null);
                for (field, value) in &record.body {
                    attributes.insert(field.clone(), value.clone());
                }
                attributes.remove("name");
                attributes.insert("proxied".to_owned(), json!(record.proxied()));
                attributes.insert("managed".to_owned(), json!(record.managed));
                WorldResource {
                    kind: "dns_record".to_owned(),
                    name: record.name().to_owned(),
                    id: Some(id.clone()),
                    created_at: record.created,
                    updated_at: record.modified,
                    attributes,
                }
            })
            .collect()
    }
}
