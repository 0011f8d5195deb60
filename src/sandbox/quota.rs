//! The providers' request quotas, enforced as documented.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::SandboxProvider;
use super::message::{self, Request, Response};

/// Cloudflare's quota: a number of requests in any window; beyond it,
/// everything is refused for a whole window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxQuota {
    /// Maximum requests; `None` for no limit.
    pub limit: Option<u32>,
    /// The window, in seconds.
    pub seconds: u32,
}

impl Default for SandboxQuota {
    fn default() -> Self {
        Self {
            limit: Some(1_200),
            seconds: 300,
        }
    }
}

impl std::str::FromStr for SandboxQuota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self {
                limit: None,
                seconds: 300,
            });
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        text.split_once('/')
            .and_then(|(limit, seconds)| Some((number(limit)?, number(seconds)?)))
            .map(|(limit, seconds)| Self {
                limit: Some(limit),
                seconds,
            })
            .ok_or_else(|| "write N/SECONDS, such as 1200/300, or off".to_owned())
    }
}

/// GitHub's primary limit, per hour.
const GITHUB: u32 = 5_000;
/// Neon's limit, per minute and account.
const NEON: usize = 700;
/// Neon's burst, per second and route.
const NEON_ROUTE: usize = 40;

/// The requests that still count.
pub(super) struct Quotas {
    cloudflare: SandboxQuota,
    sent: VecDeque<DateTime<Utc>>,
    blocked_until: Option<DateTime<Utc>>,
    neon: VecDeque<DateTime<Utc>>,
    neon_routes: BTreeMap<String, VecDeque<DateTime<Utc>>>,
    /// By resource: requests used, and when the window resets.
    github: BTreeMap<&'static str, (u32, DateTime<Utc>)>,
}

/// Which of GitHub's quotas counts a request.
pub(super) fn resource(request: &Request) -> &'static str {
    if request.path().first() == Some(&"graphql") {
        "graphql"
    } else {
        "core"
    }
}

impl Quotas {
    pub(super) fn new(cloudflare: SandboxQuota) -> Self {
        Self {
            cloudflare,
            sent: VecDeque::new(),
            blocked_until: None,
            neon: VecDeque::new(),
            neon_routes: BTreeMap::new(),
            github: BTreeMap::new(),
        }
    }

    /// Counts a request; returns the refusal if there are too many.
    pub(super) fn count(
        &mut self,
        provider: SandboxProvider,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Option<Response> {
        match provider {
            SandboxProvider::Cloudflare => self.cloudflare(now),
            SandboxProvider::Neon => self.neon(request, now),
            // Requests for the limit itself do not count.
            SandboxProvider::GitHub if request.path() == ["rate_limit"] => None,
            SandboxProvider::GitHub => self.github(resource(request), now),
            SandboxProvider::Signed => None,
        }
    }

    fn cloudflare(&mut self, now: DateTime<Utc>) -> Option<Response> {
        let limit = self.cloudflare.limit?;
        let window = TimeDelta::seconds(self.cloudflare.seconds.into());
        if self.blocked_until.is_none_or(|until| until <= now) {
            drop_older(&mut self.sent, now - window);
            if self.sent.len() < limit as usize {
                self.sent.push_back(now);
                self.blocked_until = None;
                return None;
            }
            self.blocked_until = Some(now + window);
        }
        let wait = self
            .blocked_until
            .map_or(0, |until| seconds_up(until - now));
        let mut response = message::json(
            StatusCode::TOO_MANY_REQUESTS,
            &json!({
                "success": false, "result": null, "messages": [],
                "errors": [{"code": 971, "message": "Please wait and consider throttling your \
                                                     request speed"}],
            }),
        );
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait));
        self.headers(SandboxProvider::Cloudflare, "", now, &mut response);
        Some(response)
    }

    fn neon(&mut self, request: &Request, now: DateTime<Utc>) -> Option<Response> {
        drop_older(&mut self.neon, now - TimeDelta::minutes(1));
        let route = format!("{} {}", request.method, request.segments.join("/"));
        let burst = self.neon_routes.entry(route).or_default();
        drop_older(burst, now - TimeDelta::seconds(1));
        if self.neon.len() >= NEON || burst.len() >= NEON_ROUTE {
            return Some(message::json(
                StatusCode::TOO_MANY_REQUESTS,
                &json!({"code": "", "message": "too many requests", "request_id": "sandbox"}),
            ));
        }
        self.neon.push_back(now);
        burst.push_back(now);
        None
    }

    fn github(&mut self, resource: &'static str, now: DateTime<Utc>) -> Option<Response> {
        let fresh = (0, now + TimeDelta::hours(1));
        let quota = self.github.entry(resource).or_insert(fresh);
        if quota.1 <= now {
            *quota = fresh;
        }
        if quota.0 < GITHUB {
            quota.0 += 1;
            return None;
        }
        let mut response = message::json(
            StatusCode::FORBIDDEN,
            &json!({"message": "API rate limit \
                exceeded", "documentation_url": "https://docs.github.com/rest", "status": "403"}),
        );
        self.headers(SandboxProvider::GitHub, resource, now, &mut response);
        Some(response)
    }

    /// Adds the provider's quota headers to an answer.
    pub(super) fn headers(
        &self,
        provider: SandboxProvider,
        resource: &str,
        now: DateTime<Utc>,
        response: &mut Response,
    ) {
        let mut headers = Vec::new();
        match (provider, self.cloudflare.limit) {
            (SandboxProvider::Cloudflare, Some(limit)) => {
                let window = self.cloudflare.seconds;
                let blocked = self.blocked_until.is_some();
                let left = if blocked {
                    0
                } else {
                    (limit as usize).saturating_sub(self.sent.len())
                };
                let first = self.sent.front().map_or(now, |first| *first);
                let resets = self
                    .blocked_until
                    .unwrap_or(first + TimeDelta::seconds(window.into()));
                let wait = seconds_up(resets - now);
                headers.push(("ratelimit", format!("\"default\";r={left};t={wait}")));
                headers.push((
                    "ratelimit-policy",
                    format!("\"default\";q={limit};w={window}"),
                ));
            }
            (SandboxProvider::GitHub, _) => {
                let known = self.github.get(resource).copied();
                let (used, resets_at) = known.unwrap_or((0, now));
                let reset = resets_at.timestamp();
                headers.push(("x-ratelimit-limit", GITHUB.to_string()));
                headers.push((
                    "x-ratelimit-remaining",
                    (GITHUB - used.min(GITHUB)).to_string(),
                ));
                headers.push(("x-ratelimit-used", used.to_string()));
                headers.push(("x-ratelimit-reset", reset.to_string()));
                headers.push(("x-ratelimit-resource", resource.to_owned()));
            }
            (SandboxProvider::Cloudflare | SandboxProvider::Neon | SandboxProvider::Signed, _) => {}
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                // A header that a fault sets is not replaced.
                response
                    .headers_mut()
                    .entry(HeaderName::from_static(name))
                    .or_insert(value);
            }
        }
    }
}

fn seconds_up(wait: TimeDelta) -> i64 {
    (wait.num_milliseconds().max(0) + 999) / 1_000
}

fn drop_older(sent: &mut VecDeque<DateTime<Utc>>, before: DateTime<Utc>) {
    while sent.front().is_some_and(|first| *first <= before) {
        sent.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_quota_everything_is_refused_for_a_whole_window() {
        let mut quotas = Quotas::new("10/60".parse().unwrap());
        let begin: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        for _ in 0..10 {
            assert!(quotas.cloudflare(begin).is_none());
        }
        let later = begin + TimeDelta::seconds(30);
        let refusal = quotas.cloudflare(later).unwrap();
        assert_eq!(refusal.headers()["retry-after"], "60");
        assert_eq!(refusal.headers()["ratelimit"], "\"default\";r=0;t=60");
        // The window would allow requests again, but the block is still active.
        assert!(quotas.cloudflare(begin + TimeDelta::seconds(70)).is_some());
        assert!(quotas.cloudflare(begin + TimeDelta::seconds(90)).is_none());
        assert!("0/5".parse::<SandboxQuota>().is_err() && "x".parse::<SandboxQuota>().is_err());
    }
}
