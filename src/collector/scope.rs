//! Where a policy file applies, as far as that is known before anything is
//! asked.

use std::collections::BTreeSet;

use crate::model::{KindRef, PlaceSort};
use crate::policy::Policy;
use crate::providers;

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

    /// Whether it names a place of this sort.
    fn names(&self, sort: PlaceSort) -> bool {
        match sort {
            PlaceSort::Account => self.account.is_some(),
            PlaceSort::Zone | PlaceSort::Project => !self.named(sort).is_empty(),
            PlaceSort::Repository => true,
        }
    }

    /// Whether the places that a policy's rules need are named at all.
    ///
    /// # Errors
    ///
    /// What is missing, and how to name it.
    pub fn check(&self, policy: &Policy, needed: &BTreeSet<KindRef>) -> Result<(), String> {
        for kind in needed {
            let Some((about, keys)) = providers::scope_keys(kind.place) else {
                continue;
            };
            if let Some(missing) = keys.iter().find(|key| !self.names(key.sort)) {
                return Err(format!(
                    "{} has rules for {kind} and nothing names {}: set {} or [scope] {}.{}",
                    policy.path,
                    missing.noun,
                    missing.variables.first().unwrap_or(&""),
                    about.key,
                    missing.key
                ));
            }
        }
        Ok(())
    }
}

/// The kinds that the rules of a policy read: their own, and the satellites that go
/// after what a rule deletes.
pub fn needed(policy: &Policy) -> BTreeSet<KindRef> {
    let rules = policy.rules.iter();
    let kinds = rules.flat_map(|rule| {
        let with = rule.with.iter();
        let satellites = with.filter(|kind| !kind.satellite_of.is_empty());
        rule.kinds.iter().chain(satellites).copied()
    });
    kinds.collect()
}
