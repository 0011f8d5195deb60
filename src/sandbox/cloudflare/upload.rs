//! Uploads: forms with metadata and modules, and the versions they make.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::executor::block_on;
use futures::stream;
use http::header;
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, ok, text, texts};
use super::binding::Binding;
use super::containers::Owner;
use super::identity::{stable, uuid};
use super::worker::{Version, Worker};
use crate::sandbox::message::Request;

/// The parts of a form, by name.
#[derive(Debug, Default)]
pub(super) struct UploadForm {
    pub(super) parts: BTreeMap<String, Bytes>,
}

/// Reads a form; `None` when the body is not one.
pub(super) fn read(request: &Request) -> Result<Option<UploadForm>, ApiFailure> {
    let Some(boundary) = request
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| multer::parse_boundary(kind).ok())
    else {
        return Ok(None);
    };
    let body = request.body.clone();
    let whole = stream::once(async move { Ok::<Bytes, Infallible>(body) });
    let mut multipart = multer::Multipart::new(whole, boundary);
    let parts = block_on(async {
        let mut parts = BTreeMap::new();
        while let Some(field) = multipart.next_field().await? {
            let name = field
                .name()
                .or(field.file_name())
                .unwrap_or_default()
                .to_owned();
            parts.insert(name, field.bytes().await?);
        }
        Ok::<_, multer::Error>(parts)
    });
    match parts {
        Ok(parts) => Ok(Some(UploadForm { parts })),
        Err(error) => Err(ApiFailure::bad(
            10001,
            format!("Unable to parse multipart body: {error}."),
        )),
    }
}

/// The object in the named part of a form, or in a body that is JSON itself.
pub(super) fn metadata(request: &Request, part: &str) -> Result<Map<String, Value>, ApiFailure> {
    let bad = || ApiFailure::bad(10002, format!("Could not parse the part `{part}` as JSON."));
    let json = match read(request)? {
        Some(form) => match form.parts.get(part) {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|_| bad())?,
            None => return Err(bad()),
        },
        None => request.json().unwrap_or_else(|_| json!({})),
    };
    match json {
        Value::Object(object) => Ok(object),
        _ => Err(bad()),
    }
}

/// Who deploys, from what it says of itself.
fn source(request: &Request) -> &'static str {
    let agent = request
        .headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    if agent.contains("wrangler") {
        "wrangler"
    } else if agent.contains("terraform") {
        "terraform"
    } else {
        "api"
    }
}

/// Fields that belong to the script and not to one of its versions.
const SCRIPT_FIELDS: [&str; 4] = ["logpush", "observability", "tail_consumers", "placement"];

impl Cloudflare {
    /// `PUT …/scripts/{name}`: uploads and deploys at once.
    pub(super) fn put_script(&mut self, name: &str, request: &Request) -> Answer {
        let metadata = metadata(request, "metadata")?;
        let version = self.read_version(name, &metadata, request)?;
        let now = request.now;
        if !self.workers.contains_key(name) {
            let tag = self.register.assign("worker", name);
            self.workers
                .insert(name.to_owned(), Worker::bare(tag, Some(now)));
        }
        self.migrate(name, &metadata);
        let Some(worker) = self.workers.get_mut(name) else {
            return Err(ApiFailure::bad(10002, "workers.api.error.internal_server"));
        };
        worker.implied = false;
        worker.take_script_fields(&metadata);
        worker.push(version.clone(), now);
        worker.deploy(&version, version.annotations.clone());
        let mut shown = worker.classic(name);
        shown["startup_time_ms"] = json!(10);
        shown["deployment_id"] = json!(version.id.replace('-', ""));
        shown["pipeline_hash"] = json!(version.etag);
        shown["entry_point"] = metadata
            .get("main_module")
            .or(metadata.get("body_part"))
            .cloned()
            .unwrap_or_else(|| json!("index.js"));
        Ok(ok(shown))
    }

    /// `POST …/scripts/{name}/versions`: uploads without deploying.
    pub(super) fn post_version(&mut self, name: &str, request: &Request) -> Answer {
        let metadata = metadata(request, "metadata")?;
        let version = self.read_version(name, &metadata, request)?;
        self.migrate(name, &metadata);
        let Some(worker) = self.workers.get_mut(name) else {
            return Err(super::scripts::missing());
        };
        worker.push(version.clone(), request.now);
        Ok(ok(version.detail()))
    }

    fn read_version(
        &self,
        name: &str,
        metadata: &Map<String, Value>,
        request: &Request,
    ) -> Result<Version, ApiFailure> {
        let known = self.workers.get(name);
        let number = known.map_or(0, |worker| worker.versions.len()) + 1;
        let before = known.map_or(&[][..], Worker::bindings);
        let bindings = self.read_bindings(name, metadata, before)?;
        let mut runtime = Map::new();
        for field in ["compatibility_date", "compatibility_flags", "usage_model"] {
            if let Some(value) = metadata.get(field).filter(|value| !value.is_null()) {
                runtime.insert(field.to_owned(), value.clone());
            }
        }
        if let Some(tag) = metadata
            .get("migrations")
            .and_then(|migrations| migrations["new_tag"].as_str())
        {
            runtime.insert("migration_tag".to_owned(), json!(tag));
        } else if let Some(tag) = known
            .and_then(|worker| worker.versions.last())
            .and_then(|version| version.runtime.get("migration_tag"))
        {
            runtime.insert("migration_tag".to_owned(), tag.clone());
        }
        let time = request.now.timestamp_micros().to_string();
        Ok(Version {
            id: uuid(&stable(&["version", name, &number.to_string(), &time])),
            number,
            created: Some(request.now),
            bindings,
            handlers: vec!["fetch".to_owned()],
            runtime,
            annotations: annotations(metadata),
            has_assets: metadata
                .get("assets")
                .is_some_and(|assets| !assets.is_null()),
            has_modules: metadata.contains_key("main_module"),
            source: source(request),
            etag: stable(&["etag", &String::from_utf8_lossy(&request.body), &time]),
        })
    }

    fn read_bindings(
        &self,
        name: &str,
        metadata: &Map<String, Value>,
        before: &[Binding],
    ) -> Result<Vec<Binding>, ApiFailure> {
        let mut bindings: Vec<Binding> = Vec::new();
        let given = metadata.get("bindings").and_then(Value::as_array);
        for item in given.into_iter().flatten() {
            let Some(binding) = Binding::from_api(item) else {
                return Err(ApiFailure::bad(10021, "A binding needs a name and a type."));
            };
            if binding.kind == "inherit" {
                let old = item["old_name"].as_str().unwrap_or(&binding.name);
                match before.iter().find(|known| known.name == old) {
                    Some(known) => {
                        let mut known = known.clone();
                        known.name = binding.name;
                        bindings.push(known);
                    }
                    None => {
                        return Err(ApiFailure::bad(
                            10057,
                            format!("Cannot inherit the binding '{old}': there is none."),
                        ));
                    }
                }
            } else {
                self.check_binding(name, &binding)?;
                bindings.push(binding);
            }
        }
        let kept = texts(metadata, "keep_bindings");
        for known in before {
            if kept.contains(&known.kind) && bindings.iter().all(|new| new.name != known.name) {
                bindings.push(known.clone());
            }
        }
        Ok(bindings)
    }

    /// Targets of bindings must exist.
    fn check_binding(&self, name: &str, binding: &Binding) -> Result<(), ApiFailure> {
        let shown = binding.api();
        let field = |field: &str| shown[field].as_str().unwrap_or_default();
        let refuse = |code: u32, message: String| Err(ApiFailure::bad(code, message));
        match binding.kind.as_str() {
            "kv_namespace" if !self.namespaces.contains_key(field("namespace_id")) => refuse(
                10041,
                format!("KV namespace '{}' not found.", field("namespace_id")),
            ),
            "d1" if !self.databases.contains_key(field("id")) => refuse(
                10181,
                format!(
                    "D1 binding '{}' references a database that was not found.",
                    binding.name
                ),
            ),
            "r2_bucket" if !self.buckets.contains_key(field("bucket_name")) => refuse(
                10085,
                format!("R2 bucket '{}' not found.", field("bucket_name")),
            ),
            "queue"
                if self
                    .queues
                    .values()
                    .all(|queue| queue.name != field("queue_name")) =>
            {
                refuse(
                    11000,
                    format!("Queue '{}' does not exist.", field("queue_name")),
                )
            }
            "service"
                if field("service") != name && !self.workers.contains_key(field("service")) =>
            {
                refuse(
                    10143,
                    format!(
                        "Service binding '{}' references Worker '{}' which was not found.",
                        binding.name,
                        field("service")
                    ),
                )
            }
            _ => Ok(()),
        }
    }

    /// Makes and removes the Durable Object namespaces of an upload.
    fn migrate(&mut self, name: &str, metadata: &Map<String, Value>) {
        let Some(migrations) = metadata.get("migrations") else {
            return;
        };
        let steps = migrations["steps"].as_array().cloned();
        for step in steps.unwrap_or_else(|| vec![migrations.clone()]) {
            let Some(step) = step.as_object() else {
                continue;
            };
            let made = [("new_classes", false), ("new_sqlite_classes", true)];
            for (field, sqlite) in made {
                for class in texts(step, field) {
                    let label = format!("{name}_{class}");
                    self.namespaces_of_objects.push(json!({
                        "id": self.register.assign("durable_object_namespace", &label),
                        "name": label,
                        "script": name,
                        "class": class,
                        "use_sqlite": sqlite,
                    }));
                }
            }
            let gone = texts(step, "deleted_classes");
            self.namespaces_of_objects.retain(|known| {
                !Owner::Worker(name).has(known)
                    || !gone.iter().any(|class| known["class"] == json!(class))
            });
        }
    }
}

/// The annotations of an upload.
pub(super) fn annotations(metadata: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = Map::new();
    if let Some(Value::Object(given)) = metadata.get("annotations") {
        for (name, value) in given {
            if let Some(value) = value.as_str() {
                shown.insert(name.clone(), json!(value));
            }
        }
    }
    shown
}

impl Worker {
    /// Makes a version the latest.
    pub(super) fn push(&mut self, version: Version, now: DateTime<Utc>) {
        self.etag.clone_from(&version.etag);
        self.modified = Some(now);
        self.last_deployed_from = Some(version.source.to_owned());
        self.versions.push(version);
    }

    /// Takes over the fields of an upload or a patch that belong to the
    /// script.
    pub(super) fn take_script_fields(&mut self, given: &Map<String, Value>) {
        for field in SCRIPT_FIELDS {
            if let Some(value) = given.get(field) {
                self.settings.insert(field.to_owned(), value.clone());
            }
        }
        if given.contains_key("tags") {
            self.tags = texts(given, "tags");
        }
    }

    /// Makes a version out of the latest one with other bindings.
    pub(super) fn rebind(&mut self, bindings: Vec<Binding>, now: DateTime<Utc>) {
        let number = self.versions.len() + 1;
        let Some(mut version) = self.versions.last().cloned() else {
            return;
        };
        let time = now.timestamp_micros().to_string();
        version.id = uuid(&stable(&["version", &self.tag, &number.to_string(), &time]));
        version.number = number;
        version.created = Some(now);
        version.bindings = bindings;
        version.annotations = Map::new();
        self.push(version.clone(), now);
        self.deploy(&version, Map::new());
    }
}

/// A text of a body that must be there.
pub(super) fn required<'a>(
    body: &'a Map<String, Value>,
    field: &str,
) -> Result<&'a str, ApiFailure> {
    text(body, field)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| ApiFailure::bad(10003, format!("{field} is required")))
}
