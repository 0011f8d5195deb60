use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::model::{KindRef, UsedBy};

fn uses(references: &References) -> Vec<String> {
    let uses = references.uses.iter();
    uses.map(|one| format!("{} {}", one.kind, one.key.text()))
        .collect()
}

/// The kinds that a user source may use, but for those that it uses otherwise.
fn used_by(user: &str) -> BTreeSet<&'static str> {
    let kinds = crate::providers::vocabulary().into_iter();
    let used = kinds.filter(|kind| match kind.used_by {
        UsedBy::These(users) => users.contains(&user),
        UsedBy::Nothing(_) | UsedBy::Undeclared => false,
    });
    used.map(KindRef::name).collect()
}

/// A kind that something binds, and that is not read from the bindings, would
/// be deleted while it is bound.
#[test]
fn every_kind_that_is_bound_is_read_from_bindings() {
    let fields = json!({"namespace_id": "x", "id": "x", "database_id": "x", "service": "x",
        "bucket_name": "x", "queue_name": "x", "index_name": "x", "name": "X", "workflow_name": "x", "class_name": "X", "tunnel_id": "x"});
    let read = |sort: &str| {
        let mut binding = fields.clone();
        binding["type"] = json!(sort);
        let references = one(&binding).unwrap();
        references.uses.into_iter().map(|reference| reference.kind)
    };
    let known = [
        "kv_namespace",
        "d1",
        "r2_bucket",
        "queue",
        "hyperdrive",
        "vectorize",
        "service",
        "workflow",
        "vpc_network",
    ];
    let named: BTreeSet<_> = known.into_iter().chain(HARMLESS).flat_map(read).collect();
    assert!(named.len() > 4, "{named:?}");
    for user in ["worker", "worker_preview", "dispatch_namespace"] {
        assert_eq!(named, used_by(user), "{user}");
    }
    let maps = PAGES.iter().map(|(map, _)| *map).chain(PAGES_HARMLESS);
    let in_pages = maps.flat_map(|map| {
        let config = json!({ map: { "X": fields } });
        let references = pages(config.as_object().unwrap()).unwrap();
        references.uses.into_iter().map(|reference| reference.kind)
    });
    let in_pages: BTreeSet<_> = in_pages.collect();
    assert_eq!(in_pages, used_by("pages_project"));
}

#[test]
fn a_binding_or_consumer_with_an_empty_name_is_no_answer() {
    for (sort, field) in [
        ("kv_namespace", "namespace_id"),
        ("d1", "id"),
        ("r2_bucket", "bucket_name"),
        ("queue", "queue_name"),
        ("hyperdrive", "id"),
        ("vectorize", "index_name"),
        ("service", "service"),
    ] {
        for name in [json!(""), Value::Null] {
            assert!(one(&json!({"type": sort, field: name})).is_err(), "{sort}");
        }
    }
    for (map, field) in PAGES {
        let config = json!({ map: { "X": { field: "" } } });
        assert!(pages(config.as_object().unwrap()).is_err(), "{map}");
    }
    for consumer in [json!({}), json!({"service": ""}), json!({"name": null})] {
        let settings = json!({"bindings": [], "tail_consumers": [consumer]});
        assert!(serde_json::from_value::<Settings>(settings).is_err());
    }
}

#[test]
fn every_known_binding_names_its_target() {
    let list = json!([
        {"type": "kv_namespace", "name": "KV", "namespace_id": "0123"},
        {"type": "d1", "name": "DB", "database_id": "d"},
        {"type": "r2_bucket", "name": "B", "bucket_name": "files"},
        {"type": "queue", "name": "Q", "queue_name": "jobs"},
        {"type": "hyperdrive", "name": "H", "id": "h"},
        {"type": "vectorize", "name": "X", "index_name": "words"},
        {"type": "service", "name": "API", "service": "api"},
        {"type": "service", "name": "WEB", "service": "web", "environment": "staging"},
        {"type": "service", "name": "CMS", "service": "cms", "environment": "production"},
        {"type": "durable_object_namespace", "name": "OWN", "class_name": "Room"},
        {"type": "durable_object_namespace", "name": "DO", "class_name": "Room", "script_name": "rooms", "environment": "pr-7"},
        {"type": "workflow", "name": "W", "workflow_name": "orders", "class_name": "Flow", "script_name": "flows"},
        {"type": "workflow", "name": "V", "workflow_name": "bills"},
        {"type": "dispatch_namespace", "name": "D", "namespace": "n", "outbound": {"worker": {"service": "out"}}},
        {"type": "secret_text", "name": "S"},
    ]);
    let found = listed(list.as_array().unwrap()).unwrap();
    assert_eq!(
        uses(&found),
        [
            "kv_namespace 0123",
            "d1 d",
            "r2 files",
            "queue jobs",
            "hyperdrive h",
            "vectorize_index words",
            "worker api",
            "worker web",
            "worker web-staging",
            "worker cms",
            "worker rooms",
            "worker rooms-pr-7",
            "worker flows",
            "workflow orders",
            "workflow bills",
            "worker out",
        ]
    );
    assert_eq!(found.unknown, []);
    // The same by name, as Previews have it.
    let env = json!({"KV": {"type": "kv_namespace", "namespace_id": "0123"}, "GONE": null});
    let found = by_name(env.as_object().unwrap()).unwrap();
    assert_eq!(uses(&found), ["kv_namespace 0123"]);
}

#[test]
fn a_binding_of_an_unknown_type_reports_whatever_it_could_name() {
    let list = json!([{"type": "tape", "name": "T", "drive": {"id": "0123", "labels": ["files"]}}]);
    let found = listed(list.as_array().unwrap()).unwrap();
    assert_eq!(found.uses, []);
    assert_eq!(&*found.unknown[0].sort, "tape");
    let texts: Vec<&str> = found.unknown[0].texts.iter().map(|one| &**one).collect();
    assert_eq!(texts, ["0123", "drive", "files", "id", "labels"]);
    // A class somewhere, by an id that no listing shows.
    let list = json!([{"type": "durable_object_namespace", "name": "DO", "namespace_id": "x"}]);
    let found = listed(list.as_array().unwrap()).unwrap();
    assert_eq!(found.unknown[0].any_of, Some("worker"));
    let list = json!([{"type": "workflow", "name": "W", "class_name": "Flow"}]);
    let found = listed(list.as_array().unwrap()).unwrap();
    assert_eq!(found.uses, []);
    assert_eq!(found.unknown[0].any_of, Some("workflow"));
}

#[test]
fn an_unknown_binding_may_name_something_inside_a_text() {
    let list = json!([{"type": "tape", "name": "T", "drive": "kv://acme/ABC-1/app-pr-7?x"}]);
    let found = listed(list.as_array().unwrap()).unwrap();
    let texts = &found.unknown[0].texts;
    for named in ["abc-1", "ABC-1", "app-pr-7", "acme/ABC-1"] {
        assert!(texts.contains(&named.into()), "{named}: {texts:?}");
    }
    assert!(!texts.contains(&"pp-pr-7".into()));
}

#[test]
fn a_binding_without_its_target_is_an_answer_that_cannot_be_believed() {
    let list = json!([{"type": "kv_namespace", "name": "KV"}]);
    assert!(listed(list.as_array().unwrap()).is_err());
    let config = json!({"kv_namespaces": {"KV": {}}});
    assert!(pages(config.as_object().unwrap()).is_err());
}

#[test]
fn a_pages_project_binds_by_kind() {
    let config = json!({
        "env_vars": {"A": {"type": "plain_text", "value": "0123"}},
        "kv_namespaces": {"KV": {"namespace_id": "0123"}},
        "d1_databases": {"DB": {"id": "d"}},
        "r2_buckets": {"B": {"name": "files"}},
        "queue_producers": {"Q": {"name": "jobs"}},
        "hyperdrive_bindings": {"H": {"id": "h"}},
        "vectorize_bindings": {"X": {"index_name": "words"}},
        "services": {"API": {"service": "api", "environment": "production"}},
        "durable_object_namespaces": {"DO": {"namespace_id": "x"}},
        "tapes": {"app-pr-7": {"drive": "y"}},
        "reels": ["app-pr-8"],
        "disk": "app-pr-9",
        "no_tapes": {},
        "no_disk": "",
        "compatibility_flags": [],
        "fail_open": true,
    });
    let found = pages(config.as_object().unwrap()).unwrap();
    let mut names = uses(&found);
    names.sort();
    assert_eq!(
        names,
        [
            "d1 d",
            "hyperdrive h",
            "kv_namespace 0123",
            "queue jobs",
            "r2 files",
            "vectorize_index words",
            "worker api",
        ]
    );
    let unknown: Vec<_> = found
        .unknown
        .iter()
        .map(|one| (&*one.sort, one.any_of))
        .collect();
    assert_eq!(
        unknown,
        [
            ("disk", None),
            ("durable_object_namespaces", Some("worker")),
            ("reels", None),
            ("tapes", None)
        ]
    );
    for name in ["app-pr-7", "app-pr-8", "app-pr-9"] {
        let mut unknown = found.unknown.iter();
        assert!(
            unknown.any(|one| one.texts.contains(&name.into())),
            "{name}"
        );
    }
}

#[test]
fn bindings_of_a_pages_project_in_another_form_are_no_answer() {
    let maps = PAGES.iter().map(|(map, _)| *map).chain([PAGES_OBJECTS]);
    for map in maps {
        for form in [json!([{"id": "x"}]), json!("x"), json!(true), json!(7)] {
            let config = json!({ map: form });
            assert!(pages(config.as_object().unwrap()).is_err(), "{config}");
        }
        let config = json!({ map: null });
        let none = pages(config.as_object().unwrap()).unwrap();
        assert_eq!(none, References::default(), "{map}");
    }
}
