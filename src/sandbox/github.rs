//! GitHub: pull requests, branches, runs, environments and issues of one
//! repository.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::message::{self, Request, Response};
use super::provider::{ProviderApi, Refusal, WorldKind};
use super::world::{self, ActionsRun, PullRequest, State};

/// The account of the token: that of `GITHUB_TOKEN` in Actions.
pub(super) const WRITER: &str = "github-actions[bot]";

/// GitHub's state and API.
#[derive(Debug)]
pub struct GitHub {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) pulls: Vec<PullRequest>,
    pub(super) branches: Vec<String>,
    runs: Vec<ActionsRun>,
    environments: Vec<Thing>,
    deployments: Vec<Thing>,
    issues: Vec<Issue>,
    comments: Vec<Comment>,
    labels: Vec<String>,
    has_issues: bool,
}

/// An environment or a deployment.
#[derive(Debug, Clone)]
struct Thing {
    id: u64,
    name: String,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    attributes: Map<String, Value>,
}

#[derive(Debug, Clone)]
struct Issue {
    number: u32,
    author: String,
    title: String,
    body: String,
    state: String,
    labels: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// All versions of its text, with their times.
    edits: Vec<(DateTime<Utc>, String)>,
}

/// A comment under an issue or a pull request.
#[derive(Debug, Clone)]
struct Comment {
    id: u64,
    under: String,
    author: String,
    body: String,
}

pub(super) fn time(at: DateTime<Utc>) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A stable number for a text.
pub(super) fn number_of(text: &str) -> u64 {
    text.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte)) % 1_000_000_007
    })
}

pub(super) fn sha(text: &str) -> String {
    let number = number_of(text);
    format!("{number:010x}{number:010x}{number:010x}{number:010x}")
}

fn error(status: u16, message: &str) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    message::json(
        code,
        &json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()}),
    )
}

fn not_found() -> Response {
    error(404, "Not Found")
}

fn ok(body: &Value) -> Response {
    message::json(StatusCode::OK, body)
}

impl PullRequest {
    pub(super) fn last(&self) -> Option<DateTime<Utc>> {
        self.closed_at.or(self.updated_at)
    }

    /// Returns when it was opened: by default 30 days before its end.
    pub(super) fn opened(&self) -> Option<DateTime<Utc>> {
        self.created_at
            .or_else(|| self.last().map(|at| at - TimeDelta::days(30)))
    }

    pub(super) fn merged_time(&self) -> Option<DateTime<Utc>> {
        self.merged
            .then(|| self.merged_at.or(self.closed_at))
            .flatten()
    }

    pub(super) fn title_text(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.head_ref.clone())
    }
}

impl GitHub {
    /// A repository as a world describes it.
    pub fn new(
        repository: &str,
        mut pulls: Vec<PullRequest>,
        branches: Vec<String>,
        runs: Vec<ActionsRun>,
    ) -> Self {
        let (owner, name) = repository.split_once('/').unwrap_or((repository, ""));
        pulls.sort_by_key(|pull| pull.number);
        Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            pulls,
            branches,
            runs,
            environments: Vec::new(),
            deployments: Vec::new(),
            issues: Vec::new(),
            comments: Vec::new(),
            labels: Vec::new(),
            has_issues: true,
        }
    }

    /// Turns the repository's issues on or off.
    pub(super) fn set_issues(&mut self, on: bool) {
        self.has_issues = on;
    }

    /// Adds an issue by another account, or a comment if `under` is set.
    pub(super) fn write_as(
        &mut self,
        author: &str,
        under: Option<u32>,
        text: &str,
        now: DateTime<Utc>,
    ) -> Value {
        if let Some(under) = under {
            let id = self.add_comment(under.to_string(), author, text).id;
            return json!({"id": id});
        }
        let number = self.next_number();
        self.issues.push(Issue {
            number,
            author: author.to_owned(),
            title: "an issue".to_owned(),
            body: text.to_owned(),
            state: "open".to_owned(),
            labels: Vec::new(),
            created_at: now,
            updated_at: now,
            edits: Vec::new(),
        });
        json!({"number": number})
    }

    fn next_number(&self) -> u32 {
        let pulls = self.pulls.iter().map(|pull| pull.number);
        let issues = self.issues.iter().map(|issue| issue.number);
        pulls.chain(issues).max().unwrap_or(0) + 1
    }

    fn add_comment(&mut self, under: String, author: &str, text: &str) -> Comment {
        let comment = Comment {
            id: number_of(&format!("{under} {}", self.comments.len())),
            under,
            author: author.to_owned(),
            body: text.to_owned(),
        };
        self.comments.push(comment.clone());
        comment
    }

    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(super) fn id(&self) -> u64 {
        number_of(&self.full_name())
    }

    pub(super) fn default_branch(&self) -> &str {
        self.branches
            .iter()
            .find(|branch| ["main", "master"].contains(&branch.as_str()))
            .or(self.branches.first())
            .map_or("main", String::as_str)
    }

    pub(super) fn pull_requests(&self) -> &[PullRequest] {
        &self.pulls
    }

    pub(super) fn git_branches(&self) -> &[String] {
        &self.branches
    }

    pub(super) fn actions_runs(&self) -> &[ActionsRun] {
        &self.runs
    }

    /// Opens or closes a pull request, and creates it if it is missing.
    pub(super) fn change(
        &mut self,
        number: u32,
        state: State,
        merged: bool,
        now: DateTime<Utc>,
    ) -> Result<Value, String> {
        if merged && state == State::Open {
            return Err("an open pull request cannot be merged".to_owned());
        }
        let full_name = self.full_name();
        let at = self.pulls.partition_point(|pull| pull.number < number);
        if self.pulls.get(at).is_none_or(|pull| pull.number != number) {
            let pull = PullRequest {
                number,
                state,
                merged,
                draft: false,
                title: None,
                head_ref: format!("pr-{number}"),
                head_repo: Some(full_name),
                created_at: Some(now),
                updated_at: None,
                closed_at: None,
                merged_at: None,
            };
            self.pulls.insert(at, pull);
        }
        let pull = &mut self.pulls[at];
        pull.state = state;
        pull.merged = merged;
        pull.updated_at = Some(now);
        pull.closed_at = (state == State::Closed).then_some(now);
        pull.merged_at = merged.then_some(now);
        serde_json::to_value(&*pull).map_err(|error| error.to_string())
    }

    fn user(login: &str) -> Value {
        let id = number_of(login);
        let url = format!("https://api.github.com/users/{login}");
        json!({
            "login": login, "id": id, "node_id": format!("U_{id}"), "avatar_url": "https://avatars.example.com/u",
            "gravatar_id": "", "url": url, "html_url": format!("https://github.com/{login}"),
            "followers_url": format!("{url}/followers"), "following_url": format!("{url}/following"),
            "gists_url": format!("{url}/gists"), "starred_url": format!("{url}/starred"),
            "subscriptions_url": format!("{url}/subscriptions"), "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events"),
            "received_events_url": format!("{url}/received_events"), "site_admin": false,
            "type": if login.ends_with("[bot]") { "Bot" } else { "User" },
        })
    }

    /// Returns the repository with all URLs that the schema requires.
    pub(super) fn repository(&self, full_name: &str, base: &str) -> Value {
        const ADDRESSES: [&str; 37] = [
            "archive",
            "assignees",
            "blobs",
            "branches",
            "collaborators",
            "comments",
            "commits",
            "compare",
            "contents",
            "contributors",
            "deployments",
            "downloads",
            "events",
            "forks",
            "git_commits",
            "git_refs",
            "git_tags",
            "hooks",
            "issue_comment",
            "issue_events",
            "issues",
            "keys",
            "labels",
            "languages",
            "merges",
            "milestones",
            "notifications",
            "pulls",
            "releases",
            "stargazers",
            "statuses",
            "subscribers",
            "subscription",
            "tags",
            "teams",
            "trees",
            "svn",
        ];
        let (owner, name) = full_name.split_once('/').unwrap_or((full_name, ""));
        let url = format!("{base}/repos/{full_name}");
        let html = format!("https://github.com/{full_name}");
        let fork = full_name != self.full_name();
        let id = number_of(full_name);
        let mut repository = json!({
            "id": id, "node_id": format!("R_{id}"), "name": name, "full_name": full_name, "private": true,
            "owner": Self::user(owner), "html_url": html, "description": null, "fork": fork, "url": url,
            "homepage": null, "language": null, "forks_count": 0, "stargazers_count": 0, "watchers_count": 0,
            "size": 1, "default_branch": self.default_branch(), "open_issues_count": 0, "is_template": false,
        });
        let more = json!({
            "topics": [], "has_issues": self.has_issues, "has_projects": false, "has_wiki": false, "has_pages": false,
            "has_downloads": false, "has_discussions": false, "archived": false, "disabled": false,
            "visibility": "private", "pushed_at": "2025-01-01T00:00:00Z", "created_at": "2025-01-01T00:00:00Z",
            "updated_at": "2025-01-01T00:00:00Z", "forks": 0, "open_issues": 0, "watchers": 0,
            "git_url": format!("git://github.com/{full_name}.git"), "ssh_url": format!("git@github.com:{full_name}.git"),
            "clone_url": format!("{html}.git"), "mirror_url": null, "license": null, "allow_forking": true,
            "web_commit_signoff_required": false, "network_count": 0, "subscribers_count": 0,
            "permissions": {"admin": false, "maintain": false, "push": true, "triage": true, "pull": true},
        });
        if let (Some(fields), Value::Object(more)) = (repository.as_object_mut(), more) {
            fields.extend(more);
        }
        for word in ADDRESSES {
            repository[format!("{word}_url")] = json!(format!("{url}/{word}"));
        }
        repository
    }

    fn end(
        &self,
        pull: &PullRequest,
        label: &str,
        repository: Option<&String>,
        branch: &str,
        base: &str,
    ) -> Value {
        let full_name = repository.cloned();
        let owner = full_name
            .as_deref()
            .and_then(|name| name.split('/').next())
            .unwrap_or_default();
        json!({
            "label": format!("{owner}:{label}"), "ref": branch, "sha": sha(&format!("{branch}{}", pull.number)),
            "repo": full_name.as_deref().map(|name| self.repository(name, base)),
            "user": if owner.is_empty() { Value::Null } else { Self::user(owner) },
        })
    }

    fn pull(&self, pull: &PullRequest, base: &str, whole: bool) -> Value {
        let full_name = self.full_name();
        let url = format!("{base}/repos/{full_name}/pulls/{}", pull.number);
        let issue = format!("{base}/repos/{full_name}/issues/{}", pull.number);
        let html = format!("https://github.com/{full_name}/pull/{}", pull.number);
        let id = number_of(&html);
        let mut fields = json!({
            "url": url, "id": id, "node_id": format!("PR_{id}"), "html_url": html,
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "issue_url": issue,
            "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{url}/comments{{/number}}"), "comments_url": format!("{issue}/comments"),
            "statuses_url": format!("{base}/repos/{full_name}/statuses/0"), "number": pull.number,
            "state": if pull.state == State::Open { "open" } else { "closed" }, "locked": false,
            "title": pull.title_text(), "user": Self::user(&self.owner), "body": null, "labels": [],
            "milestone": null, "active_lock_reason": null,
            "closed_at": pull.closed_at.map(time), "merged_at": pull.merged_time().map(time),
            "merge_commit_sha": null, "assignee": null, "assignees": [], "requested_reviewers": [],
            "requested_teams": [], "draft": pull.draft, "author_association": "MEMBER", "auto_merge": null,
            "head": self.end(pull, &pull.head_ref, pull.head_repo.as_ref(), &pull.head_ref, base),
            "base": self.end(pull, self.default_branch(), Some(&full_name), self.default_branch(), base),
            "_links": {
                "self": {"href": url}, "html": {"href": html}, "issue": {"href": issue},
                "comments": {"href": format!("{issue}/comments")},
                "review_comments": {"href": format!("{url}/comments")},
                "review_comment": {"href": format!("{url}/comments{{/number}}")},
                "commits": {"href": format!("{url}/commits")},
                "statuses": {"href": format!("{base}/repos/{full_name}/statuses/0")},
            },
        });
        for (key, at) in [
            ("created_at", pull.opened()),
            ("updated_at", pull.updated_at.or(pull.closed_at)),
        ] {
            if let Some(at) = at {
                fields[key] = time(at);
            }
        }
        if whole {
            let more = json!({
                "merged": pull.merged, "mergeable": null, "rebaseable": null, "mergeable_state": "unknown",
                "merged_by": null, "comments": 0, "review_comments": 0, "maintainer_can_modify": false,
                "commits": 1, "additions": 0, "deletions": 0, "changed_files": 0,
            });
            if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
                fields.extend(more);
            }
        }
        fields
    }

    fn pulls(&self, request: &Request) -> Response {
        let state = request.parameter("state").unwrap_or("open");
        let head = request
            .parameter("head")
            .and_then(|head| head.split_once(':'));
        let mut pulls: Vec<&PullRequest> = self
            .pulls
            .iter()
            .filter(|pull| match state {
                "all" => true,
                "closed" => pull.state == State::Closed,
                _ => pull.state == State::Open,
            })
            .filter(|pull| {
                head.is_none_or(|(owner, branch)| {
                    let from = pull.head_repo.as_deref().unwrap_or_default();
                    pull.head_ref == branch && from.split('/').next() == Some(owner)
                })
            })
            .filter(|pull| {
                request
                    .parameter("base")
                    .is_none_or(|base| base == self.default_branch())
                    || pull.number == 0
            })
            .collect();
        match request.parameter("sort").unwrap_or("created") {
            "updated" => pulls.sort_by_key(|pull| (pull.updated_at, pull.number)),
            _ => pulls.sort_by_key(|pull| (pull.opened(), pull.number)),
        }
        if request.parameter("direction").unwrap_or("desc") == "desc" {
            pulls.reverse();
        }
        let items: Vec<Value> = pulls
            .iter()
            .map(|pull| self.pull(pull, &request.base, false))
            .collect();
        paged(request, &items)
    }

    fn branch(&self, name: &str, request: &Request) -> Value {
        let sha = sha(name);
        let url = format!("{}/repos/{}/commits/{sha}", request.base, self.full_name());
        json!({"name": name, "commit": {"sha": sha, "url": url}, "protected": name == self.default_branch()})
    }

    fn issue(&self, issue: &Issue, request: &Request) -> Value {
        let url = format!(
            "{}/repos/{}/issues/{}",
            request.base,
            self.full_name(),
            issue.number
        );
        let labels: Vec<_> = issue
            .labels
            .iter()
            .map(|label| json!({"name": label}))
            .collect();
        json!({
            "id": issue.number, "node_id": format!("I_{}", issue.number), "url": url, "repository_url": request.base,
            "labels_url": format!("{url}/labels"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "html_url": format!("https://github.com/{}/issues/{}", self.full_name(), issue.number),
            "number": issue.number, "state": issue.state, "title": issue.title, "body": issue.body,
            "user": Self::user(&issue.author), "labels": labels, "assignee": null, "assignees": [],
            "milestone": null, "locked": false, "active_lock_reason": null, "comments": self.comments.iter().filter(|one| one.under == issue.number.to_string()).count(),
            "closed_at": null, "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "author_association": "MEMBER",
        })
    }

    /// Issues, and pull requests, which are issues as well; the newest first.
    fn list_issues(&self, request: &Request) -> Response {
        let state = request.parameter("state").unwrap_or("open");
        let labels: Vec<&str> = request
            .parameter("labels")
            .map(|labels| labels.split(',').collect())
            .unwrap_or_default();
        let by = |author: &str| {
            let creator = request.parameter("creator");
            creator.is_none_or(|creator| creator.eq_ignore_ascii_case(author))
        };
        let mut items: Vec<(u32, Value)> = Vec::new();
        for issue in &self.issues {
            let has = |label: &&str| issue.labels.iter().any(|one| one == label);
            if (state == "all" || issue.state == state)
                && labels.iter().all(has)
                && by(&issue.author)
            {
                items.push((issue.number, self.issue(issue, request)));
            }
        }
        for pull in &self.pulls {
            let is = match pull.state {
                State::Open => "open",
                State::Closed => "closed",
            };
            if (state == "all" || is == state) && labels.is_empty() && by(&self.owner) {
                let at = pull.opened().unwrap_or(request.now);
                let as_issue = Issue {
                    number: pull.number,
                    author: self.owner.clone(),
                    title: pull.title_text(),
                    body: String::new(),
                    state: is.to_owned(),
                    labels: Vec::new(),
                    created_at: at,
                    updated_at: pull.updated_at.unwrap_or(at),
                    edits: Vec::new(),
                };
                let mut shown = self.issue(&as_issue, request);
                let html = format!(
                    "https://github.com/{}/pull/{}",
                    self.full_name(),
                    pull.number
                );
                let url = format!(
                    "{}/repos/{}/pulls/{}",
                    request.base,
                    self.full_name(),
                    pull.number
                );
                shown["html_url"] = json!(html);
                shown["body"] = Value::Null;
                shown["pull_request"] = json!({
                    "url": url, "html_url": html, "diff_url": format!("{html}.diff"),
                    "patch_url": format!("{html}.patch"), "merged_at": pull.merged_time().map(time),
                });
                items.push((pull.number, shown));
            }
        }
        items.sort_by_key(|(number, _)| *number);
        if request.parameter("direction") != Some("asc") {
            items.reverse();
        }
        let items: Vec<Value> = items.into_iter().map(|(_, shown)| shown).collect();
        paged(request, &items)
    }

    fn create_issue(&mut self, request: &Request) -> Response {
        let body = request.json().unwrap_or_default();
        let Some(title) = body.get("title").and_then(Value::as_str) else {
            return error(422, "Validation Failed");
        };
        let number = self.next_number();
        let labels = body
            .get("labels")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let issue = Issue {
            number,
            author: WRITER.to_owned(),
            title: title.to_owned(),
            body: body
                .get("body")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            state: "open".to_owned(),
            labels: labels
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            created_at: request.now,
            updated_at: request.now,
            edits: Vec::new(),
        };
        let shown = self.issue(&issue, request);
        self.issues.push(issue);
        message::json(StatusCode::CREATED, &shown)
    }

    fn change_issue(&mut self, request: &Request, number: &str) -> Response {
        let body = request.json().unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let found = self
            .issues
            .iter_mut()
            .find(|issue| issue.number.to_string() == number);
        let Some(issue) = found else {
            return not_found();
        };
        if let Some(text) = text("body") {
            if text.chars().count() > 65_536 {
                return error(
                    422,
                    "Validation Failed: body is too long (maximum is 65536 characters)",
                );
            }
            text.clone_into(&mut issue.body);
            issue.edits.push((request.now, text.to_owned()));
        }
        if let Some(title) = text("title") {
            title.clone_into(&mut issue.title);
        }
        if let Some(labels) = body.get("labels").and_then(Value::as_array) {
            let labels = labels.iter().filter_map(Value::as_str);
            issue.labels = labels.map(str::to_owned).collect();
        }
        if let Some(state) = text("state") {
            state.clone_into(&mut issue.state);
        }
        issue.updated_at = request.now;
        let issue = issue.clone();
        ok(&self.issue(&issue, request))
    }

    /// The edits of an issue as GraphQL shows them, newest first.
    pub(super) fn issue_edits(&self, number: u64) -> Option<Vec<Value>> {
        let issue = self
            .issues
            .iter()
            .find(|issue| u64::from(issue.number) == number)?;
        let edits = issue.edits.iter().rev();
        Some(
            edits
                .map(|(at, text)| json!({"__typename": "UserContentEdit", "editedAt": time(*at), "diff": text}))
                .collect(),
        )
    }

    fn show_comment(&self, comment: &Comment, request: &Request) -> Value {
        let full_name = self.full_name();
        let url = format!(
            "{}/repos/{full_name}/issues/comments/{}",
            request.base, comment.id
        );
        json!({
            "id": comment.id, "node_id": format!("IC_{}", comment.id), "url": url, "html_url": url,
            "body": comment.body, "user": Self::user(&comment.author), "created_at": time(request.now),
            "updated_at": time(request.now), "author_association": "MEMBER",
            "issue_url": format!("{}/repos/{full_name}/issues/{}", request.base, comment.under),
        })
    }

    fn comment(&mut self, request: &Request, number: &str) -> Response {
        let body = request.json().unwrap_or_default();
        let text = body.get("body").and_then(Value::as_str).unwrap_or_default();
        let pull = self
            .pulls
            .iter()
            .any(|pull| pull.number.to_string() == number);
        let issue = self
            .issues
            .iter()
            .any(|issue| issue.number.to_string() == number);
        if !pull && !issue {
            return not_found();
        }
        let comment = self.add_comment(number.to_owned(), WRITER, text);
        let shown = self.show_comment(&comment, request);
        message::json(StatusCode::CREATED, &shown)
    }

    fn comments(&mut self, request: &Request, rest: &[&str]) -> Response {
        match (&request.method, rest) {
            (&Method::GET, [number]) => {
                let under = self.comments.iter().filter(|one| one.under == *number);
                let items: Vec<_> = under.map(|one| self.show_comment(one, request)).collect();
                paged(request, &items)
            }
            (&Method::PATCH, [id]) => {
                let body = request.json().unwrap_or_default();
                let text = body.get("body").and_then(Value::as_str).unwrap_or_default();
                let found = self
                    .comments
                    .iter_mut()
                    .find(|one| one.id.to_string() == *id);
                let Some(comment) = found else {
                    return not_found();
                };
                text.clone_into(&mut comment.body);
                let comment = comment.clone();
                ok(&self.show_comment(&comment, request))
            }
            _ => not_found(),
        }
    }

    fn make_label(&mut self, request: &Request) -> Response {
        let body = request.json().unwrap_or_default();
        let Some(name) = body.get("name").and_then(Value::as_str) else {
            return error(422, "Validation Failed");
        };
        if self.labels.iter().any(|label| label == name) {
            return error(422, "Validation Failed: already_exists");
        }
        self.labels.push(name.to_owned());
        message::json(
            StatusCode::CREATED,
            &json!({"id": number_of(name), "name": name, "color": body.get("color"), "description": body.get("description"), "default": false}),
        )
    }

    fn repo(&mut self, request: &Request, rest: &[&str]) -> Response {
        match (&request.method, rest) {
            (&Method::GET, []) => ok(&self.repository(&self.full_name(), &request.base)),
            (&Method::GET, ["pulls"]) => self.pulls(request),
            (&Method::GET, ["pulls", number]) => {
                match self
                    .pulls
                    .iter()
                    .find(|pull| pull.number.to_string() == *number)
                {
                    Some(pull) => with_etag(request, ok(&self.pull(pull, &request.base, true))),
                    None => not_found(),
                }
            }
            (&Method::GET, ["branches"]) => {
                let items: Vec<_> = self
                    .branches
                    .iter()
                    .map(|name| self.branch(name, request))
                    .collect();
                paged(request, &items)
            }
            (&Method::GET, ["branches", name]) => {
                if self.branches.iter().any(|branch| branch == name) {
                    ok(&self.branch(name, request))
                } else {
                    error(404, "Branch not found")
                }
            }
            (_, ["issues", ..]) if !self.has_issues => {
                error(410, "Issues has been disabled in this repository.")
            }
            (&Method::GET, ["issues"]) => self.list_issues(request),
            (&Method::POST, ["issues"]) => self.create_issue(request),
            (&Method::GET, ["issues", number]) => {
                match self
                    .issues
                    .iter()
                    .find(|issue| issue.number.to_string() == *number)
                {
                    Some(issue) => ok(&self.issue(issue, request)),
                    None => not_found(),
                }
            }
            (&Method::PATCH, ["issues", number]) => self.change_issue(request, number),
            (&Method::POST, ["issues", number, "comments"]) => self.comment(request, number),
            (&Method::GET, ["issues", number, "comments"]) => self.comments(request, &[number]),
            (&Method::PATCH, ["issues", "comments", id]) => self.comments(request, &[id]),
            (&Method::POST, ["labels"]) => self.make_label(request),
            (&Method::GET, ["actions", "runs"]) => {
                let items: Vec<_> = self.runs.iter().map(run_json).collect();
                let total = items.len();
                let page = page(request, &items);
                linked(
                    request,
                    total,
                    ok(&json!({"total_count": total, "workflow_runs": page})),
                )
            }
            (&Method::GET, ["actions", "runs", id]) => {
                match self.runs.iter().find(|run| run.id.to_string() == *id) {
                    Some(run) => ok(&run_json(run)),
                    None => not_found(),
                }
            }
            (&Method::GET, ["environments"]) => {
                let items: Vec<_> = self.environments.iter().map(Thing::environment).collect();
                let page = page(request, &items);
                let total = items.len();
                linked(
                    request,
                    total,
                    ok(&json!({"total_count": total, "environments": page})),
                )
            }
            (&Method::GET, ["environments", name]) => self
                .environments
                .iter()
                .find(|one| one.name == *name)
                .map_or_else(not_found, |one| ok(&one.environment())),
            (&Method::DELETE, ["environments", name]) => {
                let before = self.environments.len();
                self.environments.retain(|one| one.name != *name);
                if self.environments.len() < before {
                    message::empty(StatusCode::NO_CONTENT)
                } else {
                    not_found()
                }
            }
            (&Method::GET, ["deployments"]) => {
                let wanted = request.parameter("environment");
                let items: Vec<_> = self
                    .deployments
                    .iter()
                    .map(Thing::deployment)
                    .filter(|one| wanted.is_none_or(|wanted| one["environment"] == wanted))
                    .collect();
                paged(request, &items)
            }
            (&Method::GET, ["deployments", id]) => self
                .deployments
                .iter()
                .find(|one| one.id.to_string() == *id)
                .map_or_else(not_found, |one| ok(&one.deployment())),
            (&Method::POST, ["deployments", id, "statuses"]) => {
                let body = request.json().unwrap_or_default();
                let Some(state) = body.get("state").and_then(Value::as_str) else {
                    return error(422, "Validation Failed: state is missing");
                };
                let found = self
                    .deployments
                    .iter_mut()
                    .find(|one| one.id.to_string() == *id);
                let Some(deployment) = found else {
                    return not_found();
                };
                deployment
                    .attributes
                    .insert("state".to_owned(), json!(state));
                deployment.updated_at = Some(request.now);
                message::json(
                    StatusCode::CREATED,
                    &json!({"id": number_of(&format!("{id} \
                        {state}")), "state": state, "created_at": time(request.now)}),
                )
            }
            (&Method::DELETE, ["deployments", id]) => {
                let Some(at) = self
                    .deployments
                    .iter()
                    .position(|one| one.id.to_string() == *id)
                else {
                    return not_found();
                };
                // Only inactive deployments can be deleted, unless it is the
                // only one.
                let state = self.deployments[at].attributes.get("state");
                let inactive = state.and_then(Value::as_str) == Some("inactive");
                if !inactive && self.deployments.len() > 1 {
                    return error(
                        422,
                        "We cannot delete an active deployment unless it is the only deployment \
                         in a given repository.",
                    );
                }
                self.deployments.remove(at);
                message::empty(StatusCode::NO_CONTENT)
            }
            _ => not_found(),
        }
    }
}

impl Thing {
    fn environment(&self) -> Value {
        let mut fields = json!({
            "id": self.id, "node_id": format!("EN_{}", self.id), "name": self.name, "url": "", "html_url": "",
            "protection_rules": self.attributes.get("protection_rules").cloned().unwrap_or_else(|| json!([])),
        });
        for (key, at) in [
            ("created_at", self.created_at),
            ("updated_at", self.updated_at),
        ] {
            if let Some(at) = at {
                fields[key] = time(at);
            }
        }
        fields
    }

    fn deployment(&self) -> Value {
        let mut fields = self.environment();
        fields["environment"] = self
            .attributes
            .get("environment")
            .cloned()
            .unwrap_or_else(|| json!(self.name));
        for key in [
            "ref",
            "production_environment",
            "transient_environment",
            "task",
            "sha",
        ] {
            if let Some(value) = self.attributes.get(key) {
                fields[key] = value.clone();
            }
        }
        fields
    }
}

/// Returns the page and page size of a request.
fn run_json(run: &ActionsRun) -> Value {
    json!({
        "id": run.id, "status": run.status, "updated_at": run.updated_at.map(time),
        "conclusion": (run.status == "completed").then_some("success"), "pull_requests": [],
    })
}

fn page_numbers(request: &Request) -> (usize, usize) {
    let number = |name: &str| {
        request
            .parameter(name)
            .and_then(|text| text.parse::<usize>().ok())
    };
    let per_page = number("per_page")
        .filter(|size| *size > 0)
        .unwrap_or(30)
        .min(100);
    (number("page").unwrap_or(1).max(1), per_page)
}

fn page<'a>(request: &Request, items: &'a [Value]) -> Vec<&'a Value> {
    let (page, per_page) = page_numbers(request);
    items
        .iter()
        .skip((page - 1) * per_page)
        .take(per_page)
        .collect()
}

fn paged(request: &Request, items: &[Value]) -> Response {
    let shown = page(request, items);
    linked(request, items.len(), ok(&json!(shown)))
}

/// Adds the `Link` header, with addresses as the client wrote them.
fn linked(request: &Request, total: usize, mut response: Response) -> Response {
    let (page, per_page) = page_numbers(request);
    let last = total.div_ceil(per_page).max(1);
    let mut links = Vec::new();
    let address = |page: usize, rel: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(request.query.iter().filter(|(key, _)| key != "page"))
            .append_pair("page", &page.to_string())
            .finish();
        format!(
            "<{}/{}?{query}>; rel=\"{rel}\"",
            request.base,
            request.segments.join("/")
        )
    };
    if page > 1 {
        links.push(address(page - 1, "prev"));
        links.push(address(1, "first"));
    }
    if page < last {
        links.push(address(page + 1, "next"));
        links.push(address(last, "last"));
    }
    if let Ok(value) = HeaderValue::try_from(links.join(", "))
        && !links.is_empty()
    {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

fn with_etag(request: &Request, mut response: Response) -> Response {
    let etag = format!("W/\"{}\"", sha(&String::from_utf8_lossy(response.body())));
    if request
        .headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return message::empty(StatusCode::NOT_MODIFIED);
    }
    if let Ok(value) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// The kinds of a world file that live at GitHub.
pub(super) static KINDS: [WorldKind; 2] = [
    WorldKind {
        name: "github_environment",
        attributes: &["protection_rules"],
        paths: &["/environments"],
    },
    WorldKind {
        name: "github_deployment",
        attributes: &[
            "environment",
            "ref",
            "sha",
            "state",
            "task",
            "transient_environment",
            "production_environment",
        ],
        paths: &["/deployments"],
    },
];

impl ProviderApi for GitHub {
    fn kinds(&self) -> Vec<&'static WorldKind> {
        KINDS.iter().collect()
    }

    fn add(&mut self, resource: &world::Resource, _now: DateTime<Utc>) -> Result<(), Refusal> {
        let thing = Thing {
            id: resource
                .id
                .as_ref()
                .and_then(|id| id.parse().ok())
                .unwrap_or_else(|| number_of(&resource.name)),
            name: resource.name.clone(),
            created_at: resource.created_at,
            updated_at: resource.updated_at,
            attributes: resource.attributes.clone(),
        };
        let list = if resource.kind == "github_environment" {
            &mut self.environments
        } else {
            &mut self.deployments
        };
        if list.iter().any(|other| other.id == thing.id) {
            return Err(Refusal("the repository already has it".to_owned()));
        }
        list.push(thing);
        Ok(())
    }

    fn resources(&self) -> Vec<world::Resource> {
        let make = |kind: &str, thing: &Thing| world::Resource {
            kind: kind.to_owned(),
            name: thing.name.clone(),
            id: Some(thing.id.to_string()),
            created_at: thing.created_at,
            updated_at: thing.updated_at,
            attributes: thing.attributes.clone(),
        };
        let environments = self
            .environments
            .iter()
            .map(|thing| make("github_environment", thing));
        let deployments = self
            .deployments
            .iter()
            .map(|thing| make("github_deployment", thing));
        environments.chain(deployments).collect()
    }

    fn answer(&mut self, request: &Request) -> Response {
        let path = request.path();
        match (&request.method, path.as_slice()) {
            (&Method::POST, ["graphql"]) => super::graphql::answer(self, request),
            (&Method::GET, ["rate_limit"]) => {
                let core = json!({"limit": 5000, "remaining": 5000, "used": 0, "reset": request.now.timestamp() + 3600, "resource": "core"});
                ok(
                    &json!({"resources": {"core": core, "search": core, "graphql": core}, "rate": core}),
                )
            }
            // An installation's token has no user of its own.
            (&Method::GET, ["user"]) => error(403, "Resource not accessible by integration"),
            (_, ["repos", owner, name, rest @ ..])
                if owner.eq_ignore_ascii_case(&self.owner)
                    && name.eq_ignore_ascii_case(&self.name) =>
            {
                let rest = rest.to_vec();
                self.repo(request, &rest)
            }
            _ => not_found(),
        }
    }
}
