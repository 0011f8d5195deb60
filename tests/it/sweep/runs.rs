//! Which requests a sweep sends, when, and what ends it.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use preview_gc::gc::Outcome;
use preview_gc::sandbox::Options;
use preview_gc::sweep::StepRow;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cases::*;
use super::stage::*;

/// What the audit kept may be garbage by the re-read, and was not counted.
#[tokio::test(start_paused = true)]
async fn no_more_goes_than_the_maximum_if_labels_are_removed_meanwhile() {
    let names = [1, 3, 4].map(|number| format!("app-pr-{number}.acme.example"));
    let mut stage = Stage::new(&names.clone().map(|name| record(&name)));
    let mut steps = Vec::new();
    stage
        .sweep(|plan| steps = std::mem::take(&mut plan.steps))
        .await;
    assert_eq!(steps.len(), 3);
    let sandbox = stage.sandbox.clone();
    let label = |labels: &[&str]| {
        for number in [3, 4] {
            let path = format!("pull_requests/{number}");
            control(&sandbox, Method::POST, &path, &json!({ "labels": labels }));
        }
    };
    label(&["preview-keep"]);
    stage.limits.max_deletions = 1;
    let (swept, text) = stage
        .sweep(|plan| {
            plan.steps = steps;
            label(&[]);
        })
        .await;
    let gone = names.iter().filter(|name| !stage.has(name)).count();
    assert_eq!(gone, 1, "{text}");
    let spared = swept.steps.iter();
    let spared = spared.filter(|step| step.outcome == Outcome::Spared);
    assert_eq!(spared.count(), 2, "{text}");
}

#[tokio::test(start_paused = true)]
async fn all_kinds_are_deleted_in_order_and_confirmed() {
    let stage = Stage::new(&[
        worker("app-pr-1", &["app-pr-1-cache"]),
        worker("app-pr-2", &["app-pr-2-cache"]),
        namespace("app-pr-1-cache"),
        namespace("app-pr-2-cache"),
        record("app-pr-1.acme.example"),
        record("app-pr-3.acme.example"),
        branch("pr-1", "main"),
        branch("pr-1-child", "pr-1"),
    ]);
    insta::assert_snapshot!(stage.swept().await);
}

/// Whatever the provider does from the first deletion on, the run ends with its
/// deadline, and what was sent without an answer is in doubt.
#[tokio::test(start_paused = true)]
async fn a_sweep_ends_with_its_deadline() {
    let late = json!({"delay_ms": 90_000});
    let answered =
        |status: &Value| json!({"on": {"method": "DELETE", "path": "."}, "fault": status});
    let accepted = json!({"status": 200, "body": {"branch": {}, "operations": []}});
    let later = json!({"status": 429, "headers": {"retry-after": "9"}});
    for (title, fault, in_doubt) in [
        (
            "nothing is answered",
            json!({"on": {"path": "."}, "fault": late}),
            true,
        ),
        ("no deletion is answered", answered(&late), true),
        ("accepted and never gone", answered(&accepted), true),
        ("always locked", answered(&status(423)), false),
        ("always later", answered(&later), false),
    ] {
        let mut stage = Stage::new(&[branch("pr-1", "main"), branch("pr-3", "main")]);
        stage.limits.deadline = Duration::from_secs(20);
        let sandbox = stage.sandbox.clone();
        let mut fault = Some(fault);
        stage.meanwhile(move |request| {
            if request.starts_with("DELETE")
                && let Some(fault) = fault.take()
            {
                control(&sandbox, Method::POST, "faults", &json!([fault]));
            }
        });
        let started = tokio::time::Instant::now();
        let (swept, text) = stage.sweep(|_| {}).await;
        let took = started.elapsed();
        assert!(took <= Duration::from_secs(20), "{title}: {took:?} {text}");
        let begun = swept.steps.iter().find(|step| step.name == "pr-1").unwrap();
        let found = begun.outcome == Outcome::InDoubt;
        assert_eq!(found, in_doubt, "{title}: {} {text}", begun.reason);
        assert!(stage.has("pr-3"), "{title}: {text}");
    }
}

/// What used a branch when the branches were read again is gone before its own turn.
#[tokio::test(start_paused = true)]
async fn a_branch_goes_after_the_hyperdrive_configuration_that_used_it() {
    const POLICY: &str = "[[rule]]\nid = \"numbered\"\n\
        kind = [\"neon_branch\", \"hyperdrive\"]\n\
        name = [\"app-pr-{pr}\", \"api-pr-{pr}\"]\ndead-when = \"closed\"\n";
    let with_id = |mut resource: Value, id: &str| {
        resource["id"] = json!(id);
        resource
    };
    let host = json!({"host": "ep-x-22222222.us-east-2.aws.neon.tech"});
    let resources = [
        with_id(branch("app-pr-1", "main"), "br-x-22222222"),
        branch("api-pr-1", "main"),
        json!({"kind": "hyperdrive", "name": "app-pr-1", "created_at": DIED,
            "updated_at": DIED, "attributes": host}),
    ];
    let stage = Stage::with(&resources, POLICY, Options::default());
    let (swept, text) = stage.sweep(|_| {}).await;
    let outcomes: Vec<_> = swept.steps.iter().map(|step| step.outcome).collect();
    assert_eq!(outcomes, [Outcome::Deleted; 3], "{text}");
}

#[tokio::test(start_paused = true)]
async fn neon_branches_are_deleted_one_at_a_time() {
    let absent = json!({"status": 204});
    let children = json!({"status": 422, "body": {"message": "it has children"}});
    let faults = [
        ("204 of what is there", refused("branches/", 9, &absent)),
        ("423 twice", refused("branches/", 2, &status(423))),
        ("children", refused("branches/", 1, &children)),
        ("412 once", refused("branches/", 1, &status(412))),
        ("503 once", refused("branches/", 1, &status(503))),
    ];
    let resources = [
        branch("pr-1", "main"),
        branch("pr-1-child", "pr-1"),
        branch("pr-3", "main"),
    ];
    under(
        "neon_branches_are_deleted_one_at_a_time",
        &resources,
        &faults,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn batch_is_split_only_if_it_certainly_had_no_effect() {
    const TEST: &str = "batch_is_split_only_if_it_certainly_had_no_effect";
    let batch = |times: u32, fault: Value| json!({"on": {"method": "POST", "path": "batch"}, "times": times, "fault": fault});
    let faults = [
        ("refused", batch(1, status(400))),
        ("not found", batch(1, status(404))),
        ("lost", batch(1, status(502))),
        ("broken off after", batch(1, json!("reset_after"))),
    ];
    let resources = [
        record("app-pr-1.acme.example"),
        record("app-pr-3.acme.example"),
    ];
    // A single record is deleted without a batch.
    let slow = json!({"on": {"method": "DELETE", "path": "dns_records/"}, "times": 1, "fault": {"delay_ms": 1}});
    under(TEST, &resources[1..], &[("alone", slow)]).await;
    under(TEST, &resources, &faults).await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_stay_within_the_limit() {
    // Long enough for the requests of one second to overlap.
    let latency = Options {
        latency: Duration::from_millis(500),
        ..Options::default()
    };
    let workers: Vec<_> = (3..60)
        .map(|number| worker(&format!("app-pr-{number}"), &[]))
        .collect();
    let mut stage = Stage::with(&workers, POLICY, latency);
    stage.limits.brake.share = 1.0;
    stage.limits.max_deletions = 60;
    let (swept, _) = stage.sweep(|_| {}).await;
    assert!(
        swept
            .steps
            .iter()
            .all(|step| step.outcome == Outcome::Deleted)
    );
    assert_eq!(
        (swept.steps.len(), stage.wire.lock().unwrap().maximum),
        (57, 40)
    );
    let branches: Vec<_> = (3..10)
        .map(|number| branch(&format!("pr-{number}"), "main"))
        .collect();
    let stage = Stage::with(&branches, POLICY, latency);
    let (swept, _) = stage.sweep(|_| {}).await;
    assert_eq!(
        (swept.steps.len(), stage.wire.lock().unwrap().maximum),
        (7, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn unsent_steps_of_a_round_are_sent_later() {
    let workers: Vec<_> = (3..58)
        .flat_map(|number| ["app", "api", "web"].map(|service| (service, number)))
        .map(|(service, number)| worker(&format!("{service}-pr-{number}"), &[]))
        .collect();
    let policy = POLICY.replace("\"app-pr-{pr}\"\n", "\"{any:a-z}-pr-{pr}\"\n");
    let mut stage = Stage::with(&workers, &policy, Options::default());
    stage.limits.brake.share = 1.0;
    stage.limits.max_deletions = 165;
    stage.limits.reread_after = Duration::from_secs(5);
    stage.faults(&[unanswered(
        "DELETE",
        "scripts/",
        &json!({"delay_ms": 10_000}),
    )]);
    let (swept, text) = stage.sweep(|_| {}).await;
    let lines: BTreeSet<_> = text
        .lines()
        .filter(|line| line.contains("DELETE"))
        .collect();
    // Forty at a time, five times; one round may take more than a second.
    let seconds: BTreeSet<u32> = lines
        .iter()
        .map(|line| line[..4].trim().parse().unwrap())
        .collect();
    let all: Vec<u32> = seconds.into_iter().collect();
    let rounds = 1 + all.windows(2).filter(|pair| pair[1] - pair[0] > 5).count();
    assert_eq!((lines.len(), rounds), (165, 5), "{all:?}");
    let is_gone = |step: &StepRow| step.outcome == Outcome::Deleted;
    assert!(swept.steps.iter().all(is_gone), "{text}");
}

#[tokio::test(start_paused = true)]
async fn lane_is_deferred_after_repeated_rereads_without_effect() {
    const TEST: &str = "lane_is_deferred_after_repeated_rereads_without_effect";
    let wait = json!({"status": 429, "headers": {"retry-after": "20"}});
    let branches = [
        branch("pr-1", "main"),
        branch("pr-3", "main"),
        branch("pr-4", "main"),
    ];
    for (title, faults) in [
        (
            "deletions are refused",
            vec![refused("branches/", 99, &wait)],
        ),
        (
            "everything is refused now and then",
            vec![
                unanswered("GET", "branches$", &json!({"delay_ms": 20_000})),
                refused("branches/", 99, &wait),
            ],
        ),
        (
            "looking takes too long, and shows nothing",
            vec![unanswered("GET", "branches$", &json!({"delay_ms": 60_000}))],
        ),
    ] {
        let stage = Stage::new(&branches);
        let (_, swept) = stage.sweep(|_| stage.faults(&faults)).await;
        show(TEST, title, &deeds(&swept));
    }
}

#[tokio::test(start_paused = true)]
async fn steps_fail_for_now_when_the_provider_refuses_rereading() {
    let workers = [worker("app-pr-1", &[]), worker("app-pr-3", &[])];
    let stage = Stage::new(&workers);
    // The list asks to wait for a minute.
    let wait = json!({"status": 429, "headers": {"retry-after": "60"}});
    let (_, text) = stage
        .sweep(|_| stage.faults(&[unanswered("GET", "workers/scripts$", &wait)]))
        .await;
    insta::assert_snapshot!(deeds(&text));
}

#[tokio::test(start_paused = true)]
async fn interruption_does_not_wait_for_quota_or_backup() {
    let stage = Stage::new(&[worker("app-pr-1", &[]), worker("app-pr-3", &[])]);
    let wait = json!({"status": 429, "headers": {"retry-after": "600"}});
    let stop = stage.stop.clone();
    let begin = Instant::now();
    let (_, text) = stage
        .sweep(|_| {
            stage.faults(&[refused("scripts/", 1, &wait)]);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                stop.set();
            });
        })
        .await;
    assert_eq!(begin.elapsed(), Duration::from_secs(5), "{text}");
    let full = |name: &str| {
        json!({"kind": "kv_namespace", "name": name,
            "attributes": {"keys": [{"name": "a", "value": "one"}]}})
    };
    let stage = Stage::with(
        &[full("app-pr-1-a"), full("app-pr-3-b")],
        BACKUP,
        Options::default(),
    );
    let stop = stage.stop.clone();
    stage.meanwhile(move |line| {
        if line.ends_with("/keys") {
            stop.set();
        }
    });
    let text = text + "\nwhile it is kept\n" + &stage.swept().await;
    // The end of the run is not a failure of the backup.
    let full = [full("app-pr-1-a"), full("app-pr-3-b")];
    let mut stage = Stage::with(&full, BACKUP, Options::default());
    stage.limits.deadline = Duration::from_secs(20);
    let slow = unanswered("GET", "/keys", &json!({"delay_ms": 25_000}));
    let (_, swept) = stage.sweep(|_| stage.faults(&[slow])).await;
    insta::assert_snapshot!(text + "\ndeadline\n" + &deeds(&swept));
}

#[tokio::test(start_paused = true)]
async fn failed_reread_is_not_repeated_for_each_step() {
    let branches: Vec<_> = (3..8)
        .map(|number| branch(&format!("pr-{number}"), "main"))
        .collect();
    let stage = Stage::new(&branches);
    let blind = unanswered("GET", "branches$", &json!({"status": 403}));
    let (_, text) = stage.sweep(|_| stage.faults(&[blind])).await;
    insta::assert_snapshot!(text);
}

#[tokio::test(start_paused = true)]
async fn failed_step_that_was_not_retried_stays_failed() {
    let mut stage = Stage::new(&[worker("app-pr-1", &[]), branch("pr-1", "main")]);
    stage.limits.deadline = Duration::from_secs(18);
    let slow = unanswered("GET", "workers/scripts$", &json!({"delay_ms": 4_000}));
    let fails = refused("scripts/", 9, &status(500));
    let (_, text) = stage.sweep(|_| stage.faults(&[slow, fails])).await;
    insta::assert_snapshot!(deeds(&text));
}

#[tokio::test(start_paused = true)]
async fn unreadable_step_is_read_again_when_due() {
    let mut stage = Stage::new(&[record("app-pr-1.acme.example"), namespace("app-pr-1-cache")]);
    let mut blind = unanswered("GET", "storage/kv/namespaces$", &json!({"status": 403}));
    blind["times"] = json!(1);
    let slow = unanswered("DELETE", "dns_records/", &json!({"delay_ms": 11_000}));
    stage.limits.reread_after = Duration::from_secs(10);
    let (_, text) = stage.sweep(|_| stage.faults(&[blind, slow])).await;
    insta::assert_snapshot!(deeds(&text));
}

#[tokio::test(start_paused = true)]
async fn quota_spent_on_rereading_defers_the_rest() {
    let mut stage = Stage::new(&[worker("app-pr-1", &[]), worker("app-pr-3", &[])]);
    // Six requests in five minutes.
    stage.limits.allotment.share = 0.005;
    stage.limits.deadline = Duration::from_hours(10);
    insta::assert_snapshot!(stage.swept().await);
}

#[tokio::test(start_paused = true)]
async fn cyclic_steps_are_sent_anyway() {
    let stage = Stage::new(&[
        worker("app-pr-1", &[]),
        worker("app-pr-3", &[]),
        namespace("app-pr-1-cache"),
    ]);
    let (_, text) = stage
        .sweep(|plan| {
            let at = |name: &str| {
                plan.steps
                    .iter()
                    .position(|step| *step.name == *name)
                    .unwrap()
            };
            let (one, other) = (at("app-pr-1"), at("app-pr-3"));
            plan.steps[one].after = vec![other];
            plan.steps[other].after = vec![one];
        })
        .await;
    insta::assert_snapshot!(deeds(&text));
}

#[tokio::test(start_paused = true)]
async fn stale_view_is_reread_before_sending() {
    const TEST: &str = "stale_view_is_reread_before_sending";
    let late = |seconds: u64| json!([{"on": {"method": "GET", "path": "workers/workers$"}, "fault": {"delay_ms": seconds * 1_000}}]);
    for seconds in [29, 30, 31] {
        let stage = Stage::new(&[worker("app-pr-1", &[]), worker("app-pr-3", &[])]);
        let (_, swept) = stage
            .sweep(|_| stage.faults(late(seconds).as_array().unwrap()))
            .await;
        let looks = swept.lines();
        let looks = looks.filter(|line| line.ends_with("workers/scripts -> 200"));
        let (looks, deeds) = (looks.count(), deeds(&swept));
        let text = format!("{looks} looks that take {seconds} s\n{deeds}");
        show(TEST, &format!("{seconds} s"), &text);
    }
}

#[tokio::test(start_paused = true)]
async fn sweep_stops_gracefully_for_every_reason() {
    const TEST: &str = "sweep_stops_gracefully_for_every_reason";
    let resources = [
        record("app-pr-1.acme.example"),
        record("app-pr-3.acme.example"),
        worker("app-pr-1", &[]),
        branch("pr-1", "main"),
        branch("pr-3", "main"),
    ];
    let stage = Stage::new(&resources);
    let stop = stage.stop.clone();
    stage.meanwhile(move |line| {
        if line.ends_with("batch") {
            stop.set();
        }
    });
    show(TEST, "stopped", &deeds(&stage.swept().await));

    let mut stage = Stage::new(&resources);
    stage.limits.deadline = Duration::from_secs(10);
    let slow = json!({"on": {"method": "POST", "path": "batch"}, "fault": {"delay_ms": 10_000}});
    let busy = refused("branches/", 60, &status(423));
    stage.faults(&[slow, busy]);
    show(TEST, "deadline", &deeds(&stage.swept().await));

    let stage = Stage::new(&resources);
    let later = json!({"status": 429, "headers": {"retry-after": "3600"}});
    stage.faults(&[refused("scripts/", 1, &later)]);
    show(TEST, "quota", &deeds(&stage.swept().await));

    let stage = Stage::new(&resources);
    let later = json!({"status": 429, "headers": {"retry-after": "600"}});
    stage.faults(&[refused("scripts/", 1, &later)]);
    show(
        TEST,
        "a wait within the deadline",
        &deeds(&stage.swept().await),
    );
}
