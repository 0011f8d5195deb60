//! Who uses whom, and whose child is whose, among the resources of an
//! inventory, as far as it was told.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::evidence::Inventory;
use crate::model::{Link, Place, Reference, ReferenceKey};

/// Who uses a resource.
#[derive(Debug)]
pub(super) enum UsedBy {
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
        for resource in &inventory.resources {
            wanted.ids.extend(resource.parent.as_deref());
            for link in &resource.links {
                let (Link::Uses(reference) | Link::UsedBy(reference)) = link;
                wanted.refer(reference);
            }
        }
        for users in inventory.uses.users.values().flatten() {
            for (used, user) in &users.pairs {
                wanted.ids.extend([&**used, &**user]);
            }
        }
        for reference in inventory.uses.of.values().flatten().flatten() {
            wanted.refer(reference);
        }
        wanted
    }

    fn refer(&mut self, reference: &'a Reference) {
        match &reference.key {
            ReferenceKey::Id(id) => self.ids.insert(id),
            ReferenceKey::Name(name) => self.names.insert(name),
        };
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.names.is_empty()
    }
}

/// Resources by kind and id or name, wherever they are.
type Index<'a> = HashMap<(&'static str, &'a str), Vec<usize>>;

/// Who uses whom.
#[derive(Default)]
pub(super) struct Links<'a> {
    by_id: Index<'a>,
    by_name: Index<'a>,
    users: HashMap<usize, Vec<UsedBy>>,
    /// What each resource hangs on that its kind belongs to.
    owners: BTreeMap<usize, usize>,
}

impl<'a> Links<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        let mut links = Self::default();
        let wanted = Wanted::of(inventory);
        if wanted.is_empty() {
            return links;
        }
        for (index, resource) in inventory.resources.iter().enumerate() {
            let kind = resource.kind.name();
            if wanted.ids.contains(&*resource.id) {
                let same = links.by_id.entry((kind, &resource.id)).or_default();
                same.push(index);
            }
            if wanted.names.contains(&*resource.name) {
                let same = links.by_name.entry((kind, &resource.name)).or_default();
                same.push(index);
            }
        }
        for (&user, references) in &inventory.uses.of {
            let (Ok(references), Some(resource)) = (references, inventory.resources.get(user))
            else {
                continue;
            };
            for reference in references {
                if let Some(used) = links.find(inventory, reference, &resource.place) {
                    links.note(used, UsedBy::Listed(user));
                }
            }
        }
        for ((kind, place), list) in &inventory.uses.users {
            for (used, user) in list.iter().flat_map(|list| &list.pairs) {
                let at = |id: &str| pick(inventory, links.by_id.get(&(kind.name(), id)), place);
                let (used, listed) = (at(used), at(user));
                if let Some(used) = used {
                    let user = listed.map_or_else(|| UsedBy::Other(user.clone()), UsedBy::Listed);
                    links.note(used, user);
                }
            }
        }
        links.follow(inventory);
        links
    }

    /// What the listings themselves tell.
    fn follow(&mut self, inventory: &'a Inventory) {
        for (index, resource) in inventory.resources.iter().enumerate() {
            for link in &resource.links {
                let (Link::Uses(reference) | Link::UsedBy(reference)) = link;
                let other = self.find(inventory, reference, &resource.place);
                match (link, other) {
                    (Link::Uses(reference), Some(used)) => {
                        self.note(used, UsedBy::Listed(index));
                        if resource.kind.0.belongs_to == Some(reference.kind) {
                            self.owners.insert(index, used);
                        }
                    }
                    (Link::Uses(_), None) => {}
                    (Link::UsedBy(_), Some(user)) => self.note(index, UsedBy::Listed(user)),
                    (Link::UsedBy(reference), None) => {
                        self.note(index, UsedBy::Other(reference.key.text().into()));
                    }
                }
            }
        }
    }

    fn note(&mut self, used: usize, user: UsedBy) {
        self.users.entry(used).or_default().push(user);
    }

    fn find(&self, inventory: &Inventory, reference: &Reference, place: &Place) -> Option<usize> {
        let found = match &reference.key {
            ReferenceKey::Id(id) => self.by_id.get(&(reference.kind, &**id)),
            ReferenceKey::Name(name) => self.by_name.get(&(reference.kind, &**name)),
        };
        pick(inventory, found, place)
    }

    /// Who uses a resource.
    pub(super) fn users(&self, used: usize) -> &[UsedBy] {
        self.users.get(&used).map_or(&[], Vec::as_slice)
    }

    /// Every resource that is used, with its users.
    pub(super) fn used(&self) -> impl Iterator<Item = (usize, &[UsedBy])> {
        self.users.iter().map(|(used, users)| (*used, &**users))
    }

    /// Every resource whose kind hangs on another, with what it hangs on.
    pub(super) fn owners(&self) -> impl Iterator<Item = (usize, usize)> {
        self.owners.iter().map(|(owned, owner)| (*owned, *owner))
    }

    /// The resource of its own kind that another hangs on, where it is listed.
    pub(super) fn parent(&self, inventory: &Inventory, child: usize) -> Option<usize> {
        let child = inventory.resources.get(child)?;
        let key = (child.kind.name(), child.parent.as_deref()?);
        pick(inventory, self.by_id.get(&key), &child.place)
    }
}

/// The one in this place; or, for what lives in a zone, in the zone's account.
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
    use crate::kinds;
    use crate::model::Resource;

    #[test]
    fn a_route_belongs_to_the_worker_of_its_own_account() {
        let kind = |name| kinds::by_name(name).unwrap().about();
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
            Links::of(&inventory).owners().collect::<Vec<_>>()
        };
        assert_eq!(owners(vec![worker("a"), worker("b"), route("b")]), [(2, 1)]);
        // The only one there is may still be somebody else's.
        assert_eq!(owners(vec![worker("a"), route("b")]), []);
    }
}
