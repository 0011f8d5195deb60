//! The argument behind a verdict: the verdict, why, the evidence, and what would
//! change it. It prints what the verdict contains and computes nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::style::{TableStyle, wrap};
use super::{PullRequestLine, PullRequestState, Report, Row, brief, escape};
use crate::evidence::Evidence;
use crate::format::{moment, one};
use crate::gc::Verdict;
use crate::gc::verdict::{Protection, Unmatched, VerdictName};
use crate::model::{Api, Attribute, KindRef};
use crate::providers;

/// Width of the column with the labels.
const LABEL: usize = 11;

/// How an argument is printed.
#[derive(Debug, Clone, Copy)]
pub struct ExplainStyle {
    /// Whether requests, attributes and references are printed too.
    pub details: bool,
    /// Width and colours.
    pub style: TableStyle,
}

impl ExplainStyle {
    /// Everything, in plain text.
    pub const FULL: Self = Self {
        details: true,
        style: TableStyle::PLAIN,
    };
}

/// Returns the keys of the resources with that name or id.
pub fn keys(report: &Report, name: &str) -> BTreeSet<String> {
    let rows = report.resources.iter();
    let named = rows.filter(|row| row.name == name || row.id == name);
    named.map(|row| row.key.clone()).collect()
}

/// Explains every resource of a report.
pub fn render(report: &Report, style: ExplainStyle) -> String {
    let rows = report.resources.iter();
    let parts: Vec<String> = rows.map(|row| argument(report, row, style)).collect();
    parts.join("\n")
}

/// Lines of an argument under their labels.
struct Lines {
    out: String,
    style: TableStyle,
}

impl Lines {
    fn push(&mut self, label: &str, text: &str) {
        let room = self.style.room(LABEL, 20);
        let parts = wrap(&escape::terminal(text), room, "");
        for (index, part) in parts.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let line = format!("{label:LABEL$}{part}");
            let _ = writeln!(self.out, "{}", line.trim_end());
        }
    }

    /// Adds text that is copied in one piece.
    fn unwrapped(&mut self, label: &str, text: &str) {
        let text = escape::terminal(text);
        let _ = writeln!(self.out, "{label:LABEL$}{text}");
    }

    /// Adds lines of which the first has the label.
    fn section(&mut self, label: &str, lines: &[String]) {
        for (index, line) in lines.iter().enumerate() {
            self.push(if index == 0 { label } else { "" }, line);
        }
    }
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
        let names: Vec<&str> = kinds.iter().map(|kind| kind.noun).collect();
        names.join(", ")
    };
    let (listed, unread): (Vec<KindRef>, Vec<KindRef>) =
        kinds.iter().partition(|kind| is_listed(kind, false));
    let partly: Vec<KindRef> = listed
        .into_iter()
        .filter(|kind| !is_listed(kind, true))
        .collect();
    if unread.is_empty() && partly.is_empty() && report.focus.is_none() {
        let near = similar(report, name);
        let near = near.map(|near| format!("; the most similar name is {near:?}"));
        let near = near.unwrap_or_default();
        return format!("there is no resource called {name:?} in this scope{near}");
    }
    let mut text = format!("no resource that was read is called {name:?}");
    if let Some(near) = similar(report, name) {
        let _ = write!(text, "; the most similar name is {near:?}");
    }
    if report.focus.is_some() {
        text += "; --kind and --pr restrict the search: leave them out to search everything";
    } else if !unread.is_empty() {
        text += "\nnot searched, because no rule is about them: ";
        text += &names(&unread);
    }
    if !partly.is_empty() {
        text += "\nnot read completely: ";
        text += &names(&partly);
    }
    text
}

/// Returns the name of a resource that differs in a few letters.
fn similar<'r>(report: &'r Report, name: &str) -> Option<&'r str> {
    let rows = report.resources.iter();
    let distances = rows.map(|row| (strsim::levenshtein(&row.name, name), &*row.name));
    let near = distances.filter(|(distance, _)| *distance <= 3);
    near.min().map(|(_, name)| name)
}

/// Explains one resource.
pub fn argument(report: &Report, row: &Row, style: ExplainStyle) -> String {
    let mut lines = Lines {
        out: String::new(),
        style: style.style,
    };
    lines.push(
        "resource",
        &format!("{} {}{}", row.kind.noun, row.name, points_at(row)),
    );
    lines.push("where", &row.place.to_string());
    let code = row.verdict.code();
    let code = code.map(|code| format!(" (code {code}, see .github/CODES.md)"));
    let verdict = row.verdict.name();
    lines.push("verdict", &format!("{verdict}{}", code.unwrap_or_default()));
    lines.push("because", &because(report, row));
    lines.section("evidence", &evidence(report, row, style.details));
    lines.push("otherwise", otherwise(row));
    if row.verdict.name() == VerdictName::Garbage {
        lines.unwrapped("by hand", &row.command);
    }
    if style.details {
        details(report, row, &mut lines);
    }
    lines.out
}

/// Returns what tells resources of one name apart: where a DNS record points.
fn points_at(row: &Row) -> String {
    let attribute = |key: &str| match row.attributes.iter().find(|(known, _)| **known == *key) {
        Some((_, Attribute::Text(text))) => Some(text),
        _ => None,
    };
    match (attribute("type"), attribute("content")) {
        (Some(sort), Some(content)) => format!(" ({sort} {content})"),
        _ => String::new(),
    }
}

/// Returns what would have to change for another verdict.
fn otherwise(row: &Row) -> &'static str {
    let by_entry = matches!(&row.verdict, Verdict::Protected(Protection::Entry { .. }));
    if by_entry && row.rule.is_none() {
        return "it would stay without the `protect` entry too: no rule matches its name";
    }
    row.verdict.otherwise()
}

/// Returns the reason, with the age of the owner's end if the reason ends with it.
fn because(report: &Report, row: &Row) -> String {
    let ended = row
        .pull_request
        .as_ref()
        .and_then(|line| line.state.ended_at());
    let is_garbage = row.verdict.name() == VerdictName::Garbage;
    match ended.filter(|_| is_garbage) {
        Some(at) => {
            let ago = brief::ago(report.now, at);
            match row.reason.split_once("; ") {
                Some((cause, rest)) => format!("{cause} ({ago}); {rest}"),
                None => format!("{} ({ago})", row.reason),
            }
        }
        None => row.reason.clone(),
    }
}

/// Returns what the verdict relies on.
fn evidence(report: &Report, row: &Row, details: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let claim = row.claim.as_ref().map(ToString::to_string);
    match (&row.rule, claim, &row.verdict) {
        (Some((rule, _)), claim, _) => {
            let claim = claim.map(|claim| format!(": {claim}")).unwrap_or_default();
            lines.push(match &row.matched_by_owner {
                Some(owner) => format!("belongs to {owner}, which rule {rule} matches{claim}"),
                None => format!("rule {rule} matches its name{claim}"),
            });
        }
        (None, _, Verdict::Unmatched(Unmatched::Refused(refusals))) => {
            lines.extend(refusals.iter().map(|refusal| {
                format!(
                    "the condition is in rule {} ({})",
                    refusal.rule, refusal.location
                )
            }));
        }
        // The reason says so.
        (None, _, Verdict::Unmatched(_)) => {}
        (None, ..) => lines.push("no rule matches its name".to_owned()),
    }
    lines.extend(row.nearest.iter().map(ToString::to_string));
    for other in &row.also_matched_as {
        lines.push(format!(
            "rule {} also matches it, as {}: {}",
            other.rule,
            other.verdict.name(),
            other.verdict
        ));
    }
    if let Some(line) = &row.pull_request {
        lines.push(owner(report, line));
    }
    lines.push(times(row));
    let since = row.dead_since();
    if let Some(at) = row.verdict.grace_ends_at() {
        let verb = if at < report.now { "ended" } else { "ends" };
        lines.push(match since {
            Some(since) if since == at => "its rule has no grace".to_owned(),
            Some(since) => format!(
                "its grace, counted from {}, {verb} at {}",
                moment(since),
                moment(at)
            ),
            None => format!("its grace {verb} at {}", moment(at)),
        });
    }
    lines.extend(report.clock_skew.iter().map(ToString::to_string));
    if row.verdict.name() == VerdictName::Garbage {
        lines.push("nothing that stays uses it".to_owned());
    }
    lines.extend(requests(report, row, details));
    lines
}

/// Returns when the resource was created and changed.
fn times(row: &Row) -> String {
    let time = |at: Option<DateTime<Utc>>, is_given: bool| match at {
        Some(at) => moment(at),
        None if is_given => "at an unknown time".to_owned(),
        None => "at a time that the API does not give".to_owned(),
    };
    if !row.kind.created && !row.kind.changed {
        return format!("the API gives no times of {}", one(row.kind.noun));
    }
    let created = time(row.created_at, row.kind.created);
    if !row.kind.changed {
        return format!("created {created}; the API does not say when it was last changed");
    }
    let changed = time(row.changed_at, row.kind.changed);
    format!("created {created}, changed {changed}")
}

/// Returns what GitHub says of a pull request.
fn owner(report: &Report, line: &PullRequestLine) -> String {
    let repository = line.repository.full_name();
    let number = line.number;
    let title = match &*line.title {
        "" => String::new(),
        title => format!(" \"{title}\""),
    };
    let name = format!("{repository}#{number}{title}");
    let address = report.pull_request_address(line);
    let address = address.map(|address| format!(", {address}"));
    let address = address.unwrap_or_default();
    match line.state {
        PullRequestState::Missing => format!("GitHub has no pull request {number} in {repository}"),
        PullRequestState::Unknown => format!("{name} could not be read"),
        PullRequestState::Open => format!("GitHub: {name} is open{address}"),
        PullRequestState::Merged(_) | PullRequestState::Closed(_) => {
            let state = brief::state(report.now, line.state);
            format!("GitHub: {name} was {state}{address}")
        }
    }
}

/// Returns what was asked, in one line if every answer was complete.
fn requests(report: &Report, row: &Row, details: bool) -> Vec<String> {
    let about = about(report, row);
    let gaps: Vec<_> = about.iter().filter(|one| one.gap.is_some()).collect();
    if gaps.is_empty() {
        let (was, hint) = match (about.len(), details) {
            (1, true) => ("was", ""),
            (1, false) => ("was", " (-v shows it)"),
            (_, true) => ("were", ""),
            (_, false) => ("were", " (-v shows them)"),
        };
        let count = brief::plural(about.len(), "listing");
        return vec![format!("{count} {was} read completely{hint}")];
    }
    gaps.into_iter().map(|one| described(one)).collect()
}

/// Adds what programs and maintainers need.
fn details(report: &Report, row: &Row, lines: &mut Lines) {
    lines.push("run", &moment(report.now));
    lines.push("id", &row.id);
    let attributes: BTreeMap<_, _> = row
        .attributes
        .iter()
        .map(|(key, value)| (key, value))
        .collect();
    for (key, value) in attributes {
        let value = serde_json::to_string(value).unwrap_or_default();
        lines.push("attribute", &format!("{key} = {value}"));
    }
    for reference in &row.references {
        let relation = reference.relation.name();
        let (kind, target) = (reference.kind, &reference.target);
        lines.push("reference", &format!("{relation} {kind} {target}"));
    }
    for one in about(report, row) {
        lines.push("request", &described(one));
    }
}

/// Returns what was asked about the row's kind, about what belongs to it, and of
/// GitHub.
fn about<'a>(report: &'a Report, row: &Row) -> Vec<&'a Evidence> {
    let evidence = report.evidence.iter();
    evidence
        .filter(|one| {
            let subject = one.subject();
            let is_kind = subject.api == row.kind.api.key() && subject.what == row.kind.name();
            // What belongs to it, such as a domain of a Worker, may keep it.
            let part = providers::by_name(subject.what);
            let owner = part.and_then(|part| part.about().0.belongs_to);
            is_kind || owner == Some(row.kind.name()) || subject.api == Api::GitHub.key()
        })
        .collect()
}

fn described(evidence: &Evidence) -> String {
    let total = evidence
        .total
        .map(|total| format!(" of {total}"))
        .unwrap_or_default();
    let complete = match (&evidence.gap, evidence.gap_code()) {
        (None, _) => "complete".to_owned(),
        (Some(gap), Some(code)) => format!("not complete ({code}): {gap}"),
        (Some(gap), None) => format!("not complete: {gap}"),
    };
    let requests = brief::plural(evidence.requests as usize, "request");
    format!(
        "{} of {}: {}{total} in {requests}, {complete}",
        evidence.source, evidence.scope, evidence.items
    )
}
