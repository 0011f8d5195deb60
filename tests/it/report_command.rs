//! `preview-gc report` against the stand-in over HTTP: one living issue.

use std::process::Output;

use crate::support::Server;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

const T0: &str = "2026-04-01T00:00:00Z";
const EVIL: &str = "app-pr-1-`x`](http://evil) | <img src=x> ::error:: $(id) \u{202e}";
const POLICY: &str = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-{any}"
dead-when = "closed"
"#;

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
}

impl Stage {
    fn new(resources: &[Value]) -> Self {
        Self::with_pull_requests(4, resources)
    }

    fn with_pull_requests(count: u32, resources: &[Value]) -> Self {
        let pulls: Vec<_> = (1..=count)
            .map(|number| json!({"number": number, "state": "closed", "head_ref": "b", "head_repo": "acme/shop",
                "created_at": "2026-03-01T00:00:00Z", "updated_at": T0, "closed_at": T0}))
            .collect();
        let world = json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z", "git_branches": ["main"],
            "pull_requests": pulls, "resources": resources});
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.json");
        std::fs::write(&file, world.to_string()).unwrap();
        std::fs::write(folder.path().join("p.toml"), POLICY).unwrap();
        let server = Server::start(&["--world", &file.display().to_string(), "--quota", "off"]);
        Self { folder, server }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.server.program();
        command.args(arguments).arg("-q");
        command
            .arg("--policies")
            .arg(self.folder.path().join("p.toml"));
        command.arg("--journal").arg(self.folder.path());
        command
            .env("GITHUB_STEP_SUMMARY", self.folder.path().join("summary.md"))
            .env("GITHUB_OUTPUT", self.folder.path().join("output.txt"))
            .env("GITHUB_ACTIONS", "true");
        command.output().unwrap()
    }

    fn report(&self) -> String {
        let output = self.run(&["report"]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn issues(&self) -> Vec<Value> {
        let text = self
            .server
            .request("GET", "github/repos/acme/shop/issues?state=all", "");
        let mut issues: Vec<Value> = serde_json::from_str(&text).unwrap();
        // Pull requests are issues as well.
        issues.retain(|issue| issue.get("pull_request").is_none());
        issues
    }

    fn body(&self) -> String {
        self.issues()[0]["body"].as_str().unwrap().to_owned()
    }

    /// Checks or clears a box as a person does, by writing the whole text again.
    fn set_box(&self, what: &str, name: &str, checked: bool) {
        let number = self.issues()[0]["number"].as_u64().unwrap();
        let body = self.body();
        let at = body
            .find(name)
            .unwrap_or_else(|| panic!("{name} in {body}"));
        // One that is kept has its box before its name.
        let begin = body[..at].rfind('\n').unwrap() + 1;
        let line = begin + body[begin..].find(&format!("] {what}")).unwrap() - 1;
        let mut text = body.clone();
        text.replace_range(line..=line, if checked { "x" } else { " " });
        let change = json!({"body": text}).to_string();
        let path = format!("github/repos/acme/shop/issues/{number}");
        self.server.request("PATCH", &path, &change);
    }

    fn has(&self, name: &str) -> bool {
        let state = self.server.control("GET", "state", "");
        let resources = state["resources"].as_array().unwrap();
        resources.iter().any(|one| one["name"] == name)
    }
}

/// A text with the box of a resource checked.
fn checked(text: &str, what: &str, name: &str) -> String {
    let at = text
        .find(name)
        .unwrap_or_else(|| panic!("{name} in {text}"));
    let at = at + text[at..].find(&format!("[ ] {what}")).unwrap();
    format!("{}[x]{}", &text[..at], &text[at + 3..])
}

fn worker(name: &str) -> Value {
    json!({"kind": "worker", "name": name, "created_at": T0, "updated_at": T0, "attributes": {"bindings": []}})
}

#[test]
fn one_issue_is_kept_through_every_change() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2"), worker("app-pr-3")]);
    assert!(stage.report().starts_with("created"));
    assert!(stage.body().contains("/workers/scripts/app-pr-1"));
    assert!(stage.report().starts_with("left as it is"));
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
    assert!(body.contains("3000 left behind, 0 in grace"), "{body}");
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
    assert!(stage.report().starts_with("left as it is"));
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

/// Runs `report`, and changes something between its last reading and its
/// writing.
fn report_while(stage: &Stage, change: impl FnOnce(&Stage)) {
    let hold =
        json!([{"on": {"method": "PATCH", "path": "/issues/"}, "times": 1, "fault": "hold"}]);
    stage.server.plant(&hold);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| stage.report());
        while stage.server.control("GET", "faults", "")[0]["hits"] == 0 {
            assert!(!running.is_finished(), "the issue was not written");
            std::thread::yield_now();
        }
        change(stage);
        stage.server.take_faults();
        running.join().unwrap();
    });
}

#[test]
fn a_tick_that_comes_in_between_survives() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    stage.report();
    // Something new, so that the issue has to be written.
    stage
        .server
        .control("POST", "resources", &worker("app-pr-3").to_string());
    report_while(&stage, |stage| stage.set_box("keep", "app-pr-1", true));
    assert!(stage.body().contains("- [x] keep"), "{}", stage.body());
}

#[test]
fn a_tick_that_is_taken_back_in_between_is_not_carried_out() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    stage.report();
    stage.set_box("delete at the next sweep", "app-pr-1", true);
    stage
        .server
        .control("POST", "resources", &worker("app-pr-3").to_string());
    report_while(&stage, |stage| {
        stage.set_box("delete at the next sweep", "app-pr-1", false);
    });
    assert!(!stage.body().contains("[x]"), "{}", stage.body());
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1"));
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
        (&later, "--deadline=60s", 0),
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
    for (fault, code, times) in [
        (&refused, 5, 1),
        (&refused, 5, 2),
        (&later, 0, 2),
        (&refused, 5, 3),
    ] {
        stage.server.plant(fault);
        let output = stage.run(&["sweep", "--yes", "--report", "--deadline=60s"]);
        assert_eq!(output.status.code(), Some(code));
        let history = stage.body();
        let (_, failures) = history.split_once("\"failures\":").unwrap();
        let count = format!(",{times}]]");
        assert!(failures.contains(&count), "{fault}: {failures}");
    }
}

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

#[test]
fn a_sweep_that_a_brake_stops_is_reported_in_the_issue() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    let output = stage.run(&["sweep", "--yes", "--report", "--brake-count", "1"]);
    assert_eq!(output.status.code(), Some(4));
    let body = stage.body();
    assert!(body.contains("a brake stops sweeps on worker"), "{body}");
    assert!(stage.has("app-pr-1") && stage.has("app-pr-2"));
}

#[test]
fn a_leak_that_somebody_else_writes_meanwhile_is_kept_with_its_tick() {
    for mark in ["x", " "] {
        somebody_else_writes_a_leak(mark);
    }
}

fn somebody_else_writes_a_leak(mark: &str) {
    let stage = Stage::new(&[worker("app-pr-1")]);
    stage.report();
    stage
        .server
        .control("POST", "resources", &worker("app-pr-2").to_string());
    report_while(&stage, |stage| {
        let other = format!(
            "### &#35;9 other\n\n- worker **elsewhere**: dead\n  - [ ] delete at the next sweep \
             <!-- gc:delete:00ff -->\n  - [{mark}] keep <!-- gc:keep:00ff worker@elsewhere -->\n"
        );
        let body = stage.body();
        let number = stage.issues()[0]["number"].as_u64().unwrap();
        let change = json!({"body": format!("{body}\n{other}")}).to_string();
        let path = format!("github/repos/acme/shop/issues/{number}");
        stage.server.request("PATCH", &path, &change);
    });
    let body = stage.body();
    assert!(body.contains("worker **elsewhere**"), "{body}");
    let kept = format!("- [{mark}] keep");
    let line = body.lines().find(|line| line.contains("gc:keep:00ff"));
    assert!(line.unwrap().trim_start().starts_with(&kept), "{body}");
    assert!(body.contains("/workers/scripts/app-pr-2"), "{body}");
}

#[test]
fn figures_of_a_run_are_written_where_they_are_wanted() {
    let stage = Stage::new(&[worker("app-pr-1"), worker("kept")]);
    let (prometheus, json) = (
        stage.folder.path().join("m.prom"),
        stage.folder.path().join("m.json"),
    );
    stage.run(&[
        "sweep",
        "--yes",
        "--metrics",
        &prometheus.display().to_string(),
    ]);
    let text = std::fs::read_to_string(prometheus).unwrap();
    assert!(
        text.contains("preview_gc_steps{kind=\"worker\",outcome=\"deleted\"} 1\n"),
        "{text}"
    );
    let names: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let mut once = names.clone();
    once.dedup();
    once.sort_unstable();
    assert_eq!(names, once, "each name once");
    stage.run(&["audit", "--metrics", &json.display().to_string()]);
    let figures: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let all = figures["metrics"].as_array().unwrap();
    assert!(
        all.iter()
            .any(|one| one["labels"]["verdict"] == "unmatched" && one["value"] == 1)
    );
}

fn code_and_error(output: &Output) -> (Option<i32>, String) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), error)
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
        r#"{"body": "nothing"}"#,
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
    let created = format!(" {} -->", T0.parse::<DateTime<Utc>>().unwrap().timestamp());
    assert_eq!(body.matches(&created).count(), 3, "{body}");
    let body = body.replace(&created, " -->");
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

#[test]
fn doubts_gaps_and_brakes_have_codes_in_the_json() {
    let stage = Stage::new(&[
        worker("app-pr-1"),
        worker("app-pr-99"),
        json!({"kind": "kv_namespace", "name": "app-pr-2-kv"}),
    ]);
    let blind = json!([{"on": "cloudflare.kv_namespace", "fault": {"status": 403}}]);
    stage.server.plant(&blind);
    let output = stage.run(&["audit", "--format", "json", "--brake-count", "0"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let coded = |list: &str, key: &str, value: &str| {
        let mut all = report[list].as_array().unwrap().iter();
        let one = all.find(|one| one[key] == value);
        one.unwrap_or_else(|| panic!("{value} in {report}"))["code"].clone()
    };
    assert_eq!(coded("resources", "name", "app-pr-99"), "owner-missing");
    assert_eq!(coded("resources", "name", "app-pr-1"), Value::Null);
    assert_eq!(coded("brakes", "kind", "worker"), "brake-count");
    let source = "cloudflare.kv_namespace";
    assert_eq!(coded("evidence", "source", source), "listing-unread");
    assert_eq!(
        coded("evidence", "source", "cloudflare.worker"),
        Value::Null
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

fn namespace(name: &str) -> Value {
    json!({"kind": "kv_namespace", "name": name})
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

/// The text of an issue as version 0.1.0 wrote it before groups had boxes.
const EARLIER: &str = include_str!("../support/earlier-issue.md");

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
