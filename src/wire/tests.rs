//! Tests of the requests that are sent to a provider, and of what its answers
//! become.

use std::sync::Mutex;

use ::http::{HeaderValue, Method, header};
use serde_json::json;

use super::*;

/// Creates a client of one provider that answers all requests with this
/// service.
pub(crate) fn client_of(
    api: Api,
    answer: impl Fn(Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
) -> Client {
    let answer = Arc::new(answer);
    let transport = BoxCloneSyncService::new(tower::service_fn(move |request| {
        let response = answer(request);
        async move { Ok(response) }
    }));
    client_over(api, transport)
}

/// Creates a client of one provider over this transport.
pub(crate) fn client_over(api: Api, transport: Transport) -> Client {
    let endpoint = ApiEndpoint {
        base: "http://127.0.0.1:8080/api/".parse().unwrap(),
        graphql: Some("http://127.0.0.1:8080/graph".parse().unwrap()),
        token: Token::new("first-secret-token").unwrap(),
        extra_token: Token::new("other-secret-token"),
    };
    Client::new(
        transport,
        BTreeMap::from([(api, endpoint)]),
        Clock::starting_at("2026-05-01T00:00:00Z".parse().unwrap()),
        Duration::from_mins(10),
        Allotment {
            share: 1.0,
            reserve: None,
        },
    )
}

pub(crate) fn answered(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// Returns address, token and the two content headers of the request for a
/// call.
async fn sent(call: &Call) -> [String; 4] {
    let seen = Arc::new(Mutex::new(None));
    let note = seen.clone();
    let client = client_of(call.api, move |request| {
        *note.lock().unwrap() = Some(request);
        answered(200, "{}")
    });
    client.send(call).await.unwrap();
    let request = seen.lock().unwrap().take().unwrap();
    let header = |name| {
        let value = request.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    [
        request.uri().to_string(),
        header(header::AUTHORIZATION),
        header(header::ACCEPT),
        header(header::CONTENT_TYPE),
    ]
}

#[tokio::test(start_paused = true)]
async fn requests_have_their_url_token_and_headers() {
    let (first, other) = ("Bearer first-secret-token", "Bearer other-secret-token");
    let json = "application/json";
    let listing = Call::get(Api::Cloudflare, &["accounts", "a b"]).with("name", "x&y");
    let address = "http://127.0.0.1:8080/api/accounts/a%20b?name=x%26y";
    assert_eq!(sent(&listing).await, [address, first, json, ""]);
    let records = Call::get(Api::Cloudflare, &["zones", "z", "dns_records", "r"]);
    let address = "http://127.0.0.1:8080/api/zones/z/dns_records/r";
    assert_eq!(sent(&records).await, [address, other, json, ""]);
    // The token of DNS is for its records alone.
    for path in [
        &["zones", "dns_records"][..],
        &["zones", "z", "workers", "routes"],
    ] {
        let [_, token, ..] = sent(&Call::get(Api::Cloudflare, path)).await;
        assert_eq!(token, first, "{path:?}");
    }
    let change = Call::new(Api::Neon, Method::PATCH, &["b"]).json(&json!({"x": 1}));
    let address = "http://127.0.0.1:8080/api/b";
    assert_eq!(sent(&change).await, [address, first, json, json]);
    let github = "application/vnd.github+json";
    let query = Call::new(Api::GitHub, Method::POST, &["graphql"]).json(&json!({}));
    let address = "http://127.0.0.1:8080/graph";
    assert_eq!(sent(&query).await, [address, first, github, json]);
    let pulls = Call::get(Api::GitHub, &["repos"]);
    let address = "http://127.0.0.1:8080/api/repos";
    assert_eq!(sent(&pulls).await, [address, first, github, ""]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_the_deadline_cuts_off_keeps_the_reason_of_the_attempt_before() {
    let attempts = Arc::new(Mutex::new(0));
    let counted = attempts.clone();
    let mut client = client_of(Api::Neon, |_| answered(200, ""));
    client.transport = BoxCloneSyncService::new(tower::service_fn(move |_| {
        let first = std::mem::replace(&mut *counted.lock().unwrap(), 1) == 0;
        async move {
            if !first {
                std::future::pending::<()>().await;
            }
            Err(TransportError::Broken("unexpected end of file".to_owned()))
        }
    }));
    let client = client.until(Instant::now() + Duration::from_secs(2));
    let error = client.send(&Call::get(Api::Neon, &["x"])).await;
    let error = error.unwrap_err().to_string();
    assert_eq!(*attempts.lock().unwrap(), 1, "it was repeated");
    assert!(error.contains("the connection broke"), "{error}");
}

#[test]
fn only_reads_are_repeated() {
    let repeatable = |method| Outgoing::from(&Call::new(Api::Neon, method, &["x"])).repeatable;
    assert!(repeatable(Method::GET) && repeatable(Method::HEAD));
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert!(!repeatable(method.clone()), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn host_includes_its_port() {
    let client = client_of(Api::Neon, |_| answered(200, ""));
    assert_eq!(client.host(Api::Neon).as_deref(), Some("127.0.0.1:8080"));
    assert_eq!(client.host(Api::GitHub), None);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_removed_from_errors_and_names_are_kept() {
    const TOKEN: &str = "first-secret-token";
    let body = |api, status, body: &str| {
        let body = body.to_owned();
        let client = client_of(api, move |_| answered(status, body.clone()));
        async move {
            let call = Outgoing::from(&Call::get(api, &["x"]));
            let response = client.exchange(&call).await.unwrap();
            String::from_utf8(response.body().to_vec()).unwrap()
        }
    };
    // Unchanged, including spaces.
    let named = format!(r#"{{ "name" : "{TOKEN}" }}"#);
    for api in [Api::Cloudflare, Api::Neon, Api::GitHub] {
        assert_eq!(body(api, 200, &named).await, named, "a name");
        for refused in [&named, "no JSON, first-secret-token"] {
            let clean = body(api, 403, refused).await;
            assert!(!clean.contains(TOKEN), "{clean}");
        }
    }
    let denied = format!(r#"{{"success":false,"errors":[{{"code":1,"message":"{TOKEN}"}}]}}"#);
    assert!(!body(Api::Cloudflare, 200, &denied).await.contains(TOKEN));
    // Neon has no such envelope, so these are names.
    assert_eq!(body(Api::Neon, 200, &denied).await, denied);
    let query = format!(r#"{{"data":{{"name":"{TOKEN}"}},"errors":[{{"message":"{TOKEN}"}}]}}"#);
    let clean = body(Api::GitHub, 200, &query).await;
    let clean: Value = serde_json::from_str(&clean).unwrap();
    assert_eq!(clean["data"]["name"], TOKEN);
    assert!(!clean["errors"].to_string().contains(TOKEN));
    assert_eq!(body(Api::Neon, 200, &query).await, query);
}

#[tokio::test(start_paused = true)]
async fn wait_beyond_not_after_is_not_started() {
    // Of two answers the first asks for a minute.
    let client = || {
        let asked = Mutex::new(false);
        client_of(Api::Cloudflare, move |_| {
            let mut asked = asked.lock().unwrap();
            if std::mem::replace(&mut asked, true) {
                return answered(200, "{}");
            }
            let mut response = answered(429, "{}");
            let minute = HeaderValue::from_static("60");
            response.headers_mut().insert(header::RETRY_AFTER, minute);
            response
        })
    };
    let call = Call::delete(Api::Cloudflare, &["x"]);
    let begin = Instant::now();
    let written = client().write(&call, begin + Duration::from_secs(61)).await;
    assert!(matches!(written, WriteResult::Answered(_)), "{written:?}");
    assert!(begin.elapsed() >= Duration::from_mins(1));
    for seconds in [59, 60] {
        let begin = Instant::now();
        let not_after = begin + Duration::from_secs(seconds);
        let written = client().write(&call, not_after).await;
        assert!(matches!(written, WriteResult::Throttled(_)), "{written:?}");
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}

#[test]
fn failures_follow_the_status() {
    let failure = |status| error::refusal(Api::Neon, &answered(status, "{}"));
    assert!(matches!(
        failure(401),
        RequestFailure::Unauthorized { status: 401, .. }
    ));
    assert!(matches!(
        failure(403),
        RequestFailure::Forbidden { status: 403, .. }
    ));
    assert!(matches!(
        failure(404),
        RequestFailure::NotFound { status: 404, .. }
    ));
    assert!(matches!(
        failure(301),
        RequestFailure::Redirected { status: 301 }
    ));
    for status in [500, 502, 503, 504] {
        assert!(matches!(
            failure(status),
            RequestFailure::Unavailable { .. }
        ));
    }
    for status in [400, 409, 422, 423, 501] {
        assert!(matches!(failure(status), RequestFailure::Refused { .. }));
    }
}

#[test]
fn provider_messages_become_one_short_line() {
    let message_of = |api, body: &str| {
        let response = answered(400, body.to_owned());
        error::refusal(api, &response).to_string()
    };
    let cloudflare = r#"{"errors":[{"code":10007,"message":"not\nhere"}]}"#;
    assert!(message_of(Api::Cloudflare, cloudflare).contains("10007 not here"));
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(300));
    let long = message_of(Api::Neon, &long);
    assert!(long.contains(&format!("{}…", "x".repeat(200))), "{long}");
    let whole = message_of(
        Api::Neon,
        &format!(r#"{{"message":"{}"}}"#, "y".repeat(200)),
    );
    assert!(whole.contains(&"y".repeat(200)) && !whole.contains('…'));
    for (body, words) in [
        ("", "the answer is empty"),
        ("  <html>", "the answer is HTML"),
        ("[1]", "not the provider's JSON"),
    ] {
        let message = message_of(Api::GitHub, body);
        assert!(message.contains(words), "{message}");
    }
    let mut page = answered(400, "Sorry");
    let html = HeaderValue::from_static("text/html");
    page.headers_mut().insert(header::CONTENT_TYPE, html);
    assert!(error::unreadable(&page).contains("HTML"));
}

#[test]
fn only_cloudflare_reports_errors_with_status_200() {
    let denied = |api, body: String| error::denial(api, &answered(200, body)).is_some();
    let no = r#"{"success":false,"errors":[]}"#;
    assert!(denied(Api::Cloudflare, no.to_owned()));
    assert!(!denied(Api::Neon, no.to_owned()));
    assert!(!denied(Api::Cloudflare, r#"{"success":true}"#.to_owned()));
    // A page of a listing is longer than any refusal.
    let padded = |length: usize| format!("{no}{}", " ".repeat(length - no.len()));
    assert!(denied(Api::Cloudflare, padded(16_384)));
    assert!(!denied(Api::Cloudflare, padded(16_385)));
}

/// Returns the delays between attempts if all get this answer.
async fn waits(api: Api, call: &Call, answer: fn() -> Response<Bytes>) -> Vec<Duration> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let note = times.clone();
    let client = client_of(api, move |_| {
        note.lock().unwrap().push(Instant::now());
        answer()
    });
    assert!(client.send(call).await.is_err());
    let times = times.lock().unwrap();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn temporary_failures_are_retried_with_backoff() {
    let call = Call::get(Api::Neon, &["x"]);
    let between = |wait: &Duration, least: u64| {
        // Up to half of it in addition, so that not all come back together.
        let least = Duration::from_millis(least);
        // Timers go by whole milliseconds.
        let most = least.mul_f32(1.5) + Duration::from_millis(2);
        assert!(*wait >= least && *wait <= most, "{wait:?}, not {least:?}");
    };
    let passing = waits(Api::Neon, &call, || answered(503, "{}")).await;
    assert!(passing.len() >= 3, "{passing:?}");
    for (wait, least) in passing.iter().zip([500, 1_000, 2_000]) {
        between(wait, least);
    }
    // A locked project mostly waits for something short.
    let locked = waits(Api::Neon, &call, || answered(423, "{}")).await;
    assert!(locked.len() > passing.len());
    for (wait, least) in locked.iter().zip([166, 333, 666]) {
        between(wait, least);
    }
}

#[tokio::test(start_paused = true)]
async fn github_rate_limits_may_have_status_200() {
    let limited = || {
        let body = r#"{"data":null,"errors":[{"type":"RATE_LIMITED","message":"x"}]}"#;
        answered(200, body)
    };
    let after = |target: &'static str| async move {
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let client = client_of(Api::GitHub, move |_| {
            *count.lock().unwrap() += 1;
            limited()
        });
        let mut query = Outgoing::from(&Call::new(Api::GitHub, Method::POST, &[target]));
        query.repeatable = true;
        let answer = client.exchange(&query).await;
        let throttled = matches!(
            answer.map_err(|error| error.failure),
            Err(RequestFailure::Throttled { .. })
        );
        let asked = *asked.lock().unwrap();
        (throttled, asked > 1)
    };
    assert_eq!(after("graphql").await, (true, true));
    assert_eq!(after("repos").await, (false, false));
}

#[tokio::test(start_paused = true)]
async fn client_uses_its_new_deadline() {
    let client = client_of(Api::Neon, |_| answered(503, "{}"));
    let begin = Instant::now();
    let short = client.until(begin + Duration::from_millis(700));
    let failed = short.send(&Call::get(Api::Neon, &["x"])).await.unwrap_err();
    assert!(matches!(failed.failure, RequestFailure::Unavailable { .. }));
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert!(client.has(Api::Neon) && !client.has(Api::GitHub));
    let absent = client.send(&Call::get(Api::GitHub, &["x"])).await;
    let absent = absent.unwrap_err();
    assert!(matches!(absent.failure, RequestFailure::NotConfigured));
    // What went wrong is what it comes from.
    let source = std::error::Error::source(&absent).unwrap().to_string();
    assert_eq!(source, absent.failure.to_string());
}

#[tokio::test(start_paused = true)]
async fn errors_contain_no_token() {
    let client = client_of(Api::Neon, |_| {
        answered(403, r#"{"message":"no first-secret-token here"}"#)
    });
    let call = Call::get(Api::Neon, &["first-secret-token"]);
    let outgoing = Outgoing::from(&call);
    let message = "first-secret-token was refused".to_owned();
    let failure = RequestFailure::Refused {
        status: 400,
        message,
    };
    for error in [
        client.send(&call).await.unwrap_err(),
        client.error(&outgoing, failure),
        client.error(
            &outgoing,
            RequestFailure::Malformed("first-secret-token".to_owned()),
        ),
    ] {
        let message = format!("{error} {error:?} {client:?} {outgoing:?}");
        let message = message.replace("target: \"/first-secret-token\"", "");
        assert!(!message.contains("first-secret-token"), "{message}");
        assert!(format!("{client:?}").contains("Neon"));
    }
}

#[tokio::test(start_paused = true)]
async fn late_change_names_its_reason() {
    let client = client_of(Api::Neon, |_| answered(200, "{}"));
    let call = Call::delete(Api::Neon, &["x"]);
    let late = |client: Client, not_after| {
        let call = &call;
        async move {
            match client.write(call, not_after).await {
                WriteResult::NotSent(error) => error.to_string(),
                WriteResult::Lost(_) | WriteResult::Throttled(_) | WriteResult::Answered(_) => {
                    String::new()
                }
            }
        }
    };
    let now = Instant::now();
    assert!(late(client.clone(), now).await.contains("--reread-after"));
    let over = client.until(now);
    assert!(late(over.clone(), now).await.contains("--deadline"));
    let later = now + Duration::from_secs(1);
    assert!(late(over, later).await.contains("--deadline"));
    assert_eq!(late(client, later).await, "");
}

#[tokio::test]
async fn paths_with_dot_segments_are_not_sent() {
    for name in [".", ".."] {
        let client = client_of(Api::Cloudflare, |request| {
            panic!("{} was sent", request.uri());
        });
        let segments = ["accounts", "a", "values", name];
        let refused = client.send(&Call::get(Api::Cloudflare, &segments)).await;
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(&format!("segment `{name}`")), "{message}");
        let delete = Call::delete(Api::Cloudflare, &segments);
        let not_after = Instant::now() + Duration::from_mins(1);
        let written = client.write(&delete, not_after).await;
        assert!(matches!(written, WriteResult::NotSent(_)), "{written:?}");
    }
    // Dots inside a segment, and a query, mean what they say.
    let call = Call::get(Api::Cloudflare, &["values", "...", "a..b"]).with("name", "/../x");
    let [address, ..] = sent(&call).await;
    assert!(address.contains("/values/.../a..b?name="), "{address}");
}
