//! A finished run as plain data, and renderers that are pure functions of it.
//! Nothing here makes a decision.

pub mod csv;
pub mod escape;
pub mod explain;
pub mod headroom;
pub mod issue;
pub mod json;
pub mod markdown;
pub mod metrics;
pub mod outcomes;
pub mod partly_protected;
pub mod plan;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::evidence::{Evidence, Inventory, Listing, PullRequest, Roots};
use crate::gc::box_key;
use crate::gc::mark::{JudgeInput, MatchedBy};
use crate::gc::verdict::{Doubt, NAMES, Wait};
use crate::gc::{Brake, Marking, Plan, Verdict};
use crate::model::{Claim, KindRef, Place, Repository, Resource, ResourceId};
use crate::providers;
use crate::wire::{ClockSkew, QuotaUse};

pub use headroom::HeadroomUse;
pub use outcomes::Swept;
pub use partly_protected::PartlyProtected;

/// The report of one run, from which every output format is rendered.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of this document.
    pub schema: u32,
    /// The start of the run. Every verdict is evaluated at this time.
    pub now: DateTime<Utc>,
    /// How the clocks of the machine and the providers differ, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<ClockSkew>,
    /// Whether all data that the verdicts need could be read.
    pub complete: bool,
    /// The requests for data and how complete their answers were.
    pub evidence: Vec<Evidence>,
    /// Every resource with its verdict.
    pub resources: Vec<Row>,
    /// Brakes that would stop a sweep.
    pub brakes: Vec<Brake>,
    /// Requests sent and left, by provider.
    pub quota: BTreeMap<&'static str, QuotaUse>,
    /// Resource counts against the providers' limits.
    pub headroom: Vec<HeadroomUse>,
    /// Counts.
    pub summary: Summary,
    /// Rules that match no name.
    pub unused_rules: Vec<String>,
    /// Pull requests with protected resources beside garbage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partly_protected: Vec<PartlyProtected>,
    /// Issues that carry the marker of the tracking issue but were written by
    /// another account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored_issues: Vec<String>,
    /// The selection (`--pr`, `--kind`) of the run, if it covers a part only.
    #[serde(skip)]
    pub focus: Option<String>,
    /// Origins that were listed completely, as [`box_key::origin`] names them.
    #[serde(skip)]
    pub listed: BTreeSet<String>,
    /// Start of the next scheduled run, if known.
    #[serde(skip)]
    pub next_run: Option<DateTime<Utc>>,
    /// The result of the sweep; `None` for an audit.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub swept: Option<Swept>,
}

/// Counts of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Resources with a verdict.
    pub resources: usize,
    /// Number of resources by verdict.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// Number of resources that a sweep would delete now.
    pub would_delete: usize,
    /// Garbage that `--max-deletions` defers to a later run.
    pub deferred: usize,
    /// Garbage whose rule has `action = "report"`.
    pub report_only: usize,
}

/// One resource of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its kind.
    pub kind: KindRef,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The account, zone, project or repository.
    pub scope: BTreeMap<&'static str, String>,
    /// The verdict.
    pub verdict: &'static str,
    /// The reason, in words for people.
    pub reason: String,
    /// The id of the rule that matched.
    pub rule: Option<String>,
    /// The file and line of that rule.
    pub rule_location: Option<String>,
    /// The claim: the owner according to the name.
    pub claim: Option<Value>,
    /// The repository of the claim.
    pub repository: Option<Repository>,
    /// When its owner ended.
    pub dead_since: Option<DateTime<Utc>>,
    /// When its grace period ends or ended.
    pub ripe_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    pub changed_at: Option<DateTime<Utc>>,
    /// Attributes that only its kind has.
    pub attributes: Map<String, Value>,
    /// Resources that it uses or belongs to, as far as they were read.
    pub references: Vec<RowReference>,
    /// Names of Workers whose bindings to it are removed before it is deleted,
    /// because they bind each other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unbinds: Vec<String>,
    /// The claim, for people.
    #[serde(skip)]
    pub belongs_to: Option<String>,
    /// The pull request, for people.
    #[serde(skip)]
    pub pull_request: Option<PullRequestLine>,
    /// Further matches of the same name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_matched_as: Vec<OtherMatch>,
    /// What would have to change for another verdict.
    #[serde(skip)]
    pub otherwise: &'static str,
    /// Whether a sweep may delete it.
    #[serde(skip)]
    pub deletable: bool,
    /// The kind's noun for people.
    #[serde(skip)]
    pub noun: &'static str,
    /// Its key in the tracking issue.
    #[serde(skip)]
    pub key: String,
    /// The listing that showed it, as [`box_key::origin`] names it.
    #[serde(skip)]
    pub origin: String,
    /// A command that deletes it by hand.
    #[serde(skip)]
    pub command: String,
}

/// One reference of a resource.
#[derive(Debug, Clone, Serialize)]
pub struct RowReference {
    /// `uses` or `parent`.
    pub relation: &'static str,
    /// The kind of the other resource.
    pub kind: String,
    /// Its name or id.
    pub target: String,
}

/// Another match of a name.
#[derive(Debug, Clone, Serialize)]
pub struct OtherMatch {
    /// The rule.
    pub rule: String,
    /// The claim of this match.
    pub claim: Option<Value>,
    /// The verdict by this match alone.
    pub verdict: &'static str,
    /// The reason, in words for people.
    pub reason: String,
}

/// A pull request as a heading.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PullRequestLine {
    /// Its repository.
    pub repository: Repository,
    /// Its number.
    pub number: u32,
    /// Its title.
    pub title: String,
    /// Its state, with the date.
    pub state: String,
}

/// The input of a report.
#[derive(Debug)]
pub struct Run<'a> {
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
}

impl Report {
    /// Creates the report of a run.
    pub fn of(run: Run<'_>) -> Self {
        let mut evidence = run.evidence;
        // Missing data that leaves a verdict open makes the run incomplete,
        // whichever rules it concerns.
        let open = undecided(run.inventory, run.marking);
        evidence.extend(run.inventory.listings.iter().map(|listing| {
            let mut evidence = listing.evidence.clone();
            evidence.needed |= open.iter().any(|open| open.is_about(listing));
            evidence
        }));
        let roots = run.roots.repositories.values();
        evidence.extend(roots.flat_map(|roots| roots.evidence.clone()));
        evidence.extend(run.inventory.activity.iter().cloned());
        evidence.extend(run.inventory.uses.evidence.iter().cloned());
        let complete = evidence
            .iter()
            .all(|evidence| evidence.complete || !evidence.needed);
        let mut resources = Vec::new();
        let mut protected_by_people = BTreeSet::new();
        let listings = run.inventory.listings.iter();
        let witnesses: BTreeSet<(KindRef, &Place)> = listings
            .filter(|listing| listing.witness)
            .map(|listing| (listing.kind, &*listing.place))
            .collect();
        for (index, resource) in run.inventory.resources.iter().enumerate() {
            if let Some(judgement) = run.marking.judgements.get(index)
                && judgement.in_focus
                && !witnesses.contains(&(resource.kind, &*resource.place))
            {
                let mut row = row(
                    &run_parts(run.inventory, run.roots, run.marking),
                    index,
                    resource,
                );
                row.unbinds = unbinds(run.inventory, run.plan, index);
                if !row.unbinds.is_empty() {
                    let others = row.unbinds.join(", ");
                    row.reason +=
                        "; they bind each other, so that the binding is removed first in ";
                    row.reason += &others;
                }
                if matches!(&judgement.verdict, Verdict::Protected(why) if why.is_by_people()) {
                    protected_by_people.insert(row.key.clone());
                }
                resources.push(row);
            }
        }
        resources.sort_by(|a, b| (a.kind, &a.name, &a.id).cmp(&(b.kind, &b.name, &b.id)));
        let summary = Summary {
            resources: resources.len(),
            verdicts: verdicts(&resources),
            would_delete: run.plan.steps.len(),
            deferred: run.plan.deferred.len(),
            report_only: run.plan.report_only.len(),
        };
        Self {
            schema: 1,
            now: run.marking.law.now,
            clock_skew: run.clock_skew,
            complete,
            evidence,
            // After an incomplete listing, a rule may match a name that was not
            // listed.
            unused_rules: if complete {
                unused_rules(run.inventory, run.marking)
            } else {
                Vec::new()
            },
            partly_protected: partly_protected::of(&resources, &protected_by_people),
            ignored_issues: run
                .roots
                .repositories
                .values()
                .flat_map(|roots| roots.ignored.iter().cloned())
                .collect(),
            resources,
            brakes: run.brakes,
            quota: by_provider(run.quota),
            headroom: headroom::of(run.inventory),
            summary,
            focus: focus(&run.marking.law),
            listed: run
                .inventory
                .listings
                .iter()
                .filter(|listing| listing.complete())
                .map(|listing| box_key::origin(listing.kind.name(), listing.place.id()))
                .collect(),
            next_run: None,
            swept: None,
        }
    }

    /// Adds the result of a sweep and the final use of the quotas.
    pub fn add(&mut self, swept: Swept, quota: Vec<QuotaUse>) {
        self.swept = Some(swept);
        self.quota = by_provider(quota);
    }

    /// Returns a copy with only the resources that have these keys.
    #[must_use]
    pub fn only(&self, keys: &BTreeSet<String>) -> Self {
        let mut part = self.clone();
        part.resources.retain(|row| keys.contains(&row.key));
        part.summary.resources = part.resources.len();
        part.summary.verdicts = verdicts(&part.resources);
        part
    }

    /// Returns what could not be read, for people. What was not even asked for,
    /// because something else failed, is not said again: a zone that cannot be
    /// looked up hides several listings.
    pub fn gaps(&self) -> impl Iterator<Item = &Evidence> {
        let mut known = BTreeSet::new();
        self.evidence
            .iter()
            .filter(|evidence| !evidence.complete && evidence.needed)
            .filter(move |evidence| {
                let gap = evidence.gap.as_deref().unwrap_or_default();
                known.insert(gap) || evidence.requests > 0
            })
    }

    /// Returns whether a sweep deleted a resource or set it to expire.
    pub fn is_done(&self, row: &Row) -> bool {
        let mut steps = self.swept.iter().flat_map(|swept| &swept.steps);
        steps.any(|step| {
            use crate::gc::Outcome::{Expired, ExpiryRemoved};
            let done = step.outcome.is_gone() || matches!(step.outcome, Expired | ExpiryRemoved);
            done && step.key == row.key
        })
    }

    /// Returns whether resources are left that a sweep should or may have to
    /// delete. Garbage whose rule only reports does not count.
    pub fn leaves_something(&self) -> bool {
        let mut rows = self.resources.iter();
        rows.any(|row| {
            let concerns = match row.verdict {
                "garbage" => row.deletable,
                verdict => matches!(verdict, "grace" | "unknown"),
            };
            concerns && !self.is_done(row)
        })
    }

    /// Returns the number of garbage resources left after a sweep.
    pub fn left(&self) -> usize {
        let garbage = self.resources.iter().filter(|row| row.verdict == "garbage");
        garbage.filter(|row| !self.is_done(row)).count()
    }

    /// Returns the number of garbage resources.
    pub fn garbage(&self) -> usize {
        self.summary.verdicts.get("garbage").copied().unwrap_or(0)
    }
}

/// A kind and a place with resources whose verdict is `unknown`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Undecided<'a> {
    kind: KindRef,
    place: &'a Place,
    /// The kind whose listing would decide, if it is another kind.
    for_want_of: Option<&'static str>,
}

impl Undecided<'_> {
    /// Returns whether a complete listing would decide the verdict.
    fn is_about(&self, listing: &Listing) -> bool {
        let own = (self.kind, self.place) == (listing.kind, &*listing.place);
        let wanted = self.for_want_of == Some(listing.kind.name());
        own || (wanted && listing.place.is_near(self.place))
    }
}

fn undecided<'a>(inventory: &'a Inventory, marking: &Marking<'_>) -> BTreeSet<Undecided<'a>> {
    let resources = inventory.resources.iter().zip(&marking.judgements);
    let open = resources.filter_map(|(resource, judgement)| {
        let Verdict::Unknown(doubt) = &judgement.verdict else {
            return None;
        };
        Some(Undecided {
            kind: resource.kind,
            place: &resource.place,
            for_want_of: match doubt {
                Doubt::Listing { kind } => Some(*kind),
                _ => None,
            },
        })
        .filter(|_| judgement.in_focus)
    });
    open.collect()
}

fn verdicts(rows: &[Row]) -> BTreeMap<&'static str, usize> {
    let mut verdicts: BTreeMap<_, _> = NAMES.iter().map(|name| (*name, 0)).collect();
    for row in rows {
        *verdicts.entry(row.verdict).or_default() += 1;
    }
    verdicts
}

/// Returns the selection of a run in words, or `None` if it covers everything.
fn focus(law: &JudgeInput<'_>) -> Option<String> {
    let number = law.only.map(|number| format!("pull request #{number}"));
    let kinds = law.shown.map(|kinds| {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        names.join(", ")
    });
    match (number, kinds) {
        (Some(number), Some(kinds)) => Some(format!("{kinds} of {number}")),
        (number, kinds) => number.or(kinds),
    }
}

fn by_provider(quota: Vec<QuotaUse>) -> BTreeMap<&'static str, QuotaUse> {
    let quota = quota.into_iter();
    quota.map(|quota| (quota.api.key(), quota)).collect()
}

struct Parts<'a> {
    inventory: &'a Inventory,
    roots: &'a Roots,
    marking: &'a Marking<'a>,
}

fn run_parts<'a>(
    inventory: &'a Inventory,
    roots: &'a Roots,
    marking: &'a Marking<'a>,
) -> Parts<'a> {
    Parts {
        inventory,
        roots,
        marking,
    }
}

fn claim_value(claim: &Claim) -> Option<Value> {
    match claim {
        Claim::PullRequest(number) => Some(json!({ "pull_request": number.get() })),
        Claim::Branch(branch) => Some(json!({ "branch": branch })),
        Claim::Slug { text, .. } => Some(json!({ "slug": text })),
        Claim::Run(run) => Some(json!({ "run": run.get() })),
        Claim::Itself => None,
    }
}

/// Returns whether a verdict keeps a resource beyond its own expiry.
fn outlasts_expiry(verdict: &Verdict, expires_at: DateTime<Utc>) -> bool {
    match verdict {
        Verdict::Live(_) | Verdict::InUse(_) => true,
        Verdict::Grace(Wait::Grace { ripe_at, .. }) => {
            ripe_at.is_none_or(|ripe_at| expires_at < ripe_at)
        }
        Verdict::Grace(Wait::Expires { .. })
        | Verdict::Protected(_)
        | Verdict::Unmatched(_)
        | Verdict::Garbage(_)
        | Verdict::Unknown(_) => false,
    }
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

fn row(parts: &Parts<'_>, index: usize, resource: &Resource) -> Row {
    let judgement = &parts.marking.judgements[index];
    let verdict = &judgement.verdict;
    let matched_by = judgement.reading.as_ref();
    let rule = matched_by.and_then(|matched_by| parts.marking.rule(matched_by));
    let (word, value) = resource.place.scope();
    let attributes = resource
        .attributes
        .iter()
        .map(|(key, value)| {
            (
                (*key).to_owned(),
                serde_json::to_value(value).unwrap_or_default(),
            )
        })
        .collect();
    let mut references: Vec<RowReference> = resource
        .parent
        .iter()
        .map(|parent| RowReference {
            relation: "parent",
            kind: resource.kind.name().to_owned(),
            target: parent.to_string(),
        })
        .collect();
    if let Some(Ok(uses)) = parts.inventory.uses.of.get(&index) {
        references.extend(uses.uses.iter().map(|reference| RowReference {
            relation: "uses",
            kind: reference.kind.to_owned(),
            target: reference.key.text().to_owned(),
        }));
    }
    Row {
        kind: resource.kind,
        name: resource.name.to_string(),
        id: resource.id.to_string(),
        scope: BTreeMap::from([(word, value.to_owned())]),
        verdict: verdict.name(),
        reason: match resource.expires_at {
            Some(at) if outlasts_expiry(verdict, at) => {
                format!(
                    "{verdict}; yet its own expiry deletes it at {}",
                    crate::format::moment(at)
                )
            }
            _ => verdict.to_string(),
        },
        rule: rule.map(|(_, rule)| rule.id.to_string()),
        rule_location: rule.map(|(_, rule)| rule.location.to_string()),
        claim: matched_by.and_then(|matched_by| claim_value(&matched_by.claim)),
        repository: rule.map(|(policy, _)| policy.repository.clone()),
        dead_since: verdict.death().and_then(|death| death.dead_since),
        ripe_at: verdict.ripe_at(),
        created_at: resource.created_at.known(),
        changed_at: resource.changed_at.known(),
        attributes,
        references,
        unbinds: Vec::new(),
        belongs_to: matched_by.map(|matched_by| matched_by.claim.to_string()),
        pull_request: matched_by.and_then(|matched_by| heading(parts, matched_by)),
        also_matched_as: judgement
            .others
            .iter()
            .filter_map(|(matched_by, verdict)| other(parts, matched_by, verdict))
            .collect(),
        otherwise: verdict.otherwise(),
        deletable: verdict.is_deletable(),
        noun: resource.kind.noun,
        key: box_key::of(&resource.identity()),
        origin: box_key::origin(resource.kind.name(), resource.place.id()),
        command: command(&resource.identity()),
    }
}

/// Returns a shell command that deletes a resource by hand, with the name
/// escaped.
fn command(id: &ResourceId) -> String {
    let words = providers::by_hand(id);
    let quoted: Vec<_> = words.iter().map(|word| escape::shell(word)).collect();
    quoted.join(" ")
}

fn other(parts: &Parts<'_>, matched_by: &MatchedBy, verdict: &Verdict) -> Option<OtherMatch> {
    let (_, rule) = parts.marking.rule(matched_by)?;
    Some(OtherMatch {
        rule: rule.id.to_string(),
        claim: claim_value(&matched_by.claim),
        verdict: verdict.name(),
        reason: verdict.to_string(),
    })
}

fn heading(parts: &Parts<'_>, matched_by: &MatchedBy) -> Option<PullRequestLine> {
    let number = match matched_by.claim {
        Claim::PullRequest(number) => number,
        _ => matched_by.pull_request?,
    };
    let (policy, _) = parts.marking.rule(matched_by)?;
    let known = parts
        .roots
        .repositories
        .get(&policy.repository)
        .and_then(|roots| roots.pull_requests.get(&number));
    let date = |at: &Option<DateTime<Utc>>| {
        at.map_or_else(
            || "at an unknown time".to_owned(),
            |at| at.format("%Y-%m-%d").to_string(),
        )
    };
    let state = match known {
        Some(PullRequest::Open { .. }) => "open".to_owned(),
        Some(PullRequest::Closed {
            closed_at, merged, ..
        }) => {
            let how = if *merged { "merged" } else { "closed" };
            format!("{how} {}", date(closed_at))
        }
        Some(PullRequest::Missing) => "no such pull request".to_owned(),
        Some(PullRequest::Unknown { .. }) | None => "not known".to_owned(),
    };
    Some(PullRequestLine {
        repository: policy.repository.clone(),
        number: number.get(),
        title: known
            .and_then(PullRequest::title)
            .unwrap_or_default()
            .to_owned(),
        state,
    })
}

/// Returns the rules that match no name, although all of their kinds were
/// listed.
fn unused_rules(inventory: &Inventory, marking: &Marking<'_>) -> Vec<String> {
    let listed = |kind: &KindRef| {
        inventory
            .listings
            .iter()
            .any(|listing| listing.kind == *kind)
    };
    let mut used = BTreeSet::new();
    for judgement in &marking.judgements {
        let readings = judgement.reading.iter();
        for matched_by in readings.chain(judgement.others.iter().map(|(matched_by, _)| matched_by))
        {
            used.insert((matched_by.policy_scope, matched_by.rule));
        }
    }
    let mut unused = Vec::new();
    for (file, policy_scope) in marking.law.policy_scopes.iter().enumerate() {
        for (index, rule) in policy_scope.policy.rules.iter().enumerate() {
            let all_listed = !rule.kinds.is_empty() && rule.kinds.iter().all(listed);
            if all_listed && !used.contains(&(file, index)) {
                unused.push(format!("{} ({})", rule.id, rule.location));
            }
        }
    }
    unused
}

/// Formats the time since `at` in its largest unit.
pub(crate) fn age(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    let minutes = (now - at).num_minutes().max(0);
    match minutes {
        0..60 => format!("{minutes}m"),
        60..2_880 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1_440),
    }
}
