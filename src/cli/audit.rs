//! `preview-gc audit` and `explain`: resources, roots, verdicts, report.
//! Nothing is ever written to a provider from here.

use tokio::time::Instant;

use super::args::{AuditArgs, Format};
use super::session::{Session, look};
use super::{Exit, Failure, actions, print};
use crate::report::table::Look;
use crate::report::{Report, csv, explain, json, markdown, table};

pub(super) async fn run(arguments: AuditArgs, explained: Option<String>) -> Result<Exit, Failure> {
    let session = Session::open(&arguments.common)?;
    session.warn(&arguments.common);
    let collector = session.collector(arguments.pr)?;
    let since = Instant::now();
    let (ground, inventory) = collector.list().await;
    let survey = collector.survey(&ground);
    let mut findings = survey.judge(inventory, since).await;
    let plan = if arguments.out.is_some() {
        collector.plan_for(&survey, &mut findings).await
    } else {
        collector.plan(&findings)
    };
    let report = collector.report(&ground, &findings, &plan);
    session.progress.end();
    if let Some(path) = &arguments.out {
        let sealed = collector.seal(&ground, &findings, &plan, &report);
        std::fs::write(path, sealed.text()).map_err(|error| {
            Failure::Usage(format!(
                "cannot write the plan to {}: {error}",
                path.display()
            ))
        })?;
    }
    match explained {
        Some(name) => {
            let text = explain::render(&report, &name).ok_or_else(|| {
                Failure::Usage(format!(
                    "there is no resource called {name:?} in this scope"
                ))
            })?;
            print(&text)?;
        }
        None => print(&render(
            &report,
            arguments.common.format,
            look(&arguments.common),
        )?)?,
    }
    actions::tell(&report, None);
    actions::measure(&arguments.common, &report)?;
    Ok(Exit::of(&report, arguments.fail_on_garbage))
}

pub(super) fn render(report: &Report, format: Format, look: Look) -> Result<String, Failure> {
    let unexpected = |error: &dyn std::fmt::Display| Failure::Unexpected(error.to_string());
    match format {
        Format::Table => Ok(table::render(report, look)),
        Format::Json => json::render(report).map_err(|error| unexpected(&error)),
        Format::Csv => csv::render(report).map_err(|error| unexpected(&error)),
        Format::Markdown => Ok(markdown::render(report)),
    }
}

#[cfg(all(test, feature = "sandbox"))]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Cli, Verb};
    use crate::gc::outcome::{Recheck, recheck};
    use crate::gc::sealed::SealedStep;
    use crate::report::inert;

    fn session(world: &Path) -> Session {
        let policy = world.with_extension("toml");
        let arguments = [
            "preview-gc".to_owned(),
            "audit".to_owned(),
            "--quiet".to_owned(),
            format!("--sandbox={}", world.display()),
            format!("--policies={}", policy.display()),
        ];
        let cli = Cli::try_parse_from(arguments).unwrap();
        let Some(Verb::Audit(arguments)) = cli.verb else {
            panic!("this is an audit")
        };
        Session::open(&arguments.audit.common).unwrap()
    }

    async fn audited(world: &Path) -> (Report, String) {
        let session = session(world);
        let collector = session.collector(None).unwrap();
        let since = Instant::now();
        let (ground, inventory) = collector.list().await;
        let survey = collector.survey(&ground);
        let mut findings = survey.judge(inventory, since).await;
        let plan = collector.plan_for(&survey, &mut findings).await;
        let report = collector.report(&ground, &findings, &plan);
        let sealed = collector.seal(&ground, &findings, &plan, &report);
        let mut steps = String::new();
        for (index, step) in sealed.steps.iter().enumerate() {
            let _ = writeln!(
                steps,
                "  {index} {:?} {} {} by {} after {:?}",
                step.action, step.kind, step.name, step.rule, step.after
            );
        }
        (report, steps)
    }

    /// What every case comes to: the whole of mark and plan, in process.
    #[tokio::test]
    async fn every_case_is_judged_and_planned_for_its_reasons() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let entries = std::fs::read_dir(folder).unwrap();
        let mut worlds: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        worlds.retain(|path| path.extension().is_some_and(|end| end == "json"));
        worlds.sort();
        let mut text = String::new();
        for world in worlds {
            let (report, steps) = audited(&world).await;
            let name = world.file_stem().unwrap_or_default().to_string_lossy();
            let _ = writeln!(text, "{name}, complete: {}", report.complete);
            for row in &report.resources {
                let _ = writeln!(
                    text,
                    "  {} {}: {}: {} [{}]",
                    row.kind,
                    inert::terminal(&row.name),
                    row.verdict,
                    inert::terminal(&row.reason),
                    row.rule.as_deref().unwrap_or("no rule")
                );
            }
            for brake in &report.brakes {
                let _ = writeln!(text, "  brake on {}: {}", brake.kind, brake.reason);
            }
            for rule in &report.unused_rules {
                let rule = rule.split(" (").next().unwrap_or_default();
                let _ = writeln!(text, "  unused {rule}");
            }
            text.push_str(&steps);
        }
        if cfg!(windows) {
            text = text.replace('\\', "/");
        }
        let here = env!("CARGO_MANIFEST_DIR").replace('\\', "/");
        text = text.replace(&format!("{here}/"), "");
        insta::assert_snapshot!("cases", text);
    }

    /// Each way in which a resource may differ from its step, alone.
    #[tokio::test]
    async fn what_is_not_what_was_planned_is_spared() {
        type Change = fn(&mut SealedStep);
        let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/closed-leftovers.json");
        let session = session(&world);
        let collector = session.collector(None).unwrap();
        let since = Instant::now();
        let (ground, inventory) = collector.list().await;
        let survey = collector.survey(&ground);
        let findings = survey.judge(inventory, since).await;
        let plan = collector.plan(&findings);
        let report = collector.report(&ground, &findings, &plan);
        let sealed = collector.seal(&ground, &findings, &plan, &report);
        let ids = sealed.resources(survey.law.kinds).unwrap();
        let changes: [(&str, Change); 5] = [
            ("made anew", |step| {
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
        for (step, id) in sealed.steps.iter().zip(&ids) {
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
                    let said = matches!(&verdict, Recheck::Spared(said) if said.contains(why));
                    assert!(said, "{id}: {verdict:?}");
                    spared += 1;
                }
            }
            // What lives now is spared, whatever was planned.
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
}
