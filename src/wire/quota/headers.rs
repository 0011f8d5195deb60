//! The values of quotas in the headers of answers.

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::HeaderMap;

use crate::clock::Clock;
use crate::providers::{Counting, QuotaFigures};
use crate::wire::clocks;

/// The name of the window that counts everything sent to a provider.
pub(super) const ACCOUNT: &str = "";

/// The values of one quota in the headers of one answer.
#[derive(Default)]
pub(super) struct Reported {
    /// Requests left, and when the window resets.
    pub(super) left: Option<(u32, Duration)>,
    /// The limit and the window.
    pub(super) policy: Option<(u32, Duration)>,
}

pub(super) struct Headers;

impl Headers {
    /// Parses `Ratelimit` and `Ratelimit-Policy`, or the older `x-ratelimit-…`.
    /// Returns the values of each quota, by name.
    pub(super) fn read(
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
