//! The manual: a page for every command, with the headings of its help.

use std::collections::BTreeSet;
use std::process::Command;

fn stdout(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_preview-gc");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the commands that the help of the program lists.
fn commands() -> BTreeSet<String> {
    let help = stdout(&["--help"]);
    let list = help.split("Commands:").nth(1).unwrap();
    let list = list.split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| {
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        line.split_whitespace().next().filter(|_| is_name)
    });
    names.map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    stdout(&["man", "--dir", path]);
    let pages: BTreeSet<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let commands = commands();
    assert!(commands.contains("sweep") && commands.len() >= 10);
    for command in commands.iter().filter(|name| *name != "help") {
        let page = format!("preview-gc-{command}.1");
        assert!(pages.contains(&page), "{page} is not in {pages:?}");
    }
    assert!(pages.contains("preview-gc.1"));
}

#[test]
fn the_page_of_a_command_has_the_headings_of_its_help() {
    for (command, headings) in [
        ("audit", &["SELECTION", "OUTPUT", "LIMITS"][..]),
        ("sweep", &["SELECTION", "OUTPUT", "DELETION", "LIMITS"]),
        ("check", &["SELECTION", "OUTPUT", "LIMITS"]),
    ] {
        let page = stdout(&["man", command]);
        for heading in headings {
            let line = format!(".SH {heading}");
            let found = page
                .lines()
                .any(|one| one.replace('"', "").eq_ignore_ascii_case(&line));
            assert!(found, "{command} has no {heading}:\n{page}");
        }
        assert!(page.contains("preview\\-gc"), "{page}");
    }
}
