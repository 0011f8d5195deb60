//! How many requests an audit sends: deployments need the same quota.

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
