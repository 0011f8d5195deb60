//! The sandbox: a simulated cloud behind the providers' own HTTP APIs.
//!
//! It is written from the providers' documentation and imports nothing of the
//! collector, so that one mistake cannot hide on both sides. In process it is
//! called through [`Sandbox::call`]; over HTTP through [`server`].

pub mod cloudflare;
mod control;
pub mod faults;
pub mod github;
pub mod message;
pub mod neon;
pub mod provider;
pub mod quota;
pub mod server;
pub mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use cloudflare::Cloudflare;
use faults::{Fault, FaultEffect, FaultRequest, NamedFault};
use github::GitHub;
use message::{Request, Response};
use neon::Neon;
use provider::{ImpossibleResource, ProviderApi};
use quota::{Quotas, SandboxQuota};
use world::World;

/// Settings of the sandbox besides its world.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Cloudflare's request quota.
    pub quota: SandboxQuota,
    /// The delay of every answer.
    pub latency: Duration,
}

/// The connection broke because of a fault.
#[derive(Debug, thiserror::Error)]
#[error("the connection was reset")]
pub struct Reset;

/// One request, as the control endpoint shows it.
#[derive(Debug, Clone)]
struct Recorded {
    time: DateTime<Utc>,
    method: Method,
    path: String,
    query: String,
    status: u16,
}

/// The sandbox.
pub struct Sandbox {
    state: Mutex<SandboxState>,
    latency: Duration,
    /// Changes when the faults are replaced.
    faults_replaced: watch::Sender<()>,
}

struct SandboxState {
    repository: String,
    wall: DateTime<Utc>,
    started: Instant,
    cloudflare: Cloudflare,
    neon: Neon,
    github: GitHub,
    quotas: Quotas,
    faults: Vec<Fault>,
    requests: Vec<Recorded>,
}

/// Returns the provider of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SandboxProvider {
    Cloudflare,
    Neon,
    GitHub,
    /// The signed addresses of Cloudflare's store, which take no token and count
    /// against no quota.
    Signed,
}

const PREFIXES: [(&str, SandboxProvider); 4] = [
    (cloudflare::storage::PATH, SandboxProvider::Signed),
    ("/client/v4", SandboxProvider::Cloudflare),
    ("/api/v2", SandboxProvider::Neon),
    ("/github", SandboxProvider::GitHub),
];

impl Sandbox {
    /// Creates a sandbox with a world.
    ///
    /// # Errors
    ///
    /// When a provider rejects one of its resources.
    pub fn new(world: World, options: Options) -> Result<Arc<Self>, ImpossibleResource> {
        let mut cloudflare = Cloudflare::new(world.account, &world.zones);
        let mut neon = Neon::default();
        let mut github = GitHub::new(
            &world.repository,
            world.pull_requests,
            world.git_branches,
            world.actions_runs,
        );
        for resource in &world.resources {
            let providers: [&mut dyn ProviderApi; 3] = [&mut cloudflare, &mut neon, &mut github];
            add(providers, resource, world.now)?;
        }
        neon.settle();
        Ok(Arc::new(Self {
            state: Mutex::new(SandboxState {
                repository: world.repository,
                wall: world.now,
                started: Instant::now(),
                cloudflare,
                neon,
                github,
                quotas: Quotas::new(options.quota),
                faults: world.faults,
                requests: Vec::new(),
            }),
            latency: options.latency,
            faults_replaced: watch::Sender::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, SandboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time in the sandbox.
    pub fn now(&self) -> DateTime<Utc> {
        self.state().now()
    }

    /// Returns how many requests each fault has hit, in the order of the list.
    /// A test that plants a fault checks this: a fault that no request met
    /// proves nothing.
    pub fn fault_hits(&self) -> Vec<u64> {
        self.state().faults.iter().map(|fault| fault.hits).collect()
    }

    /// Returns the variables that point a client to the sandbox.
    pub fn environment(&self, base: &str) -> Vec<(&'static str, String)> {
        let state = self.state();
        let zones = state.cloudflare.zone_ids().join(",");
        let projects = state.neon.project_ids().join(",");
        let mut variables = vec![
            ("GITHUB_TOKEN", "sandbox".to_owned()),
            ("GITHUB_REPOSITORY", state.repository.clone()),
            ("GITHUB_API_URL", format!("{base}/github")),
            ("GITHUB_GRAPHQL_URL", format!("{base}/github/graphql")),
            ("CLOUDFLARE_API_TOKEN", "sandbox".to_owned()),
            (
                "CLOUDFLARE_ACCOUNT_ID",
                state.cloudflare.account_id().to_owned(),
            ),
            ("CLOUDFLARE_API_BASE_URL", format!("{base}/client/v4")),
            ("NEON_API_KEY", "sandbox".to_owned()),
            ("NEON_API_HOST", format!("{base}/api/v2")),
        ];
        if !zones.is_empty() {
            variables.push(("CLOUDFLARE_ZONE_ID", zones));
        }
        if !projects.is_empty() {
            variables.push(("NEON_PROJECT_ID", projects));
        }
        let now = state
            .now()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        variables.push(("PREVIEW_GC_NOW", now));
        variables
    }

    /// Answers one request.
    ///
    /// # Errors
    ///
    /// When a fault breaks the connection.
    pub async fn call(&self, request: http::Request<Bytes>) -> Result<Response, Reset> {
        let path = request.uri().path().to_owned();
        if path.starts_with("/_sandbox/") {
            return Ok(self.control(&request));
        }
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let mut faults_replaced = self.faults_replaced.subscribe();
        let fault = self.fault(&request);
        if let Some(FaultEffect::Named(NamedFault::Hold)) = fault {
            // The sender exists as long as the sandbox.
            let _ = faults_replaced.changed().await;
        }
        if let Some(delay) = fault.as_ref().and_then(faults::delay) {
            tokio::time::sleep(delay).await;
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let method = request.method().clone();
        let mut answer = self.answer(request, fault.as_ref());
        let mut state = self.state();
        let time = state.now();
        if let Ok(answer) = &mut answer {
            // A fault may set the date, to simulate a provider with a wrong
            // clock.
            let date = httpdate::fmt_http_date(time.into());
            if let Ok(date) = HeaderValue::try_from(date) {
                answer.headers_mut().entry(header::DATE).or_insert(date);
            }
        }
        state.requests.push(Recorded {
            time,
            method,
            path,
            query,
            status: answer.as_ref().map_or(0, |answer| answer.status().as_u16()),
        });
        answer
    }

    /// Returns the first fault that hits a request, and counts the hit.
    fn fault(&self, request: &http::Request<Bytes>) -> Option<FaultEffect> {
        let seen = FaultRequest {
            method: request.method(),
            path: request.uri().path(),
            body: request.body(),
        };
        let mut state = self.state();
        let fault = state
            .faults
            .iter_mut()
            .find(|fault| fault.times != Some(0) && fault.applies_to(&seen))?;
        fault.hits += 1;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.fault.clone())
    }

    fn answer(
        &self,
        request: http::Request<Bytes>,
        fault: Option<&FaultEffect>,
    ) -> Result<Response, Reset> {
        if let Some(FaultEffect::Named(NamedFault::Reset)) = fault {
            return Err(Reset);
        }
        let mut state = self.state();
        let now = state.now();
        let Some((provider, request)) = split(request, now) else {
            return Ok(message::json(
                StatusCode::NOT_FOUND,
                &json!({"message": "the sandbox serves /client/v4, /api/v2 and /github"}),
            ));
        };
        let authorized = request
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .is_some_and(|(scheme, token)| {
                ["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str())
                    && !token.trim().is_empty()
            });
        let resource = quota::resource(&request);
        if let Some(refusal) = state.quotas.count(provider, &request, now) {
            return Ok(refusal);
        }
        let carried_out = matches!(
            fault,
            Some(FaultEffect::Answer {
                carried_out: true,
                ..
            })
        );
        let instead = fault.and_then(faults::answer);
        let mut response = match &instead {
            Some(answer) if !carried_out => answer.clone(),
            _ if !authorized && provider != SandboxProvider::Signed => unauthorized(provider),
            _ => {
                let mut request = request;
                if let Some(FaultEffect::Named(NamedFault::RepeatPage)) = fault {
                    first_page(&mut request);
                }
                match provider {
                    SandboxProvider::Cloudflare => state.cloudflare.answer(&request),
                    SandboxProvider::Neon => state.neon.answer(&request),
                    SandboxProvider::GitHub => state.github.answer(&request),
                    SandboxProvider::Signed => state.cloudflare.answer_signed(&request),
                }
            }
        };
        if let Some(instead) = instead.filter(|_| carried_out) {
            response = instead;
        }
        state.quotas.headers(provider, resource, now, &mut response);
        if let Some(fault) = fault {
            faults::alter(fault, &mut response);
        }
        match fault {
            Some(FaultEffect::Named(NamedFault::ResetAfter)) => Err(Reset),
            _ => Ok(response),
        }
    }
}

impl SandboxState {
    fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        self.wall + elapsed
    }
}

/// The kinds that a world may have.
fn world_kinds() -> impl Iterator<Item = &'static provider::WorldKind> {
    let others = neon::KINDS.iter().chain(&github::KINDS);
    cloudflare::kinds().chain(others)
}

/// The types of bindings in a world that name a resource.
fn bindable() -> impl Iterator<Item = &'static str> {
    cloudflare::bindable()
}

fn add(
    providers: [&mut dyn ProviderApi; 3],
    resource: &world::WorldResource,
    now: DateTime<Utc>,
) -> Result<(), ImpossibleResource> {
    for provider in providers {
        let mut kinds = provider.kinds().into_iter();
        if kinds.any(|kind| kind.name == resource.kind) {
            return provider.add(resource, now).map_err(|refusal| {
                ImpossibleResource(format!("{} {}: {refusal}", resource.kind, resource.name))
            });
        }
    }
    Err(ImpossibleResource(format!(
        "there is no kind {:?}",
        resource.kind
    )))
}

/// Returns the provider of a request, and the request as its API receives it.
fn split(request: http::Request<Bytes>, now: DateTime<Utc>) -> Option<(SandboxProvider, Request)> {
    let (parts, body) = request.into_parts();
    let host = parts
        .uri
        .authority()
        .map(ToString::to_string)
        .or_else(|| Some(parts.headers.get(header::HOST)?.to_str().ok()?.to_owned()))
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    let path = parts.uri.path();
    // `gh` without TLS sends absolute-form requests for this host.
    let bare = host.split(':').next() == Some("api.github.localhost");
    let (prefix, provider) = if bare {
        ("", SandboxProvider::GitHub)
    } else {
        PREFIXES.into_iter().find(|(prefix, _)| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })?
    };
    let segments = path[prefix.len()..]
        .split('/')
        .skip(1)
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .filter(|segment| !segment.is_empty())
        .collect();
    let query = parts.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    Some((
        provider,
        Request {
            method: parts.method,
            segments,
            query,
            headers: parts.headers,
            body,
            base: format!("http://{host}{prefix}"),
            now,
        },
    ))
}

/// Rewrites a request to ask for the first page.
fn first_page(request: &mut Request) {
    request
        .query
        .retain(|(key, _)| key != "page" && key != "cursor");
    if let Ok(mut body) = request.json()
        && let Some(variables) = body.get_mut("variables")
        && let Some(after) = variables.get_mut("after")
    {
        *after = serde_json::Value::Null;
        request.body = Bytes::from(body.to_string());
    }
}

fn unauthorized(provider: SandboxProvider) -> Response {
    let body = match provider {
        SandboxProvider::Cloudflare | SandboxProvider::Signed => json!({
            "success": false, "result": null, "messages": [],
            "errors": [{"code": 10000, "message": "Authentication error"}],
        }),
        SandboxProvider::Neon => {
            json!({"code": "", "message": "authentication required", "request_id": "sandbox"})
        }
        SandboxProvider::GitHub => json!({
            "message": "Requires authentication",
            "documentation_url": "https://docs.github.com/rest", "status": "401",
        }),
    };
    message::json(StatusCode::UNAUTHORIZED, &body)
}
