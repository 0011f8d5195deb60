//! Writes the journal of a run, and locks it while the run is active.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::format::{JournalEntry, SCHEMA};
use super::record::{RunRecord, end_of_lines};
use super::{JournalError, SUFFIX, io_error};

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
        journal.write(&[JournalEntry::Run {
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
    pub fn resume(record: &RunRecord) -> Result<Option<Self>, JournalError> {
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
    pub fn write(&mut self, entries: &[JournalEntry]) -> Result<(), JournalError> {
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

pub(super) fn locked(path: &Path, error: TryLockError) -> JournalError {
    let error = match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => io::Error::other("another run is using it"),
    };
    io_error(path)(error)
}

/// A snapshot may contain data that only its owner should see.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(feature = "sandbox")]
impl Journal {
    /// Starts a journal whose file cannot be written, as on a full disk: a
    /// fault for tests.
    pub fn begin_unwritable(folder: &Path, at: DateTime<Utc>) -> Result<Self, JournalError> {
        let mut journal = Self::begin(folder, at)?;
        journal.file = File::open(&journal.path).map_err(io_error(&journal.path))?;
        Ok(journal)
    }
}
