//! The fault matrix: whatever a provider answers to any request of a sweep,
//! nothing live is deleted, nothing is green that did not happen, and what comes
//! of it stands in a table. Each run walks a part of the matrix that meets every
//! fault and every request; `PREVIEW_GC_FAULTS=all` walks the whole.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Server, path};
use preview_gc::kind::PageOf;
use preview_gc::model::{Place, PlaceSort};
use preview_gc::providers;
use serde_json::{Value, json};

/// The requests that a sweep sends, by method and path.
const REQUESTS: [(&str, &str); 32] = [
    ("GET", "/workers/scripts$"),
    ("GET", "/workers/workers$"),
    ("GET", "/settings$"),
    ("GET", "/workers/domains$"),
    ("GET", "/workers/routes$"),
    ("GET", "/queues$"),
    ("GET", "/d1/database$"),
    ("GET", "/r2/buckets$"),
    ("GET", "/hyperdrive/configs$"),
    ("GET", "/workflows$"),
    ("GET", "/vectorize/v2/indexes$"),
    ("GET", "/pages/projects"),
    ("GET", "/previews"),
    ("GET", "/environments$"),
    ("POST", "/graphql$"),
    ("GET", "/issues$"),
    ("DELETE", "/workers/scripts/"),
    ("DELETE", "/workers/domains/"),
    ("DELETE", "/consumers/"),
    ("DELETE", "/d1/database/"),
    ("DELETE", "/workflows/"),
    ("DELETE", "/deployments/"),
    ("DELETE", "/previews/"),
    ("DELETE", "/environments/"),
    ("GET", "/access/apps$"),
    ("GET", "/dns_records$"),
    ("DELETE", "/access/apps/"),
    ("GET", "/cfd_tunnel$"),
    ("DELETE", "/cfd_tunnel/"),
    ("GET", "/containers/applications$"),
    ("GET", "/durable_objects/namespaces$"),
    ("DELETE", "/containers/applications/"),
];

/// The listings and questions without which nothing can be said of what the
/// world has: the others may fail and leave their kind alone.
const NEEDED: [&str; 16] = [
    "/workers/scripts$",
    "/workers/workers$",
    "/settings$",
    "/queues$",
    "/d1/database$",
    "/r2/buckets$",
    "/hyperdrive/configs$",
    "/access/apps$",
    "/cfd_tunnel$",
    "/workflows$",
    "/containers/applications$",
    "/durable_objects/namespaces$",
    "/vectorize/v2/indexes$",
    "/environments$",
    "/graphql$",
    "/issues$",
];

/// Whose step a deletion is.
const DELETIONS: [(&str, &str); 9] = [
    ("/workers/scripts/", "worker"),
    ("/workers/domains/", "worker_domain"),
    ("/d1/database/", "d1"),
    ("/access/apps/", "access_application"),
    ("/cfd_tunnel/", "tunnel"),
    ("/workflows/", "workflow"),
    ("/containers/applications/", "container_application"),
    ("/previews/", "worker_preview"),
    ("/environments/", "github_environment"),
];

/// What must come of a fault in something that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// It is got over: everything ends as without it.
    Same,
    /// The evidence is incomplete, and said to be.
    Gap,
    /// One of the two: not every request notices.
    Either,
}

/// How often a fault comes, and how long the run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    Once,
    Always,
    /// Always, and the run ends before that does.
    UntilTheDeadline,
}

/// A fault, what must come of it where it hits a reading, and the outcomes of
/// a step whose deletion it hits.
type Row = (Value, Comes, Read, &'static [&'static str]);

fn table() -> Vec<Row> {
    use Comes::{Always, Once, UntilTheDeadline};
    use Read::{Either, Gap, Same};
    let status = |status: u16| json!({"status": status});
    let soon = || json!({"status": 429, "headers": {"retry-after": "1"}});
    let mut rows: Vec<Row> = vec![
        (status(404), Once, Either, &["deleted"]),
        (status(404), Always, Either, &["failed_for_now"]),
        (status(409), Always, Gap, &["failed_for_now"]),
        (status(423), Once, Gap, &["deleted"]),
        (status(423), Always, Gap, &["failed_for_now"]),
        // Without a time to wait it is the quota's whole window.
        (
            status(429),
            UntilTheDeadline,
            Gap,
            &["in_doubt", "failed_for_now"],
        ),
        (soon(), Once, Same, &["deleted"]),
        (
            soon(),
            UntilTheDeadline,
            Gap,
            &["in_doubt", "failed_for_now"],
        ),
        (json!("reset"), Once, Same, &["deleted"]),
        (json!("reset"), Always, Gap, &["failed_for_now"]),
        (json!("reset_after"), Once, Same, &["deleted"]),
        (
            json!("reset_after"),
            Always,
            Gap,
            &["deleted", "failed_for_now"],
        ),
        (json!("truncate"), Once, Same, &["deleted"]),
        (
            json!("truncate"),
            Always,
            Gap,
            &["deleted", "failed_for_now"],
        ),
        (json!("empty_page"), Once, Either, &["deleted"]),
        (json!("empty_page"), Always, Either, &["deleted"]),
        (json!("repeat_page"), Always, Same, &["deleted"]),
        (json!("wrong_total"), Once, Same, &["deleted"]),
        (json!("wrong_total"), Always, Either, &["deleted"]),
        (json!("items_twice"), Always, Same, &["deleted"]),
        (json!("unknown_field"), Always, Same, &["deleted"]),
        (json!("missing_field"), Always, Either, &["deleted"]),
        (json!("null_field"), Always, Either, &["deleted"]),
        (
            json!({"delay_ms": 60_000}),
            UntilTheDeadline,
            Gap,
            // It was sent, and nobody answered.
            &["in_doubt"],
        ),
        (
            json!({"drip_ms": 1_000}),
            UntilTheDeadline,
            Either,
            // A long answer is not whole before the deadline.
            &["deleted", "deferred", "in_doubt"],
        ),
        (
            json!({"padding_mb": 200}),
            Always,
            Gap,
            &["deleted", "deferred", "failed_for_now"],
        ),
        (
            json!({"status": 302, "headers": {"location": "http://127.0.0.2:1/elsewhere"}}),
            Always,
            Gap,
            &["failed_for_good"],
        ),
    ];
    for refused in [401, 403, 422] {
        rows.push((status(refused), Once, Gap, &["failed_for_good"]));
        rows.push((status(refused), Always, Gap, &["failed_for_good"]));
    }
    for broken in [500, 502, 503, 504] {
        rows.push((status(broken), Once, Same, &["deleted"]));
        rows.push((status(broken), Always, Gap, &["failed_for_now"]));
    }
    // A 200 that says nothing proves nothing.
    for body in [
        json!("<html>sign in</html>"),
        json!(""),
        json!({}),
        json!(null),
        json!({"success": false, "errors": [{"code": 10000, "message": "no"}], "result": null}),
        json!({"data": null, "errors": [{"type": "FORBIDDEN", "message": "no"}]}),
    ] {
        let fault = json!({"status": 200, "body": body});
        rows.push((fault.clone(), Once, Either, &["in_doubt", "failed_for_now"]));
        rows.push((fault, Always, Gap, &["in_doubt", "failed_for_now"]));
    }
    rows
}

fn key(one: &Value) -> (String, String) {
    let text = |key: &str| one[key].as_str().unwrap().to_owned();
    (text("kind"), text("name"))
}

/// How a sweep of the whole environment ended.
struct Ended {
    code: Option<i32>,
    report: Value,
    there: BTreeSet<(String, String)>,
}

impl Ended {
    fn steps(&self) -> impl Iterator<Item = &Value> {
        self.report["steps"].as_array().into_iter().flatten()
    }

    /// What became of what.
    fn outcomes(&self) -> BTreeSet<(String, String, String)> {
        let steps = self.steps().map(|step| {
            let (kind, name) = key(step);
            (kind, name, step["outcome"].as_str().unwrap().to_owned())
        });
        steps.collect()
    }
}

fn case() -> Value {
    let text = std::fs::read(path("cases/whole-environment.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Why nothing can be said of a sweep.
#[derive(Debug)]
enum Unjudged {
    /// No request met the fault.
    NotMet,
    /// It printed no document; the exit code.
    NoDocument(Option<i32>),
}

fn sweep(faults: &Value, deadline: &str) -> Result<Ended, Unjudged> {
    let world = path("cases/whole-environment.json");
    let server = Server::start(&["--world", &world.display().to_string()]);
    server.plant(faults);
    let journal = tempfile::tempdir().unwrap();
    let output = server
        .program()
        .args([
            "sweep",
            "--yes",
            "-q",
            "--format",
            "json",
            "--deadline",
            deadline,
        ])
        .arg("--journal")
        .arg(journal.path())
        .arg("--policies")
        .arg(path("cases/whole-environment.toml"))
        .output()
        .unwrap();
    let hits = server.take_faults();
    let state = server.control("GET", "state", "");
    let there = state["resources"].as_array().unwrap().iter().map(key);
    let code = output.status.code();
    if hits.contains(&0) {
        return Err(Unjudged::NotMet);
    }
    let report = serde_json::from_slice(&output.stdout);
    Ok(Ended {
        code,
        report: report.map_err(|_| Unjudged::NoDocument(code))?,
        there: there.collect(),
    })
}

/// What is wrong with how a sweep ended, whatever the fault was.
fn lie(ended: &Ended) -> Option<String> {
    for expect in case()["expect"].as_array().unwrap() {
        let dead = expect["verdict"] == "garbage";
        if !dead && !ended.there.contains(&key(expect)) {
            return Some(format!("{expect} is gone"));
        }
    }
    for step in ended.steps() {
        let gone = !ended.there.contains(&key(step));
        let outcome = step["outcome"].as_str().unwrap();
        if matches!(outcome, "deleted" | "already_gone") && !gone {
            return Some(format!("said to be gone, and there: {step}"));
        }
        if gone && matches!(outcome, "spared" | "failed_for_good") {
            return Some(format!("said to be there, and gone: {step}"));
        }
    }
    let mut steps = ended.steps();
    let failed = steps.any(|step| {
        let outcome = step["outcome"].as_str().unwrap();
        matches!(outcome, "failed_for_now" | "failed_for_good" | "in_doubt")
    });
    if ended.code == Some(0) && (failed || ended.report["complete"] == false) {
        return Some("green although something failed".to_owned());
    }
    (!matches!(ended.code, Some(0 | 3 | 5))).then(|| format!("exit {:?}", ended.code))
}

/// What is wrong with how a sweep ended with one fault.
fn wrong(row: &Row, method: &str, request: &str, plain: &Ended) -> Option<String> {
    let (fault, comes, read, outcomes) = row;
    let times = if *comes == Comes::Once {
        json!(1)
    } else {
        Value::Null
    };
    let faults =
        json!([{"on": {"method": method, "path": request}, "times": times, "fault": fault}]);
    // A slow machine may not come to the fault in a short time.
    let deadlines: &[&str] = if *comes == Comes::UntilTheDeadline {
        &["3s", "12s", "48s"]
    } else {
        &["2m"]
    };
    let mut tries = deadlines.iter().map(|deadline| sweep(&faults, deadline));
    let ended = tries.find(|ended| !matches!(ended, Err(Unjudged::NotMet)));
    let ended = match ended {
        Some(Ok(ended)) => ended,
        Some(Err(Unjudged::NoDocument(code))) => {
            return Some(format!("no document, exit {code:?}"));
        }
        Some(Err(Unjudged::NotMet)) | None => return Some("no request met the fault".to_owned()),
    };
    if let Some(lie) = lie(&ended) {
        return Some(lie);
    }
    if NEEDED.contains(&request) {
        let same = ended.outcomes() == plain.outcomes() && ended.code == plain.code;
        let gap = ended.report["complete"] == false && matches!(ended.code, Some(3 | 5));
        let fine = match read {
            Read::Same => same,
            Read::Gap => gap,
            // What an answer left out without a sign is not there for the run.
            Read::Either => same || gap || ended.outcomes().is_subset(&plain.outcomes()),
        };
        // A run that the deadline ends later says so step by step.
        let late = *comes == Comes::UntilTheDeadline
            && ended.steps().any(|step| step["outcome"] == "deferred");
        if !fine && !late {
            let complete = &ended.report["complete"];
            let outcomes = ended.outcomes();
            return Some(format!(
                "not {read:?}: exit {:?}, complete {complete}, {outcomes:?}",
                ended.code
            ));
        }
    }
    let (_, kind) = DELETIONS
        .iter()
        .find(|(path, _)| method == "DELETE" && *path == request)?;
    let mut steps = ended.steps().filter(|step| step["kind"] == *kind);
    let odd = steps.find(|step| {
        let outcome = step["outcome"].as_str().unwrap();
        let refused = fault["status"] == 429;
        let late = outcome == "deferred" && *comes == Comes::UntilTheDeadline && !refused;
        !late && !outcomes.contains(&outcome)
    })?;
    Some(format!("not {outcomes:?}: {odd}"))
}

#[test]
fn no_answer_makes_a_sweep_delete_a_live_resource_or_report_a_wrong_outcome() {
    let plain = sweep(&json!([]), "2m").unwrap();
    assert_eq!(lie(&plain), None);
    let whole = std::env::var("PREVIEW_GC_FAULTS").is_ok_and(|value| value == "all");
    let table = table();
    let mut cells = Vec::new();
    for (at, row) in table.iter().enumerate() {
        for (column, (method, request)) in REQUESTS.into_iter().enumerate() {
            if whole || (at + column) % 4 == 0 {
                cells.push((row, method, request));
            }
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((row, method, request)) = cells.get(at) else {
                        return;
                    };
                    if let Some(why) = wrong(row, method, request, &plain) {
                        let (fault, comes, ..) = row;
                        let line = format!("{method} {request} {fault} {comes:?}: {why}");
                        found.lock().unwrap().push(line);
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
}

/// Kinds that other tests of faults are about: the case that is swept here has
/// none of them.
const NOT_HERE: [&str; 4] = [
    "dns_record",
    "github_deployment",
    "kv_namespace",
    "neon_branch",
];

#[test]
fn the_listing_of_every_kind_is_among_the_requests() {
    let case = case();
    let resources = case["resources"].as_array().unwrap().iter();
    let expected = case["expect"].as_array().unwrap().iter();
    let there: BTreeSet<_> = resources
        .chain(expected)
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    for kind in providers::kinds() {
        let name = kind.about().name();
        assert_ne!(
            there.contains(name),
            NOT_HERE.contains(&name),
            "whole-environment.json needs a {name}, or NOT_HERE a reason"
        );
        if NOT_HERE.contains(&name) {
            continue;
        }
        let place = match kind.about().0.place {
            PlaceSort::Account => Place::Account("a".to_owned()),
            PlaceSort::Zone => {
                let [id, name, account] = ["z", "acme.example", "a"].map(str::to_owned);
                Place::Zone { id, name, account }
            }
            PlaceSort::Project => Place::Project("p".to_owned()),
            PlaceSort::Repository => Place::Repository("acme/shop".to_owned()),
        };
        let path = kind.list(&place, Some("holder"), &PageOf::First).path;
        let listed = REQUESTS.iter().any(|(method, request)| {
            let part = request.trim_end_matches('$');
            let ends = part == *request || path.ends_with(part);
            *method == "GET" && path.contains(part) && ends
        });
        assert!(listed, "REQUESTS lacks {path}, the listing of {name}");
    }
}
