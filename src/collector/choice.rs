//! Which garbage a sweep takes: all of it, or only what people chose.

use std::collections::BTreeSet;

use crate::gc::plan::Step;
use crate::gc::{Plan, box_key, plan, version};
use crate::model::Resource;
use crate::survey::Findings;

/// Which garbage a sweep takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// All of it, up to the maximum of a run.
    #[default]
    All,
    /// What people approved in the tracking issue.
    Approved,
}

/// What a sweep does of what people checked for deletion in the tracking issue,
/// and of nothing else.
pub(super) fn approved(findings: &Findings<'_>) -> Plan {
    let roots = &findings.roots;
    let is_approved = |resource: &Resource, key: &str| {
        roots.was_checked_for_deletion(key)
            && roots.is_checked_for_deletion(key, &version(resource), resource)
    };
    let mut plan = only(findings, is_approved);
    if roots.gap().is_some() {
        return plan;
    }
    let all = findings.inventory.resources.iter();
    let all = all.zip(&findings.marking.judgements).enumerate();
    for (index, (resource, judgement)) in all {
        let key = box_key::of(&resource.identity());
        let is_garbage = judgement.in_focus && judgement.verdict.is_deletable();
        let was_checked = is_garbage && roots.was_checked_for_deletion(&key);
        if was_checked && !is_approved(resource, &key) {
            let why = "it is not what it was when its \"delete\" box was written; look at it, \
                       and check the box again after the next report";
            plan.deferred.push(index);
            plan.waits.insert(index, why.to_owned());
        }
    }
    plan
}

/// What a sweep does of the resources that are wanted, each given with its key,
/// whatever the maximum, and of nothing else.
pub(super) fn only(findings: &Findings<'_>, wanted: impl Fn(&Resource, &str) -> bool) -> Plan {
    if findings.roots.gap().is_some() {
        return Plan::default();
    }
    let resources = &findings.inventory.resources;
    let mut plan = plan(&findings.inventory, &findings.marking, usize::MAX);
    let wanted = |index: usize| {
        let resource = &resources[index];
        wanted(resource, &box_key::of(&resource.identity()))
    };
    let steps = plan.steps.clone();
    // What it leaves behind could not be found any more once it is gone.
    let satellites = &findings.marking.satellites;
    let leaves_behind = |maker: usize| {
        satellites.iter().find_map(|(satellite, of)| {
            let is_lost = resources[*satellite].kind.maker_shown_by.is_some();
            (*of == maker && is_lost && !wanted(*satellite)).then_some(*satellite)
        })
    };
    plan.defer(|step| !wanted(step.resource) || leaves_behind(step.resource).is_some());
    plan.deferred.retain(|index| wanted(*index));
    plan.held.retain(|index, _| wanted(*index));
    plan.waits.retain(|index, _| wanted(*index));
    for index in plan.deferred.clone() {
        let why = || match leaves_behind(index) {
            Some(satellite) => {
                let satellite = resources[satellite].identity();
                format!("{satellite}, which it would leave behind, was not chosen")
            }
            None => waits_for(&steps, resources, index, &wanted),
        };
        plan.waits.entry(index).or_insert_with(why);
    }
    plan
}

/// Returns why a wanted resource waits: for another one that is not wanted.
fn waits_for(
    steps: &[Step],
    resources: &[Resource],
    index: usize,
    wanted: &impl Fn(usize) -> bool,
) -> String {
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = steps
        .iter()
        .position(|step| step.resource == index)
        .into_iter()
        .collect();
    while let Some(at) = open.pop() {
        let step = &steps[at];
        if !wanted(step.resource) {
            let other = resources[step.resource].identity();
            return format!("it waits for {other}, which was not chosen");
        }
        if seen.insert(at) {
            open.extend(step.needs());
        }
    }
    "it waits for something that was not chosen".to_owned()
}
