//! Accounts with more Workers than one run may read, against the stand-in over
//! HTTP: repeated sweeps delete everything that can be decided, and nothing that
//! something uses.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::support::{Server, report};
use serde_json::{Value, json};

const T0: &str = "2026-04-01T00:00:00Z";
const NOW: &str = "2026-05-01T00:00:00Z";

const POLICY: &str = include_str!("../support/closed.toml");

fn worker(name: &str, namespaces: &[&str]) -> Value {
    let bindings = namespaces
        .iter()
        .map(|target| json!({"type": "kv_namespace", "name": "KV", "target": target}));
    json!({"kind": "worker", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"bindings": bindings.collect::<Vec<_>>()}})
}

fn namespace(name: &str) -> Value {
    json!({"kind": "kv_namespace", "name": name})
}

/// So many Workers that stay, the first of which binds `app-pr-1-used`, and what
/// three closed pull requests left.
fn resources(stay: usize) -> Vec<Value> {
    let mut resources = vec![namespace("app-pr-1-used"), namespace("site-cache")];
    for site in 0..stay {
        let used: &[&str] = if site == 0 {
            &["app-pr-1-used"]
        } else {
            &["site-cache"]
        };
        resources.push(worker(&format!("site-{site}"), used));
    }
    for number in [1, 3, 4] {
        let cache = format!("app-pr-{number}-cache");
        resources.push(worker(&format!("app-pr-{number}"), &[&cache]));
        resources.push(namespace(&cache));
    }
    resources
}

/// What the closed pull requests left, and nothing that stays uses.
const GARBAGE: usize = 6;

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
    /// The time, where it went on.
    now: RefCell<Option<String>>,
}

impl Stage {
    fn new(resources: &[Value], serve: &[&str]) -> Self {
        let pull_requests = (1..=14).map(|number| {
            json!({"number": number, "state": "closed", "head_ref": format!("b{number}"),
                "head_repo": "acme/shop", "created_at": "2026-03-01T00:00:00Z",
                "updated_at": T0, "closed_at": T0})
        });
        let pull_requests: Vec<_> = pull_requests.collect();
        let world = json!({"repository": "acme/shop", "now": NOW, "git_branches": ["main"],
            "zones": [{"name": "acme.example"}], "pull_requests": pull_requests,
            "resources": resources});
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.json");
        std::fs::write(&file, world.to_string()).unwrap();
        std::fs::write(folder.path().join("p.toml"), POLICY).unwrap();
        let file = file.display().to_string();
        let arguments = [&["--world", &*file][..], serve].concat();
        Self {
            server: Server::start(&arguments),
            folder,
            now: RefCell::default(),
        }
    }

    fn advance(&self, by: &str) {
        let body = json!({"advance": by}).to_string();
        let answer = self.server.control("POST", "clock", &body);
        let now = answer["now"].as_str().unwrap().to_owned();
        self.now.replace(Some(now));
    }

    fn run(&self, verb: &[&str], limits: &[&str]) -> Value {
        let mut command = self.server.program();
        if let Some(now) = self.now.borrow().as_deref() {
            command.env("PREVIEW_GC_NOW", now);
        }
        command.args(verb).args(limits);
        command.args(["-q", "--format", "json"]);
        command
            .arg("--kind=worker")
            .arg("--kind=kv_namespace")
            .arg("--journal")
            .arg(self.folder.path())
            .arg("--policies")
            .arg(self.folder.path().join("p.toml"));
        let output = command.output().unwrap();
        report(&output).0
    }

    fn names(&self) -> BTreeSet<String> {
        let state = self.server.control("GET", "state", "");
        let resources = state["resources"].as_array().unwrap().iter();
        resources
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends a request as a deployment would, and gives its result.
    fn scripts(&self, method: &str, below: &str, body: &Value) -> Value {
        let mut environment = self.server.environment.iter();
        let account = environment.find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID");
        let path = format!("client/v4/accounts/{}/{below}", account.unwrap().1);
        let answer = self.server.request(method, &path, &body.to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        answer["result"].clone()
    }

    /// The paths of the requests about single Workers after the first so many
    /// requests, below the Worker; and how many requests there are.
    fn asked(&self, after: usize) -> (Vec<String>, usize) {
        let log = self.server.control("GET", "requests", "");
        let log = log.as_array().unwrap();
        let paths = log[after..].iter().map(|one| one["path"].as_str().unwrap());
        let paths = paths.filter_map(|path| path.split_once("/workers/scripts/site-"));
        (
            paths.map(|(_, below)| below.to_owned()).collect(),
            log.len(),
        )
    }
}

fn would_delete(audit: &Value) -> u64 {
    audit["summary"]["would_delete"].as_u64().unwrap()
}

fn deleted(sweep: &Value) -> u64 {
    let steps = sweep["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["outcome"] == "deleted").count() as u64
}

fn reason(report: &Value, name: &str) -> String {
    let mut resources = report["resources"].as_array().unwrap().iter();
    let found = resources.find(|one| one["name"] == name).unwrap();
    format!(
        "{}: {}",
        found["verdict"].as_str().unwrap(),
        found["reason"].as_str().unwrap()
    )
}

/// Audits and sweeps until nothing is left to delete; how many sweeps that took.
fn drain(stage: &Stage, limits: &[&str], between: impl Fn()) -> usize {
    for sweeps in 0..20 {
        let audit = stage.run(&["audit"], limits);
        let promised = would_delete(&audit);
        let swept = stage.run(&["sweep", "--yes"], limits);
        assert_eq!(promised, deleted(&swept), "sweep {sweeps}: {swept}");
        let resources = audit["resources"].as_array().unwrap().iter();
        let unknown = resources.filter(|one| one["verdict"] == "unknown").count();
        if promised == 0 && unknown == 0 {
            return sweeps;
        }
        between();
    }
    panic!("{:?} are left", stage.names());
}

#[test]
fn a_small_share_of_the_quota_is_enough_for_repeated_sweeps() {
    let all = resources(24);
    let stage = Stage::new(&all, &["--quota", "240/300"]);
    let before = stage.names().len();
    let limits = ["--quota-share=0.5", "--deadline=5s", "--max-deletions=2"];
    let day = || {
        stage
            .server
            .control("POST", "clock", r#"{"advance": "24h"}"#);
    };
    let sweeps = drain(&stage, &limits, day);
    assert!(sweeps <= 8, "{sweeps}");
    assert_eq!(stage.names().len(), before - GARBAGE);
    assert!(stage.names().contains("app-pr-1-used"));
}

#[test]
fn repeated_sweeps_read_more_workers_than_one_may_and_delete_what_nothing_uses() {
    let all = resources(10);
    let stage = Stage::new(&all, &[]);
    let before = stage.names().len();
    let limits = ["--reference-reads=3", "--max-deletions=2"];

    let first = stage.run(&["audit"], &limits);
    let why = reason(&first, "app-pr-3-cache");
    assert_eq!(
        why,
        "unknown: could not read what 7 Workers use: 7 of 10 were not read in this run: \
         the maximum is 3 (--reference-reads); the next 3 sweeps read them first"
    );

    // Four sweeps read ten Workers by three; six deletions take three sweeps.
    let sweeps = drain(&stage, &limits, || {});
    assert!(sweeps <= 7, "{sweeps}");
    assert_eq!(stage.names().len(), before - GARBAGE);
    assert!(stage.names().contains("app-pr-1-used"));
    let last = stage.run(&["audit"], &limits);
    let why = reason(&last, "app-pr-1-used");
    assert_eq!(why, "in_use: used by Worker site-0, which stays");
}

#[test]
fn stored_reads_are_confirmed_by_one_request_per_worker() {
    let all = resources(7);
    let stage = Stage::new(&all, &[]);
    let limits = ["--reference-reads=4"];
    let (_, before) = stage.asked(0);
    stage.run(&["sweep", "--yes"], &limits);
    let (first, before) = stage.asked(before);
    let full = |asked: &[String]| {
        asked
            .iter()
            .filter(|one| one.ends_with("/deployments"))
            .count()
    };
    let latest = |asked: &[String]| {
        asked
            .iter()
            .filter(|one| one.ends_with("/settings"))
            .count()
    };
    assert_eq!((full(&first), latest(&first)), (4, 4), "{first:?}");
    let swept = stage.run(&["sweep", "--yes"], &limits);
    assert_eq!(deleted(&swept), 6, "{swept}");
    let (second, _) = stage.asked(before);
    assert_eq!((full(&second), latest(&second)), (3, 7), "{second:?}");
}

#[test]
fn a_worker_that_serves_an_older_version_again_is_read_again() {
    let all = resources(4);
    let stage = Stage::new(&all, &[]);
    let namespaces = stage.scripts("GET", "storage/kv/namespaces", &Value::Null);
    let mut namespaces = namespaces.as_array().unwrap().iter();
    let used = namespaces.find(|one| one["title"] == "app-pr-3-cache");
    let binding =
        json!({"type": "kv_namespace", "name": "KV", "namespace_id": used.unwrap()["id"]});
    for bindings in [json!([binding]), json!([])] {
        let upload = json!({"main_module": "worker.js", "bindings": bindings});
        stage.scripts("PUT", "workers/scripts/site-1", &upload);
    }
    stage.advance("48h");
    let limits = ["--reference-reads=3"];
    let first = stage.run(&["sweep", "--yes"], &limits);
    assert!(reason(&first, "app-pr-3-cache").starts_with("unknown"));
    let reads = std::fs::read_to_string(stage.folder.path().join("reads.json")).unwrap();
    assert!(reads.contains("site-1"), "{reads}");

    let versions = stage.scripts("GET", "workers/scripts/site-1/versions", &Value::Null);
    let older = &versions["items"][1]["id"];
    let deployment = json!({"strategy": "percentage",
        "versions": [{"version_id": older, "percentage": 100}]});
    stage.scripts("POST", "workers/scripts/site-1/deployments", &deployment);
    stage.advance("48h");
    for _ in 0..3 {
        stage.run(&["sweep", "--yes"], &limits);
    }
    let last = stage.run(&["audit"], &limits);
    let why = reason(&last, "app-pr-3-cache");
    assert_eq!(why, "in_use: used by Worker site-1, which stays");
    assert!(!stage.names().contains("app-pr-4-cache"));
}

#[test]
fn oversized_groups_take_no_place_in_the_plan() {
    let numbers = 3..=14;
    let mut all = vec![worker("site", &[])];
    for number in numbers.clone() {
        let cache = format!("app-pr-{number}-cache");
        all.push(worker(&format!("app-pr-{number}"), &[&cache]));
        all.push(namespace(&cache));
    }
    let stage = Stage::new(&all, &[]);
    let limits = ["--reference-reads=4", "--max-deletions=5"];
    let mut left = 24;
    let mut sweeps = 0;
    while left > 0 {
        let sweep = sweeps;
        sweeps += 1;
        assert!(sweeps <= 12, "{left} are left");
        let audit = stage.run(&["audit"], &limits);
        let promised = would_delete(&audit);
        let swept = stage.run(&["sweep", "--yes"], &limits);
        assert_eq!(
            promised,
            deleted(&swept),
            "sweep {sweep}: {:#} {:?}",
            swept["steps"],
            audit["summary"]
        );
        // What is undecided is not said to wait for the maximum.
        let undecided = swept["resources"].as_array().unwrap().iter();
        let undecided = undecided.filter(|one| one["verdict"] == "unknown").count();
        let mut steps = swept["steps"].as_array().unwrap().iter();
        let waits = steps.any(|step| step["outcome"] == "deferred" && step["kind"] != "worker");
        assert!(undecided == 0 || !waits, "sweep {sweep}: {swept}");
        left -= promised;
    }
    assert_eq!(stage.names(), ["site".to_owned()].into());
    assert!(sweeps > 5, "the first ones only read");
}
