//! The journal: every step of a sweep, written to disk with a backup before its
//! request is sent, and every outcome.
//!
//! Each run has one file with one JSON value per line. Every prefix of a
//! journal is a valid journal: no request was sent after a line that a crash
//! cut off. The file is locked while its run is active, so that no other run
//! recovers steps that are still in flight.

pub mod reads;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gc::Outcome;
use crate::model::{KindRef, Place, Resource, ResourceId};
use crate::policy::Action;

const SUFFIX: &str = ".journal.jsonl";

/// The version of the format.
const SCHEMA: u32 = 1;

/// Number of newest journals that are never pruned.
const NEVER_PRUNED: usize = 50;

/// A journal that is younger than this is never pruned.
const RETENTION: TimeDelta = TimeDelta::days(30);

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The first line: a run began.
    Run {
        /// The version of the format.
        schema: u32,
        /// The name of the run.
        run: String,
        /// When it began.
        at: DateTime<Utc>,
        /// The host of GitHub's API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        github: Option<String>,
        /// The ids of the repositories whose pull requests decided, by their
        /// full names in lower case.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        repositories: BTreeMap<String, u64>,
    },
    /// A request is about to be sent.
    Intent {
        /// The step, by its index in the plan.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// The action.
        action: Action,
        /// The resource.
        resource: Written,
        /// A snapshot of the resource.
        copy: Box<Snapshot>,
    },
    /// A step has an outcome.
    Outcome {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// The outcome.
        outcome: Outcome,
        /// The reason.
        reason: String,
    },
    /// The resource that this step deleted was restored.
    Restored {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
        /// Its new id.
        id: String,
    },
    /// A person released the restored resource of this step, so that it may be
    /// deleted again.
    Released {
        /// The step.
        step: usize,
        /// The time of the entry.
        at: DateTime<Utc>,
    },
}

/// A resource as a journal identifies it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Written {
    /// The host of its provider's API.
    pub host: String,
    /// The kind's name.
    pub kind: String,
    /// The account, zone, project or repository.
    pub place: Place,
    /// Its id.
    pub id: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The name of the resource that contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Box<str>>,
    /// The incarnation, which differs if the same name is created again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Box<str>>,
}

impl Written {
    /// Returns a resource as a journal identifies it.
    pub fn of(id: &ResourceId, host: String) -> Self {
        Self {
            host,
            kind: id.kind.name().to_owned(),
            place: Place::clone(&id.place),
            id: id.id.clone(),
            name: id.name.clone(),
            within: id.within.clone(),
            incarnation: id.incarnation.clone(),
        }
    }

    /// Returns the identity of the resource, if its kind is known.
    pub fn identity(&self, kinds: &[KindRef]) -> Option<ResourceId> {
        Some(ResourceId {
            kind: *kinds.iter().find(|kind| kind.name() == self.kind)?,
            place: Arc::new(self.place.clone()),
            id: self.id.clone(),
            name: self.name.clone(),
            within: self.within.clone(),
            incarnation: self.incarnation.clone(),
        })
    }
}

/// A resource that the provider removes together with another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Implied {
    /// The kind's name, or the name of its user source.
    pub kind: String,
    /// Its id; `None` if only its name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// Its name.
    pub name: Box<str>,
    /// A snapshot of it, with what is deleted with it in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Box<Snapshot>>,
}

/// A snapshot of a resource before it is deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The provider's own representation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Value>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<DateTime<Utc>>,
    /// The id of its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<str>>,
    /// Attributes that only its kind has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// Resources that it used, as far as they were read: kinds with ids or
    /// names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<(String, String)>,
    /// Requests that were sent just before: methods and paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The expiry that is set or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Its contents, if its rule has `backup = true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Value>,
    /// Resources that the provider removes with it, without separate requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub implied: Vec<Implied>,
}

impl Snapshot {
    /// Creates the snapshot from a listed resource.
    pub fn of(resource: &Resource) -> Self {
        let original = resource.original.as_deref();
        let attributes = resource.attributes.iter().map(|(key, value)| {
            let value = serde_json::to_value(value).unwrap_or_default();
            ((*key).to_owned(), value)
        });
        Self {
            original: original.and_then(|text| serde_json::from_str(text).ok()),
            created_at: resource.created_at.known(),
            changed_at: resource.changed_at.known(),
            parent: resource.parent.clone(),
            attributes: attributes.collect(),
            uses: Vec::new(),
            before: Vec::new(),
            expires_at: None,
            held: None,
            implied: Vec::new(),
        }
    }
}

/// The state of a step in its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A request may have been sent, and no outcome was recorded.
    Open,
    /// Its outcome is known.
    Settled(Outcome),
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
fn advance(standing: Option<Standing>, entry: &Entry) -> Result<Option<Standing>, Breach> {
    let breach = |step: usize, what| Err(Breach { step, what });
    match (standing, entry) {
        (standing, Entry::Run { .. }) => Ok(standing),
        (Some(Standing::Open), Entry::Intent { step, .. }) => {
            breach(*step, "a second intent before the outcome of the first")
        }
        (Some(Standing::Settled(outcome)), Entry::Intent { step, .. }) if outcome.is_gone() => {
            breach(*step, "an intent after it was gone")
        }
        (Some(Standing::Restored | Standing::Released), Entry::Intent { step, .. }) => {
            breach(*step, "an intent after it was restored")
        }
        (_, Entry::Intent { .. }) => Ok(Some(Standing::Open)),
        (
            None,
            Entry::Outcome {
                step,
                outcome: Outcome::Deleted | Outcome::Expired | Outcome::ExpiryRemoved,
                ..
            },
        ) => breach(*step, "done without an intent"),
        (Some(Standing::Restored | Standing::Released), Entry::Outcome { step, .. }) => {
            breach(*step, "an outcome after it was restored")
        }
        (_, Entry::Outcome { outcome, .. }) => Ok(Some(Standing::Settled(*outcome))),
        (Some(Standing::Settled(outcome)), Entry::Restored { .. }) if outcome.is_gone() => {
            Ok(Some(Standing::Restored))
        }
        (_, Entry::Restored { step, .. }) => breach(*step, "restored without having been gone"),
        (Some(Standing::Restored), Entry::Released { .. }) => Ok(Some(Standing::Released)),
        (_, Entry::Released { step, .. }) => breach(*step, "released without being restored"),
    }
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
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
    pub standing: Standing,
    /// Action, resource and snapshot; `None` for a step that was never started.
    pub intent: Option<(Action, Written, Snapshot)>,
    /// The reason of its state.
    pub reason: String,
    /// When it was restored, and its new id.
    pub back: Option<(DateTime<Utc>, String)>,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A line is not an entry, or cannot follow those before it.
    #[error("{}:{line}: {why}", path.display())]
    Line {
        /// The file or folder.
        path: PathBuf,
        /// The line number, counted from 1.
        line: usize,
        /// The reason.
        why: String,
    },
    /// Another version of this program wrote it.
    #[error("cannot read {}: its schema is {schema}, and this program knows {SCHEMA}; use the \
        version of preview-gc that wrote it, or move the file to another folder", path.display())]
    Schema {
        /// The file or folder.
        path: PathBuf,
        /// The version of its format.
        schema: u32,
    },
    /// No journal has that name.
    #[error("there is no run {run} in {}; `restore --list` shows those there \
        are", folder.display())]
    NoSuchRun {
        /// The file or folder.
        folder: PathBuf,
        /// The name of the run.
        run: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> JournalError + '_ {
    |error| JournalError::Io {
        path: path.to_owned(),
        error,
    }
}

impl Record {
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
            let entry: Entry =
                serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            record
                .take(entry)
                .map_err(|breach| wrong(breach.to_string()))?;
        }
        Ok(record)
    }

    fn take(&mut self, entry: Entry) -> Result<(), Breach> {
        let step = match &entry {
            Entry::Run {
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
            Entry::Intent { step, .. }
            | Entry::Outcome { step, .. }
            | Entry::Restored { step, .. }
            | Entry::Released { step, .. } => *step,
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
        });
        noted.standing = standing;
        match entry {
            Entry::Intent {
                action,
                resource,
                copy,
                ..
            } => noted.intent = Some((action, resource, *copy)),
            Entry::Outcome { reason, .. } => noted.reason = reason,
            Entry::Restored { at, id, .. } => noted.back = Some((at, id)),
            Entry::Run { .. } | Entry::Released { .. } => {}
        }
        Ok(())
    }

    /// Returns the steps in doubt.
    pub fn open(&self) -> impl Iterator<Item = (usize, &RecordedStep)> {
        let in_doubt = |standing: Standing| {
            matches!(
                standing,
                Standing::Open | Standing::Settled(Outcome::InDoubt)
            )
        };
        let steps = self.steps.iter();
        steps
            .filter(move |(_, noted)| in_doubt(noted.standing))
            .map(|(step, noted)| (*step, noted))
    }
}

/// The fields of a first line that every version has.
#[derive(Deserialize)]
struct Begun {
    #[serde(rename = "entry")]
    _entry: Run,
    schema: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Run {
    Run,
}

impl Record {
    /// Returns the resources that were restored and not released, each with the
    /// time and its new id.
    pub fn back(&self) -> impl Iterator<Item = (usize, &Written, DateTime<Utc>, &str)> {
        let steps = self.steps.iter();
        steps.filter_map(|(step, noted)| {
            let (_, written, _) = noted.intent.as_ref()?;
            let (at, id) = noted.back.as_ref()?;
            let is_back = noted.standing == Standing::Restored;
            is_back.then_some((*step, written, *at, &**id))
        })
    }
}

/// Removes journals that are older than 30 days and not among the newest 50. A
/// journal stays while a step is in doubt, while it protects a restored
/// resource, while its run is active, and while it is the newest one that knows
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
            || record.back().next().is_some();
        if stays {
            continue;
        }
        if let Some(held) = Journal::resume(record)? {
            let _ = std::fs::remove_file(held.path());
        }
    }
    Ok(())
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
fn end_of_lines(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte == b'\n');
    last.map_or(0, |at| at + 1)
}

/// Reads all journals of a folder, oldest first. A missing folder has none.
pub fn records(folder: &Path) -> Result<Vec<Record>, JournalError> {
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
            records.push(Record::parse(&path, whole_lines(&path, &bytes)?)?);
        }
    }
    records.sort_by(|a, b| (a.at, &a.run).cmp(&(b.at, &b.run)));
    Ok(records)
}

/// Reads the journal of one run.
pub fn record(folder: &Path, run: &str) -> Result<Record, JournalError> {
    let found = records(folder)?.into_iter().find(|one| one.run == run);
    found.ok_or_else(|| JournalError::NoSuchRun {
        folder: folder.to_owned(),
        run: run.to_owned(),
    })
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    run: String,
    file: File,
}

impl Journal {
    /// Starts the journal of a run and creates the folder if necessary.
    pub fn begin(folder: &Path, at: DateTime<Utc>) -> Result<Self, JournalError> {
        Self::begin_with(folder, at, None, BTreeMap::new())
    }

    /// Starts the journal of a run and records the ids of repositories with the
    /// host of GitHub's API.
    pub fn begin_with(
        folder: &Path,
        at: DateTime<Utc>,
        github: Option<String>,
        repositories: BTreeMap<String, u64>,
    ) -> Result<Self, JournalError> {
        std::fs::create_dir_all(folder).map_err(io_error(folder))?;
        let tail: String = std::iter::repeat_with(|| fastrand::digit(36))
            .take(4)
            .collect();
        let run = format!("{}-{tail}", at.format("%Y%m%dT%H%M%SZ"));
        let path = folder.join(format!("{run}{SUFFIX}"));
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let file = private(&mut options).open(&path).map_err(io_error(&path))?;
        file.try_lock().map_err(|error| locked(&path, error))?;
        let mut journal = Self { path, run, file };
        let run = journal.run.clone();
        journal.write(&[Entry::Run {
            schema: SCHEMA,
            run,
            at,
            github,
            repositories,
        }])?;
        // Syncs the folder too, so that the file's name survives a crash.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(journal)
    }

    /// Reopens the journal of a finished run; returns `None` while the run is
    /// active.
    pub fn resume(record: &Record) -> Result<Option<Self>, JournalError> {
        let path = record.path.clone();
        let file = OpenOptions::new()
            .append(true)
            .read(true)
            .open(&path)
            .map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(error) => return Err(locked(&path, error)),
        }
        // Removes a line that was cut off; otherwise the next line would be
        // appended to it.
        let text = std::fs::read(&path).map_err(io_error(&path))?;
        let whole = end_of_lines(&text) as u64;
        file.set_len(whole).map_err(io_error(&path))?;
        Ok(Some(Self {
            path,
            run: record.run.clone(),
            file,
        }))
    }

    /// The name of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes entries and syncs them to disk.
    pub fn write(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let mut text = String::new();
        for entry in entries {
            let line = serde_json::to_string(entry)
                .map_err(|error| io_error(&self.path)(io::Error::other(error)))?;
            text.push_str(&line);
            text.push('\n');
        }
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(io_error(&self.path))
    }
}

fn locked(path: &Path, error: TryLockError) -> JournalError {
    let error = match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => io::Error::other("another run is using it"),
    };
    io_error(path)(error)
}

/// A snapshot may contain data that only its owner should see.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
impl Journal {
    /// Creates a journal whose file cannot be written, as on a full disk.
    pub(crate) fn broken(folder: &Path, at: DateTime<Utc>) -> Self {
        let mut journal = Self::begin(folder, at).unwrap();
        journal.file = File::open(&journal.path).unwrap();
        journal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(step: usize) -> Entry {
        Entry::Intent {
            step,
            at: DateTime::UNIX_EPOCH,
            action: Action::Delete,
            resource: Written {
                host: "api.example".to_owned(),
                kind: "kv_namespace".to_owned(),
                place: Place::Account("a".to_owned()),
                id: "1".into(),
                name: "n".into(),
                within: None,
                incarnation: None,
            },
            copy: Box::default(),
        }
    }

    fn outcome(step: usize, outcome: Outcome) -> Entry {
        Entry::Outcome {
            step,
            at: DateTime::UNIX_EPOCH,
            outcome,
            reason: String::new(),
        }
    }

    #[test]
    fn journal_of_another_schema_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.journal.jsonl");
        for rest in ["", "{\"entry\":\"news\"}\n"] {
            let line = r#"{"entry":"run","schema":2,"begun":"later"}"#;
            std::fs::write(&path, format!("{line}\n{rest}")).unwrap();
            let error = records(folder.path()).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(error.contains("schema is 2"), "{error}");
            assert!(error.contains("move the file"), "{error}");
        }
        // The format from before repositories were recorded.
        let line = r#"{"entry":"run","schema":1,"run":"r","at":"2026-05-01T00:00:00Z"}"#;
        std::fs::write(&path, format!("{line}\n")).unwrap();
        assert!(records(folder.path()).unwrap()[0].repositories.is_empty());
    }

    #[test]
    fn old_journals_are_pruned_unless_needed() {
        let folder = tempfile::tempdir().unwrap();
        let now: DateTime<Utc> = "2026-05-01T00:00:00Z".parse().unwrap();
        let day = TimeDelta::days(1);
        let begin = |at, repositories: &[(&str, u64)]| {
            let repositories = repositories.iter();
            let repositories = repositories.map(|(name, id)| ((*name).to_owned(), *id));
            let host = Some("api.github.com".to_owned());
            Journal::begin_with(folder.path(), at, host, repositories.collect()).unwrap()
        };
        let back = |step| Entry::Restored {
            step,
            at: now,
            id: "2".to_owned(),
        };
        let released = |step| Entry::Released { step, at: now };
        let gone = |step| [intent(step), outcome(step, Outcome::Deleted)];
        // From the oldest on: which journals stay, and why.
        let old = [
            ("nothing", vec![]),
            ("open", vec![intent(0)]),
            ("in doubt", vec![intent(0), outcome(0, Outcome::InDoubt)]),
            ("settled", gone(0).to_vec()),
            ("restored", [&gone(0)[..], &[back(0)]].concat()),
            ("released", [&gone(0)[..], &[back(0), released(0)]].concat()),
        ];
        let mut names = BTreeMap::new();
        for (index, (name, entries)) in old.iter().enumerate() {
            let at = now - day * (90 - i32::try_from(index).unwrap());
            let mut journal = begin(at, &[]);
            journal.write(entries).unwrap();
            names.insert(journal.run().to_owned(), *name);
        }
        let known = begin(now - day * 70, &[("acme/gone", 7)]);
        names.insert(known.run().to_owned(), "a repository");
        let under_way = begin(now - day * 69, &[]);
        names.insert(under_way.run().to_owned(), "under way");
        drop(known);
        let exactly = begin(now - RETENTION, &[]);
        names.insert(exactly.run().to_owned(), "of thirty days");
        drop(exactly);
        let second = TimeDelta::seconds(1);
        let younger = begin(now - RETENTION + second, &[]);
        names.insert(younger.run().to_owned(), "younger");
        drop(younger);
        let left = || -> Vec<&str> {
            let records = records(folder.path()).unwrap();
            let runs = records
                .iter()
                .filter_map(|one| names.get(&one.run).copied());
            runs.collect()
        };
        // All of these few journals are among the newest.
        prune(folder.path(), now).unwrap();
        assert_eq!(left().len(), names.len());
        for minute in 0..50 {
            begin(now - TimeDelta::minutes(minute), &[]);
        }
        prune(folder.path(), now).unwrap();
        let stays = [
            "open",
            "in doubt",
            "restored",
            "a repository",
            "under way",
            "younger",
        ];
        assert_eq!(left(), stays);
        drop(under_way);
        begin(now, &[("acme/gone", 8)]);
        prune(folder.path(), now).unwrap();
        assert_eq!(left(), ["open", "in doubt", "restored", "younger"]);
    }

    #[test]
    fn every_prefix_of_a_journal_is_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), DateTime::UNIX_EPOCH).unwrap();
        journal.write(&[intent(0), intent(1)]).unwrap();
        journal.write(&[outcome(0, Outcome::Deleted)]).unwrap();
        let text = std::fs::read_to_string(journal.path()).unwrap();
        for end in 0..=text.len() {
            let record = Record::parse(journal.path(), &text[..end]).unwrap();
            assert!(record.steps.len() <= 2);
        }
        let whole = Record::parse(journal.path(), &text).unwrap();
        let open: Vec<_> = whole.open().map(|(step, _)| step).collect();
        assert_eq!(open, [1]);
    }

    #[test]
    fn impossible_entries_are_rejected() {
        let path = Path::new("r.journal.jsonl");
        let text = |entries: &[Entry]| -> String {
            let lines = entries
                .iter()
                .map(|entry| serde_json::to_string(entry).unwrap());
            lines.map(|line| line + "\n").collect()
        };
        for entries in [
            vec![outcome(0, Outcome::Deleted)],
            vec![intent(0), intent(0)],
            vec![intent(0), outcome(0, Outcome::Deleted), intent(0)],
        ] {
            let error = Record::parse(path, &text(&entries)).unwrap_err();
            assert!(error.to_string().starts_with("r.journal.jsonl:"), "{error}");
        }
        let again = [intent(0), outcome(0, Outcome::FailedForNow), intent(0)];
        assert!(Record::parse(path, &text(&again)).is_ok());
        // A restored resource was deleted before, and the same run does not
        // sweep it again.
        let restored = || Entry::Restored {
            step: 0,
            at: DateTime::UNIX_EPOCH,
            id: "2".to_owned(),
        };
        for gone in [Outcome::Deleted, Outcome::AlreadyGone] {
            let lines = [intent(0), outcome(0, gone), restored()];
            let record = Record::parse(path, &text(&lines)).unwrap();
            assert_eq!(record.steps[&0].standing, Standing::Restored);
            for after in [outcome(0, Outcome::InDoubt), intent(0), restored()] {
                let lines = [&lines[..], &[after]].concat();
                assert!(Record::parse(path, &text(&lines)).is_err(), "{lines:?}");
            }
        }
        for lines in [
            vec![restored()],
            vec![intent(0), restored()],
            vec![intent(0), outcome(0, Outcome::Spared), restored()],
        ] {
            assert!(Record::parse(path, &text(&lines)).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn missing_folder_is_empty_and_unreadable_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(records(&folder.path().join("none")).unwrap(), []);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = records(&file).unwrap_err().to_string();
        assert!(error.starts_with(&file.display().to_string()), "{error}");
        // Other files are ignored.
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        let at = "2026-05-01T00:00:00Z".parse().unwrap();
        let first = Journal::begin(folder.path(), at).unwrap();
        let earlier = Journal::begin(folder.path(), at - chrono::TimeDelta::hours(1)).unwrap();
        let runs: Vec<_> = records(folder.path())
            .unwrap()
            .into_iter()
            .map(|one| one.run)
            .collect();
        assert_eq!(runs, [earlier.run(), first.run()]);
        assert!(first.run().starts_with("20260501T000000Z-"));
        assert_eq!(record(folder.path(), first.run()).unwrap().at, at);
        let none = record(folder.path(), "nope").unwrap_err().to_string();
        assert!(
            none.contains("nope") && none.contains("restore --list"),
            "{none}"
        );
    }

    #[test]
    fn unreadable_line_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.journal.jsonl");
        let line = serde_json::to_string(&intent(0)).unwrap() + "\n";
        let bytes = [line.as_bytes(), line.as_bytes(), b"\xff\n", line.as_bytes()].concat();
        std::fs::write(&path, &bytes).unwrap();
        let error = records(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("r.journal.jsonl:3: it is not UTF-8"),
            "{error}"
        );
        std::fs::write(&path, line.replace("intent", "wish")).unwrap();
        let error = records(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("r.journal.jsonl:1: ") && error.contains("wish"),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn journal_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::begin(folder.path(), DateTime::UNIX_EPOCH).unwrap();
        let mode = std::fs::metadata(journal.path())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn active_run_is_not_recovered_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), DateTime::UNIX_EPOCH).unwrap();
        journal.write(&[intent(0)]).unwrap();
        let record = records(folder.path()).unwrap().remove(0);
        assert!(Journal::resume(&record).unwrap().is_none());
        drop(journal);
        // The last line was cut off by a crash.
        let mut file = OpenOptions::new().append(true).open(&record.path).unwrap();
        file.write_all(b"{\"entry\":\"outc").unwrap();
        drop(file);
        let mut journal = Journal::resume(&record).unwrap().unwrap();
        journal.write(&[outcome(0, Outcome::Deleted)]).unwrap();
        let settled = records(folder.path()).unwrap().remove(0);
        assert_eq!(settled.open().count(), 0);
        assert_eq!(settled.steps.len(), 1);
    }
}
