//! Hosts that a resource guards: whether everything that may be reached there is
//! known.

use super::super::super::kind_graph::KindGraph;
use crate::evidence::Inventory;
use crate::model::{Link, Place, PlaceSort, Resource};

/// Returns a host that a resource guards and whose zone was not listed with all that
/// may be reached there.
pub(super) fn unseen_host<'r>(
    inventory: &Inventory,
    graph: &KindGraph,
    resource: &'r Resource,
) -> Option<&'r str> {
    let hosts = resource.links.iter().filter_map(|link| match link {
        Link::Guards(host) => Some(&**host),
        Link::Uses(_) | Link::UsedBy(_) | Link::ServedBy(_) | Link::LeftBy(_) | Link::MayUse(_) => {
            None
        }
    });
    let mut in_zones = graph
        .user_kinds(resource.kind)
        .filter(|kind| kind.place == PlaceSort::Zone);
    let mut hosts = hosts.peekable();
    hosts.peek()?;
    let kinds: Vec<_> = in_zones.by_ref().collect();
    let is_seen = |host: &str| {
        kinds.iter().all(|kind| {
            inventory.listings.iter().any(|listing| {
                listing.kind == *kind
                    && listing.place.is_near(&resource.place)
                    && matches!(&*listing.place, Place::Zone { name, .. } if is_in(host, name))
            })
        })
    };
    hosts.find(|host| !is_seen(host))
}

/// Whether every host of a pattern is in a zone.
fn is_in(host: &str, zone: &str) -> bool {
    let before = host.strip_suffix(zone);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::is_in;

    #[test]
    fn a_pattern_is_in_a_zone_if_all_of_its_hosts_are() {
        for host in ["acme.example", "a.acme.example", "*.acme.example"] {
            assert!(is_in(host, "acme.example"), "{host}");
        }
        for host in ["*acme.example", "evilacme.example", "*", "*.example", ""] {
            assert!(!is_in(host, "acme.example"), "{host}");
        }
    }
}
