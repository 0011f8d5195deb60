//! The outcome of each step, and what proves it.

use std::time::Duration;

use http::Method;
use preview_gc::gc::Outcome;
use preview_gc::sandbox::Options;
use serde_json::{Value, json};

use super::cases::*;
use super::stage::*;

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

/// A provider, or what stands before it, may ask to wait after it carried out a
/// deletion. Where there is no time to read that, nobody knows.
#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_asked_to_wait_is_looked_up() {
    let resources = [
        worker("app-pr-1", &[]),
        record("app-pr-1.acme.example"),
        record("app-pr-3.acme.example"),
        branch("pr-1", "main"),
    ];
    for (carried_out, retry_after, outcome) in [
        // The deadline is 100 s away, and reading may take 10 s more.
        (true, "95", Outcome::Deleted),
        (false, "95", Outcome::FailedForNow),
        (true, "600", Outcome::InDoubt),
        (false, "600", Outcome::InDoubt),
    ] {
        for (method, path, name) in [
            ("DELETE", "scripts/", "app-pr-1"),
            ("POST", "dns_records/batch", "app-pr-1.acme.example"),
            ("DELETE", "branches/br-", "pr-1"),
        ] {
            let case = format!("{carried_out} {retry_after} {name}");
            let mut stage = Stage::new(&resources);
            stage.limits.deadline = Duration::from_secs(100);
            let wait = json!({"status": 429, "headers": {"retry-after": retry_after},
                "carried_out": carried_out});
            let on = json!({"method": method, "path": path});
            stage.faults(&[json!({"on": on, "times": null, "fault": wait})]);
            let (swept, text) = stage.sweep(|_| {}).await;
            let step = swept.steps.iter().find(|step| step.name == name).unwrap();
            assert_eq!(step.outcome, outcome, "{case}: {text}");
            assert_eq!(stage.has(name), !carried_out, "{case}");
            assert!(
                step.reason.contains("rate limited"),
                "{case}: {}",
                step.reason
            );
            let unsent = swept
                .steps
                .iter()
                .find(|step| step.outcome == Outcome::Deferred);
            assert!(unsent.is_none(), "{case}: {unsent:?}");
            // The next run settles what is in doubt.
            stage.faults(&[]);
            stage.limits.deadline = Duration::from_mins(20);
            let (swept, text) = stage.sweep(|_| {}).await;
            let settled: Vec<_> = swept.settled.iter().map(|one| one.outcome).collect();
            let known = if carried_out {
                Outcome::Deleted
            } else {
                Outcome::FailedForNow
            };
            let in_doubt = outcome == Outcome::InDoubt;
            assert_eq!(
                settled.first(),
                in_doubt.then_some(&known),
                "{case}: {text}"
            );
            assert!(!stage.has(name), "{case}: {text}");
        }
    }
}

/// A journal that ends between two tries names the deletion as in doubt.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_while_it_waits_leaves_the_deletion_in_doubt() {
    let stage = Stage::new(&[worker("app-pr-1", &[])]);
    let wait = json!({"status": 429, "headers": {"retry-after": "200"}, "carried_out": true});
    stage.faults(&[refused("scripts/", 1, &wait)]);
    {
        let killed = stage.sweep(|_| {});
        let after = tokio::time::timeout(Duration::from_secs(100), killed).await;
        assert!(after.is_err());
    }
    assert!(!stage.has("app-pr-1"));
    let (swept, text) = stage.sweep(|_| {}).await;
    let settled: Vec<_> = swept.settled.iter().map(|one| one.outcome).collect();
    assert_eq!(settled, [Outcome::Deleted], "{text}");
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
    for (at, title) in [
        ("/consumers/", "interrupted in between"),
        ("scripts/app-pr-1", "interrupted before"),
    ] {
        let stage = Stage::with(
            &[worker("app-pr-1", &[]), queue.clone()],
            &with_queues(),
            Options::default(),
        );
        let stop = stage.stop.clone();
        stage.meanwhile(move |line| {
            if line.contains(at) {
                stop.set();
            }
        });
        let swept = deeds(&stage.swept().await);
        show(TEST, title, &swept);
    }
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
