//! A plan as a document: sealed by a digest, bound to the places and
//! repositories it was made for, and good for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::mark::Marking;
use super::plan::Plan;
use super::verdict::moment;
use crate::evidence::{Evidence, Inventory};
use crate::model::{KindRef, Place, ResourceId};
use crate::policy::Action;

/// What a plan is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The host of each provider's API.
    pub hosts: BTreeMap<String, String>,
    /// The places that were listed.
    pub places: BTreeSet<Place>,
    /// The repositories whose pull requests decided, in lower case.
    pub repositories: BTreeSet<String>,
}

/// A plan that can be kept, approved and carried out later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedPlan {
    /// The version of this document.
    pub schema: u32,
    /// When the audit behind it began.
    pub now: DateTime<Utc>,
    /// What it is bound to.
    pub bound: Bound,
    /// What the audit asked, and what it was answered.
    pub evidence: Vec<Evidence>,
    /// What is done, in this order as far as one waits for another.
    pub steps: Vec<SealedStep>,
    /// Over everything above.
    pub digest: String,
}

/// One step of a sealed plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedStep {
    /// The resource's kind.
    pub kind: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its id.
    pub id: Box<str>,
    /// What holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Box<str>>,
    /// What changes when the same name is made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Box<str>>,
    /// Where it is.
    pub place: Place,
    /// `delete`, or `expire`.
    pub action: Action,
    /// Whether what it holds is kept before.
    pub backup: bool,
    /// Whether it died of an event, and not of age alone.
    pub by_event: bool,
    /// Steps that have to be gone before, by their index.
    pub after: Vec<usize>,
    /// The rule that reads it.
    pub rule: Box<str>,
    /// Why it is garbage.
    pub reason: String,
    /// Since when it is dead.
    pub dead_since: Option<DateTime<Utc>>,
    /// When it was made, as far as its kind tells.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was changed, likewise.
    pub changed_at: Option<DateTime<Utc>>,
}

/// Why a plan is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is not a plan.
    #[error("this is not a plan of preview-gc: {0}")]
    Unreadable(String),
    /// Of a version that is not known.
    #[error("its schema is {0}, and this program knows 1: make the plan anew")]
    Schema(u32),
    /// Its digest does not fit.
    #[error("it was altered after it was made (its digest does not fit): make the plan anew")]
    Altered,
    /// It is too old.
    #[error("it was made at {}, more than {} ago: make it anew, or raise --plan-age", moment(*.at), super::verdict::span(*.most))]
    TooOld {
        /// When it was made.
        at: DateTime<Utc>,
        /// How old it may be.
        most: TimeDelta,
    },
    /// It is from the future.
    #[error("it was made at {}, which is yet to come: check the clock", moment(*.0))]
    TooNew(DateTime<Utc>),
    /// It is about something else.
    #[error("it was made for {planned}, and this run is about {here}")]
    Elsewhere {
        /// What it was made for.
        planned: String,
        /// What the run is about.
        here: String,
    },
    /// A kind that is not known.
    #[error("step {step} is about a {kind}, which is no kind that can be deleted here")]
    Kind {
        /// The step, counted from 0.
        step: usize,
        /// The kind.
        kind: String,
    },
    /// A step that waits for one that is not there, or for itself.
    #[error("step {0} waits for a step that is not there")]
    Order(usize),
}

impl SealedPlan {
    /// Seals a plan.
    pub fn seal(
        plan: &Plan,
        inventory: &Inventory,
        marking: &Marking<'_>,
        evidence: Vec<Evidence>,
        bound: Bound,
    ) -> Self {
        let step = |step: &super::plan::Step| {
            let resource = &inventory.resources[step.resource];
            let judgement = &marking.judgements[step.resource];
            let rule = judgement
                .reading
                .as_ref()
                .and_then(|read_by| marking.rule(read_by));
            SealedStep {
                kind: resource.kind.name().into(),
                name: resource.name.clone(),
                id: resource.id.clone(),
                within: resource.within.clone(),
                incarnation: resource.incarnation.clone(),
                place: Place::clone(&resource.place),
                action: step.action,
                backup: step.backup,
                by_event: rule.is_some_and(|(_, rule)| !rule.death.events.is_empty()),
                after: step.after.clone(),
                rule: rule.map_or_else(Box::default, |(_, rule)| rule.id.clone()),
                reason: judgement.verdict.to_string(),
                dead_since: judgement.verdict.death().and_then(|death| death.dead_since),
                created_at: resource.created_at.known(),
                changed_at: resource.changed_at.known(),
            }
        };
        let mut sealed = Self {
            schema: 1,
            now: marking.law.now,
            bound,
            evidence,
            steps: plan.steps.iter().map(step).collect(),
            digest: String::new(),
        };
        sealed.digest = sealed.digest();
        sealed
    }

    /// Reads a plan file; what it says has not been altered.
    pub fn read(text: &str) -> Result<Self, PlanError> {
        let plan: Self =
            serde_json::from_str(text).map_err(|error| PlanError::Unreadable(error.to_string()))?;
        if plan.schema != 1 {
            return Err(PlanError::Schema(plan.schema));
        }
        if plan.digest != plan.digest() {
            return Err(PlanError::Altered);
        }
        for (index, step) in plan.steps.iter().enumerate() {
            let there = |after: &usize| *after < plan.steps.len() && *after != index;
            if !step.after.iter().all(there) {
                return Err(PlanError::Order(index));
            }
        }
        Ok(plan)
    }

    /// As its file holds it.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    fn digest(&self) -> String {
        let mut body = serde_json::to_value(self).unwrap_or_default();
        if let Some(body) = body.as_object_mut() {
            body.remove("digest");
        }
        let hash = Sha256::digest(body.to_string().as_bytes());
        let digits = hash.iter().map(|byte| format!("{byte:02x}"));
        format!("sha256:{}", digits.collect::<String>())
    }

    /// Whether it may be carried out now and here.
    pub fn check(
        &self,
        now: DateTime<Utc>,
        most: TimeDelta,
        here: &Bound,
    ) -> Result<(), PlanError> {
        if self.now > now + TimeDelta::minutes(5) {
            return Err(PlanError::TooNew(self.now));
        }
        if now - self.now > most {
            return Err(PlanError::TooOld { at: self.now, most });
        }
        let text = |list: Vec<String>| list.join(", ");
        let elsewhere = |planned: Vec<String>, here: Vec<String>| {
            Err(PlanError::Elsewhere {
                planned: text(planned),
                here: text(here),
            })
        };
        let hosts = |bound: &Bound| -> Vec<String> { bound.hosts.values().cloned().collect() };
        let same_host = |(api, host): (&String, &String)| here.hosts.get(api) == Some(host);
        if !self.bound.hosts.iter().all(same_host) {
            return elsewhere(hosts(&self.bound), hosts(here));
        }
        let places = |places: &BTreeSet<Place>| -> Vec<String> {
            places.iter().map(ToString::to_string).collect()
        };
        let used: BTreeSet<Place> = self.steps.iter().map(|step| step.place.clone()).collect();
        if !self.bound.places.is_subset(&here.places) || !used.is_subset(&here.places) {
            return elsewhere(places(&self.bound.places), places(&here.places));
        }
        if self.bound.repositories != here.repositories {
            let names = |bound: &Bound| bound.repositories.iter().cloned().collect();
            return elsewhere(names(&self.bound), names(here));
        }
        Ok(())
    }

    /// What each step is about.
    pub fn resources(&self, kinds: &[KindRef]) -> Result<Vec<ResourceId>, PlanError> {
        let mut places: BTreeMap<&Place, Arc<Place>> = BTreeMap::new();
        let steps = self.steps.iter().enumerate();
        steps
            .map(|(index, step)| {
                let kind = kinds.iter().find(|kind| kind.name() == &*step.kind);
                let kind = kind.copied().ok_or_else(|| PlanError::Kind {
                    step: index,
                    kind: step.kind.to_string(),
                })?;
                let place = places
                    .entry(&step.place)
                    .or_insert_with(|| Arc::new(step.place.clone()));
                Ok(ResourceId {
                    kind,
                    place: Arc::clone(place),
                    id: step.id.clone(),
                    name: step.name.clone(),
                    within: step.within.clone(),
                    incarnation: step.incarnation.clone(),
                })
            })
            .collect()
    }
}
