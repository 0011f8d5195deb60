//! Neon: projects and their branches.

mod branches;
mod state;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use self::state::{Branch, Project, RECOVERY};
use super::message::{self, Request, Response};
use super::provider::{ImpossibleResource, ProviderApi, WorldKind};
use super::world;

/// The default project of branches.
const PROJECT: &str = "quiet-forest-12345678";

/// How a branch was created that has the schema of another one, none of its data
/// and no parent.
const SCHEMA_ONLY: &str = "schema-only";

/// Neon's state and API.
#[derive(Debug, Default)]
pub struct Neon {
    projects: BTreeMap<String, Project>,
    made: u64,
}

fn time(at: DateTime<Utc>) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// FNV-1a: stable ids that look like the provider's.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn branch_id(seed: &str) -> String {
    const FIRST: [&str; 8] = [
        "quiet", "sweet", "aged", "plain", "royal", "small", "young", "fancy",
    ];
    const SECOND: [&str; 8] = [
        "breeze", "salad", "forest", "meadow", "river", "cloud", "snow", "sun",
    ];
    let hash = hash(seed);
    let word = |words: [&'static str; 8], shift: u32| {
        words[usize::try_from((hash >> shift) % 8).unwrap_or(0)]
    };
    format!(
        "br-{}-{}-{:08}",
        word(FIRST, 0),
        word(SECOND, 8),
        (hash >> 16) % 100_000_000
    )
}

fn error(status: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    message::json(
        status,
        &json!({"code": "", "message": message, "request_id": "sandbox"}),
    )
}

fn ok(body: &Value) -> Response {
    message::json(StatusCode::OK, body)
}

impl Neon {
    /// The ids of all projects.
    pub fn project_ids(&self) -> Vec<String> {
        self.projects.keys().cloned().collect()
    }

    /// An account without a named project still has one.
    pub fn settle(&mut self) {
        if self.projects.is_empty() {
            self.projects.insert(PROJECT.to_owned(), Project::default());
        }
    }

    /// Deletes expired branches.
    fn carry_out_expiries(&mut self, now: DateTime<Utc>) {
        let branches = self.projects.values_mut().flat_map(|one| &mut one.branches);
        for branch in branches.filter(|branch| branch.there()) {
            branch.deleted_at = branch.expires_at.filter(|at| *at <= now);
        }
    }

    fn parent_id(&mut self, project: &str, name: &str) -> String {
        let branches = &mut self
            .projects
            .entry(project.to_owned())
            .or_default()
            .branches;
        let mut there = branches.iter().filter(|branch| branch.there());
        if let Some(parent) = there.find(|branch| branch.name == name) {
            return parent.id.clone();
        }
        let id = branch_id(&format!("{project}/{name}"));
        branches.push(Branch {
            id: id.clone(),
            name: name.to_owned(),
            parent: None,
            default: true,
            protected: false,
            created_at: DateTime::from_timestamp(1_700_000_000, 0),
            updated_at: DateTime::from_timestamp(1_700_000_000, 0),
            last_reset_at: None,
            last_active: None,
            expires_at: None,
            ttl: None,
            creation_source: "console".to_owned(),
            init_source: "parent-data".to_owned(),
            deleted_at: None,
            implied: true,
            annotations: Map::new(),
        });
        id
    }

    #[expect(clippy::too_many_lines, reason = "one route of the API after another")]
    fn project(&mut self, request: &Request, id: &str, rest: &[&str]) -> Response {
        if (&request.method, rest) == (&Method::POST, &["branches"][..])
            && self.projects.contains_key(id)
        {
            return self.create(request, id);
        }
        let Some(state) = self.projects.get_mut(id) else {
            return error(404, "project not found");
        };
        let now = request.now;
        match (&request.method, rest) {
            (&Method::GET, []) => ok(&json!({"project": project_json(id)})),
            (&Method::GET, ["branches"]) => Self::list(request, id, state),
            (&Method::GET, ["branches", "count"]) => {
                let search = request.parameter("search").unwrap_or_default();
                // It includes deleted branches as long as they can be recovered.
                let counted = |branch: &&Branch| {
                    let kept = branch.is_kept(now);
                    kept && branch.name.contains(search)
                };
                let count = state.branches.iter().filter(counted).count();
                ok(&json!({ "count": count }))
            }
            (&Method::GET, ["branches", branch]) => match state.branch(branch) {
                Some(branch) => ok(&json!({
                    "branch": branch.json(id, now), "annotation": branch.annotation(),
                })),
                None => error(404, "branch not found"),
            },
            (&Method::DELETE, ["branches", branch]) => Self::delete(request, id, state, branch),
            (&Method::PATCH, ["branches", branch]) => Self::patch(request, id, state, branch),
            (&Method::POST, ["branches", branch, "recover"]) => {
                let found = state.branches.iter_mut().find(|one| {
                    one.id == *branch && one.deleted_at.is_some_and(|at| at + RECOVERY > now)
                });
                match found {
                    Some(branch) => {
                        branch.deleted_at = None;
                        branch.expires_at = None;
                        branch.ttl = None;
                        let shown = branch.json(id, now);
                        ok(&json!({"branch": shown, "operations": []}))
                    }
                    None => error(404, "branch not found"),
                }
            }
            (&Method::POST, ["branches", branch, "restore"]) => {
                let source = request.json().unwrap_or_default();
                let found = state.branches.iter_mut();
                let mut found = found.filter(|one| one.id == *branch && one.there());
                match found.next() {
                    None => error(404, "branch not found"),
                    // A reset to its parent; the sandbox stores no data.
                    Some(branch)
                        if source["source_branch_id"].as_str() == branch.parent.as_deref() =>
                    {
                        branch.last_reset_at = Some(now);
                        branch.updated_at = Some(now);
                        branch.expires_at = branch.ttl.map(|ttl| now + ttl);
                        let shown = branch.json(id, now);
                        ok(&json!({"branch": shown, "operations": []}))
                    }
                    Some(_) => error(400, "only a reset to the parent is possible here"),
                }
            }
            (
                &Method::GET,
                [
                    "branches",
                    branch,
                    what @ ("endpoints" | "databases" | "roles"),
                ],
            ) => match (state.branch(branch), *what) {
                (None, _) => error(404, "branch not found"),
                (Some(_), "endpoints") => ok(&json!({"endpoints": [endpoint(id, branch, now)]})),
                (Some(branch), "databases") => {
                    ok(&json!({"databases": [branches::database(branch, now)]}))
                }
                (Some(branch), _) => ok(&json!({"roles": [branches::role(branch, now)]})),
            },
            (&Method::GET, ["branches", branch, "roles", role, "reveal_password"]) => {
                match state.branch(branch) {
                    Some(_) if *role == branches::OWNER => ok(&json!({"password": "sandbox"})),
                    Some(_) => error(404, "role not found"),
                    None => error(404, "branch not found"),
                }
            }
            (&Method::GET, ["endpoints"]) => {
                let there = state.branches.iter().filter(|branch| branch.there());
                let endpoints: Vec<_> = there
                    .map(|branch| {
                        let mut endpoint = endpoint(id, &branch.id, now);
                        if let Some(at) = branch.last_active {
                            endpoint["last_active"] = time(at);
                        }
                        endpoint
                    })
                    .collect();
                ok(&json!({"endpoints": endpoints}))
            }
            (&Method::GET, ["operations"]) => {
                let finished: Vec<_> = state.operations.iter().map(finish).collect();
                ok(&json!({ "operations": finished }))
            }
            (&Method::GET, ["operations", operation]) => {
                match state.operations.iter().find(|one| one["id"] == **operation) {
                    Some(operation) => ok(&json!({"operation": finish(operation)})),
                    None => error(404, "operation not found"),
                }
            }
            _ => error(404, "not found"),
        }
    }
}

fn finish(operation: &Value) -> Value {
    let mut operation = operation.clone();
    operation["status"] = json!("finished");
    operation
}

fn endpoint(project: &str, branch: &str, now: DateTime<Utc>) -> Value {
    let id = branch.replace("br-", "ep-");
    json!({
        "host": format!("{id}.eu-central-1.aws.neon.tech"), "id": id, "project_id": project, "branch_id": branch,
        "autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 0.25, "region_id": "aws-eu-central-1",
        "type": "read_write", "current_state": "idle", "settings": {}, "pooler_enabled": false,
        "pooler_mode": "transaction", "disabled": false, "passwordless_access": true,
        "creation_source": "console", "created_at": time(now), "updated_at": time(now),
        "suspend_timeout_seconds": 0, "proxy_host": "eu-central-1.aws.neon.tech", "provisioner": "k8s-neonvm",
    })
}

fn project_json(id: &str) -> Value {
    json!({
        "id": id, "name": id, "platform_id": "aws", "region_id": "aws-eu-central-1", "provisioner": "k8s-neonvm",
        "pg_version": 17, "proxy_host": "eu-central-1.aws.neon.tech", "store_passwords": true,
        "branch_logical_size_limit": 0, "branch_logical_size_limit_bytes": 0, "active_time": 0,
        "cpu_used_sec": 0, "active_time_seconds": 0, "compute_time_seconds": 0, "written_data_bytes": 0,
        "data_transfer_bytes": 0, "data_storage_bytes_hour": 0, "creation_source": "console",
        "history_retention_seconds": 86_400, "owner_id": "sandbox", "synthetic_storage_size": 0,
        "consumption_period_start": "2026-01-01T00:00:00Z", "consumption_period_end": "2026-02-01T00:00:00Z",
        "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z",
    })
}

/// The kinds of a world file that Neon has.
pub(super) static KINDS: [WorldKind; 1] = [WorldKind {
    name: "neon_branch",
    attributes: &[
        "default",
        "protected",
        "parent",
        "project",
        "creation_source",
        "expires_at",
        "last_reset_at",
        "last_active",
        "init_source",
        "annotations",
    ],
    paths: &["/branches"],
}];

impl ProviderApi for Neon {
    fn kinds(&self) -> Vec<&'static WorldKind> {
        KINDS.iter().collect()
    }

    fn add(
        &mut self,
        resource: &world::WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        let text = |key: &str| resource.attributes.get(key).and_then(Value::as_str);
        let flag = |key: &str| {
            resource
                .attributes
                .get(key)
                .and_then(Value::as_bool)
                .unwrap_or(false)
        };
        let at = |key: &str| text(key).and_then(|at| at.parse().ok());
        let project = text("project").unwrap_or(PROJECT).to_owned();
        let parent = text("parent").map(|name| self.parent_id(&project, name));
        let branches = &mut self.projects.entry(project.clone()).or_default().branches;
        let id = resource
            .id
            .clone()
            .unwrap_or_else(|| branch_id(&format!("{project}/{}", resource.name)));
        // A child may have named it as its parent before.
        branches.retain(|branch| !(branch.implied && branch.name == resource.name));
        if branches
            .iter()
            .any(|branch| branch.id == id || (branch.name == resource.name && branch.there()))
        {
            return Err(ImpossibleResource(
                "the project already has such a branch".to_owned(),
            ));
        }
        branches.push(Branch {
            id,
            name: resource.name.clone(),
            parent,
            default: flag("default"),
            protected: flag("protected"),
            created_at: resource.created_at,
            updated_at: resource.updated_at,
            last_reset_at: at("last_reset_at"),
            last_active: at("last_active"),
            expires_at: at("expires_at"),
            ttl: at("expires_at")
                .zip(resource.created_at)
                .map(|(at, made)| at - made),
            creation_source: text("creation_source").unwrap_or("console").to_owned(),
            init_source: text("init_source").unwrap_or("parent-data").to_owned(),
            deleted_at: None,
            implied: false,
            annotations: resource
                .attributes
                .get("annotations")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        });
        Ok(())
    }

    fn resources(&self) -> Vec<world::WorldResource> {
        let mut resources = Vec::new();
        for (project, state) in &self.projects {
            for branch in state
                .branches
                .iter()
                .filter(|branch| branch.there() && !branch.implied)
            {
                let parent = branch.parent.as_ref().and_then(|id| {
                    state
                        .branches
                        .iter()
                        .find(|parent| parent.id == *id)
                        .map(|parent| parent.name.clone())
                });
                let mut attributes = Map::new();
                attributes.insert("default".to_owned(), json!(branch.default));
                attributes.insert("protected".to_owned(), json!(branch.protected));
                attributes.insert("parent".to_owned(), json!(parent));
                attributes.insert("project".to_owned(), json!(project));
                attributes.insert("creation_source".to_owned(), json!(branch.creation_source));
                if branch.is_schema_only() {
                    attributes.insert("init_source".to_owned(), json!(branch.init_source));
                }
                for (key, at) in [
                    ("expires_at", branch.expires_at),
                    ("last_reset_at", branch.last_reset_at),
                    ("last_active", branch.last_active),
                ] {
                    if let Some(at) = at {
                        attributes.insert(key.to_owned(), time(at));
                    }
                }
                resources.push(world::WorldResource {
                    kind: "neon_branch".to_owned(),
                    name: branch.name.clone(),
                    id: Some(branch.id.clone()),
                    created_at: branch.created_at,
                    updated_at: branch.updated_at,
                    attributes,
                });
            }
        }
        resources
    }

    fn answer(&mut self, request: &Request) -> Response {
        self.carry_out_expiries(request.now);
        let path = request.path();
        match (&request.method, path.as_slice()) {
            (&Method::GET, ["projects"]) => {
                // The cursor is always the last item's, so an empty page ends.
                let limit = request
                    .parameter("limit")
                    .and_then(|limit| limit.parse().ok())
                    .unwrap_or(10_usize)
                    .clamp(1, 400);
                let cursor = request.parameter("cursor").unwrap_or_default();
                let page: Vec<&String> = self
                    .projects
                    .keys()
                    .filter(|id| id.as_str() > cursor)
                    .take(limit)
                    .collect();
                let projects: Vec<_> = page.iter().map(|id| project_json(id)).collect();
                let mut shown =
                    json!({"projects": projects, "applications": {}, "integrations": {}});
                if let Some(last) = page.last() {
                    shown["pagination"] = json!({ "cursor": last });
                }
                ok(&shown)
            }
            (&Method::GET, ["projects", "shared"]) => ok(&json!({ "projects": [] })),
            (_, ["projects", id, rest @ ..]) => {
                let (id, rest) = ((*id).to_owned(), rest.to_vec());
                self.project(request, &id, &rest)
            }
            (&Method::GET, ["auth"]) => {
                ok(&json!({"account_id": "sandbox", "auth_method": "api_key_user"}))
            }
            (&Method::GET, ["users", "me"]) => ok(&json!({
                "active_seconds_limit": 0, "auth_accounts": [], "email": "sandbox@example.com",
                "id": "sandbox", "image": "", "login": "sandbox", "name": "sandbox", "last_name": "",
                "projects_limit": 100, "branches_limit": 10, "max_autoscaling_limit": 1, "plan": "free",
            })),
            (&Method::GET, ["users", "me", "organizations"]) => ok(&json!({"organizations": []})),
            _ => error(404, "not found"),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use bytes::Bytes;
    use http::HeaderMap;

    fn neon(branches: &[(&str, Option<&str>)]) -> Neon {
        let mut neon = Neon::default();
        for (name, parent) in branches {
            let attributes = json!({"project": "p", "parent": parent, "default": parent.is_none()});
            let resource = serde_json::from_value(json!({
                "kind": "neon_branch", "name": name, "id": format!("br-{name}"),
                "created_at": "2026-01-01T00:00:00Z", "attributes": attributes,
            }));
            neon.add(&resource.unwrap(), Utc::now()).unwrap();
        }
        neon
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn ask(neon: &mut Neon, method: Method, target: &str, seconds: i64) -> (u16, Value) {
        request_at(neon, method, target, Bytes::new(), seconds)
    }

    fn request_at(
        neon: &mut Neon,
        method: Method,
        target: &str,
        body: Bytes,
        seconds: i64,
    ) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let answer = neon.answer(&Request {
            method,
            segments: path.split('/').map(str::to_owned).collect(),
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers: HeaderMap::new(),
            body,
            base: String::new(),
            now: at(seconds),
        });
        (
            answer.status().as_u16(),
            serde_json::from_slice(answer.body()).unwrap_or_default(),
        )
    }

    #[test]
    fn expiries_are_refused_restarted_and_carried_out_as_neon_says() {
        let mut neon = neon(&[
            ("main", None),
            ("pr-1", Some("main")),
            ("pr-2", Some("pr-1")),
        ]);
        let (_, listed) = ask(&mut neon, Method::GET, "projects/p/branches", 0);
        let id = |name: &str| {
            let branches = listed["branches"].as_array().unwrap();
            let found = branches.iter().find(|one| one["name"] == name).unwrap();
            found["id"].as_str().unwrap().to_owned()
        };
        let path = |name: &str| format!("projects/p/branches/{}", id(name));
        let change = |neon: &mut Neon, name: &str, days: i64| {
            let at = time(at(0) + TimeDelta::days(days));
            let body = json!({"branch": {"expires_at": at}});
            request_at(neon, Method::PATCH, &path(name), body.to_string().into(), 0)
        };
        for (name, days) in [("main", 1), ("pr-1", 1), ("pr-2", -1), ("pr-2", 31)] {
            let (status, _) = change(&mut neon, name, days);
            assert!(status == 400 || status == 422, "{name} {days}: {status}");
        }
        let (status, set) = change(&mut neon, "pr-2", 1);
        assert_eq!(
            (status, &set["branch"]["ttl_interval_seconds"]),
            (200, &json!(86_400))
        );

        // A reset half a day later restarts it.
        let reset = json!({"source_branch_id": id("pr-1")}).to_string();
        let restore = format!("{}/restore", path("pr-2"));
        let (status, reset) = request_at(&mut neon, Method::POST, &restore, reset.into(), 43_200);
        let expires = time(at(43_200) + TimeDelta::days(1));
        assert_eq!((status, &reset["branch"]["expires_at"]), (200, &expires));
        assert_eq!(ask(&mut neon, Method::GET, &path("pr-2"), 100_000).0, 200);
        assert_eq!(ask(&mut neon, Method::GET, &path("pr-2"), 129_600).0, 404);
    }

    #[test]
    fn a_listing_ends_without_a_cursor() {
        let names: Vec<String> = (0..150).map(|n| format!("b{n:03}")).collect();
        let branches: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), Some("main")))
            .collect();
        let mut neon = neon(&branches);
        let (_, first) = ask(
            &mut neon,
            Method::GET,
            "projects/p/branches?sort_by=created_at&sort_order=asc&limit=1000",
            0,
        );
        assert_eq!(first["branches"].as_array().unwrap().len(), 100);
        let next = first["pagination"]["next"].as_str().unwrap();
        let (_, second) = ask(
            &mut neon,
            Method::GET,
            &format!("projects/p/branches?sort_by=created_at&sort_order=asc&cursor={next}"),
            0,
        );
        assert_eq!(second["branches"].as_array().unwrap().len(), 51);
        assert!(second["pagination"].get("next").is_none());
        assert_eq!(
            ask(&mut neon, Method::GET, "projects/p/branches/count", 0).1["count"],
            151
        );
    }

    #[test]
    fn deletion_is_refused_locked_and_gone_as_neon_says() {
        let mut neon = neon(&[
            ("main", None),
            ("a", Some("main")),
            ("b", Some("a")),
            ("c", Some("main")),
        ]);
        let delete = |neon: &mut Neon, id: &str, at| {
            ask(
                neon,
                Method::DELETE,
                &format!("projects/p/branches/{id}"),
                at,
            )
        };
        assert_eq!(delete(&mut neon, "br-a", 0).0, 422, "it has a child");
        assert_eq!(delete(&mut neon, "br-main", 0).0, 422);
        assert_eq!(delete(&mut neon, "br-b", 0).0, 200);
        assert_eq!(
            delete(&mut neon, "br-c", 0).0,
            423,
            "one operation at a time"
        );
        assert_eq!(delete(&mut neon, "br-b", 1).0, 204, "already gone");
        assert_eq!(delete(&mut neon, "br-a", 1).0, 200);
        assert_eq!(
            ask(
                &mut neon,
                Method::POST,
                "projects/p/branches/br-a/recover",
                2
            )
            .0,
            200
        );
    }
}
