//! What a clone says without arguments: policies in two folders, and the repository
//! of git's remote.

use std::path::Path;
use std::process::Command;

use crate::support::program;
use serde_json::Value;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn rule(id: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nkind = \"worker\"\nname = \"{id}-{{pr}}\"\ndead-when = \"closed\"\n"
    )
}

/// A clone with two policies that name no repository.
fn clone() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "policies/a.toml", &rule("api"));
    write(folder.path(), ".github/preview-gc/b.toml", &rule("web"));
    let remote = "[core]\n\tbare = false\n[remote \"fork\"]\n\turl = \
                  git@github.com:somebody/shop.git\n[remote \"origin\"]\n\turl = \
                  git@github.com:acme/shop.git\n\tfetch = x\n";
    write(folder.path(), ".git/config", remote);
    folder
}

/// Returns the rule and the question for each name.
fn checked(folder: &Path, change: impl FnOnce(&mut Command)) -> Vec<(String, String)> {
    let mut command = program();
    command.current_dir(folder);
    command.args(["check", "--offline", "--json", "api-7", "web-7"]);
    change(&mut command);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = document["names"].as_array().unwrap().iter();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    names
        .map(|one| (text(one, "rule"), text(one, "asks")))
        .collect()
}

#[test]
fn policies_are_found_in_both_folders_and_the_repository_in_the_remote() {
    let clone = clone();
    let asks = |repository: &str| {
        [
            (
                "api (policies/a.toml:1)".to_owned(),
                format!("pull request {repository}#7"),
            ),
            (
                "web (.github/preview-gc/b.toml:1)".to_owned(),
                format!("pull request {repository}#7"),
            ),
        ]
    };
    assert_eq!(checked(clone.path(), |_| {}), asks("acme/shop"));
    // The environment is stronger.
    let found = checked(clone.path(), |command| {
        command.env("GITHUB_REPOSITORY", "acme/other");
    });
    assert_eq!(found, asks("acme/other"));
    let found = checked(clone.path(), |command| {
        command.args([
            "--policies",
            "policies",
            "--policies",
            ".github/preview-gc/b.toml",
        ]);
    });
    assert_eq!(found, asks("acme/shop"));
    let found = checked(clone.path(), |command| {
        command.args(["--policies", "policies"]);
    });
    assert_eq!(found, asks("acme/shop")[..1]);
}

#[test]
fn a_clone_without_a_remote_names_no_repository() {
    let clone = clone();
    std::fs::remove_dir_all(clone.path().join(".git")).unwrap();
    let mut command = program();
    command
        .current_dir(clone.path())
        .args(["check", "--offline"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("no repository"), "{stderr}");
}
