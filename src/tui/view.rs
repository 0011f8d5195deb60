//! Draws a session from its state.

use std::fmt::Write as _;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use unicode_width::UnicodeWidthStr as _;

use super::live::{Live, Ongoing};
use super::{App, Confirm, Item, Mode, SessionResult, Tab, TableLine};
use crate::format::age;
use crate::gc::verdict::VerdictName;
use crate::report::{escape, overview, overview::title as summary, style::cut, style::wrap};

/// From this width on, the details are next to the table.
const WIDE: u16 = 120;

const HELP: &str = "\
up down j k       move; page up and down, home, end
tab, left, right  next and previous verdict
/                 filter as you type: every word must occur (esc clears)
s                 sort by pull request, name, kind, age, time of closing
g                 group, or one list
enter             why: the evidence behind the verdict (J K scroll)
space             mark what is garbage
p                 mark all visible garbage of this pull request
c                 clear the marks
d                 delete what is marked, after you have typed how many
u                 restore what this session deleted, where that is possible
e                 export what is shown: .csv .json .md, else a table
r                 refresh
q, ctrl-c         quit; while deleting: finish what is under way and stop

Nothing is deleted from here that `preview-gc sweep` would not delete: the
same plan, brakes and limits, and everything is re-read just before a deletion.";

/// Draws a session; `live` is the progress of the running task.
pub fn draw(app: &App, live: &Live, frame: &mut Frame<'_>) {
    let area = frame.area();
    let [top, tabs, body, bottom, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(title(app, top.width)), top);
    frame.render_widget(Paragraph::new(tab_line(app, tabs.width)), tabs);
    let (table, detail) = if !app.detail {
        (body, None)
    } else if area.width >= WIDE {
        let split = [Constraint::Percentage(58), Constraint::Percentage(42)];
        let [table, detail] = Layout::horizontal(split).areas(body);
        (table, Some((detail, Borders::LEFT)))
    } else {
        let [table, detail] =
            Layout::vertical([Constraint::Percentage(45), Constraint::Min(3)]).areas(body);
        (table, Some((detail, Borders::TOP)))
    };
    let ongoing = live.now();
    table_in(app, &ongoing, frame, table);
    if let Some((area, border)) = detail {
        detail_in(app, frame, area, border);
    }
    frame.render_widget(Paragraph::new(status(app, &ongoing, bottom.width)), bottom);
    frame.render_widget(Paragraph::new(hints(app, keys.width)), keys);
    match &app.mode {
        Mode::Help => popup(frame, "Keys", HELP),
        Mode::Confirm(confirm) => popup(frame, "Delete", &question(app, confirm)),
        Mode::Export => {
            let text = format!(
                "File: {}▏\n\nenter writes it, esc cancels",
                app.typed.value()
            );
            popup(frame, "Export what is shown", &text);
        }
        Mode::Browse | Mode::Filter | Mode::Busy => {}
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Truncates or pads text to exactly this width.
fn cell(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let fill = width.saturating_sub(text.width());
    text + &" ".repeat(fill)
}

fn title(app: &App, width: u16) -> Line<'static> {
    let right = match app.marked.len() {
        0 => String::new(),
        count => format!("{count} marked "),
    };
    let left = format!("preview-gc: {}", summary(&app.report));
    let room = usize::from(width).saturating_sub(right.width() + 1);
    Line::from(vec![
        Span::styled(cell(&escape::terminal(&left), room), bold()),
        Span::styled(format!(" {right}"), bold()),
    ])
}

/// Draws the tabs; tabs before the selected one are omitted if there is no
/// room.
fn tab_line(app: &App, width: u16) -> Line<'static> {
    let tabs: Vec<(Tab, String)> = Tab::every()
        .map(|tab| {
            let count = app.items.iter().filter(|item| tab.shows(item)).count();
            (tab, format!("{} {count}", tab.name()))
        })
        .collect();
    let chosen = tabs
        .iter()
        .position(|(tab, _)| *tab == app.tab)
        .unwrap_or(0);
    let length = |from: usize| -> usize {
        let until = tabs.get(from..=chosen).unwrap_or_default();
        until.iter().map(|(_, text)| text.width() + 1).sum()
    };
    let from = (0..=chosen)
        .find(|&from| length(from) <= usize::from(width))
        .unwrap_or(chosen);
    let mut spans = Vec::new();
    for (tab, text) in tabs.into_iter().skip(from) {
        let style = if tab == app.tab {
            bold().add_modifier(Modifier::REVERSED)
        } else {
            Style::new()
        };
        if !spans.is_empty() {
            spans.push(Span::raw("│"));
        }
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

/// Widths of the columns kind, name, verdict and age; the reason gets the rest.
struct ScreenColumns {
    kind: usize,
    name: usize,
    verdict: usize,
    age: usize,
    why: usize,
}

impl ScreenColumns {
    fn of(app: &App, ongoing: &Ongoing, width: usize) -> Self {
        let longest = |of: &dyn Fn(&Item) -> usize| app.items.iter().map(of).max().unwrap_or(0);
        let kind = longest(&|item| item.row.kind.name().len()).min(width / 4);
        let name = longest(&|item| escape::terminal(&item.row.name).width()).min(width * 2 / 5);
        let results = app
            .results
            .values()
            .map(|result| result.outcome.to_string().len());
        let settled = ongoing.settled.iter().map(|one| one.outcome.len());
        let verdict = results
            .chain(settled)
            .max()
            .unwrap_or(0)
            .max("unmatched".len());
        // The mark, and a space after each column.
        let taken = 4 + kind + name + verdict + 4 + 4;
        Self {
            kind,
            name,
            verdict,
            age: 4,
            why: width.saturating_sub(taken),
        }
    }
}

/// Returns the text of the verdict column: the outcome, if there is one.
fn verdict(app: &App, ongoing: &Ongoing, item: &Item) -> String {
    let row = &item.row;
    let mut settled = ongoing.settled.iter();
    let now = settled.find(|one| one.kind == row.kind.name() && one.id == row.id);
    if let Some(now) = now {
        return now.outcome.clone();
    }
    match app.results.get(&item.row.key) {
        Some(SessionResult {
            restored: Some(_), ..
        }) => "restored".to_owned(),
        Some(result) => result.outcome.to_string(),
        None => item.row.verdict.name().to_string(),
    }
}

fn colour(app: &App, item: &Item) -> Style {
    if !app.colour {
        return Style::new();
    }
    let result = app.results.get(&item.row.key);
    Style::new().fg(match (result, item.row.verdict.name()) {
        (Some(result), _) if result.outcome.is_failure() => Color::LightRed,
        (Some(result), _) if result.outcome.is_gone() => Color::DarkGray,
        (_, VerdictName::Garbage) => Color::Red,
        (_, VerdictName::Grace) => Color::Yellow,
        (_, VerdictName::Unknown) => Color::Magenta,
        (_, VerdictName::InUse | VerdictName::Live) => Color::Green,
        (_, VerdictName::Protected | VerdictName::Unmatched) => Color::DarkGray,
    })
}

fn table_in(app: &App, ongoing: &Ongoing, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let columns = ScreenColumns::of(app, ongoing, width);
    let head = format!(
        "    {} {} {} {} {}",
        cell("kind", columns.kind),
        cell("name", columns.name),
        cell("verdict", columns.verdict),
        cell(" age", columns.age),
        cut("why", columns.why)
    );
    let height = usize::from(area.height).saturating_sub(1);
    // Keeps the cursor visible, and the heading above it if there is room.
    let from = app.cursor.saturating_sub(height * 2 / 3);
    let from = from.min(app.lines.len().saturating_sub(height));
    let shown = app.lines.iter().enumerate().skip(from).take(height);
    let mut text = vec![Line::styled(cut(&head, width), bold())];
    for (at, line) in shown {
        text.push(match line {
            TableLine::Heading(index) => {
                let group = escape::terminal(&app.items[*index].group);
                Line::styled(cut(&group, width), bold())
            }
            TableLine::Item(index) => {
                let under_cursor = at == app.cursor;
                row(app, ongoing, &app.items[*index], &columns, under_cursor)
            }
        });
    }
    if app.lines.is_empty() {
        text.push(Line::raw(
            "    nothing here; esc clears the filter, tab changes the verdict",
        ));
    }
    frame.render_widget(Paragraph::new(text), area);
}

fn row(
    app: &App,
    ongoing: &Ongoing,
    item: &Item,
    columns: &ScreenColumns,
    under_cursor: bool,
) -> Line<'static> {
    let mark = if app.marked.contains(&item.row.key) {
        "[x]"
    } else if item.can_be_marked() {
        "[ ]"
    } else {
        "   "
    };
    let old = item.row.created_at.map(|at| age(app.report.now, at));
    let result = app.results.get(&item.row.key);
    let why = result.map_or(&item.row.reason, |result| &result.reason);
    let spans = vec![
        Span::raw(format!(
            "{mark} {} {} ",
            cell(item.row.kind.name(), columns.kind),
            cell(&escape::terminal(&item.row.name), columns.name)
        )),
        Span::styled(
            cell(&verdict(app, ongoing, item), columns.verdict),
            colour(app, item),
        ),
        Span::raw(format!(
            " {:>4} {}",
            old.unwrap_or_default(),
            cell(&escape::terminal(why), columns.why)
        )),
    ];
    let line = Line::from(spans);
    if under_cursor {
        line.style(Style::new().add_modifier(Modifier::REVERSED))
    } else {
        line
    }
}

fn detail_in(app: &App, frame: &mut Frame<'_>, area: Rect, border: Borders) {
    let block = Block::new().borders(border);
    let width = usize::from(block.inner(area).width);
    let chain = app.chain();
    let lines: Vec<Line<'_>> = chain
        .lines()
        .flat_map(|line| {
            // Further lines of one part stand below its first.
            let text = line.trim_start();
            let indent = if line.starts_with(' ') {
                line.len() - text.len()
            } else {
                0
            };
            let hang = if indent == 0 { "           " } else { "" };
            let parts = wrap(text, width.saturating_sub(indent), hang);
            parts
                .into_iter()
                .map(move |part| " ".repeat(indent) + &part)
        })
        .map(Line::raw)
        .collect();
    let maximum = lines.len().saturating_sub(1);
    let scroll = usize::from(app.scroll).min(maximum);
    let text = Paragraph::new(lines)
        .block(block)
        .scroll((u16::try_from(scroll).unwrap_or(u16::MAX), 0));
    frame.render_widget(text, area);
}

fn status(app: &App, ongoing: &Ongoing, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let text = match &app.mode {
        Mode::Filter => format!("/{}▏", app.filter.value()),
        Mode::Busy if ongoing.planned > 0 => {
            let (done, planned) = (ongoing.settled.len(), ongoing.planned);
            let cells = 20;
            let full = done * cells / planned.max(1);
            let last = ongoing.settled.last();
            let last = last.map_or_else(String::new, |last| {
                format!("  {} {}: {}", last.kind, last.name, last.outcome)
            });
            let quota = ongoing.quota_left;
            let quota = quota.map_or_else(String::new, |left| format!("  quota left {left}"));
            format!(
                "{} {}{} {done} of {planned}{last}{quota}",
                app.message,
                "█".repeat(full),
                "░".repeat(cells - full),
            )
        }
        Mode::Busy if ongoing.text.is_empty() => app.message.clone(),
        Mode::Busy => ongoing.text.clone(),
        _ if !app.message.is_empty() => app.message.clone(),
        _ => {
            let brakes = overview::brakes(&app.report.brakes).into_iter();
            let brakes = brakes.map(|text| format!("a brake stops deletions: {text}"));
            let gaps = app.report.gaps().map(|gap| {
                let why = gap.gap.as_deref().unwrap_or("unknown");
                format!("could not read {} of {}: {why}", gap.source, gap.scope)
            });
            let notes: Vec<String> = gaps.chain(brakes).collect();
            match app.filter.value() {
                "" => notes.join("; "),
                filter => format!("filter: {filter}"),
            }
        }
    };
    Line::raw(cut(&escape::terminal(&text), width))
}

fn hints(app: &App, width: u16) -> Line<'static> {
    Line::styled(
        match app.mode {
            Mode::Busy => "q stop",
            Mode::Filter => "enter keep  esc clear",
            _ if width < WIDE => {
                "space mark  d delete  / filter  tab verdict  enter why  ? help  q quit"
            }
            _ => {
                "space mark  p mark pull request  d delete  / filter  tab verdict  enter why  ? help  q quit"
            }
        },
        Style::new().add_modifier(Modifier::DIM),
    )
}

fn question(app: &App, confirm: &Confirm) -> String {
    let mut text = format!(
        "{} will be deleted, each only if it is still garbage when it\nis re-read just \
         before.\n",
        confirm.steps
    );
    text.push('\n');
    for note in &confirm.notes {
        let _ = writeln!(text, "{}", escape::terminal(note));
    }
    text + &format!(
        "\nType {} to delete: {}▏\n\nesc cancels",
        confirm.steps,
        app.typed.value()
    )
}

/// Draws a centred box that fits its text.
fn popup(frame: &mut Frame<'_>, title: &str, text: &str) {
    let area = frame.area();
    let room = usize::from(area.width).saturating_sub(4).max(1);
    let lines: Vec<String> = text.lines().flat_map(|line| folded(line, room)).collect();
    let width = lines.iter().map(|line| line.width()).max().unwrap_or(0);
    let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    let width = short(width + 4).min(area.width);
    let height = short(lines.len() + 2).min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered()
        .title(format!(" {title} "))
        .padding(ratatui::widgets::Padding::horizontal(1));
    let text: Vec<Line<'_>> = lines.into_iter().map(Line::raw).collect();
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(text).wrap(Wrap { trim: false }).block(block),
        place,
    );
}

/// Wraps a line; spaces inside a part that fits are kept.
fn folded(line: &str, width: usize) -> Vec<String> {
    if line.width() <= width {
        vec![line.to_owned()]
    } else {
        wrap(line, width, "")
    }
}
