//! Re-reads parts of a survey just before a deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{Findings, Survey};
use crate::evidence::{Inventory, Roots, Searched, Uses};
use crate::gc::KindGraph;
use crate::gc::mark::{self, JudgeInput};
use crate::model::{KindRef, Link, Place, References, Resource, ResourceId, Time};
use crate::scan::{self, Target};

/// Resources that this run changed: the time of that change, and the time that
/// counts, which is that of the change before.
pub type OwnChanges = BTreeMap<ResourceId, (DateTime<Utc>, Time)>;

/// Puts the times of changes back that this run made itself.
fn disregard(inventory: &mut Inventory, own: &OwnChanges) {
    if own.is_empty() {
        return;
    }
    for resource in &mut inventory.resources {
        let Some((ours, before)) = own.get(&resource.identity()) else {
            continue;
        };
        if resource.changed_at.known() == Some(*ours) {
            resource.changed_at = *before;
        }
    }
}

impl<'p> Survey<'p> {
    /// Re-reads what these resources depend on: the listings of their
    /// kinds and of all that use or manage them, and what they claim to belong
    /// to. Everything but what is `to_delete` stays, with all that it uses.
    pub async fn refresh(
        &self,
        before: &Findings<'p>,
        of: &[ResourceId],
        to_delete: BTreeSet<ResourceId>,
        own: &OwnChanges,
    ) -> Findings<'p> {
        let (since, began_at) = (Instant::now(), self.client.clock().now());
        let concerned: BTreeSet<(KindRef, &Place)> =
            of.iter().map(|id| (id.kind, &*id.place)).collect();
        let targets: Vec<Target> = self
            .targets
            .iter()
            .filter(|target| {
                let about = target.kind.about();
                concerned.iter().any(|(kind, place)| {
                    let itself = about == *kind && *target.place == **place;
                    let owner = self.input.graph.owner(*kind) == Some(about);
                    let concerns = self.input.graph.concerns(*kind, about)
                        && KindGraph::may_concern(place, &target.place, (*kind, about));
                    itself || concerns || (owner && target.place.is_near(place))
                })
            })
            .map(|target| target.among(of))
            .collect();
        let mut inventory = scan::inventory(&self.client, &targets, self.observer).await;
        disregard(&mut inventory, own);
        let input = JudgeInput {
            to_delete: Some(Arc::new(to_delete)),
            contradicted: Arc::clone(&before.marking.input.contradicted),
            ..self.judge_input()
        };
        let early = mark::early_questions(&inventory, &input);
        let mut budget = before.budget.afresh(self.client.deadline());
        let asked: BTreeSet<(KindRef, &Place, &str)> =
            of.iter().map(|id| (id.kind, &*id.place, &*id.id)).collect();
        let pending = |one: &Resource| asked.contains(&(one.kind, &*one.place, &*one.id));
        // A resource has the claims of the one that it belongs to.
        let owners: BTreeSet<(&str, &str)> = inventory
            .resources
            .iter()
            .filter(|one| pending(one))
            .flat_map(|one| &one.links)
            .filter_map(|link| match link {
                Link::Uses(reference) => Some((reference.kind, reference.key.text())),
                Link::UsedBy(_) | Link::ServedBy(_) | Link::MayUse(_) => None,
            })
            .collect();
        let claimants = inventory.resources.iter().filter(|one| {
            let kind = one.kind.name();
            let owns = owners.contains(&(kind, &*one.id)) || owners.contains(&(kind, &*one.name));
            pending(one) || owns
        });
        let (fresh, mut uses) = tokio::join!(
            self.reread_roots(claimants),
            scan::answer(&self.client, &inventory, &early, &mut budget, self.observer)
        );
        let mut known = still_known(before, &inventory, &uses);
        known.append(&mut uses.of);
        uses.of = known;
        self.carry_over(before, of, began_at, &mut uses);
        let roots = renewed(&before.roots, fresh);
        self.mark(inventory, roots, uses, input, budget, since)
            .await
    }

    /// Carries over what was read one holder at a time, because that takes a
    /// request for each of them: not for every deletion, but no older than a
    /// deletion allows when the re-read begins. What is left out is asked again
    /// where it decides.
    fn carry_over(
        &self,
        before: &Findings<'_>,
        of: &[ResourceId],
        began_at: DateTime<Utc>,
        uses: &mut Uses,
    ) {
        let graph = self.input.graph;
        let kinds: BTreeSet<KindRef> = of.iter().map(|id| id.kind).collect();
        let known = &before.inventory.uses;
        for (key, users) in &known.sources {
            let (name, _) = key;
            let by_holder = graph.kinds().iter().any(|kind| kind.name() == *name);
            let Some(&read_at) = known
                .read_at
                .get(key)
                .filter(|_| by_holder && users.is_ok())
            else {
                continue;
            };
            let may_use = |kind: &KindRef| graph.users(*kind).iter().any(|one| one.name() == *name);
            if kinds.iter().any(may_use) {
                let age = (began_at - read_at).to_std().unwrap_or_default();
                let is_agreed = self.agreed_at.is_none_or(|agreed| read_at > agreed);
                if !is_agreed || age > self.reread_after {
                    continue;
                }
            }
            uses.sources.insert(key.clone(), users.clone());
            uses.read_at.insert(key.clone(), read_at);
            uses.earlier.insert(key.clone());
        }
    }
}

/// What resources use, as it was read before: it holds for those that have not
/// changed since.
fn still_known(
    before: &Findings<'_>,
    now: &Inventory,
    listed: &Uses,
) -> BTreeMap<usize, Result<References, String>> {
    let mut known = BTreeMap::new();
    if before.inventory.uses.of.is_empty() {
        return known;
    }
    for (index, resource) in now.resources.iter().enumerate() {
        let id = resource.identity();
        let key = (id.kind, Place::clone(&id.place), id.id);
        let Some(&earlier) = before.index.get(&key) else {
            continue;
        };
        let redeployed = |old: &Resource| {
            let deployed = before.inventory.uses.deployed_at(old);
            let deployed = deployed.zip(listed.deployed_at(resource));
            deployed.is_some_and(|(then, now)| then != now)
        };
        let same = before.inventory.resources.get(earlier).is_some_and(|old| {
            !redeployed(old)
                && old.incarnation == resource.incarnation
                && old.changed_at == resource.changed_at
                && old.created_at == resource.created_at
        });
        if let (true, Some(Ok(uses))) = (same, before.inventory.uses.of.get(&earlier)) {
            known.insert(index, Ok(uses.clone()));
        }
    }
    known
}

/// The roots with what was asked again in the place of what was known.
fn renewed(before: &Roots, fresh: Roots) -> Roots {
    let mut roots = before.clone();
    for (repository, fresh) in fresh.repositories {
        let known = roots.repositories.entry(repository).or_default();
        known.gap = fresh.gap;
        known.pull_requests.extend(fresh.pull_requests);
        known.lost_labels.extend(fresh.lost_labels);
        known.runs.extend(fresh.runs);
        if known.gap.is_none() {
            known.issue = fresh.issue;
        }
        if fresh.heads.branches.is_some() {
            known.heads.branches = fresh.heads.branches;
        }
        known.heads.asked.extend(fresh.heads.asked);
        if fresh.heads.searched != Searched::Nothing {
            known.heads.searched = fresh.heads.searched;
        }
    }
    roots
}
