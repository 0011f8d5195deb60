//! What Neon's documents leave open.

use bytes::Bytes;
use serde_json::Value;

use crate::call::Call;
use crate::kind::Malformed;
use crate::model::{Api, Place, PlaceSort};
use crate::providers::facts::{FactAnswer, OpenFact, SettledBy};

pub(super) static FACTS: &[OpenFact] = &[
    OpenFact {
        key: "neon_branch.count",
        expected: "the count of branches leaves out deleted ones",
        place: PlaceSort::Project,
        settled_by: SettledBy::Reading {
            ask: |place| {
                let all = branches(place, &[]).with("include_deleted", "true");
                let all = all.with("limit", "100");
                vec![branches(place, &["count"]), all]
            },
            read: count,
        },
    },
    OpenFact::by_writing(
        "neon_branch.delete-protected",
        PlaceSort::Project,
        "deleting a default or protected branch is refused",
    ),
];

fn branches(place: &Place, path: &[&str]) -> Call {
    let above = ["projects", place.id(), "branches"];
    Call::get(Api::Neon, &[&above[..], path].concat())
}

fn count(answers: &[Bytes]) -> Result<FactAnswer, Malformed> {
    let [counted, all] = answers else {
        return Err(Malformed("two answers were expected".to_owned()));
    };
    let counted: Value = serde_json::from_slice(counted)?;
    let all: Value = serde_json::from_slice(all)?;
    let (Some(count), Some(branches)) = (counted["count"].as_u64(), all["branches"].as_array())
    else {
        return Err(Malformed("there is no count or no list".to_owned()));
    };
    let is_deleted = |branch: &&Value| branch.get("recovery").is_some();
    let deleted = branches.iter().filter(is_deleted).count();
    let there = branches.len() - deleted;
    let is_whole = all["pagination"].get("next").is_none();
    // Without deleted branches, both readings are the same.
    let tells = is_whole && deleted > 0;
    Ok(FactAnswer {
        as_expected: tells.then_some(count == there as u64),
        seen: format!("counted {count}; {there} branches and {deleted} deleted ones on one page"),
    })
}
