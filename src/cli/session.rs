//! The setup of every command that reads: connection, policies, limits, client.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::RunFailure;
use super::args::{ColorChoice, CommonArgs};
use super::connect::{ProviderConnections, is_loopback};
use super::journals::folder_of;
use super::progress::Progress;
use super::settings;
use super::terminal::wants_colour;
use crate::clock::Clock;
use crate::collector::{AuditScope, Collector, Limits, Listed, NamedPlaces, Scope, needed};
use crate::gc::mark::BroughtBack;
use crate::journal::reads::StoredReads;
use crate::journal::{self, JournaledResource, RunRecord};
use crate::model::{Api, KindRef, PullRequestNumber, Repository};
use crate::policy::{Diagnostic, Policies, PolicySource, render};
use crate::providers;
use crate::roots::github::Authors;
use crate::wire::Client;

/// The setup of a run.
pub(super) struct Session {
    pub(super) connection: ProviderConnections,
    pub(super) sources: Vec<PolicySource>,
    pub(super) policies: Policies,
    /// Where each policy file applies.
    scopes: Vec<Scope>,
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) limits: Limits,
    pub(super) client: Client,
    pub(super) issue_authors: Arc<Authors>,
    pub(super) only_kinds: Option<Vec<KindRef>>,
    pub(super) progress: Progress,
    color: ColorChoice,
    /// The folder of earlier journals; `None` if there cannot be any.
    journals: Option<PathBuf>,
}

impl Session {
    /// Reads arguments, environment and policies.
    pub(super) fn open(arguments: &CommonArgs) -> Result<Self, RunFailure> {
        let connection = connect(arguments)?;
        let (sources, loaded) = settings::policies(arguments, &connection.variables)?;
        let limits = Limits::of(&arguments.limits.0.clone().or(&loaded.policies.limits));
        let only_kinds = only_kinds(&arguments.kind)?;
        let client = client(arguments, &connection, limits)?;
        let in_program = connection.variables.are_the_sandboxes();
        let journals = folder_of(arguments, in_program).ok();
        let files = loaded.policies.files.iter();
        let scopes = files.map(|policy| settings::scope(policy, &connection.variables));
        let session = Self {
            scopes: scopes.collect::<Result<_, _>>()?,
            journals,
            connection,
            sources,
            policies: loaded.policies,
            warnings: loaded.warnings,
            limits,
            client,
            issue_authors: Arc::new(Authors::new(&arguments.issue_author)),
            only_kinds,
            progress: Progress::new(arguments.quiet),
            color: arguments.color,
        };
        session.check_scopes()?;
        let clock = session.connection.clock;
        session
            .client
            .announce_waits(&session.progress.waits(clock));
        Ok(session)
    }

    /// Returns mistakes in policies as a failure, underlined in the text of the
    /// policy.
    pub(super) fn refuse(&self, mistakes: &[Diagnostic]) -> RunFailure {
        let colour = wants_colour(self.color, std::io::stderr().is_terminal());
        RunFailure::Policy(render(mistakes, &self.sources, colour))
    }

    /// Returns the folder of the journals: from `--journal`, in the user's
    /// state folder, or a temporary one for the sandbox.
    pub(super) fn journal_folder(&self, common: &CommonArgs) -> Result<PathBuf, RunFailure> {
        folder_of(common, self.connection.variables.are_the_sandboxes())
    }

    /// Lists the resources in the scope.
    pub(super) async fn list<'p>(
        &self,
        collector: &Collector<'p>,
    ) -> Result<(AuditScope<'p>, Listed), RunFailure> {
        let listed = collector.list().await;
        listed.map_err(|mistakes| self.refuse(&mistakes))
    }

    /// Refuses a policy that names a zone or project outside the scope, as far
    /// as this is known before the first request.
    fn check_scopes(&self) -> Result<(), RunFailure> {
        let has = |api| self.client.has(api);
        let named = NamedPlaces {
            files: &self.policies.files,
            scopes: &self.scopes,
            is_sandbox: self.connection.variables.are_the_sandboxes(),
            has: &has,
        };
        named.check().map_err(|mistakes| self.refuse(&mistakes))
    }

    /// Creates the collector of this run, for one pull request or for all.
    pub(super) fn collector(&self, only: Option<u32>) -> Result<Collector<'_>, RunFailure> {
        self.require_github()?;
        let only = only.and_then(PullRequestNumber::new);
        if only.is_some() {
            self.require_one_repository("--pr")?;
        }
        let variables = &self.connection.variables;
        let is_sandbox = variables.are_the_sandboxes();
        let files = &self.policies.files;
        for (policy, scope) in files.iter().zip(&self.scopes) {
            let mut seen = needed(policy);
            seen.retain(|kind| self.client.has(kind.api));
            if !is_sandbox {
                scope.check(policy, &seen).map_err(RunFailure::Usage)?;
            }
        }
        let records = match &self.journals {
            Some(folder) => journal::records(folder).map_err(|error| {
                RunFailure::Usage(format!(
                    "could not read what earlier runs recorded: {error}; \
                     --journal names another folder"
                ))
            })?,
            None => Vec::new(),
        };
        let recorded = self.recorded_ids(&records);
        let repositories = files.iter().map(|file| &file.repository);
        let mut repository_ids = BTreeMap::new();
        for repository in repositories {
            let recorded = recorded.get(&repository.full_name().to_lowercase());
            if let Some(id) = self.expected_id(repository)?.or(recorded.copied()) {
                repository_ids.insert(repository.clone(), id);
            }
        }
        Ok(Collector {
            client: self.client.clone(),
            files,
            scopes: self.scopes.clone(),
            limits: self.limits,
            only_pull_request: only,
            only_kinds: self.only_kinds.as_deref(),
            repository_ids,
            issue_authors: self.issue_authors.clone(),
            brought_back: Arc::new(self.brought_back(&records)),
            stored_reads: Arc::new(match &self.journals {
                Some(folder) => StoredReads::open(folder),
                None => StoredReads::default(),
            }),
            now: self.connection.clock.start(),
            is_sandbox,
            observer: &self.progress,
        })
    }

    /// Saves the answers about single resources for the next run.
    pub(super) fn store_reads(&self, collector: &Collector<'_>) {
        // The world of an in-process sandbox ends with the process.
        let ends_here = self.connection.variables.are_the_sandboxes();
        if let Some(folder) = self.journals.as_ref().filter(|_| !ends_here) {
            collector.store_reads(folder);
        }
    }

    /// Returns the newest recorded id of each repository, by full name in lower
    /// case.
    fn recorded_ids(&self, records: &[RunRecord]) -> BTreeMap<String, u64> {
        let host = self.client.host(Api::GitHub);
        let here = records.iter().filter(|record| record.github == host);
        let ids = here.flat_map(|record| &record.repositories);
        ids.map(|(name, id)| (name.clone(), *id)).collect()
    }

    /// Returns the restored and unreleased resources at the hosts of this run, and
    /// those of which it is unknown whether they were restored.
    fn brought_back(&self, records: &[RunRecord]) -> BroughtBack {
        let is_here = |written: &JournaledResource| {
            providers::by_name(&written.kind).is_some_and(|kind| {
                self.client.host(kind.about().api).as_ref() == Some(&written.host)
            })
        };
        let key = |written: &JournaledResource, what: &str| {
            (written.kind.clone(), written.place.clone(), what.into())
        };
        let back = records.iter().flat_map(RunRecord::back);
        let back = back.filter(|(_, written, ..)| is_here(written));
        let begun = records.iter().flat_map(RunRecord::restoring);
        let begun = begun.filter(|(_, written, _)| is_here(written));
        BroughtBack {
            by_id: back
                .map(|(_, written, at, id)| (key(written, id), at))
                .collect(),
            by_name: begun
                .map(|(_, written, at)| (key(written, &written.name), at))
                .collect(),
        }
    }

    /// Returns the repository's id according to Actions.
    fn expected_id(&self, repository: &Repository) -> Result<Option<u64>, RunFailure> {
        let variables = &self.connection.variables;
        let here = variables.get("GITHUB_REPOSITORY");
        let here = here.and_then(|here| Repository::parse(&here));
        let id = variables.get("GITHUB_REPOSITORY_ID");
        let Some(id) = id.filter(|_| here.as_ref() == Some(repository)) else {
            return Ok(None);
        };
        // An id that is not read would not be compared.
        let number = id.parse().map_err(|_| {
            RunFailure::Usage(format!(
                "GITHUB_REPOSITORY_ID is {id:?}, and the id of a repository is a number; set \
                 it to the one that Actions gives for {repository}, or unset it"
            ))
        })?;
        Ok(Some(number))
    }

    /// Prints warnings about the policies to stderr.
    pub(super) fn warn(&self, arguments: &CommonArgs) {
        if !arguments.quiet {
            let colour = wants_colour(arguments.color, std::io::stderr().is_terminal());
            let text = render(&self.warnings, &self.sources, colour);
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
    }

    /// Prints a warning to stderr if the clocks of the machine and the
    /// providers differ.
    pub(super) fn warn_of_clocks(&self) {
        if let Some(skew) = self.client.clock_skew() {
            let _ = writeln!(std::io::stderr(), "warning: {skew}");
        }
    }

    /// Returns an error if the rules need GitHub and there are no credentials.
    pub(super) fn require_github(&self) -> Result<(), RunFailure> {
        let asks = self
            .policies
            .files
            .iter()
            .any(crate::policy::Policy::asks_github);
        if asks && !self.client.has(Api::GitHub) {
            return Err(RunFailure::Usage(self.missing_tokens()));
        }
        Ok(())
    }

    /// Says which tokens are missing, GitHub's among them, so that all can be set at
    /// once.
    fn missing_tokens(&self) -> String {
        let files = self.policies.files.iter();
        let needed: BTreeSet<_> = files.flat_map(needed).map(|kind| kind.api).collect();
        let others = needed.iter().filter(|api| {
            let is_missing = !self.client.has(**api);
            is_missing && **api != Api::GitHub
        });
        let others: Vec<_> = others.map(|api| api.token_variable()).collect();
        let others = match others.as_slice() {
            [] => String::new(),
            [one] => format!("; {one} is not set either"),
            several => format!("; {} are not set either", several.join(" and ")),
        };
        format!(
            "could not ask GitHub which pull requests are open: GITHUB_TOKEN (or GH_TOKEN) is not \
             set; run `export GITHUB_TOKEN=$(gh auth token)`, or in a workflow set GITHUB_TOKEN: \
             ${{{{ github.token }}}}{others}"
        )
    }

    /// Returns an error if the policies name several repositories, because a
    /// number or an issue belongs to one. `what` names it in the message.
    pub(super) fn require_one_repository(&self, what: &str) -> Result<(), RunFailure> {
        let all: BTreeSet<_> = self
            .policies
            .files
            .iter()
            .map(|file| &file.repository)
            .collect();
        if all.len() > 1 {
            let names: Vec<_> = all.iter().map(ToString::to_string).collect();
            return Err(RunFailure::Usage(format!(
                "{what} is of one repository, and the policies are about {}; \
                 name one file with --policies",
                names.join(" and ")
            )));
        }
        Ok(())
    }
}

#[cfg_attr(
    not(feature = "sandbox"),
    expect(
        clippy::unnecessary_wraps,
        reason = "with the sandbox a world file may be wrong"
    )
)]
pub(super) fn connect(arguments: &CommonArgs) -> Result<ProviderConnections, RunFailure> {
    #[cfg(feature = "sandbox")]
    if let Some(stand_in) = arguments.sandbox() {
        let world = match stand_in {
            super::args::SandboxSource::Demo => None,
            super::args::SandboxSource::World(path) => Some(path),
        };
        let mut connection = ProviderConnections::sandbox(world)?;
        if let Some(now) = arguments.now {
            connection.clock = Clock::starting_at(now);
        }
        return Ok(connection);
    }
    let clock = arguments.now.map_or_else(Clock::system, Clock::starting_at);
    Ok(ProviderConnections::real(clock))
}

pub(super) fn client(
    arguments: &CommonArgs,
    connection: &ProviderConnections,
    limits: Limits,
) -> Result<Client, RunFailure> {
    let endpoints = connection.endpoints()?;
    let foreign = endpoints
        .values()
        .find(|endpoint| !is_loopback(&endpoint.base));
    if let (Some(_), Some(endpoint), None) = (arguments.now, foreign, arguments.sandbox()) {
        return Err(RunFailure::Usage(format!(
            "--now (PREVIEW_GC_NOW) is for the sandbox only, and {} is not on loopback; leave it \
             out, or unset PREVIEW_GC_NOW, which `preview-gc sandbox` prints",
            endpoint.base.host_str().unwrap_or_default()
        )));
    }
    Ok(Client::new(
        connection.transport.clone(),
        endpoints,
        connection.clock,
        limits.deadline,
        limits.allotment,
    ))
}

/// Parses the kinds to show.
fn only_kinds(names: &[String]) -> Result<Option<Vec<KindRef>>, RunFailure> {
    if names.is_empty() {
        return Ok(None);
    }
    let known = providers::vocabulary();
    let find = |name: &String| {
        known
            .iter()
            .find(|kind| kind.name() == name)
            .copied()
            .ok_or_else(|| {
                let all: Vec<_> = known.iter().map(|kind| kind.name()).collect();
                RunFailure::Usage(format!(
                    "there is no kind {name:?}; there is: {}",
                    all.join(", ")
                ))
            })
    };
    names.iter().map(find).collect::<Result<_, _>>().map(Some)
}
