//! Vectorize indexes, known by name. Source: Cloudflare's SDK 7.3.0,
//! `resources/vectorize/indexes`; its listing has no pages.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{Kind, Malformed, NextPage, Page, PageOf};
use crate::model::{Api, KindAbout, KindRef, Place, PlaceSort, Resource, ResourceId, Time, UsedBy};

pub(super) struct VectorizeIndex;

static ABOUT: KindAbout = KindAbout {
    name: "vectorize_index",
    noun: "Vectorize index",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    read_permission: "Vectorize Read",
    write_permission: "Vectorize Write",
    undo: "has to be created again by hand; its vectors are lost",
    used_by: UsedBy::These(&[
        "worker",
        "worker_preview",
        "pages_project",
        "dispatch_namespace",
    ]),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Index {
    name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
}

impl Index {
    fn resource(self, place: &Arc<Place>) -> Resource {
        Resource {
            created_at: Time::always(self.created_on),
            changed_at: Time::always(self.modified_on),
            ..Resource::new(KindRef(&ABOUT), place, self.name.clone(), self.name)
        }
    }
}

/// The path of one index.
fn path(id: &ResourceId) -> [&str; 6] {
    [
        "accounts",
        id.place.id(),
        "vectorize",
        "v2",
        "indexes",
        &id.id,
    ]
}

impl Kind for VectorizeIndex {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, _page: &PageOf) -> Call {
        let path = ["accounts", place.id(), "vectorize", "v2", "indexes"];
        Call::get(Api::Cloudflare, &path)
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (indexes, info) = envelope::open::<Vec<Index>>(body)?;
        let items = indexes.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total: info.and_then(|info| info.total_count),
            next: NextPage::Last,
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (index, _) = envelope::open::<Index>(body)?;
        Ok(index.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}
