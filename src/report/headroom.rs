//! Resource counts against the providers' limits.

use std::collections::BTreeMap;

use super::Row;
use crate::evidence::{Inventory, Listing};
use crate::gc::Marking;
use crate::model::{Attribute, KindRef, Place};
use std::sync::Arc;

/// One limit of a provider and how much of it is used.
#[derive(Debug, Clone)]
pub struct HeadroomUse {
    /// What is counted.
    pub what: &'static str,
    /// The kind that is counted.
    pub kind: KindRef,
    /// The account, zone, project or repository.
    pub place: Arc<Place>,
    /// The attribute and its value, where each value has its own limit.
    pub per: Option<(&'static str, String)>,
    /// The account, zone or project, or the attribute with its value.
    pub scope: String,
    /// Number of resources.
    pub used: u64,
    /// Number of them that are garbage.
    pub garbage: u64,
    /// The limit that the provider reports for this place.
    pub limit: Option<u64>,
    /// The documented limit of the free plan.
    pub free_plan: Option<u64>,
    /// The documented limit of paid plans.
    pub paid_plan: Option<u64>,
}

impl HeadroomUse {
    /// Returns the limit that applies as far as is known, and the plan that it is
    /// of. Whoever uses more than the free plan allows is taken to pay.
    pub fn binding(&self) -> Option<(u64, &'static str)> {
        match (self.limit, self.free_plan, self.paid_plan) {
            (None, Some(free), Some(paid)) if free != paid => Some(if self.used <= free {
                (free, " (free plan)")
            } else {
                (paid, " (paid plan)")
            }),
            (Some(limit), _, _) | (None, Some(limit), _) | (None, None, Some(limit)) => {
                Some((limit, ""))
            }
            (None, None, None) => None,
        }
    }

    /// Returns whether at least half of the limit is used. Others appear only in
    /// the JSON.
    pub fn is_near(&self) -> bool {
        let limit = self.binding();
        limit.is_some_and(|(limit, _)| self.used.saturating_mul(2) >= limit)
    }

    /// Returns whether a resource counts towards it.
    pub(super) fn counts(&self, row: &Row) -> bool {
        let attribute = |name: &str| {
            let mut attributes = row.attributes.iter();
            attributes.find_map(|(key, value)| match value {
                Attribute::Text(text) if *key == name => Some(&**text),
                _ => None,
            })
        };
        row.kind == self.kind
            && row.place == self.place
            && self
                .per
                .as_ref()
                .is_none_or(|(name, value)| attribute(name) == Some(value))
    }
}

/// Returns the headroom of all complete listings.
pub(super) fn of(inventory: &Inventory, marking: &Marking<'_>) -> Vec<HeadroomUse> {
    inventory
        .listings
        .iter()
        .filter(|listing| listing.complete())
        .flat_map(|listing| one(inventory, marking, listing))
        .collect()
}

fn one(inventory: &Inventory, marking: &Marking<'_>, listing: &Listing) -> Vec<HeadroomUse> {
    let Some(limit) = listing.kind.headroom else {
        return Vec::new();
    };
    let make = |per: Option<(&'static str, String)>, used: u64, garbage: u64| HeadroomUse {
        what: limit.what,
        kind: listing.kind,
        place: Arc::clone(&listing.place),
        scope: match &per {
            Some((attribute, value)) => format!("{attribute} {value}"),
            None => listing.place.to_string(),
        },
        per,
        used,
        garbage,
        limit: listing.allowance,
        free_plan: limit.free,
        paid_plan: limit.paid,
    };
    let resources = inventory.resources.iter().zip(&marking.judgements);
    let resources = resources
        .filter(|(resource, _)| resource.kind == listing.kind && resource.place == listing.place);
    let Some(attribute) = limit.per else {
        let garbage = resources.filter(|(_, judgement)| judgement.verdict.is_garbage());
        let garbage = garbage.count() as u64;
        return vec![make(None, listing.evidence.items as u64, garbage)];
    };
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (resource, judgement) in resources {
        if let Some(Attribute::Text(value)) = resource.attribute(attribute) {
            let (used, garbage) = counts.entry(value).or_default();
            *used += 1;
            *garbage += u64::from(judgement.verdict.is_garbage());
        }
    }
    counts
        .into_iter()
        .map(|(value, (used, garbage))| make(Some((attribute, value.to_owned())), used, garbage))
        .collect()
}

impl HeadroomUse {
    /// Formats the limits for people.
    pub fn limits(&self) -> String {
        match (self.limit, self.free_plan, self.paid_plan) {
            (None, Some(free), Some(paid)) if free != paid => {
                format!("of {free} on the free plan, of {paid} on paid plans")
            }
            (Some(limit), _, _) | (None, Some(limit), _) | (None, None, Some(limit)) => {
                format!("of {limit}")
            }
            (None, None, None) => String::new(),
        }
    }
}
