//! What has to go before what in a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Candidate, owners};
use crate::evidence::Inventory;
use crate::gc::reference_index::{IndexedUser, ReferenceIndex};
use crate::model::Link;
use crate::policy::Action;

/// What candidates wait for, each by its index.
pub(super) struct StepOrder {
    /// Those that have to be gone before. Where several need each other in
    /// another way than by bindings, none waits: the provider decides.
    pub(super) before: Vec<Vec<usize>>,
    /// Those that have to stop binding it, in ascending order.
    pub(super) unbinds: Vec<Vec<usize>>,
}

impl StepOrder {
    pub(super) fn of(inventory: &Inventory, candidates: &[Candidate<'_>]) -> Self {
        let mut before = needs(inventory, candidates);
        let mut unbinds = vec![Vec::new(); candidates.len()];
        let deletes = |index: usize| candidates[index].treatment.action == Action::Delete;
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
        wait_with_owners(&mut before, candidates);
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

/// What is deleted with its owner alone also waits for what the owner waits for: once
/// it is gone, the owner has to go as well.
fn wait_with_owners(before: &mut [BTreeSet<usize>], candidates: &[Candidate<'_>]) {
    let owner = owners(candidates);
    for (index, with) in owner.iter().enumerate() {
        let Some(with) = with else { continue };
        let needs = before[*with].iter().copied();
        let needs = needs.filter(|need| *need != index && owner[*need] != Some(*with));
        let needs: Vec<usize> = needs.collect();
        before[index].extend(needs);
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
            IndexedUser::Listed(user) => at.get(user).copied(),
            IndexedUser::Other { .. } => None,
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
pub(super) struct Blockers {
    /// For each candidate the candidates that have to go in the same run: those that
    /// hinder it, the one with which alone it is deleted, and what it made that no later
    /// run would find.
    pub(super) along: Vec<Vec<usize>>,
    /// The candidates that something hinders which stays, each with that resource.
    pub(super) held: BTreeMap<usize, usize>,
}

impl Blockers {
    pub(super) fn of(inventory: &Inventory, candidates: &[Candidate<'_>]) -> Self {
        let mut along = vec![Vec::new(); candidates.len()];
        let mut held = BTreeMap::new();
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
                            held.insert(one, resource);
                        }
                    }
                }
            }
        }
        for (index, owner) in owners(candidates).into_iter().enumerate() {
            along[index].extend(owner);
        }
        for (index, candidate) in candidates.iter().enumerate() {
            let maker = candidate.lost_with.and_then(|maker| at.get(&maker));
            if let Some(&maker) = maker {
                along[maker].push(index);
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
