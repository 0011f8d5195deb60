//! The tracking issue, created once and updated in place, and comments. Only texts
//! of this token's account, or of a configured account, are ours.

mod authors;
mod comment;
mod find;

use std::collections::BTreeMap;

use ::http::StatusCode;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use self::authors::User;
use super::{GitHubClient, success, unreadable};
use crate::boxes::CheckedKeys;
use crate::evidence::TrackingIssue;
use crate::model::Repository;
use crate::roots::forge::Unanswered;

pub use self::authors::Authors;

/// The labels of the tracking issue, with their colours.
pub const LABELS: [(&str, &str); 2] = [("infrastructure", "5319e7"), ("cleanup-needed", "d93f0b")];

#[derive(Deserialize)]
struct ListedIssue {
    number: u64,
    title: String,
    body: Option<String>,
    state: String,
    html_url: String,
    updated_at: DateTime<Utc>,
    pull_request: Option<Value>,
    /// Null if the account was deleted.
    user: Option<User>,
}

/// Whether the issue is open, as an update sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueState {
    /// Something is left behind.
    Open,
    /// Nothing is.
    Closed,
}

impl ListedIssue {
    fn tracking(self, others: Vec<u64>) -> TrackingIssue {
        TrackingIssue {
            number: self.number,
            title: self.title,
            checked: self
                .body
                .as_deref()
                .map(CheckedKeys::with_origins)
                .unwrap_or_default(),
            body: self.body.unwrap_or_default(),
            open: self.state == "open",
            url: self.html_url,
            updated_at: self.updated_at,
            others,
            kept_in_others: BTreeMap::new(),
        }
    }
}

/// The issues and comments of one repository that are ours.
pub struct IssueStore<'g> {
    github: &'g GitHubClient,
    repository: &'g Repository,
}

impl<'g> IssueStore<'g> {
    /// Creates the store of a repository.
    pub fn new(github: &'g GitHubClient, repository: &'g Repository) -> Self {
        Self { github, repository }
    }

    fn path(&self, below: &str) -> String {
        let repository = self.repository;
        format!("/repos/{}/{}{below}", repository.owner(), repository.name())
    }

    fn read<'b, T: Deserialize<'b>>(&self, body: &'b Bytes) -> Result<T, Unanswered> {
        serde_json::from_slice(body).map_err(|error| self.github.redacted(unreadable(&error)))
    }

    /// Creates the labels of the tracking issue, if missing.
    async fn make_labels(&self) -> Result<(), Unanswered> {
        for (name, colour) in LABELS {
            let body = json!({
                "name": name, "color": colour, "description": "left behind by pull requests",
            });
            let (response, request) = self
                .github
                .request("POST", &self.path("/labels"), Some(&body))
                .await?;
            // 422: the label exists.
            let fine = response.status() == StatusCode::CREATED
                || response.status() == StatusCode::UNPROCESSABLE_ENTITY;
            if !fine {
                success(response, &request)?;
            }
        }
        Ok(())
    }

    /// Creates the tracking issue.
    pub async fn create(&self, title: &str, text: &str) -> Result<TrackingIssue, Unanswered> {
        self.make_labels().await?;
        let labels: Vec<_> = LABELS.iter().map(|(name, _)| *name).collect();
        let body = json!({ "title": title, "body": text, "labels": labels });
        let answer = self.write("POST", &self.path("/issues"), &body).await?;
        let issue: ListedIssue = self.read(&answer)?;
        Ok(issue.tracking(Vec::new()))
    }

    /// Re-reads the tracking issue by number.
    pub async fn read_again(&self, number: u64) -> Result<TrackingIssue, Unanswered> {
        let body = self
            .github
            .get(&self.path(&format!("/issues/{number}")))
            .await?;
        let issue: ListedIssue = self.read(&body)?;
        Ok(issue.tracking(Vec::new()))
    }

    /// Updates the tracking issue.
    pub async fn update(
        &self,
        number: u64,
        text: &str,
        state: IssueState,
    ) -> Result<(), Unanswered> {
        let state = match state {
            IssueState::Open => "open",
            IssueState::Closed => "closed",
        };
        let change = json!({ "body": text, "state": state });
        let target = self.path(&format!("/issues/{number}"));
        self.write("PATCH", &target, &change).await.map(drop)
    }

    /// Returns texts that others saved between our read and our write, newest
    /// first.
    pub async fn edits_since(
        &self,
        read: &TrackingIssue,
        ours: &[String],
    ) -> Result<Vec<String>, Unanswered> {
        let query = json!({
            "query": "query($owner:String!,$name:String!,$number:Int!){repository(owner:$owner,name:$name){issue(number:$number){userContentEdits(first:20){nodes{editedAt diff}}}}}",
            "variables": { "owner": self.repository.owner(), "name": self.repository.name(), "number": read.number },
        });
        let body = self.github.post_query(&query).await?;
        let answer: Value = self.read(&body)?;
        let issue = &answer["data"]["repository"]["issue"];
        let edits = &issue["userContentEdits"];
        let seen = issue.is_object() && answer["errors"].is_null();
        // A text that was never edited may have no edits at all.
        let none = Vec::new();
        let edits = match edits["nodes"].as_array() {
            Some(edits) if seen => edits,
            None if seen && edits.is_null() => &none,
            _ => {
                return Err(Unanswered::Unbelievable(
                    "the edits of the issue could not be read".to_owned(),
                ));
            }
        };
        let text_of = |edit: &Value| edit["diff"].as_str().unwrap_or_default().to_owned();
        // The newest is first. Two edits may be in the same second.
        let since = |edit: &&Value| {
            let at = edit["editedAt"].as_str().and_then(|at| at.parse().ok());
            at.is_some_and(|at: DateTime<Utc>| at >= read.updated_at)
        };
        let newest = edits
            .iter()
            .map(text_of)
            .position(|text| !ours.contains(&text));
        let mut others: Vec<String> = edits
            .iter()
            .skip(newest.unwrap_or(edits.len()))
            .take_while(|edit| text_of(edit) != read.body)
            .filter(since)
            .map(text_of)
            .collect();
        others.retain(|text| !ours.contains(text));
        Ok(others)
    }

    async fn write(&self, method: &str, target: &str, body: &Value) -> Result<Bytes, Unanswered> {
        let (response, request) = self.github.request(method, target, Some(body)).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        success(response, &request)
    }
}
