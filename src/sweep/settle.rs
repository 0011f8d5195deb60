//! Settles each step of a batch by its answer and by the read after it.

use super::answer::SendResult;
use super::confirm::{Expected, LookupResult};
use super::setback::{Setback, Settled};
use super::{Done, Proof, Sweep};
use crate::gc::Outcome;
use crate::policy::Action;
use crate::wire::RequestFailure;

/// The reason of a step whose resource is gone after its request.
const SEEN_GONE: &str = "re-reading shows that it is gone";

impl Sweep<'_, '_> {
    /// Looks up the resources of steps whose requests may have had an effect,
    /// and returns the result of each step.
    pub(super) async fn look_at(&self, answers: Vec<(usize, SendResult)>) -> Vec<(usize, Settled)> {
        let to_look_for: Vec<(usize, Expected)> = answers
            .iter()
            .filter_map(|(step, answer)| match answer {
                SendResult::Accepted => Some((*step, Expected::Effect)),
                SendResult::NotThere(_) | SendResult::Lost(_) | SendResult::CutOff(_) => {
                    Some((*step, Expected::Unknown))
                }
                SendResult::Denied(..) => Some((*step, Expected::NoEffect)),
                SendResult::Refused(..)
                | SendResult::Premature(_)
                | SendResult::Interrupted(_)
                | SendResult::NotSent(_)
                | SendResult::Withheld(_) => None,
            })
            .collect();
        let mut seen = self.look_up(&to_look_for).await;
        let mut all = Vec::new();
        for (step, mut answer) in answers {
            if let SendResult::Refused(_, why) = &mut answer
                && let Some(contents) = self.contents(step).await
            {
                *why = format!("{why}; it holds {contents}");
            }
            let seen = seen.remove(&step);
            all.push((step, settled(self.action(step), answer, seen)));
        }
        all
    }
}

/// Combines an answer and the read after it into a result.
fn settled(action: Action, answer: SendResult, seen: Option<LookupResult>) -> Settled {
    let done = |outcome, reason: &str| Settled::Done(Done::new(outcome, reason));
    let waits = |setback, reason: String| Settled::Waits { setback, reason };
    let explained = |outcome, reason: String| Settled::Done(Done::new(outcome, reason));
    // A resource that was to expire and is gone has expired.
    let gone = match action {
        Action::Delete => Outcome::Deleted,
        Action::Expire | Action::RemoveExpiry | Action::Report => Outcome::AlreadyGone,
    };
    match (answer, seen) {
        (SendResult::Refused(outcome, why), _)
        | (SendResult::Denied(outcome, why), Some(LookupResult::There)) => explained(outcome, why),
        (SendResult::Premature(why), _) => explained(Outcome::FailedForNow, why),
        (SendResult::Interrupted(reason), _) => waits(Setback::Interrupted, reason),
        (SendResult::NotSent(error), _) => Settled::Waits {
            setback: match error.failure {
                RequestFailure::Withheld { .. } => Setback::Withheld,
                RequestFailure::Throttled { .. } => Setback::Throttled,
                RequestFailure::Deadline | RequestFailure::Outdated => Setback::Late,
                _ => Setback::Failed,
            },
            reason: error.to_string(),
        },
        (SendResult::Withheld(why), _) => waits(Setback::Withheld, why.to_owned()),
        (SendResult::Accepted, Some(LookupResult::Gone)) => Settled::Done(Done {
            outcome: gone,
            proof: Proof::AcceptedAndGone,
            reason: SEEN_GONE.to_owned(),
        }),
        (SendResult::Accepted, Some(LookupResult::Expires)) => {
            done(Outcome::Expired, "it expires within a day")
        }
        // It may still be in progress: the next run re-reads.
        (SendResult::Accepted, Some(LookupResult::There)) => done(
            Outcome::InDoubt,
            "the provider accepted it, but re-reading still shows it",
        ),
        (SendResult::Accepted, Some(LookupResult::Unreadable(why))) => explained(
            Outcome::InDoubt,
            format!("the provider accepted it, but it could not be re-read: {why}"),
        ),
        (SendResult::NotThere(_), Some(LookupResult::Gone)) => done(
            Outcome::AlreadyGone,
            "the provider says that it is gone, and re-reading agrees",
        ),
        (SendResult::NotThere(message), Some(LookupResult::There | LookupResult::Expires)) => {
            Settled::Waits {
                reason: format!("{message}; but re-reading still shows it"),
                setback: Setback::Failed,
            }
        }
        (
            SendResult::Lost(why) | SendResult::CutOff(why) | SendResult::Denied(_, why),
            Some(LookupResult::Gone),
        ) => explained(gone, format!("{why}; {SEEN_GONE}")),
        (SendResult::CutOff(why), Some(LookupResult::There)) => explained(
            Outcome::InDoubt,
            format!("{why}; re-reading still shows it, and it may still take effect"),
        ),
        (
            SendResult::Lost(why) | SendResult::CutOff(why) | SendResult::Denied(_, why),
            Some(LookupResult::Expires),
        ) => explained(
            Outcome::Expired,
            format!("{why}; re-reading shows its expiry"),
        ),
        (SendResult::Lost(why), Some(LookupResult::There)) => Settled::Waits {
            reason: format!("{why}; re-reading shows that it had no effect"),
            setback: Setback::Failed,
        },
        (
            SendResult::NotThere(message)
            | SendResult::Lost(message)
            | SendResult::CutOff(message)
            | SendResult::Denied(_, message),
            Some(LookupResult::Unreadable(why)),
        ) => explained(
            Outcome::InDoubt,
            format!("{message}; and it could not be re-read: {why}"),
        ),
        (_, None) => done(Outcome::InDoubt, "it was not re-read"),
    }
}
