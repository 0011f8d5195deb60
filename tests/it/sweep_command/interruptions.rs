//! Runs that are killed, interrupted, out of disk space, or not alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{MANY, POLICY, Stage, many, outcomes, world};
use crate::support::report;

/// Kills a run and everything it holds, as a machine that goes away does.
fn signal(child: &std::process::Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

impl Stage {
    fn spawn(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = self.server.program();
        command
            .args(arguments)
            .args(["-q", "--format", "json"])
            .arg("--journal")
            .arg(self.folder.path())
            .arg("--policies")
            .arg(&self.policy)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits until the stand-in has seen this many writing requests.
    fn wait_for_writes(&self, count: usize) {
        while self.writes().len() < count {
            std::thread::yield_now();
        }
    }
}

#[test]
fn rule_8_a_run_that_is_killed_leaves_a_journal_that_agrees_with_what_happened() {
    for round in 0..20 {
        let stage = Stage::new(&world(&many()), POLICY);
        stage.fault(&json!([{"on": {"method": "DELETE", "path": "."}, "fault": {"delay_ms": 3}}]));
        let mut child = stage.spawn(&MANY);
        // At another moment of the sweep each time, whatever the machine's speed.
        stage.wait_for_writes(round * 2);
        signal(&child, "KILL");
        child.wait().unwrap();
        let state = stage.state();
        assert!(stage.has("app-pr-2") && stage.has("app-pr-2-cache"));
        // What is gone was announced before; what is said to be gone is gone.
        let announced = stage.announced();
        for resource in many() {
            let name = resource["name"].as_str().unwrap();
            let there = state.iter().any(|(_, other)| other == name);
            assert!(there || announced.contains(name), "{name} in round {round}");
        }
        let (swept, code) = stage.run(&MANY);
        assert_eq!(code, 0, "{swept}");
        assert_eq!(stage.state().len(), 3, "round {round}");
        // After it no step of any run is open.
        let mut open = BTreeSet::new();
        for entry in std::fs::read_dir(stage.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let is_journal = path.extension().is_some_and(|end| end == "jsonl");
            if is_journal {
                let text = std::fs::read_to_string(&path).unwrap();
                let record = preview_gc::journal::RunRecord::parse(&path, &text).unwrap();
                open.extend(record.open().map(|(step, _)| (path.clone(), step)));
            }
        }
        assert_eq!(open, BTreeSet::new(), "round {round}");
    }
}

#[test]
fn an_interrupted_sweep_finishes_what_is_under_way_and_says_what_is_left() {
    let stage = Stage::new(&world(&many()), POLICY);
    stage.fault(
        &json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"delay_ms": 300}}]),
    );
    let child = stage.spawn(&MANY);
    stage.server.wait_for_a_fault();
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let (swept, code) = report(&output);
    assert_eq!(code, 130);
    let found = outcomes(&swept);
    assert!(
        found
            .values()
            .all(|one| one == "deleted" || one == "deferred"),
        "{swept}"
    );
    assert!(found.values().any(|one| one == "deferred"));
    for (name, outcome) in &found {
        assert_eq!(stage.has(name), outcome != "deleted", "{name}");
    }
}

#[test]
fn a_second_interruption_ends_the_run_at_once_without_a_report() {
    use std::io::{BufRead as _, BufReader};
    let stage = Stage::new(&world(&many()), POLICY);
    stage.fault(
        &json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"delay_ms": 600_000}}]),
    );
    let mut command = stage.server.program();
    command.args(MANY).args(["--report", "--format", "json"]);
    command.arg("--journal").arg(stage.folder.path());
    command.arg("--policies").arg(&stage.policy);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    stage.server.wait_for_a_fault();
    signal(&child, "INT");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let heard = lines.find(|line| line.as_ref().unwrap().contains("interrupt again"));
    assert!(heard.is_some());
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(
        said.iter()
            .any(|line| line.contains("the next sweep recovers it")),
        "{said:?}"
    );
    let issues = stage
        .server
        .request("GET", "github/repos/acme/shop/issues?state=all", "");
    let issues: Vec<Value> = serde_json::from_str(&issues).unwrap();
    let reports = issues.iter().filter(|one| one["pull_request"].is_null());
    assert_eq!(reports.count(), 0, "no report is published");
}

#[test]
fn rule_8_a_full_disk_ends_a_sweep_and_the_next_one_settles_what_was_begun() {
    for blocks in [1, 4, 16, 24] {
        let stage = Stage::new(&world(&many()), POLICY);
        let program = stage.server.program();
        // No file may grow beyond that many blocks, as on a disk with so much room.
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("/bin/sh");
        command.env_clear().arg("-c").arg(limit);
        command.arg(program.get_program());
        command.envs(stage.server.environment.iter().cloned());
        command.args(MANY).args(["-q", "--format", "json"]);
        command.arg("--journal").arg(stage.folder.path());
        command.arg("--policies").arg(&stage.policy);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (swept, code) = report(&output);
        assert_eq!(code, 1, "{blocks}: {said}");
        assert!(said.contains("journal"), "{blocks}: {said}");
        let found = outcomes(&swept);
        assert!(found.values().any(|one| one == "deferred"), "{swept}");
        // What left was announced, and what is said to be gone is.
        let announced = stage.announced();
        for (name, outcome) in &found {
            assert_eq!(stage.has(name), outcome != "deleted", "{blocks}: {name}");
            assert!(stage.has(name) || announced.contains(name), "{name}");
        }
        let (swept, code) = stage.run(&MANY);
        assert_eq!(code, 0, "{swept}");
        assert_eq!(stage.state().len(), 3, "{blocks}");
    }
}

#[test]
fn two_sweeps_at_once_delete_nothing_wrong_and_tell_the_truth() {
    let stage = Stage::new(&world(&many()), POLICY);
    let children = [stage.spawn(&MANY), stage.spawn(&MANY)];
    let mut deleted = BTreeMap::<String, usize>::new();
    for child in children {
        let (swept, code) = report(&child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{swept}");
        for (name, outcome) in outcomes(&swept) {
            assert!(
                outcome == "deleted" || outcome == "already_gone",
                "{name}: {outcome}"
            );
            *deleted.entry(name).or_default() += usize::from(outcome == "deleted");
        }
    }
    assert_eq!(stage.state().len(), 3);
    assert!(deleted.values().all(|count| *count <= 2));
}
