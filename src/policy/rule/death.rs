//! What makes a resource dead, and what happens to it then.

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// An event that makes a resource dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathEvent {
    /// Its pull request was closed, merged included.
    Closed,
    /// Its pull request was merged.
    Merged,
    /// Its git branch is gone.
    BranchGone,
    /// Its Actions run has completed.
    RunFinished,
}

impl fmt::Display for DeathEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Merged => "merged",
            Self::BranchGone => "branch-gone",
            Self::RunFinished => "run-finished",
        })
    }
}

/// From when an age counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeClock {
    /// The resource's creation.
    Created,
    /// Its last change.
    Changed,
    /// The merge of its pull request.
    Merged,
    /// When it was last used.
    Active,
    /// The time that its name says.
    Named,
}

impl fmt::Display for AgeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Merged => "merged",
            Self::Active => "active",
            Self::Named => "named",
        })
    }
}

/// An age that makes a resource dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// It must be older than this, strictly.
    pub longer_than: TimeDelta,
    /// Counted from here.
    pub clock: AgeClock,
}

/// That newer ones have taken a resource's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newer {
    /// How many newer ones there must be.
    pub count: usize,
    /// Among which they count.
    pub per: Per,
}

/// Among which resources newer ones count. They are always of the same kind, in
/// the same place and with the same holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Per {
    /// Those that the rule matches with the same claim.
    #[default]
    Claim,
    /// All that the rule matches.
    Rule,
}

/// What makes a resource dead: all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeathCondition {
    /// Events.
    pub events: Vec<DeathEvent>,
    /// Ages.
    pub ages: Vec<Age>,
    /// Newer ones.
    pub newer: Option<Newer>,
    /// The label that its open pull request has lost.
    pub without_label: Option<Box<str>>,
    /// Whether what it points at must be gone.
    pub target_gone: bool,
}

impl DeathCondition {
    /// Whether it is by age alone, which has no event that a grace could follow.
    pub fn is_by_age_alone(&self) -> bool {
        self.is_silent_about_owners() && !self.target_gone
    }

    /// Whether it says nothing about what a resource belongs to.
    pub fn is_silent_about_owners(&self) -> bool {
        self.events.is_empty() && self.newer.is_none() && self.without_label.is_none()
    }
}

/// The meaning of a number that belongs to nothing known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// The resource is kept.
    #[default]
    Keep,
    /// It is dead.
    Dead,
}

/// When a resource must have been made for a number in its name to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Born {
    /// While its pull request was open, or shortly after.
    #[default]
    InTime,
    /// At any time.
    Any,
}

/// What happens to garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is deleted.
    #[default]
    Delete,
    /// It is only reported.
    Report,
    /// It gets an expiry.
    Expire,
    /// An expiry that it was given is removed. No rule says so.
    #[serde(rename = "remove_expiry")]
    RemoveExpiry,
}

/// The key of [`Timing::created_after_opened`].
pub const CREATED_AFTER_OPENED: &str = "created-after-opened";

/// The key of [`Timing::ended_after_created`].
pub const ENDED_AFTER_CREATED: &str = "ended-after-created";

/// Conditions on the pull request's times, which its judge checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// The resource was made when the pull request was open already.
    pub created_after_opened: Option<bool>,
    /// The pull request ended after the resource was made.
    pub ended_after_created: Option<bool>,
}

impl Timing {
    /// The conditions as a policy writes them.
    pub(super) fn written(&self) -> impl Iterator<Item = String> + use<> {
        let conditions = [
            (CREATED_AFTER_OPENED, self.created_after_opened),
            (ENDED_AFTER_CREATED, self.ended_after_created),
        ];
        let written = conditions.into_iter();
        written.filter_map(|(key, wanted)| Some(format!("{key} = {}", wanted?)))
    }
}
