//! What a run may touch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use preview_gc::clock::Clock;
use preview_gc::model::{Api, Place};
use preview_gc::providers::PROVIDERS;
use preview_gc::wire::{Allotment, ApiEndpoint, Client, Token, http};
use url::Url;

/// The places that a run may touch, and the client for them.
pub(crate) struct Scope {
    prefix: String,
    pub(crate) account: Option<Arc<Place>>,
    pub(crate) zone: Option<Arc<Place>>,
    pub(crate) project: Option<Arc<Place>>,
    pub(crate) repository: Option<Arc<Place>>,
    endpoints: BTreeMap<Api, ApiEndpoint>,
}

impl Scope {
    /// The scope of `PREVIEW_GC_LIVE`; none without it.
    pub(crate) fn of_environment(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let named = get("PREVIEW_GC_LIVE").filter(|named| !named.trim().is_empty())?;
        let named: BTreeMap<&str, &str> = named
            .split_whitespace()
            .map(|part| {
                part.split_once('=')
                    .expect("PREVIEW_GC_LIVE is key=value …")
            })
            .collect();
        Some(Self::new(&named, get))
    }

    /// The scope of the sandbox's variables.
    pub(crate) fn is_sandbox(variables: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| variables.get(name).cloned();
        let value = |name: &str| variables[name].split(',').next().unwrap();
        let named = BTreeMap::from([
            ("account", value("CLOUDFLARE_ACCOUNT_ID")),
            ("zone", value("CLOUDFLARE_ZONE_ID")),
            ("project", value("NEON_PROJECT_ID")),
            ("repository", value("GITHUB_REPOSITORY")),
        ]);
        Self::new(&named, get)
    }

    fn new(named: &BTreeMap<&str, &str>, get: impl Fn(&str) -> Option<String>) -> Self {
        let known = ["account", "zone", "project", "repository"];
        for key in named.keys() {
            assert!(known.contains(key), "{key} is none of {known:?}");
        }
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let endpoint = |provider: &&'static dyn preview_gc::providers::Provider| {
            let about = provider.about();
            let token = Token::new(&first(about.token)?)?;
            let base = first(about.base).unwrap_or_else(|| about.default_base.to_owned());
            let base = Url::parse(&base).expect("the base address is a URL");
            let loopback = base.host_str().is_some_and(http::is_loopback);
            assert!(base.scheme() == "https" || loopback, "{base} is not https");
            let endpoint = ApiEndpoint {
                base,
                graphql: None,
                token,
                extra_token: None,
            };
            Some((about.api, endpoint))
        };
        let owned = |key: &str| named.get(key).map(|value| (*value).to_owned());
        let account = owned("account");
        let zone = owned("zone").map(|id| Place::Zone {
            id,
            name: String::new(),
            account: account.clone().expect("a zone needs its account"),
        });
        Self {
            prefix: format!("pgc-live-{:06x}", fastrand::u32(..1 << 24)),
            account: account.map(Place::Account).map(Arc::new),
            zone: zone.map(Arc::new),
            project: owned("project").map(Place::Project).map(Arc::new),
            repository: owned("repository").map(Place::Repository).map(Arc::new),
            endpoints: PROVIDERS.iter().filter_map(endpoint).collect(),
        }
    }

    /// What the name of everything begins with that this run makes.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn client(&self) -> Client {
        let allotment = Allotment {
            share: 0.5,
            reserve: None,
        };
        Client::new(
            http::transport(None),
            self.endpoints.clone(),
            Clock::system(),
            Duration::from_mins(10),
            allotment,
        )
    }
}
