//! The kinds of resources, each in one file: values in, a request out; bytes
//! in, resources out. No kind does I/O, and none knows another's file.

pub mod cloudflare;
mod dns_record;
mod kv_namespace;
mod neon_branch;
mod worker;
mod worker_domain;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::Value;

use crate::call::Call;
use crate::model::{KindRef, Place, Reference, Resource, ResourceId, Time};

/// An answer that is not what the provider's documents promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(format!(
            "the answer does not have the documented form: {error}"
        ))
    }
}

/// Which page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageOf {
    /// The first.
    First,
    /// By number, counted from 1.
    Number(u64),
    /// What a cursor points at.
    Cursor(String),
}

/// How a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This was all.
    Last,
    /// There are this many pages in all; they may be asked for side by side.
    Pages(u64),
    /// After this cursor.
    After(String),
}

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// What it shows.
    pub items: Vec<Resource>,
    /// How many there are in all, where the page says so.
    pub total: Option<u64>,
    /// How the listing goes on.
    pub next: Next,
}

/// One kind of resource.
pub trait Kind: Sync {
    /// What it is called and what it has.
    fn about(&self) -> KindRef;

    /// Asks for a page of all that are in this place.
    fn list(&self, place: &Place, page: &PageOf) -> Call;

    /// Reads such a page.
    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed>;

    /// Asks for one. Not found means that it is gone.
    fn inspect(&self, id: &ResourceId) -> Call;

    /// Reads the answer to [`Kind::inspect`].
    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed>;

    /// Deletes one, and nothing but this one.
    fn delete(&self, id: &ResourceId) -> Call;

    /// Deletes several of one place, all of them or none, where the API can.
    fn delete_together(&self, _ids: &[&ResourceId]) -> Option<Call> {
        None
    }

    /// How many may be deleted together.
    fn most_together(&self) -> usize {
        1
    }

    /// Gives one an expiry, where the API can.
    fn expire(&self, _id: &ResourceId, _at: DateTime<Utc>) -> Option<Call> {
        None
    }

    /// Keeps what one holds, where the API gives it out.
    fn archive(&self) -> Option<&'static dyn Archive> {
        None
    }

    /// Asks whether one that was deleted can be recovered, where the provider
    /// keeps it for a while.
    fn recovery(&self, _id: &ResourceId) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::recovery`]: until when it can.
    fn read_recovery(
        &self,
        _id: &ResourceId,
        _body: &[u8],
    ) -> Result<Option<DateTime<Utc>>, Malformed> {
        Ok(None)
    }

    /// Makes one that was deleted again. `original` is what the provider said
    /// of it.
    fn remake(&self, _id: &ResourceId, _original: Option<&Value>) -> Option<Call> {
        None
    }

    /// Reads the id of what was made again.
    fn read_remade(&self, _body: &[u8]) -> Result<String, Malformed> {
        Err(Malformed("this kind cannot be made again".to_owned()))
    }

    /// What a refusal to delete means.
    fn refusal(&self, _status: StatusCode, _body: &[u8]) -> Refusal {
        Refusal::Final(None)
    }

    /// Asks how many there are, where the listing does not say.
    fn count(&self, _place: &Place) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::count`].
    fn read_count(&self, _body: &[u8]) -> Result<u64, Malformed> {
        Err(Malformed("this kind has no count".to_owned()))
    }

    /// What can only be told when the whole listing is there (a parent's
    /// name, for one).
    fn complete(&self, _resources: &mut [Resource]) {}

    /// Asks when each was last active, where the listing does not say.
    fn activity(&self, _place: &Place) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::activity`]: ids with their times. Several
    /// about one resource count as the latest of them.
    fn read_activity(&self, _body: &[u8]) -> Result<Vec<(Box<str>, Time)>, Malformed> {
        Err(Malformed("this kind has no activity".to_owned()))
    }

    /// Asks how many there may be, where the provider tells.
    fn allowance(&self, _place: &Place) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::allowance`]; none where the provider sets
    /// no limit.
    fn read_allowance(&self, _body: &[u8]) -> Result<Option<u64>, Malformed> {
        Ok(None)
    }

    /// Asks what one resource uses.
    fn uses(&self, _resource: &Resource) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::uses`].
    fn read_uses(&self, _body: &[u8]) -> Result<Vec<Reference>, Malformed> {
        Ok(Vec::new())
    }

    /// Asks for a page of who uses the resources of this kind, where that can
    /// be asked for many at once.
    fn users(&self, _place: &Place, _page: &PageOf) -> Option<Call> {
        None
    }

    /// Reads such a page.
    fn read_users(&self, _body: &[u8]) -> Result<UsersPage, Malformed> {
        Err(Malformed("this kind has no list of users".to_owned()))
    }
}

/// What resources of a kind hold, fetched part by part and put back.
pub trait Archive: Sync {
    /// Asks for the next part; none when everything is there. Nothing is there
    /// at first, which is null.
    fn next(&self, id: &ResourceId, held: &Value) -> Option<Call>;

    /// Takes such a part.
    fn take(&self, held: &mut Value, body: &[u8]) -> Result<(), Malformed>;

    /// Puts it back into one that was made again, in this order.
    fn fill(&self, _id: &ResourceId, _held: &Value) -> Vec<Call> {
        Vec::new()
    }
}

/// What a refusal to delete means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Asking again will not help, but perhaps this does.
    Final(Option<&'static str>),
    /// Something else has to go first: this.
    Blocked(&'static str),
}

/// One page of who uses what.
#[derive(Debug)]
pub struct UsersPage {
    /// The resources that the page shows, used or not.
    pub shown: Vec<Shown>,
    /// Pairs of the used resource's id and its user's id.
    pub uses: Vec<(Box<str>, Box<str>)>,
    /// How many there are in all.
    pub total: Option<u64>,
    /// How the listing goes on.
    pub next: Next,
}

/// A resource in a list of users.
#[derive(Debug)]
pub struct Shown {
    /// Its id.
    pub id: Box<str>,
    /// When it was made, if it is one that the listing of its kind must show.
    pub listed_since: Option<DateTime<Utc>>,
}

/// The kinds that get verdicts, in the order in which a sweep deletes them.
pub static KINDS: &[&dyn Kind] = &[
    &dns_record::DnsRecord,
    &worker::Worker,
    &kv_namespace::KvNamespace,
    &neon_branch::NeonBranch,
];

/// Kinds that are listed for what they say about others.
pub static REFERRERS: &[&dyn Kind] = &[&worker_domain::WorkerDomain];

/// Kinds that policies may name although nothing scans them yet.
pub static UNSCANNED: &[&str] = &[
    "worker_domain",
    "worker_route",
    "worker_preview",
    "d1",
    "r2",
    "queue",
    "hyperdrive",
    "pages_deployment",
    "github_environment",
    "github_deployment",
];

/// The kinds that get verdicts, as policies know them.
pub fn vocabulary() -> Vec<KindRef> {
    KINDS.iter().map(|kind| kind.about()).collect()
}

/// The kind of that name, scanned or listed for others.
pub fn by_name(name: &str) -> Option<&'static dyn Kind> {
    KINDS
        .iter()
        .chain(REFERRERS)
        .find(|kind| kind.about().name() == name)
        .copied()
}
