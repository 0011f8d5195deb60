//! GitHub, through octocrab on our wire. Uses GraphQL if available, else REST.
//!
//! octocrab sends the requests; its own retries and cache are off. Answers are
//! parsed into narrow structs of our own, because safety depends on the
//! difference between "closed", "missing" and "unknown".

mod batches;
mod graphql;
pub mod issue;
mod rest;
mod rights;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use serde::Deserialize;

use self::batches::BatchSize;
pub use self::issue::Authors;
use self::issue::IssueStore;
pub use self::rights::Right;
use super::forge::{
    BranchBatch, Closed, CompleteList, Forge, FoundPullRequests, Horizon, Identity, IssueSearch,
    LabelsLost, Unanswered,
};
use crate::evidence::{ActionsRun, PullRequest};
use crate::model::{Api, PullRequestNumber, Repository, RunId};
use crate::wire::{ApiError, Client, Outgoing, RequestFailure};

/// A label, in answers of both APIs.
#[derive(Debug, Deserialize)]
struct Label {
    name: String,
}

/// A client of GitHub, as far as roots and the tracking issue need it.
pub struct GitHubClient {
    octocrab: Octocrab,
    client: Client,
    authors: Arc<Authors>,
    numbers_at_once: BatchSize,
    branches_at_once: BatchSize,
}

/// Returns whether GraphQL as a whole is unavailable, as opposed to an answer
/// that reports an error.
fn graphql_is_absent(error: &Unanswered) -> bool {
    match error {
        Unanswered::Api(error) => matches!(
            error.failure,
            RequestFailure::NotFound { .. }
                | RequestFailure::Refused {
                    status: 405 | 410 | 501,
                    ..
                }
        ),
        Unanswered::Unbelievable(_)
        | Unanswered::TooMuch(_)
        | Unanswered::Partial { .. }
        | Unanswered::Carrier(_) => false,
    }
}

/// Returns whether a smaller query may be answered: GitHub gives up on one that
/// costs too much with an error, or with one of these statuses after 10 seconds.
fn is_too_much(error: &Unanswered) -> bool {
    match error {
        Unanswered::TooMuch(_) => true,
        Unanswered::Api(error) => matches!(
            error.failure,
            RequestFailure::Unavailable {
                status: 502 | 504,
                ..
            }
        ),
        Unanswered::Unbelievable(_) | Unanswered::Partial { .. } | Unanswered::Carrier(_) => false,
    }
}

/// Returns a list of REST in place of one that GraphQL showed only a part of, if
/// it has as many items as GraphQL counts.
fn instead<K: Ord, V>(
    partial: Unanswered,
    listed: Result<CompleteList<K, V>, Unanswered>,
) -> Result<CompleteList<K, V>, Unanswered> {
    match (&partial, listed) {
        (Unanswered::Partial { counted, .. }, Ok(listed))
            if listed.items.len() as u64 == *counted =>
        {
            Ok(listed)
        }
        _ => Err(partial),
    }
}

impl GitHubClient {
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
            numbers_at_once: BatchSize::new(graphql::NUMBERS, graphql::MAXIMUM_NUMBERS),
            branches_at_once: BatchSize::new(graphql::BRANCHES, graphql::BRANCHES),
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

    /// Checks by one harmless read whether the token has a right; returns why
    /// not, as far as the answer says.
    pub async fn try_right(
        &self,
        repository: &Repository,
        right: Right,
    ) -> Result<(), Option<RequestFailure>> {
        match self.prove_right(repository, right).await {
            Ok(()) => Ok(()),
            Err(Unanswered::Api(error)) => Err(Some(error.failure)),
            Err(
                Unanswered::Unbelievable(_)
                | Unanswered::TooMuch(_)
                | Unanswered::Partial { .. }
                | Unanswered::Carrier(_),
            ) => Err(None),
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

    /// Removes tokens that an answer repeated from an error.
    pub(crate) fn redacted(&self, error: Unanswered) -> Unanswered {
        match error {
            Unanswered::Unbelievable(why) => Unanswered::Unbelievable(self.client.redact(&why)),
            Unanswered::TooMuch(why) => Unanswered::TooMuch(self.client.redact(&why)),
            Unanswered::Partial { counted, why } => Unanswered::Partial {
                counted,
                why: self.client.redact(&why),
            },
            Unanswered::Carrier(why) => Unanswered::Carrier(self.client.redact(&why)),
            // The wire has already removed them.
            Unanswered::Api(error) => Unanswered::Api(error),
        }
    }

    /// Returns whether a repository is private, so that not everybody can read the
    /// logs of its runs.
    ///
    /// # Errors
    ///
    /// When GitHub does not say it.
    pub async fn is_private(&self, repository: &Repository) -> Result<bool, Unanswered> {
        #[derive(Deserialize)]
        struct RepositoryVisibility {
            private: bool,
        }
        let path = format!("/repos/{}/{}", repository.owner(), repository.name());
        let body = self.get(&path).await?;
        let settings: Result<RepositoryVisibility, _> = serde_json::from_slice(&body);
        let settings = settings.map_err(|error| self.redacted(unreadable(&error)))?;
        Ok(settings.private)
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

impl Forge for GitHubClient {
    const API: Api = Api::GitHub;

    async fn open(
        &self,
        repository: &Repository,
    ) -> Result<CompleteList<PullRequestNumber, PullRequest>, Unanswered> {
        let answer = match graphql::open(self, repository).await {
            Err(error) if graphql_is_absent(&error) => rest::open(self, repository).await,
            Err(partial @ Unanswered::Partial { .. }) => {
                instead(partial, rest::open(self, repository).await)
            }
            answer => answer,
        };
        answer.map_err(|error| self.redacted(error))
    }

    async fn branches(
        &self,
        repository: &Repository,
    ) -> Result<CompleteList<Arc<str>, ()>, Unanswered> {
        let answer = match graphql::branches(self, repository).await {
            Err(error) if graphql_is_absent(&error) => rest::branches(self, repository).await,
            Err(partial @ Unanswered::Partial { .. }) => {
                instead(partial, rest::branches(self, repository).await)
            }
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
            Err(error) if graphql_is_absent(&error) => {
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
    ) -> Vec<BranchBatch<'b>> {
        let answers =
            self.branches_at_once.ask(branches, async |batch| {
                match graphql::by_branch(self, repository, batch).await {
                    Err(error) if graphql_is_absent(&error) => {
                        rest::by_branch(self, repository, batch).await
                    }
                    answer => answer,
                }
            });
        let batches = answers.await.into_iter();
        batches
            .map(|(branches, found)| BranchBatch {
                branches,
                found: found.map_err(|error| self.redacted(error)),
            })
            .collect()
    }

    async fn by_number(
        &self,
        repository: &Repository,
        numbers: &[PullRequestNumber],
    ) -> FoundPullRequests {
        let requests = AtomicU32::new(0);
        let answers = self.numbers_at_once.ask(numbers, async |batch| {
            requests.fetch_add(1, Ordering::Relaxed);
            match graphql::by_number(self, repository, batch).await {
                Err(error) if graphql_is_absent(&error) => {
                    let more = u32::try_from(batch.len()).unwrap_or(u32::MAX);
                    requests.fetch_add(more.saturating_sub(1), Ordering::Relaxed);
                    Ok(rest::by_number(self, repository, batch).await)
                }
                answer => answer,
            }
        });
        let mut all = BTreeMap::new();
        for (batch, answer) in answers.await {
            match answer {
                Ok(answers) => all.extend(answers),
                Err(error) => {
                    let why: Arc<str> = self.redacted(error).to_string().into();
                    let unknown = |number: &PullRequestNumber| {
                        (*number, PullRequest::Unknown { why: why.clone() })
                    };
                    all.extend(batch.iter().map(unknown));
                }
            }
        }
        (all, requests.into_inner())
    }

    async fn lost_labels(
        &self,
        repository: &Repository,
        numbers: &[PullRequestNumber],
    ) -> LabelsLost {
        let mut all = BTreeMap::new();
        let mut requests = 0;
        for batch in numbers.chunks(graphql::NUMBERS) {
            match graphql::lost_labels(self, repository, batch).await {
                Ok(found) => {
                    requests += 1;
                    all.extend(found.into_iter().map(|(number, lost)| (number, Ok(lost))));
                }
                Err(error) if graphql_is_absent(&error) => {
                    for number in batch {
                        let lost = rest::lost_labels(self, repository, *number).await;
                        requests += lost.as_ref().map_or(1, |(_, requests)| *requests);
                        let lost = lost.map(|(lost, _)| lost);
                        let why = |error| Arc::from(self.redacted(error).to_string());
                        all.insert(*number, lost.map_err(why));
                    }
                }
                Err(error) => {
                    requests += 1;
                    let why: Arc<str> = self.redacted(error).to_string().into();
                    all.extend(batch.iter().map(|number| (*number, Err(why.clone()))));
                }
            }
        }
        (all, requests)
    }

    async fn runs(
        &self,
        repository: &Repository,
        runs: &BTreeSet<RunId>,
    ) -> BTreeMap<RunId, ActionsRun> {
        rest::runs(self, repository, runs.iter().copied()).await
    }

    async fn identity(&self, repository: &Repository) -> Result<Identity, Unanswered> {
        #[derive(Deserialize)]
        struct RepositoryIdentity {
            id: u64,
            full_name: String,
            default_branch: Option<Arc<str>>,
        }
        let path = format!("/repos/{}/{}", repository.owner(), repository.name());
        let answer = self.get(&path).await.and_then(|body| {
            serde_json::from_slice::<RepositoryIdentity>(&body).map_err(|error| unreadable(&error))
        });
        let answer = answer.map_err(|error| self.redacted(error))?;
        if answer
            .full_name
            .eq_ignore_ascii_case(repository.full_name())
        {
            return Ok(Identity {
                id: answer.id,
                default_branch: answer.default_branch,
            });
        }
        Err(self.redacted(Unanswered::Unbelievable(format!(
            "the repository behind the name is {} (id {})",
            answer.full_name, answer.id
        ))))
    }

    async fn tracking_issue(&self, repository: &Repository) -> Result<IssueSearch, Unanswered> {
        IssueStore::new(self, repository).find().await
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
            return Err(client.error(&outgoing, RequestFailure::BadRequest(error.to_string())));
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
