//! The account that the benchmark measures, and whose requests a test counts.

use serde_json::{Value, json};

/// An account with 1,000 branches, 500 Workers, 300 namespaces and 3,000 records,
/// in a repository with 400 open and 800 closed pull requests. With `references`
/// every Worker stays, so that each may use a namespace.
pub(crate) fn world(references: bool) -> Value {
    let at = "2026-01-01T00:00:00Z";
    let repository = "acme/shop";
    let mut pulls = Vec::new();
    for number in 1..=1_200 {
        let open = number % 3 == 0;
        let closed_at = (!open).then_some("2026-01-02T00:00:00Z");
        pulls.push(json!({
            "number": number, "state": if open { "open" } else { "closed" }, "merged": !open,
            "head_ref": format!("b{number}"), "head_repo": repository,
            "updated_at": "2026-01-02T00:00:00Z", "closed_at": closed_at,
        }));
    }
    let mut resources = vec![
        json!({"kind": "neon_branch", "name": "main", "created_at": at, "attributes": {"default": true}}),
    ];
    let mut add = |kind: &str, name: String, attributes: Value| {
        resources.push(json!({"kind": kind, "name": name, "created_at": at, "updated_at": at, "attributes": attributes}));
    };
    for number in 1..1_000 {
        add(
            "neon_branch",
            format!("preview/pr-{number}"),
            json!({"parent": "main"}),
        );
    }
    for number in 1..=500 {
        // With references every Worker stays, so each may use a namespace.
        let name = if references {
            format!("worker-{number}")
        } else {
            format!("api-preview-{}", number + 700)
        };
        add("worker", name, json!({"bindings": []}));
    }
    for number in 1..=300 {
        // Without references all of them belong to open pull requests.
        let number = if references { number } else { number * 3 };
        add(
            "kv_namespace",
            format!("api-preview-{number}-cache"),
            json!({}),
        );
    }
    for number in 1..=3_000 {
        let name = format!("api-preview-{}-{}.acme.example", number % 1_200 + 1, number);
        add(
            "dns_record",
            name,
            json!({"type": "CNAME", "content": "acme.example", "proxied": true, "managed": false}),
        );
    }
    json!({"repository": repository, "now": "2026-02-01T00:00:00Z", "pull_requests": pulls, "git_branches": ["main"], "resources": resources})
}

/// The rules for everything in it.
pub(crate) const POLICY: &str = r#"
repository = "acme/shop"
[[rule]]
id = "workers"
kind = "worker"
name = "api-preview-{pr}"
dead-when = "closed"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "api-preview-{pr}-cache"
dead-when = "closed"
grace = "0s"
[[rule]]
id = "records"
kind = "dns_record"
name = "api-preview-{pr}-{any:0-9}.acme.example"
dead-when = "closed"
[[rule]]
id = "branches"
kind = "neon_branch"
name = "preview/pr-{pr}"
dead-when = "closed"
"#;
