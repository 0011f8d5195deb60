//! Removes old journals that nothing needs any more.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Journal, JournalError, records};

/// Number of newest journals that are never pruned.
const NEVER_PRUNED: usize = 50;

/// A journal that is younger than this is never pruned.
pub(super) const RETENTION: TimeDelta = TimeDelta::days(30);

/// Removes journals that are older than 30 days and not among the newest 50. A
/// journal stays while a step is in doubt, while it protects a restored
/// resource or one that may have been restored, while its run is active, and while it is the newest one that knows
/// the id of a repository. If a file cannot be removed, the next run tries
/// again.
pub fn prune(folder: &Path, now: DateTime<Utc>) -> Result<(), JournalError> {
    let mut known: BTreeSet<(Option<String>, String)> = BTreeSet::new();
    for (newer, record) in records(folder)?.iter().rev().enumerate() {
        let repositories = record.repositories.keys().cloned();
        let news = repositories
            .map(|name| known.insert((record.github.clone(), name)))
            .fold(false, |news, new| news | new);
        let stays = news
            || newer < NEVER_PRUNED
            || now - record.at < RETENTION
            || record.open().next().is_some()
            || record.back().next().is_some()
            || record.restoring().next().is_some();
        if stays {
            continue;
        }
        if let Some(held) = Journal::resume(record)? {
            let _ = std::fs::remove_file(held.path());
        }
    }
    Ok(())
}
