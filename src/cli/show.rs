//! `preview-gc show`: prints a plan file.

use super::args::ShowArgs;
use super::sweep::read_plan;
use super::terminal::table_style_of;
use super::{Exit, RunFailure, print};

pub(super) fn run(arguments: &ShowArgs) -> Result<Exit, RunFailure> {
    let file = read_plan(&arguments.plan)?;
    let style = table_style_of(arguments.color);
    let text = arguments.format().plan(&file, style).ok_or_else(|| {
        RunFailure::Usage(
            "a plan file cannot be shown as CSV; use --format table, json or markdown".to_owned(),
        )
    })?;
    print(&text)?;
    Ok(Exit::Ok)
}
