//! Cloudflare's envelope and page numbers, which its kinds share.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Malformed, Next};
use crate::call::Call;
use crate::model::identifier::{host_name, is_hexadecimal_id};
use crate::model::{Api, Place};

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
pub struct ResultInfo {
    /// This page's number.
    pub page: Option<u64>,
    /// The page size that was really used, which may not be the one asked for.
    pub per_page: Option<u64>,
    /// How many there are in all.
    pub total_count: Option<u64>,
    /// Where the listing goes on, of those that go by cursor.
    pub cursor: Option<String>,
}

/// The result and the page numbers of a successful answer.
pub fn open<T: DeserializeOwned>(body: &[u8]) -> Result<(T, Option<ResultInfo>), Malformed> {
    let envelope: Envelope<T> = serde_json::from_slice(body)?;
    if !envelope.success {
        let said = envelope.errors.first().map_or_else(
            || "without a reason".to_owned(),
            |error| format!("{} {}", error.code, error.message),
        );
        return Err(Malformed(format!(
            "Cloudflare answered 200 with `success: false` ({said})"
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

/// The codes of a refusal.
pub(super) fn codes(body: &[u8]) -> Vec<u64> {
    #[derive(Deserialize)]
    struct Refused {
        errors: Vec<Error>,
    }
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
pub fn numbered(info: Option<&ResultInfo>) -> Result<(Option<u64>, Next), Malformed> {
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
        0 | 1 => Next::Last,
        pages => Next::Pages(pages),
    };
    Ok((Some(total), next))
}

/// Asks for a zone by name or id.
pub fn find_zone(account: &str, zone: &str) -> Call {
    if is_hexadecimal_id(zone) {
        Call::get(Api::Cloudflare, &["zones", zone])
    } else {
        Call::get(Api::Cloudflare, &["zones"])
            .with("name", host_name(zone))
            .with("account.id", account)
            .with("per_page", "50")
    }
}

/// Lists the zones of an account, so many that the token sees.
pub fn list_zones(account: &str, page: u64) -> Call {
    Call::get(Api::Cloudflare, &["zones"])
        .with("account.id", account)
        .with("per_page", "50")
        .with("page", page.to_string())
}

/// One page of zones as places, and how the listing goes on.
///
/// # Errors
///
/// When the answer does not have the documented form.
pub fn zones(body: &[u8], account: &str) -> Result<(Vec<Place>, Option<u64>, Next), Malformed> {
    let (zones, info) = open::<Vec<Zone>>(body)?;
    let (total, next) = numbered(info.as_ref())?;
    let zones = zones.into_iter().map(|zone| Place::Zone {
        name: host_name(&zone.name).into_owned(),
        id: zone.id,
        account: account.to_owned(),
    });
    Ok((zones.collect(), total, next))
}

#[derive(Deserialize)]
struct Zone {
    id: String,
    name: String,
    account: Option<ZoneAccount>,
}

#[derive(Deserialize)]
struct ZoneAccount {
    id: Option<String>,
}

/// Why the answer to [`find_zone`] contains no usable zone.
#[derive(Debug, thiserror::Error)]
pub enum NoZone {
    /// The token sees no such zone in this account.
    #[error("zone {zone} is not in account {account}, or the token may not see it (Zone Read)")]
    Absent {
        /// The zone.
        zone: String,
        /// The account.
        account: String,
    },
    /// It is another account's.
    #[error("zone {zone} belongs to another account than {account}")]
    Elsewhere {
        /// The zone.
        zone: String,
        /// The account.
        account: String,
    },
    /// The answer cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl NoZone {
    /// Whether the answer is that the account has no such zone.
    pub fn is_absent(&self) -> bool {
        !matches!(self, Self::Malformed(_))
    }
}

/// Reads the answer to [`find_zone`].
///
/// # Errors
///
/// Describes why the answer contains no usable zone.
pub fn zone(body: &[u8], account: &str, wanted: &str) -> Result<Place, NoZone> {
    let wanted = host_name(wanted);
    let found = if is_hexadecimal_id(&wanted) {
        Some(open::<Zone>(body)?.0)
    } else {
        let (zones, _) = open::<Vec<Zone>>(body)?;
        let mut zones = zones.into_iter();
        zones.find(|zone| host_name(&zone.name) == wanted)
    };
    let names = || (wanted.to_string(), account.to_owned());
    let zone = found.ok_or_else(|| {
        let (zone, account) = names();
        NoZone::Absent { zone, account }
    })?;
    let owner = zone.account.and_then(|account| account.id);
    if owner.as_deref().is_some_and(|owner| owner != account) {
        let (zone, account) = names();
        return Err(NoZone::Elsewhere { zone, account });
    }
    Ok(Place::Zone {
        id: zone.id,
        name: host_name(&zone.name).into_owned(),
        account: account.to_owned(),
    })
}

/// The account id of a place that is an account.
pub(super) fn account(place: &Place) -> &str {
    place.id()
}

/// A field where null means empty, told apart from one that is absent (which
/// needs `default` beside this).
pub(super) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_false_is_no_answer_whatever_the_status() {
        let body = br#"{"success":false,"errors":[{"code":10000,"message":"nope"}],"result":[]}"#;
        let error = open::<Vec<u8>>(body).unwrap_err();
        assert!(error.0.contains("10000 nope"));
    }

    #[test]
    fn the_page_size_that_was_used_decides_the_number_of_pages() {
        let info = |per_page, total| ResultInfo {
            page: Some(1),
            per_page: Some(per_page),
            total_count: Some(total),
            cursor: None,
        };
        assert_eq!(
            numbered(Some(&info(100, 3_000))).unwrap(),
            (Some(3_000), Next::Pages(30))
        );
        assert_eq!(numbered(Some(&info(1_000, 1_000))).unwrap().1, Next::Last);
        assert_eq!(numbered(Some(&info(1_000, 0))).unwrap().1, Next::Last);
        assert!(numbered(None).is_err());
    }
}
