//! What guards hosts, and what is reached at them.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::evidence::Inventory;
use crate::model::{BuiltInProtection, Link, Resource, UsedBy};

/// Pairs of a resource that guards a host, and one that is reached there and may use
/// it.
pub(super) fn pairs(inventory: &Inventory) -> BTreeSet<(usize, usize)> {
    let all = || inventory.resources.iter().enumerate();
    let guards = all().flat_map(|(index, resource)| {
        let hosts = resource.links.iter().filter_map(|link| match link {
            Link::Guards(host) => Some(&**host),
            Link::Uses(_)
            | Link::UsedBy(_)
            | Link::ServedBy(_)
            | Link::LeftBy(_)
            | Link::MayUse(_) => None,
        });
        hosts.map(move |host| (index, resource, host))
    });
    let mut guards = guards.peekable();
    let mut pairs = BTreeSet::new();
    if guards.peek().is_none() {
        return pairs;
    }
    // Most hosts have no star: those are looked up.
    let mut by_host: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut with_star: Vec<(&str, usize)> = Vec::new();
    let managed = managed(inventory);
    for (index, resource) in all().filter(|(index, _)| !managed.contains(index)) {
        for address in &resource.addresses {
            if address.contains('*') {
                with_star.push((address, index));
            } else {
                by_host.entry(address).or_default().push(index);
            }
        }
    }
    for (guard, resource, host) in guards {
        let mut found: Vec<usize> = if host.contains('*') {
            let hosts = by_host.iter();
            let hosts = hosts.filter(|(address, _)| overlap(host, address));
            hosts.flat_map(|(_, found)| found.iter().copied()).collect()
        } else {
            by_host.get(host).cloned().unwrap_or_default()
        };
        let stars = with_star.iter();
        let stars = stars.filter(|(address, _)| overlap(host, address));
        found.extend(stars.map(|(_, reached)| *reached));
        found.retain(|reached| may_use(&inventory.resources[*reached], resource));
        pairs.extend(found.into_iter().map(|reached| (guard, reached)));
    }
    pairs
}

fn may_use(user: &Resource, used: &Resource) -> bool {
    match used.kind.used_by {
        UsedBy::These(users) => {
            users.contains(&user.kind.name()) && user.place.is_near(&used.place)
        }
        UsedBy::Nothing(_) | UsedBy::Undeclared => false,
    }
}

/// Resources that another listed one manages: they go with it, so that the other one
/// counts for both.
fn managed(inventory: &Inventory) -> HashSet<usize> {
    let managers = inventory.resources.iter();
    let managers: HashSet<(&str, &str, Option<&str>)> = managers
        .filter_map(|one| Some((one.kind.0.manages?, &*one.name, one.place.account())))
        .collect();
    let all = inventory.resources.iter().enumerate();
    let managed = all.filter(|(_, one)| {
        let key = (one.kind.name(), &*one.name, one.place.account());
        one.protection == Some(BuiltInProtection::Managed) && managers.contains(&key)
    });
    managed.map(|(index, _)| index).collect()
}

/// Whether there is a host that both of these patterns match, in which a star stands
/// for any characters.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let is_star = |byte: &u8| *byte == b'*';
    // Of each beginning of `other` whether it overlaps with the beginning of `one`
    // so far.
    let of_nothing = (0..=other.len()).map(|end| other[..end].iter().all(is_star));
    let mut row: Vec<bool> = of_nothing.collect();
    for byte in one {
        let mut next = vec![row[0] && is_star(byte)];
        for (end, with) in other.iter().enumerate() {
            // A star stands for nothing more, or for one more character.
            let overlaps = if is_star(byte) || is_star(with) {
                row[end + 1] || next[end]
            } else {
                byte == with && row[end]
            };
            next.push(overlaps);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn patterns_overlap_if_some_host_matches_both() {
        for (one, other, overlaps) in [
            ("a.acme.example", "a.acme.example", true),
            ("a.acme.example", "b.acme.example", false),
            ("*.acme.example", "a.acme.example", true),
            ("*.acme.example", "acme.example", false),
            ("*acme.example", "acme.example", true),
            ("pr-*.acme.example", "*-7.acme.example", true),
            ("pr-*.acme.example", "*.acme.example", true),
            ("pr-*.acme.example", "app-*.acme.example", false),
            ("*.a.example", "*.b.example", false),
            ("*", "a", true),
            ("*", "", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(overlap(one, other), overlaps, "{one} {other}");
            assert_eq!(overlap(other, one), overlaps, "{other} {one}");
        }
    }
}
