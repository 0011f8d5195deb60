//! The newer API of Workers, `/workers/workers`, which returns who depends on each
//! of them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, directed, object, ok, ok_bare, put};
use super::binding::Binding;
use super::containers::Owner;
use super::identity::{moment, stable, uuid};
use super::upload::required;
use super::worker::{Version, Worker};
use crate::sandbox::message::Request;

const WORKERS: Paging = Paging::new(10, 1, 100);

/// Who depends on the Workers, by the name of the one depended on.
#[derive(Default)]
struct Dependents<'a> {
    workers: HashMap<&'a str, Vec<Value>>,
    domains: HashMap<&'a str, Vec<Value>>,
}

fn missing() -> ApiFailure {
    ApiFailure::not_found(10007, "This Worker does not exist on your account.")
}

impl Cloudflare {
    /// The name of a Worker by its id or its name.
    pub(super) fn worker_name(&self, key: &str) -> Option<String> {
        if self.workers.contains_key(key) {
            return Some(key.to_owned());
        }
        self.workers
            .iter()
            .find(|(_, worker)| worker.tag == key)
            .map(|(name, _)| name.clone())
    }

    pub(super) fn workers_beta(
        &mut self,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", []) => self.list_workers(request),
            ("POST", []) => {
                let body = object(request, 10003)?;
                let name = required(&body, "name")?.to_owned();
                if self.workers.contains_key(&name) {
                    return Err(ApiFailure::conflict(
                        10040,
                        "A Worker with this name already exists.",
                    ));
                }
                let tag = self.register.assign("worker", &name);
                let mut worker = Worker::bare(tag, Some(request.now));
                worker.take_script_fields(&body);
                worker.take_subdomain(&body);
                worker.take_previews_base(&body);
                self.workers.insert(name.clone(), worker);
                self.show_worker(&name)
            }
            (_, [key, rest @ ..]) => {
                let name = self.worker_name(key).ok_or_else(missing)?;
                match (method, rest) {
                    ("GET", []) => self.show_worker(&name),
                    ("PUT" | "PATCH", []) => {
                        let body = object(request, 10003)?;
                        if let Some(worker) = self.workers.get_mut(&name) {
                            worker.take_script_fields(&body);
                            worker.take_subdomain(&body);
                            worker.take_previews_base(&body);
                            worker.modified = Some(request.now);
                        }
                        self.show_worker(&name)
                    }
                    ("DELETE", []) => {
                        self.delete_worker(&name, false)?;
                        Ok(ok_bare())
                    }
                    ("GET", ["versions"]) => {
                        let worker = self.workers.get(&name).ok_or_else(missing)?;
                        let newest: Vec<&Version> = worker.versions.iter().rev().collect();
                        WORKERS.answer(request, &newest, |version| version.beta())
                    }
                    ("GET", ["versions", id]) => {
                        let worker = self.workers.get(&name).ok_or_else(missing)?;
                        let mut newest = worker.versions.iter().rev();
                        newest
                            .find(|version| *id == "latest" || version.id == *id)
                            .map(|version| ok(version.beta()))
                            .ok_or_else(|| ApiFailure::not_found(100_146, "Version not found."))
                    }
                    _ => Err(ApiFailure::no_route(request)),
                }
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    fn list_workers(&self, request: &Request) -> Answer {
        let mut all: Vec<(&String, &Worker)> = self.workers.iter().collect();
        match request.parameter("order_by").unwrap_or("deployed_on") {
            "deployed_on" => all.sort_by_key(|(_, worker)| worker.deployed),
            "updated_on" => all.sort_by_key(|(_, worker)| worker.modified),
            "created_on" => all.sort_by_key(|(_, worker)| worker.created),
            "name" => {}
            _ => return Err(ApiFailure::bad(10003, "invalid order_by")),
        }
        directed(request, "order", "desc", &mut all);
        let dependents = self.dependents();
        WORKERS.answer(request, &all, |(name, worker)| {
            self.draw_worker(name, worker, &dependents)
        })
    }

    fn show_worker(&self, name: &str) -> Answer {
        let worker = self.workers.get(name).ok_or_else(missing)?;
        Ok(ok(self.draw_worker(name, worker, &self.dependents())))
    }

    fn dependents(&self) -> Dependents<'_> {
        let mut found = Dependents::default();
        for (name, worker) in &self.workers {
            for target in worker
                .bindings()
                .iter()
                .filter_map(|binding| binding.target("service"))
            {
                let by = found.workers.entry(target).or_default();
                let shown = json!({ "id": worker.tag, "name": name });
                // One Worker may bind another more than once.
                if target != name && by.last() != Some(&shown) {
                    by.push(shown);
                }
            }
        }
        for domain in self.domains.values() {
            found
                .domains
                .entry(&domain.service)
                .or_default()
                .push(json!({
                    "id": domain.id,
                    "hostname": domain.hostname,
                    "zone_id": self.zone_id(&domain.zone),
                    "zone_name": domain.zone,
                    "certificate_id": uuid(&stable(&["certificate", &domain.id])),
                }));
        }
        found
    }

    fn draw_worker(&self, name: &str, worker: &Worker, dependents: &Dependents<'_>) -> Value {
        let queues: Vec<Value> = self
            .consumed_by(name)
            .into_iter()
            .map(|(id, queue, consumer)| {
                json!({ "queue_id": id, "queue_name": queue, "queue_consumer_id": consumer })
            })
            .collect();
        let objects: Vec<Value> = self
            .namespaces_of_objects
            .iter()
            .filter(|namespace| Owner::Worker(name).has(namespace))
            .map(|namespace| {
                json!({
                    "namespace_id": namespace["id"],
                    "namespace_name": namespace["name"],
                    "worker_id": worker.tag,
                    "worker_name": name,
                })
            })
            .collect();
        let tails: Vec<Value> = worker
            .settings
            .get("tail_consumers")
            .and_then(Value::as_array)
            .map(|tails| {
                tails
                    .iter()
                    .map(|tail| json!({ "name": tail["service"].as_str().or(tail["name"].as_str()) }))
                    .collect()
            })
            .unwrap_or_default();
        let logpush = worker.settings.get("logpush").and_then(Value::as_bool);
        let observability = worker
            .settings
            .get("observability")
            .filter(|value| value.is_object())
            .cloned()
            .unwrap_or_else(|| json!({ "enabled": false, "head_sampling_rate": 1 }));
        let mut shown = json!({
            "id": worker.tag,
            "name": name,
            "deployed_on": null,
            "logpush": logpush.unwrap_or(false),
            "observability": observability,
            "tags": worker.tags,
            "tail_consumers": tails,
            "subdomain": { "enabled": worker.subdomain, "previews_enabled": worker.previews },
            "references": {
                "workers": dependents.workers.get(name).cloned().unwrap_or_default(),
                "domains": dependents.domains.get(name).cloned().unwrap_or_default(),
                "durable_objects": objects,
                "queues": queues,
                "dispatch_namespace_outbounds": [],
            },
        });
        if let Some(base) = &worker.previews_base {
            shown["previews_base_config"] = json!({ "env": Binding::env(base) });
        }
        put(&mut shown, "created_on", worker.created.map(moment));
        put(&mut shown, "updated_on", worker.modified.map(moment));
        put(&mut shown, "deployed_on", worker.deployed.map(moment));
        shown
    }
}

impl Worker {
    /// Takes over the template for new Previews.
    fn take_previews_base(&mut self, body: &serde_json::Map<String, Value>) {
        if let Some(env) = body.get("previews_base_config").map(|base| &base["env"]) {
            self.previews_base = Some(Binding::from_env(env));
        }
    }

    fn take_subdomain(&mut self, body: &serde_json::Map<String, Value>) {
        let Some(subdomain) = body.get("subdomain") else {
            return;
        };
        if let Some(enabled) = subdomain["enabled"].as_bool() {
            self.subdomain = enabled;
        }
        if let Some(enabled) = subdomain["previews_enabled"].as_bool() {
            self.previews = enabled;
        }
    }
}

impl Version {
    /// The version as the newer API shows it.
    fn beta(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "number": self.number,
            "source": self.source,
            "urls": [],
            "bindings": self.bindings.iter().map(Binding::api).collect::<Vec<_>>(),
            "annotations": self.annotations,
            "usage_model": "standard",
        });
        put(&mut shown, "created_on", self.created.map(moment));
        for (field, value) in &self.runtime {
            shown[field] = value.clone();
        }
        shown
    }
}
