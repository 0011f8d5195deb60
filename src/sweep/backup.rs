//! Backs up the contents of resources before their deletion, if a rule has
//! `backup = true`.

use std::sync::PoisonError;

use serde_json::Value;

use super::Sweep;
use crate::kind::Backup;
use crate::model::ResourceId;
use crate::policy::Action;
use crate::wire::Client;

/// Steps with the backup of their resource; and steps whose backup failed, with
/// the reason.
type BackedUp = (Vec<(usize, Option<Value>)>, Vec<(usize, String)>);

impl Sweep<'_, '_> {
    /// Backs up the resources of a batch, one after the other, until no more
    /// steps are started. A resource whose backup fails is not deleted.
    pub(super) async fn keep(&self, batch: Vec<usize>) -> BackedUp {
        let (mut kept, mut unkept) = (Vec::new(), Vec::new());
        for step in batch {
            if self.halt(step).is_some() {
                break;
            }
            let backup = self
                .kind(step)
                .and_then(|kind| kind.backup())
                .filter(|_| self.steps[step].backup && self.action(step) == Action::Delete);
            let Some(backup) = backup else {
                kept.push((step, None));
                continue;
            };
            let known = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held) = known().get(&step) {
                kept.push((step, Some(held.clone())));
                continue;
            }
            match contents(&self.survey.client, backup, &self.ids[step]).await {
                Ok(held) => {
                    known().insert(step, held.clone());
                    kept.push((step, Some(held)));
                }
                // The end of the run is not a failure of the backup.
                Err(_) if self.halt(step).is_some() => break,
                Err(why) => unkept.push((step, format!("its backup could not be made: {why}"))),
            }
        }
        (kept, unkept)
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
