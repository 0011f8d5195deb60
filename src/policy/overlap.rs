//! Which names two patterns share, decided on the patterns themselves: rules
//! that read the same names, and `protect` entries that never protect.

use std::collections::{HashMap, VecDeque};

use super::rule::{Pattern, Patterns};
use super::template::Template;
use super::{Diagnostic, Policy, Protect, Rule, Severity, Subject};
use crate::model::KindRef;
use crate::model::code::Code;

/// Characters as ranges, both ends included.
type Ranges = Vec<(char, char)>;

/// A state of each of two graphs.
type Pair = (usize, usize);

/// Every character.
fn any() -> Ranges {
    vec![('\0', char::MAX)]
}

/// The names of a pattern as a graph of states: each edge takes one character,
/// or none.
#[derive(Debug, Default)]
pub(super) struct Graph {
    edges: Vec<Vec<(Option<Ranges>, usize)>>,
}

impl Graph {
    pub(super) fn new() -> Self {
        Self {
            edges: vec![Vec::new()],
        }
    }

    fn last(&self) -> usize {
        self.edges.len() - 1
    }

    fn state(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.last()
    }

    /// Goes on with this text.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.one(vec![(c, c)]);
        }
    }

    /// Goes on with one of these texts.
    pub(super) fn texts<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        let from = self.last();
        let mut ends = Vec::new();
        for text in texts {
            let begin = self.state();
            self.edges[from].push((None, begin));
            self.text(text);
            ends.push(self.last());
        }
        let join = self.state();
        for end in ends {
            self.edges[end].push((None, join));
        }
    }

    /// Goes on with one of these characters.
    pub(super) fn one(&mut self, ranges: Ranges) {
        let from = self.last();
        let to = self.state();
        self.edges[from].push((Some(ranges), to));
    }

    /// Goes on with any number of these characters, none included.
    pub(super) fn many(&mut self, ranges: Ranges) {
        let from = self.last();
        let to = self.state();
        self.edges[from].push((None, to));
        self.edges[to].push((Some(ranges), to));
    }

    fn of_glob(glob: &str) -> Self {
        let mut graph = Self::new();
        for (index, literal) in glob.split('*').enumerate() {
            if index > 0 {
                graph.many(any());
            }
            graph.text(literal);
        }
        graph
    }

    /// A name that both graphs lead to; none when there is none.
    fn shared(&self, other: &Self) -> Option<String> {
        let mut before: HashMap<Pair, Option<(Pair, Option<char>)>> =
            HashMap::from([((0, 0), None)]);
        let mut open = VecDeque::from([(0, 0)]);
        let end = (self.last(), other.last());
        while let Some(at) = open.pop_front() {
            if at == end {
                break;
            }
            let mut go = |to: Pair, c: Option<char>| {
                before.entry(to).or_insert_with(|| {
                    open.push_back(to);
                    Some((at, c))
                });
            };
            for (ranges, to) in &self.edges[at.0] {
                match ranges {
                    None => go((*to, at.1), None),
                    Some(ranges) => {
                        for (others, other_to) in &other.edges[at.1] {
                            if let Some(c) =
                                others.as_ref().and_then(|others| common(ranges, others))
                            {
                                go((*to, *other_to), Some(c));
                            }
                        }
                    }
                }
            }
            for (ranges, to) in &other.edges[at.1] {
                if ranges.is_none() {
                    go((at.0, *to), None);
                }
            }
        }
        let mut name = Vec::new();
        let mut at = end;
        while let Some((from, c)) = before.get(&at)? {
            name.extend(*c);
            at = *from;
        }
        Some(name.into_iter().rev().collect())
    }
}

/// A character that both have; a plain one where there is a choice.
fn common(one: &Ranges, other: &Ranges) -> Option<char> {
    let mut found = None;
    for &(low, high) in one {
        for &(other_low, other_high) in other {
            let (low, high) = (low.max(other_low), high.min(other_high));
            if low > high {
                continue;
            }
            for plain in ['x', '7'] {
                if (low..=high).contains(&plain) {
                    return Some(plain);
                }
            }
            found = found.or(Some(low));
        }
    }
    found
}

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

/// The kinds that both rules read.
fn shared_kinds<'a>(rule: &'a Rule, other: &'a Rule) -> impl Iterator<Item = KindRef> + 'a {
    rule.kinds
        .iter()
        .copied()
        .filter(|kind| other.kinds.contains(kind))
}

/// A name that both rules read.
fn both_read(rule: &Rule, other: &Rule) -> Option<String> {
    if rule.subject != Subject::Name || other.subject != Subject::Name {
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
fn could_protect(entry: &Protect, rule: &Rule) -> bool {
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
    if rule.subject != Subject::Name {
        return true;
    }
    let pick = |(exact, caseless): &Patterns, kind: KindRef| {
        if kind.caseless {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(one: &str, other: &str) -> Option<String> {
        Graph::of_glob(one).shared(&Graph::of_glob(other))
    }

    #[test]
    fn globs_share_names_or_not() {
        assert_eq!(
            shared("api-*", "*-production").as_deref(),
            Some("api-production")
        );
        assert_eq!(shared("api-*", "web-*"), None);
        assert_eq!(shared("a*b", "ab").as_deref(), Some("ab"));
        assert_eq!(shared("a*bc", "ab"), None);
        assert!(shared("*", "x*y*z").is_some());
    }
}
