//! Whether what a resource points at is gone.

use std::collections::BTreeSet;

use super::super::super::KindGraph;
use super::super::super::verdict::{Alive, Cause, Death, Doubt, Verdict};
use crate::evidence::{Inventory, Listing};
use crate::model::{Link, ReferenceKey, Resource};

/// Returns how a resource lost its target, or what keeps it. A target is gone only if
/// it can be in this account alone, is the only one, and a complete listing lacks it.
pub(super) fn gone(
    inventory: &Inventory,
    graph: &KindGraph,
    resource: &Resource,
) -> Result<Death, Verdict> {
    let references = resource.links.iter().filter_map(|link| match link {
        Link::Uses(reference) => Some(reference),
        Link::UsedBy(_)
        | Link::ServedBy(_)
        | Link::LeftBy(_)
        | Link::MayUse(_)
        | Link::Guards(_) => None,
    });
    let mut hosts = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for reference in references {
        match &reference.key {
            ReferenceKey::Address(host) => {
                hosts.insert(host);
            }
            ReferenceKey::Id(id) | ReferenceKey::Name(id) => {
                targets.insert((reference.kind, id));
            }
        }
    }
    let points_at = resource.kind.points_at;
    let mut targets = targets.into_iter();
    let (Some((kind, id)), None) = (targets.next(), targets.next()) else {
        return Err(Verdict::Live(Alive::NoTarget));
    };
    if hosts.len() != 1 || !points_at.contains(&kind) {
        return Err(Verdict::Live(Alive::NoTarget));
    }
    let kind_name = graph.named(kind);
    let mut all = inventory.resources.iter();
    if let Some(target) = all.find(|one| one.kind.name() == kind && one.id == *id) {
        let name = target.name.clone();
        return Err(Verdict::Live(Alive::Target {
            kind: kind_name,
            name,
        }));
    }
    let listings = inventory.listings.iter();
    let listings = listings
        .filter(|listing| listing.kind.name() == kind && listing.place.is_near(&resource.place));
    let mut listings: Vec<&Listing> = listings.collect();
    if listings.is_empty() || !listings.iter().all(|listing| listing.complete()) {
        return Err(Verdict::Unknown(Doubt::Listing { kind: kind_name }));
    }
    // That it is not listed is the only evidence, so the list has to prove that it is
    // whole: an empty one, or one that nobody counted, proves nothing.
    listings.retain(|listing| listing.evidence.total.is_none_or(|total| total == 0));
    if !listings.is_empty() {
        return Err(Verdict::Unknown(Doubt::TargetsUncounted {
            kind: kind_name,
        }));
    }
    Ok(Death {
        cause: Cause::TargetGone {
            kind: kind_name,
            id: id.clone(),
        },
        // When the target went is not known.
        dead_since: resource.created_at.known().max(resource.changed_at.known()),
        grace_ends_at: None,
        report_only: false,
    })
}
