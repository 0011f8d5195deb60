//! The evidence of a run: the inventory of resources and the roots that keep them
//! alive, each with its request and whether the answer was complete. Plain values
//! without I/O.

mod roots;
mod uses;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::roots::{
    ActionsRun, Approval, BranchEvidence, CheckedBoxes, ClosedSearch, Labels, Lifetime, LostLabels,
    PullRequest, RepositoryRoots, Roots, RootsWanted, Searched, TrackingIssue,
};
pub use self::uses::{Addressed, Contradiction, Question, SourceUser, Users, Uses};
use crate::model::code::Code;
use crate::model::{KindRef, Place, Resource};

/// One thing that was asked of a provider, as the report prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `<api>.<what>`, such as `cloudflare.worker` or `github.pull_requests`.
    pub source: String,
    /// Where: a place or a repository.
    pub scope: String,
    /// Requests that it took.
    pub requests: u32,
    /// The number of items seen.
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

impl Evidence {
    /// Returns the stable code of what is missing, if anything is.
    pub fn gap_code(&self) -> Option<Code> {
        if self.complete {
            return None;
        }
        let SourceParts { api, what, detail } = self.subject();
        Some(match (api, what, detail) {
            ("policy", _, _) => Code::PolicyPlaceUnread,
            (_, "", _) => Code::ProviderUnread,
            (_, "repository", _) => Code::RepositoryUnread,
            (_, "pull_requests", _) => Code::PullRequestsUnread,
            (_, "branches", _) => Code::BranchesUnread,
            (_, "runs", _) => Code::RunsUnread,
            (_, "issue", _) => Code::IssueUnread,
            (_, "zone" | "zones", _) => Code::ZoneUnread,
            (_, _, "activity") => Code::ActivityUnread,
            (_, _, "") => Code::ListingUnread,
            (_, _, _) => Code::ReferencesUnread,
        })
    }

    /// Returns what was asked about, as its source names it.
    pub fn subject(&self) -> SourceParts<'_> {
        let mut parts = self.source.splitn(3, '.');
        let mut next = || parts.next().unwrap_or_default();
        SourceParts {
            api: next(),
            what: next(),
            detail: next(),
        }
    }
}

/// The parts of the source of [`Evidence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceParts<'e> {
    /// The key of the provider, or `policy`.
    pub api: &'e str,
    /// A kind, or something at the forge; empty for a provider as a whole.
    pub what: &'e str,
    /// What about it; empty for its listing.
    pub detail: &'e str,
}

/// The listing of one kind in one place.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The kind listed.
    pub kind: KindRef,
    /// The place listed.
    pub place: Arc<Place>,
    /// What was asked and answered.
    pub evidence: Evidence,
    /// The maximum number that may exist, if the provider returned it.
    pub allowance: Option<u64>,
    /// Whether its resources were listed only because they may use others: no
    /// rule and no `protect` entry is about the kind, so that the report does
    /// not list those that stay.
    pub user_only: bool,
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
    /// Who uses what, as far as it was asked.
    pub uses: Uses,
    /// What was asked about activity.
    pub activity: Vec<Evidence>,
    /// Satellites whose maker this run deleted, each with that as it was: both by
    /// their index. What the maker claims to belong to decides about them.
    pub left_behind: BTreeMap<usize, usize>,
}

impl Inventory {
    /// Adds what was listed elsewhere. Questions refer to resources by index,
    /// so this comes before any.
    pub fn extend(&mut self, more: Self) {
        self.listings.extend(more.listings);
        self.resources.extend(more.resources);
        self.learn(more.uses);
        self.activity.extend(more.activity);
    }

    /// Whether a resource is here only for the satellites that it left behind.
    pub fn is_deleted_maker(&self, index: usize) -> bool {
        self.left_behind.values().any(|&maker| maker == index)
    }

    /// Adds answers about who uses what. A listing that they contradict is not
    /// complete.
    pub fn learn(&mut self, uses: Uses) {
        for contradiction in &uses.contradictions {
            for listing in &mut self.listings {
                if listing.kind == contradiction.kind && *listing.place == contradiction.place {
                    listing.evidence.complete = false;
                    listing
                        .evidence
                        .gap
                        .get_or_insert_with(|| contradiction.why.clone());
                }
            }
        }
        self.uses.extend(uses);
    }
}
