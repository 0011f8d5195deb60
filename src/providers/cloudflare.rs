//! Cloudflare: Workers with what serves and feeds them, storage, DNS and Pages.

mod bindings;
mod d1;
mod dispatch_namespace;
mod dns_record;
mod envelope;
mod hyperdrive;
mod kv_namespace;
mod pages_deployment;
mod pages_project;
mod queue;
mod r2;
mod worker;
mod worker_domain;
mod worker_preview;
mod worker_route;
pub mod zones;

use serde::Deserialize;

use super::{Provider, ProviderAbout};
use crate::call::Call;
use crate::kind::{Kind, Malformed, Query, UserSource};
use crate::model::Api;

/// Cloudflare.
pub(super) struct Cloudflare;

static ABOUT: ProviderAbout = ProviderAbout {
    api: Api::Cloudflare,
};

/// Its kinds, in the order in which a sweep deletes them.
static KINDS: &[&dyn Kind] = &[
    &worker_domain::WorkerDomain,
    &worker_route::WorkerRoute,
    &dns_record::DnsRecord,
    &worker_preview::WorkerPreview,
    &worker::Worker,
    &queue::Queue,
    &kv_namespace::KvNamespace,
    &d1::D1,
    &r2::R2,
    &hyperdrive::Hyperdrive,
    &pages_deployment::PagesDeployment,
];

/// Its users of resources that are no kinds, all of them asked by account.
static SOURCES: &[&dyn UserSource] = &[
    &pages_project::PagesProject,
    &dispatch_namespace::DispatchNamespace,
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
