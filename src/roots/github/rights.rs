//! The permissions of a token that roots need, and how to check them.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A permission of a token to read something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Pull requests.
    PullRequests,
    /// Git branches.
    Branches,
    /// Actions runs.
    Runs,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 3] = [Self::PullRequests, Self::Branches, Self::Runs];

    /// Returns what is read.
    pub fn title(self) -> &'static str {
        match self {
            Self::PullRequests => "pull requests",
            Self::Branches => "git branches",
            Self::Runs => "Actions runs",
        }
    }

    /// Returns the permission as GitHub calls it.
    pub fn permission(self) -> &'static str {
        match self {
            Self::PullRequests => "Pull requests: read",
            Self::Branches => "Contents: read",
            Self::Runs => "Actions: read",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::PullRequests => "/pulls?per_page=1",
            Self::Branches => "/branches?per_page=1",
            Self::Runs => "/actions/runs?per_page=1",
        }
    }

    /// Parses the list at its path, only to check its form.
    pub(super) fn read(self, body: &[u8]) -> Result<(), serde_json::Error> {
        #[derive(Deserialize)]
        struct Runs {
            #[serde(rename = "workflow_runs")]
            _runs: Vec<IgnoredAny>,
        }
        match self {
            Self::PullRequests | Self::Branches => {
                serde_json::from_slice::<Vec<IgnoredAny>>(body).map(drop)
            }
            Self::Runs => serde_json::from_slice::<Runs>(body).map(drop),
        }
    }
}
