//! D1 databases.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, object, ok, put, text};
use super::binding::Bindable;
use super::identity::{moment, uuid};
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

/// One database.
#[derive(Debug)]
pub(super) struct Database {
    /// Its name, unique in the account.
    pub(super) name: String,
    created: Option<DateTime<Utc>>,
    attributes: Map<String, Value>,
}

const DATABASES: Paging = Paging::new(1000, 10, 10_000)
    .without_total_pages()
    .refusing_with(7400);

/// D1.
pub(super) struct D1;

static KIND: WorldKind = WorldKind {
    name: "d1",
    attributes: &[],
    paths: &["/d1/database"],
};

static BINDABLE: Bindable = Bindable {
    sort: "d1",
    name: "d1",
    field: "id",
    by_id: true,
    pages: Some(("d1_databases", "id")),
};

impl Product for D1 {
    fn kind(&self) -> Option<&'static WorldKind> {
        Some(&KIND)
    }

    fn has_id(&self, cloud: &Cloudflare, id: &str) -> bool {
        cloud.databases.contains_key(id)
    }

    fn add(
        &self,
        cloud: &mut Cloudflare,
        resource: &WorldResource,
        _now: DateTime<Utc>,
    ) -> Result<(), ImpossibleResource> {
        cloud.add_database(resource)
    }

    fn resources(&self, cloud: &Cloudflare) -> Vec<WorldResource> {
        cloud.database_resources()
    }

    fn route(
        &self,
        cloud: &mut Cloudflare,
        method: &str,
        path: &[&str],
        request: &Request,
    ) -> Option<Answer> {
        match path {
            ["d1", "database", rest @ ..] => Some(cloud.d1(method, rest, request)),
            _ => None,
        }
    }

    fn bindable(&self) -> Option<&'static Bindable> {
        Some(&BINDABLE)
    }

    fn targets<'c>(&self, cloud: &'c Cloudflare) -> Vec<(&'c str, &'c str)> {
        let all = cloud.databases.iter();
        all.map(|(id, one)| (id.as_str(), one.name.as_str()))
            .collect()
    }
}

impl Cloudflare {
    pub(super) fn add_database(
        &mut self,
        resource: &WorldResource,
    ) -> Result<(), ImpossibleResource> {
        if self.find_database(&resource.name).is_some() {
            return Err(ImpossibleResource::exists("a d1", &resource.name));
        }
        let id = self.new_database_id(resource.id.as_deref(), &resource.name);
        let database = Database {
            name: resource.name.clone(),
            created: resource.created_at,
            attributes: resource.attributes.clone(),
        };
        self.databases.insert(id, database);
        Ok(())
    }

    fn new_database_id(&mut self, named: Option<&str>, name: &str) -> String {
        match named {
            Some(id) => self.register.take(Some(id), "d1", name),
            None => uuid(&self.register.assign("d1", name)),
        }
    }

    pub(super) fn database_resources(&self) -> Vec<WorldResource> {
        self.databases
            .iter()
            .map(|(id, database)| WorldResource {
                kind: "d1".to_owned(),
                name: database.name.clone(),
                id: Some(id.clone()),
                created_at: database.created,
                updated_at: None,
                attributes: database.attributes.clone(),
            })
            .collect()
    }

    /// A database's UUID by its UUID or its name.
    fn find_database(&self, key: &str) -> Option<String> {
        if self.databases.contains_key(key) {
            return Some(key.to_owned());
        }
        self.databases
            .iter()
            .find(|(_, database)| database.name == key)
            .map(|(id, _)| id.clone())
    }

    pub(super) fn d1(&mut self, method: &str, path: &[&str], request: &Request) -> Answer {
        match (method, path) {
            ("GET", []) => {
                let wanted = request.parameter("name").filter(|name| !name.is_empty());
                let mut found: Vec<(&String, &Database)> = self
                    .databases
                    .iter()
                    .filter(|(_, database)| wanted.is_none_or(|name| database.name.contains(name)))
                    .collect();
                found.sort_by_key(|(_, database)| &database.name);
                DATABASES.answer(request, &found, |(id, database)| to_json(id, database))
            }
            ("POST", []) => {
                let body = object(request, 7400)?;
                let Some(name) = text(&body, "name").filter(|name| !name.is_empty()) else {
                    return Err(ApiFailure::bad(7400, "name is required"));
                };
                if self
                    .databases
                    .values()
                    .any(|database| database.name == name)
                {
                    return Err(ApiFailure::bad(
                        7502,
                        format!("A database with that name '{name}' already exists"),
                    ));
                }
                let id = self.new_database_id(None, name);
                let database = Database {
                    name: name.to_owned(),
                    created: Some(request.now),
                    attributes: Map::new(),
                };
                let mut shown = detail(&id, &database);
                shown["created_in_region"] = json!("WEUR");
                self.databases.insert(id, database);
                Ok(ok(shown))
            }
            // The sandbox keeps no data, so every statement succeeds without rows.
            ("POST", [key, how @ ("query" | "raw")]) => {
                let found = self.find_database(key).is_some();
                let missing = || {
                    ApiFailure::not_found(7404, format!("The database {key} could not be found"))
                };
                let nothing = if *how == "raw" {
                    json!({"columns": [], "rows": []})
                } else {
                    json!([])
                };
                let rows = json!({"results": nothing, "success": true, "meta": {
                    "served_by": "sandbox", "duration": 0.1, "changes": 0, "last_row_id": 0,
                    "changed_db": false, "size_after": 12288, "rows_read": 0, "rows_written": 0,
                }});
                found.then(|| ok(json!([rows]))).ok_or_else(missing)
            }
            (method, [key]) => {
                let missing = || {
                    ApiFailure::not_found(7404, format!("The database {key} could not be found"))
                };
                let id = self.find_database(key).ok_or_else(missing)?;
                match method {
                    "GET" => {
                        let database = self.databases.get(&id).ok_or_else(missing)?;
                        let mut shown = detail(&id, database);
                        if let (Some(fields), Some(object)) =
                            (request.parameter("fields"), shown.as_object_mut())
                        {
                            object.retain(|name, _| fields.split(',').any(|field| field == name));
                        }
                        Ok(ok(shown))
                    }
                    "DELETE" => {
                        self.databases.remove(&id);
                        Ok(ok(Value::Null))
                    }
                    _ => Err(ApiFailure::no_route(request)),
                }
            }
            _ => Err(ApiFailure::no_route(request)),
        }
    }
}

fn to_json(id: &str, database: &Database) -> Value {
    let mut shown = json!({
        "uuid": id,
        "name": database.name,
        "version": "production",
        "jurisdiction": null,
    });
    put(&mut shown, "created_at", database.created.map(moment));
    shown
}

fn detail(id: &str, database: &Database) -> Value {
    let mut shown = to_json(id, database);
    shown["num_tables"] = json!(0);
    shown["file_size"] = json!(12288);
    shown["read_replication"] = json!({ "mode": "disabled" });
    shown
}
