//! The words that a policy file may use as a value, for the reader and the schema.

use super::rule::{Action, AgeClock, Born, DeathEvent, Missing, Per};
use super::slug::{Algorithm, Case, Strip};

/// Words, each with its value.
type WordValues<T, const N: usize> = [(&'static str, T); N];

/// The words of `dead-when`.
pub(super) const EVENTS: WordValues<DeathEvent, 4> = [
    ("closed", DeathEvent::Closed),
    ("merged", DeathEvent::Merged),
    ("branch-gone", DeathEvent::BranchGone),
    ("run-finished", DeathEvent::RunFinished),
];

/// The words of `clock`.
pub(super) const CLOCKS: WordValues<AgeClock, 5> = [
    ("created", AgeClock::Created),
    ("changed", AgeClock::Changed),
    ("merged", AgeClock::Merged),
    ("active", AgeClock::Active),
    ("named", AgeClock::Named),
];

/// The words of `per`.
pub(super) const PER: WordValues<Per, 2> = [("claim", Per::Claim), ("rule", Per::Rule)];

/// The words of `missing`.
pub(super) const MISSING: WordValues<Missing, 2> =
    [("keep", Missing::Keep), ("dead", Missing::Dead)];

/// The words of `born`.
pub(super) const BORN: WordValues<Born, 1> = [("any", Born::Any)];

/// The words of `action`.
pub(super) const ACTIONS: WordValues<Action, 3> = [
    ("delete", Action::Delete),
    ("report", Action::Report),
    ("expire", Action::Expire),
];

/// The words of `case`.
pub(super) const CASES: WordValues<Case, 3> = [
    ("lower", Case::Lower),
    ("upper", Case::Upper),
    ("keep", Case::Keep),
];

/// The words of `strip`.
pub(super) const STRIPS: WordValues<Strip, 3> = [
    ("none", Strip::None),
    ("before-cut", Strip::BeforeCut),
    ("both", Strip::Both),
];

/// The words of `algorithm`.
pub(super) const ALGORITHMS: WordValues<Algorithm, 2> =
    [("sha256", Algorithm::Sha256), ("sha1", Algorithm::Sha1)];

/// Returns the words without their values.
pub(super) fn of<T: Copy, const N: usize>(words: &WordValues<T, N>) -> [&'static str; N] {
    words.map(|(word, _)| word)
}
