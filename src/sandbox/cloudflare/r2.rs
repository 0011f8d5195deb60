//! R2 buckets, known by name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, object, ok, ok_with, put, text};
use super::binding::Bindable;
use super::identity::moment;
use super::kv_values::{decoded, encoded};
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// The size of an object of a world, of which only the number is given.
const SIZE: u64 = 1_500;

/// One bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    created: Option<DateTime<Utc>>,
    location: String,
    storage_class: String,
    /// The sizes of its objects, by key.
    objects: BTreeMap<String, u64>,
    attributes: Map<String, Value>,
}

/// R2.
pub(super) struct R2;

static KIND: WorldKind = WorldKind {
    name: "r2",
    attributes: &["objects", "location", "jurisdiction"],
    paths: &["/r2/buckets"],
};

static BINDABLE: Bindable = Bindable {
    sort: "r2_bucket",
    name: "r2",
    field: "bucket_name",
    by_id: false,
    pages: Some(("r2_buckets", "name")),
};

impl Product for R2 {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_bucket(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.bucket_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["r2", "buckets", rest @ ..] => Some(cloud.r2(method, rest, request)),
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }
}

impl Cloudflare {
    pub(super) fn add_bucket(
        &mut self,
        resource: &WorldResource,
    ) -> Result<(), ImpossibleResource> {
        if self.buckets.contains_key(&resource.name) {
            return Err(ImpossibleResource::exists("an r2", &resource.name));
        }
        let attributes = &resource.attributes;
        let bucket = Bucket {
            created: resource.created_at,
            location: text(attributes, "location")
                .unwrap_or("weur")
                .to_lowercase(),
            storage_class: text(attributes, "storage_class")
                .unwrap_or("Standard")
                .to_owned(),
            objects: (1..=attributes
                .get("objects")
                .and_then(Value::as_u64)
                .unwrap_or(0))
                .map(|number| (format!("object-{number:06}"), SIZE))
                .collect(),
            attributes: attributes.clone(),
        };
        self.buckets.insert(resource.name.clone(), bucket);
        Ok(())
    }

    pub(super) fn bucket_resources(&self) -> Vec<WorldResource> {
        self.buckets
            .iter()
            .map(|(name, bucket)| {
                let mut attributes = bucket.attributes.clone();
                attributes.insert("objects".to_owned(), json!(bucket.objects.len()));
                WorldResource {
                    kind: "r2".to_owned(),
                    name: name.clone(),
                    id: Some(name.clone()),
                    created_at: bucket.created,
                    updated_at: None,
                    attributes,
                }
            })
            .collect()
    }

    pub(super) fn r2(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => self.list_buckets(request),
            ("POST", []) => {
                let body = object(request, 10040)?;
                let name = text(&body, "name").unwrap_or_default();
                let fits = (3..=63).contains(&name.len())
                    && name
                        .bytes()
                        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
                if !fits {
                    return Err(ApiFailure::bad(
                        10005,
                        "The specified bucket name is not valid.",
                    ));
                }
                if self.buckets.contains_key(name) {
                    return Err(ApiFailure::conflict(
                        10004,
                        "The bucket you tried to create already exists, and you own it.",
                    ));
                }
                let bucket = Bucket {
                    created: Some(request.now),
                    location: text(&body, "locationHint").unwrap_or("weur").to_lowercase(),
                    storage_class: text(&body, "storageClass").unwrap_or("Standard").to_owned(),
                    objects: BTreeMap::new(),
                    attributes: Map::new(),
                };
                let shown = to_json(name, &bucket);
                self.buckets.insert(name.to_owned(), bucket);
                Ok(ok(shown))
            }
            ("GET", [name]) => match self.buckets.get(*name) {
                Some(bucket) => Ok(ok(to_json(name, bucket))),
                None => Err(missing()),
            },
            ("DELETE", [name]) => {
                let bucket = self.buckets.get(*name).ok_or_else(missing)?;
                if !bucket.objects.is_empty() {
                    return Err(ApiFailure::conflict(
                        10008,
                        "The bucket you tried to delete is not empty.",
                    ));
                }
                self.buckets.remove(*name);
                Ok(ok(json!({})))
            }
            (_, [name, "objects", key @ ..]) => {
                let bucket = self.buckets.get_mut(*name).ok_or_else(missing)?;
                match (method, key) {
                    ("GET", []) => list_objects(bucket, request),
                    ("DELETE", [_, ..]) => {
                        let key = key.join("/");
                        let removed = bucket.objects.remove(&key);
                        removed.map_or_else(
                            || {
                                Err(ApiFailure::not_found(
                                    10007,
                                    "The specified key does not exist.",
                                ))
                            },
                            |_| Ok(ok(json!({ "key": key }))),
                        )
                    }
                    _ => Err(ApiFailure::no_route(request)),
                }
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }

    fn list_buckets(&self, request: &Request) -> Answer {
        let asked = |name: &str| request.parameter(name).filter(|text| !text.is_empty());
        let (per_page, after) = page_of(request)?;
        let descending = asked("direction") == Some("desc");
        let mut found: Vec<(&String, &Bucket)> = self
            .buckets
            .iter()
            .filter(|(name, _)| asked("name_contains").is_none_or(|part| name.contains(part)))
            .filter(|(name, _)| {
                after.as_ref().is_none_or(|after| {
                    if descending {
                        *name < after
                    } else {
                        *name > after
                    }
                })
            })
            .collect();
        if descending {
            found.reverse();
        }
        let more = found.len() > per_page;
        found.truncate(per_page);
        let mut info = json!({ "per_page": per_page });
        if let (true, Some((name, _))) = (more, found.last()) {
            info["cursor"] = json!(encoded(name));
        }
        let shown: Vec<Value> = found
            .iter()
            .map(|(name, bucket)| to_json(name, bucket))
            .collect();
        Ok(ok_with(json!({ "buckets": shown }), info))
    }
}

/// Returns the size of a page, and the name after which it begins.
fn page_of(request: &Request) -> Result<(usize, Option<String>), ApiFailure> {
    let asked = |name: &str| request.parameter(name).filter(|text| !text.is_empty());
    let per_page = match asked("per_page") {
        None => 20,
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|size| (1..=1000).contains(size))
            .ok_or_else(|| ApiFailure::bad(10029, "per_page must be from 1 to 1000"))?,
    };
    let after = match asked("cursor") {
        Some(cursor) => {
            Some(decoded(cursor).ok_or_else(|| ApiFailure::bad(10020, "invalid cursor"))?)
        }
        None => asked("start_after").map(ToOwned::to_owned),
    };
    Ok((per_page, after))
}

/// A page of the objects of a bucket.
fn list_objects(bucket: &Bucket, request: &Request) -> Answer {
    let (per_page, after) = page_of(request)?;
    let prefix = request.parameter("prefix").unwrap_or_default();
    let mut found: Vec<_> = bucket
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
        .collect();
    let more = found.len() > per_page;
    found.truncate(per_page);
    let mut info = json!({ "count": found.len(), "per_page": per_page });
    if let (true, Some((key, _))) = (more, found.last()) {
        info["cursor"] = json!(encoded(key));
    }
    let shown = found.iter().map(|(key, size)| {
        let mut object = json!({ "key": key, "size": size, "storage_class": bucket.storage_class });
        put(&mut object, "last_modified", bucket.created.map(moment));
        object
    });
    Ok(ok_with(Value::Array(shown.collect()), info))
}

fn missing() -> ApiFailure {
    ApiFailure::not_found(10006, "The specified bucket does not exist.")
}

fn to_json(name: &str, bucket: &Bucket) -> Value {
    let mut shown = json!({
        "name": name,
        "location": bucket.location,
        "jurisdiction": "default",
        "storage_class": bucket.storage_class,
    });
    put(&mut shown, "creation_date", bucket.created.map(moment));
    shown
}
