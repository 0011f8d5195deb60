//! Custom domains of Workers, and the managed DNS records that they make.

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{Answer, ApiFailure, Paging, array, object, ok, ok_bare, text};
use super::dns::Record;
use super::identity::{stable, uuid};
use super::product::Product;
use super::{Cloudflare, domain_name};
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// A hostname that a Worker serves.
#[derive(Debug, Clone)]
pub(super) struct Domain {
    pub(super) id: String,
    pub(super) hostname: String,
    /// The Worker's name.
    pub(super) service: String,
    /// The zone's name.
    pub(super) zone: String,
    /// Created by a Worker's `custom_domains` and not yet defined on its own.
    made: bool,
    attributes: Map<String, Value>,
}

/// All domains come in one page.
const ALL: Paging = Paging::new(10_000, 1, 10_000).clamped();

fn missing() -> ApiFailure {
    ApiFailure::not_found(100_114, "Domain not found.")
}

/// Whom a domain or route of a world points at.
pub(super) fn pointed_at(resource: &WorldResource) -> Option<String> {
    ["service", "worker", "script"]
        .iter()
        .find_map(|field| text(&resource.attributes, field))
        .map(ToOwned::to_owned)
}

/// Custom domains.
pub(super) struct Domains;

static KIND: WorldKind = WorldKind {
    name: "worker_domain",
    attributes: &["service", "zone", "worker"],
    paths: &["/workers/domains"],
};

impl Product for Domains {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_domain(resource, now)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.domain_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["workers", "domains", rest @ ..] => Some(cloud.worker_domains(method, rest, request)),
            _ => None,
        }
    }
}

impl Cloudflare {
    pub(super) fn add_domain(
        &mut self,
        resource: &WorldResource,
        now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let hostname = domain_name(&resource.name);
        // Without a service here, a Worker's `custom_domains` will say it.
        let service = pointed_at(resource);
        let zone = text(&resource.attributes, "zone");
        self.make_domain(
            &hostname,
            service.as_deref().unwrap_or_default(),
            zone,
            resource.created_at.unwrap_or(now),
        );
        match self.domains.get_mut(&hostname) {
            Some(domain) if domain.made => {
                domain.made = false;
                domain.attributes.clone_from(&resource.attributes);
                if let Some(id) = &resource.id {
                    domain.id.clone_from(id);
                }
                if let Some(service) = service {
                    domain.service = service;
                }
                Ok(())
            }
            _ => Err(ImpossibleResource::exists("a custom domain", &hostname)),
        }
    }

    pub(super) fn domain_resources(&self) -> Vec<WorldResource> {
        self.domains
            .values()
            .map(|domain| {
                let mut attributes = domain.attributes.clone();
                attributes.insert("service".to_owned(), json!(domain.service));
                attributes.insert("zone".to_owned(), json!(domain.zone));
                WorldResource {
                    kind: "worker_domain".to_owned(),
                    name: domain.hostname.clone(),
                    id: Some(domain.id.clone()),
                    created_at: None,
                    updated_at: None,
                    attributes,
                }
            })
            .collect()
    }

    /// Makes a hostname point at a Worker, with the record that goes with it.
    pub(super) fn make_domain(
        &mut self,
        hostname: &str,
        service: &str,
        zone: Option<&str>,
        time: DateTime<Utc>,
    ) {
        let hostname = domain_name(hostname);
        if let Some(domain) = self.domains.get_mut(&hostname) {
            if domain.service.is_empty() {
                service.clone_into(&mut domain.service);
            }
            return;
        }
        let zone = self.zone_of(&hostname, zone);
        let domain = Domain {
            id: self.register.assign("worker_domain", &hostname),
            hostname: hostname.clone(),
            service: service.to_owned(),
            zone: zone.clone(),
            made: true,
            attributes: Map::new(),
        };
        self.domains.insert(hostname.clone(), domain);
        if !self.managed.contains_key(&hostname) {
            let id = self
                .register
                .assign("dns_record", &format!("{hostname} AAAA 100::"));
            self.managed.insert(hostname.clone(), id.clone());
            self.records
                .insert(id, Record::of_custom_domain(&hostname, zone, time));
        }
    }

    /// Takes a domain away, with its managed record.
    pub(super) fn remove_domain(&mut self, hostname: &str) -> Option<Domain> {
        let domain = self.domains.remove(hostname)?;
        if self.managed.remove(hostname).is_some() {
            self.records.retain(|_, record| !record.goes_with(hostname));
        }
        Some(domain)
    }

    pub(super) fn draw_domain(&self, domain: &Domain) -> Value {
        json!({
            "id": domain.id,
            "hostname": domain.hostname,
            "service": domain.service,
            "environment": "production",
            "zone_id": self.zone_id(&domain.zone),
            "zone_name": domain.zone,
            "cert_id": uuid(&stable(&["certificate", &domain.id])),
            "enabled": true,
            "previews_enabled": false,
        })
    }

    pub(super) fn worker_domains(
        &mut self,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let asked = |field: &str| request.parameter(field).filter(|text| !text.is_empty());
                let fits = |wanted: Option<&str>, value: &str| {
                    wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
                };
                let domains: Vec<&Domain> = self
                    .domains
                    .values()
                    .filter(|domain| {
                        fits(asked("hostname"), &domain.hostname)
                            && fits(asked("service"), &domain.service)
                            && fits(asked("zone_name"), &domain.zone)
                            && fits(asked("zone_id"), &self.zone_id(&domain.zone))
                            && fits(asked("environment"), "production")
                    })
                    .collect();
                ALL.answer(request, &domains, |domain| self.draw_domain(domain))
            }
            ("PUT", []) => {
                let body = object(request, 100_100)?;
                let (Some(hostname), Some(service)) =
                    (text(&body, "hostname"), text(&body, "service"))
                else {
                    return Err(ApiFailure::bad(
                        100_100,
                        "hostname and service are required",
                    ));
                };
                if !self.workers.contains_key(service) {
                    return Err(ApiFailure::not_found(
                        10090,
                        "workers.api.error.service_not_found",
                    ));
                }
                let zone = text(&body, "zone_id").or_else(|| text(&body, "zone_name"));
                self.attach_domain(hostname, service, zone, request.now)?;
                let hostname = domain_name(hostname);
                Ok(ok(self
                    .domains
                    .get(&hostname)
                    .map_or(Value::Null, |domain| self.draw_domain(domain))))
            }
            ("GET", [id]) => self
                .domains
                .values()
                .find(|domain| domain.id == *id)
                .map(|domain| ok(self.draw_domain(domain)))
                .ok_or_else(missing),
            ("DELETE", [id]) => {
                let hostname = self
                    .domains
                    .values()
                    .find(|domain| domain.id == *id)
                    .map(|domain| domain.hostname.clone())
                    .ok_or_else(missing)?;
                self.remove_domain(&hostname);
                Ok(ok_bare())
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    /// Makes or moves a domain over the API, where no other record is in the
    /// way.
    fn attach_domain(
        &mut self,
        hostname: &str,
        service: &str,
        zone: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), ApiFailure> {
        let hostname = domain_name(hostname);
        if let Some(domain) = self.domains.get_mut(&hostname) {
            // A hostname has one Worker: the last one that asks gets it.
            service.clone_into(&mut domain.service);
            return Ok(());
        }
        if self.records.values().any(|record| record.blocks(&hostname)) {
            return Err(ApiFailure::new(
                StatusCode::CONFLICT,
                100_117,
                format!(
                    "Hostname '{hostname}' already has externally managed DNS records \
                     (A, CNAME, etc). Either delete them, try a different hostname, or use \
                     the option 'override_existing_dns_record' to override."
                ),
            ));
        }
        let zone = self.known_zone(&hostname, zone)?;
        self.make_domain(&hostname, service, Some(&zone), now);
        Ok(())
    }

    /// Returns what a deployment's list of custom domains would change.
    pub(super) fn domains_changeset(&mut self, worker: &str, request: &Request) -> Answer {
        let asked = array(request, 100_100)?;
        let (mut added, mut updated, mut conflicting) = (Vec::new(), Vec::new(), Vec::new());
        let mut named = Vec::new();
        for origin in &asked {
            let Some(hostname) = origin["hostname"].as_str().map(domain_name) else {
                return Err(ApiFailure::bad(100_100, "hostname is required"));
            };
            let zone = origin["zone_id"].as_str().or(origin["zone_name"].as_str());
            let zone = self.known_zone(&hostname, zone)?;
            let mut shown = json!({
                "hostname": hostname,
                "service": worker,
                "environment": "production",
                "zone_id": self.zone_id(&zone),
                "zone_name": zone,
                "modified": false,
            });
            if let Some(domain) = self.domains.get(&hostname) {
                shown["id"] = json!(domain.id);
                shown["service"] = json!(domain.service);
                shown["modified"] = json!(domain.service != worker);
                updated.push(shown);
            } else if self.records.values().any(|record| record.blocks(&hostname)) {
                shown["external_dns_record_id"] = json!(stable(&["external", &hostname]));
                conflicting.push(shown);
            } else {
                added.push(shown);
            }
            named.push(hostname);
        }
        let removed: Vec<Value> = if super::answer::flag(request, "replace_state") {
            self.domains
                .values()
                .filter(|domain| domain.service == worker && !named.contains(&domain.hostname))
                .map(|domain| self.draw_domain(domain))
                .collect()
        } else {
            Vec::new()
        };
        Ok(ok(json!({
            "added": added,
            "removed": removed,
            "updated": updated,
            "conflicting": conflicting,
        })))
    }

    /// Replaces a Worker's custom domains by those of a deployment.
    pub(super) fn domains_records(&mut self, worker: &str, request: &Request) -> Answer {
        let body = object(request, 100_100)?;
        let overriding = |what: &str| body.get(what).and_then(Value::as_bool) == Some(true);
        let origins = body
            .get("origins")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut named = Vec::new();
        for origin in &origins {
            let Some(hostname) = origin["hostname"].as_str().map(domain_name) else {
                return Err(ApiFailure::bad(100_100, "hostname is required"));
            };
            let elsewhere = self
                .domains
                .get(&hostname)
                .is_some_and(|domain| domain.service != worker);
            if elsewhere && !overriding("override_existing_origin") {
                return Err(ApiFailure::conflict(
                    100_116,
                    format!("Hostname '{hostname}' is already attached to another Worker."),
                ));
            }
            if overriding("override_existing_dns_record") {
                self.records.retain(|_, record| !record.blocks(&hostname));
            }
            let zone = origin["zone_id"].as_str().or(origin["zone_name"].as_str());
            self.attach_domain(&hostname, worker, zone, request.now)?;
            named.push(hostname);
        }
        if overriding("override_scope") {
            let gone: Vec<String> = self
                .domains
                .values()
                .filter(|domain| domain.service == worker && !named.contains(&domain.hostname))
                .map(|domain| domain.hostname.clone())
                .collect();
            for hostname in gone {
                self.remove_domain(&hostname);
            }
        }
        let shown: Vec<Value> = named
            .iter()
            .filter_map(|hostname| self.domains.get(hostname))
            .map(|domain| self.draw_domain(domain))
            .collect();
        Ok(ok(Value::Array(shown)))
    }
}
