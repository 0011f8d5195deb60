//! What would change a verdict.

use super::{
    Alive, Cause, Death, Doubt, Protection, ResourceUser, Unmatched, UsageKind, Verdict, Wait,
};
use crate::model::BuiltInProtection;

impl Verdict {
    /// What would have to change for another verdict, for `explain`.
    pub fn otherwise(&self) -> &'static str {
        match self {
            Self::Live(alive) => alive.otherwise(),
            Self::Protected(protection) => protection.otherwise(),
            Self::InUse(ResourceUser {
                how: UsageKind::Parent,
                ..
            }) => "it becomes garbage when that branch is gone",
            Self::InUse(_) => "it becomes garbage when that resource is gone or no longer uses it",
            Self::Unmatched(Unmatched::NoRule) => {
                "it stays unless a rule's template matches its whole name"
            }
            Self::Unmatched(Unmatched::Refused(_)) => {
                "it stays unless the conditions of a rule that matches its name hold"
            }
            Self::Unmatched(Unmatched::OtherRepository(_)) => {
                "it stays: a number of another repository is not a pull request of this one"
            }
            Self::Unmatched(Unmatched::NotOnGitHub(_)) => {
                "it stays unless a git branch or a pull request's head matches this name, or the \
                 rule says `missing = \"dead\"`"
            }
            Self::Grace(Wait::Grace {
                grace_ends_at: None,
                ..
            }) => {
                "it has no time from which its grace could count, so only a rule without a grace deletes it"
            }
            Self::Grace(Wait::Grace { .. }) => "it becomes garbage when its grace has ended",
            Self::Grace(Wait::Expires { .. }) => "the provider deletes it by itself",
            Self::Garbage(Death {
                cause: Cause::Age { .. } | Cause::TargetGone { .. },
                ..
            }) => {
                "it would stay if its pull request were open, if something that stays used it, or \
                 if a `protect` entry covered it"
            }
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
            Self::Unknown(Doubt::HeadDiffers { .. }) => {
                "it stays unless the pull request comes from the branch in the name"
            }
            Self::Unknown(_) => "run again when the missing evidence is available",
        }
    }
}

impl Alive {
    /// What would have to change for another verdict.
    fn otherwise(&self) -> &'static str {
        match self {
            Self::Open(_) => {
                "it becomes garbage when the pull request is closed and the grace of its rule, if it has one, has ended"
            }
            Self::NotMerged(_) => "it stays unless the rule says `dead-when = \"closed\"`",
            Self::Branch(_) => {
                "it becomes garbage when the git branch is gone, a pull request from it was seen \
                 closed, and the grace has ended"
            }
            Self::Run(_) => "it becomes garbage when the run has completed and the grace has ended",
            Self::Labelled { .. } => {
                "it becomes garbage when the pull request loses the label or is closed"
            }
            Self::NeverLabelled { .. } => {
                "it becomes garbage when the pull request had the label and lost it, or is closed"
            }
            Self::Newest { .. } => "it becomes garbage when enough newer ones exist",
            Self::Target { .. } | Self::NoTarget => {
                "it becomes garbage when its target is a tunnel that is gone"
            }
            Self::HoldsAddress(_) => "it becomes garbage when another one serves that address",
            Self::Young { .. } => "it becomes garbage when it is old enough",
        }
    }
}

impl Protection {
    /// What would have to change for another verdict.
    fn otherwise(&self) -> &'static str {
        match self {
            Self::Entry { .. } | Self::UndeterminedEntry { .. } => {
                "it stays until the `protect` entry no longer covers it"
            }
            Self::BuiltIn(BuiltInProtection::Marked) => {
                "it stays until the mark `preview-gc:keep` is removed"
            }
            Self::BuiltIn(BuiltInProtection::Underscore) => {
                "only a rule whose name contains this label literally, with `type = \"TXT\"` in its `where`, can match it"
            }
            Self::BuiltIn(BuiltInProtection::PastProduction) => {
                "only a rule with `newer` and `environment = \"production\"` can match it"
            }
            Self::BuiltIn(BuiltInProtection::LikeProduction) => {
                "it stays unless a rule's template spells its word for production literally"
            }
            Self::BuiltIn(BuiltInProtection::Managed) => {
                "no rule can override this protection; it is deleted together with what manages it"
            }
            Self::BuiltIn(_) => "no rule can override this protection",
            Self::ManagedBy(_) => "it is deleted when the custom domain that manages it is deleted",
            Self::Labelled { .. } => "it stays until the label is removed from the pull request",
            Self::Checked { .. } => "it stays until \"keep\" is cleared in the tracking issue",
            Self::BroughtBack { .. } => {
                "it stays until a person releases it with `preview-gc restore --release`"
            }
            Self::Backup(_) => {
                "it stays unless a rule's template spells the backup's name literally"
            }
        }
    }
}
