//! What a Worker uses.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::super::{bindings, envelope};
use super::{Worker, script};
use crate::call::Call;
use crate::kind::{
    Ask, Malformed, NextPage, PageOf, ReadsReferences, ReferenceAnswer, ReferencePage,
};
use crate::model::{Api, ResourceId};

#[derive(Deserialize)]
struct Versions {
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Deployments {
    deployments: Vec<Deployment>,
}

/// The newest deployment comes first.
#[derive(Deserialize)]
struct Deployment {
    versions: Vec<Served>,
}

#[derive(Deserialize)]
struct Served {
    version_id: Box<str>,
}

#[derive(Deserialize)]
struct Version {
    resources: VersionResources,
}

#[derive(Deserialize)]
struct VersionResources {
    bindings: Vec<Value>,
}

/// A Worker of the newer API, which shows whether it was ever deployed.
#[derive(Deserialize)]
struct Deployable {
    deployed_on: Option<DateTime<Utc>>,
}

/// A version in the list of the newer API.
#[derive(Deserialize)]
struct Uploaded {
    id: Box<str>,
    /// The document makes it optional.
    bindings: Option<Vec<Value>>,
}

/// What an answer about the Worker itself has to confirm.
const GONE: &str = "gone";
const NEVER_DEPLOYED: &str = "never deployed";

/// The path of a Worker in the newer API by its name, and what is below it.
fn beta<'p>(id: &'p ResourceId, below: &[&'p str]) -> Vec<&'p str> {
    let worker = ["accounts", id.place.id(), "workers", "workers", &id.id];
    [&worker[..], below].concat()
}

/// Reads the Worker itself again, in order to confirm this about it.
fn confirm(id: &ResourceId, what: &str) -> Ask {
    Ask::of("Worker", what, Call::get(Api::Cloudflare, &beta(id, &[])))
}

/// Asks for a page of all versions.
fn uploaded(id: &ResourceId, page: &PageOf) -> Ask {
    let call = Call::get(Api::Cloudflare, &beta(id, &["versions"]))
        .with("per_page", "100")
        .with("page", page.number().to_string());
    Ask::of("uploaded versions", &page.number().to_string(), call)
}

/// Reads a page of all versions, each of which may be the one that is deployed next.
fn read_uploaded(id: &ResourceId, ask: &Ask, body: &[u8]) -> Result<ReferencePage, Malformed> {
    let mut found = ReferencePage::default();
    let (versions, info) = envelope::open::<Vec<Uploaded>>(body)?;
    let ids = versions.iter().map(|version| version.id.clone());
    let list = format!("versions of Worker {}", id.name);
    let (counted, next) = envelope::counted(list, ids, info.as_ref())?;
    found.counted = counted;
    if let (NextPage::Pages(pages), "1") = (next, &*ask.subject) {
        let pages = (2..=pages).map(|number| uploaded(id, &PageOf::Number(number)));
        found.more.extend(pages);
    }
    for version in versions {
        match version.bindings {
            Some(bindings) => found.references.extend(bindings::listed(&bindings)?),
            None => found.more.push(version_of(id, &version.id)),
        }
    }
    Ok(found)
}

/// Reads a refusal which says that what was asked about is not there.
fn read_missing(id: &ResourceId, ask: &Ask, body: &[u8]) -> Result<ReferencePage, Malformed> {
    let mut found = ReferencePage::default();
    let name = &id.name;
    let why = match ask.what {
        // A Worker without any version has no settings, and binds nothing. That there
        // is none has to be seen.
        "settings" | "deployments" => {
            let call = Call::get(Api::Cloudflare, &script(id, &["versions"]));
            found.more.push(Ask::of("versions", ask.what, call));
            return Ok(found);
        }
        // The Worker may have been deleted since it was listed: it is read again.
        "versions" if envelope::is_missing_worker(body) => {
            found.more.push(confirm(id, GONE));
            return Ok(found);
        }
        "Worker" if *ask.subject == *GONE && envelope::is_missing_worker(body) => {
            return Ok(found);
        }
        "versions" => format!(
            "the API does not return the {} of Worker {name}, nor its versions; run again",
            ask.subject
        ),
        "version" => format!(
            "version {} of Worker {name} serves traffic, and the API does not return it",
            ask.subject
        ),
        _ => format!("the API does not return what Worker {name} serves; run again"),
    };
    Err(Malformed(why))
}

/// Asks for one version.
fn version_of(id: &ResourceId, version: &str) -> Ask {
    let call = Call::get(Api::Cloudflare, &script(id, &["versions", version]));
    Ask::of("version", version, call)
}

impl ReadsReferences for Worker {
    /// Its settings describe the version that was uploaded last. What serves
    /// traffic is in the newest deployment, and may be other versions.
    fn first(&self, id: &ResourceId) -> Vec<Ask> {
        ["settings", "deployments"]
            .map(|what| Ask::of(what, "", Call::get(Api::Cloudflare, &script(id, &[what]))))
            .to_vec()
    }

    /// A version that was uploaded and not deployed is in no listing for sure.
    /// Versions themselves never change, so that those which serve traffic are
    /// the same as long as there is no newer deployment.
    fn since(&self, id: &ResourceId) -> Option<Vec<Ask>> {
        let call = Call::get(Api::Cloudflare, &script(id, &["settings"]));
        Some(vec![Ask::of("settings", "", call)])
    }

    fn read(
        &self,
        id: &ResourceId,
        ask: &Ask,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed> {
        let mut found = ReferencePage::default();
        let body = match answer {
            ReferenceAnswer::Body(body) => body,
            ReferenceAnswer::Missing(body) => return read_missing(id, ask, body),
        };
        match ask.what {
            "settings" => {
                let (settings, _) = envelope::open::<bindings::Settings>(body)?;
                found.references = settings.references()?;
            }
            "versions" => {
                let (versions, _) = envelope::open::<Versions>(body)?;
                if !versions.items.is_empty() {
                    return Err(Malformed(format!(
                        "Worker {} has versions, and the API does not return its {}",
                        id.name, ask.subject
                    )));
                }
                found.more.push(confirm(id, NEVER_DEPLOYED));
            }
            "Worker" => {
                let (worker, _) = envelope::open::<Deployable>(body)?;
                if *ask.subject == *GONE || worker.deployed_on.is_some() {
                    return Err(Malformed(format!(
                        "Worker {} is there, and the API does not return what it serves; run again",
                        id.name
                    )));
                }
                // None of them serves traffic, and any may be deployed next.
                found.more.push(uploaded(id, &PageOf::First));
            }
            "uploaded versions" => return read_uploaded(id, ask, body),
            "deployments" => {
                let (list, _) = envelope::open::<Deployments>(body)?;
                let Some(newest) = list.deployments.into_iter().next() else {
                    found.more.push(confirm(id, NEVER_DEPLOYED));
                    return Ok(found);
                };
                if newest.versions.is_empty() {
                    return Err(Malformed(format!(
                        "the newest deployment of Worker {} shows no version; run again",
                        id.name
                    )));
                }
                let serving = newest.versions.iter();
                found.more = serving
                    .map(|served| version_of(id, &served.version_id))
                    .collect();
            }
            _ => {
                let (version, _) = envelope::open::<Version>(body)?;
                found.references = bindings::listed(&version.resources.bindings)?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::id;
    use super::*;

    fn read_answer(
        what: &'static str,
        answer: ReferenceAnswer<'_>,
    ) -> Result<ReferencePage, Malformed> {
        let call = Call::get(Api::Cloudflare, &["x"]);
        ReadsReferences::read(&Worker, &id(), &Ask::of(what, "1", call), answer)
    }

    fn uses(found: &ReferencePage) -> Vec<&str> {
        let uses = found.references.uses.iter();
        uses.map(|reference| reference.key.text()).collect()
    }

    fn asked(asks: &[Ask]) -> Vec<&str> {
        asks.iter().map(|ask| &*ask.call.path).collect()
    }

    #[test]
    fn worker_uses_bindings_of_its_settings_and_serving_versions() {
        let asks = ReadsReferences::first(&Worker, &id());
        assert_eq!(
            asked(&asks),
            [
                "/accounts/a/workers/scripts/app/settings",
                "/accounts/a/workers/scripts/app/deployments",
            ]
        );
        let settings = br#"{"success":true,"result":{"bindings":[
            {"type":"kv_namespace","name":"KV","namespace_id":"0123"}],"tail_consumers":[{"service":"logs"}]}}"#;
        let settings = read_answer("settings", ReferenceAnswer::Body(settings)).unwrap();
        assert_eq!(uses(&settings), ["0123", "logs"]);
        let deployments = br#"{"success":true,"result":{"deployments":[
            {"id":"2","versions":[{"version_id":"v2","percentage":90},{"version_id":"v1","percentage":10}]},
            {"id":"1","versions":[{"version_id":"v0","percentage":100}]}]}}"#;
        let deployments = read_answer("deployments", ReferenceAnswer::Body(deployments)).unwrap();
        assert_eq!(
            asked(&deployments.more),
            [
                "/accounts/a/workers/scripts/app/versions/v2",
                "/accounts/a/workers/scripts/app/versions/v1",
            ]
        );
        let version = br#"{"success":true,"result":{"id":"v1","resources":{"bindings":[
            {"type":"d1","name":"DB","id":"d"}]}}}"#;
        let version = read_answer("version", ReferenceAnswer::Body(version)).unwrap();
        assert_eq!(uses(&version), ["d"]);
        // A version that serves traffic and cannot be seen may bind anything.
        assert!(read_answer("version", ReferenceAnswer::Missing(b"{}")).is_err());
        // Without any list of bindings nothing is known.
        let nothing = br#"{"success":true,"result":{}}"#;
        assert!(read_answer("settings", ReferenceAnswer::Body(nothing)).is_err());
    }

    #[test]
    fn a_worker_without_any_version_binds_nothing() {
        let missing = read_answer("settings", ReferenceAnswer::Missing(b"{}")).unwrap();
        assert_eq!(
            asked(&missing.more),
            ["/accounts/a/workers/scripts/app/versions"]
        );
        let none = br#"{"success":true,"result":{"items":[]}}"#;
        let none = read_answer("versions", ReferenceAnswer::Body(none)).unwrap();
        assert!(none.references.uses.is_empty());
        assert_eq!(asked(&none.more), ["/accounts/a/workers/workers/app"]);
        let some = br#"{"success":true,"result":{"items":[{"id":"v1"}]}}"#;
        assert!(read_answer("versions", ReferenceAnswer::Body(some)).is_err());
    }

    #[test]
    fn any_version_of_a_worker_without_a_deployment_is_a_user() {
        let empty = br#"{"success":true,"result":{"deployments":[]}}"#;
        let empty = read_answer("deployments", ReferenceAnswer::Body(empty)).unwrap();
        assert_eq!(asked(&empty.more), ["/accounts/a/workers/workers/app"]);
        let never = br#"{"success":true,"result":{"id":"1","name":"app","deployed_on":null}}"#;
        let never = read_answer("Worker", ReferenceAnswer::Body(never)).unwrap();
        assert_eq!(
            asked(&never.more),
            ["/accounts/a/workers/workers/app/versions"]
        );
        let page = br#"{"success":true,"result":[{"id":"v2","bindings":[
            {"type":"d1","name":"DB","id":"d"}]},{"id":"v1"}],
            "result_info":{"page":1,"per_page":2,"count":2,"total_count":3}}"#;
        let page = read_answer("uploaded versions", ReferenceAnswer::Body(page)).unwrap();
        assert_eq!(uses(&page), ["d"]);
        assert_eq!(
            asked(&page.more),
            [
                "/accounts/a/workers/workers/app/versions",
                "/accounts/a/workers/scripts/app/versions/v1",
            ]
        );
        let deployed =
            br#"{"success":true,"result":{"id":"1","deployed_on":"2026-03-01T00:00:00Z"}}"#;
        assert!(read_answer("Worker", ReferenceAnswer::Body(deployed)).is_err());
    }
}
