//! What a kind of resource can do: values in, a request out; bytes in, resources
//! out. No kind does I/O. The kinds themselves are in [`crate::providers`].

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::Value;

use crate::call::Call;
pub use crate::evidence::{Addressed, SourceUser};
use crate::model::{KindRef, Place, References, Resource, ResourceId, Time};

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
pub enum Next {
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

    /// Asks for a page of what holds its resources, where they are listed one
    /// holder at a time.
    fn holders(&self, _place: &Place, _page: &PageOf) -> Option<Call> {
        None
    }

    /// Reads such a page.
    fn read_holders(&self, _body: &[u8]) -> Result<Holders, Malformed> {
        Err(Malformed("this kind has no holders".to_owned()))
    }

    /// Asks for a page of all that one holder holds.
    fn list_in(&self, place: &Place, _holder: &str, page: &PageOf) -> Call {
        self.list(place, page)
    }

    /// Asks what the listing does not tell of one, where a verdict needs it.
    fn detail(&self, _resource: &Resource) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::detail`].
    fn read_detail(&self, _resource: &mut Resource, _body: &[u8]) -> Result<(), Malformed> {
        Ok(())
    }

    /// Asks for one. Not found means that it is gone.
    fn inspect(&self, id: &ResourceId) -> Call;

    /// Reads the answer to [`Kind::inspect`].
    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed>;

    /// Deletes one, and nothing but this one.
    fn delete(&self, id: &ResourceId) -> Call;

    /// What has to be done to one before it can be deleted, in this order.
    fn prepare(&self, _id: &ResourceId) -> Vec<Call> {
        Vec::new()
    }

    /// What of `holder`, one of this kind that uses or is used by `held`, has to
    /// go before `held` can be deleted.
    fn release(&self, _holder: &Resource, _held: &ResourceId) -> Vec<Call> {
        Vec::new()
    }

    /// Asks what `user`, another of this kind, binds.
    fn bindings(&self, _user: &ResourceId) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::bindings`]: how `user` stops binding `used`.
    fn unbind(
        &self,
        _user: &ResourceId,
        _used: &ResourceId,
        _body: &[u8],
    ) -> Result<Unbinding, Malformed> {
        Ok(Unbinding::Nothing(Vec::new()))
    }

    /// The deletion that the provider itself asks for in a refusal, where it
    /// harms nothing else.
    fn insist(&self, _id: &ResourceId, _status: StatusCode, _body: &[u8]) -> Option<Call> {
        None
    }

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

    /// Removes the expiry of one.
    fn unexpire(&self, _id: &ResourceId) -> Option<Call> {
        None
    }

    /// The words of a command that deletes one by hand, where people have one.
    fn by_hand(&self, _id: &ResourceId) -> Option<Vec<String>> {
        None
    }

    /// Returns how to back up the contents, if the API can export them.
    fn archive(&self) -> Option<&'static dyn Backup> {
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

    /// What has to be asked to know what one resource uses.
    fn uses(&self, _resource: &ResourceId) -> Vec<Ask> {
        Vec::new()
    }

    /// The part of [`Self::uses`] that may change although the listings show the
    /// same times of change and deployment. None where all of it may.
    fn uses_since(&self, _resource: &ResourceId) -> Option<Vec<Ask>> {
        None
    }

    /// Reads the answer to one such question.
    fn read_uses(
        &self,
        _resource: &ResourceId,
        _ask: &Ask,
        _answer: Answer<'_>,
    ) -> Result<Told, Malformed> {
        Ok(Told::default())
    }

    /// What has to be asked to know which resources of other kinds, that are
    /// listed one holder at a time, belong to this one.
    fn holds(&self, _resource: &ResourceId) -> Vec<Ask> {
        Vec::new()
    }

    /// Reads the answer to one such question: the names of what it holds.
    fn read_holds(
        &self,
        _resource: &ResourceId,
        _ask: &Ask,
        _answer: Answer<'_>,
    ) -> Result<Held, Malformed> {
        Ok(Held::default())
    }

    /// Asks for the addresses at which the resources in a place are reached.
    fn addresses(&self, _place: &Place) -> Option<Call> {
        None
    }

    /// Reads the answer to [`Kind::addresses`].
    fn read_addresses(&self, _body: &[u8]) -> Result<Vec<Addressed>, Malformed> {
        Err(Malformed("this kind has no addresses".to_owned()))
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

/// A question about references: a request, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The request to send.
    pub call: Call,
    /// What the request asks for, as shown in error messages.
    pub what: &'static str,
    /// Which page, version or other part of it.
    pub subject: Box<str>,
    /// How many items the answer must show, where that is known.
    pub expects: Option<u64>,
}

impl Ask {
    /// A question.
    pub fn of(what: &'static str, subject: &str, call: Call) -> Self {
        Self {
            call,
            what,
            subject: subject.into(),
            expects: None,
        }
    }
}

/// How a question about references was answered. Any other answer is a failure.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// With this body.
    Body(&'a [u8]),
    /// A 404 with this body: what was asked about does not exist, if the body has
    /// the provider's own code for that. A 404 alone proves nothing.
    Missing(&'a [u8]),
}

/// What an answer says, and what to ask because of it.
#[derive(Debug, Default)]
pub struct Told {
    /// What the resource that was asked about uses.
    pub references: References,
    /// Users that the answer shows, of a user source.
    pub users: Vec<SourceUser>,
    /// How many items the provider counts on all pages like this one, where it
    /// does.
    pub total: Option<u64>,
    /// How many of them this page shows.
    pub seen: u64,
    /// Further questions to ask.
    pub more: Vec<Ask>,
}

/// What an answer says that something holds, and what to ask because of it.
#[derive(Debug, Default)]
pub struct Held {
    /// The names.
    pub names: Vec<Box<str>>,
    /// How many the provider counts on all pages, where it does.
    pub total: Option<u64>,
    /// How many of them this page shows.
    pub seen: u64,
    /// Further questions.
    pub more: Vec<Ask>,
}

/// Users of resources that are no resources which a rule could be about. What
/// they use is kept for as long as they exist.
pub trait UserSource: Sync {
    /// Its name, as kinds state it under `used_by`.
    fn name(&self) -> &'static str;

    /// What people call one of its users.
    fn noun(&self) -> &'static str;

    /// The permission that asking takes, in the provider's own words.
    fn permission(&self) -> &'static str;

    /// What to ask first in an account.
    fn first(&self, place: &Place) -> Vec<Ask>;

    /// Whether a refusal of the first question means that the account does not
    /// have the product at all, and so no such users.
    fn is_absent(&self, _body: &[u8]) -> bool {
        false
    }

    /// Reads an answer.
    fn read(&self, place: &Place, ask: &Ask, answer: Answer<'_>) -> Result<Told, Malformed>;
}

/// A page of what holds resources.
#[derive(Debug)]
pub struct Holders {
    /// Their names, as paths have them.
    pub names: Vec<Box<str>>,
    /// How many there are in all, where the page says so.
    pub total: Option<u64>,
    /// How the listing goes on.
    pub next: Next,
}

/// What resources of a kind hold, fetched part by part and put back.
pub trait Backup: Sync {
    /// Asks for the next part; none when everything is there. Nothing is there
    /// at first, which is null.
    fn next(&self, id: &ResourceId, held: &Value) -> Option<Call>;

    /// Takes such a part.
    fn take(&self, held: &mut Value, body: &[u8]) -> Result<(), Malformed>;

    /// Returns the requests that write the backup into a resource that was
    /// created again, in their order.
    fn fill(&self, _id: &ResourceId, _held: &Value, _now: DateTime<Utc>) -> Filling {
        Filling::default()
    }

    /// Reads the answer to one of them; an error says what was not written.
    fn read_filled(&self, _body: &[u8]) -> Result<(), Malformed> {
        Ok(())
    }
}

/// How a backup is written back.
#[derive(Debug, Default)]
pub struct Filling {
    /// The requests, in their order.
    pub calls: Vec<Call>,
    /// How many entries are left out because they have expired since.
    pub expired: usize,
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

/// What a refusal to delete means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Asking again will not help, but perhaps this does.
    Final(Option<&'static str>),
    /// Something else has to go first: this.
    Blocked(&'static str),
    /// What has to be done before it was not: this. [`Kind::prepare`] and
    /// [`Kind::release`] do it.
    Premature(&'static str),
}

/// One page of who uses what.
#[derive(Debug)]
pub struct UsersPage {
    /// The resources that the page shows, used or not.
    pub shown: Vec<Shown>,
    /// Pairs of the used resource's id and its user's id.
    pub uses: Vec<(Box<str>, Box<str>)>,
    /// Resources, by id, with what the page itself says that they use.
    pub references: Vec<(Box<str>, References)>,
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
    /// When its newest deployment was made.
    pub deployed_at: Option<DateTime<Utc>>,
}
