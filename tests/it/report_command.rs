//! `preview-gc report` against the stand-in over HTTP: one living issue.

mod authors;
mod boxes;
mod edits;
mod outputs;
mod runs;
mod text;

use std::process::Output;

use serde_json::{Value, json};

use crate::support::Server;

const T0: &str = "2026-04-01T00:00:00Z";
const POLICY: &str = r#"
[[rule]]
id = "workers"
kind = "worker"
name = "app-pr-{pr}"
dead-when = "closed"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "app-pr-{pr}-{any}"
dead-when = "closed"
"#;

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
}

impl Stage {
    fn new(resources: &[Value]) -> Self {
        Self::with_pull_requests(4, resources)
    }

    fn with_pull_requests(count: u32, resources: &[Value]) -> Self {
        let pulls: Vec<_> = (1..=count)
            .map(|number| json!({"number": number, "state": "closed", "head_ref": "b", "head_repo": "acme/shop",
                "created_at": "2026-03-01T00:00:00Z", "updated_at": T0, "closed_at": T0}))
            .collect();
        let world = json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z", "git_branches": ["main"],
            "pull_requests": pulls, "resources": resources});
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.json");
        std::fs::write(&file, world.to_string()).unwrap();
        std::fs::write(folder.path().join("p.toml"), POLICY).unwrap();
        let server = Server::start(&["--world", &file.display().to_string(), "--quota", "off"]);
        Self { folder, server }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.server.program();
        command.args(arguments).arg("-q");
        command
            .arg("--policies")
            .arg(self.folder.path().join("p.toml"));
        command.arg("--journal").arg(self.folder.path());
        command
            .env("GITHUB_STEP_SUMMARY", self.folder.path().join("summary.md"))
            .env("GITHUB_OUTPUT", self.folder.path().join("output.txt"))
            .env("GITHUB_ACTIONS", "true");
        command.output().unwrap()
    }

    fn report(&self) -> String {
        let output = self.run(&["report"]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn issues(&self) -> Vec<Value> {
        let text = self
            .server
            .request("GET", "github/repos/acme/shop/issues?state=all", "");
        let mut issues: Vec<Value> = serde_json::from_str(&text).unwrap();
        // Pull requests are issues as well.
        issues.retain(|issue| issue.get("pull_request").is_none());
        issues
    }

    fn body(&self) -> String {
        self.issues()[0]["body"].as_str().unwrap().to_owned()
    }

    /// Checks or clears a box as a person does, by writing the whole text again.
    fn set_box(&self, what: &str, name: &str, checked: bool) {
        let body = self.body();
        let at = body
            .find(name)
            .unwrap_or_else(|| panic!("{name} in {body}"));
        // One that is kept has its box before its name.
        let begin = body[..at].rfind('\n').unwrap() + 1;
        let line = begin + body[begin..].find(&format!("] {what}")).unwrap() - 1;
        let mut text = body.clone();
        text.replace_range(line..=line, if checked { "x" } else { " " });
        self.save(&text);
    }

    /// Saves a text of the issue as a person does.
    fn save(&self, text: &str) {
        let number = self.issues()[0]["number"].as_u64().unwrap();
        let change = json!({"body": text}).to_string();
        let path = format!("github/repos/acme/shop/issues/{number}");
        self.server.request("PATCH", &path, &change);
    }

    fn has(&self, name: &str) -> bool {
        let state = self.server.control("GET", "state", "");
        let resources = state["resources"].as_array().unwrap();
        resources.iter().any(|one| one["name"] == name)
    }
}

/// A text with the box of a resource checked.
fn checked(text: &str, what: &str, name: &str) -> String {
    let at = text
        .find(name)
        .unwrap_or_else(|| panic!("{name} in {text}"));
    let at = at + text[at..].find(&format!("[ ] {what}")).unwrap();
    format!("{}[x]{}", &text[..at], &text[at + 3..])
}

fn worker(name: &str) -> Value {
    json!({"kind": "worker", "name": name, "created_at": T0, "updated_at": T0, "attributes": {"bindings": []}})
}

fn namespace(name: &str) -> Value {
    json!({"kind": "kv_namespace", "name": name})
}
