//! Workers: the classic scripts listing, which shows all in one answer.
//!
//! The file is long because all that is true of Workers is here: listing,
//! references, bindings, users, deletion.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bindings;
use super::envelope::{self, account};
use crate::call::Call;
use crate::kind::{
    Answer, Ask, Backup, Bindings, Held, Holdings, Kind, Malformed, Next, Page, PageOf, Queries,
    Query, ReadsReferences, Refusal, Shown, Told, Unbinding, UsersPage,
};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, Headroom, KindAbout, KindRef,
    Place, PlaceSort, ReferencesFrom, Resource, ResourceId, Time, UsedBy, is_marked,
};

pub(super) struct Worker;

static ABOUT: KindAbout = KindAbout {
    name: "worker",
    noun: "Worker",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    redeployed: true,
    read_permission: "Workers Scripts Read",
    write_permission: "Workers Scripts Write",
    backup: true,
    undo: "has to be deployed again: its bindings are kept (with `backup = true` its settings), \
        its secrets and assets cannot be fetched",
    attributes: &[AttributeAbout {
        key: "tags",
        sort: AttributeSort::List,
        words: &[],
        about: "the script's tags; wrangler writes `cf:service=…` and `cf:environment=…`",
    }],
    used_by: UsedBy::These(&[
        "worker",
        "worker_domain",
        "worker_route",
        "worker_preview",
        "queue",
        "dns_record",
        "pages_project",
        "dispatch_namespace",
    ]),
    users_listed: true,
    unbinds: true,
    headroom: Some(Headroom {
        what: "Workers per account",
        free: Some(100),
        paid: Some(500),
        per: None,
    }),
    references: ReferencesFrom::Each,
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Script {
    /// The script's name; `tag` is the id.
    id: String,
    tag: Option<String>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
    /// `null` means none; an absent field means unknown.
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
}

#[derive(Deserialize)]
struct Settings {
    /// Without it the references of the Worker are unknown.
    bindings: Vec<Value>,
    #[serde(default)]
    tail_consumers: Option<Vec<bindings::Consumer>>,
}

#[derive(Deserialize)]
struct Versions {
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Deployments {
    deployments: Vec<Deployment>,
}

/// The newest deployment comes first.
#[derive(Deserialize)]
struct Deployment {
    versions: Vec<Served>,
}

#[derive(Deserialize)]
struct Served {
    version_id: Box<str>,
}

#[derive(Deserialize)]
struct Version {
    resources: VersionResources,
}

#[derive(Deserialize)]
struct VersionResources {
    bindings: Vec<Value>,
}

#[derive(Deserialize)]
struct Preview {
    name: Box<str>,
}

/// The template from which new Previews of a Worker are made.
#[derive(Deserialize)]
struct PreviewsBase {
    #[serde(default)]
    env: Option<Map<String, Value>>,
    #[serde(default)]
    tail_consumers: Option<Vec<bindings::Consumer>>,
}

/// The path of a Worker in the classic API, and what is below it.
fn script<'p>(id: &'p ResourceId, below: &[&'p str]) -> Vec<&'p str> {
    let script = ["accounts", account(&id.place), "workers", "scripts", &id.id];
    [&script[..], below].concat()
}

/// A page of the Previews of a Worker.
fn previews(id: &ResourceId, page: u64) -> Ask {
    let path = ["accounts", account(&id.place), "workers", "workers", &id.id];
    let path = [&path[..], &["previews"]].concat();
    let call = Call::get(Api::Cloudflare, &path)
        .with("order_by", "created_on")
        .with("order", "asc")
        .with("per_page", "100")
        .with("page", page.to_string());
    Ask::of("previews", &page.to_string(), call)
}

/// The Previews of a page, their total and the pages that are still to be asked.
fn read_previews(id: &ResourceId, ask: &Ask, body: &[u8]) -> Result<Held, Malformed> {
    let (found, info) = envelope::open::<Vec<Preview>>(body)?;
    let (total, next) = envelope::numbered(info.as_ref())?;
    let more = match next {
        Next::Pages(pages) if &*ask.subject == "1" => {
            (2..=pages).map(|page| previews(id, page)).collect()
        }
        Next::Pages(_) | Next::Last | Next::After(_) | Next::More => Vec::new(),
    };
    Ok(Held {
        seen: found.len() as u64,
        names: found.into_iter().map(|preview| preview.name).collect(),
        total,
        more,
    })
}

#[derive(Deserialize)]
struct Beta {
    name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    deployed_on: Option<DateTime<Utc>>,
    /// Who depends on it.
    references: BetaReferences,
    /// What it sends its logs to.
    #[serde(default)]
    tail_consumers: Option<Vec<Named>>,
    #[serde(default)]
    previews_base_config: Option<PreviewsBase>,
}

/// One Worker of the newer API, where the tag is the id.
#[derive(Deserialize)]
struct One {
    id: Box<str>,
    name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    updated_on: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct BetaReferences {
    workers: Vec<Named>,
    durable_objects: Vec<Dependent>,
    dispatch_namespace_outbounds: Vec<Dependent>,
}

#[derive(Deserialize)]
struct Named {
    name: Box<str>,
}

#[derive(Deserialize)]
struct Dependent {
    worker_name: Option<Box<str>>,
    namespace_name: Option<Box<str>>,
}

/// A Worker's settings: bindings and configuration, for deploying it again by
/// hand. Its code, assets and secrets are not given out.
impl Backup for Worker {
    fn next(&self, id: &ResourceId, held: &Value) -> Option<Call> {
        let path = [
            "accounts",
            account(&id.place),
            "workers",
            "scripts",
            &id.id,
            "settings",
        ];
        held.is_null().then(|| Call::get(Api::Cloudflare, &path))
    }

    fn take(&self, held: &mut Value, body: &[u8]) -> Result<(), Malformed> {
        (*held, _) = envelope::open(body)?;
        Ok(())
    }
}

impl Kind for Worker {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, _page: &PageOf) -> Call {
        Call::get(
            Api::Cloudflare,
            &["accounts", account(place), "workers", "scripts"],
        )
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (scripts, _) = envelope::open::<Vec<Script>>(body)?;
        let items = scripts
            .into_iter()
            .map(|script| Resource {
                kind: self.about(),
                place: place.clone(),
                name: script.id.as_str().into(),
                id: script.id.into(),
                holder: None,
                incarnation: script.tag.map(Into::into),
                created_at: Time::always(script.created_on),
                changed_at: Time::always(script.modified_on),
                active_at: Time::Unsupported,
                expires_at: None,
                protection: is_marked(script.tags.iter().flatten().map(AsRef::as_ref))
                    .then_some(BuiltInProtection::Marked),
                parent: None,
                attributes: script
                    .tags
                    .map(|tags| ("tags", Attribute::List(tags)))
                    .into_iter()
                    .collect(),
                links: Vec::new(),
                addresses: Vec::new(),
                recorded: None,
                original: None,
            })
            .collect();
        Ok(Page {
            items,
            total: None,
            next: Next::Last,
        })
    }

    /// By its tag where that is known: a name may be in use again.
    fn inspect(&self, id: &ResourceId) -> Call {
        let tag = id.incarnation.as_deref().unwrap_or(&id.id);
        let account = account(&id.place);
        Call::get(
            Api::Cloudflare,
            &["accounts", account, "workers", "workers", tag],
        )
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (worker, _) = envelope::open::<One>(body)?;
        Ok(Resource {
            kind: self.about(),
            place: place.clone(),
            id: worker.name.clone(),
            name: worker.name,
            holder: None,
            incarnation: Some(worker.id),
            created_at: Time::always(worker.created_on),
            changed_at: Time::always(worker.updated_on),
            active_at: Time::Unsupported,
            expires_at: None,
            protection: None,
            parent: None,
            attributes: Vec::new(),
            links: Vec::new(),
            addresses: Vec::new(),
            recorded: None,
            original: None,
        })
    }

    /// The classic way, and never with `force`: that would destroy the data of
    /// Durable Objects and break the Workers that bind it.
    fn delete(&self, id: &ResourceId) -> Call {
        let account = account(&id.place);
        Call::delete(
            Api::Cloudflare,
            &["accounts", account, "workers", "scripts", &id.id],
        )
    }

    fn by_hand(&self, id: &ResourceId) -> Option<Vec<String>> {
        // Without a question, so that the next line is not taken for its answer.
        let account = format!("CLOUDFLARE_ACCOUNT_ID={}", account(&id.place));
        let words = [
            "CI=true", &account, "npx", "wrangler", "delete", "--name", &id.id,
        ];
        Some(words.map(str::to_owned).to_vec())
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> Refusal {
        let codes = envelope::codes(body);
        if codes.contains(&10_064) {
            Refusal::Premature(
                "a queue or another Worker's Durable Objects depend on it: remove that first",
            )
        } else if codes.contains(&10_142) {
            Refusal::Blocked("another Worker binds it as a service: that one has to go first")
        } else {
            Refusal::Final(None)
        }
    }

    fn queries(&self) -> Queries {
        Queries {
            users: Some(users),
            ..Queries::NONE
        }
    }

    fn references(&self) -> Option<&dyn ReadsReferences> {
        Some(self)
    }

    fn holdings(&self) -> Option<&dyn Holdings> {
        Some(self)
    }

    fn bindings(&self) -> Option<&dyn Bindings> {
        Some(self)
    }

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }
}

impl Bindings for Worker {
    fn delete_by_hand(&self) -> &'static str {
        "wrangler delete --force"
    }

    fn ask(&self, user: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &script(user, &["settings"]))
    }

    /// By a change of its settings in which every other binding is inherited.
    fn unbind(
        &self,
        user: &ResourceId,
        used: &ResourceId,
        body: &[u8],
    ) -> Result<Unbinding, Malformed> {
        let (settings, _) = envelope::open::<Settings>(body)?;
        let (mut removed, mut rest, mut inherited) = (Vec::new(), Vec::new(), Vec::new());
        for binding in settings.bindings {
            let text = |key: &str| binding.get(key).and_then(Value::as_str).map(str::to_owned);
            let sort = text("type").unwrap_or_default();
            let name = text("name");
            if sort == "service" && text("service").as_deref() == Some(&*used.id) {
                removed.push(name.unwrap_or_default());
                continue;
            }
            let references = bindings::listed(std::slice::from_ref(&binding))?;
            let mut uses = references.uses.iter();
            let means = |text: &str| *text == *used.id;
            if uses.any(|one| one.kind == ABOUT.name && means(one.key.text())) {
                return Ok(Unbinding::Impossible(format!(
                    "its binding {} of type `{sort}` needs {}, and cannot be removed without \
                     deploying it anew",
                    name.unwrap_or_default(),
                    used.name
                )));
            }
            let Some(name) = name else {
                return Ok(Unbinding::Impossible(format!(
                    "it has a binding of type `{sort}` without a name, which a change would lose"
                )));
            };
            inherited.push(json!({ "name": name, "type": "inherit" }));
            rest.push(binding);
        }
        if removed.is_empty() {
            return Ok(Unbinding::Nothing(rest));
        }
        let call = Call::new(Api::Cloudflare, Method::PATCH, &script(user, &["settings"]));
        let call = call.form("settings", &json!({ "bindings": inherited }));
        Ok(Unbinding::Remove {
            call,
            removed,
            rest,
        })
    }
}

impl ReadsReferences for Worker {
    /// Its settings describe the version that was uploaded last. What serves
    /// traffic is in the newest deployment, and may be other versions.
    fn first(&self, id: &ResourceId) -> Vec<Ask> {
        ["settings", "deployments"]
            .map(|what| Ask::of(what, "", Call::get(Api::Cloudflare, &script(id, &[what]))))
            .to_vec()
    }

    /// A version that was uploaded and not deployed is in no listing for sure.
    /// Versions themselves never change, so that those which serve traffic are
    /// the same as long as there is no newer deployment.
    fn since(&self, id: &ResourceId) -> Option<Vec<Ask>> {
        let call = Call::get(Api::Cloudflare, &script(id, &["settings"]));
        Some(vec![Ask::of("settings", "", call)])
    }

    fn read(&self, id: &ResourceId, ask: &Ask, answer: Answer<'_>) -> Result<Told, Malformed> {
        let mut told = Told::default();
        let body = match (answer, ask.what) {
            (Answer::Body(body), _) => body,
            // A Worker without any version has no settings, and binds nothing.
            // That there is none has to be seen.
            (Answer::Missing(_), "settings" | "deployments") => {
                let call = Call::get(Api::Cloudflare, &script(id, &["versions"]));
                told.more.push(Ask::of("versions", ask.what, call));
                return Ok(told);
            }
            // It was deleted since it was listed.
            (Answer::Missing(body), "versions") if envelope::is_missing_worker(body) => {
                return Ok(told);
            }
            (Answer::Missing(_), "versions") => {
                return Err(Malformed(format!(
                    "the API does not return the {} of Worker {}, nor its versions; run again",
                    ask.subject, id.name
                )));
            }
            (Answer::Missing(_), _) => {
                return Err(Malformed(format!(
                    "version {} of Worker {} serves traffic, and the API does not return it",
                    ask.subject, id.name
                )));
            }
        };
        match ask.what {
            "settings" => {
                let (settings, _) = envelope::open::<Settings>(body)?;
                told.references = bindings::listed(&settings.bindings)?;
                told.references
                    .extend(bindings::tails(settings.tail_consumers));
            }
            "versions" => {
                let (versions, _) = envelope::open::<Versions>(body)?;
                if !versions.items.is_empty() {
                    return Err(Malformed(format!(
                        "Worker {} has versions, and the API does not return its {}",
                        id.name, ask.subject
                    )));
                }
            }
            "deployments" => {
                let (found, _) = envelope::open::<Deployments>(body)?;
                let newest = found.deployments.into_iter().next();
                let serving = newest.into_iter().flat_map(|newest| newest.versions);
                told.more = serving
                    .map(|served| {
                        let below = ["versions", &*served.version_id];
                        let call = Call::get(Api::Cloudflare, &script(id, &below));
                        Ask::of("version", &served.version_id, call)
                    })
                    .collect();
            }
            _ => {
                let (version, _) = envelope::open::<Version>(body)?;
                told.references = bindings::listed(&version.resources.bindings)?;
            }
        }
        Ok(told)
    }
}

impl Holdings for Worker {
    fn first(&self, id: &ResourceId) -> Vec<Ask> {
        vec![previews(id, 1)]
    }

    fn read(&self, id: &ResourceId, ask: &Ask, answer: Answer<'_>) -> Result<Held, Malformed> {
        match answer {
            Answer::Body(body) => read_previews(id, ask, body),
            Answer::Missing(body) if envelope::is_missing_worker(body) => Ok(Held::default()),
            Answer::Missing(_) => Err(Malformed(format!(
                "the Previews of Worker {} are not there; run again",
                id.name
            ))),
        }
    }
}

/// A page of who uses Workers, in the newer API.
fn users(place: &Place, page: &PageOf) -> Query<UsersPage> {
    let path = ["accounts", account(place), "workers", "workers"];
    let call = Call::get(Api::Cloudflare, &path)
        .with("order_by", "created_on")
        .with("order", "asc")
        .with("per_page", "100")
        .with("page", page.number().to_string());
    Query {
        call,
        read: read_users,
    }
}

fn read_users(body: &[u8]) -> Result<UsersPage, Malformed> {
    let (workers, info) = envelope::open::<Vec<Beta>>(body)?;
    let (total, next) = envelope::numbered(info.as_ref())?;
    let mut shown = Vec::new();
    let mut uses = Vec::new();
    let mut references = Vec::new();
    for worker in workers {
        if let Some(base) = worker.previews_base_config {
            let mut found = bindings::tails(base.tail_consumers);
            found.extend(bindings::by_name(&base.env.unwrap_or_default())?);
            references.push((worker.name.clone(), found));
        }
        let others = [
            worker.references.durable_objects,
            worker.references.dispatch_namespace_outbounds,
        ]
        .into_iter()
        .flatten()
        // A user that the answer does not name is still a user.
        .map(|other| {
            other
                .worker_name
                .or(other.namespace_name)
                .unwrap_or_default()
        });
        let bound = worker.references.workers.into_iter().map(|user| user.name);
        uses.extend(
            bound
                .chain(others)
                .filter(|user| *user != worker.name)
                .map(|user| (worker.name.clone(), user)),
        );
        let consumers = worker.tail_consumers.unwrap_or_default();
        uses.extend(
            consumers
                .into_iter()
                .map(|consumer| (consumer.name, worker.name.clone())),
        );
        shown.push(Shown {
            id: worker.name,
            deployed_at: worker.deployed_on,
            // Only what was deployed is a script.
            listed_since: worker.deployed_on.and(worker.created_on),
        });
    }
    Ok(UsersPage {
        shown,
        uses,
        references,
        total,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_id_is_its_name_and_its_tag_the_incarnation() {
        let body = br#"{"success":true,"errors":[],"messages":[],"result":[{"id":"app-pr-142","tag":"e8f70fdbc8b1fb0b8ddb1af166186758","created_on":"2026-11-02T09:14:07.120034Z","tags":null}]}"#;
        let place = Arc::new(Place::Account("a".to_owned()));
        let page = Worker.read_page(&place, body).unwrap();
        let worker = &page.items[0];
        assert_eq!(&*worker.name, "app-pr-142");
        assert_eq!(
            worker.incarnation.as_deref(),
            Some("e8f70fdbc8b1fb0b8ddb1af166186758")
        );
        assert_eq!(worker.changed_at, Time::Missing);
        assert_eq!(worker.attribute("tags"), Some(&Attribute::List(vec![])));
    }

    #[test]
    fn a_worker_is_unbound_by_a_form_in_which_all_else_is_inherited() {
        let body = |bindings: Value| {
            let body = json!({"success": true, "errors": [], "messages": [],
                "result": {"bindings": bindings}});
            body.to_string()
        };
        let used = ResourceId {
            id: "api".into(),
            name: "api".into(),
            ..id()
        };
        let service = json!({"type": "service", "name": "API", "service": "api"});
        let secret = json!({"type": "secret_text", "name": "KEY"});
        let other = json!({"type": "service", "name": "OTHER", "service": "other"});
        let unbind = |bindings: Value| {
            let body = body(bindings);
            Worker.unbind(&id(), &used, body.as_bytes()).unwrap()
        };
        let Unbinding::Remove {
            call,
            removed,
            rest,
        } = unbind(json!([secret, service, other]))
        else {
            panic!("it binds it")
        };
        assert_eq!(removed, ["API"]);
        assert_eq!(rest, [secret.clone(), other.clone()]);
        assert_eq!(call.method, Method::PATCH);
        assert!(
            call.path.ends_with("/workers/scripts/app/settings"),
            "{}",
            call.path
        );
        assert!(
            call.content_type
                .starts_with("multipart/form-data; boundary=")
        );
        let sent = String::from_utf8(call.body.to_vec()).unwrap();
        assert!(sent.contains("form-data; name=\"settings\""), "{sent}");
        let part = sent.lines().find(|line| line.starts_with('{')).unwrap();
        let part: Value = serde_json::from_str(part).unwrap();
        let inherited = json!({"bindings": [{"name": "KEY", "type": "inherit"},
            {"name": "OTHER", "type": "inherit"}]});
        assert_eq!(part, inherited);

        assert_eq!(unbind(json!([other])), Unbinding::Nothing(vec![other]));
        let objects = json!({"type": "durable_object_namespace", "name": "ROOMS",
            "class_name": "Room", "script_name": "api"});
        let nameless = json!({"type": "secret_text"});
        for bindings in [json!([service, objects]), json!([service, nameless])] {
            assert!(matches!(unbind(bindings), Unbinding::Impossible(_)));
        }
    }

    fn id() -> ResourceId {
        let place = Arc::new(Place::Account("a".to_owned()));
        Resource::new(KindRef(&ABOUT), &place, "app".into(), "app".into()).identity()
    }

    fn told(what: &'static str, answer: Answer<'_>) -> Result<Told, Malformed> {
        let call = Call::get(Api::Cloudflare, &["x"]);
        ReadsReferences::read(&Worker, &id(), &Ask::of(what, "1", call), answer)
    }

    fn uses(told: &Told) -> Vec<&str> {
        let uses = told.references.uses.iter();
        uses.map(|reference| reference.key.text()).collect()
    }

    fn asked(asks: &[Ask]) -> Vec<&str> {
        asks.iter().map(|ask| &*ask.call.path).collect()
    }

    #[test]
    fn what_a_worker_uses_is_in_its_settings_and_in_the_versions_that_serve() {
        let asks = ReadsReferences::first(&Worker, &id());
        assert_eq!(
            asked(&asks),
            [
                "/accounts/a/workers/scripts/app/settings",
                "/accounts/a/workers/scripts/app/deployments",
            ]
        );
        let settings = br#"{"success":true,"result":{"bindings":[
            {"type":"kv_namespace","name":"KV","namespace_id":"0123"}],"tail_consumers":[{"service":"logs"}]}}"#;
        let settings = told("settings", Answer::Body(settings)).unwrap();
        assert_eq!(uses(&settings), ["0123", "logs"]);
        let deployments = br#"{"success":true,"result":{"deployments":[
            {"id":"2","versions":[{"version_id":"v2","percentage":90},{"version_id":"v1","percentage":10}]},
            {"id":"1","versions":[{"version_id":"v0","percentage":100}]}]}}"#;
        let deployments = told("deployments", Answer::Body(deployments)).unwrap();
        assert_eq!(
            asked(&deployments.more),
            [
                "/accounts/a/workers/scripts/app/versions/v2",
                "/accounts/a/workers/scripts/app/versions/v1",
            ]
        );
        let version = br#"{"success":true,"result":{"id":"v1","resources":{"bindings":[
            {"type":"d1","name":"DB","id":"d"}]}}}"#;
        let version = told("version", Answer::Body(version)).unwrap();
        assert_eq!(uses(&version), ["d"]);
        // A version that serves traffic and cannot be seen may bind anything.
        assert!(told("version", Answer::Missing(b"{}")).is_err());
        // Without any list of bindings nothing is known.
        let nothing = br#"{"success":true,"result":{}}"#;
        assert!(told("settings", Answer::Body(nothing)).is_err());
    }

    #[test]
    fn a_worker_without_any_version_binds_nothing() {
        let missing = told("settings", Answer::Missing(b"{}")).unwrap();
        assert_eq!(
            asked(&missing.more),
            ["/accounts/a/workers/scripts/app/versions"]
        );
        let none = br#"{"success":true,"result":{"items":[]}}"#;
        let none = told("versions", Answer::Body(none)).unwrap();
        assert!(none.references.uses.is_empty() && none.more.is_empty());
        let some = br#"{"success":true,"result":{"items":[{"id":"v1"}]}}"#;
        assert!(told("versions", Answer::Body(some)).is_err());
    }

    #[test]
    fn users_are_everybody_else_who_depends_on_a_worker() {
        let body = br#"{"success":true,"result":[{"id":"1","name":"api","references":{"workers":[{"id":"2","name":"web"}],
            "durable_objects":[{"namespace_id":"n","namespace_name":"rooms","worker_id":"1","worker_name":"api"}],
            "domains":[],"queues":[],"dispatch_namespace_outbounds":[]},"tail_consumers":[{"name":"logs"}]}],
            "result_info":{"page":1,"per_page":100,"count":1,"total_count":1}}"#;
        let page = read_users(body).unwrap();
        assert_eq!(
            page.uses,
            [("api".into(), "web".into()), ("logs".into(), "api".into())]
        );
        let undetermined =
            String::from_utf8_lossy(body).replace("\"durable_objects\"", "\"other\"");
        assert!(read_users(undetermined.as_bytes()).is_err());
    }
}
