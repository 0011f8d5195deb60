//! Renders the outcomes of a sweep's steps.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::brief::plural;
use super::style::{TableStyle, TextStyle, cell, fill, printed_width, wrap};
use super::table::pull_request_heading;
use super::{Report, Row, escape, markdown as summary, overview};
use crate::gc::Outcome;
use crate::sweep::{StepRow, Swept};

fn headline(report: &Report, swept: &Swept) -> String {
    if swept.steps.is_empty() {
        return "Nothing was deleted.".to_owned();
    }
    let counts: Vec<_> = swept
        .counts()
        .into_iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let run = swept.run.as_deref().map(|run| format!("; run {run}"));
    let mut along: BTreeMap<&str, usize> = BTreeMap::new();
    for row in report.gone_along() {
        *along.entry(row.kind.noun).or_default() += 1;
    }
    let along: String = along
        .into_iter()
        .map(|(noun, count)| {
            let with = if count == 1 { "its" } else { "their" };
            let domains = if count == 1 { "domain" } else { "domains" };
            format!(
                "; {} went with {with} custom {domains}",
                plural(count, noun)
            )
        })
        .collect();
    format!("{}{along}{}", counts.join(", "), run.unwrap_or_default())
}

/// Steps with the same outcome from which on their common reason is printed only once.
const SHARED: usize = 4;

/// Returns the reasons that several steps share, with the number of these steps.
fn shared_reasons(swept: &Swept) -> BTreeMap<(Outcome, &str), usize> {
    let mut counts: BTreeMap<(Outcome, &str), usize> = BTreeMap::new();
    for step in &swept.steps {
        *counts.entry((step.outcome, &*step.reason)).or_default() += 1;
    }
    // Why something was deleted stands in the headings.
    counts.retain(|(outcome, reason), count| {
        *count >= SHARED && *outcome != Outcome::Deleted && !reason.is_empty()
    });
    counts
}

/// Renders the table for people, then the summary of what is left.
pub fn table(report: &Report, swept: &Swept, style: TableStyle) -> String {
    let mut out = steps(report, swept, style);
    if !swept.steps.is_empty() {
        out.push('\n');
    }
    let shared = shared_reasons(swept);
    let shared = shared
        .iter()
        .map(|((outcome, reason), count)| format!("{count} {outcome}: {reason}"));
    let lines = std::iter::once(headline(report, swept)).chain(why_nothing(report, swept));
    for line in lines.chain(shared).chain(settled_lines(swept)) {
        for part in wrap(&escape::terminal(&line), style.room(0, 20), "  ") {
            let _ = writeln!(out, "{}", style.paint(&part, TextStyle::Bold));
        }
    }
    out + &overview::render(report, style)
}

/// Renders the outcomes under the pull requests to which the resources belonged,
/// which say why those that are gone were deleted.
fn steps(report: &Report, swept: &Swept, style: TableStyle) -> String {
    let longest = |of: &dyn Fn(&StepRow) -> usize| swept.steps.iter().map(of).max().unwrap_or(0);
    let kind = longest(&|step| step.kind.len());
    let outcome = longest(&|step| step.outcome.to_string().len());
    let name = longest(&|step| printed_width(&step.name)).min(style.room(kind + outcome + 24, 16));
    let rows: BTreeMap<&str, &Row> = report
        .resources
        .iter()
        .map(|row| (&*row.key, row))
        .collect();
    let shared = shared_reasons(swept);
    let mut out = String::new();
    let mut above = None;
    for step in &swept.steps {
        let owner = rows
            .get(&*step.key)
            .and_then(|row| row.pull_request.as_ref());
        if above.replace(owner) != Some(owner) {
            let heading = match owner {
                Some(line) => pull_request_heading(report, line, "", style),
                None => style.paint("Without a pull request", TextStyle::Bold),
            };
            let _ = writeln!(out, "{heading}");
        }
        let text_style = match step.outcome {
            outcome if outcome.is_failure() => TextStyle::Red,
            outcome if outcome.is_gone() => TextStyle::Green,
            _ => TextStyle::Yellow,
        };
        let word = step.outcome.to_string();
        let shown = escape::terminal(&step.name);
        let line = format!(
            "  {}{} {} {shown}",
            style.paint(&word, text_style),
            fill(word.len(), outcome),
            cell(&step.kind, kind),
        );
        let used = outcome + kind + 4 + name.max(shown.width());
        let is_said = owner.is_some() && step.outcome == Outcome::Deleted
            || shared.contains_key(&(step.outcome, &*step.reason));
        let why = if is_said {
            String::new()
        } else {
            escape::terminal(&step.reason)
        };
        if why.is_empty() {
            let _ = writeln!(out, "{line}");
        } else if style
            .width
            .is_none_or(|width| used + 2 + why.width() <= width)
        {
            let _ = writeln!(out, "{line}{}  {why}", fill(shown.width(), name));
        } else {
            let _ = writeln!(out, "{line}");
            for part in wrap(&why, style.room(outcome + 3, 20), "") {
                let _ = writeln!(out, "{}{part}", " ".repeat(outcome + 3));
            }
        }
    }
    out
}

/// Returns why a sweep had nothing to delete.
fn why_nothing(report: &Report, swept: &Swept) -> Option<String> {
    if !swept.steps.is_empty() || !report.brakes.is_empty() {
        return None;
    }
    if report.approved_only {
        return Some(
            "No checked \"delete\" box of the tracking issue is about garbage.".to_owned(),
        );
    }
    // The summary says it where there is nothing else to sum up.
    report.about_focus().filter(|_| !report.left().is_empty())
}

/// The same as Markdown.
pub fn markdown(report: &Report, swept: &Swept) -> String {
    let mut out = format!("## {}\n\n", escape::markdown(&headline(report, swept)));
    for line in why_nothing(report, swept)
        .into_iter()
        .chain(settled_lines(swept))
    {
        let _ = writeln!(out, "{}\n", escape::markdown(&line));
    }
    if !swept.steps.is_empty() {
        out.push_str("| kind | name | outcome | why |\n| --- | --- | --- | --- |\n");
        for step in &swept.steps {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                escape::markdown(&step.kind),
                escape::markdown(&step.name),
                step.outcome,
                escape::markdown(&step.reason),
            );
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}\n", escape::markdown(&overview::headline(report)));
    out + &summary::summary(report)
}

/// What is left of a pull request after a sweep, with the commands that remove
/// it by hand.
pub fn left(report: &Report, steps: &[&StepRow]) -> String {
    let mut out = format!(
        "preview-gc could not delete everything of this pull request ({} left):\n\n",
        steps.len()
    );
    let row_of = |step: &StepRow| report.resources.iter().find(|row| row.key == step.key);
    // In this order the commands work one after another.
    let mut rows: Vec<_> = steps.iter().map(|step| (row_of(step), *step)).collect();
    rows.sort_by_key(|(row, _)| row.map_or((usize::MAX, usize::MAX), |row| row.order));
    for (row, step) in rows {
        let _ = writeln!(
            out,
            "- {} **{}** {}: {}",
            escape::markdown(&step.kind),
            escape::markdown(&step.name),
            step.outcome,
            escape::markdown(&step.reason),
        );
        if let Some(row) = row {
            out.push_str(&escape::code(&row.command));
        }
    }
    out
}

/// One line for each step.
///
/// # Errors
///
/// Never for a writer in memory; the crate's signature says it may.
pub fn csv(swept: &Swept) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["kind", "name", "id", "outcome", "reason"])?;
    for step in &swept.steps {
        writer.write_record([
            escape::cell(&step.kind).as_str(),
            &escape::cell(&step.name),
            &escape::cell(&step.id),
            step.outcome.name(),
            &escape::cell(&step.reason),
        ])?;
    }
    super::csv::text(writer)
}

fn settled_lines(swept: &Swept) -> impl Iterator<Item = String> {
    swept.settled.iter().map(|one| {
        format!(
            "Run {} had left {} {} in doubt: {} ({})",
            one.run, one.kind, one.name, one.outcome, one.reason
        )
    })
}
