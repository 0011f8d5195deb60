//! What a sweep would do: the garbage, oldest death first, up to the cap, each
//! step after those that have to be gone before it.

mod order;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use self::order::{Blockers, StepOrder};
use super::mark::{Judgement, Marking};
use super::verdict::Verdict;
use crate::evidence::Inventory;
use crate::model::Claim;
use crate::policy::{Action, Rule};

/// Steps by index into the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What would be done now: what died first comes first, with everything
    /// else that belonged to the same.
    pub steps: Vec<Step>,
    /// Garbage that waits for a later run because of the cap.
    pub deferred: Vec<usize>,
    /// Garbage that can only be deleted in one run with so many others that the cap
    /// never allows it, with how many these are. It is among the deferred.
    pub oversized: BTreeMap<usize, usize>,
    /// Garbage that its rule only reports.
    pub report_only: Vec<usize>,
    /// The resources of steps that the provider will most likely refuse, because
    /// something that stays names them: a Worker that consumes a queue. They stay,
    /// and keep what they use.
    pub likely_refused: BTreeSet<usize>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The resource, by its index in the inventory.
    pub resource: usize,
    /// What is done to it: never [`Action::Report`].
    pub action: Action,
    /// Whether what it holds is kept before.
    pub backup: bool,
    /// The steps that have to be gone before, by their index in the plan: what
    /// uses it, and its children.
    pub after: Vec<usize>,
    /// The steps whose resources stop binding this one just before it is
    /// deleted, by their index in the plan: they bind each other, and the
    /// provider deletes none of them as long as another binds it.
    pub unbinds: Vec<usize>,
}

impl Plan {
    /// Leaves steps for a later run, and those that wait for them.
    pub fn defer(&mut self, which: impl Fn(&Step) -> bool) {
        let mut left: BTreeSet<usize> = BTreeSet::new();
        loop {
            let before = left.len();
            for (index, step) in self.steps.iter().enumerate() {
                let mut needs = step.after.iter().chain(&step.unbinds);
                if which(step) || needs.any(|need| left.contains(need)) {
                    left.insert(index);
                }
            }
            if left.len() == before {
                break;
            }
        }
        let position: HashMap<usize, usize> = (0..self.steps.len())
            .filter(|index| !left.contains(index))
            .enumerate()
            .map(|(at, index)| (index, at))
            .collect();
        let steps = std::mem::take(&mut self.steps);
        for (index, mut step) in steps.into_iter().enumerate() {
            if left.contains(&index) {
                self.deferred.push(step.resource);
                continue;
            }
            for need in step.after.iter_mut().chain(&mut step.unbinds) {
                *need = position[need];
            }
            self.steps.push(step);
        }
    }
}

/// Garbage that may be deleted.
struct Candidate<'a> {
    resource: usize,
    action: Action,
    backup: bool,
    report_only: bool,
    /// What it belonged to: a file's claim.
    group: (usize, &'a Claim),
    /// Its kind's place in the order of deletions.
    rank: usize,
    dead_since: Option<DateTime<Utc>>,
}

/// The plan for a marking: only what is in its focus. Without complete roots
/// there is none.
pub fn plan(inventory: &Inventory, marking: &Marking<'_>, maximum: usize) -> Plan {
    plan_without(inventory, marking, maximum, &BTreeSet::new())
}

/// The same where these resources, by their indices, have to wait for a later
/// run, with all that has to go after them, and take no place from others.
pub fn plan_without(
    inventory: &Inventory,
    marking: &Marking<'_>,
    maximum: usize,
    waiting: &BTreeSet<usize>,
) -> Plan {
    let (report_only, candidates): (Vec<_>, Vec<_>) = garbage(inventory, marking)
        .into_iter()
        .partition(|candidate| candidate.report_only);
    let plan = Plan {
        report_only: report_only.iter().map(|one| one.resource).collect(),
        ..Plan::default()
    };
    let candidates = oldest_first(inventory, candidates);
    let waits = candidates.iter().enumerate();
    let waits = waits.filter(|(_, candidate)| waiting.contains(&candidate.resource));
    let waits = waits.map(|(index, _)| index).collect();
    cap(inventory, candidates, &waits, maximum, plan)
}

/// Returns all garbage in the order in which a person can delete it, whether or not
/// a sweep would; each with whether others bind it that can only go after it.
pub fn by_hand(inventory: &Inventory, marking: &Marking<'_>) -> Vec<(usize, bool)> {
    let candidates = oldest_first(inventory, garbage(inventory, marking));
    let StepOrder { before, unbinds } = StepOrder::of(inventory, &candidates);
    let mut waiting: BTreeSet<usize> = (0..candidates.len()).collect();
    let mut order = Vec::new();
    while let Some(first) = waiting.first().copied() {
        let ready = |index: &usize| before[*index].iter().all(|need| !waiting.contains(need));
        let next = waiting.iter().copied().find(ready).unwrap_or(first);
        waiting.remove(&next);
        let bound = unbinds[next].iter().any(|user| waiting.contains(user));
        order.push((candidates[next].resource, bound));
    }
    order
}

/// Returns all garbage in the focus, in the order of the inventory.
fn garbage<'a>(inventory: &Inventory, marking: &'a Marking<'_>) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for (resource, judgement) in marking.judgements.iter().enumerate() {
        let Verdict::Garbage(death) = &judgement.verdict else {
            continue;
        };
        let (Some(matched_by), true) = (&judgement.matched_by, judgement.in_focus) else {
            continue;
        };
        let kind = inventory.resources[resource].kind;
        let (action, backup) = wanted(marking, judgement);
        let order = marking.input.graph.kinds().iter();
        candidates.push(Candidate {
            resource,
            action,
            backup,
            report_only: death.report_only,
            group: (matched_by.policy_scope, &matched_by.claim),
            rank: order.take_while(|other| **other != kind).count(),
            dead_since: death.dead_since,
        });
    }
    candidates
}

/// Sorts candidates: what died first comes first, with everything else that
/// belonged to the same.
fn oldest_first<'a>(
    inventory: &Inventory,
    mut candidates: Vec<Candidate<'a>>,
) -> Vec<Candidate<'a>> {
    let mut died: BTreeMap<(usize, &Claim), Option<DateTime<Utc>>> = BTreeMap::new();
    for candidate in &candidates {
        let first = died.entry(candidate.group).or_insert(candidate.dead_since);
        *first = (*first).min(candidate.dead_since);
    }
    candidates.sort_by_cached_key(|candidate| {
        let name = inventory.resources[candidate.resource].name.clone();
        let first = died.get(&candidate.group).copied().flatten();
        let claim = (candidate.group.0, candidate.group.1.clone());
        (first, claim, candidate.rank, name, candidate.resource)
    });
    candidates
}

/// Takes as many as the cap allows, nothing without what has to go before it. A
/// Worker whose route waits would leave that route behind.
fn cap(
    inventory: &Inventory,
    candidates: Vec<Candidate<'_>>,
    waits: &BTreeSet<usize>,
    maximum: usize,
    mut plan: Plan,
) -> Plan {
    let StepOrder { before, unbinds } = StepOrder::of(inventory, &candidates);
    let Blockers { along, held } = Blockers::of(inventory, &candidates);
    let mut taken = BTreeSet::new();
    let together = |candidate: usize, taken: &BTreeSet<usize>| {
        let mut together = BTreeSet::new();
        let mut open = vec![candidate];
        while let Some(next) = open.pop() {
            if !taken.contains(&next) && together.insert(next) {
                open.extend(before[next].iter().chain(&unbinds[next]));
                open.extend(&along[next]);
            }
        }
        together
    };
    // What most likely cannot go takes no place from what can.
    for last in [false, true] {
        for candidate in 0..candidates.len() {
            let together = together(candidate, &taken);
            let in_turn = (last || together.is_disjoint(&held)) && together.is_disjoint(waits);
            if in_turn && taken.len() + together.len() <= maximum {
                taken.extend(together);
            }
        }
    }
    let position: HashMap<usize, usize> = taken
        .iter()
        .enumerate()
        .map(|(at, &one)| (one, at))
        .collect();
    let likely_refused = held.intersection(&taken);
    let likely_refused = likely_refused.map(|&index| candidates[index].resource);
    plan.likely_refused = likely_refused.collect();
    // Whether a candidate could go in some run, with all that has to go with it.
    let mut known: Vec<Option<bool>> = vec![None; candidates.len()];
    let mut fits = |candidate: usize| {
        *known[candidate].get_or_insert_with(|| {
            let mut with_it = BTreeSet::new();
            let mut open = vec![candidate];
            while let Some(next) = open.pop() {
                if waits.contains(&next) || with_it.len() > maximum {
                    return false;
                }
                if with_it.insert(next) {
                    open.extend(
                        before[next]
                            .iter()
                            .chain(&unbinds[next])
                            .chain(&along[next]),
                    );
                }
            }
            with_it.len() <= maximum
        })
    };
    for (index, candidate) in candidates.into_iter().enumerate() {
        if !taken.contains(&index) {
            plan.deferred.push(candidate.resource);
            // What goes in an earlier run makes its group smaller. Where nothing of it
            // fits, or only what waits for the rest, no run ever begins.
            let group = together(index, &BTreeSet::new());
            let mut members = group.iter();
            if maximum > 0 && group.len() > maximum && !members.any(|one| fits(*one)) {
                plan.oversized.insert(candidate.resource, group.len());
            }
            continue;
        }
        let mut after: Vec<usize> = before[index].iter().map(|one| position[one]).collect();
        after.sort_unstable();
        let unbinds = unbinds[index].iter().map(|one| position[one]).collect();
        plan.steps.push(Step {
            resource: candidate.resource,
            action: candidate.action,
            backup: candidate.backup,
            after,
            unbinds,
        });
    }
    plan
}

/// What is done to garbage now, and whether what it holds is kept before.
pub fn wanted(marking: &Marking<'_>, judgement: &Judgement) -> (Action, bool) {
    let backup = rules(marking, judgement).any(|rule| rule.backup);
    (action(marking, judgement), backup)
}

/// The rules by which a resource is garbage.
fn rules<'a>(marking: &'a Marking<'_>, judgement: &'a Judgement) -> impl Iterator<Item = &'a Rule> {
    let others = judgement.others.iter().map(|(matched_by, _)| matched_by);
    let matches = judgement.matched_by.iter().chain(others);
    matches.filter_map(|matched_by| marking.rule(matched_by).map(|(_, rule)| rule))
}

/// The gentlest that any of its rules asks for.
fn action(marking: &Marking<'_>, judgement: &Judgement) -> Action {
    let expires = rules(marking, judgement).any(|rule| rule.action == Action::Expire);
    if expires {
        Action::Expire
    } else {
        Action::Delete
    }
}

#[cfg(test)]
mod tests;
