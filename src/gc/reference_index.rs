//! Who uses whom, and whose child is whose, among the resources of an
//! inventory, as far as it is known.

mod guards;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::evidence::{Inventory, SourceUser};
use crate::model::{Link, Place, Reference, ReferenceKey, References, UnknownBinding};

/// Who uses a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IndexedUser {
    /// A resource of the inventory.
    Listed(usize),
    /// Something that is not in it, and therefore stays.
    Other {
        /// Its kind, or the name of its user source.
        kind: &'static str,
        /// Its name.
        name: Box<str>,
    },
}

/// The ids, names and addresses that anything refers to: mostly far fewer than
/// there are resources, so that only these are indexed.
#[derive(Default)]
struct Wanted<'a> {
    ids: HashSet<&'a str>,
    names: HashSet<&'a str>,
    addresses: HashSet<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let mut wanted = Self::default();
        for resource in &inventory.resources {
            wanted.ids.extend(resource.parent.as_deref());
            for link in &resource.links {
                match link {
                    Link::Uses(reference)
                    | Link::UsedBy(reference)
                    | Link::ServedBy(reference)
                    | Link::LeftBy(reference) => wanted.refer(reference),
                    Link::MayUse(binding) => wanted.suspect(binding),
                    Link::Guards(_) => {}
                }
            }
        }
        let uses = &inventory.uses;
        for users in uses.users.values().flatten() {
            for (used, user) in &users.pairs {
                wanted.ids.extend([&**used, &**user]);
            }
            for (user, references) in &users.references {
                wanted.ids.insert(user);
                wanted.all(references);
            }
        }
        uses.of.values().flatten().for_each(|one| wanted.all(one));
        for user in uses.sources.values().flatten().flatten() {
            for owner in &user.owners {
                wanted.refer(owner);
            }
            wanted.all(&user.references);
        }
        wanted
    }

    fn all(&mut self, references: &'a References) {
        for reference in &references.uses {
            self.refer(reference);
        }
        for binding in &references.unknown {
            self.suspect(binding);
        }
    }

    fn refer(&mut self, reference: &'a Reference) {
        match &reference.key {
            ReferenceKey::Id(id) => self.ids.insert(id),
            ReferenceKey::Name(name) => self.names.insert(name),
            ReferenceKey::Address(address) => self.addresses.insert(address),
        };
    }

    fn suspect(&mut self, binding: &'a UnknownBinding) {
        let texts = || binding.texts.iter().map(|text| &**text);
        self.ids.extend(texts());
        self.names.extend(texts());
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.names.is_empty() && self.addresses.is_empty()
    }
}

/// Resources by kind and id, name or address, wherever they are.
type Index<'a> = HashMap<(&'static str, &'a str), Vec<usize>>;

/// A binding that may name some resources, and whose it is.
#[derive(Debug)]
pub(super) struct PossibleReference<'a> {
    /// Whose binding it is.
    pub(super) user: IndexedUser,
    /// Where that user is.
    place: &'a Place,
    /// The binding.
    pub(super) binding: &'a UnknownBinding,
}

/// Who uses whom.
#[derive(Default)]
pub(super) struct ReferenceIndex<'a> {
    by_id: Index<'a>,
    by_name: Index<'a>,
    /// By name in lower case, where the provider takes no notice of case.
    by_folded_name: HashMap<(&'static str, String), Vec<usize>>,
    by_address: Index<'a>,
    users: HashMap<usize, Vec<IndexedUser>>,
    /// What each resource belongs to.
    owners: BTreeMap<usize, usize>,
    /// What made each satellite.
    makers: BTreeMap<usize, usize>,
    possible_references: Vec<PossibleReference<'a>>,
    /// What each binding of [`Self::possible_references`] may name, by its index.
    possible_targets: HashMap<usize, Vec<usize>>,
    /// Kinds of which a binding may name any resource, with the binding.
    of_kind: HashMap<&'static str, Vec<usize>>,
}

impl<'a> ReferenceIndex<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        let mut links = Self::default();
        let wanted = Wanted::of(inventory);
        let uses = &inventory.uses;
        let asked = !uses.of.is_empty() || !uses.sources.is_empty() || !uses.users.is_empty();
        let unnamed = |one: &Link| matches!(one, Link::MayUse(_) | Link::Guards(_));
        let mut resources = inventory.resources.iter();
        let nothing = wanted.is_empty() && !asked && inventory.left_behind.is_empty();
        if nothing && !resources.any(|one| one.links.iter().any(unnamed)) {
            return links;
        }
        links.index(inventory, &wanted);
        for (&user, references) in &uses.of {
            if let (Ok(references), Some(resource)) = (references, inventory.resources.get(user)) {
                links.take(
                    inventory,
                    &IndexedUser::Listed(user),
                    &resource.place,
                    references,
                );
            }
        }
        for ((source, place), users) in &uses.sources {
            for one in users.iter().flatten() {
                let owners = one.owners.iter();
                let owner = owners
                    .flat_map(|owner| links.find(inventory, owner, place))
                    .next();
                let user = owner.map_or_else(
                    || IndexedUser::Other {
                        kind: source,
                        name: one.name.clone(),
                    },
                    IndexedUser::Listed,
                );
                links.take(inventory, &user, place, &one.references);
                if let IndexedUser::Listed(maker) = user {
                    links.note_shown_maker(inventory, source, place, one, maker);
                }
            }
        }
        for ((kind, place), list) in &uses.users {
            let at = |links: &Self, id: &str| {
                pick(inventory, links.by_id.get(&(kind.name(), id)), place)
            };
            let user_of = |links: &Self, id: &str| {
                at(links, id).map_or_else(
                    || IndexedUser::Other {
                        kind: kind.name(),
                        name: id.into(),
                    },
                    IndexedUser::Listed,
                )
            };
            for (used, user) in list.iter().flat_map(|list| &list.pairs) {
                if let Some(used) = at(&links, used) {
                    let user = user_of(&links, user);
                    links.note(used, user);
                }
            }
            for (user, references) in list.iter().flat_map(|list| &list.references) {
                let user = user_of(&links, user);
                links.take(inventory, &user, place, references);
            }
        }
        links.follow(inventory);
        for (&satellite, &maker) in &inventory.left_behind {
            links.note(satellite, IndexedUser::Listed(maker));
            links.makers.insert(satellite, maker);
        }
        links
    }

    fn index(&mut self, inventory: &'a Inventory, wanted: &Wanted<'_>) {
        for (index, resource) in inventory.resources.iter().enumerate() {
            let kind = resource.kind.name();
            if wanted.ids.contains(&*resource.id) {
                let same = self.by_id.entry((kind, &resource.id)).or_default();
                same.push(index);
            }
            if wanted.names.contains(&*resource.name) {
                let same = self.by_name.entry((kind, &resource.name)).or_default();
                same.push(index);
            }
            if resource.kind.ignores_case && !wanted.names.is_empty() {
                let key = (kind, resource.name.to_ascii_lowercase());
                self.by_folded_name.entry(key).or_default().push(index);
            }
            for address in &resource.addresses {
                if wanted.addresses.contains(&**address) {
                    let same = self.by_address.entry((kind, address)).or_default();
                    same.push(index);
                }
            }
        }
        if inventory.uses.addresses.is_empty() {
            return;
        }
        let resources = inventory.resources.iter().enumerate();
        let by_id: HashMap<(&str, &Place, &str), usize> = resources
            .map(|(index, one)| ((one.kind.name(), &*one.place, &*one.id), index))
            .collect();
        for ((kind, place), addresses) in &inventory.uses.addresses {
            for one in addresses.iter().flatten() {
                let Some(&index) = by_id.get(&(kind.name(), place, &*one.id)) else {
                    continue;
                };
                if wanted.addresses.contains(&*one.address) {
                    let same = self
                        .by_address
                        .entry((kind.name(), &one.address))
                        .or_default();
                    same.push(index);
                }
            }
        }
    }

    /// Takes in everything that one user refers to.
    fn take(
        &mut self,
        inventory: &Inventory,
        user: &IndexedUser,
        place: &'a Place,
        references: &'a References,
    ) {
        for reference in &references.uses {
            for used in self.find(inventory, reference, place) {
                self.note(used, user.clone());
            }
        }
        for binding in &references.unknown {
            self.suspect(inventory, user.clone(), place, binding);
        }
    }

    fn suspect(
        &mut self,
        inventory: &Inventory,
        user: IndexedUser,
        place: &'a Place,
        binding: &'a UnknownBinding,
    ) {
        let at = self.possible_references.len();
        for text in &binding.texts {
            let same = |key: &(&'static str, &str)| key.1 == &**text;
            let ids = self.by_id.iter().filter(|(key, _)| same(key));
            let names = self.by_name.iter().filter(|(key, _)| same(key));
            let found: Vec<usize> = ids
                .chain(names)
                .flat_map(|(_, found)| found.iter().copied())
                .filter(|&index| inventory.resources[index].place.is_near(place))
                .collect();
            for index in found {
                self.possible_targets.entry(index).or_default().push(at);
            }
        }
        if let Some(kind) = binding.any_of {
            self.of_kind.entry(kind).or_default().push(at);
        }
        self.possible_references.push(PossibleReference {
            user,
            place,
            binding,
        });
    }

    /// What the listings themselves show.
    fn follow(&mut self, inventory: &'a Inventory) {
        for (index, resource) in inventory.resources.iter().enumerate() {
            for link in &resource.links {
                match link {
                    Link::Uses(reference) => {
                        for used in self.find(inventory, reference, &resource.place) {
                            self.note(used, IndexedUser::Listed(index));
                            if resource.kind.belongs_to == Some(reference.kind) {
                                self.owners.insert(index, used);
                            }
                        }
                    }
                    Link::UsedBy(reference) | Link::ServedBy(reference) => {
                        let users = self.find(inventory, reference, &resource.place);
                        if users.is_empty() {
                            let user = IndexedUser::Other {
                                kind: reference.kind,
                                name: reference.key.text().into(),
                            };
                            self.note(index, user);
                        }
                        for user in users {
                            self.note(index, IndexedUser::Listed(user));
                            self.note_maker(inventory, index, user);
                        }
                    }
                    Link::LeftBy(reference) => {
                        for user in self.find(inventory, reference, &resource.place) {
                            self.note(index, IndexedUser::Listed(user));
                            self.note_maker(inventory, index, user);
                        }
                    }
                    Link::MayUse(binding) => {
                        let user = IndexedUser::Listed(index);
                        self.suspect(inventory, user, &resource.place, binding);
                    }
                    Link::Guards(_) => {}
                }
            }
        }
        for (guard, reached) in guards::pairs(inventory) {
            self.note(guard, IndexedUser::Listed(reached));
        }
    }

    fn note(&mut self, used: usize, user: IndexedUser) {
        self.users.entry(used).or_default().push(user);
    }

    /// Takes in that a user of a satellite is what made it, if it is of that kind.
    fn note_maker(&mut self, inventory: &Inventory, satellite: usize, user: usize) {
        let resources = &inventory.resources;
        let kind = resources.get(user).map(|one| one.kind.name());
        let of = resources.get(satellite).map(|one| one.kind.satellite_of);
        if kind.is_some_and(|kind| of.is_some_and(|of| of.contains(&kind))) {
            self.makers.insert(satellite, user);
        }
    }

    /// Takes in what made the satellites that this user of a source uses, if their kind
    /// says that the source shows it.
    fn note_shown_maker(
        &mut self,
        inventory: &Inventory,
        source: &str,
        place: &Place,
        user: &SourceUser,
        maker: usize,
    ) {
        for reference in &user.references.uses {
            for used in self.find(inventory, reference, place) {
                let used_kind = inventory.resources[used].kind;
                if used_kind.maker_shown_by == Some(source) {
                    self.note_maker(inventory, used, maker);
                }
            }
        }
    }

    /// The resources that a reference means. By id or name there is at most one
    /// in a place; an address may be that of several, wherever they are.
    fn find(&self, inventory: &Inventory, reference: &Reference, place: &Place) -> Vec<usize> {
        let one = |found| pick(inventory, found, place).into_iter().collect();
        match &reference.key {
            ReferenceKey::Id(id) => one(self.by_id.get(&(reference.kind, &**id))),
            ReferenceKey::Name(name) => {
                let exact = one(self.by_name.get(&(reference.kind, &**name)));
                if !exact.is_empty() || self.by_folded_name.is_empty() {
                    return exact;
                }
                let folded = (reference.kind, name.to_ascii_lowercase());
                one(self.by_folded_name.get(&folded))
            }
            ReferenceKey::Address(address) => {
                let found = self.by_address.get(&(reference.kind, &**address));
                found.cloned().unwrap_or_default()
            }
        }
    }

    /// Who uses a resource.
    pub(super) fn users(&self, used: usize) -> &[IndexedUser] {
        self.users.get(&used).map_or(&[], Vec::as_slice)
    }

    /// Every resource that is used, with its users.
    pub(super) fn used(&self) -> impl Iterator<Item = (usize, &[IndexedUser])> {
        self.users.iter().map(|(used, users)| (*used, &**users))
    }

    /// Bindings that may name this resource.
    pub(super) fn possible_references(
        &self,
        inventory: &Inventory,
        index: usize,
    ) -> impl Iterator<Item = &PossibleReference<'a>> {
        let resource = inventory.resources.get(index);
        let by_text = self.possible_targets.get(&index).into_iter().flatten();
        let kind = resource.map(|one| one.kind.name());
        let by_kind = kind.and_then(|kind| self.of_kind.get(kind)).into_iter();
        let near = move |one: &&PossibleReference<'a>| {
            resource.is_some_and(|resource| resource.place.is_near(one.place))
        };
        by_text
            .chain(by_kind.flatten())
            .filter_map(|at| self.possible_references.get(*at))
            .filter(near)
    }

    /// Every resource whose kind belongs to another, with its owner.
    pub(super) fn owners(&self) -> impl Iterator<Item = (usize, usize)> {
        self.owners.iter().map(|(owned, owner)| (*owned, *owner))
    }

    /// Every satellite whose maker is listed, with that.
    pub(super) fn makers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.makers
            .iter()
            .map(|(satellite, maker)| (*satellite, *maker))
    }

    /// The parent of a resource, where it is listed.
    pub(super) fn parent(&self, inventory: &Inventory, child: usize) -> Option<usize> {
        let child = inventory.resources.get(child)?;
        let key = (child.kind.name(), child.parent.as_deref()?);
        pick(inventory, self.by_id.get(&key), &child.place)
    }
}

/// The one in this place; or, for a resource of a zone, in the zone's account.
fn pick(inventory: &Inventory, found: Option<&Vec<usize>>, place: &Place) -> Option<usize> {
    let found = found?;
    let at = |index: &usize| inventory.resources.get(*index).map(|one| &*one.place);
    let here = found.iter().find(|index| at(index) == Some(place));
    let near = || {
        found
            .iter()
            .find(|index| at(index).is_some_and(|at| at.is_near(place)))
    };
    here.or_else(near).copied()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Resource;
    use crate::providers;

    #[test]
    fn a_route_belongs_to_the_worker_of_its_own_account() {
        let kind = |name| providers::by_name(name).unwrap().about();
        let account = |id: &str| Arc::new(Place::Account(id.to_owned()));
        let zone = |of: &str| {
            Arc::new(Place::Zone {
                id: format!("zone-of-{of}"),
                name: "acme.example".to_owned(),
                account: of.to_owned(),
            })
        };
        let worker =
            |of: &str| Resource::new(kind("worker"), &account(of), "app".into(), "app".into());
        let route = |of: &str| Resource {
            links: vec![Link::Uses(Reference::by_id("worker", "app".to_owned()))],
            ..Resource::new(
                kind("worker_route"),
                &zone(of),
                "r".into(),
                "acme.example/*".into(),
            )
        };
        let owners = |resources: Vec<Resource>| {
            let inventory = Inventory {
                resources,
                ..Inventory::default()
            };
            ReferenceIndex::of(&inventory).owners().collect::<Vec<_>>()
        };
        assert_eq!(owners(vec![worker("a"), worker("b"), route("b")]), [(2, 1)]);
        // The only resource listed may still belong to another owner.
        assert_eq!(owners(vec![worker("a"), route("b")]), []);
    }
}
