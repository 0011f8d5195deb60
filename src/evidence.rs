//! What is known, and how surely: the inventory of resources and the roots
//! that keep them alive, each with what was asked and whether the answer was
//! complete. Plain values without I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::model::{KindRef, Place, PullRequestNumber, Reference, Repository, Resource};

/// One thing that was asked of a provider, as the report prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// `<api>.<what>`, such as `cloudflare.worker` or `github.pull_requests`.
    pub source: String,
    /// Where: a place or a repository.
    pub scope: String,
    /// Requests that it took.
    pub requests: u32,
    /// Items seen.
    pub items: usize,
    /// Items there are by the provider's own count.
    pub total: Option<u64>,
    /// Whether nothing is missing.
    pub complete: bool,
    /// Why something is missing.
    pub gap: Option<String>,
    /// Whether a rule depends on it, so that a gap makes the run incomplete.
    pub needed: bool,
}

/// The listing of one kind in one place.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The kind.
    pub kind: KindRef,
    /// Where.
    pub place: Arc<Place>,
    /// What was asked and answered.
    pub evidence: Evidence,
    /// How many there may be, where the provider told.
    pub allowance: Option<u64>,
}

impl Listing {
    /// Whether its last page was seen and its totals agree.
    pub fn complete(&self) -> bool {
        self.evidence.complete
    }
}

/// All resources that were listed.
#[derive(Debug, Default)]
pub struct Inventory {
    /// What was listed.
    pub listings: Vec<Listing>,
    /// Resources of the kinds that get verdicts.
    pub resources: Vec<Resource>,
    /// Resources of kinds that are listed for what they say about others.
    pub referrers: Vec<Resource>,
    /// Who uses what, as far as it was asked.
    pub uses: Uses,
}

impl Inventory {
    /// Adds what was listed elsewhere. Questions refer to resources by index,
    /// so this comes before any.
    pub fn extend(&mut self, more: Self) {
        self.listings.extend(more.listings);
        self.resources.extend(more.resources);
        self.referrers.extend(more.referrers);
        self.uses.extend(more.uses);
    }
}

/// Answers about who uses what.
#[derive(Debug, Default)]
#[must_use = "answers that are dropped are asked for again"]
pub struct Uses {
    /// What a resource uses, by its index in the inventory; or why that could
    /// not be told.
    pub of: BTreeMap<usize, Result<Vec<Reference>, String>>,
    /// Pairs of used id and user's id for all resources of a kind in a place;
    /// or why they could not be told.
    pub users: BTreeMap<(KindRef, Place), Result<UserPairs, String>>,
    /// What was asked for this.
    pub evidence: Vec<Evidence>,
}

impl Uses {
    /// Adds the answers to further questions.
    pub fn extend(&mut self, more: Self) {
        self.of.extend(more.of);
        self.users.extend(more.users);
        self.evidence.extend(more.evidence);
    }
}

/// Pairs of a used resource's id and its user's id.
pub type UserPairs = Vec<(Box<str>, Box<str>)>;

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
}

/// What is known of one pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullRequest {
    /// Seen open, draft or not.
    Open {
        /// Its title.
        title: Arc<str>,
        /// When it was opened.
        opened_at: Option<DateTime<Utc>>,
    },
    /// Seen closed.
    Closed {
        /// Its title.
        title: Arc<str>,
        /// When it was opened.
        opened_at: Option<DateTime<Utc>>,
        /// When it was closed, merged included.
        closed_at: Option<DateTime<Utc>>,
        /// Whether it was merged.
        merged: bool,
        /// When it was merged.
        merged_at: Option<DateTime<Utc>>,
    },
    /// The repository was seen and has no pull request of this number: never
    /// made, or an issue.
    Missing,
    /// It was asked for without an answer.
    Unknown {
        /// Why.
        why: Arc<str>,
    },
}

impl PullRequest {
    /// Its title, where it was seen.
    pub fn title(&self) -> Option<&str> {
        match self {
            Self::Open { title, .. } | Self::Closed { title, .. } => Some(title),
            Self::Missing | Self::Unknown { .. } => None,
        }
    }
}

/// The roots of one repository.
#[derive(Debug, Clone, Default)]
pub struct RepositoryRoots {
    /// Why a root source is not complete. Then nothing of this repository is
    /// known to be dead.
    pub gap: Option<Arc<str>>,
    /// Pull requests by number: all open ones, and those that were asked for.
    pub pull_requests: BTreeMap<PullRequestNumber, PullRequest>,
    /// What was asked and answered.
    pub evidence: Vec<Evidence>,
}

/// What keeps resources alive.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// By repository.
    pub repositories: BTreeMap<Repository, RepositoryRoots>,
}

impl Roots {
    /// Why the roots of some repository are not complete, if so.
    pub fn gap(&self) -> Option<(&Repository, &Arc<str>)> {
        self.repositories
            .iter()
            .find_map(|(repository, roots)| Some((repository, roots.gap.as_ref()?)))
    }
}

/// What happens while evidence is gathered, for whoever shows progress.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A listing ended.
    Listed(&'a Evidence),
    /// Pull requests were asked for.
    Roots(&'a Evidence),
    /// This many references are asked for.
    Asking(usize),
    /// One of them was answered.
    Answered,
}

/// Somebody who is told about progress.
pub trait Observer: Sync {
    /// Something happened.
    fn step(&self, step: Step<'_>);
}
