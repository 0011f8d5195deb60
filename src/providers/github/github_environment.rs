//! GitHub environments of a repository.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::protection;
use crate::call::Call;
use crate::kind::{Kind, Malformed, NextPage, Page, PageOf};
use crate::model::{
    Api, BuiltInProtection, KindAbout, KindRef, Place, PlaceSort, Resource, ResourceId, Time,
    UsedBy,
};

pub(super) struct GitHubEnvironment;

/// The largest page.
const PAGE: u64 = 100;

static ABOUT: KindAbout = KindAbout {
    name: "github_environment",
    noun: "GitHub environment",
    api: Api::GitHub,
    place: PlaceSort::Repository,
    ignores_case: true,
    created: true,
    changed: true,
    read_permission: "Actions: read",
    write_permission: "Administration: write, which the token of a workflow cannot have (use a \
        personal access token or an App)",
    undo: "has to be created again by hand: its secrets and protection rules are not given out",
    used_by: UsedBy::These(&["github_deployment"]),
    ..KindAbout::BLANK
};

#[derive(Deserialize)]
struct Environments {
    total_count: u64,
    environments: Vec<Environment>,
}

#[derive(Deserialize)]
struct Environment {
    name: Box<str>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    /// GitHub's answers always have it, empty or not, though its schema does not
    /// require it.
    protection_rules: Option<Vec<IgnoredAny>>,
}

impl Environment {
    fn resource(self, place: &Arc<Place>) -> Resource {
        let rules = self.protection_rules.as_ref();
        let unread = rules.is_none().then_some("protection_rules");
        let rules = rules.is_some_and(|rules| !rules.is_empty());
        let protection = match protection(&self.name) {
            // A rule can override a name, and not these.
            None | Some(BuiltInProtection::LikeProduction) if rules => {
                Some(BuiltInProtection::ProtectionRules)
            }
            named => named,
        };
        Resource {
            protection,
            unread,
            created_at: Time::always(self.created_at),
            changed_at: Time::always(self.updated_at),
            ..Resource::new(KindRef(&ABOUT), place, self.name.clone(), self.name)
        }
    }
}

/// The path of one environment.
fn path(id: &ResourceId) -> [&str; 5] {
    let (owner, name) = id.place.id().split_once('/').unwrap_or_default();
    ["repos", owner, name, "environments", &id.id]
}

impl Kind for GitHubEnvironment {
    fn about(&self) -> KindRef {
        KindRef(&ABOUT)
    }

    fn list(&self, place: &Place, _holder: Option<&str>, page: &PageOf) -> Call {
        let (owner, name) = place.id().split_once('/').unwrap_or_default();
        Call::get(Api::GitHub, &["repos", owner, name, "environments"])
            .with("per_page", PAGE.to_string())
            .with("page", page.number().to_string())
    }

    fn read_page(&self, place: &Arc<Place>, body: &[u8]) -> Result<Page, Malformed> {
        let answer: Environments = serde_json::from_slice(body)?;
        let items = answer
            .environments
            .into_iter()
            .map(|one| one.resource(place));
        Ok(Page {
            items: items.collect(),
            total: Some(answer.total_count),
            next: match answer.total_count.div_ceil(PAGE) {
                0 | 1 => NextPage::Last,
                pages => NextPage::Pages(pages),
            },
        })
    }

    fn inspect(&self, id: &ResourceId) -> Call {
        Call::get(Api::GitHub, &path(id))
    }

    fn read_one(&self, place: &Arc<Place>, body: &[u8]) -> Result<Resource, Malformed> {
        let environment: Environment = serde_json::from_slice(body)?;
        Ok(environment.resource(place))
    }

    fn delete(&self, id: &ResourceId) -> Call {
        Call::delete(Api::GitHub, &path(id))
    }
}
