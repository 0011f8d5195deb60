//! Results of requests, and what they mean for their round.

use super::Done;
use crate::gc::Outcome;
use crate::wire::RequestFailure;

/// The result of a request.
pub(super) enum Settled {
    /// The step is over.
    Done(Done),
    /// It had no effect, and may be tried again.
    Waits {
        /// Why it had no effect.
        setback: Setback,
        /// The reason in words.
        reason: String,
    },
}

/// Why a request had no effect, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setback {
    /// This run holds it back because of the quota, or because the run ends.
    Withheld,
    /// There was no time left to send it.
    Late,
    /// The provider asks to wait.
    Throttled,
    /// The provider asked to wait in the answer to the step's own request: what that
    /// did has to be looked up.
    Unconfirmed,
    /// Some of what precedes it was done: another try goes on.
    Interrupted,
    /// It was tried and failed.
    Failed,
}

impl Setback {
    /// Returns why a request that was not sent had no effect.
    pub(super) fn of(failure: &RequestFailure) -> Self {
        match failure {
            RequestFailure::Withheld { .. } => Self::Withheld,
            RequestFailure::Throttled { .. } => Self::Throttled,
            RequestFailure::Deadline | RequestFailure::Outdated => Self::Late,
            _ => Self::Failed,
        }
    }

    /// Returns the outcome if this happens repeatedly.
    pub(super) fn without_effect(self) -> Done {
        let (outcome, reason) = match self {
            Self::Withheld => (
                Outcome::Deferred,
                "the quota that this run may use leaves no room to re-read and to delete",
            ),
            Self::Late => (
                Outcome::FailedForNow,
                "the data is too old before a request can be sent; raise --reread-after",
            ),
            Self::Throttled | Self::Unconfirmed => (
                Outcome::FailedForNow,
                "the provider repeatedly asks to wait; try again later",
            ),
            Self::Interrupted | Self::Failed => (Outcome::FailedForNow, "it failed repeatedly"),
        };
        Done::new(outcome, reason)
    }
}

/// Returns the outcome of a batch of which nothing could be sent, and `None`
/// for any other batch.
pub(super) fn without_effect(batch: &[(usize, Settled)]) -> Option<Done> {
    let setbacks = batch.iter().map(|(_, settled)| match settled {
        Settled::Waits {
            setback: Setback::Interrupted | Setback::Failed,
            ..
        }
        | Settled::Done(_) => None,
        Settled::Waits { setback, .. } => Some(*setback),
    });
    let setbacks: Vec<Setback> = setbacks.collect::<Option<_>>()?;
    setbacks.into_iter().max().map(Setback::without_effect)
}
