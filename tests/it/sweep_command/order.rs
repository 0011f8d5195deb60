//! The order of the deletions, and what waits when a step fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    POLICY, Stage, T0, branch, namespace, outcomes, reason, record, resources, with_queues, worker,
    world,
};

#[test]
fn a_sweep_deletes_what_is_dead_in_the_order_of_use_and_says_so() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    let deleted: BTreeSet<_> = outcomes(&swept).into_iter().collect();
    let expected = [
        "app-pr-1",
        "app-pr-1-cache",
        "app-pr-1.acme.example",
        "pr-1",
        "pr-1-child",
    ];
    let expected = expected.map(|name| (name.to_owned(), "deleted".to_owned()));
    assert_eq!(deleted, BTreeSet::from(expected));
    let kept = [
        "app-pr-2",
        "app-pr-2-cache",
        "app-pr-2.acme.example",
        "pr-2",
        "main",
    ];
    for name in kept {
        assert!(stage.has(name), "{name}");
    }
    let paths: Vec<_> = stage
        .writes()
        .into_iter()
        .map(|(_, path, _)| path)
        .collect();
    let at = |part: &str| paths.iter().position(|path| path.contains(part)).unwrap();
    assert!(at("dns_records") < at("workers/scripts"), "{paths:?}");
    assert!(at("workers/scripts") < at("storage/kv"), "{paths:?}");
    // The child before its parent: the stand-in refuses otherwise.
    // Neon carries out one at a time; otherwise nothing is refused.
    let fine = |status: u64| status == 200 || status == 423;
    assert!(stage.writes().iter().all(|(_, _, status)| fine(*status)));
    // The Worker never with force, the branch never hard.
    let log = stage.server.control("GET", "requests", "").to_string();
    assert!(!log.contains("force") && !log.contains("hard_delete"));
}

#[test]
fn rule_10_a_failed_step_defers_what_depends_on_it_and_nothing_else() {
    let stage = Stage::new(&world(&resources()), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "scripts/app-pr-1"}, "fault": {"status": 403}},
        {"on": {"method": "DELETE", "path": "branches/"}, "times": 4, "fault": {"status": 422, "body": {"code": "", "message": "no"}}},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5);
    let found = outcomes(&swept);
    assert_eq!(found["app-pr-1"], "failed_for_good");
    assert!(reason(&swept, "app-pr-1").contains("Workers Scripts Write"));
    // It is bound by a Worker that is still there.
    assert_eq!(found["app-pr-1-cache"], "deferred", "{swept}");
    assert_eq!(found["app-pr-1.acme.example"], "deleted");
    assert_eq!(found["pr-1-child"], "failed_for_good");
    assert_eq!(found["pr-1"], "deferred");
    assert!(reason(&swept, "pr-1").contains("pr-1-child"));
}

#[test]
fn a_whole_environment_goes_in_an_order_that_the_provider_accepts() {
    let world = crate::support::path("cases/whole-environment.json");
    let stage = Stage::of_case(&world);
    let case: Value = serde_json::from_slice(&std::fs::read(&world).unwrap()).unwrap();
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "a bucket is not empty: {swept}");
    for expect in case["expect"].as_array().unwrap() {
        let text = |key: &str| expect[key].as_str().unwrap().to_owned();
        let stays = text("verdict") != "garbage" || text("name") == "shop-pr-7-full";
        let key = (text("kind"), text("name"));
        assert_eq!(stage.state().contains(&key), stays, "{expect}: {swept}");
    }
    let full = reason(&swept, "shop-pr-7-full");
    assert!(full.contains("lifecycle"), "{full}");
    assert_eq!(outcomes(&swept)["shop-pr-7-full"], "failed_for_good");
    // Nothing else is refused, but for the deployment that wants to be forced and
    // the Worker whose consumer has to go before it.
    let refused: Vec<_> = stage
        .writes()
        .into_iter()
        .filter(|(_, _, status)| *status >= 400)
        .map(|(_, path, _)| path)
        .collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    let paths: Vec<_> = stage
        .writes()
        .into_iter()
        .map(|(_, path, _)| path)
        .collect();
    let at = |part: &str| paths.iter().position(|path| path.contains(part)).unwrap();
    let last = |part: &str| paths.iter().rposition(|path| path.contains(part)).unwrap();
    assert!(
        at("/consumers/") < last("workers/scripts/shop-pr-7"),
        "{paths:?}"
    );
    assert!(at("workers/domains") < at("workers/scripts/shop-pr-7"));
    assert!(at("workers/routes") < at("workers/scripts/shop-pr-7"));
    assert!(at("workers/scripts/shop-pr-7") < at("d1/database"));
}

#[test]
fn deployments_go_inactive_with_their_environment_and_without_rights_the_rest_goes_on() {
    let policy = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\nname = \
        \"preview-{pr}\"\ndead-when = \"closed\"\n";
    let environment = |name: &str| json!({"kind": "github_environment", "name": name, "created_at": T0, "updated_at": T0});
    let deployment = |name: &str, of: &str| {
        json!({"kind": "github_deployment", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"environment": of, "ref": "main"}})
    };
    let all = [
        environment("preview-1"),
        environment("preview-2"),
        deployment("d1", "preview-1"),
        deployment("d2", "preview-2"),
    ];
    let stage = Stage::new(&world(&all), policy);
    stage.fault(&json!([{"on": {"method": "DELETE", "path": "environments"}, "fault": {"status": 403, "body": {"message": "Resource not accessible by integration"}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["preview-1"], "failed_for_good");
    assert!(reason(&swept, "preview-1").contains("Administration: write"));
    assert!(!stage.has("d1") && stage.has("d2") && stage.has("preview-1"));
    stage.fault(&json!([]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert!(!stage.has("preview-1") && stage.has("preview-2"));
}

#[test]
fn a_worker_that_cannot_be_deleted_takes_no_place_with_what_it_uses() {
    let queue = |name: &str, consumer: &str| {
        json!({"kind": "queue", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": [consumer]}})
    };
    let cache = json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"}]);
    let all = [
        worker("app-pr-1", cache),
        namespace("app-pr-1-cache"),
        queue("orders", "app-pr-1"),
        // These two only go together.
        worker("app-pr-3", json!([])),
        queue("orders-pr-3", "app-pr-3"),
    ];
    let stage = Stage::new(&world(&all), &with_queues());
    let (swept, exit) = stage.run(&["sweep", "--yes", "--max-deletions", "2"]);
    assert_eq!(exit, 5, "{swept}");
    assert!(
        !stage.has("app-pr-3") && !stage.has("orders-pr-3"),
        "{swept}"
    );
    assert_eq!(outcomes(&swept)["app-pr-1-cache"], "deferred", "{swept}");
    let (swept, exit) = stage.run(&["sweep", "--yes", "--max-deletions", "2"]);
    assert_eq!(exit, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_good", "{swept}");
    assert!(stage.has("app-pr-1") && stage.has("app-pr-1-cache"));
}

/// The two are at different providers.
#[test]
fn a_neon_branch_waits_for_the_hyperdrive_configuration_that_uses_it() {
    let database = json!({"kind": "hyperdrive", "name": "app-pr-1-sql", "created_at": T0,
        "updated_at": T0, "attributes": {"host": "ep-pr-1.eu-central-1.aws.neon.tech"}});
    let mut branch = branch("pr-1", "main");
    branch["id"] = json!("br-pr-1");
    let policy = format!(
        "{POLICY}[[rule]]\nid = \"databases\"\nkind = \"hyperdrive\"\nname = \
         \"app-pr-{{pr}}-sql\"\ndead-when = \"closed\"\n"
    );
    let slow = json!({"delay_ms": 300});
    let refused = json!({"status": 403, "body": {"success": false, "errors": [{"code": 10_000, "message": "refused"}]}});
    for (fault, code, expected) in [(slow, 0, "deleted"), (refused, 5, "deferred")] {
        let stage = Stage::new(&world(&[database.clone(), branch.clone()]), &policy);
        stage.fault(&json!([{"on": {"method": "DELETE", "path": "/hyperdrive/"}, "fault": fault}]));
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, code, "{swept}");
        assert_eq!(outcomes(&swept)["pr-1"], expected, "{swept}");
        let writes = stage.writes();
        let at = |part: &str| writes.iter().position(|(_, path, _)| path.contains(part));
        assert!(at("/hyperdrive/").is_some(), "{writes:?}");
        match expected {
            "deleted" => assert!(at("/hyperdrive/") < at("/branches/"), "{writes:?}"),
            _ => assert_eq!(at("/branches/"), None, "{writes:?}"),
        }
    }
}

/// Whoever removes the guard first opens what is still there.
#[test]
fn an_access_application_goes_after_the_record_of_its_host() {
    let guard = json!({"kind": "access_application", "name": "guard-1",
        "attributes": {"domain": "app-pr-1.acme.example"}});
    let policy = format!(
        "{POLICY}[[rule]]\nid = \"guards\"\nkind = \"access_application\"\nname = \
         \"guard-{{pr}}\"\ndead-when = \"closed\"\n"
    );
    let record = record("app-pr-1.acme.example");
    let slow = json!({"delay_ms": 300});
    let refused = json!({"status": 403, "body": {"success": false, "errors": [{"code": 10_000, "message": "refused"}]}});
    for (fault, code, expected) in [(slow, 0, "deleted"), (refused, 5, "deferred")] {
        let stage = Stage::new(&world(&[guard.clone(), record.clone()]), &policy);
        let deletion = json!({"method": "DELETE", "path": "/dns_records/"});
        stage.fault(&json!([{"on": deletion, "fault": fault}]));
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, code, "{swept}");
        assert_eq!(outcomes(&swept)["guard-1"], expected, "{swept}");
        let writes = stage.writes();
        let at = |part: &str| writes.iter().position(|(_, path, _)| path.contains(part));
        assert!(at("/dns_records/").is_some(), "{writes:?}");
        match expected {
            "deleted" => assert!(at("/dns_records/") < at("/access/apps/"), "{writes:?}"),
            _ => assert_eq!(at("/access/apps/"), None, "{writes:?}"),
        }
    }
}
