//! The real transport: reqwest.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::{Request, Response, Uri};
use bytes::{Bytes, BytesMut};
use tower::util::BoxCloneSyncService;

use super::{Transport, TransportError};

/// Maximum size of a body, which is larger than any page that we request.
pub const BODY_LIMIT: usize = 64 << 20;

/// A smaller maximum, as an extension of the request that it holds for.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(pub(super) usize);

/// Creates a transport over real sockets. Connections to loopback never use a
/// proxy, and TLS is set up only when it is needed. `proxy` is the variable
/// that sets the proxy for all other connections, for error messages.
pub fn transport(proxy: Option<&'static str>) -> Transport {
    let clients = Arc::new(Clients::default());
    let service = tower::service_fn(move |request: Request<Bytes>| {
        let clients = Arc::clone(&clients);
        async move {
            let client = clients.of(request.uri())?;
            let proxy = proxy.filter(|_| !is_local(request.uri()));
            let limit = request.extensions().get::<BodyLimit>();
            let limit = limit.map_or(BODY_LIMIT, |BodyLimit(limit)| *limit);
            exchange(&client, request, limit, proxy).await
        }
    });
    BoxCloneSyncService::new(service)
}

/// One client per kind of connection, created when first needed.
#[derive(Default)]
struct Clients {
    /// To loopback, without TLS.
    plain: OnceLock<Result<reqwest::Client, String>>,
    /// To loopback, with TLS.
    local: OnceLock<Result<reqwest::Client, String>>,
    /// To all other hosts, with TLS and the proxy of the environment.
    remote: OnceLock<Result<reqwest::Client, String>>,
}

impl Clients {
    fn of(&self, uri: &Uri) -> Result<reqwest::Client, TransportError> {
        let made = match (is_local(uri), uri.scheme_str() == Some("https")) {
            (true, false) => self
                .plain
                .get_or_init(|| build(builder().no_proxy().tls_certs_only([]))),
            (true, true) => self.local.get_or_init(|| build(builder().no_proxy())),
            (false, _) => self.remote.get_or_init(|| build(builder())),
        };
        made.clone().map_err(TransportError::Tls)
    }
}

fn builder() -> reqwest::ClientBuilder {
    // An earlier crypto provider of the process stays in place, which is
    // harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    builder.build().map_err(|error| root(&error).to_string())
}

fn is_local(uri: &Uri) -> bool {
    uri.host().is_some_and(is_loopback)
}

/// Returns whether a host is on loopback.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

async fn exchange(
    client: &reqwest::Client,
    request: Request<Bytes>,
    limit: usize,
    proxy: Option<&'static str>,
) -> Result<Response<Bytes>, TransportError> {
    let request = reqwest::Request::try_from(request).map_err(|error| failed(&error, None))?;
    let mut response = client
        .execute(request)
        .await
        .map_err(|error| failed(&error, proxy))?;
    // A body that is announced as too large is not read.
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |length| length > limit) {
        return Err(TransportError::TooLarge { limit });
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failed(&error, proxy))?
    {
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

/// Returns the root cause of an error.
fn root<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// Converts an error, without the address, which the caller adds; `proxy` is
/// the variable that sets the proxy.
fn failed(error: &reqwest::Error, proxy: Option<&'static str>) -> TransportError {
    let words = match error.source() {
        Some(source) => root(source).to_string(),
        None => "the request failed".to_owned(),
    };
    if let Some(why) = certificate(error) {
        return TransportError::Certificate { why, proxy };
    }
    match (error.is_connect(), proxy) {
        (true, Some(proxy)) => TransportError::Proxy {
            variable: proxy,
            why: words,
        },
        (true, None) => TransportError::Connect(words),
        (false, _) => TransportError::Broken(words),
    }
}

/// Returns why the server's certificate was refused, if that is what failed.
fn certificate(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
        return Some(why.to_string());
    }
    // An I/O error does not return the error it contains as its source.
    let carried = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .map(|carried| carried as &(dyn std::error::Error + 'static));
    carried.or_else(|| error.source()).and_then(certificate)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Reads one answer with these bytes, with a maximum body of 1,000.
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
        let answer = exchange(&client, request, 1_000, None).await?;
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
    async fn body_size_is_limited() {
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
