//! `preview-gc check` as its user runs it: names, and the doctor.

use crate::support::{Server, report, run};
use serde_json::{Value, json};

fn check(arguments: &[&str]) -> (Value, i32) {
    let all = [&["check", "--format", "json"], arguments].concat();
    report(&run(&all))
}

#[test]
fn names_are_shown_with_claim_rule_and_what_would_be_asked() {
    let (checked, code) = check(&["--sandbox", "--offline", "api-preview-97", "api-preview-x"]);
    assert_eq!(code, 0);
    let names = checked["names"].as_array().unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0]["kind"], "worker");
    assert_eq!(names[0]["claim"], "pull request #97");
    assert_eq!(names[0]["asks"], "pull request acme/shop#97");
    assert!(
        names[0]["rule"]
            .as_str()
            .unwrap()
            .contains("policies/demo.toml:")
    );
    let warnings = checked["warnings"].to_string();
    assert!(
        warnings.contains("no rule matches api-preview-x"),
        "{warnings}"
    );
    assert!(warnings.contains("pull-request-branches"), "{warnings}");
    assert_eq!(checked["access"], json!([]), "offline asks nobody");
}

/// A name that a template matches is shown with the conditions, and a rule whose
/// conditions refuse all that exists is not called one without a name.
#[test]
fn conditions_explain_themselves() {
    let policy = crate::support::path("cases/conditions-say-why.toml");
    let world = crate::support::path("cases/conditions-say-why.json");
    let sandbox = format!("--sandbox={}", world.display());
    let policy = policy.display().to_string();
    let (checked, code) = check(&[&sandbox, "--policies", &policy, "preview-1"]);
    assert_eq!(code, 0, "{checked}");
    let asks = &checked["names"][0]["asks"];
    let expected =
        "pull request acme/shop#1, where parent = \"main\" and created-after-opened = true";
    assert_eq!(asks, expected, "{checked}");
    let warnings = checked["warnings"].to_string();
    assert!(
        warnings
            .contains("its name matches 2, but not its conditions, the first of them parent = "),
        "{warnings}"
    );
    let output = run(&[
        "explain",
        &sandbox,
        "--policies",
        &policy,
        "web-1.acme.example",
    ]);
    let explained = String::from_utf8(output.stdout).unwrap();
    assert!(
        explained.contains("rule hosts matches this name"),
        "{explained}"
    );
    assert!(
        explained.contains("and it is \"www.acme.example\""),
        "{explained}"
    );
}

#[test]
fn a_claim_in_an_attribute_is_shown_as_such() {
    let policy = crate::support::path("cases/claims-in-attributes.toml");
    let policy = policy.display().to_string();
    let (checked, code) = check(&[
        "--offline",
        "--repository",
        "acme/shop",
        "--policies",
        &policy,
        "x.preview.acme.example",
    ]);
    assert_eq!(code, 0, "{checked}");
    assert_eq!(checked["names"][0]["claim"], "in its `comment`");
}

/// A host is asked about in any spelling.
#[test]
fn a_host_name_is_matched_in_unicode_and_in_punycode() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    let text = "repository = \"acme/shop\"\n[[rule]]\nid = \"hosts\"\nkind = \"dns_record\"\n\
                name = \"pr-{pr}.bücher.example\"\ndead-when = \"closed\"\n";
    std::fs::write(&policy, text).unwrap();
    let policy = policy.display().to_string();
    for name in [
        "pr-7.bücher.example",
        "PR-7.Bücher.example.",
        "pr-7.xn--bcher-kva.example",
    ] {
        let (checked, code) = check(&["--offline", "--policies", &policy, name]);
        assert_eq!(code, 0, "{checked}");
        assert_eq!(checked["names"][0]["claim"], "pull request #7", "{checked}");
    }
}

#[test]
fn the_doctor_tells_apart_what_is_wrong() {
    let world = crate::support::path("cases/what-stays-keeps-what-it-uses.json");
    let policy = crate::support::path("cases/what-stays-keeps-what-it-uses.toml");
    let server = Server::start(&["--world", &world.display().to_string()]);
    let doctor = |change: &dyn Fn(&mut std::process::Command)| {
        let mut command = server.program();
        command
            .args(["check", "--format", "json", "--policies"])
            .arg(&policy);
        change(&mut command);
        let (checked, code) = report(&command.output().unwrap());
        let answers: Vec<_> = checked["access"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap().to_owned();
                (text("what"), text("answer"))
            })
            .collect();
        (answers, code)
    };
    let of = |answers: &[(String, String)], what: &str| {
        let found = answers.iter().find(|(name, _)| name == what);
        found.map(|(_, answer)| answer.clone()).unwrap_or_default()
    };
    let (answers, code) = doctor(&|_| {});
    assert_eq!(code, 0, "{answers:?}");
    assert!(
        answers.iter().all(|(_, answer)| answer == "works"),
        "{answers:?}"
    );
    // All that an audit reads besides, and the issue that people check boxes in.
    for what in [
        "worker",
        "neon_branch",
        "pull requests",
        "issues",
        "worker_domain",
        "hyperdrive",
    ] {
        assert_eq!(of(&answers, what), "works", "{what}: {answers:?}");
    }

    let (answers, code) = doctor(&|command| {
        command.env_remove("NEON_API_KEY");
    });
    assert_eq!(code, 3);
    assert!(of(&answers, "neon_branch").starts_with("not configured"));
    assert_eq!(of(&answers, "worker"), "works");

    let (answers, code) = doctor(&|command| {
        command.env("CLOUDFLARE_ACCOUNT_ID", "00000000000000000000000000000000");
    });
    assert_eq!(code, 3);
    assert!(
        of(&answers, "worker").starts_with("wrong account"),
        "{answers:?}"
    );

    let (answers, _) = doctor(&|command| {
        command.env("NEON_PROJECT_ID", "another-project");
    });
    assert!(
        of(&answers, "neon_branch").starts_with("not visible to this token"),
        "{answers:?}"
    );

    let (answers, _) = doctor(&|command| {
        command.env("GITHUB_REPOSITORY", "acme/other");
    });
    assert!(
        of(&answers, "pull requests").starts_with("not visible to this token"),
        "{answers:?}"
    );

    let refuse = |path: &str, status: u16| {
        json!([{"on": {"method": "GET", "path": path}, "times": null, "fault": {"status": status,
            "body": {"success": false, "errors": [{"code": 10000, "message": "Authentication \
                                                                              error"}], "messages": [], "result": null}}}])
    };
    server.control(
        "POST",
        "faults",
        &refuse("/storage/kv/namespaces$", 403).to_string(),
    );
    let (answers, _) = doctor(&|_| {});
    let kv = of(&answers, "kv_namespace");
    assert!(
        kv.starts_with("no permission (needs Workers KV Storage Read)"),
        "{kv}"
    );
    assert_eq!(
        of(&answers, "worker"),
        "works",
        "one missing right disables nothing else"
    );
    server.plant(&refuse("/client/v4/", 401));
    let (answers, _) = doctor(&|_| {});
    assert!(
        of(&answers, "worker").starts_with("token not accepted"),
        "{answers:?}"
    );
}

/// What an audit refuses, `check` refuses with the same exit code, and nothing else.
#[test]
fn the_doctor_is_content_only_where_an_audit_is() {
    let stages = [
        (
            "every-user-keeps",
            [
                "/issues$",
                "/workers/routes$",
                "/workers/domains$",
                "/dns_records$",
                "/pages/projects$",
                "/dispatch/namespaces$",
                "/queues$",
                "/settings$",
                "/previews$",
                "/graphql$",
                "/client/v4/zones$",
            ]
            .as_slice(),
        ),
        (
            "edges",
            ["/pulls$", "/branches$", "/actions/runs$", "/graphql$"].as_slice(),
        ),
    ];
    for (case, path) in stages
        .iter()
        .flat_map(|(case, paths)| paths.iter().map(move |path| (case, path)))
    {
        let world = crate::support::path(&format!("cases/{case}.json"));
        let policy = crate::support::path(&format!("cases/{case}.toml"));
        let server = Server::start(&["--world", &world.display().to_string()]);
        server.control(
            "POST",
            "faults",
            &json!([{"on": {"path": path}, "times": null, "fault": {"status": 403}}]).to_string(),
        );
        let run = |verb: &str| {
            let mut command = server.program();
            command
                .args([verb, "--quiet", "--format", "json", "--policies"])
                .arg(&policy);
            let output = command.output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            (output.status.code(), text)
        };
        let (audited, _) = run("audit");
        let (checked, text) = run("check");
        assert_eq!(checked, audited, "{case} {path}: {text}");
    }
}

/// A name that is misspelled in a `[[protect]]` would protect nothing without a word.
#[test]
fn a_protect_entry_that_covers_nothing_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let worker =
        |name: &str| json!({"kind": "worker", "name": name, "created_at": "2026-10-01T00:00:00Z"});
    let world = json!({"repository": "acme/shop", "now": "2026-11-20T00:00:00Z",
        "git_branches": ["main"], "pull_requests": [],
        "resources": [worker("production-api"), worker("api-pr-1")]});
    let world = file("world.json", &world.to_string());
    let policy = file(
        "previews.toml",
        r#"
[[rule]]
id = "previews"
kind = "worker"
name = "api-pr-{pr}"
dead-when = "closed"

[[protect]]
kind = "worker"
name = "production-api"
reason = "it serves customers"

[[protect]]
kind = "worker"
name = ["api-pr-7", "api-pr-8*"]
reason = "shown at the fair"

[[protect]]
name = "anything-of-kinds-that-were-not-listed"
reason = "nothing tells whether it exists"

[[protect]]
pull-request = 12
reason = "shown at the fair"
"#,
    );
    let sandbox = format!("--sandbox={world}");
    let (checked, code) = check(&[&sandbox, "--policies", &policy]);
    assert_eq!(code, 0, "{checked}");
    let warnings = checked["warnings"].as_array().unwrap();
    let warnings: Vec<_> = warnings.iter().filter_map(Value::as_str).collect();
    let of_protect: Vec<_> = warnings
        .iter()
        .filter(|warning| warning.contains("covers nothing"))
        .collect();
    assert_eq!(of_protect.len(), 1, "{warnings:?}");
    assert!(
        of_protect[0].contains("previews.toml:13 covers nothing that exists"),
        "{warnings:?}"
    );
    let audited = run(&["audit", &sandbox, "--policies", &policy]);
    let text = String::from_utf8(audited.stdout).unwrap();
    assert!(text.contains("previews.toml:13 covers nothing"), "{text}");
}
