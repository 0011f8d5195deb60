//! The lines of the summary about limits and quotas.

use super::super::brief::grouped;
use super::super::style::TextStyle;
use super::super::{HeadroomUse, Report};
use super::{SummaryLine, line};
use crate::wire::QuotaUse;

/// Cells of a bar.
const BAR: u64 = 10;

/// Returns the limits of the providers that are near, as bars, the fullest first.
pub(super) fn limits(report: &Report) -> Vec<SummaryLine> {
    let now: Vec<HeadroomUse> = report.headroom_left();
    let mut near: Vec<_> = now
        .iter()
        .filter(|one| one.is_near())
        .filter_map(|one| Some((one, one.binding()?)))
        .collect();
    near.sort_by_key(|(one, (limit, _))| {
        std::cmp::Reverse(one.used.saturating_mul(1_000_000) / (*limit).max(1))
    });
    near.into_iter()
        .map(|(one, (limit, plan))| SummaryLine {
            label: "limits",
            text: format!(
                "{} {}{}",
                bar(one.used, limit),
                usage(one, limit, plan),
                match one.garbage {
                    0 => String::new(),
                    garbage => format!(", {} garbage", count(garbage)),
                }
            ),
            text_style: (one.used >= limit).then_some(TextStyle::Red),
        })
        .collect()
}

/// Formats how much is used. The documented limits are not those of every account.
fn usage(one: &HeadroomUse, limit: u64, plan: &str) -> String {
    let (used, max) = (count(one.used), count(limit));
    if one.used > limit {
        format!("{used} {}, more than the documented {max}{plan}", one.what)
    } else {
        format!("{used} of {max} {}{plan}", one.what)
    }
}

pub(super) fn count(number: u64) -> String {
    grouped(usize::try_from(number).unwrap_or(usize::MAX))
}

fn bar(used: u64, limit: u64) -> String {
    let full = used.saturating_mul(BAR).div_ceil(limit.max(1)).min(BAR);
    let cells = |cell: &str, number: u64| cell.repeat(usize::try_from(number).unwrap_or(0));
    cells("█", full) + &cells("░", BAR - full)
}

/// Returns the use of an API's quota if it is low or was exceeded.
pub(super) fn requests(quota: &QuotaUse) -> Option<SummaryLine> {
    let remaining = quota.remaining?;
    let is_low = u64::from(remaining) * 4 < u64::from(quota.limit);
    (is_low || quota.throttled > 0).then(|| {
        line(
            "requests",
            format!(
                "{}: {} sent, {} of {} left",
                quota.api,
                count(quota.spent),
                count(u64::from(remaining)),
                count(u64::from(quota.limit))
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn a_bar_is_full_only_at_the_limit_and_never_longer() {
        for (used, limit, expected) in [
            (0, 10, "░░░░░░░░░░"),
            (1, 100, "█░░░░░░░░░"),
            (8, 10, "████████░░"),
            (10, 10, "██████████"),
            (973, 500, "██████████"),
            (1, 0, "██████████"),
        ] {
            assert_eq!(bar(used, limit), expected, "{used} of {limit}");
            assert_eq!(bar(used, limit).width(), 10);
        }
    }
}
