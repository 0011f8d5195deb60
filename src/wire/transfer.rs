//! The requests of backups and restorations. Those to a signed address go through the
//! same transport as all others, but without a token, because the address is at another
//! host; they count against no quota. An error says the host of such an address only.

use ::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use url::Url;

use super::outgoing::USER_AGENT;
use super::{ApiError, Client, RequestFailure, TransportError, http, is_passing, retry};
use crate::call::{SignedUrl, Transfer};
use crate::model::Api;

impl Client {
    /// Sends a request of a backup or of a restoration, and returns the body of its
    /// answer.
    ///
    /// # Errors
    ///
    /// When it is refused or cannot be sent, when the deadline passes first, when a
    /// file is larger than its maximum, and when it did not arrive whole.
    pub async fn transfer(&self, transfer: &Transfer) -> Result<Bytes, ApiError> {
        match transfer {
            Transfer::Call { call, after } => {
                if !after.is_zero() && !self.pause(*after).await {
                    return Err(self.error(&call.into(), RequestFailure::Deadline));
                }
                self.send(call).await
            }
            Transfer::Download { api, from, maximum } => {
                let signed = Signed::new(*api, Method::GET, from, *maximum)?;
                let answer = self.signed(&signed, &Bytes::new()).await?;
                // A transport may not know the maximum.
                if answer.body().len() > *maximum {
                    let limit = *maximum;
                    return Err(signed.transport(TransportError::TooLarge { limit }));
                }
                Ok(answer.into_body())
            }
            Transfer::Upload {
                api,
                to,
                content,
                etag,
            } => {
                let signed = Signed::new(*api, Method::PUT, to, http::BODY_LIMIT)?;
                let answer = self.signed(&signed, content).await?;
                let arrived = answer.headers().get(header::ETAG);
                let arrived = arrived.and_then(|value| value.to_str().ok());
                if arrived.map(|value| value.trim_matches('"')) != Some(&**etag) {
                    return Err(signed.error(RequestFailure::Malformed(
                        "the answer does not confirm that the whole file arrived (`ETag`)"
                            .to_owned(),
                    )));
                }
                Ok(Bytes::new())
            }
        }
    }

    /// Sends a request to a signed address. It may be repeated: a file is read, or
    /// written as a whole.
    async fn signed(
        &self,
        signed: &Signed<'_>,
        content: &Bytes,
    ) -> Result<Response<Bytes>, ApiError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = signed.request(content)?;
            tracing::debug!(host = signed.host, method = %signed.method, attempt, "signed request");
            let (failure, is_final) = match self.attempt(request).await {
                Ok(answer) if answer.status() == StatusCode::OK => return Ok(answer),
                Ok(answer) => {
                    let is_final = !is_passing(answer.status());
                    (refusal(answer.status()), is_final)
                }
                Err(error) => {
                    let is_final = retry::is_permanent(&error);
                    (signed.transport(error).failure, is_final)
                }
            };
            let wait = retry::backoff(attempt);
            if is_final || attempt >= retry::ATTEMPTS || !self.pause(wait).await {
                return Err(signed.error(failure));
            }
        }
    }
}

/// A request to a signed address.
struct Signed<'a> {
    api: Api,
    method: Method,
    url: &'a SignedUrl,
    /// The address in normal form, so that whatever parses it finds the same host.
    address: String,
    /// Scheme, host and port, for messages.
    host: String,
    /// The maximum size of the answer.
    maximum: usize,
}

impl<'a> Signed<'a> {
    /// Checks the address: nothing goes over the network in clear text.
    fn new(api: Api, method: Method, url: &'a SignedUrl, maximum: usize) -> Result<Self, ApiError> {
        let mut signed = Self {
            api,
            method,
            url,
            address: String::new(),
            host: "a signed address".to_owned(),
            maximum,
        };
        let parsed = Url::parse(url.secret()).ok().filter(|parsed| {
            let is_local = || parsed.host_str().is_some_and(http::is_loopback);
            parsed.scheme() == "https" || (parsed.scheme() == "http" && is_local())
        });
        let has_no_user =
            |parsed: &Url| parsed.username().is_empty() && parsed.password().is_none();
        let Some(parsed) = parsed.filter(has_no_user) else {
            return Err(signed.error(RequestFailure::BadRequest(
                "the provider named an address that is not https".to_owned(),
            )));
        };
        signed.host = parsed.origin().ascii_serialization();
        signed.address = String::from(parsed);
        Ok(signed)
    }

    fn request(&self, content: &Bytes) -> Result<Request<Bytes>, ApiError> {
        let request = Request::builder()
            .method(self.method.clone())
            .uri(&*self.address)
            .header(header::USER_AGENT, USER_AGENT)
            .extension(http::BodyLimit(self.maximum))
            .body(content.clone());
        request.map_err(|_| {
            self.error(RequestFailure::BadRequest(
                "the address that the provider named is not valid".to_owned(),
            ))
        })
    }

    /// An error of this request, without the address.
    fn error(&self, failure: RequestFailure) -> ApiError {
        ApiError {
            api: self.api,
            request: format!("{} {} (signed)", self.method, self.host),
            failure,
        }
    }

    /// An error below HTTP. Its words come from libraries, which may repeat the address.
    fn transport(&self, mut error: TransportError) -> ApiError {
        if let TransportError::TooLarge { limit } = error {
            return self.error(RequestFailure::Malformed(format!(
                "the file is larger than {} MB, which is too large for a backup",
                limit / 1_024 / 1_024
            )));
        }
        let written = [self.url.secret(), &*self.address];
        let queries = written.map(|address| address.split_once('?').map_or("", |(_, query)| query));
        let secrets = written.into_iter().chain(queries);
        let secrets: Vec<&str> = secrets.filter(|secret| !secret.is_empty()).collect();
        error.redact(|text| {
            let hide = |text: String, secret: &&str| text.replace(*secret, "[hidden]");
            secrets.iter().fold(text.to_owned(), hide)
        });
        self.error(RequestFailure::Transport(error))
    }
}

/// What a status says. The body is left out: a store repeats what was signed.
fn refusal(status: StatusCode) -> RequestFailure {
    let code = status.as_u16();
    let message = "the store of the provider did not take the request".to_owned();
    match status {
        _ if status.is_redirection() => RequestFailure::Redirected { status: code },
        _ if status.is_success() => RequestFailure::Partial { status: code },
        _ if is_passing(status) => RequestFailure::Unavailable {
            status: code,
            message,
        },
        _ => RequestFailure::Refused {
            status: code,
            message,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tower::util::BoxCloneSyncService;

    use super::*;
    use crate::wire::tests::client_over;

    const SECRET: &str = "X-Amz-Signature=5ec4e75ec4e7";

    /// The error of a download from this address whose answers are these, and the
    /// requests that were sent.
    async fn download(
        address: &str,
        answer: impl Fn() -> Result<Response<Bytes>, TransportError> + Clone + Send + Sync + 'static,
    ) -> (Result<Bytes, String>, Vec<Request<Bytes>>) {
        let seen: Arc<Mutex<Vec<Request<Bytes>>>> = Arc::default();
        let sent = seen.clone();
        let transport = BoxCloneSyncService::new(tower::service_fn(move |request| {
            sent.lock().unwrap().push(request);
            std::future::ready(answer())
        }));
        let client = client_over(Api::Cloudflare, transport);
        let transfer = Transfer::Download {
            api: Api::Cloudflare,
            from: SignedUrl::new(address),
            maximum: 10,
        };
        let result = client.transfer(&transfer).await;
        let result = result.map_err(|error| format!("{error} {error:?}"));
        let requests = std::mem::take(&mut *seen.lock().unwrap());
        (result, requests)
    }

    fn status(code: u16, body: &'static str) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
        *answer.status_mut() = StatusCode::from_u16(code).unwrap();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_signed_address_gets_no_token_and_is_in_no_error() {
        let address = format!("https://files.example/a.sql?{SECRET}");
        let (result, requests) = download(&address, || Ok(status(200, "select 1;"))).await;
        assert_eq!(result.unwrap(), "select 1;");
        assert!(requests[0].headers().get(header::AUTHORIZATION).is_none());
        assert!(requests[0].headers().get(header::USER_AGENT).is_some());
        let repeated = format!("no route to {address} ({SECRET})");
        for (answer, attempts) in [
            (
                Ok(status(403, "<Error>X-Amz-Signature=5ec4e75ec4e7</Error>")),
                1,
            ),
            (Ok(status(302, "")), 1),
            (Ok(status(206, "select")), 1),
            (Ok(status(500, SECRET)), retry::ATTEMPTS),
            (Ok(status(200, "select 1, 2;")), 1),
            (
                Err(TransportError::Broken(repeated.clone())),
                retry::ATTEMPTS,
            ),
            (Err(TransportError::Connect(repeated)), retry::ATTEMPTS),
            (Err(TransportError::TooLarge { limit: 10 }), 1),
        ] {
            let answer = Arc::new(answer);
            let (result, requests) = download(&address, move || (*answer).clone()).await;
            let error = result.unwrap_err();
            assert!(!error.contains("5ec4e7"), "{error}");
            assert!(error.contains("https://files.example"), "{error}");
            assert_eq!(requests.len(), attempts as usize, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_fetched_in_clear_text() {
        for (address, is_sent) in [
            ("http://files.example/a?s=5ec4e7", false),
            ("http://127.0.0.1.example/a?s=5ec4e7", false),
            ("http://localhost@files.example/a?s=5ec4e7", false),
            ("https://user:word@files.example/a?s=5ec4e7", false),
            ("ftp://127.0.0.1/a?s=5ec4e7", false),
            ("5ec4e7", false),
            ("http://127.0.0.1:8787/a?s=5ec4e7", true),
            ("http://[::1]:8787/a?s=5ec4e7", true),
            ("https://files.example/a?s=5ec4e7", true),
        ] {
            let (result, requests) = download(address, || Ok(status(200, "x;"))).await;
            assert_eq!(!requests.is_empty(), is_sent, "{address}");
            assert_eq!(result.is_ok(), is_sent, "{address}");
            let said = result.err().unwrap_or_default();
            assert!(!said.contains("5ec4e7"), "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_counts_only_if_all_of_it_arrived() {
        for (etag, arrives) in [
            (Some("\"abc\""), true),
            (Some("abc"), true),
            (Some("\"abd\""), false),
            (None, false),
        ] {
            let transport = BoxCloneSyncService::new(tower::service_fn(move |_| {
                let mut answer = Response::new(Bytes::new());
                if let Some(etag) = etag {
                    answer
                        .headers_mut()
                        .insert(header::ETAG, etag.parse().unwrap());
                }
                std::future::ready(Ok(answer))
            }));
            let client = client_over(Api::Cloudflare, transport);
            let upload = Transfer::Upload {
                api: Api::Cloudflare,
                to: SignedUrl::new("https://files.example/a?s=5ec4e7"),
                content: Bytes::from_static(b"x;"),
                etag: "abc".to_owned(),
            };
            assert_eq!(client.transfer(&upload).await.is_ok(), arrives, "{etag:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_at_the_deadline() {
        let transport = BoxCloneSyncService::new(tower::service_fn(|_| {
            std::future::ready(Err(TransportError::Broken("it was sent".to_owned())))
        }));
        let client = client_over(Api::Cloudflare, transport);
        let client = client.until(tokio::time::Instant::now() + Duration::from_secs(1));
        let late = Transfer::Call {
            call: crate::call::Call::get(Api::Cloudflare, &["x"]),
            after: Duration::from_secs(2),
        };
        let error = client.transfer(&late).await.unwrap_err();
        assert!(matches!(error.failure, RequestFailure::Deadline), "{error}");
    }
}
