//! Mistakes in rules and `protect` entries, and what is warned of.

use crate::policy::tests::{mistakes, policy, read};

fn rule(fields: &str) -> String {
    format!("[[rule]]\nid = \"one\"\n{fields}\n")
}

#[test]
fn event_needs_its_capture_in_the_template() {
    let numbers = "{pr}, {branch} or {slug}";
    let aged = |clock: &str| format!("{{ older-than = \"1d\", clock = \"{clock}\" }}");
    let event = |event: &str| format!("\"{event}\"");
    for (name, when, lacking) in [
        ("app-{pr}", event("closed"), None),
        ("app-{pr}-{branch}", event("closed"), None),
        ("app-{branch}", event("merged"), None),
        ("app-{slug:shop}", event("closed"), None),
        ("app-{branch}", event("branch-gone"), None),
        ("app-{slug:shop}", event("branch-gone"), None),
        ("app-{run}", event("run-finished"), None),
        ("app-{pr}", aged("merged"), None),
        ("app-{epoch}", aged("named"), None),
        ("app-{date:%Y%m%d}", aged("named"), None),
        ("app-{any}", aged("created"), None),
        (
            "app-{any}",
            event("closed"),
            Some(("`dead-when = \"closed\"`", numbers)),
        ),
        (
            "app-{run}",
            event("merged"),
            Some(("`dead-when = \"merged\"`", numbers)),
        ),
        (
            "app-{pr}",
            event("branch-gone"),
            Some((
                "`dead-when = \"branch-gone\"`",
                "{branch} or {slug} without {pr}",
            )),
        ),
        (
            "app-{pr}-{branch}",
            event("branch-gone"),
            Some((
                "`dead-when = \"branch-gone\"`",
                "{branch} or {slug} without {pr}",
            )),
        ),
        (
            "app-{pr}",
            event("run-finished"),
            Some(("`dead-when = \"run-finished\"`", "{run}")),
        ),
        (
            "app-{run}",
            aged("merged"),
            Some(("`clock = \"merged\"`", numbers)),
        ),
        (
            "app-{pr}",
            aged("named"),
            Some(("`clock = \"named\"`", "{epoch} or {date:…}")),
        ),
    ] {
        let text = format!(
            "[slug.shop]\nkeep = \"a-z0-9\"\n{}",
            rule(&format!(
                "kind = \"worker\"\nname = \"{name}\"\ndead-when = {when}"
            ))
        );
        let expected: Vec<_> = lacking
            .iter()
            .map(|(what, needs)| format!("{what} needs {needs} in the template"))
            .collect();
        assert_eq!(mistakes(&text), expected, "{name} {when}");
    }
}

#[test]
fn a_condition_on_times_is_one_on_a_pull_request() {
    let text = |name: &str| {
        rule(&format!(
            "kind = \"worker\"\nname = \"{name}\"\ndead-when = {{ older-than = \
             \"1d\" }}\nwhere = {{ ended-after-created = true }}"
        ))
    };
    assert!(mistakes(&text("app-{pr}")).is_empty());
    assert_eq!(
        mistakes(&text("app-{any}")),
        [
            "a condition on the pull request's times needs {pr}, {branch} or {slug} in the \
             template"
        ]
    );
}

#[test]
fn a_rule_whose_template_cannot_be_read_is_not_blamed_for_others() {
    let text =
        rule("kind = \"worker\"\nname = [\"app-{nope}\", \"app-{any}\"]\ndead-when = \"closed\"");
    assert_eq!(mistakes(&text), ["unknown capture {nope}"]);
}

#[test]
fn rules_that_match_what_others_made_are_warned_of() {
    let warned = |kind: &str, name: &str, more: &str| {
        let text = rule(&format!(
            "kind = \"{kind}\"\nname = \"{name}\"\ndead-when = \"closed\"\n{more}"
        ));
        read(&text).unwrap().warnings.len()
    };
    for kind in ["worker", "kv_namespace", "d1", "r2", "queue", "hyperdrive"] {
        assert_eq!(warned(kind, "app-{any}-{pr}", ""), 1, "{kind}");
        assert_eq!(warned(kind, "app-{any:a-z}-{pr}", ""), 1, "{kind}");
        assert_eq!(warned(kind, "app-{pr}", ""), 0, "{kind}");
    }
    assert_eq!(warned("dns_record", "{any}-{pr}.acme.example", ""), 1);
    assert_eq!(warned("dns_record", "app-{pr}.acme.example", ""), 0);
    assert_eq!(warned("neon_branch", "app-{any}-{pr}", ""), 0);
    let dead = "missing = \"dead\"";
    assert_eq!(warned("worker", "app-{branch}", dead), 1);
    assert_eq!(warned("worker", "app-{branch}", ""), 0);
    assert_eq!(warned("worker", "app-{pr}", dead), 0);
}

fn warnings(text: &str) -> Vec<String> {
    let warnings = read(text).unwrap().warnings.into_iter();
    warnings.map(|one| one.message).collect()
}

#[test]
fn rules_that_would_surprise_their_owner_are_warned_of() {
    let aged = |kind: &str, more: &str| {
        rule(&format!(
            "kind = \"{kind}\"\nname = \"app-{{pr}}\"\ndead-when = {{ older-than = \"1d\"{more}"
        ))
    };
    let open = "an age on `{pr}` keeps what belongs to an open pull request";
    let again = "a Worker that is deployed again keeps its creation time";
    for (kind, more, expected) in [
        ("d1", " }", &[open][..]),
        ("d1", " }\neven-open = true", &[]),
        ("d1", " }\neven-open = false", &[]),
        ("worker", ", clock = \"changed\" }\neven-open = true", &[]),
        ("worker", " }\neven-open = true", &[again]),
        ("worker", " }", &[open, again]),
        ("worker", ", clock = \"merged\" }", &[]),
    ] {
        assert_eq!(warnings(&aged(kind, more)), expected, "{kind} {more}");
    }
    let never = "this rule can only name what is always protected";
    for (name, more, expected) in [
        ("\"_extdns.pr-{pr}.acme.example\"", "", &[never][..]),
        ("\"*.pr-{pr}.acme.example\"", "", &[never]),
        (
            "\"pr-{pr}.acme.example\"",
            "where = { type = \"MX\" }",
            &[never],
        ),
        (
            "\"pr-{pr}.acme.example\"",
            "where = { type = [\"MX\", \"A\"] }",
            &[],
        ),
        ("\"pr-{pr}.acme.example\"", "", &[]),
        (
            "[\"_x.pr-{pr}.acme.example\", \"pr-{pr}.acme.example\"]",
            "",
            &[],
        ),
    ] {
        let text = rule(&format!(
            "kind = \"dns_record\"\nname = {name}\ndead-when = \"closed\"\n{more}"
        ));
        assert_eq!(warnings(&text), expected, "{name} {more}");
    }
}

#[test]
fn records_with_an_underscore_are_named_by_their_labels_and_as_txt() {
    let never = "this rule can only name what is always protected";
    for (name, more, expected) in [
        ("_extdns.pr-{pr}.acme.example", "type = \"TXT\"", &[][..]),
        (
            "_extdns.pr-{pr}.acme.example",
            "type = [\"TXT\", \"A\"]",
            &[never],
        ),
        ("_extdns.pr-{pr}.acme.example", "proxied = true", &[never]),
        (
            "_{any}.pr-{pr}.acme.example",
            "type = \"TXT\"",
            &["`{any}` beside `{pr}` also matches what others made", never],
        ),
        ("*.pr-{pr}.acme.example", "type = \"TXT\"", &[never]),
    ] {
        let text = rule(&format!(
            "kind = \"dns_record\"\nname = \"{name}\"\ndead-when = \"closed\"\nwhere = {{ {more} }}"
        ));
        assert_eq!(warnings(&text), expected, "{name} {more}");
    }
}

#[test]
fn a_table_of_dead_when_is_one_condition() {
    let text = |when: &str| {
        let of = if when.contains("newer") {
            "kind = \"pages_deployment\"\nproject = \"shop\"\nbranch = \"feature/{pr}\""
        } else {
            "kind = \"worker\"\nname = \"app-{pr}\""
        };
        rule(&format!("{of}\ndead-when = {when}"))
    };
    let one = "this `dead-when` has not exactly one of `older-than`, `newer`, `without-label` and \
               `target-gone`";
    for (when, expected) in [
        ("{ newer = 3 }", None),
        (
            "[{ newer = 3, per = \"rule\" }, { older-than = \"7d\" }]",
            None,
        ),
        ("[\"closed\", { without-label = \"preview\" }]", None),
        ("{ clock = \"created\" }", Some(one)),
        ("{ newer = 3, older-than = \"7d\" }", Some(one)),
        (
            "{ newer = 0 }",
            Some("`newer = 0` would delete the newest as well"),
        ),
        (
            "[{ newer = 1 }, { newer = 2 }]",
            Some("`newer` stands twice in this `dead-when`"),
        ),
        (
            "{ without-label = \"\" }",
            Some("`without-label` names one label"),
        ),
    ] {
        assert_eq!(mistakes(&text(when)), Vec::from_iter(expected), "{when}");
    }
    let by_branch =
        rule("kind = \"worker\"\nname = \"app-{branch}\"\ndead-when = { without-label = \"x\" }");
    assert_eq!(
        mistakes(&by_branch),
        ["`without-label` needs {pr} in the template"]
    );
    let when = |kind: &str, when: &str| {
        let text = format!("kind = {kind}\nname = \"pr-{{pr}}.acme.example\"\ndead-when = {when}");
        mistakes(&rule(&text))
    };
    let gone = "[\"closed\", { target-gone = true }]";
    assert_eq!(when("\"dns_record\"", gone), Vec::<String>::new());
    assert_eq!(
        when("[\"dns_record\", \"worker_domain\"]", gone),
        ["`target-gone` cannot tell what a custom domain points at"]
    );
    assert_eq!(
        when("\"dns_record\"", "[\"closed\", { target-gone = false }]"),
        ["`target-gone = false` is no condition"]
    );
    let undated = rule("kind = \"kv_namespace\"\nname = \"app-{pr}\"\ndead-when = { newer = 1 }");
    assert_eq!(mistakes(&undated), ["`newer` cannot count a KV namespace"]);
}

#[test]
fn a_claim_is_in_one_attribute_and_the_name_has_none() {
    let text = |kind: &str, name: &str, claim: &str| {
        rule(&format!(
            "kind = \"{kind}\"\nname = \"{name}\"\nclaim = {{ {claim} }}\ndead-when = \"closed\""
        ))
    };
    let comment = "comment = \"acme/shop/pull/{pr}\"";
    let of_preview = text("dns_record", "*.acme.example", comment);
    assert!(
        warnings(&of_preview).is_empty(),
        "a glob is no wildcard record"
    );
    let host = "*.acme.example";
    let one = "`claim` names one attribute with its template";
    for (kind, name, claim, expected) in [
        ("dns_record", host, comment, None),
        (
            "dns_record",
            host,
            "tags = [\"pr:{pr}\", \"pull-{pr}\"]",
            None,
        ),
        ("worker", "app-*", "tags = \"pr:{pr}\"", None),
        (
            "worker",
            "app-*",
            comment,
            Some("a Worker has no `comment` that could hold a claim"),
        ),
        (
            "d1",
            "app-*",
            "tags = \"pr:{pr}\"",
            Some("a D1 database has no `tags` that could hold a claim"),
        ),
        ("dns_record", host, "", Some(one)),
        (
            "dns_record",
            host,
            "comment = \"acme/pull/{pr}\", tags = \"pr:{pr}\"",
            Some(one),
        ),
        (
            "dns_record",
            host,
            "comment = \"{pr}\"",
            Some("this template matches too much"),
        ),
        (
            "dns_record",
            host,
            "comment = \"acme/shop/pull\"",
            Some("`dead-when = \"closed\"` needs {pr}, {branch} or {slug} in the template"),
        ),
        (
            "dns_record",
            "*",
            comment,
            Some("this name matches too much"),
        ),
        (
            "dns_record",
            "pr-{pr}.acme.example",
            comment,
            Some("the claim of this rule is in an attribute, and its `name` has another"),
        ),
    ] {
        let text = text(kind, name, claim);
        assert_eq!(mistakes(&text), Vec::from_iter(expected), "{text}");
    }
}

#[test]
fn a_condition_that_looks_like_a_glob_is_one_only_where_globs_work() {
    let text = |kind: &str, condition: &str| {
        rule(&format!(
            "kind = \"{kind}\"\nname = \"app-{{pr}}\"\ndead-when = \"closed\"\nwhere = {{ {condition} }}"
        ))
    };
    let refused =
        |key: &str| format!("`{key}` is compared as it is written, and `*` would stand for itself");
    for (kind, condition, expected) in [
        ("dns_record", "content = \"*.cdn.example\"", None),
        ("dns_record", "comment = \"*shop*\"", Some("comment")),
        (
            "neon_branch",
            "parent = [\"main\", \"dev-*\"]",
            Some("parent"),
        ),
        ("worker", "tags = \"pr:*\"", Some("tags")),
    ] {
        let expected: Vec<_> = expected.into_iter().map(refused).collect();
        assert_eq!(mistakes(&text(kind, condition)), expected, "{condition}");
    }
}

#[test]
fn a_file_of_names_has_names_and_stands_in_the_place_of_name() {
    let text =
        |fields: &str| format!("[[protect]]\nkind = \"worker\"\nreason = \"ours\"\n{fields}\n");
    for (fields, expected) in [
        ("names-file = \"live.txt\"", None),
        (
            "names-file = \"gone.txt\"",
            Some("could not read the names in \"gone.txt\": no gone.txt beside preview-gc.toml"),
        ),
        (
            "names-file = \"empty.txt\"",
            Some("there are no names in \"empty.txt\""),
        ),
        (
            "names-file = \"live.txt\"\nname = \"x\"",
            Some("a [[protect]] has `name` or `names-file`, not both"),
        ),
    ] {
        assert_eq!(
            mistakes(&text(fields)),
            Vec::from_iter(expected),
            "{fields}"
        );
    }
    let entry = policy(&text("names-file = \"live.txt\""))
        .protects
        .remove(0);
    let worker = crate::policy::tests::kind("worker");
    let named = ["api-production", "web-1", "api-production-2"];
    let covered = named.map(|name| entry.names(worker, name));
    assert_eq!(covered, [true, true, false]);
}

/// Such a line would protect nothing, and nobody would notice.
#[test]
fn every_line_of_a_file_of_names_that_is_not_one_name_is_a_mistake() {
    let found = |kind: &str, lines: &str| {
        let file = format!("\n{lines}")
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        let file: String = file
            .chars()
            .map(|c| {
                if c.is_ascii_graphic() || c == ' ' {
                    c.to_string()
                } else {
                    format!("\\U{:08x}", u32::from(c))
                }
            })
            .collect();
        let text = format!("[[protect]]\nreason = \"ours\"\n{kind}names-file = \"{file}\"\n");
        mistakes(&text)
    };
    let worker = "kind = \"worker\"\n";
    for (line, why) in [
        ("app-pr-7  # demo", "is not one name"),
        ("app-pr-7#demo", "is not one name"),
        ("app-pr-7 // demo", "is not one name"),
        ("// demo", "is not one name"),
        ("- app-pr-7", "is not one name"),
        ("* app-pr-7", "is not one name"),
        ("app-pr-7;app-pr-17", "is not one name"),
        ("app-pr-7,app-pr-17", "is not one name"),
        ("app-pr-7 app-pr-17", "is not one name"),
        ("app-pr-7\u{a0}app-pr-17", "is not one name"),
        ("'app-pr-7'", "is not one name"),
        ("\"app-pr-7\"", "is not one name"),
        ("`app-pr-7`", "is not one name"),
        ("# demo", "is a comment"),
        ("#demo", "is a comment"),
        ("app-pr-{pr}", "is a template, and not a name"),
        ("app-pr-7\u{200b}", "has invisible characters"),
        ("\u{202e}app-pr-7", "has invisible characters"),
        ("app\u{ad}-pr-7", "has invisible characters"),
        ("app-pr-7\u{1}", "has invisible characters"),
        (
            "https://app-pr-7.acme.example",
            "is an address, and not a name",
        ),
    ] {
        for kind in ["", worker] {
            let shown = found(kind, &format!("app-pr-1\n\n{line}\n"));
            assert_eq!(shown.len(), 1, "{line}: {shown:?}");
            assert!(
                shown[0].contains(&format!(":3 {why}: ")),
                "{line}: {shown:?}"
            );
        }
    }
    for line in [
        "app-pr-7\u{a0}",
        "*-production",
        "-app-",
        "web_1.2/x@y",
        "ünïcode",
        "www.acme.example/*",
    ] {
        assert_eq!(
            found(worker, &format!("{line}\r\n")),
            Vec::<String>::new(),
            "{line}"
        );
    }
    // All of them are shown, up to a number.
    assert_eq!(found(worker, "a b\nc\nd e\n").len(), 2);
    assert_eq!(found(worker, &"a b\n".repeat(100)).len(), 10);
}

#[test]
fn a_clock_that_the_kind_does_not_have_is_warned_of() {
    let warned = |kind: &str, clock: &str| {
        let text = rule(&format!(
            "kind = {kind}\nname = \"app-{{pr}}\"\neven-open = false\ndead-when = {{ \
             older-than = \"1d\", clock = \"{clock}\" }}"
        ));
        let warnings = read(&text).unwrap().warnings;
        warnings
            .into_iter()
            .map(|one| one.message)
            .collect::<Vec<_>>()
    };
    for (kind, noun, kept) in [
        (
            "\"neon_branch\"",
            "Neon branch",
            &["created", "changed", "active", "merged"][..],
        ),
        ("\"d1\"", "D1 database", &["created", "merged"]),
        ("\"kv_namespace\"", "KV namespace", &["merged"]),
        (
            "[\"neon_branch\", \"kv_namespace\"]",
            "KV namespace",
            &["merged"],
        ),
    ] {
        for clock in ["created", "changed", "merged"] {
            let expected = format!("a {noun} has no time for `clock = \"{clock}\"`");
            let expected: Vec<_> = (!kept.contains(&clock))
                .then_some(expected)
                .into_iter()
                .collect();
            assert_eq!(warned(kind, clock), expected, "{kind} {clock}");
        }
    }
    assert!(warned("\"neon_branch\"", "active").is_empty());
    assert_eq!(
        warned("\"d1\"", "active"),
        ["a D1 database has no time for `clock = \"active\"`"]
    );
}

#[test]
fn only_what_is_deleted_empty_is_emptied() {
    let text = |kind: &str, empty: &str| {
        rule(&format!(
            "kind = {kind}\nname = \"app-{{pr}}\"\ndead-when = \"closed\"\n{empty}"
        ))
    };
    for (empty, expected) in [
        ("empty = true", true),
        ("empty = false", false),
        ("", false),
    ] {
        let policy = policy(&text("\"r2\"", empty));
        assert_eq!(policy.rules[0].empty, expected, "{empty:?}");
    }
    let by_age = "kind = \"r2\"\nname = \"app-{pr}\"\nempty = true\ndead-when = ";
    for death in [
        "{ older-than = \"3d\", clock = \"created\" }",
        "[\"closed\", { older-than = \"20d\", clock = \"created\" }]",
    ] {
        let mistakes = mistakes(&rule(&format!("{by_age}{death}\n")));
        let said = mistakes
            .iter()
            .any(|one| one == "a rule with an age empties nothing");
        assert!(said, "{death}: {mistakes:?}");
    }
    let expected = ["a d1 is never emptied before it is deleted"];
    assert_eq!(
        mistakes(&text("[\"r2\", \"d1\"]", "empty = true")),
        expected
    );
}

#[test]
fn a_backup_is_kept_where_it_is_asked_for_and_can_be() {
    let text = |kind: &str, backup: &str| {
        rule(&format!(
            "kind = {kind}\nname = \"app-{{pr}}\"\ndead-when = \"closed\"\n{backup}"
        ))
    };
    for (backup, expected) in [
        ("backup = true", true),
        ("backup = false", false),
        ("", false),
    ] {
        let policy = policy(&text("\"worker\"", backup));
        assert_eq!(policy.rules[0].backup, expected, "{backup:?}");
    }
    // A branch expires a day later, and can be kept until then.
    assert!(policy(&text("\"neon_branch\"", "backup = true")).rules[0].backup);
    for kind in ["\"hyperdrive\"", "[\"worker\", \"hyperdrive\"]"] {
        let expected = ["there is no backup of a hyperdrive"];
        assert_eq!(mistakes(&text(kind, "backup = true")), expected);
        assert!(mistakes(&text(kind, "backup = false")).is_empty());
    }
}

#[test]
fn a_whole_git_branch_is_read_only_in_a_named_project() {
    let text = |kind: &str, fields: &str| {
        rule(&format!(
            "kind = \"{kind}\"\ndead-when = \"closed\"\n{fields}"
        ))
    };
    let too_much = "this template matches too much";
    for (kind, fields, expected) in [
        (
            "pages_deployment",
            "project = \"shop\"\nbranch = \"{branch}\"",
            None,
        ),
        ("pages_deployment", "branch = \"{branch}\"", Some(too_much)),
        // The name of a Neon branch is not the git branch that it carries.
        (
            "neon_branch",
            "project = \"shop\"\nname = \"{branch}\"",
            Some(too_much),
        ),
        (
            "worker",
            "branch = \"app-{branch}\"",
            Some("a Worker has no git branch"),
        ),
    ] {
        let text = text(kind, fields);
        assert_eq!(mistakes(&text), Vec::from_iter(expected), "{text}");
    }
}

#[test]
fn a_protect_entry_says_what_it_is_about() {
    let everything = "this [[protect]] says neither `kind`, `name` nor `pull-request`";
    for (fields, expected) in [
        ("kind = \"worker\"", None),
        ("name = \"main\"", None),
        ("branch = \"main\"", None),
        ("kind = \"worker\"\nwhere = { tags = \"keep\" }", None),
        ("kind = \"pages_deployment\"\nbranch = \"main\"", None),
        ("", Some(everything)),
        ("zone = \"example.com\"", Some(everything)),
        (
            "kind = \"worker\"\nbranch = \"main\"",
            Some("a Worker has no git branch"),
        ),
    ] {
        let text = format!("[[protect]]\nreason = \"ours\"\n{fields}\n");
        assert_eq!(mistakes(&text), Vec::from_iter(expected), "{fields:?}");
    }
}
