//! The anomaly brake: a sweep that would delete suspiciously much is refused
//! before its first deletion.

use std::fmt;

use super::mark::Marking;
use crate::evidence::Inventory;
use crate::model::KindRef;
use crate::model::code::Code;

/// The settings of the anomaly brake.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrakeLimits {
    /// The most garbage of one kind.
    pub count: u64,
    /// The largest share of what the rules claim of one kind, 0 to 1.
    pub share: f64,
    /// The garbage from which on the share counts.
    pub floor: u64,
}

/// A brake that a kind trips.
#[derive(Debug, Clone, PartialEq)]
pub struct Brake {
    /// The kind of the resources.
    pub kind: KindRef,
    /// Garbage found, before any cap.
    pub garbage: u64,
    /// What the rules claim.
    pub claimed: u64,
    /// Which limit it is.
    pub code: Code,
    /// The maximum number, if that alone was exceeded.
    pub allowed: Option<u64>,
    /// The settings that were exceeded.
    pub reason: String,
    /// What to do, which is the same for all brakes of a run.
    pub remedy: String,
}

impl Brake {
    /// Returns why it stops a sweep, and what to do.
    pub fn advice(&self) -> String {
        format!("{}; {}", self.reason, self.remedy)
    }
}

/// The brakes that this marking trips. The share never counts with `--pr`,
/// where everything of one pull request is meant to go.
pub fn brakes(
    inventory: &Inventory,
    marking: &Marking<'_>,
    limits: BrakeLimits,
    one_pull_request: bool,
) -> Vec<Brake> {
    let mut counts = std::collections::BTreeMap::<KindRef, (u64, u64)>::new();
    let resources = inventory.resources.iter().zip(&marking.judgements);
    for (resource, judgement) in resources.filter(|(_, judgement)| judgement.in_focus) {
        let (garbage, claimed) = counts.entry(resource.kind).or_default();
        *garbage += u64::from(judgement.verdict.is_garbage());
        *claimed += u64::from(judgement.matched_by.is_some());
    }
    let counts = counts.into_iter();
    let tripped: Vec<(KindRef, Excess)> = counts
        .filter_map(|(kind, (garbage, claimed))| {
            Some((kind, excess(garbage, claimed, limits, one_pull_request)?))
        })
        .collect();
    let remedy = remedy(tripped.iter().map(|(_, excess)| excess));
    let brake = |(kind, excess): (KindRef, Excess)| Brake {
        kind,
        garbage: excess.garbage,
        claimed: excess.claimed,
        code: if excess.count.is_some() {
            Code::BrakeCount
        } else {
            Code::BrakeShare
        },
        allowed: excess.count.filter(|_| excess.share.is_none()),
        reason: excess.to_string(),
        remedy: remedy.clone(),
    };
    tripped.into_iter().map(brake).collect()
}

/// How much of one kind exceeds the limits: at least one of them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Excess {
    garbage: u64,
    claimed: u64,
    /// The maximum, where there is more.
    count: Option<u64>,
    /// The maximum share, and the share that there is, rounded up.
    share: Option<(f64, f64)>,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (garbage, claimed) = (self.garbage, self.claimed);
        let are = if garbage == 1 { "is" } else { "are" };
        match (self.count, self.share) {
            (Some(count), None) => write!(
                f,
                "{garbage} {are} garbage, more than the {count} that `brake.count` allows"
            ),
            (count, Some((share, _))) => {
                write!(
                    f,
                    "{garbage} of the {claimed} that rules match {are} garbage, "
                )?;
                if let Some(count) = count {
                    write!(f, "more than the {count} that `brake.count` allows, and ")?;
                }
                write!(
                    f,
                    "a larger share than the {share} that `brake.share` allows"
                )
            }
            (None, None) => Ok(()),
        }
    }
}

/// The settings that let a run pass all of its brakes at once.
fn remedy<'e>(all: impl Iterator<Item = &'e Excess> + Clone) -> String {
    let counts = all.clone().filter(|excess| excess.count.is_some());
    let count = counts.map(|excess| excess.garbage).max();
    let shares = all.filter_map(|excess| excess.share);
    let share = shares.map(|(_, needed)| needed).reduce(f64::max);
    let flags = [
        count.map(|count| format!("--brake-count {count}")),
        share.map(|share| format!("--brake-share {share}")),
    ];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    format!(
        "check the rules; if they are right, pass {}",
        flags.join(" ")
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of resources are far below 2^52"
)]
fn excess(
    garbage: u64,
    claimed: u64,
    limits: BrakeLimits,
    one_pull_request: bool,
) -> Option<Excess> {
    let share = garbage as f64 / claimed.max(1) as f64;
    let too_large = !one_pull_request && garbage >= limits.floor && share > limits.share;
    let needed = (share * 100.0).ceil() / 100.0;
    let excess = Excess {
        garbage,
        claimed,
        count: (garbage > limits.count).then_some(limits.count),
        share: too_large.then_some((limits.share, needed)),
    };
    (excess.count.is_some() || excess.share.is_some()).then_some(excess)
}

#[cfg(test)]
mod tests {
    use super::super::Judgement;
    use super::super::samples::{PLAIN, at, garbage, kind, marking, matched_by, resource};
    use super::*;

    const LIMITS: BrakeLimits = BrakeLimits {
        count: 200,
        share: 0.6,
        floor: 20,
    };

    #[test]
    fn the_count_brakes_always_and_the_share_from_the_floor_on() {
        let reason = |garbage, claimed, one_pull_request| {
            let excess = excess(garbage, claimed, LIMITS, one_pull_request)?;
            Some(format!("{excess}; {}", remedy([excess].iter())))
        };
        let trips = |garbage, claimed, one_pull_request, flags: &str| {
            let reason = reason(garbage, claimed, one_pull_request).unwrap();
            assert!(reason.ends_with(flags), "{reason}");
        };
        assert_eq!(reason(200, 1_000, false), None);
        trips(201, 1_000, false, "pass --brake-count 201");
        trips(201, 1_000, true, "pass --brake-count 201");
        assert_eq!(reason(19, 19, false), None, "below the floor");
        trips(20, 20, false, "pass --brake-share 1");
        assert_eq!(reason(60, 100, false), None, "exactly the share");
        trips(61, 100, false, "pass --brake-share 0.61");
        assert_eq!(reason(61, 100, true), None, "never with --pr");
        trips(201, 300, false, "pass --brake-count 201 --brake-share 0.67");
        trips(201, 201, true, "pass --brake-count 201");
    }

    /// One kind trips the count and another the share: each refusal names what lets
    /// the whole run pass.
    #[test]
    fn brakes_that_are_tripped_together_name_all_settings() {
        let dead = |number| garbage(PLAIN, number, at(0));
        let alive = || Judgement {
            matched_by: Some(matched_by(PLAIN, 9)),
            ..Judgement::default()
        };
        let found = [
            ("worker", dead(1)),
            ("worker", dead(2)),
            ("worker", alive()),
            ("kv_namespace", dead(1)),
        ];
        let inventory = Inventory {
            resources: found.iter().map(|(of, _)| resource(of, "app")).collect(),
            ..Inventory::default()
        };
        let judgements = found.into_iter().map(|(_, judgement)| judgement).collect();
        let marking = marking(judgements, &[]);
        let limits = BrakeLimits {
            count: 1,
            share: 0.5,
            floor: 0,
        };
        let tripped = brakes(&inventory, &marking, limits, false);
        let reasons: Vec<String> = tripped.iter().map(Brake::advice).collect();
        assert_eq!(
            reasons,
            [
                "1 of the 1 that rules match is garbage, a larger share than the 0.5 that \
                 `brake.share` allows; check the rules; if they are right, pass --brake-count 2 \
                 --brake-share 1",
                "2 of the 3 that rules match are garbage, more than the 1 that `brake.count` allows, \
                 and a larger share than the 0.5 that `brake.share` allows; check the rules; if they \
                 are right, pass --brake-count 2 --brake-share 1",
            ]
        );
    }

    /// Three of four claimed Workers are garbage, and one of two namespaces.
    #[test]
    fn each_kind_is_counted_alone_and_only_what_is_meant() {
        let alive = || Judgement {
            matched_by: Some(matched_by(PLAIN, 9)),
            ..Judgement::default()
        };
        let elsewhere = || Judgement {
            in_focus: false,
            ..garbage(PLAIN, 8, at(0))
        };
        let dead = |number| garbage(PLAIN, number, at(0));
        let found = [
            ("worker", dead(1)),
            ("worker", alive()),
            ("kv_namespace", dead(1)),
            ("worker", dead(2)),
            ("worker", Judgement::default()),
            ("worker", elsewhere()),
            ("kv_namespace", alive()),
            ("worker", dead(3)),
        ];
        let inventory = Inventory {
            resources: found.iter().map(|(of, _)| resource(of, "app")).collect(),
            ..Inventory::default()
        };
        let judgements = found.into_iter().map(|(_, judgement)| judgement).collect();
        let marking = marking(judgements, &[]);
        let tripped = |limits, one_pull_request| -> Vec<(KindRef, u64, u64)> {
            brakes(&inventory, &marking, limits, one_pull_request)
                .into_iter()
                .map(|brake| (brake.kind, brake.garbage, brake.claimed))
                .collect()
        };
        let by_count = |count| BrakeLimits {
            count,
            share: 1.0,
            floor: 0,
        };
        let by_share = |share| BrakeLimits {
            count: 200,
            share,
            floor: 0,
        };
        let (workers, namespaces) = ((kind("worker"), 3, 4), (kind("kv_namespace"), 1, 2));
        assert_eq!(tripped(by_count(3), false), []);
        assert_eq!(tripped(by_count(2), false), [workers]);
        assert_eq!(tripped(by_count(0), false), [namespaces, workers]);
        assert_eq!(tripped(by_share(0.75), false), []);
        assert_eq!(tripped(by_share(0.74), false), [workers]);
        assert_eq!(tripped(by_share(0.49), false), [namespaces, workers]);
        assert_eq!(tripped(by_share(0.0), true), [], "never with --pr");
        let [brake] = &brakes(&inventory, &marking, by_count(2), true)[..] else {
            panic!("the Workers trip it")
        };
        assert!(brake.remedy.contains("--brake-count 3"), "{}", brake.remedy);
    }
}
