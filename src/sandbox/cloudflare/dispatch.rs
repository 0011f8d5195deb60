//! Dispatch namespaces (Workers for Platforms) and the Workers in them, as
//! Cloudflare's own SDK 7.3.0 describes them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, object, ok, tail_consumers};
use super::binding::Binding;
use super::identity::{stable, uuid};
use super::product::Product;
use super::upload::{metadata, required};
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// A Worker in a dispatch namespace.
#[derive(Debug, Default)]
pub(super) struct UserWorker {
    pub(super) bindings: Vec<Binding>,
    /// The Workers that receive its logs.
    pub(super) tails: Vec<String>,
}

/// The scripts of each namespace.
pub(super) type Namespaces = BTreeMap<String, BTreeMap<String, UserWorker>>;

fn no_namespace() -> ApiFailure {
    ApiFailure::not_found(100_119, "This dispatch namespace does not exist.")
}

fn no_script() -> ApiFailure {
    ApiFailure::not_found(10007, "This Worker does not exist on your account.")
}

fn to_json(name: &str, scripts: &BTreeMap<String, UserWorker>) -> Value {
    json!({
        "namespace_id": uuid(&stable(&["dispatch namespace", name])),
        "namespace_name": name,
        "script_count": scripts.len(),
        "trusted_workers": false,
    })
}

/// Workers for Platforms.
pub(super) struct Dispatch;

impl Product for Dispatch {
    fn kind(&self) -> Option<&'static WorldKind> {
        None
    }

    fn add(
        &self,
        _cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let kind = &resource.kind;
        Err(ImpossibleResource(format!(
            "a dispatch namespace has no kind {kind}"
        )))
    }

    fn resources(&self, _cloud: &Cloudflare) -> Vec<WorldResource> {
        Vec::new()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["workers", "dispatch", "namespaces", rest @ ..] => {
                Some(cloud.dispatch_namespaces(method, rest, request))
            }
            _ => None,
        }
    }

    fn bindings<'c>(&self, cloud: &'c mut Cloudflare) -> Vec<&'c mut Binding> {
        let scripts = cloud.dispatched.values_mut();
        let scripts = scripts.flat_map(BTreeMap::values_mut);
        scripts.flat_map(|script| &mut script.bindings).collect()
    }
}

impl Cloudflare {
    /// Adds a Worker to a dispatch namespace, which is created if missing.
    pub(super) fn dispatch(&mut self, namespace: &str, name: &str, script: UserWorker) {
        self.unsettled = true;
        let scripts = self.dispatched.entry(namespace.to_owned()).or_default();
        scripts.insert(name.to_owned(), script);
    }

    pub(super) fn dispatch_namespaces(
        &mut self,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let all = self.dispatched.iter();
                let all: Vec<Value> = all.map(|(name, scripts)| to_json(name, scripts)).collect();
                Ok(ok(json!(all)))
            }
            ("POST", []) => {
                let body = object(request, 10003)?;
                let name = required(&body, "name")?.to_owned();
                let scripts = self.dispatched.entry(name.clone()).or_default();
                Ok(ok(to_json(&name, scripts)))
            }
            (_, [namespace, rest @ ..]) => {
                let scripts = self
                    .dispatched
                    .get_mut(*namespace)
                    .ok_or_else(no_namespace)?;
                match (method, rest) {
                    ("GET", []) => Ok(ok(to_json(namespace, scripts))),
                    ("DELETE", []) => {
                        self.dispatched.remove(*namespace);
                        Ok(ok(Value::Null))
                    }
                    ("GET", ["scripts"]) => {
                        let all: Vec<Value> =
                            scripts.keys().map(|name| json!({ "id": name })).collect();
                        Ok(ok(json!(all)))
                    }
                    ("PUT", ["scripts", name]) => {
                        let metadata = metadata(request, "metadata")?;
                        let given = metadata.get("bindings").and_then(Value::as_array);
                        let bindings = given.into_iter().flatten();
                        let script = UserWorker {
                            bindings: bindings.filter_map(Binding::from_api).collect(),
                            tails: tail_consumers(&metadata),
                        };
                        scripts.insert((*name).to_owned(), script);
                        Ok(ok(json!({ "id": name })))
                    }
                    ("GET", ["scripts", name]) => match scripts.get(*name) {
                        Some(_) => Ok(ok(json!({
                            "dispatch_namespace": namespace, "script": { "id": name },
                        }))),
                        None => Err(no_script()),
                    },
                    ("DELETE", ["scripts", name]) => match scripts.remove(*name) {
                        Some(_) => Ok(ok(Value::Null)),
                        None => Err(no_script()),
                    },
                    ("GET", ["scripts", name, "settings"]) => {
                        let script = scripts.get(*name).ok_or_else(no_script)?;
                        let bindings: Vec<_> = script.bindings.iter().map(Binding::api).collect();
                        let tails = script.tails.iter();
                        let tails: Vec<_> = tails.map(|tail| json!({"service": tail})).collect();
                        Ok(ok(json!({"bindings": bindings, "tail_consumers": tails})))
                    }
                    ("GET", ["scripts", name, "bindings"]) => {
                        let script = scripts.get(*name).ok_or_else(no_script)?;
                        let all: Vec<Value> = script.bindings.iter().map(Binding::api).collect();
                        Ok(ok(json!(all)))
                    }
                    _ => Err(ApiFailure::no_route(request)),
                }
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}
