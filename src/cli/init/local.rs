//! What the repository at hand says: workflows, the scripts they call, wrangler
//! configurations, and the remote of git.

use std::collections::BTreeSet;
use std::path::Path;

use crate::init::workflows::SourceFile;

/// The most files that are read.
const MOST: usize = 300;
/// The largest file that is read.
const LARGEST: u64 = 600_000;
/// How deep folders are searched for wrangler configurations.
const DEPTH: usize = 4;

fn read(path: &Path) -> Option<SourceFile> {
    let about = std::fs::symlink_metadata(path).ok()?;
    if !about.is_file() || about.len() > LARGEST {
        return None;
    }
    Some(SourceFile {
        path: path
            .display()
            .to_string()
            .trim_start_matches("./")
            .to_owned(),
        text: std::fs::read_to_string(path).ok()?,
    })
}

/// Reads workflows, local actions, scripts and wrangler configurations.
pub(super) fn files() -> Vec<SourceFile> {
    let mut paths = BTreeSet::new();
    for folder in [
        ".github/workflows",
        ".github/actions",
        ".github/scripts",
        "scripts",
    ] {
        walk(Path::new(folder), 2, &mut |path| {
            let end = path
                .extension()
                .and_then(|end| end.to_str())
                .unwrap_or_default();
            if ["yml", "yaml", "sh", "js", "mjs", "cjs", "ts", "py"].contains(&end) {
                paths.insert(path.to_path_buf());
            }
        });
    }
    walk(Path::new("."), DEPTH, &mut |path| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if ["wrangler.toml", "wrangler.json", "wrangler.jsonc"].contains(&name) {
            paths.insert(path.to_path_buf());
        }
    });
    paths
        .iter()
        .take(MOST)
        .filter_map(|path| read(path))
        .collect()
}

fn walk(folder: &Path, depth: usize, found: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten().take(2_000) {
        let path = entry.path();
        // Links may lead out of the repository.
        let Ok(about) = entry.file_type() else {
            continue;
        };
        let name = entry.file_name();
        let hidden = name == "node_modules" || name == ".git" || name == "target";
        if about.is_dir() && depth > 0 && !hidden {
            walk(&path, depth - 1, found);
        } else if about.is_file() {
            found(&path);
        }
    }
}
