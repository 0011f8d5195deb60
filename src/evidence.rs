//! What is known, and how surely: the inventory of resources and the roots
//! that keep them alive, each with what was asked and whether the answer was
//! complete. Plain values without I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::code::Code;
use crate::model::{
    KindRef, Place, PullRequestNumber, Reference, References, Repository, Resource, RunId,
};

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
        let mut parts = self.source.split('.');
        let (api, what, detail) = (parts.next(), parts.next(), parts.next());
        Some(match (api, what, detail) {
            (Some("policy"), _, _) => Code::PolicyPlaceUnread,
            (_, None, _) => Code::ProviderUnread,
            (Some("github"), Some("repository"), _) => Code::RepositoryUnread,
            (Some("github"), Some("pull_requests"), _) => Code::PullRequestsUnread,
            (Some("github"), Some("branches"), _) => Code::BranchesUnread,
            (Some("github"), Some("runs"), _) => Code::RunsUnread,
            (Some("github"), Some("issue"), _) => Code::IssueUnread,
            (_, Some("zone" | "zones"), _) => Code::ZoneUnread,
            (_, _, Some("activity")) => Code::ActivityUnread,
            (_, _, Some(_)) => Code::ReferencesUnread,
            (_, Some(_), None) => Code::ListingUnread,
        })
    }
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
    pub witness: bool,
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

/// Answers about who uses what.
#[derive(Debug, Default)]
#[must_use = "answers that are dropped are asked for again"]
pub struct Uses {
    /// What a resource uses, by its index in the inventory; or why that could
    /// not be told.
    pub of: BTreeMap<usize, Result<References, String>>,
    /// Who uses the resources of a kind in a place; or why that could not be
    /// told.
    pub users: BTreeMap<(KindRef, Place), Result<Users, String>>,
    /// The users that a user source shows in an account; or why it could not be
    /// read.
    pub sources: BTreeMap<(&'static str, Place), Result<Vec<SourceUser>, String>>,
    /// Which of [`Self::sources`] were read before this inventory was.
    pub earlier: BTreeSet<(&'static str, Place)>,
    /// The addresses at which the resources of a kind in a place are reached, by
    /// their ids; or why that could not be read.
    pub addresses: BTreeMap<(KindRef, Place), Result<Vec<Addressed>, String>>,
    /// The names of what a resource holds that no listing shows, by its index in
    /// the inventory; or why that could not be read.
    pub held: BTreeMap<usize, Result<Vec<Box<str>>, String>>,
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

    /// Adds the answers to further questions.
    pub(crate) fn extend(&mut self, more: Self) {
        self.contradictions.extend(more.contradictions);
        self.of.extend(more.of);
        self.users.extend(more.users);
        self.sources.extend(more.sources);
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
    /// What it goes with: a Preview with its Worker. Without it the user stays.
    pub owner: Option<Reference>,
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

/// What is known of one pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullRequest {
    /// Seen open, draft or not.
    Open {
        /// Its title.
        title: Arc<str>,
        /// Its git branch in this repository; none when it comes from a fork.
        head: Option<Arc<str>>,
        /// What a fork calls the branch that it comes from.
        fork_head: Option<Arc<str>>,
        /// When it was opened.
        opened_at: Option<DateTime<Utc>>,
    },
    /// The pull request is closed.
    Closed {
        /// Its title.
        title: Arc<str>,
        /// Its git branch in this repository; none when it comes from a fork.
        head: Option<Arc<str>>,
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
        /// Why it is unknown.
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

    /// Its git branch in this repository. What a fork calls its branch says
    /// nothing about ours.
    pub fn head(&self) -> Option<&Arc<str>> {
        match self {
            Self::Open { head, .. } | Self::Closed { head, .. } => head.as_ref(),
            Self::Missing | Self::Unknown { .. } => None,
        }
    }
}

impl PullRequest {
    /// What a fork calls the branch of an open pull request. That can keep
    /// something of this name, and never makes anything dead.
    pub fn fork_head(&self) -> Option<&Arc<str>> {
        match self {
            Self::Open { fork_head, .. } => fork_head.as_ref(),
            Self::Closed { .. } | Self::Missing | Self::Unknown { .. } => None,
        }
    }

    /// From its opening to its end, as far as the answer has it; without an end
    /// for one that is open.
    pub fn life(&self) -> Option<Life> {
        match self {
            Self::Open { opened_at, .. } => Some(Life {
                opened: *opened_at,
                ended: None,
            }),
            Self::Closed {
                opened_at,
                closed_at,
                ..
            } => Some(Life {
                opened: *opened_at,
                ended: *closed_at,
            }),
            Self::Missing | Self::Unknown { .. } => None,
        }
    }
}

/// When a pull request lived, as far as its answer has these times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it was opened.
    pub opened: Option<DateTime<Utc>>,
    /// When it ended; none while it is open.
    pub ended: Option<DateTime<Utc>>,
}

/// What is known of one Actions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// It has not completed.
    Unfinished,
    /// It has completed.
    Finished {
        /// When it last changed.
        at: Option<DateTime<Utc>>,
    },
    /// The repository was seen and has no run of this id.
    Missing,
    /// It was asked for without an answer.
    Unknown {
        /// Why it is unknown.
        why: Arc<str>,
    },
}

/// How far the heads of closed pull requests were searched, newest update
/// first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Searched {
    /// Not at all.
    #[default]
    Nothing,
    /// All of them.
    Everything,
    /// All that were updated since then.
    BackTo(DateTime<Utc>),
    /// The search broke off.
    Failed(Arc<str>),
}

/// What is known of git branches and the pull requests that come from them.
/// The pull requests themselves are among [`RepositoryRoots::pull_requests`].
#[derive(Debug, Clone, Default)]
pub struct Heads {
    /// All git branches that exist; none when they were not asked for.
    pub branches: Option<BTreeSet<Arc<str>>>,
    /// Branches whose closed pull requests were asked for by name, and whether
    /// that was answered.
    pub asked: BTreeMap<Arc<str>, Result<(), Arc<str>>>,
    /// How far closed pull requests were searched for slugs.
    pub searched: Searched,
}

/// The roots of one repository.
#[derive(Debug, Clone, Default)]
pub struct RepositoryRoots {
    /// Why a root source is not complete. Then nothing of this repository is
    /// known to be dead.
    pub gap: Option<Arc<str>>,
    /// The repository's id, where an answer said it.
    pub id: Option<u64>,
    /// Pull requests by number: all open ones, and those that were asked for.
    pub pull_requests: BTreeMap<PullRequestNumber, PullRequest>,
    /// Git branches and who comes from them.
    pub heads: Heads,
    /// Actions runs that were asked for.
    pub runs: BTreeMap<RunId, Run>,
    /// The tracking issue, with what people ticked in it; none where there is
    /// none.
    pub issue: Option<TrackingIssue>,
    /// What is marked as a tracking issue and is not ours, for people.
    pub ignored: Vec<String>,
    /// What was asked and answered.
    pub evidence: Vec<Evidence>,
}

/// The checked boxes of a tracking issue. Keys identify the resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What may be deleted.
    pub delete: BTreeSet<String>,
    /// What is to be kept.
    pub keep: BTreeSet<String>,
    /// Where that was listed; empty for what an older issue does not say it of.
    pub origins_of_kept: BTreeSet<String>,
}

/// The tracking issue of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackingIssue {
    /// The number of the issue.
    pub number: u64,
    /// The title of the issue.
    pub title: String,
    /// The text of the issue.
    pub body: String,
    /// The boxes that are checked in that text.
    pub ticked: Checked,
    /// Whether it is open.
    pub open: bool,
    /// Its address for people.
    pub url: String,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Further issues with its marker, which are not used.
    pub others: Vec<u64>,
}

/// What resources claim of one repository: what has to be asked before they
/// are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootsWanted {
    /// Pull requests.
    pub numbers: BTreeSet<PullRequestNumber>,
    /// Whether anything claims a git branch or a slug of one.
    pub heads: bool,
    /// Actions runs.
    pub runs: BTreeSet<RunId>,
}

impl RootsWanted {
    /// Whether nothing has to be asked.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && !self.heads && self.runs.is_empty()
    }
}

/// Claims of git branches and slugs that nothing alive gives, so that closed
/// pull requests have to be searched for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClosedSearch {
    /// Git branches.
    pub branches: BTreeSet<Box<str>>,
    /// The creation of the oldest resource with such a slug.
    pub slugs_since: Option<DateTime<Utc>>,
    /// Whether a resource without a creation time has such a slug.
    pub slugs_undated: bool,
}

/// What keeps resources alive.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// By repository.
    pub repositories: BTreeMap<Repository, RepositoryRoots>,
}

impl Roots {
    /// Returns whether "delete" is checked for a key in a tracking issue.
    pub fn is_checked_for_deletion(&self, key: &str) -> bool {
        let mut issues = self
            .repositories
            .values()
            .filter_map(|one| one.issue.as_ref());
        issues.any(|issue| issue.ticked.delete.contains(key))
    }

    /// Why the roots of some repository are not complete, if so.
    pub fn gap(&self) -> Option<(&Repository, &Arc<str>)> {
        self.repositories
            .iter()
            .find_map(|(repository, roots)| Some((repository, roots.gap.as_ref()?)))
    }
}
