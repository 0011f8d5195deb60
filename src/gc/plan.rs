//! What a sweep would do: the garbage, oldest death first, up to the cap, each
//! step after those that have to be gone before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::mark::{Judgement, Marking};
use super::reference_index::{ReferenceIndex, UsedBy};
use super::verdict::Verdict;
use crate::evidence::Inventory;
use crate::model::{Claim, Link};
use crate::policy::{Action, Rule};

/// Steps by index into the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What would be done now: what died first comes first, with everything
    /// else that belonged to the same.
    pub steps: Vec<Step>,
    /// Garbage that waits for a later run because of the cap.
    pub deferred: Vec<usize>,
    /// Garbage that its rule only reports.
    pub report_only: Vec<usize>,
    /// The resources of steps that the provider will most likely refuse, because
    /// something that stays names them: a Worker that consumes a queue. They stay,
    /// and keep what they use.
    pub hindered: BTreeSet<usize>,
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
    /// What it belonged to: a file's claim.
    group: (usize, &'a Claim),
    /// Its kind's place in the order of deletions.
    rank: usize,
    dead_since: Option<DateTime<Utc>>,
}

/// The plan for a marking: only what is in its focus. Without complete roots
/// there is none.
pub fn plan(inventory: &Inventory, marking: &Marking<'_>, most: usize) -> Plan {
    plan_without(inventory, marking, most, &BTreeSet::new())
}

/// The same where these resources, by their indices, have to wait for a later
/// run and take no place from others.
pub fn plan_without(
    inventory: &Inventory,
    marking: &Marking<'_>,
    most: usize,
    waiting: &BTreeSet<usize>,
) -> Plan {
    let mut plan = Plan {
        deferred: waiting.iter().copied().collect(),
        ..Plan::default()
    };
    let mut candidates = Vec::new();
    for (resource, judgement) in marking.judgements.iter().enumerate() {
        let Verdict::Garbage(death) = &judgement.verdict else {
            continue;
        };
        let (Some(matched_by), true) = (&judgement.reading, judgement.in_focus) else {
            continue;
        };
        if death.report_only {
            plan.report_only.push(resource);
            continue;
        }
        if waiting.contains(&resource) {
            continue;
        }
        let kind = inventory.resources[resource].kind;
        let (action, backup) = wanted(marking, judgement);
        let order = marking.law.graph.kinds().iter();
        candidates.push(Candidate {
            resource,
            action,
            backup,
            group: (matched_by.policy_scope, &matched_by.claim),
            rank: order.take_while(|other| **other != kind).count(),
            dead_since: death.dead_since,
        });
    }
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
    cap(inventory, candidates, most, plan)
}

/// Takes as many as the cap allows, nothing without what has to go before it.
fn cap(inventory: &Inventory, candidates: Vec<Candidate<'_>>, most: usize, mut plan: Plan) -> Plan {
    let Order { before, unbinds } = Order::of(inventory, &candidates);
    let Hindrances { along, held } = Hindrances::of(inventory, &candidates);
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
            let in_turn = last || together.is_disjoint(&held);
            if in_turn && taken.len() + together.len() <= most {
                taken.extend(together);
            }
        }
    }
    let position: HashMap<usize, usize> = taken
        .iter()
        .enumerate()
        .map(|(at, &one)| (one, at))
        .collect();
    let hindered = held.intersection(&taken);
    let hindered = hindered.map(|&index| candidates[index].resource);
    plan.hindered = hindered.collect();
    for (index, candidate) in candidates.into_iter().enumerate() {
        if !taken.contains(&index) {
            plan.deferred.push(candidate.resource);
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

/// What candidates wait for, each by its index.
struct Order {
    /// Those that have to be gone before. Where several need each other in
    /// another way than by bindings, none waits: the provider decides.
    before: Vec<Vec<usize>>,
    /// Those that have to stop binding it, in ascending order.
    unbinds: Vec<Vec<usize>>,
}

impl Order {
    fn of(inventory: &Inventory, candidates: &[Candidate<'_>]) -> Self {
        let mut before = needs(inventory, candidates);
        let mut unbinds = vec![Vec::new(); candidates.len()];
        let deletes = |index: usize| candidates[index].action == Action::Delete;
        let kind = |index: usize| inventory.resources[candidates[index].resource].kind;
        let may_unbind = |used: usize, user: usize| {
            kind(used).0.unbinds && kind(used) == kind(user) && deletes(used) && deletes(user)
        };
        // Of those that bind each other the one with the fewest users in the
        // cycle goes first. That leaves fewer of them, until there are none.
        let mut open: BTreeSet<usize> = (0..candidates.len())
            .filter(|&used| before[used].iter().any(|&user| may_unbind(used, user)))
            .collect();
        loop {
            let cyclic = open.iter().filter_map(|&used| {
                let users = before[used].iter().copied();
                let users: Vec<usize> = users
                    .filter(|&user| may_unbind(used, user) && reaches(&before, user, used))
                    .collect();
                (!users.is_empty()).then_some((users.len(), used, users))
            });
            let cyclic: Vec<_> = cyclic.collect();
            open = cyclic.iter().map(|(_, used, _)| *used).collect();
            let Some((_, used, users)) = cyclic.into_iter().min() else {
                break;
            };
            before[used].retain(|need| !users.contains(need));
            unbinds[used] = users;
        }
        let before = (0..candidates.len()).map(|index| {
            let needs = before[index].iter().copied();
            needs
                .filter(|&need| !reaches(&before, need, index))
                .collect()
        });
        Self {
            before: before.collect(),
            unbinds,
        }
    }
}

/// For each candidate its users and children among the candidates. What uses
/// itself does not wait for itself.
fn needs(inventory: &Inventory, candidates: &[Candidate<'_>]) -> Vec<BTreeSet<usize>> {
    let at: HashMap<usize, usize> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (candidate.resource, at))
        .collect();
    let links = ReferenceIndex::of(inventory);
    let users = candidates.iter().enumerate().map(|(index, candidate)| {
        let users = links.users(candidate.resource).iter();
        let users = users.filter_map(|user| match user {
            UsedBy::Listed(user) => at.get(user).copied(),
            UsedBy::Other { .. } => None,
        });
        users.filter(|user| *user != index).collect()
    });
    let mut needs: Vec<BTreeSet<usize>> = users.collect();
    for (index, resource) in candidates.iter().enumerate() {
        let parent = links.parent(inventory, resource.resource);
        if let Some(&parent) = parent.and_then(|parent| at.get(&parent)) {
            needs[parent].insert(index);
        }
    }
    needs
}

/// What names candidates in its listing, and by that hinders their deletion: a
/// queue the Workers that serve it.
struct Hindrances {
    /// For each candidate the candidates that hinder it: it can only go in a run
    /// in which they go as well.
    along: Vec<Vec<usize>>,
    /// The candidates that something hinders which stays.
    held: BTreeSet<usize>,
}

impl Hindrances {
    fn of(inventory: &Inventory, candidates: &[Candidate<'_>]) -> Self {
        let mut along = vec![Vec::new(); candidates.len()];
        let mut held = BTreeSet::new();
        let mut at: HashMap<usize, usize> = HashMap::new();
        let mut named: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let one = &inventory.resources[candidate.resource];
            at.insert(candidate.resource, index);
            for name in BTreeSet::from([&*one.id, &*one.name]) {
                let named = named.entry((one.kind.name(), name)).or_default();
                named.push(index);
            }
        }
        for (resource, holder) in inventory.resources.iter().enumerate() {
            let Some(blocked) = holder.kind.blocks else {
                continue;
            };
            for link in &holder.links {
                let Link::ServedBy(user) = link else { continue };
                let found = named.get(&(user.kind, user.key.text()));
                let found = found.filter(|_| user.kind == blocked);
                for &one in found.into_iter().flatten() {
                    if inventory.resources[candidates[one].resource].place != holder.place {
                        continue;
                    }
                    match at.get(&resource) {
                        Some(&holder) => along[one].push(holder),
                        None => {
                            held.insert(one);
                        }
                    }
                }
            }
        }
        Self { along, held }
    }
}

/// Whether one needs the other, or needs what needs it.
fn reaches(needs: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        if next == to {
            return true;
        }
        if seen.insert(next) {
            open.extend(&needs[next]);
        }
    }
    false
}

/// What is done to garbage now, and whether what it holds is kept before.
pub fn wanted(marking: &Marking<'_>, judgement: &Judgement) -> (Action, bool) {
    let backup = rules(marking, judgement).any(|rule| rule.backup);
    (action(marking, judgement), backup)
}

/// The rules by which a resource is garbage.
fn rules<'a>(marking: &'a Marking<'_>, judgement: &'a Judgement) -> impl Iterator<Item = &'a Rule> {
    let others = judgement.others.iter().map(|(matched_by, _)| matched_by);
    let readings = judgement.reading.iter().chain(others);
    readings.filter_map(|matched_by| marking.rule(matched_by).map(|(_, rule)| rule))
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
mod tests {
    use super::super::samples::{
        CAREFUL, GENTLE, PLAIN, at, garbage, marking, matched_by, policy, policy_scope, reported,
        resource,
    };
    use super::*;
    use crate::model::{Link, Reference, Resource};

    fn drawn(resources: Vec<Resource>, judgements: Vec<Judgement>, most: usize) -> Plan {
        let policy = policy();
        let policy_scopes = [policy_scope(&policy)];
        let inventory = Inventory {
            resources,
            ..Inventory::default()
        };
        plan(&inventory, &marking(judgements, &policy_scopes), most)
    }

    /// Which resource each step is about, and the steps that it waits for.
    fn order(plan: &Plan) -> Vec<(usize, &[usize])> {
        let steps = plan.steps.iter();
        steps.map(|step| (step.resource, &*step.after)).collect()
    }

    #[test]
    fn a_cap_lets_the_oldest_go_and_defers_the_rest() {
        let workers = || {
            ["young", "oldest", "old"]
                .map(|name| resource("worker", name))
                .into()
        };
        let judged = || {
            vec![
                garbage(PLAIN, 1, at(30)),
                garbage(PLAIN, 2, at(10)),
                garbage(PLAIN, 3, at(20)),
            ]
        };
        for (most, steps, deferred) in [
            (0, vec![], vec![1, 2, 0]),
            (1, vec![(1, &[][..])], vec![2, 0]),
            (2, vec![(1, &[][..]), (2, &[])], vec![0]),
            (3, vec![(1, &[][..]), (2, &[]), (0, &[])], vec![]),
        ] {
            let plan = drawn(workers(), judged(), most);
            assert_eq!(order(&plan), steps, "at most {most}");
            assert_eq!(plan.deferred, deferred, "at most {most}");
        }
    }

    #[test]
    fn nothing_goes_without_what_has_to_go_before_it() {
        let used = |by: &str| Resource {
            links: vec![Link::UsedBy(Reference::by_name("worker", by.to_owned()))],
            ..resource("d1", "jobs")
        };
        let resources = || vec![used("app"), resource("worker", "app")];
        let judged = || vec![garbage(PLAIN, 1, at(10)), garbage(PLAIN, 2, at(20))];
        let both = drawn(resources(), judged(), 2);
        assert_eq!(order(&both), [(0, &[1][..]), (1, &[])]);
        // Both are too many, so what is used stays until its user is gone.
        let one = drawn(resources(), judged(), 1);
        assert_eq!(order(&one), [(1, &[][..])]);
        assert_eq!(one.deferred, [0]);
    }

    #[test]
    fn a_worker_goes_only_together_with_the_queues_that_it_serves() {
        let queue = |name: &str, by: &str| Resource {
            links: vec![Link::ServedBy(Reference::by_id("worker", by.to_owned()))],
            ..resource("queue", name)
        };
        let drawn = |most| {
            let resources = vec![
                resource("worker", "a"),
                queue("jobs", "a"),
                resource("worker", "b"),
            ];
            let judged = resources.iter().map(|_| garbage(PLAIN, 1, at(10)));
            let judged = judged.collect();
            drawn(resources, judged, most)
        };
        assert_eq!(order(&drawn(1)), [(2, &[][..])]);
        assert_eq!(drawn(1).deferred, [0, 1]);
        assert_eq!(order(&drawn(2)), [(0, &[][..]), (1, &[0][..])]);
    }

    #[test]
    fn what_a_queue_that_stays_holds_takes_no_place_from_others() {
        let queue = Resource {
            links: vec![Link::ServedBy(Reference::by_id("worker", "a".to_owned()))],
            ..resource("queue", "jobs")
        };
        let drawn = |most| {
            let resources = vec![
                resource("worker", "a"),
                queue.clone(),
                resource("worker", "b"),
            ];
            let judged = vec![
                garbage(PLAIN, 1, at(10)),
                reported(PLAIN, 1, at(10)),
                garbage(PLAIN, 2, at(20)),
            ];
            drawn(resources, judged, most)
        };
        assert_eq!(order(&drawn(1)), [(2, &[][..])]);
        assert_eq!(order(&drawn(2)), [(0, &[][..]), (2, &[][..])]);
    }

    #[test]
    fn workers_that_bind_each_other_are_unbound_one_by_one_and_go_together() {
        let bound = |name: &str, by: &[&str]| Resource {
            links: by
                .iter()
                .map(|by| Link::UsedBy(Reference::by_id("worker", (*by).to_owned())))
                .collect(),
            ..resource("worker", name)
        };
        let drawn = |resources: Vec<Resource>, most| {
            let judged = resources.iter().map(|_| garbage(PLAIN, 1, at(10)));
            let judged = judged.collect();
            let plan = drawn(resources, judged, most);
            let steps = plan.steps.into_iter();
            let steps = steps.map(|step| (step.resource, step.after, step.unbinds));
            (steps.collect::<Vec<_>>(), plan.deferred)
        };
        let pair = || vec![bound("a", &["b"]), bound("b", &["a"])];
        let (steps, deferred) = drawn(pair(), 2);
        assert_eq!(steps, [(0, vec![], vec![1]), (1, vec![0], vec![])]);
        assert!(deferred.is_empty());
        assert_eq!(drawn(pair(), 1), (vec![], vec![0, 1]));

        // All bind all: two of them lose a binding to another, one after the other.
        let all = vec![
            bound("a", &["b", "c"]),
            bound("b", &["a", "c"]),
            bound("c", &["a", "b"]),
        ];
        let (steps, _) = drawn(all, 9);
        let expected = [
            (0, vec![], vec![1, 2]),
            (1, vec![0], vec![2]),
            (2, vec![0, 1], vec![]),
        ];
        assert_eq!(steps, expected);

        // A chain and a Worker that binds itself have no cycle to break.
        let (steps, _) = drawn(vec![bound("a", &["a", "b"]), bound("b", &[])], 9);
        assert_eq!(steps, [(0, vec![1], vec![]), (1, vec![], vec![])]);
    }

    #[test]
    fn what_is_not_meant_or_only_reported_is_no_step() {
        let resources = ["a", "b", "c", "d"].map(|name| resource("worker", name));
        let elsewhere = Judgement {
            in_focus: false,
            ..garbage(PLAIN, 1, at(0))
        };
        let unread = Judgement {
            reading: None,
            ..garbage(PLAIN, 1, at(0))
        };
        let judged = vec![
            elsewhere,
            unread,
            reported(PLAIN, 1, at(0)),
            Judgement::default(),
        ];
        let plan = drawn(resources.into(), judged, 9);
        assert_eq!(plan.steps, []);
        assert!(plan.deferred.is_empty(), "{plan:?}");
        assert_eq!(plan.report_only, [2]);
    }

    #[test]
    fn each_rule_says_what_is_done_and_the_gentlest_of_several_decides() {
        for (rule, other, action, backup) in [
            (PLAIN, None, Action::Delete, false),
            (CAREFUL, None, Action::Delete, true),
            (GENTLE, None, Action::Expire, false),
            (PLAIN, Some(GENTLE), Action::Expire, false),
            (GENTLE, Some(PLAIN), Action::Expire, false),
            (PLAIN, Some(CAREFUL), Action::Delete, true),
            (GENTLE, Some(CAREFUL), Action::Expire, true),
        ] {
            let mut judgement = garbage(rule, 1, at(0));
            if let Some(other) = other {
                let verdict = judgement.verdict.clone();
                judgement.others.push((matched_by(other, 1), verdict));
            }
            let plan = drawn(vec![resource("neon_branch", "pr")], vec![judgement], 1);
            let [step] = &plan.steps[..] else {
                panic!("one step")
            };
            assert_eq!(
                (step.action, step.backup),
                (action, backup),
                "{rule} {other:?}"
            );
        }
    }

    fn steps(after: &[&[usize]]) -> Plan {
        let step = |(index, after): (usize, &&[usize])| Step {
            resource: 10 + index,
            action: Action::Delete,
            backup: false,
            after: after.to_vec(),
            unbinds: Vec::new(),
        };
        Plan {
            steps: after.iter().enumerate().map(step).collect(),
            deferred: vec![99],
            report_only: vec![98],
            hindered: BTreeSet::new(),
        }
    }

    #[test]
    fn what_is_deferred_takes_along_those_that_wait_for_it() {
        // A chain against the order of the steps, and two that have nothing to
        // do with it.
        let mut plan = steps(&[&[1], &[2], &[], &[4], &[]]);
        plan.defer(|step| step.resource == 12);
        assert_eq!(order(&plan), [(13, &[1][..]), (14, &[])]);
        assert_eq!(plan.deferred, [99, 10, 11, 12]);
        assert_eq!(plan.report_only, [98]);

        // What others wait for is none of their business.
        let mut plan = steps(&[&[1], &[2], &[], &[4], &[]]);
        plan.defer(|step| step.resource == 10);
        assert_eq!(
            order(&plan),
            [(11, &[1][..]), (12, &[]), (13, &[3]), (14, &[])]
        );
        assert_eq!(plan.deferred, [99, 10]);
    }

    #[test]
    fn a_plan_without_anything_to_defer_stays_as_it_is() {
        let mut plan = steps(&[&[1], &[]]);
        plan.defer(|_| false);
        assert_eq!(plan, steps(&[&[1], &[]]));
    }
}
