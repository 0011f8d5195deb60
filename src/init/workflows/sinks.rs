//! Commands and keys that create or delete something by name.

use std::collections::BTreeSet;

use super::UNKNOWN;

/// A kind, the template of its name, and whether the command deletes.
type SinkNames = Vec<(&'static str, String, bool)>;

/// What one line creates or deletes. `text` is the line as it is written,
/// `resolved` the same with its holes; `action` is the action of the step.
pub(super) fn find(
    text: &str,
    resolved: &str,
    action: &str,
    services: &BTreeSet<String>,
) -> SinkNames {
    let mut found = Vec::new();
    keys(resolved, action, &mut found);
    let in_action = action.starts_with("cloudflare/wrangler-action");
    let command = resolved
        .strip_prefix("command:")
        .filter(|_| in_action)
        .map(|command| format!("wrangler {}", command.trim().trim_matches(['"', '\''])));
    let resolved = command.as_deref().unwrap_or(resolved);
    for part in resolved
        .split(['\n', ';'])
        .flat_map(|part| part.split("&&"))
    {
        let part = part.split("||").next().unwrap_or(part);
        let words: Vec<&str> = part
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'', '`', ',', '(', ')', '[', ']']))
            .collect();
        let has = |name: &str| {
            words
                .iter()
                .any(|word| *word == name || word.ends_with(&format!("/{name}")))
        };
        if has("wrangler") {
            wrangler(&words, services, &mut found);
        }
        if has("neonctl") || has("neon") {
            neon(&words, &mut found);
        }
        if let Some((_, name)) = part.split_once("/workers/scripts/") {
            let end = name
                .find(|c: char| "\"'`/? ".contains(c))
                .unwrap_or(name.len());
            let deletes = text.contains("DELETE") || text.contains("delete");
            found.push(("worker", name[..end].to_owned(), deletes));
        }
        if part.contains("dns_records")
            && let Some((_, name)) = part.split_once("name\":")
        {
            let name = name.trim_start().trim_start_matches(['\\', '"', '\'']);
            let end = name
                .find(|c: char| "\\\"'` ,}".contains(c) && c != '}')
                .unwrap_or(name.len());
            found.push((
                "dns_record",
                name[..end].to_owned(),
                text.contains("DELETE"),
            ));
        }
    }
    found.retain(|(_, name, _)| is_useful(name));
    found
}

/// Whether a template says anything about previews.
fn is_useful(name: &str) -> bool {
    let holes = ["{pr}", "{branch}", "{slug}", "{run}"];
    let mut bare = name.to_owned();
    for hole in holes.into_iter().chain([UNKNOWN]) {
        bare = bare.replace(hole, "");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    holes.iter().any(|hole| name.contains(hole))
        && bare.chars().filter(char::is_ascii_alphanumeric).count() >= 2
        && bare.chars().all(plain)
}

/// The value of an option, as the next word or behind `=`.
fn option<'w>(words: &[&'w str], names: &[&str]) -> Option<&'w str> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if names.contains(word) {
            return words.next().map(|word| word.trim_matches(['"', '\'']));
        }
        if let Some((name, value)) = word.split_once('=')
            && names.contains(&name)
        {
            return Some(value.trim_matches(['"', '\'']));
        }
    }
    None
}

/// The commands of wrangler that create and delete what Workers bind, with its
/// kind.
pub(super) const STORAGE: [(&str, &str); 8] = [
    ("d1", "d1"),
    ("r2", "r2"),
    ("queues", "queue"),
    ("kv", "kv_namespace"),
    ("kv:namespace", "kv_namespace"),
    ("hyperdrive", "hyperdrive"),
    ("vectorize", "vectorize_index"),
    ("tunnel", "tunnel"),
];

fn wrangler(words: &[&str], services: &BTreeSet<String>, found: &mut SinkNames) {
    let at = |name: &str| words.iter().position(|word| *word == name);
    let after = |name: &str| -> Option<&str> {
        let rest = &words[at(name)? + 1..];
        rest.iter().find(|word| !word.starts_with('-')).copied()
    };
    let deletes = at("delete").is_some() || at("remove").is_some();
    let verb = if deletes && at("delete").is_some() {
        "delete"
    } else {
        "create"
    };
    for (word, kind) in STORAGE {
        if at(word).is_some() {
            if let Some(name) = after(verb) {
                found.push((kind, name.to_owned(), deletes));
            }
            return;
        }
    }
    if at("pages").is_some() {
        if let Some(branch) = option(words, &["--branch"]) {
            found.push(("pages_deployment", branch.to_owned(), deletes));
        }
        return;
    }
    if let Some(alias) = option(words, &["--preview-alias"]) {
        found.push(("worker_preview", alias.to_owned(), deletes));
        return;
    }
    let deploys = ["deploy", "publish", "delete", "upload"]
        .iter()
        .any(|verb| at(verb).is_some());
    if !deploys {
        return;
    }
    if let Some(name) = option(words, &["--name", "-n"]) {
        found.push(("worker", name.to_owned(), deletes));
    } else if let Some(env) = option(words, &["--env", "-e"]) {
        if services.is_empty() {
            found.push(("worker", format!("{UNKNOWN}-{env}"), deletes));
        }
        for service in services {
            found.push(("worker", format!("{service}-{env}"), deletes));
        }
    } else if deletes && let Some(name) = after("delete") {
        found.push(("worker", name.to_owned(), deletes));
    }
}

fn neon(words: &[&str], found: &mut SinkNames) {
    let at = |name: &str| words.iter().position(|word| *word == name);
    if at("branches").or_else(|| at("branch")).is_none() {
        return;
    }
    if at("create").is_some() {
        if let Some(name) = option(words, &["--name"]) {
            found.push(("neon_branch", name.to_owned(), false));
        }
    } else if let Some(delete) = at("delete") {
        let rest = &words[delete + 1..];
        if let Some(name) = rest.iter().find(|word| !word.starts_with('-')) {
            found.push(("neon_branch", (*name).to_owned(), true));
        }
    }
}

fn keys(resolved: &str, action: &str, found: &mut SinkNames) {
    let Some((key, value)) = resolved.split_once(':') else {
        return;
    };
    let value = value.trim().trim_matches(['"', '\'']);
    let deletes = action.contains("delete");
    match key.trim() {
        "branch_name" | "branch" if action.starts_with("neondatabase/") => {
            found.push(("neon_branch", value.to_owned(), deletes));
        }
        "branch" if action.starts_with("cloudflare/pages-action") => {
            found.push(("pages_deployment", value.to_owned(), false));
        }
        "environment" | "environment-name" | "environment_name" => {
            found.push(("github_environment", value.to_owned(), deletes));
        }
        _ => {}
    }
}
