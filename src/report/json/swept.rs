//! What a sweep did, in the JSON: present only in the report of a sweep.

use serde::Serialize;

use crate::gc::Outcome;
use crate::sweep::recover::SettledEarlier;
use crate::sweep::{StepRow, Swept};

#[derive(Serialize)]
pub(super) struct SweptJson<'a> {
    /// The name of the run for `restore`; null if no step was begun.
    run: Option<&'a str>,
    steps: Vec<StepJson<'a>>,
    /// Steps of earlier runs that were in doubt and are recovered.
    settled: Vec<SettledJson<'a>>,
}

impl<'a> From<&'a Swept> for SweptJson<'a> {
    fn from(swept: &'a Swept) -> Self {
        Self {
            run: swept.run.as_deref(),
            steps: swept.steps.iter().map(StepJson::from).collect(),
            settled: swept.settled.iter().map(SettledJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct StepJson<'a> {
    kind: &'a str,
    name: &'a str,
    id: &'a str,
    outcome: Outcome,
    reason: &'a str,
}

impl<'a> From<&'a StepRow> for StepJson<'a> {
    fn from(step: &'a StepRow) -> Self {
        Self {
            kind: &step.kind,
            name: &step.name,
            id: &step.id,
            outcome: step.outcome,
            reason: &step.reason,
        }
    }
}

#[derive(Serialize)]
struct SettledJson<'a> {
    run: &'a str,
    kind: &'a str,
    name: &'a str,
    id: &'a str,
    outcome: Outcome,
    reason: &'a str,
}

impl<'a> From<&'a SettledEarlier> for SettledJson<'a> {
    fn from(one: &'a SettledEarlier) -> Self {
        Self {
            run: &one.run,
            kind: &one.kind,
            name: &one.name,
            id: &one.id,
            outcome: one.outcome,
            reason: &one.reason,
        }
    }
}
