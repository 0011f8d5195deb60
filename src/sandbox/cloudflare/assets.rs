//! Static assets of Workers: a manifest opens an upload session, which asks for
//! the files that the account does not have yet.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::Cloudflare;
use super::answer::{Answer, ApiFailure, object, ok};
use super::upload;
use crate::sandbox::message::Request;

/// How long the token of a session is good.
const SESSION: TimeDelta = TimeDelta::hours(1);

/// The assets that an account has, and the upload sessions that are open.
#[derive(Debug, Default)]
pub(super) struct Assets {
    /// The hashes of files that were uploaded.
    held: BTreeSet<String>,
    /// The hashes that each session still waits for, by its token.
    sessions: BTreeMap<String, BTreeSet<String>>,
    opened: u64,
}

impl Assets {
    /// A token in the form of the provider's: clients read its expiry.
    fn token(&mut self, request: &Request) -> String {
        self.opened += 1;
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let expires = (request.now + SESSION).timestamp();
        format!(
            "{}.{}.{}",
            part(&json!({"alg": "none", "typ": "JWT"})),
            part(&json!({"exp": expires, "session": self.opened})),
            URL_SAFE_NO_PAD.encode("sandbox")
        )
    }
}

impl Cloudflare {
    /// Opens an upload session. Without any missing file its token already is
    /// the one that goes with the upload of the Worker.
    pub(super) fn open_assets(&mut self, request: &Request) -> Answer {
        let body = object(request, 10003)?;
        let Some(Value::Object(manifest)) = body.get("manifest") else {
            return Err(ApiFailure::bad(10021, "The manifest is missing."));
        };
        let hashes: BTreeSet<String> = manifest
            .values()
            .filter_map(|file| file["hash"].as_str().map(str::to_owned))
            .collect();
        if hashes.len() != manifest.len() && hashes.is_empty() {
            return Err(ApiFailure::bad(
                10021,
                "A file of the manifest has no hash.",
            ));
        }
        let token = self.assets.token(request);
        let missing: BTreeSet<_> = hashes.difference(&self.assets.held).cloned().collect();
        let buckets: Vec<&BTreeSet<String>> = Some(&missing)
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect();
        let shown = json!({"jwt": token, "buckets": buckets});
        if !missing.is_empty() {
            self.assets.sessions.insert(token, missing);
        }
        Ok(ok(shown))
    }

    /// Takes files of a session; the last one completes it.
    pub(super) fn upload_assets(&mut self, request: &Request) -> Answer {
        let bearer = request.headers.get(header::AUTHORIZATION);
        let bearer = bearer.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let session = bearer.unwrap_or_default().to_owned();
        let form = upload::read(request)?.unwrap_or_default();
        let Some(missing) = self.assets.sessions.get_mut(&session) else {
            return Err(ApiFailure::new(
                StatusCode::UNAUTHORIZED,
                10000,
                "The token is not that of an upload session.",
            ));
        };
        for hash in form.parts.keys() {
            missing.remove(hash);
        }
        let complete = missing.is_empty();
        self.assets.held.extend(form.parts.into_keys());
        let (status, result) = if complete {
            self.assets.sessions.remove(&session);
            let token = self.assets.token(request);
            (StatusCode::CREATED, json!({ "jwt": token }))
        } else {
            (StatusCode::ACCEPTED, json!({ "jwt": null }))
        };
        let mut response = ok(result);
        *response.status_mut() = status;
        Ok(response)
    }
}
