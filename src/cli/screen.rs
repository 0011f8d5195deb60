//! The terminal of the interactive audit, and where progress is shown.

use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::RunFailure;
use super::progress::Progress;
use crate::progress::{Observer, ProgressEvent};
use crate::tui::{App, Live, draw};

/// The terminal. It is restored on drop, also after a panic.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    pub(super) events: UnboundedReceiver<Event>,
}

impl Screen {
    /// Takes over the terminal.
    pub(super) fn open() -> Result<Self, RunFailure> {
        let terminal = ratatui::try_init()
            .map_err(|error| RunFailure::Unexpected(format!("cannot use the terminal: {error}")))?;
        let (sender, events) = unbounded_channel();
        // Reads on a separate thread, because it may block forever.
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Self { terminal, events })
    }

    /// Draws the session.
    pub(super) fn draw(&mut self, app: &App, live: &Live) -> Result<(), RunFailure> {
        let drawn = self.terminal.draw(|frame| draw(app, live, frame));
        drawn
            .map(drop)
            .map_err(|error| RunFailure::Unexpected(format!("cannot draw: {error}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Receives progress events: prints them to stderr until the screen is open,
/// then shows them on the screen.
pub(super) struct ProgressRouter<'a> {
    pub(super) before: &'a Progress,
    pub(super) live: &'a Live,
    pub(super) on_screen: AtomicBool,
}

impl Observer for ProgressRouter<'_> {
    fn step(&self, event: ProgressEvent<'_>) {
        if self.on_screen.load(Ordering::Relaxed) {
            self.live.step(event);
        } else {
            self.before.step(event);
        }
    }
}
