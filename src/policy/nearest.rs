//! The rule that comes closest to a name which none matches, for people who expect
//! a match.

use std::fmt;

use super::rule::{MatchSubject, Rule};
use super::template::Template;
use super::{Location, Policy};
use crate::model::KindRef;

/// The rule that comes closest to a name, and what keeps it from matching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The rule.
    pub rule: Box<str>,
    /// Where it stands.
    pub location: Location,
    /// What differs, in words for people.
    pub difference: String,
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            location,
            difference,
        } = self;
        write!(f, "the nearest rule is {rule} ({location}): {difference}")
    }
}

/// What a name is compared with: a resource, or a name that could be one.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// The kind; any without it.
    pub kind: Option<KindRef>,
    /// The name.
    pub name: &'a str,
    /// The git branch that the resource carries.
    pub branch: Option<&'a str>,
}

/// Returns the rule of these files that comes closest to matching.
pub fn nearest(files: &[Policy], compared: Compared<'_>) -> Option<Nearest> {
    let rules = || files.iter().flat_map(|file| file.rules.iter());
    if let Some(found) = rules().find_map(|rule| not_by_name(rule, compared)) {
        return Some(found);
    }
    let near = rules().flat_map(|rule| {
        let kinds = rule.kinds.iter().copied();
        let mut kinds = kinds.filter(|kind| compared.kind.is_none_or(|wanted| wanted == *kind));
        let kind = kinds.next();
        let text = subject(rule, compared);
        let both = kind.zip(text).into_iter();
        both.flat_map(move |(kind, text)| {
            let found = templates(rule, kind).filter_map(move |one| one.difference(text));
            found.map(move |difference| (rule, difference))
        })
    });
    // The first of equals, as the files list them.
    let (rule, difference) = near.reduce(|best, other| {
        let rank = |(_, one): &(_, super::template::Difference)| (one.fits, usize::MAX - one.odd);
        if rank(&other) > rank(&best) {
            other
        } else {
            best
        }
    })?;
    Some(of(rule, difference.text))
}

fn of(rule: &Rule, difference: String) -> Nearest {
    Nearest {
        rule: rule.id.clone(),
        location: rule.location.clone(),
        difference,
    }
}

/// The text that a rule's templates are matched against.
fn subject<'a>(rule: &Rule, compared: Compared<'a>) -> Option<&'a str> {
    match rule.subject {
        MatchSubject::Name => Some(compared.name),
        MatchSubject::Branch => compared.branch,
        MatchSubject::Attribute(_) => None,
    }
}

fn templates(rule: &Rule, kind: KindRef) -> impl Iterator<Item = &Template> {
    let pick = move |(exact, caseless)| if kind.caseless { caseless } else { exact };
    rule.templates.iter().map(|(a, b)| (a, b)).map(pick)
}

/// Says what keeps a rule from matching whose template matches.
fn not_by_name(rule: &Rule, compared: Compared<'_>) -> Option<Nearest> {
    let text = subject(rule, compared)?;
    let mut kinds = rule.kinds.iter().copied();
    let fits = kinds.find(|kind| templates(rule, *kind).any(|one| one.matches(text)))?;
    let why = match compared.kind {
        Some(kind) if !rule.kinds.contains(&kind) => {
            format!("it matches this name, and is about {fits}, not {kind}")
        }
        _ if rule.excepts(text, fits) => {
            "it matches this name, and its `except` covers it".to_owned()
        }
        Some(_) => "it matches this name in another zone or project".to_owned(),
        None => return None,
    };
    Some(of(rule, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{kind, policy};

    #[test]
    fn the_nearest_rule_says_what_keeps_it_from_matching() {
        let rule = |id: &str, kind: &str, more: &str| {
            format!("[[rule]]\nid = \"{id}\"\nkind = \"{kind}\"\n{more}\ndead-when = \"closed\"\n")
        };
        let text = [
            "[words]\nservice = [\"api\", \"web\"]\n".to_owned(),
            rule(
                "workers",
                "worker",
                "name = \"{service}-preview-{pr}\"\nexcept = \"*-1\"",
            ),
            rule(
                "caches",
                "kv_namespace",
                "name = \"{service}-preview-{pr}-cache\"",
            ),
            rule(
                "hosts",
                "dns_record",
                "zone = \"a.example\"\nname = \"web-{pr}.a.example\"",
            ),
            rule(
                "pages",
                "pages_deployment",
                "branch = \"feature/{branch:x-}\"",
            ),
        ];
        let files = [policy(&text.concat())];
        for (sort, name, branch, expected) in [
            (
                "worker",
                "mail-preview-7",
                None,
                Some("workers: `mail` is not one of [words] service (api, web)"),
            ),
            // Fewer characters of the other rule fit.
            (
                "worker",
                "web-previews-7",
                None,
                Some("workers: the name has `-previews-` in the place of `-preview-`"),
            ),
            (
                "worker",
                "web-preview-1",
                None,
                Some("workers: it matches this name, and its `except` covers it"),
            ),
            (
                "worker",
                "web-preview-7-cache",
                None,
                Some("caches: it matches this name, and is about kv_namespace, not worker"),
            ),
            (
                "dns_record",
                "web-7.a.example",
                None,
                Some("hosts: it matches this name in another zone or project"),
            ),
            (
                "pages_deployment",
                "0f",
                Some("feature/y"),
                Some("pages: `y` does not fit `{branch:x-}`"),
            ),
            ("queue", "web-preview-x", None, None),
            ("worker", "something-else", None, None),
        ] {
            let compared = Compared {
                kind: Some(kind(sort)),
                name,
                branch,
            };
            let found = nearest(&files, compared);
            let found = found.map(|one| format!("{}: {}", one.rule, one.difference));
            assert_eq!(found.as_deref(), expected, "{sort} {name}");
        }
        // A name without a kind is compared with rules of any.
        let any = Compared {
            kind: None,
            name: "web-preview-7-cash",
            branch: None,
        };
        let found = nearest(&files, any).unwrap();
        assert_eq!(&*found.rule, "caches");
        assert_eq!(
            found.difference,
            "the name has `-cash` in the place of `-cache`"
        );
    }
}
