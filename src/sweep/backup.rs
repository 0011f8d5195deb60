//! Keeps what resources hold before they are deleted, where a rule says so.

use std::sync::PoisonError;

use serde_json::Value;

use super::Sweep;
use crate::kinds::Backup;
use crate::model::ResourceId;
use crate::policy::Action;
use crate::wire::Client;

/// Steps with what their resources hold; and those of which it could not be
/// kept, with the reason.
type Kept = (Vec<(usize, Option<Value>)>, Vec<(usize, String)>);

impl Sweep<'_, '_> {
    /// Keeps what the resources of a batch hold, one after the other, until no
    /// more steps are begun. What cannot be kept is not deleted.
    pub(super) async fn keep(&self, batch: Vec<usize>) -> Kept {
        let (mut kept, mut unkept) = (Vec::new(), Vec::new());
        for step in batch {
            if self.halt(step).is_some() {
                break;
            }
            let archive = self
                .kind(step)
                .and_then(crate::kinds::Kind::archive)
                .filter(|_| self.steps[step].backup && self.action(step) == Action::Delete);
            let Some(archive) = archive else {
                kept.push((step, None));
                continue;
            };
            let known = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held) = known().get(&step) {
                kept.push((step, Some(held.clone())));
                continue;
            }
            match held(&self.survey.client, archive, &self.ids[step]).await {
                Ok(held) => {
                    known().insert(step, held.clone());
                    kept.push((step, Some(held)));
                }
                // What ends the run is not the fault of the backup.
                Err(_) if self.halt(step).is_some() => break,
                Err(why) => unkept.push((step, format!("its backup could not be made: {why}"))),
            }
        }
        (kept, unkept)
    }
}

/// What one resource holds.
async fn held(client: &Client, archive: &dyn Backup, id: &ResourceId) -> Result<Value, String> {
    let mut held = Value::Null;
    while let Some(call) = archive.next(id, &held) {
        let body = client
            .send(&call)
            .await
            .map_err(|error| error.to_string())?;
        archive
            .take(&mut held, &body)
            .map_err(|error| client.redact(&error.0))?;
    }
    Ok(held)
}
