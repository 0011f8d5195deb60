//! D1 databases. They have no time of change.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{Kind, Malformed, Page, PageOf};
use crate::model::{
    Api, Headroom, KindAbout, KindRef, Place, PlaceSort, Resource, ResourceId, Time, UsedBy,
};

pub(super) struct D1;

static ABOUT: KindAbout = KindAbout {
    name: "d1",
    noun: "D1 database",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    read_permission: "D1 Read",
    write_permission: "D1 Write",
    undo: "cannot be restored",
    used_by: UsedBy::These(&[
        "worker",
        "worker_preview",
        "pages_project",
        "dispatch_namespace",
    ]),
    headroom: Some(Headroom {
        what: "D1 databases per account",
        free: Some(10),
        paid: Some(50_000),
        per: None,
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Database {
    uuid: Box<str>,
    name: Box<str>,
    created_at: Option<DateTime<Utc>>,
}

impl Database {
    fn resource(self, place: &Arc<Place>) -> Resource {
        Resource {
            created_at: Time::always(self.created_at),
            ..Resource::new(KindRef(&ABOUT), place, self.uuid, self.name)
        }
    }
}

/// The path of one database.
fn path(id: &ResourceId) -> [&str; 5] {
    ["accounts", id.place.id(), "d1", "database", &id.id]
}

impl Kind for D1 {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        Call::get(Api::Cloudflare, &["accounts", place.id(), "d1", "database"])
            .with("per_page", "1000")
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (databases, info) = envelope::open::<Vec<Database>>(body)?;
        let (total, next) = envelope::numbered(info.as_ref())?;
        let items = databases.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total,
            next,
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (database, _) = envelope::open::<Database>(body)?;
        Ok(database.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}
