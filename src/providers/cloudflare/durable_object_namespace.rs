//! Durable Object namespaces as users of Container applications. A namespace goes with
//! the Worker or Preview that has its class.
//!
//! Source: Cloudflare's SDK 7.3.0, `resources/durable-objects`, and its OpenAPI document;
//! `preview` and `dispatch_namespace`, which these lack, are as wrangler 4.164.0 reads
//! them.

use serde::Deserialize;
use serde_json::Value;

use super::envelope;
use crate::call::Call;
use crate::kind::{Ask, Malformed, ReferenceAnswer, ReferencePage, SourceUser, UserSource};
use crate::model::{Api, Place, Reference, References};

pub(super) struct DurableObjectNamespace;

#[derive(Deserialize)]
struct Namespace {
    id: Box<str>,
    name: Option<Box<str>>,
    script: Option<String>,
    /// The Preview whose it is. One that is null is still there: then it is unknown
    /// whose the namespace is.
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    preview: Option<Value>,
    /// The dispatch namespace with its script, likewise.
    #[serde(
        default,
        rename = "dispatch_namespace",
        deserialize_with = "envelope::null_is_empty"
    )]
    dispatch: Option<Value>,
}

impl Namespace {
    /// What it goes with: its Preview, and where those are not listed the Worker of that;
    /// or its Worker. Nothing if that is unknown, or a script of a dispatch namespace:
    /// such a script is no Worker of the account, whatever it is called.
    fn owners(&self) -> Vec<Reference> {
        let worker = self.script.iter();
        let worker = worker.map(|script| Reference::by_id("worker", script.clone()));
        match (&self.preview, &self.dispatch) {
            (Some(preview), None) => preview["id"].as_str().map_or_else(Vec::new, |id| {
                let preview = Reference::by_id("worker_preview", id.to_owned());
                std::iter::once(preview).chain(worker).collect()
            }),
            (None, None) => worker.collect(),
            (_, Some(_)) => Vec::new(),
        }
    }

    fn user(self) -> SourceUser {
        let application = Reference::by_address("container_application", self.id.to_string());
        SourceUser {
            owners: self.owners(),
            name: self.name.unwrap_or(self.id),
            references: References {
                uses: vec![application],
                unknown: Vec::new(),
            },
        }
    }
}

fn page(place: &Place, number: u64) -> Ask {
    let namespaces = ["workers", "durable_objects", "namespaces"];
    let path = [&["accounts", place.id()], &namespaces[..]].concat();
    let call = Call::get(Api::Cloudflare, &path)
        .with("per_page", "1000")
        .with("page", number.to_string());
    Ask::of("namespaces", &number.to_string(), call)
}

impl UserSource for DurableObjectNamespace {
    fn api(&self) -> Api {
        Api::Cloudflare
    }

    fn name(&self) -> &'static str {
        "durable_object_namespace"
    }

    fn noun(&self) -> &'static str {
        "Durable Object namespace"
    }

    fn permission(&self) -> &'static str {
        "Workers Scripts Read"
    }

    fn first(&self, place: &Place) -> Vec<Ask> {
        vec![page(place, 1)]
    }

    fn read(
        &self,
        place: &Place,
        ask: &Ask,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed> {
        let (namespaces, mut found) = envelope::users(
            "Durable Object namespaces",
            ask,
            answer,
            |namespace: &Namespace| namespace.id.clone(),
            |number| page(place, number),
        )?;
        found.users = namespaces.into_iter().map(Namespace::user).collect();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(namespaces: &Value, total: u64, page: &str) -> Result<ReferencePage, Malformed> {
        let count = namespaces.as_array().map_or(0, Vec::len);
        let body = json!({"success": true, "result": namespaces, "result_info":
            {"count": count, "page": 1, "per_page": 1000, "total_count": total}});
        let place = Place::Account("a".to_owned());
        let call = Call::get(Api::Cloudflare, &["x"]);
        let ask = Ask::of("namespaces", page, call);
        let body = body.to_string();
        DurableObjectNamespace.read(&place, &ask, ReferenceAnswer::Body(body.as_bytes()))
    }

    fn owners(rest: &Value) -> Vec<Reference> {
        let mut namespace = json!({"id": "ns", "name": "shop_Runner", "class": "Runner"});
        let fields = rest.as_object().unwrap().clone();
        namespace.as_object_mut().unwrap().extend(fields);
        let mut found = read(&json!([namespace]), 1, "1").unwrap();
        let user = found.users.remove(0);
        let application = Reference::by_address("container_application", "ns".to_owned());
        assert_eq!(user.references.uses, [application]);
        user.owners
    }

    #[test]
    fn a_namespace_goes_with_its_worker_or_preview() {
        let worker = Reference::by_id("worker", "shop".to_owned());
        assert_eq!(
            owners(&json!({"script": "shop"})),
            std::slice::from_ref(&worker)
        );
        let preview = Reference::by_id("worker_preview", "p1".to_owned());
        let of_preview = json!({"script": "shop", "preview": {"id": "p1"}});
        assert_eq!(owners(&of_preview), [preview, worker]);
    }

    #[test]
    fn a_namespace_of_a_dispatch_script_or_of_unknown_origin_goes_with_nothing() {
        for rest in [
            json!({}),
            json!({"script": null}),
            json!({"script": "shop", "dispatch_namespace": "tenants"}),
            json!({"script": "shop", "dispatch_namespace": null}),
            json!({"script": "shop", "preview": {"id": "p1"}, "dispatch_namespace": "tenants"}),
            json!({"script": "shop", "preview": null}),
            json!({"script": "shop", "preview": {}}),
            json!({"script": "shop", "preview": "p1"}),
        ] {
            assert_eq!(owners(&rest), [], "{rest}");
        }
    }

    #[test]
    fn every_page_of_namespaces_is_asked_for_once() {
        let namespaces = json!([{"id": "ns"}]);
        let first = read(&namespaces, 2_500, "1").unwrap();
        let asked: Vec<_> = first.more.iter().map(|ask| &*ask.subject).collect();
        assert_eq!(asked, ["2", "3"]);
        assert_eq!(first.counted.unwrap().total, 2_500);
        let second = read(&namespaces, 2_500, "2").unwrap();
        assert!(second.more.is_empty());
    }

    #[test]
    fn a_list_that_cannot_be_read_shows_nothing() {
        assert!(read(&json!([{"name": "shop_Runner"}]), 1, "1").is_err());
        let place = Place::Account("a".to_owned());
        let ask = &DurableObjectNamespace.first(&place)[0];
        let uncounted = br#"{"success":true,"result":[]}"#;
        for answer in [
            ReferenceAnswer::Missing(b"{}"),
            ReferenceAnswer::Body(uncounted),
        ] {
            let found = DurableObjectNamespace.read(&place, ask, answer);
            assert!(found.is_err());
        }
    }
}
