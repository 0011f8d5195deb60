//! What the real APIs do and a plain stand-in would not: listings with small
//! pages, counts that include more, answers that are only a part.

use crate::support::{Server, report};
use serde_json::{Value, json};

/// A stand-in of these resources and pull requests, and a policy.
struct Stage {
    server: Server,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(pull_requests: &Value, resources: &Value, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z",
            "git_branches": ["main"], "pull_requests": pull_requests, "resources": resources});
        let path = folder.path().join("world.json");
        std::fs::write(&path, world.to_string()).unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
        let server = Server::start(&["--world", path.to_str().unwrap()]);
        Self { server, folder }
    }

    fn run(&self, arguments: &[&str]) -> (Value, i32) {
        let mut command = self.server.program();
        command.args(arguments).args(["-q", "--format", "json"]);
        command
            .arg("--policies")
            .arg(self.folder.path().join("policy.toml"));
        command
            .arg("--journal")
            .arg(self.folder.path().join("journal"));
        report(&command.output().unwrap())
    }
}

fn closed(number: u32) -> Value {
    json!({"number": number, "state": "closed", "merged": true, "head_ref": format!("b{number}"),
        "head_repo": "acme/shop", "created_at": "2026-03-01T00:00:00Z",
        "closed_at": "2026-04-01T00:00:00Z", "updated_at": "2026-04-01T00:00:00Z"})
}

fn rule(kind: &str) -> String {
    format!(
        "[[rule]]\nid = \"all\"\nkind = \"{kind}\"\nname = \"app-pr-{{pr}}\"\ndead-when = \"closed\"\n"
    )
}

fn count(report: &Value, verdict: &str) -> usize {
    let resources = report["resources"].as_array().unwrap().iter();
    resources.filter(|one| one["verdict"] == verdict).count()
}

#[test]
fn more_hyperdrive_configurations_than_a_page_are_all_listed() {
    let resources: Vec<_> = (1..=120)
        .map(|number| {
            json!({"kind": "hyperdrive", "name": format!("app-pr-{number}"),
                "created_at": "2026-03-02T00:00:00Z", "updated_at": "2026-03-02T00:00:00Z"})
        })
        .collect();
    let stage = Stage::new(&json!([closed(7)]), &json!(resources), &rule("hyperdrive"));
    let (report, code) = stage.run(&["audit"]);
    assert_eq!(code, 0, "{}", report["evidence"]);
    assert_eq!(report["resources"].as_array().unwrap().len(), 120);
    assert_eq!(count(&report, "garbage"), 1);
}

/// Neon may count branches that were deleted and can be recovered.
#[test]
fn a_count_that_includes_deleted_branches_is_no_gap() {
    let mut branches = vec![
        json!({"kind": "neon_branch", "name": "main", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "attributes": {"default": true}}),
    ];
    for number in 1..=3 {
        branches.push(
            json!({"kind": "neon_branch", "name": format!("app-pr-{number}"),
            "created_at": "2026-03-02T00:00:00Z", "updated_at": "2026-03-02T00:00:00Z",
            "attributes": {"parent": "main"}}),
        );
    }
    let stage = Stage::new(
        &json!([closed(1), closed(2)]),
        &json!(branches),
        &rule("neon_branch"),
    );
    let (report, code) = stage.run(&["sweep", "--yes"]);
    assert_eq!(code, 0, "{report}");
    let counted = stage.server.request(
        "GET",
        "api/v2/projects/quiet-forest-12345678/branches/count",
        "",
    );
    assert_eq!(
        counted, "{\"count\":4}",
        "two are left, and two can be recovered"
    );
    let (report, code) = stage.run(&["audit"]);
    assert_eq!(code, 0, "{}", report["evidence"]);
    assert_eq!(report["resources"].as_array().unwrap().len(), 2);
    // A branch that is missing in the listing is still a gap.
    let fault = json!([{"on": {"method": "GET", "path": "/branches$"}, "times": null,
        "fault": "empty_page"}]);
    stage.server.plant(&fault);
    let (report, code) = stage.run(&["audit"]);
    assert_eq!(code, 3, "{}", report["evidence"]);
    stage.server.take_faults();
}

fn worker(number: u32) -> Value {
    json!({"kind": "worker", "name": format!("app-pr-{number}"),
        "created_at": "2026-03-02T00:00:00Z", "updated_at": "2026-03-02T00:00:00Z"})
}

/// GitHub gives up on a query that costs too much, and answers a smaller one.
#[test]
fn a_query_that_is_too_much_is_asked_in_smaller_parts() {
    let resources: Vec<_> = (1..=9).map(worker).collect();
    let pull_requests: Vec<_> = (1..=9).map(closed).collect();
    let stage = Stage::new(&json!(pull_requests), &json!(resources), &rule("worker"));
    let too_much = json!({"data": null, "errors": [{"type": "RESOURCE_LIMITS_EXCEEDED",
        "path": ["repository", "p3"], "message": "Resource limits for this query exceeded."}]});
    let late = json!({"errors": [{"message": "Timeout on validation of query"}]});
    // The first answers are to the list of open ones and to all numbers.
    for body in [too_much, late] {
        stage.server.plant(
            &json!([{"on": {"method": "POST", "path": "/graphql$", "contains": "p1:"},
            "times": 2, "fault": {"status": 200, "body": body}}]),
        );
        let (report, code) = stage.run(&["audit"]);
        assert_eq!(code, 0, "{}", report["evidence"]);
        assert_eq!(count(&report, "garbage"), 9);
        assert_eq!(stage.server.take_faults(), [2]);
    }
}

/// A page that hides some open pull requests is made up for by REST, if that
/// shows as many as are counted.
#[test]
fn hidden_pull_requests_are_looked_for_and_never_passed_over() {
    let mut open = closed(2);
    open["state"] = json!("open");
    open["merged"] = json!(false);
    open["closed_at"] = Value::Null;
    let stage = Stage::new(
        &json!([closed(1), open]),
        &json!([worker(1), worker(2)]),
        &rule("worker"),
    );
    for (counted, code) in [(1, 0), (2, 3)] {
        let page = json!({"totalCount": counted, "pageInfo": {"hasNextPage": false, "endCursor": null},
            "nodes": [null]});
        let body = json!({"data": {"repository": {"nameWithOwner": "acme/shop", "databaseId": 1,
            "defaultBranchRef": {"name": "main"}, "page": page}}});
        stage.server.plant(
            &json!([{"on": {"method": "POST", "path": "/graphql$", "contains": "OPEN"},
            "times": null, "fault": {"status": 200, "body": body}}]),
        );
        let (report, ended) = stage.run(&["audit"]);
        stage.server.take_faults();
        assert_eq!(ended, code, "{}", report["evidence"]);
        assert_eq!(count(&report, "garbage"), usize::from(code == 0));
    }
}
