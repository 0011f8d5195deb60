//! The progress of a running task.

use std::sync::{Mutex, PoisonError};

use crate::gc::Outcome;
use crate::progress::{Observer, ProgressEvent};

/// Progress, updated by the running task and drawn by the view.
#[derive(Debug, Default)]
pub struct Live(Mutex<Ongoing>);

#[derive(Debug, Default, Clone)]
pub(super) struct Ongoing {
    pub(super) text: String,
    pub(super) asked: usize,
    pub(super) planned: usize,
    pub(super) settled: Vec<SettledStep>,
    pub(super) quota_left: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct SettledStep {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) outcome: String,
}

impl Live {
    /// Clears progress that is over.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Ongoing::default();
    }

    pub(super) fn now(&self) -> Ongoing {
        let ongoing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ongoing.clone()
    }
}

impl Observer for Live {
    fn step(&self, event: ProgressEvent<'_>) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ProgressEvent::Listed(evidence) | ProgressEvent::Roots(evidence) => {
                now.text = format!("reading {}: {}", evidence.source, evidence.items);
            }
            ProgressEvent::Asking(count) => now.asked = count,
            ProgressEvent::Answered => {
                now.asked = now.asked.saturating_sub(1);
                now.text = format!("reading references: {} to go", now.asked);
            }
            ProgressEvent::Planned { steps, .. } => now.planned += steps,
            ProgressEvent::Settled {
                kind,
                name,
                id,
                outcome,
                quota_left,
            } => {
                now.settled.push(SettledStep {
                    kind,
                    name: name.to_owned(),
                    id: id.to_owned(),
                    outcome: Outcome::words(outcome),
                });
                now.quota_left = quota_left.or(now.quota_left);
            }
        }
    }
}
