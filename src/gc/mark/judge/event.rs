//! The event that a resource died by, and the time of it.

use chrono::{DateTime, Utc};

use super::super::super::verdict::{Alive, Cause, Death, Doubt, Unmatched, Verdict};
use super::super::branches::BranchState;
use super::Owner;
use crate::evidence::{ActionsRun, PullRequest};
use crate::model::{Claim, PullRequestNumber, Resource, RunId, Time};
use crate::policy::{CREATED_AFTER_OPENED, DeathEvent, ENDED_AFTER_CREATED, Missing, Rule};

/// How an event makes the resource dead, counted from the latest of that event
/// and the resource's own times.
pub(super) fn event(resource: &Resource, rule: &Rule, owner: &Owner<'_>) -> Result<Death, Verdict> {
    let (cause, at) = match owner {
        Owner::PullRequest(number, pull_request) => of_number(rule, *number, pull_request)?,
        Owner::Head(state) => of_head(rule, state)?,
        Owner::Run(run, found) => of_run(rule, *run, found)?,
        Owner::Missing(claim) => (Cause::Missing(claim.clone()), None),
        Owner::NotAsked => return Err(Verdict::Unmatched(Unmatched::NoRule)),
    };
    let own = resource.created_at.known().max(resource.changed_at.known());
    Ok(Death {
        cause,
        dead_since: at.max(own),
        grace_ends_at: None,
        report_only: false,
    })
}

type DatedCause = (Cause, Option<DateTime<Utc>>);

fn of_number(
    rule: &Rule,
    number: PullRequestNumber,
    pull_request: &PullRequest,
) -> Result<DatedCause, Verdict> {
    let claim = Claim::PullRequest(number);
    match pull_request {
        PullRequest::Open { .. } => Err(Verdict::Live(Alive::Open(number))),
        PullRequest::Unknown { why } => Err(Verdict::Unknown(Doubt::NotAnswered {
            claim,
            why: why.clone(),
        })),
        PullRequest::Missing => missing(rule, claim),
        PullRequest::Closed {
            closed_at, merged, ..
        } => {
            let merged = *merged;
            if rule.death.events.contains(&DeathEvent::Merged) && !merged {
                return Err(Verdict::Live(Alive::NotMerged(number)));
            }
            let at = closed_at.ok_or(Verdict::Unknown(Doubt::NoEnd(claim)))?;
            Ok((Cause::Ended { number, merged, at }, Some(at)))
        }
    }
}

fn of_head(rule: &Rule, state: &BranchState<'_>) -> Result<DatedCause, Verdict> {
    if let Some((number, _)) = state.open {
        return Err(Verdict::Live(Alive::Open(number)));
    }
    if let Some(branch) = state.exists {
        return Err(Verdict::Live(Alive::Branch(branch.into())));
    }
    // The state of a name that some branch matches has one or the other.
    let Some(ended) = state.ended else {
        return Err(Verdict::Unmatched(Unmatched::NoRule));
    };
    let number = ended.number;
    let merged = matches!(ended.pull_request, PullRequest::Closed { merged: true, .. });
    if rule.death.events.contains(&DeathEvent::Merged) && !merged {
        return Err(Verdict::Live(Alive::NotMerged(number)));
    }
    let no_end = || Verdict::Unknown(Doubt::NoEnd(Claim::PullRequest(number)));
    let at = ended.at.ok_or_else(no_end)?;
    let cause = Cause::BranchGone {
        branch: ended.branch.into(),
        number,
        merged,
        at,
    };
    Ok((cause, Some(at)))
}

fn of_run(rule: &Rule, run: RunId, found: &ActionsRun) -> Result<DatedCause, Verdict> {
    let claim = Claim::Run(run);
    match found {
        ActionsRun::Unfinished => Err(Verdict::Live(Alive::Run(run))),
        ActionsRun::Unknown { why } => Err(Verdict::Unknown(Doubt::NotAnswered {
            claim,
            why: why.clone(),
        })),
        ActionsRun::Missing => missing(rule, claim),
        ActionsRun::Finished { at } => {
            let at = at.ok_or(Verdict::Unknown(Doubt::NoEnd(claim)))?;
            Ok((Cause::RunFinished { run, at }, Some(at)))
        }
    }
}

/// Keeps a claim without a known match, unless the rule calls it dead.
fn missing(rule: &Rule, claim: Claim) -> Result<DatedCause, Verdict> {
    match rule.missing {
        Missing::Keep => Err(Verdict::Unknown(Doubt::Missing(claim))),
        Missing::Dead => Ok((Cause::Missing(claim), None)),
    }
}

pub(super) fn clock(time: Time, which: &'static str) -> Result<DateTime<Utc>, Verdict> {
    match time {
        Time::At(at) => Ok(at),
        Time::Missing => Err(Verdict::Unknown(Doubt::Time(which))),
        // What never had this time can never be judged by it.
        Time::Unsupported => Err(Verdict::Unknown(Doubt::NoClock(which))),
    }
}

/// When the claim's pull request was merged. A git branch that exists, or
/// exists again, keeps.
pub(super) fn merged(owner: &Owner<'_>) -> Result<DateTime<Utc>, Verdict> {
    if let Owner::Head(state) = owner
        && let Some(branch) = state.exists
    {
        return Err(Verdict::Live(Alive::Branch(branch.into())));
    }
    match (owner, owner.pull_request()) {
        (_, Some((number, PullRequest::Closed { merged: false, .. }))) => {
            Err(Verdict::Live(Alive::NotMerged(number)))
        }
        (
            _,
            Some((
                number,
                PullRequest::Closed {
                    merged_at,
                    closed_at,
                    ..
                },
            )),
        ) => merged_at
            .or(*closed_at)
            .ok_or(Verdict::Unknown(Doubt::NoEnd(Claim::PullRequest(number)))),
        (_, Some((number, PullRequest::Open { .. }))) => Err(Verdict::Live(Alive::Open(number))),
        (_, Some((number, PullRequest::Missing))) => {
            Err(Verdict::Unknown(Doubt::Missing(Claim::PullRequest(number))))
        }
        (_, Some((number, PullRequest::Unknown { why }))) => {
            Err(Verdict::Unknown(Doubt::NotAnswered {
                claim: Claim::PullRequest(number),
                why: why.clone(),
            }))
        }
        (Owner::Missing(claim), None) => Err(Verdict::Unknown(Doubt::Missing(claim.clone()))),
        (_, None) => Err(Verdict::Unknown(Doubt::NoClock("merged_at"))),
    }
}

/// Why the conditions on times do not admit a resource.
pub(super) enum TimingFailure {
    /// This condition, as a policy writes it, does not hold.
    Fails(String),
    /// It is unknown whether the condition with this key holds.
    Unknown(&'static str),
}

/// Whether the conditions on the pull request's and the resource's times hold. A
/// condition that fails outweighs an unknown one.
pub(super) fn check_timing(
    rule: &Rule,
    resource: &Resource,
    owner: &Owner<'_>,
) -> Result<(), TimingFailure> {
    let created = resource.created_at.known();
    let (opened, ended) = match owner.pull_request() {
        Some((_, PullRequest::Open { opened_at, .. })) => {
            (*opened_at, Some(DateTime::<Utc>::MAX_UTC))
        }
        Some((
            _,
            PullRequest::Closed {
                opened_at,
                closed_at,
                ..
            },
        )) => (*opened_at, *closed_at),
        _ => (None, None),
    };
    let conditions = [
        (
            rule.timing.created_after_opened,
            created
                .zip(opened)
                .map(|(created, opened)| created >= opened),
            CREATED_AFTER_OPENED,
        ),
        (
            rule.timing.ended_after_created,
            created.zip(ended).map(|(created, ended)| ended > created),
            ENDED_AFTER_CREATED,
        ),
    ];
    let mut doubt = None;
    for (wanted, is, key) in conditions {
        match (wanted, is) {
            (None, _) => {}
            (Some(wanted), Some(is)) if wanted == is => {}
            (Some(wanted), Some(_)) => {
                return Err(TimingFailure::Fails(format!("{key} = {wanted}")));
            }
            (Some(_), None) => doubt = Some(key),
        }
    }
    doubt.map_or(Ok(()), |key| Err(TimingFailure::Unknown(key)))
}
