//! The boxes that people check: "keep" and "delete", of resources and of pull requests.

use serde_json::json;

use super::{POLICY, Stage, T0, checked, namespace, worker};

#[test]
fn what_is_kept_keeps_what_it_belongs_to_also_where_nobody_can_see_it() {
    let mut owner = worker("app-pr-1");
    owner["attributes"]["custom_domains"] = json!(["app-pr-1.acme.example"]);
    let stage = Stage::new(&[owner]);
    stage.report();
    stage.set_box("keep", "app-pr-1.acme.example", true);
    let blind = json!([{"on": {"path": "/workers/domains$"}, "fault": {"status": 403}}]);
    for (faults, code) in [(json!([]), 0), (blind, 3)] {
        stage.server.plant(&faults);
        let output = stage.run(&["sweep", "--yes"]);
        let why = String::from_utf8_lossy(&output.stderr);
        let there = stage.has("app-pr-1") && stage.has("app-pr-1.acme.example");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            (there, output.status.code()),
            (true, Some(code)),
            "{said}{why}"
        );
    }
}

/// Editors write lists in several ways. Keeping is easy, approving is strict.
#[test]
fn keep_counts_however_the_list_is_written() {
    for mark in [
        "* [X]", "+ [x]", "1. [x]", "2) [X]", "-  [x]", "-\t[x]", "> - [x]",
    ] {
        let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
        stage.report();
        let number = stage.issues()[0]["number"].clone();
        let path = format!("github/repos/acme/shop/issues/{number}");
        let text = checked(&stage.body(), "keep", "app-pr-1");
        let text = text.replace("- [x] keep", &format!("{mark} keep"));
        let change = json!({ "body": text }).to_string();
        stage.server.request("PATCH", &path, &change);
        let output = stage.run(&["sweep", "--yes"]);
        assert_eq!(output.status.code(), Some(0), "{mark}");
        assert!(stage.has("app-pr-1") && !stage.has("app-pr-2"), "{mark}");
    }
}

/// A bucket's id is its name, so one that was made anew looks like the one that a
/// person approved, but for the time of its creation.
#[test]
fn an_approval_does_not_pass_to_what_was_made_anew_under_the_same_name() {
    for reported in [false, true] {
        let bucket = |at: &str| {
            json!({"kind": "r2", "name": "app-pr-1-assets", "created_at": at,
                "updated_at": at, "attributes": {"objects": 0}})
        };
        let stage = Stage::new(&[bucket(T0)]);
        let rule = "[[rule]]\nid = \"buckets\"\nkind = \"r2\"\nname = \
            \"app-pr-{pr}-{any}\"\ndead-when = \"closed\"\n";
        std::fs::write(
            stage.folder.path().join("p.toml"),
            format!("{POLICY}{rule}"),
        )
        .unwrap();
        stage.report();
        stage.set_box("delete at the next sweep", "app-pr-1-assets", true);
        let program = stage.server.program();
        let mut variables = program.get_envs();
        let account = variables.find(|(name, _)| *name == "CLOUDFLARE_ACCOUNT_ID");
        let account = account.and_then(|(_, id)| id?.to_str()).unwrap();
        let path = format!("client/v4/accounts/{account}/r2/buckets/app-pr-1-assets");
        let deleted = stage.server.request("DELETE", &path, "");
        assert!(!stage.has("app-pr-1-assets"), "{deleted}");
        let anew = bucket("2026-04-03T00:00:00Z").to_string();
        stage.server.control("POST", "resources", &anew);
        if reported {
            stage.report();
        }
        let output = stage.run(&["sweep", "--approved", "--yes"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(stage.has("app-pr-1-assets"), "{said}");
        // It can be approved for itself.
        stage.report();
        assert!(!stage.body().contains("- [x] delete"), "{}", stage.body());
        stage.set_box("delete at the next sweep", "app-pr-1-assets", true);
        stage.run(&["sweep", "--approved", "--yes"]);
        assert!(!stage.has("app-pr-1-assets"));
    }
}

impl Stage {
    /// Checks or clears the box of a group, as a person does.
    fn check_group(&self, what: &str, name: &str, checked: bool) {
        let number = self.issues()[0]["number"].as_u64().unwrap();
        let body = self.body();
        let mut found = 0;
        let lines = body.lines().map(|line| {
            if !line.contains(&format!("] {what} everything of &#35;{name} ")) {
                return line.to_owned();
            }
            found += 1;
            let mark = if checked { "- [x]" } else { "- [ ]" };
            format!("{mark}{}", &line[5..])
        });
        let text: Vec<String> = lines.collect();
        assert_eq!(found, 1, "{what} {name} in {body}");
        let change = json!({"body": text.join("\n")}).to_string();
        let path = format!("github/repos/acme/shop/issues/{number}");
        self.server.request("PATCH", &path, &change);
    }

    /// The checked boxes, without what they are about.
    fn checked(&self) -> Vec<String> {
        let body = self.body();
        let lines = body
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("- [x] "));
        lines
            .map(|line| line.split(" <!--").next().unwrap().to_owned())
            .collect()
    }
}

/// Two namespaces of each of two pull requests, in the tracking issue.
fn two_pull_requests() -> Stage {
    let stage = Stage::new(&[
        namespace("app-pr-1-a"),
        namespace("app-pr-1-b"),
        namespace("app-pr-2-a"),
        namespace("app-pr-2-b"),
    ]);
    stage.report();
    stage
}

#[test]
fn the_box_of_a_pull_request_approves_what_is_listed_below_it() {
    let stage = two_pull_requests();
    stage.check_group("delete", "1", true);
    // Found by the sweep itself, and not listed when the box was checked.
    let new = namespace("app-pr-1-c").to_string();
    stage.server.control("POST", "resources", &new);
    stage.run(&["sweep", "--approved", "--yes"]);
    let left = ["app-pr-1-a", "app-pr-1-b", "app-pr-1-c", "app-pr-2-a"].map(|name| stage.has(name));
    assert_eq!(left, [false, false, true, true]);
}

#[test]
fn box_of_a_group_does_not_approve_later_resources() {
    let stage = Stage::new(&[namespace("app-pr-1-a"), namespace("app-pr-1-b")]);
    stage.report();
    stage.check_group("delete", "1", true);
    stage.report();
    let whole = "delete everything of &#35;1 that is listed here (2 resources) at the next sweep";
    assert_eq!(stage.checked(), [whole]);
    let new = namespace("app-pr-1-c").to_string();
    stage.server.control("POST", "resources", &new);
    stage.report();
    // The box is cleared, and those that it was about are checked.
    assert_eq!(stage.checked(), ["delete at the next sweep"; 2]);
    stage.run(&["sweep", "--approved", "--yes"]);
    let left = ["app-pr-1-a", "app-pr-1-b", "app-pr-1-c"].map(|name| stage.has(name));
    assert_eq!(left, [false, false, true]);
}

#[test]
fn the_box_of_a_pull_request_that_is_cleared_approves_nothing() {
    let stage = Stage::new(&[namespace("app-pr-1-a"), namespace("app-pr-1-b")]);
    stage.report();
    stage.check_group("delete", "1", true);
    stage.report();
    stage.check_group("delete", "1", false);
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1-a") && stage.has("app-pr-1-b"));
}

#[test]
fn keep_is_stronger_than_delete_also_in_the_boxes_of_a_pull_request() {
    let stage = two_pull_requests();
    stage.check_group("delete", "1", true);
    stage.check_group("keep", "1", true);
    stage.check_group("delete", "2", true);
    stage.set_box("keep", "app-pr-2-a", true);
    stage.run(&["sweep", "--approved", "--yes"]);
    let names = ["app-pr-1-a", "app-pr-1-b", "app-pr-2-a", "app-pr-2-b"];
    assert_eq!(names.map(|name| stage.has(name)), [true, true, true, false]);
    // They are kept one by one from now on, and by every sweep.
    stage.report();
    let body = stage.body();
    assert_eq!(body.matches("- [x] keep kv").count(), 3, "{body}");
    stage.run(&["sweep", "--yes"]);
    assert_eq!(names.map(|name| stage.has(name)), [true, true, true, false]);
}

#[test]
fn the_boxes_of_a_pull_request_outlive_a_run_that_cannot_list_it() {
    let stage = Stage::new(&[
        namespace("app-pr-1-a"),
        namespace("app-pr-1-b"),
        worker("app-pr-2"),
    ]);
    stage.report();
    stage.check_group("delete", "1", true);
    let blind = json!([{"on": "cloudflare.kv_namespace", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    assert_eq!(stage.run(&["report"]).status.code(), Some(3));
    assert_eq!(stage.checked().len(), 1, "{}", stage.body());
    stage.server.plant(&json!([]));
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(!stage.has("app-pr-1-a") && !stage.has("app-pr-1-b") && stage.has("app-pr-2"));
}

/// A run that cannot see what uses a resource does not know whether it is garbage, and
/// that takes nobody's consent back. That it is alive does.
#[test]
fn an_approval_waits_while_a_run_cannot_judge_its_resource() {
    let stage = Stage::new(&[namespace("app-pr-1-a"), worker("app-pr-2")]);
    stage.report();
    stage.set_box("delete", "app-pr-1-a", true);
    let blind = json!([{"on": "cloudflare.worker", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    for _ in 0..2 {
        assert_eq!(stage.run(&["report"]).status.code(), Some(3));
        let body = stage.body();
        assert_eq!(stage.checked(), ["delete at the next sweep"], "{body}");
        assert_eq!(
            body.matches("kv\\_namespace **app-pr-1-a**").count(),
            1,
            "{body}"
        );
    }
    let output = stage.run(&["sweep", "--approved", "--yes"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stage.has("app-pr-1-a"));
    stage.server.plant(&json!([]));
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(!stage.has("app-pr-1-a") && stage.has("app-pr-2"));
}

#[test]
fn an_approval_ends_where_a_complete_run_finds_no_garbage() {
    let stage = Stage::new(&[namespace("app-pr-1-a"), worker("app-pr-2")]);
    stage.report();
    stage.set_box("delete", "app-pr-1-a", true);
    let reopen = |state| {
        let door = json!({ "state": state }).to_string();
        stage.server.control("POST", "pull_requests/1", &door);
    };
    reopen("open");
    stage.report();
    assert!(stage.checked().is_empty(), "{}", stage.body());
    reopen("closed");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1-a"));
}

/// The text of an issue as version 0.1.0 wrote it before groups had boxes.
const EARLIER: &str = include_str!("../../support/earlier-issue.md");

#[test]
fn an_issue_without_boxes_of_groups_is_read_as_it_was_written() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2"), worker("app-pr-3")]);
    stage.report();
    let number = stage.issues()[0]["number"].as_u64().unwrap();
    let path = format!("github/repos/acme/shop/issues/{number}");
    let change = json!({ "body": EARLIER });
    stage.server.request("PATCH", &path, &change.to_string());
    stage.set_box("keep", "app-pr-1", true);
    stage.set_box("delete at the next sweep", "app-pr-2", true);
    let blind = json!([{"on": "cloudflare.worker", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    assert_eq!(stage.run(&["report"]).status.code(), Some(3));
    let body = stage.body();
    assert!(body.contains("- [x] keep worker **app-pr-1**"), "{body}");
    assert!(body.contains("worker **app-pr-3**, 30d old: "), "{body}");
    assert_eq!(stage.checked().len(), 2, "{body}");
    // What earlier runs counted is known.
    assert!(
        body.contains("\"garbage\":3,\"deleted\":0},{\"at\""),
        "{body}"
    );
    stage.server.plant(&json!([]));
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1") && !stage.has("app-pr-2") && stage.has("app-pr-3"));
}

#[test]
fn an_approval_that_waits_for_another_one_says_so() {
    let mut edge = worker("app-pr-3");
    edge["attributes"] = json!({"bindings": [
        {"type": "service", "name": "S", "target": "app-pr-4"}]});
    let stage = Stage::new(&[worker("app-pr-4"), edge]);
    stage.report();
    stage.set_box("delete", "app-pr-4", true);
    let output = stage.run(&["sweep", "--approved", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stage.has("app-pr-4") && stage.has("app-pr-3"), "{said}");
    assert!(
        said.contains("it waits for Worker app-pr-3, which was not chosen"),
        "{said}"
    );
    stage.set_box("delete", "app-pr-3", true);
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(!stage.has("app-pr-4") && !stage.has("app-pr-3"));
}

/// Nothing finds the application again once its Worker is gone.
#[test]
fn an_approved_worker_waits_for_the_approval_of_its_application() {
    let application = json!({"kind": "container_application", "name": "app-pr-4-box",
        "created_at": T0, "updated_at": T0, "attributes": {"worker": "app-pr-4", "class": "Box"}});
    let stage = Stage::new(&[worker("app-pr-4"), application]);
    let with = "name = \"app-pr-{pr}\"\nwith = [\"container_application\"]\n";
    let policy = POLICY.replacen("name = \"app-pr-{pr}\"\n", with, 1);
    std::fs::write(stage.folder.path().join("p.toml"), policy).unwrap();
    stage.report();
    stage.set_box("delete", "app-pr-4", true);
    let output = stage.run(&["sweep", "--approved", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stage.has("app-pr-4") && stage.has("app-pr-4-box"), "{said}");
    let why = "which it would leave behind, was not chosen";
    assert!(said.contains(why), "{said}");
    stage.set_box("delete", "app-pr-4-box", true);
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(!stage.has("app-pr-4") && !stage.has("app-pr-4-box"));
}
