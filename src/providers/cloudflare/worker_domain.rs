//! Custom domains of Workers: listed because they manage DNS records.

use std::sync::Arc;

use serde::Deserialize;

use super::envelope::{self, account};
use crate::call::Call;
use crate::kind::{Kind, Malformed, NextPage, Page, PageOf};
use crate::model::identifier::host_name;
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, Headroom, KindAbout, KindRef, Link, Place,
    PlaceSort, Reference, Resource, ResourceId, UsedBy,
};

pub(super) struct WorkerDomain;

static ABOUT: KindAbout = KindAbout {
    name: "worker_domain",
    noun: "custom domain",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    caseless: true,
    read_permission: "Workers Scripts Read",
    write_permission: "Workers Scripts Write",
    undo: "has to be created again by hand",
    attributes: &[
        AttributeAbout {
            key: "service",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the Worker that serves it",
        },
        AttributeAbout {
            key: "zone",
            sort: AttributeSort::Host,
            words: &[],
            values: &[],
            about: "the zone's name",
        },
    ],
    belongs_to: Some("worker"),
    stands_alone: true,
    used_by: UsedBy::These(&["dns_record", "worker_route"]),
    manages: Some("dns_record"),
    headroom: Some(Headroom {
        what: "custom domains per zone",
        free: Some(100),
        paid: Some(100),
        per: Some("zone"),
    }),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Domain {
    id: Box<str>,
    hostname: Box<str>,
    #[serde(deserialize_with = "envelope::named")]
    service: Box<str>,
    zone_name: Option<Box<str>>,
}

impl Domain {
    fn resource(self, place: &Arc<Place>) -> Resource {
        let zone = self.zone_name.map(|name| host_name(&name).into());
        let worker = Reference::by_id("worker", self.service.to_string());
        let hostname = host_name(&self.hostname).into();
        Resource {
            links: vec![Link::Uses(worker)],
            addresses: envelope::host(&self.hostname).into_iter().collect(),
            attributes: [("service", Some(self.service)), ("zone", zone)]
                .into_iter()
                .filter_map(|(key, value)| Some((key, Attribute::Text(value?))))
                .collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id, hostname)
        }
    }
}

/// The path of one domain.
fn path(id: &ResourceId) -> [&str; 5] {
    ["accounts", account(&id.place), "workers", "domains", &id.id]
}

impl Kind for WorkerDomain {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, _page: &PageOf) -> Call {
        Call::get(
            Api::Cloudflare,
            &["accounts", account(place), "workers", "domains"],
        )
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (domains, info) = envelope::open::<Vec<Domain>>(body)?;
        let items = domains.into_iter();
        Ok(Page {
            items: items.map(|domain| domain.resource(place)).collect(),
            // There is no page to ask for, but a total above what is shown
            // would mean that this is not all.
            total: info.and_then(|info| info.total_count),
            next: NextPage::Last,
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (domain, _) = envelope::open::<Domain>(body)?;
        Ok(domain.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}
