//! The command line: arguments, environment, commands and exit codes.

mod args;
mod audit;
mod check;
mod connect;
mod consent;
mod git_remote;
mod github_actions;
mod init;
mod interactive;
mod journals;
mod mistakes;
mod notify;
mod pager;
mod progress;
mod public;
mod report;
mod restore;
#[cfg(feature = "sandbox")]
mod sandbox;
mod screen;
mod session;
mod settings;
mod show;
mod sweep;
mod terminal;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use args::{Cli, Verb};

use crate::gc::Outcome;
use crate::model::code::Code;
use crate::report::Report;
use crate::report::format::RenderError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// A usage, policy or configuration error.
    #[error("{0}")]
    Usage(String),
    /// Mistakes in a policy, already rendered.
    #[error("{0}")]
    Policy(String),
    /// A sweep without consent and without a terminal to ask for it.
    #[error("{0}")]
    Refused(String),
    /// Data that every verdict depends on could not be read.
    #[error("{0}")]
    Incomplete(String),
    /// The user interrupted the run.
    #[error("{0}")]
    Interrupted(String),
    /// Any other error.
    #[error("{0}")]
    Unexpected(String),
}

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Ok = 0,
    /// Unexpected failure.
    Unexpected = 1,
    /// Usage, policy or configuration error.
    Usage = 2,
    /// Evidence incomplete.
    Incomplete = 3,
    /// A brake stopped the sweep.
    Braked = 4,
    /// Some deletions failed.
    Failed = 5,
    /// Garbage found, with `--fail-on-garbage`.
    Garbage = 6,
    /// A sweep without consent.
    Refused = 7,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// All codes, in the order of the help.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Unexpected,
        Self::Usage,
        Self::Incomplete,
        Self::Braked,
        Self::Failed,
        Self::Garbage,
        Self::Refused,
        Self::Interrupted,
    ];

    /// Returns the line about the code in the help and in README.
    pub fn about(self) -> &'static str {
        match self {
            Self::Ok => {
                "success; also if garbage was found, or if a sweep only deferred or kept resources"
            }
            Self::Unexpected => "unexpected failure",
            Self::Usage => "usage, policy or configuration error",
            Self::Incomplete => {
                "incomplete data, also where the token of Cloudflare or Neon is not set: the resources that depend on it were kept"
            }
            Self::Braked => "a brake stopped the sweep before its first deletion",
            Self::Failed => {
                "some deletions or restorations failed, are impossible or stayed in doubt"
            }
            Self::Garbage => {
                "garbage was found (--fail-on-garbage), or workflows and rules differ \
                 (init --check)"
            }
            Self::Refused => "refused: needs a person at a terminal, --yes or a plan file",
            Self::Interrupted => {
                "interrupted; requests in flight were finished or are in the journal"
            }
        }
    }

    /// Returns what the code means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "success",
            Self::Unexpected => "unexpected failure",
            Self::Usage => "usage, policy or configuration error",
            Self::Incomplete => "evidence incomplete: nothing was deleted that depends on it",
            Self::Braked => "a brake stopped the sweep before its first deletion",
            Self::Failed => "some deletions failed or stayed in doubt",
            Self::Garbage => "garbage found, or names and rules differ",
            Self::Refused => "refused: a sweep needs --yes, a plan file or a terminal",
            Self::Interrupted => "interrupted; what was begun is in the journal",
        }
    }

    /// Returns the first code that applies to a completed run.
    pub fn of(report: &Report, fail_on_garbage: bool) -> Self {
        let swept = report.swept.as_ref();
        let steps = || swept.into_iter().flat_map(|swept| &swept.steps);
        let mut doubts = swept.into_iter().flat_map(|swept| &swept.settled);
        let failed = steps().any(|step| step.outcome.is_failure())
            || doubts.any(|one| one.outcome == Outcome::InDoubt);
        let gone = steps().filter(|step| step.outcome.is_gone()).count();
        if swept.is_some_and(|swept| swept.broken.is_some()) {
            Self::Unexpected
        } else if swept.is_some() && !report.brakes.is_empty() {
            Self::Braked
        } else if failed {
            Self::Failed
        } else if !report.complete {
            Self::Incomplete
        } else if fail_on_garbage && report.garbage() > gone {
            Self::Garbage
        } else {
            Self::Ok
        }
    }
}

impl RunFailure {
    /// Returns its stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Usage(_) => Code::UsageError,
            Self::Policy(_) => Code::PolicyError,
            Self::Refused(_) => Code::NoConsent,
            Self::Incomplete(_) => Code::EvidenceIncomplete,
            Self::Interrupted(_) => Code::Interrupted,
            Self::Unexpected(_) => Code::UnexpectedError,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Policy(_) => Exit::Usage,
            Self::Refused(_) => Exit::Refused,
            Self::Incomplete(_) => Exit::Incomplete,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Unexpected(_) => Exit::Unexpected,
        }
    }
}

/// Runs the program with the process's arguments and environment.
pub fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are output; everything else is a usage error.
            let _ = error.print();
            if !error.use_stderr() {
                return ExitCode::from(Exit::Ok as u8);
            }
            github_actions::begin();
            github_actions::end(&Err(RunFailure::Usage(error.to_string())));
            return ExitCode::from(Exit::Usage as u8);
        }
    };
    github_actions::begin();
    let verbose = cli.verbosity();
    log(verbose);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli));
            // The address of a host may still be looked up on a thread.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(RunFailure::Unexpected(format!(
            "cannot start the runtime: {error}"
        ))),
    };
    github_actions::end(&result);
    let exit = result.unwrap_or_else(|failure| {
        print_error(&failure);
        failure.exit()
    });
    ExitCode::from(exit as u8)
}

async fn run(cli: Cli) -> Result<Exit, RunFailure> {
    // Commands that delete finish the requests in flight before they stop.
    let verb = match cli.verb {
        Some(Verb::Sweep(arguments)) => return sweep::run(arguments).await,
        Some(Verb::Audit(arguments)) if arguments.interactive => {
            return Box::pin(interactive::run(arguments.audit)).await;
        }
        None if cli.audit.interactive => {
            return Box::pin(interactive::run(cli.audit.audit)).await;
        }
        verb => verb,
    };
    let work = async {
        match verb {
            None => audit::run(cli.audit).await,
            Some(Verb::Audit(arguments)) => audit::run(arguments).await,
            Some(Verb::Explain { name, arguments }) => audit::explain(arguments, &name).await,
            Some(Verb::Check(arguments)) => check::run(arguments).await,
            Some(Verb::Init(arguments)) => init::run(arguments).await,
            Some(Verb::Restore(arguments)) => restore::run(arguments).await,
            Some(Verb::Report(arguments)) => report::run(arguments).await,
            Some(Verb::Completions { shell }) => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut args::command(), "preview-gc", &mut text);
                print(&String::from_utf8_lossy(&text)).map(|()| Exit::Ok)
            }
            Some(Verb::Man { command, dir }) => man(command, dir),
            Some(Verb::Show(arguments)) => show::run(&arguments),
            Some(Verb::Sweep(arguments)) => sweep::run(arguments).await,
            #[cfg(feature = "sandbox")]
            Some(Verb::Sandbox(arguments)) => sandbox::run(arguments).await,
        }
    };
    tokio::select! {
        biased;
        result = work => result,
        () = interrupted() => Ok(Exit::Interrupted),
    }
}

/// Prints the manual page of one command, or writes those of all to a folder.
fn man(command: Option<String>, dir: Option<PathBuf>) -> Result<Exit, RunFailure> {
    let unexpected = |error: std::io::Error| RunFailure::Unexpected(error.to_string());
    let all = args::manual();
    if let Some(dir) = dir {
        let written =
            std::fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(all, &dir));
        return written.map(|()| Exit::Ok).map_err(|error| {
            let dir = dir.display();
            RunFailure::Usage(format!(
                "could not write the manual pages to {dir}: {error}; name another folder"
            ))
        });
    }
    let page = match command {
        None => all,
        Some(name) => all.find_subcommand(&name).cloned().ok_or_else(|| {
            RunFailure::Usage(format!(
                "there is no command {name:?}; `preview-gc --help` lists them"
            ))
        })?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(unexpected)?;
    print(&String::from_utf8_lossy(&text)).map(|()| Exit::Ok)
}

/// Waits for Ctrl-C or a termination signal.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Logs requests and responses to stderr, for `-v`.
fn log(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => "preview_gc=info",
        2 => "preview_gc=debug",
        _ => "preview_gc=trace,hyper=debug,reqwest=debug",
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // It would print with a macro that panics where stderr is closed.
        .log_internal_errors(false)
        .init();
}

/// Prints an error to stderr. Mistakes in policies are already rendered.
fn print_error(failure: &RunFailure) {
    let text = match failure {
        RunFailure::Policy(rendered) => rendered.clone(),
        RunFailure::Usage(_)
        | RunFailure::Refused(_)
        | RunFailure::Incomplete(_)
        | RunFailure::Interrupted(_)
        | RunFailure::Unexpected(_) => {
            let lines: Vec<_> = failure
                .to_string()
                .lines()
                .map(crate::report::escape::terminal)
                .collect();
            format!("error[{}]: {}\n", failure.code(), lines.join("\n"))
        }
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Returns a rendered report, or why it could not be rendered.
fn rendered(text: Result<String, RenderError>) -> Result<String, RunFailure> {
    text.map_err(|error| RunFailure::Unexpected(error.to_string()))
}

/// Prints a rendered report to stdout.
fn print_rendered(text: Result<String, RenderError>) -> Result<(), RunFailure> {
    print(&rendered(text)?)
}

/// Prints data to stdout. A closed pipe (`| head`) is not an error.
fn print(text: &str) -> Result<(), RunFailure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(
            RunFailure::Unexpected(format!("cannot write to stdout: {error}")),
        ),
        _ => Ok(()),
    }
}
