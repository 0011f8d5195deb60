//! Asks single resources what they use, as far as a run may, and goes on where
//! the last run had to stop.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::follow_up::{Read, ask_with_follow_ups};
use crate::evidence::{Evidence, Inventory, Uses};
use crate::journal::reads::{ListedResource, StoredReads};
use crate::kind::{Ask, ReadsReferences};
use crate::model::{Place, References, Resource};
use crate::progress::{Observer, ProgressEvent};
use crate::providers;
use crate::wire::Client;

/// How far single resources may be asked what they use.
#[derive(Debug, Clone)]
pub struct Budget {
    /// The maximum number of resources that are read in a run.
    pub maximum: usize,
    /// How many of them may still be read.
    pub left: usize,
    /// When reading stops, so that the run has time for what was decided.
    pub until: Instant,
    /// Whether a part of the quota is left for what is decided by it.
    pub leaves_quota: bool,
    /// What earlier runs read.
    pub stored_reads: Arc<StoredReads>,
    /// The time of a reading: the start of the run.
    pub now: DateTime<Utc>,
}

impl Budget {
    /// What is left of it for reading again just before a deletion. Nothing that
    /// an earlier run read is used there.
    #[must_use]
    pub fn afresh(&self, until: Instant) -> Self {
        Self {
            until,
            leaves_quota: false,
            stored_reads: Arc::default(),
            ..self.clone()
        }
    }
}

/// Resources that are read at the same time.
const TOGETHER: usize = 64;

/// The same where the quota does not suffice for all: each that is begun and
/// not finished was in vain.
const TOGETHER_IN_SHORTAGE: usize = 4;

/// Requests that one resource takes: the latest version, the newest deployment,
/// and mostly one version in it.
const REQUESTS_FOR_ONE: usize = 3;

/// Of the quota that a run has until its deadline one part in so many is for
/// reading what single resources use. The rest is for the other questions that a
/// deletion waits for, of which some take a request for each Worker as well, for
/// reading everything again, and for the deletions.
const PARTS: usize = 2;

/// Why it is not known what a resource uses.
enum Unread {
    /// The quota or the time for it is used up.
    NoQuota,
    /// The request failed.
    Failed(String),
}

/// One resource to read.
struct ReferenceRead<'a> {
    index: usize,
    references: &'static dyn ReadsReferences,
    listed: ListedResource<'a>,
}

impl ReferenceRead<'_> {
    /// Sends the requests and returns what the answers say, with the number of
    /// requests.
    async fn ask(&self, client: &Client, asks: Vec<Ask>) -> (Result<References, Unread>, u32) {
        let id = self.listed.resource.identity();
        let mut requests = 0;
        let answered = ask_with_follow_ups(
            client,
            asks,
            &mut requests,
            |_| false,
            |ask, answer| {
                let answered = self.references.read(&id, ask, answer)?;
                Ok(Read {
                    item: answered.references,
                    counted: answered.counted,
                    more: answered.more,
                })
            },
        );
        let answered = answered.await.map(|found| {
            let mut references = References::default();
            for one in found {
                references.extend(one);
            }
            references
        });
        let answered = answered.map_err(|broken| {
            if broken.is_about_the_quota() {
                Unread::NoQuota
            } else {
                Unread::Failed(broken.reason(client))
            }
        });
        (answered, requests)
    }
}

/// What became of reading.
#[derive(Default)]
struct Tally {
    requests: u32,
    /// Resources that were read in full.
    read: usize,
    failed: Vec<String>,
    /// Resources beyond the maximum.
    beyond: Vec<usize>,
    /// Resources for which there was no quota.
    without_quota: Vec<usize>,
}

/// A resource that an earlier run read, with what it used then, and what is asked
/// about later changes.
type Known<'a> = (ReferenceRead<'a>, (References, Vec<Ask>));

/// Returns the resources that no earlier run read, and those that one did, each
/// with those first that were read longest ago.
fn sorted<'a>(
    inventory: &'a Inventory,
    about: &[usize],
    hosts: &'a [Option<String>],
    budget: &Budget,
    answered: &mut Uses,
) -> (Vec<ReferenceRead<'a>>, Vec<Known<'a>>) {
    let vocabulary = providers::vocabulary();
    let (mut unread, mut known) = (Vec::new(), Vec::new());
    for (&index, host) in about.iter().zip(hosts) {
        let Some(resource) = inventory.resources.get(index) else {
            continue;
        };
        let kind = providers::by_name(resource.kind.name());
        let Some(references) = kind.and_then(|kind| kind.references()) else {
            let why = Err("its kind is not known".to_owned());
            answered.of.insert(index, why);
            continue;
        };
        let listed = ListedResource {
            host: host.as_deref().unwrap_or_default(),
            resource,
            deployed_at: inventory.uses.deployed_at(resource),
        };
        let one = ReferenceRead {
            index,
            references,
            listed,
        };
        let stored_reads = &budget.stored_reads;
        let found = stored_reads.find(&listed, budget.now, &vocabulary);
        let asks = references.since(&resource.identity());
        match found.zip(asks) {
            Some(found) => known.push((one, found)),
            None => unread.push(one),
        }
    }
    unread.sort_by_cached_key(|one| budget.stored_reads.last_read(&one.listed));
    known.sort_by_cached_key(|(one, _)| budget.stored_reads.last_read(&one.listed));
    (unread, known)
}

/// Asks what changed about resources that an earlier run read.
async fn confirm(
    reader: &Client,
    known: Vec<Known<'_>>,
    observer: &dyn Observer,
    tally: &mut Tally,
    answered: &mut Uses,
) {
    let answers: Vec<_> = stream::iter(known)
        .map(|(one, (mut references, asks))| async move {
            let (answer, requests) = one.ask(reader, asks).await;
            observer.step(ProgressEvent::Answered);
            let answer = answer.map(|fresh| {
                references.extend(fresh);
                references
            });
            (one.index, answer, requests)
        })
        .buffer_unordered(TOGETHER)
        .collect()
        .await;
    for (index, answer, requests) in answers {
        tally.requests += requests;
        match answer {
            Ok(references) => {
                answered.of.insert(index, Ok(references));
            }
            Err(Unread::Failed(why)) => {
                tally.failed.push(why.clone());
                answered.of.insert(index, Err(why));
            }
            Err(Unread::NoQuota) => tally.without_quota.push(index),
        }
    }
}

/// Asks about resources that no earlier run read, so many at the same time.
/// Returns the places of those for which there was no quota.
async fn read_first<'a>(
    reader: &Client,
    asked: &[ReferenceRead<'a>],
    together: usize,
    observer: &dyn Observer,
    budget: &mut Budget,
    tally: &mut Tally,
    answered: &mut Uses,
) -> BTreeSet<&'a Place> {
    let mut open = BTreeSet::new();
    let answers: Vec<_> = stream::iter(asked)
        .map(|one| async move {
            let asks = one.references.first(&one.listed.resource.identity());
            let (answer, requests) = one.ask(reader, asks).await;
            observer.step(ProgressEvent::Answered);
            (one, answer, requests)
        })
        .buffer_unordered(together)
        .collect()
        .await;
    for (one, answer, requests) in answers {
        tally.requests += requests;
        match answer {
            Ok(references) => {
                budget.left -= 1;
                tally.read += 1;
                let stored_reads = &budget.stored_reads;
                stored_reads.note(&one.listed, budget.now, &references);
                answered.of.insert(one.index, Ok(references));
            }
            Err(Unread::Failed(why)) => {
                budget.left -= 1;
                tally.failed.push(why.clone());
                answered.of.insert(one.index, Err(why));
            }
            Err(Unread::NoQuota) => {
                open.insert(&*one.listed.resource.place);
                tally.without_quota.push(one.index);
            }
        }
    }
    open
}

/// Asks what single resources use. Those that no run has read yet come first,
/// then those that were read longest ago. Of what an earlier run read only that
/// is asked which may have changed, and only where it can decide something:
/// where everything else in the same place is known.
pub(super) async fn one_by_one(
    client: &Client,
    inventory: &Inventory,
    about: &[usize],
    budget: &mut Budget,
    observer: &dyn Observer,
) -> Uses {
    let mut answered = Uses::default();
    if about.is_empty() {
        return answered;
    }
    let reader = &client.until(budget.until.min(client.deadline()));
    let resources = &inventory.resources;
    let hosts: Vec<Option<String>> = about
        .iter()
        .map(|&index| client.host(resources.get(index)?.kind.api))
        .collect();
    let (unread, known) = sorted(inventory, about, &hosts, budget, &mut answered);
    let mut tally = Tally::default();
    let (within, beyond) = unread.split_at(budget.left.min(unread.len()));
    let mut apis = about.iter().filter_map(|&index| resources.get(index));
    let api = apis.next().filter(|_| budget.leaves_quota);
    let api = api.map(|one| one.kind.api);
    let quota = api.map_or(usize::MAX, |api| client.affordable(api) / PARTS);
    let suffices = within.len() * REQUESTS_FOR_ONE + known.len() <= quota;
    let (asked, without_quota) = if suffices {
        (within, &[][..])
    } else {
        within.split_at((quota / REQUESTS_FOR_ONE).min(within.len()))
    };
    let together = if suffices {
        TOGETHER
    } else {
        TOGETHER_IN_SHORTAGE
    };
    let mut open = read_first(
        reader,
        asked,
        together,
        observer,
        budget,
        &mut tally,
        &mut answered,
    )
    .await;
    let not_asked = beyond.iter().chain(without_quota);
    open.extend(not_asked.map(|one| &*one.listed.resource.place));
    let without_quota = without_quota.iter().map(|one| one.index);
    tally.without_quota.extend(without_quota);
    tally.beyond.extend(beyond.iter().map(|one| one.index));

    // Some of them decide nothing: all are asked, or none.
    let too_many = asked.is_empty() && known.len() > quota;
    let (confirmed, left) = known.into_iter().partition::<Vec<_>, _>(|(one, _)| {
        !too_many && !open.contains(&*one.listed.resource.place)
    });
    let waiting = if too_many || !tally.without_quota.is_empty() {
        &mut tally.without_quota
    } else {
        &mut tally.beyond
    };
    waiting.extend(left.iter().map(|(one, _)| one.index));
    confirm(reader, confirmed, observer, &mut tally, &mut answered).await;
    let whole = unread.iter().all(|one| one.listed.can_be_stored());
    let reason = tally.reason(about.len(), budget, whole);
    for index in tally.beyond.iter().chain(&tally.without_quota) {
        answered.of.insert(*index, Err(reason.clone()));
    }
    if !(tally.beyond.is_empty() && tally.without_quota.is_empty()) {
        budget.stored_reads.need();
    }
    let first = about.first().and_then(|&index| resources.get(index));
    let evidence = tally.evidence(first, about.len(), reason);
    answered.evidence.push(evidence);
    answered
}

impl Tally {
    /// Resources that were not read, or not completely.
    fn left(&self) -> usize {
        self.beyond.len() + self.without_quota.len()
    }

    /// Why some were not read, and what will change that.
    fn reason(&self, all: usize, budget: &Budget, can_be_stored: bool) -> String {
        let left = self.left();
        let (why, settings, each) = if self.without_quota.is_empty() {
            let maximum = budget.maximum;
            let why = format!("the maximum is {maximum} (--reference-reads)");
            (why, "--reference-reads", maximum)
        } else {
            let why = "the run's share of the quota allows no more (--quota-share, --deadline)";
            let settings = "--quota-share or --deadline";
            (why.to_owned(), settings, self.read)
        };
        let next = match left.checked_div(each) {
            Some(_) if budget.stored_reads.is_kept() && can_be_stored => {
                match left.div_ceil(each) {
                    1 => "the next sweep reads them first".to_owned(),
                    runs => format!("the next {runs} sweeps read them first"),
                }
            }
            _ => format!("raise {settings}"),
        };
        format!("{left} of {all} were not read in this run: {why}; {next}")
    }

    /// The evidence of having read what resources use.
    fn evidence(&self, first: Option<&Resource>, all: usize, reason: String) -> Evidence {
        let failed = self.failed.len();
        let failure = self.failed.first().map(String::as_str).unwrap_or_default();
        let gap = match (failed, self.left()) {
            (0, 0) => None,
            (0, _) => Some(reason),
            (_, 0) => Some(format!("{failed} failed; the first failure: {failure}")),
            _ => Some(format!(
                "{reason}; {failed} failed, the first failure: {failure}"
            )),
        };
        Evidence {
            source: first.map_or_else(
                || "references".to_owned(),
                |resource| format!("{}.{}.uses", resource.kind.api.key(), resource.kind),
            ),
            scope: first.map_or_else(String::new, |resource| resource.place.to_string()),
            requests: self.requests,
            items: all - failed - self.left(),
            total: Some(all as u64),
            complete: gap.is_none(),
            gap,
            needed: true,
        }
    }
}
