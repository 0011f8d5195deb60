//! What became of a step, and whether it may still be taken.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::listed::{difference, listed};
use super::mark::{Judgement, Marking};
use super::plan::treatment;
use super::plan_file::PlannedStep;
use super::verdict::{Doubt, Verdict};
use crate::format::moment;
use crate::model::Resource;
use crate::policy::Action;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was deleted, and a reading shows it gone.
    Deleted,
    /// It was given an expiry, and a reading shows that.
    Expired,
    /// It stays, and the expiry that an earlier run gave it is removed.
    ExpiryRemoved,
    /// It was gone already.
    AlreadyGone,
    /// A re-check found that it must be kept or that it changed.
    Spared,
    /// It waits for a later run.
    Deferred,
    /// It could not be done this time.
    FailedForNow,
    /// It was refused, and asking again will not help.
    FailedForGood,
    /// Nobody knows whether it took effect.
    InDoubt,
}

impl Outcome {
    /// All of them, in the order in which summaries count them.
    pub const ALL: [Self; 9] = [
        Self::Deleted,
        Self::Expired,
        Self::ExpiryRemoved,
        Self::AlreadyGone,
        Self::Spared,
        Self::Deferred,
        Self::FailedForNow,
        Self::FailedForGood,
        Self::InDoubt,
    ];

    /// Its name in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::ExpiryRemoved => "expiry_removed",
            Self::AlreadyGone => "already_gone",
            Self::Spared => "spared",
            Self::Deferred => "deferred",
            Self::FailedForNow => "failed_for_now",
            Self::FailedForGood => "failed_for_good",
            Self::InDoubt => "in_doubt",
        }
    }

    /// Returns a name of the JSON in words for people.
    pub fn words(name: &str) -> String {
        let mut all = Self::ALL.into_iter();
        let known = all.find(|outcome| outcome.name() == name);
        known.map_or_else(|| name.replace('_', " "), |outcome| outcome.to_string())
    }

    /// Whether what was planned is not the case although it was tried.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::FailedForNow | Self::FailedForGood | Self::InDoubt
        )
    }

    /// Whether the resource is not there any more.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Deleted | Self::AlreadyGone)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "deleted",
            Self::Expired => "expires",
            Self::ExpiryRemoved => "expiry removed",
            Self::AlreadyGone => "already gone",
            Self::Spared => "spared",
            Self::Deferred => "deferred",
            Self::FailedForNow => "failed for now",
            Self::FailedForGood => "cannot be deleted",
            Self::InDoubt => "in doubt",
        })
    }
}

/// What reading a resource again, just before its step, comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recheck {
    /// It is what it was, and still garbage.
    Go,
    /// It is not there any more.
    Gone,
    /// It is kept, for this reason.
    Spared(String),
    /// The state is unknown, for this reason.
    Unknown(String),
}

/// Whether another reading may decide what this verdict leaves open.
pub fn is_undecided(verdict: &Verdict) -> bool {
    // Times that do not fit are an answer, and reading once more gives no other.
    matches!(verdict, Verdict::Unknown(doubt) if !matches!(doubt, Doubt::Birth { .. }))
}

/// Compares a resource as it is now with the step that was planned for it.
/// `now` is the resource in a complete listing, with its new verdict.
pub fn recheck(
    step: &PlannedStep,
    now: Option<(&Resource, &Judgement)>,
    marking: &Marking<'_>,
) -> Recheck {
    let Some((resource, judgement)) = now else {
        return Recheck::Gone;
    };
    if step.incarnation.as_deref() != resource.incarnation.as_deref() {
        return Recheck::Spared("it was created again under the same name".to_owned());
    }
    if *step.name != *resource.name {
        return Recheck::Spared(format!("it was renamed to {}", resource.name));
    }
    if step.created_at != resource.created_at.known()
        || step.changed_at != resource.changed_at.known()
    {
        let at = resource.changed_at.known().map(moment);
        return Recheck::Spared(format!(
            "it changed{} after it was judged",
            at.map_or_else(String::new, |at| format!(" at {at}"))
        ));
    }
    let owner = resource.owner().map(|owner| owner.key.text());
    if step.owner.as_deref() != owner {
        return Recheck::Spared(match owner {
            Some(owner) => format!("it was pointed at {owner} after it was judged"),
            None => "it has belonged to nothing since it was judged".to_owned(),
        });
    }
    if let Some(what) = difference(&step.listed, &listed(resource)) {
        return Recheck::Spared(format!("{what} changed after it was judged"));
    }
    match &judgement.verdict {
        Verdict::Garbage(death) if death.report_only => {
            Recheck::Spared("its rule now asks only for a report".to_owned())
        }
        Verdict::Garbage(_) if judgement.in_focus => {
            let treatment = treatment(marking, judgement, resource.kind);
            let why = match step.action {
                Action::Delete if treatment.action == Action::Expire => {
                    "its rule now asks for an expiry"
                }
                _ if treatment.backup && !step.backup => {
                    "its rule now asks for a backup; make a new plan"
                }
                _ if step.empty && !treatment.empty => {
                    "not all of its rules ask any more to empty it; make a new plan"
                }
                _ => return Recheck::Go,
            };
            Recheck::Spared(why.to_owned())
        }
        Verdict::Garbage(_) => {
            Recheck::Spared("it is outside of what this run was asked to do".to_owned())
        }
        verdict if is_undecided(verdict) => Recheck::Unknown(verdict.to_string()),
        Verdict::Unknown(_) => Recheck::Spared(judgement.verdict.to_string()),
        Verdict::Live(_)
        | Verdict::Protected(_)
        | Verdict::InUse(_)
        | Verdict::Unmatched(_)
        | Verdict::Grace(_) => Recheck::Spared(format!(
            "{}: {}",
            judgement.verdict.name(),
            judgement.verdict
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Plan, Step};
    use super::super::plan_file::{PlanFile, PlanTarget};
    use super::super::samples::{
        CAREFUL, GENTLE, PLAIN, account, at, garbage, marking, policy, policy_scope, reported,
        resource,
    };
    use super::*;
    use crate::evidence::Inventory;

    #[test]
    fn each_outcome_has_its_name_of_the_json_and_failures_differ() {
        for (outcome, name, failed, gone) in [
            (Outcome::Deleted, "deleted", false, true),
            (Outcome::Expired, "expired", false, false),
            (Outcome::ExpiryRemoved, "expiry_removed", false, false),
            (Outcome::AlreadyGone, "already_gone", false, true),
            (Outcome::Spared, "spared", false, false),
            (Outcome::Deferred, "deferred", false, false),
            (Outcome::FailedForNow, "failed_for_now", true, false),
            (Outcome::FailedForGood, "failed_for_good", true, false),
            (Outcome::InDoubt, "in_doubt", true, false),
        ] {
            assert_eq!(outcome.name(), name);
            assert_eq!(serde_json::to_value(outcome).unwrap(), name);
            assert_eq!(outcome.is_failure(), failed, "{name}");
            assert_eq!(outcome.is_gone(), gone, "{name}");
        }
    }

    #[test]
    fn resource_without_change_time_is_spared_if_its_listing_differs() {
        use crate::model::{Attribute, Link, Reference};
        let policy = policy();
        let policy_scopes = [policy_scope(&policy)];
        let domain = |worker: &str, zone: &str| Resource {
            attributes: vec![("zone", Attribute::Text(zone.into()))],
            links: vec![Link::Uses(Reference::by_id("worker", worker.to_owned()))],
            ..resource("worker_domain", "plain-7.acme.example")
        };
        let inventory = Inventory {
            resources: vec![domain("plain-7", "acme.example")],
            ..Inventory::default()
        };
        let judgement = || garbage(PLAIN, 7, at(-60));
        let marking = marking(vec![judgement()], &policy_scopes);
        let plan = Plan {
            steps: vec![Step {
                resource: 0,
                action: Action::Delete,
                backup: false,
                empty: false,
                unbinds: Vec::new(),
                deleted_with: None,
                after: Vec::new(),
            }],
            ..Plan::default()
        };
        let bound = PlanTarget {
            hosts: [].into(),
            places: [].into(),
            repositories: [].into(),
        };
        let plan = PlanFile::new(&plan, &inventory, &marking, Vec::new(), bound);
        // As its file says it.
        let plan = PlanFile::read(&plan.text()).unwrap();
        for (worker, zone, spared) in [
            ("plain-7", "acme.example", None),
            ("plain-8", "acme.example", Some("pointed at plain-8")),
            ("plain-7", "acme.test", Some("its zone changed")),
        ] {
            let (now, judgement) = (domain(worker, zone), judgement());
            let verdict = recheck(&plan.steps[0], Some((&now, &judgement)), &marking);
            match (spared, verdict) {
                (None, verdict) => assert_eq!(verdict, Recheck::Go),
                (Some(why), Recheck::Spared(found)) => assert!(found.contains(why), "{found}"),
                (Some(why), verdict) => panic!("{verdict:?}, not spared: {why}"),
            }
        }
    }

    #[test]
    fn garbage_goes_only_as_its_rules_want_it_now() {
        let policy = policy();
        let policy_scopes = [policy_scope(&policy)];
        let marking = marking(Vec::new(), &policy_scopes);
        let namespace = resource("kv_namespace", "pr-7");
        let branch = resource("neon_branch", "pr-7");
        let step = |action, backup, resource: &Resource| PlannedStep {
            kind: resource.kind.name().into(),
            name: "pr-7".into(),
            id: "pr-7".into(),
            holder: None,
            incarnation: None,
            place: account("a"),
            action,
            backup,
            empty: false,
            by_event: true,
            after: Vec::new(),
            unbinds: Vec::new(),
            deleted_with: None,
            rule: "plain".into(),
            reason: String::new(),
            dead_since: None,
            created_at: None,
            changed_at: None,
            owner: None,
            listed: std::collections::BTreeMap::new(),
        };
        let dead = |rule| garbage(rule, 7, at(0));
        let elsewhere = Judgement {
            in_focus: false,
            ..dead(PLAIN)
        };
        let cases = [
            (Action::Delete, false, dead(PLAIN), None),
            (Action::Delete, true, dead(PLAIN), None),
            (Action::Delete, true, dead(CAREFUL), None),
            (
                Action::Delete,
                false,
                dead(CAREFUL),
                Some("asks for a backup"),
            ),
            (Action::Expire, false, dead(GENTLE), None),
            (
                Action::Delete,
                false,
                dead(GENTLE),
                Some("asks for an expiry"),
            ),
            // An expiry is gentler than the rule's current action.
            (Action::Expire, false, dead(PLAIN), None),
            (
                Action::Delete,
                false,
                reported(PLAIN, 7, at(0)),
                Some("asks only for a report"),
            ),
            (
                Action::Delete,
                false,
                elsewhere,
                Some("outside of what this run was asked to do"),
            ),
        ];
        let cases = cases.into_iter().map(|case| (&namespace, case));
        // The only copy of a branch is itself.
        let careful = (
            Action::Delete,
            true,
            dead(CAREFUL),
            Some("asks for an expiry"),
        );
        let kept = (Action::Expire, false, dead(CAREFUL), None);
        let cases = cases.chain([(&branch, careful), (&branch, kept)]);
        for (resource, (action, backup, judgement, spared)) in cases {
            let now = Some((resource, &judgement));
            let verdict = recheck(&step(action, backup, resource), now, &marking);
            match (spared, verdict) {
                (None, verdict) => assert_eq!(verdict, Recheck::Go, "{action:?} {backup}"),
                (Some(why), Recheck::Spared(found)) => assert!(found.contains(why), "{found}"),
                (Some(why), verdict) => panic!("{verdict:?}, not spared: {why}"),
            }
        }
        let emptying = PlannedStep {
            empty: true,
            ..step(Action::Delete, false, &namespace)
        };
        let judgement = dead(PLAIN);
        let verdict = recheck(&emptying, Some((&namespace, &judgement)), &marking);
        let why = "not all of its rules ask any more to empty it; make a new plan";
        assert_eq!(verdict, Recheck::Spared(why.to_owned()));
    }
}
