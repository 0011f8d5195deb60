//! The life of one seed: things go wrong for a while, then they heal, and what
//! came of it is compared with the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use fastrand::Rng;
use http::Method;
use preview_gc::cli::Exit;
use preview_gc::clock::Clock;
use preview_gc::collector::{Choice, Collector, Limits, Scope, SweepOrder};
use preview_gc::gc::mark::BroughtBack;
use preview_gc::gc::plan_file::PlanFile;
use preview_gc::gc::{Outcome, Plan};
use preview_gc::journal::reads::StoredReads;
use preview_gc::model::{PullRequestNumber, Repository};
use preview_gc::policy::{Action, Policies, Policy, PolicyContext, PolicySource, Vocabulary};
use preview_gc::progress::Unwatched;
use preview_gc::providers;
use preview_gc::report::Report;
use preview_gc::sandbox::{Options, Sandbox};
use preview_gc::sweep::{StepRow, Stop, Swept};
use preview_gc::wire::Client;
use serde_json::Value;

use crate::in_process::endpoints;
use crate::journals;
use crate::ledger::{Ledger, Listed, Moment, PullRequest, Purpose, Resource, RunKey};
use crate::network::{CrashPoint, Network, PlannedStep, Violation, reread_after};
use crate::oracle;
use crate::others::{self, variable};
use crate::scenario::{REPOSITORY, Scenario, Weather, ZONE, has_times, kinds, one_of};

/// What one seed came to.
pub struct Simulated {
    pub broken: Option<Violation>,
    pub trace: Vec<String>,
    pub requests: usize,
    /// How often preview-gc ran.
    pub runs: usize,
    pub deleted: usize,
    /// What was drawn or done in it that only some have.
    pub features: BTreeSet<&'static str>,
}

/// Simulates a seed, in virtual time.
pub fn simulate(seed: u64) -> Simulated {
    // What draws from no generator of its own: backoff, names of runs.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut random = Rng::with_seed(seed);
        let scenario = Scenario::draw(&mut random);
        let options = Options {
            quota: scenario.quota,
            latency: Duration::ZERO,
        };
        let sandbox = Sandbox::new(scenario.world.clone(), options).expect("the world can be");
        let folder = journal_folder();
        let network = Network::new(sandbox, scenario, random);
        let world = World {
            policy: std::iter::once(&network.scenario.policy)
                .chain(&network.scenario.protects)
                .map(|text| policy(text))
                .collect(),
            network: &network,
            folder: folder.path(),
            plans: Mutex::default(),
        };
        world.run_all().await;
        let state = network.state();
        let deleted = state.ledger.resources.iter();
        Simulated {
            broken: state.broken.clone(),
            trace: state.trace.clone(),
            requests: state.ledger.requests.len(),
            runs: state.runs.len(),
            deleted: deleted.filter(|one| one.deleted_by.is_some()).count(),
            features: state.ledger.features.clone(),
        }
    })
}

/// A folder in memory, where there is one: a journal is synced line by line.
fn journal_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder for journals")
}

fn policy(text: &str) -> Policy {
    let sources = [PolicySource {
        path: "drawn.toml".to_owned(),
        text: text.to_owned(),
    }];
    let kinds = providers::vocabulary();
    let environment = PolicyContext {
        lookup: &|_| None,
        repository: None,
        names_file: &|_, _| Err("not found".to_owned()),
    };
    let loaded = Policies::read(
        &sources,
        &Vocabulary {
            kinds: &kinds,
            scopes: &providers::scopes(),
        },
        &environment,
    );
    let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{text}"));
    loaded.policies.files.into_iter().next().expect("one file")
}

struct World<'a> {
    network: &'a Arc<Network>,
    policy: Vec<Policy>,
    folder: &'a Path,
    /// The last plan that each actor made, and when it had listed what exists.
    plans: Mutex<BTreeMap<usize, (PlanFile, Listed)>>,
}

/// What a run begins with.
#[derive(Default)]
struct Begin {
    focus: Focus,
    /// A plan that was made earlier, with when its run had listed what exists.
    earlier: Option<(PlanFile, Listed)>,
    /// Whether it makes a plan for later and carries out nothing.
    only_plans: bool,
}

/// What a run is about, where it is not about everything.
#[derive(Debug, Clone, Copy, Default)]
struct Focus {
    /// The pull request of `--pr`.
    number: Option<u32>,
    /// The kind of `--kind`.
    kind: Option<&'static str>,
}

impl Focus {
    fn is_everything(self) -> bool {
        self.number.is_none() && self.kind.is_none()
    }
}

/// A run that came to its end.
struct Ended {
    report: Report,
    exit: Exit,
}

impl World<'_> {
    fn folder(&self, actor: usize) -> PathBuf {
        self.folder.join(actor.to_string())
    }

    fn note_world(&self) {
        let scenario = &self.network.scenario;
        self.network.note(&format!(
            "limits {:?}; quota {:?}; weather {:?}; change every {:?}",
            scenario.limits, scenario.quota, scenario.weather, scenario.change_every
        ));
        self.network.note(&scenario.policy);
        let ledger = &scenario.ledger;
        for (number, history) in &ledger.pull_requests {
            self.network
                .note(&format!("#{number}: {:?}", history.last()));
        }
        for one in &ledger.resources {
            let (name, binds) = (&one.name, one.binds.last());
            let line = format!(
                "{} {name} {}: {:?}, binds {binds:?}",
                one.kind, one.id, one.purpose
            );
            self.network.note(&line);
        }
    }

    async fn run_all(&self) {
        self.note_world();
        others::check_boxes(self.network).await;
        others::bind_novelties(self.network).await;
        let scenario = &self.network.scenario;
        let done = AtomicBool::new(false);
        let actors = async {
            let actors = (0..scenario.actors).map(|actor| self.restart(actor));
            futures::future::join_all(actors).await;
            done.store(true, Ordering::Relaxed);
        };
        tokio::join!(actors, others::meddle(self.network, &done));
        self.compare_worlds().await;
        if !self.network.is_broken() {
            self.heal().await;
        }
    }

    /// Starts an actor's runs one after the other, some of which crash.
    async fn restart(&self, actor: usize) {
        let (runs, crashes) = (self.network.scenario.runs, self.network.scenario.crashes);
        for run in 0..runs {
            let (wait, crash) = {
                let random = &mut self.network.state().random;
                let wait = Duration::from_millis(random.u64(..20_000));
                let crash = (random.u32(..1_000) < crashes).then(|| {
                    let request = random.usize(1..60);
                    if random.bool() {
                        CrashPoint::Leaving(request)
                    } else {
                        CrashPoint::Answered(request)
                    }
                });
                (wait, crash)
            };
            tokio::time::sleep(wait).await;
            let earlier = self.earlier_plan(actor).await;
            let focus = if earlier.is_none() {
                self.focus()
            } else {
                Focus::default()
            };
            let limits = self.network.scenario.limits;
            let begin = Begin {
                focus,
                earlier,
                only_plans: self.network.scenario.focused && run == 0,
            };
            self.go(actor, crash, begin, limits).await;
            if self.network.is_broken() {
                return;
            }
        }
    }

    /// A plan that was made earlier and is carried out now, after hours in which
    /// somebody looked at it and others went on.
    async fn earlier_plan(&self, actor: usize) -> Option<(PlanFile, Listed)> {
        let wanted = self.network.state().random.u8(..3) == 0 || self.network.scenario.focused;
        let earlier = self.plans.lock().expect("nobody panics").remove(&actor);
        let earlier = earlier.filter(|_| wanted)?;
        let (changes, minutes) = {
            let random = &mut self.network.state().random;
            (random.u64(..12), random.u64(1..100))
        };
        for _ in 0..changes {
            others::change(self.network).await;
            tokio::time::sleep(Duration::from_mins(minutes)).await;
        }
        Some(earlier)
    }

    /// What a run is about: mostly everything, or one pull request, or one kind.
    fn focus(&self) -> Focus {
        let mut state = self.network.state();
        let known: Vec<u32> = state.ledger.pull_requests.keys().copied().collect();
        let about_one = state.random.u8(..6) == 0 && !known.is_empty();
        let number = about_one.then(|| one_of(&mut state.random, &known));
        let about_kind = state.random.u8(..8) == 0;
        let kind = about_kind.then(|| one_of(&mut state.random, &kinds()));
        if kind.is_some() {
            state.ledger.features.insert("a run about one kind");
        }
        Focus { number, kind }
    }

    /// One run, to its end or its crash.
    async fn go(
        &self,
        actor: usize,
        crash: Option<CrashPoint>,
        begin: Begin,
        limits: Limits,
    ) -> Option<Ended> {
        let focus = begin.focus;
        let folder = self.folder(actor);
        let before: BTreeSet<String> = journals::files(&folder).into_keys().collect();
        let key = self.network.begin(actor, &folder, crash);
        self.network.note(&format!(
            "{}.{} begins, about {focus:?}",
            key.actor, key.run
        ));
        let crashed = self.network.run(key, |run| Arc::clone(&run.crashed));
        let after = self.network.state().random.u64(1_000..120_000);
        let late = async {
            // Some crashes come while nothing is under way.
            if crash.is_some_and(|_| after.is_multiple_of(4)) {
                tokio::time::sleep(Duration::from_millis(after)).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            biased;
            () = crashed.notified() => None,
            () = late => None,
            ended = self.sweep(key, begin, limits) => Some(ended),
        };
        match &ended {
            None => {
                self.network
                    .note(&format!("{}.{} is cut off", key.actor, key.run));
                self.tear(&folder, &before);
            }
            Some(ended) => {
                self.network
                    .note(&format!("{}.{} exits {:?}", key.actor, key.run, ended.exit));
                for row in ended.report.swept.iter().flat_map(|swept| &swept.steps) {
                    let StepRow {
                        kind,
                        name,
                        outcome,
                        reason,
                        ..
                    } = row;
                    self.network
                        .note(&format!("{kind} {name} is {outcome}: {reason}"));
                }
                for one in ended.report.evidence.iter().filter(|one| !one.complete) {
                    self.network.note(&format!(
                        "gap in {} of {}: {:?}",
                        one.source, one.scope, one.gap
                    ));
                }
                self.judge_report(key, ended, focus, limits);
            }
        }
        self.judge_journals(key, &before, ended.is_some());
        self.judge_quota(key, limits);
        ended
    }

    /// A crash may tear the line that was being written.
    fn tear(&self, folder: &Path, before: &BTreeSet<String>) {
        let tears = self.network.state().random.bool();
        let files = journals::files(folder);
        let newest = files.keys().find(|name| !before.contains(*name));
        if let Some(name) = newest.filter(|_| tears) {
            let path = folder.join(name);
            let torn = format!("{}{{\"entry\":\"intent\",\"st", files[name]);
            std::fs::write(path, torn).expect("a journal can be written");
        }
    }

    /// A whole sweep, put together as the command line does.
    async fn sweep(&self, key: RunKey, begin: Begin, limits: Limits) -> Ended {
        let Begin {
            focus,
            earlier,
            only_plans,
        } = begin;
        let network = self.network;
        let clock = Clock::starting_at(network.now() + network.state().weather.skew);
        let client = Client::new(
            network.transport(key),
            endpoints(),
            clock,
            limits.deadline,
            limits.allotment,
        );
        let only_kinds = focus.kind.map(|name| {
            let kinds = providers::vocabulary().into_iter();
            kinds.filter(|kind| kind.name() == name).collect::<Vec<_>>()
        });
        let collector = Collector {
            client: client.clone(),
            files: &self.policy,
            scopes: std::iter::once(Scope {
                account: Some(variable(network, "CLOUDFLARE_ACCOUNT_ID")),
                zones: vec![ZONE.to_owned()],
                projects: vec![variable(network, "NEON_PROJECT_ID")],
            })
            .chain(network.scenario.protects.iter().map(|_| Scope {
                account: None,
                zones: Vec::new(),
                projects: Vec::new(),
            }))
            .collect(),
            limits,
            only_pull_request: focus.number.and_then(PullRequestNumber::new),
            only_kinds: only_kinds.as_deref(),
            repository_ids: self.known_ids(),
            issue_authors: std::sync::Arc::default(),
            brought_back: Arc::new(self.brought_back()),
            stored_reads: std::sync::Arc::new(StoredReads::open(&self.folder(key.actor))),
            now: clock.start(),
            is_sandbox: false,
            observer: &Unwatched,
        };
        let garbage = self.garbage();
        let began = network.now();
        let mut listed = collector.list().await;
        // A provider that leaves the zone out makes the policy look wrong, which
        // refuses the run: somebody starts it again.
        while let Err(mistakes) = &listed {
            network.note(&format!(
                "{}.{} is refused: {}",
                key.actor, key.run, mistakes[0].message
            ));
            listed = collector.list().await;
        }
        let (audit_scope, resources) = listed.unwrap();
        let listed = Listed {
            began,
            ended: network.now(),
        };
        network.run(key, |run| run.listed = Some(listed));
        let audit = collector.audit(&audit_scope, resources, Choice::All);
        let mut audit = audit.await;
        let mut plan_file = audit.plan_file();
        // A place that cannot be seen now makes it a plan for elsewhere.
        let here = audit.plan_target();
        let may_be = |plan: &PlanFile| plan.check(clock.start(), limits.plan_age, &here).is_ok();
        let earlier = earlier.filter(|(plan, _)| may_be(plan));
        let by_earlier = earlier.is_some();
        if let Some((earlier, at)) = earlier {
            network.note(&format!(
                "{}.{} has a plan of {}",
                key.actor, key.run, at.ended
            ));
            network.run(key, |run| run.listed = Some(at));
            plan_file = earlier;
        } else {
            let mut plans = self.plans.lock().expect("nobody panics");
            plans.insert(key.actor, (plan_file.clone(), listed));
            if only_plans {
                plan_file.steps.clear();
            }
        }
        self.planned(key, focus, &plan_file);
        if std::env::var_os("PREVIEW_GC_VERDICTS").is_some() {
            for one in &audit.report.resources {
                let (kind, name) = (one.kind.name(), &one.name);
                network.note(&format!("{kind} {name} is {}: {}", one.verdict, one.reason));
            }
        }
        self.judge_brakes(&audit.report, &garbage, focus, limits);
        let folder = self.folder(key.actor);
        let stop = Stop::default();
        let nothing = Plan::default();
        let order = SweepOrder {
            plan_file: &plan_file,
            plan: if by_earlier || only_plans {
                &nothing
            } else {
                &audit.plan
            },
            folder: &folder,
            stop: &stop,
        };
        let swept = audit.sweep(&order).await;
        let swept = swept.unwrap_or_else(|error| {
            network.broke("a journal can always be read", error.to_string());
            Swept::default()
        });
        audit.report.add(swept, client.quota_use());
        let exit = Exit::of(&audit.report, false);
        Ended {
            report: audit.report,
            exit,
        }
    }

    /// What a run knows of the repository's id: while another one has its name, that of
    /// the one before.
    fn known_ids(&self) -> BTreeMap<Repository, u64> {
        let repository = Repository::parse(REPOSITORY).filter(|_| self.network.state().impostor);
        repository.map(|one| (one, 1)).into_iter().collect()
    }

    /// What `restore` brought back, as the journals say.
    fn brought_back(&self) -> BroughtBack {
        let ledger = &self.network.scenario.ledger;
        let restored = self.network.scenario.brought_back.iter();
        let restored = restored.map(|index| {
            let one = &ledger.resources[*index];
            let place = others::place_of(self.network, one.kind);
            let key = (one.kind.to_owned(), place, one.id.as_str().into());
            (key, self.network.scenario.world.now)
        });
        BroughtBack {
            by_id: restored.collect(),
            ..BroughtBack::default()
        }
    }

    /// Writes a plan down as the ledger knows its resources.
    fn planned(&self, key: RunKey, focus: Focus, plan_file: &PlanFile) {
        let steps: Vec<Option<PlannedStep>> = {
            let ledger = &self.network.state().ledger;
            let steps = plan_file.steps.iter().map(|step| {
                let id = step.incarnation.as_deref().unwrap_or(&step.id);
                ledger.find(&step.kind, id).map(|resource| PlannedStep {
                    resource,
                    expires: step.action == Action::Expire,
                })
            });
            steps.collect()
        };
        let names = plan_file
            .steps
            .iter()
            .map(|step| format!("{} {}", step.kind, step.name));
        let names: Vec<_> = names.collect();
        self.network
            .note(&format!("{}.{} plans {names:?}", key.actor, key.run));
        if steps.iter().any(Option::is_none) {
            self.network
                .broke("a plan is about what there is", format!("{names:?}"));
        }
        let steps: Vec<PlannedStep> = steps.into_iter().flatten().collect();
        if let Some(kind) = focus.kind
            && plan_file.steps.iter().any(|step| *step.kind != *kind)
        {
            let what = format!("{names:?} are not all of kind {kind}");
            self.network
                .broke("nothing outside of the plan is done", what);
        }
        if let Some(only) = focus.number {
            let about = |step: &PlannedStep| self.network.state().ledger.about(step.resource);
            let moved = |step: &PlannedStep| {
                self.network.state().ledger.resources[step.resource]
                    .moved
                    .is_some()
            };
            let odd: Vec<_> = steps
                .iter()
                .filter(|step| about(step) != Some(only) && !moved(step))
                .collect();
            if !odd.is_empty() {
                let what = format!("{odd:?} are not about #{only}");
                self.network
                    .broke("nothing outside of the plan is done", what);
            }
        }
        self.network.run(key, |run| run.plan = Some(steps));
    }

    /// What should be gone by now.
    fn garbage(&self) -> BTreeSet<usize> {
        let now = self.network.now();
        oracle::garbage(&self.network.scenario, &self.network.state().ledger, now)
    }

    /// Whether brakes trip that must. What was garbage before the run looked and
    /// after it is what it must have seen, unless somebody lied to it.
    fn judge_brakes(
        &self,
        report: &Report,
        before: &BTreeSet<usize>,
        focus: Focus,
        limits: Limits,
    ) {
        if self.network.scenario.weather.faults > 0 || !report.complete || !focus.is_everything() {
            return;
        }
        // By the run's own time: what changed after it was not dead for any grace.
        let after = {
            let ledger = &self.network.state().ledger;
            oracle::garbage(&self.network.scenario, ledger, report.now)
        };
        let mut seen: BTreeSet<usize> = after.intersection(before).copied().collect();
        // One that was opened and closed again meanwhile may have been seen open.
        let closed_since = |index: &usize| {
            let ledger = &self.network.state().ledger;
            let number = ledger.about(*index);
            let pull_request = number.and_then(|number| ledger.pull_requests.get(&number));
            pull_request.is_some_and(
                |one| matches!(*one.last(), PullRequest::Closed { at, .. } if at >= report.now),
            )
        };
        seen.retain(|index| !closed_since(index));
        // One that something which stays bound for a while, or that a host was pointed
        // at, may have been seen in use.
        let garbage = seen.clone();
        let used_since = |index: &usize| {
            let ledger = &self.network.state().ledger;
            let used = &ledger.resources[*index];
            let bound_as = used.bound_as();
            let mut users = ledger.resources.iter().enumerate();
            users.any(|(user, one)| {
                let mut binds = one.binds.since(report.now).iter();
                let mut pointed = one.pointed.iter();
                let is_target = |(at, before): &(_, String)| {
                    used.kind == "worker" && *at >= report.now && *before == used.name
                };
                pointed.any(is_target)
                    || !garbage.contains(&user) && binds.any(|(_, binds)| binds.contains(&bound_as))
            })
        };
        seen.retain(|index| !used_since(index));
        // So may one that somebody marked or labelled for a while.
        let kept_since = |index: &usize| {
            let ledger = &self.network.state().ledger;
            let number = ledger.about(*index);
            let labels = number.and_then(|number| ledger.labelled.get(&number));
            let marks = Some(&ledger.resources[*index].marked);
            let mut kept = labels.into_iter().chain(marks);
            kept.any(|kept| kept.since(report.now).iter().any(|(_, kept)| *kept))
        };
        seen.retain(|index| !kept_since(index));
        // What has no times leans on what shares its number, also on what is younger than
        // the run.
        let contradicted_since = |index: &usize| {
            let ledger = &self.network.state().ledger;
            let leans = !has_times(ledger.resources[*index].kind);
            let number = ledger.about(*index).filter(|_| leans);
            let mut others = ledger.resources.iter().enumerate();
            let is_made_since = |other: usize, one: &Resource| {
                has_times(one.kind) && one.born >= report.now && ledger.about(other) == number
            };
            number.is_some() && others.any(|(other, one)| is_made_since(other, one))
        };
        seen.retain(|index| !contradicted_since(index));
        let mut wrong = Vec::new();
        {
            let ledger = &self.network.state().ledger;
            for kind in kinds() {
                let of_kind = |index: &&usize| ledger.resources[**index].kind == kind;
                let garbage = seen.iter().filter(of_kind).count() as u64;
                let all = ledger.resources.iter().enumerate();
                let claimed = all.filter(|(index, one)| {
                    let there = one.gone.is_none_or(|at| at >= report.now);
                    one.kind == kind && there && ledger.is_claimed(*index)
                });
                let claimed = u32::try_from(claimed.count()).unwrap_or(u32::MAX);
                let maximum = limits.brake.share * f64::from(claimed);
                let too_large_a_share = garbage >= limits.brake.floor
                    && f64::from(u32::try_from(garbage).unwrap_or(u32::MAX)) > maximum;
                if garbage > limits.brake.count || too_large_a_share {
                    wrong.push((kind, garbage, claimed));
                }
            }
        }
        for (kind, garbage, claimed) in wrong {
            if report.brakes.iter().all(|brake| brake.kind.name() != kind) {
                let what = format!("{garbage} of {claimed} {kind} are garbage, and no brake trips");
                self.network.broke("brakes hold", what);
            }
        }
    }

    /// Exit code and report against the ledger.
    fn judge_report(&self, key: RunKey, ended: &Ended, focus: Focus, limits: Limits) {
        const INVARIANT: &str = "report and exit code agree with the ledger";
        let swept = ended.report.swept.as_ref().expect("it swept");
        let (plan, writes) = self.network.run(key, |run| (run.plan.clone(), run.writes));
        let plan = plan.unwrap_or_default();
        let mut wrong = Vec::new();
        let ledger = self.network.state().ledger.clone();
        // A brake leaves no step of the plan; what stays may still lose an expiry.
        let braked = !ended.report.brakes.is_empty();
        let plan = if braked { Vec::new() } else { plan };
        for (step, row) in plan.iter().zip(&swept.steps) {
            let resource = &ledger.resources[step.resource];
            let ours = resource.deleted_by == Some(key);
            let there = resource.is_there();
            let agrees = match row.outcome {
                Outcome::Deleted | Outcome::AlreadyGone => !there,
                Outcome::Expired => !there || resource.expires.is_some(),
                Outcome::ExpiryRemoved => there,
                Outcome::Spared
                | Outcome::Deferred
                | Outcome::FailedForNow
                | Outcome::FailedForGood => !ours || self.went_unseen(resource),
                Outcome::InDoubt => true,
            };
            if !agrees || *resource.name != row.name {
                wrong.push(format!(
                    "{} {} is {} ({}) and in truth gone at {:?}, by {:?}",
                    row.kind, row.name, row.outcome, row.reason, resource.gone, resource.deleted_by
                ));
            }
        }
        let failures = [
            Outcome::FailedForNow,
            Outcome::FailedForGood,
            Outcome::InDoubt,
        ];
        let outcomes = || swept.steps.iter().map(|row| row.outcome);
        let failed = outcomes().any(|outcome| failures.contains(&outcome))
            || swept
                .settled
                .iter()
                .any(|one| one.outcome == Outcome::InDoubt);
        let expected = if !ended.report.brakes.is_empty() {
            Exit::Braked
        } else if failed {
            Exit::Failed
        } else if !ended.report.complete {
            Exit::Incomplete
        } else {
            Exit::Ok
        };
        if ended.exit != expected {
            wrong.push(format!("it exits {:?} and not {expected:?}", ended.exit));
        }
        if ended.exit == Exit::Ok && focus.is_everything() {
            let begun = self.network.run(key, |run| run.begun);
            wrong.extend(self.expiries_left(&ledger, begun));
        }
        for what in wrong {
            self.network.broke(INVARIANT, what);
        }
        if braked && swept.steps.iter().any(|row| row.outcome.is_gone()) {
            let what = format!("{:?} after {:?}", swept.steps, ended.report.brakes);
            self.network.broke("brakes hold", what);
        }
        if braked && writes > swept.steps.len() {
            let what = format!("{writes} requests after {:?}", ended.report.brakes);
            self.network.broke("brakes hold", what);
        }
        let deleted = ledger
            .resources
            .iter()
            .filter(|one| one.deleted_by == Some(key));
        let deleted: Vec<_> = deleted
            .filter(|one| !matches!(one.purpose, Purpose::OfWorker(_) | Purpose::Serves(_)))
            .collect();
        if deleted.len() > limits.max_deletions {
            let names: Vec<_> = deleted
                .iter()
                .map(|one| format!("{} {} ({:?})", one.kind, one.name, one.purpose))
                .collect();
            let what = format!("{} were deleted in one run: {names:?}", deleted.len());
            self.network.broke("brakes hold", what);
        }
    }

    /// Expiries that stay although their pull request was open all the time of a
    /// run, whose journals have them.
    fn expiries_left(&self, ledger: &Ledger, begun: Moment) -> Vec<String> {
        let scenario = &self.network.scenario;
        if scenario.actors > 1 || scenario.weather.faults > 0 {
            return Vec::new();
        }
        let is_open = |one: &Resource| match one.purpose {
            Purpose::PullRequest(number) => ledger.pull_requests.get(&number).is_some_and(|one| {
                let mut states = one.since(begun).iter();
                states.all(|(_, state)| *state == PullRequest::Open)
            }),
            _ => false,
        };
        let there = ledger.there().map(|(_, one)| one);
        let left = there.filter(|one| one.expires.is_some() && !one.expires_anyway && is_open(one));
        left.map(|one| format!("{} keeps its expiry", one.name))
            .collect()
    }

    /// Whether somebody pointed it at a Worker that a run was about to delete, too
    /// late for that run to see: it went with the Worker.
    fn went_unseen(&self, resource: &Resource) -> bool {
        let (Some(moved), Some(gone)) = (resource.moved, resource.gone) else {
            return false;
        };
        gone - moved <= reread_after(&self.network.scenario)
    }

    /// Journals against the ledger.
    fn judge_journals(&self, key: RunKey, before: &BTreeSet<String>, ended: bool) {
        const INVARIANT: &str = "the journal agrees with the ledger";
        let ledger: Ledger = self.network.state().ledger.clone();
        let mut wrong = Vec::new();
        let files = journals::files(&self.folder(key.actor));
        for (file, text) in &files {
            let ours = !before.contains(file);
            let mut state = self.network.state();
            let known = state.journals.entry((key.actor, file.clone()));
            let author = *known.or_insert(key);
            drop(state);
            for step in journals::steps(text) {
                let Some(index) = step.find(&ledger) else {
                    wrong.push(format!("{file}: there never was {step:?}"));
                    continue;
                };
                let resource = &ledger.resources[index];
                let agrees = match step.outcome.as_deref() {
                    Some("deleted" | "already_gone") => !resource.is_there(),
                    Some("spared" | "deferred" | "failed_for_now" | "failed_for_good") => {
                        resource.deleted_by != Some(author) || self.went_unseen(resource)
                    }
                    // What is open is the business of a run that was cut off.
                    None => !(ended && ours),
                    _ => true,
                };
                if !agrees {
                    wrong.push(format!("{file}: {step:?} is in truth {resource:?}"));
                }
            }
        }
        let texts: Vec<_> = files
            .iter()
            .filter(|(file, _)| !before.contains(*file))
            .collect();
        for resource in ledger
            .resources
            .iter()
            .filter(|one| one.deleted_by == Some(key))
        {
            let mut steps = texts.iter().flat_map(|(_, text)| journals::steps(text));
            let written = steps.any(|step| {
                step.kind == resource.kind
                    && *step.incarnation.as_ref().unwrap_or(&step.id) == resource.id
                    && !matches!(
                        step.outcome.as_deref(),
                        Some("spared" | "deferred" | "failed_for_now" | "failed_for_good")
                    )
            });
            // A Worker takes its domains with it. One that was made anew while its
            // deletion was on its way was taken for the one before.
            let goes_along =
                matches!(resource.purpose, Purpose::OfWorker(_)) || resource.moved.is_some();
            if !written && !goes_along && !resource.unseen {
                wrong.push(format!("{resource:?} was deleted, and no journal says so"));
            }
        }
        for what in wrong {
            self.network.broke(INVARIANT, what);
        }
    }

    /// A run's requests against the share of the quota that it was given.
    fn judge_quota(&self, key: RunKey, limits: Limits) {
        let quota = self.network.scenario.quota;
        let limit = f64::from(quota.limit.unwrap_or(u32::MAX));
        let ours = (limit * limits.allotment.share).floor();
        let window = TimeDelta::seconds(quota.seconds.into());
        let arrived: Vec<_> = {
            let state = self.network.state();
            let requests = state.ledger.requests.iter();
            let ours = requests.filter(|one| one.run == key && one.provider == "cloudflare");
            let mut arrived: Vec<_> = ours.filter_map(|one| one.arrived).collect();
            arrived.sort_unstable();
            arrived
        };
        for (index, last) in arrived.iter().enumerate() {
            let first = arrived.partition_point(|one| *one <= *last - window);
            let count = index + 1 - first;
            if f64::from(u32::try_from(count).unwrap_or(u32::MAX)) > ours {
                let what = format!("{count} requests in the window that ends at {last}");
                self.network.broke("no quota window is exceeded", what);
                return;
            }
        }
    }

    /// What exists by the stand-in's own account is what exists by the ledger.
    async fn compare_worlds(&self) {
        let (_, state) = self
            .network
            .ask(Method::GET, "/_sandbox/state", &Value::Null)
            .await;
        let resources = state["resources"].as_array().cloned().unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let managed = |one: &Value| one["attributes"]["managed"] == true;
        let drawn = kinds();
        let truth: BTreeSet<(String, String)> = resources
            .iter()
            .filter(|one| drawn.contains(&&*word(&one["kind"])) && !managed(one))
            .map(|one| {
                let known_by = if one["kind"] == "github_environment" {
                    "name"
                } else {
                    "id"
                };
                (word(&one["kind"]), word(&one[known_by]))
            })
            .collect();
        let known: BTreeSet<(String, String)> = {
            let state = self.network.state();
            let there = state.ledger.there();
            there
                .map(|(_, one)| (one.kind.to_owned(), one.id.clone()))
                .collect()
        };
        if truth != known {
            let unknown: Vec<_> = truth.difference(&known).collect();
            let gone: Vec<_> = known.difference(&truth).collect();
            let what = format!("the ledger lacks {unknown:?}, and the world {gone:?}");
            self.network
                .broke("nothing comes or goes but by what the ledger has", what);
        }
    }

    /// Once faults stop, repeated runs leave nothing past its grace, and then do nothing.
    async fn heal(&self) {
        const INVARIANT: &str = "once faults stop, nothing past its grace is left";
        self.network.note("faults stop");
        self.network.state().weather = Weather::calm();
        self.network.state().impostor = false;
        tokio::time::sleep(Duration::from_hours(48)).await;
        let mut limits = self.network.scenario.limits;
        limits.brake.count = u64::MAX;
        limits.brake.share = 1.0;
        limits.deadline = Limits::default().deadline;
        limits.reference_reads = Limits::default().reference_reads;
        // With a share that no re-read fits into, nothing is ever deleted.
        limits.allotment.share = 1.0;
        if !self.network.scenario.drains_slowly {
            limits.max_deletions = limits.max_deletions.max(50);
        }
        let resources = self.network.state().ledger.there().count();
        let runs = resources / limits.max_deletions + 4;
        for _ in 0..runs {
            others::expire(self.network).await;
            let ended = self.go(0, None, Begin::default(), limits).await;
            if self.network.is_broken() {
                return;
            }
            let summary = ended.map(|ended| ended.report.summary);
            let idle = summary.is_some_and(|summary| {
                // A person raises a limit that the report calls too low.
                limits.max_deletions = limits.max_deletions.max(summary.needs_at_once);
                summary.would_delete == 0 && summary.needs_at_once == 0
            });
            let expires = |one: &Resource| one.is_there() && one.expires.is_some();
            let waits = self.network.state().ledger.resources.iter().any(expires);
            if idle && !waits {
                break;
            }
            tokio::time::sleep(Duration::from_hours(25)).await;
        }
        // What an expired branch contradicted is garbage only now.
        if others::expire(self.network).await {
            self.go(0, None, Begin::default(), limits).await;
        }
        let left: Vec<String> = {
            let state = self.network.state();
            let left = oracle::garbage(&self.network.scenario, &state.ledger, self.network.now());
            let resources = &state.ledger.resources;
            let left = left.into_iter().map(|index| &resources[index]);
            left.map(|one| format!("{} {}", one.kind, one.name))
                .collect()
        };
        if !left.is_empty() {
            self.network.broke(INVARIANT, format!("{left:?}"));
        }
        for actor in 0..self.network.scenario.actors {
            let Some(ended) = self.go(actor, None, Begin::default(), limits).await else {
                continue;
            };
            let key = RunKey {
                actor,
                run: self.last_run(actor),
            };
            let writes = self.network.run(key, |run| run.writes);
            // A person has to remove the consumer of a queue that stays.
            let by_hand =
                ended.exit == Exit::Failed && oracle::has_consumers(&self.network.state().ledger);
            if writes > 0 || (ended.exit != Exit::Ok && !by_hand) {
                let what = format!("a last run sends {writes} and exits {:?}", ended.exit);
                self.network.broke(INVARIANT, what);
            }
            for (file, text) in journals::files(&self.folder(actor)) {
                for step in journals::steps(&text) {
                    if matches!(step.outcome.as_deref(), None | Some("in_doubt")) {
                        let what = format!("{file}: {step:?}");
                        self.network
                            .broke("what was in doubt is settled in the end", what);
                    }
                }
            }
        }
        self.compare_worlds().await;
    }

    fn last_run(&self, actor: usize) -> usize {
        let state = self.network.state();
        let runs = state.runs.iter().filter(|run| run.key.actor == actor);
        runs.map(|run| run.key.run).max().unwrap_or_default()
    }
}
