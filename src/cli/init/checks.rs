//! `init --check`: compares what the workflows make with what the rules match.
//! Sends no request.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::args::InitArgs;
use crate::cli::connect::EnvironmentVariables;
use crate::cli::{Exit, RunFailure, print, settings};
use crate::init::workflows::{UNKNOWN, WorkflowFacts, WorkflowName};
use crate::policy::Policies;
use crate::providers;
use crate::report::escape;
use crate::report::format::Format;

/// A number that stands for any pull request.
const NUMBER: &str = "4242";

/// The document of `--check --format json`.
#[derive(Debug, Serialize, Default)]
struct InitCheckDocument {
    schema: u32,
    /// Names that workflows make and no rule matches.
    unmatched: Vec<WorkflowName>,
    /// Rules whose names no workflow makes any more.
    unmade: Vec<String>,
    /// Templates with unknown parts, which could not be compared.
    undetermined: Vec<WorkflowName>,
    advice: Vec<String>,
}

pub(super) fn run(arguments: &InitArgs, read: &WorkflowFacts) -> Result<Exit, RunFailure> {
    let variables = EnvironmentVariables { fixed: None };
    let (_, loaded) = settings::policies(&arguments.common, &variables)?;
    let found = compare(&loaded.policies, read);
    let wrong = !found.unmatched.is_empty() || !found.unmade.is_empty();
    if arguments.common.format() == Format::Json {
        let text = serde_json::to_string_pretty(&found)
            .map_err(|error| RunFailure::Unexpected(error.to_string()))?;
        print(&format!("{text}\n"))?;
    } else {
        print(&render(&found, read))?;
    }
    Ok(if wrong { Exit::Garbage } else { Exit::Ok })
}

fn compare(policies: &Policies, read: &WorkflowFacts) -> InitCheckDocument {
    let mut found = InitCheckDocument {
        schema: 1,
        advice: read.advice.clone(),
        ..InitCheckDocument::default()
    };
    let mut used = BTreeSet::new();
    let mut compared = BTreeSet::new();
    let mut undetermined = BTreeSet::new();
    for made in &read.made {
        let Some(kind) = providers::by_name(made.kind) else {
            continue;
        };
        let kind = kind.about();
        let holes = ["{branch}", "{slug}", "{run}"];
        // Branches and slugs match only what something known gives.
        if made.template.contains(UNKNOWN)
            || !made.template.contains("{pr}")
            || holes.iter().any(|hole| made.template.contains(hole))
            || kind.branch.is_some()
        {
            undetermined.insert(made.kind);
            found.undetermined.push(made.clone());
            continue;
        }
        compared.insert(made.kind);
        let name = made.template.replace("{pr}", NUMBER);
        let mut matched = false;
        for policy in &policies.files {
            for (rule, _) in policy.rules.match_name(kind, &name) {
                used.insert(policy.rules[rule].location.to_string());
                matched = true;
            }
        }
        if !matched {
            found.unmatched.push(made.clone());
        }
    }
    for rule in policies.files.iter().flat_map(|file| file.rules.iter()) {
        let kinds: Vec<_> = rule.kinds.iter().map(|kind| kind.name()).collect();
        let known = kinds
            .iter()
            .all(|kind| compared.contains(kind) && !undetermined.contains(kind));
        let location = rule.location.to_string();
        if known && !kinds.is_empty() && !used.contains(&location) {
            found.unmade.push(format!("{} ({location})", rule.id));
        }
    }
    found
}

fn render(found: &InitCheckDocument, read: &WorkflowFacts) -> String {
    let mut text = String::new();
    for made in &found.unmatched {
        let (kind, template) = (made.kind, escape::terminal(&made.template));
        let location = escape::terminal(&made.location);
        let _ = writeln!(
            text,
            "wrong    {location} names {kind} {template}, and no rule matches it"
        );
    }
    for rule in &found.unmade {
        let rule = escape::terminal(rule);
        let _ = writeln!(
            text,
            "wrong    rule {rule} matches nothing that a workflow names"
        );
    }
    for made in &found.undetermined {
        let (kind, template) = (made.kind, escape::terminal(&made.template));
        let location = escape::terminal(&made.location);
        let _ = writeln!(
            text,
            "unknown  {location} names {kind} {template}, which could not be compared"
        );
    }
    for advice in &found.advice {
        let _ = writeln!(text, "advice   {}", escape::terminal(advice));
    }
    if read.workflows == 0 {
        text.push_str(
            "warning  no workflow was found in .github/workflows, so nothing was checked\n",
        );
    }
    let wrong = found.unmatched.len() + found.unmade.len();
    let names = read.made.len();
    let _ = writeln!(
        text,
        "checked  {names} names in {} workflows: {wrong} wrong",
        read.workflows
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repository;
    use crate::policy::{PolicyContext, PolicySource};

    #[test]
    fn names_without_a_rule_and_rules_without_a_name_are_found() {
        let made = |template: &str| WorkflowName {
            kind: "worker",
            template: template.to_owned(),
            location: "preview.yml:3".to_owned(),
            deletes: false,
        };
        let text = "[[rule]]\nid = \"a\"\nkind = \"worker\"\nname = \"api-pr-{pr}\"\ndead-when = \"closed\"\n\
                    [[rule]]\nid = \"b\"\nkind = \"worker\"\nname = \"old-pr-{pr}\"\ndead-when = \"closed\"\n";
        let source = PolicySource {
            path: "p.toml".to_owned(),
            text: text.to_owned(),
        };
        let kinds = providers::vocabulary();
        let repository = Repository::parse("acme/shop");
        let environment = PolicyContext {
            lookup: &|_| None,
            repository: repository.as_ref(),
            names_file: &|_, _| Err(String::new()),
        };
        let loaded = Policies::read(
            &[source],
            &crate::policy::Vocabulary {
                kinds: &kinds,
                scopes: &providers::scopes(),
            },
            &environment,
        )
        .unwrap();
        let reading = |all: &[&str]| WorkflowFacts {
            made: all.iter().map(|one| made(one)).collect(),
            ..WorkflowFacts::default()
        };
        let found = compare(&loaded.policies, &reading(&["api-pr-{pr}", "web-pr-{pr}"]));
        assert_eq!(found.unmatched, [made("web-pr-{pr}")]);
        assert_eq!(found.unmade, ["b (p.toml:6)"]);
        // What could not be read proves no rule wrong.
        let found = compare(&loaded.policies, &reading(&["api-pr-{pr}", "{*}-pr-{pr}"]));
        assert!(found.unmatched.is_empty() && found.unmade.is_empty());
        assert_eq!(found.undetermined, [made("{*}-pr-{pr}")]);
    }
}
