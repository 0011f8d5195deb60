//! Answers that say that something is not there although other answers show it: they
//! prove nothing until what can show it was read again.

use serde_json::{Value, json};

use super::{NAMESPACES, WORKERS, audit, closed, open, preview, worker, world};

/// Faults for every request with one of these paths.
fn always(paths: &[&str], fault: &Value) -> Value {
    let faults = paths
        .iter()
        .map(|path| json!({"on": {"method": "GET", "path": path}, "times": null, "fault": fault}));
    faults.collect()
}

/// A 404 with a code of the provider.
fn missing(code: u32) -> Value {
    json!({"status": 404, "body": {"success": false, "messages": [],
        "errors": [{"code": code, "message": "no"}], "result": null}})
}

fn binds(namespace: &str) -> Value {
    json!([{"type": "kv_namespace", "name": "KV", "target": namespace}])
}

/// A Worker that stays, with these attributes, beside the namespaces of dead pull
/// requests.
fn beside_namespaces(attributes: &Value, faults: Value) -> Value {
    let mut app = worker("app");
    app["attributes"] = attributes.clone();
    let namespace = |name: &str| json!({"kind": "kv_namespace", "name": name});
    let resources = json!([app, namespace("app-pr-7-kv"), namespace("app-pr-3-kv")]);
    world(json!([closed(7), closed(3), open(9)]), resources, faults)
}

#[test]
fn a_worker_that_is_there_has_not_lost_its_previews() {
    let at = |faults: Value| {
        let mut world = beside_namespaces(&json!({"bindings": []}), faults);
        let live = preview("pr-9", "app", &json!({"bindings": binds("app-pr-7-kv")}));
        world["resources"].as_array_mut().unwrap().push(live);
        audit(&world, NAMESPACES)
    };
    let seen = at(json!([]));
    assert_eq!(seen.verdict("app-pr-7-kv"), "in_use", "{}", seen.report);
    assert_eq!(seen.verdict("app-pr-3-kv"), "garbage");
    for code in [10_007, 10_025, 10_222] {
        let hidden = at(always(&["/workers/workers/app/previews$"], &missing(code)));
        for name in ["app-pr-7-kv", "app-pr-3-kv"] {
            let verdict = hidden.verdict(name);
            assert_eq!(verdict, "unknown", "{code}: {}", hidden.report);
        }
        assert_eq!(hidden.code, 3, "{code}");
    }
    // Reading it again shows that it was deleted since it was listed.
    let deleted = always(&["/workers/workers/app(/previews)?$"], &missing(10_007));
    let gone = at(deleted);
    assert_eq!(gone.verdict("app-pr-3-kv"), "garbage", "{}", gone.report);
    assert_eq!(gone.code, 0);
}

#[test]
fn a_worker_that_is_there_binds_what_no_answer_shows() {
    let attributes = json!({"bindings": binds("app-pr-7-kv")});
    let at = |paths: &[&str]| {
        let faults = always(paths, &missing(10_007));
        audit(&beside_namespaces(&attributes, faults), NAMESPACES)
    };
    let hidden = at(&["/scripts/app/(settings|deployments|versions)$"]);
    for name in ["app-pr-7-kv", "app-pr-3-kv"] {
        let verdict = hidden.verdict(name);
        assert_eq!(verdict, "unknown", "{name}: {}", hidden.report);
    }
    assert_eq!(hidden.code, 3);
    let gone = at(&[
        "/scripts/app/(settings|deployments|versions)$",
        "/workers/workers/app$",
    ]);
    assert_eq!(gone.verdict("app-pr-3-kv"), "garbage", "{}", gone.report);
    assert_eq!(gone.code, 0);
}

/// What was uploaded last binds nothing, and what was uploaded before may serve.
#[test]
fn a_worker_without_a_deployment_uses_what_any_of_its_versions_binds() {
    let ok = |result: Value| {
        json!({"status": 200, "body": {"success": true, "errors": [], "messages": [],
            "result": result}})
    };
    let served = json!([{"bindings": binds("app-pr-7-kv"), "percentage": 100}, {"bindings": []}]);
    let uploaded = json!([{"bindings": binds("app-pr-7-kv")}, {"bindings": []}]);
    let path = ["/scripts/app/deployments$"];
    for (versions, fault, used, other, exit) in [
        (&served, None, "in_use", "garbage", 0),
        (&uploaded, None, "in_use", "garbage", 0),
        (
            &served,
            Some(ok(json!({"deployments": []}))),
            "unknown",
            "unknown",
            3,
        ),
        (
            &served,
            Some(ok(json!({"deployments": [{"id": "x", "versions": []}]}))),
            "unknown",
            "unknown",
            3,
        ),
    ] {
        let faults = fault.map_or(json!([]), |fault| always(&path, &fault));
        let world = beside_namespaces(&json!({ "versions": versions }), faults);
        let audited = audit(&world, NAMESPACES);
        for (name, verdict) in [("app-pr-7-kv", used), ("app-pr-3-kv", other)] {
            let found = audited.verdict(name);
            assert_eq!(found, verdict, "{world}: {}", audited.report);
        }
        assert_eq!(audited.code, exit, "{world}");
    }
}

/// The list of users names the custom domain that the list of domains leaves out.
#[test]
fn an_empty_list_of_domains_is_contradicted_by_a_worker_that_serves_one() {
    let mut served = worker("app-pr-7");
    served["attributes"]["custom_domains"] = json!(["shop.acme.example"]);
    let resources = json!([served, worker("app-pr-3")]);
    let at = |faults| {
        let pulls = json!([closed(7), closed(3), open(9)]);
        audit(&world(pulls, resources.clone(), faults), WORKERS)
    };
    let seen = at(json!([]));
    assert_eq!(seen.verdict("app-pr-7"), "in_use", "{}", seen.report);
    assert_eq!(seen.verdict("app-pr-3"), "garbage");
    for info in [
        Value::Null,
        json!({"page": 1, "per_page": 20, "count": 0, "total_count": 0}),
    ] {
        let mut none = json!({"success": true, "errors": [], "messages": [], "result": []});
        if !info.is_null() {
            none["result_info"] = info;
        }
        let fault = json!({"status": 200, "body": none});
        let hidden = at(always(&["/workers/domains$"], &fault));
        for name in ["app-pr-7", "app-pr-3"] {
            assert_eq!(hidden.verdict(name), "unknown", "{}", hidden.report);
        }
        assert_eq!(hidden.code, 3);
    }
}

/// A part of an answer is none.
#[test]
fn a_listing_with_the_status_of_a_part_is_incomplete() {
    let pulls = json!([closed(7), open(9)]);
    let body = json!({"success": true, "errors": [], "messages": [], "result": []});
    for status in [202, 203, 206] {
        let fault = json!({"status": status, "body": body});
        let faults = always(&["/workers/domains$"], &fault);
        let world = world(pulls.clone(), json!([worker("app-pr-7")]), faults);
        let audited = audit(&world, WORKERS);
        let report = &audited.report;
        assert_eq!(audited.verdict("app-pr-7"), "unknown", "{status}: {report}");
        assert_eq!(audited.code, 3, "{status}");
    }
}
