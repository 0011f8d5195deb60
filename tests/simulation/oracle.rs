//! What may be deleted, decided from the ledger alone. Nothing here knows how
//! preview-gc decides.
//!
//! A deletion rests on a reading that is at most `--reread-after` old when the
//! request leaves (DESIGN, section 2, rule 7). What changes between that reading
//! and the arrival of the request cannot be seen by anybody, so each fact that
//! speaks against a deletion counts if it held all the time from `reread-after`
//! before the request was sent until it arrived. What changed before that, and
//! what never changes (names, protection, the plan), counts strictly.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::ledger::{History, Ledger, Listed, Moment, PullRequest, Purpose, Resource, in_seconds};
use crate::scenario::{Action, Scenario, Terms, has_times};

/// A request that is about to take effect on a resource.
#[derive(Clone, Copy)]
pub struct Deletion {
    pub resource: usize,
    /// Whether it only sets an expiry.
    pub expires: bool,
    /// When the run began: nothing that it listed is older.
    pub begun: Moment,
    /// When the run had listed what exists: changes after that spare.
    pub listed: Listed,
    /// The earliest moment of a reading that it may rest on.
    pub rests_on: Moment,
    pub arrives: Moment,
}

/// Why a resource must not be deleted whoever uses it, if so.
pub fn wanted(scenario: &Scenario, ledger: &Ledger, deletion: &Deletion) -> Option<String> {
    let resource = &ledger.resources[deletion.resource];
    if always(resource.marked.since(deletion.rests_on)) {
        return Some("it is marked as one to keep".to_owned());
    }
    if let Some(why) = alive(scenario, ledger, resource, deletion) {
        return Some(why);
    }
    let owner = resource.hangs_on;
    if owner.is_some_and(|owner| is_kept_by_people(ledger, owner, deletion.rests_on)) {
        return Some("it hangs on a Worker that people keep".to_owned());
    }
    // One that was pointed back is as it was listed.
    let now_at = match resource.purpose {
        Purpose::OfWorker(worker) | Purpose::Serves(worker) => {
            Some(&*ledger.resources[worker].name)
        }
        _ => None,
    };
    let is_back = now_at.is_some_and(|worker| resource.was_pointed_at(worker, deletion.listed));
    if let Some(at) = resource
        .moved
        .filter(|at| *at > deletion.listed.ended && *at < deletion.rests_on && !is_back)
    {
        return Some(format!(
            "it was pointed elsewhere at {at}, after it was listed"
        ));
    }
    let last_seen = resource.changed.since(deletion.rests_on)[0].0;
    let may_go = !matches!(
        resource.purpose,
        Purpose::OfWorker(_) | Purpose::Serves(_) | Purpose::Unmatched | Purpose::Protected(_)
    );
    if may_go && last_seen > deletion.listed.ended && last_seen < deletion.rests_on {
        return Some(format!("it changed at {last_seen}, after it was listed"));
    }
    None
}

/// What would go with a Worker, or be left behind by it, and stays for a reason of its
/// own.
pub fn attached_that_stays(
    scenario: &Scenario,
    ledger: &Ledger,
    deletion: &Deletion,
) -> Option<String> {
    let attached = ledger.attached(deletion.resource);
    let mut attached = attached.filter(|(_, one)| one.born < deletion.rests_on);
    attached.find_map(|(index, one)| {
        let is_by_people = matches!(
            one.purpose,
            Purpose::Protected(_) | Purpose::Kept(_) | Purpose::Shielded(_)
        );
        let of_it = Deletion {
            resource: index,
            ..*deletion
        };
        let stays = if one.hangs_on.is_some() {
            wanted(scenario, ledger, &of_it)?
        } else {
            is_by_people.then(|| "people keep it".to_owned())?
        };
        Some(format!("{} {}: {stays}", one.kind, one.name))
    })
}

/// Whether people keep a resource all the time from a moment on.
fn is_kept_by_people(ledger: &Ledger, index: usize, from: Moment) -> bool {
    let resource = &ledger.resources[index];
    let number = ledger.about(index);
    let labelled = number.and_then(|number| ledger.labelled.get(&number));
    let is_labelled = labelled.is_some_and(|history| always(history.since(from)));
    let by_purpose = matches!(
        resource.purpose,
        Purpose::Protected(_) | Purpose::Kept(_) | Purpose::Shielded(_)
    );
    resource.is_there() && resource.born < from && (is_labelled || by_purpose)
}

/// Whether something held all the time.
fn always(history: &[(Moment, bool)]) -> bool {
    history.iter().all(|(_, holds)| *holds)
}

fn alive(
    scenario: &Scenario,
    ledger: &Ledger,
    resource: &Resource,
    deletion: &Deletion,
) -> Option<String> {
    let action = if deletion.expires {
        Action::Expire
    } else {
        Action::Delete
    };
    let changes = || resource.changed.since(deletion.rests_on).iter();
    let known = |number: u32| {
        ledger.pull_requests[&number]
            .since(deletion.rests_on)
            .iter()
    };
    let number = match resource.purpose {
        Purpose::PullRequest(number)
        | Purpose::Head(number)
        | Purpose::Slug(number)
        | Purpose::Aged(number) => Some(number),
        _ => None,
    };
    let labelled = number.and_then(|number| ledger.labelled.get(&number));
    if labelled.is_some_and(|history| always(history.since(deletion.rests_on))) {
        return Some("its pull request has the label that keeps".to_owned());
    }
    let terms = match resource.purpose {
        // Where it was pointed a moment ago nobody can have seen.
        Purpose::Serves(_) if resource.moved.is_some_and(|at| at >= deletion.rests_on) => {
            return None;
        }
        Purpose::Unmatched | Purpose::Serves(_) => return Some("no rule is about it".to_owned()),
        Purpose::Protected(_) => return Some("it is protected".to_owned()),
        Purpose::Kept(_) => return Some("its box says that it is kept".to_owned()),
        Purpose::Shielded(_) => return Some("what is known of it keeps it".to_owned()),
        Purpose::Mistold(number) => {
            if ledger.is_told_wrongly && ledger.git_branches.contains(&number) {
                return Some(format!("it is of the head of #{number}, which exists"));
            }
            let mut states = known(number);
            let is_open = states.all(|(_, state)| *state == PullRequest::Open);
            return is_open.then(|| format!("it is of the head of #{number}, which is open"));
        }
        Purpose::Elsewhere(_) => return Some("it belongs to another repository".to_owned()),
        Purpose::OfWorker(worker) => {
            // Where it was pointed a moment ago nobody can have seen, nor that its
            // Worker was made anew.
            let worker_born = ledger.resources[worker].born;
            if resource.moved.is_some_and(|at| at >= deletion.rests_on)
                || worker_born >= deletion.rests_on
            {
                return None;
            }
            let owner = &ledger.resources[worker];
            let of_owner = alive(scenario, ledger, owner, deletion);
            let is_foreign = || {
                let Purpose::PullRequest(number) = owner.purpose else {
                    return None;
                };
                let mut states = known(number).map(|(_, state)| *state);
                let fits = !has_times(resource.kind)
                    || states
                        .any(|one| is_born_in_life(ledger, resource, number, one, deletion.begun));
                (!fits).then(|| format!("it was made when #{number} of its owner did not live"))
            };
            let is_new = || {
                let by_age = matches!(owner.purpose, Purpose::Aged(_) | Purpose::Passing);
                let terms = scenario.terms_of(owner).filter(|_| !by_age)?;
                let made = in_seconds(resource.born);
                let is_young = has_times(resource.kind) && made + terms.grace >= deletion.arrives;
                is_young.then(|| format!("it was made at {made}, within the grace"))
            };
            return of_owner.or_else(is_foreign).or_else(is_new);
        }
        Purpose::Passing | Purpose::Aged(_) => {
            let Some(lifetime) = scenario.lifetime(resource.kind) else {
                return Some("no rule is about its age".to_owned());
            };
            if action != Action::Delete {
                return Some("its rule says that it is deleted".to_owned());
            }
            if let Purpose::Aged(number) = resource.purpose
                && ledger.pull_requests.contains_key(&number)
                && known(number).all(|(_, state)| *state == PullRequest::Open)
            {
                return Some(format!("pull request #{number} is open"));
            }
            let was_old = changes()
                .any(|(_, changed)| lifetime.has_ended(resource, *changed, deletion.arrives));
            return (!was_old).then(|| format!("it changed at {:?}", resource.changed.last()));
        }
        Purpose::PullRequest(_) | Purpose::Head(_) | Purpose::Slug(_) | Purpose::Run(_) => {
            let Some(terms) = scenario.terms_of(resource) else {
                return Some("no rule is about its kind".to_owned());
            };
            terms
        }
    };
    if terms.action != action {
        return Some(format!("its rule says {:?}", terms.action));
    }
    let was_past_grace = |state: PullRequest| {
        changes().any(|(_, changed)| is_past_grace(terms, state, *changed, deletion.arrives))
    };
    let number = match resource.purpose {
        Purpose::Run(run) => {
            let Some(finished) = ledger.runs.get(&run) else {
                return Some(format!("there is no run {run}"));
            };
            let state = run_state(*finished);
            return (!was_past_grace(state)).then(|| format!("run {run} is {state:?}"));
        }
        Purpose::Head(number) | Purpose::Slug(number) => {
            if ledger.git_branches.contains(&number) {
                return Some("its git branch exists".to_owned());
            }
            let forks = ledger.forks.iter().filter(|(_, of)| **of == number);
            for (fork, _) in forks {
                if known(*fork).all(|(_, state)| *state == PullRequest::Open) {
                    return Some(format!("#{fork}, from a fork with that head, is open"));
                }
            }
            let open = |number: &u32| {
                ledger.pull_requests.contains_key(number)
                    && known(*number).all(|(_, state)| *state == PullRequest::Open)
            };
            let is_slug = matches!(resource.purpose, Purpose::Slug(_));
            if is_slug && is_prefix_of_live_slug(ledger, number, open) {
                return Some("its name is the beginning of what a living head gives".to_owned());
            }
            number
        }
        Purpose::PullRequest(number) => number,
        _ => return Some("no rule is about it".to_owned()),
    };
    if !ledger.pull_requests.contains_key(&number) {
        return Some(format!("there is no pull request #{number}"));
    }
    if matches!(resource.purpose, Purpose::PullRequest(_)) {
        let mut states = known(number).map(|(_, state)| *state);
        if !states.any(|state| is_born_in_life(ledger, resource, number, state, deletion.begun)) {
            return Some(format!("it was made when #{number} did not live"));
        }
    }
    let was_past_grace_once = known(number).any(|(_, state)| was_past_grace(*state));
    (!was_past_grace_once).then(|| {
        format!(
            "pull request #{number} is {:?}",
            ledger.pull_requests[&number].last()
        )
    })
}

/// An Actions run, as a pull request that ends when the run does.
fn run_state(finished: Option<Moment>) -> PullRequest {
    match finished {
        None => PullRequest::Open,
        Some(at) => PullRequest::Closed { at, merged: true },
    }
}

/// How long before its pull request is opened a resource may be made.
const BEFORE: TimeDelta = TimeDelta::minutes(10);

/// How long after its pull request ended a resource may be made.
const AFTER: TimeDelta = TimeDelta::days(7);

/// Whether a resource was made while its pull request was open; a kind without a
/// time of creation leans on what else has the number.
fn is_born_in_life(
    ledger: &Ledger,
    resource: &Resource,
    number: u32,
    state: PullRequest,
    seen: Moment,
) -> bool {
    let fits = |born: Moment| {
        let opened = ledger.opened.get(&number).copied();
        let too_early = opened.is_some_and(|opened| born < opened - BEFORE);
        let too_late = matches!(state, PullRequest::Closed { at, .. } if born > at + AFTER);
        !too_early && !too_late
    };
    if has_times(resource.kind) {
        return fits(in_seconds(resource.born));
    }
    let others = ledger.there().filter(|(_, one)| {
        matches!(one.purpose, Purpose::PullRequest(of) | Purpose::Kept(of) | Purpose::Protected(of)
            | Purpose::Shielded(of) | Purpose::Aged(of) if of == number)
    });
    // The siblings of what has no times are listed once, at the beginning: one
    // that was made after that may have come too late for its listing.
    let mut others = others.filter(|(_, one)| has_times(one.kind) && one.born <= seen);
    others.all(|(_, one)| !one.untold && fits(in_seconds(one.born)))
}

/// When a resource last changed, by a run as well.
fn last_change(resource: &Resource) -> Option<Moment> {
    let changed = *resource.changed.last();
    changed.map(|changed| resource.unbound.map_or(changed, |at| changed.max(at)))
}

/// Whether a resource is dead and its grace over.
fn is_past_grace(terms: Terms, state: PullRequest, changed: Option<Moment>, now: Moment) -> bool {
    match state {
        PullRequest::Open => false,
        PullRequest::Closed { merged, .. } if terms.merged_only && !merged => false,
        PullRequest::Closed { at, .. } => {
            let since = changed.map_or(at, |changed| changed.max(at));
            since + terms.grace < now
        }
    }
}

/// What is there now and should be gone: dead, its grace over, and nothing that
/// stays uses it.
pub fn garbage(scenario: &Scenario, ledger: &Ledger, now: Moment) -> BTreeSet<usize> {
    let is_garbage = |resource: &Resource| {
        let number = match resource.purpose {
            Purpose::PullRequest(number)
            | Purpose::Head(number)
            | Purpose::Slug(number)
            | Purpose::Aged(number) => Some(number),
            _ => None,
        };
        let labelled = number.and_then(|number| ledger.labelled.get(&number));
        let owner = resource.hangs_on;
        let of_kept = owner.is_some_and(|owner| is_kept_by_people(ledger, owner, now));
        if of_kept || *resource.marked.last() || labelled.is_some_and(|history| *history.last()) {
            return false;
        }
        let state = match resource.purpose {
            Purpose::PullRequest(number) | Purpose::Head(number) | Purpose::Slug(number) => {
                let Some(history) = ledger.pull_requests.get(&number) else {
                    return false;
                };
                let state = *history.last();
                let of_head = !matches!(resource.purpose, Purpose::PullRequest(_));
                if matches!(resource.purpose, Purpose::Slug(_))
                    && is_prefix_of_live_slug(ledger, number, |number| {
                        let state = ledger.pull_requests.get(number).map(History::last);
                        state == Some(&PullRequest::Open)
                    })
                {
                    return false;
                }
                let is_open = |fork: &u32| {
                    let fork = ledger.pull_requests.get(fork);
                    fork.is_some_and(|fork| *fork.last() == PullRequest::Open)
                };
                let mut forks = ledger.forks.iter();
                if of_head
                    && (ledger.git_branches.contains(&number)
                        || forks.any(|(fork, of)| *of == number && is_open(fork)))
                {
                    return false;
                }
                if !of_head && !is_born_in_life(ledger, resource, number, state, now) {
                    return false;
                }
                state
            }
            Purpose::Run(run) => match ledger.runs.get(&run) {
                Some(finished) => run_state(*finished),
                None => return false,
            },
            Purpose::Passing => {
                let changed = last_change(resource);
                let lifetime = scenario.lifetime(resource.kind);
                return lifetime.is_some_and(|one| one.has_ended(resource, changed, now));
            }
            Purpose::Aged(number) => {
                let pull_request = ledger.pull_requests.get(&number);
                let is_open = pull_request.is_some_and(|one| *one.last() == PullRequest::Open);
                let changed = last_change(resource);
                let lifetime = scenario.lifetime(resource.kind);
                return !is_open
                    && lifetime.is_some_and(|one| one.has_ended(resource, changed, now));
            }
            _ => return false,
        };
        let Some(terms) = scenario.terms_of(resource) else {
            return false;
        };
        let taken_care_of = match terms.action {
            // It goes by itself before long.
            Action::Delete => resource.expires.is_some_and(|at| at < now + AFTER),
            Action::Expire => resource.expires.is_some(),
            Action::Report => true,
        };
        !taken_care_of && is_past_grace(terms, state, last_change(resource), now)
    };
    let dead = ledger.there().filter(|(_, resource)| is_garbage(resource));
    let mut dead: BTreeSet<usize> = dead.map(|(index, _)| index).collect();
    loop {
        let stays = |index: usize| !dead.contains(&index);
        let users = ledger.there().filter(|(index, resource)| {
            let goes_along = match resource.purpose {
                Purpose::OfWorker(owner) => is_over_too(scenario, ledger, resource, owner, now),
                _ => false,
            };
            stays(*index) && !goes_along
        });
        let users: Vec<&Resource> = users.map(|(_, resource)| resource).collect();
        let consumes_what_stays = |index: &usize| {
            let worker = &ledger.resources[*index];
            let mut queues = ledger.there().filter(|(queue, _)| stays(*queue));
            worker.kind == "worker"
                && queues.any(|(_, queue)| queue.consumer.as_ref() == Some(&worker.name))
        };
        let is_there = |index: usize| ledger.resources[index].is_there();
        // A Worker may have to stay with what runs for it.
        let has_containers = |index: &usize| {
            let mut there = ledger.there().filter(|(one, _)| stays(*one));
            there.any(|(_, one)| one.runs_for == Some(*index))
        };
        let used = |index: &usize| {
            let runs_for = ledger.resources[*index].runs_for;
            if runs_for.is_some_and(|worker| is_there(worker) && stays(worker)) {
                return true;
            }
            let bound_as = ledger.resources[*index].bound_as();
            let consumer = &ledger.resources[*index].consumer;
            if ledger.fixture_that_binds(*index).is_some() {
                return true;
            }
            users.iter().any(|user| {
                user.parent == Some(*index)
                    || [Purpose::Serves(*index), Purpose::OfWorker(*index)].contains(&user.purpose)
                    || user.hangs_on == Some(*index)
                    || user.binds.last().contains(&bound_as)
                    || (user.kind == "worker" && consumer.as_ref() == Some(&user.name))
            })
        };
        let stay =
            |index: &usize| used(index) || consumes_what_stays(index) || has_containers(index);
        let kept: Vec<usize> = dead.iter().copied().filter(stay).collect();
        if kept.is_empty() {
            return dead;
        }
        dead.retain(|index| !kept.contains(index));
    }
}

/// Whether what belongs to something was made in its life, and whether the grace of that is
/// over by its own times too.
fn is_over_too(
    scenario: &Scenario,
    ledger: &Ledger,
    resource: &Resource,
    owner: usize,
    now: Moment,
) -> bool {
    let owner = &ledger.resources[owner];
    if let (Purpose::PullRequest(number), true) = (owner.purpose, has_times(resource.kind)) {
        let state = ledger.pull_requests.get(&number).map(|one| *one.last());
        let fits =
            |state: PullRequest| is_born_in_life(ledger, resource, number, state, resource.born);
        if !state.is_some_and(fits) {
            return false;
        }
    }
    let changed = *resource.changed.last();
    let (Some(changed), Some(terms)) = (changed, scenario.terms_of(owner)) else {
        return true;
    };
    matches!(owner.purpose, Purpose::Aged(_) | Purpose::Passing) || changed + terms.grace < now
}

/// Whether the slug of a head is the beginning of that of a head that is open: then
/// a tool that cuts its slugs may have meant the other.
fn is_prefix_of_live_slug(ledger: &Ledger, number: u32, open: impl Fn(&u32) -> bool) -> bool {
    let forks = ledger.forks.iter().filter(|(fork, _)| open(fork));
    let mut living = (ledger.opened_with_head().filter(&open))
        .chain(forks.map(|(_, of)| *of))
        .chain(ledger.git_branches.iter().copied());
    living.any(|other| other.to_string().starts_with(&number.to_string()))
}

/// Whether a Worker consumes a queue. Where that queue stays, the Worker cannot
/// go before somebody takes that consumer away.
pub fn has_consumers(ledger: &Ledger) -> bool {
    let mut queues = ledger.there().map(|(_, queue)| queue);
    queues.any(|queue| {
        let mut workers = ledger.there().map(|(_, worker)| worker);
        workers.any(|one| one.kind == "worker" && queue.consumer.as_ref() == Some(&one.name))
    })
}
