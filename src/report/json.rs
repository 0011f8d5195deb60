//! The documented, versioned JSON.

use super::Report;

/// Renders the report as one JSON document with a final newline.
///
/// # Errors
///
/// Never for a [`Report`]; the signature comes from `serde_json`.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}
