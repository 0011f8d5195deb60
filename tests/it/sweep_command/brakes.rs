//! The brakes, the cap and the deadline.

use serde_json::json;

use super::{
    ENVIRONMENTS, MANY, POLICY, Stage, T0, bound_elsewhere, deployment, many, namespace, outcomes,
    reason, world,
};

#[test]
fn rule_6_a_brake_stops_a_sweep_before_its_first_deletion_and_the_cap_lets_the_oldest_go() {
    let dead: Vec<_> = (10..40)
        .map(|n| namespace(&format!("app-pr-{n}-cache")))
        .collect();
    let stage = Stage::new(&world(&dead), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 4);
    assert_eq!(swept["steps"], json!([]));
    assert!(
        swept["brakes"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("--brake-share")
    );
    assert!(stage.writes().is_empty());
    let (swept, code) = stage.run(&[
        "sweep",
        "--yes",
        "--brake-share",
        "1",
        "--max-deletions",
        "4",
    ]);
    assert_eq!(code, 0);
    let count = |outcome: &str| {
        outcomes(&swept)
            .into_values()
            .filter(|one| one == outcome)
            .count()
    };
    assert_eq!((count("deleted"), count("deferred")), (4, 26));
    assert_eq!(stage.writes().len(), 4);
}

#[test]
fn the_deadline_ends_a_sweep_in_order() {
    let stage = Stage::new(&world(&many()), POLICY);
    let limited = json!({"status": 429, "headers": {"retry-after": "300"}, "body": {"success": false, "errors": [{"code": 971, "message": "slow down"}]}});
    stage.fault(&json!([{"on": {"method": "DELETE", "path": "storage/kv"}, "fault": limited}]));
    let mut arguments = MANY.to_vec();
    arguments.extend(["--deadline", "60s"]);
    let (swept, code) = stage.run(&arguments);
    // A provider that refuses requests is no decision of this run.
    assert_eq!(code, 5, "{swept}");
    for (name, outcome) in outcomes(&swept) {
        let why = reason(&swept, &name);
        let expected: &[&str] = if name.ends_with("cache") {
            &["in_doubt", "failed_for_now"]
        } else {
            &["deleted"]
        };
        assert!(expected.contains(&&*outcome), "{name}: {outcome}: {why}");
        let said = why.contains("rate limited") || why.contains("refuses all requests");
        assert!(outcome == "deleted" || said, "{why}");
    }
}

#[test]
fn rule_6_what_has_to_wait_makes_room_for_what_it_waits_for() {
    let mut capped = bound_elsewhere();
    capped[0]["updated_at"] = json!("2026-04-05T00:00:00Z");
    let stage = Stage::new(&world(&capped), POLICY);
    for left in [["app-pr-1-cache"].as_slice(), &[]] {
        let (swept, code) = stage.run(&["sweep", "--yes", "--max-deletions", "1"]);
        assert_eq!(code, 0, "{swept}");
        let there = ["app-pr-9", "app-pr-1-cache"].into_iter();
        let there: Vec<_> = there.filter(|name| stage.has(name)).collect();
        assert_eq!(there, left, "{swept}");
    }
}

#[test]
fn a_cap_never_stops_at_an_owner_with_more_than_it_allows() {
    let mut all = vec![
        json!({"kind": "github_environment", "name": "preview-1", "created_at": T0, "updated_at": T0}),
    ];
    all.extend((0..4).map(|n| deployment(&format!("d{n}"), "preview-1", T0)));
    let stage = Stage::new(&world(&all), ENVIRONMENTS);
    for _ in 0..2 {
        let (swept, code) = stage.run(&["sweep", "--yes", "--max-deletions", "3"]);
        assert_eq!(code, 0, "{swept}");
    }
    assert_eq!(stage.state().len(), 1, "only the default branch");
}
