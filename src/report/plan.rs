//! A plan for people: its steps in their order, then their number.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tabled::builder::Builder;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Alignment, Color, Modify, Padding, Style};
use unicode_width::UnicodeWidthStr as _;

use super::escape;
use super::table::{TableStyle, wrap};
use crate::gc::plan_file::{PlanFile, PlannedStep};
use crate::policy::Action;

/// The steps of a plan file as a table, with the closing line.
pub fn render(plan: &PlanFile, style: TableStyle) -> String {
    let mut out = String::new();
    if !plan.steps.is_empty() {
        out.push_str(&table(plan, style));
        out.push('\n');
    }
    let _ = writeln!(out, "{}", headline(&plan.steps));
    out
}

/// How many steps of each sort a plan has.
fn headline(steps: &[PlannedStep]) -> String {
    let count = |action: Action| steps.iter().filter(|step| step.action == action).count();
    let (delete, expire) = (count(Action::Delete), count(Action::Expire));
    match expire {
        0 => format!("Plan: {delete} to delete"),
        _ => format!("Plan: {delete} to delete, {expire} to expire within a day"),
    }
}

/// The steps so that each stands behind those that it waits for.
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
    let mut order = Vec::new();
    while let Some(index) = ready.pop_first() {
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

fn table(plan: &PlanFile, style: TableStyle) -> String {
    let steps = &plan.steps;
    let longest = |text: &dyn Fn(&PlannedStep) -> usize| steps.iter().map(text).max();
    let number = steps.len().to_string().len();
    let kind = longest(&|step| step.kind.len()).unwrap_or(4);
    let name = longest(&|step| escape::terminal(&step.name).width()).unwrap_or(4);
    let name = name.clamp(4, style.width * 2 / 5);
    let action = "action".len();
    let why = style
        .width
        .saturating_sub(number + action + kind + name + 5)
        .max(16);
    let fold = |text: &str, width: usize| wrap(&escape::terminal(text), width, "").join("\n");
    let mut builder = Builder::default();
    builder.push_record(["", "action", "kind", "name", "why"]);
    for (index, step) in in_order(steps).into_iter().enumerate() {
        builder.push_record([
            (index + 1).to_string(),
            match step.action {
                Action::Expire => "expire".to_owned(),
                _ => "delete".to_owned(),
            },
            escape::terminal(&step.kind),
            fold(&step.name, name),
            fold(&step.reason, why),
        ]);
    }
    let mut table = builder.build();
    table.with(Style::empty().horizontals([(1, HorizontalLine::new('─'))]));
    table.with(Modify::new(Columns::first()).with(Alignment::right()));
    table.with(Padding::new(0, 1, 0, 0));
    if style.colour {
        table.with(Modify::new(Rows::first()).with(Color::BOLD));
    }
    let mut out = String::new();
    for line in table.to_string().lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}
