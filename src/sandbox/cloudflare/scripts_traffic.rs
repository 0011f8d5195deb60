//! Endpoints around a script: settings, secrets, URLs, schedules, and
//! references to it.

use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, array, object, ok};
use super::binding::Binding;
use super::identity::moment;
use super::scripts::missing;
use super::upload::{self, required};
use super::worker::Worker;
use crate::sandbox::message::Request;

impl Cloudflare {
    pub(super) fn script_traffic(
        &mut self,
        method: &str,
        name: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", ["references"]) => return Ok(ok(self.references(name))),
            ("PUT", ["routes"]) => return self.replace_routes(name, request),
            ("POST", ["domains", "changeset"]) => return self.domains_changeset(name, request),
            ("PUT", ["domains", "records"]) => return self.domains_records(name, request),
            _ => {}
        }
        let routes: Vec<Value> = self
            .routes
            .iter()
            .filter(|(_, route)| route.script.as_deref() == Some(name))
            .map(|(id, _)| json!({ "id": id }))
            .collect();
        let worker = self.workers.get_mut(name).ok_or_else(missing)?;
        match (method, path) {
            ("GET", ["routes"]) => Ok(ok(Value::Array(routes))),
            ("GET", ["settings"]) if worker.versions.is_empty() => {
                Err(ApiFailure::not_found(10007, "This Worker has no versions."))
            }
            ("GET", ["settings"]) => Ok(ok(worker.all_settings())),
            ("PATCH", ["settings"]) => {
                // Other bodies than forms are not accepted here.
                if upload::read(request)?.is_none() {
                    return Err(ApiFailure::bad(
                        10001,
                        "The body is not multipart/form-data.",
                    ));
                }
                let given = upload::metadata(request, "settings")?;
                worker.take_script_fields(&given);
                worker.modified = Some(request.now);
                if let Some(Value::Array(items)) = given.get("bindings") {
                    let bindings = patched(worker, items)?;
                    worker.rebind(bindings, request.now);
                }
                Ok(ok(worker.all_settings()))
            }
            ("GET", ["script-settings"]) => Ok(ok(worker.script_settings())),
            ("PATCH", ["script-settings"]) => {
                worker.take_script_fields(&object(request, 10003)?);
                worker.modified = Some(request.now);
                Ok(ok(worker.script_settings()))
            }
            (_, ["secrets", rest @ ..]) => secrets(worker, method, rest, request),
            ("PATCH", ["secrets-bulk"]) => patch_secrets(worker, request),
            ("GET", ["subdomain"]) => Ok(ok(subdomain(worker))),
            ("POST", ["subdomain"]) => {
                let body = object(request, 10003)?;
                let asked = |field: &str| body.get(field).and_then(Value::as_bool);
                worker.subdomain = asked("enabled").unwrap_or(worker.subdomain);
                worker.previews = asked("previews_enabled").unwrap_or(worker.subdomain);
                Ok(ok(subdomain(worker)))
            }
            ("DELETE", ["subdomain"]) => {
                worker.subdomain = false;
                worker.previews = false;
                Ok(ok(subdomain(worker)))
            }
            ("GET", ["schedules"]) => Ok(ok(json!({ "schedules": worker.schedules }))),
            ("PUT", ["schedules"]) => {
                let now = moment(request.now);
                worker.schedules = array(request, 10003)?
                    .iter()
                    .filter_map(|item| item["cron"].as_str())
                    .map(|cron| json!({ "cron": cron, "created_on": now, "modified_on": now }))
                    .collect();
                Ok(ok(json!({ "schedules": worker.schedules })))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    /// Who depends on a Worker and on whom it depends, as the undocumented
    /// `/references` returns it.
    fn references(&self, name: &str) -> Value {
        let item = |service: &str| json!({ "name": name, "service": service, "environment": "production" });
        let incoming: Vec<Value> = self
            .workers
            .iter()
            .filter(|(other, worker)| *other != name && worker.binds("service", name))
            .map(|(other, _)| item(other))
            .collect();
        let outgoing: Vec<Value> = self
            .workers
            .get(name)
            .map(Worker::bindings)
            .unwrap_or_default()
            .iter()
            .filter_map(|binding| binding.target("service"))
            .map(item)
            .collect();
        json!({
            "services": { "incoming": incoming, "outgoing": outgoing, "pages_function": false },
            "durable_objects": [],
            "dispatch_outbounds": [],
        })
    }
}

fn subdomain(worker: &Worker) -> Value {
    json!({ "enabled": worker.subdomain, "previews_enabled": worker.previews })
}

/// The bindings of a patch; what is inherited comes from the latest version.
fn patched(worker: &Worker, items: &[Value]) -> Result<Vec<Binding>, ApiFailure> {
    items
        .iter()
        .map(|item| {
            let binding = Binding::from_api(item)
                .ok_or_else(|| ApiFailure::bad(10021, "A binding needs a name and a type."))?;
            if binding.kind != "inherit" {
                return Ok(binding);
            }
            worker
                .bindings()
                .iter()
                .find(|known| known.name == binding.name)
                .cloned()
                .ok_or_else(|| ApiFailure::bad(10057, "There is no binding to inherit."))
        })
        .collect()
}

/// Sets and, where a value is null, removes several secrets.
fn patch_secrets(worker: &mut Worker, request: &Request) -> Answer {
    let body: Map<String, Value> = object(request, 10003)?;
    let Some(Value::Object(given)) = body.get("secrets") else {
        return Err(ApiFailure::bad(10003, "The body has no `secrets`."));
    };
    let mut bindings = worker.bindings().to_vec();
    bindings.retain(|binding| {
        !given.contains_key(&binding.name) || !binding.kind.starts_with("secret_")
    });
    let set = given.iter().filter(|(_, value)| !value.is_null());
    let set = set
        .filter_map(|(name, _)| Binding::from_api(&json!({ "name": name, "type": "secret_text" })));
    bindings.extend(set);
    worker.rebind(bindings, request.now);
    secrets(worker, "GET", &[], request)
}

fn secrets(worker: &mut Worker, method: &str, path: &[&str], request: &Request) -> Answer {
    let secret = |binding: &&Binding| binding.kind.starts_with("secret_");
    match (method, path) {
        ("GET", []) => {
            let shown: Vec<Value> = worker
                .bindings()
                .iter()
                .filter(secret)
                .map(|binding| json!({ "name": binding.name, "type": binding.kind }))
                .collect();
            Ok(ok(Value::Array(shown)))
        }
        ("PUT", []) => {
            let body: Map<String, Value> = object(request, 10003)?;
            let name = required(&body, "name")?.to_owned();
            let mut bindings = worker.bindings().to_vec();
            bindings.retain(|binding| binding.name != name);
            bindings.extend(Binding::from_api(
                &json!({ "name": name, "type": "secret_text" }),
            ));
            worker.rebind(bindings, request.now);
            Ok(ok(json!({ "name": name, "type": "secret_text" })))
        }
        ("DELETE", [name]) => {
            let mut bindings = worker.bindings().to_vec();
            let before = bindings.len();
            bindings.retain(|binding| binding.name != *name || !secret(&binding));
            if bindings.len() == before {
                return Err(ApiFailure::not_found(
                    10056,
                    format!("Secret \"{name}\" does not exist."),
                ));
            }
            worker.rebind(bindings, request.now);
            Ok(ok(Value::Null))
        }
        _ => Err(ApiFailure::no_route(request)),
    }
}
