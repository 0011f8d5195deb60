//! The boxes that people check in the tracking issue: what to delete at the next
//! sweep, and what to keep. Its text is read here, once, and judged by keys.
//!
//! The boxes of a group stand above its resources. One that is checked is about
//! those that the same text lists below it, and never about what is found later.

mod shown;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::evidence::{Approval, CheckedBoxes};

/// What an issue must contain to be the tracking issue.
pub const MARKER: &str = "<!-- preview-gc:report -->";

/// The title of the tracking issue.
pub const TITLE: &str = "Preview environments left behind";

/// The checked boxes, in the form in which the issue is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedKeys {
    /// Keys of what is to be deleted.
    pub delete: BTreeSet<String>,
    /// Keys of what is to be kept, alone or with its group.
    pub keep: BTreeSet<String>,
    /// Keys of what is to be deleted with its group, by group: what is listed below
    /// the checked box.
    pub groups: BTreeMap<String, BTreeSet<String>>,
}

/// The box of a group, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupBox<'a> {
    /// Identifies the group.
    pub group: &'a str,
    /// Whether it is the box that keeps.
    pub keeps: bool,
    /// Whether it is checked.
    pub checked: bool,
    /// How many resources it says that it is about, if it says so.
    pub count: Option<usize>,
}

impl<'a> GroupBox<'a> {
    /// Reads a line that is one. Like those of resources, a box keeps however the list
    /// is written, and one that approves has to look as it was written.
    pub fn read(line: &'a str) -> Option<Self> {
        let (words, comment) = list_item(line)?.split_once("<!-- gc:")?;
        let (what, rest) = comment.split_once(':')?;
        let count = words.rsplit_once('(').and_then(|(_, rest)| {
            let (count, _) = rest.split_once(' ')?;
            count.parse().ok()
        });
        let keeps = match what {
            "delete-all" => false,
            "keep-all" => true,
            _ => return None,
        };
        let end = rest.find(|c: char| !c.is_ascii_hexdigit());
        Some(Self {
            group: &rest[..end.unwrap_or(rest.len())],
            keeps,
            checked: after_check(line).is_some() && (keeps || is_as_written(line)),
            count,
        })
    }
}

/// The two boxes of a group with this many resources below, as lines of a list.
/// Nothing checks the box that keeps: what it is about is kept one by one.
pub fn group_boxes(group: &str, name: &str, count: usize, checked: bool) -> String {
    let mark = if checked { 'x' } else { ' ' };
    format!(
        "- [{mark}] delete everything of {name} that is listed here ({count} resources) at the \
         next sweep <!-- gc:delete-all:{group} -->\n- [ ] keep everything of {name} that is \
         listed here <!-- gc:keep-all:{group} -->\n"
    )
}

/// The two boxes of a resource, as lines of a list below its own. The comment
/// of the last one stores where the resource was listed, in seconds since 1970 when it
/// was created, and after `v` the digest of what it is.
pub fn boxes(
    key: &str,
    origin: &str,
    (created_at, version): (Option<DateTime<Utc>>, Option<&str>),
    checked: &CheckedKeys,
) -> String {
    let mark = |is_checked: bool| if is_checked { 'x' } else { ' ' };
    let created_at = created_at.map(|at| format!(" {}", at.timestamp()));
    let created_at = created_at.unwrap_or_default();
    let version = version.map(|version| format!(" v{version}"));
    let version = version.unwrap_or_default();
    format!(
        "  - [{}] delete at the next sweep <!-- gc:delete:{key} -->\n  - [{}] keep <!-- \
         gc:keep:{key} {origin}{created_at}{version} -->\n",
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

/// Returns the text with the "keep" boxes of this key checked or cleared; none if it
/// has no such box.
pub fn set_keep_box(text: &str, key: &str, checked: bool) -> Option<String> {
    set_boxes(text, checked, |line| {
        LastBox::read(line).is_some_and(|last| last.key == key)
    })
}

/// Returns the text with only these approvals. Where the box of a group is about others
/// as well, the boxes of its resources are checked instead.
pub fn with_approvals(text: &str, approved: &BTreeSet<String>) -> String {
    let mut text = text.to_owned();
    let boxes = CheckedKeys::read(&text);
    let mut alone = boxes.delete.clone();
    for (group, keys) in &boxes.groups {
        if keys.is_subset(approved) {
            continue;
        }
        let is_it = |line: &str| {
            GroupBox::read(line).is_some_and(|found| found.group == group && !found.keeps)
        };
        text = set_boxes(&text, false, is_it).unwrap_or(text);
        alone.extend(keys.iter().cloned());
    }
    for key in alone {
        let checked = approved.contains(&key);
        let is_it = |line: &str| delete_key(line).is_some_and(|found| found == key);
        text = set_boxes(&text, checked, is_it).unwrap_or(text);
    }
    text
}

/// Returns the text with the boxes in these lines checked or cleared; none if there is
/// no such box.
fn set_boxes(text: &str, checked: bool, is_it: impl Fn(&str) -> bool) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let item = list_item(line).filter(|_| is_it(line));
        let boxed = item.and_then(|item| {
            let mut marks = ["[ ]", "[x]", "[X]"].iter();
            let rest = marks.find_map(|mark| item.strip_prefix(mark))?;
            Some((&line[..line.len() - item.len()], rest))
        });
        match boxed {
            Some((before, rest)) => {
                found = true;
                out.push_str(before);
                out.push_str(if checked { "[x]" } else { "[ ]" });
                out.push_str(rest);
            }
            None => out.push_str(line),
        }
    }
    found.then_some(out)
}

/// Returns the key of the box that approves one resource, if a line has it.
fn delete_key(line: &str) -> Option<String> {
    let (_, key) = list_item(line)?.split_once("<!-- gc:delete:")?;
    Some(hex(key))
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
    /// The digest of what it was, if the comment says so.
    pub version: Option<&'a str>,
}

impl<'a> LastBox<'a> {
    /// Reads a line that is one.
    pub fn read(line: &'a str) -> Option<Self> {
        let (words, rest) = list_item(line)?.split_once("<!-- gc:keep:")?;
        let (_, what) = words.split_once(']')?;
        let what = what.trim();
        let what = what.strip_prefix("keep").unwrap_or(what);
        let (comment, _) = rest.split_once("-->")?;
        let (key, origin) = comment
            .trim()
            .split_once(' ')
            .unwrap_or((comment.trim(), ""));
        let versioned = origin.rsplit_once(' ').and_then(|(origin, version)| {
            let version = version.strip_prefix('v')?;
            let is_digest = !version.is_empty() && version.chars().all(|c| c.is_ascii_hexdigit());
            is_digest.then_some((origin, version))
        });
        let origin = versioned.map_or(origin, |(origin, _)| origin);
        let created = origin.rsplit_once(' ').and_then(|(origin, seconds)| {
            let at = DateTime::from_timestamp(seconds.parse().ok()?, 0)?;
            Some((origin, at))
        });
        Some(Self {
            key,
            what: what.trim(),
            origin: created.map_or(origin, |(origin, _)| origin),
            created_at: created.map(|(_, at)| at),
            version: versioned.map(|(_, version)| version),
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

/// Whether a checked box looks as it was written, or as GitHub changes it. One that is
/// indented further may be code.
fn is_as_written(line: &str) -> bool {
    let (indent, line) = line.split_at(line.len() - line.trim_start().len());
    if indent.len() > 3 || indent.contains('\t') {
        return false;
    }
    let marks = ["- [x]", "- [X]", "* [x]"];
    marks.iter().any(|mark| line.starts_with(mark))
}

/// Returns a line's text after its checked box, if it has one.
fn after_check(line: &str) -> Option<&str> {
    let item = list_item(line)?;
    item.strip_prefix("[x]")
        .or_else(|| item.strip_prefix("[X]"))
}

/// Returns what the box of one resource is for, and its key, if a line has such a box.
fn single_box(line: &str) -> Option<(&str, String)> {
    let (_, comment) = list_item(line)?.split_once("<!-- gc:")?;
    let (what, key) = comment.split_once(':')?;
    Some((what, hex(key)))
}

/// The group whose resources a text lists, and which of its boxes are checked.
#[derive(Debug, Clone, Copy)]
struct OpenGroup<'a> {
    id: &'a str,
    deletes: bool,
    keeps: bool,
}

impl<'a> OpenGroup<'a> {
    fn of(id: &'a str) -> Self {
        Self {
            id,
            deletes: false,
            keeps: false,
        }
    }
}

/// What contradicts approvals: people may copy and move parts of the text.
#[derive(Debug, Default)]
struct Unapproved {
    /// Resources with a box "delete" that is not checked.
    cleared: BTreeSet<String>,
    /// Resources that are also listed where no box of a group approves them.
    elsewhere: BTreeSet<String>,
    /// Groups, each with how many resources its box is about; none where it stands also
    /// unchecked, or does not say that.
    groups: BTreeMap<String, Option<usize>>,
}

impl Unapproved {
    /// Notes a box that deletes a group.
    fn note_group(&mut self, found: &GroupBox<'_>, approves: bool) {
        let count = found.count.filter(|_| approves);
        let known = self.groups.entry(found.group.to_owned()).or_insert(count);
        *known = (*known).min(count);
    }

    /// Notes where a resource is listed.
    fn note_listed(&mut self, key: &str, is_approved: bool) {
        if !is_approved {
            self.elsewhere.insert(key.to_owned());
        }
    }

    /// Drops what is contradicted.
    fn retain(&self, checked: &mut CheckedKeys) {
        checked.delete.retain(|key| !self.cleared.contains(key));
        for (group, keys) in &mut checked.groups {
            keys.retain(|key| !self.elsewhere.contains(key));
            let count = self.groups.get(group).copied().flatten();
            // Below a heading that was removed stands what the box is not about.
            if count.is_none_or(|count| keys.len() > count) {
                keys.clear();
            }
        }
        checked.groups.retain(|_, keys| !keys.is_empty());
    }
}

/// Returns the key at the beginning of a text.
fn hex(text: &str) -> String {
    text.chars().take_while(char::is_ascii_hexdigit).collect()
}

impl CheckedKeys {
    /// Whether the box of a group is about all of these resources, so that it stays
    /// checked.
    pub fn is_whole<'k>(&self, group: &str, mut keys: impl Iterator<Item = &'k str>) -> bool {
        let listed = self.groups.get(group);
        listed.is_some_and(|listed| keys.all(|key| listed.contains(key)))
    }

    /// Returns these boxes with those of a group checked one by one, where its own box
    /// no longer stays checked.
    #[must_use]
    pub fn without_group(&self, group: &str) -> Self {
        let mut checked = self.clone();
        checked
            .delete
            .extend(checked.groups.remove(group).unwrap_or_default());
        checked
    }

    /// Reads the boxes of an issue's text, whatever else people wrote there. A box
    /// keeps however the list is written, and wherever it stands. One that approves has
    /// to look as it was written, or as GitHub changes it, outside of code and comments;
    /// where the same box stands twice, all have to approve.
    pub fn read(text: &str) -> Self {
        let mut checked = Self::default();
        let mut unapproved = Unapproved::default();
        // The group whose resources are listed here.
        let mut group: Option<OpenGroup<'_>> = None;
        for (line, is_shown) in shown::lines(text) {
            let heading = line.trim_start().starts_with('#');
            if heading && let Some(group) = &mut group {
                group.deletes = false;
                // People may write headings of their own.
                group.keeps &= !line.starts_with("### ");
            }
            if let Some(found) = GroupBox::read(line) {
                let mut open = group
                    .filter(|open| open.id == found.group)
                    .unwrap_or_else(|| OpenGroup::of(found.group));
                if found.keeps {
                    open.keeps |= found.checked;
                } else {
                    open.deletes = found.checked && is_shown;
                    unapproved.note_group(&found, open.deletes);
                }
                group = Some(open);
                continue;
            }
            if let Some(last) = LastBox::read(line) {
                let key: String = hex(last.key);
                let approving = group.filter(|group| group.deletes && is_shown);
                unapproved.note_listed(&key, approving.is_some());
                if let Some(group) = approving {
                    let keys = checked.groups.entry(group.id.to_owned()).or_default();
                    keys.insert(key.clone());
                }
                if group.is_some_and(|group| group.keeps) {
                    checked.keep.insert(key);
                }
            }
            let Some((what, key)) = single_box(line) else {
                continue;
            };
            let is_checked = after_check(line).is_some();
            match what {
                "delete" if is_checked && is_shown && is_as_written(line) => {
                    checked.delete.insert(key);
                }
                "delete" if !is_checked => {
                    unapproved.cleared.insert(key);
                }
                "keep" if is_checked => {
                    checked.keep.insert(key);
                }
                _ => {}
            }
        }
        unapproved.retain(&mut checked);
        checked
    }

    /// Reads what verdicts depend on: the keys, what that was which is
    /// checked "delete", and where that was listed which is checked "keep". To keep is
    /// stronger than to delete.
    pub fn with_origins(text: &str) -> CheckedBoxes {
        let boxes_of_text = Self::read(text);
        let mut delete = boxes_of_text.approved();
        let keep = boxes_of_text.keep;
        let boxes = || text.lines().filter_map(LastBox::read);
        let mut times: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
        for last in boxes() {
            let seen = (last.created_at, last.version);
            times.entry(last.key).or_default().insert(seen);
        }
        // Of two resources with one name, it is unknown which one was approved.
        let is_one = |key: &str| times.get(key).is_none_or(|times| times.len() == 1);
        delete.retain(|key| !keep.contains(key) && is_one(key));
        let kept = boxes().filter(|one| keep.contains(one.key));
        let origins_of_kept = kept.map(|one| one.origin.to_owned()).collect();
        // Both boxes of a resource stand together.
        let approval = |key: &str| {
            let last = boxes().find(|one| one.key == key);
            Approval {
                created_at: last.and_then(|last| last.created_at),
                version: last.and_then(|last| last.version).map(str::to_owned),
            }
        };
        let delete = delete.into_iter().map(|key| {
            let approval = approval(&key);
            (key, approval)
        });
        CheckedBoxes {
            delete: delete.collect(),
            keep,
            origins_of_kept,
        }
    }

    /// Returns the keys of what is to be deleted, alone or with its group.
    pub fn approved(&self) -> BTreeSet<String> {
        let in_groups = self.groups.values().flatten();
        self.delete.iter().chain(in_groups).cloned().collect()
    }

    /// Drops the approvals of all other keys.
    pub fn retain_approved(&mut self, approved: &BTreeSet<String>) {
        self.delete.retain(|key| approved.contains(key));
        for keys in self.groups.values_mut() {
            keys.retain(|key| approved.contains(key));
        }
        self.groups.retain(|_, keys| !keys.is_empty());
    }
}

#[cfg(test)]
mod tests;
