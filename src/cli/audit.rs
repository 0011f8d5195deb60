//! `preview-gc audit` and `explain`: list resources and roots, decide verdicts
//! and print the report. They never write to a provider.

use tokio::time::Instant;

use super::args::{AuditArgs, Format};
use super::session::Session;
use super::terminal::table_style;
use super::{Exit, Failure, github_actions, print};
use crate::collector::{Audit, Choice};
use crate::model::identifier::host_name;
use crate::report::table::TableStyle;
use crate::report::{Report, csv, explain, json, markdown, table};

pub(super) async fn run(arguments: AuditArgs, explained: Option<String>) -> Result<Exit, Failure> {
    let session = Session::open(&arguments.common)?;
    session.warn(&arguments.common);
    let collector = session.collector(arguments.pr)?;
    let since = Instant::now();
    let (audit_scope, inventory) = session.list(&collector).await?;
    let audit = collector.audit(&audit_scope, inventory, since, Choice::All);
    let Audit {
        findings,
        plan,
        report,
        ..
    } = audit.await;
    session.progress.end();
    session.warn_of_clocks();
    if let Some(path) = &arguments.out {
        let plan_file = collector.plan_file(&audit_scope, &findings, &plan, &report);
        std::fs::write(path, plan_file.text()).map_err(|error| {
            Failure::Usage(format!(
                "cannot write the plan to {}: {error}",
                path.display()
            ))
        })?;
    }
    match explained {
        Some(name) => {
            let explained = explain::render(&report, &name)
                .or_else(|| explain::render(&report, &host_name(&name)));
            let text = explained.ok_or_else(|| {
                Failure::Usage(format!(
                    "there is no resource called {name:?} in this scope"
                ))
            })?;
            print(&text)?;
        }
        None => print(&render(
            &report,
            arguments.common.format,
            table_style(&arguments.common),
        )?)?,
    }
    github_actions::write_results(&report, None);
    github_actions::write_metrics(&arguments.common, &report)?;
    Ok(Exit::of(&report, arguments.fail_on_garbage))
}

pub(super) fn render(
    report: &Report,
    format: Format,
    style: TableStyle,
) -> Result<String, Failure> {
    let unexpected = |error: &dyn std::fmt::Display| Failure::Unexpected(error.to_string());
    match format {
        Format::Table => Ok(table::render(report, style)),
        Format::Json => json::render(report).map_err(|error| unexpected(&error)),
        Format::Csv => csv::render(report).map_err(|error| unexpected(&error)),
        Format::Markdown => Ok(markdown::render(report)),
    }
}

#[cfg(all(test, feature = "sandbox"))]
mod tests;
