//! Infers policies from evidence: what exists, when pull requests were open, and
//! what the repository's own workflows write. Pure: the command line reads, this
//! module decides.
//!
//! A number in a name is taken for a pull request's number only if the resources
//! with such numbers were created while those pull requests were open, and if this
//! is unlikely to be chance ([`lifetimes::Lifetimes::odds`]). A name is taken for this
//! repository's only if something besides time repeats it (`numbers`). A slug is
//! computed forward from the heads of pull requests (`slugs`). What is proposed
//! only reports: `action = "report"` and `grace = "30d"`.

pub mod file;
mod lifetimes;
pub mod names;
mod numbers;
mod slugs;
pub mod workflows;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::evidence::PullRequest;
use crate::model::{Attribute, KindRef, Place, PullRequestNumber, Resource};

pub use lifetimes::Lifetimes;

/// What is known before anything is proposed.
pub struct Situation<'a> {
    /// When everything was read.
    pub now: DateTime<Utc>,
    /// The resources of every kind that could be listed.
    pub resources: &'a [Resource],
    /// The kinds in places whose listing is not complete.
    pub incomplete: BTreeSet<(KindRef, Place)>,
    /// The pull requests that are known, by number.
    pub pull_requests: &'a BTreeMap<PullRequestNumber, PullRequest>,
    /// The repository, `owner/name`.
    pub repository: &'a str,
    /// Templates that the repository's own workflows write.
    pub written: &'a [workflows::WorkflowName],
}

/// How sure a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The evidence proves the rule.
    Sure,
    /// A person has to say whether these belong to previews.
    Ask,
    /// The evidence is against it.
    Never,
}

/// A rule with its evidence.
#[derive(Debug, Clone, Serialize)]
pub struct RuleProposal {
    /// The id of the rule.
    pub id: String,
    /// Whether it is proved.
    pub status: Status,
    /// The kind of its resources.
    pub kind: &'static str,
    /// How the names are built.
    pub template: String,
    /// The complete `[[rule]]` with the tables that it needs; empty for what is
    /// never proposed.
    pub toml: String,
    /// The names of existing resources that it matches.
    pub matches: Vec<String>,
    /// How much likelier the times are if the numbers are those of pull requests
    /// than by chance.
    pub odds: f64,
    /// Evidence for it.
    pub witnesses: Vec<String>,
    /// Evidence against it.
    pub contradictions: Vec<String>,
    /// The reason for the status, in one sentence.
    pub why: String,
    /// Resources that it would free today.
    #[serde(skip)]
    pub frees: usize,
}

/// A candidate with all that its rule needs, before it is written.
#[derive(Debug, Clone)]
struct RuleCandidate {
    status: Status,
    kind: KindRef,
    place: Place,
    /// What holds the resources (a Pages project).
    holder: Option<String>,
    /// The templates, of names or of branches.
    templates: Vec<String>,
    /// Whether the templates are about the git branch.
    by_branch: bool,
    /// Conditions, as TOML values.
    conditions: Vec<(String, String)>,
    except: Vec<String>,
    /// The definition of a slug, with its name.
    slug: Option<(String, String)>,
    marker: String,
    matches: Vec<String>,
    odds: f64,
    witnesses: Vec<String>,
    contradictions: Vec<String>,
    why: String,
    frees: usize,
}

/// Infers the rules of a situation: sure ones first.
pub fn propose(situation: &Situation<'_>) -> Vec<RuleProposal> {
    let lifetimes = Lifetimes::new(situation.pull_requests, situation.now);
    let (mut candidates, numbered) = numbers::infer(situation, &lifetimes);
    candidates.extend(slugs::infer(situation, &lifetimes, &numbered));
    for candidate in &mut candidates {
        let listed = (candidate.kind, candidate.place.clone());
        if candidate.status != Status::Never && situation.incomplete.contains(&listed) {
            candidate.status = Status::Never;
            candidate.why = String::from("the listing of this kind is not complete");
        }
    }
    candidates.sort_by(|a, b| {
        let key = |one: &RuleCandidate| (one.status, one.kind, one.templates.clone());
        key(a).cmp(&key(b))
    });
    let mut ids = BTreeSet::new();
    candidates
        .into_iter()
        .map(|candidate| file::proposal(candidate, &mut ids))
        .collect()
}

/// The places where Neon says who made a branch: where every branch has the same
/// source, as the API gives it by default, that says nothing.
fn places_with_sources(resources: &[Resource]) -> BTreeSet<Place> {
    let mut sources: BTreeMap<&Place, BTreeSet<&str>> = BTreeMap::new();
    for resource in resources.iter().filter(|one| one.protection.is_none()) {
        if let Some(source) = text(resource, "creation-source") {
            sources.entry(&resource.place).or_default().insert(source);
        }
    }
    let varied = sources.into_iter().filter(|(_, sources)| sources.len() > 1);
    varied.map(|(place, _)| place.clone()).collect()
}

/// The text of an attribute.
fn text<'r>(resource: &'r Resource, key: &str) -> Option<&'r str> {
    match resource.attribute(key)? {
        Attribute::Text(text) => Some(text),
        Attribute::Flag(_) | Attribute::List(_) => None,
    }
}

/// Whether an attribute has braces, which a condition of a rule would read as a
/// capture: no rule can name exactly this value.
fn has_braces(resource: &Resource) -> bool {
    resource
        .attributes
        .iter()
        .any(|(_, value)| matches!(value, Attribute::Text(text) if text.contains(['{', '}'])))
}

/// The value of a flag.
fn flag(resource: &Resource, key: &str) -> Option<bool> {
    match resource.attribute(key)? {
        Attribute::Flag(flag) => Some(*flag),
        Attribute::Text(_) | Attribute::List(_) => None,
    }
}

#[cfg(test)]
mod tests;
