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

/// Formats a noun with its indefinite article: "a Worker", "an R2 bucket".
pub(crate) fn one(noun: &str) -> String {
    let an = noun.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o', 'R']);
    // The letter R is spoken with a vowel first where it is one.
    let an = an && !(noun.starts_with('R') && noun[1..].starts_with(|c: char| c.is_lowercase()));
    format!("{} {noun}", if an { "an" } else { "a" })
}

/// Formats a noun in the plural: "Workers", "Neon branches", "Workers of a dispatch
/// namespace".
pub(crate) fn several(noun: &str) -> String {
    let (head, of) = match noun.split_once(" of ") {
        Some((head, of)) => (head, format!(" of {of}")),
        None => (noun, String::new()),
    };
    let end = if head.ends_with(['x', 's']) || head.ends_with("ch") {
        "es"
    } else {
        "s"
    };
    format!("{head}{end}{of}")
}

/// Formats the time since `at` in its largest unit.
pub(crate) fn age(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    let minutes = (now - at).num_minutes().max(0);
    match minutes {
        0..60 => format!("{minutes}m"),
        60..2_880 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1_440),
    }
}

/// Formats a number of bytes in thousands, with one decimal.
pub(crate) fn size(bytes: u64) -> String {
    let (mut unit, mut divisor) = ("B", 1);
    for larger in ["kB", "MB", "GB", "TB"] {
        if bytes / divisor < 1_000 {
            break;
        }
        (unit, divisor) = (larger, divisor * 1_000);
    }
    match bytes * 10 / divisor % 10 {
        0 => format!("{} {unit}", bytes / divisor),
        tenth => format!("{}.{tenth} {unit}", bytes / divisor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noun_has_its_article_and_its_plural() {
        for (noun, with_article, plural) in [
            ("Worker", "a Worker", "Workers"),
            ("R2 bucket", "an R2 bucket", "R2 buckets"),
            ("Neon branch", "a Neon branch", "Neon branches"),
            ("Vectorize index", "a Vectorize index", "Vectorize indexes"),
            (
                "Access application",
                "an Access application",
                "Access applications",
            ),
            (
                "Worker of a dispatch namespace",
                "a Worker of a dispatch namespace",
                "Workers of a dispatch namespace",
            ),
        ] {
            assert_eq!(
                (one(noun), several(noun)),
                (with_article.to_owned(), plural.to_owned())
            );
        }
    }

    #[test]
    fn a_size_has_its_largest_unit() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1 kB"),
            (1_549, "1.5 kB"),
            (21_000_000, "21 MB"),
            (3_250_000_000_000, "3.2 TB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

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
