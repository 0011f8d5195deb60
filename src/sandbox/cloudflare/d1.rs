//! D1 databases.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, Paging, object, ok, put, text};
use super::binding::Bindable;
use super::d1_dump::{self, Database};
use super::identity::{moment, uuid};
use super::product::Product;
use crate::sandbox::message::Request;
use crate::sandbox::provider::{ImpossibleResource, WorldKind};
use crate::sandbox::world::WorldResource;

const DATABASES: Paging = Paging::new(1000, 10, 10_000)
    .without_total_pages()
    .refusing_with(7400);

/// D1.
pub(super) struct D1;

static KIND: WorldKind = WorldKind {
    name: "d1",
    attributes: &["sql", "jurisdiction"],
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
            sql: d1_dump::contents(&resource.attributes),
            export: None,
            import: None,
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
            .map(|(id, database)| {
                let mut attributes = database.attributes.clone();
                attributes.remove("sql");
                if !database.sql.is_empty() {
                    attributes.insert("sql".to_owned(), json!(database.sql));
                }
                WorldResource {
                    kind: "d1".to_owned(),
                    name: database.name.clone(),
                    id: Some(id.clone()),
                    created_at: database.created,
                    updated_at: None,
                    attributes,
                }
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
            ("POST", []) => self.create_database(request),
            ("POST", [key, what @ ("export" | "import")]) => {
                let id = self.find_database(key).ok_or_else(|| missing(key))?;
                let database = self.databases.get_mut(&id).ok_or_else(|| missing(key))?;
                if *what == "export" {
                    database.serve_export(&id, &mut self.store, request)
                } else {
                    database.serve_import(&id, &mut self.store, request)
                }
            }
            ("POST", [key, how @ ("query" | "raw")]) => self.query_database(key, how, request),
            (method, [key]) => {
                let missing = || missing(key);
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

    fn create_database(&mut self, request: &Request) -> Answer {
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
            attributes: body
                .get("jurisdiction")
                .map(|place| ("jurisdiction".to_owned(), place.clone()))
                .into_iter()
                .collect(),
            sql: String::new(),
            export: None,
            import: None,
        };
        let mut shown = detail(&id, &database);
        shown["created_in_region"] = json!("WEUR");
        self.databases.insert(id, database);
        Ok(ok(shown))
    }

    /// The sandbox runs no statements, so every one succeeds without rows.
    fn query_database(&self, key: &str, how: &str, request: &Request) -> Answer {
        let id = self.find_database(key).ok_or_else(|| missing(key))?;
        let database = self.databases.get(&id).ok_or_else(|| missing(key))?;
        if database.is_exported(request.now) {
            return Err(ApiFailure::bad(7500, "the database is being exported"));
        }
        let nothing = if how == "raw" {
            json!({"columns": [], "rows": []})
        } else {
            json!([])
        };
        let rows = json!({"results": nothing, "success": true, "meta": {
            "served_by": "sandbox", "duration": 0.1, "changes": 0, "last_row_id": 0,
            "changed_db": false, "size_after": 12288, "rows_read": 0, "rows_written": 0,
        }});
        Ok(ok(json!([rows])))
    }
}

fn missing(key: &str) -> ApiFailure {
    ApiFailure::not_found(7404, format!("The database {key} could not be found"))
}

fn to_json(id: &str, database: &Database) -> Value {
    let mut shown = json!({
        "uuid": id,
        "name": database.name,
        "version": "production",
        "jurisdiction": database.attributes.get("jurisdiction"),
    });
    put(&mut shown, "created_at", database.created.map(moment));
    shown
}

fn detail(id: &str, database: &Database) -> Value {
    let mut shown = to_json(id, database);
    shown["num_tables"] = json!(database.tables());
    shown["file_size"] = json!(database.size());
    shown["read_replication"] = json!({ "mode": "disabled" });
    shown
}
