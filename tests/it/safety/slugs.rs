//! Slugs: when the absence of one says something.

use serde_json::{Value, json};

use super::{Audited, audit, closed, open, worker, world};

const SLUGS: &str = "[slug.s]\ncase = \"lower\"\nkeep = \"a-z0-9\"\nstrip = \"both\"\n\
    replace = { with = \"-\", runs = true }\n\
    [[rule]]\nid = \"slugs\"\nkind = \"worker\"\nname = \"app-{slug:s}\"\n\
    missing = \"dead\"\ndead-when = \"closed\"\n";

const BRANCHES: &str = "[[rule]]\nid = \"branches\"\nkind = \"worker\"\nname = \"app-{branch}\"\n\
    missing = \"dead\"\ndead-when = \"closed\"\n";

fn of(mut pull_request: Value, head: &str) -> Value {
    pull_request["head_ref"] = json!(head);
    pull_request
}

/// Audits these Workers beside `feature/login`, from which #8 is open.
fn beside_login(policy: &str, ended: &[&str], names: &[&str]) -> Audited {
    let mut pulls = vec![of(open(8), "feature/login")];
    let ended = ended.iter().zip(20..);
    pulls.extend(ended.map(|(head, number)| of(closed(number), head)));
    let workers: Vec<Value> = names.iter().map(|name| worker(name)).collect();
    let mut world = world(json!(pulls), json!(workers), json!([]));
    world["git_branches"] = json!(["main", "feature/login"]);
    audit(&world, policy)
}

/// The owner's tool drops `feature/`, the policy does not: `app-login` is of #8.
#[test]
fn a_name_that_every_function_gives_proves_none() {
    for policy in [SLUGS, BRANCHES] {
        let audited = beside_login(policy, &[], &["app-main", "app-login"]);
        let found = audited.verdict("app-login");
        assert_eq!(found, "unknown", "{policy}: {}", audited.report);
        assert_eq!(audited.verdict("app-main"), "live");
    }
}

/// Its name may be the one that no branch explains.
#[test]
fn a_living_head_without_a_name_leaves_unexplained_ones_undecided() {
    let ended = ["fix/cart"];
    let names = ["app-main", "app-fix-cart", "app-login"];
    let unlisted = beside_login(SLUGS, &ended, &names);
    let report = &unlisted.report;
    assert_eq!(unlisted.verdict("app-login"), "unknown", "{report}");
    assert_eq!(unlisted.verdict("app-fix-cart"), "garbage", "{report}");
    let names = [&names[..], &["app-feature-login"]].concat();
    let listed = beside_login(SLUGS, &ended, &names);
    let report = &listed.report;
    assert_eq!(listed.verdict("app-login"), "garbage", "{report}");
    assert_eq!(listed.verdict("app-feature-login"), "live", "{report}");
}

/// A pull request that ended has a head which the end of a living one's slug equals.
#[test]
fn the_end_of_a_living_slug_that_is_not_listed_is_not_read_as_dead() {
    let names = ["app-login", "app-fix-cart"];
    let unlisted = beside_login(SLUGS, &["login", "fix/cart"], &names);
    let report = &unlisted.report;
    assert_eq!(unlisted.verdict("app-login"), "unknown", "{report}");
    assert_eq!(unlisted.verdict("app-fix-cart"), "garbage", "{report}");
    let names = [&names[..], &["app-feature-login"]].concat();
    let listed = beside_login(SLUGS, &["login", "fix/cart"], &names);
    assert_eq!(listed.verdict("app-login"), "garbage", "{}", listed.report);
}

/// A fork may have a preview, too.
#[test]
fn the_living_head_of_a_fork_without_a_name_leaves_unexplained_ones_undecided() {
    for (policy, explained) in [(SLUGS, "app-fix-cart"), (BRANCHES, "app-fix_cart")] {
        let of_fork = |head: &str| {
            let mut pull_request = of(open(8), head);
            pull_request["head_repo"] = json!("someone/shop");
            pull_request
        };
        let audited = |head| {
            let pulls = json!([of_fork(head), of(closed(20), "fix_cart")]);
            let workers = ["app-main", explained, "app-login"].map(worker);
            let mut world = world(pulls, json!(workers), json!([]));
            world["git_branches"] = json!(["main"]);
            audit(&world, policy)
        };
        let living = audited("feature/login");
        assert_eq!(
            living.verdict("app-login"),
            "unknown",
            "{policy}: {}",
            living.report
        );
        assert_eq!(living.verdict(explained), "garbage", "{policy}");
        // Every function leaves this one as it is.
        let plain = audited("patch-1");
        assert_eq!(
            plain.verdict("app-login"),
            "garbage",
            "{policy}: {}",
            plain.report
        );
    }
}
