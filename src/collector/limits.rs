//! The limits of a run.

use std::time::Duration;

use chrono::TimeDelta;

use crate::gc::brakes::BrakeLimits;
use crate::limits::{self, LimitValues};
use crate::wire::Allotment;

/// How far a run may go.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long after its death a resource is kept.
    pub grace: TimeDelta,
    /// The same limit for a run with `--pr`.
    pub grace_on_close: TimeDelta,
    /// Most deletions in one run.
    pub max_deletions: usize,
    /// How much garbage is suspicious.
    pub brake: BrakeLimits,
    /// What may be spent of Cloudflare's quota.
    pub allotment: Allotment,
    /// How old a listing may be when a deletion rests on it.
    pub reread_after: Duration,
    /// How old a plan file may be when it is carried out.
    pub plan_age: TimeDelta,
    /// How long the run may take.
    pub deadline: Duration,
    /// The maximum number of Workers whose bindings are read in one run. Each
    /// takes about three requests, for which at most half of the quota until the
    /// deadline is used. The next run reads those first that this one did not.
    pub reference_reads: usize,
    /// Whether Workers are deleted by the id that is never used again.
    pub workers_by_id: bool,
}

impl Limits {
    /// Returns the time at the end of a run that is for reading what its last
    /// requests did; the same again is for publishing. Both are part of the deadline.
    pub fn closing(&self) -> Duration {
        (self.deadline / 10).min(Duration::from_mins(1))
    }

    /// Returns the limits that these values set, and the defaults of the others.
    pub fn of(values: &LimitValues) -> Self {
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let reserve = values.get(&limits::QUOTA_RESERVE);
        Self {
            grace: values.get(&limits::GRACE),
            grace_on_close: values.get(&limits::GRACE_ON_CLOSE),
            max_deletions: size(values.get(&limits::MAX_DELETIONS)),
            brake: BrakeLimits {
                count: values.get(&limits::BRAKE_COUNT),
                share: values.get(&limits::BRAKE_SHARE),
                floor: values.get(&limits::BRAKE_FLOOR),
            },
            allotment: Allotment {
                share: values.get(&limits::QUOTA_SHARE),
                reserve: reserve.map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
            },
            reread_after: values.get(&limits::REREAD_AFTER),
            plan_age: values.get(&limits::PLAN_AGE),
            deadline: values.get(&limits::DEADLINE),
            reference_reads: size(values.get(&limits::REFERENCE_READS)),
            workers_by_id: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(&LimitValues::default())
    }
}
