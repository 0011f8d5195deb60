//! `preview-gc report`: publishes an audit in the tracking issue.

use serde_json::json;
use tokio::time::Instant;

use super::args::ReportArgs;
use super::session::Session;
use super::{Exit, Failure, github_actions, print};
use crate::collector::{Audit, Choice};
use crate::evidence::TrackingIssue;
use crate::github::GitHub;
use crate::model::Repository;
use crate::report::Report;
use crate::report::issue::{
    IssueText, MAX_LENGTH, PreviousIssue, TITLE, closing_comment, render, without_ages,
};
use crate::survey::Findings;
use crate::wire::Client;

/// How often the issue is rewritten because boxes were checked in the meantime.
const ROUNDS: usize = 3;

pub(super) async fn run(arguments: ReportArgs) -> Result<Exit, Failure> {
    let session = Session::open(&arguments.audit.common)?;
    session.warn(&arguments.audit.common);
    let collector = session.collector(arguments.audit.pr)?;
    let repository = repository(&session)?;
    let since = Instant::now();
    let (audit_scope, inventory) = session.list(&collector).await?;
    let audit = collector.audit(&audit_scope, inventory, since, Choice::All);
    let Audit {
        findings,
        mut report,
        ..
    } = audit.await;
    session.remember(&collector);
    report.next_run = github_actions::next_run(&arguments.schedule, report.now)?;
    session.progress.end();
    session.warn_of_clocks();
    if arguments.dry_run {
        let known = known(&findings, &repository);
        let text = known.map(|issue| issue.body.as_str()).unwrap_or_default();
        print(&render(&report, &PreviousIssue::read(text)).text)?;
        return Ok(Exit::of(&report, arguments.audit.fail_on_garbage));
    }
    let published = publish(&session.client, &repository, &findings, &report).await;
    github_actions::write_results(
        &report,
        published
            .as_ref()
            .ok()
            .and_then(|published| published.url.as_deref()),
    );
    github_actions::write_metrics(&arguments.audit.common, &report)?;
    print(&format!("{}\n", published?.text))?;
    Ok(Exit::of(&report, arguments.audit.fail_on_garbage))
}

/// Returns the repository of the issue: the one that the policies name.
pub(super) fn repository(session: &Session) -> Result<Repository, Failure> {
    session.require_one_repository("the issue")?;
    if !session.client.has(crate::model::Api::GitHub) {
        return Err(Failure::Usage(
            "the issue needs GitHub, and there is no GITHUB_TOKEN".to_owned(),
        ));
    }
    let first = session.policies.files.first();
    first.map(|file| file.repository.clone()).ok_or_else(|| {
        Failure::Usage("there is no policy, and so no repository for the issue".to_owned())
    })
}

fn known<'f>(findings: &'f Findings<'_>, repository: &Repository) -> Option<&'f TrackingIssue> {
    let roots = findings.roots.repositories.get(repository)?;
    roots.issue.as_ref()
}

/// Returns the text, or an error if it exceeds GitHub's limit.
fn fitting(text: IssueText) -> Result<IssueText, Failure> {
    if text.fits() {
        return Ok(text);
    }
    Err(Failure::Unexpected(format!(
        "more resources are marked \"keep\" than an issue of {MAX_LENGTH} characters can hold; write \
         [[protect]] entries for them and clear their boxes"
    )))
}

/// The result of publishing the issue.
pub(super) struct Published {
    /// A message for people.
    pub(super) text: String,
    /// Its address, if there is an issue.
    pub(super) url: Option<String>,
}

/// Creates, updates or closes the tracking issue.
pub(super) async fn publish(
    client: &Client,
    repository: &Repository,
    findings: &Findings<'_>,
    report: &Report,
) -> Result<Published, Failure> {
    let failed = |error: crate::github::Unanswered| {
        Failure::Unexpected(format!("the issue could not be written: {error}"))
    };
    if findings.roots.gap().is_some() {
        return Err(Failure::Incomplete(
            "the issue is left as it is: what keeps resources alive could not be read".to_owned(),
        ));
    }
    let github = GitHub::new(client.clone());
    let Some(known) = known(findings, repository) else {
        let text = fitting(render(report, &PreviousIssue::default()))?;
        if text.left == 0 && report.complete {
            return Ok(Published {
                text: "nothing is left behind, and there is no issue".to_owned(),
                url: None,
            });
        }
        let issue = github
            .create_issue(repository, TITLE, &text.text)
            .await
            .map_err(failed)?;
        return Ok(Published {
            text: format!("created {}", issue.url),
            url: Some(issue.url),
        });
    };
    // Boxes may have been checked since the issue was read.
    let now = github
        .issue_again(repository, known.number)
        .await
        .map_err(failed)?;
    let mut earlier = PreviousIssue::read(&now.body);
    let mut done = format!("left as it is: {}", now.url);
    let mut ours = Vec::new();
    let clean = loop {
        let text = fitting(render(report, &earlier))?;
        let clean = text.left == 0 && report.complete;
        let same = without_ages(&text.text) == without_ages(&now.body) && now.open != clean;
        if same && ours.is_empty() {
            break clean;
        }
        if ours.len() == ROUNDS {
            return Err(Failure::Unexpected(
                "others changed the issue each time it was written, and a checkbox may be lost; \
                 look at it and run this again"
                    .to_owned(),
            ));
        }
        let state = if clean { "closed" } else { "open" };
        let change = json!({ "body": text.text, "state": state });
        github
            .update_issue(repository, now.number, &change)
            .await
            .map_err(failed)?;
        done = match (now.open, clean) {
            (true, true) => format!("closed {}", now.url),
            (false, false) => format!("reopened {}", now.url),
            _ => format!("updated {}", now.url),
        };
        ours.push(text.text);
        let others = github.edits_since(repository, &now, &ours).await;
        let others = others.map_err(|error| {
            Failure::Unexpected(format!(
                "the issue was written, but it could not be re-read to see whether somebody \
                 changed a checkbox: {error}"
            ))
        })?;
        if !earlier.merge(&others) {
            break clean;
        }
    };
    if now.open && clean {
        let word = closing_comment(report);
        github
            .comment(repository, now.number, &word)
            .await
            .map_err(failed)?;
    }
    if !known.others.is_empty() {
        let others: Vec<_> = known
            .others
            .iter()
            .map(|number| format!("#{number}"))
            .collect();
        done = format!(
            "{done} (also marked as the tracking issue, and ignored: {})",
            others.join(", ")
        );
    }
    Ok(Published {
        text: done,
        url: Some(now.url),
    })
}
