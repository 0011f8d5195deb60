//! Exports that take long, or do not end.

use std::time::Duration;

use preview_gc::sandbox::Options;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::stage::*;

const POLICY: &str = "[[rule]]\nid = \"databases\"\nkind = \"d1\"\nname = \"app-pr-{pr}-db\"\n\
    dead-when = \"closed\"\nbackup = true\n";

fn stage() -> Stage {
    let database = |name: &str| json!({"kind": "d1", "name": name, "created_at": DIED});
    let all = [database("app-pr-1-db"), database("app-pr-3-db")];
    Stage::with(&all, POLICY, Options::default())
}

/// Exports that go on, for the first of them or for ever.
fn active(times: Option<u32>) -> Value {
    json!({"on": {"method": "POST", "path": "/export$"}, "times": times, "fault":
        {"status": 202, "body": {"success": true, "errors": [], "messages": [], "result":
            {"success": true, "type": "export", "status": "active", "at_bookmark": "b",
            "messages": []}}}})
}

#[tokio::test(start_paused = true)]
async fn an_export_that_does_not_end_keeps_its_database() {
    let stage = stage();
    let begin = Instant::now();
    let (swept, text) = stage.sweep(|_| stage.faults(&[active(None)])).await;
    for step in &swept.steps {
        assert!(
            step.reason.contains("did not end within 5 minutes"),
            "{text}"
        );
    }
    assert!(
        stage.has("app-pr-1-db") && stage.has("app-pr-3-db"),
        "{text}"
    );
    let minutes = begin.elapsed().as_secs() / 60;
    assert_eq!(minutes, 10, "one after the other");
    let polls = text.matches("/export -> 202").count();
    assert!(polls <= 2 * 152, "{polls} requests");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_an_export() {
    let mut stage = stage();
    stage.limits.deadline = Duration::from_secs(30);
    let begin = Instant::now();
    let (swept, text) = stage.sweep(|_| stage.faults(&[active(None)])).await;
    assert!(
        begin.elapsed() <= Duration::from_secs(31),
        "{:?}",
        begin.elapsed()
    );
    for step in &swept.steps {
        assert!(step.reason.contains("--deadline"), "{text}");
    }
    assert!(
        stage.has("app-pr-1-db") && stage.has("app-pr-3-db"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_who_stops_the_run_does_not_wait_for_an_export() {
    let stage = stage();
    let stop = stage.stop.clone();
    let begin = Instant::now();
    let (_, text) = stage
        .sweep(|_| {
            stage.faults(&[active(None)]);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                stop.set();
            });
        })
        .await;
    assert!(
        begin.elapsed() <= Duration::from_secs(8),
        "{:?}",
        begin.elapsed()
    );
    assert!(
        stage.has("app-pr-1-db") && stage.has("app-pr-3-db"),
        "{text}"
    );
}

/// An export takes longer than what was read stays fresh: the deletion follows a new
/// reading, and a database that grew since is exported again.
#[tokio::test(start_paused = true)]
async fn what_changed_after_its_export_is_exported_again() {
    for grows in [false, true] {
        let mut stage = stage();
        stage.limits.reread_after = Duration::from_secs(1);
        let size = |size: u64, times: Option<u32>| {
            json!({"on": {"method": "GET", "path": "/d1/database/[0-9a-f-]{36}$"}, "times": times,
                "fault": {"status": 200, "body": {"success": true, "errors": [], "messages": [],
                    "result": {"uuid": "x", "name": "x", "created_at": DIED, "file_size": size}}}})
        };
        // Before and after the first export, and then when that is used.
        let sizes = if grows {
            vec![size(4_096, Some(2)), size(8_192, None)]
        } else {
            vec![size(4_096, None)]
        };
        let (swept, text) = stage.sweep(|_| stage.faults(&sizes)).await;
        let deleted = swept.steps.iter().all(|step| step.outcome.is_gone());
        assert!(deleted && !stage.has("app-pr-1-db"), "{text}");
        let exports = text.matches("/export -> 200").count();
        assert_eq!(exports, if grows { 3 } else { 2 }, "{text}");
    }
}

/// Between the export of a database and its deletion is no other export.
#[tokio::test(start_paused = true)]
async fn each_database_is_deleted_right_after_its_export() {
    let names: Vec<_> = (10..25)
        .map(|number| format!("app-pr-{number}-db"))
        .collect();
    let database = |name: &String| json!({"kind": "d1", "name": name, "created_at": DIED});
    let all: Vec<_> = names.iter().map(database).collect();
    let stage = Stage::with(&all, POLICY, Options::default());
    let (_, text) = stage.sweep(|_| {}).await;
    assert!(names.iter().all(|name| !stage.has(name)), "{text}");
    let requests = text.lines().filter(|line| line.contains("/d1/database/<"));
    let kinds = requests.filter_map(|line| {
        let is_export = line.contains("/export -> 200");
        (is_export || line.contains("DELETE")).then_some(is_export)
    });
    let kinds: Vec<bool> = kinds.collect();
    assert_eq!(kinds, [true, false].repeat(names.len()), "{text}");
}
