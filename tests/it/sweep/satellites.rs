//! What a Worker leaves behind goes after it, and only as long as nothing speaks for
//! it.

use std::time::Duration;

use http::Method;
use preview_gc::gc::Outcome;
use preview_gc::sandbox::Options;
use serde_json::{Value, json};

use super::stage::*;

/// What Workers leave behind, each with the attribute that names its Worker and the path
/// of its deletions.
const SATELLITES: [(&str, &str, &str); 2] = [
    ("workflow", "script", "/workflows/"),
    (
        "container_application",
        "worker",
        "/containers/applications/",
    ),
];

/// The rule of the Workers, which takes a kind along.
fn workers(with: &str) -> String {
    format!("{OWN}with = [\"{with}\"]\n")
}

/// The same, which takes nothing along.
const OWN: &str = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
"#;

/// The rule of what Workers leave behind.
fn satellites(kind: &str) -> String {
    format!(
        "{OWN}[[rule]]\nid = \"satellites\"\nkind = \"{kind}\"\n\
         name = \"app-pr-{{pr}}-flow\"\ndead-when = \"closed\"\n"
    )
}

fn satellite(kind: &str, name: &str, worker: &str) -> Value {
    let one = SATELLITES.iter().find(|(one, ..)| *one == kind);
    let (_, attribute, _) = one.unwrap();
    json!({"kind": kind, "name": name, "created_at": DIED, "updated_at": DIED,
        "attributes": {*attribute: worker}})
}

/// A Worker that goes and what it leaves behind, by the rule of the Worker.
fn stage(kind: &str) -> Stage {
    let orders = satellite(kind, "orders", "app-pr-1");
    let resources = [worker("app-pr-1", &[]), orders];
    Stage::with(&resources, &workers(kind), Options::default())
}

/// A Worker that goes and its Container application, by rules of their own.
fn stage_of_applications() -> Stage {
    let kind = "container_application";
    let flow = satellite(kind, "app-pr-1-flow", "app-pr-1");
    let resources = [worker("app-pr-1", &[]), flow];
    Stage::with(&resources, &satellites(kind), Options::default())
}

/// The same, where deleting the Worker takes longer than a reading may be old.
fn slow(mut stage: Stage) -> Stage {
    stage.limits.reread_after = Duration::from_secs(5);
    stage.faults(&[refused("scripts/", 1, &json!({"delay_ms": 6_000}))]);
    stage
}

#[tokio::test(start_paused = true)]
async fn a_satellite_goes_after_its_worker() {
    for (kind, _, path) in SATELLITES {
        for (policy, name) in [
            (workers(kind), "orders"),
            (satellites(kind), "app-pr-1-flow"),
        ] {
            let resources = [satellite(kind, name, "app-pr-1"), worker("app-pr-1", &[])];
            let stage = Stage::with(&resources, &policy, Options::default());
            let text = stage.swept().await;
            let sent = deeds(&text);
            let at = |part: &str| sent.find(part).unwrap_or_else(|| panic!("{part}: {sent}"));
            assert!(at("/workers/scripts/app-pr-1") < at(path), "{sent}");
            assert!(!stage.has(name) && !stage.has("app-pr-1"), "{sent}");
        }
    }
}

/// Once its Worker is gone, nothing in the listings says any more what it went with.
#[tokio::test(start_paused = true)]
async fn a_satellite_that_is_reread_without_its_worker_goes() {
    for (kind, ..) in SATELLITES {
        let stage = slow(stage(kind));
        let (_, text) = stage.sweep(|_| {}).await;
        assert!(!stage.has("orders") && !stage.has("app-pr-1"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_satellite_whose_worker_is_gone_goes_by_a_rule_of_its_own() {
    for (kind, ..) in SATELLITES {
        let flow = satellite(kind, "app-pr-1-flow", "app-pr-1");
        let stage = Stage::with(&[flow], &satellites(kind), Options::default());
        let text = stage.swept().await;
        assert!(!stage.has("app-pr-1-flow"), "{text}");
    }
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
    for (kind, ..) in SATELLITES {
        let stage = slow(stage(kind));
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
}

#[tokio::test(start_paused = true)]
async fn a_workflow_stays_if_its_worker_is_deployed_again() {
    let stage = slow(stage("workflow"));
    let steps = after_the_worker(&stage, |sandbox| {
        control(sandbox, Method::POST, "resources", &worker("app-pr-1", &[]));
    });
    let steps = steps.await;
    let orders = steps.iter().find(|step| step.0 == "orders").unwrap();
    // The new Worker is garbage as well, and this run does not delete it.
    assert_eq!(orders.1, Outcome::Deferred, "{steps:?}");
    assert!(orders.2.contains("Worker app-pr-1"), "{steps:?}");
    assert!(stage.has("orders") && stage.has("app-pr-1"));
}

/// The new Worker has namespaces of its own, so that nothing says whose the application
/// is.
#[tokio::test(start_paused = true)]
async fn an_application_stays_if_its_worker_is_deployed_again() {
    let stage = slow(stage("container_application"));
    let steps = after_the_worker(&stage, |sandbox| {
        control(sandbox, Method::POST, "resources", &worker("app-pr-1", &[]));
    });
    let steps = steps.await;
    let orders = steps.iter().find(|step| step.0 == "orders").unwrap();
    assert_eq!(orders.1, Outcome::Spared, "{steps:?}");
    assert!(stage.has("orders") && stage.has("app-pr-1"));
}

#[tokio::test(start_paused = true)]
async fn a_satellite_stays_with_a_worker_that_could_not_be_deleted() {
    for (kind, ..) in SATELLITES {
        let stage = stage(kind);
        stage.faults(&[refused("scripts/", 9, &status(403))]);
        let (swept, text) = stage.sweep(|_| {}).await;
        assert!(stage.has("orders") && stage.has("app-pr-1"), "{text}");
        let gone = swept.steps.iter().any(|step| step.outcome.is_gone());
        assert!(!gone, "{text}");
    }
}

/// The name of the Worker still says whose the Workflow was.
#[tokio::test(start_paused = true)]
async fn a_workflow_that_an_earlier_run_left_behind_goes() {
    for by_a_failure in [false, true] {
        let mut stage = stage("workflow");
        if by_a_failure {
            stage.faults(&[refused("workflows/", 9, &status(403))]);
        } else {
            stage.limits.max_deletions = 1;
        }
        let text = stage.swept().await;
        assert!(!stage.has("app-pr-1") && stage.has("orders"), "{text}");
        stage.faults(&[]);
        let text = stage.swept().await;
        assert!(!stage.has("orders"), "{text}");
    }
}

/// So does that of one whose Worker somebody else deleted.
#[tokio::test(start_paused = true)]
async fn a_workflow_without_its_worker_stays_if_the_pull_request_is_opened() {
    let orders = satellite("workflow", "orders", "app-pr-1");
    let resources = [orders, worker("web", &[])];
    for opened in [false, true] {
        let policy = workers("workflow");
        let stage = Stage::with(&resources, &policy, Options::default());
        let sandbox = stage.sandbox.clone();
        stage.meanwhile(move |line| {
            // It is listed again just before its deletion.
            if opened && line.ends_with("/workflows") {
                let open = json!({"state": "open"});
                control(&sandbox, Method::POST, "pull_requests/1", &open);
            }
        });
        let text = stage.swept().await;
        assert!(text.contains("1 workflow planned"), "{text}");
        assert_eq!(stage.has("orders"), opened, "{text}");
    }
}

const NAMESPACES: &str = "/durable_objects/namespaces";

/// A fault for reading what is listed at a path.
fn unread(path: &str, fault: &Value) -> Value {
    json!({"on": {"method": "GET", "path": path}, "times": null, "fault": fault})
}

/// Once a Worker is gone, nothing says which applications were its own.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_applications_cannot_be_told_stays_with_them() {
    for path in [NAMESPACES, "/containers/applications"] {
        for fault in [status(403), status(404), json!("truncate")] {
            for stage in [stage("container_application"), stage_of_applications()] {
                stage.faults(&[unread(path, &fault)]);
                let (swept, text) = stage.sweep(|_| {}).await;
                assert!(stage.has("app-pr-1"), "{path} {fault}: {text}");
                assert!(swept.steps.is_empty(), "{path} {fault}: {text}");
            }
        }
    }
}

/// A list that hides a namespace would make its application an orphan.
#[tokio::test(start_paused = true)]
async fn an_application_stays_if_the_list_of_namespaces_is_incomplete() {
    let kind = "container_application";
    for fault in [status(403), json!("empty_page"), json!("wrong_total")] {
        let flow = satellite(kind, "app-pr-1-flow", "site");
        let resources = [worker("site", &[]), flow];
        let stage = Stage::with(&resources, &satellites(kind), Options::default());
        stage.faults(&[unread(NAMESPACES, &fault)]);
        let (swept, text) = stage.sweep(|_| {}).await;
        assert!(stage.has("app-pr-1-flow"), "{fault}: {text}");
        assert!(swept.steps.is_empty(), "{fault}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_stays_if_its_namespace_cannot_be_read_again() {
    let stage = slow(stage_of_applications());
    let steps = after_the_worker(&stage, |sandbox| {
        let faults = json!([unread(NAMESPACES, &status(403))]);
        control(sandbox, Method::POST, "faults", &faults);
    });
    let steps = steps.await;
    let of = |name: &str| steps.iter().find(|step| step.0 == name).unwrap();
    assert_eq!(of("app-pr-1").1, Outcome::Deleted, "{steps:?}");
    assert!(!of("app-pr-1-flow").1.is_gone(), "{steps:?}");
    assert!(stage.has("app-pr-1-flow"));
}

/// A later run would not find what the Worker left behind.
#[tokio::test(start_paused = true)]
async fn a_worker_goes_only_in_a_run_that_has_room_for_its_applications() {
    for (maximum, goes) in [(1, false), (2, true)] {
        let mut stage = stage("container_application");
        stage.limits.max_deletions = maximum;
        let (_, text) = stage.sweep(|_| {}).await;
        let (worker, orders) = (stage.has("app-pr-1"), stage.has("orders"));
        assert_eq!((worker, orders), (!goes, !goes), "{maximum}: {text}");
    }
}

/// The API answers before the deletion is done.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_deletion_is_waited_for() {
    let kind = "container_application";
    let mut flow = satellite(kind, "app-pr-1-flow", "app-pr-1");
    flow["attributes"]["deletion_ms"] = json!(20_000);
    let stage = Stage::with(&[flow], &satellites(kind), Options::default());
    let (swept, text) = stage.sweep(|_| {}).await;
    let flow = swept.steps.iter().find(|one| one.name == "app-pr-1-flow");
    assert_eq!(flow.unwrap().outcome, Outcome::Deleted, "{text}");
}

/// What only its owner or its maker condemns is not let go as unmatched because
/// that could not be listed.
#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_worker_fails_for_now_if_workers_cannot_be_listed_again() {
    let mut owner = worker("app-pr-1", &[]);
    owner["attributes"]["custom_domains"] = json!(["app-pr-1.acme.example"]);
    for stage in [
        Stage::with(&[owner], OWN, Options::default()),
        stage("workflow"),
        stage("container_application"),
    ] {
        let planned = |_: &mut _| stage.faults(&[unread("/workers/scripts$", &status(403))]);
        let (swept, text) = stage.sweep(planned).await;
        assert_eq!(swept.steps.len(), 2, "{text}");
        assert!(stage.has("app-pr-1"), "{text}");
        let of: Vec<_> = swept.steps.iter().map(|one| one.outcome).collect();
        assert!(!of.contains(&Outcome::Spared), "{of:?}: {text}");
        assert!(of.contains(&Outcome::FailedForNow), "{of:?}: {text}");
    }
}
