//! Mark: every resource gets a verdict from the evidence.
//!
//! Two passes. The first judges each resource by itself: protection, readings
//! of its name, roots, times. The second lets what stays keep what it uses,
//! until nothing changes any more. Deadness only ever shrinks in it, so the
//! order does not matter.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::verdict::{Alive, Cause, Death, Doubt, How, Protection, Unclaimed, User, Verdict, Wait};
use crate::evidence::{Inventory, PullRequest, Question, RepositoryRoots, Roots};
use crate::model::{Claim, KindRef, Place, PullRequestNumber, ReferenceKey, Resource, Time};
use crate::policy::{
    Action, AgeClock, Coverage, Event, Missing, Policy, Reading, Rule, backup_pattern,
};

/// A branch with its own expiry this near is taken care of.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(7);

/// Below this many resources one thread is faster than two.
const WORTH_A_THREAD: usize = 20_000;

/// A policy file and the places where it holds.
#[derive(Debug, Clone)]
pub struct Jurisdiction<'p> {
    /// The file.
    pub policy: &'p Policy,
    /// Where.
    pub places: BTreeSet<Place>,
}

/// Everything that verdicts depend on besides the resources and the roots.
#[derive(Debug, Clone)]
pub struct Law<'p> {
    /// The policy files, each with its places.
    pub jurisdictions: &'p [Jurisdiction<'p>],
    /// All kinds that exist, for who may use and manage whom.
    pub kinds: &'p [KindRef],
    /// The grace of rules that state none.
    pub grace: TimeDelta,
    /// With `--pr`: only what claims this pull request is judged.
    pub only: Option<PullRequestNumber>,
    /// The start of the run.
    pub now: DateTime<Utc>,
}

/// Which rule read a name, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBy {
    /// Index of the policy file among the jurisdictions.
    pub jurisdiction: usize,
    /// Index of the rule in its file.
    pub rule: usize,
    /// What the name says it belongs to.
    pub claim: Claim,
}

/// A verdict and the reading it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The reading that decided; none where nothing was read.
    pub reading: Option<ReadBy>,
    /// The other readings of the same name, with what each would say.
    pub others: Vec<(ReadBy, Verdict)>,
    /// With `--pr`: whether it claims that pull request. Else always.
    pub in_focus: bool,
}

impl Default for Judgement {
    /// Nothing is known of it, so it is kept.
    fn default() -> Self {
        Self {
            verdict: Verdict::Unclaimed(Unclaimed::NoRule),
            reading: None,
            others: Vec::new(),
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
    /// The law by which it was marked.
    pub law: Law<'p>,
}

impl<'p> Marking<'p> {
    /// The rule behind a reading.
    pub fn rule(&self, read_by: &ReadBy) -> Option<(&'p Policy, &'p Rule)> {
        let policy = self.law.jurisdictions.get(read_by.jurisdiction)?.policy;
        Some((policy, policy.rules.get(read_by.rule)?))
    }
}

/// The pull requests that resources claim, by index of the jurisdiction: what
/// has to be asked before marking.
pub fn claims(inventory: &Inventory, law: &Law<'_>) -> Vec<BTreeSet<PullRequestNumber>> {
    let mut claims = vec![BTreeSet::new(); law.jurisdictions.len()];
    for resource in &inventory.resources {
        let mut found = Vec::new();
        for (index, jurisdiction) in law.jurisdictions.iter().enumerate() {
            if !jurisdiction.places.contains(&resource.place) {
                continue;
            }
            for rule in &jurisdiction.policy.rules {
                for reading in rule.read(resource) {
                    if let Claim::PullRequest(number) = reading.claim
                        && rule.asks_about_claim()
                    {
                        found.push((index, number));
                    }
                }
            }
        }
        let in_focus = law
            .only
            .is_none_or(|only| found.iter().any(|(_, number)| *number == only));
        if in_focus {
            for (index, number) in found {
                if let Some(numbers) = claims.get_mut(index) {
                    numbers.insert(number);
                }
            }
        }
    }
    claims
}

/// Questions whose answers will be needed as soon as a claimed resource turns
/// out dead, and that one short list answers; asked beside the roots.
pub fn early_questions(inventory: &Inventory, law: &Law<'_>) -> Vec<Question> {
    let mut claimed: BTreeSet<(KindRef, &Arc<Place>)> = BTreeSet::new();
    for resource in &inventory.resources {
        let key = (resource.kind, &resource.place);
        if !claimed.contains(&key) {
            let is_claimed = law.jurisdictions.iter().any(|jurisdiction| {
                jurisdiction.places.contains(&resource.place)
                    && jurisdiction
                        .policy
                        .rules
                        .iter()
                        .any(|rule| !rule.read(resource).is_empty())
            });
            if is_claimed {
                claimed.insert(key);
            }
        }
    }
    claimed
        .iter()
        .filter(|(kind, _)| kind.0.users_listed)
        .map(|(kind, place)| Question::Users {
            kind: *kind,
            place: Arc::clone(place),
        })
        .collect()
}

/// Marks every resource.
pub fn mark<'p>(inventory: &Inventory, roots: &Roots, law: Law<'p>) -> Marking<'p> {
    let managed = Managed::of(inventory, &law);
    let judge = Judge {
        law: &law,
        gap: roots.gap().map(|(_, why)| why),
        roots: law
            .jurisdictions
            .iter()
            .map(|jurisdiction| roots.repositories.get(&jurisdiction.policy.repository))
            .collect(),
        managed: &managed,
    };
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
    distrust(inventory, &law, &mut judgements);
    let questions = Propagation::new(inventory, &law, &mut judgements).run();
    Marking {
        judgements,
        questions,
        law,
    }
}

/// Names that resources of other kinds manage, by managed kind.
struct Managed {
    by_kind: HashMap<&'static str, (&'static str, HashSet<String>)>,
}

impl Managed {
    fn of(inventory: &Inventory, law: &Law<'_>) -> Self {
        let mut by_kind = HashMap::new();
        for kind in law.kinds {
            if let Some(managed) = kind.0.manages {
                let names = inventory
                    .referrers
                    .iter()
                    .chain(&inventory.resources)
                    .filter(|resource| resource.kind == *kind)
                    .map(|resource| resource.name.to_ascii_lowercase())
                    .collect();
                by_kind.insert(managed, (kind.name(), names));
            }
        }
        Self { by_kind }
    }

    fn manager(&self, resource: &Resource) -> Option<&'static str> {
        let (manager, names) = self.by_kind.get(resource.kind.name())?;
        names
            .contains(&resource.name.to_ascii_lowercase())
            .then_some(*manager)
    }
}

/// Judges resources one by one.
struct Judge<'a, 'p> {
    law: &'a Law<'p>,
    /// Why some root source is not complete.
    gap: Option<&'a Arc<str>>,
    /// The roots of each jurisdiction.
    roots: Vec<Option<&'a RepositoryRoots>>,
    managed: &'a Managed,
}

impl<'a> Judge<'a, '_> {
    fn all(&self, resources: &[Resource], judgements: &mut [Judgement]) {
        // Resources come place by place, so the last answer mostly serves again.
        let mut last: Option<&Arc<Place>> = None;
        let mut holds = Vec::new();
        for (resource, judgement) in resources.iter().zip(judgements) {
            if !last.is_some_and(|last| Arc::ptr_eq(last, &resource.place)) {
                last = Some(&resource.place);
                holds.clear();
                let jurisdictions = self.law.jurisdictions.iter().enumerate();
                holds.extend(
                    jurisdictions
                        .filter(|(_, jurisdiction)| jurisdiction.places.contains(&resource.place))
                        .map(|(index, _)| index),
                );
            }
            *judgement = self.one(resource, &holds);
        }
    }

    fn one(&self, resource: &Resource, holds: &[usize]) -> Judgement {
        let mut readings = Vec::new();
        for &jurisdiction in holds {
            let policy = self.law.jurisdictions[jurisdiction].policy;
            for (rule, text) in policy.rules.iter().enumerate() {
                for reading in text.read(resource) {
                    if let Some(verdict) = self.reading(resource, jurisdiction, text, &reading) {
                        let claim = reading.claim;
                        readings.push((
                            ReadBy {
                                jurisdiction,
                                rule,
                                claim,
                            },
                            verdict,
                        ));
                    }
                }
            }
        }
        let in_focus = self.law.only.is_none_or(|only| {
            readings
                .iter()
                .any(|(read_by, _)| read_by.claim == Claim::PullRequest(only))
        });
        if let Some(protection) = self.protection(resource, holds) {
            // The claim is still said, so that `--pr` and people see it.
            let reading = readings.into_iter().next().map(|(read_by, _)| read_by);
            return Judgement {
                verdict: Verdict::Protected(protection),
                reading,
                others: Vec::new(),
                in_focus,
            };
        }
        let decisive = readings
            .iter()
            .enumerate()
            .max_by_key(|(index, (_, verdict))| (weight(verdict), std::cmp::Reverse(*index)))
            .map(|(index, _)| index);
        let Some(decisive) = decisive else {
            return Judgement {
                verdict: Verdict::Unclaimed(Unclaimed::NoRule),
                reading: None,
                others: Vec::new(),
                in_focus,
            };
        };
        let (reading, mut verdict) = readings.swap_remove(decisive);
        if let Verdict::Garbage(death) = &mut verdict {
            // One rule that only reports is enough not to delete.
            death.report_only |= readings
                .iter()
                .any(|(_, other)| matches!(other, Verdict::Garbage(other) if other.report_only));
        }
        Judgement {
            verdict,
            reading: Some(reading),
            others: readings,
            in_focus,
        }
    }

    fn protection(&self, resource: &Resource, holds: &[usize]) -> Option<Protection> {
        for &jurisdiction in holds {
            for entry in &self.law.jurisdictions[jurisdiction].policy.protects {
                let location = || entry.location.to_string().into();
                match entry.covers(resource) {
                    Coverage::No => {}
                    Coverage::Yes => {
                        return Some(Protection::Entry {
                            reason: entry.reason.clone(),
                            location: location(),
                        });
                    }
                    Coverage::CannotTell(key) => {
                        return Some(Protection::Perhaps {
                            key,
                            location: location(),
                        });
                    }
                }
            }
        }
        let built_in = resource.protection.map(Protection::BuiltIn);
        built_in.or_else(|| self.managed.manager(resource).map(Protection::ManagedBy))
    }

    /// What one reading says; none when it turns out not to read the name.
    fn reading(
        &self,
        resource: &Resource,
        jurisdiction: usize,
        rule: &Rule,
        reading: &Reading,
    ) -> Option<Verdict> {
        if let Some(key) = reading.untold {
            return Some(Verdict::Unknown(Doubt::Condition(key)));
        }
        if let Some(pattern) = backup_pattern(&resource.name)
            && !reading.spells_backup
        {
            return Some(Verdict::Protected(Protection::Backup(pattern)));
        }
        for (time, which) in [
            (resource.created_at, "created_at"),
            (resource.changed_at, "changed_at"),
        ] {
            if time == Time::Missing {
                return Some(Verdict::Unknown(Doubt::Time(which)));
            }
        }
        let claimed = match &reading.claim {
            Claim::PullRequest(number) if rule.asks_about_claim() => {
                match self.pull_request(jurisdiction, *number) {
                    Ok(pull_request) => Some((*number, pull_request)),
                    Err(doubt) => return Some(Verdict::Unknown(doubt)),
                }
            }
            Claim::PullRequest(_) | Claim::Itself => None,
        };
        if let Some((_, pull_request)) = claimed {
            match timely(rule, resource, pull_request) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(key) => return Some(Verdict::Unknown(Doubt::Condition(key))),
            }
        }
        Some(match self.death(resource, rule, claimed) {
            Ok(death) => self.ripe(resource, rule, death),
            Err(kept) => kept,
        })
    }

    fn pull_request(
        &self,
        jurisdiction: usize,
        number: PullRequestNumber,
    ) -> Result<&'a PullRequest, Doubt> {
        let not_asked = || Doubt::PullRequest {
            number,
            why: "it was not asked for".into(),
        };
        // One root source that is not complete stops the whole run.
        if let Some(why) = self.gap {
            return Err(Doubt::Roots(why.clone()));
        }
        let roots = self.roots.get(jurisdiction).copied().flatten();
        let roots = roots.ok_or_else(not_asked)?;
        match roots.pull_requests.get(&number) {
            Some(PullRequest::Unknown { why }) => Err(Doubt::PullRequest {
                number,
                why: why.clone(),
            }),
            Some(pull_request) => Ok(pull_request),
            None => Err(not_asked()),
        }
    }

    /// How the resource died by this rule, or what keeps it.
    fn death(
        &self,
        resource: &Resource,
        rule: &Rule,
        claimed: Option<(PullRequestNumber, &PullRequest)>,
    ) -> Result<Death, Verdict> {
        let mut death = None;
        if !rule.death.events.is_empty()
            && let Some((number, pull_request)) = claimed
        {
            death = Some(ended(resource, rule, number, pull_request)?);
        }
        for age in &rule.death.ages {
            let since = match age.clock {
                AgeClock::Created => clock(resource.created_at, "created_at")?,
                AgeClock::Changed => clock(resource.changed_at, "changed_at")?,
                AgeClock::Merged => merged(claimed)?,
            };
            let over = since.checked_add_signed(age.longer_than);
            // Strictly more, and an age beyond all time is never reached.
            let Some(over) = over.filter(|over| self.law.now > *over) else {
                return Err(Verdict::Live(Alive::Young {
                    longer_than: age.longer_than,
                    since,
                }));
            };
            let aged = death.get_or_insert(Death {
                cause: Cause::Age {
                    longer_than: age.longer_than,
                },
                dead_since: None,
                ripe_at: None,
                report_only: false,
            });
            if rule.death.events.is_empty() {
                aged.dead_since = aged.dead_since.max(Some(over));
            }
        }
        let mut death = death.ok_or(Verdict::Unclaimed(Unclaimed::NoRule))?;
        death.report_only = rule.action == Action::Report;
        Ok(death)
    }

    /// Whether the grace of a death is over.
    fn ripe(&self, resource: &Resource, rule: &Rule, mut death: Death) -> Verdict {
        let now = self.law.now;
        if let Some(at) = resource.expires_at.filter(|at| *at <= now + EXPIRES_SOON) {
            return Verdict::Ripening(Wait::Expires { at });
        }
        if rule.death.events.is_empty() {
            death.ripe_at = death.dead_since;
            return Verdict::Garbage(death);
        }
        let grace = rule.grace.unwrap_or(self.law.grace);
        let Some(dead_since) = death.dead_since else {
            // It has no time at all: no grace can begin, and none can be over.
            return if grace <= TimeDelta::zero() {
                Verdict::Garbage(death)
            } else {
                Verdict::Ripening(Wait::Grace {
                    death,
                    ripe_at: None,
                })
            };
        };
        match dead_since.checked_add_signed(grace) {
            Some(ripe_at) if ripe_at <= now => {
                death.ripe_at = Some(ripe_at);
                Verdict::Garbage(death)
            }
            ripe_at => Verdict::Ripening(Wait::Grace { death, ripe_at }),
        }
    }
}

/// Which of several readings decides: anything that keeps beats garbage, and
/// what is known to live beats what is not known.
fn weight(verdict: &Verdict) -> (u8, Option<DateTime<Utc>>) {
    match verdict {
        Verdict::Live(_) => (5, None),
        Verdict::Unknown(_) => (4, None),
        Verdict::Protected(_) => (3, None),
        Verdict::InUse(_) | Verdict::Unclaimed(_) => (2, None),
        Verdict::Ripening(_) => (1, verdict.ripe_at()),
        Verdict::Garbage(death) => (0, death.dead_since),
    }
}

/// How a pull request's end makes the resource dead, counted from the latest
/// of that end and the resource's own times.
fn ended(
    resource: &Resource,
    rule: &Rule,
    number: PullRequestNumber,
    pull_request: &PullRequest,
) -> Result<Death, Verdict> {
    let own = resource.created_at.known().max(resource.changed_at.known());
    let (cause, at) = match pull_request {
        PullRequest::Open { .. } => return Err(Verdict::Live(Alive::Open(number))),
        PullRequest::Unknown { why } => {
            return Err(Verdict::Unknown(Doubt::PullRequest {
                number,
                why: why.clone(),
            }));
        }
        PullRequest::Missing if rule.missing == Missing::Keep => {
            return Err(Verdict::Unknown(Doubt::MissingNumber(number)));
        }
        PullRequest::Missing => (Cause::Missing(number), None),
        PullRequest::Closed {
            closed_at, merged, ..
        } => {
            if rule.death.events.contains(&Event::Merged) && !merged {
                return Err(Verdict::Live(Alive::NotMerged(number)));
            }
            let at = closed_at.ok_or(Verdict::Unknown(Doubt::NoEnd(number)))?;
            let merged = *merged;
            (Cause::Ended { number, merged, at }, Some(at))
        }
    };
    Ok(Death {
        cause,
        dead_since: at.max(own),
        ripe_at: None,
        report_only: false,
    })
}

fn clock(time: Time, which: &'static str) -> Result<DateTime<Utc>, Verdict> {
    // A kind without this time can never be judged by it.
    time.known().ok_or(Verdict::Unknown(Doubt::Time(which)))
}

fn merged(claimed: Option<(PullRequestNumber, &PullRequest)>) -> Result<DateTime<Utc>, Verdict> {
    match claimed {
        Some((number, PullRequest::Closed { merged: false, .. })) => {
            Err(Verdict::Live(Alive::NotMerged(number)))
        }
        Some((
            number,
            PullRequest::Closed {
                merged_at,
                closed_at,
                ..
            },
        )) => merged_at
            .or(*closed_at)
            .ok_or(Verdict::Unknown(Doubt::NoEnd(number))),
        Some((number, PullRequest::Open { .. })) => Err(Verdict::Live(Alive::Open(number))),
        Some((number, PullRequest::Missing)) => Err(Verdict::Unknown(Doubt::MissingNumber(number))),
        Some((number, PullRequest::Unknown { why })) => Err(Verdict::Unknown(Doubt::PullRequest {
            number,
            why: why.clone(),
        })),
        None => Err(Verdict::Unknown(Doubt::Time("merged_at"))),
    }
}

/// Whether the conditions on the pull request's and the resource's times hold;
/// the key of one that cannot be told. A sure failure beats a doubt.
fn timely(
    rule: &Rule,
    resource: &Resource,
    pull_request: &PullRequest,
) -> Result<bool, &'static str> {
    let created = resource.created_at.known();
    let (opened, ended) = match pull_request {
        PullRequest::Open { opened_at, .. } => (*opened_at, Some(DateTime::<Utc>::MAX_UTC)),
        PullRequest::Closed {
            opened_at,
            closed_at,
            ..
        } => (*opened_at, *closed_at),
        PullRequest::Missing | PullRequest::Unknown { .. } => (None, None),
    };
    let conditions = [
        (
            rule.timing.created_after_opened,
            created
                .zip(opened)
                .map(|(created, opened)| created >= opened),
            "created-after-opened",
        ),
        (
            rule.timing.ended_after_created,
            created.zip(ended).map(|(created, ended)| ended > created),
            "ended-after-created",
        ),
    ];
    let mut doubt = None;
    for (wanted, is, key) in conditions {
        match (wanted, is) {
            (None, _) => {}
            (Some(wanted), Some(is)) if wanted == is => {}
            (Some(_), Some(_)) => return Ok(false),
            (Some(_), None) => doubt = Some(key),
        }
    }
    doubt.map_or(Ok(true), Err)
}

/// Takes deletions back where a listing that they rest on is not complete.
fn distrust(inventory: &Inventory, law: &Law<'_>, judgements: &mut [Judgement]) {
    let mut complete: HashMap<(&'static str, &Place), bool> = HashMap::new();
    for listing in &inventory.listings {
        let entry = complete
            .entry((listing.kind.name(), &listing.place))
            .or_insert(true);
        *entry &= listing.complete();
    }
    let is_complete = |kind: KindRef, place: &Place| {
        complete
            .get(&(kind.name(), place))
            .copied()
            .unwrap_or(false)
    };
    // A manager lives in another sort of place than what it manages.
    let any_incomplete = |kind: KindRef| {
        let mut listings = inventory
            .listings
            .iter()
            .filter(|listing| listing.kind == kind)
            .peekable();
        listings.peek().is_none() || listings.any(|listing| !listing.complete())
    };
    let mut doubts: BTreeMap<(KindRef, &Place), Option<&'static str>> = BTreeMap::new();
    for (resource, judgement) in inventory.resources.iter().zip(judgements) {
        if !judgement.verdict.is_garbage() {
            continue;
        }
        let doubt = doubts
            .entry((resource.kind, &resource.place))
            .or_insert_with(|| {
                let own = (!is_complete(resource.kind, &resource.place)).then_some(resource.kind);
                let user = || {
                    law.kinds.iter().copied().find(|user| {
                        user.0.uses.contains(&resource.kind.name())
                            && !is_complete(*user, &resource.place)
                    })
                };
                let manager = || {
                    law.kinds.iter().copied().find(|manager| {
                        manager.0.manages == Some(resource.kind.name()) && any_incomplete(*manager)
                    })
                };
                own.or_else(user).or_else(manager).map(KindRef::name)
            });
        if let Some(kind) = *doubt {
            judgement.verdict = Verdict::Unknown(Doubt::Listing { kind });
        }
    }
}

/// Who uses a resource, as far as it is told.
enum UsedBy {
    /// A resource of the inventory.
    Listed(usize),
    /// Something that is not in it, and therefore stays.
    Other(Box<str>),
}

/// The ids and names that anything refers to: mostly far fewer than there are
/// resources, so that only these are indexed.
#[derive(Default)]
struct Wanted<'a> {
    ids: HashSet<&'a str>,
    names: HashSet<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let mut wanted = Self::default();
        wanted.ids.extend(
            inventory
                .resources
                .iter()
                .filter_map(|resource| resource.parent.as_deref()),
        );
        for pairs in inventory.uses.users.values().flatten() {
            for (used, user) in pairs {
                wanted.ids.extend([&**used, &**user]);
            }
        }
        for reference in inventory.uses.of.values().flatten().flatten() {
            match &reference.key {
                ReferenceKey::Id(id) => wanted.ids.insert(id),
                ReferenceKey::Name(name) => wanted.names.insert(name),
            };
        }
        wanted
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.names.is_empty()
    }
}

/// Lets what stays keep what it uses.
struct Propagation<'a> {
    inventory: &'a Inventory,
    kinds: &'a [KindRef],
    judgements: &'a mut [Judgement],
    by_id: HashMap<(&'static str, &'a Place, &'a str), usize>,
    users: HashMap<usize, Vec<UsedBy>>,
}

impl<'a> Propagation<'a> {
    fn new(inventory: &'a Inventory, law: &'a Law<'_>, judgements: &'a mut [Judgement]) -> Self {
        let kinds = law.kinds;
        let wanted = Wanted::of(inventory);
        let mut by_id = HashMap::new();
        let mut by_name = HashMap::new();
        if !wanted.is_empty() {
            for (index, resource) in inventory.resources.iter().enumerate() {
                let kind = resource.kind.name();
                if wanted.ids.contains(&*resource.id) {
                    by_id.insert((kind, &*resource.place, &*resource.id), index);
                }
                if wanted.names.contains(&*resource.name) {
                    by_name.insert((kind, &*resource.place, &*resource.name), index);
                }
            }
        }
        let mut users: HashMap<usize, Vec<UsedBy>> = HashMap::new();
        for (&user, references) in &inventory.uses.of {
            let (Ok(references), Some(resource)) = (references, inventory.resources.get(user))
            else {
                continue;
            };
            for reference in references {
                let place = &*resource.place;
                let used = match &reference.key {
                    ReferenceKey::Id(id) => by_id.get(&(reference.kind, place, &**id)),
                    ReferenceKey::Name(name) => by_name.get(&(reference.kind, place, &**name)),
                };
                if let Some(&used) = used {
                    users.entry(used).or_default().push(UsedBy::Listed(user));
                }
            }
        }
        for ((kind, place), pairs) in &inventory.uses.users {
            for (used, user) in pairs.iter().flatten() {
                let Some(&used) = by_id.get(&(kind.name(), place, &**used)) else {
                    continue;
                };
                let user = by_id
                    .get(&(kind.name(), place, &**user))
                    .map_or_else(|| UsedBy::Other(user.clone()), |&user| UsedBy::Listed(user));
                users.entry(used).or_default().push(user);
            }
        }
        Self {
            inventory,
            kinds,
            judgements,
            by_id,
            users,
        }
    }

    fn stays(&self, index: usize) -> bool {
        self.judgements
            .get(index)
            .is_some_and(|judgement| !judgement.verdict.is_garbage())
    }

    /// Runs until nothing changes, and gives the questions that are left.
    fn run(mut self) -> Vec<Question> {
        loop {
            self.keep_parents();
            let kept = self.keep_used();
            let (doubted, pending, questions) = self.unread();
            if kept || doubted {
                continue;
            }
            for (index, doubt) in pending {
                if let Some(judgement) = self.judgements.get_mut(index) {
                    judgement.verdict = Verdict::Unknown(doubt);
                }
            }
            // What is pending stays for now, so its parents do as well.
            self.keep_parents();
            return questions.into_iter().collect();
        }
    }

    /// A parent of what stays stays.
    fn keep_parents(&mut self) {
        let mut stay: Vec<usize> = (0..self.judgements.len())
            .filter(|&index| self.inventory.resources[index].parent.is_some() && self.stays(index))
            .collect();
        while let Some(child) = stay.pop() {
            let resource = &self.inventory.resources[child];
            let Some(parent) = resource.parent.as_deref() else {
                continue;
            };
            let key = (resource.kind.name(), &*resource.place, parent);
            // The parent may be a root, which has no parent of its own.
            let found = self.by_id.get(&key).copied();
            if let Some(parent) = found.filter(|&parent| !self.stays(parent)) {
                self.judgements[parent].verdict = Verdict::InUse(User {
                    kind: resource.kind.name(),
                    name: resource.name.clone(),
                    how: How::Parent,
                });
                stay.push(parent);
            }
        }
    }

    /// What is used by something that stays stays.
    fn keep_used(&mut self) -> bool {
        let mut in_use = Vec::new();
        for (&used, users) in &self.users {
            if self.stays(used) {
                continue;
            }
            let kind = self.inventory.resources[used].kind;
            let user = users.iter().find_map(|user| match user {
                UsedBy::Other(name) => Some((kind.name(), name.clone())),
                UsedBy::Listed(user) if *user != used && self.stays(*user) => {
                    let user = &self.inventory.resources[*user];
                    Some((user.kind.name(), user.name.clone()))
                }
                UsedBy::Listed(_) => None,
            });
            in_use.extend(user.map(|user| (used, user)));
        }
        let changed = !in_use.is_empty();
        for (used, (kind, name)) in in_use {
            let how = How::Bound;
            self.judgements[used].verdict = Verdict::InUse(User { kind, name, how });
        }
        changed
    }

    /// Finds garbage whose possible users have not all told what they use. If
    /// that was asked in vain, it is unknown at once; else it is pending, and
    /// the question is given. What is pending does not count as staying, or
    /// questions would be asked whose answers cannot matter.
    fn unread(&mut self) -> (bool, Vec<(usize, Doubt)>, BTreeSet<Question>) {
        let mut candidates: BTreeMap<(KindRef, &'a Arc<Place>), Vec<usize>> = BTreeMap::new();
        for (index, judgement) in self.judgements.iter().enumerate() {
            let resource = &self.inventory.resources[index];
            if judgement.verdict.is_garbage() {
                candidates
                    .entry((resource.kind, &resource.place))
                    .or_default()
                    .push(index);
            }
        }
        let mut doubted = false;
        let mut pending = Vec::new();
        let mut questions = BTreeSet::new();
        for ((kind, place), indices) in &candidates {
            for user in self.kinds.iter().copied() {
                if !user.0.uses.contains(&kind.name()) {
                    continue;
                }
                let others = user.0.uses.iter().any(|used| {
                    *used != kind.name()
                        && candidates
                            .keys()
                            .any(|(other, at)| other.name() == *used && *at == *place)
                });
                let Some((doubt, asked)) = self.doubt(*kind, place, user, others) else {
                    continue;
                };
                if asked.is_empty() {
                    doubted = true;
                    for &index in indices {
                        self.judgements[index].verdict = Verdict::Unknown(doubt.clone());
                    }
                } else {
                    questions.extend(asked);
                    pending.extend(indices.iter().map(|&index| (index, doubt.clone())));
                }
            }
        }
        (doubted, pending, questions)
    }

    /// Why it is not known what the resources of one kind use of another, and
    /// what to ask; none when it is known.
    fn doubt(
        &self,
        kind: KindRef,
        place: &'a Arc<Place>,
        user: KindRef,
        others: bool,
    ) -> Option<(Doubt, Vec<Question>)> {
        let key = (user, Place::clone(place));
        let users = self.inventory.uses.users.get(&key);
        let listed = user == kind && user.0.users_listed;
        if listed && matches!(users, Some(Ok(_))) {
            return None;
        }
        let mut unread = Vec::new();
        let mut why = None;
        let mut failed = 0;
        for (index, resource) in self.inventory.resources.iter().enumerate() {
            if resource.kind != user || resource.place != *place || !self.stays(index) {
                continue;
            }
            match self.inventory.uses.of.get(&index) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    failed += 1;
                    why.get_or_insert_with(|| Arc::from(error.as_str()));
                }
                None => unread.push(Question::Uses { resource: index }),
            }
        }
        let doubt = Doubt::References {
            unread: failed + unread.len(),
            kind: user.name(),
            why,
        };
        // Many at once where that answers everything that is asked.
        if listed && !others && users.is_none() {
            let place = place.clone();
            return Some((doubt, vec![Question::Users { kind, place }]));
        }
        if failed > 0 {
            return Some((doubt, Vec::new()));
        }
        (!unread.is_empty()).then_some((doubt, unread))
    }
}
