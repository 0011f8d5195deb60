//! Many questions about pull requests in one request, each under its own alias.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{GitHubClient, Label, unreadable};
use super::{Connection, ConnectionWalk, FIELDS, GraphQlAnswer, Node, hidden, same, whole};
use crate::evidence::{LostLabels, PullRequest};
use crate::model::{PullRequestNumber, Repository};
use crate::roots::forge::Unanswered;

/// Numbers in the first request. Aliases do not count against the quota, but the
/// limits on nodes, cost and run time apply, and no document says which number
/// they allow.
pub(in crate::roots::github) const NUMBERS: usize = 50;

/// Maximum numbers in one request, after smaller ones were answered.
pub(in crate::roots::github) const MAXIMUM_NUMBERS: usize = 150;

/// Maximum branches in one request, each with its own connection: about 80 are
/// refused.
pub(in crate::roots::github) const BRANCHES: usize = 10;

/// Maximum pull requests of one branch in such a request; a branch with more
/// gets its own request.
const PER_BRANCH: usize = 20;

/// Reads all pull requests from each of these branches, at most [`BRANCHES`].
pub(in crate::roots::github) async fn by_branch(
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
pub(in crate::roots::github) async fn by_number(
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
pub(in crate::roots::github) async fn lost_labels(
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
