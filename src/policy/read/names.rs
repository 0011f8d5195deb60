//! What rules and `protect` entries are about: places, templates, globs.

use std::ops::Range;

use super::Reader;
use crate::model::{KindRef, PlaceSort};
use crate::policy::fields::{self, At, Fields};
use crate::policy::rule::{Pattern, Where};
use crate::policy::template::{Anchor, Names, Template};

/// A template for names with case and one for names without.
pub(super) type Templates = (Template, Template);

impl Reader<'_> {
    pub(super) fn place(&mut self, fields: &mut Fields<'_>, kinds: &[KindRef]) -> Where {
        let zones = fields.texts("zone", &mut self.mistakes);
        let projects = fields.texts("project", &mut self.mistakes);
        for (key, list, sort) in [
            ("zone", &zones, PlaceSort::Zone),
            ("project", &projects, PlaceSort::Project),
        ] {
            let Some(first) = list.as_ref().and_then(|list| list.first()) else {
                continue;
            };
            let elsewhere = kinds.iter().find(|kind| {
                let held = sort == PlaceSort::Project && kind.0.holder == Some("project");
                kind.0.place != sort && !held
            });
            if let Some(kind) = elsewhere {
                self.mistakes.error(
                    first.span.clone(),
                    format!("`{key}` does not apply to {kind}"),
                    format!("a {} is in no {key}", kind.0.noun),
                    Some(format!(
                        "leave `{key}` away, or write a rule of its own for {kind}"
                    )),
                );
            }
        }
        let plain = |list: Option<Vec<At<String>>>| {
            list.map(|list| list.into_iter().map(|item| item.value).collect())
        };
        Where {
            zones: plain(zones),
            projects: plain(projects),
        }
    }

    pub(super) fn template(
        &mut self,
        text: &At<String>,
        names: &Names,
        anchor: Anchor,
    ) -> Option<Templates> {
        let both = Template::parse(&text.value, names, false, anchor)
            .and_then(|exact| Ok((exact, Template::parse(&text.value, names, true, anchor)?)));
        both.map_err(|error| {
            let span = self.within(text, error.span);
            self.mistakes
                .error(span, error.message, "here", Some(error.help));
        })
        .ok()
    }

    /// The bytes of a part of a string, if the file writes it without escapes.
    fn within(&self, text: &At<String>, part: Range<usize>) -> Range<usize> {
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
            let (exact, caseless) = self.template(text, names, Anchor::Itself)?;
            return Some((Pattern::Template(exact), Pattern::Template(caseless)));
        }
        if text.value.is_empty() {
            self.mistakes.error(
                text.span.clone(),
                "an empty name matches nothing",
                "empty",
                None,
            );
            return None;
        }
        let glob = |text: &str, caseless| Pattern::Glob {
            text: text.into(),
            caseless,
        };
        Some((
            glob(&text.value, false),
            glob(&text.value.to_ascii_lowercase(), true),
        ))
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = fields.text(key, &mut self.mistakes)?;
        let chosen = choices.iter().find(|(name, _)| *name == text.value);
        if chosen.is_none() {
            let known: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.mistakes.error(
                text.span,
                format!("`{key}` cannot be {:?}", text.value),
                "unknown value",
                Some(fields::suggestion(&text.value, &known)),
            );
        }
        chosen.map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::{mistakes, read};

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
            let text = format!(
                "[[rule]]\nid = \"one\"\nkind = \"{kind}\"\n{place} = \"x\"\nname = \
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
