//! Users that stay: what runs the code of something, leads to it by a host, or is
//! itself only reported.

use serde_json::{Value, json};

use super::{
    BRANCHES, PREVIEWS, T0, WORKERS, audit, audit_with, branch, closed, main_branch, open, preview,
    record, worker, world,
};

const WORKFLOWS: &str = "[[rule]]\nid = \"workflows\"\nkind = \"workflow\"\n\
     name = \"flow-pr-{pr}\"\ndead-when = \"closed\"\n";

fn workflow(name: &str, instances: &Value) -> Value {
    json!({"kind": "workflow", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"script": "app-pr-7", "instances": instances}})
}

fn binding(workflow: &str) -> Value {
    let mut production = worker("production");
    production["attributes"]["bindings"] =
        json!([{"type": "workflow", "name": "W", "target": workflow, "class_name": "C"}]);
    production
}

/// A Workflow runs the code of its Worker, whoever else uses it.
#[test]
fn a_workflow_that_stays_keeps_its_worker() {
    let running = json!({"running": 1});
    for (what, others, in_use) in [
        (
            "no rule is about it",
            json!([workflow("orders", &json!({}))]),
            false,
        ),
        (
            "its rule deletes it too",
            json!([workflow("flow-pr-7", &json!({}))]),
            false,
        ),
        ("it runs", json!([workflow("orders", &running)]), true),
        (
            "it is another's",
            json!([workflow("flow-pr-9", &json!({}))]),
            true,
        ),
        (
            "its pull request is not known",
            json!([workflow("flow-pr-99", &json!({}))]),
            true,
        ),
        (
            "production binds it",
            json!([workflow("orders", &json!({})), binding("orders")]),
            true,
        ),
        (
            "production binds what a rule would delete",
            json!([workflow("flow-pr-7", &json!({})), binding("flow-pr-7")]),
            true,
        ),
    ] {
        let mut resources = others;
        resources.as_array_mut().unwrap().push(worker("app-pr-7"));
        let world = world(json!([closed(7), open(9)]), resources, json!([]));
        let policy = format!("{WORKERS}{WORKFLOWS}");
        for only in [&[][..], &["--kind", "worker"]] {
            let seen = audit_with(&world, &policy, only);
            let expected = if in_use { "in_use" } else { "garbage" };
            assert_eq!(
                seen.verdict("app-pr-7"),
                expected,
                "{what}, {only:?}: {}",
                seen.report
            );
        }
        // No rule is about Workflows.
        if what == "it runs" || what == "production binds it" {
            let seen = audit(&world, WORKERS);
            assert_eq!(
                seen.verdict("app-pr-7"),
                "in_use",
                "{what}: {}",
                seen.report
            );
        }
    }
}

/// What cannot be listed may run.
#[test]
fn workers_stay_where_their_workflows_cannot_be_listed() {
    let resources = json!([
        worker("app-pr-7"),
        workflow("orders", &json!({"running": 1}))
    ]);
    let protect = "[[protect]]\nname = \"orders\"\nreason = \"shop\"\n";
    for fault in [json!({"status": 403}), json!("truncate")] {
        let faults = json!([{"on": {"method": "GET", "path": "/workflows$"}, "fault": fault}]);
        let world = world(json!([closed(7), open(9)]), resources.clone(), faults);
        for policy in [
            WORKERS.to_owned(),
            format!("{WORKERS}{WORKFLOWS}"),
            format!("{WORKERS}{protect}"),
        ] {
            let seen = audit(&world, &policy);
            assert_eq!(
                seen.verdict("app-pr-7"),
                "unknown",
                "{policy}: {}",
                seen.report
            );
            assert_eq!(seen.code, 3, "{policy}");
        }
    }
}

const DATABASES: &str = "[[rule]]\nid = \"records\"\nkind = \"dns_record\"\n\
     name = \"db-pr-{pr}.acme.example\"\ndead-when = \"closed\"\n\
     [[rule]]\nid = \"tunnels\"\nkind = \"tunnel\"\nname = \"pr-{pr}\"\ndead-when = \"closed\"\n";

/// The host of a database is a host like that of any visitor.
#[test]
fn what_a_hyperdrive_configuration_that_stays_reaches_is_in_use() {
    let id = "11111111-1111-4111-8111-111111111111";
    let behind = format!("{id}.cfargotunnel.com");
    let tunnel = json!({"kind": "tunnel", "name": "pr-7", "id": id, "created_at": T0,
        "updated_at": T0, "attributes": {"status": "down"}});
    let office = json!({"kind": "tunnel", "name": "office", "created_at": T0, "updated_at": T0});
    for (host, of_record, of_tunnel) in [
        ("db-pr-7.acme.example", "in_use", "in_use"),
        ("DB-pr-7.acme.example.", "in_use", "in_use"),
        (&*behind, "garbage", "in_use"),
        ("db.elsewhere.example", "garbage", "garbage"),
    ] {
        let database = json!({"kind": "hyperdrive", "name": "production", "created_at": T0,
            "updated_at": T0, "attributes": {"host": host}});
        let record = record("db-pr-7.acme.example", "CNAME", &behind);
        let resources = json!([database, record, tunnel, office]);
        let world = world(json!([closed(7), open(9)]), resources, json!([]));
        let seen = audit(&world, DATABASES);
        let found = (seen.verdict("db-pr-7.acme.example"), seen.verdict("pr-7"));
        assert_eq!(found, (of_record, of_tunnel), "{host}: {}", seen.report);
    }
}

/// Wherever a record that stays leads.
#[test]
fn a_record_that_stays_keeps_the_branch_and_the_preview_behind_it() {
    let records = "[[rule]]\nid = \"records\"\nkind = \"dns_record\"\n\
                   name = \"db-pr-{pr}.acme.example\"\ndead-when = \"closed\"\n";
    let mut of_closed = branch("preview/pr-7", T0, &json!({"parent": "main"}));
    of_closed["id"] = json!("br-cool-fog-12345678");
    let endpoint = "ep-cool-fog-12345678.eu-central-1.aws.neon.tech";
    for (content, of_branch, of_preview) in [
        (endpoint, "in_use", "garbage"),
        ("pr-7-app.sandbox.workers.dev", "garbage", "in_use"),
        ("elsewhere.example", "garbage", "garbage"),
    ] {
        let resources = json!([
            main_branch(),
            of_closed,
            worker("app"),
            preview("pr-7", "app", &json!({})),
            record("www.acme.example", "CNAME", content)
        ]);
        let world = world(json!([closed(7), open(9)]), resources, json!([]));
        for kinds in [&["--kind", "neon_branch,worker_preview"][..], &[]] {
            let seen = audit_with(&world, &format!("{records}{BRANCHES}{PREVIEWS}"), kinds);
            let found = (seen.verdict("preview/pr-7"), seen.verdict("pr-7"));
            let expected = (of_branch, of_preview);
            assert_eq!(found, expected, "{content} {kinds:?}: {}", seen.report);
        }
    }
}

/// The record of a custom domain goes with the domain, and then no route of the host
/// is reached.
#[test]
fn a_route_that_stays_keeps_the_custom_domain_of_its_host() {
    let mut served = worker("app-pr-7");
    served["attributes"]["custom_domains"] = json!(["shop.acme.example"]);
    for (host, verdict) in [
        ("shop.acme.example", "in_use"),
        ("www.acme.example", "garbage"),
    ] {
        let route = json!({"kind": "worker_route", "name": format!("{host}/api/*"),
            "attributes": {"zone": "acme.example", "script": "production"}});
        let resources = json!([served, worker("production"), route]);
        let world = world(json!([closed(7), open(9)]), resources, json!([]));
        let seen = audit(&world, &format!("{WORKERS}with = [\"worker_domain\"]\n"));
        assert_eq!(
            seen.verdict("shop.acme.example"),
            verdict,
            "{}",
            seen.report
        );
        assert_eq!(seen.verdict("app-pr-7"), verdict, "{}", seen.report);
    }
}

/// Among what is only reported nothing goes; all of it is reported.
#[test]
fn what_is_only_reported_is_garbage_although_it_uses_each_other() {
    let mut served = worker("app-pr-7");
    served["attributes"]["custom_domains"] = json!(["app-pr-7.acme.example"]);
    served["attributes"]["bindings"] =
        json!([{"type": "kv_namespace", "name": "K", "target": "app-pr-7-kv"}]);
    let namespace = json!({"kind": "kv_namespace", "name": "app-pr-7-kv"});
    let world = world(
        json!([closed(7), open(9)]),
        json!([served, namespace]),
        json!([]),
    );
    let namespaces = super::NAMESPACES;
    for (workers, namespaces, expected) in [
        ("report", "report", ["garbage", "garbage", "garbage"]),
        ("delete", "report", ["garbage", "garbage", "garbage"]),
        ("report", "delete", ["garbage", "garbage", "in_use"]),
        ("delete", "delete", ["garbage", "garbage", "garbage"]),
    ]
    .map(|(of_workers, of_namespaces, expected)| {
        let workers = format!("{WORKERS}action = \"{of_workers}\"\n");
        (
            workers,
            format!("{namespaces}action = \"{of_namespaces}\"\n"),
            expected,
        )
    }) {
        let seen = audit(&world, &format!("{workers}{namespaces}"));
        let names = ["app-pr-7", "app-pr-7.acme.example", "app-pr-7-kv"];
        assert_eq!(
            names.map(|name| seen.verdict(name)),
            expected,
            "{workers}: {}",
            seen.report
        );
    }
}

/// Nothing else would find an application again, and one that stays is lost with the
/// Worker or Preview that runs it.
#[test]
fn an_application_that_stays_keeps_what_runs_it() {
    let applications = "[[rule]]\nid = \"applications\"\nkind = \"container_application\"\n\
                        name = \"box-pr-{pr}\"\ndead-when = \"closed\"\n";
    let protect = "[[protect]]\nkind = \"container_application\"\nname = \"box-pr-7\"\n\
                   reason = \"measured\"\n";
    let application = |name: &str, attributes: Value| {
        json!({"kind": "container_application", "name": name, "created_at": T0,
            "updated_at": T0, "attributes": attributes})
    };
    let refused = |path: &str| json!([{"on": {"method": "GET", "path": path}, "times": null, "fault": {"status": 403}}]);
    for (what, name, protects, faults, verdict) in [
        ("it goes too", "box-pr-7", "", json!([]), "garbage"),
        ("it is another's", "box-pr-9", "", json!([]), "in_use"),
        ("it is protected", "box-pr-7", protect, json!([]), "in_use"),
        (
            "none is listed",
            "box-pr-9",
            "",
            refused("/containers/applications$"),
            "unknown",
        ),
        (
            "no owner is listed",
            "box-pr-9",
            "",
            refused("/durable_objects/namespaces$"),
            "unknown",
        ),
    ] {
        let policy = format!("{WORKERS}{PREVIEWS}{applications}{protects}");
        let of_worker = json!({"worker": "app-pr-7", "class": "Box"});
        let of_preview = json!({"worker": "app", "preview": "pr-7", "class": "Box"});
        for (attributes, of) in [(of_worker, "app-pr-7"), (of_preview, "pr-7")] {
            let resources = json!([
                worker("app"),
                worker("app-pr-7"),
                preview("pr-7", "app", &json!({})),
                application(name, attributes)
            ]);
            let world = world(json!([closed(7), open(9)]), resources, faults.clone());
            for only in [&[][..], &["--kind", "worker,worker_preview"]] {
                let seen = audit_with(&world, &policy, only);
                assert_eq!(
                    seen.verdict(of),
                    verdict,
                    "{what} {of} {only:?}: {}",
                    seen.report
                );
            }
        }
    }
}
