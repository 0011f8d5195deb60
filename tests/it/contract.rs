//! What every kind must do, whatever it is: one suite over the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use preview_gc::kind::{Kind, PageOf};

use preview_gc::model::{Api, Place, PlaceSort, ReferencesFrom, ResourceId, UsedBy};
use preview_gc::providers;
use serde_json::Value;

use crate::support::cases;

fn all() -> impl Iterator<Item = &'static dyn Kind> {
    providers::kinds()
}

fn place(kind: &dyn Kind) -> Arc<Place> {
    Arc::new(match kind.about().0.place {
        PlaceSort::Account => Place::Account("0123456789abcdef0123456789abcdef".to_owned()),
        PlaceSort::Zone => Place::Zone {
            id: "fedcba9876543210fedcba9876543210".to_owned(),
            name: "acme.example".to_owned(),
            account: "0123456789abcdef0123456789abcdef".to_owned(),
        },
        PlaceSort::Project => Place::Project("quiet-forest-12345678".to_owned()),
        PlaceSort::Repository => Place::Repository("acme/shop".to_owned()),
    })
}

#[test]
fn every_kind_has_a_name_of_its_own_and_refers_to_kinds_that_exist() {
    let names: Vec<_> = all().map(|kind| kind.about().name()).collect();
    let known: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for kind in all() {
        let about = kind.about().0;
        let others = [&about.manages, &about.belongs_to, &about.blocks];
        for other in others.into_iter().flatten() {
            assert!(known.contains(other), "{} names {other}", about.name);
        }
        match about.used_by {
            UsedBy::These(users) => {
                for user in users {
                    let exists = known.contains(user) || providers::source(user).is_some();
                    assert!(exists, "{} is used by {user}", about.name);
                }
            }
            UsedBy::Nothing(why) => assert!(!why.is_empty(), "{}", about.name),
            UsedBy::Undeclared => panic!("{} does not say who uses it", about.name),
        }
        for text in [about.read_permission, about.write_permission, about.undo] {
            assert!(!text.is_empty(), "{}", about.name);
        }
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
        let id = place.id().to_owned();
        let pages = [
            PageOf::First,
            PageOf::Number(2),
            PageOf::Cursor("c/../x".to_owned()),
        ];
        for page in &pages {
            let call = kind.list(&place, None, page);
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
            if body == "[]" && kind.about().name() == "github_deployment" {
                continue;
            }
            let page = kind.read_page(&place, body.as_bytes());
            assert!(page.is_err(), "{} believes {body:?}", kind.about());
        }
    }
}

/// A listing of these items in the form that the kind's provider documents.
fn documented(kind: &dyn Kind, items: &str) -> String {
    let total = usize::from(!items.is_empty());
    match kind.about().name() {
        "neon_branch" => {
            format!(r#"{{"branches":[{items}],"annotations":{{}},"pagination":{{}}}}"#)
        }
        "github_environment" => {
            format!(r#"{{"total_count":{total},"environments":[{items}]}}"#)
        }
        "github_deployment" => format!("[{items}]"),
        "r2" => format!(r#"{{"success":true,"result":{{"buckets":[{items}]}}}}"#),
        "vectorize_index" => format!(r#"{{"success":true,"errors":[],"result":[{items}]}}"#),
        _ => format!(
            r#"{{"success":true,"errors":[],"messages":[],"result":[{items}],"result_info":{{"page":1,"per_page":1000,"count":{total},"total_count":{total},"total_pages":1}}}}"#
        ),
    }
}

#[test]
fn an_empty_listing_in_the_documented_form_is_believed() {
    for kind in all() {
        let page = kind.read_page(&place(kind), documented(kind, "").as_bytes());
        assert_eq!(page.unwrap().items.len(), 0, "{}", kind.about());
    }
}

#[test]
fn a_deletion_names_exactly_one_resource_and_no_force() {
    for kind in all() {
        let id = ResourceId {
            kind: kind.about(),
            place: place(kind),
            id: "../x?y".into(),
            name: "x".into(),
            holder: Some("holder".into()),
            incarnation: None,
        };
        let call = kind.delete(&id);
        assert_eq!(call.method, "DELETE", "{}", kind.about());
        assert!(call.path.ends_with("/..%2Fx%3Fy"), "{}", call.path);
        assert!(
            call.query.is_empty() && call.body.is_empty(),
            "{}",
            kind.about()
        );
        assert_eq!(kind.inspect(&id).method, "GET", "{}", kind.about());
        let before = kind.obstacles().map(|obstacles| obstacles.prepare(&id));
        for before in before.into_iter().flatten() {
            assert!(before.path.contains("..%2Fx%3Fy"), "{}", before.path);
        }
    }
}

#[test]
fn an_item_without_its_id_is_not_passed_over() {
    for kind in all() {
        // The name of an environment, a bucket or an index is its id.
        let body = match kind.about().name() {
            "github_environment" | "r2" | "vectorize_index" => documented(kind, "{}"),
            _ => documented(kind, r#"{"name":"x.acme.example"}"#),
        };
        let page = kind.read_page(&place(kind), body.as_bytes());
        assert!(page.is_err(), "{}", kind.about());
    }
}

/// What a kind says about itself and what it can do agree.
#[test]
fn a_kind_can_do_what_it_says_of_itself() {
    for kind in all() {
        let about = kind.about();
        let each = about.references == ReferencesFrom::Each;
        assert_eq!(each, kind.references().is_some(), "{about}");
        assert_eq!(about.expires, kind.expiry().is_some(), "{about}");
        assert_eq!(about.unbinds, kind.bindings().is_some(), "{about}");
        let queries = kind.queries();
        assert_eq!(about.active, queries.activity.is_some(), "{about}");
        assert_eq!(about.users_listed, queries.users.is_some(), "{about}");
        let addresses = queries.addresses.is_some();
        assert_eq!(about.addresses_asked, addresses, "{about}");
        assert!(!about.backup || kind.backup().is_some(), "{about}");
        assert_eq!(about.emptied, kind.contents().is_some(), "{about}");
        let by_holder = kind.holders().is_some();
        assert!(!by_holder || about.holder.is_some(), "{about}");
    }
}

/// A kind that no world may have is tested against no answer at all.
#[test]
fn every_kind_can_be_in_a_world() {
    for kind in all() {
        let name = kind.about().name();
        let resource = serde_json::json!({
            "repository": "acme/shop",
            "now": "2026-03-01T00:00:00Z",
            "resources": [{ "kind": name, "name": "pr-7.acme.example" }],
        });
        let world = preview_gc::sandbox::world::World::read("w.json", &resource.to_string());
        assert!(world.is_ok(), "{name}: {:?}", world.err());
    }
}

/// A kind that no case deletes may never be deleted, and one that no case keeps
/// may always be.
#[test]
fn every_kind_is_kept_in_one_case_and_deleted_in_another() {
    let mut verdicts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for case in cases() {
        let case: Value = serde_json::from_slice(&std::fs::read(case).unwrap()).unwrap();
        for expected in case["expect"].as_array().unwrap() {
            let kind = expected["kind"].as_str().unwrap().to_owned();
            let kept = expected["verdict"] != "garbage";
            verdicts.entry(kind).or_default()[usize::from(kept)] += 1;
        }
    }
    for kind in all() {
        let name = kind.about().name();
        let [deleted, kept] = verdicts.get(name).copied().unwrap_or_default();
        assert!(
            deleted > 0 && kept > 0,
            "{name} is deleted {deleted} times in tests/cases, and kept {kept} times"
        );
    }
}

/// The rows of the table below a heading of the README.
fn rows(heading: &str) -> Vec<&'static str> {
    let readme = include_str!("../../README.md");
    let (_, below) = readme.split_once(heading).unwrap();
    let lines = below.lines().skip_while(|line| !line.starts_with('|'));
    lines.take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn the_readme_describes_every_kind() {
    let rows = rows("\n## Kinds\n");
    let first = rows.iter().filter_map(|row| row.split('|').nth(1));
    let described: BTreeSet<_> = first.flat_map(|cell| cell.split('`')).collect();
    for kind in all() {
        let name = kind.about().name();
        assert!(described.contains(name), "\"Kinds\" in README lacks {name}");
    }
}

/// What a token needs is said of every kind of a provider whose tokens can be
/// limited to products.
#[test]
fn the_readme_says_which_permissions_a_token_needs() {
    let readme = include_str!("../../README.md");
    let mut lines = readme.lines();
    let row = lines.find(|line| line.starts_with("| `CLOUDFLARE_API_TOKEN` |"));
    let row = row.expect("a row about the token of Cloudflare");
    for kind in all().filter(|kind| kind.about().0.api == Api::Cloudflare) {
        let about = kind.about().0;
        for (permission, level) in [
            (about.read_permission, " Read"),
            (about.write_permission, " Write"),
        ] {
            let product = permission.strip_suffix(level).expect(permission);
            assert!(row.contains(product), "{}: {product}", about.name);
        }
    }
}
