//! No token in anything that leaves the program, whatever it is asked to do and
//! whatever a provider says back; and no token at a host that it is not for.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::{Server, path};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const TOKENS: [(&str, &str); 4] = [
    ("GITHUB_TOKEN", "ghs_canaryOne1x/y+z"),
    ("CLOUDFLARE_API_TOKEN", "canaryTwo22_Qw-34"),
    ("CLOUDFLARE_DNS_API_TOKEN", "canaryThree333=="),
    ("NEON_API_KEY", "napi_canaryFour44"),
];

/// Long enough that no other text has it by chance, short enough that half a
/// token is found.
const TELLING: usize = 8;

/// How a token may be said back.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    Base64,
    UrlBase64,
    Percent,
    Escaped,
}

impl Form {
    const ALL: [Self; 5] = [
        Self::Plain,
        Self::Base64,
        Self::UrlBase64,
        Self::Percent,
        Self::Escaped,
    ];

    fn of(self, token: &str) -> String {
        match self {
            Self::Plain => token.to_owned(),
            Self::Base64 => STANDARD.encode(format!("x-access-token:{token}")),
            Self::UrlBase64 => URL_SAFE_NO_PAD.encode(format!("Bearer {token}\n")),
            Self::Percent => token.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            Self::Escaped => token.bytes().map(|byte| format!("\\u{byte:04x}")).collect(),
        }
    }

    /// All tokens in this form, first the one that is looked for.
    fn said(self, first: usize) -> String {
        let tokens = TOKENS.iter().cycle().skip(first).take(TOKENS.len());
        tokens.map(|(_, token)| self.of(token) + " ").collect()
    }
}

/// The parts of a text that tell a token: the beginning, the middle or the end
/// of one in any form.
fn telling(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    for (name, token) in TOKENS {
        for form in Form::ALL {
            let said = form.of(token);
            // What stands before the token in base64 is no secret.
            let before = match form {
                Form::Base64 => 20,
                Form::UrlBase64 => 10,
                Form::Plain | Form::Percent | Form::Escaped => 0,
            };
            let own = &said.trim_end_matches('=')[before..];
            let length = TELLING.max(own.len() / 4);
            let middle = (own.len() - length) / 2;
            for start in [0, middle, own.len() - length] {
                let part = &own[start..start + length];
                if text.contains(part) {
                    found.push(format!("{name}: {part}"));
                }
            }
        }
    }
    found
}

/// Whatever is listened for and must not come.
struct Elsewhere {
    address: String,
    visits: Arc<AtomicUsize>,
}

impl Elsewhere {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = visits.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { address, visits }
    }
}

/// Answers that say tokens back, in every place that an answer has.
fn echoes(elsewhere: &str, first: usize) -> Vec<Value> {
    let refusal = |said: &str| {
        json!({
            "success": false, "message": said, "code": said, "result": null, "data": null,
            "errors": [{"code": 1, "message": said, "type": "FORBIDDEN", "path": ["repository", said]}],
        })
    };
    let odd = |said: &str| {
        json!({
            "success": true, "result": said, "result_info": {"cursor": said}, "branches": said,
            "data": {"repository": {"nameWithOwner": said, "page": {"totalCount": said}}},
            "full_name": said, "state": said, "environments": said,
        })
    };
    let listed = |said: &str| {
        json!({
            "success": true, "result": [{"id": 7, "created_on": said}],
            "branches": [{"id": "br-1", "created_at": said, "name": 1}],
            "data": {"repository": {"nameWithOwner": "acme/shop", "page": {"totalCount": 1,
                "pageInfo": {"hasNextPage": false}, "nodes": [{"number": said}]}}},
        })
    };
    let mut all = Vec::new();
    for form in [Form::Plain, Form::Base64, Form::UrlBase64, Form::Percent] {
        let said = form.said(first);
        all.extend([
            json!({"status": 403, "body": refusal(&said)}),
            json!({"status": 200, "body": refusal(&said)}),
            json!({"status": 200, "body": odd(&said)}),
            json!({"status": 200, "body": listed(&said)}),
        ]);
    }
    let plain = Form::Plain.said(first);
    let escaped = refusal("SAID").to_string();
    let escaped = escaped.replace(
        "SAID",
        &format!("{} {}", "x".repeat(150), Form::Escaped.said(first)),
    );
    all.extend([
        json!({"status": 401, "body": escaped}),
        json!({"status": 200, "body": escaped}),
        json!({"status": 404, "body": refusal(&plain)}),
        json!({"status": 409, "body": refusal(&Form::Percent.said(first))}),
        json!({"status": 200, "body": plain}),
        json!({"status": 429, "headers": {"retry-after": "3600", "x-ratelimit-reset": plain}, "body": refusal(&plain)}),
        json!({"status": 500, "headers": {"retry-after": plain, "link": plain, "ratelimit": plain}, "body": plain}),
        json!({"status": 302, "headers": {"location": format!("{elsewhere}/{plain}")}, "body": refusal(&plain)}),
    ]);
    all
}

/// A run of a verb, with what it needs.
struct Stage {
    server: Server,
    folder: tempfile::TempDir,
    policy: std::path::PathBuf,
}

const MORE_RULES: &str = r#"
[[rule]]
id = "branches"
kind = "neon_branch"
name = "preview/pr-{pr}"
dead-when = "closed"
[[rule]]
id = "records"
kind = "dns_record"
name = "shop-pr-{pr}.acme.example"
dead-when = "closed"
[[rule]]
id = "namespaces"
kind = "kv_namespace"
name = "shop-pr-{pr}-kv"
dead-when = "closed"
backup = true
"#;

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let case = std::fs::read(path("cases/whole-environment.json")).unwrap();
        let mut world: Value = serde_json::from_slice(&case).unwrap();
        let resources = world["resources"].as_array_mut().unwrap();
        let at = "2026-03-10T00:00:00Z";
        resources.extend([
            json!({"kind": "neon_branch", "name": "preview/pr-7", "created_at": at, "attributes": {"parent": "main"}}),
            json!({"kind": "dns_record", "name": "shop-pr-7.acme.example", "created_at": at, "updated_at": at,
                "attributes": {"type": "CNAME", "content": "x.example", "zone": "acme.example"}}),
            json!({"kind": "kv_namespace", "name": "shop-pr-7-kv"}),
        ]);
        let file = folder.path().join("world.json");
        std::fs::write(&file, world.to_string()).unwrap();
        let policy = folder.path().join("policy.toml");
        let rules = std::fs::read_to_string(path("cases/whole-environment.toml")).unwrap();
        std::fs::write(&policy, rules + MORE_RULES).unwrap();
        std::fs::create_dir(folder.path().join("left")).unwrap();
        let server = Server::start(&["--world", &file.display().to_string()]);
        Self {
            server,
            folder,
            policy,
        }
    }

    /// What a run leaves is left here.
    fn left(&self) -> std::path::PathBuf {
        self.folder.path().join("left")
    }

    fn program(&self, verb: &[&str], deadline: &str) -> Command {
        let left = self.left();
        let mut command = self.server.program();
        command
            .envs(TOKENS)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", left.join("summary.md"))
            .env("GITHUB_OUTPUT", left.join("output"))
            .args(verb)
            .args(["-vvv", "--deadline", deadline, "--policies"])
            .arg(&self.policy)
            .arg("--metrics")
            .arg(left.join("metrics.json"))
            .arg("--journal")
            .arg(left.join("journal"));
        if verb[0] == "audit" {
            command.arg("--out").arg(left.join("plan.json"));
        }
        command
    }

    /// Runs a verb against a fault, and returns the outputs that contain a token and whether a
    /// request met the fault.
    fn leaks(&self, verb: &[&str], fault: &Value, deadline: &str) -> (Vec<String>, bool) {
        self.server.plant(&json!([fault]));
        let output = self.program(verb, deadline).output().unwrap();
        assert!(
            output.status.code().is_some_and(|code| code != 101),
            "it panicked"
        );
        let mut found = telling(&output.stdout);
        found.extend(telling(&output.stderr));
        visit(&self.left(), &mut |text| found.extend(telling(text)));
        let met = self.server.take_faults() != [0];
        let issues = self
            .server
            .request("GET", "github/repos/acme/shop/issues?state=all", "");
        found.extend(telling(issues.as_bytes()));
        (found, met)
    }
}

fn visit(folder: &Path, see: &mut impl FnMut(&[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, see);
        } else {
            see(&std::fs::read(&path).unwrap());
        }
    }
}

/// What a verb asks, by method and path.
fn requests(verb: &str) -> Vec<(&'static str, &'static str)> {
    match verb {
        "audit" => vec![
            ("GET", "/workers/scripts$"),
            ("GET", "/workers/workers$"),
            ("GET", "/settings$"),
            ("GET", "/workers/domains$"),
            ("GET", "/queues$"),
            ("GET", "/r2/buckets$"),
            ("GET", "/pages/projects"),
            ("GET", "/previews"),
            ("GET", "/zones"),
            ("GET", "/branches"),
            ("POST", "/graphql$"),
            ("GET", "/environments$|/issues$"),
        ],
        "sweep" => vec![
            ("DELETE", "/workers/scripts/"),
            ("DELETE", "/workers/domains/"),
            ("DELETE", "/consumers/"),
            ("DELETE", "/d1/database/"),
            ("DELETE", "/deployments/"),
            ("DELETE", "/branches/"),
            ("DELETE", "/environments/"),
            ("DELETE", "/dns_records/"),
            ("GET", "/keys"),
            ("GET", "/workers/scripts$"),
            ("POST", "/graphql$"),
        ],
        "report" => vec![
            ("POST", "/labels$"),
            ("POST", "/issues$"),
            ("GET", "/issues$"),
        ],
        "restore" => vec![
            ("POST", "/dns_records$"),
            ("POST", "/namespaces$"),
            ("POST", "/recover$"),
        ],
        // One fault hits whatever it asks first of each.
        "check" => vec![
            ("GET", "/client/v4"),
            ("GET", "/api/v2"),
            ("GET", "/github"),
        ],
        _ => vec![
            ("GET", "/client/v4"),
            ("GET", "/api/v2"),
            ("POST", "/github"),
        ],
    }
}

/// The run that `restore` is about.
fn sweep_once(stage: &Stage) -> String {
    let output = stage.program(&["sweep", "--yes"], "20m").output().unwrap();
    let records = std::fs::read_dir(stage.left().join("journal")).unwrap();
    let name = records
        .last()
        .unwrap_or_else(|| panic!("{output:?}"))
        .unwrap()
        .file_name();
    let name = name.into_string().unwrap();
    name.strip_suffix(".journal.jsonl").unwrap().to_owned()
}

#[test]
fn no_token_is_in_anything_that_a_run_leaves() {
    let elsewhere = Elsewhere::listen();
    let mut cells = Vec::new();
    for verb in ["audit", "explain", "check", "report", "sweep", "restore"] {
        for (index, (method, on)) in requests(verb).into_iter().enumerate() {
            let echoes = echoes(&elsewhere.address, index % TOKENS.len());
            // Not all to each: together the requests of a verb meet them all.
            for echo in echoes.into_iter().skip(index % 4).step_by(4) {
                let on = json!({"method": method, "path": on});
                cells.push((verb, json!({"on": on, "times": null, "fault": echo})));
            }
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut readers: BTreeMap<&str, Stage> = BTreeMap::new();
                loop {
                    let Some((verb, fault)) = cells.get(next.fetch_add(1, Ordering::Relaxed))
                    else {
                        return;
                    };
                    let arguments: &[&str] = match *verb {
                        "audit" => &["audit", "--format", "json"],
                        "explain" => &["explain", "shop-pr-7"],
                        "check" => &["check", "shop-pr-7"],
                        "report" => &["report"],
                        "sweep" => &["sweep", "--yes", "--report"],
                        _ => &["restore"],
                    };
                    let mut fresh;
                    let mut stage = if matches!(*verb, "audit" | "explain" | "check") {
                        readers.entry(verb).or_insert_with(Stage::new)
                    } else {
                        fresh = Stage::new();
                        &fresh
                    };
                    let run = |stage: &Stage, deadline: &str| {
                        if *verb == "restore" {
                            let run = sweep_once(stage);
                            stage.leaks(&["restore", &run], fault, deadline)
                        } else {
                            stage.leaks(arguments, fault, deadline)
                        }
                    };
                    let (mut leaks, mut met) = run(stage, "2s");
                    // A busy machine may need longer before it comes to that request.
                    if !met {
                        fresh = Stage::new();
                        stage = &fresh;
                        let (more, again) = run(stage, "30s");
                        leaks.extend(more);
                        met = again;
                    }
                    if !met {
                        leaks.push("no request met the fault".to_owned());
                    }
                    if !leaks.is_empty() {
                        found
                            .lock()
                            .unwrap()
                            .push(format!("{verb} {fault}: {leaks:?}"));
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(
        found.is_empty(),
        "{} of {}:\n{}",
        found.len(),
        cells.len(),
        found.join("\n")
    );
    assert_eq!(
        elsewhere.visits.load(Ordering::SeqCst),
        0,
        "a redirect was followed"
    );
}

/// A provider that writes down what it is sent, and knows nothing.
fn provider() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let written = heads.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            written
                .lock()
                .unwrap()
                .push(String::from_utf8(head).unwrap());
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
            );
        }
    });
    (address, heads)
}

#[test]
fn every_token_is_sent_to_its_own_provider_only() {
    let (cloudflare, neon, github) = (provider(), provider(), provider());
    let stage = Stage::new();
    let account = "a".repeat(32);
    for verb in ["audit", "check"] {
        stage
            .program(&[verb], "20m")
            .env("CLOUDFLARE_ACCOUNT_ID", &account)
            .env(
                "CLOUDFLARE_API_BASE_URL",
                format!("{}/client/v4", cloudflare.0),
            )
            .env("NEON_API_HOST", format!("{}/api/v2", neon.0))
            .env("GITHUB_API_URL", &github.0)
            .env("GITHUB_GRAPHQL_URL", format!("{}/graphql", github.0))
            .output()
            .unwrap();
    }
    let of = |name: &str| {
        TOKENS
            .iter()
            .find(|(variable, _)| *variable == name)
            .unwrap()
            .1
    };
    for (heads, tokens) in [
        (&github.1, vec![of("GITHUB_TOKEN")]),
        (&neon.1, vec![of("NEON_API_KEY")]),
        (
            &cloudflare.1,
            vec![of("CLOUDFLARE_API_TOKEN"), of("CLOUDFLARE_DNS_API_TOKEN")],
        ),
    ] {
        let heads = heads.lock().unwrap();
        assert!(!heads.is_empty(), "{tokens:?} were not used");
        for head in heads.iter() {
            let records = head.contains("/dns_records");
            let own = tokens.get(usize::from(records)).unwrap();
            let without = head.replacen(&format!("Bearer {own}"), "", 1);
            assert_ne!(*head, without, "{head} has not {own}");
            assert_eq!(telling(without.as_bytes()), Vec::<String>::new(), "{head}");
        }
    }
}
