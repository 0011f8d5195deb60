//! What is known of the owners of resources: pull requests, git branches, Actions
//! runs, and the boxes of the tracking issue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Evidence;
use crate::model::{PullRequestNumber, Repository, Resource, RunId};

/// The labels of a pull request. They are compared without case, as GitHub does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Arc<[Box<str>]>);

impl Labels {
    /// Whether the pull request has a label.
    pub fn has(&self, label: &str) -> bool {
        self.0.iter().any(|one| is_same_label(one, label))
    }
}

impl FromIterator<String> for Labels {
    fn from_iter<I: IntoIterator<Item = String>>(labels: I) -> Self {
        Self(labels.into_iter().map(Into::into).collect())
    }
}

fn is_same_label(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// When labels were removed from a pull request, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostLabels {
    /// Each label with the time of its removal.
    pub lost: Vec<(Box<str>, DateTime<Utc>)>,
    /// Whether there are earlier removals that are not among them.
    pub has_more: bool,
}

impl LostLabels {
    /// Returns when a label was removed last.
    pub fn last(&self, label: &str) -> Option<DateTime<Utc>> {
        let of_label = self
            .lost
            .iter()
            .filter(|(one, _)| is_same_label(one, label));
        of_label.map(|(_, at)| *at).max()
    }
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
        /// Its labels.
        labels: Labels,
    },
    /// The pull request is closed.
    Closed {
        /// Its title.
        title: Arc<str>,
        /// Its labels.
        labels: Labels,
        /// Its git branch in this repository; none when it comes from a fork.
        head: Option<Arc<str>>,
        /// What a fork calls the branch that it came from.
        fork_head: Option<Arc<str>>,
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

    /// Whether it is known to have a label.
    pub fn has_label(&self, label: &str) -> bool {
        match self {
            Self::Open { labels, .. } | Self::Closed { labels, .. } => labels.has(label),
            Self::Missing | Self::Unknown { .. } => false,
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

    /// What a fork calls the branch of an open pull request. That can keep
    /// something of this name, and never makes anything dead.
    pub fn fork_head(&self) -> Option<&Arc<str>> {
        match self {
            Self::Open { fork_head, .. } => fork_head.as_ref(),
            Self::Closed { .. } | Self::Missing | Self::Unknown { .. } => None,
        }
    }

    /// What the branch that it comes from is called, wherever that is. For its number
    /// only: the branch of a fork ends nothing of this name.
    pub fn comes_from(&self) -> Option<&Arc<str>> {
        match self {
            Self::Open {
                head, fork_head, ..
            }
            | Self::Closed {
                head, fork_head, ..
            } => head.as_ref().or(fork_head.as_ref()),
            Self::Missing | Self::Unknown { .. } => None,
        }
    }

    /// From its opening to its end, as far as the answer has it; without an end
    /// for one that is open.
    pub fn lifetime(&self) -> Option<Lifetime> {
        match self {
            Self::Open { opened_at, .. } => Some(Lifetime {
                opened: *opened_at,
                ended: None,
            }),
            Self::Closed {
                opened_at,
                closed_at,
                ..
            } => Some(Lifetime {
                opened: *opened_at,
                ended: *closed_at,
            }),
            Self::Missing | Self::Unknown { .. } => None,
        }
    }
}

/// When a pull request was opened and ended, as far as its answer has these times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was opened.
    pub opened: Option<DateTime<Utc>>,
    /// When it ended; none while it is open.
    pub ended: Option<DateTime<Utc>>,
}

/// What is known of one Actions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionsRun {
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
pub struct BranchEvidence {
    /// All git branches that exist; none when they were not asked for.
    pub branches: Option<BTreeSet<Arc<str>>>,
    /// Branches whose closed pull requests were asked for by name, and whether
    /// that was answered.
    pub asked: BTreeMap<Arc<str>, Result<(), Arc<str>>>,
    /// How far closed pull requests were searched for slugs.
    pub searched: Searched,
}

impl BranchEvidence {
    /// Why something about pull requests and the branches that they come from is
    /// not known, if so.
    pub fn gap(&self) -> Option<&Arc<str>> {
        let mut asked = self.asked.values();
        match &self.searched {
            Searched::Failed(why) => Some(why),
            Searched::Nothing | Searched::Everything | Searched::BackTo(_) => {
                asked.find_map(|answer| answer.as_ref().err())
            }
        }
    }
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
    pub heads: BranchEvidence,
    /// When labels were removed from open pull requests, where that was asked for,
    /// or why it is unknown.
    pub lost_labels: BTreeMap<PullRequestNumber, Result<LostLabels, Arc<str>>>,
    /// Actions runs that were asked for.
    pub runs: BTreeMap<RunId, ActionsRun>,
    /// The tracking issue, with the boxes that people checked in it; none where
    /// there is none.
    pub issue: Option<TrackingIssue>,
    /// What is marked as a tracking issue and does not count, or not in full, for
    /// people.
    pub ignored: Vec<String>,
    /// What was asked and answered.
    pub evidence: Vec<Evidence>,
}

/// What the text of a tracking issue says of a resource that is checked "delete", as far
/// as it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    /// When it was created, in whole seconds.
    pub created_at: Option<DateTime<Utc>>,
    /// The digest of what it was when the text was written.
    pub version: Option<String>,
}

/// The checked boxes of a tracking issue. Keys identify the resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedBoxes {
    /// What may be deleted.
    pub delete: BTreeMap<String, Approval>,
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
    pub checked: CheckedBoxes,
    /// Whether it is open.
    pub open: bool,
    /// Its address for people.
    pub url: String,
    /// Further issues of ours. Of these only the "keep" boxes count.
    pub others: Vec<u64>,
    /// What is checked "keep" only in one of those, with its number.
    pub kept_in_others: BTreeMap<String, u64>,
}

/// What resources claim of one repository: what has to be asked before they
/// are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootsWanted {
    /// Pull requests.
    pub numbers: BTreeSet<PullRequestNumber>,
    /// Pull requests of which a rule asks when they lost a label.
    pub labels: BTreeSet<(PullRequestNumber, Box<str>)>,
    /// Whether the open pull requests are to be listed, whichever is in focus.
    pub open: bool,
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

impl ClosedSearch {
    /// Whether closed pull requests are listed, because slugs name no branch to ask for.
    pub fn is_for_slugs(&self) -> bool {
        self.slugs_since.is_some() || self.slugs_undated
    }
}

/// What keeps resources alive.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// By repository.
    pub repositories: BTreeMap<Repository, RepositoryRoots>,
}

impl Roots {
    /// Returns whether "delete" is checked in a tracking issue for this key, whatever has
    /// become of the resource since.
    pub fn was_checked_for_deletion(&self, key: &str) -> bool {
        let mut issues = self.issues();
        issues.any(|issue| issue.checked.delete.contains_key(key))
    }

    fn issues(&self) -> impl Iterator<Item = &TrackingIssue> {
        let repositories = self.repositories.values();
        repositories.filter_map(|one| one.issue.as_ref())
    }

    /// Returns whether "delete" is checked for a resource, which has this key and is as
    /// this digest says, in a tracking issue. A resource that was created at another time
    /// is another one, and what was changed since is not what people approved.
    pub fn is_checked_for_deletion(&self, key: &str, version: &str, resource: &Resource) -> bool {
        let mut issues = self.issues();
        let created = resource.created_at.known().map(|at| at.timestamp());
        issues.any(|issue| {
            let Some(approval) = issue.checked.delete.get(key) else {
                return false;
            };
            let is_same = match (approval.created_at, created) {
                (Some(at), Some(created)) => at.timestamp() == created,
                // The key distinguishes resources of one name only if they have ids or
                // incarnations.
                (None, Some(_)) => resource.incarnation.is_some() || resource.id != resource.name,
                (_, None) => true,
            };
            // An earlier version of this program wrote no digest.
            let is_unchanged = approval
                .version
                .as_deref()
                .is_none_or(|seen| seen == version);
            is_same && is_unchanged
        })
    }

    /// Why the roots of some repository are not complete, if so.
    pub fn gap(&self) -> Option<(&Repository, &Arc<str>)> {
        self.repositories
            .iter()
            .find_map(|(repository, roots)| Some((repository, roots.gap.as_ref()?)))
    }
}
