//! Worker Previews (beta), which live inside a Worker.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::cloudflare;
use super::{Holders, Kind, Malformed, Page, PageOf};
use crate::call::Call;
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, Headroom, KindAbout, KindRef, Link, Place,
    PlaceSort, PullRequestNumber, Reference, Resource, ResourceId, Time,
};

pub(super) struct WorkerPreview;

static ABOUT: KindAbout = KindAbout {
    name: "worker_preview",
    noun: "Worker Preview",
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
    backup: false,
    undo: "has to be deployed again",
    attributes: &[
        AttributeAbout {
            key: "worker",
            sort: AttributeSort::Text,
            words: &[],
            about: "the Worker it is a Preview of",
        },
        AttributeAbout {
            key: "tags",
            sort: AttributeSort::List,
            words: &[],
            about: "its tags",
        },
        AttributeAbout {
            key: "pull-request",
            sort: AttributeSort::Text,
            words: &[],
            about: "the number in its latest deployment, where wrangler wrote one",
        },
        AttributeAbout {
            key: "repository-url",
            sort: AttributeSort::Text,
            words: &[],
            about: "the repository in its latest deployment",
        },
    ],
    holder: Some("worker"),
    belongs_to: Some("worker"),
    blocks: None,
    uses: &[],
    users_listed: false,
    manages: None,
    headroom: Some(Headroom {
        what: "Previews per Worker",
        free: Some(100),
        paid: Some(500),
        per: Some("worker"),
    }),
};

#[derive(Deserialize)]
struct Worker {
    name: Box<str>,
}

#[derive(Deserialize)]
struct Preview {
    id: Box<str>,
    name: Box<str>,
    worker_name: Option<Box<str>>,
    created_on: Option<DateTime<Utc>>,
    updated_on: Option<DateTime<Utc>>,
    deployed_on: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "cloudflare::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
}

#[derive(Deserialize)]
struct Deployment {
    #[serde(default)]
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "workers/pull_request_number")]
    pull_request_number: Option<Box<str>>,
    #[serde(rename = "workers/repository_url")]
    repository_url: Option<Box<str>>,
}

impl Preview {
    fn resource(self, place: &Arc<Place>) -> Resource {
        // A deployment is a change, whatever else was edited.
        let changed = self.updated_on.max(self.deployed_on);
        let tags = self.tags.map(|tags| ("tags", Attribute::List(tags)));
        Resource {
            within: self.worker_name,
            created_at: Time::always(self.created_on),
            changed_at: Time::always(changed),
            attributes: tags.into_iter().collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id, self.name)
        }
    }
}

/// The path of one Preview.
fn path(id: &ResourceId) -> [&str; 7] {
    let worker = id.within.as_deref().unwrap_or_default();
    [
        "accounts",
        id.place.id(),
        "workers",
        "workers",
        worker,
        "previews",
        &id.id,
    ]
}

impl Kind for WorkerPreview {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn holders(&self, place: &Place, page: &PageOf) -> Option<Call> {
        let path = ["accounts", place.id(), "workers", "workers"];
        Some(
            Call::get(Api::Cloudflare, &path)
                .with("order_by", "created_on")
                .with("order", "asc")
                .with("per_page", "100")
                .with("page", page.number().to_string()),
        )
    }

    fn read_holders(&self, body: &[u8]) -> Result<Holders, Malformed> {
        let (workers, info) = cloudflare::open::<Vec<Worker>>(body)?;
        let (total, next) = cloudflare::numbered(info.as_ref())?;
        Ok(Holders {
            names: workers.into_iter().map(|worker| worker.name).collect(),
            total,
            next,
        })
    }

    fn list_in(&self, place: &Place, holder: &str, page: &PageOf) -> Call {
        let path = [
            "accounts",
            place.id(),
            "workers",
            "workers",
            holder,
            "previews",
        ];
        Call::get(Api::Cloudflare, &path)
            .with("order_by", "created_on")
            .with("order", "asc")
            .with("per_page", "100")
            .with("page", page.number().to_string())
    }

    fn list(&self, place: &Place, page: &PageOf) -> Call {
        self.list_in(place, "", page)
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (previews, info) = cloudflare::open::<Vec<Preview>>(body)?;
        let (total, next) = cloudflare::numbered(info.as_ref())?;
        let items = previews.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total,
            next,
        })
    }

    /// What the listing does not show is told by where it was listed.
    fn complete(&self, resources: &mut [Resource]) {
        for preview in resources {
            if let Some(worker) = preview.within.clone() {
                let uses = Reference::by_id("worker", worker.to_string());
                preview.links.push(Link::Uses(uses));
                preview.attributes.push(("worker", Attribute::Text(worker)));
            }
        }
    }

    fn detail(&self, preview: &Resource) -> Option<Call> {
        let id = preview.identity();
        let path = [&path(&id)[..], &["deployments", "latest"]].concat();
        Some(Call::get(Api::Cloudflare, &path))
    }

    /// Whose pull request it is, as wrangler writes it in CI.
    fn read_detail(&self, preview: &mut Resource, body: &[u8]) -> Result<(), Malformed> {
        let (deployment, _) = cloudflare::open::<Deployment>(body)?;
        let Some(annotations) = deployment.annotations else {
            return Ok(());
        };
        let number = annotations.pull_request_number;
        let repository = annotations.repository_url;
        preview.says = number
            .as_deref()
            .and_then(PullRequestNumber::parse)
            .map(|number| (number, repository.clone()));
        for (key, value) in [("pull-request", number), ("repository-url", repository)] {
            let value = value.map(|value| (key, Attribute::Text(value)));
            preview.attributes.extend(value);
        }
        Ok(())
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (preview, _) = cloudflare::open::<Preview>(body)?;
        Ok(preview.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }
}
