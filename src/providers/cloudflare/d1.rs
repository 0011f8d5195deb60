//! D1 databases. They have no time of change.

mod backup;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::envelope;
use crate::call::Call;
use crate::kind::{Backup, Kind, Malformed, Page, PageOf, Restore};
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
    backup: true,
    undo: "can be restored under a new id, with what it held, if its rule says `backup = true`",
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
    /// In bytes. Listings do not have it.
    file_size: Option<u64>,
}

impl Database {
    fn resource(self, place: &Arc<Place>) -> Resource {
        Resource {
            created_at: Time::always(self.created_at),
            ..Resource::new(KindRef(&ABOUT), place, self.uuid, self.name)
        }
    }
}

/// A database of a listing, with what the provider said of it.
fn read(place: &Arc<Place>, original: Box<RawValue>) -> Result<Resource, Malformed> {
    let database: Database = serde_json::from_str(original.get())?;
    Ok(Resource {
        original: Some(Box::<str>::from(original)),
        ..database.resource(place)
    })
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
        let (databases, info) = envelope::open::<Vec<Box<RawValue>>>(body)?;
        let (total, next) = envelope::numbered(info.as_ref())?;
        let items = databases.into_iter().map(|one| read(place, one));
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
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

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }
}

impl Restore for D1 {
    /// In the same jurisdiction: data that must not leave it would be elsewhere.
    fn recreate(&self, id: &ResourceId, original: Option<&Value>) -> Option<Call> {
        let mut database = json!({ "name": id.name });
        let jurisdiction = original.map(|original| &original["jurisdiction"]);
        if let Some(jurisdiction) = jurisdiction.filter(|jurisdiction| !jurisdiction.is_null()) {
            database["jurisdiction"] = jurisdiction.clone();
        }
        let path = ["accounts", id.place.id(), "d1", "database"];
        Some(Call::new(Api::Cloudflare, Method::POST, &path).json(&database))
    }

    fn read_recreated(&self, body: &[u8]) -> Result<String, Malformed> {
        let (database, _) = envelope::open::<Database>(body)?;
        Ok(database.uuid.into())
    }
}
