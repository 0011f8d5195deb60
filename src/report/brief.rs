//! Reasons and times in short words, relative to the run. The full words are in
//! [`Row::reason`], for `explain` and JSON.

use chrono::{DateTime, TimeDelta, Utc};

use super::{PullRequestLine, PullRequestState, Row};
use crate::format::{one, several, span};
use crate::gc::Verdict;
use crate::gc::verdict::{Alive, Cause, Death, Doubt, Unmatched, Wait};
use crate::model::PullRequestNumber;

/// Formats a duration in its largest unit: "12 days".
pub fn words(duration: TimeDelta) -> String {
    let minutes = duration.num_minutes().max(0);
    let (number, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2_880 => (minutes / 60, "hour"),
        2_880..86_400 => (minutes / 1_440, "day"),
        86_400..1_051_200 => (minutes / 43_800, "month"),
        _ => (minutes / 525_600, "year"),
    };
    plural(usize::try_from(number).unwrap_or(usize::MAX), unit)
}

/// Formats a count with its noun: "1 day", "2 days".
pub fn plural(number: usize, noun: &str) -> String {
    let number_text = grouped(number);
    if number == 1 {
        format!("{number_text} {noun}")
    } else {
        format!("{number_text} {}", several(noun))
    }
}

/// Formats a number with a comma between groups of three digits.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats how long ago a time was: "12 days ago".
pub fn ago(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    if now - at < TimeDelta::minutes(1) {
        "just now".to_owned()
    } else {
        format!("{} ago", words(now - at))
    }
}

/// Formats how far in the future a time is: "in 9 hours".
pub fn until(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    if at - now < TimeDelta::minutes(1) {
        "now".to_owned()
    } else {
        format!("in {}", words(at - now))
    }
}

/// Formats the state of a pull request: "merged 12 days ago".
pub fn state(now: DateTime<Utc>, state: PullRequestState) -> String {
    match state {
        PullRequestState::Merged(Some(at)) => format!("merged {}", ago(now, at)),
        PullRequestState::Closed(Some(at)) => format!("closed {}", ago(now, at)),
        other => other.to_string(),
    }
}

/// Returns why a row has its verdict. What its heading says already is left out,
/// so that nothing may remain.
pub fn reason(now: DateTime<Utc>, row: &Row, heading: Option<&PullRequestLine>) -> String {
    let mut parts = Vec::new();
    let is_in_heading =
        |number: PullRequestNumber| heading.is_some_and(|line| line.number == number);
    match &row.verdict {
        Verdict::Garbage(death) => {
            if !matches!(death.cause, Cause::Ended { number, .. } if is_in_heading(number)) {
                parts.push(cause(now, &death.cause));
            }
            if death.report_only {
                parts.push("only reported, as its rule says".to_owned());
            }
        }
        Verdict::Grace(wait) => parts.push(grace(now, wait, &is_in_heading)),
        Verdict::Live(alive) => match alive {
            Alive::Open(number) if is_in_heading(*number) => {}
            Alive::NotMerged(_) => {
                parts.push("closed without a merge; its rule requires one".to_owned());
            }
            Alive::Young { longer_than, since } => parts.push(format!(
                "younger than {}: {}",
                span(*longer_than),
                words(now - *since)
            )),
            other => parts.push(other.to_string()),
        },
        Verdict::Unmatched(Unmatched::NoRule) => return String::new(),
        Verdict::Unknown(doubt) => match unknown(now, doubt) {
            Some(short) => parts.push(short),
            None => return row.reason.clone(),
        },
        // The names of others may be hidden in the reason of the row.
        Verdict::Protected(_) | Verdict::InUse(_) | Verdict::Unmatched(_) => {
            return row.reason.clone();
        }
    }
    if let Some(at) = row.own_expiry {
        parts.push(format!("its own expiry deletes it {}", until(now, at)));
    }
    if !row.unbinds.is_empty() {
        parts.push(format!(
            "its binding is removed first from {}",
            row.unbinds.join(", ")
        ));
    }
    if let Some(why) = &row.blocked {
        parts.push(format!("no sweep deletes it for now: {why}"));
    }
    parts.join("; ")
}

fn cause(now: DateTime<Utc>, cause: &Cause) -> String {
    let how = |merged: bool| if merged { "merged" } else { "closed" };
    match cause {
        Cause::Ended { number, merged, at } => {
            format!("#{number} was {} {}", how(*merged), ago(now, *at))
        }
        Cause::BranchGone {
            branch,
            number,
            merged,
            at,
        } => format!(
            "git branch {branch} is gone, #{number} was {} {}",
            how(*merged),
            ago(now, *at)
        ),
        Cause::RunFinished { run, at } => {
            format!("Actions run {run} completed {}", ago(now, *at))
        }
        Cause::LabelLost { number, label, at } => {
            format!("#{number} lost the label {label:?} {}", ago(now, *at))
        }
        Cause::Superseded { newer, at } => format!(
            "{newer} newer of its rule and claim, the last {}",
            ago(now, *at)
        ),
        Cause::Missing(_) | Cause::TargetGone { .. } | Cause::Age { .. } => cause.to_string(),
    }
}

fn grace(
    now: DateTime<Utc>,
    wait: &Wait,
    is_in_heading: &dyn Fn(PullRequestNumber) -> bool,
) -> String {
    let of = |death: &Death| match death.cause {
        Cause::Ended { number, .. } if is_in_heading(number) => String::new(),
        ref other => cause(now, other) + "; ",
    };
    match wait {
        Wait::Grace {
            death,
            grace_ends_at: Some(at),
        } => format!("{}garbage {}", of(death), until(now, *at)),
        Wait::Grace {
            death,
            grace_ends_at: None,
        } => format!("{}it has no time, so its grace does not end", of(death)),
        Wait::Expires { at } => format!("expires by itself {}", until(now, *at)),
    }
}

/// Returns a doubt in short words, if there are shorter ones than its own.
fn unknown(now: DateTime<Utc>, doubt: &Doubt) -> Option<String> {
    Some(match doubt {
        Doubt::Birth {
            number,
            made: Some(made),
        } => format!("created {}, when #{number} was not open", ago(now, *made)),
        // Why is said once, with what could not be read.
        Doubt::References { unread, kind, .. } => {
            format!("what {} use was not read", plural(*unread, kind.noun))
        }
        Doubt::Users { kind, .. } => format!("whether {} uses it was not read", one(kind.noun)),
        Doubt::Address { user, .. } => {
            format!("whether {} connects to it was not read", one(user.noun))
        }
        Doubt::Holds { kind, .. } => format!("whether it contains {} was not read", one(kind.noun)),
        Doubt::NotAnswered { claim, .. } => format!("{claim} was not read"),
        Doubt::Roots(_) => "not everything that keeps resources alive was read".to_owned(),
        Doubt::Missing(claim) => format!("{claim} does not exist, so it is kept"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_relative_in_one_unit() {
        let now = at("2026-03-02T09:00:00Z");
        for (then, expected) in [
            ("2026-03-02T08:59:30Z", "just now"),
            ("2026-03-02T08:59:00Z", "1 minute ago"),
            ("2026-03-02T07:01:00Z", "119 minutes ago"),
            ("2026-03-02T07:00:00Z", "2 hours ago"),
            ("2026-02-28T09:01:00Z", "47 hours ago"),
            ("2026-02-28T09:00:00Z", "2 days ago"),
            ("2026-01-02T09:00:00Z", "59 days ago"),
            ("2025-12-01T09:00:00Z", "2 months ago"),
            ("2023-12-01T09:00:00Z", "2 years ago"),
            // A clock that is ahead.
            ("2026-03-02T10:00:00Z", "just now"),
        ] {
            assert_eq!(ago(now, at(then)), expected, "{then}");
        }
        assert_eq!(until(now, at("2026-03-02T18:30:00Z")), "in 9 hours");
        assert_eq!(until(now, at("2026-03-01T00:00:00Z")), "now");
    }

    #[test]
    fn large_numbers_have_groups_of_three_digits() {
        for (number, expected) in [
            (0, "0 rows"),
            (1, "1 row"),
            (999, "999 rows"),
            (1_000, "1,000 rows"),
            (1_234_567, "1,234,567 rows"),
        ] {
            assert_eq!(plural(number, "row"), expected);
        }
    }
}
