//! Escapes foreign text for the place where it is printed.

use std::fmt::Write as _;

/// Returns whether a character changes how the text around it is displayed.
fn is_disguise(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{061c}' | '\u{00ad}' | '\u{fff9}'..='\u{fffb}')
}

/// Escapes text for a terminal: removes escape sequences, newlines and
/// invisible characters.
pub fn terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_disguise(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Escapes text for Markdown, also inside a table, so that it contains no link,
/// HTML or mention.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            ':' => out.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Escapes text for a message of Slack, so that it contains no link or mention.
pub fn slack(text: &str) -> String {
    let text = terminal(text).replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// Quotes text as one word of a shell command. A header that names one of our
/// own variables is left for the shell to expand.
pub fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if text.starts_with("Authorization: Bearer $") {
        return format!("\"{text}\"");
    }
    let strange = |c: char| c.is_control() || is_disguise(c);
    if text.chars().any(strange) {
        let mut out = String::from("$'");
        for c in text.chars() {
            match c {
                '\'' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                c if strange(c) || !c.is_ascii() => {
                    let _ = write!(out, "\\U{:08x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out.push('\'');
        return out;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Formats a command as a code block inside a Markdown list, so that no line of
/// it ends the block.
pub fn code(command: &str) -> String {
    let runs = command.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0).max(2) + 1);
    format!("  {fence}sh\n  {command}\n  {fence}\n")
}

/// Escapes the message of a workflow command (`::error::…`).
pub fn workflow(text: &str) -> String {
    terminal(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace("::", ":\u{200b}:")
}

/// Escapes a message of several lines for a workflow command.
pub fn workflow_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(workflow).collect();
    lines.join("%0A")
}

/// Formats text of several lines as a code block, so that no line of it ends the
/// block.
pub fn block(text: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0).max(2) + 1);
    let lines: Vec<_> = text.lines().map(terminal).collect();
    format!("{fence}text\n{}\n{fence}\n", lines.join("\n"))
}

/// Escapes a spreadsheet cell, so that it is not a formula.
pub fn cell(text: &str) -> String {
    let text = terminal(text);
    if text.starts_with(['=', '+', '-', '@', '\t']) {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "`x`](http://evil) | <img src=x> ::error:: $(id) \u{202e}\u{1b}[31m\n@team";

    #[test]
    fn foreign_text_is_escaped_everywhere() {
        let shown = terminal(EVIL);
        assert!(!shown.contains(['\u{202e}', '\u{1b}', '\n']));
        let shown = markdown(EVIL);
        for harm in ["<img", "](http", " | ", "::error", "@team", " `x`"] {
            assert!(!shown.contains(harm), "{harm} in {shown}");
        }
        assert_eq!(cell("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(cell("-1"), "'-1");
        assert!(!slack(EVIL).contains(['<', '\u{1b}', '\n']));
        assert!(!workflow_lines(EVIL).contains(['\n', '\u{1b}']));
        let shown = block("``` x\n````\u{202e} y");
        assert_eq!(shown, "`````text\n``` x\n````\\u{202e} y\n`````\n");
    }
}
