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
        version: None,
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
            version: None,
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
    let both = boxes("00ff", "worker@a", (None, None), &CheckedKeys::default());
    let read: Vec<_> = both.lines().map(LastBox::read).collect();
    assert_eq!(read, [None, unnamed("worker@a")]);
    let created_at = DateTime::from_timestamp(1_775_001_600, 0);
    for seen in [
        (created_at, None),
        (None, Some("00aa")),
        (created_at, Some("00aa")),
    ] {
        let both = boxes("00ff", "worker@a", seen, &CheckedKeys::default());
        let last = both.lines().find_map(LastBox::read);
        let origin = last.map(|last| (last.origin, (last.created_at, last.version)));
        assert_eq!(origin, Some(("worker@a", seen)));
    }
}

#[test]
fn checked_boxes_are_read_back() {
    let checked = CheckedKeys {
        delete: BTreeSet::from(["0123456789abcdef".to_owned()]),
        keep: BTreeSet::from(["fedcba9876543210".to_owned()]),
        ..CheckedKeys::default()
    };
    let text = boxes("0123456789abcdef", "worker@a", (None, None), &checked)
        + &boxes("fedcba9876543210", "r2@b", (None, None), &checked);
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
        ("   - [x]", true, true),
        ("    - [x]", true, false),
        ("\t- [x]", true, false),
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
        + "- [x] delete <!-- gc:delete:00bb -->\n- [ ] keep <!-- gc:keep:00bb r2@b 60 \
           v00aa -->\n";
    let set = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    let created_at = DateTime::from_timestamp(60, 0);
    let expected = CheckedBoxes {
        delete: [
            (
                "00bb".to_owned(),
                Approval {
                    created_at,
                    version: Some("00aa".to_owned()),
                },
            ),
            ("00cc".to_owned(), Approval::default()),
        ]
        .into(),
        keep: set(&["00ee", "00ff"]),
        origins_of_kept: set(&["", "worker@a"]),
    };
    assert_eq!(CheckedKeys::with_origins(&text), expected);
}

#[test]
fn a_box_in_code_or_in_a_comment_keeps_and_does_not_approve() {
    let both = "- [x] delete <!-- gc:delete:00ff -->\n- [x] keep <!-- gc:keep:00ee r2@b -->\n";
    for (before, after) in [
        ("```\n", "```\n"),
        ("  ```md\n", "  ```\n"),
        ("~~~\n", ""),
        ("<!--\n", "-->\n"),
        ("<pre>\n\n", "</pre>\n"),
        ("> ```\n> ", "> ```\n"),
    ] {
        let text = format!("{before}{both}{after}");
        let checked = CheckedKeys::with_origins(&text);
        assert_eq!(checked.keep, set(&["00ee"]), "{text}");
        assert_eq!(checked.delete, BTreeMap::new(), "{text}");
    }
    // What is written behind it counts again.
    let text = format!("```\nx\n```\n{both}");
    assert_eq!(approved(&text), set(&["00ff"]));
    let whole = section("00a1", true, false, &["0001"]);
    assert_eq!(approved(&format!("```\n{whole}```\n")), set(&[]));
}

#[test]
fn the_same_box_twice_approves_only_if_both_do_and_keeps_if_one_does() {
    let delete = |mark: &str| format!("- [{mark}] delete <!-- gc:delete:00ff -->\n");
    let keep = |mark: &str, at: &str| format!("- [{mark}] keep <!-- gc:keep:00ff r2@b{at} -->\n");
    assert_eq!(approved(&(delete("x") + &delete("X"))), set(&["00ff"]));
    assert_eq!(approved(&(delete("x") + &delete(" "))), set(&[]));
    assert_eq!(approved(&(delete(" ") + &delete("x"))), set(&[]));
    let twice = keep(" ", "") + &keep("x", "");
    assert_eq!(CheckedKeys::read(&twice).keep, set(&["00ff"]));
    let copied = delete("x") + &keep(" ", " 60") + &keep(" ", " 70");
    assert_eq!(approved(&copied), set(&[]));
    let whole = |mark| section("00a1", mark, false, &["0001", "0002"]);
    assert_eq!(
        approved(&(whole(true) + &whole(true))),
        set(&["0001", "0002"])
    );
    assert_eq!(approved(&(whole(true) + &whole(false))), set(&[]));
    assert_eq!(approved(&(whole(false) + &whole(true))), set(&[]));
    // Listed a second time where nobody approved it.
    let moved = whole(true) + &section("00a2", false, false, &["0002"]);
    assert_eq!(approved(&moved), set(&["0001"]));
}

#[test]
fn a_heading_that_people_removed_or_wrote_neither_approves_nor_stops_keeping() {
    let next = boxes("0003", "worker@a", (None, None), &CheckedKeys::default());
    let joined = section("00a1", true, false, &["0001", "0002"]) + &next;
    assert_eq!(approved(&joined), set(&[]));
    let kept = section("00a1", false, true, &["0001"]) + "# mine\n\n" + &next;
    assert_eq!(CheckedKeys::read(&kept).keep, set(&["0001", "0003"]));
    let split = section("00a1", true, false, &["0001"]) + "# mine\n\n" + &next;
    assert_eq!(approved(&split), set(&["0001"]));
    let reworded = "- [x] please keep it <!-- gc:keep:00ff r2@b -->\n";
    let found = CheckedKeys::with_origins(reworded);
    assert_eq!(found.origins_of_kept, set(&["r2@b"]));
    assert_eq!(LastBox::read(reworded).unwrap().what, "please keep it");
}

/// A section with these boxes of its group, and these resources.
fn section(group: &str, delete: bool, keep: bool, keys: &[&str]) -> String {
    let mut text = format!("### x\n\n{}", group_boxes(group, "x", keys.len(), delete));
    if keep {
        text = text.replace("- [ ] keep everything", "- [x] keep everything");
    }
    for key in keys {
        text += &boxes(key, "worker@a", (None, None), &CheckedKeys::default());
    }
    text + "\n"
}

fn set(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}

fn approved(text: &str) -> BTreeSet<String> {
    CheckedKeys::with_origins(text).delete.into_keys().collect()
}

#[test]
fn the_box_of_a_group_is_about_what_the_same_text_lists_below_it() {
    let other = section("00a2", false, false, &["0003"]);
    let text = section("00a1", true, false, &["0001", "0002"]) + &other;
    assert_eq!(approved(&text), set(&["0001", "0002"]));
    // A heading ends the group, and so do the boxes of another one.
    let text = text.replace("### x", "");
    assert_eq!(approved(&text), set(&["0001", "0002"]));
    let plain = "### Kept\n\n".to_owned()
        + &boxes("0004", "worker@a", (None, None), &CheckedKeys::default());
    let text = section("00a1", true, false, &["0001"]) + &plain;
    assert_eq!(approved(&text), set(&["0001"]));
    // Without its own last box a resource is not listed.
    let lost = text.replace("<!-- gc:keep:0001", "<!-- gc:gone:0001");
    assert_eq!(approved(&lost), set(&[]));
    // One that approves has to look as it was written.
    let text = section("00a1", true, false, &["0001"]);
    assert_eq!(approved(&text.replacen("- [x]", "1. [x]", 1)), set(&[]));
    // Unchecked, it is about nothing.
    let text = section("00a1", false, false, &["0001"]);
    assert_eq!(CheckedKeys::with_origins(&text), CheckedBoxes::default());
}

#[test]
fn to_keep_is_stronger_than_to_delete_in_a_group_and_alone() {
    let both = section("00a1", true, true, &["0001", "0002"]);
    let found = CheckedKeys::with_origins(&both);
    assert_eq!(
        (approved(&both), found.keep),
        (set(&[]), set(&["0001", "0002"]))
    );
    let one = section("00a1", true, false, &["0001", "0002"]);
    let one = one.replacen(
        "- [ ] keep <!-- gc:keep:0001",
        "- [x] keep <!-- gc:keep:0001",
        1,
    );
    let found = CheckedKeys::with_origins(&one);
    assert_eq!(
        (approved(&one), found.keep),
        (set(&["0002"]), set(&["0001"]))
    );
    let alone = "- [x] delete <!-- gc:delete:0001 -->\n- [x] keep <!-- gc:keep:0001 -->\n";
    assert_eq!(approved(alone), set(&[]));
}

#[test]
fn a_group_stays_checked_only_while_nothing_joins_it() {
    let checked = CheckedKeys::read(&section("00a1", true, false, &["0001", "0002"]));
    assert!(checked.is_whole("00a1", ["0001", "0002"].into_iter()));
    assert!(checked.is_whole("00a1", ["0002"].into_iter()));
    assert!(!checked.is_whole("00a1", ["0002", "0003"].into_iter()));
    assert!(!checked.is_whole("00a2", ["0001"].into_iter()));
    assert_eq!(checked.without_group("00a1").delete, set(&["0001", "0002"]));
    assert_eq!(checked.without_group("00a2"), checked);
}

#[test]
fn approvals_are_taken_out_of_a_text_alone_and_with_their_group() {
    let alone = boxes("0004", "worker@a", (None, None), &CheckedKeys::default());
    let alone = format!("### Kept\n\n{}", alone.replace("[ ]", "[x]"));
    let text = section("00a1", true, false, &["0001", "0002"]) + &alone;
    assert_eq!(with_approvals(&text, &set(&["0001", "0002", "0004"])), text);
    let fewer = with_approvals(&text, &set(&["0002"]));
    let read = CheckedKeys::read(&fewer);
    assert_eq!(
        (read.delete, read.groups.len()),
        (set(&["0002"]), 0),
        "{fewer}"
    );
    assert_eq!(read.keep, set(&["0004"]), "{fewer}");
    let none = with_approvals(&text, &set(&[]));
    assert_eq!(CheckedKeys::read(&none).approved(), set(&[]), "{none}");
    // Nothing is approved that the text does not approve.
    assert_eq!(with_approvals(&none, &set(&["0001"])), none);
}

#[test]
fn a_group_with_fewer_approvals_is_no_longer_whole() {
    let mut checked = CheckedKeys::read(&section("00a1", true, false, &["0001", "0002"]));
    checked.retain_approved(&set(&["0001", "0003"]));
    assert_eq!(checked.approved(), set(&["0001"]));
    assert!(!checked.is_whole("00a1", ["0001", "0002"].into_iter()));
    checked.retain_approved(&set(&[]));
    assert_eq!(checked, CheckedKeys::default());
}

proptest! {
    #[test]
    fn arbitrary_edits_of_the_issue_can_be_parsed(text in "\\PC*") {
        let checked = CheckedKeys::read(&format!("{text}\n- [x] {text} <!-- gc:keep:00ff -->"));
        prop_assert!(checked.keep.iter().all(|key| key.chars().all(|c| c.is_ascii_hexdigit())));
    }
}
