//! Sweep: carries out a plan, and may only do less. Every step is read again,
//! written down, deleted by id, looked for, and written down again.
//!
//! Steps are grouped into lanes that need not wait for each other: one for
//! each provider, and one for each place whose provider carries out one
//! deletion at a time. Within a lane kinds go in their order, and a step waits
//! for those that have to be gone before it.

mod backup;
pub(crate) mod confirm;
mod feasible;
mod recheck;
pub mod recover;
mod send;
mod setback;
pub mod unexpire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use self::feasible::Unbind;
use self::setback::{Setback, Settled, in_vain};
use crate::evidence::Step;
use crate::gc::Outcome;
use crate::gc::plan_file::PlannedStep;
use crate::journal::{Entry, Implied, Journal, JournalError};
use crate::kinds::{self, Kind};
use crate::model::{Api, Place, ResourceId};
use crate::policy::Action;
use crate::survey::{Findings, OwnChanges, Survey};
use crate::wire::Client;

/// How often a step is tried whose answer was lost.
const TRIES: u32 = 3;

/// How many rounds in a row may look without anything being sent: looking alone
/// uses up the quota.
const ROUNDS: usize = 3;

/// How long a branch lives on that gets an expiry instead of being deleted: a
/// day in which anybody can lift it.
const EXPIRY: TimeDelta = TimeDelta::hours(24);

/// The expiry that is set now. The provider carries it out by its own clock:
/// a machine whose clock is behind must not leave less time than it says.
fn expiry(client: &Client) -> DateTime<Utc> {
    client.latest(client.clock().now()) + EXPIRY
}

/// How long what is under way may take after the run's deadline.
const FINISHING: Duration = Duration::from_mins(1);

/// Why a step counts as done whose request was simply accepted.
pub const SEEN_GONE: &str = "re-reading shows that it is gone";

/// Somebody's wish that no more steps are begun.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Begin no more steps.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether that was asked for.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until that is asked for.
    async fn asked(&self) {
        // There is a sender as long as somebody waits here.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

impl Done {
    /// What becomes of garbage beyond the cap.
    pub fn later() -> Self {
        Self {
            outcome: Outcome::Deferred,
            reason: "it is beyond --max-deletions, for a later run".to_owned(),
        }
    }
}

/// A plan that is carried out.
pub struct Sweep<'a, 'p> {
    survey: &'a Survey<'p>,
    /// The same way to the providers, with time to finish what is under way.
    finishing: Client,
    steps: &'a [PlannedStep],
    ids: Vec<ResourceId>,
    reread_after: Duration,
    journal: Mutex<Journal>,
    stop: Stop,
    done: Mutex<Vec<Option<Done>>>,
    /// What resources hold, kept once however often their step is tried.
    kept: Mutex<BTreeMap<usize, Value>>,
    /// How what is used by a step stops using it, as long as that step is not over.
    unbindings: Mutex<BTreeMap<usize, Vec<Unbind>>>,
    /// The expiry that steps give, from their intent on.
    expiries: Mutex<BTreeMap<usize, DateTime<Utc>>>,
    /// What this run changed that is still to be deleted.
    own: Mutex<OwnChanges>,
    /// What goes with the resource of each step, as the first reading shows it:
    /// later ones list only what decides.
    implied: OnceLock<Vec<Vec<Implied>>>,
    /// Why the journal could not be written: then nothing more is sent.
    broken: Mutex<Option<JournalError>>,
}

/// Steps that wait for nothing outside of their lane.
struct Lane<'p> {
    pending: Vec<usize>,
    /// How often steps were tried, and why the last time was in vain.
    tries: BTreeMap<usize, (u32, String)>,
    /// What the next steps rest on.
    view: Option<Findings<'p>>,
    /// Whether something happened that the view does not know.
    outdated: bool,
    /// The look before that.
    before: Option<Findings<'p>>,
    /// How many requests the last look took; before the first, those of the
    /// listings.
    look: usize,
    /// What each of the last rounds came to, as long as nothing could be sent.
    in_vain: Vec<Done>,
}

impl<'a, 'p> Sweep<'a, 'p> {
    /// A sweep of these steps, each with what it is about.
    pub fn new(
        survey: &'a Survey<'p>,
        steps: &'a [PlannedStep],
        ids: Vec<ResourceId>,
        reread_after: Duration,
        journal: Journal,
        stop: Stop,
    ) -> Self {
        Self {
            survey,
            finishing: survey.client.until(survey.client.deadline() + FINISHING),
            steps,
            done: Mutex::new(vec![None; steps.len()]),
            kept: Mutex::default(),
            unbindings: Mutex::default(),
            expiries: Mutex::default(),
            own: Mutex::default(),
            ids,
            reread_after,
            journal: Mutex::new(journal),
            stop,
            implied: OnceLock::new(),
            broken: Mutex::new(None),
        }
    }

    /// Carries the plan out; also why the journal could not be written to its
    /// end, if so. Nothing was sent after that.
    pub async fn run(self, first: &Findings<'p>) -> (Vec<Done>, Option<JournalError>) {
        let implied = self.ids.iter().map(|id| first.implied(id));
        let _ = self.implied.set(implied.collect());
        let mut planned: BTreeMap<&'static str, usize> = BTreeMap::new();
        for id in &self.ids {
            *planned.entry(id.kind.name()).or_default() += 1;
        }
        for (kind, steps) in planned {
            self.survey.observer.step(Step::Planned { kind, steps });
        }
        let mut lanes: BTreeMap<(Api, Option<Arc<Place>>), Vec<usize>> = BTreeMap::new();
        for (step, id) in self.ids.iter().enumerate() {
            let place = id.kind.serial.then(|| id.place.clone());
            lanes.entry((id.kind.api, place)).or_default().push(step);
        }
        join_all(lanes.into_iter().map(|((api, _), pending)| {
            let listings = first.inventory.listings.iter();
            let listings = listings.filter(|listing| listing.kind.api == api);
            let look = listings.map(|listing| listing.evidence.requests as usize);
            let lane = Lane {
                pending,
                tries: BTreeMap::new(),
                view: None,
                outdated: false,
                before: None,
                look: look.sum(),
                in_vain: Vec::new(),
            };
            self.lane(lane, first)
        }))
        .await;
        let broken = self.broken.into_inner();
        let broken = broken.unwrap_or_else(PoisonError::into_inner);
        let done = self.done.into_inner();
        let done = done.unwrap_or_else(PoisonError::into_inner);
        let never = || Done {
            outcome: Outcome::Deferred,
            reason: "it was not reached".to_owned(),
        };
        let done = done.into_iter().map(|one| one.unwrap_or_else(never));
        (done.collect(), broken)
    }

    async fn lane(&self, mut lane: Lane<'p>, first: &Findings<'p>) {
        // A plan may be older than what this run saw.
        let all = lane.pending.clone();
        self.recheck(&mut lane, first, &all, false).await;
        loop {
            self.block(&mut lane);
            if lane.pending.is_empty() {
                return;
            }
            if let Some(done) = self.given_up(&lane) {
                for step in lane.pending {
                    let (outcome, reason) = match lane.tries.get(&step) {
                        Some((1.., failed)) => {
                            (Outcome::FailedForNow, format!("{failed}; {}", done.reason))
                        }
                        _ => (done.outcome, done.reason.clone()),
                    };
                    self.settle(step, outcome, reason);
                }
                return;
            }
            let Some(view) = self.view(&mut lane, first).await else {
                continue;
            };
            // What is wanted again, or gone, is so whatever it waits for.
            let all = lane.pending.clone();
            self.recheck(&mut lane, &view, &all, false).await;
            self.block(&mut lane);
            let ready = self.ready(&lane);
            let batch = self.recheck(&mut lane, &view, &ready, true).await;
            // What turned out to stay keeps what it uses, and this view took it
            // for going: then it has to be looked at again.
            if !lane.outdated {
                let (batch, infeasible) = self.feasible(&view, batch).await;
                for (step, (outcome, why)) in infeasible {
                    self.judge(&mut lane, step, Settled::Done(outcome, why));
                }
                let (batch, unkept) = self.keep(batch).await;
                for (step, why) in unkept {
                    let settled = Settled::Done(Outcome::FailedForNow, why);
                    self.judge(&mut lane, step, settled);
                }
                // Keeping what they hold may take longer than the view stays young.
                if !lane.outdated && self.is_young(&view) {
                    let settled = self.batch(&view, batch).await;
                    match in_vain(&settled) {
                        Some(done) => lane.in_vain.push(done),
                        None => lane.in_vain.clear(),
                    }
                    for (step, settled) in settled {
                        self.judge(&mut lane, step, settled);
                    }
                }
            }
            lane.view = Some(view);
        }
    }

    /// What the next steps rest on, young enough; none when nothing could be
    /// read in time, and then the lane has to be looked at again.
    async fn view(&self, lane: &mut Lane<'p>, first: &Findings<'p>) -> Option<Findings<'p>> {
        let known = lane.view.take();
        if let Some(view) = known {
            if !lane.outdated && self.is_young(&view) {
                return Some(view);
            }
            lane.before = Some(view);
        }
        // A look that waits for the quota would be old before it ended, at its
        // beginning or in its midst.
        let api = self.ids[*lane.pending.first()?].kind.api;
        let wait = self.survey.client.wait_for(api, lane.look);
        let wait = wait.min(self.left());
        tokio::select! {
            biased;
            () = self.stop.asked() => return None,
            () = tokio::time::sleep(wait) => {}
        }
        let of = lane.pending.iter().map(|&step| self.ids[step].clone());
        let of: Vec<_> = of.collect();
        let before = lane.before.as_ref().unwrap_or(first);
        lane.outdated = false;
        let (throttled, spent) = (self.throttled(api), self.spent(api));
        let own = self.own_changes();
        let view = self.survey.again(before, &of, self.going(), &own).await;
        let look = self.spent(api).saturating_sub(spent);
        lane.look = usize::try_from(look).unwrap_or(usize::MAX);
        if self.is_young(&view) {
            return Some(view);
        }
        let mut pending = lane.pending.iter();
        let unread = pending.find_map(|&step| self.unreadable(&view, step));
        let for_the_quota =
            self.throttled(api) > throttled || !self.survey.client.wait(api).is_zero();
        lane.in_vain.push(match unread {
            _ if for_the_quota => Setback::Withheld.in_vain(),
            Some(why) => Done {
                outcome: Outcome::FailedForNow,
                reason: format!("it could not be re-read: {why}"),
            },
            None => Done {
                outcome: Outcome::FailedForNow,
                reason: "re-reading takes longer than --reread-after allows; raise it, or \
                    --quota-share where the run waits for the quota"
                    .to_owned(),
            },
        });
        lane.before = Some(view);
        None
    }

    /// What becomes of everything in a lane in which no more steps are begun.
    fn given_up(&self, lane: &Lane<'_>) -> Option<Done> {
        if let Some(reason) = self.halt(*lane.pending.first()?) {
            let outcome = Outcome::Deferred;
            return Some(Done { outcome, reason });
        }
        let last = lane.in_vain.last()?;
        (lane.in_vain.len() >= ROUNDS).then(|| last.clone())
    }

    /// How often a provider has asked to wait.
    fn throttled(&self, api: Api) -> u32 {
        let quotas = self.survey.client.quota_use();
        let quota = quotas.iter().find(|quota| quota.api == api);
        quota.map_or(0, |quota| quota.throttled)
    }

    /// How many requests were sent to a provider.
    fn spent(&self, api: Api) -> u64 {
        let quotas = self.survey.client.quota_use();
        let quota = quotas.iter().find(|quota| quota.api == api);
        quota.map_or(0, |quota| quota.spent)
    }

    fn is_young(&self, view: &Findings<'_>) -> bool {
        view.since.elapsed() <= self.reread_after
    }

    /// Settles what waits for a step that is over and not gone.
    fn block(&self, lane: &mut Lane<'_>) {
        loop {
            let blocked = lane.pending.iter().copied().find_map(|step| {
                let after = self.steps[step].after.iter().copied();
                let stuck = after.into_iter().find(|&other| {
                    self.outcome(other)
                        .is_some_and(|outcome| !outcome.is_gone())
                })?;
                Some((step, stuck))
            });
            let Some((step, stuck)) = blocked else { return };
            lane.pending.retain(|one| *one != step);
            let outcome = self
                .outcome(stuck)
                .map_or("", Outcome::name)
                .replace('_', " ");
            let reason = format!("waits for {} ({outcome})", self.ids[stuck]);
            self.settle(step, Outcome::Deferred, reason);
        }
    }

    /// Why nothing more is sent, if so.
    fn ended(&self) -> Option<&'static str> {
        if self.is_broken() {
            Some("the journal cannot be written")
        } else if self.stop.is_set() {
            Some("the run was interrupted")
        } else {
            None
        }
    }

    /// Why a step is not begun any more, whatever it is about, if so.
    fn halt(&self, step: usize) -> Option<String> {
        if let Some(why) = self.ended() {
            return Some(why.to_owned());
        }
        let left = self.left();
        if left.is_zero() {
            return Some("the run's deadline is over; raise --deadline".to_owned());
        }
        let wait = self.survey.client.wait(self.ids[step].kind.api);
        (wait >= left).then(|| {
            format!(
                "the quota is used up for another {}s, longer than the deadline allows",
                wait.as_secs()
            )
        })
    }

    /// The time until the deadline.
    fn left(&self) -> Duration {
        let deadline = self.survey.client.deadline();
        deadline.saturating_duration_since(Instant::now())
    }

    /// The pending steps of the first kind in order whose predecessors are gone;
    /// one at a time where the provider wants that.
    fn ready(&self, lane: &Lane<'_>) -> Vec<usize> {
        let order = |step: usize| {
            let kinds = self.survey.law.graph.kinds().iter();
            kinds
                .take_while(|kind| **kind != self.ids[step].kind)
                .count()
        };
        let first = lane.pending.iter().map(|&step| order(step)).min();
        let of_kind = lane.pending.iter().copied();
        let of_kind: Vec<usize> = of_kind.filter(|&step| Some(order(step)) == first).collect();
        let pending: BTreeSet<usize> = lane.pending.iter().copied().collect();
        let free = |step: &usize| {
            self.steps[*step]
                .after
                .iter()
                .all(|one| !pending.contains(one))
        };
        let mut ready: Vec<usize> = of_kind.iter().copied().filter(free).collect();
        // Steps of an altered order may wait for each other: the provider decides.
        if ready.is_empty() {
            ready = of_kind;
        }
        let serial = ready
            .first()
            .is_some_and(|&step| self.ids[step].kind.serial);
        if serial {
            ready.truncate(1);
        }
        ready
    }

    /// What this run still deletes, or has deleted: everything else stays.
    fn going(&self) -> BTreeSet<ResourceId> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let goes = |done: &Option<Done>| done.as_ref().is_none_or(|done| done.outcome.is_gone());
        let ids = self.ids.iter().zip(&*done);
        ids.filter(|(_, done)| goes(done))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// The expiry that a step gives: one that its provider can keep exactly, and
    /// the same in its intent and its request.
    fn expiry(&self, step: usize) -> DateTime<Utc> {
        let mut known = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        let expires = || expiry(&self.survey.client).trunc_subsecs(0);
        *known.entry(step).or_insert_with(expires)
    }

    fn own_changes(&self) -> OwnChanges {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.clone()
    }

    /// What a step's request came to, and whether that ends the step.
    fn judge(&self, lane: &mut Lane<'_>, step: usize, sent: Settled) {
        let tries = lane.tries.entry(step).or_default();
        let (outcome, reason) = match sent {
            Settled::Done(outcome, reason) => (outcome, reason),
            Settled::Waits { setback, reason } => {
                if setback == Setback::Failed {
                    *tries = (tries.0 + 1, reason.clone());
                }
                if tries.0 < TRIES {
                    self.note(step, Outcome::Deferred, &reason);
                    lane.outdated = true;
                    return;
                }
                (Outcome::FailedForNow, reason)
            }
        };
        lane.pending.retain(|one| *one != step);
        // What fails stays, and with it all that it uses.
        lane.outdated |= !outcome.is_gone();
        self.settle(step, outcome, reason);
    }

    fn quota_left(&self, api: Api) -> Option<u32> {
        let quotas = self.survey.client.quota_use();
        quotas.iter().find(|quota| quota.api == api)?.remaining
    }

    fn outcome(&self, step: usize) -> Option<Outcome> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(step)?.as_ref().map(|done| done.outcome)
    }

    /// Writes an outcome down.
    fn settle(&self, step: usize, outcome: Outcome, reason: String) {
        self.note(step, outcome, &reason);
        self.survey.observer.step(Step::Settled {
            kind: self.ids[step].kind.name(),
            name: &self.ids[step].name,
            id: &self.ids[step].id,
            outcome: outcome.name(),
            quota_left: self.quota_left(self.ids[step].kind.api),
        });
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = done.get_mut(step) {
            *slot = Some(Done { outcome, reason });
        }
    }

    fn note(&self, step: usize, outcome: Outcome, reason: &str) {
        let at = self.survey.client.clock().now();
        let reason = reason.to_owned();
        self.write(&[Entry::Outcome {
            step,
            at,
            outcome,
            reason,
        }]);
    }

    /// Writes to the journal; whether it is on disk.
    fn write(&self, entries: &[Entry]) -> bool {
        if self.is_broken() {
            return false;
        }
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = journal.write(entries) else {
            return true;
        };
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert(error);
        false
    }

    fn is_broken(&self) -> bool {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.is_some()
    }

    fn kind(&self, step: usize) -> Option<&'static dyn Kind> {
        kinds::by_name(self.ids[step].kind.name())
    }

    fn action(&self, step: usize) -> Action {
        self.steps[step].action
    }
}

#[cfg(all(test, feature = "sandbox"))]
mod tests;
