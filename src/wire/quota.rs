//! One provider's request quotas: our own sliding windows, the share of them
//! that this run may use, the limits from the provider's headers, and pauses
//! that apply to all requests that share a quota.
//!
//! A provider has several quotas: one may count REST and GraphQL separately,
//! another name a separate policy for some routes. Each is tracked
//! by name, so that one that is nearly used up delays only the requests it
//! counts, and none raises the limit of the whole account.

mod headers;
mod window;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ::http::Response;
use bytes::Bytes;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use self::headers::{ACCOUNT, Headers};
use self::window::{QuotaState, Window, reserve};
use super::RequestFailure;
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

/// A wait for a quota that people should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongWait {
    /// The provider.
    pub api: Api,
    /// How long no request to it is sent.
    pub wait: Duration,
}

/// Receives long waits.
pub type WaitListener = Arc<dyn Fn(LongWait) + Send + Sync>;

/// Shorter waits are not announced.
const LONG_WAIT: Duration = Duration::from_secs(10);

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
    state: Mutex<QuotaState>,
    listener: OnceLock<WaitListener>,
    /// Until when the last announced wait lasts.
    announced: Mutex<Option<Instant>>,
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
        let window = Window::new(figures.limit, figures.window);
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
            state: Mutex::new(QuotaState {
                windows: windows.collect(),
                paused_until: None,
                spent: 0,
                throttled: 0,
            }),
            listener: OnceLock::new(),
            announced: Mutex::default(),
        }
    }

    /// Tells this listener of long waits from now on. Only the first one counts.
    pub(super) fn announce_to(&self, listener: WaitListener) {
        let _ = self.listener.set(listener);
    }

    /// Announces a wait, once for all requests that wait together.
    fn announce(&self, now: Instant, wait: Duration) {
        let Some(listener) = self.listener.get().filter(|_| wait >= LONG_WAIT) else {
            return;
        };
        let until = now + wait;
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if announced.is_none_or(|before| until > before + LONG_WAIT) {
            *announced = Some(until);
            listener(LongWait {
                api: self.api,
                wait,
            });
        }
    }

    /// Waits until a request may be sent, and counts it.
    pub(super) async fn permit(
        quota: &Arc<Self>,
        route: &str,
        writes: bool,
        deadline: Instant,
    ) -> Result<Permit, RequestFailure> {
        let in_flight = quota.in_flight.clone().acquire_owned();
        let slot = tokio::time::timeout_at(deadline, in_flight)
            .await
            .map_err(|_| RequestFailure::Deadline)?
            .map_err(|_| RequestFailure::Deadline)?;
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(RequestFailure::Deadline);
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
                Err(wait) if now + wait >= deadline => {
                    return Err(RequestFailure::Withheld { wait });
                }
                Err(wait) => {
                    quota.announce(now, wait);
                    tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
                }
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

    /// Returns how long the pause that the provider asked for still lasts.
    pub(super) fn paused(&self) -> Duration {
        let until = self.state().paused_until;
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
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

    fn state(&self) -> MutexGuard<'_, QuotaState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

#[cfg(test)]
mod tests;
