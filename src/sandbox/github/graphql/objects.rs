//! The objects of the schema, complete: what a query selects of them is decided later.

use serde_json::{Value, json};

use crate::sandbox::github::{GitHub, number_of, sha, time};
use crate::sandbox::world::{WorldPullRequest, WorldPullRequestState};

/// The key of the items of a connection inside of an object.
pub(super) const HELD: &str = "__held";

pub(super) fn pull_json(github: &GitHub, pull: &WorldPullRequest) -> Value {
    let full_name = github.full_name();
    let head_owner = pull
        .head_repo
        .as_deref()
        .and_then(|name| name.split('/').next());
    let labels: Vec<Value> = pull.labels.iter().map(|label| label_json(label)).collect();
    let removals = pull.unlabeled.iter().enumerate().map(|(at, removal)| {
        json!({
            "__typename": "UnlabeledEvent", "itemType": "UNLABELED_EVENT", "id": format!("UNLE_{at}"),
            "createdAt": time(removal.at), "label": label_json(&removal.label),
        })
    });
    let removals: Vec<Value> = removals.collect();
    json!({
        "__typename": "PullRequest", "id": format!("PR_{}", number_of(&format!("{full_name}{}", pull.number))),
        "number": pull.number, "state": state(pull), "isDraft": pull.draft, "title": pull.title_text(),
        "url": format!("https://github.com/{full_name}/pull/{}", pull.number),
        "headRefName": pull.head_ref, "headRefOid": sha(&format!("{}{}", pull.head_ref, pull.number)),
        "headRepository": pull.head_repo.as_ref().map(|name| json!({"__typename": "Repository", "nameWithOwner": name, "id": format!("R_{}", number_of(name)), "databaseId": number_of(name)})),
        "headRepositoryOwner": head_owner.map(|login| json!({"__typename": "User", "login": login})),
        "isCrossRepository": pull.head_repo.as_deref().is_none_or(|name| !name.eq_ignore_ascii_case(&full_name)),
        "labels": {"__typename": "LabelConnection", HELD: labels},
        "timelineItems": {"__typename": "PullRequestTimelineItemsConnection", HELD: removals},
        "baseRefName": github.default_branch(), "merged": pull.merged,
        "closed": pull.state == WorldPullRequestState::Closed,
        "mergedAt": pull.merged_time().map(time), "closedAt": pull.closed_at.map(time),
        "createdAt": pull.opened().map(time), "updatedAt": pull.updated_at.or(pull.closed_at).map(time),
    })
}

fn label_json(name: &str) -> Value {
    json!({
        "__typename": "Label", "id": format!("LA_{}", number_of(name)), "name": name,
        "color": "ededed", "description": null, "isDefault": false,
    })
}

pub(super) fn reference(name: &str) -> Value {
    json!({
        "__typename": "Ref", "id": format!("REF_{}", number_of(name)), "name": name, "prefix": "refs/heads/",
        "target": {"__typename": "Commit", "oid": sha(name)},
    })
}

pub(super) fn state(pull: &WorldPullRequest) -> &'static str {
    match (pull.state, pull.merged) {
        (WorldPullRequestState::Open, _) => "OPEN",
        (WorldPullRequestState::Closed, true) => "MERGED",
        (WorldPullRequestState::Closed, false) => "CLOSED",
    }
}
