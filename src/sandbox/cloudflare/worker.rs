//! A Worker: its state, and how the different APIs show it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::answer::put;
use super::binding::Binding;
use super::identity::{moment, stable, uuid};

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
    /// Bindings of new Previews, if set.
    pub(super) previews_base: Option<Vec<Binding>>,
    /// Created only as the parent of a Preview, without a script.
    pub(super) implied: bool,
    /// Further attributes from the world.
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

/// The author of everything in the sandbox.
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
            previews_base: None,
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

    /// Returns whether it binds a target with this name.
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

    /// Returns the answer to `GET …/settings`: the settings of the latest
    /// version and of the script.
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

    /// Returns the answer to `GET …/script-settings`.
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
    pub(super) fn to_json(&self) -> Value {
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
