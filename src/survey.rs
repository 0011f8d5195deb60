//! A survey: what exists, what keeps it alive and what follows, read once for
//! the report and again, in part, just before anything is deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use tokio::time::Instant;

use crate::evidence::{ClosedSearch, Inventory, Roots, Searched, Uses};
use crate::gc::mark::{self, JudgeInput};
use crate::gc::plan::Plan;
use crate::gc::verdict::Verdict;
use crate::gc::{self, Judgement, KindGraph, Marking};
use crate::journal::{Implied, Snapshot};
use crate::model::{
    Api, KindRef, Link, Place, PlaceSort, Reference, References, ReferencesFrom, Repository,
    Resource, ResourceId, Time,
};
use crate::progress::Observer;
use crate::roots;
use crate::roots::github::{Authors, GitHubClient};
use crate::scan::{self, Budget, Target};
use crate::wire::Client;

/// What is looked at, and by which law it is judged.
pub struct Survey<'p> {
    /// The way to the providers.
    pub client: Client,
    /// The input of the judge.
    pub law: JudgeInput<'p>,
    /// What is listed.
    pub targets: Vec<Target>,
    /// The ids that repositories are known to have.
    pub repository_ids: BTreeMap<Repository, u64>,
    /// Whose tracking issue counts.
    pub issue_authors: Arc<Authors>,
    /// Whether only resources with a checked "delete" box may be deleted.
    pub approved: bool,
    /// How far single resources may be asked what they use.
    pub budget: Budget,
    /// Receives progress events.
    pub observer: &'p dyn Observer,
}

/// The result of reading and judging everything once.
#[derive(Debug)]
pub struct Findings<'p> {
    /// The resources that exist.
    pub inventory: Inventory,
    /// What keeps it alive.
    pub roots: Roots,
    /// The verdicts that follow.
    pub marking: Marking<'p>,
    /// When the reads began: nothing in the result is older.
    pub since: Instant,
    /// How far single resources may still be asked what they use.
    budget: Budget,
    index: HashMap<(KindRef, Place, Box<str>), usize>,
}

impl Findings<'_> {
    /// A resource as it was found, with how it was judged.
    pub fn find(&self, id: &ResourceId) -> Option<(&Resource, &Judgement)> {
        let key = (id.kind, Place::clone(&id.place), id.id.clone());
        let index = *self.index.get(&key)?;
        Some((
            self.inventory.resources.get(index)?,
            self.marking.judgements.get(index)?,
        ))
    }

    /// Every resource of the inventory that uses or is used by this one, as the
    /// listings themselves tell.
    pub fn linked(&self, id: &ResourceId) -> impl Iterator<Item = &Resource> {
        let is = |reference: &Reference| {
            let key = reference.key.text();
            reference.kind == id.kind.name() && (*key == *id.id || *key == *id.name)
        };
        let resources = self.inventory.resources.iter();
        let here = resources.filter(move |resource| resource.place.is_near(&id.place));
        here.filter(move |resource| {
            let references = resource.links.iter().filter_map(Link::reference);
            references.into_iter().any(is)
        })
    }

    /// What a resource uses, as far as it was asked: kinds with ids or names.
    pub fn uses(&self, id: &ResourceId) -> Vec<(String, String)> {
        let key = (id.kind, Place::clone(&id.place), id.id.clone());
        let index = self.index.get(&key);
        let uses = index.and_then(|index| self.inventory.uses.of.get(index));
        let uses = uses.into_iter().flatten();
        let uses = uses.flat_map(|references| &references.uses);
        uses.map(|reference| {
            let text = reference.key.text();
            (reference.kind.to_owned(), text.to_string())
        })
        .collect()
    }

    /// The names of what would go and may hold what this target lists.
    fn garbage_that_holds(&self, target: &Target) -> BTreeSet<Box<str>> {
        let owner = target.kind.about().0.belongs_to;
        let all = self
            .inventory
            .resources
            .iter()
            .zip(&self.marking.judgements);
        all.filter(|(one, judgement)| {
            owner == Some(one.kind.name())
                && one.place == target.place
                && judgement.verdict.is_garbage()
        })
        .map(|(one, _)| one.name.clone())
        .collect()
    }

    /// Returns what the provider removes together with a resource, as far as it
    /// is known: the DNS record that a custom domain manages, the custom domains
    /// and Previews of a Worker.
    pub fn implied(&self, id: &ResourceId) -> Vec<Implied> {
        let mut implied: Vec<Implied> = Vec::new();
        let resources = self.inventory.resources.iter();
        let near = resources.filter(|resource| resource.place.is_near(&id.place));
        for resource in near {
            let about = resource.kind.0;
            // A route is deleted by a request of its own.
            let goes = about.holder.is_some() || about.manages.is_some();
            let owned = goes
                && resource.owner().is_some_and(|owner| {
                    let key = owner.key.text();
                    owner.kind == id.kind.name() && (*key == *id.id || *key == *id.name)
                });
            let managed = id.kind.manages == Some(resource.kind.name())
                && resource.name.eq_ignore_ascii_case(&id.name);
            if owned || managed {
                let mut copy = Snapshot::of(resource);
                let one = resource.identity();
                copy.uses = self.uses(&one);
                copy.implied = self.implied(&one);
                implied.push(Implied {
                    kind: one.kind.name().to_owned(),
                    id: Some(one.id),
                    name: one.name,
                    copy: Some(Box::new(copy)),
                });
            }
        }
        let key = (id.kind, Place::clone(&id.place), id.id.clone());
        let index = self.index.get(&key);
        let held = index.and_then(|index| self.inventory.uses.held.get(index));
        let inside = self.marking.law.graph.owned(id.kind);
        let inside = inside.filter(|kind| kind.holder.is_some());
        let held = inside.flat_map(|kind| {
            let names = held.into_iter().flatten().flatten();
            names.map(move |name| (kind.name(), name))
        });
        let sources = self.inventory.uses.sources.iter();
        let sources = sources.filter(|((_, place), _)| place.is_near(&id.place));
        let users = sources.flat_map(|((source, _), users)| {
            let users = users.iter().flatten().filter(|user| {
                user.owner.as_ref().is_some_and(|owner| {
                    let key = owner.key.text();
                    owner.kind == id.kind.name() && (*key == *id.id || *key == *id.name)
                })
            });
            users.map(|user| (*source, &user.name))
        });
        for (kind, name) in held.chain(users) {
            let known = implied
                .iter()
                .any(|one| one.kind == kind && one.name == *name);
            if !known && !name.is_empty() {
                implied.push(Implied {
                    kind: kind.to_owned(),
                    id: None,
                    name: name.clone(),
                    copy: None,
                });
            }
        }
        implied
    }

    /// Why the listing of a kind in a place is not complete, if so.
    pub fn gap(&self, kind: KindRef, place: &Place) -> Option<String> {
        let listing = self
            .inventory
            .listings
            .iter()
            .find(|listing| listing.kind == kind && *listing.place == *place);
        match listing {
            Some(listing) if listing.complete() => None,
            Some(listing) => Some(listing.evidence.gap.clone().unwrap_or_default()),
            None => Some(format!("{kind} was not listed in {place}")),
        }
    }
}

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
    /// Judges what was listed. Resources are read before this, so none is
    /// younger than its roots.
    pub async fn judge(&self, inventory: Inventory, since: Instant) -> Findings<'p> {
        let early = mark::early_questions(&inventory, &self.law());
        let mut budget = self.budget.clone();
        let (roots, uses) = tokio::join!(
            self.roots(inventory.resources.iter()),
            scan::answer(&self.client, &inventory, &early, &mut budget, self.observer)
        );
        // The clocks are compared only once listings and roots have answered.
        let mut findings = self
            .mark(inventory, roots, uses, self.law(), budget, since)
            .await;
        self.list_on_demand(&mut findings).await;
        findings
    }

    /// Lists what is listed holder by holder, for those holders only that would
    /// go: the others need nothing of it, and each holder costs a request.
    async fn list_on_demand(&self, findings: &mut Findings<'p>) {
        let targets: Vec<Target> = self
            .targets
            .iter()
            .filter(|target| target.on_demand)
            .filter_map(|target| {
                let holders = findings.garbage_that_holds(target);
                (!holders.is_empty()).then(|| Target {
                    holders: Some(holders),
                    ..target.clone()
                })
            })
            .collect();
        if targets.is_empty() {
            return;
        }
        let more = scan::inventory(&self.client, &targets, self.observer).await;
        findings.inventory.extend(more);
        findings.index = index_of(&findings.inventory);
        let law = findings.marking.law.clone();
        let budget = &mut findings.budget;
        findings.marking = self
            .settle_questions(&mut findings.inventory, &findings.roots, &law, budget)
            .await;
    }

    /// The law, with the time by which everything is judged: the start of the
    /// run by the earliest of the machine's and the providers' clocks.
    fn law(&self) -> JudgeInput<'p> {
        JudgeInput {
            now: self.client.earliest(self.law.now),
            ..self.law.clone()
        }
    }

    /// Looks again at what these resources depend on: the listings of their
    /// kinds and of all that use or manage them, and what they claim to belong
    /// to. Everything but what is `going` stays, with all that it uses.
    pub async fn again(
        &self,
        before: &Findings<'p>,
        of: &[ResourceId],
        going: BTreeSet<ResourceId>,
        own: &OwnChanges,
    ) -> Findings<'p> {
        let since = Instant::now();
        let concerned: BTreeSet<(KindRef, &Place)> =
            of.iter().map(|id| (id.kind, &*id.place)).collect();
        let targets: Vec<Target> = self
            .targets
            .iter()
            .filter(|target| {
                let about = target.kind.about();
                concerned.iter().any(|(kind, place)| {
                    let itself = about == *kind && *target.place == **place;
                    let owner = self.law.graph.owner(*kind) == Some(about);
                    let concerns = self.law.graph.concerns(*kind, about)
                        && KindGraph::may_concern(place, &target.place, (*kind, about));
                    itself || concerns || (owner && target.place.is_near(place))
                })
            })
            .map(|target| target.among(of))
            .collect();
        let mut inventory = scan::inventory(&self.client, &targets, self.observer).await;
        disregard(&mut inventory, own);
        let law = JudgeInput {
            going: Some(Arc::new(going)),
            contradicted: Arc::clone(&before.marking.law.contradicted),
            ..self.law()
        };
        let early = mark::early_questions(&inventory, &law);
        let mut budget = before.budget.afresh(self.client.deadline());
        let meant: BTreeSet<(KindRef, &Place, &str)> =
            of.iter().map(|id| (id.kind, &*id.place, &*id.id)).collect();
        let pending = |one: &Resource| meant.contains(&(one.kind, &*one.place, &*one.id));
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
            self.roots_of_the_dead(claimants),
            scan::answer(&self.client, &inventory, &early, &mut budget, self.observer)
        );
        let mut known = still_known(before, &inventory, &uses);
        known.append(&mut uses.of);
        uses.of = known;
        // What takes a request for each holder is not read again for every
        // deletion. What is about to be deleted is asked about by itself.
        let by_holder = before.inventory.uses.sources.iter();
        let by_holder = by_holder.filter(|((name, _), users)| {
            let mut kinds = self.law.graph.kinds().iter();
            users.is_ok() && kinds.any(|kind| kind.name() == *name)
        });
        for (key, users) in by_holder {
            uses.sources.insert(key.clone(), users.clone());
            uses.earlier.insert(key.clone());
        }
        let roots = renewed(&before.roots, fresh);
        self.mark(inventory, roots, uses, law, budget, since).await
    }

    /// A plan that takes at most so many steps, nothing of which is used by
    /// garbage that has to wait. What turns out to be undecided, or to wait for
    /// something beyond the cap, leaves its place to others.
    pub async fn plan(&self, findings: &mut Findings<'p>, most: usize) -> Plan {
        let base = findings.marking.law.clone();
        let mut waiting = BTreeSet::new();
        // What is undecided stays so for the rest of the run, however often the
        // rest is judged again: another choice of steps would only leave others
        // unread.
        let mut doubts: BTreeMap<(KindRef, Arc<Place>), Verdict> = BTreeMap::new();
        let mut doubted: BTreeMap<usize, Verdict> = BTreeMap::new();
        let mut plan = gc::plan(&findings.inventory, &findings.marking, most);
        while self.asks_more(&plan, findings)
            || has_waiting_users(&plan, &findings.inventory)
            || !plan.hindered.is_empty()
        {
            let resources = &findings.inventory.resources;
            let going = plan.steps.iter();
            let going = going.filter(|step| !plan.hindered.contains(&step.resource));
            let going = going.map(|step| resources[step.resource].identity());
            let law = JudgeInput {
                going: Some(Arc::new(going.collect())),
                ..base.clone()
            };
            let more = self.asks_more(&plan, findings);
            let budget = &mut findings.budget;
            let marking = self
                .settle_questions(&mut findings.inventory, &findings.roots, &law, budget)
                .await;
            if more {
                // What was learned holds for all verdicts.
                findings.marking = self
                    .settle_questions(&mut findings.inventory, &findings.roots, &base, budget)
                    .await;
            }
            let mut undecided = false;
            let mut kept = BTreeSet::new();
            for step in &plan.steps {
                let verdict = &marking.judgements[step.resource].verdict;
                match verdict {
                    Verdict::Garbage(_) => {}
                    Verdict::Unknown(doubt) => {
                        undecided = true;
                        let resource = &findings.inventory.resources[step.resource];
                        if doubt.is_about_all_of_a_kind() {
                            let key = (resource.kind, Arc::clone(&resource.place));
                            doubts.insert(key, verdict.clone());
                        }
                        doubted.insert(step.resource, verdict.clone());
                    }
                    _ => {
                        kept.insert(step.resource);
                    }
                }
            }
            // What one of a kind waits for, the others wait for as well: none of
            // them takes a place in the plan.
            let resources = &findings.inventory.resources;
            let judgements = findings.marking.judgements.iter_mut();
            for (index, (resource, judgement)) in resources.iter().zip(judgements).enumerate() {
                let of_kind = || doubts.get(&(resource.kind, Arc::clone(&resource.place)));
                let doubt = doubted.get(&index).or_else(of_kind);
                if let (Verdict::Garbage(_), Some(doubt)) = (&judgement.verdict, doubt) {
                    judgement.verdict = doubt.clone();
                }
            }
            let drawn = |waiting: &BTreeSet<usize>| {
                gc::plan_without(&findings.inventory, &findings.marking, most, waiting)
            };
            // With what was just learned users come before what they use, so that
            // what was kept may go together with them.
            let mut again = drawn(&waiting);
            if again == plan && !undecided {
                if kept.is_empty() {
                    break;
                }
                waiting.extend(kept);
                again = drawn(&waiting);
            }
            plan = again;
        }
        plan
    }

    /// Whether something in the plan depends on what is listed one holder at a
    /// time and was not asked for yet.
    fn asks_more(&self, plan: &Plan, findings: &Findings<'p>) -> bool {
        let graph = self.law.graph;
        let inventory = &findings.inventory;
        plan.steps.iter().any(|step| {
            let resource = &inventory.resources[step.resource];
            let others = graph.owned(resource.kind);
            let mut others = others.chain(graph.user_kinds(resource.kind));
            others.any(|other| {
                let listed = || {
                    let mut listings = inventory.listings.iter();
                    listings.any(|one| one.kind == other && one.place == resource.place)
                };
                let key = (other.name(), Place::clone(&resource.place));
                other.0.holder.is_some()
                    && other.0.place == PlaceSort::Account
                    && !inventory.uses.sources.contains_key(&key)
                    && !listed()
            })
        })
    }

    /// Marks, asks what verdicts still need, and marks again until nothing is
    /// left to ask.
    async fn mark(
        &self,
        mut inventory: Inventory,
        roots: Roots,
        uses: Uses,
        law: JudgeInput<'p>,
        mut budget: Budget,
        since: Instant,
    ) -> Findings<'p> {
        inventory.learn(uses);
        let marking = self
            .settle_questions(&mut inventory, &roots, &law, &mut budget)
            .await;
        Findings {
            index: index_of(&inventory),
            inventory,
            roots,
            marking,
            since,
            budget,
        }
    }

    async fn settle_questions(
        &self,
        inventory: &mut Inventory,
        roots: &Roots,
        law: &JudgeInput<'p>,
        budget: &mut Budget,
    ) -> Marking<'p> {
        loop {
            let marking = mark::mark(inventory, roots, law.clone());
            if marking.questions.is_empty() {
                return marking;
            }
            let questions = &marking.questions;
            let uses =
                scan::answer(&self.client, inventory, questions, budget, self.observer).await;
            inventory.learn(uses);
        }
    }

    /// What keeps resources alive, and how the rest ended: first what lives,
    /// because only the others have to be searched for.
    async fn roots<'r>(&self, resources: impl Iterator<Item = &'r Resource> + Clone) -> Roots {
        self.ask(resources, true).await
    }

    /// The same for what was found dead before: each pull request is asked for
    /// by number, whatever else is open.
    async fn roots_of_the_dead<'r>(
        &self,
        resources: impl Iterator<Item = &'r Resource> + Clone,
    ) -> Roots {
        self.ask(resources, false).await
    }

    async fn ask<'r>(
        &self,
        resources: impl Iterator<Item = &'r Resource> + Clone,
        list_open: bool,
    ) -> Roots {
        let mut roots = Roots::default();
        let mut claims = mark::claims(resources.clone(), &self.law());
        claims.retain(|_, claimed| !claimed.is_empty());
        // Checked boxes count also where no claim is looked up.
        if self.client.has(Api::GitHub) {
            for policy_scope in self.law.policy_scopes {
                claims
                    .entry(policy_scope.policy.repository.clone())
                    .or_default();
            }
        }
        if claims.is_empty() {
            return roots;
        }
        let github =
            &GitHubClient::new(self.client.clone()).with_issue_authors(&self.issue_authors);
        let alive = claims.iter().map(|(repository, claimed)| async move {
            let expected_id = self.repository_ids.get(repository).copied();
            let only = self.law.only;
            let found = if (list_open && !claimed.is_empty()) || claimed.heads {
                roots::alive(
                    github,
                    repository,
                    claimed,
                    only,
                    expected_id,
                    self.observer,
                )
                .await
            } else {
                roots::checked_boxes(github, repository, self.observer).await
            };
            (repository.clone(), found)
        });
        roots.repositories = join_all(alive).await.into_iter().collect();
        let orphaned = mark::orphaned(resources, &roots, &self.law());
        let nothing = ClosedSearch::default();
        let ended = roots.repositories.iter_mut().map(|(repository, roots)| {
            let claimed = claims.get(repository);
            let orphaned = orphaned.get(repository).unwrap_or(&nothing);
            async move {
                if let Some(claimed) = claimed {
                    roots::ended(github, repository, claimed, orphaned, roots, self.observer).await;
                }
            }
        });
        join_all(ended).await;
        roots
    }
}

/// Whether garbage that a plan leaves for later may use something in it.
fn has_waiting_users(plan: &Plan, inventory: &Inventory) -> bool {
    plan.deferred.iter().any(|index| {
        let kind = inventory.resources[*index].kind;
        kind.references == ReferencesFrom::Each
    })
}

fn index_of(inventory: &Inventory) -> HashMap<(KindRef, Place, Box<str>), usize> {
    let all = inventory.resources.iter().enumerate();
    all.map(|(index, one)| ((one.kind, Place::clone(&one.place), one.id.clone()), index))
        .collect()
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
