//! The collector: one run, from listing to sweeping. Arguments, environment,
//! consent and printing belong to the command line.

mod limits;
mod out_of_scope;
mod places;
mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::evidence::{Evidence, Inventory};
use crate::gc::box_key;
use crate::gc::mark::{BroughtBack, JudgeInput, PolicyScope};
use crate::gc::plan::Step;
use crate::gc::plan_file::{Bound, PlanError, PlanFile};
use crate::gc::{Brake, KindGraph, Plan, brakes, plan};
use crate::journal::reads::StoredReads;
use crate::journal::{self, Journal, JournalError};
use crate::model::{Api, KindRef, Place, PullRequestNumber, Repository, Resource};
use crate::policy::{Diagnostic, Policy};
use crate::progress::Observer;
use crate::providers::{self, Addresses, PROVIDERS};
use crate::report::{Report, ReportInput};
use crate::roots::github::Authors;
use crate::scan::{self, Budget, Target};
use crate::survey::{Findings, Survey};
use crate::sweep::recover::recover;
use crate::sweep::unexpire::{self, unwanted};
use crate::sweep::{Done, StepRow, Stop, Sweep, Swept, held};
use crate::wire::Client;

pub use limits::Limits;
pub use out_of_scope::NamedPlaces;
pub use scope::{Scope, needed};

/// The input of a run: policies, scopes and limits.
pub struct Collector<'p> {
    /// The way to the providers.
    pub client: Client,
    /// The policy files.
    pub files: &'p [Policy],
    /// Where each of them applies.
    pub scopes: Vec<Scope>,
    /// How far the run may go.
    pub limits: Limits,
    /// With `--pr`: the only pull request in focus.
    pub only_pull_request: Option<PullRequestNumber>,
    /// With `--kind`: the only kinds in focus.
    pub only_kinds: Option<&'p [KindRef]>,
    /// The ids that repositories are known to have.
    pub repository_ids: BTreeMap<Repository, u64>,
    /// Whose tracking issue counts.
    pub issue_authors: Arc<Authors>,
    /// Resources that `restore` brought back and that are not released yet.
    pub brought_back: Arc<BroughtBack>,
    /// What earlier runs read about single resources.
    pub stored_reads: Arc<StoredReads>,
    /// The time by which everything is judged.
    pub now: DateTime<Utc>,
    /// Whether the resources are those of the sandbox, where what a policy names
    /// need not exist.
    pub is_sandbox: bool,
    /// Receives progress events.
    pub observer: &'p dyn Observer,
}

/// The part of a run's time in which nothing more is read about single
/// resources, so that what was decided is carried out: a fourth.
const FOR_SWEEPING: u32 = 4;

/// What a survey is based on.
pub struct AuditScope<'p> {
    policy_scopes: Vec<PolicyScope<'p>>,
    /// Every kind, in the order of deletions, and how they depend on each other.
    graph: KindGraph,
    targets: Vec<Target>,
    /// Places and providers that cannot be seen.
    gaps: Vec<Evidence>,
}

impl AuditScope<'_> {
    /// Returns the places in which something is listed.
    pub fn places(&self) -> BTreeSet<Arc<Place>> {
        let targets = self.targets.iter();
        targets.map(|target| Arc::clone(&target.place)).collect()
    }
}

/// Which garbage a sweep takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// All of it, up to the maximum of a run.
    #[default]
    All,
    /// What people approved in the tracking issue.
    Approved,
}

/// What was listed, how it is judged, and what a sweep would do. Every command that
/// reads resources begins with one.
pub struct Audit<'s> {
    /// How it was judged, to judge again.
    pub survey: Survey<'s>,
    /// The resources and their verdicts.
    pub findings: Findings<'s>,
    /// What a sweep would do.
    pub plan: Plan,
    /// The brakes that stop it.
    pub brakes: Vec<Brake>,
    /// The report about it.
    pub report: Report,
}

/// What a sweep is to do, and how it is stopped.
#[derive(Debug, Clone, Copy)]
pub struct SweepOrder<'a> {
    /// The plan.
    pub plan_file: &'a PlanFile,
    /// What the audit of this run plans, of which the garbage that it leaves for a
    /// later run is reported; empty where people chose what is deleted.
    pub plan: &'a Plan,
    /// The brakes that trip: with any of them nothing is deleted.
    pub brakes: &'a [Brake],
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

impl<'p> Collector<'p> {
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

    /// Lists what exists.
    ///
    /// # Errors
    ///
    /// What names a zone or project outside of the scope: then nothing was
    /// listed.
    pub async fn list(&self) -> Result<(AuditScope<'p>, Inventory), Vec<Diagnostic>> {
        let (mut places, wanted) = self.places();
        let has = |api| self.client.has(api);
        let named = NamedPlaces {
            files: self.files,
            scopes: &self.scopes,
            is_sandbox: self.is_sandbox,
            has: &has,
        };
        // The listings wait only for a look-up that may refuse the run.
        let mut listed = None;
        let (looked_up, wanted) = if named.names_zones() {
            let zones = listed.insert(self.list_zones().await);
            (self.look_up(wanted, zones).await, Vec::new())
        } else {
            (Vec::new(), wanted)
        };
        let (mistakes, gaps) = named.compare(&looked_up);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        places.gaps.extend(gaps);
        let mut targets = self.targets(&places.needed);
        let at_once = places::at_once(&targets);
        let zones = async {
            let listed = match listed {
                Some(listed) => listed,
                None => self.list_zones().await,
            };
            let zones = [looked_up, self.look_up(wanted, &listed).await].into_iter();
            let zones = zones.flatten().collect();
            self.in_zones(zones, listed, &mut places).await
        };
        let (mut inventory, (in_zones, targets_in_zones)) = tokio::join!(
            scan::inventory(&self.client, &at_once, self.observer),
            zones
        );
        inventory.extend(in_zones);
        inventory.listings.append(&mut places.unseen);
        targets.extend(targets_in_zones);
        let files = self.files.iter().zip(&places.of_files);
        let policy_scopes = files.map(|(policy, places)| PolicyScope {
            policy,
            places: places.clone(),
        });
        let audit_scope = AuditScope {
            policy_scopes: policy_scopes.collect(),
            graph: KindGraph::of(providers::vocabulary()),
            targets,
            gaps: places.gaps,
        };
        Ok((audit_scope, inventory))
    }

    /// Judges what was listed since then, and plans.
    pub async fn audit<'s>(
        &'s self,
        audit_scope: &'s AuditScope<'p>,
        inventory: Inventory,
        since: Instant,
        choice: Choice,
    ) -> Audit<'s> {
        let mut survey = self.survey(audit_scope);
        survey.approved = choice == Choice::Approved;
        let mut findings = survey.judge(inventory, since).await;
        let plan = match choice {
            Choice::All => self.plan_for(&survey, &mut findings).await,
            Choice::Approved => approved(&findings),
        };
        let brakes = self.brakes(&findings);
        let report = self.report(audit_scope, &findings, &plan, &brakes);
        Audit {
            survey,
            findings,
            plan,
            brakes,
            report,
        }
    }

    /// How what was listed is judged.
    pub fn survey<'s>(&'s self, audit_scope: &'s AuditScope<'p>) -> Survey<'s> {
        Survey {
            client: self.client.clone(),
            input: JudgeInput {
                policy_scopes: &audit_scope.policy_scopes,
                graph: &audit_scope.graph,
                grace: self.limits.grace,
                grace_on_close: self.limits.grace_on_close,
                only_pull_request: self.only_pull_request,
                only_kinds: self.only_kinds,
                brought_back: Arc::clone(&self.brought_back),
                to_delete: None,
                contradicted: Arc::default(),
                now: self.now,
            },
            targets: audit_scope.targets.clone(),
            repository_ids: self.repository_ids.clone(),
            issue_authors: self.issue_authors.clone(),
            approved: false,
            reread_after: self.limits.reread_after,
            agreed_at: None,
            budget: Budget {
                maximum: self.limits.reference_reads,
                left: self.limits.reference_reads,
                until: self.client.deadline() - self.limits.deadline / FOR_SWEEPING,
                leaves_quota: true,
                stored_reads: Arc::clone(&self.stored_reads),
                now: self.client.earliest(self.now),
            },
            observer: self.observer,
        }
    }

    /// What a sweep would do. Roots that are not complete stop the run: then
    /// there is no plan.
    pub fn plan(&self, findings: &Findings<'_>) -> Plan {
        if findings.roots.gap().is_some() {
            return Plan::default();
        }
        plan(
            &findings.inventory,
            &findings.marking,
            self.limits.max_deletions,
        )
    }

    /// What a sweep does: nothing that is used by garbage which has to wait.
    pub async fn plan_for<'s>(&self, survey: &Survey<'s>, findings: &mut Findings<'s>) -> Plan {
        if findings.roots.gap().is_some() {
            return Plan::default();
        }
        survey.plan(findings, self.limits.max_deletions).await
    }

    /// The brakes that stop a sweep.
    pub fn brakes(&self, findings: &Findings<'_>) -> Vec<Brake> {
        brakes(
            &findings.inventory,
            &findings.marking,
            self.limits.brake,
            self.only_pull_request.is_some(),
        )
    }

    /// Makes the report.
    pub fn report(
        &self,
        audit_scope: &AuditScope<'_>,
        findings: &Findings<'_>,
        plan: &Plan,
        brakes: &[Brake],
    ) -> Report {
        Report::of(ReportInput {
            inventory: &findings.inventory,
            roots: &findings.roots,
            marking: &findings.marking,
            plan,
            brakes: brakes.to_vec(),
            evidence: audit_scope.gaps.clone(),
            quota: self.client.quota_use(),
            clock_skew: self.client.clock_skew(),
            web: self.client.github_pages(),
            // A sandbox inside the program has no address.
            addresses: if self.is_sandbox {
                Addresses::default()
            } else {
                self.client.addresses()
            },
        })
    }

    /// What a plan of this run is bound to.
    pub fn bound(&self, audit_scope: &AuditScope<'_>) -> Bound {
        let hosts = PROVIDERS.iter().map(|provider| provider.about());
        let hosts =
            hosts.filter_map(|about| Some((about.key.to_owned(), self.client.host(about.api)?)));
        let places = audit_scope.targets.iter();
        let repositories = self.files.iter();
        Bound {
            hosts: hosts.collect(),
            places: places.map(|target| Place::clone(&target.place)).collect(),
            repositories: repositories
                .map(|file| file.repository.full_name().to_lowercase())
                .collect(),
        }
    }

    /// The plan as a document.
    pub fn plan_file(
        &self,
        audit_scope: &AuditScope<'_>,
        findings: &Findings<'_>,
        plan: &Plan,
        report: &Report,
    ) -> PlanFile {
        PlanFile::new(
            plan,
            &findings.inventory,
            &findings.marking,
            report.evidence.clone(),
            self.bound(audit_scope),
        )
    }

    /// Writes down what was read about single resources, for the next run. What
    /// cannot be written is read again.
    pub fn store_reads(&self, folder: &Path) {
        let _ = self.stored_reads.save(folder, self.client.clock().now());
    }

    /// Settles what earlier runs left in doubt, removes expiries from what stays
    /// after all, and carries a plan out, up to the cap; where a brake
    /// [stops](stopped) the sweep nothing is deleted, and without complete roots
    /// nothing at all is done. If `stop` is set, the steps in flight are finished
    /// and no more are started.
    ///
    /// # Errors
    ///
    /// When there can be no journal, the plan is about what is not known, or it
    /// cannot be read what people keep: then nothing was sent.
    pub async fn sweep(
        &self,
        survey: &Survey<'_>,
        findings: &Findings<'_>,
        order: &SweepOrder<'_>,
    ) -> Result<Swept, SweepError> {
        let SweepOrder {
            plan_file,
            folder,
            stop,
            ..
        } = *order;
        self.reads_marks()?;
        // Nothing is sent whose effect could not be read before the deadline.
        let finishing = survey.client.clone();
        let survey = &survey.over(finishing.ending_earlier(self.limits.closing()));
        self.store_reads(folder);
        if findings.roots.gap().is_some() {
            return Ok(Swept::default());
        }
        let is_braked = stopped(findings, order.brakes);
        let kinds = survey.input.graph.kinds();
        let mut swept = Swept {
            settled: recover(&survey.client, folder, findings, kinds).await?,
            ..Swept::default()
        };
        let maximum = self.limits.max_deletions.min(plan_file.steps.len());
        let (steps, kept_back) = if is_braked {
            (&[][..], &[][..])
        } else {
            plan_file.steps.split_at(maximum)
        };
        let unwanted = unwanted(&survey.client, folder, findings, kinds)?;
        let mut unexpired = Vec::new();
        if !steps.is_empty() || !unwanted.is_empty() {
            let mut ids = plan_file.resources(kinds)?;
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
            let reread_after = self.limits.reread_after;
            let sweep = Sweep::new(survey, steps, ids, reread_after, journal, stop.clone());
            let resources = &findings.inventory.resources;
            let later = order.plan.deferred.iter();
            let later = later.filter_map(|&index| resources.get(index).cloned());
            let sweep = sweep.with_deferred(later.collect());
            let sweep = sweep.finishing_with(finishing);
            let sweep = sweep.with_own_ids(self.limits.workers_by_id);
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
            let maximum = self.limits.max_deletions;
            swept.steps.extend(not_begun(findings, order.plan, maximum));
        }
        // A failure to prune does not affect the sweep: the next run prunes.
        let _ = journal::prune(folder, survey.client.clock().now());
        Ok(swept)
    }
}

/// Whether a sweep is over before its first deletion: its roots are not
/// complete, or a brake trips.
pub fn stopped(findings: &Findings<'_>, brakes: &[Brake]) -> bool {
    findings.roots.gap().is_some() || !brakes.is_empty()
}

/// What a sweep does of what people ticked for deletion in the tracking issue,
/// and of nothing else.
fn approved(findings: &Findings<'_>) -> Plan {
    only(findings, |resource, key| {
        findings.roots.is_checked_for_deletion(key, resource)
    })
}

/// What a sweep does of the resources that are wanted, each given with its key,
/// whatever the cap, and of nothing else.
pub fn only(findings: &Findings<'_>, wanted: impl Fn(&Resource, &str) -> bool) -> Plan {
    if findings.roots.gap().is_some() {
        return Plan::default();
    }
    let resources = &findings.inventory.resources;
    let mut plan = plan(&findings.inventory, &findings.marking, usize::MAX);
    let wanted = |index: usize| {
        let resource = &resources[index];
        wanted(resource, &box_key::of(&resource.identity()))
    };
    let steps = plan.steps.clone();
    plan.defer(|step| !wanted(step.resource));
    plan.deferred.retain(|index| wanted(*index));
    plan.held.retain(|index, _| wanted(*index));
    plan.waits.retain(|index, _| wanted(*index));
    for index in plan.deferred.clone() {
        let why = || waits_for(&steps, resources, index, &wanted);
        plan.waits.entry(index).or_insert_with(why);
    }
    plan
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

/// Returns why a wanted resource waits: for another one that is not wanted.
fn waits_for(
    steps: &[Step],
    resources: &[Resource],
    index: usize,
    wanted: &impl Fn(usize) -> bool,
) -> String {
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = steps
        .iter()
        .position(|step| step.resource == index)
        .into_iter()
        .collect();
    while let Some(at) = open.pop() {
        let step = &steps[at];
        if !wanted(step.resource) {
            let other = resources[step.resource].identity();
            return format!("it waits for {other}, which was not chosen");
        }
        if seen.insert(at) {
            open.extend(step.needs());
        }
    }
    "it waits for something that was not chosen".to_owned()
}
