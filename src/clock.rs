//! The one place that reads the time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Wall time that moves with tokio's clock, so that paused and virtual time
/// reach everything.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall: DateTime<Utc>,
    started: Instant,
}

impl Clock {
    /// The machine's own time.
    pub fn system() -> Self {
        Self::starting_at(Utc::now())
    }

    /// A clock that shows this time now and goes on from there.
    pub fn starting_at(wall: DateTime<Utc>) -> Self {
        Self {
            wall,
            started: Instant::now(),
        }
    }

    /// When the run began: the `now` of every verdict.
    pub fn start(&self) -> DateTime<Utc> {
        self.wall
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.started.elapsed()).unwrap_or(TimeDelta::MAX);
        self.wall.checked_add_signed(elapsed).unwrap_or(self.wall)
    }

    /// How long the run has gone on.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
