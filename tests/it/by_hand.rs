//! The commands by hand: a person pastes those of the tracking issue into a shell,
//! from the top to the bottom, with the variables of the run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::support::{Server, path, program};

/// What `npx neon branches delete` does, with the options that it takes.
const NEON: &str = r#"#!/bin/sh
case "$1 $2 $3" in "neon branches delete") ;; *) echo "unknown: $*" >&2; exit 64 ;; esac
branch=$4
shift 4
host=https://console.neon.tech/api/v2
while [ $# -gt 0 ]; do
  case "$1" in
    --project-id) project=$2 ;;
    --api-host) host=$2 ;;
    *) echo "unknown: $1" >&2; exit 64 ;;
  esac
  shift 2
done
exec curl -X DELETE --fail-with-body -sS -H "Authorization: Bearer $NEON_API_KEY" \
  "$host/projects/$project/branches/$branch"
"#;

struct Shell {
    folder: tempfile::TempDir,
    server: Server,
    policies: std::path::PathBuf,
}

impl Shell {
    fn new(arguments: &[&str], policies: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let npx = folder.path().join("npx");
        fs::write(&npx, NEON).unwrap();
        fs::set_permissions(&npx, fs::Permissions::from_mode(0o755)).unwrap();
        let arguments = [arguments, &["--quota", "off"]].concat();
        Self {
            folder,
            server: Server::start(&arguments),
            policies: policies.to_owned(),
        }
    }

    fn program(&self, arguments: &[&str]) -> Output {
        let mut command = self.server.program();
        command
            .args(arguments)
            .arg("--policies")
            .arg(&self.policies);
        command.output().unwrap()
    }

    /// Returns the commands of the tracking issue from the top to the bottom.
    fn commands(&self) -> Vec<String> {
        let written = self.program(&["report", "-q"]);
        assert_eq!(written.status.code(), Some(0), "{written:?}");
        let issues = self
            .server
            .request("GET", "github/repos/acme/shop/issues?state=all", "");
        let mut issues: Vec<Value> = serde_json::from_str(&issues).unwrap();
        issues.retain(|issue| issue.get("pull_request").is_none());
        let body = issues[0]["body"].as_str().unwrap();
        let blocks = body.split("```sh\n").skip(1);
        let blocks = blocks.map(|block| block.split("\n  ```").next().unwrap());
        blocks.map(|block| block.trim().to_owned()).collect()
    }

    fn paste(&self, command: &str) -> Output {
        let path = format!("{}:{}", self.folder.path().display(), env!("PATH"));
        Command::new("bash")
            .args(["-c", command])
            .env_clear()
            .env("PATH", path)
            .envs(self.server.environment.iter().cloned())
            .output()
            .unwrap()
    }

    fn garbage(&self) -> Vec<String> {
        let output = self.program(&["audit", "-q", "--format", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["complete"], true, "{report}");
        let resources = report["resources"].as_array().unwrap();
        let garbage = resources.iter().filter(|one| one["verdict"] == "garbage");
        garbage
            .map(|one| format!("{} {}", one["kind"], one["name"]))
            .collect()
    }
}

/// Pastes all commands of the issue; returns how many there were. Those of `full`,
/// buckets with objects, are refused.
fn everything_goes(arguments: &[&str], policies: &Path, full: &[&str]) -> usize {
    let shell = Shell::new(arguments, policies);
    let commands = shell.commands();
    let garbage = shell.garbage();
    assert_eq!(commands.len(), garbage.len(), "{commands:#?} {garbage:#?}");
    for command in &commands {
        let output = shell.paste(command);
        let refused = full.iter().any(|name| command.ends_with(name));
        assert_eq!(output.status.success(), !refused, "{command}: {output:?}");
    }
    let left: Vec<_> = full
        .iter()
        .map(|name| format!("\"r2\" \"{name}\""))
        .collect();
    assert_eq!(shell.garbage(), left, "after {commands:#?}");
    commands.len()
}

#[test]
fn the_commands_of_the_issue_delete_everything_when_they_are_pasted() {
    let demo = path("../policies/demo.toml");
    let commands = everything_goes(&[], &demo, &[]);
    assert!(commands > 10, "{commands}");
    // With every kind.
    let world = path("cases/whole-environment.json");
    let world = world.display().to_string();
    let policies = path("cases/whole-environment.toml");
    let full = ["shop-pr-7-full"];
    let commands = everything_goes(&["--world", &world], &policies, &full);
    assert!(commands > 10, "{commands}");
}

/// The run asked another host than the provider's own, such as FedRAMP's.
#[test]
fn commands_name_the_host_and_the_token_of_the_run() {
    let demo = path("../policies/demo.toml");
    let shell = Shell::new(&[], &demo);
    let commands = shell.commands();
    assert!(commands.len() > 10);
    for command in &commands {
        assert!(command.contains("http://127.0.0.1:"), "{command}");
    }
    let of = |what: &str| commands.iter().find(|one| one.contains(what)).unwrap();
    assert!(of("npx neon").contains(" --api-host http://127.0.0.1:"));
    let explained = shell.program(&["explain", "api-preview-97", "-q"]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    let line = explained.lines().find(|line| line.starts_with("by hand"));
    let line = line.unwrap_or_else(|| panic!("{explained}"));
    assert_eq!(
        line.trim_start_matches("by hand").trim(),
        of("/scripts/api-preview-97")
    );
}

#[test]
fn commands_of_a_resource_that_stays_are_not_shown() {
    let output = program()
        .args(["explain", "api-preview-108-cache", "-q", "--sandbox"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("verdict"), "{text}");
    assert!(!text.contains("by hand"), "{text}");
}
