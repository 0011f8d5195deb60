//! What rules and `protect` entries are about: places, templates, globs.

use std::ops::Range;

use super::Reader;
use crate::model::code::Code;
use crate::model::identifier::IdentifierSort;
use crate::model::{KindRef, PlaceSort};
use crate::policy::fields::{At, Fields};
use crate::policy::keys::{Key, OneOf, place as keys};
use crate::policy::rule::{Pattern, PlaceName, Where};
use crate::policy::spelling;
use crate::policy::template::{Anchor, NameForm, Names, Template};

/// A template for names with case and one for names without.
pub(super) type Templates = (Template, Template);

impl Reader<'_> {
    pub(super) fn place(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> Where {
        let zones = fields.texts(&keys::ZONE, &mut self.mistakes);
        let projects = fields.texts(&keys::PROJECT, &mut self.mistakes);
        for (key, list, sort) in [
            (keys::ZONE.name, &zones, PlaceSort::Zone),
            (keys::PROJECT.name, &projects, PlaceSort::Project),
        ] {
            let Some(first) = list.as_ref().and_then(|list| list.first()) else {
                continue;
            };
            let elsewhere = kinds.iter().find(|kind| {
                let held = sort == PlaceSort::Project && kind.holder == Some("project");
                kind.place != sort && !held
            });
            if let Some(kind) = elsewhere {
                self.mistakes.error(
                    Code::PlaceDoesNotApply,
                    first.span.clone(),
                    format!("`{key}` does not apply to {kind}"),
                    format!("a {} is in no {key}", kind.noun),
                    Some(format!(
                        "remove `{key}`, or write a rule of its own for {kind}"
                    )),
                );
            }
        }
        Where {
            zones: self.named(keys::ZONE.name, zones, IdentifierSort::Zone),
            projects: self.named(keys::PROJECT.name, projects, IdentifierSort::Project),
        }
    }

    /// Zones or projects in their normal form, each with its place in the file.
    fn named(
        &mut self,
        key: &str,
        list: Option<Vec<At<String>>>,
        sort: IdentifierSort,
    ) -> Option<Vec<PlaceName>> {
        let mut names = Vec::new();
        for text in list? {
            match sort.parse(&text.value) {
                Some(name) => names.push(PlaceName {
                    name,
                    span: self.span(&text.span),
                }),
                None => self.mistakes.masked(
                    Code::ValueMalformed,
                    text.span,
                    format!("`{key}` does not have the form of {sort}"),
                    format!("not {}", sort.form()),
                    Some(format!("write {sort}, as [scope] does")),
                ),
            }
        }
        Some(names)
    }

    /// Reports addresses in place of host names: they match nothing, so that an
    /// entry which is to keep something keeps nothing.
    pub(super) fn hosts(&mut self, texts: &[At<String>], kinds: &[KindRef]) {
        for text in texts {
            if let Some(host) = host_of_address(&text.value, kinds) {
                self.mistakes.error(
                    Code::ValueMalformed,
                    text.span.clone(),
                    format!("{:?} is no host name, so it matches nothing", text.value),
                    "an address",
                    Some(format!("write {host:?}")),
                );
            }
        }
    }

    pub(super) fn template(
        &mut self,
        text: &At<String>,
        names: &Names,
        kinds: &[KindRef],
        anchor: Anchor,
    ) -> Option<Templates> {
        let are_hosts = kinds.iter().any(|kind| kind.caseless);
        let both = Template::parse(&text.value, names, NameForm::Exact, anchor).and_then(|exact| {
            let host = if are_hosts {
                Template::parse(&text.value, names, NameForm::Host, anchor)?
            } else {
                exact.clone()
            };
            Ok((exact, host))
        });
        both.map_err(|error| {
            let span = self.part_span(text, error.span);
            self.mistakes.error(
                Code::TemplateMalformed,
                span,
                error.message,
                "here",
                Some(error.help),
            );
        })
        .ok()
    }

    /// The bytes of a part of a string, if the file writes it without escapes.
    pub(super) fn part_span(&self, text: &At<String>, part: Range<usize>) -> Range<usize> {
        let start = text.span.start + 1;
        let literal = self.source.text.get(start..start + text.value.len());
        if literal == Some(&text.value) {
            start + part.start..start + part.end
        } else {
            text.span.clone()
        }
    }

    pub(super) fn pattern(
        &mut self,
        text: &At<String>,
        names: &Names,
    ) -> Option<(Pattern, Pattern)> {
        if text.value.contains('{') {
            let (exact, _) = self.template(text, names, &[], Anchor::Itself)?;
            let host = |form| Template::parse(&text.value, names, form, Anchor::Itself);
            let in_unicode = host(NameForm::UnicodeHost).unwrap_or_else(|_| exact.clone());
            // Without a normal form the names are compared in Unicode only.
            let normal = host(NameForm::Host).unwrap_or_else(|_| in_unicode.clone());
            let forms = [normal, in_unicode].map(Pattern::Template);
            return Some((Pattern::Template(exact), Pattern::Host(Box::new(forms))));
        }
        if text.value.is_empty() {
            self.mistakes.error(
                Code::NameEmpty,
                text.span.clone(),
                "an empty name matches nothing",
                "empty",
                None,
            );
            return None;
        }
        Some(Pattern::both_forms(&text.value))
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &Key<OneOf<T>>,
    ) -> Option<T> {
        let text = fields.text(key, &mut self.mistakes)?;
        let choices = key.form.0;
        let chosen = choices.iter().find(|(name, _)| *name == text.value);
        if chosen.is_none() {
            let known: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.mistakes.error(
                Code::ValueUnknown,
                text.span,
                format!("`{}` cannot be {:?}", key.name, text.value),
                "unknown value",
                Some(spelling::suggestion(&text.value, &known)),
            );
        }
        chosen.map(|(_, value)| *value)
    }
}

/// Returns the host name to write instead of an address, where one of these kinds
/// has host names and none has patterns that begin with them. Only a scheme or a
/// slash at the end identifies an address: labels of reverse zones have slashes.
pub(super) fn host_of_address(text: &str, kinds: &[KindRef]) -> Option<String> {
    let are_hosts = kinds.iter().any(|kind| kind.caseless);
    if !are_hosts || kinds.iter().any(|kind| kind.begins_with_host) {
        return None;
    }
    let host = match text.split_once("://") {
        Some((_, rest)) if rest.contains('{') => rest,
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => text,
    };
    let host = host.trim_end_matches("/*").trim_end_matches('/');
    (host != text && !host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::{mistakes, read};

    #[test]
    fn an_address_is_no_host_name() {
        let wrong = |name: &str| format!("{name:?} is no host name, so it matches nothing");
        let protect = |kind: &str, name: &str| {
            format!("[[protect]]\nkind = {kind}\nreason = \"x\"\nname = {name:?}\n")
        };
        for (kind, name, is_wrong) in [
            ("\"dns_record\"", "https://www.acme.example", true),
            ("\"dns_record\"", "https://www.acme.example/cart", true),
            ("\"worker_domain\"", "www.acme.example/", true),
            ("\"worker_domain\"", "*.acme.example/*", true),
            (
                "[\"worker\", \"worker_domain\"]",
                "http://{any}.acme.example",
                true,
            ),
            ("\"worker_domain\"", "www.acme.example", false),
            ("\"dns_record\"", "0/25.2.0.192.in-addr.arpa", false),
            ("\"worker_route\"", "www.acme.example/", false),
            ("\"neon_branch\"", "https://www.acme.example", false),
        ] {
            let expected: Vec<_> = is_wrong.then(|| wrong(name)).into_iter().collect();
            assert_eq!(mistakes(&protect(kind, name)), expected, "{kind} {name}");
        }
        let file = |kind: &str| {
            let file = "names-file = \"addresses.txt\"";
            mistakes(&format!(
                "[[protect]]\nkind = {kind:?}\nreason = \"x\"\n{file}\n"
            ))
        };
        let line = "addresses.txt:2 is no host name, so it matches nothing: \
            \"https://shop.acme.example/\"";
        assert_eq!(file("worker_domain"), [line]);
        let line = "addresses.txt:2 is an address, and not a name: \"https://shop.acme.example/\"";
        assert_eq!(file("worker"), [line]);
        assert!(file("worker_route").is_empty());
        let rule = |names: &str| {
            format!(
                "[[rule]]\nid = \"a\"\nkind = \"dns_record\"\ndead-when = \"closed\"\n{names}\n"
            )
        };
        let address = "https://pr-{pr}.acme.example";
        assert_eq!(
            mistakes(&rule(&format!("name = {address:?}"))),
            [wrong(address)]
        );
        let host = "name = \"pr-{pr}.acme.example\"";
        assert!(mistakes(&rule(host)).is_empty());
        let except = rule(&format!("{host}\nexcept = \"pr-1.acme.example/\""));
        assert_eq!(mistakes(&except), [wrong("pr-1.acme.example/")]);
    }

    #[test]
    fn zones_and_projects_are_said_only_of_kinds_that_are_in_them() {
        for (kind, place, expected) in [
            ("dns_record", "zone", None),
            ("neon_branch", "project", None),
            // Their listings go by the Pages project.
            ("pages_deployment", "project", None),
            (
                "pages_deployment",
                "zone",
                Some("`zone` does not apply to pages_deployment"),
            ),
            (
                "worker",
                "project",
                Some("`project` does not apply to worker"),
            ),
            (
                "worker_preview",
                "project",
                Some("`project` does not apply to worker_preview"),
            ),
            (
                "neon_branch",
                "zone",
                Some("`zone` does not apply to neon_branch"),
            ),
        ] {
            let named = if place == "zone" {
                "acme.example"
            } else {
                "site"
            };
            let subject = if kind == "pages_deployment" {
                "branch"
            } else {
                "name"
            };
            let text = format!(
                "[[rule]]\nid = \"one\"\nkind = \"{kind}\"\n{place} = \"{named}\"\n{subject} = \
                 \"app-{{pr}}\"\ndead-when = {{ older-than = \"1d\" }}\n"
            );
            assert_eq!(mistakes(&text), Vec::from_iter(expected), "{kind} {place}");
        }
    }

    #[test]
    fn a_mistake_in_a_template_is_shown_at_its_own_bytes() {
        let shown = |name: &str| {
            let text = format!(
                "[[rule]]\nid = \"one\"\nkind = \"worker\"\nname = {name}\ndead-when = \"closed\"\n"
            );
            let mistakes = read(&text).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            text[mistakes[0].span.clone()].to_owned()
        };
        assert_eq!(shown("\"app-{nope}-{pr}\""), "{nope}");
        assert_eq!(shown("[\"app-{pr}\", \"web-{pr}}\"]"), "}");
        // Bytes of the string are not bytes of the file here.
        assert_eq!(shown(r#""\u0061pp-{nope}""#), r#""\u0061pp-{nope}""#);
    }
}
