//! The `[limits]` of a policy file.

use chrono::TimeDelta;

use super::fields::{Fields, Mistakes};
use super::keys::{Duration, Key, Share, Whole};
use crate::limits::{self, LimitValue, LimitValues, Unit};
use crate::model::code::Code;

/// Reads `[limits]`. What it does not set is left to flags, the environment and
/// the defaults.
pub(super) fn read(mut fields: Fields<'_>, mistakes: &mut Mistakes) -> LimitValues {
    let mut values = LimitValues::default();
    let mut inner: Vec<(&str, Option<Fields<'_>>)> = Vec::new();
    for limit in limits::ALL {
        let (table, key) = limit.path();
        let fields = match table {
            None => Some(&mut fields),
            Some(table) => {
                let known = inner.iter().position(|(name, _)| *name == table);
                let index = known.unwrap_or_else(|| {
                    let key = Key::new(table, ());
                    inner.push((table, fields.table(&key, "table of [limits]", mistakes)));
                    inner.len() - 1
                });
                inner[index].1.as_mut()
            }
        };
        let value = fields.and_then(|fields| value(fields, key, limit.unit, mistakes));
        if let Some(value) = value {
            values.set(limit, value);
        }
    }
    for fields in inner.into_iter().filter_map(|(_, fields)| fields) {
        fields.end(mistakes);
    }
    fields.end(mistakes);
    values
}

fn value(
    fields: &mut Fields<'_>,
    key: &'static str,
    unit: Unit,
    mistakes: &mut Mistakes,
) -> Option<LimitValue> {
    match unit {
        Unit::Duration => fields
            .duration(&Key::new(key, Duration), mistakes)
            .map(|at| LimitValue::Duration(at.value)),
        Unit::Count => fields
            .whole(&Key::new(key, Whole(0..=u64::MAX)), mistakes)
            .map(|at| LimitValue::Count(at.value)),
        Unit::Share => fields
            .share(&Key::new(key, Share), mistakes)
            .map(|at| LimitValue::Share(at.value)),
        Unit::PositiveDuration => {
            let duration = fields.duration(&Key::new(key, Duration), mistakes)?;
            if duration.value > TimeDelta::zero() {
                return Some(LimitValue::Duration(duration.value));
            }
            mistakes.error(
                Code::LimitZero,
                duration.span,
                format!("`{key}` must be more than 0s"),
                "the run could do nothing in time",
                None,
            );
            None
        }
        Unit::PositiveShare => {
            let share = fields.share(&Key::new(key, Share), mistakes)?;
            if share.value > 0.0 {
                return Some(LimitValue::Share(share.value));
            }
            mistakes.error(
                Code::QuotaShareZero,
                share.span,
                format!("`{key}` must be more than 0"),
                "the run could send no request",
                Some("0.5 leaves half of the quota for deployments".to_owned()),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::policy::tests;

    /// A file with these limits and something to do.
    fn file(limits: &str) -> String {
        format!("[limits]\n{limits}\n[[protect]]\nname = \"main\"\nreason = \"ours\"\n")
    }

    fn read(limits: &str) -> LimitValues {
        tests::read(&file(limits)).unwrap().policies.limits
    }

    #[test]
    fn every_limit_is_what_the_file_says() {
        let written = read(
            r#"
grace = "1h"
grace-on-close = "2h"
max-deletions = 3
quota-share = 0.25
quota-reserve = 5
reread-after = "6m"
plan-age = "7m"
deadline = "8m"
reference-reads = 9
brake = { count = 10, share = 0.5, floor = 12 }
"#,
        );
        let mut expected = LimitValues::default();
        for (limit, value) in [
            (
                &limits::GRACE.about,
                LimitValue::Duration(TimeDelta::hours(1)),
            ),
            (
                &limits::GRACE_ON_CLOSE.about,
                LimitValue::Duration(TimeDelta::hours(2)),
            ),
            (&limits::MAX_DELETIONS.about, LimitValue::Count(3)),
            (&limits::BRAKE_COUNT.about, LimitValue::Count(10)),
            (&limits::BRAKE_SHARE.about, LimitValue::Share(0.5)),
            (&limits::BRAKE_FLOOR.about, LimitValue::Count(12)),
            (&limits::QUOTA_SHARE.about, LimitValue::Share(0.25)),
            (&limits::QUOTA_RESERVE.about, LimitValue::Count(5)),
            (
                &limits::REREAD_AFTER.about,
                LimitValue::Duration(TimeDelta::minutes(6)),
            ),
            (
                &limits::PLAN_AGE.about,
                LimitValue::Duration(TimeDelta::minutes(7)),
            ),
            (
                &limits::DEADLINE.about,
                LimitValue::Duration(TimeDelta::minutes(8)),
            ),
            (&limits::REFERENCE_READS.about, LimitValue::Count(9)),
        ] {
            expected.set(limit, value);
        }
        assert_eq!(written, expected);
        assert_eq!(read(""), LimitValues::default());
    }

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        assert_eq!(
            read("brake = { share = 1 }")
                .get(&limits::BRAKE_SHARE)
                .to_string(),
            "1"
        );
        assert_eq!(
            read("brake = { share = 0 }")
                .get(&limits::BRAKE_SHARE)
                .to_string(),
            "0"
        );
        for share in ["1.5", "-0.5", "2", "nan", "\"half\""] {
            let limits = file(&format!("brake = {{ share = {share} }}"));
            let expected = ["`share` must be a number from 0 to 1"];
            assert_eq!(tests::mistakes(&limits), expected, "{share}");
        }
    }

    #[test]
    fn a_run_may_use_some_of_the_quota() {
        assert_eq!(
            read("quota-share = 1")
                .get(&limits::QUOTA_SHARE)
                .to_string(),
            "1"
        );
        assert_eq!(
            read("quota-share = 0.01")
                .get(&limits::QUOTA_SHARE)
                .to_string(),
            "0.01"
        );
        for none in ["0", "0.0"] {
            let limits = file(&format!("quota-share = {none}"));
            let expected = ["`quota-share` must be more than 0"];
            assert_eq!(tests::mistakes(&limits), expected, "{none}");
        }
    }

    #[test]
    fn two_files_differ_in_whatever_one_of_them_says_otherwise() {
        let first = "brake = { count = 1, share = 0.5, floor = 3 }\ngrace = \"1h\"";
        for (second, expected) in [
            (first, &[] as &[&str]),
            (
                "brake = { count = 2, share = 0.5, floor = 3 }\ngrace = \"1h\"",
                &["brake.count"],
            ),
            (
                "brake = { count = 1, share = 0.6, floor = 3 }\ngrace = \"1h\"",
                &["brake.share"],
            ),
            (
                "brake = { count = 1, share = 0.5, floor = 4 }\ngrace = \"1h\"",
                &["brake.floor"],
            ),
            ("brake = { count = 1, share = 0.5, floor = 3 }", &["grace"]),
            (
                "deadline = \"1h\"",
                &[
                    "grace",
                    "brake.count",
                    "brake.share",
                    "brake.floor",
                    "deadline",
                ],
            ),
        ] {
            assert_eq!(read(first).differences(&read(second)), expected, "{second}");
        }
    }
}
