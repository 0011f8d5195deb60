//! Actions runs, environments, deployments and their statuses.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::super::message::{self, Request, Response};
use super::super::world::WorldActionsRun;
use super::paging::{linked, page, paged};
use super::{DeliveryItem, GitHub, WRITER, error, not_found, number_of, ok, sha, time};

impl GitHub {
    /// Endpoints for Actions runs.
    pub(super) fn runs(&self, request: &Request, rest: &[&str]) -> Response {
        let show = |run: &WorldActionsRun| self.run(run, &request.base);
        match rest {
            [] => {
                let items: Vec<_> = self.runs.iter().map(show).collect();
                let total = items.len();
                let page = page(request, &items);
                let shown = json!({"total_count": total, "workflow_runs": page});
                linked(request, total, ok(&shown))
            }
            [id] => {
                let found = self.runs.iter().find(|run| run.id.to_string() == *id);
                found.map_or_else(not_found, |run| ok(&show(run)))
            }
            _ => not_found(),
        }
    }

    fn run(&self, run: &WorldActionsRun, base: &str) -> Value {
        let full_name = self.full_name();
        let url = format!("{base}/repos/{full_name}/actions/runs/{}", run.id);
        let html = format!("https://github.com/{full_name}/actions/runs/{}", run.id);
        let branch = self.default_branch();
        let workflow = number_of("preview");
        let mut fields = json!({
            "id": run.id, "node_id": format!("WFR_{}", run.id), "name": "preview", "display_title": "preview",
            "head_branch": branch, "head_sha": sha(branch), "path": ".github/workflows/preview.yml",
            "run_number": 1, "run_attempt": 1, "event": "pull_request", "status": run.status,
            "conclusion": (run.status == "completed").then_some("success"), "workflow_id": workflow,
            "check_suite_id": run.id, "check_suite_node_id": format!("CS_{}", run.id),
            "pull_requests": [], "head_commit": null, "actor": Self::user(&self.owner),
            "triggering_actor": Self::user(&self.owner), "repository": self.repository(&full_name, base),
            "head_repository": self.repository(&full_name, base), "url": url, "html_url": html,
            "check_suite_url": format!("{base}/repos/{full_name}/check-suites/{}", run.id),
            "workflow_url": format!("{base}/repos/{full_name}/actions/workflows/{workflow}"),
            "previous_attempt_url": null,
        });
        for word in ["jobs", "logs", "artifacts", "cancel", "rerun"] {
            fields[format!("{word}_url")] = json!(format!("{url}/{word}"));
        }
        // The world says no more of a run than when it last changed.
        if let Some(at) = run.updated_at {
            for key in ["created_at", "updated_at", "run_started_at"] {
                fields[key] = time(at);
            }
        }
        fields
    }

    /// Endpoints for environments.
    pub(super) fn environments(&mut self, request: &Request, rest: &[&str]) -> Response {
        match (&request.method, rest) {
            (&Method::GET, []) => {
                let items: Vec<_> = self
                    .environments
                    .iter()
                    .map(|one| self.environment(one, &request.base))
                    .collect();
                let page = page(request, &items);
                let total = items.len();
                let shown = json!({"total_count": total, "environments": page});
                linked(request, total, ok(&shown))
            }
            (&Method::GET, [name]) => self
                .environments
                .iter()
                .find(|one| is_same(&one.name, name))
                .map_or_else(not_found, |one| ok(&self.environment(one, &request.base))),
            (&Method::PUT, [name]) => {
                let mut all = self.environments.iter();
                let known = all.position(|one| is_same(&one.name, name));
                let at = known.unwrap_or_else(|| {
                    self.environments.push(DeliveryItem {
                        id: number_of(&format!("environment {name}")),
                        name: (*name).to_owned(),
                        created_at: Some(request.now),
                        updated_at: Some(request.now),
                        attributes: Map::new(),
                    });
                    self.environments.len() - 1
                });
                ok(&self.environment(&self.environments[at], &request.base))
            }
            (&Method::DELETE, [name]) => {
                let before = self.environments.len();
                self.environments.retain(|one| !is_same(&one.name, name));
                if self.environments.len() < before {
                    message::empty(StatusCode::NO_CONTENT)
                } else {
                    not_found()
                }
            }
            _ => not_found(),
        }
    }

    fn environment(&self, thing: &DeliveryItem, base: &str) -> Value {
        let full_name = self.full_name();
        let rules = thing.attributes.get("protection_rules").cloned();
        let mut fields = json!({
            "id": thing.id, "node_id": format!("EN_{}", thing.id), "name": thing.name,
            "url": format!("{base}/repos/{full_name}/environments/{}", thing.name),
            "html_url": format!("https://github.com/{full_name}/deployments/activity_log?environments_filter={}", thing.name),
            "protection_rules": rules.unwrap_or_else(|| json!([])),
            "deployment_branch_policy": null,
        });
        thing.put_times(&mut fields);
        fields
    }

    /// Endpoints for deployments and their statuses.
    pub(super) fn deployments(&mut self, request: &Request, rest: &[&str]) -> Response {
        let at = |id: &str| {
            let mut all = self.deployments.iter();
            all.position(|one| one.id.to_string() == id)
        };
        match (&request.method, rest) {
            (&Method::GET, []) => {
                let wanted = |key: &str, shown: &Value| {
                    let wanted = request.parameter(key);
                    wanted.is_none_or(|wanted| {
                        let shown = shown[key].as_str().unwrap_or_default();
                        shown == wanted || (key == "environment" && is_same(shown, wanted))
                    })
                };
                let items: Vec<_> = self
                    .deployments
                    .iter()
                    .map(|one| self.deployment(one, &request.base))
                    .filter(|one| {
                        ["environment", "ref", "sha", "task"]
                            .iter()
                            .all(|key| wanted(key, one))
                    })
                    .collect();
                paged(request, &items)
            }
            (&Method::POST, []) => self.create_deployment(request),
            (method, [id, rest @ ..]) => match (method, rest, at(id)) {
                (&Method::GET, [], Some(at)) => {
                    ok(&self.deployment(&self.deployments[at], &request.base))
                }
                (&Method::GET, ["statuses"], Some(at)) => {
                    let status = self.status(&self.deployments[at], &request.base);
                    paged(request, &status.into_iter().collect::<Vec<_>>())
                }
                (&Method::POST, ["statuses"], Some(at)) => self.add_status(request, at),
                (&Method::DELETE, [], Some(at)) => self.delete_deployment(at),
                _ => not_found(),
            },
            _ => not_found(),
        }
    }

    fn create_deployment(&mut self, request: &Request) -> Response {
        let Ok(Value::Object(mut attributes)) = request.json() else {
            return error(400, "Problems parsing JSON");
        };
        let Some(branch) = attributes.get("ref").and_then(Value::as_str) else {
            return error(422, "Validation Failed: ref is missing");
        };
        let id = number_of(&format!("{branch} {}", self.deployments.len() + 1));
        if !attributes.contains_key("environment") {
            attributes.insert("environment".to_owned(), json!("production"));
        }
        let thing = DeliveryItem {
            id,
            name: id.to_string(),
            created_at: Some(request.now),
            updated_at: Some(request.now),
            attributes,
        };
        let shown = self.deployment(&thing, &request.base);
        self.deployments.push(thing);
        message::json(StatusCode::CREATED, &shown)
    }

    fn deployment(&self, thing: &DeliveryItem, base: &str) -> Value {
        let full_name = self.full_name();
        let url = format!("{base}/repos/{full_name}/deployments/{}", thing.id);
        let attribute = |key: &str| thing.attributes.get(key).cloned();
        let branch = attribute("ref").unwrap_or_else(|| json!(self.default_branch()));
        let commit = json!(sha(branch.as_str().unwrap_or_default()));
        let environment = attribute("environment").unwrap_or_else(|| json!(thing.name));
        let mut fields = json!({
            "id": thing.id, "node_id": format!("DE_{}", thing.id), "url": url,
            "statuses_url": format!("{url}/statuses"),
            "repository_url": format!("{base}/repos/{full_name}"), "ref": branch,
            "sha": attribute("sha").unwrap_or(commit), "task": attribute("task").unwrap_or_else(|| json!("deploy")),
            "environment": environment, "original_environment": environment, "payload": {},
            "description": null, "creator": Self::user(WRITER), "performed_via_github_app": null,
        });
        for key in ["production_environment", "transient_environment"] {
            fields[key] = attribute(key).unwrap_or(Value::Bool(false));
        }
        thing.put_times(&mut fields);
        fields
    }

    /// The latest status of a deployment: the sandbox keeps no earlier ones.
    fn status(&self, thing: &DeliveryItem, base: &str) -> Option<Value> {
        let state = thing.attributes.get("state")?.as_str()?;
        let repository = format!("{base}/repos/{}", self.full_name());
        let deployment = format!("{repository}/deployments/{}", thing.id);
        let id = number_of(&format!("{} {state}", thing.id));
        let mut fields = json!({
            "id": id, "node_id": format!("DES_{id}"), "state": state, "creator": Self::user(WRITER),
            "description": "", "environment": thing.attributes.get("environment").cloned().unwrap_or_else(|| json!(thing.name)),
            "target_url": "", "deployment_url": deployment, "repository_url": repository,
            "url": format!("{deployment}/statuses/{id}"), "environment_url": "", "log_url": "",
            "performed_via_github_app": null,
        });
        thing.put_times(&mut fields);
        Some(fields)
    }

    fn add_status(&mut self, request: &Request, at: usize) -> Response {
        let body = request.json().unwrap_or_default();
        let Some(state) = body.get("state").and_then(Value::as_str) else {
            return error(422, "Validation Failed: state is missing");
        };
        let deployment = &mut self.deployments[at];
        let attributes = &mut deployment.attributes;
        attributes.insert("state".to_owned(), json!(state));
        deployment.updated_at = Some(request.now);
        let shown = self.status(&self.deployments[at], &request.base);
        message::json(StatusCode::CREATED, &shown.unwrap_or_default())
    }

    fn delete_deployment(&mut self, at: usize) -> Response {
        // Only inactive deployments can be deleted, unless it is the only one.
        let state = self.deployments[at].attributes.get("state");
        let inactive = state.and_then(Value::as_str) == Some("inactive");
        if !inactive && self.deployments.len() > 1 {
            return error(
                422,
                "We cannot delete an active deployment unless it is the only deployment in a \
                 given repository.",
            );
        }
        self.deployments.remove(at);
        message::empty(StatusCode::NO_CONTENT)
    }
}

impl DeliveryItem {
    /// A time that the world leaves out is left out here, too.
    fn put_times(&self, fields: &mut Value) {
        for (key, at) in [
            ("created_at", self.created_at),
            ("updated_at", self.updated_at),
        ] {
            if let Some(at) = at {
                fields[key] = time(at);
            }
        }
    }
}

/// Whether two names are of the same environment: their case does not matter, as GitHub's
/// document about environments says.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
