//! What was recorded at the creation of a resource, beside its name.

use serde_json::json;

use super::{WORKERS, annotated, audit, audit_files, closed, main_branch, open, worker, world};

#[test]
fn rule_5_a_number_of_another_life_is_one_in_every_file_of_the_repository() {
    let mut early = worker("app-pr-7");
    early["created_at"] = json!("2025-01-01T00:00:00Z");
    let resources = json!([early, {"kind": "kv_namespace", "name": "app-pr-7-kv"},
        {"kind": "kv_namespace", "name": "app-pr-3-kv"}]);
    let world = world(json!([closed(7), closed(3), open(9)]), resources, json!([]));
    let namespaces = "[[rule]]\nid = \"namespaces\"\nkind = \"kv_namespace\"\n\
                      name = \"app-pr-{pr}-kv\"\ndead-when = \"closed\"\ngrace = \"0s\"\n";
    let audited = audit_files(&world, [WORKERS, namespaces]);
    assert_eq!(audited.verdict("app-pr-7"), "unknown");
    assert_eq!(audited.verdict("app-pr-7-kv"), "unknown");
    assert_eq!(audited.verdict("app-pr-3-kv"), "garbage");
}

/// A person renamed the first, and the second repository's branch has the same
/// name: nothing says that the recorded branch or number is of this repository.
#[test]
fn rule_1_what_was_recorded_without_a_repository_never_kills_alone() {
    let policy = "[[rule]]\nid = \"b\"\nkind = \"neon_branch\"\nname = \"preview/{branch}\"\n\
        dead-when = \"closed\"\n";
    for annotations in [
        json!({"vercel-commit-ref": "b7"}),
        json!({"github-pr-number": "7"}),
    ] {
        let world = world(
            json!([closed(7), open(9)]),
            json!([
                main_branch(),
                annotated("preview/demo", annotations),
                annotated("preview/b7", json!({})),
            ]),
            json!([]),
        );
        let audited = audit(&world, policy);
        assert_eq!(audited.verdict("preview/demo"), "unmatched");
        assert_eq!(audited.verdict("preview/b7"), "garbage");
    }
}

/// The recorded branch explains no name: the template may still be wrong.
#[test]
fn rule_5_what_was_recorded_calibrates_nothing() {
    let policy = "[[rule]]\nid = \"b\"\nkind = \"neon_branch\"\nname = \"preview/{branch}\"\n\
        missing = \"dead\"\ndead-when = \"branch-gone\"\n";
    let head = |number: u32, head: &str| {
        let mut one = open(number);
        one["head_ref"] = json!(head);
        one
    };
    let mut world = world(
        json!([head(1, "feat/one"), head(2, "feat/two")]),
        json!([
            main_branch(),
            annotated("preview/feat-one", json!({"vercel-commit-ref": "feat/one"})),
            annotated("preview/feat-two", json!({})),
        ]),
        json!([]),
    );
    world["git_branches"] = json!(["main", "feat/one", "feat/two"]);
    let audited = audit(&world, policy);
    for name in ["preview/feat-one", "preview/feat-two"] {
        assert_ne!(audited.verdict(name), "garbage", "{name}");
    }
    assert_eq!(audited.report["summary"]["would_delete"], 0);
}

/// A closed pull request is dead for a rule about numbers and an age for a rule
/// about ages, whatever git branch was recorded.
#[test]
fn a_recorded_branch_changes_nothing_for_rules_without_branches() {
    let number = "[[rule]]\nid = \"n\"\nkind = \"neon_branch\"\nname = \"preview/pr-{pr}\"\n\
        dead-when = \"closed\"\n";
    let age = "[[rule]]\nid = \"a\"\nkind = \"neon_branch\"\nname = \"preview/{any}\"\n\
        dead-when = { older-than = \"14d\" }\n";
    let recorded = annotated("preview/pr-7", json!({"vercel-commit-ref": "gone"}));
    let world = world(
        json!([closed(7), open(9)]),
        json!([main_branch(), recorded]),
        json!([]),
    );
    for policy in [number, age] {
        assert_eq!(audit(&world, policy).verdict("preview/pr-7"), "garbage");
    }
}

/// The slug function of the policy strips after the cut, and the tool does not.
#[test]
fn rule_5_a_slug_that_its_function_cannot_give_still_keeps_what_begins_a_living_one() {
    let policy = r#"
[slug.s]
case = "lower"
keep = "a-z0-9"
replace = { with = "-", runs = true }
strip = "both"
length = [17]
[[rule]]
id = "slugs"
kind = "worker"
name = "app-{slug:s}"
missing = "dead"
dead-when = "branch-gone"
[[rule]]
id = "ages"
kind = "worker"
name = "app-{any}"
dead-when = { older-than = "14d" }
"#;
    let mut living = open(7);
    living["head_ref"] = json!("feature/checkout-page");
    let mut world = world(
        json!([living]),
        json!([worker("app-feature-checkout-")]),
        json!([]),
    );
    world["git_branches"] = json!(["main", "feature/checkout-page"]);
    let audited = audit(&world, policy);
    assert_ne!(audited.verdict("app-feature-checkout-"), "garbage");
    assert_eq!(audited.report["summary"]["would_delete"], 0);
}
