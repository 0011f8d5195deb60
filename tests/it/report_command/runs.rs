//! The issue from one run to the next: what a run changes, and what it leaves.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{POLICY, Stage, T0, worker};

#[test]
fn one_issue_is_kept_through_every_change() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2"), worker("app-pr-3")]);
    assert!(stage.report().starts_with("created"));
    assert!(stage.body().contains("/workers/scripts/app-pr-1"));
    assert!(
        stage
            .report()
            .starts_with("the tracking issue is up to date")
    );
    assert_eq!(stage.issues().len(), 1);

    // What is checked "keep" is kept by every verb.
    stage.set_box("keep", "app-pr-1", true);
    let output = stage.run(&["explain", "app-pr-1"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("protected") && said.contains("checked in issue"),
        "{said}"
    );
    // Only what is checked for deletion goes with --approved.
    stage.set_box("delete at the next sweep", "app-pr-2", true);
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1") && !stage.has("app-pr-2") && stage.has("app-pr-3"));
    let output = stage.run(&["sweep", "--yes", "--report"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stage.has("app-pr-1") && !stage.has("app-pr-3"));
    // Nothing but what is kept: the issue is closed, and reopened when it is not.
    assert_eq!(stage.issues()[0]["state"], "closed");
    assert!(stage.body().contains("app-pr-1"), "it can still be cleared");
    stage.set_box("keep", "app-pr-1", false);
    assert!(stage.report().starts_with("reopened"));
    stage.run(&["sweep", "--yes", "--report"]);
    assert_eq!(stage.issues()[0]["state"], "closed");
    assert_eq!(
        (stage.issues().len(), stage.issues()[0]["comments"].as_u64()),
        (1, Some(2))
    );
}

#[test]
fn a_run_that_looks_at_a_part_leaves_the_rest_of_the_issue() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2"), worker("app-pr-3")]);
    stage.report();
    stage.set_box("keep", "app-pr-1", true);
    let output = stage.run(&["sweep", "--pr", "2", "--yes", "--report"]);
    assert_eq!(output.status.code(), Some(0));
    let body = stage.body();
    assert!(!body.contains("app-pr-2") && body.contains("/workers/scripts/app-pr-3"));
    assert!(body.contains("- [x] keep worker **app-pr-1**"), "{body}");
    assert!(
        body.contains("pull request \\&#35;2") || body.contains("pull request &#35;2"),
        "{body}"
    );
    assert_eq!(stage.issues()[0]["state"], "open");
    // Nor does a run that could not see everything.
    let fault = json!([{"on": "cloudflare.worker", "fault": {"status": 403}}]);
    stage.server.plant(&fault);
    assert_eq!(stage.run(&["report"]).status.code(), Some(3));
    let body = stage.body();
    assert!(body.contains("/workers/scripts/app-pr-3"), "{body}");
    assert!(body.contains("- [x] keep worker **app-pr-1**"), "{body}");
    stage.server.plant(&json!([]));
    // What is cleared comes back among the others.
    stage.set_box("keep", "app-pr-1", false);
    stage.run(&["report", "--kind", "kv_namespace"]);
    assert!(stage.body().contains("- [ ] keep"), "{}", stage.body());
    stage.report();
    let body = stage.body();
    assert!(body.contains("/workers/scripts/app-pr-1"), "{body}");
}

#[test]
fn a_run_with_other_policies_leaves_what_it_does_not_list() {
    let stage = Stage::new(&[
        worker("app-pr-1"),
        json!({"kind": "kv_namespace", "name": "app-pr-2-kv"}),
    ]);
    stage.report();
    stage.set_box("keep", "app-pr-1", true);
    let namespaces = POLICY.split("[[rule]]").nth(2).unwrap();
    let policy = stage.folder.path().join("p.toml");
    std::fs::write(&policy, format!("[[rule]]{namespaces}")).unwrap();
    stage.run(&["sweep", "--yes", "--report"]);
    let body = stage.body();
    assert!(!stage.has("app-pr-2-kv") && !body.contains("app-pr-2-kv"));
    assert!(body.contains("- [x] keep worker **app-pr-1**"), "{body}");
    std::fs::write(&policy, POLICY).unwrap();
    stage.run(&["sweep", "--yes", "--report"]);
    assert!(stage.has("app-pr-1"));
}

#[test]
fn a_failed_sweep_of_one_pull_request_leaves_one_comment() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    let fault = json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"status": 403}}]);
    stage.server.plant(&fault);
    // A long discussion: what is ours is on the second page.
    for _ in 0..100 {
        let path = "github/repos/acme/shop/issues/1/comments";
        stage.server.request("POST", path, r#"{"body": "a word"}"#);
    }
    for _ in 0..2 {
        let output = stage.run(&["sweep", "--pr", "1", "--yes", "--report"]);
        assert_eq!(
            output.status.code(),
            Some(5),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = stage.server.request(
        "GET",
        "github/repos/acme/shop/issues/1/comments?per_page=100&page=2",
        "",
    );
    let comments: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(comments.len(), 1);
    assert!(
        comments[0]["body"]
            .as_str()
            .unwrap()
            .contains("/workers/scripts/app-pr-1")
    );
    let said = || {
        let path = "github/repos/acme/shop/issues/1/comments?per_page=100&page=2";
        let text = stage.server.request("GET", path, "");
        let comments: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(comments.len(), 1);
        comments[0]["body"].as_str().unwrap().to_owned()
    };
    // A sweep that could not see or do everything takes nothing back.
    let blind = json!([{"on": {"path": "/workers/scripts$"}, "fault": {"status": 403}}]);
    let later = json!([{"on": {"method": "DELETE", "path": "scripts"},
        "fault": {"status": 429, "headers": {"retry-after": "3600"}}}]);
    for (fault, flag, code) in [
        (&blind, "--fail-on-garbage", 3),
        (&json!([]), "--brake-count=0", 4),
        (&json!([]), "--kind=kv_namespace", 0),
        (&json!([]), "--approved", 0),
        (&later, "--deadline=60s", 5),
    ] {
        stage.server.plant(fault);
        let output = stage.run(&["sweep", "--pr", "1", "--yes", "--report", flag]);
        let why = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flag}: {why}");
        assert!(said().contains("/workers/scripts/"), "{flag}: {}", said());
    }
    // When nothing fails any more the same comment says so.
    stage.server.plant(&json!([]));
    let output = stage.run(&["sweep", "--pr", "1", "--yes", "--report"]);
    assert_eq!(output.status.code(), Some(0));
    let said = said();
    assert!(
        said.contains("had no failures") && !said.contains("wrangler"),
        "{said}"
    );
}

#[test]
fn deferral_does_not_reset_the_failure_count() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    let refused =
        json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"status": 403}}]);
    let later = json!([{"on": {"method": "DELETE", "path": "scripts"},
        "fault": {"status": 429, "headers": {"retry-after": "3600"}}}]);
    let none = json!([]);
    for (fault, flag, code, times) in [
        (&refused, "--deadline=60s", 5, 1),
        (&refused, "--deadline=60s", 5, 2),
        (&none, "--max-deletions=0", 0, 2),
        (&refused, "--deadline=60s", 5, 3),
        // What a provider refuses is no deferral.
        (&later, "--deadline=60s", 5, 4),
    ] {
        stage.server.plant(fault);
        let output = stage.run(&["sweep", "--yes", "--report", flag]);
        assert_eq!(output.status.code(), Some(code));
        let history = stage.body();
        let (_, failures) = history.split_once("\"failures\":").unwrap();
        let count = format!(",{times}]]");
        assert!(failures.contains(&count), "{fault}: {failures}");
    }
}

#[test]
fn a_sweep_that_a_brake_stops_is_reported_in_the_issue() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    let output = stage.run(&["sweep", "--yes", "--report", "--brake-count", "1"]);
    assert_eq!(output.status.code(), Some(4));
    let body = stage.body();
    assert!(body.contains("a brake stops sweeps on worker"), "{body}");
    assert!(stage.has("app-pr-1") && stage.has("app-pr-2"));
}

/// Earlier versions stored no digests, or all resources, in the hidden block, and
/// not in the boxes when a resource was created. No box is lost, even where this
/// run cannot list what the box is about.
#[test]
fn an_issue_of_an_earlier_version_loses_no_box() {
    let all = |key| {
        json!([{"heading": "x", "leaks": [{"key": key, "origin": "worker@a", "kind": "worker",
            "name": "app-pr-9"}]}])
    };
    for added in [json!({}), json!({"sections": all("00ff"), "kept": []})] {
        keeps_the_boxes_of(&added);
    }
}

/// Rewrites an issue as an earlier version wrote it, with this in its hidden
/// block, and checks boxes there.
fn keeps_the_boxes_of(added: &Value) {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2"), worker("app-pr-3")]);
    stage.report();
    let body = stage.body();
    let created = format!(" {} v", T0.parse::<DateTime<Utc>>().unwrap().timestamp());
    assert_eq!(body.matches(&created).count(), 3, "{body}");
    let parts = body.split(&created).enumerate();
    let without = |(at, part): (usize, &str)| match part.split_once(" -->") {
        Some((_, after)) if at > 0 => format!(" -->{after}"),
        _ => part.to_owned(),
    };
    let body: String = parts.map(without).collect();
    let (text, block) = body.split_once("<!-- preview-gc:history ").unwrap();
    let mut state: Value = serde_json::from_str(block.trim_end().trim_end_matches("-->")).unwrap();
    for field in ["content", "visible"] {
        assert!(state.as_object_mut().unwrap().remove(field).is_some());
    }
    for (field, value) in added.as_object().unwrap() {
        state[field] = value.clone();
    }
    let number = stage.issues()[0]["number"].as_u64().unwrap();
    let change = json!({"body": format!("{text}<!-- preview-gc:history {state} -->\n")});
    let path = format!("github/repos/acme/shop/issues/{number}");
    stage.server.request("PATCH", &path, &change.to_string());
    stage.set_box("keep", "app-pr-1", true);
    stage.set_box("delete at the next sweep", "app-pr-2", true);
    let blind = json!([{"on": "cloudflare.worker", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    for _ in 0..2 {
        assert_eq!(stage.run(&["report"]).status.code(), Some(3));
        let body = stage.body();
        assert!(body.contains("- [x] keep worker **app-pr-1**"), "{body}");
        assert!(body.contains("- [x] delete at the next sweep"), "{body}");
        assert!(body.contains("/workers/scripts/app-pr-2"), "{body}");
        assert!(body.contains("/workers/scripts/app-pr-3"), "{body}");
    }
    stage.server.plant(&json!([]));
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1") && !stage.has("app-pr-2") && stage.has("app-pr-3"));
}

/// What people reword stays while its resource cannot be listed, with a true age
/// and its boxes. The next run that lists it writes it again.
#[test]
fn reworded_entries_are_rewritten_when_listed() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    stage.report();
    let number = stage.issues()[0]["number"].as_u64().unwrap();
    let body = stage.body().replace("**app-pr-1**", "**something else**");
    let path = format!("github/repos/acme/shop/issues/{number}");
    let change = json!({ "body": body }).to_string();
    stage.server.request("PATCH", &path, &change);
    let blind = json!([{"on": "cloudflare.worker", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    assert_eq!(stage.run(&["report"]).status.code(), Some(3));
    let body = stage.body();
    assert!(
        body.contains("worker **something else**, 30d old"),
        "{body}"
    );
    assert_eq!(body.matches("- [ ] ").count(), 2, "{body}");
    stage.server.plant(&json!([]));
    assert!(stage.report().starts_with("updated"));
    let body = stage.body();
    assert!(body.contains("worker **app-pr-1**, 30d old"), "{body}");
    assert!(!body.contains("something else"), "{body}");
}

/// A run that cannot list a resource tells its age at that time, and not that at
/// the time when the text was written.
#[test]
fn age_of_an_unlisted_entry_grows() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    stage.report();
    let number = stage.issues()[0]["number"].as_u64().unwrap();
    let body = stage.body().replace("**, 30d old: ", "**, 9d old: ");
    let path = format!("github/repos/acme/shop/issues/{number}");
    let change = json!({ "body": body }).to_string();
    stage.server.request("PATCH", &path, &change);
    let blind = json!([{"on": "cloudflare.worker", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    assert_eq!(stage.run(&["report"]).status.code(), Some(3));
    let body = stage.body();
    assert!(body.contains("worker **app-pr-1**, 30d old: "), "{body}");
    assert!(!body.contains("9d old"), "{body}");
}
