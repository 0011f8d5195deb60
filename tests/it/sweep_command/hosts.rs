//! Hosts that only go with their Worker: traffic of a Worker that stays is not taken
//! from it.

use serde_json::{Value, json};

use super::{Stage, namespace, queue_of, shop_worker, with_hosts, worker, world};

/// Traffic of a Worker that stays is not taken from it, whatever makes it stay.
#[test]
fn hosts_that_only_go_with_their_worker_stay_with_it() {
    let route = json!({"kind": "worker_route", "name": "acme.example/shop/*",
        "attributes": {"script": "app-pr-1"}});
    let shop = || shop_worker("app-pr-1", "www.acme.example");
    // A queue that stays, whoever keeps it.
    let kept = format!(
        "{}[[protect]]\nkind = \"queue\"\nname = \"orders-pr-1\"\nreason = \"x\"\n",
        with_hosts()
    );
    for (queue, policy, arguments) in [
        ("orders", with_hosts(), &[][..]),
        ("orders-pr-1", kept, &[]),
        (
            "orders-pr-1",
            with_hosts(),
            &["--kind", "worker,worker_domain,worker_route"],
        ),
    ] {
        let all = [shop(), route.clone(), queue_of(queue, &["app-pr-1"])];
        let stage = Stage::new(&world(&all), &policy);
        let (audit, _) = stage.run(&[&["audit"], arguments].concat());
        assert_eq!(audit["summary"]["would_delete"], 0, "{audit}");
        let (swept, exit) = stage.run(&[&["sweep", "--yes"], arguments].concat());
        assert_eq!(exit, 5, "{queue}: {swept}");
        assert_eq!(stage.writes(), [], "{queue}: {swept}");
    }
    // The cap.
    let mut all: Vec<Value> = (3..6)
        .map(|n| namespace(&format!("app-pr-{n}-cache")))
        .collect();
    all.push(shop());
    let mut aged = world(&all);
    for number in 3..6 {
        aged["pull_requests"][number - 1]["closed_at"] = json!("2026-03-20T00:00:00Z");
    }
    let stage = Stage::new(&aged, &with_hosts());
    let (swept, exit) = stage.run(&["sweep", "--yes", "--max-deletions", "4"]);
    assert_eq!(exit, 0, "{swept}");
    assert!(!stage.has("app-pr-3-cache"), "{swept}");
    assert!(
        stage.has("www.acme.example") && stage.has("app-pr-1"),
        "{swept}"
    );
}

#[test]
fn hosts_wait_for_the_users_of_their_worker() {
    let binding = json!([{"type": "service", "name": "S", "target": "app-pr-1"}]);
    let all = [
        shop_worker("app-pr-1", "www.acme.example"),
        worker("app-pr-1-edge", binding),
    ];
    let policy = with_hosts().replace(
        "name = \"app-pr-{pr}\"",
        "name = [\"app-pr-{pr}\", \"app-pr-{pr}-edge\"]",
    );
    assert_ne!(policy, with_hosts());
    let stage = Stage::new(&world(&all), &policy);
    stage.fault(&json!([{"on": {"method": "DELETE", "path": "/scripts/app-pr-1-edge"},
        "fault": {"status": 403, "body": {"success": false, "errors": [{"code": 10_000, "message": "no"}]}}}]));
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 5, "{swept}");
    assert!(stage.has("www.acme.example"), "{swept}");
    stage.fault(&json!([]));
    let (swept, exit) = stage.sweep();
    assert_eq!(exit, 0, "{swept}");
    assert!(
        !stage.has("www.acme.example") && !stage.has("app-pr-1"),
        "{swept}"
    );
}

/// A plan file is older than the consumer that keeps the Worker.
#[test]
fn hosts_stay_with_a_worker_that_a_queue_holds_since_the_plan() {
    let all = [
        shop_worker("app-pr-1", "www.acme.example"),
        queue_of("orders", &[]),
    ];
    let stage = Stage::new(&world(&all), &with_hosts());
    let plan = stage.file("plan.json");
    let (_, code) = stage.run(&["audit", "--out", &plan]);
    assert_eq!(code, 0);
    let state = stage.server.control("GET", "state", "");
    let queues = state["resources"].as_array().unwrap().iter();
    let queue = queues.clone().find(|one| one["name"] == "orders").unwrap();
    let account = &stage
        .server
        .environment
        .iter()
        .find(|(name, _)| name == "CLOUDFLARE_ACCOUNT_ID")
        .unwrap()
        .1;
    stage.server.request(
        "POST",
        &format!(
            "client/v4/accounts/{account}/queues/{}/consumers",
            queue["id"].as_str().unwrap()
        ),
        &json!({"type": "worker", "script_name": "app-pr-1"}).to_string(),
    );
    let (swept, exit) = stage.run(&["sweep", "--plan", &plan]);
    assert_eq!(exit, 5, "{swept}");
    assert!(
        stage.has("app-pr-1") && stage.has("www.acme.example"),
        "{swept}"
    );
}
