//! Policies: the shipped ones can be used, and broken ones are shown to be
//! broken where they are.

use preview_gc::model::Repository;
use preview_gc::policy::{
    Diagnostic, Loaded, Policies, PolicyContext, PolicySource, Vocabulary, render,
};
use preview_gc::providers;

fn read(sources: &[PolicySource]) -> Result<Loaded, Vec<Diagnostic>> {
    let kinds = providers::vocabulary();
    let vocabulary = Vocabulary {
        kinds: &kinds,
        scopes: &providers::scopes(),
    };
    let repository = Repository::parse("acme/shop").unwrap();
    let environment = PolicyContext {
        lookup: &|_| None,
        repository: Some(&repository),
        names_file: &|_, _| Err("not found".to_owned()),
    };
    Policies::read(sources, &vocabulary, &environment)
}

fn source(path: &str) -> PolicySource {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    PolicySource {
        path: path.to_owned(),
        text: std::fs::read_to_string(file).unwrap(),
    }
}

#[test]
fn every_shipped_policy_can_be_used_as_it_is() {
    let mut paths = vec!["policies/demo.toml".to_owned()];
    for entry in std::fs::read_dir(crate::support::path("../policies/schemes")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        paths.push(format!("policies/schemes/{name}"));
    }
    assert!(paths.len() >= 7);
    for path in paths {
        let sources = [source(&path)];
        match read(&sources) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{path}"),
            Err(mistakes) => panic!("{path}:\n{}", render(&mistakes, &sources, false)),
        }
    }
}

#[test]
fn every_mistake_is_shown_at_once_in_the_owners_own_text() {
    let sources = [source("tests/policies/ten-mistakes.toml")];
    let mistakes = read(&sources).unwrap_err();
    assert!(mistakes.len() >= 10);
    insta::assert_snapshot!(render(&mistakes, &sources, false));
}

#[test]
fn mistakes_in_claims_conditions_and_files_of_names_are_pointed_at() {
    let sources = [source("tests/policies/claims-and-conditions.toml")];
    let mistakes = read(&sources).unwrap_err();
    insta::assert_snapshot!(render(&mistakes, &sources, false));
}

#[test]
fn a_policy_that_names_a_token_as_a_place_is_refused() {
    let kinds = providers::vocabulary();
    let repository = Repository::parse("acme/shop");
    let environment = PolicyContext {
        lookup: &|name| Some(format!("value-of-{name}").to_lowercase().replace('_', "-")),
        repository: repository.as_ref(),
        names_file: &|_, _| Err("not found".to_owned()),
    };
    let read = |variable: &str| {
        let text = format!(
            "[scope]\nneon = {{ projects = [\"${variable}\"] }}\n[[rule]]\nid = \"b\"\nkind = \
             \"neon_branch\"\nname = \"preview/pr-{{pr}}\"\ndead-when = \"closed\"\n"
        );
        let path = "p.toml".to_owned();
        let vocabulary = Vocabulary {
            kinds: &kinds,
            scopes: &providers::scopes(),
        };
        Policies::read(&[PolicySource { path, text }], &vocabulary, &environment)
    };
    assert!(read("PROJECT_ID").is_ok());
    for variable in [
        "GITHUB_TOKEN",
        "NEON_API_KEY",
        "cf_api_token",
        "DB_PASSWORD",
    ] {
        let mistakes = read(variable).unwrap_err();
        assert!(mistakes[0].message.contains("holds a secret"), "{variable}");
        assert!(!format!("{mistakes:?}").contains("value-of"), "{variable}");
    }
}

#[test]
fn a_value_without_the_form_of_an_identifier_is_not_shown() {
    let kinds = providers::vocabulary();
    let environment = PolicyContext {
        lookup: &|name| {
            let secret = "postgres://shop:hunter2@db.example.com/shop";
            (name == "DATABASE_URL").then(|| secret.to_owned())
        },
        repository: None,
        names_file: &|_, _| Err("not found".to_owned()),
    };
    let sources = [source("tests/policies/not-identifiers.toml")];
    let vocabulary = Vocabulary {
        kinds: &kinds,
        scopes: &providers::scopes(),
    };
    let mistakes = Policies::read(&sources, &vocabulary, &environment).unwrap_err();
    let text = render(&mistakes, &sources, false);
    assert!(!text.contains("unter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn limits_come_from_one_place() {
    let file = |path: &str, grace: &str| PolicySource {
        path: path.to_owned(),
        text: format!(
            "[limits]\ngrace = \"{grace}\"\n[[protect]]\nkind = \"worker\"\nreason = \"x\"\nname \
             = \"y\"\n"
        ),
    };
    assert!(read(&[file("a.toml", "1h"), file("b.toml", "1h")]).is_ok());
    let mistakes = read(&[file("a.toml", "1h"), file("b.toml", "2h")]).unwrap_err();
    assert!(mistakes[0].message.contains("grace") && mistakes[0].message.contains("a.toml"));
}

#[test]
fn many_names_are_read_by_many_rules() {
    use preview_gc::model::{Attribute, Place, Resource, Time};
    let rules: String = (0..1_000)
        .map(|n| {
            format!(
                "[[rule]]\nid = \"r{n}\"\nkind = \"worker\"\nname = \
                 [\"app{n:03}-{{service}}-pr-{{pr}}\", \
                 \"{{service}}-{n:03}-{{branch}}\"]\ndead-when = \"closed\"\n"
            )
        })
        .collect();
    let text = format!("[words]\nservice = [\"api\", \"web\", \"docs\"]\n{rules}");
    let source = PolicySource {
        path: "many.toml".to_owned(),
        text,
    };
    let loaded = read(&[source]).unwrap();
    let rules = &loaded.policies.files[0].rules;
    let worker = *providers::vocabulary()
        .iter()
        .find(|kind| kind.name() == "worker")
        .unwrap();
    let place = std::sync::Arc::new(Place::Account("a".to_owned()));
    let read_by_one = (0..1_000_u32)
        .filter(|n| {
            let name: Box<str> = format!("app{:03}-web-pr-{n}", n % 1_000).into();
            let resource = Resource {
                kind: worker,
                place: place.clone(),
                id: name.clone(),
                name,
                holder: None,
                incarnation: None,
                created_at: Time::Unsupported,
                changed_at: Time::Unsupported,
                active_at: Time::Unsupported,
                expires_at: None,
                protection: None,
                parent: None,
                attributes: vec![("tags", Attribute::List(Vec::new()))],
                links: Vec::new(),
                addresses: Vec::new(),
                foreign_address: None,
                recorded: None,
                unread: None,
                original: None,
            };
            let matches: usize = rules.iter().map(|rule| rule.read(&resource).len()).sum();
            matches == 1
        })
        .count();
    // Zero is no number.
    assert_eq!(read_by_one, 999);
}

#[test]
fn the_schema_in_the_repository_is_the_programs_own() {
    let output = crate::support::run(&["check", "--schema"]);
    assert!(output.status.success());
    let file = std::fs::read(crate::support::path("../policies/preview-gc.schema.json")).unwrap();
    assert!(
        output.stdout == file,
        "write it anew: preview-gc check --schema > policies/preview-gc.schema.json"
    );
}

/// TOML as the JSON that editors hold against the schema.
fn as_json(text: &str) -> serde_json::Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn the_schema_takes_what_the_program_takes() {
    let schema: serde_json::Value =
        serde_json::from_slice(&crate::support::run(&["check", "--schema"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut checked = 0;
    for folder in ["../policies", "../policies/schemes", "cases"] {
        for entry in std::fs::read_dir(crate::support::path(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "toml") {
                continue;
            }
            let policy = as_json(&std::fs::read_to_string(&path).unwrap());
            let wrong: Vec<_> = validator
                .iter_errors(&policy)
                .map(|e| e.to_string())
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 40);
    let broken =
        std::fs::read_to_string(crate::support::path("policies/ten-mistakes.toml")).unwrap();
    assert!(!validator.is_valid(&as_json(&broken)));
}

#[test]
fn overlapping_rules_are_reported() {
    let text = r#"
[words]
service = ["api", "web"]
[[rule]]
id = "one"
kind = "worker"
name = "{service}-pr-{pr}"
dead-when = "closed"
[[rule]]
id = "two"
kind = "worker"
name = "api-{any}"
except = "api-pr-*"
dead-when = { older-than = "30d" }
[[rule]]
id = "three"
kind = "worker"
name = "web-{any}"
dead-when = { older-than = "30d" }
[[rule]]
id = "four"
kind = "kv_namespace"
name = "web-{any}"
dead-when = "closed"
missing = "keep"
"#;
    let sources = [PolicySource {
        path: "odd.toml".to_owned(),
        text: text.replace(
            "dead-when = \"closed\"\nmissing",
            "dead-when = { older-than = \"1d\" }\nmissing",
        ),
    }];
    let loaded = read(&sources).unwrap();
    let found = preview_gc::policy::overlap::check(&loaded.policies.files);
    insta::assert_snapshot!(render(&found, &sources, false));
}
