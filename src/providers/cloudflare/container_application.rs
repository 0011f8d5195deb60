//! Applications of Cloudflare Containers. One runs the containers of the Durable Objects
//! of a namespace. Deleting the Worker or Preview of the namespace deletes the namespace
//! and leaves the application, which goes on running and billing; nothing shows any more
//! whose it was.
//!
//! Source: Cloudflare's SDK 7.3.0, `resources/containers/applications`. It documents no
//! maximum for a page, so that the provider's own size is used, and that a deletion goes
//! on after its answer.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::envelope;
use crate::call::Call;
use crate::kind::{Kind, Malformed, NextPage, Page, PageOf};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, KindAbout, KindRef, Place, PlaceSort, Resource,
    ResourceId, Time, UsedBy,
};

pub(super) struct ContainerApplication;

const IMAGE: &str = "image";

const INSTANCES: &str = "instances";

const POLICY: &str = "scheduling-policy";

static ABOUT: KindAbout = KindAbout {
    name: "container_application",
    noun: "Container application",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    redeployed: true,
    read_permission: "Workers Containers Read",
    write_permission: "Workers Containers Write",
    asynchronous: true,
    undo: "has to be deployed again with its Worker; its running containers are stopped",
    attributes: &[
        AttributeAbout {
            key: IMAGE,
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the image of its containers, where they all have the same",
        },
        AttributeAbout {
            key: INSTANCES,
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "how many containers it keeps running, where Durable Objects do not decide it",
        },
        AttributeAbout {
            key: POLICY,
            sort: AttributeSort::Text,
            words: &[],
            values: &["default", "durable_object"],
            about: "what starts its containers: the scheduler or Durable Objects",
        },
    ],
    satellite_of: &["worker", "worker_preview"],
    maker_shown_by: Some("durable_object_namespace"),
    used_by: UsedBy::These(&["durable_object_namespace"]),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Application {
    id: Box<str>,
    name: Box<str>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    #[serde(default)]
    durable_objects: Value,
    #[serde(default)]
    configuration: Value,
    instances: Option<u64>,
    scheduling_policy: Option<Box<str>>,
}

impl Application {
    fn resource(self, place: &Arc<Place>) -> Resource {
        let namespace = self.durable_objects["namespace_id"].as_str();
        let namespace: Option<Box<str>> = namespace.filter(|id| !id.is_empty()).map(Into::into);
        let image = self.configuration[IMAGE].as_str().map(Into::into);
        let instances = self.instances.map(|number| number.to_string().into());
        let attributes = [
            (IMAGE, image),
            (INSTANCES, instances),
            (POLICY, self.scheduling_policy),
        ];
        let attributes = attributes
            .into_iter()
            .filter_map(|(key, value)| Some((key, Attribute::Text(value?))));
        Resource {
            created_at: Time::always(self.created_at),
            changed_at: Time::always(self.updated_at),
            attributes: attributes.collect(),
            // Nothing says whose one without a namespace is.
            unread: namespace.is_none().then_some("durable_objects"),
            addresses: namespace.into_iter().collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id, self.name)
        }
    }
}

/// The path of one application.
fn path(id: &ResourceId) -> [&str; 5] {
    let account = id.place.id();
    ["accounts", account, "containers", "applications", &id.id]
}

impl Kind for ContainerApplication {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        let path = ["accounts", place.id(), "containers", "applications"];
        let call = Call::get(Api::Cloudflare, &path);
        match page {
            PageOf::Cursor(token) => call.with("page_token", token.clone()),
            PageOf::First | PageOf::Number(_) => call,
        }
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (applications, info) = envelope::open::<Vec<Application>>(body)?;
        let items = applications.into_iter().map(|one| one.resource(place));
        let token = info.and_then(|info| info.next_page_token);
        let token = token.filter(|token| !token.is_empty());
        Ok(Page {
            items: items.collect(),
            total: None,
            next: token.map_or(NextPage::Last, NextPage::After),
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (application, _) = envelope::open::<Application>(body)?;
        Ok(application.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(change: fn(&mut Value)) -> Resource {
        let mut shown = json!({"id": "a1", "account_id": "a", "name": "shop-runner",
            "created_at": "2026-03-01T00:00:00Z", "updated_at": "2026-03-02T00:00:00Z",
            "configuration": {"image": "registry.example/shop:1"}, "instances": 2,
            "scheduling_policy": "default", "version": 3,
            "durable_objects": {"namespace_id": "ns"}});
        change(&mut shown);
        let place = Arc::new(Place::Account("a".to_owned()));
        let body = json!({"success": true, "result": shown}).to_string();
        let one = ContainerApplication.read_one(&place, body.as_bytes());
        one.unwrap()
    }

    #[test]
    fn it_is_reached_by_the_id_of_its_namespace() {
        let one = listed(|_| {});
        assert_eq!(*one.addresses, ["ns".into()]);
        assert_eq!(one.unread, None);
        let text = |key| one.attribute(key).cloned();
        assert_eq!(text(INSTANCES), Some(Attribute::Text("2".into())));
        let image = Attribute::Text("registry.example/shop:1".into());
        assert_eq!(text(IMAGE), Some(image));
    }

    #[test]
    fn one_whose_namespace_cannot_be_read_is_nobodys() {
        for change in [
            |one: &mut Value| one["durable_objects"] = Value::Null,
            |one: &mut Value| one["durable_objects"] = json!({}),
            |one: &mut Value| one["durable_objects"] = json!("ns"),
            |one: &mut Value| one["durable_objects"]["namespace_id"] = json!(""),
            |one: &mut Value| one["durable_objects"]["namespace_id"] = json!(["ns"]),
            |one: &mut Value| {
                one.as_object_mut().unwrap().remove("durable_objects");
            },
        ] {
            let one = listed(change);
            assert_eq!(one.unread, Some("durable_objects"));
            assert_eq!(*one.addresses, []);
        }
    }

    #[test]
    fn a_page_goes_on_as_long_as_it_names_a_token() {
        let next = |info: &str| {
            let place = Arc::new(Place::Account("a".to_owned()));
            let body = format!(r#"{{"success":true,"result":[]{info}}}"#);
            let page = ContainerApplication.read_page(&place, body.as_bytes());
            page.unwrap().next
        };
        let after = |token: &str| format!(r#","result_info":{{"next_page_token":{token}}}"#);
        assert_eq!(next(&after(r#""t""#)), NextPage::After("t".to_owned()));
        for last in [String::new(), after("null"), after(r#""""#)] {
            assert_eq!(next(&last), NextPage::Last, "{last}");
        }
    }
}
