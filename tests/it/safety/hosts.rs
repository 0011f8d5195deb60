//! DNS records and routes: what a host leads to stays.

use serde_json::json;

use super::{WORKERS, audit, audit_with, closed, open, record, worker, world};

const RECORDS: &str = r#"
[[rule]]
id = "records"
kind = "dns_record"
name = "{service}-pr-{pr}.acme.example"
dead-when = "closed"
[words]
service = ["app", "mail", "sip", "ns", "svc", "uri", "call"]
"#;

#[test]
fn rule_2_a_zone_that_cannot_be_read_keeps_the_workers_that_its_routes_may_serve() {
    let route = json!({"kind": "worker_route", "name": "www.acme.example/*",
        "attributes": {"zone": "acme.example", "script": "app-pr-7"}});
    let resources = json!([worker("app-pr-7"), route]);
    let pulls = json!([closed(7), open(9)]);
    let seen = audit(&world(pulls.clone(), resources.clone(), json!([])), WORKERS);
    assert_eq!(seen.verdict("app-pr-7"), "in_use");
    for scope in ["", "[scope]\ncloudflare = { zones = [\"acme.example\"] }\n"] {
        for status in [403, 404, 500] {
            let faults = json!([{"on": {"method": "GET", "path": "/client/v4/zones(/[0-9a-f]{32})?$"},
                "times": null, "fault": {"status": status, "body": {"success": false, "errors": []}}}]);
            let policy = format!("{scope}{WORKERS}");
            let world = world(pulls.clone(), resources.clone(), faults);
            let audited = audit_with(&world, &policy, &["--deadline", "1s"]);
            assert_eq!(audited.verdict("app-pr-7"), "unknown", "{scope} {status}");
            assert_eq!(audited.code, 3, "{scope} {status}");
        }
    }
}

#[test]
fn rule_4_a_route_keeps_its_worker_in_a_zone_that_no_policy_names() {
    let zones = json!([
        {"id": "11111111111111111111111111111111", "name": "acme.example"},
        {"id": "22222222222222222222222222222222", "name": "other.example"},
    ]);
    let route = json!({"kind": "worker_route", "name": "www.other.example/*",
        "attributes": {"zone": "other.example", "script": "app-pr-7"}});
    let resources = json!([worker("app-pr-7"), worker("app-pr-3"), route]);
    let mut world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    world["zones"] = zones;
    let policy = format!("[scope]\ncloudflare = {{ zones = [\"acme.example\"] }}\n{WORKERS}");
    let audited = audit(&world, &policy);
    assert_eq!(audited.verdict("app-pr-7"), "in_use");
    assert_eq!(audited.verdict("app-pr-3"), "garbage");
    assert_eq!(audited.code, 0);
}

#[test]
fn rule_4_hosts_are_protected_in_capitals_too() {
    let names = ["app-pr-7.acme.example", "mail-pr-7.acme.example"];
    let resources = json!(names.map(|name| record(name, "A", "192.0.2.1")));
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    for name in [
        "APP-pr-7.acme.example",
        "App-PR-7.ACME.example",
        "APP-*.Acme.Example",
    ] {
        let entry =
            format!("[[protect]]\nkind = \"dns_record\"\nname = \"{name}\"\nreason = \"a demo\"\n");
        let audited = audit(&world, &format!("{RECORDS}{entry}"));
        assert_eq!(audited.verdict(names[0]), "protected", "{name}");
        assert_eq!(audited.verdict(names[1]), "garbage", "{name}");
        let except = RECORDS.replace("dead-when", &format!("except = [\"{name}\"]\ndead-when"));
        let audited = audit(&world, &except);
        assert_eq!(audited.verdict(names[0]), "unmatched", "{name}");
    }
}

#[test]
fn rule_4_routes_are_protected_by_either_form_of_their_host() {
    let route = |name: &str| {
        json!({"kind": "worker_route", "name": name,
            "attributes": {"zone": "acme.example", "script": "app-pr-7"}})
    };
    let name = "xn--bcher-kva.acme.example/Shop/*";
    let resources = json!([worker("app-pr-7"), route(name)]);
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    let policy = WORKERS.replace("dead-when", "with = [\"worker_route\"]\ndead-when");
    assert_eq!(audit(&world, &policy).verdict(name), "garbage");
    for protected in [
        "bücher.acme.example/Shop/*",
        "BÜCHER.acme.example/*",
        "XN--BCHER-KVA.ACME.example/Shop/*",
    ] {
        let entry = format!(
            "[[protect]]\nkind = \"worker_route\"\nname = \"{protected}\"\nreason = \"a demo\"\n"
        );
        let audited = audit(&world, &format!("{policy}{entry}"));
        assert_eq!(audited.verdict(name), "protected", "{protected}");
        assert_eq!(audited.verdict("app-pr-7"), "in_use", "{protected}");
    }
}

#[test]
fn rule_4_what_a_record_of_any_type_points_at_stays() {
    let target = |service: &str| record(&format!("{service}-pr-7.acme.example"), "A", "192.0.2.1");
    let mail = record("acme.example", "MX", "mail-pr-7.acme.example");
    let resources = json!([
        target("app"),
        target("mail"),
        target("sip"),
        target("ns"),
        target("svc"),
        target("uri"),
        target("call"),
        record(
            "_ftp._tcp.acme.example",
            "URI",
            "10 1 \"uri-pr-7.acme.example/files\""
        ),
        record(
            "_tel._tcp.acme.example",
            "URI",
            "10 1 \"sip:us@call-pr-7.acme.example\""
        ),
        mail,
        record(
            "_sip._tcp.acme.example",
            "SRV",
            "5 5060 sip-pr-7.acme.example"
        ),
        record("sub.acme.example", "NS", "NS-pr-7.acme.example."),
        record(
            "shop.acme.example",
            "HTTPS",
            "1 svc-pr-7.acme.example. alpn=\"h3\""
        ),
    ]);
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    let audited = audit(&world, RECORDS);
    for service in ["mail", "sip", "ns", "svc", "uri", "call"] {
        let name = format!("{service}-pr-7.acme.example");
        assert_eq!(audited.verdict(&name), "in_use", "{service}");
    }
    assert_eq!(audited.verdict("app-pr-7.acme.example"), "garbage");
}

#[test]
fn rule_4_the_record_of_a_route_that_stays_is_kept() {
    let route = json!({"kind": "worker_route", "name": "app-pr-7.acme.example/*",
        "attributes": {"zone": "acme.example", "script": "production"}});
    let resources = json!([
        worker("production"),
        route,
        record("app-pr-7.acme.example", "AAAA", "100::"),
        record("mail-pr-7.acme.example", "AAAA", "100::"),
    ]);
    let audited = audit(
        &world(json!([closed(7), open(9)]), resources, json!([])),
        RECORDS,
    );
    assert_eq!(audited.verdict("app-pr-7.acme.example"), "in_use");
    assert_eq!(audited.verdict("mail-pr-7.acme.example"), "garbage");
}
