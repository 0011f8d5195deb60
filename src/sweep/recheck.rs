//! Looks at a step once more just before it is taken: only what is what it was,
//! and still garbage, may go.

use super::confirm::{Seen, look_once};
use super::{Lane, Sweep};
use crate::gc::box_key;
use crate::gc::outcome::{Recheck, recheck};
use crate::gc::verdict::Verdict;
use crate::gc::{Judgement, Outcome};
use crate::model::{Reference, Resource, ResourceId};
use crate::survey::Findings;

impl Sweep<'_, '_> {
    /// Settles what the view does not let go, and gives the rest. What the view
    /// does not tell ends only when it is `due`.
    pub(super) async fn recheck(
        &self,
        lane: &mut Lane<'_>,
        view: &Findings<'_>,
        steps: &[usize],
        due: bool,
    ) -> Vec<usize> {
        let mut batch = Vec::new();
        for &step in steps {
            if !lane.pending.contains(&step) {
                continue;
            }
            let id = &self.ids[step];
            let found = view.find(id);
            let unreadable = self.unreadable(view, step);
            // Looking once more for each of them would show the same.
            let alike = |other: &usize| {
                let other = &self.ids[*other];
                (other.kind, &other.place) == (id.kind, &id.place)
            };
            let mut settled = vec![step];
            if unreadable.is_some() {
                settled = lane.pending.iter().copied().filter(alike).collect();
            }
            let verdict = match unreadable {
                Some(why) => Recheck::Unknown(why),
                None => recheck(&self.steps[step], found, &view.marking),
            };
            let (outcome, why) = match verdict {
                Recheck::Go if self.is_cleared(view, id) => (
                    Outcome::Spared,
                    "its \"delete\" box in the tracking issue was cleared".to_owned(),
                ),
                Recheck::Go => {
                    batch.push(step);
                    continue;
                }
                Recheck::Unknown(_) if !due => continue,
                Recheck::Gone => self.gone(step).await,
                // What uses it is dead as well and has to wait itself.
                Recheck::Spared(why) if waits(view, found) => (Outcome::Deferred, why),
                Recheck::Spared(why) => (Outcome::Spared, why),
                Recheck::Unknown(why) => {
                    let outcome = match self.halt(step) {
                        Some(_) => Outcome::Deferred,
                        None => Outcome::FailedForNow,
                    };
                    (outcome, format!("it could not be re-read: {why}"))
                }
            };
            lane.outdated |= !outcome.is_gone();
            lane.pending.retain(|one| !settled.contains(one));
            for step in settled {
                self.settle(step, outcome, why.clone());
            }
            if outcome == Outcome::Spared {
                let owned = self.owned(lane, view, id);
                lane.pending.retain(|one| !owned.contains(one));
                for step in owned {
                    self.settle(step, outcome, format!("{id}, to which it belongs, stays"));
                }
            }
        }
        batch.retain(|step| lane.pending.contains(step));
        batch
    }

    /// Whether only what is ticked may go, and this is not ticked any more.
    fn is_cleared(&self, view: &Findings<'_>, id: &ResourceId) -> bool {
        self.survey.approved && !view.roots.is_ticked_for_deletion(&box_key::of(id))
    }

    /// Why a view does not tell what a step is about, if so.
    pub(super) fn unreadable(&self, view: &Findings<'_>, step: usize) -> Option<String> {
        let id = &self.ids[step];
        view.gap(id.kind, &id.place)
            .or_else(|| view.roots.gap().map(|(_, why)| why.to_string()))
    }

    /// Pending steps about what belongs to something: to a Worker its custom
    /// domains.
    fn owned(&self, lane: &Lane<'_>, view: &Findings<'_>, owner: &ResourceId) -> Vec<usize> {
        let is_owner = |reference: &Reference| {
            let key = reference.key.text();
            reference.kind == owner.kind.name() && (*key == *owner.id || *key == *owner.name)
        };
        let belongs = |step: &usize| {
            let found = view.find(&self.ids[*step]);
            let found = found.filter(|(found, _)| found.place.is_near(&owner.place));
            found.is_some_and(|(found, _)| found.owner().is_some_and(is_owner))
        };
        lane.pending.iter().copied().filter(belongs).collect()
    }

    /// What it means that a complete listing does not show a resource: a look by
    /// id has to agree.
    async fn gone(&self, step: usize) -> (Outcome, String) {
        let seen = match self.kind(step) {
            Some(kind) => look_once(&self.finishing, kind, &self.ids[step], false).await,
            None => Seen::Gone,
        };
        match seen {
            Seen::Gone => (
                Outcome::AlreadyGone,
                "neither a complete listing nor reading it by id shows it any more".to_owned(),
            ),
            Seen::There | Seen::Expires => (
                Outcome::FailedForNow,
                "the listing does not show it, but reading it by id does".to_owned(),
            ),
            Seen::Unreadable(why) => (
                Outcome::InDoubt,
                format!("the listing does not show it, and it could not be read by id: {why}"),
            ),
        }
    }
}

/// Whether what keeps a resource is garbage itself that stays for now.
fn waits(view: &Findings<'_>, found: Option<(&Resource, &Judgement)>) -> bool {
    let Some((
        _,
        Judgement {
            verdict: Verdict::InUse(user),
            ..
        },
    )) = found
    else {
        return false;
    };
    let resources = view.inventory.resources.iter();
    let mut users = resources
        .zip(&view.marking.judgements)
        .filter(|(resource, _)| resource.kind.name() == user.kind && resource.name == user.name);
    users.any(|(_, judgement)| judgement.verdict.is_garbage())
}
