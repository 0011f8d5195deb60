//! A lane: steps that are carried out one after the other, and what is known
//! about them. [`super::machine`] carries them out.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Done;
use crate::gc::Outcome;

/// The contents of resources by their steps. They are read once, even if a step
/// is tried several times.
pub(super) type Backups = BTreeMap<usize, Value>;

/// The steps of one provider, or of one place whose provider takes one operation
/// at a time, and what is known about them. A step may wait for one of another
/// lane: a Neon branch for the Hyperdrive configuration that uses it.
pub(super) struct Lane {
    pub(super) pending: Vec<usize>,
    /// Number of tries of each step, and why the last one had no effect.
    pub(super) tries: BTreeMap<usize, (u32, String)>,
    pub(super) backups: Backups,
    /// Steps whose last answer asked to wait, each with that answer: it is not known
    /// whether their requests had an effect.
    pub(super) unconfirmed: BTreeMap<usize, String>,
    /// The expiries that steps set, from their first intent on.
    pub(super) expiries: BTreeMap<usize, DateTime<Utc>>,
    /// Number of requests of the last re-read; before the first, that of the
    /// listings.
    pub(super) reread_requests: usize,
    /// Results of the last consecutive rounds in which nothing could be sent.
    pub(super) without_effect: Vec<Done>,
    /// Steps that have had the lane re-read because what may use their resources was
    /// deleted in the meantime.
    pub(super) reread_for: BTreeSet<usize>,
}

impl Lane {
    /// Creates a lane of these steps. Re-reading takes about so many requests.
    pub(super) fn new(pending: Vec<usize>, reread_requests: usize) -> Self {
        Self {
            pending,
            tries: BTreeMap::new(),
            backups: Backups::new(),
            unconfirmed: BTreeMap::new(),
            expiries: BTreeMap::new(),
            reread_requests,
            without_effect: Vec::new(),
            reread_for: BTreeSet::new(),
        }
    }

    /// Returns the outcome of a step that ends before the effect of its last request was
    /// looked up.
    pub(super) fn with_doubt(&self, step: usize, done: Done) -> Done {
        match (self.unconfirmed.get(&step), done.outcome) {
            (Some(why), Outcome::Deferred | Outcome::FailedForNow) => {
                Done::new(Outcome::InDoubt, format!("{why}; {}", done.reason))
            }
            _ => done,
        }
    }
}
