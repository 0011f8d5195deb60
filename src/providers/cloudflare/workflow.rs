//! Workflows. Deleting a Worker leaves its Workflows behind, and the provider says
//! so (`script_deleted`). Source: Cloudflare's SDK 7.3.0, `resources/workflows`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{Kind, Malformed, Page, PageOf};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, KindAbout, KindRef, Link,
    Place, PlaceSort, Reference, Resource, ResourceId, Time, UsedBy,
};

pub(super) struct Workflow;

const SCRIPT: &str = "script";

const SCRIPT_DELETED: &str = "script-deleted";

static ABOUT: KindAbout = KindAbout {
    name: "workflow",
    noun: "Workflow",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    redeployed: true,
    read_permission: "Workers Scripts Read",
    write_permission: "Workers Scripts Write",
    undo: "has to be deployed again with its Worker; its instances and their state are lost",
    attributes: &[
        AttributeAbout {
            key: SCRIPT,
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the Worker whose script has its class",
        },
        AttributeAbout {
            key: SCRIPT_DELETED,
            sort: AttributeSort::Flag,
            words: &[],
            values: &[],
            about: "whether that Worker was deleted, as Cloudflare says",
        },
    ],
    satellite_of: &["worker"],
    keeps_maker: true,
    orphaned: Some((
        SCRIPT_DELETED,
        "Cloudflare says that its Worker was deleted",
    )),
    used_by: UsedBy::These(&["worker", "worker_preview", "dispatch_namespace"]),
    ..KindAbout::BLANK
};

/// The states in which an instance has ended. Any other one, also one that is not
/// documented, may go on.
const ENDED: [&str; 3] = ["complete", "errored", "terminated"];

#[derive(Deserialize)]
struct Listed {
    id: Box<str>,
    name: Box<str>,
    script_name: Option<String>,
    script_deleted: Option<bool>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
    /// How many instances are in each state.
    instances: Option<BTreeMap<String, u64>>,
}

impl Listed {
    fn resource(self, place: &Arc<Place>) -> Resource {
        let unread = match (&self.script_name, &self.instances) {
            (None, _) => Some("script_name"),
            (_, None) => Some("instances"),
            (Some(_), Some(_)) => None,
        };
        let mut states = self.instances.iter().flatten();
        let goes_on = states.any(|(state, count)| *count > 0 && !ENDED.contains(&state.as_str()));
        let script = self.script_name.as_ref();
        let deleted = self.script_deleted;
        let worker = script.map(|name| Reference::by_id("worker", name.clone()));
        let link = worker.map(|worker| match deleted {
            Some(true) => Link::LeftBy(worker),
            Some(false) | None => Link::UsedBy(worker),
        });
        let script = script.map(|name| (SCRIPT, Attribute::Text(name.as_str().into())));
        let deleted = deleted.map(|deleted| (SCRIPT_DELETED, Attribute::Flag(deleted)));
        Resource {
            incarnation: Some(self.id),
            created_at: Time::always(self.created_on),
            changed_at: Time::always(self.modified_on),
            protection: goes_on.then_some(BuiltInProtection::Unfinished),
            attributes: script.into_iter().chain(deleted).collect(),
            links: link.into_iter().collect(),
            unread,
            ..Resource::new(KindRef(&ABOUT), place, self.name.clone(), self.name)
        }
    }
}

/// The path of one Workflow: the API addresses it by its name.
fn path(id: &ResourceId) -> [&str; 4] {
    ["accounts", id.place.id(), "workflows", &id.id]
}

impl Kind for Workflow {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        Call::get(Api::Cloudflare, &["accounts", place.id(), "workflows"])
            .with("per_page", "100")
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        envelope::page(body, |one: Listed| one.resource(place))
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (workflow, _) = envelope::open::<Listed>(body)?;
        Ok(workflow.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn listed(change: fn(&mut Value)) -> Resource {
        let mut shown = json!({"id": "u", "name": "flow", "class_name": "Flow",
            "script_name": "app", "script_deleted": false, "instances": {"complete": 3},
            "created_on": "2026-03-01T00:00:00Z", "modified_on": "2026-03-01T00:00:00Z",
            "triggered_on": null});
        change(&mut shown);
        let place = Arc::new(Place::Account("a".to_owned()));
        let body = json!({"success": true, "result": shown}).to_string();
        Workflow.read_one(&place, body.as_bytes()).unwrap()
    }

    #[test]
    fn its_worker_uses_it_until_the_provider_says_that_it_is_gone() {
        let app = || Reference::by_id("worker", "app".to_owned());
        assert_eq!(listed(|_| {}).links, [Link::UsedBy(app())]);
        let unsaid = listed(|one| one["script_deleted"] = Value::Null);
        assert_eq!(unsaid.links, [Link::UsedBy(app())]);
        assert_eq!(unsaid.attribute(SCRIPT_DELETED), None);
        let gone = listed(|one| one["script_deleted"] = json!(true));
        assert_eq!(gone.links, [Link::LeftBy(app())]);
        assert_eq!(listed(|_| {}).orphaned(), None);
        assert!(gone.orphaned().is_some());
    }

    #[test]
    fn an_instance_that_may_go_on_protects_it() {
        let protection = |one: fn(&mut Value)| listed(one).protection;
        assert_eq!(protection(|_| {}), None);
        assert_eq!(
            protection(|one| one["instances"] = json!({"running": 0, "errored": 2})),
            None
        );
        let unfinished = Some(BuiltInProtection::Unfinished);
        for state in ["running", "queued", "waiting", "paused", "rollingBack", "x"] {
            let mut shown = listed(|_| {});
            assert_eq!(shown.protection, None);
            shown = {
                let place = Arc::new(Place::Account("a".to_owned()));
                let body = json!({"success": true, "result": {"id": "u", "name": "flow",
                    "script_name": "app", "instances": {"complete": 1, state: 1}}});
                let body = body.to_string();
                Workflow.read_one(&place, body.as_bytes()).unwrap()
            };
            assert_eq!(shown.protection, unfinished, "{state}");
        }
    }

    #[test]
    fn what_tells_whose_it_is_has_to_be_there() {
        assert_eq!(listed(|_| {}).unread, None);
        let unread = listed(|one| one["script_name"] = Value::Null).unread;
        assert_eq!(unread, Some("script_name"));
        let unread = listed(|one| one["instances"] = Value::Null).unread;
        assert_eq!(unread, Some("instances"));
    }
}
