//! Sweep: carries out a plan, and may drop steps but never add any. The
//! resource of every step is re-read, journalled, deleted by id and looked up
//! again, and the outcome is journalled.
//!
//! Steps are grouped into independent lanes: one per provider, and one per
//! place whose provider carries out one deletion at a time. Within a lane,
//! steps run in the order of their kinds, and a step waits until its
//! predecessors are deleted.

mod backup;
pub(crate) mod confirm;
mod feasible;
pub mod outcome;
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
use self::setback::{Setback, Settled, without_effect};
use crate::evidence::Step;
use crate::gc::Outcome;
use crate::gc::plan_file::PlannedStep;
use crate::journal::{Entry, Implied, Journal, JournalError};
use crate::kinds::{self, Kind};
use crate::model::{Api, Place, ResourceId};
use crate::policy::Action;
use crate::survey::{Findings, OwnChanges, Survey};
use crate::wire::Client;

pub use outcome::{StepRow, Swept};

/// Maximum number of tries for a step whose answer was lost.
const TRIES: u32 = 3;

/// Maximum number of consecutive rounds that re-read without sending anything:
/// re-reading uses up the quota.
const ROUNDS: usize = 3;

/// Time until a branch with `action = "expire"` expires. During this day anyone
/// can remove the expiry.
const EXPIRY: TimeDelta = TimeDelta::hours(24);

/// Returns the expiry to set now. The provider applies it by its own clock: a
/// machine whose clock is behind must not shorten the time.
fn expiry(client: &Client) -> DateTime<Utc> {
    client.latest(client.clock().now()) + EXPIRY
}

/// Time for requests in flight after the run's deadline.
const FINISHING: Duration = Duration::from_mins(1);

/// The reason of a step whose request was accepted.
const SEEN_GONE: &str = "re-reading shows that it is gone";

/// A request to start no more steps.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Requests that no more steps are started.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Returns whether it was requested.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is requested.
    async fn asked(&self) {
        // The sender exists as long as this future does.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}

/// The outcome of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The outcome.
    pub outcome: Outcome,
    /// The reason.
    pub reason: String,
    /// Whether the reason adds something to that of the plan.
    pub basis: Basis,
}

/// Whether a step went as planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The request was accepted, and re-reading confirms its effect.
    AsPlanned,
    /// Anything else, as the reason of the outcome says.
    Otherwise,
}

impl Done {
    /// Returns an outcome with its own reason.
    fn because(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: reason.into(),
            basis: Basis::Otherwise,
        }
    }

    /// Returns the outcome of garbage beyond `--max-deletions`.
    pub fn later() -> Self {
        Self::because(
            Outcome::Deferred,
            "it is beyond --max-deletions, for a later run",
        )
    }
}

/// A plan that is being carried out.
pub struct Sweep<'a, 'p> {
    survey: &'a Survey<'p>,
    /// A client with a later deadline, to finish requests in flight.
    finishing: Client,
    steps: &'a [PlannedStep],
    ids: Vec<ResourceId>,
    reread_after: Duration,
    journal: Mutex<Journal>,
    stop: Stop,
    done: Mutex<Vec<Option<Done>>>,
    /// Backups of the resources' contents, read once even if a step is tried
    /// several times.
    kept: Mutex<BTreeMap<usize, Value>>,
    /// The requests that remove bindings to a step's resource, while that step
    /// is pending.
    unbindings: Mutex<BTreeMap<usize, Vec<Unbind>>>,
    /// The expiries that steps set, from their intent on.
    expiries: Mutex<BTreeMap<usize, DateTime<Utc>>>,
    /// Resources that this run changed and will delete later.
    own: Mutex<OwnChanges>,
    /// Resources that the provider removes with those of each step, from the
    /// first audit: later re-reads list only what decides.
    implied: OnceLock<Vec<Vec<Implied>>>,
    /// The error that stopped writing of the journal. Nothing is sent after it.
    broken: Mutex<Option<JournalError>>,
}

/// Steps that do not depend on steps of other lanes.
struct Lane<'p> {
    pending: Vec<usize>,
    /// Number of tries of each step, and why the last one had no effect.
    tries: BTreeMap<usize, (u32, String)>,
    /// The latest re-read, which the next steps depend on.
    view: Option<Findings<'p>>,
    /// Whether something happened since the view was read.
    outdated: bool,
    /// The previous re-read.
    before: Option<Findings<'p>>,
    /// Number of requests of the last re-read; before the first, that of the
    /// listings.
    reread_requests: usize,
    /// Results of the last consecutive rounds in which nothing could be sent.
    without_effect: Vec<Done>,
}

impl<'a, 'p> Sweep<'a, 'p> {
    /// Creates a sweep of these steps, each with its resource.
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

    /// Carries out the plan. Also returns the error that stopped writing of the
    /// journal, if any; nothing was sent after it.
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
            let requests = listings.map(|listing| listing.evidence.requests as usize);
            let lane = Lane {
                pending,
                tries: BTreeMap::new(),
                view: None,
                outdated: false,
                before: None,
                reread_requests: requests.sum(),
                without_effect: Vec::new(),
            };
            self.lane(lane, first)
        }))
        .await;
        let broken = self.broken.into_inner();
        let broken = broken.unwrap_or_else(PoisonError::into_inner);
        let done = self.done.into_inner();
        let done = done.unwrap_or_else(PoisonError::into_inner);
        let never = || Done::because(Outcome::Deferred, "it was not reached");
        let done = done.into_iter().map(|one| one.unwrap_or_else(never));
        (done.collect(), broken)
    }

    async fn lane(&self, mut lane: Lane<'p>, first: &Findings<'p>) {
        // A plan file may be older than this run's audit.
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
            // A resource that is in use again, or gone, is settled whatever it
            // waits for.
            let all = lane.pending.clone();
            self.recheck(&mut lane, &view, &all, false).await;
            self.block(&mut lane);
            let ready = self.ready(&lane);
            let batch = self.recheck(&mut lane, &view, &ready, true).await;
            // A resource that now stays keeps what it uses. This view assumed
            // that it would be deleted, so it has to be re-read.
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
                // Backups may take longer than the view stays fresh.
                if !lane.outdated && self.is_young(&view) {
                    let settled = self.batch(&view, batch).await;
                    match without_effect(&settled) {
                        Some(done) => lane.without_effect.push(done),
                        None => lane.without_effect.clear(),
                    }
                    for (step, settled) in settled {
                        self.judge(&mut lane, step, settled);
                    }
                }
            }
            lane.view = Some(view);
        }
    }

    /// Returns a view that is fresh enough for the next steps. Returns `None`
    /// if nothing could be read in time; then the lane has to be re-read.
    async fn view(&self, lane: &mut Lane<'p>, first: &Findings<'p>) -> Option<Findings<'p>> {
        let known = lane.view.take();
        if let Some(view) = known {
            if !lane.outdated && self.is_young(&view) {
                return Some(view);
            }
            lane.before = Some(view);
        }
        // A re-read that has to wait for the quota would be too old when it
        // ends.
        let api = self.ids[*lane.pending.first()?].kind.api;
        let wait = self.survey.client.wait_for(api, lane.reread_requests);
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
        let requests = self.spent(api).saturating_sub(spent);
        lane.reread_requests = usize::try_from(requests).unwrap_or(usize::MAX);
        if self.is_young(&view) {
            return Some(view);
        }
        let mut pending = lane.pending.iter();
        let unread = pending.find_map(|&step| self.unreadable(&view, step));
        let for_the_quota =
            self.throttled(api) > throttled || !self.survey.client.wait(api).is_zero();
        lane.without_effect.push(match unread {
            _ if for_the_quota => Setback::Withheld.without_effect(),
            Some(why) => Done::because(
                Outcome::FailedForNow,
                format!("it could not be re-read: {why}"),
            ),
            None => Done::because(
                Outcome::FailedForNow,
                "re-reading takes longer than --reread-after allows; raise it, or --quota-share \
                 where the run waits for the quota",
            ),
        });
        lane.before = Some(view);
        None
    }

    /// Returns the outcome of all pending steps of a lane that starts no more
    /// steps.
    fn given_up(&self, lane: &Lane<'_>) -> Option<Done> {
        if let Some(reason) = self.halt(*lane.pending.first()?) {
            let outcome = Outcome::Deferred;
            return Some(Done::because(outcome, reason));
        }
        let last = lane.without_effect.last()?;
        (lane.without_effect.len() >= ROUNDS).then(|| last.clone())
    }

    /// Returns how often a provider asked to wait.
    fn throttled(&self, api: Api) -> u32 {
        let quotas = self.survey.client.quota_use();
        let quota = quotas.iter().find(|quota| quota.api == api);
        quota.map_or(0, |quota| quota.throttled)
    }

    /// Returns the number of requests sent to a provider.
    fn spent(&self, api: Api) -> u64 {
        let quotas = self.survey.client.quota_use();
        let quota = quotas.iter().find(|quota| quota.api == api);
        quota.map_or(0, |quota| quota.spent)
    }

    fn is_young(&self, view: &Findings<'_>) -> bool {
        view.since.elapsed() <= self.reread_after
    }

    /// Settles steps that wait for a step that ended without a deletion.
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

    /// Returns why nothing more is sent, if so.
    fn ended(&self) -> Option<&'static str> {
        if self.is_broken() {
            Some("the journal cannot be written")
        } else if self.stop.is_set() {
            Some("the run was interrupted")
        } else {
            None
        }
    }

    /// Returns why no step is started any more, if so.
    fn halt(&self, step: usize) -> Option<String> {
        if let Some(why) = self.ended() {
            return Some(why.to_owned());
        }
        let left = self.left();
        if left.is_zero() {
            return Some("the run's deadline has passed; raise --deadline".to_owned());
        }
        let wait = self.survey.client.wait(self.ids[step].kind.api);
        (wait >= left).then(|| {
            format!(
                "the quota is used up for another {}s, longer than the deadline allows",
                wait.as_secs()
            )
        })
    }

    /// Returns the time until the deadline.
    fn left(&self) -> Duration {
        let deadline = self.survey.client.deadline();
        deadline.saturating_duration_since(Instant::now())
    }

    /// Returns the pending steps of the first kind whose predecessors are
    /// deleted; one at a time if the provider requires it.
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
        // Steps whose order changed may wait for each other: the provider
        // decides.
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

    /// Returns the resources that this run still deletes or has deleted: all
    /// others stay.
    fn going(&self) -> BTreeSet<ResourceId> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let goes = |done: &Option<Done>| done.as_ref().is_none_or(|done| done.outcome.is_gone());
        let ids = self.ids.iter().zip(&*done);
        ids.filter(|(_, done)| goes(done))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Returns the expiry that a step sets: one that its provider can represent
    /// exactly, the same in intent and request.
    fn expiry(&self, step: usize) -> DateTime<Utc> {
        let mut known = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        let expires = || expiry(&self.survey.client).trunc_subsecs(0);
        *known.entry(step).or_insert_with(expires)
    }

    fn own_changes(&self) -> OwnChanges {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.clone()
    }

    /// Applies the result of a step's request, which may end the step.
    fn judge(&self, lane: &mut Lane<'_>, step: usize, sent: Settled) {
        let tries = lane.tries.entry(step).or_default();
        let done = match sent {
            Settled::Done(outcome, reason) => Done::because(outcome, reason),
            Settled::AsPlanned(outcome) => Done {
                outcome,
                reason: SEEN_GONE.to_owned(),
                basis: Basis::AsPlanned,
            },
            Settled::Waits { setback, reason } => {
                if setback == Setback::Failed {
                    *tries = (tries.0 + 1, reason.clone());
                }
                if tries.0 < TRIES {
                    self.note(step, Outcome::Deferred, &reason);
                    lane.outdated = true;
                    return;
                }
                Done::because(Outcome::FailedForNow, reason)
            }
        };
        lane.pending.retain(|one| *one != step);
        // A resource whose deletion failed stays, and so does everything that
        // it uses.
        lane.outdated |= !done.outcome.is_gone();
        self.settle_as(step, done);
    }

    fn quota_left(&self, api: Api) -> Option<u32> {
        let quotas = self.survey.client.quota_use();
        quotas.iter().find(|quota| quota.api == api)?.remaining
    }

    fn outcome(&self, step: usize) -> Option<Outcome> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(step)?.as_ref().map(|done| done.outcome)
    }

    /// Records an outcome.
    fn settle(&self, step: usize, outcome: Outcome, reason: String) {
        self.settle_as(step, Done::because(outcome, reason));
    }

    fn settle_as(&self, step: usize, settled: Done) {
        self.note(step, settled.outcome, &settled.reason);
        self.survey.observer.step(Step::Settled {
            kind: self.ids[step].kind.name(),
            name: &self.ids[step].name,
            id: &self.ids[step].id,
            outcome: settled.outcome.name(),
            quota_left: self.quota_left(self.ids[step].kind.api),
        });
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = done.get_mut(step) {
            *slot = Some(settled);
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

    /// Writes to the journal and returns whether the entries are on disk.
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
