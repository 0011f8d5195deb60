//! Quotas in virtual time: shares, windows, headers, pauses.

use super::*;

fn answer(headers: &[(&'static str, &str)]) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

fn quota(api: Api, share: f64) -> Arc<Quota> {
    let reserve = None;
    Arc::new(Quota::of(api, Allotment { share, reserve }))
}

async fn send(quota: &Arc<Quota>, count: usize) -> Vec<Instant> {
    let deadline = Instant::now() + Duration::from_hours(10);
    let mut times = Vec::new();
    for _ in 0..count {
        drop(Quota::permit(quota, "core", false, deadline).await.unwrap());
        times.push(Instant::now());
    }
    times
}

#[tokio::test(start_paused = true)]
async fn no_window_exceeds_the_share() {
    let quota = quota(Api::Cloudflare, 0.25);
    let times = send(&quota, 1_000).await;
    let window = Duration::from_mins(5);
    for (index, time) in times.iter().enumerate() {
        let within = times[index..]
            .iter()
            .filter(|other| other.duration_since(*time) < window)
            .count();
        assert!(within <= 300, "{within} requests in one window");
    }
    assert!(
        times[299] - times[0] < Duration::from_secs(3),
        "the share is used at once"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_are_smoothed_below_the_rate_per_address() {
    let quota = quota(Api::Cloudflare, 1.0);
    let times = send(&quota, 600).await;
    for (index, time) in times.iter().enumerate() {
        let within = times[index..]
            .iter()
            .filter(|other| other.duration_since(*time) < Duration::from_secs(1))
            .count();
        assert!(within <= 200, "{within} requests in one second");
    }
}

#[tokio::test(start_paused = true)]
async fn open_requests_count_for_a_new_policy() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let quota = quota(Api::Cloudflare, 0.5);
    let deadline = Instant::now() + Duration::from_hours(1);
    let permit = || Quota::permit(&quota, "core", false, deadline);
    let open = permit().await.unwrap();
    let headers = [
        ("ratelimit", "\"default\";r=99;t=300"),
        ("ratelimit-policy", "\"default\";q=2;w=300"),
    ];
    quota.observe("core", &answer(&headers), &clock);
    tokio::time::advance(Duration::from_secs(20)).await;
    let answered = Instant::now();
    drop(open);
    drop(permit().await.unwrap());
    let waited = Instant::now() - answered;
    assert!(waited >= Duration::from_mins(5), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn pause_delays_all_requests() {
    let quota = quota(Api::Cloudflare, 0.5);
    let begin = Instant::now();
    send(&quota, 1).await;
    quota.pause(Duration::from_mins(2));
    quota.pause(Duration::from_secs(10));
    assert_eq!(quota.available(), 0);
    let times = send(&quota, 1).await;
    assert!(times[0] - begin >= Duration::from_mins(2));
    assert_eq!(quota.used().throttled, 2);
}

#[tokio::test(start_paused = true)]
async fn provider_headers_are_used() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let quota = quota(Api::Cloudflare, 0.5);
    let begin = Instant::now();
    quota.observe(
        "core",
        &answer(&[
            ("ratelimit", "\"default\";r=26;t=30"),
            (
                "ratelimit-policy",
                "\"burst\";q=100;w=60, \"default\";q=1200;w=300",
            ),
        ]),
        &clock,
    );
    // 24 of the 1,200 are never used.
    assert_eq!(quota.available(), 2);
    let times = send(&quota, 3).await;
    assert!(times[1] - begin < Duration::from_secs(1));
    assert!(times[2] - begin >= Duration::from_secs(30));
    assert_eq!(quota.used().remaining, Some(26));
}

#[tokio::test(start_paused = true)]
async fn request_counts_until_a_window_after_its_answer() {
    let quota = quota(Api::Cloudflare, 1.0 / 1_200.0);
    let begin = Instant::now();
    let deadline = begin + Duration::from_hours(1);
    let slow = Quota::permit(&quota, "", false, deadline).await.unwrap();
    assert_eq!(quota.available(), 0, "it is not answered yet");
    tokio::time::sleep(Duration::from_mins(1)).await;
    drop(slow);
    let _next = Quota::permit(&quota, "", false, deadline).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_mins(6));
}

#[tokio::test(start_paused = true)]
async fn reserve_is_left_for_others() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let reserve = Some(100);
    let quota = Arc::new(Quota::of(
        Api::Cloudflare,
        Allotment {
            share: 0.5,
            reserve,
        },
    ));
    quota.observe(
        "core",
        &answer(&[("ratelimit", "\"default\";r=103;t=30")]),
        &clock,
    );
    assert_eq!(quota.available(), 3);
    let begin = Instant::now();
    let times = send(&quota, 4).await;
    assert!(times[2] - begin < Duration::from_secs(1));
    assert!(times[3] - begin >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn github_headers_lower_the_quota_of_workflow_tokens() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let quota = quota(Api::GitHub, 0.5);
    let reset = (clock.now().timestamp() + 60).to_string();
    quota.observe(
        "core",
        &answer(&[
            ("x-ratelimit-limit", "1000"),
            ("x-ratelimit-remaining", "20"),
            ("x-ratelimit-reset", &reset),
        ]),
        &clock,
    );
    assert_eq!(quota.used().limit, 1_000);
    assert_eq!(quota.available(), 0);
    let begin = Instant::now();
    let times = send(&quota, 1).await;
    assert_eq!(times[0] - begin, Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn older_headers_with_seconds_epoch_or_date() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let epoch = (clock.now().timestamp() + 40).to_string();
    let forms = [
        ("30", 30),
        (epoch.as_str(), 40),
        ("Sun, 01 Mar 2026 00:00:50 GMT", 50),
        // In the past, or unreadable.
        ("1700000000", 0),
        ("-5", 0),
        ("soon", 0),
    ];
    for (reset, seconds) in forms {
        let quota = quota(Api::Neon, 0.5);
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)];
        quota.observe("core", &answer(&headers), &clock);
        assert_eq!(quota.wait(), Duration::from_secs(seconds), "{reset}");
    }
}

/// The limit and the window in seconds after an answer with these headers.
fn limits_after(api: Api, headers: &[(&'static str, &str)]) -> (u32, u64, Option<u32>) {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let quota = quota(api, 0.5);
    quota.observe("core", &answer(headers), &clock);
    let used = quota.used();
    (used.limit, used.window_seconds, used.remaining)
}

#[tokio::test(start_paused = true)]
async fn invalid_policies_in_headers_are_ignored() {
    let (limit, window, _) = limits_after(Api::Cloudflare, &[]);
    let by = |policy: &str| {
        let headers = [
            ("ratelimit", "\"a\";r=9;t=30"),
            ("ratelimit-policy", policy),
        ];
        limits_after(Api::Cloudflare, &headers)
    };
    assert_eq!(by("\"a\";q=7;w=60"), (7, 60, Some(9)));
    assert_eq!(by("\"a\";q=7;w=60, \"b\";q=8;w=90"), (7, 60, Some(9)));
    assert_eq!(by("\"a\";q=7;w=60, \"b\";q=0;w=90"), (7, 60, Some(9)));
    for nothing in ["\"a\";q=0;w=60", "\"a\";q=7;w=0", "\"a\";q=7", "a", ""] {
        assert_eq!(by(nothing), (limit, window, Some(9)), "{nothing}");
    }
    // An incomplete pair of headers is ignored.
    let headers = [("ratelimit", "\"a\";r=5, \"b\";t=7, \"c\";r=9;t=30")];
    assert_eq!(
        limits_after(Api::Cloudflare, &headers),
        (limit, window, Some(9))
    );
    let old = |limit| {
        let headers = [
            ("x-ratelimit-limit", limit),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-reset", "30"),
        ];
        limits_after(Api::GitHub, &headers).0
    };
    assert_eq!(old("70"), 70);
    assert_eq!(old("0"), limits_after(Api::GitHub, &[]).0);
}

#[tokio::test(start_paused = true)]
async fn lower_remaining_wins_until_the_window_resets() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let quota = quota(Api::Cloudflare, 1.0);
    let left = |remaining: u32, resets_in: u32| {
        let text = format!("\"default\";r={remaining};t={resets_in}");
        quota.observe("core", &answer(&[("ratelimit", &text)]), &clock);
        // A fiftieth of 1,200 is left for others.
        quota.available() + 24
    };
    assert_eq!(left(500, 30), 500);
    // Answered before the one above, but received later.
    assert_eq!(left(510, 30), 500);
    assert_eq!(left(510, 31), 500, "whole seconds are a second off");
    assert_eq!(left(490, 30), 490);
    assert_eq!(left(900, 300), 900, "another window");
}

#[tokio::test(start_paused = true)]
async fn wait_beyond_the_deadline_is_not_started() {
    let quota = quota(Api::Neon, 0.5);
    quota.pause(Duration::from_mins(10));
    let begin = Instant::now();
    let refused = Quota::permit(&quota, "", false, begin + Duration::from_mins(1)).await;
    assert!(matches!(refused, Err(RequestFailure::Withheld { .. })));
    assert_eq!(Instant::now(), begin);
}

#[tokio::test(start_paused = true)]
async fn rest_and_graphql_are_counted_separately() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let quota = quota(Api::GitHub, 1.0);
    let reset = (clock.now().timestamp() + 1_800).to_string();
    let answer_with = |route: &str, resource, remaining: &str| {
        let headers = [
            ("x-ratelimit-limit", "1000"),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", &*reset),
            ("x-ratelimit-resource", resource),
        ];
        quota.observe(route, &answer(&headers), &clock);
    };
    answer_with("core", "core", "3");
    answer_with("graphql", "graphql", "900");
    let deadline = Instant::now() + Duration::from_mins(1);
    let rest = Quota::permit(&quota, "core", false, deadline).await;
    assert!(
        matches!(rest, Err(RequestFailure::Withheld { .. })),
        "core is used up"
    );
    drop(
        Quota::permit(&quota, "graphql", false, deadline)
            .await
            .unwrap(),
    );
    assert_eq!(quota.used().remaining, Some(3));
    // A resource that neither quota counts delays neither.
    answer_with("core", "search", "0");
    drop(
        Quota::permit(&quota, "graphql", false, deadline)
            .await
            .unwrap(),
    );
}

#[tokio::test(start_paused = true)]
async fn named_policy_affects_only_its_routes() {
    let clock = Clock::starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let quota = quota(Api::Cloudflare, 1.0);
    let answer_with = |route: &str, name: &str, q: u32, w: u32| {
        let left = format!("\"{name}\";r={q};t={w}");
        let policy = format!("\"{name}\";q={q};w={w}");
        let headers = [("ratelimit", &*left), ("ratelimit-policy", &*policy)];
        quota.observe(route, &answer(&headers), &clock);
    };
    answer_with("zones/dns_records", "large", 100_000, 3_600);
    answer_with("accounts/workers", "burst", 10, 60);
    answer_with("zones/dns_records", "large", 100_000, 3_600);
    let begin = Instant::now();
    let deadline = begin + Duration::from_hours(2);
    let mut times = Vec::new();
    for _ in 0..1_201 {
        drop(
            Quota::permit(&quota, "zones/dns_records", false, deadline)
                .await
                .unwrap(),
        );
        times.push(begin.elapsed());
    }
    assert!(
        times[1_199] < Duration::from_secs(20),
        "another route's policy"
    );
    assert!(
        times[1_200] >= Duration::from_mins(5),
        "1,200 in five minutes"
    );
}

#[tokio::test(start_paused = true)]
async fn every_provider_has_a_share() {
    for (api, route, allowed, window) in [
        (Api::Neon, "projects/branches", 175, 60),
        (Api::GitHub, "graphql", 1_250, 3_600),
    ] {
        let quota = quota(api, 0.25);
        let begin = Instant::now();
        let deadline = begin + Duration::from_hours(2);
        for _ in 0..=allowed {
            drop(Quota::permit(&quota, route, false, deadline).await.unwrap());
        }
        assert!(begin.elapsed() >= Duration::from_secs(window), "{api}");
    }
}

/// Waits for a window that is used up, and what was announced meanwhile.
async fn announced(share: f64, count: usize) -> (Vec<LongWait>, Duration) {
    let quota = quota(Api::Cloudflare, share);
    let waits: Arc<Mutex<Vec<LongWait>>> = Arc::default();
    let listener = Arc::clone(&waits);
    quota.announce_to(Arc::new(move |wait| listener.lock().unwrap().push(wait)));
    let begin = Instant::now();
    let lanes = (0..4).map(|_| send(&quota, count / 4));
    futures::future::join_all(lanes).await;
    let waits = waits.lock().unwrap().clone();
    (waits, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_announced_once_for_all_that_wait() {
    // A quarter of 1,200 requests in five minutes: one wait for a new window.
    let (waits, took) = announced(0.25, 400).await;
    let [wait] = &waits[..] else {
        panic!("{waits:?}")
    };
    assert_eq!(wait.api, Api::Cloudflare);
    assert!(wait.wait > Duration::from_mins(4) && wait.wait <= Duration::from_mins(5));
    assert!(took >= wait.wait, "{took:?}");
    // Each window has a wait of its own.
    let (waits, _) = announced(0.25, 1_000).await;
    assert_eq!(waits.len(), 3, "{waits:?}");
    // What is only smoothed is not worth a line.
    let (waits, took) = announced(1.0, 600).await;
    assert!(waits.is_empty() && took < LONG_WAIT, "{waits:?} {took:?}");
}
