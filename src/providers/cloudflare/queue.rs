//! Queues. Their consumers go before the Workers that consume, and those before
//! the queue.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::envelope;
use crate::call::Call;
use crate::kind::{DeletionRefusal, Kind, Malformed, NextPage, Obstacles, Page, PageOf, Restore};
use crate::model::{
    Api, Headroom, KindAbout, KindRef, Link, Place, PlaceSort, Reference, Resource, ResourceId,
    Time, UsedBy,
};

pub(super) struct Queue;

static ABOUT: KindAbout = KindAbout {
    name: "queue",
    noun: "queue",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    read_permission: "Queues Read",
    write_permission: "Queues Write",
    undo: "can be created again empty, under a new id and without consumers",
    blocks: Some("worker"),
    used_by: UsedBy::These(&[
        "worker",
        "worker_preview",
        "pages_project",
        "dispatch_namespace",
        "queue",
        "r2",
    ]),
    headroom: Some(Headroom {
        what: "queues per account",
        free: Some(10_000),
        paid: Some(10_000),
        per: None,
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct ListedQueue {
    queue_id: Box<str>,
    queue_name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
    /// `null` means none; an absent field means unknown.
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    producers: Option<Vec<Party>>,
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    consumers: Option<Vec<Party>>,
    producers_total_count: Option<usize>,
    consumers_total_count: Option<usize>,
}

/// Users of a queue that are neither Workers nor buckets.
const OUTSIDE: &str = "outside consumer";

/// Who sends or receives. The documents and the wire name a Worker differently.
#[derive(Deserialize)]
struct Party {
    consumer_id: Option<String>,
    script: Option<String>,
    script_name: Option<String>,
    service: Option<String>,
    /// A bucket whose event notifications are sent to the queue.
    bucket_name: Option<String>,
    /// The queue that gets what this consumer could not handle.
    dead_letter_queue: Option<String>,
}

impl Party {
    fn worker(&self) -> Option<&String> {
        let names = [&self.script, &self.script_name, &self.service];
        names.into_iter().flatten().next()
    }
}

fn read(place: &Arc<Place>, original: Box<RawValue>) -> Result<Resource, Malformed> {
    let queue: ListedQueue = serde_json::from_str(original.get())?;
    // No list at all is as good as an empty one only if the totals say so.
    let whole = |list: &Option<Vec<Party>>, total: Option<usize>| match (list, total) {
        (Some(list), total) => total.is_none_or(|total| list.len() >= total),
        (None, total) => total == Some(0),
    };
    if !whole(&queue.producers, queue.producers_total_count)
        || !whole(&queue.consumers, queue.consumers_total_count)
    {
        return Err(Malformed(format!(
            "queue {} does not show all of its producers and consumers",
            queue.queue_name
        )));
    }
    let producers = queue.producers.iter().flatten();
    let consumers = queue.consumers.iter().flatten();
    let parties = producers.map(|party| (party, false));
    let parties = parties.chain(consumers.map(|party| (party, true)));
    let links = parties.flat_map(|(party, consumes)| {
        let worker = party.worker().cloned();
        let worker = worker.map(|name| {
            let worker = Reference::by_id("worker", name);
            if consumes {
                Link::ServedBy(worker)
            } else {
                Link::UsedBy(worker)
            }
        });
        let bucket = party.bucket_name.clone();
        let bucket = bucket.map(|name| Link::UsedBy(Reference::by_name("r2", name)));
        let letters = party
            .dead_letter_queue
            .clone()
            .filter(|name| !name.is_empty());
        let letters = letters.map(|name| Link::Uses(Reference::by_name("queue", name)));
        // Whoever pulls messages over HTTP is no resource of the account.
        let outside = (worker.is_none() && bucket.is_none()).then(|| {
            let id = party.consumer_id.clone().unwrap_or_default();
            Link::UsedBy(Reference::by_id(OUTSIDE, id))
        });
        [worker, bucket, letters, outside].into_iter().flatten()
    });
    Ok(Resource {
        created_at: Time::always(queue.created_on),
        changed_at: Time::always(queue.modified_on),
        links: links.collect(),
        original: Some(Box::<str>::from(original)),
        ..Resource::new(KindRef(&ABOUT), place, queue.queue_id, queue.queue_name)
    })
}

/// The path of one queue.
fn path(id: &ResourceId) -> [&str; 4] {
    ["accounts", id.place.id(), "queues", &id.id]
}

impl Kind for Queue {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    /// The documents know no pages; answers say when there are more.
    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        let call = Call::get(Api::Cloudflare, &["accounts", place.id(), "queues"]);
        match page {
            PageOf::Number(number) => call.with("page", number.to_string()),
            PageOf::First | PageOf::Cursor(_) => call,
        }
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (queues, info) = envelope::open::<Vec<Box<RawValue>>>(body)?;
        let shown = queues.len() as u64;
        let total = info.as_ref().and_then(|info| info.total_count);
        let next = match total {
            Some(total) if total > shown => envelope::numbered(info.as_ref())?.1,
            _ => NextPage::Last,
        };
        let items = queues.into_iter().map(|queue| read(place, queue));
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
        let (queue, _) = envelope::open::<Box<RawValue>>(body)?;
        read(place, queue)
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> DeletionRefusal {
        let codes = envelope::codes(body);
        if codes.contains(&11_005) {
            DeletionRefusal::Blocked("a Worker binds it: that one has to go first")
        } else if codes.contains(&11_017) {
            DeletionRefusal::Final(Some(
                "an event notification writes to it: remove that first",
            ))
        } else {
            DeletionRefusal::Final(None)
        }
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }

    fn obstacles(&self) -> Option<&dyn Obstacles> {
        Some(self)
    }
}

impl Obstacles for Queue {
    fn release_by_hand(&self) -> Option<&'static str> {
        Some("wrangler queues consumer remove")
    }

    /// Its consumers that are this Worker.
    fn release(&self, holder: &Resource, held: &ResourceId) -> Vec<Call> {
        let original = holder.original.as_deref().unwrap_or_default();
        let Ok(queue) = serde_json::from_str::<ListedQueue>(original) else {
            return Vec::new();
        };
        let consumers = queue.consumers.unwrap_or_default();
        let ours = consumers
            .iter()
            .filter(|party| party.worker().is_some_and(|worker| **worker == *held.id));
        let path = |consumer: &str| {
            let queue = ["accounts", holder.place.id(), "queues", &holder.id];
            let path = [&queue[..], &["consumers", consumer]].concat();
            Call::delete(Api::Cloudflare, &path)
        };
        ours.filter_map(|party| party.consumer_id.as_deref().map(path))
            .collect()
    }
}

impl Restore for Queue {
    fn recreate(&self, id: &ResourceId, _original: Option<&Value>) -> Option<Call> {
        let path = ["accounts", id.place.id(), "queues"];
        let call = Call::new(Api::Cloudflare, Method::POST, &path);
        Some(call.json(&json!({ "queue_name": id.name })))
    }

    fn read_recreated(&self, body: &[u8]) -> Result<String, Malformed> {
        let (queue, _) = envelope::open::<ListedQueue>(body)?;
        Ok(queue.queue_id.into())
    }
}
