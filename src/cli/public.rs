//! What everybody can read: the logs and step summaries of a public repository.

use serde_json::Value;

use super::session::Session;
use crate::model::{Api, Repository};
use crate::report::Report;
use crate::roots::github::GitHubClient;

/// Removes what no rule matches from the report, unless the output is known to be
/// private.
pub(super) async fn conceal(session: &Session, report: &mut Report) {
    if is_public(session).await {
        report.conceal();
    }
}

/// Returns whether the run is in Actions, and its repository is not known to be
/// private.
async fn is_public(session: &Session) -> bool {
    let in_actions = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    // Anybody may see the resources of the sandbox in this process.
    if !in_actions || session.connection.variables.are_the_sandboxes() {
        return false;
    }
    match event() {
        Some(private) => !private,
        // The event of a schedule does not describe the repository.
        None => !asked(session).await.unwrap_or(false),
    }
}

/// Returns whether the repository is private, as the event that started the run
/// says.
fn event() -> Option<bool> {
    let path = std::env::var_os("GITHUB_EVENT_PATH")?;
    let event: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    event["repository"]["private"].as_bool()
}

/// Returns whether the repository is private, as GitHub says.
async fn asked(session: &Session) -> Option<bool> {
    let repository = session.connection.variables.get("GITHUB_REPOSITORY")?;
    let repository = Repository::parse(&repository)?;
    if !session.client.has(Api::GitHub) {
        return None;
    }
    let github = GitHubClient::new(session.client.clone());
    github.is_private(&repository).await.ok()
}
