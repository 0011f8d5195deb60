//! The journal: every step of a sweep, written to disk with a backup before its
//! request is sent, and every outcome.
//!
//! Each run has one file with one JSON value per line. Every prefix of a
//! journal is a valid journal: no request was sent after a line that a crash
//! cut off. The file is locked while its run is active, so that no other run
//! recovers steps that are still in flight.

mod format;
mod prune;
pub mod reads;
mod record;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use self::format::SCHEMA;
pub use self::format::{Implied, JournalEntry, JournaledResource, Snapshot};
pub use self::prune::prune;
pub use self::record::{Breach, RecordedStep, RunRecord, StepState, record, records};
pub use self::write::Journal;
use self::write::{locked, private};

/// How the file of a journal ends.
const SUFFIX: &str = ".journal.jsonl";

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

#[cfg(test)]
mod tests;
