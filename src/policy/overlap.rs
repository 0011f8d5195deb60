//! Rules that match the same names.

use super::template::Template;
use super::{Diagnostic, MatchSubject, Policy, Rule, Severity};
use crate::model::KindRef;
use crate::model::code::Code;

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
fn both_match(rule: &Rule, other: &Rule) -> Option<String> {
    if rule.subject != MatchSubject::Name || other.subject != MatchSubject::Name {
        return None;
    }
    shared_kinds(rule, other).find_map(|kind| {
        templates(rule, kind).find_map(|template| {
            templates(other, kind).find_map(|other_template| {
                let name = template.graph().shared(&other_template.graph())?;
                // Digits beside a number and `except` are not in the graphs.
                let reads = |rule: &Rule| !rule.match_name(kind, &name).is_empty();
                (reads(rule) && reads(other)).then_some(name)
            })
        })
    })
}

/// What is odd about rules that are right one by one.
pub fn check(policies: &[Policy]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let rules: Vec<&Rule> = policies.iter().flat_map(|file| file.rules.iter()).collect();
    for (index, rule) in rules.iter().enumerate() {
        for other in &rules[..index] {
            if let Some(name) = both_match(rule, other) {
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
                        "such a resource is kept unless it is garbage by both rules; narrow one of \
                         them, or write `except`"
                            .to_owned(),
                    ),
                    masked: false,
                });
            }
        }
    }
    found
}
