//! Deployments of Pages projects. Their `modified_on` is not used as a clock: no
//! document says what moves it, and a deployment itself never changes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{Holders, HoldersPage, Kind, Malformed, Obstacles, Page, PageOf, Query, Refusal};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, KindAbout, KindRef, Place,
    PlaceSort, Provenance, Resource, ResourceId, Time, UsedBy,
};

pub(super) struct PagesDeployment;

/// The largest page that is not refused.
const PAGE: &str = "25";

static ABOUT: KindAbout = KindAbout {
    name: "pages_deployment",
    noun: "Pages deployment",
    api: Api::Cloudflare,
    place: PlaceSort::Account,
    created: true,
    branch: Some("branch"),
    read_permission: "Pages Read",
    write_permission: "Pages Write",
    undo: "has to be built again from its commit",
    attributes: &[
        AttributeAbout {
            key: "environment",
            sort: AttributeSort::Text,
            words: &[],
            about: "`preview` or `production`",
        },
        AttributeAbout {
            key: "branch",
            sort: AttributeSort::Text,
            words: &[],
            about: "the git branch it was built from",
        },
    ],
    holder: Some("project"),
    used_by: UsedBy::These(&["dns_record"]),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Project {
    name: Box<str>,
}

#[derive(Deserialize)]
struct Deployment {
    id: Box<str>,
    project_name: Option<Box<str>>,
    environment: Box<str>,
    created_on: Option<DateTime<Utc>>,
    #[serde(rename = "deployment_trigger")]
    trigger: Option<Trigger>,
    url: Option<Box<str>>,
    #[serde(default)]
    aliases: Option<Vec<Box<str>>>,
    source: Option<Source>,
}

/// The repository that a build came from; none for a direct upload.
#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    forge: Option<Box<str>>,
    config: Option<SourceConfig>,
}

#[derive(Deserialize)]
struct SourceConfig {
    owner: Option<Box<str>>,
    repo_name: Option<Box<str>>,
}

impl Source {
    fn provenance(self) -> Option<Provenance> {
        let config = self.config?;
        let (owner, name) = (config.owner?, config.repo_name?);
        let repository = match self.forge.as_deref() {
            None | Some("github") => format!("{owner}/{name}"),
            Some(forge) => format!("https://{forge}.com/{owner}/{name}"),
        };
        Some(Provenance {
            repository: Some(repository.into()),
            ..Provenance::default()
        })
    }
}

#[derive(Deserialize)]
struct Trigger {
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    branch: Option<Box<str>>,
}

impl Deployment {
    fn resource(self, place: &Arc<Place>) -> Resource {
        let preview = *self.environment == *"preview";
        let metadata = self.trigger.and_then(|trigger| trigger.metadata);
        let branch = metadata.and_then(|metadata| metadata.branch);
        let branch = branch.map(|branch| ("branch", Attribute::Text(branch)));
        let environment = ("environment", Attribute::Text(self.environment));
        let urls = self
            .url
            .into_iter()
            .chain(self.aliases.into_iter().flatten());
        Resource {
            addresses: urls.filter_map(|url| envelope::host(&url)).collect(),
            recorded: self.source.and_then(Source::provenance),
            within: self.project_name,
            created_at: Time::always(self.created_on),
            protection: (!preview).then_some(BuiltInProtection::Production),
            attributes: std::iter::once(environment).chain(branch).collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id.clone(), self.id)
        }
    }
}

/// The path of one deployment.
fn path(id: &ResourceId) -> [&str; 7] {
    let project = id.within.as_deref().unwrap_or_default();
    [
        "accounts",
        id.place.id(),
        "pages",
        "projects",
        project,
        "deployments",
        &id.id,
    ]
}

impl Kind for PagesDeployment {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, holder: Option<&str>, page: &PageOf) -> Call {
        let path = [
            "accounts",
            place.id(),
            "pages",
            "projects",
            holder.unwrap_or_default(),
            "deployments",
        ];
        Call::get(Api::Cloudflare, &path)
            .with("per_page", PAGE)
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let (deployments, info) = envelope::open::<Vec<Deployment>>(body)?;
        let (total, next) = envelope::numbered(info.as_ref())?;
        let items = deployments.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total,
            next,
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::Cloudflare, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let (deployment, _) = envelope::open::<Deployment>(body)?;
        Ok(deployment.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::Cloudflare, &path(id))
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> Refusal {
        let active = envelope::codes(body).contains(&8_000_034);
        Refusal::Final(active.then_some("it is what the project serves as production"))
    }

    fn holders(&self) -> Option<&dyn Holders> {
        Some(self)
    }

    fn obstacles(&self) -> Option<&dyn Obstacles> {
        Some(self)
    }
}

/// Its projects.
impl Holders for PagesDeployment {
    fn page(&self, place: &Place, page: &PageOf) -> Query<HoldersPage> {
        let path = ["accounts", place.id(), "pages", "projects"];
        let call = Call::get(Api::Cloudflare, &path)
            .with("per_page", PAGE)
            .with("page", page.number().to_string());
        Query {
            call,
            read: |body| {
                let (projects, info) = envelope::open::<Vec<Project>>(body)?;
                let (total, next) = envelope::numbered(info.as_ref())?;
                Ok(HoldersPage {
                    names: projects.into_iter().map(|project| project.name).collect(),
                    total,
                    next,
                })
            },
        }
    }
}

impl Obstacles for PagesDeployment {
    /// The deployment that holds its branch's alias goes only with `force`. The
    /// alias is of the same dead branch, so nothing else is harmed.
    fn insist(&self, id: &ResourceId, _status: StatusCode, body: &[u8]) -> Option<Call> {
        let aliased = envelope::codes(body).contains(&8_000_035);
        aliased.then(|| Kind::delete(self, id).with("force", "true"))
    }
}
