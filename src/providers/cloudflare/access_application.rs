//! Applications of Cloudflare Access in an account: what asks visitors of a host who
//! they are. An application goes after everything that is reached at its hosts.
//!
//! Paths, pages and fields are those of Cloudflare's SDK 7.3.0,
//! `resources/zero-trust/access/applications`, which names no times. The API also has
//! applications below a zone, which are not read.

use std::sync::Arc;

use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{Kind, Malformed, Page, PageOf};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, KindAbout, KindRef, Link,
    Place, PlaceSort, Resource, ResourceId, UsedBy, is_marked,
};

pub(super) struct AccessApplication;

static ABOUT: KindAbout = KindAbout {
    name: "access_application",
    noun: "Access application",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    read_permission: "Access: Apps and Policies Read",
    write_permission: "Access: Apps and Policies Write",
    undo: "has to be created again by hand: its name and its hosts are kept, its policies are not",
    attributes: &[
        AttributeAbout {
            key: "domain",
            sort: AttributeSort::Host,
            words: &[],
            values: &[],
            about: "the primary host that it guards, with a path if it has one",
        },
        AttributeAbout {
            key: "type",
            sort: AttributeSort::Text,
            words: &[],
            values: &GUARDS_OF_HOSTS,
            about: "the type of the application",
        },
        AttributeAbout {
            key: "tags",
            sort: AttributeSort::List,
            words: &[],
            values: &[],
            about: "the tags",
        },
    ],
    used_by: UsedBy::These(&["dns_record", "worker_domain", "worker_route"]),
    ..KindAbout::BLANK
};

/// The types that guard host names. All others are of the account (its launcher, the
/// enrolment of devices) or guard software elsewhere.
const GUARDS_OF_HOSTS: [&str; 3] = ["self_hosted", "ssh", "vnc"];

#[derive(Deserialize)]
struct Application {
    id: Box<str>,
    name: Option<Box<str>>,
    #[serde(rename = "type")]
    sort: Box<str>,
    domain: Option<Box<str>>,
    /// The older form of `destinations`.
    self_hosted_domains: Option<Vec<Box<str>>>,
    destinations: Option<Vec<Destination>>,
    /// The SDK calls it optional; recorded answers have an empty list where there are
    /// none.
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
}

#[derive(Deserialize)]
struct Destination {
    #[serde(rename = "type")]
    sort: Option<Box<str>>,
    uri: Option<Box<str>>,
}

impl Destination {
    /// The address that it guards, if it is a public one. All but public ones state
    /// their type.
    fn uri(&self) -> Option<&str> {
        let public = self.sort.as_deref().is_none_or(|sort| sort == "public");
        self.uri.as_deref().filter(|_| public)
    }
}

impl Application {
    /// The hosts that it guards; none if it guards anything else.
    fn hosts(&self) -> Option<Vec<Box<str>>> {
        if !GUARDS_OF_HOSTS.contains(&&*self.sort) {
            return None;
        }
        let domains = self.self_hosted_domains.iter().flatten();
        let domains = self.domain.iter().chain(domains);
        let domains = domains.map(|domain| Some(&**domain));
        let destinations = self.destinations.iter().flatten().map(Destination::uri);
        let hosts = domains.chain(destinations);
        let hosts: Option<Vec<_>> = hosts.map(|uri| envelope::host(uri?)).collect();
        let mut hosts = hosts.filter(|hosts| !hosts.is_empty())?;
        hosts.sort_unstable();
        hosts.dedup();
        Some(hosts)
    }

    fn resource(self, place: &Arc<Place>) -> Resource {
        let hosts = self.hosts();
        let tags = self.tags.iter().flatten();
        let texts = self.name.iter().chain(tags).map(AsRef::as_ref);
        let protection = if is_marked(texts) {
            Some(BuiltInProtection::Marked)
        } else {
            hosts.is_none().then_some(BuiltInProtection::GuardsMore)
        };
        let hosts = hosts.into_iter().flatten();
        // A mark may stand in what is not shown.
        let unread = self.tags.is_none().then_some("tags");
        let domain = self
            .domain
            .map(|domain| ("domain", Attribute::Text(domain)));
        let tags = self.tags.map(|tags| ("tags", Attribute::List(tags)));
        let sort = ("type", Attribute::Text(self.sort));
        // The SDK calls the name optional. No rule means an id.
        let name = self.name.unwrap_or_else(|| self.id.clone());
        Resource {
            links: hosts.map(Link::Guards).collect(),
            protection,
            unread,
            attributes: domain.into_iter().chain([sort]).chain(tags).collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id, name)
        }
    }
}

/// The path of one application.
fn path(id: &ResourceId) -> [&str; 5] {
    ["accounts", id.place.id(), "access", "apps", &id.id]
}

impl Kind for AccessApplication {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        Call::get(Api::Cloudflare, &["accounts", place.id(), "access", "apps"])
            .with("per_page", "50")
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        envelope::page_or_more(body, |one: Application| Some(one.resource(place)))
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (application, _) = envelope::open::<Application>(body)?;
        Ok(application.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Resource {
        let application: Application = serde_json::from_str(json).unwrap();
        application.resource(&Arc::new(Place::Account("a".to_owned())))
    }

    #[test]
    fn all_of_its_public_hosts_are_guarded() {
        let one = read(
            r#"{"id":"1","name":"pr-7","type":"self_hosted","domain":"PR-7.acme.example/admin",
                "self_hosted_domains":["old.acme.example"],
                "destinations":[{"type":"public","uri":"pr-7.acme.example/admin"},
                {"uri":"*.pr-7.acme.example/x:y"}]}"#,
        );
        let guards = |host: &str| Link::Guards(host.into());
        assert_eq!(
            one.links,
            [
                guards("*.pr-7.acme.example"),
                guards("old.acme.example"),
                guards("pr-7.acme.example")
            ]
        );
        assert_eq!(one.protection, None);
    }

    #[test]
    fn what_guards_anything_but_public_hosts_is_never_touched() {
        for rest in [
            r#""type":"app_launcher","domain":"acme.cloudflareaccess.com""#,
            r#""type":"saas""#,
            r#""type":"self_hosted""#,
            r#""type":"self_hosted","domain":"192.0.2.1""#,
            r#""type":"self_hosted","domain":"a.acme.example","destinations":[{"type":"private","hostname":"db"}]"#,
            r#""type":"self_hosted","domain":"a.acme.example","destinations":[{"type":"worker","worker_id":"w"}]"#,
            r#""type":"self_hosted","domain":"a.acme.example","destinations":[{"type":"new","uri":"b.acme.example"}]"#,
            r#""type":"new","domain":"a.acme.example""#,
        ] {
            let one = read(&format!(r#"{{"id":"1","name":"pr-7",{rest}}}"#));
            assert_eq!(
                one.protection,
                Some(BuiltInProtection::GuardsMore),
                "{rest}"
            );
        }
    }

    #[test]
    fn a_mark_in_its_name_or_a_tag_keeps_it() {
        for marked in [
            r#""name":"pr-7 preview-gc:keep""#,
            r#""name":"pr-7","tags":["preview-gc:keep"]"#,
        ] {
            let text =
                format!(r#"{{"id":"1","type":"self_hosted","domain":"a.acme.example",{marked}}}"#);
            assert_eq!(read(&text).protection, Some(BuiltInProtection::Marked));
        }
    }
}
