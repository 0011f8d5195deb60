//! What a Worker uses.

use serde::Deserialize;
use serde_json::Value;

use super::super::{bindings, envelope};
use super::{Worker, script};
use crate::call::Call;
use crate::kind::{Ask, Malformed, ReadsReferences, ReferenceAnswer, ReferencePage};
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
        let body = match (answer, ask.what) {
            (ReferenceAnswer::Body(body), _) => body,
            // A Worker without any version has no settings, and binds nothing.
            // That there is none has to be seen.
            (ReferenceAnswer::Missing(_), "settings" | "deployments") => {
                let call = Call::get(Api::Cloudflare, &script(id, &["versions"]));
                found.more.push(Ask::of("versions", ask.what, call));
                return Ok(found);
            }
            // It was deleted since it was listed.
            (ReferenceAnswer::Missing(body), "versions") if envelope::is_missing_worker(body) => {
                return Ok(found);
            }
            (ReferenceAnswer::Missing(_), "versions") => {
                return Err(Malformed(format!(
                    "the API does not return the {} of Worker {}, nor its versions; run again",
                    ask.subject, id.name
                )));
            }
            (ReferenceAnswer::Missing(_), _) => {
                return Err(Malformed(format!(
                    "version {} of Worker {} serves traffic, and the API does not return it",
                    ask.subject, id.name
                )));
            }
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
            }
            "deployments" => {
                let (list, _) = envelope::open::<Deployments>(body)?;
                let newest = list.deployments.into_iter().next();
                let serving = newest.into_iter().flat_map(|newest| newest.versions);
                found.more = serving
                    .map(|served| {
                        let below = ["versions", &*served.version_id];
                        let call = Call::get(Api::Cloudflare, &script(id, &below));
                        Ask::of("version", &served.version_id, call)
                    })
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
        assert!(none.references.uses.is_empty() && none.more.is_empty());
        let some = br#"{"success":true,"result":{"items":[{"id":"v1"}]}}"#;
        assert!(read_answer("versions", ReferenceAnswer::Body(some)).is_err());
    }
}
