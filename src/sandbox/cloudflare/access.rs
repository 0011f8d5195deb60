//! Applications of Cloudflare Access.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, object, ok, put, text, texts};
use super::identity::uuid;
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
    attributes: Map<String, Value>,
}

const APPLICATIONS: Paging = Paging::new(25, 1, 1_000).clamped();

/// The documents name no codes of refusals; their example has this one.
fn missing() -> ApiFailure {
    ApiFailure::not_found(1_000, "access application not found")
}

/// Access.
pub(super) struct Access;

static KIND: WorldKind = WorldKind {
    name: "access_application",
    attributes: &["type", "domain", "destinations", "tags"],
    paths: &["/access/apps"],
};

impl Product for Access {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.applications.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let id = resource.id.clone();
        let id = id.unwrap_or_else(|| cloud.application_id(&resource.name));
        let application = Application {
            name: resource.name.clone(),
            attributes: resource.attributes.clone(),
        };
        cloud.applications.insert(id, application);
        Ok(())
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        let all = cloud.applications.iter();
        let all = all.map(|(id, application)| WorldResource {
            kind: KIND.name.to_owned(),
            name: application.name.clone(),
            id: Some(id.clone()),
            created_at: None,
            updated_at: None,
            attributes: application.attributes.clone(),
        });
        all.collect()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["access", "apps", rest @ ..] => Some(cloud.access(method, rest, request)),
            _ => None,
        }
    }
}

impl Cloudflare {
    fn application_id(&mut self, name: &str) -> String {
        uuid(&self.register.assign("access_application", name))
    }

    fn access(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let mut found: Vec<(&String, &Application)> = self.applications.iter().collect();
                found.sort_by_key(|(_, application)| &application.name);
                APPLICATIONS.answer(request, &found, |(id, one)| to_json(id, one))
            }
            ("POST", []) => {
                let mut body = object(request, 1_000)?;
                let name = text(&body, "name").unwrap_or_default().to_owned();
                body.retain(|field, _| KIND.attributes.contains(&field.as_str()));
                let id = self.application_id(&name);
                let application = Application {
                    name,
                    attributes: body,
                };
                let shown = to_json(&id, &application);
                self.applications.insert(id, application);
                Ok(ok(shown))
            }
            ("GET", [id]) => match self.applications.get(*id) {
                Some(application) => Ok(ok(to_json(id, application))),
                None => Err(missing()),
            },
            ("DELETE", [id]) => match self.applications.remove(*id) {
                Some(_) => Ok(ok(json!({ "id": id }))),
                None => Err(missing()),
            },
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

/// In a world the name of an application may be the host that it guards.
fn to_json(id: &str, application: &Application) -> Value {
    let Application { name, attributes } = application;
    let domain = text(attributes, "domain").unwrap_or(name);
    let sort = text(attributes, "type").unwrap_or("self_hosted");
    let public = json!([{ "type": "public", "uri": domain }]);
    let destinations = attributes.get("destinations").unwrap_or(&public);
    let mut shown = json!({
        "id": id,
        "name": name,
        "type": sort,
        "tags": texts(attributes, "tags"),
    });
    if sort == "self_hosted" {
        put(&mut shown, "destinations", Some(destinations.clone()));
    }
    put(&mut shown, "domain", Some(domain));
    shown
}
