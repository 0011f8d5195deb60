//! R2 buckets: those with objects, and those that are emptied first.

use http::Method;
use preview_gc::gc::Outcome;
use preview_gc::sandbox::Options;
use serde_json::json;

use super::stage::*;

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
