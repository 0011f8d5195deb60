//! Reads what exists: pages every kind in every place, and answers questions
//! about references. Read only.

mod uses;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use http::StatusCode;

use crate::call::Call;
use crate::clock::Clock;
use crate::evidence::{
    Addressed, Contradiction, Evidence, Inventory, Listing, Observer, Question, SourceUser, Step,
    Users, Uses,
};
use crate::kinds::{self, Answer, Ask, Kind, Malformed, Next, PageOf, UserSource};
use crate::model::{KindRef, Place, Resource, ResourceId, Time};
use crate::wire::{ApiError, Client, Failure, Outgoing};

pub use uses::Budget;

/// Far beyond any real listing; a cursor that never ends is a broken one.
const MOST_PAGES: u64 = 100_000;

/// A kind to list in a place.
#[derive(Clone)]
pub struct Target {
    /// The kind.
    pub kind: &'static dyn Kind,
    /// Where.
    pub place: Arc<Place>,
    /// Whether a rule depends on it.
    pub needed: bool,
    /// Whether its resources are listed only because they may use others.
    pub witness: bool,
    /// Whether it is listed only for those holders whose own resource is garbage.
    pub on_demand: bool,
    /// Whether a rule asks when each was last active.
    pub activity: bool,
    /// Only what these hold, where its kind has holders.
    pub holders: Option<BTreeSet<Box<str>>>,
}

impl Target {
    /// The same, as far as these resources depend on it: of what is listed by
    /// holder only what holds them, or what they hold.
    #[must_use]
    pub fn among(&self, of: &[ResourceId]) -> Self {
        let about = self.kind.about();
        let mut target = self.clone();
        if about.0.holder.is_some() {
            let holders = of.iter().filter_map(|id| {
                if id.kind == about {
                    id.within.clone()
                } else {
                    (about.0.belongs_to == Some(id.kind.name())).then(|| id.name.clone())
                }
            });
            target.holders = Some(holders.collect());
        }
        target
    }
}

/// Why a listing did not come to its end.
enum Broken {
    /// The provider refused; asking again at once would change nothing.
    Refused(ApiError),
    /// The pages do not fit together; they may have shifted while they were
    /// read.
    Disagrees(String),
}

impl From<ApiError> for Broken {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<Malformed> for Broken {
    fn from(error: Malformed) -> Self {
        Self::Disagrees(error.to_string())
    }
}

/// Lists all targets side by side.
pub async fn inventory(client: &Client, targets: &[Target], observer: &dyn Observer) -> Inventory {
    let listed = join_all(targets.iter().map(|target| list(client, target, observer))).await;
    let mut inventory = Inventory::default();
    for (listing, resources, activity) in listed {
        inventory.activity.extend(activity);
        inventory.resources.extend(resources);
        inventory.listings.push(listing);
    }
    inventory
}

async fn list(
    client: &Client,
    target: &Target,
    observer: &dyn Observer,
) -> (Listing, Vec<Resource>, Option<Evidence>) {
    let about = target.kind.about();
    let mut walk = Walk::default();
    let allowance = async {
        if target.witness {
            return None;
        }
        let call = target.kind.allowance(&target.place)?;
        // Only for the report: without it there are the documented limits.
        let body = client.send(&call).await.ok()?;
        target.kind.read_allowance(&body).ok().flatten()
    };
    let listing = async {
        let mut result = walk.run(client, target).await;
        if let Err(Broken::Disagrees(_)) = result {
            result = walk.run(client, target).await;
        }
        target.kind.complete(&mut walk.items);
        if result.is_ok() && target.needed {
            result = walk.details(client, target).await;
        }
        (walk, result)
    };
    let ((walk, result), allowance, activity) =
        tokio::join!(listing, allowance, activity(client, target));
    let gap = result.err().map(|broken| match broken {
        Broken::Refused(error) => error.to_string(),
        Broken::Disagrees(why) => format!("{} (listed twice)", client.redact(&why)),
    });
    let evidence = Evidence {
        source: format!("{}.{}", about.0.api.key(), about.name()),
        scope: target.place.to_string(),
        requests: walk.requests,
        items: walk.items.len(),
        total: walk.total,
        complete: gap.is_none(),
        gap,
        needed: target.needed,
    };
    observer.step(Step::Listed(&evidence));
    let mut resources = walk.items;
    let activity = activity.map(|activity| note_activity(target, activity, &mut resources));
    let listing = Listing {
        kind: about,
        place: target.place.clone(),
        evidence,
        allowance,
        witness: target.witness,
    };
    (listing, resources, activity)
}

type Activity = Result<Vec<(Box<str>, Time)>, String>;

/// When the resources of a target were last active, if a rule asks.
async fn activity(client: &Client, target: &Target) -> Option<Activity> {
    let call = target.kind.activity(&target.place)?;
    if !target.activity {
        return None;
    }
    let body = match client.send(&call).await {
        Ok(body) => body,
        Err(error) => return Some(Err(error.to_string())),
    };
    Some(
        target
            .kind
            .read_activity(&body)
            .map_err(|error| client.redact(&error.0)),
    )
}

/// Writes down when each was last active. What was asked in vain is missing,
/// which keeps.
fn note_activity(target: &Target, activity: Activity, resources: &mut [Resource]) -> Evidence {
    let about = target.kind.about();
    let mut latest: HashMap<Box<str>, Time> = HashMap::new();
    for (id, time) in activity.iter().flatten() {
        latest
            .entry(id.clone())
            .and_modify(|known| *known = known.latest(*time))
            .or_insert(*time);
    }
    for resource in resources {
        resource.active_at = match (&activity, latest.get(&resource.id)) {
            (Err(_), _) => Time::Missing,
            (Ok(_), Some(time)) => *time,
            (Ok(_), None) => Time::NotKept,
        };
    }
    Evidence {
        source: format!("{}.{}.activity", about.0.api.key(), about.name()),
        scope: target.place.to_string(),
        requests: 1,
        items: activity.as_ref().map_or(0, Vec::len),
        total: None,
        complete: activity.is_ok(),
        gap: activity.err(),
        needed: true,
    }
}

/// A listing under way.
#[derive(Default)]
struct Walk {
    /// The holder whose resources are listed, where they are listed by holder.
    holder: Option<Box<str>>,
    items: Vec<Resource>,
    total: Option<u64>,
    requests: u32,
}

/// Holders whose resources are listed at the same time.
const HOLDERS_TOGETHER: usize = 16;

impl Walk {
    /// Reads the listing from its first page to its last, and the count beside
    /// it where the pages do not have one. What changes in between makes them
    /// disagree, and then both are read again.
    async fn run(&mut self, client: &Client, target: &Target) -> Result<(), Broken> {
        let count = async {
            let Some(call) = target.kind.count(&target.place) else {
                return Ok(None);
            };
            let body = client.send(&call).await?;
            Ok::<_, Broken>(Some(target.kind.read_count(&body)?))
        };
        if let Some(holders) = &target.holders {
            return self.by_holder(client, target, holders.clone()).await;
        }
        if target.kind.holders(&target.place, &PageOf::First).is_some() {
            let holders = self.holders(client, target).await?;
            return self.by_holder(client, target, holders).await;
        }
        let (pages, count) = tokio::join!(self.pages(client, target), count);
        pages?;
        if let Some(count) = count? {
            self.requests += 1;
            self.total = Some(count);
        }
        self.agrees()
    }

    /// Whether as many were listed as the provider counts.
    fn agrees(&self) -> Result<(), Broken> {
        match self.total {
            Some(total) if total != self.items.len() as u64 => Err(Broken::Disagrees(format!(
                "{} were listed where the provider counts {total}",
                self.items.len()
            ))),
            _ => Ok(()),
        }
    }

    /// Lists what each of these holds.
    async fn by_holder(
        &mut self,
        client: &Client,
        target: &Target,
        holders: BTreeSet<Box<str>>,
    ) -> Result<(), Broken> {
        self.items.clear();
        self.total = None;
        let walks: Vec<Result<Self, Broken>> = stream::iter(holders)
            .map(|holder| async move {
                let mut walk = Self {
                    holder: Some(holder),
                    ..Self::default()
                };
                walk.pages(client, target).await?;
                walk.agrees()?;
                Ok(walk)
            })
            .buffer_unordered(HOLDERS_TOGETHER)
            .collect()
            .await;
        for walk in walks {
            let walk = walk?;
            self.requests += walk.requests;
            self.items.extend(walk.items);
        }
        self.items
            .sort_by(|a, b| (&a.within, &a.id).cmp(&(&b.within, &b.id)));
        Ok(())
    }

    async fn holders(
        &mut self,
        client: &Client,
        target: &Target,
    ) -> Result<BTreeSet<Box<str>>, Broken> {
        let mut names = BTreeSet::new();
        let mut page = PageOf::First;
        for number in 2..=MOST_PAGES {
            let Some(call) = target.kind.holders(&target.place, &page) else {
                break;
            };
            self.requests += 1;
            let holders = target.kind.read_holders(&client.send(&call).await?)?;
            names.extend(holders.names);
            match holders.next {
                Next::Pages(pages) if number <= pages => page = PageOf::Number(number),
                Next::Last | Next::Pages(_) | Next::After(_) | Next::More => {
                    let listed = names.len() as u64;
                    if holders.total.is_some_and(|total| total != listed) {
                        return Err(Broken::Disagrees(format!(
                            "{listed} holders were listed where the provider counts {}",
                            holders.total.unwrap_or_default()
                        )));
                    }
                    break;
                }
            }
        }
        Ok(names)
    }

    /// Asks what the listing does not tell of each.
    async fn details(&mut self, client: &Client, target: &Target) -> Result<(), Broken> {
        let calls = self.items.iter().enumerate();
        let calls: Vec<_> = calls
            .filter_map(|(index, item)| Some((index, target.kind.detail(item)?)))
            .collect();
        let answers: Vec<_> = stream::iter(calls)
            .map(|(index, call)| async move { (index, client.send(&call).await) })
            .buffer_unordered(HOLDERS_TOGETHER)
            .collect()
            .await;
        for (index, answer) in answers {
            self.requests += 1;
            match answer {
                Ok(body) => target.kind.read_detail(&mut self.items[index], &body)?,
                // There is nothing more to tell of it.
                Err(error) if matches!(error.failure, Failure::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn pages(&mut self, client: &Client, target: &Target) -> Result<(), Broken> {
        self.items.clear();
        self.total = None;
        let mut seen = HashSet::new();
        let mut page = self.page(client, target, &PageOf::First, &mut seen).await?;
        let mut pages = 1;
        loop {
            match page {
                Next::Last => break,
                Next::Pages(count) if count > MOST_PAGES => {
                    return Err(Broken::Disagrees(format!("{count} pages cannot be right")));
                }
                Next::Pages(count) => {
                    self.rest(client, target, count, &mut seen).await?;
                    break;
                }
                Next::After(_) | Next::More => {
                    pages += 1;
                    let before = seen.len();
                    let next = match page {
                        Next::After(cursor) => PageOf::Cursor(cursor),
                        _ => PageOf::Number(pages),
                    };
                    page = self.page(client, target, &next, &mut seen).await?;
                    // A page that brings nothing new and goes on would go on
                    // for ever.
                    if (seen.len() == before && page != Next::Last) || pages > MOST_PAGES {
                        return Err(Broken::Disagrees(format!(
                            "page {pages} repeats what was seen before"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    fn call(&self, target: &Target, page: &PageOf) -> Call {
        match &self.holder {
            Some(holder) => target.kind.list_in(&target.place, holder, page),
            None => target.kind.list(&target.place, page),
        }
    }

    /// Reads one page and gives how the listing goes on.
    async fn page(
        &mut self,
        client: &Client,
        target: &Target,
        page: &PageOf,
        seen: &mut HashSet<Box<str>>,
    ) -> Result<Next, Broken> {
        self.requests += 1;
        let body = client.send(&self.call(target, page)).await?;
        self.take(target, &body, seen)
    }

    /// Reads the pages from the second on, side by side.
    async fn rest(
        &mut self,
        client: &Client,
        target: &Target,
        pages: u64,
        seen: &mut HashSet<Box<str>>,
    ) -> Result<(), Broken> {
        let total = self.total;
        let calls: Vec<_> = (2..=pages)
            .map(|number| self.call(target, &PageOf::Number(number)))
            .collect();
        for body in join_all(calls.iter().map(|call| client.send(call))).await {
            self.requests += 1;
            self.take(target, &body?, seen)?;
            if self.total != total {
                return Err(Broken::Disagrees(
                    "the total changed between two pages".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        target: &Target,
        body: &Bytes,
        seen: &mut HashSet<Box<str>>,
    ) -> Result<Next, Broken> {
        let page = target.kind.read_page(&target.place, body)?;
        self.total = page.total;
        // Pages shift while others create and delete, so an item may come twice.
        let holder = self.holder.as_ref();
        let fresh = page.items.into_iter();
        let fresh = fresh.filter(|item| seen.insert(item.id.clone()));
        self.items.extend(fresh.map(|mut item| {
            item.within = item.within.or_else(|| holder.cloned());
            item
        }));
        Ok(page.next)
    }
}

/// Answers questions about references. Those about single resources are asked as
/// far as the budget allows; what was not asked is noted as unknown.
pub async fn answer(
    client: &Client,
    inventory: &Inventory,
    questions: &[Question],
    budget: &mut Budget,
    observer: &dyn Observer,
) -> Uses {
    observer.step(Step::Asking(questions.len()));
    let about_one: Vec<usize> = questions
        .iter()
        .filter_map(|question| match question {
            Question::Uses { resource } => Some(*resource),
            _ => None,
        })
        .collect();
    let others = questions
        .iter()
        .filter(|question| !matches!(question, Question::Uses { .. }));
    let others = join_all(others.map(|question| other(client, inventory, question)));
    let (others, one_by_one) = tokio::join!(
        others,
        Box::pin(uses::one_by_one(
            client, inventory, &about_one, budget, observer
        ))
    );
    let mut answered = one_by_one;
    for other in others {
        answered.extend(other);
    }
    answered
}

/// Answers a question that is not about the uses of a single resource.
async fn other(client: &Client, inventory: &Inventory, question: &Question) -> Uses {
    let mut answered = Uses::default();
    match question {
        Question::Uses { .. } => {}
        Question::Users { kind, place } => {
            let mut answer = users(client, *kind, place).await;
            if matches!(answer, Err(Broken::Disagrees(_))) {
                answer = users(client, *kind, place).await;
            }
            let answer = answer.map_err(|broken| broken.told(client));
            answered.evidence.push(Evidence {
                source: format!("{}.{}.users", kind.0.api.key(), kind.name()),
                scope: place.to_string(),
                requests: answer.as_ref().map_or(1, |listed| listed.requests),
                items: answer.as_ref().map_or(0, |listed| listed.users.pairs.len()),
                total: None,
                complete: answer.is_ok(),
                gap: answer.as_ref().err().cloned(),
                // Where this cannot be had, resources are asked one by one.
                needed: false,
            });
            if let Ok(listed) = &answer {
                let clock = client.clock();
                let left_out = left_out(inventory, *kind, place, &listed.since, clock);
                answered.contradictions.extend(left_out);
            }
            let key = (*kind, Place::clone(place));
            answered
                .users
                .insert(key, answer.map(|listed| listed.users));
        }
        Question::Source { source, place } => {
            let (users, evidence) = source_users(client, source, place).await;
            answered.evidence.push(evidence);
            let key = (*source, Place::clone(place));
            answered.sources.insert(key, users);
        }
        Question::Addresses { kind, place } => {
            let addresses = addresses(client, *kind, place).await;
            answered.evidence.push(Evidence {
                source: format!("{}.{}.addresses", kind.0.api.key(), kind.name()),
                scope: place.to_string(),
                requests: 1,
                items: addresses.as_ref().map_or(0, Vec::len),
                total: None,
                complete: addresses.is_ok(),
                gap: addresses.as_ref().err().cloned(),
                needed: true,
            });
            let key = (*kind, Place::clone(place));
            answered.addresses.insert(key, addresses);
        }
        Question::Holds { resource } => {
            if let Some(one) = inventory.resources.get(*resource) {
                let (held, requests) = held(client, one).await;
                answered.evidence.push(Evidence {
                    source: format!("{}.{}.holds", one.kind.0.api.key(), one.kind),
                    scope: format!("{} {}", one.kind, one.name),
                    requests,
                    items: held.as_ref().map_or(0, Vec::len),
                    total: None,
                    complete: held.is_ok(),
                    gap: held.as_ref().err().cloned(),
                    needed: true,
                });
                answered.held.insert(*resource, held);
            }
        }
    }
    answered
}

impl Broken {
    /// Whether the quota or the time for it is used up.
    fn is_for_the_quota(&self) -> bool {
        match self {
            Self::Refused(error) => {
                matches!(error.failure, Failure::Withheld { .. } | Failure::Deadline)
            }
            Self::Disagrees(_) => false,
        }
    }

    /// The reason, without any token that an answer said back.
    fn told(self, client: &Client) -> String {
        match self {
            Self::Refused(error) => error.to_string(),
            Self::Disagrees(why) => client.redact(&why),
        }
    }
}

/// Questions of one conversation that are asked side by side.
const ASKED_TOGETHER: usize = 16;

/// What is read from each answer of a conversation.
struct Read<T> {
    item: T,
    total: Option<u64>,
    seen: u64,
    more: Vec<Ask>,
}

/// Asks, and asks what the answers lead to, until nothing is left to ask. Gives
/// what was read from each answer; nothing at all when the first answer is a
/// refusal which says that the account does not have such things. Pages that do
/// not agree with the total that they name are an error, as is every answer but
/// a body and a 404.
async fn converse<T>(
    client: &Client,
    first: Vec<Ask>,
    requests: &mut u32,
    is_absent: impl Fn(&[u8]) -> bool,
    read: impl Fn(&Ask, Answer<'_>) -> Result<Read<T>, Malformed>,
) -> Result<Vec<T>, Broken> {
    let mut items = Vec::new();
    let mut counted: BTreeMap<&'static str, (u64, Option<u64>)> = BTreeMap::new();
    let mut open = first;
    let mut asked = 0;
    while !open.is_empty() {
        asked += open.len() as u64;
        if asked > MOST_PAGES {
            return Err(Broken::Disagrees(format!(
                "{asked} questions cannot be right"
            )));
        }
        *requests = requests.saturating_add(u32::try_from(open.len()).unwrap_or(u32::MAX));
        let answers: Vec<_> = stream::iter(std::mem::take(&mut open))
            .map(|ask| async move {
                let answer = client.exchange(&Outgoing::from(&ask.call)).await;
                (ask, answer)
            })
            .buffered(ASKED_TOGETHER)
            .collect()
            .await;
        for (ask, answer) in answers {
            let response = answer.map_err(Broken::Refused)?;
            let status = response.status();
            if status == StatusCode::NOT_FOUND {
                let found = read(&ask, Answer::Missing)?;
                items.push(found.item);
                open.extend(found.more);
                continue;
            }
            if !status.is_success() {
                if items.is_empty() && is_absent(response.body()) {
                    return Ok(items);
                }
                let outgoing = Outgoing::from(&ask.call);
                let failure = crate::wire::error::refusal(ask.call.api, &response);
                return Err(Broken::Refused(client.error(&outgoing, failure)));
            }
            let found = read(&ask, Answer::Body(response.body()))?;
            let (seen, total) = counted.entry(ask.what).or_default();
            *seen += found.seen;
            if found.total.is_some() {
                if total.is_some() && *total != found.total {
                    return Err(Broken::Disagrees(
                        "the total changed between two pages".to_owned(),
                    ));
                }
                *total = found.total;
            }
            items.push(found.item);
            open.extend(found.more);
        }
    }
    for (what, (seen, total)) in counted {
        if total.is_some_and(|total| total != seen) {
            return Err(Broken::Disagrees(format!(
                "{seen} {what} were listed where the provider counts {}",
                total.unwrap_or_default()
            )));
        }
    }
    Ok(items)
}

/// The names of what a resource holds that no listing shows.
async fn held(client: &Client, resource: &Resource) -> (Result<Vec<Box<str>>, String>, u32) {
    let Some(kind) = kinds::by_name(resource.kind.name()) else {
        return (Err("its kind is not known".to_owned()), 0);
    };
    let id = resource.identity();
    let mut requests = 0;
    let held = converse(
        client,
        kind.holds(&id),
        &mut requests,
        |_| false,
        |ask, answer| {
            let held = kind.read_holds(&id, ask, answer)?;
            Ok(Read {
                item: held.names,
                total: held.total,
                seen: held.seen,
                more: held.more,
            })
        },
    );
    let held = held
        .await
        .map(|found| found.into_iter().flatten().collect());
    (held.map_err(|broken| broken.told(client)), requests)
}

/// The users that a source shows, with the evidence of having asked.
async fn source_users(
    client: &Client,
    name: &'static str,
    place: &Place,
) -> (Result<Vec<SourceUser>, String>, Evidence) {
    let mut requests = 0;
    let mut users = Err(format!("nothing can list what {name} resources use"));
    if let Some(source) = kinds::source(name) {
        for last in [false, true] {
            let asked = ask_source(client, source, place, &mut requests).await;
            let again = !last && matches!(asked, Err(Broken::Disagrees(_)));
            users = asked.map_err(|broken| {
                let spent = broken.is_for_the_quota();
                let why = broken.told(client);
                let (noun, permission) = (source.noun(), source.permission());
                let what_to_do = if spent {
                    "raise --quota-share or --deadline".to_owned()
                } else {
                    format!("the token needs {permission}")
                };
                format!("could not read what every {noun} binds: {why}; {what_to_do}")
            });
            if !again {
                break;
            }
        }
    }
    let evidence = Evidence {
        source: format!("cloudflare.{name}.uses"),
        scope: place.to_string(),
        requests,
        items: users.as_ref().map_or(0, Vec::len),
        total: None,
        complete: users.is_ok(),
        gap: users.as_ref().err().cloned(),
        needed: true,
    };
    (users, evidence)
}

async fn ask_source(
    client: &Client,
    source: &'static dyn UserSource,
    place: &Place,
    requests: &mut u32,
) -> Result<Vec<SourceUser>, Broken> {
    let is_absent = |body: &[u8]| source.is_absent(body);
    let users = converse(
        client,
        source.first(place),
        requests,
        is_absent,
        |ask, answer| {
            let told = source.read(place, ask, answer)?;
            Ok(Read {
                item: told.users,
                total: told.total,
                seen: told.seen,
                more: told.more,
            })
        },
    );
    Ok(users.await?.into_iter().flatten().collect())
}

async fn addresses(
    client: &Client,
    kind: KindRef,
    place: &Place,
) -> Result<Vec<Addressed>, String> {
    let kind = kinds::by_name(kind.name()).ok_or("its kind is not known")?;
    let call = kind.addresses(place).ok_or("its kind has no addresses")?;
    let body = client
        .send(&call)
        .await
        .map_err(|error| error.to_string())?;
    kind.read_addresses(&body)
        .map_err(|error| client.redact(&error.0))
}

/// Who uses what, and when those were made that a listing must show.
struct ListedUsers {
    users: Users,
    since: BTreeMap<Box<str>, DateTime<Utc>>,
    requests: u32,
}

async fn users(client: &Client, kind: KindRef, place: &Place) -> Result<ListedUsers, Broken> {
    let missing = || Broken::Disagrees("this kind has no list of users".to_owned());
    let kind = kinds::by_name(kind.name()).ok_or_else(missing)?;
    let first = kind.users(place, &PageOf::First).ok_or_else(missing)?;
    let first = match client.send(&first).await {
        Ok(body) => kind.read_users(&body)?,
        // The API that lists users may be absent. Then it shows nobody, and
        // each resource is asked about by itself.
        Err(error) if matches!(error.failure, Failure::NotFound { .. }) => {
            return Ok(ListedUsers {
                users: Users::default(),
                since: BTreeMap::new(),
                requests: 1,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let total = first.total;
    let pages = match first.next {
        Next::Pages(pages) => pages.min(MOST_PAGES),
        Next::Last | Next::After(_) | Next::More => 1,
    };
    let calls: Vec<_> = (2..=pages)
        .filter_map(|number| kind.users(place, &PageOf::Number(number)))
        .collect();
    let mut all = vec![first];
    for body in join_all(calls.iter().map(|call| client.send(call))).await {
        let page = kind.read_users(&body?)?;
        if page.total != total {
            return Err(Broken::Disagrees(
                "the total changed between two pages".to_owned(),
            ));
        }
        all.push(page);
    }
    let mut listed = ListedUsers {
        users: Users::default(),
        since: BTreeMap::new(),
        requests: u32::try_from(pages).unwrap_or(u32::MAX),
    };
    for page in all {
        listed.users.pairs.extend(page.uses);
        listed.users.references.extend(page.references);
        for shown in page.shown {
            if let Some(since) = shown.listed_since {
                listed.since.insert(shown.id.clone(), since);
            }
            if let Some(deployed) = shown.deployed_at {
                listed.users.deployed.insert(shown.id.clone(), deployed);
            }
            listed.users.shown.insert(shown.id);
        }
    }
    // A page that came twice hides another.
    let items = listed.users.shown.len() as u64;
    if total != Some(items) {
        return Err(Broken::Disagrees(format!(
            "{items} were listed where the provider counts {}",
            total.unwrap_or_default()
        )));
    }
    Ok(listed)
}

/// A resource that was there before the run and that the listing of its kind
/// leaves out, if any: then the listing is not what it seems.
fn left_out(
    inventory: &Inventory,
    kind: KindRef,
    place: &Place,
    since: &BTreeMap<Box<str>, DateTime<Utc>>,
    clock: Clock,
) -> Option<Contradiction> {
    let listed: HashSet<&str> = inventory
        .resources
        .iter()
        .filter(|resource| resource.kind == kind && *resource.place == *place)
        .map(|resource| &*resource.id)
        .collect();
    let (id, _) = since
        .iter()
        .find(|(id, since)| **since < clock.start() && !listed.contains(&***id))?;
    Some(Contradiction {
        kind,
        place: place.clone(),
        why: format!(
            "the listing of {kind} leaves {id} out, which the list of their users shows; run again"
        ),
    })
}

/// A zone that a look-up did not find.
#[derive(Debug, Clone)]
pub struct NoZone {
    /// What was asked, and why there is no answer.
    pub evidence: Evidence,
    /// Whether the answer is that the account has no such zone. Otherwise the
    /// look-up was refused or failed.
    pub absent: bool,
}

/// Finds a zone of an account by name or id.
///
/// # Errors
///
/// Why there is none.
pub async fn zone(client: &Client, account: &str, wanted: &str) -> Result<Place, NoZone> {
    let answer = client
        .send(&kinds::cloudflare::find_zone(account, wanted))
        .await
        .map_err(|error| (error.to_string(), false))
        .and_then(|body| {
            kinds::cloudflare::zone(&body, account, wanted)
                .map_err(|none| (client.redact(&none.to_string()), none.is_absent()))
        });
    answer.map_err(|(why, absent)| NoZone {
        evidence: Evidence {
            source: "cloudflare.zone".to_owned(),
            scope: format!("zone {wanted}"),
            requests: 1,
            items: 0,
            total: None,
            complete: false,
            gap: Some(why),
            needed: true,
        },
        absent,
    })
}
