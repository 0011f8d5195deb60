//! What may be deleted, told from the ledger alone. Nothing here knows how
//! preview-gc decides.
//!
//! A deletion rests on a reading that is at most `--reread-after` old when the
//! request leaves (DESIGN, section 2, rule 7). What changes between that reading
//! and the arrival of the request cannot be seen by anybody, so each fact that
//! speaks against a deletion counts if it held all the time from `reread-after`
//! before the request was sent until it arrived. What changed before that, and
//! what never changes (names, protection, the plan), counts strictly.

use std::collections::BTreeSet;

use crate::ledger::{Ledger, Moment, PullRequest, Purpose, Resource};
use crate::scenario::{Action, Scenario, Terms};

/// A request that is about to take effect on a resource.
pub struct Deed {
    pub resource: usize,
    /// Whether it only sets an expiry.
    pub expires: bool,
    /// When the run had listed what exists: changes after that spare.
    pub listed: Moment,
    /// The earliest moment of a reading that it may rest on.
    pub rests_on: Moment,
    pub arrives: Moment,
}

/// Why a resource must not be deleted whoever uses it, if so.
pub fn wanted(scenario: &Scenario, ledger: &Ledger, deed: &Deed) -> Option<String> {
    let resource = &ledger.resources[deed.resource];
    if let Some(why) = alive(scenario, ledger, resource, deed) {
        return Some(why);
    }
    let last_seen = resource.changed.since(deed.rests_on)[0].0;
    if matches!(resource.purpose, Purpose::PullRequest(_) | Purpose::Passing)
        && last_seen > deed.listed
        && last_seen < deed.rests_on
    {
        return Some(format!("it changed at {last_seen}, after it was listed"));
    }
    None
}

fn alive(scenario: &Scenario, ledger: &Ledger, resource: &Resource, deed: &Deed) -> Option<String> {
    let action = if deed.expires {
        Action::Expire
    } else {
        Action::Delete
    };
    let number = match resource.purpose {
        Purpose::Unclaimed => return Some("no rule is about it".to_owned()),
        Purpose::Protected(_) => return Some("it is protected".to_owned()),
        Purpose::OfWorker(worker) => {
            return alive(scenario, ledger, &ledger.resources[worker], deed);
        }
        Purpose::Passing => {
            let Some(lifetime) = scenario.lifetime(resource.kind) else {
                return Some("no rule is about its age".to_owned());
            };
            if action != Action::Delete {
                return Some("its rule says that it is deleted".to_owned());
            }
            let mut changed = resource.changed.since(deed.rests_on).iter();
            let was_old =
                changed.any(|(_, changed)| lifetime.is_over(resource, *changed, deed.arrives));
            return (!was_old).then(|| format!("it changed at {:?}", resource.changed.last()));
        }
        Purpose::PullRequest(number) => number,
    };
    let Some(history) = ledger.pull_requests.get(&number) else {
        return Some(format!("there is no pull request #{number}"));
    };
    let Some(terms) = scenario.terms(resource.kind) else {
        return Some("no rule is about its kind".to_owned());
    };
    if terms.action != action {
        return Some(format!("its rule says {:?}", terms.action));
    }
    let known = history.since(deed.rests_on).iter();
    let was_ripe = known.map(|(_, state)| *state).any(|state| {
        let changed = resource.changed.since(deed.rests_on).iter();
        let mut changed = changed.map(|(_, changed)| *changed);
        changed.any(|changed| ripe(terms, state, changed, deed.arrives))
    });
    (!was_ripe).then(|| format!("pull request #{number} is {:?}", history.last()))
}

/// Whether a resource is dead and its grace over.
fn ripe(terms: Terms, state: PullRequest, changed: Option<Moment>, now: Moment) -> bool {
    match state {
        PullRequest::Open => false,
        PullRequest::Closed { merged, .. } if terms.merged_only && !merged => false,
        PullRequest::Closed { at, .. } => {
            let since = changed.map_or(at, |changed| changed.max(at));
            since + terms.grace <= now
        }
    }
}

/// What is there now and should be gone: dead, its grace over, and nothing that
/// stays uses it.
pub fn garbage(scenario: &Scenario, ledger: &Ledger, now: Moment) -> BTreeSet<usize> {
    let is_garbage = |resource: &Resource| {
        let number = match resource.purpose {
            Purpose::PullRequest(number) => number,
            Purpose::Passing => {
                let changed = *resource.changed.last();
                let lifetime = scenario.lifetime(resource.kind);
                return lifetime.is_some_and(|one| one.is_over(resource, changed, now));
            }
            _ => return false,
        };
        let terms = scenario.terms(resource.kind);
        let pull_request = ledger.pull_requests.get(&number);
        let (Some(terms), Some(pull_request)) = (terms, pull_request) else {
            return false;
        };
        let taken_care_of = match terms.action {
            Action::Delete => false,
            Action::Expire => resource.expires.is_some(),
            Action::Report => true,
        };
        !taken_care_of && ripe(terms, *pull_request.last(), *resource.changed.last(), now)
    };
    let dead = ledger.there().filter(|(_, resource)| is_garbage(resource));
    let mut dead: BTreeSet<usize> = dead.map(|(index, _)| index).collect();
    loop {
        let stays = |index: usize| !dead.contains(&index);
        let users = ledger.there().filter(|(index, resource)| {
            let goes_along = matches!(resource.purpose, Purpose::OfWorker(_));
            stays(*index) && !goes_along
        });
        let users: Vec<&Resource> = users.map(|(_, resource)| resource).collect();
        let used = |index: &usize| {
            let bound_as = ledger.resources[*index].bound_as();
            users
                .iter()
                .any(|user| user.parent == Some(*index) || user.binds.last().contains(&bound_as))
        };
        let kept: Vec<usize> = dead.iter().copied().filter(used).collect();
        if kept.is_empty() {
            return dead;
        }
        dead.retain(|index| !kept.contains(index));
    }
}
