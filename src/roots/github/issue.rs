//! The tracking issue, created once and updated in place, and comments. Only texts
//! of this token's account, or of a configured account, are ours.

mod authors;
mod comment;
mod find;

use std::collections::BTreeMap;

use ::http::StatusCode;
use bytes::Bytes;
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
            others,
            kept_in_others: BTreeMap::new(),
        }
    }
}

/// Edits per page of the history, and the maximum number of pages. Every edit shows the
/// whole text.
const EDITS: usize = 20;
const EDIT_PAGES: usize = 5;

/// An edit of an issue, noted to find those after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedEdit {
    id: String,
    /// The text that it left, unless somebody removed that from the history.
    pub text: Option<String>,
}

#[derive(Deserialize)]
struct ShownEdit {
    id: String,
    diff: Option<String>,
}

/// A page of the history.
#[derive(Default)]
struct EditPage {
    edits: Vec<ShownEdit>,
    /// Where the next page begins.
    next: Option<String>,
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

    /// Returns the newest edit in the history of the issue; none before the first one.
    pub async fn newest_edit(&self, number: u64) -> Result<Option<NotedEdit>, Unanswered> {
        let page = self.edits(number, 1, None).await?;
        Ok(page.edits.into_iter().next().map(|edit| NotedEdit {
            id: edit.id,
            text: edit.diff,
        }))
    }

    /// Returns the texts of all edits after the noted one, or of all edits, the oldest
    /// first.
    pub async fn edits_since(
        &self,
        number: u64,
        noted: Option<&NotedEdit>,
    ) -> Result<Vec<String>, Unanswered> {
        let unread = |why: &str| Unanswered::Unbelievable(format!("the edits of the issue {why}"));
        let mut texts = Vec::new();
        let mut after = None;
        for _ in 0..EDIT_PAGES {
            let page = self.edits(number, EDITS, after.as_deref()).await?;
            for edit in page.edits {
                if noted.is_some_and(|noted| noted.id == edit.id) {
                    texts.reverse();
                    return Ok(texts);
                }
                texts.push(edit.diff.ok_or_else(|| unread("are not all shown"))?);
            }
            after = page.next;
            if after.is_none() && noted.is_none() {
                texts.reverse();
                return Ok(texts);
            }
            if after.is_none() {
                return Err(unread("end before the one that was the newest"));
            }
        }
        Err(unread("are too many since the text was read"))
    }

    /// Reads a page of the history, the newest edit first.
    async fn edits(
        &self,
        number: u64,
        count: usize,
        after: Option<&str>,
    ) -> Result<EditPage, Unanswered> {
        let query = json!({
            "query": format!("query($owner:String!,$name:String!,$number:Int!,$after:String){{repository(owner:$owner,name:$name){{issue(number:$number){{userContentEdits(first:{count},after:$after){{nodes{{id diff}}pageInfo{{hasNextPage endCursor}}}}}}}}}}"),
            "variables": {
                "owner": self.repository.owner(), "name": self.repository.name(), "number": number, "after": after,
            },
        });
        let body = self.github.post_query(&query).await?;
        let answer: Value = self.read(&body)?;
        let issue = &answer["data"]["repository"]["issue"];
        let edits = &issue["userContentEdits"];
        let seen = issue.is_object() && answer["errors"].is_null();
        // A text that was never edited may have no edits at all.
        if seen && edits.is_null() {
            return Ok(EditPage::default());
        }
        let info = &edits["pageInfo"];
        let next = match (info["hasNextPage"].as_bool(), info["endCursor"].as_str()) {
            (Some(false), _) => Some(None),
            (Some(true), Some(cursor)) => Some(Some(cursor.to_owned())),
            _ => None,
        };
        let read = Vec::<ShownEdit>::deserialize(&edits["nodes"]).ok();
        match (read, next) {
            (Some(edits), Some(next)) if seen => Ok(EditPage { edits, next }),
            _ => Err(Unanswered::Unbelievable(
                "the edits of the issue could not be read".to_owned(),
            )),
        }
    }

    async fn write(&self, method: &str, target: &str, body: &Value) -> Result<Bytes, Unanswered> {
        let (response, request) = self.github.request(method, target, Some(body)).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        success(response, &request)
    }
}
