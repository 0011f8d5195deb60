//! Questions about who uses what: a first question, and what its answers lead to.

use super::{Malformed, SourceUser};
use crate::call::Call;
use crate::model::{Api, Place, References, ResourceId};

/// Asks single resources of a kind what they use.
pub trait ReadsReferences: Sync {
    /// What has to be asked to know what one resource uses.
    fn first(&self, resource: &ResourceId) -> Vec<Ask>;

    /// The part of [`Self::first`] that may change although the listings show the
    /// same times of change and deployment. None where all of it may.
    fn since(&self, resource: &ResourceId) -> Option<Vec<Ask>>;

    /// Reads the answer to one such question.
    fn read(
        &self,
        resource: &ResourceId,
        ask: &Ask,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed>;
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
pub enum ReferenceAnswer<'a> {
    /// With this body.
    Body(&'a [u8]),
    /// A 404 with this body: what was asked about does not exist, if the body has
    /// the provider's own code for that. A 404 alone proves nothing.
    Missing(&'a [u8]),
}

/// What an answer says, and what to ask because of it.
#[derive(Debug, Default)]
pub struct ReferencePage {
    /// What the resource that was asked about uses.
    pub references: References,
    /// Users that the answer shows, of a user source.
    pub users: Vec<SourceUser>,
    /// The list that this is a page of, where the provider counts its items.
    pub counted: Option<Counted>,
    /// Further questions to ask.
    pub more: Vec<Ask>,
}

/// A page of a list whose items the provider counts. A page that comes twice hides
/// another one, which only the distinct items show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The list, as shown in error messages: the same on all of its pages, and on
    /// no page of another list.
    pub list: String,
    /// How many items the provider counts on all pages.
    pub total: u64,
    /// The ids or names of the items on this page.
    pub items: Vec<Box<str>>,
}

/// Users of resources that are no resources which a rule could be about. What
/// they use is kept for as long as they exist.
pub trait UserSource: Sync {
    /// The provider whose API lists it.
    fn api(&self) -> Api;

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
    fn read(
        &self,
        place: &Place,
        ask: &Ask,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed>;
}
