use std::sync::Arc;

use super::*;
use crate::model::Place;

const URL: &str = "https://files.example/a.sql?X-Amz-Signature=5ec4e7";

fn id() -> ResourceId {
    let place = Arc::new(Place::Account("a".to_owned()));
    let database = br#"{"success": true, "result": {"uuid": "u", "name": "shop"}}"#;
    D1.read_one(&place, database).unwrap().identity()
}

fn answer(result: Value) -> Vec<u8> {
    json!({"success": true, "errors": [], "result": result})
        .to_string()
        .into_bytes()
}

fn database(file_size: u64) -> Vec<u8> {
    answer(json!({"uuid": "u", "name": "shop", "file_size": file_size}))
}

fn active(bookmark: &str) -> Vec<u8> {
    answer(json!({"success": true, "status": "active", "at_bookmark": bookmark, "messages": []}))
}

fn complete() -> Vec<u8> {
    answer(
        json!({"success": true, "status": "complete", "at_bookmark": "b", "messages": [],
        "result": {"filename": "a.sql", "signed_url": URL}}),
    )
}

/// A backup that got these answers; the words of the error if one was refused.
fn after(answers: &[Vec<u8>]) -> Result<Value, String> {
    let mut held = Value::Null;
    for answer in answers {
        assert!(D1.next(&id(), &held).unwrap().is_some(), "{held}");
        D1.take(&mut held, answer).map_err(|error| error.0)?;
    }
    Ok(held)
}

/// What is sent: method, path and body, with the pause before; or the host of a signed
/// address.
fn shown(transfer: Option<Transfer>) -> String {
    match transfer {
        None => "nothing".to_owned(),
        Some(Transfer::Call { call, after }) => {
            let body = String::from_utf8_lossy(&call.body).into_owned();
            format!("{}s {} {} {body}", after.as_secs(), call.method, call.path)
        }
        Some(Transfer::Download { from, maximum, .. }) => {
            assert_eq!((from.secret(), maximum), (URL, MAX_BYTES));
            "download".to_owned()
        }
        Some(Transfer::Upload {
            to, content, etag, ..
        }) => {
            assert_eq!(to.secret(), URL);
            format!("upload {} {etag}", String::from_utf8_lossy(&content))
        }
    }
}

#[test]
fn an_export_is_asked_for_until_its_file_can_be_fetched() {
    let answers = [
        database(8_192),
        active("b"),
        active("b"),
        complete(),
        b"SELECT 1;\n".to_vec(),
    ];
    let asked = |number: usize| {
        let held = after(&answers[..number]).unwrap();
        shown(D1.next(&id(), &held).unwrap())
    };
    let base = "/accounts/a/d1/database/u";
    assert_eq!(asked(0), format!("0s GET {base} "));
    let begin = r#"{"output_format":"polling"}"#;
    assert_eq!(asked(1), format!("0s POST {base}/export {begin}"));
    let poll = r#"{"current_bookmark":"b","output_format":"polling"}"#;
    assert_eq!(asked(2), format!("2s POST {base}/export {poll}"));
    assert_eq!(asked(3), asked(2));
    assert_eq!(asked(4), "download");
    assert_eq!(asked(5), "nothing");
    let held = after(&answers).unwrap();
    // The journal keeps this, and the address is a secret.
    let kept = json!({"state": "whole", "file_size": 8_192, "sql": "SELECT 1;\n"});
    assert_eq!(held, kept);
    for (size, current) in [(8_192, true), (12_288, false)] {
        assert_eq!(D1.is_current(&held, &database(size)), Ok(current));
    }
}

#[test]
fn an_export_that_is_not_whole_is_refused() {
    let status = |value: Value| {
        let mut result = json!({"success": true, "at_bookmark": "b", "messages": []});
        result
            .as_object_mut()
            .unwrap()
            .extend(value.as_object().unwrap().clone());
        answer(result)
    };
    let begun = |last: Vec<u8>| vec![database(1), active("b"), last];
    let file = |body: &[u8]| vec![database(1), complete(), body.to_vec()];
    let large = [vec![b'x'; MAX_BYTES], b";".to_vec()].concat();
    let secret = format!("see\u{1b}[31m {URL}\nnow");
    for (answers, expected) in [
        (vec![database(101 << 20)], "larger than 100 MB"),
        (
            begun(status(
                json!({"status": "error", "error": "virtual tables"}),
            )),
            "virtual tables",
        ),
        (
            begun(status(json!({"success": false, "error": secret}))),
            "see [31m [address] now",
        ),
        (begun(status(json!({"status": "error"}))), "no reason"),
        (
            begun(status(json!({"status": "paused"}))),
            "its status is \"paused\"",
        ),
        (begun(active("c")), "its bookmark changed"),
        (
            begun(status(json!({"status": "complete", "at_bookmark": "c",
            "result": {"signed_url": URL}}))),
            "its bookmark changed",
        ),
        (
            begun(status(json!({"status": "complete"}))),
            "no `signed_url`",
        ),
        (
            begun(status(json!({"status": "complete", "result": URL}))),
            "no `signed_url`",
        ),
        (
            begun(status(
                json!({"status": "complete", "result": {"signed_url": [URL]}}),
            )),
            "no `signed_url`",
        ),
        (begun(answer(json!(URL))), "no `at_bookmark`"),
        (begun(answer(json!([URL]))), "no `at_bookmark`"),
        (vec![database(1), active("")], "no `at_bookmark`"),
        (
            vec![database(1), answer(json!({"success": true}))],
            "no `at_bookmark`",
        ),
        (file(b""), "is empty"),
        (file(b" \n"), "is empty"),
        (
            file(b"CREATE TABLE t (a);\nINSERT INTO t VAL"),
            "ends within a statement",
        ),
        (file(b"\xff;"), "is not text"),
        (file(&large), "too large"),
    ] {
        let error = after(&answers).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("5ec4e7"), "{error}");
    }
}

#[test]
fn an_export_that_does_not_end_is_given_up() {
    let mut held = after(&[database(1), active("b")]).unwrap();
    let given_up = (0..1_000).find_map(|_| D1.take(&mut held, &active("b")).err());
    let error = given_up.unwrap().0;
    assert_eq!(error, "the export did not end within 5 minutes");
}

/// What is sent after these answers to an import.
fn filling(answers: &[Vec<u8>]) -> Result<String, String> {
    let held = json!({"state": "whole", "file_size": 1, "sql": "abc"});
    let mut written = Value::Null;
    let now = DateTime::UNIX_EPOCH;
    for answer in answers {
        assert!(D1.fill(&id(), &held, &written, now).unwrap().is_some());
        D1.take_filled(&mut written, answer)
            .map_err(|error| error.0)?;
    }
    Ok(shown(D1.fill(&id(), &held, &written, now).unwrap()))
}

#[test]
fn an_import_is_asked_for_until_it_is_over() {
    // RFC 1321.
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    let signed = answer(json!({"success": true, "filename": "f", "upload_url": URL}));
    let over = answer(json!({"success": true, "status": "complete", "at_bookmark": "b"}));
    let post =
        |pause: u8, body: Value| format!("{pause}s POST /accounts/a/d1/database/u/import {body}");
    let ingest = post(0, json!({"action": "ingest", "etag": md5, "filename": "f"}));
    let poll = post(2, json!({"action": "poll", "current_bookmark": "b"}));
    let all = [signed, Vec::new(), active("b"), active("b"), over.clone()];
    for (number, expected) in [
        post(0, json!({"action": "init", "etag": md5})),
        format!("upload abc {md5}"),
        ingest.clone(),
        poll.clone(),
        poll.clone(),
        "nothing".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(filling(&all[..number]).unwrap(), expected);
    }
    // It was uploaded before.
    let known = answer(json!({"success": true, "filename": "f"}));
    assert_eq!(filling(&[known]).unwrap(), ingest);
    assert_eq!(filling(&[active("b")]).unwrap(), poll);
    assert_eq!(filling(&[over]).unwrap(), "nothing");
}

#[test]
fn an_import_that_is_not_whole_is_refused() {
    let signed = answer(json!({"success": true, "filename": "f", "upload_url": URL}));
    let uploaded = [signed, Vec::new()];
    let failure =
        |error: &str| answer(json!({"success": false, "status": "error", "error": error}));
    for (last, expected) in [
        (failure("table t already exists"), "table t already exists"),
        (
            answer(json!({"success": false, "error": "Not currently importing anything."})),
            "Not currently importing anything.",
        ),
        (active("c"), "its bookmark changed"),
        (answer(json!({"success": true})), "no `at_bookmark`"),
    ] {
        let answers = [&uploaded[..], &[active("b"), last]].concat();
        let error = filling(&answers).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    for (first, expected) in [
        (answer(json!({"success": true})), "no `filename`"),
        (
            answer(json!({"success": true, "upload_url": URL})),
            "no `filename`",
        ),
        (failure("busy"), "busy"),
    ] {
        let error = filling(&[first]).unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("5ec4e7"),
            "{error}"
        );
    }
    let part = json!({"state": "exported", "file_size": 1, "signed_url": URL});
    let filled = D1.fill(&id(), &part, &Value::Null, DateTime::UNIX_EPOCH);
    assert!(filled.is_err());
}
