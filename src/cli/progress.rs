//! Progress on stderr: live on a terminal, elsewhere only what a long wait is for,
//! nothing with `--quiet`.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::clock::Clock;
use crate::format::{moment, span};
use crate::gc::Outcome;
use crate::model::Api;
use crate::progress::{Observer, ProgressEvent};
use crate::providers;
use crate::report::brief::grouped;
use crate::report::escape;
use crate::wire::{LongWait, WaitListener};

/// Shows what is read and deleted.
pub(super) struct Progress {
    all: MultiProgress,
    /// What is being read or waited for.
    line: ProgressBar,
    state: Mutex<ShownProgress>,
    /// Whether long waits are printed on lines of their own.
    lines: bool,
}

#[derive(Default)]
struct ShownProgress {
    asked: usize,
    /// The line of each provider that a sweep writes to.
    providers: BTreeMap<Api, ProgressBar>,
}

/// Says what is waited for, and until when.
fn waiting(wait: LongWait, clock: Clock) -> String {
    let seconds = wait.wait.as_millis().div_ceil(1_000);
    let time = TimeDelta::seconds(i64::try_from(seconds).unwrap_or_default());
    let until = moment(clock.now() + time);
    let api = wait.api;
    format!(
        "the request quota of {api} is used up: waiting {} until {until}; the run ends at its \
         deadline (--deadline)",
        span(time)
    )
}

/// Returns the provider of a kind.
fn api_of(kind: &str) -> Option<Api> {
    Some(providers::by_name(kind)?.about().0.api)
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

    /// Returns who shows long waits: on a terminal in the line below, elsewhere in
    /// one of their own.
    pub(super) fn waits(&self, clock: Clock) -> WaitListener {
        let (line, lines) = (self.line.clone(), self.lines);
        Arc::new(move |wait| {
            let text = waiting(wait, clock);
            if lines {
                let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
            }
            line.set_message(text);
        })
    }

    pub(super) fn end(&self) {
        for bar in self.state().providers.values() {
            bar.finish_and_clear();
        }
        self.line.finish_and_clear();
        let _ = self.all.clear();
    }

    fn state(&self) -> MutexGuard<'_, ShownProgress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let _ = write!(text, "{:.1}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
}

impl Observer for Progress {
    fn step(&self, event: ProgressEvent<'_>) {
        match event {
            ProgressEvent::Listed(evidence) | ProgressEvent::Roots(evidence) => {
                tracing::info!(source = %evidence.source, scope = %evidence.scope, items = evidence.items, complete = evidence.complete, "read");
                let source = evidence.source.replace(['.', '_'], " ");
                self.line
                    .set_message(format!("{source}: {}", evidence.items));
            }
            ProgressEvent::Asking(count) => self.state().asked = count,
            ProgressEvent::Answered => {
                let mut state = self.state();
                state.asked = state.asked.saturating_sub(1);
                self.line
                    .set_message(format!("reading references: {} to go", state.asked));
            }
            ProgressEvent::Planned { kind, steps } => {
                let Some(api) = api_of(kind) else { return };
                let mut state = self.state();
                if let Some(bar) = state.providers.get(&api) {
                    bar.inc_length(steps as u64);
                    return;
                }
                let bar = self.all.add(ProgressBar::new(steps as u64));
                style(
                    &bar,
                    "{prefix:10} {bar:20} {pos}/{len}  {rate}  {eta} to go{msg}",
                );
                bar.set_prefix(api.to_string());
                state.providers.insert(api, bar);
            }
            ProgressEvent::Settled {
                kind,
                name,
                outcome,
                quota_left,
                ..
            } => {
                if let Some(bar) =
                    api_of(kind).and_then(|api| self.state().providers.get(&api).cloned())
                {
                    bar.inc(1);
                    if let Some(left) = quota_left {
                        bar.set_message(format!("  {} requests left", grouped(left as usize)));
                    }
                }
                let outcome = Outcome::words(outcome);
                let name = escape::terminal(name);
                self.line.set_message(format!("{kind} {name}: {outcome}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_for_what_and_until_when() {
        let clock = Clock::starting_at("2026-04-10T09:00:00Z".parse().unwrap());
        let wait = |seconds| LongWait {
            api: Api::Cloudflare,
            wait: Duration::from_secs(seconds),
        };
        let text = waiting(wait(86_400), clock);
        assert!(
            text.starts_with(&format!(
                "the request quota of Cloudflare is used up: waiting {} until 2026-04-11T09:00:0",
                span(TimeDelta::days(1))
            )),
            "{text}"
        );
        assert!(text.ends_with("(--deadline)"), "{text}");
    }
}
