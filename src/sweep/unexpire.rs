//! Removes expiries that an earlier run set on resources that now stay: a pull
//! request that was reopened keeps its branch.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::format::moment;
use crate::gc::verdict::{Verdict, Wait};
use crate::gc::{Judgement, Marking, Outcome};
use crate::journal::{self, Journal, JournalEntry, JournalError, Snapshot};
use crate::kind::Kind;
use crate::model::{KindRef, ResourceId};
use crate::policy::Action;
use crate::providers;
use crate::survey::{Findings, Survey};
use crate::wire::{Client, RequestFailure, WriteResult, error};

/// An expiry that an earlier run set on a resource that stays.
#[derive(Debug, Clone)]
pub struct Unexpire {
    /// The resource.
    pub id: ResourceId,
    /// When it expires.
    expires_at: DateTime<Utc>,
    /// Why it stays.
    why: String,
}

/// An expiry that journals record, and whose resource may still have it.
#[derive(Debug, Clone)]
pub struct RecordedExpiry {
    id: ResourceId,
    expires_at: DateTime<Utc>,
}

/// Returns the expiries that journals of this folder record, those that passed already
/// left out.
///
/// # Errors
///
/// When a journal cannot be read.
pub fn recorded(
    client: &Client,
    folder: &Path,
    findings: &Findings<'_>,
    kinds: &[KindRef],
) -> Result<Vec<RecordedExpiry>, JournalError> {
    let now = client.earliest(client.clock().now());
    let mut recorded: Vec<RecordedExpiry> = Vec::new();
    for record in journal::records(folder)? {
        for noted in record.steps.values() {
            // Whatever the outcome says: reads lag, so a run may have recorded that
            // its request had no effect.
            let Some((Action::Expire, written, copy)) = &noted.intent else {
                continue;
            };
            let Some((id, expires_at)) = written.identity(kinds).zip(copy.expires_at) else {
                continue;
            };
            let same_host = client.host(id.kind.api).as_ref() == Some(&written.host);
            let is_known = |one: &RecordedExpiry| one.id == id && one.expires_at == expires_at;
            let is_over = expires_at <= now && findings.find(&id).is_none();
            if same_host && !is_over && !recorded.iter().any(is_known) {
                recorded.push(RecordedExpiry { id, expires_at });
            }
        }
    }
    Ok(recorded)
}

/// An expiry that is not removed, with its outcome.
type Left = (ResourceId, (Outcome, String));

/// Returns those of the recorded expiries that still exist and whose resources stay, and
/// those of which this run cannot say whether they do.
pub async fn unwanted(
    survey: &Survey<'_>,
    findings: &Findings<'_>,
    recorded: Vec<RecordedExpiry>,
) -> (Vec<Unexpire>, Vec<Left>) {
    let (mut unwanted, mut left): (Vec<Unexpire>, Vec<Left>) = (Vec::new(), Vec::new());
    for RecordedExpiry { id, expires_at } in recorded {
        let why = match findings.find(&id) {
            // The expiry that an intent names is ours. Another one was set by
            // somebody else.
            Some((resource, judgement)) => (resource.expires_at == Some(expires_at))
                .then(|| why_it_stays(findings, judgement))
                .flatten(),
            None if is_listed(findings, &id) => None,
            None => match unlisted(survey, &id, expires_at).await {
                Ok(why) => why,
                Err((outcome, why)) => {
                    let why = format!("its expiry at {} stays: {why}", moment(expires_at));
                    left.push((id, (outcome, why)));
                    continue;
                }
            },
        };
        if let Some(why) = why.filter(|_| unwanted.iter().all(|one| one.id != id)) {
            unwanted.push(Unexpire {
                id,
                expires_at,
                why,
            });
        }
    }
    (unwanted, left)
}

/// Returns why a resource stays. Whatever keeps it, it must not be deleted by an expiry
/// that depends on an earlier verdict. What a run is not asked about may not have been
/// looked up, so only what certainly lives counts there.
fn why_it_stays(findings: &Findings<'_>, judgement: &Judgement) -> Option<String> {
    let verdict = &judgement.verdict;
    let goes = matches!(
        verdict,
        Verdict::Garbage(_) | Verdict::Grace(Wait::Expires { .. })
    );
    if !judgement.in_focus && !matches!(verdict, Verdict::Live(_) | Verdict::Protected(_)) {
        return None;
    }
    if goes && only_reports(&findings.marking, judgement) {
        return Some("its rule now asks only for a report".to_owned());
    }
    (!goes).then(|| verdict.to_string())
}

/// Whether this run asked for the listing that would show a resource.
fn is_listed(findings: &Findings<'_>, id: &ResourceId) -> bool {
    let mut listings = findings.inventory.listings.iter();
    listings.any(|one| one.kind == id.kind && one.place == id.place)
}

/// Returns why a resource stays that this run does not list, or why its expiry is not
/// removed. Without either the expiry is gone, or somebody else set another one.
async fn unlisted(
    survey: &Survey<'_>,
    id: &ResourceId,
    expires_at: DateTime<Utc>,
) -> Result<Option<String>, (Outcome, String)> {
    let Some(kind) = providers::by_name(id.kind.name()) else {
        return Ok(None);
    };
    let policy_scopes = survey.input.policy_scopes.iter();
    let mut rules = policy_scopes.flat_map(|scope| scope.policy.rules.iter());
    let has_rule = rules.any(|rule| rule.kinds.contains(&id.kind));
    match expiry(&survey.client, kind, id).await {
        Ok(Some(at)) if at == expires_at => {}
        Ok(_) => return Ok(None),
        Err(why) if why == NOT_THERE => return Ok(None),
        Err(why) if !has_rule => return Err((Outcome::FailedForNow, why)),
        Err(_) => {}
    }
    if has_rule {
        let why = format!(
            "an earlier run set it, and this run does not know whether the {} lives again, \
             because it listed none there; run a sweep without --kind",
            id.kind.noun
        );
        return Err((Outcome::Deferred, why));
    }
    Ok(Some("no rule is about it any more".to_owned()))
}

/// Whether a rule that reads a resource only asks for a report of it.
fn only_reports(marking: &Marking<'_>, judgement: &Judgement) -> bool {
    let others = judgement.others.iter().map(|(matched_by, _)| matched_by);
    let mut matches = judgement.matched_by.iter().chain(others);
    matches.any(|matched_by| {
        let rule = marking.rule(matched_by);
        rule.is_some_and(|(_, rule)| rule.action == Action::Report)
    })
}

/// Journals and removes one such expiry, and returns the outcome.
///
/// # Errors
///
/// When the journal cannot be written. Then nothing was sent.
pub async fn remove(
    client: &Client,
    one: &Unexpire,
    step: usize,
    journal: &mut Journal,
) -> Result<(Outcome, String), JournalError> {
    let id = &one.id;
    journal.write(&[JournalEntry::Intent {
        step,
        at: client.clock().now(),
        action: Action::RemoveExpiry,
        resource: journal::JournaledResource::of(id, client.host(id.kind.api).unwrap_or_default()),
        copy: Box::new(Snapshot {
            expires_at: Some(one.expires_at),
            ..Snapshot::default()
        }),
    }])?;
    let (outcome, reason) = removed(client, one).await;
    let reason = match outcome {
        Outcome::ExpiryRemoved => format!("{}; {reason}", one.why),
        _ => format!("its expiry at {} stays: {reason}", moment(one.expires_at)),
    };
    journal.write(&[JournalEntry::Outcome {
        step,
        at: client.clock().now(),
        outcome,
        reason: reason.clone(),
    }])?;
    Ok((outcome, reason))
}

async fn removed(client: &Client, one: &Unexpire) -> (Outcome, String) {
    let failed = |why: String| (Outcome::FailedForNow, why);
    let id = &one.id;
    let calls =
        providers::by_name(id.kind.name()).and_then(|kind| Some((kind, kind.expiry()?.remove(id))));
    let Some((kind, call)) = calls else {
        let why = "its kind has no expiry that could be removed".to_owned();
        return (Outcome::FailedForGood, why);
    };
    // Checks that nobody set another one in between.
    match expiry(client, kind, id).await {
        Ok(Some(at)) if at == one.expires_at => {}
        Ok(_) => {
            return (
                Outcome::Spared,
                "it was changed by someone else in the meantime".to_owned(),
            );
        }
        Err(why) => return failed(why),
    }
    let not_after = client.deadline();
    let message = match client.write(&call, not_after).await {
        WriteResult::Answered(response) if response.status().is_success() => None,
        WriteResult::Answered(response) => {
            let refusal = error::refusal(call.api, &response);
            return failed(client.error(&(&call).into(), refusal).to_string());
        }
        WriteResult::NotSent(error) => return failed(error.to_string()),
        WriteResult::Lost(error) | WriteResult::Throttled(error) => Some(error.to_string()),
    };
    match (expiry(client, kind, id).await, message) {
        (Ok(None), _) => {
            let was = moment(one.expires_at);
            let why = format!("the expiry that an earlier run had set to {was} is removed");
            (Outcome::ExpiryRemoved, why)
        }
        (Ok(Some(_)), Some(message)) => failed(message),
        (Ok(Some(_)), None) => (
            Outcome::InDoubt,
            "the provider accepted its removal, but re-reading still shows it".to_owned(),
        ),
        (Err(why), _) => (Outcome::InDoubt, why),
    }
}

/// Why the expiry of a resource that is gone cannot be read.
const NOT_THERE: &str = "it is not there any more";

/// Reads the expiry of a resource; an error says why it is unknown.
async fn expiry(
    client: &Client,
    kind: &dyn Kind,
    id: &ResourceId,
) -> Result<Option<DateTime<Utc>>, String> {
    let body = client.send(&kind.inspect(id)).await;
    let body = body.map_err(|error| match error.failure {
        RequestFailure::NotFound { .. } => NOT_THERE.to_owned(),
        _ => error.to_string(),
    })?;
    let found = kind.read_one(&id.place, &body);
    let found = found.map_err(|error| client.redact(&error.0))?;
    Ok(found.expires_at)
}
