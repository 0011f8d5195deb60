//! The fault matrix: whatever a provider answers to any request of a sweep,
//! nothing live is deleted, nothing is green that did not happen, and no run
//! goes on beyond its deadline. A table in code, walked in parallel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test that fails should say where"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, path};

/// The requests that a sweep sends, by method and path.
const REQUESTS: [(&str, &str); 21] = [
    ("GET", "/workers/scripts$"),
    ("GET", "/workers/workers$"),
    ("GET", "/settings$"),
    ("GET", "/workers/domains$"),
    ("GET", "/workers/routes$"),
    ("GET", "/queues$"),
    ("GET", "/d1/database$"),
    ("GET", "/r2/buckets$"),
    ("GET", "/hyperdrive/configs$"),
    ("GET", "/pages/projects"),
    ("GET", "/previews"),
    ("GET", "/environments$"),
    ("POST", "/graphql$"),
    ("GET", "/issues$"),
    ("DELETE", "/workers/scripts/"),
    ("DELETE", "/workers/domains/"),
    ("DELETE", "/consumers/"),
    ("DELETE", "/d1/database/"),
    ("DELETE", "/deployments/"),
    ("DELETE", "/previews/"),
    ("DELETE", "/environments/"),
];

fn faults() -> Vec<Value> {
    let mut all: Vec<Value> = [401, 403, 404, 409, 422, 423, 429, 500, 502, 503, 504]
        .into_iter()
        .map(|status| json!({"status": status}))
        .collect();
    all.extend([
        json!({"status": 429, "headers": {"retry-after": "1"}}),
        json!("reset"),
        json!("truncate"),
        json!("empty_page"),
        json!("repeat_page"),
        json!("wrong_total"),
        json!({"status": 200, "body": "<html>sign in</html>"}),
        json!({"status": 200, "body": ""}),
        json!({"status": 200, "body": {}}),
        json!({"status": 200, "body": null}),
        json!({"status": 200, "body": {"success": false, "errors": [{"code": 10000, "message": "no"}], "result": null}}),
        json!({"status": 200, "body": {"data": null, "errors": [{"type": "FORBIDDEN", "message": "no"}]}}),
        json!({"status": 302, "headers": {"location": "http://127.0.0.2:1/elsewhere"}}),
    ]);
    all
}

fn key(one: &Value) -> (String, String) {
    let text = |key: &str| one[key].as_str().unwrap().to_owned();
    (text("kind"), text("name"))
}

/// Runs a sweep of the whole environment with one fault, and says what is wrong
/// with how it ended.
fn wrong(fault: &Value) -> Option<String> {
    const DEADLINE: Duration = Duration::from_secs(3);
    let world = path("cases/whole-environment.json");
    let case: Value = serde_json::from_slice(&std::fs::read(&world).unwrap()).unwrap();
    let server = Server::start(&["--world", &world.display().to_string()]);
    server.door("POST", "faults", &json!([fault]).to_string());
    let journal = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let output = server
        .program()
        .args([
            "sweep",
            "--yes",
            "-q",
            "--format",
            "json",
            "--deadline",
            "3s",
        ])
        .arg("--journal")
        .arg(journal.path())
        .arg("--policies")
        .arg(path("cases/whole-environment.toml"))
        .output()
        .unwrap();
    let took = begin.elapsed();
    let code = output.status.code();
    let state = server.door("GET", "state", "");
    let there: BTreeSet<_> = state["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(key)
        .collect();
    let expected = case["expect"].as_array().unwrap();
    for expect in expected {
        let dead = expect["verdict"] == "garbage";
        if !dead && !there.contains(&key(expect)) {
            return Some(format!("{expect} is gone"));
        }
    }
    let report: Value = match serde_json::from_slice(&output.stdout) {
        Ok(report) => report,
        Err(_) => return Some(format!("no document, exit {code:?}")),
    };
    for step in report["steps"].as_array().into_iter().flatten() {
        let gone = !there.contains(&key(step));
        let outcome = step["outcome"].as_str().unwrap();
        let says_gone = matches!(outcome, "deleted" | "already_gone");
        if says_gone && !gone {
            return Some(format!("said to be gone, and there: {step}"));
        }
        if gone && matches!(outcome, "spared" | "failed_for_good") {
            return Some(format!("said to be there, and gone: {step}"));
        }
    }
    // A bucket is not empty, so the best end is 5; deferred alone would be 0.
    let failed = report["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|step| {
            matches!(
                step["outcome"].as_str(),
                Some("failed_for_now" | "failed_for_good" | "in_doubt")
            )
        });
    if code == Some(0) && (failed || report["complete"] == false) {
        return Some("green although something failed".to_owned());
    }
    if !matches!(code, Some(0 | 3 | 5)) {
        return Some(format!("exit {code:?}"));
    }
    // What is under way may be finished within a minute, but no more is begun.
    (took > DEADLINE + Duration::from_secs(75)).then(|| format!("it took {took:?}"))
}

#[test]
fn no_answer_makes_a_sweep_delete_what_lives_or_lie_about_what_it_did() {
    let mut cells = Vec::new();
    for (method, request) in REQUESTS {
        for (index, fault) in faults().into_iter().enumerate() {
            // Once, to be got over; and for ever.
            let times = if index % 2 == 0 {
                json!(1)
            } else {
                Value::Null
            };
            cells.push(
                json!({"on": {"method": method, "path": request}, "times": times, "fault": fault}),
            );
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    if let Some(why) = wrong(cell) {
                        found.lock().unwrap().push(format!("{cell}: {why}"));
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(
        found.is_empty(),
        "{} of {}:\n{}",
        found.len(),
        cells.len(),
        found.join("\n")
    );
}
