//! Times and durations as text for people.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// Formats a time in RFC 3339, in whole seconds.
pub(crate) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Formats a duration in its largest whole unit: `24h` is `1d`.
pub(crate) fn span(delta: TimeDelta) -> String {
    let seconds = delta.num_seconds();
    for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds != 0 && seconds % length == 0 {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_its_largest_whole_unit() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (90, "90s"),
            (120, "2m"),
            (7_200, "2h"),
            (86_400, "1d"),
            (90_000, "25h"),
            (1_209_600, "2w"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), expected);
        }
    }
}
