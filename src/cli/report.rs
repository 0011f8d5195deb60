//! `preview-gc report`: publishes an audit in the tracking issue.

use serde_json::{Value, json};

use super::args::ReportArgs;
use super::notify::Notify;
use super::session::Session;
use super::{Exit, RunFailure, github_actions, print, public};
use crate::collector::{Audit, Choice};
use crate::model::{Api, Repository};
use crate::report::format::Format;
use crate::tracking_issue::publish::{IssueChange, PublishError, known, publish};
use crate::tracking_issue::state::PreviousIssue;
use crate::tracking_issue::text::render;

pub(super) async fn run(arguments: ReportArgs) -> Result<Exit, RunFailure> {
    let format = arguments.audit.common.format();
    if format == Format::Csv {
        return Err(RunFailure::Usage(
            "report cannot print csv: the issue is Markdown; use --format markdown or json, or \
             `preview-gc audit --format csv` for the same resources"
                .to_owned(),
        ));
    }
    let session = Session::open(&arguments.audit.common)?;
    let notify = Notify::of(&arguments.notify)?;
    session.warn(&arguments.audit.common);
    let mut collector = session.collector(arguments.audit.pr)?;
    // The rest of the time is for publishing.
    collector.client = session.client.ending_earlier(session.limits.closing());
    let repository = repository(&session)?;
    let (audit_scope, listed) = session.list(&collector).await?;
    let audit = collector.audit(&audit_scope, listed, Choice::All).await;
    let Audit {
        findings,
        mut report,
        ..
    } = audit;
    session.store_reads(&collector);
    report.next_run = github_actions::next_run(&arguments.schedule, report.now)?;
    session.progress.end();
    session.warn_of_clocks();
    if arguments.dry_run {
        let known = known(&findings.roots, &repository);
        let text = known.map(|issue| issue.body.as_str()).unwrap_or_default();
        let text = render(&report, &PreviousIssue::read(text)).text;
        match format {
            Format::Json => print(&document(&json!({ "schema": 1, "text": text })))?,
            Format::Table | Format::Csv | Format::Markdown => print(&text)?,
        }
        return Ok(Exit::of(&report, arguments.audit.fail_on_garbage));
    }
    let published = publish(&session.client, &repository, &findings.roots, &report).await;
    let url = published
        .as_ref()
        .ok()
        .and_then(|published| published.url());
    let until = session.client.deadline();
    notify.send(&report, None, until).await;
    public::conceal(&session, &mut report).await;
    github_actions::write_results(&report, url);
    github_actions::write_metrics(&arguments.audit.common, &report)?;
    let published = published.map_err(|error| not_published(&error))?;
    match format {
        Format::Json => print(&document(&json!({
            "schema": 1,
            "issue": published.url(),
            "change": published.change().map(IssueChange::name),
        })))?,
        Format::Table | Format::Csv | Format::Markdown => {
            let is_simulated = session.connection.variables.are_the_sandboxes();
            let note = if is_simulated { " (simulated)" } else { "" };
            print(&format!("{published}{note}\n"))?;
        }
    }
    Ok(Exit::of(&report, arguments.audit.fail_on_garbage))
}

/// Renders a document of this command.
fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Returns the repository of the issue: the one that the policies name.
pub(super) fn repository(session: &Session) -> Result<Repository, RunFailure> {
    session.require_one_repository("the issue")?;
    if !session.client.has(Api::GitHub) {
        return Err(RunFailure::Usage(
            "could not write the issue: GITHUB_TOKEN (or GH_TOKEN) is not set; set it, or print \
             the text of the issue with --dry-run"
                .to_owned(),
        ));
    }
    let first = session.policies.files.first();
    first.map(|file| file.repository.clone()).ok_or_else(|| {
        RunFailure::Usage("there is no policy, and so no repository for the issue".to_owned())
    })
}

pub(super) fn not_published(error: &PublishError) -> RunFailure {
    match error {
        PublishError::RootsUnread => RunFailure::Incomplete(error.to_string()),
        PublishError::TooMuchKept
        | PublishError::NotWritten(_)
        | PublishError::NotReread(_)
        | PublishError::Contended
        | PublishError::CheckedAgain => RunFailure::Unexpected(error.to_string()),
    }
}
