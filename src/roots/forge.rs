//! The questions about a repository whose answers are roots, and the form of the
//! answers. A forge answers them; [`super::alive`] and [`super::ended`] decide
//! which are asked, and whether the answers are accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::evidence::{ActionsRun, ClosedSearch, LostLabels, PullRequest, Searched, TrackingIssue};
use crate::model::{Api, PullRequestNumber, Repository, RunId};
use crate::wire::ApiError;

/// A forge: it has pull requests, git branches, runs and a tracking issue.
#[expect(
    async_fn_in_trait,
    reason = "the type is known wherever it is called, so nothing has to be Send by itself"
)]
pub trait Forge {
    /// Whose API it is.
    const API: Api;

    /// Lists all open pull requests.
    ///
    /// # Errors
    ///
    /// If the list is not complete.
    async fn open(
        &self,
        repository: &Repository,
    ) -> Result<CompleteList<PullRequestNumber, PullRequest>, Unanswered>;

    /// Lists all git branches.
    ///
    /// # Errors
    ///
    /// If the list is not complete.
    async fn branches(
        &self,
        repository: &Repository,
    ) -> Result<CompleteList<Arc<str>, ()>, Unanswered>;

    /// Lists closed pull requests, the most recently updated first, back to the
    /// horizon.
    ///
    /// # Errors
    ///
    /// If the list breaks off before the horizon.
    async fn closed(
        &self,
        repository: &Repository,
        horizon: &Horizon,
    ) -> Result<Closed, Unanswered>;

    /// Lists the pull requests from each of these branches, in batches that are
    /// together all of them.
    async fn by_branch<'b>(
        &self,
        repository: &Repository,
        branches: &'b [Arc<str>],
    ) -> Vec<BranchBatch<'b>>;

    /// Looks up pull requests by number. Every number has an answer, which may be
    /// [`PullRequest::Unknown`].
    async fn by_number(
        &self,
        repository: &Repository,
        numbers: &[PullRequestNumber],
    ) -> FoundPullRequests;

    /// Asks when labels were removed from pull requests. Every number has an answer.
    async fn lost_labels(
        &self,
        repository: &Repository,
        numbers: &[PullRequestNumber],
    ) -> LabelsLost;

    /// Looks up runs by their ids. Every id has an answer, which may be
    /// [`ActionsRun::Unknown`].
    async fn runs(
        &self,
        repository: &Repository,
        runs: &BTreeSet<RunId>,
    ) -> BTreeMap<RunId, ActionsRun>;

    /// Reads the repository itself. A token without access also gets an empty
    /// list, so an empty list counts only if the token can see the repository.
    ///
    /// # Errors
    ///
    /// If the token cannot see it, or if another repository answers.
    async fn identity(&self, repository: &Repository) -> Result<Identity, Unanswered>;

    /// Finds the tracking issue, in which people mark resources.
    ///
    /// # Errors
    ///
    /// If it is not certain whether there is one.
    async fn tracking_issue(&self, repository: &Repository) -> Result<IssueSearch, Unanswered>;
}

/// Why a request got no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// The request failed, or was refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The answer is inconsistent or undocumented.
    #[error("{0}")]
    Unbelievable(String),
    /// The forge gave up on the query, which asks about too much at once.
    #[error("{0}")]
    TooMuch(String),
    /// The list leaves out some of what the forge counts.
    #[error("{why}")]
    Partial {
        /// How many the forge counts.
        counted: u64,
        /// What is left out.
        why: String,
    },
    /// octocrab could not send the request.
    #[error("the request could not be carried: {0}")]
    Carrier(String),
}

/// Pull requests, and the number of requests sent to find them.
pub type FoundPullRequests = (BTreeMap<PullRequestNumber, PullRequest>, u32);

/// When labels were removed, or why that is unknown, and the number of requests
/// sent.
pub type LabelsLost = (
    BTreeMap<PullRequestNumber, Result<LostLabels, Arc<str>>>,
    u32,
);

/// The pull requests from branches that were looked up together.
pub struct BranchBatch<'b> {
    /// The branches.
    pub branches: &'b [Arc<str>],
    /// The pull requests from all of them, or why they are unknown.
    pub found: Result<FoundPullRequests, Unanswered>,
}

/// A complete list.
pub struct CompleteList<K, V> {
    /// What was listed.
    pub items: BTreeMap<K, V>,
    /// Number of requests sent.
    pub requests: u32,
    /// The number of items by the forge's own count.
    pub total: Option<u64>,
    /// What the answers say about the repository.
    pub seen: RepositorySeen,
}

/// What a list says about its repository.
#[derive(Default, Clone)]
pub struct RepositorySeen {
    /// The repository's id.
    pub id: Option<u64>,
    /// The name of its default branch.
    pub default_branch: Option<Arc<str>>,
}

/// Closed pull requests, up to the horizon of the search.
pub struct Closed {
    /// The pull requests.
    pub pull_requests: BTreeMap<PullRequestNumber, PullRequest>,
    /// Number of requests sent.
    pub requests: u32,
    /// How far the search went.
    pub searched: Searched,
}

/// How far back closed pull requests are searched.
pub struct Horizon {
    /// Back to this time of update, for resources created then or later.
    since: Option<DateTime<Utc>>,
    /// This number, for resources without a creation time.
    count: usize,
}

/// Maximum number of closed pull requests that are searched for a claim without
/// a time.
const UNDATED: usize = 1_000;

impl Horizon {
    /// Returns `None` if no slug has to be searched for.
    pub(super) fn of(closed_search: &ClosedSearch) -> Option<Self> {
        closed_search.is_for_slugs().then_some(Self {
            since: closed_search.slugs_since,
            count: if closed_search.slugs_undated {
                UNDATED
            } else {
                0
            },
        })
    }

    /// Returns whether `count` pull requests, the oldest of them updated at
    /// `oldest`, are enough.
    pub fn is_reached(&self, count: usize, oldest: Option<DateTime<Utc>>) -> ControlFlow<()> {
        let far_enough = self
            .since
            .is_none_or(|since| oldest.is_some_and(|oldest| oldest < since));
        if far_enough && count >= self.count {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// What is known about a repository's identity.
#[derive(Debug)]
pub struct Identity {
    /// The repository's id, which survives a renaming.
    pub id: u64,
    /// The name of its default branch.
    pub default_branch: Option<Arc<str>>,
}

/// The result of a search for the tracking issue.
#[derive(Default)]
pub struct IssueSearch {
    /// The tracking issue, if there is one.
    pub issue: Option<TrackingIssue>,
    /// The repository's id, if the search saw it.
    pub repository_id: Option<u64>,
    /// Number of requests sent.
    pub requests: u32,
    /// Issues of other accounts that are marked and do not count, for people.
    pub by_others: Vec<String>,
    /// Further issues that do not count in full, for people.
    pub further: Vec<String>,
}
