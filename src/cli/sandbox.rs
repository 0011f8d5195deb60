//! The sandbox: inside the process for `--sandbox`, over HTTP for `preview-gc
//! sandbox`.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tower::util::BoxCloneSyncService;

use super::args::SandboxArgs;
use super::connect::{EnvironmentVariables, ProviderConnections};
use super::{Exit, RunFailure, print};
use crate::clock::Clock;
use crate::sandbox::world::World;
use crate::sandbox::{Options, Sandbox, faults, server};
use crate::wire::{Transport, TransportError};

/// The demo world of `--sandbox` alone.
const DEMO_WORLD: &str = include_str!("demo-world.json");

pub(super) async fn run(arguments: SandboxArgs) -> Result<Exit, RunFailure> {
    let world = world(arguments.world.as_deref())?;
    let options = Options {
        quota: arguments.quota,
        latency: Duration::from_millis(arguments.latency_ms),
    };
    let sandbox =
        Sandbox::new(world, options).map_err(|refusal| RunFailure::Usage(refusal.to_string()))?;
    let cannot = |error: std::io::Error| {
        let why = match error.kind() {
            ErrorKind::AddrInUse => {
                "the port is in use; choose another one, or leave out --listen for a free one"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        RunFailure::Usage(format!("cannot listen on {}: {why}", arguments.listen))
    };
    let listener = server::listen(arguments.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let mut text = String::new();
    for (name, value) in sandbox.environment(&format!("http://{address}")) {
        let quoted = value.replace('\'', "'\\''");
        let plain = value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:,".contains(c));
        let value = if plain { value } else { format!("'{quoted}'") };
        let _ = writeln!(text, "export {name}={value}");
    }
    text.push('\n');
    if std::io::stdout().is_terminal() {
        let _ = writeln!(
            std::io::stderr(),
            "Serving a simulated cloud on http://{address}; Ctrl-C stops it. Copy these lines into \
             another shell:"
        );
    }
    print(&text)?;
    server::serve(sandbox, listener)
        .await
        .map_err(|error| RunFailure::Unexpected(format!("the sandbox stopped: {error}")))?;
    Ok(Exit::Ok)
}

/// Reads a world file, or returns the demo world.
fn world(path: Option<&Path>) -> Result<World, RunFailure> {
    let Some(path) = path else {
        return World::read("demo-world.json", DEMO_WORLD)
            .map_err(|error| RunFailure::Unexpected(error.to_string()));
    };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        RunFailure::Usage(format!(
            "cannot read the world file {shown}: {error}; name one with --sandbox=FILE, or write \
             --sandbox alone for the demo world"
        ))
    })?;
    World::read(&shown, &text).map_err(|error| RunFailure::Usage(error.to_string()))
}

impl ProviderConnections {
    /// Connects to a sandbox inside the process. All variables of the providers
    /// are ignored.
    pub(super) fn sandbox(path: Option<&Path>) -> Result<Self, RunFailure> {
        let world = world(path)?;
        let now = world.now;
        let sandbox = Sandbox::new(world, Options::default())
            .map_err(|refusal| RunFailure::Usage(refusal.to_string()))?;
        let fixed = sandbox
            .environment("http://127.0.0.1")
            .into_iter()
            .collect();
        Ok(Self {
            transport: in_process(sandbox),
            variables: EnvironmentVariables { fixed: Some(fixed) },
            clock: Clock::starting_at(now),
        })
    }
}

fn in_process(sandbox: Arc<Sandbox>) -> Transport {
    BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Bytes>| {
        let sandbox = sandbox.clone();
        async move {
            let broken = |what: &str| TransportError::Broken(what.to_owned());
            let mut answer = sandbox
                .call(request)
                .await
                .map_err(|reset| broken(&reset.to_string()))?;
            if answer.headers().contains_key(faults::TRUNCATED) {
                return Err(broken("the body ended early"));
            }
            if let Some(drip) = answer.headers_mut().remove(faults::DRIPPING) {
                let drip = drip.to_str().ok().and_then(|text| text.parse().ok());
                let bytes = answer.body().len() as u64;
                let whole = bytes.saturating_mul(drip.unwrap_or(0));
                tokio::time::sleep(Duration::from_millis(whole)).await;
            }
            Ok(answer)
        }
    }))
}
