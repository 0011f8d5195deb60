//! What has to be asked before resources can be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::branches::Branches;
use super::{JudgeInput, PolicyScope};
use crate::evidence::{ClosedSearch, Inventory, Question, Roots, RootsWanted};
use crate::model::{Claim, KindRef, Place, Repository, Resource};
use crate::policy::Rule;

/// Returns every match of a resource whose claim has to be looked up, with the
/// index of its policy file.
fn asked_about<'p>(
    resource: &Resource,
    input: &JudgeInput<'p>,
) -> Vec<(usize, &'p PolicyScope<'p>, &'p Rule, Claim)> {
    let mut found = Vec::new();
    for (index, policy_scope) in input.policy_scopes.iter().enumerate() {
        if !policy_scope.places.contains(&resource.place) {
            continue;
        }
        let rules = &policy_scope.policy.rules;
        for (rule, rule_match) in policy_scope.policy.read(resource) {
            let rule = &rules[rule];
            if policy_scope.policy.asks_about(rule, &rule_match) {
                found.push((index, policy_scope, rule, rule_match.claim));
            }
        }
    }
    found
}

/// What resources claim, by repository.
pub fn claims<'r>(
    resources: impl IntoIterator<Item = &'r Resource>,
    input: &JudgeInput<'_>,
) -> BTreeMap<Repository, RootsWanted> {
    let mut claims: BTreeMap<Repository, RootsWanted> = BTreeMap::new();
    // What stands alone goes with its owner only if its name has nothing of a living
    // root, whichever pull request is in focus.
    let may_hold = |kind: KindRef| input.graph.owned(kind).any(|owned| owned.stands_alone);
    for resource in resources {
        let found = asked_about(resource, input);
        let named = |number| {
            found
                .iter()
                .any(|(_, _, _, claim)| *claim == Claim::PullRequest(number))
        };
        // A name that may also claim a branch is in focus by the head of the pull
        // request, which is not known yet.
        let by_head = found
            .iter()
            .any(|(_, _, _, claim)| matches!(claim, Claim::Branch(_) | Claim::Slug { .. }));
        let in_focus = input
            .only_pull_request
            .is_none_or(|number| named(number) || by_head);
        // Its expiry deletes it whichever pull request is in focus, so it is asked whether
        // it lives.
        let in_focus = in_focus || resource.expires_at.is_some();
        for (_, policy_scope, rule, claim) in found {
            let claimed = claims
                .entry(policy_scope.policy.repository.clone())
                .or_default();
            match claim {
                Claim::PullRequest(number) if in_focus => {
                    claimed.numbers.insert(number);
                    let label = rule.death.without_label.clone();
                    claimed.labels.extend(label.map(|label| (number, label)));
                    claimed.open |= input.only_pull_request.is_none() || may_hold(resource.kind);
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

/// Returns the claims of branches and slugs that match no living branch, by
/// repository. The closed pull requests have to be searched for them.
pub fn closed_search<'r>(
    resources: impl IntoIterator<Item = &'r Resource>,
    roots: &Roots,
    input: &JudgeInput<'_>,
) -> BTreeMap<Repository, ClosedSearch> {
    let mut closed_search: BTreeMap<Repository, ClosedSearch> = BTreeMap::new();
    let mut rules = input
        .policy_scopes
        .iter()
        .flat_map(|policy_scope| policy_scope.policy.rules.iter());
    if !rules.any(Rule::asks_about_branches) {
        return closed_search;
    }
    let heads: Vec<_> = input
        .policy_scopes
        .iter()
        .map(|policy_scope| {
            let roots = roots.repositories.get(&policy_scope.policy.repository)?;
            Some((roots, Branches::new(roots, &policy_scope.policy.slugs)))
        })
        .collect();
    for resource in resources {
        let caseless = resource.kind.has_names_without_case();
        let found = asked_about(resource, input);
        let named = input.only_pull_request.is_some_and(|number| {
            let mut claims = found.iter().map(|(_, _, _, claim)| claim);
            claims.any(|claim| *claim == Claim::PullRequest(number))
        });
        for (index, policy_scope, _, claim) in found {
            let Some((roots, heads)) = &heads[index] else {
                continue;
            };
            if !matches!(claim, Claim::Branch(_) | Claim::Slug { .. })
                || heads.state(&claim, caseless).is_alive()
            {
                continue;
            }
            let in_focus = named
                || input.only_pull_request.is_none_or(|number| {
                    let head = roots.pull_requests.get(&number).and_then(|one| one.head());
                    head.is_some_and(|head| heads.is_matched_by(&claim, caseless, head))
                });
            if !in_focus {
                continue;
            }
            let closed_search = closed_search
                .entry(policy_scope.policy.repository.clone())
                .or_default();
            match (claim, resource.created_at.known()) {
                (Claim::Branch(branch), _) => {
                    closed_search.branches.insert(branch);
                }
                (_, Some(created)) => {
                    let since = closed_search.slugs_since.get_or_insert(created);
                    *since = (*since).min(created);
                }
                (_, None) => closed_search.slugs_undated = true,
            }
        }
    }
    closed_search
}

/// Questions whose answers will be needed as soon as a claimed resource turns
/// out dead, and that one short list answers; asked beside the roots. What made a
/// satellite decides about both, whatever else is known of them.
pub fn early_questions(inventory: &Inventory, input: &JudgeInput<'_>) -> Vec<Question> {
    let mut claimed: BTreeSet<(KindRef, &Arc<Place>)> = BTreeSet::new();
    for resource in &inventory.resources {
        let key = (resource.kind, &resource.place);
        if claimed.contains(&key) {
            continue;
        }
        let is_claimed = input.policy_scopes.iter().any(|policy_scope| {
            let rules = &policy_scope.policy.rules;
            policy_scope.places.contains(&resource.place) && !rules.read(resource).is_empty()
        });
        if is_claimed {
            claimed.insert(key);
        }
    }
    let mut questions = BTreeSet::new();
    for (kind, place) in claimed {
        let users = input.graph.kinds().iter().filter(|user| {
            user.0.users_listed && (**user == kind || input.graph.may_use(**user, kind))
        });
        questions.extend(users.map(|user| Question::Users {
            kind: *user,
            place: Arc::clone(place),
        }));
    }
    let satellites = inventory.resources.iter();
    questions.extend(satellites.filter_map(|resource| {
        Some(Question::Source {
            source: resource.kind.maker_shown_by?,
            place: Arc::clone(&resource.place),
        })
    }));
    questions.into_iter().collect()
}
