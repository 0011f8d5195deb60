//! Requests and answers of the sandbox's APIs.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

/// One request, split into the parts that an API needs.
#[derive(Debug, Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The percent-decoded segments of the path below the provider's base
    /// (`/client/v4`, `/api/v2`, `/github`).
    pub segments: Vec<String>,
    /// The decoded query parameters in their order.
    pub query: Vec<(String, String)>,
    /// The request headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Scheme, host, port and provider prefix as the client addressed them,
    /// without a trailing slash. Every address in an answer begins with it.
    pub base: String,
    /// The time in the sandbox when the request arrived.
    pub now: DateTime<Utc>,
}

impl Request {
    /// The path segments as string slices, for matching.
    #[must_use]
    pub fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON, whatever content type it claims: real clients send
    /// JSON as `text/plain`.
    ///
    /// # Errors
    ///
    /// When the body is not JSON.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// One answer.
pub type Response = http::Response<Bytes>;

/// An answer with a JSON body.
#[must_use]
pub fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
