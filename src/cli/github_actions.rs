//! Output for other systems: GitHub Actions (step summary, outputs,
//! annotations) and metrics.

use std::fmt::Write as _;
use std::io::Write as _;

use chrono::{DateTime, Utc};
use croner::Cron;
use serde_json::Value;

use super::Failure;
use super::args::{CommonArgs, ScheduleArgs};
use crate::gc::Outcome;
use crate::report::{Report, escape, markdown, metrics, outcomes};

/// Maximum length of a step summary, in bytes.
const MAX_SUMMARY_BYTES: usize = 1_000_000;

/// Maximum number of annotations that Actions shows for one step.
const MAX_ANNOTATIONS: usize = 10;

/// Writes the metrics of a run, if `--metrics` asks for them.
pub(super) fn write_metrics(common: &CommonArgs, report: &Report) -> Result<(), Failure> {
    let Some(path) = &common.metrics else {
        return Ok(());
    };
    let text = if path.extension().is_some_and(|end| end == "prom") {
        metrics::prometheus(report)
    } else {
        metrics::json(report)
    };
    std::fs::write(path, text).map_err(|error| {
        Failure::Unexpected(format!(
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
) -> Result<Option<DateTime<Utc>>, Failure> {
    let after = |pattern: &str| {
        let cron = pattern.parse::<Cron>().map_err(|error| error.to_string())?;
        let next = cron.find_next_occurrence(&now, false);
        next.map_err(|error| error.to_string())
    };
    if let Some(pattern) = arguments.cron.as_deref().filter(|text| !text.is_empty()) {
        return after(pattern).map(Some).map_err(|why| {
            Failure::Usage(format!(
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

/// Writes step summary, outputs and annotations, if the run is in Actions.
pub(super) fn write_results(report: &Report, issue_url: Option<&str>) {
    append("GITHUB_STEP_SUMMARY", &summary(report));
    append("GITHUB_OUTPUT", &outputs(report, issue_url));
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        let _ = std::io::stderr().write_all(annotations(report).as_bytes());
    }
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
        None => markdown::render(report),
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
    let mut text = String::new();
    for (name, value) in [
        ("complete", report.complete.to_string()),
        ("garbage", report.garbage().to_string()),
        (
            "deleted",
            count(report, |outcome| outcome == Outcome::Deleted).to_string(),
        ),
        ("failed", count(report, Outcome::is_failure).to_string()),
        (
            "deferred",
            count(report, |outcome| outcome == Outcome::Deferred).to_string(),
        ),
        ("issue-url", issue_url.unwrap_or_default().to_owned()),
    ] {
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
        let reason = escape::workflow(&brake.reason);
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
