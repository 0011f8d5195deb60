//! What can be asked about all branches of a project beside their listing.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{BranchesPage, NeonBranch, project};
use crate::call::Call;
use crate::kind::{Addressed, CountedPage, Kind as _, PageOf, Query};
use crate::model::{Api, Place, Time};

#[derive(Deserialize)]
struct Endpoints {
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    id: Box<str>,
    branch_id: Box<str>,
    current_state: String,
    last_active: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

pub(super) fn count(place: &Place) -> Query<u64> {
    let path = ["projects", project(place), "branches", "count"];
    Query {
        call: Call::get(Api::Neon, &path),
        read: |body| Ok(serde_json::from_slice::<Count>(body)?.count),
    }
}

/// Branches with those that were deleted and can be recovered: whether Neon's
/// count includes these is not documented.
pub(super) fn counted(place: &Place, page: &PageOf) -> Query<CountedPage> {
    Query {
        call: NeonBranch
            .list(place, None, page)
            .with("include_deleted", "true"),
        read: |body| {
            let page: BranchesPage = serde_json::from_slice(body)?;
            let next = page.next();
            let items = page.branches.into_iter();
            let items = items.map(|branch| (branch.id, branch.recovery.is_some()));
            Ok(CountedPage {
                items: items.collect(),
                next,
            })
        },
    }
}

/// The compute endpoints of a project.
fn endpoints(place: &Place) -> Call {
    Call::get(Api::Neon, &["projects", project(place), "endpoints"])
}

pub(super) fn activity(place: &Place) -> Query<Vec<(Box<str>, Time)>> {
    Query {
        call: endpoints(place),
        read: |body| {
            let answer: Endpoints = serde_json::from_slice(body)?;
            let activity = answer.endpoints.into_iter().map(|endpoint| {
                // A compute that runs is active now, whatever its last time says.
                let at = endpoint
                    .last_active
                    .filter(|_| endpoint.current_state == "idle");
                (endpoint.branch_id, Time::always(at))
            });
            Ok(activity.collect())
        },
    }
}

/// Whoever connects names the compute endpoint, not the branch.
pub(super) fn addresses(place: &Place) -> Query<Vec<Addressed>> {
    Query {
        call: endpoints(place),
        read: |body| {
            let answer: Endpoints = serde_json::from_slice(body)?;
            let endpoints = answer.endpoints.into_iter().map(|endpoint| Addressed {
                id: endpoint.branch_id,
                address: endpoint.id,
            });
            Ok(endpoints.collect())
        },
    }
}
