//! Where journals are kept.

use std::path::PathBuf;

use super::Failure;
use super::args::CommonArgs;
use super::session::Session;

/// Returns the folder of the journals: from `--journal`, in the user's state
/// folder, or a temporary one for the sandbox.
pub(super) fn journal_folder(common: &CommonArgs, session: &Session) -> Result<PathBuf, Failure> {
    folder_of(common, session.connection.variables.are_the_sandboxes())
}

/// Returns the same folder before there is a session; `in_program` says whether
/// the sandbox runs in this process.
pub(super) fn folder_of(common: &CommonArgs, in_program: bool) -> Result<PathBuf, Failure> {
    if common.journal.is_none() && in_program {
        let name = format!("preview-gc-sandbox-{}", std::process::id());
        return Ok(std::env::temp_dir().join(name));
    }
    named_folder(common)
}

/// Returns the folder of the journals of real runs.
pub(super) fn named_folder(common: &CommonArgs) -> Result<PathBuf, Failure> {
    if let Some(folder) = &common.journal {
        return Ok(folder.clone());
    }
    let state = dirs::state_dir().or_else(dirs::data_local_dir);
    state
        .map(|folder| folder.join("preview-gc"))
        .ok_or_else(|| {
            Failure::Usage(
                "this user has no folder for a journal: name one with --journal".to_owned(),
            )
        })
}
