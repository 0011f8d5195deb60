//! Zones: the places of DNS records and routes, listed and looked up by name.

use serde::Deserialize;

use super::envelope::{numbered, open};
use crate::call::Call;
use crate::kind::{Malformed, NextPage};
use crate::model::identifier::{host_name, is_hexadecimal_id};
use crate::model::{Api, Place};

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
pub fn zones(body: &[u8], account: &str) -> Result<(Vec<Place>, Option<u64>, NextPage), Malformed> {
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
pub enum NoUsableZone {
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

impl NoUsableZone {
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
pub fn zone(body: &[u8], account: &str, wanted: &str) -> Result<Place, NoUsableZone> {
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
        NoUsableZone::Absent { zone, account }
    })?;
    let owner = zone.account.and_then(|account| account.id);
    if owner.as_deref().is_some_and(|owner| owner != account) {
        let (zone, account) = names();
        return Err(NoUsableZone::Elsewhere { zone, account });
    }
    Ok(Place::Zone {
        id: zone.id,
        name: host_name(&zone.name).into_owned(),
        account: account.to_owned(),
    })
}
