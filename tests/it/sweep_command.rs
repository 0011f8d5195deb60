//! `preview-gc sweep` as its user runs it, against the stand-in over HTTP: what
//! is gone afterwards is judged by the stand-in's own state and request log.

mod approvals;
mod brakes;
mod cases;
mod changes;
mod cycles;
mod databases;
mod expiries;
mod failures;
mod hosts;
#[cfg(unix)]
mod interruptions;
mod journal;
mod kept;
mod order;
mod queues;
mod releases;
mod restore;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Server, report};

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

/// A Worker and a namespace that it binds, of different pull requests.
fn bound_elsewhere() -> [Value; 2] {
    let bindings = json!([{"type": "kv_namespace", "name": "KV", "target": "app-pr-1-cache"}]);
    [worker("app-pr-9", bindings), namespace("app-pr-1-cache")]
}

const ENVIRONMENTS: &str = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\nname \
    = \"preview-{pr}\"\ndead-when = \"closed\"\n";

fn deployment(name: &str, of: &str, updated: &str) -> Value {
    json!({"kind": "github_deployment", "name": name, "created_at": T0, "updated_at": updated,
        "attributes": {"environment": of, "ref": "main"}})
}

/// The usual policy, and a rule about queues.
fn with_queues() -> String {
    format!(
        "{POLICY}[[rule]]\nid = \"queues\"\nkind = \"queue\"\nname = \
         \"orders-pr-{{pr}}\"\ndead-when = \"closed\"\n"
    )
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
