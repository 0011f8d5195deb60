//! What a sweep would do: the garbage, oldest death first, up to the cap, each
//! step after those that have to be gone before it.

mod order;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use self::order::{Blockers, StepOrder};
use super::mark::{Judgement, Marking};
use super::verdict::Verdict;
use crate::evidence::Inventory;
use crate::model::{Claim, KindRef};
use crate::policy::{Action, Rule};

/// Steps by index into the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What would be done now: what died first comes first, with everything
    /// else that belonged to the same.
    pub steps: Vec<Step>,
    /// Garbage that waits for a later run: because of the cap, unless `oversized` or
    /// `waits` has it.
    pub deferred: Vec<usize>,
    /// Garbage that can only be deleted in one run with so many others that the cap
    /// never allows it, with how many these are. It is among the deferred.
    pub oversized: BTreeMap<usize, usize>,
    /// Garbage that waits for something else than a place in a run, with the reason. It
    /// is among the deferred.
    pub waits: BTreeMap<usize, String>,
    /// Garbage whose deletion the provider would refuse, each with the resource that
    /// stays and names it: a Worker that consumes a queue.
    pub held: BTreeMap<usize, usize>,
    /// Garbage that its rule only reports.
    pub report_only: Vec<usize>,
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
    /// Whether what it holds is deleted first, where it is only deleted empty.
    pub empty: bool,
    /// The steps that have to be gone before, by their index in the plan: what
    /// uses it, and its children.
    pub after: Vec<usize>,
    /// The steps whose resources stop binding this one just before it is
    /// deleted, by their index in the plan: they bind each other, and the
    /// provider deletes none of them as long as another binds it.
    pub unbinds: Vec<usize>,
    /// The step with whose resource this one is deleted, and without which it stays, by
    /// its index in the plan.
    pub deleted_with: Option<usize>,
}

impl Step {
    /// The steps without which this one is not taken.
    pub fn needs(&self) -> impl Iterator<Item = &usize> {
        let before = self.after.iter().chain(&self.unbinds);
        before.chain(&self.deleted_with)
    }

    fn needs_mut(&mut self) -> impl Iterator<Item = &mut usize> {
        let before = self.after.iter_mut().chain(&mut self.unbinds);
        before.chain(&mut self.deleted_with)
    }
}

impl Plan {
    /// Leaves steps for a later run, and those that wait for them.
    pub fn defer(&mut self, which: impl Fn(&Step) -> bool) {
        let mut left: BTreeSet<usize> = BTreeSet::new();
        loop {
            let before = left.len();
            for (index, step) in self.steps.iter().enumerate() {
                if which(step) || step.needs().any(|need| left.contains(need)) {
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
            for need in step.needs_mut() {
                *need = position[need];
            }
            self.steps.push(step);
        }
    }
}

/// Garbage that may be deleted.
struct Candidate<'a> {
    resource: usize,
    treatment: Treatment,
    report_only: bool,
    /// What it belonged to: a file's claim.
    group: (usize, &'a Claim),
    /// Its kind's place in the order of deletions.
    rank: usize,
    dead_since: Option<DateTime<Utc>>,
    /// The resource with which alone it is deleted.
    deleted_with: Option<usize>,
    /// The resource that made it, where nothing shows that any more once that is gone
    /// and no other rule is about it.
    lost_with: Option<usize>,
}

impl Candidate<'_> {
    /// Its step, but for the steps that it needs.
    fn step(&self) -> Step {
        Step {
            resource: self.resource,
            action: self.treatment.action,
            backup: self.treatment.backup,
            empty: self.treatment.empty,
            after: Vec::new(),
            unbinds: Vec::new(),
            deleted_with: None,
        }
    }
}

/// The plan for a marking: only what is in its focus. Without complete roots
/// there is none.
pub fn plan(inventory: &Inventory, marking: &Marking<'_>, maximum: usize) -> Plan {
    plan_without(inventory, marking, maximum, &BTreeMap::new())
}

/// The same where these resources, by their indices, have to wait for a later run for
/// these reasons, with all that has to go after them, and take no place from others.
pub fn plan_without(
    inventory: &Inventory,
    marking: &Marking<'_>,
    maximum: usize,
    waiting: &BTreeMap<usize, String>,
) -> Plan {
    let (report_only, candidates): (Vec<_>, Vec<_>) = garbage(inventory, marking)
        .into_iter()
        .partition(|candidate| candidate.report_only);
    let plan = Plan {
        report_only: report_only.iter().map(|one| one.resource).collect(),
        ..Plan::default()
    };
    let candidates = oldest_first(inventory, candidates);
    cap(inventory, candidates, waiting, maximum, plan)
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
    let satellites = marking.satellites.iter().copied();
    let lost =
        satellites.filter(|(one, _)| inventory.resources[*one].kind.maker_shown_by.is_some());
    let lost: HashMap<usize, usize> = lost.collect();
    let mut candidates = Vec::new();
    for (resource, judgement) in marking.judgements.iter().enumerate() {
        let Verdict::Garbage(death) = &judgement.verdict else {
            continue;
        };
        let (Some(matched_by), true) = (&judgement.matched_by, judgement.in_focus) else {
            continue;
        };
        let kind = inventory.resources[resource].kind;
        let order = marking.input.graph.kinds().iter();
        candidates.push(Candidate {
            resource,
            treatment: treatment(marking, judgement, kind),
            report_only: death.report_only,
            group: (matched_by.policy_scope, &matched_by.claim),
            rank: order.take_while(|other| **other != kind).count(),
            dead_since: death.dead_since,
            deleted_with: judgement.deleted_with,
            lost_with: lost.get(&resource).copied(),
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

/// Takes as many as the cap allows, nothing without what has to go before it or with
/// it. A Worker whose route waits would leave that route behind, and a route whose
/// Worker waits would leave the Worker without traffic.
fn cap(
    inventory: &Inventory,
    candidates: Vec<Candidate<'_>>,
    waiting: &BTreeMap<usize, String>,
    maximum: usize,
    mut plan: Plan,
) -> Plan {
    let StepOrder { before, unbinds } = StepOrder::of(inventory, &candidates);
    let Blockers { along, held } = Blockers::of(inventory, &candidates);
    let blocked = blocked(inventory, &candidates, waiting, &held);
    let mut taken = BTreeSet::new();
    let needs = |candidate: usize| {
        let before = before[candidate].iter().chain(&unbinds[candidate]);
        before.chain(&along[candidate]).copied()
    };
    let together = |candidate: usize, taken: &BTreeSet<usize>| {
        let mut together = BTreeSet::new();
        let mut open = vec![candidate];
        while let Some(next) = open.pop() {
            if !taken.contains(&next) && together.insert(next) {
                open.extend(needs(next));
            }
        }
        together
    };
    for candidate in 0..candidates.len() {
        let together = together(candidate, &taken);
        let is_free = together.iter().all(|one| !blocked.contains_key(one));
        if is_free && taken.len() + together.len() <= maximum {
            taken.extend(together);
        }
    }
    let position: HashMap<usize, usize> = taken
        .iter()
        .enumerate()
        .map(|(at, &one)| (one, at))
        .collect();
    let mut groups = RunGroups {
        needs: &needs,
        blocked: &blocked,
        maximum,
        known: vec![None; candidates.len()],
    };
    let owner = owners(&candidates);
    for (index, candidate) in candidates.iter().enumerate() {
        if taken.contains(&index) {
            let mut after: Vec<usize> = before[index].iter().map(|one| position[one]).collect();
            after.sort_unstable();
            let unbinds = unbinds[index].iter().map(|one| position[one]).collect();
            plan.steps.push(Step {
                after,
                unbinds,
                deleted_with: owner[index].map(|owner| position[&owner]),
                ..candidate.step()
            });
            continue;
        }
        if let Some(holder) = held.get(&index) {
            plan.held.insert(candidate.resource, *holder);
            continue;
        }
        plan.deferred.push(candidate.resource);
        let group = together(index, &BTreeSet::new());
        let first = std::iter::once(&index).chain(&group);
        let first = first
            .clone()
            .find_map(|one| Some((*one, blocked.get(one)?)));
        if let Some((one, why)) = first {
            let why = if one == index {
                why.clone()
            } else {
                let other = inventory.resources[candidates[one].resource].identity();
                let how = if owner[index] == Some(one) {
                    "it is only deleted together with"
                } else {
                    "it waits for"
                };
                format!("{how} {other}: {why}")
            };
            plan.waits.insert(candidate.resource, why);
        } else if groups.is_oversized(&group) {
            plan.oversized.insert(candidate.resource, group.len());
        }
    }
    plan
}

/// Returns the candidates that cannot go in this run, with the reason.
fn blocked(
    inventory: &Inventory,
    candidates: &[Candidate<'_>],
    waiting: &BTreeMap<usize, String>,
    held: &BTreeMap<usize, usize>,
) -> BTreeMap<usize, String> {
    let owner = owners(candidates);
    let mut blocked = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let why = if let Some(holder) = held.get(&index) {
            let holder = inventory.resources[*holder].identity();
            format!("{holder} stays and names it")
        } else if let Some(why) = waiting.get(&candidate.resource) {
            why.clone()
        } else if let (Some(with), None) = (candidate.deleted_with, owner[index]) {
            let with = inventory.resources[with].identity();
            format!("it is only deleted together with {with}, which stays")
        } else {
            continue;
        };
        blocked.insert(index, why);
    }
    blocked
}

/// Returns for each candidate the candidate with which alone it is deleted.
fn owners(candidates: &[Candidate<'_>]) -> Vec<Option<usize>> {
    let at: HashMap<usize, usize> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (candidate.resource, at))
        .collect();
    let owner = |one: &Candidate<'_>| at.get(&one.deleted_with?).copied();
    candidates.iter().map(owner).collect()
}

/// Finds the groups of candidates that no run can take.
struct RunGroups<'a, N> {
    needs: &'a N,
    blocked: &'a BTreeMap<usize, String>,
    maximum: usize,
    /// Whether a candidate could go in some run, with all that has to go with it.
    known: Vec<Option<bool>>,
}

impl<I: Iterator<Item = usize>, N: Fn(usize) -> I> RunGroups<'_, N> {
    /// Whether no run ever begins with this group. What goes in an earlier run makes a
    /// group smaller: only where nothing of it fits, or only what waits for the rest,
    /// no run ever begins.
    fn is_oversized(&mut self, group: &BTreeSet<usize>) -> bool {
        let is_large = self.maximum > 0 && group.len() > self.maximum;
        is_large && !group.iter().any(|one| self.fits(*one))
    }

    fn fits(&mut self, candidate: usize) -> bool {
        if let Some(known) = self.known[candidate] {
            return known;
        }
        let mut with_it = BTreeSet::new();
        let mut open = vec![candidate];
        let mut fits = true;
        while let Some(next) = open.pop() {
            if self.blocked.contains_key(&next) || with_it.len() > self.maximum {
                fits = false;
                break;
            }
            if with_it.insert(next) {
                open.extend((self.needs)(next));
            }
        }
        fits &= with_it.len() <= self.maximum;
        self.known[candidate] = Some(fits);
        fits
    }
}

/// What the rules want to be done to garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Treatment {
    /// The deletion, or what is gentler.
    pub action: Action,
    /// Whether what it holds is kept before.
    pub backup: bool,
    /// Whether what it holds is deleted before: only if each of its rules says so.
    pub empty: bool,
}

/// What is done to garbage now.
///
/// Of what can expire and holds too much to be kept, the only copy is the resource
/// itself: where a backup is asked for, it gets an expiry in place of a deletion.
pub fn treatment(marking: &Marking<'_>, judgement: &Judgement, kind: KindRef) -> Treatment {
    let backup = rules(marking, judgement).any(|rule| rule.backup);
    if backup && kind.expires && !kind.backup {
        return Treatment {
            action: Action::Expire,
            backup: false,
            empty: false,
        };
    }
    let action = action(marking, judgement);
    let mut all = rules(marking, judgement);
    Treatment {
        action,
        backup,
        empty: action == Action::Delete && kind.emptied && all.all(|rule| rule.empty),
    }
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
