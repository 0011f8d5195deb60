//! The only connection to the providers, and the only loop that sends requests to their
//! APIs: permit, limiter, attempt, classify, wait. [`Client::transfer`] has another one
//! for addresses that a provider signed, which take no token and no quota.
//!
//! Everything above uses a tower `Service` from request bytes to response
//! bytes. One implementation is [`http`]; the other is the sandbox, called in
//! process.

pub mod clocks;
pub mod error;
pub mod http;
mod outgoing;
pub mod quota;
pub mod retry;
pub mod token;
mod transfer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

pub use clocks::ClockSkew;
pub use error::{ApiError, RequestFailure, TransportError};
pub use outgoing::{ApiEndpoint, Outgoing};
pub use quota::{Allotment, LongWait, Quota, QuotaUse, WaitListener};
pub use token::Token;

use self::clocks::Skews;
use crate::call::Call;
use crate::clock::Clock;
use crate::model::Api;
use crate::providers;

/// The transport: request bytes in, response bytes out.
pub type Transport = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>;

/// Maximum duration of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The result of a writing request.
#[derive(Debug)]
pub enum WriteResult {
    /// It was answered, whatever the status.
    Answered(Response<Bytes>),
    /// It certainly had no effect: it was not sent, or refused before it could
    /// have one.
    NotSent(ApiError),
    /// The provider asked to wait, for longer than there is time. By its documentation
    /// it carried nothing out, but what stands before it may have answered instead.
    Throttled(ApiError),
    /// It was sent, and it is unknown whether it took effect.
    Lost(ApiError),
}

struct Connected {
    endpoint: ApiEndpoint,
    quota: Arc<Quota>,
}

/// Sends requests within the quotas and the run's deadline.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    providers: Arc<BTreeMap<Api, Connected>>,
    clock: Clock,
    skews: Arc<Skews>,
    deadline: Instant,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("providers", &self.providers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client for these providers over this transport, until the
    /// deadline.
    pub fn new(
        transport: Transport,
        endpoints: BTreeMap<Api, ApiEndpoint>,
        clock: Clock,
        deadline: Duration,
        allotment: Allotment,
    ) -> Self {
        let providers = endpoints
            .into_iter()
            .map(|(api, endpoint)| {
                let quota = Arc::new(Quota::of(api, allotment));
                (api, Connected { endpoint, quota })
            })
            .collect();
        Self {
            transport,
            providers: Arc::new(providers),
            clock,
            skews: Arc::default(),
            deadline: Instant::now() + deadline,
        }
    }

    /// Tells a listener of every long wait for a quota.
    pub fn announce_waits(&self, listener: &WaitListener) {
        for provider in self.providers.values() {
            provider.quota.announce_to(Arc::clone(listener));
        }
    }

    /// Returns whether there are credentials for a provider.
    pub fn has(&self, api: Api) -> bool {
        self.providers.contains_key(&api)
    }

    /// Returns the run's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Converts a time of the machine's clock to the earliest of the machine's
    /// and the providers' clocks, if they differ by more than five minutes. By
    /// a later clock, a resource could seem old enough to be deleted.
    pub fn earliest(&self, machine: DateTime<Utc>) -> DateTime<Utc> {
        self.skews.earliest(machine)
    }

    /// Converts a time to the latest of the clocks. A resource that has to stay
    /// until a time must stay until then by every clock.
    pub fn latest(&self, machine: DateTime<Utc>) -> DateTime<Utc> {
        self.skews.latest(machine)
    }

    /// Returns how the clocks differ, if they do.
    pub fn clock_skew(&self) -> Option<ClockSkew> {
        self.skews.skew(self.clock.start())
    }

    /// Returns the requests sent and left for each provider.
    pub fn quota_use(&self) -> Vec<QuotaUse> {
        self.providers
            .values()
            .map(|provider| provider.quota.used())
            .collect()
    }

    /// Returns the client with another deadline.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// Returns the client with a deadline that is so much earlier.
    #[must_use]
    pub fn ending_earlier(&self, by: Duration) -> Self {
        self.until(self.deadline.checked_sub(by).unwrap_or(self.deadline))
    }

    /// Waits, but not beyond the deadline. Returns whether there is time left.
    pub async fn pause(&self, wait: Duration) -> bool {
        let end = Instant::now() + wait;
        tokio::time::sleep_until(end.min(self.deadline)).await;
        end < self.deadline
    }

    /// Returns the deadline of the run.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns the host of a provider's requests.
    pub fn host(&self, api: Api) -> Option<String> {
        let base = &self.providers.get(&api)?.endpoint.base;
        let host = base.host_str()?;
        Some(match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    /// Returns where requests are sent, for commands by hand.
    pub fn addresses(&self) -> providers::Addresses {
        let bases = self.providers.iter();
        let bases = bases.map(|(api, provider)| (*api, provider.endpoint.base.to_string()));
        let with_extra = self.providers.iter();
        let with_extra = with_extra.filter(|(_, one)| one.endpoint.extra_token.is_some());
        providers::Addresses {
            bases: bases.collect(),
            with_extra_token: with_extra.map(|(api, _)| *api).collect(),
        }
    }

    /// Returns the address of the pages that people read at GitHub. A simulated
    /// API on loopback has none.
    pub fn github_pages(&self) -> Option<String> {
        let base = &self.providers.get(&Api::GitHub)?.endpoint.base;
        let is_loopback = match base.host()? {
            url::Host::Domain(name) => name == "localhost",
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        };
        match self.host(Api::GitHub)? {
            host if host == "api.github.com" => Some("https://github.com".to_owned()),
            // GitHub Enterprise Cloud with data residency.
            host if host.starts_with("api.") && host.ends_with(".ghe.com") => {
                Some(format!("https://{}", host.trim_start_matches("api.")))
            }
            host => (!is_loopback).then(|| format!("https://{host}")),
        }
    }

    /// Returns how long the next request has to wait for the quota.
    pub fn wait(&self, api: Api) -> Duration {
        self.providers
            .get(&api)
            .map_or(Duration::ZERO, |provider| provider.quota.wait())
    }

    /// Returns how long the provider itself asked to send nothing, from now on.
    pub fn paused(&self, api: Api) -> Duration {
        self.providers
            .get(&api)
            .map_or(Duration::ZERO, |provider| provider.quota.paused())
    }

    /// Returns how long to wait for the quota until `requests` requests can be
    /// sent without a pause.
    pub fn wait_for(&self, api: Api, requests: usize) -> Duration {
        self.providers
            .get(&api)
            .map_or(Duration::ZERO, |provider| provider.quota.wait_for(requests))
    }

    /// Returns how many requests the quota allows until the deadline.
    pub fn affordable(&self, api: Api) -> usize {
        self.providers
            .get(&api)
            .map_or(0, |provider| provider.quota.affordable(self.deadline))
    }

    /// Sends a call and returns the body of a 2xx answer.
    pub async fn send(&self, call: &Call) -> Result<Bytes, ApiError> {
        let outgoing = Outgoing::from(call);
        let response = self.exchange(&outgoing).await?;
        if response.status().is_success() {
            Ok(response.into_body())
        } else {
            let failure = error::refusal(outgoing.api, &response);
            Err(self.error(&outgoing, failure))
        }
    }

    /// Sends a writing call, unless it would have to wait beyond `not_after`:
    /// the data it depends on would be too old by then.
    pub async fn write(&self, call: &Call, not_after: Instant) -> WriteResult {
        let outgoing = Outgoing::from(call);
        let outdated = not_after < self.deadline;
        let not_after = not_after.min(self.deadline);
        match self.exchange_before(&outgoing, not_after).await {
            Ok(response) => WriteResult::Answered(response),
            Err(error) => match error.failure {
                RequestFailure::Deadline if outdated => {
                    WriteResult::NotSent(self.error(&outgoing, RequestFailure::Outdated))
                }
                RequestFailure::Transport(
                    TransportError::Connect(_)
                    | TransportError::Tls(_)
                    | TransportError::Certificate { .. }
                    | TransportError::Proxy { .. },
                )
                | RequestFailure::NotConfigured
                | RequestFailure::BadToken
                | RequestFailure::BadRequest(_)
                | RequestFailure::Withheld { .. }
                | RequestFailure::Deadline
                // It was repeated only because it had no effect, until the time
                // was up.
                | RequestFailure::Unavailable { .. }
                | RequestFailure::Refused { .. } => WriteResult::NotSent(error),
                RequestFailure::Throttled { .. } => WriteResult::Throttled(error),
                _ => WriteResult::Lost(error),
            },
        }
    }

    /// Sends a request until its answer would not change by repeating it, and
    /// returns the answer whatever its status. Redirects are returned and never
    /// followed, so that a token never reaches another host.
    pub async fn exchange(&self, outgoing: &Outgoing) -> Result<Response<Bytes>, ApiError> {
        let response = self.exchange_before(outgoing, self.deadline).await?;
        let status = response.status();
        let is_whole = matches!(status, StatusCode::OK | StatusCode::NO_CONTENT);
        // A part, or what a proxy changed, looks like the whole.
        if outgoing.repeatable && status.is_success() && !is_whole {
            let failure = RequestFailure::Partial {
                status: status.as_u16(),
            };
            return Err(self.error(outgoing, failure));
        }
        Ok(response)
    }

    async fn exchange_before(
        &self,
        outgoing: &Outgoing,
        not_after: Instant,
    ) -> Result<Response<Bytes>, ApiError> {
        let Some(provider) = self.providers.get(&outgoing.api) else {
            return Err(self.error(outgoing, RequestFailure::NotConfigured));
        };
        let path = outgoing.target.split('?').next().unwrap_or_default();
        let route = providers::of(outgoing.api).route(path);
        let mut attempt = 0;
        let mut earlier = None;
        loop {
            attempt += 1;
            // A GraphQL query is a POST that only reads.
            let permit = Quota::permit(&provider.quota, &route, !outgoing.repeatable, not_after);
            let permit = permit.await;
            let permit = permit.map_err(|failure| self.error(outgoing, failure))?;
            let request = provider
                .endpoint
                .request(outgoing)
                .map_err(|failure| self.error(outgoing, failure))?;
            tracing::debug!(api = outgoing.api.key(), method = %outgoing.method, target = %self.redact(&outgoing.target), attempt, "request");
            let sent = self.clock.now();
            let result = self.attempt(request).await;
            let result = result.map(|response| self.without_tokens(outgoing.api, response));
            if let Ok(response) = &result {
                let received = self.clock.now();
                self.skews
                    .observe(outgoing.api, response.headers(), sent, received);
                provider.quota.observe(&route, response, &self.clock);
                tracing::debug!(
                    api = outgoing.api.key(),
                    status = response.status().as_u16(),
                    "answer"
                );
            }
            drop(permit);
            let next = retry::judge(outgoing, &result, attempt, &self.clock);
            match (next, result) {
                (retry::RetryDecision::Done, Ok(response)) => return Ok(response),
                (retry::RetryDecision::Done, Err(error)) => {
                    return Err(self.error(outgoing, why_failed(error, earlier)));
                }
                (retry::RetryDecision::PauseAll { wait, last }, _) => {
                    // All requests that share the quota wait, not only this
                    // one.
                    provider.quota.pause(wait);
                    if last || Instant::now() + wait >= not_after {
                        return Err(self.error(outgoing, RequestFailure::Throttled { wait }));
                    }
                }
                (retry::RetryDecision::Again { wait }, result) => {
                    let failure = match result {
                        Ok(response) => error::refusal(outgoing.api, &response),
                        Err(error) => why_failed(error, earlier),
                    };
                    if Instant::now() + wait >= not_after {
                        return Err(self.error(outgoing, failure));
                    }
                    // A write that was cut off may have had an effect, whatever
                    // the attempt before it had.
                    earlier = outgoing.repeatable.then_some(failure);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Removes tokens from an error answer before it is parsed. A successful
    /// answer contains names, which are left as they are.
    fn without_tokens(&self, api: Api, response: Response<Bytes>) -> Response<Bytes> {
        let succeeded = response.status().is_success();
        let whole = !succeeded || error::denial(api, &response).is_some();
        let part = providers::of(api).has_errors_inside(response.body());
        if !whole && !part {
            return response;
        }
        let (parts, body) = response.into_parts();
        let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
            let clean = self.redact(&String::from_utf8_lossy(&body));
            return Response::from_parts(parts, clean.into());
        };
        let refusal = if whole {
            Some(&mut value)
        } else {
            value.get_mut("errors")
        };
        if let Some(refusal) = refusal {
            self.tokens().for_each(|token| token.redact_json(refusal));
        }
        Response::from_parts(parts, value.to_string().into())
    }

    fn tokens(&self) -> impl Iterator<Item = &Token> {
        let endpoints = self.providers.values().map(|provider| &provider.endpoint);
        endpoints.flat_map(|endpoint| {
            std::iter::once(&endpoint.token).chain(endpoint.extra_token.as_ref())
        })
    }

    /// Removes all tokens of this run from a text. Any text that repeats an
    /// unreadable answer goes through here before it is stored or shown.
    pub fn redact(&self, text: &str) -> String {
        let clean = |text: String, token: &Token| token.redact(&text);
        self.tokens().fold(text.to_owned(), clean)
    }

    async fn attempt(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = ATTEMPT_TIMEOUT.min(left);
        tokio::time::timeout(limit, self.transport.clone().oneshot(request))
            .await
            .unwrap_or(Err(TransportError::Timeout { after: limit }))
    }

    /// Creates an error about a request, with tokens removed from the
    /// provider's message.
    pub fn error(&self, outgoing: &Outgoing, failure: RequestFailure) -> ApiError {
        let base = self
            .providers
            .get(&outgoing.api)
            .map(|provider| provider.endpoint.base.to_string())
            .unwrap_or_default();
        let mut error = ApiError {
            api: outgoing.api,
            request: format!(
                "{} {}{}",
                outgoing.method,
                base.trim_end_matches('/'),
                outgoing.target.split('?').next().unwrap_or_default()
            ),
            failure,
        };
        error.failure.redact(|text| self.redact(text));
        error.request = self.redact(&error.request);
        error
    }
}

/// Returns why a request failed. An attempt that the deadline cut off says
/// nothing about the provider, unlike an earlier one that failed on its own.
fn why_failed(error: TransportError, earlier: Option<RequestFailure>) -> RequestFailure {
    match (&error, earlier) {
        (TransportError::Timeout { after }, Some(earlier)) if *after < ATTEMPT_TIMEOUT => earlier,
        _ => error.into(),
    }
}

/// Returns whether a status asks to repeat the request later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

#[cfg(test)]
pub(crate) mod tests;
