//! `preview-gc check`: policies, names, credentials and permissions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use tabled::settings::Style;

use super::args::{CheckArgs, Format};
use super::session::{Session, wants_colour};
use super::settings;
use super::{Exit, Failure, print};
use crate::call::Call;
use crate::collector::needed;
use crate::github::{GitHub, Right};
use crate::kinds::{self, Kind, Next, PageOf};
use crate::model::{Api, Claim, KindRef, Place, PlaceSort, Repository, Resource};
use crate::policy::{Policy, Rule, overlap, render, schema};
use crate::report::inert;
use crate::scan;
use crate::wire::{ApiError, Client, Failure as Refusal};

/// What a name is read as.
#[derive(Debug, Serialize)]
struct NameReading {
    name: String,
    kind: KindRef,
    claim: String,
    rule: String,
    asks: String,
}

/// What one harmless read came to.
#[derive(Debug, Serialize)]
struct Access {
    what: String,
    scope: String,
    works: bool,
    answer: String,
}

/// All that was checked.
#[derive(Debug, Serialize)]
struct Checked {
    schema: u32,
    names: Vec<NameReading>,
    access: Vec<Access>,
    warnings: Vec<String>,
}

pub(super) async fn run(arguments: CheckArgs) -> Result<Exit, Failure> {
    if arguments.schema {
        let kinds = kinds::vocabulary();
        let schema = schema::schema(&settings::vocabulary(&kinds));
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| Failure::Unexpected(error.to_string()))?;
        print(&format!("{text}\n"))?;
        return Ok(Exit::Ok);
    }
    let session = Session::open(&arguments.common)?;
    let mut diagnostics = session.warnings.clone();
    diagnostics.extend(overlap::check(&session.policies.files));
    let names = names(&arguments)?;
    let kinds = session.shown.clone().unwrap_or_else(kinds::vocabulary);
    let mut warnings = Vec::new();
    let read = read_names(&session.policies.files, &kinds, &names, &mut warnings);
    let mut access = Vec::new();
    if !arguments.offline {
        let mut seen = Vec::new();
        let mut whole = true;
        for policy in &session.policies.files {
            let found = doctor(&session, policy, &mut seen, &mut whole).await?;
            access.extend(found);
        }
        if whole && access.iter().all(|access| access.works) {
            warnings.extend(unused(&session.policies.files, &seen));
        }
    }
    session.progress.end();
    warnings.extend(session.client.clock_skew().map(|skew| skew.to_string()));
    let failed = access.iter().any(|access| !access.works);
    let colour = wants_colour(
        arguments.common.color,
        std::io::IsTerminal::is_terminal(&std::io::stdout()),
    );
    match arguments.common.format {
        Format::Json => {
            warnings.extend(diagnostics.iter().map(|one| one.message.clone()));
            let checked = Checked {
                schema: 1,
                names: read,
                access,
                warnings,
            };
            let text = serde_json::to_string_pretty(&checked)
                .map_err(|error| Failure::Unexpected(error.to_string()))?;
            print(&format!("{text}\n"))?;
        }
        Format::Table | Format::Csv | Format::Markdown => {
            let mut text = render(&diagnostics, &session.sources, colour);
            text.push_str(&tables(&read, &access));
            for warning in &warnings {
                let _ = writeln!(text, "warning: {}", inert::terminal(warning));
            }
            let rules: usize = session
                .policies
                .files
                .iter()
                .map(|file| file.rules.len())
                .sum();
            let _ = writeln!(
                text,
                "{} and {} can be used",
                count(session.policies.files.len(), "policy file"),
                count(rules, "rule")
            );
            print(&text)?;
        }
    }
    Ok(if failed { Exit::Incomplete } else { Exit::Ok })
}

fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// The names that were typed, and those in a file.
fn names(arguments: &CheckArgs) -> Result<Vec<String>, Failure> {
    let mut names = arguments.names.clone();
    if let Some(path) = &arguments.names_from {
        let text = if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let text = text.map_err(|error| {
            Failure::Usage(format!(
                "cannot read names from {}: {error}",
                path.display()
            ))
        })?;
        names.extend(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(ToOwned::to_owned),
        );
    }
    Ok(names)
}

/// What the rules take names for, and what is odd about that.
fn read_names(
    files: &[Policy],
    kinds: &[KindRef],
    names: &[String],
    warnings: &mut Vec<String>,
) -> Vec<NameReading> {
    let mut readings = Vec::new();
    let mut used = BTreeSet::new();
    for name in names {
        let before = readings.len();
        for &kind in kinds {
            let entries = files.iter().flat_map(|file| &file.protects);
            let protected = entries
                .filter(|entry| entry.kinds.is_some() && entry.names(kind, name))
                .map(|entry| format!("protected: {} ({})", entry.reason, entry.location))
                .next();
            let first = readings.len();
            for policy in files {
                for (rule, claim) in policy.rules.read_name(kind, name) {
                    let rule = &policy.rules[rule];
                    used.insert((&rule.location.path, rule.location.line));
                    readings.push(NameReading {
                        name: name.clone(),
                        kind,
                        asks: protected
                            .clone()
                            .unwrap_or_else(|| asks(rule, &claim, &policy.repository)),
                        claim: claim.to_string(),
                        rule: format!("{} ({})", rule.id, rule.location),
                    });
                }
            }
            let by: BTreeSet<_> = readings[first..]
                .iter()
                .map(|one| one.rule.as_str())
                .collect();
            if by.len() > 1 {
                warnings.push(format!(
                    "{kind} {name} is read by {}: it is kept unless all of them find it dead",
                    by.into_iter().collect::<Vec<_>>().join(" and ")
                ));
            }
        }
        if readings.len() == before {
            warnings.push(format!("no rule reads {name}: it is kept"));
        }
    }
    if !names.is_empty() {
        for rule in files.iter().flat_map(|file| file.rules.iter()) {
            if !rule.kinds.is_empty() && !used.contains(&(&rule.location.path, rule.location.line))
            {
                warnings.push(format!(
                    "rule {} ({}) reads none of these names",
                    rule.id, rule.location
                ));
            }
        }
    }
    readings
}

/// What would be asked before a resource of that claim could be garbage.
fn asks(rule: &Rule, claim: &Claim, repository: &Repository) -> String {
    if !rule.asks_about(claim) {
        return "nothing: its own age decides".to_owned();
    }
    match claim {
        Claim::PullRequest(number) => format!("pull request {repository}#{number}"),
        Claim::Branch(branch) => {
            format!("whether {repository} has a git branch {branch}, and pull requests from it")
        }
        Claim::Slug { function, text } => format!(
            "the git branches and pull requests of {repository} whose slug ({function}) is {text}"
        ),
        Claim::Run(run) => format!("Actions run {run} of {repository}"),
        Claim::Itself => "nothing: its own age decides".to_owned(),
    }
}

/// Rules that read none of the resources that there are.
fn unused(files: &[Policy], seen: &[Resource]) -> Vec<String> {
    let rules = files.iter().flat_map(|file| file.rules.iter());
    rules
        .filter(|rule| !rule.kinds.is_empty())
        .filter(|rule| seen.iter().all(|resource| rule.read(resource).is_empty()))
        .map(|rule| {
            format!(
                "rule {} ({}) reads no name that exists",
                rule.id, rule.location
            )
        })
        .collect()
}

fn tables(names: &[NameReading], access: &[Access]) -> String {
    let mut text = String::new();
    let mut add = |header: &[&str], rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return;
        }
        let mut builder = tabled::builder::Builder::default();
        builder.push_record(header.iter().copied());
        for row in rows {
            builder.push_record(row.iter().map(|cell| inert::terminal(cell)));
        }
        let mut table = builder.build();
        table.with(Style::blank());
        for line in table.to_string().lines() {
            let _ = writeln!(text, "{}", line.trim());
        }
        text.push('\n');
    };
    add(
        &["name", "kind", "claim", "rule", "asks"],
        names
            .iter()
            .map(|one| {
                vec![
                    one.name.clone(),
                    one.kind.to_string(),
                    one.claim.clone(),
                    one.rule.clone(),
                    one.asks.clone(),
                ]
            })
            .collect(),
    );
    add(
        &["access", "where", "answer"],
        access
            .iter()
            .map(|one| vec![one.what.clone(), one.scope.clone(), one.answer.clone()])
            .collect(),
    );
    text
}

/// One harmless read for every provider and kind that a policy needs. The
/// resources that were seen are added, and whether they are all there are.
async fn doctor(
    session: &Session,
    policy: &Policy,
    seen: &mut Vec<Resource>,
    whole: &mut bool,
) -> Result<Vec<Access>, Failure> {
    let client = &session.client;
    let scope = settings::scope(policy, &session.connection.variables);
    let needed = needed(policy);
    let mut found = Vec::new();
    let mut zones = Vec::new();
    if let Some(account) = &scope.account
        && needed.iter().any(|kind| kind.0.place == PlaceSort::Zone)
        && client.has(Api::Cloudflare)
    {
        for zone in &scope.zones {
            match scan::zone(client, account, zone).await {
                Ok(place) => zones.push(place),
                Err(evidence) => found.push(Access {
                    what: "zone".to_owned(),
                    scope: zone.clone(),
                    works: false,
                    answer: format!(
                        "cannot see this place: {}",
                        evidence.gap.unwrap_or_default()
                    ),
                }),
            }
        }
    }
    for kind in kinds::KINDS
        .iter()
        .filter(|kind| needed.contains(&kind.about()))
    {
        let about = kind.about();
        let places: Vec<Place> = match about.0.place {
            PlaceSort::Account => scope.account.iter().cloned().map(Place::Account).collect(),
            PlaceSort::Zone => zones.clone(),
            PlaceSort::Project => scope.projects.iter().cloned().map(Place::Project).collect(),
            PlaceSort::Repository => {
                vec![Place::Repository(policy.repository.full_name().to_owned())]
            }
        };
        if !client.has(about.0.api) {
            found.push(not_configured(about.name(), about.0.api));
            continue;
        }
        if places.is_empty() && (about.0.place != PlaceSort::Zone || scope.zones.is_empty()) {
            found.push(Access {
                what: about.name().to_owned(),
                scope: "nowhere".to_owned(),
                works: session.connection.variables.are_the_sandboxes(),
                answer: "not configured: nothing says where to look".to_owned(),
            });
        }
        for place in places {
            found.push(listing(client, *kind, place, seen, whole).await);
        }
    }
    if policy.rules.iter().any(Rule::asks_github) {
        found.extend(github(client, policy).await);
    }
    Ok(found)
}

fn not_configured(what: &str, api: Api) -> Access {
    let variable = match api {
        Api::Cloudflare => "CLOUDFLARE_API_TOKEN",
        Api::Neon => "NEON_API_KEY",
        Api::GitHub => "GITHUB_TOKEN",
    };
    Access {
        what: what.to_owned(),
        scope: api.to_string(),
        works: false,
        answer: format!("not configured: set {variable}"),
    }
}

/// The first page of a kind in a place.
async fn listing(
    client: &Client,
    kind: &dyn Kind,
    place: Place,
    seen: &mut Vec<Resource>,
    whole: &mut bool,
) -> Access {
    let about = kind.about();
    let holders = kind.holders(&place, &PageOf::First);
    let by_holder = holders.is_some();
    let call = holders.unwrap_or_else(|| kind.list(&place, &PageOf::First));
    let answer = client.send(&call).await;
    let scope = place.to_string();
    let (works, answer) = match answer {
        // What the holders hold is not read: this only asks whether it could be.
        Ok(body) if by_holder => {
            *whole = false;
            match kind.read_holders(&body) {
                Ok(_) => (true, "works".to_owned()),
                Err(malformed) => (
                    false,
                    format!("unreadable: {}", client.redact(&malformed.0)),
                ),
            }
        }
        Ok(body) => match kind.read_page(&std::sync::Arc::new(place), &body) {
            Ok(page) => {
                *whole &= matches!(page.next, Next::Last | Next::Pages(0..=1));
                seen.extend(page.items);
                (true, "works".to_owned())
            }
            Err(malformed) => (
                false,
                format!("unreadable: {}", client.redact(&malformed.0)),
            ),
        },
        Err(error) => (false, diagnose(client, about, &place, &error).await),
    };
    Access {
        what: about.name().to_owned(),
        scope,
        works,
        answer,
    }
}

/// What an error means for whoever set the token.
async fn diagnose(client: &Client, kind: KindRef, place: &Place, error: &ApiError) -> String {
    let wanted = kind.0.read_permission;
    match &error.failure {
        Refusal::NotConfigured => "not configured".to_owned(),
        Refusal::Unauthorized { .. } => format!("token not accepted: {}", error.failure),
        Refusal::Forbidden { .. } | Refusal::NotFound { .. } | Refusal::Refused { .. } => {
            if let (Api::Cloudflare, Place::Account(account)) = (kind.0.api, place)
                && let Some(others) = other_accounts(client, account).await
            {
                return format!("wrong account: this token sees {others}");
            }
            if matches!(error.failure, Refusal::NotFound { .. }) {
                format!("cannot see this place: {}", error.failure)
            } else {
                format!("no permission (needs {wanted}): {}", error.failure)
            }
        }
        other => format!("no answer: {other}"),
    }
}

/// The accounts that the token sees, if the wanted one is not among them.
async fn other_accounts(client: &Client, wanted: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Account {
        id: String,
    }
    let call = Call::get(Api::Cloudflare, &["accounts"]).with("per_page", "50");
    let body = client.send(&call).await.ok()?;
    let (accounts, _) = kinds::cloudflare::open::<Vec<Account>>(&body).ok()?;
    let ids: Vec<_> = accounts.into_iter().map(|account| account.id).collect();
    (!ids.is_empty() && !ids.iter().any(|id| id == wanted)).then(|| ids.join(", "))
}

/// One read for each right that the rules need of GitHub.
async fn github(client: &Client, policy: &Policy) -> Vec<Access> {
    if !client.has(Api::GitHub) {
        return vec![not_configured("pull requests", Api::GitHub)];
    }
    let github = GitHub::new(client.clone());
    let mut found = Vec::new();
    for right in Right::ALL {
        let wanted = match right {
            Right::PullRequests => true,
            Right::Branches => policy.rules.iter().any(Rule::asks_about_heads),
            Right::Runs => policy.rules.iter().any(Rule::asks_about_runs),
        };
        if !wanted {
            continue;
        }
        let answer = github.try_right(&policy.repository, right).await;
        let (works, answer) = match answer {
            Ok(()) => (true, "works".to_owned()),
            Err(Some(Refusal::Unauthorized { status, said })) => {
                (false, format!("token not accepted (HTTP {status}: {said})"))
            }
            Err(Some(Refusal::Forbidden { status, said })) => (
                false,
                format!(
                    "no permission (needs {}) (HTTP {status}: {said})",
                    right.permission()
                ),
            ),
            Err(Some(Refusal::NotFound { status, said })) => (
                false,
                format!(
                    "cannot see this place, or no permission (needs {}) (HTTP {status}: {said})",
                    right.permission()
                ),
            ),
            Err(Some(other)) => (false, format!("no answer: {other}")),
            Err(None) => (false, "no answer that can be believed".to_owned()),
        };
        found.push(Access {
            what: right.title().to_owned(),
            scope: format!("repository {}", policy.repository),
            works,
            answer,
        });
    }
    found
}
