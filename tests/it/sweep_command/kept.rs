//! What stays, and what it keeps with it.

use serde_json::json;

use super::{
    ENVIRONMENTS, POLICY, Stage, T0, bound_elsewhere, deployment, outcomes, queue_of, reason, row,
    with_queues, worker, world,
};

#[test]
fn rule_4_garbage_that_stays_keeps_what_it_uses() {
    let reported = POLICY.replace("id = \"workers\"", "id = \"workers\"\naction = \"report\"");
    for (policy, arguments) in [
        (reported.as_str(), &["sweep", "--yes"][..]),
        (POLICY, &["sweep", "--yes", "--kind", "kv_namespace"]),
        (POLICY, &["sweep", "--yes", "--pr", "1"]),
    ] {
        let stage = Stage::new(&world(&bound_elsewhere()), policy);
        let (swept, code) = stage.run(arguments);
        assert_eq!(code, 0, "{swept}");
        assert!(stage.has("app-pr-1-cache"), "{arguments:?}: {swept}");
        assert!(stage.has("app-pr-9"));
    }
    // What the cap leaves for later stays for now.
    let mut capped = bound_elsewhere();
    capped[0]["updated_at"] = json!("2026-04-05T00:00:00Z");
    let stage = Stage::new(&world(&capped), POLICY);
    let (swept, _) = stage.run(&["sweep", "--yes", "--max-deletions", "1"]);
    assert!(
        stage.has("app-pr-1-cache") || !stage.has("app-pr-9"),
        "{swept}"
    );
    let plan = stage.file("plan.json");
    stage.run(&["audit", "--out", &plan]);
    let (swept, _) = stage.run(&["sweep", "--plan", &plan, "--max-deletions", "1"]);
    assert!(
        stage.has("app-pr-1-cache") || !stage.has("app-pr-9"),
        "{swept}"
    );
}

#[test]
fn rule_4_a_protected_record_keeps_the_domain_that_manages_it_also_unseen() {
    for blind in [false, true] {
        let stage = Stage::of_case(&crate::support::path("cases/protected-record.json"));
        if blind {
            stage.fault(&json!([{"on": {"path": "/dns_records$"}, "fault": {"status": 403}}]));
        }
        let (swept, code) = stage.sweep();
        assert_eq!(code, if blind { 3 } else { 0 }, "{swept}");
        assert!(
            stage.has("app-pr-1") && stage.has("docs.acme.example"),
            "{swept}"
        );
        assert_eq!(stage.has("app-pr-2"), blind, "{swept}");
    }
}

#[test]
fn rule_2_and_4_what_hangs_on_a_worker_and_is_wanted_keeps_it() {
    let mut shop = worker("app-pr-1", json!([]));
    shop["attributes"]["custom_domains"] = json!(["www.acme.example"]);
    let policy = format!(
        "{POLICY}\n[[protect]]\nkind = \"worker_domain\"\nname = \"www.*\"\nreason = \"serves \
         customers\"\n"
    );
    for arguments in [
        &["sweep", "--yes"][..],
        &["sweep", "--yes", "--kind", "worker"],
    ] {
        let stage = Stage::new(&world(&[shop.clone()]), &policy);
        let (swept, code) = stage.run(arguments);
        assert_eq!((code, &swept["steps"]), (0, &json!([])), "{arguments:?}");
        assert!(stage.has("app-pr-1") && stage.has("www.acme.example"));
    }
    // Where nobody can see whether one is wanted, the Worker stays as well.
    let stage = Stage::new(&world(&[shop]), &policy);
    stage.fault(&json!([{"on": "cloudflare.worker_domain", "fault": {"status": 403}}]));
    let (swept, code) = stage.sweep();
    assert_eq!(code, 3, "{swept}");
    assert!(stage.has("app-pr-1") && stage.has("www.acme.example"));
}

#[test]
fn rule_5_what_hangs_on_something_has_clocks_of_its_own() {
    let all = [
        json!({"kind": "github_environment", "name": "preview-1", "created_at": T0, "updated_at": T0}),
        deployment("d1", "preview-1", "2026-04-30T23:30:00Z"),
    ];
    let stage = Stage::new(&world(&all), ENVIRONMENTS);
    let (swept, code) = stage.sweep();
    assert_eq!((code, &swept["steps"]), (0, &json!([])));
    assert!(stage.has("preview-1") && stage.has("d1"));
}

#[test]
fn rule_4_production_is_never_deleted_and_force_is_only_for_the_dead() {
    let mut production = deployment("d1", "live", T0);
    production["attributes"]["ref"] = json!("feature/1");
    production["attributes"]["production_environment"] = json!(true);
    let aliased = json!({"kind": "pages_deployment", "name": "11111111-1111-4111-8111-000000000001", "created_at": T0,
        "attributes": {"project": "site", "environment": "preview", "branch": "feature/x", "aliases": ["feature-x.site.pages.dev"]}});
    let policy = "[[rule]]\nid = \"deployments\"\nkind = \"github_deployment\"\nbranch = \
        \"feature/{pr}\"\ndead-when = \"closed\"\n\
         [[rule]]\nid = \"old\"\nkind = \"pages_deployment\"\nbranch = \
         \"feature/{any:a-z}\"\ndead-when = { older-than = \"7d\", clock = \"created\" }\n";
    let stage = Stage::new(&world(&[production, aliased]), policy);
    let (swept, code) = stage.sweep();
    assert_eq!(code, 5, "{swept}");
    let outcomes = outcomes(&swept);
    assert_eq!(outcomes.len(), 1, "{swept}");
    assert!(outcomes.values().all(|one| one == "failed_for_good"));
    assert_eq!(stage.state().len(), 3);
    assert!(
        !stage
            .writes()
            .iter()
            .any(|(_, path, _)| path.contains("force"))
    );
}

/// What can never go in a run is not called deferred by `--max-deletions`, and the run
/// is not green.
#[test]
fn garbage_that_something_that_stays_holds_says_so_in_audit_and_sweep() {
    let service = |name: &str| json!([{"type": "service", "name": "S", "target": name}]);
    let all = [
        worker("app-pr-1", service("app-pr-1-edge")),
        worker("app-pr-1-edge", service("app-pr-1")),
        queue_of("orders", &["app-pr-1"]),
    ];
    let policy = with_queues().replace(
        "name = \"app-pr-{pr}\"",
        "name = [\"app-pr-{pr}\", \"app-pr-{pr}-edge\"]",
    );
    let stage = Stage::new(&world(&all), &policy);
    let (audit, _) = stage.run(&["audit"]);
    assert_eq!(audit["summary"]["would_delete"], 0, "{audit}");
    for name in ["app-pr-1", "app-pr-1-edge"] {
        assert_eq!(row(&audit, name)["next_sweep"], "blocked", "{audit}");
    }
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert_eq!(outcomes(&swept)["app-pr-1"], "failed_for_good", "{swept}");
    let why = reason(&swept, "app-pr-1-edge");
    assert!(
        why.contains("app-pr-1") && !why.contains("--max-deletions"),
        "{why}"
    );
    assert_eq!(stage.writes(), []);
}
