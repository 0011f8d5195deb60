//! Tests of the journal: what is read back, what is refused, and what is pruned.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::prune::RETENTION;
use super::*;
use crate::gc::Outcome;
use crate::model::Place;
use crate::policy::Action;

fn intent(step: usize) -> JournalEntry {
    JournalEntry::Intent {
        step,
        at: DateTime::UNIX_EPOCH,
        action: Action::Delete,
        resource: JournaledResource {
            host: "api.example".to_owned(),
            kind: "kv_namespace".to_owned(),
            place: Place::Account("a".to_owned()),
            id: "1".into(),
            name: "n".into(),
            holder: None,
            incarnation: None,
        },
        copy: Box::default(),
    }
}

fn outcome(step: usize, outcome: Outcome) -> JournalEntry {
    JournalEntry::Outcome {
        step,
        at: DateTime::UNIX_EPOCH,
        outcome,
        reason: String::new(),
    }
}

#[test]
fn journal_of_another_schema_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.journal.jsonl");
    for rest in ["", "{\"entry\":\"news\"}\n"] {
        let line = r#"{"entry":"run","schema":2,"begun":"later"}"#;
        std::fs::write(&path, format!("{line}\n{rest}")).unwrap();
        let error = records(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains("schema is 2"), "{error}");
        assert!(error.contains("move the file"), "{error}");
    }
    // The format from before repositories were recorded.
    let line = r#"{"entry":"run","schema":1,"run":"r","at":"2026-05-01T00:00:00Z"}"#;
    std::fs::write(&path, format!("{line}\n")).unwrap();
    assert!(records(folder.path()).unwrap()[0].repositories.is_empty());
}

#[test]
fn old_journals_are_pruned_unless_needed() {
    let folder = tempfile::tempdir().unwrap();
    let now: DateTime<Utc> = "2026-05-01T00:00:00Z".parse().unwrap();
    let day = TimeDelta::days(1);
    let begin = |at, repositories: &[(&str, u64)]| {
        let repositories = repositories.iter();
        let repositories = repositories.map(|(name, id)| ((*name).to_owned(), *id));
        let host = Some("api.github.com".to_owned());
        Journal::begin_with(folder.path(), at, host, repositories.collect()).unwrap()
    };
    let back = |step| JournalEntry::Restored {
        step,
        at: now,
        id: "2".to_owned(),
        unfilled: false,
        marked: false,
    };
    let released = |step| JournalEntry::Released { step, at: now };
    let begun = |step| JournalEntry::Restoring { step, at: now };
    let gone = |step| [intent(step), outcome(step, Outcome::Deleted)];
    // From the oldest on: which journals stay, and why.
    let old = [
        ("nothing", vec![]),
        ("open", vec![intent(0)]),
        ("in doubt", vec![intent(0), outcome(0, Outcome::InDoubt)]),
        ("settled", gone(0).to_vec()),
        ("restored", [&gone(0)[..], &[back(0)]].concat()),
        ("released", [&gone(0)[..], &[back(0), released(0)]].concat()),
        ("restoring", [&gone(0)[..], &[begun(0)]].concat()),
    ];
    let mut names = BTreeMap::new();
    for (index, (name, entries)) in old.iter().enumerate() {
        let at = now - day * (90 - i32::try_from(index).unwrap());
        let mut journal = begin(at, &[]);
        journal.write(entries).unwrap();
        names.insert(journal.run().to_owned(), *name);
    }
    let known = begin(now - day * 70, &[("acme/gone", 7)]);
    names.insert(known.run().to_owned(), "a repository");
    let under_way = begin(now - day * 69, &[]);
    names.insert(under_way.run().to_owned(), "under way");
    drop(known);
    let exactly = begin(now - RETENTION, &[]);
    names.insert(exactly.run().to_owned(), "of thirty days");
    drop(exactly);
    let second = TimeDelta::seconds(1);
    let younger = begin(now - RETENTION + second, &[]);
    names.insert(younger.run().to_owned(), "younger");
    drop(younger);
    let left = || -> Vec<&str> {
        let records = records(folder.path()).unwrap();
        let runs = records
            .iter()
            .filter_map(|one| names.get(&one.run).copied());
        runs.collect()
    };
    // All of these few journals are among the newest.
    prune(folder.path(), now).unwrap();
    assert_eq!(left().len(), names.len());
    for minute in 0..50 {
        begin(now - TimeDelta::minutes(minute), &[]);
    }
    prune(folder.path(), now).unwrap();
    let stays = [
        "open",
        "in doubt",
        "restored",
        "restoring",
        "a repository",
        "under way",
        "younger",
    ];
    assert_eq!(left(), stays);
    drop(under_way);
    begin(now, &[("acme/gone", 8)]);
    prune(folder.path(), now).unwrap();
    let stays = ["open", "in doubt", "restored", "restoring", "younger"];
    assert_eq!(left(), stays);
}

#[test]
fn every_prefix_of_a_journal_is_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(folder.path(), DateTime::UNIX_EPOCH).unwrap();
    journal.write(&[intent(0), intent(1)]).unwrap();
    journal.write(&[outcome(0, Outcome::Deleted)]).unwrap();
    let text = std::fs::read_to_string(journal.path()).unwrap();
    for end in 0..=text.len() {
        let record = RunRecord::parse(journal.path(), &text[..end]).unwrap();
        assert!(record.steps.len() <= 2);
    }
    let whole = RunRecord::parse(journal.path(), &text).unwrap();
    let open: Vec<_> = whole.open().map(|(step, _)| step).collect();
    assert_eq!(open, [1]);
}

#[test]
fn impossible_entries_are_rejected() {
    let path = Path::new("r.journal.jsonl");
    let text = |entries: &[JournalEntry]| -> String {
        let lines = entries
            .iter()
            .map(|entry| serde_json::to_string(entry).unwrap());
        lines.map(|line| line + "\n").collect()
    };
    for entries in [
        vec![outcome(0, Outcome::Deleted)],
        vec![intent(0), intent(0)],
        vec![intent(0), outcome(0, Outcome::Deleted), intent(0)],
    ] {
        let error = RunRecord::parse(path, &text(&entries)).unwrap_err();
        assert!(error.to_string().starts_with("r.journal.jsonl:"), "{error}");
    }
    let again = [intent(0), outcome(0, Outcome::FailedForNow), intent(0)];
    assert!(RunRecord::parse(path, &text(&again)).is_ok());
    // A restored resource was deleted before, and the same run does not
    // sweep it again.
    let restored = || JournalEntry::Restored {
        step: 0,
        at: DateTime::UNIX_EPOCH,
        id: "2".to_owned(),
        unfilled: false,
        marked: false,
    };
    for gone in [Outcome::Deleted, Outcome::AlreadyGone] {
        let lines = [intent(0), outcome(0, gone), restored()];
        let record = RunRecord::parse(path, &text(&lines)).unwrap();
        assert_eq!(record.steps[&0].standing, StepState::Restored);
        for after in [outcome(0, Outcome::InDoubt), intent(0), restored()] {
            let lines = [&lines[..], &[after]].concat();
            assert!(RunRecord::parse(path, &text(&lines)).is_err(), "{lines:?}");
        }
    }
    for lines in [
        vec![restored()],
        vec![intent(0), restored()],
        vec![intent(0), outcome(0, Outcome::Spared), restored()],
    ] {
        assert!(RunRecord::parse(path, &text(&lines)).is_err(), "{lines:?}");
    }
}

/// An attempt to restore is in doubt until its result or a release is recorded.
#[test]
fn attempts_to_restore_are_recorded() {
    let path = Path::new("r.journal.jsonl");
    let at = DateTime::UNIX_EPOCH;
    let record = |more: &[JournalEntry]| {
        let gone = [intent(0), outcome(0, Outcome::Deleted)];
        let entries = gone.iter().chain(more);
        let lines = entries.map(|entry| serde_json::to_string(entry).unwrap() + "\n");
        RunRecord::parse(path, &lines.collect::<String>())
    };
    let begun = || JournalEntry::Restoring { step: 0, at };
    let failed = || JournalEntry::NotRestored {
        step: 0,
        at,
        reason: "no".to_owned(),
    };
    let restored = |unfilled| JournalEntry::Restored {
        step: 0,
        at,
        id: "2".to_owned(),
        unfilled,
        marked: false,
    };
    let filled = || JournalEntry::Filled { step: 0, at };
    let released = || JournalEntry::Released { step: 0, at };
    let checked = || JournalEntry::KeepChecked {
        step: 0,
        at,
        repository: "acme/shop".to_owned(),
        issue: 7,
    };
    for (entries, standing, in_doubt) in [
        (vec![begun()], StepState::Restoring, 1),
        (vec![begun(), begun()], StepState::Restoring, 1),
        (
            vec![begun(), failed()],
            StepState::Settled(Outcome::Deleted),
            0,
        ),
        (vec![begun(), restored(true)], StepState::Restored, 0),
        (vec![restored(false), begun()], StepState::Restoring, 1),
        (vec![restored(false), checked()], StepState::Restored, 0),
        (vec![begun(), released()], StepState::Released, 0),
        (
            vec![begun(), released(), begun(), restored(false)],
            StepState::Restored,
            0,
        ),
    ] {
        let record = record(&entries).unwrap();
        assert_eq!(record.steps[&0].standing, standing, "{entries:?}");
        assert_eq!(record.restoring().count(), in_doubt, "{entries:?}");
    }
    assert!(record(&[restored(true)]).unwrap().steps[&0].unfilled);
    assert!(!record(&[restored(true), filled()]).unwrap().steps[&0].unfilled);
    let issues = |entries: &[JournalEntry]| record(entries).unwrap().steps[&0].keep_checked.clone();
    assert_eq!(issues(&[restored(true), checked()])["acme/shop"], 7);
    // Another id has another box, and a release clears what was checked.
    let other = || JournalEntry::Restored {
        step: 0,
        at,
        id: "3".to_owned(),
        unfilled: false,
        marked: false,
    };
    for (after, count) in [
        (&[begun(), restored(true)][..], 1),
        (&[begun(), other()], 0),
        (&[released()], 0),
        (&[released(), begun(), restored(true)], 0),
    ] {
        let entries = [&[restored(true), checked()], after].concat();
        assert_eq!(issues(&entries).len(), count, "{after:?}");
    }
    for entries in [
        vec![checked()],
        vec![begun(), checked()],
        vec![failed()],
        vec![filled()],
        vec![begun(), filled()],
        vec![begun(), intent(0)],
        vec![begun(), outcome(0, Outcome::Deleted)],
    ] {
        assert!(record(&entries).is_err(), "{entries:?}");
    }
    // As earlier versions wrote it.
    let line = r#"{"entry":"restored","step":0,"at":"1970-01-01T00:00:00Z","id":"2"}"#;
    assert_eq!(serde_json::to_string(&restored(false)).unwrap(), line);
    let read: JournalEntry = serde_json::from_str(line).unwrap();
    assert_eq!(read, restored(false));
}

#[test]
fn missing_folder_is_empty_and_unreadable_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(records(&folder.path().join("none")).unwrap(), []);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = records(&file).unwrap_err().to_string();
    assert!(error.starts_with(&file.display().to_string()), "{error}");
    // Other files are ignored.
    std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
    let at = "2026-05-01T00:00:00Z".parse().unwrap();
    let first = Journal::begin(folder.path(), at).unwrap();
    let earlier = Journal::begin(folder.path(), at - chrono::TimeDelta::hours(1)).unwrap();
    let runs: Vec<_> = records(folder.path())
        .unwrap()
        .into_iter()
        .map(|one| one.run)
        .collect();
    assert_eq!(runs, [earlier.run(), first.run()]);
    assert!(first.run().starts_with("20260501T000000Z-"));
    assert_eq!(record(folder.path(), first.run()).unwrap().at, at);
    let none = record(folder.path(), "nope").unwrap_err().to_string();
    assert!(
        none.contains("nope") && none.contains("restore --list"),
        "{none}"
    );
}

#[test]
fn unreadable_line_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.journal.jsonl");
    let line = serde_json::to_string(&intent(0)).unwrap() + "\n";
    let bytes = [line.as_bytes(), line.as_bytes(), b"\xff\n", line.as_bytes()].concat();
    std::fs::write(&path, &bytes).unwrap();
    let error = records(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("r.journal.jsonl:3: it is not UTF-8"),
        "{error}"
    );
    std::fs::write(&path, line.replace("intent", "wish")).unwrap();
    let error = records(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("r.journal.jsonl:1: ") && error.contains("wish"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn journal_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::begin(folder.path(), DateTime::UNIX_EPOCH).unwrap();
    let mode = std::fs::metadata(journal.path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn active_run_is_not_recovered_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(folder.path(), DateTime::UNIX_EPOCH).unwrap();
    journal.write(&[intent(0)]).unwrap();
    let record = records(folder.path()).unwrap().remove(0);
    assert!(Journal::resume(&record).unwrap().is_none());
    drop(journal);
    // The last line was cut off by a crash.
    let mut file = OpenOptions::new().append(true).open(&record.path).unwrap();
    file.write_all(b"{\"entry\":\"outc").unwrap();
    drop(file);
    let mut journal = Journal::resume(&record).unwrap().unwrap();
    journal.write(&[outcome(0, Outcome::Deleted)]).unwrap();
    let settled = records(folder.path()).unwrap().remove(0);
    assert_eq!(settled.open().count(), 0);
    assert_eq!(settled.steps.len(), 1);
}
