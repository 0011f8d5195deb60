//! What may have made satellites that could not be read.

use super::super::super::verdict::{Doubt, Verdict};
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
                    let kind = kind.name();
                    kept.push((index, Doubt::Holds { kind, why }));
                    break;
                }
            }
        }
        for (index, doubt) in kept {
            self.judgements[index].verdict = Verdict::Unknown(doubt);
        }
    }
}
