//! What one run stores for the next: counts and digests, as JSON in a hidden block
//! at the end of the issue, and the resources that its text shows
//! ([`super::leak`]). The block does not repeat them: GitHub limits the length of
//! an issue, and their words would fill half of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter};
use sha2::{Digest as _, Sha256};

use super::KEPT_HEADING;
use super::edits::{self, Edit, Writer};
use super::leak::{self, Leak};
use crate::boxes::{CheckedKeys, unchecked};
use crate::gc::{Outcome, Verdict};
use crate::report::{Report, Row};

/// Begin of the hidden block.
pub(super) const BEGIN: &str = "<!-- preview-gc:history ";

/// End of the hidden block.
const END: &str = " -->";

/// The version of the block. Fields may be added within a version.
const VERSION: u32 = 1;

/// Number of runs in the chart.
const RUNS: usize = 20;

/// Maximum number of resources whose failures are counted.
const FAILURES: usize = 100;

/// The state that the hidden block stores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenState {
    /// The version of the block.
    pub v: u32,
    /// The last runs, oldest first.
    pub runs: Vec<PastRun>,
    /// Number of failed deletions by key.
    #[serde(default)]
    pub failures: Vec<(String, u32)>,
    /// Number of resources that did not fit into the text.
    #[serde(default)]
    pub unshown: usize,
    /// Digest of what the text says, without the parts that change in every run
    /// (ages, chart, next run) and without check marks. Empty if an earlier
    /// version wrote it.
    #[serde(default)]
    pub content: String,
    /// Digest of the visible text without check marks, as it was written.
    #[serde(default)]
    pub visible: String,
}

/// One run in the chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// When the run began.
    pub at: DateTime<Utc>,
    /// Garbage that the run found.
    pub garbage: usize,
    /// Resources that the run deleted.
    pub deleted: usize,
}

impl HiddenState {
    /// Parses the state from an issue's text; unreadable state counts as empty.
    pub fn read(text: &str) -> Self {
        // The last block is ours: a name in a command may contain another one.
        let block = text
            .rsplit_once(BEGIN)
            .and_then(|(_, rest)| rest.split_once(END));
        block
            .and_then(|(json, _)| serde_json::from_str::<Self>(json).ok())
            .filter(|state| state.v == VERSION)
            .unwrap_or_default()
    }

    /// Renders the hidden block.
    pub fn block(&self) -> String {
        format!("\n{BEGIN}{}{END}\n", escaped_json(self))
    }

    /// Returns the state with one more run.
    #[must_use]
    pub fn with(mut self, report: &Report) -> Self {
        let steps = || report.swept.iter().flat_map(|swept| &swept.steps);
        self.v = VERSION;
        // A run that covers a part only would distort the chart.
        if report.focus.is_none() {
            self.runs.push(PastRun {
                at: report.now,
                garbage: report.garbage(),
                deleted: steps()
                    .filter(|step| step.outcome == Outcome::Deleted)
                    .count(),
            });
        }
        let surplus = self.runs.len().saturating_sub(RUNS);
        self.runs.drain(..surplus);
        for step in steps() {
            let Some(row) = report.resources.iter().find(|row| row.key == step.key) else {
                continue;
            };
            let known = self.failures.iter().position(|(key, _)| *key == row.key);
            match (step.outcome.is_failure(), known) {
                (true, Some(at)) => {
                    // People may have edited the number.
                    self.failures[at].1 = self.failures[at].1.saturating_add(1);
                }
                (true, None) => self.failures.push((row.key.clone(), 1)),
                // A resource that was not tried keeps its count.
                (false, Some(at)) if step.outcome != Outcome::Deferred => {
                    self.failures.remove(at);
                }
                (false, _) => {}
            }
        }
        let surplus = self.failures.len().saturating_sub(FAILURES);
        self.failures.drain(..surplus);
        self
    }

    /// Returns how often the deletion of a resource failed.
    pub fn failed(&self, key: &str) -> Option<u32> {
        let found = self.failures.iter().find(|(known, _)| *known == key);
        found.map(|(_, count)| *count)
    }
}

/// Returns the digest of a text, without check marks, line ends of one system
/// and spaces at its end.
pub fn digest(text: &str) -> String {
    let text = unchecked(text);
    let hash = Sha256::digest(text.trim_end().as_bytes());
    let digits = hash.iter().take(8).map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// Returns the text around the hidden block.
fn visible(text: &str) -> String {
    let Some((before, rest)) = text.rsplit_once(BEGIN) else {
        return text.to_owned();
    };
    let after = rest.split_once(END).map_or("", |(_, after)| after);
    format!("{}{after}", before.trim_end())
}

/// Resources under one heading.
#[derive(Debug, Clone)]
pub struct IssueSection {
    /// The heading, as Markdown.
    pub heading: String,
    /// The group, if its boxes stand below the heading.
    pub group: Option<String>,
    /// The resources.
    pub leaks: Vec<Leak>,
}

/// The issue before this run updates it.
#[derive(Debug, Clone, Default)]
pub struct PreviousIssue {
    /// The boxes that people checked.
    pub checked: CheckedKeys,
    /// The stored state.
    pub state: HiddenState,
    /// The resources that the text shows, by heading.
    pub sections: Vec<IssueSection>,
    /// The resources whose "keep" box is checked.
    pub kept: Vec<Leak>,
    /// Whether the visible text, check marks aside, is as a run wrote it.
    is_unaltered: bool,
}

impl PreviousIssue {
    /// Parses an issue's text.
    pub fn read(text: &str) -> Self {
        let state = HiddenState::read(text);
        let mut previous = Self {
            checked: CheckedKeys::read(text),
            is_unaltered: digest(&visible(text)) == state.visible,
            state,
            ..Self::default()
        };
        for found in leak::read(text) {
            previous.add(found.heading.as_deref(), found.group, found.leak);
        }
        previous
    }

    /// Returns the boxes that people checked, without approvals of resources that
    /// were changed or created again since: people approved what the text showed.
    pub fn checked_now(&self, report: &Report) -> CheckedKeys {
        let mut checked = self.checked.clone();
        let shown: BTreeMap<&str, &Leak> =
            self.leaks().map(|leak| (leak.key.as_str(), leak)).collect();
        let is_another = |leak: &Leak, row: &Row| {
            let created = leak.created_at.zip(row.created_at);
            let is_new = created.is_some_and(|(then, now)| then.timestamp() != now.timestamp());
            // An earlier version of this program wrote no digest.
            is_new
                || leak
                    .version
                    .as_ref()
                    .is_some_and(|version| *version != row.version)
        };
        for row in &report.resources {
            let before = shown.get(row.key.as_str());
            if before.is_some_and(|before| is_another(before, row)) {
                checked.delete.remove(&row.key);
                // The box of its group is no longer about all of it, either.
                for keys in checked.groups.values_mut() {
                    keys.remove(&row.key);
                }
            }
        }
        checked
    }

    fn leaks(&self) -> impl Iterator<Item = &Leak> {
        let shown = self.sections.iter().flat_map(|section| &section.leaks);
        shown.chain(&self.kept)
    }

    /// Adds a leak under a heading, or to those that are kept.
    fn add(&mut self, heading: Option<&str>, group: Option<String>, leak: Leak) {
        let Some(heading) = heading else {
            self.kept.push(leak);
            return;
        };
        let mut sections = self.sections.iter_mut();
        match sections.find(|section| section.heading == heading) {
            Some(section) => section.leaks.push(leak),
            None => self.sections.push(IssueSection {
                heading: heading.to_owned(),
                group,
                leaks: vec![leak],
            }),
        }
    }

    /// Returns the issue with what others saved in these edits: their boxes, and what
    /// their texts list.
    #[must_use]
    pub(super) fn merged(&self, edits: &[Edit]) -> Self {
        let mut merged = self.clone();
        merged.checked = edits::merged(&self.checked, edits);
        let theirs = edits.iter().filter(|edit| edit.writer != Writer::Run);
        for edit in theirs.rev() {
            let other = Self::read(&edit.text);
            let is_new = |one: &Self, leak: &Leak| one.leaks().all(|it| it.key != leak.key);
            for leak in other.kept {
                if is_new(&merged, &leak) {
                    merged.add(None, None, leak);
                }
            }
            for section in other.sections {
                for leak in section.leaks {
                    if is_new(&merged, &leak) {
                        merged.add(Some(&section.heading), section.group.clone(), leak);
                    }
                }
            }
        }
        merged
    }

    /// Returns whether the issue already has this content, apart from what changes
    /// in every run.
    pub fn has_content(&self, content: &str) -> bool {
        self.is_unaltered && self.state.content == content
    }

    /// Returns resources that this run does not cover, with their headings: their
    /// listing was not read, or was incomplete. So is one that a person approved and of
    /// which such a run does not know whether it is garbage: its approval waits.
    pub fn beyond<'a>(
        &'a self,
        report: &'a Report,
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>, &'a Leak)> {
        let checked = self.checked_now(report);
        let mut approved = checked.approved();
        approved.retain(|key| !checked.keep.contains(key));
        let rows = report.resources.iter();
        let seen: BTreeSet<&str> = rows.clone().map(|row| &*row.key).collect();
        let waiting = rows.filter(|row| {
            let is_unknown = matches!(row.verdict, Verdict::Unknown(_));
            !report.complete && is_unknown && approved.contains(&row.key)
        });
        let waiting: BTreeSet<&str> = waiting.map(|row| &*row.key).collect();
        let gone = |leak: &Leak| report.focus.is_none() && report.listed.contains(&leak.origin);
        let sections = self.sections.iter();
        let shown = sections.flat_map(|section| {
            let leaks = section.leaks.iter();
            leaks.map(|leak| (section.heading.as_str(), section.group.as_deref(), leak))
        });
        let kept = self.kept.iter().map(|leak| (KEPT_HEADING, None, leak));
        shown.chain(kept).filter(move |(_, _, leak)| {
            let key = &*leak.key;
            waiting.contains(key) || (!gone(leak) && !seen.contains(key))
        })
    }
}

/// Serializes to JSON in which no string can end the block, or look like markup,
/// a link or a mention.
pub fn escaped_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, EscapingFormatter);
    // Plain structs of strings and numbers always serialize.
    if value.serialize(&mut serializer).is_err() {
        return String::new();
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Writes every unusual character of a string as an escape.
struct EscapingFormatter;

impl Formatter for EscapingFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_./:;,+='%$".contains(c);
        for part in fragment.split_inclusive(|c| !is_plain(c)) {
            let plain = part.trim_end_matches(|c| !is_plain(c));
            CompactFormatter.write_string_fragment(writer, plain)?;
            for unit in part[plain.len()..].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People may edit the block.
    #[test]
    fn nothing_ends_the_block_or_is_markup() {
        let key = "x --> ](http://evil) <img> @team \u{202e} 🦀 <!-- preview-gc:history {}";
        let state = HiddenState {
            v: VERSION,
            failures: vec![(key.to_owned(), 1)],
            ..HiddenState::default()
        };
        let block = state.block();
        assert_eq!(HiddenState::read(&block), state);
        for harm in ["](", "<img", "@team", "\u{202e}"] {
            assert!(!block.contains(harm), "{harm} in {block}");
        }
        assert_eq!(block.matches("-->").count(), 1, "{block}");
    }

    #[test]
    fn only_what_people_wrote_alters_the_text_and_not_their_check_marks() {
        let text = "- one\n  - [ ] keep <!-- gc:keep:00ff worker@a -->\n";
        let written = HiddenState {
            v: VERSION,
            content: "c".to_owned(),
            visible: digest(text),
            ..HiddenState::default()
        };
        let body = format!("{text}{}", written.block());
        let windows = body.replace('\n', "\r\n");
        let checked = body.replace("[ ]", "[x]");
        for same in [&body, &windows, &checked] {
            assert!(PreviousIssue::read(same).has_content("c"), "{same}");
        }
        assert!(!PreviousIssue::read(&body).has_content("d"));
        for other in [body.replace("one", "two"), format!("{body}more")] {
            assert!(!PreviousIssue::read(&other).has_content("c"), "{other}");
        }
    }

    /// The hidden block of an earlier version has no resources and no digests.
    #[test]
    fn an_issue_of_an_earlier_version_keeps_its_boxes_and_resources() {
        let body = "<!-- preview-gc:report -->\n2 left behind\n\n### Kept\n\n- [x] keep worker \
            **a** <!-- gc:keep:00aa worker@x -->\n\n### #7\n\n- worker **b**, 3d old: closed\n  \
            ```sh\n  rm b\n  ```\n  - [x] delete at the next sweep <!-- gc:delete:00bb -->\n  - [ \
            ] keep <!-- gc:keep:00bb worker@x -->\n\n<!-- preview-gc:history {\"v\":1,\"runs\":\
            [],\"failures\":[[\"00bb\",2]],\"unshown\":4} -->\n";
        let previous = PreviousIssue::read(body);
        assert_eq!(previous.checked.keep, BTreeSet::from(["00aa".to_owned()]));
        assert_eq!(previous.checked.delete, BTreeSet::from(["00bb".to_owned()]));
        assert_eq!(previous.state.unshown, 4);
        assert_eq!(previous.state.failed("00bb"), Some(2));
        let [kept] = &previous.kept[..] else {
            panic!("{:?}", previous.kept)
        };
        assert_eq!(kept.key, "00aa");
        let [section] = &previous.sections[..] else {
            panic!("{:?}", previous.sections)
        };
        assert_eq!(section.heading, "#7");
        let text = "- worker **b**, 3d old: closed\n  ```sh\n  rm b\n  ```\n".to_owned();
        assert_eq!(section.leaks[0].text, text);
        assert!(!previous.has_content(""));
    }
}
