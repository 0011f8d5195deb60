//! Resources whose place newer ones have taken.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::super::super::verdict::{Alive, Cause, Death, Doubt, Verdict};
use super::super::JudgeInput;
use super::super::birth::contradiction;
use super::super::branches::Branches;
use crate::evidence::{ActionsRun, Inventory, RepositoryRoots};
use crate::model::{Attribute, Claim, KindRef, Place, Resource, Time};
use crate::policy::{Newer, Per, Rule, Timing};

/// A rule, by its policy file and its index there.
pub(super) type RuleIndex = (usize, usize);

/// What may take each other's place: of one kind and holder in one place, matched
/// by one rule, with one claim where the rule counts by claim.
#[derive(PartialEq, Eq, Hash)]
struct NewestGroup {
    rule: RuleIndex,
    kind: KindRef,
    place: Arc<Place>,
    holder: Option<Box<str>>,
    claim: Option<Claim>,
}

impl NewestGroup {
    fn of(resource: &Resource, rule: RuleIndex, per: Per, claim: &Claim) -> Self {
        Self {
            rule,
            kind: resource.kind,
            place: Arc::clone(&resource.place),
            holder: resource.holder.clone(),
            claim: (per == Per::Claim).then(|| claim.clone()),
        }
    }
}

/// When the resources were created that may take the place of others, by group,
/// the newest first.
#[derive(Default)]
pub(super) struct Supersession {
    created: HashMap<NewestGroup, Vec<DateTime<Utc>>>,
}

impl Supersession {
    /// Counts what rules with `newer` match. Only what certainly counts is counted:
    /// a match that a condition leaves open, a resource without a creation time, a
    /// build that failed, a name that no git branch gives and a number that is not
    /// of this repository take no one's place.
    pub(super) fn of(
        inventory: &Inventory,
        input: &JudgeInput<'_>,
        heads: &[Option<(&RepositoryRoots, Branches<'_>)>],
    ) -> Self {
        let mut created: HashMap<NewestGroup, Vec<DateTime<Utc>>> = HashMap::new();
        for (index, policy_scope) in input.policy_scopes.iter().enumerate() {
            let policy = policy_scope.policy;
            if !policy.rules.iter().any(|rule| rule.death.newer.is_some()) {
                continue;
            }
            let Some((roots, heads)) = heads.get(index).and_then(Option::as_ref) else {
                continue;
            };
            let is_known = |resource: &Resource, rule: &Rule, claim: &Claim| match claim {
                Claim::Branch(_) => heads
                    .state(claim, resource.kind.has_names_without_case())
                    .is_known(),
                // Several branches may give one slug.
                Claim::Slug { .. } => false,
                Claim::PullRequest(number) => {
                    let known = roots.pull_requests.get(number);
                    let is_there = known.is_some_and(|one| one.lifetime().is_some());
                    let cares = rule.asks_about_birth();
                    is_there && !(cares && contradiction(resource, *number, known).is_some())
                }
                Claim::Run(run) => matches!(
                    roots.runs.get(run),
                    Some(ActionsRun::Finished { .. } | ActionsRun::Unfinished)
                ),
                Claim::Itself => true,
            };
            let resources = inventory.resources.iter();
            let here = resources.filter(|one| policy_scope.places.contains(&one.place));
            for resource in here.filter(|one| is_whole(one)) {
                let Time::At(at) = resource.created_at else {
                    continue;
                };
                for (at_rule, rule_match) in policy.read(resource) {
                    let rule = &policy.rules[at_rule];
                    let Some(newer) = rule.death.newer else {
                        continue;
                    };
                    // Whether a condition on times lets a rule match is known only
                    // when the resource is judged.
                    let counts = rule_match.undetermined.is_none()
                        && !rule_match.only_agrees
                        && rule.timing == Timing::default()
                        && is_known(resource, rule, &rule_match.claim);
                    if counts {
                        let group = NewestGroup::of(
                            resource,
                            (index, at_rule),
                            newer.per,
                            &rule_match.claim,
                        );
                        created.entry(group).or_default().push(at);
                    }
                }
            }
        }
        for times in created.values_mut() {
            times.sort_unstable_by(|a, b| b.cmp(a));
        }
        Self { created }
    }

    /// Returns how newer ones have taken a resource's place, or what keeps it.
    pub(super) fn superseded(
        &self,
        resource: &Resource,
        rule: RuleIndex,
        newer: Newer,
        claim: &Claim,
    ) -> Result<Death, Verdict> {
        let own = match resource.created_at {
            Time::At(at) => at,
            Time::Missing => return Err(Verdict::Unknown(Doubt::Time("created_at"))),
            Time::Unsupported => return Err(Verdict::Unknown(Doubt::NoClock("created_at"))),
        };
        let group = NewestGroup::of(resource, rule, newer.per, claim);
        let times = self.created.get(&group).map_or(&[][..], Vec::as_slice);
        let count = times.iter().take_while(|at| **at > own).count();
        // The oldest of as many newer ones as the rule asks for.
        let Some(at) = count.checked_sub(newer.count).map(|rest| times[rest]) else {
            return Err(Verdict::Live(Alive::Newest {
                wanted: newer.count,
                newer: count,
            }));
        };
        Ok(Death {
            cause: Cause::Superseded {
                newer: newer.count,
                at,
            },
            dead_since: Some(at).max(resource.changed_at.known()),
            grace_ends_at: None,
            report_only: false,
        })
    }
}

/// Whether a resource is complete, if its kind has such a flag.
fn is_whole(resource: &Resource) -> bool {
    resource
        .kind
        .complete
        .is_none_or(|flag| matches!(resource.attribute(flag), Some(Attribute::Flag(true))))
}
