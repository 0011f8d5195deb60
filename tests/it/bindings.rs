//! Whatever binds a resource keeps it, whatever kind it is of: a whole audit for
//! every kind that the program has.

use preview_gc::model::UsedBy;
use preview_gc::providers;
use serde_json::{Value, json};

const T0: &str = "2026-04-01T00:00:00Z";

/// Returns the verdicts of an audit, with the names.
fn audit(world: &Value, policy: &str) -> Vec<(String, String)> {
    let (report, _) = crate::support::audit(world, policy, &[]);
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let resources = report["resources"].as_array().unwrap().iter();
    resources
        .map(|one| (text(one, "name"), text(one, "verdict")))
        .collect()
}

/// Every kind that Workers, Previews, Pages projects and Workers of dispatch
/// namespaces bind.
#[test]
fn rule_4_what_is_bound_is_kept_whatever_its_kind() {
    let mut kinds = 0;
    for kind in providers::vocabulary() {
        let users = match kind.0.used_by {
            UsedBy::These(users) => users,
            UsedBy::Nothing(_) | UsedBy::Undeclared => &[],
        };
        // Both are deployed, not created: a Worker is bound as a service.
        if !users.contains(&"worker") || ["worker", "workflow"].contains(&kind.name()) {
            continue;
        }
        kinds += 1;
        let is_bound_by_pages = users.contains(&"pages_project");
        let binding = |name: &str| json!([{"type": kind.name(), "name": "X", "target": name}]);
        let user = |kind: &str, name: &str, mut attributes: Value, target: &str| {
            attributes["bindings"] = binding(target);
            json!({"kind": kind, "name": name, "created_at": T0, "updated_at": T0, "attributes": attributes})
        };
        let deployment = json!({"project": "site", "environment": "preview", "branch": "main"});
        let mut resources = vec![
            user("worker", "production", json!({}), "app-pr-7-worker"),
            user(
                "worker_preview",
                "pr-9",
                json!({"worker": "production"}),
                "app-pr-7-preview",
            ),
            user(
                "worker",
                "tenant",
                json!({"dispatch_namespace": "t"}),
                "app-pr-7-tenant",
            ),
        ];
        let mut by = vec!["worker", "preview", "tenant", "nobody"];
        if is_bound_by_pages {
            resources.push(user("pages_deployment", "d-1", deployment, "app-pr-7-page"));
            by.push("page");
        }
        resources.extend(by.iter().map(|by| {
            json!({"kind": kind.name(), "name": format!("app-pr-7-{by}"), "created_at": T0, "updated_at": T0})
        }));
        let policy = format!(
            "[[rule]]\nid = \"storage\"\nkind = \"{kind}\"\nname = \"app-pr-{{pr}}-{{any:a-z}}\"\n\
             dead-when = \"closed\"\n"
        );
        let pull_request = |number: u32, state: &str, closed_at: Value| {
            json!({"number": number, "state": state, "head_ref": format!("b{number}"), "head_repo": "acme/shop",
                "created_at": "2026-03-01T00:00:00Z", "updated_at": T0, "closed_at": closed_at})
        };
        let world = json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z", "git_branches": ["main"],
            "pull_requests": [pull_request(7, "closed", json!(T0)), pull_request(9, "open", Value::Null)],
            "resources": resources});
        let verdicts = audit(&world, &policy);
        for by in by {
            let expected = if by == "nobody" { "garbage" } else { "in_use" };
            let one = (format!("app-pr-7-{by}"), expected.to_owned());
            assert!(
                verdicts.contains(&one),
                "{kind} bound by {by}: {verdicts:?}"
            );
        }
    }
    assert!(kinds >= 5, "{kinds}");
}
