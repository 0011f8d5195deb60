//! Pull requests that are protected in part. The author of the `protect` entry
//! may have meant all of their resources.

use std::collections::BTreeMap;
use std::fmt;

use super::{PullRequestLine, Row};
use crate::gc::Verdict;
use crate::model::{KindName, PullRequestNumber, Repository};

/// Maximum number of resources that are named; the rest is counted.
const NAMED: usize = 3;

/// A pull request with protected resources beside garbage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartlyProtected {
    /// Its repository.
    pub repository: Repository,
    /// Its number.
    pub pull_request: PullRequestNumber,
    /// Resources that people protect, as kind and name.
    pub protected: Vec<(KindName, String)>,
    /// Garbage that a sweep may delete, as kind and name.
    pub garbage: Vec<(KindName, String)>,
}

impl fmt::Display for PartlyProtected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.pull_request;
        let verb = if self.protected.len() == 1 {
            "is"
        } else {
            "are"
        };
        let others = match self.garbage.len() {
            1 => "1 other resource".to_owned(),
            many => format!("{many} other resources"),
        };
        write!(
            f,
            "#{number} is protected only in part: {} {verb} kept, and {others} of #{number} would be \
             deleted ({}); to keep all of it, write [[protect]] with pull-request = {number}",
            named(&self.protected),
            named(&self.garbage)
        )
    }
}

fn named(names: &[(KindName, String)]) -> String {
    let shown = names.iter().take(NAMED);
    let shown = shown.map(|(kind, name)| format!("{kind} {name}"));
    let shown = shown.collect::<Vec<_>>();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Returns the pull requests that have both resources that people protect and
/// garbage that a sweep may delete.
pub(super) fn of(rows: &[Row]) -> Vec<PartlyProtected> {
    let mut by_pull_request: BTreeMap<&PullRequestLine, PartlyProtected> = BTreeMap::new();
    for row in rows {
        let Some(line) = &row.pull_request else {
            continue;
        };
        let one = by_pull_request
            .entry(line)
            .or_insert_with(|| PartlyProtected {
                repository: line.repository.clone(),
                pull_request: line.number,
                protected: Vec::new(),
                garbage: Vec::new(),
            });
        let name = (row.kind.named(), row.name.clone());
        if matches!(&row.verdict, Verdict::Protected(why) if why.is_by_people()) {
            one.protected.push(name);
        } else if row.is_deletable() {
            one.garbage.push(name);
        }
    }
    let both = |one: &PartlyProtected| !one.protected.is_empty() && !one.garbage.is_empty();
    by_pull_request.into_values().filter(both).collect()
}
