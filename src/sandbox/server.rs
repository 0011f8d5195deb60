//! Serves the sandbox over HTTP/1, on loopback only.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::faults::{DRIPPING, TRUNCATED};
use super::message::Response;
use super::{Reset, Sandbox};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Listens on a loopback address; port 0 takes any free one.
///
/// # Errors
///
/// When the address is not loopback or not available.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the sandbox accepts any token, so it listens on loopback only; use 127.0.0.1:{}",
                address.port()
            ),
        ));
    }
    TcpListener::bind(address).await
}

/// Serves until it is dropped.
///
/// # Errors
///
/// When no more connections can be accepted.
pub async fn serve(sandbox: Arc<Sandbox>, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let sandbox = sandbox.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&sandbox, request));
            // Broken connections are reported by the client.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Answers one request; an error makes hyper close the connection unanswered.
async fn answer(
    sandbox: &Sandbox,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, Reset> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    let response = sandbox.call(http::Request::from_parts(parts, body)).await?;
    Ok(with_body(response))
}

fn with_body(mut response: Response) -> http::Response<Body> {
    if let Some(drip) = response.headers_mut().remove(DRIPPING) {
        let drip = drip.to_str().ok().and_then(|drip| drip.parse().ok());
        return dripping(response, Duration::from_millis(drip.unwrap_or(0)));
    }
    let Some(whole) = response.headers_mut().remove(TRUNCATED) else {
        return response.map(|body| {
            Full::new(body)
                .map_err(|never| match never {})
                .boxed_unsync()
        });
    };
    // Announces the whole body, sends a part, and disconnects.
    response
        .headers_mut()
        .insert(http::header::CONTENT_LENGTH, whole);
    response.map(|body| {
        let frames = [
            Ok(Frame::data(body)),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ];
        StreamBody::new(stream::iter(frames)).boxed_unsync()
    })
}

/// A body that is sent byte by byte.
fn dripping(response: Response, drip: Duration) -> http::Response<Body> {
    response.map(|body| {
        let bytes = stream::unfold((body, 0), move |(body, at)| async move {
            if at >= body.len() {
                return None;
            }
            tokio::time::sleep(drip).await;
            let byte = Ok(Frame::data(body.slice(at..=at)));
            Some((byte, (body, at + 1)))
        });
        StreamBody::new(bytes).boxed_unsync()
    })
}
