//! How one of every kind is made.

use std::sync::Arc;

use http::Method;
use preview_gc::call::Call;
use preview_gc::model::{Api, Place};
use serde_json::{Value, json};

use super::scope::Scope;

/// How a resource is made.
pub(crate) struct Recipe {
    pub(crate) kind: &'static str,
    pub(crate) place: Arc<Place>,
    pub(crate) holder: Option<String>,
    pub(crate) call: Call,
}

/// A kind, the path below the account at which one is made, and the body.
type Made = (&'static str, &'static [&'static str], Value);

/// What Workers store things in.
fn storage(name: &str) -> Vec<Made> {
    let origin = json!({"scheme": "postgres", "host": "db.example.com", "port": 5432,
            "database": "d", "user": "u", "password": "p"});
    let config = json!({"dimensions": 32, "metric": "cosine"});
    vec![
        (
            "kv_namespace",
            &["storage", "kv", "namespaces"],
            json!({"title": name}),
        ),
        ("d1", &["d1", "database"], json!({"name": name})),
        ("r2", &["r2", "buckets"], json!({"name": name})),
        ("queue", &["queues"], json!({"queue_name": name})),
        (
            "hyperdrive",
            &["hyperdrive", "configs"],
            json!({"name": name, "origin": origin}),
        ),
        (
            "vectorize_index",
            &["vectorize", "v2", "indexes"],
            json!({"name": name, "config": config}),
        ),
    ]
}

/// What is made: a Worker before what belongs to it.
pub(crate) fn recipes(scope: &Scope, domain: &str) -> Vec<Recipe> {
    let name = scope.prefix().to_owned();
    let mut recipes = Vec::new();
    let post = |api, path: &[&str], body: Value| Call::new(api, Method::POST, path).json(&body);
    if let Some(account) = &scope.account {
        let id = account.id();
        let mut add = |kind, holder: Option<&str>, call| {
            recipes.push(Recipe {
                kind,
                place: account.clone(),
                holder: holder.map(str::to_owned),
                call,
            });
        };
        let cloudflare =
            |path: &[&str], body| post(Api::Cloudflare, &[&["accounts", id], path].concat(), body);
        add("worker", None, upload(id, &name));
        let previews = ["workers", "workers", &name, "previews"];
        add(
            "worker_preview",
            Some(&name),
            cloudflare(&previews, json!({"name": name})),
        );
        for (kind, path, body) in storage(&name) {
            add(kind, None, cloudflare(path, body));
        }
        let workflow = ["accounts", id, "workflows", &name];
        let workflow = Call::new(Api::Cloudflare, Method::PUT, &workflow)
            .json(&json!({"class_name": "Flow", "script_name": name}));
        add("workflow", None, workflow);
        let application = json!({"name": name, "scheduling_policy": "durable_object",
            "durable_objects": {"script_name": name, "class_name": CLASS}});
        let path = ["containers", "applications"];
        add(
            "container_application",
            None,
            cloudflare(&path, application),
        );
    }
    recipes.extend(zero_trust(scope, domain));
    if let Some(zone) = &scope.zone {
        let id = zone.id();
        let account = zone.account().unwrap_or_default();
        let host = format!("{name}.{domain}");
        let mut add = |kind, place: &Arc<Place>, call| {
            recipes.push(Recipe {
                kind,
                place: place.clone(),
                holder: None,
                call,
            });
        };
        let record = json!({"type": "CNAME", "name": format!("{name}-r"),
                "content": "example.com"});
        add(
            "dns_record",
            zone,
            post(Api::Cloudflare, &["zones", id, "dns_records"], record),
        );
        let route = json!({"pattern": format!("{host}/*"), "script": name});
        add(
            "worker_route",
            zone,
            post(Api::Cloudflare, &["zones", id, "workers", "routes"], route),
        );
        let domain =
            json!({"hostname": host, "service": name, "zone_id": id, "environment": "production"});
        let path = ["accounts", account, "workers", "domains"];
        let domain = Call::new(Api::Cloudflare, Method::PUT, &path).json(&domain);
        add(
            "worker_domain",
            scope.account.as_ref().unwrap_or(zone),
            domain,
        );
    }
    if let Some(project) = &scope.project {
        let path = ["projects", project.id(), "branches"];
        let call = post(Api::Neon, &path, json!({"branch": {"name": name}}));
        recipes.push(Recipe {
            kind: "neon_branch",
            place: project.clone(),
            holder: None,
            call,
        });
    }
    if let Some(repository) = &scope.repository {
        let (owner, short) = repository.id().split_once('/').expect("owner/name");
        let path = ["repos", owner, short, "environments", &name];
        let environment = Call::new(Api::GitHub, Method::PUT, &path).json(&json!({}));
        let body = json!({"ref": "HEAD", "environment": name, "auto_merge": false,
                "required_contexts": []});
        let deployment = post(Api::GitHub, &["repos", owner, short, "deployments"], body);
        for (kind, holder, call) in [
            ("github_environment", None, environment),
            ("github_deployment", Some(name.clone()), deployment),
        ] {
            recipes.push(Recipe {
                kind,
                place: repository.clone(),
                holder,
                call,
            });
        }
    }
    recipes
}

/// What guards hosts and leads to them.
fn zero_trust(scope: &Scope, domain: &str) -> Vec<Recipe> {
    let (Some(account), Some(_)) = (&scope.account, &scope.zone) else {
        return Vec::new();
    };
    let name = scope.prefix();
    let guard = format!("{name}-a.{domain}");
    let guard = json!({"name": name, "type": "self_hosted", "domain": guard});
    let made = [
        ("access_application", ["access", "apps"].as_slice(), guard),
        ("tunnel", ["cfd_tunnel"].as_slice(), json!({"name": name})),
    ];
    let made = made.into_iter().map(|(kind, path, body)| {
        let path = [&["accounts", account.id()], path].concat();
        Recipe {
            kind,
            place: account.clone(),
            holder: None,
            call: Call::new(Api::Cloudflare, Method::POST, &path).json(&body),
        }
    });
    made.collect()
}

/// The class of Durable Objects that every Worker here has.
const CLASS: &str = "Runner";

/// The upload of a Worker with one module, and a class of Durable Objects that may have
/// containers.
pub(crate) fn upload(account: &str, name: &str) -> Call {
    let path = ["accounts", account, "workers", "scripts", name];
    let metadata = json!({"main_module": "index.js", "compatibility_date": "2026-11-01",
        "migrations": {"new_tag": "v1", "new_sqlite_classes": [CLASS]},
        "containers": [{"class_name": CLASS}]});
    let mut call = Call::new(Api::Cloudflare, Method::PUT, &path);
    call.content_type = "multipart/form-data; boundary=edge";
    call.body = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"metadata\"\r\ncontent-type: \
         application/json\r\n\r\n{metadata}\r\n--edge\r\ncontent-disposition: form-data; \
         name=\"index.js\"; filename=\"index.js\"\r\ncontent-type: \
         application/javascript+module\r\n\r\nimport {{ DurableObject }} from \
         \"cloudflare:workers\"; export class {CLASS} extends DurableObject {{}}\r\nexport \
         default {{ fetch() {{ return new Response() }} }}\r\n--edge--\r\n"
    )
    .into();
    call
}
