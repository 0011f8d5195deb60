//! The sliding window of one quota, and all windows of a provider.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::headers::Reported;

pub(super) struct QuotaState {
    /// By name: [`ACCOUNT`](super::headers::ACCOUNT), a policy that the provider names, or one of its
    /// resources.
    pub(super) windows: BTreeMap<String, Window>,
    pub(super) paused_until: Option<Instant>,
    pub(super) spent: u64,
    pub(super) throttled: u32,
}

/// One of a provider's quotas.
#[derive(Clone)]
pub(super) struct Window {
    pub(super) limit: u32,
    pub(super) length: Duration,
    /// Requests that are not answered yet.
    pub(super) open: usize,
    /// When each request of the last window was answered: the provider counted
    /// it by then.
    pub(super) sent: VecDeque<Instant>,
    pub(super) reported: Option<LastReported>,
    pub(super) remaining: Option<u32>,
    /// Routes whose answers name other policies only.
    pub(super) exempt: BTreeSet<String>,
    /// When the provider first named it. It counts all requests sent before.
    pub(super) since: Option<Instant>,
}

/// The latest values from the provider's headers.
#[derive(Clone)]
pub(super) struct LastReported {
    pub(super) remaining: u32,
    pub(super) resets_at: Instant,
    /// Requests sent since, which `remaining` may not include.
    pub(super) sent_since: u32,
}

/// How long to wait for unanswered requests before checking again.
pub(super) const UNANSWERED: Duration = Duration::from_millis(10);

/// Returns the number of requests that are never used, so that this run does
/// not exhaust the quota for others.
pub(super) fn reserve(limit: u32) -> u32 {
    (limit / 50).max(1)
}

impl LastReported {
    pub(super) fn left(&self) -> u32 {
        self.remaining.saturating_sub(self.sent_since)
    }
}

impl QuotaState {
    /// Returns how long to wait before a request that these windows count may
    /// be sent; `None` if it need not wait.
    pub(super) fn wait(
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
    /// Creates an empty window of a documented size.
    pub(super) fn new(limit: u32, length: Duration) -> Self {
        Self {
            limit,
            length,
            open: 0,
            sent: VecDeque::new(),
            reported: None,
            remaining: None,
            exempt: BTreeSet::new(),
            since: None,
        }
    }

    /// Updates this quota from the provider's values.
    pub(super) fn observe(&mut self, reported: &Reported, now: Instant) {
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
    pub(super) fn ours(&self, share: f64) -> usize {
        ((f64::from(self.limit) * share).floor() as usize).max(1)
    }

    /// Returns how long to wait before a request may be sent; `None` if it need
    /// not wait.
    pub(super) fn wait(
        &mut self,
        now: Instant,
        share: f64,
        reserved: Option<u32>,
    ) -> Option<Duration> {
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
    pub(super) fn wait_for(&self, requests: usize, now: Instant, share: f64) -> Duration {
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
    pub(super) fn counted(&self) -> usize {
        self.sent.len() + self.open
    }
}
