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
    /// Null without aliases.
    #[serde(default, deserialize_with = "envelope::null_is_empty")]
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
        // Every answer has both, and a record may point at either.
        let unread = match (&self.aliases, &self.url) {
            (None, _) => Some("aliases"),
            (_, None) => Some("url"),
            (Some(_), Some(_)) => None,
        };
        let aliases = self.aliases.unwrap_or_default();
        let own = own_alias(
            branch.as_deref(),
            self.url.as_deref(),
            self.project_name.as_deref(),
        );
        let mut others = aliases.iter().filter(|alias| {
            let host = envelope::host(alias);
            !host
                .zip(own.as_ref())
                .is_some_and(|(host, own)| own.is(&host))
        });
        let foreign_address = others.next().cloned();
        let branch = branch.map(|branch| ("branch", Attribute::Text(branch)));
        let environment = ("environment", Attribute::Text(self.environment));
        let deployed = self.latest_stage.map(|stage| stage.is_deployed());
        let deployed = deployed.map(|deployed| ("deployed", Attribute::Flag(deployed)));
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
            unread,
            foreign_address,
            holder: self.project_name,
            created_at: Time::always(self.created_on),
            protection: (!preview).then_some(BuiltInProtection::Production),
            attributes: attributes.collect(),
            ..Resource::new(KindRef(&ABOUT), place, self.id.clone(), self.id)
        }
    }
}

/// Characters of a git branch in its alias.
const ALIAS_LENGTH: usize = 28;

/// The address at which Cloudflare serves the newest deployment of a git branch.
struct OwnAlias {
    /// What the branch becomes there.
    label: String,
    /// The project's own host.
    project: Box<str>,
}

impl OwnAlias {
    fn is(&self, host: &str) -> bool {
        let label = host.strip_suffix(&*self.project);
        label.and_then(|label| label.strip_suffix('.')) == Some(&self.label)
    }
}

/// Returns the alias of the branch, if it is known what that is. The project's own host
/// is in the deployment's address, below its hash: a project whose name was taken has
/// another one than its name says.
fn own_alias(branch: Option<&str>, url: Option<&str>, project: Option<&str>) -> Option<OwnAlias> {
    let mut label = String::new();
    for c in branch?.chars() {
        if c.is_ascii_alphanumeric() {
            label.push(c.to_ascii_lowercase());
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(ALIAS_LENGTH);
    let label = label.trim_end_matches('-').to_owned();
    let of_url = url.and_then(envelope::host);
    let of_url = of_url.and_then(|host| Some(host.split_once('.')?.1.into()));
    let project = of_url.or_else(|| Some(format!("{}.pages.dev", project?).into()))?;
    (!label.is_empty()).then_some(OwnAlias { label, project })
}

/// Whether a deployment serves its own branch's alias and no other address.
fn has_only_its_own_alias(deployment: &Resource) -> bool {
    let aliased = deployment.attribute("aliases").is_some();
    aliased && deployment.foreign_address.is_none()
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
        ByHand::Request(if has_only_its_own_alias(deployment) {
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
    /// The deployment that holds its branch's alias goes only with `force`. That takes
    /// every other alias along as well, such as a custom domain.
    fn delete_with_force(
        &self,
        deployment: &Resource,
        _status: StatusCode,
        body: &[u8],
    ) -> Option<Call> {
        let aliased = envelope::codes(body).contains(&8_000_035);
        let harmless = aliased && has_only_its_own_alias(deployment);
        harmless.then(|| Kind::delete(self, &deployment.identity()).with("force", "true"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn listed(change: impl FnOnce(&mut Value)) -> Resource {
        let mut one = json!({
            "id": "1", "project_name": "site", "environment": "preview", "created_on": "2026-04-01T00:00:00Z",
            "url": "https://0123abcd.site-9x.pages.dev", "aliases": ["https://pr-7.site-9x.pages.dev"],
            "deployment_trigger": {"metadata": {"branch": "pr-7"}},
        });
        change(&mut one);
        let place = Arc::new(Place::Account("a".to_owned()));
        serde_json::from_value::<Deployment>(one)
            .unwrap()
            .resource(&place)
    }

    fn force(one: &Resource, code: u32) -> Option<Call> {
        let body = json!({"success": false, "errors": [{"code": code, "message": ""}]}).to_string();
        let obstacles = PagesDeployment.obstacles().unwrap();
        obstacles.delete_with_force(one, StatusCode::BAD_REQUEST, body.as_bytes())
    }

    #[test]
    fn force_is_for_the_alias_of_the_own_branch_alone() {
        let own = listed(|_| {});
        assert_eq!(own.foreign_address, None);
        assert!(force(&own, 8_000_035).is_some());
        assert_eq!(force(&own, 8_000_034), None);
        for (aliases, foreign) in [
            (
                json!(["https://pr-7.site-9x.pages.dev", "https://www.shop.example"]),
                "https://www.shop.example",
            ),
            (
                json!(["https://demo.site-9x.pages.dev"]),
                "https://demo.site-9x.pages.dev",
            ),
            (
                json!(["https://pr-7.other.pages.dev"]),
                "https://pr-7.other.pages.dev",
            ),
            (
                json!(["https://site-9x.pages.dev"]),
                "https://site-9x.pages.dev",
            ),
            (
                json!(["https://xpr-7.site-9x.pages.dev"]),
                "https://xpr-7.site-9x.pages.dev",
            ),
            (
                json!(["https://a.pr-7.site-9x.pages.dev"]),
                "https://a.pr-7.site-9x.pages.dev",
            ),
            (json!([""]), ""),
        ] {
            let one = listed(|one| one["aliases"] = aliases);
            assert_eq!(one.foreign_address.as_deref(), Some(foreign));
            assert_eq!(force(&one, 8_000_035), None, "{foreign}");
        }
        // It came after the deployment was last read.
        let none = listed(|one| one["aliases"] = Value::Null);
        assert_eq!((none.unread, none.foreign_address.as_deref()), (None, None));
        assert_eq!(force(&none, 8_000_035), None);
    }

    #[test]
    fn aliases_whose_branch_is_unknown_or_that_are_not_shown_keep() {
        let nameless = listed(|one| one["deployment_trigger"] = Value::Null);
        assert!(nameless.foreign_address.is_some());
        let unseen = listed(|one| {
            one.as_object_mut().unwrap().remove("aliases");
        });
        assert_eq!(unseen.unread, Some("aliases"));
        // Without its address, the project's name tells its host.
        let moved = listed(|one| one["url"] = Value::Null);
        assert!(moved.foreign_address.is_some());
    }

    #[test]
    fn a_branch_becomes_a_label_of_at_most_28_characters() {
        for (branch, label) in [
            ("pr-7", "pr-7"),
            ("Feature/Ünicode_7", "feature-nicode-7"),
            ("--a//b--", "a-b"),
            (
                "dependabot/npm_and_yarn/left-pad-1.3.0",
                "dependabot-npm-and-yarn-left",
            ),
            (
                "abcdefghijklmnopqrstuvwxyza/b",
                "abcdefghijklmnopqrstuvwxyza",
            ),
        ] {
            let one = listed(|one| {
                one["deployment_trigger"]["metadata"]["branch"] = json!(branch);
                one["aliases"] = json!([format!("https://{label}.site-9x.pages.dev")]);
            });
            assert_eq!(one.foreign_address, None, "{branch}");
        }
        let nothing = own_alias(Some("//"), Some("https://0.site.pages.dev"), None);
        assert!(nothing.is_none());
    }
}
