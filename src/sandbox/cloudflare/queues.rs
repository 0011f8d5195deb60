//! Queues, their producers and their consumers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, object, ok, put, text, texts};
use super::binding::Bindable;
use super::identity::{moment, stable};
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    created: Option<DateTime<Utc>>,
    modified: Option<DateTime<Utc>>,
    /// Workers that a world names as producers; bindings come on top.
    pub(super) producers: Vec<String>,
    consumers: Vec<Consumer>,
    settings: Value,
    attributes: Map<String, Value>,
}

/// One consumer of a queue.
#[derive(Debug)]
struct Consumer {
    id: String,
    /// A Worker's name; none for one that pulls.
    script: Option<String>,
    created: Option<DateTime<Utc>>,
    dead_letter_queue: Option<String>,
    settings: Value,
}

const QUEUES: Paging = Paging::new(100, 1, 100);

fn missing() -> ApiFailure {
    ApiFailure::not_found(11000, "Queue does not exist. Please create it first.")
}

fn no_consumer() -> ApiFailure {
    ApiFailure::not_found(11004, "Queue consumer does not exist.")
}

impl Consumer {
    fn to_json(&self, queue: &str) -> Value {
        let kind = if self.script.is_some() {
            "worker"
        } else {
            "http_pull"
        };
        let mut shown = json!({
            "consumer_id": self.id,
            "type": kind,
            "queue_name": queue,
            "settings": self.settings,
        });
        put(&mut shown, "created_on", self.created.map(moment));
        put(
            &mut shown,
            "dead_letter_queue",
            self.dead_letter_queue.clone(),
        );
        if let Some(script) = &self.script {
            // The spec says `script_name`; the wire also has these two.
            for field in ["script_name", "script", "service"] {
                shown[field] = json!(script);
            }
            shown["environment"] = json!("production");
        }
        shown
    }
}

fn consumer_settings(given: Option<&Value>) -> Value {
    let mut settings = json!({ "batch_size": 10, "max_retries": 3, "max_wait_time_ms": 5000 });
    if let Some(Value::Object(given)) = given {
        for (field, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            settings[field] = value.clone();
        }
    }
    settings
}

fn queue_settings(given: Option<&Value>) -> Value {
    let mut settings = json!({
        "delivery_delay": 0,
        "delivery_paused": false,
        "message_retention_period": 345_600,
    });
    if let Some(Value::Object(given)) = given {
        for (field, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            settings[field] = value.clone();
        }
    }
    settings
}

/// Queues.
pub(super) struct Queues;

static KIND: WorldKind = WorldKind {
    name: "queue",
    attributes: &["producers", "consumers", "dead_letter_queue"],
    paths: &["/queues"],
};

static BINDABLE: Bindable = Bindable {
    sort: "queue",
    name: "queue",
    field: "queue_name",
    by_id: false,
    pages: Some(("queue_producers", "name")),
};

impl Product for Queues {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.queues.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_queue(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.queue_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["queues", rest @ ..] => Some(cloud.queue_routes(method, rest, request)),
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }
}

impl Cloudflare {
    pub(super) fn add_queue(&mut self, resource: &WorldResource) -> Result<(), ImpossibleResource> {
        let name = &resource.name;
        if self.queues.values().any(|queue| queue.name == *name) {
            return Err(ImpossibleResource::exists("a queue", name));
        }
        let id = self.register.take(resource.id.as_deref(), "queue", name);
        let consumers = texts(&resource.attributes, "consumers")
            .into_iter()
            .map(|script| Consumer {
                id: stable(&["consumer", &id, &script]),
                script: Some(script),
                created: resource.created_at,
                dead_letter_queue: text(&resource.attributes, "dead_letter_queue")
                    .map(ToOwned::to_owned),
                settings: consumer_settings(None),
            })
            .collect();
        let queue = Queue {
            name: name.clone(),
            created: resource.created_at,
            modified: resource.updated_at,
            producers: texts(&resource.attributes, "producers"),
            consumers,
            settings: queue_settings(None),
            attributes: resource.attributes.clone(),
        };
        self.queues.insert(id, queue);
        Ok(())
    }

    pub(super) fn queue_resources(&self) -> Vec<WorldResource> {
        let senders = self.senders();
        self.queues
            .iter()
            .map(|(id, queue)| {
                let mut attributes = queue.attributes.clone();
                let consumers: Vec<&str> = queue
                    .consumers
                    .iter()
                    .filter_map(|consumer| consumer.script.as_deref())
                    .collect();
                attributes.insert("producers".to_owned(), json!(producers(queue, &senders)));
                attributes.insert("consumers".to_owned(), json!(consumers));
                WorldResource {
                    kind: "queue".to_owned(),
                    name: queue.name.clone(),
                    id: Some(id.clone()),
                    created_at: queue.created,
                    updated_at: queue.modified,
                    attributes,
                }
            })
            .collect()
    }

    /// The Workers that bind each queue, by the queue's name.
    fn senders(&self) -> HashMap<&str, Vec<&str>> {
        let mut found: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, worker) in &self.workers {
            for queue in worker
                .bindings()
                .iter()
                .filter_map(|one| one.target("queue"))
            {
                let by = found.entry(queue).or_default();
                if by.last() != Some(&name.as_str()) {
                    by.push(name);
                }
            }
        }
        found
    }

    /// The queues that a Worker consumes: id, name and consumer id.
    pub(super) fn consumed_by(&self, worker: &str) -> Vec<(&str, &str, &str)> {
        let mut found = Vec::new();
        for (id, queue) in &self.queues {
            for consumer in &queue.consumers {
                if consumer.script.as_deref() == Some(worker) {
                    found.push((id.as_str(), queue.name.as_str(), consumer.id.as_str()));
                }
            }
        }
        found
    }

    pub(super) fn queue_routes(
        &mut self,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let wanted = request.parameter("name").filter(|name| !name.is_empty());
                let mut found: Vec<(&String, &Queue)> = self
                    .queues
                    .iter()
                    .filter(|(_, queue)| wanted.is_none_or(|name| queue.name == name))
                    .collect();
                found.sort_by_key(|(_, queue)| &queue.name);
                let senders = self.senders();
                QUEUES.answer(request, &found, |(id, queue)| to_json(id, queue, &senders))
            }
            ("POST", []) => {
                let body = object(request, 11003)?;
                let Some(name) = text(&body, "queue_name").filter(|name| !name.is_empty()) else {
                    return Err(ApiFailure::bad(11003, "queue_name is required"));
                };
                if self.queues.values().any(|queue| queue.name == name) {
                    return Err(ApiFailure::conflict(
                        11009,
                        format!(
                            "Queue name '{name}' is already taken. Please use a different name \
                             and try again."
                        ),
                    ));
                }
                let id = self.register.assign("queue", name);
                let queue = Queue {
                    name: name.to_owned(),
                    created: Some(request.now),
                    modified: Some(request.now),
                    producers: Vec::new(),
                    consumers: Vec::new(),
                    settings: queue_settings(body.get("settings")),
                    attributes: Map::new(),
                };
                let shown = to_json(&id, &queue, &self.senders());
                self.queues.insert(id, queue);
                Ok(ok(shown))
            }
            ("GET", [id]) => {
                let queue = self.queues.get(*id).ok_or_else(missing)?;
                Ok(ok(to_json(id, queue, &self.senders())))
            }
            ("PUT" | "PATCH", [id]) => {
                let body = object(request, 11003)?;
                let queue = self.queues.get_mut(*id).ok_or_else(missing)?;
                if let Some(name) = text(&body, "queue_name").filter(|name| !name.is_empty()) {
                    name.clone_into(&mut queue.name);
                }
                if body.contains_key("settings") {
                    queue.settings = queue_settings(body.get("settings"));
                }
                queue.modified = Some(request.now);
                let queue = self.queues.get(*id).ok_or_else(missing)?;
                Ok(ok(to_json(id, queue, &self.senders())))
            }
            ("DELETE", [id]) => self.delete_queue(id),
            (_, [id, "consumers", rest @ ..]) => self.consumers(method, id, rest, request),
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    fn delete_queue(&mut self, id: &str) -> Answer {
        let queue = self.queues.get(id).ok_or_else(missing)?;
        let producing = producers(queue, &self.senders())
            .into_iter()
            .find(|name| self.workers.contains_key(name));
        if let Some(worker) = producing {
            return Err(ApiFailure::bad(
                11005,
                format!(
                    "Queue '{}' is still referenced by the producer Worker '{worker}'. Please \
                     remove its binding before deleting the queue.",
                    queue.name
                ),
            ));
        }
        let consuming = queue
            .consumers
            .iter()
            .filter_map(|consumer| consumer.script.as_deref())
            .find(|name| self.workers.contains_key(*name));
        if let Some(worker) = consuming {
            return Err(ApiFailure::bad(
                11005,
                format!(
                    "Queue '{}' still has the consumer '{worker}'. Please remove it before \
                     deleting the queue.",
                    queue.name
                ),
            ));
        }
        self.queues.remove(id);
        Ok(ok(Value::Null))
    }

    fn consumers(&mut self, method: &str, id: &str, path: &[&str], request: &Request) -> Answer {
        let queue = self.queues.get_mut(id).ok_or_else(missing)?;
        match (method, path) {
            ("GET", []) => {
                let shown: Vec<Value> = queue
                    .consumers
                    .iter()
                    .map(|consumer| consumer.to_json(&queue.name))
                    .collect();
                Ok(ok(Value::Array(shown)))
            }
            ("POST", []) => {
                let body = object(request, 11003)?;
                let script = text(&body, "script_name").map(ToOwned::to_owned);
                if let Some(script) = &script {
                    if !self.workers.contains_key(script) {
                        return Err(ApiFailure::not_found(
                            10007,
                            "This Worker does not exist on your account.",
                        ));
                    }
                    if queue.consumers.iter().any(|known| known.script.is_some()) {
                        return Err(ApiFailure::conflict(
                            11004,
                            format!("Queue '{}' already has a consumer.", queue.name),
                        ));
                    }
                }
                let label = script.as_deref().unwrap_or("pull");
                let consumer = Consumer {
                    id: self.register.assign("consumer", &format!("{id} {label}")),
                    script,
                    created: Some(request.now),
                    dead_letter_queue: text(&body, "dead_letter_queue").map(ToOwned::to_owned),
                    settings: consumer_settings(body.get("settings")),
                };
                let shown = consumer.to_json(&queue.name);
                queue.consumers.push(consumer);
                queue.modified = Some(request.now);
                Ok(ok(shown))
            }
            ("GET", [consumer]) => queue
                .consumers
                .iter()
                .find(|known| known.id == *consumer)
                .map(|known| ok(known.to_json(&queue.name)))
                .ok_or_else(no_consumer),
            ("PUT", [consumer]) => {
                let body = object(request, 11003)?;
                let name = queue.name.clone();
                let known = queue
                    .consumers
                    .iter_mut()
                    .find(|known| known.id == *consumer)
                    .ok_or_else(no_consumer)?;
                known.settings = consumer_settings(body.get("settings"));
                Ok(ok(known.to_json(&name)))
            }
            ("DELETE", [consumer]) => {
                let before = queue.consumers.len();
                queue.consumers.retain(|known| known.id != *consumer);
                if queue.consumers.len() == before {
                    return Err(no_consumer());
                }
                Ok(ok(Value::Null))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

/// The Workers that send to a queue: those that the world names, then those
/// that bind it.
fn producers(queue: &Queue, senders: &HashMap<&str, Vec<&str>>) -> Vec<String> {
    let mut names = queue.producers.clone();
    for name in senders.get(queue.name.as_str()).into_iter().flatten() {
        if !names.iter().any(|known| known == name) {
            names.push((*name).to_owned());
        }
    }
    names
}

fn to_json(id: &str, queue: &Queue, senders: &HashMap<&str, Vec<&str>>) -> Value {
    let producers: Vec<Value> = producers(queue, senders)
        .iter()
        .map(|script| {
            json!({
                "type": "worker",
                "script": script,
                "service": script,
                "environment": "production",
            })
        })
        .collect();
    let consumers: Vec<Value> = queue
        .consumers
        .iter()
        .map(|consumer| consumer.to_json(&queue.name))
        .collect();
    let mut shown = json!({
        "queue_id": id,
        "queue_name": queue.name,
        "producers_total_count": producers.len(),
        "producers": producers,
        "consumers_total_count": consumers.len(),
        "consumers": consumers,
        "settings": queue.settings,
    });
    put(&mut shown, "created_on", queue.created.map(moment));
    put(&mut shown, "modified_on", queue.modified.map(moment));
    shown
}
