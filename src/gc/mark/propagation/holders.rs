//! What resources hold that no listing shows, because that takes a request for each
//! holder: the Previews of a Worker.

use super::super::super::verdict::{Doubt, ResourceUser, UsageKind, UserStays, Verdict};
use super::super::Judgement;
use super::super::dependents::{is_deleted_with_owner, is_recorded_for_another};
use super::super::judge::is_named_after_owner;
use super::{Propagation, by_its_own_clocks};
use crate::model::{KindRef, Resource};

impl Propagation<'_> {
    /// A resource that contains something which does not go with it stays.
    pub(super) fn keep_holders(&mut self) -> bool {
        let mut kept = Vec::new();
        for (index, judgement) in self.judgements.iter().enumerate() {
            if !judgement.verdict.is_garbage() {
                continue;
            }
            let kind = self.inventory.resources[index].kind;
            for owned in self.unlisted_holdings(kind, index) {
                let items = match self.inventory.uses.held.get(&index) {
                    Some(Err(why)) => {
                        let doubt = Doubt::Holds {
                            kind: owned.named(),
                            why: Some(why.as_str().into()),
                        };
                        kept.push((index, Verdict::Unknown(doubt)));
                        break;
                    }
                    Some(Ok(items)) => items,
                    // It is about to be asked for.
                    None => continue,
                };
                let mut items = items.iter();
                if let Some(item) = items.find(|item| !self.goes_with(item, index, judgement)) {
                    let user = ResourceUser {
                        kind: owned.named(),
                        name: item.name.clone(),
                        how: UsageKind::Holds,
                        stays: UserStays::Wanted,
                    };
                    kept.push((index, Verdict::InUse(user)));
                    break;
                }
            }
        }
        let changed = !kept.is_empty();
        for (index, verdict) in kept {
            self.judgements[index].verdict = verdict;
        }
        changed
    }

    /// Whether something that no listing shows may go with the garbage that holds
    /// it. It has no verdict of its own: what would keep a listed one keeps it, and
    /// so does a run that is not about its kind.
    fn goes_with(&self, item: &Resource, owner: usize, of_owner: &Judgement) -> bool {
        let kinds = self.input.only_kinds;
        let in_focus = kinds.is_none_or(|kinds| kinds.contains(&item.kind));
        let overridden = item.protection.filter(|_| is_named_after_owner(item));
        let is_protected = self.judge.protection(item, overridden).is_some();
        let verdict = by_its_own_clocks(item, of_owner.verdict.clone(), self.input);
        in_focus
            && !is_protected
            && !is_recorded_for_another(self.input, item, of_owner)
            && self.judge.contradiction(item, of_owner).is_none()
            && verdict.is_garbage()
            && is_deleted_with_owner(
                self.input,
                self.living,
                item.kind,
                &item.name,
                owner,
                of_owner,
                self.inventory,
            )
    }

    /// The kinds whose resources belong to one of this kind and were not listed
    /// in its place, because that takes a request for each holder.
    pub(super) fn unlisted_holdings(&self, kind: KindRef, index: usize) -> Vec<KindRef> {
        let owned = self.input.graph.owned(kind);
        owned
            .filter(|owned| owned.0.holder.is_some() && owned.0.place == kind.place)
            .filter(|owned| !self.is_listed(*owned, &self.inventory.resources[index].place))
            .collect()
    }
}
