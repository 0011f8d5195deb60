//! `preview-gc show`: prints a plan file.

use super::args::{Format, ShowArgs};
use super::sweep::read_plan;
use super::terminal::table_style_of;
use super::{Exit, Failure, print};
use crate::report::plan;

pub(super) fn run(arguments: &ShowArgs) -> Result<Exit, Failure> {
    let file = read_plan(&arguments.plan)?;
    match arguments.format {
        Format::Json => print(&file.text())?,
        Format::Table => print(&plan::render(&file, table_style_of(arguments.color)))?,
        Format::Csv | Format::Markdown => {
            return Err(Failure::Usage(
                "a plan file is shown as a table or as JSON; use --format table or json".to_owned(),
            ));
        }
    }
    Ok(Exit::Ok)
}
