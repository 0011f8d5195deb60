//! The text of the issue: its size, its order and foreign names in it.

use serde_json::json;

use super::{POLICY, Stage, T0, worker};

const EVIL: &str = "app-pr-1-`x`](http://evil) | <img src=x> ::error:: $(id) \u{202e}";

#[test]
fn three_thousand_leaks_fit_and_say_what_is_left_out() {
    let all: Vec<_> = (0..3_000)
        .map(|n| json!({"kind": "kv_namespace", "name": format!("app-pr-{}-cache-number-{n}", n % 4 + 1)}))
        .collect();
    let stage = Stage::new(&all);
    stage.report();
    let body = stage.body();
    assert!(body.chars().count() <= 65_536);
    assert!(body.contains("more, which died later"));
    assert!(body.contains("preview-gc:history"));
    // The hidden block takes no room from them.
    let boxes = body.matches("<!-- gc:delete:").count();
    assert!(boxes >= 210, "{boxes}");
}

/// A team that has never cleaned up: what fits is readable, and the table says how
/// much there is.
#[test]
fn a_backlog_of_300_pull_requests_fits_with_its_largest_part_in_sight() {
    let all: Vec<_> = (0..3_000)
        .map(|n| json!({"kind": "kv_namespace", "name": format!("app-pr-{}-cache-{}", n % 300 + 1, n / 300)}))
        .collect();
    let stage = Stage::with_pull_requests(300, &all);
    stage.report();
    let body = stage.body();
    assert!(body.chars().count() <= 65_536);
    assert!(
        body.contains("3000 of 3000 resources are garbage; 0 are in grace"),
        "{body}"
    );
    assert!(body.contains("\n| 250 more | | 2,500 |\n"), "{body}");
    let groups = body.matches("<!-- gc:delete-all:").count();
    let boxes = body.matches("<!-- gc:delete:").count();
    assert!(groups >= 18 && boxes >= 180, "{groups} {boxes}");
    assert!(
        body.contains("more, which died later and do not fit here"),
        "{body}"
    );
    // Every group that is opened is closed.
    assert_eq!(body.matches("<details>").count(), groups);
    assert_eq!(body.matches("</details>").count(), groups);
    // The next run reads what it wrote.
    assert!(
        stage
            .report()
            .starts_with("the tracking issue is up to date")
    );
}

#[test]
fn no_name_hides_the_boxes_of_its_own_leak() {
    let name = "app-pr-1-] keep <!-- gc:keep:0123456789abcdef -->";
    let stage = Stage::new(&[
        json!({"kind": "worker", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"bindings": []}}),
    ]);
    let policy = stage.folder.path().join("p.toml");
    std::fs::write(
        &policy,
        POLICY.replace("app-pr-{pr}\"", "app-pr-{pr}-{any}\""),
    )
    .unwrap();
    stage.report();
    let body = stage.body();
    assert!(body.contains("\n  - [ ] keep <!-- gc:keep:"), "{body}");
    let number = stage.issues()[0]["number"].as_u64().unwrap();
    let checked = body.replace("\n  - [ ] keep", "\n  - [x] keep");
    let path = format!("github/repos/acme/shop/issues/{number}");
    stage
        .server
        .request("PATCH", &path, &json!({"body": checked}).to_string());
    stage.run(&["report", "--pr", "2"]);
    stage.report();
    assert!(
        stage.body().contains("- [x] keep worker"),
        "{}",
        stage.body()
    );
    stage.run(&["sweep", "--yes"]);
    assert!(stage.has(name));
}

#[test]
fn kept_resources_are_never_left_out() {
    let all: Vec<_> = (0..600)
        .map(|n| json!({"kind": "kv_namespace", "name": format!("app-pr-{}-cache-number-{n}", n % 4 + 1)}))
        .collect();
    let stage = Stage::new(&all);
    stage.report();
    let body = stage.body();
    let shown: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("- kv\\_namespace **")?.split_once("**"))
        .map(|(name, _)| name)
        .collect();
    let (first, last) = (
        shown[0].replace('\\', ""),
        shown[shown.len() - 1].replace('\\', ""),
    );
    stage.set_box("keep", &last, true);
    stage.set_box("delete at the next sweep", &first, true);
    // It dies last now, and would be the first to be left out.
    stage.report();
    let body = stage.body();
    assert!(body.chars().count() <= 65_536);
    assert!(
        body.contains(&format!("- [x] keep kv\\_namespace **{last}**")),
        "{last} in {body}"
    );
    assert_eq!(body.matches("- [x]").count(), 2);
}

#[test]
fn the_issue_tells_the_next_scheduled_run() {
    let stage = Stage::new(&[worker("app-pr-1")]);
    let output = stage.run(&["report", "--dry-run", "--schedule", "17 4 * * 1"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Next scheduled run: 2026-05-04T04:17:00Z\n"),
        "{text}"
    );
    let output = stage.run(&["report", "--dry-run", "--schedule", "weekly"]);
    assert_eq!(output.status.code(), Some(2));
    let event = stage.folder.path().join("event.json");
    std::fs::write(&event, r#"{"schedule": "0 6 1 * *"}"#).unwrap();
    let mut command = stage.server.program();
    command.args(["report", "--dry-run", "-q", "--policies"]);
    command.arg(stage.folder.path().join("p.toml"));
    let output = command.env("GITHUB_EVENT_PATH", event).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Next scheduled run: 2026-05-01T06:00:00Z\n"),
        "{text}"
    );
}

#[test]
fn foreign_names_do_no_harm_anywhere() {
    let stage = Stage::new(&[json!({"kind": "kv_namespace", "name": EVIL})]);
    stage.report();
    let body = stage.body();
    let fault = json!([{"on": {"method": "DELETE", "path": "storage"}, "fault": {"status": 403}}]);
    stage.server.plant(&fault);
    let output = stage.run(&["sweep", "--yes"]);
    assert_eq!(output.status.code(), Some(5));
    let summary = std::fs::read_to_string(stage.folder.path().join("summary.md")).unwrap();
    let annotations = String::from_utf8_lossy(&output.stderr).into_owned();
    let csv = stage.run(&["audit", "--format", "csv"]);
    let csv = String::from_utf8_lossy(&csv.stdout).into_owned();
    for (what, text) in [("issue", &body), ("summary", &summary)] {
        assert!(!text.contains("](http"), "{what}: {text}");
        assert!(!text.contains("<img"), "{what}: {text}");
    }
    for (what, text) in [
        ("issue", &body),
        ("summary", &summary),
        ("annotation", &annotations),
        ("csv", &csv),
    ] {
        assert!(!text.contains('\u{202e}'), "{what}: {text}");
    }
    let commands = annotations.lines().filter(|line| line.contains("::error"));
    for line in commands {
        assert_eq!(line.matches("::error").count(), 1, "{line}");
        assert!(line.starts_with("::error title=preview-gc"), "{line}");
    }
    let outputs = std::fs::read_to_string(stage.folder.path().join("output.txt")).unwrap();
    assert!(
        outputs.contains("failed=1\n") && outputs.contains("complete=true\n"),
        "{outputs}"
    );
}

/// The commands of the issue work when they are pasted from top to bottom: a
/// Worker's place as a consumer goes before the Worker, and the Worker before what
/// it binds.
#[test]
fn commands_by_hand_stand_in_the_order_of_deletion() {
    let bound = json!([
        {"type": "queue", "name": "JOBS", "target": "app-pr-1-jobs"},
        {"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"},
    ]);
    let stage = Stage::new(&[
        json!({"kind": "kv_namespace", "name": "app-pr-1-cache"}),
        json!({"kind": "queue", "name": "app-pr-1-jobs", "created_at": T0, "updated_at": T0,
            "attributes": {"consumers": ["app-pr-1"]}}),
        json!({"kind": "worker", "name": "app-pr-1", "created_at": T0, "updated_at": T0,
            "attributes": {"bindings": bound}}),
    ]);
    let policy = POLICY.replace(
        "kind = \"kv_namespace\"",
        "kind = [\"kv_namespace\", \"queue\"]",
    );
    std::fs::write(stage.folder.path().join("p.toml"), policy).unwrap();
    stage.report();
    let body = stage.body();
    let at = |text: &str| {
        body.find(text)
            .unwrap_or_else(|| panic!("{text} in {body}"))
    };
    let order = [
        at("/consumers/"),
        at("/workers/scripts/app-pr-1"),
        at("queue **app-pr-1-jobs**"),
    ];
    assert!(order.is_sorted(), "{order:?} in {body}");
    let worker = body
        .lines()
        .find(|line| line.contains("/workers/scripts/"))
        .unwrap();
    assert!(worker.trim().starts_with("curl -X DELETE"), "{worker}");
    // Without `force`, which `wrangler delete` sends where nobody can be asked.
    assert!(worker.contains(" && curl -X DELETE"), "{worker}");
    assert!(!worker.contains("force"), "{worker}");
    let namespace = at("namespace **app-pr-1-cache**");
    assert!(namespace > order[1], "{body}");
}

#[test]
fn resources_without_pull_request_are_listed_under_their_rule() {
    let stage = Stage::new(&[worker("old-a"), worker("old-b"), worker("app-pr-1")]);
    let aged = "[[rule]]\nid = \"nightly\"\nkind = \"worker\"\nname = \"old-{any}\"\ndead-when = { \
                older-than = \"1d\", clock = \"changed\" }\n";
    let policy = stage.folder.path().join("p.toml");
    std::fs::write(&policy, format!("{POLICY}{aged}")).unwrap();
    stage.report();
    let body = stage.body();
    assert!(
        body.contains("### Rule nightly, without a pull request\n"),
        "{body}"
    );
    assert!(
        body.contains("| rule nightly | no pull request | 2: worker ×2 |"),
        "{body}"
    );
    assert!(
        body.contains("- [ ] delete everything of rule nightly that is listed here"),
        "{body}"
    );
}
