//! Workers as a world file has them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, tail_consumers, text, texts};
use super::binding::{Bindable, Binding};
use super::containers::Owner;
use super::dispatch::UserWorker;
use super::identity::{stable, uuid};
use super::product::Product;
use super::worker::{Version, Worker};
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// The attributes of a Worker that have a place of their own.
const KNOWN: [&str; 8] = [
    "bindings",
    "versions",
    "tail_consumers",
    "custom_domains",
    "tags",
    "handlers",
    "has_assets",
    "last_deployed_from",
];

/// Workers.
pub(super) struct Workers;

static KIND: WorldKind = WorldKind {
    name: "worker",
    attributes: &[
        "bindings",
        "custom_domains",
        "tags",
        "has_assets",
        "handlers",
        "migration_tag",
        "last_deployed_from",
        "tail_consumers",
        "versions",
        "previews_base_config",
        "dispatch_namespace",
    ],
    paths: &["/workers/scripts", "/workers/workers", "/workers/services"],
};

static BINDABLE: Bindable = Bindable {
    sort: "service",
    name: "service",
    field: "service",
    by_id: false,
    pages: Some(("services", "service")),
};

impl Product for Workers {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        let mut workers = cloud.workers.values();
        workers.any(|worker| worker.tag == id && !worker.implied)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_worker(resource, now)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.worker_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["workers", "scripts-search"] if method == "GET" => Some(cloud.search_scripts(request)),
            ["workers", "scripts", rest @ ..] => Some(cloud.scripts(method, rest, request)),
            ["workers", "assets", "upload"] if method == "POST" => {
                Some(cloud.upload_assets(request))
            }
            ["workers", "services", name] => Some(cloud.services(method, name, request)),
            ["workers", "workers", _, "previews", ..] => None,
            ["workers", "workers", rest @ ..] => Some(cloud.workers_beta(method, rest, request)),
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }

    fn bindings<'c>(&self, cloud: &'c mut Cloudflare) -> Vec<&'c mut Binding> {
        let all = cloud.workers.values_mut().flat_map(|worker| {
            let versions = worker.versions.iter_mut();
            let bindings = versions.flat_map(|version| &mut version.bindings);
            bindings.chain(worker.previews_base.iter_mut().flatten())
        });
        all.collect()
    }
}

impl Cloudflare {
    /// Makes a Worker, its custom domains and their records.
    #[expect(
        clippy::too_many_lines,
        reason = "one attribute of a world file after another"
    )]
    pub(super) fn add_worker(
        &mut self,
        resource: &WorldResource,
        now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let name = &resource.name;
        if self.workers.get(name).is_some_and(|known| !known.implied) {
            return Err(ImpossibleResource::exists("a worker", name));
        }
        let attributes = &resource.attributes;
        let list = |value: Option<&Value>| match value {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(Binding::from_world).collect(),
            Some(_) => Err(ImpossibleResource(format!(
                "worker {name}: bindings are not a list"
            ))),
        };
        // The versions, oldest first, each with its share of the traffic; a
        // Worker without any was never uploaded to.
        let uploaded: Vec<(Vec<Binding>, Option<Value>)> = match attributes.get("versions") {
            Some(Value::Array(versions)) => versions
                .iter()
                .map(|version| {
                    let share = version.get("percentage").filter(|share| !share.is_null());
                    Ok((list(version.get("bindings"))?, share.cloned()))
                })
                .collect::<Result<_, ImpossibleResource>>()?,
            _ => vec![(list(attributes.get("bindings"))?, Some(json!(100)))],
        };
        if let Some(namespace) = text(attributes, "dispatch_namespace") {
            let bindings = uploaded.into_iter().next_back();
            let script = UserWorker {
                bindings: bindings.map(|(bindings, _)| bindings).unwrap_or_default(),
                tails: tail_consumers(attributes),
            };
            self.dispatch(namespace, name, script);
            return Ok(());
        }
        let implied = self.workers.remove(name);
        let tag = match (&resource.id, implied) {
            (None, Some(implied)) => implied.tag,
            (id, _) => self.register.take(id.as_deref(), "worker", name),
        };
        let mut worker = Worker::bare(tag, None);
        worker.created = resource.created_at;
        worker.modified = resource.updated_at;
        worker.tags = texts(attributes, "tags");
        worker.last_deployed_from = Some(
            text(attributes, "last_deployed_from")
                .unwrap_or("wrangler")
                .to_owned(),
        );
        worker.subdomain = true;
        worker.attributes = attributes
            .iter()
            .filter(|(field, _)| !KNOWN.contains(&field.as_str()))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect();
        let mut handlers = texts(attributes, "handlers");
        if handlers.is_empty() {
            handlers.push("fetch".to_owned());
        }
        let mut runtime = Map::new();
        for field in ["compatibility_date", "migration_tag"] {
            if let Some(value) = attributes.get(field).filter(|value| value.is_string()) {
                runtime.insert(field.to_owned(), value.clone());
            }
        }
        let tails = tail_consumers(attributes).into_iter();
        let tails: Vec<Value> = tails.map(|tail| json!({ "service": tail })).collect();
        if !tails.is_empty() {
            worker
                .settings
                .insert("tail_consumers".to_owned(), json!(tails));
        }
        if let Some(base) = attributes.get("previews_base_config") {
            worker.previews_base = Some(list(base.get("bindings"))?);
        }
        let mut serving = Vec::new();
        for (bindings, share) in uploaded {
            let number = worker.versions.len() + 1;
            let version = Version {
                id: uuid(&stable(&["version", &worker.tag, &number.to_string()])),
                number,
                created: resource.updated_at.or(resource.created_at),
                bindings,
                handlers: handlers.clone(),
                runtime: runtime.clone(),
                annotations: Map::new(),
                has_assets: attributes.get("has_assets").and_then(Value::as_bool) == Some(true),
                has_modules: true,
                source: "wrangler",
                etag: worker.etag.clone(),
            };
            if let Some(share) = share {
                serving.push(json!({ "version_id": version.id, "percentage": share }));
            }
            worker.versions.push(version);
        }
        if let (Some(newest), false) = (worker.versions.last().cloned(), serving.is_empty()) {
            worker.deploy(&newest, Map::new());
            if let Some(deployment) = worker.deployments.last_mut() {
                deployment.versions = json!(serving);
            }
        }
        self.workers.insert(name.clone(), worker);
        for hostname in texts(attributes, "custom_domains") {
            self.make_domain(&hostname, name, None, resource.created_at.unwrap_or(now));
        }
        Ok(())
    }

    /// The Workers in world format.
    pub(super) fn worker_resources(&self) -> Vec<WorldResource> {
        let names = self.names_of_targets();
        let mut domains: HashMap<&str, Vec<&str>> = HashMap::new();
        for domain in self.domains.values() {
            domains
                .entry(&domain.service)
                .or_default()
                .push(&domain.hostname);
        }
        self.workers
            .iter()
            .filter(|(_, worker)| !worker.implied)
            .map(|(name, worker)| {
                let mut attributes = worker.attributes.clone();
                let bindings: Vec<Value> = worker
                    .bindings()
                    .iter()
                    .map(|binding| binding.world(&names))
                    .collect();
                attributes.insert("bindings".to_owned(), json!(bindings));
                let tails = worker.settings.get("tail_consumers");
                let tails = tails.and_then(Value::as_array).into_iter().flatten();
                let tails: Vec<&Value> = tails.map(|tail| &tail["service"]).collect();
                if !tails.is_empty() {
                    attributes.insert("tail_consumers".to_owned(), json!(tails));
                }
                let hostnames = domains.get(name.as_str()).cloned().unwrap_or_default();
                attributes.insert("custom_domains".to_owned(), json!(hostnames));
                if !worker.tags.is_empty() {
                    attributes.insert("tags".to_owned(), json!(worker.tags));
                }
                if let Some(version) = worker.versions.last() {
                    if version.handlers != ["fetch"] {
                        attributes.insert("handlers".to_owned(), json!(version.handlers));
                    }
                    if version.has_assets {
                        attributes.insert("has_assets".to_owned(), json!(true));
                    }
                }
                WorldResource {
                    kind: "worker".to_owned(),
                    name: name.clone(),
                    id: Some(worker.tag.clone()),
                    created_at: worker.created,
                    updated_at: worker.modified,
                    attributes,
                }
            })
            .collect()
    }

    /// Takes a Worker away with what goes with it: its Previews, its custom
    /// domains and their records, its place as a producer.
    pub(super) fn remove_worker(&mut self, name: &str) {
        let Some(worker) = self.workers.remove(name) else {
            return;
        };
        let hostnames: Vec<String> = self
            .domains
            .values()
            .filter(|domain| domain.service == name)
            .map(|domain| domain.hostname.clone())
            .collect();
        for hostname in hostnames {
            self.remove_domain(&hostname);
        }
        let previews = self.previews.extract_if(.., |_, one| one.worker == name);
        let previews: Vec<String> = previews.map(|(id, _)| id).collect();
        for id in previews {
            self.remove_namespaces_of(Owner::Preview(&id));
        }
        for queue in self.queues.values_mut() {
            queue.producers.retain(|producer| producer != name);
        }
        self.remove_namespaces_of(Owner::Worker(name));
        drop(worker);
    }
}
