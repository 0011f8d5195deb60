//! What has to be asked before resources can be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::heads::Heads;
use super::{Jurisdiction, Law};
use crate::evidence::{Claimed, Inventory, Orphaned, Question, Roots};
use crate::model::{Claim, KindRef, Place, Repository, Resource};
use crate::policy::Rule;

/// Every reading of a resource whose claim has to be asked about, with the
/// index of its jurisdiction.
fn asked_about<'p>(
    resource: &Resource,
    law: &Law<'p>,
) -> Vec<(usize, &'p Jurisdiction<'p>, &'p Rule, Claim)> {
    let mut found = Vec::new();
    for (index, jurisdiction) in law.jurisdictions.iter().enumerate() {
        if !jurisdiction.places.contains(&resource.place) {
            continue;
        }
        let rules = &jurisdiction.policy.rules;
        for (rule, reading) in jurisdiction.policy.read(resource) {
            let rule = &rules[rule];
            if rule.asks_about(&reading.claim) {
                found.push((index, jurisdiction, rule, reading.claim));
            }
        }
    }
    found
}

/// What resources claim, by repository.
pub fn claims<'r>(
    resources: impl IntoIterator<Item = &'r Resource>,
    law: &Law<'_>,
) -> BTreeMap<Repository, Claimed> {
    let mut claims: BTreeMap<Repository, Claimed> = BTreeMap::new();
    for resource in resources {
        let found = asked_about(resource, law);
        let named = |only| {
            found
                .iter()
                .any(|(_, _, _, claim)| *claim == Claim::PullRequest(only))
        };
        // A name that may also claim a branch is in focus by the head of the pull
        // request, which is not known yet.
        let by_head = found
            .iter()
            .any(|(_, _, _, claim)| matches!(claim, Claim::Branch(_) | Claim::Slug { .. }));
        let in_focus = law.only.is_none_or(|only| named(only) || by_head);
        for (_, jurisdiction, _, claim) in found {
            let claimed = claims
                .entry(jurisdiction.policy.repository.clone())
                .or_default();
            match claim {
                Claim::PullRequest(number) if in_focus => {
                    claimed.numbers.insert(number);
                }
                // Which branch the pull request comes from is not known yet.
                Claim::Branch(_) | Claim::Slug { .. } => claimed.heads = true,
                Claim::Run(run) if in_focus => {
                    claimed.runs.insert(run);
                }
                Claim::PullRequest(_) | Claim::Run(_) | Claim::Itself => {}
            }
        }
    }
    claims
}

/// The branches and slugs that nothing alive gives, by repository: closed pull
/// requests have to be searched for them.
pub fn orphaned<'r>(
    resources: impl IntoIterator<Item = &'r Resource>,
    roots: &Roots,
    law: &Law<'_>,
) -> BTreeMap<Repository, Orphaned> {
    let mut orphaned: BTreeMap<Repository, Orphaned> = BTreeMap::new();
    let mut rules = law
        .jurisdictions
        .iter()
        .flat_map(|jurisdiction| jurisdiction.policy.rules.iter());
    if !rules.any(Rule::asks_about_heads) {
        return orphaned;
    }
    let heads: Vec<_> = law
        .jurisdictions
        .iter()
        .map(|jurisdiction| {
            let roots = roots.repositories.get(&jurisdiction.policy.repository)?;
            Some((roots, Heads::new(roots, &jurisdiction.policy.slugs)))
        })
        .collect();
    for resource in resources {
        let caseless = resource.kind.0.caseless;
        let found = asked_about(resource, law);
        let named = law.only.is_some_and(|only| {
            let mut claims = found.iter().map(|(_, _, _, claim)| claim);
            claims.any(|claim| *claim == Claim::PullRequest(only))
        });
        for (index, jurisdiction, _, claim) in found {
            let Some((roots, heads)) = &heads[index] else {
                continue;
            };
            if !matches!(claim, Claim::Branch(_) | Claim::Slug { .. })
                || heads.standing(&claim, caseless).is_alive()
            {
                continue;
            }
            let in_focus = named
                || law.only.is_none_or(|only| {
                    let head = roots.pull_requests.get(&only).and_then(|one| one.head());
                    head.is_some_and(|head| heads.is_given_by(&claim, caseless, head))
                });
            if !in_focus {
                continue;
            }
            let orphaned = orphaned
                .entry(jurisdiction.policy.repository.clone())
                .or_default();
            match (claim, resource.created_at.known()) {
                (Claim::Branch(branch), _) => {
                    orphaned.branches.insert(branch);
                }
                (_, Some(created)) => {
                    let since = orphaned.slugs_since.get_or_insert(created);
                    *since = (*since).min(created);
                }
                (_, None) => orphaned.slugs_undated = true,
            }
        }
    }
    orphaned
}

/// Questions whose answers will be needed as soon as a claimed resource turns
/// out dead, and that one short list answers; asked beside the roots.
pub fn early_questions(inventory: &Inventory, law: &Law<'_>) -> Vec<Question> {
    let mut claimed: BTreeSet<(KindRef, &Arc<Place>)> = BTreeSet::new();
    for resource in &inventory.resources {
        let key = (resource.kind, &resource.place);
        if claimed.contains(&key) {
            continue;
        }
        let is_claimed = law.jurisdictions.iter().any(|jurisdiction| {
            let rules = &jurisdiction.policy.rules;
            jurisdiction.places.contains(&resource.place) && !rules.read(resource).is_empty()
        });
        if is_claimed {
            claimed.insert(key);
        }
    }
    let mut questions = BTreeSet::new();
    for (kind, place) in claimed {
        let users = law.graph.kinds().iter().filter(|user| {
            user.0.users_listed && (**user == kind || law.graph.may_use(**user, kind))
        });
        questions.extend(users.map(|user| Question::Users {
            kind: *user,
            place: Arc::clone(place),
        }));
    }
    questions.into_iter().collect()
}
