//! Who uses whom, and whose child is whose, among the resources of an
//! inventory, as far as it was told.

use std::collections::{HashMap, HashSet};

use crate::evidence::Inventory;
use crate::model::{Place, ReferenceKey};

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

/// Who uses whom.
pub(super) struct Links<'a> {
    by_id: HashMap<(&'static str, &'a Place, &'a str), usize>,
    users: HashMap<usize, Vec<UsedBy>>,
}

impl<'a> Links<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
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
        Self { by_id, users }
    }

    /// Who uses a resource.
    pub(super) fn users(&self, used: usize) -> &[UsedBy] {
        self.users.get(&used).map_or(&[], Vec::as_slice)
    }

    /// Every resource that is used, with its users.
    pub(super) fn used(&self) -> impl Iterator<Item = (usize, &[UsedBy])> {
        self.users.iter().map(|(used, users)| (*used, &**users))
    }

    /// The resource that another hangs on, where it is listed.
    pub(super) fn parent(&self, inventory: &Inventory, child: usize) -> Option<usize> {
        let child = inventory.resources.get(child)?;
        let key = (child.kind.name(), &*child.place, child.parent.as_deref()?);
        self.by_id.get(&key).copied()
    }
}
