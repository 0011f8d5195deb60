//! The limits of a run: one table for the flags and their help, the environment
//! variables, the keys of `[limits]`, the JSON schema and the table in README.
//!
//! A new limit needs one declaration here, a line in [`ALL`], and the code that
//! obeys it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

/// How a user writes the value of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A whole number and a unit of time, such as `24h`.
    Duration,
    /// A whole number, 0 or more.
    Count,
    /// A number from 0 to 1.
    Share,
    /// A number from 0 to 1, but not 0.
    PositiveShare,
    /// A duration that is not 0.
    PositiveDuration,
}

/// The value of a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LimitValue {
    /// Of a limit in [`Unit::Duration`].
    Duration(TimeDelta),
    /// Of a limit in [`Unit::Count`].
    Count(u64),
    /// Of a limit in [`Unit::Share`] or [`Unit::PositiveShare`].
    Share(f64),
}

/// The description of one limit.
#[derive(Debug)]
pub struct About {
    /// The key in `[limits]`; a dot separates an inner table from its key.
    pub key: &'static str,
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// How its value is written.
    pub unit: Unit,
    /// The default as a user would write it, or what it depends on.
    pub default: &'static str,
    /// The help text of its flag.
    pub help: &'static str,
    /// The commands that obey it. The others accept the flag, so that one set of
    /// flags serves several commands, but do not show it in their help.
    pub verbs: &'static [&'static str],
}

/// A limit whose value has this type.
#[derive(Debug)]
pub struct Limit<T> {
    /// The description.
    pub about: About,
    /// The value if none is set.
    pub default: T,
}

/// The commands that decide verdicts.
const DECIDING: &[&str] = &["audit", "explain", "sweep", "report"];
/// The commands that make a plan.
const PLANNING: &[&str] = &["audit", "sweep", "report"];
/// The commands that read references.
const READING: &[&str] = &["audit", "explain", "sweep", "report", "check"];
/// The commands that send requests.
const CONNECTED: &[&str] = &[
    "audit", "explain", "init", "sweep", "report", "check", "restore",
];

/// How long a resource is kept after its death.
pub static GRACE: Limit<TimeDelta> = Limit {
    about: About {
        key: "grace",
        flag: "grace",
        variable: "PREVIEW_GC_GRACE",
        unit: Unit::Duration,
        default: "24h",
        help: "How long a resource is kept after its pull request ended",
        verbs: DECIDING,
    },
    default: TimeDelta::hours(24),
};

/// The same for a run with `--pr`.
pub static GRACE_ON_CLOSE: Limit<TimeDelta> = Limit {
    about: About {
        key: "grace-on-close",
        flag: "grace-on-close",
        variable: "PREVIEW_GC_GRACE_ON_CLOSE",
        unit: Unit::Duration,
        default: "0s",
        help: "Replaces `grace` in runs with --pr, but not the grace that a rule sets itself",
        verbs: DECIDING,
    },
    default: TimeDelta::zero(),
};

/// The maximum number of deletions in one run.
pub static MAX_DELETIONS: Limit<u64> = Limit {
    about: About {
        key: "max-deletions",
        flag: "max-deletions",
        variable: "PREVIEW_GC_MAX_DELETIONS",
        unit: Unit::Count,
        default: "50",
        help: "Maximum number of deletions in one run, longest dead first",
        verbs: PLANNING,
    },
    default: 50,
};

/// The maximum garbage of one kind.
pub static BRAKE_COUNT: Limit<u64> = Limit {
    about: About {
        key: "brake.count",
        flag: "brake-count",
        variable: "PREVIEW_GC_BRAKE_COUNT",
        unit: Unit::Count,
        default: "200",
        help: "Maximum garbage of one kind; a sweep that finds more is stopped",
        verbs: PLANNING,
    },
    default: 200,
};

/// The maximum share of garbage among the resources of one kind.
pub static BRAKE_SHARE: Limit<f64> = Limit {
    about: About {
        key: "brake.share",
        flag: "brake-share",
        variable: "PREVIEW_GC_BRAKE_SHARE",
        unit: Unit::Share,
        default: "0.6",
        help: "Maximum share of garbage among the resources of one kind that the rules match",
        verbs: PLANNING,
    },
    default: 0.6,
};

/// The garbage of a kind from which on [`BRAKE_SHARE`] counts.
pub static BRAKE_FLOOR: Limit<u64> = Limit {
    about: About {
        key: "brake.floor",
        flag: "brake-floor",
        variable: "PREVIEW_GC_BRAKE_FLOOR",
        unit: Unit::Count,
        default: "20",
        help: "--brake-share applies only to kinds with at least this much garbage",
        verbs: PLANNING,
    },
    default: 20,
};

/// The part of each provider's request quota that a run may use.
pub static QUOTA_SHARE: Limit<f64> = Limit {
    about: About {
        key: "quota-share",
        flag: "quota-share",
        variable: "PREVIEW_GC_QUOTA_SHARE",
        unit: Unit::PositiveShare,
        default: "0.5",
        help: "Share of each provider's request quota that a run may use",
        verbs: CONNECTED,
    },
    default: 0.5,
};

/// The requests of Cloudflare's quota that a run leaves for others. Without a
/// value, the number depends on the quota.
pub static QUOTA_RESERVE: Limit<Option<u64>> = Limit {
    about: About {
        key: "quota-reserve",
        flag: "quota-reserve",
        variable: "PREVIEW_GC_QUOTA_RESERVE",
        unit: Unit::Count,
        default: "2 % of the quota",
        help: "Requests of Cloudflare's quota that a run always leaves for others",
        verbs: CONNECTED,
    },
    default: None,
};

/// The maximum age of a listing that a deletion relies on.
pub static REREAD_AFTER: Limit<Duration> = Limit {
    about: About {
        key: "reread-after",
        flag: "reread-after",
        variable: "PREVIEW_GC_REREAD_AFTER",
        unit: Unit::PositiveDuration,
        default: "30s",
        help: "Maximum age of a listing that a deletion relies on",
        // An interactive audit deletes too.
        verbs: &["audit", "sweep"],
    },
    default: Duration::from_secs(30),
};

/// The maximum age of a plan file that is carried out.
pub static PLAN_AGE: Limit<TimeDelta> = Limit {
    about: About {
        key: "plan-age",
        flag: "plan-age",
        variable: "PREVIEW_GC_PLAN_AGE",
        unit: Unit::Duration,
        default: "24h",
        help: "Maximum age of a plan file",
        verbs: &["sweep"],
    },
    default: TimeDelta::hours(24),
};

/// The maximum duration of a run.
pub static DEADLINE: Limit<Duration> = Limit {
    about: About {
        key: "deadline",
        flag: "deadline",
        variable: "PREVIEW_GC_DEADLINE",
        unit: Unit::PositiveDuration,
        default: "20m",
        help: "Maximum duration of the run",
        verbs: CONNECTED,
    },
    default: Duration::from_mins(20),
};

/// The maximum number of Workers whose bindings are read in one run.
pub static REFERENCE_READS: Limit<u64> = Limit {
    about: About {
        key: "reference-reads",
        flag: "reference-reads",
        variable: "PREVIEW_GC_REFERENCE_READS",
        unit: Unit::Count,
        default: "1000",
        help: "Maximum number of Workers whose bindings are read in one run; the others stay \
               unknown, and the next sweep reads them first",
        verbs: READING,
    },
    default: 1_000,
};

/// All limits, in the order of the help.
pub static ALL: [&About; 12] = [
    &GRACE.about,
    &GRACE_ON_CLOSE.about,
    &MAX_DELETIONS.about,
    &BRAKE_COUNT.about,
    &BRAKE_SHARE.about,
    &BRAKE_FLOOR.about,
    &QUOTA_SHARE.about,
    &QUOTA_RESERVE.about,
    &REREAD_AFTER.about,
    &PLAN_AGE.about,
    &DEADLINE.about,
    &REFERENCE_READS.about,
];

impl About {
    /// Returns the inner table of `[limits]` that holds the key, if there is
    /// one, and the key in it.
    pub fn path(&self) -> (Option<&'static str>, &'static str) {
        match self.key.split_once('.') {
            Some((table, key)) => (Some(table), key),
            None => (None, self.key),
        }
    }
}

impl Unit {
    /// Returns the placeholder of a value in the help.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Duration | Self::PositiveDuration => "DURATION",
            Self::Count => "N",
            Self::Share | Self::PositiveShare => "0..1",
        }
    }

    /// Reads the value of a flag or of an environment variable.
    ///
    /// # Errors
    ///
    /// What a value of this unit looks like.
    pub fn parse(self, text: &str) -> Result<LimitValue, &'static str> {
        match self {
            Self::Duration => parse_duration(text)
                .map(LimitValue::Duration)
                .ok_or("not a duration; write a whole number and s, m, h, d or w"),
            Self::PositiveDuration => match Self::Duration.parse(text)? {
                LimitValue::Duration(duration) if duration <= TimeDelta::zero() => {
                    Err("it must be more than 0s, or the run could do nothing in time")
                }
                value => Ok(value),
            },
            Self::Count => text
                .parse()
                .map(LimitValue::Count)
                .map_err(|_| "not a whole number, 0 or more"),
            Self::Share | Self::PositiveShare => {
                let share = text
                    .parse()
                    .ok()
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or("not a number from 0 to 1")?;
                if self == Self::PositiveShare && share <= 0.0 {
                    return Err("it must be more than 0, or the run could send no request");
                }
                Ok(LimitValue::Share(share))
            }
        }
    }
}

/// Reads a whole number and a unit of time, such as `24h`.
pub fn parse_duration(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    TimeDelta::try_seconds(number.checked_mul(seconds)?)
}

/// A type that the value of a limit can have.
pub trait FromValue: Copy {
    /// Converts a value; `None` if its unit does not belong to this type.
    fn from_value(value: LimitValue) -> Option<Self>;
}

impl FromValue for TimeDelta {
    fn from_value(value: LimitValue) -> Option<Self> {
        match value {
            LimitValue::Duration(duration) => Some(duration),
            LimitValue::Count(_) | LimitValue::Share(_) => None,
        }
    }
}

impl FromValue for Duration {
    fn from_value(value: LimitValue) -> Option<Self> {
        TimeDelta::from_value(value)?.to_std().ok()
    }
}

impl FromValue for u64 {
    fn from_value(value: LimitValue) -> Option<Self> {
        match value {
            LimitValue::Count(count) => Some(count),
            LimitValue::Duration(_) | LimitValue::Share(_) => None,
        }
    }
}

impl FromValue for Option<u64> {
    fn from_value(value: LimitValue) -> Option<Self> {
        u64::from_value(value).map(Some)
    }
}

impl FromValue for f64 {
    fn from_value(value: LimitValue) -> Option<Self> {
        match value {
            LimitValue::Share(share) => Some(share),
            LimitValue::Duration(_) | LimitValue::Count(_) => None,
        }
    }
}

/// The limits that one source sets: the command line with its environment, or a
/// policy file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LimitValues(BTreeMap<&'static str, LimitValue>);

impl LimitValues {
    /// Sets a limit.
    pub fn set(&mut self, limit: &About, value: LimitValue) {
        self.0.insert(limit.key, value);
    }

    /// Returns these limits, and those of `other` where these set none.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        for (key, value) in &other.0 {
            self.0.entry(key).or_insert(*value);
        }
        self
    }

    /// Returns the value of a limit, or its default.
    pub fn get<T: FromValue>(&self, limit: &Limit<T>) -> T {
        let value = self.0.get(limit.about.key);
        value
            .and_then(|value| T::from_value(*value))
            .unwrap_or(limit.default)
    }

    /// Returns the keys in which two sources differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let keys = ALL.iter().map(|limit| limit.key);
        keys.filter(|key| self.0.get(key) != other.0.get(key))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that the two forms of a default agree and that the unit of a limit
    /// belongs to its type.
    fn check<T: FromValue + PartialEq + std::fmt::Debug>(limit: &Limit<T>) {
        let about = &limit.about;
        let value = about.unit.parse(about.default).unwrap();
        assert_eq!(T::from_value(value), Some(limit.default), "{}", about.key);
    }

    #[test]
    fn defaults_are_what_their_texts_say() {
        for limit in [&GRACE, &GRACE_ON_CLOSE, &PLAN_AGE] {
            check(limit);
        }
        for limit in [&REREAD_AFTER, &DEADLINE] {
            check(limit);
        }
        for limit in [&MAX_DELETIONS, &BRAKE_COUNT, &BRAKE_FLOOR, &REFERENCE_READS] {
            check(limit);
        }
        for limit in [&BRAKE_SHARE, &QUOTA_SHARE] {
            check(limit);
        }
        let about = &QUOTA_RESERVE.about;
        let value = about.unit.parse("24").unwrap();
        assert_eq!(Option::from_value(value), Some(Some(24_u64)));
    }

    #[test]
    fn keys_flags_and_variables_are_named_alike() {
        let keys: std::collections::BTreeSet<_> = ALL.iter().map(|limit| limit.key).collect();
        assert_eq!(keys.len(), ALL.len());
        let declared = include_str!("limits.rs")
            .lines()
            .filter(|line| line.starts_with("pub static ") && line.contains(": Limit<"))
            .count();
        assert_eq!(declared, ALL.len(), "ALL lists every limit");
        for limit in ALL {
            let name = limit.key.replace(['.', '-'], "_").to_uppercase();
            assert_eq!(limit.flag, limit.key.replace('.', "-"));
            assert_eq!(limit.variable, format!("PREVIEW_GC_{name}"));
        }
        assert_eq!(BRAKE_COUNT.about.path(), (Some("brake"), "count"));
        assert_eq!(GRACE_ON_CLOSE.about.path(), (None, "grace-on-close"));
    }

    /// README shows the table of limits, which is made here.
    #[test]
    fn readme_shows_every_limit() {
        let rows = ALL.iter().map(|limit| {
            let (flag, default) = (limit.flag, limit.default);
            format!(
                "| `{}` | `--{flag}` | {default} | {} |",
                limit.key, limit.help
            )
        });
        let head = [
            "| Key in `[limits]` | Flag | Default | Meaning |",
            "| --- | --- | --- | --- |",
        ];
        let table: Vec<_> = head.map(str::to_owned).into_iter().chain(rows).collect();
        let table = table.join("\n");
        let readme = include_str!("../README.md");
        assert!(readme.contains(&table), "README needs this table:\n{table}");
    }

    #[test]
    fn a_value_of_the_first_source_wins_and_defaults_come_last() {
        let mut flags = LimitValues::default();
        let mut policy = LimitValues::default();
        flags.set(&MAX_DELETIONS.about, LimitValue::Count(3));
        policy.set(&MAX_DELETIONS.about, LimitValue::Count(4));
        policy.set(&BRAKE_COUNT.about, LimitValue::Count(5));
        let both = flags.or(&policy);
        assert_eq!(both.get(&MAX_DELETIONS), 3);
        assert_eq!(both.get(&BRAKE_COUNT), 5);
        assert_eq!(both.get(&BRAKE_FLOOR), 20);
    }

    #[test]
    fn shares_lie_between_0_and_1() {
        for (text, share, positive) in [
            ("0", true, false),
            ("0.0", true, false),
            ("0.01", true, true),
            ("1", true, true),
            ("1.1", false, false),
            ("-0.1", false, false),
            ("nan", false, false),
            ("half", false, false),
            ("", false, false),
        ] {
            assert_eq!(Unit::Share.parse(text).is_ok(), share, "{text:?}");
            let parsed = Unit::PositiveShare.parse(text);
            assert_eq!(parsed.is_ok(), positive, "{text:?}");
        }
    }

    #[test]
    fn a_duration_is_digits_and_one_unit() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("24h", Some(86_400)),
            ("7d", Some(604_800)),
            ("2w", Some(1_209_600)),
            ("0s", Some(0)),
            ("", None),
            ("h", None),
            ("24", None),
            ("24y", None),
            ("24 h", None),
            ("1.5h", None),
            ("-1h", None),
            ("+1h", None),
            ("9223372036854775807w", None),
        ] {
            let read = parse_duration(text).map(|duration| duration.num_seconds());
            assert_eq!(read, seconds, "{text:?}");
        }
    }
}
