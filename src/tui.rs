//! The interactive audit: a table to browse, explain, mark and delete
//! resources. It is a pure function of a report, of key presses and of progress
//! events; the command line owns the terminal.

mod live;
mod proposal;
mod table;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use crate::gc::Outcome;
use crate::report::explain::{self, ExplainStyle};
use crate::report::{Report, Row, escape};
use crate::sweep::StepRow;

pub use self::live::Live;
pub use proposal::DeletionProposal;
pub use table::{Item, Order, Tab, TableLine};
pub use view::draw;

/// What the session has to do after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Quit.
    Quit,
    /// Refresh: audit again.
    Reload,
    /// Delete the marked resources; the user typed their number.
    Delete,
    /// Restore the resources with these keys.
    Restore(Vec<String>),
    /// Write the visible rows to a file.
    Export(String),
    /// Start no more steps; the second time, stop at once.
    Interrupt,
}

/// What is on the screen besides the table.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Browse,
    Filter,
    Help,
    /// Waits until the user types the number of steps.
    Confirm(Confirm),
    Export,
    /// A task is in progress; marks cannot be changed.
    Busy,
}

/// The confirmation before a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Confirm {
    /// Number of steps.
    steps: usize,
    /// Further notes.
    notes: Vec<String>,
}

/// The result for a resource in this session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionResult {
    /// The outcome.
    pub outcome: Outcome,
    /// The reason.
    pub reason: String,
    /// The run whose journal records it.
    pub run: Option<String>,
    /// If it was restored since, details for people.
    pub restored: Option<String>,
}

/// The interactive audit.
#[derive(Debug)]
pub struct App {
    report: Arc<Report>,
    items: Vec<Item>,
    /// Results by key.
    results: BTreeMap<String, SessionResult>,
    marked: BTreeSet<String>,
    tab: Tab,
    order: Order,
    grouped: bool,
    filter: Input,
    typed: Input,
    /// The lines of the table.
    lines: Vec<TableLine>,
    /// The line under the cursor: always an item, if there are any.
    cursor: usize,
    detail: bool,
    scroll: u16,
    mode: Mode,
    /// A message that is shown until the next key.
    message: String,
    colour: bool,
}

impl App {
    /// Creates a session with this report.
    pub fn new(report: Report, colour: bool) -> Self {
        let mut app = Self {
            items: table::items(&report),
            report: Arc::new(report),
            results: BTreeMap::new(),
            marked: BTreeSet::new(),
            tab: Tab::All,
            order: Order::PullRequest,
            grouped: true,
            filter: Input::default(),
            typed: Input::default(),
            lines: Vec::new(),
            cursor: 0,
            detail: false,
            scroll: 0,
            mode: Mode::Browse,
            message: String::new(),
            colour,
        };
        app.arrange();
        app
    }

    /// Replaces the report. Resources that this session deleted stay visible.
    pub fn renew(&mut self, report: Report) {
        let mut items = table::items(&report);
        let there: BTreeSet<String> = items.iter().map(|item| item.row.key.clone()).collect();
        let gone = std::mem::take(&mut self.items).into_iter().filter(|item| {
            let key = &item.row.key;
            self.results.contains_key(key) && !there.contains(key)
        });
        items.extend(gone.map(|item| Item { gone: true, ..item }));
        self.items = items;
        self.report = Arc::new(report);
        let can = self.items.iter().filter(|item| item.can_be_marked());
        let can: BTreeSet<String> = can.map(|item| item.row.key.clone()).collect();
        self.marked.retain(|key| can.contains(key));
        self.mode = Mode::Browse;
        self.arrange();
    }

    /// Returns the report that is shown.
    pub fn report(&self) -> &Arc<Report> {
        &self.report
    }

    /// Returns the keys of the marked resources.
    pub fn marked(&self) -> &BTreeSet<String> {
        &self.marked
    }

    /// Returns the results of this session, by key.
    pub fn results(&self) -> &BTreeMap<String, SessionResult> {
        &self.results
    }

    /// Returns the visible rows as a report.
    pub fn visible(&self) -> Report {
        let rows = self.lines.iter().filter_map(|line| match line {
            TableLine::Item(index) => Some(self.items[*index].row.key.clone()),
            TableLine::Heading(_) => None,
        });
        self.report.only(&rows.collect())
    }

    /// Returns kind and id of a resource, also of a deleted one.
    pub fn known(&self, key: &str) -> Option<(&'static str, String)> {
        let mut items = self.items.iter();
        let item = items.find(|item| item.row.key == key)?;
        Some((item.row.kind.name(), item.row.id.clone()))
    }

    /// Returns the rows of resources that this session deleted and that are gone.
    pub fn gone_rows(&self) -> impl Iterator<Item = &Row> {
        let gone = self.items.iter().filter(|item| item.gone);
        gone.map(|item| &item.row)
    }

    /// Returns whether a resource was restored in this session.
    pub fn was_restored(&self, key: &str) -> bool {
        let result = self.results.get(key);
        result.is_some_and(|result| result.restored.is_some())
    }

    /// Shows a message until the next key.
    pub fn show_message(&mut self, text: impl Into<String>) {
        self.message = text.into();
    }

    /// Shows that a task is in progress.
    pub fn begin(&mut self, text: &str) {
        self.mode = Mode::Busy;
        text.clone_into(&mut self.message);
    }

    /// Shows that no task is in progress any more.
    pub fn end(&mut self) {
        self.mode = Mode::Browse;
        self.message.clear();
    }

    /// Asks the user to type the number of resources to delete.
    pub fn confirm(&mut self, steps: usize, notes: Vec<String>) {
        self.typed = Input::default();
        self.mode = Mode::Confirm(Confirm { steps, notes });
    }

    /// Records the results of a sweep.
    pub fn settle(&mut self, steps: &[StepRow], run: Option<&str>) {
        for step in steps {
            let Some(item) = self.items.iter().find(|item| item.row.key == step.key) else {
                continue;
            };
            let result = SessionResult {
                outcome: step.outcome,
                reason: step.reason.clone(),
                run: run.map(str::to_owned),
                restored: None,
            };
            if step.outcome.is_gone() {
                self.marked.remove(&item.row.key);
            }
            self.results.insert(item.row.key.clone(), result);
        }
        let gone: BTreeSet<&String> = self
            .results
            .iter()
            .filter(|(_, result)| result.outcome.is_gone())
            .map(|(key, _)| key)
            .collect();
        for item in &mut self.items {
            item.gone |= gone.contains(&item.row.key);
        }
    }

    /// Records that a resource was restored, or why not.
    pub fn restored(&mut self, key: &str, details: String) {
        if let Some(result) = self.results.get_mut(key) {
            result.restored = Some(details);
        }
    }

    fn arrange(&mut self) {
        let under = self.current().map(|item| item.row.key.clone());
        self.lines = table::lines(
            &self.items,
            self.tab,
            self.order,
            self.grouped,
            self.filter.value(),
        );
        let same = |line: &TableLine| match line {
            TableLine::Item(index) => Some(&self.items[*index].row.key) == under.as_ref(),
            TableLine::Heading(_) => false,
        };
        let kept = self.lines.iter().position(same);
        self.cursor = kept.unwrap_or(self.cursor);
        self.step(0);
    }

    /// Returns the item under the cursor.
    fn current(&self) -> Option<&Item> {
        match self.lines.get(self.cursor)? {
            TableLine::Item(index) => self.items.get(*index),
            TableLine::Heading(_) => None,
        }
    }

    /// Moves the cursor by a number of items, up to the first or last one.
    fn step(&mut self, by: isize) {
        let is_item = |line: &(usize, &TableLine)| matches!(line.1, TableLine::Item(_));
        let places: Vec<usize> = self
            .lines
            .iter()
            .enumerate()
            .filter(is_item)
            .map(|(at, _)| at)
            .collect();
        let at = places.partition_point(|&place| place < self.cursor);
        let wanted = at
            .saturating_add_signed(by)
            .min(places.len().saturating_sub(1));
        self.cursor = places.get(wanted).copied().unwrap_or(0);
        if by != 0 {
            self.scroll = 0;
        }
    }

    /// Handles a key, a paste or a resize.
    pub fn on(&mut self, event: &Event) -> Option<Command> {
        let Event::Key(key) = event else { return None };
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control_c =
            key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        if control_c {
            return Some(Command::Interrupt);
        }
        match self.mode.clone() {
            Mode::Busy => (key.code == KeyCode::Char('q')).then_some(Command::Interrupt),
            Mode::Help => {
                self.mode = Mode::Browse;
                None
            }
            Mode::Browse => {
                self.message.clear();
                self.browse(*key)
            }
            Mode::Filter => {
                self.filter(event, key.code);
                None
            }
            Mode::Confirm(confirm) => self.answer(&confirm, event, key.code),
            Mode::Export => self.name_file(event, key.code),
        }
    }

    fn browse(&mut self, key: KeyEvent) -> Option<Command> {
        match key.code {
            KeyCode::Char('q') => return Some(Command::Quit),
            KeyCode::Esc => {
                if self.detail {
                    self.detail = false;
                } else {
                    self.filter = Input::default();
                    self.arrange();
                }
            }
            KeyCode::Char('?') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Tab | KeyCode::Right => self.turn(self.tab.next()),
            KeyCode::BackTab | KeyCode::Left => self.turn(self.tab.before()),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.show_message(format!("sorted by {}", self.order.name()));
                self.arrange();
            }
            KeyCode::Char('g') => {
                self.grouped = !self.grouped;
                self.arrange();
            }
            KeyCode::Enter => self.detail = !self.detail,
            KeyCode::Char('J') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Char('K') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Char(' ') => self.mark(),
            KeyCode::Char('p') => self.mark_group(),
            KeyCode::Char('c') => self.marked.clear(),
            KeyCode::Char('r') => return Some(Command::Reload),
            KeyCode::Char('d') => {
                if self.marked.is_empty() {
                    self.show_message("nothing is marked: press space to mark garbage");
                } else {
                    return Some(Command::Delete);
                }
            }
            KeyCode::Char('u') => return self.undo(),
            KeyCode::Char('e') => {
                self.typed = Input::new("preview-gc.csv".to_owned());
                self.mode = Mode::Export;
            }
            _ => {}
        }
        None
    }

    fn turn(&mut self, tab: Tab) {
        self.tab = tab;
        self.arrange();
    }

    fn mark(&mut self) {
        let Some(item) = self.current() else { return };
        let key = item.row.key.clone();
        if item.can_be_marked() {
            if !self.marked.remove(&key) {
                self.marked.insert(key);
            }
            self.step(1);
        } else {
            let why = item.why_not();
            self.show_message(why);
        }
    }

    /// Marks all visible garbage in the group of the current item, or clears
    /// these marks if all of it is marked.
    fn mark_group(&mut self) {
        let Some(group) = self.current().map(|item| item.group.clone()) else {
            return;
        };
        let shown = self.lines.iter().filter_map(|line| match line {
            TableLine::Item(index) => self.items.get(*index),
            TableLine::Heading(_) => None,
        });
        let of_group = shown.filter(|item| item.group == group);
        let keys: Vec<String> = of_group
            .filter(|item| item.can_be_marked())
            .map(|item| item.row.key.clone())
            .collect();
        if keys.is_empty() {
            self.show_message(format!("nothing of {group} is garbage"));
        } else if keys.iter().all(|key| self.marked.contains(key)) {
            self.marked.retain(|key| !keys.contains(key));
        } else {
            self.marked.extend(keys);
        }
    }

    fn undo(&mut self) -> Option<Command> {
        let item = self.current()?;
        let key = item.row.key.clone();
        let result = self.results.get(&key);
        let deleted = result.is_some_and(|result| result.outcome == Outcome::Deleted);
        if deleted {
            return Some(Command::Restore(vec![key]));
        }
        self.show_message("this session did not delete it");
        None
    }

    fn filter(&mut self, event: &Event, code: KeyCode) {
        match code {
            KeyCode::Enter | KeyCode::Down | KeyCode::Up => self.mode = Mode::Browse,
            KeyCode::Esc => {
                self.filter = Input::default();
                self.mode = Mode::Browse;
            }
            _ => {
                self.filter.handle_event(event);
            }
        }
        self.arrange();
    }

    fn answer(&mut self, confirm: &Confirm, event: &Event, code: KeyCode) -> Option<Command> {
        match code {
            KeyCode::Esc => {
                self.mode = Mode::Browse;
                self.show_message("nothing was deleted");
                None
            }
            KeyCode::Enter if self.typed.value().trim() == confirm.steps.to_string() => {
                Some(Command::Delete)
            }
            KeyCode::Enter => {
                self.typed = Input::default();
                self.show_message(format!("that is not {}: type it again", confirm.steps));
                None
            }
            _ => {
                self.typed.handle_event(event);
                None
            }
        }
    }

    fn name_file(&mut self, event: &Event, code: KeyCode) -> Option<Command> {
        match code {
            KeyCode::Esc => self.mode = Mode::Browse,
            KeyCode::Enter => {
                self.mode = Mode::Browse;
                return Some(Command::Export(self.typed.value().trim().to_owned()));
            }
            _ => {
                self.typed.handle_event(event);
            }
        }
        None
    }

    /// Returns whether the confirmation is open, so that [`Command::Delete`] is
    /// consent.
    pub fn is_confirming(&self) -> bool {
        matches!(self.mode, Mode::Confirm(_))
    }

    /// Returns the evidence behind the item under the cursor.
    fn chain(&self) -> String {
        let Some(item) = self.current() else {
            return String::new();
        };
        let mut text = String::new();
        if let Some(result) = self.results.get(&item.row.key) {
            let reason = escape::terminal(&result.reason);
            text = format!("{:<11}{}: {reason}\n", "outcome", result.outcome);
            // The verdict is older than that.
            if let Some(details) = &result.restored {
                return format!(
                    "{:<11}{} {}\n{:<11}protected\n{:<11}it was restored in this session\n{:<11}{}\n",
                    "resource",
                    item.row.kind.noun,
                    escape::terminal(&item.row.name),
                    "verdict",
                    "because",
                    "restored",
                    escape::terminal(details)
                );
            }
        }
        text + &explain::argument(&self.report, &item.row, ExplainStyle::FULL)
    }
}

#[cfg(test)]
mod tests;
