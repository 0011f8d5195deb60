//! Who may import whom, read from the sources.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails should say where"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("src is there") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What the files below a module must not contain.
fn breaches(module: &str, forbidden: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut seen = 0;
    for path in sources(&root) {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        let inside = name == format!("{module}.rs") || name.starts_with(&format!("{module}/"));
        if inside {
            seen += 1;
            let code = code(&path);
            for word in forbidden {
                if code.contains(word) {
                    found.push(format!("{name} contains `{word}`"));
                }
            }
        }
    }
    assert!(seen > 0, "there is no module {module}");
    found
}

#[test]
fn pure_modules_know_no_input_output_clock_or_kind() {
    let forbidden = [
        "crate::wire",
        "crate::scan",
        "crate::kinds",
        "crate::clock",
        "crate::cli",
        "crate::report",
        "crate::sandbox",
        "crate::github",
        "crate::boxes",
        "<!--",
        ".body",
        "tokio::",
        "std::env",
        "std::fs",
        "Utc::now",
        "Instant::now",
        "\"kv_namespace\"",
        "\"neon_branch\"",
        "\"dns_record\"",
        "\"worker\"",
    ];
    for module in ["model", "evidence", "policy", "gc"] {
        assert_eq!(breaches(module, &forbidden), Vec::<String>::new());
    }
}

#[test]
fn kinds_do_no_input_output_and_never_import_each_other() {
    let forbidden = [
        "crate::wire",
        "crate::scan",
        "crate::gc",
        "crate::cli",
        "crate::sandbox",
        "tokio::",
        "reqwest",
        "super::worker",
        "super::kv_namespace",
        "super::dns_record",
        "super::neon_branch",
    ];
    assert_eq!(breaches("kinds", &forbidden), Vec::<String>::new());
}

#[test]
fn the_sandbox_shares_nothing_with_the_collector() {
    let forbidden = [
        "crate::gc",
        "crate::kinds",
        "crate::policy",
        "crate::model",
        "crate::evidence",
        "crate::wire",
        "crate::scan",
        "crate::github",
        "crate::call",
        "crate::report",
        "crate::cli",
        "std::env",
    ];
    assert_eq!(breaches("sandbox", &forbidden), Vec::<String>::new());
}

#[test]
fn only_the_command_line_reads_the_environment_and_writes_to_a_terminal() {
    let forbidden = [
        "std::env::var",
        "std::env::args",
        "println!",
        "eprintln!",
        "io::stdout",
        "io::stderr",
    ];
    for module in [
        "model",
        "evidence",
        "policy",
        "gc",
        "kinds",
        "wire",
        "scan",
        "github",
        "sandbox",
        "call",
        "clock",
        "report",
        "collector",
        "survey",
        "sweep",
        "journal",
    ] {
        assert_eq!(breaches(module, &forbidden), Vec::<String>::new());
    }
}

#[test]
fn the_time_is_read_in_one_place() {
    for module in ["wire", "scan", "github", "report", "cli", "kinds"] {
        assert_eq!(
            breaches(module, &["Utc::now", "SystemTime::now", "Local::now"]),
            Vec::<String>::new()
        );
    }
}
