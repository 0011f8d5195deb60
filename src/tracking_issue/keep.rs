//! Checks and clears the "keep" boxes of single resources, without a report.

use super::draft::length;
use super::leak::label;
use super::publish::{PublishError, ROUNDS};
use super::state::BEGIN;
use super::text::MAX_LENGTH;
use super::{KEPT_HEADING, leak};
use crate::boxes::{keep_box, set_keep_box};
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
    edit(store, number, |text| checked(text, resources)).await
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
    let cleared = |text: &str| {
        resources.iter().fold(text.to_owned(), |text, id| {
            set_keep_box(&text, &box_key::of(id), false).unwrap_or(text)
        })
    };
    edit(store, number, cleared).await.map(drop)
}

/// Changes the text of an issue, and changes it again if others saved another text
/// in the meantime.
async fn edit(
    store: &IssueStore<'_>,
    number: u64,
    change: impl Fn(&str) -> String,
) -> Result<String, PublishError> {
    let now = store.read_again(number).await?;
    let state = if now.open {
        IssueState::Open
    } else {
        IssueState::Closed
    };
    let mut text = change(&now.body);
    if text == now.body {
        return Ok(now.url);
    }
    let mut ours = Vec::new();
    loop {
        if length(&text) > MAX_LENGTH {
            return Err(PublishError::TooMuchKept);
        }
        if ours.len() == ROUNDS {
            return Err(PublishError::Contended);
        }
        store.update(number, &text, state).await?;
        let written = text.clone();
        ours.push(text);
        let others = store.edits_since(&now, &ours).await;
        let others = others.map_err(PublishError::NotReread)?;
        let next = others.first().map(|newest| change(newest));
        match next {
            Some(next) if next != written => text = next,
            _ => return Ok(now.url),
        }
    }
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
    if lines.is_empty() {
        return text;
    }
    match leak::end_of_heading(&text, KEPT_HEADING) {
        Some(at) => text.insert_str(at, &lines),
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
    use crate::boxes::{CheckedKeys, MARKER};
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
        let listed = crate::boxes::boxes(&key, "kv_namespace@a", None, &CheckedKeys::default());
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
