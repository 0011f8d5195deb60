//! R2 buckets of the default jurisdiction. They have no time of change.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::envelope;
use crate::call::Call;
use crate::kind::{
    Contents, ContentsPage, DeletionRefusal, Kind, Malformed, NextPage, Object, Page, PageOf,
    Restore,
};
use crate::model::{
    Api, Headroom, KindAbout, KindRef, Place, PlaceSort, Resource, ResourceId, Time, UsedBy,
};

pub(super) struct R2;

static ABOUT: KindAbout = KindAbout {
    name: "r2",
    noun: "R2 bucket",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    read_permission: "Workers R2 Storage Read",
    write_permission: "Workers R2 Storage Write",
    undo: "can be created again empty",
    emptied: true,
    used_by: UsedBy::These(&[
        "worker",
        "worker_preview",
        "pages_project",
        "dispatch_namespace",
    ]),
    headroom: Some(Headroom {
        what: "R2 buckets per account",
        free: Some(1_000_000),
        paid: Some(1_000_000),
        per: None,
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    name: Box<str>,
    creation_date: Option<DateTime<Utc>>,
}

impl Bucket {
    fn resource(self, place: &Arc<Place>) -> Resource {
        Resource {
            created_at: Time::always(self.creation_date),
            ..Resource::new(KindRef(&ABOUT), place, self.name.clone(), self.name)
        }
    }
}

/// The path of one bucket.
fn path(id: &ResourceId) -> [&str; 5] {
    ["accounts", id.place.id(), "r2", "buckets", &id.id]
}

impl Kind for R2 {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        let call = Call::get(Api::Cloudflare, &["accounts", place.id(), "r2", "buckets"])
            .with("per_page", "1000");
        match page {
            PageOf::Cursor(cursor) => call.with("cursor", cursor.clone()),
            PageOf::First | PageOf::Number(_) => call,
        }
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (answer, cursor) = envelope::open_after::<Buckets>(body)?;
        let items = answer.buckets.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total: None,
            next: cursor.map_or(NextPage::Last, NextPage::After),
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (bucket, _) = envelope::open::<Bucket>(body)?;
        Ok(bucket.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> DeletionRefusal {
        if envelope::codes(body).contains(&10_008) {
            return DeletionRefusal::NotEmpty(
                "the bucket is not empty: set a lifecycle rule that expires its objects, or \
                 empty = true in its rule, and a later run can delete it",
            );
        }
        DeletionRefusal::Final(None)
    }

    fn contents(&self) -> Option<&dyn Contents> {
        Some(self)
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }
}

#[derive(Deserialize)]
struct ListedObject {
    key: String,
    size: Option<u64>,
    last_modified: Option<DateTime<Utc>>,
}

/// Its objects. Source: Cloudflare's SDK 7.3.0, `resources/r2/buckets/objects`.
impl Contents for R2 {
    fn page(&self, id: &ResourceId, page: &PageOf) -> Call {
        let path = [&path(id)[..], &["objects"]].concat();
        let call = Call::get(Api::Cloudflare, &path).with("per_page", "1000");
        match page {
            PageOf::Cursor(cursor) => call.with("cursor", cursor.clone()),
            PageOf::First | PageOf::Number(_) => call,
        }
    }

    fn read(&self, body: &[u8]) -> Result<ContentsPage, Malformed> {
        let (objects, cursor) = envelope::open_after::<Vec<ListedObject>>(body)?;
        let objects = objects.into_iter().map(|one| Object {
            key: one.key,
            bytes: one.size.unwrap_or(0),
            changed_at: one.last_modified,
        });
        Ok(ContentsPage {
            objects: objects.collect(),
            next: cursor.map_or(NextPage::Last, NextPage::After),
        })
    }

    fn delete_object(&self, id: &ResourceId, key: &str) -> Call {
        let path = [&path(id)[..], &["objects", key]].concat();
        Call::delete(Api::Cloudflare, &path)
    }
}

impl Restore for R2 {
    fn recreate(&self, id: &ResourceId, _original: Option<&Value>) -> Option<Call> {
        let path = ["accounts", id.place.id(), "r2", "buckets"];
        let call = Call::new(Api::Cloudflare, Method::POST, &path);
        Some(call.json(&json!({ "name": id.name })))
    }

    fn read_recreated(&self, body: &[u8]) -> Result<String, Malformed> {
        let (bucket, _) = envelope::open::<Bucket>(body)?;
        Ok(bucket.name.into())
    }
}
