//! What a sweep needs before it may delete: consent, a plan file that fits the run, and
//! a GitHub that can be asked about the right repository.

use serde_json::{Value, json};

use super::releases::{body, check, path_of_the_record, save};
use super::{
    CACHE, HOST, NOW, POLICY, Stage, branch, many, outcomes, reason, record, resources, restored,
    shop_worker, with_hosts, worker, world,
};
use crate::support::report;

#[test]
fn a_plan_is_carried_out_as_it_is_or_not_at_all() {
    let mut more = resources();
    let stage = Stage::new(&world(&more), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    // Dry runs are the same plan, byte for byte.
    let dry = stage.output(&["sweep", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0));
    let text = std::fs::read_to_string(&plan).unwrap();
    assert_eq!(String::from_utf8_lossy(&dry.stdout), text);
    assert!(stage.writes().is_empty());

    let refused = |name: &str, text: &str, stage: &Stage, needle: &str| {
        let file = stage.file(name);
        std::fs::write(&file, text).unwrap();
        let output = stage.output(&["sweep", "--plan", &file]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(needle), "{name}: {said}");
        assert!(stage.writes().is_empty(), "{name}");
    };
    let altered = text.replace("app-pr-1-cache", "app-pr-2-cache");
    refused("altered.json", &altered, &stage, "altered");
    refused("none.json", "{}", &stage, "not a plan");
    let other = Stage::new(&world(&more), POLICY);
    refused("elsewhere.json", &text, &other, "made for");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    let output = stage
        .server
        .program()
        .env("PREVIEW_GC_NOW", "2026-05-02T01:00:01Z")
        .args(["sweep", "-q", "--plan", &plan, "--policies"])
        .arg(&stage.policy)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--plan-age"));
    assert!(stage.writes().is_empty());

    // What died after the plan was made is not in it.
    more.push(worker("app-pr-3", json!([])));
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    for extra in more.iter().skip(resources().len()) {
        stage
            .server
            .control("POST", "resources", &extra.to_string());
    }
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept).len(), 5);
    assert!(stage.has("app-pr-3") && !stage.has("app-pr-1"));
}

#[test]
fn rule_12_no_prompt_without_a_person() {
    let stage = Stage::new(&world(&resources()), POLICY);
    for variables in [&[][..], &[("CI", "true")]] {
        let mut command = stage.server.program();
        let output = command
            .envs(variables.iter().copied())
            .args(["sweep", "--policies"])
            .arg(&stage.policy)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7));
        assert!(String::from_utf8_lossy(&output.stderr).contains("--yes"));
    }
    assert!(stage.writes().is_empty());
}

#[test]
fn a_repository_whose_name_was_taken_over_is_a_root_gap() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let (first, code) = stage.sweep();
    assert_eq!(code, 0, "{first}");
    let run = first["run"].as_str().unwrap();
    let path = stage.file(&format!("{run}.journal.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let begun: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let id = begun["repositories"]["acme/shop"].as_u64().unwrap();
    // The same id is no gap.
    let (_, code) = stage.sweep();
    assert_eq!(code, 0);
    let other = text.replacen(&format!("\"acme/shop\":{id}"), "\"acme/shop\":7", 1);
    assert_ne!(other, text);
    std::fs::write(&path, other).unwrap();
    // In every run, also in one about a single pull request.
    let late = branch("pr-1-again", "main");
    stage.server.control("POST", "resources", &late.to_string());
    for arguments in [
        &["audit"][..],
        &["audit", "--pr", "1"],
        &["sweep", "--yes", "--pr", "1"],
    ] {
        let (report, code) = stage.run(arguments);
        assert_eq!(code, 3, "{arguments:?}: {report}");
    }
    assert!(stage.has("pr-1-again"));
}

#[test]
fn a_sweep_without_a_github_token_is_refused() {
    let policy = "repository = \"acme/shop\"\n[[rule]]\nid = \"old\"\nkind = \"worker\"\nname = \
        \"app-pr-{any}\"\n\
        dead-when = { older-than = \"1d\", clock = \"created\" }\n";
    let stage = Stage::new(&world(&resources()), policy);
    // Without a token the boxes of the tracking issue cannot be read either.
    for arguments in [
        &["sweep", "--yes", "--report"][..],
        &["sweep", "--yes"],
        &["sweep", "--dry-run"],
    ] {
        let mut command = stage.server.program();
        command
            .env_remove("GITHUB_TOKEN")
            .args(arguments)
            .arg("--policies");
        let output = command.arg(&stage.policy).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("GITHUB_TOKEN"), "{said}");
        assert!(stage.writes().is_empty());
    }
}

#[test]
fn consent_to_a_plan_and_consent_by_boxes_are_not_mixed() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let output = stage.output(&["sweep", "--plan", &plan, "--approved"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stage.writes().is_empty());
}

#[test]
fn a_plan_file_is_shown_and_one_that_was_altered_is_refused() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.folder.path().join("plan.json");
    let path = plan.display().to_string();
    stage.run(&["audit", "--out", &path]);
    let show = |arguments: &[&str]| {
        let mut command = crate::support::program();
        command.arg("show").arg(&plan).args(arguments);
        command.output().unwrap()
    };
    let output = show(&[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.ends_with("\nPlan: 5 to delete.\n"), "{said}");
    // What uses goes before what is used, and a child before its parent.
    let at = |name: &str| said.find(name).unwrap_or_else(|| panic!("{name}: {said}"));
    assert!(
        at("worker       app-pr-1 ") < at("app-pr-1-cache"),
        "{said}"
    );
    assert!(at("pr-1-child") < at("neon_branch  pr-1 "), "{said}");
    assert_eq!(
        show(&["--format", "json"]).stdout,
        std::fs::read(&plan).unwrap()
    );
    assert_eq!(show(&["--format", "csv"]).status.code(), Some(2));
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("app-pr-1", "app-pr-2")).unwrap();
    let output = show(&[]);
    assert_eq!(output.status.code(), Some(2));
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(why.contains("altered"), "{why}");
}

#[test]
fn a_plan_file_is_not_carried_out_where_this_run_sees_another_life_of_a_number() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    // Made a month after #1 was closed, and with another provider.
    let mut late = branch("pr-1-again", "main");
    late["created_at"] = json!(NOW);
    stage.server.control("POST", "resources", &late.to_string());
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1-cache"], "spared", "{swept}");
    assert!(stage.has("app-pr-1-cache"));
    assert_eq!(outcomes(&swept)["app-pr-1"], "deleted", "{swept}");
}

const BY_AGE: &str = "repository = \"acme/shop\"\n[[rule]]\nid = \"old\"\nkind = \"dns_record\"\n\
    zone = \"acme.example\"\nname = \"scratch-{any:a-z}.acme.example\"\n\
    dead-when = { older-than = \"7d\" }\n";

const SCRATCH: &str = "scratch-a.acme.example";

/// Under a name that was taken over, the tracking issue and its boxes are a stranger's.
#[test]
fn the_id_of_the_repository_is_compared_where_no_rule_asks_it_anything() {
    let with_id = |stage: &Stage, id: &str, arguments: &[&str]| {
        let mut command = stage.server.program();
        command.args(arguments).args(["-q", "--format", "json"]);
        command.arg("--journal").arg(stage.folder.path());
        command.arg("--policies").arg(&stage.policy);
        command.env("GITHUB_REPOSITORY_ID", id).output().unwrap()
    };
    let by_age = Stage::new(&world(&[record(SCRATCH)]), BY_AGE);
    let nothing_claimed = Stage::new(&world(&[record(SCRATCH)]), POLICY);
    for stage in [&by_age, &nothing_claimed] {
        for arguments in [&["audit"][..], &["sweep", "--yes"]] {
            let (report, code) = report(&with_id(stage, "7", arguments));
            assert_eq!(code, 3, "{arguments:?}: {report}");
            let said = report["evidence"].to_string();
            assert!(said.contains("another one has its name now"), "{said}");
        }
        assert!(stage.has(SCRATCH));
        let wrong = with_id(stage, "seven", &["sweep", "--yes"]);
        let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert_eq!(wrong.status.code(), Some(2), "{said}");
        assert!(said.contains("GITHUB_REPOSITORY_ID"), "{said}");
    }
    // The journal of such a run knows the repository and its id.
    by_age.run(&["report"]);
    let (swept, code) = by_age.sweep();
    assert_eq!(code, 0, "{swept}");
    assert!(!by_age.has(SCRATCH));
    let run = swept["run"].as_str().unwrap();
    let (result, reason, code) = restored(&by_age, run, SCRATCH);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(reason.contains("\"keep\" is checked in"), "{reason}");
    let path = by_age.file(&format!("{run}.journal.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let begun: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let id = begun["repositories"]["acme/shop"].as_u64().unwrap();
    let other = text.replacen(&format!("\"acme/shop\":{id}"), "\"acme/shop\":7", 1);
    std::fs::write(&path, other).unwrap();
    let (report, code) = by_age.run(&["audit"]);
    assert_eq!(code, 3, "{report}");
    // No box is checked in the issue of a stranger.
    let (_, reason, code) = restored(&by_age, run, SCRATCH);
    assert_eq!(code, 5, "{reason}");
    assert!(reason.contains("another one has its name now"), "{reason}");
}

#[test]
fn a_plan_file_whose_group_is_cut_is_not_green() {
    let stage = Stage::new(
        &world(&[shop_worker("app-pr-1", "www.acme.example")]),
        &with_hosts(),
    );
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let (swept, exit) = stage.run(&["sweep", "--plan", &plan, "--max-deletions", "1"]);
    assert_eq!(exit, 5, "{swept}");
    assert!(
        reason(&swept, "www.acme.example").contains("raise it"),
        "{swept}"
    );
    assert_eq!(stage.writes(), []);
}

/// Somebody changes the comment of a record.
fn change_the_record(stage: &Stage) {
    let path = path_of_the_record(stage);
    let change = json!({"comment": "used by the demo"}).to_string();
    let answer = stage.server.request("PATCH", &path, &change);
    assert!(answer.contains("\"success\":true"), "{answer}");
}

/// Renames a namespace, which has no change time, and back or to another name.
fn rename_the_namespace(stage: &Stage, name: &str) {
    let environment = stage.server.environment.iter();
    let mut environment = environment.filter(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID");
    let account = &environment.next().unwrap().1;
    let base = format!("client/v4/accounts/{account}/storage/kv/namespaces");
    let listed: Value = serde_json::from_str(&stage.server.request("GET", &base, "")).unwrap();
    let all = listed["result"].as_array().unwrap().iter();
    let one = all.clone().find(|one| one["title"] == CACHE).unwrap();
    let path = format!("{base}/{}", one["id"].as_str().unwrap());
    let answer = stage
        .server
        .request("PUT", &path, &json!({"title": name}).to_string());
    assert!(answer.contains("\"success\":true"), "{answer}");
}

/// A person approves what the issue shows, and not what becomes of it afterwards.
#[test]
fn an_approval_does_not_outlive_a_change_of_what_was_approved() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let (reported, code) = stage.run(&["report"]);
    assert_eq!(code, 0, "{reported}");
    check(&stage, "delete", HOST);
    check(&stage, "delete", "pr-1-child");
    change_the_record(&stage);
    // The grace since the change is over.
    stage
        .server
        .control("POST", "clock", r#"{"advance": "48h"}"#);
    let later = ["--now", "2026-05-03T00:00:00Z"];
    let approved = [&["sweep", "--yes", "--approved"], &later[..]].concat();
    let (swept, code) = stage.run(&approved);
    assert_eq!(code, 0, "{swept}");
    assert!(stage.has(HOST), "{swept}");
    assert!(
        !stage.has("pr-1-child"),
        "what did not change goes: {swept}"
    );
    let why = reason(&swept, HOST);
    assert_eq!(outcomes(&swept)[HOST], "deferred", "{why}");
    assert!(why.contains("check the box again"), "{why}");
    // The next report clears the box, and a box that is checked then counts.
    stage.run(&[&["report"], &later[..]].concat());
    let (swept, _) = stage.run(&approved);
    assert!(stage.has(HOST), "{swept}");
    assert!(!body(&stage).1.contains("[x] delete"), "{}", body(&stage).1);
    check(&stage, "delete", HOST);
    let (swept, code) = stage.run(&approved);
    assert_eq!((code, &*outcomes(&swept)[HOST]), (0, "deleted"), "{swept}");
}

/// So it is with the box of a group, and with a kind that has no change time.
#[test]
fn the_approval_of_a_group_does_not_outlive_a_change_of_one_of_it() {
    let other = "app-pr-1-store";
    let stage = Stage::new(&world(&resources()), POLICY);
    stage.run(&["report"]);
    let (_, text) = body(&stage);
    let at = text.find("[ ] delete everything of").unwrap();
    save(&stage, &format!("{}[x]{}", &text[..at], &text[at + 3..]));
    rename_the_namespace(&stage, other);
    let (swept, _) = stage.run(&["sweep", "--yes", "--approved"]);
    assert!(stage.has(other), "{swept}");
    assert_eq!(outcomes(&swept)[other], "deferred", "{swept}");
    assert!(
        !stage.has("app-pr-1") && !stage.has("pr-1-child"),
        "{swept}"
    );
}

/// What is gone, or is spared, takes no place of a run.
#[test]
fn a_plan_file_is_drained_by_runs_with_a_cap() {
    let stage = Stage::new(&world(&many()), POLICY);
    let plan = stage.file("plan.json");
    let options = ["--brake-share", "1"];
    let arguments = [
        &["audit", "--out", &plan, "--max-deletions", "40"],
        &options[..],
    ]
    .concat();
    stage.run(&arguments);
    // The first to go is deployed again.
    let planned: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    let first = planned["steps"][0]["name"].as_str().unwrap();
    assert!(first.starts_with("app-pr-"), "{first}");
    let number = first.split('-').nth(2).unwrap();
    let opened = format!("pull_requests/{number}");
    stage
        .server
        .control("POST", &opened, r#"{"state": "open"}"#);
    let mut there = stage.state().len();
    for left in [26, 14, 2, 0] {
        let arguments = [
            &["sweep", "--plan", &plan, "--max-deletions", "12"],
            &options[..],
        ]
        .concat();
        let (swept, code) = stage.run(&arguments);
        assert_eq!(code, 0, "{swept}");
        let gone = there - stage.state().len();
        there -= gone;
        let deferred = outcomes(&swept)
            .values()
            .filter(|one| *one == "deferred")
            .count();
        assert_eq!(
            (gone, deferred),
            (if left == 0 { 2 } else { 12 }, left),
            "{swept}"
        );
    }
    assert!(stage.has(first));
}
