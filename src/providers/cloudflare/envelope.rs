//! Cloudflare's envelope, page numbers and error codes, which its kinds share.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::kind::{
    Ask, Counted, Holder, HoldersPage, Malformed, NextPage, Page, PageOf, ReferenceAnswer,
    ReferencePage,
};
use crate::model::{Api, Place, Resource};

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Envelope<T> {
    success: bool,
    #[serde(default)]
    errors: Vec<Error>,
    result: Option<T>,
    result_info: Option<ResultInfo>,
}

#[derive(Deserialize)]
struct Error {
    code: serde_json::Number,
    message: String,
}

/// Where a page stands among the others.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ResultInfo {
    /// The page size that was really used, which may not be the one asked for.
    pub per_page: Option<u64>,
    /// How many there are in all.
    pub total_count: Option<u64>,
    /// Where the listing goes on, of those that go by cursor.
    pub cursor: Option<String>,
    /// The same, of those that call it a token.
    pub next_page_token: Option<String>,
}

/// The result and the page numbers of a successful answer.
pub(crate) fn open<T: DeserializeOwned>(body: &[u8]) -> Result<(T, Option<ResultInfo>), Malformed> {
    let envelope: Envelope<T> = serde_json::from_slice(body)?;
    if !envelope.success {
        let message = envelope.errors.first().map_or_else(
            || "without a reason".to_owned(),
            |error| format!("{} {}", error.code, error.message),
        );
        return Err(Malformed(format!(
            "Cloudflare answered 200 with `success: false` ({message})"
        )));
    }
    let result = envelope
        .result
        .ok_or_else(|| Malformed("the answer has no `result`".to_owned()))?;
    Ok((result, envelope.result_info))
}

/// The result of a successful answer, and the cursor after it; none at the end.
pub(super) fn open_after<T: DeserializeOwned>(
    body: &[u8],
) -> Result<(T, Option<String>), Malformed> {
    let (result, info) = open::<T>(body)?;
    let cursor = info.and_then(|info| info.cursor);
    Ok((result, cursor.filter(|cursor| !cursor.is_empty())))
}

/// The code and the words of a refusal.
pub(super) fn message(body: &[u8]) -> Option<String> {
    let refused = serde_json::from_slice::<Refused>(body).ok()?;
    let error = refused.errors.into_iter().next()?;
    Some(format!("{} {}", error.code, error.message))
}

#[derive(Deserialize)]
struct Refused {
    errors: Vec<Error>,
}

/// The codes of a refusal.
pub(super) fn codes(body: &[u8]) -> Vec<u64> {
    let errors = serde_json::from_slice::<Refused>(body).map(|refused| refused.errors);
    let codes = errors.unwrap_or_default().into_iter();
    codes.filter_map(|error| error.code.as_u64()).collect()
}

/// The host of an address or the host name itself, in the form in which hosts
/// are compared: lower case, ASCII, without the dot at its end.
pub(super) fn host(text: &str) -> Option<Box<str>> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split(['/', ':', '?', '#']).next().unwrap_or(text);
    let text = text.trim_end_matches('.');
    match url::Host::parse(text) {
        Ok(url::Host::Domain(domain)) => Some(domain.to_ascii_lowercase().into()),
        _ => None,
    }
}

/// Whether a refusal says that there is no such Worker (code 10007).
pub(super) fn is_missing_worker(body: &[u8]) -> bool {
    codes(body).contains(&10_007)
}

/// How a listing with page numbers goes on, and its total. The page size that
/// the answer names counts, not the one that was asked for.
pub(super) fn numbered(info: Option<&ResultInfo>) -> Result<(Option<u64>, NextPage), Malformed> {
    let (Some(total), Some(per_page)) = (
        info.and_then(|info| info.total_count),
        info.and_then(|info| info.per_page),
    ) else {
        return Err(Malformed(
            "the page does not say how many there are (`result_info`)".to_owned(),
        ));
    };
    if per_page == 0 && total > 0 {
        return Err(Malformed("`result_info.per_page` is 0".to_owned()));
    }
    let next = match total.div_ceil(per_page.max(1)) {
        0 | 1 => NextPage::Last,
        pages => NextPage::Pages(pages),
    };
    Ok((Some(total), next))
}

/// Asks for a page of a listing of the newer API of Workers, in an order that new
/// items do not change.
pub(super) fn oldest_first(path: &[&str], page: &PageOf) -> Call {
    Call::get(Api::Cloudflare, path)
        .with("order_by", "created_on")
        .with("order", "asc")
        .with("per_page", "100")
        .with("page", page.number().to_string())
}

/// Reads a page of a listing with page numbers.
///
/// # Errors
///
/// As [`open`] and [`numbered`].
pub(super) fn page<T: DeserializeOwned>(
    body: &[u8],
    resource: impl Fn(T) -> Resource,
) -> Result<Page, Malformed> {
    let (items, info) = open::<Vec<T>>(body)?;
    let (total, next) = numbered(info.as_ref())?;
    let items = items.into_iter().map(resource).collect();
    Ok(Page { items, total, next })
}

/// Reads a page of holders, likewise.
///
/// # Errors
///
/// As [`page`].
pub(super) fn holders<T: DeserializeOwned>(
    body: &[u8],
    holder: impl Fn(T) -> Holder,
) -> Result<HoldersPage, Malformed> {
    let (holders, info) = open::<Vec<T>>(body)?;
    let (total, next) = numbered(info.as_ref())?;
    Ok(HoldersPage {
        holders: holders.into_iter().map(holder).collect(),
        total,
        next,
    })
}

/// Reads a page of a listing whose pages need not say how many there are: it ends with
/// an empty page then.
///
/// # Errors
///
/// As [`page`].
pub(super) fn page_or_more<T: DeserializeOwned>(
    body: &[u8],
    resource: impl Fn(T) -> Option<Resource>,
) -> Result<Page, Malformed> {
    let (items, info) = open::<Vec<T>>(body)?;
    let (total, next) = if info.as_ref().is_some_and(|info| info.total_count.is_some()) {
        numbered(info.as_ref())?
    } else if items.is_empty() {
        (None, NextPage::Last)
    } else {
        (None, NextPage::More)
    };
    let items = items.into_iter().filter_map(resource).collect();
    Ok(Page { items, total, next })
}

/// A page of a list as its `result_info` counts it, with the next page.
///
/// # Errors
///
/// As [`numbered`].
pub(super) fn counted(
    list: String,
    items: impl IntoIterator<Item = Box<str>>,
    info: Option<&ResultInfo>,
) -> Result<(Option<Counted>, NextPage), Malformed> {
    let (total, next) = numbered(info)?;
    let items = items.into_iter().collect();
    let counted = total.map(|total| Counted { list, total, items });
    Ok((counted, next))
}

/// Reads a page of a counted list of users, whose first page asks for the others.
///
/// # Errors
///
/// As [`numbered`], and if there is no list.
pub(super) fn users<T: DeserializeOwned>(
    list: &str,
    ask: &Ask,
    answer: ReferenceAnswer<'_>,
    id: fn(&T) -> Box<str>,
    page: impl Fn(u64) -> Ask,
) -> Result<(Vec<T>, ReferencePage), Malformed> {
    let ReferenceAnswer::Body(body) = answer else {
        return Err(Malformed(format!("the list of {list} is not there")));
    };
    let (items, info) = open::<Vec<T>>(body)?;
    let (counted, next) = counted(list.to_owned(), items.iter().map(id), info.as_ref())?;
    let mut found = ReferencePage {
        counted,
        ..ReferencePage::default()
    };
    if let (NextPage::Pages(pages), "1") = (next, &*ask.subject) {
        found.more = (2..=pages).map(page).collect();
    }
    Ok((items, found))
}

/// The account id of a place that is an account.
pub(super) fn account(place: &Place) -> &str {
    place.id()
}

/// A field where null means empty, unlike an absent one: that is refused, or unknown
/// with `default` beside this.
pub(super) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

/// A field that names something: an empty text names nothing, and is refused like an
/// absent one.
pub(super) fn named<'de, D>(deserializer: D) -> Result<Box<str>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = Box::<str>::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(serde::de::Error::custom(
            "a field that names something is empty",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{KindAbout, KindRef};

    #[test]
    fn success_false_is_no_answer_whatever_the_status() {
        let body = br#"{"success":false,"errors":[{"code":10000,"message":"nope"}],"result":[]}"#;
        let error = open::<Vec<u8>>(body).unwrap_err();
        assert!(error.0.contains("10000 nope"));
    }

    static ABOUT: KindAbout = KindAbout::BLANK;

    #[test]
    fn a_listing_without_a_count_ends_with_an_empty_page() {
        let next = |rest: &str| {
            let body = format!(r#"{{"success":true,{rest}}}"#);
            let place = Arc::new(Place::Account("a".to_owned()));
            let about = KindRef(&ABOUT);
            let read = |id: Box<str>| Some(Resource::new(about, &place, id.clone(), id));
            let page = page_or_more(body.as_bytes(), read).unwrap();
            (page.total, page.next)
        };
        assert_eq!(next(r#""result":["a"]"#), (None, NextPage::More));
        assert_eq!(next(r#""result":[]"#), (None, NextPage::Last));
        let counted = r#""result":["a"],"result_info":{"per_page":1,"total_count":2}"#;
        assert_eq!(next(counted), (Some(2), NextPage::Pages(2)));
    }

    #[test]
    fn the_page_size_that_was_used_decides_the_number_of_pages() {
        let info = |per_page, total| ResultInfo {
            per_page: Some(per_page),
            total_count: Some(total),
            cursor: None,
            next_page_token: None,
        };
        assert_eq!(
            numbered(Some(&info(100, 3_000))).unwrap(),
            (Some(3_000), NextPage::Pages(30))
        );
        assert_eq!(
            numbered(Some(&info(1_000, 1_000))).unwrap().1,
            NextPage::Last
        );
        assert_eq!(numbered(Some(&info(1_000, 0))).unwrap().1, NextPage::Last);
        assert!(numbered(None).is_err());
    }
}
