//! The repository of a clone, read from its configuration: git itself is not run.

use crate::model::Repository;

/// Returns the repository that the remote `origin` names, if it is one of GitHub. In the
/// clone of a fork, which has a remote `upstream` besides, nothing says whose pull
/// requests are meant.
pub(super) fn repository() -> Option<Repository> {
    let text = std::fs::read_to_string(".git/config").ok()?;
    let origin = remote(&text, "origin")?;
    let upstream = remote(&text, "upstream");
    let repository = upstream.is_none_or(|upstream| upstream == origin);
    repository.then_some(origin)
}

/// The repository of a remote.
fn remote(configuration: &str, name: &str) -> Option<Repository> {
    let heading = format!("[remote \"{name}\"]");
    let section = configuration.split(&heading).nth(1)?;
    let section = section.split("\n[").next()?;
    let url = section.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "url").then(|| value.trim())
    })?;
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        // `git@github.com:owner/name`
        None => url.split_once(':')?,
    };
    // What stands before it may be a user with a token.
    let host = host.rsplit('@').next()?;
    let host = host.split(':').next()?;
    host.eq_ignore_ascii_case("github.com")
        .then(|| Repository::parse(path.trim_end_matches('/').trim_end_matches(".git")))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_names_a_repository_of_github() {
        for (url, expected) in [
            ("git@github.com:acme/shop.git", Some("acme/shop")),
            ("https://github.com/acme/shop", Some("acme/shop")),
            (
                "https://x:secret@github.com/acme/shop.git",
                Some("acme/shop"),
            ),
            ("ssh://git@github.com:22/acme/shop.git", Some("acme/shop")),
            ("https://notgithub.com/acme/shop", None),
            ("https://example.com/github.com/acme/shop", None),
            ("https://gitlab.com/acme/shop", None),
            ("/srv/git/shop.git", None),
        ] {
            let text = format!("[core]\n[remote \"origin\"]\n\turl = {url}\n[branch \"main\"]\n");
            let found = remote(&text, "origin").map(|one| one.to_string());
            assert_eq!(found.as_deref(), expected, "{url}");
        }
    }
}
