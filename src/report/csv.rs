//! CSV: one line per resource.

use super::{Report, escape};

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
        let scope = row
            .scope
            .iter()
            .map(|(word, value)| format!("{word} {value}"))
            .collect::<String>();
        let number = row
            .claim
            .as_ref()
            .and_then(|claim| claim.get("pull_request"))
            .map(ToString::to_string)
            .unwrap_or_default();
        let repository = row.repository.as_ref().map(ToString::to_string);
        writer.write_record([
            row.kind.name(),
            &escape::cell(&row.name),
            &escape::cell(&row.id),
            &escape::cell(&scope),
            row.verdict,
            &number,
            &repository.unwrap_or_default(),
            &escape::cell(row.rule.as_deref().unwrap_or_default()),
            &time(row.dead_since),
            &time(row.ripe_at),
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
