//! Tunnels of `cloudflared`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, object, ok, text};
use super::binding::Bindable;
use super::identity::{moment, uuid};
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// The tunnels of an account, by id, the deleted ones included.
pub(super) type Tunnels = BTreeMap<String, Tunnel>;

/// One tunnel.
#[derive(Debug)]
pub(super) struct Tunnel {
    name: String,
    created: Option<DateTime<Utc>>,
    /// When its connections began or ended.
    changed: Option<DateTime<Utc>>,
    deleted: Option<DateTime<Utc>>,
    attributes: Map<String, Value>,
    /// The newest configuration that a client wrote, with its number.
    configuration: Option<(u64, Value)>,
}

impl Tunnel {
    /// The number of its newest configuration.
    fn version(&self) -> u64 {
        self.configuration
            .as_ref()
            .map_or(0, |(version, _)| *version)
    }

    /// Without a state in the world it never had a connection.
    fn status(&self) -> &str {
        text(&self.attributes, "status").unwrap_or("inactive")
    }

    fn is_connected(&self) -> bool {
        matches!(self.status(), "healthy" | "degraded")
    }
}

const TUNNELS: Paging = Paging::new(20, 1, 1_000).clamped();

/// The documents name no codes of refusals; their example has this one.
fn missing() -> ApiFailure {
    ApiFailure::not_found(1_000, "Tunnel not found")
}

/// Cloudflare Tunnel.
pub(super) struct AllTunnels;

static KIND: WorldKind = WorldKind {
    name: "tunnel",
    attributes: &["status"],
    paths: &["/cfd_tunnel"],
};

/// Source: `WorkersBindingKindVPCNetwork` in Cloudflare's own SDK 7.3.0.
static BINDABLE: Bindable = Bindable {
    sort: "vpc_network",
    name: "tunnel",
    field: "tunnel_id",
    by_id: true,
    pages: None,
};

impl Product for AllTunnels {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.tunnels.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let id = resource.id.clone();
        let id = id.unwrap_or_else(|| cloud.tunnel_id(&resource.name));
        let tunnel = Tunnel {
            name: resource.name.clone(),
            created: resource.created_at,
            changed: resource.updated_at,
            deleted: None,
            attributes: resource.attributes.clone(),
            configuration: None,
        };
        cloud.tunnels.insert(id, tunnel);
        Ok(())
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        let there = cloud.tunnels.iter();
        let there = there.filter(|(_, tunnel)| tunnel.deleted.is_none());
        let there = there.map(|(id, tunnel)| WorldResource {
            kind: KIND.name.to_owned(),
            name: tunnel.name.clone(),
            id: Some(id.clone()),
            created_at: tunnel.created,
            updated_at: tunnel.changed,
            attributes: tunnel.attributes.clone(),
        });
        there.collect()
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }

    fn targets<'c>(&self, cloud: &'c Cloudflare) -> Vec<(&'c str, &'c str)> {
        let there = cloud.tunnels.iter();
        let there = there.filter(|(_, tunnel)| tunnel.deleted.is_none());
        there
            .map(|(id, tunnel)| (id.as_str(), tunnel.name.as_str()))
            .collect()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["cfd_tunnel", rest @ ..] => Some(cloud.cfd_tunnel(method, rest, request)),
            _ => None,
        }
    }
}

impl Cloudflare {
    fn tunnel_id(&mut self, name: &str) -> String {
        uuid(&self.register.assign("tunnel", name))
    }

    fn cfd_tunnel(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let deleted = match request.parameter("is_deleted") {
                    Some("true") => Some(true),
                    Some("false") => Some(false),
                    _ => None,
                };
                let found = self.tunnels.iter();
                let found = found.filter(|(_, tunnel)| {
                    deleted.is_none_or(|deleted| tunnel.deleted.is_some() == deleted)
                });
                let found: Vec<(&String, &Tunnel)> = found.collect();
                TUNNELS.answer(request, &found, |(id, tunnel)| to_json(id, tunnel))
            }
            ("POST", []) => {
                let body = object(request, 1_000)?;
                let Some(name) = text(&body, "name").filter(|name| !name.is_empty()) else {
                    return Err(ApiFailure::bad(1_000, "name is required"));
                };
                let mut there = self.tunnels.values();
                if there.any(|one| one.deleted.is_none() && one.name == name) {
                    return Err(ApiFailure::new(
                        StatusCode::CONFLICT,
                        1_013,
                        "You already have a tunnel with this name.",
                    ));
                }
                let id = self.tunnel_id(name);
                let tunnel = Tunnel {
                    name: name.to_owned(),
                    created: Some(request.now),
                    changed: None,
                    deleted: None,
                    attributes: Map::new(),
                    configuration: None,
                };
                let shown = to_json(&id, &tunnel);
                self.tunnels.insert(id, tunnel);
                Ok(ok(shown))
            }
            ("GET", [id]) => match self.tunnels.get(*id) {
                Some(tunnel) => Ok(ok(to_json(id, tunnel))),
                None => Err(missing()),
            },
            ("GET", [id, "token"]) => match self.tunnels.get(*id) {
                Some(tunnel) if tunnel.deleted.is_none() => Ok(ok(json!(self.tunnel_token(id)))),
                _ => Err(missing()),
            },
            ("GET", [id, "configurations"]) => match self.tunnels.get(*id) {
                Some(tunnel) => Ok(ok(self.tunnel_configuration(id, tunnel))),
                None => Err(missing()),
            },
            ("PUT", [id, "configurations"]) => {
                let mut body = object(request, 1_000)?;
                let config = body.remove("config").unwrap_or_else(|| json!({}));
                let tunnel = self.tunnels.get_mut(*id);
                let tunnel = tunnel.filter(|tunnel| tunnel.deleted.is_none());
                let tunnel = tunnel.ok_or_else(missing)?;
                tunnel.configuration = Some((tunnel.version() + 1, config));
                let shown = self.tunnels.get(*id).ok_or_else(missing)?;
                Ok(ok(self.tunnel_configuration(id, shown)))
            }
            ("DELETE", [id]) => match self.tunnels.get_mut(*id) {
                Some(tunnel) if tunnel.deleted.is_some() => Err(missing()),
                Some(tunnel) if tunnel.is_connected() => Err(ApiFailure::new(
                    StatusCode::BAD_REQUEST,
                    1_022,
                    "Cannot delete tunnel because it has active connections",
                )),
                Some(tunnel) => {
                    tunnel.deleted = Some(request.now);
                    Ok(ok(to_json(id, tunnel)))
                }
                None => Err(missing()),
            },
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

impl Cloudflare {
    /// What `cloudflared` starts with: account, tunnel and secret.
    fn tunnel_token(&self, id: &str) -> String {
        let token = json!({"a": self.account.id, "t": id, "s": "c2FuZGJveA=="});
        BASE64.encode(token.to_string())
    }

    fn tunnel_configuration(&self, id: &str, tunnel: &Tunnel) -> Value {
        let config = tunnel.configuration.as_ref().map(|(_, config)| config);
        json!({
            "account_id": self.account.id,
            "tunnel_id": id,
            "version": tunnel.version(),
            "config": config,
            "source": "cloudflare",
            "created_at": tunnel.created.map(moment),
        })
    }
}

fn to_json(id: &str, tunnel: &Tunnel) -> Value {
    let ended = tunnel.changed.filter(|_| tunnel.status() == "down");
    let began = tunnel.changed.filter(|_| tunnel.status() != "inactive");
    json!({
        "id": id,
        "name": tunnel.name,
        "status": tunnel.status(),
        "tun_type": "cfd_tunnel",
        "config_src": "cloudflare",
        "created_at": tunnel.created.map(moment),
        "deleted_at": tunnel.deleted.map(moment),
        "conns_active_at": began.map(moment),
        "conns_inactive_at": ended.map(moment),
        "connections": [],
    })
}
