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
                LookupResult::Gone if listed => LookupResult::Unreadable(
                    "the listing shows it, but reading it by id does not".to_owned(),
                ),
                seen => seen,
            };
            let (outcome, reason) = match seen {
                LookupResult::Gone => (
                    // A resource that was to expire did so, or somebody deleted
                    // it.
                    match action {
                        Action::Delete => Outcome::Deleted,
                        Action::Expire | Action::RemoveExpiry | Action::Report => {
                            Outcome::AlreadyGone
                        }
                    },
                    "the run left it in doubt; re-reading shows that it is gone".to_owned(),
                ),
                LookupResult::Expires => (
                    Outcome::Expired,
                    "the run left it in doubt; re-reading shows its expiry".to_owned(),
                ),
                LookupResult::There
                    if action == Action::RemoveExpiry
                        && findings
                            .find(&id)
                            .is_some_and(|(found, _)| found.expires_at.is_none()) =>
                {
                    (
                        Outcome::ExpiryRemoved,
                        "the run left it in doubt; re-reading shows no expiry".to_owned(),
                    )
                }
                LookupResult::There => (
                    Outcome::FailedForNow,
                    "the run left it in doubt; re-reading shows that it had no effect".to_owned(),
                ),
                LookupResult::Unreadable(why) => (
                    Outcome::InDoubt,
                    format!("the run left it in doubt, and it could not be re-read: {why}"),
                ),
            };
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
