//! The envelope of Cloudflare's v4 API, its failures and its pages.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::sandbox::message::{self, Request, Response};

/// The result of a handler: an answer or a failure.
pub(super) type Answer = Result<Response, ApiFailure>;

/// A refusal in Cloudflare's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiFailure {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The product's error code.
    pub(super) code: u32,
    /// The message that goes with it.
    pub(super) message: String,
}

impl ApiFailure {
    /// A failure of any status.
    pub(super) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 404 with a code.
    pub(super) fn not_found(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 400 with a code.
    pub(super) fn bad(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 409 with a code.
    pub(super) fn conflict(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// No such route, or an id that cannot be one.
    pub(super) fn no_route(request: &Request) -> Self {
        Self::not_found(
            7003,
            format!(
                "Could not route to /client/v4/{}, perhaps your object identifier is invalid?",
                request.segments.join("/")
            ),
        )
    }

    /// The failure in its envelope.
    pub(super) fn response(&self) -> Response {
        message::json(
            self.status,
            &json!({
                "success": false,
                "errors": [{ "code": self.code, "message": self.message }],
                "messages": [],
                "result": null,
            }),
        )
    }
}

/// A success with a result.
#[allow(
    clippy::needless_pass_by_value,
    reason = "results are built for the answer and used nowhere else"
)]
pub(super) fn ok(result: Value) -> Response {
    message::json(
        StatusCode::OK,
        &json!({ "success": true, "errors": [], "messages": [], "result": result }),
    )
}

/// A success with a result and its page information.
#[allow(
    clippy::needless_pass_by_value,
    reason = "results are built for the answer and used nowhere else"
)]
pub(super) fn ok_with(result: Value, result_info: Value) -> Response {
    message::json(
        StatusCode::OK,
        &json!({
            "success": true,
            "errors": [],
            "messages": [],
            "result": result,
            "result_info": result_info,
        }),
    )
}

/// A success without a `result` field.
pub(super) fn ok_bare() -> Response {
    message::json(
        StatusCode::OK,
        &json!({ "success": true, "errors": [], "messages": [] }),
    )
}

/// How one list is paged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    default: usize,
    min: usize,
    max: usize,
    clamps: bool,
    total_pages: bool,
    code: u32,
}

impl Paging {
    /// A list with a default, a smallest and a largest page.
    pub(super) const fn new(default: usize, min: usize, max: usize) -> Self {
        Self {
            default,
            min,
            max,
            clamps: false,
            total_pages: true,
            code: 10003,
        }
    }

    /// Larger pages are cut to the largest instead of refused.
    pub(super) const fn clamped(mut self) -> Self {
        self.clamps = true;
        self
    }

    /// `result_info` has no `total_pages`.
    pub(super) const fn without_total_pages(mut self) -> Self {
        self.total_pages = false;
        self
    }

    /// The error code of a page size that is out of bounds.
    pub(super) const fn refusing_with(mut self, code: u32) -> Self {
        self.code = code;
        self
    }

    /// The requested page of all `items`, written by `to_json`.
    pub(super) fn answer<T>(
        self,
        request: &Request,
        items: &[T],
        mut to_json: impl FnMut(&T) -> Value,
    ) -> Answer {
        let page = self.number(request, "page")?.unwrap_or(1);
        let per_page = match self.number(request, "per_page")? {
            None => self.default,
            Some(asked) if self.clamps => asked.clamp(self.min, self.max),
            Some(asked) if (self.min..=self.max).contains(&asked) => asked,
            Some(_) => return Err(self.refusal()),
        };
        if page == 0 {
            return Err(self.refusal());
        }
        let shown: Vec<Value> = items
            .iter()
            .skip(per_page.saturating_mul(page - 1))
            .take(per_page)
            .map(&mut to_json)
            .collect();
        let mut info = json!({
            "count": shown.len(),
            "page": page,
            "per_page": per_page,
            "total_count": items.len(),
        });
        if self.total_pages {
            info["total_pages"] = json!(items.len().div_ceil(per_page));
        }
        Ok(ok_with(Value::Array(shown), info))
    }

    fn number(self, request: &Request, name: &str) -> Result<Option<usize>, ApiFailure> {
        request
            .parameter(name)
            .filter(|text| !text.is_empty())
            .map(|text| text.parse().map_err(|_| self.refusal()))
            .transpose()
    }

    fn refusal(self) -> ApiFailure {
        ApiFailure::bad(
            self.code,
            "Invalid list options provided. Review the `page` or `per_page` parameter.",
        )
    }
}

/// Puts items in descending order when the request asks for it.
pub(super) fn directed<T>(request: &Request, parameter: &str, default: &str, items: &mut [T]) {
    if request.parameter(parameter).unwrap_or(default) == "desc" {
        items.reverse();
    }
}

/// Returns whether a query parameter is `true`.
pub(super) fn flag(request: &Request, name: &str) -> bool {
    request.parameter(name) == Some("true")
}

/// The body as a JSON object.
pub(super) fn object(request: &Request, code: u32) -> Result<Map<String, Value>, ApiFailure> {
    match request.json() {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(ApiFailure::bad(
            code,
            "Could not parse the request body as a JSON object.",
        )),
    }
}

/// The body as a JSON array.
pub(super) fn array(request: &Request, code: u32) -> Result<Vec<Value>, ApiFailure> {
    match request.json() {
        Ok(Value::Array(items)) => Ok(items),
        _ => Err(ApiFailure::bad(
            code,
            "Could not parse the request body as a JSON array.",
        )),
    }
}

/// A text field of an object.
pub(super) fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

/// The Workers under `tail_consumers` of a world: names, or objects as the API has
/// them.
pub(super) fn tail_consumers(object: &Map<String, Value>) -> Vec<String> {
    let tails = object.get("tail_consumers").and_then(Value::as_array);
    let name = |tail: &Value| {
        let named = tail.get("service").or_else(|| tail.get("name"));
        named.unwrap_or(tail).as_str().map(ToOwned::to_owned)
    };
    tails.into_iter().flatten().filter_map(name).collect()
}

/// The texts of an array field of an object; anything else is none.
pub(super) fn texts(object: &Map<String, Value>, field: &str) -> Vec<String> {
    object
        .get(field)
        .and_then(Value::as_array)
        .map(|items| {
            items
                .iter()
                .filter_map(Value::as_str)
                .map(ToOwned::to_owned)
                .collect()
        })
        .unwrap_or_default()
}

/// Sets a field if there is a value.
pub(super) fn put(object: &mut Value, field: &str, value: Option<impl Into<Value>>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(field.to_owned(), value.into());
    }
}
