//! Keeps restored resources in runs that do not read this journal: by the "keep" box
//! of the tracking issue, and by the mark that a resource was made with. A release
//! takes both back.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::RestoreError;
use crate::gc::box_key;
use crate::journal::{Journal, JournalEntry, RecordedStep, RunRecord};
use crate::kind::{KeepMark, MarkRemoval};
use crate::model::{Api, KEEP_MARK, Repository, ResourceId};
use crate::providers;
use crate::roots::github::Authors;
use crate::roots::github::GitHubClient;
use crate::roots::github::issue::IssueStore;
use crate::tracking_issue::keep;
use crate::wire::{Client, RequestFailure};

/// How the "keep" boxes of a run's restored resources were checked.
#[derive(Debug, Default)]
pub(super) struct BoxesChecked {
    /// Addresses of the issues.
    pub(super) urls: Vec<String>,
    /// Why there is no issue to check them in, for people.
    pub(super) none: Option<String>,
    /// Whether there may be one, and this run cannot reach it.
    pub(super) is_out_of_reach: bool,
    /// Why they could not be checked in an issue.
    pub(super) failed: Option<String>,
}

impl BoxesChecked {
    /// Describes what keeps a restored resource.
    pub(super) fn describe(&self, noted: &RecordedStep, name: &str) -> String {
        let mut text = format!("this journal keeps it until `preview-gc restore --release {name}`");
        if noted.marked {
            text += "; runs without this journal keep it because of its mark `";
            text += KEEP_MARK;
            text += "`";
        }
        if !self.urls.is_empty() {
            text += "; \"keep\" is checked in ";
            text += &self.urls.join(" and ");
        }
        if let Some(why) = &self.failed {
            text += "; \"keep\" could not be checked in the tracking issue, so check it there: ";
            text += why;
        }
        if let Some(why) = self.none.as_ref().filter(|_| !noted.marked) {
            text += "; runs without this journal do not know of it, because ";
            text += why;
            if self.is_out_of_reach {
                text += "; set it and run this again, or check \"keep\" there by hand";
            }
        }
        text
    }

    /// Returns whether nothing but this journal keeps a restored resource although a box
    /// should.
    pub(super) fn leaves_unkept(&self, noted: &RecordedStep) -> bool {
        self.failed.is_some() || (self.is_out_of_reach && !noted.marked)
    }
}

/// Writes and removes what keeps restored resources outside of the journal.
pub(super) struct Keeper<'a> {
    client: &'a Client,
    github: GitHubClient,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(client: &'a Client, authors: &Arc<Authors>) -> Self {
        let github = GitHubClient::new(client.clone()).with_issue_authors(authors);
        Self { client, github }
    }

    /// Checks the "keep" boxes of restored resources in the tracking issues of the
    /// repositories that the run was about, and records that.
    pub(super) async fn keep(
        &self,
        journal: &mut Journal,
        record: &RunRecord,
        steps: &BTreeSet<usize>,
    ) -> Result<BoxesChecked, RestoreError> {
        let kinds = providers::vocabulary();
        let back: Vec<(usize, ResourceId)> = record
            .back()
            .filter(|(step, ..)| steps.contains(step))
            .filter_map(|(step, written, _, id)| {
                let id = id.into();
                Some((
                    step,
                    ResourceId {
                        id,
                        ..written.identity(&kinds)?
                    },
                ))
            })
            .collect();
        let mut checked = BoxesChecked::default();
        if back.is_empty() {
            return Ok(checked);
        }
        if record.repositories.is_empty() {
            checked.none = Some("no repository decided in that run".to_owned());
            return Ok(checked);
        }
        let here = self.client.host(Api::GitHub);
        if here.is_none() || here != record.github {
            checked.is_out_of_reach = true;
            checked.none = Some(match &record.github {
                Some(host) if here.is_some() => {
                    format!("the tracking issue is at {host}, and GITHUB_TOKEN is for another host")
                }
                _ => "GITHUB_TOKEN is not set, and so \"keep\" was not checked in the tracking \
                      issue"
                    .to_owned(),
            });
            return Ok(checked);
        }
        for (name, id) in &record.repositories {
            if let Some(repository) = Repository::parse(name) {
                self.keep_in(journal, (&repository, *id), &back, &mut checked)
                    .await?;
            }
        }
        if checked.urls.is_empty() && checked.failed.is_none() {
            checked.none = Some("there is no tracking issue".to_owned());
        }
        Ok(checked)
    }

    /// Checks the boxes in the tracking issue of one repository, which has this id.
    async fn keep_in(
        &self,
        journal: &mut Journal,
        (repository, id): (&Repository, u64),
        back: &[(usize, ResourceId)],
        checked: &mut BoxesChecked,
    ) -> Result<(), RestoreError> {
        let store = IssueStore::new(&self.github, repository);
        let mut failed = |error: &dyn fmt::Display| {
            checked.failed = Some(self.client.redact(&error.to_string()));
        };
        let found = match store.find().await {
            Ok(found) => found,
            Err(error) => {
                failed(&error);
                return Ok(());
            }
        };
        if let Some(other) = found.repository_id.filter(|other| *other != id) {
            failed(&format_args!(
                "the repository called {repository} has the id {other}, and {id} was expected: \
                 another one has its name now"
            ));
            return Ok(());
        }
        // Runs with the token of its author use that issue.
        if let Some(other) = found.by_others.first() {
            failed(&format_args!(
                "{other}; run this again with --issue-author for that account"
            ));
        }
        let Some(issue) = found.issue else {
            return Ok(());
        };
        // Before the request leaves: its answer may be lost, and a release has to clear
        // the box all the same. One that a person checked is theirs.
        let is_checked = |id: &ResourceId| issue.checked.keep.contains(&box_key::of(id));
        let unchecked = back.iter().filter(|(_, id)| !is_checked(id));
        let entries: Vec<_> = unchecked
            .map(|(step, _)| JournalEntry::KeepChecked {
                step: *step,
                at: self.client.clock().now(),
                repository: repository.full_name().to_lowercase(),
                issue: issue.number,
            })
            .collect();
        journal.write(&entries)?;
        let ids: Vec<ResourceId> = back.iter().map(|(_, id)| id.clone()).collect();
        match keep::check(&store, issue.number, &ids).await {
            Ok(url) => checked.urls.push(url),
            Err(error) => failed(&error),
        }
        Ok(())
    }

    /// Takes back what keeps a resource besides the journal. Returns why that was not
    /// possible; where credentials are missing, nothing is changed.
    pub(super) async fn release(
        &self,
        record: &RunRecord,
        step: usize,
        id: &ResourceId,
        host: &str,
    ) -> Result<(), String> {
        let Some(noted) = record.steps.get(&step) else {
            return Ok(());
        };
        let kind = providers::by_name(id.kind.name()).and_then(|kind| kind.restore());
        let mark = kind.and_then(|restore| restore.keep_mark());
        let mark = mark.filter(|_| noted.marked);
        let here = self.client.host(id.kind.api);
        if mark.is_some() && here.as_deref() != Some(host) {
            let variable = id.kind.api.token_variable();
            return Err(format!(
                "it has the mark `{KEEP_MARK}`, and there are no credentials for {host}; set \
                 {variable}, or remove the mark there"
            ));
        }
        let github = self.client.host(Api::GitHub);
        if !noted.keep_checked.is_empty() && (github.is_none() || github != record.github) {
            let host = record.github.as_deref().unwrap_or("GitHub");
            return Err(format!(
                "its \"keep\" box is checked in a tracking issue at {host}, and GITHUB_TOKEN is not \
                 set or is for another host"
            ));
        }
        for (name, issue) in &noted.keep_checked {
            let cleared = self.clear(record, name, *issue, id).await;
            cleared.map_err(|why| {
                let why = self.client.redact(&why);
                format!("its \"keep\" box in issue #{issue} of {name} could not be cleared: {why}")
            })?;
        }
        match mark {
            Some(mark) => self
                .unmark(mark, id)
                .await
                .map_err(|why| format!("its mark `{KEEP_MARK}` could not be removed: {why}")),
            None => Ok(()),
        }
    }

    /// Clears the box of a resource in an issue of ours. One that is not there any more
    /// has no box.
    async fn clear(
        &self,
        record: &RunRecord,
        name: &str,
        issue: u64,
        id: &ResourceId,
    ) -> Result<(), String> {
        let Some(repository) = Repository::parse(name) else {
            return Ok(());
        };
        let store = IssueStore::new(&self.github, &repository);
        let found = store.find().await.map_err(|error| error.to_string())?;
        let expected = record.repositories.get(name);
        if let (Some(there), Some(expected)) = (found.repository_id, expected)
            && there != *expected
        {
            return Err(format!(
                "the repository has the id {there}, and {expected} was expected: another one has \
                 its name now"
            ));
        }
        let ours = found.issue.iter();
        let mut ours = ours.flat_map(|one| std::iter::once(&one.number).chain(&one.others));
        if !ours.any(|number| *number == issue) {
            return Ok(());
        }
        let cleared = keep::clear(&store, issue, std::slice::from_ref(id)).await;
        cleared.map_err(|error| error.to_string())
    }

    /// Removes the mark of a resource, unless that is gone.
    async fn unmark(&self, mark: &dyn KeepMark, id: &ResourceId) -> Result<(), String> {
        let body = match self.client.send(&mark.ask(id)).await {
            Ok(body) => body,
            Err(error) if matches!(error.failure, RequestFailure::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let removal = mark.remove(id, &body);
        match removal.map_err(|error| self.client.redact(&error.0))? {
            MarkRemoval::Request(call) => {
                let sent = self.client.send(&call).await;
                sent.map(drop).map_err(|error| error.to_string())
            }
            MarkRemoval::NotMarked => Ok(()),
            MarkRemoval::Changed => Err(
                "somebody changed the text around it; remove it there, and run this again"
                    .to_owned(),
            ),
        }
    }
}
