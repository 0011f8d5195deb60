//! What is true of a provider and can be said as a value.

use std::time::Duration;

use crate::model::{Api, ScopeKey};

/// What a provider is called, where its API is, and the figures of its API.
#[derive(Debug)]
pub struct ProviderAbout {
    /// Its API.
    pub api: Api,
    /// Its name in evidence sources, JSON and the keys of policies.
    pub key: &'static str,
    /// Its name as it writes it.
    pub title: &'static str,
    /// The environment variables of its token, the one to recommend first.
    pub token: &'static [&'static str],
    /// A second token for some requests, where one may be set.
    pub extra_token: Option<ExtraToken>,
    /// The environment variables of the base of its addresses, the one to
    /// recommend first.
    pub base: &'static [&'static str],
    /// The base of its addresses without such a variable.
    pub default_base: &'static str,
    /// The environment variable of its GraphQL address, where it has one.
    pub graphql: Option<&'static str>,
    /// The media type that requests accept.
    pub accept: &'static str,
    /// The headers of every answer that runs rely on.
    pub answers_with: &'static [&'static str],
    /// Further headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// Its limits on requests.
    pub quota: QuotaFigures,
    /// What a policy may name of it under `[scope]`. A place needs all that come
    /// before it as well: a zone needs its account.
    pub scope: &'static [ScopeKey],
}

/// A token that is used instead of the provider's token for some requests.
#[derive(Debug)]
pub struct ExtraToken {
    /// The environment variable.
    pub variable: &'static str,
    /// Whether it is used for a path.
    pub covers: fn(&str) -> bool,
}

/// A provider's documented limits on requests, which count until its headers say
/// otherwise.
#[derive(Debug)]
pub struct QuotaFigures {
    /// Requests in any window.
    pub limit: u32,
    /// The window.
    pub window: Duration,
    /// Requests in a second that this run sends at most.
    pub per_second: u32,
    /// Requests that may be sent at once after a pause.
    pub burst: u32,
    /// Requests that are under way at the same time.
    pub in_flight: usize,
    /// Writing requests in a second, where the provider asks for a distance.
    pub writes_per_second: Option<u32>,
    /// Whether `--quota-reserve` is about it.
    pub takes_reserve: bool,
    /// What it counts together.
    pub counting: Counting,
}

/// What a provider counts together.
#[derive(Debug)]
pub enum Counting {
    /// Everything. Answers may name further quotas for some routes.
    Account,
    /// Each of these resources by itself. The first counts what is not about
    /// another.
    Resources(&'static [&'static str]),
}
