//! How many requests an audit sends: deployments need the same quota.

use preview_gc::kind::PageOf;
use preview_gc::model::{KindRef, Place};
use preview_gc::providers;
use serde_json::Value;

use crate::busy_account::{POLICY, world};
use crate::support;

/// The requests of an audit beside the reads of single Workers: pages of
/// listings, and 800 pull requests in batches of 50, 100 and then 150.
const MAXIMUM: u64 = 44;

#[test]
fn an_audit_of_a_busy_account_sends_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let world = file("world.json", &world(false).to_string());
    let policy = file("policy.toml", POLICY);
    let server = support::Server::start(&["--world", &world, "--quota", "off"]);
    let arguments = [
        "audit",
        "--quiet",
        "--format",
        "json",
        "--policies",
        &policy,
    ];
    let output = server.program().args(arguments).output().unwrap();
    let (report, code) = support::report(&output);
    assert_eq!(code, 0, "{}", report["evidence"]);
    let requests = server.control("GET", "requests", "");
    let of_one_worker = |request: &&Value| {
        let path = request["path"].as_str().unwrap();
        let (_, below) = path.split_once("/workers/scripts/").unwrap_or_default();
        below.contains('/')
    };
    let requests = requests.as_array().unwrap();
    let single = requests.iter().filter(of_one_worker).count() as u64;
    let listings = requests.len() as u64 - single;
    assert!(single > 0, "no Worker was read");
    assert!(
        listings <= MAXIMUM,
        "{listings} requests, and {single} reads of Workers"
    );
}

/// Production is never deleted, and a project may have thousands of such builds.
#[test]
fn production_of_pages_is_listed_only_where_a_rule_or_an_entry_asks() {
    const RULE: &str = "repository = \"acme/shop\"\n[[rule]]\nid = \"pages\"\n\
        kind = \"pages_deployment\"\nbranch = \"{branch}\"\nproject = \"docs\"\n";
    let world = serde_json::json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z",
        "git_branches": ["main"], "pull_requests": [], "resources": [
            {"kind": "pages_deployment", "name": "main", "attributes": {"project": "docs",
                "environment": "production", "branch": "main"}},
            {"kind": "pages_deployment", "name": "x", "attributes": {"project": "docs",
                "environment": "preview", "branch": "x"}}]});
    for (more, narrow) in [
        ("dead-when = \"closed\"\n", true),
        (
            "dead-when = \"closed\"\nwhere = { environment = \"preview\" }\n",
            true,
        ),
        (
            "dead-when = { newer = 3, per = \"rule\" }\nwhere = { environment = \"production\" }\n",
            false,
        ),
        (
            "dead-when = \"closed\"\n[[protect]]\nkind = \"pages_deployment\"\nname = \"x*\"\nreason = \"r\"\n",
            false,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let world = file("world.json", &world.to_string());
        let policy = file("policy.toml", &format!("{RULE}{more}"));
        let server = support::Server::start(&["--world", &world, "--quota", "off"]);
        let arguments = [
            "audit",
            "--quiet",
            "--format",
            "json",
            "--policies",
            &policy,
        ];
        let output = server.program().args(arguments).output().unwrap();
        assert!(output.status.success(), "{more}: {output:?}");
        let requests = server.control("GET", "requests", "");
        let requests = requests.as_array().unwrap().iter();
        let of_pages = requests.filter(|request| {
            let path = request["path"].as_str().unwrap();
            path.ends_with("/pages/projects/docs/deployments")
        });
        let queries: Vec<_> = of_pages.map(|one| one["query"].as_str().unwrap()).collect();
        assert!(!queries.is_empty(), "{more}");
        for query in queries {
            assert_eq!(query.contains("env=preview"), narrow, "{more}: {query}");
        }
    }
}

/// What Workers leave behind is listed only for a rule that is about it, or that lists
/// it under `with`.
#[test]
fn a_satellite_that_no_rule_names_costs_no_request() {
    let workers = "[[rule]]\nid = \"workers\"\nkind = \"worker\"\nname = \"shop-pr-{pr}\"\n\
                   dead-when = \"closed\"\n";
    let satellites = providers::vocabulary().into_iter();
    let satellites = satellites.filter(|kind| !kind.satellite_of.is_empty());
    let mut checked = 0;
    for kind in satellites {
        checked += 1;
        let path = listing(kind);
        // What runs the code of a Worker may keep it.
        let listings = usize::from(kind.keeps_maker);
        assert_eq!(asked(workers, &path), listings, "{kind}");
        let with = format!("{workers}with = [\"{kind}\"]\n");
        assert!(asked(&with, &path) > 0, "{kind}");
    }
    assert!(checked > 0);
}

/// The path below the account at which a kind is listed.
fn listing(kind: KindRef) -> String {
    let kind = providers::by_name(kind.name()).unwrap();
    let call = kind.list(&Place::Account("a".to_owned()), None, &PageOf::First);
    call.path.replace("/accounts/a", "")
}

/// The number of requests for a path that an audit of a whole environment sends.
fn asked(policy: &str, path: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    let world = "tests/cases/whole-environment.json";
    let server = support::Server::start(&["--world", world]);
    let output = server
        .program()
        .args(["audit", "--quiet", "--format", "json", "--policies"])
        .arg(&file)
        .output()
        .unwrap();
    let (report, code) = support::report(&output);
    assert_eq!(code, 0, "{}", report["evidence"]);
    let requests = server.control("GET", "requests", "");
    let requests = requests.as_array().unwrap().iter();
    let requests = requests.filter(|one| one["path"].as_str().unwrap().ends_with(path));
    requests.count()
}
