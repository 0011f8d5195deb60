//! Expiries that rules set in place of a deletion, and when a sweep removes them.

use serde_json::json;

use super::{POLICY, Stage, branch, outcomes, reason, world};

#[test]
fn an_expiry_is_set_where_a_rule_wants_that() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let branches = [branch("pr-1", "main"), branch("pr-2", "main")];
    let stage = Stage::new(&world(&branches), &policy);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "expired");
    assert!(stage.has("pr-1"));
    let (again, _) = stage.sweep();
    assert_eq!(again["steps"], json!([]), "it is taken care of");
    // Neon deletes it.
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    stage.sweep();
    assert!(!stage.has("pr-1"));
}

/// The next sweep removes the expiry of `pr-1`, which is there when it would be over.
fn removes_the_expiry(stage: &Stage) {
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "expiry_removed", "{swept}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    assert!(stage.has("pr-1"));
}

#[test]
fn an_expiry_that_a_sweep_set_is_removed_when_the_pull_request_is_reopened() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let mut foreign = branch("pr-2", "main");
    foreign["attributes"]["expires_at"] = json!("2026-05-03T00:00:00Z");
    let stage = Stage::new(&world(&[branch("pr-1", "main"), foreign]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    let (audit, _) = stage.run(&["audit"]);
    let rows = audit["resources"].as_array().unwrap().iter();
    let row = rows.clone().find(|row| row["name"] == "pr-1").unwrap();
    assert_eq!(row["verdict"], "live");
    assert!(
        row["reason"]
            .as_str()
            .unwrap()
            .contains("its own expiry deletes it at"),
        "{row}"
    );

    let (again, code) = stage.sweep();
    assert_eq!(code, 0, "{again}");
    // What somebody else wants to expire is theirs.
    let outcomes = outcomes(&again);
    assert_eq!(outcomes.len(), 1, "{again}");
    assert_eq!(outcomes["pr-1"], "expiry_removed", "{again}");
    let why = reason(&again, "pr-1");
    assert!(
        why.contains("is open") && why.contains("is removed"),
        "{why}"
    );
    let journal = stage.journal();
    let mut actions = journal.iter().map(|line| line["action"].as_str());
    assert!(actions.any(|action| action == Some("remove_expiry")));
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    let (later, _) = stage.sweep();
    assert!(stage.has("pr-1"), "{later}");
    assert_eq!(later["steps"], json!([]));
}

#[test]
fn an_expiry_that_a_sweep_set_is_removed_when_no_rule_is_about_it_any_more() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    std::fs::write(&stage.policy, policy.replace("\"pr-{pr}", "\"preview-{pr}")).unwrap();
    removes_the_expiry(&stage);
}

#[test]
fn an_expiry_of_an_earlier_death_is_removed_while_the_new_grace_runs() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    // Reopened and closed again, so that it was seen only after that.
    stage
        .server
        .control("POST", "clock", r#"{"advance": "2h"}"#);
    for state in ["open", "closed"] {
        let state = json!({"state": state}).to_string();
        stage.server.control("POST", "pull_requests/1", &state);
    }
    let (again, code) = stage.sweep();
    assert_eq!(code, 0, "{again}");
    assert_eq!(outcomes(&again)["pr-1"], "expiry_removed", "{again}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "23h"}"#);
    assert!(stage.has("pr-1"), "its new grace is not over");
}

#[test]
fn an_expiry_is_removed_after_a_reopening_although_a_brake_trips() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let branches = [branch("pr-1", "main"), branch("pr-3", "main")];
    let stage = Stage::new(&world(&branches), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    for number in 4..=6 {
        let added = branch(&format!("pr-{number}"), "main").to_string();
        stage.server.control("POST", "resources", &added);
    }
    let limits = format!("{policy}[limits]\nbrake = {{ count = 2 }}\n");
    std::fs::write(&stage.policy, limits).unwrap();
    let (again, code) = stage.sweep();
    assert_eq!(code, 4, "{again}");
    let outcomes = outcomes(&again);
    assert_eq!(outcomes.len(), 1, "{again}");
    assert_eq!(outcomes["pr-1"], "expiry_removed", "{again}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    assert!(stage.has("pr-1") && stage.has("pr-4"));
}

/// Reads by id may lag: then the run that set the expiry believes that its request
/// had no effect.
#[test]
fn an_expiry_that_was_set_unseen_is_removed_when_the_pull_request_lives_again() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let stale = json!({"branch": stage.branch("pr-1")});
    stage.fault(&json!([
        {"on": {"method": "PATCH", "path": "/branches/br-"}, "times": 1, "fault": "reset_after"},
        {"on": {"method": "GET", "path": "/branches/br-"}, "times": 3,
            "fault": {"status": 200, "body": stale}},
    ]));
    let (swept, _) = stage.sweep();
    assert_ne!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    assert!(stage.branch("pr-1")["expires_at"].is_string());
    stage.fault(&json!([]));
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    removes_the_expiry(&stage);
}

#[test]
fn an_expiry_that_is_refused_fails_for_good_and_says_why() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let said = "expires_at cannot be set on branches that have children";
    stage.fault(&json!([{"on": {"method": "PATCH", "path": "/branches/"},
        "fault": {"status": 422, "body": {"code": "", "message": said}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "failed_for_good", "{swept}");
    assert!(reason(&swept, "pr-1").contains(said), "{swept}");
}

#[test]
fn an_expiry_that_a_sweep_set_is_removed_when_something_that_stays_uses_the_branch() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let mut used = branch("pr-1", "main");
    used["id"] = json!("br-used-12345678");
    let stage = Stage::new(&world(&[used]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    let database = json!({"kind": "hyperdrive", "name": "orders",
        "attributes": {"host": "ep-used-12345678.us-east-2.aws.neon.tech"}});
    stage
        .server
        .control("POST", "resources", &database.to_string());
    removes_the_expiry(&stage);
}

#[test]
fn an_expiry_that_a_sweep_set_is_removed_when_its_rule_only_reports() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    let reports = policy.replace("\"expire\"", "\"report\"");
    std::fs::write(&stage.policy, reports).unwrap();
    removes_the_expiry(&stage);
}

/// Without a rule about Neon the branches are not listed.
#[test]
fn an_expiry_that_a_sweep_set_is_removed_when_no_rule_is_about_the_kind_any_more() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    let (other_rules, _) = POLICY.split_once("[[rule]]\nid = \"branches\"").unwrap();
    std::fs::write(&stage.policy, other_rules).unwrap();
    // Where it cannot be read, that is said.
    stage.fault(&json!([{"on": {"path": "branches/br-"}, "fault": {"status": 403, "body": {"code": "", "message": "no"}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!(
        (code, &*outcomes(&swept)["pr-1"]),
        (5, "failed_for_now"),
        "{swept}"
    );
    let why = reason(&swept, "pr-1");
    assert!(
        why.contains("its expiry at") && why.contains("stays"),
        "{why}"
    );
    stage.fault(&json!([]));
    removes_the_expiry(&stage);
}

/// A run of another pull request keeps what lives, and leaves what does not live to its
/// expiry.
#[test]
fn an_expiry_is_removed_by_a_sweep_of_another_pull_request() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let all = [branch("pr-1", "main"), branch("pr-3", "main")];
    let stage = Stage::new(&world(&all), &policy);
    let (swept, _) = stage.sweep();
    for name in ["pr-1", "pr-3"] {
        assert_eq!(outcomes(&swept)[name], "expired", "{swept}");
    }
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    let (swept, code) = stage.run(&["sweep", "--yes", "--kind", "worker"]);
    let why = reason(&swept, "pr-1");
    assert_eq!((code, &*outcomes(&swept)["pr-1"]), (0, "deferred"), "{why}");
    assert!(
        why.contains("its expiry at") && why.contains("--kind"),
        "{why}"
    );
    let (swept, code) = stage.run(&["sweep", "--yes", "--pr", "4"]);
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "expiry_removed", "{swept}");
    assert_eq!(outcomes(&swept).get("pr-3"), None, "{swept}");
    assert!(stage.branch("pr-3")["expires_at"].is_string());
}
