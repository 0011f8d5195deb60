//! A run that looks at a part, or that could not read a part, decides nothing
//! that a run over everything would not decide.

use std::collections::BTreeSet;

use serde_json::{Value, json};

const MADE: &str = "2026-03-10T00:00:00Z";
const ENDED: &str = "2026-04-01T00:00:00Z";

fn closed(number: u32) -> Value {
    json!({"number": number, "state": "closed", "head_ref": format!("b{number}"),
        "head_repo": "acme/shop", "created_at": "2026-03-01T00:00:00Z", "updated_at": ENDED,
        "closed_at": ENDED})
}

fn open(number: u32, head: &str) -> Value {
    json!({"number": number, "state": "open", "head_ref": head, "head_repo": "acme/shop",
        "created_at": "2026-03-01T00:00:00Z", "updated_at": ENDED})
}

fn namespace(name: &str) -> Value {
    json!({"kind": "kv_namespace", "name": name})
}

/// A database that was made at this time.
fn database(name: &str, made: &str) -> Value {
    json!({"kind": "d1", "name": name, "created_at": made, "updated_at": made})
}

fn world(pull_requests: Value, resources: Value, faults: Value) -> Value {
    json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z", "git_branches": ["main"],
        "zones": [{"name": "acme.example"}], "pull_requests": pull_requests,
        "resources": resources, "faults": faults})
}

/// The names of the garbage, and the exit code.
fn garbage(world: &Value, policy: &str, arguments: &[&str]) -> (BTreeSet<String>, i32) {
    let (report, code) = crate::support::audit(world, policy, arguments);
    let resources = report["resources"].as_array().unwrap().iter();
    let garbage = resources.filter(|one| one["verdict"] == "garbage");
    let names = garbage.map(|one| one["name"].as_str().unwrap().to_owned());
    (names.collect(), code)
}

const NUMBERED: &str = r#"
[[rule]]
id = "numbered"
kind = ["kv_namespace", "d1"]
name = "app-pr-{pr}"
dead-when = "closed"
"#;

/// A namespace has no creation time, so that the database of the same number
/// tells whose number it is, whichever kinds the run is about.
#[test]
fn kinds_out_of_focus_still_contradict_a_number() {
    let resources = json!([
        namespace("app-pr-7"),
        database("app-pr-7", "2025-01-01T00:00:00Z"),
        namespace("app-pr-8"),
        database("app-pr-8", MADE),
    ]);
    let world = world(json!([closed(7), closed(8)]), resources, json!([]));
    let of_eight = BTreeSet::from(["app-pr-8".to_owned()]);
    assert_eq!(garbage(&world, NUMBERED, &[]), (of_eight.clone(), 0));
    let kind = ["--kind", "kv_namespace"];
    assert_eq!(garbage(&world, NUMBERED, &kind), (of_eight, 0));
    let both = ["--kind", "kv_namespace", "--pr", "7"];
    assert_eq!(garbage(&world, NUMBERED, &both), (BTreeSet::new(), 0));
}

/// What would contradict a number may be in the part of a listing that is
/// missing.
#[test]
fn a_listing_that_is_not_complete_leaves_numbers_without_times_unknown() {
    for fault in [
        json!({"status": 403}),
        json!("empty_page"),
        json!("truncate"),
    ] {
        let faults = json!([{"on": "cloudflare.d1", "times": null, "fault": fault}]);
        let resources = json!([
            namespace("app-pr-7"),
            database("app-pr-7", "2025-01-01T00:00:00Z"),
        ]);
        let world = world(json!([closed(7)]), resources, faults);
        for kind in [&[][..], &["--kind", "kv_namespace"]] {
            let found = garbage(&world, NUMBERED, kind);
            assert_eq!(found, (BTreeSet::new(), 3), "{fault} {kind:?}");
        }
        // A rule that does not ask when things were made needs no such listing.
        let any = NUMBERED.replace("dead-when", "born = \"any\"\ndead-when");
        let (found, _) = garbage(&world, &any, &[]);
        assert_eq!(found.len(), 1, "{fault}");
    }
}

/// An open pull request outside of `--pr` may own a host, and is asked about too.
#[test]
fn a_host_of_another_open_pull_request_stays_with_one_pull_request_in_focus() {
    let policy = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
"#;
    let worker = |host: &str| {
        json!({"kind": "worker", "name": "app-pr-7", "created_at": MADE, "updated_at": MADE,
        "attributes": {"bindings": [], "custom_domains": [host]}})
    };
    for (host, dead) in [
        ("app-pr-7.acme.example", 2),
        ("app-pr-7-pr-9.acme.example", 0),
        ("app-pr-7.checkout.acme.example", 0),
    ] {
        let pull_requests = json!([closed(7), open(9, "checkout")]);
        let world = world(pull_requests, json!([worker(host)]), json!([]));
        let (all, _) = garbage(&world, policy, &[]);
        assert_eq!(all.len(), dead, "{host}");
        assert_eq!(garbage(&world, policy, &["--pr", "7"]), (all, 0), "{host}");
    }
}

/// What a protected Worker or environment has stays, whichever kind a run is about.
#[test]
fn owners_out_of_focus_keep_what_belongs_to_them() {
    let worker = |name: &str| json!({"kind": "worker", "name": name, "created_at": MADE, "updated_at": MADE});
    let route = |worker: &str| {
        json!({"kind": "worker_route", "name": "pr-1.acme.example/*",
            "attributes": {"zone": "acme.example", "script": worker}})
    };
    let deployment = |environment: &str| {
        json!({"kind": "github_deployment", "name": "7", "id": "7", "created_at": MADE,
            "updated_at": MADE, "attributes": {"environment": environment, "ref": "pr-1"}})
    };
    let environment = |name: &str| {
        json!({"kind": "github_environment", "name": name, "created_at": MADE,
            "updated_at": MADE})
    };
    let routes = "[[rule]]\nid = \"routes\"\nkind = \"worker_route\"\n\
        name = \"pr-{pr}.acme.example/*\"\ndead-when = \"closed\"\n";
    let deployments = "[[rule]]\nid = \"deployments\"\nkind = \"github_deployment\"\n\
        branch = \"pr-{pr}\"\ndead-when = \"closed\"\n";
    for (kind, rule, owned, owners) in [
        (
            "worker_route",
            routes,
            route as fn(&str) -> Value,
            worker as fn(&str) -> Value,
        ),
        ("github_deployment", deployments, deployment, environment),
    ] {
        for (owner, protected) in [("staging", true), ("other", false)] {
            for entry in ["", "kind = [\"worker\", \"github_environment\"]\n"] {
                let policy =
                    format!("[[protect]]\nname = \"staging\"\nreason = \"r\"\n{entry}{rule}");
                let resources = json!([owners(owner), owned(owner)]);
                let world = world(json!([closed(1)]), resources, json!([]));
                for arguments in [&[][..], &["--kind", kind]] {
                    let (found, code) = garbage(&world, &policy, arguments);
                    let found = (found.is_empty(), code);
                    assert_eq!(
                        found,
                        (protected, 0),
                        "{kind} {owner} {entry} {arguments:?}"
                    );
                }
            }
        }
    }
}

/// The grace of `--pr` is for the end of that pull request alone.
#[test]
fn another_pull_request_of_the_same_branch_keeps_its_own_grace() {
    let ended = |number: u32, at: &str| {
        json!({"number": number, "state": "closed", "head_ref": "feat/x",
            "head_repo": "acme/shop", "created_at": "2026-03-01T00:00:00Z", "updated_at": at,
            "closed_at": at})
    };
    let branch = |name: &str, parent: &str| {
        json!({"kind": "neon_branch", "name": name, "created_at": MADE, "updated_at": MADE,
            "attributes": {"parent": parent}})
    };
    let main = json!({"kind": "neon_branch", "name": "main", "attributes": {"default": true}});
    let policy = "[[rule]]\nid = \"branches\"\nkind = \"neon_branch\"\n\
        name = \"preview/{branch}\"\ndead-when = \"closed\"\n";
    let pulls = json!([ended(7, ENDED), ended(9, "2026-04-30T23:00:00Z")]);
    let resources = json!([main, branch("preview/feat/x", "main")]);
    let world = world(pulls, resources, json!([]));
    let all = BTreeSet::from(["preview/feat/x".to_owned()]);
    for (number, expected) in [("7", &BTreeSet::new()), ("9", &all)] {
        let (found, code) = garbage(&world, policy, &["--pr", number, "--grace-on-close", "0s"]);
        assert_eq!((&found, code), (expected, 0), "{number}");
    }
}

/// A record in another zone may lead to what a rule is about.
#[test]
fn records_of_a_zone_that_cannot_be_read_may_use_records_of_another() {
    let resources = json!([
        {"kind": "dns_record", "name": "app-pr-1.acme.example", "created_at": MADE,
            "updated_at": MADE, "attributes": {"zone": "acme.example", "type": "A",
                "content": "192.0.2.1"}},
        {"kind": "dns_record", "name": "www.other.example", "created_at": MADE,
            "updated_at": MADE, "attributes": {"zone": "other.example", "type": "CNAME",
                "content": "app-pr-1.acme.example"}},
    ]);
    let policy = "[[rule]]\nid = \"records\"\nkind = \"dns_record\"\n\
        name = \"app-pr-{pr}.acme.example\"\ndead-when = \"closed\"\n";
    let zone = "b".repeat(32);
    for fault in [
        json!({"status": 403}),
        json!({"status": 404}),
        json!("truncate"),
    ] {
        let on = json!({"method": "GET", "path": format!("{zone}/dns_records")});
        let faults = json!([{"on": on, "times": null, "fault": fault}]);
        let mut world = world(json!([closed(1)]), resources.clone(), faults);
        world["zones"] = json!([{"name": "acme.example"}, {"name": "other.example", "id": zone}]);
        let (found, code) = garbage(&world, policy, &[]);
        assert_eq!((found, code), (BTreeSet::new(), 3), "{fault}");
    }
}

/// That nothing belongs to a number says something else where there is no such number.
#[test]
fn a_pull_request_that_there_is_not_is_called_that() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pulls = json!([closed(7), closed(8)]);
    let world = world(pulls, json!([namespace("app-pr-7")]), json!([]));
    let sandbox = format!("--sandbox={}", file("w.json", &world.to_string()));
    let policy = file("p.toml", NUMBERED);
    for (number, expected) in [
        ("99999", "There is no pull request #99999 in acme/shop."),
        ("8", "No resource in this scope belongs to pull request #8."),
    ] {
        for verb in [&["audit"][..], &["sweep", "--yes", "-q"]] {
            let common = [&sandbox, "--policies", &policy, "--pr", number];
            let arguments: Vec<&str> = verb.iter().copied().chain(common).collect();
            let output = crate::support::run(&arguments);
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{said}");
            assert_eq!(said.matches(expected).count(), 1, "{verb:?}: {said}");
            assert!(!said.contains("Nothing is left"), "{verb:?}: {said}");
        }
    }
}

/// A plan says what is deleted, so that nothing else may choose.
#[test]
fn a_plan_is_refused_beside_what_selects_resources() {
    for (flag, value) in [("--pr", "7"), ("--kind", "d1")] {
        let arguments = ["sweep", "--sandbox", "--plan", "plan.json", flag, value];
        let output = crate::support::run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("'--plan <FILE>' cannot be used with"),
            "{said}"
        );
    }
}
