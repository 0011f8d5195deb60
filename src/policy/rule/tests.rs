//! Which resources rules and `protect` entries are about.

use super::*;
use crate::model::PullRequestNumber;
use crate::policy::tests::{kind, policy, resource};

/// The only rule of a file.
fn rule(text: &str) -> Rule {
    policy(&format!("[[rule]]\nid = \"one\"\n{text}\n")).rules[0].clone()
}

/// A rule for one kind by age alone, with more said of it.
fn aged(kind: &str, more: &str) -> Rule {
    rule(&format!(
        "kind = \"{kind}\"\ndead-when = {{ older-than = \"1d\" }}\n{more}"
    ))
}

/// The only `protect` entry of a file.
fn protect(text: &str) -> Protect {
    policy(&format!("[[protect]]\nreason = \"ours\"\n{text}\n"))
        .protects
        .remove(0)
}

fn with(mut resource: Resource, key: &'static str, value: Attribute) -> Resource {
    resource.attributes.push((key, value));
    resource
}

fn list(texts: &[&str]) -> Attribute {
    Attribute::List(texts.iter().map(|text| Box::from(*text)).collect())
}

fn text(text: &str) -> Attribute {
    Attribute::Text(text.into())
}

#[test]
fn events_and_clocks_are_shown_as_a_policy_writes_them() {
    for (event, expected) in [
        (DeathEvent::Closed, "closed"),
        (DeathEvent::Merged, "merged"),
        (DeathEvent::BranchGone, "branch-gone"),
        (DeathEvent::RunFinished, "run-finished"),
    ] {
        assert_eq!(event.to_string(), expected);
    }
    for (clock, expected) in [
        (AgeClock::Created, "created"),
        (AgeClock::Changed, "changed"),
        (AgeClock::Merged, "merged"),
        (AgeClock::Active, "active"),
        (AgeClock::Named, "named"),
    ] {
        assert_eq!(clock.to_string(), expected);
    }
}

#[test]
fn a_rule_asks_for_what_its_verdict_depends_on() {
    let old = "dead-when = { older-than = \"1d\" }";
    let whatever = "dead-when = { older-than = \"1d\" }\neven-open = true";
    let idle = "dead-when = { older-than = \"1d\", clock = \"active\" }";
    let merged_long = "dead-when = { older-than = \"1d\", clock = \"merged\" }";
    let later = "dead-when = { older-than = \"1d\" }\nwhere = { created-after-opened = true }";
    let closed = "dead-when = \"closed\"";
    let finished = "dead-when = \"run-finished\"";
    let (no, yes) = (false, true);
    // Whether a pull request is open or how it ended, GitHub at all, git
    // branches, runs, activity.
    for (name, when, expected) in [
        ("app-{any}", old, [yes, no, no, no, no]),
        ("app-{pr}", old, [yes, yes, no, no, no]),
        ("app-{pr}", whatever, [no, no, no, no, no]),
        ("app-{run}", old, [yes, no, no, no, no]),
        ("app-{branch}", old, [yes, yes, yes, no, no]),
        ("app-{any}", idle, [yes, no, no, no, yes]),
        ("app-{pr}", merged_long, [yes, yes, no, no, no]),
        ("app-{pr}", later, [yes, yes, no, no, no]),
        ("app-{pr}", closed, [yes, yes, no, no, no]),
        ("app-{branch}", closed, [yes, yes, yes, no, no]),
        ("app-{run}", finished, [yes, yes, no, yes, no]),
    ] {
        let rule = rule(&format!(
            "kind = \"neon_branch\"\nname = \"{name}\"\n{when}"
        ));
        let number = Claim::PullRequest(PullRequestNumber::new(7).unwrap());
        let asked = [
            rule.asks_about(&number),
            rule.asks_github(),
            rule.asks_about_branches(),
            rule.asks_about_runs(),
            rule.asks_about_activity(),
        ];
        assert_eq!(asked, expected, "{name} {when}");
        assert!(!rule.asks_about(&Claim::Itself), "{name} {when}");
        // A name with an unknown branch did not match at all.
        assert!(rule.asks_about(&Claim::Branch("x".into())), "{name} {when}");
    }
}

#[test]
fn conditions_compare_hosts_words_flags_and_lists_each_in_their_way() {
    let of = |kind: &str, condition: &str| {
        aged(
            kind,
            &format!("name = \"app-{{pr}}\"\nwhere = {{ {condition} }}"),
        )
    };
    let host = |name: &str| Attribute::Text(name.into());
    for (kind, condition, key, value, expected) in [
        (
            "dns_record",
            "content = \"Eu.Example.com\"",
            "content",
            host("eu.example.COM."),
            true,
        ),
        (
            "dns_record",
            "content = \"eu.example.com\"",
            "content",
            host("us.example.com"),
            false,
        ),
        (
            "dns_record",
            "content = [\"a.com\", \"b.com\"]",
            "content",
            host("b.com"),
            true,
        ),
        (
            "dns_record",
            "content = \"app-{pr}.com\"",
            "content",
            host("app-7.com"),
            true,
        ),
        (
            "dns_record",
            "content = \"app-{pr}.com\"",
            "content",
            host("app-8.com"),
            false,
        ),
        (
            "dns_record",
            "type = \"CNAME\"",
            "type",
            text("CNAME"),
            true,
        ),
        (
            "dns_record",
            "type = \"CNAME\"",
            "type",
            text("cname"),
            false,
        ),
        (
            "dns_record",
            "proxied = true",
            "proxied",
            Attribute::Flag(true),
            true,
        ),
        (
            "dns_record",
            "proxied = true",
            "proxied",
            Attribute::Flag(false),
            false,
        ),
        (
            "dns_record",
            "proxied = false",
            "proxied",
            Attribute::Flag(false),
            true,
        ),
        (
            "worker",
            "tags = [\"a\", \"b\"]",
            "tags",
            list(&["b", "c", "a"]),
            true,
        ),
        (
            "worker",
            "tags = [\"a\", \"b\"]",
            "tags",
            list(&["a", "c"]),
            false,
        ),
    ] {
        let rule = of(kind, condition);
        let bare = resource(kind, "app-7");
        let matches = rule.read(&with(bare.clone(), key, value));
        assert_eq!(matches.len(), usize::from(expected), "{condition}");
        assert!(
            matches
                .iter()
                .all(|rule_match| rule_match.undetermined.is_none())
        );
        let undetermined: Vec<_> = rule
            .read(&bare)
            .iter()
            .map(|one| one.undetermined)
            .collect();
        assert_eq!(undetermined, [Some(key)], "{condition}");
    }
}

#[test]
fn a_rule_reads_only_what_is_where_it_applies() {
    let pages = |project: Option<&str>| {
        let mut pages = resource("pages_deployment", "app-7");
        pages.holder = project.map(Into::into);
        with(pages, "branch", Attribute::Text("app-7".into()))
    };
    for (place, resource, expected) in [
        (
            "zone = \"Example.COM\"",
            resource("dns_record", "app-7"),
            true,
        ),
        (
            "zone = \"0123456789ABCDEF0123456789abcdef\"",
            resource("dns_record", "app-7"),
            true,
        ),
        (
            "zone = [\"a.com\", \"example.com\"]",
            resource("dns_record", "app-7"),
            true,
        ),
        (
            "zone = \"example.org\"",
            resource("dns_record", "app-7"),
            false,
        ),
        (
            "project = \"project\"",
            resource("neon_branch", "app-7"),
            true,
        ),
        (
            "project = \"another\"",
            resource("neon_branch", "app-7"),
            false,
        ),
        ("project = \"shop\"", pages(Some("shop")), true),
        ("project = \"shop\"", pages(Some("docs")), false),
        ("project = \"shop\"", pages(None), false),
    ] {
        let kind = resource.kind.name();
        let subject = resource.kind.branch.map_or("name", |_| "branch");
        let rule = aged(kind, &format!("{subject} = \"app-{{pr}}\"\n{place}"));
        let read = rule.read(&resource).len();
        assert_eq!(read, usize::from(expected), "{kind} {place}");
    }
}

#[test]
fn a_name_alone_is_read_by_rules_for_names_of_its_kind() {
    let named = aged("worker", "name = \"app-{pr}\"\nexcept = \"app-9*\"");
    let by_branch = aged("pages_deployment", "branch = \"app-{pr}\"");
    for (rule, sort, name, expected) in [
        (&named, "worker", "app-7", &["pull request #7"][..]),
        (&named, "worker", "app-97", &[]),
        (&named, "queue", "app-7", &[]),
        (&by_branch, "pages_deployment", "app-7", &[]),
        (&by_branch, "worker", "app-7", &[]),
    ] {
        let claims = rule.match_name(kind(sort), name);
        let claims: Vec<_> = claims.iter().map(Claim::to_string).collect();
        assert_eq!(claims, expected, "{sort} {name}");
    }
}

#[test]
fn a_protect_entry_is_about_the_kinds_and_names_that_it_says() {
    for (entry, worker_api, worker_web, d1_api) in [
        ("kind = \"worker\"\nname = \"api-*\"", true, false, false),
        ("kind = \"worker\"", true, true, false),
        ("name = \"api-*\"", true, false, true),
        // Names say nothing about git branches.
        ("branch = \"*\"", false, false, false),
        ("branch = \"*\"\nname = \"api-*\"", false, false, false),
    ] {
        let entry_read = protect(entry);
        let named = [("worker", "api-x"), ("worker", "web-x"), ("d1", "api-x")]
            .map(|(sort, name)| entry_read.names(kind(sort), name));
        assert_eq!(named, [worker_api, worker_web, d1_api], "{entry}");
    }
}

/// GitHub takes `Staging` and `staging` for one environment, and shows the name that came
/// first.
#[test]
fn a_protect_entry_covers_an_environment_in_any_case() {
    for (entry, name, expected) in [
        ("name = \"Staging-7\"", "staging-7", true),
        ("name = \"staging-*\"", "Staging-7", true),
        ("name = \"PR {pr}\"", "pr 7", true),
        ("name = \"Vorschau-Ä\"", "vorschau-ä", true),
        ("name = \"staging-7\"", "staging-8", false),
    ] {
        let of = |sort: &str| protect(&format!("kind = \"{sort}\"\n{entry}"));
        let environment = of("github_environment").names(kind("github_environment"), name);
        assert_eq!(environment, expected, "{entry} {name}");
        // Names of Workers differ in case.
        assert!(!of("worker").names(kind("worker"), name), "{entry} {name}");
    }
}

#[test]
fn a_protect_entry_covers_what_fits_all_that_it_says() {
    let pages = || resource("pages_deployment", "x");
    let worker = || resource("worker", "www");
    let record = |name: &str| resource("dns_record", name);
    let on_main = "kind = \"pages_deployment\"\nbranch = \"main\"";
    let www = "zone = \"example.com\"\nname = \"www*\"";
    let kept = "kind = \"worker\"\nwhere = { tags = \"keep\" }";
    for (entry, resource, expected) in [
        ("kind = \"worker\"", worker(), Coverage::Yes),
        ("kind = \"worker\"", resource("d1", "www"), Coverage::No),
        (www, record("www.example.com"), Coverage::Yes),
        (www, record("WWW.example.com"), Coverage::Yes),
        (www, record("api.example.com"), Coverage::No),
        // What is in no zone is not in this one either.
        (www, worker(), Coverage::No),
        (
            "zone = \"example.org\"\nname = \"www*\"",
            record("www.example.com"),
            Coverage::No,
        ),
        (
            on_main,
            with(pages(), "branch", text("main")),
            Coverage::Yes,
        ),
        (on_main, with(pages(), "branch", text("dev")), Coverage::No),
        (on_main, pages(), Coverage::CannotTell("branch")),
        (
            "branch = \"main\"",
            with(pages(), "branch", text("main")),
            Coverage::Yes,
        ),
        ("branch = \"main\"", worker(), Coverage::No),
        (
            kept,
            with(worker(), "tags", list(&["a", "keep"])),
            Coverage::Yes,
        ),
        (kept, with(worker(), "tags", list(&["a"])), Coverage::No),
        (kept, worker(), Coverage::CannotTell("tags")),
    ] {
        let name = resource.name.clone();
        assert_eq!(protect(entry).covers(&resource), expected, "{entry} {name}");
    }
}
