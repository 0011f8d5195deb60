//! Cloudflare in the sandbox: one account with its zones, Workers, storage, DNS
//! and Pages, behind the v4 API's envelope.

mod account;
mod answer;
mod binding;
mod d1;
mod dispatch;
mod dns;
mod dns_filter;
mod dns_routes;
mod domains;
mod hyperdrive;
mod identity;
mod kv;
mod kv_values;
mod pages;
mod pages_json;
mod previews;
mod queues;
mod r2;
mod routes;
mod scripts;
mod scripts_traffic;
mod upload;
mod versions;
mod worker;
mod worker_world;
mod workers_beta;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, SubsecRound, Utc};
use http::StatusCode;
use serde_json::Value;

use super::message::{Request, Response};
use super::provider::{ProviderApi, Refusal};
use super::world;
use answer::{Answer, Failure};
use binding::Ids;
use identity::{Register, is_id};

/// The state of one Cloudflare account, and its HTTP API.
#[derive(Debug)]
pub struct Cloudflare {
    account: Account,
    /// By name.
    zones: BTreeMap<String, Zone>,
    /// By script name.
    workers: BTreeMap<String, worker::Worker>,
    /// By hostname.
    domains: BTreeMap<String, domains::Domain>,
    /// By id.
    routes: BTreeMap<String, routes::Route>,
    /// By id.
    namespaces: BTreeMap<String, kv_values::Namespace>,
    /// The titles of the KV namespaces.
    titles: HashSet<String>,
    /// By id.
    records: BTreeMap<String, dns::Record>,
    /// The id of the managed record of a custom domain's hostname.
    managed: HashMap<String, String>,
    /// By UUID.
    databases: BTreeMap<String, d1::Database>,
    /// By name.
    buckets: BTreeMap<String, r2::Bucket>,
    /// By id.
    queues: BTreeMap<String, queues::Queue>,
    /// By id.
    hyperdrives: BTreeMap<String, hyperdrive::Config>,
    /// By name.
    projects: BTreeMap<String, pages::Project>,
    /// By id.
    previews: BTreeMap<String, previews::Preview>,
    /// The Workers of dispatch namespaces: bindings by namespace and script.
    dispatched: dispatch::Namespaces,
    /// Durable Object namespaces, as they are answered.
    namespaces_of_objects: Vec<Value>,
    /// The account's name under `workers.dev`.
    subdomain: Option<String>,
    register: Register,
    /// Bindings that a world names may now resolve to their targets.
    unsettled: bool,
}

#[derive(Debug)]
struct Account {
    id: String,
    name: String,
}

#[derive(Debug)]
struct Zone {
    id: String,
    name: String,
    /// Defined by the world, not created for a name in it.
    given: bool,
}

/// The kinds of a world file that live at Cloudflare.
const KINDS: [&str; 11] = [
    "worker",
    "kv_namespace",
    "dns_record",
    "worker_domain",
    "worker_route",
    "worker_preview",
    "d1",
    "r2",
    "queue",
    "hyperdrive",
    "pages_deployment",
];

impl Cloudflare {
    /// Creates an account without resources; missing ids are generated.
    #[must_use]
    pub fn new(account: Option<world::Account>, zones: &[world::Zone]) -> Self {
        let (id, name) = account.map_or((None, None), |account| (account.id, account.name));
        let mut cloudflare = Self {
            account: Account {
                id: id.unwrap_or_else(|| identity::stable(&["account"])),
                name: name.unwrap_or_else(|| "Sandbox".to_owned()),
            },
            zones: BTreeMap::new(),
            workers: BTreeMap::new(),
            domains: BTreeMap::new(),
            routes: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            titles: HashSet::new(),
            records: BTreeMap::new(),
            managed: HashMap::new(),
            databases: BTreeMap::new(),
            buckets: BTreeMap::new(),
            queues: BTreeMap::new(),
            hyperdrives: BTreeMap::new(),
            projects: BTreeMap::new(),
            previews: BTreeMap::new(),
            dispatched: BTreeMap::new(),
            namespaces_of_objects: Vec::new(),
            subdomain: Some("sandbox".to_owned()),
            register: Register::default(),
            unsettled: false,
        };
        for zone in zones {
            let name = domain_name(&zone.name);
            let id = cloudflare.register.take(zone.id.as_deref(), "zone", &name);
            cloudflare.zones.insert(
                name.clone(),
                Zone {
                    id,
                    name,
                    given: true,
                },
            );
        }
        cloudflare
    }

    /// The id of the one account.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.account.id
    }

    /// The ids of the zones, in the order of their names.
    #[must_use]
    pub fn zone_ids(&self) -> Vec<String> {
        self.zones.values().map(|zone| zone.id.clone()).collect()
    }

    /// Returns the zone of a host: the requested one, else the longest matching
    /// one of the world, else one with its last two labels, which is created if
    /// missing.
    fn zone_of(&mut self, host: &str, asked: Option<&str>) -> String {
        let host = domain_name(host);
        if let Some(asked) = asked {
            if let Some(zone) = self.zones.values().find(|zone| zone.id == asked) {
                return zone.name.clone();
            }
            return self.ensure_zone(&domain_name(asked));
        }
        let fitting = self
            .zones
            .values()
            .filter(|zone| zone.given && within(&host, &zone.name))
            .max_by_key(|zone| zone.name.len())
            .map(|zone| zone.name.clone());
        if let Some(name) = fitting {
            return name;
        }
        let labels: Vec<&str> = host.split('.').collect();
        let name = labels[labels.len().saturating_sub(2)..].join(".");
        self.ensure_zone(&name)
    }

    /// The name of the zone that a client means, if there is one.
    fn known_zone(&self, host: &str, asked: Option<&str>) -> Result<String, Failure> {
        self.zones
            .values()
            .filter(|zone| match asked {
                Some(asked) => zone.id == asked || zone.name.eq_ignore_ascii_case(asked),
                None => within(host, &zone.name),
            })
            .max_by_key(|zone| zone.name.len())
            .map(|zone| zone.name.clone())
            .ok_or_else(|| Failure::bad(10082, format!("Could not find zone for `{host}`.")))
    }

    fn ensure_zone(&mut self, name: &str) -> String {
        if !self.zones.contains_key(name) {
            let id = self.register.give("zone", name);
            self.zones.insert(
                name.to_owned(),
                Zone {
                    id,
                    name: name.to_owned(),
                    given: false,
                },
            );
        }
        name.to_owned()
    }

    fn zone_id(&self, name: &str) -> String {
        self.zones
            .get(name)
            .map_or_else(String::new, |zone| zone.id.clone())
    }

    /// Returns whether an id of a kind is taken.
    fn has_id(&self, kind: &str, id: &str) -> bool {
        match kind {
            "worker" => self
                .workers
                .values()
                .any(|worker| worker.tag == id && !worker.implied),
            "kv_namespace" => self.namespaces.contains_key(id),
            "dns_record" => self.records.get(id).is_some_and(|record| !record.is_made()),
            "worker_route" => self.routes.contains_key(id),
            "worker_preview" => self.previews.contains_key(id),
            "d1" => self.databases.contains_key(id),
            "queue" => self.queues.contains_key(id),
            "hyperdrive" => self.hyperdrives.contains_key(id),
            _ => false,
        }
    }

    /// Resolves bindings that a world names to the ids of their targets.
    fn settle(&mut self) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        let mut ids = Ids::new();
        for (id, namespace) in &self.namespaces {
            ids.insert(("kv_namespace", namespace.title.clone()), id.clone());
        }
        for (id, database) in &self.databases {
            ids.insert(("d1", database.name.clone()), id.clone());
        }
        for (id, config) in &self.hyperdrives {
            ids.insert(("hyperdrive", config.name.clone()), id.clone());
        }
        let of_workers = self.workers.values_mut().flat_map(|worker| {
            let versions = worker.versions.iter_mut();
            let bindings = versions.flat_map(|version| &mut version.bindings);
            bindings.chain(worker.previews_base.iter_mut().flatten())
        });
        let of_previews = self
            .previews
            .values_mut()
            .flat_map(|preview| &mut preview.deployments)
            .flat_map(|deployment| &mut deployment.bindings);
        let of_projects = self
            .projects
            .values_mut()
            .flat_map(|project| project.bindings.iter_mut().flatten());
        let of_dispatched = self
            .dispatched
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .flatten();
        for binding in of_workers
            .chain(of_previews)
            .chain(of_projects)
            .chain(of_dispatched)
        {
            binding.settle(&ids);
        }
    }

    /// Returns the current names of everything that is bound by id.
    fn names_of_targets(&self) -> HashMap<&str, &str> {
        let namespaces = self
            .namespaces
            .iter()
            .map(|(id, namespace)| (id.as_str(), namespace.title.as_str()));
        let databases = self
            .databases
            .iter()
            .map(|(id, database)| (id.as_str(), database.name.as_str()));
        let configs = self
            .hyperdrives
            .iter()
            .map(|(id, config)| (id.as_str(), config.name.as_str()));
        namespaces.chain(databases).chain(configs).collect()
    }

    fn route(&mut self, request: &Request) -> Answer {
        let path = request.path();
        let method = request.method.as_str();
        match path.as_slice() {
            ["accounts", account, rest @ ..] if !rest.is_empty() || method == "GET" => {
                self.check_account(account, request)?;
                self.route_account(method, rest, request)
            }
            ["zones", zone, rest @ ..] => {
                let zone = self.check_zone(zone, request)?;
                match rest {
                    [] if method == "GET" => Ok(self.one_zone(&zone)),
                    // The sandbox has no page rules.
                    ["pagerules"] if method == "GET" => Ok(answer::ok(serde_json::json!([]))),
                    ["dns_records", rest @ ..] => self.dns(method, &zone, rest, request),
                    ["workers", "routes", rest @ ..] => {
                        self.zone_routes(method, &zone, rest, request)
                    }
                    _ => Err(Failure::no_route(request)),
                }
            }
            rest => self.home(method, rest, request),
        }
    }

    fn route_account(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match path {
            ["workers", "scripts-search"] if method == "GET" => self.search_scripts(request),
            ["workers", "scripts", rest @ ..] => self.scripts(method, rest, request),
            ["workers", "services", name] => self.services(method, name, request),
            ["workers", "workers", worker, "previews", rest @ ..] => {
                self.worker_previews(method, worker, rest, request)
            }
            ["workers", "workers", rest @ ..] => self.workers_beta(method, rest, request),
            ["workers", "dispatch", "namespaces", rest @ ..] => {
                self.dispatch_namespaces(method, rest, request)
            }
            ["workers", "domains", rest @ ..] => self.worker_domains(method, rest, request),
            ["storage", "kv", "namespaces", rest @ ..] => self.kv(method, rest, request),
            ["d1", "database", rest @ ..] => self.d1(method, rest, request),
            ["r2", "buckets", rest @ ..] => self.r2(method, rest, request),
            ["queues", rest @ ..] => self.queue_routes(method, rest, request),
            ["hyperdrive", "configs", rest @ ..] => self.hyperdrive(method, rest, request),
            ["pages", "projects", rest @ ..] => self.pages(method, rest, request),
            rest => self.account_routes(method, rest, request),
        }
    }

    fn check_account(&self, id: &str, request: &Request) -> Result<(), Failure> {
        if id == self.account.id {
            Ok(())
        } else if is_id(id) {
            Err(Failure::new(
                StatusCode::FORBIDDEN,
                9109,
                "Unauthorized to access requested resource",
            ))
        } else {
            Err(Failure::no_route(request))
        }
    }

    fn check_zone(&self, id: &str, request: &Request) -> Result<String, Failure> {
        match self.zones.values().find(|zone| zone.id == id) {
            Some(zone) => Ok(zone.name.clone()),
            None if is_id(id) => Err(Failure::new(
                StatusCode::FORBIDDEN,
                9109,
                "Invalid zone identifier",
            )),
            None => Err(Failure::no_route(request)),
        }
    }
}

impl ProviderApi for Cloudflare {
    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    fn add(&mut self, resource: &world::Resource, now: DateTime<Utc>) -> Result<(), Refusal> {
        if let Some(id) = &resource.id
            && self.has_id(&resource.kind, id)
        {
            let kind = &resource.kind;
            return Err(Refusal(format!("a {kind} with id {id} exists already")));
        }
        self.unsettled = true;
        match resource.kind.as_str() {
            "worker" => self.add_worker(resource, now),
            "kv_namespace" => self.add_namespace(resource),
            "dns_record" => self.add_record(resource),
            "worker_domain" => self.add_domain(resource, now),
            "worker_route" => self.add_route(resource),
            "worker_preview" => self.add_preview(resource),
            "d1" => self.add_database(resource),
            "r2" => self.add_bucket(resource),
            "queue" => self.add_queue(resource),
            "hyperdrive" => self.add_hyperdrive(resource),
            "pages_deployment" => self.add_pages_deployment(resource),
            other => Err(Refusal(format!("cloudflare has no kind {other}"))),
        }
    }

    fn resources(&self) -> Vec<world::Resource> {
        let mut all = self.worker_resources();
        all.extend(self.namespace_resources());
        all.extend(self.record_resources());
        all.extend(self.domain_resources());
        all.extend(self.route_resources());
        all.extend(self.preview_resources());
        all.extend(self.database_resources());
        all.extend(self.bucket_resources());
        all.extend(self.queue_resources());
        all.extend(self.hyperdrive_resources());
        all.extend(self.pages_resources());
        all
    }

    fn answer(&mut self, request: &Request) -> Response {
        self.settle();
        // Times are stored with the precision that answers show.
        let mut request = request.clone();
        request.now = request.now.trunc_subsecs(6);
        match self.route(&request) {
            Ok(response) => response,
            Err(failure) => failure.response(),
        }
    }
}

/// Normalises a domain name for comparison: lower case, no final dot.
fn domain_name(text: &str) -> String {
    text.trim_end_matches('.').to_ascii_lowercase()
}

/// Returns whether a host is a zone's apex or below it.
fn within(host: &str, zone: &str) -> bool {
    host == zone
        || host
            .strip_suffix(zone)
            .is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests;
