//! Checks numbers against creation times. A number in a name is evidence only
//! together with time: a resource created while the pull request of that number was
//! not open belongs to something else.

use std::collections::{BTreeMap, BTreeSet};

use super::{AFTERMATH, ClaimedNumber, JudgeInput, Judgement, TOLERANCE};
use crate::evidence::{Inventory, Lifetime, PullRequest, Roots};
use crate::gc::verdict::{Doubt, Verdict, Wait};
use crate::model::{Claim, KindRef, PullRequestNumber, Repository, Resource, Time};

/// Withdraws verdicts that rely on the number of a pull request which was not open
/// when the resource was created. A resource without a creation time is judged by
/// those that share its number: one contradiction is enough, and so is an
/// incomplete listing that may hide one. The makers of satellites that are gone are
/// checked with their judgements in the same way.
pub(super) fn check(
    inventory: &Inventory,
    roots: &Roots,
    input: &JudgeInput<'_>,
    judgements: &mut [Judgement],
    (gone, of_gone): (&[Resource], &mut [Judgement]),
) -> BTreeSet<ClaimedNumber> {
    let resources = || inventory.resources.iter().chain(gone);
    let mut contradicted = BTreeSet::clone(&input.contradicted);
    for resource in &inventory.resources {
        contradicted.extend(contradicted_by(resource, roots, input));
    }
    let all = judgements.iter_mut().chain(&mut *of_gone);
    for (index, (resource, judgement)) in resources().zip(all).enumerate() {
        // The times of what is gone are those of its satellite, which may have had another
        // maker before: they say nothing about other resources.
        let is_there = index < inventory.resources.len();
        let mut doubt = None;
        for group in groups(judgement, input) {
            let pull_request = pull_request(roots, &group);
            let Some(contradiction) = contradiction(resource, group.1, pull_request) else {
                continue;
            };
            if is_there && matches!(contradiction, Doubt::Birth { .. }) {
                contradicted.insert(group);
            }
            doubt.get_or_insert(contradiction);
        }
        if let Some(doubt) = doubt.filter(|_| is_dead(&judgement.verdict)) {
            judgement.verdict = Verdict::Unknown(doubt);
        }
    }
    let unseen = unseen(inventory, input);
    if contradicted.is_empty() && unseen.is_empty() {
        return contradicted;
    }
    let all = judgements.iter_mut().chain(of_gone);
    for (resource, judgement) in resources().zip(all) {
        if resource.created_at != Time::Unsupported || !is_dead(&judgement.verdict) {
            continue;
        }
        let doubt = groups(judgement, input).find_map(|group| {
            let (repository, number) = &group;
            let contradiction = Doubt::Birth {
                number: *number,
                made: None,
            };
            if contradicted.contains(&group) {
                return Some(contradiction);
            }
            let kind = unseen.get(repository)?.named();
            Some(Doubt::Listing { kind })
        });
        if let Some(doubt) = doubt {
            judgement.verdict = Verdict::Unknown(doubt);
        }
    }
    contradicted
}

/// The numbers that a resource with a creation time contradicts, whatever its verdict
/// is: one that a condition refuses, that is marked, or that another rule matches has
/// the number all the same. A time that its API always gives and this answer lacks may
/// contradict.
fn contradicted_by(
    resource: &Resource,
    roots: &Roots,
    input: &JudgeInput<'_>,
) -> Vec<ClaimedNumber> {
    let mut found = Vec::new();
    if resource.created_at == Time::Unsupported {
        return found;
    }
    // Whose it is that was recorded at the creation is stronger than the name.
    let recorded = resource
        .recorded
        .as_ref()
        .filter(|recorded| recorded.repository.is_some() || recorded.pull_request.is_some());
    for policy_scope in input.policy_scopes {
        let policy = policy_scope.policy;
        let is_foreign = recorded.is_some_and(|recorded| policy.is_foreign(recorded));
        if is_foreign || !policy_scope.places.contains(&resource.place) {
            continue;
        }
        for (rule, claim) in policy.rules.claims(resource) {
            let number = match (recorded, claim) {
                (Some(recorded), _) => recorded.pull_request,
                (None, Claim::PullRequest(number)) => Some(number),
                (None, _) => None,
            };
            let Some(number) = number else { continue };
            let in_time = policy
                .rules
                .get(rule)
                .is_some_and(|rule| rule.is_born_in_time() && rule.place.reaches(&resource.place));
            let group = (policy.repository.clone(), number);
            let contradiction = contradiction(resource, number, pull_request(roots, &group));
            let contradicts = resource.created_at == Time::Missing
                || matches!(contradiction, Some(Doubt::Birth { .. }));
            if in_time && contradicts {
                found.push(group);
            }
        }
    }
    found
}

/// Returns, by repository, a kind that may contradict a number and whose listing
/// is not complete: the contradiction may be in the part that is missing.
fn unseen(inventory: &Inventory, input: &JudgeInput<'_>) -> BTreeMap<Repository, KindRef> {
    let mut unseen = BTreeMap::new();
    let incomplete = inventory.listings.iter();
    let incomplete: Vec<_> = incomplete.filter(|listing| !listing.complete()).collect();
    if incomplete.is_empty() {
        return unseen;
    }
    for policy_scope in input.policy_scopes {
        let dated = policy_scope.policy.dated_kinds();
        let places = &policy_scope.places;
        let listing = incomplete.iter().find(|listing| {
            dated.contains(&listing.kind) && places.iter().any(|one| one.is_near(&listing.place))
        });
        if let Some(listing) = listing {
            let repository = policy_scope.policy.repository.clone();
            unseen.entry(repository).or_insert(listing.kind);
        }
    }
    unseen
}

fn is_dead(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Garbage(_) | Verdict::Grace(Wait::Grace { .. })
    )
}

/// The numbers that a resource's name claims by rules which care when it was
/// made: those that ask how the pull request ended.
fn groups(judgement: &Judgement, input: &JudgeInput<'_>) -> impl Iterator<Item = ClaimedNumber> {
    let others = judgement.others.iter().map(|(matched_by, _)| matched_by);
    let all = judgement.matched_by.iter().chain(others);
    all.filter_map(|matched_by| {
        let Claim::PullRequest(number) = matched_by.claim else {
            return None;
        };
        let policy = input.policy_scopes.get(matched_by.policy_scope)?.policy;
        let rule = policy.rules.get(matched_by.rule)?;
        rule.asks_about_birth()
            .then(|| (policy.repository.clone(), number))
    })
}

fn pull_request<'r>(roots: &'r Roots, group: &ClaimedNumber) -> Option<&'r PullRequest> {
    let roots = roots.repositories.get(&group.0)?;
    roots.pull_requests.get(&group.1)
}

/// Why a resource cannot belong to a pull request, by their times.
pub(super) fn contradiction(
    resource: &Resource,
    number: PullRequestNumber,
    pull_request: Option<&PullRequest>,
) -> Option<Doubt> {
    let made = resource.created_at.known()?;
    let Lifetime { opened, ended } = pull_request?.lifetime()?;
    let Some(opened) = opened else {
        return Some(Doubt::NoOpening(number));
    };
    let before = made + TOLERANCE < opened;
    let after = ended.is_some_and(|ended| made > ended + AFTERMATH);
    (before || after).then_some(Doubt::Birth {
        number,
        made: Some(made),
    })
}
