//! What several tests need: the program as its user runs it, and the stand-in
//! as a child process.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses a part of it, and a test that fails should say where"
)]

pub mod mutation;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

/// The program with an environment that has nothing of the machine's.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_preview-gc"));
    command.env_clear().current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// Audits a world by a policy: the report, and the exit code.
pub fn audit(world: &Value, policy: &str, arguments: &[&str]) -> (Value, i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("policy.toml");
    std::fs::write(&rules, policy).expect("a policy");
    audit_by(&rules, world, arguments)
}

/// The same by the policies that are there.
pub fn audit_by(policies: &Path, world: &Value, arguments: &[&str]) -> (Value, i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("world.json");
    std::fs::write(&file, world.to_string()).expect("a world");
    let output = program()
        .args(["audit", "-q", "--format", "json", "--policies"])
        .arg(policies)
        .arg(format!("--sandbox={}", file.display()))
        .args(arguments)
        .output();
    report(&output.expect("the program starts"))
}

/// A file of the tests.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// The worlds of `tests/cases`, each with its policy beside it.
pub fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path("cases")).expect("tests/cases can be read");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("tests/cases can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    cases.sort();
    for case in &cases {
        let policy = case.with_extension("toml");
        assert!(policy.exists(), "{} is not there", policy.display());
    }
    assert!(cases.len() > 50, "only {} cases were found", cases.len());
    cases
}

/// Runs a check for every item, several at a time; a check that panics fails
/// the test.
pub fn in_parallel<T: Sync>(items: &[T], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(item);
                }
            });
        }
    });
}

/// The stand-in as a child process.
pub struct Server {
    child: Child,
    pub environment: Vec<(String, String)>,
}

impl Server {
    /// Starts `preview-gc sandbox` and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = program()
            .arg("sandbox")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut environment = Vec::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("stdout is text");
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .strip_prefix("export ")
                .and_then(|line| line.split_once('='))
                .expect("only exports are printed");
            environment.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        }
        Self { child, environment }
    }

    /// The program, pointed at this stand-in.
    pub fn program(&self) -> Command {
        let mut command = program();
        command.envs(self.environment.iter().cloned());
        command
    }

    fn address(&self) -> String {
        let (_, base) = self
            .environment
            .iter()
            .find(|(name, _)| name == "NEON_API_HOST")
            .expect("the stand-in names its address");
        let rest = base.strip_prefix("http://").expect("plain HTTP");
        rest.split('/').next().unwrap_or_default().to_owned()
    }

    /// Replaces the faults of the stand-in. Each fault has to hit a request
    /// before it is replaced again or the stand-in stops: a fault that no
    /// request met proves nothing.
    pub fn plant(&self, faults: &Value) {
        self.assert_every_fault_hit();
        self.control("POST", "faults", &faults.to_string());
    }

    /// Removes all faults and returns how many requests each of them hit.
    pub fn take_faults(&self) -> Vec<u64> {
        let faults = self.control("GET", "faults", "");
        self.control("POST", "faults", "[]");
        let hits = faults.as_array().expect("a list of faults").iter();
        hits.map(|fault| fault["hits"].as_u64().expect("a number of hits"))
            .collect()
    }

    /// Waits until some request has met a fault.
    pub fn wait_for_a_fault(&self) {
        loop {
            let faults = self.control("GET", "faults", "");
            let mut faults = faults.as_array().expect("a list of faults").iter();
            if faults.any(|fault| fault["hits"] != 0) {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Runs something, holds the first request of each of these forms in turn, and
    /// does what belongs to it before that request takes effect.
    pub fn meanwhile<T: Send>(
        &self,
        run: impl FnOnce() -> T + Send,
        changes: &[(Value, &dyn Fn())],
    ) -> T {
        let hold = |on: &Value| json!([{"on": on, "times": 1, "fault": "hold"}]);
        self.plant(&hold(&changes[0].0));
        std::thread::scope(|scope| {
            let running = scope.spawn(run);
            for (at, (on, change)) in changes.iter().enumerate() {
                while self.control("GET", "faults", "")[0]["hits"] == 0 {
                    assert!(!running.is_finished(), "there was no request of {on}");
                    std::thread::yield_now();
                }
                change();
                match changes.get(at + 1) {
                    Some((next, _)) => self.plant(&hold(next)),
                    None => drop(self.take_faults()),
                }
            }
            running.join().unwrap()
        })
    }

    fn assert_every_fault_hit(&self) {
        let faults = self.control("GET", "faults", "");
        for fault in faults.as_array().expect("a list of faults") {
            assert_ne!(fault["hits"], 0, "no request met this fault: {fault}");
        }
    }

    /// Asks the control endpoint of the stand-in.
    pub fn control(&self, method: &str, path: &str, body: &str) -> Value {
        let answer = self.request(method, &format!("_sandbox/{path}"), body);
        serde_json::from_str(&answer).expect("the control endpoint answers JSON")
    }

    /// Sends a request as somebody else would, and gives the body.
    pub fn request(&self, method: &str, path: &str, body: &str) -> String {
        let address = self.address();
        let mut stream = TcpStream::connect(&address).expect("the stand-in listens");
        write!(
            stream,
            "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer \
             other\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the stand-in takes the request");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the stand-in answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        body.to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The child stops also when the check of the faults panics.
        let checked = (!std::thread::panicking())
            .then(|| catch_unwind(AssertUnwindSafe(|| self.assert_every_fault_hit())));
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(Err(panic)) = checked {
            resume_unwind(panic);
        }
    }
}

/// The JSON report of a run, and its exit code.
pub fn report(output: &Output) -> (Value, i32) {
    let code = output.status.code().expect("it was not killed");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "no JSON ({error}): {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (report, code)
}
