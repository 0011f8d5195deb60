//! The command line: every option of every command is declared here, so that they
//! read alike. The file is long because it is a list: apart they would drift apart.

mod limits;
mod parse;
mod values;

#[cfg(feature = "sandbox")]
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::limits::LimitArgs;
use self::values::{kind_help, kind_names, login, pull_request, time, whole};
use super::Exit;
use crate::gc::verdict::VerdictName;
use crate::report::format::Format;
use crate::report::listing::{Selection, Sort};

pub(super) use self::parse::{command, manual};

/// What connections go by.
const CONNECTIONS: &str = "Connections:
  preview-gc trusts the certificates of the system, or those that SSL_CERT_FILE
  and SSL_CERT_DIR name. It uses the proxies that HTTPS_PROXY, ALL_PROXY and
  NO_PROXY name, but never for localhost, 127.0.0.1 and ::1.";

/// The width to which clap wraps the help if it knows no other.
const HELP_WIDTH: usize = 80;

/// The exit codes, as the help lists them.
static EXIT_CODES: LazyLock<String> = LazyLock::new(|| {
    let mut text = "Exit codes:".to_owned();
    for exit in Exit::ALL {
        let mut line = format!("  {:<4}", exit as u8);
        for word in exit.about().split(' ') {
            if line.len() + 1 + word.len() > HELP_WIDTH {
                text.push('\n');
                text.push_str(&line);
                line = " ".repeat(6);
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push('\n');
        text.push_str(&line);
    }
    text
});

/// What follows the help of the commands that people type by hand.
const EXAMPLES: [(&str, &str); 7] = [
    (
        "audit",
        "preview-gc audit --sandbox         try it on a simulated cloud
  preview-gc audit --all             list every resource with its verdict
  preview-gc audit --pr 97           only what belongs to pull request #97
  preview-gc audit --out plan.json   also write a plan file",
    ),
    (
        "explain",
        "preview-gc explain api-preview-97
  preview-gc explain api-preview-97 -v   also list attributes and requests",
    ),
    (
        "sweep",
        "preview-gc sweep --dry-run          show the plan and delete nothing
  preview-gc sweep --pr 97 --yes      delete what pull request #97 left behind
  preview-gc sweep --plan plan.json   delete what a plan file lists",
    ),
    (
        "init",
        "preview-gc init --sandbox    show it on a simulated cloud
  preview-gc init --workflow   also write a workflow that reports every week
  preview-gc init --adopt      let rules delete, one by one, once they are right",
    ),
    (
        "check",
        "preview-gc check                            test policies, tokens and permissions
  preview-gc check --offline api-preview-97   show which rule matches a name
  preview-gc check --branch feature/Foo       show the slug of a git branch",
    ),
    (
        "report",
        "preview-gc report --dry-run   print the text of the issue
  preview-gc report             create or update the issue",
    ),
    (
        "restore",
        "preview-gc restore            list the runs and what they deleted
  preview-gc restore RUN NAME   restore one resource of a run
  preview-gc restore --release NAME",
    ),
];

/// The formats of the commands that do not have all.
const FORMATS: [(&str, &str); 6] = [
    ("check", "table, markdown or json"),
    ("explain", "table or json"),
    ("init", "table or json"),
    ("report", "table, markdown or json"),
    ("restore", "table or json"),
    ("show", "table, markdown or json"),
];

/// Headings of the help.
const SELECTION: &str = "Selection";
const OUTPUT: &str = "Output";
const DELETION: &str = "Deletion";
const LIMITS: &str = "Limits";

/// The version, with the commit and its date if the build sets them, as a release
/// does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    version(
        option_env!("PREVIEW_GC_COMMIT"),
        option_env!("PREVIEW_GC_COMMIT_DATE"),
    )
});

fn version(commit: Option<&str>, date: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = commit.and_then(|commit| commit.get(..10));
    match (commit, date.filter(|date| !date.is_empty())) {
        (Some(commit), Some(date)) => format!("{version} ({commit} {date})"),
        (Some(commit), None) => format!("{version} ({commit})"),
        (None, _) => version.to_owned(),
    }
}

/// Find what pull requests left behind on Neon and Cloudflare, and say why
#[derive(Debug, Parser)]
#[command(version = VERSION.as_str(), about, after_help = format!("{}\n\n{CONNECTIONS}", *EXIT_CODES), args_conflicts_with_subcommands = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    #[command(flatten)]
    pub(super) audit: AuditVerbArgs,
}

impl Cli {
    pub(super) fn verbosity(&self) -> u8 {
        match &self.verb {
            None => self.audit.audit.common.verbose,
            Some(Verb::Audit(audit)) => audit.audit.common.verbose,
            Some(Verb::Explain { arguments, .. }) => arguments.common.verbose,
            Some(Verb::Check(check)) => check.common.verbose,
            Some(Verb::Init(init)) => init.common.verbose,
            Some(Verb::Sweep(sweep)) => sweep.audit.common.verbose,
            Some(Verb::Report(report)) => report.audit.common.verbose,
            Some(Verb::Restore(restore)) => restore.common.verbose,
            Some(Verb::Completions { .. } | Verb::Man { .. } | Verb::Show(_)) => 0,
            #[cfg(feature = "sandbox")]
            Some(Verb::Sandbox(_)) => 0,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List garbage and what is unknown, with the reasons (the default)
    #[command(after_help = EXIT_CODES.as_str())]
    Audit(AuditVerbArgs),
    /// Propose a policy from what exists, with the evidence
    #[command(after_help = EXIT_CODES.as_str())]
    Init(InitArgs),
    /// Explain the verdict of one resource, with the evidence
    Explain {
        /// Name or id of the resource
        name: String,
        #[command(flatten)]
        arguments: AuditArgs,
    },
    /// Delete garbage, and nothing else: shows the plan and asks
    #[command(after_help = EXIT_CODES.as_str())]
    Sweep(SweepArgs),
    /// Show the steps of a plan file
    Show(ShowArgs),
    /// Report what is left behind in one GitHub issue, updated by every run
    #[command(after_help = EXIT_CODES.as_str())]
    Report(ReportArgs),
    /// Restore what a sweep deleted, as far as that is possible
    Restore(RestoreArgs),
    /// Check policies, credentials and permissions with read requests
    Check(CheckArgs),
    /// Serve a simulated cloud over HTTP on loopback
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of preview-gc or of one command
    Man {
        /// The command
        command: Option<String>,
        /// Write the pages of all commands to this folder
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Args)]
pub(super) struct AuditVerbArgs {
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    #[command(flatten)]
    pub(super) list: ListArgs,
    /// Work in an interactive table: filter, explain, mark, delete, restore
    #[arg(long, short, conflicts_with_all = ["out", "fail_on_garbage", "verbose"], help_heading = OUTPUT)]
    pub(super) interactive: bool,
}

/// Which resources a list shows.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// List every resource, and not only garbage and what is unknown
    #[arg(long, short, help_heading = OUTPUT)]
    all: bool,
    /// List only resources with this verdict (repeat or separate with commas)
    #[arg(long, value_enum, value_delimiter = ',', help_heading = OUTPUT)]
    verdict: Vec<VerdictName>,
    /// Order of the list: age (what ended first comes first), pr (newest pull request
    /// first), kind, name
    #[arg(long, value_enum, default_value = "age", help_heading = OUTPUT)]
    sort: Sort,
    /// Maximum number of resources in the list; 0 lists all [default: 300 in a
    /// table without --all, else 0]
    #[arg(long, value_name = "N", value_parser = whole, allow_negative_numbers = true, help_heading = OUTPUT)]
    limit: Option<usize>,
}

impl ListArgs {
    /// Returns what to list. One pull request is listed completely.
    pub(super) fn selection(&self, only: Option<u32>) -> Selection {
        Selection {
            all: self.all || only.is_some(),
            verdicts: self.verdict.iter().copied().collect(),
            sort: self.sort,
            limit: self.limit,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Only what belongs to this pull request, with the grace of
    /// --grace-on-close
    #[arg(long, value_name = "N", value_parser = pull_request, help_heading = SELECTION)]
    pub(super) pr: Option<u32>,
    /// Exit with 6 when garbage is found
    #[arg(long, help_heading = OUTPUT)]
    pub(super) fail_on_garbage: bool,
    /// Write the plan to this file, for `sweep --plan`
    #[arg(long, value_name = "FILE", value_parser = parse::named_file, help_heading = OUTPUT)]
    pub(super) out: Option<PathBuf>,
}

/// Arguments of every command that reads.
#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// Policy file or folder of policy files (repeat for more) [default: policies
    /// and .github/preview-gc]
    #[arg(long, value_name = "PATH", env = "PREVIEW_GC_POLICIES", help_heading = SELECTION)]
    pub(super) policies: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "table", env = "PREVIEW_GC_FORMAT", help_heading = OUTPUT)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format", help_heading = OUTPUT)]
    json: bool,
    /// Run against a simulated cloud inside the program; WORLD is a world file
    /// [default: a demo world]
    #[cfg(feature = "sandbox")]
    #[arg(long,
        value_name = "WORLD",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "", help_heading = SELECTION)]
    sandbox: Option<String>,
    /// Only resources of these kinds; what other kinds use is kept (repeat or separate
    /// with commas)
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind_names(), hide_possible_values = true, long_help = kind_help(), help_heading = SELECTION)]
    pub(super) kind: Vec<String>,
    /// Repository whose pull requests decide, if the policy names none [default:
    /// GITHUB_REPOSITORY, else git's remote `origin`]
    #[arg(long, value_name = "OWNER/NAME", help_heading = SELECTION)]
    pub(super) repository: Option<String>,
    /// Another account whose tracking issue and comments count as this tool's own
    #[arg(long,
        value_name = "LOGIN",
        env = "PREVIEW_GC_ISSUE_AUTHOR",
        value_parser = login,
        value_delimiter = ',', help_heading = SELECTION, hide_short_help = true)]
    pub(super) issue_author: Vec<String>,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    /// Folder of the journals [default: in the user's state folder]
    #[arg(long, value_name = "DIR", env = "PREVIEW_GC_JOURNAL", help_heading = OUTPUT)]
    pub(super) journal: Option<PathBuf>,
    /// Write metrics of the run to this file: Prometheus text if it ends in
    /// `.prom`, else JSON
    #[arg(long, value_name = "FILE", env = "PREVIEW_GC_METRICS", help_heading = OUTPUT)]
    pub(super) metrics: Option<PathBuf>,
    /// The time of the run; only for the sandbox
    #[arg(long, value_name = "RFC3339", value_parser = time, env = "PREVIEW_GC_NOW", help_heading = SELECTION, hide_short_help = true)]
    pub(super) now: Option<DateTime<Utc>>,
    /// When to use colour
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN", help_heading = OUTPUT)]
    pub(super) color: ColorChoice,
    /// Do not use a pager (PAGER) for output longer than the screen
    #[arg(long, help_heading = OUTPUT)]
    pub(super) no_pager: bool,
    /// Print no progress and no warnings; the result is still printed
    #[arg(long, short, help_heading = OUTPUT)]
    pub(super) quiet: bool,
    /// Log requests and responses (repeat for more detail)
    #[arg(long, short, action = clap::ArgAction::Count, conflicts_with = "quiet", help_heading = OUTPUT)]
    pub(super) verbose: u8,
}

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    /// Delete without asking
    #[arg(long, short, conflicts_with = "dry_run", help_heading = DELETION)]
    pub(super) yes: bool,
    /// Delete what this plan file (of `audit --out`) lists, without asking; what
    /// changed since is kept
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "dry_run", "kind", "pr"], help_heading = DELETION)]
    pub(super) plan: Option<PathBuf>,
    /// Print the plan and delete nothing; with --format json it is the plan file
    #[arg(long, short = 'n', help_heading = DELETION)]
    pub(super) dry_run: bool,
    /// Delete only what has its "delete" box checked in the tracking issue
    #[arg(long, conflicts_with = "plan", help_heading = DELETION)]
    pub(super) approved: bool,
    /// Delete Workers by their id instead of their name, which another Worker may
    /// take in the meantime; the API for it is in beta
    #[arg(long, env = "PREVIEW_GC_WORKERS_BY_ID", value_parser = FalseyValueParser::new(), help_heading = DELETION)]
    pub(super) workers_by_id: bool,
    /// Update the tracking issue, and comment on the pull request of --pr if a
    /// deletion failed
    #[arg(long, help_heading = OUTPUT)]
    pub(super) report: bool,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
    #[command(flatten)]
    pub(super) notify: NotifyArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The plan file, which `audit --out` wrote
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Output format
    #[arg(
        long,
        value_enum,
        default_value = "table",
        env = "PREVIEW_GC_FORMAT",
        help_heading = OUTPUT
    )]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format", help_heading = OUTPUT)]
    json: bool,
    /// When to use colour
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        help_heading = OUTPUT
    )]
    pub(super) color: ColorChoice,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    /// Print the text of the issue and write nothing
    #[arg(long, short = 'n', help_heading = OUTPUT)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
    #[command(flatten)]
    pub(super) notify: NotifyArgs,
}

/// The schedule of runs, which the issue shows.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// Schedule of the runs in UTC, as a workflow writes it; the issue shows the
    /// next one [default: the schedule that Actions names]
    #[arg(long = "schedule", value_name = "CRON", env = "PREVIEW_GC_SCHEDULE", help_heading = OUTPUT, hide_short_help = true)]
    pub(super) cron: Option<String>,
}

/// Where people are notified of what needs their attention.
#[derive(Debug, Args)]
pub(super) struct NotifyArgs {
    /// Slack-compatible webhook that is told of new failures, brakes and missing
    /// data; its address is a secret, so prefer the variable
    #[arg(long, value_name = "URL", env = "PREVIEW_GC_NOTIFY_URL", hide_env_values = true, help_heading = OUTPUT, hide_short_help = true)]
    pub(super) notify_url: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The run whose deletions to undo [default: list the runs]
    pub(super) run: Option<String>,
    /// Names or ids of what to restore [default: everything]
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Show the runs and what can be restored of each
    #[arg(long, conflicts_with_all = ["run", "names"])]
    pub(super) list: bool,
    /// Let later sweeps delete a restored resource again, by name or id
    #[arg(long, value_name = "NAME", conflicts_with_all = ["run", "names", "list"])]
    pub(super) release: Vec<String>,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Names to match against the rules, as if resources had them
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Git branch: show what each slug function makes of it, and the names that
    /// rules then match (repeat for more)
    #[arg(long, value_name = "BRANCH")]
    pub(super) branch: Vec<String>,
    /// File with more names, one per line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) names_from: Option<PathBuf>,
    /// Check the policies only and send no request
    #[arg(long)]
    pub(super) offline: bool,
    /// Also walk every listing to its end, compare totals, and ask what the
    /// providers' documents leave open; writes nothing
    #[arg(long, conflicts_with = "offline")]
    pub(super) deep: bool,
    /// Print the JSON schema of policy files and exit
    #[arg(long)]
    pub(super) schema: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// File to write the policy to [default: policies/previews.toml]
    #[arg(long, value_name = "FILE", value_parser = parse::named_file, conflicts_with_all = ["check", "adopt"], help_heading = OUTPUT)]
    pub(super) out: Option<PathBuf>,
    /// Replace files that exist, instead of showing a diff
    #[arg(long, conflicts_with_all = ["check", "adopt"])]
    pub(super) force: bool,
    /// Also write a workflow that reports every week
    #[arg(long, conflicts_with_all = ["check", "adopt"])]
    pub(super) workflow: bool,
    /// For CI, without any request: exit with 6 if a workflow creates a name that no
    /// rule matches, or none creates what a rule matches
    #[arg(long, conflicts_with = "adopt")]
    pub(super) check: bool,
    /// Show what each rule that reports would delete, and turn it into one that
    /// deletes where you say so
    #[arg(long)]
    pub(super) adopt: bool,
}

/// The sandbox of a run.
#[cfg_attr(
    not(feature = "sandbox"),
    expect(dead_code, reason = "without the sandbox no run is against one")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SandboxSource<'a> {
    /// The demo world.
    Demo,
    /// A world file.
    World(&'a Path),
}

impl ShowArgs {
    /// Returns the output format.
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

impl CommonArgs {
    /// Returns the output format.
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    /// Returns the sandbox, if the run uses one.
    #[cfg(feature = "sandbox")]
    pub(super) fn sandbox(&self) -> Option<SandboxSource<'_>> {
        let path = self.sandbox.as_deref()?;
        Some(if path.is_empty() {
            SandboxSource::Demo
        } else {
            SandboxSource::World(Path::new(path))
        })
    }

    /// Returns `None`: this build has no sandbox.
    #[cfg(not(feature = "sandbox"))]
    #[expect(clippy::unused_self, reason = "with the sandbox it is a flag")]
    pub(super) fn sandbox(&self) -> Option<SandboxSource<'_>> {
        None
    }
}

#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// World file [default: a demo world]
    #[arg(long, value_name = "FILE")]
    pub(super) world: Option<PathBuf>,
    /// Loopback address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// Cloudflare's request quota, as N/SECONDS or off
    #[arg(long, value_name = "QUOTA", default_value = "1200/300")]
    pub(super) quota: crate::sandbox::quota::SandboxQuota,
    /// How long every answer takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(super) latency_ms: u64,
}

#[cfg(test)]
mod tests;
