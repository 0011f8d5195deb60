//! The report for people at a terminal: the summary, then what needs attention.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::groups::Heading;
use super::listing::{self, ListingLine, ListingSection, ReportListing, Selection};
use super::style::{TableStyle, TextStyle, cell, cut, fill, printed_width, wrap};
use super::{PullRequestLine, Report, brief, escape, overview};
use crate::format::age;
use crate::gc::verdict::VerdictName;

/// Space before the rows of a section.
const INDENT: &str = "  ";

/// Renders the report: its summary, then the selected rows.
pub fn render(report: &Report, selection: &Selection, style: TableStyle) -> String {
    let mut out = overview::render(report, style);
    let listing = listing::of(report, selection);
    if !listing.sections.is_empty() {
        out.push('\n');
        out.push_str(&list(report, &listing, style));
    }
    let rest = rest(&listing);
    if !rest.is_empty() {
        out.push('\n');
    }
    for text in rest {
        for part in wrap(&text, style.room(0, 20), "") {
            let _ = writeln!(out, "{}", style.paint(&part, TextStyle::Dim));
        }
    }
    out
}

/// Widths of the columns.
struct TableColumns {
    verdict: usize,
    kind: usize,
    name: usize,
    owner: usize,
    /// Whether any line has a reason that its heading does not say.
    has_reasons: bool,
}

impl TableColumns {
    fn of(sections: &[ListingSection<'_>], style: TableStyle) -> Self {
        let lines = || sections.iter().flat_map(|section| &section.lines);
        let longest = |of: &dyn Fn(&ListingLine<'_>) -> usize| lines().map(of).max().unwrap_or(0);
        let verdict = longest(&|line| line.verdict.to_string().width()).max("verdict".len());
        let kind = longest(&|line| line.kind().width());
        let owner = longest(&|line| line.owner.as_ref().map_or(0, |owner| owner.width()));
        // Long names stand out of their column rather than make it wide.
        let name = match style.width {
            Some(width) => width.saturating_sub(verdict + kind + owner + 14).max(16),
            None => 60,
        };
        let name = longest(&|line| line.names(name).width()).min(name);
        Self {
            verdict,
            kind,
            name,
            owner,
            has_reasons: lines().any(|line| !line.why.is_empty()),
        }
    }
}

/// Renders the lines under their headings.
fn list(report: &Report, listing: &ReportListing<'_>, style: TableStyle) -> String {
    let columns = TableColumns::of(&listing.sections, style);
    let mut out = header(&columns, style);
    for section in &listing.sections {
        if let Some(heading) = section.heading {
            let _ = writeln!(out, "{}", heading_line(report, heading, style));
        }
        for line in &section.lines {
            out.push_str(&row(report, line, &columns, style));
        }
    }
    out
}

/// Renders the names of the columns.
fn header(columns: &TableColumns, style: TableStyle) -> String {
    let owner = if columns.owner > 0 {
        format!("  {}", cell("pr", columns.owner))
    } else {
        String::new()
    };
    let why = if columns.has_reasons { "  why" } else { "" };
    let line = format!(
        "{INDENT}{} {} {}  age{owner}{why}",
        cell("verdict", columns.verdict),
        cell("kind", columns.kind),
        cell("name", columns.name),
    );
    format!("{}\n", style.paint(&line, TextStyle::Dim))
}

fn heading_line(report: &Report, heading: Heading<'_>, style: TableStyle) -> String {
    match heading {
        Heading::PullRequest {
            line,
            with_repository,
        } => {
            let repository = if with_repository {
                line.repository.full_name()
            } else {
                ""
            };
            pull_request_heading(report, line, repository, style)
        }
        Heading::NoPullRequest | Heading::Protected | Heading::Unmatched => {
            style.paint(&heading.name(), TextStyle::Bold)
        }
    }
}

/// Renders the name and the state of a pull request in one line; a title that is
/// too long is cut.
pub(super) fn pull_request_heading(
    report: &Report,
    line: &PullRequestLine,
    repository: &str,
    style: TableStyle,
) -> String {
    let gap = if line.title.is_empty() { "" } else { " " };
    let name = format!("{repository}#{}{gap}{}", line.number, line.title);
    let state = brief::state(report.now, line.state);
    let name = cut(&escape::terminal(&name), style.room(state.width() + 2, 20));
    let address = report.pull_request_address(line);
    let name = style.link(&style.paint(&name, TextStyle::Bold), address.as_deref());
    format!("{name}, {state}")
}

fn row(
    report: &Report,
    line: &ListingLine<'_>,
    columns: &TableColumns,
    style: TableStyle,
) -> String {
    let verdict = line.verdict.to_string();
    let verdict =
        style.paint(&verdict, text_style(line.verdict)) + &fill(verdict.width(), columns.verdict);
    let names = line.names(columns.name);
    let width = names.width();
    let address = match &line.rows[..] {
        [one] => report.dashboard_address(one),
        _ => None,
    };
    let created = line.rows.iter().filter_map(|row| row.created_at).min();
    let age = created.map_or_else(String::new, |at| age(report.now, at));
    let mut text = format!(
        "{INDENT}{verdict} {} {}{} {age:>4}",
        cell(&line.kind(), columns.kind),
        style.link(&names, address.as_deref()),
        fill(width, columns.name),
    );
    let mut used = INDENT.len() + columns.verdict + columns.kind + columns.name.max(width) + 7;
    if columns.owner > 0 {
        let owner = line.owner.as_deref().unwrap_or_default();
        let _ = write!(text, "  {}", cell(owner, columns.owner));
        used += 2 + columns.owner;
    }
    let why = escape::terminal(&line.why);
    if why.is_empty() {
        return format!("{}\n", text.trim_end());
    }
    // A reason that does not fit beside its name goes below it.
    let beside = style
        .width
        .is_none_or(|width| used + 2 + printed_width(&why) <= width);
    if beside {
        return format!("{text}  {why}\n");
    }
    let mut out = format!("{}\n", text.trim_end());
    let below = INDENT.len() + columns.verdict + 1;
    for part in wrap(&why, style.room(below, 20), "") {
        let _ = writeln!(out, "{}{part}", " ".repeat(below));
    }
    out
}

/// Returns the colour of a verdict.
pub(super) fn text_style(verdict: VerdictName) -> TextStyle {
    match verdict {
        VerdictName::Garbage => TextStyle::Red,
        VerdictName::Grace => TextStyle::Yellow,
        VerdictName::Unknown => TextStyle::Magenta,
        VerdictName::InUse | VerdictName::Live => TextStyle::Green,
        VerdictName::Protected | VerdictName::Unmatched => TextStyle::Dim,
    }
}

/// Returns what the list leaves out.
pub(super) fn rest(listing: &ReportListing<'_>) -> Vec<String> {
    let mut rest = Vec::new();
    if !listing.cut.is_empty() {
        let resources: usize = listing.cut.iter().map(ListingSection::count).sum();
        let owners = listing.cut.iter().filter_map(|section| section.heading);
        let owners = owners.filter_map(Heading::pull_request).count();
        let of = match owners {
            0 => String::new(),
            owners => format!(" of {}", brief::plural(owners, "pull request")),
        };
        rest.push(format!(
            "… and {}{of}; --limit 0 lists all",
            brief::plural(resources, "more resource")
        ));
    }
    if !listing.unlisted.is_empty() {
        let parts: Vec<_> = listing
            .unlisted
            .iter()
            .map(|(verdict, count)| format!("{} {}", brief::grouped(*count), verdict.counted()))
            .collect();
        rest.push(format!(
            "Not listed: {}; --all lists them",
            parts.join(", ")
        ));
    }
    rest
}
