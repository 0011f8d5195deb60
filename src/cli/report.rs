//! `preview-gc report`: publishes an audit in the tracking issue.

use tokio::time::Instant;

use super::args::ReportArgs;
use super::notify::Notify;
use super::session::Session;
use super::{Exit, RunFailure, github_actions, print, public};
use crate::collector::{Audit, Choice};
use crate::model::{Api, Repository};
use crate::tracking_issue::publish::{PublishError, known, publish};
use crate::tracking_issue::state::PreviousIssue;
use crate::tracking_issue::text::render;

pub(super) async fn run(arguments: ReportArgs) -> Result<Exit, RunFailure> {
    let session = Session::open(&arguments.audit.common)?;
    let notify = Notify::of(&arguments.notify)?;
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
        let known = known(&findings.roots, &repository);
        let text = known.map(|issue| issue.body.as_str()).unwrap_or_default();
        print(&render(&report, &PreviousIssue::read(text)).text)?;
        return Ok(Exit::of(&report, arguments.audit.fail_on_garbage));
    }
    let published = publish(&session.client, &repository, &findings.roots, &report).await;
    let url = published
        .as_ref()
        .ok()
        .and_then(|published| published.url());
    notify.send(&report, None).await;
    public::conceal(&session, &mut report).await;
    github_actions::write_results(&report, url);
    github_actions::write_metrics(&arguments.audit.common, &report)?;
    let published = published.map_err(|error| not_published(&error))?;
    print(&format!("{published}\n"))?;
    Ok(Exit::of(&report, arguments.audit.fail_on_garbage))
}

/// Returns the repository of the issue: the one that the policies name.
pub(super) fn repository(session: &Session) -> Result<Repository, RunFailure> {
    session.require_one_repository("the issue")?;
    if !session.client.has(Api::GitHub) {
        return Err(RunFailure::Usage(
            "the issue needs GitHub, and there is no GITHUB_TOKEN".to_owned(),
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
        | PublishError::Contended => RunFailure::Unexpected(error.to_string()),
    }
}
