//! Writes proposals as TOML. Names come from outside: they are only ever written
//! as quoted strings or as comments of one line.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{RuleCandidate, RuleProposal, Status};
use crate::model::Place;

/// Names in a comment; the rest are counted.
const SHOWN: usize = 4;

/// A TOML basic string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || !is_visible(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a character shows and does not change how others are shown.
fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{061c}' | '\u{00ad}' | '\u{fff9}'..='\u{fffb}')
}

/// Text for one line of a comment.
fn comment(text: &str) -> String {
    let shown = |c: char| if is_visible(c) { c } else { '?' };
    text.chars().map(shown).take(300).collect()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| self::quoted(text)).collect();
    if quoted.len() == 1 {
        return quoted[0].clone();
    }
    if quoted.iter().map(String::len).sum::<usize>() < 70 {
        return format!("[{}]", quoted.join(", "));
    }
    let mut out = String::from("[\n");
    for one in quoted {
        let _ = writeln!(out, "  {one},");
    }
    out.push(']');
    out
}

/// Returns how likely a coincidence is, after a semicolon: nothing where no time
/// says. Large odds are rounded: their digits carry no information.
pub fn coincidence(odds: f64) -> String {
    if odds < 1.5 {
        String::new()
    } else if odds >= 1e6 {
        "; a coincidence is less likely than 1 in a million".to_owned()
    } else {
        format!("; a coincidence has a chance of 1 in {odds:.0}")
    }
}

/// Turns a candidate into a proposal with its own id.
pub(super) fn proposal(candidate: RuleCandidate, ids: &mut BTreeSet<String>) -> RuleProposal {
    let kind = candidate.kind.name();
    let base = format!("{}-by-{}", kind.replace('_', "-"), candidate.marker);
    let mut id = base.clone();
    let mut count = 2;
    while !ids.insert(id.clone()) {
        id = format!("{base}-{count}");
        count += 1;
    }
    let toml = if candidate.status == Status::Never {
        String::new()
    } else {
        rule(&candidate, &id)
    };
    RuleProposal {
        id,
        status: candidate.status,
        kind,
        template: candidate.templates.join(", "),
        toml,
        matches: candidate.matches,
        odds: candidate.odds,
        witnesses: candidate.witnesses,
        contradictions: candidate.contradictions,
        why: candidate.why,
        frees: candidate.frees,
    }
}

fn rule(candidate: &RuleCandidate, id: &str) -> String {
    let mut text = String::new();
    let count = candidate.matches.len();
    let shown: Vec<_> = candidate.matches.iter().take(SHOWN).cloned().collect();
    let more = if count > SHOWN { ", …" } else { "" };
    let _ = writeln!(
        text,
        "# {count} matched: {}{more}{}",
        comment(&shown.join(", ")),
        coincidence(candidate.odds)
    );
    for witness in &candidate.witnesses {
        let _ = writeln!(text, "# {}", comment(witness));
    }
    for contradiction in candidate.contradictions.iter().take(SHOWN) {
        let _ = writeln!(text, "# but {}", comment(contradiction));
    }
    if let Some((name, definition)) = &candidate.slug {
        let _ = writeln!(text, "[slug.{name}]\n{definition}");
    }
    let _ = writeln!(text, "[[rule]]\nid = {}", quoted(id));
    let _ = writeln!(text, "kind = {}", quoted(candidate.kind.name()));
    let subject = if candidate.by_branch {
        "branch"
    } else {
        "name"
    };
    let _ = writeln!(text, "{subject} = {}", list(&candidate.templates));
    let place = match (&candidate.place, &candidate.holder) {
        (Place::Zone { name, .. }, _) => Some(("zone", name)),
        (Place::Project(project), _) | (_, Some(project)) => Some(("project", project)),
        (Place::Account(_) | Place::Repository(_), None) => None,
    };
    if let Some((key, value)) = place {
        let _ = writeln!(text, "{key} = {}", quoted(value));
    }
    if !candidate.except.is_empty() {
        let _ = writeln!(text, "except = {}", list(&candidate.except));
    }
    if !candidate.conditions.is_empty() {
        let conditions = candidate.conditions.iter();
        let all: Vec<_> = conditions
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let _ = writeln!(text, "where = {{ {} }}", all.join(", "));
    }
    text.push_str("dead-when = \"closed\"\naction = \"report\"\ngrace = \"30d\"\n");
    text
}

/// What stands above the rules.
#[derive(Debug, Clone, Default)]
pub struct PolicyHeader {
    /// The repository, to be written down.
    pub repository: Option<String>,
    /// The lines of `[scope]`.
    pub scope: Vec<String>,
}

/// The whole policy file with these proposals.
pub fn policy<'p>(
    head: &PolicyHeader,
    proposals: impl Iterator<Item = &'p RuleProposal>,
) -> String {
    let mut text = String::from(
        "# Proposed by `preview-gc init`. A rule with `action = \"report\"` deletes nothing;\n\
         # `preview-gc init --adopt` changes that, rule by rule.\n",
    );
    if let Some(repository) = &head.repository {
        let _ = writeln!(text, "repository = {}", quoted(repository));
    }
    if !head.scope.is_empty() {
        text.push_str("\n[scope]\n");
        for line in &head.scope {
            let _ = writeln!(text, "{line}");
        }
    }
    for proposal in proposals {
        text.push('\n');
        text.push_str(&proposal.toml);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_is_one_string_and_one_comment(text in "\\PC{0,40}|[\\x00-\\x7f\"\\\\\n]{0,40}") {
            let document = format!("# {}\nkey = {}\n", comment(&text), quoted(&text));
            let read: toml::Table = toml::from_str(&document).unwrap();
            proptest::prop_assert_eq!(read.len(), 1);
            proptest::prop_assert_eq!(read["key"].as_str(), Some(text.as_str()));
        }
    }
}
