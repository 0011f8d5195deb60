//! Times in names, by strftime formats.

use chrono::format::{Item, Parsed, StrftimeItems, parse_and_remainder};
use chrono::{DateTime, TimeZone as _, Utc};

/// A format of a time that names at least the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DateFormat {
    items: Vec<Item<'static>>,
}

impl DateFormat {
    /// Reads a format; none when it does not name a day.
    pub(super) fn parse(format: &str) -> Option<Self> {
        let items = StrftimeItems::new(format).parse_to_owned().ok()?;
        let format = Self { items };
        // The format must be able to parse what it prints, or no name would ever
        // match.
        let sample = Utc.with_ymd_and_hms(2026, 11, 21, 13, 45, 56).single()?;
        let text = format.print(sample)?;
        let (read, end) = format.read(&text)?;
        (end == text.len() && read.date_naive() == sample.date_naive()).then_some(format)
    }

    fn print(&self, at: DateTime<Utc>) -> Option<String> {
        use std::fmt::Write as _;
        let mut text = String::new();
        write!(text, "{}", at.format_with_items(self.items.iter())).ok()?;
        Some(text)
    }

    /// The time at the beginning of a text and the bytes that it takes. Missing
    /// parts take their latest possible value, because a later time keeps a
    /// resource longer.
    pub(super) fn read(&self, text: &str) -> Option<(DateTime<Utc>, usize)> {
        let mut parsed = Parsed::new();
        let rest = parse_and_remainder(&mut parsed, text, self.items.iter()).ok()?;
        let end = text.len() - rest.len();
        // A timestamp is complete.
        if parsed.timestamp().is_none() {
            if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() {
                parsed.set_hour(23).ok()?;
            }
            if parsed.minute().is_none() {
                parsed.set_minute(59).ok()?;
            }
            if parsed.second().is_none() {
                parsed.set_second(59).ok()?;
            }
        }
        let at = if parsed.offset().is_some() {
            parsed.to_datetime().ok()?.to_utc()
        } else {
            let day = parsed.to_naive_date().ok()?;
            day.and_time(parsed.to_naive_time().ok()?).and_utc()
        };
        // Padding is significant: `2026-1-4` is not what `%Y-%m-%d` prints.
        let same = parsed.offset().is_some() || self.print(at)?.eq_ignore_ascii_case(&text[..end]);
        same.then_some((at, end))
    }
}
