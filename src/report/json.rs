//! The documented, versioned JSON. The structs in this file and below are the public
//! interface: a change of the internal [`Report`] does not change them. Fields
//! may be added within a version; a field that is renamed, removed or given
//! another meaning needs a new [`SCHEMA`].

mod resource;
mod swept;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use self::resource::ResourceJson;
use self::swept::SweptJson;
use super::listing::Selection;
use super::{Dangling, HeadroomUse, PartlyProtected, Report};
use crate::evidence::Evidence;
use crate::gc::Brake;
use crate::model::code::Code;
use crate::model::{KindName, KindRef, PullRequestNumber, Repository};
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
            kind: one.kind.id,
            name: &one.name,
            target: TargetJson {
                kind: one.target_kind.id,
                name: &one.target,
            },
        }
    }
}

#[derive(Serialize)]
struct PartlyProtectedJson<'a> {
    repository: &'a Repository,
    pull_request: PullRequestNumber,
    protected: Vec<String>,
    garbage: Vec<String>,
}

/// Formats resources by kind and name.
fn ids(resources: &[(KindName, String)]) -> Vec<String> {
    let ids = resources.iter();
    ids.map(|(kind, name)| format!("{} {name}", kind.id))
        .collect()
}

impl<'a> From<&'a PartlyProtected> for PartlyProtectedJson<'a> {
    fn from(one: &'a PartlyProtected) -> Self {
        Self {
            repository: &one.repository,
            pull_request: one.pull_request,
            protected: ids(&one.protected),
            garbage: ids(&one.garbage),
        }
    }
}
