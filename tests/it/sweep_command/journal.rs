//! What the journal says, and what is settled from it.

use serde_json::json;

use super::{NOW, POLICY, Stage, branch, outcomes, resources, world};
use crate::support::report;

#[test]
fn rule_8_intent_and_copy_are_written_down_before_the_request() {
    let stage = Stage::new(&world(&resources()), POLICY);
    // The run dies with the first answer it does not get.
    let lines = {
        stage.sweep();
        stage.journal()
    };
    let place = |entry: &str, step: u64| {
        lines
            .iter()
            .position(|line| line["entry"] == entry && line["step"] == step)
            .unwrap()
    };
    for step in 0..5 {
        assert!(place("intent", step) < place("outcome", step));
    }
    let record = lines
        .iter()
        .find(|line| line["resource"]["kind"] == "dns_record")
        .unwrap();
    assert_eq!(record["copy"]["original"]["content"], "acme.example");
    assert_eq!(record["copy"]["original"]["comment"], "kept");
    assert!(
        record["resource"]["host"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1")
    );

    // Without a journal nothing is sent.
    let stage = Stage::new(&world(&resources()), POLICY);
    let blocked = stage.file("p.toml");
    let output = stage
        .server
        .program()
        .args(["sweep", "--yes", "--journal", &blocked, "--policies"])
        .arg(&stage.policy)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stage.writes().is_empty());
}

#[test]
fn nothing_is_deleted_beside_a_journal_of_another_schema() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let path = stage.file("later.journal.jsonl");
    let line = r#"{"entry":"run","schema":2,"run":"later","at":"2026-05-01T00:00:00Z"}"#;
    std::fs::write(&path, format!("{line}\n")).unwrap();
    let output = stage.output(&["sweep", "--yes"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("later.journal.jsonl") && said.contains("schema is 2"),
        "{said}"
    );
    assert!(stage.has("app-pr-1"));
}

#[test]
fn other_peoples_journals_are_left_alone() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let foreign = json!({"entry": "intent", "step": 0, "at": NOW, "action": "delete", "copy": {},
        "resource": {"host": "api.cloudflare.com", "kind": "worker", "place": {"account": "other"}, "id": "x", "name": "x"}});
    let text = format!("{foreign}\n");
    let path = stage
        .folder
        .path()
        .join("20260101T000000Z-aaaa.journal.jsonl");
    std::fs::write(&path, &text).unwrap();
    let (swept, code) = stage.sweep();
    assert_eq!((code, &swept["settled"]), (0, &json!([])));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn rule_8_doubts_are_settled_only_by_who_can_see_the_place() {
    let branches = [branch("pr-1", "main"), branch("pr-2", "main")];
    let stage = Stage::new(&world(&branches), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "branches/"}, "fault": "reset"},
        {"on": {"method": "GET", "path": "branches/br-"}, "fault": {"status": 403, "body": {"code": "", "message": "no"}}},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!((code, outcomes(&swept)["pr-1"].as_str()), (5, "in_doubt"));
    // A key of somebody else: everything is "not found".
    stage.fault(&json!([{"on": {"path": "/api/v2/projects"}, "fault": {"status": 404, "body": {"code": "", "message": "no"}}}]));
    let (swept, code) = stage.sweep();
    let settled = &swept["settled"][0];
    assert_eq!((code, &settled["outcome"]), (5, &json!("in_doubt")));
    stage.fault(&json!([]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(swept["settled"][0]["outcome"], "failed_for_now");
    assert_eq!(outcomes(&swept)["pr-1"], "deleted");
}

/// A doubt is not forgotten because no rule is about its kind any more.
#[test]
fn a_doubt_about_a_kind_that_is_not_listed_any_more_is_said_until_it_is_settled() {
    let no = |path: &str, status: u16| json!({"on": {"method": "GET", "path": path}, "fault": {"status": status, "body": {"code": "", "message": "no"}}});
    for (sent, known) in [("reset", "failed_for_now"), ("reset_after", "deleted")] {
        let stage = Stage::new(&world(&[branch("pr-1", "main")]), POLICY);
        stage.fault(&json!([
            {"on": {"method": "DELETE", "path": "branches/"}, "fault": sent},
            no("branches/br-", 403),
        ]));
        let (swept, code) = stage.sweep();
        assert_eq!((code, outcomes(&swept)["pr-1"].as_str()), (5, "in_doubt"));
        let (other_rules, _) = POLICY.split_once("[[rule]]\nid = \"branches\"").unwrap();
        std::fs::write(&stage.policy, other_rules).unwrap();
        // Neither a refusal nor "not found" without a view of the place settles it.
        for blind in [no("branches", 403), no("/api/v2/projects", 404)] {
            stage.fault(&json!([blind]));
            let (swept, code) = stage.sweep();
            let settled = &swept["settled"][0];
            assert_eq!(
                (code, &settled["outcome"]),
                (5, &json!("in_doubt")),
                "{swept}"
            );
            assert_eq!(settled["name"], "pr-1", "{swept}");
        }
        // Without credentials nothing can be read, and it is said.
        stage.fault(&json!([]));
        let mut command = stage.server.program();
        command.args(["sweep", "--yes", "-q", "--format", "json"]);
        command.arg("--journal").arg(stage.folder.path());
        command.arg("--policies").arg(&stage.policy);
        command.env_remove("NEON_API_KEY");
        let (swept, code) = report(&command.output().unwrap());
        let settled = &swept["settled"][0];
        assert_eq!(
            (code, &settled["outcome"]),
            (5, &json!("in_doubt")),
            "{swept}"
        );
        let why = settled["reason"].as_str().unwrap();
        assert!(why.contains("credentials"), "{why}");
        let (swept, code) = stage.sweep();
        assert_eq!(
            (code, &swept["settled"][0]["outcome"]),
            (0, &json!(known)),
            "{swept}"
        );
        let (swept, code) = stage.sweep();
        assert_eq!((code, &swept["settled"]), (0, &json!([])), "{swept}");
    }
}

/// A run that stops because its roots are incomplete says it as well.
#[test]
fn a_doubt_is_said_by_a_run_without_roots() {
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), POLICY);
    let unread = json!({"on": {"method": "GET", "path": "branches/br-"}, "fault": {"status": 403, "body": {"code": "", "message": "no"}}});
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "branches/"}, "fault": "reset"},
        unread,
    ]));
    let (_, code) = stage.sweep();
    assert_eq!(code, 5);
    stage.fault(&json!([
        {"on": "github.pull_requests", "fault": {"status": 403}},
        unread,
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!(
        (code, &swept["settled"][0]["outcome"]),
        (5, &json!("in_doubt")),
        "{swept}"
    );
}
