//! Pull requests that clients open, change and merge.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::message::{self, Request, Response};
use super::super::world::WorldPullRequestState;
use super::{GitHub, error, not_found, ok, sha};

impl GitHub {
    fn show_pull(&self, request: &Request, number: u32) -> Option<Value> {
        let pull = self.numbered(number.into())?;
        Some(self.pull(pull, &request.base, true))
    }

    /// Opens a pull request.
    pub(super) fn create_pull(&mut self, request: &Request) -> Response {
        let body = request.json().unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let (Some(head), Some(base)) = (text("head"), text("base")) else {
            return error(422, "Validation Failed");
        };
        let branch = head.split_once(':').map_or(head, |(_, branch)| branch);
        let is_there = |branch: &str| self.branches.iter().any(|one| one == branch);
        if !is_there(branch) || !is_there(base) {
            return error(422, "Validation Failed");
        }
        let number = self.next_number();
        if self
            .change(number, WorldPullRequestState::Open, false, request.now)
            .is_err()
        {
            return error(422, "Validation Failed");
        }
        let mut pulls = self.pulls.iter_mut();
        if let Some(pull) = pulls.find(|pull| pull.number == number) {
            branch.clone_into(&mut pull.head_ref);
            pull.title = text("title").map(str::to_owned);
            pull.draft = body.get("draft").and_then(Value::as_bool) == Some(true);
        }
        let shown = self.show_pull(request, number);
        shown.map_or_else(not_found, |shown| {
            message::json(StatusCode::CREATED, &shown)
        })
    }

    /// Changes the title or the state of a pull request. Returns its number.
    pub(super) fn change_pull(&mut self, request: &Request, number: &str) -> Option<String> {
        let body = request.json().unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let pull = self.numbered(number.parse().ok()?)?;
        let (number, before) = (pull.number, pull.state);
        let state = match text("state") {
            Some("closed") => WorldPullRequestState::Closed,
            Some("open") => WorldPullRequestState::Open,
            _ => before,
        };
        if state != before {
            self.change(number, state, false, request.now).ok()?;
        }
        let mut pulls = self.pulls.iter_mut();
        if let Some(pull) = pulls.find(|pull| pull.number == number) {
            if let Some(title) = text("title") {
                pull.title = Some(title.to_owned());
            }
            pull.updated_at = Some(request.now);
        }
        Some(number.to_string())
    }

    /// Changes a pull request and shows it.
    pub(super) fn patch_pull(&mut self, request: &Request, number: &str) -> Response {
        let number = self.change_pull(request, number);
        let number = number.and_then(|number| number.parse().ok());
        let shown = number.and_then(|number| self.show_pull(request, number));
        shown.map_or_else(not_found, |shown| ok(&shown))
    }

    /// Merges a pull request that is open.
    pub(super) fn merge_pull(&mut self, request: &Request, number: &str) -> Response {
        let number = number.parse().ok();
        let Some(pull) = number.and_then(|number| self.numbered(number)) else {
            return not_found();
        };
        if pull.state == WorldPullRequestState::Closed {
            return error(405, "Pull Request is not mergeable");
        }
        let number = pull.number;
        let closed = WorldPullRequestState::Closed;
        match self.change(number, closed, true, request.now) {
            Ok(_) => ok(&json!({
                "sha": sha(&number.to_string()), "merged": true,
                "message": "Pull Request successfully merged",
            })),
            Err(why) => error(422, &why),
        }
    }
}
