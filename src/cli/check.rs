//! `preview-gc check`: policies, names, credentials and permissions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use tabled::settings::Style;

use super::args::CheckArgs;
use super::session::Session;
use super::terminal::wants_colour;
use super::{Exit, RunFailure, print};
use crate::doctor::{self, Access};
use crate::gc::Verdict;
use crate::gc::verdict::Unmatched;
use crate::model::code::Code;
use crate::model::{Claim, KindRef, Repository};
use crate::policy::{Diagnostic, Policy, RefusedMatch, Rule, overlap, render, schema};
use crate::providers;
use crate::report::format::Format;
use crate::report::{Report, RuleAt, escape};

/// How the rules match a name.
#[derive(Debug, Serialize)]
struct NameMatch {
    name: String,
    kind: KindRef,
    claim: String,
    rule: String,
    asks: String,
}

/// Everything that was checked.
#[derive(Debug, Serialize)]
struct CheckDocument {
    schema: u32,
    names: Vec<NameMatch>,
    access: Vec<Access>,
    /// Permissions that a sweep needs, which cannot be tested without deleting.
    needed_to_delete: Vec<String>,
    warnings: Vec<String>,
    /// Remarks on the policies, each with its code.
    diagnostics: Vec<Remark>,
}

/// A remark on a policy.
#[derive(Debug, Serialize)]
struct Remark {
    code: Code,
    message: String,
    /// `file:line`
    location: String,
}

pub(super) async fn run(arguments: CheckArgs) -> Result<Exit, RunFailure> {
    if arguments.schema {
        let kinds = providers::vocabulary();
        let schema = schema::schema(&crate::policy::Vocabulary {
            kinds: &kinds,
            scopes: &providers::scopes(),
        });
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| RunFailure::Unexpected(error.to_string()))?;
        print(&format!("{text}\n"))?;
        return Ok(Exit::Ok);
    }
    let session = Session::open(&arguments.common)?;
    let mut diagnostics = session.warnings.clone();
    diagnostics.extend(overlap::check(&session.policies.files));
    let names = names(&arguments)?;
    let kinds = session
        .only_kinds
        .clone()
        .unwrap_or_else(providers::vocabulary);
    let mut warnings = Vec::new();
    let read = match_names(&session.policies.files, &kinds, &names, &mut warnings);
    let mut examined = None;
    let exit = if arguments.offline {
        Ok(Exit::Ok)
    } else {
        let tried = match session.collector(None) {
            Ok(collector) => {
                let tried = doctor::examine(&collector).await;
                tried.map_err(|mistakes| session.refuse(&mistakes))
            }
            Err(failure) => Err(failure),
        };
        tried.map(|found| {
            warnings.extend(unused(&found.report));
            let works = found.access.iter().all(|access| access.works);
            let exit = Exit::of(&found.report, false);
            examined = Some(found);
            if works { exit } else { Exit::Incomplete }
        })
    };
    session.progress.end();
    warnings.extend(session.client.clock_skew().map(|skew| skew.to_string()));
    let (access, needed_to_delete) = match examined {
        Some(found) => (found.access, found.untried),
        None => Default::default(),
    };
    let found = CheckFindings {
        names: read,
        access,
        needed_to_delete,
        warnings,
        diagnostics,
    };
    match arguments.common.format() {
        Format::Json => print(&found.json(&session)?)?,
        Format::Table | Format::Csv | Format::Markdown => {
            let colour = wants_colour(
                arguments.common.color,
                std::io::IsTerminal::is_terminal(&std::io::stdout()),
            );
            print(&found.text(&session, colour, exit.is_ok()))?;
        }
    }
    exit
}

/// What was checked, before it is printed.
struct CheckFindings {
    names: Vec<NameMatch>,
    access: Vec<Access>,
    needed_to_delete: Vec<String>,
    warnings: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

impl CheckFindings {
    fn json(mut self, session: &Session) -> Result<String, RunFailure> {
        let messages = self.diagnostics.iter().map(|one| one.message.clone());
        self.warnings.extend(messages);
        let remarks = self.diagnostics.iter().filter_map(|one| {
            let source = session.sources.get(one.source)?;
            Some(Remark {
                code: one.code,
                message: one.message.clone(),
                location: format!("{}:{}", source.path, source.line(one.span.start)),
            })
        });
        let checked = CheckDocument {
            schema: 1,
            diagnostics: remarks.collect(),
            names: self.names,
            access: self.access,
            needed_to_delete: self.needed_to_delete,
            warnings: self.warnings,
        };
        let text = serde_json::to_string_pretty(&checked)
            .map_err(|error| RunFailure::Unexpected(error.to_string()))?;
        Ok(format!("{text}\n"))
    }

    /// Renders it for people. `is_usable` says whether a run could begin.
    fn text(&self, session: &Session, colour: bool, is_usable: bool) -> String {
        let mut text = render(&self.diagnostics, &session.sources, colour);
        text.push_str(&tables(&self.names, &self.access));
        if !self.needed_to_delete.is_empty() {
            text.push_str(
                "A sweep also needs these permissions, which cannot be tried without deleting:\n",
            );
            for needed in &self.needed_to_delete {
                let _ = writeln!(text, "  {}", escape::terminal(needed));
            }
            text.push('\n');
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {}", escape::terminal(warning));
        }
        if is_usable {
            let files = &session.policies.files;
            let rules: usize = files.iter().map(|file| file.rules.len()).sum();
            let _ = writeln!(
                text,
                "{} and {} can be used",
                count(files.len(), "policy file"),
                count(rules, "rule")
            );
        }
        text
    }
}

fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// Returns the names from the arguments and from a file.
fn names(arguments: &CheckArgs) -> Result<Vec<String>, RunFailure> {
    let mut names = arguments.names.clone();
    if let Some(path) = &arguments.names_from {
        let text = if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let text = text.map_err(|error| {
            RunFailure::Usage(format!(
                "cannot read names from {}: {error}",
                path.display()
            ))
        })?;
        names.extend(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(ToOwned::to_owned),
        );
    }
    Ok(names)
}

/// Matches names against the rules, and returns warnings.
fn match_names(
    files: &[Policy],
    kinds: &[KindRef],
    names: &[String],
    warnings: &mut Vec<String>,
) -> Vec<NameMatch> {
    let mut matches = Vec::new();
    let mut used = BTreeSet::new();
    for name in names {
        let before = matches.len();
        for &kind in kinds {
            let entries = files.iter().flat_map(|file| &file.protects);
            let protected = entries
                .filter(|entry| entry.kinds.is_some() && entry.names(kind, name))
                .map(|entry| format!("protected: {} ({})", entry.reason, entry.location))
                .next();
            let first = matches.len();
            for policy in files {
                for (rule, claim) in policy.rules.read_name(kind, name) {
                    let rule = &policy.rules[rule];
                    used.insert((&rule.location.path, rule.location.line));
                    matches.push(NameMatch {
                        name: name.clone(),
                        kind,
                        asks: protected
                            .clone()
                            .unwrap_or_else(|| depends_on(rule, &claim, &policy.repository)),
                        claim: claim.to_string(),
                        rule: format!("{} ({})", rule.id, rule.location),
                    });
                }
            }
            let by_attribute = files.iter().flat_map(|file| file.rules.iter());
            for rule in by_attribute {
                let Some(key) = rule.claim_attribute(kind, name) else {
                    continue;
                };
                used.insert((&rule.location.path, rule.location.line));
                matches.push(NameMatch {
                    name: name.clone(),
                    kind,
                    claim: format!("in its `{key}`"),
                    rule: format!("{} ({})", rule.id, rule.location),
                    asks: protected
                        .clone()
                        .unwrap_or_else(|| format!("what its `{key}` says")),
                });
            }
            let by: BTreeSet<_> = matches[first..]
                .iter()
                .map(|one| one.rule.as_str())
                .collect();
            if by.len() > 1 {
                warnings.push(format!(
                    "{kind} {name} is matched by {}: it is kept unless all of them call it dead",
                    by.into_iter().collect::<Vec<_>>().join(" and ")
                ));
            }
        }
        if matches.len() == before {
            warnings.push(format!("no rule matches {name}: it is kept"));
        }
    }
    if !names.is_empty() {
        for rule in files.iter().flat_map(|file| file.rules.iter()) {
            if !rule.kinds.is_empty() && !used.contains(&(&rule.location.path, rule.location.line))
            {
                warnings.push(format!(
                    "rule {} ({}) matches none of these names",
                    rule.id, rule.location
                ));
            }
        }
    }
    matches
}

/// Returns what decides whether a resource with that claim is garbage.
fn depends_on(rule: &Rule, claim: &Claim, repository: &Repository) -> String {
    let conditions = rule.conditions_written();
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(", where {}", conditions.join(" and "))
    };
    format!("{}{conditions}", owner_asked(rule, claim, repository))
}

/// Returns what is asked about the owner that a name claims.
fn owner_asked(rule: &Rule, claim: &Claim, repository: &Repository) -> String {
    if !rule.asks_about(claim) {
        return "nothing: its own age decides".to_owned();
    }
    match claim {
        Claim::PullRequest(number) => format!("pull request {repository}#{number}"),
        Claim::Branch(branch) => {
            format!("whether {repository} has a git branch {branch}, and pull requests from it")
        }
        Claim::Slug { function, text } => format!(
            "the git branches and pull requests of {repository} whose slug ({function}) is {text}"
        ),
        Claim::Run(run) => format!("Actions run {run} of {repository}"),
        Claim::Itself => "nothing: its own age decides".to_owned(),
    }
}

/// Returns warnings for rules that match no existing resource, with the condition
/// that refuses the names which their templates match, and for `protect` entries
/// that cover none.
fn unused(report: &Report) -> Vec<String> {
    let protects = report.unused_protects.iter();
    let protects = protects.map(|at| {
        format!(
            "[[protect]] {at} covers nothing that exists: compare the names in it with those that \
             `audit --all` shows"
        )
    });
    let rules = report.unused_rules.iter();
    rules
        .map(|rule| match refused(report, rule) {
            None => format!("rule {rule} matches no existing name"),
            Some((count, condition)) => format!(
                "rule {rule} matches no existing resource: its name matches {count}, but not its \
                 conditions, the first of them {condition}"
            ),
        })
        .chain(protects)
        .collect()
}

/// Returns how many names a rule's conditions refuse, and the first condition. No
/// name and no value is said: the log may be public, and no rule matches them.
fn refused<'r>(report: &'r Report, rule: &RuleAt) -> Option<(usize, &'r str)> {
    let rows = report.resources.iter().filter_map(|row| {
        let Verdict::Unmatched(Unmatched::Refused(refusals)) = &row.verdict else {
            return None;
        };
        let of_rule = |one: &&RefusedMatch| *one.rule == *rule.id && one.location == rule.location;
        let refusal = refusals.iter().find(of_rule)?;
        Some(&*refusal.condition)
    });
    let found: Vec<_> = rows.collect();
    Some((found.len(), *found.first()?))
}

fn tables(names: &[NameMatch], access: &[Access]) -> String {
    let mut text = String::new();
    let mut add = |header: &[&str], rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return;
        }
        let mut builder = tabled::builder::Builder::default();
        builder.push_record(header.iter().copied());
        for row in rows {
            builder.push_record(row.iter().map(|cell| escape::terminal(cell)));
        }
        let mut table = builder.build();
        table.with(Style::blank());
        for line in table.to_string().lines() {
            let _ = writeln!(text, "{}", line.trim());
        }
        text.push('\n');
    };
    add(
        &["name", "kind", "claim", "rule", "asks"],
        names
            .iter()
            .map(|one| {
                vec![
                    one.name.clone(),
                    one.kind.to_string(),
                    one.claim.clone(),
                    one.rule.clone(),
                    one.asks.clone(),
                ]
            })
            .collect(),
    );
    add(
        &["access", "where", "answer"],
        access
            .iter()
            .map(|one| vec![one.what.clone(), one.scope.clone(), one.answer.clone()])
            .collect(),
    );
    text
}
