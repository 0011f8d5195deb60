//! What depends on other resources: listings that are not complete, and what
//! stays keeping what it uses, until nothing changes any more. Deadness only
//! ever shrinks here, so the order does not matter.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::verdict::{Doubt, How, User, Verdict};
use super::{Judgement, Law};
use crate::evidence::{Inventory, Question, Users};
use crate::model::{KindRef, Place, ReferenceKey};

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

/// Who uses a resource, as far as it is told.
enum UsedBy {
    /// A resource of the inventory.
    Listed(usize),
    /// Something that is not in it, and therefore stays.
    Other(Box<str>),
}

/// The ids and names that anything refers to: mostly far fewer than there are
/// resources, so that only these are indexed.
#[derive(Default)]
struct Wanted<'a> {
    ids: HashSet<&'a str>,
    names: HashSet<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let mut wanted = Self::default();
        wanted.ids.extend(
            inventory
                .resources
                .iter()
                .filter_map(|resource| resource.parent.as_deref()),
        );
        for users in inventory.uses.users.values().flatten() {
            for (used, user) in &users.pairs {
                wanted.ids.extend([&**used, &**user]);
            }
        }
        for reference in inventory.uses.of.values().flatten().flatten() {
            match &reference.key {
                ReferenceKey::Id(id) => wanted.ids.insert(id),
                ReferenceKey::Name(name) => wanted.names.insert(name),
            };
        }
        wanted
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.names.is_empty()
    }
}

/// Lets what stays keep what it uses.
pub(super) struct Propagation<'a> {
    inventory: &'a Inventory,
    kinds: &'a [KindRef],
    judgements: &'a mut [Judgement],
    by_id: HashMap<(&'static str, &'a Place, &'a str), usize>,
    users: HashMap<usize, Vec<UsedBy>>,
}

impl<'a> Propagation<'a> {
    pub(super) fn new(
        inventory: &'a Inventory,
        law: &'a Law<'_>,
        judgements: &'a mut [Judgement],
    ) -> Self {
        let kinds = law.kinds;
        let wanted = Wanted::of(inventory);
        let mut by_id = HashMap::new();
        let mut by_name = HashMap::new();
        if !wanted.is_empty() {
            for (index, resource) in inventory.resources.iter().enumerate() {
                let kind = resource.kind.name();
                if wanted.ids.contains(&*resource.id) {
                    by_id.insert((kind, &*resource.place, &*resource.id), index);
                }
                if wanted.names.contains(&*resource.name) {
                    by_name.insert((kind, &*resource.place, &*resource.name), index);
                }
            }
        }
        let mut users: HashMap<usize, Vec<UsedBy>> = HashMap::new();
        for (&user, references) in &inventory.uses.of {
            let (Ok(references), Some(resource)) = (references, inventory.resources.get(user))
            else {
                continue;
            };
            for reference in references {
                let place = &*resource.place;
                let used = match &reference.key {
                    ReferenceKey::Id(id) => by_id.get(&(reference.kind, place, &**id)),
                    ReferenceKey::Name(name) => by_name.get(&(reference.kind, place, &**name)),
                };
                if let Some(&used) = used {
                    users.entry(used).or_default().push(UsedBy::Listed(user));
                }
            }
        }
        for ((kind, place), list) in &inventory.uses.users {
            for (used, user) in list.iter().flat_map(|list| &list.pairs) {
                let Some(&used) = by_id.get(&(kind.name(), place, &**used)) else {
                    continue;
                };
                let user = by_id
                    .get(&(kind.name(), place, &**user))
                    .map_or_else(|| UsedBy::Other(user.clone()), |&user| UsedBy::Listed(user));
                users.entry(used).or_default().push(user);
            }
        }
        Self {
            inventory,
            kinds,
            judgements,
            by_id,
            users,
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
            let Some(parent) = resource.parent.as_deref() else {
                continue;
            };
            let key = (resource.kind.name(), &*resource.place, parent);
            // The parent may be a root, which has no parent of its own.
            let found = self.by_id.get(&key).copied();
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
        for (&used, users) in &self.users {
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
