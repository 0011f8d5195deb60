//! Judges each resource by itself: protection, the rules that match its name,
//! roots, times.

pub(super) mod calibration;
mod event;
mod grace;
mod labels;
mod newer;
mod owner;
mod protection;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use self::calibration::Calibration;
use self::event::{TimingFailure, check_timing, clock, event, merged};
use self::labels::lost_label;
use self::newer::{RuleIndex, Supersession};
use self::owner::{Owner, made_outside};
pub(super) use self::protection::Managed;
use super::super::verdict::{
    Alive, Cause, Death, Doubt, Protection, ResourceUser, Unmatched, UsageKind, UserStays, Verdict,
    Wait,
};
use super::birth;
use super::branches::Branches;
use super::{JudgeInput, Judgement, MatchedBy};
use crate::evidence::{Inventory, RepositoryRoots, Roots};
use crate::model::{BuiltInProtection, Claim, KindName, Place, PullRequestNumber, Resource, Time};
use crate::policy::{Action, AgeClock, Rule, RuleMatch};

/// Whether the rule that deletes the owner of a resource overrides its protection as
/// well: a deployment is called after its environment.
pub(super) fn is_named_after_owner(resource: &Resource) -> bool {
    resource.kind.belongs_to.is_some()
        && resource.protection == Some(BuiltInProtection::LikeProduction)
}

/// The resources whose checkbox "keep" is checked in tracking issues.
fn kept(roots: &Roots) -> BTreeMap<String, u64> {
    let issues = roots
        .repositories
        .values()
        .filter_map(|one| one.issue.as_ref());
    let checked = issues.flat_map(|issue| {
        let keep = issue.checked.keep.iter();
        let keep = keep.map(|key| (key.clone(), issue.number));
        keep.chain(issue.kept_in_others.clone())
    });
    checked.collect()
}

/// The verdict by one match of a name.
struct MatchVerdict {
    matched_by: MatchedBy,
    verdict: Verdict,
    /// The built-in protection that its rule may override.
    overrides: Option<BuiltInProtection>,
    /// Whether it is about the pull request of `--pr`.
    in_focus: bool,
    /// Every pull request that it may belong to.
    pull_requests: BTreeSet<PullRequestNumber>,
}

/// The address of a deployment that is not its own.
const ALIAS: KindName = KindName {
    id: "alias",
    noun: "alias",
};

/// Returns the verdict of a resource, unless that is garbage and serves an address that
/// it has not got from what it was made for.
fn unless_it_serves(resource: &Resource, verdict: Verdict) -> Verdict {
    match (&resource.foreign_address, verdict) {
        (Some(address), Verdict::Garbage(_)) => Verdict::InUse(ResourceUser {
            kind: ALIAS,
            name: address.clone(),
            how: UsageKind::Serves,
            stays: UserStays::Wanted,
        }),
        (_, verdict) => verdict,
    }
}

/// Why a match turns out to be none.
enum NoMatch {
    /// Nothing known has the name that it claims.
    NoSuchBranch,
    /// This condition on times does not hold.
    Refused(String),
}

/// Judges resources one by one.
pub(super) struct Judge<'a, 'p> {
    input: &'a JudgeInput<'p>,
    /// Why some root source is not complete.
    gap: Option<&'a Arc<str>>,
    /// The roots of each policy file, and its branches.
    roots: Vec<Option<(&'a RepositoryRoots, Branches<'a>)>>,
    managed: &'a Managed,
    /// The resources whose checkbox "keep" is checked, with the issue.
    kept: BTreeMap<String, u64>,
    calibration: Arc<Calibration>,
    newer: Supersession,
    inventory: &'a Inventory,
}

impl<'a, 'p> Judge<'a, 'p> {
    pub(super) fn new(
        input: &'a JudgeInput<'p>,
        inventory: &'a Inventory,
        roots: &'a Roots,
        managed: &'a Managed,
    ) -> Self {
        let of_scope = input.policy_scopes.iter().map(|policy_scope| {
            let roots = roots.repositories.get(&policy_scope.policy.repository)?;
            Some((roots, Branches::new(roots, &policy_scope.policy.slugs)))
        });
        let of_scope: Vec<_> = of_scope.collect();
        Self {
            input,
            kept: kept(roots),
            gap: roots.gap().map(|(_, why)| why),
            calibration: Arc::new(Calibration::of(inventory, input, &of_scope)),
            newer: Supersession::of(inventory, input, &of_scope),
            roots: of_scope,
            inventory,
            managed,
        }
    }

    /// What is known about how names are made.
    pub(super) fn calibration(&self) -> Arc<Calibration> {
        Arc::clone(&self.calibration)
    }

    /// What it judges by.
    pub(super) fn input(&self) -> &'a JudgeInput<'p> {
        self.input
    }

    /// Why a resource cannot belong to the pull request by which its owner was judged: it
    /// was created when that was not open.
    pub(super) fn contradiction(&self, resource: &Resource, of_owner: &Judgement) -> Option<Doubt> {
        let matched_by = of_owner.matched_by.as_ref()?;
        let Claim::PullRequest(number) = matched_by.claim else {
            return None;
        };
        let policy_scope = self.input.policy_scopes.get(matched_by.policy_scope)?;
        let rule = policy_scope.policy.rules.get(matched_by.rule)?;
        let (roots, _) = self.roots.get(matched_by.policy_scope)?.as_ref()?;
        let pull_request = roots.pull_requests.get(&number);
        let asks = rule.asks_about_birth();
        asks.then(|| birth::contradiction(resource, number, pull_request))?
    }

    pub(super) fn all(&self, resources: &[Resource], judgements: &mut [Judgement]) {
        // Resources come place by place, so the last answer mostly serves again.
        let mut last: Option<&Arc<Place>> = None;
        let mut holds = Vec::new();
        for (resource, judgement) in resources.iter().zip(judgements) {
            if !last.is_some_and(|last| Arc::ptr_eq(last, &resource.place)) {
                last = Some(&resource.place);
                holds.clear();
                let policy_scopes = self.input.policy_scopes.iter().enumerate();
                holds.extend(
                    policy_scopes
                        .filter(|(_, policy_scope)| policy_scope.places.contains(&resource.place))
                        .map(|(index, _)| index),
                );
            }
            *judgement = self.one(resource, &holds);
        }
    }

    fn one(&self, resource: &Resource, holds: &[usize]) -> Judgement {
        let mut outcomes = Vec::new();
        let mut is_matched = false;
        let mut unknown_branch = None;
        let mut foreign = None;
        let mut refusals = Vec::new();
        for &policy_scope in holds {
            let policy = self.input.policy_scopes[policy_scope].policy;
            foreign = foreign.or_else(|| policy.other_repository(resource));
            for (index, rule_match) in policy.read(resource) {
                let rule = &policy.rules[index];
                match self.outcome(resource, (policy_scope, index), rule, &rule_match) {
                    Ok(outcome) => {
                        is_matched |= !rule_match.only_agrees;
                        outcomes.push(outcome);
                    }
                    Err(_) if rule_match.only_agrees => {}
                    Err(NoMatch::NoSuchBranch) => unknown_branch = Some(rule_match.claim),
                    Err(NoMatch::Refused(condition)) => refusals.push(rule.refused(condition)),
                }
            }
        }
        // A claim that only has to agree decides nothing alone.
        if !is_matched {
            outcomes.clear();
        }
        let of_pull_request =
            self.input.only_pull_request.is_none() || outcomes.iter().any(|one| one.in_focus);
        let kinds = self.input.only_kinds;
        let in_focus = of_pull_request && kinds.is_none_or(|kinds| kinds.contains(&resource.kind));
        let mut judgement = Judgement {
            in_focus,
            ..Judgement::default()
        };
        let of_pull_request = || self.protected_pull_request(&outcomes);
        let overridden = resource.protection.filter(|fact| {
            let is_overridden = outcomes.iter().all(|one| one.overrides == Some(*fact));
            // What no rule matches goes with its owner, whose rule spells the name.
            is_overridden && (!outcomes.is_empty() || is_named_after_owner(resource))
        });
        let protection = self.protection(resource, overridden);
        if let Some(protection) = protection.or_else(of_pull_request) {
            judgement.verdict = Verdict::Protected(protection);
            // The claim is still recorded for `--pr` and for people.
            judgement.matched_by = outcomes.into_iter().next().map(|one| one.matched_by);
            return judgement;
        }
        let decisive = outcomes
            .iter()
            .enumerate()
            .max_by_key(|(index, one)| (weight(&one.verdict), std::cmp::Reverse(*index)))
            .map(|(index, _)| index);
        let Some(decisive) = decisive else {
            let policies = holds
                .iter()
                .map(|&index| self.input.policy_scopes[index].policy);
            refusals.extend(policies.flat_map(|policy| policy.rules.refusals(resource)));
            judgement.verdict = Verdict::Unmatched(match (unknown_branch, foreign) {
                (Some(claim), _) => Unmatched::NotOnGitHub(claim),
                (None, Some(repository)) => Unmatched::OtherRepository(repository.into()),
                (None, None) if refusals.is_empty() => Unmatched::NoRule,
                (None, None) => Unmatched::Refused(refusals),
            });
            return judgement;
        };
        let decisive = outcomes.swap_remove(decisive);
        judgement.verdict = unless_it_serves(resource, decisive.verdict);
        judgement.matched_by = Some(decisive.matched_by);
        if let Verdict::Garbage(death) = &mut judgement.verdict {
            // One rule that only reports is enough not to delete.
            death.report_only |= outcomes
                .iter()
                .any(|one| matches!(&one.verdict, Verdict::Garbage(other) if other.report_only));
        }
        judgement.others = outcomes
            .into_iter()
            .map(|one| (one.matched_by, one.verdict))
            .collect();
        // Collecting in place would keep the capacity for all matches, for each of
        // a million resources.
        judgement.others.shrink_to_fit();
        judgement
    }

    /// Returns the verdict by one match, or why it turns out to be no match.
    fn outcome(
        &self,
        resource: &Resource,
        (policy_scope, index): (usize, usize),
        rule: &Rule,
        rule_match: &RuleMatch,
    ) -> Result<MatchVerdict, NoMatch> {
        let mut outcome = MatchVerdict {
            overrides: rule_match.overrides,
            matched_by: MatchedBy {
                policy_scope,
                rule: index,
                claim: rule_match.claim.clone(),
                pull_request: None,
            },
            verdict: Verdict::Unmatched(Unmatched::NoRule),
            in_focus: self
                .input
                .only_pull_request
                .map(Claim::PullRequest)
                .as_ref()
                == Some(&rule_match.claim),
            pull_requests: BTreeSet::new(),
        };
        if let Claim::PullRequest(number) = rule_match.claim {
            outcome.pull_requests.insert(number);
        }
        let owner = match self.owner(resource, (policy_scope, index), rule, rule_match) {
            Ok(owner) => owner.ok_or(NoMatch::NoSuchBranch)?,
            Err(doubt) => {
                outcome.verdict = Verdict::Unknown(doubt);
                return Ok(outcome);
            }
        };
        if let Owner::Head(state) = &owner {
            outcome.pull_requests.extend(&state.numbers);
        }
        outcome.matched_by.pull_request = owner.pull_request().map(|(number, _)| number);
        outcome.in_focus |= self
            .input
            .only_pull_request
            .is_some_and(|number| owner.involves(number));
        outcome.verdict = match self.disagreement(resource, policy_scope, rule_match, &owner) {
            Some(doubt) => Verdict::Unknown(doubt),
            None => {
                let rule = ((policy_scope, index), rule);
                // The end of another pull request of the same branch may be younger.
                let only = self.input.only_pull_request;
                let by_focus = only.is_some() && outcome.matched_by.pull_request == only;
                let verdict = self.verdict(resource, rule, rule_match, &owner, by_focus)?;
                unless_made_outside(resource, rule.1, &owner, verdict)
            }
        };
        Ok(outcome)
    }

    fn verdict(
        &self,
        resource: &Resource,
        (at, rule): (RuleIndex, &Rule),
        rule_match: &RuleMatch,
        owner: &Owner<'_>,
        by_focus: bool,
    ) -> Result<Verdict, NoMatch> {
        if let Some(key) = rule_match.undetermined {
            return Ok(Verdict::Unknown(Doubt::Condition(key)));
        }
        if let Some(pattern) = rule_match.backup {
            return Ok(Verdict::Protected(Protection::Backup(pattern)));
        }
        let missing = [
            (resource.created_at, "created_at"),
            (resource.changed_at, "changed_at"),
        ];
        let missing = missing
            .into_iter()
            .find(|(time, _)| *time == Time::Missing)
            .map(|(_, which)| Verdict::Unknown(Doubt::Time(which)));
        let unread = resource.unread.map(Doubt::Unread).map(Verdict::Unknown);
        let missing = unread.or(missing);
        match check_timing(rule, resource, owner) {
            Ok(()) => {}
            Err(TimingFailure::Fails(condition)) => return Err(NoMatch::Refused(condition)),
            Err(TimingFailure::Unknown(key)) => return Ok(Verdict::Unknown(Doubt::Condition(key))),
        }
        Ok(
            match (self.death(resource, (at, rule), rule_match, owner), missing) {
                // A living root keeps a resource even if the answer lacks a time.
                (Err(live @ Verdict::Live(_)), _) => live,
                (_, Some(missing)) => missing,
                (Ok(death), None) => self.verdict_of_death(resource, rule, by_focus, death),
                (Err(kept), None) => kept,
            },
        )
    }

    /// How the resource died by this rule, or what keeps it.
    fn death(
        &self,
        resource: &Resource,
        (at, rule): (RuleIndex, &Rule),
        rule_match: &RuleMatch,
        owner: &Owner<'_>,
    ) -> Result<Death, Verdict> {
        let mut death = None;
        // An age says nothing about what is still there.
        if rule.death.is_silent_about_owners()
            && !rule.even_open
            && let Some(alive) = owner.alive()
        {
            return Err(Verdict::Live(alive));
        }
        if !rule.death.events.is_empty() {
            death = Some(event(resource, rule, owner)?);
        }
        if let Some(label) = &rule.death.without_label {
            let roots = self.roots[at.0].as_ref().map(|(roots, _)| *roots);
            let lost = lost_label(resource, label, roots, owner)
                .unwrap_or_else(|| event(resource, rule, owner))?;
            death.get_or_insert(lost);
        }
        if rule.death.target_gone {
            let gone = target::gone(self.inventory, self.input.graph, resource)?;
            death.get_or_insert(gone);
        }
        if let Some(newer) = rule.death.newer {
            if let Some(claim) = owner.missing() {
                return Err(Verdict::Unknown(Doubt::Missing(claim)));
            }
            let superseded = self
                .newer
                .superseded(resource, at, newer, &rule_match.claim)?;
            // The address of a closed pull request needs no traffic.
            if let (None, Some(address)) = (&death, resource.held_address()) {
                return Err(Verdict::Live(Alive::HoldsAddress(address.into())));
            }
            death = Some(match death {
                // The event says more; both must have happened.
                Some(event) => Death {
                    dead_since: event.dead_since.max(superseded.dead_since),
                    ..event
                },
                None => superseded,
            });
        }
        for age in &rule.death.ages {
            let since = match age.clock {
                AgeClock::Created => clock(resource.created_at, "created_at")?,
                AgeClock::Changed => clock(resource.changed_at, "changed_at")?,
                AgeClock::Active => clock(resource.active_at, "active_at")?,
                // People choose names, so a time in a name cannot be earlier than
                // the creation.
                AgeClock::Named => {
                    let named = rule_match.named.map_or(Time::Unsupported, Time::At);
                    let named = clock(named, "time in the name")?;
                    resource
                        .created_at
                        .known()
                        .max(Some(named))
                        .unwrap_or(named)
                }
                AgeClock::Merged => merged(owner)?,
            };
            let over = since.checked_add_signed(age.longer_than);
            // Strictly more. An age beyond the calendar is never reached.
            let Some(over) = over.filter(|over| self.input.now > *over) else {
                return Err(Verdict::Live(Alive::Young {
                    longer_than: age.longer_than,
                    since,
                }));
            };
            let aged = death.get_or_insert(Death {
                cause: Cause::Age {
                    longer_than: age.longer_than,
                },
                dead_since: None,
                grace_ends_at: None,
                report_only: false,
            });
            if rule.death.is_by_age_alone() {
                aged.dead_since = aged.dead_since.max(Some(over));
            }
        }
        let mut death = death.ok_or(Verdict::Unmatched(Unmatched::NoRule))?;
        death.report_only = rule.action == Action::Report;
        Ok(death)
    }
}

/// Returns the verdict, unless a dead branch had its pull requests when the resource was
/// not made.
fn unless_made_outside(
    resource: &Resource,
    rule: &Rule,
    owner: &Owner<'_>,
    verdict: Verdict,
) -> Verdict {
    let is_dead = matches!(
        verdict,
        Verdict::Garbage(_) | Verdict::Grace(Wait::Grace { .. })
    );
    match owner {
        Owner::Head(state) if is_dead && rule.asks_about_birth() => {
            let doubt = made_outside(resource, state);
            doubt.map_or(verdict, Verdict::Unknown)
        }
        _ => verdict,
    }
}

/// Returns the weight of a verdict among those of several matches: any verdict
/// that keeps outweighs garbage, and `live` outweighs `unknown`.
fn weight(verdict: &Verdict) -> (u8, Option<DateTime<Utc>>) {
    match verdict {
        Verdict::Live(_) => (5, None),
        Verdict::Unknown(_) => (4, None),
        Verdict::Protected(_) => (3, None),
        Verdict::InUse(_) | Verdict::Unmatched(_) => (2, None),
        Verdict::Grace(_) => (1, verdict.grace_ends_at()),
        Verdict::Garbage(death) => (0, death.dead_since),
    }
}
