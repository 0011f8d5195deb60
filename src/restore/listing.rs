//! Lists earlier runs with what can be restored of each.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::journal::{self, JournalError, RecordedStep, Snapshot, StepState};
use crate::model::KindRef;
use crate::providers;

/// Whether a resource can be restored according to its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restorable {
    /// The journal has all that is needed.
    Yes,
    /// The provider decides.
    ProviderDecides,
    /// No.
    No,
}

/// A run with its steps, as `restore --list` shows it.
#[derive(Debug, Serialize)]
pub struct ListedRun {
    /// The run.
    pub run: String,
    /// When it began.
    pub at: DateTime<Utc>,
    /// Its steps.
    pub steps: Vec<ListedStep>,
}

/// A step of a run, as `restore --list` shows it.
#[derive(Debug, Serialize)]
pub struct ListedStep {
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The id.
    pub id: String,
    /// Its state: an outcome, `in_doubt`, `restoring`, `restored` or
    /// `released`.
    pub outcome: &'static str,
    /// Whether it can be restored.
    pub restorable: Restorable,
    /// How its kind is restored.
    pub undo: Option<&'static str>,
    /// What was deleted with it.
    pub implied: Vec<ListedImplied>,
}

/// A resource that was deleted together with that of a step.
#[derive(Debug, Serialize)]
pub struct ListedImplied {
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The id.
    pub id: Option<String>,
}

/// Lists the runs of a folder, oldest first.
///
/// # Errors
///
/// When a journal cannot be read.
pub fn list(folder: &Path) -> Result<Vec<ListedRun>, JournalError> {
    let kinds: Vec<KindRef> = providers::vocabulary();
    let records = journal::records(folder)?;
    let listed = records.into_iter().map(|record| ListedRun {
        steps: record
            .steps
            .values()
            .filter_map(|noted| listed(noted, &kinds))
            .collect(),
        run: record.run,
        at: record.at,
    });
    Ok(listed.collect())
}

fn listed(noted: &RecordedStep, kinds: &[KindRef]) -> Option<ListedStep> {
    let (_, written, copy) = noted.intent.as_ref()?;
    Some(ListedStep {
        kind: written.kind.clone(),
        name: written.name.to_string(),
        id: written.id.to_string(),
        outcome: match noted.standing {
            StepState::Open => "in_doubt",
            StepState::Settled(outcome) => outcome.name(),
            StepState::Restoring => "restoring",
            StepState::Restored => "restored",
            StepState::Released => "released",
        },
        restorable: restorable(noted, kinds).unwrap_or(Restorable::No),
        undo: written.identity(kinds).map(|id| {
            if lacks_backup(id.kind, copy) {
                "cannot be restored: no backup of it was made"
            } else {
                id.kind.undo
            }
        }),
        implied: implied(copy),
    })
}

/// Returns whether only a backup could restore a resource of this kind, and the
/// journal has none.
fn lacks_backup(kind: KindRef, copy: &Snapshot) -> bool {
    let needs_backup = providers::by_name(kind.name()).is_some_and(|kind| kind.backup().is_some());
    needs_backup && copy.held.is_none()
}

/// Returns whether a journal contains what is needed to restore a step.
fn restorable(noted: &RecordedStep, kinds: &[KindRef]) -> Option<Restorable> {
    let (_, written, copy) = noted.intent.as_ref()?;
    let id = written.identity(kinds)?;
    let kind = providers::by_name(id.kind.name())?;
    let may_be_gone = match noted.standing {
        StepState::Settled(outcome) => outcome.is_gone(),
        StepState::Restoring => true,
        StepState::Open | StepState::Restored | StepState::Released => false,
    };
    if !may_be_gone || lacks_backup(id.kind, copy) {
        return None;
    }
    let restore = kind.restore()?;
    restore.recreate(&id, copy.original.as_ref())?;
    Some(if restore.recovery().is_some() {
        Restorable::ProviderDecides
    } else {
        Restorable::Yes
    })
}

/// Returns the resources that were deleted with a resource, directly or
/// indirectly.
fn implied(copy: &Snapshot) -> Vec<ListedImplied> {
    let all = copy.implied.iter().flat_map(|one| {
        let itself = ListedImplied {
            kind: one.kind.clone(),
            name: one.name.to_string(),
            id: one.id.as_deref().map(str::to_owned),
        };
        let more = one.copy.as_deref().map(implied).unwrap_or_default();
        std::iter::once(itself).chain(more)
    });
    all.collect()
}
