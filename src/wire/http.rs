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
        async move { exchange(&client, request, BODY_LIMIT).await }
    });
    Ok(BoxCloneSyncService::new(service))
}

async fn exchange(
    client: &reqwest::Client,
    request: Request<Bytes>,
    limit: usize,
) -> Result<Response<Bytes>, TransportError> {
    let request = reqwest::Request::try_from(request).map_err(|error| failed(&error))?;
    let mut response = client
        .execute(request)
        .await
        .map_err(|error| failed(&error))?;
    // What is announced to be too large is not begun.
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |length| length > limit) {
        return Err(TransportError::TooLarge { limit });
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(TransportError::TooLarge { limit });
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// What one answer of these bytes is read as when a body may have 1,000.
    async fn read(answer: String) -> Result<usize, TransportError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let _ = stream.write_all(answer.as_bytes());
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = Request::get(format!("http://{address}/"));
        let request = request.body(Bytes::new()).unwrap();
        let answer = exchange(&client, request, 1_000).await?;
        assert_eq!(answer.headers()["x-said"], "so");
        Ok(answer.body().len())
    }

    fn announced(length: usize) -> String {
        let head = format!("HTTP/1.1 200 OK\r\nx-said: so\r\ncontent-length: {length}\r\n\r\n");
        head + &"x".repeat(length)
    }

    fn in_chunks(lengths: &[usize]) -> String {
        let head = "HTTP/1.1 200 OK\r\nx-said: so\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = |length: &usize| format!("{length:x}\r\n{}\r\n", "x".repeat(*length));
        head.to_owned() + &lengths.iter().map(chunk).collect::<String>() + "0\r\n\r\n"
    }

    #[tokio::test]
    async fn a_body_may_have_so_many_bytes_and_no_more() {
        for whole in [announced(1_000), in_chunks(&[400, 400, 200])] {
            assert_eq!(read(whole).await.ok(), Some(1_000));
        }
        for larger in [
            announced(1_001),
            in_chunks(&[400, 400, 201]),
            in_chunks(&[1_500]),
        ] {
            let refused = read(larger).await;
            assert!(
                matches!(refused, Err(TransportError::TooLarge { limit: 1_000 })),
                "{refused:?}"
            );
        }
    }
}
