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

/// Markdown as GitHub shows it, as far as a terminal can.
fn rendered(markdown: &str) -> Vec<String> {
    let (mut lines, mut line, mut depth, mut code) = (Vec::new(), String::new(), 0_usize, false);
    let mut end = |line: &mut String| {
        if !line.trim().is_empty() {
            lines.push(std::mem::take(line));
        }
    };
    for event in Parser::new_ext(markdown, Options::ENABLE_TASKLISTS) {
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
