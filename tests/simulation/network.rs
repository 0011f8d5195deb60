//! The way between preview-gc and the stand-in: it takes time, breaks, lies and
//! crashes, and everything that passes is judged and written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use fastrand::Rng;
use http::{Method, StatusCode, header};
use preview_gc::sandbox::message::Response;
use preview_gc::sandbox::{Sandbox, faults};
use preview_gc::wire::{Transport, TransportError};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::util::BoxCloneSyncService;

use crate::in_process::BASE;
use crate::journals;
use crate::ledger::{Ledger, Listed, Moment, Request, RunKey, in_seconds};
use crate::oracle::{self, Deletion};
use crate::scenario::{Scenario, Weather, one_of};
use crate::storage::{self, STORAGE, is_addressed_by_name, is_known_by_name};

/// An invariant that does not hold, and how that shows.
#[derive(Debug, Clone)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

/// Where on a request's way its run crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    Leaving(usize),
    Answered(usize),
}

/// One step of a plan, as the ledger knows it.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    pub resource: usize,
    pub expires: bool,
}

/// A run that goes on, or is over.
pub struct Run {
    pub key: RunKey,
    pub folder: PathBuf,
    pub begun: Moment,
    pub crash: Option<CrashPoint>,
    pub crashed: Arc<Notify>,
    /// When it had listed what exists.
    pub listed: Option<Listed>,
    pub plan: Option<Vec<PlannedStep>>,
    /// How many requests it sent.
    pub sent: usize,
    /// Writing requests that reached a provider.
    pub writes: usize,
    /// Until when each provider asked it to wait.
    pub paused_until: BTreeMap<&'static str, Moment>,
    /// Where paths end that nobody answers while it goes on.
    pub outage: Option<&'static str>,
    /// Whether GitHub shows it no git branch and no open pull request.
    pub shown_nothing: bool,
}

/// What may be down for a whole run, beside [`STORAGE`].
const OUTAGES: [&str; 11] = [
    "/issues",
    "/workers/routes",
    "/pages/projects",
    "/environments",
    "/workers/scripts",
    "/workers/workers",
    "/workers/domains",
    "/dns_records",
    "/settings",
    "/branches",
    "/graphql",
];

pub struct State {
    pub random: Rng,
    pub weather: Weather,
    /// Whether another repository has the name of ours.
    pub impostor: bool,
    pub ledger: Ledger,
    pub runs: Vec<Run>,
    /// Which run began each journal, by actor and file.
    pub journals: BTreeMap<(usize, String), RunKey>,
    pub trace: Vec<String>,
    pub broken: Option<Violation>,
}

/// What a seed decides about one request.
struct Journey {
    number: usize,
    /// Its place among the requests of the ledger.
    index: usize,
    out: Duration,
    back: Duration,
    fault: Option<Fault>,
    crash: Option<CrashPoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The request is lost.
    ResetBefore,
    /// The answer is lost.
    ResetAfter,
    /// A server in between refuses.
    RefusedBefore(u16),
    /// The request takes effect, and the answer says that it failed.
    RefusedAfter(u16),
    /// Too many requests, says the provider.
    Throttled(u32),
    /// The answer ends early.
    Truncated,
    /// The answer is not true.
    Lie(&'static str),
}

/// A resource that a writing request is about.
struct About {
    resource: usize,
    /// Whether it only gets an expiry.
    expires: bool,
    /// Whether its expiry is taken away, because it stays.
    stays: bool,
    /// Whether it is only made ready for its deletion.
    prepares: bool,
    /// The id of the queue that it stops consuming.
    releases: Option<String>,
    /// Whether it is a Worker that stops binding others.
    unbinds: bool,
    /// Whether it was made after the run could last look.
    unseen: bool,
    /// Who uses it, if anybody does.
    used: Option<String>,
}

pub struct Network {
    pub sandbox: Arc<Sandbox>,
    pub scenario: Scenario,
    state: Mutex<State>,
}

fn provider(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("client") => "cloudflare",
        Some("api") => "neon",
        _ => "github",
    }
}

/// Whether a request changes something.
fn writes(method: &Method, path: &str) -> bool {
    *method != Method::GET && !path.ends_with("/graphql")
}

/// The branch whose expiry a request takes away.
fn stays(method: &Method, path: &str, body: &[u8]) -> Option<String> {
    let (_, id) = path.rsplit_once("/branches/")?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let expiry = body.pointer("/branch/expires_at");
    (*method == Method::PATCH && expiry == Some(&Value::Null)).then(|| id.to_owned())
}

/// What a writing request is about: kinds with ids, or names for Workers. None
/// when it is nothing that a sweep does.
pub fn targets(method: &Method, path: &str, body: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let text = |id: &str| {
        percent_encoding::percent_decode_str(id)
            .decode_utf8_lossy()
            .into_owned()
    };
    let one = |kind, id: &str| Some(vec![(kind, text(id))]);
    let delete = *method == Method::DELETE;
    let below_account = path.strip_prefix("/client/v4/accounts/");
    let below_account = below_account.and_then(|path| path.find('/').map(|at| &path[at..]));
    if let Some((kind, id)) = below_account.and_then(storage::at) {
        return if delete { one(kind, id) } else { None };
    }
    match parts.as_slice() {
        ["client", "v4", "accounts", _, "workers", "scripts", name] if delete => {
            one("worker", name)
        }
        ["client", "v4", "accounts", _, "workers", "domains", id] if delete => {
            one("worker_domain", id)
        }
        ["client", "v4", "accounts", _, "cfd_tunnel", id] if delete => one("tunnel", id),
        [
            "client",
            "v4",
            "accounts",
            _,
            "containers",
            "applications",
            id,
        ] if delete => one("container_application", id),
        ["client", "v4", "accounts", _, "access", "apps", id] if delete => {
            one("access_application", id)
        }
        [
            "client",
            "v4",
            "accounts",
            _,
            "workers",
            "workers",
            _,
            "previews",
            id,
        ] if delete => one("worker_preview", id),
        [
            "client",
            "v4",
            "accounts",
            _,
            "pages",
            "projects",
            _,
            "deployments",
            id,
        ] if delete => one("pages_deployment", id),
        ["client", "v4", "zones", _, "workers", "routes", id] if delete => one("worker_route", id),
        ["github", "repos", _, _, "environments", name] if delete => {
            one("github_environment", name)
        }
        ["github", "repos", _, _, "deployments", id] if delete => one("github_deployment", id),
        ["client", "v4", "zones", _, "dns_records", "batch"] if *method == Method::POST => {
            let body: Value = serde_json::from_slice(body).ok()?;
            let only_deletes = body.as_object()?.keys().all(|key| key == "deletes");
            let ids = body["deletes"].as_array().filter(|_| only_deletes)?;
            let ids = ids.iter().map(|one| one["id"].as_str().map(str::to_owned));
            ids.map(|id| Some(("dns_record", id?))).collect()
        }
        ["client", "v4", "zones", _, "dns_records", id] if delete => one("dns_record", id),
        ["api", "v2", "projects", _, "branches", id] if delete || *method == Method::PATCH => {
            one("neon_branch", id)
        }
        _ => None,
    }
}

/// What makes a deletion possible that comes next.
enum Prepares {
    /// Makes the deployment of that id inactive.
    Deployment(String),
    /// Removes the Worker that consumes the queue of that id.
    Consumer(String),
    /// Takes bindings of the Worker of that name away.
    Unbind(String),
}

fn prepares(method: &Method, path: &str) -> Option<Prepares> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["github", "repos", _, _, "deployments", id, "statuses"] if *method == Method::POST => {
            Some(Prepares::Deployment((*id).to_owned()))
        }
        ["client", "v4", "accounts", _, "queues", id, "consumers", _]
            if *method == Method::DELETE =>
        {
            Some(Prepares::Consumer((*id).to_owned()))
        }
        [
            "client",
            "v4",
            "accounts",
            _,
            "workers",
            "scripts",
            name,
            "settings",
        ] if *method == Method::PATCH => Some(Prepares::Unbind((*name).to_owned())),
        _ => None,
    }
}

impl Network {
    pub fn new(sandbox: Arc<Sandbox>, scenario: Scenario, random: Rng) -> Arc<Self> {
        let state = State {
            random,
            weather: scenario.weather.clone(),
            impostor: scenario.impostor,
            ledger: scenario.ledger.clone(),
            runs: Vec::new(),
            journals: BTreeMap::new(),
            trace: Vec::new(),
            broken: None,
        };
        Arc::new(Self {
            sandbox,
            scenario,
            state: Mutex::new(state),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Moment {
        self.sandbox.now()
    }

    /// Writes a line into the trace.
    pub fn note(&self, line: &str) {
        let at = (self.now() - self.scenario.world.now).num_milliseconds();
        let mut state = self.state();
        state.trace.push(format!("{at:>10} ms  {line}"));
    }

    /// Writes down that an invariant does not hold; the first one counts.
    pub fn broke(&self, invariant: &'static str, what: String) {
        self.note(&format!("VIOLATION of \"{invariant}\": {what}"));
        self.state()
            .broken
            .get_or_insert(Violation { invariant, what });
    }

    pub fn is_broken(&self) -> bool {
        self.state().broken.is_some()
    }

    /// A new run of an actor.
    pub fn begin(&self, actor: usize, folder: &Path, crash: Option<CrashPoint>) -> RunKey {
        let begun = self.now();
        let mut state = self.state();
        let run = state
            .runs
            .iter()
            .filter(|run| run.key.actor == actor)
            .count();
        let key = RunKey { actor, run };
        let breaks = state.weather.faults > 0 && state.random.u8(..4) == 0;
        let outages = STORAGE.iter().map(|one| one.path);
        let outages: Vec<_> = OUTAGES.into_iter().chain(outages).collect();
        let outage = breaks.then(|| one_of(&mut state.random, &outages));
        let shown_nothing = breaks && state.random.u8(..4) == 0;
        state.runs.push(Run {
            key,
            folder: folder.to_owned(),
            begun,
            crash,
            crashed: Arc::default(),
            listed: None,
            plan: None,
            sent: 0,
            writes: 0,
            paused_until: BTreeMap::new(),
            outage,
            shown_nothing,
        });
        key
    }

    /// Looks at a run, or changes it.
    pub fn run<T>(&self, key: RunKey, with: impl FnOnce(&mut Run) -> T) -> T {
        let mut state = self.state();
        let mut runs = state.runs.iter_mut();
        with(runs.find(|run| run.key == key).expect("the run began"))
    }

    /// The transport of one run.
    pub fn transport(self: &Arc<Self>, key: RunKey) -> Transport {
        let network = Arc::clone(self);
        BoxCloneSyncService::new(tower::service_fn(move |request| {
            let network = Arc::clone(&network);
            async move { network.carry(key, request).await }
        }))
    }

    /// Asks the stand-in as somebody else.
    pub async fn ask(&self, method: Method, target: &str, body: &Value) -> (StatusCode, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{BASE}{target}"))
            .header(header::AUTHORIZATION, "Bearer other")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))
            .expect("a request");
        let answer = self
            .sandbox
            .call(request)
            .await
            .expect("no fault breaks this");
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        (answer.status(), body)
    }

    async fn carry(
        &self,
        key: RunKey,
        request: http::Request<Bytes>,
    ) -> Result<Response, TransportError> {
        let path = request.uri().path().to_owned();
        let line = {
            let query = request
                .uri()
                .query()
                .map_or(String::new(), |query| format!("?{query}"));
            format!("{} {path}{query}", request.method())
        };
        let journey = self.depart(key, &request, &path);
        let number = journey.number;
        if journey.crash == Some(CrashPoint::Leaving(number)) {
            self.crash(key, &line).await;
        }
        let sent = self.now();
        tokio::time::sleep(journey.out).await;
        let reset = || {
            Err(TransportError::Broken(
                "the connection was reset".to_owned(),
            ))
        };
        match journey.fault {
            Some(Fault::ResetBefore) => {
                self.note_request(key, number, &line, "is lost");
                return reset();
            }
            Some(Fault::RefusedBefore(status)) => {
                tokio::time::sleep(journey.back).await;
                self.note_request(key, number, &line, &format!("-> {status} on the way"));
                return Ok(refusal(status, None));
            }
            Some(Fault::Throttled(seconds)) => {
                tokio::time::sleep(journey.back).await;
                self.note_request(key, number, &line, &format!("-> 429, wait {seconds} s"));
                self.pause(key, provider(&path), seconds);
                let status = if provider(&path) == "github" {
                    403
                } else {
                    429
                };
                return Ok(refusal(status, Some(seconds)));
            }
            _ => {}
        }
        let answer = self.arrive(key, sent, request, &path, &journey).await;
        let status = answer.status();
        let how = journey
            .fault
            .map_or(String::new(), |fault| format!(" ({fault:?})"));
        self.note_request(key, number, &line, &format!("-> {}{how}", status.as_u16()));
        if journey.crash == Some(CrashPoint::Answered(number)) {
            self.crash(key, &line).await;
        }
        tokio::time::sleep(journey.back).await;
        match journey.fault {
            Some(Fault::ResetAfter | Fault::Truncated) => reset(),
            Some(Fault::RefusedAfter(status)) => Ok(refusal(status, None)),
            _ if answer.headers().contains_key(faults::TRUNCATED) => reset(),
            _ => {
                if let Some(seconds) = retry_after(&answer) {
                    self.pause(key, provider(&path), seconds);
                }
                Ok(answer)
            }
        }
    }

    fn note_request(&self, key: RunKey, number: usize, line: &str, how: &str) {
        self.note(&format!("{}.{} #{number} {line} {how}", key.actor, key.run));
    }

    /// Ends the run where it is.
    async fn crash(&self, key: RunKey, line: &str) {
        self.note(&format!("{}.{} crashes at {line}", key.actor, key.run));
        self.run(key, |run| run.crashed.notify_one());
        std::future::pending::<()>().await;
    }

    fn pause(&self, key: RunKey, provider: &'static str, seconds: u32) {
        let until = self.now() + TimeDelta::seconds(seconds.into());
        self.run(key, |run| {
            let held = run.paused_until.entry(provider).or_insert(until);
            *held = until.max(*held);
        });
    }

    /// Draws how a request fares, and writes it down.
    fn depart(&self, key: RunKey, request: &http::Request<Bytes>, path: &str) -> Journey {
        let now = self.now();
        let provider = provider(path);
        let (number, paused, crash, down) = self.run(key, |run| {
            run.sent += 1;
            let paused = run.paused_until.get(provider).filter(|until| **until > now);
            let down = run.outage.is_some_and(|end| path.ends_with(end));
            (run.sent, paused.copied(), run.crash, down)
        });
        if let Some(until) = paused {
            let what = format!("{path} is sent at {now}, before {until}");
            self.broke("who was asked to wait waits", what);
        }
        let mut state = self.state();
        let index = state.ledger.requests.len();
        state.ledger.requests.push(Request {
            run: key,
            provider,
            arrived: None,
        });
        let weather = state.weather.clone();
        let random = &mut state.random;
        let (least, maximum) = weather.latency;
        let mut way = || Duration::from_millis(random.u64(least..=maximum));
        let (mut out, mut back) = (way(), way());
        if random.u32(..1_000) < weather.stalls {
            let stall = Duration::from_secs(random.u64(20..40));
            if random.bool() {
                out += stall;
            } else {
                back += stall;
            }
        }
        let fault = (random.u32(..1_000) < weather.faults).then(|| draw_fault(random, provider));
        let deletes = request.method() == Method::DELETE;
        let fault = match fault {
            _ if down => Some(Fault::RefusedBefore(500)),
            // Whoever answers does not know what it is about.
            Some(Fault::RefusedBefore(502)) if deletes => Some(Fault::RefusedBefore(404)),
            fault => fault,
        };
        Journey {
            number,
            index,
            out,
            back,
            fault: fault
                .filter(|fault| !matches!(fault, Fault::Lie(_)) || request.method() == Method::GET),
            crash,
        }
    }

    /// A request reaches its provider.
    async fn arrive(
        &self,
        key: RunKey,
        sent: Moment,
        mut request: http::Request<Bytes>,
        path: &str,
        journey: &Journey,
    ) -> Response {
        let now = self.now();
        let method = request.method().clone();
        self.state().ledger.requests[journey.index].arrived = Some(now);
        let about = writes(&method, path).then(|| self.judge(key, sent, &request, path));
        if let Some(Fault::Lie(lie)) = journey.fault {
            let fault = json!([{"on": {"path": "."}, "times": 1, "fault": lie}]);
            self.ask(Method::POST, "/_sandbox/faults", &fault).await;
        }
        let request_body = path.ends_with("/graphql").then(|| request.body().clone());
        let page = self.state().weather.page;
        if let Some(page) = page {
            smaller_pages(&mut request, path, page);
        }
        let answer = self
            .sandbox
            .call(request)
            .await
            .expect("no fault breaks this");
        let shown_nothing = self.run(key, |run| run.shown_nothing);
        let answer = match request_body.filter(|_| shown_nothing) {
            Some(query) => nothing_at_all(answer, query),
            None => answer,
        };
        if retry_after(&answer).is_some() {
            self.judge_refusal(key, now);
        }
        if let Some(about) = about
            && answer.status().is_success()
            // Neon says so of a branch that is not there; GitHub of every deletion.
            && (answer.status() != StatusCode::NO_CONTENT || provider(path) == "github")
        {
            for About {
                resource,
                expires,
                stays,
                prepares,
                releases,
                unbinds,
                unseen,
                used,
            } in about
            {
                if stays {
                    self.state().ledger.resources[resource].expires = None;
                    continue;
                }
                if unbinds {
                    self.unbound(resource, now).await;
                    continue;
                }
                if let Some(queue) = releases {
                    self.released(resource, &queue, now).await;
                    continue;
                }
                if prepares {
                    let made = in_seconds(now);
                    let ledger = &mut self.state().ledger;
                    ledger.resources[resource].changed.set(now, Some(made));
                    continue;
                }
                if let Some(why) = used {
                    self.broke("nothing that is in use is deleted", why);
                }
                let mut state = self.state();
                state.ledger.resources[resource].unseen = unseen;
                if expires {
                    let until = now + TimeDelta::hours(24);
                    let branch = &mut state.ledger.resources[resource];
                    branch.expires = Some(until);
                    branch.expires_anyway = false;
                } else {
                    state.ledger.remove(resource, now, Some(key));
                }
            }
        }
        answer
    }

    /// Judges that Cloudflare refused for too many requests: a run that was alone
    /// with its quota must not come to that.
    fn judge_refusal(&self, key: RunKey, now: Moment) {
        let window = TimeDelta::seconds(self.scenario.quota.seconds.into());
        let alone = {
            let ledger = &self.state().ledger;
            let recent = |at: &Moment| *at > now - window * 2;
            let mut requests = ledger.requests.iter().rev();
            !ledger.others.iter().any(recent)
                && !requests.any(|one| {
                    let counted = one.provider == "cloudflare" && one.run != key;
                    counted && one.arrived.as_ref().is_some_and(recent)
                })
        };
        if alone {
            let what = "Cloudflare refuses a run that is alone with its quota".to_owned();
            self.broke("no quota window is exceeded", what);
        }
    }

    /// The Worker that consumes a queue.
    fn consumer_of(&self, queue: &str) -> Option<(&'static str, String)> {
        let ledger = &self.state().ledger;
        let queue = ledger.find("queue", queue)?;
        let name = ledger.resources[queue].consumer.clone()?;
        Some(("worker", name))
    }

    /// Writes down that a Worker does not consume a queue any more.
    async fn released(&self, index: usize, queue: &str, now: Moment) {
        let worker = self.state().ledger.resources[index].clone();
        let bindings = self.bindings(&worker.name).await;
        let ledger = &mut self.state().ledger;
        let Some(queue) = ledger.find("queue", queue) else {
            return;
        };
        let bound_as = ledger.resources[queue].bound_as();
        let queue = &mut ledger.resources[queue];
        queue.consumer = None;
        // Its dead letters were those of its consumer.
        queue.binds.set(now, Vec::new());
        // A Worker that only consumes a queue has no binding to it.
        let sends = |one: &Value| one["queue_name"].as_str() == Some(&*bound_as.1);
        if worker.deployed == worker.latest && !bindings.iter().any(sends) {
            let mut binds = worker.binds.last().clone();
            binds.retain(|bound| *bound != bound_as);
            let worker = &mut ledger.resources[index];
            worker.deployed.clone_from(&binds);
            worker.latest.clone_from(&binds);
            worker.binds.set(now, binds);
        }
    }

    /// What the latest version of a Worker binds, as the provider shows it.
    async fn bindings(&self, name: &str) -> Vec<Value> {
        let account = crate::others::variable(self, "CLOUDFLARE_ACCOUNT_ID");
        let target = format!("/client/v4/accounts/{account}/workers/scripts/{name}/settings");
        // Whoever looks spends the same quota.
        let now = self.now();
        self.state().ledger.others.push(now);
        let (_, body) = self.ask(Method::GET, &target, &Value::Null).await;
        let bindings = body["result"]["bindings"].as_array().cloned();
        bindings.unwrap_or_default()
    }

    /// Writes down which Workers a Worker binds after it was made ready.
    async fn unbound(&self, index: usize, now: Moment) {
        let worker = self.state().ledger.resources[index].clone();
        let bindings = self.bindings(&worker.name).await;
        let services = bindings.iter().filter_map(|one| one["service"].as_str());
        let services: Vec<&str> = services.collect();
        let mut binds = worker.binds.last().clone();
        let before = binds.len();
        binds.retain(|(kind, name)| *kind != "worker" || services.contains(&&**name));
        if binds.len() < before {
            let ledger = &mut self.state().ledger;
            ledger.features.insert("a Worker that a run unbinds");
            ledger.resources[index].deployed.clone_from(&binds);
            ledger.resources[index].latest.clone_from(&binds);
            ledger.resources[index].binds.set(now, binds);
            ledger.resources[index].unbound = Some(now);
        }
    }

    /// Judges a writing request; gives the resources that it is about.
    fn judge(
        &self,
        key: RunKey,
        sent: Moment,
        request: &http::Request<Bytes>,
        path: &str,
    ) -> Vec<About> {
        let now = self.now();
        let prepares = prepares(request.method(), path);
        let unbinds = matches!(prepares, Some(Prepares::Unbind(_)));
        let expires = request.method() == Method::PATCH && !unbinds;
        let (plan, begun, listed, folder) = self.run(key, |run| {
            run.writes += 1;
            let (plan, folder) = (run.plan.clone(), run.folder.clone());
            (plan, run.begun, run.listed, folder)
        });
        if self.state().impostor {
            let what = format!("{path}: the repository of that name is another one");
            self.broke("nothing live, protected or unmatched is deleted", what);
        }
        let outside = |what: String| self.broke("nothing outside of the plan is done", what);
        let line = format!("{} {path}", request.method());
        let (Some(plan), Some(listed)) = (plan, listed) else {
            outside(format!("{line} was sent before there was a plan"));
            return Vec::new();
        };
        if let Some(branch) = stays(request.method(), path, request.body()) {
            let found = {
                let ledger = &self.state().ledger;
                let found = ledger.find("neon_branch", &branch);
                found.filter(|index| {
                    let branch = &ledger.resources[*index];
                    branch.expires.is_some() && !branch.expires_anyway
                })
            };
            if found.is_none() {
                outside(format!(
                    "{line} is about a branch that no run gave an expiry"
                ));
            }
            let about = |resource| About {
                resource,
                expires: false,
                stays: true,
                prepares: false,
                releases: None,
                unbinds: false,
                unseen: false,
                used: None,
            };
            return found.map(about).into_iter().collect();
        }
        let targets = match &prepares {
            Some(Prepares::Unbind(worker)) => Some(vec![("worker", worker.clone())]),
            Some(Prepares::Deployment(id)) => Some(vec![("github_deployment", id.clone())]),
            // Without a consumer it was removed before, and the answer was lost.
            Some(Prepares::Consumer(queue)) => Some(self.consumer_of(queue).into_iter().collect()),
            None => targets(request.method(), path, request.body()),
        };
        let Some(targets) = targets else {
            outside(format!("{line} is nothing that a sweep does"));
            return Vec::new();
        };
        if let Some(Prepares::Consumer(queue)) = &prepares {
            let stays = {
                let ledger = &self.state().ledger;
                let stays = ledger.find("queue", queue).filter(|index| {
                    let deletion = Deletion {
                        resource: *index,
                        expires: false,
                        begun,
                        listed,
                        rests_on: sent - reread_after(&self.scenario),
                        arrives: now,
                    };
                    oracle::wanted(&self.scenario, ledger, &deletion).is_some()
                });
                stays.map(|index| ledger.resources[index].name.clone())
            };
            if let Some(name) = stays {
                outside(format!("{line} changes queue {name}, which stays"));
            }
        }
        let rests_on = sent - reread_after(&self.scenario);
        let mut about = Vec::new();
        for (kind, id) in targets {
            let mut found = None;
            let mut wrong = Vec::new();
            {
                let state = self.state();
                let ledger = &state.ledger;
                let named = is_addressed_by_name(kind);
                let resource = if named {
                    ledger.named(kind, &id)
                } else {
                    ledger.find(kind, &id)
                };
                let is_planned = |step: &PlannedStep| {
                    let planned = &ledger.resources[step.resource];
                    let same =
                        planned.kind == kind && (planned.id == id || (named && planned.name == id));
                    same && step.expires == expires
                };
                let planned = plan.iter().find(|step| is_planned(step));
                match (planned, resource) {
                    (None, _) => wrong.push((
                        "nothing outside of the plan is done",
                        format!("{line} is about {kind} {id}, which was not planned"),
                    )),
                    // It is gone already.
                    (Some(_), None) => {}
                    (Some(_), Some(index)) if !ledger.resources[index].is_there() => {}
                    (Some(step), Some(index)) => {
                        let resource = &ledger.resources[index];
                        let deletion = Deletion {
                            resource: index,
                            expires,
                            begun,
                            listed,
                            rests_on,
                            arrives: now,
                        };
                        let name = format!("{kind} {}", resource.name);
                        // What is deleted by its name, and was made anew since
                        // nobody could look.
                        let by_name = named || is_known_by_name(kind);
                        let unseen = by_name && step.resource != index && resource.born >= rests_on;
                        if step.resource != index && !unseen {
                            wrong.push((
                                "nothing that was made anew is deleted",
                                format!("{name} was made anew at {}", resource.born),
                            ));
                        }
                        if !unseen
                            && let Some(why) = oracle::wanted(&self.scenario, ledger, &deletion)
                        {
                            wrong.push((
                                "nothing live, protected or unmatched is deleted",
                                format!("{name}: {why}"),
                            ));
                        }
                        let to_delete = |resource: usize| {
                            let deletion = Deletion {
                                resource,
                                ..deletion
                            };
                            let mut steps = plan.iter();
                            steps.any(|step| step.resource == resource && !step.expires)
                                && oracle::wanted(&self.scenario, ledger, &deletion).is_none()
                        };
                        let used = ledger.user_since(index, rests_on, to_delete);
                        let attached =
                            || oracle::attached_that_stays(&self.scenario, ledger, &deletion);
                        let used = used.or_else(attached).filter(|_| !expires);
                        let used = used.map(|user| format!("{name} is used by {user}"));
                        found = Some(About {
                            resource: index,
                            expires,
                            stays: false,
                            prepares: prepares.is_some(),
                            releases: match &prepares {
                                Some(Prepares::Consumer(queue)) => Some(queue.clone()),
                                _ => None,
                            },
                            unbinds,
                            unseen,
                            used,
                        });
                    }
                }
                if let Some(step) = planned {
                    let planned = &ledger.resources[step.resource];
                    // The intent is that of the deletion for which it is unbound.
                    let written = if unbinds {
                        let change = line.replace("/client/v4", "");
                        let mut texts = journals::files(&folder).into_values();
                        texts.any(|text| text.contains(&change))
                    } else {
                        journals::has_intent(&folder, planned)
                    };
                    if !written {
                        wrong.push((
                            "what is done is written down first",
                            format!("{line} arrived, and no journal has its intent"),
                        ));
                    }
                }
            }
            for (invariant, what) in wrong {
                self.broke(invariant, what);
            }
            about.extend(found);
        }
        about
    }
}

pub fn reread_after(scenario: &Scenario) -> TimeDelta {
    TimeDelta::from_std(scenario.limits.reread_after).expect("seconds")
}

fn draw_fault(random: &mut Rng, provider: &str) -> Fault {
    let status = |random: &mut Rng, among: &[u16]| among[random.usize(..among.len())];
    match random.u8(..7) {
        0 => Fault::ResetBefore,
        1 => Fault::ResetAfter,
        2 => Fault::RefusedBefore(status(random, &[500, 502, 503, 504])),
        // Neon promises that what is answered with 503 had no effect.
        3 if provider == "neon" => Fault::RefusedAfter(status(random, &[500, 502, 504])),
        3 => Fault::RefusedAfter(status(random, &[500, 502, 503, 504])),
        4 => Fault::Throttled(random.u32(1..20)),
        5 => Fault::Truncated,
        _ => Fault::Lie(["empty_page", "repeat_page", "wrong_total"][random.usize(..3)]),
    }
}

fn refusal(status: u16, wait: Option<u32>) -> Response {
    let mut response = Response::new(Bytes::from_static(b"{\"message\": \"not now\"}"));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if let Some(seconds) = wait {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The answer to a query of git branches or of open pull requests, as if there were
/// none.
fn nothing_at_all(mut answer: Response, query: Bytes) -> Response {
    let query = String::from_utf8_lossy(&query);
    let is_list = query.contains("refs(refPrefix") || query.contains("states:[OPEN]");
    if !is_list {
        return answer;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(answer.body()) else {
        return answer;
    };
    let page = &mut body["data"]["repository"]["page"];
    if page.is_object() {
        page["nodes"] = json!([]);
        page["totalCount"] = json!(0);
        page["pageInfo"] = json!({"hasNextPage": false, "endCursor": null});
        *answer.body_mut() = Bytes::from(body.to_string());
    }
    answer
}

/// How long the stand-in itself wants a client to wait.
fn retry_after(answer: &Response) -> Option<u32> {
    let refused = answer.status() == StatusCode::TOO_MANY_REQUESTS;
    let wait = answer
        .headers()
        .get(header::RETRY_AFTER)
        .filter(|_| refused)?;
    wait.to_str().ok()?.parse().ok()
}

/// Asks for smaller pages, as a provider may give them: then listings are read
/// in many requests, and shift in between.
fn smaller_pages(request: &mut http::Request<Bytes>, path: &str, page: u64) {
    let numbered = ["/storage/kv/namespaces", "/dns_records", "/workers/workers"];
    let (key, page) = if numbered.iter().any(|end| path.ends_with(end)) {
        ("per_page", page)
    } else if path.ends_with("/d1/database") {
        ("per_page", 10)
    } else if path.starts_with("/api/v2/") && path.ends_with("/branches") {
        ("limit", page)
    } else {
        return;
    };
    let Some(query) = request
        .uri()
        .query()
        .filter(|_| request.method() == Method::GET)
    else {
        return;
    };
    let mut changed = format!("{BASE}{path}?");
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let page = page.to_string();
        let value = if name == key { &page } else { &*value };
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let _ = write!(changed, "{name}={value}&");
    }
    *request.uri_mut() = changed.trim_end_matches('&').parse().expect("an address");
}
