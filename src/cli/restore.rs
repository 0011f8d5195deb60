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
use crate::gc::Outcome;
use crate::providers;
use crate::report::escape;
use crate::report::format::Format;
use crate::restore::{self, ListedRun, ListedStep, Restorable, RestoreError, Restored};
use crate::roots::github::Authors;
use crate::wire::Client;

pub(super) async fn run(arguments: RestoreArgs) -> Result<Exit, RunFailure> {
    let format = arguments.common.format();
    if arguments.common.sandbox().is_some() && arguments.common.journal.is_none() {
        return simulated(&arguments, format);
    }
    let folder = named_folder(&arguments.common)?;
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
            "run {run} deleted {}; `preview-gc restore --list` shows what each run deleted",
            if arguments.names.is_empty() {
                "nothing".to_owned()
            } else {
                format!("no {}", arguments.names.join(", "))
            }
        )));
    }
    finish(&restored, format)
}

/// Answers for the simulated cloud of `--sandbox`, whose runs end with the process.
fn simulated(arguments: &RestoreArgs, format: Format) -> Result<Exit, RunFailure> {
    if arguments.run.is_some() || !arguments.release.is_empty() {
        return Err(RunFailure::Usage(
            "the simulated cloud of --sandbox has no earlier runs; leave out --sandbox to restore \
             what a real run deleted"
                .to_owned(),
        ));
    }
    print(match format {
        Format::Json => "[]\n",
        Format::Table | Format::Csv | Format::Markdown => {
            "The simulated cloud of --sandbox has no earlier runs; leave out --sandbox to list real \
             ones.\n"
        }
    })?;
    Ok(Exit::Ok)
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
                escape::terminal(noun(&step.kind)),
                escape::terminal(&step.name),
                Outcome::words(step.outcome),
                escape::terminal(&what_can_be_done(step))
            );
            for one in &step.implied {
                let (kind, name) = (noun(&one.kind), escape::terminal(&one.name));
                let kind = escape::terminal(kind);
                let _ = writeln!(out, "    with it: {kind} {name}");
            }
        }
    }
    Ok(out)
}

/// Returns what people call a kind.
fn noun(kind: &str) -> &str {
    providers::by_name(kind).map_or(kind, |known| known.about().0.noun)
}

/// Returns what follows the outcome of a step.
fn what_can_be_done(step: &ListedStep) -> String {
    let undo = |step: &ListedStep| {
        step.undo
            .map_or_else(String::new, |undo| format!("; it {undo}"))
    };
    match step.restorable {
        Restorable::Yes => "; it can be restored".to_owned(),
        Restorable::ProviderDecides => {
            "; it can be restored if its provider still has it".to_owned()
        }
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
            "{}: {} {}",
            one.result.title(),
            escape::terminal(noun(&one.kind)),
            escape::terminal(&one.name),
        );
        for part in one.reason.split("; ") {
            let _ = writeln!(out, "  {}", escape::terminal(part));
        }
    }
    out
}
