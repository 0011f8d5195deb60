//! What the terminal can show: colours and the width of tables.

use std::io::IsTerminal as _;

use super::args::{ColorChoice, CommonArgs};
use crate::report::table::TableStyle;

/// Width of a table that is not printed to a terminal, in columns.
const PLAIN_WIDTH: usize = 120;

/// Returns whether to print colours to a stream that is a `terminal` or not.
pub(super) fn wants_colour(choice: ColorChoice, terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            terminal && !refused && !dumb
        }
    }
}

/// Returns how a command prints a table to stdout.
pub(super) fn table_style(arguments: &CommonArgs) -> TableStyle {
    table_style_of(arguments.color)
}

/// Returns how a table is printed to stdout.
pub(super) fn table_style_of(color: ColorChoice) -> TableStyle {
    let terminal = std::io::stdout().is_terminal();
    let typed = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let width = typed
        .or_else(|| {
            let (terminal_size::Width(width), _) = terminal_size::terminal_size()?;
            terminal.then_some(usize::from(width))
        })
        .unwrap_or(PLAIN_WIDTH);
    TableStyle {
        width: width.max(60),
        colour: wants_colour(color, terminal),
    }
}
