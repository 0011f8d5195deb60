//! One option for each limit, made from the table of the limits.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::LIMITS;
use crate::limits::{self, About, LimitValue, LimitValues};

/// The limits that flags or their environment variables set.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct LimitArgs(pub(in crate::cli) LimitValues);

/// Returns the argument of a limit.
fn limit_argument(limit: &'static About) -> Arg {
    let unit = limit.unit;
    Arg::new(limit.key)
        .long(limit.flag)
        .env(limit.variable)
        .help(format!("{} [default: {}]", limit.help, limit.default))
        .value_name(unit.placeholder())
        .value_parser(move |text: &str| unit.parse(text))
        .help_heading(LIMITS)
        .hide_short_help(true)
}

impl Args for LimitArgs {
    fn augment_args(command: Command) -> Command {
        command.args(limits::ALL.map(limit_argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LimitArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut limits = Self::default();
        limits.update_from_arg_matches(matches)?;
        Ok(limits)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for limit in limits::ALL {
            if let Some(value) = matches.get_one::<LimitValue>(limit.key) {
                self.0.set(limit, *value);
            }
        }
        Ok(())
    }
}
