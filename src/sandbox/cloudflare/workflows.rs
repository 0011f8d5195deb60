//! Workflows, known by name. Source: Cloudflare's SDK 7.3.0, `resources/workflows`;
//! the code of a missing one is wrangler's.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, object, ok, put, text};
use super::binding::Bindable;
use super::identity::{moment, stable, uuid};
use super::product::Product;
use super::upload::required;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One Workflow.
#[derive(Debug)]
pub(super) struct Workflow {
    id: String,
    class: String,
    script: String,
    created: Option<DateTime<Utc>>,
    modified: Option<DateTime<Utc>>,
    /// How many instances are in each state.
    instances: Map<String, Value>,
    attributes: Map<String, Value>,
}

const WORKFLOWS: Paging = Paging::new(10, 1, 100);

fn missing() -> ApiFailure {
    ApiFailure::not_found(10_200, "workflows.api.error.not_found")
}

/// Workflows.
pub(super) struct Workflows;

static KIND: WorldKind = WorldKind {
    name: "workflow",
    attributes: &["script", "class", "instances", "script_deleted"],
    paths: &["/workflows"],
};

static BINDABLE: Bindable = Bindable {
    sort: "workflow",
    name: "workflow",
    field: "workflow_name",
    by_id: false,
    pages: None,
};

impl Product for Workflows {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.workflows.values().any(|workflow| workflow.id == id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_workflow(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.workflow_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["workflows", rest @ ..] => Some(cloud.workflows(method, rest, request)),
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }
}

impl Cloudflare {
    fn add_workflow(&mut self, resource: &WorldResource) -> Result<(), ImpossibleResource> {
        let name = &resource.name;
        if self.workflows.contains_key(name) {
            return Err(ImpossibleResource::exists("a workflow", name));
        }
        let attributes = &resource.attributes;
        let given = |field: &str| text(attributes, field).map(ToOwned::to_owned);
        let instances = attributes.get("instances").and_then(Value::as_object);
        let workflow = Workflow {
            id: resource
                .id
                .clone()
                .unwrap_or_else(|| uuid(&self.register.assign("workflow", name))),
            class: given("class").unwrap_or_else(|| "Flow".to_owned()),
            script: given("script").unwrap_or_else(|| name.clone()),
            created: resource.created_at,
            modified: resource.updated_at,
            instances: instances.cloned().unwrap_or_default(),
            attributes: attributes.clone(),
        };
        self.workflows.insert(name.clone(), workflow);
        Ok(())
    }

    fn workflow_resources(&self) -> Vec<WorldResource> {
        let all = self.workflows.iter().map(|(name, workflow)| {
            let mut attributes = workflow.attributes.clone();
            attributes.insert("script".to_owned(), json!(workflow.script));
            WorldResource {
                kind: "workflow".to_owned(),
                name: name.clone(),
                id: Some(workflow.id.clone()),
                created_at: workflow.created,
                updated_at: workflow.modified,
                attributes,
            }
        });
        all.collect()
    }

    fn workflows(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let search = request.parameter("search");
                let all = self.workflows.iter();
                let found = all.filter(|(name, _)| search.is_none_or(|part| name.contains(part)));
                let found: Vec<(&String, &Workflow)> = found.collect();
                WORKFLOWS.answer(request, &found, |(name, workflow)| {
                    self.workflow(name, workflow)
                })
            }
            ("GET", [name]) => match self.workflows.get(*name) {
                Some(workflow) => Ok(ok(self.workflow(name, workflow))),
                None => Err(missing()),
            },
            ("GET", [name, "versions"]) => {
                let workflow = self.workflows.get(*name).ok_or_else(missing)?;
                WORKFLOWS.answer(request, &[workflow], |workflow| version(name, workflow))
            }
            ("GET", [name, "versions", id]) => {
                let workflow = self.workflows.get(*name).ok_or_else(missing)?;
                let shown = version(name, workflow);
                if shown["id"] == json!(id) {
                    Ok(ok(shown))
                } else {
                    Err(missing())
                }
            }
            ("GET", [name, "instances"]) => {
                let workflow = self.workflows.get(*name).ok_or_else(missing)?;
                let all = instances(name, workflow);
                let status = request.parameter("status");
                let all = all.into_iter();
                let all = all.filter(|one| status.is_none_or(|status| one["status"] == status));
                let all: Vec<Value> = all.collect();
                WORKFLOWS.answer(request, &all, Value::clone)
            }
            ("PUT", [name]) => self.put_workflow(name, request),
            ("DELETE", [name]) => match self.workflows.remove(*name) {
                Some(_) => Ok(ok(json!({ "status": "ok", "success": true }))),
                None => Err(missing()),
            },
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    /// Makes a Workflow, or changes one.
    fn put_workflow(&mut self, name: &str, request: &Request) -> Answer {
        let body = object(request, 10_002)?;
        let class = required(&body, "class_name")?.to_owned();
        let script = required(&body, "script_name")?.to_owned();
        let known = self.workflows.remove(name);
        let mut workflow = known.unwrap_or_else(|| Workflow {
            id: uuid(&self.register.assign("workflow", name)),
            class: String::new(),
            script: String::new(),
            created: Some(request.now),
            modified: None,
            instances: Map::new(),
            attributes: Map::new(),
        });
        (workflow.class, workflow.script) = (class, script);
        workflow.modified = Some(request.now);
        workflow.attributes.remove("script_deleted");
        let mut shown = json!({
            "id": workflow.id,
            "name": name,
            "class_name": workflow.class,
            "script_name": workflow.script,
            "version_id": version_id(name, &workflow),
            "is_deleted": 0,
            "terminator_running": 0,
            "triggered_on": null,
        });
        put(&mut shown, "created_on", workflow.created.map(moment));
        put(&mut shown, "modified_on", workflow.modified.map(moment));
        self.workflows.insert(name.to_owned(), workflow);
        Ok(ok(shown))
    }

    fn workflow(&self, name: &str, workflow: &Workflow) -> Value {
        let said = workflow.attributes.get("script_deleted");
        let deleted = said.and_then(Value::as_bool);
        let deleted = deleted.unwrap_or_else(|| {
            let worker = self.workers.get(&workflow.script);
            worker.is_none_or(|worker| worker.implied)
        });
        let mut shown = json!({
            "id": workflow.id,
            "name": name,
            "class_name": workflow.class,
            "script_name": workflow.script,
            "script_deleted": deleted,
            "instances": workflow.instances,
            "triggered_on": null,
        });
        put(&mut shown, "created_on", workflow.created.map(moment));
        put(&mut shown, "modified_on", workflow.modified.map(moment));
        shown
    }
}

fn version_id(name: &str, workflow: &Workflow) -> String {
    let changed = workflow.modified.or(workflow.created);
    uuid(&stable(&[
        "workflow",
        name,
        &changed.map(moment).unwrap_or_default(),
    ]))
}

/// The version that a Workflow has now. The sandbox keeps no older ones.
fn version(name: &str, workflow: &Workflow) -> Value {
    let changed = workflow.modified.or(workflow.created).map(moment);
    json!({
        "id": version_id(name, workflow), "class_name": workflow.class, "created_on": changed,
        "modified_on": changed, "has_dag": false, "language": "javascript",
        "workflow_id": workflow.id,
    })
}

/// The instances of a Workflow, as many in each state as the world says.
fn instances(name: &str, workflow: &Workflow) -> Vec<Value> {
    let began = workflow.modified.or(workflow.created).map(moment);
    let states = workflow.instances.iter();
    let states = states.flat_map(|(state, count)| {
        let count = count.as_u64().unwrap_or_default();
        (0..count).map(move |number| (state, number))
    });
    let shown = states.map(|(state, number)| {
        let ended = ["complete", "errored", "terminated"].contains(&state.as_str());
        json!({
            "id": uuid(&stable(&["instance", name, state, &number.to_string()])),
            "created_on": began, "started_on": began, "modified_on": began,
            "ended_on": began.as_ref().filter(|_| ended), "status": state,
            "version_id": version_id(name, workflow), "workflow_id": workflow.id,
            "trigger_source": "binding",
        })
    });
    shown.collect()
}
