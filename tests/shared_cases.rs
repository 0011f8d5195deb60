//! The situations that lie beside the project, where they are there: every
//! resource of a scanned kind gets the verdict that its case expects, in
//! process and over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a test that fails should say where, and one that is skipped should say so"
)]

mod support;

use std::path::{Path, PathBuf};

use preview_gc::kinds;
use serde_json::Value;
use support::{Server, report, run};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("skipped: ../shared/cases is not there");
        return Vec::new();
    };
    let mut cases: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter(|path| path.with_extension("toml").exists())
        .collect();
    cases.sort();
    cases
}

fn check(case: &Value, report: &Value, name: &str) {
    let scanned: Vec<_> = kinds::vocabulary().iter().map(|kind| kind.name()).collect();
    let resources = report["resources"].as_array().unwrap();
    let mut checked = 0;
    for expect in case["expect"].as_array().unwrap() {
        if !scanned.contains(&expect["kind"].as_str().unwrap()) {
            continue;
        }
        let found: Vec<_> = resources
            .iter()
            .filter(|one| one["kind"] == expect["kind"] && one["name"] == expect["name"])
            .filter(|one| expect["type"].is_null() || one["attributes"]["type"] == expect["type"])
            .collect();
        assert!(!found.is_empty(), "{name}: {expect} is not listed");
        for one in found {
            let garbage = one["verdict"] == "garbage";
            assert_eq!(
                garbage,
                expect["verdict"] == "orphan",
                "{name}: {one} where {expect}"
            );
        }
        checked += 1;
    }
    assert!(checked > 0, "{name} checks nothing");
}

#[test]
fn every_resource_of_every_shared_case_gets_its_expected_verdict() {
    for path in cases() {
        let name = path.display().to_string();
        let policy = path.with_extension("toml").display().to_string();
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (in_process, code) = report(&run(&[
            "audit",
            "-q",
            "--format",
            "json",
            "--policies",
            &policy,
            &format!("--sandbox={name}"),
        ]));
        assert_eq!(code, 0, "{name}");
        check(&case, &in_process, &name);
        let server = Server::start(&["--world", &name]);
        let output = server
            .program()
            .args(["audit", "-q", "--format", "json", "--policies", &policy])
            .output()
            .unwrap();
        let (over_http, code) = report(&output);
        assert_eq!(
            code,
            0,
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(over_http["resources"], in_process["resources"], "{name}");
    }
}
