//! Decides what to do after an attempt: return the result, repeat the request,
//! or pause all requests that share the quota.

use std::time::Duration;

use ::http::{Response, StatusCode};
use bytes::Bytes;

use super::{Outgoing, TransportError, clocks, is_passing};
use crate::clock::Clock;
use crate::providers::{self, answer::retry_after};

/// Maximum number of attempts, including the first.
pub(super) const ATTEMPTS: u32 = 4;

/// Maximum number of attempts while another operation locks the place, which
/// ends soon.
const ATTEMPTS_WHEN_LOCKED: u32 = 6;

/// What to do after an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Return the result.
    Done,
    /// Repeat the request after a delay.
    Again {
        /// The duration.
        wait: Duration,
    },
    /// Pause all requests of the quota.
    PauseAll {
        /// The duration.
        wait: Duration,
        /// Whether this was the last attempt.
        last: bool,
    },
}

/// Decides what follows an attempt (counted from 1).
pub(super) fn judge(
    outgoing: &Outgoing,
    result: &Result<Response<Bytes>, TransportError>,
    attempt: u32,
    clock: &Clock,
) -> RetryDecision {
    let locked = |response: &Response<Bytes>| response.status() == StatusCode::LOCKED;
    let attempts = if result.as_ref().is_ok_and(locked) {
        ATTEMPTS_WHEN_LOCKED
    } else {
        ATTEMPTS
    };
    let last = attempt >= attempts;
    match result {
        Ok(response) => {
            // The provider uses its own clock.
            let now = clocks::date(response.headers()).unwrap_or(clock.now());
            let provider = providers::of(outgoing.api);
            if let Some(wait) = provider.throttled(&outgoing.target, response, now) {
                // It was refused before it took effect, so any method may be
                // repeated.
                return RetryDecision::PauseAll { wait, last };
            }
            let untouched = provider.had_no_effect(response.status());
            let again = (is_passing(response.status()) && outgoing.repeatable) || untouched;
            if !again || last {
                return RetryDecision::Done;
            }
            let asked = retry_after(response.headers(), now);
            let wait = if locked(response) {
                backoff(attempt) / 3
            } else {
                backoff(attempt)
            };
            RetryDecision::Again {
                wait: asked.unwrap_or(wait),
            }
        }
        Err(error) if is_permanent(error) => RetryDecision::Done,
        Err(_) if !outgoing.repeatable || last => RetryDecision::Done,
        Err(_) => RetryDecision::Again {
            wait: backoff(attempt),
        },
    }
}

/// Returns whether the next attempt would fail in the same way.
pub(super) fn is_permanent(error: &TransportError) -> bool {
    matches!(
        error,
        TransportError::TooLarge { .. }
            | TransportError::Tls(_)
            | TransportError::Certificate { .. }
    )
}

/// Returns the delay: half a second, doubled each time, plus up to half of it
/// so that parallel requests do not retry at the same time.
pub(super) fn backoff(attempt: u32) -> Duration {
    let base = Duration::from_millis(500) * 2_u32.saturating_pow(attempt.saturating_sub(1));
    base + base.mul_f32(fastrand::f32() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Api;
    use ::http::Method;

    fn outgoing(api: Api, method: Method, repeatable: bool) -> Outgoing {
        Outgoing {
            api,
            method,
            target: "/x".to_owned(),
            body: Bytes::new(),
            content_type: "application/json",
            repeatable,
        }
    }

    fn answer(
        status: u16,
        headers: &[(&'static str, &str)],
        body: &'static str,
    ) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    }

    fn clock() -> Clock {
        Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap())
    }

    fn pause(api: Api, response: Response<Bytes>) -> Option<u64> {
        match judge(
            &outgoing(api, Method::GET, true),
            &Ok(response),
            1,
            &clock(),
        ) {
            RetryDecision::PauseAll { wait, .. } => Some(wait.as_secs()),
            RetryDecision::Done | RetryDecision::Again { .. } => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttled_answers_set_the_pause() {
        let cloudflare =
            |headers: &[(&'static str, &str)]| pause(Api::Cloudflare, answer(429, headers, "{}"));
        assert_eq!(cloudflare(&[("retry-after", "120")]), Some(120));
        assert_eq!(cloudflare(&[]), Some(300), "the whole window");
        let date = "Sun, 01 Mar 2026 00:01:30 GMT";
        assert_eq!(cloudflare(&[("retry-after", date)]), Some(90));

        let github = |status, headers: &[(&'static str, &str)], body| {
            pause(Api::GitHub, answer(status, headers, body))
        };
        let reset = clock().now().timestamp() + 600;
        let primary = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", &*reset.to_string()),
        ];
        assert_eq!(github(403, &primary, "{}"), Some(600));
        assert_eq!(github(403, &[("retry-after", "7")], "{}"), Some(7));
        assert_eq!(
            github(
                403,
                &[],
                r#"{"message":"You have exceeded a secondary rate limit"}"#
            ),
            Some(60)
        );
        assert_eq!(
            github(403, &[], r#"{"message":"Resource not accessible"}"#),
            None
        );
        assert_eq!(github(429, &[], "{}"), Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn graphql_rate_limits_with_status_200() {
        let graphql = |headers: &[(&'static str, &str)], body| {
            let request = Outgoing {
                target: "/graphql".to_owned(),
                ..outgoing(Api::GitHub, Method::POST, true)
            };
            match judge(&request, &Ok(answer(200, headers, body)), 1, &clock()) {
                RetryDecision::PauseAll { wait, .. } => Some(wait.as_secs()),
                RetryDecision::Done | RetryDecision::Again { .. } => None,
            }
        };
        for body in [
            r#"{"errors":[{"type":"RATE_LIMITED","message":"m"}]}"#,
            r#"{"errors":[{"type":"RATE_LIMIT","code":"graphql_rate_limit","message":"m"}]}"#,
            r#"{"data":null,"errors":[{"code":"graphql_rate_limit"}]}"#,
            r#"{"errors":[{"extensions":{"code":"RATE_LIMIT"}}]}"#,
            r#"{"errors":[{"message":"You have exceeded a secondary rate limit."}]}"#,
        ] {
            assert_eq!(graphql(&[], body), Some(60), "{body}");
        }
        let refused = r#"{"errors":[{"message":"wait"}]}"#;
        assert_eq!(graphql(&[("retry-after", "7")], refused), Some(7));
        let reset = (clock().now().timestamp() + 600).to_string();
        let used_up = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", &*reset),
        ];
        assert_eq!(graphql(&used_up, refused), Some(600));
        // The last request that the limit allowed was answered.
        assert_eq!(graphql(&used_up, r#"{"data":{}}"#), None);
        let missing = r#"{"data":{},"errors":[{"type":"NOT_FOUND"}]}"#;
        assert_eq!(graphql(&[], missing), None);
    }

    #[tokio::test(start_paused = true)]
    async fn only_safe_requests_are_repeated() {
        let reset = || Err(TransportError::Broken("reset".to_owned()));
        let again = |api, method, repeatable, result: Result<_, _>| {
            matches!(
                judge(&outgoing(api, method, repeatable), &result, 1, &clock()),
                RetryDecision::Again { .. }
            )
        };
        assert!(again(
            Api::Cloudflare,
            Method::GET,
            true,
            Ok(answer(502, &[], ""))
        ));
        assert!(!again(
            Api::Cloudflare,
            Method::DELETE,
            false,
            Ok(answer(502, &[], ""))
        ));
        assert!(again(Api::Cloudflare, Method::GET, true, reset()));
        assert!(!again(Api::Cloudflare, Method::DELETE, false, reset()));
        assert!(again(
            Api::Neon,
            Method::DELETE,
            false,
            Ok(answer(423, &[], ""))
        ));
        for status in [401, 403, 404, 409, 422] {
            assert!(
                !again(
                    Api::Cloudflare,
                    Method::GET,
                    true,
                    Ok(answer(status, &[], "{}"))
                ),
                "{status}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded() {
        let request = outgoing(Api::Neon, Method::GET, true);
        let result = Ok(answer(503, &[], ""));
        assert_eq!(
            judge(&request, &result, ATTEMPTS, &clock()),
            RetryDecision::Done
        );
    }
}
