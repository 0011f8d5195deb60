//! What Cloudflare's documents leave open.

use bytes::Bytes;
use serde_json::Value;

use super::envelope;
use crate::call::Call;
use crate::kind::Malformed;
use crate::model::{Api, Place, PlaceSort};
use crate::providers::facts::{FactAnswer, OpenFact, SettledBy};

/// The size of a page of Hyperdrive configurations, where none is asked for.
const DEFAULT_PAGE: u64 = 20;

pub(super) static FACTS: &[OpenFact] = &[
    OpenFact {
        key: "hyperdrive.default-page",
        expected: "a page of Hyperdrive configurations has 20 where no size is asked for",
        place: PlaceSort::Account,
        settled_by: SettledBy::Reading {
            ask: |place| vec![get(place, &["hyperdrive", "configs"])],
            read: default_page,
        },
    },
    OpenFact {
        key: "worker.total",
        expected: "both lists of Workers have the same total",
        place: PlaceSort::Account,
        settled_by: SettledBy::Reading {
            ask: |place| {
                let newer = get(place, &["workers", "workers"]);
                vec![get(place, &["workers", "scripts"]), newer]
            },
            read: worker_totals,
        },
    },
    OpenFact::by_writing(
        "worker.delete",
        PlaceSort::Account,
        "deleting a Worker deletes its Previews, domains and routes",
    ),
    OpenFact::by_writing(
        "kv_namespace.delete-bound",
        PlaceSort::Account,
        "a namespace that is bound can be deleted",
    ),
    OpenFact::by_writing(
        "kv_namespace.past-expiration",
        PlaceSort::Account,
        "a bulk write with an expiration in the past is refused",
    ),
];

fn get(place: &Place, path: &[&str]) -> Call {
    Call::get(Api::Cloudflare, &[&["accounts", place.id()], path].concat())
}

fn default_page(answers: &[Bytes]) -> Result<FactAnswer, Malformed> {
    let body = answers.first().map(|body| &body[..]).unwrap_or_default();
    envelope::open::<Vec<Value>>(body)?;
    let answer: Value = serde_json::from_slice(body)?;
    let size = answer["result_info"]["per_page"].as_u64();
    Ok(FactAnswer {
        as_expected: size.map(|size| size == DEFAULT_PAGE),
        seen: size.map_or_else(
            || "the answer names no size".to_owned(),
            |size| format!("{size} on a page"),
        ),
    })
}

fn worker_totals(answers: &[Bytes]) -> Result<FactAnswer, Malformed> {
    let [classic, newer] = answers else {
        return Err(Malformed("two answers were expected".to_owned()));
    };
    let (scripts, _) = envelope::open::<Vec<Value>>(classic)?;
    envelope::open::<Vec<Value>>(newer)?;
    let newer: Value = serde_json::from_slice(newer)?;
    let total = newer["result_info"]["total_count"].as_u64();
    let listed = scripts.len();
    Ok(FactAnswer {
        as_expected: total.map(|total| total == listed as u64),
        seen: total.map_or_else(
            || format!("{listed} scripts, and no total of Workers"),
            |total| format!("{listed} scripts and {total} Workers"),
        ),
    })
}
