//! What one seed draws: a world, a policy, limits, weather, and who else is
//! about.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{SubsecRound as _, TimeDelta};
use fastrand::Rng;
use preview_gc::collector::Limits;
use preview_gc::gc::brakes::BrakeLimits;
use preview_gc::sandbox::quota::SandboxQuota;
use preview_gc::sandbox::world::{self, World, WorldPullRequestState};
use preview_gc::wire::Allotment;
use serde_json::{Map, Value, json};

use crate::ledger::{Binding, History, Ledger, Moment, PullRequest, Purpose, Resource, in_seconds};

use crate::rare::{self, Rare};
use crate::storage::{Id, STORAGE, Times, is_known_by_name, storage};

pub const REPOSITORY: &str = "acme/shop";
pub const ZONE: &str = "preview.example.com";

/// What happens to dead resources of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Delete,
    Report,
    Expire,
}

/// The rule of a kind, as its owner meant it.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub merged_only: bool,
    pub grace: TimeDelta,
    pub action: Action,
}

/// The kinds that are drawn beside [`STORAGE`].
const OTHER_KINDS: [&str; 12] = [
    "container_application",
    "tunnel",
    "access_application",
    "worker",
    "worker_domain",
    "worker_route",
    "worker_preview",
    "dns_record",
    "neon_branch",
    "pages_deployment",
    "github_environment",
    "github_deployment",
];

/// The kinds that are drawn.
pub fn kinds() -> Vec<&'static str> {
    let storage = STORAGE.iter().map(|one| one.kind);
    OTHER_KINDS.into_iter().chain(storage).collect()
}

/// What only some worlds have, beside some of [`STORAGE`].
const SOMETIMES: [&str; 9] = [
    "container_application",
    "tunnel",
    "access_application",
    "worker_route",
    "worker_preview",
    "pages_deployment",
    "github_environment",
    "github_deployment",
    "run",
];

/// The kinds that have rules of their own, beside [`STORAGE`].
const RULED: [(&str, &str); 8] = [
    ("container_application", r#""app-pr-{pr}-run""#),
    ("tunnel", r#""tunnel-{pr}""#),
    ("access_application", r#""guard-{pr}""#),
    ("worker", r#"["app-pr-{pr}", "api-pr-{pr}"]"#),
    ("dns_record", r#""{pr}.preview.example.com""#),
    (
        "neon_branch",
        r#"["preview/pr-{pr}", "preview/pr-{pr}-{any:a-z}"]"#,
    ),
    ("worker_preview", r#""pr-{pr}""#),
    ("github_environment", r#""preview-{pr}""#),
];

/// All kinds that have rules of their own, with the names in them.
pub fn ruled() -> Vec<(&'static str, String)> {
    let named = RULED.iter().map(|(kind, name)| (*kind, (*name).to_owned()));
    let storage = STORAGE
        .iter()
        .map(|one| (one.kind, format!("\"{}\"", one.template)));
    named.chain(storage).collect()
}

/// The rules of names that say a git branch, a slug or an Actions run: what the
/// rule is called, its kind, and its line with the name.
const OTHERS: [(&str, &str, &str); 4] = [
    ("heads", "neon_branch", r#"name = "git/{branch}""#),
    (
        "pages",
        "pages_deployment",
        "project = \"docs\"\nbranch = \"{branch}\"",
    ),
    ("slugs", "kv_namespace", r#"name = "site-{slug:short}""#),
    ("runs", "d1", r#"name = ["ci-{run}", "ci-{run}-{any:a-z}"]"#),
];

/// The name of the git branch that a pull request comes from.
pub fn head(number: u32) -> String {
    format!("Feature/{number}")
}

/// How long a temporary resource may exist.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    pub longest: TimeDelta,
    /// Whether it counts from when something was made, and not from its last
    /// change.
    pub from_birth: bool,
}

impl Lifetime {
    pub fn has_ended(self, resource: &Resource, changed: Option<Moment>, now: Moment) -> bool {
        let from = if self.from_birth {
            Some(in_seconds(resource.born))
        } else {
            changed
        };
        from.is_some_and(|from| from + self.longest < now)
    }
}

/// The kinds of which some are for a while, with their names.
pub const PASSING: [(&str, &str); 3] = [
    ("worker", "tmp-{any:a-z}"),
    ("dns_record", "tmp-{any:a-z}.preview.example.com"),
    ("neon_branch", "tmp/{any:a-z}"),
];

/// The situation that a seed draws more often than others: a rule that guards
/// against a rare one is tested only if it comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Mixed,
    /// Custom domains and routes are pointed at other Workers.
    Pointers,
    /// Slugs of closed heads begin those of open ones.
    Slugs,
    /// Pull requests are opened again whose Neon branch expires.
    Expiries,
    /// Workers that go consume queues that stay.
    Queues,
}

/// How requests fare.
#[derive(Debug, Clone)]
pub struct Weather {
    /// The least and the most milliseconds of one way.
    pub latency: (u64, u64),
    /// Of a thousand requests, how many take so long that nobody waits.
    pub stalls: u32,
    /// Of a thousand requests, how many meet a fault.
    pub faults: u32,
    /// The most items of a page, where that is less than what was asked for.
    pub page: Option<u64>,
    /// How far the machine's clock is ahead of the providers'.
    pub skew: TimeDelta,
}

impl Weather {
    pub fn calm() -> Self {
        Self {
            latency: (1, 20),
            stalls: 0,
            faults: 0,
            page: None,
            skew: TimeDelta::zero(),
        }
    }
}

/// Everything that a seed decides beforehand.
pub struct Scenario {
    pub theme: Theme,
    /// Whether nothing else comes in between: runs delete much, see everything,
    /// and carry out plans that were made hours before.
    pub focused: bool,
    pub world: World,
    pub ledger: Ledger,
    pub policy: String,
    /// A second file without any scope, which only protects.
    pub protects: Option<String>,
    /// The terms of rules by their name: a kind, or one of the others.
    pub terms: Vec<(&'static str, Terms)>,
    pub lifetimes: Vec<(&'static str, Lifetime)>,
    pub limits: Limits,
    pub quota: SandboxQuota,
    pub weather: Weather,
    /// The mean time between two changes by others, if there are any.
    pub change_every: Option<Duration>,
    /// The most of them.
    pub changes: usize,
    /// Whether people label pull requests and mark resources as ones to keep.
    pub marks: bool,
    /// Resources that `restore` brought back, by their indices.
    pub brought_back: Vec<usize>,
    /// Whether another repository has the name of ours until faults stop.
    pub impostor: bool,
    /// How many preview-gc are at work.
    pub actors: usize,
    /// How often each is started while things go wrong.
    pub runs: usize,
    /// Of a thousand runs, how many crash.
    pub crashes: u32,
    /// Whether the cap holds too once faults stop: most seeds drain the backlog
    /// in a few runs, which leaves time for more seeds.
    pub drains_slowly: bool,
}

pub fn one_of<T: Copy>(random: &mut Rng, among: &[T]) -> T {
    among[random.usize(..among.len())]
}

/// Makes ids in the providers' forms.
pub fn new_id(random: &mut Rng, kind: &str) -> String {
    match kind {
        "neon_branch" => format!("br-drawn-snow-{:08}", random.u32(..100_000_000)),
        "github_environment" | "github_deployment" => random.u32(1..).to_string(),
        kind if matches!(
            kind,
            "pages_deployment" | "tunnel" | "container_application"
        ) || storage(kind)
            .is_some_and(|one| [Id::Uuid, Id::NameAndUuid].contains(&one.id)) =>
        {
            format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                random.u32(..),
                random.u16(..),
                random.u16(..0x1000),
                random.u16(..0x1000),
                random.u64(..0x1_0000_0000_0000)
            )
        }
        _ => format!("{:032x}", random.u128(..)),
    }
}

/// Whether a kind has times at all.
pub fn has_times(kind: &str) -> bool {
    !matches!(
        kind,
        "worker_domain" | "worker_route" | "access_application"
    ) && storage(kind).is_none_or(|one| one.times != Times::None)
}

/// Whether a kind tells when something was changed last.
pub fn has_changes(kind: &str) -> bool {
    has_times(kind)
        && kind != "pages_deployment"
        && storage(kind).is_none_or(|one| one.times == Times::CreatedAndChanged)
}

/// What a resource is made with.
#[derive(Default)]
pub struct With {
    pub attributes: Value,
    pub binds: Vec<Binding>,
    pub parent: Option<usize>,
}

impl With {
    pub fn attributes(attributes: Value) -> Self {
        Self {
            attributes,
            ..Self::default()
        }
    }

    fn bindings(bindings: Vec<Value>, binds: Vec<Binding>) -> Self {
        Self {
            binds,
            ..Self::attributes(json!({ "bindings": bindings }))
        }
    }

    fn parent(name: &str, index: usize) -> Self {
        Self {
            parent: Some(index),
            ..Self::attributes(json!({ "parent": name }))
        }
    }
}

pub struct Draw<'a> {
    pub random: &'a mut Rng,
    pub theme: Theme,
    /// Which of the kinds there are that only some worlds have.
    pub kinds: Vec<&'static str>,
    pub now: Moment,
    pub ledger: Ledger,
    pub resources: Vec<world::WorldResource>,
}

impl Draw<'_> {
    /// Adds a resource that was made so long before now, and gives its index.
    pub fn add(
        &mut self,
        kind: &'static str,
        name: &str,
        purpose: Purpose,
        age: TimeDelta,
        with: With,
    ) -> usize {
        // Some are known by their name alone.
        let drawn = new_id(self.random, kind);
        let id = if is_known_by_name(kind) {
            name.to_owned()
        } else {
            drawn
        };
        let name = match kind {
            "pages_deployment" | "github_deployment" => id.clone(),
            _ => name.to_owned(),
        };
        let made = (self.now - age).trunc_subsecs(0);
        let times = has_times(kind).then_some(made);
        let attributes: Map<_, _> = with.attributes.as_object().cloned().unwrap_or_default();
        self.resources.push(world::WorldResource {
            kind: kind.to_owned(),
            name: name.clone(),
            id: (kind != "github_environment").then(|| id.clone()),
            created_at: times,
            updated_at: times.filter(|_| has_changes(kind)),
            attributes,
        });
        self.ledger.resources.push(Resource {
            kind,
            name,
            id,
            purpose,
            born: made,
            gone: None,
            deleted_by: None,
            unseen: false,
            unbound: None,
            changed: History::new(made, times),
            deployed: with.binds.clone(),
            latest: with.binds.clone(),
            binds: History::new(made, with.binds),
            recorded: false,
            parent: with.parent,
            expires: None,
            expires_anyway: false,
            consumer: None,
            runs_for: None,
            hangs_on: None,
            untold: false,
            moved: None,
            pointed: Vec::new(),
            marked: History::new(made, false),
        });
        self.ledger.resources.len() - 1
    }

    fn purpose(&mut self, number: u32) -> Purpose {
        match self.random.u8(..16) {
            0 => Purpose::Protected(number),
            1 => Purpose::Kept(number),
            _ => Purpose::PullRequest(number),
        }
    }

    /// For what something is whose name has a number, with the repository and
    /// the number that its provider recorded, which are stronger.
    fn recorded(&mut self, number: u32, what: &str) -> (Purpose, &'static str, u32) {
        let features = &mut self.ledger.features;
        match self.random.u8(..8) {
            0..2 => {
                features.insert(if what == "Preview" {
                    "a Preview of another repository"
                } else {
                    "a branch of another repository"
                });
                (Purpose::Elsewhere(number), "acme/other", number)
            }
            2..4 => {
                features.insert(if what == "Preview" {
                    "a Preview of another number"
                } else {
                    "a branch of another number"
                });
                let other = self.random.u32(1..=12);
                (self.purpose(other), REPOSITORY, other)
            }
            _ => (self.purpose(number), REPOSITORY, number),
        }
    }

    fn has(&self, kind: &str) -> bool {
        self.kinds.contains(&kind)
    }

    /// What a pull request has of the kinds that only some worlds have.
    fn more(&mut self, number: u32, age: TimeDelta, main: usize) {
        let named = |ledger: &Ledger, name: &str| ledger.named("worker", name);
        let app = named(&self.ledger, &format!("app-pr-{number}"));
        if self.has("worker_preview") && self.random.bool() {
            // Some were made by another repository, as their annotations say.
            let (purpose, repository, recorded) = self.recorded(number, "Preview");
            let with = With::attributes(json!({"worker": "site", "repository": repository,
                "pull_request_number": recorded}));
            self.add(
                "worker_preview",
                &format!("pr-{number}"),
                purpose,
                age,
                with,
            );
        }
        if self.has("container_application") && self.random.bool() {
            let site = named(&self.ledger, "site");
            let worker = [app, site, None][self.random.usize(..3)];
            self.application(number, age, worker);
        }
        if let Some(app) = app {
            if self.has("worker_route") && self.random.bool() {
                let pattern = format!("app-{number}-route.{ZONE}/*");
                let with =
                    With::attributes(json!({"script": format!("app-pr-{number}"), "zone": ZONE}));
                self.add("worker_route", &pattern, Purpose::OfWorker(app), age, with);
            }
            if self.random.u8(..6) == 0 {
                let with =
                    With::attributes(json!({"service": format!("app-pr-{number}"), "zone": ZONE}));
                let host = format!("www-{}.{ZONE}", self.random.lowercase());
                if self.ledger.named("worker_domain", &host).is_none() {
                    self.add("worker_domain", &host, Purpose::Serves(app), age, with);
                }
            }
        }
        if self.has("github_environment") && self.random.bool() {
            let purpose = self.purpose(number);
            let name = format!("preview-{number}");
            let environment = self.add("github_environment", &name, purpose, age, With::default());
            if self.has("github_deployment") && self.random.bool() {
                let with = With::attributes(
                    json!({"environment": name, "ref": head(number), "state": "success"}),
                );
                let of = Purpose::OfWorker(environment);
                self.add("github_deployment", "", of, age, with);
            }
        }
        if self.has("pages_deployment") && self.random.bool() {
            let with = With::attributes(
                json!({"project": "docs", "environment": "preview", "branch": head(number)}),
            );
            self.add("pages_deployment", "", Purpose::Head(number), age, with);
        }
        if self.random.u8(..4) == 0 {
            let with = With::parent("main", main);
            let name = format!("git/{}", head(number));
            self.add("neon_branch", &name, Purpose::Head(number), age, with);
        }
        if self.random.u8(..4) == 0 || self.theme == Theme::Slugs {
            let name = format!("site-feature-{number}");
            let purpose = Purpose::Slug(number);
            self.add("kv_namespace", &name, purpose, age, With::default());
        }
        if self.random.u8(..6) == 0 {
            let name = format!("old-{number}");
            let purpose = Purpose::Aged(number);
            let with = With::bindings(Vec::new(), Vec::new());
            self.add("worker", &name, purpose, age, with);
        }
    }

    /// A Container application of a Worker, or of one that is gone.
    fn application(&mut self, number: u32, age: TimeDelta, worker: Option<usize>) {
        let script = worker.map(|worker| self.ledger.resources[worker].name.clone());
        let takes = one_of(self.random, &[0, 0, 500, 4_000]);
        let with = With::attributes(json!({"worker": script, "deletion_ms": takes}));
        let purpose = self.purpose(number);
        let name = format!("app-pr-{number}-run");
        let made = self.add("container_application", &name, purpose, age, with);
        self.ledger.resources[made].runs_for = worker;
        self.ledger.features.insert(match worker {
            Some(_) => "a Container application of a Worker",
            None => "a Container application whose Worker is gone",
        });
    }

    /// What another repository of the same account has under the same numbers.
    fn neighbours(&mut self, number: u32, opened: Moment, ended: Option<Moment>) {
        if self.random.u8(..4) > 0 {
            return;
        }
        let before = opened - TimeDelta::hours(self.random.i64(1..2_000));
        let after = ended.map(|at| at + TimeDelta::hours(self.random.i64(170..2_000)));
        let made = match after.filter(|at| *at < self.now) {
            Some(after) if self.random.bool() => after,
            _ => before,
        };
        let age = self.now - made;
        let purpose = Purpose::PullRequest(number);
        let name = format!("api-pr-{number}");
        if self.ledger.named("worker", &name).is_none() {
            let with = With::bindings(Vec::new(), Vec::new());
            self.add("worker", &name, purpose, age, with);
        }
    }

    /// What was made for Actions runs.
    fn runs(&mut self) {
        if !self.has("run") {
            return;
        }
        for id in 1..=4 {
            let run = 24_308_663_000 + id;
            let age = TimeDelta::hours(self.random.i64(1..90 * 24));
            let finished = self.now - TimeDelta::minutes(self.random.i64(1..=age.num_minutes()));
            let goes_on = self.random.u8(..3) == 0;
            let finished = (!goes_on).then_some(in_seconds(finished));
            // GitHub forgets some.
            if self.random.u8(..4) > 0 {
                self.ledger.runs.insert(run, finished);
            }
            let purpose = Purpose::Run(run);
            for name in [format!("ci-{run}"), format!("ci-{run}-more")] {
                if self.random.bool() {
                    self.add("d1", &name, purpose, age, With::default());
                }
            }
        }
    }

    /// What one pull request's environment consists of.
    fn environment(&mut self, number: u32, age: TimeDelta, main: usize) {
        let mut bindings = Vec::new();
        let mut binds = Vec::new();
        let mut queues = Vec::new();
        let mut api = None;
        let all = STORAGE.iter();
        let all = all.flat_map(|one| one.names.iter().map(move |name| (one, name)));
        for (one, (end, key)) in all {
            let (kind, name) = (one.kind, format!("app-pr-{number}-{end}"));
            if (one.rare && !self.has(kind)) || self.random.u8(..3) == 0 {
                continue;
            }
            let mut purpose = self.purpose(number);
            if kind == "queue" && self.theme == Theme::Queues && self.random.bool() {
                purpose = Purpose::Protected(number);
            }
            let made = self.add(kind, &name, purpose, age, With::default());
            if kind == "queue" {
                queues.push(made);
            }
            if self.random.u8(..4) > 0 {
                bindings.push(json!({"type": kind, "name": key, "target": name}));
                binds.push(self.ledger.resources[made].bound_as());
            }
        }
        let pointers = self.theme == Theme::Pointers;
        if self.random.bool() || pointers {
            let purpose = self.purpose(number);
            let name = format!("api-pr-{number}");
            api = Some(self.add("worker", &name, purpose, age, With::default()));
            if self.random.bool() {
                bindings.push(json!({"type": "service", "name": "API", "target": name}));
                binds.push(("worker", name));
            }
        }
        if self.random.u8(..4) > 0 || pointers {
            let purpose = self.purpose(number);
            let name = format!("app-pr-{number}");
            let with = With::bindings(bindings, binds);
            let worker = self.add("worker", &name, purpose, age, with);
            for queue in &queues {
                self.consume(worker, *queue);
            }
            if let [jobs, mail] = *queues
                && self.ledger.resources[jobs].consumer.is_some()
                && self.random.bool()
            {
                let letters = self.ledger.resources[mail].name.clone();
                let attributes = &mut self.resources[jobs].attributes;
                attributes.insert("dead_letter_queue".to_owned(), json!(letters));
                let queue = &mut self.ledger.resources[jobs];
                queue.binds = History::new(queue.born, vec![("queue", letters)]);
                self.ledger.features.insert("a dead-letter queue");
            }
            if let Some(api) = api.filter(|_| self.random.u8(..4) == 0) {
                let bindings = json!([{"type": "service", "name": "APP", "target": name}]);
                let attributes = &mut self.resources[api].attributes;
                attributes.insert("bindings".to_owned(), bindings);
                let back = ("worker", name.clone());
                let bound_as = self.ledger.resources[api].bound_as();
                if self.ledger.resources[worker]
                    .binds
                    .last()
                    .contains(&bound_as)
                {
                    self.ledger.features.insert("Workers that bind each other");
                }
                let api = &mut self.ledger.resources[api];
                api.deployed = vec![back.clone()];
                api.latest = vec![back.clone()];
                api.binds = History::new(api.born, vec![back]);
            }
            if self.random.u8(..3) == 0 || pointers {
                // The first belongs to any Worker of the pull request.
                let word = if pointers { "pr" } else { "app" };
                let host = format!("{word}-{number}.{ZONE}");
                let with = With::attributes(json!({"service": name, "zone": ZONE}));
                let of = Purpose::OfWorker(worker);
                self.add("worker_domain", &host, of, age, with);
            }
        }
        let host = format!("{number}.{ZONE}");
        let mut guard = Vec::new();
        if self.has("access_application") && self.random.bool() {
            let purpose = self.purpose(number);
            let with = With::attributes(json!({ "domain": host }));
            let name = format!("guard-{number}");
            let made = self.add("access_application", &name, purpose, age, with);
            guard.push(self.ledger.resources[made].bound_as());
        }
        let mut leads_to = "web.example.com".to_owned();
        if self.has("tunnel") && self.random.bool() {
            let purpose = self.purpose(number);
            let with = With::attributes(json!({"status": "down"}));
            let name = format!("tunnel-{number}");
            let made = self.add("tunnel", &name, purpose, age, with);
            let tunnel = &self.ledger.resources[made];
            if self.random.bool() {
                leads_to = format!("{}.cfargotunnel.com", tunnel.id);
                guard.push(tunnel.bound_as());
            }
        }
        if self.random.bool() {
            let purpose = self.purpose(number);
            if !guard.is_empty() {
                self.ledger
                    .features
                    .insert("a host with a guard or a tunnel");
            }
            // Whoever removed the guard would open what is reached there.
            let with = With {
                binds: guard,
                ..With::attributes(json!({"type": "CNAME", "content": leads_to, "zone": ZONE}))
            };
            self.add("dns_record", &host, purpose, age, with);
        }
        if self.random.bool() || self.theme == Theme::Expiries {
            let name = format!("preview/pr-{number}");
            let mut with = With::parent("main", main);
            let is_recorded = self.random.u8(..4) == 0;
            let purpose = if is_recorded {
                let (purpose, repository, recorded) = self.recorded(number, "branch");
                with.attributes["annotations"] = json!({"github-commit-repo": repository,
                    "github-pr-number": recorded.to_string()});
                purpose
            } else {
                self.purpose(number)
            };
            let branch = self.add("neon_branch", &name, purpose, age, with);
            self.ledger.resources[branch].recorded = is_recorded;
            if self.random.u8(..3) == 0 {
                let purpose = self.purpose(number);
                let with = With::parent(&name, branch);
                let name = format!("preview/pr-{number}-tests");
                self.add("neon_branch", &name, purpose, age, with);
            }
        }
    }

    /// Perhaps has a Worker consume a queue.
    fn consume(&mut self, worker: usize, queue: usize) {
        if self.random.bool() {
            return;
        }
        let name = self.ledger.resources[worker].name.clone();
        let attributes = &mut self.resources[queue].attributes;
        attributes.insert("consumers".to_owned(), json!([name]));
        let bound_as = self.ledger.resources[queue].bound_as();
        let resource = &mut self.ledger.resources[worker];
        let mut binds = resource.binds.last().clone();
        if !binds.contains(&bound_as) {
            binds.push(bound_as);
            resource.deployed.clone_from(&binds);
            resource.latest.clone_from(&binds);
            resource.binds = History::new(resource.born, binds);
        }
        self.ledger.resources[queue].consumer = Some(name);
    }

    /// What is for a while.
    fn passing(&mut self, main: usize) {
        for (kind, template) in PASSING {
            for word in ["a", "b", "c"] {
                if self.random.u8(..3) > 0 {
                    continue;
                }
                let age = TimeDelta::minutes(self.random.i64(1..80 * 60));
                let with = match kind {
                    "worker" => With::bindings(Vec::new(), Vec::new()),
                    "dns_record" => With::attributes(
                        json!({"type": "CNAME", "content": "web.example.com", "zone": ZONE}),
                    ),
                    _ => With::parent("main", main),
                };
                let name = template.replace("{any:a-z}", word);
                self.add(kind, &name, Purpose::Passing, age, with);
            }
        }
    }

    /// What no rule is about, with names that nearly are, and what it uses of
    /// what rules are about.
    fn strangers(&mut self) {
        let day = TimeDelta::days(400);
        let names = ["app-pr-007", "app-pr-x", "app-production", "xapp-pr-2"];
        for name in names {
            if self.random.bool() {
                continue;
            }
            let mut bindings = Vec::new();
            let mut binds = Vec::new();
            let storage = self
                .ledger
                .resources
                .iter()
                .filter(|one| one.kind == "kv_namespace");
            let storage: Vec<(String, String)> = storage
                .map(|one| (one.name.clone(), one.id.clone()))
                .collect();
            if !storage.is_empty() && self.random.bool() {
                let (target, id) = storage[self.random.usize(..storage.len())].clone();
                bindings.push(json!({"type": "kv_namespace", "name": "SHARED", "target": target}));
                binds.push(("kv_namespace", id));
            }
            let with = With::bindings(bindings, binds);
            self.add("worker", name, Purpose::Unmatched, day, with);
        }
        for name in ["app-pr-2-", "app-pr-3-A", "pr-3"] {
            if self.random.bool() {
                self.add(
                    "kv_namespace",
                    name,
                    Purpose::Unmatched,
                    day,
                    With::default(),
                );
            }
        }
    }
}

impl Scenario {
    pub fn draw(random: &mut Rng) -> Self {
        let now: Moment = "2026-03-01T12:00:00Z".parse().expect("a time");
        let theme = one_of(
            random,
            &[
                Theme::Mixed,
                Theme::Mixed,
                Theme::Mixed,
                Theme::Mixed,
                Theme::Pointers,
                Theme::Slugs,
                Theme::Expiries,
                Theme::Queues,
            ],
        );
        let focused = theme != Theme::Mixed && random.bool();
        let rare = STORAGE.iter().filter(|one| one.rare);
        let mut kinds: Vec<_> = SOMETIMES
            .into_iter()
            .chain(rare.map(|one| one.kind))
            .collect();
        kinds.retain(|kind| {
            let needed = match theme {
                Theme::Pointers => *kind == "worker_route",
                Theme::Queues => *kind == "queue",
                Theme::Mixed | Theme::Slugs | Theme::Expiries => false,
            };
            random.bool() || needed
        });
        let mut draw = Draw {
            random,
            theme,
            kinds,
            now,
            ledger: Ledger::default(),
            resources: Vec::new(),
        };
        let mut pull_requests = Vec::new();
        let with = With::attributes(json!({"default": true}));
        let days = TimeDelta::days(500);
        let main = draw.add("neon_branch", "main", Purpose::Unmatched, days, with);
        let with = With::bindings(Vec::new(), Vec::new());
        draw.add("worker", "site", Purpose::Unmatched, days, with);
        let count = draw.random.u32(1..=12);
        let count = if theme == Theme::Slugs { 12 } else { count };
        for number in 1..=count {
            // Some ended about as long ago as a grace lasts, some long ago.
            let mut hours = one_of(draw.random, &[26, 50, 1_000]);
            if focused {
                hours = 1_000;
            }
            let ended = now - TimeDelta::minutes(draw.random.i64(1..hours * 60));
            let opened = ended - TimeDelta::hours(draw.random.i64(1..1_000));
            let state = match draw.random.u8(..10) {
                0..3 => PullRequest::Open,
                sort => PullRequest::Closed {
                    at: in_seconds(ended),
                    merged: sort > 4,
                },
            };
            let (closed_at, merged) = match state {
                PullRequest::Open => (None, false),
                PullRequest::Closed { at, merged } => (Some(at), merged),
            };
            let age = now - opened;
            // Of some numbers there is no pull request.
            let is_known = draw.random.u8(..12) > 0;
            if draw.random.u8(..3) == 0 {
                draw.ledger.git_branches.insert(number);
            }
            if is_known {
                draw.ledger.opened.insert(number, opened);
                let history = History::new(opened, state);
                draw.ledger.pull_requests.insert(number, history);
                pull_requests.push(world::WorldPullRequest {
                    labels: Vec::new(),
                    unlabeled: Vec::new(),
                    number,
                    state: closed_at.map_or(WorldPullRequestState::Open, |_| {
                        WorldPullRequestState::Closed
                    }),
                    merged,
                    draft: false,
                    title: None,
                    head_ref: head(number),
                    head_repo: Some(REPOSITORY.to_owned()),
                    created_at: Some(opened),
                    updated_at: Some(closed_at.unwrap_or(opened)),
                    closed_at,
                    merged_at: closed_at.filter(|_| merged),
                });
            }
            if draw.random.u8(..5) == 0 {
                let fork = number + 100;
                draw.ledger.forks.insert(fork, number);
                draw.ledger.opened.insert(fork, opened);
                let history = History::new(opened, PullRequest::Open);
                draw.ledger.pull_requests.insert(fork, history);
                pull_requests.push(world::WorldPullRequest {
                    labels: Vec::new(),
                    unlabeled: Vec::new(),
                    number: fork,
                    state: WorldPullRequestState::Open,
                    merged: false,
                    draft: false,
                    title: None,
                    head_ref: head(number),
                    head_repo: Some("stranger/shop".to_owned()),
                    created_at: Some(opened),
                    updated_at: Some(opened),
                    closed_at: None,
                    merged_at: None,
                });
            }
            draw.environment(number, age, main);
            draw.more(number, age, main);
            if is_known {
                draw.neighbours(number, opened, closed_at);
            }
        }
        pull_requests.sort_by_key(|one| one.number);
        draw.runs();
        draw.passing(main);
        draw.strangers();
        let (mut ledger, mut resources) = (draw.ledger, draw.resources);
        // Their own numbers leave all else that a seed draws as it was.
        let mut marking = Rng::with_seed(random.clone().u64(..));
        let marks = marking.u8(..3) == 0;
        if marks {
            label_some(&mut marking, &mut ledger, &mut pull_requests);
            mark_some(&mut marking, &mut ledger, &mut resources);
        }
        let mut beside = Rng::with_seed(random.clone().u64(..) ^ 0x5eed);
        let world = (&mut ledger, &mut resources);
        let rare = rare::draw(&mut beside, now, world, &mut pull_requests);
        let mut limits = limits(random);
        if focused {
            limits.max_deletions = 50;
            limits.brake.share = 1.0;
            limits.brake.count = 200;
            limits.reference_reads = 500;
            limits.allotment.share = 1.0;
            limits.grace = TimeDelta::zero();
            limits.reread_after = Duration::from_secs(5);
        }
        let terms = terms(random, limits.grace, theme);
        let lifetimes = lifetimes(random);
        Self {
            theme,
            focused,
            policy: policy(&terms, &lifetimes, &rare)
                + &rare::more_rules(&mut beside, &rare, &terms),
            protects: Some(protects(&ledger, &rare)).filter(|text| text.contains("[[protect]]")),
            brought_back: rare.brought_back,
            impostor: beside.u8(..40) == 0,
            world: World {
                repository: REPOSITORY.to_owned(),
                now,
                pull_requests,
                git_branches: std::iter::once("main".to_owned())
                    .chain(ledger.git_branches.iter().map(|number| head(*number)))
                    .collect(),
                resources,
                actions_runs: ledger.runs.iter().map(actions_run).collect(),
                zones: vec![world::WorldZone {
                    id: None,
                    name: ZONE.to_owned(),
                }],
                account: None,
                faults: Vec::new(),
            },
            ledger,
            terms,
            lifetimes,
            limits,
            quota: SandboxQuota {
                limit: Some(if focused {
                    1_200
                } else {
                    one_of(random, &[150, 250, 1_200])
                }),
                seconds: one_of(random, &[60, 300]),
            },
            weather: Weather {
                latency: one_of(random, &[(1, 50), (50, 500), (300, 3_000)]),
                stalls: one_of(random, &[0, 0, 5]),
                faults: if focused {
                    0
                } else {
                    one_of(random, &[0, 0, 10, 40, 100])
                },
                page: one_of(random, &[None, Some(2), Some(5)]),
                skew: TimeDelta::hours(one_of(random, &[0, 0, -30, 2, 1_000])),
            },
            change_every: one_of(random, &[None, Some(500), Some(2_000), Some(8_000)])
                .map(Duration::from_millis),
            changes: random.usize(10..80),
            marks,
            actors: one_of(random, &[1, 1, 2]),
            runs: random.usize(if focused { 2 } else { 1 }..=3),
            crashes: one_of(random, &[0, 300, 700]),
            drains_slowly: random.u8(..4) == 0,
        }
    }

    /// What the rule says that is about a resource.
    pub fn terms_of(&self, resource: &Resource) -> Option<Terms> {
        let rule = match (resource.purpose, resource.kind) {
            (Purpose::Head(_), "neon_branch") => "heads",
            (Purpose::Head(_), _) => "pages",
            (Purpose::Slug(_), _) => "slugs",
            (Purpose::Run(_), _) => "runs",
            (_, kind) => kind,
        };
        let mut all = self.terms.iter();
        all.find(|(of, _)| *of == rule).map(|(_, terms)| *terms)
    }

    pub fn lifetime(&self, kind: &str) -> Option<Lifetime> {
        let mut all = self.lifetimes.iter();
        all.find(|(of, _)| *of == kind).map(|(_, one)| *one)
    }
}

/// The label that keeps what belongs to a pull request.
pub const KEEP_LABEL: &str = "preview-keep";

/// The mark that keeps a resource.
pub const KEEP_MARK: &str = "preview-gc:keep";

fn label_some(random: &mut Rng, ledger: &mut Ledger, pulls: &mut [world::WorldPullRequest]) {
    let own = pulls
        .iter_mut()
        .filter(|pull| pull.head_repo.as_deref() == Some(REPOSITORY));
    for pull in own {
        if random.u8(..4) == 0 {
            pull.labels.push(KEEP_LABEL.to_owned());
            let opened = ledger.opened[&pull.number];
            let history = History::new(opened, true);
            ledger.labelled.insert(pull.number, history);
            ledger.features.insert("a pull request with a keep label");
        }
    }
}

fn mark_some(random: &mut Rng, ledger: &mut Ledger, resources: &mut [world::WorldResource]) {
    for (resource, drawn) in ledger.resources.iter_mut().zip(resources) {
        let (key, value) = match resource.kind {
            "dns_record" => ("comment", json!(KEEP_MARK)),
            "neon_branch" if !resource.recorded && resource.name != "main" => {
                ("annotations", json!({"note": KEEP_MARK}))
            }
            _ => continue,
        };
        if random.u8(..4) == 0 {
            drawn.attributes.insert(key.to_owned(), value);
            resource.marked = History::new(resource.born, true);
            ledger.features.insert("a resource with a keep mark");
        }
    }
}

fn limits(random: &mut Rng) -> Limits {
    let brakes = [(200, 0.6, 20), (200, 0.6, 20), (3, 1.0, 20), (200, 0.4, 3)];
    let (count, share, floor) = one_of(random, &brakes);
    let grace = one_of(
        random,
        &[TimeDelta::zero(), TimeDelta::hours(1), TimeDelta::hours(24)],
    );
    Limits {
        grace,
        // A Worker goes only together with the queues that it serves.
        max_deletions: one_of(random, &[4, 6, 50, 50]),
        brake: BrakeLimits {
            count,
            share,
            floor,
        },
        allotment: Allotment {
            share: one_of(random, &[0.3, 0.5, 1.0]),
            reserve: None,
        },
        reread_after: Duration::from_secs(one_of(random, &[5, 15, 30])),
        deadline: Duration::from_secs(one_of(random, &[60, 300, 1_200, 1_200])),
        reference_reads: one_of(random, &[500, 500, 5]),
        ..Limits::default()
    }
}

fn terms(random: &mut Rng, grace: TimeDelta, theme: Theme) -> Vec<(&'static str, Terms)> {
    let with_number = ruled();
    let rules = with_number.iter().map(|(kind, _)| *kind);
    let rules = rules.chain(OTHERS.iter().map(|(rule, _, _)| *rule));
    let drawn = rules.map(|rule| {
        let kind = &rule;
        let action = match (random.u8(..10), *kind) {
            (_, "neon_branch") if theme == Theme::Expiries => Action::Expire,
            (0, _) => Action::Report,
            (1..4, "neon_branch") => Action::Expire,
            _ => Action::Delete,
        };
        let terms = Terms {
            merged_only: random.u8(..6) == 0 && with_number.iter().any(|(kind, _)| *kind == rule),
            grace: one_of(
                random,
                &[grace, grace, TimeDelta::zero(), TimeDelta::hours(30)],
            ),
            action,
        };
        (rule, terms)
    });
    drawn.collect()
}

fn lifetimes(random: &mut Rng) -> Vec<(&'static str, Lifetime)> {
    let drawn = PASSING.iter().map(|(kind, _)| {
        let longest = TimeDelta::minutes(one_of(random, &[10, 120, 1_800]));
        let from_birth = random.bool();
        (
            *kind,
            Lifetime {
                longest,
                from_birth,
            },
        )
    });
    drawn.collect()
}

/// The policy as its owner would write it.
fn policy(
    terms: &[(&'static str, Terms)],
    lifetimes: &[(&'static str, Lifetime)],
    rare: &Rare,
) -> String {
    let mut text = format!("repository = \"{REPOSITORY}\"\n");
    text.push_str(
        "[slug.short]\ncase = \"lower\"\nkeep = \"a-z0-9\"\nreplace = { with = \"-\" }\n",
    );
    let others = OTHERS
        .iter()
        .map(|(rule, kind, line)| (*rule, *kind, (*line).to_owned()));
    let ruled = ruled().into_iter();
    let ruled = ruled.map(|(kind, name)| (kind, kind, format!("name = {name}")));
    for ((rule, kind, line), (_, terms)) in ruled.chain(others).zip(terms) {
        if rare.unruled == Some(rule) {
            continue;
        }
        let event = match rule {
            "heads" | "pages" | "slugs" => "branch-gone",
            "runs" => "run-finished",
            _ if terms.merged_only => "merged",
            _ => "closed",
        };
        text += &rule_of(rule, kind, &line, event, *terms);
        if kind == "dns_record" {
            let _ = write!(text, "zone = \"{ZONE}\"\nwhere = {{ type = \"CNAME\" }}\n");
        }
    }
    for ((kind, lifetime), (_, name)) in lifetimes.iter().zip(PASSING) {
        let clock = if lifetime.from_birth {
            "created"
        } else {
            "changed"
        };
        let seconds = lifetime.longest.num_seconds();
        let _ = write!(
            text,
            "[[rule]]\nid = \"passing-{kind}\"\nkind = \"{kind}\"\nname = \"{name}\"\n\
             dead-when = {{ older-than = \"{seconds}s\", clock = \"{clock}\" }}\n"
        );
        if *kind == "dns_record" {
            let _ = writeln!(text, "zone = \"{ZONE}\"");
        }
    }
    if let Some((_, lifetime)) = lifetimes.iter().find(|(kind, _)| *kind == "worker") {
        let clock = if lifetime.from_birth {
            "created"
        } else {
            "changed"
        };
        let seconds = lifetime.longest.num_seconds();
        let _ = write!(
            text,
            "[[rule]]\nid = \"aged\"\nkind = \"worker\"\nname = \"old-{{pr}}\"\n\
             dead-when = {{ older-than = \"{seconds}s\", clock = \"{clock}\" }}\n"
        );
    }
    text
}

/// A rule of these terms; the line says which names it reads.
pub fn rule_of(id: &str, kind: &str, line: &str, event: &str, terms: Terms) -> String {
    let action = match terms.action {
        Action::Delete => "delete",
        Action::Report => "report",
        Action::Expire => "expire",
    };
    let seconds = terms.grace.num_seconds();
    format!(
        "[[rule]]\nid = \"{id}\"\nkind = \"{kind}\"\n{line}\ndead-when = \"{event}\"\n\
         grace = \"{seconds}s\"\naction = \"{action}\"\n"
    )
}

/// A file that protects what its owner wants to keep.
fn protects(ledger: &Ledger, rare: &Rare) -> String {
    let mut text = format!("repository = \"{REPOSITORY}\"\n");
    for host in &rare.protected_hosts {
        let _ = write!(
            text,
            "[[protect]]\nkind = \"dns_record\"\nname = \"{host}\"\nreason = \"it leads there\"\n"
        );
    }
    for one in &ledger.resources {
        if matches!(one.purpose, Purpose::Protected(_)) {
            let _ = write!(
                text,
                "[[protect]]\nkind = \"{}\"\nname = \"{}\"\nreason = \"somebody needs it\"\n",
                one.kind, one.name
            );
        }
    }
    text
}

fn actions_run((id, finished): (&u64, &Option<Moment>)) -> world::WorldActionsRun {
    let status = if finished.is_some() {
        "completed"
    } else {
        "in_progress"
    };
    world::WorldActionsRun {
        id: *id,
        status: status.to_owned(),
        updated_at: *finished,
    }
}
