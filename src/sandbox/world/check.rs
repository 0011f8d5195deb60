//! Checks resources against their kinds.

use chrono::DateTime;
use serde_json::Value;

use super::WorldResource;

/// Checks a resource against its kind; returns the path below it on a mistake.
pub fn check(resource: &WorldResource) -> Result<(), (String, String)> {
    let mut kinds = crate::sandbox::world_kinds();
    let Some(kind) = kinds.find(|kind| kind.name == resource.kind) else {
        let known: Vec<_> = crate::sandbox::world_kinds()
            .map(|kind| kind.name)
            .collect();
        return Err((
            ".kind".to_owned(),
            format!(
                "there is no kind {:?}; there is: {}",
                resource.kind,
                known.join(", ")
            ),
        ));
    };
    if resource.name.is_empty() {
        return Err((".name".to_owned(), "a name cannot be empty".to_owned()));
    }
    for (key, value) in &resource.attributes {
        let place = format!(".attributes.{key}");
        if !kind.attributes.contains(&key.as_str()) {
            return Err((
                place,
                format!(
                    "a {} has no such attribute; it has: {}",
                    resource.kind,
                    kind.attributes.join(", ")
                ),
            ));
        }
        attribute(key, value).map_err(|(path, message)| (format!("{place}{path}"), message))?;
    }
    Ok(())
}

/// The form of an attribute's value.
#[derive(Clone, Copy)]
enum AttributeForm {
    Flag,
    Count,
    Time,
    Texts,
    /// Names of Workers, or objects with them as the API has.
    Workers,
    List,
    Object,
    Bindings,
    Versions,
    /// An object with `bindings`.
    BaseConfig,
    Text,
}

impl AttributeForm {
    fn of(key: &str) -> Self {
        match key {
            "default"
            | "protected"
            | "proxied"
            | "managed"
            | "has_assets"
            | "active"
            | "script_deleted"
            | "transient_environment"
            | "production_environment" => Self::Flag,
            "objects" | "ttl" | "pull_request_number" | "deletion_ms" => Self::Count,
            "expires_at" | "last_reset_at" | "last_active" => Self::Time,
            "custom_domains" | "tags" | "producers" | "consumers" | "aliases" | "handlers" => {
                Self::Texts
            }
            "tail_consumers" => Self::Workers,
            "keys" | "protection_rules" | "destinations" => Self::List,
            "annotations" | "instances" => Self::Object,
            "bindings" => Self::Bindings,
            "versions" => Self::Versions,
            "previews_base_config" => Self::BaseConfig,
            _ => Self::Text,
        }
    }
}

/// Checks the value of an attribute; null stands for one that is absent.
fn attribute(key: &str, value: &Value) -> Result<(), (String, String)> {
    if value.is_null() {
        return Ok(());
    }
    let is_time = |text: &str| DateTime::parse_from_rfc3339(text).is_ok();
    let (fits, expected) = match AttributeForm::of(key) {
        AttributeForm::Flag => (value.is_boolean(), "true or false"),
        AttributeForm::Count => (value.is_u64(), "a whole number"),
        AttributeForm::Time => (value.as_str().is_some_and(is_time), "an RFC 3339 time"),
        AttributeForm::Texts => {
            let items = value.as_array();
            let texts = items.is_some_and(|items| items.iter().all(Value::is_string));
            (texts, "a list of strings")
        }
        AttributeForm::Workers => {
            let is_named = |item: &Value| {
                let named = item.get("service").or_else(|| item.get("name"));
                named.unwrap_or(item).is_string()
            };
            let items = value.as_array();
            let named = items.is_some_and(|items| items.iter().all(is_named));
            (named, "a list of Workers: names, or {service}")
        }
        AttributeForm::List => (value.is_array(), "a list"),
        AttributeForm::Object => (value.is_object(), "an object"),
        AttributeForm::Text => (value.is_string(), "a string"),
        AttributeForm::Bindings => return bindings(value),
        AttributeForm::Versions => return versions(value),
        AttributeForm::BaseConfig => {
            return bindings(&value["bindings"])
                .map_err(|(path, message)| (format!(".bindings{path}"), message));
        }
    };
    if fits {
        Ok(())
    } else {
        Err((String::new(), format!("must be {expected}")))
    }
}

/// Checks a list of `{bindings, percentage}`.
fn versions(value: &Value) -> Result<(), (String, String)> {
    let Some(versions) = value.as_array() else {
        let message = "must be a list of {bindings, percentage}";
        return Err((String::new(), message.to_owned()));
    };
    for (index, version) in versions.iter().enumerate() {
        let at = |(path, message)| (format!("[{index}].bindings{path}"), message);
        bindings(&version["bindings"]).map_err(at)?;
        if !version["percentage"].is_null() && !version["percentage"].is_number() {
            let path = format!("[{index}].percentage");
            return Err((path, "must be a number".to_owned()));
        }
    }
    Ok(())
}

/// Checks a list of `{type, name, target}`.
fn bindings(value: &Value) -> Result<(), (String, String)> {
    let Some(bindings) = value.as_array() else {
        let message = "must be a list of {type, name, target}";
        return Err((String::new(), message.to_owned()));
    };
    for (index, binding) in bindings.iter().enumerate() {
        for part in ["type", "name", "target"] {
            if !binding.get(part).is_some_and(Value::is_string) {
                return Err((format!("[{index}].{part}"), "must be a string".to_owned()));
            }
        }
        let sort = binding
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let known: Vec<_> = crate::sandbox::bindable().collect();
        if !known.contains(&sort) {
            return Err((
                format!("[{index}].type"),
                format!(
                    "there is no binding type {sort:?}; there is: {}",
                    known.join(", ")
                ),
            ));
        }
    }
    Ok(())
}
