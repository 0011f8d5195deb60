//! Reads what exists: pages every kind in every place, and answers questions
//! about references. Read only.

mod converse;
mod listing;
mod uses;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::join_all;

use self::converse::{Read, converse};
use crate::clock::Clock;
use crate::evidence::{
    Addressed, Contradiction, Evidence, Inventory, Question, SourceUser, Users, Uses,
};
use crate::kinds::{self, Kind, Malformed, Next, PageOf, UserSource};
use crate::model::{KindRef, Place, Resource, ResourceId};
use crate::progress::{Observer, ProgressEvent};
use crate::wire::{ApiError, Client, Failure};

pub use listing::inventory;
pub use uses::Budget;

/// Far beyond any real listing; a cursor that never ends is a broken one.
const MAX_PAGES: u64 = 100_000;

/// A kind to list in a place.
#[derive(Clone)]
pub struct Target {
    /// The kind to list.
    pub kind: &'static dyn Kind,
    /// The place to list.
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

/// Answers questions about references. Those about single resources are asked as
/// far as the budget allows; what was not asked is noted as unknown.
pub async fn answer(
    client: &Client,
    inventory: &Inventory,
    questions: &[Question],
    budget: &mut Budget,
    observer: &dyn Observer,
) -> Uses {
    observer.step(ProgressEvent::Asking(questions.len()));
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
                source: format!("{}.{}.users", kind.api.key(), kind.name()),
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
                source: format!("{}.{}.addresses", kind.api.key(), kind.name()),
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
                    source: format!("{}.{}.holds", one.kind.api.key(), one.kind),
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
        Next::Pages(pages) => pages.min(MAX_PAGES),
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

/// A zone that does not exist or could not be looked up.
#[derive(Debug, Clone)]
pub struct NoZone {
    /// What was asked, and why there is no answer.
    pub evidence: Evidence,
    /// Whether the answer is that the account has no such zone. Otherwise the
    /// look-up was refused or failed.
    pub absent: bool,
}

/// Lists every zone of an account that the token sees.
///
/// # Errors
///
/// Why they are not known.
pub async fn zones(client: &Client, account: &str) -> Result<Vec<Place>, Evidence> {
    let mut requests = 0;
    let listed = async {
        let mut all = Vec::new();
        let mut page = 1;
        loop {
            requests += 1;
            let call = kinds::cloudflare::list_zones(account, page);
            let body = client
                .send(&call)
                .await
                .map_err(|error| error.to_string())?;
            let read = kinds::cloudflare::zones(&body, account);
            let (zones, total, next) = read.map_err(|error| client.redact(&error.0))?;
            all.extend(zones);
            match next {
                Next::Pages(pages) if page < pages.min(MAX_ZONE_PAGES) => page += 1,
                _ if total.is_none_or(|total| total == all.len() as u64) => return Ok(all),
                _ => {
                    return Err(format!(
                        "{} zones were listed where Cloudflare counts {}",
                        all.len(),
                        total.unwrap_or_default()
                    ));
                }
            }
        }
    };
    let listed: Result<Vec<Place>, String> = listed.await;
    listed.map_err(|why| Evidence {
        source: "cloudflare.zones".to_owned(),
        scope: format!("account {account}"),
        requests,
        items: 0,
        total: None,
        complete: false,
        gap: Some(format!(
            "{why}; routes of its zones may send visitors to Workers, so the token needs Zone Read"
        )),
        needed: true,
    })
}

/// The maximum number of pages of zones that are read of one account.
const MAX_ZONE_PAGES: u64 = 100;

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
