//! Names in the arguments of `check`: which rules match them, and what then decides.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::{Claim, KindRef, Repository};
use crate::policy::nearest::{Compared, nearest};
use crate::policy::{MatchSubject, Policy, Rule};

/// How a rule matches a name.
#[derive(Debug, Serialize)]
pub(super) struct NameMatch {
    pub(super) name: String,
    pub(super) kind: KindRef,
    pub(super) claim: String,
    pub(super) rule: String,
    pub(super) asks: String,
}

/// Matches names against the rules, and adds warnings.
pub(super) fn matches(
    files: &[Policy],
    kinds: &[KindRef],
    names: &[String],
    warnings: &mut Vec<String>,
) -> Vec<NameMatch> {
    let mut matches = Vec::new();
    for name in names {
        let before = matches.len();
        for &kind in kinds {
            let first = matches.len();
            matches.extend(of_kind(files, kind, name));
            let by: BTreeSet<_> = matches[first..]
                .iter()
                .map(|one: &NameMatch| one.rule.as_str())
                .collect();
            if by.len() > 1 {
                warnings.push(format!(
                    "{kind} {name} is matched by {}: it is kept unless all of them call it dead",
                    by.into_iter().collect::<Vec<_>>().join(" and ")
                ));
            }
        }
        if matches.len() == before {
            warnings.push(format!(
                "no rule matches {name}: {}",
                unmatched(files, kinds, name)
            ));
        }
    }
    matches
}

/// Returns what happens to a name that no rule matches.
fn unmatched(files: &[Policy], kinds: &[KindRef], name: &str) -> String {
    if let Some(why) = kinds.iter().find_map(|kind| protected(files, *kind, name)) {
        return format!("it is {why}");
    }
    let only = match kinds {
        [kind] => Some(*kind),
        _ => None,
    };
    let compared = Compared {
        kind: only,
        name,
        branch: None,
    };
    match nearest(files, compared) {
        None => "it is kept".to_owned(),
        Some(nearest) => format!("it is kept; {nearest}"),
    }
}

/// Returns why a name is protected, if a `protect` entry names it.
fn protected(files: &[Policy], kind: KindRef, name: &str) -> Option<String> {
    let mut entries = files.iter().flat_map(|file| &file.protects);
    let entry = entries.find(|entry| entry.kinds.is_some() && entry.names(kind, name))?;
    Some(format!("protected: {} ({})", entry.reason, entry.location))
}

fn of_kind(files: &[Policy], kind: KindRef, name: &str) -> Vec<NameMatch> {
    let protected = protected(files, kind, name);
    let asks = |otherwise: String| protected.clone().unwrap_or(otherwise);
    let found = |rule: &Rule, claim: String, asks: String| NameMatch {
        name: name.to_owned(),
        kind,
        claim,
        rule: format!("{} ({})", rule.id, rule.location),
        asks,
    };
    let mut matches = Vec::new();
    for policy in files {
        for (rule, claim) in policy.rules.match_name(kind, name) {
            let rule = &policy.rules[rule];
            let asked = depends_on(rule, &claim, &policy.repository);
            matches.push(found(rule, claim.to_string(), asks(asked)));
        }
        for rule in policy.rules.iter() {
            if let Some(key) = rule.claim_attribute(kind, name) {
                let asked = format!("what its `{key}` says");
                matches.push(found(rule, format!("in its `{key}`"), asks(asked)));
            }
            if rule.subject == MatchSubject::Branch {
                // The argument may be a git branch, which such a rule matches.
                matches.extend(rule.match_branch(kind, name).into_iter().map(|claim| {
                    let asked = depends_on(rule, &claim, &policy.repository);
                    let claim = format!("as the git branch: {claim}");
                    found(rule, claim, asked)
                }));
            }
        }
    }
    matches
}

/// Returns warnings for rules about these kinds that match none of the names.
pub(super) fn unused(files: &[Policy], kinds: &[KindRef], names: &[String]) -> Vec<String> {
    let rules = files.iter().flat_map(|file| file.rules.iter());
    let unused = rules.filter(|rule| {
        let mut kinds = kinds.iter().filter(|kind| rule.kinds.contains(kind));
        let matches = |kind: &KindRef| {
            names.iter().any(|name| {
                let found = of_kind(files, *kind, name);
                let this = format!("{} ({})", rule.id, rule.location);
                found.iter().any(|one| one.rule == this)
            })
        };
        kinds.clone().next().is_some() && !kinds.any(matches)
    });
    unused
        .map(|rule| {
            format!(
                "rule {} ({}) matches none of these names",
                rule.id, rule.location
            )
        })
        .collect()
}

/// Returns what decides whether a resource with that claim is garbage.
fn depends_on(rule: &Rule, claim: &Claim, repository: &Repository) -> String {
    let conditions = rule.conditions_written();
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(", where {}", conditions.join(" and "))
    };
    format!("{}{conditions}", owner_asked(rule, claim, repository))
}

/// Returns what is asked about the owner that a name claims.
fn owner_asked(rule: &Rule, claim: &Claim, repository: &Repository) -> String {
    if !rule.asks_about(claim) {
        return "its age only".to_owned();
    }
    match claim {
        Claim::PullRequest(number) => format!("pull request {repository}#{number}"),
        Claim::Branch(branch) => {
            format!("whether {repository} has a git branch {branch}, and pull requests from it")
        }
        Claim::Slug { function, text } => format!(
            "the git branches and pull requests of {repository} whose slug ({function}) is {text}"
        ),
        Claim::Run(run) => format!("Actions run {run} of {repository}"),
        Claim::Itself => "its age only".to_owned(),
    }
}
