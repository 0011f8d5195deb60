//! What a restored resource is kept by on other machines, and how it is released.

use serde_json::{Value, json};

use super::{
    CACHE, HOST, POLICY, Stage, T0, after_a_deletion, after_a_deletion_with_an_issue, namespace,
    record, resources, restored, row, swept_elsewhere, world,
};

#[test]
fn restored_resources_stay_until_released() {
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let mut all = resources();
    all[2] = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [
        {"name": "a", "value": "one"}]}});
    let stage = Stage::new(&world(&all), &policy);
    let (swept, _) = stage.sweep();
    let run = swept["run"].as_str().unwrap();
    // A namespace has no times, so nothing else keeps it.
    let name = "app-pr-1-cache";
    let output = stage.output(&["restore", run, name]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("restore --release"), "{said}");
    let (again, code) = stage.sweep();
    assert_eq!(code, 0, "{again}");
    assert!(stage.has(name), "{name} is deleted again");
    let row = again["resources"].as_array().unwrap().iter();
    let row = row.clone().find(|row| row["name"] == name).unwrap();
    assert_eq!(row["verdict"], "protected", "{row}");
    let ends = format!("kept until `preview-gc restore --release {name}`");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.starts_with("restored on 2026-05-01"), "{row}");
    assert!(reason.ends_with(&ends), "{row}");
    let (audit, _) = stage.run(&["audit"]);
    let audited = audit["resources"].as_array().unwrap();
    assert!(
        audited
            .iter()
            .any(|row| row["name"] == name && row["verdict"] == "protected")
    );
    // Only what a journal knows can be released, and only what is named.
    let unknown = stage.output(&["restore", "--release", name, "--release", "nope"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("\"nope\""));
    let released = stage.output(&["restore", "--release", name]);
    assert_eq!(released.status.code(), Some(0));
    let (last, code) = stage.sweep();
    assert_eq!(code, 0, "{last}");
    assert!(!stage.has(name));
    // It is released once.
    let twice = stage.output(&["restore", "--release", name]);
    assert_eq!(twice.status.code(), Some(2));
}

/// A person who gives up the attempt frees the name.
#[test]
fn an_attempt_to_restore_can_be_released() {
    let (stage, run) = after_a_deletion();
    stage.fault(&json!([
        {"on": {"method": "POST", "path": "kv/namespaces$"}, "times": 1, "fault": "reset"}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    assert!(reason.contains("is unknown"), "{reason}");
    stage
        .server
        .control("POST", "resources", &namespace(CACHE).to_string());
    stage.sweep();
    assert!(stage.has(CACHE), "it may be ours");
    let released = stage.output(&["restore", "--release", CACHE]);
    assert_eq!(released.status.code(), Some(0));
    stage.sweep();
    assert!(!stage.has(CACHE));
}

fn comment_of_the_record(stage: &Stage) -> Value {
    let state = stage.server.control("GET", "state", "");
    let all = state["resources"].as_array().unwrap();
    let record = all.iter().find(|one| one["name"] == HOST).unwrap();
    record["attributes"]["comment"].clone()
}

#[test]
fn a_restored_resource_is_kept_elsewhere_by_its_box_until_it_is_released() {
    let (stage, run) = after_a_deletion_with_an_issue();
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(reason.contains("\"keep\" is checked in http"), "{reason}");
    // A report keeps the box that `restore` checked.
    let (reported, code) = stage.run(&["report"]);
    assert_eq!(code, 0, "{reported}");
    for _ in 0..2 {
        let (swept, code) = swept_elsewhere(&stage);
        assert_eq!(code, 0, "{swept}");
        assert!(stage.has(CACHE), "{swept}");
        assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
    }
    let released = stage.output(&["restore", "--release", CACHE]);
    assert_eq!(released.status.code(), Some(0));
    let (swept, code) = swept_elsewhere(&stage);
    assert_eq!(code, 0, "{swept}");
    assert!(!stage.has(CACHE), "{swept}");
}

#[test]
fn a_restored_record_is_kept_elsewhere_by_its_mark_until_it_is_released() {
    let (stage, run) = after_a_deletion();
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(reason.contains("its mark `preview-gc:keep`"), "{reason}");
    assert_eq!(comment_of_the_record(&stage), "kept preview-gc:keep");
    let (swept, code) = swept_elsewhere(&stage);
    assert_eq!(code, 0, "{swept}");
    assert_eq!(row(&swept, HOST)["verdict"], "protected", "{swept}");
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
    assert_eq!(comment_of_the_record(&stage), "kept");
    let (swept, _) = swept_elsewhere(&stage);
    assert_ne!(row(&swept, HOST)["verdict"], "protected", "{swept}");
}

#[test]
fn a_box_that_cannot_be_checked_is_not_green() {
    let (stage, run) = after_a_deletion_with_an_issue();
    stage.fault(&json!([
        {"on": {"method": "PATCH", "path": "/issues/"}, "fault": {"status": 403}}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 5), "{reason}");
    assert!(reason.contains("could not be checked"), "{reason}");
    // The next attempt mends that.
    stage.fault(&json!([]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    swept_elsewhere(&stage);
    assert!(stage.has(CACHE));
}

/// A bucket has its name as its id, so that its box is there before it is restored.
#[test]
fn a_release_leaves_the_box_that_a_person_checked() {
    let bucket =
        json!({"kind": "r2", "name": "app-pr-1-files", "created_at": T0, "updated_at": T0});
    let policy = format!(
        "{POLICY}[[rule]]\nid = \"buckets\"\nkind = \"r2\"\nname = \
         \"app-pr-{{pr}}-files\"\ndead-when = \"closed\"\n"
    );
    for by_a_person in [true, false] {
        let stage = Stage::new(&world(std::slice::from_ref(&bucket)), &policy);
        stage.run(&["report"]);
        let (swept, code) = stage.sweep();
        assert_eq!(code, 0, "{swept}");
        let issues = "github/repos/acme/shop/issues?state=all";
        let body = || {
            let listed: Value =
                serde_json::from_str(&stage.server.request("GET", issues, "")).unwrap();
            (
                listed[0]["number"].clone(),
                listed[0]["body"].as_str().unwrap().to_owned(),
            )
        };
        if by_a_person {
            let (number, text) = body();
            let change = json!({"body": text.replace("[ ] keep <!--", "[x] keep <!--")});
            let path = format!("github/repos/acme/shop/issues/{number}");
            stage.server.request("PATCH", &path, &change.to_string());
        }
        let run = swept["run"].as_str().unwrap();
        let (result, why, code) = restored(&stage, run, "app-pr-1-files");
        assert_eq!((result.as_str(), code), ("restored", 0), "{why}");
        assert!(body().1.contains("[x] keep <!--"), "{}", body().1);
        let released = stage.output(&["restore", "--release", "app-pr-1-files"]);
        assert_eq!(released.status.code(), Some(0));
        assert_eq!(
            body().1.contains("[x] keep <!--"),
            by_a_person,
            "{}",
            body().1
        );
    }
}

#[test]
fn what_keeps_a_restored_resource_elsewhere_has_to_be_taken_back_for_a_release() {
    let (stage, run) = after_a_deletion_with_an_issue();
    for (name, method, path) in [
        (CACHE, "PATCH", "/issues/"),
        (HOST, "PATCH", "dns_records/"),
    ] {
        let (result, reason, code) = restored(&stage, &run, name);
        assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
        stage.fault(&json!([
            {"on": {"method": method, "path": path}, "fault": {"status": 403}}]));
        let refused = stage.output(&["restore", "--release", name]);
        let said = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert_eq!(refused.status.code(), Some(5), "{said}");
        assert!(said.contains("it stays protected"), "{said}");
        stage.fault(&json!([]));
        stage.sweep();
        assert!(stage.has(name), "{name} is still kept");
        let released = stage.output(&["restore", "--release", name]);
        assert_eq!(released.status.code(), Some(0), "{name}");
    }
}

#[test]
fn a_release_clears_a_box_that_was_written_unseen() {
    for fault in [
        json!({"on": {"method": "PATCH", "path": "/issues/"}, "fault": "reset_after"}),
        json!({"on": {"method": "POST", "path": "/graphql$", "contains": "userContentEdits(first:20"},
            "fault": {"status": 403}}),
    ] {
        let (stage, run) = after_a_deletion_with_an_issue();
        stage.fault(&json!([fault]));
        let (result, reason, code) = restored(&stage, &run, CACHE);
        assert_eq!((result.as_str(), code), ("restored", 5), "{reason}");
        stage.fault(&json!([]));
        let (swept, _) = swept_elsewhere(&stage);
        assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
        let released = stage.output(&["restore", "--release", CACHE]);
        assert_eq!(released.status.code(), Some(0));
        let (swept, _) = swept_elsewhere(&stage);
        assert!(!stage.has(CACHE), "{swept}");
    }
}

/// The scheduled sweeps write their issue as the account of Actions, and a person
/// restores with a token of their own.
#[test]
fn an_issue_of_another_account_is_named_when_a_box_cannot_be_checked_in_it() {
    let (stage, run) = after_a_deletion_with_an_issue();
    let mine = json!({"data": {"viewer": {"login": "alice"}}});
    stage.fault(
        &json!([{"on": {"method": "POST", "path": "/graphql$", "contains": "viewer"},
        "fault": {"status": 200, "body": mine}}]),
    );
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 5), "{reason}");
    for part in ["issue #", "github-actions[bot]", "--issue-author"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    let output = stage.output(&[
        "restore",
        &run,
        CACHE,
        "--issue-author",
        "github-actions[bot]",
    ]);
    assert_eq!(output.status.code(), Some(0));
    stage.fault(&json!([]));
    let (swept, _) = swept_elsewhere(&stage);
    assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
}

/// Restores with the answer of the creation lost, so that it is not known whether the
/// record was made.
fn restored_unseen(stage: &Stage, run: &str, fault: &str) {
    stage.fault(&json!([
        {"on": {"method": "POST", "path": "dns_records$"}, "times": 1, "fault": fault}]));
    stage.output(&["restore", run, HOST]);
    stage.fault(&json!([]));
}

/// What a person wrote is not taken back, also where the text has the mark.
#[test]
fn a_release_removes_only_the_mark_that_the_restore_wrote() {
    let (stage, run) = after_a_deletion();
    restored_unseen(&stage, &run, "reset");
    let mut theirs = record(HOST);
    theirs["attributes"]["comment"] = json!("live demo preview-gc:keep");
    stage
        .server
        .control("POST", "resources", &theirs.to_string());
    let (_, reason, code) = restored(&stage, &run, HOST);
    assert_eq!(code, 0, "{reason}");
    assert!(!reason.contains("it is marked"), "{reason}");
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
    assert_eq!(comment_of_the_record(&stage), "live demo preview-gc:keep");
    // One that this program made, and whose answer was lost, has its own mark.
    let (stage, run) = after_a_deletion();
    restored_unseen(&stage, &run, "reset_after");
    assert_eq!(comment_of_the_record(&stage), "kept preview-gc:keep");
    stage.output(&["restore", run.as_str(), HOST]);
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
    assert_eq!(comment_of_the_record(&stage), "kept");
}

/// The path of the only DNS record of the host.
pub(super) fn path_of_the_record(stage: &Stage) -> String {
    let state = stage.server.control("GET", "state", "");
    let all = state["resources"].as_array().unwrap();
    let record = all.iter().find(|one| one["name"] == HOST).unwrap();
    let mut variables = stage.server.environment.iter();
    let zone = variables.find(|(name, _)| name == "CLOUDFLARE_ZONE_ID");
    let (zone, id) = (&zone.unwrap().1, record["id"].as_str().unwrap());
    format!("client/v4/zones/{zone}/dns_records/{id}")
}

#[test]
fn a_mark_that_somebody_changed_is_not_called_released() {
    let (stage, run) = after_a_deletion();
    restored(&stage, &run, HOST);
    let path = path_of_the_record(&stage);
    let edited = json!({"comment": "kept preview-gc:keep (checked by Ann)"}).to_string();
    stage.server.request("PATCH", &path, &edited);
    let refused = stage.output(&["restore", "--release", HOST]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains("somebody changed the text"), "{said}");
    let back = json!({"comment": "by hand"}).to_string();
    stage.server.request("PATCH", &path, &back);
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
}

#[test]
fn a_release_is_about_the_issue_in_which_the_box_was_checked() {
    let (stage, run) = after_a_deletion_with_an_issue();
    for name in [CACHE, HOST] {
        let (result, reason, code) = restored(&stage, &run, name);
        assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    }
    let release = |other: Option<&Stage>| {
        let mut command = stage.server.program();
        command.args(["restore", "--release", HOST, "-q", "--json"]);
        command.arg("--journal").arg(stage.folder.path());
        match other {
            Some(other) => {
                let variables = other.server.environment.iter();
                command.envs(
                    variables
                        .filter(|(name, _)| name.starts_with("GITHUB_"))
                        .cloned(),
                );
            }
            None => {
                command.env_remove("GITHUB_TOKEN");
            }
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(5), "{said}");
        let why = "GITHUB_TOKEN is not set or is for another host";
        assert!(said.contains(why), "{said}");
    };
    // Another host of GitHub, and none: nothing is changed, the mark included.
    let (other, _) = after_a_deletion_with_an_issue();
    let before = other.writes().len();
    release(Some(&other));
    release(None);
    assert_eq!(comment_of_the_record(&stage), "kept preview-gc:keep");
    assert_eq!(other.writes().len(), before);
    // An issue that is gone has no box.
    stage.fault(&json!([{"on": {"method": "GET", "path": "/issues"},
        "fault": {"status": 200, "body": []}}]));
    let released = stage.output(&["restore", "--release", CACHE, "--release", HOST]);
    assert_eq!(
        released.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&released.stdout)
    );
    assert_eq!(comment_of_the_record(&stage), "kept");
}

/// The text of the tracking issue.
pub(super) fn body(stage: &Stage) -> (Value, String) {
    let issues = "github/repos/acme/shop/issues?state=all";
    let listed: Value = serde_json::from_str(&stage.server.request("GET", issues, "")).unwrap();
    let text = listed[0]["body"].as_str().unwrap().to_owned();
    (listed[0]["number"].clone(), text)
}

pub(super) fn save(stage: &Stage, text: &str) {
    let (number, _) = body(stage);
    let path = format!("github/repos/acme/shop/issues/{number}");
    let change = json!({"body": text});
    stage.server.request("PATCH", &path, &change.to_string());
}

/// The text with the box of a resource checked.
fn with_box(text: &str, what: &str, name: &str) -> String {
    let at = text
        .find(&format!("**{name}**"))
        .unwrap_or_else(|| panic!("{name} in {text}"));
    let at = at + text[at..].find(&format!("[ ] {what}")).unwrap();
    format!("{}[x]{}", &text[..at], &text[at + 3..])
}

/// Checks a box as a person does.
pub(super) fn check(stage: &Stage, what: &str, name: &str) {
    save(stage, &with_box(&body(stage).1, what, name));
}

/// A namespace that was restored, with its box checked if that is to be released, and
/// the command that writes the issue.
fn before_a_write(release: bool) -> (Stage, Vec<String>) {
    let (stage, run) = after_a_deletion_with_an_issue();
    if release {
        restored(&stage, &run, CACHE);
    }
    let words: &[&str] = if release {
        &["restore", "--release", CACHE]
    } else {
        &["restore", &run, CACHE]
    };
    (stage, words.iter().map(ToString::to_string).collect())
}

/// Runs a command, with what people do before its write and before it reads the history.
fn written_between(
    stage: &Stage,
    command: &[String],
    before: &dyn Fn(),
    after: &dyn Fn(),
) -> Option<i32> {
    let write = json!({"method": "PATCH", "path": "/issues/"});
    let history =
        json!({"method": "POST", "path": "/graphql$", "contains": "userContentEdits(first:20"});
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let run = || stage.output(&words).status.code();
    stage
        .server
        .meanwhile(run, &[(write, before), (history, after)])
}

/// Whether the box of a resource is checked.
fn has_box(text: &str, what: &str, name: &str) -> bool {
    let at = text
        .find(&format!("**{name}**"))
        .unwrap_or_else(|| panic!("{name} in {text}"));
    let (before, _) = text[at..].split_once(&format!("] {what}")).unwrap();
    before.ends_with("[x")
}

const DELETE: &str = "delete at the next sweep";

/// The box of the namespace that was restored.
const KEPT: &str = "- [x] keep kv\\_namespace **app-pr-1-cache**";

#[test]
fn what_two_people_keep_around_the_write_of_a_restore_or_release_is_kept() {
    for release in [false, true] {
        let (stage, command) = before_a_write(release);
        let code = written_between(
            &stage,
            &command,
            &|| check(&stage, "keep", "app-pr-1"),
            &|| check(&stage, "keep", "pr-1"),
        );
        assert_eq!(code, Some(0), "{release}");
        let (_, text) = body(&stage);
        assert!(has_box(&text, "keep", "app-pr-1"), "{release}: {text}");
        assert!(has_box(&text, "keep", "pr-1"), "{release}: {text}");
        assert_eq!(text.contains(KEPT), !release, "{text}");
    }
}

/// The text that the command wrote has the check mark that somebody cleared.
#[test]
fn an_approval_that_is_taken_back_before_the_write_of_a_restore_or_release_stays_so() {
    for release in [false, true] {
        let (stage, command) = before_a_write(release);
        let approved = with_box(&body(&stage).1, DELETE, "app-pr-1");
        save(&stage, &approved);
        let code = written_between(
            &stage,
            &command,
            &|| {
                let (_, text) = body(&stage);
                save(
                    &stage,
                    &text.replace(&format!("[x] {DELETE}"), &format!("[ ] {DELETE}")),
                );
            },
            &|| check(&stage, "keep", "pr-1"),
        );
        assert_eq!(code, Some(0), "{release}");
        let (_, text) = body(&stage);
        assert!(!has_box(&text, DELETE, "app-pr-1"), "{release}: {text}");
        assert!(has_box(&text, "keep", "pr-1"), "{release}: {text}");
    }
}

/// Somebody wants it kept although it is being released.
#[test]
fn a_box_that_somebody_checks_again_during_a_release_keeps() {
    let (stage, command) = before_a_write(true);
    let code = written_between(
        &stage,
        &command,
        &|| check(&stage, "keep", "app-pr-1"),
        &|| {
            let (_, text) = body(&stage);
            let cleared = KEPT.replace("[x]", "[ ]");
            assert!(text.contains(&cleared), "{text}");
            save(&stage, &text.replace(&cleared, KEPT));
        },
    );
    assert_eq!(code, Some(5));
    let (_, text) = body(&stage);
    assert!(text.contains(KEPT), "{text}");
    assert!(has_box(&text, "keep", "app-pr-1"), "{text}");
}
