//! `init --adopt`: shows what each reporting rule would delete, and turns `report`
//! into `delete`, rule by rule, as a person says.

use std::fmt::Write as _;
use std::io::Write as _;

use tokio::time::Instant;

use super::{is_person, shown};
use crate::cli::args::InitArgs;
use crate::cli::session::Session;
use crate::cli::{Exit, Failure, print};
use crate::collector::{Audit, Choice};
use crate::gc::verdict::VerdictName;
use crate::policy::{Action, Rule, Source};
use crate::report::escape;

const REPORT: &str = "action = \"report\"";
const DELETE: &str = "action = \"delete\"";

pub(super) async fn run(arguments: &InitArgs) -> Result<Exit, Failure> {
    let session = Session::open(&arguments.common)?;
    let collector = session.collector(None)?;
    let since = Instant::now();
    let (audit_scope, inventory) = session.list(&collector).await?;
    let audit = collector.audit(&audit_scope, inventory, since, Choice::All);
    let Audit { report, .. } = audit.await;
    session.progress.end();
    if !report.complete {
        return Err(Failure::Incomplete(
            "could not read everything that the rules need: no rule is changed; see `preview-gc audit`"
                .to_owned(),
        ));
    }
    let mut text = String::new();
    let mut changed = 0;
    let mut sources = session.sources.clone();
    let files = session.policies.files.iter();
    let reporting: Vec<&Rule> = files
        .flat_map(|file| file.rules.iter())
        .filter(|rule| rule.action == Action::Report)
        .collect();
    // From the end, so that the bytes before a change stay where they are.
    for rule in reporting.iter().rev() {
        let location = rule.location.to_string();
        let of_rule = || {
            report
                .resources
                .iter()
                .filter(|row| matches!(&row.rule, Some((at, _)) if at.location == rule.location))
        };
        let named = |verdict: VerdictName| -> Vec<String> {
            let rows = of_rule().filter(|row| row.verdict.name() == verdict);
            rows.map(|row| row.name.clone()).collect()
        };
        let (garbage, grace) = (named(VerdictName::Garbage), named(VerdictName::Grace));
        let mut said = format!(
            "rule     {} ({})\n",
            escape::terminal(&rule.id),
            escape::terminal(&location)
        );
        let _ = writeln!(
            said,
            "           would delete {}: {}",
            garbage.len(),
            shown(&garbage)
        );
        let _ = writeln!(
            said,
            "           in grace {}: {}",
            grace.len(),
            shown(&grace)
        );
        let kept = of_rule().count() - garbage.len() - grace.len();
        let _ = writeln!(said, "           keeps {kept} more that it matches");
        if !is_person() || arguments.common.sandbox().is_some() {
            text.push_str(&said);
            continue;
        }
        said.push_str("         Let sweeps delete what this rule finds? [y/N] ");
        if answered(said).await? && adopt(&mut sources, rule) {
            changed += 1;
        }
    }
    if changed > 0 {
        for (new, old) in sources.iter().zip(&session.sources) {
            if new.text != old.text {
                std::fs::write(&new.path, &new.text).map_err(|error| {
                    Failure::Usage(format!("could not write {}: {error}", new.path))
                })?;
                let _ = writeln!(text, "wrote    {}", escape::terminal(&new.path));
            }
        }
    }
    let rules = reporting.len();
    let _ = writeln!(text, "adopted  {changed} of {rules} rules that report");
    if changed == 0 && rules > 0 && !is_person() {
        text.push_str("next     run this in a terminal: each rule is asked about, and nothing changes without an answer\n");
    }
    print(&text)?;
    Ok(Exit::Ok)
}

/// Asks on a thread of its own, because reading may block for ever.
async fn answered(question: String) -> Result<bool, Failure> {
    let mut stderr = std::io::stderr();
    let _ = stderr
        .write_all(question.as_bytes())
        .and_then(|()| stderr.flush());
    let (told, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        let _ = told.send(read.map(|_| answer));
    });
    match answer.await {
        Ok(Ok(answer)) => Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())),
        Ok(Err(error)) => Err(Failure::Unexpected(format!(
            "could not read the answer: {error}"
        ))),
        Err(_) => Ok(false),
    }
}

/// Changes the action of one rule in its text, and nothing else.
fn adopt(sources: &mut [Source], rule: &Rule) -> bool {
    let Some(source) = sources.get_mut(rule.span.source) else {
        return false;
    };
    let start = rule.span.bytes.start;
    let Some(text) = source.text.get(start..) else {
        return false;
    };
    // Up to the next table.
    let text = text.find("\n[").map_or(text, |end| &text[..end]);
    let Some(at) = text.find(REPORT) else {
        return false;
    };
    let start = rule.span.bytes.start + at;
    source
        .text
        .replace_range(start..start + REPORT.len(), DELETE);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repository;
    use crate::policy::{Environment, Policies};
    use crate::providers;

    #[test]
    fn one_rule_is_adopted_and_the_others_stay() {
        let rule = |id: &str| {
            format!(
                "# {id}\n[[rule]]\nid = \"{id}\"\nkind = \"worker\"\nname = \"{id}-pr-{{pr}}\"\n\
                 dead-when = \"closed\"\naction = \"report\"\ngrace = \"30d\"\n\n"
            )
        };
        let text = rule("api") + &rule("web");
        let mut sources = [Source {
            path: "p.toml".to_owned(),
            text: text.clone(),
        }];
        let kinds = providers::vocabulary();
        let repository = Repository::parse("acme/shop");
        let environment = Environment {
            lookup: &|_| None,
            repository: repository.as_ref(),
        };
        let vocabulary = crate::policy::Vocabulary { kinds: &kinds };
        let loaded = Policies::read(&sources, &vocabulary, &environment).unwrap();
        let web = &loaded.policies.files[0].rules[1];
        assert!(adopt(&mut sources, web));
        let expected = rule("api") + &rule("web").replace("report", "delete");
        assert_eq!(sources[0].text, expected);
        assert!(!adopt(&mut sources, web), "it deletes already");
    }
}
