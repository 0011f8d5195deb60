//! Lists targets: pages, holders, details and activity, and whether all of it
//! agrees.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use http::StatusCode;

use super::{ListingFailure, MAX_PAGES, Target};
use crate::call::Call;
use crate::evidence::{Evidence, Inventory, Listing};
use crate::kind::{Activity, Details, Holder, Holders, NextPage, PageOf, ReferenceAnswer};
use crate::model::{Resource, Time};
use crate::progress::{Observer, ProgressEvent};
use crate::wire::error::refusal;
use crate::wire::{Client, Outgoing};

/// Asks for what the listing of a kind does not show of each resource.
async fn details(
    client: &Client,
    details: &dyn Details,
    items: &mut [Resource],
) -> Result<(), ListingFailure> {
    let calls = items.iter().enumerate();
    let calls: Vec<_> = calls
        .map(|(index, item)| (index, details.ask(item)))
        .collect();
    let answers: Vec<_> = stream::iter(calls)
        .map(|(index, call)| async move {
            let answer = client.exchange(&Outgoing::from(&call)).await;
            (index, call, answer)
        })
        .buffer_unordered(HOLDERS_TOGETHER)
        .collect()
        .await;
    for (index, call, answer) in answers {
        let response = answer?;
        let status = response.status();
        let answer = if status == StatusCode::NOT_FOUND {
            ReferenceAnswer::Missing(response.body())
        } else if status.is_success() {
            ReferenceAnswer::Body(response.body())
        } else {
            let failure = refusal(call.api, &response);
            return Err(client.error(&Outgoing::from(&call), failure).into());
        };
        details.read(&mut items[index], answer)?;
    }
    Ok(())
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
    let mut walk = ListingWalk::default();
    let allowance = async {
        if target.user_only {
            return None;
        }
        let allowance = target.kind.queries().allowance?(&target.place);
        // Only for the report: without it there are the documented limits.
        let body = client.send(&allowance.call).await.ok()?;
        (allowance.read)(&body).ok().flatten()
    };
    let listing = async {
        let mut result = walk.run(client, target).await;
        if let Err(ListingFailure::Disagrees(_)) = result {
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
        ListingFailure::Refused(error) => error.to_string(),
        ListingFailure::Disagrees(why) => format!("{} (listed twice)", client.redact(&why)),
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
    observer.step(ProgressEvent::Listed(&evidence));
    let mut resources = walk.items;
    let activity = activity.map(|activity| note_activity(target, activity, &mut resources));
    let listing = Listing {
        kind: about,
        place: target.place.clone(),
        evidence,
        allowance,
        user_only: target.user_only,
    };
    (listing, resources, activity)
}

/// When the resources of a target were last active, if a rule asks.
async fn activity(client: &Client, target: &Target) -> Option<Result<Activity, String>> {
    let activity = target.kind.queries().activity?(&target.place);
    if !target.activity {
        return None;
    }
    let body = match client.send(&activity.call).await {
        Ok(body) => body,
        Err(error) => return Some(Err(error.to_string())),
    };
    Some((activity.read)(&body).map_err(|error| client.redact(&error.0)))
}

/// Writes down when each was last active. A time that could not be read counts as
/// missing, which keeps the resource.
fn note_activity(
    target: &Target,
    activity: Result<Activity, String>,
    resources: &mut [Resource],
) -> Evidence {
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
            (Ok(_), None) => Time::Unsupported,
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
struct ListingWalk {
    /// The holder whose resources are listed, where they are listed by holder.
    holder: Option<Box<str>>,
    items: Vec<Resource>,
    total: Option<u64>,
    requests: u32,
}

/// Holders whose resources are listed at the same time.
const HOLDERS_TOGETHER: usize = 16;

impl ListingWalk {
    /// Reads the listing from its first page to its last, and the count beside
    /// it where the pages do not have one. What changes in between makes them
    /// disagree, and then both are read again.
    async fn run(&mut self, client: &Client, target: &Target) -> Result<(), ListingFailure> {
        let count = async {
            let Some(count) = target.kind.queries().count else {
                return Ok(None);
            };
            let count = count(&target.place);
            let body = client.send(&count.call).await?;
            Ok::<_, ListingFailure>(Some((count.read)(&body)?))
        };
        match (target.kind.holders(), &target.holders) {
            (Some(kind), None) => {
                let holders = self.holders(client, target, kind).await?;
                return self.by_holder(client, target, holders).await;
            }
            // What a holder serves may have changed since.
            (Some(kind), Some(among)) if target.served => {
                let mut holders = self.holders(client, target, kind).await?;
                holders.retain(|holder| among.contains(&holder.name));
                return self.by_holder(client, target, holders).await;
            }
            (_, Some(among)) => {
                let holders = among.iter().cloned().map(Holder::named);
                return self.by_holder(client, target, holders.collect()).await;
            }
            (None, None) => {}
        }
        let (pages, count) = tokio::join!(self.pages(client, target), count);
        pages?;
        if let Some(count) = count? {
            self.requests += 1;
            self.total = Some(count);
        }
        if self.agrees().is_err() {
            self.leave_out_deleted(client, target).await?;
        }
        self.agrees()
    }

    /// Corrects a count that includes what was deleted and can be recovered. It is
    /// corrected only if a listing with the deleted ones shows as many as were
    /// counted, and the same that are not deleted.
    async fn leave_out_deleted(
        &mut self,
        client: &Client,
        target: &Target,
    ) -> Result<(), ListingFailure> {
        let (Some(counted), Some(total)) = (target.kind.queries().counted, self.total) else {
            return Ok(());
        };
        let (mut there, mut deleted) = (BTreeSet::new(), BTreeSet::new());
        let mut page = PageOf::First;
        for _ in 0..MAX_PAGES {
            let query = counted(&target.place, &page);
            self.requests += 1;
            let shown = (query.read)(&client.send(&query.call).await?)?;
            for (id, is_deleted) in shown.items {
                let ids = if is_deleted { &mut deleted } else { &mut there };
                ids.insert(id);
            }
            let NextPage::After(cursor) = shown.next else {
                let listed: BTreeSet<_> = self.items.iter().map(|item| &item.id).collect();
                let same = there.iter().collect::<BTreeSet<_>>() == listed;
                if same && total == (there.len() + deleted.len()) as u64 {
                    self.total = Some(there.len() as u64);
                }
                break;
            };
            page = PageOf::Cursor(cursor);
        }
        Ok(())
    }

    /// Whether as many were listed as the provider counts.
    fn agrees(&self) -> Result<(), ListingFailure> {
        match self.total {
            Some(total) if total != self.items.len() as u64 => {
                Err(ListingFailure::Disagrees(format!(
                    "{} were listed where the provider counts {total}",
                    self.items.len()
                )))
            }
            _ => Ok(()),
        }
    }

    /// Lists what each of these holds.
    async fn by_holder(
        &mut self,
        client: &Client,
        target: &Target,
        holders: BTreeSet<Holder>,
    ) -> Result<(), ListingFailure> {
        self.items.clear();
        self.total = None;
        let walks: Vec<Result<Self, ListingFailure>> = stream::iter(holders)
            .map(|holder| async move {
                let mut walk = Self {
                    holder: Some(holder.name.clone()),
                    ..Self::default()
                };
                walk.pages(client, target).await?;
                walk.agrees()?;
                if let (Some(kind), true) = (target.kind.holders(), target.served) {
                    kind.mark_served(&holder, &mut walk.items);
                }
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
            .sort_by(|a, b| (&a.holder, &a.id).cmp(&(&b.holder, &b.id)));
        Ok(())
    }

    async fn holders(
        &mut self,
        client: &Client,
        target: &Target,
        kind: &dyn Holders,
    ) -> Result<BTreeSet<Holder>, ListingFailure> {
        let mut names = BTreeSet::new();
        let mut page = PageOf::First;
        for number in 2..=MAX_PAGES {
            let query = kind.page(&target.place, &page);
            self.requests += 1;
            let holders = (query.read)(&client.send(&query.call).await?)?;
            names.extend(holders.holders);
            match holders.next {
                NextPage::Pages(pages) if number <= pages => page = PageOf::Number(number),
                NextPage::Last | NextPage::Pages(_) | NextPage::After(_) | NextPage::More => {
                    let listed = names.len() as u64;
                    if holders.total.is_some_and(|total| total != listed) {
                        return Err(ListingFailure::Disagrees(format!(
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

    /// Asks for what the listing does not show of each.
    async fn details(&mut self, client: &Client, target: &Target) -> Result<(), ListingFailure> {
        let Some(of_kind) = target.kind.details() else {
            return Ok(());
        };
        self.requests += u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        details(client, of_kind, &mut self.items).await
    }

    async fn pages(&mut self, client: &Client, target: &Target) -> Result<(), ListingFailure> {
        self.items.clear();
        self.total = None;
        let mut seen = HashSet::new();
        let mut page = self.page(client, target, &PageOf::First, &mut seen).await?;
        let mut pages = 1;
        loop {
            match page {
                NextPage::Last => break,
                NextPage::Pages(count) if count > MAX_PAGES => {
                    return Err(ListingFailure::Disagrees(format!(
                        "{count} pages are more than any listing has"
                    )));
                }
                NextPage::Pages(count) => {
                    self.rest(client, target, count, &mut seen).await?;
                    break;
                }
                NextPage::After(_) | NextPage::More => {
                    pages += 1;
                    let before = seen.len();
                    let next = match page {
                        NextPage::After(cursor) => PageOf::Cursor(cursor),
                        _ => PageOf::Number(pages),
                    };
                    page = self.page(client, target, &next, &mut seen).await?;
                    // A page without new items that names a next page would never
                    // end.
                    if (seen.len() == before && page != NextPage::Last) || pages > MAX_PAGES {
                        return Err(ListingFailure::Disagrees(format!(
                            "page {pages} repeats earlier items"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    fn call(&self, target: &Target, page: &PageOf) -> Call {
        let holder = self.holder.as_deref();
        let list = target.kind.list(&target.place, holder, page);
        match target.kind.holders() {
            Some(holders) if !target.production => holders.without_production(list),
            _ => list,
        }
    }

    /// Decodes one page and returns how the listing continues.
    async fn page(
        &mut self,
        client: &Client,
        target: &Target,
        page: &PageOf,
        seen: &mut HashSet<Box<str>>,
    ) -> Result<NextPage, ListingFailure> {
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
    ) -> Result<(), ListingFailure> {
        let total = self.total;
        let calls: Vec<_> = (2..=pages)
            .map(|number| self.call(target, &PageOf::Number(number)))
            .collect();
        for body in join_all(calls.iter().map(|call| client.send(call))).await {
            self.requests += 1;
            self.take(target, &body?, seen)?;
            if self.total != total {
                return Err(ListingFailure::Disagrees(
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
    ) -> Result<NextPage, ListingFailure> {
        let page = target.kind.read_page(&target.place, body)?;
        self.total = page.total;
        // Pages shift while others create and delete, so an item may come twice.
        let holder = self.holder.as_ref();
        let fresh = page.items.into_iter();
        let fresh = fresh.filter(|item| seen.insert(item.id.clone()));
        self.items.extend(fresh.map(|mut item| {
            item.holder = item.holder.or_else(|| holder.cloned());
            item
        }));
        Ok(page.next)
    }
}
