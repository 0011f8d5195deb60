//! What the journal has of each step, and how later runs recover steps in doubt.

use std::sync::{Arc, Mutex};

use http::Method;
use preview_gc::gc::Outcome;
use preview_gc::sandbox::Options;
use preview_gc::sweep::Stop;
use serde_json::{Value, json};

use super::cases::*;
use super::stage::*;

#[tokio::test(start_paused = true)]
async fn failed_backup_prevents_deletion_and_backups_are_read_once() {
    const TEST: &str = "failed_backup_prevents_deletion_and_backups_are_read_once";
    let full = |name: &str| json!({"kind": "kv_namespace", "name": name, "attributes": {"keys": [{"name": "a", "value": "one"}]}});
    let resources = [full("app-pr-1-a"), full("app-pr-3-b")];
    let stage = Stage::with(&resources, BACKUP, Options::default());
    let denied = json!({"on": {"method": "GET", "path": "/values/|/bulk/get"}, "times": 1, "fault": {"status": 403}});
    let (_, swept) = stage.sweep(|_| stage.faults(&[denied])).await;
    show(TEST, "one cannot be read", &swept);
    let stage = Stage::with(&resources, BACKUP, Options::default());
    let (_, swept) = stage
        .sweep(|_| stage.faults(&[refused("namespaces/", 3, &status(500))]))
        .await;
    show(TEST, "tried again", &swept);
    // The backups take longer than the view stays fresh.
    let stage = Stage::with(&resources, BACKUP, Options::default());
    let slow = json!({"on": {"method": "GET", "path": "/keys"}, "fault": {"delay_ms": 16_000}});
    let (_, swept) = stage.sweep(|_| stage.faults(&[slow])).await;
    show(TEST, "slowly", &swept);
}

#[tokio::test(start_paused = true)]
async fn journal_has_a_snapshot_of_each_deleted_resource() {
    let policy = with_queues().replace("id = \"namespaces\"", "id = \"namespaces\"\nbackup = true");
    let queue = json!({"kind": "queue", "name": "orders-pr-1", "created_at": DIED, "updated_at": DIED,
        "attributes": {"producers": [], "consumers": ["app-pr-1"]}});
    let kept = json!({"kind": "kv_namespace", "name": "app-pr-1-cache", "attributes": {"keys": [{"name": "a", "value": "one"}]}});
    let resources = [
        worker("app-pr-1", &["app-pr-1-cache"]),
        kept,
        queue,
        record("app-pr-1.acme.example"),
        branch("pr-1", "main"),
    ];
    let stage = Stage::with(&resources, &policy, Options::default());
    stage.sweep(|_| {}).await;
    let entry = std::fs::read_dir(stage.folder.path()).unwrap().next();
    let text = std::fs::read_to_string(entry.unwrap().unwrap().path()).unwrap();
    insta::assert_snapshot!(stage.wire.lock().unwrap().named(&text));
}

#[tokio::test(start_paused = true)]
async fn journal_has_resources_the_provider_removes_implicitly() {
    let mut owner = worker("app-pr-1", &[]);
    owner["attributes"]["custom_domains"] = json!(["app-pr-1.acme.example"]);
    let preview = json!({"kind": "worker_preview", "name": "pr-1", "created_at": DIED,
        "updated_at": DIED, "attributes": {"worker": "app-pr-1"}});
    let stage = Stage::with(&[owner, preview], POLICY, Options::default());
    // The journal at the time when the Worker's own request is sent.
    let folder = stage.folder.path().to_owned();
    let seen: Arc<Mutex<String>> = Arc::default();
    let written = seen.clone();
    stage.meanwhile(move |line| {
        if line.starts_with("DELETE") && line.contains("/scripts/") {
            let entry = std::fs::read_dir(&folder).unwrap().next();
            let text = std::fs::read_to_string(entry.unwrap().unwrap().path()).unwrap();
            *written.lock().unwrap() = text;
        }
    });
    let (swept, _) = stage.sweep(|_| {}).await;
    assert!(!stage.has("app-pr-1"), "{:?}", swept.steps);
    let text = seen.lock().unwrap().clone();
    let intents: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["entry"] == "intent")
        .collect();
    let implied: Vec<_> = intents
        .iter()
        .map(|entry| {
            let implied = entry["copy"]["implied"].clone();
            let mut implied = implied.as_array().cloned().unwrap_or_default();
            for one in &mut implied {
                for inner in one["copy"]["implied"].as_array_mut().into_iter().flatten() {
                    inner["copy"] = json!(inner["copy"]["original"].is_object());
                    inner["id"] = json!(inner["id"].is_string());
                }
                one["copy"] = one["copy"]["implied"].clone();
                one["id"] = json!(one["id"].is_string());
            }
            json!({"step": entry["resource"]["name"], "kind": entry["resource"]["kind"], "implied": implied})
        })
        .collect();
    insta::assert_snapshot!(
        stage
            .wire
            .lock()
            .unwrap()
            .named(&format!("{:#}", json!(implied)))
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_without_a_journal() {
    let mut stage = Stage::new(&[
        worker("app-pr-1", &[]),
        worker("app-pr-3", &[]),
        branch("pr-1", "main"),
    ]);
    stage.broken_journal = true;
    insta::assert_snapshot!(deeds(&stage.swept().await));
    assert!(stage.has("app-pr-1") && stage.has("pr-1"));
}

/// Returns how a second run recovers steps that the first one left in doubt.
async fn settled_later(
    resources: &[Value],
    policy: &str,
    lost: &[Value],
    meanwhile: impl FnOnce(&Stage),
) -> String {
    let mut stage = Stage::with(resources, policy, Options::default());
    let (stop, sandbox, lost) = (stage.stop.clone(), stage.sandbox.clone(), json!(lost));
    stage.meanwhile(move |line| {
        if !line.starts_with("GET") && !line.ends_with("/graphql") {
            control(&sandbox, Method::POST, "faults", &lost);
            stop.set();
        }
    });
    let (first, _) = stage.sweep(|_| {}).await;
    let doubts = first.steps.iter();
    let doubts = doubts.filter(|step| step.outcome == Outcome::InDoubt);
    assert_eq!(doubts.count(), 1, "{first:?}");
    stage.faults(&[]);
    meanwhile(&stage);
    stage.stop = Stop::default();
    stage.meanwhile(|_| {});
    stage.sweep(|plan| plan.steps.clear()).await.1
}

#[tokio::test(start_paused = true)]
async fn steps_in_doubt_are_recovered_by_reading() {
    const TEST: &str = "steps_in_doubt_are_recovered_by_reading";
    type Meanwhile = Box<dyn FnOnce(&Stage)>;
    let lost = [
        unanswered("DELETE", "scripts/", &json!("reset")),
        unanswered("GET", "workers/scripts$", &json!({"status": 403})),
    ];
    let look = |answer: Value| -> Meanwhile {
        Box::new(move |stage| stage.faults(&[unanswered("GET", "workers/workers/", &answer)]))
    };
    let denied = json!({"status": 403});
    let absent = json!({"status": 404, "body": {"success": false, "errors": [{"code": 10007, "message": "no"}]}});
    let cases: [(&str, Meanwhile); 8] = [
        ("it is there", Box::new(|_| {})),
        (
            "it is gone",
            Box::new(|stage| delete(&stage.sandbox, "app-pr-1")),
        ),
        (
            "it was made anew",
            Box::new(|stage| {
                delete(&stage.sandbox, "app-pr-1");
                stage.control(Method::POST, "resources", &worker("app-pr-1", &[]));
            }),
        ),
        ("nobody may look", look(denied.clone())),
        ("it is listed, and a look says no", look(absent)),
        (
            "the place cannot be seen",
            Box::new(move |stage| stage.faults(&[unanswered("GET", "scripts$", &denied)])),
        ),
        (
            "it is about another account",
            Box::new(|stage| {
                let entry = std::fs::read_dir(stage.folder.path()).unwrap().next();
                let path = entry.unwrap().unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let account = stage.variable("CLOUDFLARE_ACCOUNT_ID");
                let elsewhere = text.replace(&account, "0123456789abcdef0123456789abcdef");
                assert_ne!(elsewhere, text);
                std::fs::write(&path, elsewhere).unwrap();
            }),
        ),
        (
            "it is about another host",
            Box::new(|stage| {
                let entry = std::fs::read_dir(stage.folder.path()).unwrap().next();
                let path = entry.unwrap().unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let elsewhere = text.replace("\"host\":\"127.0.0.1\"", "\"host\":\"api.example\"");
                assert_ne!(elsewhere, text);
                std::fs::write(&path, elsewhere).unwrap();
            }),
        ),
    ];
    for (title, meanwhile) in cases {
        let swept = settled_later(&[worker("app-pr-1", &[])], POLICY, &lost, meanwhile).await;
        show(TEST, title, &swept);
    }
    let expiring = POLICY.replace(
        "id = \"branches\"",
        "id = \"branches\"\naction = \"expire\"",
    );
    let lost = [
        unanswered("PATCH", "branches/", &json!("reset_after")),
        unanswered("GET", "branches/br-", &json!({"status": 403})),
    ];
    let swept = settled_later(&[branch("pr-1", "main")], &expiring, &lost, |_| {}).await;
    show(TEST, "it expires", &swept);
    let environments = "[[rule]]\nid = \"environments\"\nkind = \"github_environment\"\nname = \
        \"preview-{pr}\"\ndead-when = \"closed\"\ngrace = \"0s\"\n";
    let world = [
        json!({"kind": "github_environment", "name": "preview-1", "created_at": DIED,
            "updated_at": DIED}),
        json!({"kind": "github_deployment", "name": "71", "created_at": DIED, "updated_at": DIED,
            "attributes": {"environment": "preview-1", "ref": "feature-1", "state": "inactive"}}),
    ];
    let lost = [
        unanswered("DELETE", "deployments/", &json!("reset")),
        unanswered("GET", "/deployments", &json!({"status": 403})),
    ];
    let environment_gone = |stage: &Stage| {
        let path = format!("/github/repos/{}/environments/preview-1", "acme/shop");
        asked(&stage.sandbox, Method::DELETE, &path);
    };
    let swept = settled_later(&world, environments, &lost, environment_gone).await;
    show(TEST, "its environment is gone, so it is not listed", &swept);
}
