//! Lists who uses the resources of a kind.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use http::StatusCode;

use super::{ListingFailure, MAX_PAGES};
use crate::clock::Clock;
use crate::evidence::{Contradiction, Inventory, Users};
use crate::kind::{NextPage, PageOf};
use crate::model::{KindRef, Place, Resource};
use crate::providers;
use crate::wire::{Client, Outgoing};

/// Who uses what, and when those were made that a listing must show.
pub(super) struct ListedUsers {
    pub(super) users: Users,
    pub(super) since: BTreeMap<Box<str>, DateTime<Utc>>,
    /// Resources of other kinds, by kind and id, that the list shows to be attached.
    pub(super) attached: Vec<(&'static str, Box<str>)>,
    pub(super) requests: u32,
}

pub(super) async fn users(
    client: &Client,
    kind: KindRef,
    place: &Place,
) -> Result<ListedUsers, ListingFailure> {
    let missing = || ListingFailure::Disagrees("this kind has no list of users".to_owned());
    let kind = providers::by_name(kind.name()).ok_or_else(missing)?;
    let users = kind.queries().users.ok_or_else(missing)?;
    let first = users(place, &PageOf::First);
    let read = first.read;
    // An API that is absent shows no users, which does not mean that there are none.
    let first = read(&client.send(&first.call).await?)?;
    let total = first.total;
    let pages = match first.next {
        NextPage::Pages(pages) => pages.min(MAX_PAGES),
        NextPage::Last | NextPage::After(_) | NextPage::More => 1,
    };
    let calls: Vec<_> = (2..=pages)
        .map(|number| users(place, &PageOf::Number(number)).call)
        .collect();
    let mut all = vec![first];
    for body in join_all(calls.iter().map(|call| client.send(call))).await {
        let page = read(&body?)?;
        if page.total != total {
            return Err(ListingFailure::Disagrees(
                "the total changed between two pages".to_owned(),
            ));
        }
        all.push(page);
    }
    let mut listed = ListedUsers {
        users: Users::default(),
        since: BTreeMap::new(),
        attached: Vec::new(),
        requests: u32::try_from(pages).unwrap_or(u32::MAX),
    };
    for page in all {
        listed.users.pairs.extend(page.uses);
        listed.attached.extend(page.attached);
        listed.users.references.extend(page.references);
        for shown in page.shown {
            if let Some(since) = shown.listed_since {
                listed.since.insert(shown.id.clone(), since);
            }
            if let Some(deployed) = shown.deployed_at {
                listed.users.deployed.insert(shown.id.clone(), deployed);
            }
            if shown.is_marked {
                listed.users.marked.insert(shown.id.clone());
            }
            listed.users.shown.insert(shown.id);
        }
    }
    // A page that came twice hides another.
    let items = listed.users.shown.len() as u64;
    if total != Some(items) {
        return Err(ListingFailure::Disagrees(format!(
            "{items} were listed where the provider counts {}",
            total.unwrap_or_default()
        )));
    }
    Ok(listed)
}

/// A resource that was there before the run and that the listing of its kind
/// leaves out, if any: then the listing is not what it seems.
pub(super) fn left_out(
    inventory: &Inventory,
    kind: KindRef,
    place: &Place,
    listed: &ListedUsers,
    clock: Clock,
) -> Option<Contradiction> {
    let here = |resource: &&Resource| resource.kind == kind && *resource.place == *place;
    let resources = || inventory.resources.iter().filter(here);
    let there: HashSet<&str> = resources().map(|resource| &*resource.id).collect();
    let mut since = listed.since.iter();
    let unlisted = since.find(|(id, since)| **since < clock.start() && !there.contains(&***id));
    if let Some((id, _)) = unlisted {
        return Some(Contradiction {
            kind,
            place: place.clone(),
            why: format!(
                "the listing of {kind} leaves {id} out, which the list of their users shows; run \
                 again"
            ),
        });
    }
    None
}

/// The first resource of another kind that the list shows to be attached and that the
/// listing of its kind leaves out, unless it is gone when it is asked for by its id: then
/// that listing is not what it seems.
pub(super) async fn unlisted(
    client: &Client,
    inventory: &Inventory,
    place: &Place,
    listed: &ListedUsers,
) -> Option<Contradiction> {
    let resources = inventory.resources.iter();
    let ids: HashSet<(&str, &str)> = resources
        .filter(|one| *one.place == *place)
        .map(|one| (one.kind.name(), &*one.id))
        .collect();
    let listings = inventory.listings.iter();
    let read: HashSet<&str> = listings
        .filter(|listing| listing.complete() && *listing.place == *place)
        .map(|listing| listing.kind.name())
        .collect();
    let attached = listed.attached.iter();
    let missing = attached.filter(|(kind, id)| read.contains(kind) && !ids.contains(&(*kind, id)));
    for (name, id) in missing {
        let kind = providers::by_name(name)?;
        let place_of = Arc::new(place.clone());
        let resource = Resource::new(kind.about(), &place_of, id.clone(), id.clone());
        let call = kind.inspect(&resource.identity());
        let answer = client.exchange(&Outgoing::from(&call)).await;
        if answer.is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND) {
            continue;
        }
        return Some(Contradiction {
            kind: kind.about(),
            place: place.clone(),
            why: format!(
                "the listing of {name} leaves {id} out, which another list shows to be attached; \
                 run again"
            ),
        });
    }
    None
}

/// The resources that were there before the run and that the list of their users
/// leaves out.
pub(super) fn hidden<'i>(
    inventory: &'i Inventory,
    kind: KindRef,
    place: &Place,
    listed: &ListedUsers,
    clock: Clock,
) -> Vec<&'i Resource> {
    let made_before = |resource: &Resource| {
        let made = resource.created_at.known();
        made.is_some_and(|made| made < clock.start())
    };
    let here = |resource: &&Resource| resource.kind == kind && *resource.place == *place;
    // What this run deleted is there only for what it left behind.
    let resources = inventory.resources.iter().enumerate();
    let resources = resources.filter(|(index, _)| !inventory.is_deleted_maker(*index));
    let resources = resources.map(|(_, one)| one).filter(here);
    let shown = &listed.users.shown;
    resources
        .filter(|one| made_before(one) && !shown.contains(&one.id))
        .collect()
}
