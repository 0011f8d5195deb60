//! R2 buckets, known by name.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, object, ok, ok_with, put, text};
use super::binding::Bindable;
use super::identity::{moment, stable};
use super::kv_values::{decoded, encoded};
use super::product::Product;
use crate::sandbox::message::{Request, Response};
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
    objects: BTreeMap<String, StoredObject>,
    attributes: Map<String, Value>,
}

/// One object of a bucket.
#[derive(Debug)]
struct StoredObject {
    /// In bytes.
    size: u64,
    changed: Option<DateTime<Utc>>,
    /// None of those of which a world gives only the number.
    value: Option<Bytes>,
    content_type: Option<HeaderValue>,
}

impl StoredObject {
    /// One of which a world gives only the number.
    fn unwritten(changed: Option<DateTime<Utc>>) -> Self {
        Self {
            size: SIZE,
            changed,
            value: None,
            content_type: None,
        }
    }

    /// One that this request uploads.
    fn uploaded(request: &Request) -> Self {
        Self {
            size: request.body.len() as u64,
            changed: Some(request.now),
            value: Some(request.body.clone()),
            content_type: request.headers.get(header::CONTENT_TYPE).cloned(),
        }
    }

    fn etag(&self, key: &str) -> String {
        let value = self.value.as_deref().unwrap_or_default();
        stable(&[key, &self.size.to_string(), &String::from_utf8_lossy(value)])
    }

    /// Its metadata, as listings and uploads show it.
    fn shown(&self, key: &str, storage_class: &str) -> Value {
        let mut shown = json!({
            "key": key,
            "size": self.size,
            "etag": self.etag(key),
            "storage_class": storage_class,
        });
        put(&mut shown, "last_modified", self.changed.map(moment));
        let content_type = self.content_type.as_ref();
        if let Some(content_type) = content_type.and_then(|value| value.to_str().ok()) {
            shown["http_metadata"] = json!({ "contentType": content_type });
        }
        shown
    }

    /// The object itself.
    fn raw(&self, key: &str) -> Response {
        let zeros = || Bytes::from(vec![0; usize::try_from(self.size).unwrap_or_default()]);
        let mut response = Response::new(self.value.clone().unwrap_or_else(zeros));
        let headers = response.headers_mut();
        let unknown = HeaderValue::from_static("application/octet-stream");
        let content_type = self.content_type.clone().unwrap_or(unknown);
        headers.insert(header::CONTENT_TYPE, content_type);
        if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", self.etag(key))) {
            headers.insert(header::ETAG, etag);
        }
        response
    }
}

fn missing_key() -> ApiFailure {
    ApiFailure::not_found(10007, "The specified key does not exist.")
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
                .map(|number| {
                    let changed = resource.updated_at.or(resource.created_at);
                    (
                        format!("object-{number:06}"),
                        StoredObject::unwritten(changed),
                    )
                })
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
                    updated_at: bucket.objects.values().filter_map(|one| one.changed).max(),
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
                bucket.serve_objects(method, &key.join("/"), request)
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

impl Bucket {
    /// Endpoints below `objects`. Source: Cloudflare's SDK 7.3.0,
    /// `resources/r2/buckets/objects`.
    fn serve_objects(&mut self, method: &str, key: &str, request: &Request) -> Answer {
        match (method, key) {
            ("GET", "") => list_objects(self, request),
            ("GET", key) => {
                let object = self.objects.get(key).ok_or_else(missing_key)?;
                Ok(object.raw(key))
            }
            ("PUT", key) if !key.is_empty() => {
                let object = StoredObject::uploaded(request);
                let shown = object.shown(key, &self.storage_class);
                self.objects.insert(key.to_owned(), object);
                Ok(ok(shown))
            }
            ("DELETE", key) if !key.is_empty() => {
                self.objects.remove(key).ok_or_else(missing_key)?;
                Ok(ok(json!({ "key": key })))
            }
            _ => Err(ApiFailure::no_route(request)),
        }
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
    let shown = found
        .iter()
        .map(|(key, object)| object.shown(key, &bucket.storage_class));
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
