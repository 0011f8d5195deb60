//! What changed since the plan, the audit or the last listing is judged anew before it
//! is deleted.

use serde_json::{Value, json};

use super::{
    MANY, POLICY, Stage, branch, many, namespace, outcomes, reason, record, resources, worker,
    world,
};
use crate::support::report;

#[test]
fn rule_7_what_changed_since_the_plan_is_spared() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0);
    assert!(
        outcomes(&swept).values().all(|one| one == "spared"),
        "{swept}"
    );
    assert!(reason(&swept, "app-pr-1").contains("open"));
    assert!(stage.writes().is_empty());

    // A branch that got a child, and a Worker that was deployed again.
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    stage.server.control(
        "POST",
        "resources",
        &branch("made-by-hand", "pr-1").to_string(),
    );
    let account = &stage
        .server
        .environment
        .iter()
        .find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID")
        .unwrap()
        .1;
    stage.server.request(
        "DELETE",
        &format!("client/v4/accounts/{account}/workers/scripts/app-pr-1"),
        "",
    );
    stage.server.control(
        "POST",
        "resources",
        &worker("app-pr-1", json!([])).to_string(),
    );
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0, "{swept}");
    let found = outcomes(&swept);
    assert_eq!(found["pr-1"], "spared");
    assert_eq!(found["pr-1-child"], "deleted");
    assert_eq!(
        found["app-pr-1"],
        "spared",
        "{}",
        reason(&swept, "app-pr-1")
    );
    assert!(stage.has("app-pr-1") && stage.has("pr-1") && stage.has("made-by-hand"));
}

#[test]
fn rule_7_what_cannot_be_read_again_is_not_deleted() {
    for (fault, spared) in [
        (
            json!({"on": "cloudflare.kv_namespace", "fault": {"status": 500}}),
            "app-pr-1-cache",
        ),
        (
            json!({"on": "github.pull_requests", "fault": {"status": 500}}),
            "app-pr-1",
        ),
    ] {
        let stage = Stage::new(&world(&resources()), POLICY);
        let plan = stage.file("plan.json");
        stage.run(&["audit", "--out", &plan]);
        stage.fault(&json!([fault]));
        let (swept, code) = stage.run(&["sweep", "--plan", &plan, "--deadline", "4s"]);
        assert!(code == 3 || code == 5, "{code}: {swept}");
        assert!(stage.has(spared), "{fault}");
        assert_ne!(
            outcomes(&swept).get(spared).map(String::as_str),
            Some("deleted")
        );
    }
}

#[test]
fn rule_7_a_gentler_rule_of_today_overrides_the_plan() {
    let branches = [branch("pr-1", "main"), branch("pr-2", "main")];
    let stage = Stage::new(&world(&branches), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    std::fs::write(&stage.policy, format!("{POLICY}action = \"expire\"\n")).unwrap();
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0);
    assert_eq!(outcomes(&swept)["pr-1"], "spared", "{swept}");
    assert!(stage.has("pr-1"));
}

#[test]
fn rule_4_what_a_worker_uses_that_changed_since_the_plan_is_kept() {
    let stage = Stage::new(
        &world(&[worker("app-pr-1", json!([])), namespace("app-pr-3-cache")]),
        POLICY,
    );
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    // Redeployed, with something of another pull request.
    let account = stage.server.environment.iter();
    let account = account
        .clone()
        .find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID");
    let base = format!("client/v4/accounts/{}", account.unwrap().1);
    let listed = stage
        .server
        .request("GET", &format!("{base}/storage/kv/namespaces"), "");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let binds =
        json!({"type": "kv_namespace", "name": "KV", "namespace_id": listed["result"][0]["id"]});
    let upload = json!({"main_module": "worker.js", "bindings": [binds]}).to_string();
    let answer = stage
        .server
        .request("PUT", &format!("{base}/workers/scripts/app-pr-1"), &upload);
    assert!(answer.contains("\"success\":true"), "{answer}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "3h"}"#);
    let mut command = stage.server.program();
    command.env("PREVIEW_GC_NOW", "2026-05-01T03:00:00Z");
    command.args([
        "sweep", "-q", "--format", "json", "--grace", "1h", "--plan", &plan,
    ]);
    command.arg("--journal").arg(stage.folder.path());
    command.arg("--policies").arg(&stage.policy);
    let (swept, code) = report(&command.output().unwrap());
    let found = outcomes(&swept);
    assert_eq!((code, &*found["app-pr-1"]), (0, "spared"), "{swept}");
    assert_ne!(found["app-pr-3-cache"], "deleted", "{swept}");
    assert!(stage.has("app-pr-3-cache"));
}

#[test]
fn rule_7_what_a_plan_names_is_judged_by_all_that_is_seen_today() {
    let policy = format!(
        "{POLICY}[[protect]]\nkind = \"worker_domain\"\nname = \"www.*\"\nreason = \"the shop\"\n"
    );
    let route = json!({"kind": "worker_route", "name": "app-pr-1.acme.example/*",
        "attributes": {"script": "app-pr-1", "zone": "acme.example"}});
    let stage = Stage::new(&world(&[worker("app-pr-1", json!([])), route]), &policy);
    let plan = stage.file("plan.json");
    let (audited, _) = stage.run(&["audit", "--out", &plan]);
    assert_eq!(audited["summary"]["would_delete"], 2, "{audited}");
    // Meanwhile the shop is served by it; the cap leaves the Worker out of sight.
    let www = json!({"kind": "worker_domain", "name": "www.acme.example",
        "attributes": {"service": "app-pr-1", "zone": "acme.example"}});
    stage.server.control("POST", "resources", &www.to_string());
    let (swept, code) = stage.run(&["sweep", "--plan", &plan, "--max-deletions", "1"]);
    assert_eq!(code, 0, "{swept}");
    assert!(stage.writes().is_empty(), "{swept}");
    assert!(stage.has("app-pr-1.acme.example/*"), "{swept}");
}

#[test]
fn rule_7_a_domain_that_was_pointed_elsewhere_since_the_plan_is_spared() {
    let policy = "[[rule]]\nid = \"domains\"\nkind = \"worker_domain\"\nname = \
        \"app-pr-{pr}.acme.example\"\ndead-when = \"closed\"\n";
    let domain = json!({"kind": "worker_domain", "name": "app-pr-1.acme.example",
        "attributes": {"service": "app-pr-1", "zone": "acme.example"}});
    let all = [
        worker("app-pr-1", json!([])),
        worker("shop", json!([])),
        domain,
    ];
    let stage = Stage::new(&world(&all), policy);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let variable = |name: &str| {
        let mut all = stage.server.environment.iter();
        all.find(|(key, _)| key == name).unwrap().1.clone()
    };
    let path = format!(
        "client/v4/accounts/{}/workers/domains",
        variable("CLOUDFLARE_ACCOUNT_ID")
    );
    let pointed = json!({"hostname": "app-pr-1.acme.example", "service": "shop",
        "zone_id": variable("CLOUDFLARE_ZONE_ID"), "environment": "production"});
    let answer = stage.server.request("PUT", &path, &pointed.to_string());
    assert!(answer.contains("\"service\":\"shop\""), "{answer}");
    let writes = stage.writes().len();
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(
        (code, &*outcomes(&swept)["app-pr-1.acme.example"]),
        (0, "spared"),
        "{swept}"
    );
    assert_eq!(stage.writes().len(), writes);
}

#[test]
fn rule_7_nothing_rests_on_a_listing_that_is_too_old() {
    let stage = Stage::new(&world(&many()), POLICY);
    // A backup takes longer than a listing stays young.
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    std::fs::write(&stage.policy, policy).unwrap();
    stage.fault(&json!([{"on": {"method": "GET", "path": "/keys"}, "times": 20, "fault": {"delay_ms": 60}}]));
    let mut arguments = MANY.to_vec();
    arguments.extend(["--reread-after", "1s"]);
    let (swept, code) = stage.run(&arguments);
    assert_eq!(code, 0, "{swept}");
    let log = stage.server.control("GET", "requests", "");
    let time = |one: &Value| {
        let text = one["time"].as_str().unwrap();
        text.parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    let mut listed = None;
    for one in log.as_array().unwrap() {
        let path = one["path"].as_str().unwrap();
        if path.ends_with("/storage/kv/namespaces") {
            listed = Some(time(one));
        }
        if one["method"] == "DELETE" && path.contains("/storage/kv/namespaces/") {
            let age = time(one) - listed.unwrap();
            assert!(age <= chrono::TimeDelta::milliseconds(1_500), "{age}");
        }
    }
}

#[test]
fn a_record_is_deleted_if_a_complete_listing_lacks_its_tunnel() {
    let mut dangling = record("app-pr-1.acme.example");
    dangling["attributes"]["content"] = json!("gone.cfargotunnel.com");
    let policy = "[limits]\ngrace = \"0s\"\n[[rule]]\nid = \"hosts\"\nkind = \"dns_record\"\nname = \
                  \"app-pr-{pr}.acme.example\"\ndead-when = { target-gone = true }\n";
    let policy = &format!("repository = \"acme/shop\"\n{policy}");
    let world = &world(&[dangling, json!({"kind": "tunnel", "name": "office"})]);
    let stage = Stage::new(world, policy);
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(!stage.has("app-pr-1.acme.example"), "{swept}");
    for times in [Value::Null, json!(1)] {
        let stage = Stage::new(world, policy);
        let refused = json!({"status": 403});
        let listing = json!({"method": "GET", "path": "/cfd_tunnel$"});
        stage.fault(&json!([{"on": listing, "times": times, "fault": refused}]));
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, 3, "{swept}");
        assert!(stage.has("app-pr-1.acme.example"), "{swept}");
    }
}

/// A tunnel may exist again just before the deletion.
#[test]
fn the_tunnels_are_listed_again_before_a_record_is_deleted() {
    let mut dangling = record("app-pr-1.acme.example");
    dangling["attributes"]["content"] = json!("gone.cfargotunnel.com");
    let policy = "repository = \"acme/shop\"\n[limits]\ngrace = \"0s\"\n[[rule]]\nid = \"hosts\"\n\
                  kind = \"dns_record\"\nname = \"app-pr-{pr}.acme.example\"\n\
                  dead-when = { target-gone = true }\n";
    let other = json!({"kind": "tunnel", "name": "office"});
    let stage = Stage::new(&world(&[dangling, other]), policy);
    stage.sweep();
    let requests = stage.server.control("GET", "requests", "");
    let paths = requests.as_array().unwrap().iter();
    let paths: Vec<_> = paths
        .map(|one| (one["method"].clone(), one["path"].clone()))
        .collect();
    let at = |method: &str, part: &str| {
        let is = |one: &(Value, Value)| one.0 == method && one.1.as_str().unwrap().contains(part);
        paths.iter().filter(|one| is(one)).count()
    };
    assert_eq!(at("DELETE", "/dns_records/"), 1, "{paths:?}");
    assert_eq!(at("GET", "/cfd_tunnel"), 2, "{paths:?}");
}
