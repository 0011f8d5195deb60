//! Vectorize indexes, known by name. Source: Cloudflare's SDK 7.3.0,
//! `resources/vectorize/indexes`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, object, ok, put};
use super::binding::Bindable;
use super::identity::moment;
use super::product::Product;
use super::upload::required;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One index.
#[derive(Debug)]
pub(super) struct Index {
    created: Option<DateTime<Utc>>,
    modified: Option<DateTime<Utc>>,
    config: Value,
    attributes: Map<String, Value>,
}

fn missing() -> ApiFailure {
    ApiFailure::not_found(3000, "vectorize.not_found")
}

/// Vectorize.
pub(super) struct Vectorize;

static KIND: WorldKind = WorldKind {
    name: "vectorize_index",
    attributes: &["description"],
    paths: &["/vectorize/v2/indexes"],
};

static BINDABLE: Bindable = Bindable {
    sort: "vectorize",
    name: "vectorize_index",
    field: "index_name",
    by_id: false,
    pages: Some(("vectorize_bindings", "index_name")),
};

impl Product for Vectorize {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let name = &resource.name;
        if cloud.indexes.contains_key(name) {
            return Err(ImpossibleResource::exists("a vectorize_index", name));
        }
        let index = Index {
            created: resource.created_at,
            modified: resource.updated_at,
            config: json!({ "dimensions": 768, "metric": "cosine" }),
            attributes: resource.attributes.clone(),
        };
        cloud.indexes.insert(name.clone(), index);
        Ok(())
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        let all = cloud.indexes.iter().map(|(name, index)| WorldResource {
            kind: "vectorize_index".to_owned(),
            name: name.clone(),
            id: Some(name.clone()),
            created_at: index.created,
            updated_at: index.modified,
            attributes: index.attributes.clone(),
        });
        all.collect()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["vectorize", "v2", "indexes", rest @ ..] => {
                Some(cloud.vectorize(method, rest, request))
            }
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }
}

impl Cloudflare {
    fn vectorize(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let all = self.indexes.iter();
                let shown: Vec<Value> = all.map(|(name, index)| to_json(name, index)).collect();
                Ok(ok(Value::Array(shown)))
            }
            ("POST", []) => {
                let body = object(request, 1001)?;
                let name = required(&body, "name")?;
                if self.indexes.contains_key(name) {
                    return Err(ApiFailure::conflict(3002, "vectorize.index.duplicate_name"));
                }
                let description = body.get("description").filter(|text| text.is_string());
                let described = description.map(|text| ("description".to_owned(), text.clone()));
                let index = Index {
                    created: Some(request.now),
                    modified: Some(request.now),
                    config: body.get("config").cloned().unwrap_or_default(),
                    attributes: described.into_iter().collect(),
                };
                let shown = to_json(name, &index);
                self.indexes.insert(name.to_owned(), index);
                Ok(ok(shown))
            }
            ("GET", [name]) => match self.indexes.get(*name) {
                Some(index) => Ok(ok(to_json(name, index))),
                None => Err(missing()),
            },
            ("GET", [name, "info"]) => match self.indexes.get(*name) {
                Some(index) => Ok(ok(json!({
                    "dimensions": index.config["dimensions"], "vectorCount": 0,
                }))),
                None => Err(missing()),
            },
            // The sandbox keeps no vectors.
            ("GET", [name, "list"]) => match self.indexes.get(*name) {
                Some(_) => Ok(ok(json!({
                    "count": 0, "totalCount": 0, "isTruncated": false, "vectors": [],
                }))),
                None => Err(missing()),
            },
            ("DELETE", [name]) => match self.indexes.remove(*name) {
                Some(_) => Ok(ok(json!({}))),
                None => Err(missing()),
            },
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

fn to_json(name: &str, index: &Index) -> Value {
    let mut shown = json!({ "name": name, "config": index.config });
    put(
        &mut shown,
        "description",
        index.attributes.get("description").cloned(),
    );
    put(&mut shown, "created_on", index.created.map(moment));
    put(&mut shown, "modified_on", index.modified.map(moment));
    shown
}
