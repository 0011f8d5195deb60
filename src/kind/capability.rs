//! What only some kinds can do, each as a trait or a value of its own.

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::Value;

use super::{Addressed, Malformed, NextPage, PageOf, Query, ReferenceAnswer};
use crate::call::{Call, Transfer};
use crate::model::{Place, References, Resource, ResourceId, Time};

/// When resources were last active, by id.
pub type Activity = Vec<(Box<str>, Time)>;

/// A query about a place.
pub type InPlace<T> = fn(&Place) -> Query<T>;

/// What can be asked about all resources of a kind in a place, beside the listing.
#[derive(Debug, Clone, Copy)]
pub struct Queries {
    /// How many there are, where the listing does not say.
    pub count: Option<InPlace<u64>>,
    /// A page of all that the count may include, where it may include what was
    /// deleted and can be recovered.
    pub counted: Option<fn(&Place, &PageOf) -> Query<CountedPage>>,
    /// How many there may be, where the provider returns it; none where it sets no
    /// limit.
    pub allowance: Option<InPlace<Option<u64>>>,
    /// When each was last active, by id. Several times of one resource count as
    /// the latest of them.
    pub activity: Option<InPlace<Activity>>,
    /// The addresses at which they are reached.
    pub addresses: Option<InPlace<Vec<Addressed>>>,
    /// A page of who uses them, where that can be asked for many at once.
    pub users: Option<fn(&Place, &PageOf) -> Query<UsersPage>>,
}

impl Queries {
    /// None of them.
    pub const NONE: Self = Self {
        count: None,
        counted: None,
        allowance: None,
        activity: None,
        addresses: None,
        users: None,
    };
}

/// A page of resources with those that were deleted and can be recovered.
#[derive(Debug)]
pub struct CountedPage {
    /// Their ids, and whether each was deleted.
    pub items: Vec<(Box<str>, bool)>,
    /// How the listing goes on.
    pub next: NextPage,
}

/// Lists and deletes what a resource of a kind contains, which keeps it from being
/// deleted.
pub trait Contents: Sync {
    /// Asks for a page of it.
    fn page(&self, id: &ResourceId, page: &PageOf) -> Call;

    /// Reads such a page.
    fn read(&self, body: &[u8]) -> Result<ContentsPage, Malformed>;

    /// Deletes one object by its key.
    fn delete_object(&self, id: &ResourceId, key: &str) -> Call;
}

/// A page of what a resource contains.
#[derive(Debug)]
pub struct ContentsPage {
    /// The objects.
    pub objects: Vec<Object>,
    /// How the listing goes on.
    pub next: NextPage,
}

/// Something that a resource contains.
#[derive(Debug)]
pub struct Object {
    /// What the provider knows it by.
    pub key: String,
    /// Its size in bytes; 0 where the provider does not say it.
    pub bytes: u64,
    /// When it was last written, where the provider says so.
    pub changed_at: Option<DateTime<Utc>>,
}

/// Lists what holds the resources of a kind.
pub trait Holders: Sync {
    /// Asks for a page of the holders in a place.
    fn page(&self, place: &Place, page: &PageOf) -> Query<HoldersPage>;

    /// Notes on what a holder holds which of it the holder serves, where the kind
    /// makes a difference.
    fn mark_served(&self, _holder: &Holder, _held: &mut [Resource]) {}

    /// Narrows a listing to what is no production, where the kind makes a
    /// difference.
    fn without_production(&self, list: Call) -> Call {
        list
    }
}

/// Something that holds resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its name, as paths have it.
    pub name: Box<str>,
    /// The id of what it serves as production, where it says so.
    pub serves: Option<Box<str>>,
}

impl Holder {
    /// A holder of which only the name is known.
    pub fn named(name: Box<str>) -> Self {
        Self { name, serves: None }
    }
}

/// A page of what holds resources.
#[derive(Debug)]
pub struct HoldersPage {
    /// The holders.
    pub holders: Vec<Holder>,
    /// How many there are in all, where the page says so.
    pub total: Option<u64>,
    /// How the listing goes on.
    pub next: NextPage,
}

/// Asks for what a listing does not show of one resource, where a verdict needs it.
pub trait Details: Sync {
    /// Asks.
    fn ask(&self, resource: &Resource) -> Call;

    /// Adds what the answer shows.
    fn read(&self, resource: &mut Resource, answer: ReferenceAnswer<'_>) -> Result<(), Malformed>;
}

/// Removes bindings of one resource to another of the same kind.
pub trait Bindings: Sync {
    /// Asks what `user` binds.
    fn ask(&self, user: &ResourceId) -> Call;

    /// How a person deletes one that others still bind: a command.
    fn delete_by_hand(&self) -> &'static str;

    /// Reads the answer: how `user` stops binding `used`.
    fn unbind(
        &self,
        user: &ResourceId,
        used: &ResourceId,
        body: &[u8],
    ) -> Result<Unbinding, Malformed>;
}

/// How one resource stops binding another.
#[derive(Debug, Clone, PartialEq)]
pub enum Unbinding {
    /// It does not bind it, and binds these.
    Nothing(Vec<Value>),
    /// By this request.
    Remove {
        /// The request, which changes nothing else.
        call: Call,
        /// The names of the bindings that it removes.
        removed: Vec<String>,
        /// The bindings that stay.
        rest: Vec<Value>,
    },
    /// Not at all, for this reason.
    Impossible(String),
}

/// Removes what stands in the way of a deletion. A kind implements what applies to
/// it.
pub trait Obstacles: Sync {
    /// What has to be done to one before it can be deleted, in this order.
    fn prepare(&self, _id: &ResourceId) -> Vec<Call> {
        Vec::new()
    }

    /// What of `holder`, one of this kind that uses or is used by `held`, has to
    /// go before `held` can be deleted.
    fn release(&self, _holder: &Resource, _held: &ResourceId) -> Vec<Call> {
        Vec::new()
    }

    /// The deletion that the provider itself asks for in a refusal, where it
    /// harms nothing else, as the resource was last seen.
    fn delete_with_force(
        &self,
        _resource: &Resource,
        _status: StatusCode,
        _body: &[u8],
    ) -> Option<Call> {
        None
    }

    /// How a person does by hand what [`Self::release`] does: a command.
    fn release_by_hand(&self) -> Option<&'static str> {
        None
    }
}

/// Deletes several resources of one place in one request, all of them or none.
pub trait Batch: Sync {
    /// The maximum number in one request.
    fn maximum(&self) -> usize;

    /// Deletes these.
    fn delete(&self, place: &Place, ids: &[&ResourceId]) -> Call;
}

/// Lets a resource expire instead of deleting it.
pub trait Expiry: Sync {
    /// Gives one an expiry.
    fn set(&self, id: &ResourceId, at: DateTime<Utc>) -> Call;

    /// Removes the expiry of one.
    fn remove(&self, id: &ResourceId) -> Call;
}

/// What resources of a kind hold, fetched part by part and put back.
///
/// Both are state machines whose state is a value: [`Null`](Value::Null) at first, and
/// for a backup in the end what the journal keeps. An error means that there is no
/// backup, or that it is not written back.
pub trait Backup: Sync {
    /// Asks for the next part; none when everything is there.
    fn next(&self, id: &ResourceId, held: &Value) -> Result<Option<Transfer>, Malformed>;

    /// Takes the answer.
    fn take(&self, held: &mut Value, body: &[u8]) -> Result<(), Malformed>;

    /// Asks for what shows whether a resource changed after its backup; none where
    /// the provider shows nothing of that.
    fn recheck(&self, _id: &ResourceId) -> Option<Call> {
        None
    }

    /// Reads the answer: whether the resource looks as it did when it was backed up.
    fn is_current(&self, _held: &Value, _body: &[u8]) -> Result<bool, Malformed> {
        Ok(true)
    }

    /// How many entries are not written back because they have expired since.
    fn expired(&self, _held: &Value, _now: DateTime<Utc>) -> usize {
        0
    }

    /// Asks for the next request that writes the backup into a resource that was
    /// created again; none when all of it is written. `now` is the same for all.
    fn fill(
        &self,
        _id: &ResourceId,
        _held: &Value,
        _written: &Value,
        _now: DateTime<Utc>,
    ) -> Result<Option<Transfer>, Malformed> {
        Ok(None)
    }

    /// Takes the answer; an error says what was not written.
    fn take_filled(&self, _written: &mut Value, _body: &[u8]) -> Result<(), Malformed> {
        Ok(())
    }
}

/// Makes a resource again that was deleted.
pub trait Restore: Sync {
    /// Makes it again. `original` is what the provider said of it; none where
    /// that does not suffice.
    fn recreate(&self, id: &ResourceId, original: Option<&Value>) -> Option<Call>;

    /// Reads the id of what was made again.
    fn read_recreated(&self, body: &[u8]) -> Result<String, Malformed>;

    /// What another resource of the same name in the same place is to it.
    fn namesake(&self, _id: &ResourceId, _original: Option<&Value>, _other: &Resource) -> Namesake {
        Namesake::Itself
    }

    /// How the provider says whether it still has one, where it keeps what was
    /// deleted for a while.
    fn recovery(&self) -> Option<&dyn Recovery> {
        None
    }

    /// How the resource is marked when it is made again, so that every run keeps it;
    /// none if its kind has nothing to write a mark into.
    fn keep_mark(&self) -> Option<&dyn KeepMark> {
        None
    }
}

/// Writes [`KEEP_MARK`](crate::model::KEEP_MARK) into a resource that is made again,
/// and removes that mark.
pub trait KeepMark: Sync {
    /// Returns the provider's representation with the mark in it; none if there is no
    /// room for it.
    fn mark(&self, original: &Value) -> Option<Value>;

    /// Asks for the resource.
    fn ask(&self, id: &ResourceId) -> Call;

    /// Whether a listed resource has the mark as [`Self::mark`] wrote it into this
    /// representation.
    fn is_as_marked(&self, marked: &Value, listed: &Resource) -> bool;

    /// Reads the answer, and returns how the mark as [`Self::mark`] writes it is
    /// removed.
    fn remove(&self, id: &ResourceId, body: &[u8]) -> Result<MarkRemoval, Malformed>;
}

/// How a mark is removed from a resource.
#[derive(Debug)]
pub enum MarkRemoval {
    /// By this request.
    Request(Call),
    /// The resource has no mark.
    NotMarked,
    /// Somebody changed the text with the mark, so that it is theirs.
    Changed,
}

/// What a resource is to a deleted one that had its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namesake {
    /// What the deleted one becomes when it is made again.
    Itself,
    /// Something else, beside which the deleted one must not be made.
    Other,
    /// Something else, which may be beside it.
    Beside,
}

/// Asks whether a resource that was deleted can be recovered.
pub trait Recovery: Sync {
    /// Asks.
    fn ask(&self, id: &ResourceId) -> Call;

    /// Reads the answer: until when it can.
    fn read(&self, id: &ResourceId, body: &[u8]) -> Result<Option<DateTime<Utc>>, Malformed>;
}

/// One page of who uses what.
#[derive(Debug)]
pub struct UsersPage {
    /// The resources that the page shows, used or not.
    pub shown: Vec<Shown>,
    /// Pairs of the used resource's id and its user's id.
    pub uses: Vec<(Box<str>, Box<str>)>,
    /// Resources of other kinds, by kind and id, that the page shows to be attached.
    pub attached: Vec<(&'static str, Box<str>)>,
    /// Resources, by id, with what the page itself says that they use.
    pub references: Vec<(Box<str>, References)>,
    /// How many there are in all.
    pub total: Option<u64>,
    /// How the listing goes on.
    pub next: NextPage,
}

/// A resource in a list of users.
#[derive(Debug)]
pub struct Shown {
    /// Its id.
    pub id: Box<str>,
    /// When it was made, if it is one that the listing of its kind must show.
    pub listed_since: Option<DateTime<Utc>>,
    /// When its newest deployment was made.
    pub deployed_at: Option<DateTime<Utc>>,
    /// Whether it has the mark of what is to be kept.
    pub is_marked: bool,
}
