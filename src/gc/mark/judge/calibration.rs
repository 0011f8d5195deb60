//! Whether the templates and slug functions of the rules are known to make names as
//! their owner's tool does.

use std::collections::{HashMap, HashSet};

use super::super::JudgeInput;
use super::super::branches::{Branches, Explanation};
use crate::evidence::{Inventory, RepositoryRoots};
use crate::model::Claim;
use crate::policy::Rule;

/// A policy file and a rule of it, by their indexes.
type OfRule = (usize, usize);

/// The branch templates and slug functions that are known to be right, and what shows it:
/// listed names that a known git branch explains, with times that fit.
#[derive(Debug, Clone, Default)]
pub struct Calibration {
    /// Slug functions, by policy file, that explain a name.
    functions: HashSet<(usize, Box<str>)>,
    /// Those that explain a name which another function would not have given.
    proven_functions: HashSet<(usize, Box<str>)>,
    /// Rules that do.
    proven_rules: HashSet<OfRule>,
    /// The git branches of which a name is listed, by rule.
    listed: HashMap<OfRule, HashSet<Box<str>>>,
}

impl Calibration {
    /// What the listed names show, besides what an earlier pass of the run saw: a later
    /// one may list fewer resources.
    pub(super) fn of(
        inventory: &Inventory,
        input: &JudgeInput<'_>,
        heads: &[Option<(&RepositoryRoots, Branches<'_>)>],
    ) -> Self {
        let mut calibration = Self::clone(&input.calibrated);
        for (index, policy_scope) in input.policy_scopes.iter().enumerate() {
            let policy = policy_scope.policy;
            let Some((_, heads)) = heads[index].as_ref() else {
                continue;
            };
            if !policy.rules.iter().any(Rule::asks_about_branches) {
                continue;
            }
            for resource in &inventory.resources {
                if !policy_scope.places.contains(&resource.place) {
                    continue;
                }
                // Recorded data proves nothing about how names are made.
                let named = policy.read(resource).into_iter();
                for (rule, rule_match) in named.filter(|(_, rule_match)| !rule_match.only_agrees) {
                    let caseless = resource.kind.has_names_without_case();
                    let claim = &rule_match.claim;
                    let branches = heads.matching_branches(claim, caseless);
                    if branches.is_empty() {
                        continue;
                    }
                    let listed = calibration.listed.entry((index, rule)).or_default();
                    listed.extend(branches.iter().map(|branch| Box::from(*branch)));
                    let explanation = heads.explains(claim, caseless, resource.created_at);
                    calibration.note(index, rule, claim, explanation);
                }
            }
        }
        calibration
    }

    fn note(&mut self, policy: usize, rule: usize, claim: &Claim, found: Explanation) {
        if found == Explanation::None {
            return;
        }
        let is_proof = found == Explanation::Proof;
        if is_proof {
            self.proven_rules.insert((policy, rule));
        }
        if let Claim::Slug { function, .. } = claim {
            let function = (policy, function.clone());
            if is_proof {
                self.proven_functions.insert(function.clone());
            }
            self.functions.insert(function);
        }
    }

    /// Whether the slug function of a claim explains any name.
    pub(super) fn is_plausible(&self, policy: usize, claim: &Claim) -> bool {
        let Claim::Slug { function, .. } = claim else {
            return false;
        };
        self.functions.contains(&(policy, function.clone()))
    }

    /// Whether the slug function of a claim, or the rule of a git branch, explains a name
    /// that another function would not have given.
    pub(super) fn is_proven(&self, rule: OfRule, claim: &Claim) -> bool {
        match claim {
            Claim::Slug { function, .. } => {
                let function = (rule.0, function.clone());
                self.proven_functions.contains(&function)
            }
            _ => self.proven_rules.contains(&rule),
        }
    }

    /// The heads of open pull requests, in the form of a claim, of which no name of its
    /// rule is listed, and of which another function could make another name.
    pub(super) fn unlisted<'h>(
        &'h self,
        heads: &'h Branches<'_>,
        rule: OfRule,
        claim: &'h Claim,
    ) -> impl Iterator<Item = &'h str> {
        let listed = self.listed.get(&rule);
        let is_listed = move |head: &str| listed.is_some_and(|listed| listed.contains(head));
        let open = heads.open_heads();
        open.filter(move |head| !is_listed(head) && heads.is_telling(claim, head))
    }
}
