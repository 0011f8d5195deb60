//! Conditions on attributes and times.

use toml::Spanned;
use toml::de::DeValue;

use super::Reader;
use super::names::Templates;
use crate::model::code::Code;
use crate::model::{AttributeAbout, AttributeSort, KindRef};
use crate::policy::fields::{self, At, Fields};
use crate::policy::keys::{Conditions, Key};
use crate::policy::rule::{CREATED_AFTER_OPENED, Condition, ENDED_AFTER_CREATED, Test, Timing};
use crate::policy::spelling;

impl Reader<'_> {
    pub(super) fn conditions(
        &mut self,
        fields: &mut Fields<'_>,
        declared: &Key<Conditions>,
        kinds: &[KindRef],
        templates: &[Templates],
    ) -> (Vec<Condition>, Timing) {
        let mut conditions = Vec::new();
        let mut timing = Timing::default();
        let Some(mut table) = fields.table(declared, declared.form.0.title, &mut self.mistakes)
        else {
            return (conditions, timing);
        };
        for (key, value) in table.rest() {
            let flag = match value.get_ref() {
                DeValue::Boolean(flag) => Some(*flag),
                _ => None,
            };
            let slot = match key.value.as_str() {
                CREATED_AFTER_OPENED => Some(&mut timing.created_after_opened),
                ENDED_AFTER_CREATED => Some(&mut timing.ended_after_created),
                _ => None,
            };
            if let Some(slot) = slot {
                *slot = flag;
                if flag.is_none() {
                    fields::wrong(&key.value, value, "true or false", &mut self.mistakes);
                }
                continue;
            }
            conditions.extend(self.condition(declared, (&key, value), kinds, templates));
        }
        (conditions, timing)
    }

    fn condition(
        &mut self,
        declared: &Key<Conditions>,
        (key, value): (&At<String>, &Spanned<DeValue<'_>>),
        kinds: &[KindRef],
        templates: &[Templates],
    ) -> Option<Condition> {
        let mut about = None;
        for kind in kinds {
            let found = kind
                .0
                .attributes
                .iter()
                .find(|about| about.key == key.value);
            if found.is_none() {
                let mut known: Vec<_> = kind.attributes.iter().map(|about| about.key).collect();
                known.extend(declared.form.0.keys.iter().map(|key| key.name()));
                self.mistakes.error(
                    Code::AttributeUnknown,
                    key.span.clone(),
                    format!("a {} has no `{}` to ask about", kind.noun, key.value),
                    "unknown attribute",
                    Some(spelling::suggestion(&key.value, &known)),
                );
                return None;
            }
            about = found;
        }
        let Some(about) = about else {
            self.mistakes.error(
                Code::WhereNeedsKind,
                key.span.clone(),
                "`where` needs a `kind` whose attributes it asks about",
                "no kind",
                None,
            );
            return None;
        };
        let test = match about.sort {
            AttributeSort::Flag => match value.get_ref() {
                DeValue::Boolean(flag) => Test::Flag(*flag),
                _ => {
                    fields::wrong(&key.value, value, "true or false", &mut self.mistakes);
                    return None;
                }
            },
            AttributeSort::Text | AttributeSort::Host | AttributeSort::List => {
                let texts = fields::compared_texts(&key.value, value, &mut self.mistakes)?;
                self.check_captures(&texts, templates);
                if about.sort != AttributeSort::Host {
                    self.check_globs(&key.value, &texts);
                }
                self.check_spelling(about, &texts);
                let word = about
                    .words
                    .iter()
                    .find(|(word, _)| texts.len() == 1 && texts[0].value == *word);
                let texts = texts.into_iter().map(|text| text.value.into()).collect();
                match (word, about.sort) {
                    (Some((word, flag)), _) => Test::Word { word, flag },
                    (None, AttributeSort::List) => Test::AllOf(texts),
                    (None, _) => Test::AnyOf(texts),
                }
            }
        };
        Some(Condition {
            key: about.key,
            sort: about.sort,
            test,
        })
    }

    /// Texts that are not host names are compared as they are.
    fn check_globs(&mut self, key: &str, texts: &[At<String>]) {
        for text in texts.iter().filter(|text| text.value.contains('*')) {
            self.mistakes.error(
                Code::ConditionIsGlob,
                text.span.clone(),
                format!("`{key}` is compared as it is written, and `*` would stand for itself"),
                "looks like a glob",
                Some("write the whole value, or a list of values".to_owned()),
            );
        }
    }

    /// Texts are compared with their case, and the provider writes each value in
    /// one way.
    fn check_spelling(&mut self, about: &AttributeAbout, texts: &[At<String>]) {
        for text in texts {
            let same = |value: &&&str| value.eq_ignore_ascii_case(&text.value);
            let Some(value) = about.values.iter().find(same) else {
                continue;
            };
            if *value != text.value {
                self.mistakes.error(
                    Code::ValueUnknown,
                    text.span.clone(),
                    format!("`{}` is never {:?}: case counts", about.key, text.value),
                    "no resource has this value",
                    Some(format!("write {value:?}")),
                );
            }
        }
    }

    /// A condition may use what every template of its rule captures.
    fn check_captures(&mut self, texts: &[At<String>], templates: &[Templates]) {
        for text in texts {
            for part in text.value.split('{').skip(1) {
                let name = part.split('}').next().unwrap_or_default();
                let everywhere = !templates.is_empty()
                    && templates
                        .iter()
                        .all(|(template, _)| template.capture_names().contains(name));
                if !everywhere {
                    self.mistakes.error(
                        Code::CaptureUnknown,
                        text.span.clone(),
                        format!("{{{name}}} is not captured by this rule's `name`"),
                        "unknown capture",
                        Some(
                            "a condition may use what every template of the rule captures"
                                .to_owned(),
                        ),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{mistakes, policy};

    /// A rule of Neon branches with this condition.
    fn rule(condition: &str) -> String {
        format!(
            "[words]\nservice = [\"api\", \"web\"]\n[[rule]]\nid = \"one\"\nkind = \
             \"neon_branch\"\nname = [\"{{service}}-{{pr}}\", \"db-{{pr}}\"]\ndead-when = \
             \"closed\"\nwhere = {{ {condition} }}\n"
        )
    }

    #[test]
    fn a_special_word_is_special_only_alone() {
        let test = |condition: &str| policy(&rule(condition)).rules[0].conditions[0].test.clone();
        let any_of =
            |texts: &[&str]| Test::AnyOf(texts.iter().map(|text| (*text).into()).collect());
        let word = Test::Word {
            word: "default",
            flag: "parent-is-default",
        };
        assert_eq!(test("parent = \"default\""), word);
        assert_eq!(test("parent = [\"default\"]"), word);
        assert_eq!(test("parent = \"main\""), any_of(&["main"]));
        assert_eq!(
            test("parent = [\"default\", \"main\"]"),
            any_of(&["default", "main"])
        );
    }

    #[test]
    fn a_condition_uses_what_every_template_of_its_rule_captures() {
        let missing =
            |name: &str| vec![format!("{{{name}}} is not captured by this rule's `name`")];
        for (parent, expected) in [
            ("pr-{pr}", Vec::new()),
            ("pr-{nope}", missing("nope")),
            // Only the first of two templates has it.
            ("{service}", missing("service")),
            ("{pr}-{run}", missing("run")),
        ] {
            let text = rule(&format!("parent = \"{parent}\""));
            assert_eq!(mistakes(&text), expected, "{parent}");
        }
        let protect = "[[protect]]\nkind = \"neon_branch\"\nreason = \"ours\"\nwhere = { parent = \
            \"pr-{pr}\" }\n";
        assert_eq!(mistakes(protect), missing("pr"), "it reads no names");
    }
}
