//! The intents that are journaled before a batch is sent: each with a snapshot of
//! its resource, and of what the provider removes with it.

use super::Sweep;
use super::ready_step::{ReadyStep, Unbind};
use crate::journal::{self, Implied, JournalEntry, Snapshot};
use crate::model::ResourceId;
use crate::policy::Action;
use crate::survey::Findings;

impl Sweep<'_, '_> {
    /// Returns the intents of a batch, each with a snapshot of its resource.
    pub(super) fn intents(&self, view: &Findings<'_>, batch: &[ReadyStep]) -> Vec<JournalEntry> {
        let at = self.survey.client.clock().now();
        let intent = |ready: &ReadyStep| {
            let step = ready.step;
            let id = &self.ids[step];
            let host = self.survey.client.host(id.kind.api).unwrap_or_default();
            let mut copy = view
                .find(id)
                .map_or_else(Snapshot::default, |(resource, _)| Snapshot::of(resource));
            copy.uses = view.uses(id);
            let before = self.before(view, step);
            let paths = before
                .iter()
                .map(|(call, _)| format!("{} {}", call.method, call.path));
            let unbinds = ready.unbinds.iter().map(Unbind::written);
            copy.before = unbinds.chain(paths).chain(self.emptied(step)).collect();
            copy.expires_at = ready.expires_at;
            copy.held.clone_from(&ready.backup);
            if self.action(step) == Action::Delete {
                copy.implied = self.implied(view, step);
            }
            JournalEntry::Intent {
                step,
                at,
                action: self.action(step),
                resource: journal::JournaledResource::of(id, host),
                copy: Box::new(copy),
            }
        };
        batch.iter().map(intent).collect()
    }

    /// Returns what the provider removes with a step's resource: as it is now,
    /// and what only the first audit of the run showed.
    fn implied(&self, view: &Findings<'_>, step: usize) -> Vec<Implied> {
        // A resource with its own step has its own intent.
        let has_step = |one: &Implied| {
            let is =
                |id: &ResourceId| *id.kind.name() == *one.kind && Some(&id.id) == one.id.as_ref();
            self.ids.iter().any(is)
        };
        let mut implied = view.implied(&self.ids[step]);
        implied.retain(|one| !has_step(one));
        let first = self.implied.get(step);
        for one in first.into_iter().flatten().filter(|one| !has_step(one)) {
            let known = implied.iter_mut().find(|now| {
                let same_id = now.id.is_none() || now.id == one.id;
                now.kind == one.kind && now.name == one.name && same_id
            });
            match known {
                None => implied.push(one.clone()),
                Some(now) => {
                    now.id = now.id.take().or_else(|| one.id.clone());
                    match (&mut now.copy, &one.copy) {
                        (Some(copy), Some(first)) if copy.implied.is_empty() => {
                            copy.implied.clone_from(&first.implied);
                        }
                        (copy @ None, first) => copy.clone_from(first),
                        _ => {}
                    }
                }
            }
        }
        implied
    }
}
