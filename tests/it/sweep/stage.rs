//! The fixture of sweep tests: a world, a transport that records everything,
//! and changes by others during the sweep.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Method, Request};
use preview_gc::clock::Clock;
use preview_gc::collector::{Choice, Collector, Limits, Scope, SweepOrder};
use preview_gc::gc::Plan;
use preview_gc::gc::plan_file::PlanFile;
use preview_gc::journal::Journal;
use preview_gc::policy::{Policies, Policy, PolicyContext, PolicySource, Vocabulary};
use preview_gc::progress::{Observer, ProgressEvent};
use preview_gc::providers;
use preview_gc::sandbox::world::World;
use preview_gc::sandbox::{Options, Sandbox};
use preview_gc::sweep::{StepRow, Stop, Sweep, Swept};
use preview_gc::wire::{Client, TransportError};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;

use crate::in_process::{BASE, endpoints};

pub(super) const DIED: &str = "2026-04-01T00:00:00Z";
pub(super) const NOW: &str = "2026-05-01T00:00:00Z";
pub(super) const POLICY: &str = include_str!("../../support/closed.toml");

pub(super) fn worker(name: &str, binds: &[&str]) -> Value {
    let bindings = binds
        .iter()
        .map(|target| json!({"type": "kv_namespace", "name": "KV", "target": target}));
    json!({"kind": "worker", "name": name, "created_at": DIED, "updated_at": DIED,
        "attributes": {"bindings": bindings.collect::<Vec<_>>()}})
}

pub(super) fn namespace(name: &str) -> Value {
    json!({"kind": "kv_namespace", "name": name})
}

pub(super) fn record(name: &str) -> Value {
    json!({"kind": "dns_record", "name": name, "created_at": DIED, "updated_at": DIED,
        "attributes": {"type": "CNAME", "content": "acme.example", "proxied": true, "ttl": 1}})
}

pub(super) fn branch(name: &str, parent: &str) -> Value {
    json!({"kind": "neon_branch", "name": name, "created_at": DIED, "updated_at": DIED,
        "attributes": {"parent": parent}})
}

/// A fault for deletions at a path.
pub(super) fn refused(path: &str, times: u32, fault: &Value) -> Value {
    json!({"on": {"method": "DELETE", "path": path}, "times": times, "fault": fault})
}

/// What happens when a request is sent. The request is given as method and
/// path, with names for ids.
pub(super) type Meanwhile = Box<dyn FnMut(&str) + Send>;

/// Records the requests between the program and the sandbox during a sweep.
#[derive(Default)]
pub(super) struct Wire {
    /// Ids and names, those of places included.
    names: Vec<(String, String)>,
    since: Option<Instant>,
    transcript: String,
    /// How much of the journal the transcript contains.
    journalled: usize,
    meanwhile: Option<Meanwhile>,
    /// Writing requests in flight, and their maximum so far.
    under_way: usize,
    pub(super) maximum: usize,
}

pub(super) struct Stage {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) folder: TempDir,
    pub(super) stop: Stop,
    pub(super) broken_journal: bool,
    /// Whether only resources with "delete" checked may be deleted.
    pub(super) approved: bool,
    /// Whether a person is asked, once the plan is made.
    pub(super) asks: bool,
    pub(super) wire: Arc<Mutex<Wire>>,
    /// The digests of what the last audit showed, by key.
    pub(super) versions: Mutex<BTreeMap<String, String>>,
}

/// Writes progress events to the transcript.
pub(super) struct Watcher(Arc<Mutex<Wire>>);

impl Observer for Watcher {
    fn step(&self, event: ProgressEvent<'_>) {
        let message = match event {
            ProgressEvent::Planned { kind, steps } => format!("{steps} {kind} planned"),
            ProgressEvent::Settled {
                kind,
                name,
                outcome,
                quota_left,
                ..
            } => format!("{kind} {name} {outcome}, {quota_left:?} requests left"),
            _ => return,
        };
        let _ = writeln!(self.0.lock().unwrap().transcript, "         > {message}");
    }
}

impl Stage {
    /// All pull requests are closed but 2, which is open.
    pub(super) fn new(resources: &[Value]) -> Self {
        Self::with(resources, POLICY, Options::default())
    }

    pub(super) fn with(resources: &[Value], policy: &str, options: Options) -> Self {
        fastrand::seed(1);
        let pull_requests = (1..=60).map(|number| {
            let open = number == 2;
            json!({"number": number, "state": if open { "open" } else { "closed" },
                "head_ref": format!("b{number}"), "head_repo": "acme/shop", "created_at": DIED,
                "updated_at": DIED, "closed_at": if open { Value::Null } else { json!(DIED) }})
        });
        let main = json!({"kind": "neon_branch", "name": "main", "created_at": DIED,
            "attributes": {"default": true}});
        let resources: Vec<_> = std::iter::once(&main).chain(resources).collect();
        let world = json!({"repository": "acme/shop", "now": NOW, "git_branches": ["main"],
            "zones": [{"name": "acme.example"}], "pull_requests": pull_requests.collect::<Vec<_>>(),
            "resources": resources});
        let world = World::read("world.json", &world.to_string()).unwrap();
        let kinds = providers::vocabulary();
        let source = PolicySource {
            path: "p.toml".to_owned(),
            text: policy.to_owned(),
        };
        let environment = PolicyContext {
            lookup: &|_| None,
            repository: None,
            names_file: &|_, _| Err("not found".to_owned()),
        };
        let policy = format!("repository = \"acme/shop\"\n{}", source.text);
        let source = PolicySource {
            text: policy,
            ..source
        };
        let loaded = Policies::read(
            &[source],
            &Vocabulary {
                kinds: &kinds,
                scopes: &providers::scopes(),
            },
            &environment,
        );
        Self {
            sandbox: Sandbox::new(world, options).unwrap(),
            policy: loaded.unwrap().policies.files.remove(0),
            limits: Limits::default(),
            folder: tempfile::tempdir().unwrap(),
            stop: Stop::default(),
            broken_journal: false,
            approved: false,
            asks: false,
            wire: Arc::default(),
            versions: Mutex::default(),
        }
    }

    /// The number of objects in a bucket, and none if it is gone.
    pub(super) fn objects(&self, bucket: &str) -> Option<u64> {
        let state = self.control(Method::GET, "state", &Value::Null);
        let mut all = state["resources"].as_array().unwrap().iter();
        let bucket = all.find(|one| one["name"] == bucket)?;
        bucket["attributes"]["objects"].as_u64()
    }

    /// Calls a control endpoint of the sandbox.
    pub(super) fn control(&self, method: Method, path: &str, body: &Value) -> Value {
        control(&self.sandbox, method, path, body)
    }

    /// Replaces the faults. Each one has to hit a request before the next call
    /// or the end of the test.
    pub(super) fn faults(&self, faults: &[Value]) {
        self.assert_every_fault_hit();
        self.control(Method::POST, "faults", &json!(faults));
    }

    fn assert_every_fault_hit(&self) {
        let hits = self.sandbox.fault_hits();
        assert!(!hits.contains(&0), "a fault was not met: {hits:?}");
    }

    /// Writes an issue by the account of the token, or replaces its text.
    pub(super) fn write_issue(&self, number: Option<u64>, text: &str) -> u64 {
        let (method, path) = match number {
            Some(number) => (Method::PATCH, format!("/issues/{number}")),
            None => (Method::POST, "/issues".to_owned()),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{BASE}/github/repos/acme/shop{path}"))
            .header("authorization", "Bearer sandbox")
            .header("user-agent", "a person")
            .body(Bytes::from(
                json!({"title": "left behind", "body": text}).to_string(),
            ))
            .unwrap();
        let answer = self.sandbox.call(request).now_or_never().unwrap().unwrap();
        let issue: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(answer.status().is_success(), "{issue}");
        issue["number"].as_u64().unwrap()
    }

    /// Sets what happens when requests are sent.
    pub(super) fn meanwhile(&self, meanwhile: impl FnMut(&str) + Send + 'static) {
        self.wire.lock().unwrap().meanwhile = Some(Box::new(meanwhile));
    }

    pub(super) fn variable(&self, name: &str) -> String {
        variable(&self.sandbox, name)
    }

    pub(super) fn client(&self, clock: Clock) -> Client {
        let (sandbox, wire) = (self.sandbox.clone(), self.wire.clone());
        let folder = self.folder.path().to_owned();
        let transport =
            BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
                let (sandbox, wire, folder) = (sandbox.clone(), wire.clone(), folder.clone());
                async move {
                    let path = request.uri().path();
                    let writes = request.method() != Method::GET && !path.ends_with("/graphql");
                    let line = wire
                        .lock()
                        .unwrap()
                        .leaves(request.method(), path, writes, &folder);
                    let answer = sandbox.call(request).await;
                    let status = answer.as_ref().map_or_else(ToString::to_string, |answer| {
                        answer.status().as_u16().to_string()
                    });
                    wire.lock().unwrap().answers(&line, &status, writes);
                    answer.map_err(|reset| TransportError::Broken(reset.to_string()))
                }
            }));
        Client::new(
            transport,
            endpoints(),
            clock,
            self.limits.deadline,
            self.limits.allotment,
        )
    }

    /// Sweeps all garbage, and calls `planned` once the plan is made.
    pub(super) async fn sweep(&self, planned: impl FnOnce(&mut PlanFile)) -> (Swept, String) {
        let clock = Clock::starting_at(self.sandbox.now());
        let watcher = Watcher(self.wire.clone());
        let collector = Collector {
            client: self.client(clock),
            files: std::slice::from_ref(&self.policy),
            scopes: vec![Scope {
                account: Some(self.variable("CLOUDFLARE_ACCOUNT_ID")),
                zones: vec!["acme.example".to_owned()],
                projects: vec![self.variable("NEON_PROJECT_ID")],
            }],
            limits: self.limits,
            only_pull_request: None,
            only_kinds: None,
            repository_ids: BTreeMap::new(),
            issue_authors: std::sync::Arc::default(),
            brought_back: Arc::default(),
            stored_reads: std::sync::Arc::default(),
            now: clock.start(),
            is_sandbox: true,
            observer: &watcher,
        };
        let (audit_scope, listed) = collector.list().await.unwrap();
        let choice = if self.approved {
            Choice::Approved
        } else {
            Choice::All
        };
        let mut audit = collector.audit(&audit_scope, listed, choice).await;
        let rows = audit.report.resources.iter();
        *self.versions.lock().unwrap() = rows
            .map(|row| (row.key.clone(), row.version.clone()))
            .collect();
        let mut plan_file = audit.plan_file();
        planned(&mut plan_file);
        audit.survey.agreed_at = self.asks.then(|| clock.now());
        self.wire.lock().unwrap().names.clear();
        let findings = &audit.findings;
        let resources = findings.inventory.resources.iter();
        let named = resources.filter(|one| one.id != one.name);
        let mut names: Vec<_> = named
            .map(|one| (one.id.to_string(), one.name.to_string()))
            .collect();
        let tagged = findings.inventory.resources.iter();
        names.extend(tagged.filter_map(|one| {
            let tag = one.incarnation.as_ref().filter(|tag| tag.len() == 32)?;
            Some((tag.to_string(), format!("tag of {}", one.name)))
        }));
        for (variable, name) in [
            ("CLOUDFLARE_ACCOUNT_ID", "ACCOUNT"),
            ("CLOUDFLARE_ZONE_ID", "ZONE"),
            ("NEON_PROJECT_ID", "PROJECT"),
        ] {
            names.push((self.variable(variable), name.to_owned()));
        }
        {
            let mut wire = self.wire.lock().unwrap();
            wire.names = names;
            wire.since = Some(Instant::now());
            wire.transcript.clear();
        }
        let folder = self.folder.path();
        let swept = if self.broken_journal {
            let ids = plan_file
                .resources(audit.survey.input.graph.kinds())
                .unwrap();
            let journal = Journal::begin_unwritable(folder, clock.now()).unwrap();
            let (steps, stop) = (&plan_file.steps, self.stop.clone());
            let sweep = Sweep::new(
                &audit.survey,
                steps,
                ids,
                self.limits.reread_after,
                journal,
                stop,
            );
            let (done, broken) = sweep.run(findings).await;
            let steps = steps.iter().zip(done);
            Swept {
                steps: steps.map(|(step, done)| StepRow::of(step, done)).collect(),
                broken: broken.map(|error| error.to_string()),
                ..Swept::default()
            }
        } else {
            let stop = &self.stop;
            let order = SweepOrder {
                plan_file: &plan_file,
                plan: &Plan::default(),
                folder,
                stop,
            };
            audit.sweep(&order).await.unwrap()
        };
        let mut wire = self.wire.lock().unwrap();
        wire.since = None;
        wire.journal(folder);
        let mut text = std::mem::take(&mut wire.transcript);
        for step in &swept.steps {
            let reason = wire.named(&step.reason);
            let outcome = step.outcome.name();
            let _ = writeln!(text, "= {} {}: {outcome}: {reason}", step.kind, step.name);
        }
        for one in &swept.settled {
            let reason = wire.named(&one.reason);
            let outcome = one.outcome.name();
            let _ = writeln!(
                text,
                "= earlier {} {}: {outcome}: {reason}",
                one.kind, one.name
            );
        }
        (swept, text)
    }

    /// Returns the result of a sweep without changes by others.
    pub(super) async fn swept(&self) -> String {
        self.sweep(|_| {}).await.1
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let state = self.control(Method::GET, "state", &Value::Null);
        let resources = state["resources"].as_array().unwrap();
        resources.iter().any(|one| one["name"] == name)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_every_fault_hit();
        }
    }
}

pub(super) fn control(sandbox: &Sandbox, method: Method, path: &str, body: &Value) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(format!("{BASE}/_sandbox/{path}"))
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let answer = sandbox.call(request).now_or_never().unwrap().unwrap();
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert!(answer.status().is_success(), "{body}");
    body
}

impl Wire {
    /// Replaces ids by names in a text.
    pub(super) fn named(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (id, name)| {
            text.replace(id, &format!("<{name}>"))
        })
    }

    pub(super) fn leaves(
        &mut self,
        method: &Method,
        path: &str,
        writes: bool,
        folder: &Path,
    ) -> String {
        let line = format!("{method} {}", self.named(path));
        if self.since.is_some() {
            self.journal(folder);
            self.under_way += usize::from(writes);
            self.maximum = self.maximum.max(self.under_way);
            if let Some(mut meanwhile) = self.meanwhile.take() {
                meanwhile(&line);
                self.meanwhile = Some(meanwhile);
            }
        }
        let at = self.since.map(|since| since.elapsed());
        at.map_or(String::new(), |at| {
            format!("{:8.3} {line}", at.as_secs_f64())
        })
    }

    pub(super) fn answers(&mut self, line: &str, status: &str, writes: bool) {
        if !line.is_empty() {
            self.under_way -= usize::from(writes);
            let _ = writeln!(self.transcript, "{line} -> {status}");
        }
    }

    /// Returns the transcript.
    pub(super) fn journal(&mut self, folder: &Path) {
        let mut text = String::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            text += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
        }
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for line in &lines[self.journalled..] {
            let what = match line["entry"].as_str().unwrap() {
                "run" => continue,
                "intent" => format!("{} {}", line["action"], line["resource"]["name"]),
                _ => line["outcome"].to_string(),
            };
            let entry = line["entry"].as_str().unwrap();
            let message = format!("         # {entry} {} {what}", line["step"]);
            let _ = writeln!(self.transcript, "{}", message.replace('"', ""));
        }
        self.journalled = lines.len();
    }
}

/// Returns the requests and journal entries of a transcript, and the outcomes.
pub(super) fn deeds(transcript: &str) -> String {
    let reads = |line: &str| {
        !line.starts_with('=') && (line.contains(" GET ") || line.contains("/graphql"))
    };
    let is_answer = |line: &str| line.starts_with("         > ");
    let lines = transcript
        .lines()
        .filter(|line| !reads(line) && !is_answer(line));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

pub(super) fn status(status: u16) -> Value {
    json!({"status": status, "body": {"success": false, "errors": [{"code": 1, "message": "so"}], "message": "so"}})
}

/// Another client deletes a Worker.
pub(super) fn delete(sandbox: &Sandbox, name: &str) {
    let account = variable(sandbox, "CLOUDFLARE_ACCOUNT_ID");
    let path = format!("/client/v4/accounts/{account}/workers/scripts/{name}");
    asked(sandbox, Method::DELETE, &path);
}

/// Returns the provider's answer to another client, null if it has no body.
pub(super) fn asked(sandbox: &Sandbox, method: Method, path: &str) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(format!("{BASE}{path}"))
        .header("authorization", "Bearer other")
        .body(Bytes::new())
        .unwrap();
    let answer = sandbox.call(request).now_or_never().unwrap().unwrap();
    assert!(answer.status().is_success());
    if answer.body().is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(answer.body()).unwrap()
}

pub(super) fn variable(sandbox: &Sandbox, name: &str) -> String {
    let mut variables = sandbox.environment(BASE).into_iter();
    variables.find(|(key, _)| *key == name).unwrap().1
}

pub(super) fn unanswered(method: &str, path: &str, fault: &Value) -> Value {
    json!({"on": {"method": method, "path": path}, "fault": fault})
}
