//! What people protect keeps what manages it and what belongs to it.

use std::collections::HashMap;

use super::super::super::verdict::{ResourceUser, UsageKind, UserStays, Verdict};
use super::Propagation;
use crate::model::Resource;

impl Propagation<'_> {
    /// What people protect keeps what manages it: a custom domain takes its
    /// record along.
    pub(super) fn keep_managers(&mut self) {
        let all = self.inventory.resources.iter().zip(&*self.judgements);
        let wanted = all.filter(|(_, judgement)| match &judgement.verdict {
            Verdict::Protected(protection) => protection.is_by_people(),
            _ => false,
        });
        let mut protected: HashMap<_, Vec<&Resource>> = HashMap::new();
        for (resource, _) in wanted {
            let key = (resource.kind.name(), resource.name.to_ascii_lowercase());
            protected.entry(key).or_default().push(resource);
        }
        for (manager, judgement) in self.inventory.resources.iter().zip(&mut *self.judgements) {
            let Some(managed) = manager
                .kind
                .0
                .manages
                .filter(|_| judgement.verdict.is_garbage())
            else {
                continue;
            };
            let same = protected.get(&(managed, manager.name.to_ascii_lowercase()));
            let mut same = same.into_iter().flatten();
            if let Some(managed) = same.find(|one| one.place.is_near(&manager.place)) {
                judgement.verdict = Verdict::InUse(ResourceUser {
                    kind: managed.kind.named(),
                    name: managed.name.clone(),
                    how: UsageKind::Manager,
                    stays: UserStays::Wanted,
                });
            }
        }
    }

    /// What belongs to something that people protect stays, also where a rule of
    /// its own matches it: without its domain a protected Worker has no traffic.
    pub(super) fn keep_attached_to_protected(&mut self) {
        let owners = self.links.owners();
        let attached = owners.filter(|(owned, owner)| {
            let of_owner = self.judgements.get(*owner).map(|one| &one.verdict);
            let is_wanted = matches!(of_owner, Some(Verdict::Protected(why)) if why.is_by_people());
            is_wanted && self.is_garbage(*owned)
        });
        let attached: Vec<_> = attached.collect();
        for (owned, owner) in attached {
            self.judgements[owned].verdict = Verdict::InUse(self.user(owner, UsageKind::Owner));
        }
    }
}
