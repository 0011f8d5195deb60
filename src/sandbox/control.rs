//! The control endpoints of the sandbox: they show what exists and which
//! requests were sent, and change the world while it runs. They need no token.

use bytes::Bytes;
use chrono::{SecondsFormat, TimeDelta};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::message::{self, Response};
use super::provider::ProviderApi;
use super::{Sandbox, SandboxState, add, world};

impl Sandbox {
    pub(super) fn control(&self, request: &http::Request<Bytes>) -> Response {
        let path = request.uri().path();
        let segments: Vec<&str> = path.split('/').skip(2).collect();
        let mut state = self.state();
        let answer = match (request.method(), segments.as_slice()) {
            (&Method::GET, ["state"]) => Ok(state.world()),
            (&Method::GET, ["requests"]) => Ok(state.recorded()),
            (&Method::GET, ["faults"]) => Ok(json!(state.faults)),
            (&Method::POST, ["faults"]) => state.set_faults(request.body()),
            (&Method::POST, ["pull_requests", number]) => {
                state.set_pull_request(number, request.body())
            }
            (&Method::POST, ["issues"]) => state.write_issue(request.body()),
            (&Method::POST, ["repository"]) => state.set_repository(request.body()),
            (&Method::POST, ["resources"]) => state.add_resource(request.body()),
            (&Method::POST, ["clock"]) => state.advance(request.body()),
            _ => {
                return message::json(
                    StatusCode::NOT_FOUND,
                    &json!({"message": format!("there is no control endpoint {} {path}", request.method())}),
                );
            }
        };
        if segments == ["faults"] && request.method() == Method::POST && answer.is_ok() {
            self.faults_replaced.send_replace(());
        }
        match answer {
            Ok(body) => message::json(StatusCode::OK, &body),
            Err(why) => message::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({"message": why})),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

impl SandboxState {
    fn world(&self) -> Value {
        let mut resources = self.cloudflare.resources();
        resources.extend(self.neon.resources());
        resources.extend(self.github.resources());
        json!({
            "repository": self.repository,
            "now": self.now().to_rfc3339_opts(SecondsFormat::Secs, true),
            "pull_requests": self.github.pull_requests(),
            "git_branches": self.github.git_branches(),
            "actions_runs": self.github.actions_runs(),
            "account": {"id": self.cloudflare.account_id()},
            "resources": resources,
        })
    }

    fn recorded(&self) -> Value {
        let one = |request: &super::Recorded| {
            json!({
                "time": request.time.to_rfc3339_opts(SecondsFormat::Micros, true),
                "method": request.method.as_str(),
                "path": request.path,
                "query": request.query,
                "status": request.status,
            })
        };
        self.requests.iter().map(one).collect()
    }

    fn set_faults(&mut self, body: &Bytes) -> Result<Value, String> {
        let faults: Vec<Fault> = parse(body)?;
        self.faults = faults;
        Ok(json!({"faults": self.faults.len()}))
    }

    fn set_pull_request(&mut self, number: &str, body: &Bytes) -> Result<Value, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct PullRequestChange {
            state: Option<world::WorldPullRequestState>,
            #[serde(default)]
            merged: bool,
            labels: Option<Vec<String>>,
        }
        let number = number
            .parse()
            .map_err(|_| format!("{number:?} is not a number"))?;
        let change: PullRequestChange = parse(body)?;
        let now = self.now();
        if let Some(labels) = change.labels {
            self.github.set_labels(number, labels, now)?;
        }
        match change.state {
            Some(state) => self.github.change(number, state, change.merged, now),
            None => self.github.pull_request(number),
        }
    }

    /// An issue by another account, or a comment if `under` is set.
    fn write_issue(&mut self, body: &Bytes) -> Result<Value, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct NewIssue {
            author: String,
            body: String,
            under: Option<u32>,
        }
        let written: NewIssue = parse(body)?;
        let now = self.now();
        let (author, text) = (&written.author, &written.body);
        Ok(self.github.write_as(author, written.under, text, now))
    }

    fn set_repository(&mut self, body: &Bytes) -> Result<Value, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RepositoryChange {
            has_issues: bool,
        }
        let change: RepositoryChange = parse(body)?;
        self.github.set_issues(change.has_issues);
        Ok(json!({"has_issues": change.has_issues}))
    }

    fn add_resource(&mut self, body: &Bytes) -> Result<Value, String> {
        let resource: world::WorldResource = parse(body)?;
        world::check(&resource)
            .map_err(|(place, message)| format!("{}: {message}", place.trim_start_matches('.')))?;
        let now = self.now();
        let providers: [&mut dyn ProviderApi; 3] =
            [&mut self.cloudflare, &mut self.neon, &mut self.github];
        add(providers, &resource, now).map_err(|refusal| refusal.to_string())?;
        Ok(json!({"kind": resource.kind, "name": resource.name}))
    }

    fn advance(&mut self, body: &Bytes) -> Result<Value, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Advance {
            advance: String,
        }
        let Advance { advance } = parse(body)?;
        let step = duration(&advance)
            .ok_or_else(|| format!("{advance:?} is not a duration such as \"25h\""))?;
        self.wall += step;
        let now = self.now().to_rfc3339_opts(SecondsFormat::Secs, true);
        Ok(json!({ "now": now }))
    }
}

/// A whole number and `s`, `m`, `h`, `d` or `w`.
fn duration(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        'w' => TimeDelta::try_weeks(number),
        _ => None,
    }
}
