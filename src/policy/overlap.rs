//! Rules that match the same names, and `protect` entries without effect.

use super::automaton::Graph;
use super::rule::{Pattern, Patterns};
use super::template::Template;
use super::{Diagnostic, MatchSubject, Policy, Protect, Rule, Severity};
use crate::model::KindRef;
use crate::model::code::Code;

impl Pattern {
    fn graph(&self) -> Graph {
        match self {
            Self::Glob(glob) => Graph::of_glob(glob),
            Self::Host(forms) => forms[0].graph(),
            Self::Template(template) => template.graph(),
        }
    }
}

fn templates(rule: &Rule, kind: KindRef) -> impl Iterator<Item = &Template> {
    rule.templates.iter().map(
        move |(exact, caseless)| {
            if kind.caseless { caseless } else { exact }
        },
    )
}

/// Returns the kinds of both rules.
fn shared_kinds<'a>(rule: &'a Rule, other: &'a Rule) -> impl Iterator<Item = KindRef> + 'a {
    rule.kinds
        .iter()
        .copied()
        .filter(|kind| other.kinds.contains(kind))
}

/// Returns a name that both rules match, if there is one.
fn both_read(rule: &Rule, other: &Rule) -> Option<String> {
    if rule.subject != MatchSubject::Name || other.subject != MatchSubject::Name {
        return None;
    }
    shared_kinds(rule, other).find_map(|kind| {
        templates(rule, kind).find_map(|template| {
            templates(other, kind).find_map(|other_template| {
                let name = template.graph().shared(&other_template.graph())?;
                // Digits beside a number and `except` are not in the graphs.
                let reads = |rule: &Rule| !rule.read_name(kind, &name).is_empty();
                (reads(rule) && reads(other)).then_some(name)
            })
        })
    })
}

/// Whether a `protect` entry could ever cover a name that a rule matches.
pub fn could_protect(entry: &Protect, rule: &Rule) -> bool {
    let kinds = entry.kinds.as_ref();
    let mut shared = rule
        .kinds
        .iter()
        .copied()
        .filter(|kind| kinds.is_none_or(|kinds| kinds.contains(kind)))
        .peekable();
    if shared.peek().is_none() {
        return false;
    }
    let Some(names) = &entry.names else {
        return true;
    };
    if rule.subject != MatchSubject::Name {
        return true;
    }
    let pick = |(exact, caseless): &Patterns, kind: KindRef| {
        if kind.caseless || kind.begins_with_host {
            caseless.graph()
        } else {
            exact.graph()
        }
    };
    shared.any(|kind| {
        names.iter().any(|pattern| {
            let covered = pick(pattern, kind);
            templates(rule, kind).any(|template| template.graph().shared(&covered).is_some())
        })
    })
}

/// What is odd about rules and entries that are right one by one.
pub fn check(policies: &[Policy]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let rules: Vec<&Rule> = policies.iter().flat_map(|file| file.rules.iter()).collect();
    for (index, rule) in rules.iter().enumerate() {
        for other in &rules[..index] {
            if let Some(name) = both_read(rule, other) {
                found.push(Diagnostic {
                    severity: Severity::Warning,
                    code: Code::RulesOverlap,
                    message: format!(
                        "`{}` and `{}` both match names such as {name:?}",
                        other.id, rule.id
                    ),
                    source: rule.span.source,
                    span: rule.span.bytes.clone(),
                    label: format!("`{}` is at {}", other.id, other.location),
                    help: Some(
                        "a name that two rules match is kept unless both call it dead; narrow one \
                         of them, or write `except`"
                            .to_owned(),
                    ),
                    masked: false,
                });
            }
        }
    }
    for file in policies {
        for entry in &file.protects {
            if !rules.iter().any(|rule| could_protect(entry, rule)) {
                found.push(Diagnostic {
                    severity: Severity::Note,
                    code: Code::ProtectWithoutEffect,
                    message: "this [[protect]] has no effect".to_owned(),
                    source: entry.span.source,
                    span: entry.span.bytes.clone(),
                    label: "no rule matches a name that it covers".to_owned(),
                    help: Some(
                        "unmatched resources are never deleted; check the spelling if you meant \
                         another name"
                            .to_owned(),
                    ),
                    masked: false,
                });
            }
        }
    }
    found
}
