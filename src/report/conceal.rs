//! A report for readers who may not see what no rule matches: everybody can read
//! the logs and summaries of a public repository.

use std::collections::BTreeSet;

use super::{Report, Row};
use crate::gc::Verdict;

/// Replaces a name that is not shown.
const HIDDEN: &str = "[not shown]";

/// Removes the resources that no rule matches, and their names wherever another
/// resource or a step mentions them. The counts stay.
pub(super) fn conceal(report: &mut Report) {
    let (shown, hidden): (Vec<_>, Vec<_>) = report.resources.iter().partition(|row| is_shown(row));
    let names = |rows: Vec<&Row>| -> BTreeSet<String> {
        let both = rows
            .into_iter()
            .map(|row| [row.name.clone(), row.id.clone()]);
        both.flatten().collect()
    };
    let (shown, mut hidden) = (names(shown), names(hidden));
    for row in &report.resources {
        // A user may be of a kind that no rule can match, such as a Pages project.
        if let Verdict::InUse(user) = &row.verdict {
            hidden.insert(user.name.to_string());
        }
        hidden.extend(row.references.iter().map(|one| one.target.clone()));
    }
    hidden.retain(|name| !name.is_empty() && !shown.contains(name));
    // A longer name may contain a shorter one.
    let mut hidden: Vec<String> = hidden.into_iter().collect();
    hidden.sort_by_key(|name| std::cmp::Reverse(name.len()));

    let before = report.resources.len();
    report.resources.retain(is_shown);
    // A name that others may take over is not for everybody to read.
    report.dangling.clear();
    for one in &mut report.unknown_bindings {
        "a resource that is not shown".clone_into(&mut one.user);
    }
    report.concealed += before - report.resources.len();
    for row in &mut report.resources {
        row.reason = without(&row.reason, &hidden);
        row.blocked = row.blocked.take().map(|why| without(&why, &hidden));
        row.references.retain(|one| shown.contains(&one.target));
    }
    for step in report.swept.iter_mut().flat_map(|swept| &mut swept.steps) {
        step.reason = without(&step.reason, &hidden);
    }
    for evidence in &mut report.evidence {
        evidence.gap = evidence.gap.take().map(|gap| without(&gap, &hidden));
    }
}

/// Returns whether a rule matches a resource, or it goes along with one that a
/// rule matches.
fn is_shown(row: &Row) -> bool {
    match row.verdict {
        Verdict::Unmatched(_) => false,
        Verdict::Protected(_) | Verdict::InUse(_) | Verdict::Live(_) => row.rule.is_some(),
        Verdict::Grace(_) | Verdict::Garbage(_) | Verdict::Unknown(_) => true,
    }
}

/// Returns a text without these names, where they stand as whole words.
fn without(text: &str, names: &[String]) -> String {
    let mut text = text.to_owned();
    for name in names {
        let mut from = 0;
        while let Some(at) = text[from..].find(name.as_str()) {
            let (start, end) = (from + at, from + at + name.len());
            if is_whole(&text, start, end) {
                text.replace_range(start..end, HIDDEN);
                from = start + HIDDEN.len();
            } else {
                from = end;
            }
        }
    }
    text
}

/// Returns whether no character of a name touches this part of a text.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let continues = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "-_".contains(c));
    !continues(text[..start].chars().next_back()) && !continues(text[end..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_removed_only_as_whole_words() {
        let names = ["api-internal".to_owned(), "api".to_owned()];
        let clean = without("api-internal, api-internal-2 (api) uses rapid api", &names);
        assert_eq!(
            clean,
            "[not shown], api-internal-2 ([not shown]) uses rapid [not shown]"
        );
    }
}
