//! What has to be changed elsewhere before a step can succeed, and whether this
//! run may change that. A step for which it may not is settled before anything
//! is sent or kept for it.

use super::Sweep;
use crate::gc::Outcome;
use crate::gc::verdict::Verdict;
use crate::kinds;
use crate::model::{Resource, ResourceId};
use crate::policy::Action;
use crate::survey::Findings;

/// Why a step is not begun: its outcome, and the reason.
pub(super) type Infeasible = (Outcome, String);

impl Sweep<'_, '_> {
    /// Takes out of a volley what cannot be deleted without changing what stays.
    pub(super) fn feasible(
        &self,
        view: &Findings<'_>,
        volley: Vec<usize>,
    ) -> (Vec<usize>, Vec<(usize, Infeasible)>) {
        let (mut feasible, mut not) = (Vec::new(), Vec::new());
        for step in volley {
            match self.held_by_what_stays(view, step) {
                Some(why) => not.push((step, why)),
                None => feasible.push(step),
            }
        }
        (feasible, not)
    }

    /// What this run may not change and would have to, so that a step succeeds.
    fn held_by_what_stays(&self, view: &Findings<'_>, step: usize) -> Option<Infeasible> {
        let id = &self.ids[step];
        if self.action(step) != Action::Delete {
            return None;
        }
        view.linked(id).find_map(|holder| {
            let kind = kinds::by_name(holder.kind.name())?;
            if kind.release(holder, id).is_empty() || self.goes(view, holder) {
                return None;
            }
            let (noun, name) = (holder.kind.0.noun, &holder.name);

            let (_, judgement) = view.find(&holder.identity())?;
            let stays = match &judgement.verdict {
                Verdict::Garbage(_) if !judgement.in_focus => "is not what this run is about",
                Verdict::Garbage(death) if death.report_only => "is only reported by its rule",
                Verdict::Garbage(_) => {
                    let why = format!("waits for {noun} {name}, which is not a step of this run");
                    return Some((Outcome::Deferred, why));
                }
                kept => &format!("stays ({})", kept.name().replace('_', " ")),
            };
            let why = format!(
                "{noun} {name} {stays} and has this {} as a consumer, so Cloudflare would refuse \
                 to delete it: nothing was changed; remove the consumer from {noun} {name} by hand \
                 (`wrangler queues consumer remove`), or let this run delete the {noun} too",
                id.kind.0.noun,
            );
            Some((Outcome::FailedForGood, why))
        })
    }

    /// Whether a resource is deleted by this run, and still garbage.
    pub(super) fn goes(&self, view: &Findings<'_>, resource: &Resource) -> bool {
        let id: ResourceId = resource.identity();
        let step = self.ids.iter().position(|one| *one == id);
        let planned = step.is_some_and(|step| {
            let outcome = self.outcome(step);
            self.action(step) == Action::Delete && outcome.is_none_or(Outcome::is_gone)
        });
        let garbage = view
            .find(&id)
            .is_some_and(|(_, judgement)| judgement.verdict.is_garbage());
        planned && garbage
    }
}
