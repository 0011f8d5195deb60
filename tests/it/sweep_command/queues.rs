//! Queues and their consumers.

use serde_json::json;

use super::{POLICY, Stage, T0, outcomes, reason, row, with_queues, worker, world};

#[test]
fn a_queue_keeps_its_consumer_unless_the_worker_is_refused_for_it_and_what_was_in_vain_is_said() {
    let refusals = [
        (400, 10_142, "failed_for_now", false),
        (403, 10_000, "failed_for_good", false),
        (403, 10_064, "failed_for_good", false),
        (400, 10_064, "failed_for_now", true),
    ];
    for (status, code, outcome, released) in refusals {
        let all = [
            worker("app-pr-1", json!([])),
            json!({"kind": "queue", "name": "orders-pr-1", "created_at": T0, "updated_at": T0,
            "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
        ];
        let stage = Stage::new(&world(&all), &with_queues());
        stage.fault(
            &json!([{"on": {"method": "DELETE", "path": "scripts/"}, "fault": {"status": status,
            "body": {"success": false, "errors": [{"code": code, "message": "refused"}]}}}]),
        );
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, 5, "{swept}");
        assert_eq!(outcomes(&swept)["app-pr-1"], outcome, "{swept}");
        let writes = stage.writes();
        let consumers = writes
            .iter()
            .any(|(_, path, _)| path.contains("/consumers/"));
        assert_eq!(consumers, released, "{writes:?}");
        let why = reason(&swept, "app-pr-1");
        assert_eq!(
            why.contains("requests sent for it before"),
            released,
            "{why}"
        );
        assert!(stage.has("app-pr-1"));
    }
}

#[test]
fn a_queue_that_stays_keeps_its_consumer_and_the_worker_fails_before_anything_is_sent() {
    let protect = "[[protect]]\nname = \"orders-*\"\nreason = \"in use\"\n";
    let protected = format!("{}{protect}", with_queues());
    let queues = with_queues();
    for (name, policy, args, outcome, code, verdict) in [
        // Queues are listed although no rule is about them.
        ("orders", POLICY, &[][..], "failed_for_good", 5, "unmatched"),
        (
            "orders",
            &*queues,
            &[][..],
            "failed_for_good",
            5,
            "unmatched",
        ),
        ("orders-pr-2", &queues, &[], "failed_for_good", 5, "live"),
        (
            "orders-pr-1",
            &protected,
            &[],
            "failed_for_good",
            5,
            "protected",
        ),
        (
            "orders-pr-1",
            &queues,
            &["--kind", "worker"],
            "failed_for_good",
            5,
            "outside of what this run was asked to do",
        ),
    ] {
        let all = [
            worker("app-pr-1", json!([])),
            json!({"kind": "queue", "name": name, "created_at": T0, "updated_at": T0,
            "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
        ];
        let stage = Stage::new(&world(&all), policy);
        let (audit, _) = stage.run(&[&["audit"], args].concat());
        let audited = row(&audit, "app-pr-1");
        assert_eq!(audited["next_sweep"], "blocked", "{name}: {audited}");
        let said = audited.to_string();
        let why = format!("no sweep deletes it for now: queue {name} stays");
        assert!(said.contains(&why), "{name}: {said}");
        let args = [&["sweep", "--yes"], args].concat();
        let (swept, exit) = stage.run(&args);
        assert_eq!(
            (exit, &*outcomes(&swept)["app-pr-1"]),
            (code, outcome),
            "{swept}"
        );
        assert_eq!(stage.writes(), [], "{name}");
        let why = reason(&swept, "app-pr-1");
        assert!(
            why.contains(&format!("queue {name}")) && why.contains(verdict),
            "{why}"
        );
        assert!(why.contains("remove the consumer"), "{why}");
    }
}

#[test]
fn a_queue_that_somebody_pulls_from_over_http_is_in_use() {
    let queue = |name: &str| {
        json!({"kind": "queue", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": []}})
    };
    let all = [queue("orders-pr-1"), queue("mails-pr-1")];
    let policy = with_queues().replace(
        "\"orders-pr-{pr}\"",
        "[\"orders-pr-{pr}\", \"mails-pr-{pr}\"]",
    );
    let stage = Stage::new(&world(&all), &policy);
    let state = stage.server.control("GET", "state", "");
    let mut queues = state["resources"].as_array().unwrap().iter();
    let id = queues.find(|one| one["name"] == "orders-pr-1").unwrap()["id"].clone();
    let path = format!(
        "client/v4/accounts/36acdabd7c434d35e865c85c73587bf9/queues/{}/consumers",
        id.as_str().unwrap()
    );
    stage
        .server
        .request("POST", &path, r#"{"type": "http_pull"}"#);
    // A new consumer is a change, and starts a new grace.
    let clock = stage
        .server
        .control("POST", "clock", r#"{"advance": "48h"}"#);
    let now = clock["now"].as_str().unwrap();
    let (swept, code) = stage.run(&["sweep", "--yes", "--now", now]);
    assert_eq!(code, 0, "{swept}");
    let rows = swept["resources"].as_array().unwrap().iter();
    let row = rows
        .clone()
        .find(|one| one["name"] == "orders-pr-1")
        .unwrap();
    assert_eq!(row["verdict"], "in_use", "{row}");
    assert!(stage.has("orders-pr-1"), "{swept}");
    assert!(!stage.has("mails-pr-1"), "{swept}");
}
