//! The classic API of Workers: `/workers/scripts`, the search beside it and
//! `/workers/services`.

use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, flag, ok, put};
use super::identity::moment;
use super::worker::Worker;
use crate::sandbox::message::{Request, Response};

const SEARCH: Paging = Paging::new(10, 1, 100);

/// No such script, as everything below `/scripts/` says it.
pub(super) fn missing() -> ApiFailure {
    ApiFailure::not_found(10007, "This Worker does not exist on your account.")
}

/// Returns whether a Worker passes the list's `tags` filter, `team:yes,old:no`.
fn tagged(worker: &Worker, filter: &str) -> bool {
    filter.split(',').all(|part| {
        let (tag, wanted) = part.rsplit_once(':').unwrap_or((part, "yes"));
        worker.tags.iter().any(|known| known == tag) == (wanted != "no")
    })
}

impl Cloudflare {
    pub(super) fn scripts(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let tags = request.parameter("tags").filter(|tags| !tags.is_empty());
                let shown: Vec<Value> = self
                    .workers
                    .iter()
                    .filter(|(_, worker)| !worker.implied)
                    .filter(|(_, worker)| tags.is_none_or(|tags| tagged(worker, tags)))
                    .map(|(name, worker)| {
                        let mut shown = worker.classic(name);
                        shown["routes"] = self.routes_of(name);
                        shown
                    })
                    .collect();
                Ok(ok(Value::Array(shown)))
            }
            ("PUT", [name]) => self.put_script(name, request),
            // The Worker is made after its assets.
            ("POST", [_, "assets-upload-session"]) => self.open_assets(request),
            (_, [name, rest @ ..]) => {
                if self.workers.get(*name).is_none_or(|worker| worker.implied) {
                    return Err(missing());
                }
                match (method, rest) {
                    ("GET", [] | ["content" | "content/v2"] | ["content", "v2"]) => Ok(content()),
                    ("DELETE", []) => self.delete_worker(name, flag(request, "force")),
                    (_, ["versions", rest @ ..]) => {
                        self.script_versions(method, name, rest, request)
                    }
                    (_, ["deployments", rest @ ..]) => {
                        self.script_deployments(method, name, rest, request)
                    }
                    _ => self.script_traffic(method, name, rest, request),
                }
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    pub(super) fn search_scripts(&self, request: &Request) -> Answer {
        let asked = |name: &str| request.parameter(name).filter(|text| !text.is_empty());
        let mut found: Vec<(&String, &Worker)> = self
            .workers
            .iter()
            .filter(|(_, worker)| !worker.implied)
            .filter(|(name, _)| asked("name").is_none_or(|part| name.contains(part)))
            .filter(|(_, worker)| asked("id").is_none_or(|id| worker.tag == id))
            .collect();
        match asked("order_by").unwrap_or("name") {
            "name" => {}
            "created_on" => found.sort_by_key(|(_, worker)| worker.created),
            "modified_on" => found.sort_by_key(|(_, worker)| worker.modified),
            _ => return Err(ApiFailure::bad(10003, "invalid order_by")),
        }
        SEARCH.answer(request, &found, |(name, worker)| {
            let mut shown = json!({
                "id": worker.tag,
                "script_name": name,
                "service_name": name,
                "environment_name": "production",
                "environment_is_default": true,
            });
            put(&mut shown, "created_on", worker.created.map(moment));
            put(&mut shown, "modified_on", worker.modified.map(moment));
            shown
        })
    }

    pub(super) fn services(&mut self, method: &str, name: &str, request: &Request) -> Answer {
        let worker = self
            .workers
            .get(name)
            .filter(|worker| !worker.implied)
            .ok_or_else(|| {
                ApiFailure::not_found(10090, "This service does not exist on your account.")
            })?;
        match method {
            "GET" => Ok(ok(worker.service(name))),
            "DELETE" => self.delete_worker(name, flag(request, "force")),
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    /// Deletes a Worker, unless a queue feeds it or, without force, another
    /// Worker binds it.
    pub(super) fn delete_worker(&mut self, name: &str, force: bool) -> Answer {
        if let Some((_, queue, _)) = self.consumed_by(name).first() {
            return Err(ApiFailure::bad(
                10064,
                format!(
                    "Cannot delete this Worker: the script is still in use as a consumer for \
                     queue '{queue}'. Please remove the consumer first."
                ),
            ));
        }
        if !force {
            let binding = self
                .workers
                .iter()
                .find(|(other, worker)| *other != name && worker.binds("service", name));
            if let Some((other, _)) = binding {
                return Err(ApiFailure::bad(
                    10142,
                    format!(
                        "Cannot delete this Worker: it is still referenced by service bindings \
                         in Workers: {other}."
                    ),
                ));
            }
        }
        self.remove_worker(name);
        Ok(ok(Value::Null))
    }
}

/// The sandbox stores no code.
fn content() -> Response {
    let mut response = Response::new("export default { fetch() {} };\n".into());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/javascript+module"),
    );
    response
}
