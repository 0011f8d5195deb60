//! The text of the tracking issue: a pure function of a report, of what people
//! ticked, and of the runs before.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::table::groups;
use super::{Report, Row, age, inert};
use crate::gc::Outcome;
use crate::gc::ticks::{MARKER, Ticks, boxes};
use crate::gc::verdict::moment;

/// The title of the issue.
pub const TITLE: &str = "Preview environments left behind";

/// The longest text that GitHub takes, in characters.
pub const LONGEST: usize = 65_536;

/// Runs that the chart shows.
const RUNS: usize = 20;

/// Resources that failed repeatedly and are counted.
const FAILURES: usize = 100;

const HISTORY: &str = "<!-- preview-gc:history ";

/// What the issue remembers, in a block that nobody sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The version of the block.
    pub v: u32,
    /// The last runs, oldest first.
    pub runs: Vec<PastRun>,
    /// How often the deletion of each failed: keys with counts.
    #[serde(default)]
    pub failures: Vec<(String, u32)>,
}

/// One run of the chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// When it began.
    pub at: DateTime<Utc>,
    /// Garbage that it found.
    pub garbage: usize,
    /// What it deleted.
    pub deleted: usize,
}

impl History {
    /// Reads it from an issue's text; an unreadable one is none.
    pub fn read(text: &str) -> Self {
        let block = text
            .split_once(HISTORY)
            .and_then(|(_, rest)| rest.split_once(" -->"));
        block
            .and_then(|(json, _)| serde_json::from_str::<Self>(json).ok())
            .filter(|history| history.v == 1)
            .unwrap_or_default()
    }

    /// With one more run.
    #[must_use]
    pub fn with(mut self, report: &Report) -> Self {
        let steps = || report.swept.iter().flat_map(|swept| &swept.steps);
        self.v = 1;
        self.runs.push(PastRun {
            at: report.now,
            garbage: report.garbage(),
            deleted: steps()
                .filter(|step| step.outcome == Outcome::Deleted)
                .count(),
        });
        let surplus = self.runs.len().saturating_sub(RUNS);
        self.runs.drain(..surplus);
        for step in steps() {
            let Some(row) = report
                .resources
                .iter()
                .find(|row| row.kind.name() == step.kind && row.id == step.id)
            else {
                continue;
            };
            let known = self.failures.iter().position(|(key, _)| *key == row.key);
            match (step.outcome.is_failure(), known) {
                (true, Some(at)) => self.failures[at].1 += 1,
                (true, None) => self.failures.push((row.key.clone(), 1)),
                (false, Some(at)) => {
                    self.failures.remove(at);
                }
                (false, None) => {}
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
            "```mermaid\nxychart-beta\n  title \"Garbage found (bars) and deleted (line)\"\n  x-axis [{}]\n  bar [{}]\n  line [{}]\n```\n\n",
            list(&|run| format!("\"{}\"", run.at.format("%m-%d"))),
            list(&|run| run.garbage.to_string()),
            list(&|run| run.deleted.to_string()),
        )
    }
}

/// The text without what changes in every run: when that is the same, nothing is
/// new.
pub fn unchanging(text: &str) -> String {
    let mut rest = text.to_owned();
    for (begin, end) in [("```mermaid\n", "```\n\n"), (HISTORY, " -->")] {
        if let Some((before, after)) = rest.split_once(begin)
            && let Some((_, after)) = after.split_once(end)
        {
            rest = format!("{before}{after}");
        }
    }
    rest.replace("\r\n", "\n").trim_end().to_owned()
}

/// The text of the issue. What is least urgent, the youngest deaths, is left out
/// first when it would be too long.
pub fn body(report: &Report, ticks: &Ticks, history: &History) -> String {
    let json = serde_json::to_string(history).unwrap_or_default();
    let mut tail = history.chart();
    for line in notes(report) {
        let _ = writeln!(tail, "- {}", inert::markdown(&line));
    }
    let _ = write!(tail, "\n{HISTORY}{json} -->\n");
    let mut head = format!("{MARKER}\n{}\n\n", inert::markdown(&headline(report)));
    let mut sections = sections(report, ticks, history);
    let length = |text: &str| text.chars().count();
    // Room for the line that says what is left out.
    let room = LONGEST.saturating_sub(length(&head) + length(&tail) + 200);
    let mut used = 0;
    let mut shown = 0;
    for section in &sections {
        used += length(&section.text);
        if used > room {
            break;
        }
        shown += 1;
    }
    let left: usize = sections.drain(shown..).map(|section| section.leaks).sum();
    for section in sections {
        head.push_str(&section.text);
    }
    if left > 0 {
        let _ = writeln!(
            head,
            "… and {left} more, which died later and do not fit here.\n"
        );
    }
    head + &tail
}

/// A word for whoever follows the issue when there is nothing left.
pub fn farewell(report: &Report) -> String {
    format!("Nothing is left behind any more ({}).", moment(report.now))
}

struct Section {
    text: String,
    leaks: usize,
}

/// Pull requests with their leaks, those that died first in front.
fn sections(report: &Report, ticks: &Ticks, history: &History) -> Vec<Section> {
    let wanted = |row: &&Row| {
        let left = row.verdict == "garbage" && !report.is_done(row);
        left || (row.verdict == "protected" && ticks.keep.contains(&row.key))
    };
    let mut found: Vec<(Option<DateTime<Utc>>, Section)> = Vec::new();
    for group in groups(report) {
        let mut rows: Vec<&Row> = group.rows.iter().copied().filter(wanted).collect();
        rows.sort_by_key(|row| row.dead_since);
        let first = rows.iter().filter_map(|row| row.dead_since).min();
        // A section that is too long by itself is cut into several.
        for (part, rows) in rows.chunks(50).enumerate() {
            let more = if part == 0 { "" } else { " (continued)" };
            let mut text = format!("### {}{more}\n\n", inert::markdown(&group.title));
            for row in rows {
                text.push_str(&leak(report, row, ticks, history));
            }
            text.push('\n');
            let leaks = rows.len();
            found.push((first, Section { text, leaks }));
        }
    }
    found.sort_by_key(|(first, _)| *first);
    found.into_iter().map(|(_, section)| section).collect()
}

fn leak(report: &Report, row: &Row, ticks: &Ticks, history: &History) -> String {
    let old = row
        .created_at
        .map(|at| format!(", {} old", age(report.now, at)))
        .unwrap_or_default();
    let failed = history
        .failed(row)
        .map(|count| format!(" **Its deletion failed {count} times.**"))
        .unwrap_or_default();
    let mut text = format!(
        "- {} **{}**{old}: {}{failed}\n",
        inert::markdown(row.kind.name()),
        inert::markdown(&row.name),
        inert::markdown(&row.reason),
    );
    let longest = row
        .command
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = write!(text, "  {fence}sh\n  {}\n  {fence}\n", row.command);
    text + &boxes(&row.key, ticks)
}

fn headline(report: &Report) -> String {
    let count = |verdict: &str| report.summary.verdicts.get(verdict).copied().unwrap_or(0);
    let seen = if report.complete {
        ""
    } else {
        " Not everything could be seen."
    };
    format!(
        "{} left behind, {} more soon, {} not known, among {} resources.{seen}",
        report.left(),
        count("ripening"),
        count("unknown"),
        report.summary.resources
    )
}

/// What is worth knowing besides.
fn notes(report: &Report) -> Vec<String> {
    let gaps = report.gaps().map(|gap| {
        let why = gap.gap.as_deref().unwrap_or("unknown");
        format!("not seen: {} of {}: {why}", gap.source, gap.scope)
    });
    let brakes = report
        .brakes
        .iter()
        .map(|brake| format!("a brake stops sweeps on {}: {}", brake.kind, brake.reason));
    let near = report.headroom.iter().filter(|one| one.is_near());
    let near =
        near.map(|one| format!("{} {} {} ({})", one.used, one.limits(), one.what, one.scope));
    gaps.chain(brakes).chain(near).take(50).collect()
}
