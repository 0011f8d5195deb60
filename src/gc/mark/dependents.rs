//! Decides which unmatched resources are deleted with their owner: those that
//! cannot stand alone, and those whose own name contains the owner's claim and no
//! name of a living root.

use std::collections::{BTreeSet, HashMap};

use super::{JudgeInput, Judgement};
use crate::evidence::{Inventory, PullRequest, Roots};
use crate::model::{Attribute, Claim, KindRef, Place, Resource};

/// Words beside a number that say that it is a pull request's.
const BESIDE_NUMBERS: [&str; 5] = ["pr", "preview", "pull", "mr", "pullrequest"];

/// The words of living roots: a name that contains more of them than its owner's
/// name may belong to such a root.
pub(super) struct LiveNames {
    /// Git branches and the heads of open pull requests, by their first word.
    heads: HashMap<String, Vec<Vec<String>>>,
    /// The numbers of open pull requests.
    numbers: BTreeSet<String>,
}

impl LiveNames {
    pub(super) fn of(roots: &Roots) -> Self {
        let mut living = Self {
            heads: HashMap::new(),
            numbers: BTreeSet::new(),
        };
        for one in roots.repositories.values() {
            let branches = one.heads.branches.iter().flatten();
            branches.for_each(|branch| living.add(branch));
            for (number, pull_request) in &one.pull_requests {
                if let PullRequest::Open {
                    head, fork_head, ..
                } = pull_request
                {
                    living.numbers.insert(number.to_string());
                    let heads = head.iter().chain(fork_head);
                    heads.for_each(|head| living.add(head));
                }
            }
        }
        living
    }

    fn add(&mut self, head: &str) {
        let head = words(head);
        if let Some(first) = head.first() {
            self.heads.entry(first.clone()).or_default().push(head);
        }
    }

    /// Whether a name contains a living root that its owner's name lacks.
    fn is_in(&self, name: &[String], owner: &[String], claim: &Claim) -> bool {
        let foreign = |part: &[String]| part.iter().any(|word| !owner.contains(word));
        let has_head = name.iter().enumerate().any(|(at, word)| {
            let heads = self.heads.get(word).into_iter().flatten();
            let mut here = heads.filter(|head| name[at..].starts_with(head));
            here.any(|head| foreign(head))
        });
        let own = match claim {
            Claim::PullRequest(number) => Some(number.to_string()),
            _ => None,
        };
        let open = |word: &String| Some(word) != own.as_ref() && self.numbers.contains(word);
        let has_number = name.windows(2).any(|pair| {
            let before = owner.contains(&pair[0]) || BESIDE_NUMBERS.contains(&&*pair[0]);
            before && open(&pair[1])
        });
        has_head || has_number
    }
}

/// The part of a name that is the resource's own: of a host name or pattern
/// what stands before its zone. A path says nothing: `/checkout/*` of a shop is not
/// the preview of a branch called `checkout`.
pub(super) fn own_part(resource: &Resource) -> String {
    let zone = match (&*resource.place, resource.attribute("zone")) {
        (Place::Zone { name, .. }, _) => Some(name.as_str()),
        (_, Some(Attribute::Text(zone))) => Some(&**zone),
        _ => None,
    };
    let mut name = resource.name.to_ascii_lowercase();
    if resource.kind.begins_with_host {
        name.truncate(name.find('/').unwrap_or(name.len()));
    }
    match zone {
        Some(zone) if !zone.is_empty() => name.replace(&zone.to_ascii_lowercase(), ""),
        _ => name,
    }
}

/// Whether something of this kind and name goes with its owner: a resource that
/// stands alone only if its name contains the owner's claim and no living root, or
/// if the rule lists its kind under `with`.
pub(super) fn is_deleted_with_owner(
    input: &JudgeInput<'_>,
    living: &LiveNames,
    owned: KindRef,
    name: &str,
    owner: usize,
    of_owner: &Judgement,
    inventory: &Inventory,
) -> bool {
    let Some(matched_by) = &of_owner.matched_by else {
        return false;
    };
    if !owned.stands_alone || takes_along(input, of_owner, owned) {
        return true;
    }
    let (name, owner) = (words(name), words(&inventory.resources[owner].name));
    contains_claim(&name, &matched_by.claim, &owner)
        && !living.is_in(&name, &owner, &matched_by.claim)
}

/// Whether its provider recorded that something is of another repository than its owner,
/// or of another pull request: that is stronger than the owner's name.
pub(super) fn is_recorded_for_another(
    input: &JudgeInput<'_>,
    owned: &Resource,
    of_owner: &Judgement,
) -> bool {
    let Some(recorded) = &owned.recorded else {
        return false;
    };
    let Some(matched_by) = &of_owner.matched_by else {
        return true;
    };
    let claimed = match matched_by.claim {
        Claim::PullRequest(number) => Some(number),
        _ => matched_by.pull_request,
    };
    let of = input.policy_scopes.get(matched_by.policy_scope);
    let is_foreign = of.is_some_and(|of| of.policy.is_foreign(recorded));
    let other = recorded.pull_request;
    is_foreign || other.is_some_and(|number| Some(number) != claimed)
}

/// Whether the rule of a resource lists this kind under `with`.
pub(super) fn takes_along(input: &JudgeInput<'_>, of_owner: &Judgement, kind: KindRef) -> bool {
    of_owner.matched_by.as_ref().is_some_and(|matched_by| {
        let policy_scope = input.policy_scopes.get(matched_by.policy_scope);
        let rule = policy_scope.and_then(|one| one.policy.rules.get(matched_by.rule));
        rule.is_some_and(|rule| rule.with.contains(&kind))
    })
}

/// The words of a name, in lower case.
fn words(text: &str) -> Vec<String> {
    text.to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether a name contains a claim. A number counts only where it stands beside a
/// word of the owner's name, behind a word for pull requests, or alone: neither
/// `v12` nor `release-12` contains the #12 of `app-pr-12`, and `app-12` does.
fn contains_claim(name: &[String], claim: &Claim, owner: &[String]) -> bool {
    let has_text = |text: &str| {
        let part = words(text);
        !part.is_empty() && name.windows(part.len()).any(|window| window == &part[..])
    };
    match claim {
        Claim::PullRequest(number) => has_number(name, &number.to_string(), owner),
        Claim::Run(run) => has_number(name, &run.to_string(), owner),
        Claim::Branch(branch) => has_text(branch),
        Claim::Slug { text, .. } => has_text(text),
        Claim::Itself => !owner.is_empty() && name.windows(owner.len()).any(|part| part == owner),
    }
}

fn has_number(name: &[String], number: &str, owner: &[String]) -> bool {
    let of_owner = |word: Option<&String>| word.is_some_and(|word| owner.contains(word));
    name.iter().enumerate().any(|(at, word)| {
        if **word != *number {
            // Such as `pr12`.
            return owner.contains(word) && digits(word).any(|digits| *digits == *number);
        }
        let before = at.checked_sub(1).and_then(|at| name.get(at));
        let after = name.get(at + 1);
        let is_named = [before, after].into_iter().flatten().any(|word| {
            let word = word.as_str();
            BESIDE_NUMBERS.contains(&word)
        });
        is_named || of_owner(before) || of_owner(after) || name.len() == 1
    })
}

/// The runs of digits in a word.
fn digits(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
}
