//! What depends on other resources: listings that are not complete, and what
//! stays keeping what it uses, until nothing changes any more. Deadness only
//! ever shrinks here, so the order does not matter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::links::{Links, UsedBy};
use super::super::verdict::{Doubt, How, User, Verdict};
use super::{Judgement, Law};
use crate::evidence::{Inventory, Question, Users};
use crate::model::{KindRef, Place};

/// Takes deletions back where a listing that they rest on is not complete.
pub(super) fn distrust(inventory: &Inventory, law: &Law<'_>, judgements: &mut [Judgement]) {
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
                own.or_else(user).or_else(manager).map(KindRef::name)
            });
        if let Some(kind) = *doubt {
            judgement.verdict = Verdict::Unknown(Doubt::Listing { kind });
        }
    }
}

/// What could not be deleted stays.
pub(super) fn keep_not_deleted(inventory: &Inventory, law: &Law<'_>, judgements: &mut [Judgement]) {
    if law.not_deleted.is_empty() {
        return;
    }
    for (resource, judgement) in inventory.resources.iter().zip(judgements) {
        if let (true, Some(why)) = (
            judgement.verdict.is_garbage(),
            law.not_deleted.get(&resource.identity()),
        ) {
            let why = Arc::clone(why);
            judgement.verdict = Verdict::Unknown(Doubt::NotDeleted { why });
        }
    }
}

/// Lets what stays keep what it uses.
pub(super) struct Propagation<'a> {
    inventory: &'a Inventory,
    kinds: &'a [KindRef],
    judgements: &'a mut [Judgement],
    links: Links<'a>,
}

impl<'a> Propagation<'a> {
    pub(super) fn new(
        inventory: &'a Inventory,
        law: &'a Law<'_>,
        judgements: &'a mut [Judgement],
    ) -> Self {
        Self {
            inventory,
            kinds: law.kinds,
            judgements,
            links: Links::of(inventory),
        }
    }

    fn stays(&self, index: usize) -> bool {
        self.judgements
            .get(index)
            .is_some_and(|judgement| !judgement.verdict.is_garbage())
    }

    /// Runs until nothing changes, and gives the questions that are left.
    pub(super) fn run(mut self) -> Vec<Question> {
        loop {
            self.keep_parents();
            let kept = self.keep_used();
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

    /// A parent of what stays stays.
    fn keep_parents(&mut self) {
        let mut stay: Vec<usize> = (0..self.judgements.len())
            .filter(|&index| self.inventory.resources[index].parent.is_some() && self.stays(index))
            .collect();
        while let Some(child) = stay.pop() {
            let resource = &self.inventory.resources[child];
            // The parent may be a root, which has no parent of its own.
            let found = self.links.parent(self.inventory, child);
            if let Some(parent) = found.filter(|&parent| !self.stays(parent)) {
                self.judgements[parent].verdict = Verdict::InUse(User {
                    kind: resource.kind.name(),
                    name: resource.name.clone(),
                    how: How::Parent,
                });
                stay.push(parent);
            }
        }
    }

    /// What is used by something that stays stays.
    fn keep_used(&mut self) -> bool {
        let mut in_use = Vec::new();
        for (used, users) in self.links.used() {
            if self.stays(used) {
                continue;
            }
            let kind = self.inventory.resources[used].kind;
            let user = users.iter().find_map(|user| match user {
                UsedBy::Other(name) => Some((kind.name(), name.clone())),
                UsedBy::Listed(user) if *user != used && self.stays(*user) => {
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
            if judgement.verdict.is_garbage() {
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
                let others = user.0.uses.iter().any(|used| {
                    *used != kind.name()
                        && candidates
                            .keys()
                            .any(|(other, at)| other.name() == *used && *at == *place)
                });
                let Some((doubt, asked)) = self.doubt(*kind, place, user, indices, others) else {
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
        others: bool,
    ) -> Option<(Doubt, Vec<Question>)> {
        let key = (user, Place::clone(place));
        let users = self.inventory.uses.users.get(&key);
        let listed = user == kind && user.0.users_listed;
        let shows = |list: &Users| {
            let resources = &self.inventory.resources;
            candidates
                .iter()
                .all(|&index| list.shown.contains(&resources[index].id))
        };
        // A list that leaves one of them out says nothing about it.
        if listed && users.is_some_and(|users| users.as_ref().is_ok_and(shows)) {
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
        if listed
            && !others
            && let Some(many) = many
        {
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
