//! Which requests a sweep sends and when, what is journalled before them, and
//! the outcome of each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use http::Method;
use preview_gc::boxes::{CheckedKeys, MARKER, boxes};
use preview_gc::gc::Outcome;
use preview_gc::gc::box_key;
use preview_gc::gc::plan_file::{PlanFile, PlannedStep};
use preview_gc::sandbox::Options;
use preview_gc::sweep::{StepRow, Stop};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::stage::*;

/// Compares what happened in one case of a test with the snapshot of that case.
fn show(test: &str, case: &str, text: &str) {
    let words = case.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    insta::assert_snapshot!(format!("{test}__{}", words.join("_")), text);
}

/// Sweeps with each of these faults, and shows the writing requests.
async fn under(test: &str, resources: &[Value], faults: &[(&str, Value)]) {
    for (title, fault) in faults {
        let stage = Stage::new(resources);
        stage.faults(std::slice::from_ref(fault));
        show(test, title, &deeds(&stage.swept().await));
    }
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

/// Boxes that are checked or cleared between plan and deletion count.
#[tokio::test(start_paused = true)]
async fn boxes_are_reread_before_each_deletion() {
    let names = ["app-pr-1", "app-pr-3", "app-pr-4"];
    let mut stage = Stage::new(&names.map(|name| worker(name, &[])));
    let mut keys = BTreeMap::new();
    stage
        .sweep(|plan| {
            for step in plan.steps.drain(..) {
                let PlannedStep { kind, id, .. } = &step;
                let incarnation = step.incarnation.as_deref();
                let key = box_key::of_parts(kind, &step.place, id, incarnation);
                keys.insert(step.name.to_string(), key);
            }
        })
        .await;
    let text = |delete: &[&str], keep: &[&str]| {
        let set = |names: &[&str]| names.iter().map(|name| keys[*name].clone()).collect();
        let checked = CheckedKeys {
            delete: set(delete),
            keep: set(keep),
            ..CheckedKeys::default()
        };
        let boxes = keys
            .values()
            .map(|key| boxes(key, "worker@a", None, &checked));
        format!("{MARKER}\n{}", boxes.collect::<String>())
    };
    stage.approved = true;
    let number = stage.write_issue(None, &text(&names, &[]));
    let later = text(&["app-pr-1", "app-pr-4"], &["app-pr-4"]);
    let (swept, said) = stage
        .sweep(|plan| {
            assert_eq!(plan.steps.len(), 3);
            stage.write_issue(Some(number), &later);
        })
        .await;
    let outcome = |name: &str| {
        let step = swept.steps.iter().find(|step| step.name == name).unwrap();
        (step.outcome, step.reason.clone())
    };
    assert_eq!(outcome("app-pr-1").0, Outcome::Deleted, "{said}");
    for (name, why) in [
        ("app-pr-3", "box in the tracking issue was cleared"),
        ("app-pr-4", "\"keep\" is checked"),
    ] {
        let (outcome, reason) = outcome(name);
        assert_eq!(outcome, Outcome::Spared, "{said}");
        assert!(reason.contains(why), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_to_a_deletion_has_its_outcome() {
    let mut faults: Vec<(String, Value)> = Vec::new();
    for code in [401, 403, 404, 408, 409, 410, 422, 423, 500] {
        faults.push((
            format!("always {code}"),
            refused("scripts/", 9, &status(code)),
        ));
    }
    let nothing = json!({"status": 200, "body": {"success": true, "result": null, "errors": [], "messages": []}});
    let throttled = json!({"status": 429, "headers": {"retry-after": "7"}});
    let bound = json!({"status": 400, "body": {"success": false, "errors": [{"code": 10142, "message": "bound"}]}});
    for (title, times, fault) in [
        ("success without effect", 9, nothing),
        ("failure inside a success", 9, status(200)),
        ("asked to wait four times", 4, throttled),
        ("bound by another Worker", 9, bound),
        (
            "asked to wait always",
            99,
            json!({"status": 429, "headers": {"retry-after": "20"}}),
        ),
        ("500 twice", 2, status(500)),
        ("broken off before", 1, json!("reset")),
        ("broken off after", 1, json!("reset_after")),
        ("broken off always", 9, json!("reset")),
    ] {
        faults.push((title.to_owned(), refused("scripts/", times, &fault)));
    }
    let faults: Vec<_> = faults
        .iter()
        .map(|(title, fault)| (title.as_str(), fault.clone()))
        .collect();
    let resources = [
        worker("app-pr-1", &["app-pr-1-cache"]),
        namespace("app-pr-1-cache"),
    ];
    under(
        "every_answer_to_a_deletion_has_its_outcome",
        &resources,
        &faults,
    )
    .await;
}

/// What stands between us and a provider may answer a request that the provider
/// carried out.
#[tokio::test(start_paused = true)]
async fn refusals_are_confirmed_by_reading() {
    let resources = [
        worker("app-pr-1", &[]),
        record("app-pr-1.acme.example"),
        branch("pr-1", "main"),
    ];
    for code in [200, 400, 403, 409, 451] {
        let mut fault = status(code);
        fault["carried_out"] = json!(true);
        for (path, name) in [
            ("scripts/", "app-pr-1"),
            ("dns_records/", "app-pr-1.acme.example"),
            ("branches/br-", "pr-1"),
        ] {
            // Neon's successes have no failure inside.
            if (code, name) == (200, "pr-1") {
                continue;
            }
            let stage = Stage::new(&resources);
            stage.faults(&[refused(path, 1, &fault)]);
            let (swept, text) = stage.sweep(|_| {}).await;
            assert!(!stage.has(name), "{code} {name}");
            let step = swept.steps.iter().find(|step| step.name == name).unwrap();
            assert_eq!(step.outcome, Outcome::Deleted, "{code} {name}: {text}");
            let reason = &step.reason;
            let both = reason.contains("re-reading shows that it is gone");
            assert!(both && reason.contains(&code.to_string()), "{reason}");
        }
    }
    // Where nothing can be read, the outcome is not known.
    let stage = Stage::new(&resources[..1]);
    let sandbox = stage.sandbox.clone();
    stage.meanwhile(move |request| {
        if request.starts_with("DELETE") {
            let blind = json!({"on": {"path": "workers"}, "fault": {"status": 403}});
            control(&sandbox, Method::POST, "faults", &json!([blind]));
        }
    });
    let (swept, text) = stage.sweep(|_| {}).await;
    assert_eq!(swept.steps[0].outcome, Outcome::InDoubt, "{text}");
    let reason = &swept.steps[0].reason;
    assert!(reason.contains("could not be re-read"), "{reason}");
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

/// A branch holds too much to be copied, so it stays for a day.
#[tokio::test(start_paused = true)]
async fn a_backup_of_a_branch_is_an_expiry_a_day_ahead() {
    for (backup, outcome) in [(true, Outcome::Expired), (false, Outcome::Deleted)] {
        let policy = format!(
            "[[rule]]\nid = \"branches\"\nkind = \"neon_branch\"\nname = \"pr-{{pr}}\"\n\
             dead-when = \"closed\"\nbackup = {backup}\n"
        );
        let branches = [branch("pr-1", "main")];
        let stage = Stage::with(&branches, &policy, Options::default());
        let (swept, text) = stage.sweep(|_| {}).await;
        assert_eq!(swept.steps[0].outcome, outcome, "{text}");
        assert_eq!(stage.has("pr-1"), backup, "{text}");
        let state = stage
            .control(Method::GET, "state", &Value::Null)
            .to_string();
        assert_eq!(state.contains("2026-05-02T00:00:0"), backup, "{state}");
    }
}

/// How much is lost tells a person whether to empty the bucket.
#[tokio::test(start_paused = true)]
async fn a_bucket_with_objects_says_how_many_and_how_large() {
    let policy = "[[rule]]\nid = \"buckets\"\nkind = \"r2\"\nname = \"app-pr-{pr}-{any:a-z}\"\n\
        dead-when = \"closed\"\n";
    let bucket = |name: &str, objects: u64| json!({"kind": "r2", "name": name, "created_at": DIED, "attributes": {"objects": objects}});
    let buckets = [
        bucket("app-pr-1-empty", 0),
        bucket("app-pr-1-full", 14),
        bucket("app-pr-3-large", 11_000),
        bucket("app-pr-4-hidden", 1),
    ];
    let stage = Stage::with(&buckets, policy, Options::default());
    let denied = unanswered("GET", "app-pr-4-hidden/objects", &json!({"status": 403}));
    let (swept, text) = stage.sweep(|_| stage.faults(&[denied])).await;
    let reason = |name: &str| {
        let mut steps = swept.steps.iter();
        let step = steps.find(|step| step.name == name).unwrap();
        (step.outcome, step.reason.clone())
    };
    assert_eq!(reason("app-pr-1-empty").0, Outcome::Deleted, "{text}");
    for (name, said) in [
        ("app-pr-1-full", "; it holds 14 objects (21 kB)"),
        (
            "app-pr-3-large",
            "; it holds more than 10000 objects (15 MB)",
        ),
    ] {
        let (outcome, why) = reason(name);
        assert_eq!(outcome, Outcome::FailedForGood, "{text}");
        assert!(why.contains("not empty") && why.ends_with(said), "{why}");
    }
    let (_, why) = reason("app-pr-4-hidden");
    assert!(why.contains("not empty") && !why.contains("holds"), "{why}");
}

/// Nobody gets objects back, so all of them have to be as old as what died, and every
/// rule that takes the bucket has to say so.
#[tokio::test(start_paused = true)]
async fn a_bucket_is_emptied_where_its_rules_say_so_and_nobody_wrote_to_it_since() {
    let later = "2026-04-20T00:00:00Z";
    let bucket = |name: &str, objects: u64, written: &str| {
        json!({"kind": "r2", "name": name, "created_at": DIED, "updated_at": written,
            "attributes": {"objects": objects}})
    };
    let buckets = [
        bucket("app-pr-1-few", 14, DIED),
        bucket("app-pr-1-many", 1_100, DIED),
        bucket("app-pr-3-written", 3, later),
        bucket("app-pr-3-large", 10_001, DIED),
        bucket("app-pr-4-locked", 2, DIED),
        bucket("app-pr-4-strict", 2, DIED),
        bucket("app-pr-2-other", 2, DIED),
    ];
    let rule = |id: &str, name: &str, empty: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\nkind = \"r2\"\nname = \"{name}\"\n\
             dead-when = \"closed\"\n{empty}\n"
        )
    };
    let policy = rule("buckets", "app-pr-{pr}-{any:a-z}", "empty = true");
    let policy = policy + &rule("strict", "app-pr-{pr}-strict", "");
    let stage = Stage::with(&buckets, &policy, Options::default());
    let locked = json!({"status": 403, "body": {"success": false,
        "errors": [{"code": 10_069, "message": "the object is locked"}]}});
    let locked = unanswered("DELETE", "app-pr-4-locked/objects/object-000002", &locked);
    let (swept, text) = stage.sweep(|_| stage.faults(&[locked])).await;
    let (few, many) = ("app-pr-1-few", "app-pr-1-many");
    for (name, outcome, said) in [
        (few, Outcome::Deleted, "was closed"),
        (many, Outcome::Deleted, "was closed"),
        (
            "app-pr-3-written",
            Outcome::FailedForGood,
            "was written at 2026-04-20",
        ),
        (
            "app-pr-3-large",
            Outcome::FailedForGood,
            "more than 10000 objects",
        ),
        (
            "app-pr-4-locked",
            Outcome::FailedForGood,
            "1 of 2 objects in it were deleted",
        ),
        (
            "app-pr-4-strict",
            Outcome::FailedForGood,
            "the bucket is not empty",
        ),
    ] {
        let step = swept.steps.iter().find(|step| step.name == name).unwrap();
        assert_eq!(step.outcome, outcome, "{name}: {}", step.reason);
        assert!(step.reason.contains(said), "{name}: {}", step.reason);
    }
    for (name, left) in [
        (few, None),
        (many, None),
        ("app-pr-3-written", Some(3)),
        ("app-pr-3-large", Some(10_001)),
        ("app-pr-4-locked", Some(1)),
        ("app-pr-4-strict", Some(2)),
        ("app-pr-2-other", Some(2)),
    ] {
        assert_eq!(stage.objects(name), left, "{name}: {text}");
    }
}

/// Its owner has to hear of what is lost, whatever spares the bucket then.
#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_emptied_in_part_and_then_spared_is_a_failure() {
    let bucket = json!({"kind": "r2", "name": "app-pr-1-many", "created_at": DIED,
        "updated_at": DIED, "attributes": {"objects": 1_100}});
    let policy = "[[rule]]\nid = \"buckets\"\nkind = \"r2\"\nname = \"app-pr-{pr}-{any:a-z}\"\n\
        dead-when = \"closed\"\nempty = true\n";
    let stage = Stage::with(&[bucket], policy, Options::default());
    let (sandbox, mut deleted) = (stage.sandbox.clone(), 0);
    stage.meanwhile(move |line| {
        deleted += usize::from(line.starts_with("DELETE") && line.contains("/objects/"));
        if deleted == 100 {
            let opened = json!({"state": "open"});
            control(&sandbox, Method::POST, "pull_requests/1", &opened);
        }
    });
    let (swept, text) = stage.sweep(|_| {}).await;
    let step = &swept.steps[0];
    assert_eq!(step.outcome, Outcome::FailedForNow, "{text}");
    let reason = &step.reason;
    assert!(reason.contains("pull request #1 is open"), "{reason}");
    assert!(
        reason.contains("of 1100 objects in it were deleted"),
        "{reason}"
    );
    assert!(stage.objects("app-pr-1-many") > Some(0), "{text}");
}

/// Another Worker may take the name just before the deletion. By name that one is
/// deleted; by id none is.
#[tokio::test(start_paused = true)]
async fn a_deletion_by_id_spares_another_worker_of_that_name() {
    for (by_id, stays) in [(true, true), (false, false)] {
        let mut stage = Stage::new(&[worker("app-pr-1", &[])]);
        stage.limits.workers_by_id = by_id;
        let sandbox = stage.sandbox.clone();
        let mut replaced = false;
        stage.meanwhile(move |request| {
            if request.starts_with("DELETE") && !replaced {
                replaced = true;
                delete(&sandbox, "app-pr-1");
                control(
                    &sandbox,
                    Method::POST,
                    "resources",
                    &worker("app-pr-1", &[]),
                );
            }
        });
        let (swept, text) = stage.sweep(|_| {}).await;
        assert_eq!(stage.has("app-pr-1"), stays, "{by_id}: {text}");
        let outcome = swept.steps[0].outcome;
        let expected = if by_id {
            Outcome::AlreadyGone
        } else {
            Outcome::Deleted
        };
        assert_eq!(outcome, expected, "{by_id}: {text}");
        let path = if by_id {
            "/workers/workers/"
        } else {
            "/workers/scripts/"
        };
        assert!(
            text.contains(&format!("DELETE /client/v4/accounts/<ACCOUNT>{path}")),
            "{text}"
        );
    }
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
async fn steps_are_deferred_when_the_quota_prevents_rereading() {
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
async fn resources_that_change_during_the_sweep_are_spared() {
    let resources = [
        worker("app-pr-1", &["app-pr-1-cache"]),
        worker("app-pr-3", &["app-pr-3-cache"]),
        namespace("app-pr-1-cache"),
        namespace("app-pr-3-cache"),
        record("app-pr-1.acme.example"),
        record("app-pr-3.acme.example"),
        branch("pr-1", "main"),
        branch("pr-3", "main"),
    ];
    let latency = Options {
        latency: Duration::from_millis(300),
        ..Options::default()
    };
    let mut stage = Stage::with(&resources, POLICY, latency);
    // The time to list and delete one kind.
    stage.limits.reread_after = Duration::from_millis(1_500);
    let sandbox = stage.sandbox.clone();
    stage.meanwhile(move |line| {
        if line.starts_with("POST") && line.ends_with("batch") {
            let _ = control(
                &sandbox,
                Method::POST,
                "pull_requests/1",
                &json!({"state": "open"}),
            );
        }
        // A live Worker starts to use a resource that is about to be deleted.
        if line.ends_with("scripts/app-pr-3") {
            let binds = worker("app-pr-2", &["app-pr-3-cache"]);
            let _ = control(&sandbox, Method::POST, "resources", &binds);
        }
    });
    insta::assert_snapshot!(deeds(&stage.swept().await));
    assert!(stage.has("app-pr-3-cache") && stage.has("app-pr-1-cache"));
}

#[tokio::test(start_paused = true)]
async fn resources_used_by_deferred_garbage_are_deferred() {
    // The namespace is bound by a Worker of another pull request.
    let stage = Stage::new(&[
        worker("app-pr-9", &["app-pr-1-cache"]),
        namespace("app-pr-1-cache"),
    ]);
    stage.faults(&[refused("scripts/", 9, &status(403))]);
    let (_, text) = stage
        .sweep(|plan| {
            for step in &mut plan.steps {
                step.after.clear();
            }
        })
        .await;
    insta::assert_snapshot!(deeds(&text));
}

#[tokio::test(start_paused = true)]
async fn resources_used_by_live_ones_are_spared() {
    let stage = Stage::new(&[
        worker("app-pr-9", &[]),
        worker("app-pr-2", &[]),
        namespace("app-pr-1-cache"),
    ]);
    let sandbox = stage.sandbox.clone();
    stage.faults(&[refused("scripts/", 9, &status(403))]);
    let (_, text) = stage
        .sweep(|_| {
            let binds = worker("gateway", &["app-pr-1-cache"]);
            control(&sandbox, Method::POST, "resources", &binds);
        })
        .await;
    insta::assert_snapshot!(deeds(&text));
}

/// Nothing is known either of what it uses and of what belongs to it.
#[tokio::test(start_paused = true)]
async fn failed_reread_fails_all_that_depends_on_it() {
    let mut app = worker("app-pr-1", &["app-pr-1-cache"]);
    app["attributes"]["custom_domains"] = json!(["app-pr-1.acme.example"]);
    let stage = Stage::new(&[app, namespace("app-pr-1-cache")]);
    let denied = unanswered("GET", "app-pr-1/previews$", &json!({"status": 403}));
    let (swept, text) = stage.sweep(|_| stage.faults(&[denied])).await;
    assert!(
        stage.has("app-pr-1") && stage.has("app-pr-1-cache"),
        "{text}"
    );
    let outcomes: BTreeSet<_> = swept.steps.iter().map(|step| step.outcome).collect();
    let failed = BTreeSet::from([Outcome::Deferred, Outcome::FailedForNow]);
    assert_eq!(outcomes, failed, "{text}");
    let mut steps = swept.steps.iter();
    let failed = steps.find(|step| step.outcome == Outcome::FailedForNow);
    assert!(failed.unwrap().reason.contains("403"), "{text}");
}

/// Previews are listed one Worker at a time. What was read of them for the audit
/// holds for a while, and never across a question to a person.
#[tokio::test(start_paused = true)]
async fn resources_bound_by_a_new_preview_are_spared() {
    let preview = json!({"kind": "worker_preview", "name": "feat", "created_at": DIED,
        "updated_at": DIED, "attributes": {"worker": "app-pr-2", "bindings":
            [{"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"}]}});
    let resources = [
        worker("app-pr-1", &[]),
        worker("app-pr-2", &[]),
        namespace("app-pr-1-cache"),
    ];
    let spared = "= kv_namespace app-pr-1-cache: spared";

    // The deletion of a Worker takes longer than a reading may be old.
    let mut stage = Stage::new(&resources);
    stage.limits.reread_after = Duration::from_secs(10);
    let slow =
        json!({"on": {"method": "DELETE", "path": "scripts/"}, "fault": {"delay_ms": 12_000}});
    let (sandbox, new) = (stage.sandbox.clone(), preview.clone());
    stage.meanwhile(move |line| {
        if line.starts_with("DELETE") && line.contains("scripts/") {
            control(&sandbox, Method::POST, "resources", &new);
        }
    });
    let (_, text) = stage.sweep(|_| stage.faults(&[slow])).await;
    assert!(
        stage.has("app-pr-1-cache") && !stage.has("app-pr-1"),
        "{text}"
    );
    assert!(text.contains(spared), "{text}");

    // Once for each round, and not for each deletion.
    let readings = text
        .lines()
        .filter(|line| line.ends_with("app-pr-2/previews -> 200"));
    assert_eq!(readings.count(), 1, "{text}");

    let mut stage = Stage::new(&resources);
    stage.asks = true;
    let asked = |_: &mut PlanFile| {
        stage.control(Method::POST, "resources", &preview);
    };
    let (_, text) = stage.sweep(asked).await;
    assert!(
        stage.has("app-pr-1-cache") && !stage.has("app-pr-1"),
        "{text}"
    );
    assert!(text.contains(spared), "{text}");
}

/// What was read of Previews for the audit is older than the listings of the first round
/// that rests on it.
#[tokio::test(start_paused = true)]
async fn readings_of_previews_age_from_when_they_were_read() {
    let preview = |name: &str, bindings: Value| {
        json!({"kind": "worker_preview", "name": name, "created_at": DIED,
            "updated_at": DIED, "attributes": {"worker": "site", "bindings": bindings}})
    };
    let resources = [
        worker("app-pr-1", &[]),
        worker("site", &[]),
        preview("main", json!([])),
        namespace("app-pr-1-cache"),
    ];
    let mut stage = Stage::new(&resources);
    stage.limits.reread_after = Duration::from_secs(10);
    let slow = |method: &str, path: &str, ms: u64| json!({"on": {"method": method, "path": path}, "fault": {"delay_ms": ms}});
    // 4 s from the Previews to the first round, and 7 s from there to the namespace.
    stage.faults(&[
        slow("GET", "/site/previews$", 4_000),
        slow("DELETE", "scripts/", 7_000),
    ]);
    let sandbox = stage.sandbox.clone();
    let binding = json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"}]);
    let new = preview("feat", binding);
    stage.meanwhile(move |line| {
        if line.starts_with("DELETE") && line.contains("scripts/") {
            control(&sandbox, Method::POST, "resources", &new);
        }
    });
    let (_, text) = stage.sweep(|_| {}).await;
    assert!(
        stage.has("app-pr-1-cache") && !stage.has("app-pr-1"),
        "{text}"
    );
    let spared = "= kv_namespace app-pr-1-cache: spared";
    assert!(text.contains(spared), "{text}");
}

/// An account with so many Previews that reading them takes longer than a deletion may
/// rest on a reading.
#[tokio::test(start_paused = true)]
async fn previews_that_take_too_long_to_read_keep_storage() {
    let resources = [
        worker("app-pr-1", &[]),
        worker("site", &[]),
        namespace("app-pr-1-cache"),
    ];
    let mut stage = Stage::new(&resources);
    stage.limits.reread_after = Duration::from_secs(10);
    let slow = |method: &str, path: &str| {
        json!({"on": {"method": method, "path": path}, "times": null,
            "fault": {"delay_ms": 12_000}})
    };
    let faults = [slow("DELETE", "scripts/"), slow("GET", "/site/previews$")];
    let (_, text) = stage.sweep(|_| stage.faults(&faults)).await;
    assert!(
        stage.has("app-pr-1-cache") && !stage.has("app-pr-1"),
        "{text}"
    );
    let why = "binds took 12 s, which is longer than --reread-after allows (10 s); raise it";
    assert!(text.contains("app-pr-1-cache: failed_for_now"), "{text}");
    assert!(text.contains(why), "{text}");
}

/// Somebody deletes a Worker between two lists of them: neither list is broken.
#[tokio::test(start_paused = true)]
async fn worker_that_somebody_deletes_during_a_listing_contradicts_nothing() {
    let resources = [
        worker("app-pr-1", &[]),
        worker("somebodys", &[]),
        namespace("app-pr-1-cache"),
    ];
    let stage = Stage::new(&resources);
    let (sandbox, mut gone) = (stage.sandbox.clone(), false);
    stage.meanwhile(move |line| {
        if line.ends_with("/workers/workers") && !gone {
            gone = true;
            let account = variable(&sandbox, "CLOUDFLARE_ACCOUNT_ID");
            let path = format!("/client/v4/accounts/{account}/workers/scripts/somebodys");
            asked(&sandbox, Method::DELETE, &path);
        }
    });
    let (_, text) = stage.sweep(|_| {}).await;
    assert!(!stage.has("somebodys"), "{text}");
    assert!(
        !stage.has("app-pr-1-cache") && !stage.has("app-pr-1"),
        "{text}"
    );
}

/// What was read for the plan is not what the deletion rests on.
#[tokio::test(start_paused = true)]
async fn templates_that_cannot_be_reread_spare_what_they_may_bind() {
    for status in [403, 404, 500] {
        let stage = Stage::new(&[worker("somebodys", &[]), namespace("app-pr-1-cache")]);
        let fault = json!([{"on": {"method": "GET", "path": "workers/workers$"},
            "times": null, "fault": {"status": status}}]);
        let (_, text) = stage
            .sweep(|_| stage.faults(fault.as_array().unwrap()))
            .await;
        assert!(stage.has("app-pr-1-cache"), "{status}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn spared_resource_keeps_what_it_uses() {
    // The plan does not include the use, and the Worker has changed.
    let stage = Stage::new(&[
        worker("app-pr-1", &["app-pr-3-cache"]),
        namespace("app-pr-3-cache"),
    ]);
    let (_, text) = stage
        .sweep(|plan| {
            for step in &mut plan.steps {
                step.after.clear();
                step.changed_at = step.changed_at.map(|at| at - TimeDelta::hours(1));
            }
        })
        .await;
    insta::assert_snapshot!(deeds(&text));
    assert!(stage.has("app-pr-3-cache"));
}

#[tokio::test(start_paused = true)]
async fn resources_owned_by_a_spared_one_are_spared() {
    let mut owner = worker("app-pr-1", &[]);
    owner["attributes"]["custom_domains"] = json!(["app-pr-1.acme.example"]);
    let mut other = worker("app-pr-3", &[]);
    other["attributes"]["custom_domains"] = json!(["app-pr-3.acme.example"]);
    let stage = Stage::new(&[owner, other]);
    let (_, text) = stage
        .sweep(|plan| {
            let changed = |step: &&mut PlannedStep| *step.name == *"app-pr-1";
            for step in plan.steps.iter_mut().filter(changed) {
                step.changed_at = step.changed_at.map(|at| at - TimeDelta::hours(1));
            }
        })
        .await;
    insta::assert_snapshot!(deeds(&text));
}

#[tokio::test(start_paused = true)]
async fn resource_is_spared_if_another_was_attached_after_the_audit() {
    const TEST: &str = "resource_is_spared_if_another_was_attached_after_the_audit";
    let mut serving = worker("app-pr-1", &[]);
    serving["attributes"]["custom_domains"] = json!(["app-pr-1.acme.example"]);
    let route = json!({"kind": "worker_route", "name": "pr-3.acme.example/*",
        "attributes": {"zone": "acme.example", "script": "app-pr-3"}});
    let world = [serving, worker("app-pr-3", &[]), route];
    let domain = json!({"kind": "worker_domain", "name": "pr-3.acme.example",
        "attributes": {"zone": "acme.example", "service": "app-pr-3"}});
    let stage = Stage::new(&world);
    let (_, text) = stage
        .sweep(|_| {
            stage.control(Method::POST, "resources", &domain);
        })
        .await;
    show(TEST, "a new domain", &deeds(&text));
    assert!(stage.has("app-pr-3") && !stage.has("app-pr-1"));
    let stage = Stage::new(&world);
    // The domain and the route were planned while they served other Workers.
    let (_, text) = stage
        .sweep(|plan| {
            let pointers = plan.steps.iter_mut().filter(|step| step.owner.is_some());
            pointers.for_each(|step| step.owner = Some("app-pr-5".into()));
        })
        .await;
    show(TEST, "pointed at it", &deeds(&text));
    assert!(stage.has("app-pr-1") && stage.has("app-pr-3"));
}

#[tokio::test(start_paused = true)]
async fn deployment_is_spared_with_its_environment() {
    let policy = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\nname = \
        \"preview-{pr}\"\ndead-when = \"closed\"\n";
    let environment = |name: &str| json!({"kind": "github_environment", "name": name, "created_at": DIED, "updated_at": DIED});
    let deployment = |name: &str, of: &str| {
        json!({"kind": "github_deployment", "name": name, "created_at": DIED, "updated_at": DIED,
            "attributes": {"environment": of, "ref": "main"}})
    };
    let all = [
        environment("preview-1"),
        environment("preview-3"),
        deployment("d1", "preview-1"),
        deployment("d3", "preview-3"),
    ];
    let stage = Stage::with(&all, policy, Options::default());
    let (_, text) = stage
        .sweep(|plan| {
            let changed = |step: &&mut PlannedStep| *step.name == *"preview-1";
            for step in plan.steps.iter_mut().filter(changed) {
                step.changed_at = step.changed_at.map(|at| at - TimeDelta::hours(1));
            }
        })
        .await;
    insta::assert_snapshot!(deeds(&text));
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
async fn one_read_does_not_prove_a_resource_gone() {
    const TEST: &str = "one_read_does_not_prove_a_resource_gone";
    let resources = [worker("app-pr-1", &[]), worker("app-pr-3", &[])];
    let empty = json!({"on": {"method": "GET", "path": "workers/scripts$"}, "fault": "empty_page"});
    let denied = json!({"on": {"method": "GET", "path": "workers/workers/[0-9a-f]"}, "fault": {"status": 403}});
    let listing =
        json!({"on": {"method": "GET", "path": "workers/scripts$"}, "fault": {"status": 403}});
    for (title, faults) in [
        ("the listing is empty", vec![empty.clone()]),
        ("and nobody may look", vec![empty, denied]),
        ("nobody may list", vec![listing]),
    ] {
        let stage = Stage::new(&resources);
        let (_, swept) = stage.sweep(|_| stage.faults(&faults)).await;
        show(TEST, title, &swept);
    }
    let stage = Stage::new(&resources);
    stage.faults(&[]);
    let sandbox = stage.sandbox.clone();
    let (_, swept) = stage.sweep(|_| delete(&sandbox, "app-pr-1")).await;
    show(TEST, "somebody else deleted it", &swept);
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

const BACKUP: &str = r#"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-{any:a-z0-9}"
dead-when = "closed"
backup = true
"#;

#[tokio::test(start_paused = true)]
async fn failed_backup_prevents_deletion_and_backups_are_read_once() {
    const TEST: &str = "failed_backup_prevents_deletion_and_backups_are_read_once";
    let full = |name: &str| json!({"kind": "kv_namespace", "name": name, "attributes": {"keys": [{"name": "a", "value": "one"}]}});
    let resources = [full("app-pr-1-a"), full("app-pr-3-b")];
    let stage = Stage::with(&resources, BACKUP, Options::default());
    let denied = json!({"on": {"method": "GET", "path": "/values/|/bulk/get"}, "times": 1, "fault": {"status": 403}});
    let (_, swept) = stage.sweep(|_| stage.faults(&[denied])).await;
    show(TEST, "one cannot be read", &swept);
    let stage = Stage::with(&resources, BACKUP, Options::default());
    let (_, swept) = stage
        .sweep(|_| stage.faults(&[refused("namespaces/", 3, &status(500))]))
        .await;
    show(TEST, "tried again", &swept);
    // The backups take longer than the view stays fresh.
    let stage = Stage::with(&resources, BACKUP, Options::default());
    let slow = json!({"on": {"method": "GET", "path": "/keys"}, "fault": {"delay_ms": 16_000}});
    let (_, swept) = stage.sweep(|_| stage.faults(&[slow])).await;
    show(TEST, "slowly", &swept);
}

#[tokio::test(start_paused = true)]
async fn expiry_counts_once_a_read_shows_it() {
    const TEST: &str = "expiry_counts_once_a_read_shows_it";
    let policy = POLICY.replace(
        "id = \"branches\"",
        "id = \"branches\"\naction = \"expire\"",
    );
    let changed = |times: u32, fault: Value| json!({"on": {"method": "PATCH", "path": "branches/"}, "times": times, "fault": fault});
    for (title, faults) in [
        ("nothing", vec![]),
        (
            "accepted without effect",
            vec![changed(9, json!({"status": 200, "body": {}}))],
        ),
        (
            "not found though it is there",
            vec![changed(9, status(404))],
        ),
        ("lost", vec![changed(1, json!("reset_after"))]),
        ("in vain at first", vec![changed(2, status(500))]),
    ] {
        let stage = Stage::with(
            &[branch("pr-1", "main"), branch("pr-3", "main")],
            &policy,
            Options::default(),
        );
        let (_, swept) = stage.sweep(|_| stage.faults(&faults)).await;
        let looks = swept
            .lines()
            .filter(|line| line.contains("<pr-") || line.starts_with('='));
        let looks: String = looks.map(|line| format!("{line}\n")).collect();
        show(TEST, title, &looks);
    }
}

/// Deletes with `force` only if the owner was seen closed, not because of age.
#[tokio::test(start_paused = true)]
async fn force_is_used_only_after_an_observed_end() {
    let policy = r#"
[[rule]]
id = "closed"
kind = "pages_deployment"
branch = "feature/{pr}"
dead-when = "closed"
[[rule]]
id = "old"
kind = "pages_deployment"
branch = "old/{any}"
dead-when = { older-than = "7d", clock = "created" }
"#;
    let deployment = |number: u32, branch: &str| {
        json!({"kind": "pages_deployment", "name": format!("11111111-1111-4111-8111-00000000000{number}"),
            "created_at": DIED, "attributes": {"project": "site", "environment": "preview",
                "branch": branch, "aliases": [format!("{}.site.pages.dev", branch.replace('/', "-"))]}})
    };
    let resources = [deployment(1, "feature/1"), deployment(3, "old/x")];
    let stage = Stage::with(&resources, policy, Options::default());
    insta::assert_snapshot!(deeds(&stage.swept().await));
}

#[tokio::test(start_paused = true)]
async fn lagging_listings_are_reread_and_lost_answers_time_out() {
    let stage = Stage::new(&[namespace("app-pr-1-cache"), branch("pr-1", "main")]);
    let account = stage.variable("CLOUDFLARE_ACCOUNT_ID");
    let read = |path: String| asked(&stage.sandbox, Method::GET, &path);
    let namespaces = read(format!(
        "/client/v4/accounts/{account}/storage/kv/namespaces"
    ));
    let project = stage.variable("NEON_PROJECT_ID");
    let branches = read(format!("/api/v2/projects/{project}/branches"));
    let of_one = branches["branches"].as_array().unwrap();
    let of_one = of_one.iter().find(|one| one["name"] == "pr-1").unwrap();
    let shown = |path: &str, times: u32, body: Value| json!({"on": {"method": "GET", "path": path}, "times": times, "fault": {"status": 200, "body": body}});
    let sandbox = stage.sandbox.clone();
    // After the deletion, lists and lookups lag.
    let lag = [
        shown("namespaces$", 3, namespaces),
        shown("branches/br-", 6, json!({"branch": of_one})),
    ];
    stage.meanwhile(move |line| {
        if line.starts_with("DELETE") {
            control(&sandbox, Method::POST, "faults", &json!(lag));
        }
    });
    let (_, swept) = stage.sweep(|_| {}).await;
    let after: Vec<_> = swept
        .lines()
        .skip_while(|line| !line.contains("DELETE"))
        .collect();
    insta::assert_snapshot!(after.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn journal_has_a_snapshot_of_each_deleted_resource() {
    let policy = with_queues().replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let queue = json!({"kind": "queue", "name": "orders-pr-1", "created_at": DIED, "updated_at": DIED,
        "attributes": {"producers": [], "consumers": ["app-pr-1"]}});
    let kept = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [{"name": "a", "value": "one"}]}});
    let resources = [
        worker("app-pr-1", &["app-pr-1-cache"]),
        kept,
        queue,
        record("app-pr-1.acme.example"),
        branch("pr-1", "main"),
    ];
    let stage = Stage::with(&resources, &policy, Options::default());
    stage.sweep(|_| {}).await;
    let entry = std::fs::read_dir(stage.folder.path()).unwrap().next();
    let text = std::fs::read_to_string(entry.unwrap().unwrap().path()).unwrap();
    insta::assert_snapshot!(stage.wire.lock().unwrap().named(&text));
}

#[tokio::test(start_paused = true)]
async fn journal_has_resources_the_provider_removes_implicitly() {
    let mut owner = worker("app-pr-1", &[]);
    owner["attributes"]["custom_domains"] = json!(["app-pr-1.acme.example"]);
    let preview = json!({"kind": "worker_preview", "name": "pr-1", "created_at": DIED,
        "updated_at": DIED, "attributes": {"worker": "app-pr-1"}});
    let stage = Stage::with(&[owner, preview], POLICY, Options::default());
    // The journal at the time when the Worker's own request is sent.
    let folder = stage.folder.path().to_owned();
    let seen: Arc<Mutex<String>> = Arc::default();
    let written = seen.clone();
    stage.meanwhile(move |line| {
        if line.starts_with("DELETE") && line.contains("/scripts/") {
            let entry = std::fs::read_dir(&folder).unwrap().next();
            let text = std::fs::read_to_string(entry.unwrap().unwrap().path()).unwrap();
            *written.lock().unwrap() = text;
        }
    });
    let (swept, _) = stage.sweep(|_| {}).await;
    assert!(!stage.has("app-pr-1"), "{:?}", swept.steps);
    let text = seen.lock().unwrap().clone();
    let intents: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["entry"] == "intent")
        .collect();
    let implied: Vec<_> = intents
        .iter()
        .map(|entry| {
            let implied = entry["copy"]["implied"].clone();
            let mut implied = implied.as_array().cloned().unwrap_or_default();
            for one in &mut implied {
                for inner in one["copy"]["implied"].as_array_mut().into_iter().flatten() {
                    inner["copy"] = json!(inner["copy"]["original"].is_object());
                    inner["id"] = json!(inner["id"].is_string());
                }
                one["copy"] = one["copy"]["implied"].clone();
                one["id"] = json!(one["id"].is_string());
            }
            json!({"step": entry["resource"]["name"], "kind": entry["resource"]["kind"], "implied": implied})
        })
        .collect();
    insta::assert_snapshot!(
        stage
            .wire
            .lock()
            .unwrap()
            .named(&format!("{:#}", json!(implied)))
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_without_a_journal() {
    let mut stage = Stage::new(&[
        worker("app-pr-1", &[]),
        worker("app-pr-3", &[]),
        branch("pr-1", "main"),
    ]);
    stage.broken_journal = true;
    insta::assert_snapshot!(deeds(&stage.swept().await));
    assert!(stage.has("app-pr-1") && stage.has("pr-1"));
}

/// Returns how a second run recovers steps that the first one left in doubt.
async fn settled_later(
    resources: &[Value],
    policy: &str,
    lost: &[Value],
    meanwhile: impl FnOnce(&Stage),
) -> String {
    let mut stage = Stage::with(resources, policy, Options::default());
    let (stop, sandbox, lost) = (stage.stop.clone(), stage.sandbox.clone(), json!(lost));
    stage.meanwhile(move |line| {
        if !line.starts_with("GET") && !line.ends_with("/graphql") {
            control(&sandbox, Method::POST, "faults", &lost);
            stop.set();
        }
    });
    let (first, _) = stage.sweep(|_| {}).await;
    let doubts = first.steps.iter();
    let doubts = doubts.filter(|step| step.outcome == Outcome::InDoubt);
    assert_eq!(doubts.count(), 1, "{first:?}");
    stage.faults(&[]);
    meanwhile(&stage);
    stage.stop = Stop::default();
    stage.meanwhile(|_| {});
    stage.sweep(|plan| plan.steps.clear()).await.1
}

#[tokio::test(start_paused = true)]
async fn steps_in_doubt_are_recovered_by_reading() {
    const TEST: &str = "steps_in_doubt_are_recovered_by_reading";
    type Meanwhile = Box<dyn FnOnce(&Stage)>;
    let lost = [
        unanswered("DELETE", "scripts/", &json!("reset")),
        unanswered("GET", "workers/scripts$", &json!({"status": 403})),
    ];
    let look = |answer: Value| -> Meanwhile {
        Box::new(move |stage| stage.faults(&[unanswered("GET", "workers/workers/", &answer)]))
    };
    let denied = json!({"status": 403});
    let absent = json!({"status": 404, "body": {"success": false, "errors": [{"code": 10007, "message": "no"}]}});
    let cases: [(&str, Meanwhile); 8] = [
        ("it is there", Box::new(|_| {})),
        (
            "it is gone",
            Box::new(|stage| delete(&stage.sandbox, "app-pr-1")),
        ),
        (
            "it was made anew",
            Box::new(|stage| {
                delete(&stage.sandbox, "app-pr-1");
                stage.control(Method::POST, "resources", &worker("app-pr-1", &[]));
            }),
        ),
        ("nobody may look", look(denied.clone())),
        ("it is listed, and a look says no", look(absent)),
        (
            "the place cannot be seen",
            Box::new(move |stage| stage.faults(&[unanswered("GET", "scripts$", &denied)])),
        ),
        (
            "it is about another account",
            Box::new(|stage| {
                let entry = std::fs::read_dir(stage.folder.path()).unwrap().next();
                let path = entry.unwrap().unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let account = stage.variable("CLOUDFLARE_ACCOUNT_ID");
                let elsewhere = text.replace(&account, "0123456789abcdef0123456789abcdef");
                assert_ne!(elsewhere, text);
                std::fs::write(&path, elsewhere).unwrap();
            }),
        ),
        (
            "it is about another host",
            Box::new(|stage| {
                let entry = std::fs::read_dir(stage.folder.path()).unwrap().next();
                let path = entry.unwrap().unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let elsewhere = text.replace("\"host\":\"127.0.0.1\"", "\"host\":\"api.example\"");
                assert_ne!(elsewhere, text);
                std::fs::write(&path, elsewhere).unwrap();
            }),
        ),
    ];
    for (title, meanwhile) in cases {
        let swept = settled_later(&[worker("app-pr-1", &[])], POLICY, &lost, meanwhile).await;
        show(TEST, title, &swept);
    }
    let expiring = POLICY.replace(
        "id = \"branches\"",
        "id = \"branches\"\naction = \"expire\"",
    );
    let lost = [
        unanswered("PATCH", "branches/", &json!("reset_after")),
        unanswered("GET", "branches/br-", &json!({"status": 403})),
    ];
    let swept = settled_later(&[branch("pr-1", "main")], &expiring, &lost, |_| {}).await;
    show(TEST, "it expires", &swept);
    let environments = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\nname = \
        \"preview-{pr}\"\ndead-when = \"closed\"\ngrace = \"0s\"\n";
    let world = [
        json!({"kind": "github_environment", "name": "preview-1", "created_at": DIED,
            "updated_at": DIED}),
        json!({"kind": "github_deployment", "name": "71", "created_at": DIED, "updated_at": DIED,
            "attributes": {"environment": "preview-1", "ref": "feature-1", "state": "inactive"}}),
    ];
    let lost = [
        unanswered("DELETE", "deployments/", &json!("reset")),
        unanswered("GET", "/deployments", &json!({"status": 403})),
    ];
    let environment_gone = |stage: &Stage| {
        let path = format!("/github/repos/{}/environments/preview-1", "acme/shop");
        asked(&stage.sandbox, Method::DELETE, &path);
    };
    let swept = settled_later(&world, environments, &lost, environment_gone).await;
    show(TEST, "its environment is gone, so it is not listed", &swept);
}

#[tokio::test(start_paused = true)]
async fn preparations_are_sent_only_when_the_provider_requires_them() {
    const TEST: &str = "preparations_are_sent_only_when_the_provider_requires_them";
    let queue = json!({"kind": "queue", "name": "orders-pr-1", "created_at": DIED, "updated_at": DIED,
        "attributes": {"producers": [], "consumers": ["app-pr-1"]}});
    for (title, faults) in [
        ("as it is", vec![]),
        (
            "the consumer is gone",
            vec![refused("/consumers/", 1, &status(404))],
        ),
        (
            "the consumer is refused",
            vec![refused("/consumers/", 1, &status(403))],
        ),
        (
            "the consumer is asked to wait",
            vec![refused("/consumers/", 1, &json!({"status": 429}))],
        ),
        (
            "in vain",
            vec![refused(
                "scripts/",
                9,
                &json!({"status": 400, "body": {"success": false, "errors": [{"code": 10064, "message": "no"}]}}),
            )],
        ),
    ] {
        let stage = Stage::with(
            &[worker("app-pr-1", &[]), queue.clone()],
            &with_queues(),
            Options::default(),
        );
        stage.faults(&faults);
        show(TEST, title, &deeds(&stage.swept().await));
    }
    // Another client removes the consumer in between.
    let stage = Stage::with(
        &[worker("app-pr-1", &[]), queue.clone()],
        &with_queues(),
        Options::default(),
    );
    let (sandbox, mut gone) = (stage.sandbox.clone(), false);
    stage.meanwhile(move |line| {
        if let Some((_, consumer)) = line.split_once("/consumers/").filter(|_| !gone) {
            gone = true;
            let account = variable(&sandbox, "CLOUDFLARE_ACCOUNT_ID");
            let queues = format!("/client/v4/accounts/{account}/queues");
            let listed = asked(&sandbox, Method::GET, &queues);
            let queue = listed["result"][0]["queue_id"].as_str().unwrap();
            let path = format!("{queues}/{queue}/consumers/{consumer}");
            asked(&sandbox, Method::DELETE, &path);
        }
    });
    let swept = deeds(&stage.swept().await);
    show(TEST, "somebody else removes the consumer", &swept);
    let stage = Stage::with(
        &[worker("app-pr-1", &[]), queue.clone()],
        &with_queues(),
        Options::default(),
    );
    let stop = stage.stop.clone();
    stage.meanwhile(move |line| {
        if line.contains("/consumers/") {
            stop.set();
        }
    });
    let swept = deeds(&stage.swept().await);
    show(TEST, "interrupted in between", &swept);
    let stage = Stage::with(
        &[worker("app-pr-1", &[]), queue.clone()],
        &with_queues(),
        Options::default(),
    );
    let stop = stage.stop.clone();
    stage.meanwhile(move |line| {
        if line.contains("scripts/app-pr-1") {
            stop.set();
        }
    });
    let swept = deeds(&stage.swept().await);
    show(TEST, "interrupted before", &swept);
    let stage = Stage::with(
        &[worker("app-pr-1", &[]), queue],
        &with_queues(),
        Options::default(),
    );
    let sandbox = stage.sandbox.clone();
    stage.meanwhile(move |line| {
        if line.contains("/consumers/") {
            let wait = refused("scripts/", 1, &json!({"status": 429}));
            control(&sandbox, Method::POST, "faults", &json!([wait]));
        }
    });
    let swept = deeds(&stage.swept().await);
    show(TEST, "asked to wait in between", &swept);
}

/// The usual policy, and a rule about queues.
fn with_queues() -> String {
    format!(
        "{POLICY}[[rule]]\nid = \"queues\"\nkind = \"queue\"\nname = \
         \"orders-pr-{{pr}}\"\ndead-when = \"closed\"\n"
    )
}
