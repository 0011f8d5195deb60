//! Worker Previews: what they use stays, and one that stays keeps its Worker.

use serde_json::{Value, json};

use super::{
    NAMESPACES, PREVIEWS, WORKERS, audit, audit_with, closed, open, preview, worker, world,
};

fn binds(namespace: &str) -> Value {
    json!({"bindings": [{"type": "kv_namespace", "name": "KV", "target": namespace}]})
}

/// Only the provider's own code says that a Preview has no deployment: a gateway
/// answers 404 as well.
#[test]
fn a_404_alone_does_not_say_what_a_preview_binds() {
    let resources = json!([
        worker("site"),
        preview("pr-9", "site", &binds("app-pr-7-kv")),
        preview("pr-7", "site", &json!({"repository": "acme/other", "pull_request_number": 7})),
        {"kind": "kv_namespace", "name": "app-pr-7-kv"},
    ]);
    let policy = format!("{NAMESPACES}{PREVIEWS}");
    let pulls = || json!([closed(7), open(9)]);
    let seen = audit(&world(pulls(), resources.clone(), json!([])), &policy);
    assert_eq!(seen.verdict("app-pr-7-kv"), "in_use", "{}", seen.report);
    assert_eq!(seen.code, 0);
    let body = json!({"success": false, "errors": [{"code": 7003, "message": "no"}]});
    let faults = json!([{"on": {"method": "GET", "path": "/deployments/latest$"}, "times": null,
        "fault": {"status": 404, "body": body}}]);
    let hidden = audit(&world(pulls(), resources, faults), &policy);
    assert_eq!(
        hidden.verdict("app-pr-7-kv"),
        "unknown",
        "{}",
        hidden.report
    );
    assert_ne!(hidden.verdict("pr-7"), "garbage", "another repository's");
    assert_eq!(hidden.code, 3);
}

/// A page that comes twice hides another one, though as many items are shown as
/// the provider counts.
#[test]
fn a_page_of_previews_that_comes_twice_hides_nobody() {
    let mut resources = vec![
        worker("site"),
        json!({"kind": "kv_namespace", "name": "app-pr-7-kv"}),
    ];
    for number in 1..=199 {
        resources.push(preview(&format!("demo-{number}"), "site", &json!({})));
    }
    let last = preview("demo-200", "site", &binds("app-pr-7-kv"));
    resources.push(last);
    let pulls = || json!([closed(7), open(9)]);
    let seen = audit(&world(pulls(), json!(resources), json!([])), NAMESPACES);
    assert_eq!(seen.verdict("app-pr-7-kv"), "in_use", "{}", seen.report);
    let faults = json!([{"on": {"method": "GET", "path": "/workers/workers/site/previews$"},
        "times": null, "fault": "repeat_page"}]);
    let hidden = audit(&world(pulls(), json!(resources), faults), NAMESPACES);
    assert_eq!(
        hidden.verdict("app-pr-7-kv"),
        "unknown",
        "{}",
        hidden.report
    );
    assert_eq!(hidden.code, 3);
}

#[test]
fn a_protect_entry_covers_the_previews_inside_of_a_worker() {
    let resources = json!([
        worker("app-pr-7"),
        preview("pr-7-demo", "app-pr-7", &json!({})),
        worker("app-pr-3"),
        preview("pr-3-demo", "app-pr-3", &json!({})),
    ]);
    let world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    let policy = format!("{WORKERS}\n[[protect]]\nname = \"pr-7-*\"\nreason = \"for the fair\"\n");
    let audited = audit(&world, &policy);
    assert_eq!(audited.verdict("app-pr-7"), "in_use", "{}", audited.report);
    assert_eq!(audited.verdict("app-pr-3"), "garbage", "{}", audited.report);
}

#[test]
fn a_preview_that_the_run_is_not_about_keeps_its_worker() {
    let resources = json!([
        worker("app-pr-7"),
        preview("pr-7", "app-pr-7", &json!({})),
        worker("app-pr-3"),
    ]);
    let world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    assert_eq!(audit(&world, WORKERS).verdict("app-pr-7"), "garbage");
    let audited = audit_with(&world, WORKERS, &["--kind", "worker"]);
    assert_eq!(audited.verdict("app-pr-7"), "in_use", "{}", audited.report);
    assert_eq!(audited.verdict("app-pr-3"), "garbage", "{}", audited.report);
    let both = ["--kind", "worker", "--kind", "worker_preview"];
    let audited = audit_with(&world, WORKERS, &both);
    assert_eq!(audited.verdict("app-pr-7"), "garbage", "{}", audited.report);
}

/// A path says nothing about whose preview it is.
#[test]
fn a_route_keeps_its_worker_unless_its_host_has_the_claim() {
    let policy = r#"
[[rule]]
id = "branches"
kind = "worker"
name = "app-{branch}"
dead-when = "closed"
[[rule]]
id = "numbers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
"#;
    let route = |pattern: &str, worker: &str| {
        json!({"kind": "worker_route", "name": pattern, "attributes": {"script": worker,
            "zone": "acme.example"}})
    };
    for (pattern, name, verdict) in [
        ("www.acme.example/b7/*", "app-b7", "in_use"),
        ("acme.example/app-b7/*", "app-b7", "in_use"),
        ("www.acme.example/pr-7/*", "app-pr-7", "in_use"),
        ("b7.acme.example/*", "app-b7", "garbage"),
        ("app-pr-7.acme.example/api/*", "app-pr-7", "garbage"),
    ] {
        let resources = json!([worker(name), route(pattern, name)]);
        let pulls = json!([closed(7), open(9)]);
        let audited = audit(&world(pulls, resources, json!([])), policy);
        assert_eq!(
            audited.verdict(name),
            verdict,
            "{pattern}: {}",
            audited.report
        );
    }
}

/// The tenant of a dispatch namespace sends its logs to a Worker.
#[test]
fn a_worker_that_a_tenant_is_tailed_by_is_in_use() {
    let mut tenant = worker("tenant");
    tenant["attributes"] = json!({"dispatch_namespace": "tenants", "tail_consumers": ["app-pr-7"]});
    let resources = json!([tenant, worker("app-pr-7"), worker("app-pr-3")]);
    let pulls = json!([closed(7), closed(3), open(9)]);
    let audited = audit(&world(pulls, resources, json!([])), WORKERS);
    assert_eq!(audited.verdict("app-pr-7"), "in_use", "{}", audited.report);
    assert_eq!(audited.verdict("app-pr-3"), "garbage", "{}", audited.report);
}

/// Previews that no rule is about get no verdict, and what would keep a listed one
/// keeps the Worker that they are in.
#[test]
fn a_preview_without_a_rule_keeps_its_worker_like_a_listed_one() {
    let recorded = |repository: &str, number: u32| json!({"repository": repository, "pull_request_number": number});
    let mut young = preview("pr-7", "app-pr-7", &json!({}));
    young["updated_at"] = json!("2026-04-30T20:00:00Z");
    for (preview, verdict) in [
        (preview("pr-7", "app-pr-7", &json!({})), "garbage"),
        (
            preview("pr-7", "app-pr-7", &recorded("acme/shop", 7)),
            "garbage",
        ),
        (
            preview("pr-7", "app-pr-7", &recorded("acme/shop", 9)),
            "in_use",
        ),
        (
            preview("pr-7", "app-pr-7", &recorded("acme/other", 7)),
            "in_use",
        ),
        (
            preview("pr-7", "app-pr-7", &json!({"tags": ["preview-gc:keep"]})),
            "in_use",
        ),
        (
            preview(
                "pr-7",
                "app-pr-7",
                &json!({"annotations": {"workers/pull_request_number": "x7"}}),
            ),
            "in_use",
        ),
        (young, "in_use"),
    ] {
        let resources = json!([worker("app-pr-7"), preview]);
        let world = world(json!([closed(7), open(9)]), resources, json!([]));
        let audited = audit(&world, WORKERS);
        assert_eq!(
            audited.verdict("app-pr-7"),
            verdict,
            "{preview}: {}",
            audited.report
        );
    }
}
