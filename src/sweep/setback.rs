//! What requests come to, and what that means for the round they belong to.

use super::Done;
use crate::gc::Outcome;

/// What a request came to.
pub(super) enum Settled {
    /// The step is over.
    Done(Outcome, String),
    /// It had no effect, and may be tried again.
    Waits {
        /// What kept it from having one.
        setback: Setback,
        /// The same in words.
        reason: String,
    },
}

/// Why a request had no effect, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setback {
    /// This run keeps it back for the quota's sake, or because it ends.
    Withheld,
    /// There was no time left to send it.
    Late,
    /// The provider asks to wait.
    Throttled,
    /// It was tried, and failed.
    Failed,
}

impl Setback {
    /// What it comes to when it happens again and again.
    pub(super) fn in_vain(self) -> Done {
        let (outcome, reason) = match self {
            Self::Withheld => (
                Outcome::Deferred,
                "the quota that this run may use leaves no room to re-read and to delete",
            ),
            Self::Late => (
                Outcome::FailedForNow,
                "what was read is too old before a request can leave; raise --reread-after",
            ),
            Self::Throttled => (
                Outcome::FailedForNow,
                "the provider asks to wait again and again; try again later",
            ),
            Self::Failed => (Outcome::FailedForNow, "it fails again and again"),
        };
        Done {
            outcome,
            reason: reason.to_owned(),
        }
    }
}

/// What a batch comes to of which nothing could be sent; none for any other.
pub(super) fn in_vain(batch: &[(usize, Settled)]) -> Option<Done> {
    let setbacks = batch.iter().map(|(_, settled)| match settled {
        Settled::Waits {
            setback: Setback::Failed,
            ..
        }
        | Settled::Done(..) => None,
        Settled::Waits { setback, .. } => Some(*setback),
    });
    let setbacks: Vec<Setback> = setbacks.collect::<Option<_>>()?;
    setbacks.into_iter().max().map(Setback::in_vain)
}
