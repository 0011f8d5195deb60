//! Rules about git branches. A slug cannot be turned back, so every function that
//! tools use is computed forward over all heads, and the one that explains most
//! names wins.

mod candidate;
mod functions;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use self::candidate::candidate;
use self::functions::{definition, uncut, variants};
use super::file::quoted;
use super::lifetimes::{Fit, Lifetimes};
use super::names;
use super::{RuleCandidate, Situation, Status, text};
use crate::model::{KindRef, Place, PullRequestNumber, Resource};
use crate::policy::slug::Slug;

/// A slug shorter than this is found in names by chance.
const SHORT: usize = 4;

/// A slug this long is not.
const LONG: usize = 10;

/// One way to make a slug, with the text around it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    kind: KindRef,
    place: Place,
    holder: Option<String>,
    conditions: Vec<(String, String)>,
    before: String,
    after: String,
}

struct SlugSubject<'a> {
    resource: &'a Resource,
    text: &'a str,
    shape: Shape,
}

type PullRequestsByBranch = BTreeMap<Arc<str>, BTreeSet<PullRequestNumber>>;

/// A name that a head explains.
#[derive(Debug, Clone)]
struct Explained<'a> {
    resource: &'a Resource,
    head: Arc<str>,
    slug: String,
    fit: Fit,
    ended: bool,
}

/// Infers rules about branches from what is not explained by a number.
pub(super) fn infer(
    situation: &Situation<'_>,
    lifetimes: &Lifetimes<'_>,
    numbered: &BTreeSet<(KindRef, String)>,
) -> Vec<RuleCandidate> {
    let heads = lifetimes.heads();
    if heads.is_empty() {
        return Vec::new();
    }
    let subjects = subjects(situation, numbered);
    let mut candidates = Vec::new();
    let mut explained = BTreeSet::new();
    raw(
        &subjects,
        &heads,
        lifetimes,
        &mut candidates,
        &mut explained,
    );
    let left: Vec<_> = subjects
        .iter()
        .filter(|one| !explained.contains(&(one.resource.kind, one.resource.id.clone())))
        .filter(|one| one.resource.kind.branch.is_none())
        .collect();
    slugged(&left, &heads, lifetimes, &mut candidates);
    candidates
}

fn subjects<'a>(
    situation: &Situation<'a>,
    numbered: &BTreeSet<(KindRef, String)>,
) -> Vec<SlugSubject<'a>> {
    let with_sources = super::places_with_sources(situation.resources);
    let mut subjects = Vec::new();
    for resource in situation.resources {
        let key = (resource.kind, resource.name.to_string());
        let belongs_to_owner = resource.kind.belongs_to.is_some();
        let github = matches!(*resource.place, Place::Repository(_));
        let by_hand = text(resource, "creation-source") == Some("console")
            && with_sources.contains(&*resource.place);
        if resource.protection.is_some()
            || belongs_to_owner
            || github
            || by_hand
            || super::has_braces(resource)
            || numbered.contains(&key)
        {
            continue;
        }
        let name = match resource.kind.branch {
            Some(branch) => match text(resource, branch) {
                Some(branch) => branch,
                None => continue,
            },
            None => &resource.name,
        };
        if resource.kind.branch.is_none() && !names::is_plain(name) {
            continue;
        }
        subjects.push(SlugSubject {
            resource,
            text: name,
            shape: shape(resource),
        });
    }
    subjects
}

fn shape(resource: &Resource) -> Shape {
    let mut conditions = Vec::new();
    let wanted: &[&str] = match resource.kind.name() {
        "neon_branch" => &["parent", "creation-source"],
        "dns_record" => &["type", "content"],
        "pages_deployment" => &["environment"],
        _ => &[],
    };
    for attribute in wanted {
        if let Some(value) = text(resource, attribute) {
            conditions.push(((*attribute).to_owned(), quoted(value)));
        }
    }
    if let Some(proxied) = super::flag(resource, "proxied")
        && resource.kind.name() == "dns_record"
    {
        conditions.push(("proxied".to_owned(), proxied.to_string()));
    }
    Shape {
        kind: resource.kind,
        place: Place::clone(&resource.place),
        holder: resource.holder.as_deref().map(ToOwned::to_owned),
        conditions,
        before: String::new(),
        after: String::new(),
    }
}

/// How the creation of a resource fits the pull requests with a head: one that
/// fits is enough.
fn fit(
    resource: &Resource,
    numbers: &BTreeSet<PullRequestNumber>,
    lifetimes: &Lifetimes<'_>,
) -> Fit {
    let made = resource.created_at.known();
    let fits: Vec<_> = numbers
        .iter()
        .map(|number| lifetimes.fit(*number, made))
        .collect();
    if fits.contains(&Fit::Hit) {
        Fit::Hit
    } else {
        fits.first().copied().unwrap_or(Fit::Unknown)
    }
}

fn has_ended(numbers: &BTreeSet<PullRequestNumber>, lifetimes: &Lifetimes<'_>) -> bool {
    numbers.iter().all(|number| lifetimes.has_ended(*number))
}

/// Names that end in a git branch as it is: `preview/fix/login`.
fn raw(
    subjects: &[SlugSubject<'_>],
    heads: &PullRequestsByBranch,
    lifetimes: &Lifetimes<'_>,
    candidates: &mut Vec<RuleCandidate>,
    explained: &mut BTreeSet<(KindRef, Box<str>)>,
) {
    let mut found: BTreeMap<Shape, Vec<Explained<'_>>> = BTreeMap::new();
    for subject in subjects {
        for (head, numbers) in heads {
            let Some(before) = subject.text.strip_suffix(&**head) else {
                continue;
            };
            let by_branch = subject.resource.kind.branch.is_some();
            // A template needs three characters of its own.
            let apart = before.len() >= 3 && before.ends_with(|c: char| !c.is_ascii_alphanumeric());
            if head.len() < SHORT || (by_branch != before.is_empty()) || !(by_branch || apart) {
                continue;
            }
            let shape = Shape {
                before: before.to_owned(),
                ..subject.shape.clone()
            };
            found.entry(shape).or_default().push(Explained {
                resource: subject.resource,
                head: head.clone(),
                slug: head.to_string(),
                fit: fit(subject.resource, numbers, lifetimes),
                ended: has_ended(numbers, lifetimes),
            });
        }
    }
    for (shape, all) in found {
        // Only a head with a slash shows that the branch was taken as it is.
        let slash = all
            .iter()
            .any(|one| one.head.contains('/') && one.fit == Fit::Hit);
        let by_branch = shape.kind.branch.is_some();
        if !slash && !by_branch {
            continue;
        }
        let template = format!("{}{{branch}}", shape.before);
        if let Some(candidate) = candidate(&shape, &all, template, None, lifetimes) {
            let of = all
                .iter()
                .map(|one| (one.resource.kind, one.resource.id.clone()));
            explained.extend(of);
            candidates.push(candidate);
        }
    }
}

fn slugged(
    left: &[&SlugSubject<'_>],
    heads: &PullRequestsByBranch,
    lifetimes: &Lifetimes<'_>,
    out: &mut Vec<RuleCandidate>,
) {
    // The text around a slug is learnt from slugs that were not cut.
    let mut groups: BTreeMap<Shape, Vec<&SlugSubject<'_>>> = BTreeMap::new();
    for subject in left {
        groups
            .entry(subject.shape.clone())
            .or_default()
            .push(subject);
    }
    let mut count = 0;
    for (shape, subjects) in groups {
        let mut best: BTreeMap<(String, String), (usize, Vec<Explained<'_>>, Slug)> =
            BTreeMap::new();
        let mut seen: BTreeMap<(String, String), BTreeSet<Box<str>>> = BTreeMap::new();
        let around = around(&subjects, heads);
        for function in variants(&subjects, heads, &around) {
            let slugs: Vec<(String, &Arc<str>)> = heads
                .keys()
                .flat_map(|head| function.of(head).into_iter().map(move |slug| (slug, head)))
                .filter(|(slug, _)| slug.len() >= SHORT)
                .collect();
            let mut by_slug: HashMap<&str, Vec<&Arc<str>>> = HashMap::new();
            for (slug, head) in &slugs {
                by_slug.entry(slug).or_default().push(head);
            }
            for (before, after) in &around {
                let mut found = Vec::new();
                for subject in &subjects {
                    let middle = subject
                        .text
                        .strip_prefix(before.as_str())
                        .and_then(|rest| rest.strip_suffix(after.as_str()));
                    let Some(middle) = middle else { continue };
                    for head in by_slug.get(middle).into_iter().flatten() {
                        found.push(Explained {
                            resource: subject.resource,
                            head: Arc::clone(head),
                            slug: middle.to_owned(),
                            fit: fit(subject.resource, &heads[*head], lifetimes),
                            ended: has_ended(&heads[*head], lifetimes),
                        });
                    }
                }
                let names: BTreeSet<_> = found.iter().map(|one| one.resource.id.clone()).collect();
                let score = names.len();
                let key = (before.clone(), after.clone());
                // Two lengths may both be used, but not two ways to replace.
                if function.lengths.is_empty() {
                    seen.entry(key.clone()).or_default().extend(names);
                }
                if score > 0 && best.get(&key).is_none_or(|(known, _, _)| *known < score) {
                    best.insert(key, (score, found, function.clone()));
                }
            }
        }
        for ((before, after), (_, found, function)) in best {
            let shape = Shape {
                before: before.clone(),
                after: after.clone(),
                ..shape.clone()
            };
            let name = if count == 0 {
                "branch".to_owned()
            } else {
                format!("branch{}", count + 1)
            };
            let template = format!("{before}{{slug:{name}}}{after}");
            let known: BTreeSet<_> = found.iter().map(|one| one.resource.id.clone()).collect();
            let ambiguous = seen
                .get(&(before.clone(), after.clone()))
                .is_some_and(|seen| !seen.is_subset(&known));
            let definition = definition(&function);
            let slug = Some((name, definition));
            if let Some(mut one) = candidate(&shape, &found, template, slug, lifetimes) {
                if ambiguous && one.status == Status::Sure {
                    one.status = Status::Ask;
                    one.why = String::from("several ways to make a slug explain different names");
                }
                count += 1;
                out.push(one);
            }
        }
    }
}

/// The texts around slugs that were not cut.
fn around(
    subjects: &[&SlugSubject<'_>],
    heads: &PullRequestsByBranch,
) -> BTreeSet<(String, String)> {
    let mut around = BTreeSet::new();
    for function in uncut() {
        for head in heads.keys() {
            let slug = function.uncut(head);
            if slug.len() < SHORT {
                continue;
            }
            // The beginning of a slug that was cut shows the text before it too.
            let start: String = slug.chars().take(LONG).collect();
            for subject in subjects {
                if let Some(at) = subject.text.find(slug.as_str()) {
                    let (before, after) = (&subject.text[..at], &subject.text[at + slug.len()..]);
                    around.insert((before.to_owned(), after.to_owned()));
                } else if slug.len() > LONG
                    && let Some(at) = subject.text.find(start.as_str())
                {
                    let after = subject.text[at..]
                        .find('.')
                        .map_or("", |dot| &subject.text[at + dot..]);
                    around.insert((subject.text[..at].to_owned(), after.to_owned()));
                }
            }
        }
    }
    let apart =
        |text: &str| text.is_empty() || text.ends_with(|c: char| !c.is_ascii_alphanumeric());
    let ends =
        |text: &str| text.is_empty() || text.starts_with(|c: char| !c.is_ascii_alphanumeric());
    around.retain(|(before, after)| {
        let literal = before.len().max(after.len()) >= 3;
        apart(before) && ends(after) && literal
    });
    around
}
