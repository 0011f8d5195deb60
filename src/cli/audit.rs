//! `preview-gc audit` and `explain`: resources, roots, verdicts, report.
//! Nothing is ever written to a provider from here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use tokio::time::Instant;

use super::args::{AuditArgs, Format};
use super::connect::Connection;
use super::progress::Progress;
use super::session::{Session, look};
use super::settings::{self, Limits, Scope};
use super::{Exit, Failure, actions, print};
use crate::evidence::{Evidence, Inventory};
use crate::gc::mark::{Jurisdiction, Law};
use crate::gc::sealed::Bound;
use crate::gc::ticks::{self, Ticks};
use crate::gc::{Plan, SealedPlan, brakes, plan};
use crate::kinds::{self, Kind, PageOf};
use crate::model::{Api, KindRef, Place, PlaceSort, PullRequestNumber, Repository};
use crate::policy::{Policies, Policy};
use crate::report::table::Look;
use crate::report::{Report, Run, csv, explain, json, markdown, table};
use crate::scan::{self, Target};
use crate::survey::{Findings, Survey};
use crate::wire::Client;

pub(super) async fn run(arguments: AuditArgs, explained: Option<String>) -> Result<Exit, Failure> {
    let session = Session::open(&arguments.common)?;
    session.warn(&arguments.common);
    let audit = Audit::of(&session, arguments.pr)?;
    let since = Instant::now();
    let (ground, inventory) = audit.list().await?;
    let survey = audit.survey(&ground);
    let mut findings = survey.judge(inventory, since).await;
    let plan = if arguments.out.is_some() {
        audit.plan_for(&survey, &mut findings).await
    } else {
        audit.plan(&findings)
    };
    let report = audit.report(&ground, &findings, &plan);
    session.progress.end();
    if let Some(path) = &arguments.out {
        let sealed = SealedPlan::seal(
            &plan,
            &findings.inventory,
            &findings.marking,
            report.evidence.clone(),
            audit.bound(&ground),
        );
        std::fs::write(path, sealed.text()).map_err(|error| {
            Failure::Usage(format!(
                "cannot write the plan to {}: {error}",
                path.display()
            ))
        })?;
    }
    match explained {
        Some(name) => {
            let text = explain::render(&report, &name).ok_or_else(|| {
                Failure::Usage(format!(
                    "there is no resource called {name:?} in this scope"
                ))
            })?;
            print(&text)?;
        }
        None => print(&render(
            &report,
            arguments.common.format,
            look(&arguments.common),
        )?)?,
    }
    actions::tell(&report, None);
    actions::measure(&arguments.common, &report)?;
    Ok(exit(&report, arguments.fail_on_garbage))
}

/// The first code that applies.
pub(super) fn exit(report: &Report, fail_on_garbage: bool) -> Exit {
    if !report.complete {
        Exit::Incomplete
    } else if fail_on_garbage && report.garbage() > 0 {
        Exit::Garbage
    } else {
        Exit::Ok
    }
}

pub(super) fn render(report: &Report, format: Format, look: Look) -> Result<String, Failure> {
    let unexpected = |error: &dyn std::fmt::Display| Failure::Unexpected(error.to_string());
    match format {
        Format::Table => Ok(table::render(report, look)),
        Format::Json => json::render(report).map_err(|error| unexpected(&error)),
        Format::Csv => csv::render(report).map_err(|error| unexpected(&error)),
        Format::Markdown => Ok(markdown::render(report)),
    }
}

pub(super) struct Audit<'a> {
    client: &'a Client,
    connection: &'a Connection,
    policies: &'a Policies,
    limits: Limits,
    only: Option<PullRequestNumber>,
    shown: Option<&'a [KindRef]>,
    progress: &'a Progress,
}

/// Places of a run with what is listed in each.
#[derive(Default)]
struct Places {
    /// By policy file.
    of_files: Vec<BTreeSet<Place>>,
    /// Every place that is known by its id, with the kinds that rules need in
    /// it.
    needed: BTreeMap<Place, BTreeSet<KindRef>>,
    /// Places and providers that cannot be seen.
    gaps: Vec<Evidence>,
}

impl Places {
    fn need(&mut self, place: Place, kinds: BTreeSet<KindRef>) {
        self.needed.entry(place).or_default().extend(kinds);
    }
}

/// A zone that a policy file names.
struct WantedZone {
    file: usize,
    account: String,
    zone: String,
    /// The kinds that the file's rules need in it.
    needed: BTreeSet<KindRef>,
}

/// What a survey stands on.
pub(super) struct Ground<'p> {
    jurisdictions: Vec<Jurisdiction<'p>>,
    /// Every kind, those that get verdicts first and in the order of deletions.
    pub(super) kinds: Vec<KindRef>,
    targets: Vec<Target>,
    /// Places and providers that cannot be seen.
    gaps: Vec<Evidence>,
}

impl<'p> Audit<'p> {
    /// The audit of a session.
    pub(super) fn of(session: &'p Session, only: Option<u32>) -> Result<Self, Failure> {
        session.require_github()?;
        let only = only.and_then(PullRequestNumber::new);
        if only.is_some() {
            session.require_one_repository()?;
        }
        Ok(Self {
            client: &session.client,
            connection: &session.connection,
            policies: &session.policies,
            limits: session.limits,
            only,
            shown: session.shown.as_deref(),
            progress: &session.progress,
        })
    }

    /// Lists what exists.
    pub(super) async fn list(&self) -> Result<(Ground<'p>, Inventory), Failure> {
        let (mut places, zones) = self.places()?;
        // Zones have to be looked up first; the others need not wait for that.
        let mut targets = self.targets(&places.needed);
        let (mut inventory, (in_zones, targets_in_zones)) = tokio::join!(
            scan::inventory(self.client, &targets, self.progress),
            self.in_zones(&zones, &mut places)
        );
        inventory.extend(in_zones);
        targets.extend(targets_in_zones);
        let strangers = self.strangers(&places);
        places.gaps.extend(strangers);
        let files = self.policies.files.iter().zip(&places.of_files);
        let jurisdictions = files.map(|(policy, places)| Jurisdiction {
            policy,
            places: places.clone(),
        });
        let ground = Ground {
            jurisdictions: jurisdictions.collect(),
            kinds: kinds::KINDS.iter().map(|kind| kind.about()).collect(),
            targets,
            gaps: places.gaps,
        };
        Ok((ground, inventory))
    }

    /// How what was listed is judged.
    pub(super) fn survey<'s>(&'s self, ground: &'s Ground<'p>) -> Survey<'s> {
        let repositories = self.policies.files.iter().map(|file| &file.repository);
        let known = repositories
            .filter_map(|repository| Some((repository.clone(), self.expected_id(repository)?)));
        Survey {
            client: self.client.clone(),
            law: Law {
                jurisdictions: &ground.jurisdictions,
                kinds: &ground.kinds,
                grace: self.limits.grace,
                grace_on_close: self.limits.grace_on_close,
                only: self.only,
                shown: self.shown,
                going: None,
                now: self.connection.clock.start(),
            },
            targets: ground.targets.clone(),
            repository_ids: known.collect(),
            reference_reads: self.limits.reference_reads,
            observer: self.progress,
        }
    }

    /// What a sweep would do. Roots that are not complete stop the run: then
    /// there is no plan.
    pub(super) fn plan(&self, findings: &Findings<'_>) -> Plan {
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
    pub(super) async fn plan_for<'s>(
        &self,
        survey: &Survey<'s>,
        findings: &mut Findings<'s>,
    ) -> Plan {
        if findings.roots.gap().is_some() {
            return Plan::default();
        }
        survey.plan(findings, self.limits.max_deletions).await
    }

    /// What is said about it all.
    pub(super) fn report(
        &self,
        ground: &Ground<'_>,
        findings: &Findings<'_>,
        plan: &Plan,
    ) -> Report {
        Report::of(Run {
            inventory: &findings.inventory,
            roots: &findings.roots,
            marking: &findings.marking,
            plan,
            brakes: brakes(
                &findings.inventory,
                &findings.marking,
                self.limits.brake,
                self.only.is_some(),
            ),
            evidence: ground.gaps.clone(),
            quota: self.client.quota_use(),
        })
    }

    /// What a plan of this run is bound to.
    pub(super) fn bound(&self, ground: &Ground<'_>) -> Bound {
        let apis = [Api::Cloudflare, Api::Neon, Api::GitHub];
        let hosts = apis
            .into_iter()
            .filter_map(|api| Some((api.key().to_owned(), self.client.host(api)?)));
        Bound {
            hosts: hosts.collect(),
            places: ground
                .targets
                .iter()
                .map(|target| Place::clone(&target.place))
                .collect(),
            repositories: self
                .policies
                .files
                .iter()
                .map(|file| file.repository.full_name().to_lowercase())
                .collect(),
        }
    }

    /// The id that Actions says the repository has.
    fn expected_id(&self, repository: &Repository) -> Option<u64> {
        let variables = &self.connection.variables;
        let here = variables.get("GITHUB_REPOSITORY")?;
        let same = Repository::parse(&here)? == *repository;
        same.then(|| variables.get("GITHUB_REPOSITORY_ID"))??
            .parse()
            .ok()
    }

    /// Every file's scope as places, and the zones that have to be looked up.
    fn places(&self) -> Result<(Places, Vec<WantedZone>), Failure> {
        let mut places = Places::default();
        let mut zones = Vec::new();
        for (file, policy) in self.policies.files.iter().enumerate() {
            let of_file = self.places_of(file, policy, &mut places, &mut zones)?;
            places.of_files.push(of_file);
        }
        Ok((places, zones))
    }

    fn places_of(
        &self,
        file: usize,
        policy: &Policy,
        places: &mut Places,
        zones: &mut Vec<WantedZone>,
    ) -> Result<BTreeSet<Place>, Failure> {
        let needed = settings::needed(policy);
        for api in [Api::Cloudflare, Api::Neon, Api::GitHub] {
            let kinds: Vec<_> = needed
                .iter()
                .filter(|kind| kind.0.api == api)
                .map(|kind| kind.name())
                .collect();
            if !kinds.is_empty() && !self.client.has(api) {
                let variable = match api {
                    Api::Neon => "NEON_API_KEY",
                    Api::Cloudflare => "CLOUDFLARE_API_TOKEN",
                    Api::GitHub => "GITHUB_TOKEN",
                };
                let why = format!(
                    "no credentials: set {variable} ({} needs them)",
                    policy.path
                );
                places.gaps.push(gap(api.key(), &kinds.join(", "), why));
            }
        }
        let configured: BTreeSet<_> = needed
            .iter()
            .copied()
            .filter(|kind| self.client.has(kind.0.api))
            .collect();
        let scope = Scope::of(policy, &self.connection.variables);
        // The stand-in's scope is its whole world, however small.
        if !self.connection.variables.are_the_sandboxes() {
            scope.check(policy, &configured)?;
        }
        let of_sort = |sort: PlaceSort| -> BTreeSet<KindRef> {
            needed
                .iter()
                .copied()
                .filter(|kind| kind.0.place == sort)
                .collect()
        };
        let mut found = BTreeSet::new();
        let in_repository = of_sort(PlaceSort::Repository);
        let kept_there = policy.protects.iter().any(|entry| {
            let mut kinds = entry.kinds.iter().flatten();
            kinds.any(|kind| kind.0.place == PlaceSort::Repository)
        });
        if self.client.has(Api::GitHub) && (kept_there || !in_repository.is_empty()) {
            let repository = Place::Repository(policy.repository.full_name().to_owned());
            found.insert(repository.clone());
            places.need(repository, in_repository);
        }
        if self.client.has(Api::Neon) {
            for project in &scope.projects {
                found.insert(Place::Project(project.clone()));
                places.need(Place::Project(project.clone()), of_sort(PlaceSort::Project));
            }
        }
        if let Some(account) = scope.account.filter(|_| self.client.has(Api::Cloudflare)) {
            found.insert(Place::Account(account.clone()));
            places.need(Place::Account(account.clone()), of_sort(PlaceSort::Account));
            zones.extend(scope.zones.into_iter().map(|zone| WantedZone {
                file,
                account: account.clone(),
                zone,
                needed: of_sort(PlaceSort::Zone),
            }));
        }
        Ok(found)
    }

    /// Looks zones up and lists what is in them.
    async fn in_zones(
        &self,
        zones: &[WantedZone],
        places: &mut Places,
    ) -> (Inventory, Vec<Target>) {
        let mut needed: BTreeMap<Place, BTreeSet<KindRef>> = BTreeMap::new();
        let answers = join_all(
            zones
                .iter()
                .map(|wanted| scan::zone(self.client, &wanted.account, &wanted.zone)),
        );
        for (wanted, answer) in zones.iter().zip(answers.await) {
            match answer {
                Ok(zone) => {
                    if let Some(of_file) = places.of_files.get_mut(wanted.file) {
                        of_file.insert(zone.clone());
                    }
                    needed
                        .entry(zone)
                        .or_default()
                        .extend(wanted.needed.iter().copied());
                }
                Err(mut evidence) => {
                    evidence.needed = !wanted.needed.is_empty();
                    places.gaps.push(evidence);
                }
            }
        }
        let targets = self.targets(&needed);
        let inventory = scan::inventory(self.client, &targets, self.progress).await;
        (inventory, targets)
    }

    /// Zones and projects that a rule or a `protect` entry names and that are
    /// not in its file's scope: it would never apply, and nobody would notice.
    fn strangers(&self, places: &Places) -> Vec<Evidence> {
        let mut gaps = Vec::new();
        let sandbox = self.connection.variables.are_the_sandboxes();
        for (policy, found) in self.policies.files.iter().zip(&places.of_files) {
            // The stand-in's scope is its whole world, however small.
            let zones_told =
                (!sandbox || policy.scope.zones.is_some()) && self.client.has(Api::Cloudflare);
            let projects_told =
                (!sandbox || policy.scope.projects.is_some()) && self.client.has(Api::Neon);
            // `project` may also mean what holds Pages deployments.
            let neon = |kinds: &[KindRef]| {
                kinds.is_empty() || kinds.iter().any(|kind| kind.0.place == PlaceSort::Project)
            };
            let rules = policy
                .rules
                .iter()
                .map(|rule| (&rule.place, &rule.location, neon(&rule.kinds)));
            let protects = policy.protects.iter().map(|entry| {
                let kinds = entry.kinds.as_deref().unwrap_or_default();
                (&entry.place, &entry.location, neon(kinds))
            });
            for (applies, location, neon) in rules.chain(protects) {
                let zones = applies.zones.iter().flatten().filter(|_| zones_told);
                let projects = applies
                    .projects
                    .iter()
                    .flatten()
                    .filter(|_| projects_told && neon);
                for (sort, name) in zones
                    .map(|zone| ("zone", zone))
                    .chain(projects.map(|project| ("project", project)))
                {
                    let scope = format!("{sort} {name}");
                    let known = found.iter().any(|place| place.is(sort, name));
                    let missed = places.gaps.iter().any(|gap| gap.scope == scope);
                    if !known && !missed {
                        let why = format!("{location} names it, and it is not in the scope");
                        gaps.push(gap("policy", &scope, why));
                    }
                }
            }
        }
        gaps
    }

    /// What to list: every kind in its places, those that others depend on
    /// included.
    fn targets(&self, places: &BTreeMap<Place, BTreeSet<KindRef>>) -> Vec<Target> {
        let needed: BTreeSet<KindRef> = self
            .policies
            .files
            .iter()
            .flat_map(settings::needed)
            .collect();
        let depends = |kind: &dyn Kind| {
            let about = kind.about().0;
            needed.iter().any(|needed| {
                about.uses.contains(&needed.name()) || about.manages == Some(needed.name())
            })
        };
        let protected: BTreeSet<KindRef> = self
            .policies
            .files
            .iter()
            .flat_map(|file| &file.protects)
            .flat_map(|entry| entry.kinds.iter().flatten().copied())
            .collect();
        // What somebody protects keeps what it belongs to.
        let kept = |kind: &KindRef| {
            let mut entries = self.policies.files.iter().flat_map(|file| &file.protects);
            entries.any(|entry| {
                entry
                    .kinds
                    .as_ref()
                    .is_none_or(|kinds| kinds.contains(kind))
            })
        };
        // What no rule can be about, directly or through others, is not listed.
        let by_holder = |kind: &dyn Kind| {
            let anywhere = Place::Account(String::new());
            kind.holders(&anywhere, &PageOf::First).is_some()
        };
        let relevant = |kind: &dyn Kind| {
            let about = kind.about();
            let hangs_on = |kind: &KindRef| about.0.belongs_to == Some(kind.name());
            needed.contains(&about)
                || protected.contains(&about)
                || depends(kind)
                // Where that takes a request for each holder, only if a rule says so.
                || (!by_holder(kind) && needed.iter().any(hangs_on))
                || needed
                    .iter()
                    .any(|kind| about.0.blocks == Some(kind.name()))
        };
        let wanted = |kind: &dyn Kind| {
            let about = kind.about();
            let Some(shown) = self.shown else { return true };
            shown.contains(&about)
                || shown.iter().any(|shown| {
                    let name = Some(shown.name());
                    about.0.uses.contains(&shown.name())
                        || [about.0.manages, about.0.belongs_to, about.0.blocks].contains(&name)
                })
        };
        let activity: BTreeSet<KindRef> = self
            .policies
            .files
            .iter()
            .flat_map(|file| file.rules.iter())
            .filter(|rule| rule.asks_about_activity())
            .flat_map(|rule| rule.kinds.iter().copied())
            .collect();
        let mut targets = Vec::new();
        for (place, needed_here) in places {
            let place = Arc::new(place.clone());
            for kind in kinds::KINDS {
                let about = kind.about();
                let here = matches!(
                    (about.0.place, &*place),
                    (PlaceSort::Account, Place::Account(_))
                        | (PlaceSort::Zone, Place::Zone { .. })
                        | (PlaceSort::Project, Place::Project(_))
                        | (PlaceSort::Repository, Place::Repository(_))
                );
                if here && relevant(*kind) && wanted(*kind) {
                    targets.push(Target {
                        kind: *kind,
                        place: place.clone(),
                        needed: needed_here.contains(&about)
                            || depends(*kind)
                            || (about.0.belongs_to.is_some() && kept(&about)),
                        activity: activity.contains(&about),
                        holders: None,
                    });
                }
            }
        }
        targets
    }
}

/// What a sweep does of what people ticked for deletion in the tracking issue,
/// and of nothing else.
pub(super) fn approved(findings: &Findings<'_>) -> Plan {
    if findings.roots.gap().is_some() {
        return Plan::default();
    }
    let roots = findings.roots.repositories.values();
    let issues = roots.filter_map(|roots| roots.issue.as_ref());
    let ticked: BTreeSet<String> = issues
        .flat_map(|issue| Ticks::read(&issue.body).delete)
        .collect();
    let resources = &findings.inventory.resources;
    let mut plan = plan(&findings.inventory, &findings.marking, usize::MAX);
    plan.defer(|step| !ticked.contains(&ticks::key(&resources[step.resource].identity())));
    plan.deferred.clear();
    plan
}

fn gap(source: &str, scope: &str, why: String) -> Evidence {
    Evidence {
        source: source.to_owned(),
        scope: scope.to_owned(),
        requests: 0,
        items: 0,
        total: None,
        complete: false,
        gap: Some(why),
        needed: true,
    }
}
