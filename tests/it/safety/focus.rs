//! Runs about a part: one pull request, or some kinds.

use serde_json::json;

use super::{T0, WORKERS, audit, audit_with, closed, open, served, world};
use crate::support::report;

#[test]
fn rule_4_what_is_out_of_focus_stays_and_keeps_what_it_uses() {
    let all = audit(&served(), WORKERS);
    assert_eq!(all.report["summary"]["would_delete"], 3);
    let kinds = ["--kind", "worker"];
    let audited = audit_with(&served(), WORKERS, &kinds);
    assert_eq!(audited.verdict("app-pr-7"), "in_use", "{}", audited.report);
    assert_eq!(audited.report["summary"]["would_delete"], 0);
    let with_all = [
        "--kind",
        "worker",
        "--kind",
        "worker_domain",
        "--kind",
        "worker_route",
    ];
    let audited = audit_with(&served(), WORKERS, &with_all);
    assert_eq!(
        audited.report["summary"]["would_delete"], 3,
        "{}",
        audited.report
    );
}

/// `sweep --pr 12` deletes what a full sweep would delete of #12, also where two
/// rules match one name by a number and by a git branch.
#[test]
fn rule_11_one_pull_request_is_swept_like_all_of_them() {
    let schemes = format!("{}/policies/schemes", env!("CARGO_MANIFEST_DIR"));
    let branch = |name: &str| {
        json!({"kind": "neon_branch", "name": name, "created_at": "2026-03-10T00:00:00Z",
            "updated_at": "2026-03-10T00:00:00Z", "attributes": {"parent": "main"}})
    };
    let main = json!({"kind": "neon_branch", "name": "main", "created_at": T0, "updated_at": T0,
        "attributes": {"default": true}});
    let world = world(
        json!([closed(12), closed(13), open(14)]),
        json!([
            main,
            branch("preview/pr-12"),
            branch("preview/pr-12-b12"),
            branch("preview/b12"),
            branch("preview/pr-13"),
            branch("preview/b13"),
            branch("preview/b14"),
        ]),
        json!([]),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.json");
    std::fs::write(&file, world.to_string()).unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    for scheme in ["neon-github-integration", "vercel-neon-integration"] {
        let text = std::fs::read_to_string(format!("{schemes}/{scheme}.toml")).unwrap();
        std::fs::write(policies.join(format!("{scheme}.toml")), text).unwrap();
    }
    let garbage = |more: &[&str]| -> Vec<String> {
        let output = crate::support::program()
            .args(["audit", "-q", "--format", "json", "--policies"])
            .arg(&policies)
            .arg(format!("--sandbox={}", file.display()))
            .args(more)
            .output()
            .unwrap();
        let (report, code) = report(&output);
        assert_eq!(code, 0, "{report}");
        let resources = report["resources"].as_array().unwrap().iter();
        let garbage = resources.filter(|one| one["verdict"] == "garbage");
        garbage
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = garbage(&[]);
    let of_twelve: Vec<String> = all
        .iter()
        .filter(|name| name.contains("12"))
        .cloned()
        .collect();
    assert!(
        of_twelve.len() > 1 && all.len() > of_twelve.len(),
        "{all:?}"
    );
    assert_eq!(garbage(&["--pr", "12"]), of_twelve);
}
