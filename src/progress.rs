//! Progress events of a run.

use crate::evidence::Evidence;

/// A progress event, sent while evidence is gathered.
#[derive(Debug, Clone, Copy)]
pub enum ProgressEvent<'a> {
    /// A listing ended.
    Listed(&'a Evidence),
    /// Pull requests were asked for.
    Roots(&'a Evidence),
    /// This many references are asked for.
    Asking(usize),
    /// One of them was answered.
    Answered,
    /// So many steps of a plan are about this kind.
    Planned {
        /// The kind of the resources.
        kind: &'static str,
        /// The number of steps.
        steps: usize,
    },
    /// A step of a plan is over.
    Settled {
        /// The kind of its resource.
        kind: &'static str,
        /// Its name.
        name: &'a str,
        /// Its id.
        id: &'a str,
        /// What became of it.
        outcome: &'static str,
        /// Requests that the provider's quota still allows for everybody, as far as
        /// it is known.
        quota_left: Option<u32>,
    },
}

/// Receives progress events.
pub trait Observer: Sync {
    /// Handles one event.
    fn step(&self, event: ProgressEvent<'_>);
}

/// Ignores all events.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Observer for Unwatched {
    fn step(&self, _event: ProgressEvent<'_>) {}
}
