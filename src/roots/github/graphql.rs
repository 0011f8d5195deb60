//! Pull requests and branches through GraphQL: lists page by page, and many
//! questions in one request (`aliases`).

mod aliases;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) use self::aliases::{
    BRANCHES, MAXIMUM_NUMBERS, NUMBERS, by_branch, by_number, lost_labels,
};
use super::{GitHubClient, Label, unreadable};
use crate::evidence::{PullRequest, Searched};
use crate::model::{PullRequestNumber, Repository};
use crate::roots::forge::{Closed, CompleteList, Horizon, RepositorySeen, Unanswered};

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
                fork_head,
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
