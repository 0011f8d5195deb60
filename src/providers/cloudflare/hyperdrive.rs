//! Hyperdrive configurations.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{envelope, reached};
use crate::call::Call;
use crate::kind::{Kind, Malformed, Page, PageOf};
use crate::model::{
    Api, Headroom, KindAbout, KindRef, Link, Place, PlaceSort, Resource, ResourceId, Time,
    UnknownBinding, UsedBy,
};

pub(super) struct Hyperdrive;

static ABOUT: KindAbout = KindAbout {
    name: "hyperdrive",
    noun: "Hyperdrive configuration",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    read_permission: "Hyperdrive Read",
    write_permission: "Hyperdrive Write",
    undo: "has to be created again by hand: the database's password is not given out",
    used_by: UsedBy::These(&[
        "worker",
        "worker_preview",
        "pages_project",
        "dispatch_namespace",
    ]),
    headroom: Some(Headroom {
        what: "Hyperdrive configurations per account",
        free: Some(10),
        paid: Some(25),
        per: None,
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Config {
    id: Box<str>,
    name: Box<str>,
    created_on: Option<DateTime<Utc>>,
    modified_on: Option<DateTime<Utc>>,
    origin: Origin,
}

/// The database behind it. One that names neither a host nor a service may be that of
/// any branch, and is refused.
#[derive(Deserialize)]
#[serde(try_from = "ShownOrigin")]
struct Origin {
    host: Option<String>,
    /// A VPC service, which leads to a tunnel.
    service_id: Option<String>,
}

#[derive(Deserialize)]
struct ShownOrigin {
    host: Option<String>,
    service_id: Option<String>,
}

impl TryFrom<ShownOrigin> for Origin {
    type Error = &'static str;

    fn try_from(shown: ShownOrigin) -> Result<Self, Self::Error> {
        let is_named = |text: &String| !text.is_empty();
        let host = shown.host.filter(is_named);
        let service_id = shown.service_id.filter(is_named);
        if host.is_none() && service_id.is_none() {
            return Err("the origin of a Hyperdrive configuration names nothing");
        }
        Ok(Self { host, service_id })
    }
}

impl Config {
    /// Whether a database may be reached by it: directly, by a name or by a tunnel.
    fn is_of_a_database(link: &Link) -> bool {
        let Link::Uses(reference) = link else {
            return false;
        };
        ["neon_branch", "dns_record", "tunnel"].contains(&reference.kind)
    }

    fn resource(self, place: &Arc<Place>) -> Resource {
        let host = self.origin.host.as_deref().and_then(envelope::host);
        let reached = host.iter().flat_map(|host| reached::at(host));
        let reached = reached.filter(Self::is_of_a_database);
        let service = self.origin.service_id.map(|id| UnknownBinding {
            sort: "service_id".into(),
            texts: vec![id.into()],
            any_of: Some("tunnel"),
        });
        Resource {
            links: reached.chain(service.map(Link::MayUse)).collect(),
            created_at: Time::always(self.created_on),
            changed_at: Time::always(self.modified_on),
            ..Resource::new(KindRef(&ABOUT), place, self.id, self.name)
        }
    }
}

/// The path of one configuration.
fn path(id: &ResourceId) -> [&str; 5] {
    ["accounts", id.place.id(), "hyperdrive", "configs", &id.id]
}

impl Kind for Hyperdrive {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        let path = ["accounts", place.id(), "hyperdrive", "configs"];
        Call::get(Api::Cloudflare, &path)
            .with("per_page", "100")
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        envelope::page(body, |one: Config| one.resource(place))
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (config, _) = envelope::open::<Config>(body)?;
        Ok(config.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_that_names_nothing_is_no_answer() {
        let read = |origin: &str| {
            let text = format!(r#"{{"id":"1","name":"pg","origin":{origin}}}"#);
            serde_json::from_str::<Config>(&text).is_ok()
        };
        assert!(read(r#"{"host":"db.example.com"}"#) && read(r#"{"service_id":"s"}"#));
        for origin in ["null", "{}", r#"{"host":""}"#, r#"{"host":null}"#] {
            assert!(!read(origin), "{origin}");
        }
    }
}
