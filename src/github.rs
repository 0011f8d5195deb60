//! Pull requests, git branches and Actions runs, through octocrab on our wire:
//! which ones are alive, and how the others ended. Uses GraphQL if available,
//! else REST.
//!
//! octocrab sends the requests; its own retries and cache are off. Answers are
//! parsed into narrow structs of our own, because safety depends on the
//! difference between "closed", "missing" and "unknown".

mod graphql;
pub mod issue;
pub(crate) mod rest;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt as _, Full};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::evidence::{
    ClosedSearch, Evidence, PullRequest, RepositoryRoots, RootsWanted, Run, Searched,
};
use crate::model::{Api, PullRequestNumber, Repository};
use crate::progress::{Observer, ProgressEvent};
use crate::wire::{ApiError, Client, Failure, Outgoing};
use issue::{Found as FoundIssue, IssueStore};

pub use issue::Authors;

/// GitHub, as far as roots need it.
pub struct GitHub {
    octocrab: Octocrab,
    client: Client,
    authors: Arc<Authors>,
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
    /// octocrab could not send the request.
    #[error("the request could not be carried: {0}")]
    Carrier(String),
}

impl Unanswered {
    /// Returns whether GraphQL as a whole is unavailable, as opposed to an
    /// answer that reports an error.
    fn graphql_is_absent(&self) -> bool {
        match self {
            Self::Api(error) => matches!(
                error.failure,
                Failure::NotFound { .. }
                    | Failure::Refused {
                        status: 405 | 410 | 501,
                        ..
                    }
            ),
            Self::Unbelievable(_) | Self::Carrier(_) => false,
        }
    }
}

/// A permission of a token to read something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Pull requests.
    PullRequests,
    /// Git branches.
    Branches,
    /// Actions runs.
    Runs,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 3] = [Self::PullRequests, Self::Branches, Self::Runs];

    /// Returns what is read.
    pub fn title(self) -> &'static str {
        match self {
            Self::PullRequests => "pull requests",
            Self::Branches => "git branches",
            Self::Runs => "Actions runs",
        }
    }

    /// Returns the permission as GitHub calls it.
    pub fn permission(self) -> &'static str {
        match self {
            Self::PullRequests => "Pull requests: read",
            Self::Branches => "Contents: read",
            Self::Runs => "Actions: read",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::PullRequests => "/pulls?per_page=1",
            Self::Branches => "/branches?per_page=1",
            Self::Runs => "/actions/runs?per_page=1",
        }
    }

    /// Parses the list at its path, only to check its form.
    fn read(self, body: &[u8]) -> Result<(), serde_json::Error> {
        #[derive(Deserialize)]
        struct Runs {
            #[serde(rename = "workflow_runs")]
            _runs: Vec<IgnoredAny>,
        }
        match self {
            Self::PullRequests | Self::Branches => {
                serde_json::from_slice::<Vec<IgnoredAny>>(body).map(drop)
            }
            Self::Runs => serde_json::from_slice::<Runs>(body).map(drop),
        }
    }
}

/// Pull requests, and the number of requests sent to find them.
type Found = (BTreeMap<PullRequestNumber, PullRequest>, u32);

/// A complete list.
pub(crate) struct Listed<K, V> {
    pub(crate) items: BTreeMap<K, V>,
    pub(crate) requests: u32,
    total: Option<u64>,
    seen: Seen,
}

/// What a list says about its repository.
#[derive(Default, Clone)]
struct Seen {
    id: Option<u64>,
    default_branch: Option<Arc<str>>,
}

impl<K, V> Listed<K, V> {
    fn evidence(&self) -> SourceEvidence {
        SourceEvidence {
            requests: self.requests,
            items: self.items.len(),
            total: self.total,
            gap: None,
        }
    }
}

/// Closed pull requests, up to the horizon of the search.
struct Closed {
    pull_requests: BTreeMap<PullRequestNumber, PullRequest>,
    requests: u32,
    searched: Searched,
}

/// How far back closed pull requests are searched.
struct Horizon {
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
    fn of(orphaned: &ClosedSearch) -> Option<Self> {
        (orphaned.slugs_since.is_some() || orphaned.slugs_undated).then_some(Self {
            since: orphaned.slugs_since,
            count: if orphaned.slugs_undated { UNDATED } else { 0 },
        })
    }

    /// Returns whether `count` pull requests, the oldest of them updated at
    /// `oldest`, are enough.
    fn is_reached(&self, count: usize, oldest: Option<DateTime<Utc>>) -> ControlFlow<()> {
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

/// The result of a request, for the evidence.
#[derive(Default)]
struct SourceEvidence {
    requests: u32,
    items: usize,
    total: Option<u64>,
    gap: Option<String>,
}

/// What is known about a repository's identity.
#[derive(Debug, Deserialize)]
struct Identity {
    id: u64,
    full_name: String,
    default_branch: Option<Arc<str>>,
}

impl GitHub {
    /// Creates a GitHub client. Requires a running tokio.
    pub fn new(client: Client) -> Self {
        let carrier = client.clone();
        let service = tower::service_fn(move |request: Request<OctoBody>| {
            let client = carrier.clone();
            async move { carry(&client, request).await }
        });
        let built = OctocrabBuilder::new_empty()
            .with_service(service)
            .with_auth(AuthState::None)
            .build();
        let octocrab = built.unwrap_or_else(|never: Infallible| match never {});
        Self {
            octocrab,
            client,
            authors: Arc::default(),
        }
    }

    /// Sets whose tracking issue counts.
    #[must_use]
    pub fn with_issue_authors(self, authors: &Arc<Authors>) -> Self {
        Self {
            authors: authors.clone(),
            ..self
        }
    }

    /// Returns whose tracking issue counts.
    pub(crate) fn authors(&self) -> &Authors {
        &self.authors
    }

    /// Reads the roots that are alive: open pull requests, and git branches if
    /// any resource claims one. With `only`, reads the pull request of `--pr`
    /// instead of the open ones, unless branches or slugs need them all.
    pub async fn alive(
        &self,
        repository: &Repository,
        claimed: &RootsWanted,
        only: Option<PullRequestNumber>,
        expected_id: Option<u64>,
        observer: &dyn Observer,
    ) -> RepositoryRoots {
        let mut roots = RepositoryRoots::default();
        let wants_open = claimed.heads || (only.is_none() && !claimed.numbers.is_empty());
        let open = async {
            if wants_open {
                Some(self.open(repository).await)
            } else {
                None
            }
        };
        let branches = async {
            if claimed.heads {
                Some(self.branches(repository).await)
            } else {
                None
            }
        };
        // Its head determines the branches and slugs of the run.
        let first = only.filter(|_| claimed.heads);
        let numbers = async {
            match first {
                Some(number) => self.by_number(repository, &[number]).await,
                None => (BTreeMap::new(), 0),
            }
        };
        let store = IssueStore::new(self, repository);
        let issue = store.find();
        let (open, branches, (numbers, requests), issue) =
            tokio::join!(open, branches, numbers, issue);
        roots.note_issue(repository, issue, observer);
        if first.is_some() {
            roots.note_numbers(repository, &numbers, requests, observer);
            roots.pull_requests.extend(numbers);
        }
        let mut seen = Seen::default();
        let mut suspicious = false;
        match open {
            Some(Ok(listed)) => {
                roots.note(
                    "pull_requests.open",
                    repository,
                    listed.evidence(),
                    observer,
                );
                suspicious |= listed.items.is_empty();
                seen = listed.seen;
                roots.pull_requests.extend(listed.items);
            }
            Some(Err(error)) => roots.fail("pull_requests.open", repository, &error, observer),
            None => {}
        }
        match branches {
            Some(Ok(listed)) => {
                roots.note("branches", repository, listed.evidence(), observer);
                seen.id = seen.id.or(listed.seen.id);
                seen.default_branch = seen.default_branch.or(listed.seen.default_branch);
                let all: BTreeSet<Arc<str>> = listed.items.into_keys().collect();
                let default = seen.default_branch.as_ref();
                suspicious |= default.is_none_or(|default| !all.contains(default));
                roots.heads.branches = Some(all);
            }
            Some(Err(error)) => roots.fail("branches", repository, &error, observer),
            None => {}
        }
        roots.id = seen.id;
        let unseen = expected_id.is_some() && seen.id.is_none();
        if roots.gap.is_none() && (suspicious || unseen) {
            let proven = self.prove(repository, &mut roots, observer).await;
            if let Some(identity) = proven {
                roots.id = Some(identity.id);
                seen.default_branch = identity.default_branch.or(seen.default_branch);
            }
        }
        roots.check_identity(repository, expected_id, observer);
        roots.check_branches(repository, seen.default_branch.as_deref(), observer);
        roots
    }

    /// Reads only the boxes that people checked in the tracking issue.
    pub async fn checked_boxes(
        &self,
        repository: &Repository,
        observer: &dyn Observer,
    ) -> RepositoryRoots {
        let mut roots = RepositoryRoots::default();
        let issue = IssueStore::new(self, repository).find().await;
        roots.note_issue(repository, issue, observer);
        roots
    }

    /// Reads how the other owners ended: pull requests by number and by branch,
    /// closed ones for slugs, Actions runs.
    pub async fn ended(
        &self,
        repository: &Repository,
        claimed: &RootsWanted,
        orphaned: &ClosedSearch,
        roots: &mut RepositoryRoots,
        observer: &dyn Observer,
    ) {
        if roots.gap.is_some() {
            return;
        }
        let numbers: Vec<_> = claimed
            .numbers
            .iter()
            .filter(|number| !roots.pull_requests.contains_key(number))
            .copied()
            .collect();
        let branches: Vec<Arc<str>> = orphaned
            .branches
            .iter()
            .map(|branch| Arc::from(&**branch))
            .collect();
        let horizon = Horizon::of(orphaned);
        let closed = async {
            match &horizon {
                Some(horizon) => Some(self.closed(repository, horizon).await),
                None => None,
            }
        };
        let ((by_number, asked), by_branch, closed, runs) = tokio::join!(
            self.by_number(repository, &numbers),
            self.by_branch(repository, &branches),
            closed,
            rest::runs(self, repository, claimed.runs.iter().copied()),
        );
        if !numbers.is_empty() {
            roots.note_numbers(repository, &by_number, asked, observer);
            roots.pull_requests.extend(by_number);
        }
        if !branches.is_empty() {
            let mut noted = SourceEvidence::default();
            for (asked, answer) in by_branch {
                noted.requests += answer.as_ref().map_or(1, |(_, requests)| *requests);
                let answer = answer.map(|(found, _)| found);
                noted.items += answer.as_ref().map_or(0, |_| asked.len());
                if let Err(error) = &answer {
                    noted.gap.get_or_insert_with(|| error.to_string());
                }
                let told = answer
                    .as_ref()
                    .map(|_| ())
                    .map_err(|error| Arc::from(error.to_string()));
                for branch in asked {
                    roots.heads.asked.insert(branch.clone(), told.clone());
                }
                roots.pull_requests.extend(answer.unwrap_or_default());
            }
            noted.total = Some(branches.len() as u64);
            roots.note("pull_requests.by_branch", repository, noted, observer);
        }
        match closed {
            Some(Ok(closed)) => {
                let noted = SourceEvidence {
                    requests: closed.requests,
                    items: closed.pull_requests.len(),
                    ..SourceEvidence::default()
                };
                roots.note("pull_requests.closed", repository, noted, observer);
                roots.pull_requests.extend(closed.pull_requests);
                roots.heads.searched = closed.searched;
            }
            Some(Err(error)) => {
                let why = error.to_string();
                roots.heads.searched = Searched::Failed(why.as_str().into());
                let noted = SourceEvidence {
                    requests: 1,
                    gap: Some(why),
                    ..SourceEvidence::default()
                };
                roots.note("pull_requests.closed", repository, noted, observer);
            }
            None => {}
        }
        if !runs.is_empty() {
            let why = |run: &Run| match run {
                Run::Unknown { why } => Some(why.to_string()),
                Run::Unfinished | Run::Finished { .. } | Run::Missing => None,
            };
            let noted = SourceEvidence {
                requests: u32::try_from(runs.len()).unwrap_or(u32::MAX),
                items: runs.values().filter(|run| why(run).is_none()).count(),
                total: Some(runs.len() as u64),
                gap: runs.values().find_map(why),
            };
            roots.note("runs", repository, noted, observer);
            roots.runs = runs;
        }
    }

    async fn open(
        &self,
        repository: &Repository,
    ) -> Result<Listed<PullRequestNumber, PullRequest>, Unanswered> {
        let answer = match graphql::open(self, repository).await {
            Err(error) if error.graphql_is_absent() => rest::open(self, repository).await,
            answer => answer,
        };
        answer.map_err(|error| self.redacted(error))
    }

    async fn branches(&self, repository: &Repository) -> Result<Listed<Arc<str>, ()>, Unanswered> {
        let answer = match graphql::branches(self, repository).await {
            Err(error) if error.graphql_is_absent() => rest::branches(self, repository).await,
            answer => answer,
        };
        answer.map_err(|error| self.redacted(error))
    }

    async fn closed(
        &self,
        repository: &Repository,
        horizon: &Horizon,
    ) -> Result<Closed, Unanswered> {
        let answer = match graphql::closed(self, repository, horizon).await {
            Err(error) if error.graphql_is_absent() => {
                rest::closed(self, repository, horizon).await
            }
            answer => answer,
        };
        answer.map_err(|error| self.redacted(error))
    }

    /// Reads the pull requests from each of these branches, in batches.
    async fn by_branch<'b>(
        &self,
        repository: &Repository,
        branches: &'b [Arc<str>],
    ) -> Vec<(&'b [Arc<str>], Result<Found, Unanswered>)> {
        let batches = branches.chunks(graphql::BRANCHES);
        futures::future::join_all(batches.map(|batch| async move {
            let answer = match graphql::by_branch(self, repository, batch).await {
                Err(error) if error.graphql_is_absent() => {
                    rest::by_branch(self, repository, batch).await
                }
                answer => answer,
            };
            (batch, answer.map_err(|error| self.redacted(error)))
        }))
        .await
    }

    async fn by_number(&self, repository: &Repository, numbers: &[PullRequestNumber]) -> Found {
        let batches = numbers.chunks(graphql::NUMBERS);
        let answers = futures::future::join_all(batches.map(|batch| async move {
            match graphql::by_number(self, repository, batch).await {
                Err(error) if error.graphql_is_absent() => {
                    (rest::by_number(self, repository, batch).await, batch.len())
                }
                Ok(answers) => (answers, 1),
                Err(error) => {
                    let why: Arc<str> = self.redacted(error).to_string().into();
                    let unknown = |number: &PullRequestNumber| {
                        (*number, PullRequest::Unknown { why: why.clone() })
                    };
                    (batch.iter().map(unknown).collect(), 1)
                }
            }
        }))
        .await;
        let mut all = BTreeMap::new();
        let mut requests = 0;
        for (answer, count) in answers {
            all.extend(answer);
            requests += count;
        }
        (all, u32::try_from(requests).unwrap_or(u32::MAX))
    }

    /// Checks by one harmless read whether the token has a right; returns why
    /// not, as far as the answer says.
    pub async fn try_right(
        &self,
        repository: &Repository,
        right: Right,
    ) -> Result<(), Option<Failure>> {
        match self.prove_right(repository, right).await {
            Ok(()) => Ok(()),
            Err(Unanswered::Api(error)) => Err(Some(error.failure)),
            Err(Unanswered::Unbelievable(_) | Unanswered::Carrier(_)) => Err(None),
        }
    }

    /// Proves by one harmless read that the token has a right: then a 404 means
    /// "missing". A proxy that answers 200 to everything proves nothing.
    async fn prove_right(&self, repository: &Repository, right: Right) -> Result<(), Unanswered> {
        let (owner, name) = (repository.owner(), repository.name());
        let body = self
            .get(&format!("/repos/{owner}/{name}{}", right.path()))
            .await?;
        right.read(&body).map_err(|error| unreadable(&error))
    }

    /// Reads the repository itself. A token without access also gets an empty
    /// list, so an empty list counts only if the token can see the repository.
    async fn prove(
        &self,
        repository: &Repository,
        roots: &mut RepositoryRoots,
        observer: &dyn Observer,
    ) -> Option<Identity> {
        let path = format!("/repos/{}/{}", repository.owner(), repository.name());
        let identity = self.get(&path).await.and_then(|body| {
            serde_json::from_slice::<Identity>(&body).map_err(|error| unreadable(&error))
        });
        let identity = identity.and_then(|identity| {
            let same = identity
                .full_name
                .eq_ignore_ascii_case(repository.full_name());
            if same {
                return Ok(identity);
            }
            Err(Unanswered::Unbelievable(format!(
                "the repository behind the name is {} (id {})",
                identity.full_name, identity.id
            )))
        });
        match identity {
            Ok(identity) => {
                let noted = SourceEvidence {
                    requests: 1,
                    items: 1,
                    total: Some(1),
                    gap: None,
                };
                roots.note("repository", repository, noted, observer);
                Some(identity)
            }
            Err(error) => {
                let error = self.redacted(error);
                roots.fail("repository", repository, &error, observer);
                None
            }
        }
    }

    /// Removes tokens that an answer repeated from an error.
    pub(crate) fn redacted(&self, error: Unanswered) -> Unanswered {
        match error {
            Unanswered::Unbelievable(why) => Unanswered::Unbelievable(self.client.redact(&why)),
            Unanswered::Carrier(why) => Unanswered::Carrier(self.client.redact(&why)),
            // The wire has already removed them.
            Unanswered::Api(error) => Unanswered::Api(error),
        }
    }

    /// Returns the body of a 200 answer to a GET.
    pub(crate) async fn get(&self, target: &str) -> Result<Bytes, Unanswered> {
        let (response, outgoing) = self.send(target, None).await?;
        success(response, &outgoing)
    }

    /// Returns the answer to a GraphQL query, including errors inside it.
    pub(crate) async fn post_query(&self, query: &serde_json::Value) -> Result<Bytes, Unanswered> {
        let (response, outgoing) = self.send("/graphql", Some(query)).await?;
        success(response, &outgoing)
    }

    async fn send(
        &self,
        target: &str,
        query: Option<&serde_json::Value>,
    ) -> Result<(Response<Bytes>, String), Unanswered> {
        let method = if query.is_some() { "POST" } else { "GET" };
        self.request(method, target, query).await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        target: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<(Response<Bytes>, String), Unanswered> {
        let response = match method {
            "POST" => self.octocrab._post(target, body).await,
            "PATCH" => self.octocrab._patch(target, body).await,
            _ => self.octocrab._get(target).await,
        };
        let (parts, body) = response.map_err(carried)?.into_parts();
        let body = body.collect().await.map_err(carried)?.to_bytes();
        let name = format!("{method} {}", target.split('?').next().unwrap_or(target));
        Ok((Response::from_parts(parts, body), name))
    }
}

impl RepositoryRoots {
    /// Checks that the name still belongs to the repository that was recorded.
    fn check_identity(
        &mut self,
        repository: &Repository,
        expected: Option<u64>,
        observer: &dyn Observer,
    ) {
        let (Some(expected), Some(id)) = (expected, self.id) else {
            return;
        };
        if expected != id {
            let error = Unanswered::Unbelievable(format!(
                "the repository called {repository} has the id {id}, and {expected} was expected: \
                 another one has its name now; if this is the intended one, set \
                 GITHUB_REPOSITORY and GITHUB_REPOSITORY_ID, or move the old journals away"
            ));
            self.fail("repository", repository, &error, observer);
        }
    }

    /// Checks that the default branch is in the list: every repository with git
    /// branches has one.
    fn check_branches(
        &mut self,
        repository: &Repository,
        default: Option<&str>,
        observer: &dyn Observer,
    ) {
        let Some(branches) = self.heads.branches.as_ref() else {
            return;
        };
        if default.is_some_and(|default| branches.contains(default)) {
            return;
        }
        let error = Unanswered::Unbelievable(match default {
            Some(default) => format!(
                "the list of git branches lacks the default branch {default}, so it cannot be \
                 the whole list"
            ),
            None => "the default branch is not known, so the list of git branches cannot be \
                     checked"
                .to_owned(),
        });
        self.fail("branches", repository, &error, observer);
    }

    fn note(
        &mut self,
        what: &str,
        repository: &Repository,
        noted: SourceEvidence,
        observer: &dyn Observer,
    ) {
        let evidence = Evidence {
            source: format!("github.{what}"),
            scope: format!("repository {repository}"),
            requests: noted.requests,
            items: noted.items,
            total: noted.total,
            complete: noted.gap.is_none(),
            gap: noted.gap,
            needed: true,
        };
        observer.step(ProgressEvent::Roots(&evidence));
        self.evidence.push(evidence);
    }

    fn note_numbers(
        &mut self,
        repository: &Repository,
        answers: &BTreeMap<PullRequestNumber, PullRequest>,
        requests: u32,
        observer: &dyn Observer,
    ) {
        let why = |answer: &PullRequest| match answer {
            PullRequest::Unknown { why } => Some(why.to_string()),
            PullRequest::Open { .. } | PullRequest::Closed { .. } | PullRequest::Missing => None,
        };
        let noted = SourceEvidence {
            requests,
            items: answers
                .values()
                .filter(|answer| why(answer).is_none())
                .count(),
            total: Some(answers.len() as u64),
            gap: answers.values().find_map(why),
        };
        self.note("pull_requests.by_number", repository, noted, observer);
    }

    /// The tracking issue is a root: resources with "keep" checked are kept.
    fn note_issue(
        &mut self,
        repository: &Repository,
        issue: Result<FoundIssue, Unanswered>,
        observer: &dyn Observer,
    ) {
        match issue {
            Ok(found) => {
                let noted = SourceEvidence {
                    requests: found.requests,
                    items: usize::from(found.issue.is_some()),
                    ..SourceEvidence::default()
                };
                self.note("issue", repository, noted, observer);
                self.issue = found.issue;
                self.ignored = found.ignored;
            }
            Err(error) => self.fail("issue", repository, &error, observer),
        }
    }

    /// Records an incomplete source of roots.
    fn fail(
        &mut self,
        what: &str,
        repository: &Repository,
        error: &Unanswered,
        observer: &dyn Observer,
    ) {
        let why = error.to_string();
        self.gap.get_or_insert_with(|| why.as_str().into());
        let noted = SourceEvidence {
            requests: 1,
            gap: Some(why),
            ..SourceEvidence::default()
        };
        self.note(what, repository, noted, observer);
    }
}

pub(crate) fn unreadable(error: &serde_json::Error) -> Unanswered {
    Unanswered::Unbelievable(format!(
        "GitHub's answer does not have the documented form: {error}"
    ))
}

pub(crate) fn success(response: Response<Bytes>, request: &str) -> Result<Bytes, Unanswered> {
    if response.status() == StatusCode::OK {
        return Ok(response.into_body());
    }
    Err(ApiError {
        api: Api::GitHub,
        request: request.to_owned(),
        failure: crate::wire::error::refusal(Api::GitHub, &response),
    }
    .into())
}

/// Sends octocrab's request over the wire and ignores its host.
async fn carry(
    client: &Client,
    request: Request<OctoBody>,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let (parts, body) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut outgoing = Outgoing {
        api: Api::GitHub,
        // GraphQL queries only read, so such a POST may be repeated like a GET.
        repeatable: parts.method == ::http::Method::GET || target == "/graphql",
        method: parts.method,
        target,
        body: Bytes::new(),
        content_type: "application/json",
    };
    match body.collect().await {
        Ok(body) => outgoing.body = body.to_bytes(),
        Err(error) => {
            return Err(client.error(&outgoing, Failure::BadRequest(error.to_string())));
        }
    }
    Ok(client.exchange(&outgoing).await?.map(Full::new))
}

/// Returns our own error from an error of octocrab.
fn carried(error: octocrab::Error) -> Unanswered {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(api) = current.downcast_ref::<ApiError>() {
            return Unanswered::Api(api.clone());
        }
        cause = current.source();
    }
    Unanswered::Carrier(error.to_string())
}
