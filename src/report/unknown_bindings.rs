//! Bindings of types that this version does not know. What they may name is kept.

use std::collections::BTreeMap;
use std::fmt;

use crate::evidence::Inventory;
use crate::model::{Link, UnknownBinding};

/// A type of binding that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownBindingType {
    /// The provider's name for it.
    pub sort: String,
    /// One of those that have such a binding: its kind and name.
    pub user: String,
    /// How many have one.
    pub users: usize,
}

/// The types of all bindings that were read and are not known, sorted by name.
pub(super) fn of(inventory: &Inventory) -> Vec<UnknownBindingType> {
    let resources = &inventory.resources;
    let of_each = inventory.uses.of.iter().filter_map(|(index, references)| {
        let resource = resources.get(*index)?;
        let user = format!("{} {}", resource.kind.noun, resource.name);
        Some((user, &references.as_ref().ok()?.unknown))
    });
    let sources = inventory
        .uses
        .sources
        .iter()
        .flat_map(|((source, _), users)| {
            let users = users.iter().flatten();
            users.map(move |user| (format!("{source} {}", user.name), &user.references.unknown))
        });
    let mut found: BTreeMap<String, UnknownBindingType> = BTreeMap::new();
    for (user, bindings) in of_each.chain(sources) {
        note(&mut found, &user, bindings.iter());
    }
    for resource in resources {
        let bindings = resource.links.iter().filter_map(|link| match link {
            Link::MayUse(binding) => Some(binding),
            Link::Uses(_)
            | Link::UsedBy(_)
            | Link::ServedBy(_)
            | Link::LeftBy(_)
            | Link::Guards(_) => None,
        });
        let user = format!("{} {}", resource.kind.noun, resource.name);
        note(&mut found, &user, bindings);
    }
    found.into_values().collect()
}

/// Counts the unknown types among the bindings of one user.
fn note<'b>(
    found: &mut BTreeMap<String, UnknownBindingType>,
    user: &str,
    bindings: impl Iterator<Item = &'b UnknownBinding>,
) {
    let unknown = bindings.filter(|binding| binding.any_of.is_none());
    let mut sorts: Vec<&str> = unknown.map(|binding| &*binding.sort).collect();
    sorts.sort_unstable();
    sorts.dedup();
    for sort in sorts {
        let entry = found.entry(sort.to_owned());
        let known = entry.or_insert_with(|| UnknownBindingType {
            sort: sort.to_owned(),
            user: user.to_owned(),
            users: 0,
        });
        known.users += 1;
    }
}

/// A sentence for people.
impl fmt::Display for UnknownBindingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.user)?;
        match self.users - 1 {
            0 => write!(f, " has")?,
            1 => write!(f, " and 1 more have")?,
            more => write!(f, " and {more} more have")?,
        }
        write!(
            f,
            " a binding of type {:?}, which this version does not know: what it may name is kept; \
             update preview-gc if there is a newer release",
            self.sort
        )
    }
}
