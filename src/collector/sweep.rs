//! Carries a plan out: what earlier runs left in doubt, the expiries that are taken
//! back, the steps, and the garbage that is left for a later run.

use std::path::Path;

use super::{Audit, Collector};
use crate::gc::Plan;
use crate::gc::outcome::{Recheck, recheck};
use crate::gc::plan_file::{PlanError, PlanFile, PlannedStep};
use crate::gc::verdict::Verdict;
use crate::journal::{self, Journal, JournalError};
use crate::model::{Api, ResourceId};
use crate::survey::Findings;
use crate::sweep::recover::recover;
use crate::sweep::unexpire;
use crate::sweep::{Done, StepRow, Stop, Sweep, Swept, held};

/// What a sweep is to do, and how it is stopped.
#[derive(Debug, Clone, Copy)]
pub struct SweepOrder<'a> {
    /// The plan.
    pub plan_file: &'a PlanFile,
    /// What the audit of this run plans, of which the garbage that it leaves for a
    /// later run is reported; empty where people chose what is deleted.
    pub plan: &'a Plan,
    /// The folder of the journals.
    pub folder: &'a Path,
    /// A request to finish the steps in flight and to start no more.
    pub stop: &'a Stop,
}

/// Why a plan was not carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Deletions have to be journaled first.
    #[error("cannot keep a journal, and nothing is deleted without one: {0}")]
    Journal(#[from] JournalError),
    /// The plan is about something that is not known.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What people marked as one to keep cannot be read.
    #[error(
        "cannot read what people keep in the tracking issue, and nothing is deleted without that: \
         there is no GITHUB_TOKEN; set it to a token with Issues: read"
    )]
    NoMarks,
}

impl Collector<'_> {
    /// Checks that the boxes of the tracking issue can be asked for, also where no
    /// rule asks GitHub.
    ///
    /// # Errors
    ///
    /// [`SweepError::NoMarks`] without a token for GitHub.
    pub fn reads_marks(&self) -> Result<(), SweepError> {
        if self.client.has(Api::GitHub) {
            Ok(())
        } else {
            Err(SweepError::NoMarks)
        }
    }
}

impl Audit<'_> {
    /// Settles what earlier runs left in doubt, removes expiries from what stays
    /// after all, and carries a plan out, up to the cap; where a brake
    /// [stops](Audit::is_stopped) the sweep nothing is deleted, and without complete roots
    /// nothing but the first is done. If `stop` is set, the steps in flight are finished
    /// and no more are started.
    ///
    /// # Errors
    ///
    /// When there can be no journal, the plan is about what is not known, or it
    /// cannot be read what people keep: then nothing was sent.
    pub async fn sweep(&self, order: &SweepOrder<'_>) -> Result<Swept, SweepError> {
        let Self {
            collector,
            survey,
            findings,
            ..
        } = self;
        let limits = collector.limits;
        let SweepOrder {
            plan_file,
            folder,
            stop,
            ..
        } = *order;
        collector.reads_marks()?;
        // Nothing is sent whose effect could not be read before the deadline.
        let finishing = survey.client.clone();
        let survey = &survey.over(finishing.ending_earlier(limits.closing()));
        collector.store_reads(folder);
        let is_braked = self.is_stopped();
        let kinds = survey.input.graph.kinds();
        // This only reads, and needs no roots.
        let mut swept = Swept {
            settled: recover(&survey.client, folder, findings, kinds).await?,
            ..Swept::default()
        };
        if findings.roots.gap().is_some() {
            return Ok(swept);
        }
        let mut ids = plan_file.resources(kinds)?;
        let (steps, kept_back) = if is_braked {
            (&[][..], &[][..])
        } else {
            let taken = in_this_run(findings, plan_file, &ids, limits.max_deletions);
            plan_file.steps.split_at(taken)
        };
        let own = unexpire::recorded(&survey.client, folder, findings, kinds)?;
        let (unwanted, unchecked) = unexpire::unwanted(survey, findings, own).await;
        let mut unexpired: Vec<StepRow> = unchecked
            .into_iter()
            .map(|(id, done)| StepRow::unexpired(&id, done))
            .collect();
        if !steps.is_empty() || !unwanted.is_empty() {
            ids.truncate(steps.len());
            let repositories = findings.roots.repositories.iter();
            let repositories = repositories
                .filter_map(|(name, roots)| Some((name.full_name().to_lowercase(), roots.id?)));
            let now = survey.client.clock().now();
            let github = survey.client.host(Api::GitHub);
            let mut journal = Journal::begin_with(folder, now, github, repositories.collect())?;
            swept.run = Some(journal.run().to_owned());
            // Resources that stay may expire soon.
            for (one, step) in unwanted.iter().zip(plan_file.steps.len()..) {
                let done = unexpire::remove(&survey.client, one, step, &mut journal).await?;
                unexpired.push(StepRow::unexpired(&one.id, done));
            }
            let reread_after = limits.reread_after;
            let sweep = Sweep::new(survey, steps, ids, reread_after, journal, stop.clone());
            let resources = &findings.inventory.resources;
            let later = order.plan.deferred.iter();
            let later = later.filter_map(|&index| resources.get(index).cloned());
            let sweep = sweep.with_deferred(later.collect());
            let sweep = sweep.finishing_with(finishing);
            let sweep = sweep.with_own_ids(limits.workers_by_id);
            let (done, broken) = sweep.run(findings).await;
            swept.broken = broken.map(|error| error.to_string());
            let steps = steps.iter().zip(done);
            swept.steps = steps.map(|(step, done)| StepRow::of(step, done)).collect();
        }
        let kept_back = kept_back
            .iter()
            .map(|step| StepRow::of(step, Done::later()));
        swept.steps.extend(kept_back);
        swept.steps.extend(unexpired);
        if !is_braked {
            let maximum = limits.max_deletions;
            swept.steps.extend(not_begun(findings, order.plan, maximum));
        }
        // A failure to prune does not affect the sweep: the next run prunes.
        let _ = journal::prune(folder, survey.client.clock().now());
        Ok(swept)
    }
}

/// Returns how many of the first steps belong to this run, which has room for so many
/// deletions. A step takes no room if the audit of this run settles it: its resource is
/// gone, or it stays for a reason of its own. A sweep settles such steps by that audit
/// before it re-reads anything, so that they stay whatever changes meanwhile.
fn in_this_run(
    findings: &Findings<'_>,
    plan_file: &PlanFile,
    ids: &[ResourceId],
    room: usize,
) -> usize {
    let takes_room = |(step, id): (&PlannedStep, &ResourceId)| {
        let found = findings.find(id);
        let is_listed = findings.gap(id.kind, &id.place).is_none();
        match (recheck(step, found, &findings.marking), found) {
            (Recheck::Gone, _) => !is_listed,
            // What is in use by something undecided may still go.
            (Recheck::Spared(_), Some((_, judgement))) => {
                !is_listed || matches!(judgement.verdict, Verdict::InUse(_))
            }
            (Recheck::Spared(_) | Recheck::Go | Recheck::Unknown(_), _) => true,
        }
    };
    let steps = plan_file.steps.iter().zip(ids);
    let mut taken = 0;
    let beyond = steps.map(takes_room).position(|takes| {
        taken += usize::from(takes);
        taken > room
    });
    beyond.unwrap_or(plan_file.steps.len())
}

/// Returns the garbage that a plan does not take, each with the reason.
fn not_begun(findings: &Findings<'_>, plan: &Plan, maximum: usize) -> Vec<StepRow> {
    let resources = &findings.inventory.resources;
    let deferred = plan.deferred.iter().map(|index| {
        let done = match (plan.oversized.get(index), plan.waits.get(index)) {
            (Some(needed), _) => Done::oversized(*needed, maximum),
            (None, Some(why)) => Done::waits(why),
            (None, None) => Done::later(),
        };
        StepRow::not_begun(&resources[*index], done)
    });
    let held = plan.held.iter().map(|(index, holder)| {
        let (resource, of_holder) = (&resources[*index], &resources[*holder]);
        let judgement = &findings.marking.judgements[*holder];
        let done = held(&resource.identity(), of_holder, judgement);
        StepRow::not_begun(resource, done)
    });
    deferred.chain(held).collect()
}
