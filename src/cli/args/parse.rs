//! From the arguments of the process to their values: empty variables, options before
//! the name of a command, and mistakes.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use super::{Cli, EXAMPLES, FORMATS};
use crate::cli::mistakes;
use crate::limits::{self, About};

/// Options that a command accepts because it shares a set of arguments, and that its
/// help leaves out.
const LEFT_OUT: [(&str, &str); 2] = [("explain", "fail_on_garbage"), ("explain", "out")];

/// Returns the command line. The help of each command shows only the limits
/// that the command obeys, the formats that it prints, and examples.
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
    for (name, option) in LEFT_OUT {
        command = command.mut_subcommand(name, |verb| {
            verb.mut_arg(option, |argument| argument.hide(true))
        });
    }
    for (name, formats) in FORMATS {
        let help = format!("Output format: {formats}");
        command = command.mut_subcommand(name, |verb| {
            verb.mut_arg("format", |argument| {
                argument.help(help).hide_possible_values(true)
            })
        });
    }
    for (name, examples) in EXAMPLES {
        command = command.mut_subcommand(name, |verb| {
            let after = match verb.get_after_help() {
                Some(after) => format!("Examples:\n  {examples}\n\n{after}"),
                None => format!("Examples:\n  {examples}"),
            };
            verb.after_long_help(after)
        });
    }
    // The value that a variable has now is no part of the help.
    let without_values = |argument: Arg| argument.hide_env_values(true);
    command
        .mut_args(without_values)
        .mut_subcommands(move |verb| verb.mut_args(without_values))
}

/// Returns the command line for manual pages: each option has the text of `--help`,
/// and the synopsis is the usage of the help.
pub(in crate::cli) fn manual() -> Command {
    // clap_mangen leaves out the text of an option that the short help hides.
    let shown = |argument: Arg| argument.hide_short_help(false);
    let mut command = command()
        .mut_args(shown)
        .mut_subcommands(move |verb| verb.mut_args(shown));
    command.build();
    let used = |mut command: Command| {
        let usage = command.render_usage().to_string();
        command.override_usage(usage.trim_start_matches("Usage:").trim().to_owned())
    };
    used(command.mut_subcommands(used))
}

/// Returns the arguments with `help -h` and `help --help` as `help`.
fn help_of_help(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_help = arguments.get(1).is_some_and(|word| word == "help");
    if is_help {
        arguments.retain(|word| word != "-h" && word != "--help");
    }
    arguments
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

/// A flag comes before a variable: `--json` contradicts only a `--format` that was
/// typed.
fn without_format_variable(command: Command) -> Command {
    let ignored = |argument: Arg| {
        if argument.get_id() == "format" {
            argument.env(None::<&str>)
        } else {
            argument
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
        let mut command = without_empty_variables(command());
        if arguments.iter().any(|argument| argument == "--json") {
            command = without_format_variable(command);
        }
        let arguments = help_of_help(options_after_verb(&command, arguments));
        match command.clone().try_get_matches_from(&arguments) {
            Ok(matches) => Self::from_arg_matches(&matches),
            Err(error) => Err(mistakes::explained(error, &command, &arguments)),
        }
    }
}
/// Returns the path of a file; `-` would be a file of that name.
pub(super) fn named_file(text: &str) -> Result<std::path::PathBuf, String> {
    if text == "-" {
        return Err("this option cannot write to standard output; name a file".to_owned());
    }
    Ok(text.into())
}
