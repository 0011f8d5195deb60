//! Sends the requests of a batch: together where the API allows that, and each with
//! the requests that have to precede it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::SubsecRound as _;
use futures::future::join_all;
use tokio::time::Instant;

use super::answer::{SendResult, with_what_was_done};
use super::lane::Lane;
use super::ready_step::{ReadyStep, Unbind};
use super::{Sweep, expiry};
use crate::call::Call;
use crate::gc::Outcome;
use crate::kind::Batch;
use crate::model::{Place, Resource, ResourceId};
use crate::policy::Action;
use crate::providers;
use crate::survey::Findings;
use crate::wire::WriteResult;

impl Sweep<'_, '_> {
    /// Determines the expiry of each step that sets one: one that its provider
    /// can represent exactly, and the same however often the step is tried.
    pub(super) fn set_expiries(&self, lane: &mut Lane, steps: &mut [ReadyStep]) {
        let expiring = steps.iter_mut();
        for ready in expiring.filter(|one| self.action(one.step) == Action::Expire) {
            let known = lane.expiries.entry(ready.step);
            let at = known.or_insert_with(|| expiry(&self.survey.client).trunc_subsecs(0));
            ready.expires_at = Some(*at);
        }
    }

    /// Sends all requests of a batch, as many together as the API allows, while
    /// the view is fresh.
    pub(super) async fn send_all(
        &self,
        view: &Findings<'_>,
        batch: &[ReadyStep],
    ) -> Vec<(usize, SendResult)> {
        let mut by_place: BTreeMap<(bool, &Arc<Place>), Vec<&ReadyStep>> = BTreeMap::new();
        for ready in batch {
            let deletes = self.action(ready.step) == Action::Delete;
            let place = &self.ids[ready.step].place;
            by_place.entry((deletes, place)).or_default().push(ready);
        }
        let mut batches = Vec::new();
        for ((deletes, _), steps) in by_place {
            let kind = steps.first().and_then(|ready| self.kind(ready.step));
            let maximum = kind.filter(|_| deletes).and_then(|kind| kind.batch());
            let maximum = maximum.map_or(1, Batch::maximum);
            batches.extend(steps.chunks(maximum.max(1)).map(<[_]>::to_vec));
        }
        let batches = batches.into_iter();
        let answers = join_all(batches.map(|batch| self.send_together(view, batch))).await;
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        answers.sort_by_key(|(step, _)| *step);
        answers
    }

    /// Sends a batch in one request, or one by one if it is refused.
    async fn send_together(
        &self,
        view: &Findings<'_>,
        batch: Vec<&ReadyStep>,
    ) -> Vec<(usize, SendResult)> {
        let not_after = view.since + self.reread_after;
        if batch.len() > 1
            && let Some(kind) = self.kind(batch[0].step)
        {
            let ids: Vec<&ResourceId> = batch.iter().map(|one| &self.ids[one.step]).collect();
            if let Some(together) = kind.batch() {
                let call = together.delete(&ids[0].place, &ids);
                let needs = kind.about().0.write_permission;
                let answer = self.send_one(batch[0].step, &call, needs, not_after).await;
                if !matches!(
                    answer,
                    SendResult::Refused(..)
                        | SendResult::Denied(..)
                        | SendResult::Premature(_)
                        | SendResult::NotThere(_)
                ) {
                    return batch
                        .into_iter()
                        .map(|ready| (ready.step, answer.clone()))
                        .collect();
                }
            }
        }
        let mut answers = Vec::new();
        for ready in batch {
            let answer = match self.call(ready) {
                Some(call) => self.send_in_order(view, ready, call, not_after).await,
                None => SendResult::Refused(
                    Outcome::FailedForGood,
                    "this cannot be done to its kind".to_owned(),
                ),
            };
            answers.push((ready.step, answer));
        }
        answers
    }

    fn call(&self, ready: &ReadyStep) -> Option<Call> {
        let (kind, id) = (self.kind(ready.step)?, &self.ids[ready.step]);
        match self.action(ready.step) {
            Action::Delete => {
                let own = kind.delete_by_own_id(id).filter(|_| self.by_own_id);
                Some(own.unwrap_or_else(|| kind.delete(id)))
            }
            Action::Expire => Some(kind.expiry()?.set(id, ready.expires_at?)),
            Action::RemoveExpiry | Action::Report => None,
        }
    }

    /// Sends a step's request. Only if it is refused because a required earlier
    /// request is missing, sends that one and repeats the step's request.
    async fn send_in_order(
        &self,
        view: &Findings<'_>,
        ready: &ReadyStep,
        call: Call,
        not_after: Instant,
    ) -> SendResult {
        let step = ready.step;
        let needs = self.ids[step].kind.write_permission;
        let mut done = Vec::new();
        for unbind in &ready.unbinds {
            let answer = self.send_one(step, &unbind.call, needs, not_after).await;
            self.note_unbinding(step, unbind, &answer);
            match answer {
                SendResult::Accepted => done.push(self.unbound(unbind)),
                SendResult::Lost(why) | SendResult::NotThere(why) => {
                    let answer = SendResult::Refused(Outcome::FailedForNow, why);
                    return with_what_was_done(answer, &done);
                }
                answer => return with_what_was_done(answer.of_another_request(), &done),
            }
            if let Err(why) = self.changed(view, step, unbind).await {
                let answer = SendResult::Refused(Outcome::FailedForNow, why);
                return with_what_was_done(answer, &done);
            }
        }
        let mut answer = self.send_deletion(view, step, &call, not_after).await;
        if !matches!(answer, SendResult::Premature(_)) {
            return with_what_was_done(answer, &done);
        }
        let before = self.before(view, step);
        for (call, needs) in &before {
            let path = format!("{} {}", call.method, call.path);
            match self.send_one(step, call, needs, not_after).await {
                SendResult::Accepted => done.push(path),
                SendResult::NotThere(_) => {}
                SendResult::Lost(why) => {
                    answer = SendResult::Refused(Outcome::FailedForNow, why);
                    return with_what_was_done(answer, &done);
                }
                answer => return with_what_was_done(answer.of_another_request(), &done),
            }
        }
        let empties = self.steps[step].empty;
        if empties {
            match self.empty(view, step, needs, not_after).await {
                Ok(emptied) => done.push(format!("everything in it was deleted: {emptied}")),
                Err(answer) => return with_what_was_done(answer, &done),
            }
        }
        if empties || !before.is_empty() {
            answer = self.send_deletion(view, step, &call, not_after).await;
        }
        with_what_was_done(answer, &done)
    }

    /// Records that another resource has lost bindings: it does not work as before if it
    /// stays.
    fn note_unbinding(&self, step: usize, unbind: &Unbind, answer: &SendResult) {
        let was = match answer {
            SendResult::Accepted => "was",
            SendResult::Lost(_) | SendResult::CutOff(_) | SendResult::Throttled(_) => {
                "may have been"
            }
            _ => return,
        };
        let (names, used) = (unbind.removed.join(", "), &self.ids[step]);
        let part = format!(
            "its binding {names} to {used} {was} removed by this run and is not back; deploy it \
             again if it is to stay"
        );
        self.ledger.record_part(unbind.user, part);
    }

    /// Returns what was done to another resource, in words for people.
    fn unbound(&self, unbind: &Unbind) -> String {
        let (names, user) = (unbind.removed.join(", "), &self.ids[unbind.user]);
        format!("the binding {names} of {user} was removed and is not back")
    }

    /// Sends a step's own request, and the one that the provider asks for in a refusal,
    /// if that harms nothing else.
    async fn send_deletion(
        &self,
        view: &Findings<'_>,
        step: usize,
        call: &Call,
        not_after: Instant,
    ) -> SendResult {
        let needs = self.ids[step].kind.write_permission;
        // Age alone does not prove that a resource is unused.
        let seen = view.find(&self.ids[step]).map(|(resource, _)| resource);
        let seen = seen.filter(|_| self.steps[step].by_event);
        self.send_as_seen(seen, step, (call, needs), not_after)
            .await
    }

    /// Sends one request of a step; `needs` is the permission for it.
    pub(super) async fn send_one(
        &self,
        step: usize,
        call: &Call,
        needs: &str,
        not_after: Instant,
    ) -> SendResult {
        self.send_as_seen(None, step, (call, needs), not_after)
            .await
    }

    /// Sends a request. After a refusal, the resource that was seen may be deleted with
    /// force.
    async fn send_as_seen(
        &self,
        seen: Option<&Resource>,
        step: usize,
        (call, needs): (&Call, &str),
        not_after: Instant,
    ) -> SendResult {
        if let Some(why) = self.ended() {
            return SendResult::Withheld(why);
        }
        match self.survey.client.write(call, not_after).await {
            WriteResult::NotSent(error) => SendResult::NotSent(error),
            WriteResult::Throttled(error) => SendResult::Throttled(error),
            WriteResult::Lost(error) if self.left().is_zero() => {
                SendResult::CutOff(error.to_string())
            }
            WriteResult::Lost(error) => SendResult::Lost(error.to_string()),
            WriteResult::Answered(response) => {
                let seen = seen.filter(|_| !response.status().is_success());
                let obstacles = self.kind(step).and_then(|kind| kind.obstacles());
                let forced = seen.zip(obstacles).and_then(|(seen, obstacles)| {
                    obstacles.delete_with_force(seen, response.status(), response.body())
                });
                match forced {
                    Some(forced) => {
                        Box::pin(self.send_as_seen(None, step, (&forced, needs), not_after)).await
                    }
                    None => self.answer(step, call, needs, &response),
                }
            }
        }
    }

    /// Returns the requests that must precede a step's own request, each with
    /// the permission that it needs.
    pub(super) fn before(&self, view: &Findings<'_>, step: usize) -> Vec<(Call, &'static str)> {
        let id = &self.ids[step];
        if self.action(step) != Action::Delete {
            return Vec::new();
        }
        // Resources that stay are never changed.
        let holders = view
            .linked(id)
            .filter(|holder| self.will_be_deleted(view, holder));
        let released = holders.filter_map(|holder| {
            let kind = providers::by_name(holder.kind.name())?;
            let needs = holder.kind.write_permission;
            let calls = kind.obstacles()?.release(holder, id).into_iter();
            Some(calls.map(move |call| (call, needs)))
        });
        let obstacles = self.kind(step).and_then(|kind| kind.obstacles());
        let prepared = obstacles.map(|obstacles| obstacles.prepare(id));
        let needs = id.kind.write_permission;
        let prepared = prepared.into_iter().flatten().map(|call| (call, needs));
        released.flatten().chain(prepared).collect()
    }
}
