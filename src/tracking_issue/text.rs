//! The text of the tracking issue: a pure function of a report, of the boxes
//! that people checked, and of what earlier runs stored.

use std::fmt::Write as _;

use super::leak::Leak;
use super::state::{HiddenState, PastRun, PreviousIssue, digest};
use super::{CONTINUED, KEPT_HEADING};
use crate::boxes::{CheckedKeys, MARKER, boxes, keep_box};
use crate::format::moment;
use crate::gc::Verdict;
use crate::gc::verdict::VerdictName;
use crate::report::groups::groups;
use crate::report::{Report, Row, escape};

/// Maximum length of an issue's text at GitHub, in characters.
pub const MAX_LENGTH: usize = 65_536;

/// Heading of resources that were kept and that no run has listed since.
const NO_LONGER_KEPT: &str = "No longer kept";

/// Resources below one heading; a longer section repeats it.
const CHUNK: usize = 50;

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

fn length(text: &str) -> usize {
    text.chars().count()
}

/// A text, and the same without what changes in every run.
#[derive(Default)]
struct Draft {
    text: String,
    content: String,
}

impl Draft {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.content.push_str(text);
    }
}

/// Resources with their boxes under one heading.
struct ShownSection {
    heading: String,
    leaks: Vec<Draft>,
}

/// Renders the issue after a run. A text that is too long is shortened from the
/// most recently closed owner on; resources with "keep" checked always remain.
pub fn render(report: &Report, previous: &PreviousIssue) -> IssueText {
    let mut state = previous.state.clone().with(report);
    if report.complete && report.focus.is_none() {
        state.unshown = 0;
    }
    let sections = all_sections(report, previous, &state);
    let shown: usize = sections.iter().map(|section| section.leaks.len()).sum();
    let left = shown + state.unshown;
    let mut draft = Draft::default();
    draft.push(&format!(
        "{MARKER}\n{}\n\n",
        escape::markdown(&headline(report, left))
    ));
    let kept = kept(report, previous);
    if !kept.is_empty() {
        draft.push(&format!("### {KEPT_HEADING}\n\n"));
        for leak in &kept {
            draft.push(&keep_box(leak.label(), &leak.key, &leak.origin));
        }
        draft.push("\n");
    }
    let tail = tail(report, &state);
    let fixed = length(&draft.text) + length(&tail.text) + length(&state.block());
    let room = MAX_LENGTH.saturating_sub(fixed + RESERVE);
    state.unshown += fit(sections, room, &mut draft);
    if state.unshown > 0 {
        draft.push(&format!(
            "… and {} more, which died later and do not fit here.\n\n",
            state.unshown
        ));
    }
    draft.text.push_str(&tail.text);
    draft.content.push_str(&tail.content);
    state.content = digest(&draft.content);
    state.visible = digest(&draft.text);
    IssueText {
        text: draft.text + &state.block(),
        content: state.content,
        left,
    }
}

/// Adds sections until the room is used up. Returns the number of resources that
/// did not fit.
fn fit(sections: Vec<ShownSection>, mut room: usize, draft: &mut Draft) -> usize {
    let mut unshown = 0;
    for section in sections {
        let mut more = "";
        for chunk in section.leaks.chunks(CHUNK) {
            let mut part = Draft::default();
            part.push(&format!("### {}{more}\n\n", section.heading));
            more = CONTINUED;
            for one in chunk {
                part.text.push_str(&one.text);
                part.content.push_str(&one.content);
            }
            part.push("\n");
            let needed = length(&part.text);
            if unshown > 0 || needed > room {
                unshown += chunk.len();
                continue;
            }
            room -= needed;
            draft.text.push_str(&part.text);
            draft.content.push_str(&part.content);
        }
    }
    unshown
}

/// Returns the resources of this run by heading, and below the same headings
/// those of earlier runs that this one does not cover.
fn all_sections(
    report: &Report,
    previous: &PreviousIssue,
    state: &HiddenState,
) -> Vec<ShownSection> {
    let checked = &previous.checked_now(report);
    let mut sections = sections(report, checked, state);
    let beyond = previous.beyond(report);
    for (heading, leak) in beyond.filter(|(_, leak)| !checked.keep.contains(&leak.key)) {
        let heading = match heading {
            KEPT_HEADING => NO_LONGER_KEPT,
            heading => heading,
        };
        let leak = shown(report, leak, checked);
        match sections.iter_mut().find(|one| one.heading == heading) {
            Some(section) => section.leaks.push(leak),
            None => sections.push(ShownSection {
                heading: heading.to_owned(),
                leaks: vec![leak],
            }),
        }
    }
    sections
}

/// Groups the garbage of this run by pull request: groups with a checked box
/// first, then those whose owner ended first.
fn sections(report: &Report, checked: &CheckedKeys, state: &HiddenState) -> Vec<ShownSection> {
    let wanted = |row: &&Row| {
        matches!(row.verdict, Verdict::Garbage(_))
            && !report.is_done(row)
            && !checked.keep.contains(&row.key)
    };
    let mut found = Vec::new();
    for group in groups(report) {
        let mut rows: Vec<&Row> = group.rows.iter().copied().filter(wanted).collect();
        // In this order the commands work one after another.
        rows.sort_by_key(|row| (row.order, row.dead_since()));
        let first = rows.iter().filter_map(|row| row.dead_since()).min();
        let is_checked = rows.iter().any(|row| checked.delete.contains(&row.key));
        let leaks: Vec<_> = rows
            .iter()
            .map(|row| shown(report, &Leak::of(row, state.failed(&row.key)), checked))
            .collect();
        if !leaks.is_empty() {
            let heading = escape::markdown(&group.heading.to_string());
            found.push(((!is_checked, first), ShownSection { heading, leaks }));
        }
    }
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, section)| section).collect()
}

/// Renders a resource with its boxes.
fn shown(report: &Report, leak: &Leak, checked: &CheckedKeys) -> Draft {
    let boxes = boxes(&leak.key, &leak.origin, leak.created_at, checked);
    Draft {
        text: leak.with_age(report.now) + &boxes,
        content: format!("{}{boxes}", leak.text),
    }
}

/// Returns the resources that people keep: those of this run, and those that it
/// does not cover.
fn kept(report: &Report, previous: &PreviousIssue) -> Vec<Leak> {
    let wanted = |key: &str| previous.checked.keep.contains(key);
    let rows = report.resources.iter();
    let rows = rows.filter(|row| !report.is_done(row) && wanted(&row.key));
    let beyond = previous.beyond(report);
    let beyond = beyond.filter(|(_, leak)| wanted(&leak.key));
    rows.map(Leak::kept_row)
        .chain(beyond.map(|(_, leak)| leak.kept()))
        .collect()
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
    format!(
        "{left} left behind, {} in grace, {} unknown, among {} resources.{seen}",
        report.count(VerdictName::Grace),
        report.count(VerdictName::Unknown),
        report.summary.resources
    )
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

/// Returns further notes for people.
fn notes(report: &Report) -> Vec<String> {
    let gaps = report.gaps().map(|gap| {
        let why = gap.gap.as_deref().unwrap_or("unknown");
        format!("could not read {} of {}: {why}", gap.source, gap.scope)
    });
    let brakes = report
        .brakes
        .iter()
        .map(|brake| format!("a brake stops sweeps on {}: {}", brake.kind, brake.reason));
    let near = report.headroom.iter().filter(|one| one.is_near());
    let near =
        near.map(|one| format!("{} {} {} ({})", one.used, one.limits(), one.what, one.scope));
    let partly = report.partly_protected.iter().map(ToString::to_string);
    let ignored = report.ignored_issues.iter().cloned();
    gaps.chain(brakes)
        .chain(partly)
        .chain(ignored)
        .chain(near)
        .take(50)
        .collect()
}
