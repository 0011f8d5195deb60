//! Writes the new files, or shows how they differ from those that are there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::RunFailure;
use crate::cli::args::InitArgs;
use crate::report::escape;

/// Where the policy goes by default.
pub(super) const POLICY: &str = "policies/previews.toml";
const WORKFLOW: &str = ".github/workflows/preview-gc.yml";

/// A workflow that reports weekly. It cannot delete: the rules only report, and it
/// runs no `sweep`.
const WORKFLOW_TEXT: &str = include_str!("workflow.yml");

/// Writes the policy, or prints a diff. Returns the lines for the output.
pub(super) fn policy(arguments: &InitArgs, text: &str) -> Result<String, RunFailure> {
    // A sandbox is not the repository in this folder.
    if arguments.common.sandbox().is_some() && arguments.out.is_none() {
        return Ok(format!("\n{POLICY} (not written: sandbox)\n\n{text}\n"));
    }
    let path = arguments
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(POLICY));
    let rules = "action = \"report\", grace = \"30d\": nothing can be deleted with it";
    write(&path, text, arguments.force, rules)
}

/// Writes the workflow, or prints a diff.
pub(super) fn workflow(arguments: &InitArgs) -> Result<String, RunFailure> {
    if arguments.common.sandbox().is_some() {
        return Ok(format!(
            "\n{WORKFLOW} (not written: sandbox)\n\n{WORKFLOW_TEXT}\n"
        ));
    }
    write(
        Path::new(WORKFLOW),
        WORKFLOW_TEXT,
        arguments.force,
        "reports every Monday, once you have replaced <owner>/<repository> and <commit> in it",
    )
}

fn write(path: &Path, text: &str, force: bool, about: &str) -> Result<String, RunFailure> {
    let shown = escape::terminal(&path.display().to_string());
    let cannot = |error: std::io::Error| {
        RunFailure::Usage(format!(
            "could not write {shown}: {error}; check the folder and its permissions, and for the \
             policy --out names another file"
        ))
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    let new = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    match new {
        Ok(mut file) => {
            std::io::Write::write_all(&mut file, text.as_bytes()).map_err(cannot)?;
            Ok(format!("wrote    {shown}  ({about})\n"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let old = std::fs::read_to_string(path).map_err(cannot)?;
            if old == text {
                return Ok(format!("kept     {shown}: it has this content already\n"));
            }
            if force {
                std::fs::write(path, text).map_err(cannot)?;
                return Ok(format!("replaced {shown}  ({about})\n"));
            }
            let diff = diff(&old, text);
            Ok(format!(
                "kept     {shown}: it exists; --force replaces it\n{diff}"
            ))
        }
        Err(error) => Err(cannot(error)),
    }
}

/// The lines that differ, by their longest common subsequence.
pub(super) fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = if a == b {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            i += 1;
            j += 1;
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            let _ = writeln!(text, "-{}", escape::terminal(old[i]));
            i += 1;
        } else {
            let _ = writeln!(text, "+{}", escape::terminal(new[j]));
            j += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_shown_and_never_changed_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policies/previews.toml");
        let output = write(&path, "a\nb\n", false, "x").unwrap();
        assert!(output.starts_with("wrote"), "{output}");
        let output = write(&path, "a\nc\n", false, "x").unwrap();
        assert!(
            output.contains("-b\n+c\n") && !output.contains("-a"),
            "{output}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\n");
        let output = write(&path, "a\nc\n", true, "x").unwrap();
        assert!(output.starts_with("replaced"), "{output}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nc\n");
    }
}
