//! What one seed draws: a world, a policy, limits, weather, and who else is
//! about.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{SubsecRound as _, TimeDelta};
use fastrand::Rng;
use preview_gc::collector::Limits;
use preview_gc::gc::brakes::BrakeLimits;
use preview_gc::sandbox::quota::Quota;
use preview_gc::sandbox::world::{self, State, World};
use preview_gc::wire::Allotment;
use serde_json::{Map, Value, json};

use crate::ledger::{Binding, History, Ledger, Moment, PullRequest, Purpose, Resource, in_seconds};

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

/// The kinds that are drawn.
pub const KINDS: [&str; 6] = [
    "worker",
    "worker_domain",
    "kv_namespace",
    "d1",
    "dns_record",
    "neon_branch",
];

/// The kinds that have rules of their own.
const RULED: [(&str, &str); 5] = [
    ("worker", r#"["app-pr-{pr}", "api-pr-{pr}"]"#),
    ("kv_namespace", r#""app-pr-{pr}-{any:a-z}""#),
    ("d1", r#""app-pr-{pr}-db""#),
    ("dns_record", r#""{pr}.preview.example.com""#),
    (
        "neon_branch",
        r#"["preview/pr-{pr}", "preview/pr-{pr}-{any:a-z}"]"#,
    ),
];

/// How long something lives that is for a while.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    pub longest: TimeDelta,
    /// Whether it counts from when something was made, and not from its last
    /// change.
    pub from_birth: bool,
}

impl Lifetime {
    pub fn is_over(self, resource: &Resource, changed: Option<Moment>, now: Moment) -> bool {
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
}

impl Weather {
    pub fn calm() -> Self {
        Self {
            latency: (1, 20),
            stalls: 0,
            faults: 0,
            page: None,
        }
    }
}

/// Everything that a seed decides beforehand.
pub struct Scenario {
    pub world: World,
    pub ledger: Ledger,
    pub policy: String,
    pub terms: Vec<(&'static str, Terms)>,
    pub lifetimes: Vec<(&'static str, Lifetime)>,
    pub limits: Limits,
    pub quota: Quota,
    pub weather: Weather,
    /// The mean time between two changes by others, if there are any.
    pub change_every: Option<Duration>,
    /// The most of them.
    pub changes: usize,
    /// How many preview-gc are at work.
    pub actors: usize,
    /// How often each is started while things go wrong.
    pub runs: usize,
    /// Of a thousand runs, how many crash.
    pub crashes: u32,
}

pub fn one_of<T: Copy>(random: &mut Rng, among: &[T]) -> T {
    among[random.usize(..among.len())]
}

/// Makes ids in the providers' forms.
pub fn new_id(random: &mut Rng, kind: &str) -> String {
    match kind {
        "neon_branch" => format!("br-drawn-snow-{:08}", random.u32(..100_000_000)),
        "d1" => format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            random.u32(..),
            random.u16(..),
            random.u16(..0x1000),
            random.u16(..0x1000),
            random.u64(..0x1_0000_0000_0000)
        ),
        _ => format!("{:032x}", random.u128(..)),
    }
}

/// Whether a kind has times at all.
pub fn has_times(kind: &str) -> bool {
    !matches!(kind, "kv_namespace" | "worker_domain")
}

/// What a resource is made with.
#[derive(Default)]
struct With {
    attributes: Value,
    binds: Vec<Binding>,
    parent: Option<usize>,
}

impl With {
    fn attributes(attributes: Value) -> Self {
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

struct Draw<'a> {
    random: &'a mut Rng,
    now: Moment,
    ledger: Ledger,
    resources: Vec<world::Resource>,
}

impl Draw<'_> {
    /// Adds a resource that was made so long before now, and gives its index.
    fn add(
        &mut self,
        kind: &'static str,
        name: &str,
        purpose: Purpose,
        age: TimeDelta,
        with: With,
    ) -> usize {
        let id = new_id(self.random, kind);
        let made = (self.now - age).trunc_subsecs(0);
        let times = has_times(kind).then_some(made);
        let attributes: Map<_, _> = with.attributes.as_object().cloned().unwrap_or_default();
        self.resources.push(world::Resource {
            kind: kind.to_owned(),
            name: name.to_owned(),
            id: Some(id.clone()),
            created_at: times,
            updated_at: times.filter(|_| kind != "d1"),
            attributes,
        });
        self.ledger.resources.push(Resource {
            kind,
            name: name.to_owned(),
            id,
            purpose,
            born: made,
            gone: None,
            deleted_by: None,
            unseen: false,
            changed: History::new(made, times),
            binds: History::new(made, with.binds),
            parent: with.parent,
            expires: None,
        });
        self.ledger.resources.len() - 1
    }

    fn purpose(&mut self, number: u32) -> Purpose {
        if self.random.u8(..12) == 0 {
            Purpose::Protected(number)
        } else {
            Purpose::PullRequest(number)
        }
    }

    /// What one pull request's environment consists of.
    fn environment(&mut self, number: u32, age: TimeDelta, main: usize) {
        let mut bindings = Vec::new();
        let mut binds = Vec::new();
        for (kind, name, key) in [
            ("kv_namespace", format!("app-pr-{number}-cache"), "CACHE"),
            ("kv_namespace", format!("app-pr-{number}-files"), "FILES"),
            ("d1", format!("app-pr-{number}-db"), "DB"),
        ] {
            if self.random.u8(..3) == 0 {
                continue;
            }
            let purpose = self.purpose(number);
            let made = self.add(kind, &name, purpose, age, With::default());
            if self.random.u8(..4) > 0 {
                bindings.push(json!({"type": kind, "name": key, "target": name}));
                binds.push(self.ledger.resources[made].bound_as());
            }
        }
        if self.random.bool() {
            let purpose = self.purpose(number);
            let name = format!("api-pr-{number}");
            self.add("worker", &name, purpose, age, With::default());
            if self.random.bool() {
                bindings.push(json!({"type": "service", "name": "API", "target": name}));
                binds.push(("worker", name));
            }
        }
        if self.random.u8(..4) > 0 {
            let purpose = self.purpose(number);
            let name = format!("app-pr-{number}");
            let with = With::bindings(bindings, binds);
            let worker = self.add("worker", &name, purpose, age, with);
            if self.random.u8(..3) == 0 {
                let host = format!("app-{number}.{ZONE}");
                let with = With::attributes(json!({"service": name, "zone": ZONE}));
                let of = Purpose::OfWorker(worker);
                self.add("worker_domain", &host, of, age, with);
            }
        }
        if self.random.bool() {
            let purpose = self.purpose(number);
            let host = format!("{number}.{ZONE}");
            let with = With::attributes(
                json!({"type": "CNAME", "content": "web.example.com", "zone": ZONE}),
            );
            self.add("dns_record", &host, purpose, age, with);
        }
        if self.random.bool() {
            let purpose = self.purpose(number);
            let name = format!("preview/pr-{number}");
            let with = With::parent("main", main);
            let branch = self.add("neon_branch", &name, purpose, age, with);
            if self.random.u8(..3) == 0 {
                let purpose = self.purpose(number);
                let with = With::parent(&name, branch);
                let name = format!("preview/pr-{number}-tests");
                self.add("neon_branch", &name, purpose, age, with);
            }
        }
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
            self.add("worker", name, Purpose::Unclaimed, day, with);
        }
        for name in ["app-pr-2-", "app-pr-3-A", "pr-3"] {
            if self.random.bool() {
                self.add(
                    "kv_namespace",
                    name,
                    Purpose::Unclaimed,
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
        let mut draw = Draw {
            random,
            now,
            ledger: Ledger::default(),
            resources: Vec::new(),
        };
        let mut pull_requests = Vec::new();
        let with = With::attributes(json!({"default": true}));
        let days = TimeDelta::days(500);
        let main = draw.add("neon_branch", "main", Purpose::Unclaimed, days, with);
        let count = draw.random.u32(1..=12);
        for number in 1..=count {
            // Some ended about as long ago as a grace lasts, some long ago.
            let hours = one_of(draw.random, &[26, 50, 1_000]);
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
            if draw.random.u8(..12) > 0 {
                let history = History::new(opened, state);
                draw.ledger.pull_requests.insert(number, history);
                pull_requests.push(world::PullRequest {
                    number,
                    state: closed_at.map_or(State::Open, |_| State::Closed),
                    merged,
                    draft: false,
                    title: None,
                    head_ref: format!("feature-{number}"),
                    head_repo: Some(REPOSITORY.to_owned()),
                    created_at: Some(opened),
                    updated_at: Some(closed_at.unwrap_or(opened)),
                    closed_at,
                    merged_at: closed_at.filter(|_| merged),
                });
            }
            draw.environment(number, age, main);
        }
        draw.passing(main);
        draw.strangers();
        let (ledger, resources) = (draw.ledger, draw.resources);
        let limits = limits(random);
        let terms = terms(random, limits.grace);
        let lifetimes = lifetimes(random);
        Self {
            policy: policy(&terms, &lifetimes, &ledger),
            world: World {
                repository: REPOSITORY.to_owned(),
                now,
                pull_requests,
                git_branches: vec!["main".to_owned()],
                resources,
                actions_runs: Vec::new(),
                zones: vec![world::Zone {
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
            quota: Quota {
                limit: Some(one_of(random, &[150, 250, 1_200])),
                seconds: one_of(random, &[60, 300]),
            },
            weather: Weather {
                latency: one_of(random, &[(1, 50), (50, 500), (300, 3_000)]),
                stalls: one_of(random, &[0, 0, 5]),
                faults: one_of(random, &[0, 0, 10, 40, 100]),
                page: one_of(random, &[None, Some(2), Some(5)]),
            },
            change_every: one_of(random, &[None, Some(500), Some(2_000), Some(8_000)])
                .map(Duration::from_millis),
            changes: random.usize(10..80),
            actors: one_of(random, &[1, 1, 2]),
            runs: random.usize(1..=3),
            crashes: one_of(random, &[0, 300, 700]),
        }
    }

    pub fn terms(&self, kind: &str) -> Option<Terms> {
        let mut all = self.terms.iter();
        all.find(|(of, _)| *of == kind).map(|(_, terms)| *terms)
    }

    pub fn lifetime(&self, kind: &str) -> Option<Lifetime> {
        let mut all = self.lifetimes.iter();
        all.find(|(of, _)| *of == kind).map(|(_, one)| *one)
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
        max_deletions: one_of(random, &[2, 5, 50, 50]),
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

fn terms(random: &mut Rng, grace: TimeDelta) -> Vec<(&'static str, Terms)> {
    let drawn = RULED.iter().map(|(kind, _)| {
        let action = match (random.u8(..10), *kind) {
            (0, _) => Action::Report,
            (1..4, "neon_branch") => Action::Expire,
            _ => Action::Delete,
        };
        let terms = Terms {
            merged_only: random.u8(..6) == 0,
            grace: one_of(
                random,
                &[grace, grace, TimeDelta::zero(), TimeDelta::hours(30)],
            ),
            action,
        };
        (*kind, terms)
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
    ledger: &Ledger,
) -> String {
    let mut text = format!("repository = \"{REPOSITORY}\"\n");
    for one in &ledger.resources {
        if matches!(one.purpose, Purpose::Protected(_)) {
            let _ = write!(
                text,
                "[[protect]]\nkind = \"{}\"\nname = \"{}\"\nreason = \"somebody needs it\"\n",
                one.kind, one.name
            );
        }
    }
    for ((kind, terms), (_, name)) in terms.iter().zip(RULED) {
        let event = if terms.merged_only {
            "merged"
        } else {
            "closed"
        };
        let action = match terms.action {
            Action::Delete => "delete",
            Action::Report => "report",
            Action::Expire => "expire",
        };
        let seconds = terms.grace.num_seconds();
        let _ = write!(
            text,
            "[[rule]]\nid = \"{kind}\"\nkind = \"{kind}\"\nname = {name}\ndead-when = \"{event}\"\n\
             grace = \"{seconds}s\"\naction = \"{action}\"\n"
        );
        if *kind == "dns_record" {
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
    text
}
