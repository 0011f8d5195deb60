//! Workers KV namespaces. They have no times at all.

use std::sync::Arc;

use serde::Deserialize;

use super::cloudflare::{self, account};
use super::{Kind, Malformed, Page, PageOf};
use crate::call::Call;
use crate::model::{
    Api, Headroom, KindAbout, KindRef, Place, PlaceSort, Resource, ResourceId, Time,
};

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
    write_permission: "Workers KV Storage Write",
    serial: false,
    backup: true,
    undo: "under a new id, with what it held, if the rule says `backup = true`",
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

impl Namespace {
    fn resource(self, place: &Arc<Place>) -> Resource {
        Resource {
            kind: KindRef(&ABOUT),
            place: place.clone(),
            id: self.id,
            name: self.title,
            incarnation: None,
            created_at: Time::NotKept,
            changed_at: Time::NotKept,
            active_at: Time::NotKept,
            expires_at: None,
            protection: None,
            parent: None,
            attributes: Vec::new(),
            original: None,
        }
    }
}

/// The path of one namespace.
fn path(id: &ResourceId) -> [&str; 6] {
    [
        "accounts",
        account(&id.place),
        "storage",
        "kv",
        "namespaces",
        &id.id,
    ]
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
            .map(|namespace| namespace.resource(place))
            .collect();
        Ok(Page { items, total, next })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (namespace, _) = cloudflare::open::<Namespace>(body)?;
        Ok(namespace.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}
