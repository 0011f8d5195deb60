//! The folder of the journals.

use std::path::PathBuf;

use super::RunFailure;
use super::args::CommonArgs;

/// Returns the folder of the journals: from `--journal`, in the user's state
/// folder, or a temporary one if the sandbox runs in this process (`in_program`).
pub(super) fn folder_of(common: &CommonArgs, in_program: bool) -> Result<PathBuf, RunFailure> {
    if common.journal.is_none() && in_program {
        let name = format!("preview-gc-sandbox-{}", std::process::id());
        return Ok(std::env::temp_dir().join(name));
    }
    named_folder(common)
}

/// Returns the folder of the journals of real runs.
pub(super) fn named_folder(common: &CommonArgs) -> Result<PathBuf, RunFailure> {
    if let Some(folder) = &common.journal {
        return Ok(folder.clone());
    }
    let state = dirs::state_dir().or_else(dirs::data_local_dir);
    state
        .map(|folder| folder.join("preview-gc"))
        .ok_or_else(|| {
            RunFailure::Usage(
                "this user has no folder for a journal: name one with --journal".to_owned(),
            )
        })
}
