//! Recovers steps that earlier runs left in doubt, by reading and never by
//! blindly trying again.

use std::path::Path;

use super::confirm::{LookupResult, look_up_once};
use crate::gc::Outcome;
use crate::journal::{self, Journal, JournalEntry, JournalError};
use crate::kind::{Kind, PageOf};
use crate::model::{KindRef, ResourceId};
use crate::policy::Action;
use crate::providers;
use crate::survey::Findings;
use crate::wire::Client;

/// A step of an earlier run whose outcome is now known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledEarlier {
    /// The run.
    pub run: String,
    /// The kind of the resource.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The outcome.
    pub outcome: Outcome,
    /// How the outcome was determined.
    pub reason: String,
}

/// Recovers steps that earlier runs left in doubt, in places that the credentials are
/// known to see. What cannot be recovered stays in doubt, and is returned as that. Active
/// runs, and those at other hosts, are left alone.
///
/// # Errors
///
/// When a journal cannot be read or written.
pub async fn recover(
    client: &Client,
    folder: &Path,
    findings: &Findings<'_>,
    kinds: &[KindRef],
) -> Result<Vec<SettledEarlier>, JournalError> {
    let mut all = Vec::new();
    for record in journal::records(folder)? {
        if record.open().next().is_none() {
            continue;
        }
        let Some(mut journal) = Journal::resume(&record)? else {
            continue;
        };
        // Another process may have written to it before we held the lock.
        let record = journal::record(folder, &record.run)?;
        let ours: Vec<_> = record
            .open()
            .filter_map(|(step, noted)| {
                let (action, written, copy) = noted.intent.as_ref()?;
                let id = written.identity(kinds)?;
                // Without credentials nothing is known of the host.
                let host = client.host(id.kind.api);
                let is_ours =
                    host.is_none_or(|host| host == written.host) && !is_elsewhere(findings, &id);
                is_ours.then(|| (step, *action, id, copy.before.clone()))
            })
            .collect();
        for (step, action, id, before) in ours {
            let Some(kind) = providers::by_name(id.kind.name()) else {
                continue;
            };
            let settled_as = |outcome, reason: &str| SettledEarlier {
                run: record.run.clone(),
                kind: id.kind.name().to_owned(),
                name: id.name.to_string(),
                id: id.id.to_string(),
                outcome,
                reason: reason.to_owned(),
            };
            if let Err(why) = can_see(client, kind, findings, &id).await {
                let (outcome, reason) = unread(&why);
                all.push(settled_as(outcome, &reason));
                continue;
            }
            let listed = findings
                .find(&id)
                .is_some_and(|(found, _)| found.incarnation == id.incarnation);
            let seen = match look_up_once(client, kind, &id, action == Action::Expire).await {
                LookupResult::Gone if listed => LookupResult::contradicted(),
                seen => seen,
            };
            let never_expires = findings
                .find(&id)
                .is_some_and(|(found, _)| found.expires_at.is_none());
            let (outcome, mut reason) = outcome_of(action, seen, never_expires);
            if !outcome.is_gone() && !before.is_empty() {
                let before = before.join(", ");
                reason = format!("{reason}; the run may have sent for it before: {before}");
            }
            journal.write(&[JournalEntry::Outcome {
                step,
                at: client.clock().now(),
                outcome,
                reason: reason.clone(),
            }])?;
            all.push(settled_as(outcome, &reason));
        }
    }
    Ok(all)
}

/// The outcome of a step in doubt, and how it was determined. `never_expires` says
/// whether the listing shows the resource without an expiry.
fn outcome_of(action: Action, seen: LookupResult, never_expires: bool) -> (Outcome, String) {
    let (outcome, shown) = match (seen, action) {
        (LookupResult::Gone, Action::Delete) => (Outcome::Deleted, "that it is gone"),
        // A resource that was to expire did so, or somebody deleted it.
        (LookupResult::Gone, Action::Expire | Action::RemoveExpiry | Action::Report) => {
            (Outcome::AlreadyGone, "that it is gone")
        }
        (LookupResult::Expires, _) => (Outcome::Expired, "its expiry"),
        (LookupResult::There, Action::RemoveExpiry) if never_expires => {
            (Outcome::ExpiryRemoved, "no expiry")
        }
        (LookupResult::There, _) => (Outcome::FailedForNow, "that it had no effect"),
        (LookupResult::Unreadable(why), _) => {
            return unread(&why);
        }
    };
    let reason = format!("the run left it in doubt; re-reading shows {shown}");
    (outcome, reason)
}

/// Whether a resource is in an account that this run has nothing to do with. Only a run
/// of that account settles it.
fn is_elsewhere(findings: &Findings<'_>, id: &ResourceId) -> bool {
    let listings = findings.inventory.listings.iter();
    let mut accounts = listings.filter_map(|listing| listing.place.account());
    let has_account = accounts.next().is_some();
    let mut listings = findings.inventory.listings.iter();
    let is_near = listings.any(|listing| listing.place.is_near(&id.place));
    id.place.account().is_some() && has_account && !is_near
}

/// The outcome of a step that stays in doubt.
fn unread(why: &str) -> (Outcome, String) {
    let reason = format!("the run left it in doubt, and it could not be re-read: {why}");
    (Outcome::InDoubt, reason)
}

/// Returns an error unless the credentials are known to see the place of a resource: to
/// those without access, everything in it is "not found".
///
/// A kind may not have been listed in this run: no rule is about it any more, or about
/// no garbage that holds it. Then its first page is asked for.
async fn can_see(
    client: &Client,
    kind: &dyn Kind,
    findings: &Findings<'_>,
    id: &ResourceId,
) -> Result<(), String> {
    let mut listings = findings.inventory.listings.iter();
    if listings.any(|one| one.kind == id.kind && one.place == id.place) {
        return findings.gap(id.kind, &id.place).map_or(Ok(()), Err);
    }
    if !client.has(id.kind.api) {
        let api = id.kind.api.title();
        return Err(format!("there are no credentials for {api}"));
    }
    // What held it may be gone too, so the holders show the place.
    let holders = kind
        .holders()
        .map(|holders| holders.page(&id.place, &PageOf::First));
    let first = match &holders {
        Some(query) => query.call.clone(),
        None => kind.list(&id.place, None, &PageOf::First),
    };
    let body = client.send(&first).await;
    let body = body.map_err(|error| error.to_string())?;
    let read = match holders {
        Some(query) => (query.read)(&body).map(drop),
        None => kind.read_page(&id.place, &body).map(drop),
    };
    read.map_err(|error| client.redact(&error.0))
}
