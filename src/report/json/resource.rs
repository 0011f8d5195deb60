//! One resource in the JSON, with its pull request, its references and the further
//! matches of its name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::code::Code;
use crate::model::{Attribute, Claim, KindRef, PullRequestNumber, Repository};
use crate::report::{NextSweep, OtherMatch, PullRequestLine, Report, Row, RowReference};

#[derive(Serialize)]
pub(super) struct ResourceJson<'a> {
    kind: KindRef,
    name: &'a str,
    id: &'a str,
    /// One entry: the word for the place (`account`, `zone`, `project`,
    /// `repository`) and its value.
    scope: BTreeMap<&'static str, &'a str>,
    verdict: &'static str,
    reason: &'a str,
    /// Why the verdict is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    rule: Option<&'a str>,
    /// `file:line`
    rule_location: Option<String>,
    claim: Option<Value>,
    repository: Option<&'a Repository>,
    /// The pull request by which the claim was judged.
    pull_request: Option<PullRequestJson<'a>>,
    /// What the next sweep does with it; null unless it is garbage.
    next_sweep: Option<&'static str>,
    dead_since: Option<DateTime<Utc>>,
    grace_ends_at: Option<DateTime<Utc>>,
    created_at: Option<DateTime<Utc>>,
    changed_at: Option<DateTime<Utc>>,
    attributes: BTreeMap<&'static str, &'a Attribute>,
    references: Vec<ReferenceJson<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unbinds: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_matched_as: Vec<OtherMatchJson<'a>>,
}

impl<'a> ResourceJson<'a> {
    pub(super) fn of(report: &Report, row: &'a Row) -> Self {
        let rule = row.rule.as_ref();
        let attributes = row.attributes.iter();
        Self {
            kind: row.kind,
            name: &row.name,
            id: &row.id,
            scope: BTreeMap::from([row.place.scope()]),
            verdict: row.verdict.name().key(),
            reason: &row.reason,
            code: row.verdict.code(),
            rule: rule.map(|(rule, _)| &*rule.id),
            rule_location: rule.map(|(rule, _)| rule.location.to_string()),
            claim: row.claim.as_ref().and_then(claim),
            repository: rule.map(|(_, repository)| repository),
            pull_request: row
                .pull_request
                .as_ref()
                .map(|line| PullRequestJson::of(report, line)),
            next_sweep: row.next.map(NextSweep::name),
            dead_since: row.dead_since(),
            grace_ends_at: row.verdict.grace_ends_at(),
            created_at: row.created_at,
            changed_at: row.changed_at,
            attributes: attributes.map(|(key, value)| (*key, value)).collect(),
            references: row.references.iter().map(ReferenceJson::from).collect(),
            unbinds: &row.unbinds,
            also_matched_as: row
                .also_matched_as
                .iter()
                .map(OtherMatchJson::from)
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct PullRequestJson<'a> {
    repository: &'a Repository,
    number: PullRequestNumber,
    title: &'a str,
    /// `open`, `merged`, `closed`, `missing` or `unknown`
    state: &'static str,
    ended_at: Option<DateTime<Utc>>,
    /// Null if its provider is simulated.
    url: Option<String>,
}

impl<'a> PullRequestJson<'a> {
    fn of(report: &Report, line: &'a PullRequestLine) -> Self {
        Self {
            repository: &line.repository,
            number: line.number,
            title: &line.title,
            state: line.state.name(),
            ended_at: line.state.ended_at(),
            url: report.pull_request_address(line),
        }
    }
}

/// Returns a claim as one entry: what it is, and which one. A resource that
/// only its own age decides about has none.
fn claim(claim: &Claim) -> Option<Value> {
    match claim {
        Claim::PullRequest(number) => Some(json!({ "pull_request": number.get() })),
        Claim::Branch(branch) => Some(json!({ "branch": branch })),
        Claim::Slug { text, .. } => Some(json!({ "slug": text })),
        Claim::Run(run) => Some(json!({ "run": run.get() })),
        Claim::Itself => None,
    }
}

#[derive(Serialize)]
struct ReferenceJson<'a> {
    /// `uses` or `parent`
    relation: &'static str,
    kind: &'static str,
    target: &'a str,
}

impl<'a> From<&'a RowReference> for ReferenceJson<'a> {
    fn from(reference: &'a RowReference) -> Self {
        Self {
            relation: reference.relation.name(),
            kind: reference.kind,
            target: &reference.target,
        }
    }
}

#[derive(Serialize)]
struct OtherMatchJson<'a> {
    rule: &'a str,
    claim: Option<Value>,
    verdict: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
}

impl<'a> From<&'a OtherMatch> for OtherMatchJson<'a> {
    fn from(other: &'a OtherMatch) -> Self {
        Self {
            rule: &other.rule,
            claim: claim(&other.claim),
            verdict: other.verdict.name().key(),
            reason: other.verdict.to_string(),
            code: other.verdict.code(),
        }
    }
}
