//! What a resource belongs to according to its name: a pull request, a git
//! branch, the slug of one, an Actions run.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use serde::Serialize;

/// A pull request's number: 1 to 2147483647, as GitHub's own type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PullRequestNumber(NonZeroU32);

impl PullRequestNumber {
    /// A number that GitHub could give.
    pub fn new(number: u32) -> Option<Self> {
        (number <= i32::MAX.unsigned_abs())
            .then(|| NonZeroU32::new(number))
            .flatten()
            .map(Self)
    }

    /// Reads the digits of a name: ASCII, no sign, no leading zero.
    pub fn parse(digits: &str) -> Option<Self> {
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Self::new(digits.parse().ok()?)
    }

    /// The plain number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for PullRequestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of an Actions run: 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RunId(NonZeroU64);

impl RunId {
    /// Reads the digits of a name: ASCII, no sign, no leading zero.
    pub fn parse(digits: &str) -> Option<Self> {
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }

    /// The plain number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a resource's name says it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A pull request, by number.
    PullRequest(PullRequestNumber),
    /// A git branch, by its raw name.
    Branch(Box<str>),
    /// Whatever git branch this slug was made of.
    Slug {
        /// The function that made it.
        function: Box<str>,
        /// The slug.
        text: Box<str>,
    },
    /// An Actions run.
    Run(RunId),
    /// Nothing else: only its own age counts.
    Itself,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullRequest(number) => write!(f, "pull request #{number}"),
            Self::Branch(branch) => write!(f, "git branch {branch}"),
            Self::Slug { function, text } => write!(f, "slug {text} ({function})"),
            Self::Run(run) => write!(f, "Actions run {run}"),
            Self::Itself => f.write_str("its own age"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_number_is_what_github_could_give() {
        let read = |text| PullRequestNumber::parse(text).map(PullRequestNumber::get);
        assert_eq!(read("1"), Some(1));
        assert_eq!(read("2147483647"), Some(2_147_483_647));
        for text in [
            "",
            "0",
            "012",
            "+1",
            "2147483648",
            "24308663446",
            "１２",
            "1a",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
