//! The contract of every kind, over HTTP: against the sandbox, and against real
//! accounts where `PREVIEW_GC_LIVE` names what may be touched.
//!
//! ```sh
//! PREVIEW_GC_LIVE="account=ID zone=ID project=ID repository=owner/name" cargo test --test live
//! ```
//!
//! The tokens are those of the program. What is left out is not touched. All that
//! is made has a name that begins with the random prefix of the run, is journaled
//! before it is made, and is removed at the end, whatever fails. A run sends at
//! most 200 requests. It prints what the providers answered as a JSON document,
//! which belongs in a bug report if the answers differ from the sandbox's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test that fails should say where"
)]

mod contract;
mod recipes;
mod scope;
#[path = "../support/mod.rs"]
mod support;
mod values;

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use contract::Suite;
use scope::Scope;

/// Writes past the capture of the test runner, so that a run always shows it.
fn tell(text: &str) {
    let mut stderr = std::io::stderr();
    stderr.write_all(text.as_bytes()).unwrap();
    stderr.write_all(b"\n").unwrap();
}

/// Runs the suite and removes what it made; returns the answers, and what was
/// wrong.
async fn run(scope: &Scope) -> (BTreeMap<String, Value>, Vec<String>) {
    let mut suite = Suite::new(scope);
    let mut wrong = suite.every_kind().await;
    wrong.extend(suite.remove_everything().await);
    tell(&format!("{} requests", suite.requests()));
    if wrong.is_empty() {
        std::fs::remove_file(suite.journal()).unwrap();
    } else {
        tell(&format!(
            "what was made is in {}",
            suite.journal().display()
        ));
    }
    (suite.answers(), wrong)
}

/// Kinds that the suite does not make: these need the upload of files.
const NOT_MADE: [&str; 1] = ["pages_deployment"];

fn sandbox() -> (support::Server, Scope) {
    let server = support::Server::start(&[]);
    let variables: BTreeMap<String, String> = server.environment.iter().cloned().collect();
    let scope = Scope::is_sandbox(&variables);
    (server, scope)
}

#[tokio::test]
async fn every_kind_keeps_its_contract_in_the_sandbox() {
    let (server, scope) = sandbox();
    let (answers, wrong) = run(&scope).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in preview_gc::providers::kinds() {
        let name = kind.about().name();
        let made = answers.contains_key(&format!("{name}.delete"));
        let excused = NOT_MADE.contains(&name);
        assert_ne!(
            made, excused,
            "{name} needs a recipe in tests/live/recipes.rs"
        );
    }
    let left = server.control("GET", "state", "");
    let left = left.to_string();
    assert!(!left.contains(scope.prefix()), "something is left: {left}");
}

#[tokio::test]
async fn every_kind_keeps_its_contract_in_the_accounts_of_preview_gc_live() {
    let Some(scope) = Scope::of_environment(|name| std::env::var(name).ok()) else {
        tell(
            "SKIPPED every_kind_keeps_its_contract_in_the_accounts_of_preview_gc_live: \
             PREVIEW_GC_LIVE is not set; it names what may be touched, such as \
             \"account=ID zone=ID project=ID repository=owner/name\"",
        );
        return;
    };
    let (answers, wrong) = run(&scope).await;
    tell(&serde_json::to_string_pretty(&answers).unwrap());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A provider that answers differently is noticed, and everything is removed all
/// the same.
#[tokio::test]
async fn other_answers_than_those_of_the_contract_are_reported() {
    let (server, scope) = sandbox();
    let on = |method: &str, path: &str, fault: Value| json!({"on": {"method": method, "path": path}, "times": null, "fault": fault});
    server.plant(&json!([
        on("GET", "/hyperdrive/configs$", json!("wrong_total")),
        on(
            "GET",
            "/d1/database/.",
            json!({"status": 400, "body": {"success": false, "errors": []}})
        ),
        on(
            "POST",
            "/storage/kv/namespaces$",
            json!({"status": 200, "body": {"success": true,
            "result": {"id": "0123456789abcdef0123456789abcdef", "title": "another"}}})
        ),
    ]));
    let (_, wrong) = run(&scope).await;
    for kind in ["hyperdrive", "d1", "kv_namespace"] {
        assert!(
            wrong.iter().any(|why| why.starts_with(kind)),
            "{kind}: {wrong:?}"
        );
    }
    assert!(
        wrong.iter().all(|why| !why.starts_with("queue")),
        "{wrong:?}"
    );
    server.take_faults();
}
