//! Why a resource is kept: what it belongs to is alive, something protects it,
//! something uses it, or no rule matches it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{BuiltInProtection, Claim, KindName, PullRequestNumber, RunId};
use crate::policy::RefusedMatch;

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
    /// It is among the newest, which the rule keeps.
    Newest {
        /// How many newer ones there must be.
        wanted: usize,
        /// How many there are.
        newer: usize,
    },
    /// Newer ones have taken its place, and it holds this address.
    HoldsAddress(Box<str>),
    /// An open pull request that has the label which its rule asks about.
    Labelled {
        /// The pull request.
        number: PullRequestNumber,
        /// The label.
        label: Box<str>,
    },
    /// An open pull request that never had the label which its rule asks about.
    NeverLabelled {
        /// The pull request.
        number: PullRequestNumber,
        /// The label.
        label: Box<str>,
    },
    /// What it points at exists.
    Target {
        /// The kind of that.
        kind: KindName,
        /// Its name.
        name: Box<str>,
    },
    /// It points at nothing whose absence could be told.
    NoTarget,
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
    /// A `protect` entry with a condition that the answer cannot decide.
    UndeterminedEntry {
        /// The condition's key.
        key: &'static str,
        /// Where it stands.
        location: Arc<str>,
    },
    /// A fact that its kind knows.
    BuiltIn(BuiltInProtection),
    /// A custom domain of this name manages it.
    ManagedBy(KindName),
    /// It looks like a backup, and no rule spells that out.
    Backup(&'static str),
    /// Its pull request has the label that keeps everything of it.
    Labelled {
        /// The pull request.
        number: PullRequestNumber,
        /// The label.
        label: Box<str>,
    },
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
            | Self::UndeterminedEntry { .. }
            | Self::Labelled { .. }
            | Self::Checked { .. }
            | Self::BuiltIn(BuiltInProtection::Marked)
            | Self::BroughtBack { .. } => true,
            Self::BuiltIn(_) | Self::ManagedBy(_) | Self::Backup(_) => false,
        }
    }
}

/// Who uses a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUser {
    /// The kind of the user.
    pub kind: KindName,
    /// Its name.
    pub name: Box<str>,
    /// How it uses it.
    pub how: UsageKind,
    /// Why it is still there afterwards.
    pub stays: UserStays,
}

/// Why the user of something is still there after this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStays {
    /// It is no garbage.
    Wanted,
    /// It is garbage, and this run is not about it.
    LeftOut,
    /// It is garbage that its rule only reports.
    Reported,
}

/// How something is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageKind {
    /// It is bound by a resource that stays.
    Bound,
    /// It is the parent of one that stays.
    Parent,
    /// It belongs to one that stays.
    Owner,
    /// It manages one that stays.
    Manager,
    /// One that stays runs its code.
    Runs,
    /// It serves a host name or route that stays.
    Serves,
    /// One that stays points at its address.
    Target,
    /// One that stays belongs to it.
    Holds,
    /// It guards the host at which one that stays is reached.
    Guarded,
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
    /// The templates of these rules match its name, and a condition of each does
    /// not hold.
    Refused(Vec<RefusedMatch>),
}

impl Unmatched {
    /// Whether the rules leave the resource to its owner: no rule is about it.
    pub fn is_left_to_owner(&self) -> bool {
        matches!(self, Self::NoRule | Self::Refused(_))
    }
}
