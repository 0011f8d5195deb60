//! Which questions a forge is asked, and which answers are accepted.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::forge::{
    BranchBatch, Closed, FoundPullRequests, Horizon, Identity, IssueSearch, LabelsLost,
};
use super::*;
use crate::evidence::{ActionsRun, LostLabels};
use crate::model::{Api, RunId};
use crate::progress::Unwatched;

/// A forge without pull requests that records the questions.
#[derive(Default)]
struct Empty {
    /// The id of the repository, if the token can see it.
    id: Option<u64>,
    branches: Vec<&'static str>,
    asked: RefCell<Vec<&'static str>>,
}

impl Empty {
    fn ask(&self, what: &'static str) {
        self.asked.borrow_mut().push(what);
    }
}

fn listed<K: Ord, V>(items: BTreeMap<K, V>) -> CompleteList<K, V> {
    CompleteList {
        items,
        requests: 1,
        total: None,
        seen: RepositorySeen::default(),
    }
}

impl Forge for Empty {
    const API: Api = Api::GitHub;

    async fn open(
        &self,
        _: &Repository,
    ) -> Result<CompleteList<PullRequestNumber, PullRequest>, Unanswered> {
        self.ask("open");
        Ok(listed(BTreeMap::new()))
    }

    async fn branches(&self, _: &Repository) -> Result<CompleteList<Arc<str>, ()>, Unanswered> {
        self.ask("branches");
        let branches = self.branches.iter().map(|name| (Arc::from(*name), ()));
        Ok(listed(branches.collect()))
    }

    async fn closed(&self, _: &Repository, _: &Horizon) -> Result<Closed, Unanswered> {
        self.ask("closed");
        Ok(Closed {
            pull_requests: BTreeMap::new(),
            requests: 1,
            searched: crate::evidence::Searched::Everything,
        })
    }

    async fn by_branch<'b>(
        &self,
        _: &Repository,
        branches: &'b [Arc<str>],
    ) -> Vec<BranchBatch<'b>> {
        let batches = branches.chunks(50);
        let batch = |branches| BranchBatch {
            branches,
            found: Ok(FoundPullRequests::default()),
        };
        batches.map(batch).collect()
    }

    async fn by_number(&self, _: &Repository, numbers: &[PullRequestNumber]) -> FoundPullRequests {
        self.ask("by number");
        let missing = numbers.iter().map(|number| (*number, PullRequest::Missing));
        (missing.collect(), 1)
    }

    async fn runs(&self, _: &Repository, _: &BTreeSet<RunId>) -> BTreeMap<RunId, ActionsRun> {
        BTreeMap::new()
    }

    async fn identity(&self, _: &Repository) -> Result<Identity, Unanswered> {
        self.ask("identity");
        let hidden = || Unanswered::Unbelievable("not visible".to_owned());
        Ok(Identity {
            id: self.id.ok_or_else(hidden)?,
            default_branch: Some("main".into()),
        })
    }

    async fn lost_labels(&self, _: &Repository, numbers: &[PullRequestNumber]) -> LabelsLost {
        self.ask("labels");
        let none = |number: &PullRequestNumber| (*number, Ok(LostLabels::default()));
        (numbers.iter().map(none).collect(), 1)
    }

    async fn tracking_issue(&self, _: &Repository) -> Result<IssueSearch, Unanswered> {
        Ok(IssueSearch::default())
    }
}

fn wanted(heads: bool) -> RootsWanted {
    RootsWanted {
        numbers: PullRequestNumber::new(7).into_iter().collect(),
        open: true,
        heads,
        labels: BTreeSet::new(),
        runs: BTreeSet::new(),
    }
}

async fn read(forge: &Empty, heads: bool, expected_id: Option<u64>) -> RepositoryRoots {
    let repository = Repository::parse("acme/shop").unwrap();
    let wanted = wanted(heads);
    alive(forge, &repository, &wanted, None, expected_id, &Unwatched).await
}

#[tokio::test]
async fn an_empty_list_counts_only_if_the_repository_is_visible() {
    let hidden = Empty::default();
    assert!(read(&hidden, false, None).await.gap.is_some());
    assert_eq!(hidden.asked.take(), ["open", "identity"]);
    let visible = Empty {
        id: Some(1),
        ..Empty::default()
    };
    let roots = read(&visible, false, None).await;
    assert_eq!((roots.gap, roots.id), (None, Some(1)));
}

#[tokio::test]
async fn a_list_of_branches_without_the_default_branch_is_a_gap() {
    let without = Empty {
        id: Some(1),
        branches: vec!["feature"],
        ..Empty::default()
    };
    let gap = read(&without, true, None).await.gap.unwrap();
    assert!(gap.contains("lacks the default branch main"), "{gap}");
    let with = Empty {
        id: Some(1),
        branches: vec!["feature", "main"],
        ..Empty::default()
    };
    assert_eq!(read(&with, true, None).await.gap, None);
}

#[tokio::test]
async fn another_repository_behind_the_name_is_a_gap() {
    let forge = Empty {
        id: Some(2),
        ..Empty::default()
    };
    let gap = read(&forge, false, Some(1)).await.gap.unwrap();
    assert!(gap.contains("has the id 2, and 1 was expected"), "{gap}");
}

#[tokio::test]
async fn how_owners_ended_is_not_asked_after_a_gap() {
    let forge = Empty::default();
    let repository = Repository::parse("acme/shop").unwrap();
    let mut roots = RepositoryRoots {
        gap: Some("incomplete".into()),
        ..RepositoryRoots::default()
    };
    let search = ClosedSearch::default();
    ended(
        &forge,
        &repository,
        &wanted(false),
        &search,
        &mut roots,
        &Unwatched,
    )
    .await;
    assert!(forge.asked.take().is_empty());
    roots.gap = None;
    ended(
        &forge,
        &repository,
        &wanted(false),
        &search,
        &mut roots,
        &Unwatched,
    )
    .await;
    assert_eq!(forge.asked.take(), ["by number"]);
    assert_eq!(
        roots.pull_requests.into_values().next(),
        Some(PullRequest::Missing)
    );
}
