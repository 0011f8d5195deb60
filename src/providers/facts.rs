//! What the providers' documents leave open, and how an account answers it.

use bytes::Bytes;

use crate::call::Call;
use crate::kind::Malformed;
use crate::model::{Place, PlaceSort};

/// A question about a provider that only an account answers.
#[derive(Debug)]
pub struct OpenFact {
    /// Its stable name, such as `hyperdrive.default-page`.
    pub key: &'static str,
    /// What is expected, as a statement.
    pub expected: &'static str,
    /// Where it is asked.
    pub place: PlaceSort,
    /// How it is answered.
    pub settled_by: SettledBy,
}

/// How an open question is answered.
#[derive(Debug, Clone, Copy)]
pub enum SettledBy {
    /// By these reads.
    Reading {
        /// The requests.
        ask: fn(&Place) -> Vec<Call>,
        /// Reads their answers, in their order.
        read: fn(&[Bytes]) -> Result<FactAnswer, Malformed>,
    },
    /// Only by requests that change something.
    Writing,
}

/// What the answers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactAnswer {
    /// Whether it is as expected; none where they do not tell.
    pub as_expected: Option<bool>,
    /// What was seen, for people.
    pub seen: String,
}

impl OpenFact {
    /// A question that only requests answer which change something.
    pub(super) const fn by_writing(
        key: &'static str,
        place: PlaceSort,
        expected: &'static str,
    ) -> Self {
        Self {
            key,
            expected,
            place,
            settled_by: SettledBy::Writing,
        }
    }
}
