//! Databases are exported before they are deleted, and imported when they are restored.

use serde_json::{Value, json};

use super::{NOW, Stage, T0, outcomes, reason, report, restored, world};
use crate::support::in_parallel;

const POLICY: &str = "[[rule]]\nid = \"databases\"\nkind = \"d1\"\nname = \"app-pr-{pr}-db\"\n\
    dead-when = \"closed\"\nbackup = true\n";

const DB: &str = "app-pr-1-db";

const SQL: &str = "CREATE TABLE users (name TEXT);\nINSERT INTO users VALUES('canary-of-a-row');\n";

fn stage() -> Stage {
    let db = json!({"kind": "d1", "name": DB, "created_at": T0, "updated_at": T0,
        "attributes": {"sql": SQL, "jurisdiction": "eu"}});
    let other = json!({"kind": "d1", "name": "app-pr-2-db", "created_at": T0,
        "attributes": {"sql": SQL}});
    Stage::new(&world(&[db, other]), POLICY)
}

/// The attributes of the database in the world.
fn attributes(stage: &Stage) -> Value {
    let state = stage.server.control("GET", "state", "");
    let mut all = state["resources"].as_array().unwrap().iter();
    let database = all.find(|one| one["name"] == DB);
    database.map_or(Value::Null, |one| one["attributes"].clone())
}

/// The signatures of the addresses that were used so far.
fn signatures(stage: &Stage) -> Vec<String> {
    let log = stage.server.control("GET", "requests", "");
    let log = log.as_array().unwrap().iter();
    let queries = log.filter_map(|one| one["query"].as_str());
    queries
        .filter_map(|query| Some(query.split_once("X-Amz-Signature=")?.1.to_owned()))
        .collect()
}

/// Runs the program with all it has to say, checks that no signature is in that or in
/// a journal, and gives the JSON with the exit code.
fn run(stage: &Stage, arguments: &[&str]) -> (Value, i32) {
    let mut command = stage.server.program();
    command.args(arguments).args(["-vvv", "--format", "json"]);
    command.arg("--journal").arg(stage.folder.path());
    if arguments[0] != "restore" {
        command.arg("--policies").arg(&stage.policy);
    }
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned() + &stage.journal_text();
    for signature in signatures(stage) {
        assert!(signature.len() >= 32);
        assert!(!said.contains(&signature), "{said}");
    }
    assert!(!said.contains("X-Amz"), "{said}");
    report(&output)
}

#[test]
fn a_database_is_exported_before_its_deletion_and_imported_again() {
    let stage = stage();
    let (swept, code) = run(&stage, &["sweep", "--yes"]);
    assert_eq!((code, &*outcomes(&swept)[DB]), (0, "deleted"), "{swept}");
    assert!(!stage.has(DB) && stage.has("app-pr-2-db"));
    // What was fetched is on disk before the deletion, for its owner alone.
    let journal = stage.journal();
    let intent = journal.iter().find(|line| line["entry"] == "intent");
    let held = &intent.unwrap()["copy"]["held"];
    assert!(
        held["sql"].as_str().unwrap().contains("canary-of-a-row"),
        "{held}"
    );
    assert!(!swept.to_string().contains("canary-of-a-row"));
    #[cfg(unix)]
    for entry in std::fs::read_dir(stage.folder.path()).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let entry = entry.unwrap();
        if entry.path().extension().is_some_and(|end| end == "jsonl") {
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
    let run_id = swept["run"].as_str().unwrap();
    let (answer, code) = run(&stage, &["restore", run_id, DB]);
    assert_eq!(
        (code, &answer["restored"][0]["result"]),
        (0, &json!("restored")),
        "{answer}"
    );
    assert!(
        answer["restored"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("new id"),
        "{answer}"
    );
    assert_eq!(
        attributes(&stage),
        json!({"sql": SQL, "jurisdiction": "eu"})
    );
    assert_eq!(signatures(&stage).len(), 2, "a download and an upload");
    let (result, why, code) = restored(&stage, run_id, DB);
    assert_eq!((&*result, code), ("already_there", 0), "{why}");
    let (swept, _) = stage.sweep();
    assert!(stage.has(DB), "it is protected: {swept}");
}

/// An answer of the API of D1.
fn d1(result: Value) -> Value {
    json!({"status": 200, "body": {"success": true, "errors": [], "messages": [], "result": result}})
}

#[test]
fn a_database_whose_export_fails_stays() {
    let export =
        |fault: Value| json!([{"on": {"method": "POST", "path": "/export$"}, "fault": fault}]);
    let file =
        |fault: Value| json!([{"on": {"method": "GET", "path": "^/d1-storage/"}, "fault": fault}]);
    let one = json!({"method": "GET", "path": "/d1/database/[0-9a-f-]{36}$"});
    let changed = d1(json!({"uuid": "x", "name": DB, "created_at": NOW, "file_size": 1}));
    let (complete, marks) = (json!("complete"), json!("b"));
    let cases = [
        (export(json!({"status": 403})), "may not do this (HTTP 403"),
        (
            export(d1(
                json!({"success": false, "status": "error", "error": "virtual tables"}),
            )),
            "the export failed: virtual tables",
        ),
        (
            export(d1(
                json!({"success": true, "status": complete, "at_bookmark": marks}),
            )),
            "no `signed_url`",
        ),
        (
            export(d1(
                json!({"success": true, "status": complete, "at_bookmark": marks,
            "result": {"signed_url": "http://files.example/a.sql?X-Amz-Signature=0123456789abcdef"}}),
            )),
            "not https",
        ),
        (file(json!({"status": 403})), "HTTP 403"),
        (file(json!({"status": 500})), "HTTP 500"),
        (
            file(json!({"status": 302, "headers": {"location": "/"}})),
            "redirected (HTTP 302)",
        ),
        (file(json!("truncate")), "the connection broke"),
        (file(json!({"status": 200, "body": ""})), "is empty"),
        (
            file(json!({"status": 200, "body": "CREATE TABLE users"})),
            "within a statement",
        ),
        (
            file(json!({"padding_mb": 26})),
            "larger than 25 MB, which is too large for a backup",
        ),
        (
            json!([{"on": one, "times": 1, "fault": {"delay_ms": 0}}, {"on": one, "fault": changed}]),
            "it changed while it was backed up",
        ),
    ];
    in_parallel(&cases, |(faults, expected)| {
        let stage = stage();
        stage.fault(faults);
        let (swept, code) = run(&stage, &["sweep", "--yes"]);
        assert_eq!(
            (code, &*outcomes(&swept)[DB]),
            (5, "failed_for_now"),
            "{faults}: {swept}"
        );
        let why = reason(&swept, DB);
        assert!(why.starts_with("its backup could not be made: "), "{why}");
        assert!(why.contains(expected), "{expected}: {why}");
        assert!(!why.contains("0123456789abcdef"), "{why}");
        assert_eq!(attributes(&stage)["sql"], SQL);
        let writes = stage.writes();
        assert!(
            writes.iter().all(|(method, ..)| method != "DELETE"),
            "{writes:?}"
        );
    });
}

#[test]
fn a_database_whose_import_fails_is_not_restored_whole_and_says_so() {
    let part = "but what it held was not, or not all of it";
    let import = json!({"method": "POST", "path": "/import$"});
    let cases = [
        (
            json!([{"on": import, "fault": {"status": 403}}]),
            "HTTP 403",
        ),
        (
            json!([{"on": {"method": "POST", "path": "/import$", "contains": "poll"}, "fault":
            d1(json!({"success": false, "status": "error", "error": "near SELEC: syntax error"}))}]),
            "near SELEC: syntax error",
        ),
        (
            json!([{"on": {"method": "PUT", "path": "^/d1-storage/"}, "fault": {"status": 403}}]),
            "HTTP 403",
        ),
        (
            json!([{"on": {"method": "PUT", "path": "^/d1-storage/"}, "fault":
            {"status": 200, "headers": {"etag": "\"00000000000000000000000000000000\""}}}]),
            "ETag",
        ),
    ];
    in_parallel(&cases, |(faults, expected)| {
        let stage = stage();
        let (swept, _) = stage.sweep();
        let run_id = swept["run"].as_str().unwrap();
        stage.fault(faults);
        let (answer, code) = run(&stage, &["restore", run_id, DB]);
        let one = &answer["restored"][0];
        assert_eq!((code, &one["result"]), (5, &json!("failed")), "{answer}");
        let why = one["reason"].as_str().unwrap();
        assert!(
            why.contains(part) && why.contains(expected),
            "{expected}: {why}"
        );
        stage.fault(&json!([]));
        let (result, why, code) = restored(&stage, run_id, DB);
        assert_eq!((&*result, code), ("restored", 0), "{why}");
        assert_eq!(attributes(&stage)["sql"], SQL, "once");
    });
}

#[test]
fn a_database_without_a_backup_cannot_be_restored() {
    let policy = POLICY.replace("backup = true\n", "");
    let db = json!({"kind": "d1", "name": DB, "created_at": T0, "attributes": {"sql": SQL}});
    let stage = Stage::new(&world(&[db]), &policy);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    let writes = stage.writes();
    assert!(
        !writes.iter().any(|(_, path, _)| path.ends_with("/export")),
        "{writes:?}"
    );
    let (result, why, code) = restored(&stage, swept["run"].as_str().unwrap(), DB);
    assert_eq!((&*result, code), ("cannot", 5));
    assert!(
        why.contains("`backup = true` in its rule keeps one"),
        "{why}"
    );
}
