//! Workers: the classic scripts listing, which shows all in one answer.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::cloudflare::{self, account};
use super::{Archive, Kind, Malformed, Next, Page, PageOf, Refusal, Shown, UsersPage};
use crate::call::Call;
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, Headroom, KindAbout, KindRef, Place, PlaceSort,
    Reference, Resource, ResourceId, Time,
};

pub(super) struct Worker;

static ABOUT: KindAbout = KindAbout {
    name: "worker",
    noun: "Worker",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    caseless: false,
    created: true,
    changed: true,
    active: false,
    branch: None,
    expires: false,
    read_permission: "Workers Scripts Read",
    write_permission: "Workers Scripts Write",
    serial: false,
    backup: true,
    undo: "has to be deployed again: its bindings are kept (with `backup = true` its settings), its secrets and assets cannot be fetched",
    attributes: &[AttributeAbout {
        key: "tags",
        sort: AttributeSort::List,
        words: &[],
        about: "the script's tags; wrangler writes `cf:service=…` and `cf:environment=…`",
    }],
    holder: None,
    belongs_to: None,
    blocks: None,
    uses: &["worker", "kv_namespace", "d1", "r2", "queue", "hyperdrive"],
    users_listed: true,
    manages: None,
    headroom: Some(Headroom {
        what: "Workers per account",
        free: Some(100),
        paid: Some(500),
        per: None,
    }),
};

#[derive(Deserialize)]
struct Script {
    /// The script's name; `tag` is the id.
    id: String,
    tag: Option<String>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
    /// Null means none; absent means not told.
    #[serde(default, deserialize_with = "cloudflare::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
}

#[derive(Deserialize)]
struct Settings {
    /// Without it nobody knows what the Worker uses.
    bindings: Vec<Binding>,
    #[serde(default)]
    tail_consumers: Option<Vec<TailConsumer>>,
}

#[derive(Deserialize)]
struct TailConsumer {
    service: Option<String>,
}

/// Only the fields that name another resource; the binding types are open.
#[derive(Deserialize)]
struct Binding {
    #[serde(rename = "type")]
    sort: String,
    namespace_id: Option<String>,
    id: Option<String>,
    database_id: Option<String>,
    bucket_name: Option<String>,
    queue_name: Option<String>,
    service: Option<String>,
    script_name: Option<String>,
    outbound: Option<Outbound>,
}

#[derive(Deserialize)]
struct Outbound {
    worker: Option<TailConsumer>,
}

impl Binding {
    /// What it refers to. A binding that names nothing where it must is an
    /// answer we do not understand.
    fn reference(self) -> Result<Option<Reference>, Malformed> {
        let Self { sort, .. } = &self;
        let missing = format!("a `{sort}` binding that names nothing");
        let need = |value: Option<String>| value.ok_or_else(|| Malformed(missing.clone()));
        Ok(match sort.as_str() {
            "kv_namespace" => Some(Reference::by_id("kv_namespace", need(self.namespace_id)?)),
            "d1" => Some(Reference::by_id("d1", need(self.id.or(self.database_id))?)),
            "r2_bucket" => Some(Reference::by_name("r2", need(self.bucket_name)?)),
            "queue" => Some(Reference::by_name("queue", need(self.queue_name)?)),
            "hyperdrive" => Some(Reference::by_id("hyperdrive", need(self.id)?)),
            "service" => Some(Reference::by_id("worker", need(self.service)?)),
            // Without a script name it is the Worker's own class.
            "durable_object_namespace" | "workflow" => self
                .script_name
                .map(|script| Reference::by_id("worker", script)),
            "dispatch_namespace" => self
                .outbound
                .and_then(|outbound| outbound.worker)
                .and_then(|worker| worker.service)
                .map(|script| Reference::by_id("worker", script)),
            _ => None,
        })
    }
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
struct KeptSettings;

impl Archive for KeptSettings {
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
        (*held, _) = cloudflare::open(body)?;
        Ok(())
    }
}

impl Kind for Worker {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _page: &PageOf) -> Call {
        Call::get(
            Api::Cloudflare,
            &["accounts", account(place), "workers", "scripts"],
        )
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (scripts, _) = cloudflare::open::<Vec<Script>>(body)?;
        let items = scripts
            .into_iter()
            .map(|script| Resource {
                kind: self.about(),
                place: place.clone(),
                name: script.id.as_str().into(),
                id: script.id.into(),
                within: None,
                incarnation: script.tag.map(Into::into),
                created_at: Time::always(script.created_on),
                changed_at: Time::always(script.modified_on),
                active_at: Time::NotKept,
                expires_at: None,
                protection: None,
                parent: None,
                attributes: script
                    .tags
                    .map(|tags| ("tags", Attribute::List(tags)))
                    .into_iter()
                    .collect(),
                links: Vec::new(),
                says: None,
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
        let (worker, _) = cloudflare::open::<One>(body)?;
        Ok(Resource {
            kind: self.about(),
            place: place.clone(),
            id: worker.name.clone(),
            name: worker.name,
            within: None,
            incarnation: Some(worker.id),
            created_at: Time::always(worker.created_on),
            changed_at: Time::always(worker.updated_on),
            active_at: Time::NotKept,
            expires_at: None,
            protection: None,
            parent: None,
            attributes: Vec::new(),
            links: Vec::new(),
            says: None,
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
        let words = ["npx", "wrangler", "delete", "--name", &id.id];
        Some(words.map(str::to_owned).to_vec())
    }

    fn archive(&self) -> Option<&'static dyn Archive> {
        Some(&KeptSettings)
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> Refusal {
        let codes = cloudflare::codes(body);
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

    fn uses(&self, resource: &Resource) -> Option<Call> {
        Some(Call::get(
            Api::Cloudflare,
            &[
                "accounts",
                account(&resource.place),
                "workers",
                "scripts",
                &resource.id,
                "settings",
            ],
        ))
    }

    fn read_uses(&self, body: &[u8]) -> Result<Vec<Reference>, Malformed> {
        let (settings, _) = cloudflare::open::<Settings>(body)?;
        let mut references = Vec::new();
        for binding in settings.bindings {
            references.extend(binding.reference()?);
        }
        let consumers = settings.tail_consumers.unwrap_or_default();
        references.extend(
            consumers
                .into_iter()
                .filter_map(|consumer| consumer.service)
                .map(|service| Reference::by_id("worker", service)),
        );
        Ok(references)
    }

    fn users(&self, place: &Place, page: &PageOf) -> Option<Call> {
        let number = match page {
            PageOf::First | PageOf::Cursor(_) => 1,
            PageOf::Number(number) => *number,
        };
        Some(
            Call::get(
                Api::Cloudflare,
                &["accounts", account(place), "workers", "workers"],
            )
            .with("order_by", "created_on")
            .with("order", "asc")
            .with("per_page", "100")
            .with("page", number.to_string()),
        )
    }

    fn read_users(&self, body: &[u8]) -> Result<UsersPage, Malformed> {
        let (workers, info) = cloudflare::open::<Vec<Beta>>(body)?;
        let (total, next) = cloudflare::numbered(info.as_ref())?;
        let mut shown = Vec::new();
        let mut uses = Vec::new();
        for worker in workers {
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
                // Only what was deployed is a script.
                listed_since: worker.deployed_on.and(worker.created_on),
            });
        }
        Ok(UsersPage {
            shown,
            uses,
            total,
            next,
        })
    }
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
    fn bindings_say_what_a_worker_uses() {
        let body = br#"{"success":true,"result":{"bindings":[
            {"type":"kv_namespace","name":"KV","namespace_id":"0123"},
            {"type":"service","name":"API","service":"api-pr-7"},
            {"type":"durable_object_namespace","name":"OWN","class_name":"Room"},
            {"type":"durable_object_namespace","name":"OTHER","class_name":"Room","script_name":"rooms"},
            {"type":"secret_text","name":"S"}],"tail_consumers":[{"service":"logs"}]}}"#;
        let uses = Worker.read_uses(body).unwrap();
        assert_eq!(
            uses,
            [
                Reference::by_id("kv_namespace", "0123".to_owned()),
                Reference::by_id("worker", "api-pr-7".to_owned()),
                Reference::by_id("worker", "rooms".to_owned()),
                Reference::by_id("worker", "logs".to_owned()),
            ]
        );
        let unclear =
            br#"{"success":true,"result":{"bindings":[{"type":"kv_namespace","name":"KV"}]}}"#;
        assert!(Worker.read_uses(unclear).is_err());
        // Without any list nobody knows.
        assert!(
            Worker
                .read_uses(br#"{"success":true,"result":{}}"#)
                .is_err()
        );
    }

    #[test]
    fn users_are_everybody_else_who_depends_on_a_worker() {
        let body = br#"{"success":true,"result":[{"id":"1","name":"api","references":{"workers":[{"id":"2","name":"web"}],
            "durable_objects":[{"namespace_id":"n","namespace_name":"rooms","worker_id":"1","worker_name":"api"}],
            "domains":[],"queues":[],"dispatch_namespace_outbounds":[]},"tail_consumers":[{"name":"logs"}]}],
            "result_info":{"page":1,"per_page":100,"count":1,"total_count":1}}"#;
        let page = Worker.read_users(body).unwrap();
        assert_eq!(
            page.uses,
            [("api".into(), "web".into()), ("logs".into(), "api".into())]
        );
        let untold = String::from_utf8_lossy(body).replace("\"durable_objects\"", "\"other\"");
        assert!(Worker.read_users(untold.as_bytes()).is_err());
    }
}
