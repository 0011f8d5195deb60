//! From settings to the wire: the only fork between the real clouds and the
//! stand-in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tower::util::BoxCloneSyncService;
use url::Url;

use super::Failure;
use crate::clock::Clock;
use crate::model::Api;
use crate::sandbox::world::World;
use crate::sandbox::{Options, Sandbox, faults};
use crate::wire::{Endpoint, Seam, Token, TransportError};

/// The demo world of `--sandbox` alone.
const DEMO_WORLD: &str = include_str!("demo-world.json");

/// Where variables come from: the process, or the stand-in.
pub(super) struct Variables {
    fixed: Option<BTreeMap<&'static str, String>>,
}

impl Variables {
    /// The value of a variable; an empty one counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = match &self.fixed {
            Some(fixed) => fixed.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.trim().is_empty())
    }

    /// Whether these are the stand-in's own.
    pub(super) fn are_the_sandboxes(&self) -> bool {
        self.fixed.is_some()
    }

    /// The values of a variable that may name several, separated by commas.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let value = self.get(name)?;
        let list: Vec<_> = value
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect();
        (!list.is_empty()).then_some(list)
    }
}

/// A way to reach the providers.
pub(super) struct Connection {
    pub(super) seam: Seam,
    pub(super) variables: Variables,
    pub(super) clock: Clock,
}

/// The world of a file, or the demo.
pub(super) fn world(path: Option<&Path>) -> Result<World, Failure> {
    let Some(path) = path else {
        return World::read("demo-world.json", DEMO_WORLD)
            .map_err(|error| Failure::Unexpected(error.to_string()));
    };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read the world file {shown}: {error}")))?;
    World::read(&shown, &text).map_err(|error| Failure::Usage(error.to_string()))
}

impl Connection {
    /// A stand-in inside the process. Every provider variable is ignored.
    pub(super) fn sandbox(path: Option<&Path>) -> Result<Self, Failure> {
        let world = world(path)?;
        let now = world.now;
        let sandbox = Sandbox::new(world, Options::default())
            .map_err(|refusal| Failure::Usage(refusal.to_string()))?;
        let fixed = sandbox
            .environment("http://127.0.0.1")
            .into_iter()
            .collect();
        Ok(Self {
            seam: in_process(sandbox),
            variables: Variables { fixed: Some(fixed) },
            clock: Clock::starting_at(now),
        })
    }

    /// The real clouds.
    pub(super) fn real(clock: Clock) -> Result<Self, Failure> {
        let seam = crate::wire::http::seam().map_err(|error| {
            Failure::Unexpected(format!("cannot set up TLS on this machine: {error}"))
        })?;
        Ok(Self {
            seam,
            variables: Variables { fixed: None },
            clock,
        })
    }

    /// The providers for which there are credentials.
    pub(super) fn endpoints(&self) -> Result<BTreeMap<Api, Endpoint>, Failure> {
        let get = |names: &[&str]| names.iter().find_map(|name| self.variables.get(name));
        let mut endpoints = BTreeMap::new();
        let providers: [(Api, &[&str], &[&str], &str); 3] = [
            (
                Api::Cloudflare,
                &["CLOUDFLARE_API_TOKEN", "CF_API_TOKEN"],
                &[
                    "CLOUDFLARE_API_BASE_URL",
                    "CLOUDFLARE_BASE_URL",
                    "CF_API_BASE_URL",
                ],
                "https://api.cloudflare.com/client/v4",
            ),
            (
                Api::Neon,
                &["NEON_API_KEY"],
                &["NEON_API_HOST"],
                "https://console.neon.tech/api/v2",
            ),
            (
                Api::GitHub,
                &["GITHUB_TOKEN"],
                &["GITHUB_API_URL"],
                "https://api.github.com",
            ),
        ];
        for (api, tokens, bases, default) in providers {
            let Some(token) = get(tokens).as_deref().and_then(Token::new) else {
                continue;
            };
            let base = get(bases).unwrap_or_else(|| default.to_owned());
            let base = self::base(&base, bases[0])?;
            let graphql = match (api, get(&["GITHUB_GRAPHQL_URL"])) {
                (Api::GitHub, Some(url)) => Some(self::base(&url, "GITHUB_GRAPHQL_URL")?),
                (Api::GitHub, None) => Some(graphql(&base)),
                (Api::Cloudflare | Api::Neon, _) => None,
            };
            if let Some(graphql) = &graphql
                && graphql.origin() != base.origin()
            {
                return Err(Failure::Usage(format!(
                    "GITHUB_GRAPHQL_URL is on another host than GITHUB_API_URL ({} and {}); \
                     the token is only sent to one",
                    graphql.host_str().unwrap_or_default(),
                    base.host_str().unwrap_or_default()
                )));
            }
            let zone_token = (api == Api::Cloudflare)
                .then(|| get(&["CLOUDFLARE_DNS_API_TOKEN"]))
                .flatten()
                .and_then(|text| Token::new(&text));
            endpoints.insert(
                api,
                Endpoint {
                    base,
                    graphql,
                    token,
                    zone_token,
                },
            );
        }
        Ok(endpoints)
    }
}

/// Enterprise Server answers GraphQL beside its REST prefix.
fn graphql(base: &Url) -> Url {
    let path = base.path().trim_end_matches('/');
    let path = match path.strip_suffix("/v3") {
        Some(api) => format!("{api}/graphql"),
        None => format!("{path}/graphql"),
    };
    let mut url = base.clone();
    url.set_path(&path);
    url
}

/// A base address that a token may be sent to.
fn base(text: &str, variable: &str) -> Result<Url, Failure> {
    let url = Url::parse(text.trim_end_matches('/'))
        .map_err(|error| Failure::Usage(format!("{variable} is not an address: {error}")))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !plain || url.host_str().is_none() {
        return Err(Failure::Usage(format!(
            "{variable} must be scheme, host and path only"
        )));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(Failure::Usage(format!(
            "{variable} must be https (http only on loopback), or the token would travel in the open"
        ))),
    }
}

/// Whether an address is this machine's own.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn in_process(sandbox: Arc<Sandbox>) -> Seam {
    BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Bytes>| {
        let sandbox = sandbox.clone();
        async move {
            let broken = |what: &str| TransportError::Broken(what.to_owned());
            let mut answer = sandbox
                .call(request)
                .await
                .map_err(|reset| broken(&reset.to_string()))?;
            if answer.headers().contains_key(faults::TRUNCATED) {
                return Err(broken("the body ended early"));
            }
            if let Some(drip) = answer.headers_mut().remove(faults::DRIPPING) {
                let drip: u64 = drip
                    .to_str()
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                let bytes = answer.body().len() as u64;
                tokio::time::sleep(Duration::from_millis(drip.saturating_mul(bytes))).await;
            }
            Ok(answer)
        }
    }))
}
