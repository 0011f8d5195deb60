//! Questions and answers about who uses what.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Evidence;
use crate::model::{KindRef, Place, Reference, References, Resource};

/// Answers about who uses what.
#[derive(Debug, Default)]
#[must_use = "answers that are dropped are asked for again"]
pub struct Uses {
    /// What a resource uses, by its index in the inventory; or why that could
    /// not be determined.
    pub of: BTreeMap<usize, Result<References, String>>,
    /// Who uses the resources of a kind in a place; or why that could not be
    /// determined.
    pub users: BTreeMap<(KindRef, Place), Result<Users, String>>,
    /// The users that a user source shows in an account; or why it could not be
    /// read.
    pub sources: BTreeMap<(&'static str, Place), Result<Vec<SourceUser>, String>>,
    /// When each of [`Self::sources`] was read: no answer is older.
    pub read_at: BTreeMap<(&'static str, Place), DateTime<Utc>>,
    /// Which of them were read before this inventory was.
    pub earlier: BTreeSet<(&'static str, Place)>,
    /// The addresses at which the resources of a kind in a place are reached, by
    /// their ids; or why that could not be read.
    pub addresses: BTreeMap<(KindRef, Place), Result<Vec<Addressed>, String>>,
    /// What a resource holds that no listing shows, by its index in the inventory; or
    /// why that could not be read.
    pub held: BTreeMap<usize, Result<Vec<Resource>, String>>,
    /// Listings that the answers contradict.
    pub contradictions: Vec<Contradiction>,
    /// What was asked for this.
    pub evidence: Vec<Evidence>,
}

impl Uses {
    /// When the newest deployment of a resource was made, where a list of users
    /// says so.
    pub fn deployed_at(&self, resource: &Resource) -> Option<DateTime<Utc>> {
        let key = (resource.kind, Place::clone(&resource.place));
        let users = self.users.get(&key)?.as_ref().ok()?;
        users.deployed.get(&resource.id).copied()
    }

    /// Whether a list of users shows a resource with the mark of what is to be kept: the
    /// listing of its kind may not show marks.
    pub fn shows_mark(&self, resource: &Resource) -> bool {
        resource.kind.users_listed
            && self.users.iter().any(|((kind, place), users)| {
                let users = users.as_ref().ok();
                let is_here = *kind == resource.kind && *place == *resource.place;
                is_here && users.is_some_and(|users| users.marked.contains(&resource.id))
            })
    }

    /// Adds the answers to further questions.
    pub(crate) fn extend(&mut self, more: Self) {
        self.contradictions.extend(more.contradictions);
        self.of.extend(more.of);
        self.users.extend(more.users);
        self.sources.extend(more.sources);
        self.read_at.extend(more.read_at);
        self.earlier.extend(more.earlier);
        self.addresses.extend(more.addresses);
        self.held.extend(more.held);
        self.evidence.extend(more.evidence);
    }
}

/// Who uses the resources of a kind in a place.
#[derive(Debug, Default)]
pub struct Users {
    /// Pairs of a used resource's id and its user's id.
    pub pairs: Vec<(Box<str>, Box<str>)>,
    /// The ids of all resources that the answer was about.
    pub shown: HashSet<Box<str>>,
    /// Resources, by id, with what the answer itself says that they use.
    pub references: Vec<(Box<str>, References)>,
    /// When the newest deployment of each was made, where the answer says so.
    pub deployed: HashMap<Box<str>, DateTime<Utc>>,
    /// The ids of those that have the mark of what is to be kept.
    pub marked: HashSet<Box<str>>,
}

/// A resource, by its id, and an address at which it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The id.
    pub id: Box<str>,
    /// The address.
    pub address: Box<str>,
}

/// Something that uses resources and is no resource of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceUser {
    /// The name of the user.
    pub name: Box<str>,
    /// What it goes with, the nearest first: a Preview with its Worker. Where none of
    /// these is listed the user stays.
    pub owners: Vec<Reference>,
    /// What it refers to.
    pub references: References,
}

/// A listing that leaves out what another answer shows.
#[derive(Debug, Clone)]
pub struct Contradiction {
    /// The kind that was listed.
    pub kind: KindRef,
    /// The place that was listed.
    pub place: Place,
    /// What it leaves out.
    pub why: String,
}

/// What a verdict would need to know about references.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Who uses the resources of this kind in this place?
    Users {
        /// The kind of what is used, and of its users.
        kind: KindRef,
        /// Where.
        place: Arc<Place>,
    },
    /// What does this resource use?
    Uses {
        /// Its index in the inventory.
        resource: usize,
    },
    /// What do the users that this source shows refer to?
    Source {
        /// The name of the source.
        source: &'static str,
        /// The account.
        place: Arc<Place>,
    },
    /// At which addresses are the resources of this kind in this place reached?
    Addresses {
        /// The kind.
        kind: KindRef,
        /// Where.
        place: Arc<Place>,
    },
    /// Which resources that no listing shows belong to this one?
    Holds {
        /// Its index in the inventory.
        resource: usize,
    },
}
