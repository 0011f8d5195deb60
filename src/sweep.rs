//! Sweep: carries out a plan, and may drop steps but never add any. The
//! resource of every step is re-read, journalled, deleted by id and looked up
//! again, and the outcome is journalled.
//!
//! Steps are grouped into lanes: one per provider, and one per
//! place whose provider carries out one deletion at a time. Within a lane,
//! steps run in the order of their kinds, and a step waits until its
//! predecessors are deleted.

mod answer;
mod backup;
pub(crate) mod confirm;
mod empty;
mod feasible;
mod intent;
mod lane;
mod ledger;
mod machine;
pub mod outcome;
mod ready_step;
mod recheck;
pub mod recover;
mod send;
mod setback;
mod settle;
pub mod unexpire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use self::lane::Lane;
use self::ledger::Ledger;
use crate::gc::Outcome;
use crate::gc::plan_file::PlannedStep;
use crate::journal::{Implied, Journal, JournalEntry, JournalError};
use crate::kind::Kind;
use crate::model::{Api, Place, Resource, ResourceId};
use crate::policy::Action;
use crate::progress::ProgressEvent;
use crate::providers;
use crate::survey::{Findings, Survey};
use crate::wire::Client;

pub use feasible::held;
pub use outcome::{StepRow, Swept};

/// Time until a branch with `action = "expire"` expires. During this day anyone
/// can remove the expiry.
const EXPIRY: TimeDelta = TimeDelta::hours(24);

/// Returns the expiry to set now. The provider applies it by its own clock: a
/// machine whose clock is behind must not shorten the time.
fn expiry(client: &Client) -> DateTime<Utc> {
    client.latest(client.clock().now()) + EXPIRY
}

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
    /// How the outcome is known.
    pub proof: Proof,
    /// The reason.
    pub reason: String,
}

/// How the outcome of a step is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The provider accepted the request, and re-reading shows that the resource is
    /// gone. No explanation is needed.
    AcceptedAndGone,
    /// In another way, which the reason explains.
    Explained,
}

impl Done {
    /// Returns an outcome that its reason explains.
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            proof: Proof::Explained,
            reason: reason.into(),
        }
    }

    /// Returns the outcome of garbage beyond `--max-deletions`.
    pub fn later() -> Self {
        let reason = "it is beyond --max-deletions, for a later run";
        Self::new(Outcome::Deferred, reason)
    }

    /// Returns the outcome of garbage that waits for something else.
    pub fn waits(reason: &str) -> Self {
        Self::new(Outcome::Deferred, format!("not in this run: {reason}"))
    }

    /// Garbage that no run deletes, because it only goes together with more than
    /// `--max-deletions` allows.
    pub fn oversized(needed: usize, maximum: usize) -> Self {
        let reason = format!(
            "it has to go in one run of {needed} deletions, and --max-deletions allows {maximum}; \
             set it to {needed} or more"
        );
        Self::new(Outcome::FailedForGood, reason)
    }
}

/// A plan that is being carried out.
pub struct Sweep<'a, 'p> {
    survey: &'a Survey<'p>,
    /// A client with a later deadline, to read what the last requests did.
    finishing: Client,
    steps: &'a [PlannedStep],
    ids: Vec<ResourceId>,
    reread_after: Duration,
    stop: Stop,
    /// Resources that the provider removes with those of each step, from the
    /// first audit: later re-reads list only what decides.
    implied: Vec<Vec<Implied>>,
    /// What the plan leaves for a later run: it was judged where it was.
    deferred: Vec<Resource>,
    /// Whether resources are deleted by their own ids where names are usual.
    by_own_id: bool,
    ledger: Ledger,
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
            finishing: survey.client.clone(),
            steps,
            ids,
            reread_after,
            stop,
            implied: Vec::new(),
            deferred: Vec::new(),
            by_own_id: false,
            ledger: Ledger::new(journal, steps.len()),
        }
    }

    /// Sets the client that reads what the last requests did, with a later deadline
    /// than that of the survey.
    #[must_use]
    pub fn finishing_with(mut self, client: Client) -> Self {
        self.finishing = client;
        self
    }

    /// Sets whether resources are deleted by ids that are never used again, where
    /// names are usual.
    #[must_use]
    pub fn with_own_ids(mut self, by_own_id: bool) -> Self {
        self.by_own_id = by_own_id;
        self
    }

    /// Sets what the plan of this run leaves for a later one.
    #[must_use]
    pub fn with_deferred(mut self, deferred: Vec<Resource>) -> Self {
        self.deferred = deferred;
        self
    }

    /// Carries out the plan. Also returns the error that stopped writing of the
    /// journal, if any; nothing was sent after it.
    pub async fn run(mut self, first: &Findings<'p>) -> (Vec<Done>, Option<JournalError>) {
        self.implied = self.ids.iter().map(|id| first.implied(id)).collect();
        let mut planned: BTreeMap<&'static str, usize> = BTreeMap::new();
        for id in &self.ids {
            *planned.entry(id.kind.name()).or_default() += 1;
        }
        for (kind, steps) in planned {
            self.survey
                .observer
                .step(ProgressEvent::Planned { kind, steps });
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
            self.run_lane(Lane::new(pending, requests.sum()), first)
        }))
        .await;
        let (done, broken) = self.ledger.into_parts();
        let never = || Done::new(Outcome::Deferred, "it was not reached");
        let done = done.into_iter().map(|one| one.unwrap_or_else(never));
        (done.collect(), broken)
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

    /// Returns why nothing more is sent, if so.
    fn ended(&self) -> Option<&'static str> {
        if self.ledger.is_broken() {
            Some("the journal cannot be written")
        } else if self.stop.is_set() {
            Some("the run was interrupted")
        } else {
            None
        }
    }

    /// Returns the outcome of steps that are not started any more, if so.
    fn halt(&self, step: usize) -> Option<Done> {
        let deferred = |why: String| Some(Done::new(Outcome::Deferred, why));
        if let Some(why) = self.ended() {
            return deferred(why.to_owned());
        }
        let left = self.left();
        if left.is_zero() {
            return deferred("the run's deadline has passed; raise --deadline".to_owned());
        }
        let api = self.ids[step].kind.api;
        // This run holds requests back by its own decision, but a provider that refuses
        // them is a failure.
        let paused = self.survey.client.paused(api);
        if paused >= left {
            let why = format!(
                "nothing was sent for it: {} refuses all requests for another {}s, longer than \
                 the deadline allows; run the sweep again later",
                api.title(),
                paused.as_secs()
            );
            return Some(Done::new(Outcome::FailedForNow, why));
        }
        let wait = self.survey.client.wait(api);
        if wait >= left {
            return deferred(format!(
                "the quota is used up for another {}s, longer than the deadline allows",
                wait.as_secs()
            ));
        }
        None
    }

    /// Returns the time until the deadline.
    fn left(&self) -> Duration {
        let deadline = self.survey.client.deadline();
        deadline.saturating_duration_since(Instant::now())
    }

    fn quota_left(&self, api: Api) -> Option<u32> {
        let quotas = self.survey.client.quota_use();
        quotas.iter().find(|quota| quota.api == api)?.remaining
    }

    fn outcome(&self, step: usize) -> Option<Outcome> {
        self.ledger.outcome(step)
    }

    /// Records the outcome of a step that ends.
    fn settle(&self, step: usize, done: Done) {
        let done = self.ledger.with_part(step, done);
        self.note(step, &done);
        self.survey.observer.step(ProgressEvent::Settled {
            kind: self.ids[step].kind.name(),
            name: &self.ids[step].name,
            id: &self.ids[step].id,
            outcome: done.outcome.name(),
            quota_left: self.quota_left(self.ids[step].kind.api),
        });
        self.ledger.record(step, done);
    }

    /// Journals an outcome.
    fn note(&self, step: usize, done: &Done) {
        let at = self.survey.client.clock().now();
        self.ledger.write(&[JournalEntry::Outcome {
            step,
            at,
            outcome: done.outcome,
            reason: done.reason.clone(),
        }]);
    }

    fn kind(&self, step: usize) -> Option<&'static dyn Kind> {
        providers::by_name(self.ids[step].kind.name())
    }

    fn action(&self, step: usize) -> Action {
        self.steps[step].action
    }
}
