//! One test for every safety rule, named after it: what the program promises,
//! seen from outside.

mod answers;
mod previews;
mod unseen;

use serde_json::{Value, json};

use crate::support::report;

const T0: &str = "2026-04-01T00:00:00Z";
const NOW: &str = "2026-05-01T00:00:00Z";

/// A world with these pull requests and resources.
fn world(pull_requests: Value, resources: Value, faults: Value) -> Value {
    json!({
        "repository": "acme/shop", "now": NOW, "git_branches": ["main"], "faults": faults,
        "pull_requests": pull_requests, "resources": resources,
    })
}

fn open(number: u32) -> Value {
    json!({"number": number, "state": "open", "head_ref": format!("b{number}"), "head_repo": "acme/shop", "updated_at": T0})
}

fn closed(number: u32) -> Value {
    json!({"number": number, "state": "closed", "head_ref": format!("b{number}"), "head_repo": "acme/shop",
        "created_at": "2026-03-01T00:00:00Z", "updated_at": T0, "closed_at": T0})
}

fn worker(name: &str) -> Value {
    json!({"kind": "worker", "name": name, "created_at": T0, "updated_at": T0, "attributes": {"bindings": []}})
}

const WORKERS: &str = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
"#;

const NAMESPACES: &str = r#"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-kv"
dead-when = "closed"
"#;

const BRANCHES: &str = r#"
[[rule]]
id = "branches"
kind = "neon_branch"
name = "preview/pr-{pr}"
dead-when = "closed"
"#;

const PREVIEWS: &str = r#"
[[rule]]
id = "previews"
kind = "worker_preview"
name = "pr-{pr}"
dead-when = "closed"
"#;

/// A Preview of a Worker.
fn preview(name: &str, worker: &str, attributes: &Value) -> Value {
    let mut preview = json!({"kind": "worker_preview", "name": name, "created_at": T0,
        "updated_at": T0, "attributes": attributes});
    preview["attributes"]["worker"] = json!(worker);
    preview
}

struct Audited {
    report: Value,
    code: i32,
}

impl Audited {
    fn verdict(&self, name: &str) -> &str {
        let resources = self.report["resources"].as_array().unwrap();
        let found = resources.iter().find(|one| one["name"] == name);
        found.map_or("not listed", |one| one["verdict"].as_str().unwrap())
    }
}

fn audit_with(world: &Value, policy: &str, arguments: &[&str]) -> Audited {
    let (report, code) = crate::support::audit(world, policy, arguments);
    Audited { report, code }
}

/// Audits with several policy files in one folder.
fn audit_files(world: &Value, policies: [&str; 2]) -> Audited {
    let folder = tempfile::tempdir().unwrap();
    for (name, policy) in ["a.toml", "b.toml"].iter().zip(policies) {
        std::fs::write(folder.path().join(name), policy).unwrap();
    }
    let (report, code) = crate::support::audit_by(folder.path(), world, &[]);
    Audited { report, code }
}

fn audit(world: &Value, policy: &str) -> Audited {
    audit_with(world, policy, &[])
}

#[test]
fn rule_1_absence_is_not_evidence() {
    // 8 does not exist, 9 is open, 7 was seen closed.
    let resources = json!([worker("app-pr-7"), worker("app-pr-8"), worker("app-pr-9")]);
    let audited = audit(
        &world(json!([closed(7), open(9)]), resources, json!([])),
        WORKERS,
    );
    assert_eq!(audited.code, 0, "a missing number is an answer, not a gap");
    assert_eq!(audited.verdict("app-pr-7"), "garbage");
    assert_eq!(audited.verdict("app-pr-8"), "unknown");
    assert_eq!(audited.verdict("app-pr-9"), "live");
    let dead = WORKERS.replace("dead-when", "missing = \"dead\"\ndead-when");
    let resources = json!([worker("app-pr-8"), worker("app-pr-9")]);
    let audited = audit(&world(json!([open(9)]), resources, json!([])), &dead);
    assert_eq!(audited.verdict("app-pr-8"), "garbage");
    assert_eq!(audited.verdict("app-pr-9"), "live");
}

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

#[test]
fn rule_3_resources_are_read_before_roots() {
    let folder = tempfile::tempdir().unwrap();
    let (file, rules) = (
        folder.path().join("world.json"),
        folder.path().join("policy.toml"),
    );
    let resources = json!([worker("app-pr-7"), worker("app-pr-9")]);
    let text = world(json!([closed(7), open(9)]), resources, json!([])).to_string();
    std::fs::write(&file, text).unwrap();
    std::fs::write(&rules, WORKERS).unwrap();
    let server = crate::support::Server::start(&["--world", &file.display().to_string()]);
    let output = server
        .program()
        .args(["audit", "-q", "--policies"])
        .arg(&rules)
        .output()
        .unwrap();
    assert!(output.status.success());
    let requests = server.control("GET", "requests", "");
    let paths: Vec<_> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["path"].as_str().unwrap().to_owned())
        .collect();
    let last_listing = paths
        .iter()
        .rposition(|path| path.ends_with("/workers/scripts"))
        .unwrap();
    let first_root = paths
        .iter()
        .position(|path| path.contains("/github"))
        .unwrap();
    assert!(last_listing < first_root, "{paths:?}");
}

#[test]
fn rule_4_unmatched_means_keep() {
    let names = [
        "app-pr-70",
        "app-pr-7x",
        "xapp-pr-7",
        "app-pr-07",
        "APP-pr-7",
        "app-pr-7-",
        "app-pr-",
    ];
    let resources: Vec<_> = names
        .iter()
        .chain(&["app-pr-7"])
        .map(|name| worker(name))
        .collect();
    let audited = audit(
        &world(json!([closed(7), open(70)]), json!(resources), json!([])),
        WORKERS,
    );
    assert_eq!(audited.verdict("app-pr-7"), "garbage");
    for name in names {
        assert_ne!(audited.verdict(name), "garbage", "{name}");
    }
}

#[test]
fn rule_4_what_is_protected_used_or_read_in_two_ways_is_kept() {
    let namespace = |name: &str| json!({"kind": "kv_namespace", "name": name});
    let mut user = worker("production");
    user["attributes"]["bindings"] =
        json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-7-kv"}]);
    let resources = json!([
        worker("app-pr-7"),
        worker("app-pr-3"),
        user,
        namespace("app-pr-7-kv"),
        namespace("app-pr-3-kv"),
        namespace("rollback-app-pr-3-kv"),
    ]);
    let policy = r#"
[[protect]]
kind = "worker"
name = "app-pr-3"
reason = "a demo for a customer"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = ["app-pr-{pr}-kv", "{any}-app-pr-{pr}-kv"]
dead-when = "closed"
[[rule]]
id = "the-same-names-by-their-merge"
kind = "kv_namespace"
name = "app-pr-3-{any}"
dead-when = { older-than = "90d" }
"#;
    let audited = audit(
        &world(json!([closed(7), closed(3), open(9)]), resources, json!([])),
        policy,
    );
    assert_eq!(audited.verdict("app-pr-7"), "garbage");
    assert_eq!(audited.verdict("app-pr-3"), "protected");
    assert_eq!(
        audited.report.get("partly_protected"),
        None,
        "nothing else of #3 would go"
    );
    assert_eq!(
        audited.verdict("app-pr-7-kv"),
        "in_use",
        "production binds it"
    );
    assert_ne!(
        audited.verdict("app-pr-3-kv"),
        "garbage",
        "one rule reads it as not dead"
    );
    assert_eq!(audited.verdict("rollback-app-pr-3-kv"), "protected");
}

#[test]
fn rule_4_a_protect_entry_holds_outside_the_scope_of_its_file() {
    let record = |name: &str| {
        json!({"kind": "dns_record", "name": name, "created_at": T0, "updated_at": T0,
            "attributes": {"zone": "acme.example", "type": "A", "content": "192.0.2.1"}})
    };
    let mut world = world(
        json!([closed(7), closed(3), open(9)]),
        json!([
            record("app-pr-7.acme.example"),
            record("app-pr-3.acme.example")
        ]),
        json!([]),
    );
    world["zones"] = json!([
        {"id": "11111111111111111111111111111111", "name": "acme.example"},
        {"id": "22222222222222222222222222222222", "name": "other.example"},
    ]);
    let rules = "[scope]\ncloudflare = { zones = [\"acme.example\"] }\n[[rule]]\nid = \
        \"records\"\nkind = \"dns_record\"\nname = \"app-pr-{pr}.acme.example\"\ndead-when = \
        \"closed\"\n";
    let protects = "[scope]\ncloudflare = { zones = [\"other.example\"] }\n[[protect]]\nkind = \
        \"dns_record\"\nname = \"app-pr-3.acme.example\"\nreason = \"a demo for a customer\"\n";
    let audited = audit_files(&world, [rules, protects]);
    assert_eq!(audited.verdict("app-pr-7.acme.example"), "garbage");
    assert_eq!(audited.verdict("app-pr-3.acme.example"), "protected");
}

#[test]
fn rule_4_a_report_says_what_else_of_a_protected_pull_request_would_go() {
    let branch = |name: &str| {
        json!({"kind": "neon_branch", "name": name, "created_at": T0, "updated_at": T0,
            "attributes": {"parent": "main"}})
    };
    let world = world(
        json!([closed(7), closed(3), open(9)]),
        json!([worker("app-pr-7"), worker("app-pr-3"), branch("pr-3")]),
        json!([]),
    );
    let rules = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
[[rule]]
id = "branches"
kind = "neon_branch"
name = "pr-{pr}"
dead-when = "closed"
"#;
    let one = "[[protect]]\nkind = \"worker\"\nname = \"app-pr-3\"\nreason = \"a demo\"\n";
    let audited = audit(&world, &format!("{one}{rules}"));
    assert_eq!(audited.verdict("pr-3"), "garbage");
    assert_eq!(
        audited.report["partly_protected"],
        json!([{"repository": "acme/shop", "pull_request": 3,
            "protected": ["worker app-pr-3"], "garbage": ["neon_branch pr-3"]}])
    );
    let all = "[[protect]]\npull-request = 3\nreason = \"a demo\"\n";
    let audited = audit(&world, &format!("{all}{rules}"));
    assert_eq!(audited.verdict("pr-3"), "protected");
    assert_eq!(audited.verdict("app-pr-7"), "garbage");
    assert_eq!(audited.report.get("partly_protected"), None);
}

#[test]
fn rule_6_time_works_for_keeping() {
    let at = |created: &str, updated: Option<&str>| json!({"kind": "worker", "name": "app-pr-7", "created_at": created, "updated_at": updated, "attributes": {"bindings": []}});
    for (resource, expected) in [
        (at(T0, Some(T0)), "garbage"),
        (at(T0, Some("2026-04-29T23:59:59Z")), "garbage"),
        // Exactly at its end the grace still keeps.
        (at(T0, Some("2026-04-30T00:00:00Z")), "grace"),
        (
            at("2026-04-07T12:00:00Z", Some("2026-04-30T12:00:00Z")),
            "grace",
        ),
        // Made long after the pull request ended: it is somebody else's.
        (
            at("2026-04-30T12:00:00Z", Some("2026-04-30T12:00:00Z")),
            "unknown",
        ),
        (at(T0, None), "unknown"),
    ] {
        let audited = audit(
            &world(json!([closed(7), open(9)]), json!([resource]), json!([])),
            WORKERS,
        );
        assert_eq!(audited.verdict("app-pr-7"), expected, "{resource}");
    }
    let aged = "[[rule]]\nid = \"old\"\nkind = \"worker\"\nname = \"app-pr-{any}\"\ndead-when = { \
        older-than = \"30d\" }\n";
    for (created, expected) in [(T0, "live"), ("2026-03-31T23:59:59Z", "garbage")] {
        let audited = audit(
            &world(json!([]), json!([at(created, Some(NOW))]), json!([])),
            aged,
        );
        assert_eq!(
            audited.verdict("app-pr-7"),
            expected,
            "strictly more than 30 days: {created}"
        );
    }
}

#[test]
fn rule_6_an_audit_prints_a_brake_and_is_not_stopped_by_it() {
    let resources: Vec<_> = (1..=25)
        .map(|number| worker(&format!("app-pr-{number}")))
        .collect();
    let pulls: Vec<_> = (1..=25).map(closed).chain([open(99)]).collect();
    let world = world(json!(pulls), json!(resources), json!([]));
    let audited = audit(&world, WORKERS);
    assert_eq!(audited.code, 0);
    let brakes = audited.report["brakes"].as_array().unwrap();
    assert_eq!(brakes.len(), 1);
    assert!(
        brakes[0]["reason"]
            .as_str()
            .unwrap()
            .contains("--brake-share 1")
    );
    let raised = audit_with(
        &world,
        WORKERS,
        &["--brake-share", "1", "--max-deletions", "10"],
    );
    assert_eq!(raised.report["brakes"], json!([]));
    assert_eq!(raised.report["summary"]["would_delete"], 10);
    assert_eq!(raised.report["summary"]["deferred"], 15);
}

#[test]
fn rule_10_a_provider_without_credentials_stops_nothing_else_and_is_not_green() {
    let folder = tempfile::tempdir().unwrap();
    let (file, rules) = (
        folder.path().join("world.json"),
        folder.path().join("policy.toml"),
    );
    let resources = json!([worker("app-pr-7"), {"kind": "neon_branch", "name": "preview/pr-7", "created_at": T0, "attributes": {"parent": "main"}}]);
    std::fs::write(
        &file,
        world(json!([closed(7), open(9)]), resources, json!([])).to_string(),
    )
    .unwrap();
    let branches = "[[rule]]\nid = \"branches\"\nkind = \"neon_branch\"\nname = \
        \"preview/pr-{pr}\"\ndead-when = \"closed\"\n";
    std::fs::write(&rules, format!("{WORKERS}{branches}")).unwrap();
    let server = crate::support::Server::start(&["--world", &file.display().to_string()]);
    let without = |variable: &str| {
        server
            .program()
            .env_remove(variable)
            .args(["audit", "-q", "--format", "json", "--policies"])
            .arg(&rules)
            .output()
            .unwrap()
    };
    let (report, code) = report(&without("NEON_API_KEY"));
    let audited = Audited { report, code };
    assert_eq!(audited.code, 3);
    assert_eq!(audited.verdict("app-pr-7"), "garbage");
    let output = without("GITHUB_TOKEN");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn rule_11_names_from_outside_are_printed_inert() {
    let hostile = "app-pr-7\u{1b}[2J\u{202e}\n::error::x|`<b>=cmd";
    let mut resource = worker("x");
    resource["kind"] = json!("kv_namespace");
    resource["name"] = json!(hostile);
    let folder = tempfile::tempdir().unwrap();
    let (file, rules) = (
        folder.path().join("world.json"),
        folder.path().join("policy.toml"),
    );
    std::fs::write(
        &file,
        world(json!([open(9)]), json!([resource]), json!([])).to_string(),
    )
    .unwrap();
    std::fs::write(
        &rules,
        "[[rule]]\nid = \"n\"\nkind = \"kv_namespace\"\nname = \
        \"app-pr-{pr}{any}\"\ndead-when = \"closed\"\n",
    )
    .unwrap();
    for format in ["table", "csv", "markdown", "json"] {
        let output = crate::support::program()
            .args(["audit", "-q", "--format", format, "--policies"])
            .arg(&rules)
            .arg(format!("--sandbox={}", file.display()))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{format}: {text}"
        );
        assert!(
            text.lines().all(|line| !line.starts_with("::")),
            "{format}: {text}"
        );
    }
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

#[test]
fn rule_4_only_what_is_meant_is_planned() {
    let resources = json!([worker("app-pr-7"), worker("app-pr-3"), worker("ci-1"), {"kind": "kv_namespace", "name": "app-pr-7-kv"}]);
    let world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    let policy = format!(
        "{WORKERS}{NAMESPACES}[[rule]]\nid = \"ci\"\nkind = \"worker\"\nname = \
         \"ci-{{any}}\"\ndead-when = {{ older-than = \"1h\" }}\n"
    );
    assert_eq!(audit(&world, &policy).report["summary"]["would_delete"], 4);
    let one = audit_with(&world, &policy, &["--pr", "7"]);
    assert_eq!(one.report["summary"]["would_delete"], 2);
    assert_eq!(one.verdict("ci-1"), "not listed");
    let kind = audit_with(&world, &policy, &["--kind", "kv_namespace"]);
    assert_eq!(kind.report["summary"]["would_delete"], 1);
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
        ("/dns_records$", &["worker"]),
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

/// A Worker of a dead pull request with a route and a custom domain that are
/// called after it.
fn served() -> Value {
    let mut served = worker("app-pr-7");
    served["attributes"]["custom_domains"] = json!(["app-pr-7.acme.example"]);
    let route = json!({"kind": "worker_route", "name": "pr-7.acme.example/*", "attributes": {"script": "app-pr-7"}});
    world(
        json!([closed(7), open(9)]),
        json!([served, route]),
        json!([]),
    )
}

#[test]
fn rule_4_what_is_out_of_focus_stays_and_keeps_what_it_uses() {
    let all = audit(&served(), WORKERS);
    assert_eq!(all.report["summary"]["would_delete"], 3);
    let kinds = ["--kind", "worker"];
    let audited = audit_with(&served(), WORKERS, &kinds);
    assert_eq!(audited.verdict("app-pr-7"), "in_use", "{}", audited.report);
    assert_eq!(audited.report["summary"]["would_delete"], 0);
    let with_all = [
        "--kind",
        "worker",
        "--kind",
        "worker_domain",
        "--kind",
        "worker_route",
    ];
    let audited = audit_with(&served(), WORKERS, &with_all);
    assert_eq!(
        audited.report["summary"]["would_delete"], 3,
        "{}",
        audited.report
    );
}

/// `sweep --pr 12` deletes what a full sweep would delete of #12, also where two
/// rules match one name by a number and by a git branch.
#[test]
fn rule_11_one_pull_request_is_swept_like_all_of_them() {
    let schemes = format!("{}/policies/schemes", env!("CARGO_MANIFEST_DIR"));
    let branch = |name: &str| {
        json!({"kind": "neon_branch", "name": name, "created_at": "2026-03-10T00:00:00Z",
            "updated_at": "2026-03-10T00:00:00Z", "attributes": {"parent": "main"}})
    };
    let main = json!({"kind": "neon_branch", "name": "main", "created_at": T0, "updated_at": T0,
        "attributes": {"default": true}});
    let world = world(
        json!([closed(12), closed(13), open(14)]),
        json!([
            main,
            branch("preview/pr-12"),
            branch("preview/pr-12-b12"),
            branch("preview/b12"),
            branch("preview/pr-13"),
            branch("preview/b13"),
            branch("preview/b14"),
        ]),
        json!([]),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.json");
    std::fs::write(&file, world.to_string()).unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    for scheme in ["neon-github-integration", "vercel-neon-integration"] {
        let text = std::fs::read_to_string(format!("{schemes}/{scheme}.toml")).unwrap();
        std::fs::write(policies.join(format!("{scheme}.toml")), text).unwrap();
    }
    let garbage = |more: &[&str]| -> Vec<String> {
        let output = crate::support::program()
            .args(["audit", "-q", "--format", "json", "--policies"])
            .arg(&policies)
            .arg(format!("--sandbox={}", file.display()))
            .args(more)
            .output()
            .unwrap();
        let (report, code) = report(&output);
        assert_eq!(code, 0, "{report}");
        let resources = report["resources"].as_array().unwrap().iter();
        let garbage = resources.filter(|one| one["verdict"] == "garbage");
        garbage
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = garbage(&[]);
    let of_twelve: Vec<String> = all
        .iter()
        .filter(|name| name.contains("12"))
        .cloned()
        .collect();
    assert!(
        of_twelve.len() > 1 && all.len() > of_twelve.len(),
        "{all:?}"
    );
    assert_eq!(garbage(&["--pr", "12"]), of_twelve);
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

/// A record of the zone `acme.example`.
fn record(name: &str, sort: &str, content: &str) -> Value {
    json!({"kind": "dns_record", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"zone": "acme.example", "type": sort, "content": content, "proxied": true}})
}

const RECORDS: &str = r#"
[[rule]]
id = "records"
kind = "dns_record"
name = "{service}-pr-{pr}.acme.example"
dead-when = "closed"
[words]
service = ["app", "mail", "sip", "ns", "svc"]
"#;

#[test]
fn rule_2_a_zone_that_cannot_be_read_keeps_the_workers_that_its_routes_may_serve() {
    let route = json!({"kind": "worker_route", "name": "www.acme.example/*",
        "attributes": {"zone": "acme.example", "script": "app-pr-7"}});
    let resources = json!([worker("app-pr-7"), route]);
    let pulls = json!([closed(7), open(9)]);
    let seen = audit(&world(pulls.clone(), resources.clone(), json!([])), WORKERS);
    assert_eq!(seen.verdict("app-pr-7"), "in_use");
    for scope in ["", "[scope]\ncloudflare = { zones = [\"acme.example\"] }\n"] {
        for status in [403, 404, 500] {
            let faults = json!([{"on": {"method": "GET", "path": "/client/v4/zones(/[0-9a-f]{32})?$"},
                "times": null, "fault": {"status": status, "body": {"success": false, "errors": []}}}]);
            let policy = format!("{scope}{WORKERS}");
            let world = world(pulls.clone(), resources.clone(), faults);
            let audited = audit_with(&world, &policy, &["--deadline", "1s"]);
            assert_eq!(audited.verdict("app-pr-7"), "unknown", "{scope} {status}");
            assert_eq!(audited.code, 3, "{scope} {status}");
        }
    }
}

#[test]
fn rule_4_a_route_keeps_its_worker_in_a_zone_that_no_policy_names() {
    let zones = json!([
        {"id": "11111111111111111111111111111111", "name": "acme.example"},
        {"id": "22222222222222222222222222222222", "name": "other.example"},
    ]);
    let route = json!({"kind": "worker_route", "name": "www.other.example/*",
        "attributes": {"zone": "other.example", "script": "app-pr-7"}});
    let resources = json!([worker("app-pr-7"), worker("app-pr-3"), route]);
    let mut world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    world["zones"] = zones;
    let policy = format!("[scope]\ncloudflare = {{ zones = [\"acme.example\"] }}\n{WORKERS}");
    let audited = audit(&world, &policy);
    assert_eq!(audited.verdict("app-pr-7"), "in_use");
    assert_eq!(audited.verdict("app-pr-3"), "garbage");
    assert_eq!(audited.code, 0);
}

#[test]
fn rule_4_hosts_are_protected_in_capitals_too() {
    let names = ["app-pr-7.acme.example", "mail-pr-7.acme.example"];
    let resources = json!(names.map(|name| record(name, "A", "192.0.2.1")));
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    for name in [
        "APP-pr-7.acme.example",
        "App-PR-7.ACME.example",
        "APP-*.Acme.Example",
    ] {
        let entry =
            format!("[[protect]]\nkind = \"dns_record\"\nname = \"{name}\"\nreason = \"a demo\"\n");
        let audited = audit(&world, &format!("{RECORDS}{entry}"));
        assert_eq!(audited.verdict(names[0]), "protected", "{name}");
        assert_eq!(audited.verdict(names[1]), "garbage", "{name}");
        let except = RECORDS.replace("dead-when", &format!("except = [\"{name}\"]\ndead-when"));
        let audited = audit(&world, &except);
        assert_eq!(audited.verdict(names[0]), "unmatched", "{name}");
    }
}

#[test]
fn rule_4_routes_are_protected_by_either_form_of_their_host() {
    let route = |name: &str| {
        json!({"kind": "worker_route", "name": name,
            "attributes": {"zone": "acme.example", "script": "app-pr-7"}})
    };
    let name = "xn--bcher-kva.acme.example/Shop/*";
    let resources = json!([worker("app-pr-7"), route(name)]);
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    let policy = WORKERS.replace("dead-when", "with = [\"worker_route\"]\ndead-when");
    assert_eq!(audit(&world, &policy).verdict(name), "garbage");
    for protected in [
        "bücher.acme.example/Shop/*",
        "BÜCHER.acme.example/*",
        "XN--BCHER-KVA.ACME.example/Shop/*",
    ] {
        let entry = format!(
            "[[protect]]\nkind = \"worker_route\"\nname = \"{protected}\"\nreason = \"a demo\"\n"
        );
        let audited = audit(&world, &format!("{policy}{entry}"));
        assert_eq!(audited.verdict(name), "protected", "{protected}");
        assert_eq!(audited.verdict("app-pr-7"), "in_use", "{protected}");
    }
}

#[test]
fn rule_4_what_a_record_of_any_type_points_at_stays() {
    let target = |service: &str| record(&format!("{service}-pr-7.acme.example"), "A", "192.0.2.1");
    let mail = record("acme.example", "MX", "mail-pr-7.acme.example");
    let resources = json!([
        target("app"),
        target("mail"),
        target("sip"),
        target("ns"),
        target("svc"),
        mail,
        record(
            "_sip._tcp.acme.example",
            "SRV",
            "5 5060 sip-pr-7.acme.example"
        ),
        record("sub.acme.example", "NS", "NS-pr-7.acme.example."),
        record(
            "shop.acme.example",
            "HTTPS",
            "1 svc-pr-7.acme.example. alpn=\"h3\""
        ),
    ]);
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    let audited = audit(&world, RECORDS);
    for service in ["mail", "sip", "ns", "svc"] {
        let name = format!("{service}-pr-7.acme.example");
        assert_eq!(audited.verdict(&name), "in_use", "{service}");
    }
    assert_eq!(audited.verdict("app-pr-7.acme.example"), "garbage");
}

#[test]
fn rule_4_the_record_of_a_route_that_stays_is_kept() {
    let route = json!({"kind": "worker_route", "name": "app-pr-7.acme.example/*",
        "attributes": {"zone": "acme.example", "script": "production"}});
    let resources = json!([
        worker("production"),
        route,
        record("app-pr-7.acme.example", "AAAA", "100::"),
        record("mail-pr-7.acme.example", "AAAA", "100::"),
    ]);
    let audited = audit(
        &world(json!([closed(7), open(9)]), resources, json!([])),
        RECORDS,
    );
    assert_eq!(audited.verdict("app-pr-7.acme.example"), "in_use");
    assert_eq!(audited.verdict("mail-pr-7.acme.example"), "garbage");
}

#[test]
fn rule_4_what_has_the_name_of_something_alive_does_not_go_with_its_worker() {
    let policy = r#"
[[rule]]
id = "branches"
kind = "worker"
name = "app-{branch}"
dead-when = "closed"
[[rule]]
id = "numbers"
kind = "worker"
name = "web-pr-{pr}"
dead-when = "closed"
"#;
    let domain = |name: &str, worker: &str| json!({"kind": "worker_domain", "name": name, "attributes": {"zone": "acme.example", "worker": worker}});
    let mut login = open(9);
    login["head_ref"] = json!("b7/login");
    for (worker_name, host, expected) in [
        ("app-b7", "app-b7.acme.example", "garbage"),
        ("app-b7", "b7-login.acme.example", "in_use"),
        ("web-pr-7", "web-pr-7.acme.example", "garbage"),
        ("web-pr-7", "api-7.acme.example", "in_use"),
        ("web-pr-7", "release-7.acme.example", "in_use"),
        ("web-pr-7", "pr-9-and-pr-7.acme.example", "in_use"),
    ] {
        let resources = json!([worker(worker_name), domain(host, worker_name)]);
        let mut world = world(json!([closed(7), login.clone()]), resources, json!([]));
        world["git_branches"] = json!(["main", "b7/login"]);
        let audited = audit(&world, policy);
        assert_eq!(
            audited.verdict(worker_name),
            expected,
            "{worker_name} {host}"
        );
    }
}

#[test]
fn rule_6_an_age_keeps_what_belongs_to_an_open_pull_request_by_its_branch() {
    let policy = r#"
[[rule]]
id = "old"
kind = "worker"
name = "app-{branch}"
dead-when = { older-than = "1d", clock = "changed" }
"#;
    let resources = json!([worker("app-b9"), worker("app-b7")]);
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    let audited = audit(&world, policy);
    assert_eq!(audited.verdict("app-b9"), "live");
    assert_eq!(audited.verdict("app-b7"), "garbage");
    let audited = audit(
        &world,
        &policy.replace("dead-when", "even-open = true\ndead-when"),
    );
    assert_eq!(audited.verdict("app-b9"), "garbage");
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

#[test]
fn rule_4_a_worker_that_any_serving_version_binds_is_in_use() {
    let service = |target: &str| json!([{"type": "service", "name": "S", "target": target}]);
    let mut production = worker("production");
    production["attributes"] = json!({"versions": [
        {"bindings": service("app-pr-7"), "percentage": 100},
        {"bindings": service("app-pr-3")},
    ]});
    let resources = json!([
        production,
        worker("app-pr-7"),
        worker("app-pr-3"),
        worker("app-pr-5")
    ]);
    let pulls = json!([closed(7), closed(3), closed(5), open(9)]);
    let audited = audit(&world(pulls, resources, json!([])), WORKERS);
    assert_eq!(audited.verdict("app-pr-7"), "in_use", "it serves traffic");
    assert_eq!(audited.verdict("app-pr-3"), "in_use", "the latest version");
    assert_eq!(audited.verdict("app-pr-5"), "garbage");
}

#[test]
fn rule_5_a_number_of_another_life_is_one_in_every_file_of_the_repository() {
    let mut early = worker("app-pr-7");
    early["created_at"] = json!("2025-01-01T00:00:00Z");
    let resources = json!([early, {"kind": "kv_namespace", "name": "app-pr-7-kv"},
        {"kind": "kv_namespace", "name": "app-pr-3-kv"}]);
    let world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    let namespaces = "[[rule]]\nid = \"namespaces\"\nkind = \"kv_namespace\"\n\
                      name = \"app-pr-{pr}-kv\"\ndead-when = \"closed\"\ngrace = \"0s\"\n";
    let audited = audit_files(&world, [WORKERS, namespaces]);
    assert_eq!(audited.verdict("app-pr-7"), "unknown");
    assert_eq!(audited.verdict("app-pr-7-kv"), "unknown");
    assert_eq!(audited.verdict("app-pr-3-kv"), "garbage");
}

/// A Neon branch with what Neon recorded when it was made.
fn annotated(name: &str, annotations: Value) -> Value {
    json!({"kind": "neon_branch", "name": name, "created_at": "2026-03-20T00:00:00Z",
        "updated_at": "2026-03-20T00:00:00Z",
        "attributes": {"parent": "main", "annotations": annotations}})
}

fn branch(name: &str, made: &str, attributes: &Value) -> Value {
    json!({"kind": "neon_branch", "name": name, "created_at": made, "updated_at": made,
        "attributes": attributes})
}

fn main_branch() -> Value {
    branch("main", T0, &json!({"default": true}))
}

/// A person renamed the first, and the second repository's branch has the same
/// name: nothing says that the recorded branch or number is of this repository.
#[test]
fn rule_1_what_was_recorded_without_a_repository_never_kills_alone() {
    let policy = "[[rule]]\nid = \"b\"\nkind = \"neon_branch\"\nname = \"preview/{branch}\"\n\
        dead-when = \"closed\"\n";
    for annotations in [
        json!({"vercel-commit-ref": "b7"}),
        json!({"github-pr-number": "7"}),
    ] {
        let world = world(
            json!([closed(7), open(9)]),
            json!([
                main_branch(),
                annotated("preview/demo", annotations),
                annotated("preview/b7", json!({})),
            ]),
            json!([]),
        );
        let audited = audit(&world, policy);
        assert_eq!(audited.verdict("preview/demo"), "unmatched");
        assert_eq!(audited.verdict("preview/b7"), "garbage");
    }
}

/// The recorded branch explains no name: the template may still be wrong.
#[test]
fn rule_5_what_was_recorded_calibrates_nothing() {
    let policy = "[[rule]]\nid = \"b\"\nkind = \"neon_branch\"\nname = \"preview/{branch}\"\n\
        missing = \"dead\"\ndead-when = \"branch-gone\"\n";
    let head = |number: u32, head: &str| {
        let mut one = open(number);
        one["head_ref"] = json!(head);
        one
    };
    let mut world = world(
        json!([head(1, "feat/one"), head(2, "feat/two")]),
        json!([
            main_branch(),
            annotated("preview/feat-one", json!({"vercel-commit-ref": "feat/one"})),
            annotated("preview/feat-two", json!({})),
        ]),
        json!([]),
    );
    world["git_branches"] = json!(["main", "feat/one", "feat/two"]);
    let audited = audit(&world, policy);
    for name in ["preview/feat-one", "preview/feat-two"] {
        assert_ne!(audited.verdict(name), "garbage", "{name}");
    }
    assert_eq!(audited.report["summary"]["would_delete"], 0);
}

/// A closed pull request is dead for a rule about numbers and an age for a rule
/// about ages, whatever git branch was recorded.
#[test]
fn a_recorded_branch_changes_nothing_for_rules_without_branches() {
    let number = "[[rule]]\nid = \"n\"\nkind = \"neon_branch\"\nname = \"preview/pr-{pr}\"\n\
        dead-when = \"closed\"\n";
    let age = "[[rule]]\nid = \"a\"\nkind = \"neon_branch\"\nname = \"preview/{any}\"\n\
        dead-when = { older-than = \"14d\" }\n";
    let recorded = annotated("preview/pr-7", json!({"vercel-commit-ref": "gone"}));
    let world = world(
        json!([closed(7), open(9)]),
        json!([main_branch(), recorded]),
        json!([]),
    );
    for policy in [number, age] {
        assert_eq!(audit(&world, policy).verdict("preview/pr-7"), "garbage");
    }
}

/// The slug function of the policy strips after the cut, and the tool does not.
#[test]
fn rule_5_a_slug_that_its_function_cannot_give_still_keeps_what_begins_a_living_one() {
    let policy = r#"
[slug.s]
case = "lower"
keep = "a-z0-9"
replace = { with = "-", runs = true }
strip = "both"
length = [17]
[[rule]]
id = "slugs"
kind = "worker"
name = "app-{slug:s}"
missing = "dead"
dead-when = "branch-gone"
[[rule]]
id = "ages"
kind = "worker"
name = "app-{any}"
dead-when = { older-than = "14d" }
"#;
    let mut living = open(7);
    living["head_ref"] = json!("feature/checkout-page");
    let mut world = world(
        json!([living]),
        json!([worker("app-feature-checkout-")]),
        json!([]),
    );
    world["git_branches"] = json!(["main", "feature/checkout-page"]);
    let audited = audit(&world, policy);
    assert_ne!(audited.verdict("app-feature-checkout-"), "garbage");
    assert_eq!(audited.report["summary"]["would_delete"], 0);
}
