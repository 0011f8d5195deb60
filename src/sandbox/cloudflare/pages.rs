//! Pages projects and their deployments.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, flag, object, ok, text, texts};
use super::binding::Binding;
use super::identity::{stable, uuid};
use super::product::Product;
use super::upload::required;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One project.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) production_branch: String,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) deployments: Vec<Deployment>,
    /// Bindings of previews and of production.
    pub(super) bindings: [Vec<Binding>; 2],
}

/// One deployment of a project.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) production: bool,
    pub(super) branch: String,
    pub(super) aliases: Vec<String>,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) attributes: Map<String, Value>,
}

impl Deployment {
    /// How its last stage ended.
    pub(super) fn status(&self) -> &str {
        text(&self.attributes, "status").unwrap_or("success")
    }
}

const PAGE: Paging = Paging::new(25, 1, 25).refusing_with(8_000_024);

fn no_project() -> ApiFailure {
    ApiFailure::not_found(
        8_000_007,
        "Project not found. The specified project name does not match any of your existing \
         projects.",
    )
}

fn no_deployment() -> ApiFailure {
    ApiFailure::not_found(
        8_000_009,
        "The deployment ID you have specified does not exist. Update the deployment ID and try \
         again.",
    )
}

impl Project {
    /// Takes over the bindings of a `deployment_configs`: what it names is
    /// replaced, null removes.
    fn configure(&mut self, body: &Map<String, Value>) {
        for (at, environment) in ["preview", "production"].into_iter().enumerate() {
            let Some(config) = body
                .get("deployment_configs")
                .and_then(|configs| configs[environment].as_object())
            else {
                continue;
            };
            for (map, items) in config {
                for (name, item) in items.as_object().into_iter().flatten() {
                    self.bindings[at].retain(|known| known.name != *name);
                    self.bindings[at].extend(Binding::from_pages(map, name, item));
                }
            }
        }
    }

    /// Puts the newest deployment first.
    pub(super) fn sort(&mut self) {
        self.deployments.sort_by(|left, right| {
            right
                .created
                .cmp(&left.created)
                .then_with(|| left.id.cmp(&right.id))
        });
    }

    /// The deployment that serves the production addresses: the one that production
    /// was rolled back to, else the newest that succeeded.
    pub(super) fn active(&self) -> Option<&Deployment> {
        let production = self.deployments.iter().filter(|one| one.production);
        let chosen = |one: &&Deployment| one.attributes.get("active") == Some(&json!(true));
        production
            .clone()
            .find(chosen)
            .or_else(|| production.clone().find(|one| one.status() == "success"))
            .or_else(|| production.clone().next())
    }
}

/// Pages.
pub(super) struct Pages;

static KIND: WorldKind = WorldKind {
    name: "pages_deployment",
    attributes: &[
        "project",
        "environment",
        "branch",
        "aliases",
        "commit_hash",
        "active",
        "status",
        "bindings",
        "repository",
    ],
    paths: &["/pages/projects"],
};

impl Product for Pages {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_pages_deployment(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.pages_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["pages", "projects", rest @ ..] => Some(cloud.pages(method, rest, request)),
            _ => None,
        }
    }

    fn bindings<'c>(&self, cloud: &'c mut Cloudflare) -> Vec<&'c mut Binding> {
        let projects = cloud.projects.values_mut();
        projects
            .flat_map(|project| project.bindings.iter_mut().flatten())
            .collect()
    }
}

impl Cloudflare {
    pub(super) fn add_pages_deployment(
        &mut self,
        resource: &WorldResource,
    ) -> Result<(), ImpossibleResource> {
        let attributes = &resource.attributes;
        let id = resource.id.as_ref().unwrap_or(&resource.name).clone();
        let project = text(attributes, "project").unwrap_or("site").to_owned();
        let production = text(attributes, "environment") == Some("production");
        if self.projects.values().any(|project| {
            project
                .deployments
                .iter()
                .any(|deployment| deployment.id == id)
        }) {
            return Err(ImpossibleResource::exists("a pages_deployment", &id));
        }
        let place = self.ensure_project(&project);
        if let Some(branch) = text(attributes, "production_branch") {
            branch.clone_into(&mut place.production_branch);
        }
        let branch = match text(attributes, "branch") {
            Some(branch) => branch.to_owned(),
            None if production => place.production_branch.clone(),
            None => "preview".to_owned(),
        };
        let bindings = attributes.get("bindings").and_then(Value::as_array);
        for binding in bindings.into_iter().flatten() {
            place.bindings[usize::from(production)].push(Binding::from_world(binding)?);
        }
        if place.created.is_none() || resource.created_at < place.created {
            place.created = resource.created_at.or(place.created);
        }
        place.deployments.push(Deployment {
            id,
            production,
            branch,
            aliases: texts(attributes, "aliases"),
            created: resource.created_at,
            attributes: attributes.clone(),
        });
        place.sort();
        Ok(())
    }

    fn ensure_project(&mut self, name: &str) -> &mut Project {
        self.projects
            .entry(name.to_owned())
            .or_insert_with(|| Project {
                id: uuid(&stable(&["pages project", name])),
                production_branch: "main".to_owned(),
                created: None,
                deployments: Vec::new(),
                bindings: [Vec::new(), Vec::new()],
            })
    }

    pub(super) fn pages_resources(&self) -> Vec<WorldResource> {
        let mut all = Vec::new();
        for (name, project) in &self.projects {
            for deployment in &project.deployments {
                let mut attributes = deployment.attributes.clone();
                let environment = if deployment.production {
                    "production"
                } else {
                    "preview"
                };
                attributes.insert("project".to_owned(), json!(name));
                attributes.insert("environment".to_owned(), json!(environment));
                attributes.insert("branch".to_owned(), json!(deployment.branch));
                all.push(WorldResource {
                    kind: "pages_deployment".to_owned(),
                    name: deployment.id.clone(),
                    id: Some(deployment.id.clone()),
                    created_at: deployment.created,
                    updated_at: None,
                    attributes,
                });
            }
        }
        all
    }

    pub(super) fn pages(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let all: Vec<(&String, &Project)> = self.projects.iter().collect();
                PAGE.answer(request, &all, |(name, project)| project.to_json(name))
            }
            ("POST", []) => {
                let body = object(request, 8_000_011)?;
                let name = required(&body, "name")?.to_owned();
                if self.projects.contains_key(&name) {
                    return Err(ApiFailure::conflict(
                        8_000_002,
                        "A project with this name already exists. Choose a different project name.",
                    ));
                }
                let project = self.ensure_project(&name);
                project.created = Some(request.now);
                if let Some(branch) = text(&body, "production_branch") {
                    branch.clone_into(&mut project.production_branch);
                }
                Ok(ok(project.to_json(&name)))
            }
            (_, [name, rest @ ..]) => {
                let project = self.projects.get_mut(*name).ok_or_else(no_project)?;
                match (method, rest) {
                    ("GET", []) => Ok(ok(project.to_json(name))),
                    ("PATCH", []) => {
                        let body = object(request, 8_000_011)?;
                        project.configure(&body);
                        Ok(ok(project.to_json(name)))
                    }
                    ("DELETE", []) => {
                        self.projects.remove(*name);
                        Ok(ok(Value::Null))
                    }
                    ("GET", ["domains"]) => PAGE.answer(request, &[], |(): &()| Value::Null),
                    (_, ["deployments", rest @ ..]) => {
                        deployments(project, name, method, rest, request)
                    }
                    _ => Err(ApiFailure::no_route(request)),
                }
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

fn deployments(
    project: &mut Project,
    name: &str,
    method: &str,
    path: &[&str],
    request: &Request,
) -> Answer {
    match (method, path) {
        ("GET", []) => {
            let wanted = request.parameter("env").filter(|env| !env.is_empty());
            let found: Vec<&Deployment> = project
                .deployments
                .iter()
                .filter(|deployment| {
                    wanted.is_none_or(|env| (env == "production") == deployment.production)
                })
                .collect();
            PAGE.answer(request, &found, |deployment| {
                project.draw_deployment(name, deployment)
            })
        }
        ("GET", [id]) => project
            .deployments
            .iter()
            .find(|deployment| deployment.id == *id)
            .map(|deployment| ok(project.draw_deployment(name, deployment)))
            .ok_or_else(no_deployment),
        ("DELETE", [id]) => {
            let at = project
                .deployments
                .iter()
                .position(|deployment| deployment.id == *id)
                .ok_or_else(no_deployment)?;
            if project.active().is_some_and(|active| active.id == *id) {
                return Err(ApiFailure::bad(
                    8_000_034,
                    "You cannot delete the active production deployment of your project.",
                ));
            }
            if !project.deployments[at].aliases.is_empty() && !flag(request, "force") {
                return Err(ApiFailure::bad(
                    8_000_035,
                    "Cannot delete aliased deployment without a `?force=true` parameter.",
                ));
            }
            project.deployments.remove(at);
            Ok(ok(Value::Null))
        }
        _ => Err(ApiFailure::no_route(request)),
    }
}
