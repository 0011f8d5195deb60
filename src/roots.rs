//! The roots that keep resources alive: open pull requests, git branches, Actions
//! runs and the marks in a tracking issue; and how the other owners ended.
//!
//! A [`Forge`] answers single questions; [`github`] is the only one. Here is what
//! holds for every forge: which questions are asked, and which answers are
//! rejected. An empty list counts only after the repository itself was read, and a
//! list of branches only with the default branch in it.

pub mod forge;
pub mod github;
mod notes;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::forge::{CompleteList, RepositorySeen};
pub use self::forge::{Forge, Unanswered};
use self::notes::{Notes, SourceEvidence};
use crate::evidence::{ClosedSearch, PullRequest, RepositoryRoots, RootsWanted};
use crate::model::{PullRequestNumber, Repository};
use crate::progress::Observer;

/// Reads the roots that are alive: open pull requests, and git branches if any
/// resource claims one. With `only`, reads the pull request of `--pr` first where
/// branches or slugs depend on its head.
pub async fn alive<F: Forge>(
    forge: &F,
    repository: &Repository,
    wanted: &RootsWanted,
    only: Option<PullRequestNumber>,
    expected_id: Option<u64>,
    observer: &dyn Observer,
) -> RepositoryRoots {
    let open = async {
        if wanted.open || wanted.heads {
            Some(forge.open(repository).await)
        } else {
            None
        }
    };
    let branches = async {
        if wanted.heads {
            Some(forge.branches(repository).await)
        } else {
            None
        }
    };
    // Its head determines the branches and slugs of the run.
    let first = only.filter(|_| wanted.heads);
    let numbers = async {
        match first {
            Some(number) => Some(forge.by_number(repository, &[number]).await),
            None => None,
        }
    };
    let issue = forge.tracking_issue(repository);
    let (open, branches, numbers, issue) = tokio::join!(open, branches, numbers, issue);
    let mut roots = RepositoryRoots::default();
    let mut notes = Notes {
        api: F::API,
        repository,
        roots: &mut roots,
        observer,
    };
    notes.issue(issue);
    if let Some(found) = numbers {
        notes.by_number(found);
    }
    let heads = note_branches(&mut notes, open, branches);
    let mut seen = heads.seen;
    // Else what the search for the issue saw.
    notes.roots.id = seen.id.or(notes.roots.id);
    let unseen = expected_id.is_some() && notes.roots.id.is_none();
    if notes.roots.gap.is_none() && (heads.needs_proof || unseen) {
        match forge.identity(repository).await {
            Ok(identity) => {
                notes.repository_seen();
                notes.roots.id = Some(identity.id);
                seen.default_branch = identity.default_branch.or(seen.default_branch);
            }
            Err(error) => notes.fail("repository", &error),
        }
    }
    notes.check_identity(expected_id);
    notes.check_branches(seen.default_branch.as_deref());
    roots
}

/// What the lists of heads say about their repository.
struct BranchLists {
    seen: RepositorySeen,
    /// Whether a list is so short that it counts only after the repository itself
    /// was read.
    needs_proof: bool,
}

/// Adds the open pull requests and the git branches.
fn note_branches(
    notes: &mut Notes<'_>,
    open: Option<Result<CompleteList<PullRequestNumber, PullRequest>, Unanswered>>,
    branches: Option<Result<CompleteList<Arc<str>, ()>, Unanswered>>,
) -> BranchLists {
    let mut seen = RepositorySeen::default();
    let mut needs_proof = false;
    match open {
        Some(Ok(listed)) => {
            notes.note("pull_requests.open", SourceEvidence::from(&listed));
            needs_proof |= listed.items.is_empty();
            seen = listed.seen;
            notes.add(listed.items);
        }
        Some(Err(error)) => notes.fail("pull_requests.open", &error),
        None => {}
    }
    match branches {
        Some(Ok(listed)) => {
            notes.note("branches", SourceEvidence::from(&listed));
            seen.id = seen.id.or(listed.seen.id);
            seen.default_branch = seen.default_branch.or(listed.seen.default_branch);
            let all: BTreeSet<Arc<str>> = listed.items.into_keys().collect();
            let default = seen.default_branch.as_ref();
            needs_proof |= default.is_none_or(|default| !all.contains(default));
            notes.roots.heads.branches = Some(all);
        }
        Some(Err(error)) => notes.fail("branches", &error),
        None => {}
    }
    BranchLists { seen, needs_proof }
}

/// Reads only the boxes that people checked in the tracking issue, and compares the
/// repository's id: under a name that was taken over, the boxes are a stranger's. With
/// `ask_for_id`, the repository itself is read where nothing else says its id.
pub async fn checked_boxes<F: Forge>(
    forge: &F,
    repository: &Repository,
    expected_id: Option<u64>,
    ask_for_id: bool,
    observer: &dyn Observer,
) -> RepositoryRoots {
    let mut roots = RepositoryRoots::default();
    let issue = forge.tracking_issue(repository).await;
    let mut notes = Notes {
        api: F::API,
        repository,
        roots: &mut roots,
        observer,
    };
    notes.issue(issue);
    if ask_for_id && notes.roots.gap.is_none() && notes.roots.id.is_none() {
        match forge.identity(repository).await {
            Ok(identity) => {
                notes.repository_seen();
                notes.roots.id = Some(identity.id);
            }
            Err(error) => notes.fail("repository", &error),
        }
    }
    notes.check_identity(expected_id);
    roots
}

/// Reads how the other owners ended: pull requests by number and by branch,
/// closed ones for slugs, Actions runs.
pub async fn ended<F: Forge>(
    forge: &F,
    repository: &Repository,
    wanted: &RootsWanted,
    search: &ClosedSearch,
    roots: &mut RepositoryRoots,
    observer: &dyn Observer,
) {
    if roots.gap.is_some() {
        return;
    }
    let numbers: Vec<_> = wanted
        .numbers
        .iter()
        .filter(|number| !roots.pull_requests.contains_key(number))
        .copied()
        .collect();
    let branches: Vec<Arc<str>> = search
        .branches
        .iter()
        .map(|branch| Arc::from(&**branch))
        .collect();
    let horizon = forge::Horizon::of(search);
    let closed = async {
        match &horizon {
            Some(horizon) => Some(forge.closed(repository, horizon).await),
            None => None,
        }
    };
    let (by_number, by_branch, closed, runs) = tokio::join!(
        forge.by_number(repository, &numbers),
        forge.by_branch(repository, &branches),
        closed,
        forge.runs(repository, &wanted.runs),
    );
    let mut notes = Notes {
        api: F::API,
        repository,
        roots,
        observer,
    };
    if !numbers.is_empty() {
        notes.by_number(by_number);
    }
    if !branches.is_empty() {
        notes.by_branch(branches.len(), by_branch);
    }
    if let Some(closed) = closed {
        notes.closed(closed);
    }
    if !runs.is_empty() {
        notes.runs(runs);
    }
    let lost = without_labels(wanted, notes.roots);
    if !lost.is_empty() {
        let answers = forge.lost_labels(repository, &lost).await;
        notes.lost_labels(answers);
    }
}

/// Lists the open pull requests once more, after the closed ones were searched for
/// slugs. One that is opened again between the first list and that search is in neither
/// of them, and by this list it is alive.
pub async fn reopened<F: Forge>(
    forge: &F,
    repository: &Repository,
    roots: &mut RepositoryRoots,
    observer: &dyn Observer,
) {
    if roots.gap.is_some() {
        return;
    }
    let open = forge.open(repository).await;
    let mut notes = Notes {
        api: F::API,
        repository,
        roots,
        observer,
    };
    note_branches(&mut notes, Some(open), None);
}

/// Looks up the pull request of `--pr`, if nothing has shown it yet: no resource may
/// belong to it because there is none of this number.
pub async fn in_focus<F: Forge>(
    forge: &F,
    repository: &Repository,
    number: PullRequestNumber,
    roots: &mut RepositoryRoots,
    observer: &dyn Observer,
) {
    if roots.gap.is_some() || roots.pull_requests.contains_key(&number) {
        return;
    }
    let found = forge.by_number(repository, &[number]).await;
    let mut notes = Notes {
        api: F::API,
        repository,
        roots,
        observer,
    };
    notes.by_number(found);
}

/// Returns the open pull requests that do not have a label which a rule asks about.
fn without_labels(wanted: &RootsWanted, roots: &RepositoryRoots) -> Vec<PullRequestNumber> {
    let lacks = |(number, label): &&(PullRequestNumber, Box<str>)| {
        let known = roots.pull_requests.get(number);
        matches!(known, Some(PullRequest::Open { labels, .. }) if !labels.has(label))
    };
    let numbers = wanted
        .labels
        .iter()
        .filter(lacks)
        .map(|(number, _)| *number);
    let numbers: BTreeSet<_> = numbers.collect();
    numbers.into_iter().collect()
}

#[cfg(test)]
mod tests;
