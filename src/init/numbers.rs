//! Rules about numbers. A *series* is all resources of one kind in one place whose
//! names differ only in a number and that share their conditions. Time shows that
//! the number is one of a pull request; repetition shows that a machine makes such
//! names for this repository. A rule needs both.

mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use self::series::{Family, Member, Series, SeriesKey, collect, families, shared};
use super::lifetimes::{Fit, Lifetimes};
use super::names;
use super::{RuleCandidate, Situation, Status, text};
use crate::model::{KindRef, Place, PlaceSort, PullRequestNumber};

/// The odds that prove a family of numbers.
pub(super) const PROOF: f64 = 100.0;
/// The same for numbers without a word that says what they are.
const PROOF_UNMARKED: f64 = 100_000.0;
/// What a series itself must show where the odds are those of all its siblings.
const OWN: f64 = 10.0;
/// The members and kinds of one deployment.
const BATCH: (usize, usize) = (4, 3);
/// How long one deployment takes.
const DEPLOYMENT: TimeDelta = TimeDelta::hours(1);

/// Infers rules about numbers. Returns the names that they are about as well, so
/// that nothing else is proposed for them.
pub(super) fn infer(
    situation: &Situation<'_>,
    lifetimes: &Lifetimes<'_>,
) -> (Vec<RuleCandidate>, BTreeSet<(KindRef, String)>) {
    let all = collect(situation, lifetimes);
    let context = Context {
        situation,
        lifetimes,
        shared: shared(&all),
        with_sources: super::places_with_sources(situation.resources),
        names: situation
            .resources
            .iter()
            .map(|one| (one.kind, &*one.name))
            .collect(),
        all: &all,
        families: families(&all),
        heads: lifetimes.heads().into_keys().collect(),
    };
    let mut proved: BTreeMap<SeriesGroup, Vec<Proved<'_, '_>>> = BTreeMap::new();
    let mut candidates = Vec::new();
    let mut numbered = BTreeSet::new();
    let mut without_times = Vec::new();
    let mut stems = BTreeSet::new();
    for (key, series) in &all {
        if !series.hits().is_empty() || series.members.iter().any(|one| one.fit.is_against()) {
            let marked = names::marker(&key.before).is_some();
            if marked {
                let names = series.members.iter().map(|one| one.resource);
                numbered.extend(names.map(|one| (one.kind, one.name.to_string())));
            }
        }
        if !key.kind.created {
            without_times.push((key, series));
            continue;
        }
        let (status, witnesses, why) = context.judge(key, series);
        if status == Some(Status::Sure) {
            stems.insert((key.place.clone(), key.before.clone()));
            let group = SeriesGroup::of(key);
            proved
                .entry(group)
                .or_default()
                .push((key, series, witnesses));
        } else if let Some(status) = status {
            candidates.push(context.candidate(status, &[(key, series, witnesses)], &why));
        }
    }
    for (key, series) in without_times {
        let Some((status, witnesses, why)) = context.judge_without_times(key, series, &stems)
        else {
            continue;
        };
        if status == Status::Sure {
            let group = SeriesGroup::of(key);
            proved
                .entry(group)
                .or_default()
                .push((key, series, witnesses));
        } else {
            candidates.push(context.candidate(status, &[(key, series, witnesses)], &why));
        }
    }
    for group in proved.values() {
        let why = "the times prove the numbers, and the names repeat";
        candidates.push(context.candidate(Status::Sure, group, why));
    }
    (candidates, numbered)
}

/// A series that is proved, with its witnesses.
type Proved<'k, 'a> = (&'k SeriesKey, &'k Series<'a>, Vec<String>);

/// What series of one rule share.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeriesGroup {
    kind: KindRef,
    place: Place,
    holder: Option<String>,
    marker: Option<&'static str>,
    conditions: Vec<(String, String)>,
}

impl SeriesGroup {
    fn of(key: &SeriesKey) -> Self {
        Self {
            kind: key.kind,
            place: key.place.clone(),
            holder: key.holder.clone(),
            marker: names::marker(&key.before),
            conditions: key.conditions.clone(),
        }
    }
}

struct Context<'c, 'a> {
    situation: &'c Situation<'a>,
    lifetimes: &'c Lifetimes<'c>,
    shared: BTreeSet<Place>,
    /// Where the source of a Neon branch says something.
    with_sources: BTreeSet<Place>,
    names: BTreeSet<(KindRef, &'a str)>,
    all: &'c BTreeMap<SeriesKey, Series<'a>>,
    families: BTreeMap<(Place, Option<&'static str>), Family>,
    /// The git branches of pull requests.
    heads: BTreeSet<Arc<str>>,
}

type Judged = (Option<Status>, Vec<String>, String);

impl<'a> Context<'_, 'a> {
    /// The label of a series: its text without the zone.
    fn label(key: &SeriesKey) -> String {
        let after = match &key.place {
            Place::Zone { name, .. } => {
                let after = key.after.strip_suffix(name.as_str());
                after.unwrap_or(&key.after)
            }
            Place::Account(_) | Place::Project(_) | Place::Repository(_) => &key.after,
        };
        let after = if after.contains("{any") { "" } else { after };
        format!("{}{after}", key.before)
    }

    /// Whether what follows the number is a branch of some pull request: then the
    /// name says two things, which may not agree.
    fn ends_in_a_branch(&self, key: &SeriesKey) -> bool {
        let rest = key.after.trim_start_matches(|c: char| !c.is_alphanumeric());
        self.heads.contains(rest)
    }

    fn frees(&self, series: &Series<'_>) -> usize {
        let members = series.members.iter();
        let freed = members.filter(|one| {
            let fits =
                one.fit == Fit::Hit || (one.fit == Fit::Unknown && !one.resource.kind.created);
            fits && self.lifetimes.has_ended(one.number)
        });
        freed.count()
    }

    fn judge(&self, key: &SeriesKey, series: &Series<'a>) -> Judged {
        let hits = series.hits();
        let against = series.numbers(Fit::is_against);
        if hits.is_empty() && against.is_empty() {
            return (None, Vec::new(), String::new());
        }
        let marked = names::marker(&key.before).is_some();
        let hand = ("creation-source".to_owned(), super::file::quoted("console"));
        if key.conditions.contains(&hand) && self.with_sources.contains(&key.place) {
            let why = "made by hand in the console".to_owned();
            return (marked.then_some(Status::Never), Vec::new(), why);
        }
        if series.is_refuted() {
            let why =
                "not all of them were created while the pull requests of their numbers were open"
                    .to_owned();
            return (marked.then_some(Status::Never), Vec::new(), why);
        }
        let own = self.lifetimes.odds(&series.timed());
        let mut witnesses = Vec::new();
        let proved = self.repetition(key, series, &mut witnesses);
        let pooled = if marked {
            self.pooled(key).max(own)
        } else {
            own
        };
        let enough = if marked {
            pooled >= PROOF && (own >= OWN || hits.len() > 1)
        } else {
            own >= PROOF_UNMARKED && hits.len() > 2
        };
        let frees = self.frees(series);
        let why = if names::has_permanent_word(&Self::label(key)) {
            "its name has a word such as `prod` or `main`"
        } else if self.ends_in_a_branch(key) {
            "what follows the number is the name of a git branch"
        } else if series.random {
            "its names end in random text, which cannot be distinguished from words"
        } else if !enough {
            "too few pull requests to prove that the number is theirs"
        } else if !proved {
            "only its creation time suggests that your previews create it"
        } else {
            return (Some(Status::Sure), witnesses, String::new());
        };
        let worth = frees > 0 && (marked || own >= OWN);
        (worth.then_some(Status::Ask), witnesses, why.to_owned())
    }

    /// The odds of all series with the same word in the place that nothing
    /// contradicts.
    fn pooled(&self, key: &SeriesKey) -> f64 {
        let family = (key.place.clone(), names::marker(&key.before));
        let family = self.families.get(&family);
        let mut members = family.map(|one| one.timed.clone()).unwrap_or_default();
        if let Some(series) = self.all.get(key) {
            members.extend(series.timed());
        }
        self.lifetimes.odds(&members)
    }

    /// Whether something besides time says that a machine makes these names for
    /// this repository; says what.
    fn repetition(
        &self,
        key: &SeriesKey,
        series: &Series<'a>,
        witnesses: &mut Vec<String>,
    ) -> bool {
        let hits = series.hits();
        let count = hits.len();
        let which: Vec<_> = hits.iter().take(4).map(|one| format!("#{one}")).collect();
        let (which, more) = (which.join(", "), if count > 4 { ", …" } else { "" });
        let were = if count > 1 { "were" } else { "was" };
        witnesses.push(format!("created while {which}{more} {were} open"));
        let mut proved = false;
        if count > 1 {
            witnesses.push(format!("one template for {count} pull requests"));
            proved = true;
        }
        if let Some(made) = self.written(key) {
            witnesses.push(made);
            proved = true;
        }
        if key.kind.place == PlaceSort::Repository && !hits.is_empty() {
            witnesses.push("it stands in this repository".to_owned());
            proved = true;
        }
        let own = |one: &&Member<'_>| {
            let recorded = one.resource.recorded.as_ref();
            recorded.is_some_and(|one| one.repository.is_some() && one.pull_request.is_some())
        };
        if series
            .members
            .iter()
            .filter(|one| one.fit == Fit::Hit)
            .any(|one| own(&one))
        {
            witnesses.push("its provider recorded this repository and the number".to_owned());
            proved = true;
        }
        // Where other repositories make such names too, a single witness proves
        // nothing.
        if self.shared.contains(&key.place) {
            return proved;
        }
        if let Some(other) = self.in_another_kind(key, &hits) {
            witnesses.push(format!("the same label in another kind ({other})"));
            proved = true;
        }
        if let Some(sibling) = names::permanent(&key.before, &key.after)
            && self.names.contains(&(key.kind, sibling.as_str()))
        {
            witnesses.push(format!("beside the permanent {sibling}"));
            proved = true;
        }
        if hits.iter().any(|number| self.in_a_batch(key, *number)) {
            witnesses.push("one deployment created it with many others".to_owned());
            proved = true;
        }
        proved
    }

    fn written(&self, key: &SeriesKey) -> Option<String> {
        let template = format!("{}{{pr}}{}", key.before, key.after);
        let mut made = self.situation.written.iter();
        let made = made.find(|made| made.kind == key.kind.name() && made.covers(&template))?;
        Some(format!("written by {}", made.location))
    }

    fn in_another_kind(
        &self,
        key: &SeriesKey,
        hits: &BTreeSet<PullRequestNumber>,
    ) -> Option<KindRef> {
        let stem = names::permanent(&key.before, "")?;
        debug_assert!(!stem.is_empty());
        let found = self.all.iter().find(|(other, series)| {
            other.kind != key.kind
                && other.place.is_near(&key.place)
                && other.before == key.before
                && !series.is_refuted()
                && !series.hits().is_disjoint(hits)
                && Self::same_tail(other, key)
        });
        found.map(|(other, _)| other.kind)
    }

    /// Whether nothing but the zone follows the number of one of them.
    fn same_tail(one: &SeriesKey, other: &SeriesKey) -> bool {
        let tail = |key: &SeriesKey| {
            let label = Self::label(key);
            let tail = label.strip_prefix(key.before.as_str()).unwrap_or_default();
            tail.trim_matches('.').to_owned()
        };
        tail(one) == tail(other)
    }

    /// Whether one deployment made several kinds with this stem and number.
    fn in_a_batch(&self, key: &SeriesKey, number: PullRequestNumber) -> bool {
        if names::permanent(&key.before, "").is_none() {
            return false;
        }
        let near = self.all.iter().filter(|(other, series)| {
            other.before == key.before && other.place == key.place && !series.is_refuted()
        });
        let members = near.flat_map(|(_, series)| &series.members);
        let members: Vec<_> = members
            .filter(|one| one.number == number && one.fit == Fit::Hit)
            .collect();
        let kinds: BTreeSet<_> = members.iter().map(|one| one.resource.kind).collect();
        let times: Vec<_> = members.iter().filter_map(|one| one.made).collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return false;
        };
        members.len() >= BATCH.0 && kinds.len() >= BATCH.1 && *last - *first <= DEPLOYMENT
    }

    /// Judges kinds without a creation time by resources with the same stem and
    /// number.
    fn judge_without_times(
        &self,
        key: &SeriesKey,
        series: &Series<'a>,
        stems: &BTreeSet<(Place, String)>,
    ) -> Option<(Status, Vec<String>, String)> {
        let stem = names::permanent(&key.before, "")?;
        let siblings: Vec<_> = self
            .all
            .iter()
            .filter(|(other, _)| {
                other.kind.created && other.place == key.place && other.before == key.before
            })
            .map(|(_, series)| series)
            .collect();
        let numbers = series.numbers(|_| true);
        let of_siblings = |wanted: &dyn Fn(Fit) -> bool| -> BTreeSet<PullRequestNumber> {
            let all = siblings.iter().flat_map(|one| one.numbers(wanted));
            all.filter(|number| numbers.contains(number)).collect()
        };
        let family = (key.place.clone(), names::marker(&key.before));
        let family = self.families.get(&family);
        let is_against = family.is_some_and(|one| !one.against.is_disjoint(&numbers));
        let hits: BTreeSet<_> = of_siblings(&|fit| fit == Fit::Hit);
        if is_against {
            let why =
                "other resources with the same numbers were not created while those pull requests were open".to_owned();
            return Some((Status::Never, Vec::new(), why));
        }
        if hits.is_empty() {
            return None;
        }
        let proved = stems.contains(&(key.place.clone(), key.before.clone()));
        let batch = hits.iter().any(|number| self.in_a_batch(key, *number));
        let shared = self.shared.contains(&key.place);
        let witnesses = vec![format!("beside resources of {stem} with the same numbers")];
        let is_permanent = names::has_permanent_word(&Self::label(key))
            || self.ends_in_a_branch(key)
            || series.random;
        if proved && !is_permanent && (hits.len() > 1 || (batch && !shared)) {
            return Some((Status::Sure, witnesses, String::new()));
        }
        let why = "it has no creation time, so its name is the only evidence".to_owned();
        (self.frees(series) > 0).then_some((Status::Ask, witnesses, why))
    }

    /// The conditions of a rule: those of its key, and those on times that hold for
    /// everything that fits.
    fn conditions<'m>(
        &self,
        key: &SeriesKey,
        members: impl Iterator<Item = &'m Member<'a>>,
    ) -> Vec<(String, String)>
    where
        'a: 'm,
    {
        let mut conditions = key.conditions.clone();
        let hits: Vec<_> = members
            .filter(|one| one.fit == Fit::Hit)
            .filter_map(|one| Some((one.made?, self.lifetimes.of(one.number)?)))
            .collect();
        if !key.kind.created || hits.is_empty() {
            return conditions;
        }
        if hits
            .iter()
            .all(|(made, one)| one.opened.is_some_and(|opened| opened <= *made))
        {
            conditions.push(("created-after-opened".to_owned(), "true".to_owned()));
        }
        if hits
            .iter()
            .all(|(made, one)| one.ended.is_none_or(|ended| *made < ended))
        {
            conditions.push(("ended-after-created".to_owned(), "true".to_owned()));
        }
        conditions
    }

    fn candidate(
        &self,
        status: Status,
        group: &[(&SeriesKey, &Series<'a>, Vec<String>)],
        why: &str,
    ) -> RuleCandidate {
        let first = group[0].0;
        let timed: Vec<_> = group.iter().flat_map(|(_, one, _)| one.timed()).collect();
        let members = || group.iter().flat_map(|(_, series, _)| &series.members);
        let against = members().filter(|one| one.fit.is_against());
        let mut contradictions: Vec<_> = against.map(Member::contradiction).collect();
        let mut except = BTreeSet::new();
        for one in members() {
            let mut others = self.situation.resources.iter();
            let twin = first.kind.name() == "dns_record"
                && others.any(|other| {
                    other.kind == first.kind
                        && other.name == one.resource.name
                        && text(other, "type") != text(one.resource, "type")
                });
            if twin {
                let name = &one.resource.name;
                contradictions.push(format!("{name} has records of another type as well"));
                except.insert(name.to_string());
            }
        }
        let mut templates: Vec<_> = group
            .iter()
            .map(|(key, _, _)| format!("{}{{pr}}{}", key.before, key.after))
            .collect();
        templates.sort();
        templates.dedup();
        let mut matches: Vec<_> = members().map(|one| one.resource.name.to_string()).collect();
        matches.sort();
        matches.dedup();
        matches.retain(|name| !except.contains(name));
        let mut witnesses: Vec<String> = Vec::new();
        for one in group.iter().flat_map(|(_, _, witnesses)| witnesses) {
            if !witnesses.contains(one) && witnesses.len() < 8 {
                witnesses.push(one.clone());
            }
        }
        RuleCandidate {
            status,
            kind: first.kind,
            place: first.place.clone(),
            holder: first.holder.clone(),
            templates,
            by_branch: false,
            conditions: self.conditions(first, members()),
            except: except.into_iter().collect(),
            slug: None,
            marker: names::marker(&first.before).unwrap_or("number").to_owned(),
            matches,
            odds: self.lifetimes.odds(&timed),
            witnesses,
            contradictions,
            why: why.to_owned(),
            frees: group.iter().map(|(_, series, _)| self.frees(series)).sum(),
        }
    }
}
