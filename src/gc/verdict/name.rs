//! The verdicts without their reasons.

use std::fmt;

/// The seven verdicts without their reasons, in the order in which summaries
/// count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerdictName {
    /// [`Verdict::Garbage`](super::Verdict::Garbage)
    Garbage,
    /// [`Verdict::Grace`](super::Verdict::Grace)
    Grace,
    /// [`Verdict::Unknown`](super::Verdict::Unknown)
    Unknown,
    /// [`Verdict::InUse`](super::Verdict::InUse)
    InUse,
    /// [`Verdict::Live`](super::Verdict::Live)
    Live,
    /// [`Verdict::Protected`](super::Verdict::Protected)
    Protected,
    /// [`Verdict::Unmatched`](super::Verdict::Unmatched)
    Unmatched,
}

impl VerdictName {
    /// All verdicts, in the order in which summaries count them.
    pub const ALL: [Self; 7] = [
        Self::Garbage,
        Self::Grace,
        Self::Unknown,
        Self::InUse,
        Self::Live,
        Self::Protected,
        Self::Unmatched,
    ];

    /// Returns the name in JSON, CSV and metrics.
    pub fn key(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Grace => "grace",
            Self::Unknown => "unknown",
            Self::InUse => "in_use",
            Self::Live => "live",
            Self::Protected => "protected",
            Self::Unmatched => "unmatched",
        }
    }

    /// Returns the name for use after a count: "3 in grace".
    pub fn counted(self) -> &'static str {
        match self {
            Self::Grace => "in grace",
            Self::InUse => "in use",
            other => other.key(),
        }
    }
}

/// The name for people.
impl fmt::Display for VerdictName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.counted())
    }
}
