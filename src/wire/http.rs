//! The real side of the seam: reqwest.

use std::error::Error as _;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::{Bytes, BytesMut};
use tower::util::BoxCloneSyncService;

use super::{Seam, TransportError};

/// More than any page that we ask for; a body beyond it is cut off.
pub const BODY_LIMIT: usize = 64 << 20;

/// A seam over real sockets.
///
/// # Errors
///
/// When TLS cannot be set up on this machine.
pub fn seam() -> Result<Seam, reqwest::Error> {
    // A second provider in the process is harmless, so an earlier one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
        .build()?;
    let service = tower::service_fn(move |request: Request<Bytes>| {
        let client = client.clone();
        async move { exchange(&client, request).await }
    });
    Ok(BoxCloneSyncService::new(service))
}

async fn exchange(
    client: &reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, TransportError> {
    let request = reqwest::Request::try_from(request).map_err(|error| failed(&error))?;
    let mut response = client
        .execute(request)
        .await
        .map_err(|error| failed(&error))?;
    // What is announced to be too large is not begun.
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |length| length > BODY_LIMIT) {
        return Err(TransportError::TooLarge { limit: BODY_LIMIT });
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(TransportError::TooLarge { limit: BODY_LIMIT });
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = Response::new(body.freeze());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// The error without the address, which the caller names itself.
fn failed(error: &reqwest::Error) -> TransportError {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let words = if error.source().is_some() {
        root.to_string()
    } else {
        "the request failed".to_owned()
    };
    if error.is_connect() {
        TransportError::Connect(words)
    } else {
        TransportError::Broken(words)
    }
}
