//! `preview-gc audit` and `explain`: list resources and roots, decide verdicts
//! and print the report. They never write to a provider.

use super::args::{AuditArgs, AuditVerbArgs};
use super::pager::show;
use super::session::Session;
use super::terminal::table_style;
use super::{Exit, RunFailure, github_actions, public, rendered};
use crate::collector::Choice;
use crate::model::identifier::host_name;
use crate::policy::nearest;
use crate::providers;
use crate::report::Report;
use crate::report::explain::{self, ExplainStyle};
use crate::report::format::Format;

pub(super) async fn run(arguments: AuditVerbArgs) -> Result<Exit, RunFailure> {
    let AuditVerbArgs {
        audit: arguments,
        list,
        ..
    } = arguments;
    let common = &arguments.common;
    let session = Session::open(common)?;
    let mut report = audit(&session, &arguments).await?;
    public::conceal(&session, &mut report).await;
    let selection = list.selection(arguments.pr);
    let text = common
        .format()
        .audit(&report, &selection, table_style(common));
    show(&rendered(text)?, common)?;
    github_actions::write_results(&report, None);
    github_actions::write_metrics(common, &report)?;
    Ok(Exit::of(&report, arguments.fail_on_garbage))
}

/// Audits, and explains the verdict of each resource of this name or id.
pub(super) async fn explain(arguments: AuditArgs, name: &str) -> Result<Exit, RunFailure> {
    let common = &arguments.common;
    let format = common.format();
    if !matches!(format, Format::Table | Format::Json) {
        return Err(RunFailure::Usage(format!(
            "explain cannot print {}: it prints text or JSON; use --format table or json",
            format.name()
        )));
    }
    let session = Session::open(common)?;
    let mut report = audit(&session, &arguments).await?;
    public::conceal(&session, &mut report).await;
    let keys = explain::keys(&report, name);
    let keys = if keys.is_empty() {
        explain::keys(&report, &host_name(name))
    } else {
        keys
    };
    if keys.is_empty() {
        return Err(RunFailure::Usage(explain::absent(
            &report,
            name,
            &providers::vocabulary(),
        )));
    }
    let mut named = report.only(&keys);
    for row in &mut named.resources {
        row.nearest = row.compared().and_then(|compared| {
            let files = &session.policies.files;
            nearest::nearest(files, compared)
        });
    }
    let text = match format {
        Format::Json => rendered(Format::Json.report(&named, table_style(common)))?,
        _ => explain::render(
            &named,
            ExplainStyle {
                details: common.verbose > 0,
                style: table_style(common),
            },
        ),
    };
    show(&text, common)?;
    github_actions::write_results(&report, None);
    github_actions::write_metrics(common, &report)?;
    Ok(Exit::of(&report, arguments.fail_on_garbage))
}

/// Audits, and writes the plan where `--out` asks for it.
async fn audit(session: &Session, arguments: &AuditArgs) -> Result<Report, RunFailure> {
    session.warn(&arguments.common);
    let collector = session.collector(arguments.pr)?;
    let (audit_scope, listed) = session.list(&collector).await?;
    let audit = collector.audit(&audit_scope, listed, Choice::All).await;
    session.progress.end();
    session.warn_of_clocks();
    if let Some(path) = &arguments.out {
        let plan_file = audit.plan_file();
        std::fs::write(path, plan_file.text()).map_err(|error| {
            RunFailure::Usage(format!(
                "cannot write the plan to {}: {error}; name another file with --out",
                path.display()
            ))
        })?;
        // A note for people, who may not know what the file is for.
        if !arguments.common.quiet && std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            let (steps, path) = (plan_file.steps.len(), path.display());
            let note = format!(
                "wrote a plan with {} to {path}: `preview-gc show {path}` shows it, and `preview-gc \
                 sweep --plan {path}` deletes what it lists\n",
                crate::report::brief::plural(steps, "step")
            );
            let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
        }
    }
    Ok(audit.report)
}
