//! Mark: every resource gets a verdict from the evidence.
//!
//! Two passes. The first judges each resource by itself: protection, readings of
//! its name, roots, times. The second keeps what is used by resources that stay,
//! until nothing changes any more. It only withdraws verdicts of garbage, so the
//! order does not matter.

mod birth;
mod branches;
mod claims;
mod dependents;
mod gone;
mod judge;
mod propagation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

pub use claims::{claims, closed_search, early_questions};
pub use gone::gone_makers;
pub use judge::calibration::Calibration;

use self::dependents::LiveNames;
use self::judge::{Judge, Managed};
use self::propagation::{Propagation, inherit, inherit_from_gone, require_complete_listings};
use super::kind_graph::KindGraph;
use super::reference_index::ReferenceIndex;
use super::verdict::{Unmatched, Verdict};
use crate::evidence::{Inventory, Question, Roots};
use crate::model::{Claim, KindRef, Place, PullRequestNumber, Repository, Resource, ResourceId};
use crate::policy::{Policy, Rule};

/// How much earlier than its pull request something may have been made: a
/// workflow may begin before the pull request is there, and clocks differ.
const TOLERANCE: TimeDelta = TimeDelta::minutes(10);

/// How long after the end of its pull request something may have been made: by
/// a run that was still going on, or one that was run again.
const AFTERMATH: TimeDelta = TimeDelta::days(7);

/// Below this many resources one thread is faster than two.
const WORTH_A_THREAD: usize = 20_000;

/// A policy file and the places where it holds.
#[derive(Debug, Clone)]
pub struct PolicyScope<'p> {
    /// The policy file.
    pub policy: &'p Policy,
    /// The place of the resource.
    pub places: BTreeSet<Place>,
}

/// Everything that verdicts depend on besides the resources and the roots.
#[derive(Debug, Clone)]
pub struct JudgeInput<'p> {
    /// The policy files, each with its places.
    pub policy_scopes: &'p [PolicyScope<'p>],
    /// All kinds that exist, and how they depend on each other.
    pub graph: &'p KindGraph,
    /// The grace of rules that state none.
    pub grace: TimeDelta,
    /// The same for what claims the pull request of `--pr`.
    pub grace_on_close: TimeDelta,
    /// With `--pr`: only what claims this pull request is judged.
    pub only_pull_request: Option<PullRequestNumber>,
    /// With `--kind`: only these kinds are in focus, whatever else was listed.
    pub only_kinds: Option<&'p [KindRef]>,
    /// Resources that `restore` brought back and that are not released yet, with the time.
    pub brought_back: Arc<BroughtBack>,
    /// What this run deletes, once that is settled: everything else stays,
    /// garbage or not. Without it all garbage that may be deleted goes.
    pub to_delete: Option<Arc<BTreeSet<ResourceId>>>,
    /// Pull request numbers for which an earlier pass of this run saw a resource
    /// created outside the lifetime of the pull request. A later pass may list
    /// fewer resources and miss it.
    pub contradicted: Arc<BTreeSet<ClaimedNumber>>,
    /// What an earlier pass of this run saw of how names are made, likewise.
    pub calibrated: Arc<Calibration>,
    /// The start of the run.
    pub now: DateTime<Utc>,
}

impl JudgeInput<'_> {
    /// Returns whether this run may delete a resource, as far as that is
    /// settled. A renamed resource is not what was planned, so it stays.
    fn may_be_deleted(&self, resource: &Resource) -> bool {
        self.to_delete.as_ref().is_none_or(|to_delete| {
            let known = to_delete.get(&resource.identity());
            known.is_some_and(|known| known.name == resource.name)
        })
    }
}

/// A pull request's number that names of a repository claim.
pub type ClaimedNumber = (Repository, PullRequestNumber);

/// Resources that `restore` brought back, each with the time.
#[derive(Debug, Default)]
pub struct BroughtBack {
    /// By kind, place and present id.
    pub by_id: BTreeMap<(String, Place, Box<str>), DateTime<Utc>>,
    /// The same by name, where it is unknown whether it was brought back.
    pub by_name: BTreeMap<(String, Place, Box<str>), DateTime<Utc>>,
}

/// Which rule read a name, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedBy {
    /// Index of the policy file.
    pub policy_scope: usize,
    /// Index of the rule in its file.
    pub rule: usize,
    /// What the name says it belongs to.
    pub claim: Claim,
    /// The pull request by which the claim was judged.
    pub pull_request: Option<PullRequestNumber>,
}

/// A verdict and the name match that it relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The match that decided; `None` if no rule matches the name.
    pub matched_by: Option<MatchedBy>,
    /// The other matches of the same name, with the verdict by each.
    pub others: Vec<(MatchedBy, Verdict)>,
    /// The resource, by its index in the inventory, without which it is not deleted: it
    /// belongs to that, and no rule of its own matches it. None if it is of no use
    /// alone.
    pub deleted_with: Option<usize>,
    /// Whether it is in focus: with `--pr` what belongs to that pull request, with
    /// `--kind` those kinds, else everything. Nothing else is ever planned.
    pub in_focus: bool,
}

impl Default for Judgement {
    /// Keeps the resource, because nothing is known about it.
    fn default() -> Self {
        Self {
            verdict: Verdict::Unmatched(Unmatched::NoRule),
            matched_by: None,
            others: Vec::new(),
            deleted_with: None,
            in_focus: true,
        }
    }
}

/// The outcome of a mark.
#[derive(Debug)]
pub struct Marking<'p> {
    /// One judgement per resource of the inventory, in its order.
    pub judgements: Vec<Judgement>,
    /// What would have to be known before pending verdicts can be garbage.
    pub questions: Vec<Question>,
    /// Satellites that were judged with what made them, and that, by their index.
    pub satellites: Vec<(usize, usize)>,
    /// The input by which it was marked, with the numbers that it contradicts.
    pub input: JudgeInput<'p>,
}

impl<'p> Marking<'p> {
    /// Returns the rule of a match.
    pub fn rule(&self, matched_by: &MatchedBy) -> Option<(&'p Policy, &'p Rule)> {
        let policy = self
            .input
            .policy_scopes
            .get(matched_by.policy_scope)?
            .policy;
        Some((policy, policy.rules.get(matched_by.rule)?))
    }
}

/// Marks every resource.
pub fn mark<'p>(inventory: &Inventory, roots: &Roots, mut input: JudgeInput<'p>) -> Marking<'p> {
    let managed = Managed::of(inventory, &input);
    let judge = Judge::new(&input, inventory, roots, &managed);
    let calibrated = judge.calibration();
    let resources = &inventory.resources;
    let threads = if resources.len() < WORTH_A_THREAD {
        1
    } else {
        std::thread::available_parallelism().map_or(1, usize::from)
    };
    let chunk = resources.len().div_ceil(threads).max(1);
    // Filled in place, so that a million judgements are never there twice.
    let mut judgements = vec![Judgement::default(); resources.len()];
    if threads == 1 {
        judge.all(resources, &mut judgements);
    } else {
        std::thread::scope(|scope| {
            let parts = resources.chunks(chunk).zip(judgements.chunks_mut(chunk));
            for (part, judgements) in parts {
                scope.spawn(|| judge.all(part, judgements));
            }
        });
    }
    let (left, makers): (Vec<usize>, Vec<_>) =
        gone_makers(inventory, input.graph).into_iter().unzip();
    let mut of_makers = vec![Judgement::default(); makers.len()];
    judge.all(&makers, &mut of_makers);
    let gone = (&*makers, &mut *of_makers);
    let contradicted = birth::check(inventory, roots, &input, &mut judgements, gone);
    let links = ReferenceIndex::of(inventory);
    let living = LiveNames::of(roots);
    let inherited = inherit(inventory, &links, &judge, &living, &mut judgements);
    for (satellite, of_maker) in left.into_iter().zip(of_makers) {
        inherit_from_gone(inventory, &judge, satellite, of_maker, &mut judgements);
    }
    let is_satellite = |index: usize| !resources[index].kind.satellite_of.is_empty();
    let satellites = inherited.iter().copied();
    let satellites = satellites.filter(|(owned, _)| is_satellite(*owned));
    let satellites = satellites.collect();
    require_complete_listings(inventory, roots, &input, &mut judgements);
    let propagation = Propagation::new(
        inventory,
        links,
        inherited,
        &judge,
        &living,
        &mut judgements,
    );
    let questions = propagation.run();
    input.calibrated = calibrated;
    input.contradicted = Arc::new(contradicted);
    Marking {
        judgements,
        questions,
        satellites,
        input,
    }
}
