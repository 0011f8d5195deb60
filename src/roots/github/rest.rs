//! Pull requests and branches through REST, if GraphQL is unavailable, and
//! Actions runs, which GraphQL does not provide.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::StatusCode;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{GitHubClient, Label, Right, success, unreadable};
use crate::evidence::{ActionsRun, LostLabels, PullRequest, Searched};
use crate::model::{PullRequestNumber, Repository, RunId};
use crate::roots::forge::{Closed, CompleteList, Horizon, RepositorySeen, Unanswered};

const PER_PAGE: usize = 100;

/// Maximum concurrent requests, if each asks about one thing.
const SIDE_BY_SIDE: usize = 8;

#[derive(Deserialize)]
struct Pull {
    number: u32,
    state: String,
    title: Option<String>,
    created_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    merged_at: Option<DateTime<Utc>>,
    head: Head,
    base: Base,
    labels: Vec<Label>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    name: String,
    /// Null if the fork was deleted.
    repo: Option<Repo>,
}

#[derive(Deserialize)]
struct Base {
    repo: Repo,
}

#[derive(Deserialize)]
struct Repo {
    full_name: String,
}

impl Repo {
    fn is(&self, repository: &Repository) -> bool {
        self.full_name.eq_ignore_ascii_case(repository.full_name())
    }
}

impl Pull {
    fn read(self, repository: &Repository) -> Result<(PullRequestNumber, PullRequest), Unanswered> {
        let number = PullRequestNumber::new(self.number).ok_or_else(|| {
            Unanswered::Unbelievable(format!("{} is no pull request number", self.number))
        })?;
        if !self.base.repo.is(repository) {
            return Err(Unanswered::Unbelievable(format!(
                "pull request #{number} belongs to {}, not to {repository}",
                self.base.repo.full_name
            )));
        }
        let labels = self.labels.into_iter().map(|label| label.name).collect();
        let title = self.title.unwrap_or_default().into();
        let opened_at = self.created_at;
        let ours = self.head.repo.is_some_and(|repo| repo.is(repository));
        let branch: Arc<str> = self.head.name.into();
        let (head, fork_head) = if ours {
            (Some(branch), None)
        } else {
            (None, Some(branch))
        };
        let pull_request = match self.state.as_str() {
            "open" => PullRequest::Open {
                title,
                head,
                fork_head,
                opened_at,
                labels,
            },
            "closed" => PullRequest::Closed {
                title,
                labels,
                head,
                fork_head,
                opened_at,
                closed_at: self.closed_at,
                merged: self.merged_at.is_some(),
                merged_at: self.merged_at,
            },
            state => {
                return Err(Unanswered::Unbelievable(format!(
                    "pull request #{number} has the unknown state {state:?}"
                )));
            }
        };
        Ok((number, pull_request))
    }
}

fn path(repository: &Repository, rest: &str) -> String {
    format!("/repos/{}/{}{rest}", repository.owner(), repository.name())
}

/// Reads one page of a list, and returns whether `Link` names a next page.
async fn page<T: DeserializeOwned>(
    github: &GitHubClient,
    target: &str,
    number: usize,
) -> Result<(Vec<T>, bool), Unanswered> {
    let target = format!("{target}per_page={PER_PAGE}&page={number}");
    let (response, request) = github.send(&target, None).await?;
    let more = response
        .headers()
        .get(::http::header::LINK)
        .and_then(|link| link.to_str().ok())
        .is_some_and(|link| link.contains("rel=\"next\""));
    let body = success(response, &request)?;
    let items: Vec<T> = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    let more = more || items.len() >= PER_PAGE;
    Ok((items, more))
}

/// Reads a whole list. REST gives no total, so the last page is the one without
/// a next page in `Link`.
pub(crate) async fn whole<T: DeserializeOwned, K: Ord, V>(
    github: &GitHubClient,
    target: &str,
    read: impl Fn(T) -> Result<(K, V), Unanswered>,
) -> Result<CompleteList<K, V>, Unanswered> {
    let mut items = BTreeMap::new();
    for number in 1.. {
        let (found, more) = page(github, target, number).await?;
        let (before, empty) = (items.len(), found.is_empty());
        for item in found {
            let (key, value) = read(item)?;
            items.insert(key, value);
        }
        if empty || !more {
            let requests = u32::try_from(number).unwrap_or(u32::MAX);
            return Ok(CompleteList {
                items,
                requests,
                total: None,
                seen: RepositorySeen::default(),
            });
        }
        if items.len() == before {
            break;
        }
    }
    Err(Unanswered::Unbelievable(
        "the list repeats itself".to_owned(),
    ))
}

/// Reads all open pull requests.
pub(super) async fn open(
    github: &GitHubClient,
    repository: &Repository,
) -> Result<CompleteList<PullRequestNumber, PullRequest>, Unanswered> {
    let target = path(repository, "/pulls?state=open&sort=created&direction=asc&");
    whole(github, &target, |pull: Pull| pull.read(repository)).await
}

/// Reads all git branches.
pub(super) async fn branches(
    github: &GitHubClient,
    repository: &Repository,
) -> Result<CompleteList<Arc<str>, ()>, Unanswered> {
    #[derive(Deserialize)]
    struct GitBranch {
        name: Arc<str>,
    }
    let target = path(repository, "/branches?");
    whole(github, &target, |branch: GitBranch| Ok((branch.name, ()))).await
}

/// Reads all pull requests from each of these branches.
pub(super) async fn by_branch(
    github: &GitHubClient,
    repository: &Repository,
    branches: &[Arc<str>],
) -> Result<(BTreeMap<PullRequestNumber, PullRequest>, u32), Unanswered> {
    let answers: Vec<_> = stream::iter(branches)
        .map(|branch| async move {
            let head = format!("{}:{branch}", repository.owner());
            let head = utf8_percent_encode(&head, NON_ALPHANUMERIC);
            let target = path(repository, &format!("/pulls?head={head}&state=all&"));
            whole(github, &target, |pull: Pull| pull.read(repository)).await
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    let mut pull_requests = BTreeMap::new();
    let mut requests = 0;
    for answer in answers {
        let listed = answer?;
        requests += listed.requests;
        pull_requests.extend(listed.items);
    }
    Ok((pull_requests, requests))
}

/// Reads closed pull requests back to the horizon, the most recently updated
/// first.
pub(super) async fn closed(
    github: &GitHubClient,
    repository: &Repository,
    horizon: &Horizon,
) -> Result<Closed, Unanswered> {
    let target = path(
        repository,
        "/pulls?state=closed&sort=updated&direction=desc&",
    );
    let mut pull_requests = BTreeMap::new();
    let mut oldest: Option<DateTime<Utc>> = None;
    for number in 1.. {
        let (found, more) = page::<Pull>(github, &target, number).await?;
        let (before, empty) = (pull_requests.len(), found.is_empty());
        for pull in found {
            let updated = pull.updated_at.ok_or_else(|| {
                Unanswered::Unbelievable(format!("#{} has no updated_at", pull.number))
            })?;
            oldest = oldest.min(Some(updated)).or(Some(updated));
            let (number, pull_request) = pull.read(repository)?;
            pull_requests.insert(number, pull_request);
        }
        let searched = match oldest {
            _ if empty || !more => Searched::Everything,
            Some(oldest)
                if horizon
                    .is_reached(pull_requests.len(), Some(oldest))
                    .is_break() =>
            {
                Searched::BackTo(oldest)
            }
            _ if pull_requests.len() == before => break,
            _ => continue,
        };
        return Ok(Closed {
            pull_requests,
            requests: u32::try_from(number).unwrap_or(u32::MAX),
            searched,
        });
    }
    Err(Unanswered::Unbelievable(
        "the list of closed pull requests repeats itself".to_owned(),
    ))
}

/// Looks up these Actions runs.
pub(super) async fn runs(
    github: &GitHubClient,
    repository: &Repository,
    runs: impl IntoIterator<Item = RunId>,
) -> BTreeMap<RunId, ActionsRun> {
    stream::iter(runs)
        .map(|run| async move {
            let answer = one_run(github, repository, run).await;
            let answer = answer.unwrap_or_else(|error| ActionsRun::Unknown {
                why: Arc::from(github.redacted(error).to_string()),
            });
            (run, answer)
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await
}

async fn one_run(
    github: &GitHubClient,
    repository: &Repository,
    run: RunId,
) -> Result<ActionsRun, Unanswered> {
    #[derive(Deserialize)]
    struct RunStatus {
        id: u64,
        status: Option<String>,
        updated_at: Option<DateTime<Utc>>,
    }
    let target = path(repository, &format!("/actions/runs/{run}"));
    let (response, request) = github.send(&target, None).await?;
    if response.status() == StatusCode::NOT_FOUND {
        // Proves that the run is missing, not the permission.
        github.prove_right(repository, Right::Runs).await?;
        return Ok(ActionsRun::Missing);
    }
    let body = success(response, &request)?;
    let found: RunStatus = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    if found.id != run.get() {
        return Err(Unanswered::Unbelievable(format!(
            "Actions run {} was answered for {run}",
            found.id
        )));
    }
    match found.status.as_deref() {
        Some("completed") => Ok(ActionsRun::Finished {
            at: found.updated_at,
        }),
        Some(_) => Ok(ActionsRun::Unfinished),
        None => Err(Unanswered::Unbelievable(format!(
            "Actions run {run} has no status"
        ))),
    }
}

/// Asks when labels were removed from a pull request, by the events of its issue.
pub(super) async fn lost_labels(
    github: &GitHubClient,
    repository: &Repository,
    number: PullRequestNumber,
) -> Result<(LostLabels, u32), Unanswered> {
    #[derive(Deserialize)]
    struct IssueEvent {
        id: u64,
        event: String,
        created_at: Option<DateTime<Utc>>,
        label: Option<Label>,
    }
    let target = path(repository, &format!("/issues/{number}/events?"));
    let read = |event: IssueEvent| {
        let removed = (event.event == "unlabeled").then_some(()).and(event.label);
        let removed = removed.zip(event.created_at);
        Ok((event.id, removed.map(|(label, at)| (label.name.into(), at))))
    };
    let listed = whole(github, &target, read).await?;
    let lost = LostLabels {
        lost: listed.items.into_values().flatten().collect(),
        has_more: false,
    };
    Ok((lost, listed.requests))
}

/// Looks up these numbers. The list of open ones was read before, so the token
/// may read pull requests and a 404 means missing.
pub(super) async fn by_number(
    github: &GitHubClient,
    repository: &Repository,
    numbers: &[PullRequestNumber],
) -> BTreeMap<PullRequestNumber, PullRequest> {
    stream::iter(numbers)
        .map(|number| async move {
            let answer = one(github, repository, *number).await;
            let answer = answer.unwrap_or_else(|error| PullRequest::Unknown {
                why: Arc::from(github.redacted(error).to_string()),
            });
            (*number, answer)
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await
}

async fn one(
    github: &GitHubClient,
    repository: &Repository,
    number: PullRequestNumber,
) -> Result<PullRequest, Unanswered> {
    let target = path(repository, &format!("/pulls/{number}"));
    let (response, request) = github.send(&target, None).await?;
    if response.status() == StatusCode::NOT_FOUND {
        // Proves that the number is missing, not the permission.
        github.prove_right(repository, Right::PullRequests).await?;
        return Ok(PullRequest::Missing);
    }
    let body = success(response, &request)?;
    let pull: Pull = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    let (answered, pull_request) = pull.read(repository)?;
    if answered != number {
        return Err(Unanswered::Unbelievable(format!(
            "pull request #{answered} was answered for #{number}"
        )));
    }
    Ok(pull_request)
}
