//! Versions and deployments of a Worker.

use serde_json::{Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, flag, object, ok};
use super::identity::{stable, uuid};
use super::scripts::missing;
use super::upload::annotations;
use super::worker::{Deployment, Version};
use crate::sandbox::message::Request;

/// Deployable versions are returned at once, up to this maximum.
const DEPLOYABLE: usize = 100;

fn no_version() -> ApiFailure {
    ApiFailure::not_found(100_146, "Version not found.")
}

fn no_deployment() -> ApiFailure {
    ApiFailure::not_found(10071, "Deployment not found.")
}

impl Cloudflare {
    pub(super) fn script_versions(
        &mut self,
        method: &str,
        name: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        let worker = self.workers.get(name).ok_or_else(missing)?;
        match (method, path) {
            ("GET", []) => {
                let newest: Vec<&Version> = worker.versions.iter().rev().collect();
                if flag(request, "deployable") {
                    let items: Vec<Value> = newest
                        .iter()
                        .take(DEPLOYABLE)
                        .map(|version| version.summary())
                        .collect();
                    return Ok(ok(json!({ "items": items })));
                }
                let size = |name: &str| {
                    request
                        .parameter(name)
                        .and_then(|text| text.parse::<usize>().ok())
                        .filter(|size| *size > 0)
                };
                let page = size("page").unwrap_or(1);
                let per_page = size("per_page").unwrap_or(10);
                let items: Vec<Value> = newest
                    .iter()
                    .skip(per_page.saturating_mul(page - 1))
                    .take(per_page)
                    .map(|version| version.summary())
                    .collect();
                Ok(ok(json!({ "items": items })))
            }
            ("POST", []) => self.post_version(name, request),
            ("GET", [id]) => worker
                .versions
                .iter()
                .find(|version| version.id == *id)
                .map(|version| ok(version.detail()))
                .ok_or_else(no_version),
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    pub(super) fn script_deployments(
        &mut self,
        method: &str,
        name: &str,
        path: &[&str],
        request: &Request,
    ) -> Answer {
        let worker = self.workers.get_mut(name).ok_or_else(missing)?;
        match (method, path) {
            ("GET", []) => {
                let newest: Vec<Value> = worker
                    .deployments
                    .iter()
                    .rev()
                    .take(10)
                    .map(Deployment::to_json)
                    .collect();
                Ok(ok(json!({ "deployments": newest })))
            }
            ("POST", []) => {
                let body = object(request, 10003)?;
                let versions = body
                    .get("versions")
                    .and_then(Value::as_array)
                    .filter(|versions| !versions.is_empty())
                    .ok_or_else(|| ApiFailure::bad(10003, "versions is required"))?;
                for version in versions {
                    let known = worker
                        .versions
                        .iter()
                        .any(|known| version["version_id"] == json!(known.id));
                    if !known {
                        return Err(no_version());
                    }
                }
                let number = worker.deployments.len().to_string();
                let time = request.now.timestamp_micros().to_string();
                let deployment = Deployment {
                    id: uuid(&stable(&["deployment", &worker.tag, &number, &time])),
                    created: Some(request.now),
                    versions: json!(versions),
                    annotations: annotations(&body),
                    source: "wrangler",
                };
                let shown = deployment.to_json();
                worker.deployments.push(deployment);
                worker.deployed = Some(request.now);
                worker.modified = Some(request.now);
                Ok(ok(shown))
            }
            ("GET", [id]) => worker
                .deployments
                .iter()
                .find(|deployment| deployment.id == *id)
                .map(|deployment| ok(deployment.to_json()))
                .ok_or_else(no_deployment),
            ("DELETE", [id]) => {
                let at = worker
                    .deployments
                    .iter()
                    .position(|deployment| deployment.id == *id)
                    .ok_or_else(no_deployment)?;
                if at + 1 == worker.deployments.len() {
                    return Err(ApiFailure::bad(
                        10072,
                        "The deployment that serves traffic cannot be deleted.",
                    ));
                }
                worker.deployments.remove(at);
                Ok(ok(Value::Null))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}
