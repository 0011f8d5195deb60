//! What a listing showed of a resource that has no change time: a digest of each
//! part, by which a later listing shows whether the resource is unchanged since it
//! was judged.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::model::{Attribute, AttributeSort, Link, Reference, ReferenceKey, Resource, Time};

/// Under this name stand the links of a resource.
const LINKS: &str = "links";

/// How many hexadecimal digits of a digest are kept.
const DIGITS: usize = 16;

/// The same of the digest of a whole resource, which the tracking issue has to hold.
const VERSION_DIGITS: usize = 8;

/// Returns the digest of each attribute, and one of all links, as the listing shows
/// them. It is empty where the resource has a change time, which is more precise.
/// Data of later requests (references, activity, addresses that are asked for) is
/// not part of it.
pub(super) fn listed(resource: &Resource) -> BTreeMap<Box<str>, Box<str>> {
    if resource.changed_at.known().is_some() {
        return BTreeMap::new();
    }
    let mut parts: BTreeMap<Box<str>, Box<str>> = resource
        .attributes
        .iter()
        .map(|(key, value)| ((*key).into(), digest(&normal(resource, key, value))))
        .collect();
    let mut links: Vec<String> = resource.links.iter().map(of_link).collect();
    if !links.is_empty() {
        links.sort_unstable();
        links.dedup();
        parts.insert(LINKS.into(), digest(&links));
    }
    parts
}

/// Returns a digest of a resource as it is, by which it is known again: its name, its
/// times, and where it has no change time what the listing shows of it.
pub fn version(resource: &Resource) -> String {
    let time = |at: Time| at.known().map(|at| at.timestamp_micros().to_string());
    let parts = [
        resource.name.to_string(),
        time(resource.created_at).unwrap_or_default(),
        time(resource.changed_at).unwrap_or_default(),
    ];
    let listed = listed(resource).into_iter();
    let listed = listed.map(|(key, digest)| format!("{key}={digest}"));
    let whole = digest(&parts.into_iter().chain(listed).collect::<Vec<_>>());
    whole[..VERSION_DIGITS].to_owned()
}

/// Returns what differs between two listings of a resource, if anything does.
pub(super) fn difference(
    planned: &BTreeMap<Box<str>, Box<str>>,
    now: &BTreeMap<Box<str>, Box<str>>,
) -> Option<String> {
    let keys = planned.keys().chain(now.keys()).map(|key| &**key);
    let mut keys: Vec<&str> = keys
        .filter(|key| planned.get(*key) != now.get(*key))
        .collect();
    // An attribute says more than the link that was made of it.
    keys.sort_by_key(|key| (*key == LINKS, *key));
    keys.first().map(|key| match *key {
        LINKS => "what it is attached to".to_owned(),
        key => format!("its {key}"),
    })
}

fn normal(resource: &Resource, key: &str, value: &Attribute) -> Vec<String> {
    let about = resource.kind.attributes.iter();
    let is_host = about
        .filter(|about| about.key == key)
        .any(|about| matches!(about.sort, AttributeSort::Host));
    let text = |text: &str| {
        if is_host {
            text.trim_end_matches('.').to_ascii_lowercase()
        } else {
            text.to_owned()
        }
    };
    match value {
        Attribute::Text(value) => vec![text(value)],
        Attribute::Flag(flag) => vec![flag.to_string()],
        Attribute::List(list) => {
            let mut list: Vec<String> = list.iter().map(|one| text(one)).collect();
            list.sort_unstable();
            list
        }
    }
}

fn of_link(link: &Link) -> String {
    let of = |how: &str, Reference { kind, key }: &Reference| {
        let by = match key {
            ReferenceKey::Id(_) => "id",
            ReferenceKey::Name(_) => "name",
            ReferenceKey::Address(_) => "address",
        };
        serde_json::json!([how, kind, by, key.text()]).to_string()
    };
    match link {
        Link::Uses(reference) => of("uses", reference),
        Link::UsedBy(reference) => of("used by", reference),
        Link::ServedBy(reference) => of("served by", reference),
        Link::LeftBy(reference) => of("left by", reference),
        Link::MayUse(unknown) => {
            let mut texts = unknown.texts.clone();
            texts.sort_unstable();
            serde_json::json!(["may use", unknown.sort, texts, unknown.any_of]).to_string()
        }
        Link::Guards(host) => serde_json::json!(["guards", host]).to_string(),
    }
}

fn digest(parts: &[String]) -> Box<str> {
    let text = serde_json::json!(parts).to_string();
    let hash = Sha256::digest(text.as_bytes());
    let digits = hash.iter().map(|byte| format!("{byte:02x}"));
    let mut digits: String = digits.collect();
    digits.truncate(DIGITS);
    digits.into()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, resource};
    use super::*;
    use crate::model::Time;

    type Change = fn(&mut Resource);

    /// A custom domain as a listing shows it.
    fn domain() -> Resource {
        let text = |text: &str| Attribute::Text(text.into());
        Resource {
            attributes: vec![
                ("service", text("app-pr-7")),
                ("zone", text("acme.example")),
            ],
            links: vec![
                Link::Uses(Reference::by_id("worker", "app-pr-7".to_owned())),
                Link::Uses(Reference::by_name("kv_namespace", "cache".to_owned())),
            ],
            ..resource("worker_domain", "app-pr-7.acme.example")
        }
    }

    #[test]
    fn digest_of_a_listing_does_not_depend_on_order() {
        let before = listed(&domain());
        assert!(before.values().all(|digest| digest.len() == DIGITS));
        let with = |change: Change| {
            let mut now = domain();
            change(&mut now);
            difference(&before, &listed(&now))
        };
        assert_eq!(with(|_| {}), None);
        let same: [Change; 5] = [
            |now| now.attributes.reverse(),
            |now| now.links.reverse(),
            |now| now.attributes[1].1 = Attribute::Text("ACME.example.".into()),
            // Data of later requests.
            |now| now.active_at = Time::At(at(-1)),
            |now| now.addresses = vec!["app-pr-7.acme.example".into()],
        ];
        for change in same {
            assert_eq!(with(change), None);
        }
        let differ: [(&str, Change); 5] = [
            ("its service", |now| {
                now.attributes[0].1 = Attribute::Text("app".into());
                now.links.remove(0);
            }),
            ("its zone", |now| {
                now.attributes[1].1 = Attribute::Text("acme.test".into());
            }),
            ("its zone", |now| {
                now.attributes.pop();
            }),
            ("what it is attached to", |now| {
                now.links.pop();
            }),
            ("what it is attached to", |now| {
                let by_id = Reference::by_id("kv_namespace", "cache".to_owned());
                now.links[1] = Link::Uses(by_id);
            }),
        ];
        for (what, change) in differ {
            assert_eq!(with(change).as_deref(), Some(what));
        }
    }

    #[test]
    fn a_change_time_stands_for_all_that_a_listing_shows() {
        let mut domain = domain();
        domain.changed_at = Time::At(at(-1));
        assert!(listed(&domain).is_empty());
        domain.changed_at = Time::Missing;
        assert!(!listed(&domain).is_empty());
    }
}
