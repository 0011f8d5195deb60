//! Worker Previews (beta), which live inside a Worker.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{bindings, envelope};
use crate::call::Call;
use crate::kind::{
    Ask, Counted, Details, Holder, Holders, HoldersPage, Kind, Malformed, NextPage, Page, PageOf,
    Query, ReferenceAnswer, ReferencePage, SourceUser, UserSource,
};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, Headroom, KindAbout, KindRef,
    Link, Place, PlaceSort, Provenance, PullRequestNumber, Reference, Resource, ResourceId, Time,
    UsedBy, is_marked,
};

pub(super) struct WorkerPreview;

static ABOUT: KindAbout = KindAbout {
    name: "worker_preview",
    noun: "Worker Preview",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    changed: true,
    redeployed: true,
    read_permission: "Workers Scripts Read",
    write_permission: "Workers Scripts Write",
    undo: "has to be deployed again",
    attributes: &[
        AttributeAbout {
            key: "worker",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the Worker it is a Preview of",
        },
        AttributeAbout {
            key: "tags",
            sort: AttributeSort::List,
            words: &[],
            values: &[],
            about: "its tags",
        },
        AttributeAbout {
            key: "pull-request",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the number in its latest deployment, where wrangler wrote one",
        },
        AttributeAbout {
            key: "repository-url",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the repository in its latest deployment",
        },
    ],
    holder: Some("worker"),
    belongs_to: Some("worker"),
    stands_alone: true,
    used_by: UsedBy::Nothing("a Preview is reached by its address alone, and nothing binds one"),
    headroom: Some(Headroom {
        what: "Previews per Worker",
        free: Some(100),
        paid: Some(500),
        per: Some("worker"),
    }),
    ..KindAbout::BLANK
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
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
    #[serde(default)]
    tail_consumers: Option<Vec<bindings::Consumer>>,
}

#[derive(Deserialize)]
struct Deployment {
    #[serde(default)]
    annotations: Option<Annotations>,
    /// What it binds, by name.
    env: Map<String, Value>,
    preview_name: Option<Box<str>>,
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
        let marked = is_marked(self.tags.iter().flatten().map(AsRef::as_ref));
        let protection = marked.then_some(BuiltInProtection::Marked);
        let tags = self.tags.map(|tags| ("tags", Attribute::List(tags)));
        Resource {
            holder: self.worker_name,
            protection,
            created_at: Time::always(self.created_on),
            changed_at: Time::always(changed),
            attributes: tags.into_iter().collect(),
            links: bindings::tails(self.tail_consumers).into_links().collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id, self.name)
        }
    }
}

/// The path of one Preview.
fn path(id: &ResourceId) -> [&str; 7] {
    let worker = id.holder.as_deref().unwrap_or_default();
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

/// Previews as users where no listing of them was asked for: the Workers, the
/// Previews of each, and what the latest deployment of each Preview binds.
pub(super) struct UnlistedPreviews;

impl UserSource for UnlistedPreviews {
    fn api(&self) -> Api {
        Api::Cloudflare
    }

    fn name(&self) -> &'static str {
        ABOUT.name
    }

    fn noun(&self) -> &'static str {
        ABOUT.noun
    }

    fn permission(&self) -> &'static str {
        ABOUT.read_permission
    }

    fn first(&self, place: &Place) -> Vec<Ask> {
        let query = WorkerPreview.page(place, &PageOf::First);
        vec![Ask::of("workers", "1", query.call)]
    }

    fn read(
        &self,
        place: &Place,
        ask: &Ask,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed> {
        let mut told = ReferencePage::default();
        let body = match (answer, ask.what) {
            (ReferenceAnswer::Body(body), _) => body,
            // A Worker or a Preview was deleted since it was listed.
            (ReferenceAnswer::Missing(body), what) if what != "workers" && is_gone(body) => {
                return Ok(told);
            }
            (ReferenceAnswer::Missing(_), what) => {
                return Err(Malformed(format!(
                    "the {what} of {} are not there; run again",
                    match what {
                        "workers" => format!("account {}", place.id()),
                        _ => format!("Worker {}", ask.subject),
                    }
                )));
            }
        };
        match ask.what {
            "workers" => {
                let query = WorkerPreview.page(place, &PageOf::First);
                let holders = (query.read)(body)?;
                let names = holders.holders.iter().map(|holder| holder.name.clone());
                let names = names.collect();
                told.counted = holders.total.map(|total| Counted {
                    list: "Workers".to_owned(),
                    total,
                    items: names,
                });
                if let (NextPage::Pages(pages), "1") = (holders.next, &*ask.subject) {
                    told.more.extend((2..=pages).map(|number| {
                        let query = WorkerPreview.page(place, &PageOf::Number(number));
                        Ask::of("workers", &number.to_string(), query.call)
                    }));
                }
                told.more
                    .extend(holders.holders.iter().map(|Holder { name: worker, .. }| {
                        let call = WorkerPreview.list(place, Some(worker), &PageOf::First);
                        Ask::of("previews", worker, call)
                    }));
            }
            "previews" | "more previews" => {
                let (previews, info) = envelope::open::<Vec<Preview>>(body)?;
                let worker = &*ask.subject;
                let list = format!("Previews of Worker {worker}");
                let ids = previews.iter().map(|preview| preview.id.clone());
                let (counted, next) = envelope::counted(list, ids, info.as_ref())?;
                told.counted = counted;
                if let (NextPage::Pages(pages), "previews") = (&next, ask.what) {
                    told.more.extend((2..=*pages).map(|number| {
                        let page = PageOf::Number(number);
                        let call = WorkerPreview.list(place, Some(worker), &page);
                        Ask::of("more previews", worker, call)
                    }));
                }
                for preview in previews {
                    let path = ["accounts", place.id(), "workers", "workers", worker];
                    let below = ["previews", &preview.id, "deployments", "latest"];
                    let call = Call::get(Api::Cloudflare, &[&path[..], &below].concat());
                    told.users.push(SourceUser {
                        name: preview.name.clone(),
                        owner: Some(Reference::by_id("worker", worker.to_owned())),
                        references: bindings::tails(preview.tail_consumers),
                    });
                    told.more.push(Ask::of("deployment", worker, call));
                }
            }
            _ => {
                let (deployment, _) = envelope::open::<Deployment>(body)?;
                told.users.push(SourceUser {
                    name: deployment.preview_name.unwrap_or_default(),
                    owner: Some(Reference::by_id("worker", ask.subject.to_string())),
                    references: bindings::by_name(&deployment.env)?,
                });
            }
        }
        Ok(told)
    }
}

/// Whether a refusal says that there is no such Worker, Preview (10025) or
/// deployment of it (10222).
fn is_gone(body: &[u8]) -> bool {
    let codes = envelope::codes(body);
    envelope::is_missing_worker(body) || codes.contains(&10_025) || codes.contains(&10_222)
}

impl Kind for WorkerPreview {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, holder: Option<&str>, page: &PageOf) -> Call {
        let path = [
            "accounts",
            place.id(),
            "workers",
            "workers",
            holder.unwrap_or_default(),
            "previews",
        ];
        Call::get(Api::Cloudflare, &path)
            .with("order_by", "created_on")
            .with("order", "asc")
            .with("per_page", "100")
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (previews, info) = envelope::open::<Vec<Preview>>(body)?;
        let (total, next) = envelope::numbered(info.as_ref())?;
        let items = previews.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total,
            next,
        })
    }

    /// Adds the Worker that was listed, because the listing does not show it.
    fn complete(&self, resources: &mut [Resource]) {
        for preview in resources {
            if let Some(worker) = preview.holder.clone() {
                let uses = Reference::by_id("worker", worker.to_string());
                preview.links.push(Link::Uses(uses));
                preview.attributes.push(("worker", Attribute::Text(worker)));
            }
        }
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (preview, _) = envelope::open::<Preview>(body)?;
        Ok(preview.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }

    fn holders(&self) -> Option<&dyn Holders> {
        Some(self)
    }

    fn details(&self) -> Option<&dyn Details> {
        Some(self)
    }
}

/// Its Workers.
impl Holders for WorkerPreview {
    fn page(&self, place: &Place, page: &PageOf) -> Query<HoldersPage> {
        let path = ["accounts", place.id(), "workers", "workers"];
        let call = Call::get(Api::Cloudflare, &path)
            .with("order_by", "created_on")
            .with("order", "asc")
            .with("per_page", "100")
            .with("page", page.number().to_string());
        Query {
            call,
            read: |body| {
                let (workers, info) = envelope::open::<Vec<Worker>>(body)?;
                let (total, next) = envelope::numbered(info.as_ref())?;
                Ok(HoldersPage {
                    holders: workers
                        .into_iter()
                        .map(|worker| Holder::named(worker.name))
                        .collect(),
                    total,
                    next,
                })
            },
        }
    }
}

impl Details for WorkerPreview {
    fn ask(&self, preview: &Resource) -> Call {
        let id = preview.identity();
        let path = [&path(&id)[..], &["deployments", "latest"]].concat();
        Call::get(Api::Cloudflare, &path)
    }

    /// What it binds, and whose pull request it is, as wrangler writes it in CI.
    fn read(&self, preview: &mut Resource, answer: ReferenceAnswer<'_>) -> Result<(), Malformed> {
        let body = match answer {
            ReferenceAnswer::Body(body) => body,
            ReferenceAnswer::Missing(body) if is_gone(body) => return Ok(()),
            ReferenceAnswer::Missing(_) => {
                return Err(Malformed(format!(
                    "the newest deployment of Worker Preview {} is not there; run again",
                    preview.name
                )));
            }
        };
        let (deployment, _) = envelope::open::<Deployment>(body)?;
        let references = bindings::by_name(&deployment.env)?;
        preview.links.extend(references.into_links());
        let Some(annotations) = deployment.annotations else {
            return Ok(());
        };
        let number = annotations.pull_request_number;
        let repository = annotations.repository_url;
        preview.recorded = (number.is_some() || repository.is_some()).then(|| Provenance {
            repository: repository.clone(),
            pull_request: number.as_deref().and_then(PullRequestNumber::parse),
            branch: None,
        });
        for (key, value) in [("pull-request", number), ("repository-url", repository)] {
            let value = value.map(|value| (key, Attribute::Text(value)));
            preview.attributes.extend(value);
        }
        Ok(())
    }
}
