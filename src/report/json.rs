//! The documented, versioned JSON.

use super::Report;

/// The report as one JSON document with a line end.
///
/// # Errors
///
/// Never for a report of our own making; serde's signature says it may.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}
