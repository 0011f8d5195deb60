//! What a sweep would do: the garbage, oldest death first, up to the cap.

use super::mark::Marking;
use crate::evidence::Inventory;

/// Steps by index into the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What would be deleted now, oldest death first.
    pub steps: Vec<usize>,
    /// Garbage that waits for a later run because of the cap.
    pub deferred: Vec<usize>,
    /// Garbage that its rule only reports.
    pub report_only: Vec<usize>,
}

/// The plan for a marking: only what is in its focus. Without complete roots
/// there is none.
pub fn plan(inventory: &Inventory, marking: &Marking<'_>, most: usize) -> Plan {
    let mut garbage = Vec::new();
    let mut plan = Plan::default();
    let resources = inventory.resources.iter().zip(&marking.judgements);
    for (index, (resource, judgement)) in resources.enumerate() {
        if let super::Verdict::Garbage(death) = &judgement.verdict
            && judgement.in_focus
        {
            if death.report_only {
                plan.report_only.push(index);
            } else {
                garbage.push((death.dead_since, &resource.name, index));
            }
        }
    }
    garbage.sort_unstable();
    plan.steps = garbage.into_iter().map(|(_, _, index)| index).collect();
    plan.deferred = plan.steps.split_off(most.min(plan.steps.len()));
    plan
}
