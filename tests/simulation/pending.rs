//! The safety rules of which the draw and the oracle know, and which can be
//! switched on one by one. A rule that is off is neither drawn nor judged.

/// A numbered resource that was made outside of its pull request's life is
/// kept: an account that another repository shares has its numbers.
pub const BIRTH_WINDOW: bool = true;

/// An Actions run is asked for by its id, however old the resource is, and a
/// run that is not there keeps.
pub const RUNS_BY_ID: bool = true;

/// An open pull request from a fork keeps what its head names.
pub const OPEN_FORKS_KEEP: bool = true;

/// A custom domain or route whose host does not have the claim keeps its Worker.
pub const TRAFFIC_KEEPS: bool = true;

/// No consumer is removed from a queue that stays.
pub const CONSUMERS_OF_WHAT_STAYS: bool = true;

/// A `protect` entry of a file without any scope holds for all files.
pub const PROTECT_EVERYWHERE: bool = true;

/// An age rule on a number keeps what belongs to an open pull request.
pub const AGE_KEEPS_OPEN: bool = true;

/// The machine's clock differs from the providers' by hours or days.
pub const CLOCK_SKEW: bool = true;

/// A Worker is in use that only a version binds which serves traffic and is not
/// the latest.
pub const SERVING_VERSIONS_KEEP_WORKERS: bool = true;

/// What ended exactly one grace ago is still kept.
pub const STRICT_LIMITS: bool = true;

/// A backlog drains also where a run's share of the quota is too small to read
/// what all Workers bind: what one run did not read comes first in the next.
pub const SMALL_QUOTAS_DRAIN: bool = true;
