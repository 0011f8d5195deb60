//! The grace of a resource that died, and its own expiry.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::super::verdict::{Death, Verdict, Wait};
use super::Judge;
use crate::model::Resource;
use crate::policy::Rule;

/// A branch with its own expiry this near is taken care of.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(7);

/// How late a provider may be that carries out an expiry.
const EXPIRY_OVERDUE: TimeDelta = TimeDelta::days(1);

impl Judge<'_, '_> {
    /// Returns the verdict about a resource that died, by the pull request of `--pr` or
    /// otherwise. A branch that its own expiry
    /// deletes soon is left to that expiry once its grace is over. Before that the
    /// grace counts, because an earlier run may have set the expiry for an earlier
    /// end of the pull request.
    pub(super) fn verdict_of_death(
        &self,
        resource: &Resource,
        rule: &Rule,
        by_focus: bool,
        death: Death,
    ) -> Verdict {
        let now = self.input.now;
        // An expiry that is long overdue does not count.
        let expires_soon =
            |at: &DateTime<Utc>| *at <= now + EXPIRES_SOON && *at > now - EXPIRY_OVERDUE;
        let expires_at = resource.expires_at.filter(expires_soon);
        match (self.after_grace(rule, by_focus, death), expires_at) {
            (Verdict::Garbage(_), Some(at)) => Verdict::Grace(Wait::Expires { at }),
            (verdict, _) => verdict,
        }
    }

    /// Whether the grace of a death is over.
    fn after_grace(&self, rule: &Rule, by_focus: bool, mut death: Death) -> Verdict {
        let now = self.input.now;
        if rule.death.is_by_age_alone() {
            death.grace_ends_at = death.dead_since;
            return Verdict::Garbage(death);
        }
        let usual = if by_focus {
            self.input.grace_on_close
        } else {
            self.input.grace
        };
        let grace = rule.grace.unwrap_or(usual);
        let Some(dead_since) = death.dead_since else {
            // Without any time, no grace can begin or end.
            return if grace <= TimeDelta::zero() {
                Verdict::Garbage(death)
            } else {
                Verdict::Grace(Wait::Grace {
                    death,
                    grace_ends_at: None,
                })
            };
        };
        match dead_since.checked_add_signed(grace) {
            // Strictly later: exactly at the end of its grace it is still kept. No
            // grace at all is over at once.
            Some(grace_ends_at)
                if grace_ends_at < now || (grace <= TimeDelta::zero() && grace_ends_at == now) =>
            {
                death.grace_ends_at = Some(grace_ends_at);
                Verdict::Garbage(death)
            }
            grace_ends_at => Verdict::Grace(Wait::Grace {
                death,
                grace_ends_at,
            }),
        }
    }
}
