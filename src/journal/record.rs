//! Reads journals. Each line is checked against the lines before it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::format::{JournalEntry, JournaledResource, SCHEMA, Snapshot};
use super::{JournalError, SUFFIX, io_error};
use crate::gc::Outcome;
use crate::policy::Action;

/// The state of a step in its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// A request may have been sent, and no outcome was recorded.
    Open,
    /// Its outcome is known.
    Settled(Outcome),
    /// It was deleted, and a request that makes it again may have been sent.
    Restoring,
    /// It was deleted and restored.
    Restored,
    /// It was restored and released, and may be deleted again.
    Released,
}

/// The error for a line that cannot follow the lines before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {what}")]
pub struct Breach {
    step: usize,
    what: &'static str,
}

/// Returns the state of a step after one more line.
fn advance(standing: Option<StepState>, entry: &JournalEntry) -> Result<Option<StepState>, Breach> {
    let breach = |step: usize, what| Err(Breach { step, what });
    match (standing, entry) {
        (standing, JournalEntry::Run { .. }) => Ok(standing),
        (Some(StepState::Open), JournalEntry::Intent { step, .. }) => {
            breach(*step, "a second intent before the outcome of the first")
        }
        (Some(StepState::Settled(outcome)), JournalEntry::Intent { step, .. })
            if outcome.is_gone() =>
        {
            breach(*step, "an intent after it was gone")
        }
        (
            Some(StepState::Restoring | StepState::Restored | StepState::Released),
            JournalEntry::Intent { step, .. },
        ) => breach(*step, "an intent after it was restored"),
        (_, JournalEntry::Intent { .. }) => Ok(Some(StepState::Open)),
        (
            None,
            JournalEntry::Outcome {
                step,
                outcome: Outcome::Deleted | Outcome::Expired | Outcome::ExpiryRemoved,
                ..
            },
        ) => breach(*step, "done without an intent"),
        (
            Some(StepState::Restoring | StepState::Restored | StepState::Released),
            JournalEntry::Outcome { step, .. },
        ) => breach(*step, "an outcome after it was restored"),
        (_, JournalEntry::Outcome { outcome, .. }) => Ok(Some(StepState::Settled(*outcome))),
        // A person may delete a restored resource, and restore it once more.
        (
            Some(StepState::Restoring | StepState::Restored | StepState::Released),
            JournalEntry::Restoring { .. },
        ) => Ok(Some(StepState::Restoring)),
        (Some(StepState::Settled(outcome)), JournalEntry::Restoring { .. })
            if outcome.is_gone() =>
        {
            Ok(Some(StepState::Restoring))
        }
        (Some(StepState::Restoring), JournalEntry::NotRestored { .. }) => {
            Ok(Some(StepState::Settled(Outcome::Deleted)))
        }
        (Some(StepState::Restoring), JournalEntry::Restored { .. }) => {
            Ok(Some(StepState::Restored))
        }
        (Some(StepState::Settled(outcome)), JournalEntry::Restored { .. }) if outcome.is_gone() => {
            Ok(Some(StepState::Restored))
        }
        (
            _,
            JournalEntry::Restoring { step, .. }
            | JournalEntry::NotRestored { step, .. }
            | JournalEntry::Restored { step, .. },
        ) => breach(*step, "restored without having been gone"),
        (
            Some(StepState::Restored),
            JournalEntry::Filled { .. } | JournalEntry::KeepChecked { .. },
        ) => Ok(Some(StepState::Restored)),
        (_, JournalEntry::Filled { step, .. }) => breach(*step, "filled without being restored"),
        (_, JournalEntry::KeepChecked { step, .. }) => breach(
            *step,
            "its \"keep\" box was checked without its being restored",
        ),
        (Some(StepState::Restoring | StepState::Restored), JournalEntry::Released { .. }) => {
            Ok(Some(StepState::Released))
        }
        (_, JournalEntry::Released { step, .. }) => {
            breach(*step, "released without being restored")
        }
    }
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// Its file.
    pub path: PathBuf,
    /// The name of the run.
    pub run: String,
    /// When the run began.
    pub at: DateTime<Utc>,
    /// The host of GitHub's API, if recorded.
    pub github: Option<String>,
    /// The ids of repositories, by their full names in lower case.
    pub repositories: BTreeMap<String, u64>,
    /// The steps that the run started or that have an outcome.
    pub steps: BTreeMap<usize, RecordedStep>,
}

/// One step of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStep {
    /// Its state.
    pub standing: StepState,
    /// Action, resource and snapshot; `None` for a step that was never started.
    pub intent: Option<(Action, JournaledResource, Snapshot)>,
    /// The reason of its state.
    pub reason: String,
    /// When it was restored, and its new id.
    pub back: Option<(DateTime<Utc>, String)>,
    /// Whether the contents of the restored resource have yet to be written.
    pub unfilled: bool,
    /// Whether it was restored with the mark that keeps it.
    pub marked: bool,
    /// The tracking issues in which its "keep" box was checked, by the full name of
    /// the repository in lower case.
    pub keep_checked: BTreeMap<String, u64>,
    /// When the last attempt to restore it began.
    pub begun_at: Option<DateTime<Utc>>,
}

impl RunRecord {
    /// Parses a journal. A last line without a newline was cut off by a crash
    /// and is ignored.
    pub fn parse(path: &Path, text: &str) -> Result<Self, JournalError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut record = Self {
            path: path.to_owned(),
            run: name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned(),
            at: DateTime::UNIX_EPOCH,
            github: None,
            repositories: BTreeMap::new(),
            steps: BTreeMap::new(),
        };
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let wrong = |why: String| JournalError::Line {
                path: path.to_owned(),
                line: index + 1,
                why,
            };
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            // Entries of a later version may not be readable at all.
            if let Ok(Begun { schema, .. }) = serde_json::from_str(line)
                && schema != SCHEMA
            {
                let path = path.to_owned();
                return Err(JournalError::Schema { path, schema });
            }
            let entry: JournalEntry =
                serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            record
                .take(entry)
                .map_err(|breach| wrong(breach.to_string()))?;
        }
        Ok(record)
    }

    fn take(&mut self, entry: JournalEntry) -> Result<(), Breach> {
        let step = match &entry {
            JournalEntry::Run {
                at,
                github,
                repositories,
                ..
            } => {
                self.at = *at;
                self.github.clone_from(github);
                self.repositories.clone_from(repositories);
                return Ok(());
            }
            JournalEntry::Intent { step, .. }
            | JournalEntry::Outcome { step, .. }
            | JournalEntry::Restoring { step, .. }
            | JournalEntry::NotRestored { step, .. }
            | JournalEntry::Restored { step, .. }
            | JournalEntry::Filled { step, .. }
            | JournalEntry::KeepChecked { step, .. }
            | JournalEntry::Released { step, .. } => *step,
        };
        let known = self.steps.get(&step);
        let Some(standing) = advance(known.map(|noted| noted.standing), &entry)? else {
            return Ok(());
        };
        let noted = self.steps.entry(step).or_insert(RecordedStep {
            standing,
            intent: None,
            reason: String::new(),
            back: None,
            unfilled: false,
            marked: false,
            keep_checked: BTreeMap::new(),
            begun_at: None,
        });
        noted.standing = standing;
        match entry {
            JournalEntry::Intent {
                action,
                resource,
                copy,
                ..
            } => noted.intent = Some((action, resource, *copy)),
            JournalEntry::Outcome { reason, .. } | JournalEntry::NotRestored { reason, .. } => {
                noted.reason = reason;
            }
            JournalEntry::Restoring { at, .. } => noted.begun_at = Some(at),
            JournalEntry::Restored {
                at,
                id,
                unfilled,
                marked,
                ..
            } => {
                // Another id has another box.
                if noted.back.as_ref().is_none_or(|(_, before)| *before != id) {
                    noted.keep_checked.clear();
                }
                noted.back = Some((at, id));
                noted.unfilled = unfilled;
                noted.marked = marked;
            }
            JournalEntry::KeepChecked {
                repository, issue, ..
            } => {
                noted.keep_checked.insert(repository, issue);
            }
            JournalEntry::Filled { .. } => noted.unfilled = false,
            JournalEntry::Released { .. } => {
                noted.marked = false;
                noted.keep_checked.clear();
            }
            JournalEntry::Run { .. } => {}
        }
        Ok(())
    }

    /// Returns the steps in doubt.
    pub fn open(&self) -> impl Iterator<Item = (usize, &RecordedStep)> {
        let in_doubt = |standing: StepState| {
            matches!(
                standing,
                StepState::Open | StepState::Settled(Outcome::InDoubt)
            )
        };
        let steps = self.steps.iter();
        steps
            .filter(move |(_, noted)| in_doubt(noted.standing))
            .map(|(step, noted)| (*step, noted))
    }

    /// Returns the resources that were restored and not released, each with the
    /// time and its new id.
    pub fn back(&self) -> impl Iterator<Item = (usize, &JournaledResource, DateTime<Utc>, &str)> {
        let steps = self.steps.iter();
        steps.filter_map(|(step, noted)| {
            let (_, written, _) = noted.intent.as_ref()?;
            let (at, id) = noted.back.as_ref()?;
            let is_back = noted.standing == StepState::Restored;
            is_back.then_some((*step, written, *at, &**id))
        })
    }

    /// Returns the resources that may have been restored, each with the time of
    /// that attempt: its result is unknown.
    pub fn restoring(&self) -> impl Iterator<Item = (usize, &JournaledResource, DateTime<Utc>)> {
        let steps = self.steps.iter();
        steps.filter_map(|(step, noted)| {
            let (_, written, _) = noted.intent.as_ref()?;
            let is_open = noted.standing == StepState::Restoring;
            is_open.then_some((*step, written, noted.begun_at?))
        })
    }
}

/// The fields of a first line that every version has.
#[derive(Deserialize)]
struct Begun {
    #[serde(rename = "entry")]
    _entry: RunTag,
    schema: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RunTag {
    Run,
}

/// Returns the complete lines of a journal. A crash may cut off the last one in
/// the middle of a character.
fn whole_lines<'b>(path: &Path, bytes: &'b [u8]) -> Result<&'b str, JournalError> {
    let whole = &bytes[..end_of_lines(bytes)];
    std::str::from_utf8(whole).map_err(|error| {
        let before = &whole[..error.valid_up_to()];
        JournalError::Line {
            path: path.to_owned(),
            line: before.split(|byte| *byte == b'\n').count(),
            why: "it is not UTF-8".to_owned(),
        }
    })
}

/// Returns the end of the last complete line.
pub(super) fn end_of_lines(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte == b'\n');
    last.map_or(0, |at| at + 1)
}

/// Reads all journals of a folder, oldest first. A missing folder has none.
pub fn records(folder: &Path) -> Result<Vec<RunRecord>, JournalError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(folder)(error)),
    };
    let mut records = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(SUFFIX) {
            let bytes = std::fs::read(&path).map_err(io_error(&path))?;
            records.push(RunRecord::parse(&path, whole_lines(&path, &bytes)?)?);
        }
    }
    records.sort_by(|a, b| (a.at, &a.run).cmp(&(b.at, &b.run)));
    Ok(records)
}

/// Reads the journal of one run.
pub fn record(folder: &Path, run: &str) -> Result<RunRecord, JournalError> {
    let found = records(folder)?.into_iter().find(|one| one.run == run);
    found.ok_or_else(|| JournalError::NoSuchRun {
        folder: folder.to_owned(),
        run: run.to_owned(),
    })
}
