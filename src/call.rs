//! An API request as a value: what is asked, before anything is sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::Api;

/// Everything but unreserved characters is encoded in a path segment, so a
/// name can never leave its segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One request to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Whose API.
    pub api: Api,
    /// The HTTP method.
    pub method: Method,
    /// The encoded path below the provider's base, beginning with `/`.
    pub path: String,
    /// The query parameters, unencoded.
    pub query: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// What the body is.
    pub content_type: &'static str,
}

/// What separates the parts of a form. Its parts are JSON, in which a line
/// cannot begin like this.
const FORM: &str = "multipart/form-data; boundary=preview-gc-form";

impl Call {
    /// A reading request for the path made of these segments, each encoded.
    pub fn get(api: Api, segments: &[&str]) -> Self {
        Self::new(api, Method::GET, segments)
    }

    /// A deleting request, likewise.
    pub fn delete(api: Api, segments: &[&str]) -> Self {
        Self::new(api, Method::DELETE, segments)
    }

    /// Any request, likewise.
    pub fn new(api: Api, method: Method, segments: &[&str]) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        Self {
            api,
            method,
            path,
            query: Vec::new(),
            body: Bytes::new(),
            content_type: "application/json",
        }
    }

    /// Returns the encoded path and query.
    pub fn target(&self) -> String {
        let mut target = self.path.clone();
        if !self.query.is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&self.query)
                .finish();
            target.push('?');
            target.push_str(&query);
        }
        target
    }

    /// With this JSON body.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into();
        self
    }

    /// With a form as its body that has this one part, which is JSON.
    #[must_use]
    pub fn form(mut self, part: &str, body: &serde_json::Value) -> Self {
        self.body = format!(
            "--preview-gc-form\r\nContent-Disposition: form-data; name=\"{part}\"\r\n\
             Content-Type: application/json\r\n\r\n{body}\r\n--preview-gc-form--\r\n"
        )
        .into();
        self.content_type = FORM;
        self
    }

    /// With one more query parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// An address at another host that a provider signed, so that no token is needed
/// there. Whoever knows it may do what it was signed for, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl(String);

impl SignedUrl {
    /// An address as the provider wrote it. It is checked when it is used.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The whole address, which is a secret.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedUrl([hidden])")
    }
}

/// A request of a backup or of a restoration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// To the provider's API.
    Call {
        /// The request.
        call: Call,
        /// How long to wait before it is sent.
        after: Duration,
    },
    /// Fetches what is at a signed address.
    Download {
        /// The provider that signed it.
        api: Api,
        /// The address.
        from: SignedUrl,
        /// The maximum size in bytes.
        maximum: usize,
    },
    /// Writes to a signed address.
    Upload {
        /// The provider that signed it.
        api: Api,
        /// The address.
        to: SignedUrl,
        /// What is written.
        content: Bytes,
        /// The `ETag` of the answer if all of it arrived, without quotation marks.
        etag: String,
    },
}

impl From<Call> for Transfer {
    fn from(call: Call) -> Self {
        Self::Call {
            call,
            after: Duration::ZERO,
        }
    }
}

/// The first segment of a target's path that is `.` or `..`: proxies and
/// servers resolve it, so the request would be about something else. Such a
/// segment cannot be escaped, because `%2E` means the same.
pub fn dot_segment(target: &str) -> Option<&str> {
    let path = target.split('?').next().unwrap_or_default();
    path.split('/')
        .find(|segment| matches!(*segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_address_is_not_shown() {
        let signed = Transfer::Download {
            api: Api::Cloudflare,
            from: SignedUrl::new("https://files.example/dump.sql?X-Amz-Signature=5ec4e7"),
            maximum: 1,
        };
        let shown = format!("{signed:?}");
        assert!(
            !shown.contains("5ec4e7") && !shown.contains("files"),
            "{shown}"
        );
    }

    #[test]
    fn a_name_cannot_leave_its_path_segment() {
        let call = Call::get(Api::Cloudflare, &["accounts", "a", "../x?y#z/ü"]);
        assert_eq!(call.path, "/accounts/a/..%2Fx%3Fy%23z%2F%C3%BC");
    }
}
