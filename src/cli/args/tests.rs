//! What the help shows, and which arguments are taken.

use std::ffi::OsString;

use clap::Command;

use super::*;
use crate::limits;

/// The options of each heading, and the commands that have them. Options of
/// one command alone may stand under "Options".
const HEADINGS: [(&str, &[&str]); 3] = [
    (
        SELECTION,
        &[
            "policies",
            "sandbox",
            "kind",
            "repository",
            "issue-author",
            "now",
            "pr",
        ],
    ),
    (
        OUTPUT,
        &[
            "format",
            "json",
            "all",
            "verdict",
            "sort",
            "limit",
            "no-pager",
            "journal",
            "metrics",
            "color",
            "quiet",
            "verbose",
            "interactive",
            "fail-on-garbage",
            "out",
            "report",
            "notify-url",
            "schedule",
        ],
    ),
    (DELETION, &["yes", "plan", "approved", "workers-by-id"]),
];

fn verbs() -> Vec<Command> {
    let mut command = command();
    command.build();
    let verbs = command.get_subcommands().cloned();
    let verbs: Vec<_> = verbs.filter(|verb| verb.get_name() != "help").collect();
    assert!(verbs.len() >= 9, "{verbs:?}");
    verbs
}

/// Returns the lines of the help of one option under its heading.
fn heading_in_help(help: &str, flag: &str) -> Option<String> {
    let mut heading = None;
    for line in help.lines() {
        if !line.starts_with(' ') && line.ends_with(':') {
            heading = Some(line.trim_end_matches(':').to_owned());
        }
        let mut words = line.split([' ', ',', '=', '[']);
        if line.trim_start().starts_with('-')
            && words.any(|word| word.trim_end_matches("...") == flag)
        {
            return heading;
        }
    }
    None
}

#[test]
fn every_option_has_a_help_text_and_stands_under_its_heading() {
    for mut verb in verbs() {
        let help = verb.render_long_help().to_string();
        let name = verb.get_name().to_owned();
        for option in verb.get_arguments() {
            let about = option.get_help().map(ToString::to_string);
            let id = option.get_id();
            assert!(about.is_some_and(|text| text.len() > 5), "{name}: {id}");
            let Some(long) = option.get_long() else {
                continue;
            };
            if option.is_hide_set() {
                continue;
            }
            let found = heading_in_help(&help, &format!("--{long}"));
            let found = found.unwrap_or_else(|| panic!("{name} --{long} is not in\n{help}"));
            let is_limit = limits::ALL.iter().any(|limit| limit.flag == long);
            let general = HEADINGS.iter().find(|(_, all)| all.contains(&long));
            let expected = match general {
                _ if is_limit => Some(LIMITS),
                Some((heading, _)) => Some(*heading),
                None => None,
            };
            match expected {
                // `restore --list` and the like belong to one command.
                None if found == "Options" => {}
                None => assert!(long == "dry-run", "{name} --{long}: {found}"),
                Some(heading) => assert_eq!(found, heading, "{name} --{long}"),
            }
        }
    }
}

#[test]
fn the_version_has_the_commit_of_the_build() {
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(version(None, Some("2026-05-01")), number);
    assert_eq!(version(Some(""), None), number);
    let commit = Some("0123456789abcdef");
    let date = Some("2026-05-01");
    assert_eq!(
        version(commit, date),
        format!("{number} (0123456789 2026-05-01)")
    );
    assert_eq!(version(commit, Some("")), format!("{number} (0123456789)"));
}

#[test]
fn each_command_shows_the_limits_that_it_obeys() {
    for mut verb in verbs() {
        let name = verb.get_name().to_owned();
        let help = verb.render_long_help().to_string();
        for limit in limits::ALL {
            let shown = heading_in_help(&help, &format!("--{}", limit.flag)).is_some();
            let obeyed = limit.verbs.contains(&name.as_str());
            assert_eq!(shown, obeyed, "{name} {}:\n{help}", limit.key);
            if obeyed {
                let words: Vec<_> = help.split_whitespace().collect();
                let default = format!("[default: {}]", limit.default);
                assert!(words.join(" ").contains(&default), "{default}:\n{help}");
            }
        }
    }
}

#[test]
fn short_help_fits_a_screen_and_long_help_is_complete() {
    for mut verb in verbs() {
        let short = verb.render_help().to_string();
        let long = verb.render_long_help().to_string();
        assert!(short.lines().count() <= 60, "{short}");
        assert!(!short.contains("--quota-share"), "{short}");
        let obeys = limits::QUOTA_SHARE.about.verbs.contains(&verb.get_name());
        assert_eq!(long.contains("--quota-share"), obeys, "{long}");
    }
}

fn parse(arguments: &str) -> Result<String, String> {
    let arguments = arguments.split(' ').map(OsString::from).collect();
    let cli = Cli::of(arguments).map_err(|error| error.to_string())?;
    Ok(format!("{cli:?}"))
}

#[test]
fn an_option_may_stand_before_the_command_or_after_it() {
    for (before, after) in [
        ("--format json audit", "audit --format json"),
        ("--format=json sweep --yes", "sweep --format=json --yes"),
        ("-q --journal j sweep", "sweep -q --journal j"),
        ("-vv --color never check a", "check -vv --color never a"),
        ("--pr 5 explain x", "explain --pr 5 x"),
        (
            "--sandbox --max-deletions 3 report",
            "report --sandbox --max-deletions 3",
        ),
        // The value of an option is no command.
        ("--journal sweep audit", "audit --journal sweep"),
    ] {
        let first = parse(&format!("preview-gc {before}"));
        let second = parse(&format!("preview-gc {after}"));
        assert!(first.is_ok(), "{before}: {first:?}");
        assert_eq!(first, second, "{before}");
    }
}

#[test]
fn an_option_that_a_command_does_not_have_is_refused_before_it_too() {
    for arguments in ["--out p check", "-i sweep", "--pr 5 restore --list"] {
        let found = parse(&format!("preview-gc {arguments}"));
        assert!(found.unwrap_err().contains("unexpected argument"));
    }
}

#[test]
fn a_limit_that_makes_no_sense_is_refused_with_what_to_write() {
    for (limit, expected) in [
        (
            "--grace=tomorrow",
            "write a whole number and s, m, h, d or w",
        ),
        ("--brake-share=2", "not a number from 0 to 1"),
        ("--quota-share=0", "it must be more than 0"),
        ("--max-deletions=-1", "not a whole number"),
    ] {
        let error = parse(&format!("preview-gc sweep {limit}")).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_cannot_be_an_account_is_refused_as_an_author() {
    for name in ["alice", "Alice-2", "a_corp", "github-actions[bot]", "a,b"] {
        let parsed = parse(&format!("preview-gc report --issue-author {name}"));
        assert!(parsed.is_ok(), "{name}: {parsed:?}");
    }
    for name in [
        "@alice",
        " alice",
        "alice bob",
        "a, b",
        "-a",
        "a--b",
        "a[bot]x",
        "é",
    ] {
        let arguments = ["preview-gc", "report", &format!("--issue-author={name}")];
        let error = Cli::of(arguments.map(OsString::from).to_vec());
        let error = error.map(drop).unwrap_err().to_string();
        assert!(error.contains("without @ and spaces"), "{name}: {error}");
    }
}

#[test]
fn readme_and_help_list_the_same_exit_codes() {
    let readme = include_str!("../../../README.md").replace('`', "");
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit as u8, exit.about());
        assert!(readme.contains(&row), "README lacks this row: {row}");
    }
    for line in EXIT_CODES.lines() {
        assert!(
            line.len() <= HELP_WIDTH,
            "clap would wrap this line: {line}"
        );
    }
}

/// Returns a manual page without the escapes of roff.
fn page(command: clap::Command) -> String {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    page.replace("\\-", "-")
        .replace("\\*(Aq", "'")
        .replace("\\(aq", "'")
}

#[test]
fn the_manual_has_the_help_of_every_option() {
    let manual = manual();
    let verbs = manual.get_subcommands();
    let mut seen = 0;
    for verb in verbs
        .filter(|verb| verb.get_name() != "help")
        .chain([&manual])
    {
        let page = page(verb.clone());
        for option in verb.get_arguments().filter(|one| !one.is_hide_set()) {
            let help = option.get_long_help().or_else(|| option.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            assert!(page.contains(&help), "{}: {help}\n{page}", verb.get_name());
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn the_synopsis_of_the_manual_is_the_usage_of_the_help() {
    let manual = manual();
    let sweep = manual.find_subcommand("sweep").unwrap();
    let page = page(sweep.clone());
    assert!(page.contains("[OPTIONS]"), "{page}");
    let synopsis = page.split(".SH SYNOPSIS").nth(1).unwrap();
    let synopsis = synopsis.split(".SH").next().unwrap();
    assert!(!synopsis.contains("--deadline"), "{synopsis}");
}

#[test]
fn help_names_the_formats_that_a_command_prints() {
    for mut verb in verbs() {
        let name = verb.get_name().to_owned();
        let Some((_, formats)) = FORMATS.iter().find(|(of, _)| *of == name) else {
            continue;
        };
        let help = verb.render_help().to_string();
        assert!(
            help.contains(&format!("Output format: {formats}")),
            "{help}"
        );
        assert!(!formats.contains("csv") && !help.contains("csv"), "{help}");
    }
}

#[test]
fn the_help_of_help_is_the_help() {
    let of = |arguments: &str| parse(arguments).unwrap_err();
    let help = of("preview-gc help");
    assert!(help.contains("Commands:"), "{help}");
    assert_eq!(of("preview-gc help -h"), help);
    assert_eq!(of("preview-gc help --help"), help);
}

#[test]
fn a_limit_that_is_no_whole_number_is_refused_with_the_form() {
    for limit in ["-1", "1.5", "all"] {
        let error = parse(&format!("preview-gc audit --limit {limit}")).unwrap_err();
        assert!(error.contains("not a whole number, 0 or more"), "{error}");
    }
    assert!(parse("preview-gc audit --limit 0").is_ok());
}
