//! Pages projects as users: what both environments of each bind.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{bindings, envelope};
use crate::call::Call;
use crate::kind::{
    Ask, Malformed, NextPage, ReferenceAnswer, ReferencePage, SourceUser, UserSource,
};
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
        let ReferenceAnswer::Body(body) = answer else {
            return Err(Malformed(
                "the list of Pages projects is not there".to_owned(),
            ));
        };
        let (projects, info) = envelope::open::<Vec<Project>>(body)?;
        let names = projects.iter().map(|project| project.name.clone());
        let list = "Pages projects".to_owned();
        let (counted, next) = envelope::counted(list, names, info.as_ref())?;
        let mut found = ReferencePage {
            counted,
            ..ReferencePage::default()
        };
        for project in projects {
            let mut references = bindings::pages(&project.deployment_configs.preview)?;
            references.extend(bindings::pages(&project.deployment_configs.production)?);
            found.users.push(SourceUser {
                name: project.name,
                owners: Vec::new(),
                references,
            });
        }
        if let (NextPage::Pages(pages), "1") = (next, &*ask.subject) {
            found.more = (2..=pages).map(|number| page(place, number)).collect();
        }
        Ok(found)
    }
}
