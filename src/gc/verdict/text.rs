//! Verdicts and their reasons as text.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Alive, Cause, Doubt, Protection, ResourceUser, Unmatched, UsageKind, UserStays, Verdict, Wait,
};
use crate::format::{moment, one, several, span};
use crate::model::{Claim, KindName, PullRequestNumber};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live(alive) => alive.fmt(f),
            Self::Protected(protection) => protection.fmt(f),
            Self::InUse(user) => user.fmt(f),
            Self::Unmatched(Unmatched::NoRule) => f.write_str("no rule matches this name"),
            Self::Unmatched(Unmatched::OtherRepository(repository)) => {
                write!(f, "its provider recorded that it belongs to {repository}")
            }
            Self::Unmatched(Unmatched::NotOnGitHub(claim)) => {
                write!(f, "nothing on GitHub matches {claim}")
            }
            Self::Unmatched(Unmatched::Refused(refusals)) => {
                for (index, refusal) in refusals.iter().enumerate() {
                    let between = if index == 0 { "" } else { "; " };
                    write!(
                        f,
                        "{between}rule {} matches this name, but it requires {}",
                        refusal.rule, refusal.condition
                    )?;
                    if let Some(found) = &refusal.found {
                        write!(f, ", and the resource has {found}")?;
                    }
                }
                Ok(())
            }
            Self::Grace(wait) => wait.fmt(f),
            Self::Garbage(death) => {
                death.cause.fmt(f)?;
                if death.report_only {
                    f.write_str("; its rule only reports it")?;
                }
                Ok(())
            }
            Self::Unknown(doubt) => doubt.fmt(f),
        }
    }
}

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(number) => write!(f, "pull request #{number} is open"),
            Self::NotMerged(number) => {
                write!(
                    f,
                    "pull request #{number} was closed without being merged, and its rule asks \
                     for a merge"
                )
            }
            Self::Branch(branch) => write!(f, "git branch {branch} exists"),
            Self::Run(run) => write!(f, "Actions run {run} has not completed"),
            Self::Newest { wanted, newer: 0 } => {
                write!(
                    f,
                    "it is the newest that its rule counts with it; its rule keeps {wanted}"
                )
            }
            Self::Newest { wanted, newer } => write!(
                f,
                "its rule counts {newer} newer with it and keeps the newest {wanted}"
            ),
            Self::Target { kind, name } => write!(f, "{kind} {name}, its target, exists"),
            Self::NoTarget => f.write_str(
                "it does not point at one resource of this account alone, so its target cannot \
                 be gone",
            ),
            Self::Labelled { number, label } => {
                write!(
                    f,
                    "pull request #{number} is open and has the label {label:?}"
                )
            }
            Self::NeverLabelled { number, label } => write!(
                f,
                "pull request #{number} is open and never had the label {label:?}"
            ),
            Self::HoldsAddress(address) => {
                write!(
                    f,
                    "newer ones have taken its place, but it still serves {address}"
                )
            }
            Self::Young { longer_than, since } => write!(
                f,
                "not older than {} (counted from {})",
                span(*longer_than),
                moment(*since)
            ),
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { reason, location } => write!(f, "{reason} ({location})"),
            Self::UndeterminedEntry { key, location } => write!(
                f,
                "possibly protected: could not determine `{key}` ({location})"
            ),
            Self::BuiltIn(fact) => fact.fmt(f),
            Self::ManagedBy(kind) => {
                write!(f, "managed by the {kind} of the same name; it goes with it")
            }
            Self::Labelled { number, label } => {
                write!(f, "pull request #{number} has the label {label:?}")
            }
            Self::Checked { issue } => write!(f, "\"keep\" is checked in issue #{issue}"),
            Self::BroughtBack { at, name } => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
                let plain = name.chars().all(plain) && !name.starts_with('-');
                write!(
                    f,
                    "restored on {}; it is kept until `preview-gc restore --release {}`",
                    at.format("%Y-%m-%d"),
                    if plain { name } else { "NAME" }
                )
            }
            Self::Backup(pattern) => write!(f, "looks like a backup (`{pattern}`)"),
        }
    }
}

impl fmt::Display for ResourceUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind, &self.name);
        match self.how {
            UsageKind::Bound => write!(f, "used by {kind} {name}"),
            UsageKind::Owner => write!(f, "belongs to {kind} {name}"),
            UsageKind::Manager => write!(f, "manages {kind} {name}"),
            UsageKind::Parent => write!(f, "parent of {kind} {name}"),
            UsageKind::Runs => write!(f, "runs {kind} {name}"),
            UsageKind::Serves => write!(f, "serves {kind} {name}"),
            UsageKind::Target => write!(f, "target of {kind} {name}"),
            UsageKind::Guarded => write!(f, "guards {kind} {name}"),
            UsageKind::Holds => write!(f, "contains {kind} {name}"),
        }?;
        f.write_str(match self.stays {
            UserStays::Wanted => ", which stays",
            UserStays::LeftOut => ", which is garbage too and stays for now",
            UserStays::Reported => ", which its rule only reports",
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grace {
                death,
                grace_ends_at: Some(at),
            } => {
                write!(f, "{}; grace until {}", death.cause, moment(*at))
            }
            Self::Grace {
                death,
                grace_ends_at: None,
            } => {
                write!(
                    f,
                    "{}; it has no time from which its grace could count, so the grace does not \
                     end",
                    death.cause
                )
            }
            Self::Expires { at } => write!(f, "expires by itself at {}", moment(*at)),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { number, merged, at } => {
                let how = if *merged { "merged" } else { "closed" };
                write!(f, "pull request #{number} was {how} at {}", moment(*at))
            }
            Self::BranchGone {
                branch,
                number,
                merged,
                at,
            } => {
                let how = if *merged { "merged" } else { "closed" };
                write!(
                    f,
                    "git branch {branch} is gone and pull request #{number} was {how} at {}",
                    moment(*at)
                )
            }
            Self::RunFinished { run, at } => {
                write!(f, "Actions run {run} completed at {}", moment(*at))
            }
            Self::Missing(claim) => {
                write!(f, "there is no {claim}, which its rule treats as dead")
            }
            Self::LabelLost { number, label, at } => write!(
                f,
                "pull request #{number} lost the label {label:?} at {}",
                moment(*at)
            ),
            Self::Superseded { newer, at } => write!(
                f,
                "{newer} newer that its rule counts with it have replaced it, the last one at {}",
                moment(*at)
            ),
            Self::TargetGone { kind, id } => {
                write!(f, "its target, {kind} {id}, does not exist in its account")
            }
            Self::Age { longer_than } => write!(f, "older than {}", span(*longer_than)),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(claim) => {
                write!(f, "there is no {claim}, so the resource is kept")
            }
            Self::NotAnswered { claim, why } => write!(f, "could not look up {claim}: {why}"),
            Self::Roots(why) => write!(
                f,
                "could not read everything that keeps resources alive: {why}"
            ),
            Self::Listing { kind } => write!(
                f,
                "the list of {} is incomplete, and nothing that depends on it is deleted",
                several(kind.noun)
            ),
            Self::UnseenHost(host) => unseen_host(f, host),
            Self::TargetsUncounted { kind } => targets_uncounted(f, *kind),
            Self::Time(which) => {
                write!(
                    f,
                    "the answer lacks the time `{which}`, which the API always returns"
                )
            }
            Self::Unread(field) => write!(
                f,
                "`{field}` in the answer cannot be read, and it may mark the resource or name its \
                 owner"
            ),
            Self::Condition(key) => write!(
                f,
                "could not determine `{key}`, which a condition of its rule needs"
            ),
            Self::NoClock(which) => {
                write!(f, "it has no {which}, which its rule needs")
            }
            Self::NoEnd(claim) => write!(f, "it is unknown when {claim} ended"),
            Self::References { unread, kind, why } => {
                unread_uses(f, *unread, *kind)?;
                because(f, why.as_ref())
            }
            Self::Users { kind, why } => {
                write!(f, "could not determine whether {} uses it", one(kind.noun))?;
                because(f, why.as_ref())
            }
            Self::Address { user, why } => {
                let user = one(user.noun);
                write!(f, "could not determine whether {user} connects to it")?;
                because(f, why.as_ref())
            }
            Self::Holds { kind, why } => {
                let kind = one(kind.noun);
                write!(f, "could not determine whether it contains {kind}")?;
                because(f, why.as_ref())
            }
            Self::Binding {
                sort,
                kind,
                name,
                is_known,
            } => binding(f, sort, (kind.noun, name), *is_known),
            Self::Birth { number, made } => birth(f, *number, *made),
            Self::NoOpening(number) => write!(f, "it is unknown when #{number} was opened"),
            Self::Beginning(claim) => {
                write!(
                    f,
                    "{claim} is the beginning of the slug of an existing branch"
                )
            }
            Self::NotCalibrated(claim) => not_calibrated(f, claim),
            Self::HeadUnlisted { claim, head } => unlisted(f, claim, head),
            Self::HeadDiffers {
                number,
                head,
                comes_from,
            } => {
                write!(f, "the name has #{number} and {head}, ")?;
                comes_from_elsewhere(f, *number, comes_from.as_ref())
            }
            Self::UsersUndeclared => f.write_str("its kind does not say who uses its resources"),
        }
    }
}

fn unread_uses(f: &mut fmt::Formatter<'_>, unread: usize, kind: KindName) -> fmt::Result {
    if unread == 1 {
        return write!(f, "could not read what 1 {kind} uses");
    }
    let kinds = several(kind.noun);
    write!(f, "could not read what {unread} {kinds} use")
}

fn targets_uncounted(f: &mut fmt::Formatter<'_>, kind: KindName) -> fmt::Result {
    write!(
        f,
        "its target is not in the list of {}, which is empty or has no count, and so proves \
         nothing",
        several(kind.noun)
    )
}

fn unseen_host(f: &mut fmt::Formatter<'_>, host: &str) -> fmt::Result {
    write!(
        f,
        "it guards {host}, and the zone of that host was not listed: the host may still answer"
    )
}

fn comes_from_elsewhere(
    f: &mut fmt::Formatter<'_>,
    number: PullRequestNumber,
    branch: Option<&Arc<str>>,
) -> fmt::Result {
    match branch {
        Some(branch) => write!(f, "but #{number} comes from git branch {branch}"),
        None => write!(
            f,
            "and no git branch of this repository is known that #{number} comes from"
        ),
    }
}

fn unlisted(f: &mut fmt::Formatter<'_>, claim: &Claim, head: &str) -> fmt::Result {
    write!(
        f,
        "no listed name is that of {head}, which has an open pull request, so {claim} may be \
         what becomes of it"
    )
}

fn not_calibrated(f: &mut fmt::Formatter<'_>, claim: &Claim) -> fmt::Result {
    write!(
        f,
        "no listed name shows how names are made of git branches, so the absence of {claim} \
         proves nothing"
    )
}

/// The binding of something of this kind and name, which may lead to the resource.
fn binding(
    f: &mut fmt::Formatter<'_>,
    sort: &str,
    (kind, name): (&str, &str),
    is_known: bool,
) -> fmt::Result {
    write!(f, "{kind} {name} has a binding of the type `{sort}`")?;
    f.write_str(if is_known {
        " that says by no name what it leads to, so that it may be this"
    } else {
        ", which this version cannot read and which may name it"
    })
}

fn birth(
    f: &mut fmt::Formatter<'_>,
    number: PullRequestNumber,
    made: Option<DateTime<Utc>>,
) -> fmt::Result {
    match made {
        Some(made) => write!(f, "created {}, when #{number} was not open", moment(made)),
        None => write!(
            f,
            "another resource of #{number} was created when #{number} was not open, and this one \
             has no creation time"
        ),
    }
}

fn because(f: &mut fmt::Formatter<'_>, why: Option<&Arc<str>>) -> fmt::Result {
    why.map_or(Ok(()), |why| write!(f, ": {why}"))
}
