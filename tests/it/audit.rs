//! Complete audits in process: the verdicts of all cases, with reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use preview_gc::boxes;
use preview_gc::clock::Clock;
use preview_gc::collector::{Choice, Collector, Limits, Scope};
use preview_gc::evidence::Question;
use preview_gc::gc::outcome::{Recheck, recheck};
use preview_gc::gc::plan_file::PlannedStep;
use preview_gc::gc::verdict::VerdictName;
use preview_gc::gc::{Marking, Verdict, mark};
use preview_gc::model::{KindRef, PullRequestNumber, Repository, Resource, UsedBy};
use preview_gc::policy::{Policies, Policy, PolicyContext, PolicySource, Vocabulary};
use preview_gc::progress::Unwatched;
use preview_gc::providers;
use preview_gc::report::{Report, Row, escape};
use preview_gc::roots::github::GitHubClient;
use preview_gc::roots::github::issue::IssueStore;
use preview_gc::sandbox::world::World;
use preview_gc::sandbox::{Options, Sandbox};
use preview_gc::survey::Findings;
use preview_gc::wire::{Client, TransportError};
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;

use crate::in_process::{BASE, endpoints};

/// A world with its policy, and a client of its sandbox.
struct Stage {
    files: Vec<Policy>,
    scopes: Vec<Scope>,
    only_kinds: Option<Vec<KindRef>>,
    limits: Limits,
    client: Client,
}

impl Stage {
    /// Opens a world with the policy beside it.
    fn open(world: &Path) -> Self {
        Self::with(&world.with_extension("toml"), world)
    }

    /// Opens a world with a policy, or with all in a folder.
    fn with(policy: &Path, world: &Path) -> Self {
        let text = std::fs::read_to_string(world).unwrap();
        let world = World::read("world.json", &text).unwrap();
        let repository = Repository::parse(&world.repository).unwrap();
        let clock = Clock::starting_at(world.now);
        let sandbox = Sandbox::new(world, Options::default()).unwrap();
        let variables: BTreeMap<_, _> = sandbox.environment(BASE).into_iter().collect();
        let lookup = |name: &str| variables.get(name).cloned();
        let read = |path: &Path| PolicySource {
            path: path.display().to_string(),
            text: std::fs::read_to_string(path).unwrap(),
        };
        let mut paths = vec![policy.to_owned()];
        if policy.is_dir() {
            let entries = std::fs::read_dir(policy).unwrap();
            paths = entries.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
        }
        let sources: Vec<_> = paths.iter().map(|path| read(path)).collect();
        let names_file = |policy: &str, name: &str| {
            let path = Path::new(policy).with_file_name(name);
            std::fs::read_to_string(path).map_err(|error| error.to_string())
        };
        let environment = PolicyContext {
            lookup: &lookup,
            repository: Some(&repository),
            names_file: &names_file,
        };
        let kinds = providers::vocabulary();
        let loaded = Policies::read(
            &sources,
            &Vocabulary {
                kinds: &kinds,
                scopes: &providers::scopes(),
            },
            &environment,
        );
        let policies = loaded.unwrap().policies;
        let limits = Limits::of(&policies.limits);
        let list = |name| {
            let values: String = lookup(name)?;
            Some(values.split(',').map(str::to_owned).collect::<Vec<_>>())
        };
        let scope = |policy: &Policy| {
            let written = policy.scope.clone();
            Scope {
                account: written.account.or_else(|| lookup("CLOUDFLARE_ACCOUNT_ID")),
                zones: written
                    .zones
                    .or_else(|| list("CLOUDFLARE_ZONE_ID"))
                    .unwrap_or_default(),
                projects: written
                    .projects
                    .or_else(|| list("NEON_PROJECT_ID"))
                    .unwrap_or_default(),
            }
        };
        Self {
            scopes: policies.files.iter().map(scope).collect(),
            files: policies.files,
            only_kinds: None,
            limits,
            client: client(&sandbox, clock, limits),
        }
    }

    /// Selects a kind, as `--kind` does.
    fn of_kind(mut self, name: &str) -> Self {
        let kind = providers::by_name(name).unwrap().about();
        self.only_kinds = Some(vec![kind]);
        self
    }

    fn collector(&self, number: Option<u32>) -> Collector<'_> {
        Collector {
            client: self.client.clone(),
            files: &self.files,
            scopes: self.scopes.clone(),
            limits: self.limits,
            only_pull_request: number.and_then(PullRequestNumber::new),
            only_kinds: self.only_kinds.as_deref(),
            repository_ids: BTreeMap::new(),
            issue_authors: Arc::default(),
            brought_back: Arc::default(),
            stored_reads: Arc::default(),
            now: self.client.clock().start(),
            is_sandbox: true,
            observer: &Unwatched,
        }
    }
}

fn client(sandbox: &Arc<Sandbox>, clock: Clock, limits: Limits) -> Client {
    let sandbox = sandbox.clone();
    let transport = BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let sandbox = sandbox.clone();
        async move {
            let answer = sandbox.call(request).await;
            answer.map_err(|reset| TransportError::Broken(reset.to_string()))
        }
    }));
    Client::new(
        transport,
        endpoints(),
        clock,
        limits.deadline,
        limits.allotment,
    )
}

async fn audited(stage: &Stage, number: Option<u32>) -> (Report, String) {
    let collector = stage.collector(number);
    let (audit_scope, listed) = collector.list().await.unwrap();
    let audit = collector.audit(&audit_scope, listed, Choice::All).await;
    let plan_file = audit.plan_file();
    let mut steps = String::new();
    for (index, step) in plan_file.steps.iter().enumerate() {
        let _ = writeln!(
            steps,
            "  {index} {:?} {} {} by {} after {:?}",
            step.action, step.kind, step.name, step.rule, step.after
        );
    }
    (audit.report, steps)
}

/// Returns the number of requests that were sent, by provider.
fn requests(stage: &Stage) -> Vec<u64> {
    let used = stage.client.quota_use();
    used.iter().map(|one| one.spent).collect()
}

fn case(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    folder.join(name).with_extension("json")
}

/// Returns the differences between two audits of a world, one per line.
fn differences(before: &Report, after: &Report) -> String {
    let lines = |report: &Report| -> Vec<String> {
        let line = |row: &Row| {
            let name = escape::terminal(&row.name);
            let reason = escape::terminal(&row.reason);
            format!(
                "{} {name}: {}: {reason}",
                row.kind,
                row.verdict.name().key()
            )
        };
        report.resources.iter().map(line).collect()
    };
    let (old, new) = (lines(before), lines(after));
    let changed = new.iter().filter(|line| !old.contains(line));
    changed.fold(String::new(), |text, line| text + "    " + line + "\n")
}

/// Verdicts and plans of all cases, in process.
#[tokio::test]
async fn every_case_is_judged_and_planned_for_its_reasons() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut worlds: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    worlds.retain(|path| path.extension().is_some_and(|end| end == "json"));
    worlds.sort();
    assert!(worlds.len() > 50, "{worlds:?}");
    for world in worlds {
        let stage = Stage::open(&world);
        let (report, steps) = audited(&stage, None).await;
        let name = world.file_stem().unwrap_or_default().to_string_lossy();
        let mut text = format!("{name}, complete: {}\n", report.complete);
        for row in &report.resources {
            let _ = writeln!(
                text,
                "  {} {}: {}: {} [{}]",
                row.kind,
                escape::terminal(&row.name),
                row.verdict.name().key(),
                escape::terminal(&row.reason),
                row.rule.as_ref().map_or("no rule", |(rule, _)| &rule.id)
            );
        }
        for brake in &report.brakes {
            let _ = writeln!(text, "  brake on {}: {}", brake.kind, brake.reason);
        }
        for one in &report.dangling {
            let _ = writeln!(text, "  dangling {} {}", one.name, one.target);
        }
        for rule in &report.unused_rules {
            let _ = writeln!(text, "  unused {}", rule.id);
        }
        text.push_str(&steps);
        let _ = writeln!(text, "  requests {:?}", requests(&stage));
        if cfg!(windows) {
            text = text.replace('\\', "/");
        }
        let here = env!("CARGO_MANIFEST_DIR").replace('\\', "/");
        text = text.replace(&format!("{here}/"), "");
        insta::assert_snapshot!(format!("cases__{name}"), text);
    }
}

/// Each way in which a resource may differ from its step, one at a time.
#[tokio::test]
async fn steps_that_differ_from_the_plan_are_spared() {
    type Change = fn(&mut PlannedStep);
    let stage = Stage::open(&case("closed-leftovers"));
    let collector = stage.collector(None);
    let (audit_scope, listed) = collector.list().await.unwrap();
    let audit = collector.audit(&audit_scope, listed, Choice::All).await;
    let (plan_file, findings) = (audit.plan_file(), &audit.findings);
    let ids = plan_file
        .resources(audit.survey.input.graph.kinds())
        .unwrap();
    let changes: [(&str, Change); 5] = [
        ("created again", |step| {
            step.incarnation = Some("another".into());
        }),
        ("renamed", |step| step.name = "another".into()),
        ("changed", |step| {
            step.created_at = step.created_at.map(|at| at - chrono::TimeDelta::seconds(1));
        }),
        ("changed", |step| {
            step.changed_at = step.changed_at.map(|at| at - chrono::TimeDelta::seconds(1));
        }),
        ("", |_| {}),
    ];
    let mut spared = 0;
    for (step, id) in plan_file.steps.iter().zip(&ids) {
        let now = findings.find(id);
        assert!(now.is_some(), "{id}");
        assert_eq!(recheck(step, None, &findings.marking), Recheck::Gone);
        for (why, change) in changes {
            let mut planned = step.clone();
            change(&mut planned);
            let verdict = recheck(&planned, now, &findings.marking);
            if planned == *step {
                assert_eq!(verdict, Recheck::Go, "{id}");
            } else {
                let message = matches!(&verdict, Recheck::Spared(message) if message.contains(why));
                assert!(message, "{id}: {verdict:?}");
                spared += 1;
            }
        }
        // Resources that are live now are spared, whatever was planned.
        let living = &findings.inventory.resources;
        let judgements = &findings.marking.judgements;
        for (resource, judgement) in living.iter().zip(judgements) {
            let mut planned = step.clone();
            planned.name = resource.name.clone();
            planned.incarnation = resource.incarnation.clone();
            planned.created_at = resource.created_at.known();
            planned.changed_at = resource.changed_at.known();
            let verdict = recheck(&planned, Some((resource, judgement)), &findings.marking);
            let goes = verdict == Recheck::Go;
            assert_eq!(goes, judgement.verdict.is_deletable(), "{}", resource.name);
        }
    }
    assert!(spared > 20);
}

/// Cases with many dependencies.
const ENTANGLED: [&str; 8] = [
    "edges",
    "services",
    "whole-environment",
    "what-stays-keeps-what-it-uses",
    "several-owners",
    "branch-reborn",
    "runs",
    "slug-sentry",
];

/// The same worlds with one request refused: resources that it leaves undecided
/// are kept, and nothing else changes.
#[tokio::test]
async fn resources_that_cannot_be_read_are_kept() {
    let topics = providers::kinds().map(|kind| {
        let about = kind.about();
        format!("{}.{about}", about.0.api.key())
    });
    let paths = [
        "/settings$",
        "/workers/scripts/(shop-pr-8|app-pr-1)/settings",
        "/workers/workers$",
        "/graphql$",
        "/actions/runs",
        "/consumers",
    ];
    let refused = json!({"status": 403});
    let mut questions: Vec<_> = topics.map(|topic| (json!(topic), &refused)).collect();
    questions.extend(paths.map(|path| (json!({"path": path}), &refused)));
    // A list of users that is empty.
    let empty = json!("empty_page");
    questions.push((json!({"path": "/workers/workers$"}), &empty));
    let folder = tempfile::tempdir().unwrap();
    for name in ENTANGLED {
        let mut text = String::new();
        let world = case(name);
        let policy = world.with_extension("toml");
        let (seen, planned) = audited(&Stage::open(&world), None).await;
        let mut file: Value = serde_json::from_slice(&std::fs::read(&world).unwrap()).unwrap();
        for (question, fault) in &questions {
            file["faults"] = json!([{"on": question, "fault": fault}]);
            let path = folder.path().join("world.json");
            std::fs::write(&path, file.to_string()).unwrap();
            let (report, steps) = audited(&Stage::with(&policy, &path), None).await;
            let lines = differences(&seen, &report);
            let steps = steps.lines().count();
            if !lines.is_empty() || steps != planned.lines().count() {
                let _ = write!(text, "{name} without {question}, {steps} steps\n{lines}");
            }
        }
        insta::assert_snapshot!(format!("unread__{name}"), text);
    }
}

/// `--pr` and `--kind` select resources. Garbage outside the selection stays,
/// and keeps what it uses.
#[tokio::test]
async fn unselected_resources_are_left_out() {
    for name in ENTANGLED {
        let world = World::read("", &std::fs::read_to_string(case(name)).unwrap()).unwrap();
        let numbers = world.pull_requests.iter().map(|one| one.number);
        let mut selections: Vec<(Option<u32>, Option<String>)> =
            numbers.map(|number| (Some(number), None)).collect();
        let mut kinds: Vec<_> = world.resources.into_iter().map(|one| one.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        selections.extend(kinds.into_iter().map(|kind| (None, Some(kind))));
        let mut text = String::new();
        for (number, kind) in selections {
            text += &selected(name, number, kind.as_deref()).await;
        }
        insta::assert_snapshot!(format!("selected__{name}"), text);
    }
}

/// Returns the verdicts, steps and requests of an audit that selects resources.
async fn selected(name: &str, number: Option<u32>, kind: Option<&str>) -> String {
    let stage = Stage::open(&case(name));
    let stage = match kind {
        Some(kind) => stage.of_kind(kind),
        None => stage,
    };
    let (report, steps) = audited(&stage, number).await;
    let flags = kind.map(|kind| vec!["--kind", kind]).unwrap_or_default();
    let mut text = format!(
        "{name} {number:?} {flags:?}, complete: {}\n",
        report.complete
    );
    for row in &report.resources {
        let name = escape::terminal(&row.name);
        let _ = writeln!(
            text,
            "    {} {name}: {}: {}",
            row.kind,
            row.verdict.name().key(),
            escape::terminal(&row.reason)
        );
    }
    text += &steps;
    // No request is sent about resources outside the selection.
    for asked in report
        .evidence
        .iter()
        .filter(|one| one.source.starts_with("github"))
    {
        let _ = writeln!(text, "  asked {}: {}", asked.source, asked.items);
    }
    let _ = writeln!(text, "  requests {:?}", requests(&stage));
    text
}

/// Both shipped Neon schemes in one folder judge a pull request's branches alike
/// with `--pr` and without.
#[tokio::test]
async fn both_neon_schemes_agree_with_and_without_a_pull_request() {
    let folder = tempfile::tempdir().unwrap();
    let schemes = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/schemes");
    for name in [
        "neon-github-integration.toml",
        "vercel-neon-integration.toml",
    ] {
        std::fs::copy(schemes.join(name), folder.path().join(name)).unwrap();
    }
    let world = case("neon-both-schemes");
    let lines = |report: &Report| -> Vec<String> {
        let rows = report.resources.iter();
        rows.map(|row| format!("{}: {}: {}", row.name, row.verdict.name(), row.reason))
            .collect()
    };
    let (all, _) = audited(&Stage::with(folder.path(), &world), None).await;
    let all = lines(&all);
    assert!(
        all.contains(&"preview/pr-42-hotfix: live: pull request #50 is open".to_owned()),
        "{all:?}"
    );
    let garbage = all
        .iter()
        .filter(|line| line.contains(": garbage: "))
        .count();
    assert_eq!(garbage, 4, "{all:?}");
    for (number, about) in [(42, 3), (50, 1), (51, 2), (7, 2), (8, 1)] {
        let (report, _) = audited(&Stage::with(folder.path(), &world), Some(number)).await;
        let of_number = lines(&report);
        assert_eq!(of_number.len(), about, "#{number}: {of_number:?}");
        for line in of_number {
            assert!(all.contains(&line), "#{number}: {line}");
        }
    }
}

/// Nothing is garbage before all data that it depends on was requested,
/// whichever data was requested before.
#[tokio::test]
async fn missing_answers_are_requested() {
    let stage = Stage::open(&case("whole-environment"));
    let collector = stage.collector(None);
    let (audit_scope, listed) = collector.list().await.unwrap();
    let audit = collector.audit(&audit_scope, listed, Choice::All).await;
    let mut findings = audit.findings;
    let input = findings.marking.input.clone();
    let by_workers = |one: &Resource| match one.kind.0.used_by {
        UsedBy::These(users) => users.contains(&"worker"),
        UsedBy::Nothing(_) | UsedBy::Undeclared => false,
    };
    let judged = |findings: &Findings<'_>, marking: &Marking<'_>| {
        let all = findings.inventory.resources.iter().zip(&marking.judgements);
        let garbage =
            all.filter(|(one, judgement)| judgement.verdict.is_garbage() && by_workers(one));
        garbage.count()
    };
    assert!(judged(&findings, &findings.marking) > 4);
    let asked = std::mem::take(&mut findings.inventory.uses);
    let marking = mark::mark(&findings.inventory, &findings.roots, input.clone());
    assert_eq!(judged(&findings, &marking), 0);
    let lists = |questions: &[Question]| {
        let lists = questions.iter();
        lists
            .filter(|question| matches!(question, Question::Users { .. }))
            .count()
    };
    assert_eq!(lists(&marking.questions), 1);
    // The list does not tell what older versions bind that serve traffic.
    assert!(marking.questions.len() > 1);
    findings.inventory.uses.users = asked.users;
    let marking = mark::mark(&findings.inventory, &findings.roots, input.clone());
    assert_eq!(lists(&marking.questions), 0);
    assert_eq!(judged(&findings, &marking), 0, "others may use Workers");
    findings.inventory.uses.sources = asked.sources;
    let marking = mark::mark(&findings.inventory, &findings.roots, input.clone());
    assert_eq!(judged(&findings, &marking), 0, "any Worker may bind them");
    findings.inventory.uses.of = asked.of;
    let marking = mark::mark(&findings.inventory, &findings.roots, input);
    assert!(marking.questions.is_empty());
}

/// Resources with "keep" checked in the tracking issue are kept, whatever their
/// verdict.
#[tokio::test]
async fn resources_with_keep_checked_are_kept() {
    let stage = Stage::open(&case("whole-environment"));
    let (before, _) = audited(&stage, None).await;
    let boxes: String = before
        .resources
        .iter()
        .filter(|row| matches!(row.verdict, Verdict::Garbage(_)))
        .map(|row| boxes::keep_box(&row.name, &row.key, ""))
        .collect();
    let issue = format!("{}\n{boxes}", boxes::MARKER);
    let repository = Repository::parse("acme/shop").unwrap();
    let github = GitHubClient::new(stage.client.clone());
    IssueStore::new(&github, &repository)
        .create("left behind", &issue)
        .await
        .unwrap();
    let (after, steps) = audited(&stage, None).await;
    assert_eq!(steps, "");
    let rows = before.resources.iter().zip(&after.resources);
    let mut kept = 0;
    for (before, after) in rows.filter(|(before, _)| matches!(before.verdict, Verdict::Garbage(_)))
    {
        assert_eq!(
            (after.verdict.name(), &before.key),
            (VerdictName::Protected, &after.key),
            "{}",
            after.name
        );
        assert!(after.reason.contains("issue #"), "{}", after.reason);
        kept += 1;
    }
    assert!(kept > 5);
}
