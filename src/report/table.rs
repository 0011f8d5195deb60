//! The table for people: grouped by pull request, then the summary.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use tabled::builder::Builder;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Alignment, Color, Modify, Padding, Style};

use unicode_width::UnicodeWidthStr as _;

use super::{PullRequestLine, Report, Row, age, escape};
use crate::gc::Verdict;
use crate::gc::verdict::VerdictName;

/// Protected and unmatched resources beyond this many are only counted.
pub(super) const MAX_KEPT: usize = 20;

/// The width and colour of a table.
#[derive(Debug, Clone, Copy)]
pub struct TableStyle {
    /// Width in columns.
    pub width: usize,
    /// Whether to use colour.
    pub colour: bool,
}

/// Rows under one heading.
pub(crate) struct Group<'a> {
    pub(crate) heading: Heading<'a>,
    pub(crate) rows: Vec<&'a Row>,
    /// Rows that are only counted.
    pub(super) hidden: usize,
}

/// What the rows of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heading<'a> {
    /// The pull request that they belong to.
    PullRequest {
        line: &'a PullRequestLine,
        /// Whether the heading names the repository: there are several.
        with_repository: bool,
    },
    /// They belong to a git branch or an Actions run, or only their age counts.
    NoPullRequest,
    Protected,
    Unmatched,
}

impl fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullRequest {
                line,
                with_repository,
            } => {
                if *with_repository {
                    f.write_str(line.repository.full_name())?;
                }
                write!(f, "#{}", line.number)?;
                if !line.title.is_empty() {
                    write!(f, " {}", line.title)?;
                }
                write!(f, " ({})", line.state)
            }
            Self::NoPullRequest => f.write_str("Git branches, runs and ages"),
            Self::Protected => f.write_str("Protected"),
            Self::Unmatched => f.write_str("Unmatched: no rule matches these names"),
        }
    }
}

/// Groups rows by pull request, newest first, then rows without one. Shows at
/// most `max_kept` protected and unmatched rows each.
pub(crate) fn groups(report: &Report, max_kept: usize) -> Vec<Group<'_>> {
    let mut by_pull_request: BTreeMap<&PullRequestLine, Vec<&Row>> = BTreeMap::new();
    let mut by_age = Vec::new();
    let mut protected = Vec::new();
    let mut unmatched = Vec::new();
    for row in &report.resources {
        match (&row.pull_request, &row.verdict) {
            (Some(line), _) => by_pull_request.entry(line).or_default().push(row),
            (None, Verdict::Protected(_)) => protected.push(row),
            (None, Verdict::Unmatched(_)) => unmatched.push(row),
            (None, _) => by_age.push(row),
        }
    }
    let with_repository = by_pull_request.keys().any(|line| {
        by_pull_request
            .keys()
            .any(|other| other.repository != line.repository)
    });
    let mut groups: Vec<Group<'_>> = by_pull_request
        .into_iter()
        .rev()
        .map(|(line, rows)| Group {
            heading: Heading::PullRequest {
                line,
                with_repository,
            },
            rows,
            hidden: 0,
        })
        .collect();
    for (heading, mut rows, shown) in [
        (Heading::NoPullRequest, by_age, usize::MAX),
        (Heading::Protected, protected, max_kept),
        (Heading::Unmatched, unmatched, max_kept),
    ] {
        let hidden = rows.len().saturating_sub(shown);
        rows.truncate(shown);
        groups.push(Group {
            heading,
            rows,
            hidden,
        });
    }
    groups.retain(|group| !group.rows.is_empty());
    groups
}

/// Returns the summary in one line.
pub(crate) fn headline(report: &Report) -> String {
    let garbage = report.garbage();
    let resources = report.summary.resources;
    let seen = if report.complete {
        ""
    } else {
        "; some evidence is missing"
    };
    format!("{garbage} garbage among {resources} resources{seen}")
}

/// Renders the report as a table with its summary.
pub fn render(report: &Report, style: TableStyle) -> String {
    let mut out = String::new();
    let groups = groups(report, MAX_KEPT);
    if !groups.is_empty() {
        out.push_str(&table(report, &groups, style));
        out.push_str("\n\n");
    }
    out + &summary(report, style)
}

/// The headline, counts, brakes, gaps, quota and headroom.
pub fn summary(report: &Report, style: TableStyle) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", escape::terminal(&headline(report)));
    for line in summary_lines(report) {
        for line in wrap(&escape::terminal(&line), style.width, "  ") {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

fn table(report: &Report, groups: &[Group<'_>], style: TableStyle) -> String {
    let rows = || groups.iter().flat_map(|group| &group.rows);
    let longest = |text: &dyn Fn(&Row) -> usize| rows().map(|row| text(row)).max().unwrap_or(0);
    let kind_width = longest(&|row| row.kind.name().len());
    let name_width =
        longest(&|row| escape::terminal(&row.name).width()).clamp(4, style.width * 2 / 5);
    // Verdict, age and the gaps between the columns; the reason gets the rest.
    let why_width = style
        .width
        .saturating_sub(kind_width + name_width + 9 + 4 + 5)
        .max(16);
    let fold = |text: &str, width: usize| wrap(&escape::terminal(text), width, "").join("\n");
    let mut builder = Builder::default();
    builder.push_record(["kind", "name", "verdict", "age", "why"]);
    let mut titles = Vec::new();
    let mut verdicts = Vec::new();
    for group in groups {
        titles.push((
            builder.count_records(),
            escape::terminal(&group.heading.to_string()),
        ));
        builder.push_record(["", "", "", "", ""]);
        for row in &group.rows {
            verdicts.push((builder.count_records(), row.verdict.name()));
            builder.push_record([
                row.kind.name().to_owned(),
                fold(&row.name, name_width),
                row.verdict.name().to_string(),
                row.created_at
                    .map(|at| age(report.now, at))
                    .unwrap_or_default(),
                fold(&row.reason, why_width),
            ]);
        }
        if group.hidden > 0 {
            titles.push((
                builder.count_records(),
                format!("… and {} more; --format json shows all", group.hidden),
            ));
            builder.push_record(["", "", "", "", ""]);
        }
    }
    let mut table = builder.build();
    table.with(Style::empty().horizontals([(1, HorizontalLine::new('─'))]));
    table.with(Modify::new(Columns::new(3..4)).with(Alignment::right()));
    table.with(Padding::new(0, 1, 0, 0));
    for (row, title) in titles {
        table.modify((row, 0), title);
        table.modify((row, 0), tabled::settings::Span::column(5));
        if style.colour {
            table.modify((row, 0), Color::BOLD);
        }
    }
    if style.colour {
        table.with(Modify::new(Rows::first()).with(Color::BOLD));
        for (row, verdict) in verdicts {
            table.modify((row, 2), colour(verdict));
        }
    }
    // tabled pads every line to the full width, which is unwanted in pasted
    // text.
    table
        .to_string()
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

fn colour(verdict: VerdictName) -> Color {
    match verdict {
        VerdictName::Garbage => Color::FG_RED,
        VerdictName::Grace => Color::FG_YELLOW,
        VerdictName::Unknown => Color::FG_MAGENTA,
        VerdictName::InUse | VerdictName::Live => Color::FG_GREEN,
        VerdictName::Protected | VerdictName::Unmatched => Color::FG_BRIGHT_BLACK,
    }
}

/// Returns the lines with counts, brakes, missing data, quota and headroom.
pub(super) fn summary_lines(report: &Report) -> Vec<String> {
    let summary = &report.summary;
    let counts: Vec<String> = summary
        .verdicts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(verdict, count)| format!("{count} {}", verdict.counted()))
        .collect();
    let mut lines = vec![format!("verdicts: {}", counts.join(", "))];
    if summary.deferred > 0 {
        lines.push(format!(
            "a sweep would delete {} now and leave {} for later runs (max-deletions)",
            summary.would_delete, summary.deferred
        ));
    }
    if summary.report_only > 0 {
        lines.push(format!(
            "{} garbage are only reported, as their rules say",
            summary.report_only
        ));
    }
    if report.concealed > 0 {
        lines.push(format!(
            "{} resources that no rule matches are not shown, because the repository is public",
            report.concealed
        ));
    }
    if let Some(skew) = &report.clock_skew {
        lines.push(skew.to_string());
    }
    for brake in &report.brakes {
        lines.push(format!("brake on {}: {}", brake.kind, brake.reason));
    }
    for gap in report.gaps() {
        lines.push(format!(
            "could not read {} of {}: {}",
            gap.source,
            gap.scope,
            gap.gap.as_deref().unwrap_or("unknown")
        ));
    }
    let dangling = report.dangling.iter();
    lines.extend(dangling.map(|one| format!("dangling: {one}")));
    lines.extend(report.partly_protected.iter().map(ToString::to_string));
    lines.extend(report.ignored_issues.iter().cloned());
    for rule in &report.unused_rules {
        lines.push(format!("rule {rule} matches no existing name"));
    }
    for quota in &report.quota {
        let left = quota
            .remaining
            .map(|remaining| format!(", {remaining} left of {}", quota.limit))
            .unwrap_or_default();
        let share = if quota.share < 1.0 {
            format!(" (our share: {:.0} %)", quota.share * 100.0)
        } else {
            String::new()
        };
        lines.push(format!(
            "quota of {}: {} requests sent{left}{share}",
            quota.api, quota.spent
        ));
    }
    for use_ in report.headroom.iter().filter(|use_| use_.is_near()) {
        lines.push(format!(
            "headroom: {} {} {} ({})",
            use_.used,
            use_.limits(),
            use_.what,
            use_.scope
        ));
    }
    lines
}

/// Wraps a line at spaces, and inside a word only if the word is too long.
pub(crate) fn wrap(line: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let mut word = word;
        if let Some(last) = lines.last_mut() {
            let gap = usize::from(!last.is_empty());
            if last.width() + gap + word.width() <= width {
                if gap > 0 {
                    last.push(' ');
                }
                last.push_str(word);
                continue;
            }
            if !last.is_empty() {
                lines.push(indent.to_owned());
            }
        }
        while !word.is_empty() {
            let room = width
                .saturating_sub(lines.last().map_or(0, |last| last.width()))
                .max(1);
            let mut end = 0;
            for (at, c) in word.char_indices() {
                if word[..at + c.len_utf8()].width() > room && end > 0 {
                    break;
                }
                end = at + c.len_utf8();
            }
            if let Some(last) = lines.last_mut() {
                last.push_str(&word[..end]);
            }
            word = &word[end..];
            if !word.is_empty() {
                lines.push(indent.to_owned());
            }
        }
    }
    lines
}
