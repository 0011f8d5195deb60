//! Pull requests, through octocrab on our wire: all open ones, and any by
//! number. GraphQL where it is to be had, REST where it is not.
//!
//! octocrab carries the requests; its own retries and cache are off, and the
//! answers are read into narrow structs of our own, because rule 1 hangs on
//! the difference between "closed", "missing" and "not told".

mod graphql;
mod rest;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use serde::Deserialize;

use crate::evidence::{Evidence, Observer, PullRequest, RepositoryRoots, Step};
use crate::model::{Api, PullRequestNumber, Repository};
use crate::wire::{ApiError, Client, Failure, Outgoing};

/// GitHub, as far as roots need it.
pub struct GitHub {
    octocrab: Octocrab,
}

/// Why a question got no answer that can be believed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// The request failed, or was refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The answer cannot be believed.
    #[error("{0}")]
    Unbelievable(String),
    /// octocrab could not carry the request.
    #[error("the request could not be carried: {0}")]
    Carrier(String),
}

impl Unanswered {
    /// Whether GraphQL as a whole is not to be had here, as opposed to an
    /// answer that says something went wrong.
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

/// The open pull requests of a repository.
struct Open {
    pull_requests: BTreeMap<PullRequestNumber, PullRequest>,
    requests: u32,
    total: Option<u64>,
}

/// What is known of a repository's identity.
#[derive(Debug, Deserialize)]
struct Identity {
    id: u64,
    full_name: String,
}

impl GitHub {
    /// GitHub over this client. Needs a running tokio.
    pub fn new(client: Client) -> Self {
        let service = tower::service_fn(move |request: Request<OctoBody>| {
            let client = client.clone();
            async move { carry(&client, request).await }
        });
        let built = OctocrabBuilder::new_empty()
            .with_service(service)
            .with_auth(AuthState::None)
            .build();
        let octocrab = built.unwrap_or_else(|never: Infallible| match never {});
        Self { octocrab }
    }

    /// Gathers the roots of a repository for the numbers that resources claim.
    ///
    /// With `only_numbers` the list of open pull requests is left out: every
    /// number is asked for by itself (`--pr`).
    pub async fn roots(
        &self,
        repository: &Repository,
        claimed: &BTreeSet<PullRequestNumber>,
        expected_id: Option<u64>,
        only_numbers: bool,
        observer: &dyn Observer,
    ) -> RepositoryRoots {
        let mut roots = RepositoryRoots::default();
        if claimed.is_empty() {
            return roots;
        }
        if !only_numbers {
            match self.open(repository).await {
                Ok(open) => {
                    let evidence = evidence(
                        "pull_requests.open",
                        repository,
                        open.requests,
                        open.pull_requests.len(),
                        open.total,
                        None,
                    );
                    observer.step(Step::Roots(&evidence));
                    roots.evidence.push(evidence);
                    if open.pull_requests.is_empty() {
                        self.prove(repository, expected_id, &mut roots, observer)
                            .await;
                    }
                    roots.pull_requests = open.pull_requests;
                }
                Err(error) => roots.fail("pull_requests.open", repository, &error, observer),
            }
        }
        if roots.gap.is_some() {
            return roots;
        }
        let asked: Vec<_> = claimed
            .iter()
            .filter(|number| !roots.pull_requests.contains_key(number))
            .copied()
            .collect();
        let (answers, requests) = self.by_number(repository, &asked).await;
        let told = answers
            .values()
            .filter(|answer| !matches!(answer, PullRequest::Unknown { .. }))
            .count();
        let gap = answers.values().find_map(|answer| match answer {
            PullRequest::Unknown { why } => Some(why.to_string()),
            PullRequest::Open { .. } | PullRequest::Closed { .. } | PullRequest::Missing => None,
        });
        if !asked.is_empty() {
            let total = Some(asked.len() as u64);
            let evidence = evidence(
                "pull_requests.by_number",
                repository,
                requests,
                told,
                total,
                gap,
            );
            observer.step(Step::Roots(&evidence));
            roots.evidence.push(evidence);
        }
        roots.pull_requests.extend(answers);
        roots
    }

    async fn open(&self, repository: &Repository) -> Result<Open, Unanswered> {
        match graphql::open(self, repository).await {
            Err(error) if error.graphql_is_absent() => rest::open(self, repository).await,
            answer => answer,
        }
    }

    async fn by_number(
        &self,
        repository: &Repository,
        numbers: &[PullRequestNumber],
    ) -> (BTreeMap<PullRequestNumber, PullRequest>, u32) {
        let batches = numbers.chunks(graphql::BATCH);
        let answers = futures::future::join_all(batches.map(|batch| async move {
            match graphql::by_number(self, repository, batch).await {
                Err(error) if error.graphql_is_absent() => {
                    (rest::by_number(self, repository, batch).await, batch.len())
                }
                Ok(answers) => (answers, 1),
                Err(error) => {
                    let why: Arc<str> = error.to_string().into();
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

    /// No open pull request at all is believed only of a repository that the
    /// token demonstrably sees: an empty list is also what the wrong one gives.
    async fn prove(
        &self,
        repository: &Repository,
        expected_id: Option<u64>,
        roots: &mut RepositoryRoots,
        observer: &dyn Observer,
    ) {
        let path = format!("/repos/{}/{}", repository.owner(), repository.name());
        let identity = self.get(&path).await.and_then(|body| {
            serde_json::from_slice::<Identity>(&body).map_err(|error| unreadable(&error))
        });
        let answer = identity.and_then(|identity| {
            let same = match expected_id {
                Some(expected) => identity.id == expected,
                None => identity.full_name.eq_ignore_ascii_case(repository.full_name()),
            };
            same.then_some(()).ok_or_else(|| {
                Unanswered::Unbelievable(format!(
                    "it has no open pull request, and the repository behind the name is {} (id {}), \
                     not the one that was expected",
                    identity.full_name, identity.id
                ))
            })
        });
        match answer {
            Ok(()) => {
                let evidence = evidence("repository", repository, 1, 1, Some(1), None);
                observer.step(Step::Roots(&evidence));
                roots.evidence.push(evidence);
            }
            Err(error) => roots.fail("repository", repository, &error, observer),
        }
    }

    /// The body of a 200 answer to a GET.
    async fn get(&self, target: &str) -> Result<Bytes, Unanswered> {
        let (response, outgoing) = self.send(target, None).await?;
        success(response, &outgoing)
    }

    /// The answer to a GraphQL query, errors inside included.
    async fn post_query(&self, query: &serde_json::Value) -> Result<Bytes, Unanswered> {
        let (response, outgoing) = self.send("/graphql", Some(query)).await?;
        success(response, &outgoing)
    }

    async fn send(
        &self,
        target: &str,
        query: Option<&serde_json::Value>,
    ) -> Result<(Response<Bytes>, String), Unanswered> {
        let response = match query {
            Some(query) => self.octocrab._post(target, Some(query)).await,
            None => self.octocrab._get(target).await,
        };
        let (parts, body) = response.map_err(carried)?.into_parts();
        let body = body.collect().await.map_err(carried)?.to_bytes();
        let method = if query.is_some() { "POST" } else { "GET" };
        let name = format!("{method} {}", target.split('?').next().unwrap_or(target));
        Ok((Response::from_parts(parts, body), name))
    }
}

impl RepositoryRoots {
    fn fail(
        &mut self,
        what: &str,
        repository: &Repository,
        error: &Unanswered,
        observer: &dyn Observer,
    ) {
        let why = error.to_string();
        self.gap = Some(why.as_str().into());
        let evidence = evidence(what, repository, 1, 0, None, Some(why));
        observer.step(Step::Roots(&evidence));
        self.evidence.push(evidence);
    }
}

fn evidence(
    what: &str,
    repository: &Repository,
    requests: u32,
    items: usize,
    total: Option<u64>,
    gap: Option<String>,
) -> Evidence {
    Evidence {
        source: format!("github.{what}"),
        scope: format!("repository {repository}"),
        requests,
        items,
        total,
        complete: gap.is_none(),
        gap,
        needed: true,
    }
}

fn unreadable(error: &serde_json::Error) -> Unanswered {
    Unanswered::Unbelievable(format!(
        "GitHub's answer does not have the documented form: {error}"
    ))
}

fn success(response: Response<Bytes>, request: &str) -> Result<Bytes, Unanswered> {
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

/// Carries octocrab's request over the wire, whatever host it thinks of.
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
        // Queries only read, so a GraphQL POST may be repeated like a GET.
        repeatable: parts.method == ::http::Method::GET || target == "/graphql",
        method: parts.method,
        target,
        body: Bytes::new(),
    };
    match body.collect().await {
        Ok(body) => outgoing.body = body.to_bytes(),
        Err(error) => {
            return Err(client.error(&outgoing, Failure::BadRequest(error.to_string())));
        }
    }
    Ok(client.exchange(&outgoing).await?.map(Full::new))
}

/// Our own error again, after octocrab wrapped it.
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
