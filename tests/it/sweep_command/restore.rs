//! What `restore` brings back, and how it is protected.

use serde_json::{Value, json};

use super::{
    CACHE, HOST, POLICY, Stage, after_a_deletion, after_a_deletion_with_an_issue, branch,
    namespace, record, resources, restored, row, swept_elsewhere, worker, world,
};

#[test]
fn deleted_resources_are_restored_as_far_as_possible() {
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let mut all = resources();
    all[2] = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [
        {"name": "a/b", "value": "one", "metadata": {"x": 1}}, {"name": "c", "value": "two"}]}});
    let stage = Stage::new(&world(&all), &policy);
    let before = stage.state();
    let (swept, _) = stage.sweep();
    let run = swept["run"].as_str().unwrap();
    let listed = stage.output(&["restore", "--list"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["run"], run);
    let output = stage.output(&["restore", run]);
    // The Worker cannot be put back, and that is not green.
    assert_eq!(
        output.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = |name: &str| {
        let all = answer["restored"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap()["result"].clone()
    };
    assert_eq!(result("app-pr-1.acme.example"), "restored");
    assert_eq!(result("app-pr-1-cache"), "restored");
    assert_eq!(result("pr-1"), "restored");
    assert_eq!(result("app-pr-1"), "cannot");
    let mut expected = before;
    expected.remove(&("worker".to_owned(), "app-pr-1".to_owned()));
    assert_eq!(stage.state(), expected);
    let state = stage.server.control("GET", "state", "").to_string();
    assert!(
        state.contains("a/b") && state.contains("\"x\":1"),
        "{state}"
    );
    assert!(
        state.contains("\"value\":\"one\"") && state.contains("\"value\":\"two\""),
        "{state}"
    );
    // Not twice.
    let again = stage.output(&["restore", run, "app-pr-1.acme.example"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("already_there"));
    assert_eq!(again.status.code(), Some(0));
    let none = stage.output(&["restore", "nope"]);
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn a_namespace_of_which_a_key_is_not_restored_is_not_green() {
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let soon = 1_777_600_000; // 2026-05-01T01:46:40Z
    let cache = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [
        {"name": "stays", "value": "one"}, {"name": "expires", "value": "two", "expiration": soon}]}});
    for (advance, refused, code, words) in [
        ("2h", false, 0, "one entry has expired since"),
        ("0h", true, 5, "was not written"),
    ] {
        let others = [
            branch("pr-2", "main"),
            worker("app-pr-2", json!([])),
            cache.clone(),
        ];
        let stage = Stage::new(&world(&others), &policy);
        let (swept, _) = stage.sweep();
        let run = swept["run"].as_str().unwrap();
        stage
            .server
            .control("POST", "clock", &json!({"advance": advance}).to_string());
        if refused {
            stage.fault(
                &json!([{"on": {"method": "PUT", "path": "/bulk"}, "times": 1, "fault": {"status": 200,
                "body": {"success": true, "errors": [], "messages": [],
                    "result": {"successful_key_count": 1, "unsuccessful_keys": ["expires"]}}}}]),
            );
        }
        let output = stage.output(&["restore", run]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

/// Whether the namespace has its key again.
fn is_filled(stage: &Stage) -> bool {
    let state = stage.server.control("GET", "state", "").to_string();
    state.contains("\"value\":\"one\"")
}

#[test]
fn unseen_restoration_is_found_filled_and_protected() {
    for (name, path) in [
        (CACHE, "kv/namespaces$"),
        (HOST, "dns_records$"),
        ("pr-1", "/recover$"),
    ] {
        let (stage, run) = after_a_deletion();
        stage.fault(&json!([
            {"on": {"method": "POST", "path": path}, "times": 1, "fault": "reset_after"}]));
        let (result, reason, code) = restored(&stage, &run, name);
        assert_eq!((result.as_str(), code), ("restored", 0), "{name}: {reason}");
        assert!(stage.has(name), "{name}: {reason}");
        assert_eq!(is_filled(&stage), name == CACHE, "{name}");
        let (again, _) = stage.sweep();
        assert!(stage.has(name), "{name}: {again}");
    }
}

#[test]
fn resource_in_restoration_is_protected_until_the_result_is_known() {
    let (stage, run) = after_a_deletion();
    let list = "kv/namespaces$";
    stage.fault(&json!([
        {"on": {"method": "GET", "path": list}, "times": 1, "fault": {"delay_ms": 0}},
        {"on": {"method": "GET", "path": list}, "fault": {"status": 403}},
        {"on": {"method": "POST", "path": list}, "times": 1, "fault": "reset_after"}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    assert!(stage.has(CACHE) && !is_filled(&stage));
    stage.fault(&json!([]));
    let listed = stage.output(&["restore", "--list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("\"restoring\""));
    let (swept, _) = stage.sweep();
    assert!(stage.has(CACHE), "{swept}");
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(is_filled(&stage));
    stage.sweep();
    assert!(stage.has(CACHE));
}

#[test]
fn contents_that_were_not_written_are_written_the_next_time() {
    let (stage, run) = after_a_deletion();
    stage.fault(&json!([
        {"on": {"method": "PUT", "path": "/bulk"}, "fault": {"status": 400}}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    stage.fault(&json!([]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(is_filled(&stage));
    let writes = stage.writes().len();
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    assert_eq!(stage.writes().len(), writes, "once is enough");
}

#[test]
fn restored_resource_that_a_person_deleted_is_restored_again() {
    let (stage, run) = after_a_deletion();
    assert_eq!(restored(&stage, &run, CACHE).0, "restored");
    let journal = stage.journal();
    let back = journal.iter().find(|line| line["entry"] == "restored");
    let id = back.unwrap()["id"].as_str().unwrap().to_owned();
    let account = "36acdabd7c434d35e865c85c73587bf9";
    let path = format!("client/v4/accounts/{account}/storage/kv/namespaces/{id}");
    stage.server.request("DELETE", &path, "");
    assert!(!stage.has(CACHE));
    assert_eq!(restored(&stage, &run, CACHE).0, "restored");
    assert!(stage.has(CACHE) && is_filled(&stage));
}

#[test]
fn a_refused_restore_protects_nothing_and_can_be_repeated() {
    let (stage, run) = after_a_deletion();
    stage.fault(&json!([
        {"on": {"method": "POST", "path": "kv/namespaces$"}, "fault": {"status": 400}}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    stage.fault(&json!([]));
    stage
        .server
        .control("POST", "resources", &namespace(CACHE).to_string());
    stage.sweep();
    assert!(!stage.has(CACHE), "it was not restored");
    assert_eq!(restored(&stage, &run, CACHE).0, "restored");
}

/// Two records of one name would share its traffic.
#[test]
fn a_record_is_not_restored_beside_another_that_took_its_name() {
    let (stage, run) = after_a_deletion();
    let mut other = record(HOST);
    other["attributes"]["type"] = json!("A");
    other["attributes"]["content"] = json!("198.51.100.1");
    stage
        .server
        .control("POST", "resources", &other.to_string());
    let (before, writes) = (stage.state(), stage.writes().len());
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("cannot", 5), "{reason}");
    assert!(reason.contains("taken by another DNS record"), "{reason}");
    assert_eq!((stage.state(), stage.writes().len()), (before, writes));

    // The same record, made by somebody else, is there.
    let (stage, run) = after_a_deletion();
    let same = record(HOST).to_string();
    stage.server.control("POST", "resources", &same);
    let writes = stage.writes().len();
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    assert_eq!(stage.writes().len(), writes);
    stage.sweep();
    assert!(stage.has(HOST), "it is protected");
}

/// What a person deletes and makes again, or releases and wants back, is there when it
/// is restored once more, and no journal protects it yet.
#[test]
fn what_was_released_is_protected_when_it_is_restored_once_more() {
    for with_issue in [true, false] {
        let (stage, run) = if with_issue {
            after_a_deletion_with_an_issue()
        } else {
            after_a_deletion()
        };
        assert_eq!(restored(&stage, &run, CACHE).0, "restored");
        let released = stage.output(&["restore", "--release", CACHE]);
        assert_eq!(released.status.code(), Some(0));
        let (result, reason, code) = restored(&stage, &run, CACHE);
        assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
        assert!(!reason.contains("restored before"), "{reason}");
        let (swept, _) = stage.sweep();
        assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
        if with_issue {
            let (swept, _) = swept_elsewhere(&stage);
            assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
        }
        // It can be released again.
        let released = stage.output(&["restore", "--release", CACHE]);
        assert_eq!(released.status.code(), Some(0));
        let (swept, _) = stage.sweep();
        assert!(!stage.has(CACHE), "{swept}");
    }
}

#[test]
fn what_somebody_made_again_after_it_was_restored_is_protected() {
    let (stage, run) = after_a_deletion();
    assert_eq!(restored(&stage, &run, HOST).0, "restored");
    let zone = stage.journal().iter().find_map(|line| {
        let place = line["resource"]["place"].clone();
        place["zone"]["id"].as_str().map(str::to_owned)
    });
    let back = stage
        .journal()
        .iter()
        .find(|line| line["entry"] == "restored")
        .and_then(|line| line["id"].as_str().map(str::to_owned));
    let (zone, back) = (zone.unwrap(), back.unwrap());
    let path = format!("client/v4/zones/{zone}/dns_records/{back}");
    stage.server.request("DELETE", &path, "");
    assert!(!stage.has(HOST));
    stage
        .server
        .control("POST", "resources", &record(HOST).to_string());
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    stage.sweep();
    assert!(stage.has(HOST), "it is protected");
}

/// Without the box a run on another machine would delete it again.
#[test]
fn a_restore_that_cannot_reach_the_tracking_issue_is_not_green() {
    let (stage, run) = after_a_deletion_with_an_issue();
    for (name, code) in [(CACHE, 5), (HOST, 0)] {
        let mut command = stage.server.program();
        command.args(["restore", &run, name, "-q", "--json"]);
        command.arg("--journal").arg(stage.folder.path());
        command.env_remove("GITHUB_TOKEN");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("\"restored\""), "{said}");
        // The mark of a record keeps it everywhere.
        assert_eq!(
            said.contains("GITHUB_TOKEN is not set"),
            code == 5,
            "{said}"
        );
        assert_eq!(said.contains("run this again"), code == 5, "{said}");
    }
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    swept_elsewhere(&stage);
    assert!(stage.has(CACHE));
}
