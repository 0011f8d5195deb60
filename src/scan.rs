//! Reads what exists: pages every kind in every place, and answers questions
//! about references. Read only.

mod follow_up;
mod listing;
mod questions;
mod users;
mod uses;
mod zones;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use self::listing::inventory;
pub use self::questions::answer;
pub use self::uses::Budget;
pub use self::zones::{ZoneLookupFailure, zone, zones};
use crate::kind::{Kind, Malformed};
use crate::model::{Place, ResourceId};
use crate::wire::{ApiError, Client, RequestFailure};

/// Far beyond any real listing: a longer one has a broken cursor.
const MAX_PAGES: u64 = 100_000;

/// A kind to list in a place.
#[derive(Clone)]
pub struct Target {
    /// The kind to list.
    pub kind: &'static dyn Kind,
    /// The place to list.
    pub place: Arc<Place>,
    /// Whether a rule depends on it.
    pub needed: bool,
    /// Whether its resources are listed only because they may use others.
    pub user_only: bool,
    /// Whether it is listed only for those holders whose own resource is garbage.
    pub on_demand: bool,
    /// Whether a rule asks when each was last active.
    pub activity: bool,
    /// Whether a rule asks which of them their holders serve.
    pub served: bool,
    /// Whether production is listed too, where a listing can leave it out.
    pub production: bool,
    /// Only what these hold, where its kind has holders.
    pub holders: Option<BTreeSet<Box<str>>>,
}

impl Target {
    /// A kind in a place, without its details and what rules ask for.
    pub fn plain(kind: &'static dyn Kind, place: &Arc<Place>) -> Self {
        Self {
            kind,
            place: Arc::clone(place),
            needed: false,
            user_only: false,
            on_demand: false,
            activity: false,
            served: false,
            production: true,
            holders: None,
        }
    }

    /// A kind in a place, with its details and nothing else that rules ask for.
    pub fn alone(kind: &'static dyn Kind, place: &Arc<Place>) -> Self {
        Self {
            needed: true,
            user_only: true,
            ..Self::plain(kind, place)
        }
    }

    /// The same, as far as these resources depend on it: of what is listed by
    /// holder only what holds them, or what they hold.
    #[must_use]
    pub fn among(&self, of: &[ResourceId]) -> Self {
        let about = self.kind.about();
        let mut target = self.clone();
        if about.0.holder.is_some() {
            let holders = of.iter().filter_map(|id| {
                if id.kind == about {
                    id.holder.clone()
                } else {
                    (about.0.belongs_to == Some(id.kind.name())).then(|| id.name.clone())
                }
            });
            target.holders = Some(holders.collect());
        }
        target
    }
}

/// Why a listing did not come to its end.
enum ListingFailure {
    /// The provider refused; asking again at once would change nothing.
    Refused(ApiError),
    /// The pages do not fit together; they may have shifted while they were
    /// read.
    Disagrees(String),
}

impl From<ApiError> for ListingFailure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<Malformed> for ListingFailure {
    fn from(error: Malformed) -> Self {
        Self::Disagrees(error.to_string())
    }
}

impl ListingFailure {
    /// Whether the quota or the time for it is used up.
    fn is_about_the_quota(&self) -> bool {
        match self {
            Self::Refused(error) => {
                matches!(
                    error.failure,
                    RequestFailure::Withheld { .. } | RequestFailure::Deadline
                )
            }
            Self::Disagrees(_) => false,
        }
    }

    /// The reason, without any token that an answer said back.
    fn reason(self, client: &Client) -> String {
        match self {
            Self::Refused(error) => error.to_string(),
            Self::Disagrees(why) => client.redact(&why),
        }
    }
}
