//! Workers KV: namespaces. Their keys are in `kv_values`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, directed, object, ok, text};
use super::binding::Bindable;
use super::kv_values::Namespace;
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

const NAMESPACES: Paging = Paging::new(20, 1, 1000).without_total_pages();

fn missing() -> ApiFailure {
    ApiFailure::not_found(10013, "namespace not found")
}

fn taken() -> ApiFailure {
    ApiFailure::bad(
        10014,
        "a namespace with this account ID and title already exists",
    )
}

/// KV.
pub(super) struct Kv;

static KIND: WorldKind = WorldKind {
    name: "kv_namespace",
    attributes: &["keys"],
    paths: &["/storage/kv/namespaces"],
};

static BINDABLE: Bindable = Bindable {
    sort: "kv_namespace",
    name: "kv_namespace",
    field: "namespace_id",
    by_id: true,
    pages: Some(("kv_namespaces", "namespace_id")),
};

impl Product for Kv {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.namespaces.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_namespace(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.namespace_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["storage", "kv", "namespaces", rest @ ..] => Some(cloud.kv(method, rest, request)),
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }

    fn targets<'c>(&self, cloud: &'c Cloudflare) -> Vec<(&'c str, &'c str)> {
        let all = cloud.namespaces.iter();
        all.map(|(id, one)| (id.as_str(), one.title.as_str()))
            .collect()
    }
}

impl Cloudflare {
    pub(super) fn add_namespace(
        &mut self,
        resource: &WorldResource,
    ) -> Result<(), ImpossibleResource> {
        // A KV namespace has no times: what the world says of them is dropped.
        if self.has_title(&resource.name) {
            return Err(ImpossibleResource::exists("a kv_namespace", &resource.name));
        }
        let id = self
            .register
            .take(resource.id.as_deref(), "kv_namespace", &resource.name);
        let namespace = Namespace {
            title: resource.name.clone(),
            entries: super::kv_values::entries(&resource.attributes),
            attributes: resource.attributes.clone(),
        };
        self.titles.insert(namespace.title.clone());
        self.namespaces.insert(id, namespace);
        Ok(())
    }

    pub(super) fn namespace_resources(&self) -> Vec<WorldResource> {
        self.namespaces
            .iter()
            .map(|(id, namespace)| {
                let mut attributes = namespace.attributes.clone();
                attributes.remove("keys");
                if !namespace.entries.is_empty() {
                    attributes.insert(
                        "keys".to_owned(),
                        super::kv_values::world(&namespace.entries),
                    );
                }
                WorldResource {
                    kind: "kv_namespace".to_owned(),
                    name: namespace.title.clone(),
                    id: Some(id.clone()),
                    created_at: None,
                    updated_at: None,
                    attributes,
                }
            })
            .collect()
    }

    fn has_title(&self, title: &str) -> bool {
        self.titles.contains(title)
    }

    pub(super) fn kv(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let mut all: Vec<(&String, &Namespace)> = self.namespaces.iter().collect();
                match request.parameter("order") {
                    None | Some("id") => {}
                    Some("title") => all.sort_by_key(|(_, namespace)| &namespace.title),
                    Some(_) => return Err(ApiFailure::bad(10003, "invalid order")),
                }
                directed(request, "direction", "asc", &mut all);
                NAMESPACES.answer(request, &all, |(id, namespace)| to_json(id, namespace))
            }
            ("POST", []) => {
                let title = title_of(request)?;
                if self.has_title(&title) {
                    return Err(taken());
                }
                let id = self.register.assign("kv_namespace", &title);
                let namespace = Namespace {
                    title: title.clone(),
                    entries: BTreeMap::new(),
                    attributes: Map::new(),
                };
                let shown = to_json(&id, &namespace);
                self.namespaces.insert(id, namespace);
                self.titles.insert(title);
                Ok(ok(shown))
            }
            ("GET", [id]) => {
                let namespace = self.namespaces.get(*id).ok_or_else(missing)?;
                Ok(ok(to_json(id, namespace)))
            }
            ("PUT", [id]) => {
                let title = title_of(request)?;
                if !self.namespaces.contains_key(*id) {
                    return Err(missing());
                }
                let free = !self.has_title(&title);
                let namespace = self.namespaces.get_mut(*id).ok_or_else(missing)?;
                if namespace.title != title {
                    if !free {
                        return Err(taken());
                    }
                    self.titles.remove(&namespace.title);
                    self.titles.insert(title.clone());
                    namespace.title = title;
                }
                Ok(ok(to_json(id, namespace)))
            }
            ("DELETE", [id]) => {
                let namespace = self.namespaces.remove(*id).ok_or_else(missing)?;
                self.titles.remove(&namespace.title);
                Ok(ok(json!({})))
            }
            (_, [id, rest @ ..]) => {
                let namespace = self.namespaces.get_mut(*id).ok_or_else(missing)?;
                namespace.serve(method, rest, request)
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

fn title_of(request: &Request) -> Result<String, ApiFailure> {
    let body = object(request, 10012)?;
    match text(&body, "title") {
        Some(title) if !title.is_empty() && title.len() <= 512 => Ok(title.to_owned()),
        _ => Err(ApiFailure::bad(10019, "a title is required")),
    }
}

fn to_json(id: &str, namespace: &Namespace) -> Value {
    json!({ "id": id, "title": namespace.title, "supports_url_encoding": true })
}
