//! The `[limits]` of a policy file.

use chrono::TimeDelta;

use super::fields::{At, Fields, Mistakes};
use crate::model::code::Code;

/// What the files say; everything else comes from flags, the environment or
/// the defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LimitsWritten {
    /// How long after its death a resource is still kept.
    pub grace: Option<TimeDelta>,
    /// The same with `--pr`.
    pub grace_on_close: Option<TimeDelta>,
    /// The most deletions in one run.
    pub max_deletions: Option<u64>,
    /// The most garbage of one kind before the brake stops a sweep.
    pub brake_count: Option<u64>,
    /// The largest share of garbage among what is claimed of one kind.
    pub brake_share: Option<f64>,
    /// The garbage from which on that share counts.
    pub brake_floor: Option<u64>,
    /// The part of each provider's request quota that a run may use.
    pub quota_share: Option<f64>,
    /// The requests of Cloudflare's quota that are always left for others.
    pub quota_reserve: Option<u64>,
    /// How old a listing may be when a deletion rests on it.
    pub reread_after: Option<TimeDelta>,
    /// How old a plan file may be when it is carried out.
    pub plan_age: Option<TimeDelta>,
    /// How long a run may take.
    pub deadline: Option<TimeDelta>,
    /// The most requests for what single resources use.
    pub reference_reads: Option<u64>,
}

impl LimitsWritten {
    pub(super) fn read(mut fields: Fields<'_>, mistakes: &mut Mistakes) -> Self {
        let mut limits = Self {
            grace: fields.duration("grace", mistakes).map(|at| at.value),
            grace_on_close: fields
                .duration("grace-on-close", mistakes)
                .map(|at| at.value),
            max_deletions: fields.whole("max-deletions", mistakes).map(|at| at.value),
            quota_share: quota_share(fields.share("quota-share", mistakes), mistakes),
            quota_reserve: fields.whole("quota-reserve", mistakes).map(|at| at.value),
            reread_after: fields.duration("reread-after", mistakes).map(|at| at.value),
            plan_age: fields.duration("plan-age", mistakes).map(|at| at.value),
            deadline: fields.duration("deadline", mistakes).map(|at| at.value),
            reference_reads: fields.whole("reference-reads", mistakes).map(|at| at.value),
            ..Self::default()
        };
        if let Some(mut brake) = fields.table("brake", "`brake`", mistakes) {
            limits.brake_count = brake.whole("count", mistakes).map(|at| at.value);
            limits.brake_share = brake.share("share", mistakes).map(|at| at.value);
            limits.brake_floor = brake.whole("floor", mistakes).map(|at| at.value);
            brake.end(mistakes);
        }
        fields.end(mistakes);
        limits
    }

    /// The keys in which two files differ.
    pub(super) fn differs(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            grace,
            grace_on_close,
            max_deletions,
            brake_count,
            brake_share,
            brake_floor,
            quota_share,
            quota_reserve,
            reread_after,
            plan_age,
            deadline,
            reference_reads,
        } = self;
        [
            ("grace", *grace != other.grace),
            ("grace-on-close", *grace_on_close != other.grace_on_close),
            ("max-deletions", *max_deletions != other.max_deletions),
            (
                "brake",
                *brake_count != other.brake_count
                    || *brake_share != other.brake_share
                    || *brake_floor != other.brake_floor,
            ),
            ("quota-share", *quota_share != other.quota_share),
            ("quota-reserve", *quota_reserve != other.quota_reserve),
            ("reread-after", *reread_after != other.reread_after),
            ("plan-age", *plan_age != other.plan_age),
            ("deadline", *deadline != other.deadline),
            ("reference-reads", *reference_reads != other.reference_reads),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

fn quota_share(share: Option<At<f64>>, mistakes: &mut Mistakes) -> Option<f64> {
    let share = share?;
    if share.value > 0.0 {
        return Some(share.value);
    }
    mistakes.error(
        Code::QuotaShareZero,
        share.span,
        "`quota-share` must be more than 0",
        "nothing could be asked",
        Some("0.5 leaves half of the quota for deployments".to_owned()),
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests;

    /// A file with these limits and something to do.
    fn file(limits: &str) -> String {
        format!("[limits]\n{limits}\n[[protect]]\nname = \"main\"\nreason = \"ours\"\n")
    }

    fn read(limits: &str) -> LimitsWritten {
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
        let expected = LimitsWritten {
            grace: Some(TimeDelta::hours(1)),
            grace_on_close: Some(TimeDelta::hours(2)),
            max_deletions: Some(3),
            brake_count: Some(10),
            brake_share: Some(0.5),
            brake_floor: Some(12),
            quota_share: Some(0.25),
            quota_reserve: Some(5),
            reread_after: Some(TimeDelta::minutes(6)),
            plan_age: Some(TimeDelta::minutes(7)),
            deadline: Some(TimeDelta::minutes(8)),
            reference_reads: Some(9),
        };
        assert_eq!(written, expected);
        assert_eq!(read(""), LimitsWritten::default());
    }

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        assert_eq!(read("brake = { share = 1 }").brake_share, Some(1.0));
        assert_eq!(read("brake = { share = 0 }").brake_share, Some(0.0));
        for share in ["1.5", "-0.5", "2", "nan", "\"half\""] {
            let limits = file(&format!("brake = {{ share = {share} }}"));
            let expected = ["`share` must be a number from 0 to 1"];
            assert_eq!(tests::mistakes(&limits), expected, "{share}");
        }
    }

    #[test]
    fn a_run_may_use_some_of_the_quota() {
        assert_eq!(read("quota-share = 1").quota_share, Some(1.0));
        assert_eq!(read("quota-share = 0.01").quota_share, Some(0.01));
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
                &["brake"],
            ),
            (
                "brake = { count = 1, share = 0.6, floor = 3 }\ngrace = \"1h\"",
                &["brake"],
            ),
            (
                "brake = { count = 1, share = 0.5, floor = 4 }\ngrace = \"1h\"",
                &["brake"],
            ),
            ("brake = { count = 1, share = 0.5, floor = 3 }", &["grace"]),
            ("deadline = \"1h\"", &["grace", "brake", "deadline"]),
        ] {
            assert_eq!(read(first).differs(&read(second)), expected, "{second}");
        }
    }
}
