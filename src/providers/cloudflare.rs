//! Cloudflare: Workers with what serves and feeds them, storage, DNS and Pages.

mod access_application;
mod bindings;
mod container_application;
mod d1;
mod dispatch_namespace;
mod dns_record;
mod durable_object_namespace;
mod envelope;
mod facts;
mod hyperdrive;
mod kv_namespace;
mod pages_deployment;
mod pages_project;
mod queue;
mod r2;
mod reached;
mod tunnel;
mod vectorize_index;
mod worker;
mod worker_domain;
mod worker_preview;
mod worker_route;
mod workflow;
pub mod zones;

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Response;
use serde::Deserialize;

use super::{Counting, ExtraToken, OpenFact, Provider, ProviderAbout, QuotaFigures, answer};
use crate::call::Call;
use crate::kind::{Kind, Malformed, Query, UserSource};
use crate::model::identifier::IdentifierSort;
use crate::model::{Api, PlaceSort, ScopeKey};

/// Cloudflare.
pub(super) struct Cloudflare;

/// Cloudflare allows 1,200 requests in 5 minutes, and 200 in a second from an
/// address.
static ABOUT: ProviderAbout = ProviderAbout {
    api: Api::Cloudflare,
    key: "cloudflare",
    title: "Cloudflare",
    token: &["CLOUDFLARE_API_TOKEN", "CF_API_TOKEN"],
    extra_token: Some(ExtraToken {
        variable: "CLOUDFLARE_DNS_API_TOKEN",
        covers: is_about_dns_records,
    }),
    base: &[
        "CLOUDFLARE_API_BASE_URL",
        "CLOUDFLARE_BASE_URL",
        "CF_API_BASE_URL",
    ],
    default_base: "https://api.cloudflare.com/client/v4",
    graphql: None,
    accept: "application/json",
    answers_with: &["date", "ratelimit", "ratelimit-policy"],
    headers: &[],
    quota: QuotaFigures {
        limit: 1_200,
        window: Duration::from_mins(5),
        per_second: 150,
        burst: 50,
        in_flight: 40,
        writes_per_second: None,
        takes_reserve: true,
        counting: Counting::Account,
    },
    scope: &[
        ScopeKey {
            sort: PlaceSort::Account,
            key: "account",
            variables: &["CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID"],
            takes_list: false,
            identifier: IdentifierSort::Account,
            noun: "the Cloudflare account",
        },
        ScopeKey {
            sort: PlaceSort::Zone,
            key: "zones",
            variables: &["CLOUDFLARE_ZONE_ID"],
            takes_list: true,
            identifier: IdentifierSort::Zone,
            noun: "the zone",
        },
    ],
};

/// Its kinds, in the order in which a sweep deletes them.
static KINDS: &[&dyn Kind] = &[
    &worker_domain::WorkerDomain,
    &worker_route::WorkerRoute,
    &dns_record::DnsRecord,
    &worker_preview::WorkerPreview,
    &worker::Worker,
    &access_application::AccessApplication,
    &tunnel::Tunnel,
    &container_application::ContainerApplication,
    &workflow::Workflow,
    &queue::Queue,
    &kv_namespace::KvNamespace,
    &d1::D1,
    &r2::R2,
    &hyperdrive::Hyperdrive,
    &vectorize_index::VectorizeIndex,
    &pages_deployment::PagesDeployment,
];

/// Its users of resources that are no kinds, all of them asked by account.
static SOURCES: &[&dyn UserSource] = &[
    &pages_project::PagesProject,
    &dispatch_namespace::DispatchNamespace,
    &durable_object_namespace::DurableObjectNamespace,
    &worker_preview::UnlistedPreviews,
];

impl Provider for Cloudflare {
    fn about(&self) -> &'static ProviderAbout {
        &ABOUT
    }

    fn kinds(&self) -> &'static [&'static dyn Kind] {
        KINDS
    }

    fn sources(&self) -> &'static [&'static dyn UserSource] {
        SOURCES
    }

    fn facts(&self) -> &'static [OpenFact] {
        facts::FACTS
    }

    fn route(&self, path: &str) -> String {
        answer::without_ids(path)
    }

    /// A 429 has any error code, 10000 among them. Beyond its quota, Cloudflare
    /// refuses everything for a whole window.
    fn throttled(
        &self,
        _target: &str,
        response: &Response<Bytes>,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        answer::too_many_requests(response, now, ABOUT.quota.window)
    }

    /// Cloudflare may answer 200 with a failure in its envelope.
    fn is_denied(&self, body: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct EnvelopeStatus {
            success: Option<bool>,
        }
        // Errors are short; this avoids parsing a page of a listing twice.
        if body.len() > 16_384 {
            return false;
        }
        let envelope = serde_json::from_slice::<EnvelopeStatus>(body);
        envelope.is_ok_and(|envelope| envelope.success == Some(false))
    }

    fn message(&self, body: &[u8]) -> Option<String> {
        envelope::message(body)
    }

    fn accounts(&self) -> Option<Query<Vec<String>>> {
        let call = Call::get(Api::Cloudflare, &["accounts"]).with("per_page", "50");
        Some(Query {
            call,
            read: read_accounts,
        })
    }
}

fn read_accounts(body: &[u8]) -> Result<Vec<String>, Malformed> {
    #[derive(Deserialize)]
    struct Account {
        id: String,
    }
    let (accounts, _) = envelope::open::<Vec<Account>>(body)?;
    Ok(accounts.into_iter().map(|account| account.id).collect())
}

/// Returns whether a path is that of a zone's DNS records: the DNS token is
/// used for nothing else.
fn is_about_dns_records(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    segments.next() == Some("zones") && segments.nth(1) == Some("dns_records")
}
