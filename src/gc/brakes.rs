//! The anomaly brake: a sweep that would delete suspiciously much is refused
//! before its first deletion.

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
    /// The setting that was exceeded, and the one that overrides it.
    pub reason: String,
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
    let trips = |(kind, (garbage, claimed)): (KindRef, (u64, u64))| {
        let (code, reason) = reason(garbage, claimed, limits, one_pull_request)?;
        Some(Brake {
            kind,
            garbage,
            claimed,
            code,
            reason,
        })
    };
    counts.into_iter().filter_map(trips).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of resources are far below 2^52"
)]
fn reason(
    garbage: u64,
    claimed: u64,
    limits: BrakeLimits,
    one_pull_request: bool,
) -> Option<(Code, String)> {
    if garbage > limits.count {
        let reason = format!(
            "{garbage} are garbage, more than the {} that `brake.count` allows; \
             if that is right, pass --brake-count {garbage}",
            limits.count
        );
        return Some((Code::BrakeCount, reason));
    }
    let share = garbage as f64 / claimed.max(1) as f64;
    if !one_pull_request && garbage >= limits.floor && share > limits.share {
        let needed = (share * 100.0).ceil() / 100.0;
        let reason = format!(
            "{garbage} of {claimed} claimed are garbage, a larger share than the {} that \
             `brake.share` allows; if that is right, pass --brake-share {needed}",
            limits.share
        );
        return Some((Code::BrakeShare, reason));
    }
    None
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
        assert_eq!(reason(200, 1_000, LIMITS, false), None);
        assert!(
            reason(201, 1_000, LIMITS, false)
                .unwrap()
                .1
                .contains("--brake-count 201")
        );
        assert!(reason(201, 1_000, LIMITS, true).is_some());
        assert_eq!(reason(19, 19, LIMITS, false), None, "below the floor");
        assert!(
            reason(20, 20, LIMITS, false)
                .unwrap()
                .1
                .contains("--brake-share 1")
        );
        assert_eq!(reason(60, 100, LIMITS, false), None, "exactly the share");
        assert!(
            reason(61, 100, LIMITS, false)
                .unwrap()
                .1
                .contains("--brake-share 0.61")
        );
        assert_eq!(reason(61, 100, LIMITS, true), None, "never with --pr");
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
        assert!(brake.reason.contains("--brake-count 3"), "{}", brake.reason);
    }
}
