//! Reads resources from the visible text of an issue. Only resources that the
//! hidden state lacks are read this way: an earlier version, which did not store
//! them, or a person wrote their boxes.

use std::fmt::Write as _;

use super::boxes::LastBox;
use super::{CONTINUED, KEPT_HEADING};

/// Label of a box whose resource the text does not name.
const UNNAMED: &str = "this resource is no longer listed here";

/// A resource in the text of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyLeak {
    /// The heading above it, as Markdown.
    pub heading: String,
    /// Whether it is below the heading of kept resources.
    pub is_kept: bool,
    /// Its key.
    pub key: String,
    /// The listing that showed it.
    pub origin: String,
    /// Its lines without its boxes, as Markdown.
    pub text: String,
}

/// Returns all resources with a "keep" box, in the order of the text.
pub fn read(text: &str) -> Vec<LegacyLeak> {
    let mut leaks = Vec::new();
    let (mut heading, mut leak) = (String::new(), String::new());
    for line in text.lines().map(str::trim_end) {
        if let Some(title) = line.strip_prefix("### ") {
            title.trim_end_matches(CONTINUED).clone_into(&mut heading);
            leak.clear();
        } else if let Some(last) = LastBox::read(line) {
            // A kept resource has only a box with its name.
            if leak.is_empty() {
                let what = if last.what.is_empty() {
                    UNNAMED
                } else {
                    last.what
                };
                leak = format!("- {what}\n");
            }
            leaks.push(LegacyLeak {
                heading: heading.clone(),
                is_kept: heading == KEPT_HEADING,
                key: last.key.to_owned(),
                origin: last.origin.to_owned(),
                text: std::mem::take(&mut leak),
            });
        } else if line.starts_with("- ") {
            leak = format!("{line}\n");
        } else if line.starts_with("  - [") {
            // The other box.
        } else if !leak.is_empty() {
            let _ = writeln!(leak, "{line}");
        }
    }
    leaks
}
