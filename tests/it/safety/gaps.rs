//! Lists that fail, leave something out or are another's: they keep everything that
//! they could have shown to be used.

use serde_json::{Value, json};

use super::{Audited, NAMESPACES, T0, WORKERS, audit, audit_with, closed, open, worker, world};
use crate::support::report;

#[test]
fn rule_2_complete_or_nothing() {
    let resources = || json!([worker("app-pr-7"), worker("app-pr-9")]);
    let pulls = || json!([closed(7), open(9)]);
    for (on, fault) in [
        ("github.pull_requests", json!({"status": 502, "body": {}})),
        ("github.pull_requests", json!("truncate")),
        ("github.pull_requests", json!("reset")),
        ("cloudflare.worker", json!("truncate")),
        (
            "cloudflare.worker",
            json!({"status": 200, "body": {"success": true, "result": null}}),
        ),
        ("cloudflare.worker", json!({"status": 403, "body": {}})),
    ] {
        let faults = json!([{"on": on, "times": null, "fault": fault}]);
        let audited = audit_with(
            &world(pulls(), resources(), faults),
            WORKERS,
            &["--deadline", "1s"],
        );
        assert_eq!(audited.code, 3, "{on} {fault}");
        assert_ne!(audited.verdict("app-pr-7"), "garbage", "{on} {fault}");
        assert_eq!(audited.report["summary"]["would_delete"], 0, "{on} {fault}");
    }
}

#[test]
fn rule_2_no_open_pull_request_is_believed_only_of_a_repository_that_is_seen() {
    let resources = || json!([worker("app-pr-7")]);
    let audited = audit(&world(json!([closed(7)]), resources(), json!([])), WORKERS);
    assert_eq!(audited.verdict("app-pr-7"), "garbage");
    let hidden = json!([{"on": {"method": "GET", "path": "/repos/acme/shop$"}, "times": null,
        "fault": {"status": 404, "body": {"message": "Not Found"}}}]);
    let audited = audit(&world(json!([closed(7)]), resources(), hidden), WORKERS);
    assert_eq!(audited.code, 3);
    assert_eq!(audited.verdict("app-pr-7"), "unknown");
}

/// Live `production` binds the namespace of a dead pull request.
fn bound_namespace(faults: Value) -> Value {
    let mut user = worker("production");
    user["attributes"]["bindings"] =
        json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-7-kv"}]);
    let namespace = json!({"kind": "kv_namespace", "name": "app-pr-7-kv"});
    world(
        json!([closed(7), open(9)]),
        json!([user, namespace]),
        faults,
    )
}

#[test]
fn rule_2_a_list_of_workers_that_leaves_some_out_is_not_believed() {
    let audited = audit(&bound_namespace(json!([])), NAMESPACES);
    assert_eq!(audited.verdict("app-pr-7-kv"), "in_use");
    let emptied = json!([{"on": {"method": "GET", "path": "/workers/scripts$"}, "times": null, "fault": "empty_page"}]);
    let audited = audit(&bound_namespace(emptied), NAMESPACES);
    assert_eq!(
        audited.code, 3,
        "the list of users shows what the listing does not"
    );
    assert_eq!(audited.verdict("app-pr-7-kv"), "unknown");
}

#[test]
fn rule_4_settings_that_do_not_say_what_a_worker_binds_prove_nothing() {
    let silent = json!([{"on": {"method": "GET", "path": "/settings$"}, "times": null,
        "fault": {"status": 200, "body": {"success": true, "errors": [], "messages": [], "result": {}}}}]);
    let audited = audit(&bound_namespace(silent), NAMESPACES);
    assert_eq!(audited.code, 3);
    assert_eq!(audited.verdict("app-pr-7-kv"), "unknown");
}

#[test]
fn rule_4_a_page_of_users_that_comes_twice_hides_nobody() {
    let mut resources: Vec<_> = (1..=150)
        .map(|n| worker(&format!("other-{n:03}")))
        .collect();
    let mut user = worker("zz-production");
    user["attributes"]["bindings"] =
        json!([{"type": "service", "name": "API", "target": "app-pr-7"}]);
    // The last to be made is on the last page.
    let mut used = worker("app-pr-7");
    used["created_at"] = json!("2026-04-02T00:00:00Z");
    resources.extend([user, used]);
    let with = |faults: Value| {
        audit(
            &world(json!([closed(7), open(9)]), json!(resources), faults),
            WORKERS,
        )
    };
    assert_eq!(with(json!([])).verdict("app-pr-7"), "in_use");
    let repeated = json!([{"on": {"method": "GET", "path": "/workers/workers$"}, "times": null, "fault": "repeat_page"}]);
    assert_ne!(with(repeated).verdict("app-pr-7"), "garbage");
}

/// A dead pull request with a Worker, a namespace, a queue and a Neon branch,
/// beside a Worker that stays and has a Preview.
fn everything(faults: Value) -> Value {
    let namespace = json!({"kind": "kv_namespace", "name": "app-pr-7-kv"});
    let queue = json!({"kind": "queue", "name": "app-pr-7", "created_at": T0, "updated_at": T0});
    let branch = |name: &str, attributes: Value| json!({"kind": "neon_branch", "name": name, "created_at": T0, "updated_at": T0, "attributes": attributes});
    let preview = json!({"kind": "worker_preview", "name": "pr-9", "created_at": T0, "updated_at": T0, "attributes": {"worker": "production"}});
    let tenant = json!({"kind": "worker", "name": "tenant", "created_at": T0, "updated_at": T0, "attributes": {"dispatch_namespace": "tenants"}});
    let database = json!({"kind": "hyperdrive", "name": "db", "created_at": T0, "updated_at": T0, "attributes": {"host": "ep-old-1.eu-central-1.aws.neon.tech"}});
    let mut world = world(
        json!([closed(7), open(9)]),
        json!([
            worker("app-pr-7"),
            worker("production"),
            namespace,
            queue,
            preview,
            tenant,
            database,
            branch("main", json!({"default": true})),
            branch("app-pr-7", json!({"parent": "main"})),
        ]),
        faults,
    );
    world["zones"] = json!([{"name": "acme.example"}]);
    world
}

const EVERYTHING: &str = r#"
[[rule]]
id = "everything"
kind = ["worker", "queue", "neon_branch"]
name = "app-pr-{pr}"
dead-when = "closed"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-kv"
dead-when = "closed"
"#;

#[test]
fn rule_2_what_hides_a_user_or_an_owned_resource_is_a_gap_and_keeps() {
    let verdicts = |audited: &Audited| -> Vec<String> {
        let resources = audited.report["resources"].as_array().unwrap().iter();
        let ours = resources.filter(|one| one["name"].as_str().unwrap().starts_with("app-pr-7"));
        ours.map(|one| {
            format!(
                "{} {}",
                one["kind"].as_str().unwrap(),
                one["verdict"].as_str().unwrap()
            )
        })
        .collect()
    };
    let seen = audit(&everything(json!([])), EVERYTHING);
    assert_eq!(seen.code, 0, "{}", seen.report);
    assert_eq!(
        verdicts(&seen),
        [
            "kv_namespace garbage",
            "neon_branch garbage",
            "queue garbage",
            "worker garbage"
        ]
    );
    // What cannot be read, and what is not deleted for want of it.
    for (path, kept) in [
        ("/workers/routes$", &["worker"][..]),
        ("/workers/domains$", &["worker"]),
        ("/dns_records$", &["neon_branch", "worker"]),
        // A namespace has no time of its own: a queue may tell whose its number is.
        ("/queues$", &["kv_namespace", "queue", "worker"]),
        ("/r2/buckets$", &["queue"]),
        ("/pages/projects$", &["kv_namespace", "queue", "worker"]),
        (
            "/dispatch/namespaces$",
            &["kv_namespace", "queue", "worker"],
        ),
        (
            "/dispatch/namespaces/tenants/scripts$",
            &["kv_namespace", "queue", "worker"],
        ),
        (
            "/scripts/tenant/settings$",
            &["kv_namespace", "queue", "worker"],
        ),
        (
            "/workers/production/previews$",
            &["kv_namespace", "queue", "worker"],
        ),
        ("/deployments/latest$", &["kv_namespace", "queue", "worker"]),
        (
            "/scripts/production/settings$",
            &["kv_namespace", "queue", "worker"],
        ),
        (
            "/scripts/production/deployments$",
            &["kv_namespace", "queue", "worker"],
        ),
        (
            "/scripts/production/versions/",
            &["kv_namespace", "queue", "worker"],
        ),
        ("/hyperdrive/configs$", &["neon_branch"]),
        ("/endpoints$", &["neon_branch"]),
    ] {
        for fault in [json!({"status": 403}), json!({"status": 200, "body": {}})] {
            let faults =
                json!([{"on": {"method": "GET", "path": path}, "times": null, "fault": fault}]);
            let audited = audit(&everything(faults), EVERYTHING);
            let expected: Vec<String> = ["kv_namespace", "neon_branch", "queue", "worker"]
                .iter()
                .filter(|kind| !(path.contains("/queues") && **kind == "queue"))
                .map(|kind| {
                    let verdict = if kept.contains(kind) {
                        "unknown"
                    } else {
                        "garbage"
                    };
                    format!("{kind} {verdict}")
                })
                .collect();
            assert_eq!(verdicts(&audited), expected, "{path} {fault}");
            assert_eq!(audited.code, 3, "{path} {fault}");
        }
    }
}

/// Lists of git branches and of pull requests are believed only of a repository
/// that is seen, whole, and the one that is expected.
#[test]
fn rule_1_an_empty_or_foreign_list_keeps_everything() {
    let policy = r#"
[[rule]]
id = "branches"
kind = "worker"
name = "app-{branch}"
dead-when = "branch-gone"
"#;
    let with = |faults: Value, id: Option<&str>| {
        let mut closed = closed(7);
        closed["head_ref"] = json!("gone");
        let world = world(
            json!([closed, open(9)]),
            json!([worker("app-gone")]),
            faults,
        );
        let folder = tempfile::tempdir().unwrap();
        let (file, rules) = (
            folder.path().join("world.json"),
            folder.path().join("policy.toml"),
        );
        std::fs::write(&file, world.to_string()).unwrap();
        std::fs::write(&rules, policy).unwrap();
        let server = crate::support::Server::start(&["--world", &file.display().to_string()]);
        let mut command = server.program();
        command
            .args(["audit", "-q", "--format", "json", "--policies"])
            .arg(&rules);
        if let Some(id) = id {
            command
                .env("GITHUB_REPOSITORY", "acme/shop")
                .env("GITHUB_REPOSITORY_ID", id);
        }
        let (report, code) = report(&command.output().unwrap());
        let verdict = report["resources"][0]["verdict"]
            .as_str()
            .unwrap()
            .to_owned();
        (verdict, code)
    };
    assert_eq!(with(json!([]), None), ("garbage".to_owned(), 0));
    let unknown = ("unknown".to_owned(), 3);
    // The repository has another id than the one that the run belongs to.
    assert_eq!(with(json!([]), Some("1")), unknown);
    // No branch at all.
    let empty = json!([{"on": "github.branches", "times": null, "fault": "empty_page"}]);
    assert_eq!(with(empty, None), unknown);
}

#[test]
fn rule_2_a_user_that_is_not_there_when_it_is_asked_for_is_no_evidence() {
    let mut user = worker("production");
    user["attributes"]["bindings"] =
        json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-7-kv"}]);
    let policy = r#"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-kv"
dead-when = "closed"
"#;
    for path in [
        "/workers/workers$",
        "/workers/workers/production/previews$",
        "/scripts/production/settings$",
        "/scripts/production/deployments$",
    ] {
        let faults = json!([{"on": {"method": "GET", "path": path}, "times": null,
            "fault": {"status": 404, "body": {"success": false, "errors": [{"code": 7003, "message": "no"}]}}}]);
        let resources = json!([user, {"kind": "kv_namespace", "name": "app-pr-7-kv"},
            {"kind": "kv_namespace", "name": "app-pr-3-kv"}]);
        let pulls = json!([closed(7), closed(3), open(9)]);
        let audited = audit(&world(pulls, resources, faults), policy);
        assert_ne!(audited.verdict("app-pr-7-kv"), "garbage", "{path}");
        assert_eq!(audited.verdict("app-pr-3-kv"), "unknown", "{path}");
        assert_eq!(audited.code, 3, "{path}");
    }
}
