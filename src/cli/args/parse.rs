//! From the arguments of the process to their values: empty variables, options before
//! the name of a command, and mistakes.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;
use crate::cli::mistakes;
use crate::limits::{self, About};

/// Returns the command line. The help of each command shows only the limits
/// that the command obeys.
pub(in crate::cli) fn command() -> Command {
    let mut command = Cli::command();
    let verbs: Vec<_> = command.get_subcommands().cloned().collect();
    for verb in verbs {
        let name = verb.get_name();
        let has = |limit: &About| verb.get_arguments().any(|one| one.get_id() == limit.key);
        let unused = limits::ALL.into_iter();
        let unused = unused.filter(|limit| has(limit) && !limit.verbs.contains(&name));
        command = unused.fold(command, |command, limit| {
            command.mut_subcommand(name, |verb| {
                verb.mut_arg(limit.key, |argument| argument.hide(true))
            })
        });
    }
    command
}

/// Ignores variables that are set to nothing: an expression of a workflow without
/// a value leaves an empty one.
fn without_empty_variables(command: Command) -> Command {
    let ignored = |argument: Arg| {
        let variable = argument.get_env().and_then(std::env::var_os);
        match variable {
            Some(value) if value.is_empty() => argument.env(None::<&str>),
            _ => argument,
        }
    };
    command
        .mut_args(ignored)
        .mut_subcommands(move |verb| verb.mut_args(ignored))
}

/// Moves the options before the name of a command behind it, so that an option
/// may stand on either side. Without a name the arguments are those of an audit
/// and stay as they are.
fn options_after_verb(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let takes_value = |text: &str| {
        let option = match text.strip_prefix("--") {
            Some(long) => command
                .get_arguments()
                .find(|one| one.get_long() == Some(long)),
            // The value of the last of several short options may follow.
            None => command
                .get_arguments()
                .find(|one| one.get_short().is_some() && one.get_short() == text.chars().last()),
        };
        option.is_some_and(|option| {
            option.get_action().takes_values() && !option.is_require_equals_set()
        })
    };
    let mut verb = None;
    let mut rest = arguments.iter().enumerate().skip(1);
    while let Some((index, argument)) = rest.next() {
        let text = argument.to_string_lossy();
        if text == "--" || matches!(&*text, "-V" | "--version") {
            break;
        }
        if !text.starts_with('-') {
            verb = command
                .find_subcommand(&*text)
                .filter(|verb| verb.get_name() != "help")
                .map(|_| index);
            break;
        }
        if takes_value(&text) {
            rest.next();
        }
    }
    let Some(verb) = verb else {
        return arguments;
    };
    let mut arguments = arguments;
    if verb > 1 {
        arguments[1..=verb].rotate_right(1);
    }
    arguments
}

impl Cli {
    /// Parses the arguments of the process.
    pub(in crate::cli) fn of_process() -> Result<Self, clap::Error> {
        Self::of(std::env::args_os().collect())
    }

    /// Parses arguments, the first of which is the name of the program.
    pub(in crate::cli) fn of(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let command = without_empty_variables(command());
        let arguments = options_after_verb(&command, arguments);
        match command.clone().try_get_matches_from(&arguments) {
            Ok(matches) => Self::from_arg_matches(&matches),
            Err(error) => Err(mistakes::explained(error, &command, &arguments)),
        }
    }
}
