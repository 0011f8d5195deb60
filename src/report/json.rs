//! The documented, versioned JSON. The structs in this file are the public
//! interface: a change of the internal [`Report`] does not change them. Fields
//! may be added within a version; a field that is renamed, removed or given
//! another meaning needs a new [`SCHEMA`].

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::listing::Selection;
use super::{
    Dangling, HeadroomUse, NextSweep, OtherMatch, PartlyProtected, PullRequestLine, Report, Row,
    RowReference,
};
use crate::evidence::Evidence;
use crate::gc::{Brake, Outcome};
use crate::model::code::Code;
use crate::model::{Attribute, Claim, KindRef, PullRequestNumber, Repository};
use crate::sweep::recover::SettledEarlier;
use crate::sweep::{StepRow, Swept};
use crate::wire::{ClockSkew, QuotaUse};

/// The version of the document.
pub const SCHEMA: u32 = 1;

/// Renders the report as one JSON document with a final newline.
///
/// # Errors
///
/// Never for a [`Report`]; the signature comes from `serde_json`.
pub fn render(report: &Report, selection: &Selection) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&ReportDocument::of(report, selection))?;
    text.push('\n');
    Ok(text)
}

#[derive(Serialize)]
struct ReportDocument<'a> {
    schema: u32,
    now: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew: Option<ClockSkewJson<'a>>,
    complete: bool,
    evidence: Vec<EvidenceJson<'a>>,
    resources: Vec<ResourceJson<'a>>,
    brakes: Vec<BrakeJson>,
    quota: BTreeMap<&'static str, QuotaJson>,
    headroom: Vec<HeadroomJson<'a>>,
    summary: SummaryJson,
    unused_rules: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unused_protects: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_bindings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dangling: Vec<DanglingJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partly_protected: Vec<PartlyProtectedJson<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    ignored_issues: &'a [String],
    /// Present only in the report of a sweep.
    #[serde(flatten)]
    swept: Option<SweptJson<'a>>,
}

impl<'a> ReportDocument<'a> {
    /// Creates the document of a report with the selected resources. Its counts
    /// are of all of them.
    fn of(report: &'a Report, selection: &Selection) -> Self {
        let summary = &report.summary;
        let verdicts = summary.verdicts.iter();
        let quota = report.quota.iter();
        Self {
            schema: SCHEMA,
            now: report.now,
            clock_skew: report.clock_skew.as_ref().map(ClockSkewJson::from),
            complete: report.complete,
            evidence: report.evidence.iter().map(EvidenceJson::from).collect(),
            resources: selection
                .rows(report)
                .into_iter()
                .map(|row| ResourceJson::of(report, row))
                .collect(),
            brakes: report.brakes.iter().map(BrakeJson::from).collect(),
            quota: quota
                .map(|one| (one.api.key(), QuotaJson::from(one)))
                .collect(),
            headroom: report.headroom.iter().map(HeadroomJson::from).collect(),
            summary: SummaryJson {
                resources: summary.resources,
                verdicts: verdicts.map(|(name, count)| (name.key(), *count)).collect(),
                would_delete: summary.would_delete,
                deferred: summary.deferred,
                report_only: summary.report_only,
            },
            unused_rules: report
                .unused_rules
                .iter()
                .map(ToString::to_string)
                .collect(),
            unused_protects: report
                .unused_protects
                .iter()
                .map(ToString::to_string)
                .collect(),
            unknown_bindings: report
                .unknown_bindings
                .iter()
                .map(ToString::to_string)
                .collect(),
            dangling: report.dangling.iter().map(DanglingJson::from).collect(),
            partly_protected: report
                .partly_protected
                .iter()
                .map(PartlyProtectedJson::from)
                .collect(),
            ignored_issues: &report.ignored_issues,
            swept: report.swept.as_ref().map(SweptJson::from),
        }
    }
}

#[derive(Serialize)]
struct ClockSkewJson<'a> {
    seconds_ahead: &'a BTreeMap<&'static str, i64>,
    machine: DateTime<Utc>,
    judged_by: DateTime<Utc>,
}

impl<'a> From<&'a ClockSkew> for ClockSkewJson<'a> {
    fn from(skew: &'a ClockSkew) -> Self {
        Self {
            seconds_ahead: &skew.seconds_ahead,
            machine: skew.machine,
            judged_by: skew.judged_by,
        }
    }
}

#[derive(Serialize)]
struct EvidenceJson<'a> {
    source: &'a str,
    scope: &'a str,
    requests: u32,
    items: usize,
    total: Option<u64>,
    complete: bool,
    gap: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    needed: bool,
}

impl<'a> From<&'a Evidence> for EvidenceJson<'a> {
    fn from(evidence: &'a Evidence) -> Self {
        Self {
            source: &evidence.source,
            scope: &evidence.scope,
            requests: evidence.requests,
            items: evidence.items,
            total: evidence.total,
            complete: evidence.complete,
            gap: evidence.gap.as_deref(),
            code: evidence.gap_code(),
            needed: evidence.needed,
        }
    }
}

#[derive(Serialize)]
struct ResourceJson<'a> {
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
    #[serde(rename = "ripe_at")]
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
    fn of(report: &Report, row: &'a Row) -> Self {
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

#[derive(Serialize)]
struct BrakeJson {
    kind: KindRef,
    garbage: u64,
    claimed: u64,
    reason: String,
    code: Code,
}

impl From<&Brake> for BrakeJson {
    fn from(brake: &Brake) -> Self {
        Self {
            kind: brake.kind,
            garbage: brake.garbage,
            claimed: brake.claimed,
            reason: brake.advice(),
            code: brake.code,
        }
    }
}

#[derive(Serialize)]
struct QuotaJson {
    api: &'static str,
    spent: u64,
    limit: u32,
    window_seconds: u64,
    share: f64,
    remaining: Option<u32>,
    throttled: u32,
}

impl From<&QuotaUse> for QuotaJson {
    fn from(quota: &QuotaUse) -> Self {
        Self {
            api: quota.api.key(),
            spent: quota.spent,
            limit: quota.limit,
            window_seconds: quota.window_seconds,
            share: quota.share,
            remaining: quota.remaining,
            throttled: quota.throttled,
        }
    }
}

#[derive(Serialize)]
struct HeadroomJson<'a> {
    what: &'static str,
    scope: &'a str,
    used: u64,
    garbage: u64,
    limit: Option<u64>,
    free_plan: Option<u64>,
    paid_plan: Option<u64>,
}

impl<'a> From<&'a HeadroomUse> for HeadroomJson<'a> {
    fn from(one: &'a HeadroomUse) -> Self {
        Self {
            what: one.what,
            scope: &one.scope,
            used: one.used,
            garbage: one.garbage,
            limit: one.limit,
            free_plan: one.free_plan,
            paid_plan: one.paid_plan,
        }
    }
}

#[derive(Serialize)]
struct SummaryJson {
    resources: usize,
    verdicts: BTreeMap<&'static str, usize>,
    would_delete: usize,
    deferred: usize,
    report_only: usize,
}

/// A host name that points at something which is gone.
#[derive(Serialize)]
struct DanglingJson<'a> {
    kind: &'static str,
    name: &'a str,
    target: TargetJson<'a>,
}

#[derive(Serialize)]
struct TargetJson<'a> {
    kind: &'static str,
    name: &'a str,
}

impl<'a> From<&'a Dangling> for DanglingJson<'a> {
    fn from(one: &'a Dangling) -> Self {
        Self {
            kind: one.kind,
            name: &one.name,
            target: TargetJson {
                kind: one.target_kind,
                name: &one.target,
            },
        }
    }
}

#[derive(Serialize)]
struct PartlyProtectedJson<'a> {
    repository: &'a Repository,
    pull_request: PullRequestNumber,
    protected: &'a [String],
    garbage: &'a [String],
}

impl<'a> From<&'a PartlyProtected> for PartlyProtectedJson<'a> {
    fn from(one: &'a PartlyProtected) -> Self {
        Self {
            repository: &one.repository,
            pull_request: one.pull_request,
            protected: &one.protected,
            garbage: &one.garbage,
        }
    }
}

#[derive(Serialize)]
struct SweptJson<'a> {
    /// The name of the run for `restore`; null if no step was begun.
    run: Option<&'a str>,
    steps: Vec<StepJson<'a>>,
    /// Steps of earlier runs that were in doubt and are recovered.
    settled: Vec<SettledJson<'a>>,
}

impl<'a> From<&'a Swept> for SweptJson<'a> {
    fn from(swept: &'a Swept) -> Self {
        Self {
            run: swept.run.as_deref(),
            steps: swept.steps.iter().map(StepJson::from).collect(),
            settled: swept.settled.iter().map(SettledJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct StepJson<'a> {
    kind: &'a str,
    name: &'a str,
    id: &'a str,
    outcome: Outcome,
    reason: &'a str,
}

impl<'a> From<&'a StepRow> for StepJson<'a> {
    fn from(step: &'a StepRow) -> Self {
        Self {
            kind: &step.kind,
            name: &step.name,
            id: &step.id,
            outcome: step.outcome,
            reason: &step.reason,
        }
    }
}

#[derive(Serialize)]
struct SettledJson<'a> {
    run: &'a str,
    kind: &'a str,
    name: &'a str,
    id: &'a str,
    outcome: Outcome,
    reason: &'a str,
}

impl<'a> From<&'a SettledEarlier> for SettledJson<'a> {
    fn from(one: &'a SettledEarlier) -> Self {
        Self {
            run: &one.run,
            kind: &one.kind,
            name: &one.name,
            id: &one.id,
            outcome: one.outcome,
            reason: &one.reason,
        }
    }
}
