//! Cloudflare in the sandbox: one account with its zones, Workers, storage, DNS
//! and Pages, behind the v4 API's envelope.

mod access;
mod account;
mod answer;
mod assets;
mod binding;
mod containers;
mod d1;
mod d1_dump;
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
mod product;
mod queues;
mod r2;
mod routes;
mod scripts;
mod scripts_traffic;
pub(super) mod storage;
mod tunnels;
mod upload;
mod vectorize;
mod versions;
mod worker;
mod worker_world;
mod workers_beta;
mod workflows;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, SubsecRound, Utc};
use http::StatusCode;
use serde_json::Value;

use super::message::{Request, Response};
use super::provider::{ImpossibleResource, ProviderApi, WorldKind};
use super::world;
use answer::{Answer, ApiFailure};
use binding::Ids;
use identity::{Register, is_id};
use product::Product;

/// The state of one Cloudflare account, and its HTTP API.
#[derive(Debug, Default)]
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
    databases: BTreeMap<String, d1_dump::Database>,
    /// What exports and imports of databases give signed addresses to.
    store: storage::Store,
    /// By name.
    buckets: BTreeMap<String, r2::Bucket>,
    /// By id.
    queues: BTreeMap<String, queues::Queue>,
    /// By id.
    hyperdrives: BTreeMap<String, hyperdrive::Config>,
    /// By name.
    indexes: BTreeMap<String, vectorize::Index>,
    /// By name.
    workflows: BTreeMap<String, workflows::Workflow>,
    /// By name.
    projects: BTreeMap<String, pages::Project>,
    /// By id.
    applications: access::Applications,
    /// By id.
    tunnels: tunnels::Tunnels,
    /// By id.
    previews: BTreeMap<String, previews::Preview>,
    /// The Workers of dispatch namespaces: bindings by namespace and script.
    dispatched: dispatch::Namespaces,
    assets: assets::Assets,
    /// By id.
    containers: containers::Applications,
    /// Durable Object namespaces, as they are answered.
    namespaces_of_objects: Vec<Value>,
    /// The account's name under `workers.dev`.
    subdomain: Option<String>,
    register: Register,
    /// Bindings that a world names may now resolve to their targets.
    unsettled: bool,
}

#[derive(Debug, Default)]
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

/// The products, in the order in which a world is exported.
static PRODUCTS: &[&dyn Product] = &[
    &worker_world::Workers,
    &kv::Kv,
    &dns::Dns,
    &domains::Domains,
    &routes::Routes,
    &previews::Previews,
    &d1::D1,
    &r2::R2,
    &queues::Queues,
    &hyperdrive::Hyperdrive,
    &vectorize::Vectorize,
    &access::Access,
    &tunnels::AllTunnels,
    &containers::Containers,
    &workflows::Workflows,
    &pages::Pages,
    &dispatch::Dispatch,
];

/// The kinds of a world file that Cloudflare has.
pub(super) fn kinds() -> impl Iterator<Item = &'static WorldKind> {
    PRODUCTS.iter().filter_map(|product| product.kind())
}

/// The types of bindings in a world file that name a resource.
pub(super) fn bindable() -> impl Iterator<Item = &'static str> {
    let bindable = PRODUCTS.iter().filter_map(|product| product.bindable());
    bindable.map(|one| one.name)
}

impl Cloudflare {
    /// Creates an account without resources; missing ids are generated.
    #[must_use]
    pub fn new(account: Option<world::WorldAccount>, zones: &[world::WorldZone]) -> Self {
        let (id, name) = account.map_or((None, None), |account| (account.id, account.name));
        let mut cloudflare = Self {
            account: Account {
                id: id.unwrap_or_else(|| identity::stable(&["account"])),
                name: name.unwrap_or_else(|| "Sandbox".to_owned()),
            },
            subdomain: Some("sandbox".to_owned()),
            ..Self::default()
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

    /// Answers a request to a signed address.
    pub(super) fn answer_signed(&mut self, request: &Request) -> Response {
        self.store.answer(request)
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
    fn known_zone(&self, host: &str, asked: Option<&str>) -> Result<String, ApiFailure> {
        self.zones
            .values()
            .filter(|zone| match asked {
                Some(asked) => zone.id == asked || zone.name.eq_ignore_ascii_case(asked),
                None => within(host, &zone.name),
            })
            .max_by_key(|zone| zone.name.len())
            .map(|zone| zone.name.clone())
            .ok_or_else(|| ApiFailure::bad(10082, format!("Could not find zone for `{host}`.")))
    }

    fn ensure_zone(&mut self, name: &str) -> String {
        if !self.zones.contains_key(name) {
            let id = self.register.assign("zone", name);
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

    /// Resolves bindings that a world names to the ids of their targets.
    fn settle(&mut self) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        let mut ids = Ids::new();
        for product in PRODUCTS {
            let Some(bindable) = product.bindable() else {
                continue;
            };
            for (id, name) in product.targets(self) {
                ids.insert((bindable.sort, name.to_owned()), id.to_owned());
            }
        }
        for product in PRODUCTS {
            for binding in product.bindings(self) {
                binding.settle(&ids);
            }
        }
        self.settle_containers();
    }

    /// Returns the current names of everything that is bound by id.
    fn names_of_targets(&self) -> HashMap<&str, &str> {
        let targets = PRODUCTS.iter().flat_map(|product| product.targets(self));
        targets.collect()
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
                    rest => {
                        let mut products = PRODUCTS.iter();
                        let answer = products.find_map(|product| {
                            product.route_in_zone(self, method, &zone, rest, request)
                        });
                        answer.unwrap_or_else(|| Err(ApiFailure::no_route(request)))
                    }
                }
            }
            rest => self.top_level_routes(method, rest, request),
        }
    }

    fn route_account(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        let mut products = PRODUCTS.iter();
        let answer = products.find_map(|product| product.route(self, method, path, request));
        answer.unwrap_or_else(|| self.account_routes(method, path, request))
    }

    fn check_account(&self, id: &str, request: &Request) -> Result<(), ApiFailure> {
        if id == self.account.id {
            Ok(())
        } else if is_id(id) {
            Err(ApiFailure::new(
                StatusCode::FORBIDDEN,
                9109,
                "Unauthorized to access requested resource",
            ))
        } else {
            Err(ApiFailure::no_route(request))
        }
    }

    fn check_zone(&self, id: &str, request: &Request) -> Result<String, ApiFailure> {
        match self.zones.values().find(|zone| zone.id == id) {
            Some(zone) => Ok(zone.name.clone()),
            None if is_id(id) => Err(ApiFailure::new(
                StatusCode::FORBIDDEN,
                9109,
                "Invalid zone identifier",
            )),
            None => Err(ApiFailure::no_route(request)),
        }
    }
}

impl ProviderApi for Cloudflare {
    fn kinds(&self) -> Vec<&'static WorldKind> {
        kinds().collect()
    }

    fn add(
        &mut self,
        resource: &world::WorldResource,
        now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let kind = &resource.kind;
        let is = |product: &&&dyn Product| product.kind().is_some_and(|one| one.name == *kind);
        let Some(product) = PRODUCTS.iter().find(is) else {
            return Err(ImpossibleResource(format!("cloudflare has no kind {kind}")));
        };
        if let Some(id) = &resource.id
            && product.has_id(self, id)
        {
            return Err(ImpossibleResource(format!(
                "a {kind} with id {id} exists already"
            )));
        }
        self.unsettled = true;
        product.add(self, resource, now)
    }

    fn resources(&self) -> Vec<world::WorldResource> {
        let resources = PRODUCTS.iter().map(|product| product.resources(self));
        resources.flatten().collect()
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
