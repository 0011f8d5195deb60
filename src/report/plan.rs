//! A plan for people: its steps in their order under what they belong to, then
//! their number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::style::{TableStyle, TextStyle, cell, fill, printed_width, wrap};
use super::table::pull_request_heading;
use super::{Report, Row, brief, escape};
use crate::format::{age, moment};
use crate::gc::plan_file::{PlanFile, PlannedStep};
use crate::model::Place;
use crate::policy::Action;

/// Renders the steps of a plan file, with the closing line. The report of the
/// same run adds what the plan file does not have: titles, and what is left for
/// later.
pub fn render(plan: &PlanFile, report: Option<&Report>, style: TableStyle) -> String {
    let mut out = String::new();
    if report.is_none() {
        for part in wrap(&about(plan), style.room(0, 20), "") {
            let _ = writeln!(out, "{}", style.paint(&part, TextStyle::Dim));
        }
        out.push('\n');
    }
    if !plan.steps.is_empty() {
        out.push_str(&list(plan, report, style));
        out.push('\n');
    }
    let closing = headline(&plan.steps, report);
    for part in wrap(&closing, style.room(0, 20), "") {
        let _ = writeln!(out, "{}", style.paint(&part, TextStyle::Bold));
    }
    out
}

/// Says when a plan file was written, and for what.
fn about(plan: &PlanFile) -> String {
    let bound = &plan.bound;
    let repositories = bound.repositories.iter().cloned();
    let places = bound.places.iter().map(ToString::to_string);
    let places = places.filter(|place| !place.starts_with("repository "));
    let all: Vec<String> = repositories.chain(places).collect();
    format!("Plan of {} for {}", moment(plan.now), all.join(", "))
}

/// Renders the same as Markdown, for a step summary or a message.
pub fn markdown(plan: &PlanFile, report: Option<&Report>) -> String {
    let mut out = String::new();
    if !plan.steps.is_empty() {
        out.push_str("| step | action | kind | name | why |\n| ---: | --- | --- | --- | --- |\n");
    }
    for (index, step) in in_order(&plan.steps).into_iter().enumerate() {
        let first = if step.empty {
            "; everything in it is deleted first, for good"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {}{first} |",
            index + 1,
            action(step),
            step.kind,
            escape::markdown(&step.name),
            escape::markdown(&step.reason),
        );
    }
    if !plan.steps.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "**{}**",
        escape::markdown(&headline(&plan.steps, report))
    );
    out
}

/// Renders one line for each step, in their order.
///
/// # Errors
///
/// Never for a writer in memory; the crate's signature says it may.
pub fn csv(plan: &PlanFile) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["step", "action", "kind", "name", "id", "reason"])?;
    for (index, step) in in_order(&plan.steps).into_iter().enumerate() {
        writer.write_record([
            (index + 1).to_string().as_str(),
            action(step),
            &escape::cell(&step.kind),
            &escape::cell(&step.name),
            &escape::cell(&step.id),
            &escape::cell(&step.reason),
        ])?;
    }
    super::csv::text(writer)
}

/// Returns what is done in a step, in a word.
fn action(step: &PlannedStep) -> &'static str {
    match step.action {
        Action::Expire => "expire",
        Action::Delete | Action::Report | Action::RemoveExpiry => "delete",
    }
}

/// Returns how many steps of each sort a plan has, and what is left.
fn headline(steps: &[PlannedStep], report: Option<&Report>) -> String {
    let count = |action: Action| steps.iter().filter(|step| step.action == action).count();
    let (delete, expire) = (count(Action::Delete), count(Action::Expire));
    let mut text = format!("Plan: {} to delete", brief::grouped(delete));
    if expire > 0 {
        let _ = write!(text, ", {} to expire within a day", brief::grouped(expire));
    }
    if let Some(report) = report {
        if report.summary.deferred > 0 {
            let deferred = brief::grouped(report.summary.deferred);
            let _ = write!(
                text,
                ", {deferred} deferred to later runs (--max-deletions)"
            );
        }
        text.push('.');
        if !report.brakes.is_empty() {
            text.push_str(" A brake stops this sweep before its first deletion.");
        }
    } else {
        text.push('.');
    }
    text
}

/// Returns the steps so that each stands behind those that it waits for. Steps
/// that died of the same stand together, as far as the others allow it.
fn in_order(steps: &[PlannedStep]) -> Vec<&PlannedStep> {
    let mut waiting: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
    let mut next = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        for &before in &step.after {
            next[before].push(index);
        }
    }
    let all = 0..steps.len();
    let mut ready: BTreeSet<usize> = all.filter(|&index| waiting[index] == 0).collect();
    let mut order: Vec<&PlannedStep> = Vec::new();
    loop {
        let last = order.last().map(|step| &step.reason);
        let same = ready
            .iter()
            .find(|&&index| Some(&steps[index].reason) == last);
        let Some(index) = same.or_else(|| ready.first()).copied() else {
            break;
        };
        ready.remove(&index);
        order.push(&steps[index]);
        for &after in &next[index] {
            waiting[after] -= 1;
            if waiting[after] == 0 {
                ready.insert(after);
            }
        }
    }
    // Steps that wait for each other are left to the provider.
    let stuck = steps
        .iter()
        .zip(&waiting)
        .filter(|(_, waiting)| **waiting > 0);
    order.extend(stuck.map(|(step, _)| step));
    order
}

/// Finds the rows of a report by kind, id and place.
fn rows(report: Option<&Report>) -> BTreeMap<(&str, &str, &Place), &Row> {
    let rows = report.into_iter().flat_map(|report| &report.resources);
    rows.map(|row| ((row.kind.name(), &*row.id, &*row.place), row))
        .collect()
}

fn list(plan: &PlanFile, report: Option<&Report>, style: TableStyle) -> String {
    let steps = &plan.steps;
    let longest = |of: &dyn Fn(&PlannedStep) -> usize| steps.iter().map(of).max().unwrap_or(0);
    let number = steps.len().to_string().len();
    let kind = longest(&|step| step.kind.len());
    let room = style.room(number + kind + 20, 16);
    let name = longest(&|step| printed_width(&step.name)).min(room);
    let rows = rows(report);
    let now = report.map_or(plan.now, |report| report.now);
    let mut out = String::new();
    let mut above = None;
    for (index, step) in in_order(steps).into_iter().enumerate() {
        let row = rows.get(&(&*step.kind, &*step.id, &step.place)).copied();
        if above.replace(&step.reason) != Some(&step.reason) {
            out.push_str(&heading(report, row, step, style));
        }
        let action = action(step);
        let shown = escape::terminal(&step.name);
        let age = step.created_at.map(|at| age(now, at)).unwrap_or_default();
        let address = row.and_then(|row| report?.dashboard_address(row));
        let line = format!(
            "  {:>number$} {} {} {}{} {age:>4}",
            index + 1,
            style.paint(action, TextStyle::Red),
            cell(&step.kind, kind),
            style.link(&shown, address.as_deref()),
            fill(shown.width(), name),
        );
        let _ = writeln!(out, "{}", line.trim_end());
        if step.empty {
            let indent = " ".repeat(number + 3);
            let _ = writeln!(out, "{indent}everything in it is deleted first, for good");
        }
        let unbinds = step.unbinds.iter().filter_map(|&user| steps.get(user));
        let unbinds: Vec<_> = unbinds.map(|step| escape::terminal(&step.name)).collect();
        if !unbinds.is_empty() {
            let indent = " ".repeat(number + 3);
            let _ = writeln!(
                out,
                "{indent}its binding is removed first from {}",
                unbinds.join(", ")
            );
        }
    }
    out
}

/// Returns what the following steps have in common: their pull request, or why
/// they are garbage.
fn heading(
    report: Option<&Report>,
    row: Option<&Row>,
    step: &PlannedStep,
    style: TableStyle,
) -> String {
    let known = report.zip(row);
    let of = known.and_then(|(report, row)| Some((report, row, row.pull_request.as_ref()?)));
    match of {
        Some((report, row, line)) => {
            let heading = pull_request_heading(report, line, "", style);
            let why = escape::terminal(&brief::reason(report.now, row, Some(line)));
            let gap = if why.is_empty() { "" } else { "; " };
            format!("{heading}{gap}{why}\n")
        }
        None => format!(
            "{}\n",
            style.paint(&escape::terminal(&step.reason), TextStyle::Bold)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_one_owner_stand_together_behind_what_they_wait_for() {
        let make = |name: &str, reason: &str, after: &[usize]| PlannedStep {
            kind: "worker".into(),
            name: name.into(),
            id: name.into(),
            holder: None,
            incarnation: None,
            place: Place::Account("a".to_owned()),
            action: Action::Delete,
            backup: false,
            empty: false,
            by_event: true,
            after: after.to_vec(),
            unbinds: Vec::new(),
            deleted_with: None,
            rule: "workers".into(),
            reason: reason.to_owned(),
            dead_since: None,
            created_at: None,
            changed_at: None,
            owner: None,
            listed: BTreeMap::new(),
        };
        let steps = [
            make("a1", "#1 was merged", &[]),
            make("b1", "#2 was merged", &[]),
            make("a2", "#1 was merged", &[0]),
            make("b2", "#2 was merged", &[4]),
            make("a3", "#1 was merged", &[1]),
        ];
        let order: Vec<_> = in_order(&steps).iter().map(|step| &*step.name).collect();
        assert_eq!(order, ["a1", "a2", "b1", "a3", "b2"]);
    }
}
