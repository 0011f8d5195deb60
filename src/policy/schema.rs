//! The JSON schema of policy files, for editors.

use serde_json::{Map, Value, json};

use super::Vocabulary;
use crate::model::AttributeSort;

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
            form["description"] = json!(format!("{} of a {}", attribute.about, kind.noun));
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
    let share = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let whole = json!({ "type": "integer", "minimum": 0 });
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
            "scope": table(&json!({
                "cloudflare": table(&json!({ "account": { "type": "string" }, "zones": texts() })),
                "neon": table(&json!({ "projects": texts() })),
            })),
            "limits": table(&json!({
                "grace": duration(), "grace-on-close": duration(), "deadline": duration(),
                "max-deletions": whole, "reference-reads": whole, "quota-share": share,
                "quota-reserve": whole, "reread-after": duration(), "plan-age": duration(),
                "brake": table(&json!({ "count": whole, "share": share, "floor": whole })),
            })),
            "words": { "type": "object", "additionalProperties": texts() },
            "slug": { "type": "object", "additionalProperties": slug() },
            "protect": { "type": "array", "items": protect(&kinds, &conditions) },
            "rule": { "type": "array", "items": rule(&kinds, &rule_conditions) },
        },
    })
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
        "case": { "enum": ["lower", "upper", "keep"] },
        "keep": { "type": "string", "description": "the characters that stay, such as a-z0-9" },
        "replace": table(&json!({ "with": { "type": "string" }, "runs": { "type": "boolean" } })),
        "strip": { "enum": ["none", "before-cut", "both"] },
        "length": { "anyOf": [length, { "type": "array", "items": length }] },
        "hash": table(&json!({
            "algorithm": { "enum": ["sha256", "sha1"] },
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
        "pull-request": { "type": "integer", "minimum": 1, "maximum": i32::MAX },
        "reason": { "type": "string", "description": "shown in the report" },
    }));
    table["required"] = json!(["reason"]);
    table
}

fn rule(kinds: &[&str], properties: &Map<String, Value>) -> Value {
    let age = {
        let mut age = table(&json!({
            "older-than": duration(),
            "clock": { "enum": ["created", "changed", "merged", "active", "named"] },
        }));
        age["required"] = json!(["older-than"]);
        age
    };
    let event = json!({ "enum": ["closed", "merged", "branch-gone", "run-finished"] });
    let one = json!({ "anyOf": [event, age] });
    let mut table = table(&json!({
        "id": { "type": "string" }, "kind": kind(kinds), "name": texts(), "branch": texts(),
        "except": texts(), "zone": texts(), "project": texts(),
        "where": conditions(properties),
        "dead-when": { "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] },
        "with": kind(kinds), "missing": { "enum": ["keep", "dead"] }, "born": { "enum": ["any"] },
        "even-open": { "type": "boolean" }, "grace": duration(),
        "action": { "enum": ["delete", "report", "expire"] }, "backup": { "type": "boolean" },
    }));
    table["required"] = json!(["id", "kind", "dead-when"]);
    table["oneOf"] = json!([{ "required": ["name"] }, { "required": ["branch"] }]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_the_one_that_editors_are_given() {
        let kinds = crate::providers::vocabulary();
        let file = include_str!("../../policies/preview-gc.schema.json");
        let given: Value = serde_json::from_str(file).unwrap();
        assert_eq!(schema(&Vocabulary { kinds: &kinds }), given);
    }
}
