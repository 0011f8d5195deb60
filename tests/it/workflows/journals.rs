//! What goes from run to run, and what others can read of it.

use std::process::Command;

use serde_json::json;

use super::runner::{Actions, Event, Job};
use super::{CLOSED, OF_97, OF_101, ORPHANS, assert_ended, sweep};

#[test]
fn a_cancelled_run_reaches_the_program_and_the_next_one_recovers() {
    let actions = Actions::new();
    let slow = json!([{"on": {"method": "DELETE", "path": "scripts"}, "fault": {"delay_ms": 300}}]);
    actions.server.plant(&slow);
    actions.cancel.set(true);
    let job = sweep(&actions, ORPHANS, &Event::schedule());
    assert_ended(&job, 130);
    // The steps after it still keep the journal.
    let kept = actions.artifact("preview-gc-journal");
    assert!(
        kept.values().any(|text| text.contains("intent")),
        "{kept:?}"
    );
    actions.cancel.set(false);
    let job = sweep(&actions, ORPHANS, &Event::schedule());
    assert_ended(&job, 0);
    assert!(!actions.has(OF_97) && !actions.has(OF_101));
    actions.server.take_faults();
}

#[test]
fn the_second_run_has_the_journal_of_the_first() {
    let actions = Actions::new();
    let first = sweep(&actions, CLOSED, &Event::closed(97));
    assert!(
        first.log().contains("fetched the journals of 0"),
        "{}",
        first.log()
    );
    let journals = actions.artifact("preview-gc-journal");
    let journal = journals
        .keys()
        .find(|name| name.contains(".journal."))
        .unwrap();
    let run = journal.split('.').next().unwrap().to_owned();
    // A schedule does not name the default branch, and the first run's head is the
    // branch of the pull request.
    let second = sweep(&actions, ORPHANS, &Event::schedule());
    assert!(
        second.log().contains("fetched the journals of 1"),
        "{}",
        second.log()
    );
    // What the first one deleted can be restored by the next.
    let list = actions.use_action(&json!({"command": "restore", "format": "table",
        "args": format!("{run} api-preview-97.acme.example"), "journal-artifact": "preview-gc-journal-2",
        "cloudflare-api-token": "secret-cloudflare",
        "cloudflare-account-id": actions.variables["CLOUDFLARE_ACCOUNT_ID"]}));
    assert!(list.failed, "an artifact of another name has no journal");
    let list = actions.use_action(&json!({"command": "restore", "format": "table",
        "args": format!("{run} api-preview-97.acme.example"), "journal-artifact": "preview-gc-journal",
        "cloudflare-api-token": "secret-cloudflare",
        "cloudflare-account-id": actions.variables["CLOUDFLARE_ACCOUNT_ID"]}));
    assert!(!list.failed, "{}", list.log());
    assert!(actions.has("api-preview-97.acme.example"));
}

#[test]
fn artifacts_of_other_branches_and_forks_are_not_fetched() {
    let actions = Actions::new();
    sweep(&actions, CLOSED, &Event::closed(97));
    let artifacts = std::fs::read(actions.path("artifacts.json")).unwrap();
    for (head, id, event, fetched) in [
        ("main", 8, "push", 0),
        ("patch-1", 7, "push", 0),
        ("main", 7, "schedule", 1),
        ("patch-1", 8, "pull_request", 0),
    ] {
        let about = json!({"event": event, "head_branch": head,
            "head_repository": {"id": id}, "repository": {"id": 7}});
        actions.write("runs/101.json", &about);
        std::fs::write(actions.path("artifacts.json"), &artifacts).unwrap();
        let job = actions.use_action(&json!({"command": "audit", "args": "--sandbox",
            "journal-artifact": "preview-gc-journal"}));
        let text = format!("fetched the journals of {fetched} earlier");
        assert!(
            job.log().contains(&text),
            "{head} {id} {event}: {}",
            job.log()
        );
    }
    // What could not be asked for is not absent.
    std::fs::remove_file(actions.path("artifacts.json")).unwrap();
    let job = actions.use_action(&json!({"command": "audit", "args": "--sandbox",
        "journal-artifact": "preview-gc-journal"}));
    assert!(
        job.failed && job.log().contains("actions: read"),
        "{}",
        job.log()
    );
    assert_eq!(job.steps.last().unwrap().outputs["complete"], "false");
}

#[test]
fn a_public_repository_shows_nothing_that_no_rule_matches() {
    // A Worker that no rule matches, and one that keeps a matched namespace.
    let unmatched = ["image-resizer", "api-preview-97-debug", "sessions"];
    let actions = Actions::new();
    let shown = |job: &Job| job.log() + &job.summary();
    let all = crate::support::run(&["audit", "--sandbox", "--all"]);
    let all = String::from_utf8(all.stdout).unwrap();
    for name in unmatched {
        assert!(all.contains(name), "{name}");
    }
    let mut public = Event::dispatch(&json!({"delete": false}));
    public.payload["repository"]["private"] = json!(false);
    let job = sweep(&actions, ORPHANS, &public);
    assert_ended(&job, 0);
    assert!(
        shown(&job).contains(OF_97) && shown(&job).contains("are not shown"),
        "{}",
        shown(&job)
    );
    for name in unmatched {
        assert!(!shown(&job).contains(name), "{name} in {}", shown(&job));
    }
    // A schedule does not say it, so GitHub is asked.
    let settings = json!([{"on": {"method": "GET", "path": "^/github/repos/acme/shop$"},
        "times": 1, "fault": {"status": 200, "body": {"private": false}}}]);
    actions.write(
        "repository.json",
        &json!({"default_branch": "main", "private": false}),
    );
    actions.server.plant(&settings);
    let job = sweep(&actions, ORPHANS, &Event::schedule());
    assert_ended(&job, 0);
    let artifact = actions.artifact("preview-gc-journal");
    let everything = shown(&job) + &artifact.into_values().collect::<String>();
    for name in unmatched {
        assert!(!everything.contains(name), "{name} in {everything}");
    }
}

#[test]
fn no_backup_is_in_an_artifact_and_what_workers_use_only_in_a_private_one() {
    let actions = Actions::new();
    let journal = actions.path("journal");
    std::fs::create_dir(&journal).unwrap();
    let line = r#"{"entry":"intent","copy":{"held":{"secret":"canary"},"implied":[{"copy":{"held":"canary"}}]}}"#;
    let text = format!("{line}\n{{\"entry\":\"outcome\"}}\n{{\"entry\":\"in");
    std::fs::write(journal.join("1.journal.jsonl"), text).unwrap();
    std::fs::write(journal.join("reads.json"), "{}").unwrap();
    std::fs::write(journal.join("other"), "canary").unwrap();
    for (settings, has_reads) in [
        (json!({"private": true}), true),
        (json!({"private": false}), false),
        // What GitHub does not say is not private.
        (json!({}), false),
    ] {
        actions.write("repository.json", &settings);
        let kept = actions.path(&format!("kept-{settings}"));
        let script = crate::support::path("../.github/actions/preview-gc/keep-journal.sh");
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .arg(script)
            .env("PATH", format!("{}:{path}", actions.path("bin").display()))
            .env("GH_TOKEN", "secret-job")
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("PREVIEW_GC_JOURNAL", &journal)
            .env("KEPT", &kept);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = std::fs::read_to_string(kept.join("1.journal.jsonl")).unwrap();
        assert_eq!(
            text,
            "{\"entry\":\"intent\",\"copy\":{\"implied\":[{\"copy\":{}}]}}\n{\"entry\":\"outcome\"}\n"
        );
        assert!(!kept.join("other").exists());
        assert_eq!(kept.join("reads.json").exists(), has_reads, "{settings}");
    }
}
