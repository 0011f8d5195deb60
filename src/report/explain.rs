//! The evidence behind one verdict. It prints what the verdict contains and
//! computes nothing itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Report, Row, escape};
use crate::format::moment;
use crate::gc::Verdict;
use crate::gc::verdict::Unmatched;
use crate::model::{Api, KindRef};
use crate::providers;

/// Explains every resource with that name or id; returns `None` if there is
/// none.
pub fn render(report: &Report, name: &str) -> Option<String> {
    let rows: Vec<&Row> = report
        .resources
        .iter()
        .filter(|row| row.name == name || row.id == name)
        .collect();
    if rows.is_empty() {
        return None;
    }
    let parts: Vec<String> = rows.iter().map(|row| chain(report, row)).collect();
    Some(parts.join("\n"))
}

/// Says that no resource with that name was found, and which of these kinds were
/// not read: it may be one of those.
pub fn absent(report: &Report, name: &str, kinds: &[KindRef]) -> String {
    let is_listed = |kind: &KindRef, complete: bool| {
        let source = format!("{}.{kind}", kind.api.key());
        let mut evidence = report.evidence.iter();
        evidence.any(|one| one.source == source && (!complete || one.complete))
    };
    let names = |kinds: &[KindRef]| {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        names.join(", ")
    };
    let (listed, unread): (Vec<KindRef>, Vec<KindRef>) =
        kinds.iter().partition(|kind| is_listed(kind, false));
    let partly: Vec<KindRef> = listed
        .into_iter()
        .filter(|kind| !is_listed(kind, true))
        .collect();
    if unread.is_empty() && partly.is_empty() && report.focus.is_none() {
        return format!("there is no resource called {name:?} in this scope");
    }
    let mut text = format!("could not find a resource called {name:?} among what was read");
    if !unread.is_empty() {
        text += "; no rule concerns these kinds, so they were not read: ";
        text += &names(&unread);
    }
    if !partly.is_empty() {
        text += "; these kinds could not be read completely: ";
        text += &names(&partly);
    }
    if report.focus.is_some() {
        text += "; --pr and --kind leave out the rest";
    }
    text
}

/// Explains one resource.
pub fn chain(report: &Report, row: &Row) -> String {
    let mut out = String::new();
    let mut line = |word: &str, text: &str| {
        let _ = writeln!(out, "{word:<11}{}", escape::terminal(text));
    };
    line(
        "resource",
        &format!("{} {} (id {})", row.kind.noun, row.name, row.id),
    );
    line("where", &row.place.to_string());
    line(
        "verdict",
        &format!("{}: {}", row.verdict.name(), row.reason),
    );
    if let Some(code) = row.verdict.code() {
        line("code", code.name());
    }
    let claim = row.claim.as_ref().map(ToString::to_string);
    line("claim", claim.as_deref().unwrap_or("none"));
    if let Some(pull_request) = &row.pull_request {
        line(
            "judged by",
            &format!(
                "pull request {}#{} {} ({})",
                pull_request.repository,
                pull_request.number,
                pull_request.title,
                pull_request.state
            ),
        );
    }
    match &row.rule {
        Some((rule, _)) => line("rule", &rule.to_string()),
        None => match &row.verdict {
            Verdict::Unmatched(Unmatched::Refused(refusals)) => {
                for refusal in refusals {
                    let at = format!("{} ({})", refusal.rule, refusal.location);
                    line(
                        "rule",
                        &format!("none; {at} would match with {}", refusal.condition),
                    );
                }
            }
            _ => line("rule", "none matches this name"),
        },
    }
    for other in &row.also_matched_as {
        line(
            "also",
            &format!(
                "{} matches it as {}: {}",
                other.rule,
                other.verdict.name().key(),
                other.verdict
            ),
        );
    }
    let time =
        |at: Option<chrono::DateTime<chrono::Utc>>| at.map_or_else(|| "unknown".to_owned(), moment);
    line("created", &time(row.created_at));
    line("changed", &time(row.changed_at));
    let (dead_since, ripe_at) = (row.dead_since(), row.verdict.ripe_at());
    if dead_since.is_some() || ripe_at.is_some() {
        line("dead since", &time(dead_since));
        line("ripe at", &time(ripe_at));
    }
    line("clock", &moment(report.now));
    if let Some(skew) = &report.clock_skew {
        line("clock", &skew.to_string());
    }
    let attributes: BTreeMap<_, _> = row
        .attributes
        .iter()
        .map(|(key, value)| (key, value))
        .collect();
    for (key, value) in attributes {
        let value = serde_json::to_string(value).unwrap_or_default();
        line("attribute", &format!("{key} = {value}"));
    }
    for reference in &row.references {
        line(
            "reference",
            &format!(
                "{} {} {}",
                reference.relation.name(),
                reference.kind,
                reference.target
            ),
        );
    }
    for evidence in evidence(report, row) {
        line("evidence", &evidence);
    }
    line("otherwise", row.verdict.otherwise());
    out
}

/// Describes what was asked about the row's kind, about what belongs to it, and of
/// GitHub.
fn evidence(report: &Report, row: &Row) -> Vec<String> {
    let about = report.evidence.iter().filter(|evidence| {
        let subject = evidence.subject();
        let is_kind = subject.api == row.kind.api.key() && subject.what == row.kind.name();
        // What belongs to it, such as a domain of a Worker, may keep it.
        let part = providers::by_name(subject.what);
        let owner = part.and_then(|part| part.about().0.belongs_to);
        is_kind || owner == Some(row.kind.name()) || subject.api == Api::GitHub.key()
    });
    let described = about.map(|evidence| {
        let total = evidence
            .total
            .map(|total| format!(" of {total}"))
            .unwrap_or_default();
        let complete = match (&evidence.gap, evidence.gap_code()) {
            (None, _) => "complete".to_owned(),
            (Some(gap), Some(code)) => format!("not complete ({code}): {gap}"),
            (Some(gap), None) => format!("not complete: {gap}"),
        };
        format!(
            "{} of {}: {}{total} in {} requests, {complete}",
            evidence.source, evidence.scope, evidence.items, evidence.requests
        )
    });
    described.collect()
}
