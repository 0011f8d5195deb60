//! Pull requests and branches through GraphQL: page by page, or many in one
//! request by aliases.
//!
//! The file is long because each question is a query beside the reader of its
//! answer, and they share the walk through pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{GitHubClient, Label, unreadable};
use crate::evidence::{LostLabels, PullRequest, Searched};
use crate::model::{PullRequestNumber, Repository};
use crate::roots::forge::{Closed, CompleteList, Horizon, RepositorySeen, Unanswered};

/// Numbers in the first request. Aliases do not count against the quota, but the
/// limits on nodes, cost and run time apply, and no document says which number
/// they allow.
pub(super) const NUMBERS: usize = 50;

/// Maximum numbers in one request, after smaller ones were answered.
pub(super) const MAXIMUM_NUMBERS: usize = 150;

/// Maximum branches in one request, each with its own connection: about 80 are
/// refused.
pub(super) const BRANCHES: usize = 10;

/// Maximum pull requests of one branch in such a request; a branch with more
/// gets its own request.
const PER_BRANCH: usize = 20;

const FIELDS: &str = "number state title createdAt closedAt updatedAt merged mergedAt headRefName \
                      isCrossRepository labels(first:100){nodes{name}}";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    number: u32,
    state: String,
    title: Option<String>,
    created_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    merged: Option<bool>,
    merged_at: Option<DateTime<Utc>>,
    head_ref_name: String,
    is_cross_repository: bool,
    labels: Option<LabelNodes>,
}

/// Labels of a pull request, of which GitHub allows 100.
#[derive(Debug, Deserialize)]
struct LabelNodes {
    nodes: Vec<Label>,
}

impl Node {
    fn read(self) -> Result<(PullRequestNumber, PullRequest), Unanswered> {
        let number = PullRequestNumber::new(self.number).ok_or_else(|| {
            Unanswered::Unbelievable(format!("{} is no pull request number", self.number))
        })?;
        // A label may keep everything of the pull request.
        let labels = self.labels.ok_or_else(|| {
            Unanswered::Unbelievable(format!("the labels of pull request #{number} are missing"))
        })?;
        let labels = labels.nodes.into_iter().map(|label| label.name).collect();
        let title = self.title.unwrap_or_default().into();
        let opened_at = self.created_at;
        let branch: Arc<str> = self.head_ref_name.into();
        let (head, fork_head) = if self.is_cross_repository {
            (None, Some(branch))
        } else {
            (Some(branch), None)
        };
        let pull_request = match self.state.as_str() {
            "OPEN" => PullRequest::Open {
                title,
                head,
                fork_head,
                opened_at,
                labels,
            },
            "CLOSED" | "MERGED" => PullRequest::Closed {
                title,
                labels,
                head,
                opened_at,
                closed_at: self.closed_at,
                merged: self.merged.unwrap_or(false) || self.state == "MERGED",
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

#[derive(Deserialize)]
struct GraphQlAnswer<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<GraphQlError>,
}

#[derive(Deserialize)]
struct GraphQlError {
    #[serde(rename = "type")]
    sort: Option<String>,
    path: Option<Vec<Value>>,
    message: String,
}

impl GraphQlError {
    /// Returns whether GitHub gave up on the query because of its cost or time.
    fn is_about_size(&self) -> bool {
        let limited = |word: &str| word.contains("RESOURCE_LIMIT");
        let message = self.message.to_ascii_lowercase();
        self.sort.as_deref().is_some_and(limited)
            || message.contains("resource limit")
            || message.contains("timeout on validation of query")
            || message.contains("result of a timeout")
    }

    fn unbelievable(&self) -> Unanswered {
        let message: String = self
            .message
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        let why = format!("GitHub answered the query with an error: {message}");
        if self.is_about_size() {
            return Unanswered::TooMuch(why);
        }
        Unanswered::Unbelievable(why)
    }
}

#[derive(Deserialize)]
struct PageData<T> {
    repository: Option<PageRepository<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageRepository<T> {
    name_with_owner: String,
    database_id: Option<u64>,
    default_branch_ref: Option<NamedRef>,
    page: Connection<T>,
}

#[derive(Deserialize)]
struct NamedRef {
    name: Arc<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection<T> {
    total_count: u64,
    page_info: PageInfo,
    /// Null in place of what the token may not see.
    nodes: Vec<Option<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// A connection to walk.
struct ConnectionWalk<'a> {
    /// Its field with its arguments, including `after:$after`.
    field: &'a str,
    /// The fields requested for each node.
    nodes: &'a str,
    /// What the items are, for error messages.
    what: &'a str,
}

/// How a walk ended.
struct Walked {
    requests: u32,
    total: u64,
    /// Whether the last page was seen.
    to_the_end: bool,
    /// What the answer says about the repository.
    seen: RepositorySeen,
}

/// Walks a connection page by page. `take` receives each page, and returns how
/// many of its items are new and whether to stop.
async fn walk<T: DeserializeOwned>(
    github: &GitHubClient,
    repository: &Repository,
    connection: &ConnectionWalk<'_>,
    mut take: impl FnMut(Vec<T>) -> Result<(usize, ControlFlow<()>), Unanswered>,
) -> Result<Walked, Unanswered> {
    let query = format!(
        "query($owner:String!,$name:String!,$after:String){{\
         repository(owner:$owner,name:$name){{nameWithOwner databaseId \
         defaultBranchRef{{name}} page:{}{{totalCount pageInfo{{hasNextPage endCursor}} \
         nodes{{{}}}}}}}}}",
        connection.field, connection.nodes
    );
    let mut after: Option<String> = None;
    let mut requests = 0;
    loop {
        let variables =
            json!({"owner": repository.owner(), "name": repository.name(), "after": after});
        let body = github
            .post_query(&json!({"query": query, "variables": variables}))
            .await?;
        requests += 1;
        let answer: GraphQlAnswer<PageData<T>> =
            serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        // A single error may mean that a part is missing.
        if let Some(error) = answer.errors.first() {
            return Err(error.unbelievable());
        }
        let found = answer
            .data
            .and_then(|data| data.repository)
            .ok_or_else(hidden)?;
        same(repository, &found.name_with_owner)?;
        let page = found.page;
        let shown = page.nodes.len();
        let nodes: Vec<T> = page.nodes.into_iter().flatten().collect();
        if nodes.len() < shown {
            return Err(Unanswered::Partial {
                counted: page.total_count,
                why: format!(
                    "GitHub counts {} {} and hides {} of a page",
                    page.total_count,
                    connection.what,
                    shown - nodes.len()
                ),
            });
        }
        let (new, flow) = take(nodes)?;
        let walked = Walked {
            requests,
            total: page.total_count,
            to_the_end: !page.page_info.has_next_page,
            seen: RepositorySeen {
                id: found.database_id,
                default_branch: found.default_branch_ref.map(|branch| branch.name),
            },
        };
        if walked.to_the_end || flow.is_break() {
            return Ok(walked);
        }
        let next = page.page_info.end_cursor;
        if next.is_none() || next == after || new == 0 {
            return Err(Unanswered::Unbelievable(format!(
                "the list of {} repeats itself",
                connection.what
            )));
        }
        after = next;
    }
}

/// Walks a whole connection, a second time if the pages disagree with its
/// total.
async fn whole<T: DeserializeOwned, K: Ord, V>(
    github: &GitHubClient,
    repository: &Repository,
    connection: &ConnectionWalk<'_>,
    read: impl Fn(T) -> Result<(K, V), Unanswered>,
) -> Result<CompleteList<K, V>, Unanswered> {
    let mut requests = 0;
    for last in [false, true] {
        let mut items = BTreeMap::new();
        let walked = walk(github, repository, connection, |nodes: Vec<T>| {
            let before = items.len();
            for node in nodes {
                let (key, value) = read(node)?;
                items.insert(key, value);
            }
            Ok((items.len() - before, ControlFlow::Continue(())))
        })
        .await?;
        requests += walked.requests;
        if walked.total == items.len() as u64 {
            return Ok(CompleteList {
                items,
                requests,
                total: Some(walked.total),
                seen: walked.seen,
            });
        }
        if last {
            return Err(Unanswered::Partial {
                counted: walked.total,
                why: format!(
                    "{} {} were listed where GitHub counts {} (listed twice)",
                    items.len(),
                    connection.what,
                    walked.total
                ),
            });
        }
    }
    Err(hidden())
}

/// Reads all open pull requests.
pub(super) async fn open(
    github: &GitHubClient,
    repository: &Repository,
) -> Result<CompleteList<PullRequestNumber, PullRequest>, Unanswered> {
    let connection = ConnectionWalk {
        field: "pullRequests(states:[OPEN],first:100,after:$after,orderBy:{field:CREATED_AT,direction:ASC})",
        nodes: FIELDS,
        what: "open pull requests",
    };
    whole(github, repository, &connection, Node::read).await
}

/// Reads all git branches.
pub(super) async fn branches(
    github: &GitHubClient,
    repository: &Repository,
) -> Result<CompleteList<Arc<str>, ()>, Unanswered> {
    #[derive(Deserialize)]
    struct Ref {
        name: Arc<str>,
    }
    let connection = ConnectionWalk {
        field: "refs(refPrefix:\"refs/heads/\",first:100,after:$after)",
        nodes: "name",
        what: "git branches",
    };
    let read = |found: Ref| Ok((found.name, ()));
    whole(github, repository, &connection, read).await
}

/// Reads closed pull requests back to the horizon, the most recently updated
/// first.
pub(super) async fn closed(
    github: &GitHubClient,
    repository: &Repository,
    horizon: &Horizon,
) -> Result<Closed, Unanswered> {
    let connection = ConnectionWalk {
        field: "pullRequests(states:[CLOSED,MERGED],first:100,after:$after,orderBy:{field:UPDATED_AT,direction:DESC})",
        nodes: FIELDS,
        what: "closed pull requests",
    };
    let mut requests = 0;
    for last in [false, true] {
        let mut items = BTreeMap::new();
        let mut oldest: Option<DateTime<Utc>> = None;
        let walked = walk(github, repository, &connection, |nodes: Vec<Node>| {
            let before = items.len();
            for node in nodes {
                let updated = node.updated_at.ok_or_else(|| {
                    Unanswered::Unbelievable(format!("#{} has no updatedAt", node.number))
                })?;
                oldest = oldest.min(Some(updated)).or(Some(updated));
                let (number, pull_request) = node.read()?;
                items.insert(number, pull_request);
            }
            let flow = horizon.is_reached(items.len(), oldest);
            Ok((items.len() - before, flow))
        })
        .await?;
        requests += walked.requests;
        let complete = walked.total == items.len() as u64;
        let searched = match (walked.to_the_end, complete, oldest) {
            (true, true, _) => Searched::Everything,
            (false, _, Some(oldest)) => Searched::BackTo(oldest),
            _ if !last => continue,
            _ => {
                return Err(Unanswered::Unbelievable(format!(
                    "{} closed pull requests were listed where GitHub counts {} (listed twice)",
                    items.len(),
                    walked.total
                )));
            }
        };
        return Ok(Closed {
            pull_requests: items,
            requests,
            searched,
        });
    }
    Err(hidden())
}

/// Reads all pull requests from each of these branches, at most [`BRANCHES`].
pub(super) async fn by_branch(
    github: &GitHubClient,
    repository: &Repository,
    branches: &[Arc<str>],
) -> Result<(BTreeMap<PullRequestNumber, PullRequest>, u32), Unanswered> {
    let mut query = String::from(
        "query($owner:String!,$name:String!){repository(owner:$owner,name:$name){nameWithOwner",
    );
    for (index, branch) in branches.iter().enumerate() {
        // A JSON string is a GraphQL string.
        let _ = write!(
            query,
            " h{index}:pullRequests(headRefName:{},first:{PER_BRANCH}){{totalCount \
             pageInfo{{hasNextPage endCursor}} nodes{{{FIELDS}}}}}",
            json!(&**branch)
        );
    }
    query.push_str("}}");
    let variables = json!({"owner": repository.owner(), "name": repository.name()});
    let body = github
        .post_query(&json!({"query": query, "variables": variables}))
        .await?;
    let mut requests = 1;
    let mut found = aliases(repository, &body)?;
    let mut pull_requests = BTreeMap::new();
    for (index, branch) in branches.iter().enumerate() {
        let connection = found.remove(&format!("h{index}")).ok_or_else(|| {
            Unanswered::Unbelievable(format!("GitHub's answer leaves git branch {branch} out"))
        })?;
        let connection: Connection<Node> =
            serde_json::from_value(connection).map_err(|error| unreadable(&error))?;
        let mut of_branch = BTreeMap::new();
        for node in connection.nodes.into_iter().flatten() {
            let (number, pull_request) = node.read()?;
            of_branch.insert(number, pull_request);
        }
        if connection.page_info.has_next_page || connection.total_count != of_branch.len() as u64 {
            let field = format!(
                "pullRequests(headRefName:{},first:100,after:$after)",
                json!(&**branch)
            );
            let connection = ConnectionWalk {
                field: &field,
                nodes: FIELDS,
                what: "pull requests from a git branch",
            };
            let listed = whole(github, repository, &connection, Node::read).await?;
            requests += listed.requests;
            of_branch = listed.items;
        }
        pull_requests.extend(of_branch);
    }
    Ok((pull_requests, requests))
}

/// Returns the aliases of an answer without errors.
fn aliases(
    repository: &Repository,
    body: &[u8],
) -> Result<serde_json::Map<String, Value>, Unanswered> {
    let answer: GraphQlAnswer<NumbersData> =
        serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    if let Some(error) = answer.errors.first() {
        return Err(error.unbelievable());
    }
    named(repository, answer)
}

/// Returns what the answer says about the repository, if it is this one.
fn named(
    repository: &Repository,
    answer: GraphQlAnswer<NumbersData>,
) -> Result<serde_json::Map<String, Value>, Unanswered> {
    let found = answer
        .data
        .and_then(|data| data.repository)
        .ok_or_else(hidden)?;
    let name = found
        .get("nameWithOwner")
        .and_then(Value::as_str)
        .unwrap_or_default();
    same(repository, name)?;
    Ok(found)
}

#[derive(Deserialize)]
struct NumbersData {
    repository: Option<serde_json::Map<String, Value>>,
}

/// Looks up these numbers, at most [`MAXIMUM_NUMBERS`].
pub(super) async fn by_number(
    github: &GitHubClient,
    repository: &Repository,
    numbers: &[PullRequestNumber],
) -> Result<BTreeMap<PullRequestNumber, PullRequest>, Unanswered> {
    let mut query = String::from(
        "query($owner:String!,$name:String!){repository(owner:$owner,name:$name){nameWithOwner",
    );
    for number in numbers {
        let _ = write!(query, " p{number}:pullRequest(number:{number}){{{FIELDS}}}");
    }
    query.push_str("}}");
    let variables = json!({"owner": repository.owner(), "name": repository.name()});
    let body = github
        .post_query(&json!({"query": query, "variables": variables}))
        .await?;
    read_numbers(repository, numbers, &body)
}

/// Parses the answer. A number is missing only if its alias is null and the
/// only error about it says so; any other error invalidates the whole answer.
fn read_numbers(
    repository: &Repository,
    numbers: &[PullRequestNumber],
    body: &[u8],
) -> Result<BTreeMap<PullRequestNumber, PullRequest>, Unanswered> {
    let answer: GraphQlAnswer<NumbersData> =
        serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let mut missing = Vec::new();
    for error in &answer.errors {
        let alias = match error.path.as_deref() {
            Some([Value::String(root), Value::String(alias)]) if root == "repository" => {
                Some(alias)
            }
            _ => None,
        };
        match alias {
            Some(alias) if error.sort.as_deref() == Some("NOT_FOUND") => {
                missing.push(alias.as_str());
            }
            _ => return Err(error.unbelievable()),
        }
    }
    let missing: BTreeSet<String> = missing.into_iter().map(ToOwned::to_owned).collect();
    let mut found = named(repository, answer)?;
    let mut answers = BTreeMap::new();
    for number in numbers {
        let alias = format!("p{number}");
        let is_missing = missing.contains(&alias);
        let pull_request = match (found.remove(&alias), is_missing) {
            (Some(Value::Null), true) => PullRequest::Missing,
            (Some(node @ Value::Object(_)), false) => {
                let node: Node =
                    serde_json::from_value(node).map_err(|error| unreadable(&error))?;
                let (answered, pull_request) = node.read()?;
                if answered != *number {
                    return Err(Unanswered::Unbelievable(format!(
                        "pull request #{answered} was answered for #{number}"
                    )));
                }
                pull_request
            }
            _ => PullRequest::Unknown {
                why: "GitHub's answer leaves it out".into(),
            },
        };
        answers.insert(*number, pull_request);
    }
    Ok(answers)
}

/// Asks when labels were removed from these pull requests, at most [`NUMBERS`].
pub(super) async fn lost_labels(
    github: &GitHubClient,
    repository: &Repository,
    numbers: &[PullRequestNumber],
) -> Result<BTreeMap<PullRequestNumber, LostLabels>, Unanswered> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct LabelRemovals {
        timeline_items: Timeline,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Timeline {
        page_info: Before,
        nodes: Vec<Removal>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Before {
        has_previous_page: bool,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Removal {
        created_at: DateTime<Utc>,
        label: Label,
    }
    let mut query = String::from(
        "query($owner:String!,$name:String!){repository(owner:$owner,name:$name){nameWithOwner",
    );
    for number in numbers {
        let _ = write!(
            query,
            " p{number}:pullRequest(number:{number}){{timelineItems(itemTypes:[UNLABELED_EVENT],\
             last:100){{pageInfo{{hasPreviousPage}} nodes{{... on UnlabeledEvent{{createdAt \
             label{{name}}}}}}}}}}"
        );
    }
    query.push_str("}}");
    let variables = json!({"owner": repository.owner(), "name": repository.name()});
    let body = github
        .post_query(&json!({"query": query, "variables": variables}))
        .await?;
    let mut found = aliases(repository, &body)?;
    let mut all = BTreeMap::new();
    for number in numbers {
        let pull = found.remove(&format!("p{number}")).unwrap_or_default();
        let pull: LabelRemovals =
            serde_json::from_value(pull).map_err(|error| unreadable(&error))?;
        let timeline = pull.timeline_items;
        let lost = timeline.nodes.into_iter();
        let lost = LostLabels {
            lost: lost
                .map(|one| (one.label.name.into(), one.created_at))
                .collect(),
            has_more: timeline.page_info.has_previous_page,
        };
        all.insert(*number, lost);
    }
    Ok(all)
}

fn hidden() -> Unanswered {
    Unanswered::Unbelievable(
        "the repository is not there, or the token may not see it (Pull requests: read)".to_owned(),
    )
}

/// Checks the repository of an answer: a renamed repository answers under its
/// old name, and numbers of another one must never be used.
fn same(repository: &Repository, name: &str) -> Result<(), Unanswered> {
    if name.eq_ignore_ascii_case(repository.full_name()) {
        return Ok(());
    }
    Err(Unanswered::Unbelievable(format!(
        "GitHub answers for {name:?}: write the new name into the policy if the repository was \
         renamed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<BTreeMap<PullRequestNumber, PullRequest>, Unanswered> {
        let repository = Repository::parse("acme/shop").unwrap();
        let numbers = [142, 143].map(|number| PullRequestNumber::new(number).unwrap());
        read_numbers(&repository, &numbers, body.as_bytes())
    }

    const CLOSED: &str = r#"{"number":142,"state":"MERGED","title":"x","createdAt":"2026-01-01T00:00:00Z",
        "closedAt":"2026-01-02T00:00:00Z","merged":true,"mergedAt":"2026-01-02T00:00:00Z",
        "headRefName":"main","isCrossRepository":true,"labels":{"nodes":[]}}"#;

    fn answer(p142: &str, p143: &str, errors: &str) -> String {
        format!(
            r#"{{"data":{{"repository":{{"nameWithOwner":"Acme/Shop","p142":{p142},"p143":{p143}}}}},"errors":[{errors}]}}"#
        )
    }

    #[test]
    fn number_is_missing_only_if_its_only_error_says_so() {
        let not_found =
            r#"{"type":"NOT_FOUND","path":["repository","p143"],"message":"Could not resolve"}"#;
        let answers = read(&answer(CLOSED, "null", not_found)).unwrap();
        let states: Vec<_> = answers.into_values().collect();
        assert!(matches!(
            states[0],
            PullRequest::Closed { merged: true, .. }
        ));
        assert_eq!(states[1], PullRequest::Missing);
        // Null without an error is no answer.
        let answers = read(&answer(CLOSED, "null", "")).unwrap();
        assert!(matches!(
            answers.into_values().nth(1),
            Some(PullRequest::Unknown { .. })
        ));
    }

    #[test]
    fn fork_branches_are_not_heads_of_the_repository() {
        let not_found =
            r#"{"type":"NOT_FOUND","path":["repository","p143"],"message":"Could not resolve"}"#;
        let forked = read(&answer(CLOSED, "null", not_found)).unwrap();
        assert_eq!(forked.into_values().next().unwrap().head(), None);
        let ours = CLOSED.replace("\"isCrossRepository\":true", "\"isCrossRepository\":false");
        let ours = read(&answer(&ours, "null", not_found)).unwrap();
        let head = ours.into_values().next().unwrap().head().cloned();
        assert_eq!(head.as_deref(), Some("main"));
    }

    #[test]
    fn any_other_error_invalidates_the_answer() {
        for error in [
            r#"{"type":"FORBIDDEN","path":["repository","p143"],"message":"no"}"#,
            r#"{"type":"NOT_FOUND","path":["repository"],"message":"no"}"#,
            r#"{"type":"NOT_FOUND","message":"no"}"#,
            r#"{"type":"NOT_FOUND","path":["repository","p143","title"],"message":"no"}"#,
            r#"{"message":"Something went wrong"}"#,
        ] {
            assert!(read(&answer(CLOSED, "null", error)).is_err(), "{error}");
        }
        let no_repository = r#"{"data":{"repository":null},"errors":[{"type":"NOT_FOUND","path":["repository","p142"],"message":"x"}]}"#;
        assert!(read(no_repository).is_err());
        assert!(read(r#"{"data":null}"#).is_err());
        assert!(read("<html>").is_err());
    }

    #[test]
    fn answers_for_another_repository_or_number_are_rejected() {
        let other = answer(CLOSED, CLOSED, "");
        assert!(read(&other).is_err(), "142 was answered for 143");
        let renamed = answer(CLOSED, "null", "").replace("Acme/Shop", "acme/store");
        assert!(read(&renamed).is_err());
    }
}
