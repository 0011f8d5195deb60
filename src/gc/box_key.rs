//! What stands for a resource and its listing in the tracking issue. What people
//! checked there comes in as such keys.

use sha2::{Digest as _, Sha256};

use crate::model::{Place, ResourceId};

/// What stands for a resource in the issue: the same for as long as it is the
/// same resource.
pub fn of(id: &ResourceId) -> String {
    of_parts(id.kind.name(), &id.place, &id.id, id.incarnation.as_deref())
}

/// The same of a resource that is known by its parts.
pub fn of_parts(kind: &str, place: &Place, id: &str, incarnation: Option<&str>) -> String {
    let parts = [kind, place.id(), id, incarnation.unwrap_or_default()];
    let hash = Sha256::digest(parts.join("\0").as_bytes());
    let digits = hash.iter().take(8).map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// Where a resource was listed, as the issue stores it: its kind and its place's
/// id.
pub fn origin(kind: &str, place: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-/.".contains(c);
    let place: String = place.chars().filter(|c| plain(*c)).collect();
    format!("{kind}@{place}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::samples::{account, resource};
    use super::*;
    use crate::model::Resource;

    /// Later versions must recognize the boxes that people checked with this one.
    #[test]
    fn a_resource_has_the_same_key_for_ever() {
        let worker = Resource {
            incarnation: Some("tag".into()),
            ..resource("worker", "shop-7")
        };
        // The beginning of the SHA-256 of `worker\0a\0shop-7\0tag`, and of the
        // same without the tag.
        assert_eq!(of(&worker.identity()), "9963648ce6c1f46c");
        let untagged = resource("worker", "shop-7");
        assert_eq!(of(&untagged.identity()), "591c1d11a12f08d7");
    }

    #[test]
    fn another_kind_place_id_or_incarnation_is_another_key() {
        let (here, there) = (account("a"), account("b"));
        let keys = BTreeSet::from([
            of_parts("worker", &here, "shop-7", None),
            of_parts("queue", &here, "shop-7", None),
            of_parts("worker", &there, "shop-7", None),
            of_parts("worker", &here, "shop-8", None),
            of_parts("worker", &here, "shop-7", Some("tag")),
            of_parts("worker", &here, "shop-7", Some("other tag")),
        ]);
        assert_eq!(keys.len(), 6);
        assert!(keys.iter().all(|key| key.len() == 16), "{keys:?}");
    }

    #[test]
    fn origin_cannot_end_its_comment() {
        assert_eq!(
            origin("github_environment", "acme/shop_2.x-y"),
            "github_environment@acme/shop_2.x-y"
        );
        assert_eq!(origin("worker", "a b-->\n<!c"), "worker@ab--c");
    }
}
