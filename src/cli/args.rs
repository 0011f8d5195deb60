//! What can be typed.

#[cfg(feature = "sandbox")]
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "Exit codes:
  0    did what was asked (audit: also when garbage was found)
  1    unexpected failure
  2    usage, policy or configuration error
  3    evidence incomplete: nothing rests on it
  4    a brake stopped the sweep before its first deletion
  5    some deletions failed or stayed in doubt
  6    garbage found, with --fail-on-garbage
  7    refused: a sweep needs --yes, a plan file or a terminal
  130  interrupted";

/// Find what pull requests left behind on Neon and Cloudflare, and say why
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
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
            Some(Verb::Sweep(sweep)) => sweep.audit.common.verbose,
            Some(Verb::Report(report)) => report.audit.common.verbose,
            Some(Verb::Restore(restore)) => restore.common.verbose,
            Some(Verb::Completions { .. } | Verb::Man) => 0,
            #[cfg(feature = "sandbox")]
            Some(Verb::Sandbox(_)) => 0,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List every resource with its verdict (the default)
    #[command(after_help = EXIT_CODES)]
    Audit(AuditVerbArgs),
    /// Print the whole chain behind the verdict of one resource
    Explain {
        /// Name or id of the resource
        name: String,
        #[command(flatten)]
        arguments: AuditArgs,
    },
    /// Delete what is garbage, and nothing else
    #[command(after_help = EXIT_CODES)]
    Sweep(SweepArgs),
    /// Tell what is left behind in one living GitHub issue
    #[command(after_help = EXIT_CODES)]
    Report(ReportArgs),
    /// Put back what a sweep deleted, as far as it can be
    Restore(RestoreArgs),
    /// Check policies, credentials and permissions, by harmless reads
    Check(CheckArgs),
    /// Serve a stand-in cloud over HTTP on loopback
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
    Markdown,
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
    /// Work in the table: filter, ask why, mark, delete, put back
    #[arg(long, short, conflicts_with_all = ["out", "fail_on_garbage", "verbose"])]
    pub(super) interactive: bool,
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Judge only what belongs to this pull request
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_147_483_647))]
    pub(super) pr: Option<u32>,
    /// Exit with 6 when there is garbage
    #[arg(long)]
    pub(super) fail_on_garbage: bool,
    /// Write the plan that `sweep --plan` carries out to this file
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

/// What every verb that reads takes.
#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// Policy file, or folder of policy files
    #[arg(long, value_name = "PATH", env = "PREVIEW_GC_POLICIES")]
    pub(super) policies: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value = "table", env = "PREVIEW_GC_FORMAT")]
    pub(super) format: Format,
    /// Run against a stand-in cloud inside the program [default world: a demo]
    #[cfg(feature = "sandbox")]
    #[arg(
        long,
        value_name = "WORLD",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    sandbox: Option<String>,
    /// Only this kind
    #[arg(long, value_name = "KIND")]
    pub(super) kind: Vec<String>,
    /// Whose pull requests, where the policy does not say
    #[arg(long, value_name = "OWNER/NAME")]
    pub(super) repository: Option<String>,
    /// Another account whose tracking issue and comments count as this tool's
    #[arg(
        long,
        value_name = "LOGIN",
        env = "PREVIEW_GC_ISSUE_AUTHOR",
        value_delimiter = ','
    )]
    pub(super) issue_author: Vec<String>,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    /// Folder of the journals [default: in the user's state folder]
    #[arg(long, value_name = "DIR", env = "PREVIEW_GC_JOURNAL")]
    pub(super) journal: Option<PathBuf>,
    /// Write figures of the run to this file: Prometheus text if it ends in
    /// `.prom`, else JSON
    #[arg(long, value_name = "FILE", env = "PREVIEW_GC_METRICS")]
    pub(super) metrics: Option<PathBuf>,
    /// The time to judge by; only against loopback
    #[arg(long, value_name = "RFC3339", env = "PREVIEW_GC_NOW")]
    pub(super) now: Option<DateTime<Utc>>,
    /// When to use colour
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(super) color: ColorChoice,
    /// No progress and no warnings
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Say what is asked (repeat for more)
    #[arg(long, short, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,
}

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    /// Do it without asking
    #[arg(long, short, conflicts_with = "dry_run")]
    pub(super) yes: bool,
    /// Carry out only the steps of this plan, which `audit --out` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "dry_run"])]
    pub(super) plan: Option<PathBuf>,
    /// Print the plan and do nothing; as JSON it is the plan file itself
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Delete only what is ticked for deletion in the tracking issue
    #[arg(long, conflicts_with = "plan")]
    pub(super) approved: bool,
    /// Tell the outcome in the tracking issue, and under the pull request of --pr
    /// when something failed
    #[arg(long)]
    pub(super) report: bool,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    /// Print the issue's text and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
}

/// When runs are due, which the issue tells.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// When runs are scheduled, in UTC, as a workflow writes it [default: what
    /// Actions says began this run]
    #[arg(long = "schedule", value_name = "CRON", env = "PREVIEW_GC_SCHEDULE")]
    pub(super) cron: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The run, as `restore --list` and the sweep call it
    #[arg(required_unless_present_any = ["list", "release"])]
    pub(super) run: Option<String>,
    /// Names or ids of what to put back [default: everything]
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Show the runs, and what each would give back
    #[arg(long, conflicts_with_all = ["run", "names"])]
    pub(super) list: bool,
    /// Let later sweeps delete again what was put back, by name or id
    #[arg(long, value_name = "NAME", conflicts_with_all = ["run", "names", "list"])]
    pub(super) release: Vec<String>,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Names to read, as if resources were called so
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// File with more names, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) names_from: Option<PathBuf>,
    /// Look at the policies only; ask no provider
    #[arg(long)]
    pub(super) offline: bool,
    /// Print the JSON schema of policy files and end
    #[arg(long)]
    pub(super) schema: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

/// Which stand-in a run is against.
#[cfg_attr(
    not(feature = "sandbox"),
    expect(dead_code, reason = "without the sandbox no run is against one")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn<'a> {
    /// The demo world.
    Demo,
    /// The world of a file.
    World(&'a Path),
}

impl CommonArgs {
    /// The stand-in, when the run is against one.
    #[cfg(feature = "sandbox")]
    pub(super) fn sandbox(&self) -> Option<StandIn<'_>> {
        let path = self.sandbox.as_deref()?;
        Some(if path.is_empty() {
            StandIn::Demo
        } else {
            StandIn::World(Path::new(path))
        })
    }

    /// None: this program has no stand-in.
    #[cfg(not(feature = "sandbox"))]
    #[expect(clippy::unused_self, reason = "with the sandbox it is a flag")]
    pub(super) fn sandbox(&self) -> Option<StandIn<'_>> {
        None
    }
}

/// Limits: a flag before the environment before the policy before the default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// How long after its death a resource is kept [default: 24h]
    #[arg(long, value_name = "DURATION", env = "PREVIEW_GC_GRACE")]
    pub(super) grace: Option<String>,
    /// The same with --pr [default: 0s]
    #[arg(long, value_name = "DURATION", env = "PREVIEW_GC_GRACE_ON_CLOSE")]
    pub(super) grace_on_close: Option<String>,
    /// Most deletions in one run, oldest first [default: 50]
    #[arg(long, value_name = "N", env = "PREVIEW_GC_MAX_DELETIONS")]
    pub(super) max_deletions: Option<u64>,
    /// Most garbage of one kind before a sweep is refused [default: 200]
    #[arg(long, value_name = "N", env = "PREVIEW_GC_BRAKE_COUNT")]
    pub(super) brake_count: Option<u64>,
    /// Largest share of garbage among what is claimed of one kind [default: 0.6]
    #[arg(long, value_name = "0..1", env = "PREVIEW_GC_BRAKE_SHARE")]
    pub(super) brake_share: Option<f64>,
    /// Garbage from which on that share counts [default: 20]
    #[arg(long, value_name = "N", env = "PREVIEW_GC_BRAKE_FLOOR")]
    pub(super) brake_floor: Option<u64>,
    /// Part of each provider's request quota to use [default: 0.5]
    #[arg(long, value_name = "0..1", env = "PREVIEW_GC_QUOTA_SHARE")]
    pub(super) quota_share: Option<f64>,
    /// Requests of Cloudflare's quota that are always left for others, as far as
    /// it tells what is left [default: a fiftieth of the quota]
    #[arg(long, value_name = "N", env = "PREVIEW_GC_QUOTA_RESERVE")]
    pub(super) quota_reserve: Option<u64>,
    /// How old a listing may be when a deletion rests on it [default: 30s]
    #[arg(long, value_name = "DURATION", env = "PREVIEW_GC_REREAD_AFTER")]
    pub(super) reread_after: Option<String>,
    /// How old a plan file may be when it is carried out [default: 24h]
    #[arg(long, value_name = "DURATION", env = "PREVIEW_GC_PLAN_AGE")]
    pub(super) plan_age: Option<String>,
    /// How long the run may take [default: 20m]
    #[arg(long, value_name = "DURATION", env = "PREVIEW_GC_DEADLINE")]
    pub(super) deadline: Option<String>,
    /// Most requests for what single resources use; where they are used up, what
    /// is left is kept as unknown [default: 1000]
    #[arg(long, value_name = "N", env = "PREVIEW_GC_REFERENCE_READS")]
    pub(super) reference_reads: Option<u64>,
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
    pub(super) quota: crate::sandbox::quota::Quota,
    /// How long every answer takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(super) latency_ms: u64,
}
