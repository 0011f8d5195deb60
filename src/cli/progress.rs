//! Progress on stderr: live on a terminal, otherwise one line per step of a
//! sweep, nothing with `--quiet`.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Observer, ProgressEvent};
use crate::report::escape;

/// Shows what is read and deleted.
pub(super) struct Progress {
    all: MultiProgress,
    /// What is being read; during a sweep, the quota.
    line: ProgressBar,
    state: Mutex<ProgressState>,
    /// Whether each step is printed on its own line.
    lines: bool,
}

#[derive(Default)]
struct ProgressState {
    asked: usize,
    kinds: BTreeMap<&'static str, ProgressBar>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let all = MultiProgress::with_draw_target(target);
        let line = all.add(ProgressBar::new_spinner());
        style(&line, "{spinner} {msg}");
        if !quiet && terminal {
            line.enable_steady_tick(Duration::from_millis(100));
        }
        line.set_message("listing resources");
        Self {
            all,
            line,
            state: Mutex::default(),
            lines: !quiet && !terminal,
        }
    }

    pub(super) fn end(&self) {
        for bar in self.state().kinds.values() {
            bar.finish_and_clear();
        }
        self.line.finish_and_clear();
        let _ = self.all.clear();
    }

    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

impl Observer for Progress {
    fn step(&self, event: ProgressEvent<'_>) {
        match event {
            ProgressEvent::Listed(evidence) | ProgressEvent::Roots(evidence) => {
                tracing::info!(source = %evidence.source, scope = %evidence.scope, items = evidence.items, complete = evidence.complete, "read");
                self.line
                    .set_message(format!("{}: {}", evidence.source, evidence.items));
            }
            ProgressEvent::Asking(count) => self.state().asked = count,
            ProgressEvent::Answered => {
                let mut state = self.state();
                state.asked = state.asked.saturating_sub(1);
                self.line
                    .set_message(format!("reading references: {} to go", state.asked));
            }
            ProgressEvent::Planned { kind, steps } => {
                let bar = self.all.add(ProgressBar::new(steps as u64));
                style(
                    &bar,
                    "{prefix:16} {wide_bar} {pos}/{len} {per_sec} {eta} to go",
                );
                bar.set_prefix(kind);
                self.state().kinds.insert(kind, bar);
            }
            ProgressEvent::Settled {
                kind,
                name,
                outcome,
                quota_left,
                ..
            } => {
                if let Some(bar) = self.state().kinds.get(kind) {
                    bar.inc(1);
                }
                let left = quota_left.map(|left| format!("; {left} requests left for everybody"));
                let left = left.unwrap_or_default();
                let outcome = outcome.replace('_', " ");
                let name = escape::terminal(name);
                self.line
                    .set_message(format!("{kind} {name}: {outcome}{left}"));
                if self.lines {
                    let line = format!("{kind} {name}: {outcome}\n");
                    let _ = std::io::stderr().write_all(line.as_bytes());
                }
            }
        }
    }
}
