//! Answers that leave something out, or have it in a form that cannot be read:
//! they never say that nothing is there.

use serde_json::{Value, json};

use super::{
    BRANCHES, NAMESPACES, PREVIEWS, T0, annotated, audit, closed, main_branch, open, preview,
    worker, world,
};

fn pulls() -> Value {
    json!([closed(7), open(9), open(20)])
}

/// A fault for every request with this path.
fn always(path: &str, fault: Value) -> Value {
    json!([{"on": {"method": "GET", "path": path}, "times": null, "fault": fault}])
}

fn body(result: &Value) -> Value {
    json!({"status": 200, "body": {"success": true, "errors": [], "messages": [],
        "result": result}})
}

/// Marks stand in the annotations.
#[test]
fn a_listing_of_neon_branches_without_annotations_is_incomplete() {
    let branch = |id: &str, name: &str, parent: Value| {
        json!({"id": id, "name": name, "parent_id": parent, "created_at": T0, "updated_at": T0,
            "creation_source": "console", "default": parent.is_null(), "protected": false})
    };
    let page = |annotations: Option<Value>| {
        let mut body = json!({"branches": [branch("br-a", "main", Value::Null),
            branch("br-b", "preview/pr-7", json!("br-a"))], "pagination": {}});
        if let Some(annotations) = annotations {
            body["annotations"] = annotations;
        }
        json!({"status": 200, "body": body})
    };
    let resources = || json!([main_branch(), annotated("preview/pr-7", json!({}))]);
    let audited = |annotations| {
        let faults = always("/branches$", page(annotations));
        audit(&world(pulls(), resources(), faults), BRANCHES)
    };
    let none = audited(Some(json!({})));
    assert_eq!(none.verdict("preview/pr-7"), "garbage", "{}", none.report);
    for annotations in [
        None,
        Some(json!({"br-b": {"object": {"type": "console/branch", "id": "br-b"}}})),
    ] {
        let hidden = audited(annotations);
        assert_ne!(hidden.verdict("preview/pr-7"), "garbage");
        assert_eq!(hidden.code, 3, "{}", hidden.report);
    }
}

/// It may be the number of another pull request than the one in the name.
#[test]
fn a_recorded_number_that_cannot_be_read_is_not_none() {
    let policy = format!("{BRANCHES}{PREVIEWS}");
    for (number, verdict) in [
        (json!("7"), "garbage"),
        (json!(""), "garbage"),
        (json!("20"), "live"),
        (json!(20), "unknown"),
        (json!("#20"), "unknown"),
        (json!("020"), "unknown"),
        (json!("x20"), "unknown"),
        (json!({"number": 20}), "unknown"),
    ] {
        let resources = json!([
            main_branch(),
            annotated("preview/pr-7", json!({"github-pr-number": number})),
            worker("site"),
            preview("pr-7", "site", &json!({})),
        ]);
        let deployment = body(&json!({"id": "d7", "env": {}, "preview_name": "pr-7",
            "annotations": {"workers/pull_request_number": number}}));
        let faults = always("/deployments/latest$", deployment);
        let audited = audit(&world(pulls(), resources, faults), &policy);
        for name in ["preview/pr-7", "pr-7"] {
            let found = audited.verdict(name);
            assert_eq!(found, verdict, "{name} {number}: {}", audited.report);
        }
        assert_eq!(audited.code, 0);
    }
}

#[test]
fn the_address_of_a_pull_request_says_whose_a_preview_is() {
    let at = |address: &str| json!({"workers/pull_request_url": address});
    let ours = "https://github.com/acme/shop/pull/20";
    let mut differs = at(ours);
    differs["workers/pull_request_number"] = json!("7");
    let mut elsewhere = at(ours);
    elsewhere["workers/repository_url"] = json!("https://github.com/acme/other");
    for (annotations, verdict) in [
        (at("https://github.com/acme/shop/pull/7"), "garbage"),
        (at(ours), "live"),
        (at("https://github.com/acme/other/pull/7"), "unmatched"),
        (
            at("https://gitlab.com/acme/shop/-/merge_requests/7"),
            "unmatched",
        ),
        (at("https://github.com/acme/shop/pull/x20"), "unknown"),
        (differs, "unknown"),
        (elsewhere, "unknown"),
    ] {
        let resources = json!([
            worker("site"),
            preview("pr-7", "site", &json!({"annotations": annotations})),
        ]);
        let audited = audit(&world(pulls(), resources, json!([])), PREVIEWS);
        let found = audited.verdict("pr-7");
        assert_eq!(found, verdict, "{annotations}: {}", audited.report);
    }
}

/// Whatever the code says: what was deployed has a deployment.
#[test]
fn only_a_preview_that_was_never_deployed_binds_nothing() {
    let binds = json!({"bindings": [{"type": "kv_namespace", "name": "KV",
        "target": "app-pr-7-kv"}]});
    let namespace = json!({"kind": "kv_namespace", "name": "app-pr-7-kv"});
    let demo = preview("demo", "site", &binds);
    let listed = |deployed: Value| {
        let mut listed = body(
            &json!([{"id": "p1", "name": "demo", "slug": "demo", "tags": [],
            "tail_consumers": [], "urls": [], "created_on": T0, "updated_on": T0, "deployed_on": deployed}]),
        );
        listed["body"]["result_info"] =
            json!({"page": 1, "per_page": 100, "count": 1, "total_count": 1, "total_pages": 1});
        json!({"on": {"method": "GET", "path": "/previews$"}, "times": null, "fault": listed})
    };
    for policy in [NAMESPACES.to_owned(), format!("{NAMESPACES}{PREVIEWS}")] {
        for code in [10_007, 10_025, 10_222] {
            let missing = json!({"status": 404, "body": {"success": false, "messages": [],
                "errors": [{"code": code, "message": "no"}], "result": null}});
            for (deployed, verdict, exit) in
                [(Value::Null, "garbage", 0), (json!(T0), "unknown", 3)]
            {
                let resources = json!([worker("site"), demo, namespace]);
                let mut faults = always("/deployments/latest$", missing.clone());
                faults.as_array_mut().unwrap().push(listed(deployed));
                let audited = audit(&world(pulls(), resources, faults), &policy);
                let found = audited.verdict("app-pr-7-kv");
                assert_eq!(found, verdict, "{code} {policy}: {}", audited.report);
                assert_eq!(audited.code, exit, "{code} {policy}");
            }
        }
    }
}

/// A Worker that consumes has no binding of its queue.
#[test]
fn a_queue_without_lists_of_its_users_is_no_answer() {
    let policy = "[[rule]]\nid = \"queues\"\nkind = \"queue\"\nname = \"app-pr-{pr}-jobs\"\n\
        dead-when = \"closed\"\n";
    let resources = || {
        json!([
            worker("site"),
            {"kind": "queue", "name": "app-pr-7-jobs", "id": "q7", "created_at": T0,
                "updated_at": T0, "attributes": {"consumers": ["site"]}},
        ])
    };
    let listed = |more: Value| {
        let mut queue = json!({"queue_id": "q7", "queue_name": "app-pr-7-jobs", "created_on": T0,
            "modified_on": T0});
        for (key, value) in more.as_object().unwrap() {
            queue[key] = value.clone();
        }
        let faults = always("/queues$", body(&json!([queue])));
        audit(&world(pulls(), resources(), faults), policy)
    };
    let none = listed(json!({"producers": [], "consumers": null}));
    assert_eq!(none.verdict("app-pr-7-jobs"), "garbage", "{}", none.report);
    let counted = listed(json!({"producers_total_count": 0, "consumers_total_count": 0}));
    assert_eq!(counted.verdict("app-pr-7-jobs"), "garbage");
    for lacks in [
        json!({}),
        json!({"producers": []}),
        json!({"consumers": []}),
        json!({"consumers": [], "producers_total_count": 1}),
    ] {
        let hidden = listed(lacks.clone());
        assert_ne!(hidden.verdict("app-pr-7-jobs"), "garbage", "{lacks}");
        assert_eq!(hidden.code, 3, "{lacks}");
    }
}

/// The mark may stand in what the answer leaves out.
#[test]
fn a_record_and_an_environment_whose_marks_are_not_shown_are_unknown() {
    let records = "[scope]\ncloudflare = { zones = [\"acme.example\"] }\n[[rule]]\nid = \"hosts\"\n\
        kind = \"dns_record\"\nname = \"pr-{pr}.acme.example\"\ndead-when = \"closed\"\n";
    let resources = json!([{"kind": "dns_record", "name": "pr-7.acme.example", "created_at": T0,
        "updated_at": T0, "attributes": {"type": "A", "content": "192.0.2.1"}}]);
    for (fields, verdict) in [
        (json!({"comment": null, "tags": []}), "garbage"),
        (
            json!({"comment": "preview-gc:keep", "tags": []}),
            "protected",
        ),
        (json!({"comment": null}), "unknown"),
        (json!({"tags": []}), "unknown"),
        (json!({}), "unknown"),
    ] {
        let mut record = json!({"id": "r7", "name": "pr-7.acme.example", "type": "A",
            "content": "192.0.2.1", "meta": {}, "created_on": T0, "modified_on": T0});
        for (key, value) in fields.as_object().unwrap() {
            record[key] = value.clone();
        }
        let mut answer = body(&json!([record]));
        answer["body"]["result_info"] =
            json!({"page": 1, "per_page": 1000, "count": 1, "total_count": 1, "total_pages": 1});
        let faults = always("/dns_records$", answer);
        let mut world = world(pulls(), resources.clone(), faults);
        world["zones"] = json!([{"name": "acme.example"}]);
        let audited = audit(&world, records);
        let found = audited.verdict("pr-7.acme.example");
        assert_eq!(found, verdict, "{fields}: {}", audited.report);
    }
    let environments = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\n\
        name = \"pr-{pr}\"\ndead-when = \"closed\"\n";
    let resources = json!([{"kind": "github_environment", "name": "pr-7", "created_at": T0,
        "updated_at": T0}]);
    for (rules, verdict) in [(Some(json!([])), "garbage"), (None, "unknown")] {
        let mut environment = json!({"id": 1, "name": "pr-7", "created_at": T0,
            "updated_at": T0});
        if let Some(rules) = rules {
            environment["protection_rules"] = rules;
        }
        let answer = json!({"status": 200, "body": {"total_count": 1,
            "environments": [environment]}});
        let faults = always("/environments$", answer);
        let audited = audit(&world(pulls(), resources.clone(), faults), environments);
        assert_eq!(audited.verdict("pr-7"), verdict, "{}", audited.report);
    }
}

/// A map that turned into a list names nothing any more.
#[test]
fn bindings_of_a_pages_project_in_an_unknown_form_keep_what_they_may_name() {
    let resources = || {
        json!([
            {"kind": "kv_namespace", "name": "app-pr-7-kv", "id": "kv7"},
        ])
    };
    for (setting, verdict, exit) in [
        (json!({"kv_namespaces": {}}), "garbage", 0),
        (json!({"kv_namespaces": null}), "garbage", 0),
        (
            json!({"kv_namespaces": {"KV": {"namespace_id": "kv7"}}}),
            "in_use",
            0,
        ),
        (
            json!({"kv_namespaces": [{"namespace_id": "kv7"}]}),
            "unknown",
            3,
        ),
        (json!({"kv_namespaces": "kv7"}), "unknown", 3),
        (json!({"tapes": ["kv7"]}), "unknown", 0),
        (json!({"tapes": "kv7"}), "unknown", 0),
        (json!({"tapes": {"T": {"kv7": true}}}), "unknown", 0),
        (json!({"tapes": 7, "reels": false}), "garbage", 0),
    ] {
        let project = json!([{"id": "p1", "name": "site", "subdomain": "site.pages.dev",
            "domains": ["site.pages.dev"], "created_on": T0,
            "deployment_configs": {"preview": setting, "production": {}}}]);
        let mut answer = body(&project);
        answer["body"]["result_info"] =
            json!({"page": 1, "per_page": 10, "count": 1, "total_count": 1, "total_pages": 1});
        let faults = always("/pages/projects$", answer);
        let audited = audit(&world(pulls(), resources(), faults), NAMESPACES);
        let found = audited.verdict("app-pr-7-kv");
        assert_eq!(found, verdict, "{setting}: {}", audited.report);
        assert_eq!(audited.code, exit, "{setting}");
    }
}

/// wrangler's older environments are Workers of their own.
#[test]
fn a_binding_to_an_environment_keeps_the_worker_of_that_environment() {
    let policy = "[[rule]]\nid = \"workers\"\nkind = \"worker\"\nname = \"{any}-pr-{pr}\"\n\
        dead-when = \"closed\"\n";
    let settings = body(&json!({"bindings": [
        {"type": "service", "name": "API", "service": "api", "environment": "pr-7"},
        {"type": "durable_object_namespace", "name": "ROOMS", "class_name": "Room",
            "script_name": "rooms", "environment": "pr-7"},
        {"type": "service", "name": "WEB", "service": "web", "environment": "production"},
    ]}));
    let resources = json!([
        worker("site"),
        worker("api-pr-7"),
        worker("rooms-pr-7"),
        worker("web-pr-7"),
    ]);
    let faults = always("/scripts/site/settings$", settings);
    let audited = audit(&world(pulls(), resources, faults), policy);
    for (name, verdict) in [
        ("api-pr-7", "in_use"),
        ("rooms-pr-7", "in_use"),
        ("web-pr-7", "garbage"),
    ] {
        assert_eq!(audited.verdict(name), verdict, "{name}: {}", audited.report);
    }
}

/// The answer that cannot be believed may have left the open pull request out.
#[test]
fn a_gap_among_the_heads_leaves_every_slug_undecided() {
    let policy = "[slug.s]\ncase = \"lower\"\nkeep = \"a-z0-9\"\n\
        replace = { with = \"-\", runs = true }\nlength = 20\n\
        [[rule]]\nid = \"branches\"\nkind = \"neon_branch\"\nname = \"preview/{branch}\"\n\
        missing = \"dead\"\ndead-when = \"closed\"\n\
        [[rule]]\nid = \"workers\"\nkind = \"worker\"\nname = \"shop-{slug:s}\"\n\
        missing = \"dead\"\ndead-when = \"closed\"\n";
    let resources = || {
        json!([
            main_branch(),
            annotated("preview/f/a", json!({})),
            worker("shop-f-a"),
            worker("shop-lonely"),
            worker("shop-nothing"),
        ])
    };
    let gone = |number: u32, head: &str| {
        let mut one = closed(number);
        one["head_ref"] = json!(head);
        one
    };
    let seen = |faults: Value| {
        let mut world = world(json!([gone(1, "f/a"), open(9)]), resources(), faults);
        world["git_branches"] = json!(["main", "lonely"]);
        audit(&world, policy)
    };
    let whole = seen(json!([]));
    assert_eq!(whole.verdict("shop-f-a"), "garbage", "{}", whole.report);
    assert_eq!(whole.verdict("shop-nothing"), "garbage", "{}", whole.report);
    // Only what is asked by branch cannot be believed.
    let answer = json!({"status": 200, "body": {"data": {"repository":
        {"nameWithOwner": "acme/shop"}}}});
    let hidden = seen(json!([{"on": {"method": "POST", "path": "/graphql$",
        "contains": "headRefName:"}, "times": null, "fault": answer}]));
    for (name, verdict) in [
        ("preview/f/a", "unknown"),
        ("shop-f-a", "unknown"),
        ("shop-nothing", "unknown"),
        ("shop-lonely", "live"),
    ] {
        let found = hidden.verdict(name);
        assert_eq!(found, verdict, "{name}: {}", hidden.report);
    }
    assert_eq!(hidden.code, 3);
}

/// A name hours before the creation makes nothing older than it is.
#[test]
fn the_time_in_a_name_is_no_earlier_than_the_creation() {
    let policy = "[[rule]]\nid = \"ci\"\nkind = \"neon_branch\"\n\
        name = \"ci-{date:%Y%m%d-%H%M%S}-{any}\"\n\
        dead-when = { older-than = \"2h\", clock = \"named\" }\n";
    let branch = |name: &str, created: &str| {
        json!({"kind": "neon_branch", "name": name, "created_at": created, "updated_at": created,
            "attributes": {"parent": "main"}})
    };
    let resources = json!([
        main_branch(),
        branch("ci-20260430-120000-old", "2026-04-30T12:00:05Z"),
        branch("ci-20260430-120000-young", "2026-04-30T23:00:00Z"),
        branch("ci-20260430-230000-young", "2026-04-30T12:00:00Z"),
    ]);
    let audited = audit(&world(json!([]), resources, json!([])), policy);
    for (name, verdict) in [
        ("ci-20260430-120000-old", "garbage"),
        ("ci-20260430-120000-young", "live"),
        ("ci-20260430-230000-young", "live"),
    ] {
        assert_eq!(audited.verdict(name), verdict, "{name}: {}", audited.report);
    }
}

#[test]
fn a_backup_is_kept_unless_a_rule_spells_all_that_makes_it_one() {
    let policy = "[[rule]]\nid = \"backups\"\nkind = \"worker\"\nname = \"rollback-{any}-pr-{pr}\"\n\
        dead-when = \"closed\"\n[[rule]]\nid = \"apps\"\nkind = \"worker\"\n\
        name = \"{any}-app-pr-{pr}\"\ndead-when = \"closed\"\n";
    for (name, verdict) in [
        ("rollback-x-pr-7", "garbage"),
        ("rollback-x_old_1-pr-7", "protected"),
        ("Rollback_x-app-pr-7", "protected"),
        ("pre_deploy-x-app-pr-7", "protected"),
        ("x_OLD_1-app-pr-7", "protected"),
        ("remove-old-login-app-pr-7", "garbage"),
        ("x-older-app-pr-7", "garbage"),
    ] {
        let audited = audit(&world(pulls(), json!([worker(name)]), json!([])), policy);
        assert_eq!(audited.verdict(name), verdict, "{name}: {}", audited.report);
    }
}
