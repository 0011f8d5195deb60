//! `cargo bench`: requests, time and memory of an audit, against the stand-in
//! with 50 ms of latency. It prints figures and judges nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark prints, and one that fails should say where"
)]
#![allow(
    clippy::too_many_lines,
    reason = "a test case is read from its beginning to its end"
)]

#[path = "../support/busy_account.rs"]
mod busy_account;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use preview_gc::evidence::{
    Evidence, Inventory, Listing, PullRequest, RepositoryRoots, Roots, Users,
};
use preview_gc::gc::KindGraph;
use preview_gc::gc::mark::{JudgeInput, PolicyScope, mark};
use preview_gc::model::{Place, PullRequestNumber, Repository, Resource, Time};
use preview_gc::policy::{Policies, PolicyContext, PolicySource, Vocabulary};
use preview_gc::providers;
use serde_json::{Value, json};

use busy_account::{POLICY, world};

const LATENCY: Duration = Duration::from_millis(50);

fn main() {
    if std::env::args().any(|argument| argument == "mark") {
        mark_a_million();
        return;
    }
    for references in [false, true] {
        audit(references);
    }
    sweep_a_pull_requests_worth();
    sweep_within_the_share();
    sweep_beside_shell_loops();
    let status = Command::new(std::env::current_exe().expect("a path"))
        .arg("mark")
        .status()
        .expect("it starts again");
    assert!(status.success());
    read_names();
    start_up();
}

fn audit(references: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path.display().to_string()
    };
    let world = file("world.json", &world(references).to_string());
    let policy = file("policy.toml", POLICY);
    let server =
        support::Server::start(&["--world", &world, "--latency-ms", "50", "--quota", "off"]);
    let begin = Instant::now();
    let output = server
        .program()
        .args([
            "audit",
            "--quiet",
            "--format",
            "json",
            "--policies",
            &policy,
        ])
        .output()
        .expect("it runs");
    let wall = begin.elapsed();
    let (report, code) = support::report(&output);
    let spent: u64 = ["cloudflare", "github", "neon"]
        .iter()
        .filter_map(|api| report["quota"][api]["spent"].as_u64())
        .sum();
    let reads = report["evidence"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|evidence| evidence["source"] == "cloudflare.worker.uses")
        .filter_map(|evidence| evidence["requests"].as_u64())
        .sum::<u64>();
    // Ten pages of branches, four pages of open pull requests, then all closed
    // ones side by side.
    let chain = LATENCY * (10 + 4 + 1);
    let longest = chain.max(Duration::from_secs_f64(reads as f64 / 150.0));
    println!(
        "audit {} references: exit {code}, {} garbage, {spent} requests ({reads} of them settings \
         reads), \
         {:.2} s, longest dependent chain {:.2} s, ratio {:.2}",
        if references { "with" } else { "without" },
        report["summary"]["verdicts"]["garbage"],
        wall.as_secs_f64(),
        longest.as_secs_f64(),
        wall.as_secs_f64() / longest.as_secs_f64(),
    );
}

/// A stand-in with a world and a policy.
struct Stage {
    folder: tempfile::TempDir,
    server: support::Server,
    policy: String,
}

impl Stage {
    fn new(world: &Value, policy: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("it can be written");
            path.display().to_string()
        };
        let world = file("world.json", &world.to_string());
        let mut all = vec!["--world", &world];
        all.extend(arguments);
        Self {
            server: support::Server::start(&all),
            policy: file("policy.toml", policy),
            folder,
        }
    }

    /// Sweeps everything, and gives the report, the exit code and the time.
    fn sweep(&self) -> (Value, i32, Duration) {
        let begin = Instant::now();
        let output = self
            .server
            .program()
            .args([
                "sweep",
                "--yes",
                "--quiet",
                "--format",
                "json",
                "--brake-count",
                "9999",
            ])
            .args([
                "--brake-share",
                "1",
                "--max-deletions",
                "9999",
                "--deadline",
                "1h",
            ])
            .arg("--journal")
            .arg(self.folder.path())
            .args(["--policies", &self.policy])
            .output()
            .expect("it runs");
        let wall = begin.elapsed();
        let (report, code) = support::report(&output);
        (report, code, wall)
    }
}

fn closed_pull_requests(count: u32) -> Vec<Value> {
    let at = "2026-01-02T00:00:00Z";
    (1..=count)
        .map(|number| {
            json!({"number": number, "state": "closed", "merged": true, "head_ref": format!("b{number}"),
                "head_repo": "acme/shop", "updated_at": at, "closed_at": at})
        })
        .collect()
}

fn world_of(pull_requests: Vec<Value>, resources: Vec<Value>) -> Value {
    json!({"repository": "acme/shop", "now": "2026-02-01T00:00:00Z", "zones": [{"name": "acme.example"}],
        "pull_requests": pull_requests, "git_branches": ["main"], "resources": resources})
}

fn deleted(report: &Value) -> usize {
    let steps = report["steps"].as_array().into_iter().flatten();
    steps.filter(|step| step["outcome"] == "deleted").count()
}

const NAMESPACES: &str = r#"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-{any:a-z0-9}"
dead-when = "closed"
grace = "0s"
"#;

/// 134 deletions among 200 namespaces of 100 pull requests, the quota out of
/// the way.
fn sweep_a_pull_requests_worth() {
    let mut pulls = closed_pull_requests(100);
    for pull in pulls.iter_mut().skip(67) {
        pull["state"] = json!("open");
        pull["merged"] = json!(false);
        pull["closed_at"] = Value::Null;
    }
    let namespaces = (1..=100).flat_map(|number| {
        ["a", "b"]
            .map(|what| json!({"kind": "kv_namespace", "name": format!("app-pr-{number}-{what}")}))
    });
    let world = world_of(pulls, namespaces.collect());
    let stage = Stage::new(
        &world,
        NAMESPACES,
        &["--quota", "off", "--latency-ms", "50"],
    );
    let (report, code, wall) = stage.sweep();
    println!(
        "sweep of 134 among 200 namespaces: exit {code}, {} deleted, {:.2} s",
        deleted(&report),
        wall.as_secs_f64()
    );
}

/// 2,000 deletions within half of a quota whose window is compressed.
fn sweep_within_the_share() {
    const QUOTA: usize = 1_200;
    const WINDOW: f64 = 20.0;
    let at = "2026-01-01T00:00:00Z";
    let mut resources = Vec::new();
    for number in 1..=700 {
        resources.push(
            json!({"kind": "worker", "name": format!("app-pr-{number}"), "created_at": at,
            "updated_at": at, "attributes": {"bindings": []}}),
        );
        resources.push(json!({"kind": "kv_namespace", "name": format!("app-pr-{number}-cache")}));
    }
    for number in 1..=600 {
        resources.push(json!({"kind": "dns_record", "name": format!("app-pr-{number}.acme.example"), "created_at": at,
            "updated_at": at, "attributes": {"type": "CNAME", "content": "acme.example", "proxied": true}}));
    }
    let policy = format!(
        "{NAMESPACES}{}{}",
        "[[rule]]\nid = \"workers\"\nkind = \"worker\"\nname = \"app-pr-{pr}\"\ndead-when = \
         \"closed\"\n",
        "[[rule]]\nid = \"records\"\nkind = \"dns_record\"\nname = \
         \"app-pr-{pr}.acme.example\"\ndead-when = \"closed\"\n",
    );
    let world = world_of(closed_pull_requests(700), resources);
    let stage = Stage::new(&world, &policy, &["--quota", "1200/20"]);
    let (report, code, wall) = stage.sweep();
    let log = stage.server.control("GET", "requests", "");
    let requests: Vec<&Value> = log
        .as_array()
        .into_iter()
        .flatten()
        .filter(|request| {
            request["path"]
                .as_str()
                .is_some_and(|path| path.starts_with("/client/"))
        })
        .collect();
    let throttled = requests
        .iter()
        .filter(|request| request["status"] == 429)
        .count();
    let times: Vec<f64> = requests
        .iter()
        .filter_map(|request| {
            request["time"]
                .as_str()?
                .parse::<chrono::DateTime<chrono::Utc>>()
                .ok()
        })
        .map(|at| at.timestamp_micros() as f64 / 1e6)
        .collect();
    let busiest = times
        .iter()
        .map(|begin| {
            times
                .iter()
                .filter(|at| **at >= *begin && **at < begin + WINDOW)
                .count()
        })
        .max()
        .unwrap_or(0);
    let share = QUOTA / 2;
    let least = (requests.len().div_ceil(share) - 1) as f64 * WINDOW;
    let done = deleted(&report);
    println!(
        "sweep within the share: exit {code}, {done} deleted, {} requests ({:.2} for each \
         deletion), \
         {throttled} times 429, at most {busiest} of {share} in any window, {:.1} s where the \
         share allows {least:.1} s \
         (ratio {:.3})",
        requests.len(),
        requests.len() as f64 / done.max(1) as f64,
        wall.as_secs_f64(),
        wall.as_secs_f64() / least.max(1.0),
    );
}

/// The same 20 Workers and 20 branches, deleted by us and by what people use
/// today in a shell loop, if npm is at hand.
fn sweep_beside_shell_loops() {
    let at = "2026-01-01T00:00:00Z";
    let mut resources = vec![
        json!({"kind": "neon_branch", "name": "main", "created_at": at, "attributes": {"default": true}}),
    ];
    for number in 1..=20 {
        resources.push(
            json!({"kind": "worker", "name": format!("app-pr-{number}"), "created_at": at,
            "updated_at": at, "attributes": {"bindings": []}}),
        );
        resources.push(
            json!({"kind": "neon_branch", "name": format!("pr-{number}"), "created_at": at,
            "updated_at": at, "attributes": {"parent": "main"}}),
        );
    }
    let world = world_of(closed_pull_requests(20), resources);
    let policy = "[[rule]]\nid = \"workers\"\nkind = \"worker\"\nname = \
        \"app-pr-{pr}\"\ndead-when = \"closed\"\n\
         [[rule]]\nid = \"branches\"\nkind = \"neon_branch\"\nname = \"pr-{pr}\"\ndead-when = \
         \"closed\"\n";
    let stage = Stage::new(&world, policy, &["--latency-ms", "50"]);
    let (report, code, ours) = stage.sweep();
    println!(
        "sweep of 20 Workers and 20 branches: exit {code}, {} deleted, {:.2} s",
        deleted(&report),
        ours.as_secs_f64()
    );
    let Some(tools) = npm_tools(stage.folder.path()) else {
        println!("shell loops: npm is not at hand, so there is nothing to compare with");
        return;
    };
    let stage = Stage::new(&world, policy, &["--latency-ms", "50"]);
    let script = "for n in $(seq 1 20); do wrangler delete --name app-pr-$n --force >/dev/null \
        2>&1; done; \
         for n in $(seq 1 20); do neonctl branches delete pr-$n --project-id $NEON_PROJECT_ID \
         --api-host $NEON_API_HOST >/dev/null 2>&1; done";
    let path = format!("{}:{}", tools, std::env::var("PATH").unwrap_or_default());
    let begin = Instant::now();
    let _ = Command::new("sh")
        .args(["-c", script])
        .envs(stage.server.environment.iter().cloned())
        .env("PATH", path)
        .env("CI", "true")
        .env("HOME", stage.folder.path())
        .env("WRANGLER_SEND_METRICS", "false")
        .status();
    let theirs = begin.elapsed();
    let left = stage.server.control("GET", "state", "");
    let left = left["resources"].as_array().map_or(0, Vec::len);
    println!(
        "shell loops over wrangler and neonctl: {} deleted, {:.2} s, {:.1} times as long",
        41_usize.saturating_sub(left),
        theirs.as_secs_f64(),
        theirs.as_secs_f64() / ours.as_secs_f64()
    );
}

/// The folder of wrangler and neonctl, installed for this comparison.
fn npm_tools(folder: &std::path::Path) -> Option<String> {
    let installed = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(folder)
        .args(["wrangler@4", "neonctl@2"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .ok()?;
    let tools = folder.join("node_modules").join(".bin");
    (installed.success() && tools.join("wrangler").exists()).then(|| tools.display().to_string())
}

fn read_names() {
    let rules: String = (0..1_000)
        .map(|n| {
            format!(
                "[[rule]]\nid = \"r{n}\"\nkind = \"worker\"\nname = \
                 [\"app{n:03}-{{service}}-pr-{{pr}}\", \
                 \"{{service}}-{n:03}-{{branch}}\"]\ndead-when = \"closed\"\n"
            )
        })
        .collect();
    let source = PolicySource {
        path: "bench.toml".to_owned(),
        text: format!(
            "repository = \"acme/shop\"\n[words]\nservice = [\"api\", \"web\", \"docs\"]\n{rules}"
        ),
    };
    let kinds = providers::vocabulary();
    let vocabulary = Vocabulary {
        kinds: &kinds,
        scopes: &providers::scopes(),
    };
    let environment = PolicyContext {
        lookup: &|_| None,
        repository: None,
        names_file: &|_, _| Err("not found".to_owned()),
    };
    let loaded = Policies::read(&[source], &vocabulary, &environment).expect("a valid policy");
    let rules = &loaded.policies.files[0].rules;
    let worker = *kinds
        .iter()
        .find(|kind| kind.name() == "worker")
        .expect("Workers");
    let names: Vec<String> = (1..=10_000)
        .map(|n| match n % 2 {
            0 => format!("app{:03}-web-pr-{n}", n % 1_000),
            _ => format!("web-{:03}-feature/x{n}", n % 1_000),
        })
        .collect();
    let begin = Instant::now();
    let readings: usize = names
        .iter()
        .map(|name| rules.match_name(worker, name).len())
        .sum();
    println!(
        "names: 10,000 against 1,000 rules: {:.2} s, {readings} readings",
        begin.elapsed().as_secs_f64()
    );
}

fn mark_a_million() {
    const RESOURCES: u32 = 1_000_000;
    let kinds = providers::vocabulary();
    let worker = *kinds
        .iter()
        .find(|kind| kind.name() == "worker")
        .expect("Workers");
    let rules: String = (0..100)
        .map(|index| {
            format!(
                "[[rule]]\nid = \"r{index}\"\nkind = \"worker\"\nname = \
                \"app{index:02}-preview-{{pr}}\"\ndead-when = \"closed\"\n"
            )
        })
        .collect();
    let source = PolicySource {
        path: "bench.toml".to_owned(),
        text: format!("repository = \"acme/shop\"\n{rules}"),
    };
    let vocabulary = Vocabulary {
        kinds: &kinds,
        scopes: &providers::scopes(),
    };
    let environment = PolicyContext {
        lookup: &|_| None,
        repository: None,
        names_file: &|_, _| Err("not found".to_owned()),
    };
    let loaded = Policies::read(&[source], &vocabulary, &environment).expect("a valid policy");
    let policy = &loaded.policies.files[0];
    let place = Arc::new(Place::Account("a".to_owned()));
    let at = Time::At("2026-01-01T00:00:00Z".parse().expect("a time"));
    let resources: Vec<Resource> = (0..RESOURCES)
        .map(|index| {
            let name: Box<str> =
                format!("app{:02}-preview-{}", index % 100, index % 5_000 + 1).into();
            Resource {
                kind: worker,
                place: place.clone(),
                id: format!("{name}.{index}").into(),
                name,
                holder: None,
                incarnation: None,
                created_at: at,
                changed_at: at,
                active_at: Time::Unsupported,
                expires_at: None,
                protection: None,
                parent: None,
                attributes: Vec::new(),
                links: Vec::new(),
                addresses: Vec::new(),
                foreign_address: None,
                recorded: None,
                unread: None,
                original: None,
            }
        })
        .collect();
    let evidence = Evidence {
        source: "bench".to_owned(),
        scope: String::new(),
        requests: 1,
        items: resources.len(),
        total: None,
        complete: true,
        gap: None,
        needed: true,
    };
    let mut inventory = Inventory {
        listings: vec![Listing {
            kind: worker,
            place: place.clone(),
            evidence,
            allowance: None,
            user_only: false,
        }],
        resources,
        ..Inventory::default()
    };
    let shown = inventory.resources.iter().map(|one| one.id.clone());
    let users = Users {
        pairs: Vec::new(),
        shown: shown.collect(),
        references: Vec::new(),
        ..Users::default()
    };
    inventory
        .uses
        .users
        .insert((worker, Place::clone(&place)), Ok(users));
    let pull_requests = (1..=5_000)
        .map(|number| {
            let state = if number % 3 == 0 {
                PullRequest::Open {
                    labels: preview_gc::evidence::Labels::default(),
                    title: "".into(),
                    head: None,
                    fork_head: None,
                    opened_at: None,
                }
            } else {
                let closed_at = "2026-01-02T00:00:00Z".parse().ok();
                PullRequest::Closed {
                    labels: preview_gc::evidence::Labels::default(),
                    title: "".into(),
                    fork_head: None,
                    head: None,
                    opened_at: None,
                    closed_at,
                    merged: false,
                    merged_at: None,
                }
            };
            (PullRequestNumber::new(number).expect("a number"), state)
        })
        .collect();
    let mut roots = Roots::default();
    let repository = Repository::parse("acme/shop").expect("a name");
    roots.repositories.insert(
        repository,
        RepositoryRoots {
            pull_requests,
            ..RepositoryRoots::default()
        },
    );
    let policy_scopes = [PolicyScope {
        policy,
        places: BTreeSet::from([Place::clone(&place)]),
    }];
    let graph = KindGraph::of(kinds.iter().copied(), providers::source_names());
    let input = JudgeInput {
        policy_scopes: &policy_scopes,
        graph: &graph,
        grace: TimeDelta::hours(24),
        grace_on_close: TimeDelta::zero(),
        only_pull_request: None,
        only_kinds: None,
        brought_back: Arc::default(),
        to_delete: None,
        contradicted: Arc::default(),
        calibrated: Arc::default(),
        now: "2026-02-01T00:00:00Z".parse().expect("a time"),
    };
    let begin = Instant::now();
    let marking = mark(&inventory, &roots, input);
    let wall = begin.elapsed();
    let garbage = marking
        .judgements
        .iter()
        .filter(|judgement| judgement.verdict.is_garbage())
        .count();
    println!(
        "mark: {RESOURCES} resources, 100 rules: {:.2} s, {:.0} per second, {garbage} garbage, \
         peak memory {}",
        wall.as_secs_f64(),
        f64::from(RESOURCES) / wall.as_secs_f64(),
        peak_memory(),
    );
}

/// The process's peak memory, where the system tells.
fn peak_memory() -> String {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
            Some(
                line.split_whitespace()
                    .skip(1)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        })
        .unwrap_or_else(|| "not told by this system".to_owned())
}

fn start_up() {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let begin = Instant::now();
            let output = support::run(&["--help"]);
            assert!(output.status.success());
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "--help: median {:.1} ms",
        times[times.len() / 2].as_secs_f64() * 1_000.0
    );
}
