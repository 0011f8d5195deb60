//! Renders the outcomes of a sweep's steps.

use std::fmt::Write as _;

use tabled::builder::Builder;
use tabled::settings::object::Rows;
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Color, Modify, Padding, Style};
use unicode_width::UnicodeWidthStr as _;

use super::table::{TableStyle, summary_lines, wrap};
use super::{Report, escape};
use crate::sweep::{StepRow, Swept};

fn headline(swept: &Swept) -> String {
    if swept.steps.is_empty() {
        return "Nothing was deleted.".to_owned();
    }
    let counts: Vec<_> = swept
        .counts()
        .into_iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let run = swept.run.as_deref().map(|run| format!("; run {run}"));
    format!("{}{}", counts.join(", "), run.unwrap_or_default())
}

/// Renders the table for people, then the summary.
pub fn table(report: &Report, swept: &Swept, style: TableStyle) -> String {
    let mut out = String::new();
    if !swept.steps.is_empty() {
        let longest = |text: &dyn Fn(&StepRow) -> usize| swept.steps.iter().map(text).max();
        let kind = longest(&|step| step.kind.len()).unwrap_or(4);
        let name = longest(&|step| escape::terminal(&step.name).width()).unwrap_or(4);
        let name = name.clamp(4, style.width * 2 / 5);
        let outcome = longest(&|step| step.outcome.to_string().len()).unwrap_or(7);
        let outcome = outcome.max("outcome".len());
        let why = style
            .width
            .saturating_sub(kind + name + outcome + 4)
            .max(16);
        let fold = |text: &str, width: usize| wrap(&escape::terminal(text), width, "").join("\n");
        let mut builder = Builder::default();
        builder.push_record(["kind", "name", "outcome", "why"]);
        for step in &swept.steps {
            builder.push_record([
                step.kind.clone(),
                fold(&step.name, name),
                step.outcome.to_string(),
                fold(&step.reason, why),
            ]);
        }
        let mut table = builder.build();
        table.with(Style::empty().horizontals([(1, HorizontalLine::new('─'))]));
        table.with(Padding::new(0, 1, 0, 0));
        if style.colour {
            table.with(Modify::new(Rows::first()).with(Color::BOLD));
            for (row, step) in swept.steps.iter().enumerate() {
                let colour = match step.outcome {
                    outcome if outcome.is_failure() => Color::FG_RED,
                    outcome if outcome.is_gone() => Color::FG_GREEN,
                    _ => Color::FG_YELLOW,
                };
                table.modify((row + 1, 2), colour);
            }
        }
        let lines = table.to_string();
        for line in lines.lines() {
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}", escape::terminal(&headline(swept)));
    for line in settled_lines(swept).chain(summary_lines(report)) {
        for line in wrap(&escape::terminal(&line), style.width, "  ") {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// The same as Markdown.
pub fn markdown(report: &Report, swept: &Swept) -> String {
    let mut out = format!("## {}\n\n", escape::markdown(&headline(swept)));
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
    for line in settled_lines(swept).chain(summary_lines(report)) {
        let _ = writeln!(out, "- {}", escape::markdown(&line));
    }
    out
}

/// What is left of a pull request after a sweep, with the commands that remove
/// it by hand.
pub fn left(report: &Report, steps: &[&StepRow]) -> String {
    let mut out = format!(
        "preview-gc could not delete everything of this pull request ({} left):\n\n",
        steps.len()
    );
    for step in steps {
        let mut rows = report.resources.iter();
        let row = rows.find(|row| row.key == step.key);
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
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)
        .map_err(csv::Error::from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn settled_lines(swept: &Swept) -> impl Iterator<Item = String> {
    swept.settled.iter().map(|one| {
        format!(
            "Run {} had left {} {} in doubt: {} ({})",
            one.run, one.kind, one.name, one.outcome, one.reason
        )
    })
}
