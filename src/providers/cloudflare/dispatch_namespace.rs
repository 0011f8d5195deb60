//! The Workers inside dispatch namespaces (Workers for Platforms) as users.
//! Source: `workers-for-platforms/dispatch/namespaces` in Cloudflare's own SDK
//! 7.3.0, and there the settings of a script, with bindings and tail consumers; the
//! list of scripts is in its documentation of tags.

use serde::Deserialize;

use super::{bindings, envelope};
use crate::call::Call;
use crate::kind::{
    Ask, Counted, Malformed, ReferenceAnswer, ReferencePage, SourceUser, UserSource,
};
use crate::model::{Api, Place};

pub(super) struct DispatchNamespace;

#[derive(Deserialize)]
struct Namespace {
    namespace_name: Box<str>,
    script_count: Option<u64>,
}

#[derive(Deserialize)]
struct Script {
    id: Option<Box<str>>,
    script: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    id: Option<Box<str>>,
}

fn path<'p>(place: &'p Place, below: &[&'p str]) -> Vec<&'p str> {
    let namespaces = ["accounts", place.id(), "workers", "dispatch", "namespaces"];
    [&namespaces[..], below].concat()
}

impl UserSource for DispatchNamespace {
    fn api(&self) -> Api {
        Api::Cloudflare
    }

    fn name(&self) -> &'static str {
        "dispatch_namespace"
    }

    fn noun(&self) -> &'static str {
        "Worker of a dispatch namespace"
    }

    fn permission(&self) -> &'static str {
        "Workers Scripts Read"
    }

    /// 10121: the account has not bought Workers for Platforms.
    fn is_absent(&self, body: &[u8]) -> bool {
        envelope::codes(body).contains(&10_121)
    }

    fn first(&self, place: &Place) -> Vec<Ask> {
        let call = Call::get(Api::Cloudflare, &path(place, &[]));
        vec![Ask::of("namespaces", "", call)]
    }

    fn read(
        &self,
        place: &Place,
        ask: &Ask,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed> {
        let body = match (answer, ask.what) {
            (ReferenceAnswer::Body(body), _) => body,
            (ReferenceAnswer::Missing(_), "namespaces") => {
                return Err(Malformed(
                    "the list of dispatch namespaces is not there".to_owned(),
                ));
            }
            (ReferenceAnswer::Missing(_), what) => {
                return Err(Malformed(format!(
                    "the {what} of dispatch namespace {} are not there",
                    ask.subject
                )));
            }
        };
        let mut found = ReferencePage::default();
        match ask.what {
            "namespaces" => {
                let (namespaces, _) = envelope::open::<Vec<Namespace>>(body)?;
                let used = namespaces.iter().filter(|one| one.script_count != Some(0));
                found.more = used
                    .map(|one| {
                        let name = &*one.namespace_name;
                        let call = Call::get(Api::Cloudflare, &path(place, &[name, "scripts"]));
                        Ask {
                            expects: one.script_count,
                            ..Ask::of("scripts", name, call)
                        }
                    })
                    .collect();
            }
            "scripts" => {
                let (scripts, _) = envelope::open::<Vec<Script>>(body)?;
                let mut names = Vec::new();
                for script in scripts {
                    let name = script.id.or(script.script.and_then(|inner| inner.id));
                    let name = name.ok_or_else(|| {
                        Malformed("a script in a dispatch namespace without a name".to_owned())
                    })?;
                    let below = [&*ask.subject, "scripts", &*name, "settings"];
                    let call = Call::get(Api::Cloudflare, &path(place, &below));
                    let subject = format!("{}/{name}", ask.subject);
                    found.more.push(Ask::of("settings", &subject, call));
                    names.push(name);
                }
                found.counted = ask.expects.map(|total| Counted {
                    list: format!("Workers of dispatch namespace {}", ask.subject),
                    total,
                    items: names,
                });
            }
            _ => {
                let (settings, _) = envelope::open::<bindings::Settings>(body)?;
                found.users.push(SourceUser {
                    name: ask.subject.clone(),
                    owners: Vec::new(),
                    references: settings.references()?,
                });
            }
        }
        Ok(found)
    }
}
