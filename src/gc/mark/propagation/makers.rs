//! What keeps the makers of satellites: satellites that stay, and those that could not
//! be read.

use super::super::super::reference_index::IndexedUser;
use super::super::super::verdict::{Doubt, UsageKind, Verdict};
use super::Propagation;
use crate::model::Place;

impl Propagation<'_> {
    /// What may have made satellites stays if that could not be read: once it is gone,
    /// nothing shows any more which satellites it left behind.
    pub(super) fn keep_unread_makers(&mut self) {
        let mut kept = Vec::new();
        for (index, judgement) in self.judgements.iter().enumerate() {
            let maker = &self.inventory.resources[index];
            if !judgement.verdict.is_garbage() || self.inventory.is_deleted_maker(index) {
                continue;
            }
            for kind in self.input.graph.lost_satellites(maker.kind) {
                let Some(source) = kind.maker_shown_by else {
                    continue;
                };
                let mut all = self.inventory.resources.iter();
                let key = (source, Place::clone(&maker.place));
                if let Some(Err(why)) = self.inventory.uses.sources.get(&key)
                    && all.any(|one| one.kind == kind && one.place == maker.place)
                {
                    let why = Some(why.as_str().into());
                    let kind = kind.named();
                    kept.push((index, Doubt::Holds { kind, why }));
                    break;
                }
            }
        }
        for (index, doubt) in kept {
            self.judgements[index].verdict = Verdict::Unknown(doubt);
        }
    }

    /// What runs the code of something keeps that, if it stays for a reason of its own
    /// or if something else that stays uses it. One that nobody is known to use, and
    /// no rule is about, is left behind.
    pub(super) fn keep_makers(&mut self) -> bool {
        let makers = self.links.makers();
        let kept = makers.filter(|(satellite, maker)| {
            let kind = self.inventory.resources[*satellite].kind;
            // Without its maker nobody would find it any more.
            let is_lost_without = kind.maker_shown_by.is_some();
            (kind.keeps_maker || is_lost_without)
                && self.is_garbage(*maker)
                && !self.inventory.is_deleted_maker(*maker)
                && self.is_wanted_without(*satellite, *maker)
        });
        let kept: Vec<_> = kept.collect();
        for (satellite, maker) in &kept {
            let user = self.user(*satellite, UsageKind::Runs);
            self.judgements[*maker].verdict = Verdict::InUse(user);
        }
        !kept.is_empty()
    }

    /// Whether something keeps a satellite, apart from what made it.
    fn is_wanted_without(&self, satellite: usize, maker: usize) -> bool {
        match &self.judgements[satellite].verdict {
            Verdict::Garbage(_) => false,
            Verdict::Protected(_) | Verdict::Live(_) | Verdict::Grace(_) | Verdict::Unknown(_) => {
                true
            }
            Verdict::InUse(_) | Verdict::Unmatched(_) => {
                let mut users = self.links.users(satellite).iter();
                users.any(|user| match user {
                    IndexedUser::Other { .. } => true,
                    IndexedUser::Listed(user) => {
                        ![satellite, maker].contains(user) && self.stays(*user)
                    }
                })
            }
        }
    }
}
