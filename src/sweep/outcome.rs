//! What a sweep did: its steps with their outcomes.

use std::collections::BTreeMap;

use super::recover::SettledEarlier;
use super::{Done, Proof};
use crate::gc::Outcome;
use crate::gc::box_key;
use crate::gc::plan_file::PlannedStep;
use crate::model::{Resource, ResourceId};

/// The result of a sweep.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    /// The name of the run for `restore`; `None` if no step was begun.
    pub run: Option<String>,
    /// All steps, in the order of the plan.
    pub steps: Vec<StepRow>,
    /// Steps of earlier runs that were in doubt and are recovered.
    pub settled: Vec<SettledEarlier>,
    /// The error that stopped writing of the journal, if any. Nothing was sent
    /// after it.
    pub broken: Option<String>,
}

/// The outcome of one step.
#[derive(Debug, Clone)]
pub struct StepRow {
    /// The kind of the resource.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its key in the tracking issue.
    pub key: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The reason.
    pub reason: String,
}

impl StepRow {
    /// Creates the row of an expiry that was to be removed.
    pub fn unexpired(id: &ResourceId, (outcome, reason): (Outcome, String)) -> Self {
        Self {
            kind: id.kind.name().to_owned(),
            name: id.name.to_string(),
            id: id.id.to_string(),
            key: box_key::of_parts(id.kind.name(), &id.place, &id.id, id.incarnation.as_deref()),
            outcome,
            reason,
        }
    }

    /// Creates the row of a planned step.
    pub fn of(step: &PlannedStep, done: Done) -> Self {
        // A step that went as planned keeps the reason of the plan.
        let reason = match (done.outcome, done.proof) {
            (Outcome::Deleted, Proof::AcceptedAndGone) => step.reason.clone(),
            (Outcome::Deleted | Outcome::Expired, _) => {
                format!("{}; {}", step.reason, done.reason)
            }
            _ => done.reason,
        };
        Self {
            kind: step.kind.to_string(),
            name: step.name.to_string(),
            id: step.id.to_string(),
            key: box_key::of_parts(
                &step.kind,
                &step.place,
                &step.id,
                step.incarnation.as_deref(),
            ),
            outcome: done.outcome,
            reason,
        }
    }

    /// Creates the row of garbage that is no step of the run.
    pub fn not_begun(resource: &Resource, done: Done) -> Self {
        let Done {
            outcome, reason, ..
        } = done;
        Self {
            kind: resource.kind.name().to_owned(),
            name: resource.name.to_string(),
            id: resource.id.to_string(),
            key: box_key::of(&resource.identity()),
            outcome,
            reason,
        }
    }
}

impl Swept {
    /// Counts steps by outcome.
    pub fn counts(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for step in &self.steps {
            *counts.entry(step.outcome).or_default() += 1;
        }
        counts
    }
}
