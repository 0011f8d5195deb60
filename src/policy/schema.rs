//! The JSON schema of policy files, for editors.

use serde_json::{Map, Value, json};

use super::rule::CLAIMABLE;
use super::{Vocabulary, words};
use crate::limits::{self, Unit};
use crate::model::{AttributeSort, ScopeTable};

/// The schema for these kinds.
pub fn schema(vocabulary: &Vocabulary<'_>) -> Value {
    let kinds: Vec<&str> = vocabulary.kinds.iter().map(|kind| kind.name()).collect();
    let mut conditions = Map::new();
    for kind in vocabulary.kinds {
        for attribute in kind.attributes {
            let form = match attribute.sort {
                AttributeSort::Flag => json!({ "type": "boolean" }),
                AttributeSort::Text | AttributeSort::Host | AttributeSort::List => texts(),
            };
            let mut form = form;
            let mut about = format!("{}: {}", kind.noun, attribute.about);
            let known: Option<&Value> = conditions.get(attribute.key);
            if let Some(others) = known.and_then(|known| known["description"].as_str()) {
                about = format!("{others}; {about}");
            }
            form["description"] = json!(about);
            conditions.insert(attribute.key.to_owned(), form);
        }
    }
    let timing = |text: &str| json!({ "type": "boolean", "description": text });
    let mut rule_conditions = conditions.clone();
    rule_conditions.insert(
        "created-after-opened".to_owned(),
        timing("the resource was made when its pull request was open already"),
    );
    rule_conditions.insert(
        "ended-after-created".to_owned(),
        timing("its pull request ended after the resource was made"),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "preview-gc policy",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "repository": {
                "type": "string", "pattern": "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$",
                "description": "the repository whose pull requests and branches decide; default: \
                                GITHUB_REPOSITORY",
            },
            "scope": scope(vocabulary.scopes),
            "limits": limits(),
            "keep-label": {
                "type": "string",
                "description": "the label of a pull request that keeps everything which belongs to \
                                it (default: preview-keep)",
            },
            "words": { "type": "object", "additionalProperties": texts() },
            "slug": { "type": "object", "additionalProperties": slug() },
            "protect": { "type": "array", "items": protect(&kinds, &conditions) },
            "rule": { "type": "array", "items": rule(&kinds, &rule_conditions) },
        },
    })
}

fn scope(scopes: &[ScopeTable]) -> Value {
    let mut providers = Map::new();
    for ScopeTable { provider, keys } in scopes {
        let mut properties = Map::new();
        for key in *keys {
            let form = if key.takes_list {
                texts()
            } else {
                json!({ "type": "string" })
            };
            properties.insert(key.key.to_owned(), form);
        }
        let properties = Value::Object(properties);
        providers.insert((*provider).to_owned(), table(&properties));
    }
    table(&Value::Object(providers))
}

fn limits() -> Value {
    let mut properties = Map::new();
    for limit in limits::ALL {
        let mut form = match limit.unit {
            Unit::Duration => duration(),
            Unit::Count => json!({ "type": "integer", "minimum": 0 }),
            Unit::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
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
                let inner = properties.entry(inner).or_insert_with(|| table(&json!({})));
                inner["properties"][key] = form;
            }
        }
    }
    table(&Value::Object(properties))
}

fn table(properties: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn texts() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+[smhdw]$" })
}

fn kind(kinds: &[&str]) -> Value {
    let one = json!({ "enum": kinds });
    json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
}

fn slug() -> Value {
    let length = json!({ "type": "integer", "minimum": 1 });
    table(&json!({
        "case": { "enum": words::of(&words::CASES) },
        "keep": { "type": "string", "description": "the characters that stay, such as a-z0-9" },
        "replace": table(&json!({ "with": { "type": "string" }, "runs": { "type": "boolean" } })),
        "strip": { "enum": words::of(&words::STRIPS) },
        "length": { "anyOf": [length, { "type": "array", "items": length }] },
        "hash": table(&json!({
            "algorithm": { "enum": words::of(&words::ALGORITHMS) },
            "digits": { "type": "integer", "minimum": 1, "maximum": 40 },
        })),
        "empty": { "type": "string", "description": "what an empty slug becomes" },
    }))
}

fn conditions(properties: &Map<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn protect(kinds: &[&str], properties: &Map<String, Value>) -> Value {
    let mut table = table(&json!({
        "kind": kind(kinds), "name": texts(), "branch": texts(), "zone": texts(), "project": texts(),
        "where": conditions(properties),
        "names-file": {
            "type": "string",
            "description": "a file with one name a line, relative to this policy",
        },
        "pull-request": { "type": "integer", "minimum": 1, "maximum": i32::MAX },
        "reason": { "type": "string", "description": "shown in the report" },
    }));
    table["required"] = json!(["reason"]);
    table
}

/// One attribute, with the templates of the claim that it holds.
fn claim() -> Value {
    let properties: Map<String, Value> = CLAIMABLE
        .iter()
        .map(|key| ((*key).to_owned(), texts()))
        .collect();
    let mut table = table(&Value::Object(properties));
    table["minProperties"] = json!(1);
    table["maxProperties"] = json!(1);
    table["description"] = json!("the attribute that says what a resource belongs to");
    table
}

fn rule(kinds: &[&str], properties: &Map<String, Value>) -> Value {
    let condition = {
        let mut condition = table(&json!({
            "older-than": duration(),
            "clock": { "enum": words::of(&words::CLOCKS) },
            "newer": {
                "type": "integer", "minimum": 1,
                "description": "how many newer ones of the same rule and claim there must be",
            },
            "per": { "enum": words::of(&words::PER) },
            "without-label": {
                "type": "string",
                "description": "the label that its open pull request has lost",
            },
        }));
        let one_of = ["older-than", "newer", "without-label"];
        condition["oneOf"] = one_of.map(|key| json!({ "required": [key] })).into();
        condition
    };
    let event = json!({ "enum": words::of(&words::EVENTS) });
    let one = json!({ "anyOf": [event, condition] });
    let mut table = table(&json!({
        "id": { "type": "string" }, "kind": kind(kinds), "name": texts(), "branch": texts(),
        "except": texts(), "zone": texts(), "project": texts(),
        "where": conditions(properties),
        "claim": claim(),
        "dead-when": { "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] },
        "with": kind(kinds), "missing": { "enum": words::of(&words::MISSING) }, "born": { "enum": words::of(&words::BORN) },
        "even-open": { "type": "boolean" }, "grace": duration(),
        "action": { "enum": words::of(&words::ACTIONS) }, "backup": { "type": "boolean" },
    }));
    table["required"] = json!(["id", "kind", "dead-when"]);
    table["oneOf"] = json!([{ "required": ["name"] }, { "required": ["branch"] }]);
    table
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
