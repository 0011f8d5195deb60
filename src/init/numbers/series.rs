//! Series of names that differ only in a number, with how each number fits the
//! times of its pull request.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::super::lifetimes::{Fit, Lifetimes};
use super::super::names::{self, Split};
use super::super::{Situation, file, flag, has_braces, text};
use crate::model::{KindRef, Place, PullRequestNumber, Resource};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) kind: KindRef,
    pub(super) place: Place,
    pub(super) holder: Option<String>,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) conditions: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) resource: &'a Resource,
    pub(super) number: PullRequestNumber,
    pub(super) made: Option<DateTime<Utc>>,
    pub(super) fit: Fit,
}

impl Member<'_> {
    /// How it contradicts its number.
    pub(super) fn contradiction(&self) -> String {
        let (name, number) = (&self.resource.name, self.number);
        match self.fit {
            Fit::Before => format!(
                "{name} does not belong to #{number}: created before it was opened, or recorded \
                 for another"
            ),
            Fit::After => format!("{name} was created after #{number} had ended"),
            Fit::Missing | Fit::Hit | Fit::Unknown => {
                format!("{name}: there is no pull request #{number}")
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Series<'a> {
    pub(super) members: Vec<Member<'a>>,
    pub(super) random: bool,
}

impl Series<'_> {
    pub(super) fn numbers(&self, wanted: impl Fn(Fit) -> bool) -> BTreeSet<PullRequestNumber> {
        let members = self.members.iter().filter(|one| wanted(one.fit));
        members.map(|one| one.number).collect()
    }

    pub(super) fn hits(&self) -> BTreeSet<PullRequestNumber> {
        let against = self.numbers(Fit::is_against);
        let hits = self.numbers(|fit| fit == Fit::Hit);
        hits.difference(&against).copied().collect()
    }

    /// Whether more than a third of its numbers contradict.
    pub(super) fn is_refuted(&self) -> bool {
        let against = self.numbers(Fit::is_against).len();
        against * 3 > against + self.hits().len()
    }

    pub(super) fn timed(&self) -> Vec<(PullRequestNumber, Option<DateTime<Utc>>)> {
        let members = self.members.iter();
        members.map(|one| (one.number, one.made)).collect()
    }
}

pub(super) fn collect<'a>(
    situation: &Situation<'a>,
    lifetimes: &Lifetimes<'_>,
) -> BTreeMap<SeriesKey, Series<'a>> {
    let mut all: BTreeMap<SeriesKey, Series<'a>> = BTreeMap::new();
    for resource in situation.resources {
        let belongs_to_owner =
            resource.kind.belongs_to.is_some() && resource.kind.name() != "worker_preview";
        if resource.protection.is_some()
            || resource.kind.branch.is_some()
            || belongs_to_owner
            || !names::is_plain(&resource.name)
            || has_braces(resource)
        {
            continue;
        }
        let made = resource.created_at.known();
        for split in names::splits(&resource.name) {
            let key = key(resource, &split);
            let fit = fit(situation, lifetimes, resource, &split);
            let series = all.entry(key).or_default();
            series.random |= split.random;
            series.members.push(Member {
                resource,
                number: split.number,
                made,
                fit,
            });
        }
    }
    all
}

/// Compares times, and what the provider recorded at creation.
fn fit(
    situation: &Situation<'_>,
    lifetimes: &Lifetimes<'_>,
    resource: &Resource,
    split: &Split,
) -> Fit {
    if let Some(recorded) = &resource.recorded {
        let here = |repository: &str| {
            let repository = repository.trim_end_matches('/').trim_end_matches(".git");
            let path = repository
                .rsplit_once("://")
                .map_or(repository, |(_, rest)| {
                    rest.split_once('/').map_or("", |(_, path)| path)
                });
            path.eq_ignore_ascii_case(situation.repository)
        };
        let foreign = recorded.repository.as_deref().is_some_and(|one| !here(one));
        let other = recorded.pull_request.is_some_and(|one| one != split.number);
        if foreign || other {
            return Fit::Before;
        }
    }
    lifetimes.fit(split.number, resource.created_at.known())
}

fn key(resource: &Resource, split: &Split) -> SeriesKey {
    let quoted = file::quoted;
    let mut conditions = Vec::new();
    match resource.kind.name() {
        "neon_branch" => {
            for attribute in ["parent", "creation-source"] {
                if let Some(value) = text(resource, attribute) {
                    conditions.push((attribute.to_owned(), quoted(value)));
                }
            }
        }
        "dns_record" => {
            let sort = text(resource, "type").unwrap_or_default();
            conditions.push(("type".to_owned(), quoted(sort)));
            if let Some(proxied) = flag(resource, "proxied") {
                conditions.push(("proxied".to_owned(), proxied.to_string()));
            }
            let content = text(resource, "content").unwrap_or_default();
            let own = names::splits(content).into_iter().find(|one| {
                one.number == split.number && one.before == split.before && !one.random
            });
            let content = match own {
                Some(own) => format!("{}{{pr}}{}", own.before, own.after),
                None => content.to_ascii_lowercase(),
            };
            conditions.push(("content".to_owned(), quoted(&content)));
        }
        "worker_preview" => {
            if let Some(worker) = text(resource, "worker") {
                conditions.push(("worker".to_owned(), quoted(worker)));
            }
        }
        _ => {}
    }
    let name = |text: &str| {
        if resource.kind.caseless {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        }
    };
    SeriesKey {
        kind: resource.kind,
        place: Place::clone(&resource.place),
        holder: None,
        before: name(&split.before),
        after: name(&split.after),
        conditions,
    }
}

/// The places where a number contradicts, so that others make such names too.
pub(super) fn shared(all: &BTreeMap<SeriesKey, Series<'_>>) -> BTreeSet<Place> {
    let contradicts = |series: &Series<'_>| {
        let mut members = series.members.iter();
        members.any(|one| matches!(one.fit, Fit::Before | Fit::After))
    };
    let all = all
        .iter()
        .filter(|(key, series)| names::marker(&key.before).is_some() && contradicts(series));
    all.map(|(key, _)| key.place.clone()).collect()
}

/// What the series of one place with the same word before the number say together.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// The members of series that nothing refutes and several numbers hit.
    pub(super) timed: Vec<(PullRequestNumber, Option<DateTime<Utc>>)>,
    /// The numbers with a resource that was created before their pull request was opened or after it ended.
    pub(super) against: BTreeSet<PullRequestNumber>,
}

pub(super) fn families(
    all: &BTreeMap<SeriesKey, Series<'_>>,
) -> BTreeMap<(Place, Option<&'static str>), Family> {
    let mut families: BTreeMap<_, Family> = BTreeMap::new();
    for (key, series) in all {
        let family = (key.place.clone(), names::marker(&key.before));
        let family = families.entry(family).or_default();
        let against = series.numbers(|fit| matches!(fit, Fit::Before | Fit::After));
        family.against.extend(against);
        if !series.is_refuted() && series.hits().len() > 1 {
            family.timed.extend(series.timed());
        }
    }
    families
}
