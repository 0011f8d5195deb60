//! How and when a resource died, and what it waits for before it is garbage.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Claim, KindName, PullRequestNumber, RunId};

/// What a resource waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The end of its grace.
    Grace {
        /// How it died.
        death: Death,
        /// When its grace ends; never without a time of its own.
        grace_ends_at: Option<DateTime<Utc>>,
    },
    /// The provider removes it soon by itself.
    Expires {
        /// When.
        at: DateTime<Utc>,
    },
}

/// How and when a resource died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// By what.
    pub cause: Cause,
    /// The latest of that event and the resource's own creation and change.
    pub dead_since: Option<DateTime<Utc>>,
    /// When its grace ended.
    pub grace_ends_at: Option<DateTime<Utc>>,
    /// Whether the rule only asks for a report.
    pub report_only: bool,
}

/// What a resource died of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its pull request ended.
    Ended {
        /// The pull request.
        number: PullRequestNumber,
        /// Whether it was merged.
        merged: bool,
        /// When.
        at: DateTime<Utc>,
    },
    /// Its git branch is gone, and the last pull request from it ended.
    BranchGone {
        /// The branch.
        branch: Box<str>,
        /// That pull request.
        number: PullRequestNumber,
        /// Whether it was merged.
        merged: bool,
        /// When it ended.
        at: DateTime<Utc>,
    },
    /// Its Actions run has completed.
    RunFinished {
        /// The id of the run.
        run: RunId,
        /// When it last changed.
        at: DateTime<Utc>,
    },
    /// What it belongs to does not exist, which its rule treats as dead.
    Missing(Claim),
    /// Its open pull request has lost a label.
    LabelLost {
        /// The pull request.
        number: PullRequestNumber,
        /// The label.
        label: Box<str>,
        /// When.
        at: DateTime<Utc>,
    },
    /// So many newer ones have taken its place.
    Superseded {
        /// How many the rule asks for.
        newer: usize,
        /// When that many of them were there.
        at: DateTime<Utc>,
    },
    /// What it points at does not exist.
    TargetGone {
        /// The kind of that.
        kind: KindName,
        /// Its id.
        id: Box<str>,
    },
    /// It is older than its rule allows.
    Age {
        /// The age that it exceeds.
        longer_than: TimeDelta,
    },
}
