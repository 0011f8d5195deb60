//! Confirms deletions. A resource counts as gone only if it was looked up and
//! not found: in fresh listings, repeated because listings lag; and by id for
//! resources that expire, that a provider deletes one after the other or after its
//! answer, or whose request may not have arrived; the last ones must be missing from both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;

use super::{Sweep, expiry};
use crate::kind::Kind;
use crate::model::{KindRef, Place, Resource, ResourceId};
use crate::policy::Action;
use crate::providers;
use crate::scan::{self, Target};
use crate::wire::{Client, RequestFailure};

/// Delays before each lookup by id: an accepted request may take a while to
/// show.
const ACCEPTED: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Delays for providers that carry out one deletion after the other, or only begin
/// with it when they answer.
const LATER: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
    Duration::from_secs(25),
];

/// Delays for a request that may never have arrived.
const UNCERTAIN: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// A refusal is expected to be true.
const REFUSED: &[Duration] = &[Duration::ZERO];

/// What is expected of a request by its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It was accepted.
    Effect,
    /// It may never have arrived, or have found nothing.
    Unknown,
    /// It was refused.
    NoEffect,
}

impl Expected {
    /// Returns the delays before each look. What takes effect later is looked for longer.
    fn waits(self, later: bool) -> &'static [Duration] {
        match (self, later) {
            (Self::Effect, true) => LATER,
            (Self::Effect, false) => ACCEPTED,
            (Self::Unknown, _) => UNCERTAIN,
            (Self::NoEffect, _) => REFUSED,
        }
    }
}

/// The result of looking up a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LookupResult {
    /// It does not exist.
    Gone,
    /// It exists.
    There,
    /// It exists, with the expiry that was set.
    Expires,
    /// It could not be determined.
    Unreadable(String),
}

/// Steps by the listing that shows them, each with what is expected of it.
type StepGroups<'a> = BTreeMap<(KindRef, &'a Arc<Place>), Vec<(usize, Expected)>>;

impl Sweep<'_, '_> {
    /// Looks up the resources of sent steps: by a listing if there are several,
    /// then by id. `steps` says for each what is expected of its request.
    pub(super) async fn look_up(
        &self,
        steps: &[(usize, Expected)],
    ) -> BTreeMap<usize, LookupResult> {
        let mut seen = BTreeMap::new();
        let mut by_id: Vec<(usize, Expected)> = Vec::new();
        let mut groups: StepGroups<'_> = BTreeMap::new();
        for &(step, expected) in steps {
            let id = &self.ids[step];
            let accepted = expected == Expected::Effect;
            // One that may not have been carried out must be missing from a
            // listing too: to those without access everything is "not found" by id.
            if (takes_effect_later(id.kind) && accepted) || self.action(step) != Action::Delete {
                by_id.push((step, expected));
            } else {
                let group = groups.entry((id.kind, &id.place)).or_default();
                group.push((step, expected));
            }
        }
        for (group, steps) in groups {
            seen.extend(self.look_up_in_listing(group, &steps).await);
        }
        let looked = by_id.into_iter().map(|(step, expected)| async move {
            let expires = self.action(step) == Action::Expire;
            let waits = expected.waits(takes_effect_later(self.ids[step].kind));
            let id = &self.ids[step];
            let seen = look_up_by_id(&self.finishing, id, expires, expected, waits).await;
            (step, seen)
        });
        seen.extend(join_all(looked).await);
        seen
    }

    /// Looks for resources of one kind in one place until listings no longer
    /// show them. A listed resource exists, whatever a lookup by id says. A
    /// resource whose request may not have arrived must be missing from both.
    async fn look_up_in_listing(
        &self,
        (kind, place): (KindRef, &Arc<Place>),
        steps: &[(usize, Expected)],
    ) -> BTreeMap<usize, LookupResult> {
        let mut seen = BTreeMap::new();
        let Some(kind) = providers::by_name(kind.name()) else {
            return seen;
        };
        let target = Target::plain(kind, place);
        let of: Vec<_> = steps
            .iter()
            .map(|(step, _)| self.ids[*step].clone())
            .collect();
        let target = target.among(&of);
        let mut left: Vec<(usize, Expected)> = steps.to_vec();
        for (look, wait) in ACCEPTED.iter().enumerate() {
            left.retain(|(_, expected)| look < expected.waits(false).len());
            if left.is_empty() {
                break;
            }
            if !self.finishing.pause(*wait).await {
                for (step, expected) in &left {
                    cut_short(*expected, seen.get_mut(step));
                }
                break;
            }
            let targets = std::slice::from_ref(&target);
            let listed = scan::inventory(&self.finishing, targets, self.survey.observer).await;
            let gap = listed.listings.first().and_then(|listing| {
                (!listing.complete()).then(|| listing.evidence.gap.clone().unwrap_or_default())
            });
            if let Some(why) = gap {
                for (step, _) in &left {
                    seen.insert(*step, LookupResult::Unreadable(why.clone()));
                }
                continue;
            }
            let shown: BTreeSet<ResourceId> =
                listed.resources.iter().map(Resource::identity).collect();
            for (step, expected) in std::mem::take(&mut left) {
                let id = &self.ids[step];
                let accepted = expected == Expected::Effect;
                if shown.contains(id) {
                    let last = !accepted && look + 1 == expected.waits(false).len();
                    let shown = if last && id.kind.serial {
                        self.look_at_listed(kind, id).await
                    } else {
                        LookupResult::There
                    };
                    seen.insert(step, shown);
                    left.push((step, expected));
                } else if accepted {
                    seen.insert(step, LookupResult::Gone);
                } else {
                    let by_id = look_up_once(&self.finishing, kind, id, false).await;
                    seen.insert(step, by_id);
                }
            }
        }
        seen
    }

    /// Looks up a resource by id that a listing shows.
    async fn look_at_listed(&self, kind: &dyn Kind, id: &ResourceId) -> LookupResult {
        match look_up_once(&self.finishing, kind, id, false).await {
            LookupResult::Gone => LookupResult::contradicted(),
            seen => seen,
        }
    }
}

impl LookupResult {
    /// The result where a listing shows what reading by id does not.
    pub(super) fn contradicted() -> Self {
        Self::Unreadable("the listing shows it, but reading it by id does not".to_owned())
    }
}

/// Whether a deletion of this kind may take effect a while after it was accepted.
fn takes_effect_later(kind: KindRef) -> bool {
    kind.serial || kind.asynchronous
}

/// Where the deadline left no time to look again, a request without an answer may
/// still take effect.
fn cut_short(expected: Expected, seen: Option<&mut LookupResult>) {
    if let (Expected::Unknown, Some(seen @ LookupResult::There)) = (expected, seen) {
        *seen = LookupResult::Unreadable("the deadline left no time to look again".to_owned());
    }
}

/// Looks up one resource by id until it is gone or has its new expiry.
async fn look_up_by_id(
    client: &Client,
    id: &ResourceId,
    expires: bool,
    expected: Expected,
    waits: &[Duration],
) -> LookupResult {
    let Some(kind) = providers::by_name(id.kind.name()) else {
        return LookupResult::Unreadable("its kind is not known".to_owned());
    };
    let mut last = LookupResult::There;
    for wait in waits {
        if !client.pause(*wait).await {
            cut_short(expected, Some(&mut last));
            break;
        }
        last = look_up_once(client, kind, id, expires).await;
        if last != LookupResult::There {
            break;
        }
    }
    last
}

/// Looks up one resource by id, once.
pub(crate) async fn look_up_once(
    client: &Client,
    kind: &dyn Kind,
    id: &ResourceId,
    expires: bool,
) -> LookupResult {
    let body = match client.send(&kind.inspect(id)).await {
        Ok(body) => body,
        Err(error) if matches!(error.failure, RequestFailure::NotFound { .. }) => {
            return LookupResult::Gone;
        }
        Err(error) => return LookupResult::Unreadable(error.to_string()),
    };
    if kind.was_deleted(&body) {
        return LookupResult::Gone;
    }
    match kind.read_one(&id.place, &body) {
        Err(error) => LookupResult::Unreadable(client.redact(&error.0)),
        // Another resource has the name now.
        Ok(found) if id.incarnation.is_some() && found.incarnation != id.incarnation => {
            LookupResult::Gone
        }
        Ok(found) => {
            let soon = expiry(client) + TimeDelta::minutes(1);
            if expires && found.expires_at.is_some_and(|at| at <= soon) {
                LookupResult::Expires
            } else {
                LookupResult::There
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Api;
    use crate::sweep::EXPIRY;
    use crate::wire::tests::{answered, client_of};

    fn now() -> DateTime<Utc> {
        "2026-05-01T00:00:00Z".parse().unwrap()
    }

    /// Returns the result if every request gets this answer.
    fn seen(
        kind: &str,
        incarnation: Option<&str>,
        expires: bool,
        answer: (u16, Value),
    ) -> LookupResult {
        let kind = providers::by_name(kind).unwrap();
        let place = match kind.about().0.api {
            Api::Neon => Place::Project("p".to_owned()),
            Api::Cloudflare | Api::GitHub => Place::Account("a".to_owned()),
        };
        let id = ResourceId {
            kind: kind.about(),
            place: place.into(),
            id: "1".into(),
            name: "one".into(),
            holder: None,
            incarnation: incarnation.map(Into::into),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = client_of(kind.about().0.api, move |_| {
                answered(answer.0, answer.1.to_string())
            });
            look_up_once(&client, kind, &id, expires).await
        })
    }

    #[test]
    fn reused_name_counts_as_gone() {
        let found = json!({"success": true, "result": {
            "id": "tag", "name": "one", "created_on": now(), "updated_on": now(),
        }});
        let look = |incarnation| seen("worker", incarnation, false, (200, found.clone()));
        assert_eq!(look(Some("tag")), LookupResult::There);
        assert_eq!(look(Some("before")), LookupResult::Gone);
        // Without a tag it is unknown which resource the request was for.
        assert_eq!(look(None), LookupResult::There);
    }

    #[test]
    fn one_that_is_shown_as_deleted_is_gone() {
        let look = |deleted: Value| {
            let found = json!({"id": "1", "name": "one", "deleted_at": deleted});
            let answer = json!({"success": true, "result": found});
            seen("tunnel", None, false, (200, answer))
        };
        assert_eq!(look(json!(now())), LookupResult::Gone);
        assert_eq!(look(Value::Null), LookupResult::There);
    }

    #[test]
    fn unreadable_answers_are_unknown() {
        let absent = json!({"success": false, "errors": [{"code": 10007, "message": "no"}]});
        let look = |answer| seen("worker", Some("tag"), false, answer);
        assert_eq!(look((404, absent)), LookupResult::Gone);
        for answer in [
            (200, json!({})),
            (200, json!("<html>")),
            (403, json!({})),
            (500, json!({})),
        ] {
            let message = look(answer.clone());
            assert!(
                matches!(message, LookupResult::Unreadable(_)),
                "{answer:?}: {message:?}"
            );
        }
    }

    #[test]
    fn expiry_counts_if_not_later_than_requested() {
        let look = |at: Value, expires| {
            let mut branch = json!({
                "id": "1", "name": "one", "parent_id": "0", "created_at": now(),
                "default": false, "protected": false,
            });
            branch["expires_at"] = at;
            seen(
                "neon_branch",
                None,
                expires,
                (200, json!({"branch": branch})),
            )
        };
        let soon = json!(now() + EXPIRY);
        // The provider's clock may be a minute behind ours.
        let latest = json!(now() + EXPIRY + TimeDelta::minutes(1));
        let late = json!(now() + EXPIRY + TimeDelta::minutes(2));
        assert_eq!(look(soon.clone(), true), LookupResult::Expires);
        assert_eq!(look(latest, true), LookupResult::Expires);
        assert_eq!(look(late, true), LookupResult::There);
        assert_eq!(look(Value::Null, true), LookupResult::There);
        assert_eq!(look(soon, false), LookupResult::There);
    }
}
