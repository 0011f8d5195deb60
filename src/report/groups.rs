//! Resources by what they belong to.

use std::collections::BTreeMap;
use std::fmt;

use super::{PullRequestLine, Report, Row};
use crate::gc::Verdict;

/// Rows under one heading.
#[derive(Debug)]
pub(crate) struct RowGroup<'a> {
    pub(crate) heading: Heading<'a>,
    pub(crate) rows: Vec<&'a Row>,
}

/// What the rows of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heading<'a> {
    /// The pull request that they belong to.
    PullRequest {
        line: &'a PullRequestLine,
        /// Whether the heading names the repository: there are several.
        with_repository: bool,
    },
    /// They belong to a git branch or an Actions run, or only their age counts.
    NoPullRequest,
    Protected,
    Unmatched,
}

impl<'a> Heading<'a> {
    /// Returns the pull request.
    pub(crate) fn pull_request(self) -> Option<&'a PullRequestLine> {
        match self {
            Self::PullRequest { line, .. } => Some(line),
            Self::NoPullRequest | Self::Protected | Self::Unmatched => None,
        }
    }

    /// Returns the heading without the state of the pull request.
    pub(super) fn name(self) -> String {
        match self {
            Self::PullRequest {
                line,
                with_repository,
            } => {
                let repository = if with_repository {
                    line.repository.full_name()
                } else {
                    ""
                };
                let gap = if line.title.is_empty() { "" } else { " " };
                format!("{repository}#{}{gap}{}", line.number, line.title)
            }
            Self::NoPullRequest => "Git branches, runs and ages".to_owned(),
            Self::Protected => "Protected".to_owned(),
            Self::Unmatched => "Unmatched: no rule applies to these".to_owned(),
        }
    }
}

impl fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        match self.pull_request() {
            Some(line) => write!(f, " ({})", line.state),
            None => Ok(()),
        }
    }
}

/// Groups all rows of a report by pull request, newest first, then those without
/// one.
pub(crate) fn groups(report: &Report) -> Vec<RowGroup<'_>> {
    of(report.resources.iter().collect())
}

/// Groups rows by pull request, newest first, then those without one. The rows
/// of a group stay in their order.
pub(super) fn of(rows: Vec<&Row>) -> Vec<RowGroup<'_>> {
    let mut by_pull_request: BTreeMap<&PullRequestLine, Vec<&Row>> = BTreeMap::new();
    let mut by_age = Vec::new();
    let mut protected = Vec::new();
    let mut unmatched = Vec::new();
    for row in rows {
        match (&row.pull_request, &row.verdict) {
            (Some(line), _) => by_pull_request.entry(line).or_default().push(row),
            (None, Verdict::Protected(_)) => protected.push(row),
            (None, Verdict::Unmatched(_)) => unmatched.push(row),
            (None, _) => by_age.push(row),
        }
    }
    let mut repositories = by_pull_request.keys().map(|line| &line.repository);
    let first = repositories.next();
    let with_repository = repositories.any(|repository| Some(repository) != first);
    let mut groups: Vec<RowGroup<'_>> = by_pull_request
        .into_iter()
        .rev()
        .map(|(line, rows)| RowGroup {
            heading: Heading::PullRequest {
                line,
                with_repository,
            },
            rows,
        })
        .collect();
    for (heading, rows) in [
        (Heading::NoPullRequest, by_age),
        (Heading::Protected, protected),
        (Heading::Unmatched, unmatched),
    ] {
        groups.push(RowGroup { heading, rows });
    }
    groups.retain(|group| !group.rows.is_empty());
    groups
}
