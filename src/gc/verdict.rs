//! Verdicts, each with its reason inside.

mod advice;
mod death;
mod doubt;
mod kept;
mod name;
mod text;

use chrono::{DateTime, Utc};

pub use self::death::{Cause, Death, Wait};
pub use self::doubt::Doubt;
pub use self::kept::{Alive, Protection, ResourceUser, Unmatched, UsageKind, UserStays};
pub use self::name::VerdictName;
use crate::model::Resource;
use crate::model::code::Code;

/// What happens to a resource, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its owner is alive.
    Live(Alive),
    /// It is kept whatever the rules say.
    Protected(Protection),
    /// Dead by its rule, but something that stays uses it.
    InUse(ResourceUser),
    /// No rule matches its name.
    Unmatched(Unmatched),
    /// Dead, but not long enough, or about to go by itself.
    Grace(Wait),
    /// To be deleted.
    Garbage(Death),
    /// The evidence does not decide.
    Unknown(Doubt),
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

    /// Returns the reason, with what the provider itself says of an orphan where it
    /// died.
    pub fn reason(&self, resource: &Resource) -> String {
        match resource.orphaned().filter(|_| self.death().is_some()) {
            Some(words) => format!("{self}; {words}"),
            None => self.to_string(),
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
    pub fn grace_ends_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Grace(Wait::Grace { grace_ends_at, .. }) => *grace_ends_at,
            Self::Grace(Wait::Expires { at }) => Some(*at),
            Self::Garbage(death) => death.grace_ends_at,
            Self::Live(_)
            | Self::Protected(_)
            | Self::InUse(_)
            | Self::Unmatched(_)
            | Self::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
