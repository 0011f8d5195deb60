//! Commands that delete resources by hand, as a person pastes them into a shell.

use std::collections::{BTreeMap, BTreeSet};

use super::{by_name, of};
use crate::call::Call;
use crate::kind::{ByHand, Kind};
use crate::model::{Api, Resource, ResourceId};

/// Where a run sent its requests: a command by hand goes to the same place.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// The base of each provider's addresses, where it is not the usual one.
    pub bases: BTreeMap<Api, String>,
    /// The providers for which the run has the [extra token](super::ExtraToken).
    pub with_extra_token: BTreeSet<Api>,
}

impl Addresses {
    fn base(&self, api: Api) -> &str {
        let base = self.bases.get(&api).map(String::as_str);
        base.unwrap_or(of(api).about().default_base)
            .trim_end_matches('/')
    }

    /// Returns the variable of the token that the run uses for a path.
    fn token_variable(&self, api: Api, path: &str) -> &'static str {
        let extra = of(api).about().extra_token.as_ref();
        let extra =
            extra.filter(|extra| self.with_extra_token.contains(&api) && (extra.covers)(path));
        extra.map_or(api.token_variable(), |extra| extra.variable)
    }

    /// Returns the words of the commands that delete a resource by hand, in their
    /// order. `bound` says that others bind it which can only be deleted after it.
    pub fn by_hand(&self, resource: &Resource, bound: bool) -> Vec<Vec<String>> {
        let Some(kind) = by_name(resource.kind.name()) else {
            return Vec::new();
        };
        let id = resource.identity();
        let before = kind.obstacles().map(|obstacles| obstacles.prepare(&id));
        let before = before.iter().flatten().map(|call| self.request(call));
        let deletion = match kind.by_hand(resource, self.base(id.kind.api), bound) {
            ByHand::Request(call) => self.request(&call),
            ByHand::Command(words) => words,
        };
        before.chain([deletion]).collect()
    }

    /// Returns the words of the commands that remove what stands in the way of
    /// deleting a resource, where `holder` uses it or is used by it.
    pub fn release_by_hand(&self, holder: &Resource, held: &ResourceId) -> Vec<Vec<String>> {
        let obstacles = by_name(holder.kind.name()).and_then(Kind::obstacles);
        let calls = obstacles.map(|obstacles| obstacles.release(holder, held));
        let calls = calls.iter().flatten();
        calls.map(|call| self.request(call)).collect()
    }

    /// Returns the words of a command that sends a request. It fails where the
    /// request does, so that nothing after it is done.
    fn request(&self, call: &Call) -> Vec<String> {
        let url = format!("{}{}", self.base(call.api), call.target());
        let token = self.token_variable(call.api, &call.path);
        let bearer = format!("Authorization: Bearer ${token}");
        let method = call.method.as_str();
        let mut words = vec!["curl", "-X", method, "--fail-with-body", "-H", &bearer];
        let body = String::from_utf8_lossy(&call.body);
        let content_type = format!("Content-Type: {}", call.content_type);
        if !body.is_empty() {
            words.extend(["-H", &content_type, "-d", &body]);
        }
        words.push(&url);
        words.into_iter().map(str::to_owned).collect()
    }
}
