//! What a kind of resource can do: values in, a request out; bytes in, resources
//! out. No kind does I/O. The kinds themselves are in [`crate::providers`].
//!
//! Every kind can be listed, read and deleted ([`Kind`]). What only some kinds can
//! do is a capability, a trait of its own that [`Kind`] returns where the kind has
//! it: a request and the reader of its answer always come together.

mod capability;
mod references;

use std::sync::Arc;

use http::StatusCode;

use crate::call::Call;
pub use crate::evidence::{Addressed, SourceUser};
use crate::model::{KindRef, Place, Resource, ResourceId};

pub use self::capability::{
    Activity, Backup, Batch, Bindings, Contents, ContentsPage, CountedPage, Details, Expiry,
    Holder, Holders, HoldersPage, InPlace, KeepMark, MarkRemoval, Namesake, Object, Obstacles,
    Queries, Recovery, Restore, Shown, Unbinding, UsersPage,
};
pub use self::references::{
    Ask, Counted, ReadsReferences, ReferenceAnswer, ReferencePage, UserSource,
};

/// An answer that does not have the documented form.
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

/// A request, and how its answer is read.
#[derive(Debug)]
pub struct Query<T> {
    /// The request.
    pub call: Call,
    /// Reads the body of a successful answer.
    pub read: fn(&[u8]) -> Result<T, Malformed>,
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

impl PageOf {
    /// Its number, where pages have numbers.
    pub fn number(&self) -> u64 {
        match self {
            Self::First | Self::Cursor(_) => 1,
            Self::Number(number) => *number,
        }
    }
}

/// How a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextPage {
    /// This was all.
    Last,
    /// There are this many pages in all; they may be asked for side by side.
    Pages(u64),
    /// After this cursor.
    After(String),
    /// With the next number, until a page is not full.
    More,
}

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// What it shows.
    pub items: Vec<Resource>,
    /// How many there are in all, where the page says so.
    pub total: Option<u64>,
    /// How the listing goes on.
    pub next: NextPage,
}

/// One kind of resource.
pub trait Kind: Sync {
    /// What it is called and what it has.
    fn about(&self) -> KindRef;

    /// Asks for a page of all that are in this place, or of those alone that one
    /// holder holds.
    fn list(&self, place: &Place, holder: Option<&str>, page: &PageOf) -> Call;

    /// Reads such a page.
    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed>;

    /// Adds what only the whole listing shows, such as a parent's name.
    fn complete(&self, _resources: &mut [Resource]) {}

    /// Asks for one. Not found means that it is gone, and so does what
    /// [`Kind::was_deleted`] recognizes.
    fn inspect(&self, id: &ResourceId) -> Call;

    /// Reads the answer to [`Kind::inspect`].
    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed>;

    /// Whether the answer to [`Kind::inspect`] shows one that was deleted, which its
    /// provider goes on showing.
    fn was_deleted(&self, _body: &[u8]) -> bool {
        false
    }

    /// Deletes one, and nothing but this one.
    fn delete(&self, id: &ResourceId) -> Call;

    /// Deletes one by an id that is never used again, where [`Kind::delete`] goes by
    /// a name and the API has both.
    fn delete_by_own_id(&self, _id: &ResourceId) -> Option<Call> {
        None
    }

    /// What a refusal to delete means.
    fn refusal(&self, _status: StatusCode, _body: &[u8]) -> DeletionRefusal {
        DeletionRefusal::Final(None)
    }

    /// How a person deletes one. `base` is the base of the provider's addresses;
    /// `bound` says that others bind it which can only be deleted after it.
    fn by_hand(&self, resource: &Resource, _base: &str, _bound: bool) -> ByHand {
        ByHand::Request(self.delete(&resource.identity()))
    }

    /// Returns the address of a resource's page at the provider, if there is one.
    fn dashboard(&self, _id: &ResourceId) -> Option<String> {
        None
    }

    /// What can be asked about all of them in a place, beside the listing.
    fn queries(&self) -> Queries {
        Queries::NONE
    }

    /// How what holds its resources is listed, where they are listed one holder
    /// at a time.
    fn holders(&self) -> Option<&dyn Holders> {
        None
    }

    /// How one is asked for what the listing does not show.
    fn details(&self) -> Option<&dyn Details> {
        None
    }

    /// How one is asked about what it uses.
    fn references(&self) -> Option<&dyn ReadsReferences> {
        None
    }

    /// How one stops binding another.
    fn bindings(&self) -> Option<&dyn Bindings> {
        None
    }

    /// How what stands in the way of a deletion is removed.
    fn obstacles(&self) -> Option<&dyn Obstacles> {
        None
    }

    /// How what one contains is listed and deleted, where it is only deleted empty.
    fn contents(&self) -> Option<&dyn Contents> {
        None
    }

    /// How several are deleted in one request.
    fn batch(&self) -> Option<&dyn Batch> {
        None
    }

    /// How one is given an expiry.
    fn expiry(&self) -> Option<&dyn Expiry> {
        None
    }

    /// How the contents of one are backed up.
    fn backup(&self) -> Option<&dyn Backup> {
        None
    }

    /// How one that was deleted is made again.
    fn restore(&self) -> Option<&dyn Restore> {
        None
    }
}

/// How a person deletes a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// With a request.
    Request(Call),
    /// With a command of these words.
    Command(Vec<String>),
}

/// What a refusal to delete means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionRefusal {
    /// Asking again will not help, but perhaps this does.
    Final(Option<&'static str>),
    /// Something else has to go first: this.
    Blocked(&'static str),
    /// What has to be done before it was not: this. [`Obstacles`] do it.
    Premature(&'static str),
    /// It holds something, and this helps. [`Contents`] can be deleted where the
    /// rules say so.
    NotEmpty(&'static str),
}
