//! The part of the providers' contract that can be read, on the user's own account:
//! every listing is walked to its end and compared with its total, and what documents
//! leave open is asked. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use serde::Serialize;

use super::diagnose;
use crate::call::Call;
use crate::kind::{Kind, NextPage, PageOf};
use crate::model::{Api, KindRef, Place, Resource, ResourceId};
use crate::providers::{self, OpenFact, PROVIDERS, SettledBy};
use crate::wire::{ApiError, Client, Outgoing, RequestFailure, error};

/// Maximum number of pages of one listing.
const PAGES: usize = 1_000;

/// Maximum number of holders whose contents are listed.
const HOLDERS: usize = 50;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Deep {
    /// The listings, each walked to its end.
    pub listings: Vec<WalkedListing>,
    /// The headers that runs rely on.
    pub headers: Vec<SeenHeader>,
    /// What documents leave open.
    pub facts: Vec<SettledFact>,
    /// The number of requests.
    pub requests: usize,
}

/// A listing that was walked.
#[derive(Debug, Serialize)]
pub struct WalkedListing {
    /// The kind.
    pub kind: &'static str,
    /// The account, zone, project or repository.
    pub place: String,
    /// The number of pages.
    pub pages: usize,
    /// The number of different resources.
    pub items: usize,
    /// How many the provider counts; none where it says nothing.
    pub total: Option<u64>,
    /// Whether the end was reached and the total agrees.
    pub agrees: bool,
    /// What was seen, for people.
    pub answer: String,
}

/// A header that runs rely on.
#[derive(Debug, Serialize)]
pub struct SeenHeader {
    /// The provider.
    pub provider: &'static str,
    /// Its name.
    pub header: &'static str,
    /// How many answers had it.
    pub seen: usize,
    /// The number of answers.
    pub of: usize,
    /// The last value; none if it was never seen.
    pub last: Option<String>,
}

/// Whether something is as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactState {
    /// It is.
    AsExpected,
    /// It is not.
    Differs,
    /// The answers do not tell, or there was none.
    Open,
    /// Only requests that change something answer it.
    NeedsWriting,
}

impl FactState {
    fn of(as_expected: Option<bool>) -> Self {
        match as_expected {
            Some(true) => Self::AsExpected,
            Some(false) => Self::Differs,
            None => Self::Open,
        }
    }

    /// Returns the words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::AsExpected => "as expected",
            Self::Differs => "different",
            Self::Open => "open",
            Self::NeedsWriting => "not asked",
        }
    }
}

/// Something that documents leave open.
#[derive(Debug, Serialize)]
pub struct SettledFact {
    /// Its stable name.
    pub key: String,
    /// Where it was asked.
    pub place: String,
    /// What is expected.
    pub expected: String,
    /// Whether it is so.
    pub state: FactState,
    /// What was seen.
    pub seen: String,
}

impl Deep {
    /// Returns whether every listing was walked to its end and agrees with its
    /// total.
    pub fn agrees(&self) -> bool {
        self.listings.iter().all(|listing| listing.agrees)
    }

    /// Returns what differs from what runs expect, for people.
    pub fn warnings(&self) -> Vec<String> {
        let headers = self.headers.iter().filter(|one| one.seen < one.of);
        let headers = headers.map(|one| {
            format!(
                "{} of {} answers of {} lack the header {}, by which runs keep to the quota or \
                 compare clocks",
                one.of - one.seen,
                one.of,
                one.provider,
                one.header
            )
        });
        let facts = self.facts.iter();
        let facts = facts.filter(|fact| fact.state == FactState::Differs);
        let facts = facts.map(|fact| {
            format!(
                "{} in {} is different: expected was that {}; seen: {}",
                fact.key, fact.place, fact.expected, fact.seen
            )
        });
        headers.chain(facts).collect()
    }
}

/// Walks every listing of these places, and asks what is open about them.
pub async fn examine(client: &Client, places: &BTreeSet<Arc<Place>>) -> Deep {
    let mut reader = ContractReader {
        client,
        headers: BTreeMap::new(),
        requests: 0,
    };
    let mut deep = Deep::default();
    for place in places {
        let kinds = providers::kinds().filter(|kind| {
            let about = kind.about();
            about.place == place.sort() && client.has(about.api)
        });
        for kind in kinds {
            let walk = reader.walk(kind, place).await;
            let listing = walk.listing(kind.about(), place);
            if let (Some(item), true) = (walk.items.values().next(), listing.agrees) {
                deep.facts.push(reader.absent(kind, item, &walk).await);
            }
            deep.listings.push(listing);
        }
        let providers = PROVIDERS.iter();
        let known = providers.filter(|provider| client.has(provider.about().api));
        for fact in known.flat_map(|provider| provider.facts()) {
            if fact.place == place.sort() {
                deep.facts.push(reader.settle(fact, place).await);
            }
        }
    }
    deep.requests = reader.requests;
    deep.headers = reader.seen_headers();
    deep
}

/// Sends the reads, and notes the headers of the answers.
struct ContractReader<'a> {
    client: &'a Client,
    headers: BTreeMap<Api, Vec<HeaderMap>>,
    requests: usize,
}

/// How far a listing was read.
#[derive(Default)]
struct Walk {
    pages: usize,
    items: BTreeMap<(Option<Box<str>>, Box<str>), Resource>,
    /// How many the provider counts.
    total: Option<u64>,
    /// Items that a page showed again.
    twice: usize,
    /// Holders whose contents were not listed.
    left_out: usize,
    broken: Option<String>,
}

impl Walk {
    fn listing(&self, kind: KindRef, place: &Place) -> WalkedListing {
        let differs = self.total.filter(|total| *total != self.items.len() as u64);
        let mut notes: Vec<String> = self.broken.iter().cloned().collect();
        notes.extend(differs.map(|total| format!("the provider counts {total}")));
        if self.twice > 0 {
            notes.push(format!("{} were shown again", self.twice));
        }
        if self.left_out > 0 {
            notes.push(format!("{} holders were left out", self.left_out));
        }
        WalkedListing {
            kind: kind.name(),
            place: place.to_string(),
            pages: self.pages,
            items: self.items.len(),
            total: self.total,
            agrees: self.broken.is_none() && differs.is_none(),
            answer: if notes.is_empty() {
                "works".to_owned()
            } else {
                notes.join("; ")
            },
        }
    }

    fn add(&mut self, holder: Option<&str>, items: Vec<Resource>) {
        for mut item in items {
            if item.holder.is_none() {
                item.holder = holder.map(Into::into);
            }
            let key = (item.holder.clone(), item.id.clone());
            if self.items.insert(key, item).is_some() {
                self.twice += 1;
            }
        }
    }
}

impl ContractReader<'_> {
    /// Sends a read, and returns a successful answer.
    async fn send(&mut self, call: &Call) -> Result<Bytes, ApiError> {
        self.requests += 1;
        let mut outgoing = Outgoing::from(call);
        // A GraphQL query is a POST that only reads.
        outgoing.repeatable = true;
        let response = self.client.exchange(&outgoing).await?;
        let headers = response.headers().clone();
        self.headers.entry(call.api).or_default().push(headers);
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let failure = error::refusal(call.api, &response);
        Err(self.client.error(&outgoing, failure))
    }

    /// The same for a listing; an error is one for people.
    async fn page(&mut self, kind: &dyn Kind, place: &Place, call: &Call) -> Result<Bytes, String> {
        match self.send(call).await {
            Ok(body) => Ok(body),
            Err(refused) => Err(diagnose(self.client, kind.about(), place, &refused).await),
        }
    }

    /// Walks the listing of a kind to its end.
    async fn walk(&mut self, kind: &'static dyn Kind, place: &Arc<Place>) -> Walk {
        let mut walk = Walk::default();
        let walked = self.walk_into(kind, place, &mut walk).await;
        walk.broken = walked.err();
        walk
    }

    async fn walk_into(
        &mut self,
        kind: &'static dyn Kind,
        place: &Arc<Place>,
        walk: &mut Walk,
    ) -> Result<(), String> {
        if kind.holders().is_some() {
            self.held(kind, place, walk).await?;
        } else {
            self.pages(kind, place, None, walk).await?;
        }
        if let Some(count) = kind.queries().count {
            let count = count(place);
            let body = self.page(kind, place, &count.call).await?;
            let total = (count.read)(&body).map_err(|why| self.client.redact(&why.0))?;
            walk.total = Some(total);
        }
        Ok(())
    }

    /// Walks what each holder holds.
    async fn held(
        &mut self,
        kind: &'static dyn Kind,
        place: &Arc<Place>,
        walk: &mut Walk,
    ) -> Result<(), String> {
        let Some(holders) = kind.holders() else {
            return Ok(());
        };
        let (mut page, mut number) = (PageOf::First, 1);
        let mut all = Vec::new();
        loop {
            let query = holders.page(place, &page);
            let body = self.page(kind, place, &query.call).await?;
            let read = (query.read)(&body).map_err(|why| self.client.redact(&why.0))?;
            walk.pages += 1;
            all.extend(read.holders);
            number += 1;
            match following(read.next, number) {
                Some(next) if walk.pages < PAGES => page = next,
                _ => break,
            }
        }
        walk.left_out = all.len().saturating_sub(HOLDERS);
        for holder in all.iter().take(HOLDERS) {
            self.pages(kind, place, Some(&holder.name), walk).await?;
        }
        // The totals were those of single holders.
        walk.total = None;
        Ok(())
    }

    /// Walks one listing page by page.
    async fn pages(
        &mut self,
        kind: &'static dyn Kind,
        place: &Arc<Place>,
        holder: Option<&str>,
        walk: &mut Walk,
    ) -> Result<(), String> {
        let before = walk.items.len();
        let (mut page, mut number) = (PageOf::First, 1);
        walk.total = None;
        loop {
            let call = kind.list(place, holder, &page);
            let body = self.page(kind, place, &call).await?;
            let read = kind.read_page(place, &body);
            let read = read.map_err(|why| format!("unreadable: {}", self.client.redact(&why.0)))?;
            walk.pages += 1;
            walk.total = read.total.or(walk.total);
            walk.add(holder, read.items);
            number += 1;
            match following(read.next, number) {
                Some(_) if walk.pages >= PAGES => {
                    return Err(format!("it goes on after {PAGES} pages"));
                }
                Some(next) => page = next,
                None => break,
            }
        }
        let listed = (walk.items.len() - before) as u64;
        match (holder, walk.total) {
            (Some(holder), Some(total)) if total != listed => Err(format!(
                "{listed} of {holder} were listed, and the provider counts {total}"
            )),
            _ => Ok(()),
        }
    }

    /// Asks for one that is not there.
    async fn absent(
        &mut self,
        kind: &'static dyn Kind,
        item: &Resource,
        walk: &Walk,
    ) -> SettledFact {
        // An id of the same form.
        let id: String = item.id.chars().rev().map(other_digit).collect();
        let absent = ResourceId {
            id: id.as_str().into(),
            name: id.as_str().into(),
            incarnation: None,
            ..item.identity()
        };
        let mut items = walk.items.values();
        let (as_expected, seen) = if items.any(|one| *one.id == *id || *one.name == *id) {
            let why = "every id of that form that was tried is there".to_owned();
            (None, why)
        } else {
            let answered = self.send(&kind.inspect(&absent)).await;
            match answered.map_err(|refused| refused.failure) {
                Ok(_) => (Some(false), "answered with a success".to_owned()),
                Err(failure) => {
                    let missing = matches!(failure, RequestFailure::NotFound { .. });
                    (Some(missing), failure.to_string())
                }
            }
        };
        SettledFact {
            key: format!("{}.not-found", kind.about().name()),
            place: item.place.to_string(),
            expected: "what is not there is answered with 404".to_owned(),
            state: FactState::of(as_expected),
            seen,
        }
    }

    /// Asks what documents leave open.
    async fn settle(&mut self, fact: &OpenFact, place: &Place) -> SettledFact {
        let (state, seen) = match fact.settled_by {
            SettledBy::Writing => {
                let why = "only requests that change something tell".to_owned();
                (FactState::NeedsWriting, why)
            }
            SettledBy::Reading { ask, read } => {
                let answers = self.answers(ask(place)).await;
                match answers.and_then(|answers| read(&answers).map_err(|why| why.0)) {
                    Ok(answer) => (FactState::of(answer.as_expected), answer.seen),
                    Err(why) => (FactState::Open, self.client.redact(&why)),
                }
            }
        };
        SettledFact {
            key: fact.key.to_owned(),
            place: place.to_string(),
            expected: fact.expected.to_owned(),
            state,
            seen,
        }
    }

    async fn answers(&mut self, calls: Vec<Call>) -> Result<Vec<Bytes>, String> {
        let mut answers = Vec::new();
        for call in calls {
            let answer = self.send(&call).await;
            answers.push(answer.map_err(|refused| refused.to_string())?);
        }
        Ok(answers)
    }

    /// Returns how often each header was seen that runs rely on.
    fn seen_headers(&self) -> Vec<SeenHeader> {
        let headers = self.headers.iter().flat_map(|(api, answers)| {
            let about = providers::of(*api).about();
            about.answers_with.iter().map(move |header| {
                let values = answers.iter().filter_map(|one| one.get(*header));
                let values: Vec<&HeaderValue> = values.collect();
                let last = values.last();
                let last = last.map(|last| String::from_utf8_lossy(last.as_bytes()));
                SeenHeader {
                    provider: about.key,
                    header,
                    seen: values.len(),
                    of: answers.len(),
                    last: last.map(|last| error::short(&last)),
                }
            })
        });
        headers.collect()
    }
}

/// Returns the next page of a listing, by how the last page says that it goes on and
/// the number that a next page would have.
fn following(next: NextPage, number: u64) -> Option<PageOf> {
    match next {
        NextPage::Pages(pages) if number <= pages => Some(PageOf::Number(number)),
        NextPage::After(cursor) => Some(PageOf::Cursor(cursor)),
        NextPage::More => Some(PageOf::Number(number)),
        NextPage::Last | NextPage::Pages(_) => None,
    }
}

fn other_digit(c: char) -> char {
    match c {
        '0' => '1',
        '1' => '0',
        c => c,
    }
}
