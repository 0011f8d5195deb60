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
const HARMLESS: [&str; 27] = [
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
    "version_metadata",
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
    index_name: Option<String>,
    service: Option<String>,
    script_name: Option<String>,
    environment: Option<String>,
    class_name: Option<String>,
    workflow_name: Option<String>,
    tunnel_id: Option<String>,
    outbound: Option<Outbound>,
}

#[derive(Deserialize)]
struct Outbound {
    worker: Option<Consumer>,
}

/// A Worker that receives from another: logs, or the requests of a dispatch
/// namespace.
#[derive(Deserialize)]
#[serde(try_from = "ShownConsumer")]
pub(super) struct Consumer {
    service: String,
    environment: Option<String>,
}

/// The classic API says `service`, the newer one `name`.
#[derive(Deserialize)]
struct ShownConsumer {
    service: Option<String>,
    name: Option<String>,
    environment: Option<String>,
}

impl TryFrom<ShownConsumer> for Consumer {
    type Error = &'static str;

    fn try_from(shown: ShownConsumer) -> Result<Self, Self::Error> {
        let service = named(shown.service.or(shown.name));
        Ok(Self {
            service: service.ok_or("a Worker that receives from another has no name")?,
            environment: shown.environment,
        })
    }
}

/// A text that names something.
fn named(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl Consumer {
    fn workers(self) -> Vec<Reference> {
        workers(self.service, self.environment.as_deref())
    }
}

/// A Worker, in an environment if one is given: that of wrangler is a Worker of
/// its own, called `<name>-<environment>`.
fn workers(name: String, environment: Option<&str>) -> Vec<Reference> {
    let environment = environment.filter(|one| !one.is_empty() && *one != "production");
    let of_environment = environment.map(|environment| format!("{name}-{environment}"));
    let names = std::iter::once(name).chain(of_environment);
    names.map(|name| Reference::by_id("worker", name)).collect()
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

/// Where the settings of a Worker name those that receive its logs.
pub(super) const TAILS: [&str; 2] = ["tail_consumers", "streaming_tail_consumers"];

/// Returns whether an entry of [`TAILS`] means a Worker.
///
/// # Errors
///
/// When it has not the documented form.
pub(super) fn is_tail_to(consumer: &Value, worker: &str) -> Result<bool, Malformed> {
    let consumer: Consumer = serde_json::from_value(consumer.clone())?;
    let mut uses = consumer.workers().into_iter();
    Ok(uses.any(|one| *one.key.text() == *worker))
}

/// The Workers that receive another's logs.
pub(super) fn tails(consumers: Option<Vec<Consumer>>) -> References {
    let consumers = consumers.into_iter().flatten();
    References {
        uses: consumers.flat_map(Consumer::workers).collect(),
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
    let sort = binding.sort.clone();
    let missing = format!("a `{sort}` binding that names nothing");
    let need = |value: Option<String>| named(value).ok_or_else(|| Malformed(missing.clone()));
    let environment = binding.environment.as_deref();
    let by_id = |kind, id| vec![Reference::by_id(kind, id)];
    let by_name = |kind, name| vec![Reference::by_name(kind, name)];
    let found = match sort.as_str() {
        "kv_namespace" => by_id("kv_namespace", need(binding.namespace_id)?),
        "d1" => by_id("d1", need(named(binding.id).or(binding.database_id))?),
        "r2_bucket" => by_name("r2", need(binding.bucket_name)?),
        "queue" => by_name("queue", need(binding.queue_name)?),
        "hyperdrive" => by_id("hyperdrive", need(binding.id)?),
        "vectorize" => by_name("vectorize_index", need(binding.index_name)?),
        "service" | "tail_consumer" => workers(need(binding.service)?, environment),
        // Without a script name it is the Worker's own class.
        "durable_object_namespace" => match (binding.script_name, binding.class_name) {
            (Some(script), _) => workers(script, environment),
            (None, Some(_)) => Vec::new(),
            (None, None) => return Ok(unresolved(&sort, value, "worker")),
        },
        "workflow" => return Ok(workflow(binding, value)),
        // Source: `WorkersBindingKindVPCNetwork` in Cloudflare's own SDK 7.3.0. A
        // service leads to a tunnel by an id that no listing shows.
        "vpc_network" | "vpc_service" => match named(binding.tunnel_id) {
            Some(tunnel) => by_id("tunnel", tunnel),
            None => return Ok(unresolved(&sort, value, "tunnel")),
        },
        "dispatch_namespace" => binding
            .outbound
            .and_then(|outbound| outbound.worker)
            .map_or_else(Vec::new, Consumer::workers),
        known if HARMLESS.contains(&known) => Vec::new(),
        _ => {
            return Ok(References {
                uses: Vec::new(),
                unknown: vec![unknown(&sort, value)],
            });
        }
    };
    Ok(References {
        uses: found,
        unknown: Vec::new(),
    })
}

/// A Workflow and the Worker that has its class. Without a script name it is the
/// Worker's own. Source: `WorkersBindingKindWorkflow` in Cloudflare's own SDK 7.3.0.
fn workflow(binding: Binding, value: &Value) -> References {
    let (script, class) = (binding.script_name, binding.class_name);
    let is_own = class.is_some() || binding.workflow_name.is_some();
    let mut references = match script {
        Some(script) => References {
            uses: workers(script, binding.environment.as_deref()),
            unknown: Vec::new(),
        },
        None if is_own => References::default(),
        None => unresolved(&binding.sort, value, "worker"),
    };
    match named(binding.workflow_name) {
        Some(name) => references.uses.push(Reference::by_name("workflow", name)),
        None => references.extend(unresolved(&binding.sort, value, "workflow")),
    }
    references
}

/// A binding of a type that is not known: any of its texts may name something.
fn unknown(sort: &str, value: &Value) -> UnknownBinding {
    let mut texts = Vec::new();
    match value.as_object() {
        // The binding's type and the variable's name refer to nothing.
        Some(fields) if fields.get("type").is_some_and(Value::is_string) => {
            let fields = fields.iter();
            let fields = fields.filter(|(key, _)| !["type", "name"].contains(&key.as_str()));
            fields.for_each(|field| collect_field(field, &mut texts));
        }
        _ => collect(value, &mut texts),
    }
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
        Value::Object(fields) => fields.iter().for_each(|field| collect_field(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A key may be a name as well: a map of what is bound.
fn collect_field((key, value): (&String, &Value), texts: &mut Vec<Box<str>>) {
    texts.extend(parts(key));
    collect(value, texts);
}

/// What the bindings of a Pages project refer to by kind, with the field that
/// names it. Source: `deployment_configs` in Cloudflare's own SDK 7.3.0.
const PAGES: [(&str, &str); 7] = [
    ("kv_namespaces", "namespace_id"),
    ("d1_databases", "id"),
    ("r2_buckets", "name"),
    ("queue_producers", "name"),
    ("hyperdrive_bindings", "id"),
    ("vectorize_bindings", "index_name"),
    ("services", "service"),
];

/// The map of a Pages project whose entries name Workers by ids that no listing
/// shows.
const PAGES_OBJECTS: &str = "durable_object_namespaces";

/// What else the configuration of a Pages project has, and names nothing that
/// preview-gc could delete.
const PAGES_HARMLESS: [&str; 11] = [
    "ai_bindings",
    "analytics_engine_datasets",
    "browsers",
    "compatibility_date",
    "compatibility_flags",
    "env_vars",
    "limits",
    "mtls_certificates",
    "placement",
    "usage_model",
    "wrangler_config_hash",
];

/// What one environment of a Pages project binds.
///
/// # Errors
///
/// When a binding lacks the field that names its target, or bindings of a known
/// sort have another form than a map.
pub(super) fn pages(config: &Map<String, Value>) -> Result<References, Malformed> {
    let mut references = References::default();
    for (sort, bindings) in config {
        if PAGES_HARMLESS.contains(&sort.as_str()) {
            continue;
        }
        let field = PAGES.iter().find(|(known, _)| known == sort);
        let Some((_, field)) = field else {
            references.extend(if sort == PAGES_OBJECTS {
                objects(bindings)?
            } else {
                unknown_setting(sort, bindings)
            });
            continue;
        };
        for binding in of_map(sort, bindings)? {
            let text = |key: &str| binding.get(key).and_then(Value::as_str);
            let named = named(text(field).map(str::to_owned))
                .ok_or_else(|| Malformed(format!("a binding in `{sort}` without `{field}`")))?;
            references.uses.extend(match sort.as_str() {
                "kv_namespaces" => vec![Reference::by_id("kv_namespace", named)],
                "d1_databases" => vec![Reference::by_id("d1", named)],
                "r2_buckets" => vec![Reference::by_name("r2", named)],
                "queue_producers" => vec![Reference::by_name("queue", named)],
                "hyperdrive_bindings" => vec![Reference::by_id("hyperdrive", named)],
                "vectorize_bindings" => vec![Reference::by_name("vectorize_index", named)],
                _ => workers(named, text("environment")),
            });
        }
    }
    Ok(references)
}

/// The bindings in a map of a Pages project; `null` stands for none.
fn of_map<'v>(sort: &str, bindings: &'v Value) -> Result<Vec<&'v Value>, Malformed> {
    match bindings {
        Value::Null => Ok(Vec::new()),
        Value::Object(bindings) => Ok(bindings.values().filter(|one| !one.is_null()).collect()),
        _ => Err(Malformed(format!("`{sort}` of a Pages project is no map"))),
    }
}

fn objects(bindings: &Value) -> Result<References, Malformed> {
    let mut references = References::default();
    for binding in of_map(PAGES_OBJECTS, bindings)? {
        references.extend(unresolved(PAGES_OBJECTS, binding, "worker"));
    }
    Ok(references)
}

/// A setting that is not known, in whatever form: every text in it may name
/// something.
fn unknown_setting(sort: &str, value: &Value) -> References {
    let says_something = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    };
    References {
        uses: Vec::new(),
        unknown: says_something
            .then(|| unknown(sort, value))
            .into_iter()
            .collect(),
    }
}

#[cfg(test)]
mod tests;
