//! Text for a terminal: width, colours, links and columns.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::escape;

/// How a report is printed for people.
#[derive(Debug, Clone, Copy)]
pub struct TableStyle {
    /// Width in columns; `None` wraps nothing, for a pipe or a file.
    pub width: Option<usize>,
    /// Whether to use colour.
    pub colour: bool,
    /// Whether pull requests and resources are links (OSC 8).
    pub links: bool,
}

/// A colour of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    /// Bold, for headings.
    Bold,
    /// For what is less important.
    Dim,
    /// For garbage and failures.
    Red,
    /// For what stays or succeeded.
    Green,
    /// For what waits.
    Yellow,
    /// For what is unknown.
    Magenta,
}

impl TextStyle {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Magenta => "35",
        }
    }
}

impl TableStyle {
    /// Plain text of any width.
    pub const PLAIN: Self = Self {
        width: None,
        colour: false,
        links: false,
    };

    /// Colours text that is already escaped, if colour is wanted.
    pub fn paint(self, text: &str, text_style: TextStyle) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        format!("\u{1b}[{}m{text}\u{1b}[0m", text_style.code())
    }

    /// Makes text that is already escaped a link, if links are wanted.
    pub fn link(self, text: &str, address: Option<&str>) -> String {
        match address {
            // A control character would end the address.
            Some(address) if self.links && !address.chars().any(char::is_control) => {
                format!("\u{1b}]8;;{address}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\")
            }
            _ => text.to_owned(),
        }
    }

    /// Returns how many columns are left beside `used`, and at least `minimum`.
    pub fn room(self, used: usize, minimum: usize) -> usize {
        match self.width {
            Some(width) => width.saturating_sub(used).max(minimum),
            None => usize::MAX,
        }
    }
}

/// Returns spaces that fill a text of this width up to a column.
pub(super) fn fill(width: usize, column: usize) -> String {
    " ".repeat(column.saturating_sub(width))
}

/// Escapes text and fills it up to a column.
pub(super) fn cell(text: &str, column: usize) -> String {
    let text = escape::terminal(text);
    let fill = fill(text.width(), column);
    text + &fill
}

/// Returns the width of text as it is printed.
pub(super) fn printed_width(text: &str) -> usize {
    escape::terminal(text).width()
}

/// Truncates text to a width, with an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Wraps a line at spaces, and inside a word only if the word is too long.
pub(crate) fn wrap(line: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let mut word = word;
        if let Some(last) = lines.last_mut() {
            let gap = usize::from(!last.is_empty());
            if last.width() + gap + word.width() <= width {
                if gap > 0 {
                    last.push(' ');
                }
                last.push_str(word);
                continue;
            }
            if !last.is_empty() {
                lines.push(indent.to_owned());
            }
        }
        while !word.is_empty() {
            let room = width
                .saturating_sub(lines.last().map_or(0, |last| last.width()))
                .max(1);
            let mut end = 0;
            for (at, c) in word.char_indices() {
                if word[..at + c.len_utf8()].width() > room && end > 0 {
                    break;
                }
                end = at + c.len_utf8();
            }
            if let Some(last) = lines.last_mut() {
                last.push_str(&word[..end]);
            }
            word = &word[end..];
            if !word.is_empty() {
                lines.push(indent.to_owned());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_links_are_only_used_where_they_are_wanted() {
        let style = TableStyle {
            width: None,
            colour: true,
            links: true,
        };
        assert_eq!(style.paint("a", TextStyle::Red), "\u{1b}[31ma\u{1b}[0m");
        let address = Some("https://example.com/1");
        assert_eq!(
            style.link("a", address),
            "\u{1b}]8;;https://example.com/1\u{1b}\\a\u{1b}]8;;\u{1b}\\"
        );
        assert_eq!(style.link("a", Some("https://e\u{1b}\\x")), "a");
        assert_eq!(TableStyle::PLAIN.paint("a", TextStyle::Red), "a");
        assert_eq!(TableStyle::PLAIN.link("a", address), "a");
    }
}
