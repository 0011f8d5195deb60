//! The owner of a resource: what the claim of a match belongs to, and whether the
//! templates and slug functions that say so are known to be right.

use chrono::TimeDelta;

use super::super::super::verdict::{Alive, Doubt};
use super::super::AFTERMATH;
use super::super::branches::BranchState;
use super::Judge;
use crate::evidence::{ActionsRun, PullRequest};
use crate::model::{Claim, PullRequestNumber, Resource, RunId};
use crate::policy::{Missing, Rule, RuleMatch};

/// What a claim turned out to belong to.
pub(super) enum Owner<'a> {
    /// The rule asks nothing about it.
    NotAsked,
    /// A pull request, by its number.
    PullRequest(PullRequestNumber, &'a PullRequest),
    /// The git branches.
    Head(BranchState<'a>),
    /// An Actions run.
    Run(RunId, &'a ActionsRun),
    /// Nothing known, which the rule calls dead.
    Missing(Claim),
}

impl<'a> Owner<'a> {
    /// The pull request by which it is judged.
    pub(super) fn pull_request(&self) -> Option<(PullRequestNumber, &'a PullRequest)> {
        match self {
            Self::PullRequest(number, pull_request) => Some((*number, *pull_request)),
            Self::Head(state) => state
                .open
                .or(state.ended.map(|ended| (ended.number, ended.pull_request))),
            Self::NotAsked | Self::Run(..) | Self::Missing(_) => None,
        }
    }

    /// What shows that it is still there: an open pull request or an existing git branch.
    /// Rules about ages ask nothing about runs.
    pub(super) fn alive(&self) -> Option<Alive> {
        match (self.pull_request(), self) {
            (Some((number, PullRequest::Open { .. })), _) => Some(Alive::Open(number)),
            (_, Self::Head(state)) => state.exists.map(|branch| Alive::Branch(branch.into())),
            (_, Self::NotAsked | Self::PullRequest(..) | Self::Run(..) | Self::Missing(_)) => None,
        }
    }

    /// Returns the claim, if it is a number or a run that is not there.
    pub(super) fn missing(&self) -> Option<Claim> {
        match self {
            Self::PullRequest(number, PullRequest::Missing) => Some(Claim::PullRequest(*number)),
            Self::Run(run, ActionsRun::Missing) => Some(Claim::Run(*run)),
            Self::PullRequest(..)
            | Self::Run(..)
            | Self::NotAsked
            | Self::Head(_)
            | Self::Missing(_) => None,
        }
    }

    /// Whether this pull request is one of those that it belongs to.
    pub(super) fn involves(&self, number: PullRequestNumber) -> bool {
        match self {
            Self::PullRequest(owner, _) => *owner == number,
            Self::Head(state) => state.numbers.contains(&number),
            Self::NotAsked | Self::Run(..) | Self::Missing(_) => false,
        }
    }
}

/// How long a git branch may be there, with resources, before its first pull request.
const BRANCH_AHEAD: TimeDelta = TimeDelta::days(90);

/// Returns why a resource cannot belong to the git branches that its name claims, by the
/// times of their pull requests. A branch is often there before its pull request, and what
/// has its name may be made anew after that. A host is what people name after a single
/// word, as they do a branch, so it has to be made at about the time of a pull request.
pub(super) fn made_outside(resource: &Resource, state: &BranchState<'_>) -> Option<Doubt> {
    let made = resource.created_at.known()?;
    let number = state.ended?.number;
    let opened = state.lifetimes.iter().map(|one| one.opened).min()?;
    let ended = state.lifetimes.iter().map(|one| one.ended).max()?;
    let Some(opened) = opened else {
        return Some(Doubt::NoOpening(number));
    };
    let is_host = resource.kind.caseless;
    let ahead = if is_host { AFTERMATH } else { BRANCH_AHEAD };
    let before = made + ahead < opened;
    let after = is_host && ended.is_some_and(|ended| made > ended + AFTERMATH);
    (before || after).then_some(Doubt::Birth {
        number,
        made: Some(made),
    })
}

impl<'a> Judge<'a, '_> {
    /// Returns the owner of a match's claim, or `None` if nothing known has that
    /// name, so that there is no match at all.
    pub(super) fn owner(
        &self,
        resource: &Resource,
        (policy_scope, index): (usize, usize),
        rule: &Rule,
        rule_match: &RuleMatch,
    ) -> Result<Option<Owner<'a>>, Doubt> {
        let claim = &rule_match.claim;
        let policy = self.input.policy_scopes[policy_scope].policy;
        if rule_match.undetermined.is_some() || !policy.asks_about(rule, rule_match) {
            return Ok(Some(Owner::NotAsked));
        }
        let not_told = |why: &str| Doubt::NotAnswered {
            claim: claim.clone(),
            why: why.into(),
        };
        // One root source that is not complete stops the whole run.
        if let Some(why) = self.gap {
            return Err(Doubt::Roots(why.clone()));
        }
        let not_asked = || match self.input.only_pull_request {
            Some(only) => not_told(&format!("--pr restricts this run to pull request #{only}")),
            None => not_told("it was not asked for"),
        };
        let (roots, heads) = self.roots[policy_scope].as_ref().ok_or_else(not_asked)?;
        match claim {
            Claim::PullRequest(number) => match roots.pull_requests.get(number) {
                Some(PullRequest::Unknown { why }) => Err(not_told(why)),
                Some(pull_request) => Ok(Some(Owner::PullRequest(*number, pull_request))),
                None => Err(not_asked()),
            },
            Claim::Run(run) => match roots.runs.get(run) {
                Some(ActionsRun::Unknown { why }) => Err(not_told(why)),
                Some(found) => Ok(Some(Owner::Run(*run, found))),
                None => Err(not_asked()),
            },
            Claim::Branch(_) | Claim::Slug { .. } => {
                let caseless = resource.kind.has_names_without_case();
                let mut state = heads.judge(claim, caseless, resource.created_at)?;
                // A branch in another case keeps what may be its own. Its end alone says
                // nothing: the name may be that of something else.
                if resource.kind.ignores_case && !state.as_ref().is_some_and(BranchState::is_alive)
                {
                    let spelled = heads.judge(claim, false, resource.created_at)?;
                    state = state.filter(|_| spelled.is_some());
                }
                let alive = state.as_ref().is_some_and(BranchState::is_alive);
                let dead = !alive && (state.is_some() || rule.missing == Missing::Dead);
                if dead {
                    if heads.is_prefix_of_live_slug(claim, state.is_some()) {
                        return Err(Doubt::Beginning(claim.clone()));
                    }
                    let calibrated = match (claim, &state) {
                        // A git branch that was seen needs no calibration.
                        (Claim::Branch(_), Some(_)) => true,
                        (_, Some(_)) => self.calibration.is_plausible(policy_scope, claim),
                        // Its absence says something only of names as this rule makes them.
                        (_, None) => self.calibration.is_proven((policy_scope, index), claim),
                    };
                    if !calibrated {
                        return Err(Doubt::NotCalibrated(claim.clone()));
                    }
                    let rule = (policy_scope, index);
                    let mut unlisted = self.calibration.unlisted(heads, rule, claim);
                    let head = match state {
                        Some(_) => unlisted.find(|head| heads.is_end_of_slug(claim, head)),
                        None => unlisted.next(),
                    };
                    if let Some(head) = head {
                        return Err(Doubt::HeadUnlisted {
                            claim: claim.clone(),
                            head: head.into(),
                        });
                    }
                }
                Ok(match (state, rule.missing) {
                    (Some(state), _) => Some(Owner::Head(state)),
                    (None, _) if !self.could_be_produced(policy_scope, claim) => None,
                    (None, Missing::Dead) => Some(Owner::Missing(claim.clone())),
                    (None, Missing::Keep) => None,
                })
            }
            Claim::Itself => Ok(Some(Owner::NotAsked)),
        }
    }

    /// Whether a claim's slug function gives its text for some branch.
    fn could_be_produced(&self, policy_scope: usize, claim: &Claim) -> bool {
        let Claim::Slug { function, text } = claim else {
            return true;
        };
        let slugs = &self.input.policy_scopes[policy_scope].policy.slugs;
        let function = slugs.get(&**function);
        function.is_some_and(|function| function.could_produce(text))
    }

    /// Returns the doubt about a name whose git branch or slug is not where its pull
    /// request comes from: the number may be the beginning of a branch's name.
    pub(super) fn disagreement(
        &self,
        resource: &Resource,
        policy_scope: usize,
        rule_match: &RuleMatch,
        owner: &Owner<'_>,
    ) -> Option<Doubt> {
        let (head, Claim::PullRequest(number)) = (rule_match.head.as_ref()?, &rule_match.claim)
        else {
            return None;
        };
        if rule_match.undetermined.is_some() {
            return None;
        }
        let pull_request = owner.pull_request().map(|(_, pull_request)| pull_request);
        let comes_from = pull_request.and_then(PullRequest::comes_from);
        let heads = self.roots[policy_scope].as_ref().map(|(_, heads)| heads);
        let is_of_fork = pull_request.is_some_and(|one| one.head().is_none());
        let agrees = heads.zip(comes_from).is_some_and(|(heads, branch)| {
            heads.is_matched_by(head, resource.kind.has_names_without_case(), branch)
                && !(is_of_fork && heads.is_end_of_living(&resource.name, head))
        });
        (!agrees).then(|| Doubt::HeadDiffers {
            number: *number,
            head: head.clone(),
            comes_from: comes_from.cloned(),
        })
    }
}
