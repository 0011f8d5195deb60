//! Markdown, for a step summary or a message: the summary, then what needs
//! attention.

use std::fmt::Write as _;

use super::groups::Heading;
use super::listing::{self, ListingLine, Selection};
use super::{Report, brief, escape, overview, table};
use crate::format::age;

/// Renders the report as Markdown.
pub fn render(report: &Report, selection: &Selection) -> String {
    let mut out = summary(report);
    let listing = listing::of(report, selection);
    for section in &listing.sections {
        out.push('\n');
        if let Some(heading) = section.heading {
            let _ = writeln!(out, "### {}\n", heading_text(report, heading));
        }
        out.push_str("| verdict | kind | name | age | why |\n| --- | --- | --- | --- | --- |\n");
        for line in &section.lines {
            out.push_str(&row(report, line));
        }
    }
    for text in table::rest(&listing) {
        let _ = writeln!(out, "\n{}", escape::markdown(&text));
    }
    out
}

/// Renders the summary: its headline, and its lines as a list.
pub(super) fn summary(report: &Report) -> String {
    let headline = overview::headline(report);
    let mut out = format!("## {}\n\n", escape::markdown(&headline));
    for line in overview::lines(report) {
        // A further line about the same stands below the first.
        let label = match line.label {
            "" => "  - ".to_owned(),
            label => format!("- **{label}** "),
        };
        let _ = writeln!(out, "{label}{}", escape::markdown(&line.text));
    }
    out
}

/// Renders a heading, with a link to its pull request if its address is known.
fn heading_text(report: &Report, heading: Heading<'_>) -> String {
    let name = escape::markdown(&heading.name());
    let Some(line) = heading.pull_request() else {
        return name;
    };
    let state = escape::markdown(&brief::state(report.now, line.state));
    match report.pull_request_address(line) {
        Some(address) => format!("[{name}]({address}), {state}"),
        None => format!("{name}, {state}"),
    }
}

fn row(report: &Report, line: &ListingLine<'_>) -> String {
    let created = line.rows.iter().filter_map(|row| row.created_at).min();
    let owner = line.owner.as_deref().unwrap_or_default();
    let gap = if owner.is_empty() || line.why.is_empty() {
        ""
    } else {
        ": "
    };
    format!(
        "| {} | {} | {} | {} | {} |\n",
        line.verdict,
        escape::markdown(&line.kind()),
        escape::markdown(&line.names(usize::MAX)),
        created.map(|at| age(report.now, at)).unwrap_or_default(),
        escape::markdown(&format!("{owner}{gap}{}", line.why)),
    )
}
