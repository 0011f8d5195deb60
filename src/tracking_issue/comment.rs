//! The sticky comment on a pull request: what a sweep of it could not delete.

use crate::model::PullRequestNumber;
use crate::report::{Report, outcomes};
use crate::roots::Unanswered;
use crate::roots::github::issue::IssueStore;

/// Comments on a pull request about failed deletions. An earlier comment changes
/// to success only if the sweep ended without an interruption, read everything
/// (`ended`), and left nothing.
///
/// # Errors
///
/// When GitHub does not accept a read or the write.
pub async fn publish(
    store: &IssueStore<'_>,
    number: PullRequestNumber,
    report: &Report,
    ended: bool,
) -> Result<(), Unanswered> {
    let steps = report.swept.iter().flat_map(|swept| &swept.steps);
    let left: Vec<_> = steps.filter(|step| step.outcome.is_failure()).collect();
    if !left.is_empty() {
        let text = outcomes::left(report, &left);
        return store.sticky_comment(number, &text).await;
    }
    if ended && !report.leaves_something() {
        let text = "The last sweep of this pull request had no failures.\n";
        store.change_comment(number, text).await?;
    }
    Ok(())
}
