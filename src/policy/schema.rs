//! The JSON schema of policy files, for editors: the declarations of
//! `keys`, [`crate::limits`] and the vocabulary, in another form.

use serde_json::{Map, Value, json};

use super::keys::{
    ClaimKey, Conditions, DeadWhen, Duration, Flag, Form, Inner, Kinds, LimitKeys, Named, OneOf,
    RepositoryName, ScopeKeys, Share, Table, Tables, Text, Texts, Whole, Wholes,
};
use super::rule::CLAIMABLE;
use super::{Vocabulary, keys};
use crate::limits::{self, Unit};
use crate::model::{AttributeSort, ScopeTable};

/// The schema for these kinds.
pub fn schema(vocabulary: &Vocabulary<'_>) -> Value {
    let mut schema = keys::file::TABLE.schema(vocabulary);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("preview-gc policy");
    schema
}

impl Table {
    fn properties(&self, vocabulary: &Vocabulary<'_>) -> Map<String, Value> {
        self.keys
            .iter()
            .map(|key| (key.name().to_owned(), key.schema(vocabulary)))
            .collect()
    }

    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let mut schema = table(self.properties(vocabulary));
        let required: Vec<_> = self
            .keys
            .iter()
            .filter(|key| key.is_required())
            .map(|key| key.name())
            .collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !self.one_of.is_empty() {
            let one_of = self.one_of.iter();
            schema["oneOf"] = one_of.map(|key| json!({ "required": [key] })).collect();
        }
        schema
    }
}

fn table(properties: impl Into<Value>) -> Value {
    let properties: Value = properties.into();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn one_or_list(one: Value) -> Value {
    json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
}

impl Form for Text {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        json!({ "type": "string" })
    }
}

impl Form for RepositoryName {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$" })
    }
}

impl Form for Texts {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        let one = json!({ "type": "string" });
        json!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl Form for Kinds {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let kinds: Vec<&str> = vocabulary.kinds.iter().map(|kind| kind.name()).collect();
        one_or_list(json!({ "enum": kinds }))
    }
}

impl Form for Duration {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+[smhdw]$" })
    }
}

impl Form for Flag {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        json!({ "type": "boolean" })
    }
}

impl Form for Share {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

impl Form for Whole {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        let mut schema = json!({ "type": "integer", "minimum": self.0.start() });
        if *self.0.end() != u64::MAX {
            schema["maximum"] = json!(self.0.end());
        }
        schema
    }
}

impl Form for Wholes {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        let one = json!({ "type": "integer", "minimum": 1 });
        json!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl<T: Sync> Form for OneOf<T> {
    fn schema(&self, _vocabulary: &Vocabulary<'_>) -> Value {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        json!({ "enum": words })
    }
}

impl Form for Inner {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        self.0.schema(vocabulary)
    }
}

impl Form for Tables {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        json!({ "type": "array", "items": self.0.schema(vocabulary) })
    }
}

impl<F: Form> Form for Named<F> {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        json!({ "type": "object", "additionalProperties": self.0.schema(vocabulary) })
    }
}

impl Form for ScopeKeys {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let mut providers = Map::new();
        for ScopeTable { provider, keys } in vocabulary.scopes {
            let mut properties = Map::new();
            for key in *keys {
                let form: &dyn Form = if key.takes_list { &Texts } else { &Text };
                properties.insert(key.key.to_owned(), form.schema(vocabulary));
            }
            providers.insert((*provider).to_owned(), table(properties));
        }
        table(providers)
    }
}

impl Form for LimitKeys {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let mut properties = Map::new();
        for limit in limits::ALL {
            let mut form = match limit.unit {
                Unit::Duration | Unit::PositiveDuration => Duration.schema(vocabulary),
                Unit::Count => Whole(0..=u64::MAX).schema(vocabulary),
                Unit::Share => Share.schema(vocabulary),
                Unit::PositiveShare => {
                    json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 })
                }
            };
            form["description"] = json!(format!("{} (default: {})", limit.help, limit.default));
            match limit.path() {
                (None, key) => {
                    properties.insert(key.to_owned(), form);
                }
                (Some(inner), key) => {
                    let inner = properties.entry(inner);
                    inner.or_insert_with(|| table(Map::new()))["properties"][key] = form;
                }
            }
        }
        table(properties)
    }
}

impl Form for Conditions {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let mut conditions = self.0.properties(vocabulary);
        for kind in vocabulary.kinds {
            for attribute in kind.attributes {
                let form: &dyn Form = match attribute.sort {
                    AttributeSort::Flag => &Flag,
                    AttributeSort::Text | AttributeSort::Host | AttributeSort::List => &Texts,
                };
                let mut form = form.schema(vocabulary);
                let mut about = format!("{}: {}", kind.noun, attribute.about);
                let known: Option<&Value> = conditions.get(attribute.key);
                if let Some(others) = known.and_then(|known| known["description"].as_str()) {
                    about = format!("{others}; {about}");
                }
                form["description"] = json!(about);
                conditions.insert(attribute.key.to_owned(), form);
            }
        }
        table(conditions)
    }
}

impl Form for ClaimKey {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let properties: Map<String, Value> = CLAIMABLE
            .iter()
            .map(|key| ((*key).to_owned(), Texts.schema(vocabulary)))
            .collect();
        let mut table = table(properties);
        table["minProperties"] = json!(1);
        table["maxProperties"] = json!(1);
        table
    }
}

impl<T: Sync> Form for DeadWhen<T> {
    fn schema(&self, vocabulary: &Vocabulary<'_>) -> Value {
        let (event, condition) = (self.0.schema(vocabulary), self.1.schema(vocabulary));
        one_or_list(json!({ "anyOf": [event, condition] }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_schema_is_the_one_that_editors_are_given() {
        let kinds = crate::providers::vocabulary();
        let file = include_str!("../../policies/preview-gc.schema.json");
        let given: Value = serde_json::from_str(file).unwrap();
        let made = schema(&Vocabulary {
            kinds: &kinds,
            scopes: &crate::providers::scopes(),
        });
        // The two documents are too long to be of any help.
        assert!(
            made == given,
            "update it: preview-gc check --schema > policies/preview-gc.schema.json"
        );
    }

    /// A key that no table has and that resembles none.
    const STRANGE: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";

    /// Returns the keys of the table with the strange key, as the help for it
    /// lists them.
    fn keys_of_the_reader(text: &str) -> BTreeSet<String> {
        let mistakes = crate::policy::tests::read(text).unwrap_err();
        let unknown = format!("unknown key `{STRANGE}`");
        let mut about_it = mistakes
            .into_iter()
            .filter(|one| one.message.starts_with(&unknown));
        let help = about_it.next().and_then(|one| one.help).unwrap();
        let keys = help.strip_prefix("there is: ").unwrap();
        keys.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_the_reader_takes() {
        let kinds = crate::providers::vocabulary();
        let schema = schema(&Vocabulary {
            kinds: &kinds,
            scopes: &crate::providers::scopes(),
        });
        for (text, place) in [
            ("? = 1", ""),
            ("scope = { ? = 1 }", "/properties/scope"),
            (
                "scope = { cloudflare = { ? = 1 } }",
                "/properties/scope/properties/cloudflare",
            ),
            (
                "scope = { neon = { ? = 1 } }",
                "/properties/scope/properties/neon",
            ),
            ("limits = { ? = 1 }", "/properties/limits"),
            (
                "limits = { brake = { ? = 1 } }",
                "/properties/limits/properties/brake",
            ),
            (
                "slug = { a = { ? = 1 } }",
                "/properties/slug/additionalProperties",
            ),
            (
                "slug = { a = { replace = { ? = 1 } } }",
                "/properties/slug/additionalProperties/properties/replace",
            ),
            (
                "slug = { a = { hash = { ? = 1 } } }",
                "/properties/slug/additionalProperties/properties/hash",
            ),
            ("protect = [{ ? = 1 }]", "/properties/protect/items"),
            ("rule = [{ ? = 1 }]", "/properties/rule/items"),
            (
                "rule = [{ claim = { ? = 1 } }]",
                "/properties/rule/items/properties/claim",
            ),
            (
                "rule = [{ dead-when = { ? = 1 } }]",
                "/properties/rule/items/properties/dead-when/anyOf/0/anyOf/1",
            ),
        ] {
            let keys = schema.pointer(&format!("{place}/properties")).unwrap();
            let keys: BTreeSet<_> = keys.as_object().unwrap().keys().cloned().collect();
            let taken = keys_of_the_reader(&text.replace('?', STRANGE));
            assert_eq!(keys, taken, "{text}");
        }
    }
}
