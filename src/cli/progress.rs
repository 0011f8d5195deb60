//! Progress on stderr, on a terminal only.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::evidence::{Observer, Step};

/// Shows what is being read.
pub(super) struct Progress {
    bar: ProgressBar,
    asked: Mutex<usize>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        } else {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        };
        bar.set_message("listing resources");
        Self {
            bar,
            asked: Mutex::new(0),
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn step(&self, step: Step<'_>) {
        let mut asked = self
            .asked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match step {
            Step::Listed(evidence) | Step::Roots(evidence) => {
                tracing::info!(source = %evidence.source, scope = %evidence.scope, items = evidence.items, complete = evidence.complete, "read");
                self.bar
                    .set_message(format!("{}: {}", evidence.source, evidence.items));
            }
            Step::Settled { kind, outcome } => {
                self.bar.set_message(format!("{kind}: {outcome}"));
            }
            Step::Asking(count) => *asked = count,
            Step::Answered => {
                *asked = asked.saturating_sub(1);
                self.bar
                    .set_message(format!("reading references: {asked} to go"));
            }
        }
    }
}
