//! Mistakes in rules that are well formed but can never match: such a rule looks
//! like one without garbage.

use std::ops::Range;

use super::super::Reader;
use crate::model::KindRef;
use crate::model::code::Code;
use crate::policy::fields::At;

/// How people write what a template cannot express.
#[derive(Debug, PartialEq, Eq)]
enum Foreign {
    /// `*` for any text.
    Glob,
    /// `^…$`, `(a|b)`, `\d`, `[0-9]`.
    Regex,
}

/// Returns what a text is, if it is no template, and where it shows.
fn foreign(text: &str, kinds: &[KindRef]) -> Option<(Foreign, Range<usize>)> {
    let at = |mark: &str| text.find(mark).map(|start| start..start + mark.len());
    let anchors = [
        text.starts_with('^').then_some(0..1),
        text.ends_with('$').then(|| text.len() - 1..text.len()),
    ];
    let classes = ["\\d", "\\w", "[0-9", "[a-z", "[A-Z", "[^", "(?", ".*", ".+"];
    let choice = text.contains('(') && text.contains(')');
    let choice = at("|").filter(|_| choice);
    let mut regex = anchors.into_iter().chain([choice]).flatten();
    let regex = regex
        .next()
        .or_else(|| classes.iter().find_map(|class| at(class)));
    if let Some(found) = regex {
        return Some((Foreign::Regex, found));
    }
    // A host name may begin with a wildcard, and the pattern of a route may have
    // one anywhere.
    let wild = |kind: &KindRef| kind.caseless || kind.begins_with_host;
    if !kinds.is_empty() && kinds.iter().all(wild) {
        let is_route = kinds.iter().any(|kind| kind.begins_with_host);
        let rest = text.strip_prefix("*.").unwrap_or(text);
        let offset = text.len() - rest.len();
        let star = rest.find('*').filter(|_| !is_route);
        return star.map(|star| (Foreign::Glob, offset + star..offset + star + 1));
    }
    at("*").map(|found| (Foreign::Glob, found))
}

impl Reader<'_> {
    /// Reports a template that is written as a glob or a regular expression, and
    /// returns whether it is. Such a text would match only itself.
    pub(super) fn is_foreign(&mut self, text: &At<String>, kinds: &[KindRef]) -> bool {
        let Some((foreign, part)) = foreign(&text.value, kinds) else {
            return false;
        };
        let sign = &text.value[part.clone()];
        let (message, help) = match foreign {
            Foreign::Glob => (
                format!("this rule matches nothing: `{sign}` stands for itself in a rule"),
                "write {any} for any text, or {word} for one of a list under [words]; `*` is for \
                 [[protect]] and `except`",
            ),
            Foreign::Regex => (
                format!("this rule matches nothing: `{sign}` stands for itself in a template"),
                "a template is not a regular expression, and always matches the whole name; write \
                 {pr}, {any:0-9}, or {word} for one of a list under [words]",
            ),
        };
        let span = self.part_span(text, part);
        self.mistakes.error(
            Code::TemplateMatchesNothing,
            span,
            message,
            "no name has this",
            Some(help.to_owned()),
        );
        true
    }

    /// Reports `name` in a rule about a kind whose names are ids, and returns
    /// whether it is one.
    pub(super) fn is_named_by_id(&mut self, span: Range<usize>, kinds: &[KindRef]) -> bool {
        let Some(kind) = kinds.iter().find(|kind| kind.branch.is_some()) else {
            return false;
        };
        let project = if kind.holder == Some("project") {
            "branch = \"{branch}\" with project = \"…\", or branch = \"feature/{any}\""
        } else {
            "branch = \"feature/{branch}\""
        };
        self.mistakes.error(
            Code::KindNamedById,
            span,
            format!(
                "this rule matches nothing: the name of a {} is its id",
                kind.noun
            ),
            "a rule matches its git branch",
            Some(format!(
                "write `branch` instead of `name`, such as {project}"
            )),
        );
        true
    }

    /// Reports an `except` that leaves nothing to the rule.
    pub(super) fn check_except(&mut self, except: &[At<String>]) {
        for text in except {
            if !text.value.is_empty() && text.value.chars().all(|c| c == '*') {
                self.mistakes.error(
                    Code::ExceptCoversEverything,
                    text.span.clone(),
                    "this rule matches nothing: its `except` covers every name",
                    "every name",
                    Some(
                        "write the names that the rule must not match, such as except = \
                         \"*-production\", or leave `except` out"
                            .to_owned(),
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::{mistakes, policy, read};

    fn rule(kind: &str, name: &str, more: &str) -> String {
        format!(
            "[[rule]]\nid = \"one\"\nkind = \"{kind}\"\n{name}\ndead-when = \"closed\"\n{more}\n"
        )
    }

    /// What is underlined, and why.
    fn underlined(text: &str) -> Vec<(String, String)> {
        let found = read(text).err().unwrap_or_default();
        let found = found.into_iter();
        found
            .map(|one| (text[one.span].to_owned(), one.code.name().to_owned()))
            .collect()
    }

    #[test]
    fn globs_and_regular_expressions_are_told_apart_from_templates() {
        for (kind, name, expected) in [
            ("worker", "app-*-{pr}", Some("*")),
            ("dns_record", "*-preview-{pr}.example.com", Some("*")),
            // A wildcard record, and the pattern of a route.
            ("dns_record", "*.pr-{pr}.example.com", None),
            ("worker_route", "pr-{pr}.example.com/*", None),
            ("worker", "^app-{pr}", Some("^")),
            ("worker", "app-{pr}$", Some("$")),
            ("worker", "(api|auth)-preview-{pr}", Some("|")),
            ("neon_branch", "preview/pr-[0-9]+", Some("[0-9")),
            ("worker", "app.v2-{pr}", None),
            ("neon_branch", "preview/(old)-{pr}", None),
        ] {
            let found = underlined(&rule(kind, &format!("name = '{name}'"), ""));
            let expected =
                expected.map(|sign| (sign.to_owned(), "template-matches-nothing".into()));
            assert_eq!(found, Vec::from_iter(expected), "{kind} {name}");
        }
    }

    #[test]
    fn kinds_named_by_id_are_matched_by_branch() {
        for (kind, name) in [
            ("pages_deployment", "name = \"{branch}\""),
            ("pages_deployment", "name = \"feature/{branch}\""),
            ("github_deployment", "name = \"feature/{branch}\""),
        ] {
            let found = underlined(&rule(kind, name, ""));
            let expected = (
                format!("\"{}\"", &name[8..name.len() - 1]),
                "kind-named-by-id",
            );
            assert_eq!(
                found,
                [(expected.0, expected.1.to_owned())],
                "{kind} {name}"
            );
        }
        policy(&rule(
            "pages_deployment",
            "branch = \"feature/{branch}\"",
            "",
        ));
    }

    #[test]
    fn an_except_must_leave_something() {
        let with = |except: &str| mistakes(&rule("worker", "name = \"app-{pr}\"", except));
        let expected = ["this rule matches nothing: its `except` covers every name"];
        assert_eq!(with("except = \"*\""), expected);
        assert_eq!(with("except = [\"app-1\", \"**\"]"), expected);
        assert!(with("except = \"app-*\"").is_empty());
    }

    #[test]
    fn a_value_in_another_case_is_corrected() {
        let record = |condition: &str| {
            let text = rule("dns_record", "name = \"app-{pr}.example.com\"", condition);
            underlined(&text)
        };
        let expected = |value: &str| vec![(value.to_owned(), "value-unknown".to_owned())];
        assert_eq!(
            record("where = { type = \"cname\" }"),
            expected("\"cname\"")
        );
        assert_eq!(
            record("where = { type = [\"A\", \"Aaaa\"] }"),
            expected("\"Aaaa\"")
        );
        // Providers add values.
        assert!(record("where = { type = \"NEW\" }").is_empty());
        let protect = "[[protect]]\nkind = \"dns_record\"\nreason = \"ours\"\nwhere = { type = \
                       \"cname\" }\n";
        assert_eq!(underlined(protect), expected("\"cname\""));
        let pages = rule(
            "pages_deployment",
            "branch = \"feature/{branch}\"",
            "where = { environment = \"Preview\" }",
        );
        assert_eq!(underlined(&pages), expected("\"Preview\""));
    }
}
