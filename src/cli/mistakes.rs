//! Mistakes in the arguments that the parser itself explains badly: a value that
//! came from a variable, words of other tools, and similar options that are not.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// What people of other tools write, and what it is called here.
const WORDS: [(&str, &str); 15] = [
    (
        "plan",
        "`preview-gc sweep --dry-run` shows what a sweep would delete",
    ),
    ("list", "`preview-gc audit --all` lists every resource"),
    ("ls", "`preview-gc audit --all` lists every resource"),
    ("status", "`preview-gc audit` shows what is left behind"),
    ("delete", "`preview-gc sweep` deletes garbage"),
    ("clean", "`preview-gc sweep` deletes garbage"),
    ("cleanup", "`preview-gc sweep` deletes garbage"),
    ("prune", "`preview-gc sweep` deletes garbage"),
    ("undo", "`preview-gc restore` restores what a sweep deleted"),
    (
        "validate",
        "`preview-gc check` checks policies and credentials",
    ),
    (
        "--yes",
        "`preview-gc sweep` deletes; the other commands change nothing that could need consent",
    ),
    ("--force", "`--yes` deletes without asking"),
    ("--apply", "`--yes` deletes without asking"),
    (
        "--filter",
        "`--kind`, `--verdict` and `--pr` select resources",
    ),
    (
        "--output",
        "`--format` selects the output format, and `--out` writes a plan file",
    ),
];

/// Returns the error with what to write instead.
pub(super) fn explained(mut error: Error, command: &Command, arguments: &[OsString]) -> Error {
    let text = |error: &Error, kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let wrong = text(&error, ContextKind::InvalidArg)
        .or_else(|| text(&error, ContextKind::InvalidSubcommand))
        .unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
            let word = wrong.split('=').next().unwrap_or_default();
            let advice = WORDS.iter().find(|(other, _)| *other == word);
            let advice = advice.map(|(_, advice)| (*advice).to_owned());
            let advice = advice.or_else(|| after_sandbox(&wrong, arguments));
            let suggested = text(&error, ContextKind::SuggestedArg);
            let is_similar = suggested.is_some_and(|other| similar(word, &other));
            if advice.is_some() || !is_similar {
                let is_argument = error.kind() == ErrorKind::UnknownArgument;
                if advice.is_some() || is_argument {
                    for kind in [
                        ContextKind::SuggestedArg,
                        ContextKind::SuggestedSubcommand,
                        ContextKind::Suggested,
                        ContextKind::Usage,
                    ] {
                        error.remove(kind);
                    }
                }
            }
            if let Some(advice) = advice {
                let advice = ContextValue::StyledStrs(vec![advice.into()]);
                error.insert(ContextKind::Suggested, advice);
            }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let flag = wrong
                .split([' ', '='])
                .next()
                .unwrap_or_default()
                .to_owned();
            if let Some(variable) = from_variable(&flag, command, arguments) {
                error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
            }
        }
        _ => {}
    }
    error
}

/// Whether two options differ in a letter or two.
fn similar(word: &str, other: &str) -> bool {
    let word = word.trim_start_matches('-');
    let other = other.split([' ', '=']).next().unwrap_or_default();
    let other = other.trim_start_matches('-');
    strsim::damerau_levenshtein(word, other) <= 2
}

/// Returns what to write for a world file after `--sandbox`.
fn after_sandbox(wrong: &str, arguments: &[OsString]) -> Option<String> {
    let mut pairs = arguments.windows(2);
    let follows = pairs.any(|pair| pair[0] == *"--sandbox" && pair[1] == *wrong);
    (follows && !wrong.starts_with('-'))
        .then(|| format!("a world file is written with an equals sign: --sandbox={wrong}"))
}

/// Returns the variable that gave a flag its value, if the flag was not typed.
fn from_variable(flag: &str, command: &Command, arguments: &[OsString]) -> Option<String> {
    let long = flag.strip_prefix("--")?;
    let typed = arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        let name = argument.split('=').next();
        name == Some(flag)
    });
    let verbs = command.get_subcommands().chain([command]);
    let mut options = verbs.flat_map(Command::get_arguments);
    let option = options.find(|option| option.get_long() == Some(long))?;
    let variable = option.get_env()?.to_string_lossy().into_owned();
    (!typed).then_some(variable)
}
