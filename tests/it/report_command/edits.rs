//! Edits of people between the read and the write of a run.

use serde_json::{Value, json};

use super::{Stage, worker};

/// The write of the issue.
fn write() -> Value {
    json!({"method": "PATCH", "path": "/issues/"})
}

/// The reading of what others saved, which follows each write.
fn history() -> Value {
    json!({"method": "POST", "path": "/graphql$", "contains": "userContentEdits(first:20"})
}

/// Runs `report`, and changes something between its last reading and its
/// writing.
fn report_while(stage: &Stage, change: impl Fn(&Stage)) {
    report_between(stage, &[(write(), &|| change(stage))]);
}

/// Runs `report`, and changes something before each of these requests.
fn report_between(stage: &Stage, changes: &[(Value, &dyn Fn())]) {
    stage.server.meanwhile(|| stage.report(), changes);
}

/// A stage whose issue has to be written again, because something new was found.
fn stage_with_news(before: impl Fn(&Stage)) -> Stage {
    let stage = Stage::new(&[worker("app-pr-1"), worker("app-pr-2")]);
    stage.report();
    before(&stage);
    let new = worker("app-pr-3").to_string();
    stage.server.control("POST", "resources", &new);
    stage
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

const DELETE: &str = "delete at the next sweep";

/// The text that the run wrote has the check mark that somebody cleared, and everybody
/// who saves another box carries it on.
#[test]
fn an_approval_that_is_taken_back_stays_so_when_others_edit_what_the_run_wrote() {
    let stage = stage_with_news(|stage| stage.set_box(DELETE, "app-pr-1", true));
    report_between(
        &stage,
        &[
            (write(), &|| stage.set_box(DELETE, "app-pr-1", false)),
            (history(), &|| stage.set_box("keep", "app-pr-2", true)),
        ],
    );
    let body = stage.body();
    assert!(!body.contains(&format!("[x] {DELETE}")), "{body}");
    assert!(body.contains("- [x] keep"), "{body}");
    stage.run(&["sweep", "--approved", "--yes"]);
    assert!(stage.has("app-pr-1"));
}

#[test]
fn whoever_approves_again_after_the_run_wrote_is_believed() {
    let stage = stage_with_news(|stage| stage.set_box(DELETE, "app-pr-1", true));
    report_between(
        &stage,
        &[
            (write(), &|| stage.set_box(DELETE, "app-pr-1", false)),
            (history(), &|| {
                stage.set_box(DELETE, "app-pr-1", false);
                stage.set_box("keep", "app-pr-2", true);
                stage.set_box(DELETE, "app-pr-1", true);
            }),
        ],
    );
    let body = stage.body();
    assert!(body.contains(&format!("[x] {DELETE}")), "{body}");
}

/// The second person saves a text from before the run had added the box of the first.
#[test]
fn a_keep_survives_a_text_that_somebody_saves_from_before_it() {
    let stage = stage_with_news(|_| {});
    let written = std::cell::RefCell::new(String::new());
    report_between(
        &stage,
        &[
            (write(), &|| stage.set_box("keep", "app-pr-1", true)),
            (history(), &|| {
                *written.borrow_mut() = stage.body();
            }),
            (history(), &|| {
                stage.save(&format!("{}\nA remark.\n", written.borrow()));
            }),
        ],
    );
    let body = stage.body();
    assert_eq!(body.matches("- [x] keep").count(), 1, "{body}");
}

/// The newest text is the one that was read, so it says nothing of what came between.
#[test]
fn a_keep_survives_when_somebody_restores_the_text_that_was_read() {
    let stage = stage_with_news(|_| {});
    let read = stage.body();
    report_between(
        &stage,
        &[
            (write(), &|| stage.set_box("keep", "app-pr-1", true)),
            (history(), &|| stage.save(&read)),
        ],
    );
    let body = stage.body();
    assert_eq!(body.matches("- [x] keep").count(), 1, "{body}");
    assert!(body.contains("app-pr-3"), "{body}");
}

#[test]
fn a_keep_survives_more_edits_than_a_page_of_the_history_shows() {
    let stage = stage_with_news(|_| {});
    report_between(
        &stage,
        &[
            (write(), &|| stage.set_box("keep", "app-pr-1", true)),
            (history(), &|| {
                let text = stage.body();
                for edit in 1..=45 {
                    stage.save(&format!("{text}\nRemark {edit}.\n"));
                }
            }),
        ],
    );
    let body = stage.body();
    assert_eq!(body.matches("- [x] keep").count(), 1, "{body}");
}
