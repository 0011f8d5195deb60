//! The providers, each with everything that is true of its API in one file, and
//! its kinds in the folder below.

pub mod cloudflare;
mod github;
mod neon;

use crate::kind::{Kind, Query, UserSource};
use crate::model::{Api, KindRef};

/// What is true of a provider and can be said as a value.
#[derive(Debug)]
pub struct ProviderAbout {
    /// Its API.
    pub api: Api,
}

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

/// Returns the kinds of all providers, in the order in which a sweep deletes
/// them.
pub fn kinds() -> impl Iterator<Item = &'static dyn Kind> {
    let kinds = PROVIDERS.iter().flat_map(|provider| provider.kinds());
    kinds.copied()
}

/// Returns the kinds as policies know them.
pub fn vocabulary() -> Vec<KindRef> {
    kinds().map(|kind| kind.about()).collect()
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

/// Returns the user source of that name.
pub fn source(name: &str) -> Option<&'static dyn UserSource> {
    sources().find(|source| source.name() == name)
}
