//! What Workers, Previews and Pages projects bind, in the three forms in which
//! Cloudflare shows it: a list, a map by name, and the maps of a Pages project.
//!
//! A binding type that is not known here is reported as such: what it could
//! name must not be deleted.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kind::Malformed;
use crate::model::{Reference, References, UnknownBinding};

/// Binding types that name nothing that preview-gc could delete. Source: the
/// enumeration of binding types in Cloudflare's documents of 2026-07.
const HARMLESS: [&str; 30] = [
    "ai",
    "ai_search",
    "ai_search_namespace",
    "analytics_engine",
    "artifacts",
    "assets",
    "browser",
    "data_blob",
    "flagship",
    "images",
    "json",
    "logfwdr",
    "media",
    "messaging",
    "mtls_certificate",
    "pipelines",
    "plain_text",
    "ratelimit",
    "secret_key",
    "secret_text",
    "secrets_store_secret",
    "send_email",
    "text_blob",
    "unsafe_hello_world",
    "vectorize",
    "version_metadata",
    "vpc_network",
    "vpc_service",
    "wasm_module",
    "worker_loader",
];

/// Only the fields that name another resource.
#[derive(Deserialize)]
struct Binding {
    #[serde(rename = "type")]
    sort: String,
    namespace_id: Option<String>,
    id: Option<String>,
    database_id: Option<String>,
    bucket_name: Option<String>,
    queue_name: Option<String>,
    service: Option<String>,
    script_name: Option<String>,
    class_name: Option<String>,
    outbound: Option<Outbound>,
}

#[derive(Deserialize)]
struct Outbound {
    worker: Option<Consumer>,
}

/// A Worker that receives from another: logs, or the requests of a dispatch
/// namespace. The classic API says `service`, the newer one `name`.
#[derive(Deserialize)]
pub(super) struct Consumer {
    service: Option<String>,
    name: Option<String>,
}

impl Consumer {
    fn worker(self) -> Option<Reference> {
        let name = self.service.or(self.name)?;
        Some(Reference::by_id("worker", name))
    }
}

/// The settings of a Worker: what its latest version binds, and who receives its
/// logs.
#[derive(Deserialize)]
pub(super) struct Settings {
    /// Without it the references of the Worker are unknown.
    pub(super) bindings: Vec<Value>,
    #[serde(default)]
    tail_consumers: Option<Vec<Consumer>>,
    /// The same for the streaming form; wrangler's configuration has both.
    #[serde(default)]
    streaming_tail_consumers: Option<Vec<Consumer>>,
}

impl Settings {
    /// What the Worker uses.
    ///
    /// # Errors
    ///
    /// As [`listed`].
    pub(super) fn references(self) -> Result<References, Malformed> {
        let mut references = listed(&self.bindings)?;
        references.extend(tails(self.tail_consumers));
        references.extend(tails(self.streaming_tail_consumers));
        Ok(references)
    }
}

/// The Workers that receive another's logs.
pub(super) fn tails(consumers: Option<Vec<Consumer>>) -> References {
    let consumers = consumers.into_iter().flatten();
    References {
        uses: consumers.filter_map(Consumer::worker).collect(),
        unknown: Vec::new(),
    }
}

/// What a list of bindings refers to: `bindings` of a Worker's settings or of
/// one of its versions.
///
/// # Errors
///
/// When a binding names nothing where its type must name something.
pub(super) fn listed(bindings: &[Value]) -> Result<References, Malformed> {
    let mut references = References::default();
    for binding in bindings {
        references.extend(one(binding)?);
    }
    Ok(references)
}

/// What a map of bindings by name refers to: `env` of a Preview's deployment,
/// or of the template for new Previews.
///
/// # Errors
///
/// As [`listed`].
pub(super) fn by_name(env: &Map<String, Value>) -> Result<References, Malformed> {
    let mut references = References::default();
    for binding in env.values().filter(|binding| !binding.is_null()) {
        references.extend(one(binding)?);
    }
    Ok(references)
}

fn one(value: &Value) -> Result<References, Malformed> {
    let binding: Binding = Binding::deserialize(value)?;
    let sort = binding.sort;
    let missing = format!("a `{sort}` binding that names nothing");
    let need = |value: Option<String>| value.ok_or_else(|| Malformed(missing.clone()));
    let worker = |name: String| Reference::by_id("worker", name);
    let found = match sort.as_str() {
        "kv_namespace" => Some(Reference::by_id(
            "kv_namespace",
            need(binding.namespace_id)?,
        )),
        "d1" => Some(Reference::by_id(
            "d1",
            need(binding.id.or(binding.database_id))?,
        )),
        "r2_bucket" => Some(Reference::by_name("r2", need(binding.bucket_name)?)),
        "queue" => Some(Reference::by_name("queue", need(binding.queue_name)?)),
        "hyperdrive" => Some(Reference::by_id("hyperdrive", need(binding.id)?)),
        "service" | "tail_consumer" => Some(worker(need(binding.service)?)),
        // Without a script name it is the Worker's own class.
        "durable_object_namespace" | "workflow" => {
            match (binding.script_name, binding.class_name) {
                (Some(script), _) => Some(worker(script)),
                (None, Some(_)) => None,
                (None, None) => return Ok(unresolved(&sort, value, "worker")),
            }
        }
        "dispatch_namespace" => binding
            .outbound
            .and_then(|outbound| outbound.worker)
            .and_then(Consumer::worker),
        known if HARMLESS.contains(&known) => None,
        _ => {
            return Ok(References {
                uses: Vec::new(),
                unknown: vec![unknown(&sort, value)],
            });
        }
    };
    Ok(References {
        uses: found.into_iter().collect(),
        unknown: Vec::new(),
    })
}

/// A binding of a type that is not known: any of its texts may name something.
fn unknown(sort: &str, value: &Value) -> UnknownBinding {
    let mut texts = Vec::new();
    collect(value, &mut texts);
    texts.sort_unstable();
    texts.dedup();
    UnknownBinding {
        sort: sort.into(),
        texts,
        any_of: None,
    }
}

/// A binding that refers to something of this kind by an id that no listing
/// shows.
fn unresolved(sort: &str, value: &Value, kind: &'static str) -> References {
    let binding = UnknownBinding {
        any_of: Some(kind),
        ..unknown(sort, value)
    };
    References {
        uses: Vec::new(),
        unknown: vec![binding],
    }
}

/// The most words that a name may have to be found inside a text.
const WORDS: usize = 16;

/// Everything in a text that begins and ends with a word: an id or a name may
/// stand inside an address, in any case.
fn parts(text: &str) -> Vec<Box<str>> {
    let apart = |c: char| !c.is_alphanumeric();
    let words = text.split(apart).filter(|word| !word.is_empty());
    let begin = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let words: Vec<(usize, usize)> = words
        .map(|word| (begin(word), begin(word) + word.len()))
        .collect();
    let mut parts: Vec<Box<str>> = vec![text.into()];
    for (first, (from, _)) in words.iter().enumerate() {
        for (_, to) in words.iter().skip(first).take(WORDS) {
            let part = &text[*from..*to];
            parts.push(part.into());
            parts.push(part.to_lowercase().into());
        }
    }
    parts
}

fn collect(value: &Value, texts: &mut Vec<Box<str>>) {
    match value {
        Value::String(text) => texts.extend(parts(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => {
            // The type and the variable's name refer to nothing.
            let fields = fields
                .iter()
                .filter(|(key, _)| *key != "type" && *key != "name");
            fields.for_each(|(_, item)| collect(item, texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What the bindings of a Pages project refer to by kind, with the field that
/// names it. Source: `deployment_configs` in Cloudflare's own SDK 7.3.0.
const PAGES: [(&str, &str); 6] = [
    ("kv_namespaces", "namespace_id"),
    ("d1_databases", "id"),
    ("r2_buckets", "name"),
    ("queue_producers", "name"),
    ("hyperdrive_bindings", "id"),
    ("services", "service"),
];

/// Maps of a Pages project that name nothing that preview-gc could delete.
const PAGES_HARMLESS: [&str; 8] = [
    "ai_bindings",
    "analytics_engine_datasets",
    "browsers",
    "env_vars",
    "limits",
    "mtls_certificates",
    "placement",
    "vectorize_bindings",
];

/// What one environment of a Pages project binds.
///
/// # Errors
///
/// When a binding lacks the field that names its target.
pub(super) fn pages(config: &Map<String, Value>) -> Result<References, Malformed> {
    let mut references = References::default();
    for (sort, bindings) in config {
        let Value::Object(bindings) = bindings else {
            continue;
        };
        if PAGES_HARMLESS.contains(&sort.as_str()) {
            continue;
        }
        let field = PAGES.iter().find(|(known, _)| known == sort);
        for binding in bindings.values().filter(|binding| !binding.is_null()) {
            let Some((_, field)) = field else {
                references.extend(if sort == "durable_object_namespaces" {
                    unresolved(sort, binding, "worker")
                } else {
                    References {
                        uses: Vec::new(),
                        unknown: vec![unknown(sort, binding)],
                    }
                });
                continue;
            };
            let named = binding.get(field).and_then(Value::as_str);
            let named = named.map(str::to_owned);
            let named = named
                .ok_or_else(|| Malformed(format!("a binding in `{sort}` without `{field}`")))?;
            references.uses.push(match sort.as_str() {
                "kv_namespaces" => Reference::by_id("kv_namespace", named),
                "d1_databases" => Reference::by_id("d1", named),
                "r2_buckets" => Reference::by_name("r2", named),
                "queue_producers" => Reference::by_name("queue", named),
                "hyperdrive_bindings" => Reference::by_id("hyperdrive", named),
                _ => Reference::by_id("worker", named),
            });
        }
    }
    Ok(references)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::model::{KindRef, UsedBy};

    fn uses(references: &References) -> Vec<String> {
        let uses = references.uses.iter();
        uses.map(|one| format!("{} {}", one.kind, one.key.text()))
            .collect()
    }

    /// The kinds that a user source may use, but for those that it uses otherwise.
    fn used_by(user: &str) -> BTreeSet<&'static str> {
        let kinds = crate::providers::vocabulary().into_iter();
        let used = kinds.filter(|kind| match kind.used_by {
            UsedBy::These(users) => users.contains(&user),
            UsedBy::Nothing(_) | UsedBy::Undeclared => false,
        });
        used.map(KindRef::name).collect()
    }

    /// A kind that something binds, and that is not read from the bindings, would
    /// be deleted while it is bound.
    #[test]
    fn every_kind_that_is_bound_is_read_from_bindings() {
        let fields = json!({"namespace_id": "x", "id": "x", "database_id": "x", "service": "x",
            "bucket_name": "x", "queue_name": "x", "index_name": "x", "name": "X"});
        let read = |sort: &str| {
            let mut binding = fields.clone();
            binding["type"] = json!(sort);
            let references = one(&binding).unwrap();
            references.uses.into_iter().map(|reference| reference.kind)
        };
        let known = [
            "kv_namespace",
            "d1",
            "r2_bucket",
            "queue",
            "hyperdrive",
            "service",
        ];
        let named: BTreeSet<_> = known.into_iter().chain(HARMLESS).flat_map(read).collect();
        assert!(named.len() > 4, "{named:?}");
        for user in ["worker", "worker_preview", "dispatch_namespace"] {
            assert_eq!(named, used_by(user), "{user}");
        }
        let maps = PAGES.iter().map(|(map, _)| *map).chain(PAGES_HARMLESS);
        let in_pages = maps.flat_map(|map| {
            let config = json!({ map: { "X": fields } });
            let references = pages(config.as_object().unwrap()).unwrap();
            references.uses.into_iter().map(|reference| reference.kind)
        });
        let in_pages: BTreeSet<_> = in_pages.collect();
        assert_eq!(in_pages, used_by("pages_project"));
    }

    #[test]
    fn every_known_binding_names_its_target() {
        let list = json!([
            {"type": "kv_namespace", "name": "KV", "namespace_id": "0123"},
            {"type": "d1", "name": "DB", "database_id": "d"},
            {"type": "r2_bucket", "name": "B", "bucket_name": "files"},
            {"type": "queue", "name": "Q", "queue_name": "jobs"},
            {"type": "hyperdrive", "name": "H", "id": "h"},
            {"type": "service", "name": "API", "service": "api"},
            {"type": "durable_object_namespace", "name": "OWN", "class_name": "Room"},
            {"type": "durable_object_namespace", "name": "DO", "class_name": "Room", "script_name": "rooms"},
            {"type": "workflow", "name": "W", "class_name": "Flow", "script_name": "flows"},
            {"type": "dispatch_namespace", "name": "D", "namespace": "n", "outbound": {"worker": {"service": "out"}}},
            {"type": "secret_text", "name": "S"},
        ]);
        let found = listed(list.as_array().unwrap()).unwrap();
        assert_eq!(
            uses(&found),
            [
                "kv_namespace 0123",
                "d1 d",
                "r2 files",
                "queue jobs",
                "hyperdrive h",
                "worker api",
                "worker rooms",
                "worker flows",
                "worker out",
            ]
        );
        assert_eq!(found.unknown, []);
        // The same by name, as Previews have it.
        let env = json!({"KV": {"type": "kv_namespace", "namespace_id": "0123"}, "GONE": null});
        let found = by_name(env.as_object().unwrap()).unwrap();
        assert_eq!(uses(&found), ["kv_namespace 0123"]);
    }

    #[test]
    fn a_binding_of_an_unknown_type_reports_whatever_it_could_name() {
        let list =
            json!([{"type": "tape", "name": "T", "drive": {"id": "0123", "labels": ["files"]}}]);
        let found = listed(list.as_array().unwrap()).unwrap();
        assert_eq!(found.uses, []);
        assert_eq!(&*found.unknown[0].sort, "tape");
        assert_eq!(found.unknown[0].texts, ["0123".into(), "files".into()]);
        // A class somewhere, by an id that no listing shows.
        let list = json!([{"type": "durable_object_namespace", "name": "DO", "namespace_id": "x"}]);
        let found = listed(list.as_array().unwrap()).unwrap();
        assert_eq!(found.unknown[0].any_of, Some("worker"));
    }

    #[test]
    fn an_unknown_binding_may_name_something_inside_a_text() {
        let list = json!([{"type": "tape", "name": "T", "drive": "kv://acme/ABC-1/app-pr-7?x"}]);
        let found = listed(list.as_array().unwrap()).unwrap();
        let texts = &found.unknown[0].texts;
        for named in ["abc-1", "ABC-1", "app-pr-7", "acme/ABC-1"] {
            assert!(texts.contains(&named.into()), "{named}: {texts:?}");
        }
        assert!(!texts.contains(&"pp-pr-7".into()));
    }

    #[test]
    fn a_binding_without_its_target_is_an_answer_that_cannot_be_believed() {
        let list = json!([{"type": "kv_namespace", "name": "KV"}]);
        assert!(listed(list.as_array().unwrap()).is_err());
        let config = json!({"kv_namespaces": {"KV": {}}});
        assert!(pages(config.as_object().unwrap()).is_err());
    }

    #[test]
    fn a_pages_project_binds_by_kind() {
        let config = json!({
            "env_vars": {"A": {"type": "plain_text", "value": "0123"}},
            "kv_namespaces": {"KV": {"namespace_id": "0123"}},
            "d1_databases": {"DB": {"id": "d"}},
            "r2_buckets": {"B": {"name": "files"}},
            "queue_producers": {"Q": {"name": "jobs"}},
            "hyperdrive_bindings": {"H": {"id": "h"}},
            "services": {"API": {"service": "api", "environment": "production"}},
            "durable_object_namespaces": {"DO": {"namespace_id": "x"}},
            "tapes": {"T": {"drive": "y"}},
            "compatibility_flags": [],
            "fail_open": true,
        });
        let found = pages(config.as_object().unwrap()).unwrap();
        let mut names = uses(&found);
        names.sort();
        assert_eq!(
            names,
            [
                "d1 d",
                "hyperdrive h",
                "kv_namespace 0123",
                "queue jobs",
                "r2 files",
                "worker api",
            ]
        );
        let unknown: Vec<_> = found
            .unknown
            .iter()
            .map(|one| (&*one.sort, one.any_of))
            .collect();
        assert_eq!(
            unknown,
            [
                ("durable_object_namespaces", Some("worker")),
                ("tapes", None)
            ]
        );
    }
}
