//! Pull requests as the report names them.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::model::{PullRequestNumber, Repository};

/// A pull request as a heading.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PullRequestLine {
    /// Its repository.
    pub repository: Repository,
    /// Its number.
    pub number: PullRequestNumber,
    /// Its title.
    pub title: String,
    /// Its state.
    pub state: PullRequestState,
}

/// The state of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PullRequestState {
    /// It is open.
    Open,
    /// It was merged at this time.
    Merged(Option<DateTime<Utc>>),
    /// It was closed without a merge at this time.
    Closed(Option<DateTime<Utc>>),
    /// The repository has no pull request of this number.
    Missing,
    /// The state could not be read.
    Unknown,
}

impl PullRequestState {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged(_) => "merged",
            Self::Closed(_) => "closed",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }

    /// Returns when it ended.
    pub fn ended_at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Merged(at) | Self::Closed(at) => at,
            Self::Open | Self::Missing | Self::Unknown => None,
        }
    }
}

impl fmt::Display for PullRequestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (how, at) = match self {
            Self::Open => return f.write_str("open"),
            Self::Missing => return f.write_str("no such pull request"),
            Self::Unknown => return f.write_str("could not be read"),
            Self::Merged(at) => ("merged", at),
            Self::Closed(at) => ("closed", at),
        };
        match at {
            Some(at) => write!(f, "{how} {}", at.format("%Y-%m-%d")),
            None => write!(f, "{how} at an unknown time"),
        }
    }
}
