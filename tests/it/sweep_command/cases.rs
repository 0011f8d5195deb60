//! Every shared case is swept, and what is left is compared with what it expects.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::{Stage, outcomes};
use crate::support::{cases, in_parallel};

/// What a sweep of a case has to leave and to delete, by the verdicts that the
/// case expects. Returns how many resources it deleted and how many it left.
fn sweep_a_case(path: &Path) -> (usize, usize) {
    let name = path.display().to_string();
    let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let stage = Stage::of_case(path);
    let before = stage.state();
    let managed = stage.managed_records();
    let (swept, code) = stage.sweep();
    // A case may have what no run can delete: a Worker that another one binds
    // as a service.
    assert!(code == 0 || code == 5, "{name}: {code}");
    let after = stage.state();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let steps = swept["steps"].as_array().unwrap();
    let not_deleted = steps.iter().filter(|one| one["outcome"] != "deleted");
    let not_deleted = not_deleted.count();
    let (mut deleted, mut left) = (0, 0);
    for expect in case["expect"].as_array().unwrap() {
        let (kind, named) = (text(expect, "kind"), text(expect, "name"));
        let is_meant = |one: &&Value| {
            let (sort, project) = (&expect["type"], &expect["project"]);
            one["kind"] == kind.as_str()
                && one["name"] == named.as_str()
                && (sort.is_null() || one["attributes"]["type"] == *sort)
                && (project.is_null() || one["scope"]["project"] == *project)
        };
        if expect["listed"] == false {
            assert!(after.contains(&(kind, named)), "{name}: {expect} is gone");
            left += 1;
            continue;
        }
        let row = swept["resources"].as_array().unwrap().iter().find(is_meant);
        let row = row.unwrap_or_else(|| panic!("{name}: {expect} is not listed"));
        let step = steps
            .iter()
            .find(|one| one["kind"] == row["kind"] && one["id"] == row["id"]);
        let outcome = step.and_then(|step| step["outcome"].as_str());
        let key = match row["attributes"]["type"].as_str() {
            Some(sort) => (kind, format!("{named} {sort}")),
            None => (kind, named),
        };
        if managed.contains(&key.1) {
            // It goes with its custom domain, whatever its own verdict is.
            assert_eq!(outcome, None, "{name}: {key:?} has a step");
        } else if expect["verdict"] == "garbage" {
            match outcome {
                Some("deleted") => {
                    assert!(!after.contains(&key), "{name}: {key:?} is still there");
                    deleted += 1;
                }
                // A rule that only reports has no step.
                None | Some("deferred" | "expired" | "failed_for_good") => {
                    assert!(after.contains(&key), "{name}: {key:?} is gone");
                }
                Some(other) => panic!("{name}: {key:?} is {other}"),
            }
        } else {
            assert_eq!(outcome, None, "{name}: {key:?} has a step");
            // A parent that a world only names is there and not shown.
            if before.contains(&key) {
                assert!(after.contains(&key), "{name}: {key:?} is gone");
                left += 1;
            }
        }
    }
    let begun: BTreeMap<String, usize> = stage
        .writes()
        .iter()
        .enumerate()
        .map(|(at, (_, path, _))| (path.rsplit('/').next().unwrap().to_owned(), at))
        .collect();
    for pair in case["ordering"].as_array().into_iter().flatten() {
        let at = |which: &str| begun.get(pair[which]["name"].as_str().unwrap());
        if let (Some(first), Some(then)) = (at("first"), at("then")) {
            assert!(first < then, "{name}: {pair}");
        }
    }
    let writes = stage.writes().len();
    let (again, _) = stage.sweep();
    let repeated = outcomes(&again)
        .into_values()
        .filter(|one| one == "deleted");
    assert_eq!(repeated.count(), 0, "{name}: {again}");
    assert!(stage.writes().len() <= writes + not_deleted, "{name}");
    assert_eq!(stage.state(), after, "{name}");
    (deleted, left)
}

#[test]
fn after_a_sweep_of_any_case_exactly_what_is_to_be_kept_is_there() {
    let (deleted, left) = (AtomicUsize::new(0), AtomicUsize::new(0));
    in_parallel(&cases(), |path| {
        let (gone, there) = sweep_a_case(path);
        deleted.fetch_add(gone, Ordering::Relaxed);
        left.fetch_add(there, Ordering::Relaxed);
    });
    let (deleted, left) = (deleted.into_inner(), left.into_inner());
    assert!(
        deleted > 100 && left > 100,
        "{deleted} deleted, {left} left"
    );
}
