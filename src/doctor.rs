//! Checks credentials and permissions by harmless reads: everything that an
//! audit reads, with advice for each refusal.
//!
//! The doctor runs the audit itself, so that it cannot accept what an audit
//! would refuse.

pub mod deep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use self::deep::Deep;
use crate::collector::{Choice, Collector, Scope, needed};
use crate::evidence::Evidence;
use crate::kind::{Kind, PageOf};
use crate::model::{Api, KindRef, Place, PlaceSort};
use crate::policy::{Action, Diagnostic, Policy, Rule};
use crate::providers;
use crate::report::Report;
use crate::roots::github::{GitHubClient, Right};
use crate::scan;
use crate::wire::{ApiError, Client, RequestFailure, TransportError};

/// The result of one harmless read.
#[derive(Debug, Clone, Serialize)]
pub struct Access {
    /// What was read.
    pub what: String,
    /// The account, zone, project or repository.
    pub scope: String,
    /// Whether a run has what it needs.
    pub works: bool,
    /// The result, in words for people.
    pub answer: String,
    /// The provider that cannot be used at all, if that is why: it has no token, does
    /// not accept it or cannot be reached.
    #[serde(skip)]
    unusable: Option<Api>,
}

/// The results of all reads.
#[derive(Debug)]
pub struct Examined {
    /// Every read, those with a diagnosis first.
    pub access: Vec<Access>,
    /// Permissions that a sweep needs, which cannot be tested without deleting.
    pub untried: Vec<String>,
    /// The audit.
    pub report: Report,
    /// What the deep check found, if one was asked for.
    pub deep: Option<Deep>,
}

/// Reads everything that an audit of these policies reads.
///
/// # Errors
///
/// The rules that name a zone or project outside the scope, which an audit
/// refuses.
pub async fn examine(
    collector: &Collector<'_>,
    is_deep: bool,
) -> Result<Examined, Vec<Diagnostic>> {
    let (audit_scope, listed) = collector.list().await?;
    let mut access: Vec<Access> = Vec::new();
    // An audit asks for a single zone only if the list of the account lacks it.
    let places = audit_scope.places();
    for (policy, scope) in collector.files.iter().zip(&collector.scopes) {
        for found in reads(collector, policy, scope, &places).await {
            let known = access
                .iter()
                .any(|one| one.what == found.what && one.scope == found.scope);
            if !known {
                access.push(found);
            }
        }
    }
    let deep = if is_deep {
        Some(deep::examine(&collector.client, &places).await)
    } else {
        None
    };
    let audit = collector.audit(&audit_scope, listed, Choice::All);
    let report = audit.await.report;
    let unusable: BTreeSet<_> = access.iter().filter_map(|one| one.unusable).collect();
    for evidence in &report.evidence {
        // Every request to such a provider fails; once is enough. It is also why a
        // place in a policy could not be looked up.
        let api = evidence.subject().api;
        let is_lost = unusable.iter().any(|one| one.key() == api);
        if !evidence.complete && (is_lost || (api == "policy" && !unusable.is_empty())) {
            continue;
        }
        let (what, works) = (name(evidence), evidence.complete || !evidence.needed);
        // The trial may ask another way than the audit, whose answer decides.
        let was_read = evidence.complete && evidence.needed;
        for tried in &mut access {
            if was_read && tried.what == what && tried.scope == evidence.scope {
                tried.works = true;
                "works".clone_into(&mut tried.answer);
            }
        }
        let known = access.iter().any(|one| {
            let same = one.what == what && one.scope == evidence.scope;
            same && (works || !one.works)
        });
        if !known {
            access.push(Access {
                what: title(what),
                scope: evidence.scope.clone(),
                works,
                answer: match &evidence.gap {
                    Some(gap) if !works => gap.clone(),
                    _ => "works".to_owned(),
                },
                unusable: None,
            });
        }
    }
    Ok(Examined {
        access,
        untried: untried(collector.files),
        report,
        deep,
    })
}

/// Returns the topic of evidence: the name of a kind, or of something at
/// GitHub.
fn name(evidence: &Evidence) -> &str {
    match evidence.source.as_str() {
        "github.pull_requests.open" => Right::PullRequests.title(),
        "github.branches" => Right::Branches.title(),
        "github.runs" => Right::Runs.title(),
        "github.issue" => "issues",
        "github.pull_requests.by_number" => "closed pull requests",
        source => source.split_once('.').map_or(source, |(_, what)| what),
    }
}

/// Returns a topic in words for people: `worker.uses` as what Workers use.
fn title(what: &str) -> String {
    let Some((kind, detail)) = what.split_once('.') else {
        return what.to_owned();
    };
    let noun = providers::by_name(kind).map(|kind| kind.about().0.noun.to_owned());
    let noun = noun.unwrap_or_else(|| kind.replace('_', " "));
    match detail {
        "users" => format!("what uses or serves a {noun}"),
        "uses" => format!("what a {noun} uses"),
        "holds" => format!("what a {noun} contains"),
        "activity" => format!("activity of a {noun}"),
        _ => what.to_owned(),
    }
}

/// Joins the reads of each provider that cannot be used at all into one: they all
/// fail for the same reason.
pub fn once_for_each_provider(access: &[Access]) -> Vec<Access> {
    let mut joined: Vec<Access> = Vec::new();
    for one in access {
        let known = joined
            .iter_mut()
            .find(|known| one.unusable.is_some() && known.unusable == one.unusable);
        match known {
            Some(known) => {
                known.what = format!("{}, {}", known.what, one.what);
            }
            None => joined.push(one.clone()),
        }
    }
    for one in &mut joined {
        if let Some(api) = one.unusable
            && one.what.contains(", ")
        {
            one.scope = api.to_string();
        }
    }
    joined
}

/// Returns the permissions that deletions by these policies need: of the kinds in
/// the rules, of what is deleted with them, and of what has to let go of them first.
fn untried(files: &[Policy]) -> Vec<String> {
    let rules = files.iter().flat_map(|file| file.rules.iter());
    let deleting = rules.filter(|rule| rule.action != Action::Report);
    let deleted = deleting.flat_map(|rule| {
        let with = rule.with.iter();
        let satellites = with.filter(|kind| !kind.satellite_of.is_empty());
        rule.kinds.iter().chain(satellites).copied()
    });
    let deleted: BTreeSet<KindRef> = deleted.collect();
    let among = |name: Option<&str>| deleted.iter().any(|kind| Some(kind.name()) == name);
    let all = providers::kinds().map(Kind::about);
    let concerned =
        all.filter(|kind| deleted.contains(kind) || among(kind.belongs_to) || among(kind.blocks));
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for kind in concerned {
        let permissions = needs.entry(kind.api.token_variable()).or_default();
        permissions.insert(kind.write_permission);
    }
    needs
        .into_iter()
        .map(|(variable, permissions)| {
            let permissions: Vec<_> = permissions.into_iter().collect();
            format!("{variable}: {}", permissions.join(", "))
        })
        .collect()
}

/// Sends one harmless read for every provider and kind in the rules of a
/// policy, and explains refusals.
async fn reads(
    collector: &Collector<'_>,
    policy: &Policy,
    scope: &Scope,
    seen: &BTreeSet<Arc<Place>>,
) -> Vec<Access> {
    let client = &collector.client;
    let needed = needed(policy);
    let mut found = Vec::new();
    let mut zones = Vec::new();
    if let Some(account) = &scope.account
        && needed.iter().any(|kind| kind.place == PlaceSort::Zone)
        && providers::of_places(PlaceSort::Zone).is_some_and(|api| client.has(api))
    {
        for zone in &scope.zones {
            let is_meant = |place: &&Arc<Place>| {
                matches!(&***place, Place::Zone { id, name, account: of }
                    if of == account && (id == zone || name == zone))
            };
            let answer = match seen.iter().find(is_meant) {
                Some(place) => Ok(Place::clone(place)),
                None => scan::zone(client, account, zone).await,
            };
            match answer {
                Ok(place) => zones.push(place),
                Err(none) => found.push(Access {
                    what: "zone".to_owned(),
                    scope: zone.clone(),
                    works: false,
                    answer: format!(
                        "could not be read: {}",
                        none.evidence.gap.unwrap_or_default()
                    ),
                    unusable: None,
                }),
            }
        }
    }
    for kind in providers::kinds().filter(|kind| needed.contains(&kind.about())) {
        let about = kind.about();
        let places: Vec<Place> = match about.0.place {
            PlaceSort::Account => scope.account.iter().cloned().map(Place::Account).collect(),
            PlaceSort::Zone => zones.clone(),
            PlaceSort::Project => scope.projects.iter().cloned().map(Place::Project).collect(),
            PlaceSort::Repository => {
                vec![Place::from(&policy.repository)]
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
                works: collector.is_sandbox,
                answer: "not configured: no scope is set".to_owned(),
                unusable: None,
            });
        }
        for place in places {
            found.push(listing(client, kind, place).await);
        }
    }
    if policy.asks_github() {
        found.extend(github(client, policy).await);
    }
    found
}

fn not_configured(what: &str, api: Api) -> Access {
    let variable = api.token_variable();
    Access {
        what: what.to_owned(),
        scope: api.to_string(),
        works: false,
        answer: format!("not configured: set {variable}"),
        unusable: Some(api),
    }
}

/// Reads the first page of a kind in a place.
async fn listing(client: &Client, kind: &dyn Kind, place: Place) -> Access {
    let about = kind.about();
    // Reads only the list of holders, not their contents: this checks permissions
    // only.
    let holders = kind.holders();
    let holders = holders.map(|holders| holders.page(&place, &PageOf::First));
    let answer = match &holders {
        Some(holders) => client.send(&holders.call).await,
        None => client.send(&kind.list(&place, None, &PageOf::First)).await,
    };
    let scope = place.to_string();
    let place = std::sync::Arc::new(place);
    let mut unusable = None;
    let (works, answer) = match answer {
        Ok(body) => {
            let read = match holders {
                Some(holders) => (holders.read)(&body).map(|_| ()),
                None => kind.read_page(&place, &body).map(|_| ()),
            };
            match read {
                Ok(()) => (true, "works".to_owned()),
                Err(malformed) => (
                    false,
                    format!("unreadable: {}", client.redact(&malformed.0)),
                ),
            }
        }
        Err(error) => {
            if matches!(
                error.failure,
                RequestFailure::Unauthorized { .. }
                    | RequestFailure::Transport(TransportError::Connect(_))
            ) {
                unusable = Some(about.0.api);
            }
            (false, diagnose(client, about, &place, &error).await)
        }
    };
    Access {
        what: about.name().to_owned(),
        scope,
        works,
        answer,
        unusable,
    }
}

/// Explains an error to the person who set the token.
async fn diagnose(client: &Client, kind: KindRef, place: &Place, error: &ApiError) -> String {
    let wanted = kind.read_permission;
    match &error.failure {
        RequestFailure::NotConfigured => "not configured".to_owned(),
        RequestFailure::Unauthorized { status, message } => format!(
            "token not accepted (HTTP {status}: {message}): set {} to a valid token",
            kind.api.token_variable()
        ),
        RequestFailure::Forbidden { .. }
        | RequestFailure::NotFound { .. }
        | RequestFailure::Refused { .. } => {
            if let Place::Account(account) = place
                && let Some(others) = other_accounts(client, kind.api, account).await
            {
                let set = providers::scope_key(PlaceSort::Account);
                let set = set.map_or("", |(_, key)| key.variables[0]);
                return format!("wrong account: this token sees {others}; correct {set}");
            }
            if matches!(error.failure, RequestFailure::NotFound { .. }) {
                format!("not visible to this token: {}", error.failure)
            } else {
                format!("no permission (needs {wanted}): {}", error.failure)
            }
        }
        other => format!("no answer: {other}"),
    }
}

/// Returns the accounts that the token can see, if the configured one is not
/// among them.
async fn other_accounts(client: &Client, api: Api, wanted: &str) -> Option<String> {
    let query = providers::of(api).accounts()?;
    let body = client.send(&query.call).await.ok()?;
    let ids = (query.read)(&body).ok()?;
    (!ids.is_empty() && !ids.iter().any(|id| id == wanted)).then(|| ids.join(", "))
}

/// Sends one read for each GitHub permission that the rules need.
async fn github(client: &Client, policy: &Policy) -> Vec<Access> {
    if !client.has(Api::GitHub) {
        return vec![not_configured("pull requests", Api::GitHub)];
    }
    let github = GitHubClient::new(client.clone());
    let mut found = Vec::new();
    for right in Right::ALL {
        let wanted = match right {
            Right::PullRequests => true,
            Right::Branches => policy.rules.iter().any(Rule::asks_about_branches),
            Right::Runs => policy.rules.iter().any(Rule::asks_about_runs),
        };
        if !wanted {
            continue;
        }
        let answer = github.try_right(&policy.repository, right).await;
        let (works, answer) = match answer {
            Ok(()) => (true, "works".to_owned()),
            Err(Some(RequestFailure::Unauthorized { status, message })) => (
                false,
                format!("token not accepted (HTTP {status}: {message})"),
            ),
            Err(Some(RequestFailure::Forbidden { status, message })) => (
                false,
                format!(
                    "no permission (needs {}) (HTTP {status}: {message})",
                    right.permission()
                ),
            ),
            Err(Some(RequestFailure::NotFound { status, message })) => (
                false,
                format!(
                    "not visible to this token (HTTP {status}: {message}): correct `repository` if \
                     it was renamed, or give the token the permission \"{}\"",
                    right.permission()
                ),
            ),
            Err(Some(other)) => (false, format!("no answer: {other}")),
            Err(None) => (false, "no usable answer".to_owned()),
        };
        found.push(Access {
            what: right.title().to_owned(),
            scope: format!("repository {}", policy.repository),
            works,
            answer,
            unusable: None,
        });
    }
    found
}
