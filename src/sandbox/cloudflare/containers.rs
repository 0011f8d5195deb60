//! Applications of Cloudflare Containers, and the Durable Object namespaces whose
//! containers they run.
//!
//! Source: `resources/containers/applications` and `resources/durable-objects` in
//! Cloudflare's own SDK 7.3.0; that an application which Durable Objects manage has the
//! id of its namespace, and that `preview` and `dispatch_namespace` of a namespace say
//! whose it is, is wrangler's. A deletion goes on after its answer; how long is not
//! documented, so that a world may say it (`deletion_ms`).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, object, ok, ok_with, text};
use super::identity::{moment, uuid};
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// The applications of an account, by id.
pub(super) type Applications = BTreeMap<String, Application>;

/// One application.
#[derive(Debug)]
pub(super) struct Application {
    name: String,
    /// The id of its Durable Object namespace.
    namespace: Option<String>,
    created: Option<DateTime<Utc>>,
    modified: Option<DateTime<Utc>>,
    /// When its deletion began.
    deleted: Option<DateTime<Utc>>,
    /// Whether the world was asked for the owner of its namespace.
    settled: bool,
    attributes: Map<String, Value>,
}

/// The size of a page, of which the documents say nothing.
const PAGE: usize = 20;

/// The documents name no codes of refusals.
const CODE: u32 = 1_000;

fn missing() -> ApiFailure {
    ApiFailure::not_found(CODE, "Application not found")
}

impl Application {
    /// Whether it is still shown.
    fn is_there(&self, now: DateTime<Utc>) -> bool {
        let takes = self.attributes.get("deletion_ms").and_then(Value::as_i64);
        let takes = TimeDelta::milliseconds(takes.unwrap_or_default());
        self.deleted.is_none_or(|deleted| now < deleted + takes)
    }

    fn policy(&self) -> &str {
        text(&self.attributes, "scheduling_policy").unwrap_or("default")
    }

    fn to_json(&self, account: &str, id: &str) -> Value {
        let mut shown = json!({
            "id": id,
            "account_id": account,
            "name": self.name,
            "scheduling_policy": self.policy(),
            "created_at": self.created.map(moment),
            "updated_at": self.modified.or(self.created).map(moment),
        });
        if let Some(namespace) = &self.namespace {
            shown["durable_objects"] = json!({ "namespace_id": namespace });
        }
        if self.policy() == "default" {
            let image = text(&self.attributes, "image");
            let image = image.unwrap_or("registry.cloudflare.com/sandbox/app:latest");
            shown["configuration"] = json!({ "image": image });
            shown["instances"] = json!(0);
            shown["max_instances"] = json!(1);
            shown["version"] = json!(1);
        }
        for time in ["created_at", "updated_at"] {
            if shown[time].is_null()
                && let Some(fields) = shown.as_object_mut()
            {
                fields.remove(time);
            }
        }
        shown
    }
}

/// Whose a Durable Object namespace is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'o> {
    /// A Worker, by name.
    Worker(&'o str),
    /// A Preview, by id.
    Preview(&'o str),
}

impl Owner<'_> {
    /// Returns whether a namespace is this one's, as it is answered. A script of a
    /// dispatch namespace may have the name of a Worker.
    pub(super) fn has(self, namespace: &Value) -> bool {
        match self {
            Self::Worker(name) => {
                let foreign = ["preview", "dispatch_namespace"];
                let foreign = foreign.iter().any(|field| namespace.get(field).is_some());
                namespace["script"] == json!(name) && !foreign
            }
            Self::Preview(id) => namespace["preview"]["id"] == json!(id),
        }
    }
}

/// Cloudflare Containers.
pub(super) struct Containers;

static KIND: WorldKind = WorldKind {
    name: "container_application",
    attributes: &[
        "worker",
        "class",
        "preview",
        "dispatch_namespace",
        "namespace_id",
        "image",
        "scheduling_policy",
        "deletion_ms",
    ],
    paths: &["/containers/applications"],
};

impl Product for Containers {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        let application = cloud.containers.get(id);
        application.is_some_and(|application| application.deleted.is_none())
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let name = &resource.name;
        let attributes = resource.attributes.clone();
        // One without a Worker has a namespace of which nothing is left.
        let given = text(&attributes, "namespace_id");
        let namespace =
            cloud
                .register
                .take(given, "durable_object_namespace", &format!("of {name}"));
        let id = match (&resource.id, text(&attributes, "scheduling_policy")) {
            (Some(id), _) => id.clone(),
            (None, Some("durable_object")) => namespace.clone(),
            (None, _) => uuid(&cloud.register.assign("container_application", name)),
        };
        let application = Application {
            name: name.clone(),
            namespace: Some(namespace).filter(|id| !id.is_empty()),
            created: resource.created_at,
            modified: resource.updated_at,
            deleted: None,
            settled: false,
            attributes,
        };
        cloud.containers.insert(id, application);
        Ok(())
    }

    /// Where nothing is left of its namespace, the Worker is not named either: another
    /// of the same name has namespaces of its own.
    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        let there = cloud.containers.iter();
        let there = there.filter(|(_, application)| application.deleted.is_none());
        let there = there.map(|(id, application)| {
            let mut attributes = application.attributes.clone();
            let namespace = json!(application.namespace.as_deref().unwrap_or_default());
            let mut namespaces = cloud.namespaces_of_objects.iter();
            if application.settled && !namespaces.any(|one| one["id"] == namespace) {
                for owner in ["worker", "class", "preview", "dispatch_namespace"] {
                    attributes.remove(owner);
                }
            }
            attributes.insert("namespace_id".to_owned(), namespace);
            WorldResource {
                kind: KIND.name.to_owned(),
                name: application.name.clone(),
                id: Some(id.clone()),
                created_at: application.created,
                updated_at: application.modified,
                attributes,
            }
        });
        there.collect()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["containers", "applications", rest @ ..] => {
                Some(cloud.applications_of_containers(method, rest, request))
            }
            _ => None,
        }
    }
}

impl Cloudflare {
    /// Makes the Durable Object namespaces of the applications that a world describes,
    /// for those Workers and Previews that it has. The others are gone, and their
    /// namespaces with them.
    pub(super) fn settle_containers(&mut self) {
        let open = self.containers.values_mut();
        for application in open.filter(|application| !application.settled) {
            application.settled = true;
            let attributes = &application.attributes;
            let (Some(id), Some(script)) = (&application.namespace, text(attributes, "worker"))
            else {
                continue;
            };
            let class = text(attributes, "class").unwrap_or("Runner");
            let mut namespace = json!({
                "id": id,
                "name": format!("{script}_{class}"),
                "script": script,
                "class": class,
                "use_sqlite": true,
            });
            let of_preview = text(attributes, "preview");
            let is_there = match (of_preview, text(attributes, "dispatch_namespace")) {
                (Some(name), _) => {
                    let mut previews = self.previews.iter();
                    let preview = previews.find(|(_, one)| one.is_called(script, name));
                    if let Some((id, _)) = preview {
                        namespace["preview"] = json!({ "id": id });
                        namespace["name"] = json!(format!("{script}_{name}_{class}"));
                    }
                    preview.is_some()
                }
                (None, Some(dispatch)) => {
                    namespace["dispatch_namespace"] = json!(dispatch);
                    true
                }
                (None, None) => {
                    let worker = self.workers.get(script);
                    worker.is_some_and(|worker| !worker.implied)
                }
            };
            if is_there {
                self.namespaces_of_objects.push(namespace);
            }
        }
    }

    /// Takes the namespaces of a Worker or Preview away. Their applications stay.
    pub(super) fn remove_namespaces_of(&mut self, owner: Owner<'_>) {
        self.namespaces_of_objects.retain(|one| !owner.has(one));
    }

    fn applications_of_containers(
        &mut self,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        let now = request.now;
        self.containers.retain(|_, one| one.is_there(now));
        match (method, path) {
            ("GET", []) => self.list_applications(request),
            ("POST", []) => self.create_application(request),
            ("GET", [id]) => {
                let one = self.containers.get(*id).ok_or_else(missing)?;
                Ok(ok(one.to_json(&self.account.id, id)))
            }
            ("PATCH", [id]) => {
                object(request, CODE)?;
                let one = self.containers.get_mut(*id).ok_or_else(missing)?;
                one.modified = Some(now);
                Ok(ok(one.to_json(&self.account.id, id)))
            }
            ("DELETE", [id]) => {
                let one = self.containers.get_mut(*id).ok_or_else(missing)?;
                one.deleted.get_or_insert(now);
                Ok(ok(
                    json!({ "message": "The application is being deleted." }),
                ))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    fn list_applications(&self, request: &Request) -> Answer {
        let asked = |name: &str| request.parameter(name).filter(|text| !text.is_empty());
        let size = match asked("per_page").map(str::parse) {
            None => PAGE,
            Some(Ok(size)) if size > 0 => size,
            Some(_) => return Err(ApiFailure::bad(CODE, "per_page is no number of items")),
        };
        let after = asked("page_token");
        let found = self.containers.iter().filter(|(id, one)| {
            let image = text(&one.attributes, "image");
            after.is_none_or(|after| id.as_str() > after)
                && asked("name").is_none_or(|name| one.name == name)
                && asked("image").is_none_or(|asked| image == Some(asked))
        });
        let mut found: Vec<(&String, &Application)> = found.collect();
        let more = found.len() > size;
        found.truncate(size);
        let mut info = json!({ "per_page": size });
        if let (true, Some((last, _))) = (more, found.last()) {
            info["next_page_token"] = json!(last);
        }
        let shown = found
            .iter()
            .map(|(id, one)| one.to_json(&self.account.id, id));
        Ok(ok_with(shown.collect(), info))
    }

    fn create_application(&mut self, request: &Request) -> Answer {
        let body = object(request, CODE)?;
        let required = |field: &str| {
            let given = text(&body, field).filter(|text| !text.is_empty());
            let missing = || ApiFailure::bad(CODE, format!("{field} is required"));
            given.map(ToOwned::to_owned).ok_or_else(missing)
        };
        let name = required("name")?;
        let policy = required("scheduling_policy")?;
        let given = body.get("durable_objects").cloned().unwrap_or_default();
        let namespace = self.namespaces_of_objects.iter().find(|one| {
            one["id"] == given["namespace_id"]
                || (one["script"] == given["script_name"] && one["class"] == given["class_name"])
        });
        let namespace = namespace.and_then(|one| one["id"].as_str());
        let namespace = namespace.map(ToOwned::to_owned);
        if namespace.is_none() && (policy == "durable_object" || given.is_object()) {
            return Err(ApiFailure::bad(CODE, "durable_objects names no namespace"));
        }
        let id = match &namespace {
            Some(namespace) if policy == "durable_object" => namespace.clone(),
            _ => uuid(&self.register.assign("container_application", &name)),
        };
        if self.containers.values().any(|one| one.name == name) || self.containers.contains_key(&id)
        {
            return Err(ApiFailure::bad(CODE, "the application exists already"));
        }
        let mut attributes = Map::new();
        attributes.insert("scheduling_policy".to_owned(), json!(policy));
        if let Some(image) = body.get("configuration").and_then(|one| one.get("image")) {
            attributes.insert("image".to_owned(), image.clone());
        }
        let application = Application {
            name,
            namespace,
            created: Some(request.now),
            modified: Some(request.now),
            deleted: None,
            settled: true,
            attributes,
        };
        let shown = application.to_json(&self.account.id, &id);
        self.containers.insert(id, application);
        Ok(ok(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cloud, delete, get, names, post, resource};
    use super::*;

    const APPLICATIONS: &str = "{a}/containers/applications";

    /// The names of the namespaces, sorted.
    fn namespaces(cloud: &mut Cloudflare) -> Vec<String> {
        let listed = get(cloud, "{a}/workers/durable_objects/namespaces");
        let all = listed.result().as_array().unwrap().iter();
        let all = all.map(|one| one["name"].as_str().unwrap().to_owned());
        let mut all: Vec<String> = all.collect();
        all.sort_unstable();
        all
    }

    fn application(name: &str, attributes: &Value) -> Value {
        resource("container_application", name, attributes)
    }

    fn of_everybody() -> Cloudflare {
        cloud(&json!([
            application("a", &json!({"worker": "app"})),
            application("b", &json!({"worker": "site", "preview": "pr-7"})),
            application(
                "c",
                &json!({"worker": "app", "dispatch_namespace": "tenants"})
            ),
            application("d", &json!({"worker": "gone"})),
            application("e", &json!({"namespace_id": ""})),
            resource("worker", "app", &json!({})),
            resource("worker", "site", &json!({})),
            resource("worker_preview", "pr-7", &json!({"worker": "site"})),
        ]))
    }

    #[test]
    fn namespaces_go_with_their_worker_or_preview_and_applications_stay() {
        let mut cloud = of_everybody();
        let all = ["app_Runner", "app_Runner", "site_pr-7_Runner"];
        assert_eq!(namespaces(&mut cloud), all);
        assert_eq!(delete(&mut cloud, "{a}/workers/scripts/app").status, 200);
        assert_eq!(namespaces(&mut cloud), ["app_Runner", "site_pr-7_Runner"]);
        let preview = "{a}/workers/workers/site/previews/pr-7";
        assert_eq!(delete(&mut cloud, preview).status, 200);
        assert_eq!(namespaces(&mut cloud), ["app_Runner"]);
        let mut left = names(&cloud, "container_application");
        left.sort_unstable();
        assert_eq!(left, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_worker_of_the_same_name_has_namespaces_of_its_own() {
        let mut cloud = of_everybody();
        delete(&mut cloud, "{a}/workers/scripts/app");
        let again = resource("worker", "app", &json!({}));
        let again = serde_json::from_value(again).unwrap();
        crate::sandbox::provider::ProviderApi::add(&mut cloud, &again, Utc::now()).unwrap();
        assert_eq!(namespaces(&mut cloud), ["app_Runner", "site_pr-7_Runner"]);
    }

    #[test]
    fn the_state_of_applications_makes_the_same_state_again() {
        let mut first = of_everybody();
        delete(&mut first, "{a}/workers/scripts/app");
        let shown = namespaces(&mut first);
        let state = json!(crate::sandbox::provider::ProviderApi::resources(&first));
        let mut second = super::super::tests::cloud(&state);
        assert_eq!(namespaces(&mut second), shown);
        let again = crate::sandbox::provider::ProviderApi::resources(&second);
        assert_eq!(json!(again), state);
    }

    #[test]
    fn a_listing_goes_on_after_a_token() {
        let all: Vec<Value> = (0..45)
            .map(|number| application(&format!("app-{number}"), &json!({})))
            .collect();
        let mut cloud = cloud(&json!(all));
        let mut sizes = Vec::new();
        let mut path = APPLICATIONS.to_owned();
        loop {
            let page = get(&mut cloud, &path);
            sizes.push(page.result().as_array().unwrap().len());
            let Some(token) = page.body["result_info"]["next_page_token"].as_str() else {
                break;
            };
            path = format!("{APPLICATIONS}?page_token={token}");
        }
        assert_eq!(sizes, [20, 20, 5]);
        let named = get(&mut cloud, &format!("{APPLICATIONS}?name=app-7"));
        assert_eq!(named.result()[0]["name"], "app-7");
    }

    #[test]
    fn an_application_is_made_for_a_namespace_that_exists() {
        let mut cloud = of_everybody();
        let listed = get(&mut cloud, "{a}/workers/durable_objects/namespaces");
        let namespace = listed.result()[0]["id"].clone();
        let body = |objects: Value| {
            json!({"name": "f", "scheduling_policy": "durable_object",
                "durable_objects": objects})
        };
        let none = post(&mut cloud, APPLICATIONS, body(json!({"namespace_id": "x"})));
        assert_eq!(none.status, 400);
        let class = json!({"script_name": "app", "class_name": "Runner"});
        let made = post(&mut cloud, APPLICATIONS, body(class));
        assert_eq!(made.result()["id"], namespace);
        let id = namespace.as_str().unwrap();
        let one = get(&mut cloud, &format!("{APPLICATIONS}/{id}"));
        assert_eq!(one.result()["durable_objects"]["namespace_id"], namespace);
        let missing = get(&mut cloud, &format!("{APPLICATIONS}/0"));
        assert_eq!(missing.status, 404);
    }
}
