//! Workers: the classic scripts listing, which shows all in one answer, and their
//! deletion. What a Worker uses and what uses it is below.

mod references;
mod users;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bindings;
use super::envelope::{self, account};
use crate::call::{Call, Transfer};
use crate::kind::{
    Backup, Bindings, ByHand, DeletionRefusal, Kind, Malformed, NextPage, Page, PageOf, Queries,
    ReadsReferences, Unbinding,
};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, Headroom, KindAbout, KindRef,
    Link, Place, PlaceSort, Reference, ReferencesFrom, Resource, ResourceId, Time, UsedBy,
    is_marked,
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
    undo: "has to be deployed again (`backup = true` in its rule keeps its settings); its secrets \
        and assets cannot be fetched",
    attributes: &[AttributeAbout {
        key: "tags",
        sort: AttributeSort::List,
        words: &[],
        values: &[],
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
    /// `null` means none; an absent field means unknown to a condition. The document
    /// makes every field of the listing optional. A mark counts in the list of users as
    /// well, which is asked for before a Worker is deleted and always has the tags.
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
    /// The routes that run it, as far as the answer has them. One that the listing of
    /// routes lacks keeps the Worker: that listing has no count.
    routes: Option<Vec<ShownRoute>>,
}

#[derive(Deserialize)]
struct ShownRoute {
    id: String,
}

impl ShownRoute {
    fn uses_it(self) -> Link {
        Link::UsedBy(Reference::by_id("worker_route", self.id))
    }
}

/// The path of a Worker in the classic API, and what is below it.
fn script<'p>(id: &'p ResourceId, below: &[&'p str]) -> Vec<&'p str> {
    let script = ["accounts", account(&id.place), "workers", "scripts", &id.id];
    [&script[..], below].concat()
}

/// One Worker of the newer API, where the tag is the id.
#[derive(Deserialize)]
struct BetaWorker {
    id: Box<str>,
    name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    updated_on: Option<DateTime<Utc>>,
}

/// A Worker's settings: bindings and configuration, for deploying it again by
/// hand. Its code, assets and secrets are not given out.
impl Backup for Worker {
    fn next(&self, id: &ResourceId, held: &Value) -> Result<Option<Transfer>, Malformed> {
        let path = [
            "accounts",
            account(&id.place),
            "workers",
            "scripts",
            &id.id,
            "settings",
        ];
        let settings = held.is_null().then(|| Call::get(Api::Cloudflare, &path));
        Ok(settings.map(Into::into))
    }

    fn take(&self, held: &mut Value, body: &[u8]) -> Result<(), Malformed> {
        (*held, _) = envelope::open(body)?;
        Ok(())
    }
}

/// A Worker of which only the name is known.
fn named(place: &Arc<Place>, name: Box<str>) -> Resource {
    Resource::new(KindRef(&ABOUT), place, name.clone(), name)
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
                incarnation: script.tag.map(Into::into),
                created_at: Time::always(script.created_on),
                changed_at: Time::always(script.modified_on),
                protection: is_marked(script.tags.iter().flatten().map(AsRef::as_ref))
                    .then_some(BuiltInProtection::Marked),
                links: script
                    .routes
                    .into_iter()
                    .flatten()
                    .map(ShownRoute::uses_it)
                    .collect(),
                attributes: script
                    .tags
                    .map(|tags| ("tags", Attribute::List(tags)))
                    .into_iter()
                    .collect(),
                ..named(place, script.id.into())
            })
            .collect();
        Ok(Page {
            items,
            total: None,
            next: NextPage::Last,
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
        let (worker, _) = envelope::open::<BetaWorker>(body)?;
        Ok(Resource {
            incarnation: Some(worker.id),
            created_at: Time::always(worker.created_on),
            changed_at: Time::always(worker.updated_on),
            ..named(place, worker.name)
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

    /// By its tag in the newer API, also without `force`.
    fn delete_by_own_id(&self, id: &ResourceId) -> Option<Call> {
        let tag = id.incarnation.as_deref()?;
        let path = ["accounts", account(&id.place), "workers", "workers", tag];
        Some(Call::delete(Api::Cloudflare, &path))
    }

    /// With `force` where Workers bind each other: those that bind this one are
    /// deleted after it, so nothing that stays is broken.
    fn by_hand(&self, worker: &Resource, _base: &str, bound: bool) -> ByHand {
        let call = self.delete(&worker.identity());
        ByHand::Request(if bound {
            call.with("force", "true")
        } else {
            call
        })
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> DeletionRefusal {
        let codes = envelope::codes(body);
        if codes.contains(&10_064) {
            DeletionRefusal::Premature(
                "a queue or another Worker's Durable Objects depend on it: remove that first",
            )
        } else if codes.contains(&10_142) {
            DeletionRefusal::Blocked(
                "another Worker binds it as a service: that one has to go first",
            )
        } else {
            DeletionRefusal::Final(None)
        }
    }

    fn queries(&self) -> Queries {
        Queries {
            users: Some(users::users),
            ..Queries::NONE
        }
    }

    fn references(&self) -> Option<&dyn ReadsReferences> {
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

    /// By a change of its settings in which every other binding is inherited, and every
    /// other receiver of its logs repeated.
    fn unbind(
        &self,
        user: &ResourceId,
        used: &ResourceId,
        body: &[u8],
    ) -> Result<Unbinding, Malformed> {
        let (settings, _) = envelope::open::<bindings::Settings>(body)?;
        let (fields, _) = envelope::open::<Map<String, Value>>(body)?;
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
        let mut change = Map::new();
        for field in bindings::TAILS {
            let mut kept = Vec::new();
            let all = fields.get(field).and_then(Value::as_array);
            for consumer in all.into_iter().flatten() {
                if bindings::is_tail_to(consumer, &used.id)? {
                    removed.push(format!("{} in {field}", used.name));
                } else {
                    rest.push(json!({ field: consumer }));
                    kept.push(consumer.clone());
                }
            }
            if all.is_some_and(|all| kept.len() < all.len()) {
                change.insert(field.to_owned(), Value::Array(kept));
            }
        }
        if removed.is_empty() {
            return Ok(Unbinding::Nothing(rest));
        }
        change.insert("bindings".to_owned(), Value::Array(inherited));
        let call = Call::new(Api::Cloudflare, Method::PATCH, &script(user, &["settings"]));
        let call = call.form("settings", &Value::Object(change));
        Ok(Unbinding::Remove {
            call,
            removed,
            rest,
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

    #[test]
    fn a_worker_is_removed_from_those_that_receive_the_logs_of_another() {
        let (api, other) = (json!({"service": "api"}), json!({"service": "other"}));
        let used = ResourceId {
            id: "api".into(),
            name: "api".into(),
            ..id()
        };
        let secret = json!({"type": "secret_text", "name": "KEY"});
        let unbind = |tails: &Value| {
            let body =
                json!({"success": true, "result": {"bindings": [secret], "tail_consumers": tails}});
            Worker
                .unbind(&id(), &used, body.to_string().as_bytes())
                .unwrap()
        };
        let rest = vec![secret.clone(), json!({"tail_consumers": other})];
        assert_eq!(unbind(&json!([other])), Unbinding::Nothing(rest.clone()));
        assert_eq!(
            unbind(&json!(null)),
            Unbinding::Nothing(vec![secret.clone()])
        );
        let Unbinding::Remove {
            call,
            removed,
            rest: left,
        } = unbind(&json!([other, api]))
        else {
            panic!("it sends its logs to it")
        };
        assert_eq!(
            (removed, left),
            (vec!["api in tail_consumers".to_owned()], rest)
        );
        let sent = String::from_utf8(call.body.to_vec()).unwrap();
        let part = sent.lines().find(|line| line.starts_with('{')).unwrap();
        let part: Value = serde_json::from_str(part).unwrap();
        let whole =
            json!({"bindings": [{"name": "KEY", "type": "inherit"}], "tail_consumers": [other]});
        assert_eq!(part, whole);
    }

    pub(super) fn id() -> ResourceId {
        let place = Arc::new(Place::Account("a".to_owned()));
        Resource::new(KindRef(&ABOUT), &place, "app".into(), "app".into()).identity()
    }
}
