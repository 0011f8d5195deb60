//! A pager for output that is longer than the screen.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use super::args::CommonArgs;
use super::consent::is_unattended;
use super::{RunFailure, print};

/// The pager if PAGER is not set.
const DEFAULT_PAGER: &str = "less";

/// Options of `less` if LESS is not set: quit if one screen is enough, pass
/// colours through, leave the text on the screen.
const LESS: &str = "FRX";

/// Prints a text, through the user's pager if it is longer than the screen.
pub(super) fn show(text: &str, arguments: &CommonArgs) -> Result<(), RunFailure> {
    let wanted = !arguments.no_pager && !is_unattended() && std::io::stdout().is_terminal();
    let pager = if wanted && is_longer_than_the_screen(text) {
        words(std::env::var("PAGER").ok().as_deref())
    } else {
        None
    };
    match pager.and_then(|words| start(&words)) {
        Some(mut pager) => {
            if let Some(mut input) = pager.stdin.take() {
                // Whoever leaves the pager early closes the pipe.
                let _ = input.write_all(text.as_bytes());
            }
            match pager.wait() {
                Ok(status) if status.success() => Ok(()),
                // A pager that fails may have shown nothing.
                Ok(_) | Err(_) => print(text),
            }
        }
        None => print(text),
    }
}

fn is_longer_than_the_screen(text: &str) -> bool {
    let Some((_, terminal_size::Height(height))) = terminal_size::terminal_size() else {
        return false;
    };
    text.lines().count() >= usize::from(height)
}

/// Splits the value of PAGER into words. An empty one, and `cat`, mean none.
fn words(value: Option<&str>) -> Option<Vec<String>> {
    let value = value.unwrap_or(DEFAULT_PAGER);
    let words: Vec<_> = value.split_whitespace().map(str::to_owned).collect();
    match words.first() {
        None => None,
        Some(word) if word == "cat" => None,
        Some(_) => Some(words),
    }
}

/// Starts a pager. Without one the text is printed as it is.
fn start(words: &[String]) -> Option<std::process::Child> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    command.spawn().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_less_unless_another_or_none_is_chosen() {
        for (value, expected) in [
            (None, Some(vec!["less"])),
            (Some("more"), Some(vec!["more"])),
            (Some("less -S"), Some(vec!["less", "-S"])),
            (Some(""), None),
            (Some("cat"), None),
        ] {
            let expected: Option<Vec<String>> =
                expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(words(value), expected, "{value:?}");
        }
    }
}
