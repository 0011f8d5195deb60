//! `preview-gc restore`: restores deleted resources, lists what can be
//! restored, and releases restored resources.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::args::RestoreArgs;
use super::journals::named_folder;
use super::session::{client, connect};
use super::{Exit, RunFailure, print};
use crate::collector::Limits;
use crate::format::moment;
use crate::report::escape;
use crate::report::format::Format;
use crate::restore::{self, ListedRun, ListedStep, Restorable, RestoreError, Restored};
use crate::roots::github::Authors;
use crate::wire::Client;

pub(super) async fn run(arguments: RestoreArgs) -> Result<Exit, RunFailure> {
    let folder = named_folder(&arguments.common)?;
    let format = arguments.common.format();
    let authors = Arc::new(Authors::new(&arguments.common.issue_author));
    if !arguments.release.is_empty() {
        let client = connected(&arguments)?;
        let released = restore::release(&client, &folder, &arguments.release, &authors);
        return finish(&released.await.map_err(usage)?, format);
    }
    let Some(run) = &arguments.run else {
        let runs = restore::list(&folder).map_err(|error| usage(error.into()))?;
        print(&list(&runs, format)?)?;
        return Ok(Exit::Ok);
    };
    let client = connected(&arguments)?;
    let restored = restore::restore(&client, &folder, run, &arguments.names, &authors);
    let restored = restored.await.map_err(usage)?;
    if restored.is_empty() {
        return Err(RunFailure::Usage(format!(
            "run {run} did nothing to {}",
            if arguments.names.is_empty() {
                "anything".to_owned()
            } else {
                arguments.names.join(", ")
            }
        )));
    }
    finish(&restored, format)
}

fn connected(arguments: &RestoreArgs) -> Result<Client, RunFailure> {
    let connection = connect(&arguments.common)?;
    let limits = Limits::of(&arguments.common.limits.0);
    client(&arguments.common, &connection, limits)
}

fn finish(restored: &[Restored], format: Format) -> Result<Exit, RunFailure> {
    print(&results(restored, format))?;
    Ok(if restored.iter().all(Restored::is_done) {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

fn usage(error: RestoreError) -> RunFailure {
    RunFailure::Usage(error.to_string())
}

fn list(runs: &[ListedRun], format: Format) -> Result<String, RunFailure> {
    if format == Format::Json {
        let text = serde_json::to_string_pretty(runs);
        return text
            .map(|text| text + "\n")
            .map_err(|error| RunFailure::Unexpected(error.to_string()));
    }
    if runs.is_empty() {
        return Ok("No run has left a journal here.\n".to_owned());
    }
    let mut out = String::new();
    for run in runs {
        let _ = writeln!(out, "{} ({})", run.run, moment(run.at));
        for step in &run.steps {
            let _ = writeln!(
                out,
                "  {} {}: {}{}",
                escape::terminal(&step.kind),
                escape::terminal(&step.name),
                step.outcome.replace('_', " "),
                escape::terminal(&what_can_be_done(step))
            );
            for one in &step.implied {
                let (kind, name) = (escape::terminal(&one.kind), escape::terminal(&one.name));
                let _ = writeln!(out, "    with it: {kind} {name}");
            }
        }
    }
    Ok(out)
}

/// Returns what follows the outcome of a step.
fn what_can_be_done(step: &ListedStep) -> String {
    let undo = |step: &ListedStep| {
        step.undo
            .map_or_else(String::new, |undo| format!("; it {undo}"))
    };
    match step.restorable {
        Restorable::Yes => "; it can be restored".to_owned(),
        Restorable::ProviderDecides => undo(step),
        Restorable::No if step.outcome == "deleted" => undo(step),
        Restorable::No if step.outcome == "restored" => {
            "; protected until `restore --release`".to_owned()
        }
        Restorable::No => String::new(),
    }
}

fn results(results: &[Restored], format: Format) -> String {
    if format == Format::Json {
        return format!("{:#}\n", json!({ "schema": 1, "restored": results }));
    }
    let mut out = String::new();
    for one in results {
        let _ = writeln!(
            out,
            "{} {}: {}: {}",
            one.kind,
            escape::terminal(&one.name),
            one.result.title(),
            escape::terminal(&one.reason)
        );
    }
    out
}
