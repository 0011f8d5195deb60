//! The words that a policy file may use as a value, for the reader and the schema.

use super::rule::{Action, AgeClock, Born, DeathEvent, Missing, Per};
use super::slug::{Algorithm, Case, Strip};

/// Words, each with its value.
type WordValues<T> = &'static [(&'static str, T)];

/// The words of `dead-when`.
pub(super) const EVENTS: WordValues<DeathEvent> = &[
    ("closed", DeathEvent::Closed),
    ("merged", DeathEvent::Merged),
    ("branch-gone", DeathEvent::BranchGone),
    ("run-finished", DeathEvent::RunFinished),
];

/// The words of `clock`.
pub(super) const CLOCKS: WordValues<AgeClock> = &[
    ("created", AgeClock::Created),
    ("changed", AgeClock::Changed),
    ("merged", AgeClock::Merged),
    ("active", AgeClock::Active),
    ("named", AgeClock::Named),
];

/// The words of `per`.
pub(super) const PER: WordValues<Per> = &[("claim", Per::Claim), ("rule", Per::Rule)];

/// The words of `missing`.
pub(super) const MISSING: WordValues<Missing> = &[("keep", Missing::Keep), ("dead", Missing::Dead)];

/// The words of `born`.
pub(super) const BORN: WordValues<Born> = &[("any", Born::Any)];

/// The words of `action`.
pub(super) const ACTIONS: WordValues<Action> = &[
    ("delete", Action::Delete),
    ("report", Action::Report),
    ("expire", Action::Expire),
];

/// The words of `case`.
pub(super) const CASES: WordValues<Case> = &[
    ("lower", Case::Lower),
    ("upper", Case::Upper),
    ("keep", Case::Keep),
];

/// The words of `strip`.
pub(super) const STRIPS: WordValues<Strip> = &[
    ("none", Strip::None),
    ("before-cut", Strip::BeforeCut),
    ("both", Strip::Both),
];

/// The words of `algorithm`.
pub(super) const ALGORITHMS: WordValues<Algorithm> =
    &[("sha256", Algorithm::Sha256), ("sha1", Algorithm::Sha1)];

/// Returns the words without their values.
pub(super) fn of<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
    words.iter().map(|(word, _)| *word).collect()
}
