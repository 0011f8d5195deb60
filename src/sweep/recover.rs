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

/// Recovers steps that earlier runs left in doubt, in places that this run sees
/// completely. Active runs are left alone.
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
                let (action, written, _) = noted.intent.as_ref()?;
                let id = written.identity(kinds)?;
                let same_host = client.host(id.kind.api).as_ref() == Some(&written.host);
                same_host.then_some((step, *action, id))
            })
            .collect();
        for (step, action, id) in ours {
            let Some(kind) = providers::by_name(id.kind.name()) else {
                continue;
            };
            if !can_see(client, kind, findings, &id).await {
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
            let (outcome, reason) = outcome_of(action, seen, never_expires);
            journal.write(&[JournalEntry::Outcome {
                step,
                at: client.clock().now(),
                outcome,
                reason: reason.clone(),
            }])?;
            all.push(SettledEarlier {
                run: record.run.clone(),
                kind: id.kind.name().to_owned(),
                name: id.name.to_string(),
                id: id.id.to_string(),
                outcome,
                reason,
            });
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
            let reason = format!("the run left it in doubt, and it could not be re-read: {why}");
            return (Outcome::InDoubt, reason);
        }
    };
    let reason = format!("the run left it in doubt; re-reading shows {shown}");
    (outcome, reason)
}

/// Returns whether the credentials are known to see the place of a resource: to
/// those without access, everything in it is "not found".
///
/// A kind that is listed only for holders that are garbage may not have been
/// listed in this run; then its first page is asked for.
async fn can_see(
    client: &Client,
    kind: &dyn Kind,
    findings: &Findings<'_>,
    id: &ResourceId,
) -> bool {
    let mut listings = findings.inventory.listings.iter();
    if listings.any(|one| one.kind == id.kind && one.place == id.place) {
        return findings.gap(id.kind, &id.place).is_none();
    }
    let mut listings = findings.inventory.listings.iter();
    let is_known = listings.any(|one| one.place == id.place && one.complete());
    if !is_known || id.kind.holder.is_none() || kind.holders().is_some() {
        return false;
    }
    let first = kind.list(&id.place, None, &PageOf::First);
    let answer = client.send(&first).await.ok();
    let page = answer.map(|body| kind.read_page(&id.place, &body));
    matches!(page, Some(Ok(_)))
}
