//! Asks, and asks what the answers lead to.

use std::collections::{BTreeMap, HashSet};

use futures::stream::{self, StreamExt as _};
use http::StatusCode;

use super::{ListingFailure, MAX_PAGES};
use crate::kind::{Ask, Counted, Malformed, ReferenceAnswer};
use crate::wire::{Client, Outgoing};

/// Questions of one conversation that are asked side by side.
const ASKED_TOGETHER: usize = 16;

/// What is read from each answer of a conversation.
pub(super) struct Read<T> {
    pub(super) item: T,
    pub(super) counted: Option<Counted>,
    pub(super) more: Vec<Ask>,
}

/// Asks, and asks what the answers lead to, until nothing is left to ask. Gives
/// what was read from each answer; nothing at all when the first answer is a
/// refusal which says that the account does not have such things. Pages that do
/// not agree with the total that they name are an error, as is every answer but
/// a body and a 404.
pub(super) async fn ask_with_follow_ups<T>(
    client: &Client,
    first: Vec<Ask>,
    requests: &mut u32,
    is_absent: impl Fn(&[u8]) -> bool,
    read: impl Fn(&Ask, ReferenceAnswer<'_>) -> Result<Read<T>, Malformed>,
) -> Result<Vec<T>, ListingFailure> {
    let mut items = Vec::new();
    let mut lists: BTreeMap<String, (u64, HashSet<Box<str>>)> = BTreeMap::new();
    let mut open = first;
    let mut asked = 0;
    while !open.is_empty() {
        asked += open.len() as u64;
        if asked > MAX_PAGES {
            return Err(ListingFailure::Disagrees(format!(
                "{asked} requests are more than any answer needs"
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
            let response = answer.map_err(ListingFailure::Refused)?;
            let status = response.status();
            if status == StatusCode::NOT_FOUND {
                let found = read(&ask, ReferenceAnswer::Missing(response.body()))?;
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
                return Err(ListingFailure::Refused(client.error(&outgoing, failure)));
            }
            let found = read(&ask, ReferenceAnswer::Body(response.body()))?;
            if let Some(Counted { list, total, items }) = found.counted {
                let (counted, distinct) =
                    lists.entry(list).or_insert_with(|| (total, HashSet::new()));
                if *counted != total {
                    return Err(ListingFailure::Disagrees(
                        "the total changed between two pages".to_owned(),
                    ));
                }
                distinct.extend(items);
            }
            items.push(found.item);
            open.extend(found.more);
        }
    }
    for (list, (total, distinct)) in lists {
        if distinct.len() as u64 != total {
            return Err(ListingFailure::Disagrees(format!(
                "{} {list} were listed where the provider counts {total}",
                distinct.len()
            )));
        }
    }
    Ok(items)
}
