//! Requests that an audit sends and answers that the stand-in gives, against
//! the providers' own documents where these are at hand.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::support::Server;
use bytes::Bytes;
use preview_gc::sandbox::world::World;
use preview_gc::sandbox::{Options, Sandbox};
use serde_json::{Map, Value, json};

#[path = "openapi/sessions.rs"]
mod sessions;

/// Paths that the trimmed documents leave out. Cloudflare's own SDK has them.
const UNDESCRIBED: [&str; 5] = [
    "/workers/dispatch/namespaces",
    "/access/apps",
    "/cfd_tunnel",
    "/workflows",
    "/containers/applications",
];

/// Parameters of paths that are younger than the documents, which are of July.
/// Cloudflare's own SDK has them since 7.1.0.
const YOUNGER: [(&str, &str); 2] = [
    ("/hyperdrive/configs", "page"),
    ("/hyperdrive/configs", "per_page"),
];

/// Provider, prefix of its paths in the stand-in, document.
const PROVIDERS: [(&str, &str); 3] = [
    ("/client/v4", "cloudflare"),
    ("/api/v2", "neon"),
    ("/github", "github"),
];

/// The folder of the providers' documents, which are not part of this
/// repository.
fn documents() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/openapi");
    if !folder.exists() {
        // Past the capture of the test runner, so that a run always shows it.
        let line = "SKIPPED requests_and_answers_are_valid_by_the_providers_documents: \
                    ../shared/openapi is not there\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    Some(folder)
}

/// The document of a provider in today's JSON schema. A folder that lacks one
/// fails the test.
fn document(folder: &Path, name: &str) -> Value {
    let path = folder.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("could not read {}: {error}", path.display()));
    let document = modern(&serde_json::from_str(&text).unwrap());
    let paths = document["paths"].as_object().unwrap();
    assert!(!paths.is_empty(), "{} has no paths", path.display());
    document
}

/// OpenAPI 3.0 writes `nullable` where JSON schema has a type `null`.
fn modern(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(modern).collect(),
        Value::Object(fields) => {
            let mut fields: Map<String, Value> = fields
                .iter()
                .filter(|(key, _)| *key != "example")
                .map(|(key, value)| (key.clone(), modern(value)))
                .collect();
            if fields.remove("nullable") == Some(Value::Bool(true)) {
                return json!({"anyOf": [fields, {"type": "null"}]});
            }
            Value::Object(fields)
        }
        other => other.clone(),
    }
}

/// The operation of a request, by its path template.
fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let segments: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<_> = template.split('/').collect();
        parts.len() == segments.len()
            && parts
                .iter()
                .zip(&segments)
                .all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let paths = document["paths"].as_object()?;
    // A literal template (`…/count`) is closer than one with a parameter.
    let mut found: Vec<_> = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .collect();
    found.sort_by_key(|(template, _)| template.matches('{').count());
    found.first()?.1.get(method.to_ascii_lowercase())
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// What a sweep of the demo world asks, over HTTP.
fn requests() -> Vec<Value> {
    let server = Server::start(&[]);
    let journal = tempfile::tempdir().unwrap();
    let output = server
        .program()
        .args([
            "sweep",
            "--yes",
            "-q",
            "--policies",
            "policies/demo.toml",
            "--format",
            "json",
            "--journal",
        ])
        .arg(journal.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    server
        .control("GET", "requests", "")
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn requests_and_answers_are_valid_by_the_providers_documents() {
    let Some(folder) = documents() else {
        return;
    };
    let documents: Vec<Value> = PROVIDERS
        .iter()
        .map(|(_, name)| document(&folder, name))
        .collect();
    let previews = document(&folder, "cloudflare-previews");
    let world = World::read("demo", include_str!("../../src/cli/demo-world.json")).unwrap();
    let sandbox = Sandbox::new(world, Options::default()).unwrap();
    let (mut checked, mut written) = (0, 0);
    for request in requests() {
        let (path, query) = (
            request["path"].as_str().unwrap(),
            request["query"].as_str().unwrap(),
        );
        let ((prefix, _), document) = PROVIDERS
            .into_iter()
            .zip(&documents)
            .find(|((prefix, _), _)| path.starts_with(prefix))
            .unwrap();
        // GraphQL has no OpenAPI document.
        if path.ends_with("/graphql") {
            continue;
        }
        if UNDESCRIBED.iter().any(|part| path.contains(part)) {
            continue;
        }
        // Previews are younger than the rest and have a document of their own.
        let document = if path.contains("/previews") {
            &previews
        } else {
            document
        };
        let method = request["method"].as_str().unwrap();
        let operation = operation(document, method, &path[prefix.len()..])
            .unwrap_or_else(|| panic!("{method} {path} is not in the document"));
        let declared: Vec<_> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| resolve(document, parameter))
            .filter(|parameter| parameter["in"] == "query")
            .collect();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if YOUNGER
                .iter()
                .any(|(end, name)| path.ends_with(end) && *name == key)
            {
                continue;
            }
            let parameter = declared
                .iter()
                .find(|parameter| parameter["name"] == *key)
                .unwrap_or_else(|| panic!("{path} has no parameter {key}"));
            let allowed = resolve(document, &parameter["schema"])["enum"].as_array();
            let known = allowed.is_none_or(|allowed| allowed.contains(&json!(value)));
            assert!(known, "{path}: {key}={value} is not allowed");
        }
        // Another sandbox has the same world, and nothing deleted.
        if method != "GET" {
            written += 1;
            continue;
        }
        let asked = http::Request::get(format!("http://127.0.0.1{path}?{query}"))
            .header("authorization", "Bearer x")
            .body(Bytes::new())
            .unwrap();
        let answer = sandbox.call(asked).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let response = resolve(document, &operation["responses"]["200"]);
        let mut schema = response["content"]["application/json"]["schema"].clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            // The document requires what it says is never given out.
            .filter(|error| !error.contains("\"password\" is a required property"))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{path}");
        checked += 1;
    }
    assert!(checked > 10, "only {checked} requests were checked");
    assert!(written > 8, "only {written} writing requests were checked");
}
