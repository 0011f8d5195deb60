//! The name of a repository.

use std::fmt;

use serde::{Serialize, Serializer};

/// `owner/name` of a GitHub repository. Compared without case, as GitHub does.
#[derive(Debug, Clone)]
pub struct Repository {
    full_name: String,
}

impl Repository {
    /// Reads `owner/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        (plain(owner) && plain(name)).then(|| Self {
            full_name: text.to_owned(),
        })
    }

    /// The owner's login.
    pub fn owner(&self) -> &str {
        self.full_name
            .split_once('/')
            .map_or("", |(owner, _)| owner)
    }

    /// The name without its owner.
    pub fn name(&self) -> &str {
        self.full_name.split_once('/').map_or("", |(_, name)| name)
    }

    /// `owner/name`
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    fn key(&self) -> impl Iterator<Item = u8> {
        self.full_name.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.full_name.eq_ignore_ascii_case(&other.full_name)
    }
}

impl Eq for Repository {}

impl PartialOrd for Repository {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Repository {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_name)
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.full_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_compared_without_case_and_never_a_path() {
        assert_eq!(
            Repository::parse("Acme/Shop"),
            Repository::parse("acme/shop")
        );
        for text in [
            "acme",
            "acme/",
            "/shop",
            "acme/shop/x",
            "acme/..",
            "a me/shop",
            "acme/sh%2fop",
        ] {
            assert!(Repository::parse(text).is_none(), "{text}");
        }
    }
}
