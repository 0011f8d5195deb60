#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

fn now() -> DateTime<Utc> {
    "2026-02-10T09:00:00Z".parse().unwrap()
}

pub(super) fn cloud(resources: &Value) -> Cloudflare {
    let account = world::WorldAccount {
        id: Some(ACCOUNT.to_owned()),
        name: None,
    };
    let mut cloud = Cloudflare::new(Some(account), &[]);
    for resource in resources.as_array().unwrap() {
        let resource = serde_json::from_value(resource.clone()).unwrap();
        cloud.add(&resource, now()).unwrap();
    }
    cloud
}

pub(super) fn resource(kind: &str, name: &str, attributes: &Value) -> Value {
    json!({
        "kind": kind,
        "name": name,
        "created_at": "2026-01-26T20:05:00Z",
        "updated_at": "2026-01-27T20:05:00Z",
        "attributes": attributes,
    })
}

pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Said {
    fn code(&self) -> u64 {
        self.body["errors"][0]["code"].as_u64().unwrap()
    }

    pub(super) fn result(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.body);
        &self.body["result"]
    }
}

fn send(cloud: &mut Cloudflare, method: &str, path: &str, kind: &str, body: &str) -> Said {
    let path = path.replace("{a}", &format!("accounts/{ACCOUNT}"));
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    let request = Request {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        segments: path.split('/').map(ToOwned::to_owned).collect(),
        query: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        headers,
        body: body.to_owned().into(),
        base: "http://127.0.0.1:1/client/v4".to_owned(),
        now: now(),
    };
    let response = cloud.answer(&request);
    Said {
        status: response.status().as_u16(),
        body: serde_json::from_slice(response.body()).unwrap_or(Value::Null),
    }
}

pub(super) fn get(cloud: &mut Cloudflare, path: &str) -> Said {
    send(cloud, "GET", path, "application/json", "")
}

pub(super) fn delete(cloud: &mut Cloudflare, path: &str) -> Said {
    send(cloud, "DELETE", path, "application/json", "")
}

#[allow(clippy::needless_pass_by_value, reason = "bodies are literals")]
pub(super) fn post(cloud: &mut Cloudflare, path: &str, body: Value) -> Said {
    send(
        cloud,
        "POST",
        path,
        "text/plain;charset=UTF-8",
        &body.to_string(),
    )
}

fn records(cloud: &mut Cloudflare) -> Vec<Value> {
    let zone = cloud.zone_ids().remove(0);
    let listed = get(cloud, &format!("zones/{zone}/dns_records"));
    listed.result().as_array().unwrap().clone()
}

pub(super) fn names(cloud: &Cloudflare, kind: &str) -> Vec<String> {
    cloud
        .resources()
        .into_iter()
        .filter(|resource| resource.kind == kind)
        .map(|resource| resource.name)
        .collect()
}

#[test]
fn a_page_past_the_end_is_empty() {
    let mut cloud = cloud(&json!([resource("kv_namespace", "a", &json!({}))]));
    let first = get(&mut cloud, "{a}/storage/kv/namespaces");
    assert_eq!(
        first.body["result_info"],
        json!({ "count": 1, "page": 1, "per_page": 20, "total_count": 1 })
    );
    let second = get(&mut cloud, "{a}/storage/kv/namespaces?page=2");
    assert_eq!(second.result(), &json!([]));
    let refused = get(&mut cloud, "{a}/storage/kv/namespaces?per_page=1001");
    assert_eq!(refused.status, 400);
}

#[test]
fn the_order_of_additions_does_not_matter() {
    let worker = resource(
        "worker",
        "app",
        &json!({ "bindings": [
            { "type": "kv_namespace", "name": "KV", "target": "cache" },
            { "type": "r2", "name": "FILES", "target": "files" },
            { "type": "service", "name": "AUTH", "target": "nowhere" },
        ] }),
    );
    let mut namespace = resource("kv_namespace", "cache", &json!({}));
    namespace["id"] = json!("f".repeat(32));
    for world in [json!([worker, namespace]), json!([namespace, worker])] {
        let mut cloud = cloud(&world);
        let settings = get(&mut cloud, "{a}/workers/scripts/app/settings");
        let bindings = &settings.result()["bindings"];
        assert_eq!(bindings[0]["namespace_id"], json!("f".repeat(32)));
        assert_eq!(bindings[1]["bucket_name"], json!("files"));
        let shown = cloud.resources().remove(0);
        assert_eq!(
            shown.attributes["bindings"],
            worker["attributes"]["bindings"]
        );
    }
}

#[test]
fn a_managed_record_goes_with_its_worker_and_only_with_it() {
    let worker = resource(
        "worker",
        "media",
        &json!({ "custom_domains": ["media.example.com"] }),
    );
    let record = resource(
        "dns_record",
        "media.example.com",
        &json!({ "type": "AAAA", "content": "100::", "proxied": true, "managed": true }),
    );
    let text = resource(
        "dns_record",
        "media.example.com",
        &json!({ "type": "TXT", "content": "x", "managed": false }),
    );
    for world in [
        json!([worker, text]),
        json!([worker, record, text]),
        json!([record, text, worker]),
    ] {
        let mut cloud = cloud(&world);
        let zone = cloud.zone_ids().remove(0);
        let listed = records(&mut cloud);
        assert_eq!(listed.len(), 2);
        let tag = get(&mut cloud, "{a}/workers/scripts").result()[0]["tag"].clone();
        assert_eq!(
            listed[0]["meta"],
            json!({ "read_only": true, "origin_worker_id": tag })
        );
        let id = listed[0]["id"].as_str().unwrap();
        let refused = delete(&mut cloud, &format!("zones/{zone}/dns_records/{id}"));
        assert_eq!(refused.status, 400);
        let gone = delete(&mut cloud, "{a}/workers/scripts/media");
        assert_eq!(gone.result(), &Value::Null);
        assert_eq!(records(&mut cloud).len(), 1);
        assert!(get(&mut cloud, "{a}/workers/domains").result() == &json!([]));
    }
}

#[test]
fn times_that_are_not_there_are_left_out() {
    let mut cloud = cloud(&json!([
        { "kind": "worker", "name": "app", "created_at": null },
        resource("d1", "db", &json!({})),
        resource("kv_namespace", "kv", &json!({})),
    ]));
    let listed = get(&mut cloud, "{a}/workers/scripts");
    assert!(listed.result()[0].get("created_on").is_none());
    assert!(listed.result()[0].get("modified_on").is_none());
    for resource in cloud.resources() {
        assert_eq!(resource.updated_at, None, "{}", resource.kind);
        assert_eq!(resource.created_at.is_some(), resource.kind == "d1");
    }
}

#[test]
fn a_worker_in_use_is_refused() {
    let mut cloud = cloud(&json!([
        resource("worker", "auth", &json!({})),
        resource(
            "worker",
            "app",
            &json!({ "bindings": [{ "type": "service", "name": "A", "target": "auth" }] })
        ),
        resource("worker", "jobs", &json!({})),
        resource(
            "queue",
            "q",
            &json!({ "producers": ["app"], "consumers": ["jobs"] })
        ),
    ]));
    assert_eq!(delete(&mut cloud, "{a}/workers/scripts/none").code(), 10007);
    assert_eq!(
        delete(&mut cloud, "{a}/workers/services/none").code(),
        10090
    );
    assert_eq!(delete(&mut cloud, "{a}/workers/scripts/auth").code(), 10142);
    assert_eq!(
        delete(&mut cloud, "{a}/workers/scripts/jobs?force=true").code(),
        10064
    );
    let worker = get(&mut cloud, "{a}/workers/workers/auth");
    assert_eq!(worker.result()["references"]["workers"][0]["name"], "app");
    let queues = get(&mut cloud, "{a}/queues");
    let queue = queues.result()[0]["queue_id"].as_str().unwrap().to_owned();
    let consumer = queues.result()[0]["consumers"][0]["consumer_id"].clone();
    let queue = format!("{{a}}/queues/{queue}");
    assert_eq!(delete(&mut cloud, &queue).code(), 11005);
    let consumer = format!("{queue}/consumers/{}", consumer.as_str().unwrap());
    assert_eq!(delete(&mut cloud, &consumer).status, 200);
    assert_eq!(delete(&mut cloud, "{a}/workers/scripts/jobs").status, 200);
    assert_eq!(
        delete(&mut cloud, "{a}/workers/scripts/auth?force=true").status,
        200
    );
    assert_eq!(delete(&mut cloud, "{a}/workers/services/app").status, 200);
    assert_eq!(delete(&mut cloud, &queue).status, 200);
}

#[test]
fn a_failing_batch_changes_nothing() {
    let mut cloud = cloud(&json!([
        resource(
            "dns_record",
            "a.example.com",
            &json!({ "type": "A", "content": "192.0.2.1" })
        ),
        resource(
            "dns_record",
            "b.example.com",
            &json!({ "type": "A", "content": "192.0.2.2" })
        ),
    ]));
    let zone = cloud.zone_ids().remove(0);
    let path = format!("zones/{zone}/dns_records/batch");
    let before = records(&mut cloud);
    let failed = post(
        &mut cloud,
        &path,
        json!({
            "deletes": [{ "id": before[0]["id"] }],
            "patches": [{ "id": before[1]["id"], "comment": "x" }],
            "posts": [{ "type": "A", "name": "b", "content": "192.0.2.2" }],
        }),
    );
    assert_eq!(failed.code(), 81057);
    assert_eq!(records(&mut cloud), before);
    let done = post(
        &mut cloud,
        &path,
        json!({
            "deletes": [{ "id": before[0]["id"] }],
            "posts": [{ "type": "A", "name": "a", "content": "192.0.2.1" }],
        }),
    );
    assert_eq!(done.result()["deletes"][0]["id"], before[0]["id"]);
    assert_ne!(done.result()["posts"][0]["id"], before[0]["id"]);
    let many: Vec<Value> = (0..201).map(|_| json!({ "id": "x" })).collect();
    assert_eq!(
        post(&mut cloud, &path, json!({ "deletes": many })).status,
        400
    );
}

#[test]
fn dns_filters_match_all_or_any() {
    let mut cloud = cloud(&json!([
        resource(
            "dns_record",
            "a.example.com",
            &json!({ "type": "A", "content": "192.0.2.1", "comment": "Mine" })
        ),
        resource(
            "dns_record",
            "b.example.com",
            &json!({ "type": "TXT", "content": "v" })
        ),
    ]));
    let zone = cloud.zone_ids().remove(0);
    let mut count = |query: &str| {
        let listed = get(&mut cloud, &format!("zones/{zone}/dns_records?{query}"));
        listed.body["result_info"]["total_count"].as_u64().unwrap()
    };
    assert_eq!(count("name.exact=A.example.com"), 1);
    assert_eq!(count("comment.startswith=mi"), 1);
    assert_eq!(count("name.endswith=example.com&type=TXT"), 1);
    assert_eq!(count("type=TXT&name.contains=a.ex"), 0);
    assert_eq!(count("type=TXT&name.contains=a.ex&match=any"), 2);
    assert_eq!(count("per_page=5000000"), 2);
}

#[test]
fn an_uploaded_worker_is_there_with_its_bindings() {
    let mut cloud = cloud(&json!([]));
    let made = post(
        &mut cloud,
        "{a}/storage/kv/namespaces",
        json!({ "title": "app-kv" }),
    );
    let id = made.result()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        post(
            &mut cloud,
            "{a}/storage/kv/namespaces",
            json!({ "title": "app-kv" })
        )
        .code(),
        10014
    );
    let metadata = json!({
        "main_module": "index.js",
        "bindings": [{ "name": "KV", "type": "kv_namespace", "namespace_id": id }],
    });
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\n\
         Content-Type: application/javascript+module\r\n\r\nexport default {{}}\r\n--b--\r\n"
    );
    let put = send(
        &mut cloud,
        "PUT",
        "{a}/workers/scripts/app",
        "multipart/form-data; boundary=b",
        &form,
    );
    let tag = put.result()["tag"].clone();
    let shown = cloud.resources();
    let worker = shown.iter().find(|one| one.kind == "worker").unwrap();
    assert_eq!(
        worker.attributes["bindings"],
        json!([{ "type": "kv_namespace", "name": "KV", "target": "app-kv" }])
    );
    assert_eq!(
        delete(&mut cloud, "{a}/workers/services/app?force=true").status,
        200
    );
    let again = send(
        &mut cloud,
        "PUT",
        "{a}/workers/scripts/app",
        "multipart/form-data; boundary=b",
        &form,
    );
    assert_ne!(again.result()["tag"], tag);
    let gone = delete(&mut cloud, &format!("{{a}}/storage/kv/namespaces/{id}"));
    assert_eq!(gone.result(), &json!({}));
    let missing = send(
        &mut cloud,
        "PUT",
        "{a}/workers/scripts/app",
        "multipart/form-data; boundary=b",
        &form,
    );
    assert_eq!(missing.code(), 10041);
}

#[test]
fn storage_refuses_as_documented() {
    let mut cloud = cloud(&json!([
        resource("r2", "full", &json!({ "objects": 14 })),
        resource("r2", "bare", &json!({ "objects": 0 })),
        resource("d1", "db", &json!({})),
        resource(
            "pages_deployment",
            "one",
            &json!({ "project": "site", "branch": "x", "aliases": ["https://x.site.pages.dev"] })
        ),
        resource(
            "pages_deployment",
            "two",
            &json!({ "project": "site", "environment": "production" })
        ),
    ]));
    assert_eq!(delete(&mut cloud, "{a}/r2/buckets/full").code(), 10008);
    assert_eq!(delete(&mut cloud, "{a}/r2/buckets/bare").status, 200);
    assert_eq!(delete(&mut cloud, "{a}/r2/buckets/bare").code(), 10006);
    let id = get(&mut cloud, "{a}/d1/database/db?fields=uuid,name");
    assert_eq!(id.result().as_object().unwrap().len(), 2);
    assert_eq!(delete(&mut cloud, "{a}/d1/database/none").code(), 7404);
    let site = "{a}/pages/projects/site/deployments";
    assert_eq!(
        get(&mut cloud, &format!("{site}?per_page=26")).code(),
        8_000_024
    );
    assert_eq!(delete(&mut cloud, &format!("{site}/two")).code(), 8_000_034);
    assert_eq!(delete(&mut cloud, &format!("{site}/one")).code(), 8_000_035);
    assert_eq!(
        delete(&mut cloud, &format!("{site}/one?force=true")).status,
        200
    );
    assert_eq!(names(&cloud, "pages_deployment"), ["two"]);
}

#[test]
fn a_preview_is_found_by_id_slug_or_name() {
    let mut cloud = cloud(&json!([resource(
        "worker_preview",
        "feat/x",
        &json!({ "worker": "app", "pull_request": 12 })
    )]));
    let path = "{a}/workers/workers/app/previews";
    let listed = get(&mut cloud, path);
    let preview = listed.result()[0].clone();
    assert_eq!(preview["slug"], "feat-x");
    for key in ["feat-x", preview["id"].as_str().unwrap()] {
        let latest = get(&mut cloud, &format!("{path}/{key}/deployments/latest"));
        assert_eq!(
            latest.result()["annotations"]["workers/pull_request_number"],
            "12"
        );
    }
    assert_eq!(get(&mut cloud, "{a}/workers/scripts").result(), &json!([]));
    assert_eq!(names(&cloud, "worker"), Vec::<String>::new());
    assert_eq!(delete(&mut cloud, &format!("{path}/feat-x")).status, 200);
    assert_eq!(delete(&mut cloud, &format!("{path}/feat-x")).code(), 10025);
}

#[test]
fn the_state_makes_the_same_state_again() {
    let mut first = cloud(&json!([
        resource(
            "worker",
            "app",
            &json!({ "custom_domains": ["app.example.com"], "bindings": [
            { "type": "d1", "name": "DB", "target": "db" },
            { "type": "queue", "name": "Q", "target": "q" },
        ] })
        ),
        resource("d1", "db", &json!({})),
        resource(
            "queue",
            "q",
            &json!({ "producers": ["app"], "consumers": [] })
        ),
        resource("hyperdrive", "h", &json!({})),
        resource(
            "worker_route",
            "app.example.com/*",
            &json!({ "script": "app" })
        ),
        resource("kv_namespace", "kv", &json!({ "keys": ["a"] })),
    ]));
    get(&mut first, "zones");
    let state = json!(first.resources());
    let second = cloud(&state);
    assert_eq!(json!(second.resources()), state);
}

#[test]
fn foreign_accounts_and_unknown_paths_are_refused() {
    let mut cloud = cloud(&json!([]));
    let other = "0".repeat(32);
    assert_eq!(
        get(&mut cloud, &format!("accounts/{other}/queues")).code(),
        9109
    );
    assert_eq!(get(&mut cloud, &format!("zones/{other}")).code(), 9109);
    let unknown = get(&mut cloud, "{a}/nothing/here");
    assert_eq!((unknown.status, unknown.code()), (404, 7003));
}
