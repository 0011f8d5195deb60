//! Makes a [`Report`] of a run's inventory, roots, verdicts and plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Focus, NextSweep, OtherMatch, PullRequestLine, PullRequestState, Relation, Report, Row,
    RowReference, RuleAt, Summary, dangling, escape, headroom, partly_protected, unknown_bindings,
};
use crate::evidence::{Evidence, Inventory, Listing, PullRequest, Roots};
use crate::format::moment;
use crate::gc::mark::{JudgeInput, MatchedBy};
use crate::gc::verdict::{Doubt, VerdictName, Wait};
use crate::gc::{self, Brake, Marking, Plan, Verdict, box_key, version};
use crate::model::{Claim, KindRef, Link, Place, PullRequestNumber, Repository, Resource};
use crate::policy::{Coverage, Location, Policy, Protect, Rule};
use crate::providers::{self, Addresses};
use crate::wire::{ClockSkew, QuotaUse};

/// The input of a report.
#[derive(Debug)]
pub struct ReportInput<'a> {
    /// The resources.
    pub inventory: &'a Inventory,
    /// The roots.
    pub roots: &'a Roots,
    /// The verdicts.
    pub marking: &'a Marking<'a>,
    /// The plan of a sweep.
    pub plan: &'a Plan,
    /// The brakes that would stop it.
    pub brakes: Vec<Brake>,
    /// Further evidence: places that could not be read, missing credentials.
    pub evidence: Vec<Evidence>,
    /// Requests sent and left, by provider.
    pub quota: Vec<QuotaUse>,
    /// How the clocks differ, if they do.
    pub clock_skew: Option<ClockSkew>,
    /// The address of GitHub's pages; `None` if its API is a simulated one.
    pub web: Option<String>,
    /// Where requests were sent: the commands by hand go there too.
    pub addresses: Addresses,
}

impl Report {
    /// Creates the report of a run.
    pub fn of(mut run: ReportInput<'_>) -> Self {
        let evidence = run.all_evidence();
        let complete = evidence
            .iter()
            .all(|evidence| evidence.complete || !evidence.needed);
        let resources = run.rows();
        let focused = run.focused();
        let summary = Summary {
            resources: resources.len(),
            verdicts: verdicts(&resources),
            would_delete: run.plan.steps.len(),
            deferred: run.plan.deferred.len(),
            blocked: run.plan.waits.len() + run.plan.held.len(),
            needs_at_once: run.plan.oversized.values().copied().max().unwrap_or(0),
            report_only: run.plan.report_only.len(),
        };
        let listings = run.inventory.listings.iter();
        let repositories = run.roots.repositories.values();
        Self {
            now: run.marking.input.now,
            complete,
            evidence,
            // After an incomplete listing, a rule may match a name that was not
            // listed.
            unused_rules: if complete && focus(&run.marking.input).is_none() {
                unused_rules(run.inventory, run.marking)
            } else {
                Vec::new()
            },
            unused_protects: if complete && focus(&run.marking.input).is_none() {
                unused_protects(run.inventory, run.marking)
            } else {
                Vec::new()
            },
            idle_protects: if complete && focus(&run.marking.input).is_none() {
                idle_protects(run.inventory, run.marking)
            } else {
                Vec::new()
            },
            unused_names: if complete && focus(&run.marking.input).is_none() {
                unused_names(run.inventory, run.marking)
            } else {
                Vec::new()
            },
            unknown_bindings: unknown_bindings::of(run.inventory),
            dangling: dangling::of(run.inventory, run.marking.input.graph),
            partly_protected: partly_protected::of(&resources),
            approved_only: false,
            ignored_issues: repositories
                .flat_map(|roots| roots.ignored.iter().cloned())
                .collect(),
            resources,
            concealed: 0,
            brakes: run.brakes,
            quota: by_provider(run.quota),
            clock_skew: run.clock_skew,
            headroom: headroom::of(run.inventory, run.marking),
            summary,
            focus: focus(&run.marking.input),
            focused,
            listed: listings
                .filter(|listing| listing.complete())
                .map(|listing| box_key::origin(listing.kind.name(), listing.place.id()))
                .collect(),
            next_run: None,
            swept: None,
            web: run.web,
        }
    }
}

impl ReportInput<'_> {
    /// Returns everything that was asked for. Missing data that leaves a verdict
    /// open makes the run incomplete, whichever rules it concerns.
    fn all_evidence(&mut self) -> Vec<Evidence> {
        let mut evidence = std::mem::take(&mut self.evidence);
        let open = undecided(self.inventory, self.marking);
        evidence.extend(self.inventory.listings.iter().map(|listing| {
            let mut evidence = listing.evidence.clone();
            evidence.needed |= open.iter().any(|open| open.is_about(listing));
            evidence
        }));
        let roots = self.roots.repositories.values();
        evidence.extend(roots.flat_map(|roots| roots.evidence.clone()));
        evidence.extend(self.inventory.activity.iter().cloned());
        evidence.extend(self.inventory.uses.evidence.iter().cloned());
        evidence
    }

    /// Returns the rows of the resources in focus, sorted by kind and name.
    /// Resources that were listed only because they may use others have none.
    fn rows(&self) -> Vec<Row> {
        let listings = self.inventory.listings.iter();
        let witnesses: BTreeSet<(KindRef, &Place)> = listings
            .filter(|listing| listing.user_only)
            .map(|listing| (listing.kind, &*listing.place))
            .collect();
        let by_hand = Commands::of(self.inventory, self.marking, &self.addresses);
        let next = next(self.plan);
        let resources = self.inventory.resources.iter().enumerate();
        let mut rows: Vec<Row> = resources
            .filter(|(index, resource)| {
                let judgement = self.marking.judgements.get(*index);
                judgement.is_some_and(|judgement| judgement.in_focus)
                    && !witnesses.contains(&(resource.kind, &*resource.place))
            })
            .map(|(index, resource)| self.row(index, resource, &by_hand, next.get(&index).copied()))
            .collect();
        rows.sort_by(|a, b| (a.kind, &a.name, &a.id).cmp(&(b.kind, &b.name, &b.id)));
        rows
    }

    /// Returns why a sweep would not delete garbage, if it is not the cap.
    fn blocked(&self, index: usize) -> Option<String> {
        let holder = self.plan.held.get(&index);
        let holder = holder.map(|holder| self.inventory.resources[*holder].identity());
        let held = holder.map(|holder| format!("{holder} stays and names it"));
        held.or_else(|| self.plan.waits.get(&index).cloned())
    }

    fn row(
        &self,
        index: usize,
        resource: &Resource,
        by_hand: &Commands<'_>,
        next: Option<NextSweep>,
    ) -> Row {
        let judgement = &self.marking.judgements[index];
        let verdict = &judgement.verdict;
        let matched_by = judgement.matched_by.as_ref();
        let rule = matched_by.and_then(|matched_by| self.marking.rule(matched_by));
        let unbinds = unbinds(self.inventory, self.plan, index);
        let blocked = self.blocked(index);
        let identity = resource.identity();
        let command = by_hand.command(index, resource);
        Row {
            kind: resource.kind,
            name: resource.name.to_string(),
            id: resource.id.to_string(),
            place: Arc::clone(&resource.place),
            reason: reason(verdict, resource, &unbinds, blocked.as_deref()),
            verdict: verdict.clone(),
            rule: rule.map(|(policy, rule)| (rule_at(rule), policy.repository.clone())),
            matched_by_owner: rule.and_then(|(_, rule)| matched_by_owner(rule, resource)),
            claim: matched_by.map(|matched_by| matched_by.claim.clone()),
            pull_request: matched_by.and_then(|matched_by| self.pull_request(matched_by)),
            created_at: resource.created_at.known(),
            changed_at: resource.changed_at.known(),
            attributes: resource.attributes.clone(),
            references: self.references(index, resource),
            unbinds,
            blocked,
            also_matched_as: judgement
                .others
                .iter()
                .filter_map(|(matched_by, verdict)| self.other(matched_by, verdict))
                .collect(),
            key: box_key::of(&identity),
            version: version(resource),
            command,
            order: by_hand.order(index, resource.kind),
            dashboard: providers::dashboard(&identity),
            own_expiry: resource
                .expires_at
                .filter(|at| outlasts_expiry(verdict, *at)),
            next,
            nearest: None,
        }
    }

    fn references(&self, index: usize, resource: &Resource) -> Vec<RowReference> {
        let parent = resource.parent.iter().map(|parent| RowReference {
            relation: Relation::Parent,
            kind: resource.kind.0.name,
            target: parent.to_string(),
        });
        let mut references: Vec<RowReference> = parent.collect();
        if let Some(Ok(uses)) = self.inventory.uses.of.get(&index) {
            references.extend(uses.uses.iter().map(|reference| RowReference {
                relation: Relation::Uses,
                kind: reference.kind,
                target: reference.key.text().to_owned(),
            }));
        }
        references
    }

    fn other(&self, matched_by: &MatchedBy, verdict: &Verdict) -> Option<OtherMatch> {
        let (_, rule) = self.marking.rule(matched_by)?;
        Some(OtherMatch {
            rule: rule.id.to_string(),
            claim: matched_by.claim.clone(),
            verdict: verdict.clone(),
        })
    }

    /// Returns the pull request of `--pr` in every repository of the run.
    fn focused(&self) -> Vec<PullRequestLine> {
        let Some(number) = self.marking.input.only_pull_request else {
            return Vec::new();
        };
        let repositories = self.roots.repositories.keys();
        repositories.map(|one| self.line(one, number)).collect()
    }

    fn pull_request(&self, matched_by: &MatchedBy) -> Option<PullRequestLine> {
        let number = match matched_by.claim {
            Claim::PullRequest(number) => number,
            _ => matched_by.pull_request?,
        };
        let (Policy { repository, .. }, _) = self.marking.rule(matched_by)?;
        Some(self.line(repository, number))
    }

    /// Returns what is known of a pull request.
    fn line(&self, repository: &Repository, number: PullRequestNumber) -> PullRequestLine {
        let roots = self.roots.repositories.get(repository);
        let known = roots.and_then(|roots| roots.pull_requests.get(&number));
        let title = known.and_then(PullRequest::title);
        PullRequestLine {
            repository: repository.clone(),
            number,
            title: title.unwrap_or_default().to_owned(),
            state: match known {
                Some(PullRequest::Open { .. }) => PullRequestState::Open,
                Some(PullRequest::Closed {
                    closed_at,
                    merged: true,
                    ..
                }) => PullRequestState::Merged(*closed_at),
                Some(PullRequest::Closed { closed_at, .. }) => PullRequestState::Closed(*closed_at),
                Some(PullRequest::Missing) => PullRequestState::Missing,
                Some(PullRequest::Unknown { .. }) | None => PullRequestState::Unknown,
            },
        }
    }
}

/// A kind and a place with resources whose verdict is `unknown`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnknownGroup<'a> {
    kind: KindRef,
    place: &'a Place,
    /// The kind whose listing would decide, if it is another kind.
    missing_listing: Option<&'static str>,
}

impl UnknownGroup<'_> {
    /// Returns whether a complete listing would decide the verdict.
    fn is_about(&self, listing: &Listing) -> bool {
        let own = (self.kind, self.place) == (listing.kind, &*listing.place);
        let wanted = self.missing_listing == Some(listing.kind.name());
        own || (wanted && listing.place.is_near(self.place))
    }
}

fn undecided<'a>(inventory: &'a Inventory, marking: &Marking<'_>) -> BTreeSet<UnknownGroup<'a>> {
    let resources = inventory.resources.iter().zip(&marking.judgements);
    let open = resources.filter_map(|(resource, judgement)| {
        let Verdict::Unknown(doubt) = &judgement.verdict else {
            return None;
        };
        Some(UnknownGroup {
            kind: resource.kind,
            place: &resource.place,
            missing_listing: match doubt {
                Doubt::Listing { kind } => Some(kind.id),
                _ => None,
            },
        })
        .filter(|_| judgement.in_focus)
    });
    open.collect()
}

pub(super) fn verdicts(rows: &[Row]) -> BTreeMap<VerdictName, usize> {
    let mut verdicts: BTreeMap<_, _> = VerdictName::ALL.map(|name| (name, 0)).into();
    for row in rows {
        *verdicts.entry(row.verdict.name()).or_default() += 1;
    }
    verdicts
}

fn focus(input: &JudgeInput<'_>) -> Option<Focus> {
    match (input.only_pull_request, input.only_kinds) {
        (Some(number), Some(kinds)) => Some(Focus::Both(number, kinds.to_vec())),
        (Some(number), None) => Some(Focus::PullRequest(number)),
        (None, Some(kinds)) => Some(Focus::Kinds(kinds.to_vec())),
        (None, None) => None,
    }
}

pub(super) fn by_provider(mut quota: Vec<QuotaUse>) -> Vec<QuotaUse> {
    quota.sort_by_key(|quota| quota.api.key());
    quota
}

/// Returns what a resource belongs to if its rule is about that kind only.
fn matched_by_owner(rule: &Rule, resource: &Resource) -> Option<String> {
    let owner = resource.owner()?;
    if rule.kinds.is_empty() || rule.kinds.contains(&resource.kind) {
        return None;
    }
    let kind = providers::by_name(owner.kind)?.about();
    Some(format!("{} {}", kind.noun, owner.key.text()))
}

fn rule_at(rule: &Rule) -> RuleAt {
    RuleAt {
        id: rule.id.to_string(),
        location: rule.location.clone(),
    }
}

/// Returns the reason of a verdict, with what the resource's own expiry and the
/// plan add to it.
fn reason(
    verdict: &Verdict,
    resource: &Resource,
    unbinds: &[String],
    blocked: Option<&str>,
) -> String {
    let mut reason = verdict.reason(resource);
    let expires_at = resource.expires_at;
    if let Some(at) = expires_at.filter(|at| outlasts_expiry(verdict, *at)) {
        reason += "; but its own expiry deletes it at ";
        reason += &moment(at);
    }
    if !unbinds.is_empty() {
        reason += "; they bind each other, so that the binding is removed first in ";
        reason += &unbinds.join(", ");
    }
    if let Some(why) = blocked {
        reason += "; no sweep deletes it for now: ";
        reason += why;
    }
    reason
}

/// Returns whether a verdict keeps a resource beyond its own expiry.
fn outlasts_expiry(verdict: &Verdict, expires_at: DateTime<Utc>) -> bool {
    match verdict {
        Verdict::Live(_) | Verdict::InUse(_) => true,
        Verdict::Grace(Wait::Grace { grace_ends_at, .. }) => {
            grace_ends_at.is_none_or(|grace_ends_at| expires_at < grace_ends_at)
        }
        Verdict::Grace(Wait::Expires { .. })
        | Verdict::Protected(_)
        | Verdict::Unmatched(_)
        | Verdict::Garbage(_)
        | Verdict::Unknown(_) => false,
    }
}

/// Returns what the next sweep does with each garbage resource.
fn next(plan: &Plan) -> BTreeMap<usize, NextSweep> {
    let now = plan
        .steps
        .iter()
        .map(|step| (step.resource, NextSweep::Now));
    let later = plan.deferred.iter().map(|&index| {
        let waits = plan.waits.contains_key(&index);
        let next = if waits {
            NextSweep::Blocked
        } else {
            NextSweep::Later
        };
        (index, next)
    });
    let held = plan.held.keys().map(|&index| (index, NextSweep::Blocked));
    let never = plan.report_only.iter();
    let never = never.map(|&index| (index, NextSweep::ReportOnly));
    now.chain(later).chain(held).chain(never).collect()
}

/// Returns the names of the Workers whose bindings to a resource are removed
/// before it is deleted.
fn unbinds(inventory: &Inventory, plan: &Plan, index: usize) -> Vec<String> {
    let steps = &plan.steps;
    let step = steps.iter().find(|step| step.resource == index);
    let users = step.into_iter().flat_map(|step| &step.unbinds);
    let users = users.filter_map(|&user| inventory.resources.get(steps.get(user)?.resource));
    users.map(|user| user.name.to_string()).collect()
}

/// How resources are deleted by hand: in which order, and with what before.
struct Commands<'a> {
    /// For each resource that is garbage, its place in the order of deletion, and
    /// whether others bind it until it is gone.
    places: HashMap<usize, (usize, bool)>,
    /// The place of a kind in the order of deletion.
    kinds: HashMap<KindRef, usize>,
    /// What may stand in the way of a deletion.
    holders: Vec<&'a Resource>,
    addresses: &'a Addresses,
}

impl<'a> Commands<'a> {
    fn of(inventory: &'a Inventory, marking: &Marking<'_>, addresses: &'a Addresses) -> Self {
        let order = gc::by_hand(inventory, marking).into_iter().enumerate();
        let kinds = providers::vocabulary().into_iter().enumerate();
        let resources = inventory.resources.iter();
        Self {
            places: order
                .map(|(at, (index, bound))| (index, (at, bound)))
                .collect(),
            kinds: kinds.map(|(place, kind)| (kind, place)).collect(),
            holders: resources.filter(|one| one.kind.blocks.is_some()).collect(),
            addresses,
        }
    }

    /// Returns the place in the order of deletion; by kind for what stays.
    fn order(&self, index: usize, kind: KindRef) -> (usize, usize) {
        let last = usize::MAX;
        let place = self.places.get(&index).map_or(last, |(place, _)| *place);
        (place, self.kinds.get(&kind).copied().unwrap_or(last))
    }

    /// Returns a shell command that deletes a resource, with the name escaped. What
    /// stands in its way, such as its place as a queue's consumer, is removed before.
    fn command(&self, index: usize, resource: &Resource) -> String {
        let id = &resource.identity();
        let bound = self.places.get(&index).is_some_and(|(_, bound)| *bound);
        let serves = |link: &Link| {
            let Link::ServedBy(reference) = link else {
                return false;
            };
            let key = reference.key.text();
            reference.kind == id.kind.name() && (*key == *id.id || *key == *id.name)
        };
        let holders = self.holders.iter().filter(|holder| {
            holder.kind.blocks == Some(id.kind.name())
                && holder.place == id.place
                && holder.links.iter().any(serves)
        });
        let before = holders.flat_map(|holder| self.addresses.release_by_hand(holder, id));
        let commands = before.chain(self.addresses.by_hand(resource, bound));
        let quoted = commands.map(|words| {
            let words: Vec<_> = words.iter().map(|word| escape::shell(word)).collect();
            words.join(" ")
        });
        quoted.collect::<Vec<_>>().join(" && ")
    }
}

/// Returns whether a kind was listed somewhere.
fn was_listed(inventory: &Inventory, kind: KindRef) -> bool {
    let mut listings = inventory.listings.iter();
    listings.any(|listing| listing.kind == kind)
}

/// Returns where the `protect` entries stand that cover nothing, although all of
/// their kinds were listed: a name in them may be misspelled. An entry about a pull
/// request names nothing.
fn unused_protects(inventory: &Inventory, marking: &Marking<'_>) -> Vec<Location> {
    without_cover(inventory, marking, |entry| {
        let kinds = entry.kinds.as_ref();
        kinds.is_some_and(|kinds| kinds.iter().all(|kind| was_listed(inventory, *kind)))
    })
}

/// Returns where the other `protect` entries with names stand that cover nothing of what
/// was listed: they may be about something else.
fn idle_protects(inventory: &Inventory, marking: &Marking<'_>) -> Vec<Location> {
    without_cover(inventory, marking, |entry| {
        let listed = |kind: &KindRef| was_listed(inventory, *kind);
        let kinds = entry.kinds.as_ref();
        kinds.map_or(entry.pull_request.is_none(), |kinds| {
            kinds.iter().any(listed) && !kinds.iter().all(listed)
        })
    })
}

/// Returns where those of these `protect` entries stand that cover nothing.
fn without_cover(
    inventory: &Inventory,
    marking: &Marking<'_>,
    is_meant: impl Fn(&Protect) -> bool,
) -> Vec<Location> {
    let files = marking.input.policy_scopes.iter();
    let entries = files.flat_map(|file| &file.policy.protects);
    let unused = entries.filter(|entry| {
        let mut resources = inventory.resources.iter();
        is_meant(entry) && resources.all(|resource| entry.covers(resource) == Coverage::No)
    });
    unused.map(|entry| entry.location.clone()).collect()
}

/// Returns the names in files of `protect` entries that nothing has, although the
/// entries cover something else.
fn unused_names(inventory: &Inventory, marking: &Marking<'_>) -> Vec<String> {
    let files = marking.input.policy_scopes.iter();
    let entries = files.flat_map(|file| &file.policy.protects);
    let listed = entries.filter(|entry| {
        let kinds = entry.kinds.as_ref();
        kinds.is_some_and(|kinds| kinds.iter().all(|kind| was_listed(inventory, *kind)))
    });
    let unused = listed.map(|entry| entry.unused_lines(&inventory.resources));
    unused.flatten().collect()
}

/// Returns the rules that match no name, although all of their kinds were
/// listed.
fn unused_rules(inventory: &Inventory, marking: &Marking<'_>) -> Vec<RuleAt> {
    let listed = |kind: &KindRef| was_listed(inventory, *kind);
    let mut used = BTreeSet::new();
    for judgement in &marking.judgements {
        let matches = judgement.matched_by.iter();
        for matched_by in matches.chain(judgement.others.iter().map(|(matched_by, _)| matched_by)) {
            used.insert((matched_by.policy_scope, matched_by.rule));
        }
    }
    let mut unused = Vec::new();
    for (file, policy_scope) in marking.input.policy_scopes.iter().enumerate() {
        for (index, rule) in policy_scope.policy.rules.iter().enumerate() {
            let all_listed = !rule.kinds.is_empty() && rule.kinds.iter().all(listed);
            if all_listed && !used.contains(&(file, index)) {
                unused.push(rule_at(rule));
            }
        }
    }
    unused
}
