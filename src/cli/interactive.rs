//! `preview-gc audit --interactive`: runs [`crate::tui`] in the terminal, with
//! the same collector as every command.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::args::AuditArgs;
use super::consent::is_unattended;
use super::screen::{ProgressRouter, Screen};
use super::session::Session;
use super::terminal::{table_style, wants_colour};
use super::{Exit, RunFailure, interrupted, print, print_rendered};
use crate::collector::{Audit, Choice, SweepOrder};
use crate::gc::Plan;
use crate::gc::plan_file::PlanFile;
use crate::report::Report;
use crate::report::format::Format;
use crate::report::listing::Selection;
use crate::report::style::TableStyle;
use crate::restore;
use crate::sweep::{Stop, Swept};
use crate::tui::{App, Command, DeletionProposal, Live};

/// How often the screen is redrawn while something is in progress.
const TICK: Duration = Duration::from_millis(100);

/// How a task that runs beside the screen ended.
enum TaskEnd<T> {
    /// The task finished.
    Done(T),
    /// The user did not wait for it.
    Interrupted,
}

/// An interactive session.
struct TableSession<'a> {
    session: &'a Session,
    screen: Screen,
    app: App,
    live: &'a Live,
    folder: PathBuf,
    /// The result of this session's sweeps.
    done: Swept,
    /// Further errors.
    failed: Option<Exit>,
}

/// Why the table is closed.
enum CloseReason {
    /// To refresh, with a message.
    Again(String),
    Quit,
    Interrupted,
}

pub(super) async fn run(arguments: AuditArgs) -> Result<Exit, RunFailure> {
    let person = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if is_unattended() || !person {
        return Err(RunFailure::Refused(
            "--interactive needs a person at a terminal; without one, audit prints the table"
                .to_owned(),
        ));
    }
    let session = Session::open(&arguments.common)?;
    session.warn(&arguments.common);
    let folder = session.journal_folder(&arguments.common)?;
    let live = Live::default();
    let progress_router = ProgressRouter {
        before: &session.progress,
        live: &live,
        on_screen: AtomicBool::new(false),
    };
    let mut table: Option<TableSession<'_>> = None;
    let mut message = String::new();
    let exit = loop {
        let deadline = Instant::now() + session.limits.deadline;
        let mut collector = session.collector(arguments.pr)?;
        collector.client = session.client.until(deadline);
        collector.observer = &progress_router;
        if table.is_some() {
            collector.now = session.connection.clock.now();
        }
        let listing = session.list(&collector);
        let (audit_scope, listed) = match wait(&mut table, "reading", listing).await? {
            TaskEnd::Done(listed) => listed?,
            TaskEnd::Interrupted => break Exit::Interrupted,
        };
        let auditing = collector.audit(&audit_scope, listed, Choice::All);
        let mut audit = match wait(&mut table, "reading", auditing).await? {
            TaskEnd::Done(audit) => audit,
            TaskEnd::Interrupted => break Exit::Interrupted,
        };
        if let Some(table) = &mut table {
            table.app.renew(audit.report.clone());
            table.app.show_message(std::mem::take(&mut message));
        } else {
            session.progress.end();
            progress_router.on_screen.store(true, Ordering::Relaxed);
            let colour = wants_colour(arguments.common.color, true);
            table = Some(TableSession {
                session: &session,
                screen: Screen::open()?,
                app: App::new(audit.report.clone(), colour),
                live: &live,
                folder: folder.clone(),
                done: Swept::default(),
                failed: None,
            });
        }
        let Some(table) = &mut table else { continue };
        match table.work(&mut audit).await? {
            CloseReason::Again(what) => message = what,
            CloseReason::Quit => break Exit::Ok,
            CloseReason::Interrupted => break Exit::Interrupted,
        }
    };
    match table {
        Some(table) => table.close(&arguments, exit),
        None => Ok(exit),
    }
}

/// Waits for a task and shows the table meanwhile, once there is one.
async fn wait<T>(
    table: &mut Option<TableSession<'_>>,
    what: &str,
    work: impl Future<Output = T>,
) -> Result<TaskEnd<T>, RunFailure> {
    match table {
        Some(table) => table.alongside(what, work, None).await,
        None => Ok(tokio::select! {
            biased;
            done = work => TaskEnd::Done(done),
            () = interrupted() => TaskEnd::Interrupted,
        }),
    }
}

impl TableSession<'_> {
    /// Closes the screen and prints what was deleted.
    fn close(self, arguments: &AuditArgs, exit: Exit) -> Result<Exit, RunFailure> {
        drop(self.screen);
        let session = self.session;
        let is_sandbox = session.connection.variables.are_the_sandboxes();
        if is_sandbox && arguments.common.journal.is_none() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
        let mut report = Report::clone(self.app.report());
        let mut done = self.done;
        if !done.steps.is_empty() {
            // What is gone has no row any more, and its pull request stands in the list.
            let there: BTreeSet<String> =
                report.resources.iter().map(|row| row.key.clone()).collect();
            let gone = self.app.gone_rows();
            let gone: Vec<_> = gone
                .filter(|row| !there.contains(&row.key) && !self.app.was_restored(&row.key))
                .cloned()
                .collect();
            report.resources.extend(gone);
            let before = done.steps.len();
            done.steps.retain(|step| !self.app.was_restored(&step.key));
            let restored = before - done.steps.len();
            report.add(done, session.client.quota_use());
            print_rendered(Format::Table.report(&report, table_style(&arguments.common)))?;
            if restored > 0 {
                let what = crate::report::brief::plural(restored, "resource");
                print(&format!(
                    "{what} {} deleted and restored in this session; `preview-gc restore --release NAME` \
                     ends the protection of each\n",
                    if restored == 1 { "was" } else { "were" }
                ))?;
            }
        }
        Ok(match (exit, self.failed) {
            (Exit::Interrupted, _) => exit,
            (_, Some(failed)) => failed,
            _ => Exit::of(&report, false),
        })
    }

    /// Draws and handles keys while a task is in progress.
    async fn alongside<T>(
        &mut self,
        what: &str,
        work: impl Future<Output = T>,
        stop: Option<&Stop>,
    ) -> Result<TaskEnd<T>, RunFailure> {
        tokio::pin!(work);
        self.live.clear();
        self.app.begin(what);
        let mut tick = tokio::time::interval(TICK);
        loop {
            self.screen.draw(&self.app, self.live)?;
            let command = tokio::select! {
                biased;
                done = &mut work => {
                    self.app.end();
                    return Ok(TaskEnd::Done(done));
                }
                event = self.screen.events.recv() => match event {
                    Some(event) => self.app.on(&event),
                    None => Some(Command::Interrupt),
                },
                () = interrupted() => Some(Command::Interrupt),
                _ = tick.tick() => None,
            };
            if command == Some(Command::Interrupt) {
                match stop.filter(|stop| !stop.is_set()) {
                    Some(stop) => {
                        stop.set();
                        self.app
                            .begin("finishing what is under way; q again stops at once");
                    }
                    None => return Ok(TaskEnd::Interrupted),
                }
            }
        }
    }

    /// Handles keys until the table is closed.
    async fn work(&mut self, audit: &mut Audit<'_>) -> Result<CloseReason, RunFailure> {
        loop {
            self.screen.draw(&self.app, self.live)?;
            let command = tokio::select! {
                event = self.screen.events.recv() => match event {
                    Some(event) => self.app.on(&event),
                    None => Some(Command::Interrupt),
                },
                () = interrupted() => Some(Command::Interrupt),
            };
            match command {
                None => {}
                Some(Command::Quit) => return Ok(CloseReason::Quit),
                Some(Command::Interrupt) => return Ok(CloseReason::Interrupted),
                Some(Command::Reload) => return Ok(CloseReason::Again(String::new())),
                Some(Command::Delete) if self.app.is_confirming() => {
                    return self.delete(audit).await;
                }
                Some(Command::Delete) => self.ask(audit),
                Some(Command::Restore(keys)) => {
                    let client = &audit.collector.client;
                    let until = Instant::now() + self.session.limits.deadline;
                    let client = client.until(until);
                    for key in keys {
                        if self.restore(&client, &key).await? {
                            return Ok(CloseReason::Interrupted);
                        }
                    }
                }
                Some(Command::Export(path)) => {
                    let message = self.export(Path::new(&path));
                    self.app.show_message(message.unwrap_or_else(|why| why));
                }
            }
        }
    }

    /// Returns the plan file for the marked resources.
    fn plan(&self, audit: &Audit<'_>) -> PlanFile {
        let marked = self.app.marked();
        audit.plan_file_for(|_, key| marked.contains(key))
    }

    /// Asks for confirmation, or shows why nothing can be deleted.
    fn ask(&mut self, audit: &Audit<'_>) {
        let proposal = DeletionProposal::of(
            &self.plan(audit),
            self.app.marked().len(),
            audit.collector.limits.max_deletions,
            &audit.brakes,
            audit.findings.roots.gap().map(|(_, why)| &**why),
        );
        match proposal {
            DeletionProposal::Nothing(why) => self.app.show_message(why),
            DeletionProposal::Steps { steps, notes } => self.app.confirm(steps, notes),
        }
    }

    /// Deletes the marked resources.
    async fn delete(&mut self, audit: &mut Audit<'_>) -> Result<CloseReason, RunFailure> {
        let plan_file = self.plan(audit);
        let stop = Stop::default();
        // The time until the confirmation does not count towards the deadline.
        let until = Instant::now() + self.session.limits.deadline;
        audit.survey.client = audit.collector.client.until(until);
        audit.survey.agreed_at = Some(audit.survey.client.clock().now());
        let folder = self.folder.clone();
        let order = SweepOrder {
            plan_file: &plan_file,
            plan: &Plan::default(),
            folder: &folder,
            stop: &stop,
        };
        let work = audit.sweep(&order);
        let swept = match self.alongside("deleting", work, Some(&stop)).await? {
            TaskEnd::Done(swept) => swept,
            // The journal records the started steps; the next run recovers
            // them.
            TaskEnd::Interrupted => return Ok(CloseReason::Interrupted),
        };
        let swept = match swept {
            Ok(swept) => swept,
            Err(error) => {
                self.failed = Some(Exit::Usage);
                return Ok(CloseReason::Again(format!("nothing was deleted: {error}")));
            }
        };
        self.app.settle(&swept.steps, swept.run.as_deref());
        let counts = swept.counts();
        let counts = counts
            .iter()
            .map(|(outcome, count)| format!("{count} {outcome}"));
        let mut message = counts.collect::<Vec<_>>().join(", ");
        if let Some(why) = &swept.broken {
            message = format!(
                "{message}; the journal could not be written any further, and nothing was sent after \
                 that: {why}"
            );
        }
        self.done.run = swept.run.or(self.done.run.take());
        self.done.broken = swept.broken.or(self.done.broken.take());
        self.done.steps.extend(swept.steps);
        self.done.settled.extend(swept.settled);
        if stop.is_set() {
            return Ok(CloseReason::Interrupted);
        }
        Ok(CloseReason::Again(message))
    }

    /// Restores one resource. Returns whether the user interrupted it.
    async fn restore(
        &mut self,
        client: &crate::wire::Client,
        key: &str,
    ) -> Result<bool, RunFailure> {
        let run = self
            .app
            .results()
            .get(key)
            .and_then(|result| result.run.clone());
        let (Some(run), Some((kind, id))) = (run, self.app.known(key)) else {
            return Ok(false);
        };
        let folder = self.folder.clone();
        let work = restore::restore_one(
            client,
            &folder,
            &run,
            (kind, &id),
            &self.session.issue_authors,
        );
        let restored = match self.alongside("restoring", work, None).await? {
            TaskEnd::Done(restored) => restored,
            TaskEnd::Interrupted => return Ok(true),
        };
        if !matches!(&restored, Ok(Some(one)) if one.is_done()) {
            self.failed.get_or_insert(Exit::Failed);
        }
        match restored {
            Ok(Some(one)) if one.is_back() => {
                self.app.restored(key, one.reason.clone());
                let result = one.result.title();
                self.app
                    .show_message(format!("{result}: {}; r refreshes the view", one.reason));
            }
            Ok(Some(one)) => self.app.show_message(one.reason),
            Ok(None) => self
                .app
                .show_message("that run did not delete it".to_owned()),
            Err(error) => self.app.show_message(error.to_string()),
        }
        Ok(false)
    }

    /// Writes the visible rows to a new file and returns a message.
    fn export(&self, path: &Path) -> Result<String, String> {
        let extension = path.extension().and_then(|end| end.to_str());
        let format = extension.and_then(Format::of_extension);
        let shown = self.app.visible();
        let format = format.unwrap_or(Format::Table);
        let text = format
            .audit(&shown, &Selection::all(), TableStyle::PLAIN)
            .map_err(|error| error.to_string())?;
        let options = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .to_owned();
        let written = options
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(format!(
            "{} resources are in {}",
            shown.resources.len(),
            path.display()
        ))
    }
}
