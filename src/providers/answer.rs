//! What the providers' answers have in common.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::model::PullRequestNumber;

/// Parses `Retry-After` in either form.
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(86_400)));
    }
    let at = DateTime::<Utc>::from(httpdate::parse_http_date(value).ok()?);
    Some((at - now).to_std().unwrap_or(Duration::ZERO))
}

/// Returns how long an answer with status 429 asks to wait: as `Retry-After` says,
/// else this long. Returns `None` for other answers.
pub(super) fn too_many_requests(
    response: &Response<Bytes>,
    now: DateTime<Utc>,
    default: Duration,
) -> Option<Duration> {
    let asked = retry_after(response.headers(), now);
    let limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
    limited.then(|| asked.unwrap_or(default))
}

/// Returns the number in a header.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Returns the `message` of a JSON object.
pub(super) fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        message: String,
    }
    let body = serde_json::from_slice::<Body>(body).ok()?;
    Some(body.message)
}

/// An annotation has a form that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Returns the text of an annotation; `null` and an empty text say nothing.
pub(super) fn annotated(value: Option<&Value>) -> Result<Option<&str>, Unreadable> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(Unreadable),
    }
}

/// Returns the pull request's number in an annotation. One that cannot be read is
/// not the same as none: it may be another than the name has.
pub(super) fn annotated_number(
    value: Option<&Value>,
) -> Result<Option<PullRequestNumber>, Unreadable> {
    let text = annotated(value)?;
    let number = text.map(|text| PullRequestNumber::parse(text).ok_or(Unreadable));
    number.transpose()
}

/// Returns a path without its ids, where names and ids take turns.
pub(super) fn without_ids(path: &str) -> String {
    let segments: Vec<_> = path.split('/').skip(1).step_by(2).take(2).collect();
    segments.join("/")
}
