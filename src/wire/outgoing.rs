//! A request as its caller writes it, and as it goes to the endpoint of its API: with
//! host, token and headers.

use ::http::{HeaderValue, Method, Request, header};
use bytes::Bytes;
use url::Url;

use super::{RequestFailure, Token};
use crate::call::Call;
use crate::model::Api;
use crate::providers;

pub(super) const USER_AGENT: &str = concat!("preview-gc/", env!("CARGO_PKG_VERSION"));

/// What is needed to talk to one provider.
#[derive(Debug, Clone)]
pub struct ApiEndpoint {
    /// The base URL, without a trailing slash.
    pub base: Url,
    /// The GraphQL URL (GitHub).
    pub graphql: Option<Url>,
    /// The bearer token.
    pub token: Token,
    /// The token for [some requests](crate::providers::ExtraToken), if any.
    pub extra_token: Option<Token>,
}

/// A request before the wire adds host and token.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Whose API.
    pub api: Api,
    /// The HTTP method.
    pub method: Method,
    /// Encoded path and query below the base, beginning with `/`; for GraphQL
    /// `/graphql`.
    pub target: String,
    /// The body; empty for none.
    pub body: Bytes,
    /// The content type of the body.
    pub content_type: &'static str,
    /// Whether the request may be repeated safely.
    pub repeatable: bool,
}

impl From<&Call> for Outgoing {
    fn from(call: &Call) -> Self {
        Self {
            api: call.api,
            method: call.method.clone(),
            target: call.target(),
            body: call.body.clone(),
            content_type: call.content_type,
            repeatable: call.method == Method::GET || call.method == Method::HEAD,
        }
    }
}

impl ApiEndpoint {
    /// Creates the request to send, with host, token and headers.
    pub(super) fn request(&self, outgoing: &Outgoing) -> Result<Request<Bytes>, RequestFailure> {
        if let Some(segment) = crate::call::dot_segment(&outgoing.target) {
            return Err(RequestFailure::BadRequest(format!(
                "its path has the segment `{segment}`, which servers resolve to another path; \
                 rename what is called so, or delete it by hand"
            )));
        }
        let address = match &self.graphql {
            Some(graphql) if outgoing.target == "/graphql" => graphql.to_string(),
            _ => format!(
                "{}{}",
                self.base.as_str().trim_end_matches('/'),
                outgoing.target
            ),
        };
        let about = providers::of(outgoing.api).about();
        let path = outgoing.target.split('?').next().unwrap_or_default();
        let extra = about.extra_token.as_ref();
        let extra = extra.filter(|extra| (extra.covers)(path));
        let extra = extra.and(self.extra_token.as_ref());
        let token = extra.unwrap_or(&self.token);
        let mut request = Request::builder()
            .method(outgoing.method.clone())
            .uri(address)
            .header(header::AUTHORIZATION, token.bearer()?)
            .header(header::USER_AGENT, USER_AGENT)
            .body(outgoing.body.clone())
            .map_err(|error| RequestFailure::BadRequest(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static(about.accept));
        for (name, value) in about.headers {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        if !outgoing.body.is_empty() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(outgoing.content_type),
            );
        }
        Ok(request)
    }
}
