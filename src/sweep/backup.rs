//! Backs up the contents of resources before their deletion, if a rule has
//! `backup = true`.

use serde_json::Value;

use super::Sweep;
use super::lane::{Backups, Lane};
use super::ready_step::ReadyStep;
use crate::kinds::Backup;
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
    /// the reason.
    pub(super) async fn keep(
        &self,
        lane: &mut Lane,
        batch: Vec<ReadyStep>,
    ) -> (Vec<ReadyStep>, Vec<(usize, String)>) {
        let (mut kept, mut unkept) = (Vec::new(), Vec::new());
        for mut ready in batch {
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
        let backup = self
            .kind(step)
            .and_then(crate::kinds::Kind::archive)
            .filter(|_| self.steps[step].backup && self.action(step) == Action::Delete);
        let Some(backup) = backup else {
            return Ok(None);
        };
        if let Some(held) = backups.get(&step) {
            return Ok(Some(held.clone()));
        }
        match contents(&self.survey.client, backup, &self.ids[step]).await {
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
}

/// Reads the contents of one resource.
async fn contents(client: &Client, backup: &dyn Backup, id: &ResourceId) -> Result<Value, String> {
    let mut held = Value::Null;
    while let Some(call) = backup.next(id, &held) {
        let body = client
            .send(&call)
            .await
            .map_err(|error| error.to_string())?;
        backup
            .take(&mut held, &body)
            .map_err(|error| client.redact(&error.0))?;
    }
    Ok(held)
}
