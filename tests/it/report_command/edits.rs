//! Edits of people between the read and the write of a run.

use serde_json::json;

use super::{Stage, worker};

/// Runs `report`, and changes something between its last reading and its
/// writing.
fn report_while(stage: &Stage, change: impl FnOnce(&Stage)) {
    let hold =
        json!([{"on": {"method": "PATCH", "path": "/issues/"}, "times": 1, "fault": "hold"}]);
    stage.server.plant(&hold);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| stage.report());
        while stage.server.control("GET", "faults", "")[0]["hits"] == 0 {
            assert!(!running.is_finished(), "the issue was not written");
            std::thread::yield_now();
        }
        change(stage);
        stage.server.take_faults();
        running.join().unwrap();
    });
}

#[test]
fn a_tick_that_comes_in_between_survives() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    stage.report();
    // Something new, so that the issue has to be written.
    stage
        .server
        .control("POST", "resources", &worker("app-pr-3").to_string());
    report_while(&stage, |stage| stage.set_box("keep", "app-pr-1", true));
    assert!(stage.body().contains("- [x] keep"), "{}", stage.body());
}

#[test]
fn a_tick_that_is_taken_back_in_between_is_not_carried_out() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    stage.report();
    stage.set_box("delete at the next sweep", "app-pr-1", true);
    stage
        .server
        .control("POST", "resources", &worker("app-pr-3").to_string());
    report_while(&stage, |stage| {
        stage.set_box("delete at the next sweep", "app-pr-1", false);
    });
    assert!(!stage.body().contains("[x]"), "{}", stage.body());
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1"));
}

#[test]
fn a_leak_that_somebody_else_writes_meanwhile_is_kept_with_its_tick() {
    for mark in ["x", " "] {
        somebody_else_writes_a_leak(mark);
    }
}

fn somebody_else_writes_a_leak(mark: &str) {
    let stage = Stage::new(&[worker("app-pr-1")]);
    stage.report();
    stage
        .server
        .control("POST", "resources", &worker("app-pr-2").to_string());
    report_while(&stage, |stage| {
        let other = format!(
            "### &#35;9 other\n\n- worker **elsewhere**: dead\n  - [ ] delete at the next sweep \
             <!-- gc:delete:00ff -->\n  - [{mark}] keep <!-- gc:keep:00ff worker@elsewhere -->\n"
        );
        let body = stage.body();
        let number = stage.issues()[0]["number"].as_u64().unwrap();
        let change = json!({"body": format!("{body}\n{other}")}).to_string();
        let path = format!("github/repos/acme/shop/issues/{number}");
        stage.server.request("PATCH", &path, &change);
    });
    let body = stage.body();
    assert!(body.contains("worker **elsewhere**"), "{body}");
    let kept = format!("- [{mark}] keep");
    let line = body.lines().find(|line| line.contains("gc:keep:00ff"));
    assert!(line.unwrap().trim_start().starts_with(&kept), "{body}");
    assert!(body.contains("/workers/scripts/app-pr-2"), "{body}");
}
