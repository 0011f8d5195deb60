//! `preview-gc report`: an audit, told in one living issue.

use serde_json::json;
use tokio::time::Instant;

use super::args::ReportArgs;
use super::session::Session;
use super::{Exit, Failure, actions, print};
use crate::evidence::TrackingIssue;
use crate::gc::ticks::Ticks;
use crate::github::GitHub;
use crate::model::Repository;
use crate::report::Report;
use crate::report::issue::{History, TITLE, body, farewell, unchanging};
use crate::survey::Findings;
use crate::wire::Client;

/// How often ticks that came in between are written again.
const ROUNDS: usize = 3;

pub(super) async fn run(arguments: ReportArgs) -> Result<Exit, Failure> {
    let session = Session::open(&arguments.audit.common)?;
    session.warn(&arguments.audit.common);
    let collector = session.collector(arguments.audit.pr)?;
    let repository = repository(&session)?;
    let since = Instant::now();
    let (ground, inventory) = collector.list().await;
    let survey = collector.survey(&ground);
    let findings = survey.judge(inventory, since).await;
    let plan = collector.plan(&findings);
    let report = collector.report(&ground, &findings, &plan);
    session.progress.end();
    if arguments.dry_run {
        let known = known(&findings, &repository);
        let text = known.map(|issue| issue.body.as_str()).unwrap_or_default();
        print(&body(
            &report,
            &Ticks::read(text),
            &History::read(text).with(&report),
        ))?;
        return Ok(Exit::of(&report, arguments.audit.fail_on_garbage));
    }
    let told = publish(&session.client, &repository, &findings, &report).await;
    actions::tell(
        &report,
        told.as_ref().ok().and_then(|told| told.url.as_deref()),
    );
    actions::measure(&arguments.audit.common, &report)?;
    print(&format!("{}\n", told?.text))?;
    Ok(Exit::of(&report, arguments.audit.fail_on_garbage))
}

/// The repository of the issue: the one that the policies are about.
pub(super) fn repository(session: &Session) -> Result<Repository, Failure> {
    session.require_one_repository()?;
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

/// What became of the issue.
pub(super) struct Told {
    /// For people.
    pub(super) text: String,
    /// Where it is, if there is one.
    pub(super) url: Option<String>,
}

/// Tells a report in the issue.
pub(super) async fn publish(
    client: &Client,
    repository: &Repository,
    findings: &Findings<'_>,
    report: &Report,
) -> Result<Told, Failure> {
    let failed = |error: crate::github::Unanswered| {
        Failure::Unexpected(format!("the issue could not be written: {error}"))
    };
    if findings.roots.gap().is_some() {
        return Err(Failure::Incomplete(
            "the issue is left as it is: what keeps resources alive could not be read".to_owned(),
        ));
    }
    let github = GitHub::new(client.clone());
    let clean = report.left() == 0 && report.complete;
    let Some(known) = known(findings, repository) else {
        if clean {
            return Ok(Told {
                text: "nothing is left behind, and there is no issue".to_owned(),
                url: None,
            });
        }
        let text = body(report, &Ticks::default(), &History::default().with(report));
        let issue = github
            .create_issue(repository, TITLE, &text)
            .await
            .map_err(failed)?;
        return Ok(Told {
            text: format!("created {}", issue.url),
            url: Some(issue.url),
        });
    };
    // Somebody may have ticked something since it was read.
    let since = client.clock().now();
    let now = github
        .issue_again(repository, known.number)
        .await
        .map_err(failed)?;
    let mut ticks = Ticks::read(&now.body);
    let history = History::read(&now.body).with(report);
    let mut told = format!("left as it is: {}", now.url);
    for _ in 0..ROUNDS {
        let text = body(report, &ticks, &history);
        let same = unchanging(&text) == unchanging(&now.body) && now.open != clean;
        if !same {
            let state = if clean { "closed" } else { "open" };
            let change = json!({ "body": text, "state": state });
            github
                .update_issue(repository, now.number, &change)
                .await
                .map_err(failed)?;
            told = match (now.open, clean) {
                (true, true) => format!("closed {}", now.url),
                (false, false) => format!("reopened {}", now.url),
                _ => format!("updated {}", now.url),
            };
        }
        let missed = github
            .ticks_since(repository, now.number, since, &text)
            .await;
        let before = ticks.clone();
        ticks.merge(missed);
        if same || ticks == before {
            break;
        }
    }
    if now.open && clean {
        let word = farewell(report);
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
        told = format!("{told} (also marked, and not used: {})", others.join(", "));
    }
    Ok(Told {
        text: told,
        url: Some(now.url),
    })
}
