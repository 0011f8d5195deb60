//! Workers that bind each other.

use serde_json::{Value, json};

use super::{POLICY, Stage, T0, outcomes, reason, row, with_queues, worker, world};

#[test]
fn workers_that_bind_each_other_go_before_what_they_bind() {
    let service = |target: &str| json!([{"type": "service", "name": "NEXT", "target": target}]);
    let chain = [
        worker("app-pr-10", service("app-pr-11")),
        worker("app-pr-11", service("app-pr-12")),
        worker("app-pr-12", json!([])),
    ];
    let stage = Stage::new(&world(&chain), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(stage.state().len(), 1, "only the default branch");
    assert!(stage.writes().iter().all(|(_, _, status)| *status == 200));
}

/// Two dead Workers that bind each other, the second with what else it binds.
fn cycle(others: &[Value]) -> Vec<Value> {
    let service = |target: &str| json!({"type": "service", "name": "OTHER", "target": target});
    let bindings: Vec<Value> = std::iter::once(service("app-pr-1"))
        .chain(others.to_vec())
        .collect();
    vec![
        worker("app-pr-1", json!([service("app-pr-3")])),
        worker("app-pr-3", json!(bindings)),
    ]
}

#[test]
fn workers_that_bind_each_other_go_after_one_binding_is_removed() {
    let namespace = json!({"type": "kv_namespace", "name": "KV", "target": "app-pr-3-cache"});
    let mut all = cycle(&[namespace]);
    all.push(json!({"kind": "kv_namespace", "name": "app-pr-3-cache"}));
    all.push(
        json!({"kind": "queue", "name": "orders-pr-1", "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
    );
    let stage = Stage::new(&world(&all), &with_queues());
    let plan = stage.folder.path().join("plan.json");
    let (audit, _) = stage.run(&["audit", "--out", plan.to_str().unwrap()]);
    let row = |name: &str| {
        let rows = audit["resources"].as_array().unwrap().iter();
        rows.clone()
            .find(|row| row["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(row("app-pr-1")["unbinds"], json!(["app-pr-3"]), "{audit}");
    assert_eq!(row("app-pr-3")["unbinds"], Value::Null);
    let planned: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    let steps = planned["steps"].as_array().unwrap();
    let at = |name: &str| steps.iter().position(|step| step["name"] == name).unwrap();
    assert_eq!(steps[at("app-pr-1")]["unbinds"], json!([at("app-pr-3")]));

    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(
        outcomes(&swept).values().all(|one| one == "deleted"),
        "{swept}"
    );
    assert!(!stage.has("app-pr-1") && !stage.has("app-pr-3"));
    let writes = stage.writes();
    let patches: Vec<usize> = (0..writes.len())
        .filter(|&at| writes[at].0 == "PATCH")
        .collect();
    assert_eq!(patches.len(), 1, "{writes:?}");
    assert!(writes[patches[0]].1.ends_with("scripts/app-pr-3/settings"));
    let consumer = writes
        .iter()
        .position(|(_, path, _)| path.contains("/consumers/"));
    assert!(consumer > Some(patches[0]), "{writes:?}");
    let journal = stage.journal_text();
    assert!(journal.contains("/settings (removes OTHER)"), "{journal}");
}

#[test]
fn workers_that_send_each_other_their_logs_go_as_the_plan_says() {
    let tailed = |name: &str, tail: &str| {
        let mut worker = worker(name, json!([]));
        worker["attributes"]["tail_consumers"] = json!([tail]);
        worker
    };
    let all = [
        tailed("app-pr-1", "app-pr-3"),
        tailed("app-pr-3", "app-pr-1"),
    ];
    let stage = Stage::new(&world(&all), POLICY);
    let (audit, _) = stage.run(&["audit"]);
    assert_eq!(
        row(&audit, "app-pr-1")["unbinds"],
        json!(["app-pr-3"]),
        "{audit}"
    );
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(!stage.has("app-pr-1") && !stage.has("app-pr-3"), "{swept}");
    let journal = stage.journal_text();
    let said = "/settings (removes app-pr-1 in tail_consumers)";
    assert!(journal.contains(said), "{journal}");
}

#[test]
fn a_change_that_the_run_made_itself_spares_nothing_when_it_is_read_again() {
    let stage = Stage::new(&world(&cycle(&[])), POLICY);
    // What was read grows too old between the two deletions.
    stage.fault(
        &json!([{"on": {"method": "DELETE", "path": "scripts/app-pr-1"}, "fault": {"delay_ms": 2500}}]),
    );
    let (swept, exit) = stage.run(&["sweep", "--yes", "--reread-after", "2s"]);
    assert_eq!(exit, 0, "{swept}");
    assert!(
        outcomes(&swept).values().all(|one| one == "deleted"),
        "{swept}"
    );
}

#[test]
fn workers_whose_cycle_cannot_be_broken_fail_before_anything_is_sent() {
    let objects = json!({"type": "durable_object_namespace", "name": "ROOMS",
        "class_name": "Room", "script_name": "app-pr-1"});
    let service = json!({"type": "service", "name": "OTHER", "service": "app-pr-1"});
    let mut all = cycle(&[]);
    all.push(
        json!({"kind": "queue", "name": "orders-pr-1", "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
    );
    let stage = Stage::new(&world(&all), &with_queues());
    stage.fault(
        &json!([{"on": {"method": "GET", "path": "scripts/app-pr-3/settings"}, "times": 99,
        "fault": {"status": 200, "body": {"success": true, "errors": [], "messages": [],
            "result": {"bindings": [service, objects]}}}}]),
    );
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_good", "{swept}");
    let why = reason(&swept, "app-pr-1");
    assert!(
        why.contains("bind each other") && why.contains("by hand"),
        "{why}"
    );
    assert_eq!(stage.writes(), []);
}

#[test]
fn a_worker_of_a_cycle_that_somebody_deploys_meanwhile_is_spared() {
    let stage = Stage::new(&world(&cycle(&[])), POLICY);
    // The change is made, and does not show.
    stage.fault(&json!([{"on": {"method": "PATCH", "path": "/settings"},
        "fault": {"status": 200, "body": {"success": true, "errors": [], "messages": [], "result": {}}}}]));
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert!(stage.has("app-pr-1") && stage.has("app-pr-3"), "{swept}");
    let why = reason(&swept, "app-pr-1");
    assert!(
        why.contains("does not show") && why.contains("requests sent for it before"),
        "{why}"
    );
}

/// A Worker that stays without one of its bindings does not work as before, and that is
/// said of it.
#[test]
fn a_binding_that_was_removed_in_vain_is_said_of_the_worker_that_had_it() {
    for (refused, stays) in [
        ("app-pr-1", &["app-pr-1", "app-pr-3"][..]),
        ("app-pr-3", &["app-pr-3"]),
    ] {
        let stage = Stage::new(&world(&cycle(&[])), POLICY);
        stage.fault(&json!([{"on": {"method": "DELETE", "path": format!("scripts/{refused}")},
            "fault": {"status": 403, "body": {"success": false, "errors": [{"code": 10000, "message": "no"}]}}}]));
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, 5, "{swept}");
        for name in ["app-pr-1", "app-pr-3"] {
            assert_eq!(stage.has(name), stays.contains(&name), "{swept}");
        }
        // The second Worker has lost its binding to the first.
        let why = reason(&swept, "app-pr-3");
        assert!(
            why.contains("its binding OTHER") && why.contains("removed"),
            "{refused}: {why}"
        );
        assert!(why.contains("deploy it again"), "{refused}: {why}");
        let outcome = &outcomes(&swept)["app-pr-3"];
        assert!(outcome.starts_with("failed"), "{refused}: {outcome}: {why}");
        if refused == "app-pr-1" {
            let why = reason(&swept, "app-pr-1");
            assert!(
                why.contains("app-pr-3") && why.contains("binding OTHER"),
                "{why}"
            );
        }
    }
}
