//! Reads the account, the pull requests and the heads that proposals need.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::cli::args::InitArgs;
use crate::cli::connect::{EnvironmentVariables, ProviderConnections};
use crate::cli::git_remote;
use crate::cli::progress::Progress;
use crate::cli::session::{client, connect};
use crate::cli::settings;
use crate::cli::{Exit, RunFailure};
use crate::collector::Limits;
use crate::evidence::{ClosedSearch, Inventory, RepositoryRoots, RootsWanted};
use crate::init::workflows::WorkflowFacts;
use crate::init::{self, RuleProposal, Situation, file::PolicyHeader, names};
use crate::model::{Api, Place, PlaceSort, PullRequestNumber, Repository};
use crate::providers;
use crate::report::escape;
use crate::roots;
use crate::roots::github::GitHubClient;
use crate::scan::{self, Target};
use crate::wire::Client;

/// How far back the heads of closed pull requests are read.
const HEADS: TimeDelta = TimeDelta::days(60);

/// What was read, and what follows.
pub(super) struct Gathered {
    /// When the run ends, also while a person is asked.
    pub(super) deadline: Instant,
    pub(super) proposals: Vec<RuleProposal>,
    pub(super) head: PolicyHeader,
    /// The first lines of the output.
    pub(super) read_lines: String,
    /// Whether an account was read.
    pub(super) proved: bool,
    pub(super) exit: Exit,
    /// With which the proposed policy is read.
    pub(super) variables: EnvironmentVariables,
}

/// Reads everything, and proposes.
pub(super) async fn gather(
    arguments: &InitArgs,
    read: &WorkflowFacts,
) -> Result<Gathered, RunFailure> {
    let connection = connect(&arguments.common)?;
    let limits = Limits::of(&arguments.common.limits.0);
    let client = client(&arguments.common, &connection, limits)?;
    let progress = Progress::new(arguments.common.quiet);
    let repository = repository(arguments, &connection)?;
    let (places, mut gaps) = places(&connection.variables, &client, read, &repository).await?;
    let targets = targets(&places);
    let proved = targets
        .iter()
        .any(|target| target.kind.about().api != Api::GitHub);
    let inventory = scan::inventory(&client, &targets, &progress).await;
    let roots = roots(&client, &repository, &inventory, &progress).await;
    let incomplete = inventory
        .listings
        .iter()
        .filter(|listing| !listing.complete());
    let incomplete: BTreeSet<_> = incomplete
        .map(|listing| (listing.kind, Place::clone(&listing.place)))
        .collect();
    gaps.extend(gaps_of(&inventory, &roots, &repository));
    let nothing = BTreeMap::new();
    let roots_complete = roots.gap.is_none();
    let situation = Situation {
        now: connection.clock.start(),
        resources: &inventory.resources,
        incomplete,
        pull_requests: if roots_complete {
            &roots.pull_requests
        } else {
            &nothing
        },
        repository: repository.full_name(),
        written: &read.made,
    };
    let proposals = init::propose(&situation);
    progress.end();
    Ok(Gathered {
        proposals,
        head: head(&connection.variables, &repository, &places),
        read_lines: read_lines(read, &inventory, &roots, &gaps),
        proved,
        exit: if gaps.is_empty() {
            Exit::Ok
        } else {
            Exit::Incomplete
        },
        deadline: client.deadline(),
        variables: connection.variables,
    })
}

/// What could not be read of the listings and of the pull requests.
fn gaps_of(inventory: &Inventory, roots: &RepositoryRoots, repository: &Repository) -> Vec<String> {
    let listings = inventory.listings.iter().filter_map(|listing| {
        let gap = listing.evidence.gap.as_ref()?;
        Some(format!(
            "could not list {} of {}: {gap}",
            listing.kind, listing.place
        ))
    });
    let pull_requests = roots
        .gap
        .iter()
        .map(|gap| format!("could not read the pull requests of {repository}: {gap}"));
    listings.chain(pull_requests).collect()
}

/// The lines that say what was read and what could not be.
fn read_lines(
    read: &WorkflowFacts,
    inventory: &Inventory,
    roots: &RepositoryRoots,
    gaps: &[String],
) -> String {
    let known = roots.pull_requests.iter();
    let known = known.filter(|(_, one)| one.lifetime().is_some());
    let numbers: Vec<_> = known.map(|(number, _)| number.get()).collect();
    let mut lines = format!(
        "read     {} workflows, {} wrangler configurations, {} resources, {} pull requests (newest #{})\n",
        read.workflows,
        read.configurations,
        inventory.resources.len(),
        numbers.len(),
        numbers.iter().max().unwrap_or(&0),
    );
    for gap in gaps {
        let _ = writeln!(lines, "gap      {}", escape::terminal(gap));
    }
    lines
}

fn repository(
    arguments: &InitArgs,
    connection: &ProviderConnections,
) -> Result<Repository, RunFailure> {
    let typed = arguments.common.repository.clone();
    let given = typed.or_else(|| connection.variables.get("GITHUB_REPOSITORY"));
    if let Some(given) = given {
        return Repository::parse(&given).ok_or_else(|| {
            RunFailure::Usage(
                "could not take the repository: the given value is not owner/name; write it as \
                 owner/name"
                    .to_owned(),
            )
        });
    }
    let remote = if connection.variables.are_the_sandboxes() {
        None
    } else {
        git_remote::repository()
    };
    remote.ok_or_else(|| {
        RunFailure::Usage(
            "could not determine the repository: neither git's remote `origin` nor \
             GITHUB_REPOSITORY names one; run in a clone, or name it with --repository"
                .to_owned(),
        )
    })
}

/// The places to look at, with what could not be looked up.
async fn places(
    variables: &EnvironmentVariables,
    client: &Client,
    read: &WorkflowFacts,
    repository: &Repository,
) -> Result<(Vec<Place>, Vec<String>), RunFailure> {
    let mut places = Vec::new();
    let mut gaps = Vec::new();
    // The scope of a policy with nothing written: what the environment names.
    // A policy needs a rule; this one is never judged.
    let text = format!(
        "repository = \"{repository}\"\n[[rule]]\nid = \"none\"\nkind = \"worker\"\n\
         name = \"preview-{{pr}}\"\ndead-when = \"closed\"\n"
    );
    let empty = settings::empty_policy(&text, variables)?;
    let scope = settings::scope(&empty, variables)?;
    let account = scope.account.or_else(|| read.account.clone());
    if let Some(account) = account.filter(|_| client.has(Api::Cloudflare)) {
        if scope.zones.is_empty() {
            match scan::zones(client, &account).await {
                Ok(zones) => places.extend(zones),
                Err(evidence) => gaps.push(evidence.gap.unwrap_or_default()),
            }
        }
        for zone in &scope.zones {
            match scan::zone(client, &account, zone).await {
                Ok(zone) => places.push(zone),
                Err(none) => gaps.push(none.evidence.gap.unwrap_or_default()),
            }
        }
        places.push(Place::Account(account));
    }
    if client.has(Api::Neon) {
        places.extend(scope.projects.into_iter().map(Place::Project));
    }
    if client.has(Api::GitHub) {
        places.push(Place::from(repository));
    }
    Ok((places, gaps))
}

/// Every kind that a rule can be about in these places, without those that go
/// with their owners.
fn targets(places: &[Place]) -> Vec<Target> {
    let mut targets = Vec::new();
    for place in places {
        let place = Arc::new(place.clone());
        for kind in providers::kinds() {
            let about = kind.about();
            let here = matches!(
                (about.0.place, &*place),
                (PlaceSort::Account, Place::Account(_))
                    | (PlaceSort::Zone, Place::Zone { .. })
                    | (PlaceSort::Project, Place::Project(_))
                    | (PlaceSort::Repository, Place::Repository(_))
            );
            let belongs_to_owner = about.belongs_to.is_some() && about.name() != "worker_preview";
            if here && !belongs_to_owner {
                targets.push(Target {
                    kind,
                    place: place.clone(),
                    needed: true,
                    user_only: false,
                    on_demand: false,
                    activity: false,
                    served: false,
                    production: true,
                    holders: None,
                });
            }
        }
    }
    targets
}

/// Reads the pull requests whose numbers or heads occur in names.
async fn roots(
    client: &Client,
    repository: &Repository,
    inventory: &Inventory,
    progress: &Progress,
) -> RepositoryRoots {
    let github = GitHubClient::new(client.clone());
    let mut numbers: BTreeSet<PullRequestNumber> = BTreeSet::new();
    let mut oldest = None;
    for resource in &inventory.resources {
        let splits = names::splits(&resource.name);
        let recorded = resource.recorded.as_ref().and_then(|one| one.pull_request);
        numbers.extend(recorded);
        if splits.is_empty()
            && resource.protection.is_none()
            && !names::has_permanent_word(&resource.name)
        {
            let made = resource.created_at.known();
            oldest = oldest.into_iter().chain(made).min();
        }
        numbers.extend(splits.into_iter().map(|split| split.number));
    }
    let wanted = RootsWanted {
        labels: BTreeSet::new(),
        numbers,
        open: true,
        heads: true,
        runs: BTreeSet::new(),
    };
    let mut roots = roots::alive(&github, repository, &wanted, None, None, progress).await;
    let since = client.clock().start() - HEADS;
    let search = ClosedSearch {
        branches: BTreeSet::new(),
        slugs_since: Some(oldest.map_or(since, |oldest| oldest.max(since))),
        slugs_undated: false,
    };
    roots::ended(&github, repository, &wanted, &search, &mut roots, progress).await;
    roots
}

/// What stands above the rules: the repository, and what the environment does not
/// name at the time of a run.
fn head(
    variables: &EnvironmentVariables,
    repository: &Repository,
    places: &[Place],
) -> PolicyHeader {
    let mut head = PolicyHeader {
        repository: Some(repository.to_string()),
        scope: Vec::new(),
    };
    if variables.are_the_sandboxes() {
        return head;
    }
    let quoted = init::file::quoted;
    let zones: Vec<_> = places
        .iter()
        .filter_map(|place| match place {
            Place::Zone { name, .. } => Some(quoted(name)),
            Place::Account(_) | Place::Project(_) | Place::Repository(_) => None,
        })
        .collect();
    let account = places.iter().find_map(|place| match place {
        Place::Account(account) => Some(account),
        Place::Zone { .. } | Place::Project(_) | Place::Repository(_) => None,
    });
    if let Some(account) = account {
        head.scope.push(format!(
            "cloudflare = {{ account = {}, zones = [{}] }}",
            quoted(account),
            zones.join(", ")
        ));
    }
    let projects: Vec<_> = places
        .iter()
        .filter_map(|place| match place {
            Place::Project(project) => Some(quoted(project)),
            Place::Account(_) | Place::Zone { .. } | Place::Repository(_) => None,
        })
        .collect();
    if !projects.is_empty() {
        head.scope
            .push(format!("neon = {{ projects = [{}] }}", projects.join(", ")));
    }
    head
}
