//! The text of the tracking issue: a pure function of a report, of the boxes
//! that people checked, and of what earlier runs stored.

use std::fmt::Write as _;

use super::KEPT_HEADING;
use super::draft::{Draft, length};
use super::leak::Leak;
use super::sections::{ShownSection, fit, sections, table};
use super::state::{HiddenState, PastRun, PreviousIssue, digest};
use crate::boxes::{MARKER, keep_box};
use crate::format::moment;
use crate::gc::verdict::VerdictName;
use crate::report::brief::grouped;
use crate::report::{Report, escape};

/// Maximum length of an issue's text at GitHub, in characters.
pub const MAX_LENGTH: usize = 65_536;

/// Lines with warnings, and with notes.
const NOTES: usize = 25;

/// What the boxes do.
const INTRODUCTION: &str = "`preview-gc report` and `sweep --report` update this issue. Check \
                            \"delete\", and `preview-gc sweep --approved` deletes the resource if \
                            it is still garbage then; check \"keep\", and no sweep deletes it. A \
                            box that is cleared again has no effect.\n\n";

/// Characters for the chart and the hidden block of several runs.
const GROWING: usize = 4_000;

/// Characters for what is added to the text last: the digests, the line about
/// omitted resources, and their number.
const RESERVE: usize = 300;

/// The rendered issue.
#[derive(Debug)]
pub struct IssueText {
    /// The text.
    pub text: String,
    /// Digest of what it says, as [`HiddenState::content`] stores it.
    pub content: String,
    /// Number of resources left behind, as far as known.
    pub left: usize,
}

impl IssueText {
    /// Returns whether the text is within GitHub's limit. Everything except
    /// kept resources can be shortened.
    pub fn fits(&self) -> bool {
        length(&self.text) <= MAX_LENGTH
    }
}

/// Renders the issue after a run. A text that is too long is shortened from the
/// most recently closed owner on; resources with "keep" checked always remain.
pub fn render(report: &Report, previous: &PreviousIssue) -> IssueText {
    let mut state = previous.state.clone().with(report);
    if report.complete && report.focus.is_none() {
        state.unshown = 0;
    }
    let sections = sections(report, previous, &state);
    let shown: usize = sections.iter().map(ShownSection::len).sum();
    let left = shown + state.unshown;
    let mut draft = Draft::default();
    draft.push(&format!(
        "{MARKER}\n{}\n\n",
        escape::markdown(&headline(report, left))
    ));
    if left > 0 {
        draft.push(INTRODUCTION);
    }
    for line in warnings(report) {
        draft.push(&format!("- {}\n", escape::markdown(&line)));
    }
    draft.push("\n");
    let kept = kept_section(&kept(report, previous));
    let tail = tail(report, &state);
    // The chart and the hidden block grow with every run. What fits must not depend
    // on that, or the text of a large issue would change in every run.
    let growing = length(&tail.text) + length(&state.block());
    let reserved = growing.max(GROWING) + RESERVE;
    let table = table(&sections);
    let fixed = length(&draft.text) + length(&kept.text) + reserved;
    // The table says nothing that is not below it.
    if fixed + length(&table.text) <= MAX_LENGTH {
        draft.append(&table);
    }
    draft.append(&kept);
    let room = MAX_LENGTH.saturating_sub(length(&draft.text) + reserved);
    state.unshown += fit(report, &sections, room, &mut draft);
    if state.unshown > 0 {
        draft.push(&format!(
            "… and {} more, which died later and do not fit here; `preview-gc audit` lists \
             them.\n\n",
            grouped(state.unshown)
        ));
    }
    draft.append(&tail);
    state.content = digest(&draft.content);
    state.visible = digest(&draft.text);
    IssueText {
        text: draft.text + &state.block(),
        content: state.content,
        left,
    }
}

/// Returns the resources that people keep: those of this run, and those that it
/// does not cover.
fn kept(report: &Report, previous: &PreviousIssue) -> Vec<Leak> {
    let wanted = |key: &str| previous.checked.keep.contains(key);
    let rows = report.resources.iter();
    let rows = rows.filter(|row| !report.is_done(row) && wanted(&row.key));
    let beyond = previous.beyond(report);
    let beyond = beyond.filter(|(.., leak)| wanted(&leak.key));
    rows.map(Leak::kept_row)
        .chain(beyond.map(|(.., leak)| leak.kept()))
        .collect()
}

/// Renders the resources that people keep, each with its box.
fn kept_section(kept: &[Leak]) -> Draft {
    let mut draft = Draft::default();
    if kept.is_empty() {
        return draft;
    }
    draft.push(&format!("### {KEPT_HEADING}\n\n"));
    for leak in kept {
        draft.push(&keep_box(leak.label(), &leak.key, &leak.origin));
    }
    draft.push("\n");
    draft
}

/// Returns the closing comment, for when nothing is left.
pub fn closing_comment(report: &Report) -> String {
    format!("Nothing is left behind any more ({}).", moment(report.now))
}

fn headline(report: &Report, left: usize) -> String {
    let seen = if report.complete {
        ""
    } else {
        " Some evidence is missing."
    };
    if let Some(focus) = &report.focus {
        return format!("{left} left behind; the last run covered only {focus}.{seen}");
    }
    let are = |count: usize| if count == 1 { "is" } else { "are" };
    let (grace, unknown) = (
        report.count(VerdictName::Grace),
        report.count(VerdictName::Unknown),
    );
    let all = report.summary.resources;
    let mut text = format!(
        "{left} of {all} resources {} garbage; {grace} {} in grace and {unknown} {} unknown.",
        are(left),
        are(grace),
        are(unknown)
    );
    if unknown > 0 {
        text += " `preview-gc audit --verdict unknown` says why.";
    }
    text + seen
}

/// Returns what follows the resources: the chart, the next run and the notes.
fn tail(report: &Report, state: &HiddenState) -> Draft {
    let mut tail = Draft::default();
    tail.text.push_str(&chart(&state.runs));
    if let Some(next) = report.next_run {
        let _ = writeln!(tail.text, "Next scheduled run: {}\n", moment(next));
    }
    for line in notes(report) {
        tail.push(&format!("- {}\n", escape::markdown(&line)));
    }
    tail
}

fn chart(runs: &[PastRun]) -> String {
    if runs.len() < 2 {
        return String::new();
    }
    let list = |of: &dyn Fn(&PastRun) -> String| runs.iter().map(of).collect::<Vec<_>>().join(", ");
    format!(
        "```mermaid\nxychart-beta\n  title \"Garbage found (bars) and deleted (line)\"\n  \
         x-axis [{}]\n  bar [{}]\n  line [{}]\n```\n\n",
        list(&|run| format!("\"{}\"", run.at.format("%m-%d"))),
        list(&|run| run.garbage.to_string()),
        list(&|run| run.deleted.to_string()),
    )
}

/// Returns what stops sweeps, and what could not be read.
fn warnings(report: &Report) -> Vec<String> {
    let brakes = report
        .brakes
        .iter()
        .map(|brake| format!("a brake stops sweeps on {}: {}", brake.kind, brake.advice()));
    let gaps = report.gaps().map(|gap| {
        let why = gap.gap.as_deref().unwrap_or("unknown");
        format!("could not read {} of {}: {why}", gap.source, gap.scope)
    });
    brakes.chain(gaps).take(NOTES).collect()
}

/// Returns further notes for people.
fn notes(report: &Report) -> Vec<String> {
    let near = report.headroom.iter().filter(|one| one.is_near());
    let near = near.map(|one| {
        format!(
            "{} ({}): {} {}",
            one.what,
            one.scope,
            one.used,
            one.limits()
        )
    });
    let partly = report.partly_protected.iter().map(ToString::to_string);
    let ignored = report.ignored_issues.iter().cloned();
    partly.chain(ignored).chain(near).take(NOTES).collect()
}
