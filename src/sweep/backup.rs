//! Backs up the contents of resources before their deletion, if a rule has
//! `backup = true`.

use serde_json::Value;

use super::Sweep;
use super::lane::{Backups, Lane};
use super::ready_step::ReadyStep;
use crate::call::Transfer;
use crate::kind::Backup;
use crate::model::ResourceId;
use crate::policy::Action;
use crate::wire::Client;

/// Why there is no backup.
pub(super) enum NoBackup {
    /// The run starts no more steps.
    RunEnds,
    /// It could not be made, for this reason.
    Failed(String),
}

impl Sweep<'_, '_> {
    /// Backs up the resources of a batch, one after the other, until no more
    /// steps are started. Also returns the steps whose backup failed, each with
    /// the reason. A resource whose backup is compared with it again is deleted
    /// right after that; the rest of the batch waits.
    pub(super) async fn keep(
        &self,
        lane: &mut Lane,
        batch: Vec<ReadyStep>,
    ) -> (Vec<ReadyStep>, Vec<(usize, String)>) {
        let (mut kept, mut unkept) = (Vec::new(), Vec::new());
        for mut ready in batch {
            let backup = self.wanted_backup(ready.step);
            let is_compared = backup.and_then(|backup| backup.recheck(&self.ids[ready.step]));
            if is_compared.is_some() && !kept.is_empty() {
                break;
            }
            match self.back_up(&mut lane.backups, ready.step).await {
                Ok(backup) => {
                    ready.backup = backup;
                    kept.push(ready);
                }
                Err(NoBackup::Failed(why)) => unkept.push((ready.step, why)),
                Err(NoBackup::RunEnds) => break,
            }
        }
        (kept, unkept)
    }

    /// Returns the contents of a step's resource, and `None` if they are not
    /// backed up. A resource without its backup is not deleted.
    pub(super) async fn back_up(
        &self,
        backups: &mut Backups,
        step: usize,
    ) -> Result<Option<Value>, NoBackup> {
        if self.halt(step).is_some() {
            return Err(NoBackup::RunEnds);
        }
        let Some(backup) = self.wanted_backup(step) else {
            return Ok(None);
        };
        let known = backups.remove(&step);
        match self.current(backup, step, known).await {
            Ok(held) => {
                backups.insert(step, held.clone());
                Ok(Some(held))
            }
            // The end of the run is not a failure of the backup.
            Err(_) if self.halt(step).is_some() => Err(NoBackup::RunEnds),
            Err(why) => Err(NoBackup::Failed(format!(
                "its backup could not be made: {why}"
            ))),
        }
    }

    /// Returns how a step's resource is backed up, if its rule asks for that.
    fn wanted_backup(&self, step: usize) -> Option<&'static dyn Backup> {
        let backup = self.kind(step).and_then(|kind| kind.backup());
        backup.filter(|_| self.steps[step].backup && self.action(step) == Action::Delete)
    }

    /// Returns the contents of a step's resource as they are now: those of its last
    /// backup if they have not changed since.
    async fn current(
        &self,
        backup: &dyn Backup,
        step: usize,
        known: Option<Value>,
    ) -> Result<Value, String> {
        let (client, id) = (&self.survey.client, &self.ids[step]);
        if let Some(held) = known
            && is_current(client, backup, id, &held).await?
        {
            return Ok(held);
        }
        let mut held = Value::Null;
        while let Some(transfer) = next(client, backup, id, &held)? {
            if self.halt(step).is_some() {
                return Err("the run ends".to_owned());
            }
            let body = client.transfer(&transfer).await;
            let body = body.map_err(|error| error.to_string())?;
            let taken = backup.take(&mut held, &body);
            taken.map_err(|error| client.redact(&error.0))?;
        }
        if is_current(client, backup, id, &held).await? {
            Ok(held)
        } else {
            Err("it changed while it was backed up".to_owned())
        }
    }
}

/// Returns what a backup asks for next.
fn next(
    client: &Client,
    backup: &dyn Backup,
    id: &ResourceId,
    held: &Value,
) -> Result<Option<Transfer>, String> {
    let next = backup.next(id, held);
    next.map_err(|error| client.redact(&error.0))
}

/// Returns whether a resource looks as it did when it was backed up.
async fn is_current(
    client: &Client,
    backup: &dyn Backup,
    id: &ResourceId,
    held: &Value,
) -> Result<bool, String> {
    let Some(call) = backup.recheck(id) else {
        return Ok(true);
    };
    let body = client.send(&call).await;
    let body = body.map_err(|error| error.to_string())?;
    let current = backup.is_current(held, &body);
    current.map_err(|error| client.redact(&error.0))
}
