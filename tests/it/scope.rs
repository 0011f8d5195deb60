//! Where policies apply: zones and projects outside of the scope, values that do
//! not have the form of an id, and names that are the same in another spelling.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{Server, report};

const T0: &str = "2026-04-01T00:00:00Z";
const ACME: &str = "11111111111111111111111111111111";
const BOOKS: &str = "22222222222222222222222222222222";

fn record(name: &str, zone: &str) -> Value {
    json!({"kind": "dns_record", "name": name, "created_at": T0, "updated_at": T0,
        "attributes": {"zone": zone, "type": "A", "content": "192.0.2.1"}})
}

/// A stand-in with two zones, a project, and pull requests 3 and 7, which are
/// closed.
struct Stage {
    server: Server,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let closed = |number: u32| {
            json!({"number": number, "state": "closed", "head_ref": format!("b{number}"),
                "head_repo": "acme/shop", "created_at": "2026-03-01T00:00:00Z",
                "updated_at": T0, "closed_at": T0})
        };
        let world = json!({
            "repository": "acme/shop", "now": "2026-05-01T00:00:00Z", "git_branches": ["main"],
            "pull_requests": [closed(3), closed(7),
                {"number": 9, "state": "open", "head_ref": "b9", "head_repo": "acme/shop", "updated_at": T0}],
            "zones": [
                {"id": ACME, "name": "acme.example"},
                {"id": BOOKS, "name": "xn--bcher-kva.example"},
            ],
            "resources": [
                record("app-pr-7.acme.example", "acme.example"),
                record("app-pr-3.acme.example", "acme.example"),
                record("app-pr-7.xn--bcher-kva.example", "xn--bcher-kva.example"),
                record("xn--app-pr-3--y9a.xn--bcher-kva.example", "xn--bcher-kva.example"),
                {"kind": "worker", "name": "app-pr-7", "created_at": T0, "updated_at": T0,
                    "attributes": {"bindings": []}},
                {"kind": "neon_branch", "name": "preview/pr-7", "created_at": T0, "updated_at": T0,
                    "attributes": {"project": "site", "parent": "main"}},
            ],
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("world.json");
        std::fs::write(&file, world.to_string()).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        let server = Server::start(&["--world", &file.display().to_string()]);
        Self { server, folder }
    }

    fn policy(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join("policies").join(file), text).unwrap();
    }

    fn variable(&self, name: &str) -> String {
        let mut variables = self.server.environment.iter();
        variables.find(|(one, _)| one == name).unwrap().1.clone()
    }

    fn program(&self, verb: &str) -> Command {
        let mut command = self.server.program();
        command
            .args([verb, "-q", "--format", "json", "--policies", "policies"])
            .current_dir(self.folder.path())
            .env("PREVIEW_GC_JOURNAL", self.folder.path().join("journal"));
        command
    }

    /// The paths that were asked for since the stand-in began.
    fn asked(&self) -> Vec<String> {
        let requests = self.server.control("GET", "requests", "");
        let requests = requests.as_array().unwrap().iter();
        requests
            .map(|request| request["path"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The exit code and what was said on stderr.
fn ended(output: &Output) -> (i32, String) {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), errors)
}

fn verdict(report: &Value, name: &str) -> String {
    let mut resources = report["resources"].as_array().unwrap().iter();
    let found = resources.find(|one| one["name"] == name);
    found.map_or("not listed".to_owned(), |one| {
        one["verdict"].as_str().unwrap().to_owned()
    })
}

/// A rule for the records of acme.example.
const RECORDS: &str = r#"
[[rule]]
id = "records"
kind = "dns_record"
name = "app-pr-{pr}.acme.example"
dead-when = "closed"
"#;

/// An entry of line 2 that protects one record in this zone.
fn protect_in(zone: &str) -> String {
    format!(
        "[[protect]]\nkind = \"dns_record\"\nzone = \"{zone}\"\nname = \"app-pr-3.*\"\nreason = \"a demo\"\n"
    )
}

const SCOPED: &str = "[scope]\ncloudflare = { zones = [\"acme.example\"] }\n";

#[test]
fn a_zone_or_project_that_is_surely_outside_of_the_scope_is_refused_before_any_request() {
    let neon = "[scope]\nneon = { projects = [\"site\"] }\n[[rule]]\nid = \"b\"\nkind = \"neon_branch\"\nname = \"preview/pr-{pr}\"\ndead-when = \"closed\"\n";
    for (policy, line, named) in [
        (
            format!("{SCOPED}{}{RECORDS}", protect_in("acme.exmaple")),
            5,
            "acme.exmaple",
        ),
        (
            format!(
                "{SCOPED}{}",
                RECORDS.replace("name =", "zone = \"other.example\"\nname =")
            ),
            7,
            "other.example",
        ),
        (format!("{neon}project = \"shop\"\n"), 8, "shop"),
        (
            format!(
                "{neon}[[protect]]\nkind = \"neon_branch\"\nproject = \"shop\"\nname = \"x\"\nreason = \"y\"\n"
            ),
            10,
            "shop",
        ),
    ] {
        let stage = Stage::new();
        stage.policy("a.toml", &policy);
        for verb in ["audit", "sweep", "check", "report"] {
            let (code, errors) = ended(&stage.program(verb).output().unwrap());
            assert_eq!(code, 2, "{verb} {policy}: {errors}");
            assert!(
                errors.contains(&format!("policies/a.toml:{line}:")),
                "{errors}"
            );
            assert!(
                errors.contains(&format!("{named} is not in the scope")),
                "{errors}"
            );
        }
        assert_eq!(stage.asked(), [""; 0], "{policy}");
        // Without a request at all, as far as the file says it.
        let offline = stage.program("check").arg("--offline").output().unwrap();
        assert_eq!(ended(&offline).0, 2, "{policy}");
    }
}

#[test]
fn a_zone_that_only_the_look_up_shows_to_be_outside_is_refused_before_anything_is_listed() {
    // The scope has ids here, and the entry a name.
    let stage = Stage::new();
    stage.policy(
        "a.toml",
        &format!("{}{RECORDS}", protect_in("other.example")),
    );
    for verb in ["audit", "sweep", "check", "report"] {
        let mut program = stage.program(verb);
        if verb == "sweep" {
            program.arg("--yes");
        }
        let (code, errors) = ended(&program.output().unwrap());
        assert_eq!(code, 2, "{verb}: {errors}");
        assert!(errors.contains("policies/a.toml:3:"), "{errors}");
        assert!(
            errors.contains("other.example is not in the scope"),
            "{errors}"
        );
    }
    let zones = |path: &String| {
        path == "/client/v4/zones" || (path.starts_with("/client/v4/zones/") && path.len() == 49)
    };
    let asked = stage.asked();
    assert!(!asked.is_empty() && asked.iter().all(zones), "{asked:?}");
    // The same zones by their names.
    stage.policy(
        "a.toml",
        &format!("{}{RECORDS}", protect_in("acme.example")),
    );
    let (audited, code) = report(&stage.program("audit").output().unwrap());
    assert_eq!(code, 0, "{audited}");
    assert_eq!(verdict(&audited, "app-pr-3.acme.example"), "protected");
}

#[test]
fn a_zone_of_the_scope_that_does_not_exist_is_refused_where_a_rule_names_it() {
    let stage = Stage::new();
    let scope = "[scope]\ncloudflare = { zones = [\"acme.exmaple\"] }\n";
    stage.policy(
        "a.toml",
        &format!("{scope}{}{RECORDS}", protect_in("acme.exmaple")),
    );
    for verb in ["audit", "check"] {
        let (code, errors) = ended(&stage.program(verb).output().unwrap());
        assert_eq!(code, 2, "{verb}: {errors}");
        assert!(errors.contains("policies/a.toml:5:"), "{errors}");
        assert!(errors.contains("acme.exmaple does not exist"), "{errors}");
    }
    let asked = stage.asked();
    assert!(
        asked.iter().all(|path| path == "/client/v4/zones"),
        "{asked:?}"
    );
}

#[test]
fn names_outside_the_scope_are_underlined_with_help() {
    let stage = Stage::new();
    stage.policy(
        "a.toml",
        &format!(
            "{SCOPED}\n[[protect]]\nname = \"*-demo\"\nproject = [\"site\", \"shop\"]\n\
             reason = \"shown to customers\"\n{RECORDS}zone = \"other.example\"\n",
        ),
    );
    let (code, errors) = ended(&stage.program("audit").output().unwrap());
    assert_eq!(code, 2);
    insta::assert_snapshot!(errors);
}

#[test]
fn a_look_up_that_was_refused_leaves_a_gap() {
    let stage = Stage::new();
    stage.policy(
        "a.toml",
        &format!("{}{RECORDS}", protect_in("acme.example")),
    );
    stage.server.plant(&json!([{"on": {"path": format!("/zones(/{ACME})?$")}, "times": null, "fault": {"status": 403}}]));
    for verb in ["audit", "check"] {
        let (code, errors) = ended(&stage.program(verb).output().unwrap());
        assert_eq!(code, 3, "{verb}: {errors}");
    }
    let (audited, _) = report(&stage.program("audit").output().unwrap());
    let gaps = audited["evidence"].to_string();
    assert!(gaps.contains("policies/a.toml:1"), "{gaps}");
}

#[test]
fn an_entry_holds_in_a_zone_of_another_files_scope() {
    let stage = Stage::new();
    stage.policy("a.toml", &format!("{SCOPED}{RECORDS}"));
    stage.policy("b.toml", &protect_in("acme.example"));
    for unset in ["CLOUDFLARE_ZONE_ID", "UNUSED"] {
        let mut audit = stage.program("audit");
        let (audited, code) = report(&audit.env_remove(unset).output().unwrap());
        assert_eq!(code, 0, "{audited}");
        assert_eq!(verdict(&audited, "app-pr-3.acme.example"), "protected");
        assert_eq!(verdict(&audited, "app-pr-7.acme.example"), "garbage");
    }
}

const SECRET: &str = "postgres://shop:hunter2@db.acme.example/shop";

#[test]
fn a_variable_without_the_form_of_an_id_is_neither_sent_nor_printed() {
    let policy = format!(
        "{RECORDS}[[rule]]\nid = \"b\"\nkind = \"neon_branch\"\nname = \"preview/pr-{{pr}}\"\ndead-when = \"closed\"\n"
    );
    let stage = Stage::new();
    stage.policy("a.toml", &policy);
    for variable in [
        "CLOUDFLARE_ACCOUNT_ID",
        "CLOUDFLARE_ZONE_ID",
        "NEON_PROJECT_ID",
        "GITHUB_REPOSITORY",
    ] {
        for value in [
            SECRET,
            "..",
            ".",
            "hunter2/../hunter2",
            "napi_hunter2",
            "hunter2 ",
        ] {
            // A project may be called so.
            if value == "hunter2 " && variable == "NEON_PROJECT_ID" {
                continue;
            }
            for verb in ["audit", "check"] {
                let output = stage.program(verb).env(variable, value).output().unwrap();
                let (code, errors) = ended(&output);
                assert_eq!(code, 2, "{variable}={value}: {errors}");
                assert!(errors.contains(variable), "{errors}");
                let said = errors + &String::from_utf8_lossy(&output.stdout);
                assert!(!said.contains("hunter2"), "{said}");
            }
        }
    }
    assert_eq!(stage.asked(), [""; 0]);
    let flag = stage
        .program("audit")
        .args(["--repository", SECRET])
        .output()
        .unwrap();
    let (code, errors) = ended(&flag);
    assert_eq!(code, 2, "{errors}");
    assert!(
        errors.contains("--repository") && !errors.contains("hunter2"),
        "{errors}"
    );
}

/// A run works in one account. Which of several somebody meant is never guessed.
#[test]
fn a_variable_with_several_accounts_is_refused() {
    let stage = Stage::new();
    stage.policy("a.toml", RECORDS);
    let own = stage.variable("CLOUDFLARE_ACCOUNT_ID");
    let other = "0".repeat(32);
    for variable in ["CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID"] {
        for value in [format!("{other},{own}"), format!("{own}, {other}")] {
            for verb in ["audit", "check"] {
                let mut command = stage.program(verb);
                command.env_remove("CLOUDFLARE_ACCOUNT_ID");
                let output = command.env(variable, &value).output().unwrap();
                let (code, errors) = ended(&output);
                assert_eq!(code, 2, "{verb} {variable}={value}: {errors}");
                assert!(errors.contains(variable), "{errors}");
                assert!(errors.contains("takes one value, not a list"), "{errors}");
                assert!(!errors.contains(&other), "{errors}");
            }
        }
    }
    assert_eq!(stage.asked(), [""; 0]);
}

#[test]
fn a_value_of_a_policy_without_the_form_of_an_id_is_neither_sent_nor_printed() {
    let stage = Stage::new();
    for (line, key) in [
        ("cloudflare = { account = \"VALUE\" }", "account"),
        (
            "cloudflare = { zones = [\"acme.example\", \"VALUE\"] }",
            "zones",
        ),
        ("neon = { projects = [\"VALUE\"] }", "projects"),
    ] {
        for value in [SECRET, "$DATABASE_URL", "../hunter2", ".."] {
            let scope = line.replace("VALUE", value);
            stage.policy("a.toml", &format!("[scope]\n{scope}\n{RECORDS}"));
            let output = stage
                .program("check")
                .env("DATABASE_URL", SECRET)
                .output()
                .unwrap();
            let (code, errors) = ended(&output);
            assert_eq!(code, 2, "{scope}: {errors}");
            assert!(errors.contains("policies/a.toml:2:"), "{errors}");
            assert!(errors.contains(key), "{errors}");
            assert!(!errors.contains("hunter2"), "{errors}");
        }
    }
    for place in ["zone", "project"] {
        let kind = if place == "zone" {
            "dns_record"
        } else {
            "neon_branch"
        };
        let rule = RECORDS.replace("dns_record", kind);
        stage.policy("a.toml", &format!("{rule}{place} = \"{SECRET}\"\n"));
        let (code, errors) = ended(&stage.program("audit").output().unwrap());
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains("policies/a.toml:7:"), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    stage.policy("a.toml", &format!("repository = \"{SECRET}\"\n{RECORDS}"));
    let (code, errors) = ended(&stage.program("audit").output().unwrap());
    assert_eq!(code, 2, "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
    assert_eq!(stage.asked(), [""; 0]);
}

/// Repositories, accounts, zones and hosts are the same in another spelling, and
/// cost no request of their own.
#[test]
fn other_spellings_of_the_same_place_are_the_same_place() {
    let rules = "[[rule]]\nid = \"RULE\"\nkind = [\"worker\", \"github_environment\"]\nname = \"app-pr-{pr}\"\ndead-when = \"closed\"\n[[rule]]\nid = \"RULE-hosts\"\nkind = \"dns_record\"\nzone = \"ZONE\"\nname = \"app-pr-{pr}.ZONE\"\ndead-when = \"closed\"\n";
    let file = |stage: &Stage, repository: &str, upper: bool, zone: &str, id: &str| {
        let account = stage.variable("CLOUDFLARE_ACCOUNT_ID");
        let account = if upper {
            account.to_uppercase()
        } else {
            account
        };
        let rules = rules.replace("RULE", id).replace("ZONE", zone);
        format!(
            "repository = \"{repository}\"\n[scope]\ncloudflare = {{ account = \"{account}\", zones = [\"{zone}\"] }}\n{rules}"
        )
    };
    let plain = Stage::new();
    let zone = "xn--bcher-kva.example";
    plain.policy("a.toml", &file(&plain, "acme/shop", false, zone, "a"));
    let (expected, code) = report(&plain.program("audit").output().unwrap());
    assert_eq!(code, 0, "{expected}");
    assert_eq!(
        verdict(&expected, "app-pr-7.xn--bcher-kva.example"),
        "garbage"
    );

    let other = Stage::new();
    other.policy(
        "a.toml",
        &file(&other, "Acme/Shop", true, "Bücher.EXAMPLE", "a"),
    );
    other.policy(
        "b.toml",
        &file(&other, "acme/shop", false, "XN--bcher-kva.example", "b"),
    );
    let (audited, code) = report(&other.program("audit").output().unwrap());
    assert_eq!(code, 0, "{audited}");
    let rows = |report: &Value| -> Vec<Value> {
        let resources = report["resources"].as_array().unwrap().iter();
        resources
            .map(|one| json!([one["kind"], one["name"], one["scope"], one["verdict"]]))
            .collect()
    };
    assert_eq!(rows(&audited), rows(&expected));
    let counts = |stage: &Stage| {
        let mut asked: Vec<_> = stage
            .asked()
            .iter()
            .map(|path| path.to_lowercase())
            .collect();
        asked.sort();
        asked
    };
    assert_eq!(counts(&other), counts(&plain));
}

#[test]
fn a_host_is_explained_in_any_spelling() {
    let stage = Stage::new();
    stage.policy("a.toml", RECORDS);
    for name in ["app-pr-7.bücher.example", "App-PR-7.acme.example."] {
        let output = stage.program("explain").arg(name).output().unwrap();
        let (code, errors) = ended(&output);
        assert_eq!(code, 0, "{errors}");
    }
}

#[test]
fn an_entry_protects_hosts_by_their_unicode_names() {
    let stage = Stage::new();
    let rule = "[[rule]]\nid = \"r\"\nkind = \"dns_record\"\nname = \"{any}.bücher.example\"\ndead-when = { older-than = \"1d\" }\n";
    for (name, expected) in [
        ("app-pr-3-ü.bücher.example", "protected"),
        ("APP-pr-3-Ü.BÜCHER.example", "protected"),
        ("*-ü.bücher.example", "protected"),
        ("*-ü.xn--bcher-kva.example", "protected"),
        ("app-*.bücher.example", "protected"),
        ("app-pr-{pr}-ü.bücher.example", "protected"),
        ("xn--app*", "protected"),
        ("app-pr-4-ü.bücher.example", "garbage"),
    ] {
        stage.policy(
            "a.toml",
            &format!(
                "[[protect]]\nkind = \"dns_record\"\nname = \"{name}\"\nreason = \"x\"\n{rule}"
            ),
        );
        let (audited, code) = report(&stage.program("audit").output().unwrap());
        assert_eq!(code, 0, "{audited}");
        let record = "xn--app-pr-3--y9a.xn--bcher-kva.example";
        assert_eq!(verdict(&audited, record), expected, "{name}");
    }
}

/// A kind that only an entry names is listed only where the entry holds.
#[test]
fn an_entry_has_its_kind_listed_only_where_it_holds() {
    let stage = Stage::new();
    let branches = "[[rule]]\nid = \"b\"\nkind = \"neon_branch\"\nname = \"preview/pr-{pr}\"\ndead-when = \"closed\"\n";
    let asked = |policy: &str| {
        stage.policy("a.toml", policy);
        let before = stage.asked().len();
        let (audited, code) = report(&stage.program("audit").output().unwrap());
        assert_eq!(code, 0, "{audited}");
        let records = stage.asked().split_off(before).into_iter();
        let records: Vec<_> = records
            .filter(|path| path.ends_with("/dns_records"))
            .collect();
        (records, audited)
    };
    let (records, _) = asked(branches);
    assert_eq!(records, [""; 0]);
    let (records, audited) = asked(&format!("{}{branches}", protect_in("acme.example")));
    assert_eq!(records, [format!("/client/v4/zones/{ACME}/dns_records")]);
    assert_eq!(verdict(&audited, "app-pr-3.acme.example"), "protected");
    let (records, _) = asked(&format!(
        "{}{branches}",
        protect_in("acme.example").replace("zone = \"acme.example\"\n", "")
    ));
    assert_eq!(records.len(), 2, "{records:?}");
}
