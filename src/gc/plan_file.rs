//! A plan as a document: protected by a digest, bound to the places and
//! repositories it was made for, and good for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::listed::listed;
use super::mark::Marking;
use super::plan::Plan;
use crate::evidence::{Evidence, Inventory};
use crate::format::moment;
use crate::model::{KindRef, Place, ResourceId};
use crate::policy::Action;

/// What a plan is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTarget {
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
pub struct PlanFile {
    /// The version of this document.
    pub schema: u32,
    /// When the audit behind it began.
    pub now: DateTime<Utc>,
    /// What it is bound to.
    pub bound: PlanTarget,
    /// What the audit asked, and what it was answered.
    pub evidence: Vec<Evidence>,
    /// What is done, in this order as far as one waits for another.
    pub steps: Vec<PlannedStep>,
    /// Over everything above.
    pub digest: String,
}

/// One step of a plan file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// The resource's kind.
    pub kind: Box<str>,
    /// The name of the resource.
    pub name: Box<str>,
    /// The id of the resource.
    pub id: Box<str>,
    /// What holds it.
    #[serde(default, rename = "within", skip_serializing_if = "Option::is_none")]
    pub holder: Option<Box<str>>,
    /// What changes when a resource of the same name is created again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Box<str>>,
    /// Where it is.
    pub place: Place,
    /// `delete`, or `expire`.
    pub action: Action,
    /// Whether what it holds is kept before.
    pub backup: bool,
    /// Whether what it holds is deleted before, and cannot be restored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// Whether an event made it garbage, and not age alone.
    pub by_event: bool,
    /// Steps that have to be gone before, by their index.
    pub after: Vec<usize>,
    /// Steps whose resources stop binding this one just before it is deleted,
    /// by their index: they bind each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unbinds: Vec<usize>,
    /// The step with whose resource this one is deleted, and without which it stays,
    /// by its index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_with: Option<usize>,
    /// The rule that reads it.
    pub rule: Box<str>,
    /// Why it is garbage.
    pub reason: String,
    /// Since when it is dead.
    pub dead_since: Option<DateTime<Utc>>,
    /// When it was created, if its kind has a creation time.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was changed, likewise.
    pub changed_at: Option<DateTime<Utc>>,
    /// The id or name of what it belongs to: custom domains and routes have no
    /// times, and may be pointed elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Box<str>>,
    /// Where there is no change time: a short digest of each attribute, and of
    /// the links, as the listing showed them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub listed: BTreeMap<Box<str>, Box<str>>,
}

/// Why a plan is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is not a plan.
    #[error("this is not a plan of preview-gc: {0}; preview-gc audit --out FILE writes one")]
    Unreadable(String),
    /// Of a version that is not known.
    #[error(
        "its schema is {0}, and this program knows 1; make a new plan with preview-gc audit --out FILE"
    )]
    Schema(u32),
    /// Its digest does not fit.
    #[error(
        "it was altered after it was made (its digest does not match); make a new plan with preview-gc audit --out FILE"
    )]
    Altered,
    /// It is too old.
    #[error("it was made at {}, more than {} ago; make a new plan, or raise \
        --plan-age", moment(*.at), crate::format::span(*.maximum))]
    TooOld {
        /// When it was made.
        at: DateTime<Utc>,
        /// How old it may be.
        maximum: TimeDelta,
    },
    /// It is from the future.
    #[error("it was made at {}, which is in the future: check the clock of this machine", moment(*.0))]
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

impl PlanFile {
    /// Seals a plan.
    pub fn new(
        plan: &Plan,
        inventory: &Inventory,
        marking: &Marking<'_>,
        evidence: Vec<Evidence>,
        bound: PlanTarget,
    ) -> Self {
        let step = |step: &super::plan::Step| {
            let resource = &inventory.resources[step.resource];
            let judgement = &marking.judgements[step.resource];
            let rule = judgement
                .matched_by
                .as_ref()
                .and_then(|matched_by| marking.rule(matched_by));
            PlannedStep {
                kind: resource.kind.name().into(),
                name: resource.name.clone(),
                id: resource.id.clone(),
                holder: resource.holder.clone(),
                incarnation: resource.incarnation.clone(),
                place: Place::clone(&resource.place),
                action: step.action,
                backup: step.backup,
                empty: step.empty,
                by_event: rule.is_some_and(|(_, rule)| !rule.death.events.is_empty()),
                after: step.after.clone(),
                unbinds: step.unbinds.clone(),
                deleted_with: step.deleted_with,
                rule: rule.map_or_else(Box::default, |(_, rule)| rule.id.clone()),
                reason: judgement.verdict.reason(resource),
                dead_since: judgement.verdict.death().and_then(|death| death.dead_since),
                created_at: resource.created_at.known(),
                changed_at: resource.changed_at.known(),
                owner: resource.owner().map(|owner| owner.key.text().into()),
                listed: listed(resource),
            }
        };
        let mut plan_file = Self {
            schema: 1,
            now: marking.input.now,
            bound,
            evidence,
            steps: plan.steps.iter().map(step).collect(),
            digest: String::new(),
        };
        plan_file.digest = plan_file.digest();
        plan_file
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
            let mut needs = step.after.iter().chain(&step.unbinds);
            if !needs.all(there) || !step.deleted_with.iter().all(there) {
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
        maximum: TimeDelta,
        here: &PlanTarget,
    ) -> Result<(), PlanError> {
        if self.now > now + TimeDelta::minutes(5) {
            return Err(PlanError::TooNew(self.now));
        }
        if now - self.now > maximum {
            return Err(PlanError::TooOld {
                at: self.now,
                maximum,
            });
        }
        let text = |list: Vec<String>| list.join(", ");
        let elsewhere = |planned: Vec<String>, here: Vec<String>| {
            Err(PlanError::Elsewhere {
                planned: text(planned),
                here: text(here),
            })
        };
        let hosts = |bound: &PlanTarget| -> Vec<String> { bound.hosts.values().cloned().collect() };
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
            let names = |bound: &PlanTarget| bound.repositories.iter().cloned().collect();
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
                    holder: step.holder.clone(),
                    incarnation: step.incarnation.clone(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Judgement;
    use super::super::plan::Step;
    use super::super::samples::{
        BY_AGE, PLAIN, account, at, garbage, kind, marking, policy, policy_scope, resource,
    };
    use super::*;

    fn bound() -> PlanTarget {
        let host = |api: &str, host: &str| (api.to_owned(), host.to_owned());
        PlanTarget {
            hosts: [
                host("cloudflare", "api.cloudflare.com"),
                host("github", "api.github.com"),
            ]
            .into(),
            places: [account("a"), account("b")].into(),
            repositories: ["acme/shop".to_owned()].into(),
        }
    }

    /// Two Workers, of which the first waits for the second.
    fn plan_file() -> PlanFile {
        let policy = policy();
        let policy_scopes = [policy_scope(&policy)];
        let inventory = Inventory {
            resources: vec![
                resource("worker", "plain-7"),
                resource("worker", "aged-8"),
                resource("worker", "stays"),
            ],
            ..Inventory::default()
        };
        let judgements = vec![
            garbage(PLAIN, 7, at(-60)),
            garbage(BY_AGE, 8, at(-90)),
            Judgement::default(),
        ];
        let step = |resource, after: &[usize]| Step {
            resource,
            action: Action::Delete,
            backup: false,
            empty: false,
            after: after.to_vec(),
            unbinds: Vec::new(),
            deleted_with: None,
        };
        let plan = Plan {
            steps: vec![step(0, &[1]), step(1, &[])],
            ..Plan::default()
        };
        let marking = marking(judgements, &policy_scopes);
        PlanFile::new(&plan, &inventory, &marking, Vec::new(), bound())
    }

    /// A plan file forged by an author who knows how the digest is made.
    fn forged(change: impl FnOnce(&mut PlanFile)) -> String {
        let mut plan = plan_file();
        change(&mut plan);
        plan.digest = plan.digest();
        plan.text()
    }

    #[test]
    fn a_plan_says_what_it_was_made_of_and_is_read_back() {
        let plan = plan_file();
        assert_eq!(plan.now, at(0));
        let steps: Vec<_> = plan
            .steps
            .iter()
            .map(|step| (&*step.name, &*step.rule, step.by_event, step.dead_since))
            .collect();
        assert_eq!(
            steps,
            [
                ("plain-7", "plain", true, Some(at(-60))),
                ("aged-8", "by-age", false, Some(at(-90))),
            ]
        );
        assert_eq!(PlanFile::read(&plan.text()), Ok(plan.clone()));
        // The digest does not cover how the file is laid out.
        let compact = serde_json::to_string(&plan).unwrap();
        assert_eq!(PlanFile::read(&compact), Ok(plan));
    }

    #[test]
    fn a_plan_that_was_altered_anywhere_is_refused() {
        let text = plan_file().text();
        for (was, is) in [
            ("\"plain-7\"", "\"plain-8\""),
            ("\"delete\"", "\"expire\""),
            ("\"backup\": false", "\"backup\": true"),
            ("\"by_event\": true", "\"by_event\": false"),
            ("api.github.com", "api.github.example"),
            ("acme/shop", "acme/lamps"),
            ("sha256:", "sha256:0"),
        ] {
            let altered = text.replacen(was, is, 1);
            assert_ne!(altered, text, "{was} is in the plan");
            assert_eq!(
                PlanFile::read(&altered),
                Err(PlanError::Altered),
                "{was} became {is}"
            );
        }
        let unreadable = PlanFile::read(&text[1..]);
        assert!(matches!(unreadable, Err(PlanError::Unreadable(_))));
    }

    #[test]
    fn a_plan_of_another_schema_is_refused_as_such() {
        let text = forged(|plan| plan.schema = 2);
        assert_eq!(PlanFile::read(&text), Err(PlanError::Schema(2)));
    }

    #[test]
    fn a_step_waits_only_for_another_step_that_is_there() {
        // Of two steps the second is changed.
        for (after, fine) in [
            (vec![], true),
            (vec![0], true),
            (vec![1], false),
            (vec![2], false),
            (vec![3], false),
            (vec![0, 2], false),
        ] {
            let text = forged(|plan| {
                plan.steps[0].after = Vec::new();
                plan.steps[1].after.clone_from(&after);
            });
            let read = PlanFile::read(&text).map(|plan| plan.steps[1].after.clone());
            let wanted = if fine {
                Ok(after)
            } else {
                Err(PlanError::Order(1))
            };
            assert_eq!(read, wanted);
        }
    }

    #[test]
    fn a_plan_is_good_for_a_while_and_never_before_its_time() {
        let plan = plan_file();
        let maximum = TimeDelta::minutes(60);
        let second = TimeDelta::seconds(1);
        let too_new = Err(PlanError::TooNew(at(0)));
        let too_old = Err(PlanError::TooOld { at: at(0), maximum });
        // Clocks may differ by five minutes.
        for (now, wanted) in [
            (at(-5) - second, too_new),
            (at(-5), Ok(())),
            (at(-5) + second, Ok(())),
            (at(0), Ok(())),
            (at(60) - second, Ok(())),
            (at(60), Ok(())),
            (at(60) + second, too_old),
        ] {
            assert_eq!(plan.check(now, maximum, &bound()), wanted, "{now}");
        }
    }

    #[test]
    fn a_plan_is_carried_out_only_where_it_was_made_for() {
        /// What differs here, and what a refusal says of the plan and of here.
        type Case<'a> = (&'a str, fn(&mut PlanTarget), Option<(&'a str, &'a str)>);
        let plan = plan_file();
        let cases: [Case<'_>; 8] = [
            ("here", |_| {}, None),
            (
                "one more provider",
                |here| {
                    let neon = ("neon".to_owned(), "console.neon.tech".to_owned());
                    here.hosts.extend([neon]);
                },
                None,
            ),
            (
                "another host",
                |here| {
                    let host = ("github".to_owned(), "api.acme.ghe.com".to_owned());
                    here.hosts.extend([host]);
                },
                Some((
                    "api.cloudflare.com, api.github.com",
                    "api.cloudflare.com, api.acme.ghe.com",
                )),
            ),
            (
                "a provider less",
                |here| {
                    here.hosts.remove("github");
                },
                Some(("api.cloudflare.com, api.github.com", "api.cloudflare.com")),
            ),
            (
                "one more place",
                |here| {
                    here.places.insert(account("c"));
                },
                None,
            ),
            (
                // No step is there, but what was listed there decided too.
                "a place less",
                |here| {
                    here.places.remove(&account("b"));
                },
                Some(("account a, account b", "account a")),
            ),
            (
                "another repository",
                |here| here.repositories = ["acme/lamps".to_owned()].into(),
                Some(("acme/shop", "acme/lamps")),
            ),
            (
                "one more repository",
                |here| {
                    here.repositories.insert("acme/lamps".to_owned());
                },
                Some(("acme/shop", "acme/lamps, acme/shop")),
            ),
        ];
        for (what, change, refused) in cases {
            let mut here = bound();
            change(&mut here);
            let wanted = refused.map_or(Ok(()), |(planned, here)| {
                Err(PlanError::Elsewhere {
                    planned: planned.to_owned(),
                    here: here.to_owned(),
                })
            });
            let checked = plan.check(at(1), TimeDelta::minutes(60), &here);
            assert_eq!(checked, wanted, "{what}");
        }
    }

    #[test]
    fn a_step_outside_of_the_places_of_a_plan_is_refused() {
        let mut plan = plan_file();
        plan.steps[1].place = account("c");
        let checked = plan.check(at(1), TimeDelta::minutes(60), &bound());
        assert!(matches!(checked, Err(PlanError::Elsewhere { .. })));
    }

    #[test]
    fn a_step_about_a_kind_that_is_not_known_is_refused() {
        let plan = plan_file();
        let ids = plan.resources(&[kind("worker")]).unwrap();
        assert_eq!(ids[0], resource("worker", "plain-7").identity());
        assert_eq!(ids[1], resource("worker", "aged-8").identity());
        let refused = PlanError::Kind {
            step: 0,
            kind: "worker".to_owned(),
        };
        assert_eq!(plan.resources(&[kind("queue")]), Err(refused));
    }
}
