//! Pull requests through REST, where GraphQL is not to be had.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::StatusCode;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _};
use serde::Deserialize;

use super::{GitHub, Open, Unanswered, success, unreadable};
use crate::evidence::PullRequest;
use crate::model::{PullRequestNumber, Repository};

const PER_PAGE: usize = 100;

#[derive(Deserialize)]
struct Pull {
    number: u32,
    state: String,
    title: Option<String>,
    created_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    merged_at: Option<DateTime<Utc>>,
    base: Base,
}

#[derive(Deserialize)]
struct Base {
    repo: Repo,
}

#[derive(Deserialize)]
struct Repo {
    full_name: String,
}

impl Pull {
    fn read(self, repository: &Repository) -> Result<(PullRequestNumber, PullRequest), Unanswered> {
        let number = PullRequestNumber::new(self.number).ok_or_else(|| {
            Unanswered::Unbelievable(format!("{} is no pull request number", self.number))
        })?;
        if !self
            .base
            .repo
            .full_name
            .eq_ignore_ascii_case(repository.full_name())
        {
            return Err(Unanswered::Unbelievable(format!(
                "pull request #{number} belongs to {}, not to {repository}",
                self.base.repo.full_name
            )));
        }
        let title = self.title.unwrap_or_default().into();
        let opened_at = self.created_at;
        let pull_request = match self.state.as_str() {
            "open" => PullRequest::Open { title, opened_at },
            "closed" => PullRequest::Closed {
                title,
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

/// All open pull requests. REST gives no total, so the last page is the one
/// that `Link` names no successor of.
pub(super) async fn open(github: &GitHub, repository: &Repository) -> Result<Open, Unanswered> {
    let mut open = Open {
        pull_requests: BTreeMap::new(),
        requests: 0,
        total: None,
    };
    for page in 1.. {
        let target = format!(
            "/repos/{}/{}/pulls?state=open&sort=created&direction=asc&per_page={PER_PAGE}&page={page}",
            repository.owner(),
            repository.name()
        );
        let (response, request) = github.send(&target, None).await?;
        let more = response
            .headers()
            .get(::http::header::LINK)
            .and_then(|link| link.to_str().ok())
            .is_some_and(|link| link.contains("rel=\"next\""));
        let body = success(response, &request)?;
        open.requests += 1;
        let pulls: Vec<Pull> = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        let full = pulls.len() >= PER_PAGE;
        let before = open.pull_requests.len();
        for pull in pulls {
            let (number, pull_request) = pull.read(repository)?;
            open.pull_requests.insert(number, pull_request);
        }
        if !more && !full {
            break;
        }
        if more && open.pull_requests.len() == before {
            return Err(Unanswered::Unbelievable(
                "the list of open pull requests repeats itself".to_owned(),
            ));
        }
    }
    Ok(open)
}

/// What is known of each of these numbers. The list of open ones was read
/// before, so the token may read pull requests and 404 means missing.
pub(super) async fn by_number(
    github: &GitHub,
    repository: &Repository,
    numbers: &[PullRequestNumber],
) -> BTreeMap<PullRequestNumber, PullRequest> {
    stream::iter(numbers)
        .map(|number| async move {
            let answer = one(github, repository, *number).await;
            let answer = answer.unwrap_or_else(|error| PullRequest::Unknown {
                why: Arc::from(error.to_string()),
            });
            (*number, answer)
        })
        .buffer_unordered(8)
        .collect()
        .await
}

async fn one(
    github: &GitHub,
    repository: &Repository,
    number: PullRequestNumber,
) -> Result<PullRequest, Unanswered> {
    let target = format!(
        "/repos/{}/{}/pulls/{number}",
        repository.owner(),
        repository.name()
    );
    let (response, request) = github.send(&target, None).await?;
    if response.status() == StatusCode::NOT_FOUND {
        // Proof that it is the number that is not there, not the permission.
        let list = format!(
            "/repos/{}/{}/pulls?state=all&per_page=1",
            repository.owner(),
            repository.name()
        );
        github.get(&list).await?;
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
