//! Finds the tracking issue by its marker and author.

use std::collections::BTreeMap;

use futures::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::authors::author;
use super::{IssueStore, LABELS, ListedIssue};
use crate::boxes::{MARKER, TITLE};
use crate::evidence::{CheckedBoxes, TrackingIssue};
use crate::roots::forge::{IssueSearch, Unanswered};
use crate::roots::github::rest;
use crate::wire::{ApiError, RequestFailure};

/// By what an issue is taken for the tracking issue, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// It has the marker.
    Marker,
    /// A person removed that and left boxes.
    Boxes,
    /// Only its title is left.
    Title,
}

impl ListedIssue {
    fn mark(&self) -> Option<Mark> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.pull_request.is_some() {
            None
        } else if body.contains(MARKER) {
            Some(Mark::Marker)
        } else if body.contains("<!-- gc:keep:") {
            Some(Mark::Boxes)
        } else {
            (self.title == TITLE).then_some(Mark::Title)
        }
    }

    /// The tracking issue, with what is checked "keep" in further issues of ours.
    fn with_others(self, others: Vec<Self>) -> TrackingIssue {
        let mut issue = self.tracking(others.iter().map(|other| other.number).collect());
        for other in others {
            let number = other.number;
            let CheckedBoxes {
                keep,
                origins_of_kept,
                ..
            } = other.tracking(Vec::new()).checked;
            let here = &issue.checked.keep;
            let more = keep.into_iter().filter(|key| !here.contains(key));
            issue.kept_in_others.extend(more.map(|key| (key, number)));
            issue.checked.origins_of_kept.extend(origins_of_kept);
        }
        issue
    }
}

impl IssueStore<'_> {
    /// Finds the tracking issue, the oldest if there are several, with what is
    /// checked "keep" in the others. An issue of ours whose marker a person
    /// removed is one while it has boxes. Returns
    /// `None` if the complete list of our issues has none, or if the repository
    /// says that issues are disabled.
    pub async fn find(&self) -> Result<IssueSearch, Unanswered> {
        let own = self.own_accounts().await;
        // Labels may have been removed, so our issue is searched by author.
        // Issues of others that carry the marker have no effect; they are
        // searched by label, to report those that look like ours.
        let labels: Vec<_> = LABELS.iter().map(|(name, _)| *name).collect();
        let mut filters = match &own.login {
            Ok(login) => {
                let authors = std::iter::once(*login).chain(own.also.iter().map(|one| &**one));
                let author = |login| utf8_percent_encode(login, NON_ALPHANUMERIC);
                authors
                    .map(|login| format!("creator={}&", author(login)))
                    .collect()
            }
            // All issues, if the own account is unknown.
            Err(_) => vec![String::new()],
        };
        if own.login.is_ok() {
            filters.push(format!("labels={}&", labels.join("%2C")));
        }
        let mut found = IssueSearch {
            repository_id: self.github.authors().repository_id(self.repository),
            ..IssueSearch::default()
        };
        let mut marked = BTreeMap::new();
        let lists = filters.iter().map(|filter| async move {
            let query = format!("/issues?state=all&{filter}sort=created&direction=asc&");
            let read =
                |issue: ListedIssue| Ok((issue.number, issue.mark().map(|mark| (mark, issue))));
            rest::whole(self.github, &self.path(&query), read).await
        });
        for list in join_all(lists).await {
            match list {
                Ok(listed) => {
                    found.requests += listed.requests;
                    let issues = listed.items.into_iter();
                    marked.extend(issues.filter_map(|(number, issue)| Some((number, issue?))));
                }
                Err(error) => {
                    self.prove_no_issues(error).await?;
                    found.requests += 2;
                    return Ok(found);
                }
            }
        }
        let mut ours = Vec::new();
        for (mark, issue) in marked.into_values() {
            if own.wrote(issue.user.as_ref(), &format!("issue #{}", issue.number))? {
                ours.push((mark, issue));
            } else if mark == Mark::Marker {
                found.by_others.push(format!(
                    "issue #{} of {} is marked as the tracking issue and not used: it is by {}; \
                     its checkboxes count only with --issue-author",
                    issue.number,
                    self.repository,
                    author(issue.user.as_ref())
                ));
            }
        }
        found.issue = self.chosen(ours, &mut found.further)?;
        Ok(found)
    }

    /// Chooses the tracking issue among ours, and notes the others for people.
    fn chosen(
        &self,
        mut ours: Vec<(Mark, ListedIssue)>,
        notes: &mut Vec<String>,
    ) -> Result<Option<TrackingIssue>, Unanswered> {
        ours.sort_by_key(|(mark, issue)| (*mark, issue.number));
        // Also beside others: the boxes that people checked in it are lost.
        if let Some((_, issue)) = ours.iter().find(|(mark, _)| *mark == Mark::Title) {
            return Err(Unanswered::Unbelievable(format!(
                "issue #{} has the title of the tracking issue and none of its text, so what \
                 people keep is unknown; restore its text from the history of its edits, or \
                 rename or delete it",
                issue.number
            )));
        }
        let mut ours = ours.into_iter().map(|(_, issue)| issue);
        let Some(first) = ours.next() else {
            return Ok(None);
        };
        let others: Vec<ListedIssue> = ours.collect();
        notes.extend(others.iter().map(|other| {
            format!(
                "issue #{} of {} is a further tracking issue: its \"keep\" boxes count, its \
                 \"delete\" boxes do not; check them in #{} and delete it",
                other.number, self.repository, first.number
            )
        }));
        Ok(Some(first.with_others(others)))
    }

    /// Proves that a refusal to list issues means that issues are disabled: the
    /// repository itself has to say so, because GitHub also answers 404 to a
    /// token without the permission.
    async fn prove_no_issues(&self, refusal: Unanswered) -> Result<(), Unanswered> {
        #[derive(Deserialize)]
        struct RepositoryFeatures {
            full_name: String,
            has_issues: bool,
        }
        let Unanswered::Api(ApiError {
            failure:
                RequestFailure::Refused { status: 410, .. }
                | RequestFailure::NotFound { .. }
                | RequestFailure::Forbidden { .. },
            ..
        }) = &refusal
        else {
            return Err(refusal);
        };
        let settings: Result<RepositoryFeatures, Unanswered> =
            match self.github.get(&self.path("")).await {
                Ok(body) => self.read(&body),
                Err(error) => Err(error),
            };
        let why = match settings {
            Ok(settings)
                if !settings
                    .full_name
                    .eq_ignore_ascii_case(self.repository.full_name()) =>
            {
                format!("the repository behind the name is {}", settings.full_name)
            }
            Ok(RepositoryFeatures {
                has_issues: false, ..
            }) => return Ok(()),
            Ok(_) => format!("{} has issues", self.repository),
            Err(error) => error.to_string(),
        };
        Err(Unanswered::Unbelievable(format!(
            "could not look for the tracking issue: {refusal}, and {why}; give the token the \
             permission \"Issues: read\""
        )))
    }
}
