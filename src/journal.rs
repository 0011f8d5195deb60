//! The journal: what a sweep is about to do, with a copy, on disk before the
//! request leaves, and what became of it.
//!
//! One file for each run, one JSON value on each line. Every prefix of a
//! journal is a journal: a line that was torn by a crash was not followed by
//! any request. The file is locked while its run goes on, so that nobody else
//! settles what is still under way.

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

/// So many of the newest journals are never pruned.
const KEPT: usize = 50;

/// A journal that is younger than this is never pruned.
const KEPT_FOR: TimeDelta = TimeDelta::days(30);

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The first line: a run began.
    Run {
        /// The version of the format.
        schema: u32,
        /// The run's name.
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
    /// A request is about to leave.
    Intent {
        /// The step, by its index in the plan.
        step: usize,
        /// When.
        at: DateTime<Utc>,
        /// What will be done.
        action: Action,
        /// To what.
        resource: Written,
        /// All that was known of it.
        copy: Box<Copy>,
    },
    /// What became of a step.
    Outcome {
        /// The step.
        step: usize,
        /// When.
        at: DateTime<Utc>,
        /// What became of it.
        outcome: Outcome,
        /// Why.
        reason: String,
    },
    /// What was deleted in this step is there again.
    Restored {
        /// The step.
        step: usize,
        /// When.
        at: DateTime<Utc>,
        /// The id that it has now.
        id: String,
    },
    /// A person agreed that what this step put back may be deleted again.
    Released {
        /// The step.
        step: usize,
        /// When.
        at: DateTime<Utc>,
    },
}

/// A resource as a journal names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Written {
    /// The host of its provider's API.
    pub host: String,
    /// The kind's name.
    pub kind: String,
    /// Where it is.
    pub place: Place,
    /// Its id.
    pub id: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// What holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Box<str>>,
    /// What changes when the same name is made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Box<str>>,
}

impl Written {
    /// As it stands in a journal.
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

    /// What it is addressed by, if its kind is known.
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
    /// Its id; none where only its name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// Its name.
    pub name: Box<str>,
    /// All that was known of it, and what goes with it in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Box<Copy>>,
}

/// All that was known of a resource before it was deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// The provider's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Value>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<DateTime<Utc>>,
    /// The id of its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<str>>,
    /// What its kind has besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// What it used, as far as that was asked: kinds with ids or names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<(String, String)>,
    /// What was asked for just before: methods and paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The expiry that it is given, or that is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// What it held, where its rule says `backup = true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Value>,
    /// What the provider removes with it, without a request of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub implied: Vec<Implied>,
}

impl Copy {
    /// What a listing gave.
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

/// How a step stands by its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A request may have left, and nobody wrote down what became of it.
    Open,
    /// Its outcome is known.
    Settled(Outcome),
    /// It was deleted and put back.
    Restored,
    /// It was put back, and may be deleted again.
    Released,
}

/// A line that cannot follow those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {what}")]
pub struct Breach {
    step: usize,
    what: &'static str,
}

/// How a step stands after one more line.
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

/// A journal as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its file.
    pub path: PathBuf,
    /// The run's name.
    pub run: String,
    /// When the run began.
    pub at: DateTime<Utc>,
    /// The host of GitHub's API, where the run says it.
    pub github: Option<String>,
    /// The ids of repositories, by their full names in lower case.
    pub repositories: BTreeMap<String, u64>,
    /// The steps that were begun or settled.
    pub steps: BTreeMap<usize, Noted>,
}

/// One step of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    /// How it stands.
    pub standing: Standing,
    /// What it is about, with the copy; none for what was never begun.
    pub intent: Option<(Action, Written, Copy)>,
    /// Why it stands so.
    pub reason: String,
    /// When it was put back, and the id that it has since.
    pub back: Option<(DateTime<Utc>, String)>,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is not an entry, or cannot follow those before it.
    #[error("{}:{line}: {why}", path.display())]
    Line {
        /// Where.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// Another version of this program wrote it.
    #[error("cannot read {}: its schema is {schema}, and this program knows {SCHEMA}; use the \
        version of preview-gc that wrote it, or move the file to another folder", path.display())]
    Schema {
        /// Where.
        path: PathBuf,
        /// The version of its format.
        schema: u32,
    },
    /// There is none of that name.
    #[error("there is no run {run} in {}; `restore --list` shows those there \
        are", folder.display())]
    NoSuchRun {
        /// Where.
        folder: PathBuf,
        /// Which.
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
    /// Reads a journal. A last line without an end was torn by a crash.
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
            // What a later version writes may not even be readable.
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
        let noted = self.steps.entry(step).or_insert(Noted {
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

    /// The steps of which nobody knows what became of them.
    pub fn open(&self) -> impl Iterator<Item = (usize, &Noted)> {
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

/// The part of a first line that every version has.
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
    /// Returns what this run deleted, what was put back, and what nobody has
    /// released since, each with the time and the id that it has now.
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

/// Removes old journals: those that are neither among the newest 50 nor younger
/// than 30 days. A journal stays while a step is in doubt, while it keeps what
/// was put back, while its run goes on, and while it is the newest that knows
/// the id of a repository. A file that cannot be removed is tried again by the
/// next run.
pub fn prune(folder: &Path, now: DateTime<Utc>) -> Result<(), JournalError> {
    let mut known: BTreeSet<(Option<String>, String)> = BTreeSet::new();
    for (newer, record) in records(folder)?.iter().rev().enumerate() {
        let repositories = record.repositories.keys().cloned();
        let news = repositories
            .map(|name| known.insert((record.github.clone(), name)))
            .fold(false, |news, new| news | new);
        let stays = news
            || newer < KEPT
            || now - record.at < KEPT_FOR
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

/// The lines of a journal that are whole. A crash may tear the last one in the
/// middle of a character.
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

/// Where the last whole line ends.
fn end_of_lines(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte == b'\n');
    last.map_or(0, |at| at + 1)
}

/// All journals of a folder, oldest first. Without a folder there is none.
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

/// The journal of one run.
pub fn record(folder: &Path, run: &str) -> Result<Record, JournalError> {
    let found = records(folder)?.into_iter().find(|one| one.run == run);
    found.ok_or_else(|| JournalError::NoSuchRun {
        folder: folder.to_owned(),
        run: run.to_owned(),
    })
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    run: String,
    file: File,
}

impl Journal {
    /// Begins the journal of a run, in a folder that is made if need be.
    pub fn begin(folder: &Path, at: DateTime<Utc>) -> Result<Self, JournalError> {
        Self::begin_with(folder, at, None, BTreeMap::new())
    }

    /// Begins the journal of a run that knows the ids of repositories, at the
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
        // The file's name has to survive as well.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(journal)
    }

    /// Goes on with the journal of a run that has ended; none while it goes on.
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
        // What was torn is taken away, or the next line would be torn as well.
        let text = std::fs::read(&path).map_err(io_error(&path))?;
        let whole = end_of_lines(&text) as u64;
        file.set_len(whole).map_err(io_error(&path))?;
        Ok(Some(Self {
            path,
            run: record.run.clone(),
            file,
        }))
    }

    /// The run's name.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes entries, which are on disk when this returns.
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

/// A copy may hold what only its owner should see.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
impl Journal {
    /// A journal whose file cannot be written any more, as on a full disk.
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
    fn a_journal_of_another_schema_is_named_with_the_way_out() {
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
        // What was written before repositories were recorded.
        let line = r#"{"entry":"run","schema":1,"run":"r","at":"2026-05-01T00:00:00Z"}"#;
        std::fs::write(&path, format!("{line}\n")).unwrap();
        assert!(records(folder.path()).unwrap()[0].repositories.is_empty());
    }

    #[test]
    fn old_journals_are_pruned_unless_they_are_still_needed() {
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
        // From the oldest on: what stays, and why.
        let old = [
            ("nothing", vec![]),
            ("open", vec![intent(0)]),
            ("in doubt", vec![intent(0), outcome(0, Outcome::InDoubt)]),
            ("settled", gone(0).to_vec()),
            ("put back", [&gone(0)[..], &[back(0)]].concat()),
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
        let exactly = begin(now - KEPT_FOR, &[]);
        names.insert(exactly.run().to_owned(), "of thirty days");
        drop(exactly);
        let second = TimeDelta::seconds(1);
        let younger = begin(now - KEPT_FOR + second, &[]);
        names.insert(younger.run().to_owned(), "younger");
        drop(younger);
        let left = || -> Vec<&str> {
            let records = records(folder.path()).unwrap();
            let runs = records
                .iter()
                .filter_map(|one| names.get(&one.run).copied());
            runs.collect()
        };
        // Few as they are, all of them are among the newest.
        prune(folder.path(), now).unwrap();
        assert_eq!(left().len(), names.len());
        for minute in 0..50 {
            begin(now - TimeDelta::minutes(minute), &[]);
        }
        prune(folder.path(), now).unwrap();
        let stays = [
            "open",
            "in doubt",
            "put back",
            "a repository",
            "under way",
            "younger",
        ];
        assert_eq!(left(), stays);
        drop(under_way);
        begin(now, &[("acme/gone", 8)]);
        prune(folder.path(), now).unwrap();
        assert_eq!(left(), ["open", "in doubt", "put back", "younger"]);
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
    fn what_cannot_have_happened_is_refused() {
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
        // What is put back was gone, and is not swept again by the same run.
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
    fn a_folder_that_is_not_there_has_no_journals_and_one_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(records(&folder.path().join("none")).unwrap(), []);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = records(&file).unwrap_err().to_string();
        assert!(error.starts_with(&file.display().to_string()), "{error}");
        // Others are let lie, whatever they hold.
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
    fn a_line_that_cannot_be_read_is_named() {
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
    fn a_journal_is_for_its_owner_alone() {
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
    fn a_run_that_goes_on_is_not_settled_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), DateTime::UNIX_EPOCH).unwrap();
        journal.write(&[intent(0)]).unwrap();
        let record = records(folder.path()).unwrap().remove(0);
        assert!(Journal::resume(&record).unwrap().is_none());
        drop(journal);
        // Torn by a crash.
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
