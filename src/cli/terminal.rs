//! What the terminal can show: colours, links and the width of tables.

use std::io::IsTerminal as _;

use super::args::{ColorChoice, CommonArgs};
use crate::report::style::TableStyle;

/// The narrowest width that tables are made for, in columns.
const MIN_WIDTH: usize = 60;

/// Returns whether to print colours to a stream that is a `terminal` or not. A
/// flag decides first, then NO_COLOR, CLICOLOR_FORCE or FORCE_COLOR, CLICOLOR,
/// and what the terminal can.
pub(super) fn wants_colour(choice: ColorChoice, terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let forced = || {
        let force = std::env::var_os("FORCE_COLOR");
        anstyle_query::clicolor_force()
            || force.is_some_and(|value| value != "0" && !value.is_empty())
    };
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if set("NO_COLOR") => false,
        ColorChoice::Auto if forced() => true,
        ColorChoice::Auto => {
            terminal
                && anstyle_query::clicolor() != Some(false)
                && anstyle_query::term_supports_color()
        }
    }
}

/// Returns how a command prints to stdout. Links to a simulated cloud lead
/// nowhere.
pub(super) fn table_style(arguments: &CommonArgs) -> TableStyle {
    TableStyle {
        links: arguments.sandbox().is_none()
            && supports_hyperlinks::on(supports_hyperlinks::Stream::Stdout),
        ..table_style_of(arguments.color)
    }
}

/// Returns how text is printed to stdout, without links. Only text for a terminal
/// is wrapped: programs that read a pipe expect whole lines.
pub(super) fn table_style_of(color: ColorChoice) -> TableStyle {
    let terminal = std::io::stdout().is_terminal();
    let typed = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let width = typed.or_else(|| {
        let (terminal_size::Width(width), _) = terminal_size::terminal_size()?;
        terminal.then_some(usize::from(width))
    });
    TableStyle {
        width: width.map(|width: usize| width.max(MIN_WIDTH)),
        colour: wants_colour(color, terminal),
        links: false,
    }
}
