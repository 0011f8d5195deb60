//! What earlier runs left in doubt is settled by reading, never by trying again
//! blindly.

use std::path::Path;

use serde::Serialize;

use super::confirm::{Seen, look_once};
use crate::gc::Outcome;
use crate::gc::sealed::Bound;
use crate::journal::{self, Entry, Journal, JournalError};
use crate::kinds;
use crate::model::KindRef;
use crate::policy::Action;
use crate::wire::Client;

/// A step of an earlier run whose outcome is known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettledEarlier {
    /// The run.
    pub run: String,
    /// The kind of the resource.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How that is known.
    pub reason: String,
}

/// Settles what earlier runs left in doubt, as far as it is about the same
/// places. Runs that go on are left alone.
///
/// # Errors
///
/// When a journal cannot be read or written.
pub async fn settle(
    client: &Client,
    folder: &Path,
    here: &Bound,
    kinds: &[KindRef],
) -> Result<Vec<SettledEarlier>, JournalError> {
    let mut all = Vec::new();
    for record in journal::records(folder)? {
        let ours: Vec<_> = record
            .open()
            .filter_map(|(step, noted)| {
                let (action, written, _) = noted.intent.as_ref()?;
                let id = written.identity(kinds)?;
                let same_host = client.host(id.kind.0.api).as_ref() == Some(&written.host);
                (same_host && here.places.contains(&id.place)).then_some((step, *action, id))
            })
            .collect();
        if ours.is_empty() {
            continue;
        }
        let Some(mut journal) = Journal::resume(&record)? else {
            continue;
        };
        for (step, action, id) in ours {
            let Some(kind) = kinds::by_name(id.kind.name()) else {
                continue;
            };
            let seen = look_once(client, kind, &id, action == Action::Expire).await;
            let (outcome, reason) = match seen {
                Seen::Gone => (
                    Outcome::Deleted,
                    "the run was cut off; a later reading shows that it is gone".to_owned(),
                ),
                Seen::Expires => (
                    Outcome::Expired,
                    "the run was cut off; a later reading shows its expiry".to_owned(),
                ),
                Seen::There => (
                    Outcome::FailedForNow,
                    "the run was cut off; a later reading shows that it had no effect".to_owned(),
                ),
                Seen::Unreadable(why) => (
                    Outcome::InDoubt,
                    format!("the run was cut off, and it cannot be looked for: {why}"),
                ),
            };
            journal.write(&[Entry::Outcome {
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
