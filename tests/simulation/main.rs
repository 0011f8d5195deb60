//! A seeded swarm over the real code, in virtual time, against the stand-in in
//! process. One seed draws everything; the same seed gives the same trace.
//!
//! `PREVIEW_GC_SEEDS` is how many seeds are simulated, from `PREVIEW_GC_FIRST_SEED`
//! on, `PREVIEW_GC_SEED` the only one, with its trace. With `PREVIEW_GC_ALL` a
//! violation does not end the others: each is printed in one line. With
//! `PREVIEW_GC_COUNTS` the features that seeds drew are counted.
//! With `PREVIEW_GC_VERDICTS` the trace has every verdict.
//!
//! - [`scenario`] draws what is decided beforehand, [`others`] what people do
//!   meanwhile.
//!   [`rare`] and [`users`] draw what only some worlds have.
//! - [`network`] carries requests: slowly, with faults and crashes, and judges
//!   each that changes something at the moment it arrives.
//! - [`ledger`] has what was when; [`oracle`] says from it alone what may be
//!   deleted; [`journals`] reads what runs wrote down.
//! - [`storage`] has what is to know of each kind of storage.
//! - [`life`] starts runs, restarts them, heals the world and compares.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails should say where"
)]
#![allow(
    clippy::too_many_lines,
    reason = "a test case is read from its beginning to its end"
)]

#[path = "../support/in_process.rs"]
mod in_process;
mod journals;
mod ledger;
mod life;
mod network;
mod oracle;
mod others;
mod rare;
mod scenario;
mod storage;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use fastrand::Rng;
use http::Method;
use life::{Simulated, simulate};
use network::targets;
use preview_gc::model::{Place, PlaceSort, ResourceId};
use preview_gc::providers;
use scenario::Scenario;

/// How many seeds are simulated without that variable.
const SEEDS: u64 = 200;

/// How much of a trace is shown before the violation.
const SHOWN: usize = 60;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

/// Says something although tests are not heard while they pass.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn failure(seed: u64, simulated: &Simulated) -> Option<String> {
    let violation = simulated.broken.as_ref()?;
    let at = simulated
        .trace
        .iter()
        .position(|line| line.contains("VIOLATION"));
    let end = at.map_or(simulated.trace.len(), |at| at + 1);
    let begin = end.saturating_sub(SHOWN);
    Some(format!(
        "seed {seed} breaks \"{}\":\n  {}\n{}\nthe whole trace: PREVIEW_GC_SEED={seed} cargo test \
         --test simulation",
        violation.invariant,
        violation.what,
        simulated.trace[begin..end].join("\n"),
    ))
}

#[test]
fn no_seed_breaks_an_invariant() {
    if let Some(seed) = number("PREVIEW_GC_SEED") {
        let simulated = simulate(seed);
        say(&simulated.trace.join("\n"));
        assert!(
            simulated.broken.is_none(),
            "{}",
            failure(seed, &simulated).unwrap_or_default()
        );
        return;
    }
    let seeds = number("PREVIEW_GC_SEEDS").unwrap_or(SEEDS);
    let first = number("PREVIEW_GC_FIRST_SEED").unwrap_or(0);
    let all = std::env::var_os("PREVIEW_GC_ALL").is_some();
    let counts = Mutex::new(BTreeMap::<&str, u64>::new());
    let next = AtomicU64::new(first);
    let (requests, deleted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let runs = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let found = Mutex::new(None);
    let begin = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let failure = match std::panic::catch_unwind(|| simulate(seed)) {
                        Ok(simulated) => {
                            requests.fetch_add(simulated.requests, Ordering::Relaxed);
                            deleted.fetch_add(simulated.deleted, Ordering::Relaxed);
                            runs.fetch_add(simulated.runs, Ordering::Relaxed);
                            for feature in &simulated.features {
                                *counts.lock().unwrap().entry(feature).or_default() += 1;
                            }
                            if all && let Some(violation) = &simulated.broken {
                                let what: String = violation.what.chars().take(300).collect();
                                say(&format!(
                                    "seed {seed} breaks \"{}\": {what}",
                                    violation.invariant
                                ));
                            }
                            failure(seed, &simulated)
                        }
                        Err(_) => Some(format!("seed {seed} panics, as shown above")),
                    };
                    if let Some(failure) = failure {
                        failed.store(!all, Ordering::Relaxed);
                        found.lock().unwrap().get_or_insert(failure);
                    }
                }
            });
        }
    });
    if std::env::var_os("PREVIEW_GC_COUNTS").is_some() {
        for (feature, count) in counts.into_inner().unwrap() {
            say(&format!("{count:>6} seeds have {feature}"));
        }
    }
    if let Some(failure) = found.into_inner().unwrap() {
        panic!("{failure}");
    }
    let took = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    let rate = seeds as f64 / took;
    say(&format!(
        "{seeds} seeds from {first} in {took:.1} s, {rate:.0} a second; {} runs, {} requests, {} \
         deletions",
        runs.into_inner(),
        requests.into_inner(),
        deleted.into_inner()
    ));
}

/// A kind that no seed draws is never deleted here, rightly or wrongly.
#[test]
fn every_kind_of_the_program_is_drawn() {
    let of_program: BTreeSet<_> = providers::kinds().map(|kind| kind.about().name()).collect();
    let listed: BTreeSet<_> = scenario::kinds().into_iter().collect();
    assert_eq!(listed, of_program);
    let mut drawn = BTreeSet::new();
    for seed in 0..100 {
        let scenario = Scenario::draw(&mut Rng::with_seed(seed));
        drawn.extend(scenario.ledger.resources.iter().map(|one| one.kind));
    }
    assert_eq!(drawn, of_program);
}

/// A deletion that is not recognised is not judged.
#[test]
fn a_deletion_of_every_kind_is_recognised() {
    for kind in providers::kinds() {
        let about = kind.about();
        let (place, base) = match about.0.place {
            PlaceSort::Account => (Place::Account("a".to_owned()), "/client/v4"),
            PlaceSort::Zone => {
                let [id, name, account] = ["z", "acme.example", "a"].map(str::to_owned);
                (Place::Zone { id, name, account }, "/client/v4")
            }
            PlaceSort::Project => (Place::Project("p".to_owned()), "/api/v2"),
            PlaceSort::Repository => (Place::Repository("acme/shop".to_owned()), "/github"),
        };
        let id = ResourceId {
            kind: about,
            place: Arc::new(place),
            id: "the-id".into(),
            name: "the-id".into(),
            holder: Some("holder".into()),
            incarnation: None,
        };
        let call = kind.delete(&id);
        let targets = targets(&Method::DELETE, &format!("{base}{}", call.path), &[]);
        let expected = vec![(about.name(), "the-id".to_owned())];
        assert_eq!(targets, Some(expected), "{about}: {}", call.path);
    }
}

#[test]
fn a_seed_gives_the_same_trace_twice() {
    for seed in 0..10 {
        let (first, second) = (simulate(seed), simulate(seed));
        let differs = first
            .trace
            .iter()
            .zip(&second.trace)
            .position(|(a, b)| a != b);
        if let Some(at) = differs {
            let (a, b) = (&first.trace[at], &second.trace[at]);
            panic!("seed {seed} differs in line {at}:\n{a}\n{b}");
        }
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
    }
}
