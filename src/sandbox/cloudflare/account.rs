//! User, tokens, accounts, zones, and other endpoints.

use serde_json::{Value, json};

use super::answer::{Answer, ApiFailure, Paging, directed, ok};
use super::identity::stable;
use super::{Cloudflare, Zone};
use crate::sandbox::message::{self, Request, Response};

/// Since when the account and its zones exist.
const FOUNDED: &str = "2020-01-01T00:00:00.000000Z";

const PLACES: Paging = Paging::new(20, 5, 50);

impl Cloudflare {
    /// Endpoints outside any account or zone.
    pub(super) fn top_level_routes(
        &mut self,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", ["user"]) => Ok(ok(json!({
                "id": stable(&["author"]),
                "email": super::worker::AUTHOR,
                "first_name": null,
                "last_name": null,
                "username": "sandbox",
                "telephone": null,
                "country": null,
                "zipcode": null,
                "two_factor_authentication_enabled": false,
                "two_factor_authentication_locked": false,
                "created_on": FOUNDED,
                "modified_on": FOUNDED,
                "organizations": [],
                "has_pro_zones": false,
                "has_business_zones": false,
                "has_enterprise_zones": false,
                "suspended": false,
                "betas": [],
            }))),
            ("GET", ["user", "tokens", "verify"]) => Ok(token()),
            ("GET", ["accounts"]) => {
                let wanted = request.parameter("name");
                let mut accounts = vec![&self.account];
                accounts.retain(|account| wanted.is_none_or(|name| account.name.contains(name)));
                PLACES
                    .without_total_pages()
                    .answer(request, &accounts, |_| self.draw_account())
            }
            ("GET", ["memberships"]) => PLACES.answer(request, &[()], |()| {
                json!({
                    "id": stable(&["membership"]),
                    "code": stable(&["membership", "code"]),
                    "status": "accepted",
                    "api_access_enabled": null,
                    "account": self.draw_account(),
                    "roles": ["Super Administrator - All Privileges"],
                    "permissions": {},
                })
            }),
            ("GET", ["zones"]) => self.list_zones(request),
            ("POST", ["graphql"]) => Ok(message::json(
                http::StatusCode::OK,
                &json!({
                    "data": { "viewer": { "accounts": [{
                        "d1AnalyticsAdaptiveGroups": [],
                        "d1QueriesAdaptiveGroups": [],
                        "r2StorageAdaptiveGroups": [],
                        "r2OperationsAdaptiveGroups": [],
                        "queueBacklogAdaptiveGroups": [],
                        "queueConsumerMetricsAdaptiveGroups": [],
                    }] } },
                    "errors": null,
                }),
            )),
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    /// Endpoints of an account outside its products.
    pub(super) fn account_routes(
        &mut self,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        match (method, path) {
            ("GET", []) => Ok(ok(self.draw_account())),
            ("GET", ["tokens", "verify"]) => Ok(token()),
            ("GET", ["workers", "account-settings"]) => Ok(ok(json!({
                "default_usage_model": "standard",
                "green_compute": false,
            }))),
            ("GET", ["workers", "subdomain"]) => match &self.subdomain {
                Some(subdomain) => Ok(ok(json!({ "subdomain": subdomain }))),
                None => Err(ApiFailure::not_found(
                    10007,
                    "You need to register a workers.dev subdomain.",
                )),
            },
            ("PUT", ["workers", "subdomain"]) => {
                let body = super::answer::object(request, 10003)?;
                let Some(subdomain) = super::answer::text(&body, "subdomain") else {
                    return Err(ApiFailure::bad(10003, "subdomain is required"));
                };
                self.subdomain = Some(subdomain.to_owned());
                Ok(ok(json!({ "subdomain": subdomain })))
            }
            ("DELETE", ["workers", "subdomain"]) => {
                self.subdomain = None;
                Ok(ok(Value::Null))
            }
            ("GET", ["workers", "durable_objects", "namespaces"]) => {
                Paging::new(20, 1, 1000).answer(request, &self.namespaces_of_objects, Clone::clone)
            }
            ("GET", ["workers", "tails", "by-consumer", name]) => {
                let producers: Vec<Value> = self
                    .workers
                    .iter()
                    .filter(|(_, worker)| {
                        worker
                            .settings
                            .get("tail_consumers")
                            .and_then(Value::as_array)
                            .is_some_and(|tails| {
                                tails.iter().any(|tail| tail["service"] == json!(name))
                            })
                    })
                    .map(|(producer, worker)| {
                        json!({
                            "tag": worker.tag,
                            "consumer": { "service": name, "environment": "production" },
                            "producer": { "service": producer, "environment": "production" },
                        })
                    })
                    .collect();
                Ok(ok(Value::Array(producers)))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    fn draw_account(&self) -> Value {
        json!({
            "id": self.account.id,
            "name": self.account.name,
            "type": "standard",
            "created_on": FOUNDED,
            "settings": { "enforce_twofactor": false },
        })
    }

    fn list_zones(&self, request: &Request) -> Answer {
        let asked = |name: &str| request.parameter(name).filter(|text| !text.is_empty());
        let mut zones: Vec<&Zone> = self
            .zones
            .values()
            .filter(|zone| {
                let named = asked("name").map(|name| names(&zone.name, name));
                let account = asked("account.id").map(|id| id == self.account.id);
                let status = asked("status").map(|status| status == "active");
                let mut tests = [named, account, status].into_iter().flatten().peekable();
                if request.parameter("match") == Some("any") && tests.peek().is_some() {
                    tests.any(|passed| passed)
                } else {
                    tests.all(|passed| passed)
                }
            })
            .collect();
        directed(request, "direction", "asc", &mut zones);
        PLACES.answer(request, &zones, |zone| self.draw_zone(zone))
    }

    /// One zone, by name.
    pub(super) fn one_zone(&self, name: &str) -> Response {
        ok(self
            .zones
            .get(name)
            .map_or(Value::Null, |zone| self.draw_zone(zone)))
    }

    fn draw_zone(&self, zone: &Zone) -> Value {
        json!({
            "id": zone.id,
            "name": zone.name,
            "status": "active",
            "paused": false,
            "type": "full",
            "development_mode": 0,
            "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
            "original_name_servers": null,
            "original_registrar": null,
            "original_dnshost": null,
            "created_on": FOUNDED,
            "modified_on": FOUNDED,
            "activated_on": FOUNDED,
            "vanity_name_servers": [],
            "meta": {
                "cdn_only": false,
                "custom_certificate_quota": 0,
                "dns_only": false,
                "foundation_dns": false,
                "page_rule_quota": 3,
                "phishing_detected": false,
                "step": 4,
            },
            "owner": { "id": stable(&["author"]), "type": "user", "name": "Sandbox" },
            "account": { "id": self.account.id, "name": self.account.name },
            "tenant": { "id": stable(&["tenant"]), "name": "Sandbox" },
            "tenant_unit": { "id": stable(&["tenant unit"]) },
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
            "plan": {
                "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
                "name": "Free Website",
                "price": 0,
                "currency": "USD",
                "frequency": "",
                "is_subscribed": false,
                "can_subscribe": false,
                "legacy_id": "free",
                "legacy_discount": false,
                "externally_managed": false,
            },
        })
    }
}

/// The zone list's `name` filter: a name, or an operator and a name.
fn names(zone: &str, asked: &str) -> bool {
    let (operator, value) = asked.split_once(':').unwrap_or(("equal", asked));
    let value = value.to_ascii_lowercase();
    match operator {
        "not_equal" => zone != value,
        "starts_with" => zone.starts_with(&value),
        "ends_with" => zone.ends_with(&value),
        "contains" => zone.contains(&value),
        _ => value.split(',').any(|name| name == zone),
    }
}

fn token() -> Response {
    ok(json!({ "id": stable(&["token"]), "status": "active" }))
}
