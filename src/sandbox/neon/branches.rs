//! Requests about the branches of a project.

use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::message::{self, Request, Response};
use super::{Branch, Neon, Project, SCHEMA_ONLY, branch_id, endpoint, error, hash, ok, time};

/// The role that owns the database of each branch.
pub(super) const OWNER: &str = "neondb_owner";

/// The database that each branch has.
pub(super) fn database(branch: &Branch, now: DateTime<Utc>) -> Value {
    let at = time(branch.created_at.unwrap_or(now));
    json!({
        "id": hash(&branch.id) >> 32, "branch_id": branch.id, "name": "neondb", "owner_name": OWNER,
        "created_at": at, "updated_at": at,
    })
}

/// The role that each branch has.
pub(super) fn role(branch: &Branch, now: DateTime<Utc>) -> Value {
    let at = time(branch.created_at.unwrap_or(now));
    json!({
        "branch_id": branch.id, "name": OWNER, "protected": false, "created_at": at, "updated_at": at,
    })
}

/// The expiry in a request, at most 30 days ahead.
fn expiry(at: &Value, now: DateTime<Utc>) -> Result<DateTime<Utc>, Box<Response>> {
    let at = at.as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    at.filter(|at| *at > now && *at <= now + TimeDelta::days(30))
        .ok_or_else(|| {
            Box::new(error(
                400,
                "expires_at must be in the future and at most 30 days ahead",
            ))
        })
}

fn cannot_expire() -> Response {
    error(
        422,
        "expires_at cannot be set on protected, default or parent branches",
    )
}

impl Neon {
    pub(super) fn list(request: &Request, project: &str, state: &Project) -> Response {
        let with_deleted = request.parameter("include_deleted") == Some("true");
        let search = request
            .parameter("search")
            .unwrap_or_default()
            .to_lowercase();
        let mut branches: Vec<&Branch> = state
            .branches
            .iter()
            .filter(|branch| branch.there() || (with_deleted && branch.is_kept(request.now)))
            .filter(|branch| {
                branch.name.to_lowercase().contains(&search) || branch.id.contains(&search)
            })
            .collect();
        let sort = request.parameter("sort_by").unwrap_or("updated_at");
        let order = request.parameter("sort_order").unwrap_or("desc");
        match sort {
            "name" => branches.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id))),
            "created_at" => {
                branches.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            }
            "updated_at" => {
                branches.sort_by(|a, b| (a.updated_at, &a.id).cmp(&(b.updated_at, &b.id)));
            }
            _ => return error(400, "sort_by must be one of name, created_at, updated_at"),
        }
        match order {
            "asc" => {}
            "desc" => branches.reverse(),
            _ => return error(400, "sort_order must be asc or desc"),
        }
        let Ok(limit) = request.parameter("limit").unwrap_or("100").parse::<usize>() else {
            return error(400, "limit must be a number");
        };
        // The document allows 10,000; the service caps pages at 100.
        let limit = limit.clamp(1, 100);
        let start = match request.parameter("cursor") {
            None => 0,
            Some(cursor) => match branches
                .iter()
                .position(|branch| cursor == format!("after-{}", branch.id))
            {
                Some(at) => at + 1,
                None => return error(400, "invalid cursor"),
            },
        };
        let page: Vec<_> = branches.iter().skip(start).take(limit).collect();
        let mut pagination = json!({"sort_by": sort, "sort_order": order});
        if start + page.len() < branches.len()
            && let Some(last) = page.last()
        {
            pagination["next"] = json!(format!("after-{}", last.id));
        }
        let items: Vec<_> = page
            .iter()
            .map(|branch| branch.json(project, request.now))
            .collect();
        let annotations: Map<String, Value> = page
            .iter()
            .filter(|branch| !branch.annotations.is_empty())
            .map(|branch| (branch.id.clone(), branch.annotation()))
            .collect();
        ok(&json!({"branches": items, "annotations": annotations, "pagination": pagination}))
    }

    #[expect(clippy::too_many_lines, reason = "one check of the API after another")]
    pub(super) fn create(&mut self, request: &Request, project: &str) -> Response {
        let body = request.json().unwrap_or_default();
        let wanted = body.get("branch").cloned().unwrap_or_default();
        self.made += 1;
        let id = branch_id(&format!("{project}#{}", self.made));
        let Some(state) = self.projects.get_mut(project) else {
            return error(404, "project not found");
        };
        let init_source = wanted.get("init_source").and_then(Value::as_str);
        let init_source = init_source.unwrap_or("parent-data").to_owned();
        let parent = wanted
            .get("parent_id")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| {
                state
                    .branches
                    .iter()
                    .find(|branch| branch.default)
                    .map(|branch| branch.id.clone())
            });
        if parent
            .as_ref()
            .is_some_and(|parent| state.branch(parent).is_none())
        {
            return error(404, "parent branch not found");
        }
        let expires = |parent: &String| {
            let parent = state.branch(parent);
            parent.is_some_and(|parent| parent.expires_at.is_some())
        };
        if parent.as_ref().is_some_and(expires) {
            return error(422, "cannot create a child of a branch that expires");
        }
        // A branch of a schema alone keeps no link to where the schema is from.
        let parent = parent.filter(|_| init_source != SCHEMA_ONLY);
        let name = wanted
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or(&id)
            .to_owned();
        if state
            .branches
            .iter()
            .any(|branch| branch.there() && branch.name == name)
        {
            return error(409, &format!("branch already exists: {name}"));
        }
        let protected = wanted["protected"].as_bool().unwrap_or(false);
        let expires_at = match wanted.get("expires_at").filter(|at| !at.is_null()) {
            None => None,
            Some(at) => match expiry(at, request.now) {
                Ok(_) if protected => return cannot_expire(),
                Ok(at) => Some(at),
                Err(refused) => return *refused,
            },
        };
        let operation = match state.operate(project, &id, "create_branch", request.now) {
            Ok(operation) => operation,
            Err(locked) => return *locked,
        };
        let branch = Branch {
            id: id.clone(),
            name,
            parent,
            default: false,
            protected,
            created_at: Some(request.now),
            updated_at: Some(request.now),
            last_reset_at: None,
            last_active: None,
            expires_at,
            ttl: expires_at.map(|at: DateTime<Utc>| at - request.now),
            creation_source: "console".to_owned(),
            init_source,
            deleted_at: None,
            implied: false,
            annotations: body
                .get("annotation_value")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        };
        let shown = branch.json(project, request.now);
        let (role, database) = (role(&branch, request.now), database(&branch, request.now));
        state.branches.push(branch);
        let wants_endpoint = body
            .get("endpoints")
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty());
        let endpoints = if wants_endpoint {
            vec![endpoint(project, &id, request.now)]
        } else {
            Vec::new()
        };
        message::json(
            StatusCode::CREATED,
            &json!({
                "branch": shown, "endpoints": endpoints, "operations": [operation],
                "roles": [role], "databases": [database], "connection_uris": [],
            }),
        )
    }

    pub(super) fn delete(
        request: &Request,
        project: &str,
        state: &mut Project,
        id: &str,
    ) -> Response {
        let Some(branch) = state.branch(id).cloned() else {
            // Neon answers the same for a missing and for a deleted branch.
            return message::empty(StatusCode::NO_CONTENT);
        };
        if let Some(child) = state
            .branches
            .iter()
            .find(|child| child.there() && child.parent.as_deref() == Some(id))
        {
            return error(
                422,
                &format!("cannot delete branch that has children: {}", child.id),
            );
        }
        for (is, what) in [
            (branch.default, "default"),
            (branch.protected, "protected"),
            (branch.parent.is_none() && !branch.is_schema_only(), "root"),
        ] {
            if is {
                return error(422, &format!("cannot delete {what} branch"));
            }
        }
        let operation = match state.operate(project, id, "delete_timeline", request.now) {
            Ok(operation) => operation,
            Err(locked) => return *locked,
        };
        let shown = branch.json(project, request.now);
        if request.parameter("hard_delete") == Some("true") {
            state.branches.retain(|branch| branch.id != id);
        } else if let Some(branch) = state.branches.iter_mut().find(|branch| branch.id == id) {
            branch.deleted_at = Some(request.now);
        }
        ok(&json!({"branch": shown, "operations": [operation]}))
    }

    pub(super) fn patch(
        request: &Request,
        project: &str,
        state: &mut Project,
        id: &str,
    ) -> Response {
        let body = request.json().unwrap_or_default();
        let wanted = body.get("branch").cloned().unwrap_or_default();
        let has_children = state
            .branches
            .iter()
            .any(|child| child.there() && child.parent.as_deref() == Some(id));
        let Some(branch) = state
            .branches
            .iter_mut()
            .find(|branch| branch.id == id && branch.there())
        else {
            return error(404, "branch not found");
        };
        let protected = wanted["protected"].as_bool().unwrap_or(branch.protected);
        // A request that is refused in one part changes nothing.
        match wanted.get("expires_at") {
            None => {}
            Some(Value::Null) => {
                branch.expires_at = None;
                branch.ttl = None;
            }
            Some(at) => {
                let at = match expiry(at, request.now) {
                    Ok(at) => at,
                    Err(refused) => return *refused,
                };
                if protected || branch.default || has_children {
                    return cannot_expire();
                }
                branch.expires_at = Some(at);
                branch.ttl = Some(at - request.now);
            }
        }
        if let Some(name) = wanted.get("name").and_then(Value::as_str) {
            name.clone_into(&mut branch.name);
        }
        branch.protected = protected;
        branch.updated_at = Some(request.now);
        let shown = branch.json(project, request.now);
        ok(&json!({"branch": shown, "operations": []}))
    }
}
