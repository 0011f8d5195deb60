//! Everything that is read, damaged: nothing panics, nothing damaged is taken
//! for whole, and what is read is no larger than what was written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test that fails should say where"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use http::StatusCode;
use preview_gc::boxes::CheckedKeys;
use preview_gc::call::{Call, Transfer};
use preview_gc::clock::Clock;
use preview_gc::evidence::{ActionsRun, ClosedSearch, PullRequest, RepositoryRoots, RootsWanted};
use preview_gc::gc::Outcome;
use preview_gc::gc::plan_file::PlanFile;
use preview_gc::journal::{self, Journal, JournalEntry, JournaledResource, Snapshot, StepState};
use preview_gc::kind::{Ask, Kind, PageOf, ReferenceAnswer};
use preview_gc::model::{
    Api, Place, PlaceSort, PullRequestNumber, Repository, Resource, ResourceId, RunId,
};
use preview_gc::policy::{Action, Policies, PolicyContext, PolicySource, Vocabulary, render};
use preview_gc::progress::Unwatched;
use preview_gc::providers;
use preview_gc::roots;
use preview_gc::roots::github::GitHubClient;
use preview_gc::sandbox::world::World;
use preview_gc::sandbox::{Options, Sandbox};
use preview_gc::tracking_issue::state::HiddenState;
use preview_gc::wire::{Allotment, ApiEndpoint, Client, Token};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use support::mutation::damaged;
use support::path;
use tower::util::BoxCloneSyncService;

const ACCOUNT: &str = "36acdabd7c434d35e865c85c73587bf9";

fn worlds() -> Vec<Vec<u8>> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo-world.json");
    let files = [demo, path("cases/whole-environment.json")];
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// The stand-in of a world, and the places in it.
struct Cloud {
    sandbox: Arc<Sandbox>,
    runtime: tokio::runtime::Runtime,
}

impl Cloud {
    fn new(world: &[u8]) -> Self {
        let world = World::read("world.json", std::str::from_utf8(world).unwrap()).unwrap();
        Self {
            sandbox: Sandbox::new(world, Options::default()).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let variables = self.sandbox.environment("http://127.0.0.1");
        let found = variables
            .into_iter()
            .find(|(variable, _)| *variable == name);
        found.map(|(_, value)| value.split(',').next().unwrap().to_owned())
    }

    fn place(&self, sort: PlaceSort) -> Option<Arc<Place>> {
        let account = self
            .variable("CLOUDFLARE_ACCOUNT_ID")
            .unwrap_or(ACCOUNT.to_owned());
        Some(Arc::new(match sort {
            PlaceSort::Account => Place::Account(account),
            PlaceSort::Zone => Place::Zone {
                id: self.variable("CLOUDFLARE_ZONE_ID")?,
                name: "acme.example".to_owned(),
                account,
            },
            PlaceSort::Project => Place::Project(self.variable("NEON_PROJECT_ID")?),
            PlaceSort::Repository => Place::Repository("acme/shop".to_owned()),
        }))
    }

    /// What a call is answered, refusals as well.
    fn answer(&self, call: &Call) -> Vec<u8> {
        let prefix = match call.api {
            Api::Cloudflare => "/client/v4",
            Api::Neon => "/api/v2",
            Api::GitHub => "/github",
        };
        let query: Vec<_> = call
            .query
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let request = http::Request::builder()
            .method(call.method.clone())
            .uri(format!(
                "http://127.0.0.1{prefix}{}?{}",
                call.path,
                query.join("&")
            ))
            .header("authorization", "Bearer sandbox")
            .body(call.body.clone())
            .unwrap();
        self.runtime
            .block_on(self.sandbox.call(request))
            .unwrap()
            .body()
            .to_vec()
    }
}

/// A kind with what it may be answered.
type Answered = (&'static dyn Kind, Arc<Place>, Option<Resource>, Vec<u8>);

/// What the stand-ins answer to everything that kinds ask.
fn answers() -> Vec<Answered> {
    let mut all: Vec<Answered> = Vec::new();
    for world in worlds() {
        let cloud = Cloud::new(&world);
        for kind in providers::kinds() {
            let Some(place) = cloud.place(kind.about().0.place) else {
                continue;
            };
            let list = |holder: Option<&str>| kind.list(&place, holder, &PageOf::First);
            let listing = match kind.holders() {
                Some(holders) => {
                    let holders = holders.page(&place, &PageOf::First);
                    let body = cloud.answer(&holders.call);
                    let holders = (holders.read)(&body).unwrap().holders;
                    all.push((kind, place.clone(), None, body));
                    holders
                        .first()
                        .map(|holder| cloud.answer(&list(Some(&holder.name))))
                }
                None => Some(cloud.answer(&list(None))),
            };
            let Some(listing) = listing else { continue };
            let resources = kind.read_page(&place, &listing).unwrap().items;
            let first = resources.into_iter().next();
            all.push((kind, place.clone(), first.clone(), listing));
            let queries = kind.queries();
            let mut calls = vec![
                queries.count.map(|count| count(&place).call),
                queries.activity.map(|activity| activity(&place).call),
                queries.allowance.map(|allowance| allowance(&place).call),
                queries
                    .users
                    .map(|users| users(&place, &PageOf::First).call),
            ];
            if let Some(resource) = &first {
                let id = resource.identity();
                calls.push(kind.details().map(|details| details.ask(resource)));
                calls.extend(asks(kind, &id).into_iter().map(|ask| Some(ask.call)));
                let backup = kind.backup();
                let first = backup.map(|backup| backup.next(&id, &Value::Null).unwrap());
                if let Some(Some(Transfer::Call { call, .. })) = first {
                    calls.push(Some(call));
                }
                calls.extend([Some(kind.inspect(&id)), Some(kind.delete(&id))]);
                let recovery = kind.restore().and_then(|restore| restore.recovery());
                calls.push(recovery.map(|recovery| recovery.ask(&id)));
            }
            for call in calls.into_iter().flatten() {
                all.push((kind, place.clone(), first.clone(), cloud.answer(&call)));
            }
        }
    }
    all
}

/// What a kind asks about one resource.
fn asks(kind: &dyn Kind, id: &ResourceId) -> Vec<Ask> {
    let references = kind.references().map(|references| references.first(id));
    references.into_iter().flatten().collect()
}

/// Has everything read a body that can read one.
fn read_all(kind: &dyn Kind, place: &Arc<Place>, resource: Option<&Resource>, body: &[u8]) {
    if let Ok(mut page) = kind.read_page(place, body) {
        assert!(page.items.len() <= body.len() / 2);
        kind.complete(&mut page.items);
    }
    let holders = kind.holders();
    let _ = holders.map(|holders| (holders.page(place, &PageOf::First).read)(body));
    let _ = kind.read_one(place, body);
    let queries = kind.queries();
    let _ = queries.count.map(|query| (query(place).read)(body));
    let _ = queries.activity.map(|query| (query(place).read)(body));
    let _ = queries.allowance.map(|query| (query(place).read)(body));
    let users = queries.users;
    let _ = users.map(|query| (query(place, &PageOf::First).read)(body));
    let _ = queries.addresses.map(|query| (query(place).read)(body));
    let restore = kind.restore();
    let _ = restore.map(|restore| restore.read_recreated(body));
    let _ = kind.refusal(StatusCode::CONFLICT, body);
    let mut held = Value::Null;
    if let Some(backup) = kind.backup() {
        for _ in 0..3 {
            let _ = backup.take(&mut held, body);
        }
    }
    if let Some(resource) = resource {
        let id = resource.identity();
        for ask in asks(kind, &id) {
            // Every answer may have been cut or mixed up, so that each of them is
            // read as the answer to any question.
            for what in ["settings", "deployments", "version", "versions", "previews"] {
                let ask = Ask {
                    what,
                    ..ask.clone()
                };
                let references = kind.references();
                let _ = references.map(|one| one.read(&id, &ask, ReferenceAnswer::Body(body)));
            }
        }
        for source in providers::sources() {
            for ask in source.first(place) {
                for what in [
                    "projects",
                    "namespaces",
                    "scripts",
                    "bindings",
                    "workers",
                    "previews",
                    "deployment",
                ] {
                    let ask = Ask {
                        what,
                        ..ask.clone()
                    };
                    let _ = source.read(place, &ask, ReferenceAnswer::Body(body));
                }
            }
        }
        let recovery = restore.and_then(|restore| restore.recovery());
        let _ = recovery.map(|recovery| recovery.read(&id, body));
        let obstacles = kind.obstacles();
        let _ = obstacles.map(|one| one.delete_with_force(resource, StatusCode::BAD_REQUEST, body));
        let details = kind.details();
        let answer = ReferenceAnswer::Body(body);
        let _ = details.map(|details| details.read(&mut resource.clone(), answer));
        let bindings = kind.bindings();
        let _ = bindings.map(|bindings| bindings.unbind(&id, &id, body));
        if let Some(backup) = kind.backup() {
            let _ = backup.next(&id, &held);
            let _ = backup.is_current(&held, body);
            let _ = backup.expired(&held, chrono::DateTime::UNIX_EPOCH);
            let mut written = Value::Null;
            for _ in 0..3 {
                let _ = backup.fill(&id, &held, &written, chrono::DateTime::UNIX_EPOCH);
                let _ = backup.take_filled(&mut written, body);
            }
        }
        let said = serde_json::from_slice(body).ok();
        let _ = restore.map(|restore| restore.recreate(&id, said.as_ref()));
    }
    let _ = preview_gc::providers::cloudflare::zones::zone(body, ACCOUNT, "acme.example");
}

#[test]
fn no_answer_breaks_a_kind() {
    let answers = answers();
    assert!(answers.len() > 60, "{}", answers.len());
    let documents = answers.iter().map(|(.., body)| body.clone()).collect();
    let cases = ProptestConfig::with_cases(6_000);
    proptest!(cases, |((which, body) in damaged(documents))| {
        let (kind, place, resource, _) = &answers[which];
        read_all(*kind, place, resource.as_ref(), &body);
    });
}

/// GitHub, whose answer to one request is another.
#[derive(Default)]
struct Forgery {
    /// What was answered, by request.
    heard: BTreeMap<String, Vec<u8>>,
    forged: Option<(String, Vec<u8>)>,
}

/// Everything that is asked about pull requests, branches and runs, once.
fn read_roots(cloud: &Cloud, forgery: &Arc<Mutex<Forgery>>, graphql: bool) -> RepositoryRoots {
    let (sandbox, forgery) = (cloud.sandbox.clone(), forgery.clone());
    let transport =
        BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Bytes>| {
            let (sandbox, forgery) = (sandbox.clone(), forgery.clone());
            async move {
                let uri = request.uri().clone();
                let body = String::from_utf8_lossy(request.body()).into_owned();
                let key = format!("{} {uri} {body}", request.method());
                let answer = if graphql || !uri.path().ends_with("/graphql") {
                    sandbox.call(request).await.unwrap()
                } else {
                    let mut absent = http::Response::new(Bytes::new());
                    *absent.status_mut() = StatusCode::NOT_FOUND;
                    absent
                };
                let mut forgery = forgery.lock().unwrap();
                let honest = answer.body().to_vec();
                forgery.heard.insert(key.clone(), honest);
                let body = forgery.forged.as_ref().filter(|(what, _)| *what == key);
                let body = body.map(|(_, body)| Bytes::from(body.clone()));
                Ok(match body {
                    Some(body) => http::Response::builder().body(body).unwrap(),
                    None => answer,
                })
            }
        }));
    let base = "http://127.0.0.1/github";
    let endpoint = ApiEndpoint {
        base: base.parse().unwrap(),
        graphql: Some(format!("{base}/graphql").parse().unwrap()),
        token: Token::new("sandbox").unwrap(),
        extra_token: None,
    };
    let claimed = RootsWanted {
        numbers: (1..=40).filter_map(PullRequestNumber::new).collect(),
        open: true,
        heads: true,
        labels: std::collections::BTreeSet::new(),
        runs: ["1", "2"]
            .iter()
            .filter_map(|run| RunId::parse(run))
            .collect(),
    };
    let closed_search = ClosedSearch {
        branches: ["feature/7".into(), "gone".into()].into(),
        slugs_since: None,
        slugs_undated: true,
    };
    let repository = Repository::parse("acme/shop").unwrap();
    // In time that nobody waits for.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::new(
            transport,
            BTreeMap::from([(Api::GitHub, endpoint)]),
            Clock::starting_at(DateTime::UNIX_EPOCH),
            Duration::from_mins(10),
            Allotment {
                share: 1.0,
                reserve: None,
            },
        );
        let github = GitHubClient::new(client);
        let mut roots = roots::alive(&github, &repository, &claimed, None, None, &Unwatched).await;
        roots::ended(
            &github,
            &repository,
            &claimed,
            &closed_search,
            &mut roots,
            &Unwatched,
        )
        .await;
        roots
    })
}

#[test]
fn no_answer_of_github_is_taken_for_whole_when_it_is_not() {
    for graphql in [true, false] {
        let cloud = Cloud::new(&worlds()[1]);
        let honest = Arc::new(Mutex::new(Forgery::default()));
        let whole = read_roots(&cloud, &honest, graphql);
        assert!(whole.evidence.iter().all(|one| one.complete), "{whole:?}");
        let mut heard = std::mem::take(&mut honest.lock().unwrap().heard);
        // Without an account all issues are looked at, whoever wrote them, and a
        // marked one is a gap: so no answer about the account is a gap itself.
        heard.retain(|request, body| !body.is_empty() && !request.contains("viewer{login}"));
        let (requests, documents): (Vec<_>, Vec<_>) = heard.into_iter().unzip();
        let least = if graphql { 7 } else { 10 };
        assert!(requests.len() >= least, "{requests:?}");
        // As a proxy answers everything.
        let proxied = ["<html>Sign in</html>", "{}"];
        let proxied = proxied.map(|body| requests.iter().map(move |request| (request, body)));
        for (request, body) in proxied.into_iter().flatten() {
            let forged = Some((request.clone(), body.as_bytes().to_vec()));
            let forgery = Arc::new(Mutex::new(Forgery {
                forged,
                ..Forgery::default()
            }));
            let roots = read_roots(&cloud, &forgery, graphql);
            let gaps = roots.evidence.iter().filter(|one| !one.complete).count();
            assert!(gaps > 0, "{request}: {roots:?}");
            for (number, state) in &roots.pull_requests {
                let honest = &whole.pull_requests[number];
                assert!(
                    state == honest || *state != PullRequest::Missing,
                    "{request}: {number}"
                );
            }
            for (run, state) in &roots.runs {
                let honest = &whole.runs[run];
                assert!(
                    state == honest || *state != ActionsRun::Missing,
                    "{request}: {run}"
                );
            }
        }
        proptest!(ProptestConfig::with_cases(400), |((which, body) in damaged(documents))| {
            let forged = Some((requests[which].clone(), body.clone()));
            let forgery = Arc::new(Mutex::new(Forgery { forged, ..Forgery::default() }));
            let roots = read_roots(&cloud, &forgery, graphql);
            // As a reader sees it that skips what it does not need.
            if serde_json::from_slice::<IgnoredAny>(&body).is_err() {
                let gaps = roots.evidence.iter().filter(|one| !one.complete).count();
                prop_assert!(gaps > 0, "{} was believed: \
                    {}", String::from_utf8_lossy(&body), requests[which]);
            }
        });
    }
}

#[test]
fn no_world_file_breaks_the_sandbox() {
    proptest!(ProptestConfig::with_cases(1_500), |((_, world) in damaged(worlds()))| {
        let world = String::from_utf8_lossy(&world);
        if let Ok(world) = World::read("world.json", &world) {
            let _ = Sandbox::new(world, Options::default());
        }
    });
}

#[test]
fn no_policy_breaks_the_reading_and_every_mistake_can_be_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![std::fs::read(root.join("policies/demo.toml")).unwrap()];
    for folder in [
        root.join("policies/schemes"),
        path("cases"),
        path("policies"),
    ] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_some_and(|end| end == "toml") {
                documents.push(std::fs::read(file).unwrap());
            }
        }
    }
    let kinds = providers::vocabulary();
    let repository = Repository::parse("acme/shop").unwrap();
    let environment = PolicyContext {
        lookup: &|_| Some("a,b".to_owned()),
        repository: Some(&repository),
        names_file: &|_, _| Err("not found".to_owned()),
    };
    proptest!(ProptestConfig::with_cases(1_500), |((_, policy) in damaged(documents))| {
        let text = String::from_utf8_lossy(&policy).into_owned();
        let sources = [PolicySource { path: "p.toml".to_owned(), text }];
        let vocabulary = Vocabulary { kinds: &kinds, scopes: &providers::scopes() };
        match Policies::read(&sources, &vocabulary, &environment) {
            Ok(loaded) => drop(render(&loaded.warnings, &sources, false)),
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty());
                let shown = render(&mistakes, &sources, false);
                prop_assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
                // However many mistakes there are, and however long their lines.
                prop_assert!(shown.len() < 1_000_000, "{} bytes", shown.len());
            }
        }
    });
}

#[test]
fn a_plan_that_was_altered_anywhere_is_not_carried_out() {
    let output = support::run(&["sweep", "--dry-run", "--format", "json", "--sandbox"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let plan = PlanFile::read(&text).unwrap();
    assert!(!plan.steps.is_empty());
    proptest!(ProptestConfig::with_cases(2_000), |((_, text) in damaged(vec![text.into_bytes()]))| {
        if let Ok(altered) = PlanFile::read(&String::from_utf8_lossy(&text)) {
            prop_assert_eq!(&altered, &plan);
        }
    });
}

/// A journal of a run that came to all sorts of ends, with names that take more
/// than one byte a character.
fn journal_text() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let at = DateTime::UNIX_EPOCH;
    let mut journal = Journal::begin(folder.path(), at).unwrap();
    let intent = |step| JournalEntry::Intent {
        step,
        at,
        action: Action::Delete,
        resource: JournaledResource {
            host: "api.example".to_owned(),
            kind: "kv_namespace".to_owned(),
            place: Place::Account("a".to_owned()),
            id: "1".into(),
            name: "prévia-\u{202e}-\u{10ffff}-日本".into(),
            holder: None,
            incarnation: Some("é".into()),
        },
        copy: Box::new(Snapshot {
            original: Some(serde_json::json!({"title": "日本\n\u{2028}"})),
            ..Snapshot::default()
        }),
    };
    let outcome = |step, outcome| JournalEntry::Outcome {
        step,
        at,
        outcome,
        reason: "ça y est".to_owned(),
    };
    let restored = JournalEntry::Restored {
        step: 0,
        at,
        id: "é".to_owned(),
        unfilled: false,
        marked: true,
    };
    let checked = JournalEntry::KeepChecked {
        step: 0,
        at,
        repository: "acme/prévia".to_owned(),
        issue: 7,
    };
    journal.write(&[intent(0), intent(1), intent(2)]).unwrap();
    journal
        .write(&[
            outcome(0, Outcome::Deleted),
            outcome(1, Outcome::FailedForNow),
        ])
        .unwrap();
    journal
        .write(&[intent(1), restored, checked, outcome(3, Outcome::Spared)])
        .unwrap();
    std::fs::read(journal.path()).unwrap()
}

fn records(folder: &Path, text: &[u8]) -> Result<Vec<journal::RunRecord>, journal::JournalError> {
    std::fs::write(folder.join("r.journal.jsonl"), text).unwrap();
    journal::records(folder)
}

#[test]
fn every_prefix_of_a_journals_bytes_is_a_journal() {
    let text = journal_text();
    let folder = tempfile::tempdir().unwrap();
    let mut before = 0;
    for end in 0..=text.len() {
        let records = records(folder.path(), &text[..end]);
        let records = records.unwrap_or_else(|error| panic!("{end} of {}: {error}", text.len()));
        let lines = text[..end].iter().filter(|byte| **byte == b'\n').count();
        assert!(records[0].steps.len() >= before, "a line was lost");
        assert!(records[0].steps.len() <= lines);
        before = records[0].steps.len();
        if let Some(journal) = Journal::resume(&records[0]).unwrap() {
            let kept = std::fs::read(journal.path()).unwrap();
            assert!(text.starts_with(&kept) && kept.len() <= end);
        }
    }
    let last = records(folder.path(), &text).unwrap().remove(0);
    let open: Vec<_> = last.open().map(|(step, _)| step).collect();
    assert_eq!(open, [1, 2]);
    assert_eq!(last.steps[&0].standing, StepState::Restored);
}

#[test]
fn no_journal_breaks_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    proptest!(ProptestConfig::with_cases(2_000), |((_, text) in damaged(vec![journal_text()]))| {
        match records(folder.path(), &text) {
            Ok(records) => prop_assert!(records[0].steps.len() <= text.len()),
            Err(error) => prop_assert!(error.to_string().contains("r.journal.jsonl")),
        }
    });
}

#[test]
fn edited_issues_keep_boxes_and_history() {
    let output = support::run(&["report", "--dry-run", "--sandbox"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let checked = text.replace("- [ ]", "- [x]").into_bytes();
    let all = CheckedKeys::read(&text.replace("- [ ]", "- [x]"));
    assert!(all.keep.len() > 1 && all.delete == all.keep);
    assert_eq!(HiddenState::read(&text).runs.len(), 1);
    proptest!(ProptestConfig::with_cases(2_000), |((_, text) in damaged(vec![text.into_bytes(), checked]))| {
        let text = String::from_utf8_lossy(&text);
        let checked = CheckedKeys::read(&text);
        for key in checked.keep.iter().chain(&checked.delete) {
            prop_assert!(key.chars().all(|c| c.is_ascii_hexdigit()) && text.contains(key.as_str()));
        }
        let history = HiddenState::read(&text);
        prop_assert!(history.runs.len() + history.failures.len() <= text.len());
    });
}

#[test]
fn a_body_of_any_bytes_is_read_or_refused() {
    proptest!(|(body: Vec<u8>)| {
        let body = Bytes::from(body);
        for kind in providers::kinds() {
            let place = Arc::new(Place::Account(ACCOUNT.to_owned()));
            read_all(kind, &place, None, &body);
        }
    });
}
