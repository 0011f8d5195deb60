//! Answers about single resources from earlier runs, stored in the journal
//! folder. An account with more Workers than one run may read is read over
//! several runs.
//!
//! Only runs that could not read everything write the file. It is safe to lose:
//! missing answers are read again. It contains names and ids of what resources
//! use, and no other part of a binding.
//!
//! An answer counts only for the same incarnation of a resource, and only while
//! its listing shows the same time of change and the same time of its newest
//! deployment. Where a listing lacks one of them, there is no answer.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{JournalError, io_error, locked, private};
use crate::model::{KindRef, Place, Reference, ReferenceKey, References, Resource};

const FILE: &str = "reads.json";

/// The version of the format.
const SCHEMA: u32 = 1;

/// Maximum number of answers in the file; the oldest are dropped.
const MAX_ANSWERS: usize = 20_000;

/// How long an answer is used. The check of its listing does not expire; this
/// limits the effect of a provider that shows wrong times.
const MAX_ANSWER_AGE: TimeDelta = TimeDelta::days(90);

/// Minimum time between the last change and the read. Listings lag: one that
/// already shows a change may be combined with an answer from before it.
const MIN_CHANGE_AGE: TimeDelta = TimeDelta::minutes(10);

/// Answers of earlier runs about single resources, and those that this run adds.
#[derive(Debug, Default)]
pub struct StoredReads {
    state: Mutex<StoreState>,
    /// Whether the file has a folder.
    kept: bool,
}

#[derive(Debug, Default)]
struct StoreState {
    entries: BTreeMap<StoredReadKey, StoredRead>,
    /// Whether this run or an earlier one was unable to read everything.
    needed: bool,
}

/// Host of the provider's API, kind, place and id.
type StoredReadKey = (String, String, Place, Box<str>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredRead {
    host: String,
    kind: String,
    place: Place,
    id: Box<str>,
    incarnation: Box<str>,
    changed_at: DateTime<Utc>,
    deployed_at: DateTime<Utc>,
    read_at: DateTime<Utc>,
    uses: Vec<Used>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Used {
    kind: String,
    by: By,
    key: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Id,
    Name,
    Address,
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct ReadsFile {
    schema: u32,
    entries: Vec<StoredRead>,
}

impl StoredRead {
    fn key(&self) -> StoredReadKey {
        key(&self.host, &self.kind, &self.place, &self.id)
    }

    /// Returns the resources that this one uses; `None` if a kind is unknown.
    fn references(&self, kinds: &[KindRef]) -> Option<References> {
        let uses = self.uses.iter().map(|used| {
            let kind = kinds.iter().find(|kind| kind.name() == used.kind)?.name();
            let text = used.key.clone();
            let key = match used.by {
                By::Id => ReferenceKey::Id(text),
                By::Name => ReferenceKey::Name(text),
                By::Address => ReferenceKey::Address(text),
            };
            Some(Reference { kind, key })
        });
        Some(References {
            uses: uses.collect::<Option<_>>()?,
            unknown: Vec::new(),
        })
    }
}

fn key(host: &str, kind: &str, place: &Place, id: &str) -> StoredReadKey {
    (host.to_owned(), kind.to_owned(), place.clone(), id.into())
}

/// A resource as listings show it.
#[derive(Debug, Clone, Copy)]
pub struct ListedResource<'a> {
    /// The host of its provider's API.
    pub host: &'a str,
    /// The resource.
    pub resource: &'a Resource,
    /// When its newest deployment was created, if a listing shows it.
    pub deployed_at: Option<DateTime<Utc>>,
}

impl ListedResource<'_> {
    fn key(&self) -> StoredReadKey {
        let one = self.resource;
        key(self.host, one.kind.name(), &one.place, &one.id)
    }

    /// Returns the values that must not change: incarnation, time of change,
    /// and time of the newest deployment; `None` if one is missing.
    fn state(&self) -> Option<(&str, DateTime<Utc>, DateTime<Utc>)> {
        let incarnation = self.resource.incarnation.as_deref()?;
        let changed_at = self.resource.changed_at.known()?;
        Some((incarnation, changed_at, self.deployed_at?))
    }

    /// Returns whether a later run can use an answer about it.
    pub fn can_be_stored(&self) -> bool {
        self.state().is_some()
    }
}

impl StoredReads {
    /// Opens the file of a folder. A missing or unreadable file counts as
    /// empty.
    pub fn open(folder: &Path) -> Self {
        let entries = fs::read(folder.join(FILE)).ok().and_then(|bytes| {
            let Schema { schema } = serde_json::from_slice(&bytes).ok()?;
            let written =
                (schema == SCHEMA).then(|| serde_json::from_slice::<ReadsFile>(&bytes))?;
            Some(written.ok()?.entries)
        });
        let entries = entries.into_iter().flatten();
        let entries: BTreeMap<StoredReadKey, StoredRead> =
            entries.map(|entry| (entry.key(), entry)).collect();
        let needed = !entries.is_empty();
        Self {
            state: Mutex::new(StoreState { entries, needed }),
            kept: true,
        }
    }

    /// Returns whether answers are saved for later runs.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Returns when a resource was last read, even if it changed since.
    pub fn last_read(&self, listed: &ListedResource<'_>) -> Option<DateTime<Utc>> {
        Some(self.state().entries.get(&listed.key())?.read_at)
    }

    /// Returns what a resource uses, if its listings prove that its deployment
    /// has not changed since it was read.
    pub fn find(
        &self,
        listed: &ListedResource<'_>,
        now: DateTime<Utc>,
        kinds: &[KindRef],
    ) -> Option<References> {
        let (incarnation, changed_at, deployed_at) = listed.state()?;
        let state = self.state();
        let entry = state.entries.get(&listed.key())?;
        let same = *entry.incarnation == *incarnation
            && entry.changed_at == changed_at
            && entry.deployed_at == deployed_at;
        let settled = entry.read_at - MIN_CHANGE_AGE > changed_at.max(deployed_at);
        let current = entry.read_at <= now && now - entry.read_at < MAX_ANSWER_AGE;
        (same && settled && current)
            .then(|| entry.references(kinds))
            .flatten()
    }

    /// Records what a resource uses. A binding that could not be parsed may
    /// contain a secret, so such an answer is not saved.
    pub fn note(
        &self,
        listed: &ListedResource<'_>,
        read_at: DateTime<Utc>,
        references: &References,
    ) {
        let Some((incarnation, changed_at, deployed_at)) = listed.state() else {
            return;
        };
        let mut state = self.state();
        if !references.unknown.is_empty() {
            state.entries.remove(&listed.key());
            return;
        }
        let uses = references.uses.iter().map(|reference| Used {
            kind: reference.kind.to_owned(),
            by: match reference.key {
                ReferenceKey::Id(_) => By::Id,
                ReferenceKey::Name(_) => By::Name,
                ReferenceKey::Address(_) => By::Address,
            },
            key: reference.key.text().into(),
        });
        let (host, kind, place, id) = listed.key();
        let entry = StoredRead {
            host,
            kind,
            place,
            id,
            incarnation: incarnation.into(),
            changed_at,
            deployed_at,
            read_at,
            uses: uses.collect(),
        };
        state.entries.insert(entry.key(), entry);
    }

    /// Records that this run could not read everything.
    pub fn need(&self) {
        self.state().needed = true;
    }

    /// Writes the file, if a run needs it. If another run writes at the same
    /// time, that run wins.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn save(&self, folder: &Path, now: DateTime<Utc>) -> Result<(), JournalError> {
        let state = self.state();
        if !state.needed {
            return Ok(());
        }
        let entries = state.entries.values();
        let entries = entries.filter(|entry| now - entry.read_at < MAX_ANSWER_AGE);
        let mut entries: Vec<StoredRead> = entries.cloned().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.read_at));
        entries.truncate(MAX_ANSWERS);
        let schema = SCHEMA;
        let text = serde_json::to_vec(&ReadsFile { schema, entries }).unwrap_or_default();
        drop(state);
        fs::create_dir_all(folder).map_err(io_error(folder))?;
        let (path, new) = (folder.join(FILE), folder.join("reads.json.new"));
        let mut options = OpenOptions::new();
        // Truncates only after the lock is held, so that no other run is
        // writing.
        options.write(true).create(true).truncate(false);
        let mut file = private(&mut options).open(&new).map_err(io_error(&new))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(()),
            Err(error) => return Err(locked(&new, error)),
        }
        file.set_len(0).map_err(io_error(&new))?;
        file.write_all(&text).map_err(io_error(&new))?;
        file.sync_all().map_err(io_error(&new))?;
        fs::rename(&new, &path).map_err(io_error(&path))?;
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Time, UnknownBinding};
    use crate::providers;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const CHANGED: &str = "2026-05-01T00:00:00Z";
    const DEPLOYED: &str = "2026-05-02T00:00:00Z";
    const READ: &str = "2026-05-03T00:00:00Z";
    const LATER: &str = "2026-05-10T00:00:00Z";

    fn worker() -> Resource {
        let kind = providers::by_name("worker").unwrap().about();
        let place = Arc::new(Place::Account("a".to_owned()));
        Resource {
            incarnation: Some("tag".into()),
            changed_at: Time::At(at(CHANGED)),
            ..Resource::new(kind, &place, "app".into(), "app".into())
        }
    }

    fn listed(resource: &Resource) -> ListedResource<'_> {
        ListedResource {
            host: "api.example",
            resource,
            deployed_at: Some(at(DEPLOYED)),
        }
    }

    fn used() -> References {
        let by_id = |id: &str| Reference::by_id("kv_namespace", id.to_owned());
        References {
            uses: vec![by_id("0123"), Reference::by_name("r2", "b".to_owned())],
            unknown: Vec::new(),
        }
    }

    fn found(stored_reads: &StoredReads, listed: &ListedResource<'_>) -> Option<References> {
        stored_reads.find(listed, at(LATER), &providers::vocabulary())
    }

    fn noted() -> StoredReads {
        let stored_reads = StoredReads::default();
        stored_reads.note(&listed(&worker()), at(READ), &used());
        stored_reads
    }

    #[test]
    fn answer_counts_only_for_the_same_state() {
        let worker = worker();
        let same = listed(&worker);
        assert_eq!(found(&noted(), &same), Some(used()));
        let later = Some(at("2026-05-02T00:00:01Z"));
        for (case, resource, host, deployed_at) in [
            (
                "another host",
                worker.clone(),
                "other.example",
                same.deployed_at,
            ),
            ("a later deployment", worker.clone(), same.host, later),
            ("no deployment", worker.clone(), same.host, None),
            (
                "a later change",
                Resource {
                    changed_at: Time::At(at(DEPLOYED)),
                    ..worker.clone()
                },
                same.host,
                same.deployed_at,
            ),
            (
                "no change time",
                Resource {
                    changed_at: Time::Missing,
                    ..worker.clone()
                },
                same.host,
                same.deployed_at,
            ),
            (
                "another incarnation",
                Resource {
                    incarnation: Some("new".into()),
                    ..worker.clone()
                },
                same.host,
                same.deployed_at,
            ),
            (
                "no incarnation",
                Resource {
                    incarnation: None,
                    ..worker.clone()
                },
                same.host,
                same.deployed_at,
            ),
            (
                "another name",
                Resource {
                    id: "api".into(),
                    ..worker.clone()
                },
                same.host,
                same.deployed_at,
            ),
        ] {
            let other = ListedResource {
                host,
                resource: &resource,
                deployed_at,
            };
            assert_eq!(found(&noted(), &other), None, "{case}");
        }
    }

    #[test]
    fn answer_age_is_limited() {
        let (worker, kinds) = (worker(), providers::vocabulary());
        let listed = listed(&worker);
        let found = |read: &str, now: &str| {
            let stored_reads = StoredReads::default();
            stored_reads.note(&listed, at(read), &used());
            stored_reads.find(&listed, at(now), &kinds).is_some()
        };
        assert!(!found("2026-05-02T00:10:00Z", LATER));
        assert!(found("2026-05-02T00:10:01Z", LATER));
        assert!(!found(LATER, READ), "read in the future");
        assert!(found(READ, "2026-07-31T23:59:59Z"));
        assert!(!found(READ, "2026-08-01T00:00:00Z"));
    }

    #[test]
    fn file_omits_bindings_that_cannot_be_parsed() {
        let folder = tempfile::tempdir().unwrap();
        let worker = worker();
        let file = folder.path().join(FILE);
        let stored_reads = noted();
        stored_reads.save(folder.path(), at(LATER)).unwrap();
        assert!(!file.exists(), "everything could be read");

        let secret = UnknownBinding {
            sort: "new".into(),
            texts: vec!["hunter2".into()],
            any_of: None,
        };
        let odd = Resource {
            id: "odd".into(),
            ..worker.clone()
        };
        let references = References {
            unknown: vec![secret],
            ..used()
        };
        stored_reads.note(&listed(&odd), at(READ), &references);
        stored_reads.need();
        stored_reads.save(folder.path(), at(LATER)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("odd"), "{text}");
        let again = StoredReads::open(folder.path());
        assert_eq!(found(&again, &listed(&worker)), Some(used()));
        assert_eq!(again.last_read(&listed(&worker)), Some(at(READ)));
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(&file).unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }

        // An answer that is too old is dropped.
        again
            .save(folder.path(), at("2026-09-01T00:00:00Z"))
            .unwrap();
        let none = StoredReads::open(folder.path());
        assert_eq!(found(&none, &listed(&worker)), None);
    }

    #[test]
    fn unreadable_file_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let worker = worker();
        for broken in [
            "",
            "{",
            r#"{"schema": 2, "entries": []}"#,
            r#"{"schema": 1, "entries": [{}]}"#,
        ] {
            fs::write(&file, broken).unwrap();
            let stored_reads = StoredReads::open(folder.path());
            assert_eq!(found(&stored_reads, &listed(&worker)), None);
            stored_reads.note(&listed(&worker), at(READ), &used());
            stored_reads.need();
            stored_reads.save(folder.path(), at(LATER)).unwrap();
            let again = StoredReads::open(folder.path());
            assert_eq!(found(&again, &listed(&worker)), Some(used()), "{broken}");
        }
    }

    #[test]
    fn oldest_answers_are_dropped_first() {
        let folder = tempfile::tempdir().unwrap();
        let stored_reads = StoredReads::default();
        let named = |index: usize| Resource {
            id: format!("w{index}").into(),
            ..worker()
        };
        for index in 0..=MAX_ANSWERS {
            let read_at = at(READ) + TimeDelta::seconds(i64::try_from(index).unwrap());
            stored_reads.note(&listed(&named(index)), read_at, &References::default());
        }
        stored_reads.need();
        stored_reads.save(folder.path(), at(LATER)).unwrap();
        let again = StoredReads::open(folder.path());
        assert_eq!(again.state().entries.len(), MAX_ANSWERS);
        assert_eq!(again.last_read(&listed(&named(0))), None);
        assert!(again.last_read(&listed(&named(1))).is_some());
    }
}
