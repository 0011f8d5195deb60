//! The tracking issue: the one issue in which every run reports what is left
//! behind, and in which people check what to delete and what to keep.
//!
//! The checkboxes are in [`crate::boxes`], and [`crate::roots::github::issue`] reads and
//! writes issues and comments at GitHub.
//!
//! - [`leak`]: the entry of a resource, from a row or from the text of the issue.
//! - [`state`]: what a run stores for the next one: a hidden block of JSON, and the
//!   entries.
//! - `sections`: the resources by pull request or rule, with the boxes of each group.
//! - [`text`]: the text, a pure function of a report and the previous issue.
//! - `edits`: what others saved while a run wrote the issue, and the rules by which no
//!   checked box is lost and no approval comes back.
//! - [`publish`]: creates, updates and closes the issue without losing a checked
//!   box.
//! - [`keep`]: checks and clears boxes of single resources, without a report.
//! - [`alert`]: what a comment and a webhook notify people of.
//! - [`comment`]: the comment on a pull request about failed deletions.

pub mod alert;
pub mod comment;
mod draft;
mod edits;
pub mod keep;
pub mod leak;
pub mod publish;
mod sections;
pub mod state;
pub mod text;

/// Heading of the resources whose "keep" box is checked.
const KEPT_HEADING: &str = "Kept";

/// Suffix of a heading that earlier versions repeated within a long section.
const CONTINUED: &str = " (continued)";
