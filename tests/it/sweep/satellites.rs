//! What a Worker leaves behind goes after it, and only as long as nothing speaks for
//! it.

use std::time::Duration;

use http::Method;
use preview_gc::gc::Outcome;
use preview_gc::sandbox::Options;
use serde_json::{Value, json};

use super::stage::*;

const WORKERS: &str = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
with = ["workflow"]
"#;

fn workflow(name: &str, script: &str) -> Value {
    json!({"kind": "workflow", "name": name, "created_at": DIED, "updated_at": DIED,
        "attributes": {"script": script}})
}

/// A Worker that goes and what it leaves behind: by a rule of its own, or by the rule
/// of the Worker.
fn stage(policy: &str) -> Stage {
    let resources = [worker("app-pr-1", &[]), workflow("orders", "app-pr-1")];
    Stage::with(&resources, policy, Options::default())
}

/// The same, where deleting the Worker takes longer than a reading may be old.
fn slow_stage() -> Stage {
    let mut stage = stage(WORKERS);
    stage.limits.reread_after = Duration::from_secs(5);
    stage.faults(&[refused("scripts/", 1, &json!({"delay_ms": 6_000}))]);
    stage
}

#[tokio::test(start_paused = true)]
async fn a_satellite_goes_after_its_worker() {
    let own = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
[[rule]]
id = "workflows"
kind = "workflow"
name = "app-pr-{pr}-flow"
dead-when = "closed"
"#;
    for (policy, name) in [(WORKERS, "orders"), (own, "app-pr-1-flow")] {
        let resources = [workflow(name, "app-pr-1"), worker("app-pr-1", &[])];
        let stage = Stage::with(&resources, policy, Options::default());
        let text = stage.swept().await;
        let sent = deeds(&text);
        let at = |part: &str| sent.find(part).unwrap_or_else(|| panic!("{part}: {sent}"));
        assert!(
            at("/workers/scripts/app-pr-1") < at("/workflows/"),
            "{sent}"
        );
        assert!(!stage.has(name) && !stage.has("app-pr-1"), "{sent}");
    }
}

/// Once its Worker is gone, nothing in the listings says any more what it went with.
#[tokio::test(start_paused = true)]
async fn a_satellite_that_is_reread_without_its_worker_goes() {
    let stage = slow_stage();
    let (_, text) = stage.sweep(|_| {}).await;
    assert!(!stage.has("orders") && !stage.has("app-pr-1"), "{text}");
}

/// Does something once the Worker is gone, and returns the outcomes of the steps.
async fn after_the_worker(
    stage: &Stage,
    what: impl Fn(&preview_gc::sandbox::Sandbox) + Send + 'static,
) -> Vec<(String, Outcome, String)> {
    let sandbox = stage.sandbox.clone();
    let (mut sent, mut done) = (false, false);
    stage.meanwhile(move |line| {
        if sent && !done {
            done = true;
            what(&sandbox);
        }
        sent |= line.starts_with("DELETE") && line.contains("/scripts/app-pr-1");
    });
    let (swept, text) = stage.sweep(|_| {}).await;
    assert!(!swept.steps.is_empty(), "{text}");
    let steps = swept.steps.into_iter();
    steps
        .map(|step| (step.name, step.outcome, step.reason))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_satellite_stays_if_its_pull_request_is_opened_after_its_worker_went() {
    let stage = slow_stage();
    let steps = after_the_worker(&stage, |sandbox| {
        let open = json!({"state": "open"});
        control(sandbox, Method::POST, "pull_requests/1", &open);
    });
    let steps = steps.await;
    let of = |name: &str| steps.iter().find(|step| step.0 == name).unwrap();
    assert_eq!(of("app-pr-1").1, Outcome::Deleted, "{steps:?}");
    assert_eq!(of("orders").1, Outcome::Spared, "{steps:?}");
    assert!(of("orders").2.contains("#1 is open"), "{steps:?}");
    assert!(stage.has("orders"));
}

#[tokio::test(start_paused = true)]
async fn a_satellite_stays_if_its_worker_is_deployed_again() {
    let stage = slow_stage();
    let steps = after_the_worker(&stage, |sandbox| {
        control(sandbox, Method::POST, "resources", &worker("app-pr-1", &[]));
    });
    let steps = steps.await;
    let orders = steps.iter().find(|step| step.0 == "orders").unwrap();
    // The new Worker is garbage as well, and this run does not delete it.
    assert_eq!(orders.1, Outcome::Deferred, "{steps:?}");
    assert!(orders.2.contains("worker app-pr-1"), "{steps:?}");
    assert!(stage.has("orders") && stage.has("app-pr-1"));
}

#[tokio::test(start_paused = true)]
async fn a_satellite_stays_with_a_worker_that_could_not_be_deleted() {
    let stage = stage(WORKERS);
    stage.faults(&[refused("scripts/", 9, &status(403))]);
    let (swept, text) = stage.sweep(|_| {}).await;
    assert!(stage.has("orders") && stage.has("app-pr-1"), "{text}");
    let gone = swept.steps.iter().any(|step| step.outcome.is_gone());
    assert!(!gone, "{text}");
}
