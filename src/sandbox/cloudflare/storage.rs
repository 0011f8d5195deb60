//! The store to which exports and imports of D1 give signed addresses, as R2 answers
//! there: whoever has such an address needs no token, and must send none.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderValue, Method, StatusCode, header};
use md5::{Digest as _, Md5};

use crate::sandbox::message::{self, Request, Response};

/// The path of the store, beside those of the APIs.
pub(in crate::sandbox) const PATH: &str = "/d1-storage";

/// How long an address is valid.
const VALID: TimeDelta = TimeDelta::hours(1);

/// Files, and the addresses that were signed for them.
#[derive(Debug, Default)]
pub(super) struct Store {
    files: BTreeMap<String, Bytes>,
    signed: Vec<SignedAddress>,
}

#[derive(Debug)]
struct SignedAddress {
    method: Method,
    file: String,
    signature: String,
    until: DateTime<Utc>,
}

/// The MD5 of a file in hex digits, which is its `ETag`.
pub(super) fn etag(content: &[u8]) -> String {
    let digits = Md5::digest(content);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    /// A file.
    pub(super) fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    /// Stores a file.
    pub(super) fn put(&mut self, name: &str, content: Bytes) {
        self.files.insert(name.to_owned(), content);
    }

    /// Returns an address at the host of an API request, at which anybody may do this
    /// to a file for an hour.
    pub(super) fn sign(&mut self, method: Method, file: &str, request: &Request) -> String {
        let origin = request.base.split("/client/").next().unwrap_or_default();
        let signature = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        self.signed.push(SignedAddress {
            method,
            file: file.to_owned(),
            signature: signature.clone(),
            until: request.now + VALID,
        });
        format!(
            "{origin}{PATH}/{file}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires={}\
             &X-Amz-Signature={signature}",
            VALID.num_seconds()
        )
    }

    /// Answers a request to a signed address.
    pub(super) fn answer(&mut self, request: &Request) -> Response {
        if request.headers.contains_key(header::AUTHORIZATION) {
            let why = "Only one auth mechanism allowed";
            return failure(StatusCode::BAD_REQUEST, "InvalidArgument", why);
        }
        let given = request.parameter("X-Amz-Signature").unwrap_or_default();
        let file = request.segments.join("/");
        let is_it = |one: &&SignedAddress| {
            one.method == request.method && one.file == file && one.signature == given
        };
        let Some(signed) = self.signed.iter().find(is_it) else {
            let why = format!("The signature {given} does not match");
            return failure(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", &why);
        };
        if request.now >= signed.until {
            let why = "Request has expired";
            return failure(StatusCode::FORBIDDEN, "ExpiredRequest", why);
        }
        if request.method == Method::PUT {
            let etag = etag(&request.body);
            self.put(&file, request.body.clone());
            let mut response = message::empty(StatusCode::OK);
            if let Ok(etag) = HeaderValue::try_from(format!("\"{etag}\"")) {
                response.headers_mut().insert(header::ETAG, etag);
            }
            return response;
        }
        match self.files.get(&file) {
            Some(content) => Response::new(content.clone()),
            None => failure(StatusCode::NOT_FOUND, "NoSuchKey", "There is no such file"),
        }
    }
}

/// A refusal in the form of S3.
fn failure(status: StatusCode, code: &str, why: &str) -> Response {
    let mut response = message::empty(status);
    *response.body_mut() = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
         <Message>{why}</Message></Error>"
    )
    .into();
    response
}
