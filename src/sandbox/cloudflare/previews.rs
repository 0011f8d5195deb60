//! Worker Previews and their deployments.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{
    Answer, ApiFailure, Paging, directed, ok, ok_bare, put, tail_consumers, text, texts,
};
use super::binding::Binding;
use super::containers::Owner;
use super::domains::pointed_at;
use super::identity::{moment, stable, uuid};
use super::product::Product;
use super::upload;
use super::worker::Worker;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One Preview.
#[derive(Debug)]
pub(super) struct Preview {
    /// The name of its Worker.
    pub(super) worker: String,
    name: String,
    slug: String,
    tags: Vec<String>,
    created: Option<DateTime<Utc>>,
    updated: Option<DateTime<Utc>>,
    /// Oldest first.
    pub(super) deployments: Vec<Deployment>,
    settings: Map<String, Value>,
    attributes: Map<String, Value>,
}

#[derive(Debug)]
pub(super) struct Deployment {
    id: String,
    created: Option<DateTime<Utc>>,
    annotations: Map<String, Value>,
    pub(super) bindings: Vec<Binding>,
}

const PREVIEWS: Paging = Paging::new(10, 1, 100);

fn missing() -> ApiFailure {
    ApiFailure::not_found(10025, "This preview does not exist.")
}

fn no_deployment() -> ApiFailure {
    ApiFailure::not_found(10222, "This preview deployment does not exist.")
}

/// The slug of a Preview in its URLs.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.to_lowercase().chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

/// The annotations that a world gives: as they are, or as plain attributes.
fn annotations(attributes: &Map<String, Value>) -> Map<String, Value> {
    let mut found = upload::annotations(attributes);
    for (attribute, annotation) in [
        ("pull_request_number", "workers/pull_request_number"),
        ("pull_request", "workers/pull_request_number"),
        ("pull_request_url", "workers/pull_request_url"),
        ("repository_url", "workers/repository_url"),
        ("commit_sha", "workers/commit_sha"),
    ] {
        let value = match attributes.get(attribute) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        found.entry(annotation).or_insert_with(|| json!(value));
    }
    if let Some(Value::String(name)) = attributes.get("repository") {
        let url = format!("https://github.com/{name}");
        found
            .entry("workers/repository_url")
            .or_insert_with(|| json!(url));
    }
    found
}

/// The Workers that a world sends a Preview's logs to, as settings.
fn tails(attributes: &Map<String, Value>) -> Map<String, Value> {
    let tails = tail_consumers(attributes).into_iter();
    let tails: Vec<Value> = tails.map(|tail| json!({ "name": tail })).collect();
    Map::from_iter([("tail_consumers".to_owned(), json!(tails))])
}

/// Worker Previews.
pub(super) struct Previews;

static KIND: WorldKind = WorldKind {
    name: "worker_preview",
    attributes: &[
        "worker",
        "branch",
        "tags",
        "annotations",
        "slug",
        "pull_request_number",
        "pull_request_url",
        "repository",
        "repository_url",
        "commit_sha",
        "bindings",
        "tail_consumers",
    ],
    paths: &["/previews"],
};

impl Product for Previews {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.previews.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_preview(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.preview_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["workers", "workers", worker, "previews", rest @ ..] => {
                Some(cloud.worker_previews(method, worker, rest, request))
            }
            _ => None,
        }
    }

    fn bindings<'c>(&self, cloud: &'c mut Cloudflare) -> Vec<&'c mut Binding> {
        let previews = cloud.previews.values_mut();
        let deployments = previews.flat_map(|preview| &mut preview.deployments);
        deployments.flat_map(|one| &mut one.bindings).collect()
    }
}

impl Cloudflare {
    pub(super) fn add_preview(
        &mut self,
        resource: &WorldResource,
    ) -> Result<(), ImpossibleResource> {
        let attributes = &resource.attributes;
        let name = &resource.name;
        let Some(worker) = pointed_at(resource) else {
            return Err(ImpossibleResource(format!(
                "worker_preview {name} without a worker"
            )));
        };
        if self
            .previews
            .values()
            .any(|preview| preview.worker == worker && preview.name == *name)
        {
            return Err(ImpossibleResource::exists("a worker_preview", name));
        }
        let key = format!("{worker} {name}");
        let id = self
            .register
            .take(resource.id.as_deref(), "worker_preview", &key);
        if !self.workers.contains_key(&worker) {
            // A Worker that exists only as the parent of its Previews.
            let tag = self.register.assign("worker", &worker);
            let mut parent = Worker::bare(tag, resource.created_at);
            parent.implied = true;
            self.workers.insert(worker.clone(), parent);
        }
        let deployed = resource.updated_at.or(resource.created_at);
        let bindings = attributes.get("bindings").and_then(Value::as_array);
        let bindings: Vec<Binding> = bindings
            .into_iter()
            .flatten()
            .map(Binding::from_world)
            .collect::<Result<_, _>>()?;
        let deployments = match attributes.get("deployments") {
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(at, item)| Deployment {
                    id: item["id"].as_str().map_or_else(
                        || uuid(&stable(&["preview deployment", &id, &at.to_string()])),
                        ToOwned::to_owned,
                    ),
                    created: item["created_at"]
                        .as_str()
                        .and_then(|time| time.parse().ok())
                        .or(deployed),
                    annotations: item.as_object().map(annotations).unwrap_or_default(),
                    bindings: bindings.clone(),
                })
                .collect(),
            _ => vec![Deployment {
                id: uuid(&stable(&["preview deployment", &id, "0"])),
                created: deployed,
                annotations: annotations(attributes),
                bindings,
            }],
        };
        let preview = Preview {
            worker,
            name: name.clone(),
            slug: text(attributes, "slug").map_or_else(|| slug_of(name), ToOwned::to_owned),
            tags: texts(attributes, "tags"),
            created: resource.created_at,
            updated: resource.updated_at,
            deployments,
            settings: tails(attributes),
            attributes: attributes.clone(),
        };
        self.previews.insert(id, preview);
        Ok(())
    }

    pub(super) fn preview_resources(&self) -> Vec<WorldResource> {
        self.previews
            .iter()
            .map(|(id, preview)| {
                let mut attributes = preview.attributes.clone();
                for field in ["service", "script"] {
                    attributes.remove(field);
                }
                attributes.insert("worker".to_owned(), json!(preview.worker));
                attributes.insert("slug".to_owned(), json!(preview.slug));
                let latest = preview.deployments.last();
                if let Some(latest) = latest.filter(|latest| !latest.annotations.is_empty()) {
                    attributes.insert("annotations".to_owned(), json!(latest.annotations));
                }
                WorldResource {
                    kind: "worker_preview".to_owned(),
                    name: preview.name.clone(),
                    id: Some(id.clone()),
                    created_at: preview.created,
                    updated_at: preview.updated,
                    attributes,
                }
            })
            .collect()
    }

    fn preview_id(&self, worker: &str, key: &str) -> Result<String, ApiFailure> {
        self.previews
            .iter()
            .filter(|(_, preview)| preview.worker == worker)
            .find(|(id, preview)| *id == key || preview.slug == key || preview.name == key)
            .map(|(id, _)| id.clone())
            .ok_or_else(missing)
    }

    fn urls(&self, slug: &str, worker: &str) -> Value {
        let subdomain = self.subdomain.as_deref().unwrap_or("sandbox");
        json!([format!("https://{slug}-{worker}.{subdomain}.workers.dev")])
    }

    fn draw_preview(&self, id: &str, preview: &Preview) -> Value {
        let mut shown = json!({
            "id": id,
            "name": preview.name,
            "slug": preview.slug,
            "tags": preview.tags,
            "urls": self.urls(&preview.slug, &preview.worker),
            "deployed_on": null,
            "logpush": false,
            "observability": { "enabled": false },
            "tail_consumers": [],
            "worker_name": preview.worker,
        });
        for (field, value) in &preview.settings {
            shown[field] = value.clone();
        }
        put(&mut shown, "created_on", preview.created.map(moment));
        put(&mut shown, "updated_on", preview.updated.map(moment));
        let deployed = preview.deployments.last().and_then(|last| last.created);
        put(&mut shown, "deployed_on", deployed.map(moment));
        shown
    }

    fn draw_preview_deployment(&self, id: &str, preview: &Preview, one: &Deployment) -> Value {
        let label = format!("{}-{}", one.id.get(..8).unwrap_or(&one.id), preview.slug);
        let mut shown = json!({
            "id": one.id,
            "preview_id": id,
            "preview_name": preview.name,
            "urls": self.urls(&label, &preview.worker),
            "annotations": one.annotations,
            "env": Binding::env(&one.bindings),
        });
        put(&mut shown, "created_on", one.created.map(moment));
        shown
    }

    pub(super) fn worker_previews(
        &mut self,
        method: &str,
        worker: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        let worker = self.worker_name(worker).ok_or_else(|| {
            ApiFailure::not_found(10007, "This Worker does not exist on your account.")
        })?;
        match (method, path) {
            ("GET", []) => self.list_previews(&worker, request),
            ("POST", []) => self.create_preview(&worker, request),
            (_, [key, rest @ ..]) => {
                let id = self.preview_id(&worker, key)?;
                if (method, rest) == ("DELETE", &[]) {
                    self.previews.remove(&id);
                    self.remove_namespaces_of(Owner::Preview(&id));
                    return Ok(ok_bare());
                }
                if (method, rest) == ("POST", &["deployments"]) {
                    return self.deploy_preview(&id, request);
                }
                if let ("PUT" | "PATCH", []) = (method, rest) {
                    let body = upload::metadata(request, "metadata")?;
                    if let Some(preview) = self.previews.get_mut(&id) {
                        preview.take(&body);
                        preview.updated = Some(request.now);
                    }
                }
                let preview = self.previews.get(&id).ok_or_else(missing)?;
                match (method, rest) {
                    ("GET" | "PUT" | "PATCH", []) => Ok(ok(self.draw_preview(&id, preview))),
                    ("GET", ["deployments"]) => {
                        let newest: Vec<&Deployment> = preview.deployments.iter().rev().collect();
                        PREVIEWS.answer(request, &newest, |one| {
                            self.draw_preview_deployment(&id, preview, one)
                        })
                    }
                    ("GET", ["deployments", which]) => {
                        let found = if *which == "latest" {
                            preview.deployments.last()
                        } else {
                            preview.deployments.iter().find(|one| one.id == *which)
                        };
                        let one = found.ok_or_else(no_deployment)?;
                        Ok(ok(self.draw_preview_deployment(&id, preview, one)))
                    }
                    _ => Err(ApiFailure::no_route(request)),
                }
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    fn list_previews(&self, worker: &str, request: &Request) -> Answer {
        let part = |name: &str| request.parameter(name).filter(|text| !text.is_empty());
        let mut found: Vec<(&String, &Preview)> = self
            .previews
            .iter()
            .filter(|(_, preview)| preview.worker == worker)
            .filter(|(_, preview)| part("name").is_none_or(|part| preview.name.contains(part)))
            .filter(|(_, preview)| part("slug").is_none_or(|part| preview.slug.contains(part)))
            .collect();
        match part("order_by").unwrap_or("deployed_on") {
            "deployed_on" => found.sort_by_key(|(_, preview)| {
                preview.deployments.last().and_then(|last| last.created)
            }),
            "updated_on" => found.sort_by_key(|(_, preview)| preview.updated),
            "created_on" => found.sort_by_key(|(_, preview)| preview.created),
            "slug" => found.sort_by_key(|(_, preview)| &preview.slug),
            "name" => found.sort_by_key(|(_, preview)| &preview.name),
            _ => return Err(ApiFailure::bad(10003, "invalid order_by")),
        }
        directed(request, "order", "desc", &mut found);
        PREVIEWS.answer(request, &found, |(id, preview)| {
            self.draw_preview(id, preview)
        })
    }

    fn create_preview(&mut self, worker: &str, request: &Request) -> Answer {
        let body = upload::metadata(request, "metadata")?;
        let name = upload::required(&body, "name")?;
        if self.preview_id(worker, name).is_ok() {
            return Err(ApiFailure::conflict(
                10040,
                "A preview with this name already exists.",
            ));
        }
        let id = self
            .register
            .assign("worker_preview", &format!("{worker} {name}"));
        let mut preview = Preview {
            worker: worker.to_owned(),
            name: name.to_owned(),
            slug: slug_of(name),
            tags: Vec::new(),
            created: Some(request.now),
            updated: Some(request.now),
            deployments: Vec::new(),
            settings: Map::new(),
            attributes: Map::new(),
        };
        preview.take(&body);
        let shown = self.draw_preview(&id, &preview);
        self.previews.insert(id, preview);
        Ok(ok(shown))
    }

    fn deploy_preview(&mut self, id: &str, request: &Request) -> Answer {
        let body = upload::metadata(request, "metadata")?;
        let preview = self.previews.get_mut(id).ok_or_else(missing)?;
        let number = preview.deployments.len().to_string();
        let time = request.now.timestamp_micros().to_string();
        preview.deployments.push(Deployment {
            id: uuid(&stable(&["preview deployment", id, &number, &time])),
            created: Some(request.now),
            annotations: upload::annotations(&body),
            bindings: body.get("env").map(Binding::from_env).unwrap_or_default(),
        });
        preview.updated = Some(request.now);
        let preview = self.previews.get(id).ok_or_else(missing)?;
        let one = preview.deployments.last().ok_or_else(no_deployment)?;
        Ok(ok(self.draw_preview_deployment(id, preview, one)))
    }
}

impl Preview {
    /// Returns whether it is the one of this name of a Worker.
    pub(super) fn is_called(&self, worker: &str, name: &str) -> bool {
        self.worker == worker && self.name == name
    }

    /// Takes over what a body says.
    fn take(&mut self, body: &Map<String, Value>) {
        if body.contains_key("tags") {
            self.tags = texts(body, "tags");
        }
        for field in ["logpush", "observability", "tail_consumers"] {
            if let Some(value) = body.get(field).filter(|value| !value.is_null()) {
                self.settings.insert(field.to_owned(), value.clone());
            }
        }
    }
}
