//! The pictures of the README are the program's own output. When that changes,
//! `PREVIEW_GC_PICTURES=draw cargo test --test it pictures` draws them anew.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anstyle_svg::Term;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

const WIDTH: usize = 100;

/// Lines of the issue that the picture shows.
const ISSUE_LINES: usize = 44;

fn output(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_preview-gc"));
    command
        .args(arguments)
        .args(["--sandbox", "-q"])
        .env_clear();
    let output = command.env("COLUMNS", WIDTH.to_string()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Compares a picture with the one in the repository, or draws that anew.
fn same_picture(name: &str, command: &str, text: &str) {
    let shown = format!("\u{1b}[1m$ {command}\u{1b}[0m\n{text}");
    let drawn = Term::new().render_svg(&shown);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".github")
        .join(name);
    if std::env::var("PREVIEW_GC_PICTURES").is_ok_and(|value| value == "draw") {
        std::fs::write(&path, &drawn).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there.replace("\r\n", "\n") == drawn,
        ".github/{name} is out of date: PREVIEW_GC_PICTURES=draw cargo test --test it pictures"
    );
}

/// The number of characters that are seen of a text with colours.
fn width(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let plain = parts.next().unwrap_or_default().chars().count();
    let coloured = parts.filter_map(|part| part.split_once('m'));
    plain
        + coloured
            .map(|(_, text)| text.chars().count())
            .sum::<usize>()
}

/// Breaks a line between words, below where its text begins.
fn wrapped(line: &str) -> Vec<String> {
    let indent = line.len() - line.trim_start().len();
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && width(&lines[last]) + 1 + width(word) > WIDTH {
            lines.push(" ".repeat(indent + 1) + word);
        } else {
            if !lines[last].is_empty() || word.is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

/// The rows of a table, with its first row bold. The last column is cut.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| width(cell)).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let line = |(index, row): (usize, &Vec<String>)| {
        let cells = row.iter().zip(&widths);
        let text: String = cells
            .map(|(cell, widest)| format!("{cell}{}  ", " ".repeat(widest - width(cell))))
            .collect();
        let cut: String = text.chars().take(WIDTH - 1).collect();
        let more = if cut.trim_end().len() < text.trim_end().len() {
            "…"
        } else {
            ""
        };
        let bold = if index == 0 { "\u{1b}[1m" } else { "" };
        format!("{bold}{}{more}\u{1b}[0m", cut.trim_end())
    };
    rows.iter().enumerate().map(line).collect()
}

/// Markdown as GitHub shows it, as far as a terminal can.
fn rendered(markdown: &str) -> Vec<String> {
    let (mut lines, mut line, mut depth, mut code) = (Vec::new(), String::new(), 0_usize, false);
    let (mut rows, mut cells) = (Vec::new(), Vec::new());
    let mut end = |line: &mut String| {
        if !line.trim().is_empty() {
            lines.extend(wrapped(&std::mem::take(line)));
        }
    };
    let options = Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES;
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                end(&mut line);
                let blank = if level == HeadingLevel::H3 {
                    " \u{1b}[0m"
                } else {
                    ""
                };
                line = format!("{blank}\u{1b}[1;36m");
            }
            Event::Start(Tag::List(_)) => {
                end(&mut line);
                depth += 1;
            }
            Event::End(TagEnd::List(_)) => depth -= 1,
            Event::Start(Tag::Item) => {
                end(&mut line);
                line = format!("{}• ", "  ".repeat(depth.saturating_sub(1)));
            }
            Event::TaskListMarker(checked) => {
                line = line.replace("• ", if checked { "☑ " } else { "☐ " });
            }
            Event::Start(Tag::Strong) => line.push_str("\u{1b}[1m"),
            Event::Start(Tag::CodeBlock(_)) => {
                end(&mut line);
                code = true;
            }
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::End(TagEnd::Strong) => line.push_str("\u{1b}[0m"),
            Event::Text(text) if code => {
                for command in text.lines() {
                    let short: String = command.chars().take(WIDTH - 8).collect();
                    let cut = if short.len() < command.len() {
                        "…"
                    } else {
                        ""
                    };
                    let _ = write!(
                        line,
                        "{}\u{1b}[90m{short}{cut}\u{1b}[0m",
                        "  ".repeat(depth)
                    );
                    end(&mut line);
                }
            }
            Event::Text(text) => line.push_str(&text),
            Event::Code(text) => {
                let _ = write!(line, "\u{1b}[33m{text}\u{1b}[0m");
            }
            Event::SoftBreak => line.push(' '),
            Event::Html(html) => {
                let summary = html.split_once("<summary>");
                if let Some((_, rest)) = summary {
                    let text = rest.split_once("</summary>").map_or(rest, |(text, _)| text);
                    line = format!("▾ {text}");
                    end(&mut line);
                }
            }
            Event::End(TagEnd::TableCell) => cells.push(std::mem::take(&mut line)),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => {
                rows.push(std::mem::take(&mut cells));
            }
            Event::End(TagEnd::Table) => {
                for row in aligned(&std::mem::take(&mut rows)) {
                    line = row;
                    end(&mut line);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                line.push_str("\u{1b}[0m");
                end(&mut line);
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item) => end(&mut line),
            _ => {}
        }
    }
    lines
}

#[test]
fn the_picture_of_the_table_is_the_table() {
    let text = output(&["audit", "--color", "always"]);
    let command = "preview-gc audit --sandbox";
    same_picture("audit.svg", command, &text);
}

#[test]
fn the_picture_of_the_issue_is_the_issue() {
    let mut lines = rendered(&output(&["report", "--dry-run"]));
    assert!(lines.len() > ISSUE_LINES);
    lines.truncate(ISSUE_LINES);
    lines.push("…".to_owned());
    same_picture(
        "issue.svg",
        "preview-gc report --dry-run",
        &lines.join("\n"),
    );
}
