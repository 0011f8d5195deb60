//! Looks up the zones of an account.

use crate::evidence::Evidence;
use crate::kind::NextPage;
use crate::model::Place;
use crate::providers::cloudflare::zones as api;
use crate::wire::Client;

/// A zone that does not exist or could not be looked up.
#[derive(Debug, Clone)]
pub struct ZoneLookupFailure {
    /// What was asked, and why there is no answer.
    pub evidence: Evidence,
    /// Whether the answer is that the account has no such zone. Otherwise the
    /// look-up was refused or failed.
    pub absent: bool,
}

/// Lists every zone of an account that the token sees.
///
/// # Errors
///
/// Why they are not known.
pub async fn zones(client: &Client, account: &str) -> Result<Vec<Place>, Evidence> {
    let mut requests = 0;
    let listed = async {
        let mut all = Vec::new();
        let mut page = 1;
        loop {
            requests += 1;
            let call = api::list_zones(account, page);
            let body = client
                .send(&call)
                .await
                .map_err(|error| error.to_string())?;
            let read = api::zones(&body, account);
            let (zones, total, next) = read.map_err(|error| client.redact(&error.0))?;
            all.extend(zones);
            match next {
                NextPage::Pages(pages) if page < pages.min(MAX_ZONE_PAGES) => page += 1,
                _ if total.is_none_or(|total| total == all.len() as u64) => return Ok(all),
                _ => {
                    return Err(format!(
                        "{} zones were listed where Cloudflare counts {}",
                        all.len(),
                        total.unwrap_or_default()
                    ));
                }
            }
        }
    };
    let listed: Result<Vec<Place>, String> = listed.await;
    listed.map_err(|why| Evidence {
        source: "cloudflare.zones".to_owned(),
        scope: format!("account {account}"),
        requests,
        items: 0,
        total: None,
        complete: false,
        gap: Some(format!(
            "{why}; routes of its zones may send visitors to Workers (permission Zone Read)"
        )),
        needed: true,
    })
}

/// The maximum number of pages of zones that are read of one account.
const MAX_ZONE_PAGES: u64 = 100;

/// Finds a zone of an account by name or id.
///
/// # Errors
///
/// Why there is none.
pub async fn zone(
    client: &Client,
    account: &str,
    wanted: &str,
) -> Result<Place, ZoneLookupFailure> {
    let answer = client
        .send(&api::find_zone(account, wanted))
        .await
        .map_err(|error| (error.to_string(), false))
        .and_then(|body| {
            api::zone(&body, account, wanted)
                .map_err(|none| (client.redact(&none.to_string()), none.is_absent()))
        });
    answer.map_err(|(why, absent)| ZoneLookupFailure {
        evidence: Evidence {
            source: "cloudflare.zone".to_owned(),
            scope: format!("zone {wanted}"),
            requests: 1,
            items: 0,
            total: None,
            complete: false,
            gap: Some(why),
            needed: true,
        },
        absent,
    })
}
