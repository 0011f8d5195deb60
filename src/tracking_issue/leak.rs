//! The entries of the tracking issue: what it says about each leftover resource.
//!
//! The words of an entry are stored once, in the visible text. A run that does
//! not list a resource takes its entry over from there; what the words do not
//! tell exactly is in the comments of the entry's boxes.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::{CONTINUED, KEPT_HEADING};
use crate::boxes::{GroupBox, LastBox};
use crate::format::age;
use crate::report::{Row, escape};

/// Label of a box whose resource the text does not name.
pub(super) const UNNAMED: &str = "this resource is no longer listed here";

/// A leftover resource as the issue shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Its key.
    pub key: String,
    /// The listing that showed it, as [`crate::gc::box_key::origin`] names it.
    pub origin: String,
    /// When it was created. Unknown for kept resources and in the text of an
    /// earlier version.
    pub created_at: Option<DateTime<Utc>>,
    /// The digest of what it was. Unknown likewise.
    pub version: Option<String>,
    /// Its lines as Markdown, without its boxes. Without its age too, if it is
    /// known when it was created.
    pub text: String,
}

/// A resource in the text of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLeak {
    /// The heading above it, as Markdown; `None` below that of kept resources.
    pub heading: Option<String>,
    /// The group whose boxes stand below that heading.
    pub group: Option<String>,
    /// The resource.
    pub leak: Leak,
}

impl Leak {
    /// Creates the entry of a row whose deletion failed this often.
    pub fn of(row: &Row, failed: Option<u32>) -> Self {
        let mut text = format!("- {}: {}", label_of(row), escape::markdown(&row.reason));
        match failed {
            None => {}
            Some(1) => text.push_str(" **Its deletion failed.**"),
            Some(count) => {
                let _ = write!(text, " **Its deletion failed {count} times.**");
            }
        }
        text.push('\n');
        text.push_str(&escape::code(&row.command));
        Self {
            key: row.key.clone(),
            origin: row.origin(),
            created_at: row.created_at,
            version: Some(row.version.clone()),
            text,
        }
    }

    /// Creates the entry of a row that is kept: what it is, and nothing else.
    pub fn kept_row(row: &Row) -> Self {
        Self {
            key: row.key.clone(),
            origin: row.origin(),
            created_at: None,
            version: None,
            text: format!("- {}\n", label_of(row)),
        }
    }

    /// Returns the entry of a kept resource.
    #[must_use]
    pub fn kept(&self) -> Self {
        Self {
            created_at: None,
            version: None,
            text: format!("- {}\n", self.label()),
            ..self.clone()
        }
    }

    /// Returns what the resource is, as Markdown.
    pub fn label(&self) -> &str {
        let (label, _) = split_label(&self.text);
        label.trim_start_matches("- ").trim_end()
    }

    /// Returns the entry without the command.
    #[must_use]
    pub fn brief(&self) -> Self {
        let first = self.text.lines().next().unwrap_or_default();
        Self {
            text: format!("{first}\n"),
            ..self.clone()
        }
    }

    /// Returns the text with the age, if it is known.
    pub fn with_age(&self, now: DateTime<Utc>) -> String {
        match (self.created_at, split_label(&self.text)) {
            (Some(at), (label, rest)) if rest.starts_with(':') => {
                format!("{label}, {} old{rest}", age(now, at))
            }
            _ => self.text.clone(),
        }
    }

    /// Takes the age out of the text, if it is known when the resource was
    /// created.
    fn without_age(mut self) -> Self {
        let (label, rest) = split_label(&self.text);
        let reason = rest.strip_prefix(", ").and_then(|rest| {
            let (age, reason) = rest.split_once(" old")?;
            let is_age = age.chars().all(|c| c.is_ascii_alphanumeric());
            (is_age && reason.starts_with(':')).then_some(reason)
        });
        if let (Some(_), Some(reason)) = (self.created_at, reason) {
            self.text = format!("{label}{reason}");
        }
        self
    }
}

/// Returns what a resource is, as Markdown.
fn label_of(row: &Row) -> String {
    label(row.kind.name(), &row.name)
}

/// Returns what a resource of this kind and name is, as Markdown.
pub(super) fn label(kind: &str, name: &str) -> String {
    format!("{} **{}**", escape::markdown(kind), escape::markdown(name))
}

/// Returns where the text below a heading begins, if there is that heading.
pub(super) fn end_of_heading(text: &str, title: &str) -> Option<usize> {
    let mut at = 0;
    let mut lines = text.split_inclusive('\n').map(|line| {
        at += line.len();
        (at, line.trim_end())
    });
    let heading = format!("### {title}");
    let (end, _) = lines.find(|(_, line)| *line == heading)?;
    let below = lines.next().filter(|(_, line)| line.is_empty());
    let ends_line = text[..end].ends_with('\n');
    ends_line.then(|| below.map_or(end, |(end, _)| end))
}

/// Splits the text of a resource after its name, which is in bold type. Text
/// that has none, because a person wrote it, is split after its first line.
fn split_label(text: &str) -> (&str, &str) {
    let first = text.lines().next().unwrap_or_default();
    let end = first
        .find("**")
        .and_then(|begin| Some(begin + 2 + end_of_bold(&first[begin + 2..])?));
    text.split_at(end.unwrap_or(first.len()))
}

/// Returns where bold text ends, after its mark. An escaped asterisk is none.
fn end_of_bold(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && text[at..].starts_with("**") {
            return Some(at + 2);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Returns all resources with a "keep" box, in the order of the text.
pub fn read(text: &str) -> Vec<FoundLeak> {
    let mut leaks = Vec::new();
    let (mut heading, mut leak) = (String::new(), String::new());
    let mut group = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(title) = line.strip_prefix("### ") {
            title.trim_end_matches(CONTINUED).clone_into(&mut heading);
            leak.clear();
            group = None;
        } else if let Some(found) = GroupBox::read(line) {
            leak.clear();
            group = Some(found.group.to_owned());
        } else if let Some(last) = LastBox::read(line) {
            // A kept resource has only a box with its name.
            if leak.is_empty() {
                let what = if last.what.is_empty() {
                    UNNAMED
                } else {
                    last.what
                };
                leak = format!("- {what}\n");
            }
            let found = Leak {
                key: last.key.to_owned(),
                origin: last.origin.to_owned(),
                created_at: last.created_at,
                version: last.version.map(str::to_owned),
                text: std::mem::take(&mut leak),
            };
            leaks.push(FoundLeak {
                heading: (heading != KEPT_HEADING).then(|| heading.clone()),
                group: group.clone(),
                leak: found.without_age(),
            });
        } else if line.starts_with("- ") {
            leak = format!("{line}\n");
        } else if line.starts_with("  - [") {
            // The other box.
        } else if !leak.is_empty() {
            let _ = writeln!(leak, "{line}");
        }
    }
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::{CheckedKeys, boxes};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Names and reasons may look like the marks around them.
    #[test]
    fn an_entry_is_read_back_whatever_its_words_are() {
        for name in [
            "app",
            "a*",
            "a**",
            "*, 3d old: b",
            "a\\",
            "**, 9d old",
            "### Kept",
        ] {
            for reason in ["closed", "x **, 2d old: y", "- [x] keep <!-- gc:keep:00aa"] {
                let (text, why) = (escape::markdown(name), escape::markdown(reason));
                let leak = Leak {
                    key: "00ff".to_owned(),
                    origin: "worker@a".to_owned(),
                    created_at: Some(at("2026-04-01T00:00:09Z")),
                    version: Some("00aa".to_owned()),
                    text: format!("- worker **{text}**: {why}\n{}", escape::code("rm \"a\"")),
                };
                assert_eq!(leak.label(), format!("worker **{text}**"));
                let written = leak.with_age(at("2026-05-01T00:00:00Z"));
                let begin = format!("- worker **{text}**, 29d old: {why}\n");
                assert!(written.starts_with(&begin), "{written}");
                let boxes = boxes(
                    "00ff",
                    "worker@a",
                    (leak.created_at, leak.version.as_deref()),
                    &CheckedKeys::default(),
                );
                let found = FoundLeak {
                    heading: Some("#7".to_owned()),
                    group: None,
                    leak,
                };
                let text = format!("### #7\n\n{written}{boxes}\n");
                assert_eq!(read(&text), [found], "{text}");
            }
        }
    }

    #[test]
    fn words_that_people_wrote_stay_as_they_are() {
        for (line, label) in [
            ("- whatever", "whatever"),
            ("- look **here, 3d old: x", "look **here, 3d old: x"),
            ("- **a** and, 3d old: x", "**a**"),
        ] {
            let text = format!("{line}\n  - [ ] keep <!-- gc:keep:00ff worker@a 1775001609 -->\n");
            let [found] = &read(&text)[..] else {
                panic!("{text}")
            };
            assert_eq!(found.leak.text, format!("{line}\n"));
            assert_eq!(found.leak.label(), label);
            assert_eq!(
                found.leak.with_age(at("2026-05-01T00:00:00Z")),
                found.leak.text
            );
            assert_eq!(found.leak.kept().text, format!("- {label}\n"));
        }
    }
}
