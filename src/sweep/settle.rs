//! Settles each step of a batch by its answer and by the read after it.

use std::collections::BTreeMap;

use super::answer::SendResult;
use super::confirm::{Expected, LookupResult};
use super::setback::{Setback, Settled};
use super::{Done, Proof, Sweep};
use crate::gc::Outcome;
use crate::policy::Action;

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
                // The next view shows whether it had an effect.
                | SendResult::Throttled(_)
                | SendResult::Withheld(_) => None,
            })
            .collect();
        let mut seen = self.look_up_unless_stopped(&to_look_for).await;
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

    /// Looks up the resources of sent steps. An interrupted run does not wait for the
    /// end of a pause that a provider asked for.
    async fn look_up_unless_stopped(
        &self,
        steps: &[(usize, Expected)],
    ) -> BTreeMap<usize, LookupResult> {
        if steps.is_empty() {
            return BTreeMap::new();
        }
        let is_paused = || {
            let mut apis = steps.iter().map(|(step, _)| self.ids[*step].kind.api);
            apis.any(|api| !self.finishing.paused(api).is_zero())
        };
        let stopped = async {
            self.stop.asked().await;
            if !is_paused() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            seen = self.look_up(steps) => seen,
            () = stopped => BTreeMap::new(),
        }
    }

    /// Returns what became of steps whose last answer asked to wait, each with that
    /// answer, in a lane that starts no more steps.
    pub(super) async fn look_at_unconfirmed(
        &self,
        unconfirmed: Vec<(usize, String)>,
    ) -> BTreeMap<usize, Settled> {
        let steps = unconfirmed
            .iter()
            .map(|(step, _)| (*step, Expected::Unknown));
        let mut seen = self
            .look_up_unless_stopped(&steps.collect::<Vec<_>>())
            .await;
        let all = unconfirmed.into_iter().map(|(step, why)| {
            let seen = seen.remove(&step);
            let settled = settled(self.action(step), SendResult::Lost(why), seen);
            (step, settled)
        });
        all.collect()
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
        (SendResult::NotSent(error), _) => waits(Setback::of(&error.failure), error.to_string()),
        (SendResult::Throttled(error), _) => waits(Setback::Unconfirmed, error.to_string()),
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
        (
            SendResult::NotThere(message)
            | SendResult::Lost(message)
            | SendResult::CutOff(message)
            | SendResult::Denied(_, message),
            None,
        ) => explained(Outcome::InDoubt, format!("{message}; it was not re-read")),
        (_, None) => done(Outcome::InDoubt, "it was not re-read"),
    }
}
