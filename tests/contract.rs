//! What every kind must do, whatever it is: one suite over the registry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test that fails should say where"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use preview_gc::kinds::{self, Kind, PageOf};
use preview_gc::model::{Api, Place, PlaceSort};

fn all() -> impl Iterator<Item = &'static dyn Kind> {
    kinds::KINDS.iter().chain(kinds::REFERRERS).copied()
}

fn place(kind: &dyn Kind) -> Arc<Place> {
    Arc::new(match kind.about().0.place {
        PlaceSort::Account => Place::Account("0123456789abcdef0123456789abcdef".to_owned()),
        PlaceSort::Zone => Place::Zone {
            id: "fedcba9876543210fedcba9876543210".to_owned(),
            name: "acme.example".to_owned(),
        },
        PlaceSort::Project => Place::Project("quiet-forest-12345678".to_owned()),
    })
}

#[test]
fn every_kind_has_a_name_of_its_own_and_refers_to_kinds_that_exist() {
    let names: Vec<_> = all().map(|kind| kind.about().name()).collect();
    let known: BTreeSet<_> = names.iter().chain(kinds::UNSCANNED).copied().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for kind in all() {
        let about = kind.about().0;
        for other in about.uses.iter().chain(&about.manages) {
            assert!(known.contains(other), "{} names {other}", about.name);
        }
        assert!(!about.read_permission.is_empty(), "{}", about.name);
        for attribute in about.attributes {
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(attribute.key.chars().all(plain), "{}", attribute.key);
            assert!(!attribute.about.is_empty(), "{}", attribute.key);
        }
    }
}

#[test]
fn listing_only_reads_and_stays_in_its_place() {
    for kind in all() {
        let place = place(kind);
        let id = match &*place {
            Place::Account(id) | Place::Project(id) | Place::Zone { id, .. } => id.clone(),
        };
        let pages = [
            PageOf::First,
            PageOf::Number(2),
            PageOf::Cursor("c/../x".to_owned()),
        ];
        for page in &pages {
            let call = kind.list(&place, page);
            assert_eq!(call.method, "GET", "{}", kind.about());
            assert!(call.path.contains(&id), "{}: {}", kind.about(), call.path);
            assert!(!call.path.contains(".."), "{}: {}", kind.about(), call.path);
            assert_eq!(call.api, kind.about().0.api);
        }
    }
}

#[test]
fn an_answer_that_is_not_the_documented_one_is_never_an_empty_page() {
    for kind in all() {
        let place = place(kind);
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "<html></html>",
            r#"{"success":true}"#,
            r#"{"success":true,"result":null}"#,
            r#"{"success":true,"result":{}}"#,
            r#"{"success":false,"errors":[{"code":10000,"message":"no"}],"result":[]}"#,
            r#"{"branches":null}"#,
            r#"{"message":"no"}"#,
        ] {
            let page = kind.read_page(&place, body.as_bytes());
            assert!(page.is_err(), "{} believes {body:?}", kind.about());
        }
    }
}

#[test]
fn an_empty_listing_in_the_documented_form_is_believed() {
    for kind in all() {
        let body = match kind.about().0.api {
            Api::Neon => r#"{"branches":[],"pagination":{}}"#,
            Api::Cloudflare | Api::GitHub => {
                r#"{"success":true,"errors":[],"messages":[],"result":[],"result_info":{"page":1,"per_page":1000,"count":0,"total_count":0,"total_pages":0}}"#
            }
        };
        let page = kind.read_page(&place(kind), body.as_bytes());
        assert_eq!(page.unwrap().items.len(), 0, "{}", kind.about());
    }
}

#[test]
fn an_item_without_its_id_is_not_passed_over() {
    for kind in all() {
        let body = match kind.about().0.api {
            Api::Neon => r#"{"branches":[{"name":"x"}],"pagination":{}}"#,
            Api::Cloudflare | Api::GitHub => {
                r#"{"success":true,"errors":[],"messages":[],"result":[{"name":"x.acme.example"}],"result_info":{"page":1,"per_page":1000,"count":1,"total_count":1,"total_pages":1}}"#
            }
        };
        let page = kind.read_page(&place(kind), body.as_bytes());
        assert!(page.is_err(), "{}", kind.about());
    }
}
