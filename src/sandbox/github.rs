//! GitHub: pull requests, branches, runs, environments and issues of one
//! repository.

mod comments;
mod delivery;
mod graphql;
mod issues;
mod paging;
mod pulls;
mod repository;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use self::paging::{paged, with_etag};
use super::message::{self, Request, Response};
use super::provider::{ImpossibleResource, ProviderApi, WorldKind};
use super::world::{self, Unlabeled, WorldActionsRun, WorldPullRequest, WorldPullRequestState};

/// The account of the token: that of `GITHUB_TOKEN` in Actions.
pub(super) const WRITER: &str = "github-actions[bot]";

/// GitHub's state and API.
#[derive(Debug)]
pub struct GitHub {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) pulls: Vec<WorldPullRequest>,
    pub(super) branches: Vec<String>,
    runs: Vec<WorldActionsRun>,
    environments: Vec<DeliveryItem>,
    deployments: Vec<DeliveryItem>,
    issues: Vec<Issue>,
    comments: Vec<Comment>,
    /// How many comments there were in all, the deleted ones included.
    comments_made: u64,
    labels: Vec<Label>,
    has_issues: bool,
}

/// An environment or a deployment.
#[derive(Debug, Clone)]
struct DeliveryItem {
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
    closed_at: Option<DateTime<Utc>>,
    /// All versions of its text, with their times.
    edits: Vec<(DateTime<Utc>, String)>,
}

/// A label of the repository.
#[derive(Debug, Clone)]
struct Label {
    name: String,
    color: String,
    description: Option<String>,
}

/// A comment under an issue or a pull request.
#[derive(Debug, Clone)]
struct Comment {
    id: u64,
    under: String,
    author: String,
    body: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
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

impl WorldPullRequest {
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
        mut pulls: Vec<WorldPullRequest>,
        branches: Vec<String>,
        runs: Vec<WorldActionsRun>,
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
            comments_made: 0,
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
            let id = self.add_comment(under.to_string(), author, text, now).id;
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
            closed_at: None,
            edits: Vec::new(),
        });
        json!({"number": number})
    }

    fn next_number(&self) -> u32 {
        let pulls = self.pulls.iter().map(|pull| pull.number);
        let issues = self.issues.iter().map(|issue| issue.number);
        pulls.chain(issues).max().unwrap_or(0) + 1
    }

    fn add_comment(
        &mut self,
        under: String,
        author: &str,
        text: &str,
        now: DateTime<Utc>,
    ) -> Comment {
        let comment = Comment {
            id: number_of(&format!("{under} {}", self.comments_made)),
            under,
            author: author.to_owned(),
            body: text.to_owned(),
            created_at: now,
            updated_at: now,
        };
        self.comments_made += 1;
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

    pub(super) fn pull_requests(&self) -> &[WorldPullRequest] {
        &self.pulls
    }

    pub(super) fn git_branches(&self) -> &[String] {
        &self.branches
    }

    pub(super) fn actions_runs(&self) -> &[WorldActionsRun] {
        &self.runs
    }

    /// Gives a pull request these labels and no others.
    pub(super) fn set_labels(
        &mut self,
        number: u32,
        labels: Vec<String>,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        let mut pulls = self.pulls.iter_mut();
        let pull = pulls.find(|pull| pull.number == number);
        let pull = pull.ok_or_else(|| format!("there is no pull request #{number}"))?;
        let gone = pull.labels.iter().filter(|label| !labels.contains(*label));
        pull.unlabeled.extend(gone.map(|label| Unlabeled {
            label: label.clone(),
            at: now,
        }));
        pull.labels = labels;
        pull.updated_at = Some(now);
        Ok(())
    }

    /// Returns a pull request by its number, by which they are sorted.
    pub(super) fn numbered(&self, number: u64) -> Option<&WorldPullRequest> {
        let at = self
            .pulls
            .binary_search_by_key(&number, |pull| pull.number.into());
        self.pulls.get(at.ok()?)
    }

    /// Returns a pull request as a world file has it.
    pub(super) fn pull_request(&self, number: u32) -> Result<Value, String> {
        let pull = self.numbered(number.into());
        let pull = pull.ok_or_else(|| format!("there is no pull request #{number}"))?;
        serde_json::to_value(pull).map_err(|error| error.to_string())
    }

    /// Opens or closes a pull request, and creates it if it is missing.
    pub(super) fn change(
        &mut self,
        number: u32,
        state: WorldPullRequestState,
        merged: bool,
        now: DateTime<Utc>,
    ) -> Result<Value, String> {
        if merged && state == WorldPullRequestState::Open {
            return Err("an open pull request cannot be merged".to_owned());
        }
        let full_name = self.full_name();
        let at = self.pulls.partition_point(|pull| pull.number < number);
        if self.pulls.get(at).is_none_or(|pull| pull.number != number) {
            let pull = WorldPullRequest {
                labels: Vec::new(),
                unlabeled: Vec::new(),
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
        pull.closed_at = (state == WorldPullRequestState::Closed).then_some(now);
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

    fn repo(&mut self, request: &Request, rest: &[&str]) -> Response {
        match (&request.method, rest) {
            (&Method::GET, []) => ok(&self.repository(&self.full_name(), &request.base)),
            (&Method::GET, ["pulls"]) => self.pulls(request),
            (&Method::GET, ["pulls", number]) => {
                match number.parse().ok().and_then(|number| self.numbered(number)) {
                    Some(pull) => with_etag(request, ok(&self.pull(pull, &request.base, true))),
                    None => not_found(),
                }
            }
            (&Method::POST, ["pulls"]) => self.create_pull(request),
            (&Method::PATCH, ["pulls", number]) => self.patch_pull(request, number),
            (&Method::PUT, ["pulls", number, "merge"]) => self.merge_pull(request, number),
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
                    ok(&self.whole_branch(name, request))
                } else {
                    error(404, "Branch not found")
                }
            }
            (_, ["issues", ..]) if !self.has_issues => {
                error(410, "Issues has been disabled in this repository.")
            }
            (&Method::GET, ["issues"]) => self.list_issues(request),
            (&Method::POST, ["issues"]) => self.create_issue(request),
            (&Method::GET, ["issues", number]) => self.one_issue(request, number),
            (&Method::GET, ["issues", number, "events"]) => self.events(request, number),
            (&Method::PATCH, ["issues", number]) => self.change_issue(request, number),
            (_, ["issues", number, "labels"]) => self.issue_labels(request, number, None),
            (_, ["issues", number, "labels", label]) => {
                self.issue_labels(request, number, Some(label))
            }
            (&Method::POST, ["issues", number, "comments"]) => self.comment(request, number),
            (_, ["issues", "comments", id]) => self.one_comment(request, id),
            (&Method::GET, ["issues", number, "comments"]) => self.comments(request, number),
            (&Method::POST, ["labels"]) => self.make_label(request),
            (&Method::GET, ["labels"]) => self.list_labels(request),
            (&Method::GET, ["actions", "runs", rest @ ..]) => self.runs(request, rest),
            (_, ["environments", rest @ ..]) => self.environments(request, rest),
            (_, ["deployments", rest @ ..]) => self.deployments(request, rest),
            _ => not_found(),
        }
    }
}

/// The kinds of a world file that GitHub has.
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

    fn add(
        &mut self,
        resource: &world::WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let thing = DeliveryItem {
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
            return Err(ImpossibleResource(
                "the repository already has it".to_owned(),
            ));
        }
        list.push(thing);
        Ok(())
    }

    fn resources(&self) -> Vec<world::WorldResource> {
        let make = |kind: &str, thing: &DeliveryItem| world::WorldResource {
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
            (&Method::POST, ["graphql"]) => graphql::answer(self, request),
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
