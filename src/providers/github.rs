//! GitHub: deployments and environments. Pull requests, branches and runs are
//! roots, which `crate::github` reads.

mod facts;
mod github_deployment;
mod github_environment;

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Response, StatusCode};

use super::{Counting, OpenFact, Provider, ProviderAbout, QuotaFigures, answer};
use crate::kind::Kind;
use crate::model::{Api, BuiltInProtection, production_words};

/// GitHub.
pub(super) struct GitHub;

/// GitHub allows 5,000 requests in an hour (1,000 for the token of a workflow,
/// according to its headers) and 100 at a time, and asks for a second between
/// writing requests.
static ABOUT: ProviderAbout = ProviderAbout {
    api: Api::GitHub,
    key: "github",
    title: "GitHub",
    token: &["GITHUB_TOKEN", "GH_TOKEN"],
    extra_token: None,
    base: &["GITHUB_API_URL"],
    default_base: "https://api.github.com",
    graphql: Some("GITHUB_GRAPHQL_URL"),
    accept: "application/vnd.github+json",
    answers_with: &[
        "date",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-ratelimit-resource",
    ],
    headers: &[("x-github-api-version", "2022-11-28")],
    quota: QuotaFigures {
        limit: 5_000,
        window: Duration::from_hours(1),
        per_second: 30,
        burst: 30,
        in_flight: 16,
        writes_per_second: Some(1),
        takes_reserve: false,
        // REST and GraphQL are counted separately.
        counting: Counting::Resources(&["core", "graphql"]),
    },
    scope: &[],
};

/// The path of GraphQL queries.
const GRAPHQL: &str = "/graphql";

/// Its kinds, in the order in which a sweep deletes them.
static KINDS: &[&dyn Kind] = &[
    &github_deployment::GitHubDeployment,
    &github_environment::GitHubEnvironment,
];

impl Provider for GitHub {
    fn about(&self) -> &'static ProviderAbout {
        &ABOUT
    }

    fn kinds(&self) -> &'static [&'static dyn Kind] {
        KINDS
    }

    fn facts(&self) -> &'static [OpenFact] {
        facts::FACTS
    }

    fn route(&self, path: &str) -> String {
        let route = if path == GRAPHQL { "graphql" } else { "core" };
        route.to_owned()
    }

    fn throttled(
        &self,
        target: &str,
        response: &Response<Bytes>,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        let headers = response.headers();
        let asked = answer::retry_after(headers, now);
        let used_up = answer::number(headers, "x-ratelimit-remaining") == Some(0);
        let limited = match response.status() {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::FORBIDDEN => used_up || asked.is_some() || says_rate_limit(response),
            StatusCode::OK => {
                target == GRAPHQL && graphql_rate_limited(response, used_up || asked.is_some())
            }
            _ => false,
        };
        limited.then(|| {
            let reset = answer::number(headers, "x-ratelimit-reset")
                .filter(|_| used_up)
                .and_then(|at| DateTime::from_timestamp(at, 0))
                .and_then(|at| (at - now).to_std().ok());
            asked.or(reset).unwrap_or(Duration::from_mins(1))
        })
    }

    /// GraphQL reports errors in a part of an answer.
    fn has_errors_inside(&self, body: &[u8]) -> bool {
        const NAME: &[u8] = b"\"errors\"";
        body.windows(NAME.len()).any(|window| window == NAME)
    }
}

fn says_rate_limit(response: &Response<Bytes>) -> bool {
    String::from_utf8_lossy(response.body())
        .to_ascii_lowercase()
        .contains("rate limit")
}

/// Returns whether GraphQL was rate limited in an answer with status 200: for
/// its primary limit, by an error of that type or code; for a secondary limit,
/// by any error beside headers that ask to wait, or by a message that says so.
fn graphql_rate_limited(response: &Response<Bytes>, headers_ask: bool) -> bool {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<Error>,
    }
    #[derive(serde::Deserialize)]
    struct Error {
        #[serde(rename = "type")]
        sort: Option<String>,
        code: Option<serde_json::Value>,
        extensions: Option<serde_json::Value>,
        message: Option<String>,
    }
    let limits = |text: &str| {
        ["rate_limit", "rate_limited", "graphql_rate_limit"]
            .iter()
            .any(|known| text.eq_ignore_ascii_case(known))
    };
    serde_json::from_slice::<Body>(response.body()).is_ok_and(|body| {
        body.errors.iter().any(|error| {
            let extended = error.extensions.as_ref().and_then(|more| more.get("code"));
            let codes = [error.code.as_ref(), extended];
            let mut codes = codes.into_iter().flatten().filter_map(|code| code.as_str());
            let message = error.message.as_deref().unwrap_or_default();
            headers_ask
                || error.sort.as_deref().is_some_and(limits)
                || codes.any(limits)
                || message
                    .to_ascii_lowercase()
                    .contains("secondary rate limit")
        })
    })
}

/// What an environment or a deployment is protected by because of its name. What only
/// may be production, a rule can spell.
fn protection(name: &str) -> Option<BuiltInProtection> {
    if is_production(name) {
        return Some(BuiltInProtection::Production);
    }
    let is_alike = production_words(name).next().is_some();
    is_alike.then_some(BuiltInProtection::LikeProduction)
}

/// Whether an environment or a deployment is called production, in any spelling
/// that people use: `Production`, `prod-eu`, `eu/production/shop`, `shop (live)`.
/// `live` also describes previews, so that it counts only alone or at the end.
fn is_production(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let is_named = |word: &str| ["production", "prod", "prd"].contains(&word);
    words.clone().any(is_named) || words.next_back() == Some("live")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_is_known_in_any_spelling() {
        for name in [
            "production",
            "Production",
            "PROD",
            "live",
            "Live",
            "prod-eu",
            "Production – shop",
            "shop-production",
            "shop (live)",
            "eu/prod",
            "eu/production/shop",
            "web-prod-pr-7",
            "PRD",
        ] {
            assert!(is_production(name), "{name}");
        }
        for name in [
            "preview",
            "live-preview-7",
            "products",
            "reproduction",
            "pr-7",
            "",
            "alive",
        ] {
            assert!(!is_production(name), "{name}");
        }
        for name in ["Live-EU", "production2", "live-preview-7", "web prod2 eu"] {
            assert_eq!(
                protection(name),
                Some(BuiltInProtection::LikeProduction),
                "{name}"
            );
        }
        assert_eq!(protection("pr-7"), None);
    }
}
