//! Neon: the branches of projects.

mod facts;
mod neon_branch;

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Response, StatusCode};

use super::{Counting, OpenFact, Provider, ProviderAbout, QuotaFigures, answer};
use crate::kind::Kind;
use crate::model::identifier::IdentifierSort;
use crate::model::{Api, PlaceSort, ScopeKey};

/// Neon.
pub(super) struct Neon;

/// Neon allows 700 requests in a minute and about 11 in a second.
static ABOUT: ProviderAbout = ProviderAbout {
    api: Api::Neon,
    key: "neon",
    title: "Neon",
    token: &["NEON_API_KEY"],
    extra_token: None,
    base: &["NEON_API_HOST"],
    default_base: "https://console.neon.tech/api/v2",
    graphql: None,
    accept: "application/json",
    answers_with: &["date"],
    headers: &[],
    quota: QuotaFigures {
        limit: 700,
        window: Duration::from_mins(1),
        per_second: 10,
        burst: 20,
        in_flight: 10,
        writes_per_second: None,
        takes_reserve: false,
        counting: Counting::Account,
    },
    scope: &[ScopeKey {
        sort: PlaceSort::Project,
        key: "projects",
        variables: &["NEON_PROJECT_ID"],
        takes_list: true,
        identifier: IdentifierSort::Project,
        noun: "the Neon project",
    }],
};

impl Provider for Neon {
    fn about(&self) -> &'static ProviderAbout {
        &ABOUT
    }

    fn kinds(&self) -> &'static [&'static dyn Kind] {
        &[&neon_branch::NeonBranch]
    }

    fn facts(&self) -> &'static [OpenFact] {
        facts::FACTS
    }

    fn route(&self, path: &str) -> String {
        answer::without_ids(path)
    }

    fn throttled(
        &self,
        _target: &str,
        response: &Response<Bytes>,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        answer::too_many_requests(response, now, Duration::from_secs(2))
    }

    /// Neon documents that a write answered with 423 or 503 had no effect.
    fn had_no_effect(&self, status: StatusCode) -> bool {
        matches!(status.as_u16(), 423 | 503)
    }

    fn found_nothing(&self, status: StatusCode) -> bool {
        status == StatusCode::NO_CONTENT
    }
}
