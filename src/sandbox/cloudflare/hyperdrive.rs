//! Hyperdrive configurations.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, object, ok, put, text};
use super::binding::Bindable;
use super::identity::moment;
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One configuration.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) name: String,
    created: Option<DateTime<Utc>>,
    modified: Option<DateTime<Utc>>,
    origin: Map<String, Value>,
    caching: Value,
    pub(super) attributes: Map<String, Value>,
}

const CONFIGS: Paging = Paging::new(20, 1, 100).without_total_pages();

fn missing() -> ApiFailure {
    ApiFailure::not_found(2006, "Hyperdrive config not found")
}

/// Hyperdrive.
pub(super) struct Hyperdrive;

static KIND: WorldKind = WorldKind {
    name: "hyperdrive",
    attributes: &["host"],
    paths: &["/hyperdrive/configs"],
};

static BINDABLE: Bindable = Bindable {
    sort: "hyperdrive",
    name: "hyperdrive",
    field: "id",
    by_id: true,
    pages: Some(("hyperdrive_bindings", "id")),
};

impl Product for Hyperdrive {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.hyperdrives.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_hyperdrive(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.hyperdrive_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["hyperdrive", "configs", rest @ ..] => Some(cloud.hyperdrive(method, rest, request)),
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }

    fn targets<'c>(&self, cloud: &'c Cloudflare) -> Vec<(&'c str, &'c str)> {
        let all = cloud.hyperdrives.iter();
        all.map(|(id, one)| (id.as_str(), one.name.as_str()))
            .collect()
    }
}

impl Cloudflare {
    pub(super) fn add_hyperdrive(
        &mut self,
        resource: &WorldResource,
    ) -> Result<(), ImpossibleResource> {
        let name = &resource.name;
        if self.hyperdrives.values().any(|config| config.name == *name) {
            return Err(ImpossibleResource::exists("a hyperdrive", name));
        }
        let id = self
            .register
            .take(resource.id.as_deref(), "hyperdrive", name);
        let config = Config {
            name: name.clone(),
            created: resource.created_at,
            modified: resource.updated_at,
            origin: origin(
                text(&resource.attributes, "host")
                    .map(|host| json!({ "host": host }))
                    .as_ref(),
            ),
            caching: json!({ "disabled": false }),
            attributes: resource.attributes.clone(),
        };
        self.hyperdrives.insert(id, config);
        Ok(())
    }

    pub(super) fn hyperdrive_resources(&self) -> Vec<WorldResource> {
        self.hyperdrives
            .iter()
            .map(|(id, config)| WorldResource {
                kind: "hyperdrive".to_owned(),
                name: config.name.clone(),
                id: Some(id.clone()),
                created_at: config.created,
                updated_at: config.modified,
                attributes: config.attributes.clone(),
            })
            .collect()
    }

    pub(super) fn hyperdrive(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let mut found: Vec<(&String, &Config)> = self.hyperdrives.iter().collect();
                found.sort_by_key(|(_, config)| &config.name);
                CONFIGS.answer(request, &found, |(id, config)| to_json(id, config))
            }
            ("POST", []) => {
                let body = object(request, 2001)?;
                let Some(name) = text(&body, "name").filter(|name| !name.is_empty()) else {
                    return Err(ApiFailure::bad(2010, "name is required"));
                };
                if self.hyperdrives.values().any(|config| config.name == name) {
                    return Err(ApiFailure::conflict(
                        2017,
                        format!("Hyperdrive config with name '{name}' already exists"),
                    ));
                }
                let id = self.register.assign("hyperdrive", name);
                let config = Config {
                    name: name.to_owned(),
                    created: Some(request.now),
                    modified: Some(request.now),
                    origin: origin(body.get("origin")),
                    caching: body
                        .get("caching")
                        .cloned()
                        .unwrap_or_else(|| json!({ "disabled": false })),
                    attributes: Map::new(),
                };
                let shown = to_json(&id, &config);
                self.hyperdrives.insert(id, config);
                Ok(ok(shown))
            }
            ("GET", [id]) => match self.hyperdrives.get(*id) {
                Some(config) => Ok(ok(to_json(id, config))),
                None => Err(missing()),
            },
            ("PUT" | "PATCH", [id]) => {
                let body = object(request, 2001)?;
                let whole = method == "PUT";
                let config = self.hyperdrives.get_mut(*id).ok_or_else(missing)?;
                if let Some(name) = text(&body, "name").filter(|name| !name.is_empty()) {
                    name.clone_into(&mut config.name);
                }
                if let Some(given) = body.get("origin") {
                    let mut new = if whole {
                        Map::new()
                    } else {
                        config.origin.clone()
                    };
                    new.extend(given.as_object().cloned().unwrap_or_default());
                    config.origin = origin(Some(&Value::Object(new)));
                    config.attributes.remove("host");
                }
                if let Some(caching) = body.get("caching") {
                    config.caching = caching.clone();
                }
                config.modified = Some(request.now);
                Ok(ok(to_json(id, config)))
            }
            ("DELETE", [id]) => match self.hyperdrives.remove(*id) {
                Some(_) => Ok(ok(Value::Null)),
                None => Err(missing()),
            },
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

/// An origin with what every answer shows of it; the password is never shown.
fn origin(given: Option<&Value>) -> Map<String, Value> {
    let mut origin = Map::new();
    for (field, value) in [
        ("scheme", json!("postgres")),
        ("host", json!("db.example.com")),
        ("port", json!(5432)),
        ("database", json!("postgres")),
        ("user", json!("postgres")),
    ] {
        origin.insert(field.to_owned(), value);
    }
    if let Some(Value::Object(given)) = given {
        for (field, value) in given {
            if field != "password" && field != "access_client_secret" {
                origin.insert(field.clone(), value.clone());
            }
        }
    }
    origin
}

fn to_json(id: &str, config: &Config) -> Value {
    let mut shown = json!({
        "id": id,
        "name": config.name,
        "origin": config.origin,
        "caching": config.caching,
        "origin_connection_limit": 20,
    });
    put(&mut shown, "created_on", config.created.map(moment));
    put(&mut shown, "modified_on", config.modified.map(moment));
    shown
}
