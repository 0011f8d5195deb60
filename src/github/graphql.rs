//! Pull requests through GraphQL: pages of open ones, and many numbers in one
//! request as aliases.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, Open, Unanswered, unreadable};
use crate::evidence::PullRequest;
use crate::model::{PullRequestNumber, Repository};

/// Numbers in one request. Aliases cost nothing of the quota, but the node and
/// run-time limits still bind.
pub(super) const BATCH: usize = 100;

const FIELDS: &str = "number state title createdAt closedAt merged mergedAt";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    number: u32,
    state: String,
    title: Option<String>,
    created_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    merged: Option<bool>,
    merged_at: Option<DateTime<Utc>>,
}

impl Node {
    fn read(self) -> Result<(PullRequestNumber, PullRequest), Unanswered> {
        let number = PullRequestNumber::new(self.number).ok_or_else(|| {
            Unanswered::Unbelievable(format!("{} is no pull request number", self.number))
        })?;
        let title = self.title.unwrap_or_default().into();
        let opened_at = self.created_at;
        let pull_request = match self.state.as_str() {
            "OPEN" => PullRequest::Open { title, opened_at },
            "CLOSED" | "MERGED" => PullRequest::Closed {
                title,
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
struct Answer<T> {
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
    fn unbelievable(&self) -> Unanswered {
        let said: String = self
            .message
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        Unanswered::Unbelievable(format!("GitHub answered the query with an error: {said}"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenData {
    repository: Option<OpenRepository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenRepository {
    name_with_owner: String,
    pull_requests: Connection,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    total_count: u64,
    page_info: PageInfo,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// All open pull requests, listed once more when the pages do not agree with
/// the total.
pub(super) async fn open(github: &GitHub, repository: &Repository) -> Result<Open, Unanswered> {
    let first = pages(github, repository).await?;
    if complete(&first) {
        return Ok(first);
    }
    let second = pages(github, repository).await?;
    if complete(&second) {
        return Ok(second);
    }
    Err(Unanswered::Unbelievable(format!(
        "{} open pull requests were listed where GitHub counts {} (listed twice)",
        second.pull_requests.len(),
        second.total.unwrap_or_default()
    )))
}

fn complete(open: &Open) -> bool {
    open.total == Some(open.pull_requests.len() as u64)
}

async fn pages(github: &GitHub, repository: &Repository) -> Result<Open, Unanswered> {
    let query = format!(
        "query($owner:String!,$name:String!,$after:String){{\
         repository(owner:$owner,name:$name){{nameWithOwner \
         pullRequests(states:[OPEN],first:100,after:$after,orderBy:{{field:CREATED_AT,direction:ASC}}){{\
         totalCount pageInfo{{hasNextPage endCursor}} nodes{{{FIELDS}}}}}}}}}"
    );
    let mut open = Open {
        pull_requests: BTreeMap::new(),
        requests: 0,
        total: None,
    };
    let mut after: Option<String> = None;
    loop {
        let variables =
            json!({"owner": repository.owner(), "name": repository.name(), "after": after});
        let body = github
            .post_query(&json!({"query": query, "variables": variables}))
            .await?;
        open.requests += 1;
        let answer: Answer<OpenData> =
            serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        // One error anywhere may mean that a part is missing.
        if let Some(error) = answer.errors.first() {
            return Err(error.unbelievable());
        }
        let found = answer
            .data
            .and_then(|data| data.repository)
            .ok_or_else(hidden)?;
        same(repository, &found.name_with_owner)?;
        let page = found.pull_requests;
        open.total = Some(page.total_count);
        let before = open.pull_requests.len();
        for node in page.nodes {
            let (number, pull_request) = node.read()?;
            open.pull_requests.insert(number, pull_request);
        }
        if !page.page_info.has_next_page {
            return Ok(open);
        }
        if page.page_info.end_cursor.is_none()
            || page.page_info.end_cursor == after
            || open.pull_requests.len() == before
        {
            return Err(Unanswered::Unbelievable(
                "the list of open pull requests repeats itself".to_owned(),
            ));
        }
        after = page.page_info.end_cursor;
    }
}

#[derive(Deserialize)]
struct NumbersData {
    repository: Option<serde_json::Map<String, Value>>,
}

/// What is known of each of these numbers, at most [`BATCH`].
pub(super) async fn by_number(
    github: &GitHub,
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

/// Reads the answer. A number is missing only if its alias is null and the one
/// error about it says so; any other error makes the whole answer worthless.
fn read_numbers(
    repository: &Repository,
    numbers: &[PullRequestNumber],
    body: &[u8],
) -> Result<BTreeMap<PullRequestNumber, PullRequest>, Unanswered> {
    let answer: Answer<NumbersData> =
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
    let mut found = answer
        .data
        .and_then(|data| data.repository)
        .ok_or_else(hidden)?;
    let name = found
        .get("nameWithOwner")
        .and_then(Value::as_str)
        .unwrap_or_default();
    same(repository, name)?;
    let mut answers = BTreeMap::new();
    for number in numbers {
        let alias = format!("p{number}");
        let is_missing = missing.contains(&alias.as_str());
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

fn hidden() -> Unanswered {
    Unanswered::Unbelievable(
        "the repository is not there, or the token may not see it (Pull requests: read)".to_owned(),
    )
}

/// A renamed repository answers under its old name; numbers of another one
/// must never be believed.
fn same(repository: &Repository, name: &str) -> Result<(), Unanswered> {
    if name.eq_ignore_ascii_case(repository.full_name()) {
        return Ok(());
    }
    Err(Unanswered::Unbelievable(format!(
        "GitHub answers for {name:?}: write the new name into the policy if the repository was renamed"
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
        "closedAt":"2026-01-02T00:00:00Z","merged":true,"mergedAt":"2026-01-02T00:00:00Z"}"#;

    fn answer(p142: &str, p143: &str, errors: &str) -> String {
        format!(
            r#"{{"data":{{"repository":{{"nameWithOwner":"Acme/Shop","p142":{p142},"p143":{p143}}}}},"errors":[{errors}]}}"#
        )
    }

    #[test]
    fn a_number_is_missing_only_when_the_one_error_about_it_says_so() {
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
    fn any_other_error_makes_the_answer_worthless() {
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
    fn an_answer_for_another_repository_or_number_is_not_believed() {
        let other = answer(CLOSED, CLOSED, "");
        assert!(read(&other).is_err(), "142 was answered for 143");
        let renamed = answer(CLOSED, "null", "").replace("Acme/Shop", "acme/store");
        assert!(read(&renamed).is_err());
    }
}
