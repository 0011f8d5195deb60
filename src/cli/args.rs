//! The command line.

#[cfg(feature = "sandbox")]
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::format::Format;

const EXIT_CODES: &str = "Exit codes:
  0    did what was asked (audit: also when garbage was found)
  1    unexpected failure
  2    usage, policy or configuration error
  3    evidence incomplete: nothing was deleted that depends on it
  4    a brake stopped the sweep before its first deletion
  5    some deletions failed or stayed in doubt
  6    garbage found, with --fail-on-garbage
  7    refused: a sweep needs --yes, a plan file or a terminal
  130  interrupted";

/// Headings of the help.
const SELECTION: &str = "Selection";
const OUTPUT: &str = "Output";
const DELETION: &str = "Deletion";
const LIMITS: &str = "Limits";

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
            Some(Verb::Completions { .. } | Verb::Man { .. } | Verb::Show(_)) => 0,
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
    /// Explain the verdict of one resource, with the evidence
    Explain {
        /// Name or id of the resource
        name: String,
        #[command(flatten)]
        arguments: AuditArgs,
    },
    /// Delete garbage, and nothing else
    #[command(after_help = EXIT_CODES)]
    Sweep(SweepArgs),
    /// Show the steps of a plan file
    Show(ShowArgs),
    /// Report what is left behind in one GitHub issue, updated by every run
    #[command(after_help = EXIT_CODES)]
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

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
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
    /// Work in an interactive table: filter, explain, mark, delete, restore
    #[arg(long, short, conflicts_with_all = ["out", "fail_on_garbage", "verbose"], help_heading = OUTPUT)]
    pub(super) interactive: bool,
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Show and delete only what belongs to this pull request
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_147_483_647), help_heading = SELECTION)]
    pub(super) pr: Option<u32>,
    /// Exit with 6 when garbage is found
    #[arg(long, help_heading = OUTPUT)]
    pub(super) fail_on_garbage: bool,
    /// Write the plan to this file, for `sweep --plan`
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(super) out: Option<PathBuf>,
}

/// Arguments of every command that reads.
#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// Policy file or folder of policy files [default: policies]
    #[arg(long, value_name = "PATH", env = "PREVIEW_GC_POLICIES", help_heading = SELECTION)]
    pub(super) policies: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "table", env = "PREVIEW_GC_FORMAT", help_heading = OUTPUT)]
    pub(super) format: Format,
    /// Run against a simulated cloud inside the program; WORLD is a world file
    /// [default: a demo world]
    #[cfg(feature = "sandbox")]
    #[arg(long,
        value_name = "WORLD",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "", help_heading = SELECTION)]
    sandbox: Option<String>,
    /// Show and delete only resources of this kind (repeat for more)
    #[arg(long, value_name = "KIND", help_heading = SELECTION)]
    pub(super) kind: Vec<String>,
    /// Repository whose pull requests decide, if the policy names none [default:
    /// GITHUB_REPOSITORY]
    #[arg(long, value_name = "OWNER/NAME", help_heading = SELECTION)]
    pub(super) repository: Option<String>,
    /// Another account whose tracking issue and comments count as this tool's own
    #[arg(long,
        value_name = "LOGIN",
        env = "PREVIEW_GC_ISSUE_AUTHOR",
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
    #[arg(long, value_name = "RFC3339", env = "PREVIEW_GC_NOW", help_heading = SELECTION, hide_short_help = true)]
    pub(super) now: Option<DateTime<Utc>>,
    /// When to use colour
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN", help_heading = OUTPUT)]
    pub(super) color: ColorChoice,
    /// Print no progress and no warnings
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
    /// Carry out only the steps of this plan file, which `audit --out` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "dry_run"], help_heading = DELETION)]
    pub(super) plan: Option<PathBuf>,
    /// Print the plan and delete nothing; with --format json it is the plan file
    #[arg(long, help_heading = DELETION)]
    pub(super) dry_run: bool,
    /// Delete only what has its "delete" box checked in the tracking issue
    #[arg(long, conflicts_with = "plan", help_heading = DELETION)]
    pub(super) approved: bool,
    /// Update the tracking issue, and comment on the pull request of --pr if a
    /// deletion failed
    #[arg(long, help_heading = OUTPUT)]
    pub(super) report: bool,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
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
    pub(super) format: Format,
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
    #[arg(long, help_heading = OUTPUT)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
}

/// The schedule of runs, which the issue shows.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// Schedule of the runs in UTC, as a workflow writes it; the issue shows the
    /// next one [default: the schedule that Actions names]
    #[arg(long = "schedule", value_name = "CRON", env = "PREVIEW_GC_SCHEDULE", help_heading = OUTPUT, hide_short_help = true)]
    pub(super) cron: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The run whose deletions to undo; `restore --list` shows them
    #[arg(required_unless_present_any = ["list", "release"])]
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
    /// File with more names, one per line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) names_from: Option<PathBuf>,
    /// Check the policies only and send no request
    #[arg(long)]
    pub(super) offline: bool,
    /// Print the JSON schema of policy files and exit
    #[arg(long)]
    pub(super) schema: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
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

impl CommonArgs {
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

/// Limits: a flag takes precedence over the environment, the policy and the
/// default, in this order.
#[derive(Debug, Args)]
#[command(next_help_heading = LIMITS)]
pub(super) struct LimitArgs {
    /// How long a resource is kept after its pull request ended [default: 24h]
    #[arg(
        long,
        value_name = "DURATION",
        env = "PREVIEW_GC_GRACE",
        hide_short_help = true
    )]
    pub(super) grace: Option<String>,
    /// The same for a run with --pr [default: 0s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "PREVIEW_GC_GRACE_ON_CLOSE",
        hide_short_help = true
    )]
    pub(super) grace_on_close: Option<String>,
    /// Maximum number of deletions in one run, oldest first [default: 50]
    #[arg(
        long,
        value_name = "N",
        env = "PREVIEW_GC_MAX_DELETIONS",
        hide_short_help = true
    )]
    pub(super) max_deletions: Option<u64>,
    /// Maximum garbage of one kind; a sweep that finds more is stopped
    /// [default: 200]
    #[arg(
        long,
        value_name = "N",
        env = "PREVIEW_GC_BRAKE_COUNT",
        hide_short_help = true
    )]
    pub(super) brake_count: Option<u64>,
    /// Maximum share of garbage among the resources of one kind that the rules
    /// match [default: 0.6]
    #[arg(
        long,
        value_name = "0..1",
        env = "PREVIEW_GC_BRAKE_SHARE",
        hide_short_help = true
    )]
    pub(super) brake_share: Option<f64>,
    /// Minimum garbage of a kind for --brake-share to count [default: 20]
    #[arg(
        long,
        value_name = "N",
        env = "PREVIEW_GC_BRAKE_FLOOR",
        hide_short_help = true
    )]
    pub(super) brake_floor: Option<u64>,
    /// Share of each provider's request quota that a run may use [default: 0.5]
    #[arg(
        long,
        value_name = "0..1",
        env = "PREVIEW_GC_QUOTA_SHARE",
        hide_short_help = true
    )]
    pub(super) quota_share: Option<f64>,
    /// Requests of Cloudflare's quota that a run always leaves for others
    /// [default: 2 % of the quota]
    #[arg(
        long,
        value_name = "N",
        env = "PREVIEW_GC_QUOTA_RESERVE",
        hide_short_help = true
    )]
    pub(super) quota_reserve: Option<u64>,
    /// Maximum age of a listing that a deletion relies on [default: 30s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "PREVIEW_GC_REREAD_AFTER",
        hide_short_help = true
    )]
    pub(super) reread_after: Option<String>,
    /// Maximum age of a plan file [default: 24h]
    #[arg(
        long,
        value_name = "DURATION",
        env = "PREVIEW_GC_PLAN_AGE",
        hide_short_help = true
    )]
    pub(super) plan_age: Option<String>,
    /// Maximum duration of the run [default: 20m]
    #[arg(
        long,
        value_name = "DURATION",
        env = "PREVIEW_GC_DEADLINE",
        hide_short_help = true
    )]
    pub(super) deadline: Option<String>,
    /// Maximum number of Workers whose bindings are read in one run; the others
    /// stay unknown, and the next sweep reads them first [default: 1000]
    #[arg(
        long,
        value_name = "N",
        env = "PREVIEW_GC_REFERENCE_READS",
        hide_short_help = true
    )]
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;

    /// Returns the options of a group of arguments.
    fn options_of<T: Args>() -> BTreeSet<String> {
        let command = T::augment_args(clap::Command::new("group"));
        let options = command.get_arguments();
        options.map(|option| option.get_id().to_string()).collect()
    }

    #[test]
    fn every_option_has_its_help_heading() {
        let limits = options_of::<LimitArgs>();
        assert!(limits.contains("max_deletions"), "{limits:?}");
        let command = Cli::command();
        for verb in command.get_subcommands() {
            let name = verb.get_name();
            for option in verb.get_arguments() {
                let id = option.get_id().as_str();
                let heading = option.get_help_heading();
                let is_limit = heading == Some(LIMITS);
                assert_eq!(is_limit, limits.contains(id), "{name} --{id}: {heading:?}");
                let dangerous = name == "sweep" && ["yes", "plan", "approved"].contains(&id);
                assert_eq!(
                    heading == Some(DELETION),
                    dangerous || (id, name) == ("dry_run", "sweep"),
                    "{name} --{id}: {heading:?}"
                );
            }
        }
    }

    #[test]
    fn short_help_fits_a_screen_and_long_help_is_complete() {
        let mut command = Cli::command();
        command.build();
        for verb in ["audit", "sweep", "report"] {
            let verb = command.find_subcommand_mut(verb).unwrap();
            let short = verb.render_help().to_string();
            let long = verb.render_long_help().to_string();
            assert!(short.lines().count() <= 60, "{short}");
            assert!(!short.contains("--reread-after") && long.contains("--reread-after"));
        }
    }
}
