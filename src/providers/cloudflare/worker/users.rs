//! Who uses Workers, as a page of the newer API shows it for many at once.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::envelope::account;
use super::super::{bindings, envelope};
use crate::kind::{Malformed, PageOf, Query, Shown, UsersPage};
use crate::model::{Place, is_marked};

/// The template from which new Previews of a Worker are made.
#[derive(Deserialize)]
struct PreviewsBase {
    #[serde(default)]
    env: Option<Map<String, Value>>,
    #[serde(default)]
    tail_consumers: Option<Vec<bindings::Consumer>>,
}

#[derive(Deserialize)]
struct Beta {
    name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    deployed_on: Option<DateTime<Utc>>,
    /// Who depends on it.
    references: BetaReferences,
    /// What it sends its logs to.
    #[serde(deserialize_with = "envelope::null_is_empty")]
    tail_consumers: Option<Vec<NamedScript>>,
    /// Always there, unlike in the classic listing.
    #[serde(deserialize_with = "envelope::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
    #[serde(default)]
    previews_base_config: Option<PreviewsBase>,
}

#[derive(Deserialize)]
struct BetaReferences {
    workers: Vec<NamedScript>,
    durable_objects: Vec<Dependent>,
    dispatch_namespace_outbounds: Vec<Dependent>,
    domains: Vec<AttachedDomain>,
}

#[derive(Deserialize)]
struct AttachedDomain {
    id: Box<str>,
}

#[derive(Deserialize)]
struct NamedScript {
    name: Box<str>,
}

#[derive(Deserialize)]
struct Dependent {
    worker_name: Option<Box<str>>,
    namespace_name: Option<Box<str>>,
}

/// A page of who uses Workers, in the newer API.
pub(super) fn users(place: &Place, page: &PageOf) -> Query<UsersPage> {
    Query {
        call: envelope::oldest_first(&["accounts", account(place), "workers", "workers"], page),
        read: read_users,
    }
}

fn read_users(body: &[u8]) -> Result<UsersPage, Malformed> {
    let (workers, info) = envelope::open::<Vec<Beta>>(body)?;
    let (total, next) = envelope::numbered(info.as_ref())?;
    let mut shown = Vec::new();
    let mut uses = Vec::new();
    let mut references = Vec::new();
    let mut attached = Vec::new();
    for worker in workers {
        let domains = worker.references.domains.into_iter();
        attached.extend(domains.map(|domain| ("worker_domain", domain.id)));
        if let Some(base) = worker.previews_base_config {
            let mut found = bindings::tails(base.tail_consumers);
            found.extend(bindings::by_name(&base.env.unwrap_or_default())?);
            references.push((worker.name.clone(), found));
        }
        let others = [
            worker.references.durable_objects,
            worker.references.dispatch_namespace_outbounds,
        ]
        .into_iter()
        .flatten()
        // A user that the answer does not name is still a user.
        .map(|other| {
            other
                .worker_name
                .or(other.namespace_name)
                .unwrap_or_default()
        });
        let bound = worker.references.workers.into_iter().map(|user| user.name);
        uses.extend(
            bound
                .chain(others)
                .filter(|user| *user != worker.name)
                .map(|user| (worker.name.clone(), user)),
        );
        let consumers = worker.tail_consumers.unwrap_or_default();
        uses.extend(
            consumers
                .into_iter()
                .map(|consumer| (consumer.name, worker.name.clone())),
        );
        shown.push(Shown {
            is_marked: is_marked(worker.tags.iter().flatten().map(AsRef::as_ref)),
            id: worker.name,
            deployed_at: worker.deployed_on,
            // Only what was deployed is a script.
            listed_since: worker.deployed_on.and(worker.created_on),
        });
    }
    Ok(UsersPage {
        shown,
        uses,
        attached,
        references,
        total,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_everybody_else_who_depends_on_a_worker() {
        let body = br#"{"success":true,"result":[{"id":"1","name":"api","references":{"workers":[{"id":"2","name":"web"}],
            "durable_objects":[{"namespace_id":"n","namespace_name":"rooms","worker_id":"1","worker_name":"api"}],
            "domains":[],"queues":[],"dispatch_namespace_outbounds":[]},"tail_consumers":[{"name":"logs"}],"tags":["Preview-GC:keep"]}],
            "result_info":{"page":1,"per_page":100,"count":1,"total_count":1}}"#;
        let page = read_users(body).unwrap();
        assert_eq!(
            page.uses,
            [("api".into(), "web".into()), ("logs".into(), "api".into())]
        );
        assert!(page.shown[0].is_marked);
        for field in ["durable_objects", "tail_consumers", "tags"] {
            let without = String::from_utf8_lossy(body).replace(field, "other");
            assert!(read_users(without.as_bytes()).is_err(), "{field}");
        }
    }
}
