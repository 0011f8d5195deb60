//! Worker routes of a zone. They have no times at all.

use std::sync::Arc;

use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{Kind, Malformed, NextPage, Page, PageOf};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, Headroom, KindAbout, KindRef,
    Link, Place, PlaceSort, Reference, Resource, ResourceId, UsedBy,
};

pub(super) struct WorkerRoute;

static ABOUT: KindAbout = KindAbout {
    name: "worker_route",
    noun: "Worker route",
    api: Api::Cloudflare,
    place: PlaceSort::Zone,
    begins_with_host: true,
    read_permission: "Workers Routes Read",
    write_permission: "Workers Routes Write",
    undo: "has to be created again by hand",
    attributes: &[AttributeAbout {
        key: "script",
        sort: AttributeSort::Text,
        words: &[],
        values: &[],
        about: "the Worker that serves it",
    }],
    belongs_to: Some("worker"),
    stands_alone: true,
    used_by: UsedBy::Nothing("a route points at its Worker, and nothing points at a route"),
    headroom: Some(Headroom {
        what: "Worker routes per zone",
        free: Some(1_000),
        paid: Some(1_000),
        per: None,
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Route {
    id: Box<str>,
    pattern: Box<str>,
    script: Option<Box<str>>,
}

impl Route {
    /// The host that the pattern spells out. A star right before it stands for
    /// nothing as well; one before a dot stands for any other host, which is
    /// there without the record of this or that one.
    fn host(&self) -> Option<String> {
        let host = envelope::host(&self.pattern)?;
        let spelled = host.strip_prefix('*').unwrap_or(&host);
        let is_whole = !spelled.is_empty() && !spelled.starts_with('.') && !spelled.contains('*');
        is_whole.then(|| spelled.to_owned())
    }

    fn resource(self, place: &Arc<Place>) -> Resource {
        let host = self.host();
        let script = self.script.filter(|script| !script.is_empty());
        let uses = script.iter().map(|script| {
            let worker = Reference::by_id("worker", script.to_string());
            Link::Uses(worker)
        });
        // Traffic reaches a route by the DNS record of its host; at a pattern with a
        // star, by that of every host that it matches.
        let addresses = envelope::host(&self.pattern).into_iter().collect();
        // That record may be one that a custom domain manages.
        let host = host.iter().flat_map(|host| {
            let kinds = ["dns_record", "worker_domain"].into_iter();
            kinds.map(|kind| Link::Uses(Reference::by_address(kind, host.clone())))
        });
        let uses = uses.chain(host);
        Resource {
            protection: script.is_none().then_some(BuiltInProtection::DisableRule),
            links: uses.collect(),
            addresses,
            attributes: script
                .map(|script| ("script", Attribute::Text(script)))
                .into_iter()
                .collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id, self.pattern)
        }
    }
}

/// The path of one route.
fn path(id: &ResourceId) -> [&str; 5] {
    ["zones", id.place.id(), "workers", "routes", &id.id]
}

impl Kind for WorkerRoute {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, _page: &PageOf) -> Call {
        Call::get(Api::Cloudflare, &["zones", place.id(), "workers", "routes"])
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (routes, _) = envelope::open::<Vec<Route>>(body)?;
        let items = routes.into_iter().map(|route| route.resource(place));
        Ok(Page {
            items: items.collect(),
            total: None,
            next: NextPage::Last,
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (route, _) = envelope::open::<Route>(body)?;
        Ok(route.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_right_before_a_host_stands_for_the_host_as_well() {
        let host = |pattern: &str| {
            let route = Route {
                id: "r".into(),
                pattern: pattern.into(),
                script: None,
            };
            route.host()
        };
        let spelled = Some("app.acme.example".to_owned());
        for pattern in [
            "app.acme.example/*",
            "APP.acme.example/v1",
            "https://app.acme.example/*",
            "*app.acme.example/*",
        ] {
            assert_eq!(host(pattern), spelled, "{pattern}");
        }
        for pattern in ["*.acme.example/*", "*/*", "app*.acme.example/*"] {
            assert_eq!(host(pattern), None, "{pattern}");
        }
    }
}
