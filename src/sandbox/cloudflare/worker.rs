//! A Worker: its state, and how the different APIs draw it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{put, text, texts};
use super::binding::Binding;
use super::identity::{moment, stable, uuid};
use crate::sandbox::face::Refusal;
use crate::sandbox::world::Resource;

/// One Worker.
#[derive(Debug)]
pub(super) struct Worker {
    /// The immutable id.
    pub(super) tag: String,
    /// The hash of the content last uploaded.
    pub(super) etag: String,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) modified: Option<DateTime<Utc>>,
    pub(super) deployed: Option<DateTime<Utc>>,
    pub(super) tags: Vec<String>,
    pub(super) last_deployed_from: Option<String>,
    /// `logpush`, `observability`, `tail_consumers`, `placement`, `limits`:
    /// what belongs to the script and not to a version.
    pub(super) settings: Map<String, Value>,
    /// Oldest first.
    pub(super) versions: Vec<Version>,
    /// Oldest first.
    pub(super) deployments: Vec<Deployment>,
    pub(super) subdomain: bool,
    pub(super) previews: bool,
    pub(super) schedules: Vec<Value>,
    /// Made only because a Preview needs a parent: no script of its own.
    pub(super) implied: bool,
    /// What else the world said.
    pub(super) attributes: Map<String, Value>,
}

/// One uploaded version of a Worker.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) number: usize,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) bindings: Vec<Binding>,
    pub(super) handlers: Vec<String>,
    /// `compatibility_date`, `compatibility_flags`, `usage_model`, `migration_tag`.
    pub(super) runtime: Map<String, Value>,
    pub(super) annotations: Map<String, Value>,
    pub(super) has_assets: bool,
    pub(super) has_modules: bool,
    pub(super) source: &'static str,
    pub(super) etag: String,
}

/// One deployment of versions.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) versions: Value,
    pub(super) annotations: Map<String, Value>,
    pub(super) source: &'static str,
}

/// The author of everything in the stand-in.
pub(super) const AUTHOR: &str = "dev@example.com";

impl Worker {
    /// A Worker without versions.
    pub(super) fn bare(tag: String, now: Option<DateTime<Utc>>) -> Self {
        Self {
            etag: stable(&["etag", &tag]),
            tag,
            created: now,
            modified: now,
            deployed: None,
            tags: Vec::new(),
            last_deployed_from: None,
            settings: Map::new(),
            versions: Vec::new(),
            deployments: Vec::new(),
            subdomain: false,
            previews: false,
            schedules: Vec::new(),
            implied: false,
            attributes: Map::new(),
        }
    }

    /// The bindings of the latest version.
    pub(super) fn bindings(&self) -> &[Binding] {
        self.versions
            .last()
            .map_or(&[], |version| version.bindings.as_slice())
    }

    /// Whether it binds a thing by name.
    pub(super) fn binds(&self, kind: &str, name: &str) -> bool {
        self.bindings()
            .iter()
            .any(|binding| binding.points_at(kind, name))
    }

    /// Deploys a version for all traffic.
    pub(super) fn deploy(&mut self, version: &Version, annotations: Map<String, Value>) {
        let number = self.deployments.len().to_string();
        self.deployments.push(Deployment {
            id: uuid(&stable(&["deployment", &version.id, &number])),
            created: version.created,
            versions: json!([{ "version_id": version.id, "percentage": 100 }]),
            annotations,
            source: version.source,
        });
        self.deployed = version.created;
    }

    /// The script as the classic API lists it; `name` is its id there.
    pub(super) fn classic(&self, name: &str) -> Value {
        let mut shown = json!({
            "id": name,
            "tag": self.tag,
            "etag": self.etag,
            "tags": self.tags,
            "logpush": false,
            "usage_model": "standard",
            "tail_consumers": null,
        });
        put(&mut shown, "created_on", self.created.map(moment));
        put(&mut shown, "modified_on", self.modified.map(moment));
        put(
            &mut shown,
            "last_deployed_from",
            self.last_deployed_from.clone(),
        );
        if let Some(version) = self.versions.last() {
            shown["handlers"] = json!(version.handlers);
            shown["has_assets"] = json!(version.has_assets);
            shown["has_modules"] = json!(version.has_modules);
            for (field, value) in &version.runtime {
                shown[field] = value.clone();
            }
        }
        for field in ["logpush", "observability", "tail_consumers", "placement"] {
            if let Some(value) = self.settings.get(field).filter(|value| !value.is_null()) {
                shown[field] = value.clone();
            }
        }
        shown
    }

    /// The service as `/workers/services/{name}` describes it.
    pub(super) fn service(&self, name: &str) -> Value {
        let mut environment = json!({
            "environment": "production",
            "script_tag": self.tag,
            "script": self.classic(name),
        });
        put(&mut environment, "created_on", self.created.map(moment));
        put(&mut environment, "modified_on", self.modified.map(moment));
        let mut shown = json!({
            "id": name,
            "default_environment": environment,
            "environments": [environment],
        });
        put(&mut shown, "created_on", self.created.map(moment));
        put(&mut shown, "modified_on", self.modified.map(moment));
        shown
    }

    /// What `GET …/settings` shows: the latest version with the script's own.
    pub(super) fn all_settings(&self) -> Value {
        let mut shown = json!({
            "bindings": self.bindings().iter().map(Binding::api).collect::<Vec<_>>(),
            "compatibility_flags": [],
            "usage_model": "standard",
            "tags": self.tags,
            "tail_consumers": null,
            "logpush": false,
        });
        if let Some(version) = self.versions.last() {
            for (field, value) in &version.runtime {
                if field != "migration_tag" {
                    shown[field] = value.clone();
                }
            }
            if !version.annotations.is_empty() {
                shown["annotations"] = Value::Object(version.annotations.clone());
            }
        }
        for (field, value) in &self.settings {
            shown[field] = value.clone();
        }
        shown
    }

    /// What `GET …/script-settings` shows.
    pub(super) fn script_settings(&self) -> Value {
        let mut shown = json!({
            "logpush": false,
            "observability": null,
            "tags": self.tags,
            "tail_consumers": null,
        });
        for field in ["logpush", "observability", "tail_consumers"] {
            if let Some(value) = self.settings.get(field) {
                shown[field] = value.clone();
            }
        }
        shown
    }
}

impl Version {
    /// The version in a list.
    pub(super) fn summary(&self) -> Value {
        let mut metadata = json!({
            "author_email": AUTHOR,
            "author_id": stable(&["author"]),
            "hasPreview": false,
            "source": self.source,
        });
        put(&mut metadata, "created_on", self.created.map(moment));
        put(&mut metadata, "modified_on", self.created.map(moment));
        let mut shown = json!({ "id": self.id, "number": self.number, "metadata": metadata });
        if !self.annotations.is_empty() {
            shown["annotations"] = Value::Object(self.annotations.clone());
        }
        shown
    }

    /// The version with all it consists of.
    pub(super) fn detail(&self) -> Value {
        let mut shown = self.summary();
        let mut runtime = self.runtime.clone();
        runtime
            .entry("usage_model")
            .or_insert_with(|| json!("standard"));
        shown["resources"] = json!({
            "bindings": self.bindings.iter().map(Binding::api).collect::<Vec<_>>(),
            "script": {
                "etag": self.etag,
                "handlers": self.handlers,
                "last_deployed_from": self.source,
            },
            "script_runtime": runtime,
        });
        shown["startup_time_ms"] = json!(10);
        shown
    }
}

impl Deployment {
    /// The deployment in a list.
    pub(super) fn draw(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "source": self.source,
            "strategy": "percentage",
            "author_email": AUTHOR,
            "versions": self.versions,
            "annotations": self.annotations,
        });
        put(&mut shown, "created_on", self.created.map(moment));
        shown
    }
}

/// The attributes of a Worker that have a place of their own.
const KNOWN: [&str; 6] = [
    "bindings",
    "custom_domains",
    "tags",
    "handlers",
    "has_assets",
    "last_deployed_from",
];

impl Cloudflare {
    /// Makes a Worker, its custom domains and their records.
    pub(super) fn add_worker(
        &mut self,
        resource: &Resource,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let name = &resource.name;
        if self.workers.get(name).is_some_and(|known| !known.implied) {
            return Err(Refusal(format!("a worker {name} exists already")));
        }
        let said = &resource.attributes;
        let bindings = match said.get("bindings") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .map(Binding::from_world)
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(Refusal(format!("worker {name}: bindings are not a list"))),
        };
        let implied = self.workers.remove(name);
        let tag = match (&resource.id, implied) {
            (None, Some(implied)) => implied.tag,
            (id, _) => self.register.take(id.as_deref(), "worker", name),
        };
        let mut worker = Worker::bare(tag, None);
        worker.created = resource.created_at;
        worker.modified = resource.updated_at;
        worker.tags = texts(said, "tags");
        worker.last_deployed_from = Some(
            text(said, "last_deployed_from")
                .unwrap_or("wrangler")
                .to_owned(),
        );
        worker.subdomain = true;
        worker.attributes = said
            .iter()
            .filter(|(field, _)| !KNOWN.contains(&field.as_str()))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect();
        let mut handlers = texts(said, "handlers");
        if handlers.is_empty() {
            handlers.push("fetch".to_owned());
        }
        let mut runtime = Map::new();
        for field in ["compatibility_date", "migration_tag"] {
            if let Some(value) = said.get(field).filter(|value| value.is_string()) {
                runtime.insert(field.to_owned(), value.clone());
            }
        }
        let version = Version {
            id: uuid(&stable(&["version", &worker.tag, "1"])),
            number: 1,
            created: resource.updated_at.or(resource.created_at),
            bindings,
            handlers,
            runtime,
            annotations: Map::new(),
            has_assets: said.get("has_assets").and_then(Value::as_bool) == Some(true),
            has_modules: true,
            source: "wrangler",
            etag: worker.etag.clone(),
        };
        worker.deploy(&version, Map::new());
        worker.versions.push(version);
        self.workers.insert(name.clone(), worker);
        for hostname in texts(said, "custom_domains") {
            self.make_domain(&hostname, name, None, resource.created_at.unwrap_or(now));
        }
        Ok(())
    }

    /// The Workers in world format.
    pub(super) fn worker_resources(&self) -> Vec<Resource> {
        let names = self.names_of_targets();
        let mut domains: HashMap<&str, Vec<&str>> = HashMap::new();
        for domain in self.domains.values() {
            domains
                .entry(&domain.service)
                .or_default()
                .push(&domain.hostname);
        }
        self.workers
            .iter()
            .filter(|(_, worker)| !worker.implied)
            .map(|(name, worker)| {
                let mut attributes = worker.attributes.clone();
                let bindings: Vec<Value> = worker
                    .bindings()
                    .iter()
                    .map(|binding| binding.world(&names))
                    .collect();
                attributes.insert("bindings".to_owned(), json!(bindings));
                let hostnames = domains.get(name.as_str()).cloned().unwrap_or_default();
                attributes.insert("custom_domains".to_owned(), json!(hostnames));
                if !worker.tags.is_empty() {
                    attributes.insert("tags".to_owned(), json!(worker.tags));
                }
                if let Some(version) = worker.versions.last() {
                    if version.handlers != ["fetch"] {
                        attributes.insert("handlers".to_owned(), json!(version.handlers));
                    }
                    if version.has_assets {
                        attributes.insert("has_assets".to_owned(), json!(true));
                    }
                }
                Resource {
                    kind: "worker".to_owned(),
                    name: name.clone(),
                    id: Some(worker.tag.clone()),
                    created_at: worker.created,
                    updated_at: worker.modified,
                    attributes,
                }
            })
            .collect()
    }

    /// Takes a Worker away with what goes with it: its Previews, its custom
    /// domains and their records, its place as a producer.
    pub(super) fn remove_worker(&mut self, name: &str) {
        let Some(worker) = self.workers.remove(name) else {
            return;
        };
        let hostnames: Vec<String> = self
            .domains
            .values()
            .filter(|domain| domain.service == name)
            .map(|domain| domain.hostname.clone())
            .collect();
        for hostname in hostnames {
            self.remove_domain(&hostname);
        }
        self.previews.retain(|_, preview| preview.worker != name);
        for queue in self.queues.values_mut() {
            queue.producers.retain(|producer| producer != name);
        }
        self.namespaces_of_objects
            .retain(|namespace| namespace["script"] != json!(name));
        drop(worker);
    }
}
