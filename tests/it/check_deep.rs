//! `check --deep`: the contract of the providers as far as it can be read.

use std::process::Output;

use preview_gc::providers;
use serde_json::{Value, json};

use super::support::Server;

fn check(server: &Server, arguments: &[&str]) -> (Value, Option<i32>) {
    let mut command = server.program();
    command.args(["check", "--deep", "--format", "json", "--policies"]);
    command.arg("policies/demo.toml").args(arguments);
    let output: Output = command.output().unwrap();
    let document = serde_json::from_slice(&output.stdout);
    (
        document.unwrap_or_else(|_| panic!("{output:?}")),
        output.status.code(),
    )
}

fn found<'v>(document: &'v Value, list: &str, key: &str, value: &str) -> &'v Value {
    let mut entries = document["deep"][list].as_array().unwrap().iter();
    let entry = entries.find(|one| one[key] == value);
    entry.unwrap_or_else(|| panic!("{value} in {document:#}"))
}

#[test]
fn every_listing_is_walked_to_its_end_and_nothing_is_written() {
    let server = Server::start(&[]);
    let before = server.control("GET", "state", "");
    let (document, code) = check(&server, &[]);
    assert_eq!(code, Some(0), "{document:#}");
    for kind in providers::kinds() {
        let name = kind.about().name();
        let listing = found(&document, "listings", "kind", name);
        assert_eq!(listing["agrees"], true, "{listing}");
    }
    assert_eq!(
        found(&document, "listings", "kind", "dns_record")["total"],
        9
    );
    for header in ["ratelimit-policy", "x-ratelimit-resource", "date"] {
        let seen = found(&document, "headers", "header", header);
        assert!(
            seen["seen"].as_u64() > Some(0) && seen["seen"] == seen["of"],
            "{seen}"
        );
    }
    for (fact, state) in [
        ("hyperdrive.default-page", "as-expected"),
        ("worker.total", "as-expected"),
        ("graphql.aliases", "as-expected"),
        ("d1.not-found", "as-expected"),
        // No branch was deleted, so the count does not tell.
        ("neon_branch.count", "open"),
        ("worker.delete", "needs-writing"),
    ] {
        assert_eq!(
            found(&document, "facts", "key", fact)["state"],
            state,
            "{fact}"
        );
    }
    assert_eq!(server.control("GET", "state", ""), before);
    let requests = server.control("GET", "requests", "");
    for request in requests.as_array().unwrap() {
        let path = request["path"].as_str().unwrap();
        assert!(
            request["method"] == "GET" || path.ends_with("/graphql"),
            "{request}"
        );
    }
}

#[test]
fn other_answers_are_told() {
    let server = Server::start(&["--quota", "off"]);
    let on =
        |path: &str, fault: Value| json!({"on": {"method": "GET", "path": path}, "fault": fault});
    let other = json!({"status": 400, "body": {"success": false, "errors": []}});
    let page = json!({"status": 200, "body": {"success": true, "errors": [], "messages": [],
        "result": [], "result_info": {"page": 1, "per_page": 25, "count": 0, "total_count": 0}}});
    let denied = json!({"status": 403, "body": {"success": false,
        "errors": [{"code": 10000, "message": "Authentication error"}]}});
    server.plant(&json!([
        on("/dns_records$", json!("wrong_total")),
        on(
            "/storage/kv/namespaces$",
            json!({"without_headers": ["ratelimit-policy"]})
        ),
        on("/d1/database/.", other),
        on("/hyperdrive/configs$", page),
        on("/queues$", denied),
    ]));
    let (document, code) = check(&server, &[]);
    assert_eq!(code, Some(3), "{document:#}");
    let records = found(&document, "listings", "kind", "dns_record");
    assert_eq!(
        (&records["agrees"], &records["items"]),
        (&json!(false), &json!(9))
    );
    assert!(
        records["answer"].as_str().unwrap().contains("counts 10"),
        "{records}"
    );
    let queues = found(&document, "listings", "kind", "queue");
    let answer = queues["answer"].as_str().unwrap();
    assert!(
        answer.contains("no permission (needs Queues Read"),
        "{queues}"
    );
    let policy = found(&document, "headers", "header", "ratelimit-policy");
    assert!(policy["seen"].as_u64() < policy["of"].as_u64(), "{policy}");
    for fact in ["d1.not-found", "hyperdrive.default-page"] {
        assert_eq!(
            found(&document, "facts", "key", fact)["state"],
            "differs",
            "{fact}"
        );
    }
    let warnings = document["warnings"].as_array().unwrap().iter();
    let warnings: Vec<_> = warnings.map(|one| one.as_str().unwrap()).collect();
    for said in [
        "lack the header ratelimit-policy",
        "d1.not-found",
        "25 on a page",
    ] {
        assert!(
            warnings.iter().any(|one| one.contains(said)),
            "{said}: {warnings:#?}"
        );
    }
    server.take_faults();
}
