//! The text of the tracking issue: a pure function of a report, of the boxes
//! that people checked, and of earlier runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::table::groups;
use super::{Report, Row, age, escape};
use crate::boxes::{LastBox, MARKER, Ticks, boxes, keep_box};
use crate::format::moment;
use crate::gc::Outcome;

/// The title of the issue.
pub const TITLE: &str = "Preview environments left behind";

/// Maximum length of an issue's text at GitHub, in characters.
pub const MAX_LENGTH: usize = 65_536;

/// Number of runs in the chart.
const RUNS: usize = 20;

/// Maximum number of resources whose failures are counted.
const FAILURES: usize = 100;

const HISTORY: &str = "<!-- preview-gc:history ";

/// Prefix of the line with the next scheduled run.
const NEXT_RUN: &str = "Next scheduled run: ";

/// Label of a box whose resource the text no longer names.
const UNNAMED: &str = "this resource is no longer listed here";

/// Heading of the resources whose "keep" box is checked.
const KEPT_HEADING: &str = "Kept";

/// State that the issue stores in a hidden block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The version of the block.
    pub v: u32,
    /// The last runs, oldest first.
    pub runs: Vec<PastRun>,
    /// Number of failed deletions by key.
    #[serde(default)]
    pub failures: Vec<(String, u32)>,
    /// Number of resources that did not fit into the text.
    #[serde(default)]
    pub unshown: usize,
}

/// The issue before this run updates it.
#[derive(Debug, Clone, Default)]
pub struct PreviousIssue {
    /// The boxes that people checked.
    pub ticks: Ticks,
    /// The stored state.
    pub history: History,
    leaks: Vec<PreviousLeak>,
}

/// A leftover resource as the issue shows it.
#[derive(Debug, Clone)]
struct PreviousLeak {
    heading: String,
    key: String,
    /// The listing that showed it.
    origin: String,
    /// The text without its boxes.
    text: String,
}

impl PreviousIssue {
    /// Parses an issue's text and ignores anything else that people wrote
    /// there.
    pub fn read(text: &str) -> Self {
        let mut earlier = Self {
            ticks: Ticks::read(text),
            history: History::read(text),
            leaks: Vec::new(),
        };
        let (mut heading, mut leak) = (String::new(), String::new());
        for line in text.lines().map(str::trim_end) {
            if let Some(title) = line.strip_prefix("### ") {
                title.trim_end_matches(CONTINUED).clone_into(&mut heading);
                leak.clear();
            } else if let Some(last) = LastBox::read(line) {
                // A kept resource has only a box with its name.
                if leak.is_empty() {
                    let what = if last.what.is_empty() {
                        UNNAMED
                    } else {
                        last.what
                    };
                    leak = format!("- {what}\n");
                }
                earlier.leaks.push(PreviousLeak {
                    heading: heading.clone(),
                    key: last.key.to_owned(),
                    origin: last.origin.to_owned(),
                    text: std::mem::take(&mut leak),
                });
            } else if line.starts_with("- ") {
                leak = format!("{line}\n");
            } else if line.starts_with("  - [") {
                // The other box.
            } else if !leak.is_empty() {
                let _ = writeln!(leak, "{line}");
            }
        }
        earlier
    }

    /// Merges texts that others saved in the meantime, newest first. Returns
    /// whether this changed anything.
    pub fn merge(&mut self, texts: &[String]) -> bool {
        let before = (self.ticks.clone(), self.leaks.len());
        self.ticks.merge(texts);
        for leak in texts.iter().flat_map(|text| Self::read(text).leaks) {
            if self.leaks.iter().all(|known| known.key != leak.key) {
                self.leaks.push(leak);
            }
        }
        before != (self.ticks.clone(), self.leaks.len())
    }

    /// Returns resources that this run does not cover: their listing was not
    /// read, or was incomplete.
    fn beyond<'a>(&'a self, report: &'a Report) -> impl Iterator<Item = &'a PreviousLeak> {
        let seen: BTreeSet<&str> = report.resources.iter().map(|row| &*row.key).collect();
        let gone =
            |leak: &PreviousLeak| report.focus.is_none() && report.listed.contains(&leak.origin);
        let leaks = self.leaks.iter().filter(move |leak| !gone(leak));
        leaks.filter(move |leak| !seen.contains(&*leak.key))
    }
}

/// One run in the chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// When the run began.
    pub at: DateTime<Utc>,
    /// Garbage that the run found.
    pub garbage: usize,
    /// Resources that the run deleted.
    pub deleted: usize,
}

impl History {
    /// Parses the state from an issue's text; unreadable state counts as empty.
    pub fn read(text: &str) -> Self {
        // The last block is ours: a name in a command may contain another one.
        let block = text
            .rsplit_once(HISTORY)
            .and_then(|(_, rest)| rest.split_once(" -->"));
        block
            .and_then(|(json, _)| serde_json::from_str::<Self>(json).ok())
            .filter(|history| history.v == 1)
            .unwrap_or_default()
    }

    /// Returns the state with one more run.
    #[must_use]
    pub fn with(mut self, report: &Report) -> Self {
        let steps = || report.swept.iter().flat_map(|swept| &swept.steps);
        self.v = 1;
        // A run that covers a part only would distort the chart.
        if report.focus.is_none() {
            self.runs.push(PastRun {
                at: report.now,
                garbage: report.garbage(),
                deleted: steps()
                    .filter(|step| step.outcome == Outcome::Deleted)
                    .count(),
            });
        }
        let surplus = self.runs.len().saturating_sub(RUNS);
        self.runs.drain(..surplus);
        for step in steps() {
            let Some(row) = report.resources.iter().find(|row| row.key == step.key) else {
                continue;
            };
            let known = self.failures.iter().position(|(key, _)| *key == row.key);
            match (step.outcome.is_failure(), known) {
                (true, Some(at)) => {
                    // People may have edited the number.
                    self.failures[at].1 = self.failures[at].1.saturating_add(1);
                }
                (true, None) => self.failures.push((row.key.clone(), 1)),
                // A resource that was not tried keeps its count.
                (false, Some(at)) if step.outcome != Outcome::Deferred => {
                    self.failures.remove(at);
                }
                (false, _) => {}
            }
        }
        let surplus = self.failures.len().saturating_sub(FAILURES);
        self.failures.drain(..surplus);
        self
    }

    fn failed(&self, row: &Row) -> Option<u32> {
        let found = self.failures.iter().find(|(key, _)| *key == row.key);
        found.map(|(_, count)| *count)
    }

    fn chart(&self) -> String {
        if self.runs.len() < 2 {
            return String::new();
        }
        let list = |of: &dyn Fn(&PastRun) -> String| {
            self.runs.iter().map(of).collect::<Vec<_>>().join(", ")
        };
        format!(
            "```mermaid\nxychart-beta\n  title \"Garbage found (bars) and deleted (line)\"\n  \
             x-axis [{}]\n  bar [{}]\n  line [{}]\n```\n\n",
            list(&|run| format!("\"{}\"", run.at.format("%m-%d"))),
            list(&|run| run.garbage.to_string()),
            list(&|run| run.deleted.to_string()),
        )
    }
}

/// Returns the text without the parts that change in every run. If the result
/// is unchanged, there is nothing new.
pub fn without_ages(text: &str) -> String {
    let mut rest = text.replace("\r\n", "\n");
    for (begin, end) in [
        ("```mermaid\n", "```\n\n"),
        (HISTORY, " -->"),
        (NEXT_RUN, "\n"),
    ] {
        if let Some((before, after)) = rest.split_once(begin)
            && let Some((_, after)) = after.split_once(end)
        {
            rest = format!("{before}{after}");
        }
    }
    let lines: Vec<_> = rest.lines().map(without_age).collect();
    lines.join("\n").trim_end().to_owned()
}

/// Returns the line of a resource without its age.
fn without_age(line: &str) -> String {
    let parts = line.split_once("**, ").and_then(|(name, rest)| {
        let (_, reason) = rest.split_once(" old: ")?;
        Some(format!("{name}**: {reason}"))
    });
    parts.unwrap_or_else(|| line.to_owned())
}

/// The rendered issue.
#[derive(Debug)]
pub struct IssueText {
    /// The text.
    pub text: String,
    /// Number of resources left behind, as far as known.
    pub left: usize,
}

impl IssueText {
    /// Returns whether the text is within GitHub's limit. Everything except
    /// kept resources can be shortened.
    pub fn fits(&self) -> bool {
        self.text.chars().count() <= MAX_LENGTH
    }
}

/// Renders the issue after a run. A text that is too long is shortened from the
/// most recently closed owner on; resources with "keep" checked always remain.
pub fn render(report: &Report, earlier: &PreviousIssue) -> IssueText {
    let ticks = &earlier.ticks;
    let mut history = earlier.history.clone().with(report);
    let whole = report.complete && report.focus.is_none();
    if whole {
        history.unshown = 0;
    }
    let mut sections = sections(report, ticks, &history);
    for leak in earlier
        .beyond(report)
        .filter(|leak| !ticks.keep.contains(&leak.key))
    {
        let text = format!("{}{}", leak.text, boxes(&leak.key, &leak.origin, ticks));
        let heading = match &*leak.heading {
            KEPT_HEADING => "No longer kept",
            heading => heading,
        };
        match sections.iter_mut().find(|one| one.heading == heading) {
            Some(section) => section.leaks.push(text),
            None => sections.push(Section {
                heading: heading.to_owned(),
                leaks: vec![text],
            }),
        }
    }
    let shown: usize = sections.iter().map(|section| section.leaks.len()).sum();
    let left = shown + history.unshown;
    let kept = kept(report, earlier);
    let mut head = format!(
        "{MARKER}\n{}\n\n",
        escape::markdown(&headline(report, left))
    );
    if !kept.is_empty() {
        let _ = writeln!(head, "### {KEPT_HEADING}\n\n{kept}");
    }
    let mut tail = history.chart();
    if let Some(next) = report.next_run {
        let _ = writeln!(tail, "{NEXT_RUN}{}\n", moment(next));
    }
    for line in notes(report) {
        let _ = writeln!(tail, "- {}", escape::markdown(&line));
    }
    let length = |text: &str| text.chars().count();
    let remembered = |history: &History| {
        let json = serde_json::to_string(history).unwrap_or_default();
        format!("\n{HISTORY}{json} -->\n")
    };
    // Leaves room for the line about omitted resources and for their number in
    // the block.
    let fixed = length(&head) + length(&tail) + length(&remembered(&history));
    let mut room = MAX_LENGTH.saturating_sub(fixed + 200);
    let mut unshown = 0;
    for section in sections {
        // A long section repeats its heading.
        for (part, leaks) in section.leaks.chunks(50).enumerate() {
            let more = if part == 0 { "" } else { CONTINUED };
            let text = format!("### {}{more}\n\n{}\n", section.heading, leaks.concat());
            if unshown > 0 || length(&text) > room {
                unshown += leaks.len();
                continue;
            }
            room -= length(&text);
            head.push_str(&text);
        }
    }
    history.unshown += unshown;
    if history.unshown > 0 {
        let _ = writeln!(
            head,
            "… and {} more, which died later and do not fit here.\n",
            history.unshown
        );
    }
    IssueText {
        text: head + &tail + &remembered(&history),
        left,
    }
}

/// Returns a line with a box to clear for each resource that people keep.
fn kept(report: &Report, earlier: &PreviousIssue) -> String {
    let wanted = |key: &str| earlier.ticks.keep.contains(key);
    let mut text = String::new();
    let rows = report.resources.iter().filter(|row| !report.is_done(row));
    for row in rows.filter(|row| wanted(&row.key)) {
        let name = format!(
            "{} **{}**",
            escape::markdown(row.kind.name()),
            escape::markdown(&row.name)
        );
        text.push_str(&keep_box(&name, &row.key, &row.origin));
    }
    for leak in earlier.beyond(report).filter(|leak| wanted(&leak.key)) {
        let first = leak.text.lines().next().unwrap_or_default();
        text.push_str(&keep_box(
            first.trim_start_matches("- "),
            &leak.key,
            &leak.origin,
        ));
    }
    text
}

/// Returns the closing comment, for when nothing is left.
pub fn closing_comment(report: &Report) -> String {
    format!("Nothing is left behind any more ({}).", moment(report.now))
}

struct Section {
    heading: String,
    /// Resources, each with its boxes.
    leaks: Vec<String>,
}

/// Suffix of a repeated heading.
const CONTINUED: &str = " (continued)";

/// Groups resources by pull request: groups with a checked box first, then
/// those whose owner ended first.
fn sections(report: &Report, ticks: &Ticks, history: &History) -> Vec<Section> {
    let wanted = |row: &&Row| {
        row.verdict == "garbage" && !report.is_done(row) && !ticks.keep.contains(&row.key)
    };
    let mut found = Vec::new();
    for group in groups(report, usize::MAX) {
        let mut rows: Vec<&Row> = group.rows.iter().copied().filter(wanted).collect();
        rows.sort_by_key(|row| row.dead_since);
        let first = rows.iter().filter_map(|row| row.dead_since).min();
        let ticked = rows.iter().any(|row| ticks.delete.contains(&row.key));
        let leaks: Vec<_> = rows
            .iter()
            .map(|row| leak(report, row, ticks, history))
            .collect();
        if !leaks.is_empty() {
            let heading = escape::markdown(&group.title);
            found.push(((!ticked, first), Section { heading, leaks }));
        }
    }
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, section)| section).collect()
}

fn leak(report: &Report, row: &Row, ticks: &Ticks, history: &History) -> String {
    let old = row
        .created_at
        .map(|at| format!(", {} old", age(report.now, at)))
        .unwrap_or_default();
    let failed = history
        .failed(row)
        .map(|count| match count {
            1 => " **Its deletion failed.**".to_owned(),
            _ => format!(" **Its deletion failed {count} times.**"),
        })
        .unwrap_or_default();
    let mut text = format!(
        "- {} **{}**{old}: {}{failed}\n",
        escape::markdown(row.kind.name()),
        escape::markdown(&row.name),
        escape::markdown(&row.reason),
    );
    text.push_str(&escape::code(&row.command));
    text + &boxes(&row.key, &row.origin, ticks)
}

fn headline(report: &Report, left: usize) -> String {
    let count = |verdict: &str| report.summary.verdicts.get(verdict).copied().unwrap_or(0);
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
        count("grace"),
        count("unknown"),
        report.summary.resources
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
