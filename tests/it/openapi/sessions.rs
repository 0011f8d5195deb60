//! What wrangler, neonctl, octokit, gh and octodns ask, as observed, against the
//! demo world: every answer that a provider's document describes is valid by it.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use preview_gc::sandbox::world::World;
use preview_gc::sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use super::{PROVIDERS, document, documents, operation, resolve};

/// What a request carries.
enum Sent {
    Nothing,
    Json(Value),
    /// Parts of a form: name, file name, content type, text.
    Form(Vec<(&'static str, Option<&'static str>, &'static str, String)>),
}

/// A client's session, with what was wrong in its answers.
struct Session {
    sandbox: Arc<Sandbox>,
    documents: Vec<Value>,
    previews: Value,
    account: String,
    checked: usize,
    wrong: Vec<String>,
}

impl Session {
    fn start(folder: &std::path::Path) -> Self {
        let world = World::read("demo", include_str!("../../../src/cli/demo-world.json")).unwrap();
        let sandbox = Sandbox::new(world, Options::default()).unwrap();
        Self {
            documents: PROVIDERS
                .iter()
                .map(|(_, name)| document(folder, name))
                .collect(),
            previews: document(folder, "cloudflare-previews"),
            account: String::new(),
            sandbox,
            checked: 0,
            wrong: Vec::new(),
        }
    }

    /// Sends a request; `{a}` is the account.
    async fn send(&mut self, method: &str, target: &str, sent: Sent) -> (u16, Value) {
        self.send_as("x", method, target, sent).await
    }

    /// Sends a request with this token.
    async fn send_as(
        &mut self,
        token: &str,
        method: &str,
        target: &str,
        sent: Sent,
    ) -> (u16, Value) {
        let target = target.replace("{a}", &self.account);
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1{target}"))
            .header("authorization", format!("Bearer {token}"));
        let request = match sent {
            Sent::Nothing => request.body(Bytes::new()),
            Sent::Json(body) => request
                .header("content-type", "application/json")
                .body(body.to_string().into()),
            Sent::Form(parts) => request
                .header("content-type", "multipart/form-data; boundary=edge")
                .body(form(&parts).into()),
        };
        let answer = self.sandbox.call(request.unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        assert!(
            status < 500 && status != 405,
            "{method} {target}: {status} {body}"
        );
        self.judge(method, &target, status, &body);
        (status, body)
    }

    async fn get(&mut self, target: &str) -> Value {
        let (status, body) = self.send("GET", target, Sent::Nothing).await;
        assert_eq!(status, 200, "GET {target}: {body}");
        body
    }

    /// Sends a body that is taken.
    async fn put(&mut self, method: &str, target: &str, body: Value) -> Value {
        let (status, answer) = self.send(method, target, Sent::Json(body)).await;
        assert!(
            (200..300).contains(&status),
            "{method} {target}: {status} {answer}"
        );
        answer
    }

    async fn delete(&mut self, target: &str) {
        let (status, body) = self.send("DELETE", target, Sent::Nothing).await;
        assert!(
            (200..300).contains(&status),
            "DELETE {target}: {status} {body}"
        );
    }

    /// Tells the sandbox itself something.
    async fn control(&self, what: &str, body: Value) {
        let request = http::Request::post(format!("http://127.0.0.1/_sandbox/{what}"));
        let request = request.body(body.to_string().into()).unwrap();
        let answer = self.sandbox.call(request).await.unwrap();
        assert!(answer.status().is_success(), "{what}: {:?}", answer.body());
    }

    /// Asks for what is not there.
    async fn missing(&mut self, target: &str) {
        let (status, body) = self.send("GET", target, Sent::Nothing).await;
        assert_eq!(status, 404, "GET {target}: {body}");
    }

    fn judge(&mut self, method: &str, target: &str, status: u16, body: &Value) {
        let path = target.split('?').next().unwrap();
        let mut providers = PROVIDERS.iter().zip(&self.documents);
        let Some(((prefix, _), document)) =
            providers.find(|((prefix, _), _)| path.starts_with(prefix))
        else {
            panic!("{path} is of no provider");
        };
        let document = if path.contains("/previews") {
            &self.previews
        } else {
            document
        };
        let Some(operation) = operation(document, method, &path[prefix.len()..]) else {
            return;
        };
        let class = format!("{}XX", status / 100);
        let names = [status.to_string(), class, "default".to_owned()];
        let responses = &operation["responses"];
        let found = names.iter().find_map(|name| responses.get(name));
        let Some(response) = found else {
            // GitHub's document names some failures only.
            if status < 400 {
                self.wrong
                    .push(format!("{method} {path}: {status} is not described"));
            }
            return;
        };
        let response = resolve(document, response);
        let mut schema = response["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            return;
        }
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors = validator.iter_errors(body).map(|error| {
            let error = format!("{}: {error}", error.instance_path());
            error.chars().take(300).collect::<String>()
        });
        // The document requires what it says is never given out.
        let errors = errors.filter(|error| !error.contains("\"password\" is a required property"));
        let errors: Vec<_> = errors
            .map(|error| format!("{method} {path} {status} {error}"))
            .collect();
        self.wrong.extend(errors);
        self.checked += 1;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn form(parts: &[(&str, Option<&str>, &str, String)]) -> String {
    let mut body = String::new();
    for (name, file, sort, text) in parts {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
        let sort = match *sort {
            "" => String::new(),
            sort => format!("content-type: {sort}\r\n"),
        };
        let _ = write!(
            body,
            "--edge\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n{sort}\r\n{text}\r\n"
        );
    }
    body + "--edge--\r\n"
}

/// The upload of a Worker.
fn script(metadata: Value) -> Sent {
    let mut metadata = metadata;
    metadata["main_module"] = json!("index.js");
    metadata["compatibility_date"] = json!("2026-11-01");
    Sent::Form(vec![
        ("metadata", None, "", metadata.to_string()),
        (
            "index.js",
            Some("index.js"),
            "application/javascript+module",
            "export default { fetch() {} }".to_owned(),
        ),
    ])
}

async fn wrangler(session: &mut Session) {
    let c = "/client/v4";
    session.get(&format!("{c}/user/tokens/verify")).await;
    session.get(&format!("{c}/user")).await;
    let accounts = session.get(&format!("{c}/accounts?page=1")).await;
    session.account = text(&accounts["result"][0]["id"]);
    session.get(&format!("{c}/memberships?page=1")).await;
    let a = format!("{c}/accounts/{{a}}");
    session.missing(&format!("{a}/workers/services/new")).await;
    session.get(&format!("{a}/workers/subdomain")).await;
    for below in ["secrets", "deployments", "settings"] {
        session
            .missing(&format!("{a}/workers/scripts/new/{below}"))
            .await;
    }
    let completed = assets(session, &a).await;
    let bindings = json!([{"type": "plain_text", "name": "A", "text": "b"},
        {"type": "secret_text", "name": "KEY", "text": "s"},
        {"type": "durable_object_namespace", "name": "ROOM", "class_name": "Room"}]);
    let metadata = json!({"bindings": bindings, "assets": {"jwt": completed}, "tags": ["cf:service=new"],
        "migrations": {"new_tag": "v1", "new_sqlite_classes": ["Room"]}});
    let upload = format!("{a}/workers/scripts/new?excludeScript=true&bindings_inherit=strict");
    let (status, body) = session.send("PUT", &upload, script(metadata)).await;
    assert_eq!(status, 200, "{body}");
    let tags = json!({"tags": ["cf:service=new", "cf:environment=pr"]});
    let settings = format!("{a}/workers/scripts/new/script-settings");
    session.put("PATCH", &settings, tags).await;
    session.get(&settings).await;
    let worker = session.get(&format!("{a}/workers/workers/new")).await;
    assert_eq!(worker["result"]["name"], "new");
    let subdomain = format!("{a}/workers/scripts/new/subdomain");
    session
        .put("POST", &subdomain, json!({"enabled": true}))
        .await;
    session.get(&subdomain).await;
    let again = format!("{a}/workers/scripts/new/versions?bindings_inherit=strict");
    let inherit = json!({"bindings": [{"type": "inherit", "name": "KEY"}]});
    let (status, version) = session.send("POST", &again, script(inherit)).await;
    assert_eq!(status, 200, "{version}");
    let id = version["result"]["id"].as_str().unwrap().to_owned();
    let deploy = json!({"strategy": "percentage", "versions": [{"version_id": id, "percentage": 100}],
        "annotations": {"workers/message": "again"}});
    let deployments = format!("{a}/workers/scripts/new/deployments");
    session.put("POST", &deployments, deploy).await;
    session.get(&deployments).await;
    session
        .get(&format!("{a}/workers/scripts/new/versions?deployable=true"))
        .await;
    session
        .get(&format!("{a}/workers/scripts/new/versions/{id}"))
        .await;
    let secrets =
        json!({"secrets": {"A2": {"name": "A2", "text": "x", "type": "secret_text"}, "KEY": null}});
    let set = session
        .put(
            "PATCH",
            &format!("{a}/workers/scripts/new/secrets-bulk"),
            secrets,
        )
        .await;
    assert_eq!(
        set["result"],
        json!([{"name": "A2", "type": "secret_text"}])
    );
    for below in ["secrets", "schedules", "settings"] {
        session
            .get(&format!("{a}/workers/scripts/new/{below}"))
            .await;
    }
    session
        .get(&format!("{a}/workers/scripts/new/references"))
        .await;
    session.get(&format!("{a}/workers/scripts")).await;
    session
        .get(&format!("{a}/workers/scripts-search?name=new"))
        .await;
    session
        .get(&format!("{a}/workers/workers?per_page=100&page=1"))
        .await;
    session
        .get(&format!("{a}/workers/tails/by-consumer/new"))
        .await;
    session
        .get(&format!(
            "{a}/workers/durable_objects/namespaces?per_page=1000&page=1"
        ))
        .await;
    previews(session, &a).await;
    session
        .delete(&format!("{a}/workers/services/new?force=true"))
        .await;
    storage(session, &a).await;
}

/// Uploads static assets, before the Worker exists; returns the token that its
/// upload carries.
async fn assets(session: &mut Session, a: &str) -> String {
    let manifest = json!({"manifest": {"/a.html": {"hash": "aa", "size": 3},
        "/b.html": {"hash": "bb", "size": 3}}});
    let open = format!("{a}/workers/scripts/new/assets-upload-session");
    let opened = session.put("POST", &open, manifest.clone()).await;
    assert_eq!(opened["result"]["buckets"], json!([["aa", "bb"]]));
    let token = text(&opened["result"]["jwt"]);
    let mut completed = String::new();
    for (hash, status) in [("aa", 202), ("bb", 201)] {
        let file = Sent::Form(vec![(hash, Some(hash), "text/html", "aGk=".to_owned())]);
        let upload = format!("{a}/workers/assets/upload?base64=true");
        let (answered, body) = session.send_as(&token, "POST", &upload, file).await;
        assert_eq!(answered, status, "{body}");
        body["result"]["jwt"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut completed);
    }
    // What was uploaded once is not asked for again.
    let again = session.put("POST", &open, manifest).await;
    assert_eq!(again["result"]["buckets"], json!([]));
    completed
}

async fn previews(session: &mut Session, a: &str) {
    let previews = format!("{a}/workers/workers/new/previews");
    session.missing(&format!("{previews}/pr-12")).await;
    let made = session
        .put("POST", &previews, json!({"name": "pr-12"}))
        .await;
    let id = made["result"]["id"].as_str().unwrap().to_owned();
    let deployments = format!("{previews}/{id}/deployments");
    let (status, body) = session
        .send("POST", &deployments, script(json!({"bindings": []})))
        .await;
    assert_eq!(status, 200, "{body}");
    session.get(&previews).await;
    session.get(&format!("{previews}/pr-12")).await;
    session.get(&deployments).await;
    session.get(&format!("{deployments}/latest")).await;
    session.delete(&format!("{previews}/pr-12")).await;
}

async fn storage(session: &mut Session, a: &str) {
    let kv = format!("{a}/storage/kv/namespaces");
    let made = session
        .put("POST", &kv, json!({"title": "new-cache"}))
        .await;
    let id = made["result"]["id"].as_str().unwrap().to_owned();
    session
        .get(&format!(
            "{kv}?per_page=100&order=title&direction=asc&page=1"
        ))
        .await;
    session
        .get(&format!(
            "{kv}?per_page=100&order=title&direction=asc&page=9"
        ))
        .await;
    session
        .put(
            "PUT",
            &format!("{kv}/{id}"),
            json!({"title": "new-cache-2"}),
        )
        .await;
    let one = format!("{kv}/{id}");
    let pairs = json!([{"key": "a", "value": "//8=", "base64": true, "metadata": {"x": 1}},
        {"key": "b", "value": "text"}, {"key": "late", "value": "x", "expiration": 1}]);
    let written = session.put("PUT", &format!("{one}/bulk"), pairs).await;
    assert_eq!(written["result"]["unsuccessful_keys"], json!(["late"]));
    session.get(&format!("{one}/keys?limit=1000")).await;
    session.get(&format!("{one}/metadata/a")).await;
    session
        .put(
            "POST",
            &format!("{one}/bulk/get"),
            json!({"keys": ["a", "b", "none"]}),
        )
        .await;
    session
        .put(
            "POST",
            &format!("{one}/bulk/get"),
            json!({"keys": ["b"], "withMetadata": true}),
        )
        .await;
    session
        .put("POST", &format!("{one}/bulk/delete"), json!(["a"]))
        .await;
    session.missing(&format!("{one}/values/a")).await;
    session.delete(&one).await;
    session.missing(&one).await;
    let d1 = format!("{a}/d1/database");
    let made = session.put("POST", &d1, json!({"name": "new-db"})).await;
    let id = made["result"]["uuid"].as_str().unwrap().to_owned();
    session.get(&format!("{d1}?per_page=10&page=1")).await;
    session.get(&format!("{d1}/new-db?fields=uuid,name")).await;
    session.get(&format!("{d1}/{id}")).await;
    session
        .put(
            "POST",
            &format!("{d1}/{id}/query"),
            json!({"sql": "select 1"}),
        )
        .await;
    let rows = session
        .put(
            "POST",
            &format!("{d1}/{id}/raw"),
            json!({"sql": "select 1"}),
        )
        .await;
    assert_eq!(rows["result"][0]["results"]["rows"], json!([]));
    session.delete(&format!("{d1}/{id}")).await;
    let tunnels = format!("{a}/cfd_tunnel");
    let new = json!({"name": "new-tunnel", "config_src": "cloudflare"});
    let made = session.put("POST", &tunnels, new.clone()).await;
    let (status, body) = session.send("POST", &tunnels, Sent::Json(new)).await;
    assert_eq!((status, &body["errors"][0]["code"]), (409, &json!(1013)));
    let one = format!("{tunnels}/{}", made["result"]["id"].as_str().unwrap());
    let token = session.get(&format!("{one}/token")).await;
    assert!(token["result"].is_string(), "{token}");
    let config = json!({"config": {"ingress": [{"service": "http_status:404"}]}});
    let configurations = format!("{one}/configurations");
    session.put("PUT", &configurations, config.clone()).await;
    let shown = session.get(&configurations).await;
    assert_eq!(shown["result"]["config"], config["config"]);
    session.delete(&one).await;
    session.missing(&format!("{one}/token")).await;
    let r2 = format!("{a}/r2/buckets");
    session.put("POST", &r2, json!({"name": "new-files"})).await;
    session.get(&r2).await;
    session.get(&format!("{r2}/new-files")).await;
    session.delete(&format!("{r2}/new-files")).await;
    let hyperdrive = format!("{a}/hyperdrive/configs");
    let origin = json!({"scheme": "postgres", "host": "db.example.com", "port": 5432,
        "database": "d", "user": "u", "password": "p"});
    let body = json!({"name": "new-pg", "origin": origin});
    let made = session.put("POST", &hyperdrive, body).await;
    let id = made["result"]["id"].as_str().unwrap().to_owned();
    session.get(&format!("{hyperdrive}?page=1")).await;
    let one = format!("{hyperdrive}/{id}");
    let changed = json!({"origin": {"host": "other.example.com"}});
    session.put("PATCH", &one, changed).await;
    let shown = session.get(&one).await;
    assert_eq!(shown["result"]["origin"]["host"], "other.example.com");
    assert_eq!(shown["result"]["origin"]["database"], "d");
    session.delete(&one).await;
    let queues = format!("{a}/queues");
    let made = session
        .put("POST", &queues, json!({"queue_name": "new-jobs"}))
        .await;
    let id = made["result"]["queue_id"].as_str().unwrap().to_owned();
    session.get(&format!("{queues}?page=1")).await;
    session.get(&format!("{queues}?page=1&name=new-jobs")).await;
    let renamed = json!({"queue_name": "renamed-jobs"});
    session
        .put("PATCH", &format!("{queues}/{id}"), renamed)
        .await;
    let shown = session.get(&format!("{queues}/{id}")).await;
    assert_eq!(shown["result"]["queue_name"], "renamed-jobs");
    session.get(&format!("{queues}/{id}/consumers")).await;
    session.delete(&format!("{queues}/{id}")).await;
    let projects = session
        .get(&format!("{a}/pages/projects?per_page=10&page=1"))
        .await;
    let project = projects["result"][0]["name"].as_str().unwrap().to_owned();
    let project = format!("{a}/pages/projects/{project}");
    session.get(&project).await;
    session
        .get(&format!("{project}/deployments?env=preview"))
        .await;
    session.get(&format!("{project}/domains")).await;
    session.get(&format!("{a}/workers/domains")).await;
    wrangler_with_workflows_and_indexes(session, a).await;
}

async fn wrangler_with_workflows_and_indexes(session: &mut Session, a: &str) {
    let flow = format!("{a}/workflows/new-flow");
    let new = json!({"class_name": "Flow", "script_name": "shop"});
    session.put("PUT", &flow, new).await;
    let versions = session.get(&format!("{flow}/versions")).await;
    let version = versions["result"][0]["id"].as_str().unwrap();
    let version = format!("{flow}/versions/{version}");
    let shown = session.get(&version).await;
    assert_eq!(shown["result"]["class_name"], "Flow");
    let running = format!("{flow}/instances?status=running");
    assert_eq!(session.get(&running).await["result"], json!([]));
    session.delete(&flow).await;
    session.missing(&format!("{flow}/instances")).await;
    let indexes = format!("{a}/vectorize/v2/indexes");
    let new = json!({"name": "new-index", "config": {"dimensions": 8, "metric": "cosine"}});
    session.put("POST", &indexes, new).await;
    let info = session.get(&format!("{indexes}/new-index/info")).await;
    assert_eq!(info["result"]["dimensions"], 8);
    session.get(&format!("{indexes}/new-index/list")).await;
    session.delete(&format!("{indexes}/new-index")).await;
    let namespaces = format!("{a}/workers/dispatch/namespaces");
    let new = json!({"name": "customers"});
    session.put("POST", &namespaces, new).await;
    session
        .missing(&format!("{namespaces}/customers/scripts/none"))
        .await;
    session.delete(&format!("{namespaces}/customers")).await;
}

async fn octodns(session: &mut Session) {
    let zones = session.get("/client/v4/zones?page=1&per_page=50").await;
    for zone in zones["result"].as_array().unwrap() {
        let zone = format!("/client/v4/zones/{}", zone["id"].as_str().unwrap());
        session.get(&zone).await;
        let records = session
            .get(&format!("{zone}/dns_records?page=1&per_page=100"))
            .await;
        for record in records["result"].as_array().unwrap() {
            let has = |key: &str| !record[key].is_null();
            assert_eq!(record["type"] == "MX", has("priority"), "{record}");
        }
        session.get(&format!("{zone}/dns_records/usage")).await;
        session.get(&format!("{zone}/workers/routes")).await;
        let record = json!({"type": "MX", "name": "mail", "content": "mx.example.com.",
            "priority": 10, "ttl": 300});
        let made = session
            .put("POST", &format!("{zone}/dns_records"), record)
            .await;
        assert_eq!(made["result"]["priority"], 10);
        assert_eq!(made["result"]["content"], "mx.example.com");
        let id = made["result"]["id"].as_str().unwrap().to_owned();
        let one = format!("{zone}/dns_records/{id}");
        session.put("PATCH", &one, json!({"comment": "x"})).await;
        session.get(&one).await;
        session.delete(&one).await;
    }
}

async fn neonctl(session: &mut Session) {
    session.get("/api/v2/users/me").await;
    session.get("/api/v2/users/me/organizations").await;
    session.get("/api/v2/auth").await;
    let projects = session.get("/api/v2/projects?limit=100").await;
    session.get("/api/v2/projects?limit=100&cursor=zzzz").await;
    session.get("/api/v2/projects/shared?limit=100").await;
    let project = projects["projects"][0]["id"].as_str().unwrap().to_owned();
    let project = format!("/api/v2/projects/{project}");
    session.get(&project).await;
    let branches = format!("{project}/branches");
    let listed = session.get(&branches).await;
    session.get(&format!("{branches}/count")).await;
    let of = |name: &str| {
        let all = listed["branches"].as_array().unwrap();
        let default = all.iter().find(|one| one["default"] == true).unwrap();
        json!({"branch": {"name": name, "parent_id": default["id"]},
            "endpoints": [{"type": "read_write"}], "annotation_value": {}})
    };
    let made = session.put("POST", &branches, of("new")).await;
    let id = made["branch"]["id"].as_str().unwrap().to_owned();
    let one = format!("{branches}/{id}");
    let fetched = session.get(&one).await;
    assert_eq!(fetched["branch"]["name"], "new");
    for below in ["endpoints", "databases", "roles"] {
        let found = session.get(&format!("{one}/{below}")).await;
        assert_eq!(found[below].as_array().unwrap().len(), 1, "{below}");
    }
    session
        .get(&format!("{one}/roles/neondb_owner/reveal_password"))
        .await;
    session
        .put("PATCH", &one, json!({"branch": {"name": "renamed"}}))
        .await;
    // A change that is refused in one part changes nothing.
    let past = json!({"branch": {"name": "lost", "expires_at": "2020-01-01T00:00:00Z"}});
    let (status, _) = session.send("PATCH", &one, Sent::Json(past)).await;
    assert_eq!(status, 400);
    assert_eq!(session.get(&one).await["branch"]["name"], "renamed");
    let mut expiring = of("expired");
    expiring["branch"]["expires_at"] = json!("2020-01-01T00:00:00Z");
    let (status, _) = session.send("POST", &branches, Sent::Json(expiring)).await;
    assert_eq!(status, 400, "an expiry is checked on creation, too");
    session.get(&format!("{project}/endpoints")).await;
    session.get(&format!("{project}/operations")).await;
    session.control("clock", json!({"advance": "5s"})).await;
    session.delete(&one).await;
    session.missing(&one).await;
    session
        .get(&format!("{branches}?include_deleted=true"))
        .await;
}

async fn octokit(session: &mut Session) {
    let repository = "/github/repos/acme/shop";
    let found = session.get(repository).await;
    assert_eq!(found["full_name"], "acme/shop");
    session.get("/github/rate_limit").await;
    let pulls = session
        .get(&format!("{repository}/pulls?state=all&per_page=100"))
        .await;
    let number = pulls[0]["number"].as_u64().unwrap();
    session.get(&format!("{repository}/pulls/{number}")).await;
    session.missing(&format!("{repository}/pulls/999999")).await;
    session
        .get(&format!("{repository}/branches?per_page=100"))
        .await;
    session.get(&format!("{repository}/branches/main")).await;
    session.get(&format!("{repository}/issues?state=all")).await;
    session
        .put(
            "POST",
            &format!("{repository}/labels"),
            json!({"name": "x", "color": "ffffff"}),
        )
        .await;
    session.get(&format!("{repository}/labels")).await;
    let issue = json!({"title": "t", "body": "b", "labels": ["x"]});
    let issue = session
        .put("POST", &format!("{repository}/issues"), issue)
        .await;
    let issue = format!("{repository}/issues/{}", issue["number"]);
    session.get(&issue).await;
    let closed = session
        .put("PATCH", &issue, json!({"state": "closed"}))
        .await;
    assert_ne!(closed["closed_at"], Value::Null);
    let comment = session
        .put("POST", &format!("{issue}/comments"), json!({"body": "c"}))
        .await;
    session.get(&format!("{issue}/comments")).await;
    session.control("clock", json!({"advance": "5s"})).await;
    let one = format!("{repository}/issues/comments/{}", comment["id"]);
    let changed = session.put("PATCH", &one, json!({"body": "d"})).await;
    assert_eq!(changed["created_at"], comment["created_at"]);
    assert_ne!(changed["updated_at"], comment["updated_at"]);
    session.delete(&one).await;
    session.missing(&one).await;
    session
        .put("POST", &format!("{issue}/labels"), json!({"labels": ["x"]}))
        .await;
    let runs = session
        .get(&format!("{repository}/actions/runs?per_page=100"))
        .await;
    if let Some(run) = runs["workflow_runs"][0]["id"].as_u64() {
        session
            .get(&format!("{repository}/actions/runs/{run}"))
            .await;
    }
    let environments = session.get(&format!("{repository}/environments")).await;
    let environment = environments["environments"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    session
        .get(&format!("{repository}/environments/{environment}"))
        .await;
    let deployments = session.get(&format!("{repository}/deployments")).await;
    let id = deployments[0]["id"].as_u64().unwrap();
    let deployment = format!("{repository}/deployments/{id}");
    session.get(&deployment).await;
    session.get(&format!("{deployment}/statuses")).await;
    session
        .put(
            "POST",
            &format!("{deployment}/statuses"),
            json!({"state": "inactive"}),
        )
        .await;
    session.get(&format!("{deployment}/statuses")).await;
    session.delete(&deployment).await;
}

/// Labels of pull requests go by the API of issues, as Actions do it.
async fn octokit_with_pull_requests(session: &mut Session) {
    let repository = "/github/repos/acme/shop";
    let pulls = format!("{repository}/pulls");
    let new = json!({"title": "t", "head": "acme:main", "base": "main"});
    let opened = session.put("POST", &pulls, new).await;
    let (pull, issue) = (
        format!("{pulls}/{}", opened["number"]),
        format!("{repository}/issues/{}", opened["number"]),
    );
    assert_eq!(session.get(&issue).await["state"], "open");
    let labels = format!("{issue}/labels");
    let added = json!({"labels": ["preview", "bug"]});
    session.put("POST", &labels, added).await;
    session.delete(&format!("{labels}/bug")).await;
    session.missing(&format!("{labels}/bug")).await;
    let left = session.get(&labels).await;
    assert_eq!(left[0]["name"], "preview");
    assert_eq!(left.as_array().map(Vec::len), Some(1));
    let of_pull = session.get(&pull).await;
    assert_eq!(of_pull["labels"][0]["name"], "preview");
    let labelled = format!("{repository}/issues?labels=preview");
    assert_eq!(session.get(&labelled).await[0]["number"], opened["number"]);
    let removals = session.get(&format!("{issue}/events")).await;
    assert_eq!(removals[0]["label"]["name"], "bug");
    for state in ["closed", "open"] {
        let changed = session.put("PATCH", &pull, json!({"state": state})).await;
        assert_eq!(changed["state"], state);
    }
    let merge = format!("{pull}/merge");
    let merged = session.put("PUT", &merge, json!({})).await;
    assert_eq!(merged["merged"], true);
    assert_eq!(session.get(&pull).await["merged"], true);
}

#[tokio::test]
async fn answers_to_real_clients_are_valid_by_the_providers_documents() {
    let Some(folder) = documents() else {
        return;
    };
    let mut session = Session::start(&folder);
    for resource in [
        json!({"kind": "pages_deployment", "name": "d0d0", "created_at": "2026-02-01T00:00:00Z",
            "attributes": {"project": "site", "environment": "preview", "branch": "x",
                "repository": "acme/shop"}}),
        json!({"kind": "github_deployment", "name": "preview", "created_at": "2026-02-01T00:00:00Z",
            "updated_at": "2026-02-01T00:00:00Z",
            "attributes": {"environment": "preview-pr-97"}}),
    ] {
        session.control("resources", resource).await;
    }
    wrangler(&mut session).await;
    octodns(&mut session).await;
    neonctl(&mut session).await;
    octokit(&mut session).await;
    octokit_with_pull_requests(&mut session).await;
    let wrong: Vec<_> = session.wrong.iter().map(String::as_str).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(session.checked > 80, "only {} answers", session.checked);
}
