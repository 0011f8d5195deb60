//! The workflows to copy and the action, run step by step as Actions runs them,
//! against the sandbox over HTTP.

mod expression;
mod journals;
mod machine;
mod runner;

use std::process::Command;

use runner::{Actions, Event, Job, read};
use serde_json::json;

const ORPHANS: &str = "workflows/examples/cleanup-orphans.yml";
const CLOSED: &str = "workflows/examples/cleanup-closed.yml";
const APPROVE: &str = "workflows/examples/approve-sweep.yml";
const ALL: [&str; 3] = [ORPHANS, CLOSED, APPROVE];

const SECRETS: [&str; 4] = [
    "secret-cloudflare",
    "secret-neon",
    "secret-hook",
    "secret-app",
];

/// Garbage of the demo world, of different pull requests.
const OF_97: &str = "api-preview-97";
const OF_101: &str = "auth-preview-101-cache";

/// Runs the only job of a workflow.
fn sweep(actions: &Actions, workflow: &str, event: &Event) -> Job {
    actions.run(workflow, event).remove("sweep").unwrap()
}

fn assert_ended(job: &Job, code: i32) {
    let ran = job.program();
    assert_eq!(ran.code, Some(code), "{}", ran.log);
    assert_eq!(job.failed, code != 0);
    let outputs = [
        "complete",
        "garbage",
        "deleted",
        "failed",
        "deferred",
        "issue-url",
    ];
    for name in outputs {
        assert!(
            ran.outputs.contains_key(name),
            "{name} is missing: {:?}",
            ran.outputs
        );
    }
    assert!(!ran.summary.is_empty(), "{}", ran.log);
    if code != 0 {
        let annotated = ran
            .log
            .contains(&format!("::error title=preview-gc (exit code {code})::"));
        assert!(annotated, "{}", ran.log);
        assert!(
            ran.summary.contains(&format!("exit code {code}")),
            "{}",
            ran.summary
        );
    }
}

#[test]
fn a_schedule_deletes_garbage_and_reports() {
    let actions = Actions::new();
    let job = sweep(&actions, ORPHANS, &Event::schedule());
    assert_ended(&job, 0);
    assert_eq!(job.program().outputs["deleted"], "14");
    assert!(!actions.has(OF_97) && actions.has("api-preview-104"));
    assert_eq!(job.program().environment["GITHUB_TOKEN"], "secret-job");
}

#[test]
fn a_run_by_hand_deletes_nothing_without_its_input() {
    let actions = Actions::new();
    let show = Event::dispatch(&json!({"delete": false}));
    let job = sweep(&actions, ORPHANS, &show);
    assert_ended(&job, 0);
    assert!(
        job.program()
            .summary
            .contains("14 of 42 resources are garbage")
            && actions.has(OF_97)
    );
    let delete = Event::dispatch(&json!({"delete": true}));
    let job = sweep(&actions, ORPHANS, &delete);
    assert_eq!(job.program().outputs["deleted"], "14");
    assert!(!actions.has(OF_97));
}

#[test]
fn a_closed_pull_request_loses_what_it_made_and_nothing_else() {
    let actions = Actions::new();
    let job = sweep(&actions, CLOSED, &Event::closed(97));
    assert_ended(&job, 0);
    assert!(!actions.has(OF_97) && actions.has(OF_101));
}

#[test]
fn the_workflow_that_init_writes_only_reports() {
    let actions = Actions::new();
    let job = actions.run("../src/cli/init/workflow.yml", &Event::schedule());
    let job = &job["report"];
    assert_ended(job, 0);
    assert!(job.program().outputs["issue-url"].contains("/issues/"));
    assert!(actions.has(OF_97));
}

#[test]
fn the_own_workflow_of_the_repository_finds_what_the_action_should_find() {
    let actions = Actions::new();
    let event = Event::dispatch(&json!({}));
    let run = actions.begin(&event);
    let job = actions.job("workflows/ci.yml", "action", &event, run, &json!({}));
    assert_ended(&job, 0);
    assert_eq!(job.step("Compare what it found").code, Some(0));
}

#[test]
fn a_workflow_that_is_not_enabled_does_nothing() {
    let mut actions = Actions::new();
    actions.variables["PREVIEW_GC_ENABLED"] = json!("");
    for workflow in ALL {
        let jobs = read(workflow)["jobs"].as_object().unwrap().clone();
        let first = jobs.keys().next().unwrap();
        let event = Event::closed(97);
        let run = actions.begin(&event);
        assert!(
            actions
                .job(workflow, first, &event, run, &json!({}))
                .skipped
        );
    }
}

#[test]
fn only_the_step_that_runs_the_program_has_tokens_of_providers() {
    let mut actions = Actions::new();
    actions.secrets["PREVIEW_GC_NOTIFY_URL"] = json!("https://hooks.invalid/secret-hook");
    let job = sweep(&actions, CLOSED, &Event::closed(97));
    assert_ended(&job, 0);
    let mut with = Vec::new();
    for step in &job.steps {
        let texts = format!("{:?}{}", step.environment, step.log);
        if SECRETS.iter().any(|secret| texts.contains(secret)) {
            with.push(&*step.name);
        }
    }
    assert_eq!(with, ["Run preview-gc"]);
    let log = job.log() + &job.summary();
    assert!(SECRETS.iter().all(|secret| !log.contains(secret)), "{log}");
    // The second run finds what the first one built.
    sweep(&actions, CLOSED, &Event::closed(97));
    let built = std::fs::read_to_string(actions.path("built")).unwrap();
    assert_eq!(built, "built\n");
}

#[test]
fn the_token_of_an_app_takes_the_place_of_the_jobs_own() {
    let mut actions = Actions::new();
    actions.variables["PREVIEW_GC_APP_CLIENT_ID"] = json!("Iv1.0123");
    let job = sweep(&actions, ORPHANS, &Event::schedule());
    assert_eq!(job.program().environment["GITHUB_TOKEN"], "secret-app");
}

#[test]
fn a_secret_is_demanded_only_where_a_rule_needs_it() {
    let mut actions = Actions::new();
    actions.secrets["NEON_API_KEY"] = json!("");
    let job = sweep(&actions, ORPHANS, &Event::schedule());
    assert_ended(&job, 3);
    assert!(job.program().log.contains("::warning") && job.program().log.contains("NEON_API_KEY"));
    assert_eq!(job.program().outputs["complete"], "false");
    assert!(!actions.has(OF_97), "the other providers are swept");
    // A policy without Neon needs no key.
    let policy = "repository = \"acme/shop\"\n[words]\nservice = [\"api\"]\n[[rule]]\nid = \"a\"\n\
        kind = \"kv_namespace\"\nname = \"{service}-preview-{pr}-cache\"\ndead-when = \"closed\"\n";
    std::fs::write(actions.path("p.toml"), policy).unwrap();
    let job = actions.use_action(&json!({"command": "audit",
        "policies": actions.path("p.toml"), "cloudflare-api-token": "secret-cloudflare",
        "cloudflare-account-id": actions.variables["CLOUDFLARE_ACCOUNT_ID"]}));
    assert_ended(&job, 0);
}

#[test]
fn every_way_to_end_writes_annotation_summary_and_outputs() {
    let actions = Actions::new();
    let run = |with: &str, args: &str| {
        let (command, dry_run) = with.split_once(' ').unwrap_or((with, "false"));
        actions.use_action(&json!({"command": command, "dry-run": dry_run,
            "args": format!("--sandbox {args}")}))
    };
    assert_ended(&run("audit", ""), 0);
    assert_ended(&run("sweep", ""), 7);
    assert_ended(&run("audit", "--no-such-option"), 2);
    assert_ended(&run("audit", "--policies nowhere"), 2);
    assert_ended(&run("audit", "--fail-on-garbage"), 6);
    assert_ended(&run("sweep", "--yes --brake-count 1"), 4);
    std::fs::write(actions.path("broken.toml"), "repository = 1\n").unwrap();
    let broken = run(
        "check",
        &format!(
            "--offline --policies {}",
            actions.path("broken.toml").display()
        ),
    );
    assert_ended(&broken, 2);
    assert!(
        broken.summary().contains("broken.toml:1"),
        "{}",
        broken.summary()
    );
    // The inputs themselves.
    let job = run("sweep yes", "");
    assert!(
        job.failed && job.log().contains("must be true or false"),
        "{}",
        job.log()
    );
    assert!(job.summary().contains("exit code 2"));
    assert_eq!(job.steps.last().unwrap().outputs["complete"], "false");
}

#[test]
fn arguments_on_every_line_count_and_quotes_keep_spaces() {
    let actions = Actions::new();
    let policy = actions.path("my policies.toml");
    std::fs::copy(crate::support::path("../policies/demo.toml"), &policy).unwrap();
    let run = |args: &str| actions.use_action(&json!({"command": "sweep", "args": args}));
    let quoted = format!(
        "--sandbox\n--policies=\"{}\"\n\n--dry-run\n",
        policy.display()
    );
    let job = run(&quoted);
    assert_ended(&job, 0);
    assert_eq!(job.program().outputs["deleted"], "0", "it only plans");
    // A quote that is not closed runs nothing, rather than another command.
    let job = run("--sandbox --yes \"--dry-run");
    assert!(
        job.failed && job.log().contains("a quote is not closed"),
        "{}",
        job.log()
    );
    assert!(!job.log().contains("deleted"));
    // Variables that an expression left empty are not set.
    let job = actions.use_action(&json!({"command": "audit", "format": "", "args": "--sandbox"}));
    assert_ended(&job, 0);
}

/// A release of the action's repository, as the release workflow makes it.
fn release(actions: &Actions, tag: &str, attested: bool) {
    let folder = actions.path(&format!("releases/{tag}"));
    let name = "preview-gc-x86_64-unknown-linux-musl";
    let inner = folder.join(name);
    std::fs::create_dir_all(&inner).unwrap();
    runner::copy(env!("CARGO_BIN_EXE_preview-gc").as_ref(), &inner);
    let mut tar = Command::new("tar");
    let archive = folder.join(format!("{name}.tar.gz"));
    tar.arg("-czf")
        .arg(archive)
        .arg("-C")
        .arg(&folder)
        .arg(name);
    assert!(tar.status().unwrap().success());
    let proof = format!(
        "attestation verify {name}.tar.gz --repo preview/gc --signer-workflow \
         preview/gc/.github/workflows/release.yml --source-ref refs/tags/{tag}\n"
    );
    std::fs::write(actions.path("attested"), if attested { &proof } else { "" }).unwrap();
}

#[test]
fn the_action_takes_its_own_release_only_with_proof_and_else_its_source() {
    let actions = Actions::new();
    let audit = |version: &str| {
        actions.use_action(&json!({"command": "audit", "args": "--sandbox", "version": version}))
    };
    let tag = concat!("v", env!("CARGO_PKG_VERSION"));
    let commit = "0123456789012345678901234567890123456789";
    for name in [tag, commit] {
        actions.write(&format!("commits/{name}.json"), &json!({"sha": commit}));
    }
    actions.write("commits/main.json", &json!({"sha": "ffff"}));
    let chosen = |job: &Job| job.step("Choose the program").outputs["tag"].clone();
    // At the commit of a tag that has no release yet.
    *actions.action_ref.borrow_mut() = commit.to_owned();
    assert_eq!(chosen(&audit("")), "");
    release(&actions, tag, true);
    for at in [commit, tag] {
        *actions.action_ref.borrow_mut() = at.to_owned();
        let job = audit("");
        assert_ended(&job, 0);
        assert_eq!(chosen(&job), tag);
    }
    // A branch is not a release, and `source` is always the source.
    *actions.action_ref.borrow_mut() = "main".to_owned();
    assert_eq!(chosen(&audit("")), "");
    assert_eq!(chosen(&audit("source")), "");
    // What nobody signed for this tag is not run.
    release(&actions, tag, false);
    let job = audit(tag);
    assert!(
        job.failed && job.log().contains("was not built by"),
        "{}",
        job.log()
    );
    let job = audit("v9.9.9");
    assert!(
        job.failed && job.log().contains("could not download"),
        "{}",
        job.log()
    );
}

/// Lets time pass in the sandbox and on the machines of the jobs.
fn wait(actions: &Actions, time: &str) {
    let advance = json!({"advance": time}).to_string();
    let now = actions.server.control("POST", "clock", &advance)["now"].clone();
    *actions.now.borrow_mut() = Some(now.as_str().unwrap().to_owned());
}

#[test]
fn an_approval_carries_out_exactly_the_plan() {
    let actions = Actions::new();
    let event = Event::dispatch(&json!({}));
    let run = actions.begin(&event);
    let plan = actions.job(APPROVE, "plan", &event, run, &json!({}));
    assert_ended(&plan, 0);
    assert_eq!(plan.outputs["garbage"], "14");
    // More becomes garbage while it waits, and stays.
    wait(&actions, "150h");
    let needs = json!({"plan": {"outputs": plan.outputs}});
    let sweep = actions.job(APPROVE, "sweep", &event, run, &needs);
    assert_eq!(sweep.environment.as_deref(), Some("preview-gc"));
    assert_ended(&sweep, 0);
    assert!(!actions.has(OF_97) && actions.has("api-preview-104"));
    actions.run(APPROVE, &event);
    assert!(!actions.has("api-preview-104"));
    // Nothing is left to approve.
    let jobs = actions.run(APPROVE, &Event::dispatch(&json!({})));
    assert!(jobs["sweep"].skipped);
}

#[test]
fn without_reviewers_nothing_is_planned() {
    let actions = Actions::new();
    let event = Event::dispatch(&json!({}));
    let none = json!({"type": "required_reviewers", "reviewers": []});
    for (rules, why) in [
        (
            Some(json!([{"type": "wait_timer", "wait_timer": 30}])),
            "no required reviewers",
        ),
        (Some(json!([none])), "no required reviewers"),
        (None, "does not exist"),
    ] {
        match rules {
            Some(rules) => actions.write("environment.json", &json!({"protection_rules": rules})),
            None => std::fs::remove_file(actions.path("environment.json")).unwrap(),
        }
        let run = actions.begin(&event);
        let job = actions.job(APPROVE, "plan", &event, run, &json!({}));
        assert!(job.failed && job.log().contains(why), "{}", job.log());
        assert!(job.summary().contains(why), "{}", job.summary());
        let ran: Vec<_> = job
            .steps
            .iter()
            .filter(|step| step.code.is_some())
            .collect();
        assert_eq!(ran.len(), 1, "it is the first step, and the last");
    }
}

#[test]
fn a_late_approval_is_refused_and_says_so() {
    let actions = Actions::new();
    let event = Event::dispatch(&json!({}));
    let run = actions.begin(&event);
    let plan = actions.job(APPROVE, "plan", &event, run, &json!({}));
    let needs = json!({"plan": {"outputs": plan.outputs}});
    wait(&actions, "169h");
    let job = actions.job(APPROVE, "sweep", &event, run, &needs);
    assert_ended(&job, 2);
    assert!(job.summary().contains("plan"), "{}", job.summary());
    assert!(actions.has(OF_97));
}
