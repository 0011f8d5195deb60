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
use crate::survey::Findings;
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

/// Returns expiries that journals of this folder record, that still exist, and
/// whose resources stay.
///
/// # Errors
///
/// When a journal cannot be read.
pub fn unwanted(
    client: &Client,
    folder: &Path,
    findings: &Findings<'_>,
    kinds: &[KindRef],
) -> Result<Vec<Unexpire>, JournalError> {
    let mut unwanted: Vec<Unexpire> = Vec::new();
    for record in journal::records(folder)? {
        for noted in record.steps.values() {
            // Whatever the outcome says: reads lag, so a run may have recorded that
            // its request had no effect.
            let Some((Action::Expire, written, copy)) = &noted.intent else {
                continue;
            };
            let Some(id) = written.identity(kinds) else {
                continue;
            };
            let same_host = client.host(id.kind.api).as_ref() == Some(&written.host);
            let Some((resource, judgement)) = findings.find(&id).filter(|_| same_host) else {
                continue;
            };
            // The expiry that an intent names is ours. Another one was set by
            // somebody else.
            let ours = resource
                .expires_at
                .filter(|at| copy.expires_at == Some(*at));
            // A resource that is kept for any reason must not be deleted by an
            // expiry that depends on an earlier verdict.
            let goes = matches!(
                judgement.verdict,
                Verdict::Garbage(_) | Verdict::Grace(Wait::Expires { .. })
            );
            let is_reported = goes && only_reports(&findings.marking, judgement);
            let stays = !goes || is_reported;
            let known = unwanted.iter().any(|one| one.id == id);
            if let Some(expires_at) = ours.filter(|_| stays && judgement.in_focus && !known) {
                unwanted.push(Unexpire {
                    id,
                    expires_at,
                    why: if is_reported {
                        "its rule now asks only for a report".to_owned()
                    } else {
                        judgement.verdict.to_string()
                    },
                });
            }
        }
    }
    Ok(unwanted)
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

/// Reads the expiry of a resource; an error says why it is unknown.
async fn expiry(
    client: &Client,
    kind: &dyn Kind,
    id: &ResourceId,
) -> Result<Option<DateTime<Utc>>, String> {
    let body = client.send(&kind.inspect(id)).await;
    let body = body.map_err(|error| match error.failure {
        RequestFailure::NotFound { .. } => "it is not there any more".to_owned(),
        _ => error.to_string(),
    })?;
    let found = kind.read_one(&id.place, &body);
    let found = found.map_err(|error| client.redact(&error.0))?;
    Ok(found.expires_at)
}
