//! `preview-gc audit` as its user runs it: situations with expected verdicts,
//! faults, and bad input.

use crate::support::{Server, report, run};
use serde_json::{Value, json};

fn audit(world: &str, policy: &str) -> (Value, i32) {
    let world = format!("--sandbox={world}");
    report(&run(&[
        "audit",
        "-q",
        &world,
        "--policies",
        policy,
        "--format",
        "json",
    ]))
}

fn file(name: &str) -> String {
    crate::support::path(name).display().to_string()
}

/// Audits the worlds of a folder by the policies of another, and gives how many
/// worlds and resources there were.
fn every_resource_has_its_expected_verdict(worlds: &str, policies: &str) -> (usize, usize) {
    let (mut cases, mut checked, mut wrong) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(crate::support::path(worlds)).unwrap() {
        let world = entry.unwrap().path();
        if world.extension().is_none_or(|end| end != "json") {
            continue;
        }
        cases += 1;
        let name = world.file_stem().unwrap().to_string_lossy().into_owned();
        let policy = file(&format!("{policies}/{name}.toml"));
        let text: Value = serde_json::from_slice(&std::fs::read(&world).unwrap()).unwrap();
        let (report, code) = audit(&world.display().to_string(), &policy);
        assert_eq!(code, 0, "{name}");
        let resources = report["resources"].as_array().unwrap();
        let expected = text["expect"].as_array().unwrap();
        for expect in expected {
            let found: Vec<_> = resources
                .iter()
                .filter(|one| one["kind"] == expect["kind"] && one["name"] == expect["name"])
                .filter(|one| {
                    expect["type"].is_null() || one["attributes"]["type"] == expect["type"]
                })
                .filter(|one| {
                    expect["project"].is_null() || one["scope"]["project"] == expect["project"]
                })
                .collect();
            let as_expected = match found[..] {
                [one] => one["verdict"] == expect["verdict"],
                // No rule asks for it, so that it is not even listed.
                [] => expect["listed"] == false,
                _ => false,
            };
            if !as_expected {
                wrong.push(format!("{name}: {expect} where {found:?}"));
            }
            checked += 1;
        }
        // What a case does not list may have gone unnoticed.
        let listed = expected.iter().filter(|one| one["listed"] != false);
        assert_eq!(resources.len(), listed.count(), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (cases, checked)
}

#[test]
fn every_resource_of_every_case_gets_its_expected_verdict() {
    let (cases, checked) = every_resource_has_its_expected_verdict("cases", "cases");
    assert!(
        cases > 50 && checked > 380,
        "{cases} cases, {checked} resources"
    );
}

#[test]
fn every_scheme_does_what_its_header_says() {
    let schemes = std::fs::read_dir(crate::support::path("../policies/schemes")).unwrap();
    let (worlds, _) = every_resource_has_its_expected_verdict("schemes", "../policies/schemes");
    assert_eq!(worlds, schemes.count());
}

/// A pull request, a Worker for it and one for a number still open.
fn small_world(faults: &Value) -> Value {
    let at = "2026-04-01T00:00:00Z";
    let worker = |number: u32| json!({"kind": "worker", "name": format!("app-pr-{number}"), "created_at": at, "updated_at": at});
    json!({
        "repository": "acme/shop", "now": "2026-05-01T00:00:00Z", "faults": faults, "git_branches": ["main"],
        "pull_requests": [
            {"number": 7, "state": "closed", "head_ref": "a", "head_repo": "acme/shop", "updated_at": at, "closed_at": at},
            {"number": 9, "state": "open", "head_ref": "b", "head_repo": "acme/shop", "updated_at": at},
        ],
        "resources": [worker(7), worker(9), {"kind": "kv_namespace", "name": "app-pr-7-kv"}],
    })
}

const SMALL_POLICY: &str = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"

[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-kv"
dead-when = "closed"
"#;

/// The verdict of each resource of the small world, and the exit code.
fn with_faults(faults: &Value) -> (Vec<(String, String)>, i32) {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.json");
    let policy = folder.path().join("policy.toml");
    std::fs::write(&world, small_world(faults).to_string()).unwrap();
    std::fs::write(&policy, SMALL_POLICY).unwrap();
    let (report, code) = audit(&world.display().to_string(), &policy.display().to_string());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let resources = report["resources"].as_array().unwrap();
    let verdicts = resources
        .iter()
        .map(|one| (text(&one["name"]), text(&one["verdict"])));
    assert_eq!(report["complete"], json!(code == 0));
    (verdicts.collect(), code)
}

fn of<'a>(verdicts: &'a [(String, String)], name: &str) -> &'a str {
    let found = verdicts.iter().find(|(other, _)| other == name);
    found.map_or("not listed", |(_, verdict)| verdict)
}

#[test]
fn without_faults_the_dead_are_garbage_and_the_living_are_not() {
    let (verdicts, code) = with_faults(&json!([]));
    assert_eq!(code, 0);
    assert_eq!(of(&verdicts, "app-pr-7"), "garbage");
    assert_eq!(of(&verdicts, "app-pr-9"), "live");
    // It has no time of its own, so the closing alone decides.
    assert_eq!(of(&verdicts, "app-pr-7-kv"), "garbage");
}

#[test]
fn absence_is_not_evidence() {
    for fault in [
        json!({"status": 403, "body": {"message": "Resource not accessible by integration"}}),
        json!({"status": 200, "body": {"data": null, "errors": [{"message": "Something went \
            wrong"}]}}),
        json!({"status": 200, "body": "<html>login</html>"}),
        json!({"status": 301, "headers": {"location": "https://example.com/"}}),
        json!("wrong_total"),
        json!("empty_page"),
    ] {
        let faults = json!([{"on": "github.pull_requests", "times": null, "fault": fault}]);
        let (verdicts, code) = with_faults(&faults);
        assert_eq!(code, 3, "{fault}");
        for name in ["app-pr-7", "app-pr-9", "app-pr-7-kv"] {
            assert_eq!(of(&verdicts, name), "unknown", "{fault}");
        }
    }
}

#[test]
fn a_listing_that_is_not_complete_takes_its_deletions_and_those_that_depend_on_it() {
    for fault in [
        json!("wrong_total"),
        json!("empty_page"),
        json!({"status": 403, "body": {}}),
    ] {
        let faults = json!([{"on": "cloudflare.kv_namespace", "times": null, "fault": fault}]);
        let (verdicts, code) = with_faults(&faults);
        assert_eq!(code, 3, "{fault}");
        assert_ne!(of(&verdicts, "app-pr-7-kv"), "garbage", "{fault}");
        assert_eq!(of(&verdicts, "app-pr-7"), "garbage", "another kind goes on");
    }
    let faults =
        json!([{"on": "cloudflare.worker", "times": null, "fault": {"status": 403, "body": {}}}]);
    let (verdicts, code) = with_faults(&faults);
    assert_eq!(code, 3);
    assert_eq!(
        of(&verdicts, "app-pr-7-kv"),
        "unknown",
        "who binds it is not known"
    );
}

#[test]
fn failed_lookups_are_unknown() {
    let settings = json!({"method": "GET", "path": "/settings$"});
    let faults = json!([{"on": settings, "times": null, "fault": {"status": 403, "body": {}}}]);
    let (verdicts, code) = with_faults(&faults);
    assert_eq!(code, 3);
    assert_eq!(of(&verdicts, "app-pr-7-kv"), "unknown");
}

#[test]
fn without_graphql_rest_gives_the_same_verdicts() {
    let graphql = json!({"method": "POST", "path": "/graphql$"});
    let faults = json!([{"on": graphql, "times": null, "fault": {"status": 404, "body": {"message": "Not Found"}}}]);
    assert_eq!(with_faults(&faults), with_faults(&json!([])));
}

#[test]
fn a_listing_that_shifted_once_is_listed_once_more() {
    let faults = json!([{"on": "cloudflare.kv_namespace", "times": 1, "fault": "wrong_total"}]);
    let (verdicts, code) = with_faults(&faults);
    assert_eq!(code, 0);
    assert_eq!(of(&verdicts, "app-pr-7-kv"), "garbage");
}

#[test]
fn bad_input_is_said_clearly_and_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().display().to_string();
    let cut = folder.path().join("cut.json");
    let world = std::fs::read_to_string(crate::support::path("cases/slot-numbers.json")).unwrap();
    std::fs::write(&cut, &world[..world.len() / 2]).unwrap();
    let cut = format!("--sandbox={}", cut.display());
    for (arguments, expected) in [
        (vec!["audit", "--policies", &empty], "has no *.toml file"),
        (
            vec!["audit", "--policies", "does-not-exist"],
            "cannot read policies",
        ),
        (vec!["audit", &cut], "cut.json:"),
        (vec!["audit", "--sandbox", "--grace", "1 day"], "--grace"),
        (
            vec!["audit", "--sandbox", "--kind", "wurker"],
            "invalid value 'wurker' for '--kind <KIND>'",
        ),
        (
            vec!["audit", "--sandbox", "--repository", "acme/other"],
            "differs from acme/shop",
        ),
        (vec!["audit", "--sandbox", "--out", "-"], "name a file"),
        (
            vec!["restore", "--sandbox", "20260302T090000Z-none"],
            "no earlier runs",
        ),
        (
            vec!["explain", "nothing", "--sandbox"],
            "no resource that was read is called",
        ),
        (
            vec!["audit", "--policies", "policies/demo.toml"],
            "GITHUB_TOKEN",
        ),
    ] {
        let output = run(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn over_http_the_program_sees_what_it_sees_in_process() {
    let world = file("cases/half-finished.json");
    let policy = file("cases/half-finished.toml");
    let server = Server::start(&["--world", &world]);
    let output = server
        .program()
        .args(["audit", "-q", "--format", "json", "--policies", &policy])
        .output()
        .unwrap();
    let (over_http, code) = report(&output);
    assert_eq!(code, 0);
    assert_eq!(
        over_http["resources"],
        audit(&world, &policy).0["resources"]
    );
    let requests = server.control("GET", "requests", "");
    let reads_only = requests
        .as_array()
        .unwrap()
        .iter()
        .all(|request| request["method"] == "GET" || request["path"] == "/github/graphql");
    assert!(reads_only, "an audit only reads: {requests}");
}

#[test]
fn tokens_are_never_printed_and_never_sent_in_the_open() {
    let canary = "canary-0123456789";
    for base in ["http://127.0.0.1:9", "http://example.com"] {
        let output = crate::support::program()
            .args(["audit", "-vvv", "--policies", "policies/demo.toml"])
            .env("GITHUB_TOKEN", canary)
            .env("GITHUB_API_URL", base)
            .env("CLOUDFLARE_API_TOKEN", canary)
            .env("CLOUDFLARE_ACCOUNT_ID", "0123456789abcdef0123456789abcdef")
            .env("CLOUDFLARE_API_BASE_URL", base)
            .args(["--deadline", "1s"])
            .output()
            .unwrap();
        let all = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&all).contains("canary"), "{base}");
        let code = if base.contains("example") { 2 } else { 3 };
        assert_eq!(output.status.code(), Some(code), "{base}");
    }
}

/// An audit of a Worker whose pull request was closed an hour ago, by a machine
/// whose clock shows `now`.
fn audit_by_the_clock(now: &str) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.json");
    let text = serde_json::json!({
        "repository": "acme/shop",
        "now": "2026-03-10T12:00:00Z",
        "pull_requests": [{
            "number": 7, "state": "closed", "merged": false,
            "created_at": "2026-03-09T12:00:00Z", "closed_at": "2026-03-10T11:00:00Z",
            "updated_at": "2026-03-10T11:00:00Z",
            "head_ref": "seven", "head_repo": "acme/shop",
        }],
        "git_branches": ["main"],
        "resources": [{
            "kind": "worker", "name": "web-preview-7",
            "created_at": "2026-03-09T13:00:00Z", "updated_at": "2026-03-09T13:00:00Z",
        }],
    });
    std::fs::write(&world, text.to_string()).unwrap();
    let policy = folder.path().join("policy.toml");
    let text = "repository = \"acme/shop\"\n[limits]\ngrace = \"24h\"\n[[rule]]\nid = \"w\"\n\
                kind = \"worker\"\nname = \"web-preview-{pr}\"\ndead-when = \"closed\"\n";
    std::fs::write(&policy, text).unwrap();
    let sandbox = format!("--sandbox={}", world.display());
    let policies = policy.display().to_string();
    let output = crate::support::run(&[
        "audit",
        &sandbox,
        "--policies",
        &policies,
        "--now",
        now,
        "--format",
        "json",
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|_| panic!("{said}")), said)
}

#[test]
fn a_machine_whose_clock_is_days_ahead_ends_no_grace() {
    let (report, said) = audit_by_the_clock("2026-03-14T12:00:00Z");
    let verdict = report["resources"][0]["verdict"].as_str();
    assert!(matches!(verdict, Some("grace")), "{report}");
    assert!(
        said.contains("the clocks differ by more than five minutes"),
        "{said}"
    );
    assert_eq!(report["clock_skew"]["machine"], "2026-03-14T12:00:00Z");
    let judged = report["now"].as_str().unwrap();
    assert!(judged.starts_with("2026-03-10T12:00"), "{judged}");
    // A clock that is behind keeps longer, and is reported as well.
    let (report, said) = audit_by_the_clock("2026-03-10T10:00:00Z");
    assert_eq!(report["now"], "2026-03-10T10:00:00Z");
    assert!(said.contains("the clocks differ"), "{said}");
    let (report, said) = audit_by_the_clock("2026-03-10T12:04:00Z");
    assert!(
        report["clock_skew"].is_null() && !said.contains("clocks"),
        "{said}"
    );
}

/// A name of a kind that no rule concerns is not called absent.
#[test]
fn explain_says_which_kinds_were_not_read() {
    let output = run(&["explain", "--sandbox", "no-such-bucket"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no resource that was read is called \"no-such-bucket\""),
        "{said}"
    );
    let unread = said
        .split("not searched, because no rule is about them: ")
        .nth(1)
        .unwrap_or_default();
    assert!(unread.contains("Pages deployment"), "{said}");
    assert!(!unread.contains("Worker,"), "{said}");
}

/// What a deleted custom domain takes along is neither protected nor left.
#[test]
fn a_sweep_counts_a_record_that_went_with_its_domain_as_gone() {
    let output = run(&["sweep", "--sandbox", "--yes"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("14 deleted; 1 DNS record went with its custom domain\n27 resources remain"),
        "{said}"
    );
    assert!(
        said.contains("2 in use, 9 protected, 8 unmatched"),
        "{said}"
    );
}

/// The runs of the simulated cloud end with the program.
#[test]
fn restore_lists_no_real_run_for_the_simulated_cloud() {
    let output = run(&["restore", "--sandbox"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said.contains("no earlier runs"), "{said}");
}

#[test]
fn a_dry_run_prints_its_steps_as_csv() {
    let output = run(&["sweep", "--sandbox", "--dry-run", "--format", "csv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 15, "{text}");
    assert_eq!(lines[0], "step,action,kind,name,id,reason");
    assert!(lines[1].starts_with("1,delete,"), "{text}");
}
