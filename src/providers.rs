//! The providers, each with everything that is true of its API in one file, and
//! its kinds in the folder below.
//!
//! What talks to a provider ([`crate::wire`]) or names one to people asks it here:
//! [`Provider`] says how its answers are read, [`ProviderAbout`] has its variables,
//! addresses and figures.

mod about;
pub(crate) mod answer;
mod by_hand;
pub mod cloudflare;
pub mod facts;
mod github;
mod neon;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Response, StatusCode};
use serde::{Serialize, Serializer};

pub use self::about::{Counting, ExtraToken, ProviderAbout, QuotaFigures};
pub use self::by_hand::Addresses;
pub use self::facts::{FactAnswer, OpenFact, SettledBy};
use crate::kind::{Kind, Query, UserSource};
use crate::model::{Api, KindName, KindRef, PlaceSort, ResourceId, ScopeKey, ScopeTable};

/// A provider.
pub trait Provider: Sync {
    /// What it is called, and the figures of its API.
    fn about(&self) -> &'static ProviderAbout;

    /// Its kinds, in the order in which a sweep deletes them.
    fn kinds(&self) -> &'static [&'static dyn Kind];

    /// Its users of resources that are no kinds.
    fn sources(&self) -> &'static [&'static dyn UserSource] {
        &[]
    }

    /// What its documents leave open.
    fn facts(&self) -> &'static [OpenFact] {
        &[]
    }

    /// The key by which its quotas count a request for a path.
    fn route(&self, path: &str) -> String;

    /// How long an answer asks all requests to wait; none if it does not refuse
    /// because of a quota. `target` is the path and query of the request.
    fn throttled(
        &self,
        target: &str,
        response: &Response<Bytes>,
        now: DateTime<Utc>,
    ) -> Option<Duration>;

    /// Whether a refusal with this status proves that a writing request had no
    /// effect, so that it may be repeated.
    fn had_no_effect(&self, _status: StatusCode) -> bool {
        false
    }

    /// Whether a deletion that is answered with this status found nothing to
    /// delete, although the status is a success.
    fn found_nothing(&self, _status: StatusCode) -> bool {
        false
    }

    /// Whether an answer with a successful status is a failure as a whole.
    fn is_denied(&self, _body: &[u8]) -> bool {
        false
    }

    /// Whether a successful answer may have errors in a part of it.
    fn has_errors_inside(&self, _body: &[u8]) -> bool {
        false
    }

    /// The provider's own words in a failure; none if the body has another form.
    fn message(&self, body: &[u8]) -> Option<String> {
        answer::message(body)
    }

    /// Asks for the ids of the accounts that a token sees, where the provider has
    /// accounts.
    fn accounts(&self) -> Option<Query<Vec<String>>> {
        None
    }
}

/// The providers, in the order in which a sweep deletes their kinds.
pub static PROVIDERS: [&dyn Provider; 3] = [&cloudflare::Cloudflare, &neon::Neon, &github::GitHub];

/// Returns the provider of an API.
pub fn of(api: Api) -> &'static dyn Provider {
    match api {
        Api::Cloudflare => &cloudflare::Cloudflare,
        Api::Neon => &neon::Neon,
        Api::GitHub => &github::GitHub,
    }
}

impl Api {
    /// The provider's name as it writes it.
    pub fn title(self) -> &'static str {
        of(self).about().title
    }

    /// The provider's name in evidence sources and JSON.
    pub fn key(self) -> &'static str {
        of(self).about().key
    }

    /// The environment variable to set for its token.
    pub fn token_variable(self) -> &'static str {
        of(self).about().token.first().copied().unwrap_or_default()
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl Serialize for Api {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

/// Returns the keys of `[scope]` that have to be set for places of a sort, with
/// their provider: the last of them names the places themselves. None for places
/// that no scope names.
pub fn scope_keys(sort: PlaceSort) -> Option<(&'static ProviderAbout, &'static [ScopeKey])> {
    PROVIDERS.iter().find_map(|provider| {
        let about = provider.about();
        let last = about.scope.iter().position(|key| key.sort == sort)?;
        Some((about, about.scope.get(..=last)?))
    })
}

/// Returns the key of `[scope]` that names places of a sort, with its provider.
pub fn scope_key(sort: PlaceSort) -> Option<(&'static ProviderAbout, &'static ScopeKey)> {
    let (about, keys) = scope_keys(sort)?;
    Some((about, keys.last()?))
}

/// Returns the provider whose kinds stand in places of a sort.
pub fn of_places(sort: PlaceSort) -> Option<Api> {
    let kind = kinds().find(|kind| kind.about().place == sort)?;
    Some(kind.about().api)
}

/// Returns the address of a resource's page at its provider, if there is one.
pub fn dashboard(id: &ResourceId) -> Option<String> {
    by_name(id.kind.name())?.dashboard(id)
}

/// Returns the kinds of all providers, in the order in which a sweep deletes
/// them.
pub fn kinds() -> impl Iterator<Item = &'static dyn Kind> {
    let kinds = PROVIDERS.iter().flat_map(|provider| provider.kinds());
    kinds.copied()
}

/// Returns what policies may name under `[scope]`.
pub fn scopes() -> Vec<ScopeTable> {
    let tables = PROVIDERS.iter().map(|provider| {
        let about = provider.about();
        ScopeTable {
            provider: about.key,
            keys: about.scope,
        }
    });
    tables.filter(|table| !table.keys.is_empty()).collect()
}

/// Returns the kinds as policies know them.
pub fn vocabulary() -> Vec<KindRef> {
    kinds().map(Kind::about).collect()
}

/// Returns the kind of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Kind> {
    kinds().find(|kind| kind.about().name() == name)
}

/// Returns the user sources of all providers.
pub fn sources() -> impl Iterator<Item = &'static dyn UserSource> {
    let sources = PROVIDERS.iter().flat_map(|provider| provider.sources());
    sources.copied()
}

/// Returns how policies and people call the user sources.
pub fn source_names() -> impl Iterator<Item = KindName> {
    sources().map(|source| KindName {
        id: source.name(),
        noun: source.noun(),
    })
}

/// Returns the user source of that name.
pub fn source(name: &str) -> Option<&'static dyn UserSource> {
    sources().find(|source| source.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_and_the_look_up_agree() {
        let keys: Vec<_> = PROVIDERS
            .iter()
            .map(|provider| {
                let about = provider.about();
                let found = of(about.api).about();
                assert!(std::ptr::eq(about, found), "{} is another", about.key);
                assert!(!about.token.is_empty() && !about.base.is_empty());
                for kind in provider.kinds() {
                    assert_eq!(kind.about().api, about.api, "{}", kind.about());
                }
                for source in provider.sources() {
                    assert_eq!(source.api(), about.api, "{}", source.name());
                }
                about.key
            })
            .collect();
        assert_eq!(keys, ["cloudflare", "neon", "github"]);
    }
}
