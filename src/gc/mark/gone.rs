//! What made satellites and is gone: it was deleted in an earlier run, or by somebody
//! else. Its name still says whose the satellites are.

use std::collections::HashSet;

use crate::evidence::Inventory;
use crate::gc::kind_graph::KindGraph;
use crate::model::{Link, Resource};

/// Returns the index of every satellite whose provider says that its maker is gone, with
/// that maker. Only its name is known. Where something has that name again, that decides,
/// and so does what this run itself deleted.
///
/// The times are those of the satellite: what made it was there then.
pub fn gone_makers(inventory: &Inventory, graph: &KindGraph) -> Vec<(usize, Resource)> {
    let all = inventory.resources.iter().enumerate();
    let left = all.filter_map(|(index, satellite)| {
        let by = satellite.links.iter().find_map(|link| match link {
            Link::LeftBy(reference) => Some(reference),
            Link::Uses(_)
            | Link::UsedBy(_)
            | Link::ServedBy(_)
            | Link::MayUse(_)
            | Link::Guards(_) => None,
        })?;
        let known = inventory.left_behind.contains_key(&index);
        (!known).then_some((index, satellite, by))
    });
    let left: Vec<_> = left.collect();
    if left.is_empty() {
        return Vec::new();
    }
    let kinds: HashSet<&str> = left.iter().map(|(_, _, by)| by.kind).collect();
    let listed = inventory.resources.iter();
    let listed = listed.filter(|one| kinds.contains(one.kind.name()));
    let listed: HashSet<_> = listed
        .map(|one| (one.kind.name(), &one.place, &*one.id))
        .collect();
    let gone = left.into_iter().filter_map(|(index, satellite, by)| {
        let (name, place) = (by.key.text(), &satellite.place);
        if listed.contains(&(by.kind, place, name)) {
            return None;
        }
        let mut kinds = graph.kinds().iter();
        let kind = *kinds.find(|kind| kind.name() == by.kind)?;
        let maker = Resource {
            created_at: satellite.created_at,
            changed_at: satellite.changed_at,
            ..Resource::new(kind, place, name.into(), name.into())
        };
        Some((index, maker))
    });
    gone.collect()
}
