//! Markdown, for a step summary or a message.

use std::fmt::Write as _;

use super::table::{MAX_KEPT, groups, headline, summary_lines};
use super::{Report, age, escape};

/// Renders the report as Markdown.
pub fn render(report: &Report) -> String {
    let mut out = format!("## {}\n\n", escape::markdown(&headline(report)));
    for group in groups(report, MAX_KEPT) {
        if group.rows.is_empty() {
            continue;
        }
        let _ = writeln!(
            out,
            "### {}\n",
            escape::markdown(&group.heading.to_string())
        );
        out.push_str("| kind | name | verdict | age | why |\n| --- | --- | --- | --- | --- |\n");
        for row in &group.rows {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                row.kind,
                escape::markdown(&row.name),
                row.verdict.name(),
                row.created_at
                    .map(|at| age(report.now, at))
                    .unwrap_or_default(),
                escape::markdown(&row.reason),
            );
        }
        if group.hidden > 0 {
            let _ = writeln!(out, "\n… and {} more", group.hidden);
        }
        out.push('\n');
    }
    for line in summary_lines(report) {
        let _ = writeln!(out, "- {}", escape::markdown(&line));
    }
    out
}
