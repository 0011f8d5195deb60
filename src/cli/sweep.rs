//! `preview-gc sweep`: audits, asks for consent, and carries out the plan.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::args::{CommonArgs, Format, SweepArgs};
use super::audit::render;
use super::journals::folder_of;
use super::session::Session;
use super::terminal::table_style;
use super::{Exit, Failure, github_actions, interrupted, print, print_error};
use crate::collector::{Audit, Choice, Collector, SweepError, stopped};
use crate::gc::Plan;
use crate::gc::plan_file::PlanFile;
use crate::github::{GitHub, Unanswered};
use crate::model::{PullRequestNumber, Repository};
use crate::report::outcomes::{self, StepRow, Swept};
use crate::report::table::TableStyle;
use crate::report::{Report, plan, table};
use crate::survey::{Findings, Survey};
use crate::sweep::Stop;
use crate::wire::Client;

/// Maximum time for publishing the result of a sweep.
const PUBLISH_TIMEOUT: Duration = Duration::from_mins(2);

/// How the deletions are confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    /// Not needed: nothing is deleted.
    DryRun,
    /// Given in advance by a flag or a plan file.
    Given,
    /// Asked for at the terminal.
    Ask,
}

/// Returns whether the run is unattended.
pub(super) fn is_unattended() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

impl Consent {
    fn of(arguments: &SweepArgs) -> Result<Self, Failure> {
        if arguments.dry_run {
            return Ok(Self::DryRun);
        }
        if arguments.yes || arguments.plan.is_some() {
            return Ok(Self::Given);
        }
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if is_unattended() || !person {
            return Err(Failure::Refused(
                "a sweep deletes resources and needs consent: pass --yes, or --plan FILE with an \
                 approved plan"
                    .to_owned(),
            ));
        }
        Ok(Self::Ask)
    }
}

pub(super) async fn run(arguments: SweepArgs) -> Result<Exit, Failure> {
    let common = &arguments.audit.common;
    let session = Session::open(common)?;
    session.warn(common);
    let planned = arguments.plan.as_deref().map(read_plan).transpose()?;
    if let Some(plan) = &planned {
        let now = session.connection.clock.start();
        let age = plan.check(now, session.limits.plan_age, &plan.bound);
        age.map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let consent = Consent::of(&arguments)?;
    if arguments.report && consent != Consent::DryRun {
        // Without access to the issue, the sweep is refused.
        super::report::repository(&session)?;
    }
    let collector = session.collector(arguments.audit.pr)?;
    let since = Instant::now();
    let (audit_scope, inventory) = tokio::select! {
        biased;
        listed = session.list(&collector) => listed?,
        () = interrupted() => return Ok(Exit::Interrupted),
    };
    let choice = if arguments.approved {
        Choice::Approved
    } else {
        Choice::All
    };
    let Audit {
        survey,
        findings,
        plan,
        mut report,
    } = tokio::select! {
        biased;
        audit = collector.audit(&audit_scope, inventory, since, choice) => audit,
        () = interrupted() => return Ok(Exit::Interrupted),
    };
    session.warn_of_clocks();
    report.next_run = github_actions::next_run(&arguments.schedule, report.now)?;
    let plan_file = match planned {
        Some(planned) => {
            let age = session.limits.plan_age;
            let here = collector.bound(&audit_scope);
            let now = session.client.latest(session.connection.clock.start());
            let checked = planned.check(now, age, &here);
            checked.map_err(
                |error| match report.gaps().find_map(|gap| gap.gap.as_deref()) {
                    // A place that cannot be read now looks like a different
                    // place.
                    Some(why) => {
                        Failure::Incomplete(format!("{error}; not everything could be read: {why}"))
                    }
                    None => Failure::Usage(error.to_string()),
                },
            )?;
            planned
        }
        None => collector.plan_file(&audit_scope, &findings, &plan, &report),
    };
    let run = Run {
        arguments: &arguments,
        session: &session,
        collector: &collector,
        survey,
        findings: &findings,
        plan: &plan,
    };
    run.go(report, plan_file, consent).await
}

/// Reads a plan file.
pub(super) fn read_plan(path: &Path) -> Result<PlanFile, Failure> {
    let usage = |why: String| Failure::Usage(format!("plan {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| usage(error.to_string()))?;
    PlanFile::read(&text).map_err(|error| usage(error.to_string()))
}

/// A sweep after its audit.
struct Run<'a> {
    arguments: &'a SweepArgs,
    session: &'a Session,
    collector: &'a Collector<'a>,
    survey: Survey<'a>,
    findings: &'a Findings<'a>,
    plan: &'a Plan,
}

impl Run<'_> {
    /// Asks for consent, sweeps and publishes the result.
    async fn go(
        mut self,
        mut report: Report,
        plan_file: PlanFile,
        consent: Consent,
    ) -> Result<Exit, Failure> {
        let common = &self.arguments.audit.common;
        if consent == Consent::DryRun {
            self.session.progress.end();
            let text = match common.format {
                Format::Json => plan_file.text(),
                Format::Table => planned(&report, &plan_file, table_style(common)),
                Format::Csv | Format::Markdown => {
                    render(&report, common.format, table_style(common))?
                }
            };
            print(&text)?;
            return Ok(self.exit(&report, Exit::Ok));
        }
        self.session.remember(self.collector);
        if stopped(self.findings, &report) {
            for brake in &report.brakes {
                self.say(&format!("brake on {}: {}", brake.kind, brake.reason));
            }
            let (swept, begun) = match consent {
                Consent::Given => match self.sweep(&report, &plan_file).await? {
                    Some(swept) => swept,
                    None => return Ok(Exit::Interrupted),
                },
                Consent::Ask | Consent::DryRun => (Swept::default(), Exit::Ok),
            };
            self.session.progress.end();
            report.add(swept, self.session.client.quota_use());
            // Without roots there is nothing to publish.
            let url = if self.findings.roots.gap().is_some() {
                Ok(String::new())
            } else {
                self.publish_unless_interrupted(&report, begun).await
            };
            github_actions::write_results(&report, url.as_deref().ok());
            github_actions::write_metrics(&self.arguments.audit.common, &report)?;
            self.print(&report)?;
            url?;
            return Ok(self.exit(&report, begun));
        }
        if consent == Consent::Ask {
            self.session.progress.end();
            if plan_file.steps.is_empty() {
                print(&table::render(&report, table_style(common)))?;
                return Ok(self.exit(&report, Exit::Ok));
            }
            print(&planned(&report, &plan_file, table_style(common)))?;
            let agreed = tokio::select! {
                biased;
                () = interrupted() => Err(Exit::Interrupted),
                agreed = agreed(plan_file.steps.len()) => agreed?.then_some(()).ok_or(Exit::Ok),
            };
            if let Err(begun) = agreed {
                self.say("nothing was deleted");
                return Ok(self.exit(&report, begun));
            }
            // The time until the confirmation does not count towards the
            // deadline.
            let deadline = Instant::now() + self.session.limits.deadline;
            self.survey.client = self.session.client.until(deadline);
        }
        let swept = self.sweep(&report, &plan_file).await?;
        self.session.progress.end();
        let Some((swept, begun)) = swept else {
            self.say(
                "stopped immediately: the journal has what was begun, and the next sweep recovers \
                 it",
            );
            return Ok(Exit::Interrupted);
        };
        report.add(swept, self.session.client.quota_use());
        let url = self.publish_unless_interrupted(&report, begun).await;
        github_actions::write_results(&report, url.as_deref().ok());
        self.print(&report)?;
        github_actions::write_metrics(&self.arguments.audit.common, &report)?;
        match url {
            Err(failure) if begun == Exit::Interrupted => print_error(&failure),
            url => drop(url?),
        }
        Ok(self.exit(&report, begun))
    }

    /// Publishes the result in the tracking issue and, with `--pr`, under the
    /// pull request, unless interrupted. Returns the address of the issue.
    async fn publish_unless_interrupted(
        &self,
        report: &Report,
        begun: Exit,
    ) -> Result<String, Failure> {
        if !self.arguments.report {
            return Ok(String::new());
        }
        tokio::select! {
            biased;
            url = self.publish(report, begun) => url,
            () = interrupted() => {
                Err(Failure::Interrupted("interrupted before the issue and the comment were \
                    written".to_owned()))
            }
        }
    }

    async fn publish(&self, report: &Report, begun: Exit) -> Result<String, Failure> {
        // Uses a deadline of its own, because that of the run may be over.
        let client = self.session.client.until(Instant::now() + PUBLISH_TIMEOUT);
        let repository = super::report::repository(self.session)?;
        let told = super::report::publish(&client, &repository, self.findings, report).await;
        if let Ok(told) = &told {
            self.say(&told.text);
        }
        let commented = match self.arguments.audit.pr.and_then(PullRequestNumber::new) {
            Some(number) => {
                let work = self.comment(&client, &repository, number, report, begun);
                work.await
                    .map_err(|error| format!("could not comment on the pull request: {error}"))
            }
            None => Ok(()),
        };
        match (told, commented) {
            (Ok(told), Ok(())) => Ok(told.url.unwrap_or_default()),
            (Err(failure), Ok(())) => Err(failure),
            (Ok(_), Err(why)) => Err(Failure::Unexpected(why)),
            (Err(failure), Err(why)) => Err(Failure::Unexpected(format!("{failure}; {why}"))),
        }
    }

    /// Comments on a pull request about failed deletions. Only a sweep that
    /// read everything and left nothing changes an earlier comment to success.
    async fn comment(
        &self,
        client: &Client,
        repository: &Repository,
        number: PullRequestNumber,
        report: &Report,
        begun: Exit,
    ) -> Result<(), Unanswered> {
        let github = GitHub::new(client.clone()).with_issue_authors(&self.session.issue_authors);
        let steps = report.swept.iter().flat_map(|swept| &swept.steps);
        let left: Vec<_> = steps.filter(|step| step.outcome.is_failure()).collect();
        if !left.is_empty() {
            let text = outcomes::left(report, &left);
            return github.sticky_comment(repository, number, &text).await;
        }
        let saw_everything = self.session.shown.is_none() && Exit::of(report, false) == Exit::Ok;
        if begun == Exit::Ok && saw_everything && !report.leaves_something() {
            let text = "The last sweep of this pull request had no failures.\n";
            github.change_comment(repository, number, text).await?;
        }
        Ok(())
    }

    /// Carries out the plan, and returns whether the user interrupted it.
    /// Returns `None` if the user did not wait for the requests in flight:
    /// their outcome is unknown.
    async fn sweep(
        &self,
        report: &Report,
        plan_file: &PlanFile,
    ) -> Result<Option<(Swept, Exit)>, Failure> {
        let folder = journal_folder(&self.arguments.audit.common, self.session)?;
        let stop = Stop::default();
        let survey = &self.survey;
        let work = self
            .collector
            .sweep(survey, self.findings, report, plan_file, &folder, &stop);
        tokio::pin!(work);
        let mut begun = Exit::Ok;
        let swept = tokio::select! {
            biased;
            swept = &mut work => swept,
            () = interrupted() => {
                begun = Exit::Interrupted;
                stop.set();
                self.say("finishing what is under way; interrupt again to stop at once");
                tokio::select! {
                    biased;
                    swept = &mut work => swept,
                    () = interrupted() => return Ok(None),
                }
            }
        };
        let mut swept = swept.map_err(|error| match error {
            SweepError::Journal(_) => {
                Failure::Usage(format!("{error}; name a folder with --journal"))
            }
            SweepError::Plan(_) => Failure::Usage(error.to_string()),
        })?;
        if let Some(why) = &swept.broken {
            print_error(&Failure::Unexpected(format!(
                "the journal could not be written any further, and nothing was sent after that: \
                 {why}"
            )));
        }
        if self.keeps_no_journal() {
            let _ = std::fs::remove_dir_all(&folder);
            swept.run = None;
        }
        if self.arguments.plan.is_none() && !stopped(self.findings, report) {
            let resources = &self.findings.inventory.resources;
            let deferred = self.plan.deferred.iter().map(|&index| &resources[index]);
            swept.steps.extend(deferred.map(StepRow::later));
        }
        Ok(Some((swept, begun)))
    }

    /// Returns whether the run uses an in-process sandbox, which ends with the
    /// process.
    fn keeps_no_journal(&self) -> bool {
        self.arguments.audit.common.journal.is_none()
            && self.session.connection.variables.are_the_sandboxes()
    }

    fn print(&self, report: &Report) -> Result<(), Failure> {
        let common = &self.arguments.audit.common;
        let unexpected = |error: &dyn std::fmt::Display| Failure::Unexpected(error.to_string());
        let Some(swept) = &report.swept else {
            return print(&render(report, common.format, table_style(common))?);
        };
        print(&match common.format {
            Format::Table => outcomes::table(report, swept, table_style(common)),
            Format::Markdown => outcomes::markdown(report, swept),
            Format::Csv => outcomes::csv(swept).map_err(|error| unexpected(&error))?,
            Format::Json => render(report, Format::Json, table_style(common))?,
        })
    }

    fn exit(&self, report: &Report, begun: Exit) -> Exit {
        match begun {
            Exit::Interrupted => begun,
            _ => Exit::of(report, self.arguments.audit.fail_on_garbage),
        }
    }

    fn say(&self, text: &str) {
        if !self.arguments.audit.common.quiet {
            let line = format!("{}\n", crate::report::escape::terminal(text));
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// A plan for people, with the summary of the audit behind it.
fn planned(report: &Report, plan_file: &PlanFile, style: TableStyle) -> String {
    let plan = plan::render(plan_file, style);
    format!("{plan}\n{}", table::summary(report, style))
}

/// Asks at the terminal for consent, which has to be typed out.
async fn agreed(steps: usize) -> Result<bool, Failure> {
    let wanted = format!("delete {steps}");
    let question = format!("Write \"{wanted}\" to go on: ");
    let mut stderr = std::io::stderr();
    let _ = stderr
        .write_all(question.as_bytes())
        .and_then(|()| stderr.flush());
    // Reads on a separate thread, because it may block forever.
    let (told, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        let _ = told.send(read.map(|_| answer));
    });
    match answer.await {
        Ok(Ok(answer)) => Ok(answer.trim() == wanted),
        Ok(Err(error)) => Err(Failure::Unexpected(format!(
            "cannot read the answer: {error}"
        ))),
        Err(_) => Ok(false),
    }
}

/// Returns the folder of the journals: from `--journal`, in the user's state
/// folder, or a temporary one for the sandbox.
pub(super) fn journal_folder(common: &CommonArgs, session: &Session) -> Result<PathBuf, Failure> {
    folder_of(common, session.connection.variables.are_the_sandboxes())
}
