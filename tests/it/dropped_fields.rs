//! Whatever single field an answer lacks, nothing is deleted for want of it: a field
//! that names a user, a target or a mark does not say "none" by being absent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::{Server, in_parallel, report};

const T: &str = "2026-04-05T00:00:00Z";

/// Fields that the providers' documents leave out where there is nothing, and for which
/// no other answer stands in. The README names these limits.
const NONE_BY_ABSENCE: [&str; 5] = [
    // A consumer without a queue for what it cannot handle has none.
    "/queues result.*.consumers.*.dead_letter_queue",
    // A Pages project has no map of a sort of which it binds nothing.
    "/pages/projects result.*.deployment_configs.preview.d1_databases",
    "/pages/projects result.*.deployment_configs.preview.kv_namespaces",
    // A Worker without a template for new Previews.
    "/workers/workers result.*.previews_base_config",
    "/workers/workers result.*.previews_base_config.env",
];

/// Something that every rule matches, with these attributes.
fn one(kind: &str, name: &str, attributes: Value) -> Value {
    json!({"kind": kind, "name": name, "created_at": T, "updated_at": T,
        "attributes": attributes})
}

/// What of #7 stays: everything has one user, one target or one mark.
fn world() -> Value {
    let binding = |sort: &str, target: &str| json!({"type": sort, "name": format!("B_{sort}"), "target": target});
    let record = |name: &str, content: &str, more: Value| {
        let mut record = one("dns_record", &format!("{name}.acme.example"), more);
        record["attributes"]["type"] = json!(if content.contains(".e")
            || content.contains(".com")
            || content.contains(".dev")
        {
            "CNAME"
        } else {
            "A"
        });
        record["attributes"]["content"] = json!(content);
        record
    };
    let tunnel = "c1744f8b-faa1-48a4-9e5c-000000000002";
    let mut led_to = one("tunnel", "led-to-pr-7", json!({"status": "down"}));
    led_to["id"] = json!(tunnel);
    let mut behind = one("neon_branch", "behind-pr-7", json!({"parent": "main"}));
    behind["id"] = json!("br-cool-fog-12345678");
    let pages = "11111111-1111-4111-8111-00000000000";
    json!({
        "repository": "acme/shop", "now": "2026-05-01T12:00:00Z",
        "git_branches": ["main", "live"],
        "zones": [{"name": "acme.example"}],
        "pull_requests": [
            {"number": 7, "state": "closed", "merged": true, "head_ref": "b7",
                "head_repo": "acme/shop", "created_at": "2026-04-01T00:00:00Z",
                "updated_at": "2026-04-20T10:00:00Z", "closed_at": "2026-04-20T10:00:00Z"},
            {"number": 8, "state": "open", "head_ref": "live", "head_repo": "acme/shop",
                "created_at": "2026-04-01T00:00:00Z", "updated_at": "2026-04-20T10:00:00Z"},
        ],
        "resources": [
            one("worker", "production", json!({"bindings": [
                binding("kv_namespace", "kv-pr-7"), binding("d1", "base-pr-7"),
                binding("r2", "files-pr-7"), binding("queue", "mail-pr-7"),
                binding("hyperdrive", "pool-pr-7"), binding("vectorize_index", "words-pr-7"),
                binding("service", "service-pr-7"), binding("workflow", "flow-pr-7"),
            ], "tail_consumers": ["logs-pr-7"], "previews_base_config":
                {"bindings": [binding("kv_namespace", "template-pr-7")]}})),
            one("kv_namespace", "kv-pr-7", json!({})), one("d1", "base-pr-7", json!({})),
            one("kv_namespace", "template-pr-7", json!({})),
            one("r2", "files-pr-7", json!({"objects": 0})), one("queue", "mail-pr-7", json!({})),
            one("hyperdrive", "pool-pr-7", json!({})),
            one("vectorize_index", "words-pr-7", json!({})),
            one("worker", "service-pr-7", json!({})), one("worker", "logs-pr-7", json!({})),
            one("workflow", "flow-pr-7", json!({"script": "production"})),
            // Traffic and marks.
            one("worker", "domain-pr-7", json!({"custom_domains": ["shop.acme.example"]})),
            one("worker", "route-pr-7", json!({})),
            one("worker_route", "api.acme.example/*",
                json!({"script": "route-pr-7", "zone": "acme.example"})),
            one("worker", "marked-pr-7", json!({"tags": ["preview-gc:keep"]})),
            one("worker", "holder-pr-7", json!({})),
            one("worker_preview", "pr-8", json!({"worker": "holder-pr-7", "bindings":
                [binding("kv_namespace", "preview-pr-7"), binding("d1", "pbase-pr-7")]})),
            one("worker_preview", "marked-pr-7",
                json!({"worker": "production", "tags": ["preview-gc:keep"]})),
            one("kv_namespace", "preview-pr-7", json!({})), one("d1", "pbase-pr-7", json!({})),
            one("worker", "tenant", json!({"dispatch_namespace": "tenants",
                "bindings": [binding("kv_namespace", "tenant-pr-7")]})),
            one("kv_namespace", "tenant-pr-7", json!({})),
            one("queue", "jobs", json!({"consumers": ["production"],
                "dead_letter_queue": "letters-pr-7"})),
            one("queue", "letters-pr-7", json!({})),
            one("queue", "consumed-pr-7", json!({"consumers": ["production"]})),
            // Pages.
            one("pages_deployment", &format!("{pages}1"), json!({"project": "site",
                "environment": "preview", "branch": "live", "bindings":
                [binding("kv_namespace", "site-pr-7"), binding("d1", "sbase-pr-7")]})),
            one("kv_namespace", "site-pr-7", json!({})), one("d1", "sbase-pr-7", json!({})),
            one("pages_deployment", &format!("{pages}2"), json!({"project": "site",
                "environment": "preview", "branch": "page-pr-7",
                "aliases": ["https://page-pr-7.site.pages.dev"]})),
            record("docs", "page-pr-7.site.pages.dev", json!({})),
            // DNS and what it leads to.
            record("target-pr-7", "192.0.2.1", json!({})),
            record("cdn", "target-pr-7.acme.example", json!({})),
            record("marked-pr-7", "192.0.2.1", json!({"comment": "preview-gc:keep"})),
            record("tagged-pr-7", "192.0.2.1", json!({"tags": ["preview-gc:keep"]})),
            record("tun", &format!("{tunnel}.cfargotunnel.com"), json!({})),
            led_to,
            one("tunnel", "busy-pr-7", json!({"status": "healthy"})),
            one("access_application", "guard-pr-7", json!({"domain": "cdn.acme.example"})),
            one("access_application", "marked-pr-7",
                json!({"domain": "gone.acme.example", "tags": ["preview-gc:keep"]})),
            // Neon and GitHub.
            one("neon_branch", "main", json!({"default": true})),
            behind,
            one("hyperdrive", "database",
                json!({"host": "ep-cool-fog-12345678.eu-central-1.aws.neon.tech"})),
            one("neon_branch", "parent-pr-7", json!({"parent": "main"})),
            one("neon_branch", "debug", json!({"parent": "parent-pr-7"})),
            one("neon_branch", "marked-pr-7",
                json!({"parent": "main", "annotations": {"preview-gc:keep": "yes"}})),
            one("neon_branch", "protected-pr-7", json!({"parent": "main", "protected": true})),
            one("github_environment", "gate-pr-7", json!({"protection_rules": [{"type": "required_reviewers"}]})),
        ],
    })
}

const POLICY: &str = r#"
[limits]
grace = "0s"

[[rule]]
id = "names"
kind = ["worker", "worker_preview", "kv_namespace", "d1", "r2", "queue", "hyperdrive",
    "vectorize_index", "workflow", "access_application", "tunnel", "neon_branch",
    "github_environment"]
name = "{any:a-z}-pr-{pr}"
dead-when = "closed"
born = "any"

[[rule]]
id = "records"
kind = "dns_record"
name = "{any:a-z}-pr-{pr}.acme.example"
dead-when = "closed"
born = "any"

[[rule]]
id = "pages"
kind = "pages_deployment"
project = "site"
branch = "{any:a-z}-pr-{pr}"
dead-when = "closed"
"#;

/// Whether a field only counts or dates something, or is a name that somebody chose.
fn is_no_name(key: &str, value: &Value) -> bool {
    let is_chosen = key.starts_with("B_") || key.starts_with("br-") || key.contains("gc:");
    let is_time = key.ends_with("_on") || key.ends_with("_at");
    let is_apart = ["errors", "messages", "result_info"].contains(&key);
    is_chosen || is_time || is_apart || value.is_number()
}

/// The ways to the fields of an answer, with a star for every item of a list.
fn fields(value: &Value, way: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(shown) => {
            for (key, inner) in shown {
                let dot = if way.is_empty() { "" } else { "." };
                let way = format!("{way}{dot}{key}");
                if !is_no_name(key, inner) {
                    found.insert(way.clone());
                }
                fields(inner, &way, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                fields(item, &format!("{way}.*"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Drops the fields at the end of a way.
fn drop_field(value: &mut Value, way: &[&str]) {
    match (way, value) {
        (["*", rest @ ..], Value::Array(items)) => {
            for item in items.iter_mut() {
                drop_field(item, rest);
            }
        }
        ([last], Value::Object(fields)) => {
            fields.remove(*last);
        }
        ([first, rest @ ..], Value::Object(fields)) => {
            if let Some(inner) = fields.get_mut(*first) {
                drop_field(inner, rest);
            }
        }
        _ => {}
    }
}

/// A sandbox with the world and the policy.
struct Stage {
    server: Server,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world_file = folder.path().join("world.json");
        std::fs::write(&world_file, world().to_string()).unwrap();
        std::fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
        let world_file = world_file.display().to_string();
        let server = Server::start(&["--world", &world_file, "--quota", "off"]);
        Self { server, folder }
    }

    /// What an audit calls garbage, and how many resources it shows; nothing if it has
    /// no report.
    fn garbage(&self) -> (BTreeSet<String>, usize) {
        let mut program = self.server.program();
        program.args(["audit", "-q", "--format", "json", "--policies"]);
        program.arg(self.folder.path().join("policy.toml"));
        let output = program.output().unwrap();
        if output.stdout.is_empty() {
            return (BTreeSet::new(), 0);
        }
        let (report, _) = report(&output);
        let resources = report["resources"].as_array().unwrap();
        let dead = resources.iter().filter(|one| one["verdict"] == "garbage");
        let dead = dead
            .map(|one| format!("{} {}", one["kind"], one["name"]))
            .collect();
        (dead, resources.len())
    }

    /// The answers of an audit, by path.
    fn answers(&self) -> BTreeMap<String, Value> {
        let requests = self.server.control("GET", "requests", "");
        let requests = requests.as_array().unwrap().iter();
        let asked = requests.filter(|one| one["method"] == "GET");
        let asked = asked.map(|one| {
            let path = one["path"].as_str().unwrap();
            let query = one["query"].as_str().unwrap_or_default();
            let target = format!("{}?{query}", path.trim_start_matches('/'));
            let body = self.server.request("GET", &target, "");
            (
                path.to_owned(),
                serde_json::from_str(&body).unwrap_or_default(),
            )
        });
        asked.collect()
    }
}

#[test]
fn nothing_becomes_garbage_by_a_field_that_an_answer_lacks() {
    let stage = Stage::new();
    let (garbage, shown) = stage.garbage();
    assert_eq!(garbage, BTreeSet::new(), "all of it is in use or marked");
    assert!(shown > 40, "{shown}");
    let mut cells = Vec::new();
    for (path, answer) in stage.answers() {
        let mut ways = BTreeSet::new();
        // What a Worker uses that would go is not looked at for its own sake.
        if !path.contains("/scripts/") || path.contains("/production/") {
            fields(&answer, "", &mut ways);
        }
        for way in ways {
            let mut answer = answer.clone();
            drop_field(&mut answer, &way.split('.').collect::<Vec<_>>());
            cells.push((path.clone(), way, answer));
        }
    }
    assert!(cells.len() > 100, "only {} fields were found", cells.len());
    let found = Mutex::new(Vec::new());
    let parts: Vec<_> = cells.chunks(cells.len().div_ceil(4)).collect();
    in_parallel(&parts, |cells| {
        let stage = Stage::new();
        for (path, way, answer) in *cells {
            let on = json!({"method": "GET", "path": format!("^{}$", regex::escape(path))});
            let fault = json!({"status": 200, "body": answer});
            let fault = json!([{"on": on, "times": null, "fault": fault}]);
            stage.server.plant(&fault);
            let (garbage, _) = stage.garbage();
            let documented = NONE_BY_ABSENCE.iter().any(|one| {
                let (end, excepted) = one.split_once(' ').unwrap();
                path.ends_with(end) && way == excepted
            });
            if garbage.is_empty() == documented {
                let wrong = format!("{path} without {way}: {garbage:?}");
                found.lock().unwrap().push(wrong);
            }
        }
    });
    let found = found.into_inner().unwrap();
    assert!(
        found.is_empty(),
        "{} of {}:\n{}",
        found.len(),
        cells.len(),
        found.join("\n")
    );
}
