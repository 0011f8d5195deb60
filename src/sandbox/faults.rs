//! Faults: what goes wrong with which requests, and how often.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::message::{self, Response};

/// One fault of a world file or of the control endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The requests that it hits.
    pub on: FaultFilter,
    /// Number of requests to hit; all if absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens to these requests.
    pub fault: FaultEffect,
    /// Number of requests hit so far.
    #[serde(default, skip_deserializing)]
    pub hits: u64,
}

/// Which requests a fault hits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FaultFilter {
    /// `github.pull_requests`, `github.branches` or `<api>.<kind>`.
    Topic(String),
    /// By method and path.
    Request {
        /// The method; any without one.
        #[serde(default)]
        method: Option<String>,
        /// A regular expression on the path.
        #[serde(with = "pattern")]
        path: regex::Regex,
        /// A text in the request's body; any body without one.
        #[serde(default)]
        contains: Option<String>,
    },
}

mod pattern {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        regex: &regex::Regex,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(regex.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<regex::Regex, D::Error> {
        let text = String::deserialize(deserializer)?;
        regex::Regex::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The effect of a fault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FaultEffect {
    /// One without parameters, by its name.
    Named(NamedFault),
    /// The answer comes late.
    Delay {
        /// The delay in milliseconds.
        delay_ms: u64,
    },
    /// The answer comes byte by byte.
    Drip {
        /// One in so many milliseconds.
        drip_ms: u64,
    },
    /// The answer is followed by blanks.
    Padded {
        /// So many megabytes of them.
        padding_mb: usize,
    },
    /// Another answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers.
        #[serde(default)]
        headers: Map<String, Value>,
        /// Its body, any JSON; a string is sent as it is.
        #[serde(default)]
        body: Option<Value>,
        /// Whether the request is carried out before.
        #[serde(default)]
        carried_out: bool,
    },
    /// The answer lacks headers.
    Without {
        /// Their names.
        without_headers: Vec<String>,
    },
}

/// Faults without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedFault {
    /// The connection breaks without an answer, and the request has no effect.
    Reset,
    /// The connection breaks without an answer, after the request was carried
    /// out.
    ResetAfter,
    /// The request waits until the faults are replaced, and then takes effect.
    Hold,
    /// The body ends in its middle.
    Truncate,
    /// A page shows nothing.
    EmptyPage,
    /// A page shows the first page again.
    RepeatPage,
    /// The total is wrong.
    WrongTotal,
    /// A page shows every item twice.
    ItemsTwice,
    /// Items have an undocumented field.
    UnknownField,
    /// Items lack their id or its equivalent.
    MissingField,
    /// The same is null.
    NullField,
}

/// A request as faults match it.
pub(super) struct FaultRequest<'a> {
    pub(super) method: &'a Method,
    /// The whole path, prefix included.
    pub(super) path: &'a str,
    pub(super) body: &'a Bytes,
}

impl Fault {
    /// Returns whether the fault hits a request.
    pub(super) fn applies_to(&self, seen: &FaultRequest<'_>) -> bool {
        match &self.on {
            FaultFilter::Request {
                method,
                path,
                contains,
            } => {
                let body = || String::from_utf8_lossy(seen.body);
                method
                    .as_ref()
                    .is_none_or(|method| method.eq_ignore_ascii_case(seen.method.as_str()))
                    && path.is_match(seen.path)
                    && contains.as_ref().is_none_or(|text| body().contains(text))
            }
            FaultFilter::Topic(topic) => about(topic, seen),
        }
    }
}

/// Returns whether a request is about a topic.
fn about(topic: &str, seen: &FaultRequest<'_>) -> bool {
    let path = seen.path;
    let github = path.starts_with("/github/");
    let query = || String::from_utf8_lossy(seen.body);
    let graphql = github && path.ends_with("/graphql");
    let under = |part: &str| path.contains(&format!("{part}/")) || path.ends_with(part);
    match topic {
        "github.pull_requests" => {
            (github && under("/pulls"))
                || (graphql && query().to_lowercase().contains("pullrequest"))
        }
        "github.branches" => {
            (github && under("/branches")) || (graphql && query().contains("refs"))
        }
        "github.repository" => github && path.split('/').count() == 5 && path.contains("/repos/"),
        "cloudflare.zone" => path.starts_with("/client/v4/zones") && path.split('/').count() <= 5,
        // The requests of a kind, at the provider that has it.
        _ => {
            let kind = topic.split_once('.');
            let kind = kind.and_then(|(provider, name)| {
                let prefix = match provider {
                    "cloudflare" => "/client/v4/",
                    "neon" => "/api/v2/",
                    _ => "/github/",
                };
                let mut kinds = super::world_kinds();
                let kind = kinds.find(|kind| kind.name == name)?;
                path.starts_with(prefix).then_some(kind)
            });
            kind.is_some_and(|kind| kind.paths.iter().any(|part| under(part)))
        }
    }
}

/// Returns the delay of an answer.
pub(super) fn delay(what: &FaultEffect) -> Option<Duration> {
    match what {
        FaultEffect::Delay { delay_ms } => Some(Duration::from_millis(*delay_ms)),
        FaultEffect::Named(_)
        | FaultEffect::Drip { .. }
        | FaultEffect::Padded { .. }
        | FaultEffect::Answer { .. }
        | FaultEffect::Without { .. } => None,
    }
}

/// The answer that a fault gives by itself.
pub(super) fn answer(what: &FaultEffect) -> Option<Response> {
    let FaultEffect::Answer {
        status,
        headers,
        body,
        ..
    } = what
    else {
        return None;
    };
    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match body {
        None => message::empty(status),
        Some(Value::String(text)) => {
            let mut response = message::empty(status);
            *response.body_mut() = Bytes::from(text.clone());
            response
        }
        Some(body) => message::json(status, body),
    };
    for (name, value) in headers {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(text),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    Some(response)
}

/// Applies a fault to a successful answer.
pub(super) fn alter(what: &FaultEffect, response: &mut Response) {
    let named = match what {
        FaultEffect::Named(named) => *named,
        FaultEffect::Drip { drip_ms } => {
            let drip = HeaderValue::from(*drip_ms);
            response.headers_mut().insert(DRIPPING, drip);
            return;
        }
        FaultEffect::Padded { padding_mb } => {
            let mut body = response.body().to_vec();
            body.resize(body.len() + (padding_mb << 20), b' ');
            *response.body_mut() = Bytes::from(body);
            return;
        }
        FaultEffect::Without { without_headers } => {
            for name in without_headers {
                response.headers_mut().remove(name);
            }
            return;
        }
        FaultEffect::Delay { .. } | FaultEffect::Answer { .. } => return,
    };
    if named == NamedFault::Truncate {
        let whole = response.body().len();
        response.body_mut().truncate(whole / 2);
        let mut headers = HeaderMap::new();
        headers.insert(TRUNCATED, HeaderValue::from(whole));
        response.headers_mut().extend(headers);
        return;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(response.body()) else {
        return;
    };
    match named {
        NamedFault::EmptyPage => each_list(&mut body, &Vec::clear),
        NamedFault::ItemsTwice => each_list(&mut body, &|items| items.extend_from_within(..)),
        NamedFault::UnknownField => each_item(&mut body, &|item| {
            item.insert("novelty".to_owned(), Value::from(vec![1, 2]));
        }),
        NamedFault::MissingField => each_item(&mut body, &|item| {
            identity(item).map(|key| item.remove(key));
        }),
        NamedFault::NullField => each_item(&mut body, &|item| {
            identity(item).map(|key| item.insert(key.to_owned(), Value::Null));
        }),
        NamedFault::WrongTotal => totals(&mut body),
        NamedFault::Reset
        | NamedFault::ResetAfter
        | NamedFault::Hold
        | NamedFault::Truncate
        | NamedFault::RepeatPage => {}
    }
    *response.body_mut() = Bytes::from(body.to_string());
}

/// The internal header with the length of the whole body, for the server.
pub const TRUNCATED: &str = "x-sandbox-truncated-from";

/// The internal header with the milliseconds that each byte takes, for the server.
pub const DRIPPING: &str = "x-sandbox-drip-ms";

/// The field that identifies an item.
fn identity(item: &Map<String, Value>) -> Option<&'static str> {
    let keys = ["id", "uuid", "queue_id", "number", "name"];
    keys.into_iter().find(|key| item.contains_key(*key))
}

/// Changes every item of a page.
fn each_item(body: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    each_list(body, &|items| {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            change(item);
        }
    });
}

/// Changes the items of a page, wherever the provider puts them.
fn each_list(body: &mut Value, change: &dyn Fn(&mut Vec<Value>)) {
    match body {
        Value::Array(items) => change(items),
        Value::Object(fields) => {
            for (key, value) in fields {
                match key.as_str() {
                    "result" | "branches" | "projects" | "buckets" | "nodes" | "items"
                    | "environments"
                        if value.is_array() =>
                    {
                        each_list(value, change);
                    }
                    "result" | "data" if value.is_object() => each_list(value, change),
                    // A connection may have any alias.
                    "repository" if value.is_object() => {
                        let fields = value.as_object_mut().into_iter().flatten();
                        for (_, connection) in fields {
                            each_list(connection, change);
                        }
                    }
                    _ => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Adds one to every total.
fn totals(body: &mut Value) {
    match body {
        Value::Object(fields) => {
            for (key, value) in fields {
                let total = matches!(key.as_str(), "total_count" | "totalCount" | "count");
                match value.as_u64() {
                    Some(number) if total => *value = Value::from(number + 1),
                    _ => totals(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(totals),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
