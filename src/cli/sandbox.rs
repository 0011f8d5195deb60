//! `preview-gc sandbox`: the stand-in cloud over HTTP.

use std::fmt::Write as _;
use std::time::Duration;

use super::args::SandboxArgs;
use super::{Exit, Failure, connect, print};
use crate::sandbox::{Options, Sandbox, server};

pub(super) async fn run(arguments: SandboxArgs) -> Result<Exit, Failure> {
    let world = connect::world(arguments.world.as_deref())?;
    let options = Options {
        quota: arguments.quota,
        latency: Duration::from_millis(arguments.latency_ms),
    };
    let sandbox =
        Sandbox::new(world, options).map_err(|refusal| Failure::Usage(refusal.to_string()))?;
    let cannot = |error: std::io::Error| {
        Failure::Usage(format!("cannot listen on {}: {error}", arguments.listen))
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
    print(&text)?;
    server::serve(sandbox, listener)
        .await
        .map_err(|error| Failure::Unexpected(format!("the sandbox stopped: {error}")))?;
    Ok(Exit::Ok)
}
