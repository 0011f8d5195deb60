//! Answers to a deletion, and what the read after it makes of them.

use serde_json::{Value, json};

use super::{POLICY, Stage, branch, outcomes, reason, record, resources, worker, world};

#[test]
fn rule_9_gone_means_looked_and_not_found() {
    let delete = |path: &str, fault: Value, times: u64| json!([{"on": {"method": "DELETE", "path": path}, "times": times, "fault": fault}]);
    for (what, faults, outcome, code) in [
        // An answer that says not found where a reading still shows it.
        (
            "app-pr-1",
            delete("scripts/app-pr-1", json!({"status": 404}), 9),
            "failed_for_now",
            5,
        ),
        // A success that did nothing.
        (
            "app-pr-1-cache",
            delete(
                "storage/kv",
                json!({"status": 200, "body": {"success": true, "result": null, "errors": [], "messages": []}}),
                9,
            ),
            "in_doubt",
            5,
        ),
        // A failure inside a success.
        (
            "app-pr-1-cache",
            delete(
                "storage/kv",
                json!({"status": 200, "body": {"success": false, "result": null, "errors": [{"code": 10000, "message": "no"}], "messages": []}}),
                9,
            ),
            "failed_for_now",
            5,
        ),
        (
            "app-pr-1",
            delete("scripts/app-pr-1", json!({"status": 403}), 9),
            "failed_for_good",
            5,
        ),
        // Lost answers are settled by reading, and then it is tried again.
        (
            "app-pr-1",
            delete("scripts/app-pr-1", json!({"status": 502}), 1),
            "deleted",
            0,
        ),
        (
            "app-pr-1-cache",
            delete("storage/kv", json!("reset"), 1),
            "deleted",
            0,
        ),
        (
            "pr-1-child",
            delete("branches/", json!({"status": 503}), 2),
            "deleted",
            0,
        ),
    ] {
        let stage = Stage::new(&world(&resources()), POLICY);
        stage.fault(&faults);
        let (swept, exit) = stage.sweep();
        assert_eq!(
            outcomes(&swept)[what],
            outcome,
            "{faults}: {}",
            reason(&swept, what)
        );
        assert_eq!(exit, code, "{faults}");
        assert_eq!(stage.has(what), outcome != "deleted", "{faults}");
    }
}

#[test]
fn a_refused_batch_of_records_is_tried_one_by_one() {
    let records: Vec<_> = (10..20)
        .map(|n| record(&format!("app-pr-{n}.acme.example")))
        .collect();
    let stage = Stage::new(&world(&records), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!((code, stage.writes().len()), (0, 1), "{swept}");
    let stage = Stage::new(&world(&records), POLICY);
    stage.fault(&json!([{"on": {"method": "POST", "path": "batch"}, "fault": {"status": 400, "body": {"success": false, "errors": [{"code": 9999, "message": "no"}]}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!((code, stage.writes().len()), (0, 11), "{swept}");
    assert_eq!(stage.state().len(), 1, "only the default branch");
}

#[test]
fn resource_deleted_by_others_is_already_gone() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let (first, _) = stage.run(&["sweep", "--plan", &plan]);
    assert!(outcomes(&first).values().all(|one| one == "deleted"));
    let writes = stage.writes().len();
    let (second, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0);
    assert!(
        outcomes(&second).values().all(|one| one == "already_gone"),
        "{second}"
    );
    assert_eq!(stage.writes().len(), writes);
}

/// To a key that has lost its access every branch is "not found", by id.
#[test]
fn rule_9_a_branch_that_is_listed_is_not_already_gone() {
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), POLICY);
    let absent = json!({"status": 404, "body": {"message": "project not found"}});
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "/branches/br-"}, "fault": absent},
        {"on": {"method": "GET", "path": "/branches/br-"}, "fault": absent},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "in_doubt", "{swept}");
    let why = reason(&swept, "pr-1");
    assert!(why.contains("the listing shows it"), "{why}");
    // The branch is gone, and both readings say so.
    stage.fault(&json!([]));
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "/branches/br-"}, "times": 1, "fault": "reset_after"},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "deleted", "{swept}");
}

#[test]
fn rule_9_what_one_reading_denies_and_another_shows_is_not_gone() {
    let workers = [worker("app-pr-1", json!([])), worker("app-pr-2", json!([]))];
    // A list that is not there is not an empty one.
    let stage = Stage::new(&world(&workers), POLICY);
    stage.fault(&json!([
        {"on": {"method": "GET", "path": "workers/workers"}, "fault": {"status": 404, "body": {"success": false, "errors": [{"code": 7003, "message": "no route"}]}}},
    ]));
    let (swept, code) = stage.sweep();
    assert!(stage.has("app-pr-1"));
    assert_eq!(code, 3, "{swept}");
    // The deletion fails, and the listing shows it.
    let stage = Stage::new(&world(&workers), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "scripts/"}, "fault": {"status": 500}},
    ]));
    let (swept, code) = stage.sweep();
    assert!(stage.has("app-pr-1"));
    assert_eq!(code, 5, "{swept}");
    // A listing that comes back empty.
    let stage = Stage::new(&world(&workers), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    stage.fault(
        &json!([{"on": {"method": "GET", "path": "workers/scripts$"}, "fault": "empty_page"}]),
    );
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_now");
}

#[test]
fn rule_11_a_token_that_is_said_back_goes_nowhere() {
    const CANARY: &str = "canary-4711-secret";
    let body = json!({"success": false, "errors": [{"code": 1, "message": format!("{} \
        {CANARY}", "x".repeat(190))}]});
    for (method, path, status) in [
        ("DELETE", "scripts/", 200),
        ("DELETE", "scripts/", 403),
        ("GET", "workers/scripts", 200),
        ("GET", "workers/scripts", 403),
    ] {
        let stage = Stage::new(&world(&resources()), POLICY);
        stage.fault(&json!([{"on": {"method": method, "path": path}, "fault": {"status": status, "body": body}}]));
        let output = stage
            .server
            .program()
            .env("CLOUDFLARE_API_TOKEN", CANARY)
            .args(["sweep", "--yes", "-vvv", "--format", "json", "--journal"])
            .arg(stage.folder.path())
            .arg("--policies")
            .arg(&stage.policy)
            .output()
            .unwrap();
        let said = format!(
            "{}{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            stage.journal_text()
        );
        assert!(!said.contains("canary"), "{method} {path} {status}");
    }
}
