//! Host names that point at something which is gone: whoever creates a resource of
//! that name controls the host name.

use std::collections::HashSet;
use std::fmt;

use crate::evidence::{Inventory, Listing};
use crate::gc::KindGraph;
use crate::model::{KindName, Link, ReferenceKey, Resource};

/// A host name whose target a complete listing does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// The kind of the resource that points there.
    pub kind: KindName,
    /// Its name.
    pub name: String,
    /// The kind of what it points at.
    pub target_kind: KindName,
    /// The name of what it points at.
    pub target: String,
    /// Whether nothing in another account can be meant, so that nobody else can take
    /// the name over.
    pub only_here: bool,
}

impl fmt::Display for Dangling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} points at {} {}, which does not exist in its account: {}",
            self.kind,
            self.name,
            self.target_kind,
            self.target,
            if self.only_here {
                "it leads nowhere; delete the record"
            } else {
                "somebody else may be able to create one of that name and serve this host; delete \
                 the record, or make sure that another account of yours has the target"
            }
        )
    }
}

/// Returns what points at something that is gone, whether or not a rule matches it.
/// Only targets with a name of their own count, and only where their kind was listed
/// completely in the account.
pub(super) fn of(inventory: &Inventory, graph: &KindGraph) -> Vec<Dangling> {
    let dangles = |resource: &&Resource| resource.kind.dangles;
    let pointing: Vec<&Resource> = inventory.resources.iter().filter(dangles).collect();
    if pointing.is_empty() {
        return Vec::new();
    }
    let existing: HashSet<(&str, &str)> = inventory
        .resources
        .iter()
        .map(|resource| (resource.kind.name(), &*resource.id))
        .collect();
    let is_listed = |resource: &Resource, kind: &str| {
        let listings = inventory.listings.iter();
        let mut listings = listings
            .filter(|listing| listing.kind.name() == kind && listing.place.is_near(&resource.place))
            .peekable();
        listings.peek().is_some() && listings.all(Listing::complete)
    };
    let mut found = Vec::new();
    for resource in pointing {
        // Several links are several readings of one target: the host of a version
        // has the name of its Worker after a prefix. One that exists is the target.
        let targets = resource.links.iter().filter_map(|link| match link {
            // An address may be that of another account, or of nothing known.
            Link::Uses(reference) => match &reference.key {
                ReferenceKey::Id(target) => Some((reference.kind, &**target)),
                _ => None,
            },
            _ => None,
        });
        let targets: Vec<_> = targets.collect();
        if targets.iter().any(|target| existing.contains(target)) {
            continue;
        }
        let missing = targets
            .into_iter()
            .find(|(kind, _)| is_listed(resource, kind));
        found.extend(missing.map(|(target_kind, target)| Dangling {
            kind: resource.kind.named(),
            name: resource.name.to_string(),
            target_kind: graph.named(target_kind),
            target: target.to_owned(),
            only_here: resource.kind.points_at.contains(&target_kind),
        }));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}
