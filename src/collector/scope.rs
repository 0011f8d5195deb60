//! Where a policy file applies, as far as that is known before anything is
//! asked.

use std::collections::BTreeSet;

use crate::model::{KindRef, PlaceSort};
use crate::policy::Policy;

/// The places of one policy file, before zones are looked up.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The Cloudflare account, by its id.
    pub account: Option<String>,
    /// Cloudflare zones, by id or name.
    pub zones: Vec<String>,
    /// Neon projects, by id.
    pub projects: Vec<String>,
}

impl Scope {
    /// The zones or projects that it names.
    pub(super) fn named(&self, sort: PlaceSort) -> &[String] {
        match sort {
            PlaceSort::Zone => &self.zones,
            PlaceSort::Project => &self.projects,
            PlaceSort::Account | PlaceSort::Repository => &[],
        }
    }

    /// Whether the places that a policy's rules need are named at all.
    ///
    /// # Errors
    ///
    /// What is missing, and how to name it.
    pub fn check(&self, policy: &Policy, needed: &BTreeSet<KindRef>) -> Result<(), String> {
        for kind in needed {
            let missing = match kind.place {
                PlaceSort::Account | PlaceSort::Zone if self.account.is_none() => Some(
                    "the Cloudflare account: set CLOUDFLARE_ACCOUNT_ID or [scope] \
                     cloudflare.account",
                ),
                PlaceSort::Zone if self.zones.is_empty() => {
                    Some("the zone: set CLOUDFLARE_ZONE_ID or [scope] cloudflare.zones")
                }
                PlaceSort::Project if self.projects.is_empty() => {
                    Some("the Neon project: set NEON_PROJECT_ID or [scope] neon.projects")
                }
                PlaceSort::Account
                | PlaceSort::Zone
                | PlaceSort::Project
                | PlaceSort::Repository => None,
            };
            if let Some(missing) = missing {
                return Err(format!(
                    "{} has rules for {kind} and nothing names {missing}",
                    policy.path
                ));
            }
        }
        Ok(())
    }
}

/// The kinds that the rules of a policy read.
pub fn needed(policy: &Policy) -> BTreeSet<KindRef> {
    policy
        .rules
        .iter()
        .flat_map(|rule| rule.kinds.iter().copied())
        .collect()
}
