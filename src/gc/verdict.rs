//! Verdicts, each with its reason inside.

mod text;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::code::Code;
use crate::model::{BuiltInProtection, Claim, PullRequestNumber, RunId};

/// What becomes of a resource, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Something it belongs to is alive.
    Live(Alive),
    /// Kept whatever the rules say.
    Protected(Protection),
    /// Dead by its rule, but something that stays uses it.
    InUse(User),
    /// No rule matches its name.
    Unmatched(Unmatched),
    /// Dead, but not long enough, or about to go by itself.
    Grace(Wait),
    /// To be deleted.
    Garbage(Death),
    /// The evidence does not decide.
    Unknown(Doubt),
}

/// The seven verdicts without their reasons, in the order in which summaries
/// count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerdictName {
    /// [`Verdict::Garbage`]
    Garbage,
    /// [`Verdict::Grace`]
    Grace,
    /// [`Verdict::Unknown`]
    Unknown,
    /// [`Verdict::InUse`]
    InUse,
    /// [`Verdict::Live`]
    Live,
    /// [`Verdict::Protected`]
    Protected,
    /// [`Verdict::Unmatched`]
    Unmatched,
}

impl VerdictName {
    /// All verdicts, in the order in which summaries count them.
    pub const ALL: [Self; 7] = [
        Self::Garbage,
        Self::Grace,
        Self::Unknown,
        Self::InUse,
        Self::Live,
        Self::Protected,
        Self::Unmatched,
    ];

    /// Returns the name in JSON, CSV and metrics.
    pub fn key(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Grace => "grace",
            Self::Unknown => "unknown",
            Self::InUse => "in_use",
            Self::Live => "live",
            Self::Protected => "protected",
            Self::Unmatched => "unmatched",
        }
    }

    /// Returns the name for use after a count: "3 in grace".
    pub fn counted(self) -> &'static str {
        match self {
            Self::Grace => "in grace",
            Self::InUse => "in use",
            other => other.key(),
        }
    }
}

/// The name for people.
impl fmt::Display for VerdictName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "in use",
            other => other.key(),
        })
    }
}

/// What keeps a resource alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alive {
    /// An open pull request.
    Open(PullRequestNumber),
    /// Its pull request was closed, and the rule requires a merge.
    NotMerged(PullRequestNumber),
    /// A git branch that exists.
    Branch(Box<str>),
    /// An Actions run that has not completed.
    Run(RunId),
    /// It is younger than the rule requires.
    Young {
        /// The age that it must exceed.
        longer_than: TimeDelta,
        /// Since when it is counted.
        since: DateTime<Utc>,
    },
}

/// What protects a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// A `protect` entry of a policy file.
    Entry {
        /// The owner's reason.
        reason: Arc<str>,
        /// Where it stands.
        location: Arc<str>,
    },
    /// A `protect` entry whose condition this answer cannot tell.
    Perhaps {
        /// The condition's key.
        key: &'static str,
        /// Where it stands.
        location: Arc<str>,
    },
    /// A fact that its kind knows.
    BuiltIn(BuiltInProtection),
    /// A custom domain of this name manages it.
    ManagedBy(&'static str),
    /// It looks like a backup, and no rule spells that out.
    Backup(&'static str),
    /// Its checkbox "keep" is checked in the tracking issue.
    Checked {
        /// The number of the issue.
        issue: u64,
    },
    /// `restore` brought it back.
    BroughtBack {
        /// When.
        at: DateTime<Utc>,
        /// Its name.
        name: Box<str>,
    },
}

impl Protection {
    /// Whether a person said so, in a policy, in the tracking issue or by
    /// restoring it.
    pub fn is_by_people(&self) -> bool {
        match self {
            Self::Entry { .. }
            | Self::Perhaps { .. }
            | Self::Checked { .. }
            | Self::BroughtBack { .. } => true,
            Self::BuiltIn(_) | Self::ManagedBy(_) | Self::Backup(_) => false,
        }
    }
}

/// Who uses a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The kind of the user.
    pub kind: &'static str,
    /// Its name.
    pub name: Box<str>,
    /// How it uses it.
    pub how: How,
}

/// How something is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is bound by a resource that stays.
    Bound,
    /// It is the parent of one that stays.
    Parent,
    /// It belongs to one that stays.
    Owner,
    /// It manages one that stays.
    Manager,
    /// It serves a host name or route that stays.
    Serves,
    /// One that stays points at its address.
    Target,
    /// One that stays belongs to it.
    Holds,
}

/// Why nothing claims a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmatched {
    /// No rule matches its name.
    NoRule,
    /// A rule would match its name, but this branch or slug is unknown.
    NotOnGitHub(Claim),
    /// A rule would match its name, but its provider recorded another repository
    /// when it was made.
    OtherRepository(Box<str>),
}

/// What a resource waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The end of its grace.
    Grace {
        /// How it died.
        death: Death,
        /// When its grace ends; never without a time of its own.
        ripe_at: Option<DateTime<Utc>>,
    },
    /// The provider removes it soon by itself.
    Expires {
        /// When.
        at: DateTime<Utc>,
    },
}

/// How and when a resource died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// By what.
    pub cause: Cause,
    /// The latest of that event and the resource's own creation and change.
    pub dead_since: Option<DateTime<Utc>>,
    /// When its grace ended.
    pub ripe_at: Option<DateTime<Utc>>,
    /// Whether the rule only asks for a report.
    pub report_only: bool,
}

/// What a resource died of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its pull request ended.
    Ended {
        /// The pull request.
        number: PullRequestNumber,
        /// Whether it was merged.
        merged: bool,
        /// When.
        at: DateTime<Utc>,
    },
    /// Its git branch is gone, and the last pull request from it ended.
    BranchGone {
        /// The branch.
        branch: Box<str>,
        /// That pull request.
        number: PullRequestNumber,
        /// Whether it was merged.
        merged: bool,
        /// When it ended.
        at: DateTime<Utc>,
    },
    /// Its Actions run has completed.
    RunFinished {
        /// The id of the run.
        run: RunId,
        /// When it last changed.
        at: DateTime<Utc>,
    },
    /// What it belongs to does not exist, which its rule treats as dead.
    Missing(Claim),
    /// It is older than its rule allows.
    Age {
        /// The age that it exceeds.
        longer_than: TimeDelta,
    },
}

/// Why the evidence does not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// What it belongs to does not exist: an issue, or a number of something
    /// else.
    Missing(Claim),
    /// What it belongs to is unknown.
    NotAnswered {
        /// What that is.
        claim: Claim,
        /// Why it is unknown.
        why: Arc<str>,
    },
    /// The roots are not complete, so nothing is known to be dead.
    Roots(Arc<str>),
    /// A listing that the verdict depends on is not complete.
    Listing {
        /// The kind that was listed.
        kind: &'static str,
    },
    /// The answer lacks a time that the API always returns.
    Time(&'static str),
    /// An attribute that a condition asks about is not in the answer.
    Condition(&'static str),
    /// It never had the time by which its rule judges.
    NoClock(&'static str),
    /// What it belongs to ended without a time.
    NoEnd(Claim),
    /// What some others use is not known.
    References {
        /// How many of them.
        unread: usize,
        /// The kind of the users.
        kind: &'static str,
        /// Why the first of them is not known; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// Whether anything of another kind uses it could not be read.
    Users {
        /// The kind or user source that may use it.
        kind: &'static str,
        /// Why; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// Where it is reached, so that its users cannot be told apart.
    Address {
        /// The kind of a resource that uses some address.
        user: &'static str,
        /// Why; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// What belongs to it could not be read.
    Holds {
        /// The kind of what may belong to it.
        kind: &'static str,
        /// Why; none while it was not asked.
        why: Option<Arc<str>>,
    },
    /// A binding that this version cannot read may name it.
    Binding {
        /// The provider's name for the type of the binding.
        sort: Box<str>,
        /// The kind of whose binding it is.
        kind: &'static str,
        /// The name of whose binding it is.
        name: Box<str>,
    },
    /// Its kind does not say who uses its resources.
    UsersUndeclared,
    /// It was made when the pull request that its name claims did not live.
    Birth {
        /// The pull request.
        number: PullRequestNumber,
        /// When it was made; none where its kind does not tell, and something
        /// else of the same number was made at such a time.
        made: Option<DateTime<Utc>>,
    },
    /// When the pull request that its name claims was opened is not known.
    NoOpening(PullRequestNumber),
    /// The slug is the beginning of what an existing branch gives.
    Beginning(Claim),
    /// No name that was listed shows that the rule's branch or slug function
    /// gives real names.
    NotCalibrated(Claim),
}

impl Doubt {
    /// Returns its stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::OwnerMissing,
            Self::NotAnswered { .. } => Code::OwnerUnknown,
            Self::Roots(_) => Code::RootsIncomplete,
            Self::Listing { .. } => Code::ListingIncomplete,
            Self::Time(_) => Code::TimeMissing,
            Self::Condition(_) => Code::ConditionUnknown,
            Self::NoClock(_) => Code::ClockMissing,
            Self::NoEnd(_) => Code::EndUnknown,
            Self::References { .. } => Code::ReferencesUnknown,
            Self::Users { .. } => Code::UsersUnknown,
            Self::Address { .. } => Code::AddressUnknown,
            Self::Holds { .. } => Code::ContentsUnknown,
            Self::Binding { .. } => Code::BindingTypeUnknown,
            Self::UsersUndeclared => Code::UsersUndeclared,
            Self::Birth { .. } => Code::BornOutsidePullRequest,
            Self::NoOpening(_) => Code::OpeningUnknown,
            Self::Beginning(_) => Code::SlugIsPrefix,
            Self::NotCalibrated(_) => Code::SlugUnproven,
        }
    }

    /// Whether it leaves every resource of a kind undecided that is in the same
    /// place and may be deleted, because their users are not known.
    pub fn is_about_all_of_a_kind(&self) -> bool {
        matches!(
            self,
            Self::References { .. } | Self::Users { .. } | Self::Address { .. }
        )
    }
}

impl Verdict {
    /// Returns the verdict without its reason.
    pub fn name(&self) -> VerdictName {
        match self {
            Self::Live(_) => VerdictName::Live,
            Self::Protected(_) => VerdictName::Protected,
            Self::InUse(_) => VerdictName::InUse,
            Self::Unmatched(_) => VerdictName::Unmatched,
            Self::Grace(_) => VerdictName::Grace,
            Self::Garbage(_) => VerdictName::Garbage,
            Self::Unknown(_) => VerdictName::Unknown,
        }
    }

    /// Returns the code of the doubt, if the verdict is unknown.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Unknown(doubt) => Some(doubt.code()),
            Self::Live(_)
            | Self::Protected(_)
            | Self::InUse(_)
            | Self::Unmatched(_)
            | Self::Grace(_)
            | Self::Garbage(_) => None,
        }
    }

    /// Whether it may be deleted. Nothing else ever is.
    pub fn is_garbage(&self) -> bool {
        matches!(self, Self::Garbage(_))
    }

    /// Whether a sweep may delete it: its rule does not only report it.
    pub fn is_deletable(&self) -> bool {
        matches!(self, Self::Garbage(death) if !death.report_only)
    }

    /// How it died, where it did.
    pub fn death(&self) -> Option<&Death> {
        match self {
            Self::Garbage(death) | Self::Grace(Wait::Grace { death, .. }) => Some(death),
            Self::Live(_)
            | Self::Protected(_)
            | Self::InUse(_)
            | Self::Unmatched(_)
            | Self::Grace(Wait::Expires { .. })
            | Self::Unknown(_) => None,
        }
    }

    /// When it becomes, or became, garbage.
    pub fn ripe_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Grace(Wait::Grace { ripe_at, .. }) => *ripe_at,
            Self::Grace(Wait::Expires { at }) => Some(*at),
            Self::Garbage(death) => death.ripe_at,
            Self::Live(_)
            | Self::Protected(_)
            | Self::InUse(_)
            | Self::Unmatched(_)
            | Self::Unknown(_) => None,
        }
    }

    /// What would have to change for another verdict, for `explain`.
    pub fn otherwise(&self) -> &'static str {
        match self {
            Self::Live(Alive::Open(_)) => {
                "it becomes garbage when the pull request is closed and the grace is over"
            }
            Self::Live(Alive::NotMerged(_)) => {
                "it stays unless the rule says `dead-when = \"closed\"`"
            }
            Self::Live(Alive::Branch(_)) => {
                "it becomes garbage when the git branch is gone, a pull request from it was seen \
                 closed, and the grace is over"
            }
            Self::Live(Alive::Run(_)) => {
                "it becomes garbage when the run has completed and the grace is over"
            }
            Self::Live(Alive::Young { .. }) => "it becomes garbage when it is old enough",
            Self::Protected(Protection::Entry { .. } | Protection::Perhaps { .. }) => {
                "it stays until the `protect` entry no longer covers it"
            }
            Self::Protected(Protection::BuiltIn(_)) => "no rule can override this protection",
            Self::Protected(Protection::ManagedBy(_)) => {
                "it goes when the custom domain that manages it goes"
            }
            Self::Protected(Protection::Checked { .. }) => {
                "it stays until \"keep\" is cleared in the tracking issue"
            }
            Self::Protected(Protection::BroughtBack { .. }) => {
                "it stays until a person releases it with `preview-gc restore --release`"
            }
            Self::Protected(Protection::Backup(_)) => {
                "it stays unless a rule's template spells the backup's name literally"
            }
            Self::InUse(_) => "it becomes garbage when its user is gone or no longer uses it",
            Self::Unmatched(Unmatched::NoRule) => {
                "it stays unless a rule's template matches its whole name"
            }
            Self::Unmatched(Unmatched::OtherRepository(_)) => {
                "it stays: the numbers of another repository mean something else"
            }
            Self::Unmatched(Unmatched::NotOnGitHub(_)) => {
                "it stays unless a git branch or a pull request's head matches this name, or the \
                 rule says `missing = \"dead\"`"
            }
            Self::Grace(Wait::Grace { ripe_at: None, .. }) => {
                "it has no time from which its grace could count: only a grace of 0 ends"
            }
            Self::Grace(Wait::Grace { .. }) => "it becomes garbage when its grace is over",
            Self::Grace(Wait::Expires { .. }) => "the provider deletes it by itself",
            Self::Garbage(_) => {
                "it would stay if its pull request were reopened, if something that stays used it, \
                 or if a `protect` entry covered it"
            }
            Self::Unknown(Doubt::Birth { .. }) => {
                "it becomes garbage if the rule says `born = \"any\"`"
            }
            Self::Unknown(Doubt::Missing(_)) => {
                "it becomes garbage if the rule says `missing = \"dead\"`"
            }
            Self::Unknown(_) => "run again when the missing evidence is available",
        }
    }
}

impl Protection {
    /// Whether a person asked for it, rather than a rule of this program.
    pub fn is_somebodys(&self) -> bool {
        match self {
            Self::Entry { .. }
            | Self::Perhaps { .. }
            | Self::Checked { .. }
            | Self::BroughtBack { .. } => true,
            Self::BuiltIn(_) | Self::ManagedBy(_) | Self::Backup(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::at;
    use super::*;

    fn number() -> PullRequestNumber {
        PullRequestNumber::new(7).unwrap()
    }

    fn death(report_only: bool) -> Death {
        Death {
            cause: Cause::Age {
                longer_than: TimeDelta::days(3),
            },
            dead_since: Some(at(10)),
            ripe_at: Some(at(20)),
            report_only,
        }
    }

    fn grace(ripe_at: Option<DateTime<Utc>>) -> Verdict {
        Verdict::Grace(Wait::Grace {
            death: death(false),
            ripe_at,
        })
    }

    #[test]
    fn only_what_died_has_a_death_and_a_time_at_which_it_is_ripe() {
        for (verdict, died, ripe_at) in [
            (Verdict::Garbage(death(false)), true, Some(at(20))),
            (Verdict::Garbage(death(true)), true, Some(at(20))),
            (grace(Some(at(30))), true, Some(at(30))),
            (grace(None), true, None),
            // The provider removes it by itself, dead or not.
            (
                Verdict::Grace(Wait::Expires { at: at(40) }),
                false,
                Some(at(40)),
            ),
            (Verdict::Live(Alive::Open(number())), false, None),
            (
                Verdict::Protected(Protection::Checked { issue: 1 }),
                false,
                None,
            ),
            (Verdict::Unmatched(Unmatched::NoRule), false, None),
            (Verdict::Unknown(Doubt::Time("created_at")), false, None),
        ] {
            let since = verdict.death().map(|death| death.dead_since);
            assert_eq!(since, died.then_some(Some(at(10))), "{verdict:?}");
            assert_eq!(verdict.ripe_at(), ripe_at, "{verdict:?}");
        }
    }

    /// What keeps it, and what an owner has to do if that is wrong.
    #[test]
    fn a_verdict_says_why_and_what_would_change_it() {
        let protected = Verdict::Protected;
        let where_ = || Arc::from("preview-gc.toml:4");
        let of = || Claim::PullRequest(number());
        for (verdict, why, otherwise) in [
            (
                Verdict::Live(Alive::Open(number())),
                "pull request #7 is open",
                "when the pull request is closed",
            ),
            (
                Verdict::Live(Alive::NotMerged(number())),
                "closed without being merged",
                "dead-when = \"closed\"",
            ),
            (
                Verdict::Live(Alive::Branch("topic".into())),
                "git branch topic exists",
                "when the git branch is gone",
            ),
            (
                Verdict::Live(Alive::Young {
                    longer_than: TimeDelta::days(3),
                    since: at(0),
                }),
                "not older than 3d",
                "when it is old enough",
            ),
            (
                protected(Protection::Entry {
                    reason: "serves customers".into(),
                    location: where_(),
                }),
                "serves customers (preview-gc.toml:4)",
                "until the `protect` entry no longer covers it",
            ),
            (
                protected(Protection::Perhaps {
                    key: "parent",
                    location: where_(),
                }),
                "does not say `parent` (preview-gc.toml:4)",
                "until the `protect` entry no longer covers it",
            ),
            (
                protected(Protection::BuiltIn(BuiltInProtection::DefaultBranch)),
                "the project's default branch",
                "no rule can override",
            ),
            (
                protected(Protection::ManagedBy("worker_domain")),
                "managed by a worker_domain",
                "when the custom domain that manages it goes",
            ),
            (
                protected(Protection::Checked { issue: 12 }),
                "\"keep\" is checked in issue #12",
                "until \"keep\" is cleared",
            ),
            (
                protected(Protection::BroughtBack {
                    at: at(0),
                    name: "app-pr-7".into(),
                }),
                "it is kept until",
                "until a person releases it",
            ),
            (
                protected(Protection::Backup("rollback-*")),
                "looks like a backup (`rollback-*`)",
                "spells the backup's name",
            ),
            (
                Verdict::InUse(User {
                    kind: "worker",
                    name: "app".into(),
                    how: How::Bound,
                }),
                "used by worker app",
                "when its user is gone",
            ),
            (
                Verdict::Unmatched(Unmatched::NoRule),
                "no rule matches this name",
                "template matches its whole name",
            ),
            (
                Verdict::Unmatched(Unmatched::NotOnGitHub(of())),
                "nothing on GitHub matches pull request #7",
                "matches this name",
            ),
            (
                grace(None),
                "no time from which its grace could count",
                "only a grace of 0 ends",
            ),
            (grace(Some(at(30))), "grace until", "when its grace is over"),
            (
                Verdict::Grace(Wait::Expires { at: at(40) }),
                "expires by itself",
                "the provider deletes it",
            ),
            (
                Verdict::Garbage(death(true)),
                "older than 3d; its rule only reports it",
                "if its pull request were reopened",
            ),
            (
                Verdict::Unknown(Doubt::Missing(of())),
                "its rule keeps what is missing",
                "missing = \"dead\"",
            ),
            (
                Verdict::Unknown(Doubt::Time("created_at")),
                "the answer lacks `created_at`",
                "run again",
            ),
        ] {
            let said = verdict.to_string();
            assert!(said.contains(why), "{said}");
            let advice = verdict.otherwise();
            assert!(advice.contains(otherwise), "{said}: {advice}");
        }
    }
}
