//! Re-reads parts of a survey just before a deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{Findings, Survey};
use crate::evidence::{Inventory, Question, Roots, Searched, Uses};
use crate::gc::KindGraph;
use crate::gc::mark::{self, JudgeInput};
use crate::model::{KindRef, Link, Place, Reference, References, Resource, ResourceId, Time};
use crate::providers;
use crate::scan::{self, Budget, Target};

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
        let mut budget = before.budget.afresh(self.client.deadline());
        // What takes a request for each holder comes first: the listings have to be
        // young when all is known.
        let stale = self.stale_sources(before, of);
        let first = self.read_sources(&stale, &mut budget).await;
        let since = Instant::now();
        let since = since
            .checked_sub(self.age_of_carried(before, &stale, of))
            .unwrap_or(since);
        let concerned: BTreeSet<(KindRef, &Place)> =
            of.iter().map(|id| (id.kind, &*id.place)).collect();
        let policies = self.input.policy_scopes.iter().map(|one| one.policy);
        let mut rules = policies.flat_map(|policy| policy.rules.iter());
        let asks_about_targets = rules.any(|rule| rule.death.target_gone);
        let targets: Vec<Target> = self
            .targets
            .iter()
            .filter(|target| {
                let about = target.kind.about();
                concerned.iter().any(|(kind, place)| {
                    let itself = about == *kind && *target.place == **place;
                    let owner = self.input.graph.owner(*kind) == Some(about);
                    let is_target = asks_about_targets && kind.points_at.contains(&about.name());
                    // One of that name may be there again.
                    let made = kind.satellite_of.contains(&about.name());
                    let concerns = (self.input.graph.concerns(*kind, about)
                        || KindGraph::may_keep(about, *kind))
                        && KindGraph::may_concern(place, &target.place, (*kind, about));
                    let is_near = target.place.is_near(place);
                    itself || concerns || ((owner || is_target || made) && is_near)
                })
            })
            .map(|target| target.among(of))
            .collect();
        let mut inventory = scan::inventory(&self.client, &targets, self.observer).await;
        disregard(&mut inventory, own);
        bring_makers(before, of, &mut inventory);
        let input = JudgeInput {
            to_delete: Some(Arc::new(to_delete)),
            contradicted: Arc::clone(&before.marking.input.contradicted),
            calibrated: Arc::clone(&before.marking.input.calibrated),
            ..self.judge_input()
        };
        let early = mark::early_questions(&inventory, &input);
        let asked: BTreeSet<(KindRef, &Place, &str)> =
            of.iter().map(|id| (id.kind, &*id.place, &*id.id)).collect();
        let pending = |one: &Resource| asked.contains(&(one.kind, &*one.place, &*one.id));
        // A resource has the claims of the one that it belongs to.
        let owners = owners(&inventory, pending);
        let makers: BTreeSet<ResourceId> = makers(before, of).map(Resource::identity).collect();
        let claimants = inventory.resources.iter().filter(|one| {
            let owns = owners.iter().any(|owner| one.is_meant_by(owner));
            pending(one) || owns || makers.contains(&one.identity())
        });
        let gone = mark::gone_makers(&inventory, self.input.graph);
        let gone = gone.iter().filter(|(satellite, _)| {
            let satellite = inventory.resources.get(*satellite);
            satellite.is_some_and(pending)
        });
        let claimants = claimants.chain(gone.map(|(_, maker)| maker));
        let (fresh, mut uses) = tokio::join!(
            self.reread_roots(claimants),
            scan::answer(&self.client, &inventory, &early, &mut budget, self.observer)
        );
        let mut known = still_known(before, &inventory, &uses);
        known.append(&mut uses.of);
        uses.of = known;
        uses.extend(first);
        carry_over(before, &stale, &mut uses);
        let roots = renewed(&before.roots, fresh);
        self.mark(inventory, roots, uses, input, budget, since)
            .await
    }

    /// Asks for what takes a request for each holder. Where that takes longer than a
    /// deletion may rest on a reading, what was read first is too old at the end.
    async fn read_sources(&self, questions: &[Question], budget: &mut Budget) -> Uses {
        if questions.is_empty() {
            return Uses::default();
        }
        let began = Instant::now();
        let nothing = Inventory::default();
        let asked = scan::answer(&self.client, &nothing, questions, budget, self.observer);
        let mut read = asked.await;
        let took = began.elapsed();
        if took > self.reread_after {
            for ((source, _), users) in &mut read.sources {
                let noun = providers::source(source).map_or(*source, |one| one.noun());
                *users = Err(format!(
                    "reading what every {noun} binds took {} s, which is longer than \
                     --reread-after allows ({} s); raise it",
                    took.as_secs(),
                    self.reread_after.as_secs()
                ));
            }
        }
        read
    }

    /// Returns the age of the oldest reading that is taken over and may decide about these
    /// resources.
    fn age_of_carried(
        &self,
        before: &Findings<'_>,
        stale: &[Question],
        of: &[ResourceId],
    ) -> Duration {
        let (graph, now) = (self.input.graph, self.client.clock().now());
        let users = of.iter().flat_map(|id| graph.users(id.kind));
        let users: BTreeSet<&str> = users.map(|user| user.name()).collect();
        let known = &before.inventory.uses.read_at;
        let carried = known.iter().filter(|((source, place), _)| {
            let is_asked = stale.iter().any(|question| {
                matches!(question, Question::Source { source: name, place: there }
                    if name == source && **there == *place)
            });
            let by_holder = graph.kinds().iter().any(|kind| kind.name() == *source);
            users.contains(source) && by_holder && !is_asked
        });
        let ages = carried.map(|(_, read_at)| (now - *read_at).to_std().unwrap_or_default());
        ages.max().unwrap_or_default()
    }

    /// Returns the questions about what was read one holder at a time and is older
    /// than a deletion allows, or than a person's consent, where it may decide about
    /// these resources.
    fn stale_sources(&self, before: &Findings<'_>, of: &[ResourceId]) -> Vec<Question> {
        let graph = self.input.graph;
        let kinds: BTreeSet<KindRef> = of.iter().map(|id| id.kind).collect();
        let known = &before.inventory.uses;
        let now = self.client.clock().now();
        let is_stale = |key: &(&'static str, Place)| {
            let may_use = |kind: &KindRef| graph.users(*kind).iter().any(|one| one.name() == key.0);
            let is_young = known.read_at.get(key).is_some_and(|read_at| {
                let age = (now - *read_at).to_std().unwrap_or_default();
                // A view is as old as the oldest reading in it, so that some time is left.
                age <= self.reread_after / 2
                    && self.agreed_at.is_none_or(|agreed| *read_at > agreed)
            });
            kinds.iter().any(may_use) && !is_young
        };
        let by_holder = |name: &str| graph.kinds().iter().any(|kind| kind.name() == name);
        let keys = known.sources.keys();
        keys.filter(|key| by_holder(key.0) && is_stale(key))
            .map(|(source, place)| Question::Source {
                source,
                place: Arc::new(place.clone()),
            })
            .collect()
    }
}

/// Returns what pending resources belong to.
fn owners(inventory: &Inventory, is_pending: impl Fn(&Resource) -> bool) -> BTreeSet<&Reference> {
    let pending = inventory.resources.iter().filter(|one| is_pending(one));
    let links = pending.flat_map(|one| &one.links);
    let owners = links.filter_map(|link| match link {
        Link::Uses(reference) => Some(reference),
        Link::UsedBy(_)
        | Link::ServedBy(_)
        | Link::LeftBy(_)
        | Link::MayUse(_)
        | Link::Guards(_) => None,
    });
    owners.collect()
}

/// Returns what made those of these satellites that were judged with it.
fn makers<'f>(
    before: &'f Findings<'_>,
    of: &'f [ResourceId],
) -> impl Iterator<Item = &'f Resource> {
    pairs(before, of).map(|(_, maker)| maker)
}

/// The same with the satellites.
fn pairs<'f>(
    before: &'f Findings<'_>,
    of: &'f [ResourceId],
) -> impl Iterator<Item = (&'f Resource, &'f Resource)> {
    let resources = &before.inventory.resources;
    let pairs = before.marking.satellites.iter();
    let pairs = pairs.map(|(satellite, maker)| (&resources[*satellite], &resources[*maker]));
    pairs.filter(|(satellite, _)| of.contains(&satellite.identity()))
}

/// Adds what made these satellites, as it was, where this run has deleted it: by
/// itself a satellite claims nothing, and a pull request that was opened again keeps
/// it. Where something has that name again, that decides.
fn bring_makers(before: &Findings<'_>, of: &[ResourceId], inventory: &mut Inventory) {
    for (satellite, maker) in pairs(before, of) {
        let same = |one: &&Resource, other: &Resource| {
            one.kind == other.kind && one.place == other.place && one.id == other.id
        };
        let find = |inventory: &Inventory, wanted: &Resource| {
            let mut all = inventory.resources.iter();
            all.position(|one| same(&one, wanted))
        };
        let Some(at) = find(inventory, satellite) else {
            continue;
        };
        let mut known = inventory.left_behind.values().copied();
        let brought = known.find(|&at| same(&&inventory.resources[at], maker));
        let is_pending = of.contains(&maker.identity());
        if brought.is_none() && (is_pending || find(inventory, maker).is_some()) {
            continue;
        }
        let maker_at = brought.unwrap_or_else(|| {
            inventory.resources.push(maker.clone());
            inventory.resources.len() - 1
        });
        inventory.left_behind.insert(at, maker_at);
    }
}

/// Carries over what was read one holder at a time, because that takes a request for
/// each of them: not for every deletion.
fn carry_over(before: &Findings<'_>, stale: &[Question], uses: &mut Uses) {
    let graph = before.marking.input.graph;
    let known = &before.inventory.uses;
    for (key, users) in &known.sources {
        let (name, place) = key;
        let by_holder = graph.kinds().iter().any(|kind| kind.name() == *name);
        let is_stale = stale.iter().any(|question| {
            matches!(question, Question::Source { source, place: there }
                if source == name && **there == *place)
        });
        let Some(&read_at) = known.read_at.get(key) else {
            continue;
        };
        if by_holder && users.is_ok() && !is_stale {
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
