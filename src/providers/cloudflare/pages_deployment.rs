//! Deployments of Pages projects. Their `modified_on` is not used as a clock: no
//! document says what moves it, and a deployment itself never changes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;

use super::envelope;
use crate::call::Call;
use crate::kind::{
    ByHand, DeletionRefusal, Holder, Holders, HoldersPage, Kind, Malformed, Obstacles, Page,
    PageOf, Query,
};
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
            values: &["preview", "production"],
            about: "`preview` or `production`",
        },
        AttributeAbout {
            key: "branch",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the git branch it was built from",
        },
        AttributeAbout {
            key: "deployed",
            sort: AttributeSort::Flag,
            words: &[],
            values: &[],
            about: "whether its build succeeded and was deployed",
        },
        AttributeAbout {
            key: "aliases",
            sort: AttributeSort::List,
            words: &[],
            values: &[],
            about: "the addresses that it serves besides its own",
        },
    ],
    complete: Some("deployed"),
    serves: Some("aliases"),
    holder: Some("project"),
    used_by: UsedBy::These(&["dns_record"]),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Project {
    name: Box<str>,
    /// What it serves as production; none without production.
    canonical_deployment: Option<Canonical>,
}

#[derive(Deserialize)]
struct Canonical {
    id: Box<str>,
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
    latest_stage: Option<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    name: Option<Box<str>>,
    status: Option<Box<str>>,
}

impl Stage {
    fn is_deployed(&self) -> bool {
        self.name.as_deref() == Some("deploy") && self.status.as_deref() == Some("success")
    }
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
        let deployed = self.latest_stage.map(|stage| stage.is_deployed());
        let deployed = deployed.map(|deployed| ("deployed", Attribute::Flag(deployed)));
        let aliases = self.aliases.unwrap_or_default();
        let urls: Vec<_> = self.url.iter().chain(&aliases).collect();
        let addresses = urls
            .into_iter()
            .filter_map(|url| envelope::host(url))
            .collect();
        let aliases = (!aliases.is_empty()).then_some(("aliases", Attribute::List(aliases)));
        let attributes = std::iter::once(environment).chain(branch);
        let attributes = attributes.chain(deployed).chain(aliases);
        Resource {
            addresses,
            recorded: self.source.and_then(Source::provenance),
            holder: self.project_name,
            created_at: Time::always(self.created_on),
            protection: (!preview).then_some(BuiltInProtection::Production),
            attributes: attributes.collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id.clone(), self.id)
        }
    }
}

/// The path of one deployment.
fn path(id: &ResourceId) -> [&str; 7] {
    let project = id.holder.as_deref().unwrap_or_default();
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
        envelope::page(body, |one: Deployment| one.resource(place))
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

    fn by_hand(&self, deployment: &Resource, _base: &str, _bound: bool) -> ByHand {
        let call = Kind::delete(self, &deployment.identity());
        let aliased = deployment
            .attributes
            .iter()
            .any(|(key, _)| *key == "aliases");
        ByHand::Request(if aliased {
            call.with("force", "true")
        } else {
            call
        })
    }

    fn refusal(&self, _status: StatusCode, body: &[u8]) -> DeletionRefusal {
        let active = envelope::codes(body).contains(&8_000_034);
        DeletionRefusal::Final(active.then_some("it is what the project serves as production"))
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
                envelope::holders(body, |project: Project| Holder {
                    name: project.name,
                    serves: project.canonical_deployment.map(|one| one.id),
                })
            },
        }
    }

    fn without_production(&self, list: Call) -> Call {
        list.with("env", "preview")
    }

    /// Production that its project no longer serves may be named by a rule. Where
    /// the project says nothing, all of it stays protected.
    fn mark_served(&self, holder: &Holder, held: &mut [Resource]) {
        let Some(serves) = &holder.serves else {
            return;
        };
        for deployment in held.iter_mut().filter(|one| one.id != *serves) {
            if deployment.protection == Some(BuiltInProtection::Production) {
                deployment.protection = Some(BuiltInProtection::PastProduction);
            }
        }
    }
}

impl Obstacles for PagesDeployment {
    /// The deployment that holds its branch's alias goes only with `force`. The
    /// alias is of the same dead branch, so nothing else is harmed.
    fn delete_with_force(&self, id: &ResourceId, _status: StatusCode, body: &[u8]) -> Option<Call> {
        let aliased = envelope::codes(body).contains(&8_000_035);
        aliased.then(|| Kind::delete(self, id).with("force", "true"))
    }
}
