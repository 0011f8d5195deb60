//! Bindings of a Worker's version: conversion between the world's form (`{type,
//! name, target}` by name) and the API's form (by id if it has ids).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{PRODUCTS, identity};
use crate::sandbox::provider::ImpossibleResource;

/// One binding.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    /// The variable in the Worker.
    pub(super) name: String,
    /// The API's type.
    pub(super) kind: String,
    target_name: Option<String>,
    target_id: Option<String>,
    rest: Map<String, Value>,
}

/// The ids of what can be bound by id, under type and name.
pub(super) type Ids = HashMap<(&'static str, String), String>;

/// How the resources of a product are bound.
#[derive(Debug)]
pub(super) struct Bindable {
    /// The API's type, and the kind of what is bound by id.
    pub(super) sort: &'static str,
    /// The type in world files: the name of its kind, or `service` for Workers.
    pub(super) name: &'static str,
    /// The API's field for the target.
    pub(super) field: &'static str,
    /// Whether that is an id.
    pub(super) by_id: bool,
    /// The map of a Pages project, and the field of an item in it; none if Pages
    /// projects cannot bind one.
    pub(super) pages: Option<(&'static str, &'static str)>,
}

fn bindable(is: impl Fn(&Bindable) -> bool) -> Option<&'static Bindable> {
    let mut all = PRODUCTS.iter().filter_map(|product| product.bindable());
    all.find(|one| is(one))
}

fn by_id(kind: &str) -> Option<&'static str> {
    let found = bindable(|one| one.sort == kind && one.by_id);
    found.map(|one| one.sort)
}

fn field(kind: &str) -> Option<&'static str> {
    bindable(|one| one.sort == kind).map(|one| one.field)
}

impl Binding {
    /// Reads the world's form.
    pub(super) fn from_world(value: &Value) -> Result<Self, ImpossibleResource> {
        let get = |name: &str| value.get(name).and_then(Value::as_str);
        let kind =
            get("type").ok_or_else(|| ImpossibleResource("a binding without a type".to_owned()))?;
        let kind = bindable(|one| one.name == kind).map_or(kind, |one| one.sort);
        let target = get("target").map(ToOwned::to_owned);
        if field(kind).is_some() && target.is_none() {
            return Err(ImpossibleResource(format!(
                "a binding of type {kind} without a target"
            )));
        }
        let mut rest = value.as_object().cloned().unwrap_or_default();
        for known in ["type", "name", "target"] {
            rest.remove(known);
        }
        Ok(Self {
            name: get("name").or(target.as_deref()).unwrap_or(kind).to_owned(),
            kind: kind.to_owned(),
            target_name: target,
            target_id: None,
            rest,
        })
    }

    /// Reads the form in which uploads carry it; `None` without name or type.
    pub(super) fn from_api(value: &Value) -> Option<Self> {
        let mut rest = value.as_object()?.clone();
        let mut take = |name: &str| match rest.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let name = take("name")?;
        let kind = take("type")?;
        let target = match field(&kind) {
            Some("id") if kind == "d1" => take("database_id").or_else(|| take("id")),
            Some(field) => take(field),
            None => None,
        };
        let (target_id, target_name) = if by_id(&kind).is_some() {
            (target, None)
        } else {
            (None, target)
        };
        Some(Self {
            name,
            kind,
            target_name,
            target_id,
            rest,
        })
    }

    /// The map of a Pages project's configuration, the name in it and the item.
    pub(super) fn pages(&self) -> Option<(&'static str, &str, Value)> {
        let (map, field) = bindable(|one| one.sort == self.kind)?.pages?;
        let shown = self.api();
        let target = self::field(&self.kind).map(|field| shown[field].clone());
        Some((map, &self.name, json!({ field: target })))
    }

    /// Reads an item of such a map.
    pub(super) fn from_pages(map: &str, name: &str, item: &Value) -> Option<Self> {
        let found = bindable(|one| one.pages.is_some_and(|(known, _)| known == map))?;
        let (kind, of_kind) = (found.sort, found.field);
        let (_, field) = found.pages?;
        let target = item.get(field)?;
        Self::from_api(&json!({ "type": kind, "name": name, of_kind: target }))
    }

    /// Bindings by name, as Previews carry them.
    pub(super) fn env(bindings: &[Self]) -> Value {
        let env = bindings.iter().map(|binding| {
            let mut shown = binding.api();
            if let Some(fields) = shown.as_object_mut() {
                fields.remove("name");
            }
            (binding.name.clone(), shown)
        });
        Value::Object(env.collect())
    }

    /// Reads bindings by name.
    pub(super) fn from_env(env: &Value) -> Vec<Self> {
        let fields = env.as_object().into_iter().flatten();
        let named = fields.filter_map(|(name, binding)| {
            let mut binding = binding.as_object()?.clone();
            binding.insert("name".to_owned(), json!(name));
            Self::from_api(&Value::Object(binding))
        });
        named.collect()
    }

    /// Finds the id of a target that the world named.
    pub(super) fn settle(&mut self, ids: &Ids) {
        if self.target_id.is_none()
            && let (Some(kind), Some(name)) = (by_id(&self.kind), &self.target_name)
        {
            self.target_id = ids.get(&(kind, name.clone())).cloned();
        }
    }

    /// Returns whether its target has this name.
    pub(super) fn points_at(&self, kind: &str, name: &str) -> bool {
        self.kind == kind && self.target_name.as_deref() == Some(name)
    }

    /// The name of its target.
    pub(super) fn target(&self, kind: &str) -> Option<&str> {
        self.target_name.as_deref().filter(|_| self.kind == kind)
    }

    /// The API's form. Secrets do not show their text.
    pub(super) fn api(&self) -> Value {
        let mut shown = self.rest.clone();
        if self.kind == "secret_text" || self.kind == "secret_key" {
            shown.retain(|name, _| !matches!(name.as_str(), "text" | "key_base64" | "key_jwk"));
        }
        shown.insert("name".to_owned(), json!(self.name));
        shown.insert("type".to_owned(), json!(self.kind));
        if let Some(field) = field(&self.kind) {
            let target = match (by_id(&self.kind), &self.target_id, &self.target_name) {
                (Some(_), Some(id), _) => id.clone(),
                (Some(kind), None, Some(name)) => absent(kind, name),
                (None, _, Some(name)) => name.clone(),
                _ => String::new(),
            };
            if self.kind == "d1" {
                shown.insert("database_id".to_owned(), json!(target));
            }
            shown.insert(field.to_owned(), json!(target));
        }
        Value::Object(shown)
    }

    /// The world's form, with the present name of what it points at.
    pub(super) fn world(&self, names: &HashMap<&str, &str>) -> Value {
        let mut shown = self.rest.clone();
        for secret in ["text", "key_base64", "key_jwk"] {
            shown.remove(secret);
        }
        let known = bindable(|one| one.sort == self.kind);
        let kind = known.map_or(self.kind.as_str(), |one| one.name);
        shown.insert("type".to_owned(), json!(kind));
        shown.insert("name".to_owned(), json!(self.name));
        let id = self.target_id.as_deref();
        let target = id
            .and_then(|id| names.get(id).copied())
            .or(self.target_name.as_deref())
            .or(id);
        if let Some(target) = target {
            shown.insert("target".to_owned(), json!(target));
        }
        Value::Object(shown)
    }
}

/// The id of a target that does not exist: the one it would get.
fn absent(kind: &str, name: &str) -> String {
    let hex = identity::stable(&[kind, name]);
    if matches!(kind, "d1" | "vpc_network") {
        identity::uuid(&hex)
    } else {
        hex
    }
}
