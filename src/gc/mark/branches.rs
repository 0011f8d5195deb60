//! Git branches and their slugs: which branch matches a name, and how it ended.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::super::verdict::Doubt;
use crate::evidence::{Lifetime, PullRequest, RepositoryRoots, Searched};
use crate::model::{Claim, PullRequestNumber, Time};
use crate::policy::template::Slugs;

/// The known git branches of a repository, and what an owner's slug functions
/// make of them.
pub(super) struct Branches<'a> {
    roots: &'a RepositoryRoots,
    /// Pull requests by the branch that they come from.
    numbers: HashMap<&'a str, Vec<PullRequestNumber>>,
    /// Open pull requests by what a fork calls the branch that they come from.
    forks: HashMap<&'a str, Vec<PullRequestNumber>>,
    /// The slugs of living branches by slug function, before they are cut and in
    /// lower case, for names that may be the beginning of one.
    living: HashMap<&'a str, BTreeSet<String>>,
    /// Branches by their name in lower case, for kinds without case.
    by_lower: HashMap<String, Vec<&'a str>>,
    slugs: &'a Slugs,
    /// Branches by function and slug.
    by_slug: HashMap<(&'a str, String), Vec<&'a str>>,
    /// Branches by function and slug in lower case, for kinds without case.
    by_lower_slug: HashMap<(&'a str, String), Vec<&'a str>>,
}

/// What a listed name shows about how names are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Explanation {
    /// Nothing: no known branch explains it.
    None,
    /// A branch explains it that every function leaves as it is.
    Plain,
    /// A branch explains it of which another function would make another name.
    Proof,
}

/// The state of the branches that match a name.
#[derive(Debug, Default)]
pub(super) struct BranchState<'a> {
    /// One that exists.
    pub(super) exists: Option<&'a str>,
    /// An open pull request from one of them.
    pub(super) open: Option<(PullRequestNumber, &'a PullRequest)>,
    /// The pull request that ended last.
    pub(super) ended: Option<EndedPullRequest<'a>>,
    /// Every pull request from them.
    pub(super) numbers: BTreeSet<PullRequestNumber>,
    /// When those that ended were open.
    pub(super) lifetimes: Vec<Lifetime>,
}

/// A pull request that ended, and the branch it came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndedPullRequest<'a> {
    pub(super) number: PullRequestNumber,
    pub(super) pull_request: &'a PullRequest,
    pub(super) branch: &'a str,
    /// When it ended; `None` if the answer lacks the time, which may be later than
    /// all others.
    pub(super) at: Option<DateTime<Utc>>,
}

impl BranchState<'_> {
    /// Whether any git branch or pull request matches.
    pub(super) fn is_known(&self) -> bool {
        self.is_alive() || self.ended.is_some()
    }

    /// Whether a branch exists or a pull request is open.
    pub(super) fn is_alive(&self) -> bool {
        self.exists.is_some() || self.open.is_some()
    }
}

impl<'a> Branches<'a> {
    pub(super) fn new(roots: &'a RepositoryRoots, slugs: &'a Slugs) -> Self {
        let mut numbers: HashMap<&str, Vec<PullRequestNumber>> = HashMap::new();
        let mut forks: HashMap<&str, Vec<PullRequestNumber>> = HashMap::new();
        let mut alive: HashSet<&str> = HashSet::new();
        for (number, pull_request) in &roots.pull_requests {
            if let Some(head) = pull_request.head() {
                numbers.entry(head).or_default().push(*number);
                if matches!(pull_request, PullRequest::Open { .. }) {
                    alive.insert(head);
                }
            }
            if let Some(head) = pull_request.fork_head() {
                forks.entry(head).or_default().push(*number);
                alive.insert(head);
            }
        }
        let branches = roots.heads.branches.iter().flatten();
        alive.extend(branches.map(AsRef::as_ref));
        let known: HashSet<&str> = alive
            .iter()
            .copied()
            .chain(numbers.keys().copied())
            .collect();
        let living = slugs.iter().map(|(name, function)| {
            let whole = alive
                .iter()
                .map(|branch| function.uncut(branch).to_lowercase());
            (name.as_str(), whole.collect())
        });
        let living = living.collect();
        let mut by_lower: HashMap<String, Vec<&str>> = HashMap::new();
        let mut by_slug: HashMap<(&str, String), Vec<&str>> = HashMap::new();
        let mut by_lower_slug: HashMap<(&str, String), Vec<&str>> = HashMap::new();
        for branch in known {
            let lower = branch.to_ascii_lowercase();
            by_lower.entry(lower).or_default().push(branch);
            for (name, function) in slugs {
                for text in function.of(branch) {
                    let lower = (name.as_str(), text.to_ascii_lowercase());
                    by_lower_slug.entry(lower).or_default().push(branch);
                    let exact = (name.as_str(), text);
                    by_slug.entry(exact).or_default().push(branch);
                }
            }
        }
        Self {
            roots,
            numbers,
            forks,
            living,
            by_lower,
            slugs,
            by_slug,
            by_lower_slug,
        }
    }

    /// Returns the heads of the open pull requests, those of forks included: these keep
    /// as well.
    pub(super) fn open_heads(&self) -> impl Iterator<Item = &'a str> {
        let pull_requests = self.roots.pull_requests.values();
        let open = pull_requests.filter(|one| matches!(one, PullRequest::Open { .. }));
        open.filter_map(|one| one.comes_from().map(AsRef::as_ref))
    }

    /// Returns whether a name made of a branch shows by which function it was made:
    /// another one would give another name. No function changes a name in lower case
    /// without separators but dashes.
    pub(super) fn is_telling(&self, claim: &Claim, branch: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_changed = match claim {
            Claim::Slug { function, .. } => self
                .slugs
                .get(&**function)
                .is_some_and(|function| !function.of(branch).contains(branch)),
            Claim::Branch(_) | Claim::PullRequest(_) | Claim::Run(_) | Claim::Itself => false,
        };
        is_changed || !branch.chars().all(is_plain)
    }

    /// Returns whether a slug is the end of what a branch gives before it is cut, from a
    /// separator on: the owner's tool may drop what stands before.
    pub(super) fn is_end_of_slug(&self, claim: &Claim, branch: &str) -> bool {
        let Claim::Slug { function, text } = claim else {
            return false;
        };
        let Some(function) = self.slugs.get(&**function) else {
            return false;
        };
        let (whole, text) = (function.uncut(branch).to_lowercase(), text.to_lowercase());
        let before = whole.strip_suffix(&text);
        before.is_some_and(|before| before.ends_with(|c: char| !c.is_alphanumeric()))
    }

    /// Returns the known branches that match a claim.
    pub(super) fn matching_branches(&self, claim: &Claim, caseless: bool) -> Vec<&'a str> {
        match claim {
            Claim::Branch(branch) => {
                let lower = branch.to_ascii_lowercase();
                let found = self.by_lower.get(&lower).into_iter().flatten().copied();
                found
                    .filter(|known| caseless || *known == &**branch)
                    .collect()
            }
            Claim::Slug { function, text } => {
                let (slugs, text) = if caseless {
                    (&self.by_lower_slug, text.to_ascii_lowercase())
                } else {
                    (&self.by_slug, text.to_string())
                };
                slugs.get(&(&**function, text)).cloned().unwrap_or_default()
            }
            Claim::PullRequest(_) | Claim::Run(_) | Claim::Itself => Vec::new(),
        }
    }

    /// Whether a claim is given by a pull request's branch, which may be that of a fork.
    pub(super) fn is_matched_by(&self, claim: &Claim, caseless: bool, branch: &str) -> bool {
        let is_same = |given: &str, text: &str| {
            given == text || (caseless && given.eq_ignore_ascii_case(text))
        };
        match claim {
            Claim::Branch(text) => is_same(branch, text),
            Claim::Slug { function, text } => {
                let function = self.slugs.get(&**function);
                let given = function.map(|function| function.of(branch));
                given.into_iter().flatten().any(|one| is_same(&one, text))
            }
            Claim::PullRequest(_) | Claim::Run(_) | Claim::Itself => false,
        }
    }

    /// Returns whether a name ends with what an existing git branch gives, and that is
    /// more than the branch or slug that the name claims: anybody can call the branch of
    /// a fork so that it is the end of one of ours.
    pub(super) fn is_end_of_living(&self, name: &str, claim: &Claim) -> bool {
        let (Claim::Branch(text) | Claim::Slug { text, .. }) = claim else {
            return false;
        };
        let name = name.to_lowercase();
        let is_end = |given: &str| given.len() > text.len() && name.ends_with(given);
        let mut branches = self.roots.heads.branches.iter().flatten();
        branches.any(|branch| {
            let mut given = self.slugs.values().flat_map(|function| function.of(branch));
            is_end(&branch.to_lowercase()) || given.any(|one| is_end(&one.to_lowercase()))
        })
    }

    /// Returns the state of the branches that match a claim, as far as it is known.
    pub(super) fn state(&self, claim: &Claim, caseless: bool) -> BranchState<'a> {
        let mut state = BranchState::default();
        for branch in self.matching_branches(claim, caseless) {
            let existing = self.roots.heads.branches.as_ref();
            if existing.is_some_and(|existing| existing.contains(branch)) {
                state.exists = Some(branch);
            }
            // A fork's branch of this name is not ours, and keeps all the same.
            if let Some(number) = self.forks.get(branch).and_then(|numbers| numbers.first()) {
                let open = self.roots.pull_requests.get(number);
                state.open = state.open.or(open.map(|open| (*number, open)));
                state.numbers.insert(*number);
            }
            for number in self.numbers.get(branch).into_iter().flatten() {
                let Some(pull_request) = self.roots.pull_requests.get(number) else {
                    continue;
                };
                state.numbers.insert(*number);
                match pull_request {
                    PullRequest::Open { .. } => state.open = Some((*number, pull_request)),
                    PullRequest::Closed { closed_at, .. } => {
                        state.lifetimes.extend(pull_request.lifetime());
                        let ended = EndedPullRequest {
                            number: *number,
                            pull_request,
                            branch,
                            at: *closed_at,
                        };
                        // One without a time may have ended last of all.
                        let key = |ended: &EndedPullRequest<'_>| {
                            (ended.at.is_none(), ended.at, ended.number)
                        };
                        if state.ended.is_none_or(|last| key(&ended) > key(&last)) {
                            state.ended = Some(ended);
                        }
                    }
                    PullRequest::Missing | PullRequest::Unknown { .. } => {}
                }
            }
        }
        state
    }

    /// Returns whether a text is the beginning of the uncut slug of a living
    /// branch. If it is, the only difference may be that the policy's length, strip
    /// or hash is not quite that of the owner's tool. A hash that a known branch
    /// produces identifies that branch.
    pub(super) fn is_prefix_of_live_slug(&self, claim: &Claim, explained: bool) -> bool {
        let Claim::Slug { function, text } = claim else {
            return false;
        };
        let Some(living) = self.living.get(&**function) else {
            return false;
        };
        let text = text.to_lowercase();
        let begins = |text: &str| {
            let mut from = living.range(text.to_owned()..);
            !text.is_empty() && from.next().is_some_and(|whole| whole.starts_with(text))
        };
        // Before a hash stands what was cut.
        let before_hash = text
            .rsplit_once(|c: char| !c.is_ascii_alphanumeric())
            .filter(|(_, hash)| (4..=40).contains(&hash.len()))
            .filter(|(_, hash)| hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .map(|(before, _)| before);
        begins(&text) || (!explained && before_hash.is_some_and(begins))
    }

    /// Returns what it shows that a known branch matches the claim, if the times of its
    /// pull requests do not contradict that.
    pub(super) fn explains(&self, claim: &Claim, caseless: bool, created: Time) -> Explanation {
        let fits = |branch: &str| {
            let numbers = self.numbers.get(branch).into_iter().flatten();
            let mut opened = numbers
                .filter_map(|number| self.roots.pull_requests.get(number)?.lifetime()?.opened);
            let existing = self.roots.heads.branches.as_ref();
            let exists = existing.is_some_and(|existing| existing.contains(branch));
            exists
                || match created {
                    Time::At(created) => opened.any(|opened| created + super::TOLERANCE >= opened),
                    Time::Missing | Time::Unsupported => opened.next().is_some(),
                }
        };
        let branches = self.matching_branches(claim, caseless);
        let explaining = branches.into_iter().filter(|branch| fits(branch));
        let explanations = explaining.map(|branch| {
            if self.is_telling(claim, branch) {
                Explanation::Proof
            } else {
                Explanation::Plain
            }
        });
        explanations.max().unwrap_or(Explanation::None)
    }

    /// Returns the state of the branches that match the claim of a resource, or
    /// `None` if everything was searched and nothing matches.
    pub(super) fn judge(
        &self,
        claim: &Claim,
        caseless: bool,
        created: Time,
    ) -> Result<Option<BranchState<'a>>, Doubt> {
        let mut state = self.state(claim, caseless);
        if state.is_alive() {
            return Ok(Some(state));
        }
        let not_told = |why: &str| {
            Err(Doubt::NotAnswered {
                claim: claim.clone(),
                why: why.into(),
            })
        };
        if self.roots.heads.branches.is_none() {
            return not_told("the git branches were not asked for");
        }
        // One rejected answer invalidates the others: it may have left out the
        // branch of any unmatched name.
        if let Some(why) = self.roots.heads.gap() {
            return not_told(why);
        }
        match claim {
            Claim::Branch(branch) => match self.roots.heads.asked.get(&**branch) {
                Some(Ok(()) | Err(_)) => {}
                None => return not_told("its pull requests were not asked for"),
            },
            Claim::Slug { .. } => match (&self.roots.heads.searched, created) {
                (Searched::Everything, _) => {}
                (Searched::BackTo(since), Time::At(created)) if *since <= created => {}
                (Searched::BackTo(since), Time::Unsupported) if state.is_known() => {
                    // Another that ended before the search's end may have
                    // been the last.
                    if let Some(ended) = &mut state.ended {
                        ended.at = ended.at.map(|at| at.max(*since));
                    }
                }
                (Searched::BackTo(_), _) => {
                    return not_told("closed pull requests were searched no further back");
                }
                (Searched::Failed(_) | Searched::Nothing, _) => {
                    return not_told("closed pull requests were not searched");
                }
            },
            Claim::PullRequest(_) | Claim::Run(_) | Claim::Itself => {}
        }
        Ok(state.is_known().then_some(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::slug::{Case, Replace, Slug, Strip};

    fn day(day: u32) -> DateTime<Utc> {
        format!("2026-04-{day:02}T00:00:00Z").parse().unwrap()
    }

    /// Git branch `a` is gone; its pull request ended on the fifth.
    fn searched(searched: Searched) -> RepositoryRoots {
        let mut roots = RepositoryRoots::default();
        roots.heads.branches = Some(["main".into()].into());
        roots.heads.searched = searched;
        let ended = PullRequest::Closed {
            labels: crate::evidence::Labels::default(),
            title: String::new().into(),
            opened_at: None,
            closed_at: Some(day(5)),
            merged: true,
            merged_at: None,
            fork_head: None,
            head: Some("a".into()),
        };
        roots
            .pull_requests
            .insert(PullRequestNumber::new(1).unwrap(), ended);
        roots
    }

    /// Returns when the branch called `text` ended, or `None` if nothing has that
    /// name.
    ///
    /// # Errors
    ///
    /// Why this is unknown.
    fn ended(how: Searched, text: &str, created: Time) -> Result<Option<DateTime<Utc>>, String> {
        let roots = searched(how);
        let plain = Slug {
            name: "plain".into(),
            case: Case::default(),
            keep: None,
            replace: Replace::default(),
            strip: Strip::default(),
            lengths: Vec::new(),
            hash: None,
            empty: None,
        };
        let slugs = Slugs::from([("plain".to_owned(), plain.into())]);
        let heads = Branches::new(&roots, &slugs);
        let claim = Claim::Slug {
            function: "plain".into(),
            text: text.into(),
        };
        let state = heads
            .judge(&claim, false, created)
            .map_err(|doubt| doubt.to_string())?;
        Ok(state.map(|state| state.ended.unwrap().at.unwrap()))
    }

    #[test]
    fn a_search_that_reaches_back_to_the_creation_is_enough() {
        let at = |day_of| Time::At(day(day_of));
        let back = || Searched::BackTo(day(10));
        assert_eq!(ended(back(), "a", at(11)), Ok(Some(day(5))));
        assert_eq!(ended(back(), "a", at(10)), Ok(Some(day(5))));
        assert_eq!(ended(back(), "other", at(10)), Ok(None));
        for older in [at(9), Time::Missing] {
            let why = ended(back(), "a", older).unwrap_err();
            assert!(why.contains("no further back"), "{why}");
        }
    }

    #[test]
    fn resource_without_creation_time_needs_the_whole_search() {
        let back = |day_of| Searched::BackTo(day(day_of));
        assert_eq!(ended(back(10), "a", Time::Unsupported), Ok(Some(day(10))));
        assert_eq!(ended(back(2), "a", Time::Unsupported), Ok(Some(day(5))));
        // An older one may give the name.
        assert!(ended(back(2), "other", Time::Unsupported).is_err());
        let all = Searched::Everything;
        assert_eq!(ended(all.clone(), "a", Time::Unsupported), Ok(Some(day(5))));
        assert_eq!(ended(all, "other", Time::Unsupported), Ok(None));
        assert!(ended(Searched::Nothing, "a", Time::Unsupported).is_err());
        assert!(ended(Searched::Failed("x".into()), "a", Time::Unsupported).is_err());
    }
}
