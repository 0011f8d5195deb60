//! What people read: the demo and a world of 3,000 resources at the widths of
//! usual terminals.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::program;

/// Lines of the large world's output that a snapshot has.
const TOP: usize = 60;

const WIDTHS: [usize; 3] = [80, 120, 160];

const POLICY: &str = r#"
repository = "acme/shop"
[words]
service = ["api", "auth", "web"]
[[rule]]
id = "workers"
kind = "worker"
name = "{service}-preview-{pr}"
dead-when = "closed"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "{service}-preview-{pr}-cache"
dead-when = "closed"
[[rule]]
id = "hosts"
kind = "dns_record"
name = "{service}-preview-{pr}.acme.example"
dead-when = "closed"
[[rule]]
id = "branches"
kind = "neon_branch"
name = "preview/{service}-pr-{pr}"
dead-when = "closed"
"#;

const TITLES: [&str; 6] = [
    "Add a wish list",
    "Fix rounding in the cart",
    "Bump dependencies",
    "Speed up search",
    "Rework the checkout so that guests can pay without an account",
    "Translate mails",
];

/// A world of 300 pull requests, of which every sixth is open, with ten
/// resources each.
fn large_world() -> Value {
    let now: DateTime<Utc> = "2026-04-01T09:00:00Z".parse().unwrap();
    let (mut pulls, mut resources) = (Vec::new(), Vec::new());
    for index in 0..300 {
        let number = 1001 + index;
        let opened = now - TimeDelta::hours(20 * (300 - index) + 40);
        let ended = opened + TimeDelta::hours(30);
        let is_open = index % 6 == 5;
        let merged = !is_open && index % 4 != 3;
        pulls.push(json!({
            "number": number,
            "title": TITLES[usize::try_from(index % 6).unwrap()],
            "state": if is_open { "open" } else { "closed" },
            "merged": merged,
            "head_ref": format!("feat/{number}"),
            "head_repo": "acme/shop",
            "created_at": opened,
            "updated_at": ended,
            "closed_at": (!is_open).then_some(ended),
        }));
        let made = opened + TimeDelta::hours(1);
        let mut add = |kind: &str, name: String, attributes: Value| {
            resources.push(json!({
                "kind": kind, "name": name, "created_at": made, "updated_at": made,
                "attributes": attributes,
            }));
        };
        for service in ["api", "auth", "web"] {
            let worker = format!("{service}-preview-{number}");
            let points = format!("{worker}.acme.workers.dev");
            let record = json!({"type": "CNAME", "content": points});
            add("dns_record", format!("{worker}.acme.example"), record);
            add("worker", worker, json!({}));
            let branch = format!("preview/{service}-pr-{number}");
            add("neon_branch", branch, json!({"parent": "main"}));
        }
        add(
            "kv_namespace",
            format!("web-preview-{number}-cache"),
            json!({}),
        );
    }
    json!({
        "repository": "acme/shop",
        "now": now,
        "pull_requests": pulls,
        "git_branches": ["main"],
        "zones": ["acme.example"],
        "resources": resources,
    })
}

fn output(folder: &Path, width: Option<usize>, arguments: &[&str]) -> String {
    let mut command = program();
    command.current_dir(folder).args(arguments).arg("-q");
    if let Some(width) = width {
        command.env("COLUMNS", width.to_string());
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "");
    String::from_utf8(output.stdout).unwrap()
}

/// The widths of a text, one after the other, with the lines that stand out.
fn at_widths(folder: &Path, arguments: &[&str]) -> String {
    let mut text = String::new();
    for width in WIDTHS {
        let out = output(folder, Some(width), arguments);
        let count = out.lines().count();
        writeln!(text, "=== {width} columns, {count} lines").unwrap();
        for line in out.lines().take(TOP) {
            let columns = line.chars().count();
            assert!(columns <= width, "{columns} of {width}: {line}");
            text += line;
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_demo_is_readable_at_every_width() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for verb in ["audit --sandbox", "sweep --sandbox --dry-run"] {
        let arguments: Vec<_> = verb.split(' ').collect();
        writeln!(text, "$ preview-gc {verb}").unwrap();
        text += &at_widths(folder.path(), &arguments);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn three_thousand_resources_are_readable_at_every_width() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("world.json", &large_world().to_string());
    write("policy.toml", POLICY);
    // No Worker's bindings are read, so that there is much that is unknown.
    let world = [
        "--sandbox=world.json",
        "--policies=policy.toml",
        "--reference-reads=0",
    ];
    let mut text = String::new();
    for verb in ["audit", "sweep --dry-run"] {
        let mut arguments: Vec<_> = verb.split(' ').collect();
        arguments.extend(world);
        writeln!(text, "$ preview-gc {verb}").unwrap();
        text += &at_widths(folder.path(), &arguments);
    }
    insta::assert_snapshot!(text);
    // Folded, it is a matter of screens; on request every resource has a line.
    let audit = [&["audit"], &world[..]].concat();
    let folded = output(folder.path(), Some(120), &audit);
    assert!(folded.lines().count() < 250, "{folded}");
    let all = output(folder.path(), Some(120), &[&audit[..], &["--all"]].concat());
    assert!(all.lines().count() > 3_000);
    let limited = output(
        folder.path(),
        None,
        &[&audit[..], &["--limit", "7"]].concat(),
    );
    let (_, list) = limited.split_once("  why\n").unwrap();
    let listed = list.lines().filter(|line| line.starts_with("  "));
    assert!(listed.count() < 10, "{limited}");
    assert!(limited.contains("--limit 0 lists all"), "{limited}");
}

#[test]
fn a_list_shows_what_was_asked_for_in_the_order_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let audit = |arguments: &[&str]| {
        let text = output(
            folder.path(),
            None,
            &[&["audit", "--sandbox"], arguments].concat(),
        );
        let (_, list) = text.split_once("  why\n").unwrap();
        let rows = list.lines().filter(|line| line.starts_with("  "));
        rows.map(|row| row.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    let usual = audit(&[]);
    assert_eq!(usual.first().unwrap(), "garbage d1 api-preview-97-db");
    assert_eq!(usual.last().unwrap(), "unknown worker web-preview-88");
    assert_eq!(audit(&["--all"]).len(), 42);
    assert_eq!(audit(&["--verdict", "unknown"]).len(), 1);
    assert_eq!(audit(&["--verdict", "live,grace"]).len(), 7);
    let newest = audit(&["--sort", "pr"]);
    assert!(newest.first().unwrap().contains("101"), "{newest:?}");
    let mut names: Vec<_> = usual.iter().map(|row| row.split(' ').nth(2)).collect();
    names.sort_unstable();
    let sorted = audit(&["--sort", "name"]);
    let sorted: Vec<_> = sorted.iter().map(|row| row.split(' ').nth(2)).collect();
    assert_eq!(sorted, names);
    // One pull request is shown with everything that belongs to it.
    assert!(audit(&["--pr", "101"]).contains(&"in use neon_branch".to_owned()));
}

#[test]
fn documents_for_programs_have_the_pull_request_and_obey_the_selection() {
    let folder = tempfile::tempdir().unwrap();
    let audit = |arguments: &[&str]| {
        output(
            folder.path(),
            None,
            &[&["audit", "--sandbox"], arguments].concat(),
        )
    };
    let all: Value = serde_json::from_str(&audit(&["--json"])).unwrap();
    assert_eq!(all["resources"].as_array().unwrap().len(), 42);
    let garbage = audit(&["--json", "--verdict", "garbage", "--limit", "3"]);
    let garbage: Value = serde_json::from_str(&garbage).unwrap();
    assert_eq!(garbage["summary"], all["summary"]);
    let rows = garbage["resources"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["next_sweep"], "now");
    assert_eq!(
        rows[0]["pull_request"],
        json!({
            "repository": "acme/shop", "number": 97, "title": "Fix checkout rounding",
            "state": "merged", "ended_at": "2026-02-20T15:10:00Z", "url": null,
        })
    );
    let later = audit(&[
        "--format",
        "csv",
        "--verdict",
        "garbage",
        "--max-deletions",
        "1",
    ]);
    assert!(
        later
            .lines()
            .next()
            .unwrap()
            .ends_with(",reason,pull_request_title,pull_request_state,pull_request_url,next_sweep")
    );
    assert!(
        later.contains(",Fix checkout rounding,merged,,now\n"),
        "{later}"
    );
    assert!(
        later.contains(",Try another cart layout,closed,,later\n"),
        "{later}"
    );
}

#[test]
fn a_name_that_only_a_condition_refuses_is_not_passed_over_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = large_world();
    world["resources"].as_array_mut().unwrap().truncate(10);
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("world.json", &world.to_string());
    let conditions = POLICY.replace(
        "name = \"{service}-preview-{pr}.acme.example\"\n",
        "name = \"{service}-preview-{pr}.acme.example\"\nwhere = { type = \"A\" }\n",
    );
    write("policy.toml", &conditions);
    let audit = [
        "audit",
        "--sandbox=world.json",
        "--policies=policy.toml",
        "--verdict=unmatched",
    ];
    let text = output(folder.path(), None, &audit);
    let note = "3 names match the template of a rule but not its condition";
    assert!(text.contains(note), "{text}");
    let rows = text.lines().filter(|line| line.starts_with("  unmatched"));
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 3, "{text}");
    assert!(rows.iter().all(|row| row.contains("type")), "{text}");
}

/// Whoever reads stderr may stop reading it (`2>&1 | head`).
#[test]
fn a_stderr_that_cannot_be_written_does_not_end_a_run_that_logs() {
    for verbose in ["-v", "-vv"] {
        let mut run = program()
            .args(["audit", "--sandbox", verbose])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(run.stderr.take());
        assert_eq!(run.wait().unwrap().code(), Some(0), "{verbose}");
    }
}
