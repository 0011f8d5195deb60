//! Compares the machine's clock with the providers' clocks, from the `Date`
//! headers of their answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::model::Api;

/// Clocks that differ by more than this are reported, and the earliest one
/// decides.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// How far each provider's clock is ahead of the machine's.
#[derive(Debug, Default)]
pub(super) struct Skews {
    ahead: Mutex<BTreeMap<Api, TimeDelta>>,
}

/// Clocks that differ by more than five minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClockSkew {
    /// How many seconds each provider's clock is ahead of the machine's clock;
    /// negative where it is behind.
    pub seconds_ahead: BTreeMap<&'static str, i64>,
    /// What the machine's clock showed when the run began.
    pub machine: DateTime<Utc>,
    /// The earliest of the clocks at that moment. Every verdict uses it.
    pub judged_by: DateTime<Utc>,
}

impl std::fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the clocks differ by more than five minutes: this machine says {}",
            self.machine.format("%Y-%m-%d %H:%M:%S UTC")
        )?;
        for (api, seconds) in &self.seconds_ahead {
            let at = self.machine + TimeDelta::seconds(*seconds);
            write!(f, ", {api} says {}", at.format("%Y-%m-%d %H:%M:%S UTC"))?;
        }
        write!(
            f,
            "; every age and grace is counted by the earliest of them; \
             correct the clock of this machine"
        )
    }
}

/// Returns the time in an answer's `Date` header.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(header::DATE)?.to_str().ok()?.trim();
    Some(httpdate::parse_http_date(text).ok()?.into())
}

impl Skews {
    /// Compares an answer's `Date` with the machine's clock. The provider set
    /// it between `sent` and `received`, in whole seconds, so the smallest
    /// difference that explains it counts. Of several answers the smallest
    /// difference counts, because caches and slow networks can only increase
    /// it.
    pub(super) fn observe(
        &self,
        api: Api,
        headers: &HeaderMap,
        sent: DateTime<Utc>,
        received: DateTime<Utc>,
    ) {
        let Some(date) = date(headers) else {
            return;
        };
        let ahead = if date > received {
            date - received
        } else {
            (date + TimeDelta::seconds(1) - sent).min(TimeDelta::zero())
        };
        let mut skews = self.lock();
        let known = skews.entry(api).or_insert(ahead);
        if ahead.abs() < known.abs() {
            *known = ahead;
        }
    }

    /// Returns by how much the earliest and the latest clock are ahead of the
    /// machine's, or `None` if all agree within the tolerance.
    fn apart(&self) -> Option<(TimeDelta, TimeDelta)> {
        let skews = self.lock();
        let own = TimeDelta::zero();
        let earliest = skews.values().copied().fold(own, TimeDelta::min);
        let latest = skews.values().copied().fold(own, TimeDelta::max);
        (latest - earliest > TOLERANCE).then_some((earliest, latest))
    }

    /// Converts a time of the machine's clock to the earliest of all clocks.
    pub(super) fn earliest(&self, machine: DateTime<Utc>) -> DateTime<Utc> {
        let ahead = self.apart().map(|(earliest, _)| earliest);
        moved(machine, ahead)
    }

    /// Converts a time of the machine's clock to the latest of all clocks.
    pub(super) fn latest(&self, machine: DateTime<Utc>) -> DateTime<Utc> {
        let ahead = self.apart().map(|(_, latest)| latest);
        moved(machine, ahead)
    }

    /// Returns the difference between the clocks, if they differ.
    pub(super) fn skew(&self, machine: DateTime<Utc>) -> Option<ClockSkew> {
        let (earliest, _) = self.apart()?;
        let skews = self.lock();
        let seconds = skews
            .iter()
            .map(|(api, ahead)| (api.key(), ahead.num_seconds()));
        Some(ClockSkew {
            seconds_ahead: seconds.collect(),
            machine,
            judged_by: moved(machine, Some(earliest)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Api, TimeDelta>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moved(machine: DateTime<Utc>, ahead: Option<TimeDelta>) -> DateTime<Utc> {
    ahead
        .and_then(|ahead| machine.checked_add_signed(ahead))
        .unwrap_or(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn dated(date: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, date.parse().unwrap());
        headers
    }

    #[test]
    fn earliest_clock_is_used_beyond_the_tolerance() {
        let sent = at("2026-03-01T12:00:00Z");
        let received = at("2026-03-01T12:00:20Z");
        let noon = at("2026-03-01T12:00:00Z");
        let judged = |dates: &[(Api, &str)]| {
            let skews = Skews::default();
            for (api, date) in dates {
                skews.observe(*api, &dated(date), sent, received);
            }
            (skews.earliest(noon), skews.latest(noon))
        };
        let neon = |date| judged(&[(Api::Neon, date)]);
        // Within the tolerance, and no date at all.
        assert_eq!(neon("Sun, 01 Mar 2026 12:05:00 GMT"), (noon, noon));
        assert_eq!(neon("Sun, 01 Mar 2026 11:55:30 GMT"), (noon, noon));
        assert_eq!(neon("yesterday"), (noon, noon));
        // The machine is a day ahead, and a day behind.
        let (early, late) = neon("Sat, 28 Feb 2026 12:00:00 GMT");
        assert_eq!((early, late), (at("2026-02-28T12:00:01Z"), noon));
        let (early, late) = neon("Mon, 02 Mar 2026 12:00:20 GMT");
        assert_eq!((early, late), (noon, at("2026-03-02T12:00:00Z")));
        // Two providers that both are near the machine, and not near each other.
        let apart = judged(&[
            (Api::Neon, "Sun, 01 Mar 2026 11:56:00 GMT"),
            (Api::Cloudflare, "Sun, 01 Mar 2026 12:04:00 GMT"),
        ]);
        assert_eq!(apart.0, at("2026-03-01T11:56:01Z"));
        // One answer from a cache does not make a clock late.
        let cached = judged(&[
            (Api::Neon, "Sun, 01 Mar 2026 08:00:00 GMT"),
            (Api::Neon, "Sun, 01 Mar 2026 12:00:10 GMT"),
        ]);
        assert_eq!(cached, (noon, noon));
    }
}
