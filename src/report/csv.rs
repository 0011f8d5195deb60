//! CSV: one line per resource.

use super::{Report, escape};
use crate::model::Claim;

/// Renders the report as CSV.
///
/// # Errors
///
/// Never with a writer in memory; the signature comes from the `csv` crate.
pub fn render(report: &Report) -> Result<String, csv::Error> {
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
        "ripe_at",
        "created_at",
        "changed_at",
        "reason",
    ])?;
    for row in &report.resources {
        let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
            at.map(crate::format::moment).unwrap_or_default()
        };
        let number = match row.claim {
            Some(Claim::PullRequest(number)) => number.to_string(),
            _ => String::new(),
        };
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
            &time(row.verdict.ripe_at()),
            &time(row.created_at),
            &time(row.changed_at),
            &escape::cell(&row.reason),
        ])?;
    }
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)
        .map_err(csv::Error::from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
