//! What depends on other resources: listings that are not complete, and what
//! stays keeping what it uses, until nothing changes any more. Deadness only
//! ever shrinks here, so the order does not matter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::links::{Links, UsedBy};
use super::super::ticks::{self, LastBox, Ticks};
use super::super::verdict::{Doubt, How, Unclaimed, User, Verdict, Wait};
use super::{Judgement, Law};
use crate::evidence::{Inventory, Listing, Question, Roots, Users};
use crate::model::{KindRef, Place, Resource, Time};

/// Takes deletions back where a listing that they rest on is not complete.
pub(super) fn distrust(
    inventory: &Inventory,
    roots: &Roots,
    law: &Law<'_>,
    judgements: &mut [Judgement],
) {
    let kept = origins_of_kept(roots);
    let holds_kept = |listing: &Listing| {
        let origin = ticks::origin(listing.kind.name(), listing.place.id());
        // Older issues do not say where something was listed.
        kept.contains(&origin) || kept.contains("")
    };
    let mut complete: HashMap<(&'static str, &Place), bool> = HashMap::new();
    for listing in &inventory.listings {
        let entry = complete
            .entry((listing.kind.name(), &listing.place))
            .or_insert(true);
        *entry &= listing.complete();
    }
    let is_complete = |kind: KindRef, place: &Place| {
        complete
            .get(&(kind.name(), place))
            .copied()
            .unwrap_or(false)
    };
    // A manager lives in another sort of place than what it manages.
    let any_incomplete = |kind: KindRef| {
        let mut listings = inventory
            .listings
            .iter()
            .filter(|listing| listing.kind == kind)
            .peekable();
        listings.peek().is_none() || listings.any(|listing| !listing.complete())
    };
    let mut doubts: BTreeMap<(KindRef, &Place), Option<&'static str>> = BTreeMap::new();
    for (resource, judgement) in inventory.resources.iter().zip(judgements) {
        if !judgement.verdict.is_garbage() {
            continue;
        }
        let doubt = doubts
            .entry((resource.kind, &resource.place))
            .or_insert_with(|| {
                let own = (!is_complete(resource.kind, &resource.place)).then_some(resource.kind);
                let user = || {
                    law.kinds.iter().copied().find(|user| {
                        user.0.uses.contains(&resource.kind.name())
                            && !is_complete(*user, &resource.place)
                    })
                };
                let manager = || {
                    law.kinds.iter().copied().find(|manager| {
                        manager.0.manages == Some(resource.kind.name()) && any_incomplete(*manager)
                    })
                };
                // What hangs on it, or goes with it, may be somebody's, if anybody
                // asks about that.
                let goes_with = |kind: KindRef| {
                    kind.0.belongs_to == Some(resource.kind.name())
                        || resource.kind.0.manages == Some(kind.name())
                };
                let owned = || {
                    let mut listings = inventory.listings.iter();
                    let missing = listings.find(|listing| {
                        goes_with(listing.kind)
                            && listing.place.is_near(&resource.place)
                            && (listing.evidence.needed || holds_kept(listing))
                            && !listing.complete()
                    });
                    missing.map(|listing| listing.kind)
                };
                let doubt = own.or_else(user).or_else(manager).or_else(owned);
                doubt.map(KindRef::name)
            });
        if let Some(kind) = *doubt {
            judgement.verdict = Verdict::Unknown(Doubt::Listing { kind });
        }
    }
}

/// Where that was listed which people ticked "keep" for.
fn origins_of_kept(roots: &Roots) -> BTreeSet<String> {
    let issues = roots.repositories.values();
    let issues = issues.filter_map(|one| one.issue.as_ref());
    let kept = issues.flat_map(|issue| {
        let keep = Ticks::read(&issue.body).keep;
        let boxes = issue.body.lines().filter_map(LastBox::read);
        boxes.filter(move |one| keep.contains(one.key))
    });
    kept.map(|one| one.origin.to_owned()).collect()
}

/// What no rule reads and hangs on something that one reads is judged with it;
/// gives what was judged so, with what it hangs on.
pub(super) fn inherit(
    inventory: &Inventory,
    links: &Links<'_>,
    law: &Law<'_>,
    judgements: &mut [Judgement],
) -> Vec<(usize, usize)> {
    let mut inherited = Vec::new();
    for (owned, owner) in links.owners() {
        let Some(of_owner) = judgements.get(owner).cloned() else {
            continue;
        };
        let unread = Verdict::Unclaimed(Unclaimed::NoRule);
        if judgements[owned].verdict == unread && of_owner.reading.is_some() {
            let resource = &inventory.resources[owned];
            let meant = law.shown.is_none_or(|kinds| kinds.contains(&resource.kind));
            judgements[owned] = Judgement {
                in_focus: judgements[owned].in_focus || (of_owner.in_focus && meant),
                others: Vec::new(),
                verdict: by_its_own_clocks(resource, of_owner.verdict, law),
                reading: of_owner.reading,
            };
            inherited.push((owned, owner));
        }
    }
    inherited
}

/// The owner's verdict for what hangs on it: its own creation and change count
/// as well, since time works for keeping.
fn by_its_own_clocks(resource: &Resource, verdict: Verdict, law: &Law<'_>) -> Verdict {
    let Verdict::Garbage(mut death) = verdict else {
        return verdict;
    };
    for (time, which) in [
        (resource.created_at, "created_at"),
        (resource.changed_at, "changed_at"),
    ] {
        if time == Time::Missing {
            return Verdict::Unknown(Doubt::Time(which));
        }
    }
    let own = resource.created_at.latest(resource.changed_at).known();
    if let (Some(own), Some(dead), Some(ripe)) = (own, death.dead_since, death.ripe_at)
        && own > dead
    {
        let ripe = ripe.checked_add_signed(own - dead);
        death.dead_since = Some(own);
        death.ripe_at = ripe;
        if ripe.is_none_or(|ripe| ripe > law.now) {
            return Verdict::Ripening(Wait::Grace {
                death,
                ripe_at: ripe,
            });
        }
    }
    Verdict::Garbage(death)
}

/// Lets what stays keep what it uses.
pub(super) struct Propagation<'a> {
    inventory: &'a Inventory,
    kinds: &'a [KindRef],
    judgements: &'a mut [Judgement],
    links: Links<'a>,
    inherited: Vec<(usize, usize)>,
    /// Of each resource whether this run may delete it at all.
    goes: Vec<bool>,
    /// Whether it is settled what this run deletes, so that only that is asked
    /// about.
    settled: bool,
}

impl<'a> Propagation<'a> {
    pub(super) fn new(
        inventory: &'a Inventory,
        links: Links<'a>,
        inherited: Vec<(usize, usize)>,
        law: &'a Law<'_>,
        judgements: &'a mut [Judgement],
    ) -> Self {
        let going = law.going.as_deref();
        let goes = |(resource, judgement): (&Resource, &Judgement)| {
            // Garbage that is only reported, or not meant, stays as well.
            let report_only = judgement
                .verdict
                .death()
                .is_some_and(|death| death.report_only);
            judgement.in_focus
                && !report_only
                && going.is_none_or(|going| going.contains(&resource.identity()))
        };
        let all = inventory.resources.iter().zip(judgements.iter());
        Self {
            goes: all.map(goes).collect(),
            settled: going.is_some(),
            inherited,
            inventory,
            kinds: law.kinds,
            judgements,
            links,
        }
    }

    /// Whether it is there after this run, garbage or not.
    fn stays(&self, index: usize) -> bool {
        !self.is_garbage(index) || !self.goes[index]
    }

    fn is_garbage(&self, index: usize) -> bool {
        self.judgements[index].verdict.is_garbage()
    }

    /// Runs until nothing changes, and gives the questions that are left.
    pub(super) fn run(mut self) -> Vec<Question> {
        self.keep_managers();
        loop {
            self.keep_parents();
            let kept = self.keep_used() | self.keep_owned();
            let (doubted, pending, questions) = self.unread();
            if kept || doubted {
                continue;
            }
            for (index, doubt) in pending {
                if let Some(judgement) = self.judgements.get_mut(index) {
                    judgement.verdict = Verdict::Unknown(doubt);
                }
            }
            // What is pending stays for now, so its parents do as well.
            self.keep_parents();
            return questions.into_iter().collect();
        }
    }

    /// Whether something dead hangs on another and is judged with it: that other
    /// waits for it by the order of the plan, and is not kept by it.
    fn goes_along(&self, owned: usize, owner: usize) -> bool {
        self.is_garbage(owned) && self.inherited.binary_search(&(owned, owner)).is_ok()
    }

    /// What people protect keeps what manages it: a custom domain takes its
    /// record along.
    fn keep_managers(&mut self) {
        let all = self.inventory.resources.iter().zip(&*self.judgements);
        let wanted = all.filter(|(_, judgement)| match &judgement.verdict {
            Verdict::Protected(protection) => protection.is_somebodys(),
            _ => false,
        });
        let mut protected: HashMap<_, Vec<&Resource>> = HashMap::new();
        for (resource, _) in wanted {
            let key = (resource.kind.name(), resource.name.to_ascii_lowercase());
            protected.entry(key).or_default().push(resource);
        }
        for (manager, judgement) in self.inventory.resources.iter().zip(&mut *self.judgements) {
            let Some(managed) = manager
                .kind
                .0
                .manages
                .filter(|_| judgement.verdict.is_garbage())
            else {
                continue;
            };
            let same = protected.get(&(managed, manager.name.to_ascii_lowercase()));
            let mut same = same.into_iter().flatten();
            if let Some(managed) = same.find(|one| one.place.is_near(&manager.place)) {
                judgement.verdict = Verdict::InUse(User {
                    kind: managed.kind.name(),
                    name: managed.name.clone(),
                    how: How::Manager,
                });
            }
        }
    }

    /// A parent of what stays stays.
    fn keep_parents(&mut self) {
        let mut stay: Vec<usize> = (0..self.judgements.len())
            .filter(|&index| self.inventory.resources[index].parent.is_some() && self.stays(index))
            .collect();
        while let Some(child) = stay.pop() {
            let resource = &self.inventory.resources[child];
            // The parent may be a root, which has no parent of its own.
            let found = self.links.parent(self.inventory, child);
            if let Some(parent) = found.filter(|&parent| self.is_garbage(parent)) {
                self.judgements[parent].verdict = Verdict::InUse(User {
                    kind: resource.kind.name(),
                    name: resource.name.clone(),
                    how: How::Parent,
                });
                stay.push(parent);
            }
        }
    }

    /// What hangs on something that stays stays.
    fn keep_owned(&mut self) -> bool {
        let stay: Vec<(usize, usize)> = self
            .inherited
            .iter()
            .copied()
            // What hangs on garbage may go before it does.
            .filter(|(owned, owner)| self.is_garbage(*owned) && !self.is_garbage(*owner))
            .collect();
        for (owned, owner) in &stay {
            let owner = &self.inventory.resources[*owner];
            self.judgements[*owned].verdict = Verdict::InUse(User {
                kind: owner.kind.name(),
                name: owner.name.clone(),
                how: How::Owner,
            });
        }
        !stay.is_empty()
    }

    /// What is used by something that stays stays.
    fn keep_used(&mut self) -> bool {
        let mut in_use = Vec::new();
        for (used, users) in self.links.used() {
            if !self.is_garbage(used) {
                continue;
            }
            let kind = self.inventory.resources[used].kind;
            let user = users.iter().find_map(|user| match user {
                UsedBy::Other(name) => Some((kind.name(), name.clone())),
                UsedBy::Listed(user)
                    if *user != used && self.stays(*user) && !self.goes_along(*user, used) =>
                {
                    let user = &self.inventory.resources[*user];
                    Some((user.kind.name(), user.name.clone()))
                }
                UsedBy::Listed(_) => None,
            });
            in_use.extend(user.map(|user| (used, user)));
        }
        let changed = !in_use.is_empty();
        for (used, (kind, name)) in in_use {
            let how = How::Bound;
            self.judgements[used].verdict = Verdict::InUse(User { kind, name, how });
        }
        changed
    }

    /// Finds garbage whose possible users have not all told what they use. If
    /// that was asked in vain, it is unknown at once; else it is pending, and
    /// the question is given. What is pending does not count as staying, or
    /// questions would be asked whose answers cannot matter.
    fn unread(&mut self) -> (bool, Vec<(usize, Doubt)>, BTreeSet<Question>) {
        let mut candidates: BTreeMap<(KindRef, &'a Arc<Place>), Vec<usize>> = BTreeMap::new();
        for (index, judgement) in self.judgements.iter().enumerate() {
            let resource = &self.inventory.resources[index];
            if judgement.verdict.is_garbage() && (self.goes[index] || !self.settled) {
                candidates
                    .entry((resource.kind, &resource.place))
                    .or_default()
                    .push(index);
            }
        }
        let mut doubted = false;
        let mut pending = Vec::new();
        let mut questions = BTreeSet::new();
        for ((kind, place), indices) in &candidates {
            for user in self.kinds.iter().copied() {
                if !user.0.uses.contains(&kind.name()) {
                    continue;
                }
                let Some((doubt, asked)) = self.doubt(*kind, place, user, indices) else {
                    continue;
                };
                if asked.is_empty() {
                    doubted = true;
                    for &index in indices {
                        self.judgements[index].verdict = Verdict::Unknown(doubt.clone());
                    }
                } else {
                    questions.extend(asked);
                    pending.extend(indices.iter().map(|&index| (index, doubt.clone())));
                }
            }
        }
        (doubted, pending, questions)
    }

    /// Why it is not known what the resources of one kind use of another, and
    /// what to ask; none when it is known.
    fn doubt(
        &self,
        kind: KindRef,
        place: &'a Arc<Place>,
        user: KindRef,
        candidates: &[usize],
    ) -> Option<(Doubt, Vec<Question>)> {
        let key = (user, Place::clone(place));
        let users = self.inventory.uses.users.get(&key);
        let itself = user == kind;
        let shows = |list: &Users| {
            let resources = &self.inventory.resources;
            candidates
                .iter()
                .all(|&index| list.shown.contains(&resources[index].id))
        };
        // A list that leaves one of them out says nothing about it.
        if itself && users.is_some_and(|users| users.as_ref().is_ok_and(shows)) {
            return None;
        }
        let mut unread = Vec::new();
        let mut why = None;
        let mut failed = 0;
        for (index, resource) in self.inventory.resources.iter().enumerate() {
            if resource.kind != user || resource.place != *place || !self.stays(index) {
                continue;
            }
            match self.inventory.uses.of.get(&index) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    failed += 1;
                    why.get_or_insert_with(|| Arc::from(error.as_str()));
                }
                None => unread.push(Question::Uses { resource: index }),
            }
        }
        let doubt = Doubt::References {
            unread: failed + unread.len(),
            kind: user.name(),
            why,
        };
        let many = (user.0.users_listed && users.is_none()).then(|| Question::Users {
            kind: user,
            place: place.clone(),
        });
        // Many at once where that answers everything that is asked.
        if itself && let Some(many) = many {
            return Some((doubt, vec![many]));
        }
        if failed > 0 {
            return Some((doubt, Vec::new()));
        }
        // It shows besides whether the listing of the users leaves any out.
        let asked: Vec<_> = many.into_iter().chain(unread).collect();
        (!asked.is_empty()).then_some((doubt, asked))
    }
}
