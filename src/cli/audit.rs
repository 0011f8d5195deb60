//! `preview-gc audit` and `explain`: list resources and roots, decide verdicts
//! and print the report. They never write to a provider.

use tokio::time::Instant;

use super::args::AuditArgs;
use super::session::Session;
use super::terminal::table_style;
use super::{Exit, Failure, github_actions, print, print_rendered, public};
use crate::collector::{Audit, Choice};
use crate::model::identifier::host_name;
use crate::providers;
use crate::report::explain;

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
        mut report,
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
                Failure::Usage(explain::absent(&report, &name, &providers::vocabulary()))
            })?;
            print(&text)?;
        }
        None => {
            public::conceal(&session, &mut report).await;
            let style = table_style(&arguments.common);
            print_rendered(arguments.common.format.report(&report, style))?;
        }
    }
    public::conceal(&session, &mut report).await;
    github_actions::write_results(&report, None);
    github_actions::write_metrics(&arguments.common, &report)?;
    Ok(Exit::of(&report, arguments.fail_on_garbage))
}
