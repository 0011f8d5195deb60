//! Re-checks steps just before they are carried out: a resource may be deleted
//! only if it is unchanged and still garbage.

use std::collections::BTreeSet;

use super::confirm::{LookupResult, look_up_once};
use super::lane::Lane;
use super::{Done, Sweep};
use crate::gc::outcome::{Recheck, is_undecided, recheck};
use crate::gc::verdict::Verdict;
use crate::gc::{Judgement, Outcome};
use crate::gc::{box_key, version};
use crate::model::{KindRef, Resource, ResourceId};
use crate::policy::Action;
use crate::survey::Findings;

/// What happens to a step that a view cannot decide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum UndecidedAction {
    /// It waits for another view.
    Wait,
    /// It ends.
    Settle,
}

/// The result of checking steps against a view.
pub(super) struct Rechecked {
    /// The steps that may run.
    pub(super) go: Vec<usize>,
    /// Whether a resource stays that the view assumed to go.
    pub(super) outdated: bool,
}

impl Sweep<'_, '_> {
    /// Checks `steps` against the view, settles those that must not run and
    /// returns the others.
    pub(super) async fn recheck(
        &self,
        lane: &mut Lane,
        view: &Findings<'_>,
        steps: &[usize],
        undecided: UndecidedAction,
    ) -> Rechecked {
        let (mut batch, mut outdated) = (Vec::new(), false);
        for &step in steps {
            if !lane.pending.contains(&step) {
                continue;
            }
            let id = &self.ids[step];
            let found = view.find(id);
            let unreadable = self.unreadable(view, step);
            let settled = match &unreadable {
                Some(why) => self.as_unreadable(lane, view, step, why),
                None => vec![step],
            };
            let verdict = match unreadable {
                Some(why) => Recheck::Unknown(why),
                None => recheck(&self.steps[step], found, &view.marking),
            };
            let kept_by = kept_by(view, found);
            let verdict = match (verdict, &kept_by) {
                // The view is older than the deletion of what it does not know. Another view
                // that still shows that decides.
                (Recheck::Spared(_), KeptBy::Unknown { user, .. })
                    if self.has_deleted(user) && lane.reread_for.insert(step) =>
                {
                    outdated = true;
                    continue;
                }
                (Recheck::Spared(_), KeptBy::Unknown { why, .. }) => Recheck::Unknown(why.clone()),
                (verdict, _) => verdict,
            };
            let done = match verdict {
                Recheck::Go if self.is_cleared(view, id) => Done::new(
                    Outcome::Spared,
                    "its \"delete\" box in the tracking issue was cleared",
                ),
                Recheck::Go => match self.attached_since(view, step) {
                    Some(why) => Done::new(Outcome::Spared, why),
                    None => {
                        batch.push(step);
                        continue;
                    }
                },
                Recheck::Unknown(_) if undecided == UndecidedAction::Wait => continue,
                Recheck::Gone => self.gone(step).await,
                // The resource that uses it is garbage too, and is deferred
                // itself.
                Recheck::Spared(why) if matches!(kept_by, KeptBy::Garbage) => {
                    Done::new(Outcome::Deferred, why)
                }
                Recheck::Spared(why) => Done::new(Outcome::Spared, why),
                // Somebody else may have deleted it since it was listed.
                Recheck::Unknown(_) if settled.len() == 1 && self.is_gone(step).await => Done::new(
                    Outcome::AlreadyGone,
                    "reading it by id shows that it is gone",
                ),
                Recheck::Unknown(why) => {
                    let halted = self.halt(step);
                    let outcome = halted.map_or(Outcome::FailedForNow, |done| done.outcome);
                    Done::new(outcome, format!("it could not be re-read: {why}"))
                }
            };
            outdated |= !done.outcome.is_gone();
            lane.pending.retain(|one| !settled.contains(one));
            for step in settled {
                self.settle(step, lane.with_doubt(step, done.clone()));
            }
            if done.outcome == Outcome::Spared {
                let owned = self.owned(lane, view, id);
                lane.pending.retain(|one| !owned.contains(one));
                for step in owned {
                    let why = format!("{id}, to which it belongs, stays");
                    self.settle(step, Done::new(Outcome::Spared, why));
                }
            }
        }
        batch.retain(|step| lane.pending.contains(step));
        Rechecked {
            go: batch,
            outdated,
        }
    }

    /// Returns why a step is spared because something was attached, after it was
    /// judged, to its resource or to what that belongs to: the provider deletes
    /// that with its owner, although it was never judged there.
    fn attached_since(&self, view: &Findings<'_>, step: usize) -> Option<String> {
        let id = &self.ids[step];
        let new = |owner: &ResourceId| {
            let mut attached = view.attached_to(owner);
            let new = attached.find(|one| !self.was_planned_there(one));
            new.map(Resource::identity)
        };
        if let Some(new) = new(id).filter(|_| self.action(step) == Action::Delete) {
            return Some(format!("{new} was attached to it after it was judged"));
        }
        let (resource, _) = view.find(id)?;
        let owner = resource.owner()?;
        let mut ids = self.ids.iter();
        let owner = ids.find(|id| id.is_meant_by(owner) && resource.place.is_near(&id.place))?;
        let new = new(owner)?;
        Some(format!(
            "{owner}, to which it belongs, stays: {new} was attached to that after it was judged"
        ))
    }

    /// Returns whether the plan has a step for a resource that belonged to the
    /// same owner then, or leaves it for later.
    fn was_planned_there(&self, attached: &Resource) -> bool {
        let owner = attached.owner().map(|owner| owner.key.text());
        let known = attached.identity();
        let mut steps = self.ids.iter().zip(self.steps);
        let is_owners = |one: &Resource| {
            one.owner().map(|owner| owner.key.text()) == owner && one.identity() == known
        };
        steps.any(|(id, step)| *id == known && step.owner.as_deref() == owner)
            || self.deferred.iter().any(is_owners)
    }

    /// Returns whether the sweep deletes only checked resources and this one is
    /// no longer checked.
    fn is_cleared(&self, view: &Findings<'_>, id: &ResourceId) -> bool {
        let key = box_key::of(id);
        let is_checked = |(resource, _): (&Resource, _)| {
            let version = version(resource);
            view.roots.is_checked_for_deletion(&key, &version, resource)
        };
        self.survey.approved && !view.find(id).is_some_and(is_checked)
    }

    /// Returns why the view cannot decide a step, if so.
    pub(super) fn unreadable(&self, view: &Findings<'_>, step: usize) -> Option<String> {
        let id = &self.ids[step];
        view.gap(id.kind, &id.place)
            .or_else(|| self.unlisted_owner(view, step))
            .or_else(|| view.roots.gap().map(|(_, why)| why.to_string()))
    }

    /// Returns the pending steps that the view cannot decide for the same reason: a
    /// lookup of each of them would show the same.
    fn as_unreadable(
        &self,
        lane: &Lane,
        view: &Findings<'_>,
        step: usize,
        why: &str,
    ) -> Vec<usize> {
        let id = &self.ids[step];
        let alike = |other: &usize| {
            let place = &self.ids[*other].place;
            (self.ids[*other].kind, place) == (id.kind, &id.place)
                && self.unreadable(view, *other).as_deref() == Some(why)
        };
        lane.pending.iter().copied().filter(alike).collect()
    }

    /// Whether this run has deleted a resource.
    fn has_deleted(&self, id: &ResourceId) -> bool {
        let mut steps = self.ids.iter().enumerate();
        steps.any(|(step, one)| {
            let outcome = self.ledger.outcome(step);
            one == id && outcome.is_some_and(Outcome::is_gone)
        })
    }

    /// Returns why what decides about a resource could not be listed: what it
    /// belongs to or, where no rule is about it, what made it.
    fn unlisted_owner(&self, view: &Findings<'_>, step: usize) -> Option<String> {
        let id = &self.ids[step];
        let (owner, makers) = (id.kind.belongs_to, id.kind.satellite_of);
        let owner = owner.filter(|_| self.steps[step].owner.is_some());
        let is_unmatched =
            |(_, judgement): (_, &Judgement)| matches!(judgement.verdict, Verdict::Unmatched(_));
        let makers = if view.find(id).is_some_and(is_unmatched) {
            makers
        } else {
            &[]
        };
        let decides = |kind: KindRef| owner == Some(kind.name()) || makers.contains(&kind.name());
        let mut listings = view.inventory.listings.iter();
        let gap = listings.find(|listing| {
            decides(listing.kind) && listing.place.is_near(&id.place) && !listing.complete()
        })?;
        view.gap(gap.kind, &gap.place)
    }

    /// Returns the pending steps of resources that belong to `owner`, such as
    /// the custom domains of a Worker.
    fn owned(&self, lane: &Lane, view: &Findings<'_>, owner: &ResourceId) -> Vec<usize> {
        let attached: Vec<ResourceId> = view.attached_to(owner).map(Resource::identity).collect();
        let belongs = |step: &usize| attached.contains(&self.ids[*step]);
        lane.pending.iter().copied().filter(belongs).collect()
    }

    /// Whether reading it by id shows that a step's resource is gone.
    async fn is_gone(&self, step: usize) -> bool {
        let Some(kind) = self.kind(step) else {
            return false;
        };
        let seen = look_up_once(&self.finishing, kind, &self.ids[step], false).await;
        matches!(seen, LookupResult::Gone)
    }

    /// Returns the outcome of a step whose resource is missing from a complete
    /// listing: a lookup by id has to agree.
    async fn gone(&self, step: usize) -> Done {
        let seen = match self.kind(step) {
            Some(kind) => look_up_once(&self.finishing, kind, &self.ids[step], false).await,
            None => LookupResult::Gone,
        };
        match seen {
            LookupResult::Gone => Done::new(
                Outcome::AlreadyGone,
                "neither a complete listing nor reading it by id shows it any more",
            ),
            LookupResult::There | LookupResult::Expires => Done::new(
                Outcome::FailedForNow,
                "the listing does not show it, but reading it by id does",
            ),
            LookupResult::Unreadable(why) => Done::new(
                Outcome::InDoubt,
                format!("the listing does not show it, and it could not be read by id: {why}"),
            ),
        }
    }
}

/// What keeps a resource that is in use.
enum KeptBy {
    /// Something that stays.
    Kept,
    /// Garbage that is deferred.
    Garbage,
    /// Something of which it is unknown whether it stays.
    Unknown {
        /// What that is.
        user: ResourceId,
        /// The reason.
        why: String,
    },
}

/// Returns what keeps a resource that is in use, through all that is in use
/// itself.
fn kept_by(view: &Findings<'_>, found: Option<(&Resource, &Judgement)>) -> KeptBy {
    let mut verdict = found.map(|(_, judgement)| &judgement.verdict);
    let mut seen = BTreeSet::new();
    while let Some(Verdict::InUse(user)) = verdict {
        if !seen.insert((user.kind, &user.name)) {
            break;
        }
        let all = view.inventory.resources.iter();
        let all = all.zip(&view.marking.judgements);
        let users: Vec<(&Resource, &Verdict)> = all
            .filter(|(one, _)| one.kind.name() == user.kind.id && one.name == user.name)
            .map(|(one, judgement)| (one, &judgement.verdict))
            .collect();
        if users.iter().any(|(_, verdict)| verdict.is_garbage()) {
            return KeptBy::Garbage;
        }
        let unread = users.iter().find(|(_, verdict)| is_undecided(verdict));
        if let Some((one, unread)) = unread {
            return KeptBy::Unknown {
                user: one.identity(),
                why: format!("{} {}: {unread}", user.kind, user.name),
            };
        }
        let verdicts = users.into_iter().map(|(_, verdict)| verdict);
        let mut in_use = verdicts.filter(|one| matches!(one, Verdict::InUse(_)));
        verdict = in_use.next();
    }
    KeptBy::Kept
}
