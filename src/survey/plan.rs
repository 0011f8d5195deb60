//! Makes a plan, and reads what its steps still need.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Findings, Survey};
use crate::evidence::Inventory;
use crate::gc;
use crate::gc::mark::JudgeInput;
use crate::gc::plan::Plan;
use crate::gc::verdict::Verdict;
use crate::model::{KindRef, Place, PlaceSort, ReferencesFrom};

impl<'p> Survey<'p> {
    /// A plan that takes at most so many steps, nothing of which is used by
    /// garbage that has to wait. What turns out to be undecided, or to wait for
    /// something beyond the cap, leaves its place to others.
    pub async fn plan(&self, findings: &mut Findings<'p>, maximum: usize) -> Plan {
        let base = findings.marking.input.clone();
        let mut waiting = BTreeMap::new();
        // What is undecided stays so for the rest of the run, however often the
        // rest is judged again: another choice of steps would only leave others
        // unread.
        let mut doubts: BTreeMap<(KindRef, Arc<Place>), Verdict> = BTreeMap::new();
        let mut doubted: BTreeMap<usize, Verdict> = BTreeMap::new();
        let mut plan = gc::plan(&findings.inventory, &findings.marking, maximum);
        while self.asks_more(&plan, findings) || has_waiting_users(&plan, &findings.inventory) {
            let resources = &findings.inventory.resources;
            let to_delete = plan.steps.iter();
            let to_delete = to_delete.map(|step| resources[step.resource].identity());
            let input = JudgeInput {
                to_delete: Some(Arc::new(to_delete.collect())),
                ..base.clone()
            };
            let more = self.asks_more(&plan, findings);
            let budget = &mut findings.budget;
            let marking = self
                .settle_questions(&mut findings.inventory, &findings.roots, &input, budget)
                .await;
            if more {
                // What was learned holds for all verdicts.
                findings.marking = self
                    .settle_questions(&mut findings.inventory, &findings.roots, &base, budget)
                    .await;
            }
            let mut undecided = false;
            let mut kept = BTreeMap::new();
            for step in &plan.steps {
                let verdict = &marking.judgements[step.resource].verdict;
                match verdict {
                    Verdict::Garbage(_) => {}
                    Verdict::Unknown(doubt) => {
                        undecided = true;
                        let resource = &findings.inventory.resources[step.resource];
                        if doubt.is_about_all_of_a_kind() {
                            let key = (resource.kind, Arc::clone(&resource.place));
                            doubts.insert(key, verdict.clone());
                        }
                        doubted.insert(step.resource, verdict.clone());
                    }
                    kept_by => {
                        kept.insert(step.resource, kept_by.to_string());
                    }
                }
            }
            // What one of a kind waits for, the others wait for as well: none of
            // them takes a place in the plan.
            let resources = &findings.inventory.resources;
            let judgements = findings.marking.judgements.iter_mut();
            for (index, (resource, judgement)) in resources.iter().zip(judgements).enumerate() {
                let of_kind = || doubts.get(&(resource.kind, Arc::clone(&resource.place)));
                let doubt = doubted.get(&index).or_else(of_kind);
                if let (Verdict::Garbage(_), Some(doubt)) = (&judgement.verdict, doubt) {
                    judgement.verdict = doubt.clone();
                }
            }
            let drawn = |waiting: &BTreeMap<usize, String>| {
                gc::plan_without(&findings.inventory, &findings.marking, maximum, waiting)
            };
            // With what was just learned users come before what they use, so that
            // what was kept may go together with them.
            let mut again = drawn(&waiting);
            if again == plan && !undecided {
                if kept.is_empty() {
                    break;
                }
                waiting.extend(kept);
                again = drawn(&waiting);
            }
            plan = again;
        }
        plan
    }

    /// Whether something in the plan depends on what is listed one holder at a
    /// time and was not asked for yet.
    fn asks_more(&self, plan: &Plan, findings: &Findings<'p>) -> bool {
        let graph = self.input.graph;
        let inventory = &findings.inventory;
        plan.steps.iter().any(|step| {
            let resource = &inventory.resources[step.resource];
            let others = graph.owned(resource.kind);
            let mut others = others.chain(graph.user_kinds(resource.kind));
            others.any(|other| {
                let listed = || {
                    let mut listings = inventory.listings.iter();
                    listings.any(|one| one.kind == other && one.place == resource.place)
                };
                let key = (other.name(), Place::clone(&resource.place));
                other.0.holder.is_some()
                    && other.0.place == PlaceSort::Account
                    && !inventory.uses.sources.contains_key(&key)
                    && !listed()
            })
        })
    }
}

/// Whether garbage that a plan leaves for later may use something in it.
fn has_waiting_users(plan: &Plan, inventory: &Inventory) -> bool {
    plan.deferred.iter().chain(plan.held.keys()).any(|index| {
        let kind = inventory.resources[*index].kind;
        kind.references == ReferencesFrom::Each
    })
}
