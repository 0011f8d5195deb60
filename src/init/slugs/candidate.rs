//! A rule about git branches from the names that heads explain, with what speaks for
//! it and against it.

use std::collections::BTreeSet;

use super::{Explained, LONG, Shape};
use crate::init::lifetimes::{Fit, Lifetimes};
use crate::init::{RuleCandidate, Status, names, numbers};
use crate::model::Place;

/// Permanent names that a rule about branches never matches, whatever heads there
/// are.
const PERMANENT_NAMES: [&str; 8] = [
    "main",
    "master",
    "dev",
    "develop",
    "staging",
    "production",
    "preview",
    "live",
];

/// Makes a rule of the names that heads explain, unless too much speaks against it.
pub(super) fn candidate(
    shape: &Shape,
    all: &[Explained<'_>],
    template: String,
    slug: Option<(String, String)>,
    lifetimes: &Lifetimes<'_>,
) -> Option<RuleCandidate> {
    let good: Vec<_> = all.iter().filter(|one| one.fit == Fit::Hit).collect();
    let against: Vec<_> = all.iter().filter(|one| one.fit.is_against()).collect();
    let heads: BTreeSet<_> = good.iter().map(|one| &one.head).collect();
    let long = good.iter().filter(|one| one.slug.len() >= LONG).count();
    let frees = good.iter().filter(|one| one.ended).count();
    // Each head is one of all those known; long ones are no coincidence.
    let known = f64::from(u32::try_from(lifetimes.heads().len()).unwrap_or(u32::MAX)).max(10.0);
    let exponent = i32::try_from(heads.len() + long.min(heads.len()))
        .unwrap_or(6)
        .min(6);
    let odds = known.powi(exponent) * 0.02_f64.powi(i32::try_from(against.len()).unwrap_or(6));
    let within = ended_later(&good, lifetimes);
    let refuted = against.len() * 3 > against.len() + good.len();
    if good.is_empty() || refuted {
        return None;
    }
    let doubt = doubt(
        shape,
        heads.len() < 2 || odds < numbers::PROOF,
        !against.is_empty(),
    );
    let (status, why) = match doubt {
        Some(why) => (Status::Ask, why),
        None => (
            Status::Sure,
            "git branches of this repository explain the names, at times that fit",
        ),
    };
    if status == Status::Ask && frees == 0 {
        return None;
    }
    let mut matches: Vec<String> = all
        .iter()
        .map(|one| one.resource.name.to_string())
        .collect();
    matches.sort();
    matches.dedup();
    let mut except = Vec::new();
    if shape.kind.branch.is_none() {
        let names = PERMANENT_NAMES.iter();
        except.extend(names.map(|name| format!("{}{name}{}", shape.before, shape.after)));
    }
    let shown: Vec<_> = heads
        .iter()
        .take(3)
        .map(|head| (**head).to_string())
        .collect();
    Some(RuleCandidate {
        status,
        kind: shape.kind,
        place: shape.place.clone(),
        holder: shape.holder.clone(),
        templates: vec![template],
        by_branch: shape.kind.branch.is_some(),
        conditions: conditions(shape, within * 2 >= good.len()),
        except,
        slug,
        marker: "branch".to_owned(),
        matches,
        odds,
        witnesses: vec![format!(
            "{} heads explain the names, such as {}",
            heads.len(),
            shown.join(", ")
        )],
        contradictions: against
            .iter()
            .map(|one| {
                format!(
                    "{} was not created while {} was open",
                    one.resource.name, one.head
                )
            })
            .collect(),
        why: why.to_owned(),
        frees,
    })
}

/// Why a candidate is not proved, if it is not.
fn doubt(shape: &Shape, few: bool, contradicted: bool) -> Option<&'static str> {
    if names::has_permanent_word(&shape.before) || names::has_permanent_word(&label_after(shape)) {
        Some("its name has a word such as `prod` or `main`")
    } else if few {
        Some("too few git branches explain such names")
    } else if contradicted {
        Some("some of these names existed outside of their pull requests")
    } else if !shape.kind.created {
        Some("it has no creation time, so its name is the only evidence")
    } else {
        None
    }
}

/// How many of these were created before a pull request of their branch ended.
fn ended_later(all: &[&Explained<'_>], lifetimes: &Lifetimes<'_>) -> usize {
    let known = lifetimes.heads();
    let ended_later = |one: &&&Explained<'_>| {
        let made = one.resource.created_at.known();
        let mut numbers = known.get(&one.head).into_iter().flatten();
        numbers.any(|number| {
            let ended = lifetimes.of(*number).map(|one| one.ended);
            made.zip(ended)
                .is_some_and(|(made, ended)| ended.is_none_or(|ended| made < ended))
        })
    };
    all.iter().filter(ended_later).count()
}

/// The conditions of a rule: a resource created after its pull request had ended
/// belongs to something else.
fn conditions(shape: &Shape, ended_later: bool) -> Vec<(String, String)> {
    let mut conditions = shape.conditions.clone();
    if shape.kind.created && ended_later {
        conditions.push(("ended-after-created".to_owned(), "true".to_owned()));
    }
    conditions
}

/// The text after the slug, without the name of the zone.
fn label_after(shape: &Shape) -> String {
    match &shape.place {
        Place::Zone { name, .. } => shape
            .after
            .strip_suffix(name.as_str())
            .unwrap_or(&shape.after),
        Place::Account(_) | Place::Project(_) | Place::Repository(_) => &shape.after,
    }
    .to_owned()
}
