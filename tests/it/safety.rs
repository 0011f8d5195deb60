//! One test for every safety rule, named after it: what the program promises,
//! seen from outside.

mod absent;
mod answers;
mod branches;
mod focus;
mod gaps;
mod hosts;
mod previews;
mod recorded;
mod slugs;
mod unseen;
mod users;

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

/// A record of the zone `acme.example`.
fn record(name: &str, sort: &str, content: &str) -> Value {
    json!({"kind": "dns_record", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"zone": "acme.example", "type": sort, "content": content, "proxied": true}})
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
