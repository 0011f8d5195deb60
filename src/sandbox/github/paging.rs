//! Pages of a list, with their `Link` header, and entity tags.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::super::message::{self, Request, Response};
use super::{ok, sha};

pub(super) fn page_numbers(request: &Request) -> (usize, usize) {
    let number = |name: &str| {
        request
            .parameter(name)
            .and_then(|text| text.parse::<usize>().ok())
    };
    let per_page = number("per_page")
        .filter(|size| *size > 0)
        .unwrap_or(30)
        .min(100);
    (number("page").unwrap_or(1).max(1), per_page)
}

pub(super) fn page<'a>(request: &Request, items: &'a [Value]) -> Vec<&'a Value> {
    let (page, per_page) = page_numbers(request);
    items
        .iter()
        .skip((page - 1) * per_page)
        .take(per_page)
        .collect()
}

pub(super) fn paged(request: &Request, items: &[Value]) -> Response {
    let shown = page(request, items);
    linked(request, items.len(), ok(&json!(shown)))
}

/// Adds the `Link` header, with addresses as the client wrote them.
pub(super) fn linked(request: &Request, total: usize, mut response: Response) -> Response {
    let (page, per_page) = page_numbers(request);
    let last = total.div_ceil(per_page).max(1);
    let mut links = Vec::new();
    let address = |page: usize, rel: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(request.query.iter().filter(|(key, _)| key != "page"))
            .append_pair("page", &page.to_string())
            .finish();
        format!(
            "<{}/{}?{query}>; rel=\"{rel}\"",
            request.base,
            request.segments.join("/")
        )
    };
    if page > 1 {
        links.push(address(page - 1, "prev"));
        links.push(address(1, "first"));
    }
    if page < last {
        links.push(address(page + 1, "next"));
        links.push(address(last, "last"));
    }
    if let Ok(value) = HeaderValue::try_from(links.join(", "))
        && !links.is_empty()
    {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

pub(super) fn with_etag(request: &Request, mut response: Response) -> Response {
    let etag = format!("W/\"{}\"", sha(&String::from_utf8_lossy(response.body())));
    if request
        .headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return message::empty(StatusCode::NOT_MODIFIED);
    }
    if let Ok(value) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}
