//! Tells a webhook what needs attention. Slack, Mattermost, Rocket.Chat and
//! Discord (with `/slack` at the end of the address) accept this form.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt as _;
use url::Url;

use super::RunFailure;
use super::args::NotifyArgs;
use super::connect::{is_loopback, proxy};
use crate::report::{Report, escape};
use crate::tracking_issue::alert::Alert;
use crate::tracking_issue::state::HiddenState;
use crate::wire::http;

/// Maximum time for telling the webhook.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the same where the deadline of the run has passed.
const AFTER_DEADLINE: Duration = Duration::from_secs(2);

/// The webhook of a run, if it has one. Its address is a secret and is never
/// printed.
pub(super) struct Notify {
    address: Option<Url>,
}

impl Notify {
    /// Reads the address.
    pub(super) fn of(arguments: &NotifyArgs) -> Result<Self, RunFailure> {
        let text = arguments.notify_url.as_deref().unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(Self { address: None });
        }
        let address = Url::parse(text).ok().filter(|address| {
            address.host_str().is_some()
                && (address.scheme() == "https"
                    || address.scheme() == "http" && is_loopback(address))
        });
        match address {
            Some(address) => Ok(Self {
                address: Some(address),
            }),
            None => Err(RunFailure::Usage(
                "--notify-url (PREVIEW_GC_NOTIFY_URL) is not an address that begins with https://; \
                 copy it from the settings of the webhook"
                    .to_owned(),
            )),
        }
    }

    /// Sends what is new since the previous run, if anything is, by the deadline of
    /// the run or soon after. An error is printed and does not fail the run.
    pub(super) async fn send(
        &self,
        report: &Report,
        previous: Option<&HiddenState>,
        until: Instant,
    ) {
        let (Some(address), Some(text)) = (&self.address, text(report, previous)) else {
            return;
        };
        let left = until.saturating_duration_since(Instant::now());
        let limit = left.clamp(AFTER_DEADLINE, TIMEOUT);
        let sent = tokio::time::timeout(limit, post(address, &text)).await;
        let why = match sent {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => format!("it did not answer within {} seconds", limit.as_secs()),
        };
        let why = escape::terminal(&why);
        let line = format!("warning: could not notify the webhook of --notify-url: {why}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Returns the message, or `None` if nothing needs attention.
fn text(report: &Report, previous: Option<&HiddenState>) -> Option<String> {
    let alert = Alert::of(report, previous);
    let mut lines: Vec<String> = alert
        .map(|alert| alert.lines().to_vec())
        .unwrap_or_default();
    lines.extend(report.gaps().map(|gap| {
        let why = gap.gap.as_deref().unwrap_or("unknown");
        format!("could not read {} of {}: {why}", gap.source, gap.scope)
    }));
    if lines.is_empty() {
        return None;
    }
    let mut text = "preview-gc needs attention".to_owned();
    if let Some(run) = run_url() {
        let _ = write!(text, " (<{run}|run>)");
    }
    for line in lines {
        text.push_str("\n• ");
        text.push_str(&escape::slack(&line));
    }
    Some(text)
}

/// Returns the address of this run in Actions.
fn run_url() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let server = variable("GITHUB_SERVER_URL")?;
    let repository = variable("GITHUB_REPOSITORY")?;
    let run = variable("GITHUB_RUN_ID")?;
    Some(format!("{server}/{repository}/actions/runs/{run}"))
}

async fn post(address: &Url, text: &str) -> Result<(), String> {
    let body = Bytes::from(json!({ "text": text }).to_string());
    let request = ::http::Request::post(address.as_str())
        .header(::http::header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|_| "its address cannot be used".to_owned())?;
    let answer = http::transport(proxy()).oneshot(request).await;
    let status = answer.map_err(|error| error.to_string())?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("it answered {status}"))
    }
}
