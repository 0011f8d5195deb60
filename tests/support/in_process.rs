//! The sandbox in the process of a test: its endpoints.

use std::collections::BTreeMap;

use preview_gc::model::Api;
use preview_gc::wire::{ApiEndpoint, Token};

/// Where requests to the sandbox seem to go. Nothing listens there.
pub(crate) const BASE: &str = "http://127.0.0.1";

/// The endpoints of all providers in the sandbox.
pub(crate) fn endpoints() -> BTreeMap<Api, ApiEndpoint> {
    let paths = [
        (Api::Cloudflare, "/client/v4"),
        (Api::Neon, "/api/v2"),
        (Api::GitHub, "/github"),
    ];
    let endpoint = |(api, path): (Api, &str)| {
        let base = format!("{BASE}{path}");
        let graphql = (api == Api::GitHub).then(|| format!("{base}/graphql"));
        let endpoint = ApiEndpoint {
            base: base.parse().expect("an address"),
            graphql: graphql.map(|graphql| graphql.parse().expect("an address")),
            token: Token::new("sandbox").expect("a token"),
            extra_token: None,
        };
        (api, endpoint)
    };
    paths.into_iter().map(endpoint).collect()
}
