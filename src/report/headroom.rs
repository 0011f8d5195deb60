//! Resource counts against the providers' limits.

use std::collections::BTreeMap;

use crate::evidence::{Inventory, Listing};
use crate::model::Attribute;

/// One limit of a provider and how much of it is used.
#[derive(Debug, Clone)]
pub struct HeadroomUse {
    /// What is counted.
    pub what: &'static str,
    /// The account, zone or project.
    pub scope: String,
    /// Number of resources.
    pub used: u64,
    /// The limit that the provider reports for this place.
    pub limit: Option<u64>,
    /// The documented limit of the free plan.
    pub free_plan: Option<u64>,
    /// The documented limit of paid plans.
    pub paid_plan: Option<u64>,
}

impl HeadroomUse {
    /// Returns whether at least a tenth of the lowest limit that may apply is
    /// used. Others appear only in the JSON.
    pub fn is_near(&self) -> bool {
        let smallest = self.limit.or(self.free_plan).or(self.paid_plan);
        smallest.is_some_and(|limit| self.used.saturating_mul(10) >= limit)
    }
}

/// Returns the headroom of all complete listings.
pub(super) fn of(inventory: &Inventory) -> Vec<HeadroomUse> {
    inventory
        .listings
        .iter()
        .filter(|listing| listing.complete())
        .flat_map(|listing| one(inventory, listing))
        .collect()
}

fn one(inventory: &Inventory, listing: &Listing) -> Vec<HeadroomUse> {
    let Some(limit) = listing.kind.headroom else {
        return Vec::new();
    };
    let make = |scope: String, used: u64| HeadroomUse {
        what: limit.what,
        scope,
        used,
        limit: listing.allowance,
        free_plan: limit.free,
        paid_plan: limit.paid,
    };
    let Some(attribute) = limit.per else {
        return vec![make(
            listing.place.to_string(),
            listing.evidence.items as u64,
        )];
    };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for resource in &inventory.resources {
        if resource.kind == listing.kind
            && resource.place == listing.place
            && let Some(Attribute::Text(value)) = resource.attribute(attribute)
        {
            *counts.entry(format!("{attribute} {value}")).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(scope, used)| make(scope, used))
        .collect()
}

impl HeadroomUse {
    /// Formats the limits for people.
    pub fn limits(&self) -> String {
        match (self.limit, self.free_plan, self.paid_plan) {
            (None, Some(free), Some(paid)) if free != paid => {
                format!("of {paid} (free plan: {free})")
            }
            (Some(limit), _, _) | (None, Some(limit), _) | (None, None, Some(limit)) => {
                format!("of {limit}")
            }
            (None, None, None) => String::new(),
        }
    }
}
