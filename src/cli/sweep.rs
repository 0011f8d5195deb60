//! `preview-gc sweep`: audits, asks for consent, and carries out the plan.

use std::io::Write as _;
use std::path::Path;

use super::args::SweepArgs;
use super::consent::{Consent, agreed};
use super::notify::Notify;
use super::pager::show;
use super::session::Session;
use super::terminal::table_style;
use super::{
    Exit, RunFailure, github_actions, interrupted, print_error, print_rendered, public, rendered,
};
use crate::collector::{Audit, Choice, SweepError, SweepOrder};
use crate::gc::Plan;
use crate::gc::plan_file::PlanFile;
use crate::model::PullRequestNumber;
use crate::report::format::Format;
use crate::roots::github::GitHubClient;
use crate::roots::github::issue::IssueStore;
use crate::sweep::{Stop, Swept};
use crate::tracking_issue::comment;
use crate::tracking_issue::publish::{known, publish};
use crate::tracking_issue::state::HiddenState;

pub(super) async fn run(arguments: SweepArgs) -> Result<Exit, RunFailure> {
    let common = &arguments.audit.common;
    let session = Session::open(common)?;
    session.warn(common);
    let planned = arguments.plan.as_deref().map(read_plan).transpose()?;
    if let (Some(plan), Some(path)) = (&planned, &arguments.plan) {
        let now = session.connection.clock.start();
        let age = plan.check(now, session.limits.plan_age, &plan.bound);
        age.map_err(|error| RunFailure::Usage(format!("plan {}: {error}", path.display())))?;
    }
    let consent = Consent::of(&arguments)?;
    let notify = Notify::of(&arguments.notify)?;
    if arguments.report && consent != Consent::DryRun {
        // Without access to the issue, the sweep is refused.
        super::report::repository(&session)?;
    }
    let mut collector = session.collector(arguments.audit.pr)?;
    // The rest of the time is for publishing.
    let closing = session.limits.closing();
    collector.limits.workers_by_id = arguments.workers_by_id;
    collector.client = session.client.ending_earlier(closing);
    let marks = collector.reads_marks();
    marks.map_err(|error| not_begun(&error))?;
    let (audit_scope, listed) = tokio::select! {
        biased;
        listed = session.list(&collector) => listed?,
        () = interrupted() => return Ok(Exit::Interrupted),
    };
    let choice = if arguments.approved {
        Choice::Approved
    } else {
        Choice::All
    };
    let mut audit = tokio::select! {
        biased;
        audit = collector.audit(&audit_scope, listed, choice) => audit,
        () = interrupted() => return Ok(Exit::Interrupted),
    };
    session.warn_of_clocks();
    let report = &mut audit.report;
    report.approved_only = arguments.approved;
    report.next_run = github_actions::next_run(&arguments.schedule, report.now)?;
    let plan_file = if let Some(planned) = planned {
        let path = arguments.plan.as_deref().unwrap_or(Path::new(""));
        check(&session, path, &planned, &audit)?;
        // Garbage that the plan of this run leaves is not what the person planned.
        audit.plan = Plan::default();
        planned
    } else {
        audit.plan_file()
    };
    let run = SweepRun {
        arguments: &arguments,
        session: &session,
        audit,
        plan_file,
        notify,
    };
    run.go(consent).await
}

/// Checks a plan file against what this run can see. A place that cannot be read
/// now looks like a different place.
fn check(
    session: &Session,
    path: &Path,
    planned: &PlanFile,
    audit: &Audit<'_>,
) -> Result<(), RunFailure> {
    let now = session.client.latest(session.connection.clock.start());
    let checked = planned.check(now, session.limits.plan_age, &audit.plan_target());
    checked.map_err(|error| {
        let gap = audit.report.gaps().find_map(|gap| gap.gap.as_deref());
        match gap {
            Some(why) => {
                let path = path.display();
                RunFailure::Incomplete(format!(
                    "plan {path}: {error}; not everything could be read: {why}"
                ))
            }
            None => RunFailure::Usage(format!("plan {}: {error}", path.display())),
        }
    })
}

/// Reads a plan file.
pub(super) fn read_plan(path: &Path) -> Result<PlanFile, RunFailure> {
    let usage = |why: String| RunFailure::Usage(format!("plan {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| {
        usage(format!(
            "{error}; preview-gc audit --out FILE writes a plan"
        ))
    })?;
    PlanFile::read(&text).map_err(|error| usage(error.to_string()))
}

/// A sweep after its audit.
struct SweepRun<'a> {
    arguments: &'a SweepArgs,
    session: &'a Session,
    audit: Audit<'a>,
    plan_file: PlanFile,
    notify: Notify,
}

impl SweepRun<'_> {
    /// Asks for consent, sweeps and publishes the result.
    async fn go(mut self, consent: Consent) -> Result<Exit, RunFailure> {
        let common = &self.arguments.audit.common;
        let style = table_style(common);
        if consent == Consent::DryRun {
            self.session.progress.end();
            let report = &mut self.audit.report;
            public::conceal(self.session, report).await;
            github_actions::write_results(report, None);
            let planned = common.format().planned(report, &self.plan_file, style);
            show(&rendered(planned)?, common)?;
            return Ok(self.exit(Exit::Ok));
        }
        self.session.store_reads(self.audit.collector);
        let is_stopped = self.audit.is_stopped();
        if is_stopped {
            self.print_line("a brake stopped this sweep before its first deletion");
        } else if consent == Consent::Ask
            && let Some(exit) = self.ask().await?
        {
            return Ok(exit);
        }
        let swept = if is_stopped && consent == Consent::Ask {
            Some((Swept::default(), Exit::Ok))
        } else {
            self.sweep().await?
        };
        self.session.progress.end();
        let Some((swept, begun)) = swept else {
            self.print_line(
                "stopped immediately: the journal has what was begun, and the next sweep recovers \
                 it",
            );
            return Ok(Exit::Interrupted);
        };
        let quota = self.session.client.quota_use();
        self.audit.report.add(swept, quota);
        let url = self.publish_unless_interrupted(begun).await;
        self.notify().await;
        let report = &mut self.audit.report;
        public::conceal(self.session, report).await;
        github_actions::write_results(report, url.as_deref().ok());
        print_rendered(common.format().report(report, style))?;
        github_actions::write_metrics(common, report)?;
        match url {
            Err(failure) if begun == Exit::Interrupted => print_error(&failure),
            url => drop(url?),
        }
        Ok(self.exit(begun))
    }

    /// Shows the plan and asks for consent. Returns the exit code if nothing is
    /// to be deleted.
    async fn ask(&mut self) -> Result<Option<Exit>, RunFailure> {
        let report = &self.audit.report;
        let style = table_style(&self.arguments.audit.common);
        self.session.progress.end();
        if self.plan_file.steps.is_empty() {
            print_rendered(Format::Table.report(report, style))?;
            return Ok(Some(self.exit(Exit::Ok)));
        }
        print_rendered(Format::Table.planned(report, &self.plan_file, style))?;
        let begun = tokio::select! {
            biased;
            () = interrupted() => Exit::Interrupted,
            agreed = agreed(self.plan_file.steps.len(), self.audit.survey.client.deadline()) => {
                if agreed? {
                    let survey = &mut self.audit.survey;
                    survey.agreed_at = Some(survey.client.clock().now());
                    return Ok(None);
                }
                Exit::Ok
            }
        };
        self.print_line("nothing was deleted");
        Ok(Some(self.exit(begun)))
    }

    /// Carries out the plan, and returns whether the user interrupted it.
    /// Returns `None` if the user did not wait for the requests in flight:
    /// their outcome is unknown.
    async fn sweep(&self) -> Result<Option<(Swept, Exit)>, RunFailure> {
        let common = &self.arguments.audit.common;
        let folder = self.session.journal_folder(common)?;
        let stop = Stop::default();
        let order = SweepOrder {
            plan_file: &self.plan_file,
            plan: &self.audit.plan,
            folder: &folder,
            stop: &stop,
        };
        let work = self.audit.sweep(&order);
        tokio::pin!(work);
        let mut begun = Exit::Ok;
        let swept = tokio::select! {
            biased;
            swept = &mut work => swept,
            () = interrupted() => {
                begun = Exit::Interrupted;
                stop.set();
                self.print_line("finishing what is under way; interrupt again to stop at once");
                tokio::select! {
                    biased;
                    swept = &mut work => swept,
                    () = interrupted() => return Ok(None),
                }
            }
        };
        let mut swept = swept.map_err(|error| not_begun(&error))?;
        if let Some(why) = &swept.broken {
            print_error(&RunFailure::Unexpected(format!(
                "the journal could not be written any further, and nothing was sent after that: \
                 {why}"
            )));
        }
        // An in-process sandbox ends with the process.
        if common.journal.is_none() && self.session.connection.variables.are_the_sandboxes() {
            let _ = std::fs::remove_dir_all(&folder);
            swept.run = None;
        }
        Ok(Some((swept, begun)))
    }

    /// Publishes the result in the tracking issue and, with `--pr`, under the
    /// pull request, unless interrupted. Returns the address of the issue.
    /// Without roots there is nothing to publish.
    async fn publish_unless_interrupted(&self, begun: Exit) -> Result<String, RunFailure> {
        if !self.arguments.report || self.audit.findings.roots.gap().is_some() {
            return Ok(String::new());
        }
        tokio::select! {
            biased;
            url = self.publish(begun) => url,
            () = interrupted() => {
                Err(RunFailure::Interrupted("interrupted before the issue and the comment were \
                    written".to_owned()))
            }
        }
    }

    async fn publish(&self, begun: Exit) -> Result<String, RunFailure> {
        let report = &self.audit.report;
        let client = self.session.client.clone();
        let repository = super::report::repository(self.session)?;
        let published = publish(&client, &repository, &self.audit.findings.roots, report).await;
        if let Ok(published) = &published {
            self.print_line(&published.to_string());
        }
        let github = GitHubClient::new(client).with_issue_authors(&self.session.issue_authors);
        let commented = match self.arguments.audit.pr.and_then(PullRequestNumber::new) {
            Some(number) => {
                let saw_everything =
                    self.session.only_kinds.is_none() && Exit::of(report, false) == Exit::Ok;
                let ended = begun == Exit::Ok && saw_everything;
                let store = IssueStore::new(&github, &repository);
                comment::publish(&store, number, report, ended)
                    .await
                    .map_err(|error| format!("could not comment on the pull request: {error}"))
            }
            None => Ok(()),
        };
        match (published, commented) {
            (Ok(published), Ok(())) => Ok(published.url().unwrap_or_default().to_owned()),
            (Err(error), Ok(())) => Err(super::report::not_published(&error)),
            (Ok(_), Err(why)) => Err(RunFailure::Unexpected(why)),
            (Err(error), Err(why)) => Err(RunFailure::Unexpected(format!("{error}; {why}"))),
        }
    }

    /// Tells the webhook what the tracking issue does not show already.
    async fn notify(&self) {
        let repository = super::report::repository(self.session).ok();
        let issue = repository.and_then(|one| known(&self.audit.findings.roots, &one));
        let previous = issue.map(|issue| HiddenState::read(&issue.body));
        let until = self.session.client.deadline();
        self.notify
            .send(&self.audit.report, previous.as_ref(), until)
            .await;
    }

    fn exit(&self, begun: Exit) -> Exit {
        match begun {
            Exit::Interrupted => begun,
            _ => Exit::of(&self.audit.report, self.arguments.audit.fail_on_garbage),
        }
    }

    fn print_line(&self, text: &str) {
        if !self.arguments.audit.common.quiet {
            let line = format!("{}\n", crate::report::escape::terminal(text));
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

fn not_begun(error: &SweepError) -> RunFailure {
    match error {
        SweepError::Journal(_) => {
            RunFailure::Usage(format!("{error}; name a folder with --journal"))
        }
        SweepError::Plan(_) | SweepError::NoMarks => RunFailure::Usage(error.to_string()),
    }
}
