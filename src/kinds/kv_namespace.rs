//! Workers KV namespaces. They have no times at all.

use std::sync::Arc;

use serde::Deserialize;

use super::cloudflare::{self, account};
use super::{Kind, Malformed, Page, PageOf};
use crate::call::Call;
use crate::model::{Api, Headroom, KindAbout, KindRef, Place, PlaceSort, Resource, Time};

pub(super) struct KvNamespace;

static ABOUT: KindAbout = KindAbout {
    name: "kv_namespace",
    noun: "KV namespace",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    caseless: false,
    created: false,
    changed: false,
    active: false,
    branch: None,
    expires: false,
    read_permission: "Workers KV Storage Read",
    attributes: &[],
    uses: &[],
    users_listed: false,
    manages: None,
    headroom: Some(Headroom {
        what: "KV namespaces per account",
        free: Some(1_000),
        paid: Some(1_000),
        per: None,
    }),
};

#[derive(Deserialize)]
struct Namespace {
    id: Box<str>,
    title: Box<str>,
}

impl Kind for KvNamespace {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, page: &PageOf) -> Call {
        let number = match page {
            PageOf::First | PageOf::Cursor(_) => 1,
            PageOf::Number(number) => *number,
        };
        // Without an order the pages may shift into one another.
        Call::get(
            Api::Cloudflare,
            &["accounts", account(place), "storage", "kv", "namespaces"],
        )
        .with("order", "id")
        .with("direction", "asc")
        .with("per_page", "1000")
        .with("page", number.to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (namespaces, info) = cloudflare::open::<Vec<Namespace>>(body)?;
        let (total, next) = cloudflare::numbered(info.as_ref())?;
        let items = namespaces
            .into_iter()
            .map(|namespace| Resource {
                kind: self.about(),
                place: place.clone(),
                id: namespace.id,
                name: namespace.title,
                incarnation: None,
                created_at: Time::NotKept,
                changed_at: Time::NotKept,
                active_at: Time::NotKept,
                expires_at: None,
                protection: None,
                parent: None,
                attributes: Vec::new(),
            })
            .collect();
        Ok(Page { items, total, next })
    }
}
