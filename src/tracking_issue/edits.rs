//! What others saved in the tracking issue while a run wrote it, and which boxes are
//! checked after all of it.
//!
//! GitHub replaces an issue's text whatever it is by then, so a write may undo what
//! somebody saved since the text was read. `report`, `sweep --report`, `restore` and
//! `restore --release` therefore all write it in these steps:
//!
//! 1. The run notes the newest edit in the issue's history, and then reads the text.
//! 2. It writes its own text, and reads every edit after the noted one. A history
//!    without the text that was just written is not complete, which is an error.
//! 3. From the text that was read and from those edits, oldest first, it derives which
//!    boxes have to be checked. If the newest text says something else, the run writes
//!    again, as in step 2, and gives up with an error after a few rounds.
//!
//! These rules decide about a box, whoever edits in whichever order:
//!
//! - "Keep" is checked if the text that was read has it checked, or any text that others
//!   saved. The boxes that a release clears are the exception: of them only texts count
//!   that others saved after the run's first write, and such a release has failed.
//! - "Delete" is checked if it was in the text that was read, or somebody checked it
//!   later, and if every text that others saved after that has it checked. Somebody
//!   checked it if the edit just before lacks the check mark; otherwise the mark was
//!   carried on, perhaps from the run's own text, and approves nothing.
//! - An edit is the run's own if it has a text that the run wrote. If there are several
//!   with that text, any of them may be somebody else's: none of them approves, and in
//!   all else they count like texts of others.
//!
//! Between a write and the next round the issue may show an approval that was taken
//! back. A sweep reads the issue both when it plans and before it deletes.

use std::collections::BTreeSet;

use super::leak;
use crate::boxes::CheckedKeys;
use crate::roots::Unanswered;
use crate::roots::github::issue::{IssueStore, NotedEdit};

/// Who may have saved an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// This run.
    Run,
    /// Somebody else.
    Others,
    /// This run or somebody else: several edits have the same text.
    Either,
}

/// An edit of the issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// The text that it left.
    pub(super) text: String,
    /// Who saved it.
    pub(super) writer: Writer,
}

/// Returns the edits of an issue from the noted one on, oldest first. The last is what
/// the issue says now.
pub(super) async fn since(
    store: &IssueStore<'_>,
    number: u64,
    noted: Option<&NotedEdit>,
    written: &[String],
) -> Result<Vec<Edit>, Unanswered> {
    let texts = store.edits_since(number, noted).await?;
    let before = noted.and_then(|noted| noted.text.clone());
    attributed(before, texts, written).ok_or_else(|| {
        Unanswered::Unbelievable(
            "the history of its edits does not show the text that was written".to_owned(),
        )
    })
}

/// Says of each text who saved it, if all that was written is among them. The text
/// before them is nothing that the run wrote.
fn attributed(before: Option<String>, texts: Vec<String>, written: &[String]) -> Option<Vec<Edit>> {
    let is_written = |text: &str| written.iter().any(|one| is_same(one, text));
    let count = |text: &str| texts.iter().filter(|one| is_same(one, text)).count();
    if written.iter().any(|one| count(one) == 0) {
        return None;
    }
    let writer = |text: &str| match count(text) {
        _ if !is_written(text) => Writer::Others,
        1 => Writer::Run,
        _ => Writer::Either,
    };
    let writers: Vec<_> = texts.iter().map(|text| writer(text)).collect();
    let before = before.map(|text| Edit {
        text,
        writer: Writer::Others,
    });
    let after = texts.into_iter().zip(writers);
    let after = after.map(|(text, writer)| Edit { text, writer });
    Some(before.into_iter().chain(after).collect())
}

/// Whether two texts are the same, apart from line ends and spaces before them.
fn is_same(one: &str, other: &str) -> bool {
    let lines = |text: &'_ str| -> Vec<String> {
        let lines = text.trim_end().lines();
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    one == other || lines(one) == lines(other)
}

/// Returns the boxes that are to be checked after these edits of a text with these
/// boxes.
pub(super) fn merged(read: &CheckedKeys, edits: &[Edit]) -> CheckedKeys {
    let mut merged = read.clone();
    let mut before = read.approved();
    let mut approved = before.clone();
    for edit in edits {
        let boxes = CheckedKeys::read(&edit.text);
        let now = boxes.approved();
        if edit.writer == Writer::Others {
            approved.extend(now.difference(&before).cloned());
        }
        if edit.writer != Writer::Run {
            approved.retain(|key| now.contains(key));
            merged.keep.extend(boxes.keep);
            merged.delete = boxes.delete;
            merged.groups = boxes.groups;
        }
        before = now;
    }
    merged.retain_approved(&approved);
    merged
}

/// Returns the keys whose "keep" box others saved as checked after the run's first
/// write.
pub(super) fn kept_after_a_write(edits: &[Edit]) -> BTreeSet<String> {
    let first = edits
        .iter()
        .position(|edit| edit.writer != Writer::Others)
        .map_or(edits.len(), |first| first + 1);
    let after = edits[first..].iter();
    let after = after.filter(|edit| edit.writer != Writer::Run);
    after
        .flat_map(|edit| CheckedKeys::read(&edit.text).keep)
        .collect()
}

/// Whether the issue needs no other text than the newest one: its boxes are those of the
/// text that is wanted, and it lists every resource of that.
pub(super) fn is_settled(newest: &str, wanted: &str) -> bool {
    let boxes = |text: &str| {
        let boxes = CheckedKeys::read(text);
        let approved = boxes.approved();
        (boxes.keep, approved)
    };
    let listed = |text: &str| -> BTreeSet<String> {
        let found = leak::read(text).into_iter();
        found.map(|found| found.leak.key).collect()
    };
    boxes(newest) == boxes(wanted) && listed(wanted).is_subset(&listed(newest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::boxes;

    fn keys(delete: &[&str], keep: &[&str]) -> CheckedKeys {
        let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
        CheckedKeys {
            delete: keys(delete),
            keep: keys(keep),
            ..CheckedKeys::default()
        }
    }

    /// A text with the boxes of four resources, and a remark that tells it from others.
    fn text(remark: &str, delete: &[&str], keep: &[&str]) -> String {
        let checked = keys(delete, keep);
        let listed = ["0a", "0b", "0c", "0d"];
        let listed = listed.map(|key| boxes(key, "worker@a", (None, None), &checked));
        format!("{}{remark}\n", listed.concat())
    }

    fn others(text: String) -> Edit {
        let writer = Writer::Others;
        Edit { text, writer }
    }

    fn run(text: String) -> Edit {
        let writer = Writer::Run;
        Edit { text, writer }
    }

    #[test]
    fn a_keep_in_any_text_of_others_counts_whatever_the_order() {
        let read = keys(&[], &["0a"]);
        let edits = [
            others(text("x", &[], &["0b"])),
            run(text("w", &[], &["0a"])),
            others(text("y", &[], &["0a", "0c"])),
            run(text("w", &[], &["0a", "0b"])),
            others(text("z", &[], &[])),
        ];
        for first in 0..edits.len() {
            let mut edits = edits.to_vec();
            edits.rotate_left(first);
            assert_eq!(
                merged(&read, &edits).keep,
                keys(&[], &["0a", "0b", "0c"]).keep
            );
        }
        assert_eq!(merged(&read, &[]), read);
    }

    #[test]
    fn an_approval_counts_only_if_every_later_text_of_others_has_it() {
        let with = |remark: &str| text(remark, &["0a"], &[]);
        let without = |remark: &str| text(remark, &[], &[]);
        for (read, edits, approved) in [
            // Nobody else saved anything, or somebody left it checked.
            (true, vec![run(with("w"))], true),
            (true, vec![others(with("x")), run(with("w"))], true),
            (true, vec![run(with("w")), others(with("y"))], true),
            // Somebody cleared it, and others carried the mark of the run on.
            (true, vec![others(without("x")), run(with("w"))], false),
            (
                true,
                vec![others(without("x")), run(with("w")), others(with("y"))],
                false,
            ),
            (
                true,
                vec![
                    others(without("x")),
                    run(with("w")),
                    others(with("y")),
                    run(without("v")),
                    others(without("z")),
                ],
                false,
            ),
            // Somebody checked it before or after the run wrote.
            (false, vec![others(with("x")), run(without("w"))], true),
            (false, vec![run(without("w")), others(with("y"))], true),
            (
                true,
                vec![others(without("x")), others(with("y")), run(with("w"))],
                true,
            ),
            (
                true,
                vec![
                    others(without("x")),
                    run(with("w")),
                    others(without("y")),
                    others(with("z")),
                ],
                true,
            ),
            // A later text lacks it, perhaps because it is based on the run's.
            (
                false,
                vec![others(with("x")), run(without("w")), others(without("y"))],
                false,
            ),
        ] {
            let before = keys(if read { &["0a"] } else { &[] }, &[]);
            let found = merged(&before, &edits).approved();
            assert_eq!(found.contains("0a"), approved, "{edits:?}");
        }
    }

    #[test]
    fn a_text_that_may_be_the_runs_own_approves_nothing_and_takes_back() {
        let with = text("w", &["0a"], &[]);
        let without = text("x", &[], &["0b"]);
        let texts = vec![without.clone(), with.clone(), without.clone(), with.clone()];
        let edits = attributed(Some(with.clone()), texts, std::slice::from_ref(&with)).unwrap();
        let writers: Vec<_> = edits.iter().map(|edit| edit.writer).collect();
        let (either, others) = (Writer::Either, Writer::Others);
        assert_eq!(writers, [others, others, either, others, either]);
        let found = merged(&keys(&["0a"], &[]), &edits);
        assert_eq!(found, keys(&[], &["0b"]));
        // Twice the text without it: the approval in between is not certain.
        let texts = vec![without.clone(), with.clone(), without.clone()];
        let edits = attributed(None, texts, &[without]).unwrap();
        assert_eq!(merged(&keys(&[], &[]), &edits), keys(&[], &["0b"]));
    }

    #[test]
    fn a_history_without_what_was_written_is_not_complete() {
        let (x, w) = (text("x", &[], &[]), text("w", &[], &[]));
        assert_eq!(
            attributed(None, vec![x.clone()], std::slice::from_ref(&w)),
            None
        );
        assert_eq!(
            attributed(Some(w.clone()), vec![x], std::slice::from_ref(&w)),
            None
        );
        // GitHub may write line ends in its own way.
        let windows = w.trim_end().replace('\n', "\r\n");
        let edits = attributed(None, vec![windows.clone()], &[w]);
        assert_eq!(edits, Some(vec![run(windows)]));
    }

    #[test]
    fn only_what_others_saved_after_the_first_write_is_kept_against_a_release() {
        let edits = [
            others(text("n", &[], &["0a"])),
            others(text("x", &[], &["0a", "0b"])),
            run(text("w", &[], &["0b"])),
            others(text("y", &[], &["0c"])),
            run(text("v", &[], &["0d"])),
        ];
        assert_eq!(kept_after_a_write(&edits), keys(&[], &["0c"]).keep);
        assert_eq!(kept_after_a_write(&edits[..2]), BTreeSet::new());
    }

    #[test]
    fn the_newest_text_is_enough_if_it_has_the_boxes_and_the_resources() {
        let wanted = text("w", &["0a"], &["0b"]);
        assert!(is_settled(&text("other", &["0a"], &["0b"]), &wanted));
        assert!(!is_settled(&text("w", &["0a"], &[]), &wanted));
        assert!(!is_settled(&text("w", &["0a", "0c"], &["0b"]), &wanted));
        let shorter = wanted.replace("gc:keep:0d", "gc:gone:0d");
        assert!(!is_settled(&shorter, &wanted));
        assert!(is_settled(&wanted, &shorter));
    }
}
