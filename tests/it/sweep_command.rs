//! `preview-gc sweep` as its user runs it, against the stand-in over HTTP: what
//! is gone afterwards is judged by the stand-in's own state and request log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Server, cases, in_parallel, report};
use serde_json::{Value, json};

const T0: &str = "2026-04-01T00:00:00Z";
const NOW: &str = "2026-05-01T00:00:00Z";

const POLICY: &str = include_str!("../support/closed.toml");

fn worker(name: &str, bindings: Value) -> Value {
    json!({"kind": "worker", "name": name, "created_at": T0, "updated_at": T0, "attributes": {"bindings": bindings}})
}

fn namespace(name: &str) -> Value {
    json!({"kind": "kv_namespace", "name": name})
}

fn record(name: &str) -> Value {
    json!({"kind": "dns_record", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"type": "CNAME", "content": "acme.example", "proxied": true, "comment": "kept", "ttl": 1}})
}

fn branch(name: &str, parent: &str) -> Value {
    json!({"kind": "neon_branch", "name": name, "created_at": T0, "updated_at": T0, "attributes": {"parent": parent}})
}

/// Everything of pull requests 1 (closed) and 2 (open).
fn resources() -> Vec<Value> {
    vec![
        worker(
            "app-pr-1",
            json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"}]),
        ),
        worker("app-pr-2", json!([])),
        namespace("app-pr-1-cache"),
        namespace("app-pr-2-cache"),
        record("app-pr-1.acme.example"),
        record("app-pr-2.acme.example"),
        branch("pr-1", "main"),
        branch("pr-1-child", "pr-1"),
        branch("pr-2", "main"),
    ]
}

fn world(resources: &[Value]) -> Value {
    let pull_requests: Vec<_> = (1..=60)
        .map(|number| {
            let open = number == 2;
            json!({"number": number, "state": if open { "open" } else { "closed" }, "head_ref": format!("b{number}"),
                "head_repo": "acme/shop", "created_at": "2026-03-01T00:00:00Z", "updated_at": T0,
                "closed_at": if open { Value::Null } else { json!(T0) }})
        })
        .collect();
    let main = json!({"kind": "neon_branch", "name": "main", "created_at": T0, "attributes": {"default": true}});
    let resources: Vec<_> = std::iter::once(&main).chain(resources).collect();
    json!({"repository": "acme/shop", "now": NOW, "git_branches": ["main"], "zones": [{"name": "acme.example"}],
        "pull_requests": pull_requests, "resources": resources})
}

/// A stand-in with a policy and a folder for journals.
struct Stage {
    folder: tempfile::TempDir,
    server: Server,
    policy: PathBuf,
}

impl Stage {
    fn new(world: &Value, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, rules) = (folder.path().join("w.json"), folder.path().join("p.toml"));
        std::fs::write(&file, world.to_string()).unwrap();
        std::fs::write(&rules, policy).unwrap();
        Self {
            server: Server::start(&["--world", &file.display().to_string()]),
            policy: rules,
            folder,
        }
    }

    fn of_case(path: &Path) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: Server::start(&["--world", &path.display().to_string()]),
            policy: path.with_extension("toml"),
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.server.program();
        command.args(arguments).args(["-q", "--format", "json"]);
        command.arg("--journal").arg(self.folder.path());
        if arguments[0] != "restore" {
            command.arg("--policies").arg(&self.policy);
        }
        command.output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> (Value, i32) {
        report(&self.output(arguments))
    }

    fn sweep(&self) -> (Value, i32) {
        self.run(&["sweep", "--yes"])
    }

    /// Kinds and names of what exists; of records with their type.
    fn state(&self) -> BTreeSet<(String, String)> {
        let state = self.server.control("GET", "state", "");
        let resources = state["resources"].as_array().unwrap().clone();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        resources
            .iter()
            .map(|one| {
                let name = text(one, "name");
                match one["attributes"]["type"].as_str() {
                    Some(sort) => (text(one, "kind"), format!("{name} {sort}")),
                    None => (text(one, "kind"), name),
                }
            })
            .collect()
    }

    /// Names and types of the records that belong to custom domains.
    fn managed_records(&self) -> BTreeSet<String> {
        let state = self.server.control("GET", "state", "");
        let resources = state["resources"].as_array().unwrap().iter();
        resources
            .filter(|one| one["attributes"]["managed"] == true)
            .map(|one| {
                let sort = one["attributes"]["type"].as_str().unwrap();
                format!("{} {sort}", one["name"].as_str().unwrap())
            })
            .collect()
    }

    fn has(&self, name: &str) -> bool {
        let named = |other: &str| other.split(' ').next() == Some(name);
        self.state().iter().any(|(_, other)| named(other))
    }

    /// Methods, paths and statuses of the writing requests, in their order.
    fn writes(&self) -> Vec<(String, String, u64)> {
        let log = self.server.control("GET", "requests", "");
        let writes = log.as_array().unwrap().iter();
        writes
            .filter(|one| {
                one["method"] != "GET" && !one["path"].as_str().unwrap().contains("graphql")
            })
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap().to_owned();
                (
                    text("method"),
                    text("path"),
                    one["status"].as_u64().unwrap_or(0),
                )
            })
            .collect()
    }

    fn fault(&self, faults: &Value) {
        self.server.plant(faults);
    }

    /// A branch as Neon shows it.
    fn branch(&self, name: &str) -> Value {
        let program = self.server.program();
        let mut variables = program.get_envs();
        let project = variables.find(|(name, _)| *name == "NEON_PROJECT_ID");
        let project = project.and_then(|(_, id)| id?.to_str()).unwrap();
        let path = format!("api/v2/projects/{project}/branches");
        let list: Value = serde_json::from_str(&self.server.request("GET", &path, "")).unwrap();
        let branches = list["branches"].as_array().unwrap();
        let branch = branches.iter().find(|one| one["name"] == name);
        branch.unwrap().clone()
    }

    /// All journals as they are on disk.
    fn journal_text(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "jsonl") {
                text += &std::fs::read_to_string(path).unwrap();
            }
        }
        text
    }

    /// All journals, line by line; a torn line at the end is none.
    fn journal(&self) -> Vec<Value> {
        let text = self.journal_text();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect()
    }

    /// What journals have an intent for, by name.
    fn announced(&self) -> BTreeSet<String> {
        let lines = self.journal();
        let intents = lines.iter().filter(|line| line["entry"] == "intent");
        intents
            .map(|line| line["resource"]["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Outcomes by name.
fn outcomes(report: &Value) -> BTreeMap<String, String> {
    let steps = report["steps"].as_array().unwrap().iter();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    steps
        .map(|one| (text(one, "name"), text(one, "outcome")))
        .collect()
}

fn reason(report: &Value, name: &str) -> String {
    let steps = report["steps"].as_array().unwrap();
    let step = steps.iter().find(|one| one["name"] == name).unwrap();
    step["reason"].as_str().unwrap().to_owned()
}

/// What a sweep of a case has to leave and to delete, by the verdicts that the
/// case expects. Returns how many resources it deleted and how many it left.
fn sweep_a_case(path: &Path) -> (usize, usize) {
    let name = path.display().to_string();
    let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let stage = Stage::of_case(path);
    let before = stage.state();
    let managed = stage.managed_records();
    let (swept, code) = stage.sweep();
    // A case may have what no run can delete: a Worker that another one binds
    // as a service.
    assert!(code == 0 || code == 5, "{name}: {code}");
    let after = stage.state();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let steps = swept["steps"].as_array().unwrap();
    let not_deleted = steps.iter().filter(|one| one["outcome"] != "deleted");
    let not_deleted = not_deleted.count();
    let (mut deleted, mut left) = (0, 0);
    for expect in case["expect"].as_array().unwrap() {
        let (kind, named) = (text(expect, "kind"), text(expect, "name"));
        let is_meant = |one: &&Value| {
            let (sort, project) = (&expect["type"], &expect["project"]);
            one["kind"] == kind.as_str()
                && one["name"] == named.as_str()
                && (sort.is_null() || one["attributes"]["type"] == *sort)
                && (project.is_null() || one["scope"]["project"] == *project)
        };
        if expect["listed"] == false {
            assert!(after.contains(&(kind, named)), "{name}: {expect} is gone");
            left += 1;
            continue;
        }
        let row = swept["resources"].as_array().unwrap().iter().find(is_meant);
        let row = row.unwrap_or_else(|| panic!("{name}: {expect} is not listed"));
        let step = steps
            .iter()
            .find(|one| one["kind"] == row["kind"] && one["id"] == row["id"]);
        let outcome = step.and_then(|step| step["outcome"].as_str());
        let key = match row["attributes"]["type"].as_str() {
            Some(sort) => (kind, format!("{named} {sort}")),
            None => (kind, named),
        };
        if managed.contains(&key.1) {
            // It goes with its custom domain, whatever its own verdict is.
            assert_eq!(outcome, None, "{name}: {key:?} has a step");
        } else if expect["verdict"] == "garbage" {
            match outcome {
                Some("deleted") => {
                    assert!(!after.contains(&key), "{name}: {key:?} is still there");
                    deleted += 1;
                }
                // A rule that only reports has no step.
                None | Some("deferred" | "expired" | "failed_for_good") => {
                    assert!(after.contains(&key), "{name}: {key:?} is gone");
                }
                Some(other) => panic!("{name}: {key:?} is {other}"),
            }
        } else {
            assert_eq!(outcome, None, "{name}: {key:?} has a step");
            // A parent that a world only names is there and not shown.
            if before.contains(&key) {
                assert!(after.contains(&key), "{name}: {key:?} is gone");
                left += 1;
            }
        }
    }
    let begun: BTreeMap<String, usize> = stage
        .writes()
        .iter()
        .enumerate()
        .map(|(at, (_, path, _))| (path.rsplit('/').next().unwrap().to_owned(), at))
        .collect();
    for pair in case["ordering"].as_array().into_iter().flatten() {
        let at = |which: &str| begun.get(pair[which]["name"].as_str().unwrap());
        if let (Some(first), Some(then)) = (at("first"), at("then")) {
            assert!(first < then, "{name}: {pair}");
        }
    }
    let writes = stage.writes().len();
    let (again, _) = stage.sweep();
    let repeated = outcomes(&again)
        .into_values()
        .filter(|one| one == "deleted");
    assert_eq!(repeated.count(), 0, "{name}: {again}");
    assert!(stage.writes().len() <= writes + not_deleted, "{name}");
    assert_eq!(stage.state(), after, "{name}");
    (deleted, left)
}

#[test]
fn after_a_sweep_of_any_case_exactly_what_is_to_be_kept_is_there() {
    let (deleted, left) = (AtomicUsize::new(0), AtomicUsize::new(0));
    in_parallel(&cases(), |path| {
        let (gone, there) = sweep_a_case(path);
        deleted.fetch_add(gone, Ordering::Relaxed);
        left.fetch_add(there, Ordering::Relaxed);
    });
    let (deleted, left) = (deleted.into_inner(), left.into_inner());
    assert!(
        deleted > 100 && left > 100,
        "{deleted} deleted, {left} left"
    );
}

#[test]
fn a_sweep_deletes_what_is_dead_in_the_order_of_use_and_says_so() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    let deleted: BTreeSet<_> = outcomes(&swept).into_iter().collect();
    let expected = [
        "app-pr-1",
        "app-pr-1-cache",
        "app-pr-1.acme.example",
        "pr-1",
        "pr-1-child",
    ];
    let expected = expected.map(|name| (name.to_owned(), "deleted".to_owned()));
    assert_eq!(deleted, BTreeSet::from(expected));
    let kept = [
        "app-pr-2",
        "app-pr-2-cache",
        "app-pr-2.acme.example",
        "pr-2",
        "main",
    ];
    for name in kept {
        assert!(stage.has(name), "{name}");
    }
    let paths: Vec<_> = stage
        .writes()
        .into_iter()
        .map(|(_, path, _)| path)
        .collect();
    let at = |part: &str| paths.iter().position(|path| path.contains(part)).unwrap();
    assert!(at("dns_records") < at("workers/scripts"), "{paths:?}");
    assert!(at("workers/scripts") < at("storage/kv"), "{paths:?}");
    // The child before its parent: the stand-in refuses otherwise.
    // Neon carries out one at a time; otherwise nothing is refused.
    let fine = |status: u64| status == 200 || status == 423;
    assert!(stage.writes().iter().all(|(_, _, status)| fine(*status)));
    // The Worker never with force, the branch never hard.
    let log = stage.server.control("GET", "requests", "").to_string();
    assert!(!log.contains("force") && !log.contains("hard_delete"));
}

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
fn rule_6_a_brake_stops_a_sweep_before_its_first_deletion_and_the_cap_lets_the_oldest_go() {
    let dead: Vec<_> = (10..40)
        .map(|n| namespace(&format!("app-pr-{n}-cache")))
        .collect();
    let stage = Stage::new(&world(&dead), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 4);
    assert_eq!(swept["steps"], json!([]));
    assert!(
        swept["brakes"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("--brake-share")
    );
    assert!(stage.writes().is_empty());
    let (swept, code) = stage.run(&[
        "sweep",
        "--yes",
        "--brake-share",
        "1",
        "--max-deletions",
        "4",
    ]);
    assert_eq!(code, 0);
    let count = |outcome: &str| {
        outcomes(&swept)
            .into_values()
            .filter(|one| one == outcome)
            .count()
    };
    assert_eq!((count("deleted"), count("deferred")), (4, 26));
    assert_eq!(stage.writes().len(), 4);
}

#[test]
fn rule_7_what_changed_since_the_plan_is_spared() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0);
    assert!(
        outcomes(&swept).values().all(|one| one == "spared"),
        "{swept}"
    );
    assert!(reason(&swept, "app-pr-1").contains("open"));
    assert!(stage.writes().is_empty());

    // A branch that got a child, and a Worker that was deployed again.
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    stage.server.control(
        "POST",
        "resources",
        &branch("made-by-hand", "pr-1").to_string(),
    );
    let account = &stage
        .server
        .environment
        .iter()
        .find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID")
        .unwrap()
        .1;
    stage.server.request(
        "DELETE",
        &format!("client/v4/accounts/{account}/workers/scripts/app-pr-1"),
        "",
    );
    stage.server.control(
        "POST",
        "resources",
        &worker("app-pr-1", json!([])).to_string(),
    );
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0, "{swept}");
    let found = outcomes(&swept);
    assert_eq!(found["pr-1"], "spared");
    assert_eq!(found["pr-1-child"], "deleted");
    assert_eq!(
        found["app-pr-1"],
        "spared",
        "{}",
        reason(&swept, "app-pr-1")
    );
    assert!(stage.has("app-pr-1") && stage.has("pr-1") && stage.has("made-by-hand"));
}

#[test]
fn rule_7_what_cannot_be_read_again_is_not_deleted() {
    for (fault, spared) in [
        (
            json!({"on": "cloudflare.kv_namespace", "fault": {"status": 500}}),
            "app-pr-1-cache",
        ),
        (
            json!({"on": "github.pull_requests", "fault": {"status": 500}}),
            "app-pr-1",
        ),
    ] {
        let stage = Stage::new(&world(&resources()), POLICY);
        let plan = stage.file("plan.json");
        stage.run(&["audit", "--out", &plan]);
        stage.fault(&json!([fault]));
        let (swept, code) = stage.run(&["sweep", "--plan", &plan, "--deadline", "4s"]);
        assert!(code == 3 || code == 5, "{code}: {swept}");
        assert!(stage.has(spared), "{fault}");
        assert_ne!(
            outcomes(&swept).get(spared).map(String::as_str),
            Some("deleted")
        );
    }
}

#[test]
fn rule_8_intent_and_copy_are_written_down_before_the_request() {
    let stage = Stage::new(&world(&resources()), POLICY);
    // The run dies with the first answer it does not get.
    let lines = {
        stage.sweep();
        stage.journal()
    };
    let place = |entry: &str, step: u64| {
        lines
            .iter()
            .position(|line| line["entry"] == entry && line["step"] == step)
            .unwrap()
    };
    for step in 0..5 {
        assert!(place("intent", step) < place("outcome", step));
    }
    let record = lines
        .iter()
        .find(|line| line["resource"]["kind"] == "dns_record")
        .unwrap();
    assert_eq!(record["copy"]["original"]["content"], "acme.example");
    assert_eq!(record["copy"]["original"]["comment"], "kept");
    assert!(
        record["resource"]["host"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1")
    );

    // Without a journal nothing is sent.
    let stage = Stage::new(&world(&resources()), POLICY);
    let blocked = stage.file("p.toml");
    let output = stage
        .server
        .program()
        .args(["sweep", "--yes", "--journal", &blocked, "--policies"])
        .arg(&stage.policy)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stage.writes().is_empty());
}

#[test]
fn rule_9_gone_means_looked_and_not_found() {
    let delete = |path: &str, fault: Value, times: u64| json!([{"on": {"method": "DELETE", "path": path}, "times": times, "fault": fault}]);
    for (what, faults, outcome, code) in [
        // An answer that says not found where a reading still shows it.
        (
            "app-pr-1",
            delete("scripts/app-pr-1", json!({"status": 404}), 9),
            "failed_for_now",
            5,
        ),
        // A success that did nothing.
        (
            "app-pr-1-cache",
            delete(
                "storage/kv",
                json!({"status": 200, "body": {"success": true, "result": null, "errors": [], "messages": []}}),
                9,
            ),
            "in_doubt",
            5,
        ),
        // A failure inside a success.
        (
            "app-pr-1-cache",
            delete(
                "storage/kv",
                json!({"status": 200, "body": {"success": false, "result": null, "errors": [{"code": 10000, "message": "no"}], "messages": []}}),
                9,
            ),
            "failed_for_now",
            5,
        ),
        (
            "app-pr-1",
            delete("scripts/app-pr-1", json!({"status": 403}), 9),
            "failed_for_good",
            5,
        ),
        // Lost answers are settled by reading, and then it is tried again.
        (
            "app-pr-1",
            delete("scripts/app-pr-1", json!({"status": 502}), 1),
            "deleted",
            0,
        ),
        (
            "app-pr-1-cache",
            delete("storage/kv", json!("reset"), 1),
            "deleted",
            0,
        ),
        (
            "pr-1-child",
            delete("branches/", json!({"status": 503}), 2),
            "deleted",
            0,
        ),
    ] {
        let stage = Stage::new(&world(&resources()), POLICY);
        stage.fault(&faults);
        let (swept, exit) = stage.sweep();
        assert_eq!(
            outcomes(&swept)[what],
            outcome,
            "{faults}: {}",
            reason(&swept, what)
        );
        assert_eq!(exit, code, "{faults}");
        assert_eq!(stage.has(what), outcome != "deleted", "{faults}");
    }
}

#[test]
fn rule_10_a_failed_step_defers_what_depends_on_it_and_nothing_else() {
    let stage = Stage::new(&world(&resources()), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "scripts/app-pr-1"}, "fault": {"status": 403}},
        {"on": {"method": "DELETE", "path": "branches/"}, "times": 4, "fault": {"status": 422, "body": {"code": "", "message": "no"}}},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5);
    let found = outcomes(&swept);
    assert_eq!(found["app-pr-1"], "failed_for_good");
    assert!(reason(&swept, "app-pr-1").contains("Workers Scripts Write"));
    // It is bound by a Worker that is still there.
    assert_eq!(found["app-pr-1-cache"], "deferred", "{swept}");
    assert_eq!(found["app-pr-1.acme.example"], "deleted");
    assert_eq!(found["pr-1-child"], "failed_for_good");
    assert_eq!(found["pr-1"], "deferred");
    assert!(reason(&swept, "pr-1").contains("pr-1-child"));
}

#[test]
fn a_refused_batch_of_records_is_tried_one_by_one() {
    let records: Vec<_> = (10..20)
        .map(|n| record(&format!("app-pr-{n}.acme.example")))
        .collect();
    let stage = Stage::new(&world(&records), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!((code, stage.writes().len()), (0, 1), "{swept}");
    let stage = Stage::new(&world(&records), POLICY);
    stage.fault(&json!([{"on": {"method": "POST", "path": "batch"}, "fault": {"status": 400, "body": {"success": false, "errors": [{"code": 9999, "message": "no"}]}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!((code, stage.writes().len()), (0, 11), "{swept}");
    assert_eq!(stage.state().len(), 1, "only the default branch");
}

#[test]
fn workers_that_bind_each_other_go_before_what_they_bind() {
    let service = |target: &str| json!([{"type": "service", "name": "NEXT", "target": target}]);
    let chain = [
        worker("app-pr-10", service("app-pr-11")),
        worker("app-pr-11", service("app-pr-12")),
        worker("app-pr-12", json!([])),
    ];
    let stage = Stage::new(&world(&chain), POLICY);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(stage.state().len(), 1, "only the default branch");
    assert!(stage.writes().iter().all(|(_, _, status)| *status == 200));
}

#[test]
fn resource_deleted_by_others_is_already_gone() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let (first, _) = stage.run(&["sweep", "--plan", &plan]);
    assert!(outcomes(&first).values().all(|one| one == "deleted"));
    let writes = stage.writes().len();
    let (second, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0);
    assert!(
        outcomes(&second).values().all(|one| one == "already_gone"),
        "{second}"
    );
    assert_eq!(stage.writes().len(), writes);
}

#[test]
fn an_expiry_is_set_where_a_rule_wants_that() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let branches = [branch("pr-1", "main"), branch("pr-2", "main")];
    let stage = Stage::new(&world(&branches), &policy);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "expired");
    assert!(stage.has("pr-1"));
    let (again, _) = stage.sweep();
    assert_eq!(again["steps"], json!([]), "it is taken care of");
    // Neon deletes it.
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    stage.sweep();
    assert!(!stage.has("pr-1"));
}

/// The next sweep removes the expiry of `pr-1`, which is there when it would be over.
fn removes_the_expiry(stage: &Stage) {
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "expiry_removed", "{swept}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    assert!(stage.has("pr-1"));
}

#[test]
fn an_expiry_that_a_sweep_set_is_removed_when_the_pull_request_is_reopened() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let mut foreign = branch("pr-2", "main");
    foreign["attributes"]["expires_at"] = json!("2026-05-03T00:00:00Z");
    let stage = Stage::new(&world(&[branch("pr-1", "main"), foreign]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    let (audit, _) = stage.run(&["audit"]);
    let rows = audit["resources"].as_array().unwrap().iter();
    let row = rows.clone().find(|row| row["name"] == "pr-1").unwrap();
    assert_eq!(row["verdict"], "live");
    assert!(
        row["reason"]
            .as_str()
            .unwrap()
            .contains("its own expiry deletes it at"),
        "{row}"
    );

    let (again, code) = stage.sweep();
    assert_eq!(code, 0, "{again}");
    // What somebody else wants to expire is theirs.
    let outcomes = outcomes(&again);
    assert_eq!(outcomes.len(), 1, "{again}");
    assert_eq!(outcomes["pr-1"], "expiry_removed", "{again}");
    let why = reason(&again, "pr-1");
    assert!(
        why.contains("is open") && why.contains("is removed"),
        "{why}"
    );
    let journal = stage.journal();
    let mut actions = journal.iter().map(|line| line["action"].as_str());
    assert!(actions.any(|action| action == Some("remove_expiry")));
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    let (later, _) = stage.sweep();
    assert!(stage.has("pr-1"), "{later}");
    assert_eq!(later["steps"], json!([]));
}

#[test]
fn an_expiry_that_a_sweep_set_is_removed_when_no_rule_is_about_it_any_more() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    std::fs::write(&stage.policy, policy.replace("\"pr-{pr}", "\"preview-{pr}")).unwrap();
    removes_the_expiry(&stage);
}

#[test]
fn an_expiry_of_an_earlier_death_is_removed_while_the_new_grace_runs() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    // Reopened and closed again, so that it was seen only after that.
    stage
        .server
        .control("POST", "clock", r#"{"advance": "2h"}"#);
    for state in ["open", "closed"] {
        let state = json!({"state": state}).to_string();
        stage.server.control("POST", "pull_requests/1", &state);
    }
    let (again, code) = stage.sweep();
    assert_eq!(code, 0, "{again}");
    assert_eq!(outcomes(&again)["pr-1"], "expiry_removed", "{again}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "23h"}"#);
    assert!(stage.has("pr-1"), "its new grace is not over");
}

#[test]
fn an_expiry_is_removed_after_a_reopening_although_a_brake_trips() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let branches = [branch("pr-1", "main"), branch("pr-3", "main")];
    let stage = Stage::new(&world(&branches), &policy);
    let (swept, _) = stage.sweep();
    assert_eq!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    for number in 4..=6 {
        let added = branch(&format!("pr-{number}"), "main").to_string();
        stage.server.control("POST", "resources", &added);
    }
    let limits = format!("{policy}[limits]\nbrake = {{ count = 2 }}\n");
    std::fs::write(&stage.policy, limits).unwrap();
    let (again, code) = stage.sweep();
    assert_eq!(code, 4, "{again}");
    let outcomes = outcomes(&again);
    assert_eq!(outcomes.len(), 1, "{again}");
    assert_eq!(outcomes["pr-1"], "expiry_removed", "{again}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "25h"}"#);
    assert!(stage.has("pr-1") && stage.has("pr-4"));
}

/// Reads by id may lag: then the run that set the expiry believes that its request
/// had no effect.
#[test]
fn an_expiry_that_was_set_unseen_is_removed_when_the_pull_request_lives_again() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let stale = json!({"branch": stage.branch("pr-1")});
    stage.fault(&json!([
        {"on": {"method": "PATCH", "path": "/branches/br-"}, "times": 1, "fault": "reset_after"},
        {"on": {"method": "GET", "path": "/branches/br-"}, "times": 3,
            "fault": {"status": 200, "body": stale}},
    ]));
    let (swept, _) = stage.sweep();
    assert_ne!(outcomes(&swept)["pr-1"], "expired", "{swept}");
    assert!(stage.branch("pr-1")["expires_at"].is_string());
    stage.fault(&json!([]));
    stage
        .server
        .control("POST", "pull_requests/1", r#"{"state": "open"}"#);
    removes_the_expiry(&stage);
}

/// To a key that has lost its access every branch is "not found", by id.
#[test]
fn rule_9_a_branch_that_is_listed_is_not_already_gone() {
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), POLICY);
    let absent = json!({"status": 404, "body": {"message": "project not found"}});
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "/branches/br-"}, "fault": absent},
        {"on": {"method": "GET", "path": "/branches/br-"}, "fault": absent},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "in_doubt", "{swept}");
    let why = reason(&swept, "pr-1");
    assert!(why.contains("the listing shows it"), "{why}");
    // The branch is gone, and both readings say so.
    stage.fault(&json!([]));
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "/branches/br-"}, "times": 1, "fault": "reset_after"},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "deleted", "{swept}");
}

#[test]
fn an_expiry_that_is_refused_fails_for_good_and_says_why() {
    let policy = format!("{POLICY}action = \"expire\"\n");
    let stage = Stage::new(&world(&[branch("pr-1", "main")]), &policy);
    let said = "expires_at cannot be set on branches that have children";
    stage.fault(&json!([{"on": {"method": "PATCH", "path": "/branches/"},
        "fault": {"status": 422, "body": {"code": "", "message": said}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["pr-1"], "failed_for_good", "{swept}");
    assert!(reason(&swept, "pr-1").contains(said), "{swept}");
}

#[test]
fn deleted_resources_are_restored_as_far_as_possible() {
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let mut all = resources();
    all[2] = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [
        {"name": "a/b", "value": "one", "metadata": {"x": 1}}, {"name": "c", "value": "two"}]}});
    let stage = Stage::new(&world(&all), &policy);
    let before = stage.state();
    let (swept, _) = stage.sweep();
    let run = swept["run"].as_str().unwrap();
    let listed = stage.output(&["restore", "--list"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["run"], run);
    let output = stage.output(&["restore", run]);
    // The Worker cannot be put back, and that is not green.
    assert_eq!(
        output.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = |name: &str| {
        let all = answer["restored"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap()["result"].clone()
    };
    assert_eq!(result("app-pr-1.acme.example"), "restored");
    assert_eq!(result("app-pr-1-cache"), "restored");
    assert_eq!(result("pr-1"), "restored");
    assert_eq!(result("app-pr-1"), "cannot");
    let mut expected = before;
    expected.remove(&("worker".to_owned(), "app-pr-1".to_owned()));
    assert_eq!(stage.state(), expected);
    let state = stage.server.control("GET", "state", "").to_string();
    assert!(
        state.contains("a/b") && state.contains("\"x\":1"),
        "{state}"
    );
    assert!(
        state.contains("\"value\":\"one\"") && state.contains("\"value\":\"two\""),
        "{state}"
    );
    // Not twice.
    let again = stage.output(&["restore", run, "app-pr-1.acme.example"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("already_there"));
    assert_eq!(again.status.code(), Some(0));
    let none = stage.output(&["restore", "nope"]);
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn restored_resources_stay_until_released() {
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let mut all = resources();
    all[2] = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [
        {"name": "a", "value": "one"}]}});
    let stage = Stage::new(&world(&all), &policy);
    let (swept, _) = stage.sweep();
    let run = swept["run"].as_str().unwrap();
    // A namespace has no times, so nothing else keeps it.
    let name = "app-pr-1-cache";
    let output = stage.output(&["restore", run, name]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("restore --release"), "{said}");
    let (again, code) = stage.sweep();
    assert_eq!(code, 0, "{again}");
    assert!(stage.has(name), "{name} is deleted again");
    let row = again["resources"].as_array().unwrap().iter();
    let row = row.clone().find(|row| row["name"] == name).unwrap();
    assert_eq!(row["verdict"], "protected", "{row}");
    let ends = format!("kept until `preview-gc restore --release {name}`");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.starts_with("restored on 2026-05-01"), "{row}");
    assert!(reason.ends_with(&ends), "{row}");
    let (audit, _) = stage.run(&["audit"]);
    let audited = audit["resources"].as_array().unwrap();
    assert!(
        audited
            .iter()
            .any(|row| row["name"] == name && row["verdict"] == "protected")
    );
    // Only what a journal knows can be released, and only what is named.
    let unknown = stage.output(&["restore", "--release", name, "--release", "nope"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("\"nope\""));
    let released = stage.output(&["restore", "--release", name]);
    assert_eq!(released.status.code(), Some(0));
    let (last, code) = stage.sweep();
    assert_eq!(code, 0, "{last}");
    assert!(!stage.has(name));
    // It is released once.
    let twice = stage.output(&["restore", "--release", name]);
    assert_eq!(twice.status.code(), Some(2));
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
fn nothing_is_deleted_beside_a_journal_of_another_schema() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let path = stage.file("later.journal.jsonl");
    let line = r#"{"entry":"run","schema":2,"run":"later","at":"2026-05-01T00:00:00Z"}"#;
    std::fs::write(&path, format!("{line}\n")).unwrap();
    let output = stage.output(&["sweep", "--yes"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("later.journal.jsonl") && said.contains("schema is 2"),
        "{said}"
    );
    assert!(stage.has("app-pr-1"));
}

/// Kills a run and everything it holds, as a machine that goes away does.
#[cfg(unix)]
fn signal(child: &std::process::Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[cfg(unix)]
impl Stage {
    fn spawn(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = self.server.program();
        command
            .args(arguments)
            .args(["-q", "--format", "json"])
            .arg("--journal")
            .arg(self.folder.path())
            .arg("--policies")
            .arg(&self.policy)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits until the stand-in has seen this many writing requests.
    fn wait_for_writes(&self, count: usize) {
        while self.writes().len() < count {
            std::thread::yield_now();
        }
    }
}

/// Many namespaces and Workers of closed pull requests.
fn many() -> Vec<Value> {
    let mut all = Vec::new();
    for number in 10..30 {
        all.push(worker(&format!("app-pr-{number}"), json!([])));
        all.push(namespace(&format!("app-pr-{number}-cache")));
    }
    all.push(worker("app-pr-2", json!([])));
    all.push(namespace("app-pr-2-cache"));
    all
}

const MANY: [&str; 6] = [
    "sweep",
    "--yes",
    "--brake-share",
    "1",
    "--max-deletions",
    "40",
];

#[cfg(unix)]
#[test]
fn rule_8_a_run_that_is_killed_leaves_a_journal_that_agrees_with_what_happened() {
    for round in 0..20 {
        let stage = Stage::new(&world(&many()), POLICY);
        stage.fault(&json!([{"on": {"method": "DELETE", "path": "."}, "fault": {"delay_ms": 3}}]));
        let mut child = stage.spawn(&MANY);
        // At another moment of the sweep each time, whatever the machine's speed.
        stage.wait_for_writes(round * 2);
        signal(&child, "KILL");
        child.wait().unwrap();
        let state = stage.state();
        assert!(stage.has("app-pr-2") && stage.has("app-pr-2-cache"));
        // What is gone was announced before; what is said to be gone is gone.
        let announced = stage.announced();
        for resource in many() {
            let name = resource["name"].as_str().unwrap();
            let there = state.iter().any(|(_, other)| other == name);
            assert!(there || announced.contains(name), "{name} in round {round}");
        }
        let (swept, code) = stage.run(&MANY);
        assert_eq!(code, 0, "{swept}");
        assert_eq!(stage.state().len(), 3, "round {round}");
        // After it no step of any run is open.
        let mut open = BTreeSet::new();
        for entry in std::fs::read_dir(stage.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let is_journal = path.extension().is_some_and(|end| end == "jsonl");
            if is_journal {
                let text = std::fs::read_to_string(&path).unwrap();
                let record = preview_gc::journal::RunRecord::parse(&path, &text).unwrap();
                open.extend(record.open().map(|(step, _)| (path.clone(), step)));
            }
        }
        assert_eq!(open, BTreeSet::new(), "round {round}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_finishes_what_is_under_way_and_says_what_is_left() {
    let stage = Stage::new(&world(&many()), POLICY);
    stage.fault(
        &json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"delay_ms": 300}}]),
    );
    let child = stage.spawn(&MANY);
    stage.server.wait_for_a_fault();
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let (swept, code) = report(&output);
    assert_eq!(code, 130);
    let found = outcomes(&swept);
    assert!(
        found
            .values()
            .all(|one| one == "deleted" || one == "deferred"),
        "{swept}"
    );
    assert!(found.values().any(|one| one == "deferred"));
    for (name, outcome) in &found {
        assert_eq!(stage.has(name), outcome != "deleted", "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_second_interruption_ends_the_run_at_once_without_a_report() {
    use std::io::{BufRead as _, BufReader};
    let stage = Stage::new(&world(&many()), POLICY);
    stage.fault(
        &json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"delay_ms": 600_000}}]),
    );
    let mut command = stage.server.program();
    command.args(MANY).args(["--report", "--format", "json"]);
    command.arg("--journal").arg(stage.folder.path());
    command.arg("--policies").arg(&stage.policy);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    stage.server.wait_for_a_fault();
    signal(&child, "INT");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let heard = lines.find(|line| line.as_ref().unwrap().contains("interrupt again"));
    assert!(heard.is_some());
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(
        said.iter()
            .any(|line| line.contains("the next sweep recovers it")),
        "{said:?}"
    );
    let issues = stage
        .server
        .request("GET", "github/repos/acme/shop/issues?state=all", "");
    let issues: Vec<Value> = serde_json::from_str(&issues).unwrap();
    let reports = issues.iter().filter(|one| one["pull_request"].is_null());
    assert_eq!(reports.count(), 0, "no report is published");
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

#[cfg(unix)]
#[test]
fn rule_8_a_full_disk_ends_a_sweep_and_the_next_one_settles_what_was_begun() {
    for blocks in [1, 4, 16, 24] {
        let stage = Stage::new(&world(&many()), POLICY);
        let program = stage.server.program();
        // No file may grow beyond that many blocks, as on a disk with so much room.
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("/bin/sh");
        command.env_clear().arg("-c").arg(limit);
        command.arg(program.get_program());
        command.envs(stage.server.environment.iter().cloned());
        command.args(MANY).args(["-q", "--format", "json"]);
        command.arg("--journal").arg(stage.folder.path());
        command.arg("--policies").arg(&stage.policy);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (swept, code) = report(&output);
        assert_eq!(code, 1, "{blocks}: {said}");
        assert!(said.contains("journal"), "{blocks}: {said}");
        let found = outcomes(&swept);
        assert!(found.values().any(|one| one == "deferred"), "{swept}");
        // What left was announced, and what is said to be gone is.
        let announced = stage.announced();
        for (name, outcome) in &found {
            assert_eq!(stage.has(name), outcome != "deleted", "{blocks}: {name}");
            assert!(stage.has(name) || announced.contains(name), "{name}");
        }
        let (swept, code) = stage.run(&MANY);
        assert_eq!(code, 0, "{swept}");
        assert_eq!(stage.state().len(), 3, "{blocks}");
    }
}

#[cfg(unix)]
#[test]
fn two_sweeps_at_once_delete_nothing_wrong_and_tell_the_truth() {
    let stage = Stage::new(&world(&many()), POLICY);
    let children = [stage.spawn(&MANY), stage.spawn(&MANY)];
    let mut deleted = BTreeMap::<String, usize>::new();
    for child in children {
        let (swept, code) = report(&child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{swept}");
        for (name, outcome) in outcomes(&swept) {
            assert!(
                outcome == "deleted" || outcome == "already_gone",
                "{name}: {outcome}"
            );
            *deleted.entry(name).or_default() += usize::from(outcome == "deleted");
        }
    }
    assert_eq!(stage.state().len(), 3);
    assert!(deleted.values().all(|count| *count <= 2));
}

#[test]
fn the_deadline_ends_a_sweep_in_order() {
    let stage = Stage::new(&world(&many()), POLICY);
    let limited = json!({"status": 429, "headers": {"retry-after": "300"}, "body": {"success": false, "errors": [{"code": 971, "message": "slow down"}]}});
    stage.fault(&json!([{"on": {"method": "DELETE", "path": "storage/kv"}, "fault": limited}]));
    let mut arguments = MANY.to_vec();
    arguments.extend(["--deadline", "60s"]);
    let (swept, code) = stage.run(&arguments);
    assert_eq!(code, 0, "{swept}");
    for (name, outcome) in outcomes(&swept) {
        let expected = if name.ends_with("cache") {
            "deferred"
        } else {
            "deleted"
        };
        assert_eq!(outcome, expected, "{name}: {}", reason(&swept, &name));
        if outcome == "deferred" {
            assert!(
                reason(&swept, &name).contains("quota"),
                "{}",
                reason(&swept, &name)
            );
        }
    }
}

#[test]
fn other_peoples_journals_are_left_alone() {
    let stage = Stage::new(&world(&resources()), POLICY);
    let foreign = json!({"entry": "intent", "step": 0, "at": NOW, "action": "delete", "copy": {},
        "resource": {"host": "api.cloudflare.com", "kind": "worker", "place": {"account": "other"}, "id": "x", "name": "x"}});
    let text = format!("{foreign}\n");
    let path = stage
        .folder
        .path()
        .join("20260101T000000Z-aaaa.journal.jsonl");
    std::fs::write(&path, &text).unwrap();
    let (swept, code) = stage.sweep();
    assert_eq!((code, &swept["settled"]), (0, &json!([])));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_whole_environment_goes_in_an_order_that_the_provider_accepts() {
    let world = crate::support::path("cases/whole-environment.json");
    let stage = Stage::of_case(&world);
    let case: Value = serde_json::from_slice(&std::fs::read(&world).unwrap()).unwrap();
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "a bucket is not empty: {swept}");
    for expect in case["expect"].as_array().unwrap() {
        let text = |key: &str| expect[key].as_str().unwrap().to_owned();
        let stays = text("verdict") != "garbage" || text("name") == "shop-pr-7-full";
        let key = (text("kind"), text("name"));
        assert_eq!(stage.state().contains(&key), stays, "{expect}: {swept}");
    }
    let full = reason(&swept, "shop-pr-7-full");
    assert!(full.contains("lifecycle"), "{full}");
    assert_eq!(outcomes(&swept)["shop-pr-7-full"], "failed_for_good");
    // Nothing else is refused, but for the deployment that wants to be forced and
    // the Worker whose consumer has to go before it.
    let refused: Vec<_> = stage
        .writes()
        .into_iter()
        .filter(|(_, _, status)| *status >= 400)
        .map(|(_, path, _)| path)
        .collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    let paths: Vec<_> = stage
        .writes()
        .into_iter()
        .map(|(_, path, _)| path)
        .collect();
    let at = |part: &str| paths.iter().position(|path| path.contains(part)).unwrap();
    let last = |part: &str| paths.iter().rposition(|path| path.contains(part)).unwrap();
    assert!(
        at("/consumers/") < last("workers/scripts/shop-pr-7"),
        "{paths:?}"
    );
    assert!(at("workers/domains") < at("workers/scripts/shop-pr-7"));
    assert!(at("workers/routes") < at("workers/scripts/shop-pr-7"));
    assert!(at("workers/scripts/shop-pr-7") < at("d1/database"));
}

#[test]
fn deployments_go_inactive_with_their_environment_and_without_rights_the_rest_goes_on() {
    let policy = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\nname = \
        \"preview-{pr}\"\ndead-when = \"closed\"\n";
    let environment = |name: &str| json!({"kind": "github_environment", "name": name, "created_at": T0, "updated_at": T0});
    let deployment = |name: &str, of: &str| {
        json!({"kind": "github_deployment", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"environment": of, "ref": "main"}})
    };
    let all = [
        environment("preview-1"),
        environment("preview-2"),
        deployment("d1", "preview-1"),
        deployment("d2", "preview-2"),
    ];
    let stage = Stage::new(&world(&all), policy);
    stage.fault(&json!([{"on": {"method": "DELETE", "path": "environments"}, "fault": {"status": 403, "body": {"message": "Resource not accessible by integration"}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["preview-1"], "failed_for_good");
    assert!(reason(&swept, "preview-1").contains("Administration: write"));
    assert!(!stage.has("d1") && stage.has("d2") && stage.has("preview-1"));
    stage.fault(&json!([]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert!(!stage.has("preview-1") && stage.has("preview-2"));
}

/// A Worker and a namespace that it binds, of different pull requests.
fn bound_elsewhere() -> [Value; 2] {
    let bindings = json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"}]);
    [worker("app-pr-9", bindings), namespace("app-pr-1-cache")]
}

#[test]
fn rule_4_garbage_that_stays_keeps_what_it_uses() {
    let reported = POLICY.replace("id = \"workers\"", "id = \"workers\"\naction = \"report\"");
    for (policy, arguments) in [
        (reported.as_str(), &["sweep", "--yes"][..]),
        (POLICY, &["sweep", "--yes", "--kind", "kv_namespace"]),
        (POLICY, &["sweep", "--yes", "--pr", "1"]),
    ] {
        let stage = Stage::new(&world(&bound_elsewhere()), policy);
        let (swept, code) = stage.run(arguments);
        assert_eq!(code, 0, "{swept}");
        assert!(stage.has("app-pr-1-cache"), "{arguments:?}: {swept}");
        assert!(stage.has("app-pr-9"));
    }
    // What the cap leaves for later stays for now.
    let mut capped = bound_elsewhere();
    capped[0]["updated_at"] = json!("2026-04-05T00:00:00Z");
    let stage = Stage::new(&world(&capped), POLICY);
    let (swept, _) = stage.run(&["sweep", "--yes", "--max-deletions", "1"]);
    assert!(
        stage.has("app-pr-1-cache") || !stage.has("app-pr-9"),
        "{swept}"
    );
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let (swept, _) = stage.run(&["sweep", "--plan", &plan, "--max-deletions", "1"]);
    assert!(
        stage.has("app-pr-1-cache") || !stage.has("app-pr-9"),
        "{swept}"
    );
}

#[test]
fn rule_7_a_gentler_rule_of_today_overrides_the_plan() {
    let branches = [branch("pr-1", "main"), branch("pr-2", "main")];
    let stage = Stage::new(&world(&branches), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    std::fs::write(&stage.policy, format!("{POLICY}action = \"expire\"\n")).unwrap();
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 0);
    assert_eq!(outcomes(&swept)["pr-1"], "spared", "{swept}");
    assert!(stage.has("pr-1"));
}

#[test]
fn rule_4_what_a_worker_uses_that_changed_since_the_plan_is_kept() {
    let stage = Stage::new(
        &world(&[worker("app-pr-1", json!([])), namespace("app-pr-3-cache")]),
        POLICY,
    );
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    // Redeployed, with something of another pull request.
    let account = stage.server.environment.iter();
    let account = account
        .clone()
        .find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID");
    let base = format!("client/v4/accounts/{}", account.unwrap().1);
    let listed = stage
        .server
        .request("GET", &format!("{base}/storage/kv/namespaces"), "");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let binds =
        json!({"type": "kv_namespace", "name": "KV", "namespace_id": listed["result"][0]["id"]});
    let upload = json!({"main_module": "worker.js", "bindings": [binds]}).to_string();
    let answer = stage
        .server
        .request("PUT", &format!("{base}/workers/scripts/app-pr-1"), &upload);
    assert!(answer.contains("\"success\":true"), "{answer}");
    stage
        .server
        .control("POST", "clock", r#"{"advance": "3h"}"#);
    let mut command = stage.server.program();
    command.env("PREVIEW_GC_NOW", "2026-05-01T03:00:00Z");
    command.args([
        "sweep", "-q", "--format", "json", "--grace", "1h", "--plan", &plan,
    ]);
    command.arg("--journal").arg(stage.folder.path());
    command.arg("--policies").arg(&stage.policy);
    let (swept, code) = report(&command.output().unwrap());
    let found = outcomes(&swept);
    assert_eq!((code, &*found["app-pr-1"]), (0, "spared"), "{swept}");
    assert_ne!(found["app-pr-3-cache"], "deleted", "{swept}");
    assert!(stage.has("app-pr-3-cache"));
}

#[test]
fn rule_7_what_a_plan_names_is_judged_by_all_that_is_seen_today() {
    let policy = format!(
        "{POLICY}[[protect]]\nkind = \"worker_domain\"\nname = \"www.*\"\nreason = \"the shop\"\n"
    );
    let route = json!({"kind": "worker_route", "name": "app-pr-1.acme.example/*",
        "attributes": {"script": "app-pr-1", "zone": "acme.example"}});
    let stage = Stage::new(&world(&[worker("app-pr-1", json!([])), route]), &policy);
    let plan = stage.file("plan.json");
    let (audited, _) = stage.run(&["audit", "--out", &plan]);
    assert_eq!(audited["summary"]["would_delete"], 2, "{audited}");
    // Meanwhile the shop is served by it; the cap leaves the Worker out of sight.
    let www = json!({"kind": "worker_domain", "name": "www.acme.example",
        "attributes": {"service": "app-pr-1", "zone": "acme.example"}});
    stage.server.control("POST", "resources", &www.to_string());
    let (swept, code) = stage.run(&["sweep", "--plan", &plan, "--max-deletions", "1"]);
    assert_eq!(code, 0, "{swept}");
    assert!(stage.writes().is_empty(), "{swept}");
    assert!(stage.has("app-pr-1.acme.example/*"), "{swept}");
}

#[test]
fn rule_7_a_domain_that_was_pointed_elsewhere_since_the_plan_is_spared() {
    let policy = "[[rule]]\nid = \"domains\"\nkind = \"worker_domain\"\nname = \
        \"app-pr-{pr}.acme.example\"\ndead-when = \"closed\"\n";
    let domain = json!({"kind": "worker_domain", "name": "app-pr-1.acme.example",
        "attributes": {"service": "app-pr-1", "zone": "acme.example"}});
    let all = [
        worker("app-pr-1", json!([])),
        worker("shop", json!([])),
        domain,
    ];
    let stage = Stage::new(&world(&all), policy);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let variable = |name: &str| {
        let mut all = stage.server.environment.iter();
        all.find(|(key, _)| key == name).unwrap().1.clone()
    };
    let path = format!(
        "client/v4/accounts/{}/workers/domains",
        variable("CLOUDFLARE_ACCOUNT_ID")
    );
    let pointed = json!({"hostname": "app-pr-1.acme.example", "service": "shop",
        "zone_id": variable("CLOUDFLARE_ZONE_ID"), "environment": "production"});
    let answer = stage.server.request("PUT", &path, &pointed.to_string());
    assert!(answer.contains("\"service\":\"shop\""), "{answer}");
    let writes = stage.writes().len();
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(
        (code, &*outcomes(&swept)["app-pr-1.acme.example"]),
        (0, "spared"),
        "{swept}"
    );
    assert_eq!(stage.writes().len(), writes);
}

#[test]
fn rule_4_a_protected_record_keeps_the_domain_that_manages_it_also_unseen() {
    for blind in [false, true] {
        let stage = Stage::of_case(&crate::support::path("cases/protected-record.json"));
        if blind {
            stage.fault(&json!([{"on": {"path": "/dns_records$"}, "fault": {"status": 403}}]));
        }
        let (swept, code) = stage.sweep();
        assert_eq!(code, if blind { 3 } else { 0 }, "{swept}");
        assert!(
            stage.has("app-pr-1") && stage.has("docs.acme.example"),
            "{swept}"
        );
        assert_eq!(stage.has("app-pr-2"), blind, "{swept}");
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
fn rule_9_what_one_reading_denies_and_another_shows_is_not_gone() {
    let workers = [worker("app-pr-1", json!([])), worker("app-pr-2", json!([]))];
    // A list that is not there is not an empty one.
    let stage = Stage::new(&world(&workers), POLICY);
    stage.fault(&json!([
        {"on": {"method": "GET", "path": "workers/workers"}, "fault": {"status": 404, "body": {"success": false, "errors": [{"code": 7003, "message": "no route"}]}}},
    ]));
    let (swept, code) = stage.sweep();
    assert!(stage.has("app-pr-1"));
    assert_eq!(code, 3, "{swept}");
    // The deletion fails, and the listing shows it.
    let stage = Stage::new(&world(&workers), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "scripts/"}, "fault": {"status": 500}},
    ]));
    let (swept, code) = stage.sweep();
    assert!(stage.has("app-pr-1"));
    assert_eq!(code, 5, "{swept}");
    // A listing that comes back empty.
    let stage = Stage::new(&world(&workers), POLICY);
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    stage.fault(
        &json!([{"on": {"method": "GET", "path": "workers/scripts$"}, "fault": "empty_page"}]),
    );
    let (swept, code) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(code, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_now");
}

#[test]
fn rule_8_doubts_are_settled_only_by_who_can_see_the_place() {
    let branches = [branch("pr-1", "main"), branch("pr-2", "main")];
    let stage = Stage::new(&world(&branches), POLICY);
    stage.fault(&json!([
        {"on": {"method": "DELETE", "path": "branches/"}, "fault": "reset"},
        {"on": {"method": "GET", "path": "branches/br-"}, "fault": {"status": 403, "body": {"code": "", "message": "no"}}},
    ]));
    let (swept, code) = stage.sweep();
    assert_eq!((code, outcomes(&swept)["pr-1"].as_str()), (5, "in_doubt"));
    // A key of somebody else: everything is "not found".
    stage.fault(&json!([{"on": {"path": "/api/v2/projects"}, "fault": {"status": 404, "body": {"code": "", "message": "no"}}}]));
    let (swept, code) = stage.sweep();
    assert_eq!((code, &swept["settled"]), (3, &json!([])));
    stage.fault(&json!([]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    assert_eq!(swept["settled"][0]["outcome"], "failed_for_now");
    assert_eq!(outcomes(&swept)["pr-1"], "deleted");
}

#[test]
fn rule_11_a_token_that_is_said_back_goes_nowhere() {
    const CANARY: &str = "canary-4711-secret";
    let body = json!({"success": false, "errors": [{"code": 1, "message": format!("{} \
        {CANARY}", "x".repeat(190))}]});
    for (method, path, status) in [
        ("DELETE", "scripts/", 200),
        ("DELETE", "scripts/", 403),
        ("GET", "workers/scripts", 200),
        ("GET", "workers/scripts", 403),
    ] {
        let stage = Stage::new(&world(&resources()), POLICY);
        stage.fault(&json!([{"on": {"method": method, "path": path}, "fault": {"status": status, "body": body}}]));
        let output = stage
            .server
            .program()
            .env("CLOUDFLARE_API_TOKEN", CANARY)
            .args(["sweep", "--yes", "-vvv", "--format", "json", "--journal"])
            .arg(stage.folder.path())
            .arg("--policies")
            .arg(&stage.policy)
            .output()
            .unwrap();
        let said = format!(
            "{}{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            stage.journal_text()
        );
        assert!(!said.contains("canary"), "{method} {path} {status}");
    }
}

#[test]
fn rule_7_nothing_rests_on_a_listing_that_is_too_old() {
    let stage = Stage::new(&world(&many()), POLICY);
    // A backup takes longer than a listing stays young.
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    std::fs::write(&stage.policy, policy).unwrap();
    stage.fault(&json!([{"on": {"method": "GET", "path": "/keys"}, "times": 20, "fault": {"delay_ms": 60}}]));
    let mut arguments = MANY.to_vec();
    arguments.extend(["--reread-after", "1s"]);
    let (swept, code) = stage.run(&arguments);
    assert_eq!(code, 0, "{swept}");
    let log = stage.server.control("GET", "requests", "");
    let time = |one: &Value| {
        let text = one["time"].as_str().unwrap();
        text.parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    let mut listed = None;
    for one in log.as_array().unwrap() {
        let path = one["path"].as_str().unwrap();
        if path.ends_with("/storage/kv/namespaces") {
            listed = Some(time(one));
        }
        if one["method"] == "DELETE" && path.contains("/storage/kv/namespaces/") {
            let age = time(one) - listed.unwrap();
            assert!(age <= chrono::TimeDelta::milliseconds(1_500), "{age}");
        }
    }
}

#[test]
fn rule_6_what_has_to_wait_makes_room_for_what_it_waits_for() {
    let mut capped = bound_elsewhere();
    capped[0]["updated_at"] = json!("2026-04-05T00:00:00Z");
    let stage = Stage::new(&world(&capped), POLICY);
    for left in [["app-pr-1-cache"].as_slice(), &[]] {
        let (swept, code) = stage.run(&["sweep", "--yes", "--max-deletions", "1"]);
        assert_eq!(code, 0, "{swept}");
        let there = ["app-pr-9", "app-pr-1-cache"].into_iter();
        let there: Vec<_> = there.filter(|name| stage.has(name)).collect();
        assert_eq!(there, left, "{swept}");
    }
}

#[test]
fn rule_2_and_4_what_hangs_on_a_worker_and_is_wanted_keeps_it() {
    let mut shop = worker("app-pr-1", json!([]));
    shop["attributes"]["custom_domains"] = json!(["www.acme.example"]);
    let policy = format!(
        "{POLICY}\n[[protect]]\nkind = \"worker_domain\"\nname = \"www.*\"\nreason = \"serves \
         customers\"\n"
    );
    for arguments in [
        &["sweep", "--yes"][..],
        &["sweep", "--yes", "--kind", "worker"],
    ] {
        let stage = Stage::new(&world(&[shop.clone()]), &policy);
        let (swept, code) = stage.run(arguments);
        assert_eq!((code, &swept["steps"]), (0, &json!([])), "{arguments:?}");
        assert!(stage.has("app-pr-1") && stage.has("www.acme.example"));
    }
    // Where nobody can see whether one is wanted, the Worker stays as well.
    let stage = Stage::new(&world(&[shop]), &policy);
    stage.fault(&json!([{"on": "cloudflare.worker_domain", "fault": {"status": 403}}]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 3, "{swept}");
    assert!(stage.has("app-pr-1") && stage.has("www.acme.example"));
}

const ENVIRONMENTS: &str = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\nname \
    = \"preview-{pr}\"\ndead-when = \"closed\"\n";

fn deployment(name: &str, of: &str, updated: &str) -> Value {
    json!({"kind": "github_deployment", "name": name, "created_at": T0, "updated_at": updated,
        "attributes": {"environment": of, "ref": "main"}})
}

#[test]
fn a_cap_never_stops_at_an_owner_with_more_than_it_allows() {
    let mut all = vec![
        json!({"kind": "github_environment", "name": "preview-1", "created_at": T0, "updated_at": T0}),
    ];
    all.extend((0..4).map(|n| deployment(&format!("d{n}"), "preview-1", T0)));
    let stage = Stage::new(&world(&all), ENVIRONMENTS);
    for _ in 0..2 {
        let (swept, code) = stage.run(&["sweep", "--yes", "--max-deletions", "3"]);
        assert_eq!(code, 0, "{swept}");
    }
    assert_eq!(stage.state().len(), 1, "only the default branch");
}

#[test]
fn rule_5_what_hangs_on_something_has_clocks_of_its_own() {
    let all = [
        json!({"kind": "github_environment", "name": "preview-1", "created_at": T0, "updated_at": T0}),
        deployment("d1", "preview-1", "2026-04-30T23:30:00Z"),
    ];
    let stage = Stage::new(&world(&all), ENVIRONMENTS);
    let (swept, code) = stage.sweep();
    assert_eq!((code, &swept["steps"]), (0, &json!([])));
    assert!(stage.has("preview-1") && stage.has("d1"));
}

#[test]
fn rule_4_production_is_never_deleted_and_force_is_only_for_the_dead() {
    let mut production = deployment("d1", "live", T0);
    production["attributes"]["ref"] = json!("feature/1");
    production["attributes"]["production_environment"] = json!(true);
    let aliased = json!({"kind": "pages_deployment", "name": "11111111-1111-4111-8111-000000000001", "created_at": T0,
        "attributes": {"project": "site", "environment": "preview", "branch": "feature/x", "aliases": ["x.site.pages.dev"]}});
    let policy = "[[rule]]\nid = \"deployments\"\nkind = \"github_deployment\"\nbranch = \
        \"feature/{pr}\"\ndead-when = \"closed\"\n\
         [[rule]]\nid = \"old\"\nkind = \"pages_deployment\"\nbranch = \
         \"feature/{any:a-z}\"\ndead-when = { older-than = \"7d\", clock = \"created\" }\n";
    let stage = Stage::new(&world(&[production, aliased]), policy);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    let outcomes = outcomes(&swept);
    assert_eq!(outcomes.len(), 1, "{swept}");
    assert!(outcomes.values().all(|one| one == "failed_for_good"));
    assert_eq!(stage.state().len(), 3);
    assert!(
        !stage
            .writes()
            .iter()
            .any(|(_, path, _)| path.contains("force"))
    );
}

#[test]
fn a_queue_keeps_its_consumer_unless_the_worker_is_refused_for_it_and_what_was_in_vain_is_said() {
    let refusals = [
        (400, 10_142, "failed_for_now", false),
        (403, 10_000, "failed_for_good", false),
        (403, 10_064, "failed_for_good", false),
        (400, 10_064, "failed_for_now", true),
    ];
    for (status, code, outcome, released) in refusals {
        let all = [
            worker("app-pr-1", json!([])),
            json!({"kind": "queue", "name": "orders-pr-1", "created_at": T0, "updated_at": T0,
            "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
        ];
        let stage = Stage::new(&world(&all), &with_queues());
        stage.fault(
            &json!([{"on": {"method": "DELETE", "path": "scripts/"}, "fault": {"status": status,
            "body": {"success": false, "errors": [{"code": code, "message": "refused"}]}}}]),
        );
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, 5, "{swept}");
        assert_eq!(outcomes(&swept)["app-pr-1"], outcome, "{swept}");
        let writes = stage.writes();
        let consumers = writes
            .iter()
            .any(|(_, path, _)| path.contains("/consumers/"));
        assert_eq!(consumers, released, "{writes:?}");
        let why = reason(&swept, "app-pr-1");
        assert_eq!(
            why.contains("requests sent for it before"),
            released,
            "{why}"
        );
        assert!(stage.has("app-pr-1"));
    }
}

/// The usual policy, and a rule about queues.
fn with_queues() -> String {
    format!(
        "{POLICY}[[rule]]\nid = \"queues\"\nkind = \"queue\"\nname = \
         \"orders-pr-{{pr}}\"\ndead-when = \"closed\"\n"
    )
}

#[test]
fn a_queue_that_stays_keeps_its_consumer_and_the_worker_fails_before_anything_is_sent() {
    let protect = "[[protect]]\nname = \"orders-*\"\nreason = \"in use\"\n";
    let protected = format!("{}{protect}", with_queues());
    let queues = with_queues();
    for (name, policy, args, outcome, code, verdict) in [
        (
            "orders",
            &*queues,
            &[][..],
            "failed_for_good",
            5,
            "unmatched",
        ),
        ("orders-pr-2", &queues, &[], "failed_for_good", 5, "live"),
        (
            "orders-pr-1",
            &protected,
            &[],
            "failed_for_good",
            5,
            "protected",
        ),
        (
            "orders-pr-1",
            &queues,
            &["--kind", "worker"],
            "failed_for_good",
            5,
            "outside of what this run was asked to do",
        ),
    ] {
        let all = [
            worker("app-pr-1", json!([])),
            json!({"kind": "queue", "name": name, "created_at": T0, "updated_at": T0,
            "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
        ];
        let stage = Stage::new(&world(&all), policy);
        let args = [&["sweep", "--yes"], args].concat();
        let (swept, exit) = stage.run(&args);
        assert_eq!(
            (exit, &*outcomes(&swept)["app-pr-1"]),
            (code, outcome),
            "{swept}"
        );
        assert_eq!(stage.writes(), [], "{name}");
        let why = reason(&swept, "app-pr-1");
        assert!(
            why.contains(&format!("queue {name}")) && why.contains(verdict),
            "{why}"
        );
        assert!(why.contains("remove the consumer"), "{why}");
    }
}

#[test]
fn a_worker_that_cannot_be_deleted_takes_no_place_with_what_it_uses() {
    let queue = |name: &str, consumer: &str| {
        json!({"kind": "queue", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": [consumer]}})
    };
    let cache = json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"}]);
    let all = [
        worker("app-pr-1", cache),
        namespace("app-pr-1-cache"),
        queue("orders", "app-pr-1"),
        // These two only go together.
        worker("app-pr-3", json!([])),
        queue("orders-pr-3", "app-pr-3"),
    ];
    let stage = Stage::new(&world(&all), &with_queues());
    let (swept, exit) = stage.run(&["sweep", "--yes", "--max-deletions", "2"]);
    assert_eq!(exit, 5, "{swept}");
    assert!(
        !stage.has("app-pr-3") && !stage.has("orders-pr-3"),
        "{swept}"
    );
    assert_eq!(outcomes(&swept)["app-pr-1-cache"], "deferred", "{swept}");
    let (swept, exit) = stage.run(&["sweep", "--yes", "--max-deletions", "2"]);
    assert_eq!(exit, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_good", "{swept}");
    assert!(stage.has("app-pr-1") && stage.has("app-pr-1-cache"));
}

/// The two are at different providers.
#[test]
fn a_neon_branch_waits_for_the_hyperdrive_configuration_that_uses_it() {
    let database = json!({"kind": "hyperdrive", "name": "app-pr-1-sql", "created_at": T0,
        "updated_at": T0, "attributes": {"host": "ep-pr-1.eu-central-1.aws.neon.tech"}});
    let mut branch = branch("pr-1", "main");
    branch["id"] = json!("br-pr-1");
    let policy = format!(
        "{POLICY}[[rule]]\nid = \"databases\"\nkind = \"hyperdrive\"\nname = \
         \"app-pr-{{pr}}-sql\"\ndead-when = \"closed\"\n"
    );
    let slow = json!({"delay_ms": 300});
    let refused = json!({"status": 403, "body": {"success": false, "errors": [{"code": 10_000, "message": "refused"}]}});
    for (fault, code, expected) in [(slow, 0, "deleted"), (refused, 5, "deferred")] {
        let stage = Stage::new(&world(&[database.clone(), branch.clone()]), &policy);
        stage.fault(&json!([{"on": {"method": "DELETE", "path": "/hyperdrive/"}, "fault": fault}]));
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, code, "{swept}");
        assert_eq!(outcomes(&swept)["pr-1"], expected, "{swept}");
        let writes = stage.writes();
        let at = |part: &str| writes.iter().position(|(_, path, _)| path.contains(part));
        assert!(at("/hyperdrive/").is_some(), "{writes:?}");
        match expected {
            "deleted" => assert!(at("/hyperdrive/") < at("/branches/"), "{writes:?}"),
            _ => assert_eq!(at("/branches/"), None, "{writes:?}"),
        }
    }
}

#[test]
fn a_record_is_deleted_if_a_complete_listing_lacks_its_tunnel() {
    let mut dangling = record("app-pr-1.acme.example");
    dangling["attributes"]["content"] = json!("gone.cfargotunnel.com");
    let policy = "[limits]\ngrace = \"0s\"\n[[rule]]\nid = \"hosts\"\nkind = \"dns_record\"\nname = \
                  \"app-pr-{pr}.acme.example\"\ndead-when = { target-gone = true }\n";
    let policy = &format!("repository = \"acme/shop\"\n{policy}");
    let world = &world(&[dangling, json!({"kind": "tunnel", "name": "office"})]);
    let stage = Stage::new(world, policy);
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(!stage.has("app-pr-1.acme.example"), "{swept}");
    for times in [Value::Null, json!(1)] {
        let stage = Stage::new(world, policy);
        let refused = json!({"status": 403});
        let listing = json!({"method": "GET", "path": "/cfd_tunnel$"});
        stage.fault(&json!([{"on": listing, "times": times, "fault": refused}]));
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, 3, "{swept}");
        assert!(stage.has("app-pr-1.acme.example"), "{swept}");
    }
}

/// A tunnel may exist again just before the deletion.
#[test]
fn the_tunnels_are_listed_again_before_a_record_is_deleted() {
    let mut dangling = record("app-pr-1.acme.example");
    dangling["attributes"]["content"] = json!("gone.cfargotunnel.com");
    let policy = "repository = \"acme/shop\"\n[limits]\ngrace = \"0s\"\n[[rule]]\nid = \"hosts\"\n\
                  kind = \"dns_record\"\nname = \"app-pr-{pr}.acme.example\"\n\
                  dead-when = { target-gone = true }\n";
    let other = json!({"kind": "tunnel", "name": "office"});
    let stage = Stage::new(&world(&[dangling, other]), policy);
    stage.sweep();
    let requests = stage.server.control("GET", "requests", "");
    let paths = requests.as_array().unwrap().iter();
    let paths: Vec<_> = paths
        .map(|one| (one["method"].clone(), one["path"].clone()))
        .collect();
    let at = |method: &str, part: &str| {
        let is = |one: &(Value, Value)| one.0 == method && one.1.as_str().unwrap().contains(part);
        paths.iter().filter(|one| is(one)).count()
    };
    assert_eq!(at("DELETE", "/dns_records/"), 1, "{paths:?}");
    assert_eq!(at("GET", "/cfd_tunnel"), 2, "{paths:?}");
}

/// Whoever removes the guard first opens what is still there.
#[test]
fn an_access_application_goes_after_the_record_of_its_host() {
    let guard = json!({"kind": "access_application", "name": "guard-1",
        "attributes": {"domain": "app-pr-1.acme.example"}});
    let policy = format!(
        "{POLICY}[[rule]]\nid = \"guards\"\nkind = \"access_application\"\nname = \
         \"guard-{{pr}}\"\ndead-when = \"closed\"\n"
    );
    let record = record("app-pr-1.acme.example");
    let slow = json!({"delay_ms": 300});
    let refused = json!({"status": 403, "body": {"success": false, "errors": [{"code": 10_000, "message": "refused"}]}});
    for (fault, code, expected) in [(slow, 0, "deleted"), (refused, 5, "deferred")] {
        let stage = Stage::new(&world(&[guard.clone(), record.clone()]), &policy);
        let deletion = json!({"method": "DELETE", "path": "/dns_records/"});
        stage.fault(&json!([{"on": deletion, "fault": fault}]));
        let (swept, exit) = stage.sweep();
        assert_eq!(exit, code, "{swept}");
        assert_eq!(outcomes(&swept)["guard-1"], expected, "{swept}");
        let writes = stage.writes();
        let at = |part: &str| writes.iter().position(|(_, path, _)| path.contains(part));
        assert!(at("/dns_records/").is_some(), "{writes:?}");
        match expected {
            "deleted" => assert!(at("/dns_records/") < at("/access/apps/"), "{writes:?}"),
            _ => assert_eq!(at("/access/apps/"), None, "{writes:?}"),
        }
    }
}

/// Two dead Workers that bind each other, the second with what else it binds.
fn cycle(others: &[Value]) -> Vec<Value> {
    let service = |target: &str| json!({"type": "service", "name": "OTHER", "target": target});
    let bindings: Vec<Value> = std::iter::once(service("app-pr-1"))
        .chain(others.to_vec())
        .collect();
    vec![
        worker("app-pr-1", json!([service("app-pr-3")])),
        worker("app-pr-3", json!(bindings)),
    ]
}

#[test]
fn workers_that_bind_each_other_go_after_one_binding_is_removed() {
    let namespace = json!({"type": "kv_namespace", "name": "KV", "target": "app-pr-3-cache"});
    let mut all = cycle(&[namespace]);
    all.push(json!({"kind": "kv_namespace", "name": "app-pr-3-cache"}));
    all.push(
        json!({"kind": "queue", "name": "orders-pr-1", "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
    );
    let stage = Stage::new(&world(&all), &with_queues());
    let plan = stage.folder.path().join("plan.json");
    let (audit, _) = stage.run(&["audit", "--out", plan.to_str().unwrap()]);
    let row = |name: &str| {
        let rows = audit["resources"].as_array().unwrap().iter();
        rows.clone()
            .find(|row| row["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(row("app-pr-1")["unbinds"], json!(["app-pr-3"]), "{audit}");
    assert_eq!(row("app-pr-3")["unbinds"], Value::Null);
    let planned: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    let steps = planned["steps"].as_array().unwrap();
    let at = |name: &str| steps.iter().position(|step| step["name"] == name).unwrap();
    assert_eq!(steps[at("app-pr-1")]["unbinds"], json!([at("app-pr-3")]));

    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(
        outcomes(&swept).values().all(|one| one == "deleted"),
        "{swept}"
    );
    assert!(!stage.has("app-pr-1") && !stage.has("app-pr-3"));
    let writes = stage.writes();
    let patches: Vec<usize> = (0..writes.len())
        .filter(|&at| writes[at].0 == "PATCH")
        .collect();
    assert_eq!(patches.len(), 1, "{writes:?}");
    assert!(writes[patches[0]].1.ends_with("scripts/app-pr-3/settings"));
    let consumer = writes
        .iter()
        .position(|(_, path, _)| path.contains("/consumers/"));
    assert!(consumer > Some(patches[0]), "{writes:?}");
    let journal = stage.journal_text();
    assert!(journal.contains("/settings (removes OTHER)"), "{journal}");
}

#[test]
fn workers_that_send_each_other_their_logs_go_as_the_plan_says() {
    let tailed = |name: &str, tail: &str| {
        let mut worker = worker(name, json!([]));
        worker["attributes"]["tail_consumers"] = json!([tail]);
        worker
    };
    let all = [
        tailed("app-pr-1", "app-pr-3"),
        tailed("app-pr-3", "app-pr-1"),
    ];
    let stage = Stage::new(&world(&all), POLICY);
    let (audit, _) = stage.run(&["audit"]);
    assert_eq!(
        row(&audit, "app-pr-1")["unbinds"],
        json!(["app-pr-3"]),
        "{audit}"
    );
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(!stage.has("app-pr-1") && !stage.has("app-pr-3"), "{swept}");
    let journal = stage.journal_text();
    let said = "/settings (removes app-pr-1 in tail_consumers)";
    assert!(journal.contains(said), "{journal}");
}

#[test]
fn a_change_that_the_run_made_itself_spares_nothing_when_it_is_read_again() {
    let stage = Stage::new(&world(&cycle(&[])), POLICY);
    // What was read grows too old between the two deletions.
    stage.fault(
        &json!([{"on": {"method": "DELETE", "path": "scripts/app-pr-1"}, "fault": {"delay_ms": 2500}}]),
    );
    let (swept, exit) = stage.run(&["sweep", "--yes", "--reread-after", "2s"]);
    assert_eq!(exit, 0, "{swept}");
    assert!(
        outcomes(&swept).values().all(|one| one == "deleted"),
        "{swept}"
    );
}

#[test]
fn workers_whose_cycle_cannot_be_broken_fail_before_anything_is_sent() {
    let objects = json!({"type": "durable_object_namespace", "name": "ROOMS",
        "class_name": "Room", "script_name": "app-pr-1"});
    let service = json!({"type": "service", "name": "OTHER", "service": "app-pr-1"});
    let mut all = cycle(&[]);
    all.push(
        json!({"kind": "queue", "name": "orders-pr-1", "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": ["app-pr-1"]}}),
    );
    let stage = Stage::new(&world(&all), &with_queues());
    stage.fault(
        &json!([{"on": {"method": "GET", "path": "scripts/app-pr-3/settings"}, "times": 99,
        "fault": {"status": 200, "body": {"success": true, "errors": [], "messages": [],
            "result": {"bindings": [service, objects]}}}}]),
    );
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_good", "{swept}");
    let why = reason(&swept, "app-pr-1");
    assert!(
        why.contains("bind each other") && why.contains("by hand"),
        "{why}"
    );
    assert_eq!(stage.writes(), []);
}

#[test]
fn a_worker_of_a_cycle_that_somebody_deploys_meanwhile_is_spared() {
    let stage = Stage::new(&world(&cycle(&[])), POLICY);
    // The change is made, and does not show.
    stage.fault(&json!([{"on": {"method": "PATCH", "path": "/settings"},
        "fault": {"status": 200, "body": {"success": true, "errors": [], "messages": [], "result": {}}}}]));
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert!(stage.has("app-pr-1") && stage.has("app-pr-3"), "{swept}");
    let why = reason(&swept, "app-pr-1");
    assert!(
        why.contains("does not show") && why.contains("requests sent for it before"),
        "{why}"
    );
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
fn a_namespace_of_which_a_key_is_not_restored_is_not_green() {
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let soon = 1_777_600_000; // 2026-05-01T01:46:40Z
    let cache = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [
        {"name": "stays", "value": "one"}, {"name": "expires", "value": "two", "expiration": soon}]}});
    for (advance, refused, code, words) in [
        ("2h", false, 0, "one entry has expired since"),
        ("0h", true, 5, "was not written"),
    ] {
        let others = [
            branch("pr-2", "main"),
            worker("app-pr-2", json!([])),
            cache.clone(),
        ];
        let stage = Stage::new(&world(&others), &policy);
        let (swept, _) = stage.sweep();
        let run = swept["run"].as_str().unwrap();
        stage
            .server
            .control("POST", "clock", &json!({"advance": advance}).to_string());
        if refused {
            stage.fault(
                &json!([{"on": {"method": "PUT", "path": "/bulk"}, "times": 1, "fault": {"status": 200,
                "body": {"success": true, "errors": [], "messages": [],
                    "result": {"successful_key_count": 1, "unsuccessful_keys": ["expires"]}}}}]),
            );
        }
        let output = stage.output(&["restore", run]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_queue_that_somebody_pulls_from_over_http_is_in_use() {
    let queue = |name: &str| {
        json!({"kind": "queue", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": []}})
    };
    let all = [queue("orders-pr-1"), queue("mails-pr-1")];
    let policy = with_queues().replace(
        "\"orders-pr-{pr}\"",
        "[\"orders-pr-{pr}\", \"mails-pr-{pr}\"]",
    );
    let stage = Stage::new(&world(&all), &policy);
    let state = stage.server.control("GET", "state", "");
    let mut queues = state["resources"].as_array().unwrap().iter();
    let id = queues.find(|one| one["name"] == "orders-pr-1").unwrap()["id"].clone();
    let path = format!(
        "client/v4/accounts/36acdabd7c434d35e865c85c73587bf9/queues/{}/consumers",
        id.as_str().unwrap()
    );
    stage
        .server
        .request("POST", &path, r#"{"type": "http_pull"}"#);
    // A new consumer is a change, and starts a new grace.
    let clock = stage
        .server
        .control("POST", "clock", r#"{"advance": "48h"}"#);
    let now = clock["now"].as_str().unwrap();
    let (swept, code) = stage.run(&["sweep", "--yes", "--now", now]);
    assert_eq!(code, 0, "{swept}");
    let rows = swept["resources"].as_array().unwrap().iter();
    let row = rows
        .clone()
        .find(|one| one["name"] == "orders-pr-1")
        .unwrap();
    assert_eq!(row["verdict"], "in_use", "{row}");
    assert!(stage.has("orders-pr-1"), "{swept}");
    assert!(!stage.has("mails-pr-1"), "{swept}");
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

/// A stage after a sweep that deleted a namespace with contents and a record, and
/// the name of the run.
fn after_a_deletion() -> (Stage, String) {
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let cache = json!({"kind": "kv_namespace", "name": CACHE, "attributes": {"keys": [
        {"name": "a", "value": "one"}]}});
    let all = [
        cache,
        record(HOST),
        branch("pr-1", "main"),
        branch("pr-2", "main"),
    ];
    let stage = Stage::new(&world(&all), &policy);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 0, "{swept}");
    let run = swept["run"].as_str().unwrap().to_owned();
    (stage, run)
}

const CACHE: &str = "app-pr-1-cache";
const HOST: &str = "app-pr-1.acme.example";

/// Restores what has this name. Returns the result, the reason and the exit code.
fn restored(stage: &Stage, run: &str, name: &str) -> (String, String, i32) {
    let output = stage.output(&["restore", run, name]);
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let one = &answer["restored"][0];
    let text = |key: &str| one[key].as_str().unwrap().to_owned();
    let code = output.status.code().unwrap();
    (text("result"), text("reason"), code)
}

/// Whether the namespace has its key again.
fn is_filled(stage: &Stage) -> bool {
    let state = stage.server.control("GET", "state", "").to_string();
    state.contains("\"value\":\"one\"")
}

#[test]
fn unseen_restoration_is_found_filled_and_protected() {
    for (name, path) in [
        (CACHE, "kv/namespaces$"),
        (HOST, "dns_records$"),
        ("pr-1", "/recover$"),
    ] {
        let (stage, run) = after_a_deletion();
        stage.fault(&json!([
            {"on": {"method": "POST", "path": path}, "times": 1, "fault": "reset_after"}]));
        let (result, reason, code) = restored(&stage, &run, name);
        assert_eq!((result.as_str(), code), ("restored", 0), "{name}: {reason}");
        assert!(stage.has(name), "{name}: {reason}");
        assert_eq!(is_filled(&stage), name == CACHE, "{name}");
        let (again, _) = stage.sweep();
        assert!(stage.has(name), "{name}: {again}");
    }
}

#[test]
fn resource_in_restoration_is_protected_until_the_result_is_known() {
    let (stage, run) = after_a_deletion();
    let list = "kv/namespaces$";
    stage.fault(&json!([
        {"on": {"method": "GET", "path": list}, "times": 1, "fault": {"delay_ms": 0}},
        {"on": {"method": "GET", "path": list}, "fault": {"status": 403}},
        {"on": {"method": "POST", "path": list}, "times": 1, "fault": "reset_after"}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    assert!(stage.has(CACHE) && !is_filled(&stage));
    stage.fault(&json!([]));
    let listed = stage.output(&["restore", "--list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("\"restoring\""));
    let (swept, _) = stage.sweep();
    assert!(stage.has(CACHE), "{swept}");
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(is_filled(&stage));
    stage.sweep();
    assert!(stage.has(CACHE));
}

/// A person who gives up the attempt frees the name.
#[test]
fn an_attempt_to_restore_can_be_released() {
    let (stage, run) = after_a_deletion();
    stage.fault(&json!([
        {"on": {"method": "POST", "path": "kv/namespaces$"}, "times": 1, "fault": "reset"}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    assert!(reason.contains("is unknown"), "{reason}");
    stage
        .server
        .control("POST", "resources", &namespace(CACHE).to_string());
    stage.sweep();
    assert!(stage.has(CACHE), "it may be ours");
    let released = stage.output(&["restore", "--release", CACHE]);
    assert_eq!(released.status.code(), Some(0));
    stage.sweep();
    assert!(!stage.has(CACHE));
}

#[test]
fn contents_that_were_not_written_are_written_the_next_time() {
    let (stage, run) = after_a_deletion();
    stage.fault(&json!([
        {"on": {"method": "PUT", "path": "/bulk"}, "fault": {"status": 400}}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    stage.fault(&json!([]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(is_filled(&stage));
    let writes = stage.writes().len();
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    assert_eq!(stage.writes().len(), writes, "once is enough");
}

#[test]
fn restored_resource_that_a_person_deleted_is_restored_again() {
    let (stage, run) = after_a_deletion();
    assert_eq!(restored(&stage, &run, CACHE).0, "restored");
    let journal = stage.journal();
    let back = journal.iter().find(|line| line["entry"] == "restored");
    let id = back.unwrap()["id"].as_str().unwrap().to_owned();
    let account = "36acdabd7c434d35e865c85c73587bf9";
    let path = format!("client/v4/accounts/{account}/storage/kv/namespaces/{id}");
    stage.server.request("DELETE", &path, "");
    assert!(!stage.has(CACHE));
    assert_eq!(restored(&stage, &run, CACHE).0, "restored");
    assert!(stage.has(CACHE) && is_filled(&stage));
}

#[test]
fn a_refused_restore_protects_nothing_and_can_be_repeated() {
    let (stage, run) = after_a_deletion();
    stage.fault(&json!([
        {"on": {"method": "POST", "path": "kv/namespaces$"}, "fault": {"status": 400}}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("failed", 5), "{reason}");
    stage.fault(&json!([]));
    stage
        .server
        .control("POST", "resources", &namespace(CACHE).to_string());
    stage.sweep();
    assert!(!stage.has(CACHE), "it was not restored");
    assert_eq!(restored(&stage, &run, CACHE).0, "restored");
}

/// Two records of one name would share its traffic.
#[test]
fn a_record_is_not_restored_beside_another_that_took_its_name() {
    let (stage, run) = after_a_deletion();
    let mut other = record(HOST);
    other["attributes"]["type"] = json!("A");
    other["attributes"]["content"] = json!("198.51.100.1");
    stage
        .server
        .control("POST", "resources", &other.to_string());
    let (before, writes) = (stage.state(), stage.writes().len());
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("cannot", 5), "{reason}");
    assert!(reason.contains("taken by another DNS record"), "{reason}");
    assert_eq!((stage.state(), stage.writes().len()), (before, writes));

    // The same record, made by somebody else, is there.
    let (stage, run) = after_a_deletion();
    let same = record(HOST).to_string();
    stage.server.control("POST", "resources", &same);
    let writes = stage.writes().len();
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    assert_eq!(stage.writes().len(), writes);
    stage.sweep();
    assert!(stage.has(HOST), "it is protected");
}

/// A stage whose tracking issue is written before the namespace and the record of #1
/// are deleted, and the run that deleted them.
fn after_a_deletion_with_an_issue() -> (Stage, String) {
    let mut all = resources();
    all[2] = json!({"kind": "kv_namespace", "name": CACHE, "attributes": {"keys": [
        {"name": "a", "value": "one"}]}});
    let policy = POLICY.replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let stage = Stage::new(&world(&all), &policy);
    let (reported, code) = stage.run(&["report"]);
    assert_eq!(code, 0, "{reported}");
    let (swept, _) = stage.sweep();
    let run = swept["run"].as_str().unwrap().to_owned();
    assert!(!stage.has(CACHE) && !stage.has(HOST), "{swept}");
    (stage, run)
}

/// Sweeps like a machine that has no journal.
fn swept_elsewhere(stage: &Stage) -> (Value, i32) {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = stage.server.program();
    command.args(["sweep", "--yes", "-q", "--format", "json"]);
    command.arg("--journal").arg(elsewhere.path());
    command.arg("--policies").arg(&stage.policy);
    report(&command.output().unwrap())
}

fn row<'r>(report: &'r Value, name: &str) -> &'r Value {
    let rows = report["resources"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

fn comment_of_the_record(stage: &Stage) -> Value {
    let state = stage.server.control("GET", "state", "");
    let all = state["resources"].as_array().unwrap();
    let record = all.iter().find(|one| one["name"] == HOST).unwrap();
    record["attributes"]["comment"].clone()
}

#[test]
fn a_restored_resource_is_kept_elsewhere_by_its_box_until_it_is_released() {
    let (stage, run) = after_a_deletion_with_an_issue();
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(reason.contains("\"keep\" is checked in http"), "{reason}");
    // A report keeps the box that `restore` checked.
    let (reported, code) = stage.run(&["report"]);
    assert_eq!(code, 0, "{reported}");
    for _ in 0..2 {
        let (swept, code) = swept_elsewhere(&stage);
        assert_eq!(code, 0, "{swept}");
        assert!(stage.has(CACHE), "{swept}");
        assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
    }
    let released = stage.output(&["restore", "--release", CACHE]);
    assert_eq!(released.status.code(), Some(0));
    let (swept, code) = swept_elsewhere(&stage);
    assert_eq!(code, 0, "{swept}");
    assert!(!stage.has(CACHE), "{swept}");
}

#[test]
fn a_restored_record_is_kept_elsewhere_by_its_mark_until_it_is_released() {
    let (stage, run) = after_a_deletion();
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    assert!(
        reason.contains("it is marked `preview-gc:keep`"),
        "{reason}"
    );
    assert_eq!(comment_of_the_record(&stage), "kept preview-gc:keep");
    let (swept, code) = swept_elsewhere(&stage);
    assert_eq!(code, 0, "{swept}");
    assert_eq!(row(&swept, HOST)["verdict"], "protected", "{swept}");
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
    assert_eq!(comment_of_the_record(&stage), "kept");
    let (swept, _) = swept_elsewhere(&stage);
    assert_ne!(row(&swept, HOST)["verdict"], "protected", "{swept}");
}

#[test]
fn a_box_that_cannot_be_checked_is_not_green() {
    let (stage, run) = after_a_deletion_with_an_issue();
    stage.fault(&json!([
        {"on": {"method": "PATCH", "path": "/issues/"}, "fault": {"status": 403}}]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 5), "{reason}");
    assert!(reason.contains("could not be checked"), "{reason}");
    // The next attempt mends that.
    stage.fault(&json!([]));
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    swept_elsewhere(&stage);
    assert!(stage.has(CACHE));
}

/// A bucket has its name as its id, so that its box is there before it is restored.
#[test]
fn a_release_leaves_the_box_that_a_person_checked() {
    let bucket =
        json!({"kind": "r2", "name": "app-pr-1-files", "created_at": T0, "updated_at": T0});
    let policy = format!(
        "{POLICY}[[rule]]\nid = \"buckets\"\nkind = \"r2\"\nname = \
         \"app-pr-{{pr}}-files\"\ndead-when = \"closed\"\n"
    );
    for by_a_person in [true, false] {
        let stage = Stage::new(&world(std::slice::from_ref(&bucket)), &policy);
        stage.run(&["report"]);
        let (swept, code) = stage.sweep();
        assert_eq!(code, 0, "{swept}");
        let issues = "github/repos/acme/shop/issues?state=all";
        let body = || {
            let listed: Value =
                serde_json::from_str(&stage.server.request("GET", issues, "")).unwrap();
            (
                listed[0]["number"].clone(),
                listed[0]["body"].as_str().unwrap().to_owned(),
            )
        };
        if by_a_person {
            let (number, text) = body();
            let change = json!({"body": text.replace("[ ] keep <!--", "[x] keep <!--")});
            let path = format!("github/repos/acme/shop/issues/{number}");
            stage.server.request("PATCH", &path, &change.to_string());
        }
        let run = swept["run"].as_str().unwrap();
        let (result, why, code) = restored(&stage, run, "app-pr-1-files");
        assert_eq!((result.as_str(), code), ("restored", 0), "{why}");
        assert!(body().1.contains("[x] keep <!--"), "{}", body().1);
        let released = stage.output(&["restore", "--release", "app-pr-1-files"]);
        assert_eq!(released.status.code(), Some(0));
        assert_eq!(
            body().1.contains("[x] keep <!--"),
            by_a_person,
            "{}",
            body().1
        );
    }
}

#[test]
fn what_keeps_a_restored_resource_elsewhere_has_to_be_taken_back_for_a_release() {
    let (stage, run) = after_a_deletion_with_an_issue();
    for (name, method, path) in [
        (CACHE, "PATCH", "/issues/"),
        (HOST, "PATCH", "dns_records/"),
    ] {
        let (result, reason, code) = restored(&stage, &run, name);
        assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
        stage.fault(&json!([
            {"on": {"method": method, "path": path}, "fault": {"status": 403}}]));
        let refused = stage.output(&["restore", "--release", name]);
        let said = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert_eq!(refused.status.code(), Some(5), "{said}");
        assert!(said.contains("it stays protected"), "{said}");
        stage.fault(&json!([]));
        stage.sweep();
        assert!(stage.has(name), "{name} is still kept");
        let released = stage.output(&["restore", "--release", name]);
        assert_eq!(released.status.code(), Some(0), "{name}");
    }
}

/// A policy whose Workers take domains and routes with them that do not carry the
/// number.
fn with_hosts() -> String {
    let workers = "id = \"workers\"\n";
    let policy = with_queues();
    assert!(policy.contains(workers));
    policy.replace(
        workers,
        "id = \"workers\"\nwith = [\"worker_domain\", \"worker_route\"]\n",
    )
}

fn shop_worker(name: &str, host: &str) -> Value {
    let mut one = worker(name, json!([]));
    one["attributes"]["custom_domains"] = json!([host]);
    one
}

fn queue_of(name: &str, consumers: &[&str]) -> Value {
    json!({"kind": "queue", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"producers": [], "consumers": consumers}})
}

/// Traffic of a Worker that stays is not taken from it, whatever makes it stay.
#[test]
fn hosts_that_only_go_with_their_worker_stay_with_it() {
    let route = json!({"kind": "worker_route", "name": "acme.example/shop/*",
        "attributes": {"script": "app-pr-1"}});
    let shop = || shop_worker("app-pr-1", "www.acme.example");
    // A queue that stays, whoever keeps it.
    let kept = format!(
        "{}[[protect]]\nkind = \"queue\"\nname = \"orders-pr-1\"\nreason = \"x\"\n",
        with_hosts()
    );
    for (queue, policy, arguments) in [
        ("orders", with_hosts(), &[][..]),
        ("orders-pr-1", kept, &[]),
        (
            "orders-pr-1",
            with_hosts(),
            &["--kind", "worker,worker_domain,worker_route"],
        ),
    ] {
        let all = [shop(), route.clone(), queue_of(queue, &["app-pr-1"])];
        let stage = Stage::new(&world(&all), &policy);
        let (audit, _) = stage.run(&[&["audit"], arguments].concat());
        assert_eq!(audit["summary"]["would_delete"], 0, "{audit}");
        let (swept, exit) = stage.run(&[&["sweep", "--yes"], arguments].concat());
        assert_eq!(exit, 5, "{queue}: {swept}");
        assert_eq!(stage.writes(), [], "{queue}: {swept}");
    }
    // The cap.
    let mut all: Vec<Value> = (3..6)
        .map(|n| namespace(&format!("app-pr-{n}-cache")))
        .collect();
    all.push(shop());
    let mut aged = world(&all);
    for number in 3..6 {
        aged["pull_requests"][number - 1]["closed_at"] = json!("2026-03-20T00:00:00Z");
    }
    let stage = Stage::new(&aged, &with_hosts());
    let (swept, exit) = stage.run(&["sweep", "--yes", "--max-deletions", "4"]);
    assert_eq!(exit, 0, "{swept}");
    assert!(!stage.has("app-pr-3-cache"), "{swept}");
    assert!(
        stage.has("www.acme.example") && stage.has("app-pr-1"),
        "{swept}"
    );
}

#[test]
fn hosts_wait_for_the_users_of_their_worker() {
    let binding = json!([{"type": "service", "name": "S", "target": "app-pr-1"}]);
    let all = [
        shop_worker("app-pr-1", "www.acme.example"),
        worker("app-pr-1-edge", binding),
    ];
    let policy = with_hosts().replace(
        "name = \"app-pr-{pr}\"",
        "name = [\"app-pr-{pr}\", \"app-pr-{pr}-edge\"]",
    );
    assert_ne!(policy, with_hosts());
    let stage = Stage::new(&world(&all), &policy);
    stage.fault(&json!([{"on": {"method": "DELETE", "path": "/scripts/app-pr-1-edge"},
        "fault": {"status": 403, "body": {"success": false, "errors": [{"code": 10_000, "message": "no"}]}}}]));
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert!(stage.has("www.acme.example"), "{swept}");
    stage.fault(&json!([]));
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(
        !stage.has("www.acme.example") && !stage.has("app-pr-1"),
        "{swept}"
    );
}

/// A plan file is older than the consumer that keeps the Worker.
#[test]
fn hosts_stay_with_a_worker_that_a_queue_holds_since_the_plan() {
    let all = [
        shop_worker("app-pr-1", "www.acme.example"),
        queue_of("orders", &[]),
    ];
    let stage = Stage::new(&world(&all), &with_hosts());
    let plan = stage.file("plan.json");
    let (_, code) = stage.run(&["audit", "--out", &plan]);
    assert_eq!(code, 0);
    let state = stage.server.control("GET", "state", "");
    let queues = state["resources"].as_array().unwrap().iter();
    let queue = queues.clone().find(|one| one["name"] == "orders").unwrap();
    let account = &stage
        .server
        .environment
        .iter()
        .find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID")
        .unwrap()
        .1;
    stage.server.request(
        "POST",
        &format!(
            "client/v4/accounts/{account}/queues/{}/consumers",
            queue["id"].as_str().unwrap()
        ),
        &json!({"type": "worker", "script_name": "app-pr-1"}).to_string(),
    );
    let (swept, exit) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(exit, 5, "{swept}");
    assert!(
        stage.has("app-pr-1") && stage.has("www.acme.example"),
        "{swept}"
    );
}

/// What can never go in a run is not called deferred by `--max-deletions`, and the run
/// is not green.
#[test]
fn garbage_that_something_that_stays_holds_says_so_in_audit_and_sweep() {
    let service = |name: &str| json!([{"type": "service", "name": "S", "target": name}]);
    let all = [
        worker("app-pr-1", service("app-pr-1-edge")),
        worker("app-pr-1-edge", service("app-pr-1")),
        queue_of("orders", &["app-pr-1"]),
    ];
    let policy = with_queues().replace(
        "name = \"app-pr-{pr}\"",
        "name = [\"app-pr-{pr}\", \"app-pr-{pr}-edge\"]",
    );
    let stage = Stage::new(&world(&all), &policy);
    let (audit, _) = stage.run(&["audit"]);
    assert_eq!(audit["summary"]["would_delete"], 0, "{audit}");
    for name in ["app-pr-1", "app-pr-1-edge"] {
        assert_eq!(row(&audit, name)["next_sweep"], "blocked", "{audit}");
    }
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_good", "{swept}");
    let why = reason(&swept, "app-pr-1-edge");
    assert!(
        why.contains("app-pr-1") && !why.contains("--max-deletions"),
        "{why}"
    );
    assert_eq!(stage.writes(), []);
}

/// What a person deletes and makes again, or releases and wants back, is there when it
/// is restored once more, and no journal protects it yet.
#[test]
fn what_was_released_is_protected_when_it_is_restored_once_more() {
    for with_issue in [true, false] {
        let (stage, run) = if with_issue {
            after_a_deletion_with_an_issue()
        } else {
            after_a_deletion()
        };
        assert_eq!(restored(&stage, &run, CACHE).0, "restored");
        let released = stage.output(&["restore", "--release", CACHE]);
        assert_eq!(released.status.code(), Some(0));
        let (result, reason, code) = restored(&stage, &run, CACHE);
        assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
        assert!(!reason.contains("restored before"), "{reason}");
        let (swept, _) = stage.sweep();
        assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
        if with_issue {
            let (swept, _) = swept_elsewhere(&stage);
            assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
        }
        // It can be released again.
        let released = stage.output(&["restore", "--release", CACHE]);
        assert_eq!(released.status.code(), Some(0));
        let (swept, _) = stage.sweep();
        assert!(!stage.has(CACHE), "{swept}");
    }
}

#[test]
fn what_somebody_made_again_after_it_was_restored_is_protected() {
    let (stage, run) = after_a_deletion();
    assert_eq!(restored(&stage, &run, HOST).0, "restored");
    let zone = stage.journal().iter().find_map(|line| {
        let place = line["resource"]["place"].clone();
        place["zone"]["id"].as_str().map(str::to_owned)
    });
    let back = stage
        .journal()
        .iter()
        .find(|line| line["entry"] == "restored")
        .and_then(|line| line["id"].as_str().map(str::to_owned));
    let (zone, back) = (zone.unwrap(), back.unwrap());
    let path = format!("client/v4/zones/{zone}/dns_records/{back}");
    stage.server.request("DELETE", &path, "");
    assert!(!stage.has(HOST));
    stage
        .server
        .control("POST", "resources", &record(HOST).to_string());
    let (result, reason, code) = restored(&stage, &run, HOST);
    assert_eq!((result.as_str(), code), ("already_there", 0), "{reason}");
    stage.sweep();
    assert!(stage.has(HOST), "it is protected");
}

#[test]
fn a_release_clears_a_box_that_was_written_unseen() {
    for fault in [
        json!({"on": {"method": "PATCH", "path": "/issues/"}, "fault": "reset_after"}),
        json!({"on": {"method": "POST", "path": "/graphql$", "contains": "userContentEdits"},
            "fault": {"status": 403}}),
    ] {
        let (stage, run) = after_a_deletion_with_an_issue();
        stage.fault(&json!([fault]));
        let (result, reason, code) = restored(&stage, &run, CACHE);
        assert_eq!((result.as_str(), code), ("restored", 5), "{reason}");
        stage.fault(&json!([]));
        let (swept, _) = swept_elsewhere(&stage);
        assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
        let released = stage.output(&["restore", "--release", CACHE]);
        assert_eq!(released.status.code(), Some(0));
        let (swept, _) = swept_elsewhere(&stage);
        assert!(!stage.has(CACHE), "{swept}");
    }
}

/// The scheduled sweeps write their issue as the account of Actions, and a person
/// restores with a token of their own.
#[test]
fn an_issue_of_another_account_is_named_when_a_box_cannot_be_checked_in_it() {
    let (stage, run) = after_a_deletion_with_an_issue();
    let mine = json!({"data": {"viewer": {"login": "alice"}}});
    stage.fault(
        &json!([{"on": {"method": "POST", "path": "/graphql$", "contains": "viewer"},
        "fault": {"status": 200, "body": mine}}]),
    );
    let (result, reason, code) = restored(&stage, &run, CACHE);
    assert_eq!((result.as_str(), code), ("restored", 5), "{reason}");
    for part in ["issue #", "github-actions[bot]", "--issue-author"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    let output = stage.output(&[
        "restore",
        &run,
        CACHE,
        "--issue-author",
        "github-actions[bot]",
    ]);
    assert_eq!(output.status.code(), Some(0));
    stage.fault(&json!([]));
    let (swept, _) = swept_elsewhere(&stage);
    assert_eq!(row(&swept, CACHE)["verdict"], "protected", "{swept}");
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

/// Restores with the answer of the creation lost, so that it is not known whether the
/// record was made.
fn restored_unseen(stage: &Stage, run: &str, fault: &str) {
    stage.fault(&json!([
        {"on": {"method": "POST", "path": "dns_records$"}, "times": 1, "fault": fault}]));
    stage.output(&["restore", run, HOST]);
    stage.fault(&json!([]));
}

/// What a person wrote is not taken back, also where the text has the mark.
#[test]
fn a_release_removes_only_the_mark_that_the_restore_wrote() {
    let (stage, run) = after_a_deletion();
    restored_unseen(&stage, &run, "reset");
    let mut theirs = record(HOST);
    theirs["attributes"]["comment"] = json!("live demo preview-gc:keep");
    stage
        .server
        .control("POST", "resources", &theirs.to_string());
    let (_, reason, code) = restored(&stage, &run, HOST);
    assert_eq!(code, 0, "{reason}");
    assert!(!reason.contains("it is marked"), "{reason}");
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
    assert_eq!(comment_of_the_record(&stage), "live demo preview-gc:keep");
    // One that this program made, and whose answer was lost, has its own mark.
    let (stage, run) = after_a_deletion();
    restored_unseen(&stage, &run, "reset_after");
    assert_eq!(comment_of_the_record(&stage), "kept preview-gc:keep");
    stage.output(&["restore", run.as_str(), HOST]);
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
    assert_eq!(comment_of_the_record(&stage), "kept");
}

/// The path of the only DNS record of the host.
fn path_of_the_record(stage: &Stage) -> String {
    let state = stage.server.control("GET", "state", "");
    let all = state["resources"].as_array().unwrap();
    let record = all.iter().find(|one| one["name"] == HOST).unwrap();
    let mut variables = stage.server.environment.iter();
    let zone = variables.find(|(name, _)| name == "CLOUDFLARE_ZONE_ID");
    let (zone, id) = (&zone.unwrap().1, record["id"].as_str().unwrap());
    format!("client/v4/zones/{zone}/dns_records/{id}")
}

#[test]
fn a_mark_that_somebody_changed_is_not_called_released() {
    let (stage, run) = after_a_deletion();
    restored(&stage, &run, HOST);
    let path = path_of_the_record(&stage);
    let edited = json!({"comment": "kept preview-gc:keep (checked by Ann)"}).to_string();
    stage.server.request("PATCH", &path, &edited);
    let refused = stage.output(&["restore", "--release", HOST]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains("somebody changed the text"), "{said}");
    let back = json!({"comment": "by hand"}).to_string();
    stage.server.request("PATCH", &path, &back);
    let released = stage.output(&["restore", "--release", HOST]);
    assert_eq!(released.status.code(), Some(0));
}

#[test]
fn a_release_is_about_the_issue_in_which_the_box_was_checked() {
    let (stage, run) = after_a_deletion_with_an_issue();
    for name in [CACHE, HOST] {
        let (result, reason, code) = restored(&stage, &run, name);
        assert_eq!((result.as_str(), code), ("restored", 0), "{reason}");
    }
    let release = |other: Option<&Stage>| {
        let mut command = stage.server.program();
        command.args(["restore", "--release", HOST, "-q", "--json"]);
        command.arg("--journal").arg(stage.folder.path());
        match other {
            Some(other) => {
                let variables = other.server.environment.iter();
                command.envs(
                    variables
                        .filter(|(name, _)| name.starts_with("GITHUB_"))
                        .cloned(),
                );
            }
            None => {
                command.env_remove("GITHUB_TOKEN");
            }
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(5), "{said}");
        let why = "GITHUB_TOKEN is not set or is for another host";
        assert!(said.contains(why), "{said}");
    };
    // Another host of GitHub, and none: nothing is changed, the mark included.
    let (other, _) = after_a_deletion_with_an_issue();
    let before = other.writes().len();
    release(Some(&other));
    release(None);
    assert_eq!(comment_of_the_record(&stage), "kept preview-gc:keep");
    assert_eq!(other.writes().len(), before);
    // An issue that is gone has no box.
    stage.fault(&json!([{"on": {"method": "GET", "path": "/issues"},
        "fault": {"status": 200, "body": []}}]));
    let released = stage.output(&["restore", "--release", CACHE, "--release", HOST]);
    assert_eq!(
        released.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&released.stdout)
    );
    assert_eq!(comment_of_the_record(&stage), "kept");
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
