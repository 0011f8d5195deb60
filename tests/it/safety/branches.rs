//! Git branches in names: which pull requests they are of, and whether the times fit.

use serde_json::{Value, json};

use super::{T0, audit, closed, world};

/// Closed on 1 April, with this head in this repository.
fn ended(number: u32, head: &str, repository: &str) -> Value {
    let mut pull_request = closed(number);
    pull_request["head_ref"] = json!(head);
    pull_request["head_repo"] = json!(repository);
    pull_request
}

fn resource(kind: &str, name: &str, made: &str) -> Value {
    let attributes = if kind == "dns_record" {
        json!({"type": "CNAME", "content": "other.example", "proxied": true, "ttl": 1})
    } else {
        json!({"parent": "main"})
    };
    json!({"kind": kind, "name": name, "created_at": made, "updated_at": made,
        "attributes": attributes})
}

fn main_branch() -> Value {
    json!({"kind": "neon_branch", "name": "main", "created_at": T0, "attributes": {"default": true}})
}

/// A branch called `shop` says nothing about a host that was there long before it, or that
/// was made long after it.
#[test]
fn the_end_of_a_branch_says_nothing_about_what_was_made_at_another_time() {
    let policy = "[[rule]]\nid = \"hosts\"\nkind = \"dns_record\"\n\
        name = \"{branch}.acme.example\"\ndead-when = \"closed\"\n";
    let record = |name: &str, made| resource("dns_record", &format!("{name}.acme.example"), made);
    let pulls = [(1, "shop"), (2, "cart"), (3, "till"), (4, "early")];
    let pulls = pulls.map(|(number, head)| ended(number, head, "acme/shop"));
    let records = json!([
        record("shop", "2023-01-01T00:00:00Z"),
        record("cart", "2026-03-15T00:00:00Z"),
        record("till", "2026-04-20T00:00:00Z"),
        record("early", "2026-02-25T00:00:00Z"),
    ]);
    let world = world(json!(pulls), records, json!([]));
    let audited = audit(&world, policy);
    let found = ["shop", "cart", "till", "early"];
    let found = found.map(|name| audited.verdict(&format!("{name}.acme.example")));
    let expected = ["unknown", "garbage", "unknown", "garbage"];
    assert_eq!(found, expected, "{}", audited.report);
    // What is no host may be as old as its branch, and may be made anew.
    let of_branch = policy.replace("dns_record", "neon_branch");
    let of_branch = of_branch.replace("{branch}.acme.example", "preview/{branch}");
    let branch = |name: &str, made| resource("neon_branch", &format!("preview/{name}"), made);
    let branches = json!([
        main_branch(),
        branch("shop", "2025-11-01T00:00:00Z"),
        branch("cart", "2026-01-01T00:00:00Z"),
        branch("till", "2026-04-20T00:00:00Z"),
    ]);
    let mut others = world.clone();
    others["resources"] = branches;
    let found = audit(&others, &of_branch);
    let verdicts = ["shop", "cart", "till"].map(|name| found.verdict(&format!("preview/{name}")));
    let expected = ["unknown", "garbage", "garbage"];
    assert_eq!(verdicts, expected, "{}", found.report);
    let any = audit(
        &world,
        &policy.replace("dead-when", "born = \"any\"\ndead-when"),
    );
    assert_eq!(
        any.verdict("shop.acme.example"),
        "garbage",
        "{}",
        any.report
    );
}

/// The number says whose it is, and the head of the pull request has to agree, wherever
/// that branch is.
#[test]
fn the_head_of_a_fork_agrees_with_a_number_also_after_its_end() {
    let policy = "[[rule]]\nid = \"branches\"\nkind = \"neon_branch\"\n\
        name = \"preview/pr-{pr}-{branch}\"\ndead-when = \"closed\"\n\
        [[rule]]\nid = \"heads\"\nkind = \"neon_branch\"\n\
        name = \"head/{branch}\"\ndead-when = \"closed\"\n";
    let branch = |name| resource("neon_branch", name, "2026-03-15T00:00:00Z");
    let resources = json!([
        main_branch(),
        branch("preview/pr-5-feature/x"),
        branch("preview/pr-5-feature/y"),
        branch("head/feature/x"),
    ]);
    let pulls = json!([ended(5, "feature/x", "someone/shop")]);
    let audited = audit(&world(pulls.clone(), resources.clone(), json!([])), policy);
    let report = &audited.report;
    assert_eq!(
        audited.verdict("preview/pr-5-feature/x"),
        "garbage",
        "{report}"
    );
    assert_eq!(
        audited.verdict("preview/pr-5-feature/y"),
        "unknown",
        "{report}"
    );
    // One of ours may be called so.
    let mut ours = world(pulls, resources, json!([]));
    ours["git_branches"] = json!(["main", "pr-5-feature/x"]);
    let kept = audit(&ours, policy);
    assert_eq!(
        kept.verdict("preview/pr-5-feature/x"),
        "unknown",
        "{}",
        kept.report
    );
    // By itself the branch of a fork ends nothing.
    assert_eq!(audited.verdict("head/feature/x"), "unmatched", "{report}");
}

/// `é` is one character or two.
#[test]
fn protected_names_are_compared_in_every_form_of_unicode() {
    let policy = |protected: &str| {
        format!(
            "[[rule]]\nid = \"branches\"\nkind = \"neon_branch\"\n\
             name = [\"preview/cafe\u{301}-{{pr}}\", \"preview/caf\u{e9}-{{pr}}\"]\n\
             dead-when = \"closed\"\n\
             [[protect]]\nname = \"{protected}\"\nreason = \"shown\"\n"
        )
    };
    let names = ["preview/cafe\u{301}-7", "preview/caf\u{e9}-7"];
    let branches = names.map(|name| resource("neon_branch", name, "2026-03-15T00:00:00Z"));
    let [one, other] = branches;
    let world = world(
        json!([closed(7)]),
        json!([main_branch(), one, other]),
        json!([]),
    );
    for protected in [
        "preview/caf\u{e9}-*",
        "preview/cafe\u{301}-*",
        "*caf\u{e9}*",
        "preview/caf\u{e9}-{any}",
    ] {
        let audited = audit(&world, &policy(protected));
        let found = names.map(|name| audited.verdict(name).to_owned());
        assert_eq!(found, ["protected"; 2], "{protected}: {}", audited.report);
    }
    let audited = audit(&world, &policy("preview/cafe-*"));
    let found = names.map(|name| audited.verdict(name).to_owned());
    assert_eq!(found, ["garbage"; 2], "{}", audited.report);
}
