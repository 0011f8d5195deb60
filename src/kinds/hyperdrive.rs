//! Hyperdrive configurations.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::cloudflare;
use super::{Kind, Malformed, Next, Page, PageOf};
use crate::call::Call;
use crate::model::{
    Api, Headroom, KindAbout, KindRef, Place, PlaceSort, Resource, ResourceId, Time,
};

pub(super) struct Hyperdrive;

static ABOUT: KindAbout = KindAbout {
    name: "hyperdrive",
    noun: "Hyperdrive configuration",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    caseless: false,
    created: true,
    changed: true,
    active: false,
    branch: None,
    expires: false,
    read_permission: "Hyperdrive Read",
    write_permission: "Hyperdrive Write",
    serial: false,
    backup: false,
    undo: "has to be made again by hand: the database's password is not given out",
    attributes: &[],
    holder: None,
    belongs_to: None,
    blocks: None,
    uses: &[],
    users_listed: false,
    manages: None,
    headroom: Some(Headroom {
        what: "Hyperdrive configurations per account",
        free: Some(10),
        paid: Some(25),
        per: None,
    }),
};

#[derive(Deserialize)]
struct Config {
    id: Box<str>,
    name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
}

impl Config {
    fn resource(self, place: &Arc<Place>) -> Resource {
        Resource {
            created_at: Time::always(self.created_on),
            changed_at: Time::always(self.modified_on),
            ..Resource::new(KindRef(&ABOUT), place, self.id, self.name)
        }
    }
}

/// The path of one configuration.
fn path(id: &ResourceId) -> [&str; 5] {
    ["accounts", id.place.id(), "hyperdrive", "configs", &id.id]
}

impl Kind for Hyperdrive {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _page: &PageOf) -> Call {
        let path = ["accounts", place.id(), "hyperdrive", "configs"];
        Call::get(Api::Cloudflare, &path)
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (configs, info) = cloudflare::open::<Vec<Config>>(body)?;
        let items = configs.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            // There is no page to ask for; the total shows whether this is all.
            total: info.and_then(|info| info.total_count),
            next: Next::Last,
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (config, _) = cloudflare::open::<Config>(body)?;
        Ok(config.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}
