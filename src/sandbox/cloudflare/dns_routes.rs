//! Endpoints for DNS records, single and in batches.

use chrono::{DateTime, Utc};
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use super::answer::{Answer, ApiFailure, Paging, directed, object, ok, text};
use super::dns::{FIELDS, Record};
use super::{Cloudflare, dns_filter, domain_name, within};
use crate::sandbox::message::{Request, Response};

/// The spec allows pages of millions; more than this never worked.
const RECORDS: Paging = Paging::new(100, 1, 5_000).clamped();

/// Operations in one batch, on the free plan.
const BATCH: usize = 200;

/// Records in one zone, on the free plan.
const QUOTA: usize = 200;

fn missing() -> ApiFailure {
    ApiFailure::not_found(81044, "Record does not exist.")
}

fn read_only() -> ApiFailure {
    ApiFailure::bad(
        1043,
        "This record is managed by Workers and cannot be edited or deleted as a DNS record.",
    )
}

impl Cloudflare {
    fn draw_record(&self, id: &str, record: &Record) -> Value {
        let worker = self
            .domains
            .get(record.name())
            .and_then(|domain| self.workers.get(&domain.service))
            .map(|worker| worker.tag.as_str());
        record.to_json(id, worker)
    }

    pub(super) fn dns(
        &mut self,
        method: &str,
        zone: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        let now = request.now;
        match (method, path) {
            ("GET", []) => {
                let mut found: Vec<(&String, &Record)> = self
                    .records
                    .iter()
                    .filter(|(_, record)| record.zone == zone)
                    .filter(|(_, record)| dns_filter::passes(record, request))
                    .collect();
                dns_filter::sort(&mut found, request)?;
                directed(request, "direction", "asc", &mut found);
                RECORDS.answer(request, &found, |(id, record)| self.draw_record(id, record))
            }
            ("POST", []) => {
                let body = object(request, 9207)?;
                self.create_record(zone, &body, now).map(ok)
            }
            ("GET", ["usage"]) => {
                let used = self
                    .records
                    .values()
                    .filter(|record| record.zone == zone)
                    .count();
                Ok(ok(
                    json!({ "record_usage": used, "record_quota": QUOTA.max(used) }),
                ))
            }
            ("GET", ["export"]) => Ok(self.export(zone)),
            ("POST", ["batch"]) => self.batch(zone, request),
            ("GET", [id]) => {
                let record = self.record(zone, id)?;
                Ok(ok(self.draw_record(id, record)))
            }
            ("PUT" | "PATCH", [id]) => {
                let body = object(request, 9207)?;
                self.write_record(zone, id, &body, method == "PUT", now)
                    .map(ok)
            }
            ("DELETE", [id]) => {
                self.delete_record(zone, id)?;
                Ok(ok(json!({ "id": id })))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    /// The zone as a file of BIND.
    fn export(&self, zone: &str) -> Response {
        let records = self.records.values().filter(|record| record.zone == zone);
        let lines: String = records.map(Record::zone_line).collect();
        let mut response = Response::new(format!("$ORIGIN {zone}.\n{lines}").into());
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        response
    }

    fn record(&self, zone: &str, id: &str) -> Result<&Record, ApiFailure> {
        self.records
            .get(id)
            .filter(|record| record.zone == zone)
            .ok_or_else(missing)
    }

    fn delete_record(&mut self, zone: &str, id: &str) -> Result<Value, ApiFailure> {
        let record = self.record(zone, id)?;
        if record.managed {
            return Err(read_only());
        }
        let shown = record.to_json(id, None);
        self.records.remove(id);
        Ok(shown)
    }

    fn create_record(
        &mut self,
        zone: &str,
        body: &Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Result<Value, ApiFailure> {
        let record = Record::new(zone, written(zone, body)?, now);
        self.check_free(None, &record)?;
        let id = self.register.assign(
            "dns_record",
            &format!(
                "{} {} {}",
                record.name(),
                record.kind(),
                record.text("content").unwrap_or_default()
            ),
        );
        let shown = record.to_json(&id, None);
        self.records.insert(id, record);
        Ok(shown)
    }

    fn write_record(
        &mut self,
        zone: &str,
        id: &str,
        body: &Map<String, Value>,
        whole: bool,
        now: DateTime<Utc>,
    ) -> Result<Value, ApiFailure> {
        let old = self.record(zone, id)?;
        if old.managed {
            return Err(read_only());
        }
        let mut fields = if whole { Map::new() } else { old.body.clone() };
        for (field, value) in body {
            fields.insert(field.clone(), value.clone());
        }
        let mut record = old.clone();
        record.body = written(zone, &fields)?;
        record.modified = Some(now);
        self.check_free(Some(id), &record)?;
        let shown = record.to_json(id, None);
        self.records.insert(id.to_owned(), record);
        Ok(shown)
    }

    fn check_free(&self, but: Option<&str>, record: &Record) -> Result<(), ApiFailure> {
        let others = self
            .records
            .iter()
            .filter(|(id, _)| Some(id.as_str()) != but)
            .map(|(_, other)| other)
            .filter(|other| other.zone == record.zone && other.name() == record.name());
        for other in others {
            if other.same(record) {
                return Err(ApiFailure::bad(81057, "The record already exists."));
            }
            if other.is_address()
                && record.is_address()
                && (other.kind() == "CNAME" || record.kind() == "CNAME")
            {
                return Err(ApiFailure::bad(
                    81053,
                    "An A, AAAA, or CNAME record with that host already exists.",
                ));
            }
        }
        Ok(())
    }

    /// Deletes, patches, puts and posts, all or none.
    fn batch(&mut self, zone: &str, request: &Request) -> Answer {
        let body = object(request, 9207)?;
        let list = |name: &str| match body.get(name) {
            Some(Value::Array(items)) => items.clone(),
            _ => Vec::new(),
        };
        let lists = ["deletes", "patches", "puts", "posts"].map(|name| (name, list(name)));
        let count: usize = lists.iter().map(|(_, items)| items.len()).sum();
        if count > BATCH {
            return Err(ApiFailure::bad(
                81086,
                format!("A batch holds at most {BATCH} operations, not {count}."),
            ));
        }
        let mut undo: Vec<(String, Option<Record>)> = Vec::new();
        let mut result = Map::new();
        for (name, items) in &lists {
            let mut done = Vec::new();
            for item in items {
                match self.operate(zone, name, item, request.now, &mut undo) {
                    Ok(shown) => done.push(shown),
                    Err(failure) => {
                        for (id, old) in undo.into_iter().rev() {
                            match old {
                                Some(record) => self.records.insert(id, record),
                                None => self.records.remove(&id),
                            };
                        }
                        return Err(failure);
                    }
                }
            }
            result.insert((*name).to_owned(), Value::Array(done));
        }
        Ok(ok(Value::Object(result)))
    }

    fn operate(
        &mut self,
        zone: &str,
        operation: &str,
        item: &Value,
        now: DateTime<Utc>,
        undo: &mut Vec<(String, Option<Record>)>,
    ) -> Result<Value, ApiFailure> {
        let Some(body) = item.as_object() else {
            return Err(ApiFailure::bad(9207, "An operation must be an object."));
        };
        let id = text(body, "id").unwrap_or_default();
        let old = self.records.get(id).cloned();
        let shown = match operation {
            "deletes" => self.delete_record(zone, id)?,
            "posts" => self.create_record(zone, body, now)?,
            _ => self.write_record(zone, id, body, operation == "puts", now)?,
        };
        let id = shown["id"].as_str().unwrap_or(id).to_owned();
        undo.push((id, if operation == "posts" { None } else { old }));
        Ok(shown)
    }
}

/// The body of a record as a client wrote it, checked and in normal form.
fn written(zone: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, ApiFailure> {
    let mut fields: Map<String, Value> = body
        .iter()
        .filter(|(field, value)| FIELDS.contains(&field.as_str()) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    let Some(kind) = text(body, "type").map(str::to_ascii_uppercase) else {
        return Err(ApiFailure::bad(9004, "A record needs a type."));
    };
    let Some(name) = text(body, "name").filter(|name| !name.is_empty()) else {
        return Err(ApiFailure::bad(9000, "DNS name is invalid."));
    };
    let mut name = domain_name(name);
    if name == "@" {
        zone.clone_into(&mut name);
    } else if !within(&name, zone) {
        name = format!("{name}.{zone}");
    }
    if let Some(content) = text(body, "content") {
        let dotless = match kind.as_str() {
            "CNAME" | "MX" | "NS" | "PTR" => content.trim_end_matches('.'),
            _ => content,
        };
        let fits = match kind.as_str() {
            "A" => dotless.parse::<std::net::Ipv4Addr>().is_ok(),
            "AAAA" => dotless.parse::<std::net::Ipv6Addr>().is_ok(),
            _ => !dotless.is_empty(),
        };
        if !fits {
            return Err(ApiFailure::bad(
                9005,
                format!("Content for {kind} record is invalid."),
            ));
        }
        fields.insert("content".to_owned(), json!(dotless));
    } else if !body.contains_key("data") {
        return Err(ApiFailure::bad(9003, "A record needs content or data."));
    }
    fields.insert("name".to_owned(), json!(name));
    fields.insert("type".to_owned(), json!(kind));
    fields.entry("ttl").or_insert_with(|| json!(1));
    Ok(fields)
}
