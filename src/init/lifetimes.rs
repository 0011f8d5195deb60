//! When pull requests were open, and how unlikely it is by chance that a resource
//! was created while one of them was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::evidence::{Lifetime, PullRequest};
use crate::model::PullRequestNumber;

/// A resource may be this much older than its pull request.
const TOLERANCE: TimeDelta = TimeDelta::minutes(10);
/// A deployment may finish this long after its pull request ended.
const AFTERMATH: TimeDelta = TimeDelta::hours(24);
/// Without an opening time a pull request is assumed to be open for no longer.
const UNDATED: TimeDelta = TimeDelta::days(30);
/// How much a number that contradicts lowers the odds.
const CONTRADICTED: f64 = 0.02;

/// What the time of a resource says about a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It was created while the pull request was open.
    Hit,
    /// It was created before the pull request was opened.
    Before,
    /// It was created after the pull request ended.
    After,
    /// There is no such pull request: never made, or an issue.
    Missing,
    /// It could not be determined.
    Unknown,
}

impl Fit {
    /// Whether it is evidence against the number.
    pub fn is_against(self) -> bool {
        matches!(self, Self::Before | Self::After | Self::Missing)
    }
}

/// The pull requests that are known.
pub struct Lifetimes<'a> {
    known: &'a BTreeMap<PullRequestNumber, PullRequest>,
    spans: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    newest: u32,
    open: usize,
    now: DateTime<Utc>,
}

impl<'a> Lifetimes<'a> {
    /// Reads when each was open.
    pub fn new(known: &'a BTreeMap<PullRequestNumber, PullRequest>, now: DateTime<Utc>) -> Self {
        let spans = known.values().filter_map(|one| {
            let lifetime = one.lifetime()?;
            let undated = || lifetime.ended?.checked_sub_signed(UNDATED);
            let opened = lifetime.opened.or_else(undated)?;
            let ended = match lifetime.ended {
                Some(ended) => Some(ended.checked_add_signed(AFTERMATH)?),
                None => None,
            };
            Some((opened.checked_sub_signed(TOLERANCE)?, ended))
        });
        let real = known.iter().filter(|(_, one)| one.lifetime().is_some());
        let is_open = |one: &&PullRequest| matches!(one, PullRequest::Open { .. });
        Self {
            spans: spans.collect(),
            newest: real.map(|(number, _)| number.get()).max().unwrap_or(0),
            open: known.values().filter(is_open).count(),
            known,
            now,
        }
    }

    /// The newest number that is known.
    pub fn newest(&self) -> u32 {
        self.newest
    }

    /// Compares the creation of a resource with when a pull request was open.
    pub fn fit(&self, number: PullRequestNumber, made: Option<DateTime<Utc>>) -> Fit {
        let Some(pull_request) = self.known.get(&number) else {
            return Fit::Unknown;
        };
        let lifetime = match (pull_request, pull_request.lifetime()) {
            (PullRequest::Missing, _) => return Fit::Missing,
            (_, Some(lifetime)) => lifetime,
            (_, None) => return Fit::Unknown,
        };
        let (Some(made), Some(opened)) = (made, lifetime.opened) else {
            return Fit::Unknown;
        };
        // A time at the end of the calendar is no evidence.
        let Some(latest) = made.checked_add_signed(TOLERANCE) else {
            return Fit::Unknown;
        };
        let ended = lifetime
            .ended
            .map(|ended| ended.checked_add_signed(AFTERMATH));
        if ended.is_some_and(|ended| ended.is_none()) {
            return Fit::Unknown;
        }
        let ended = ended.flatten();
        if latest < opened {
            Fit::Before
        } else if ended.is_some_and(|ended| made > ended) {
            Fit::After
        } else {
            Fit::Hit
        }
    }

    /// Whether the pull request ended long enough ago for its resources to be
    /// garbage.
    pub fn has_ended(&self, number: PullRequestNumber) -> bool {
        let lifetime = self.known.get(&number).and_then(PullRequest::lifetime);
        let ended = lifetime.and_then(|lifetime| lifetime.ended);
        ended
            .and_then(|ended| ended.checked_add_signed(AFTERMATH))
            .is_some_and(|ended| ended < self.now)
    }

    /// When a pull request was opened and when it ended.
    pub fn of(&self, number: PullRequestNumber) -> Option<Lifetime> {
        self.known.get(&number)?.lifetime()
    }

    /// How much likelier it is that a resource of that time bears a number of an
    /// open pull request if the number means it than if it is any number up to the
    /// newest.
    fn likelihood_ratio(&self, made: DateTime<Utc>) -> f64 {
        let spans = self.spans.iter();
        let then = spans.filter(|(from, to)| *from <= made && to.is_none_or(|to| made <= to));
        let open = then.count().max(self.open).max(1);
        (f64::from(self.newest) / f64::from(u32::try_from(open).unwrap_or(u32::MAX))).max(1.0)
    }

    /// The odds of a family of numbers: each distinct number counts once, by its
    /// least informative resource.
    pub fn odds(&self, members: &[(PullRequestNumber, Option<DateTime<Utc>>)]) -> f64 {
        let mut of: BTreeMap<PullRequestNumber, Option<f64>> = BTreeMap::new();
        for (number, made) in members {
            let fit = self.fit(*number, *made);
            if fit.is_against() {
                of.insert(*number, None);
            } else if let (Fit::Hit, Some(made)) = (fit, *made) {
                let likelihood_ratio = self.likelihood_ratio(made);
                let known = of.entry(*number).or_insert(Some(likelihood_ratio));
                *known = known.map(|known| known.min(likelihood_ratio));
            }
        }
        let odds = of.values().fold(1.0, |odds, one| match one {
            Some(likelihood_ratio) => odds * likelihood_ratio,
            None => odds * CONTRADICTED,
        });
        odds.min(1e12)
    }

    /// The heads of pull requests of this repository, with every pull request
    /// that had each.
    pub fn heads(&self) -> BTreeMap<Arc<str>, BTreeSet<PullRequestNumber>> {
        let mut heads: BTreeMap<Arc<str>, BTreeSet<_>> = BTreeMap::new();
        for (number, one) in self.known {
            if let Some(head) = one.head() {
                heads.entry(head.clone()).or_default().insert(*number);
            }
        }
        heads
    }
}
