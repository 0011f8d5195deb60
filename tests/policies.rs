//! Policies: the shipped ones can be used, and broken ones are shown to be
//! broken where they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test that fails should say where"
)]

mod support;

use preview_gc::kinds;
use preview_gc::model::Repository;
use preview_gc::policy::{Diagnostic, Environment, Loaded, Policies, Source, Vocabulary, render};

fn read(sources: &[Source]) -> Result<Loaded, Vec<Diagnostic>> {
    let kinds = kinds::vocabulary();
    let vocabulary = Vocabulary {
        kinds: &kinds,
        unscanned: kinds::UNSCANNED,
    };
    let repository = Repository::parse("acme/shop").unwrap();
    let environment = Environment {
        lookup: &|_| None,
        repository: Some(&repository),
    };
    Policies::read(sources, &vocabulary, &environment)
}

fn source(path: &str) -> Source {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    Source {
        path: path.to_owned(),
        text: std::fs::read_to_string(file).unwrap(),
    }
}

#[test]
fn every_shipped_policy_can_be_used_as_it_is() {
    let mut paths = vec!["policies/demo.toml".to_owned()];
    for entry in std::fs::read_dir(support::path("../policies/schemes")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        paths.push(format!("policies/schemes/{name}"));
    }
    assert!(paths.len() >= 4);
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
fn limits_come_from_one_place() {
    let file = |path: &str, grace: &str| Source {
        path: path.to_owned(),
        text: format!(
            "[limits]\ngrace = \"{grace}\"\n[[protect]]\nkind = \"worker\"\nreason = \"x\"\nname = \"y\"\n"
        ),
    };
    assert!(read(&[file("a.toml", "1h"), file("b.toml", "1h")]).is_ok());
    let mistakes = read(&[file("a.toml", "1h"), file("b.toml", "2h")]).unwrap_err();
    assert!(mistakes[0].message.contains("grace") && mistakes[0].message.contains("a.toml"));
}
