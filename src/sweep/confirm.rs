//! Gone means looked and not found: a fresh listing for many, by id for what a
//! listing still shows, because lists lag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;

use super::{EXPIRY, Sweep};
use crate::kinds::{self, Kind};
use crate::model::{KindRef, Place, Resource, ResourceId};
use crate::policy::Action;
use crate::scan::{self, Target};
use crate::wire::{Client, Failure};

/// How long to wait before each look by id: what was accepted may take a while
/// to show.
const ACCEPTED: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The same for what may never have arrived.
const UNCERTAIN: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// What a look for a resource shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is not there.
    Gone,
    /// It is there.
    There,
    /// It is there, with the expiry that it was given.
    Expires,
    /// Nobody knows.
    Unreadable(String),
}

/// Steps by what one listing shows, each with whether it was accepted.
type Groups<'a> = BTreeMap<(KindRef, &'a Arc<Place>), Vec<(usize, bool)>>;

impl Sweep<'_, '_> {
    /// Looks for what was sent: by a listing where there are several, then by
    /// id. Of each step whether it was accepted.
    pub(super) async fn look_for(&self, steps: &[(usize, bool)]) -> BTreeMap<usize, Seen> {
        let mut seen = BTreeMap::new();
        let mut by_id: Vec<(usize, bool)> = Vec::new();
        let mut groups: Groups<'_> = BTreeMap::new();
        for &(step, accepted) in steps {
            let id = &self.ids[step];
            if id.kind.0.serial || self.action(step) != Action::Delete {
                by_id.push((step, accepted));
            } else {
                let group = groups.entry((id.kind, &id.place)).or_default();
                group.push((step, accepted));
            }
        }
        let targets = groups.keys().filter_map(|(kind, place)| {
            Some(Target {
                kind: kinds::by_name(kind.name())?,
                place: Arc::clone(place),
                needed: true,
                activity: false,
            })
        });
        let targets: Vec<_> = targets.collect();
        let listed = scan::inventory(&self.finishing, &targets, self.survey.observer).await;
        let complete: BTreeSet<(KindRef, &Arc<Place>)> = listed
            .listings
            .iter()
            .filter(|listing| listing.complete())
            .map(|listing| (listing.kind, &listing.place))
            .collect();
        let shown = listed.resources.iter().chain(&listed.referrers);
        let shown: BTreeSet<ResourceId> = shown.map(Resource::identity).collect();
        for (group, steps) in &groups {
            for &(step, accepted) in steps {
                if complete.contains(group) && !shown.contains(&self.ids[step]) {
                    seen.insert(step, Seen::Gone);
                } else {
                    by_id.push((step, accepted));
                }
            }
        }
        let looked = by_id.into_iter().map(|(step, accepted)| async move {
            let expires = self.action(step) == Action::Expire;
            let waits = if accepted { ACCEPTED } else { UNCERTAIN };
            let seen = look_by_id(&self.finishing, &self.ids[step], expires, waits).await;
            (step, seen)
        });
        seen.extend(join_all(looked).await);
        seen
    }
}

/// Looks for one resource by id until it is gone, or for its new expiry.
async fn look_by_id(client: &Client, id: &ResourceId, expires: bool, waits: &[Duration]) -> Seen {
    let Some(kind) = kinds::by_name(id.kind.name()) else {
        return Seen::Unreadable("its kind is not known".to_owned());
    };
    let mut last = Seen::There;
    for wait in waits {
        tokio::time::sleep(*wait).await;
        last = look_once(client, kind, id, expires).await;
        if last != Seen::There {
            break;
        }
    }
    last
}

/// Looks for one resource by id, once.
pub(crate) async fn look_once(
    client: &Client,
    kind: &dyn Kind,
    id: &ResourceId,
    expires: bool,
) -> Seen {
    let body = match client.send(&kind.inspect(id)).await {
        Ok(body) => body,
        Err(error) if matches!(error.failure, Failure::NotFound { .. }) => return Seen::Gone,
        Err(error) => return Seen::Unreadable(error.to_string()),
    };
    match kind.read_one(&id.place, &body) {
        Err(error) => Seen::Unreadable(error.to_string()),
        // The name was given to another one.
        Ok(found) if id.incarnation.is_some() && found.incarnation != id.incarnation => Seen::Gone,
        Ok(found) => {
            let soon = client.clock().now() + EXPIRY + TimeDelta::minutes(1);
            if expires && found.expires_at.is_some_and(|at| at <= soon) {
                Seen::Expires
            } else {
                Seen::There
            }
        }
    }
}
