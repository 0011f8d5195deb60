//! CSV: one line per resource.

use super::listing::Selection;
use super::{NextSweep, Report, escape};
use crate::model::Claim;

/// Renders the report as CSV.
///
/// # Errors
///
/// Never with a writer in memory; the signature comes from the `csv` crate.
pub fn render(report: &Report, selection: &Selection) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "kind",
        "name",
        "id",
        "scope",
        "verdict",
        "pull_request",
        "repository",
        "rule",
        "dead_since",
        "grace_ends_at",
        "created_at",
        "changed_at",
        "reason",
        "pull_request_title",
        "pull_request_state",
        "pull_request_url",
        "next_sweep",
    ])?;
    for row in selection.rows(report) {
        let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
            at.map(crate::format::moment).unwrap_or_default()
        };
        let owner = row.pull_request.as_ref();
        let number = match (&row.claim, owner) {
            (Some(Claim::PullRequest(number)), _) => number.to_string(),
            (_, Some(line)) => line.number.to_string(),
            _ => String::new(),
        };
        let address = owner.and_then(|line| report.pull_request_address(line));
        let (rule, repository) = row.rule.as_ref().map_or(("", String::new()), |one| {
            let (rule, repository) = one;
            (rule.id.as_str(), repository.to_string())
        });
        writer.write_record([
            row.kind.name(),
            &escape::cell(&row.name),
            &escape::cell(&row.id),
            &escape::cell(&row.place.to_string()),
            row.verdict.name().key(),
            &number,
            &repository,
            &escape::cell(rule),
            &time(row.dead_since()),
            &time(row.verdict.grace_ends_at()),
            &time(row.created_at),
            &time(row.changed_at),
            &escape::cell(&row.reason),
            &escape::cell(owner.map_or("", |line| &line.title)),
            owner.map_or("", |line| line.state.name()),
            &address.unwrap_or_default(),
            row.next.map_or("", NextSweep::name),
        ])?;
    }
    text(writer)
}

/// Returns what was written.
pub(super) fn text(writer: csv::Writer<Vec<u8>>) -> Result<String, csv::Error> {
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)
        .map_err(csv::Error::from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
