//! One provider's request quotas: our own sliding windows, the share of them
//! that this run may use, the limits from the provider's headers, and pauses
//! that apply to all requests that share a quota.
//!
//! A provider has several quotas: one may count REST and GraphQL separately,
//! another name a separate policy for some routes. Each is tracked
//! by name, so that one that is nearly used up delays only the requests it
//! counts, and none raises the limit of the whole account.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, Response};
use bytes::Bytes;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Failure, clocks};
use crate::clock::Clock;
use crate::model::Api;
use crate::providers::{self, Counting, QuotaFigures};

/// A run's use of a quota.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuotaUse {
    /// The provider.
    pub api: Api,
    /// Requests that this run sent.
    pub spent: u64,
    /// Requests in any window, as far as known.
    pub limit: u32,
    /// The window.
    pub window_seconds: u64,
    /// The share of the limit that this run may use.
    pub share: f64,
    /// Requests left for all users, as the provider last reported.
    pub remaining: Option<u32>,
    /// How often the provider refused for too many requests.
    pub throttled: u32,
}

/// tokio's clock for governor, so that paused time moves both.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl governor::clock::Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Smoother =
    governor::RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// The part of each provider's quota for this run; the rest is for deployments
/// and other users of the account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allotment {
    /// The share of the requests in any window, more than 0 and at most 1.
    pub share: f64,
    /// Requests that are always left for others, where the provider
    /// [takes a reserve](QuotaFigures::takes_reserve) and reports what is left; a
    /// fiftieth of the limit if `None`.
    pub reserve: Option<u32>,
}

/// A provider's quota, shared by all requests to it.
pub struct Quota {
    api: Api,
    figures: &'static QuotaFigures,
    share: f64,
    reserve: Option<u32>,
    smoother: Smoother,
    /// Spaces writing requests, if the provider asks for it.
    writes: Option<Smoother>,
    in_flight: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    /// By name: [`ACCOUNT`], a policy that the provider names, or one of its
    /// resources.
    windows: BTreeMap<String, Window>,
    paused_until: Option<Instant>,
    spent: u64,
    throttled: u32,
}

/// The name of the window that counts everything sent to a provider.
const ACCOUNT: &str = "";

/// One of a provider's quotas.
#[derive(Clone)]
struct Window {
    limit: u32,
    length: Duration,
    /// Requests that are not answered yet.
    open: usize,
    /// When each request of the last window was answered: the provider counted
    /// it by then.
    sent: VecDeque<Instant>,
    reported: Option<LastReported>,
    remaining: Option<u32>,
    /// Routes whose answers name other policies only.
    exempt: BTreeSet<String>,
    /// When the provider first named it. It counts all requests sent before.
    since: Option<Instant>,
}

/// The latest values from the provider's headers.
#[derive(Clone)]
struct LastReported {
    remaining: u32,
    resets_at: Instant,
    /// Requests sent since, which `remaining` may not include.
    sent_since: u32,
}

impl Quota {
    /// Creates the quota of a provider, by its documented figures.
    pub fn of(api: Api, allotment: Allotment) -> Self {
        let figures = &providers::of(api).about().quota;
        let rate = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let names: &[&str] = match figures.counting {
            Counting::Account => &[ACCOUNT],
            Counting::Resources(names) => names,
        };
        let window = Window {
            limit: figures.limit,
            length: figures.window,
            open: 0,
            sent: VecDeque::new(),
            reported: None,
            remaining: None,
            exempt: BTreeSet::new(),
            since: None,
        };
        let windows = names
            .iter()
            .map(|name| ((*name).to_owned(), window.clone()));
        Self {
            api,
            figures,
            share: allotment.share,
            reserve: allotment.reserve.filter(|_| figures.takes_reserve),
            smoother: Smoother::direct_with_clock(
                governor::Quota::per_second(rate(figures.per_second))
                    .allow_burst(rate(figures.burst)),
                TokioClock(Instant::now()),
            ),
            writes: figures.writes_per_second.map(|number| {
                let spaced = governor::Quota::per_second(rate(number));
                Smoother::direct_with_clock(spaced, TokioClock(Instant::now()))
            }),
            in_flight: Arc::new(Semaphore::new(figures.in_flight)),
            state: Mutex::new(State {
                windows: windows.collect(),
                paused_until: None,
                spent: 0,
                throttled: 0,
            }),
        }
    }

    /// Waits until a request may be sent, and counts it.
    pub(super) async fn permit(
        quota: &Arc<Self>,
        route: &str,
        writes: bool,
        deadline: Instant,
    ) -> Result<Permit, Failure> {
        let in_flight = quota.in_flight.clone().acquire_owned();
        let slot = tokio::time::timeout_at(deadline, in_flight)
            .await
            .map_err(|_| Failure::Deadline)?
            .map_err(|_| Failure::Deadline)?;
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(Failure::Deadline);
            }
            match quota.admit(now, route, writes) {
                Ok(counted) => {
                    return Ok(Permit {
                        quota: quota.clone(),
                        counted,
                        at: now,
                        _slot: slot,
                    });
                }
                Err(wait) if now + wait >= deadline => return Err(Failure::Withheld { wait }),
                Err(wait) => tokio::time::sleep(wait.max(Duration::from_millis(1))).await,
            }
        }
    }

    /// Counts a request that is sent now, or returns how long it must wait.
    fn admit(&self, now: Instant, route: &str, writes: bool) -> Result<Vec<String>, Duration> {
        let mut state = self.state();
        let counts = |name: &str, window: &Window| self.counts(name, window, Some(route));
        if let Some(wait) = state.wait(now, self.share, self.reserve, counts) {
            return Err(wait);
        }
        let check = |smoother: &Smoother| {
            smoother.check().map_err(|not_until| {
                let elapsed = governor::clock::Clock::now(smoother.clock());
                not_until.wait_time_from(elapsed)
            })
        };
        if let Some(spaced) = self.writes.as_ref().filter(|_| writes) {
            check(spaced)?;
        }
        check(&self.smoother)?;
        state.spent += 1;
        let mut counted = Vec::new();
        for (name, window) in &mut state.windows {
            if counts(name, window) {
                window.open += 1;
                if let Some(reported) = &mut window.reported {
                    reported.sent_since += 1;
                }
                counted.push(name.clone());
            }
        }
        Ok(counted)
    }

    /// Returns whether a window counts the requests of a route; without a
    /// route, whether it counts writing requests.
    fn counts(&self, name: &str, window: &Window, route: Option<&str>) -> bool {
        match self.figures.counting {
            Counting::Resources(names) => Some(name) == route.or_else(|| names.first().copied()),
            Counting::Account => route.map_or(window.exempt.is_empty(), |route| {
                !window.exempt.contains(route)
            }),
        }
    }

    /// Returns how many requests could be sent now without waiting for the
    /// window.
    fn available(&self) -> usize {
        let mut state = self.state();
        let counts = |name: &str, window: &Window| self.counts(name, window, None);
        let now = Instant::now();
        if state.wait(now, self.share, self.reserve, counts).is_some() {
            return 0;
        }
        let windows = state.windows.iter();
        let windows = windows.filter(|(name, window)| counts(name, window));
        let left = windows.map(|(_, window)| {
            let ours = window.ours(self.share).saturating_sub(window.counted());
            let reserve = self.reserve.unwrap_or(reserve(window.limit));
            window.reported.as_ref().map_or(ours, |reported| {
                ours.min(reported.left().saturating_sub(reserve) as usize)
            })
        });
        left.min().unwrap_or(0)
    }

    /// Returns how many requests this run may send until then: those available
    /// now, and all of each window that ends before.
    pub(super) fn affordable(&self, until: Instant) -> usize {
        let available = self.available();
        let state = self.state();
        let time = until.saturating_duration_since(Instant::now());
        let windows = state.windows.iter();
        let windows = windows.filter(|(name, window)| self.counts(name, window, None));
        let later = windows.map(|(_, window)| {
            let more = time.as_secs() / window.length.as_secs().max(1);
            let more = usize::try_from(more).unwrap_or(usize::MAX);
            window.ours(self.share).saturating_mul(more)
        });
        available.saturating_add(later.min().unwrap_or(0))
    }

    /// Returns how long the next request has to wait.
    pub(super) fn wait(&self) -> Duration {
        let counts = |name: &str, window: &Window| self.counts(name, window, None);
        let mut state = self.state();
        let wait = state.wait(Instant::now(), self.share, self.reserve, counts);
        wait.unwrap_or_default()
    }

    /// Returns how long until `requests` requests can be sent one after the
    /// other, or as many as a window of this run allows.
    pub(super) fn wait_for(&self, requests: usize) -> Duration {
        let next = self.wait();
        let now = Instant::now();
        let state = self.state();
        let windows = state.windows.iter();
        let windows = windows.filter(|(name, window)| self.counts(name, window, None));
        let waits = windows.map(|(_, window)| window.wait_for(requests, now, self.share));
        waits.max().unwrap_or_default().max(next)
    }

    /// Pauses all requests for a while.
    pub(super) fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut state = self.state();
        state.throttled += 1;
        state.paused_until = Some(state.paused_until.map_or(until, |held| held.max(until)));
    }

    /// Updates the quotas that count a route from an answer's headers.
    pub(super) fn observe(&self, route: &str, response: &Response<Bytes>, clock: &Clock) {
        let reported = Headers::read(self.figures, route, response.headers(), clock);
        if reported.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        for (name, one) in &reported {
            let known = state.windows.contains_key(name);
            if !known && let Some(account) = state.windows.get(ACCOUNT) {
                // Earlier requests may count here as well, until a window after
                // their answer.
                let mut window = account.clone();
                window.since = Some(now);
                window.reported = None;
                window.remaining = None;
                state.windows.insert(name.clone(), window);
            }
            if let Some(window) = state.windows.get_mut(name) {
                window.observe(one, now);
            }
        }
        let names_policies = reported.keys().any(|name| name != ACCOUNT);
        if matches!(self.figures.counting, Counting::Account) && names_policies {
            for (name, window) in &mut state.windows {
                if name == ACCOUNT || reported.contains_key(name) {
                    window.exempt.remove(route);
                } else {
                    window.exempt.insert(route.to_owned());
                }
            }
        }
    }

    /// Returns the requests sent and left.
    pub fn used(&self) -> QuotaUse {
        let state = self.state();
        // Reports the quota with the least left.
        let full = |window: &Window| match window.remaining {
            Some(remaining) => f64::from(remaining) / f64::from(window.limit.max(1)),
            None => f64::INFINITY,
        };
        let windows = state.windows.values();
        let nearest = windows.min_by(|a, b| full(a).total_cmp(&full(b)));
        QuotaUse {
            api: self.api,
            spent: state.spent,
            limit: nearest.map_or(0, |window| window.limit),
            window_seconds: nearest.map_or(0, |window| window.length.as_secs()),
            share: self.share,
            remaining: nearest.and_then(|window| window.remaining),
            throttled: state.throttled,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait for unanswered requests before checking again.
const UNANSWERED: Duration = Duration::from_millis(10);

/// A permit to send one request, which the quota counts until a window after
/// its answer.
pub(super) struct Permit {
    quota: Arc<Quota>,
    /// The names of the windows that count it.
    counted: Vec<String>,
    /// When it was issued.
    at: Instant,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.quota.state();
        for (name, window) in &mut state.windows {
            let before = || window.since.is_some_and(|since| self.at <= since);
            if self.counted.contains(name) || before() {
                window.open = window.open.saturating_sub(1);
                window.sent.push_back(Instant::now());
            }
        }
    }
}

/// Returns the number of requests that are never used, so that this run does
/// not exhaust the quota for others.
fn reserve(limit: u32) -> u32 {
    (limit / 50).max(1)
}

impl LastReported {
    fn left(&self) -> u32 {
        self.remaining.saturating_sub(self.sent_since)
    }
}

impl State {
    /// Returns how long to wait before a request that these windows count may
    /// be sent; `None` if it need not wait.
    fn wait(
        &mut self,
        now: Instant,
        share: f64,
        reserved: Option<u32>,
        counts: impl Fn(&str, &Window) -> bool,
    ) -> Option<Duration> {
        if let Some(until) = self.paused_until {
            if until > now {
                return Some(until - now);
            }
            self.paused_until = None;
        }
        let windows = self.windows.iter_mut();
        let windows = windows.filter(|(name, window)| counts(name, window));
        let waits = windows.filter_map(|(_, window)| window.wait(now, share, reserved));
        waits.max()
    }
}

impl Window {
    /// Updates this quota from the provider's values.
    fn observe(&mut self, reported: &Reported, now: Instant) {
        if let Some((limit, length)) = reported.policy {
            self.limit = limit;
            self.length = length;
        }
        let Some((remaining, resets_in)) = reported.left else {
            return;
        };
        self.remaining = Some(remaining);
        // Answers arrive out of order; until the window resets, a lower value
        // is newer.
        let resets_at = now + resets_in;
        let newer = self.reported.as_ref().is_none_or(|known| {
            remaining <= known.left() || resets_at > known.resets_at + Duration::from_secs(1)
        });
        if newer {
            self.reported = Some(LastReported {
                remaining,
                resets_at,
                sent_since: 0,
            });
        }
    }

    /// Returns the number of requests that this run may send in any window: at
    /// least one, or it could never start.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32 between 0 and 1"
    )]
    fn ours(&self, share: f64) -> usize {
        ((f64::from(self.limit) * share).floor() as usize).max(1)
    }

    /// Returns how long to wait before a request may be sent; `None` if it need
    /// not wait.
    fn wait(&mut self, now: Instant, share: f64, reserved: Option<u32>) -> Option<Duration> {
        while let Some(first) = self.sent.front() {
            if now.duration_since(*first) < self.length {
                break;
            }
            self.sent.pop_front();
        }
        if let Some(reported) = &self.reported {
            if reported.resets_at <= now {
                self.reported = None;
            } else if reported.left() <= reserved.unwrap_or(reserve(self.limit)) {
                return Some(reported.resets_at - now);
            }
        }
        // The request that must leave the window before another one fits.
        let ours = self.ours(share);
        let leaves = self.counted().checked_sub(ours)?;
        Some(match self.sent.get(leaves) {
            Some(first) => self.length.saturating_sub(now.duration_since(*first)),
            // It is not answered yet, so its time is unknown.
            None => UNANSWERED,
        })
    }

    /// Returns how long until `requests` more requests fit into the window.
    fn wait_for(&self, requests: usize, now: Instant, share: f64) -> Duration {
        let ours = self.ours(share);
        let have_to_leave = (self.counted() + requests.min(ours)).saturating_sub(ours);
        let Some(last) = have_to_leave.checked_sub(1) else {
            return Duration::ZERO;
        };
        let since = self.sent.get(last).map(|sent| now.duration_since(*sent));
        self.length.saturating_sub(since.unwrap_or_default())
    }

    /// Returns the number of requests that the provider may count in the window
    /// that ends now.
    fn counted(&self) -> usize {
        self.sent.len() + self.open
    }
}

/// The values of one quota in the headers of one answer.
#[derive(Default)]
struct Reported {
    /// Requests left, and when the window resets.
    left: Option<(u32, Duration)>,
    /// The limit and the window.
    policy: Option<(u32, Duration)>,
}

struct Headers;

impl Headers {
    /// Parses `Ratelimit` and `Ratelimit-Policy`, or the older `x-ratelimit-…`.
    /// Returns the values of each quota, by name.
    fn read(
        figures: &QuotaFigures,
        route: &str,
        headers: &HeaderMap,
        clock: &Clock,
    ) -> BTreeMap<String, Reported> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let mut reported: BTreeMap<String, Reported> = BTreeMap::new();
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        for item in text("ratelimit").into_iter().flat_map(Items::all) {
            if let Some((left, turns)) = item.get("r").zip(item.get("t")) {
                reported.entry(item.name).or_default().left = Some((left, seconds(turns)));
            }
        }
        if !reported.is_empty() {
            for item in text("ratelimit-policy").into_iter().flat_map(Items::all) {
                let policy = item.get("q").zip(item.get("w"));
                if let Some((limit, window)) = policy.filter(|(q, w)| *q > 0 && *w > 0) {
                    reported.entry(item.name).or_default().policy = Some((limit, seconds(window)));
                }
            }
            return reported;
        }
        let older = || {
            let remaining = text("x-ratelimit-remaining")?.trim().parse().ok()?;
            let reset = text("x-ratelimit-reset")?.trim();
            // The provider uses its own clock.
            let now = clocks::date(headers).unwrap_or(clock.now());
            // GitHub sends an epoch, others seconds or a date.
            let resets_in = match reset.parse::<i64>() {
                Ok(epoch) if epoch > 1_000_000_000 => {
                    let at = chrono::DateTime::from_timestamp(epoch, 0)?;
                    (at - now).to_std().unwrap_or_default()
                }
                Ok(seconds) => Duration::from_secs(u64::try_from(seconds).ok()?),
                Err(_) => {
                    let at = httpdate::parse_http_date(reset).ok()?;
                    let at = chrono::DateTime::<chrono::Utc>::from(at);
                    (at - now).to_std().unwrap_or_default()
                }
            };
            let limit: Option<u32> =
                text("x-ratelimit-limit").and_then(|value| value.trim().parse().ok());
            let window = match figures.counting {
                Counting::Resources(_) => Some(figures.window),
                Counting::Account => None,
            };
            Some(Reported {
                left: Some((remaining, resets_in)),
                policy: limit.filter(|limit| *limit > 0).zip(window),
            })
        };
        if let Some(older) = older() {
            let name = match figures.counting {
                Counting::Resources(_) => text("x-ratelimit-resource").unwrap_or(route).trim(),
                Counting::Account => ACCOUNT,
            };
            reported.insert(name.to_owned(), older);
        }
        reported
    }
}

/// One item of a `Ratelimit` header: `"default";r=50;t=30`.
struct Items {
    name: String,
    parameters: Vec<(String, u32)>,
}

impl Items {
    fn all(value: &str) -> impl Iterator<Item = Self> + '_ {
        value.split(',').map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().trim_matches('"');
            // An item without a name must not be taken for the account's quota.
            let name = if name.is_empty() { "unnamed" } else { name };
            let parameters = parts
                .filter_map(|part| {
                    let (key, number) = part.split_once('=')?;
                    Some((key.trim().to_ascii_lowercase(), number.trim().parse().ok()?))
                })
                .collect();
            Self {
                name: name.to_owned(),
                parameters,
            }
        })
    }

    fn get(&self, key: &str) -> Option<u32> {
        self.parameters
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
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
        assert!(matches!(refused, Err(Failure::Withheld { .. })));
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
            matches!(rest, Err(Failure::Withheld { .. })),
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
}
