//! What a run cannot see or does not look at decides nothing: providers without
//! credentials, zones outside of the scope, and resources without a verdict.

use serde_json::{Value, json};

use super::{
    Audited, BRANCHES, NAMESPACES, T0, WORKERS, audit, audit_with, branch, closed, main_branch,
    open, worker, world,
};
use crate::support::{Server, report};

/// Audits a world over HTTP without one of the variables.
fn audit_without(variable: &str, world: &Value, policy: &str) -> Audited {
    let folder = tempfile::tempdir().unwrap();
    let (file, rules) = (
        folder.path().join("world.json"),
        folder.path().join("policy.toml"),
    );
    std::fs::write(&file, world.to_string()).unwrap();
    std::fs::write(&rules, policy).unwrap();
    let server = Server::start(&["--world", &file.display().to_string()]);
    let output = server
        .program()
        .env_remove(variable)
        .args(["audit", "-q", "--format", "json", "--policies"])
        .arg(&rules)
        .output()
        .unwrap();
    let (report, code) = report(&output);
    Audited { report, code }
}

/// The scope names an account: what is there may use a branch, whichever kinds the
/// rules are about.
#[test]
fn a_provider_without_credentials_may_hold_a_user() {
    let mut used = branch("preview/pr-7", T0, &json!({"parent": "main"}));
    used["id"] = json!("br-cool-fog-12345678");
    let database = json!({"kind": "hyperdrive", "name": "db", "created_at": T0, "updated_at": T0,
        "attributes": {"host": "ep-cool-fog-12345678.eu-central-1.aws.neon.tech"}});
    let other = branch("preview/pr-3", T0, &json!({"parent": "main"}));
    let resources = json!([main_branch(), used, other, database]);
    let world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    let seen = audit(&world, BRANCHES);
    assert_eq!(seen.verdict("preview/pr-7"), "in_use", "{}", seen.report);
    assert_eq!(seen.verdict("preview/pr-3"), "garbage");
    for more in ["", WORKERS] {
        let policy = format!("{BRANCHES}{more}");
        let blind = audit_without("CLOUDFLARE_API_TOKEN", &world, &policy);
        assert_eq!(blind.verdict("preview/pr-7"), "unknown", "{}", blind.report);
        assert_eq!(blind.verdict("preview/pr-3"), "unknown");
        assert_eq!(blind.code, 3);
        assert!(
            blind
                .report
                .to_string()
                .contains("set CLOUDFLARE_API_TOKEN")
        );
    }
    // Nothing names an account.
    let alone = audit_without("CLOUDFLARE_ACCOUNT_ID", &world, BRANCHES);
    assert_eq!(alone.verdict("preview/pr-3"), "garbage", "{}", alone.report);
}

/// What answers at a host that nobody could look at may still answer.
#[test]
fn what_guards_a_host_is_kept_where_the_host_cannot_be_looked_at() {
    let guard = |number: u32, zone: &str| {
        json!({"kind": "access_application", "name": format!("guard-{number}"),
            "attributes": {"domain": format!("pr-{number}.{zone}")}})
    };
    let record = json!({"kind": "dns_record", "name": "www.acme.example", "created_at": T0,
        "updated_at": T0, "attributes": {"type": "A", "content": "192.0.2.1", "zone": "acme.example"}});
    let resources = json!([guard(7, "acme.example"), guard(3, "acme.test"), record]);
    let world = |faults| {
        let pull_requests = json!([closed(7), closed(3), open(9)]);
        world(pull_requests, resources.clone(), faults)
    };
    let policy = "[[rule]]\nid = \"guards\"\nkind = \"access_application\"\nname = \"guard-{pr}\"\n\
                  dead-when = \"closed\"\ngrace = \"0s\"\n";
    let seen = audit(&world(json!([])), policy);
    assert_eq!(seen.verdict("guard-7"), "garbage", "{}", seen.report);
    assert_eq!(seen.verdict("guard-3"), "unknown", "{}", seen.report);
    for path in [
        "/zones$",
        "/dns_records$",
        "/workers/routes$",
        "/workers/domains$",
    ] {
        let refused = json!([{"on": {"path": path}, "fault": {"status": 403}}]);
        let blind = audit(&world(refused), policy);
        let report = &blind.report;
        assert_eq!(blind.verdict("guard-7"), "unknown", "{path}: {report}");
        assert_eq!(blind.code, 3, "{path}");
    }
}

#[test]
fn a_provider_without_credentials_may_contradict_a_number() {
    let early = branch(
        "preview/pr-7",
        "2025-01-01T00:00:00Z",
        &json!({"parent": "main"}),
    );
    let namespace = json!({"kind": "kv_namespace", "name": "app-pr-7-kv"});
    let resources = json!([main_branch(), early, namespace]);
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    let policy = format!("{BRANCHES}{NAMESPACES}");
    assert_eq!(audit(&world, &policy).verdict("app-pr-7-kv"), "unknown");
    let blind = audit_without("NEON_API_KEY", &world, &policy);
    assert_eq!(blind.verdict("app-pr-7-kv"), "unknown", "{}", blind.report);
    assert_eq!(blind.code, 3);
}

/// Marks, entries and users in the zones of the account that the scope leaves out.
#[test]
fn records_of_every_zone_keep_what_they_point_at() {
    let mut served = worker("app-pr-7");
    served["attributes"]["custom_domains"] = json!(["app-pr-7.other.example"]);
    let record = |name: &str, zone: &str, attributes: Value| {
        let mut attributes = attributes;
        attributes["zone"] = json!(zone);
        json!({"kind": "dns_record", "name": name, "created_at": T0, "updated_at": T0,
            "attributes": attributes})
    };
    let marked = json!({"type": "AAAA", "content": "100::", "proxied": true, "managed": true,
        "comment": "preview-gc:keep"});
    let alias = |to: &str| json!({"type": "CNAME", "content": to});
    let entry = "[[protect]]\nkind = \"dns_record\"\nname = \"app-pr-7.other.example\"\n\
                 reason = \"it has visitors\"\n";
    for (more, records) in [
        (entry, json!([])),
        (
            "",
            json!([record("app-pr-7.other.example", "other.example", marked)]),
        ),
        (
            "",
            json!([record(
                "www.third.example",
                "third.example",
                alias("app-pr-7.other.example")
            )]),
        ),
    ] {
        let mut resources = vec![served.clone(), worker("app-pr-3")];
        resources.extend(records.as_array().unwrap().iter().cloned());
        let pulls = json!([closed(7), closed(3), open(9)]);
        let mut world = world(pulls, json!(resources), json!([]));
        world["zones"] = json!([{"name": "acme.example"}, {"name": "other.example"},
            {"name": "third.example"}]);
        let scope = "[scope]\ncloudflare = { zones = [\"acme.example\"] }\n";
        let audited = audit(&world, &format!("{scope}{WORKERS}{more}"));
        assert_eq!(
            audited.verdict("app-pr-7"),
            "in_use",
            "{records}: {}",
            audited.report
        );
        assert_eq!(audited.verdict("app-pr-3"), "garbage", "{records}");
        assert_eq!(audited.code, 0);
    }
}

/// A Worker from another life of the number, which its own rule does not decide.
#[test]
fn a_number_is_contradicted_whatever_decides_the_other_resource() {
    let rule = |id: &str, more: &str| {
        format!("[[rule]]\nid = \"{id}\"\nkind = \"worker\"\nname = \"app-pr-{{pr}}\"\n{more}\n")
    };
    let refused = rule(
        "w",
        "dead-when = \"closed\"\nwhere = { created-after-opened = true }",
    );
    let aged = rule(
        "a",
        "dead-when = { older-than = \"9000d\" }\neven-open = false",
    );
    let closed_rule = rule("w", "dead-when = \"closed\"");
    let any = rule("w", "dead-when = \"closed\"\nborn = \"any\"");
    let mut old = worker("app-pr-7");
    old["created_at"] = json!("2025-01-01T00:00:00Z");
    let mut marked = old.clone();
    marked["attributes"]["tags"] = json!(["preview-gc:keep"]);
    let both = format!("{aged}{closed_rule}");
    for (rules, worker, verdict) in [
        (&refused, &old, "unknown"),
        (&aged, &old, "unknown"),
        (&both, &marked, "unknown"),
        (&any, &old, "garbage"),
    ] {
        let resources = json!([worker, {"kind": "kv_namespace", "name": "app-pr-7-kv"}]);
        let world = world(json!([closed(7), open(9)]), resources, json!([]));
        let policy = format!("{rules}{NAMESPACES}");
        let audited = audit(&world, &policy);
        assert_eq!(
            audited.verdict("app-pr-7-kv"),
            verdict,
            "{rules}: {}",
            audited.report
        );
        let kind = audit_with(&world, &policy, &["--kind", "kv_namespace"]);
        assert_eq!(kind.verdict("app-pr-7-kv"), verdict, "--kind, {rules}");
    }
}

/// A tool that names branches `preview/<git branch>` may meet a git branch called
/// `pr-7`, which says nothing about #7.
#[test]
fn a_number_that_is_a_recorded_git_branch_lives_as_long_as_that() {
    let recorded = |ref_name: &str| {
        let annotations = json!({"vercel-commit-ref": ref_name});
        branch(
            "preview/pr-7",
            T0,
            &json!({"parent": "main", "annotations": annotations}),
        )
    };
    let mut twenty = open(20);
    twenty["head_ref"] = json!("pr-7");
    for (ref_name, verdict) in [("pr-7", "live"), ("b7", "garbage")] {
        let resources = json!([main_branch(), recorded(ref_name)]);
        let mut world = world(json!([closed(7), twenty]), resources, json!([]));
        world["git_branches"] = json!(["main", "pr-7", "b7"]);
        let audited = audit(&world, BRANCHES);
        assert_eq!(
            audited.verdict("preview/pr-7"),
            verdict,
            "{ref_name}: {}",
            audited.report
        );
    }
}

/// Two lists show the Workers of an account, and only one of them what the template
/// for new Previews binds.
#[test]
fn a_worker_that_only_one_of_two_lists_shows_hides_what_it_uses() {
    let mut app = worker("app");
    app["attributes"]["previews_base_config"] =
        json!({"bindings": [{"type": "kv_namespace", "name": "KV", "target": "app-pr-7-kv"}]});
    let resources = json!([app, worker("site"), {"kind": "kv_namespace", "name": "app-pr-7-kv"}]);
    let pulls = || json!([closed(7), open(9)]);
    let seen = audit(&world(pulls(), resources.clone(), json!([])), NAMESPACES);
    assert_eq!(seen.verdict("app-pr-7-kv"), "in_use", "{}", seen.report);
    let nobody = json!({"success": true, "errors": [], "messages": [], "result": [],
        "result_info": {"page": 1, "per_page": 100, "count": 0, "total_count": 0}});
    let faults = json!([{"on": {"method": "GET", "path": "/workers/workers$"}, "times": null,
        "fault": {"status": 200, "body": nobody}}]);
    let hidden = audit(&world(pulls(), resources, faults), NAMESPACES);
    assert_eq!(
        hidden.verdict("app-pr-7-kv"),
        "unknown",
        "{}",
        hidden.report
    );
    assert_eq!(hidden.code, 3);
}

/// The template for new Previews is in one list only: without it, what a template may
/// bind is unknown, and so is the run's success.
#[test]
fn the_list_that_alone_shows_templates_is_never_taken_for_empty() {
    let mut app = worker("app");
    app["attributes"]["previews_base_config"] = json!({"bindings": [
        {"type": "kv_namespace", "name": "KV", "target": "app-pr-7-kv"},
        {"type": "service", "name": "S", "target": "app-pr-7"}]});
    let resources =
        json!([app, worker("app-pr-7"), {"kind": "kv_namespace", "name": "app-pr-7-kv"}]);
    let policy = format!("{WORKERS}{NAMESPACES}");
    let no =
        json!({"success": false, "errors": [{"code": 10000, "message": "no"}], "result": null});
    for answer in [
        json!({"status": 403, "body": no}),
        json!({"status": 404, "body": no}),
        json!({"status": 500, "body": no}),
        json!({"status": 200, "body": no}),
        json!({"status": 200, "body": {"success": true, "result": [{"name": "app"}]}}),
        json!("truncate"),
    ] {
        for times in [json!(1), json!(2), Value::Null] {
            let faults = json!([{"on": {"method": "GET", "path": "/workers/workers$"},
                "times": times, "fault": answer}]);
            let world = world(json!([closed(7), open(9)]), resources.clone(), faults);
            for arguments in [&[][..], &["--pr", "7"], &["--kind", "kv_namespace"]] {
                let audited = audit_with(&world, &policy, arguments);
                let case = format!("{answer} x {times}, {arguments:?}: {}", audited.report);
                for name in ["app-pr-7-kv", "app-pr-7"] {
                    let verdict = audited.verdict(name);
                    if verdict == "in_use" {
                        assert_eq!(audited.code, 0, "{case}");
                    } else if verdict != "not listed" {
                        assert_eq!((verdict, audited.code), ("unknown", 3), "{name}: {case}");
                    }
                }
            }
        }
    }
}

/// A binding of a type that a later version may know keeps what it may name, and is
/// reported also where it names nothing that would go.
#[test]
fn bindings_of_unknown_types_keep_and_are_reported() {
    let resources = json!([worker("site"), {"kind": "kv_namespace", "name": "app-pr-7-kv"},
        {"kind": "kv_namespace", "name": "app-pr-3-kv"}]);
    let pulls = json!([closed(7), closed(3), open(9)]);
    let binding = json!({"type": "tape", "name": "TAPE", "recording": "app-pr-7-kv"});
    let settings = json!({"success": true, "errors": [], "messages": [],
        "result": {"bindings": [binding], "tail_consumers": null}});
    let faults = json!([{"on": {"method": "GET", "path": "/scripts/site/settings$"},
        "times": null, "fault": {"status": 200, "body": settings}}]);
    let audited = audit(&world(pulls, resources, faults), NAMESPACES);
    assert_eq!(
        audited.verdict("app-pr-7-kv"),
        "unknown",
        "{}",
        audited.report
    );
    assert_eq!(audited.verdict("app-pr-3-kv"), "garbage");
    let said = audited.report["unknown_bindings"][0].as_str().unwrap();
    assert!(
        said.starts_with("Worker site has a binding of type \"tape\""),
        "{said}"
    );
}

/// A rule is about one project: a branch of another one has other numbers.
#[test]
fn a_rule_contradicts_no_number_where_it_does_not_apply() {
    let (ours, theirs) = ("shop-a-12345678", "blog-b-12345678");
    let in_project = |project: &str, made: &str| {
        let attributes = json!({"parent": "main", "project": project});
        branch("preview/pr-7", made, &attributes)
    };
    let old = "2025-01-01T00:00:00Z";
    for (first, second, verdict) in [(T0, old, "garbage"), (old, T0, "unknown")] {
        let resources = json!([in_project(ours, first), in_project(theirs, second),
            {"kind": "kv_namespace", "name": "app-pr-7-kv"}]);
        let world = world(json!([closed(7), open(9)]), resources, json!([]));
        let policy = format!("{BRANCHES}project = \"{ours}\"\n{NAMESPACES}");
        let audited = audit(&world, &policy);
        let of_kv = audited.verdict("app-pr-7-kv");
        assert_eq!(of_kv, verdict, "{first}: {}", audited.report);
    }
}

/// The scope of one file hides what may use what the rules of another one match.
#[test]
fn a_provider_without_credentials_is_hidden_from_every_file() {
    let mut used = branch("preview/pr-7", T0, &json!({"parent": "main"}));
    used["id"] = json!("br-cool-fog-12345678");
    let database = json!({"kind": "hyperdrive", "name": "db", "created_at": T0, "updated_at": T0,
        "attributes": {"host": "ep-cool-fog-12345678.eu-central-1.aws.neon.tech"}});
    let resources = json!([main_branch(), used, database, worker("app-pr-7")]);
    let world = world(json!([closed(7), open(9)]), resources, json!([]));
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let file = folder.path().join("world.json");
    std::fs::write(&file, world.to_string()).unwrap();
    let server = Server::start(&["--world", &file.display().to_string()]);
    let mut variables = server.environment.iter();
    let account = variables.find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID");
    let account = &account.unwrap().1;
    let scope = format!("[scope]\ncloudflare = {{ account = \"{account}\" }}\n");
    std::fs::write(policies.join("a.toml"), format!("{scope}{WORKERS}")).unwrap();
    std::fs::write(policies.join("b.toml"), BRANCHES).unwrap();
    let output = server
        .program()
        .env_remove("CLOUDFLARE_API_TOKEN")
        .env_remove("CLOUDFLARE_ACCOUNT_ID")
        .env_remove("CLOUDFLARE_ZONE_ID")
        .args(["audit", "-q", "--format", "json", "--policies"])
        .arg(&policies)
        .output()
        .unwrap();
    let (report, code) = report(&output);
    let blind = Audited { report, code };
    assert_eq!(blind.verdict("preview/pr-7"), "unknown", "{}", blind.report);
    assert_eq!(blind.code, 3);
}

const TUNNELS: &str = "[[rule]]\nid = \"tunnels\"\nkind = \"tunnel\"\nname = \"pr-{pr}\"\n\
     dead-when = \"closed\"\n";
const TUNNEL: &str = "11111111-1111-4111-8111-111111111111";

/// A Worker reaches a tunnel by a VPC network, or by a service that hides it.
#[test]
fn a_tunnel_that_a_worker_binds_is_in_use() {
    let tunnel = json!({"kind": "tunnel", "name": "pr-7", "id": TUNNEL, "created_at": T0,
        "updated_at": T0, "attributes": {"status": "down"}});
    let world = world(
        json!([closed(7), open(9)]),
        json!([tunnel, worker("api-production")]),
        json!([]),
    );
    for (binding, verdict) in [
        (json!([]), "garbage"),
        (
            json!([{"type": "vpc_network", "name": "N", "tunnel_id": TUNNEL}]),
            "in_use",
        ),
        (
            json!([{"type": "vpc_service", "name": "S", "service_id": "22222222"}]),
            "unknown",
        ),
        (json!([{"type": "vpc_network", "name": "N"}]), "unknown"),
    ] {
        let settings = json!({"success": true, "errors": [], "messages": [],
            "result": {"bindings": binding}});
        let mut world = world.clone();
        world["faults"] = json!([{"on": {"method": "GET", "path": "/settings$"},
            "fault": {"status": 200, "body": settings}}]);
        let seen = audit(&world, TUNNELS);
        assert_eq!(seen.verdict("pr-7"), verdict, "{binding}: {}", seen.report);
        // The type of the binding is known: only its target is not.
        let reason = "that says by no name what it leads to";
        let said = seen.report.to_string().contains(reason);
        assert_eq!(said, verdict == "unknown", "{binding}: {}", seen.report);
    }
}

/// Of an empty list, or one without a count, nothing follows.
#[test]
fn a_record_whose_tunnel_is_not_listed_needs_a_counted_list() {
    let record = json!({"kind": "dns_record", "name": "app.acme.example", "created_at": T0,
        "updated_at": T0, "attributes": {"type": "CNAME",
        "content": "33333333-3333-4333-8333-333333333333.cfargotunnel.com", "proxied": true}});
    let other = json!({"kind": "tunnel", "name": "other", "id": TUNNEL, "created_at": T0,
        "updated_at": T0, "attributes": {"status": "healthy"}});
    let policy = "[[rule]]\nid = \"gone\"\nkind = \"dns_record\"\nname = \
         \"app.acme.example\"\ndead-when = { target-gone = true }\n";
    let whole = world(json!([open(9)]), json!([record, other]), json!([]));
    let seen = audit(&whole, policy);
    assert_eq!(
        seen.verdict("app.acme.example"),
        "garbage",
        "{}",
        seen.report
    );
    for info in [
        json!(null),
        json!({"page": 1, "per_page": 50, "count": 0}),
        json!({"page": 1, "per_page": 50, "count": 0, "total_count": 0}),
    ] {
        let body = json!({"success": true, "errors": [], "messages": [], "result": [],
            "result_info": info});
        let mut world = whole.clone();
        world["faults"] = json!([{"on": {"method": "GET", "path": "/cfd_tunnel$"},
            "fault": {"status": 200, "body": body}}]);
        let seen = audit(&world, policy);
        assert_eq!(
            seen.verdict("app.acme.example"),
            "unknown",
            "{info}: {}",
            seen.report
        );
    }
}

/// A pattern with a star reaches the host as well.
#[test]
fn an_application_guards_the_hosts_of_routes_with_stars() {
    let application = |host: &str| {
        json!({"kind": "access_application", "name": "pr-7",
            "attributes": {"type": "self_hosted", "domain": host}})
    };
    let policy = "[[rule]]\nid = \"guards\"\nkind = \"access_application\"\nname = \
         \"pr-{pr}\"\ndead-when = \"closed\"\n";
    for (host, pattern, verdict) in [
        ("pr-7.acme.example", "*acme.example/*", "in_use"),
        ("pr-7.acme.example", "*/*", "in_use"),
        ("pr-7.acme.example", "*.acme.example/*", "in_use"),
        ("*.pr-7.acme.example", "*.pr-7.acme.example/*", "in_use"),
        ("pr-7.acme.example", "*.other.acme.example/*", "garbage"),
    ] {
        let route = json!({"kind": "worker_route", "name": pattern,
            "attributes": {"script": "api-production", "zone": "acme.example"}});
        let live = worker("api-production");
        let all = json!([application(host), route, live]);
        let mut world = world(json!([closed(7), open(9)]), all, json!([]));
        world["zones"] = json!([{"name": "acme.example"}]);
        let seen = audit(&world, policy);
        assert_eq!(
            seen.verdict("pr-7"),
            verdict,
            "{host} {pattern}: {}",
            seen.report
        );
    }
}

/// What people keep, or what is live by itself, is of no use without its Worker.
#[test]
fn a_satellite_that_stays_for_itself_keeps_its_worker() {
    for (kind, attribute) in [("workflow", "script"), ("container_application", "worker")] {
        let satellite = |name: &str| {
            json!({"kind": kind, "name": name, "created_at": T0, "updated_at": T0,
                "attributes": {attribute: "app-pr-7"}})
        };
        let flows = format!(
            "[[rule]]\nid = \"flows\"\nkind = \"{kind}\"\nname = \"flow-pr-{{pr}}\"\n\
             dead-when = \"closed\"\n"
        );
        let protect =
            format!("[[protect]]\nkind = \"{kind}\"\nname = \"flow-*\"\nreason = \"x\"\n");
        for (name, more, verdict) in [
            ("flow-pr-7", "", "garbage"),
            ("flow-pr-9", "", "in_use"),
            ("flow-pr-7", &*protect, "in_use"),
        ] {
            let all = json!([satellite(name), worker("app-pr-7")]);
            let world = world(json!([closed(7), open(9)]), all, json!([]));
            let seen = audit(&world, &format!("{WORKERS}{flows}{more}"));
            let found = seen.verdict("app-pr-7");
            assert_eq!(found, verdict, "{kind} {name}: {}", seen.report);
        }
    }
}

/// The listing of routes has no count, and a Worker says itself which routes run it.
#[test]
fn a_route_that_only_its_worker_shows_keeps_that() {
    let route = json!({"kind": "worker_route", "name": "www.acme.example/*",
        "attributes": {"script": "app-pr-7"}});
    let none = json!({"status": 200, "body": {"success": true, "errors": [], "messages": [],
        "result": []}});
    for faults in [
        json!([]),
        json!([{"on": {"path": "/workers/routes$"}, "fault": none}]),
    ] {
        let resources = json!([worker("app-pr-7"), worker("app-pr-8"), route]);
        let pulls = json!([closed(7), closed(8)]);
        let mut world = world(pulls, resources, faults);
        world["zones"] = json!([{"name": "acme.example"}]);
        let audited = audit(&world, WORKERS);
        assert_eq!(audited.verdict("app-pr-7"), "in_use", "{}", audited.report);
        assert_eq!(audited.verdict("app-pr-8"), "garbage", "{}", audited.report);
    }
}
