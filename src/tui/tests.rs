use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::gc::Verdict;
use crate::gc::verdict::{Alive, Cause, Death, Unmatched, VerdictName};
use crate::model::{Claim, Place, PullRequestNumber, Repository};
use crate::policy::Location;
use crate::progress::{Observer as _, ProgressEvent};
use crate::providers;
use crate::report::{PullRequestLine, PullRequestState, Row, RuleAt, Summary};

const NOW: &str = "2026-05-01T00:00:00Z";

fn row(kind: &str, name: &str, verdict: VerdictName, number: Option<u32>) -> Row {
    let kind = providers::by_name(kind).unwrap().about();
    let created = "2026-04-01T00:00:00Z".parse().unwrap();
    let of = number.and_then(PullRequestNumber::new);
    let verdict = match (verdict, of) {
        (VerdictName::Garbage, Some(number)) => Verdict::Garbage(Death {
            cause: Cause::Ended {
                number,
                merged: false,
                at: NOW.parse().unwrap(),
            },
            dead_since: Some(created),
            grace_ends_at: None,
            report_only: false,
        }),
        (VerdictName::Live, Some(number)) => Verdict::Live(Alive::Open(number)),
        _ => Verdict::Unmatched(Unmatched::NoRule),
    };
    let repository = Repository::parse("acme/shop").unwrap();
    let rule = RuleAt {
        id: "workers".to_owned(),
        location: Location {
            path: "policies/demo.toml".into(),
            line: 3,
        },
    };
    Row {
        kind,
        name: name.to_owned(),
        id: format!("id-of-{name}"),
        place: Arc::new(Place::Account("acc".to_owned())),
        reason: verdict.to_string(),
        rule: of.map(|_| (rule, repository.clone())),
        matched_by_owner: None,
        claim: of.map(Claim::PullRequest),
        created_at: Some(created),
        changed_at: None,
        attributes: Vec::new(),
        references: Vec::new(),
        unbinds: Vec::new(),
        blocked: None,
        version: String::new(),
        pull_request: of.map(|number| PullRequestLine {
            repository,
            number,
            title: format!("Change number {number}"),
            state: match verdict {
                Verdict::Live(_) => PullRequestState::Open,
                _ => PullRequestState::Closed(Some("2026-04-20T00:00:00Z".parse().unwrap())),
            },
        }),
        also_matched_as: Vec::new(),
        key: format!("key-{name}"),
        command: String::new(),
        order: (0, 0),
        dashboard: None,
        own_expiry: None,
        next: None,
        nearest: None,
        verdict,
    }
}

fn report(rows: Vec<Row>) -> Report {
    let keys = rows.iter().map(|row| row.key.clone()).collect();
    let report = Report {
        now: NOW.parse().unwrap(),
        clock_skew: None,
        complete: true,
        evidence: Vec::new(),
        resources: rows,
        concealed: 0,
        brakes: Vec::new(),
        quota: Vec::new(),
        headroom: Vec::new(),
        summary: Summary::default(),
        dangling: Vec::new(),
        partly_protected: Vec::new(),
        approved_only: false,
        ignored_issues: Vec::new(),
        unused_rules: Vec::new(),
        unused_protects: Vec::new(),
        focused: Vec::new(),
        idle_protects: Vec::new(),
        unused_names: Vec::new(),
        unknown_bindings: Vec::new(),
        focus: None,
        listed: BTreeSet::new(),
        next_run: None,
        swept: None,
        web: None,
    };
    report.only(&keys)
}

fn rows() -> Vec<Row> {
    vec![
        row("worker", "api-preview-7", VerdictName::Garbage, Some(7)),
        row(
            "kv_namespace",
            "api-preview-7-cache",
            VerdictName::Garbage,
            Some(7),
        ),
        row("worker", "web-preview-8", VerdictName::Garbage, Some(8)),
        row("worker", "web-preview-9", VerdictName::Live, Some(9)),
        row(
            "worker",
            "\u{1b}[31mevil\u{202e}",
            VerdictName::Unmatched,
            None,
        ),
    ]
}

fn app() -> App {
    App::new(report(rows()), false)
}

fn press(app: &mut App, keys: &str) -> Option<Command> {
    let mut last = None;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            '↓' => KeyCode::Down,
            c => KeyCode::Char(c),
        };
        last = app.on(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
    last
}

fn drawn(app: &App, live: &Live, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(app, live, frame)).unwrap();
    let screen = terminal.backend().to_string();
    let lines = screen.lines().map(|line| line.trim_matches('"').trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

fn step(name: &str, kind: &str, outcome: Outcome) -> StepRow {
    StepRow {
        kind: kind.to_owned(),
        name: name.to_owned(),
        id: format!("id-of-{name}"),
        key: format!("key-{name}"),
        outcome,
        reason: "re-reading shows that it is gone".to_owned(),
    }
}

#[test]
fn small_terminal_shows_table_explanation_and_keys() {
    let mut app = app();
    insta::assert_snapshot!("small", drawn(&app, &Live::default(), 80, 24));
    press(&mut app, "p\n");
    insta::assert_snapshot!("small_detail", drawn(&app, &Live::default(), 80, 24));
    press(&mut app, "?");
    insta::assert_snapshot!("small_help", drawn(&app, &Live::default(), 80, 24));
}

#[test]
fn large_terminal_shows_explanation_beside_the_table() {
    let mut app = app();
    press(&mut app, "\n");
    insta::assert_snapshot!("large_detail", drawn(&app, &Live::default(), 160, 50));
}

#[test]
fn every_mode_draws_at_any_size() {
    for keys in ["", "\n", "?", "/web", "e", " d"] {
        let mut app = app();
        press(&mut app, keys);
        if keys == " d" {
            app.confirm(
                1,
                vec!["a note that is longer than the screen is wide".to_owned()],
            );
        }
        for (width, height) in [(1, 1), (3, 2), (20, 5), (80, 24), (300, 100)] {
            let screen = drawn(&app, &Live::default(), width, height);
            assert!(!screen.contains(['\u{1b}', '\u{202e}']), "{screen}");
        }
    }
}

#[test]
fn only_garbage_can_be_marked() {
    let mut app = app();
    press(&mut app, "p");
    assert!(app.marked().is_empty(), "the newest pull request is open");
    press(&mut app, "↓ ");
    assert_eq!(
        app.marked(),
        &BTreeSet::from(["key-web-preview-8".to_owned()])
    );
    // After marking, the cursor moves to the next item.
    press(&mut app, "p");
    assert_eq!(app.marked().len(), 3);
    press(&mut app, "p");
    assert_eq!(app.marked().len(), 1);
    // Hidden rows are not marked.
    press(&mut app, "c/cache\n");
    press(&mut app, "p");
    let in_sight = BTreeSet::from(["key-api-preview-7-cache".to_owned()]);
    assert_eq!(app.marked(), &in_sight);
    press(&mut app, "\u{1b}\t\t\t\t\t");
    press(&mut app, " ");
    assert_eq!(app.marked().len(), 1);
}

#[test]
fn filter_matches_all_words_and_tabs_select_verdicts() {
    let mut app = app();
    press(&mut app, "/API cache");
    let names = |app: &App| -> Vec<String> {
        let rows = app.visible().resources;
        rows.into_iter().map(|row| row.name).collect()
    };
    assert_eq!(names(&app), ["api-preview-7-cache"]);
    press(&mut app, "\u{1b}\t");
    assert_eq!(names(&app).len(), 3);
    assert!(
        app.visible()
            .resources
            .iter()
            .all(|row| row.verdict.is_garbage())
    );
    press(&mut app, "\u{1b}s");
    press(&mut app, "g");
    let first = |app: &App| app.lines.first().copied();
    assert!(matches!(first(&app), Some(TableLine::Item(_))));
    // Keys typed into the filter have no other effect.
    press(&mut app, "/qdp");
    assert!(app.marked().is_empty());
}

#[test]
fn deletion_requires_the_typed_count() {
    let mut app = app();
    assert_eq!(press(&mut app, "d"), None, "nothing is marked");
    press(&mut app, "↓p");
    assert_eq!(press(&mut app, "d"), Some(Command::Delete));
    assert!(!app.is_confirming(), "that is no consent yet");
    app.confirm(1, Vec::new());
    assert_eq!(press(&mut app, "1\u{1b}"), None);
    assert!(!app.is_confirming(), "esc cancels");
    app.confirm(1, Vec::new());
    for wrong in ["\n", "2\n", "yes\n", "11\n"] {
        assert_eq!(press(&mut app, wrong), None, "{wrong}");
        assert!(app.is_confirming(), "it asks again");
    }
    assert_eq!(press(&mut app, "1\n"), Some(Command::Delete));
    assert!(app.is_confirming());
}

#[test]
fn outcomes_stay_visible_in_place() {
    let mut app = app();
    let live = Live::default();
    live.step(ProgressEvent::Planned {
        kind: "worker",
        steps: 2,
    });
    live.step(ProgressEvent::Settled {
        kind: "worker",
        name: "web-preview-8",
        id: "id-of-web-preview-8",
        outcome: "deleted",
        quota_left: Some(812),
    });
    press(&mut app, "↓p↓p");
    app.begin("deleting");
    insta::assert_snapshot!("deleting", drawn(&app, &live, 80, 24));
    assert_eq!(press(&mut app, "d "), None, "no marks while it goes on");
    assert_eq!(press(&mut app, "q"), Some(Command::Interrupt));
    app.end();
    let steps = [
        step("web-preview-8", "worker", Outcome::Deleted),
        step("api-preview-7", "worker", Outcome::Spared),
    ];
    app.settle(&steps, Some("run-1"));
    let rest = rows().into_iter().filter(|row| row.name != "web-preview-8");
    app.renew(report(rest.collect()));
    insta::assert_snapshot!("deleted", drawn(&app, &Live::default(), 80, 24));
    // A deleted resource cannot be marked again, but it can be restored.
    let key = "key-web-preview-8".to_owned();
    assert!(!app.marked().contains(&key));
    press(&mut app, "/web-preview-8\n");
    press(&mut app, " ");
    assert!(!app.marked().contains(&key));
    assert_eq!(
        press(&mut app, "u"),
        Some(Command::Restore(vec![key.clone()]))
    );
    app.restored(&key, "it was restored".to_owned());
    assert!(drawn(&app, &Live::default(), 80, 24).contains("restored"));
    // A spared resource cannot be restored by this session.
    press(&mut app, "\u{1b}/api-preview-7\n");
    assert_eq!(press(&mut app, "u"), None);
}

#[test]
fn marks_are_cleared_when_a_row_is_no_longer_garbage() {
    let mut app = app();
    press(&mut app, "↓p");
    assert_eq!(app.marked().len(), 1);
    let mut reopened = rows();
    reopened[2] = row("worker", "web-preview-8", VerdictName::Live, Some(8));
    app.renew(report(reopened));
    assert!(app.marked().is_empty());
}
