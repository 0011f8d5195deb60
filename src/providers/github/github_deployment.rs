//! GitHub deployments of a repository: they go with their environment, inactive
//! first.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::protection;
use crate::call::Call;
use crate::kind::{DeletionRefusal, Kind, Malformed, NextPage, Obstacles, Page, PageOf};
use crate::model::{
    Api, Attribute, AttributeAbout, AttributeSort, BuiltInProtection, KindAbout, KindRef, Link,
    Place, PlaceSort, Reference, Resource, ResourceId, Time, UsedBy,
};

pub(super) struct GitHubDeployment;

/// The largest page.
const PAGE: usize = 100;

static ABOUT: KindAbout = KindAbout {
    name: "github_deployment",
    noun: "GitHub deployment",
    api: Api::GitHub,
    place: PlaceSort::Repository,
    created: true,
    changed: true,
    branch: Some("ref"),
    read_permission: "Deployments: read",
    write_permission: "Deployments: write",
    undo: "has to be deployed again",
    attributes: &[
        AttributeAbout {
            key: "environment",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the environment it was deployed to",
        },
        AttributeAbout {
            key: "ref",
            sort: AttributeSort::Text,
            words: &[],
            values: &[],
            about: "the git branch or tag it was made of",
        },
    ],
    holder: Some("environment"),
    belongs_to: Some("github_environment"),
    used_by: UsedBy::Nothing(
        "a deployment is a record in its environment, and nothing refers to one",
    ),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Deployment {
    id: u64,
    environment: Option<Box<str>>,
    production_environment: Option<bool>,
    r#ref: Option<Box<str>>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
}

impl Deployment {
    fn resource(self, place: &Arc<Place>) -> Resource {
        let id: Box<str> = self.id.to_string().into();
        let environment = self.environment.iter();
        let uses = environment.map(|environment| {
            let name = environment.to_string();
            Link::Uses(Reference::by_name("github_environment", name))
        });
        let production =
            (self.production_environment == Some(true)).then_some(BuiltInProtection::Production);
        let named = || protection(self.environment.as_deref()?);
        let protection = production.or_else(named);
        Resource {
            holder: self.environment.clone(),
            protection,
            created_at: Time::always(self.created_at),
            changed_at: Time::always(self.updated_at),
            links: uses.collect(),
            attributes: [("environment", self.environment), ("ref", self.r#ref)]
                .into_iter()
                .filter_map(|(key, value)| Some((key, Attribute::Text(value?))))
                .collect(),
            ..Resource::new(KindRef(&ABOUT), place, id.clone(), id)
        }
    }
}

/// The path of one deployment.
fn path(id: &ResourceId) -> [&str; 5] {
    let (owner, name) = id.place.id().split_once('/').unwrap_or_default();
    ["repos", owner, name, "deployments", &id.id]
}

impl Kind for GitHubDeployment {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, holder: Option<&str>, page: &PageOf) -> Call {
        let (owner, name) = place.id().split_once('/').unwrap_or_default();
        let call = Call::get(Api::GitHub, &["repos", owner, name, "deployments"])
            .with("per_page", PAGE.to_string())
            .with("page", page.number().to_string());
        match holder {
            Some(environment) => call.with("environment", environment),
            None => call,
        }
    }

    /// There is no total: a page that is not full is the last.
    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let deployments: Vec<Deployment> = serde_json::from_slice(body)?;
        let full = deployments.len() >= PAGE;
        let items = deployments.into_iter().map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total: None,
            next: if full { NextPage::More } else { NextPage::Last },
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::GitHub, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let deployment: Deployment = serde_json::from_slice(body)?;
        Ok(deployment.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::GitHub, &path(id))
    }

    fn refusal(&self, status: StatusCode, _body: &[u8]) -> DeletionRefusal {
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            DeletionRefusal::Premature("it is still active")
        } else {
            DeletionRefusal::Final(None)
        }
    }

    fn obstacles(&self) -> Option<&dyn Obstacles> {
        Some(self)
    }
}

impl Obstacles for GitHubDeployment {
    /// Only an inactive one can be deleted.
    fn prepare(&self, id: &ResourceId) -> Vec<Call> {
        let path = [&path(id)[..], &["statuses"]].concat();
        let call = Call::new(Api::GitHub, Method::POST, &path);
        vec![call.json(&json!({ "state": "inactive" }))]
    }
}
