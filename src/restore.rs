//! Restores deleted resources as far as possible, and reports what cannot be
//! restored. A restored resource is protected until it is released.

mod attempt;
mod keep;
mod listing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::gc::Outcome;
use crate::journal::{
    self, Journal, JournalEntry, JournalError, JournaledResource, RunRecord, Snapshot, StepState,
};
use crate::kind::Malformed;
use crate::model::{KindRef, ResourceId};
use crate::policy::Action;
use crate::providers;
use crate::roots::github::Authors;
use crate::wire::Client;

use self::attempt::Attempt;
use self::keep::Keeper;
pub use self::listing::{ListedImplied, ListedRun, ListedStep, Restorable, list};

/// Why nothing was restored or released.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another process writes the journal.
    #[error("run {run} is still running; wait until it has ended")]
    Running {
        /// The run.
        run: String,
    },
    /// The run deleted from a different host of the provider.
    #[error("run {run} was about {host}, and these credentials are for {here}")]
    OtherHost {
        /// The run.
        run: String,
        /// The host that the journal names.
        host: String,
        /// The host of this run's credentials.
        here: String,
    },
    /// Nothing of that name was restored.
    #[error(
        "cannot release {name:?}: no journal in {} says that `restore` brought back something of \
         that name or id; `restore --list` shows what was restored",
        .folder.display()
    )]
    NotRestored {
        /// The name or id.
        name: String,
        /// Where the journals are.
        folder: PathBuf,
    },
}

/// The result of restoring or releasing one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreResult {
    /// It exists again.
    Restored,
    /// It was looked for, and is there.
    AlreadyThere,
    /// Its kind or its journal does not allow it.
    Cannot,
    /// The provider refused.
    Failed,
    /// Sweeps may delete it again.
    Released,
}

impl RestoreResult {
    /// The name, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::AlreadyThere => "already there",
            Self::Cannot => "not restored",
            Self::Failed => "failed",
            Self::Released => "released",
        }
    }
}

/// A resource that was to be restored or released.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The id that it had.
    pub id: String,
    /// The result.
    pub result: RestoreResult,
    /// Details for people.
    pub reason: String,
    /// Whether its "keep" box could not be checked in a tracking issue.
    #[serde(skip)]
    is_unkept: bool,
}

impl Restored {
    /// Returns whether it exists again.
    pub fn is_back(&self) -> bool {
        matches!(
            self.result,
            RestoreResult::Restored | RestoreResult::AlreadyThere
        )
    }

    /// Returns whether everything that was to be done for it is done.
    pub fn is_done(&self) -> bool {
        !self.is_unkept && (self.is_back() || self.result == RestoreResult::Released)
    }
}

/// Restores the resources that a run deleted: all, or those with one of these
/// names or ids.
///
/// # Errors
///
/// When the journal cannot be read or written, or is about another host.
pub async fn restore(
    client: &Client,
    folder: &Path,
    run: &str,
    names: &[String],
    issue_authors: &Arc<Authors>,
) -> Result<Vec<Restored>, RestoreError> {
    let is_named = |written: &JournaledResource| {
        let is = |name: &String| **name == *written.name || **name == *written.id;
        names.is_empty() || names.iter().any(is)
    };
    restore_steps(client, folder, run, is_named, issue_authors).await
}

/// Restores one resource that a run deleted; none if the run did nothing to it.
///
/// # Errors
///
/// As [`restore`].
pub async fn restore_one(
    client: &Client,
    folder: &Path,
    run: &str,
    (kind, id): (&str, &str),
    issue_authors: &Arc<Authors>,
) -> Result<Option<Restored>, RestoreError> {
    let is_named = |written: &JournaledResource| *written.kind == *kind && *written.id == *id;
    let results = restore_steps(client, folder, run, is_named, issue_authors).await?;
    Ok(results.into_iter().next())
}

/// Releases restored resources of all runs, so that later sweeps may delete
/// them again. One that was marked, or whose "keep" box was checked, stays protected
/// if that cannot be taken back.
///
/// # Errors
///
/// When a journal cannot be read or written, or when a name matches no restored
/// resource. Then nothing is released.
pub async fn release(
    client: &Client,
    folder: &Path,
    names: &[String],
    issue_authors: &Arc<Authors>,
) -> Result<Vec<Restored>, RestoreError> {
    let keeper = Keeper::new(client, issue_authors);
    let at = client.clock().now();
    let records = journal::records(folder)?;
    let is_named = |name: &str, written: &JournaledResource, id: &str| {
        *name == *written.name || *name == *written.id || *name == *id
    };
    let missing = names.iter().find(|name| {
        let mut all = records.iter().flat_map(releasable);
        !all.any(|(_, written, id)| is_named(name, written, id))
    });
    if let Some(name) = missing {
        return Err(RestoreError::NotRestored {
            name: name.clone(),
            folder: folder.to_owned(),
        });
    }
    let mut released = Vec::new();
    for record in records {
        let is_meant = |written: &JournaledResource, id: &str| {
            names.iter().any(|name| is_named(name, written, id))
        };
        released.extend(release_in(folder, &record, at, is_meant, &keeper).await?);
    }
    Ok(released)
}

/// Returns what a journal protects, each with its id.
fn releasable(record: &RunRecord) -> impl Iterator<Item = (usize, &JournaledResource, &str)> {
    let back = record
        .back()
        .map(|(step, written, _, id)| (step, written, id));
    let begun = record.restoring();
    let begun = begun.map(|(step, written, _)| (step, written, &*written.id));
    back.chain(begun)
}

/// Releases restored resources of one run.
async fn release_in(
    folder: &Path,
    seen: &RunRecord,
    at: DateTime<Utc>,
    is_meant: impl Fn(&JournaledResource, &str) -> bool,
    keeper: &Keeper<'_>,
) -> Result<Vec<Restored>, RestoreError> {
    let is_meant = |(_, written, id): &(usize, &JournaledResource, &str)| is_meant(written, id);
    if !releasable(seen).any(|one| is_meant(&one)) {
        return Ok(Vec::new());
    }
    let (mut journal, record) = resume(folder, seen)?;
    let kinds = providers::vocabulary();
    let mut released = Vec::new();
    for (step, written, id) in releasable(&record).filter(is_meant) {
        let let_go = match written.identity(&kinds) {
            Some(known) => {
                let known = ResourceId {
                    id: id.into(),
                    ..known
                };
                keeper.release(&record, step, &known, &written.host).await
            }
            None => Ok(()),
        };
        let (result, reason) = match let_go {
            Ok(()) => {
                journal.write(&[JournalEntry::Released { step, at }])?;
                (
                    RestoreResult::Released,
                    "no run protects it any more: later sweeps judge it by its rules. Where it was \
                     created again after its pull request ended, it stays `unknown` \
                     unless its rule says `born = \"any\"`"
                        .to_owned(),
                )
            }
            Err(why) => (RestoreResult::Failed, format!("it stays protected: {why}")),
        };
        released.push(Restored {
            kind: written.kind.clone(),
            name: written.name.to_string(),
            id: id.to_owned(),
            result,
            reason: format!("{reason} ({})", written.place),
            is_unkept: false,
        });
    }
    Ok(released)
}

/// Opens the journal of a finished run, and reads it again: another process may
/// have written to it before this one held the lock.
fn resume(folder: &Path, seen: &RunRecord) -> Result<(Journal, RunRecord), RestoreError> {
    let journal = Journal::resume(seen)?.ok_or_else(|| RestoreError::Running {
        run: seen.run.clone(),
    })?;
    Ok((journal, journal::record(folder, &seen.run)?))
}

async fn restore_steps(
    client: &Client,
    folder: &Path,
    run: &str,
    is_named: impl Fn(&JournaledResource) -> bool,
    issue_authors: &Arc<Authors>,
) -> Result<Vec<Restored>, RestoreError> {
    let seen = journal::record(folder, run)?;
    let (mut journal, record) = resume(folder, &seen)?;
    let kinds: Vec<KindRef> = providers::vocabulary();
    let mut results = BTreeMap::new();
    for (step, noted) in &record.steps {
        let Some((action, written, copy)) = noted
            .intent
            .as_ref()
            .filter(|(_, written, _)| is_named(written))
        else {
            continue;
        };
        let Some(id) = written.identity(&kinds) else {
            continue;
        };
        let here = client.host(id.kind.api);
        if here.as_ref() != Some(&written.host) {
            return Err(RestoreError::OtherHost {
                run: record.run,
                host: written.host.clone(),
                here: here.unwrap_or_else(|| "nothing".to_owned()),
            });
        }
        let (result, reason) = match (noted.standing, action) {
            (_, Action::Expire | Action::RemoveExpiry | Action::Report) => (
                RestoreResult::Cannot,
                "it was not deleted; lift its expiry where it is".to_owned(),
            ),
            (
                StepState::Settled(Outcome::Deleted | Outcome::AlreadyGone)
                | StepState::Restoring
                | StepState::Restored
                | StepState::Released,
                Action::Delete,
            ) => {
                let others = record.back().filter(|(other, ..)| other != step);
                let attempt = Attempt {
                    client,
                    step: *step,
                    noted,
                    id: &id,
                    copy,
                    others: others.map(|(.., id)| id).collect(),
                };
                attempt.run(&mut journal).await?
            }
            (_, Action::Delete) => (
                RestoreResult::Cannot,
                "this run did not delete it".to_owned(),
            ),
        };
        let restored = Restored {
            kind: id.kind.name().to_owned(),
            name: id.name.to_string(),
            id: id.id.to_string(),
            result,
            reason,
            is_unkept: false,
        };
        results.insert(*step, restored);
    }
    let record = journal::record(folder, run)?;
    let keeper = Keeper::new(client, issue_authors);
    let steps: BTreeSet<usize> = results.keys().copied().collect();
    let checked = keeper.keep(&mut journal, &record, &steps).await?;
    for (step, written, ..) in record.back() {
        if let (Some(restored), Some(noted)) = (results.get_mut(&step), record.steps.get(&step)) {
            restored.reason += "; ";
            restored.reason += &checked.describe(noted, &written.name);
            restored.is_unkept = checked.leaves_unkept(noted);
        }
    }
    Ok(results.into_values().collect())
}

/// Restores the contents of a resource and returns details for people.
async fn fill(
    client: &Client,
    id: &ResourceId,
    copy: &Snapshot,
    new: &str,
) -> Result<String, String> {
    let mut expired = 0;
    let backup = providers::by_name(id.kind.name()).and_then(|kind| kind.backup());
    if let (Some(backup), Some(held)) = (backup, &copy.held) {
        let mut made = id.clone();
        made.id = new.into();
        // The provider refuses by its own clock.
        let now = client.latest(client.clock().now());
        expired = backup.expired(held, now);
        let failed = |why: String| {
            format!("it was restored as {new}, but what it held was not, or not all of it: {why}")
        };
        let malformed = |error: Malformed| failed(client.redact(&error.0));
        let mut written = Value::Null;
        while let Some(transfer) = backup.fill(&made, held, &written, now).map_err(malformed)? {
            let sent = client.transfer(&transfer).await;
            let body = sent.map_err(|error| failed(error.to_string()))?;
            backup.take_filled(&mut written, &body).map_err(malformed)?;
        }
    }
    let mut details = if *new == *id.id {
        "under its id".to_owned()
    } else {
        format!("under the new id {new}; whatever used the old id has to be changed")
    };
    match expired {
        0 => {}
        1 => details += "; one entry has expired since and was left out",
        many => {
            let _ = write!(
                details,
                "; {many} entries have expired since and were left out"
            );
        }
    }
    Ok(details)
}

/// Describes what is left to do by hand, with the data that was kept for it.
fn by_hand(id: &ResourceId, copy: &Snapshot) -> String {
    let kind = providers::by_name(id.kind.name());
    let is_restored = kind.is_some_and(|kind| kind.restore().is_some() && kind.backup().is_some());
    let mut text = if is_restored && copy.held.is_none() {
        "it was deleted without a backup; `backup = true` in its rule keeps one".to_owned()
    } else {
        format!("a {} {}", id.kind.noun, id.kind.undo)
    };
    let attributes = copy.attributes.iter().filter(|(_, value)| !is_empty(value));
    let attributes: Vec<_> = attributes
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key} {text}"),
            other => format!("{key} {other}"),
        })
        .collect();
    if !attributes.is_empty() {
        let _ = write!(text, "; it had: {}", attributes.join(", "));
    }
    let uses: Vec<_> = copy
        .uses
        .iter()
        .map(|(kind, which)| format!("{kind} {which}"))
        .collect();
    if !uses.is_empty() {
        let _ = write!(text, "; it used {}", uses.join(", "));
    }
    if let Some(held) = &copy.held {
        let _ = write!(text, "; its settings were {held}");
    }
    text
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Api, Place};
    use crate::wire::tests::{answered, client_of};

    fn at() -> DateTime<Utc> {
        "2026-05-01T00:00:00Z".parse().unwrap()
    }

    /// Writes the journal of a run that deleted a namespace, with these lines after
    /// that, and returns its name.
    fn journal(folder: &Path, more: &[JournalEntry]) -> String {
        let mut journal = Journal::begin(folder, at()).unwrap();
        let resource = JournaledResource {
            host: "127.0.0.1".to_owned(),
            kind: "kv_namespace".to_owned(),
            place: Place::Account("a".to_owned()),
            id: "old".into(),
            name: "cache".into(),
            holder: None,
            incarnation: None,
        };
        let begun = [
            JournalEntry::Intent {
                step: 0,
                at: at(),
                action: Action::Delete,
                resource,
                copy: Box::default(),
            },
            JournalEntry::Outcome {
                step: 0,
                at: at(),
                outcome: Outcome::Deleted,
                reason: String::new(),
            },
        ];
        journal.write(&begun).unwrap();
        journal.write(more).unwrap();
        journal.run().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_reads_the_journal_again_once_it_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let restored = JournalEntry::Restored {
            step: 0,
            at: at(),
            id: "new".to_owned(),
            unfilled: false,
            marked: false,
        };
        let run = journal(folder, &[restored]);
        let seen = journal::record(folder, &run).unwrap();
        let client = client_of(Api::Cloudflare, |_| answered(500, ""));
        let keeper = Keeper::new(&client, &Arc::default());
        let release = || release_in(folder, &seen, at(), |_, _| true, &keeper);
        assert_eq!(release().await.unwrap().len(), 1);
        // Another process saw the same, and is late.
        assert_eq!(release().await.unwrap().len(), 0);
        let record = journal::record(folder, &run).unwrap();
        assert_eq!(record.steps[&0].standing, StepState::Released);
    }
}
