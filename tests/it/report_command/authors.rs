//! Which issue and which comment are ours, and what an unreadable one keeps.

use std::process::Output;

use serde_json::{Value, json};

use super::{Stage, checked, worker};

fn code_and_error(output: &Output) -> (Option<i32>, String) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), error)
}

#[test]
fn an_issue_that_cannot_be_read_keeps_everything() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    let fault = json!([{"on": {"method": "GET", "path": "/issues$"}, "fault": {"status": 403, "body": {"message": "no"}}}]);
    stage.server.plant(&fault);
    let output = stage.run(&["sweep", "--yes"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stage.has("app-pr-1"));
    let output = stage.run(&["report"]);
    assert_eq!(output.status.code(), Some(3));
    stage.server.plant(&json!([]));
    assert!(stage.issues().is_empty());
}

/// A fine-grained token without Issues gets the answer of a repository that has
/// none: only the repository itself tells them apart.
#[test]
fn a_token_that_may_not_read_issues_is_not_a_repository_without_them() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    for status in [404, 403, 410] {
        let fault =
            json!([{"on": {"method": "GET", "path": "/issues$"}, "fault": {"status": status}}]);
        stage.server.control("POST", "faults", &fault.to_string());
        let output = stage.run(&["sweep", "--yes"]);
        let said = String::from_utf8_lossy(&output.stdout);
        let (code, error) = code_and_error(&output);
        assert_eq!(code, Some(3), "{status}: {said}{error}");
        assert!(stage.has("app-pr-1"));
        assert!(
            format!("{said}{error}").contains("Issues: read"),
            "{said}{error}"
        );
    }
    stage.server.control("POST", "faults", "[]");
    stage
        .server
        .control("POST", "repository", r#"{"has_issues": false}"#);
    assert_eq!(code_and_error(&stage.run(&["sweep", "--yes"])).0, Some(0));
    assert!(!stage.has("app-pr-1"));
}

/// People take labels away, and a busy repository has many pages.
#[test]
fn the_issue_is_found_on_any_page_and_without_its_labels() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    for number in 0..120 {
        let other = json!({"author": "github-actions[bot]", "body": format!("nightly {number}")});
        stage.server.control("POST", "issues", &other.to_string());
    }
    stage.report();
    let text = stage.body();
    let number = stage.issues()[0]["number"].as_u64().unwrap();
    let path = format!("github/repos/acme/shop/issues/{number}");
    stage.server.request("PATCH", &path, r#"{"labels": []}"#);
    assert_eq!(stage.issues()[0]["labels"], json!([]));
    let kept = text.replace("- [ ] keep", "- [x] keep");
    let change = json!({"body": kept}).to_string();
    stage.server.request("PATCH", &path, &change);
    let (code, error) = code_and_error(&stage.run(&["sweep", "--yes"]));
    assert_eq!(code, Some(0), "{error}");
    assert!(stage.has("app-pr-1"));
    assert!(!stage.report().starts_with("created"));
}

/// What somebody else wrote with our marker neither approves nor keeps, unless
/// that account is named; nor is it written over.
#[test]
fn only_our_own_issue_counts() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    stage.report();
    let text = stage.body().replace("- [ ] delete", "- [x] delete");
    let evil = json!({"author": "mallory", "body": text}).to_string();
    let other = stage.server.control("POST", "issues", &evil)["number"].clone();
    let path = format!("github/repos/acme/shop/issues/{other}");
    let labels = r#"{"labels": ["infrastructure", "cleanup-needed"]}"#;
    stage.server.request("PATCH", &path, labels);
    let output = stage.run(&["sweep", "--approved", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(stage.has("app-pr-1") && stage.has("app-pr-2"));
    assert!(
        said.contains(&format!("issue #{other}")) && said.contains("by mallory"),
        "{said}"
    );
    let output = stage.run(&["sweep", "--approved", "--yes", "--issue-author", "Mallory"]);
    assert_eq!(output.status.code(), Some(0));
    // Ours is the older one, and it is used.
    assert!(stage.has("app-pr-1"));
    stage.server.request(
        "PATCH",
        &format!(
            "github/repos/acme/shop/issues/{}",
            stage.issues()[1]["number"]
        ),
        r#"{"title": "something else", "body": "nothing"}"#,
    );
    let output = stage.run(&["sweep", "--approved", "--yes", "--issue-author", "Mallory"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!stage.has("app-pr-1") && !stage.has("app-pr-2"));
}

/// Two runs at once may each create an issue. People check boxes in either.
#[test]
fn keep_counts_in_every_issue_of_ours_and_delete_only_in_the_first() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2"), worker("app-pr-3")]);
    stage.report();
    let text = stage.body();
    let first = stage.issues()[0]["number"].clone();
    let second = json!({"author": "github-actions[bot]", "body": text}).to_string();
    let second = stage.server.control("POST", "issues", &second)["number"].clone();
    let write = |number: &Value, text: &str| {
        let path = format!("github/repos/acme/shop/issues/{number}");
        let change = json!({ "body": text }).to_string();
        stage.server.request("PATCH", &path, &change);
    };
    let kept = checked(&checked(&text, "keep", "app-pr-1"), "delete", "app-pr-2");
    write(&second, &kept);
    write(&first, &checked(&text, "delete", "app-pr-3"));
    let output = stage.run(&["sweep", "--approved", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(stage.has("app-pr-2") && !stage.has("app-pr-3"), "{said}");
    assert!(said.contains(&format!("issue #{second}")), "{said}");
    let output = stage.run(&["explain", "app-pr-1"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let kept = format!("checked in issue #{second}");
    assert!(said.contains("protected") && said.contains(&kept), "{said}");
    stage.run(&["sweep", "--yes"]);
    assert!(stage.has("app-pr-1") && !stage.has("app-pr-2"));
}

/// People may delete the first line of the text, or all of it.
#[test]
fn our_issue_is_ours_without_its_marker() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    stage.report();
    let number = stage.issues()[0]["number"].clone();
    let path = format!("github/repos/acme/shop/issues/{number}");
    let text = checked(&stage.body(), "keep", "app-pr-1");
    let text = text.replace("<!-- preview-gc:report -->\n", "");
    assert!(text.contains("gc:keep:") && !text.contains("preview-gc:report"));
    let change = json!({ "body": text }).to_string();
    stage.server.request("PATCH", &path, &change);
    let output = stage.run(&["sweep", "--yes"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stage.has("app-pr-1") && !stage.has("app-pr-2"));
    // The next report writes the marker again.
    stage.report();
    assert!(stage.body().contains("preview-gc:report"));
    assert_eq!(stage.issues().len(), 1);
    // Without any of our text nobody knows what was kept.
    stage.server.request("PATCH", &path, r#"{"body": "done"}"#);
    let output = stage.run(&["sweep", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (code, error) = code_and_error(&output);
    assert_eq!(code, Some(3), "{said}{error}");
    assert!(stage.has("app-pr-1"));
    assert!(
        format!("{said}{error}").contains(&format!("issue #{number}")),
        "{said}{error}"
    );
    // An issue that is about something else is none.
    stage
        .server
        .request("PATCH", &path, r#"{"title": "something else"}"#);
    let output = stage.run(&["sweep", "--yes"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!stage.has("app-pr-1"));
}

/// What was kept in an emptied issue is unknown, whatever another one says.
#[test]
fn an_emptied_tracking_issue_keeps_everything_although_there_is_another_one() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    stage.report();
    let first = stage.issues()[0]["number"].clone();
    let title = stage.issues()[0]["title"].clone();
    let further = json!({"title": title, "body": stage.body()}).to_string();
    let issues = "github/repos/acme/shop/issues";
    stage.server.request("POST", issues, &further);
    let path = format!("{issues}/{first}");
    let emptied = r#"{"body": "we tidied this up"}"#;
    stage.server.request("PATCH", &path, emptied);
    let output = stage.run(&["sweep", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (code, error) = code_and_error(&output);
    assert_eq!(code, Some(3), "{said}{error}");
    assert!(stage.has("app-pr-1"));
    let named = format!("issue #{first} has the title");
    assert!(format!("{said}{error}").contains(&named), "{said}{error}");
}

/// Without knowing who we are, a marked issue may be ours or not.
#[test]
fn an_issue_whose_author_cannot_be_compared_keeps_everything() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    let fault = json!([{"on": {"path": "/graphql$"}, "fault": {"status": 404}}]);
    stage.report();
    stage.server.control("POST", "faults", &fault.to_string());
    let output = stage.run(&["sweep", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout);
    let (code, error) = code_and_error(&output);
    assert_eq!(code, Some(3), "{said}{error}");
    assert!(
        format!("{said}{error}").contains("--issue-author"),
        "{said}{error}"
    );
    assert!(stage.has("app-pr-1"));
    // Another account that is named says nothing of whether this one is ours.
    let output = stage.run(&["sweep", "--yes", "--issue-author", "somebody"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stage.has("app-pr-1"));
    let named = ["sweep", "--yes", "--issue-author", "github-actions[bot]"];
    let (code, error) = code_and_error(&stage.run(&named));
    assert_eq!(code, Some(0), "{error}");
    assert!(!stage.has("app-pr-1"));
}

#[test]
fn a_comment_by_somebody_else_is_not_written_over() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    let evil = json!({"author": "mallory", "under": 1, "body": "<!-- preview-gc:sticky -->\nmine"});
    stage.server.control("POST", "issues", &evil.to_string());
    let fault = json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"status": 403}}]);
    stage.server.control("POST", "faults", &fault.to_string());
    for _ in 0..2 {
        let output = stage.run(&["sweep", "--pr", "1", "--yes", "--report"]);
        assert_eq!(output.status.code(), Some(5));
    }
    let path = "github/repos/acme/shop/issues/1/comments";
    let text = stage.server.request("GET", path, "");
    let comments: Vec<Value> = serde_json::from_str(&text).unwrap();
    let bodies: Vec<_> = comments
        .iter()
        .map(|one| one["body"].as_str().unwrap())
        .collect();
    assert_eq!(bodies.len(), 2, "{bodies:?}");
    assert!(
        bodies[0].ends_with("mine") && bodies[1].contains("curl -X DELETE"),
        "{bodies:?}"
    );
}
