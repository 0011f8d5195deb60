//! The tracking issue: found by its marker and labels, created once, updated in
//! place; and the sticky comment on a pull request.

use ::http::StatusCode;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, Unanswered, success, unreadable};
use crate::evidence::TrackingIssue;
use crate::gc::ticks::MARKER;
use crate::model::{PullRequestNumber, Repository};
use crate::wire::{ApiError, Failure};

/// The labels of the tracking issue, with their colours.
pub const LABELS: [(&str, &str); 2] = [("infrastructure", "5319e7"), ("cleanup-needed", "d93f0b")];

/// What a sticky comment begins with.
const COMMENT_MARKER: &str = "<!-- preview-gc:sticky -->";

/// Comments of a page, the most that GitHub gives.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Listed {
    number: u64,
    title: String,
    body: Option<String>,
    state: String,
    html_url: String,
    updated_at: DateTime<Utc>,
    pull_request: Option<Value>,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
}

impl Listed {
    fn is_ours(&self) -> bool {
        let marked = self
            .body
            .as_deref()
            .is_some_and(|body| body.contains(MARKER));
        marked && self.pull_request.is_none()
    }

    fn tracking(self, others: Vec<u64>) -> TrackingIssue {
        TrackingIssue {
            number: self.number,
            title: self.title,
            body: self.body.unwrap_or_default(),
            open: self.state == "open",
            url: self.html_url,
            updated_at: self.updated_at,
            others,
        }
    }
}

fn path(repository: &Repository, below: &str) -> String {
    format!("/repos/{}/{}{below}", repository.owner(), repository.name())
}

impl GitHub {
    fn read<'b, T: Deserialize<'b>>(&self, body: &'b Bytes) -> Result<T, Unanswered> {
        serde_json::from_slice(body).map_err(|error| self.redacted(unreadable(&error)))
    }

    /// The tracking issue, the oldest of several; none where there is none, or
    /// where the repository has no issues at all.
    pub(super) async fn tracking_issue(
        &self,
        repository: &Repository,
    ) -> Result<Option<TrackingIssue>, Unanswered> {
        let labels: Vec<_> = LABELS.iter().map(|(name, _)| *name).collect();
        let query = format!(
            "/issues?state=all&labels={}&sort=created&direction=asc&per_page=100",
            labels.join("%2C")
        );
        let body = match self.get(&path(repository, &query)).await {
            // Without issues there is nothing to tick. A repository that cannot be
            // seen answers like that as well, and to every other question too.
            Err(Unanswered::Api(ApiError {
                failure: Failure::Refused { status: 410, .. } | Failure::NotFound { .. },
                ..
            })) => return Ok(None),
            answer => answer?,
        };
        let mut ours: Vec<Listed> = self.read(&body)?;
        ours.retain(Listed::is_ours);
        ours.sort_by_key(|issue| issue.number);
        let others = ours.iter().skip(1).map(|issue| issue.number).collect();
        Ok(ours.into_iter().next().map(|issue| issue.tracking(others)))
    }

    /// Makes the labels of the tracking issue, where they are missing.
    async fn make_labels(&self, repository: &Repository) -> Result<(), Unanswered> {
        for (name, colour) in LABELS {
            let body = json!({
                "name": name, "color": colour, "description": "left behind by pull requests",
            });
            let (response, request) = self
                .request("POST", &path(repository, "/labels"), Some(&body))
                .await?;
            // 422: it is there already.
            let fine = response.status() == StatusCode::CREATED
                || response.status() == StatusCode::UNPROCESSABLE_ENTITY;
            if !fine {
                success(response, &request)?;
            }
        }
        Ok(())
    }

    /// Makes the tracking issue.
    pub async fn create_issue(
        &self,
        repository: &Repository,
        title: &str,
        text: &str,
    ) -> Result<TrackingIssue, Unanswered> {
        self.make_labels(repository).await?;
        let labels: Vec<_> = LABELS.iter().map(|(name, _)| *name).collect();
        let body = json!({ "title": title, "body": text, "labels": labels });
        let answer = self
            .write("POST", &path(repository, "/issues"), &body)
            .await?;
        let issue: Listed = self.read(&answer)?;
        Ok(issue.tracking(Vec::new()))
    }

    /// Reads the tracking issue again, by number.
    pub async fn issue_again(
        &self,
        repository: &Repository,
        number: u64,
    ) -> Result<TrackingIssue, Unanswered> {
        let body = self
            .get(&path(repository, &format!("/issues/{number}")))
            .await?;
        let issue: Listed = self.read(&body)?;
        Ok(issue.tracking(Vec::new()))
    }

    /// Changes the tracking issue.
    pub async fn update_issue(
        &self,
        repository: &Repository,
        number: u64,
        change: &Value,
    ) -> Result<(), Unanswered> {
        let target = path(repository, &format!("/issues/{number}"));
        self.write("PATCH", &target, change).await.map(drop)
    }

    /// What others made of an issue's text between its reading and our writing,
    /// the newest first.
    pub async fn edits_since(
        &self,
        repository: &Repository,
        read: &TrackingIssue,
        ours: &[String],
    ) -> Result<Vec<String>, Unanswered> {
        let query = json!({
            "query": "query($owner:String!,$name:String!,$number:Int!){repository(owner:$owner,name:$name){issue(number:$number){userContentEdits(first:20){nodes{editedAt diff}}}}}",
            "variables": { "owner": repository.owner(), "name": repository.name(), "number": read.number },
        });
        let body = self.post_query(&query).await?;
        let answer: Value = self.read(&body)?;
        let issue = &answer["data"]["repository"]["issue"];
        let edits = &issue["userContentEdits"];
        let seen = issue.is_object() && answer["errors"].is_null();
        // A text that nobody ever edited may have none at all.
        let none = Vec::new();
        let edits = match edits["nodes"].as_array() {
            Some(edits) if seen => edits,
            None if seen && edits.is_null() => &none,
            _ => {
                return Err(Unanswered::Unbelievable(
                    "the edits of the issue cannot be seen".to_owned(),
                ));
            }
        };
        let said = |edit: &Value| edit["diff"].as_str().unwrap_or_default().to_owned();
        // The newest comes first. By GitHub's own clock two may share a second.
        let since = |edit: &&Value| {
            let at = edit["editedAt"].as_str().and_then(|at| at.parse().ok());
            at.is_some_and(|at: DateTime<Utc>| at >= read.updated_at)
        };
        let newest = edits
            .iter()
            .map(said)
            .position(|text| !ours.contains(&text));
        let mut others: Vec<String> = edits
            .iter()
            .skip(newest.unwrap_or(edits.len()))
            .take_while(|edit| said(edit) != read.body)
            .filter(since)
            .map(said)
            .collect();
        others.retain(|text| !ours.contains(text));
        Ok(others)
    }

    /// Says something under an issue or a pull request.
    pub async fn comment(
        &self,
        repository: &Repository,
        number: u64,
        text: &str,
    ) -> Result<(), Unanswered> {
        let target = path(repository, &format!("/issues/{number}/comments"));
        let body = json!({ "body": text });
        self.write("POST", &target, &body).await.map(drop)
    }

    /// Leaves one comment on a pull request, in the place of the one before.
    pub async fn sticky_comment(
        &self,
        repository: &Repository,
        number: PullRequestNumber,
        text: &str,
    ) -> Result<(), Unanswered> {
        if self.change_comment(repository, number, text).await? {
            return Ok(());
        }
        let text = format!("{COMMENT_MARKER}\n{text}");
        self.comment(repository, number.get().into(), &text).await
    }

    /// Changes that comment where there is one; whether there is.
    pub async fn change_comment(
        &self,
        repository: &Repository,
        number: PullRequestNumber,
        text: &str,
    ) -> Result<bool, Unanswered> {
        for page in 1.. {
            let list = format!("/issues/{number}/comments?per_page={PAGE}&page={page}");
            let body = self.get(&path(repository, &list)).await?;
            let comments: Vec<Comment> = self.read(&body)?;
            let last = comments.len() < PAGE;
            let ours = comments.into_iter().find(|comment| {
                let body = comment.body.as_deref().unwrap_or_default();
                body.starts_with(COMMENT_MARKER)
            });
            if let Some(comment) = ours {
                let target = path(repository, &format!("/issues/comments/{}", comment.id));
                let body = json!({ "body": format!("{COMMENT_MARKER}\n{text}") });
                self.write("PATCH", &target, &body).await?;
                return Ok(true);
            }
            if last {
                break;
            }
        }
        Ok(false)
    }

    async fn write(&self, method: &str, target: &str, body: &Value) -> Result<Bytes, Unanswered> {
        let (response, request) = self.request(method, target, Some(body)).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        success(response, &request)
    }
}
