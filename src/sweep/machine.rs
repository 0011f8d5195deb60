//! The state machine that carries out a lane.
//!
//! Every deletion passes through the same states. For one Worker:
//!
//! | state | what happens | event |
//! | --- | --- | --- |
//! | [`Refresh`] | The lane re-lists Workers and whatever may use or manage one, re-reads the pull request, and judges again. | [`Reread`] |
//! | [`Recheck`] | The Worker is unchanged and still garbage in that view, and no other step has to go first. | [`Ready`] |
//! | [`Prepare`] | Nothing that stays would have to change for it, its contents are backed up, and the view is still fresh. | [`Prepared`] |
//! | [`Send`] | The intent is on disk; then the request is sent while the view is fresh. | [`Sent`] |
//! | [`Confirm`] | A new listing does not show the Worker any more. The outcome is on disk. | [`Confirmed`] |
//! | [`Refresh`] | No step is pending. | [`Ended`] |
//!
//! Every objection to a deletion leads back to [`Refresh`]: a resource that stays
//! after all ([`Outdated`]), a view that is too old ([`TooOld`], [`Late`]), a
//! journal that cannot be written ([`NothingSent`]). A request is sent in [`Send`]
//! only, and [`Prepare`] alone leads there, with the view that it checked.
//!
//! [`Refresh`]: LaneState::Refresh
//! [`Recheck`]: LaneState::Recheck
//! [`Prepare`]: LaneState::Prepare
//! [`Send`]: LaneState::Send
//! [`Confirm`]: LaneState::Confirm
//! [`Reread`]: LaneEvent::Reread
//! [`Ready`]: LaneEvent::Ready
//! [`Prepared`]: LaneEvent::Prepared
//! [`Sent`]: LaneEvent::Sent
//! [`Confirmed`]: LaneEvent::Confirmed
//! [`Ended`]: LaneEvent::Ended
//! [`Outdated`]: LaneEvent::Outdated
//! [`TooOld`]: LaneEvent::TooOld
//! [`Late`]: LaneEvent::Late
//! [`NothingSent`]: LaneEvent::NothingSent

use std::collections::BTreeSet;

use super::answer::SendResult;
use super::lane::Lane;
use super::ready_step::ReadyStep;
use super::recheck::{Rechecked, UndecidedAction};
use super::setback::{Setback, Settled, without_effect};
use super::{Done, Sweep};
use crate::gc::Outcome;
use crate::model::Api;
use crate::survey::Findings;

/// Maximum number of tries for a step whose answer was lost.
const TRIES: u32 = 3;

/// Maximum number of consecutive rounds that re-read without sending anything:
/// re-reading uses up the quota.
const ROUNDS: usize = 3;

/// What a lane does next. `V` is a view: what was re-read, and the verdicts that
/// follow.
pub(super) enum LaneState<V> {
    /// Ends the lane if nothing more may be started. Otherwise re-reads what its
    /// pending steps depend on, unless the last view can still be used.
    Refresh(LastView<V>),
    /// Checks the pending steps against the view.
    Recheck(V),
    /// Finds out what has to be changed elsewhere for these steps, and backs up
    /// their resources.
    Prepare(V, Vec<usize>),
    /// Journals the intents of these steps and sends their requests.
    Send(V, Vec<ReadyStep>),
    /// Looks up the resources of the steps that were sent, and records outcomes.
    Confirm(V, Vec<(usize, SendResult)>),
    /// The lane does nothing more.
    Done,
}

/// The last view of a lane.
pub(super) enum LastView<V> {
    /// The lane has only the audit of the run.
    Audit,
    /// A resource stays that this view assumed to go, or it is too old.
    Outdated(V),
    /// It can be used until it is too old.
    Current(V),
}

impl<V> LastView<V> {
    fn view(&self) -> Option<&V> {
        match self {
            Self::Audit => None,
            Self::Outdated(view) | Self::Current(view) => Some(view),
        }
    }

    fn outdated(self) -> Self {
        match self {
            Self::Audit => Self::Audit,
            Self::Outdated(view) | Self::Current(view) => Self::Outdated(view),
        }
    }
}

/// What happened in a state.
pub(super) enum LaneEvent<V> {
    /// No step is pending, or none may be started any more.
    Ended,
    /// The last view can still be used.
    Usable,
    /// The lane was re-read.
    Reread(V),
    /// It was re-read, but by then the view was too old.
    TooOld(V),
    /// The lane was not re-read: the run was interrupted, or every step waited
    /// for one of another lane.
    NotReread,
    /// A resource stays that the view assumed to go.
    Outdated,
    /// These steps may run, and nothing has to go before them.
    Ready(Vec<usize>),
    /// The view became too old before these steps could be sent.
    Late,
    /// These steps can be sent.
    Prepared(Vec<ReadyStep>),
    /// No request was sent: there was no step left, or the journal cannot be
    /// written.
    NothingSent,
    /// The requests were sent and answered so.
    Sent(Vec<(usize, SendResult)>),
    /// The outcomes are recorded, and the view still holds.
    Confirmed,
}

impl<V> LaneState<V> {
    /// Returns the state after an event.
    pub(super) fn next(self, event: LaneEvent<V>) -> Self {
        match (self, event) {
            (Self::Refresh(LastView::Current(view)), LaneEvent::Usable)
            | (Self::Refresh(_), LaneEvent::Reread(view)) => Self::Recheck(view),
            (Self::Refresh(_), LaneEvent::TooOld(view))
            | (
                Self::Recheck(view) | Self::Prepare(view, _) | Self::Confirm(view, _),
                LaneEvent::Outdated,
            )
            | (Self::Prepare(view, _), LaneEvent::Late) => Self::Refresh(LastView::Outdated(view)),
            (Self::Refresh(last), LaneEvent::NotReread) => Self::Refresh(last.outdated()),
            (Self::Recheck(view), LaneEvent::Ready(steps)) => Self::Prepare(view, steps),
            (Self::Prepare(view, _), LaneEvent::Prepared(steps)) => Self::Send(view, steps),
            (Self::Send(view, _), LaneEvent::Sent(answers)) => Self::Confirm(view, answers),
            (Self::Send(view, _), LaneEvent::NothingSent)
            | (Self::Confirm(view, _), LaneEvent::Confirmed) => {
                Self::Refresh(LastView::Current(view))
            }
            (Self::Refresh(_), LaneEvent::Ended)
            // An event that does not belong to its state would be a fault of
            // this program. The lane then sends nothing more.
            | (
                Self::Refresh(_)
                | Self::Recheck(_)
                | Self::Prepare(..)
                | Self::Send(..)
                | Self::Confirm(..)
                | Self::Done,
                _,
            ) => Self::Done,
        }
    }
}

impl<'p> Sweep<'_, 'p> {
    /// Carries out the steps of a lane.
    pub(super) async fn run_lane(&self, mut lane: Lane, first: &Findings<'p>) {
        // A plan file may be older than this run's audit.
        let all = lane.pending.clone();
        self.recheck(&mut lane, first, &all, UndecidedAction::Wait)
            .await;
        let mut state = LaneState::Refresh(LastView::Audit);
        loop {
            let event = match &mut state {
                LaneState::Refresh(last) => self.refresh(&mut lane, last, first).await,
                LaneState::Recheck(view) => self.choose(&mut lane, view).await,
                LaneState::Prepare(view, steps) => self.prepare(&mut lane, view, steps).await,
                LaneState::Send(view, steps) => self.send(&mut lane, view, steps).await,
                LaneState::Confirm(_, answers) => {
                    let answers = std::mem::take(answers);
                    self.confirm(&mut lane, answers).await
                }
                LaneState::Done => return,
            };
            state = state.next(event);
        }
    }

    /// Ends the lane, or returns a view that is fresh enough for the next steps.
    async fn refresh(
        &self,
        lane: &mut Lane,
        last: &LastView<Findings<'p>>,
        first: &Findings<'p>,
    ) -> LaneEvent<Findings<'p>> {
        self.block(lane);
        let Some(&step) = lane.pending.first() else {
            return LaneEvent::Ended;
        };
        if let Some(done) = self.given_up(lane, step) {
            self.give_up(lane, &done).await;
            return LaneEvent::Ended;
        }
        if self.waits_for_others(lane) {
            tokio::select! {
                biased;
                () = self.stop.asked() => {}
                () = tokio::time::sleep(self.left()) => {}
                () = self.ledger.next_outcome() => {}
            }
            return LaneEvent::NotReread;
        }
        if matches!(last, LastView::Current(view) if self.is_young(view)) {
            return LaneEvent::Usable;
        }
        // A re-read that has to wait for the quota would be too old when it
        // ends.
        let api = self.ids[step].kind.api;
        let wait = self.survey.client.wait_for(api, lane.reread_requests);
        let wait = wait.min(self.left());
        tokio::select! {
            biased;
            () = self.stop.asked() => return LaneEvent::NotReread,
            () = tokio::time::sleep(wait) => {}
        }
        self.reread(lane, last.view().unwrap_or(first), api).await
    }

    /// Re-reads what the pending steps of a lane depend on.
    async fn reread(
        &self,
        lane: &mut Lane,
        before: &Findings<'p>,
        api: Api,
    ) -> LaneEvent<Findings<'p>> {
        let of = lane.pending.iter().map(|&step| self.ids[step].clone());
        let of: Vec<_> = of.collect();
        let (throttled, spent) = (self.throttled(api), self.spent(api));
        let to_delete = self.ledger.to_delete(&self.ids);
        let own = self.ledger.own_changes();
        let view = self.survey.refresh(before, &of, to_delete, &own).await;
        let requests = self.spent(api).saturating_sub(spent);
        lane.reread_requests = usize::try_from(requests).unwrap_or(usize::MAX);
        if self.is_young(&view) {
            return LaneEvent::Reread(view);
        }
        let mut pending = lane.pending.iter();
        let unread = pending.find_map(|&step| self.unreadable(&view, step));
        let for_the_quota = !self.survey.client.wait(api).is_zero();
        lane.without_effect.push(match unread {
            _ if self.throttled(api) > throttled => Setback::Throttled.without_effect(),
            _ if for_the_quota => Setback::Withheld.without_effect(),
            Some(why) => Done::new(
                Outcome::FailedForNow,
                format!("it could not be re-read: {why}"),
            ),
            None => Done::new(
                Outcome::FailedForNow,
                "re-reading takes longer than --reread-after allows; raise it, or \
                 --quota-share where the run waits for the quota",
            ),
        });
        LaneEvent::TooOld(view)
    }

    /// Settles steps that must not run, and returns those that may run now.
    async fn choose(&self, lane: &mut Lane, view: &Findings<'p>) -> LaneEvent<Findings<'p>> {
        // A resource that is in use again, or gone, is settled whatever it
        // waits for.
        let all = lane.pending.clone();
        let of_all = self.recheck(lane, view, &all, UndecidedAction::Wait).await;
        self.block(lane);
        let ready = self.ready(lane);
        let Rechecked { go, outdated } = self
            .recheck(lane, view, &ready, UndecidedAction::Settle)
            .await;
        // A resource that now stays keeps what it uses. This view assumed that
        // it would be deleted, so it has to be re-read.
        if outdated || of_all.outdated {
            return LaneEvent::Outdated;
        }
        LaneEvent::Ready(go)
    }

    /// Settles steps that cannot succeed, and backs up the resources of the
    /// others.
    async fn prepare(
        &self,
        lane: &mut Lane,
        view: &Findings<'p>,
        steps: &[usize],
    ) -> LaneEvent<Findings<'p>> {
        let mut outdated = false;
        let (feasible, infeasible) = self.feasible(lane, view, steps).await;
        for (step, why) in infeasible {
            outdated |= self.judge(lane, step, Settled::Done(why));
        }
        let (kept, unkept) = self.keep(lane, feasible).await;
        for (step, why) in unkept {
            let done = Done::new(Outcome::FailedForNow, why);
            outdated |= self.judge(lane, step, Settled::Done(done));
        }
        if outdated {
            return LaneEvent::Outdated;
        }
        // Backups may take longer than the view stays fresh.
        if !self.is_young(view) {
            return LaneEvent::Late;
        }
        LaneEvent::Prepared(kept)
    }

    /// Journals intents, then sends the requests.
    async fn send(
        &self,
        lane: &mut Lane,
        view: &Findings<'p>,
        steps: &mut [ReadyStep],
    ) -> LaneEvent<Findings<'p>> {
        self.set_expiries(lane, steps);
        if steps.is_empty() || !self.ledger.write(&self.intents(view, steps)) {
            lane.without_effect.clear();
            return LaneEvent::NothingSent;
        }
        LaneEvent::Sent(self.send_all(view, steps).await)
    }

    /// Looks up the resources of steps that were sent, and records outcomes.
    async fn confirm(
        &self,
        lane: &mut Lane,
        answers: Vec<(usize, SendResult)>,
    ) -> LaneEvent<Findings<'p>> {
        let settled = self.look_at(answers).await;
        match without_effect(&settled) {
            Some(done) => lane.without_effect.push(done),
            None => lane.without_effect.clear(),
        }
        let mut outdated = false;
        for (step, settled) in settled {
            outdated |= self.judge(lane, step, settled);
        }
        if outdated {
            LaneEvent::Outdated
        } else {
            LaneEvent::Confirmed
        }
    }

    /// Returns the outcome of all pending steps of a lane that starts no more
    /// steps. `step` is one of them.
    fn given_up(&self, lane: &Lane, step: usize) -> Option<Done> {
        if let Some(done) = self.halt(step) {
            return Some(done);
        }
        let last = lane.without_effect.last()?;
        (lane.without_effect.len() >= ROUNDS).then(|| last.clone())
    }

    /// Settles all pending steps of a lane that starts no more steps.
    async fn give_up(&self, lane: &mut Lane, done: &Done) {
        let unconfirmed = std::mem::take(&mut lane.unconfirmed);
        let pending = unconfirmed.into_iter();
        let pending = pending.filter(|(step, _)| lane.pending.contains(step));
        let seen = self.look_at_unconfirmed(pending.collect()).await;
        for (step, settled) in seen {
            self.judge(lane, step, settled);
        }
        for step in std::mem::take(&mut lane.pending) {
            let done = match lane.tries.get(&step) {
                Some((1.., failed)) => {
                    let why = format!("{failed}; {}", done.reason);
                    Done::new(Outcome::FailedForNow, why)
                }
                _ => done.clone(),
            };
            self.settle(step, done);
        }
    }

    /// Settles steps that wait for a step that ended without a deletion.
    fn block(&self, lane: &mut Lane) {
        loop {
            let blocked = lane.pending.iter().copied().find_map(|step| {
                let mut after = self.steps[step].after.iter().copied();
                after.find_map(|other| {
                    let outcome = self.ledger.outcome(other)?;
                    (!outcome.is_gone()).then_some((step, other, outcome))
                })
            });
            let Some((step, stuck, outcome)) = blocked else {
                return;
            };
            lane.pending.retain(|one| *one != step);
            let reason = format!("waits for {} ({outcome})", self.ids[stuck]);
            let done = Done::new(Outcome::Deferred, reason);
            self.settle(step, lane.with_doubt(step, done));
        }
    }

    /// Returns whether every pending step waits for steps of other lanes.
    fn waits_for_others(&self, lane: &Lane) -> bool {
        let waiting = self.waiting_for_others(lane);
        !lane.pending.is_empty() && waiting.len() == lane.pending.len()
    }

    /// Returns the pending steps that wait, directly or through others of the
    /// lane, for a step of another lane that has not ended.
    fn waiting_for_others(&self, lane: &Lane) -> BTreeSet<usize> {
        let pending: BTreeSet<usize> = lane.pending.iter().copied().collect();
        let is_open = |other: usize| {
            other < self.steps.len()
                && !pending.contains(&other)
                && self.ledger.outcome(other).is_none()
        };
        let mut waiting = BTreeSet::new();
        loop {
            let more = pending.iter().copied().find(|&step| {
                let mut after = self.steps[step].after.iter().copied();
                !waiting.contains(&step)
                    && after.any(|other| is_open(other) || waiting.contains(&other))
            });
            match more {
                Some(step) => waiting.insert(step),
                None => return waiting,
            };
        }
    }

    /// Returns the pending steps of the first kind whose predecessors are
    /// deleted; one at a time if the provider requires it.
    fn ready(&self, lane: &Lane) -> Vec<usize> {
        let waiting = self.waiting_for_others(lane);
        let pending: BTreeSet<usize> = lane.pending.iter().copied().collect();
        let candidates = lane.pending.iter().copied();
        let candidates: Vec<usize> = candidates.filter(|step| !waiting.contains(step)).collect();
        let is_free = |step: &usize| {
            let mut after = self.steps[*step].after.iter();
            after.all(|one| !pending.contains(one))
        };
        let mut ready: Vec<usize> = candidates.iter().copied().filter(is_free).collect();
        // Steps whose order changed may wait for each other: then the provider
        // decides.
        if ready.is_empty() {
            ready = candidates;
        }
        let order = |step: usize| {
            let kinds = self.survey.input.graph.kinds().iter();
            kinds
                .take_while(|kind| **kind != self.ids[step].kind)
                .count()
        };
        let first = ready.iter().map(|step| order(*step)).min();
        ready.retain(|step| Some(order(*step)) == first);
        let serial = ready
            .first()
            .is_some_and(|&step| self.ids[step].kind.serial);
        if serial {
            ready.truncate(1);
        }
        ready
    }

    /// Applies the result of a step's request, which may end the step. Returns
    /// whether the view is outdated by it.
    fn judge(&self, lane: &mut Lane, step: usize, sent: Settled) -> bool {
        let tries = lane.tries.entry(step).or_default();
        let done = match sent {
            Settled::Waits {
                setback: Setback::Unconfirmed,
                reason,
            } => {
                self.note(step, &Done::new(Outcome::InDoubt, reason.clone()));
                lane.unconfirmed.insert(step, reason);
                return true;
            }
            Settled::Done(done) => done,
            Settled::Waits { setback, reason } => {
                if setback == Setback::Interrupted {
                    self.ledger.record_part(step, reason.clone());
                }
                if setback == Setback::Failed {
                    *tries = (tries.0 + 1, reason.clone());
                }
                if tries.0 < TRIES {
                    self.note(step, &Done::new(Outcome::Deferred, reason));
                    return true;
                }
                Done::new(Outcome::FailedForNow, reason)
            }
        };
        lane.pending.retain(|one| *one != step);
        lane.backups.remove(&step);
        // A resource whose deletion failed stays, and so does everything that
        // it uses.
        let outdated = !done.outcome.is_gone();
        self.settle(step, done);
        outdated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state or event with a name, and how to make it.
    type Named<T> = (&'static str, fn() -> T);

    const STATES: [Named<LaneState<u8>>; 8] = [
        ("Refresh, audit", || LaneState::Refresh(LastView::Audit)),
        ("Refresh, outdated", || {
            LaneState::Refresh(LastView::Outdated(1))
        }),
        ("Refresh, current", || {
            LaneState::Refresh(LastView::Current(1))
        }),
        ("Recheck", || LaneState::Recheck(1)),
        ("Prepare", || LaneState::Prepare(1, Vec::new())),
        ("Send", || LaneState::Send(1, Vec::new())),
        ("Confirm", || LaneState::Confirm(1, Vec::new())),
        ("Done", || LaneState::Done),
    ];

    const EVENTS: [Named<LaneEvent<u8>>; 12] = [
        ("Ended", || LaneEvent::Ended),
        ("Usable", || LaneEvent::Usable),
        ("Reread", || LaneEvent::Reread(2)),
        ("TooOld", || LaneEvent::TooOld(2)),
        ("NotReread", || LaneEvent::NotReread),
        ("Outdated", || LaneEvent::Outdated),
        ("Ready", || LaneEvent::Ready(Vec::new())),
        ("Late", || LaneEvent::Late),
        ("Prepared", || LaneEvent::Prepared(Vec::new())),
        ("NothingSent", || LaneEvent::NothingSent),
        ("Sent", || LaneEvent::Sent(Vec::new())),
        ("Confirmed", || LaneEvent::Confirmed),
    ];

    /// Returns the name of a state with its view: 1 is the earlier one.
    fn described(state: &LaneState<u8>) -> String {
        let (name, view) = match state {
            LaneState::Refresh(LastView::Audit) => ("Refresh, audit", None),
            LaneState::Refresh(LastView::Outdated(view)) => ("Refresh, outdated", Some(view)),
            LaneState::Refresh(LastView::Current(view)) => ("Refresh, current", Some(view)),
            LaneState::Recheck(view) => ("Recheck", Some(view)),
            LaneState::Prepare(view, _) => ("Prepare", Some(view)),
            LaneState::Send(view, _) => ("Send", Some(view)),
            LaneState::Confirm(view, _) => ("Confirm", Some(view)),
            LaneState::Done => ("Done", None),
        };
        view.map_or(name.to_owned(), |view| format!("{name} {view}"))
    }

    /// All transitions; every other event ends a lane.
    #[test]
    fn a_request_is_sent_only_with_a_view_that_was_checked_and_prepared() {
        let mut transitions = Vec::new();
        for (from, state) in STATES {
            for (event_name, event) in EVENTS {
                let next = described(&state().next(event()));
                if next != "Done" {
                    transitions.push(format!("{from} -- {event_name} -> {next}"));
                }
            }
        }
        let expected = [
            "Refresh, audit -- Reread -> Recheck 2",
            "Refresh, audit -- TooOld -> Refresh, outdated 2",
            "Refresh, audit -- NotReread -> Refresh, audit",
            "Refresh, outdated -- Reread -> Recheck 2",
            "Refresh, outdated -- TooOld -> Refresh, outdated 2",
            "Refresh, outdated -- NotReread -> Refresh, outdated 1",
            "Refresh, current -- Usable -> Recheck 1",
            "Refresh, current -- Reread -> Recheck 2",
            "Refresh, current -- TooOld -> Refresh, outdated 2",
            "Refresh, current -- NotReread -> Refresh, outdated 1",
            "Recheck -- Outdated -> Refresh, outdated 1",
            "Recheck -- Ready -> Prepare 1",
            "Prepare -- Outdated -> Refresh, outdated 1",
            "Prepare -- Late -> Refresh, outdated 1",
            "Prepare -- Prepared -> Send 1",
            "Send -- NothingSent -> Refresh, current 1",
            "Send -- Sent -> Confirm 1",
            "Confirm -- Outdated -> Refresh, outdated 1",
            "Confirm -- Confirmed -> Refresh, current 1",
        ];
        assert_eq!(transitions, expected);
    }
}
