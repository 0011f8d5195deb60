//! Worker Previews (beta), which live inside a Worker.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::answer::{annotated, annotated_number};
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
    #[serde(deserialize_with = "envelope::null_is_empty")]
    tags: Option<Vec<Box<str>>>,
    #[serde(deserialize_with = "envelope::null_is_empty")]
    tail_consumers: Option<Vec<bindings::Consumer>>,
    urls: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct Deployment {
    #[serde(default)]
    annotations: Option<Annotations>,
    /// What it binds, by name.
    env: Map<String, Value>,
    preview_name: Option<Box<str>>,
}

/// As wrangler writes them in CI.
#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "workers/pull_request_number")]
    pull_request_number: Option<Value>,
    #[serde(rename = "workers/pull_request_url")]
    pull_request_url: Option<Value>,
    #[serde(rename = "workers/repository_url")]
    repository_url: Option<Value>,
}

/// The annotation with the number of the pull request.
const NUMBER: &str = "workers/pull_request_number";

impl Annotations {
    /// Whose pull request it is. The address of the pull request has its number and
    /// its repository, where those are not recorded by themselves.
    ///
    /// # Errors
    ///
    /// The annotation that cannot be read, or that names another pull request than
    /// the rest.
    fn provenance(&self) -> Result<Option<Provenance>, &'static str> {
        const ADDRESS: &str = "workers/pull_request_url";
        let number = annotated_number(self.pull_request_number.as_ref()).map_err(|_| NUMBER)?;
        let repository = annotated(self.repository_url.as_ref());
        let repository = repository.map_err(|_| "workers/repository_url")?;
        let address = annotated(self.pull_request_url.as_ref()).map_err(|_| ADDRESS)?;
        let named = address.and_then(of_address);
        let is_same = |one: &str, other: &str| normal(one).eq_ignore_ascii_case(normal(other));
        match named {
            // Not every forge's addresses can be read; the number says enough.
            None if address.is_some() && number.is_none() => return Err(ADDRESS),
            Some((of, other))
                if number.is_some_and(|number| number != other)
                    || repository.is_some_and(|known| !is_same(known, of)) =>
            {
                return Err(ADDRESS);
            }
            _ => {}
        }
        let recorded = Provenance {
            repository: repository.or(named.map(|(of, _)| of)).map(Into::into),
            pull_request: number.or(named.map(|(_, number)| number)),
            branch: None,
        };
        Ok((recorded != Provenance::default()).then_some(recorded))
    }
}

/// The address of a repository in one form.
fn normal(address: &str) -> &str {
    address.trim_end_matches('/').trim_end_matches(".git")
}

/// The repository's address and the number in the address of a pull request at
/// GitHub, or of a merge request at GitLab.
fn of_address(address: &str) -> Option<(&str, PullRequestNumber)> {
    let (of, number) = address.trim_end_matches('/').rsplit_once('/')?;
    let mut forms = ["/pull", "/-/merge_requests"].into_iter();
    let repository = forms.find_map(|form| of.strip_suffix(form))?;
    Some((repository, PullRequestNumber::parse(number)?))
}

/// The request for what a deployed Preview binds, and which pull request it belongs
/// to.
const DEPLOYMENT: &str = "deployments/latest";

impl Preview {
    fn resource(self, place: &Arc<Place>) -> Resource {
        // Whose it is stands in its newest deployment, which is read later.
        let unread = self.deployed_on.map(|_| DEPLOYMENT);
        // A deployment is a change, whatever else was edited.
        let changed = self.updated_on.max(self.deployed_on);
        let marked = is_marked(self.tags.iter().flatten().map(AsRef::as_ref));
        let protection = marked.then_some(BuiltInProtection::Marked);
        let tags = self.tags.map(|tags| ("tags", Attribute::List(tags)));
        Resource {
            holder: self.worker_name,
            addresses: self
                .urls
                .iter()
                .filter_map(|url| envelope::host(url))
                .collect(),
            protection,
            created_at: Time::always(self.created_on),
            changed_at: Time::always(changed),
            attributes: tags.into_iter().collect(),
            links: bindings::tails(self.tail_consumers).into_links().collect(),
            unread,
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
        let mut found = ReferencePage::default();
        let body = match answer {
            ReferenceAnswer::Body(body) => body,
            ReferenceAnswer::Missing(body) => return read_missing(place, ask, body),
        };
        match ask.what {
            "workers" => {
                let query = WorkerPreview.page(place, &PageOf::First);
                let holders = (query.read)(body)?;
                let names = holders.holders.iter().map(|holder| holder.name.clone());
                let names = names.collect();
                found.counted = holders.total.map(|total| Counted {
                    list: "Workers".to_owned(),
                    total,
                    items: names,
                });
                if let (NextPage::Pages(pages), "1") = (holders.next, &*ask.subject) {
                    found.more.extend((2..=pages).map(|number| {
                        let query = WorkerPreview.page(place, &PageOf::Number(number));
                        Ask::of("workers", &number.to_string(), query.call)
                    }));
                }
                found
                    .more
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
                found.counted = counted;
                if let (NextPage::Pages(pages), "previews") = (&next, ask.what) {
                    found.more.extend((2..=*pages).map(|number| {
                        let page = PageOf::Number(number);
                        let call = WorkerPreview.list(place, Some(worker), &page);
                        Ask::of("more previews", worker, call)
                    }));
                }
                for preview in previews {
                    found.more.push(deployment_of(&preview, worker, place));
                    found.users.push(SourceUser {
                        name: preview.name.clone(),
                        owners: vec![Reference::by_id("worker", worker.to_owned())],
                        references: bindings::tails(preview.tail_consumers),
                    });
                }
            }
            "Worker" => {
                return Err(Malformed(format!(
                    "Worker {} is there, and the API does not return its Previews; run again",
                    ask.subject
                )));
            }
            _ => {
                let (deployment, _) = envelope::open::<Deployment>(body)?;
                found.users.push(SourceUser {
                    name: deployment.preview_name.unwrap_or_default(),
                    owners: vec![Reference::by_id("worker", ask.subject.to_string())],
                    references: bindings::by_name(&deployment.env)?,
                });
            }
        }
        Ok(found)
    }
}

/// Reads a refusal which says that what was asked about is not there.
fn read_missing(place: &Place, ask: &Ask, body: &[u8]) -> Result<ReferencePage, Malformed> {
    let mut found = ReferencePage::default();
    match ask.what {
        // A Preview was never deployed. One that was has a deployment, which may bind
        // something.
        "first deployment" if is_gone(body) => {}
        // The Worker may have been deleted since it was listed: it is read again.
        "previews" | "more previews" if envelope::is_missing_worker(body) => {
            let path = ["accounts", place.id(), "workers", "workers", &ask.subject];
            let call = Call::get(Api::Cloudflare, &path);
            found.more.push(Ask::of("Worker", &ask.subject, call));
        }
        "Worker" if envelope::is_missing_worker(body) => {}
        "Worker" => {
            return Err(Malformed(format!(
                "could not determine whether Worker {} is still there; run again",
                ask.subject
            )));
        }
        what => {
            return Err(Malformed(format!(
                "the {what} of {} are not there; run again",
                match what {
                    "workers" => format!("account {}", place.id()),
                    _ => format!("Worker {}", ask.subject),
                }
            )));
        }
    }
    Ok(found)
}

/// Asks what the newest deployment of a Preview binds. One that was never deployed
/// may have none.
fn deployment_of(preview: &Preview, worker: &str, place: &Place) -> Ask {
    let path = ["accounts", place.id(), "workers", "workers", worker];
    let below = ["previews", &preview.id, "deployments", "latest"];
    let call = Call::get(Api::Cloudflare, &[&path[..], &below].concat());
    let what = match preview.deployed_on {
        Some(_) => "deployment",
        None => "first deployment",
    };
    Ask::of(what, worker, call)
}

/// Whether a refusal says that a Preview has no deployment: there is no such Worker,
/// Preview (10025) or deployment of it (10222).
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
        envelope::oldest_first(&path, page)
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        envelope::page(body, |one: Preview| one.resource(place))
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
        Query {
            call: envelope::oldest_first(&["accounts", place.id(), "workers", "workers"], page),
            read: |body| envelope::holders(body, |worker: Worker| Holder::named(worker.name)),
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
            // Never deployed. One that was has a deployment, whatever the code.
            ReferenceAnswer::Missing(body) if preview.unread.is_none() && is_gone(body) => {
                return Ok(());
            }
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
        let annotations = deployment.annotations;
        let recorded = annotations
            .as_ref()
            .map_or(Ok(None), Annotations::provenance);
        preview.unread = recorded.as_ref().err().copied();
        preview.recorded = recorded.unwrap_or_default();
        let Some(recorded) = &preview.recorded else {
            return Ok(());
        };
        let number = recorded
            .pull_request
            .map(|number| number.to_string().into());
        let repository = recorded.repository.clone();
        for (key, value) in [("pull-request", number), ("repository-url", repository)] {
            let value = value.map(|value| (key, Attribute::Text(value)));
            preview.attributes.extend(value);
        }
        Ok(())
    }
}
