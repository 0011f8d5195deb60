//! Errors between a request and its answer, with messages that say what the
//! user can do.

use std::fmt;
use std::time::Duration;

use ::http::{Response, StatusCode, header};
use bytes::Bytes;

use crate::model::Api;
use crate::providers;

/// A failure below HTTP.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// No connection.
    #[error("cannot connect: {0}; check the address and the network")]
    Connect(String),
    /// TLS cannot be set up on this machine.
    #[error(
        "cannot set up TLS: {0}; install the certificates of the system (the package \
         ca-certificates), or set SSL_CERT_FILE to a file of trusted certificates"
    )]
    Tls(String),
    /// The server's certificate is not trusted.
    #[error(
        "the server's certificate is not trusted: {why}; {}",
        cure_of_certificate(*.proxy)
    )]
    Certificate {
        /// The problem with it.
        why: String,
        /// The variable that sets the proxy.
        proxy: Option<&'static str>,
    },
    /// The proxy does not answer, or does not connect.
    #[error(
        "cannot connect through the proxy that {variable} names: {why}; correct {variable}, or list the host in NO_PROXY"
    )]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// The reason.
        why: String,
    },
    /// No answer in time.
    #[error("no answer within {}s", .after.as_secs_f32().ceil())]
    Timeout {
        /// How long the client waited.
        after: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the connection broke before the answer was complete: {0}")]
    Broken(String),
    /// The body is longer than any answer we request.
    #[error("the answer is larger than {limit} bytes, which no page of a listing is")]
    TooLarge {
        /// The maximum.
        limit: usize,
    },
}

impl TransportError {
    /// Removes secrets from its words.
    pub(super) fn redact(&mut self, redact: impl Fn(&str) -> String) {
        match self {
            Self::Connect(text)
            | Self::Broken(text)
            | Self::Tls(text)
            | Self::Certificate { why: text, .. }
            | Self::Proxy { why: text, .. } => *text = redact(text),
            Self::Timeout { .. } | Self::TooLarge { .. } => {}
        }
    }
}

/// Returns advice about an untrusted certificate.
fn cure_of_certificate(proxy: Option<&str>) -> String {
    let trust = "set SSL_CERT_FILE to a file with the certificate of your company's authority";
    match proxy {
        Some(variable) => format!("if the proxy that {variable} names opens connections, {trust}"),
        None => format!(
            "if a company's firewall opens connections, {trust}; else check the clock and the address"
        ),
    }
}

/// Why a request gave no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestFailure {
    /// There are no credentials for this provider.
    #[error("no credentials are configured")]
    NotConfigured,
    /// The token cannot be a header value.
    #[error("the token contains characters that no token has")]
    BadToken,
    /// The request could not be formed.
    #[error("the request cannot be formed: {0}")]
    BadRequest(String),
    /// 401, or the provider's equivalent.
    #[error("the token was not accepted (HTTP {status}: {message})")]
    Unauthorized {
        /// The status.
        status: u16,
        /// The provider's message.
        message: String,
    },
    /// 403: the token is known and may not do this.
    #[error("the token may not do this (HTTP {status}: {message})")]
    Forbidden {
        /// The status.
        status: u16,
        /// The provider's message.
        message: String,
    },
    /// 404: missing, or hidden from this token.
    #[error("not found, or hidden from this token (HTTP {status}: {message})")]
    NotFound {
        /// The status.
        status: u16,
        /// The provider's message.
        message: String,
    },
    /// 3xx: moved. Redirects are not followed, so that a token stays with its
    /// host and a renamed repository is not taken for another one.
    #[error("redirected (HTTP {status}), which is not followed: was it renamed or moved?")]
    Redirected {
        /// The status.
        status: u16,
    },
    /// A reading request was answered with a successful status that is not 200.
    #[error("the status says that the answer is not all of it (HTTP {status})")]
    Partial {
        /// The status.
        status: u16,
    },
    /// A temporary failure that persisted.
    #[error("the provider failed repeatedly (HTTP {status}: {message})")]
    Unavailable {
        /// The status.
        status: u16,
        /// The provider's message.
        message: String,
    },
    /// Any other status.
    #[error("refused (HTTP {status}: {message})")]
    Refused {
        /// The status.
        status: u16,
        /// The provider's message.
        message: String,
    },
    /// The run's share of the quota is used up for longer than the run can
    /// wait. The request was not sent.
    #[error("the quota share of this run is used up for another {}s", .wait.as_secs())]
    Withheld {
        /// Time until requests are available.
        wait: Duration,
    },
    /// The provider refused it repeatedly because of its quota.
    #[error("rate limited for another {}s; try again later", .wait.as_secs())]
    Throttled {
        /// How long the provider asks to wait.
        wait: Duration,
    },
    /// The run's deadline would pass first.
    #[error("the run's deadline leaves no time for it; raise --deadline")]
    Deadline,
    /// The data that a change depends on would be too old.
    #[error("what was read for it is too old; raise --reread-after")]
    Outdated,
    /// No connection, or a broken one.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The body is not what the API documents.
    #[error("{0}")]
    Malformed(String),
}

impl RequestFailure {
    /// Removes tokens from the provider's message.
    pub(super) fn redact(&mut self, redact: impl Fn(&str) -> String) {
        let text = match self {
            Self::Unauthorized { message, .. }
            | Self::Forbidden { message, .. }
            | Self::NotFound { message, .. }
            | Self::Unavailable { message, .. }
            | Self::Refused { message, .. } => message,
            Self::Malformed(text) | Self::BadRequest(text) => text,
            Self::Transport(error) => return error.redact(redact),
            Self::NotConfigured
            | Self::BadToken
            | Self::Redirected { .. }
            | Self::Partial { .. }
            | Self::Withheld { .. }
            | Self::Throttled { .. }
            | Self::Deadline
            | Self::Outdated => return,
        };
        *text = redact(text);
    }
}

/// A request that failed.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The provider.
    pub api: Api,
    /// Method and address, without the query.
    pub request: String,
    /// The reason.
    pub failure: RequestFailure,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.failure)?;
        match &self.failure {
            RequestFailure::Unauthorized { .. } => {
                write!(f, "; set {} to a valid token", self.api.token_variable())
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.failure)
    }
}

/// Converts an answer with a status other than 2xx to a failure.
pub(crate) fn refusal(api: Api, response: &Response<Bytes>) -> RequestFailure {
    let status = response.status();
    let message = provider_message(api, response);
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED => RequestFailure::Unauthorized {
            status: code,
            message,
        },
        StatusCode::FORBIDDEN => RequestFailure::Forbidden {
            status: code,
            message,
        },
        StatusCode::NOT_FOUND => RequestFailure::NotFound {
            status: code,
            message,
        },
        status if status.is_redirection() => RequestFailure::Redirected { status: code },
        status if super::is_passing(status) => RequestFailure::Unavailable {
            status: code,
            message,
        },
        _ => RequestFailure::Refused {
            status: code,
            message,
        },
    }
}

/// Returns the error behind a successful status, where the provider answers so
/// with a failure.
pub(crate) fn denial(api: Api, response: &Response<Bytes>) -> Option<String> {
    let denied = providers::of(api).is_denied(response.body());
    denied.then(|| provider_message(api, response))
}

/// Returns the provider's message in one short escaped line.
fn provider_message(api: Api, response: &Response<Bytes>) -> String {
    let message = providers::of(api).message(response.body());
    message.map_or_else(|| unreadable(response), |message| short(&message))
}

/// Describes an answer that is not the provider's JSON.
pub(crate) fn unreadable(response: &Response<Bytes>) -> String {
    let html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("html"))
        || response.body().trim_ascii_start().starts_with(b"<");
    if html {
        "the answer is HTML, not JSON: is there a proxy or a login page in between?".to_owned()
    } else if response.body().is_empty() {
        "the answer is empty".to_owned()
    } else {
        "the answer is not the provider's JSON".to_owned()
    }
}

/// Shortens text to one line of at most 200 characters without control
/// characters.
pub(crate) fn short(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    if text.chars().count() > 200 {
        line.push('…');
    }
    line
}
