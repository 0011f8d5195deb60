//! Withdraws verdicts of garbage that depend on incomplete listings or on other
//! resources that stay, until nothing changes any more. Verdicts are only
//! withdrawn, so the order does not matter.

mod guards;
mod holders;
mod makers;
mod protected;
mod unknown;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::box_key;
use super::super::kind_graph::KindGraph;
use super::super::reference_index::{IndexedUser, ReferenceIndex};
use super::super::verdict::{Doubt, ResourceUser, UsageKind, UserStays, Verdict, Wait};
use super::dependents::{
    LiveNames, is_deleted_with_owner, is_recorded_for_another, own_part, takes_along,
};
use super::judge::Judge;
use super::{JudgeInput, Judgement};
use crate::evidence::{Inventory, Listing, Question, Roots};
use crate::model::{KindName, KindRef, Link, Place, ReferenceKey, Resource, Time};

/// Withdraws deletions that depend on an incomplete listing.
pub(super) fn require_complete_listings(
    inventory: &Inventory,
    roots: &Roots,
    input: &JudgeInput<'_>,
    judgements: &mut [Judgement],
) {
    let kept = origins_of_kept(roots);
    let holds_kept = |listing: &Listing| {
        let origin = box_key::origin(listing.kind.name(), listing.place.id());
        // Older issues do not say where something was listed.
        kept.contains(&*origin) || kept.contains("")
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
    let kinds = input.graph.kinds();
    // What a run was not going to delete may have been listed without what
    // concerns it.
    let may_go = |resource: &Resource| input.may_be_deleted(resource);
    let mut doubts: BTreeMap<(KindRef, &Place, bool), Option<KindName>> = BTreeMap::new();
    for (index, (resource, judgement)) in inventory.resources.iter().zip(judgements).enumerate() {
        if !judgement.verdict.is_garbage() || inventory.is_deleted_maker(index) {
            continue;
        }
        if !KindGraph::declares_users(resource.kind) && !kinds.is_empty() {
            judgement.verdict = Verdict::Unknown(Doubt::UsersUndeclared);
            continue;
        }
        let doubt = doubts
            .entry((resource.kind, &resource.place, may_go(resource)))
            .or_insert_with(|| {
                let may_delete = may_go(resource);
                let (kind, place) = (resource.kind, &*resource.place);
                let own = (!is_complete(kind, place)).then_some(kind);
                let gap = |other: &KindRef| {
                    let may_keep = KindGraph::may_keep(*other, kind);
                    if !input.graph.concerns(kind, *other) && !may_keep {
                        return false;
                    }
                    // What is listed one holder at a time is asked for where it
                    // matters.
                    let by_holder = other.0.holder.is_some();
                    if let Some(there) = KindGraph::must_be_listed(kind, place, *other)
                        && !by_holder
                        && !may_keep
                    {
                        let incomplete = match complete.get(&(other.name(), &there)) {
                            Some(complete) => !complete,
                            None => may_delete,
                        };
                        if incomplete {
                            return true;
                        }
                    }
                    // Also in another zone: a record there may lead to one here.
                    let mut listings = inventory.listings.iter();
                    listings.any(|listing| {
                        listing.kind == *other
                            && KindGraph::may_concern(place, &listing.place, (kind, *other))
                            && (listing.evidence.needed || holds_kept(listing))
                            && !listing.complete()
                    })
                };
                // What it made could not be found any more once it is gone.
                let unlisted =
                    |one: &KindRef| complete.get(&(one.name(), place)).copied() == Some(false);
                let mut satellites = input.graph.lost_satellites(kind);
                let doubt = own
                    .or_else(|| kinds.iter().copied().find(gap))
                    .or_else(|| satellites.find(unlisted));
                doubt.map(KindRef::named)
            });
        if let Some(kind) = *doubt {
            judgement.verdict = Verdict::Unknown(Doubt::Listing { kind });
        } else if let Some(host) = guards::unseen_host(inventory, input.graph, resource) {
            judgement.verdict = Verdict::Unknown(Doubt::UnseenHost(host.into()));
        }
    }
}

/// Returns the origins of the resources whose checkbox "keep" is checked.
fn origins_of_kept(roots: &Roots) -> BTreeSet<&str> {
    let issues = roots.repositories.values();
    let issues = issues.filter_map(|one| one.issue.as_ref());
    let origins = issues.flat_map(|issue| &issue.checked.origins_of_kept);
    origins.map(String::as_str).collect()
}

/// Judges an unmatched resource with the matched resource that it belongs to, and an
/// unmatched satellite with what made it. Returns the pairs of such a resource and
/// its owner, in ascending order.
pub(super) fn inherit(
    inventory: &Inventory,
    links: &ReferenceIndex<'_>,
    judge: &Judge<'_, '_>,
    living: &LiveNames,
    judgements: &mut [Judgement],
) -> Vec<(usize, usize)> {
    let input = judge.input();
    let mut inherited = Vec::new();
    for (owned, owner) in links.owners().chain(links.makers()) {
        let Some(of_owner) = judgements.get(owner).cloned() else {
            continue;
        };
        let resource = &inventory.resources[owned];
        let goes_along = if resource.kind.satellite_of.is_empty() {
            is_deleted_with_owner(
                input,
                living,
                resource.kind,
                &own_part(resource),
                owner,
                &of_owner,
                inventory,
            )
        } else {
            takes_along(input, &of_owner, resource.kind)
        };
        let is_of_another = is_recorded_for_another(input, resource, &of_owner);
        if goes_along && !is_of_another && is_left_to_owner(&judgements[owned]) {
            judgements[owned] = Judgement {
                deleted_with: resource.kind.stands_alone.then_some(owner),
                ..inherited_judgement(resource, &judgements[owned], of_owner, judge)
            };
            inherited.push((owned, owner));
        }
    }
    inherited.sort_unstable();
    inherited
}

/// Judges an unmatched satellite with what made it, where that is gone.
pub(super) fn inherit_from_gone(
    inventory: &Inventory,
    judge: &Judge<'_, '_>,
    satellite: usize,
    of_maker: Judgement,
    judgements: &mut [Judgement],
) {
    let resource = &inventory.resources[satellite];
    let judgement = &mut judgements[satellite];
    if is_left_to_owner(judgement) && takes_along(judge.input(), &of_maker, resource.kind) {
        *judgement = inherited_judgement(resource, judgement, of_maker, judge);
    }
}

/// Whether what something belongs to decides about it.
fn is_left_to_owner(judgement: &Judgement) -> bool {
    matches!(&judgement.verdict, Verdict::Unmatched(unmatched) if unmatched.is_left_to_owner())
}

/// The judgement of a resource that is judged with what it belongs to.
fn inherited_judgement(
    resource: &Resource,
    own: &Judgement,
    of_owner: Judgement,
    judge: &Judge<'_, '_>,
) -> Judgement {
    let input = judge.input();
    let kinds = input.only_kinds;
    let of_kind = kinds.is_none_or(|kinds| kinds.contains(&resource.kind));
    // Its own creation has to fit to the pull request as well.
    let contradiction = judge.contradiction(resource, &of_owner);
    let verdict = by_its_own_clocks(resource, of_owner.verdict, input);
    let verdict = match (contradiction, verdict) {
        (Some(doubt), Verdict::Garbage(_) | Verdict::Grace(Wait::Grace { .. })) => {
            Verdict::Unknown(doubt)
        }
        (_, verdict) => verdict,
    };
    Judgement {
        in_focus: own.in_focus || (of_owner.in_focus && of_kind),
        others: Vec::new(),
        deleted_with: None,
        verdict,
        matched_by: of_owner.matched_by,
    }
}

/// Returns the owner's verdict for a resource that belongs to it. The resource's
/// own creation and change count as well, because time works for keeping.
fn by_its_own_clocks(resource: &Resource, verdict: Verdict, input: &JudgeInput<'_>) -> Verdict {
    let Verdict::Garbage(mut death) = verdict else {
        return verdict;
    };
    if let Some(field) = resource.unread {
        return Verdict::Unknown(Doubt::Unread(field));
    }
    for (time, which) in [
        (resource.created_at, "created_at"),
        (resource.changed_at, "changed_at"),
    ] {
        if time == Time::Missing {
            return Verdict::Unknown(Doubt::Time(which));
        }
    }
    let own = resource.created_at.latest(resource.changed_at).known();
    if let (Some(own), Some(dead), Some(grace_ends_at)) =
        (own, death.dead_since, death.grace_ends_at)
        && own > dead
    {
        let grace_ends_at = grace_ends_at.checked_add_signed(own - dead);
        death.dead_since = Some(own);
        death.grace_ends_at = grace_ends_at;
        if grace_ends_at.is_none_or(|grace_ends_at| grace_ends_at >= input.now) {
            return Verdict::Grace(Wait::Grace {
                death,
                grace_ends_at,
            });
        }
    }
    Verdict::Garbage(death)
}

/// Lets what stays keep what it uses.
pub(super) struct Propagation<'a> {
    inventory: &'a Inventory,
    input: &'a JudgeInput<'a>,
    judge: &'a Judge<'a, 'a>,
    living: &'a LiveNames,
    judgements: &'a mut [Judgement],
    links: ReferenceIndex<'a>,
    inherited: Vec<(usize, usize)>,
    /// Of each resource whether this run may delete it at all.
    may_delete: Vec<bool>,
    /// Whether it is settled what this run deletes, so that only that is asked
    /// about.
    settled: bool,
}

impl<'a> Propagation<'a> {
    pub(super) fn new(
        inventory: &'a Inventory,
        links: ReferenceIndex<'a>,
        inherited: Vec<(usize, usize)>,
        judge: &'a Judge<'a, 'a>,
        living: &'a LiveNames,
        judgements: &'a mut [Judgement],
    ) -> Self {
        let input = judge.input();
        let may_delete = |(resource, judgement): (&Resource, &Judgement)| {
            // Garbage that is only reported, or outside the focus, stays as well.
            let report_only = judgement
                .verdict
                .death()
                .is_some_and(|death| death.report_only);
            judgement.in_focus && !report_only && input.may_be_deleted(resource)
        };
        let all = inventory.resources.iter().zip(judgements.iter());
        Self {
            may_delete: all.map(may_delete).collect(),
            settled: input.to_delete.is_some(),
            inherited,
            inventory,
            input,
            judge,
            living,
            judgements,
            links,
        }
    }

    /// Whether it is there after this run, garbage or not.
    fn stays(&self, index: usize) -> bool {
        !self.is_garbage(index) || !self.may_delete[index]
    }

    fn is_garbage(&self, index: usize) -> bool {
        self.judgements[index].verdict.is_garbage()
    }

    /// Whether it is left to its own expiry.
    fn expires(&self, index: usize) -> bool {
        let verdict = &self.judgements[index].verdict;
        matches!(verdict, Verdict::Grace(Wait::Expires { .. }))
    }

    /// Says that this resource keeps another, and why it is still there itself.
    fn user(&self, index: usize, how: UsageKind) -> ResourceUser {
        let resource = &self.inventory.resources[index];
        let death = self.judgements[index].verdict.death();
        ResourceUser {
            kind: resource.kind.named(),
            name: resource.name.clone(),
            how,
            stays: match death.filter(|_| self.is_garbage(index)) {
                Some(death) if death.report_only => UserStays::Reported,
                Some(_) if !self.may_delete[index] => UserStays::LeftOut,
                Some(_) | None => UserStays::Wanted,
            },
        }
    }

    /// Runs until nothing changes, and returns the questions that are left.
    pub(super) fn run(mut self) -> Vec<Question> {
        self.keep_managers();
        self.keep_attached_to_protected();
        self.keep_unread_makers();
        let mut asked = BTreeSet::new();
        loop {
            self.keep_parents();
            let kept = self.keep_used()
                | self.keep_owned()
                | self.keep_holders()
                | self.keep_makers()
                | self.keep_possible_targets();
            let (doubted, pending, questions) = self.unread();
            if kept || doubted {
                continue;
            }
            for (index, doubt) in pending {
                if let Some(judgement) = self.judgements.get_mut(index) {
                    judgement.verdict = Verdict::Unknown(doubt);
                }
            }
            asked.extend(questions);
            // What is pending stays for now, so its parents do as well, and what it
            // runs, with all that this uses.
            self.keep_parents();
            if !self.keep_makers() {
                return asked.into_iter().collect();
            }
        }
    }

    /// Whether a resource is judged with its owner and may be deleted by this
    /// run: the owner waits for it by the order of the plan.
    fn is_deleted_with_owner(&self, owned: usize, owner: usize) -> bool {
        self.is_garbage(owned)
            && (self.may_delete[owned] || self.settled)
            && self.inherited.binary_search(&(owned, owner)).is_ok()
    }

    /// A parent of what stays stays.
    fn keep_parents(&mut self) {
        let mut stay: Vec<usize> = (0..self.judgements.len())
            .filter(|&index| self.inventory.resources[index].parent.is_some() && self.stays(index))
            .collect();
        while let Some(child) = stay.pop() {
            // The parent may be a root, which has no parent of its own.
            let found = self.links.parent(self.inventory, child);
            if let Some(parent) = found.filter(|&parent| self.is_garbage(parent)) {
                let user = self.user(child, UsageKind::Parent);
                self.judgements[parent].verdict = Verdict::InUse(user);
                stay.push(parent);
            }
        }
    }

    /// Keeps resources that belong to one that stays.
    fn keep_owned(&mut self) -> bool {
        let stay: Vec<(usize, usize)> = self
            .inherited
            .iter()
            .copied()
            // A resource that belongs to garbage may be deleted before it.
            .filter(|(owned, owner)| self.is_garbage(*owned) && !self.is_garbage(*owner))
            .collect();
        for (owned, owner) in &stay {
            let user = self.user(*owner, UsageKind::Owner);
            self.judgements[*owned].verdict = Verdict::InUse(user);
        }
        !stay.is_empty()
    }

    /// What is used by something that stays stays.
    fn keep_used(&mut self) -> bool {
        let mut in_use = Vec::new();
        for (used, users) in self.links.used() {
            let expires = self.expires(used);
            if !self.is_garbage(used) && !expires {
                continue;
            }
            let user = users.iter().find_map(|user| match user {
                IndexedUser::Other { kind, name } => Some(ResourceUser {
                    kind: self.input.graph.named(kind),
                    name: name.clone(),
                    how: UsageKind::Bound,
                    stays: UserStays::Wanted,
                }),
                // Garbage that another run deletes is no reason to take an expiry back.
                IndexedUser::Listed(user) if expires && self.is_garbage(*user) => None,
                IndexedUser::Listed(user) if *user != used && self.keeps(*user, used) => {
                    Some(self.user(*user, self.how(*user, used)))
                }
                IndexedUser::Listed(_) => None,
            });
            in_use.extend(user.map(|user| (used, user)));
        }
        let changed = !in_use.is_empty();
        for (used, user) in in_use {
            self.judgements[used].verdict = Verdict::InUse(user);
        }
        changed
    }

    /// Whether a user keeps what it uses. Among what is only reported nothing goes, and
    /// still all of it is garbage that only garbage uses.
    fn keeps(&self, user: usize, used: usize) -> bool {
        let is_reported = |index: usize| {
            let death = self.judgements[index].verdict.death();
            death.is_some_and(|death| death.report_only)
        };
        if is_reported(used) && is_reported(user) {
            return false;
        }
        self.stays(user) && !self.is_deleted_with_owner(user, used)
    }

    /// How one resource uses another.
    fn how(&self, user: usize, used: usize) -> UsageKind {
        let resource = &self.inventory.resources[user];
        let links = &self.inventory.resources[used].links;
        let used = self.inventory.resources[used].kind;
        if resource.kind.belongs_to == Some(used.name()) {
            return UsageKind::Serves;
        }
        if links.iter().any(|link| matches!(link, Link::Guards(_))) {
            return UsageKind::Guarded;
        }
        let by_address = resource.links.iter().any(|link| match link {
            Link::Uses(reference) => {
                let by_address = matches!(reference.key, ReferenceKey::Address(_));
                reference.kind == used.name() && by_address
            }
            Link::UsedBy(_)
            | Link::ServedBy(_)
            | Link::LeftBy(_)
            | Link::MayUse(_)
            | Link::Guards(_) => false,
        });
        if by_address {
            UsageKind::Target
        } else {
            UsageKind::Bound
        }
    }

    fn is_listed(&self, kind: KindRef, place: &Place) -> bool {
        let mut listings = self.inventory.listings.iter();
        listings.any(|listing| listing.kind == kind && *listing.place == *place)
    }

    /// Keeps what a binding of an unknown type may name, if the user of the
    /// binding stays.
    fn keep_possible_targets(&mut self) -> bool {
        let mut kept = Vec::new();
        for (index, judgement) in self.judgements.iter().enumerate() {
            if !judgement.verdict.is_garbage() {
                continue;
            }
            let mut possible_references = self.links.possible_references(self.inventory, index);
            let stays = possible_references.find(|one| match &one.user {
                IndexedUser::Other { .. } => true,
                IndexedUser::Listed(user) => *user != index && self.stays(*user),
            });
            let Some(suspicion) = stays else { continue };
            let (kind, name) = match &suspicion.user {
                IndexedUser::Other { kind, name } => (self.input.graph.named(kind), name.clone()),
                IndexedUser::Listed(user) => {
                    let user = &self.inventory.resources[*user];
                    (user.kind.named(), user.name.clone())
                }
            };
            let binding = suspicion.binding;
            let doubt = Doubt::Binding {
                sort: binding.sort.clone(),
                kind,
                name,
                is_known: binding.any_of.is_some(),
            };
            kept.push((index, doubt));
        }
        let changed = !kept.is_empty();
        for (index, doubt) in kept {
            self.judgements[index].verdict = Verdict::Unknown(doubt);
        }
        changed
    }
}
