//! Checks and clears the "keep" boxes of single resources, without a report.

use std::collections::BTreeSet;

use super::draft::length;
use super::edits::{self, Edit, Writer};
use super::leak::{UNNAMED, label};
use super::publish::{PublishError, ROUNDS};
use super::state::BEGIN;
use super::text::MAX_LENGTH;
use super::{KEPT_HEADING, leak};
use crate::boxes::{CheckedKeys, keep_box, set_keep_box, with_approvals};
use crate::gc::box_key;
use crate::model::ResourceId;
use crate::roots::github::issue::{IssueState, IssueStore};

/// Checks the "keep" boxes of these resources in an issue, and adds the boxes that
/// are missing. Returns the address of the issue.
///
/// # Errors
///
/// See [`PublishError`]. After any error the issue may have been written.
pub async fn check(
    store: &IssueStore<'_>,
    number: u64,
    resources: &[ResourceId],
) -> Result<String, PublishError> {
    edit(store, number, Change::Check(resources)).await
}

/// Clears the "keep" boxes of these resources in an issue.
///
/// # Errors
///
/// As [`check`].
pub async fn clear(
    store: &IssueStore<'_>,
    number: u64,
    resources: &[ResourceId],
) -> Result<(), PublishError> {
    edit(store, number, Change::Clear(resources))
        .await
        .map(drop)
}

/// Changes the text of an issue, and changes it again if others saved another text
/// in the meantime.
async fn edit(
    store: &IssueStore<'_>,
    number: u64,
    change: Change<'_>,
) -> Result<String, PublishError> {
    let noted = store.newest_edit(number).await?;
    let now = store.read_again(number).await?;
    let state = if now.open {
        IssueState::Open
    } else {
        IssueState::Closed
    };
    let mut text = change.apply(&now.body, &BTreeSet::new());
    if text == now.body {
        return Ok(now.url);
    }
    let mut written = Vec::new();
    loop {
        if length(&text) > MAX_LENGTH {
            return Err(PublishError::TooMuchKept);
        }
        if written.len() == ROUNDS {
            return Err(PublishError::Contended);
        }
        store.update(number, &text, state).await?;
        written.push(text);
        let edits = edits::since(store, number, noted.as_ref(), &written).await;
        let edits = edits.map_err(PublishError::NotReread)?;
        let again = change.kept_again(&edits);
        text = change.merged(&now.body, &edits, &again);
        let newest = edits.last().map_or("", |edit| &edit.text);
        if edits::is_settled(newest, &text) {
            return if again.is_empty() {
                Ok(now.url)
            } else {
                Err(PublishError::CheckedAgain)
            };
        }
    }
}

/// What becomes of the "keep" boxes of some resources.
#[derive(Clone, Copy)]
enum Change<'a> {
    Check(&'a [ResourceId]),
    Clear(&'a [ResourceId]),
}

impl Change<'_> {
    /// Returns a text after the change, which leaves these boxes alone.
    fn apply(self, text: &str, but: &BTreeSet<String>) -> String {
        match self {
            Self::Check(resources) => checked(text, resources),
            Self::Clear(resources) => {
                let keys = resources.iter().map(box_key::of);
                keys.filter(|key| !but.contains(key))
                    .fold(text.to_owned(), |text, key| {
                        set_keep_box(&text, &key, false).unwrap_or(text)
                    })
            }
        }
    }

    /// Returns the keys of boxes that others checked although they were being cleared.
    fn kept_again(self, edits: &[Edit]) -> BTreeSet<String> {
        let Self::Clear(resources) = self else {
            return BTreeSet::new();
        };
        let kept = edits::kept_after_a_write(edits);
        let keys = resources.iter().map(box_key::of);
        keys.filter(|key| kept.contains(key)).collect()
    }

    /// Returns the newest text of others, or the one that was read, with the boxes that
    /// are to be checked after all edits, and after the change.
    fn merged(self, read: &str, edits: &[Edit], again: &BTreeSet<String>) -> String {
        let boxes = edits::merged(&CheckedKeys::read(read), edits);
        let others = edits.iter().rfind(|edit| edit.writer == Writer::Others);
        let newest = others.map_or(read, |edit| &edit.text);
        let text = with_approvals(newest, &boxes.approved());
        let texts = edits.iter().rev().map(|edit| &*edit.text);
        let text = with_kept(&text, &boxes.keep, &texts.chain([read]).collect::<Vec<_>>());
        self.apply(&text, again)
    }
}

/// Returns the text with the "keep" boxes of these keys checked. A box that the text
/// lacks is added as one of these texts has it.
fn with_kept(text: &str, keys: &BTreeSet<String>, texts: &[&str]) -> String {
    let there = CheckedKeys::read(text).keep;
    let mut text = text.to_owned();
    let mut lines = String::new();
    for key in keys.difference(&there) {
        if let Some(changed) = set_keep_box(&text, key, true) {
            text = changed;
            continue;
        }
        let found = texts.iter().flat_map(|text| leak::read(text));
        let found = found.map(|found| found.leak);
        lines += &match found.into_iter().find(|leak| leak.key == *key) {
            Some(leak) => keep_box(leak.label(), key, &leak.origin),
            None => keep_box(UNNAMED, key, ""),
        };
    }
    with_lines(text, &lines)
}

/// Returns the text with the "keep" boxes of these resources checked.
fn checked(text: &str, resources: &[ResourceId]) -> String {
    let mut text = text.to_owned();
    let mut lines = String::new();
    for id in resources {
        let key = box_key::of(id);
        match set_keep_box(&text, &key, true) {
            Some(changed) => text = changed,
            None => {
                let origin = box_key::origin(id.kind.name(), id.place.id());
                lines += &keep_box(&label(id.kind.name(), &id.name), &key, &origin);
            }
        }
    }
    with_lines(text, &lines)
}

/// Returns the text with these lines added to those of what is kept.
fn with_lines(mut text: String, lines: &str) -> String {
    if lines.is_empty() {
        return text;
    }
    match leak::end_of_heading(&text, KEPT_HEADING) {
        Some(at) => text.insert_str(at, lines),
        None => {
            // Before the hidden block, which is the last thing in the text.
            let block = text.rfind(BEGIN);
            let at = block.map_or(text.len(), |at| text[..at].trim_end().len());
            text.insert_str(at, &format!("\n\n### {KEPT_HEADING}\n\n{lines}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::MARKER;
    use crate::model::Place;
    use crate::providers;
    use crate::tracking_issue::state::{HiddenState, PreviousIssue};

    fn id(name: &str) -> ResourceId {
        ResourceId {
            kind: providers::by_name("kv_namespace").unwrap().about(),
            place: std::sync::Arc::new(Place::Account("a".to_owned())),
            id: name.into(),
            name: name.into(),
            holder: None,
            incarnation: None,
        }
    }

    fn keys(ids: &[ResourceId]) -> std::collections::BTreeSet<String> {
        ids.iter().map(box_key::of).collect()
    }

    #[test]
    fn a_box_is_added_once_and_read_back_as_one_that_keeps() {
        let block = HiddenState::default().block();
        let text = format!("{MARKER}\nNothing.\n\n### #7\n\n{block}");
        let both = [id("a*"), id("b")];
        let written = checked(&text, &both);
        assert_eq!(CheckedKeys::read(&written).keep, keys(&both));
        let issue = PreviousIssue::read(&written);
        let labels: Vec<_> = issue.kept.iter().map(leak::Leak::label).collect();
        assert_eq!(labels, [r"kv\_namespace **a\***", r"kv\_namespace **b**"]);
        assert!(written.ends_with(block.trim_start()), "{written}");
        // What is there already is left alone, and the next one joins it.
        assert_eq!(checked(&written, &both), written);
        let three = checked(&written, &[id("c")]);
        assert_eq!(three.matches("### Kept").count(), 1, "{three}");
        assert_eq!(PreviousIssue::read(&three).kept.len(), 3);
    }

    #[test]
    fn the_box_that_a_resource_has_is_checked_and_cleared() {
        let one = [id("a")];
        let key = box_key::of(&one[0]);
        let listed = crate::boxes::boxes(
            &key,
            "kv_namespace@a",
            (None, None),
            &CheckedKeys::default(),
        );
        for end in ["\n", "\r\n"] {
            let text = format!("### #7\n\n- kv a\n{listed}end").replace('\n', end);
            let written = checked(&text, &one);
            assert_eq!(written, text.replace("[ ] keep", "[x] keep"));
            assert_eq!(CheckedKeys::read(&written).keep, keys(&one));
            assert_eq!(set_keep_box(&written, &key, false).as_ref(), Some(&text));
        }
        assert_eq!(
            set_keep_box("- [x] keep <!-- gc:keep:00ff -->", &key, false),
            None
        );
    }
}
