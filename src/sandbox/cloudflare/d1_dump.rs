//! Exports and imports of D1 databases. The sandbox keeps their contents as the SQL
//! that makes them, and does not run it; it knows their tables by name.

use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{Answer, ApiFailure, object, ok, put, text};
use super::storage::{self, Store};
use crate::sandbox::message::{self, Request, Response};

/// What an export begins with.
const PREAMBLE: &str = "PRAGMA defer_foreign_keys=TRUE;\n";

/// How long an export or import goes on while nobody asks for it. The documents say
/// only that it ends.
const UNATTENDED: TimeDelta = TimeDelta::seconds(60);

/// One database.
#[derive(Debug)]
pub(super) struct Database {
    /// Its name, unique in the account.
    pub(super) name: String,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) attributes: Map<String, Value>,
    /// What it holds: the statements that make it.
    pub(super) sql: String,
    pub(super) export: Option<Export>,
    pub(super) import: Option<Import>,
}

/// An export that is under way.
#[derive(Debug)]
pub(super) struct Export {
    bookmark: String,
    polled: DateTime<Utc>,
}

/// The last import.
#[derive(Debug)]
pub(super) struct Import {
    bookmark: String,
    file: String,
    /// Number of statements, or why it failed; none while it is under way.
    ended: Option<Result<usize, String>>,
}

/// A point in the life of a database, in the form of D1.
fn bookmark() -> String {
    let part = || fastrand::u32(..);
    let digest = fastrand::u128(..);
    format!("{:08x}-{:08x}-00004c6d-{digest:032x}", part(), part())
}

/// The names of the tables that a dump makes.
fn tables(sql: &str) -> impl Iterator<Item = &str> {
    let made = sql
        .lines()
        .filter_map(|line| line.strip_prefix("CREATE TABLE "));
    made.filter_map(|rest| rest.split([' ', '(']).next())
}

/// An answer about an export or import that is under way.
fn active(what: &str, bookmark: &str) -> Response {
    message::json(
        StatusCode::ACCEPTED,
        &json!({"success": true, "errors": [], "messages": [], "result": {
            "success": true, "type": what, "status": "active", "at_bookmark": bookmark,
            "messages": [format!("{what} is under way")]}}),
    )
}

/// An answer about one that failed, or of which there is none.
fn failed(what: &str, bookmark: Option<&str>, why: &str) -> Response {
    let mut result = json!({"success": false, "type": what, "error": why, "messages": []});
    if bookmark.is_some() {
        result["status"] = json!("error");
    }
    put(&mut result, "at_bookmark", bookmark);
    ok(result)
}

impl Database {
    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        12_288 + self.sql.len().div_ceil(4_096) * 4_096
    }

    /// How many tables it has.
    pub(super) fn tables(&self) -> usize {
        tables(&self.sql).count()
    }

    /// Returns whether an export keeps it from answering queries.
    pub(super) fn is_exported(&self, now: DateTime<Utc>) -> bool {
        let export = self.export.as_ref();
        export.is_some_and(|export| now - export.polled <= UNATTENDED)
    }

    /// `POST …/export`: begins an export, or asks how one is getting on.
    pub(super) fn serve_export(
        &mut self,
        id: &str,
        store: &mut Store,
        request: &Request,
    ) -> Answer {
        let body = object(request, 7400)?;
        if text(&body, "output_format") != Some("polling") {
            return Err(ApiFailure::bad(7400, "output_format must be polling"));
        }
        if !self.is_exported(request.now) {
            self.export = None;
        }
        let asked = text(&body, "current_bookmark");
        let export = match (asked, &mut self.export) {
            (None, export) => {
                let export = export.get_or_insert_with(|| Export {
                    bookmark: bookmark(),
                    polled: request.now,
                });
                export.polled = request.now;
                return Ok(active("export", &export.bookmark));
            }
            (Some(asked), Some(export)) if export.bookmark == asked => export,
            (Some(_), _) => return Ok(failed("export", None, "Not currently exporting anything.")),
        };
        let bookmark = std::mem::take(&mut export.bookmark);
        self.export = None;
        let file = format!("{id}-{bookmark}.sql");
        store.put(&file, format!("{PREAMBLE}{}", self.sql).into());
        let address = store.sign(Method::GET, &file, request);
        Ok(ok(json!({
            "success": true, "type": "export", "status": "complete", "at_bookmark": bookmark,
            "messages": [], "result": {"filename": file, "signed_url": address},
        })))
    }

    /// `POST …/import`: signs an address, begins an import, or asks how one is
    /// getting on.
    pub(super) fn serve_import(
        &mut self,
        id: &str,
        store: &mut Store,
        request: &Request,
    ) -> Answer {
        let body = object(request, 7400)?;
        let etag = || text(&body, "etag").ok_or_else(|| ApiFailure::bad(7400, "etag is required"));
        match text(&body, "action") {
            Some("init") => {
                let file = format!("{id}.{}.sql", etag()?);
                if store.file(&file).is_none() {
                    let address = store.sign(Method::PUT, &file, request);
                    return Ok(ok(
                        json!({"success": true, "type": "import", "messages": [],
                        "filename": file, "upload_url": address}),
                    ));
                }
                match &self.import {
                    Some(import) if import.file == file => Ok(self.imported(Some(&file))),
                    _ => Ok(ok(
                        json!({"success": true, "type": "import", "messages": [],
                        "filename": file}),
                    )),
                }
            }
            Some("ingest") => {
                let (file, etag) = (text(&body, "filename").unwrap_or_default(), etag()?);
                let uploaded = store.file(file);
                if uploaded.is_none_or(|content| storage::etag(content) != etag) {
                    let why = format!("Input file {file} missing or invalid");
                    return Err(ApiFailure::bad(7500, why));
                }
                let bookmark = bookmark();
                self.import = Some(Import {
                    bookmark: bookmark.clone(),
                    file: file.to_owned(),
                    ended: None,
                });
                Ok(active("import", &bookmark))
            }
            Some("poll") => {
                let asked = text(&body, "current_bookmark").unwrap_or_default();
                let under_way = self.import.as_ref().filter(|one| one.bookmark == asked);
                let Some(import) = under_way else {
                    return Ok(failed("import", None, "Not currently importing anything."));
                };
                if import.ended.is_none() {
                    let content = store.file(&import.file).cloned().unwrap_or_default();
                    let ended = self.apply(&String::from_utf8_lossy(&content));
                    if let Some(import) = &mut self.import {
                        import.ended = Some(ended);
                    }
                }
                Ok(self.imported(None))
            }
            _ => Err(ApiFailure::bad(7400, "action must be init, ingest or poll")),
        }
    }

    /// Says how the last import ended.
    fn imported(&self, file: Option<&str>) -> Response {
        let Some(import) = &self.import else {
            return failed("import", None, "Not currently importing anything.");
        };
        match &import.ended {
            None => active("import", &import.bookmark),
            Some(Err(why)) => failed("import", Some(&import.bookmark), why),
            Some(Ok(number)) => {
                let mut result = json!({"success": true, "type": "import", "status": "complete",
                    "at_bookmark": import.bookmark, "messages": [], "result": {
                        "final_bookmark": bookmark(), "num_queries": number,
                        "meta": {"duration": 0.1, "changed_db": true, "size_after": self.size()}}});
                put(&mut result, "filename", file);
                ok(result)
            }
        }
    }

    /// Applies a file, all of it or nothing.
    fn apply(&mut self, sql: &str) -> Result<usize, String> {
        let sql = sql.strip_prefix(PREAMBLE).unwrap_or(sql);
        if let Some(table) = tables(sql).find(|new| tables(&self.sql).any(|known| known == *new)) {
            return Err(format!("table {table} already exists: SQLITE_ERROR"));
        }
        self.sql.push_str(sql);
        Ok(sql.lines().filter(|line| line.ends_with(';')).count())
    }
}

/// The contents that a world gives a database.
pub(super) fn contents(attributes: &Map<String, Value>) -> String {
    let sql = attributes.get("sql").and_then(Value::as_str);
    sql.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Cloudflare;
    use super::super::tests::{cloud, get, post, resource};
    use super::*;

    const SQL: &str = "CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES('x');\n";

    fn now() -> DateTime<Utc> {
        "2026-02-10T09:00:00Z".parse().unwrap()
    }

    fn with_a_database() -> (Cloudflare, String) {
        let shop = resource("d1", "shop", &json!({ "sql": SQL }));
        let empty = resource("d1", "empty", &json!({}));
        let mut cloud = cloud(&json!([shop, empty]));
        let list = get(&mut cloud, "{a}/d1/database?name=shop");
        let id = list.result()[0]["uuid"].as_str().unwrap();
        let path = format!("{{a}}/d1/database/{id}");
        (cloud, path)
    }

    /// Sends a request to a signed address so long after it was signed.
    fn signed(
        cloud: &mut Cloudflare,
        method: Method,
        address: &str,
        content: &str,
        minutes: i64,
    ) -> Response {
        let url: url::Url = address.parse().unwrap();
        let path = url.path().strip_prefix(storage::PATH).unwrap();
        cloud.answer_signed(&Request {
            method,
            segments: path.split('/').skip(1).map(ToOwned::to_owned).collect(),
            query: url.query_pairs().into_owned().collect(),
            headers: http::HeaderMap::new(),
            body: content.to_owned().into(),
            base: String::new(),
            now: now() + TimeDelta::minutes(minutes),
        })
    }

    /// Begins an export and ends it; returns its signed address.
    fn exported(cloud: &mut Cloudflare, path: &str) -> String {
        let export = format!("{path}/export");
        let begun = post(cloud, &export, json!({"output_format": "polling"}));
        assert_eq!(begun.status, 202, "{}", begun.body);
        let begun = &begun.body["result"];
        assert_eq!(
            (&begun["status"], &begun["result"]),
            (&json!("active"), &Value::Null)
        );
        let busy = post(cloud, &format!("{path}/query"), json!({"sql": "select 1"}));
        assert_eq!(busy.status, 400, "{}", busy.body);
        let other = json!({"output_format": "polling", "current_bookmark": "other"});
        let other = post(cloud, &export, other);
        assert_eq!(other.result()["success"], false);
        let poll = json!({"output_format": "polling", "current_bookmark": begun["at_bookmark"]});
        let ended = post(cloud, &export, poll);
        let ended = ended.result();
        assert_eq!(
            (&ended["status"], &ended["at_bookmark"]),
            (&json!("complete"), &begun["at_bookmark"])
        );
        let free = post(cloud, &format!("{path}/query"), json!({"sql": "select 1"}));
        assert_eq!(free.status, 200, "{}", free.body);
        ended["result"]["signed_url"].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_export_is_polled_for_and_its_address_is_valid_for_an_hour() {
        let (mut cloud, path) = with_a_database();
        let address = exported(&mut cloud, &path);
        let another = exported(&mut cloud, &path);
        assert_ne!(address, another);
        let mut status = |address: &str, method, minutes| {
            let answer = signed(&mut cloud, method, address, "", minutes);
            (answer.status().as_u16(), answer.into_body())
        };
        let (code, body) = status(&address, Method::GET, 59);
        assert_eq!((code, body), (200, format!("{PREAMBLE}{SQL}").into()));
        assert_eq!(status(&address, Method::GET, 60).0, 403);
        assert_eq!(status(&address, Method::PUT, 0).0, 403);
        assert_eq!(status(&address[..address.len() - 1], Method::GET, 0).0, 403);
        assert_eq!(
            status(address.split('?').next().unwrap(), Method::GET, 0).0,
            403
        );
        let (_, query) = another.split_once('?').unwrap();
        let mixed = format!("{}?{query}", address.split('?').next().unwrap());
        assert_eq!(status(&mixed, Method::GET, 0).0, 403);
    }

    #[test]
    fn an_import_takes_the_whole_file_or_nothing() {
        let (mut cloud, path) = with_a_database();
        let (full, empty) = (format!("{path}/import"), "{a}/d1/database/empty/import");
        let etag = storage::etag(SQL.as_bytes());
        // RFC 1321.
        assert_eq!(storage::etag(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        for (import, status) in [(empty, "complete"), (&*full, "error")] {
            let init = json!({"action": "init", "etag": etag});
            let begun = post(&mut cloud, import, init.clone());
            let begun = begun.result();
            let (address, file) = (&begun["upload_url"], &begun["filename"]);
            let ingest = json!({"action": "ingest", "etag": etag, "filename": file});
            assert_eq!(
                post(&mut cloud, import, ingest.clone()).status,
                400,
                "not there yet"
            );
            let address = address.as_str().unwrap();
            signed(&mut cloud, Method::PUT, address, "CREATE", 1);
            assert_eq!(
                post(&mut cloud, import, ingest.clone()).status,
                400,
                "another file"
            );
            let answer = signed(&mut cloud, Method::PUT, address, SQL, 1);
            assert_eq!(answer.headers()["etag"], format!("\"{etag}\""));
            let again = post(&mut cloud, import, init.clone());
            assert!(again.result().get("upload_url").is_none(), "{}", again.body);
            let begun = post(&mut cloud, import, ingest);
            assert_eq!(
                (begun.status, &begun.body["result"]["status"]),
                (202, &json!("active"))
            );
            let poll =
                json!({"action": "poll", "current_bookmark": begun.body["result"]["at_bookmark"]});
            let ended = post(&mut cloud, import, poll);
            assert_eq!(ended.result()["status"], status, "{}", ended.body);
            // An import that is not remembered any more, or never was.
            let other = json!({"action": "poll", "current_bookmark": "other"});
            assert_eq!(post(&mut cloud, import, other).result()["success"], false);
            let known = post(&mut cloud, import, init);
            assert_eq!(known.result()["status"], status, "{}", known.body);
        }
        let all = cloud.database_resources();
        assert!(
            all.iter().all(|one| one.attributes["sql"] == SQL),
            "{all:?}"
        );
    }
}
