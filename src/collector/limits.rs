//! The limits of a run.

use std::time::Duration;

use chrono::TimeDelta;

use crate::gc::brakes::BrakeLimits;
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            grace: TimeDelta::hours(24),
            grace_on_close: TimeDelta::zero(),
            max_deletions: 50,
            brake: BrakeLimits {
                count: 200,
                share: 0.6,
                floor: 20,
            },
            allotment: Allotment {
                share: 0.5,
                reserve: None,
            },
            reread_after: Duration::from_secs(30),
            plan_age: TimeDelta::hours(24),
            deadline: Duration::from_mins(20),
            reference_reads: 1_000,
        }
    }
}
