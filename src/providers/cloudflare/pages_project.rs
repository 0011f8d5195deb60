//! Pages projects as users: what both environments of each bind.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{bindings, envelope};
use crate::call::Call;
use crate::kind::{Ask, Malformed, ReferenceAnswer, ReferencePage, SourceUser, UserSource};
use crate::model::{Api, Place};

pub(super) struct PagesProject;

#[derive(Deserialize)]
struct Project {
    name: Box<str>,
    deployment_configs: Configs,
}

#[derive(Deserialize)]
struct Configs {
    preview: Map<String, Value>,
    production: Map<String, Value>,
}

fn page(place: &Place, number: u64) -> Ask {
    let call = Call::get(
        Api::Cloudflare,
        &["accounts", place.id(), "pages", "projects"],
    );
    let call = call.with("per_page", "25").with("page", number.to_string());
    Ask::of("projects", &number.to_string(), call)
}

impl UserSource for PagesProject {
    fn api(&self) -> Api {
        Api::Cloudflare
    }

    fn name(&self) -> &'static str {
        "pages_project"
    }

    fn noun(&self) -> &'static str {
        "Pages project"
    }

    fn permission(&self) -> &'static str {
        "Pages Read"
    }

    fn first(&self, place: &Place) -> Vec<Ask> {
        vec![page(place, 1)]
    }

    fn read(
        &self,
        place: &Place,
        ask: &Ask,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed> {
        let (projects, mut found) = envelope::users(
            "Pages projects",
            ask,
            answer,
            |project: &Project| project.name.clone(),
            |number| page(place, number),
        )?;
        for project in projects {
            let mut references = bindings::pages(&project.deployment_configs.preview)?;
            references.extend(bindings::pages(&project.deployment_configs.production)?);
            found.users.push(SourceUser {
                name: project.name,
                owners: Vec::new(),
                references,
            });
        }
        Ok(found)
    }
}
