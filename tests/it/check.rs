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
    assert_eq!(checked["access"], json!([]), "offline asks nobody");
}

/// Runs `check` with a policy in a folder of its own.
fn check_policy(policy: &str, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    std::fs::write(&path, format!("repository = \"acme/shop\"\n{policy}")).unwrap();
    let path = path.display().to_string();
    let (checked, code) = check(&[&["--policies", &path], arguments].concat());
    assert_eq!(code, 0, "{checked}");
    checked
}

#[test]
fn a_git_branch_shows_its_slugs_and_the_names_of_rules() {
    let policy = r#"
[slug.env]
case = "lower"
keep = "a-z0-9"
replace = { with = "-", runs = true }
strip = "both"
length = [9, 28]
hash = { algorithm = "sha1", digits = 4 }
[slug.unused]
[words]
app = ["web", "api"]
[[rule]]
id = "previews"
kind = "worker"
name = "{app}-{slug:env}"
dead-when = "closed"
[[rule]]
id = "pages"
kind = "pages_deployment"
branch = "feature/{branch:feature/}"
dead-when = "closed"
"#;
    let checked = check_policy(policy, &["--offline", "--branch", "feature/Foo"]);
    let rows: Vec<_> = checked["branches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["branch", "slug", "gives"].map(|key| one[key].as_str().unwrap()))
        .collect();
    let expected = [
        ["feature/Foo", "[slug.env]", "feat-d6ca"],
        ["feature/Foo", "[slug.env]", "feature-foo"],
        ["feature/Foo", "[slug.unused]", "feature/Foo"],
        ["feature/Foo", "name", "{app}-feat-d6ca"],
        ["feature/Foo", "name", "{app}-feature-foo"],
        ["feature/Foo", "branch", "feature/feature/Foo"],
    ];
    assert_eq!(rows, expected);
    let nothing = check_policy(
        "[[rule]]\nid = \"a\"\nkind = \"worker\"\nname = \"app-{pr}\"\ndead-when = \"closed\"\n",
        &["--offline", "--branch", "x"],
    );
    let warnings = nothing["warnings"].to_string();
    assert!(
        warnings.contains("no rule uses the names of git branches"),
        "{warnings}"
    );
}

#[test]
fn an_unmatched_name_is_shown_with_what_keeps_it() {
    let policy = r#"
[words]
app = ["web"]
[[protect]]
kind = "worker"
name = "*-production"
reason = "serves customers"
[[rule]]
id = "previews"
kind = "worker"
name = "{app}-preview-{pr}"
dead-when = "closed"
[[rule]]
id = "pages"
kind = "pages_deployment"
branch = "feature/{branch}"
dead-when = "closed"
"#;
    let names = ["web-production", "api-preview-7", "other", "feature/x"];
    let checked = check_policy(policy, &[&["--offline"][..], &names].concat());
    let warnings: Vec<_> = checked["warnings"].as_array().unwrap().iter().collect();
    let begins = |index: usize, begin: &str| {
        let warning = warnings[index].as_str().unwrap();
        assert!(warning.starts_with(begin), "{warning}");
    };
    begins(
        0,
        "no rule matches web-production: it is protected: serves customers (",
    );
    begins(
        1,
        "no rule matches api-preview-7: it is kept; the nearest rule is previews (",
    );
    begins(2, "no rule matches other: it is kept");
    // The rule of the other kind is no news.
    assert_eq!(warnings.len(), 3, "{checked}");
    let branch = &checked["names"][0];
    assert_eq!(branch["kind"], "pages_deployment", "{checked}");
    assert!(
        branch["claim"]
            .as_str()
            .unwrap()
            .starts_with("as the git branch: "),
        "{checked}"
    );
}

#[test]
fn a_file_of_all_names_shows_rules_that_match_none() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.txt");
    std::fs::write(&names, "api-preview-97\napi-preview-97-cache\n").unwrap();
    let names = names.display().to_string();
    let (checked, _) = check(&["--sandbox", "--offline", "--names-from", &names]);
    let warnings = checked["warnings"].to_string();
    assert!(
        warnings.contains("rule pull-request-branches"),
        "{warnings}"
    );
    assert!(
        !warnings.contains("rule pull-request-workers"),
        "{warnings}"
    );
    let only = [
        "--sandbox",
        "--offline",
        "--kind",
        "worker",
        "--names-from",
        &names,
    ];
    let (checked, _) = check(&only);
    let warnings = checked["warnings"].to_string();
    assert!(
        !warnings.contains("rule pull-request-branches"),
        "{warnings}"
    );
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
        warnings.contains("its template matches 2 existing names, but its condition parent = "),
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
        explained.contains("the resource has \"www.acme.example\""),
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
    let neon = answers.iter().filter(|(what, _)| what.starts_with("neon"));
    assert_eq!(neon.count(), 1, "the token is missing once: {answers:?}");
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
                "/workers/workers$",
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

/// An audit knows a zone from the list of its account, and `check` asks no more.
#[test]
fn the_doctor_asks_for_no_zone_that_the_list_of_the_account_shows() {
    let world = crate::support::path("cases/every-user-keeps.json");
    let policy = crate::support::path("support/closed.toml");
    let server = Server::start(&["--world", &world.display().to_string()]);
    server.plant(
        &json!([{"on": {"path": "/client/v4/zones/[0-9a-f]+$"}, "times": null,
        "fault": {"status": 403}}]),
    );
    for verb in ["audit", "check"] {
        let mut command = server.program();
        command.args([verb, "--quiet", "--policies"]).arg(&policy);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb}: {text}");
    }
    assert_eq!(server.take_faults(), [0]);
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
name = "producton-api"
reason = "it may be meant for a kind that was not listed"

[[protect]]
name = "production-*"
reason = "it covers one"

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
    assert_eq!(of_protect.len(), 2, "{warnings:?}");
    assert!(
        of_protect[0].contains("previews.toml:13 covers nothing that exists"),
        "{warnings:?}"
    );
    let later =
        "previews.toml:18 covers nothing that was listed: leave it if it is meant for later";
    assert!(of_protect[1].contains(later), "{warnings:?}");
    let audited = run(&["audit", &sandbox, "--policies", &policy]);
    let text = String::from_utf8(audited.stdout).unwrap();
    assert!(text.contains("previews.toml:13 covers nothing"), "{text}");
    assert!(!text.contains("previews.toml:18"), "{text}");
}

#[test]
fn each_line_of_a_file_of_names_that_nothing_has_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let world = json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z", "git_branches": ["main"],
        "pull_requests": [], "resources": [
            {"kind": "worker", "name": "api-pr-7", "created_at": "2026-04-01T00:00:00Z"},
            {"kind": "worker", "name": "web-live", "created_at": "2026-04-01T00:00:00Z"}]});
    let (world_file, policy) = (folder.path().join("w.json"), folder.path().join("p.toml"));
    std::fs::write(&world_file, world.to_string()).unwrap();
    let text = "[[rule]]\nid = \"previews\"\nkind = \"worker\"\nname = \"api-pr-{pr}\"\n\
        dead-when = \"closed\"\n[[protect]]\nkind = \"worker\"\nnames-file = \"live.txt\"\n\
        reason = \"live\"\n";
    std::fs::write(&policy, text).unwrap();
    let sandbox = format!("--sandbox={}", world_file.display());
    let warned = |names: &str| {
        std::fs::write(folder.path().join("live.txt"), names).unwrap();
        let policy = policy.display().to_string();
        let (checked, code) = check(&[&sandbox, "--policies", &policy]);
        assert_eq!(code, 0, "{checked}");
        let warnings = checked["warnings"].as_array().unwrap().iter();
        let warnings = warnings.filter_map(Value::as_str);
        let found = warnings.filter(|one| one.contains("live.txt") || one.contains("more names"));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(warned("api-pr-7\nweb-*\n"), Vec::<String>::new());
    let shown = warned("api-pr-7\n\nAPI-pr-7\nweb-live\ngone-*\n");
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(
        shown[0].starts_with("live.txt:3 (API-pr-7) covers nothing"),
        "{shown:?}"
    );
    assert!(
        shown[1].starts_with("live.txt:5 (gone-*) covers nothing"),
        "{shown:?}"
    );
    let many: String = (0..30).map(|number| format!("gone-{number}\n")).collect();
    let shown = warned(&format!("api-pr-7\n{many}"));
    assert_eq!(shown.len(), 21, "{shown:?}");
    assert!(shown[20].starts_with("10 more names"), "{shown:?}");
}
