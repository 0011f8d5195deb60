//! Connects settings to the wire: the only place that chooses between the real
//! providers and the sandbox.

use std::collections::BTreeMap;

use url::Url;

use super::RunFailure;
use crate::clock::Clock;
use crate::model::Api;
use crate::providers::PROVIDERS;
use crate::wire::{ApiEndpoint, Token, Transport};

/// The source of environment variables: the process or the sandbox.
pub(super) struct EnvironmentVariables {
    pub(super) fixed: Option<BTreeMap<&'static str, String>>,
}

impl EnvironmentVariables {
    /// Returns the value of a variable; an empty one counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = match &self.fixed {
            Some(fixed) => fixed.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.trim().is_empty())
    }

    /// Returns whether these are the variables of the sandbox.
    pub(super) fn are_the_sandboxes(&self) -> bool {
        self.fixed.is_some()
    }

    /// Returns the comma-separated values of a variable.
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

/// A connection to the providers.
pub(super) struct ProviderConnections {
    pub(super) transport: Transport,
    pub(super) variables: EnvironmentVariables,
    pub(super) clock: Clock,
}

impl ProviderConnections {
    /// Connects to the real providers.
    pub(super) fn real(clock: Clock) -> Self {
        Self {
            transport: crate::wire::http::transport(proxy()),
            variables: EnvironmentVariables { fixed: None },
            clock,
        }
    }

    /// Returns the endpoints of the providers with credentials.
    pub(super) fn endpoints(&self) -> Result<BTreeMap<Api, ApiEndpoint>, RunFailure> {
        let get = |names: &[&str]| names.iter().find_map(|name| self.variables.get(name));
        let mut endpoints = BTreeMap::new();
        for provider in PROVIDERS {
            let about = provider.about();
            let Some(token) = get(about.token).as_deref().and_then(Token::new) else {
                continue;
            };
            let base = get(about.base).unwrap_or_else(|| about.default_base.to_owned());
            let base_variable = about.base.first().copied().unwrap_or_default();
            let base = self::base(&base, base_variable)?;
            let graphql = match about.graphql {
                Some(variable) => Some(match get(&[variable]) {
                    Some(url) => self::base(&url, variable)?,
                    None => graphql(&base),
                }),
                None => None,
            };
            if let Some(graphql) = &graphql
                && graphql.origin() != base.origin()
            {
                return Err(RunFailure::Usage(format!(
                    "{} is on another host than {base_variable} ({} and {}); the token is only \
                     sent to one",
                    about.graphql.unwrap_or_default(),
                    graphql.host_str().unwrap_or_default(),
                    base.host_str().unwrap_or_default()
                )));
            }
            let extra_token = about.extra_token.as_ref();
            let extra_token = extra_token.and_then(|extra| get(&[extra.variable]));
            let extra_token = extra_token.and_then(|text| Token::new(&text));
            endpoints.insert(
                about.api,
                ApiEndpoint {
                    base,
                    graphql,
                    token,
                    extra_token,
                },
            );
        }
        Ok(endpoints)
    }
}

/// Returns the variable that sets the proxy, if one does.
pub(super) fn proxy() -> Option<&'static str> {
    let variables = EnvironmentVariables { fixed: None };
    let mut proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter();
    proxies.find(|name| variables.get(name).is_some())
}

/// Returns the GraphQL address: Enterprise Server serves it next to its REST
/// prefix.
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

/// Parses a base address and checks that a token may be sent to it.
fn base(text: &str, variable: &str) -> Result<Url, RunFailure> {
    let url = Url::parse(text.trim_end_matches('/'))
        .map_err(|error| RunFailure::Usage(format!("{variable} is not an address: {error}")))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !plain || url.host_str().is_none() {
        return Err(RunFailure::Usage(format!(
            "{variable} must be scheme, host and path only"
        )));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(RunFailure::Usage(format!(
            "{variable} must be https (http only on loopback), or the token would be sent in \
             clear text"
        ))),
    }
}

/// Returns whether an address is on loopback.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(crate::wire::http::is_loopback)
}
