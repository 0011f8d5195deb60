//! How people hear of what needs attention: a comment on the tracking issue, and a
//! webhook.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::Server;

const T0: &str = "2026-03-10T00:00:00Z";

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
}

impl Stage {
    /// A world with these Workers of closed pull requests.
    fn new(workers: &[&str]) -> Self {
        let pulls: Vec<_> = (1..=4)
            .map(|number| {
                json!({"number": number, "state": "closed", "head_ref": "b",
                "head_repo": "acme/shop", "created_at": "2026-03-01T00:00:00Z", "updated_at": T0,
                "closed_at": T0})
            })
            .collect();
        let workers: Vec<_> = workers
            .iter()
            .map(|name| {
                json!({"kind": "worker", "name": name, "created_at": T0,
                "updated_at": T0, "attributes": {"bindings": []}})
            })
            .collect();
        let world = json!({"repository": "acme/shop", "now": "2026-05-01T00:00:00Z",
            "git_branches": ["main"], "pull_requests": pulls, "resources": workers});
        let policy = "repository = \"acme/shop\"\n[[rule]]\nid = \"workers\"\nkind = \"worker\"\n\
            name = \"app-pr-{pr}\"\ndead-when = \"closed\"\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.json");
        std::fs::write(&file, world.to_string()).unwrap();
        std::fs::write(folder.path().join("p.toml"), policy).unwrap();
        let server = Server::start(&["--world", &file.display().to_string(), "--quota", "off"]);
        Self { folder, server }
    }

    /// Lets the provider refuse to delete Workers whose names begin so.
    fn refuse(&self, name: &str) {
        let fault = json!([{"on": {"method": "DELETE", "path": format!("scripts/{name}")},
            "fault": {"status": 403}}]);
        self.server.take_faults();
        self.server.plant(&fault);
    }

    fn sweep(&self, webhook: &str, more: &[&str]) -> Output {
        let mut command = self.server.program();
        command
            .args(["sweep", "--yes", "--report", "-q", "--policies"])
            .arg(self.folder.path().join("p.toml"))
            .arg("--journal")
            .arg(self.folder.path())
            .args(more)
            .env("PREVIEW_GC_NOTIFY_URL", webhook)
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_RUN_ID", "42");
        command.output().unwrap()
    }

    fn comments(&self) -> Vec<String> {
        let get = |path: &str| -> Vec<Value> {
            let path = format!("github/repos/acme/shop/{path}");
            serde_json::from_str(&self.server.request("GET", &path, "")).unwrap()
        };
        let issue = get("issues?state=all")
            .into_iter()
            .find(|issue| issue.get("pull_request").is_none())
            .unwrap();
        let comments = get(&format!("issues/{}/comments", issue["number"]));
        let text = |comment: &Value| comment["body"].as_str().unwrap().to_owned();
        comments.iter().map(text).collect()
    }
}

/// A webhook that answers every request with this status.
fn webhook(status: &'static str) -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let count = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                if let Some(Ok(body)) = body.map(|body| serde_json::from_str(&body)) {
                    break body;
                }
                assert!(count > 0, "{text}");
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            if sender.send(body).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/services/secret-hook"), receiver)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn only_new_failures_are_notified() {
    let stage = Stage::new(&["app-pr-1", "app-pr-2"]);
    let (address, told) = webhook("200 OK");
    stage.refuse("app-pr-1");
    // The first run creates the issue, of which GitHub notifies people.
    let output = stage.sweep(&address, &[]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    let text = told.try_recv().unwrap()["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains("worker app-pr-1 cannot be deleted"), "{text}");
    assert!(
        text.contains("<https://github.com/acme/shop/actions/runs/42|run>"),
        "{text}"
    );
    assert_eq!(stage.comments(), [""; 0]);
    // The same failure again is nothing new.
    let output = stage.sweep(&address, &[]);
    assert_eq!(output.status.code(), Some(5));
    assert!(told.try_recv().is_err());
    assert_eq!(stage.comments(), [""; 0]);
    // Another one is.
    let again = json!({"kind": "worker", "name": "app-pr-3", "created_at": T0, "updated_at": T0,
        "attributes": {"bindings": []}});
    stage
        .server
        .control("POST", "resources", &again.to_string());
    stage.refuse("app-pr-");
    let output = stage.sweep(&address, &[]);
    assert_eq!(output.status.code(), Some(5));
    let text = told.try_recv().unwrap()["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.contains("app-pr-3") && !text.contains("app-pr-1"),
        "{text}"
    );
    let comments = stage.comments();
    assert_eq!(comments.len(), 1);
    assert!(comments[0].contains("app-pr-3") && !comments[0].contains("app-pr-1"));
    assert!(!said(&output).contains("secret-hook"));
}

#[test]
fn a_brake_is_notified_each_time_it_stops_a_sweep() {
    let stage = Stage::new(&["app-pr-1", "app-pr-2"]);
    let (address, told) = webhook("204 No Content");
    for comments in 0..2 {
        let output = stage.sweep(&address, &["--brake-count", "1"]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        let text = told.try_recv().unwrap();
        assert!(
            text["text"]
                .as_str()
                .unwrap()
                .contains("a brake stopped the sweep on worker")
        );
        assert_eq!(stage.comments().len(), comments);
    }
}

#[test]
fn a_webhook_that_fails_does_not_fail_the_run_and_is_not_named() {
    let stage = Stage::new(&["app-pr-1"]);
    let (address, told) = webhook("500 Internal Server Error");
    let output = stage.sweep(&address, &["--brake-count", "0"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        said(&output).contains("could not notify the webhook"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("500") && !said(&output).contains("secret-hook"));
    drop(told);
    // Nobody listens there.
    let output = stage.sweep("http://127.0.0.1:1/secret-hook", &["--brake-count", "0"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        said(&output).contains("could not notify the webhook"),
        "{}",
        said(&output)
    );
    assert!(!said(&output).contains("secret-hook"), "{}", said(&output));
    // A clean run tells nobody.
    let (address, told) = webhook("200 OK");
    let output = stage.sweep(&address, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(told.try_recv().is_err());
}

#[test]
fn an_address_that_cannot_be_a_webhook_is_refused_before_anything() {
    let stage = Stage::new(&["app-pr-1"]);
    for address in [
        "secret-hook",
        "http://example.com/secret-hook",
        "ftp://secret-hook/",
    ] {
        let output = stage.sweep(address, &[]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(!said(&output).contains("secret-hook"), "{}", said(&output));
    }
    let requests = stage.server.control("GET", "requests", "");
    assert_eq!(requests, json!([]));
}
