//! Publishes a report in the tracking issue: creates, updates, closes or reopens
//! it. What others save in the meantime is merged as `super::edits` says, and the
//! issue is written again if it says something else than that.

use std::fmt;

use super::alert::Alert;
use super::edits;
use super::state::PreviousIssue;
use super::text::{IssueText, MAX_LENGTH, closing_comment, render};
use crate::boxes::TITLE;
use crate::evidence::{Roots, TrackingIssue};
use crate::model::Repository;
use crate::report::Report;
use crate::roots::Unanswered;
use crate::roots::github::GitHubClient;
use crate::roots::github::issue::{IssueState, IssueStore};
use crate::wire::Client;

/// How often the issue is rewritten because boxes were checked in the meantime.
pub(super) const ROUNDS: usize = 3;

/// Why the issue was not published, or not safely.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The roots, of which the issue is one, could not be read.
    #[error("the issue is left as it is: what keeps resources alive could not be read")]
    RootsUnread,
    /// The text with all kept resources exceeds GitHub's limit.
    #[error(
        "more resources are marked \"keep\" than an issue of {MAX_LENGTH} characters can hold; \
         write [[protect]] entries for them and clear their boxes"
    )]
    TooMuchKept,
    /// GitHub did not accept a read or a write.
    #[error("the issue could not be written: {0}")]
    NotWritten(#[from] Unanswered),
    /// The issue was written, but not compared with what others saved.
    #[error(
        "the issue was written, but it could not be re-read to see whether somebody changed a \
         checkbox: {0}"
    )]
    NotReread(Unanswered),
    /// Others changed the issue after every write.
    #[error(
        "others changed the issue each time it was written, and a checkbox may be lost; look at \
         it and run this again"
    )]
    Contended,
    /// Others checked a box that was being cleared.
    #[error("somebody checked it again in the meantime; ask them, and run this again")]
    CheckedAgain,
}

/// What became of the issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueChange {
    /// There was none.
    Created,
    /// It says the same already.
    Unchanged,
    /// Its text changed.
    Updated,
    /// Nothing is left behind any more.
    Closed,
    /// Something is left behind again.
    Reopened,
}

impl IssueChange {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Unchanged => "unchanged",
            Self::Updated => "updated",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }
}

/// The result of publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// Nothing is left behind, and there is no issue.
    NoIssue,
    /// There is an issue.
    Issue {
        /// What became of it.
        change: IssueChange,
        /// Its address.
        url: String,
        /// Further issues of ours, of which only the "keep" boxes count.
        others: Vec<u64>,
    },
}

impl Published {
    /// Returns what became of the issue, if there is one.
    pub fn change(&self) -> Option<IssueChange> {
        match self {
            Self::NoIssue => None,
            Self::Issue { change, .. } => Some(*change),
        }
    }

    /// Returns the address of the issue, if there is one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::NoIssue => None,
            Self::Issue { url, .. } => Some(url),
        }
    }
}

/// The result in words for people.
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Issue {
            change,
            url,
            others,
        } = self
        else {
            return f.write_str("nothing is left behind, and there is no issue");
        };
        let what = match change {
            IssueChange::Created => "created the tracking issue",
            IssueChange::Unchanged => "the tracking issue is up to date",
            IssueChange::Updated => "updated the tracking issue",
            IssueChange::Closed => "closed the tracking issue, because no garbage is left",
            IssueChange::Reopened => "reopened the tracking issue",
        };
        write!(f, "{what}: {url}")?;
        if !others.is_empty() {
            let others: Vec<_> = others.iter().map(|number| format!("#{number}")).collect();
            write!(
                f,
                " (further tracking issues, of which only \"keep\" boxes count: {})",
                others.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Returns the tracking issue of a repository, as the roots were read.
pub fn known<'r>(roots: &'r Roots, repository: &Repository) -> Option<&'r TrackingIssue> {
    roots.repositories.get(repository)?.issue.as_ref()
}

/// Creates, updates, closes or reopens the tracking issue.
///
/// # Errors
///
/// See [`PublishError`]. With [`PublishError::NotReread`] and
/// [`PublishError::Contended`], the issue was written.
pub async fn publish(
    client: &Client,
    repository: &Repository,
    roots: &Roots,
    report: &Report,
) -> Result<Published, PublishError> {
    if roots.gap().is_some() {
        return Err(PublishError::RootsUnread);
    }
    let github = GitHubClient::new(client.clone());
    let store = IssueStore::new(&github, repository);
    match known(roots, repository) {
        None => create(&store, report).await,
        Some(known) => update(&store, known, report).await,
    }
}

/// Returns the text, or an error if it exceeds GitHub's limit.
fn fitting(report: &Report, previous: &PreviousIssue) -> Result<IssueText, PublishError> {
    let text = render(report, previous);
    if text.fits() {
        Ok(text)
    } else {
        Err(PublishError::TooMuchKept)
    }
}

async fn create(store: &IssueStore<'_>, report: &Report) -> Result<Published, PublishError> {
    let text = fitting(report, &PreviousIssue::default())?;
    if text.left == 0 && report.complete {
        return Ok(Published::NoIssue);
    }
    let issue = store.create(TITLE, &text.text).await?;
    Ok(Published::Issue {
        change: IssueChange::Created,
        url: issue.url,
        others: Vec::new(),
    })
}

async fn update(
    store: &IssueStore<'_>,
    known: &TrackingIssue,
    report: &Report,
) -> Result<Published, PublishError> {
    // Boxes may have been checked since the issue was read.
    let noted = store.newest_edit(known.number).await?;
    let now = store.read_again(known.number).await?;
    let previous = PreviousIssue::read(&now.body);
    // Before the issue is written, which records the failures: if the comment
    // fails, the next run writes it.
    if let Some(alert) = Alert::of(report, Some(&previous.state)) {
        store.comment(now.number, &alert.markdown()).await?;
    }
    let mut text = fitting(report, &previous)?;
    let mut clean = text.left == 0 && report.complete;
    let mut change = IssueChange::Unchanged;
    let mut written = Vec::new();
    let mut settled = previous.has_content(&text.content) && now.open != clean;
    while !settled {
        if written.len() == ROUNDS {
            return Err(PublishError::Contended);
        }
        clean = text.left == 0 && report.complete;
        let state = if clean {
            IssueState::Closed
        } else {
            IssueState::Open
        };
        store.update(now.number, &text.text, state).await?;
        change = match (now.open, clean) {
            (true, true) => IssueChange::Closed,
            (false, false) => IssueChange::Reopened,
            _ => IssueChange::Updated,
        };
        written.push(text.text);
        let edits = edits::since(store, now.number, noted.as_ref(), &written).await;
        let edits = edits.map_err(PublishError::NotReread)?;
        text = fitting(report, &previous.merged(&edits))?;
        let newest = edits.last().map_or("", |edit| &edit.text);
        settled = edits::is_settled(newest, &text.text);
    }
    if now.open && clean {
        store.comment(now.number, &closing_comment(report)).await?;
    }
    Ok(Published::Issue {
        change,
        url: now.url,
        others: known.others.clone(),
    })
}
