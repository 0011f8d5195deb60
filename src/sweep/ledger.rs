//! What the lanes of a sweep share: the journal, the outcomes so far, and the
//! changes that the run made itself. The outcome in one lane can decide in
//! another: a Neon branch stays as long as a Hyperdrive configuration that uses
//! it does.
//!
//! All lanes run on one thread, and only [`Ledger::next_outcome`] waits.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::Done;
use crate::gc::Outcome;
use crate::journal::{Journal, JournalEntry, JournalError};
use crate::model::{ResourceId, Time};
use crate::survey::OwnChanges;

/// The journal, outcomes and own changes of a sweep.
pub(super) struct Ledger {
    state: RefCell<LedgerState>,
    /// Wakes lanes that wait for a step of another lane.
    recorded: Notify,
}

struct LedgerState {
    journal: Journal,
    /// The error that stopped writing of the journal. Nothing is sent after it.
    broken: Option<JournalError>,
    /// The outcome of each step that has ended.
    done: Vec<Option<Done>>,
    /// Resources that this run changed and will delete later.
    own: OwnChanges,
    /// What was already deleted of the contents of a step's resource.
    partly: BTreeMap<usize, String>,
}

impl Ledger {
    /// Creates the ledger of a sweep with so many steps.
    pub(super) fn new(journal: Journal, steps: usize) -> Self {
        Self {
            state: RefCell::new(LedgerState {
                journal,
                broken: None,
                done: vec![None; steps],
                own: OwnChanges::new(),
                partly: BTreeMap::new(),
            }),
            recorded: Notify::new(),
        }
    }

    /// Writes to the journal and returns whether the entries are on disk.
    pub(super) fn write(&self, entries: &[JournalEntry]) -> bool {
        let mut state = self.state.borrow_mut();
        if state.broken.is_some() {
            return false;
        }
        match state.journal.write(entries) {
            Ok(()) => true,
            Err(error) => {
                state.broken = Some(error);
                false
            }
        }
    }

    /// Returns whether the journal could not be written.
    pub(super) fn is_broken(&self) -> bool {
        self.state.borrow().broken.is_some()
    }

    /// Records what a step has done to its resource although that is still there.
    pub(super) fn record_part(&self, step: usize, what: String) {
        self.state.borrow_mut().partly.insert(step, what);
    }

    /// Returns the outcome with what the step has done before, if its resource stays: that
    /// is a failure, whatever spares the resource now.
    pub(super) fn with_part(&self, step: usize, done: Done) -> Done {
        match self.state.borrow().partly.get(&step) {
            Some(part) if !done.outcome.is_gone() => {
                let outcome = match done.outcome {
                    Outcome::Spared | Outcome::Deferred => Outcome::FailedForNow,
                    outcome => outcome,
                };
                Done::new(outcome, format!("{}; before that: {part}", done.reason))
            }
            _ => done,
        }
    }

    /// Records the outcome of a step.
    pub(super) fn record(&self, step: usize, done: Done) {
        if let Some(slot) = self.state.borrow_mut().done.get_mut(step) {
            *slot = Some(done);
        }
        self.recorded.notify_waiters();
    }

    /// Waits for the next outcome.
    pub(super) async fn next_outcome(&self) {
        self.recorded.notified().await;
    }

    /// Returns the outcome of a step that has ended.
    pub(super) fn outcome(&self, step: usize) -> Option<Outcome> {
        let state = self.state.borrow();
        state.done.get(step)?.as_ref().map(|done| done.outcome)
    }

    /// Returns those of the steps' resources that this run still deletes or has
    /// deleted.
    pub(super) fn to_delete(&self, ids: &[ResourceId]) -> BTreeSet<ResourceId> {
        let state = self.state.borrow();
        let will_be_deleted =
            |done: &Option<Done>| done.as_ref().is_none_or(|done| done.outcome.is_gone());
        let ids = ids.iter().zip(&state.done);
        ids.filter(|(_, done)| will_be_deleted(done))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Returns the changes that this run made to resources that it deletes
    /// later.
    pub(super) fn own_changes(&self) -> OwnChanges {
        self.state.borrow().own.clone()
    }

    /// Records such a change with its time. `before` is the time of the last
    /// change by somebody else.
    pub(super) fn record_change(&self, id: &ResourceId, at: DateTime<Utc>, before: Time) {
        let own = &mut self.state.borrow_mut().own;
        let first = own.get(id).map_or(before, |(_, first)| *first);
        own.insert(id.clone(), (at, first));
    }

    /// Returns the outcomes of all steps, `None` for one that was not reached,
    /// and the error that stopped writing of the journal.
    pub(super) fn into_parts(self) -> (Vec<Option<Done>>, Option<JournalError>) {
        let LedgerState { broken, done, .. } = self.state.into_inner();
        (done, broken)
    }
}
