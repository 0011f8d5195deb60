//! Routes: patterns of a zone that run a Worker, or none.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, array, object, ok, text};
use super::domains::pointed_at;
use super::identity::is_id;
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One route.
#[derive(Debug)]
pub(super) struct Route {
    pattern: String,
    /// The Worker's name; without one the route switches Workers off.
    pub(super) script: Option<String>,
    /// The zone's name.
    zone: String,
    attributes: Map<String, Value>,
}

/// The host of a route's pattern, without wildcards.
fn host(pattern: &str) -> String {
    let pattern = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let host = pattern.split('/').next().unwrap_or(pattern);
    host.trim_start_matches(['*', '.']).to_ascii_lowercase()
}

fn missing() -> ApiFailure {
    ApiFailure::not_found(10009, "workers.api.error.route_not_found")
}

/// Worker routes.
pub(super) struct Routes;

static KIND: WorldKind = WorldKind {
    name: "worker_route",
    attributes: &["script", "zone"],
    paths: &["/workers/routes"],
};

impl Product for Routes {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.routes.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_route(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.route_resources()
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
            ["workers", "routes", rest @ ..] => {
                Some(cloud.zone_routes(method, zone, rest, request))
            }
            _ => None,
        }
    }
}

impl Cloudflare {
    pub(super) fn add_route(&mut self, resource: &WorldResource) -> Result<(), ImpossibleResource> {
        let zone = text(&resource.attributes, "zone").map(ToOwned::to_owned);
        let zone = self.zone_of(&host(&resource.name), zone.as_deref());
        if self.has_pattern(&zone, &resource.name) {
            return Err(ImpossibleResource::exists("a route", &resource.name));
        }
        let id = self.register.take(
            resource.id.as_deref(),
            "worker_route",
            &format!("{zone} {}", resource.name),
        );
        let route = Route {
            pattern: resource.name.clone(),
            script: pointed_at(resource),
            zone,
            attributes: resource.attributes.clone(),
        };
        self.routes.insert(id, route);
        Ok(())
    }

    /// The routes that run a Worker, as the listing of scripts shows them.
    pub(super) fn routes_of(&self, script: &str) -> Value {
        let routes = self.routes.iter();
        let routes = routes.filter(|(_, route)| route.script.as_deref() == Some(script));
        let shown = |(id, route): (&String, &Route)| json!({"id": id, "pattern": route.pattern, "script": script});
        Value::Array(routes.map(shown).collect())
    }

    pub(super) fn route_resources(&self) -> Vec<WorldResource> {
        self.routes
            .iter()
            .map(|(id, route)| {
                let mut attributes = route.attributes.clone();
                for field in ["service", "worker", "script"] {
                    attributes.remove(field);
                }
                attributes.insert("zone".to_owned(), json!(route.zone));
                attributes.insert("script".to_owned(), json!(route.script));
                WorldResource {
                    kind: "worker_route".to_owned(),
                    name: route.pattern.clone(),
                    id: Some(id.clone()),
                    created_at: None,
                    updated_at: None,
                    attributes,
                }
            })
            .collect()
    }

    fn has_pattern(&self, zone: &str, pattern: &str) -> bool {
        self.routes
            .values()
            .any(|route| route.zone == zone && route.pattern == pattern)
    }

    pub(super) fn zone_routes(
        &mut self,
        method: &str,
        zone: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let shown: Vec<Value> = self
                    .routes
                    .iter()
                    .filter(|(_, route)| route.zone == zone)
                    .map(|(id, route)| to_json(id, route))
                    .collect();
                Ok(ok(Value::Array(shown)))
            }
            ("POST", []) => {
                let body = object(request, 10026)?;
                let pattern = text(&body, "pattern")
                    .ok_or_else(|| ApiFailure::bad(10022, "pattern is required"))?;
                if self.has_pattern(zone, pattern) {
                    return Err(ApiFailure::conflict(
                        10020,
                        "A route with the same pattern already exists.",
                    ));
                }
                let id = self
                    .register
                    .assign("worker_route", &format!("{zone} {pattern}"));
                let route = Route {
                    pattern: pattern.to_owned(),
                    script: text(&body, "script")
                        .filter(|script| !script.is_empty())
                        .map(ToOwned::to_owned),
                    zone: zone.to_owned(),
                    attributes: Map::new(),
                };
                let shown = to_json(&id, &route);
                self.routes.insert(id, route);
                Ok(ok(shown))
            }
            ("GET", [id]) => match self.routes.get(*id).filter(|route| route.zone == zone) {
                Some(route) => Ok(ok(to_json(id, route))),
                None => Err(unknown(id, request)),
            },
            ("PUT", [id]) => {
                let body = object(request, 10026)?;
                match self.routes.get_mut(*id).filter(|route| route.zone == zone) {
                    Some(route) => {
                        if let Some(pattern) = text(&body, "pattern") {
                            pattern.clone_into(&mut route.pattern);
                        }
                        route.script = text(&body, "script").map(ToOwned::to_owned);
                        Ok(ok(to_json(id, route)))
                    }
                    None => Err(unknown(id, request)),
                }
            }
            ("DELETE", [id]) => {
                if self.routes.get(*id).is_none_or(|route| route.zone != zone) {
                    return Err(unknown(id, request));
                }
                self.routes.remove(*id);
                Ok(ok(json!({ "id": id })))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    /// Replaces the routes of one Worker by those of a deployment.
    pub(super) fn replace_routes(&mut self, worker: &str, request: &Request) -> Answer {
        let asked = array(request, 10026)?;
        let mut wanted = Vec::new();
        for item in &asked {
            let pattern = item["pattern"]
                .as_str()
                .or(item.as_str())
                .ok_or_else(|| ApiFailure::bad(10022, "pattern is required"))?;
            let zone = item["zone_id"].as_str().or(item["zone_name"].as_str());
            wanted.push((self.known_zone(&host(pattern), zone)?, pattern.to_owned()));
        }
        for (zone, pattern) in &wanted {
            let taken = self.routes.values().any(|route| {
                route.zone == *zone
                    && route.pattern == *pattern
                    && route.script.as_deref() != Some(worker)
            });
            if taken {
                return Err(ApiFailure::conflict(
                    10020,
                    "A route with the same pattern already exists.",
                ));
            }
        }
        self.routes.retain(|_, route| {
            route.script.as_deref() != Some(worker)
                || wanted
                    .iter()
                    .any(|(zone, pattern)| route.zone == *zone && route.pattern == *pattern)
        });
        for (zone, pattern) in &wanted {
            if !self.has_pattern(zone, pattern) {
                let id = self
                    .register
                    .assign("worker_route", &format!("{zone} {pattern}"));
                let route = Route {
                    pattern: pattern.clone(),
                    script: Some(worker.to_owned()),
                    zone: zone.clone(),
                    attributes: Map::new(),
                };
                self.routes.insert(id, route);
            }
        }
        let shown: Vec<Value> = wanted
            .iter()
            .map(|(_, pattern)| json!({ "pattern": pattern, "script": worker }))
            .collect();
        Ok(ok(Value::Array(shown)))
    }
}

fn unknown(id: &str, request: &Request) -> ApiFailure {
    if is_id(id) {
        missing()
    } else {
        ApiFailure::no_route(request)
    }
}

fn to_json(id: &str, route: &Route) -> Value {
    let mut shown = json!({ "id": id, "pattern": route.pattern });
    super::answer::put(&mut shown, "script", route.script.clone());
    shown
}
