//! `preview-gc check`: policies, names, credentials and permissions.

mod branches;
mod names;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use tabled::settings::Style;

use self::branches::BranchName;
use self::names::NameMatch;
use super::args::CheckArgs;
use super::session::Session;
use super::terminal::wants_colour;
use super::{Exit, RunFailure, print};
use crate::doctor::deep::Deep;
use crate::doctor::{self, Access};
use crate::model::code::Code;
use crate::policy::{Diagnostic, overlap, render, schema};
use crate::providers;
use crate::report::brief::plural;
use crate::report::format::Format;
use crate::report::{Report, escape};

/// Everything that was checked.
#[derive(Debug, Serialize)]
struct CheckDocument {
    schema: u32,
    names: Vec<NameMatch>,
    /// What the policies make of the git branches in the arguments.
    branches: Vec<BranchName>,
    access: Vec<Access>,
    /// Permissions that a sweep needs, which cannot be tested without deleting.
    needed_to_delete: Vec<String>,
    /// What `--deep` found.
    #[serde(skip_serializing_if = "Option::is_none")]
    deep: Option<Deep>,
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
        return print_schema();
    }
    let format = arguments.common.format();
    if format == Format::Csv {
        return Err(RunFailure::Usage(
            "check cannot print csv: its tables differ; use --format table, markdown or json"
                .to_owned(),
        ));
    }
    let session = Session::open(&arguments.common)?;
    let mut diagnostics = session.warnings.clone();
    diagnostics.extend(overlap::check(&session.policies.files));
    let names = wanted(&arguments)?;
    let kinds = session
        .only_kinds
        .clone()
        .unwrap_or_else(providers::vocabulary);
    let mut warnings = Vec::new();
    let files = &session.policies.files;
    let read = names::matches(files, &kinds, &names, &mut warnings);
    if arguments.names_from.is_some() {
        warnings.extend(names::unused(files, &kinds, &names));
    }
    let branches = arguments.branch.iter();
    let branches: Vec<_> = branches
        .flat_map(|branch| branches::of(files, branch, &mut warnings))
        .collect();
    let mut examined = None;
    let exit = if arguments.offline {
        Ok(Exit::Ok)
    } else {
        let tried = match session.collector(None) {
            Ok(collector) => {
                let tried = doctor::examine(&collector, arguments.deep).await;
                tried.map_err(|mistakes| session.refuse(&mistakes))
            }
            Err(failure) => Err(failure),
        };
        tried.map(|found| {
            warnings.extend(unused(&found.report));
            let unknown = found.report.unknown_bindings.iter();
            warnings.extend(unknown.map(ToString::to_string));
            warnings.extend(found.deep.iter().flat_map(Deep::warnings));
            let agrees = found.deep.as_ref().is_none_or(Deep::agrees);
            let works = agrees && found.access.iter().all(|access| access.works);
            let exit = Exit::of(&found.report, false);
            examined = Some(found);
            if works { exit } else { Exit::Incomplete }
        })
    };
    session.progress.end();
    warnings.extend(session.client.clock_skew().map(|skew| skew.to_string()));
    let (access, needed_to_delete, deep) = match examined {
        Some(found) => (found.access, found.untried, found.deep),
        None => Default::default(),
    };
    let found = CheckFindings {
        names: read,
        branches,
        access,
        needed_to_delete,
        deep,
        warnings,
        diagnostics,
    };
    match format {
        Format::Json => print(&found.json(&session)?)?,
        Format::Table | Format::Csv | Format::Markdown => {
            let colour = wants_colour(
                arguments.common.color,
                std::io::IsTerminal::is_terminal(&std::io::stdout()),
            );
            let colour = colour && format == Format::Table;
            print(&found.text(&session, &arguments, colour, exit.as_ref().ok()))?;
        }
    }
    exit
}

/// Prints the JSON schema of policy files.
fn print_schema() -> Result<Exit, RunFailure> {
    let kinds = providers::vocabulary();
    let schema = schema::schema(&crate::policy::Vocabulary {
        kinds: &kinds,
        scopes: &providers::scopes(),
    });
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| RunFailure::Unexpected(error.to_string()))?;
    print(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}

/// What was checked, before it is printed.
struct CheckFindings {
    names: Vec<NameMatch>,
    branches: Vec<BranchName>,
    access: Vec<Access>,
    needed_to_delete: Vec<String>,
    deep: Option<Deep>,
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
            branches: self.branches,
            access: self.access,
            needed_to_delete: self.needed_to_delete,
            deep: self.deep,
            warnings: self.warnings,
        };
        let text = serde_json::to_string_pretty(&checked)
            .map_err(|error| RunFailure::Unexpected(error.to_string()))?;
        Ok(format!("{text}\n"))
    }

    /// Renders it for people, with the result if the check came to one.
    fn text(
        &self,
        session: &Session,
        arguments: &CheckArgs,
        colour: bool,
        exit: Option<&Exit>,
    ) -> String {
        let exit = exit.copied();
        let format = arguments.common.format();
        let mut text = render(&self.diagnostics, &session.sources, colour);
        if format == Format::Markdown && !text.is_empty() {
            text = format!("```text\n{text}```\n\n");
        }
        text.push_str(&tables(self, format));
        if !self.needed_to_delete.is_empty() {
            text.push_str(
                "A sweep also needs these permissions, which cannot be tested without deleting:\n",
            );
            for needed in &self.needed_to_delete {
                let _ = writeln!(text, "  {}", escape::terminal(needed));
            }
            text.push('\n');
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {}", escape::terminal(warning));
        }
        if exit == Some(Exit::Incomplete) {
            text.push_str(
                "Not OK: a sweep deletes nothing that depends on what could not be read\n",
            );
        }
        if exit == Some(Exit::Ok) {
            let files = &session.policies.files;
            let rules: usize = files.iter().map(|file| file.rules.len()).sum();
            let _ = writeln!(
                text,
                "OK: {} in {}",
                plural(rules, "rule"),
                plural(files.len(), "policy file")
            );
        }
        if arguments.offline {
            text.push_str("--offline: tokens and permissions were not tested\n");
        }
        text
    }
}

/// Returns the names from the arguments and from a file.
fn wanted(arguments: &CheckArgs) -> Result<Vec<String>, RunFailure> {
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

/// Names in files of `protect` entries that are shown one by one.
const SHOWN_NAMES: usize = 20;

/// Returns warnings for rules that match no existing resource, and for `protect`
/// entries that cover none.
fn unused(report: &Report) -> Vec<String> {
    let protects = report.unused_protects.iter();
    let protects = protects.map(|at| {
        format!(
            "[[protect]] {at} covers nothing that exists: compare the names in it with those that \
             `audit --all` shows"
        )
    });
    let idle = report.idle_protects.iter();
    let idle = idle.map(|at| {
        format!(
            "[[protect]] {at} covers nothing that was listed: leave it if it is meant for later, or \
             for kinds that no rule is about; otherwise compare the names in it with those that \
             `audit --all` shows"
        )
    });
    let rules = report.unused_rules.iter();
    let names = report.unused_names.iter().take(SHOWN_NAMES);
    let names = names.map(|at| {
        format!("{at} covers nothing that exists: compare it with what `audit --all` shows")
    });
    let more = report.unused_names.len().saturating_sub(SHOWN_NAMES);
    let more = (more > 0).then(|| format!("{more} more names in files cover nothing that exists"));
    rules
        .map(|rule| report.why_unused(rule))
        .chain(protects)
        .chain(idle)
        .chain(names)
        .chain(more)
        .collect()
}

fn tables(found: &CheckFindings, format: Format) -> String {
    let escaped = match format {
        Format::Markdown => escape::markdown,
        Format::Table | Format::Json | Format::Csv => escape::terminal,
    };
    let mut text = String::new();
    let mut add = |header: &[&str], rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return;
        }
        let mut builder = tabled::builder::Builder::default();
        builder.push_record(header.iter().copied());
        for row in rows {
            builder.push_record(row.iter().map(|cell| escaped(cell)));
        }
        let mut table = builder.build();
        if format == Format::Markdown {
            table.with(Style::markdown());
        } else {
            table.with(Style::blank());
        }
        for line in table.to_string().lines() {
            let _ = writeln!(text, "{}", line.trim());
        }
        text.push('\n');
    };
    add(
        &["name", "kind", "belongs to", "rule", "depends on"],
        found
            .names
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
        &["branch", "slug", "gives", "rule"],
        found
            .branches
            .iter()
            .map(|one| {
                vec![
                    one.branch.clone(),
                    one.slug.clone(),
                    one.gives.clone(),
                    one.rule.clone(),
                ]
            })
            .collect(),
    );
    add(
        &["access", "where", "answer"],
        doctor::once_for_each_provider(&found.access)
            .iter()
            .map(|one| vec![one.what.clone(), one.scope.clone(), one.answer.clone()])
            .collect(),
    );
    for (header, rows) in found.deep.iter().flat_map(deep_tables) {
        add(header, rows);
    }
    text
}

/// Returns the tables of the deep check.
fn deep_tables(deep: &Deep) -> [(&'static [&'static str], Vec<Vec<String>>); 3] {
    let listings = deep.listings.iter().map(|one| {
        let total = one
            .total
            .map_or_else(|| "-".to_owned(), |total| total.to_string());
        let (pages, items) = (one.pages.to_string(), one.items.to_string());
        let (kind, place) = (one.kind.to_owned(), one.place.clone());
        vec![kind, place, pages, items, total, one.answer.clone()]
    });
    let headers = deep.headers.iter().map(|one| {
        let last = one.last.clone().unwrap_or_else(|| "-".to_owned());
        let seen = format!("{} of {}", one.seen, one.of);
        vec![one.provider.to_owned(), one.header.to_owned(), seen, last]
    });
    let facts = deep.facts.iter().map(|one| {
        let state = one.state.words().to_owned();
        vec![
            one.key.clone(),
            state,
            one.expected.clone(),
            one.seen.clone(),
        ]
    });
    [
        (
            &["listing", "where", "pages", "items", "total", "answer"],
            listings.collect(),
        ),
        (
            &["provider", "header", "answers", "last"],
            headers.collect(),
        ),
        (&["fact", "is", "expected", "seen"], facts.collect()),
    ]
}
