//! Determines what has to be changed elsewhere before a step can succeed, and
//! whether this run may change it. If it may not, the step is settled before
//! anything is sent or backed up for it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::backup::NoBackup;
use super::lane::Lane;
use super::ready_step::{ReadyStep, Unbind};
use super::{Done, Sweep};
use crate::gc::Outcome;
use crate::gc::mark::Judgement;
use crate::gc::outcome::{Recheck, recheck};
use crate::gc::verdict::Verdict;
use crate::kind::{Obstacles, Unbinding};
use crate::model::{Resource, ResourceId};
use crate::policy::Action;
use crate::providers;
use crate::scan::{self, Target};
use crate::survey::Findings;
use crate::wire::RequestFailure;

/// Delays before each read of the time of a change.
const SHOWN: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Why a step is not started.
enum Infeasible {
    /// The run starts no more steps.
    RunEnds,
    /// It could not succeed.
    Because(Done),
}

impl Sweep<'_, '_> {
    /// Returns the steps of a batch that can succeed, and those that cannot
    /// without a change to a resource that stays.
    pub(super) async fn feasible(
        &self,
        lane: &mut Lane,
        view: &Findings<'_>,
        batch: &[usize],
    ) -> (Vec<ReadyStep>, Vec<(usize, Done)>) {
        let mut feasible: Vec<ReadyStep> = Vec::new();
        let mut not = Vec::new();
        for &step in batch {
            if let Some(why) = self.held_by_what_stays(view, step) {
                not.push((step, why));
                continue;
            }
            match self.owner_stays(lane, view, step).await {
                Ok(()) => {}
                Err(Infeasible::Because(why)) => {
                    not.push((step, why));
                    continue;
                }
                Err(Infeasible::RunEnds) => continue,
            }
            if self.steps[step].unbinds.is_empty() || self.action(step) != Action::Delete {
                feasible.push(ReadyStep::new(step, Vec::new()));
                continue;
            }
            // One at a time: two steps may have to change the same resource.
            if feasible.iter().any(|other| self.is_unbound(other.step)) {
                continue;
            }
            match self.unbindings_of(lane, view, step).await {
                Ok(unbinds) => feasible.push(ReadyStep::new(step, unbinds)),
                Err(Infeasible::Because(why)) => not.push((step, why)),
                Err(Infeasible::RunEnds) => {}
            }
        }
        (feasible, not)
    }

    /// Returns an error if a step's resource is only deleted together with another one
    /// that stays, as far as can be told before anything is sent.
    async fn owner_stays(
        &self,
        lane: &mut Lane,
        view: &Findings<'_>,
        step: usize,
    ) -> Result<(), Infeasible> {
        let with = self.steps[step].deleted_with;
        let Some(owner) = with.filter(|_| self.action(step) == Action::Delete) else {
            return Ok(());
        };
        let because = |outcome, owner: &ResourceId, why: &str| {
            let why = format!("it is only deleted together with {owner}, which stays: {why}");
            Infeasible::Because(Done::new(outcome, why))
        };
        let Some(id) = self.ids.get(owner) else {
            let why = "what it is only deleted together with is beyond --max-deletions; raise it"
                .to_owned();
            return Err(Infeasible::Because(Done::new(Outcome::FailedForNow, why)));
        };
        match self.outcome(owner) {
            Some(outcome) if outcome.is_gone() => return Ok(()),
            Some(outcome) => return Err(because(Outcome::Spared, id, &outcome.to_string())),
            None => {}
        }
        if let Some(held) = self.held_by_what_stays(view, owner) {
            return Err(because(held.outcome, id, &held.reason));
        }
        match recheck(&self.steps[owner], view.find(id), &view.marking) {
            Recheck::Go | Recheck::Gone => {}
            Recheck::Spared(why) => return Err(because(Outcome::Spared, id, &why)),
            Recheck::Unknown(why) => return Err(because(Outcome::FailedForNow, id, &why)),
        }
        if self.is_unbound(owner) {
            self.unbindings_of(lane, view, owner).await?;
        }
        match self.back_up(&mut lane.backups, owner).await {
            Ok(_) => Ok(()),
            Err(NoBackup::RunEnds) => Err(Infeasible::RunEnds),
            Err(NoBackup::Failed(why)) => Err(because(Outcome::FailedForNow, id, &why)),
        }
    }

    fn is_unbound(&self, step: usize) -> bool {
        !self.steps[step].unbinds.is_empty()
    }

    /// Returns the requests that remove all bindings to a step's resource from
    /// resources that are deleted after it.
    async fn unbindings_of(
        &self,
        lane: &mut Lane,
        view: &Findings<'_>,
        step: usize,
    ) -> Result<Vec<Unbind>, Infeasible> {
        let id = &self.ids[step];
        let failed = |outcome, why: String| Infeasible::Because(Done::new(outcome, why));
        let mut unbindings = Vec::new();
        for &user in &self.steps[step].unbinds {
            if user >= self.steps.len() {
                let why = "waits for what binds it, which is beyond --max-deletions; raise it";
                return Err(failed(Outcome::FailedForNow, why.to_owned()));
            }
            let name = &self.ids[user];
            if self.outcome(user).is_some_and(Outcome::is_gone) {
                continue;
            }
            // Only garbage of this run may be changed.
            let refused = match recheck(&self.steps[user], view.find(name), &view.marking) {
                Recheck::Gone => continue,
                Recheck::Go
                    if self.outcome(user).is_none() && self.action(user) == Action::Delete =>
                {
                    None
                }
                Recheck::Go => Some("it is not deleted by this run".to_owned()),
                Recheck::Spared(why) | Recheck::Unknown(why) => Some(why),
            };
            if let Some(why) = refused {
                let why = format!("{name} binds it and stays for now: {why}; run the sweep again");
                return Err(failed(Outcome::FailedForNow, why));
            }
            let Some(bindings) = self.kind(user).and_then(|kind| kind.bindings()) else {
                let why = format!("{name} binds it, and its kind cannot stop that");
                return Err(failed(Outcome::FailedForGood, why));
            };
            // The backup has the state before the change.
            match self.back_up(&mut lane.backups, user).await {
                Ok(_) => {}
                Err(NoBackup::RunEnds) => return Err(Infeasible::RunEnds),
                Err(NoBackup::Failed(why)) => {
                    let why = format!("{name} binds it and cannot be changed: {why}");
                    return Err(failed(Outcome::FailedForNow, why));
                }
            }
            let body = match self.survey.client.send(&bindings.ask(name)).await {
                Ok(body) => body,
                Err(error) if matches!(error.failure, RequestFailure::NotFound { .. }) => continue,
                Err(error) => {
                    let why = format!("what {name} binds could not be read: {error}");
                    return Err(failed(Outcome::FailedForNow, why));
                }
            };
            match bindings.unbind(name, id, &body) {
                Ok(Unbinding::Nothing(_)) => {}
                Ok(Unbinding::Remove {
                    call,
                    removed,
                    rest,
                }) => unbindings.push(Unbind {
                    user,
                    call,
                    removed,
                    rest,
                }),
                Ok(Unbinding::Impossible(why)) => {
                    let why = format!(
                        "it and {name} bind each other, so that neither can be deleted while the \
                         other exists, and {name} could not be unbound: {why}; nothing was \
                         changed; delete one of them by hand with `{}`",
                        bindings.delete_by_hand()
                    );
                    return Err(failed(Outcome::FailedForGood, why));
                }
                Err(error) => {
                    let why = self.survey.client.redact(&error.0);
                    let why = format!("what {name} binds could not be read: {why}");
                    return Err(failed(Outcome::FailedForNow, why));
                }
            }
        }
        Ok(unbindings)
    }

    /// Records a change that this run made, so that it is not mistaken for
    /// somebody else's. Returns an error if the two cannot be told apart.
    pub(super) async fn changed(
        &self,
        view: &Findings<'_>,
        step: usize,
        unbind: &Unbind,
    ) -> Result<(), String> {
        let (id, used) = (&self.ids[unbind.user], &self.ids[step]);
        let (Some(kind), Some((known, _))) = (self.kind(unbind.user), view.find(id)) else {
            return Err(format!("{id} is not known any more"));
        };
        let target = Target::plain(kind, &id.place).among(std::slice::from_ref(id));
        for wait in SHOWN {
            if !self.finishing.pause(*wait).await {
                break;
            }
            let targets = std::slice::from_ref(&target);
            let listed = scan::inventory(&self.finishing, targets, self.survey.observer).await;
            let mut shown = listed.resources.iter();
            let shown = shown.find(|one| one.identity() == *id);
            let Some(at) = shown.and_then(|shown| shown.changed_at.known()) else {
                continue;
            };
            if Some(at) == known.changed_at.known() {
                continue;
            }
            // Checks that nobody else changed it in between.
            let Some(bindings) = kind.bindings() else {
                break;
            };
            let body = self.finishing.send(&bindings.ask(id)).await;
            let body = body.map_err(|error| format!("{id} could not be re-read: {error}"))?;
            let now = bindings
                .unbind(id, used, &body)
                .map_err(|error| self.survey.client.redact(&error.0))?;
            let texts = |bindings: &[Value]| {
                let texts = bindings.iter().map(Value::to_string);
                texts.collect::<BTreeSet<String>>()
            };
            let same = |now: &[Value]| texts(now) == texts(&unbind.rest);
            if !matches!(&now, Unbinding::Nothing(now) if same(now)) {
                return Err(format!("{id} was changed by someone else in the meantime"));
            }
            self.ledger.record_change(id, at, known.changed_at);
            return Ok(());
        }
        Err(format!("the change of {id} does not show"))
    }

    /// Returns the resource that would have to change for a step to succeed and
    /// that this run may not change.
    fn held_by_what_stays(&self, view: &Findings<'_>, step: usize) -> Option<Done> {
        let id = &self.ids[step];
        if self.action(step) != Action::Delete {
            return None;
        }
        view.linked(id).find_map(|holder| {
            let kind = providers::by_name(holder.kind.name())?;
            let obstacles = kind.obstacles()?;
            if obstacles.release(holder, id).is_empty() || self.will_be_deleted(view, holder) {
                return None;
            }
            let (_, judgement) = view.find(&holder.identity())?;
            Some(held(id, holder, judgement))
        })
    }

    /// Returns whether this run deletes a resource and it is still garbage.
    pub(super) fn will_be_deleted(&self, view: &Findings<'_>, resource: &Resource) -> bool {
        let id: ResourceId = resource.identity();
        // A renamed resource is not what was planned, and stays.
        let is = |one: &ResourceId| *one == id && one.name == id.name;
        let step = self.ids.iter().position(is);
        let planned = step.is_some_and(|step| {
            let outcome = self.outcome(step);
            self.action(step) == Action::Delete && outcome.is_none_or(Outcome::is_gone)
        });
        let garbage = view
            .find(&id)
            .is_some_and(|(_, judgement)| judgement.verdict.is_garbage());
        planned && garbage
    }
}

/// Returns the outcome of a resource whose deletion the provider would refuse, because
/// another one that is not deleted names it.
pub fn held(id: &ResourceId, holder: &Resource, of_holder: &Judgement) -> Done {
    let (noun, name) = (holder.kind.noun, &holder.name);
    let stays = match &of_holder.verdict {
        _ if !of_holder.in_focus => "is outside of what this run was asked to do".to_owned(),
        Verdict::Garbage(death) if death.report_only => "is only reported by its rule".to_owned(),
        Verdict::Garbage(_) => {
            let why = format!("waits for {noun} {name}, which is not a step of this run");
            return Done::new(Outcome::Deferred, why);
        }
        kept => format!("stays ({})", kept.name()),
    };
    let kind = providers::by_name(holder.kind.name());
    let command = kind
        .and_then(|kind| kind.obstacles())
        .and_then(Obstacles::release_by_hand);
    let command = command.map(|command| format!(" (`{command}`)"));
    let why = format!(
        "{noun} {name} {stays} and has this {} as a consumer, so {} would refuse to delete it: \
         nothing was changed; remove the consumer from {noun} {name} by hand{}, or let this run \
         delete the {noun} too",
        id.kind.noun,
        id.kind.api.title(),
        command.unwrap_or_default(),
    );
    Done::new(Outcome::FailedForGood, why)
}
