//! Sends the requests of a batch, and settles each step by re-reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::{Method, Response, StatusCode};
use bytes::Bytes;
use chrono::SubsecRound as _;
use futures::future::join_all;
use tokio::time::Instant;

use super::confirm::{Expected, LookupResult};
use super::lane::Lane;
use super::ready_step::{ReadyStep, Unbind};
use super::setback::{Setback, Settled};
use super::{Done, Proof, Sweep, expiry};
use crate::call::Call;
use crate::format::size;
use crate::gc::Outcome;
use crate::journal::{self, Implied, JournalEntry, Snapshot};
use crate::kind::{Batch, DeletionRefusal, NextPage, PageOf};
use crate::model::{Place, ResourceId};
use crate::policy::Action;
use crate::providers;
use crate::survey::Findings;
use crate::wire::{ApiError, RequestFailure, WriteResult, error};

/// The reason of a step whose resource is gone after its request.
const SEEN_GONE: &str = "re-reading shows that it is gone";

/// Maximum number of pages that are read of what a resource contains.
const CONTENTS_PAGES: usize = 10;

/// The answer to a request.
#[derive(Clone)]
pub(super) enum SendResult {
    /// It was accepted.
    Accepted,
    /// Nothing has that id.
    NotThere(String),
    /// It was refused.
    Refused(Outcome, String),
    /// It was refused, but not in words of the API that show the resource: what
    /// answered may stand between us and a provider that carried it out.
    Denied(Outcome, String),
    /// It was refused because a required earlier request is missing.
    Premature(String),
    /// It was sent, and its effect is unknown.
    Lost(String),
    /// It was sent, and the run ended before it was answered: it may still take
    /// effect.
    CutOff(String),
    /// It certainly had no effect.
    NotSent(ApiError),
    /// The run ended before it was sent, for this reason.
    Withheld(&'static str),
}

impl SendResult {
    /// The same for a request that precedes the step's own: it says nothing about
    /// the step's resource.
    fn of_another_request(self) -> Self {
        match self {
            Self::Denied(outcome, why) => Self::Refused(outcome, why),
            Self::CutOff(why) => Self::Refused(Outcome::FailedForNow, why),
            answer => answer,
        }
    }
}

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

    /// Returns how much the resource of a step contains, where its kind is only
    /// deleted empty and this can be read.
    async fn contents(&self, step: usize) -> Option<String> {
        let contents = self.kind(step)?.contents()?;
        let (mut objects, mut bytes, mut page) = (0, 0, PageOf::First);
        for _ in 0..CONTENTS_PAGES {
            let call = contents.page(&self.ids[step], &page);
            let read = contents
                .read(&self.finishing.send(&call).await.ok()?)
                .ok()?;
            objects += read.objects;
            bytes += read.bytes;
            match read.next {
                NextPage::After(cursor) => page = PageOf::Cursor(cursor),
                NextPage::Last | NextPage::More | NextPage::Pages(_) => {
                    let noun = if objects == 1 { "object" } else { "objects" };
                    return Some(format!("{objects} {noun} ({})", size(bytes)));
                }
            }
        }
        Some(format!("more than {objects} objects ({})", size(bytes)))
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
            match self.send_one(step, &unbind.call, needs, not_after).await {
                SendResult::Accepted => done.push(unbind.written()),
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
        let mut answer = self.send_one(step, &call, needs, not_after).await;
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
        if !before.is_empty() {
            answer = self.send_one(step, &call, needs, not_after).await;
        }
        with_what_was_done(answer, &done)
    }

    /// Sends one request of a step; `needs` is the permission for it.
    async fn send_one(
        &self,
        step: usize,
        call: &Call,
        needs: &str,
        not_after: Instant,
    ) -> SendResult {
        if let Some(why) = self.ended() {
            return SendResult::Withheld(why);
        }
        match self.survey.client.write(call, not_after).await {
            WriteResult::NotSent(error) => SendResult::NotSent(error),
            WriteResult::Lost(error) if self.left().is_zero() => {
                SendResult::CutOff(error.to_string())
            }
            WriteResult::Lost(error) => SendResult::Lost(error.to_string()),
            WriteResult::Answered(response) => {
                // Age alone does not prove that a resource is unused.
                let may = !response.status().is_success() && self.steps[step].by_event;
                let kind = self.kind(step).filter(|_| may);
                let forced = kind.and_then(|kind| {
                    let obstacles = kind.obstacles()?;
                    obstacles.delete_with_force(&self.ids[step], response.status(), response.body())
                });
                match forced.filter(|forced| forced != call) {
                    Some(forced) => Box::pin(self.send_one(step, &forced, needs, not_after)).await,
                    None => self.answer(step, call, needs, &response),
                }
            }
        }
    }

    fn answer(
        &self,
        step: usize,
        call: &Call,
        needs: &str,
        response: &Response<Bytes>,
    ) -> SendResult {
        let status = response.status();
        if call.method == Method::DELETE && providers::of(call.api).found_nothing(status) {
            return SendResult::NotThere("the provider says that it is not there".to_owned());
        }
        if status.is_success() {
            return error::denial(call.api, response).map_or(SendResult::Accepted, |message| {
                let why = format!("answered {status} with a failure inside: {message}");
                SendResult::Denied(Outcome::FailedForNow, why)
            });
        }
        let failure = error::refusal(call.api, response);
        let error = self.survey.client.error(&call.into(), failure);
        if status == StatusCode::LOCKED {
            // Another operation was in progress, so this one was not started.
            return SendResult::NotSent(error);
        }
        let message = error.to_string();
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => SendResult::NotThere(message),
            // No request of such a token has an effect, and none can be answered.
            StatusCode::UNAUTHORIZED => SendResult::Refused(
                Outcome::FailedForGood,
                format!("{message}; it needs {needs}"),
            ),
            StatusCode::FORBIDDEN => SendResult::Denied(
                Outcome::FailedForGood,
                format!("{message}; it needs {needs}"),
            ),
            status if status.is_server_error() => SendResult::Lost(message),
            status => {
                let kind = self.kind(step);
                match kind.map(|kind| kind.refusal(status, response.body())) {
                    // A resource that refuses an expiry once always refuses it.
                    Some(DeletionRefusal::Premature(hint) | DeletionRefusal::Blocked(hint))
                        if self.action(step) == Action::Expire =>
                    {
                        SendResult::Refused(
                            Outcome::FailedForGood,
                            format!("{hint}, before it can be given an expiry ({message})"),
                        )
                    }
                    Some(DeletionRefusal::Premature(hint)) => {
                        SendResult::Premature(format!("{hint} ({message})"))
                    }
                    // Nothing in this run can change that.
                    Some(DeletionRefusal::Blocked(hint)) => {
                        SendResult::Refused(Outcome::FailedForNow, format!("{hint} ({message})"))
                    }
                    Some(DeletionRefusal::Final(Some(hint))) => {
                        SendResult::Refused(Outcome::FailedForGood, format!("{hint} ({message})"))
                    }
                    // Something else was in progress.
                    _ if matches!(status, StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT) => {
                        SendResult::Denied(Outcome::FailedForNow, message)
                    }
                    Some(DeletionRefusal::Final(None)) | None => {
                        SendResult::Denied(Outcome::FailedForGood, message)
                    }
                }
            }
        }
    }

    /// Returns the intents of a batch, each with a snapshot of its resource.
    pub(super) fn intents(&self, view: &Findings<'_>, batch: &[ReadyStep]) -> Vec<JournalEntry> {
        let at = self.survey.client.clock().now();
        let intent = |ready: &ReadyStep| {
            let step = ready.step;
            let id = &self.ids[step];
            let host = self.survey.client.host(id.kind.api).unwrap_or_default();
            let mut copy = view
                .find(id)
                .map_or_else(Snapshot::default, |(resource, _)| Snapshot::of(resource));
            copy.uses = view.uses(id);
            let before = self.before(view, step);
            let paths = before
                .iter()
                .map(|(call, _)| format!("{} {}", call.method, call.path));
            let unbinds = ready.unbinds.iter().map(Unbind::written);
            copy.before = unbinds.chain(paths).collect();
            copy.expires_at = ready.expires_at;
            copy.held.clone_from(&ready.backup);
            if self.action(step) == Action::Delete {
                copy.implied = self.implied(view, step);
            }
            JournalEntry::Intent {
                step,
                at,
                action: self.action(step),
                resource: journal::JournaledResource::of(id, host),
                copy: Box::new(copy),
            }
        };
        batch.iter().map(intent).collect()
    }

    /// Returns what the provider removes with a step's resource: as it is now,
    /// and what only the first audit of the run showed.
    fn implied(&self, view: &Findings<'_>, step: usize) -> Vec<Implied> {
        // A resource with its own step has its own intent.
        let has_step = |one: &Implied| {
            let is =
                |id: &ResourceId| *id.kind.name() == *one.kind && Some(&id.id) == one.id.as_ref();
            self.ids.iter().any(is)
        };
        let mut implied = view.implied(&self.ids[step]);
        implied.retain(|one| !has_step(one));
        let first = self.implied.get(step);
        for one in first.into_iter().flatten().filter(|one| !has_step(one)) {
            let known = implied.iter_mut().find(|now| {
                let same_id = now.id.is_none() || now.id == one.id;
                now.kind == one.kind && now.name == one.name && same_id
            });
            match known {
                None => implied.push(one.clone()),
                Some(now) => {
                    now.id = now.id.take().or_else(|| one.id.clone());
                    match (&mut now.copy, &one.copy) {
                        (Some(copy), Some(first)) if copy.implied.is_empty() => {
                            copy.implied.clone_from(&first.implied);
                        }
                        (copy @ None, first) => copy.clone_from(first),
                        _ => {}
                    }
                }
            }
        }
        implied
    }

    /// Returns the requests that must precede a step's own request, each with
    /// the permission that it needs.
    fn before(&self, view: &Findings<'_>, step: usize) -> Vec<(Call, &'static str)> {
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

/// Turns a step without effect into a failure if earlier requests were already
/// sent for it, and names them.
fn with_what_was_done(answer: SendResult, done: &[String]) -> SendResult {
    let (outcome, why) = match answer {
        SendResult::Denied(outcome, why) if !done.is_empty() => {
            let done = done.join(", ");
            return SendResult::Denied(outcome, format!("{why}; done for it before: {done}"));
        }
        SendResult::Premature(why) => (Outcome::FailedForNow, why),
        SendResult::Refused(outcome, why) => (outcome, why),
        SendResult::NotSent(error) if !done.is_empty() => {
            (Outcome::FailedForNow, error.to_string())
        }
        SendResult::Withheld(why) if !done.is_empty() => (Outcome::FailedForNow, why.to_owned()),
        answer => return answer,
    };
    if done.is_empty() {
        return SendResult::Refused(outcome, why);
    }
    let done = done.join(", ");
    SendResult::Refused(
        outcome,
        format!("{why}; requests sent for it before: {done}"),
    )
}

/// Combines an answer and the read after it into a result.
fn settled(action: Action, answer: SendResult, seen: Option<LookupResult>) -> Settled {
    let done = |outcome, reason: &str| Settled::Done(Done::new(outcome, reason));
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
        (SendResult::NotSent(error), _) => Settled::Waits {
            setback: match error.failure {
                RequestFailure::Withheld { .. } => Setback::Withheld,
                RequestFailure::Throttled { .. } => Setback::Throttled,
                RequestFailure::Deadline | RequestFailure::Outdated => Setback::Late,
                _ => Setback::Failed,
            },
            reason: error.to_string(),
        },
        (SendResult::Withheld(why), _) => Settled::Waits {
            setback: Setback::Withheld,
            reason: why.to_owned(),
        },
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
