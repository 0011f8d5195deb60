//! Answers questions about references, addresses and what resources hold.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::follow_up::{Read, ask_with_follow_ups};
use super::users::{hidden, left_out, unlisted, users};
use super::{Budget, ListingFailure, Target, listing, uses};
use crate::evidence::{
    Addressed, Contradiction, Evidence, Inventory, Listing, Question, SourceUser, Uses,
};
use crate::kind::UserSource;
use crate::model::{KindRef, Place, Resource};
use crate::progress::{Observer, ProgressEvent, Unwatched};
use crate::providers;
use crate::wire::Client;

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
    let mut of_holders: BTreeMap<(String, String), Evidence> = BTreeMap::new();
    for mut other in others {
        let (held, rest) = std::mem::take(&mut other.evidence)
            .into_iter()
            .partition::<Vec<_>, _>(|one| one.source.ends_with(HOLDS));
        other.evidence = rest;
        answered.extend(other);
        for one in held {
            let key = (one.source.clone(), one.scope.clone());
            match of_holders.get_mut(&key) {
                Some(known) => add(known, one),
                None => {
                    of_holders.insert(key, one);
                }
            }
        }
    }
    answered.evidence.extend(of_holders.into_values());
    answered
}

/// The end of the source of evidence about what single resources hold: all of a kind
/// in a place have one, because there may be many.
const HOLDS: &str = ".holds";

/// Adds evidence to that of the same source and scope.
fn add(known: &mut Evidence, more: Evidence) {
    known.requests = known.requests.saturating_add(more.requests);
    known.items += more.items;
    known.complete &= more.complete;
    known.gap = known.gap.take().or(more.gap);
    known.needed |= more.needed;
}

/// Answers a question that is not about the uses of a single resource.
async fn other(client: &Client, inventory: &Inventory, question: &Question) -> Uses {
    let mut answered = Uses::default();
    match question {
        Question::Uses { .. } => {}
        Question::Users { kind, place } => {
            let mut answer = users(client, *kind, place).await;
            if matches!(answer, Err(ListingFailure::Disagrees(_))) {
                answer = users(client, *kind, place).await;
            }
            let what = || format!("could not list who uses each {}", kind.noun);
            let permission = kind.read_permission;
            let answer = answer.map_err(|failure| gap(client, &what(), failure, permission));
            answered.evidence.push(Evidence {
                source: format!("{}.{}.users", kind.api.key(), kind.name()),
                scope: place.to_string(),
                requests: answer.as_ref().map_or(1, |listed| listed.requests),
                items: answer.as_ref().map_or(0, |listed| listed.users.pairs.len()),
                total: None,
                complete: answer.is_ok(),
                gap: answer.as_ref().err().cloned(),
                needed: true,
            });
            if let Ok(listed) = &answer {
                let clock = client.clock();
                let left_out = left_out(inventory, *kind, place, listed, clock);
                answered.contradictions.extend(left_out);
                let unlisted = unlisted(client, inventory, place, listed).await;
                answered.contradictions.extend(unlisted);
                let hidden = hidden(inventory, *kind, place, listed, clock);
                answered.contradictions.extend(there(client, &hidden).await);
            }
            let key = (*kind, Place::clone(place));
            answered
                .users
                .insert(key, answer.map(|listed| listed.users));
        }
        Question::Source { source, place } => {
            let read_at = client.clock().now();
            let (users, evidence) = source_users(client, source, place).await;
            answered.evidence.push(evidence);
            let key = (*source, Place::clone(place));
            answered.read_at.insert(key.clone(), read_at);
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
                    source: format!("{}.{}{HOLDS}", one.kind.api.key(), one.kind),
                    scope: one.place.to_string(),
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

/// The contradiction of a list that leaves these resources out, unless a fresh listing
/// of their kind lacks them as well: then they were deleted in the meantime. By id
/// they would be asked of the API whose list is in doubt.
async fn there(client: &Client, hidden: &[&Resource]) -> Option<Contradiction> {
    let first = hidden.first()?;
    let target = Target {
        needed: false,
        ..Target::alone(providers::by_name(first.kind.name())?, &first.place)
    };
    let fresh = listing::inventory(client, &[target], &Unwatched).await;
    let complete = fresh.listings.iter().all(Listing::complete);
    let is_there =
        |one: &&&Resource| !complete || fresh.resources.iter().any(|now| now.id == one.id);
    let resource = hidden.iter().find(is_there)?;
    Some(Contradiction {
        kind: resource.kind,
        place: Place::clone(&resource.place),
        why: format!(
            "the list of the users of {} leaves {} out, which its listing shows; run again",
            resource.kind, resource.id
        ),
    })
}

/// What a resource holds that no listing shows.
async fn held(client: &Client, resource: &Resource) -> (Result<Vec<Resource>, String>, u32) {
    let inside = providers::kinds().filter(|kind| {
        let about = kind.about();
        about.belongs_to == Some(resource.kind.name()) && kind.holders().is_some()
    });
    let targets: Vec<Target> = inside
        .map(|kind| Target {
            holders: Some(BTreeSet::from([resource.name.clone()])),
            ..Target::alone(kind, &resource.place)
        })
        .collect();
    let found = listing::inventory(client, &targets, &Unwatched).await;
    let requests = found.listings.iter().map(|one| one.evidence.requests).sum();
    let mut gaps = found.listings.into_iter().map(|one| one.evidence.gap);
    match gaps.find_map(|gap| gap) {
        Some(gap) => (Err(gap), requests),
        None => (Ok(found.resources), requests),
    }
}

/// Says that a list of users could not be read, why, and what to do.
fn gap(client: &Client, what: &str, failure: ListingFailure, permission: &str) -> String {
    let what_to_do = if failure.is_about_the_quota() {
        "raise --quota-share or --deadline".to_owned()
    } else {
        format!("the token needs {permission}")
    };
    format!("{what}: {}; {what_to_do}", failure.reason(client))
}

/// The users that a source shows, with the evidence of having asked.
async fn source_users(
    client: &Client,
    name: &'static str,
    place: &Place,
) -> (Result<Vec<SourceUser>, String>, Evidence) {
    let mut requests = 0;
    let mut users = Err(format!("nothing can list what {name} resources use"));
    let mut topic = format!("{name}.uses");
    if let Some(source) = providers::source(name) {
        topic = format!("{}.{topic}", source.api().key());
        for last in [false, true] {
            let asked = ask_source(client, source, place, &mut requests).await;
            let again = !last && matches!(asked, Err(ListingFailure::Disagrees(_)));
            let what = || format!("could not read what every {} binds", source.noun());
            let permission = source.permission();
            users = asked.map_err(|failure| gap(client, &what(), failure, permission));
            if !again {
                break;
            }
        }
    }
    let evidence = Evidence {
        source: topic,
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
) -> Result<Vec<SourceUser>, ListingFailure> {
    let is_absent = |body: &[u8]| source.is_absent(body);
    let users = ask_with_follow_ups(
        client,
        source.first(place),
        requests,
        is_absent,
        |ask, answer| {
            let answered = source.read(place, ask, answer)?;
            Ok(Read {
                item: answered.users,
                counted: answered.counted,
                more: answered.more,
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
    let kind = providers::by_name(kind.name()).ok_or("its kind is not known")?;
    let addresses = kind.queries().addresses;
    let query = addresses.ok_or("its kind has no addresses")?(place);
    let body = client
        .send(&query.call)
        .await
        .map_err(|error| error.to_string())?;
    (query.read)(&body).map_err(|error| client.redact(&error.0))
}
