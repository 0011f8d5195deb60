//! What an answer adds to the roots of a repository, with its evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::forge::{
    BranchBatch, Closed, CompleteList, FoundPullRequests, IssueSearch, LabelsLost, Unanswered,
};
use crate::evidence::{ActionsRun, Evidence, PullRequest, RepositoryRoots, Searched};
use crate::model::{Api, PullRequestNumber, Repository, RunId};
use crate::progress::{Observer, ProgressEvent};

/// The result of a request, for the evidence.
#[derive(Default)]
pub(super) struct SourceEvidence {
    requests: u32,
    items: usize,
    total: Option<u64>,
    gap: Option<String>,
}

impl<K, V> From<&CompleteList<K, V>> for SourceEvidence {
    fn from(listed: &CompleteList<K, V>) -> Self {
        Self {
            requests: listed.requests,
            items: listed.items.len(),
            total: listed.total,
            gap: None,
        }
    }
}

/// Adds answers to the roots of a repository.
pub(super) struct Notes<'a> {
    pub(super) api: Api,
    pub(super) repository: &'a Repository,
    pub(super) roots: &'a mut RepositoryRoots,
    pub(super) observer: &'a dyn Observer,
}

impl Notes<'_> {
    /// Records an answer.
    pub(super) fn note(&mut self, what: &str, noted: SourceEvidence) {
        let evidence = Evidence {
            source: format!("{}.{what}", self.api.key()),
            scope: format!("repository {}", self.repository),
            requests: noted.requests,
            items: noted.items,
            total: noted.total,
            complete: noted.gap.is_none(),
            gap: noted.gap,
            needed: true,
        };
        self.observer.step(ProgressEvent::Roots(&evidence));
        self.roots.evidence.push(evidence);
    }

    /// Records an incomplete source of roots.
    pub(super) fn fail(&mut self, what: &str, error: &Unanswered) {
        let why = error.to_string();
        self.roots.gap.get_or_insert_with(|| why.as_str().into());
        let noted = SourceEvidence {
            requests: 1,
            gap: Some(why),
            ..SourceEvidence::default()
        };
        self.note(what, noted);
    }

    /// Records that the repository itself was read.
    pub(super) fn repository_seen(&mut self) {
        let noted = SourceEvidence {
            requests: 1,
            items: 1,
            total: Some(1),
            gap: None,
        };
        self.note("repository", noted);
    }

    /// The tracking issue is a root: resources with "keep" checked are kept.
    pub(super) fn issue(&mut self, found: Result<IssueSearch, Unanswered>) {
        match found {
            Ok(found) => {
                let noted = SourceEvidence {
                    requests: found.requests,
                    items: usize::from(found.issue.is_some()),
                    ..SourceEvidence::default()
                };
                self.note("issue", noted);
                self.roots.id = found.repository_id;
                self.roots.issue = found.issue;
                self.roots.ignored = found.by_others;
                self.roots.ignored.extend(found.further);
            }
            Err(error) => self.fail("issue", &error),
        }
    }

    /// Adds pull requests that were looked up by number.
    pub(super) fn by_number(&mut self, (answers, requests): FoundPullRequests) {
        let why = |answer: &PullRequest| match answer {
            PullRequest::Unknown { why } => Some(why.to_string()),
            PullRequest::Open { .. } | PullRequest::Closed { .. } | PullRequest::Missing => None,
        };
        let noted = SourceEvidence {
            requests,
            items: answers
                .values()
                .filter(|answer| why(answer).is_none())
                .count(),
            total: Some(answers.len() as u64),
            gap: answers.values().find_map(why),
        };
        self.note("pull_requests.by_number", noted);
        self.add(answers);
    }

    /// Adds pull requests. Answers that arrive together may have been given at different
    /// times, so one that any of them shows open stays open.
    pub(super) fn add(&mut self, answers: BTreeMap<PullRequestNumber, PullRequest>) {
        for (number, answer) in answers {
            let known = self.roots.pull_requests.get(&number);
            let is_open = matches!(known, Some(PullRequest::Open { .. }));
            if !is_open || matches!(answer, PullRequest::Open { .. }) {
                self.roots.pull_requests.insert(number, answer);
            }
        }
    }

    /// Adds when pull requests lost labels.
    pub(super) fn lost_labels(&mut self, (answers, requests): LabelsLost) {
        let noted = SourceEvidence {
            requests,
            items: answers.values().filter(|answer| answer.is_ok()).count(),
            total: Some(answers.len() as u64),
            gap: answers
                .values()
                .find_map(|answer| answer.as_ref().err().map(ToString::to_string)),
        };
        self.note("pull_requests.labels", noted);
        self.roots.lost_labels.extend(answers);
    }

    /// Adds pull requests that were looked up by branch, for `count` branches.
    pub(super) fn by_branch(&mut self, count: usize, batches: Vec<BranchBatch<'_>>) {
        let mut noted = SourceEvidence::default();
        for BranchBatch { branches, found } in batches {
            noted.requests += found.as_ref().map_or(1, |(_, requests)| *requests);
            let answer = found.map(|(found, _)| found);
            noted.items += answer.as_ref().map_or(0, |_| branches.len());
            if let Err(error) = &answer {
                noted.gap.get_or_insert_with(|| error.to_string());
            }
            let answered = answer
                .as_ref()
                .map(|_| ())
                .map_err(|error| Arc::from(error.to_string()));
            for branch in branches {
                let asked = &mut self.roots.heads.asked;
                asked.insert(branch.clone(), answered.clone());
            }
            self.add(answer.unwrap_or_default());
        }
        noted.total = Some(count as u64);
        self.note("pull_requests.by_branch", noted);
    }

    /// Adds closed pull requests.
    pub(super) fn closed(&mut self, closed: Result<Closed, Unanswered>) {
        let noted = match closed {
            Ok(closed) => {
                let noted = SourceEvidence {
                    requests: closed.requests,
                    items: closed.pull_requests.len(),
                    ..SourceEvidence::default()
                };
                self.add(closed.pull_requests);
                self.roots.heads.searched = closed.searched;
                noted
            }
            Err(error) => {
                let why = error.to_string();
                self.roots.heads.searched = Searched::Failed(why.as_str().into());
                SourceEvidence {
                    requests: 1,
                    gap: Some(why),
                    ..SourceEvidence::default()
                }
            }
        };
        self.note("pull_requests.closed", noted);
    }

    /// Adds runs that were looked up.
    pub(super) fn runs(&mut self, runs: BTreeMap<RunId, ActionsRun>) {
        let why = |run: &ActionsRun| match run {
            ActionsRun::Unknown { why } => Some(why.to_string()),
            ActionsRun::Unfinished | ActionsRun::Finished { .. } | ActionsRun::Missing => None,
        };
        let noted = SourceEvidence {
            requests: u32::try_from(runs.len()).unwrap_or(u32::MAX),
            items: runs.values().filter(|run| why(run).is_none()).count(),
            total: Some(runs.len() as u64),
            gap: runs.values().find_map(why),
        };
        self.note("runs", noted);
        self.roots.runs = runs;
    }

    /// Checks that the name still belongs to the repository that was recorded.
    pub(super) fn check_identity(&mut self, expected: Option<u64>) {
        let (Some(expected), Some(id)) = (expected, self.roots.id) else {
            return;
        };
        if expected != id {
            let error = Unanswered::Unbelievable(format!(
                "the repository called {} has the id {id}, and {expected} was expected: \
                 another one has its name now; if this is the intended one, set \
                 GITHUB_REPOSITORY and GITHUB_REPOSITORY_ID, or move the old journals away",
                self.repository
            ));
            self.fail("repository", &error);
        }
    }

    /// Checks that the default branch is in the list: every repository with git
    /// branches has one.
    pub(super) fn check_branches(&mut self, default: Option<&str>) {
        let Some(branches) = self.roots.heads.branches.as_ref() else {
            return;
        };
        if default.is_some_and(|default| branches.contains(default)) {
            return;
        }
        let error = Unanswered::Unbelievable(match default {
            Some(default) => format!(
                "the list of git branches lacks the default branch {default}, so it cannot be \
                 the whole list"
            ),
            None => "the default branch is not known, so the list of git branches cannot be \
                     checked"
                .to_owned(),
        });
        self.fail("branches", &error);
    }
}
