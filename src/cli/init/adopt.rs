//! `init --adopt`: shows what each reporting rule would delete, and turns `report`
//! into `delete`, rule by rule, as a person says.

use std::fmt::Write as _;

use super::shown;
use crate::cli::args::InitArgs;
use crate::cli::consent::{answer, is_person};
use crate::cli::session::Session;
use crate::cli::{Exit, RunFailure, print, settings};
use crate::collector::Choice;
use crate::gc::verdict::VerdictName;
use crate::policy::{Action, Policy, PolicySource, Rule};
use crate::report::{Report, escape};

const REPORT: &str = "action = \"report\"";
const DELETE: &str = "action = \"delete\"";

pub(super) async fn run(arguments: &InitArgs) -> Result<Exit, RunFailure> {
    let session = Session::open(&arguments.common)?;
    let collector = session.collector(None)?;
    let (audit_scope, listed) = session.list(&collector).await?;
    let audit = collector.audit(&audit_scope, listed, Choice::All);
    let report = audit.await.report;
    session.progress.end();
    if !report.complete {
        return Err(RunFailure::Incomplete(
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
    let actions = |sources: &[PolicySource]| {
        let read =
            settings::read(sources, &session.connection.variables, &arguments.common).ok()?;
        Some(actions_of(&read.policies.files))
    };
    for rule in &reporting {
        let mut prompt = effect(rule, &report);
        if !is_person() || arguments.common.sandbox().is_some() {
            text.push_str(&prompt);
            continue;
        }
        prompt.push_str("         Let sweeps delete what this rule finds? [y/N] ");
        let answer = answer(&prompt, session.client.deadline()).await?;
        if !["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
            continue;
        }
        if adopt(&mut sources, rule, &actions) {
            changed += 1;
        } else {
            let _ = writeln!(
                text,
                "kept     rule {} ({}): its action cannot be changed safely here; write \
                 {DELETE} in it by hand",
                escape::terminal(&rule.id),
                escape::terminal(&rule.location.to_string())
            );
        }
    }
    let written = sources.iter().zip(&session.sources);
    for (new, old) in written.filter(|_| changed > 0) {
        if new.text != old.text {
            std::fs::write(&new.path, &new.text).map_err(|error| {
                RunFailure::Usage(format!("could not write {}: {error}", new.path))
            })?;
            let _ = writeln!(text, "wrote    {}", escape::terminal(&new.path));
        }
    }
    let rules = reporting.len();
    let _ = if rules == 0 {
        writeln!(text, "adopted  nothing: no rule has action = \"report\"")
    } else {
        writeln!(text, "adopted  {changed} of {rules} rules that report")
    };
    if changed > 0 {
        text.push_str(
            "next     remove `grace = \"30d\"` from these rules: every sweep waits for it, also with --pr\n",
        );
    }
    if changed == 0 && rules > 0 && !is_person() && arguments.common.sandbox().is_none() {
        text.push_str("next     run this in a terminal: each rule is asked about, and nothing changes without an answer\n");
    }
    print(&text)?;
    Ok(Exit::Ok)
}

/// The lines that say what a rule would delete and keep.
fn effect(rule: &Rule, report: &Report) -> String {
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
    let kept = of_rule().count() - garbage.len() - grace.len();
    format!(
        "rule     {} ({})\n           would delete now: {}\n           would delete when its grace has \
         ended: {}\n           would keep {kept} more that it matches\n",
        escape::terminal(&rule.id),
        escape::terminal(&rule.location.to_string()),
        counted(&garbage),
        counted(&grace),
    )
}

/// Returns how many names there are, and the first of them.
fn counted(names: &[String]) -> String {
    match names.len() {
        0 => "nothing".to_owned(),
        count => format!("{count}: {}", shown(names)),
    }
}

/// The action of each rule, with its file and id.
type Actions = Vec<(usize, String, Action)>;

/// Returns the actions of all rules.
fn actions_of(files: &[Policy]) -> Actions {
    let files = files.iter().flat_map(|file| file.rules.iter());
    files
        .map(|rule| (rule.span.source, rule.id.to_string(), rule.action))
        .collect()
}

/// Changes the action of one rule in its text. The changed files are read again:
/// exactly this action must have changed, however the file is written.
fn adopt(
    sources: &mut [PolicySource],
    rule: &Rule,
    actions: &dyn Fn(&[PolicySource]) -> Option<Actions>,
) -> bool {
    let of_rule =
        |(source, id, _): &(usize, String, Action)| *source == rule.span.source && **id == *rule.id;
    let Some(mut expected) = actions(sources) else {
        return false;
    };
    let mut own = expected.iter_mut().filter(|one| of_rule(one));
    let (Some((.., action)), None) = (own.next(), own.next()) else {
        return false;
    };
    *action = Action::Delete;
    let Some(text) = sources.get(rule.span.source).map(|one| one.text.clone()) else {
        return false;
    };
    let candidates = text.match_indices(REPORT).map(|(at, _)| at);
    for at in candidates.filter(|at| *at >= rule.span.bytes.start) {
        let changed = &mut sources[rule.span.source].text;
        changed.replace_range(at..at + REPORT.len(), DELETE);
        if actions(sources).as_ref() == Some(&expected) {
            return true;
        }
        sources[rule.span.source].text.clone_from(&text);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repository;
    use crate::policy::{Policies, PolicyContext};
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
        let mut sources = [PolicySource {
            path: "p.toml".to_owned(),
            text: text.clone(),
        }];
        let kinds = providers::vocabulary();
        let repository = Repository::parse("acme/shop");
        let environment = PolicyContext {
            lookup: &|_| None,
            repository: repository.as_ref(),
            names_file: &|_, _| Err(String::new()),
        };
        let vocabulary = crate::policy::Vocabulary {
            kinds: &kinds,
            scopes: &providers::scopes(),
        };
        let loaded = Policies::read(&sources, &vocabulary, &environment).unwrap();
        let web = &loaded.policies.files[0].rules[1];
        let actions = |sources: &[PolicySource]| {
            let read = Policies::read(sources, &vocabulary, &environment).ok()?;
            Some(actions_of(&read.policies.files))
        };
        assert!(adopt(&mut sources, web, &actions));
        let expected = rule("api") + &rule("web").replace("report", "delete");
        assert_eq!(sources[0].text, expected);
        assert!(!adopt(&mut sources, web, &actions), "it deletes already");
        // Another spelling, a comment, and a table that does not begin its line:
        // the rule after it is never changed for it.
        let quoted = rule("api").replace("\"report\"", "'report'");
        let next = rule("web").replace("[[rule]]", "  [[rule]]");
        let text = quoted.clone() + &next;
        let mut sources = [PolicySource {
            path: "p.toml".to_owned(),
            text: text.clone(),
        }];
        let loaded = Policies::read(&sources, &vocabulary, &environment).unwrap();
        let api = &loaded.policies.files[0].rules[0];
        assert!(!adopt(&mut sources, api, &actions));
        assert_eq!(sources[0].text, text);
        let commented = rule("api").replace("kind =", "# action = \"report\"\nkind =");
        let mut sources = [PolicySource {
            path: "p.toml".to_owned(),
            text: commented.clone(),
        }];
        let loaded = Policies::read(&sources, &vocabulary, &environment).unwrap();
        assert!(adopt(
            &mut sources,
            &loaded.policies.files[0].rules[0],
            &actions
        ));
        let expected = commented.replace("\naction = \"report\"", "\naction = \"delete\"");
        assert_eq!(sources[0].text, expected);
    }
}
