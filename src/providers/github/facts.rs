//! What GitHub's documents leave open.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::call::Call;
use crate::kind::Malformed;
use crate::model::{Api, Place, PlaceSort};
use crate::providers::facts::{FactAnswer, OpenFact, SettledBy};

/// As many numbers as a run asks for in one query at most.
const ALIASES: usize = 100;

pub(super) static FACTS: &[OpenFact] = &[
    OpenFact {
        key: "graphql.aliases",
        expected: "one query may ask for 100 pull requests by number",
        place: PlaceSort::Repository,
        settled_by: SettledBy::Reading {
            ask: |place| vec![by_number(place)],
            read: aliases,
        },
    },
    OpenFact::by_writing(
        "issue.edits",
        PlaceSort::Repository,
        "an edit of an issue has the whole text",
    ),
    OpenFact::by_writing(
        "github_deployment.inactive",
        PlaceSort::Repository,
        "a deployment of a deleted branch can be made inactive",
    ),
];

fn by_number(place: &Place) -> Call {
    let (owner, name) = place.id().split_once('/').unwrap_or_default();
    let numbers = (1..=ALIASES).map(|n| format!("p{n}: pullRequest(number: {n}) {{ number }}"));
    let fields: Vec<String> = numbers.collect();
    let query = format!(
        "query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ {} }} }}",
        fields.join(" ")
    );
    let body = json!({"query": query, "variables": {"owner": owner, "name": name}});
    Call::new(Api::GitHub, Method::POST, &["graphql"]).json(&body)
}

fn aliases(answers: &[Bytes]) -> Result<FactAnswer, Malformed> {
    let body = answers.first().map(|body| &body[..]).unwrap_or_default();
    let answer: Value = serde_json::from_slice(body)?;
    let fields = answer["data"]["repository"].as_object();
    let errors = answer["errors"].as_array().into_iter().flatten();
    let (missing, others): (Vec<&Value>, Vec<&Value>) =
        errors.partition(|error| error["type"] == "NOT_FOUND");
    let shown = fields.map_or(0, |fields| {
        fields.values().filter(|one| !one.is_null()).count()
    });
    Ok(FactAnswer {
        as_expected: Some(others.is_empty() && shown + missing.len() == ALIASES),
        seen: format!(
            "{shown} shown, {} missing, {} other errors",
            missing.len(),
            others.len()
        ),
    })
}
