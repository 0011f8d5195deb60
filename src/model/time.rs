//! The times of a resource, which an API may or may not return.

use chrono::{DateTime, Utc};

/// One of a resource's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The API said so.
    At(DateTime<Utc>),
    /// The API always says so, and this answer did not.
    Missing,
    /// The kind does not have it.
    Unsupported,
}

impl Time {
    /// The time, where it is known.
    pub fn known(self) -> Option<DateTime<Utc>> {
        match self {
            Self::At(at) => Some(at),
            Self::Missing | Self::Unsupported => None,
        }
    }

    /// The later of two; one that is missing could be the latest of all.
    #[must_use]
    pub fn latest(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing, _) | (_, Self::Missing) => Self::Missing,
            (Self::Unsupported, time) | (time, Self::Unsupported) => time,
            (Self::At(one), Self::At(other)) => Self::At(one.max(other)),
        }
    }

    /// A time that the API always returns.
    pub fn always(at: Option<DateTime<Utc>>) -> Self {
        at.map_or(Self::Missing, Self::At)
    }
}
