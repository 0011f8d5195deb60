//! Names matched by templates.

use proptest::prelude::*;

use super::*;
use crate::model::{Claim, PullRequestNumber};
use crate::policy::slug::{Algorithm, Case, Hash, Replace, Strip};

/// One list of words and one slug function.
fn names() -> Names {
    let list = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect();
    let slug = Slug {
        name: "shop".into(),
        case: Case::Lower,
        keep: Characters::parse("a-z0-9"),
        replace: Replace {
            with: "-".into(),
            runs: true,
        },
        strip: Strip::BeforeCut,
        lengths: vec![20],
        hash: None,
        empty: Some("preview".into()),
    };
    Names {
        words: WordLists::from([("service".to_owned(), list(&["api", "api-v2", "web"]))]),
        slugs: Slugs::from([("shop".to_owned(), Arc::new(slug))]),
    }
}

/// A list of words.
fn words(name: &str, words: impl Iterator<Item = String>) -> (String, Arc<[Box<str>]>) {
    (name.to_owned(), words.map(Box::from).collect())
}

fn parse_one(text: &str) -> Result<Template, TemplateError> {
    Template::parse(text, &names(), NameForm::Exact, Anchor::Itself)
}

pub(super) fn template(text: &str) -> Template {
    parse_one(text).unwrap()
}

fn ways(text: &str, name: &str) -> Vec<Captures> {
    match template(text).fit(name) {
        Fits::Ways(ways) => ways,
        Fits::TooMany => panic!("{name} fits in too many ways"),
    }
}

fn claims(text: &str, name: &str) -> Vec<String> {
    ways(text, name)
        .iter()
        .map(|captures| match captures.claim() {
            Claim::Branch(branch) => branch.to_string(),
            Claim::Slug { text, .. } => text.to_string(),
            other => other.to_string(),
        })
        .collect()
}

fn numbers(text: &str, name: &str) -> Vec<u32> {
    ways(text, name)
        .into_iter()
        .filter_map(|captures| match captures.number.or(captures.head) {
            Some(Claim::PullRequest(number)) => Some(number.get()),
            _ => None,
        })
        .collect()
}

#[test]
fn any_text_may_have_a_count() {
    for (text, name, fits) in [
        ("app-{any:0-9a-f:4}-x", "app-00ff-x", true),
        ("app-{any:0-9a-f:4}-x", "app-00f-x", false),
        ("app-{any:0-9a-f:4}-x", "app-00ff0-x", false),
        ("app-{any:0-9a-f:4}", "app-00ff", true),
        ("app-{any:0-9a-f:4}", "app-00ff0", false),
        ("app-{any:a-z:2-3}{any:a-z:1}", "app-abc", true),
        ("app-{any:a-z:2-3}{any:a-z:1}", "app-ab", false),
        ("app-{any:a-z:2-3}{any:a-z:1}", "app-abcde", false),
        // Without a number the colon is one of the characters.
        ("app-{any:a-z:}", "app-a:b", true),
    ] {
        assert_eq!(!ways(text, name).is_empty(), fits, "{text} {name}");
    }
    for text in [
        "pre-{any:a-z:0}",
        "pre-{any:a-z:3-2}",
        "pre-{any:a-z:256}",
        "pre-{any:a-z:-}",
    ] {
        let error = Template::parse(text, &names(), NameForm::Exact, Anchor::Itself).unwrap_err();
        assert!(
            error.message.contains("is not how many"),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn a_number_may_stand_beside_a_branch() {
    let found = ways("preview/pr-{pr}-{branch}", "preview/pr-42-fix/login");
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].claim(),
        Claim::PullRequest(PullRequestNumber::new(42).unwrap())
    );
    assert_eq!(
        found[0].branch_beside_number(),
        Some(&Claim::Branch("fix/login".into()))
    );
    assert_eq!(
        ways("preview/{branch}", "preview/x")[0].branch_beside_number(),
        None
    );
}

#[test]
fn names_are_matched_whole_and_numbers_are_taken_whole() {
    for (text, name, expected) in [
        ("pr-{pr}", "pr-12", &[12][..]),
        ("pr-{pr}", "pr-120", &[120]),
        ("pr-{pr}", "pr-012", &[]),
        ("pr-{pr}", "pr-0", &[]),
        ("pr-{pr}", "pr-12-foo", &[]),
        ("pr-{pr}", "fix-pr-12", &[]),
        ("pr-{pr}", "PR-12", &[]),
        ("pr-{pr}", "pr-12/", &[]),
        ("pr-{pr}", "pr-24308663446", &[]),
        ("{service}-preview-{pr}", "api-preview-9", &[9]),
        ("{service}-preview-{pr}", "api-v2-preview-9", &[9]),
        ("{service}-preview-{pr}", "cdn-preview-9", &[]),
        ("app{pr}-x", "app1-x", &[1]),
        ("ver1{pr}", "ver112", &[]),
        ("pr-{pr}", "pr-12-7", &[]),
        ("pr-{pr}", "pr-", &[]),
        ("preview-{pr}", "pre", &[]),
        ("preview-{pr}", "", &[]),
        ("app-{service}-pr-{pr}", "app-web-pr-7", &[7]),
        ("app-{service}-pr-{pr}", "app-web-xx-7", &[]),
        ("pr-{pr}2abc", "pr-12abc", &[]),
        ("kody-pr-{pr}-mock-{any}", "kody-pr-5-mock-a/b", &[5]),
        ("kody-pr-{pr}-mock-{any}", "kody-pr-5-mock-", &[]),
        ("x-pr-{pr}-{any:a-z0-9}", "x-pr-12-foo-q2", &[]),
        ("x-pr-{pr}-{any:a-z0-9}", "x-pr-12-q2w3", &[12]),
        ("db-{any:a-z}-pr-{pr}", "db-eu-pr-7", &[7]),
    ] {
        if let Ok(template) = parse_one(text) {
            assert_eq!(numbers(text, name), expected, "{text} {name}");
            let begins = template
                .beginnings()
                .iter()
                .any(|beginning| name.starts_with(beginning));
            assert!(begins || expected.is_empty(), "{text} {name}");
        } else {
            assert!(expected.is_empty(), "{text}");
        }
    }
}

#[test]
fn a_name_that_fits_in_several_ways_is_read_in_every_one() {
    assert_eq!(numbers("{any}-pr-{pr}-{any}", "a-pr-12-pr-7-x"), [7, 12]);
}

#[test]
fn a_template_that_matches_everything_cannot_be_written() {
    for text in ["{pr}", "{any}", "{any}-{pr}", "p-{pr}", "ab{any}cd"] {
        assert!(parse_one(text).is_err(), "{text}");
    }
    assert!(parse_one("{service}{pr}").is_ok());
    for text in [
        "pr-{pr}-{pr}",
        "pre-{nope}",
        "pre-{pr",
        "pre-pr}",
        "pre-{any:z-a}",
    ] {
        assert!(parse_one(text).is_err(), "{text}");
    }
}

#[test]
fn a_hostile_name_takes_a_bounded_number_of_steps() {
    for text in [
        "abc{slug:shop}{any}{any}",
        "abc{any}{any}{slug:shop}",
        "abc{any}{slug:shop}{any}",
        "abc{any:a-z}{any:a-z}{branch}",
        "abc{any}{any}{any}-{slug:shop}",
    ] {
        for pattern in ["a", "a-", "-", "9", "aA"] {
            let name = |length: usize| format!("abc{}", pattern.repeat(length / pattern.len()));
            let (_, steps) = template(text).fit_in_steps(&name(5_000));
            assert!(steps <= MAX_STEPS + 1, "{text} {pattern}: {steps}");
            // A name as long as a host name may be is never given up for its steps.
            let (_, steps) = template(text).fit_in_steps(&name(253));
            assert!(steps < MAX_STEPS / 4, "{text} {pattern}: {steps}");
        }
    }
    // The slug decides; how the rest is split between two texts does not.
    let (fits, steps) = template("abc{slug:shop}{any}{any}").fit_in_steps("abcdef-gh");
    assert!(
        matches!(fits, Fits::Ways(ways) if ways.len() == 4) && steps <= 6,
        "{steps}"
    );
}

#[test]
fn hostile_names_end() {
    let name = format!("abc{}", "-1".repeat(5_000));
    let hostile = template("abc{any}-{any}{any}-{any}{pr}x");
    assert_eq!(hostile.fit(&name), Fits::Ways(Vec::new()));
    let many = template("abc{any}-{pr}-{any}-{any}");
    let name = (1..200).fold("abc".to_owned(), |name, n| format!("{name}-{n}"));
    assert_eq!(many.fit(&name), Fits::TooMany);
}

#[test]
fn a_long_name_whose_end_does_not_match_is_rejected_quickly() {
    let hostile = template(&format!("abc{}{{pr}}x", "{any}".repeat(100)));
    // It ends as the template does, and no digit stands before that.
    let name = format!("abc{}yx", "-1".repeat(500));
    assert_eq!(hostile.fit(&name), Fits::Ways(Vec::new()));
}

#[test]
fn a_long_name_with_many_ways_and_one_reading_is_read() {
    let name = format!("abc{}-pr-7", "x".repeat(800));
    assert_eq!(numbers("abc{any}x{any}-pr-{pr}", &name), [7]);
}

#[test]
fn up_to_64_readings_are_told() {
    let names = Names {
        words: [words("letters", (1..=65).map(|length| "a".repeat(length)))].into(),
        ..names()
    };
    let template = Template::parse(
        "pre-{letters}{letters}",
        &names,
        NameForm::Exact,
        Anchor::Itself,
    )
    .unwrap();
    let fit = |length| template.fit(&format!("pre-{}", "a".repeat(length)));
    // The first word has any length up to all but one of the characters.
    let Fits::Ways(ways) = fit(65) else { panic!() };
    assert_eq!(ways.len(), 64);
    assert_eq!(fit(66), Fits::TooMany);
}

#[test]
fn a_word_longer_than_the_name_is_not_what_it_begins_with() {
    let names = Names {
        words: [words(
            "size",
            ["extra-large".to_owned(), "s".to_owned()].into_iter(),
        )]
        .into(),
        ..names()
    };
    let template = Template::parse("{size}-{pr}", &names, NameForm::Exact, Anchor::Itself).unwrap();
    let Fits::Ways(ways) = template.fit("s-1") else {
        panic!()
    };
    assert_eq!(ways.len(), 1);
    assert_eq!(template.fit("m-1"), Fits::Ways(Vec::new()));
}

#[test]
fn characters_are_ranges_and_single_ones() {
    for (text, ranges) in [
        ("a-z0-9", &[('a', 'z'), ('0', '9')][..]),
        ("a-a", &[('a', 'a')]),
        ("a-c_-", &[('a', 'c'), ('_', '_'), ('-', '-')]),
        ("-x", &[('-', '-'), ('x', 'x')]),
    ] {
        let characters = Characters::parse(text).unwrap();
        assert_eq!(characters.ranges(), ranges, "{text}");
        for (low, high) in ranges {
            assert!(
                characters.contains(*low) && characters.contains(*high),
                "{text}"
            );
        }
        assert!(!characters.contains('A'), "{text}");
    }
    for text in ["", "z-a", "b-a"] {
        assert_eq!(Characters::parse(text), None, "{text}");
    }
}

#[test]
fn a_template_tells_what_it_captures() {
    for (text, number, run, head, time) in [
        ("app-{pr}", true, false, false, false),
        ("app-{run}", false, true, false, false),
        ("app-{branch}", false, false, true, false),
        ("app-{slug:shop}", false, false, true, false),
        ("app-{epoch}", false, false, false, true),
        ("app-{date:%Y%m%d}", false, false, false, true),
        ("app-{service}-{any}", false, false, false, false),
    ] {
        let template = template(text);
        let has = (
            template.has_pull_request(),
            template.has_run(),
            template.captures_branch(),
            template.names_time(),
        );
        assert_eq!(has, (number, run, head, time), "{text}");
    }
}

#[test]
fn the_own_text_of_a_template_has_nothing_of_its_captures() {
    for (text, expected) in [
        ("rollback-{pr}", "rollback-\0"),
        ("roll{any}back-{pr}", "roll\0back-\0"),
        ("{service}-{pr}", "\0-\0"),
    ] {
        assert_eq!(template(text).literal_text(), expected, "{text}");
    }
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    for (text, span) in [
        ("pre-pr}", 6..7),
        ("pre-{nope}-x", 4..10),
        ("pre-{pr", 4..7),
        ("pre-{pr}-{run}", 9..14),
        ("{any}-x", 0..7),
    ] {
        assert_eq!(parse_one(text).unwrap_err().span, span, "{text}");
    }
}

#[test]
fn branches_are_raw_and_keep_their_beginning() {
    for (text, name, expected) in [
        ("preview/{branch}", "preview/feat/x-1", &["feat/x-1"][..]),
        ("preview/{branch}", "preview/", &[]),
        (
            "preview/{branch:codex/}",
            "preview/codex/fix",
            &["codex/fix"],
        ),
        ("preview/{branch:codex/}", "preview/codecs", &[]),
        ("{branch:codex/}", "codex/fix", &["codex/fix"]),
        ("db-{branch}-copy", "db-a-copy-copy", &["a-copy"]),
        // A part of the beginning is no branch.
        ("pre-{branch:a-b}-{any}", "pre-a-b-c", &["a-b"]),
    ] {
        assert_eq!(claims(text, name), expected, "{text} {name}");
    }
    assert!(parse_one("{branch}").is_err(), "it would match everything");
    assert!(Template::parse("{branch}", &names(), NameForm::Exact, Anchor::Project).is_ok());
}

#[test]
fn slugs_are_only_what_their_function_could_give() {
    for (name, expected) in [
        ("app-feat-x", &["feat-x"][..]),
        ("app-Feat", &[]),
        ("app-a_b", &[]),
        ("app-preview", &[]),
        ("app-12345678901234567890", &["12345678901234567890"]),
        ("app-123456789012345678901", &[]),
    ] {
        assert_eq!(claims("app-{slug:shop}", name), expected, "{name}");
    }
    let matches = claims("{service}-{slug:shop}", "api-v2-x");
    assert_eq!(matches, ["v2-x", "x"], "read in every way");
    for text in ["app-{slug:other}", "app-{slug}", "app-{slug:shop}-{run}"] {
        assert!(parse_one(text).is_err(), "{text}");
    }
}

#[test]
fn runs_have_64_bits_and_numbers_32() {
    assert_eq!(
        claims("ci-run-{run}", "ci-run-24308663446"),
        ["Actions run 24308663446"]
    );
    assert_eq!(numbers("preview-{pr}", "preview-24308663446"), [0_u32; 0]);
    assert!(ways("ci-run-{run}", "ci-run-99999999999999999999").is_empty());
    assert!(ways("ci-run-{run}", "ci-run-012").is_empty());
}

#[test]
fn times_in_names_are_taken_whole_and_as_late_as_they_could_be() {
    for (text, name, expected) in [
        (
            "tmp-{epoch}",
            "tmp-1767225600",
            Some("2026-01-01T00:00:00Z"),
        ),
        ("tmp-{epoch}", "tmp-17672256001", None),
        (
            "tmp-{epoch}-{any}",
            "tmp-1767225600-x",
            Some("2026-01-01T00:00:00Z"),
        ),
        (
            "e2e-{date:%Y%m%d-%H%M%S}",
            "e2e-20260102-030405",
            Some("2026-01-02T03:04:05Z"),
        ),
        (
            "e2e-{date:%Y%m%d}",
            "e2e-20260102",
            Some("2026-01-02T23:59:59Z"),
        ),
        ("e2e-{date:%Y%m%d}", "e2e-202601021", None),
        ("e2e-{date:%Y%m%d}", "e2e-20261302", None),
        ("e2e-{date:%Y-%m-%d}", "e2e-2026-1-2", None),
        (
            "e2e-{date:%Y-%m-%dT%H%MZ}",
            "e2e-2026-01-02T0304Z",
            Some("2026-01-02T03:04:59Z"),
        ),
        // Digits beside a time belong to something else.
        ("ver1{date:%Y%m%d}", "ver120260102", None),
        ("e2e-{date:%Y%m%d}{any}", "e2e-202601021x", None),
        (
            "e2e-{date:%Y%m%d}{any}",
            "e2e-20260102x",
            Some("2026-01-02T23:59:59Z"),
        ),
        (
            "{date:%Y%m%d}-e2e",
            "20260102-e2e",
            Some("2026-01-02T23:59:59Z"),
        ),
        (
            "e2e-{date:%Y-%m-%dT%H%MZ}{any}",
            "e2e-2026-01-02T0304Z7x",
            Some("2026-01-02T03:04:59Z"),
        ),
        (
            "run1{date:%B-%d-%Y}",
            "run1January-02-2026",
            Some("2026-01-02T23:59:59Z"),
        ),
        (
            "e2e-{date:%Y%m%d-%H%M%z}",
            "e2e-20260102-0304+0100",
            Some("2026-01-02T02:04:59Z"),
        ),
        (
            "e2e-{date:%Y%m%d%z}",
            "e2e-20260102+0000",
            Some("2026-01-02T23:59:59Z"),
        ),
    ] {
        let named = ways(text, name)
            .first()
            .and_then(|captures| captures.named)
            .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        assert_eq!(named.as_deref(), expected, "{text} {name}");
    }
    for text in [
        "e2e-{date}",
        "e2e-{date:%H%M}",
        "e2e-{date:%Q}",
        // `%p` without an hour is incomplete.
        "e2e-{date:%Y%m%d%p}",
        // Seconds of an offset are printed, and never read.
        "e2e-{date:%Y%m%d-%H%M%::z}",
        "e2e-{epoch}-{date:%Y%m%d}",
    ] {
        assert!(parse_one(text).is_err(), "{text}");
    }
}

/// A template of every part, with a name that it was expanded to and what was
/// put in.
fn expanded() -> impl Strategy<Value = (String, String, Captures)> {
    let part = prop_oneof![
        (1_u32..=2_147_483_647).prop_map(|number| {
            let claim = PullRequestNumber::new(number).map(Claim::PullRequest);
            ("{pr}".to_owned(), number.to_string(), claim)
        }),
        (1_u64..).prop_map(|run| {
            let claim = crate::model::RunId::parse(&run.to_string()).map(Claim::Run);
            ("{run}".to_owned(), run.to_string(), claim)
        }),
        "[a-zA-Z0-9/_.-]{1,24}".prop_map(|branch| {
            let claim = Some(Claim::Branch(branch.as_str().into()));
            ("{branch}".to_owned(), branch, claim)
        }),
        "[a-zA-Z0-9/_.-]{1,24}".prop_filter_map("names nothing", |branch| {
            let text = names().slugs["shop"].of(&branch).into_iter().next()?;
            let claim = Claim::Slug {
                function: "shop".into(),
                text: text.as_str().into(),
            };
            Some(("{slug:shop}".to_owned(), text, Some(claim)))
        }),
    ];
    ("[a-z]{3,8}[-_]", 0_usize..3, part, "[-_][a-z]{0,6}").prop_map(
        |(literal, word, (capture, text, claim), tail)| {
            let word = names().words["service"][word].clone();
            let is_head = |claim: &Claim| matches!(claim, Claim::Branch(_) | Claim::Slug { .. });
            let (head, number) = match claim {
                Some(claim) if is_head(&claim) => (Some(claim), None),
                claim => (None, claim),
            };
            let captures = Captures {
                number,
                head,
                named: None,
                words: vec![("service".into(), word.clone())],
            };
            (
                format!("{literal}{{service}}-{capture}{tail}"),
                format!("{literal}{word}-{text}{tail}"),
                captures,
            )
        },
    )
}

proptest! {
    #[test]
    fn expanding_a_template_and_matching_it_gives_the_captures_back((text, name, captures) in expanded()) {
        prop_assert!(ways(&text, &name).contains(&captures), "{text} {name}");
    }

    #[test]
    fn a_name_that_no_template_expands_to_is_not_read((text, name, _) in expanded(), end in "[A-Z]{1,3}") {
        // The tail of the template is lower case, so nothing ends like this.
        let longer = name + &end;
        prop_assert!(ways(&text, &longer).is_empty());
    }

    #[test]
    fn any_text_is_read_without_panic(name in "\\PC{0,40}") {
        for text in ["{any}pr-{pr}{any}", "{any}abc{branch}", "abc{any}{slug:shop}", "abc{any}{date:%Y%m%d}"] {
            template(text).fit(&name);
        }
        if let Fits::Ways(ways) = template("{any}pr-{pr}{any}").fit(&name) {
            for captures in ways {
                let Some(Claim::PullRequest(number)) = captures.number else { panic!() };
                let marker = format!("pr-{number}");
                prop_assert!(name.contains(&marker));
            }
        }
    }
}

/// Hostile names: invisible characters, escapes, and parts of names that fit, over
/// and over up to thousands of characters.
fn hostile_name() -> impl Strategy<Value = String> {
    let parts = vec![
        "pr-",
        "7",
        "-",
        "api",
        "api-v2",
        "a",
        "\0",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{feff}",
        "é",
        "\u{130}",
        "ß",
        "20260102",
        "1767323045",
        "{pr}",
        "/",
        "feature/",
    ];
    let part = proptest::sample::select(parts);
    (proptest::collection::vec(part, 0..40), 1_usize..300)
        .prop_map(|(parts, times)| parts.concat().repeat(times).chars().take(10_000).collect())
}

proptest! {
    #[test]
    fn no_name_takes_long_or_is_read_in_countless_ways(name in hostile_name()) {
        for text in [
            "{any}pr-{pr}{any}", "{any}-{service}-{any}", "{service}{branch}", "abc{any}{slug:shop}",
            "api{any}{epoch}", "api{any}{date:%Y%m%d}", "{service}-{any:a-z}-pr-{pr}-{any}",
        ] {
            if let Fits::Ways(ways) = template(text).fit(&name) {
                prop_assert!(ways.len() <= MAX_MATCHES);
            }
        }
    }

    #[test]
    fn a_slug_of_any_name_is_no_longer_than_it_may_be(name in hostile_name(), digits in 1_usize..40, room in 1_usize..40, both: bool) {
        // The least that a policy may say.
        let length = digits + 1 + room;
        let shop = (*names().slugs["shop"]).clone();
        let hash = Some(Hash { algorithm: Algorithm::Sha1, digits });
        let strip = if both { Strip::Both } else { Strip::None };
        for case in [Case::Keep, Case::Lower, Case::Upper] {
            let slug = Slug { case, strip, hash, lengths: vec![length, length + 7], ..shop.clone() };
            for text in slug.of(&name) {
                prop_assert!(text.chars().count() <= slug.longest(), "{text}");
                prop_assert!(text.chars().all(|c| slug.may_contain(c)), "{text}");
            }
        }
    }

    #[test]
    fn two_claims_never_give_one_name(one in "[a-zA-Z0-9/_.-]{1,24}", other in "[a-zA-Z0-9/_.-]{1,24}", number in 1_u32..) {
        for (text, first, second) in [
            ("pre-{branch}-x", one.clone(), other.clone()),
            ("pre-{pr}x", (number / 2).to_string(), (number / 3).to_string()),
            ("pre{run}", number.to_string(), (number - 1).to_string()),
        ] {
            let capture = &text[text.find('{').unwrap()..=text.find('}').unwrap()];
            let name = |value: &str| text.replace(capture, value);
            if first != second {
                prop_assert_ne!(name(&first), name(&second));
            }
            prop_assert!(ways(text, &name(&first)).len() <= 1);
        }
    }
}

#[test]
fn beginnings_are_the_literals_and_words_in_front() {
    for (text, expected) in [
        ("pr-{pr}", &["pr-"][..]),
        ("{service}-x-{pr}", &["api-x-", "api-v2-x-", "web-x-"]),
        ("p-{branch:codex/}", &["p-codex/"]),
        ("{any}-preview", &[""]),
    ] {
        assert_eq!(template(text).beginnings(), expected, "{text}");
    }
    // More than 64 of them are not worth telling apart.
    let some =
        |prefix: &str, count: usize| words(prefix, (0..count).map(|n| format!("{prefix}{n}-")));
    let many = Names {
        words: [some("a", 8), some("b", 8), some("c", 9)].into(),
        ..names()
    };
    for (text, expected) in [("{a}{b}x-{pr}", 64), ("{c}{b}x-{pr}", 9)] {
        let template = Template::parse(text, &many, NameForm::Exact, Anchor::Itself).unwrap();
        assert_eq!(template.beginnings().len(), expected, "{text}");
    }
    let hosts = Template::parse("PR-{pr}.x", &names(), NameForm::Host, Anchor::Itself).unwrap();
    assert_eq!(hosts.beginnings(), ["pr-"]);
}

#[test]
fn a_template_of_a_host_name_is_matched_in_punycode() {
    let words = Names {
        words: WordLists::from([(
            "shop".to_owned(),
            Arc::from(["bücher".into(), "music".into()]),
        )]),
        ..Names::default()
    };
    let host = |text: &str| Template::parse(text, &words, NameForm::Host, Anchor::Itself);
    for (text, name) in [
        ("pr-{pr}.bücher.example", "pr-7.xn--bcher-kva.example"),
        ("PR-{pr}.BÜCHER.example.", "pr-7.XN--bcher-kva.example"),
        ("{shop}.pr-{pr}.example", "xn--bcher-kva.pr-7.example"),
        ("{shop}.pr-{pr}.example", "music.pr-7.example"),
    ] {
        let template = host(text).unwrap();
        let Fits::Ways(ways) = template.fit(name) else {
            panic!("{text} fits {name} in too many ways");
        };
        assert_eq!(ways.len(), 1, "{text} {name}");
        assert_eq!(ways[0].claim().to_string(), "pull request #7");
    }
    // Punycode is made of whole labels.
    for (text, at, form) in [
        ("pr-{pr}-ü.example.com", "pr-{pr}-ü", "xn--pr-12--8ya"),
        ("api.ü{pr}.example.com", "ü{pr}", "xn--12-wka"),
        (
            "pr-{pr}-{shop}.example.com",
            "pr-{pr}-{shop}",
            "xn--pr-12-bcher-zhb",
        ),
    ] {
        let error = host(text).unwrap_err();
        assert_eq!(&text[error.span.clone()], at);
        assert!(
            error.message.contains("letters outside of ASCII"),
            "{error:?}"
        );
        assert!(error.help.contains(&format!("{form:?}")), "{error:?}");
        // Names of other kinds have no such form.
        assert!(Template::parse(text, &words, NameForm::Exact, Anchor::Itself).is_ok());
    }
}
