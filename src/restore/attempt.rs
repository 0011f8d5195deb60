//! Makes one deleted resource again. It is looked for first, and the journal says
//! that it may exist before the request leaves: an answer may be lost.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{RestoreError, RestoreResult, by_hand, fill};
use crate::journal::{Journal, JournalEntry, RecordedStep, Snapshot, StepState};
use crate::kind::{Kind, Namesake, Restore};
use crate::model::{Resource, ResourceId};
use crate::progress::Unwatched;
use crate::providers;
use crate::scan::{self, Target};
use crate::wire::{Client, WriteResult, error};

/// Delays before each look for what a request may have made.
const LOOKS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// One resource that is to be made again.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) step: usize,
    pub(super) noted: &'a RecordedStep,
    pub(super) id: &'a ResourceId,
    pub(super) copy: &'a Snapshot,
    /// The ids of what else was restored of that run.
    pub(super) others: BTreeSet<&'a str>,
}

/// What a look for the resource shows.
enum Seen {
    /// It is there.
    There(Box<Resource>),
    /// Something else has its name.
    Taken(String),
    /// Nothing has its name.
    Absent,
}

type Result<T> = std::result::Result<T, RestoreError>;

impl Attempt<'_> {
    /// Makes it again unless it is there. Returns the result with details for
    /// people.
    pub(super) async fn run(&self, journal: &mut Journal) -> Result<(RestoreResult, String)> {
        let kind = providers::by_name(self.id.kind.name());
        let Some((kind, restore)) = kind.and_then(|kind| Some((kind, kind.restore()?))) else {
            return Ok((RestoreResult::Cannot, by_hand(self.id, self.copy)));
        };
        match self.look(kind, restore).await {
            Ok(Seen::There(found)) => self.found(journal, restore, &found).await,
            Ok(Seen::Taken(other)) => {
                let why = format!("its name is taken by {other}; nothing was changed");
                Ok((RestoreResult::Cannot, why))
            }
            Ok(Seen::Absent) => self.make(journal, kind, restore).await,
            Err(why) => {
                let why = format!("whether it is there could not be read: {why}");
                Ok((RestoreResult::Failed, why))
            }
        }
    }

    /// Looks for the resource, and for what has its name.
    async fn look(
        &self,
        kind: &'static dyn Kind,
        restore: &dyn Restore,
    ) -> std::result::Result<Seen, String> {
        let target = Target {
            needed: false,
            ..Target::alone(kind, &self.id.place)
        };
        let targets = std::slice::from_ref(&target);
        let listed = scan::inventory(self.client, targets, &Unwatched).await;
        let gap = listed.listings.iter().find(|listing| !listing.complete());
        if let Some(listing) = gap {
            return Err(listing.evidence.gap.clone().unwrap_or_default());
        }
        let back = self.noted.back.as_ref().map(|(_, id)| id.as_str());
        let all = || listed.resources.iter();
        // What was restored last, else what was never gone.
        let known = [back, Some(&*self.id.id)];
        let mut known = known.into_iter().flatten();
        if let Some(one) = known.find_map(|id| all().find(|one| *one.id == *id)) {
            return Ok(Seen::There(Box::new(one.clone())));
        }
        let original = self.copy.original.as_ref();
        let is_named =
            |one: &&Resource| one.name == self.id.name && !self.others.contains(&*one.id);
        let mut taken = None;
        for other in all().filter(is_named) {
            match restore.namesake(self.id, original, other) {
                Namesake::Itself => return Ok(Seen::There(Box::new(other.clone()))),
                Namesake::Other => {
                    taken = Some(format!("another {} ({})", self.id.kind.noun, other.id));
                }
                Namesake::Beside => {}
            }
        }
        Ok(taken.map_or(Seen::Absent, Seen::Taken))
    }

    /// Ends where the resource is there.
    async fn found(
        &self,
        journal: &mut Journal,
        restore: &dyn Restore,
        resource: &Resource,
    ) -> Result<(RestoreResult, String)> {
        let found = &*resource.id;
        let back = self.noted.back.as_ref().map(|(_, id)| id.as_str());
        match self.noted.standing {
            // An earlier attempt made it, and did not see that.
            StepState::Restoring => {
                let marked = self.is_as_marked(restore, resource);
                self.made(journal, found, marked).await
            }
            StepState::Restored if back == Some(found) && self.noted.unfilled => {
                self.fill(journal, found).await
            }
            StepState::Restored if back == Some(found) => Ok((
                RestoreResult::AlreadyThere,
                "it was restored before".to_owned(),
            )),
            // The journal protects another one, or none.
            StepState::Restored | StepState::Released => {
                journal.write(&[self.restoring()])?;
                self.adopt(journal, found)
            }
            StepState::Open | StepState::Settled(_) => self.adopt(journal, found),
        }
    }

    /// Protects what somebody else made. Nothing is written into it.
    fn adopt(&self, journal: &mut Journal, found: &str) -> Result<(RestoreResult, String)> {
        journal.write(&[self.restored(found, false, false)])?;
        let why = format!("nothing was changed (id {found})");
        Ok((RestoreResult::AlreadyThere, why))
    }

    fn restoring(&self) -> JournalEntry {
        JournalEntry::Restoring {
            step: self.step,
            at: self.client.clock().now(),
        }
    }

    fn restored(&self, id: &str, unfilled: bool, marked: bool) -> JournalEntry {
        JournalEntry::Restored {
            step: self.step,
            at: self.client.clock().now(),
            id: id.to_owned(),
            unfilled,
            marked,
        }
    }

    /// What the provider said of it, with the mark that keeps it; none if its kind has
    /// no mark, or no room for it.
    fn marked_original(&self, restore: &dyn Restore) -> Option<Value> {
        restore.keep_mark()?.mark(self.copy.original.as_ref()?)
    }

    /// Whether something that is there has the mark that this attempt writes.
    fn is_as_marked(&self, restore: &dyn Restore, there: &Resource) -> bool {
        let marked = self.marked_original(restore);
        let mark = marked.zip(restore.keep_mark());
        mark.is_some_and(|(marked, mark)| mark.is_as_marked(&marked, there))
    }

    /// Journals the attempt, sends the request, and looks where its effect is
    /// unknown.
    async fn make(
        &self,
        journal: &mut Journal,
        kind: &'static dyn Kind,
        restore: &dyn Restore,
    ) -> Result<(RestoreResult, String)> {
        match self.recoverable(restore).await {
            Ok(true) => {}
            Ok(false) => return Ok((RestoreResult::Cannot, by_hand(self.id, self.copy))),
            Err(why) => return Ok((RestoreResult::Failed, why)),
        }
        let has_contents = kind.backup().is_none() || self.copy.held.is_some();
        let marked = self.marked_original(restore);
        let call = restore.recreate(self.id, marked.as_ref().or(self.copy.original.as_ref()));
        let Some(call) = call.filter(|_| has_contents) else {
            return Ok((RestoreResult::Cannot, by_hand(self.id, self.copy)));
        };
        journal.write(&[self.restoring()])?;
        match self.client.write(&call, self.client.deadline()).await {
            WriteResult::NotSent(error) => self.not_made(journal, error.to_string()),
            WriteResult::Lost(error) | WriteResult::Throttled(error) => {
                self.in_doubt(journal, kind, restore, error.to_string())
                    .await
            }
            WriteResult::Answered(response) if response.status().is_success() => {
                match restore.read_recreated(response.body()) {
                    Ok(new) => self.made(journal, &new, marked.is_some()).await,
                    Err(error) => {
                        let why = self.client.redact(&error.0);
                        self.in_doubt(journal, kind, restore, why).await
                    }
                }
            }
            WriteResult::Answered(response) => {
                let refusal = error::refusal(call.api, &response);
                let why = self.client.error(&(&call).into(), refusal).to_string();
                if response.status().is_server_error() {
                    return self.in_doubt(journal, kind, restore, why).await;
                }
                // Perhaps because somebody else has made it.
                match self.look(kind, restore).await {
                    Ok(Seen::There(found)) => self.adopt(journal, &found.id),
                    _ => self.not_made(journal, why),
                }
            }
        }
    }

    /// Returns whether the provider still has it, where it keeps what was deleted.
    async fn recoverable(&self, restore: &dyn Restore) -> std::result::Result<bool, String> {
        let Some(recovery) = restore.recovery() else {
            return Ok(true);
        };
        let body = self.client.send(&recovery.ask(self.id)).await;
        let body = body.map_err(|error| error.to_string())?;
        let until = recovery.read(self.id, &body);
        let until = until.map_err(|error| self.client.redact(&error.0))?;
        Ok(until.is_some_and(|until| until > self.client.clock().now()))
    }

    fn not_made(&self, journal: &mut Journal, reason: String) -> Result<(RestoreResult, String)> {
        journal.write(&[JournalEntry::NotRestored {
            step: self.step,
            at: self.client.clock().now(),
            reason: reason.clone(),
        }])?;
        Ok((RestoreResult::Failed, reason))
    }

    /// Looks whether a request had an effect. While that is unknown, the journal
    /// protects what has the name.
    async fn in_doubt(
        &self,
        journal: &mut Journal,
        kind: &'static dyn Kind,
        restore: &dyn Restore,
        why: String,
    ) -> Result<(RestoreResult, String)> {
        for wait in LOOKS {
            if !self.client.pause(wait).await {
                break;
            }
            if let Ok(Seen::There(found)) = self.look(kind, restore).await {
                let marked = self.is_as_marked(restore, &found);
                return self.made(journal, &found.id, marked).await;
            }
        }
        let why = format!(
            "{why}; whether it was made is unknown, so what has its name is kept; run this again"
        );
        Ok((RestoreResult::Failed, why))
    }

    /// Records what was made, and writes its contents.
    async fn made(
        &self,
        journal: &mut Journal,
        new: &str,
        marked: bool,
    ) -> Result<(RestoreResult, String)> {
        journal.write(&[self.restored(new, self.copy.held.is_some(), marked)])?;
        self.fill(journal, new).await
    }

    async fn fill(&self, journal: &mut Journal, new: &str) -> Result<(RestoreResult, String)> {
        match fill(self.client, self.id, self.copy, new).await {
            Ok(message) => {
                if self.copy.held.is_some() {
                    journal.write(&[JournalEntry::Filled {
                        step: self.step,
                        at: self.client.clock().now(),
                    }])?;
                }
                Ok((RestoreResult::Restored, message))
            }
            Err(why) => Ok((RestoreResult::Failed, why)),
        }
    }
}
