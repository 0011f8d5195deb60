//! The collector: one run, from listing to sweeping. Arguments, environment,
//! consent and printing belong to the command line.
//!
//! ```no_run
//! use preview_gc::collector::{Choice, Collector, SweepOrder};
//! use preview_gc::sweep::{Stop, Swept};
//!
//! # async fn run(collector: &Collector<'_>, folder: &std::path::Path)
//! # -> Result<Swept, Box<dyn std::error::Error>> {
//! let listed = collector.list().await;
//! let (scope, listed) = listed.map_err(|mistakes| format!("{mistakes:?}"))?;
//! let audit = collector.audit(&scope, listed, Choice::All).await;
//! println!("{}", audit.report.summary.would_delete);
//! let order = SweepOrder {
//!     plan_file: &audit.plan_file(),
//!     plan: &audit.plan,
//!     folder,
//!     stop: &Stop::default(),
//! };
//! let swept = audit.sweep(&order).await?;
//! # Ok(swept)
//! # }
//! ```

mod choice;
mod limits;
mod out_of_scope;
mod places;
mod scope;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use self::choice::{approved, only};
use crate::evidence::{Evidence, Inventory};
use crate::gc::mark::{BroughtBack, JudgeInput, PolicyScope};
use crate::gc::plan_file::{PlanFile, PlanTarget};
use crate::gc::{Brake, KindGraph, Plan, brakes};
use crate::journal::reads::StoredReads;
use crate::model::{KindRef, Place, PullRequestNumber, Repository, Resource};
use crate::policy::{Diagnostic, Policy};
use crate::progress::Observer;
use crate::providers::{self, Addresses, PROVIDERS};
use crate::report::{Report, ReportInput};
use crate::roots::github::Authors;
use crate::scan::{self, Budget, Target};
use crate::survey::{Findings, Survey};
use crate::wire::Client;

pub use choice::Choice;
pub use limits::Limits;
pub use out_of_scope::NamedPlaces;
pub use scope::{Scope, needed};
pub use sweep::{SweepError, SweepOrder};

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

/// The resources that were listed.
pub struct Listed {
    inventory: Inventory,
    /// When the first request left: nothing in the inventory is older.
    since: Instant,
}

/// The targets, what was listed there, how it is judged, and what a sweep would do.
/// Every command that reads resources begins with one.
pub struct Audit<'s> {
    /// The run that made it.
    pub collector: &'s Collector<'s>,
    /// Where it looked, and what it could not see.
    pub audit_scope: &'s AuditScope<'s>,
    /// How it was judged, to judge again.
    pub survey: Survey<'s>,
    /// The resources, their roots and their verdicts.
    pub findings: Findings<'s>,
    /// What a sweep would do.
    pub plan: Plan,
    /// The brakes that stop it.
    pub brakes: Vec<Brake>,
    /// The report about it.
    pub report: Report,
}

impl Audit<'_> {
    /// The plan as a document.
    pub fn plan_file(&self) -> PlanFile {
        self.plan_file_of(&self.plan)
    }

    /// The plan for the resources that a person wants, each given with its key, as a
    /// document: whatever the maximum of a run, and of nothing else.
    pub fn plan_file_for(&self, wanted: impl Fn(&Resource, &str) -> bool) -> PlanFile {
        self.plan_file_of(&only(&self.findings, wanted))
    }

    fn plan_file_of(&self, plan: &Plan) -> PlanFile {
        PlanFile::new(
            plan,
            &self.findings.inventory,
            &self.findings.marking,
            self.report.evidence.clone(),
            self.plan_target(),
        )
    }

    /// What a plan of this audit is bound to.
    pub fn plan_target(&self) -> PlanTarget {
        self.collector.plan_target(self.audit_scope)
    }

    /// Whether a sweep is over before its first deletion: its roots are not complete, or
    /// a brake trips.
    pub fn is_stopped(&self) -> bool {
        self.findings.roots.gap().is_some() || !self.brakes.is_empty()
    }
}

impl<'p> Collector<'p> {
    /// Lists what exists.
    ///
    /// # Errors
    ///
    /// What names a zone or project outside of the scope: then nothing was
    /// listed.
    pub async fn list(&self) -> Result<(AuditScope<'p>, Listed), Vec<Diagnostic>> {
        let since = Instant::now();
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
            graph: KindGraph::of(providers::vocabulary(), providers::source_names()),
            targets,
            gaps: places.gaps,
        };
        Ok((audit_scope, Listed { inventory, since }))
    }

    /// Judges what was listed, and plans.
    pub async fn audit<'s>(
        &'s self,
        audit_scope: &'s AuditScope<'p>,
        listed: Listed,
        choice: Choice,
    ) -> Audit<'s> {
        let mut survey = self.survey(audit_scope);
        survey.approved = choice == Choice::Approved;
        let mut findings = survey.judge(listed.inventory, listed.since).await;
        let plan = match choice {
            Choice::All => self.plan_for(&survey, &mut findings).await,
            Choice::Approved => approved(&findings),
        };
        let brakes = self.brakes(&findings);
        let report = self.report(audit_scope, &findings, &plan, &brakes);
        Audit {
            collector: self,
            audit_scope,
            survey,
            findings,
            plan,
            brakes,
            report,
        }
    }

    /// How what was listed is judged.
    fn survey<'s>(&'s self, audit_scope: &'s AuditScope<'p>) -> Survey<'s> {
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
                calibrated: Arc::default(),
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

    /// What a sweep does: nothing that is used by garbage which has to wait. Roots that
    /// are not complete stop the run: then there is no plan.
    async fn plan_for<'s>(&self, survey: &Survey<'s>, findings: &mut Findings<'s>) -> Plan {
        if findings.roots.gap().is_some() {
            return Plan::default();
        }
        survey.plan(findings, self.limits.max_deletions).await
    }

    /// The brakes that stop a sweep.
    fn brakes(&self, findings: &Findings<'_>) -> Vec<Brake> {
        brakes(
            &findings.inventory,
            &findings.marking,
            self.limits.brake,
            self.only_pull_request.is_some(),
        )
    }

    /// Makes the report.
    fn report(
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
    fn plan_target(&self, audit_scope: &AuditScope<'_>) -> PlanTarget {
        let hosts = PROVIDERS.iter().map(|provider| provider.about());
        let hosts =
            hosts.filter_map(|about| Some((about.key.to_owned(), self.client.host(about.api)?)));
        let places = audit_scope.targets.iter();
        let repositories = self.files.iter();
        PlanTarget {
            hosts: hosts.collect(),
            places: places.map(|target| Place::clone(&target.place)).collect(),
            repositories: repositories
                .map(|file| file.repository.full_name().to_lowercase())
                .collect(),
        }
    }

    /// Writes down what was read about single resources, for the next run. What
    /// cannot be written is read again.
    pub fn store_reads(&self, folder: &Path) {
        let _ = self.stored_reads.save(folder, self.client.clock().now());
    }
}
