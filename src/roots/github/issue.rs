//! The tracking issue, found by its marker and author, created once and updated
//! in place; and the sticky comment on a pull request. Only texts of this
//! token's account, or of a configured account, are ours.

use std::collections::BTreeMap;

use ::http::StatusCode;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{GitHubClient, rest, success, unreadable};
use crate::boxes::{CheckedKeys, MARKER, TITLE};
use crate::evidence::{CheckedBoxes, TrackingIssue};
use crate::model::{PullRequestNumber, Repository};
use crate::roots::forge::{IssueSearch, Unanswered};
use crate::wire::{ApiError, RequestFailure};

/// The labels of the tracking issue, with their colours.
pub const LABELS: [(&str, &str); 2] = [("infrastructure", "5319e7"), ("cleanup-needed", "d93f0b")];

/// Prefix of a sticky comment.
const COMMENT_MARKER: &str = "<!-- preview-gc:sticky -->";

/// Comments per page: GitHub's maximum.
const PAGE: usize = 100;

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

#[derive(Deserialize)]
struct User {
    login: String,
}

/// Returns the author, for people.
fn author(user: Option<&User>) -> &str {
    user.map_or("a deleted account", |user| &user.login)
}

/// Accounts whose tracking issue and comments count besides the token's own
/// account, which is looked up once.
#[derive(Debug, Default)]
pub struct Authors {
    also: Vec<String>,
    viewer: OnceCell<Viewer>,
}

/// What the query for the account of a token says.
#[derive(Debug)]
struct Viewer {
    login: String,
    /// The repository that the same query asked about.
    repository: Repository,
    /// The id of that; none if the answer does not say it.
    id: Option<u64>,
}

impl Authors {
    /// Creates a value with the account of the token and these accounts.
    pub fn new(also: &[String]) -> Self {
        Self {
            also: also.to_vec(),
            viewer: OnceCell::new(),
        }
    }
}

/// The accounts whose texts are ours.
struct OwnAccounts<'a> {
    /// The account of this token.
    login: Result<&'a str, Unanswered>,
    /// Other configured accounts.
    also: &'a [String],
}

impl OwnAccounts<'_> {
    /// Returns whether a text with our marker is ours. If the own account is
    /// unknown, the text of an account that is not configured may be ours, so
    /// the result is an error.
    fn wrote(&self, user: Option<&User>, what: &str) -> Result<bool, Unanswered> {
        let is = |login: &str| user.is_some_and(|user| user.login.eq_ignore_ascii_case(login));
        if self.also.iter().any(|login| is(login)) {
            return Ok(true);
        }
        match &self.login {
            Ok(login) => Ok(is(login)),
            Err(error) => Err(Unanswered::Unbelievable(format!(
                "whether {what} by {} was written by this tool could not be determined: {error}; \
                 name the account that writes for it with --issue-author",
                author(user)
            ))),
        }
    }
}

/// Whether the issue is open, as an update sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueState {
    /// Something is left behind.
    Open,
    /// Nothing is.
    Closed,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<User>,
}

/// By what an issue is taken for the tracking issue, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// It has the marker.
    Marker,
    /// A person removed that and left boxes.
    Boxes,
    /// Only its title is left.
    Title,
}

impl ListedIssue {
    fn mark(&self) -> Option<Mark> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.pull_request.is_some() {
            None
        } else if body.contains(MARKER) {
            Some(Mark::Marker)
        } else if body.contains("<!-- gc:keep:") {
            Some(Mark::Boxes)
        } else {
            (self.title == TITLE).then_some(Mark::Title)
        }
    }

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

    /// The tracking issue, with what is checked "keep" in further issues of ours.
    fn with_others(self, others: Vec<Self>) -> TrackingIssue {
        let mut issue = self.tracking(others.iter().map(|other| other.number).collect());
        for other in others {
            let number = other.number;
            let CheckedBoxes {
                keep,
                origins_of_kept,
                ..
            } = other.tracking(Vec::new()).checked;
            let here = &issue.checked.keep;
            let more = keep.into_iter().filter(|key| !here.contains(key));
            issue.kept_in_others.extend(more.map(|key| (key, number)));
            issue.checked.origins_of_kept.extend(origins_of_kept);
        }
        issue
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

    /// Reads the account of this token, as REST writes it, and the repository's id:
    /// with the same request, because no other may be about the repository itself.
    async fn viewer(&self) -> Result<Viewer, Unanswered> {
        let query = json!({
            "query": "query($owner:String!,$name:String!){viewer{login}repository(owner:$owner,name:$name){databaseId nameWithOwner}}",
            "variables": { "owner": self.repository.owner(), "name": self.repository.name() },
        });
        let body = self.github.post_query(&query).await?;
        let answer: Value = self.read(&body)?;
        // A token that does not see the repository has an account all the same.
        let is_about_repository = |error: &Value| error["path"][0] == "repository";
        let errors = answer["errors"].as_array();
        let login_is_whole = answer["errors"].is_null()
            || errors.is_some_and(|errors| errors.iter().all(is_about_repository));
        let found = &answer["data"]["repository"];
        let name = found["nameWithOwner"].as_str();
        let is_same =
            name.is_some_and(|name| name.eq_ignore_ascii_case(self.repository.full_name()));
        match answer["data"]["viewer"]["login"].as_str() {
            Some(login) if !login.is_empty() && login_is_whole => Ok(Viewer {
                login: login.to_owned(),
                repository: self.repository.clone(),
                id: found["databaseId"].as_u64().filter(|_| is_same),
            }),
            _ => Err(Unanswered::Unbelievable(
                "GitHub does not say whose token this is".to_owned(),
            )),
        }
    }

    /// The accounts whose texts are ours.
    async fn own_accounts(&self) -> OwnAccounts<'_> {
        let authors = self.github.authors();
        OwnAccounts {
            login: authors
                .viewer
                .get_or_try_init(|| self.viewer())
                .await
                .map(|viewer| &*viewer.login),
            also: &authors.also,
        }
    }

    /// Finds the tracking issue, the oldest if there are several, with what is
    /// checked "keep" in the others. An issue of ours whose marker a person
    /// removed is one while it has boxes. Returns
    /// `None` if the complete list of our issues has none, or if the repository
    /// says that issues are disabled.
    pub async fn find(&self) -> Result<IssueSearch, Unanswered> {
        let own = self.own_accounts().await;
        // Labels may have been removed, so our issue is searched by author.
        // Issues of others that carry the marker have no effect; they are
        // searched by label, to report those that look like ours.
        let labels: Vec<_> = LABELS.iter().map(|(name, _)| *name).collect();
        let mut filters = match &own.login {
            Ok(login) => {
                let authors = std::iter::once(*login).chain(own.also.iter().map(|one| &**one));
                let author = |login| utf8_percent_encode(login, NON_ALPHANUMERIC);
                authors
                    .map(|login| format!("creator={}&", author(login)))
                    .collect()
            }
            // All issues, if the own account is unknown.
            Err(_) => vec![String::new()],
        };
        if own.login.is_ok() {
            filters.push(format!("labels={}&", labels.join("%2C")));
        }
        let viewer = self.github.authors().viewer.get();
        let viewer = viewer.filter(|viewer| viewer.repository == *self.repository);
        let mut found = IssueSearch {
            repository_id: viewer.and_then(|viewer| viewer.id),
            ..IssueSearch::default()
        };
        let mut marked = BTreeMap::new();
        let lists = filters.iter().map(|filter| async move {
            let query = format!("/issues?state=all&{filter}sort=created&direction=asc&");
            let read =
                |issue: ListedIssue| Ok((issue.number, issue.mark().map(|mark| (mark, issue))));
            rest::whole(self.github, &self.path(&query), read).await
        });
        for list in join_all(lists).await {
            match list {
                Ok(listed) => {
                    found.requests += listed.requests;
                    let issues = listed.items.into_iter();
                    marked.extend(issues.filter_map(|(number, issue)| Some((number, issue?))));
                }
                Err(error) => {
                    self.prove_no_issues(error).await?;
                    found.requests += 2;
                    return Ok(found);
                }
            }
        }
        let mut ours = Vec::new();
        for (mark, issue) in marked.into_values() {
            if own.wrote(issue.user.as_ref(), &format!("issue #{}", issue.number))? {
                ours.push((mark, issue));
            } else if mark == Mark::Marker {
                found.by_others.push(format!(
                    "issue #{} of {} is marked as the tracking issue and not used: it is by {}; \
                     its checkboxes count only with --issue-author",
                    issue.number,
                    self.repository,
                    author(issue.user.as_ref())
                ));
            }
        }
        found.issue = self.chosen(ours, &mut found.further)?;
        Ok(found)
    }

    /// Chooses the tracking issue among ours, and notes the others for people.
    fn chosen(
        &self,
        mut ours: Vec<(Mark, ListedIssue)>,
        notes: &mut Vec<String>,
    ) -> Result<Option<TrackingIssue>, Unanswered> {
        ours.sort_by_key(|(mark, issue)| (*mark, issue.number));
        if let Some((Mark::Title, issue)) = ours.first() {
            return Err(Unanswered::Unbelievable(format!(
                "issue #{} has the title of the tracking issue and none of its text, so what \
                 people keep is unknown; restore its text from the history of its edits, or \
                 rename or delete it",
                issue.number
            )));
        }
        ours.retain(|(mark, _)| *mark != Mark::Title);
        let mut ours = ours.into_iter().map(|(_, issue)| issue);
        let Some(first) = ours.next() else {
            return Ok(None);
        };
        let others: Vec<ListedIssue> = ours.collect();
        notes.extend(others.iter().map(|other| {
            format!(
                "issue #{} of {} is a further tracking issue: its \"keep\" boxes count, its \
                 \"delete\" boxes do not; check them in #{} and delete it",
                other.number, self.repository, first.number
            )
        }));
        Ok(Some(first.with_others(others)))
    }

    /// Proves that a refusal to list issues means that issues are disabled: the
    /// repository itself has to say so, because GitHub also answers 404 to a
    /// token without the permission.
    async fn prove_no_issues(&self, refusal: Unanswered) -> Result<(), Unanswered> {
        #[derive(Deserialize)]
        struct RepositoryFeatures {
            full_name: String,
            has_issues: bool,
        }
        let Unanswered::Api(ApiError {
            failure:
                RequestFailure::Refused { status: 410, .. }
                | RequestFailure::NotFound { .. }
                | RequestFailure::Forbidden { .. },
            ..
        }) = &refusal
        else {
            return Err(refusal);
        };
        let settings: Result<RepositoryFeatures, Unanswered> =
            match self.github.get(&self.path("")).await {
                Ok(body) => self.read(&body),
                Err(error) => Err(error),
            };
        let why = match settings {
            Ok(settings)
                if !settings
                    .full_name
                    .eq_ignore_ascii_case(self.repository.full_name()) =>
            {
                format!("the repository behind the name is {}", settings.full_name)
            }
            Ok(RepositoryFeatures {
                has_issues: false, ..
            }) => return Ok(()),
            Ok(_) => format!("{} has issues", self.repository),
            Err(error) => error.to_string(),
        };
        Err(Unanswered::Unbelievable(format!(
            "could not look for the tracking issue: {refusal}, and {why}; give the token the \
             permission \"Issues: read\""
        )))
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

    /// Comments on an issue or a pull request.
    pub async fn comment(&self, number: u64, text: &str) -> Result<(), Unanswered> {
        let target = self.path(&format!("/issues/{number}/comments"));
        let body = json!({ "body": text });
        self.write("POST", &target, &body).await.map(drop)
    }

    /// Writes the sticky comment of a pull request and replaces an earlier one.
    pub async fn sticky_comment(
        &self,
        number: PullRequestNumber,
        text: &str,
    ) -> Result<(), Unanswered> {
        if self.change_comment(number, text).await? {
            return Ok(());
        }
        let text = format!("{COMMENT_MARKER}\n{text}");
        self.comment(number.get().into(), &text).await
    }

    /// Updates the sticky comment if there is one, and returns whether there
    /// is.
    pub async fn change_comment(
        &self,
        number: PullRequestNumber,
        text: &str,
    ) -> Result<bool, Unanswered> {
        let own = self.own_accounts().await;
        for page in 1.. {
            let list = format!("/issues/{number}/comments?per_page={PAGE}&page={page}");
            let body = self.github.get(&self.path(&list)).await?;
            let comments: Vec<Comment> = self.read(&body)?;
            let last = comments.len() < PAGE;
            let mut ours = None;
            for comment in comments {
                let body = comment.body.as_deref().unwrap_or_default();
                if body.starts_with(COMMENT_MARKER)
                    && own.wrote(comment.user.as_ref(), &format!("a comment on #{number}"))?
                {
                    ours = Some(comment);
                    break;
                }
            }
            if let Some(comment) = ours {
                let target = self.path(&format!("/issues/comments/{}", comment.id));
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
        let (response, request) = self.github.request(method, target, Some(body)).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        success(response, &request)
    }
}
