//! Output for other systems: GitHub Actions (step summary, outputs,
//! annotations) and metrics.

use std::fmt::Write as _;
use std::io::Write as _;

use chrono::{DateTime, Utc};
use croner::Cron;
use serde_json::Value;

use super::args::{CommonArgs, ScheduleArgs};
use super::{Exit, RunFailure};
use crate::gc::Outcome;
use crate::report::listing::Selection;
use crate::report::{Report, escape, markdown, metrics, outcomes};

/// Maximum length of a step summary, in bytes.
const MAX_SUMMARY_BYTES: usize = 1_000_000;

/// Maximum number of annotations that Actions shows for one step.
const MAX_ANNOTATIONS: usize = 10;

/// The outputs of a run that ended before it found anything out.
const NOTHING: [(&str, &str); 6] = [
    ("complete", "false"),
    ("garbage", "0"),
    ("deleted", "0"),
    ("failed", "0"),
    ("deferred", "0"),
    ("issue-url", ""),
];

/// Writes the metrics of a run, if `--metrics` asks for them.
pub(super) fn write_metrics(common: &CommonArgs, report: &Report) -> Result<(), RunFailure> {
    let Some(path) = &common.metrics else {
        return Ok(());
    };
    let text = if path.extension().is_some_and(|end| end == "prom") {
        metrics::prometheus(report)
    } else {
        metrics::json(report)
    };
    std::fs::write(path, text).map_err(|error| {
        RunFailure::Unexpected(format!(
            "cannot write figures to {}: {error}",
            path.display()
        ))
    })
}

/// Returns when the next run is due: by `--schedule`, or by the schedule that
/// started this run in Actions.
pub(super) fn next_run(
    arguments: &ScheduleArgs,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, RunFailure> {
    let after = |pattern: &str| {
        let cron = pattern.parse::<Cron>().map_err(|error| error.to_string())?;
        let next = cron.find_next_occurrence(&now, false);
        next.map_err(|error| error.to_string())
    };
    if let Some(pattern) = arguments.cron.as_deref().filter(|text| !text.is_empty()) {
        return after(pattern).map(Some).map_err(|why| {
            RunFailure::Usage(format!(
                "--schedule {pattern:?} is not a schedule such as \"17 4 * * 1\": {why}"
            ))
        });
    }
    let event = || {
        let path = std::env::var_os("GITHUB_EVENT_PATH")?;
        let event: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        after(event["schedule"].as_str()?).ok()
    };
    Ok(event())
}

/// Writes the outputs of a run that found nothing out. A step that reads them
/// always finds all of them: Actions takes the last value of each.
pub(super) fn begin() {
    append(
        "GITHUB_OUTPUT",
        &lines(&NOTHING.map(|(name, value)| (name, value.to_owned()))),
    );
}

/// Writes step summary, outputs and annotations, if the run is in Actions.
pub(super) fn write_results(report: &Report, issue_url: Option<&str>) {
    append("GITHUB_STEP_SUMMARY", &summary(report));
    append("GITHUB_OUTPUT", &outputs(report, issue_url));
    annotate(&annotations(report));
}

/// Writes how the run ended: the error, or what its exit code means.
pub(super) fn end(result: &Result<Exit, RunFailure>) {
    let (exit, why) = match result {
        Ok(Exit::Ok) => return,
        Ok(exit) => (*exit, exit.meaning().to_owned()),
        Err(failure) => (failure.exit(), failure.to_string()),
    };
    let why = plain(&why);
    let code = exit as u8;
    let escaped = escape::workflow_lines(why.trim_end());
    annotate(&format!(
        "::error title=preview-gc (exit code {code})::{escaped}\n"
    ));
    let text = escape::block(why.trim_end());
    append(
        "GITHUB_STEP_SUMMARY",
        &format!("\n### preview-gc ended with exit code {code}\n\n{text}"),
    );
}

/// Prints workflow commands, if the run is in Actions.
fn annotate(commands: &str) {
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        let _ = std::io::stderr().write_all(commands.as_bytes());
    }
}

/// Removes the colours of a rendered policy.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}

/// Appends to a file of Actions; an error does not fail the run.
fn append(variable: &str, text: &str) {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        return;
    };
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::warn!(variable, %error, "could not be written");
    }
}

fn summary(report: &Report) -> String {
    let mut text = match &report.swept {
        Some(swept) => outcomes::markdown(report, swept),
        None => markdown::render(report, &Selection::default()),
    };
    if text.len() > MAX_SUMMARY_BYTES {
        let mut end = MAX_SUMMARY_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n\n… (the rest does not fit here)\n");
    }
    text
}

/// Counts the steps with such an outcome.
fn count(report: &Report, of: impl Fn(Outcome) -> bool) -> usize {
    let steps = report.swept.iter().flat_map(|swept| &swept.steps);
    steps.filter(|step| of(step.outcome)).count()
}

fn outputs(report: &Report, issue_url: Option<&str>) -> String {
    let deleted = count(report, |outcome| outcome == Outcome::Deleted);
    let deferred = count(report, |outcome| outcome == Outcome::Deferred);
    lines(&[
        ("complete", report.complete.to_string()),
        ("garbage", report.garbage().to_string()),
        ("deleted", deleted.to_string()),
        ("failed", count(report, Outcome::is_failure).to_string()),
        ("deferred", deferred.to_string()),
        ("issue-url", issue_url.unwrap_or_default().to_owned()),
    ])
}

/// Formats outputs.
fn lines(outputs: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in outputs {
        let line = value.replace(['\r', '\n'], " ");
        let _ = writeln!(text, "{name}={line}");
    }
    text
}

/// Returns a workflow command for everything that needs attention.
fn annotations(report: &Report) -> String {
    let steps = report.swept.iter().flat_map(|swept| &swept.steps);
    let failed = steps.filter(|step| step.outcome.is_failure()).map(|step| {
        let name = escape::workflow(&step.name);
        let reason = escape::workflow(&step.reason);
        format!(
            "::error title=preview-gc::{} {name} {}: {reason}",
            step.kind, step.outcome
        )
    });
    let gaps = report.gaps().map(|gap| {
        let why = escape::workflow(gap.gap.as_deref().unwrap_or("unknown"));
        let scope = escape::workflow(&gap.scope);
        format!(
            "::warning title=preview-gc::could not read {} of {scope}: {why}",
            gap.source
        )
    });
    let brakes = report.brakes.iter().map(|brake| {
        let reason = escape::workflow(&brake.advice());
        format!(
            "::error title=preview-gc::brake on {}: {reason}",
            brake.kind
        )
    });
    let clocks = report.clock_skew.iter().map(|skew| {
        let skew = escape::workflow(&skew.to_string());
        format!("::warning title=preview-gc::{skew}")
    });
    let mut text = String::new();
    for line in brakes
        .chain(clocks)
        .chain(failed)
        .chain(gaps)
        .take(MAX_ANNOTATIONS)
    {
        let _ = writeln!(text, "{line}");
    }
    text
}
