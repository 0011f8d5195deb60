//! The boxes that people check in the tracking issue: what to delete at the next
//! sweep, and what to keep. Its text is read here, once, and judged by keys.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::evidence::CheckedBoxes;

/// What an issue must contain to be the tracking issue.
pub const MARKER: &str = "<!-- preview-gc:report -->";

/// The title of the tracking issue.
pub const TITLE: &str = "Preview environments left behind";

/// The checked boxes, in the form in which the issue is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedKeys {
    /// Keys of what is to be deleted.
    pub delete: BTreeSet<String>,
    /// Keys of what is to be kept.
    pub keep: BTreeSet<String>,
}

/// The two boxes of a resource, as lines of a list below its own. The comment
/// of the last one stores where the resource was listed and, in seconds since
/// 1970, when it was created.
pub fn boxes(
    key: &str,
    origin: &str,
    created_at: Option<DateTime<Utc>>,
    checked: &CheckedKeys,
) -> String {
    let mark = |is_checked: bool| if is_checked { 'x' } else { ' ' };
    let created_at = created_at.map(|at| format!(" {}", at.timestamp()));
    let created_at = created_at.unwrap_or_default();
    format!(
        "  - [{}] delete at the next sweep <!-- gc:delete:{key} -->\n  - [{}] keep <!-- \
         gc:keep:{key} {origin}{created_at} -->\n",
        mark(checked.delete.contains(key)),
        mark(checked.keep.contains(key)),
    )
}

/// Returns a text whose boxes are all unchecked, with line feeds as line ends.
pub fn unchecked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let (indent, rest) = line.split_at(indent);
        let checked = ["- [x]", "- [X]", "* [x]"];
        let checked = checked.iter().find_map(|mark| rest.strip_prefix(mark));
        match checked.filter(|rest| rest.contains("<!-- gc:")) {
            Some(rest) => {
                out.push_str(indent);
                out.push_str("- [ ]");
                out.push_str(rest);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// The box of a resource that is kept, as a line of its own with what it is.
pub fn keep_box(what: &str, key: &str, origin: &str) -> String {
    format!("- [x] keep {what} <!-- gc:keep:{key} {origin} -->\n")
}

/// The last box of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBox<'a> {
    /// Whose it is.
    pub key: &'a str,
    /// What it says the resource is, if anything.
    pub what: &'a str,
    /// Where that was listed.
    pub origin: &'a str,
    /// When it was created, if the comment says so.
    pub created_at: Option<DateTime<Utc>>,
}

impl<'a> LastBox<'a> {
    /// Reads a line that is one.
    pub fn read(line: &'a str) -> Option<Self> {
        let (_, rest) = list_item(line)?.split_once("] keep")?;
        let (what, rest) = rest.split_once("<!-- gc:keep:")?;
        let (comment, _) = rest.split_once("-->")?;
        let (key, origin) = comment
            .trim()
            .split_once(' ')
            .unwrap_or((comment.trim(), ""));
        let created = origin.rsplit_once(' ').and_then(|(origin, seconds)| {
            let at = DateTime::from_timestamp(seconds.parse().ok()?, 0)?;
            Some((origin, at))
        });
        Some(Self {
            key,
            what: what.trim(),
            origin: created.map_or(origin, |(origin, _)| origin),
            created_at: created.map(|(_, at)| at),
        })
    }
}

/// Returns a line's text after the mark of a list with a box, from the bracket of
/// the box on. Editors write such marks in several ways.
fn list_item(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '>');
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = if number.len() < line.len() {
        number.strip_prefix(['.', ')'])
    } else {
        line.strip_prefix(['-', '*', '+'])
    }?;
    let text = rest.trim_start();
    (text.len() < rest.len() && text.starts_with('[')).then_some(text)
}

/// Returns a line's text after its checked box, if it has one.
fn after_check(line: &str) -> Option<&str> {
    let item = list_item(line)?;
    item.strip_prefix("[x]")
        .or_else(|| item.strip_prefix("[X]"))
}

impl CheckedKeys {
    /// Reads the boxes of an issue's text, whatever else people wrote there. A box
    /// keeps however the list is written. One that approves has to look as it was
    /// written, or as GitHub changes it.
    pub fn read(text: &str) -> Self {
        let mut checked = Self::default();
        for line in text.lines() {
            let Some(rest) = after_check(line) else {
                continue;
            };
            let as_written = ["- [x]", "- [X]", "* [x]"];
            let line = line.trim_start();
            let is_strict = as_written.iter().any(|mark| line.starts_with(mark));
            let Some((_, comment)) = rest.split_once("<!-- gc:") else {
                continue;
            };
            let Some((what, key)) = comment.split_once(':') else {
                continue;
            };
            let key: String = key.chars().take_while(char::is_ascii_hexdigit).collect();
            match what {
                "delete" if is_strict => checked.delete.insert(key),
                "keep" => checked.keep.insert(key),
                _ => false,
            };
        }
        checked
    }

    /// Reads what verdicts depend on: the keys, when that was created which is
    /// checked "delete", and where that was listed which is checked "keep".
    pub fn with_origins(text: &str) -> CheckedBoxes {
        let Self { delete, keep } = Self::read(text);
        let boxes = || text.lines().filter_map(LastBox::read);
        let kept = boxes().filter(|one| keep.contains(one.key));
        let origins_of_kept = kept.map(|one| one.origin.to_owned()).collect();
        // Both boxes of a resource stand together.
        let created_at = |key: &str| boxes().find(|one| one.key == key)?.created_at;
        let delete = delete.into_iter().map(|key| {
            let at = created_at(&key);
            (key, at)
        });
        CheckedBoxes {
            delete: delete.collect(),
            keep,
            origins_of_kept,
        }
    }

    /// Adds what others checked in the meantime, in texts with the newest first.
    /// Whatever anybody wants kept is kept; to be deleted only what the last of
    /// them left checked.
    pub fn merge(&mut self, texts: &[String]) {
        for text in texts {
            self.keep.extend(Self::read(text).keep);
        }
        if let Some(newest) = texts.first() {
            self.delete = Self::read(newest).delete;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_box_of_what_is_kept_is_checked_and_says_what_it_is() {
        let line = keep_box("worker shop-7", "00ff", "worker@a");
        let checked = CheckedKeys::read(&line);
        assert_eq!(checked.keep, BTreeSet::from(["00ff".to_owned()]));
        assert_eq!(checked.delete, BTreeSet::new());
        let last = LastBox {
            key: "00ff",
            what: "worker shop-7",
            origin: "worker@a",
            created_at: None,
        };
        assert_eq!(LastBox::read(&line), Some(last));
    }

    #[test]
    fn the_last_box_of_a_resource_is_known_checked_or_not() {
        let unnamed = |origin| {
            Some(LastBox {
                key: "00ff",
                what: "",
                origin,
                created_at: None,
            })
        };
        for (line, expected) in [
            (
                "  - [ ] keep <!-- gc:keep:00ff worker@a -->",
                unnamed("worker@a"),
            ),
            (
                "  - [x] keep <!-- gc:keep:00ff worker@a -->",
                unnamed("worker@a"),
            ),
            (
                "* [X] keep <!-- gc:keep:00ff worker@a -->",
                unnamed("worker@a"),
            ),
            // As earlier versions wrote it.
            ("  - [ ] keep <!-- gc:keep:00ff -->", unnamed("")),
            ("- [ ] delete <!-- gc:delete:00ff -->", None),
            ("- [ ] keep in mind", None),
            ("keep <!-- gc:keep:00ff worker@a -->", None),
            ("- [ ] keep <!-- gc:keep:00ff worker@a", None),
        ] {
            assert_eq!(LastBox::read(line), expected, "{line}");
        }
        let both = boxes("00ff", "worker@a", None, &CheckedKeys::default());
        let read: Vec<_> = both.lines().map(LastBox::read).collect();
        assert_eq!(read, [None, unnamed("worker@a")]);
        let created_at = DateTime::from_timestamp(1_775_001_600, 0);
        let both = boxes("00ff", "worker@a", created_at, &CheckedKeys::default());
        let last = both.lines().find_map(LastBox::read);
        let origin = last.map(|last| (last.origin, last.created_at));
        assert_eq!(origin, Some(("worker@a", created_at)));
    }

    #[test]
    fn whatever_anybody_wants_kept_is_kept_and_the_newest_says_what_goes() {
        let keys = |delete: &[&str], keep: &[&str]| {
            let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
            CheckedKeys {
                delete: keys(delete),
                keep: keys(keep),
            }
        };
        let written = |key: &str, checked: &CheckedKeys| boxes(key, "worker@a", None, checked);
        let newest = keys(&["aa"], &["cc"]);
        let older = keys(&["bb"], &["dd"]);
        let texts = [
            written("aa", &newest) + &written("cc", &newest),
            written("bb", &older) + &written("dd", &older),
        ];
        let mut checked = keys(&["ee"], &["ff"]);
        checked.merge(&texts);
        assert_eq!(checked, keys(&["aa"], &["cc", "dd", "ff"]));
        // Where nobody wrote anything, nothing changes.
        checked.merge(&[]);
        assert_eq!(checked, keys(&["aa"], &["cc", "dd", "ff"]));
    }

    #[test]
    fn what_was_checked_is_read_back() {
        let checked = CheckedKeys {
            delete: BTreeSet::from(["0123456789abcdef".to_owned()]),
            keep: BTreeSet::from(["fedcba9876543210".to_owned()]),
        };
        let text = boxes("0123456789abcdef", "worker@a", None, &checked)
            + &boxes("fedcba9876543210", "r2@b", None, &checked);
        assert_eq!(CheckedKeys::read(&text), checked);
        let windows = text.replace('\n', "\r\n").replace("[x]", "[X]");
        assert_eq!(CheckedKeys::read(&windows), checked);
        assert_eq!(
            CheckedKeys::read(&text.replace("[x]", "[ ]")),
            CheckedKeys::default()
        );
    }

    #[test]
    fn a_box_keeps_however_the_list_is_written_and_approves_only_as_it_was_written() {
        for (mark, keeps, deletes) in [
            ("- [x]", true, true),
            ("  - [X]", true, true),
            ("* [x]", true, true),
            ("* [X]", true, false),
            ("+ [x]", true, false),
            ("1. [x]", true, false),
            ("12) [X]", true, false),
            ("-  [x]", true, false),
            ("-\t[x]", true, false),
            ("> - [x]", true, false),
            ("- [ ]", false, false),
            ("-[x]", false, false),
            ("[x]", false, false),
            ("1 [x]", false, false),
            ("x - [x]", false, false),
        ] {
            let text = format!(
                "{mark} delete <!-- gc:delete:00ff -->\n{mark} keep <!-- gc:keep:00ff r2@b -->\n"
            );
            let checked = CheckedKeys::read(&text);
            assert_eq!(checked.keep.contains("00ff"), keeps, "{mark}");
            assert_eq!(checked.delete.contains("00ff"), deletes, "{mark}");
            let origins = CheckedKeys::with_origins(&text).origins_of_kept;
            assert_eq!(origins.contains("r2@b"), keeps, "{mark}");
        }
    }

    #[test]
    fn keys_are_read_with_the_places_of_what_is_kept() {
        let text = keep_box("worker a", "00ff", "worker@a")
            + &keep_box("older", "00ee", "")
            + "- [ ] keep b <!-- gc:keep:00dd r2@b -->\n- [x] delete <!-- gc:delete:00cc -->\n"
            + "- [x] delete <!-- gc:delete:00bb -->\n- [ ] keep <!-- gc:keep:00bb r2@b 60 -->\n";
        let set = |all: &[&str]| all.iter().map(ToString::to_string).collect();
        let created_at = DateTime::from_timestamp(60, 0);
        let expected = CheckedBoxes {
            delete: [("00bb".to_owned(), created_at), ("00cc".to_owned(), None)].into(),
            keep: set(&["00ee", "00ff"]),
            origins_of_kept: set(&["", "worker@a"]),
        };
        assert_eq!(CheckedKeys::with_origins(&text), expected);
    }

    proptest! {
        #[test]
        fn nothing_that_people_write_breaks_the_reading(text in "\\PC*") {
            let checked = CheckedKeys::read(&format!("{text}\n- [x] {text} <!-- gc:keep:00ff -->"));
            prop_assert!(checked.keep.iter().all(|key| key.chars().all(|c| c.is_ascii_hexdigit())));
        }
    }
}
