//! The repository of a clone, read from its configuration: git itself is not run.

use crate::model::Repository;

/// Returns the repository that the remote `origin` names, if it is one of GitHub.
pub(super) fn repository() -> Option<Repository> {
    let text = std::fs::read_to_string(".git/config").ok()?;
    let origin = text.split("[remote \"origin\"]").nth(1)?;
    let section = origin.split("\n[").next()?;
    let url = section.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "url").then(|| value.trim().to_owned())
    })?;
    let path = ["github.com/", "github.com:"]
        .iter()
        .find_map(|host| url.split_once(host).map(|(_, path)| path))?;
    Repository::parse(path.trim_end_matches('/').trim_end_matches(".git"))
}
