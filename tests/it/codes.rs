//! The stable codes and their documentation.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use preview_gc::model::code::{Area, Code};

fn title(area: Area) -> &'static str {
    match area {
        Area::Doubt => "Why a verdict is `unknown`",
        Area::Gap => "What could not be read",
        Area::Brake => "What stops a sweep",
        Area::Failure => "Why a command failed",
        Area::Policy => "Remarks on policies",
    }
}

/// Each table of `.github/CODES.md` has the declared codes of its area, in their
/// order, with their meanings and what to do.
#[test]
fn the_documentation_lists_every_code_with_its_meaning() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/CODES.md");
    let text = fs::read_to_string(path).unwrap();
    let mut documented: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        } else if line.starts_with("| `") {
            documented.entry(section).or_default().push(line);
        }
    }
    let mut declared: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for code in Code::ALL {
        let advice = code.advice().map(|advice| format!(" {advice}"));
        let meaning = code.meaning();
        let line = format!("| `{code}` | {meaning}{} |", advice.unwrap_or_default());
        declared.entry(title(code.area())).or_default().push(line);
    }
    assert_eq!(declared.len(), 5);
    for (title, lines) in declared {
        let found = documented.remove(title).unwrap_or_default();
        assert_eq!(found, lines, "{title}");
    }
    assert!(documented.is_empty(), "{documented:?}");
}
