//! The boxes that people tick in the tracking issue: what to delete at the next
//! sweep, and what to keep.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::model::ResourceId;

/// What an issue must contain to be the tracking issue.
pub const MARKER: &str = "<!-- preview-gc:report -->";

/// What people ticked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ticks {
    /// Keys of what is to be deleted.
    pub delete: BTreeSet<String>,
    /// Keys of what is to be kept.
    pub keep: BTreeSet<String>,
}

/// What stands for a resource in the issue: the same for as long as it is the
/// same resource.
pub fn key(id: &ResourceId) -> String {
    let parts = [
        id.kind.name(),
        id.place.id(),
        &id.id,
        id.incarnation.as_deref().unwrap_or_default(),
    ];
    let hash = Sha256::digest(parts.join("\0").as_bytes());
    let digits = hash.iter().take(8).map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// The two boxes of a resource, as lines of a list below its own.
pub fn boxes(key: &str, ticks: &Ticks) -> String {
    let mark = |ticked: bool| if ticked { 'x' } else { ' ' };
    format!(
        "  - [{}] delete at the next sweep <!-- gc:delete:{key} -->\n  - [{}] keep <!-- gc:keep:{key} -->\n",
        mark(ticks.delete.contains(key)),
        mark(ticks.keep.contains(key)),
    )
}

/// The box of a resource that is kept, as a line of its own with what it is.
pub fn keep_box(what: &str, key: &str) -> String {
    format!("- [x] keep {what} <!-- gc:keep:{key} -->\n")
}

/// Of the line with a resource's last box, its key and what it says the
/// resource is, if anything.
pub fn key_of_last_box(line: &str) -> Option<(String, &str)> {
    let (_, rest) = line.split_once("] keep")?;
    let (what, rest) = rest.split_once("<!-- gc:keep:")?;
    let key = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    Some((key, what.trim()))
}

impl Ticks {
    /// Reads the boxes of an issue's text, whatever else people wrote there.
    pub fn read(text: &str) -> Self {
        let mut ticks = Self::default();
        for line in text.lines() {
            let line = line.trim_start();
            let Some(rest) = line
                .strip_prefix("- [x]")
                .or_else(|| line.strip_prefix("- [X]"))
                .or_else(|| line.strip_prefix("* [x]"))
            else {
                continue;
            };
            let Some((_, comment)) = rest.split_once("<!-- gc:") else {
                continue;
            };
            let Some((what, key)) = comment.split_once(':') else {
                continue;
            };
            let key: String = key.chars().take_while(char::is_ascii_hexdigit).collect();
            match what {
                "delete" => ticks.delete.insert(key),
                "keep" => ticks.keep.insert(key),
                _ => false,
            };
        }
        ticks
    }

    /// Adds what somebody else ticked.
    pub fn merge(&mut self, other: Self) {
        self.delete.extend(other.delete);
        self.keep.extend(other.keep);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_ticked_is_read_back() {
        let ticks = Ticks {
            delete: BTreeSet::from(["0123456789abcdef".to_owned()]),
            keep: BTreeSet::from(["fedcba9876543210".to_owned()]),
        };
        let text = boxes("0123456789abcdef", &ticks) + &boxes("fedcba9876543210", &ticks);
        assert_eq!(Ticks::read(&text), ticks);
        let windows = text.replace('\n', "\r\n").replace("[x]", "[X]");
        assert_eq!(Ticks::read(&windows), ticks);
        assert_eq!(Ticks::read(&text.replace("[x]", "[ ]")), Ticks::default());
    }

    proptest! {
        #[test]
        fn nothing_that_people_write_breaks_the_reading(text in "\\PC*") {
            let ticks = Ticks::read(&format!("{text}\n- [x] {text} <!-- gc:keep:00ff -->"));
            prop_assert!(ticks.keep.iter().all(|key| key.chars().all(|c| c.is_ascii_hexdigit())));
        }
    }
}
